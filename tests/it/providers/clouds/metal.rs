//! The machines of the Azure of the tests: SSH servers on this machine, that take their keys from
//! user data as cloud-init does.

use crate::support::sshd::Sshd;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// What cloud-init would do with user data.
pub(super) fn boot(below: &Path, user_data: &str) -> Sshd {
    let (first, rest) = user_data.split_once('\n').unwrap();
    assert_eq!(first, "#cloud-config");
    let config: Value = serde_json::from_str(rest).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let keys = &config["ssh_keys"];
    Sshd::with_keys(
        below,
        &text(&keys["ed25519_private"]),
        &text(&keys["ed25519_public"]),
        &text(&config["users"][0]["ssh_authorized_keys"][0]),
    )
}

/// Ends a machine, with all that runs on it.
pub(super) fn end(server: Option<Sshd>) {
    let Some(mut server) = server else { return };
    server.end();
    let home = format!("HOME={}", server.path("").display());
    let home = home.trim_end_matches('/');
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|one| one == home.as_bytes())
        {
            let pid = entry.file_name();
            let _ = Command::new("kill")
                .args(["-s", "KILL"])
                .arg(pid)
                .stderr(Stdio::null())
                .status();
        }
    }
}
