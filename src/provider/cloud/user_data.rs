//! What cloud-init does on a new machine: a user that only our key lets in, a host key that we know,
//! and a watchdog that powers the machine off when its lease is over.

use super::keys::Pair;
use serde_json::json;
use std::time::Duration;

/// The user that commands run as.
pub const USER: &str = "sky";
/// What a machine may live on after the end of its lease, in seconds: time to bring home what there
/// is, and for clocks that differ.
const AFTER: u64 = 120;
/// The watchdog; see the file.
const WATCHDOG: &str = include_str!("watchdog.sh");
const UNIT: &str = "[Unit]\nDescription=Ends this machine when its lease is over\n[Service]\nExecStart=/bin/sh /usr/local/sbin/sky-watchdog\nRestart=always\n[Install]\nWantedBy=multi-user.target\n";

/// The user data of a machine, for cloud-init: YAML, of which JSON is a part.
pub(super) fn text(client: &str, host: &Pair, lease: Duration) -> String {
    let lease = lease.as_secs().saturating_add(AFTER);
    let config = json!({
        "users": [{
            "name": USER,
            "shell": "/bin/sh",
            "lock_passwd": true,
            "ssh_authorized_keys": [client],
        }],
        "disable_root": true,
        "ssh_pwauth": false,
        "ssh_deletekeys": true,
        "ssh_genkeytypes": [],
        "ssh_keys": { "ed25519_private": host.private, "ed25519_public": host.public },
        "write_files": [
            { "path": "/etc/sky/lease", "permissions": "0644", "content": format!("{lease}\n") },
            { "path": "/usr/local/sbin/sky-watchdog", "permissions": "0755", "content": WATCHDOG },
            { "path": "/etc/systemd/system/sky-watchdog.service", "permissions": "0644", "content": UNIT },
        ],
        "runcmd": [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "sky-watchdog.service"]],
    });
    format!("#cloud-config\n{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_json_below_its_first_line() {
        let host = Pair { private: "-----BEGIN\nx\n".to_owned(), public: "ssh-ed25519 AAAA".to_owned() };
        let text = text("ssh-ed25519 BBBB", &host, Duration::from_secs(60));
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "#cloud-config");
        let config: serde_json::Value = serde_json::from_str(rest).unwrap();
        assert_eq!(config["ssh_keys"]["ed25519_private"], "-----BEGIN\nx\n");
        assert_eq!(config["write_files"][0]["content"], "180\n");
        assert_eq!(config["users"][0]["ssh_authorized_keys"][0], "ssh-ed25519 BBBB");
    }
}
