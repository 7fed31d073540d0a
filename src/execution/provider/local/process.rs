//! Processes by what they carry: every process of an attempt has its token in the environment.

use super::super::{ErrorKind, ProviderError};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::CStr;
use std::time::Duration;
use tokio::time::Instant;

/// The time between the first two looks at processes that were asked to end. It doubles with each
/// look, since a look reads about every process of the machine.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);
/// The longest time between two looks.
const LONGEST_INTERVAL: Duration = Duration::from_millis(80);
/// How long the kernel may take to end what was killed.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// A process at one moment. Its number alone may later be another's; with the time it began, not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub pid: i32,
    /// The moment at which the process began, in clock ticks since the machine did.
    pub begun: u64,
}

/// What the first line of a `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub identity: Identity,
    pub state: char,
    pub group: i32,
    pub session: i32,
}

impl Stat {
    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// An attempt's processes: they carry its token, or are in its process group.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub token: String,
    /// The supervisor, who leads the group, as it was when it began.
    pub supervisor: Option<Stat>,
    /// Whether numbers of processes still mean what they meant then: same boot, same name space,
    /// and the attempt was not ended since.
    pub fresh: bool,
}

/// Names the boot and the name space that numbers of processes belong to.
pub(crate) fn numbering() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), space.display())
}

/// Reads the first line of a `/proc/PID/stat`.
pub(crate) fn parse_stat(stat: &str) -> Option<Stat> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    // The command's name is in parentheses and may hold any character.
    let after_name = stat.get(stat.rfind(')')? + 1..)?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let state_letter = fields.first()?.chars().next()?;
    let number_at = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
    let begun_ticks = fields.get(19)?.parse().ok()?;
    Some(Stat {
        identity: Identity {
            pid,
            begun: begun_ticks,
        },
        state: state_letter,
        group: number_at(2)?,
        session: number_at(3)?,
    })
}

/// Whether that very process is alive.
pub(crate) fn alive(identity: Identity) -> bool {
    process_now(identity.pid).is_some_and(|now| now.identity == identity && now.lives())
}

fn process_now(pid: i32) -> Option<Stat> {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| parse_stat(&stat))
}

fn process_numbers() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
    })
}

/// All live processes of a group.
fn group_members_of(group: i32) -> Vec<Stat> {
    process_numbers()
        .filter_map(process_now)
        .filter(|stat| stat.group == group && stat.lives())
        .collect()
}

/// All live processes that carry the token.
pub(crate) fn carrying(token: &str) -> Vec<Pid> {
    let wanted_variable = format!("SKY_TOKEN={token}");
    let mut found_processes = Vec::new();
    for pid in process_numbers() {
        // A zombie has no environment any more.
        let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else {
            continue;
        };
        if has_variable(&environment, wanted_variable.as_bytes()) {
            found_processes.extend(Pid::from_raw(pid));
        }
    }
    found_processes
}

/// Whether an environment, as `/proc` has it, holds a variable with this value.
fn has_variable(environment: &[u8], wanted_variable: &[u8]) -> bool {
    let mut rest = environment;
    while let Ok(variable) = CStr::from_bytes_until_nul(rest) {
        if variable.to_bytes() == wanted_variable {
            return true;
        }
        rest = rest.get(variable.count_bytes() + 1..).unwrap_or_default();
    }
    rest == wanted_variable
}

impl Attempt {
    /// The process group, if its number certainly means it still. A number is not given anew
    /// while a group has it; the supervisor may be gone, and others of its group not.
    fn group(&self) -> Option<Pid> {
        let then_known = self
            .supervisor
            .filter(|then| then.group == then.identity.pid)?;
        let sure = match process_now(then_known.identity.pid) {
            Some(now) if now.lives() => {
                let carries = || {
                    carrying(&self.token)
                        .iter()
                        .any(|pid| raw_pid(*pid) == now.identity.pid)
                };
                now.identity == then_known.identity && (self.fresh || carries())
            }
            Some(now) => self.fresh && now.identity == then_known.identity,
            None => {
                let is_ours = |member: &Stat| {
                    member.session == then_known.session
                        && member.identity.begun >= then_known.identity.begun
                };
                let group_members = group_members_of(then_known.group);
                self.fresh && !group_members.is_empty() && group_members.iter().all(is_ours)
            }
        };
        sure.then(|| Pid::from_raw(then_known.group)).flatten()
    }

    /// Ends all processes that carry the token, and all of the process group: asks them, waits up
    /// to `grace`, then kills.
    pub(crate) async fn end(&self, grace: Duration) -> Result<(), ProviderError> {
        let group = self.group();
        if !grace.is_zero() && self.wait(group, Signal::TERM, grace).await {
            return Ok(());
        }
        if self.wait(group, Signal::KILL, KILL_WAIT).await {
            return Ok(());
        }
        let pids_left: Vec<String> = self
            .left(group)
            .iter()
            .map(|pid| raw_pid(*pid).to_string())
            .collect();
        let message = format!(
            "processes {} do not end, even by SIGKILL",
            pids_left.join(", ")
        );
        Err(ProviderError::new(ErrorKind::Other, message))
    }

    fn left(&self, group: Option<Pid>) -> Vec<Pid> {
        let group_members = group
            .map(|group| group_members_of(raw_pid(group)))
            .unwrap_or_default();
        // What has cleared its environment is found by its group alone.
        let mut pids_left: Vec<Pid> = group_members
            .iter()
            .filter_map(|stat| Pid::from_raw(stat.identity.pid))
            .collect();
        pids_left.extend(carrying(&self.token));
        pids_left.sort_by_key(|pid| raw_pid(*pid));
        pids_left.dedup();
        pids_left
    }

    /// Signals all that are left, and waits until none is. Each is asked once; killing is
    /// repeated, for what a process starts while it is being ended.
    async fn wait(&self, group: Option<Pid>, signal: Signal, time: Duration) -> bool {
        let begun_at = Instant::now();
        let mut signalled = Vec::new();
        let mut interval = FIRST_INTERVAL;
        if let Some(group) = group {
            // At once, so that none outruns it. It may be gone by now.
            let _ = kill_process_group(group, signal);
        }
        loop {
            let pids_left = self.left(group);
            if pids_left.is_empty() {
                return true;
            }
            for pid in pids_left {
                let in_group = group.is_some() && rustix::process::getpgid(Some(pid)).ok() == group;
                if signal == Signal::KILL || !(in_group || signalled.contains(&pid)) {
                    signalled.push(pid);
                    let _ = kill_process(pid, signal);
                }
            }
            if begun_at.elapsed() >= time {
                return false;
            }
            tokio::time::sleep(interval).await;
            interval = (interval * 2).min(LONGEST_INTERVAL);
        }
    }
}

fn raw_pid(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_by_its_whole_name_and_value() {
        let environment = b"A=1\0SKY_TOKEN=x\0B=\0";
        assert!(has_variable(environment, b"SKY_TOKEN=x"));
        assert!(has_variable(environment, b"B="));
        assert!(has_variable(b"A=1\0SKY_TOKEN=x", b"SKY_TOKEN=x"));
        for other in [&b"SKY_TOKEN="[..], b"SKY_TOKEN=xy", b"TOKEN=x", b"=1"] {
            assert!(!has_variable(environment, other), "{other:?}");
        }
        assert!(!has_variable(b"", b"A=1"));
    }

    #[test]
    fn stat_lines_with_odd_names() {
        let line = "42 (a) b (c)) S 1 42 43 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 2 3";
        let identity = Identity {
            pid: 42,
            begun: 777,
        };
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                identity,
                state: 'S',
                group: 42,
                session: 43
            })
        );
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("42 (sh) S 1"), None);
    }

    #[test]
    fn this_process_is_alive() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let identity = parse_stat(&stat).unwrap().identity;
        assert!(alive(identity));
        assert!(!alive(Identity {
            begun: identity.begun + 1,
            ..identity
        }));
    }
}
