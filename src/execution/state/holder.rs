//! Who holds a lock: the record that others read.

use crate::util::{clock, environment, hash, simulation, variables};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Holder {
    /// The id of the lock.
    #[serde(rename = "ID")]
    pub id: String,
    /// The verb: `apply`, `destroy`.
    pub operation: String,
    /// `user@host`.
    pub who: String,
    /// The name of the machine.
    pub host: String,
    /// The id of the process.
    pub pid: u32,
    /// RFC 3339.
    pub created: String,
    /// The version of sky that the holder runs.
    pub version: String,
    /// Where the state is.
    pub path: String,
    /// When the holder last said that it is there. Empty: by an older sky, which never says so.
    #[serde(default)]
    pub renewed: String,
    /// When others may take the lock, unless the holder has renewed it by then. Empty: never.
    #[serde(default)]
    pub expires: String,
    /// Names this boot of this machine, and the namespace that the pid is of. Empty: not known.
    #[serde(default)]
    pub machine: String,
    /// When the process began, in the kernel's ticks since the boot.
    #[serde(default)]
    pub started: u64,
}

impl Holder {
    /// This process, about to do `operation` on the state at `path`; its lock lasts for `lease`
    /// from now.
    pub fn here(operation: &str, path: &str, lease: Duration) -> Self {
        let host = host();
        let user = [variables::USER, variables::LOGNAME]
            .into_iter()
            .find_map(environment::text);
        let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
        let created = clock::timestamp();
        let pid = simulation::current().map_or_else(std::process::id, |process| process.pid);
        // A process whose beginning cannot be read could be taken for dead: it names no machine.
        let (machine, started) = match process_begin(pid) {
            Some(started) => (machine_identity(), started),
            None => (String::new(), 0),
        };
        // Several may be taken by one process at one time, and ids must not meet.
        let seed = match simulation::random() {
            Some(random) => format!("simulated {random}"),
            None => {
                let chance = RandomState::new().build_hasher().finish();
                format!("{host} {machine} {pid} {started} {created} {path} {chance}")
            }
        };
        let digest = hash::digest(seed.as_bytes());
        let holder = Self {
            id: uuid_from(&digest),
            operation: operation.to_owned(),
            who: format!("{user}@{host}"),
            host,
            pid,
            created,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            path: path.to_owned(),
            renewed: String::new(),
            expires: String::new(),
            machine,
            started,
        };
        holder.renewed(lease)
    }

    /// Returns the holder with a lease of another length from now on.
    pub fn renewed(&self, lease: Duration) -> Self {
        Self {
            renewed: clock::timestamp(),
            expires: clock::after_exactly(lease),
            ..self.clone()
        }
    }

    /// Whether its time is over by this machine's clock.
    pub fn is_over(&self) -> bool {
        !self.expires.is_empty() && clock::between(&self.expires, &clock::timestamp()) > 0
    }

    /// Whether it is a process of this machine that has ended; not known of other machines.
    pub fn is_dead(&self) -> bool {
        !self.machine.is_empty()
            && self.machine == machine_identity()
            && process_begin(self.pid).is_none_or(|started| started != self.started)
    }

    /// The record, a line each, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let all_rows = [
            ("ID", &self.id),
            ("Operation", &self.operation),
            ("Who", &self.who),
            ("Host", &self.host),
            ("Pid", &self.pid.to_string()),
            ("Created", &self.created),
            ("Expires", &self.expires),
            ("Version", &self.version),
            ("Path", &self.path),
        ];
        let told_rows = all_rows.iter().filter(|(_, value)| !value.is_empty());
        told_rows
            .map(|(name, value)| format!("  {:<10} {value}", format!("{name}:")))
            .collect()
    }

    /// The record's bytes.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a record; none of what is none, such as that of a lock that nobody holds.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The first 32 hex digits of a `sha256:` digest, grouped as a UUID.
pub(super) fn uuid_from(digest: &str) -> String {
    let mut hex = digest.chars().skip("sha256:".len());
    [8, 4, 4, 4, 12]
        .map(|length| hex.by_ref().take(length).collect::<String>())
        .join("-")
}

/// The name of this host, by which its clock is told from those of others.
pub fn host() -> String {
    if let Some(process) = simulation::current() {
        return process.machine.name.clone();
    }
    // Linux tells it as a file; elsewhere the shell's variable has to do.
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host_name = host_name
        .or_else(|| environment::text(variables::HOSTNAME))
        .map(|name| name.trim().to_owned());
    host_name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Containers may share a host's name and even its boot, but then not the namespace of pids.
fn machine_identity() -> String {
    if let Some(process) = simulation::current() {
        return process.machine.name.clone();
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let pids = std::fs::read_link("/proc/self/ns/pid").ok();
    match (boot, pids) {
        (Some(boot), Some(pids)) => uuid_from(&hash::digest(
            format!("{} {}", boot.trim(), pids.display()).as_bytes(),
        )),
        _ => String::new(),
    }
}

/// When a process of this machine began, in ticks; none if it has ended.
fn process_begin(pid: u32) -> Option<u64> {
    if let Some(process) = simulation::current() {
        // No number of a process is used twice there.
        return process.machine.lives(pid).then_some(u64::from(pid));
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, even brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state_letter = fields.next()?;
    (state_letter != "Z" && state_letter != "X").then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_pid_and_its_beginning() {
        let here = Holder::here("apply", "s", Duration::from_secs(60));
        assert!(here.started > 0 && !here.machine.is_empty() && !here.is_dead() && !here.is_over());
        assert!(
            Holder {
                started: here.started + 1,
                ..here.clone()
            }
            .is_dead()
        );
        assert!(
            !Holder {
                started: 1,
                machine: "another".into(),
                ..here.clone()
            }
            .is_dead()
        );
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let theirs = Holder {
            pid: child.id(),
            started: process_begin(child.id()).unwrap_or(1),
            ..here.clone()
        };
        child.wait().unwrap();
        assert!(theirs.is_dead());
        assert!(
            Holder {
                expires: "2001-01-01T00:00:00Z".into(),
                ..here.clone()
            }
            .is_over()
        );
        assert_eq!(Holder::read(&here.bytes().unwrap()), Some(here));
        assert_eq!(Holder::read(b"{}"), None);
    }

    #[test]
    fn records_of_an_older_sky_never_end() {
        let text = r#"{"ID": "1", "Operation": "apply", "Who": "a@b", "Host": "b", "Pid": 1, "Created": "2026-01-01T00:00:00Z",
            "Version": "0.1.0", "Path": "/x"}"#;
        let holder = Holder::read(text.as_bytes()).unwrap();
        assert!(!holder.is_over() && !holder.is_dead());
    }
}
