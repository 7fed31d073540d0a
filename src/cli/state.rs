//! What all verbs share that change a state: where it is, its lock, its errors.

use super::{Exit, Failure};
use crate::apply::Error;
use crate::provider::Access;
use crate::state::{Folder, Holder, Lock, LockError, Opened, StateError, Status};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of verbs that change a state.
#[derive(Clone, Debug, clap::Args)]
pub struct StateArgs {
    /// Folder for the state and all data of the job; without it, `.sky`, with the state beside it
    /// in `sky.state.json`
    #[arg(long, value_name = "DIR", env = "SKY_DATA_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Folder of the simulated cloud, for the provider `sim` [default: `cloud` in the state folder]
    #[arg(long, value_name = "DIR", env = "SKY_SIM")]
    pub sim: Option<PathBuf>,
    /// File of one's own hosts, for the provider `ssh` [default: hosts.toml here, if there]
    #[arg(long, value_name = "FILE", env = "SKY_HOSTS")]
    pub hosts: Option<PathBuf>,
    /// `false`: take no lock; only when nothing else can be at work
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub lock: bool,
    /// How long to try to get the lock
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_time)]
    pub lock_timeout: Duration,
}

impl StateArgs {
    /// What providers are reached with; `here` is the current folder.
    pub fn access(&self, here: &Path) -> Access {
        let folder = Folder::resolve(here, self.state_dir.as_deref());
        let hosts = super::hosts::file(self.hosts.as_deref(), here);
        Access { root: folder.root, hosts, cloud: self.sim.as_ref().map(|cloud| here.join(cloud)) }
    }
}

/// Takes the lock, unless it is not wanted, and opens the state.
pub fn open_locked(folder: &Folder, operation: &str, args: &StateArgs) -> Result<(Option<Lock>, Opened), Failure> {
    folder.create().map_err(Failure::error)?;
    let holder = Holder::here(operation, &folder.root);
    let take = || Lock::take(&folder.lock(), &holder, args.lock_timeout);
    let lock = args.lock.then(take).transpose().map_err(|error| failure(error.into(), folder))?;
    let opened = folder.open().map_err(|error| failure(error.into(), folder))?;
    Ok((lock, opened))
}

/// The words, the way out and the exit code of an error of the apply room.
pub fn failure(error: Error, folder: &Folder) -> Failure {
    match &error {
        Error::Lock(LockError::Held(holder)) => {
            let mut message = error.to_string();
            match holder {
                Some(holder) => message += &format!(":\n{}", holder.lines().join("\n")),
                None => message += &format!(" (no record in {})", folder.lock().display()),
            }
            Failure::new(Exit::Locked, message)
                .hint("wait for it, or try for longer with --lock-timeout=60s; the lock ends with its process")
        }
        Error::OtherJob { .. } => Failure::new(Exit::Stale, error.to_string())
            .hint("apply it in another folder or with --state-dir DIR, or delete the former with `sky destroy`"),
        Error::Stale(_) => Failure::new(Exit::Stale, error.to_string())
            .hint("plan the rest anew from the state as it is: sky plan JOB --from-state --out PLAN"),
        Error::State(StateError::Empty { .. } | StateError::Malformed { .. } | StateError::Missing { .. }) => {
            let failure = Failure::error(&error);
            match restore_hint(folder) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
        _ => Failure::error(&error),
    }
}

/// How to restore a damaged state, what that gives, and what follows.
fn restore_hint(folder: &Folder) -> Option<String> {
    let (state, fits) = folder.read_backup()?;
    let mut hint = format!("cp {} {}", folder.backup().display(), folder.snapshot.display());
    if !fits {
        // Records of what came after the damaged snapshot mean nothing without it.
        let journal = folder.journal().display().to_string();
        hint += &format!("; mv {journal} {journal}.old");
    }
    let done = state.stages.values().filter(|stage| stage.status == Status::Done).count();
    let known = state.stages.len();
    hint += &match known {
        0 => format!("\nthis goes back to serial {}, which knows of no stage", state.serial),
        _ => format!("\nthis goes back to serial {}, with {done} of {known} stages done", state.serial),
    };
    Some(hint + ": what was done after it is run again by the next apply")
}

/// `2s`, `500ms`, `1m`, `1h`; a bare number is seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| "write a time such as 2s, 500ms or 1m".to_owned())?;
    let milliseconds = match text.get(digits.len()..).map(str::trim) {
        Some("ms") => 1,
        Some("" | "s") => 1000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        _ => return Err("write a time such as 2s, 500ms or 1m".to_owned()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let read = |text| parse_time(text).ok().map(|time| time.as_millis());
        assert_eq!(
            [read("2s"), read("500ms"), read("3"), read("1m")],
            [Some(2000), Some(500), Some(3000), Some(60_000)]
        );
        assert_eq!([read(""), read("s"), read("-1s"), read("1 week"), read("18446744073709551615h")], [None; 5]);
    }
}
