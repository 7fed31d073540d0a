//! Processes by what they carry: every process of an attempt has its token in the environment.

use super::super::{ErrorKind, ProviderError};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::time::Duration;
use tokio::time::Instant;

/// How often a process that was asked to end is looked at.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long the kernel may take to end what was killed.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// A process at one moment. Its number alone may later be another's; with the time it began, not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub pid: i32,
    /// In clock ticks since the machine began.
    pub begun: u64,
}

/// Reads the first line of a `/proc/PID/stat`.
pub fn parse_stat(stat: &str) -> Option<(Identity, char)> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    // The command's name is in parentheses and may hold any character.
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    let begun = fields.get(19)?.parse().ok()?;
    Some((Identity { pid, begun }, state))
}

/// Whether that very process is alive.
pub fn alive(identity: Identity) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", identity.pid)).ok();
    let now = stat.and_then(|stat| parse_stat(&stat));
    now.is_some_and(|(now, state)| now == identity && !matches!(state, 'Z' | 'X'))
}

/// All live processes that carry the token.
pub fn carrying(token: &str) -> Vec<Pid> {
    let wanted = format!("SKY_TOKEN={token}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A zombie has no environment any more.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

/// Ends all processes that carry the token, and the process group of their supervisor while that
/// lives: asks them, waits up to `grace`, then kills.
pub async fn end(token: &str, supervisor: Option<Identity>, grace: Duration) -> Result<(), ProviderError> {
    let group = supervisor.filter(|identity| alive(*identity) && carrying(token).iter().any(|pid| is(*pid, *identity)));
    if !grace.is_zero() && wait(token, group, Signal::TERM, grace).await {
        return Ok(());
    }
    if wait(token, group, Signal::KILL, KILL_WAIT).await {
        return Ok(());
    }
    let left: Vec<String> = carrying(token).iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
    let message = format!("processes {} do not end, even by SIGKILL", left.join(", "));
    Err(ProviderError::new(ErrorKind::Other, message))
}

fn is(pid: Pid, identity: Identity) -> bool {
    pid.as_raw_nonzero().get() == identity.pid
}

/// Signals all that carry the token, and waits until none is left. Each is asked once; killing is
/// repeated, for what a process starts while it is being ended.
async fn wait(token: &str, group: Option<Identity>, signal: Signal, time: Duration) -> bool {
    let begun = Instant::now();
    let mut signalled = Vec::new();
    if let Some(group) = group.and_then(|group| Pid::from_raw(group.pid)) {
        // Reaches what has cleared its environment, too. It may be gone by now.
        let _ = kill_process_group(group, signal);
    }
    loop {
        let left = carrying(token);
        if left.is_empty() {
            return true;
        }
        for pid in left {
            let in_group = group.is_some()
                && signal == Signal::TERM
                && rustix::process::getpgid(Some(pid)).ok() == group.and_then(|group| Pid::from_raw(group.pid));
            if signal == Signal::KILL || !(in_group || signalled.contains(&pid)) {
                signalled.push(pid);
                let _ = kill_process(pid, signal);
            }
        }
        if begun.elapsed() >= time {
            return false;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 2 3";
        assert_eq!(parse_stat(line), Some((Identity { pid: 42, begun: 777 }, 'S')));
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("42 (sh) S 1"), None);
    }

    #[test]
    fn this_process_is_alive() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (identity, _) = parse_stat(&stat).unwrap();
        assert!(alive(identity));
        assert!(!alive(Identity { begun: identity.begun + 1, ..identity }));
    }
}
