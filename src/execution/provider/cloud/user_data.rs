//! What cloud-init, or where there is none a script, does on a new machine: a user that only our
//! key lets in, a host key that we know, a watchdog that powers the machine off when its lease is
//! over, and on what the cloud may take away, an ear for its word that it does.

use super::super::{ErrorKind, ProviderError};
use super::Notice;
use super::ssh_keys::Pair;
use crate::util::{environment, variables};
use serde_json::json;
use std::time::Duration;

/// The user that commands run as, unless `$SKY_SSH_USER` names another.
const USER: &str = "sky";
/// What a machine may live on after the end of its lease, in seconds: time to bring home what there
/// is, and for clocks that differ.
const AFTER: u64 = 120;
/// How long a machine may be billed after the end of its lease: [`AFTER`], then until it has shut
/// down.
pub(super) const OVERRUN: Duration = Duration::from_secs(AFTER + 60);
/// How long a machine that is about to go is held up, in seconds: what is left of half a minute.
const HOLD: u64 = 25;
/// The watchdog; see the file.
const WATCHDOG: &str = include_str!("watchdog.sh");
/// Waits for the cloud's notice; see the file.
const NOTICE: &str = include_str!("notice.sh");

/// What a machine is made of.
pub(super) struct Boot<'a> {
    /// The public half of the key that sky logs in with.
    pub client: &'a str,
    pub host: &'a Pair,
    pub lease: Duration,
    /// The public half of the key that signs longer leases; none: they are not signed.
    pub signer: Option<&'a str>,
    /// How the cloud is asked whether it takes the machine away, if it may.
    pub notice: Option<Notice>,
}

/// The user that commands run as.
pub(super) fn user() -> Result<String, ProviderError> {
    let Some(name) = environment::text(variables::SKY_SSH_USER) else {
        return Ok(USER.to_owned());
    };
    let plain_character = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character)
    };
    if name.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        || !name.chars().all(plain_character)
        || name.len() > 32
    {
        let message = format!(
            "SKY_SSH_USER: `{}` is not a name of a user: use a-z, 0-9, `-`, `_`",
            name.escape_debug()
        );
        return Err(ProviderError::new(ErrorKind::Other, message));
    }
    Ok(name)
}

/// The user data of a machine, for cloud-init: YAML, of which JSON is a part.
pub(super) fn text(boot: &Boot<'_>) -> Result<String, ProviderError> {
    Ok(config(&user()?, boot))
}

/// The script that does the same on a machine without cloud-init. It may run whenever the machine
/// boots, and does its work once.
pub(super) fn script(boot: &Boot<'_>) -> Result<String, ProviderError> {
    Ok(commands(&user()?, boot))
}

fn home(user: &str) -> String {
    if user == "root" {
        "/root".to_owned()
    } else {
        format!("/home/{user}")
    }
}

/// A unit of systemd that always runs.
fn unit(description: &str, exec: &str) -> String {
    format!(
        "[Unit]\nDescription={description}\n[Service]\nExecStart={exec}\nRestart=always\nRestartSec=1\n[Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// A file: path, mode, content.
type Laid = (&'static str, &'static str, String);

/// The watchdog's files.
fn watchdog(user: &str, boot: &Boot<'_>) -> Vec<Laid> {
    let signers = boot
        .signer
        .map(|key| ("/etc/sky/signers", "0644", format!("sky {key}\n")));
    let exec = format!("/bin/sh /usr/local/sbin/sky-watchdog {}", home(user));
    let files = [
        (
            "/etc/sky/lease",
            "0644",
            format!("{}\n", boot.lease.as_secs().saturating_add(AFTER)),
        ),
        ("/usr/local/sbin/sky-watchdog", "0755", WATCHDOG.to_owned()),
        (
            "/etc/systemd/system/sky-watchdog.service",
            "0644",
            unit("Ends this machine when its lease is over", &exec),
        ),
    ];
    files.into_iter().chain(signers).collect()
}

/// The files of what waits for the notice, and the commands that set it to work.
fn notice(user: &str, notice: Option<Notice>) -> (Vec<Laid>, Vec<Vec<&'static str>>) {
    let Some(notice) = notice else {
        return (Vec::new(), Vec::new());
    };
    let listens = format!("/bin/sh /usr/local/sbin/sky-notice {}", home(user));
    let exec = match notice.hold {
        // A unit's own `User=` would have no right to hold the machine up.
        true => format!(
            "/usr/bin/env systemd-inhibit --what=shutdown --mode=delay --who=sky --why=Progress \
             runuser -u {user} -- {listens}"
        ),
        false => format!("/usr/bin/env runuser -u {user} -- {listens}"),
    };
    let mut files = vec![
        (
            "/usr/local/sbin/sky-notice",
            "0755",
            format!("{}{NOTICE}", notice.ask),
        ),
        (
            "/etc/systemd/system/sky-notice.service",
            "0644",
            unit("Waits for word that this machine is taken away", &exec),
        ),
    ];
    let mut commands = vec![vec!["systemctl", "enable", "--now", "sky-notice.service"]];
    if notice.hold {
        let hold_setting = format!("[Login]\nInhibitDelayMaxSec={HOLD}\n");
        files.push((
            "/etc/systemd/logind.conf.d/10-sky.conf",
            "0644",
            hold_setting,
        ));
        commands.insert(0, vec!["systemctl", "restart", "systemd-logind.service"]);
    }
    (files, commands)
}

fn config(user: &str, boot: &Boot<'_>) -> String {
    let (waits, commands) = notice(user, boot.notice);
    let files = watchdog(user, boot).into_iter().chain(waits);
    let files: Vec<_> =
        files.map(|(path, mode, content)| json!({ "path": path, "permissions": mode, "content": content })).collect();
    let run = [
        vec!["systemctl", "daemon-reload"],
        vec!["systemctl", "enable", "--now", "sky-watchdog.service"],
    ];
    let config = json!({
        "users": [{
            "name": user,
            "homedir": home(user),
            "shell": "/bin/sh",
            "lock_passwd": true,
            "ssh_authorized_keys": [boot.client],
        }],
        "disable_root": user != "root",
        "ssh_pwauth": false,
        "ssh_deletekeys": true,
        "ssh_keys": { "ed25519_private": boot.host.private, "ed25519_public": boot.host.public },
        "write_files": files,
        "runcmd": run.into_iter().chain(commands).collect::<Vec<_>>(),
    });
    format!("#cloud-config\n{config:#}\n")
}

fn commands(user: &str, boot: &Boot<'_>) -> String {
    let home = home(user);
    let file = |path: &str, mode: &str, content: &str| {
        let content = content.trim_end_matches('\n');
        // Nothing of it is the shell's business.
        format!("cat > {path} << 'END OF FILE'\n{content}\nEND OF FILE\nchmod {mode} {path}\n")
    };
    let all_commands = |files: Vec<Laid>| -> String {
        files
            .iter()
            .map(|(path, mode, content)| file(path, mode, content))
            .collect()
    };
    let (waits, calls) = notice(user, boot.notice);
    let calls: String = calls
        .iter()
        .map(|call| format!("{} || :\n", call.join(" ")))
        .collect();
    let keys = [
        file("/etc/ssh/ssh_host_ed25519_key", "0600", &boot.host.private),
        file(
            "/etc/ssh/ssh_host_ed25519_key.pub",
            "0644",
            &boot.host.public,
        ),
        file(
            "/etc/ssh/sshd_config.d/10-sky.conf",
            "0644",
            "PasswordAuthentication no",
        ),
    ];
    let authorized = file(&format!("{home}/.ssh/authorized_keys"), "0600", boot.client);
    // The watchdog before all that may fail.
    format!(
        "#!/bin/sh\nset -eu\numask 077\n[ ! -e /etc/sky/ready ] || exit 0\n\
         mkdir -p -m 755 /etc/sky /usr/local/sbin /etc/ssh/sshd_config.d /etc/systemd/logind.conf.d\n{}{}\
         systemctl daemon-reload\nsystemctl enable --now sky-watchdog.service\n\
         id -u {user} > /dev/null 2>&1 || useradd --create-home --home-dir {home} --shell /bin/sh {user}\n\
         mkdir -p -m 700 {home}/.ssh\n{authorized}chown -R {user} {home}/.ssh\n{calls}\
         rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub\n{}\
         systemctl restart ssh || systemctl restart sshd\n: > /etc/sky/ready\n",
        all_commands(watchdog(user, boot)),
        all_commands(waits),
        keys.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(host: &Pair, notice: Option<Notice>) -> Boot<'_> {
        Boot {
            client: "ssh-ed25519 BBBB",
            host,
            lease: Duration::from_secs(60),
            signer: Some("ssh-ed25519 BBBB"),
            notice,
        }
    }

    #[test]
    fn the_text_is_json_below_its_first_line() {
        let host = Pair {
            private: "-----BEGIN\nx\n".to_owned(),
            public: "ssh-ed25519 AAAA".to_owned(),
        };
        let text = config("sky", &boot(&host, None));
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "#cloud-config");
        let config: serde_json::Value = serde_json::from_str(rest).unwrap();
        assert_eq!(config["ssh_keys"]["ed25519_private"], "-----BEGIN\nx\n");
        assert_eq!(config["write_files"][0]["content"], "180\n");
        assert_eq!(
            config["users"][0]["ssh_authorized_keys"][0],
            "ssh-ed25519 BBBB"
        );
        assert!(
            config["write_files"][2]["content"]
                .as_str()
                .unwrap()
                .contains("sky-watchdog /home/sky\n")
        );
        assert_eq!(config["runcmd"].as_array().unwrap().len(), 2);
        // Clouds take some 16 KiB of it.
        assert!(text.len() < 10_000, "{}", text.len());
        let notice = Notice {
            ask: include_str!("../azure/notice.sh"),
            hold: true,
        };
        let text = super::config("sky", &boot(&host, Some(notice)));
        let config: serde_json::Value =
            serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
        assert_eq!(config["runcmd"].as_array().unwrap().len(), 4);
        assert!(text.len() < 14_000, "{}", text.len());
    }

    #[test]
    fn the_script_says_the_same() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let host = Pair {
            private: "-----BEGIN\n$(x) `y`\n".to_owned(),
            public: "ssh-ed25519 AAAA".to_owned(),
        };
        let text = commands(
            "root",
            &boot(
                &host,
                Some(Notice {
                    ask: "ask() { echo '$x'; }\n",
                    hold: true,
                }),
            ),
        );
        let part = |part: &str| {
            text.find(part)
                .unwrap_or_else(|| panic!("{part} is not in {text}"))
        };
        // The watchdog is at work before anything can fail, and nothing is done twice.
        assert!(part("/etc/sky/ready ] || exit 0") < part("enable --now sky-watchdog.service"));
        assert!(part("/etc/sky/lease << 'END OF FILE'\n180\n") < part("enable --now"));
        assert!(
            part("enable --now") < part("/root/.ssh/authorized_keys")
                && part("restart ssh") < part(": > /etc/sky/ready")
        );
        assert!(
            part("-----BEGIN\n$(x) `y`\nEND OF FILE\nchmod 0600 /etc/ssh/ssh_host_ed25519_key\n")
                > part("rm -f /etc/ssh")
        );
        let mut shell = Command::new("/bin/sh")
            .arg("-n")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(shell.wait().unwrap().success());
    }

    /// A watchdog at work on a folder of this machine; its power is a file.
    struct Watched {
        folder: tempfile::TempDir,
        child: std::process::Child,
    }

    impl Watched {
        /// `lease`: for how many seconds from now on.
        fn new(lease: u64, signers: Option<&str>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for name in ["etc", "home/sky/machines/ab/box/.run"] {
                std::fs::create_dir_all(path(name)).unwrap();
            }
            std::fs::write(path("watchdog"), WATCHDOG).unwrap();
            std::fs::write(path("etc/lease"), format!("{}\n", uptime() + lease)).unwrap();
            if let Some(key) = signers {
                std::fs::write(path("etc/signers"), format!("sky {key}\n")).unwrap();
            }
            let mut command = std::process::Command::new("/bin/sh");
            command
                .arg(path("watchdog"))
                .args([path("home"), path("etc"), path("run")]);
            let child = command
                .args(["0.1", &format!("touch {}", path("off").display())])
                .spawn()
                .unwrap();
            Self { folder, child }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(
                self.folder
                    .path()
                    .join("home/sky/machines/ab/box/.run")
                    .join(name),
                text,
            )
            .unwrap();
        }

        fn is_off_in(&self, time: Duration) -> bool {
            let begun = std::time::Instant::now();
            while begun.elapsed() < time {
                if self.folder.path().join("off").exists() {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            false
        }

        fn challenge(&self) -> String {
            let path = self.folder.path().join("run/challenge");
            while !path.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::fs::read_to_string(path).unwrap().trim().to_owned()
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn uptime() -> u64 {
        crate::util::clock::uptime().unwrap().as_secs()
    }

    #[test]
    fn a_lease_that_a_command_writes_down_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = super::super::ssh_keys::Keys::at(folder.path().join("keys"));
        let strangers = super::super::ssh_keys::Keys::at(folder.path().join("others"));
        let public = keys.client_public().unwrap();
        let watched = Watched::new(3, Some(&public));
        let message = format!("ab {} 3600", watched.challenge());
        watched.write("lease", "99999999\n");
        watched.write("renewal", &format!("{message}\n"));
        watched.write("renewal.sig", &strangers.sign(&message).unwrap());
        assert!(watched.is_off_in(Duration::from_secs(10)));
    }

    #[test]
    fn a_lease_that_sky_has_signed_is_believed_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = super::super::ssh_keys::Keys::at(folder.path().join("keys"));
        let watched = Watched::new(3, Some(&keys.client_public().unwrap()));
        let word = watched.challenge();
        let message = format!("ab {word} 3600");
        watched.write("renewal.sig", &keys.sign(&message).unwrap());
        watched.write("renewal", &format!("{message}\n"));
        assert!(!watched.is_off_in(Duration::from_secs(6)));
        assert_ne!(watched.challenge(), word);
    }

    #[test]
    fn without_a_signer_the_number_counts() {
        let watched = Watched::new(2, None);
        watched.write("lease", &format!("{}\n", uptime() + 3600));
        assert!(!watched.is_off_in(Duration::from_secs(5)));
    }
}
