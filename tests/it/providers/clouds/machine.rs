//! A machine of the fake of Google: what is known of it, and a real SSH server.

use crate::support::sshd::Sshd;
use serde_json::Value;

pub(super) struct Machine {
    pub body: Value,
    pub server: Option<Sshd>,
}

/// The way to a machine, for the configuration of `ssh`.
pub(super) fn alias(machine: &Machine) -> Option<String> {
    let address = machine.body["networkInterfaces"][0]["accessConfigs"][0]["natIP"].as_str();
    let address =
        address.or(machine.body["networkEndpoints"][0]["accessConfig"]["externalIp"].as_str())?;
    let port = machine.server.as_ref()?.port;
    Some(format!(
        "Host {address}\n  HostName 127.0.0.1\n  Port {port}\n"
    ))
}
