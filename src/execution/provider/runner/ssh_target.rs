//! How a machine is reached, as arguments of `ssh`, or without it if it is this one; and what `ssh`
//! means when it gives up.

use super::super::{ErrorKind, ProviderError};
use super::known_host_file::KnownHostFile;
use crate::model::hosts::{HostTrust, SshTarget};
use crate::util::{environment, variables};
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The name under which a key that is given by itself is looked up.
const ALIAS: &str = "sky-host";
/// Settings that hold whatever the user's configuration says.
const SETTINGS: [&str; 19] = [
    // Nobody is asked anything, and a host that is not known is not believed.
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "ConnectTimeout=10",
    "ConnectionAttempts=1",
    // A connection that is gone is known to be after so long.
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
    // Nothing but the one program, and nothing that outlives it.
    "ControlMaster=no",
    "ControlPersist=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "RemoteCommand=none",
    "EscapeChar=none",
];

/// The variables of this machine's environment that a shell on it gets.
const OF_A_LOGIN: [&str; 8] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ",
];

impl SshTarget {
    /// The call of `ssh` that runs `program` there, which holds nothing that people wrote; and what
    /// must not be dropped before the connection is there.
    pub(super) fn command(&self, program: &str) -> io::Result<(Command, Option<KnownHostFile>)> {
        if self.trust == HostTrust::Here {
            return Ok((shell_here(program), None));
        }
        let mut command = Command::new("ssh");
        command.arg("-T");
        // Jump hosts and the like for this sky alone.
        if let Some(config) = environment::bytes(variables::SKY_SSH_CONFIG) {
            command.arg("-F").arg(config);
        }
        let mut put_setting = |setting: String| {
            command.args(["-o", &setting]);
        };
        SETTINGS
            .iter()
            .for_each(|setting| put_setting((*setting).to_owned()));
        if let Some(port) = self.port {
            put_setting(format!("Port={port}"));
        }
        if let Some(user) = &self.user {
            put_setting(format!("User={user}"));
        }
        if let Some(identity) = &self.identity {
            put_setting(format!("IdentityFile={}", quoted_path(identity)));
            put_setting("IdentitiesOnly=yes".to_owned());
        }
        let key_file = match &self.trust {
            HostTrust::Key(key) => {
                put_setting(format!("HostKeyAlias={ALIAS}"));
                Some(KnownHostFile::new(ALIAS, key)?)
            }
            HostTrust::Known | HostTrust::Here | HostTrust::File(_) => None,
        };
        let known_hosts = match &self.trust {
            HostTrust::File(path) => Some(path.as_path()),
            _ => key_file.as_ref().map(KnownHostFile::path),
        };
        if let Some(path) = known_hosts {
            put_setting(format!("UserKnownHostsFile={}", quoted_path(path)));
            put_setting("GlobalKnownHostsFile=/dev/null".to_owned());
        }
        command
            .args(["--", &self.address, program])
            // Settings of this sky are nobody else's.
            .env_remove(variables::SKY_TOKEN.name);
        with_pipes(&mut command);
        Ok((command, key_file))
    }

    /// Why there is no connection, by what `ssh` said.
    pub(super) fn refusal(&self, said_words: &str, code: Option<i32>) -> ProviderError {
        let has_words = |words: &str| said_words.contains(words);
        let address = &self.address;
        let port = self
            .port
            .map(|port| format!(" -p {port}"))
            .unwrap_or_default();
        let last_line = said_words
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or("it said nothing");
        let (kind, words) = if has_words("IDENTIFICATION HAS CHANGED")
            || has_words("differs from the key for")
        {
            let changed_key = format!(
                "its host key is not the one that is known, so it was not talked to: somebody may be in between. If it \
                 was set up anew, put its new key {}",
                self.known_at()
            );
            (ErrorKind::Denied, changed_key)
        } else if has_words("Host key verification failed") || has_words("host key is known for") {
            let unknown_key = format!(
                "its host key is not known, so it was not talked to: compare what `ssh-keyscan{port} {address}` says with \
                 the host's own /etc/ssh/*.pub, and put it {}",
                self.known_at()
            );
            (ErrorKind::Denied, unknown_key)
        } else if has_words("Permission denied") || has_words("Too many authentication failures") {
            let key_question = match &self.identity {
                Some(identity) => format!("is {} a key that it lets in", identity.display()),
                None => "is your key in ssh-agent, or named by `identity`".to_owned(),
            };
            (
                ErrorKind::Denied,
                format!("it does not let us in: {key_question}, and `user` right? ({last_line})"),
            )
        } else if has_words("Bad configuration option")
            || has_words("Bad owner or permissions")
            || has_words("No user exists for uid")
        {
            (ErrorKind::Other, format!("ssh does not start: {last_line}"))
        } else if matches!(code, Some(code) if code != 255) {
            (
                ErrorKind::Other,
                format!("it answers, but does not run /bin/sh for us: {last_line}"),
            )
        } else {
            (
                ErrorKind::Unreachable,
                format!("it does not answer: {last_line}"),
            )
        };
        ProviderError::new(kind, format!("host {}: {words}", self.name))
    }

    fn known_at(&self) -> String {
        match &self.trust {
            HostTrust::Known | HostTrust::Here => "in ~/.ssh/known_hosts".to_owned(),
            HostTrust::File(path) => format!("in {}", path.display()),
            HostTrust::Key(_) => "in its `host_key`".to_owned(),
        }
    }

    /// The place where people find a file below the root.
    pub(super) fn place(&self, below: &str) -> String {
        format!("{}:{}/{below}", self.name, self.root.trim_end_matches('/'))
    }
}

/// A shell on this machine, with what a log-in would have and nothing else of this process's
/// environment, which may hold what is secret.
fn shell_here(program: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", program]).env_clear();
    for name in OF_A_LOGIN {
        command.envs(environment::bytes_to_hand_on(name).map(|value| (name, value)));
    }
    if let Some(home) = environment::bytes(variables::HOME).filter(|home| Path::new(home).is_dir())
    {
        command.current_dir(home);
    }
    with_pipes(&mut command);
    command
}

fn with_pipes(command: &mut Command) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C on the terminal is for sky, which still has to end what runs there.
        .process_group(0)
        .kill_on_drop(true);
}

/// A path as a setting of `ssh` takes it: in quotes, without what would be filled in.
fn quoted_path(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach() -> SshTarget {
        SshTarget {
            name: "big".into(),
            address: "10.0.0.5".into(),
            port: Some(2222),
            user: Some("me".into()),
            identity: Some("/keys/my 100% key".into()),
            trust: HostTrust::Key("ssh-ed25519 AAAA".into()),
            root: "sky/".into(),
        }
    }

    #[test]
    fn hosts_are_always_checked_and_nobody_is_asked() {
        let (command, key_file) = reach().command("exec /bin/sh").unwrap();
        let arguments: Vec<String> = command
            .as_std()
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        for wanted in [
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "Port=2222",
            "IdentityFile=\"/keys/my 100%% key\"",
        ] {
            assert!(
                arguments.iter().any(|argument| argument == wanted),
                "no {wanted} in {arguments:?}"
            );
        }
        assert_eq!(
            arguments[arguments.len() - 3..],
            ["--", "10.0.0.5", "exec /bin/sh"]
        );
        let known = std::fs::read_to_string(key_file.unwrap().path()).unwrap();
        assert_eq!(known, "sky-host ssh-ed25519 AAAA\n");
    }

    #[test]
    fn refusals_are_told_apart() {
        let kinds = [
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                ErrorKind::Denied,
            ),
            (
                "No ED25519 host key is known for x\nHost key verification failed.",
                ErrorKind::Denied,
            ),
            ("me@x: Permission denied (publickey).", ErrorKind::Denied),
            (
                "ssh: connect to host x port 22: Connection refused",
                ErrorKind::Unreachable,
            ),
            ("ssh: Could not resolve hostname x", ErrorKind::Unreachable),
            ("", ErrorKind::Unreachable),
        ];
        for (said, kind) in kinds {
            let error = reach().refusal(said, Some(255));
            assert!(
                error.kind == kind && error.message.starts_with("host big: "),
                "{said}: {error:?}"
            );
        }
        assert_eq!(
            reach().refusal("sh: not found", Some(127)).kind,
            ErrorKind::Other
        );
        assert_eq!(reach().place("machines"), "big:sky/machines");
    }
}
