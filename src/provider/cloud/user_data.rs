//! What cloud-init, or where there is none a script, does on a new machine: a user that only our key lets in, a host key that we know,
//! and a watchdog that powers the machine off when its lease is over.

use super::super::{ErrorKind, ProviderError};
use super::keys::Pair;
use serde_json::json;
use std::time::Duration;

/// The user that commands run as, unless `$SKY_SSH_USER` names another.
const USER: &str = "sky";
/// What a machine may live on after the end of its lease, in seconds: time to bring home what there
/// is, and for clocks that differ.
const AFTER: u64 = 120;
/// The watchdog; see the file.
const WATCHDOG: &str = include_str!("watchdog.sh");

/// The user that commands run as.
pub(super) fn user() -> Result<String, ProviderError> {
    let Some(name) = std::env::var("SKY_SSH_USER").ok().filter(|name| !name.is_empty()) else {
        return Ok(USER.to_owned());
    };
    let plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character);
    if name.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        || !name.chars().all(plain)
        || name.len() > 32
    {
        let message = format!("SKY_SSH_USER: `{}` is no name of a user: use a-z, 0-9, `-`, `_`", name.escape_debug());
        return Err(ProviderError::new(ErrorKind::Other, message));
    }
    Ok(name)
}

/// The user data of a machine, for cloud-init: YAML, of which JSON is a part.
pub(super) fn text(client: &str, host: &Pair, lease: Duration) -> Result<String, ProviderError> {
    Ok(config(&user()?, client, host, lease))
}

fn home(user: &str) -> String {
    if user == "root" { "/root".to_owned() } else { format!("/home/{user}") }
}

/// The watchdog's unit of systemd.
fn unit(user: &str) -> String {
    format!(
        "[Unit]\nDescription=Ends this machine when its lease is over\n[Service]\n\
         ExecStart=/bin/sh /usr/local/sbin/sky-watchdog {}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n",
        home(user)
    )
}

fn config(user: &str, client: &str, host: &Pair, lease: Duration) -> String {
    let lease = lease.as_secs().saturating_add(AFTER);
    let (home, unit) = (home(user), unit(user));
    let config = json!({
        "users": [{
            "name": user,
            "homedir": home,
            "shell": "/bin/sh",
            "lock_passwd": true,
            "ssh_authorized_keys": [client],
        }],
        "disable_root": user != "root",
        "ssh_pwauth": false,
        "ssh_deletekeys": true,
        "ssh_keys": { "ed25519_private": host.private, "ed25519_public": host.public },
        "write_files": [
            { "path": "/etc/sky/lease", "permissions": "0644", "content": format!("{lease}\n") },
            { "path": "/usr/local/sbin/sky-watchdog", "permissions": "0755", "content": WATCHDOG },
            { "path": "/etc/systemd/system/sky-watchdog.service", "permissions": "0644", "content": unit },
        ],
        "runcmd": [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "sky-watchdog.service"]],
    });
    format!("#cloud-config\n{config:#}\n")
}

/// The script that does the same on a machine without cloud-init. It may run whenever the machine boots,
/// and does its work once.
pub(super) fn script(client: &str, host: &Pair, lease: Duration) -> Result<String, ProviderError> {
    Ok(commands(&user()?, client, host, lease))
}

fn commands(user: &str, client: &str, host: &Pair, lease: Duration) -> String {
    let lease = lease.as_secs().saturating_add(AFTER);
    let (home, unit) = (home(user), unit(user));
    let file = |path: &str, mode: &str, content: &str| {
        let content = content.trim_end_matches('\n');
        // Nothing of it is the shell's business.
        format!("cat > {path} << 'END OF FILE'\n{content}\nEND OF FILE\nchmod {mode} {path}\n")
    };
    let files = [
        file("/etc/sky/lease", "644", &lease.to_string()),
        file("/usr/local/sbin/sky-watchdog", "755", WATCHDOG),
        file("/etc/systemd/system/sky-watchdog.service", "644", &unit),
    ];
    let keys = [
        file("/etc/ssh/ssh_host_ed25519_key", "600", &host.private),
        file("/etc/ssh/ssh_host_ed25519_key.pub", "644", &host.public),
        file("/etc/ssh/sshd_config.d/10-sky.conf", "644", "PasswordAuthentication no"),
    ];
    let authorized = file(&format!("{home}/.ssh/authorized_keys"), "600", client);
    // The watchdog before all that may fail.
    format!(
        "#!/bin/sh\nset -eu\numask 077\n[ ! -e /etc/sky/ready ] || exit 0\n\
         mkdir -p -m 755 /etc/sky /usr/local/sbin /etc/ssh/sshd_config.d\n{}\
         systemctl daemon-reload\nsystemctl enable --now sky-watchdog.service\n\
         id -u {user} > /dev/null 2>&1 || useradd --create-home --home-dir {home} --shell /bin/sh {user}\n\
         mkdir -p -m 700 {home}/.ssh\n{authorized}chown -R {user} {home}/.ssh\n\
         rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub\n{}\
         systemctl restart ssh || systemctl restart sshd\n: > /etc/sky/ready\n",
        files.concat(),
        keys.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_json_below_its_first_line() {
        let host = Pair { private: "-----BEGIN\nx\n".to_owned(), public: "ssh-ed25519 AAAA".to_owned() };
        let text = config("sky", "ssh-ed25519 BBBB", &host, Duration::from_secs(60));
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "#cloud-config");
        let config: serde_json::Value = serde_json::from_str(rest).unwrap();
        assert_eq!(config["ssh_keys"]["ed25519_private"], "-----BEGIN\nx\n");
        assert_eq!(config["write_files"][0]["content"], "180\n");
        assert_eq!(config["users"][0]["ssh_authorized_keys"][0], "ssh-ed25519 BBBB");
        assert!(config["write_files"][2]["content"].as_str().unwrap().contains("sky-watchdog /home/sky\n"));
        // Clouds take some 16 KiB of it.
        assert!(text.len() < 8_000, "{}", text.len());
    }

    #[test]
    fn the_script_says_the_same() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let host = Pair { private: "-----BEGIN\n$(x) `y`\n".to_owned(), public: "ssh-ed25519 AAAA".to_owned() };
        let text = commands("root", "ssh-ed25519 BBBB", &host, Duration::from_secs(60));
        let part = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
        // The watchdog is at work before anything can fail, and nothing is done twice.
        assert!(part("/etc/sky/ready ] || exit 0") < part("enable --now sky-watchdog.service"));
        assert!(part("/etc/sky/lease << 'END OF FILE'\n180\n") < part("enable --now"));
        assert!(
            part("enable --now") < part("/root/.ssh/authorized_keys")
                && part("restart ssh") < part(": > /etc/sky/ready")
        );
        assert!(
            part("-----BEGIN\n$(x) `y`\nEND OF FILE\nchmod 600 /etc/ssh/ssh_host_ed25519_key\n")
                > part("rm -f /etc/ssh")
        );
        let mut shell = Command::new("/bin/sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }
}
