//! What all verbs share that look at a state or change one: where it is, its keys, its lock, its
//! errors.

use super::invalid_argument::InvalidArgument;
use super::{Exit, Failure, Terminal};
use crate::execution::apply::Error;
use crate::execution::provider::Access;
use crate::execution::state::bucket::wait;
use crate::execution::state::data::REHEARSING;
use crate::execution::state::{
    Address, Cipher, Folder, Lock, LockError, LockLost, Opened, StateError, Store,
};
use crate::util::{shell, variables};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the default folder: the states of rehearsals, by provider.
const REHEARSALS: &str = "rehearsal";

/// Where a state is.
#[derive(Clone, Debug, clap::Args)]
pub struct PlaceArgs {
    /// Folder for the state and all data of the job [default: `.sky`, and `sky.state.json` beside
    /// it]
    #[arg(long, value_name = "DIR", env = variables::SKY_DATA_DIR.name)]
    pub state_dir: Option<PathBuf>,
    /// Keep the state elsewhere: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX
    /// (with the credentials of the environment), or a folder, file:///DIR
    #[arg(long, value_name = "URL", env = variables::SKY_STATE.name, value_parser = Address::parse)]
    pub state: Option<Address>,
    /// Encrypt the state for these age public keys, or the keys in these files, with commas
    /// between; `none` stops encrypting
    #[arg(long, value_name = "KEYS", env = variables::SKY_STATE_RECIPIENTS.name)]
    pub state_recipients: Option<String>,
    /// File of the age private key that decrypts the state
    #[arg(long, value_name = "FILE", env = variables::SKY_STATE_IDENTITY.name)]
    pub state_identity: Option<PathBuf>,
}

/// Arguments of verbs that change a state.
#[derive(Clone, Debug, clap::Args)]
pub struct StateArgs {
    /// The place of the state.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Folder of the simulated cloud, for `--provider sim` [default: `cloud` in the state folder]
    #[arg(long, value_name = "DIR", env = variables::SKY_SIM.name)]
    pub sim: Option<PathBuf>,
    /// File that describes your own hosts and clusters [default: hosts.toml, if it exists]
    #[arg(long, value_name = "FILE", env = variables::SKY_HOSTS.name)]
    pub hosts: Option<PathBuf>,
    /// How long to wait for the lock.
    #[command(flatten)]
    pub locking: LockArgs,
}

/// How the lock is taken.
#[derive(Clone, Debug, clap::Args)]
pub struct LockArgs {
    /// Lock the state; `--lock=false` is safe only while nothing else works on the state
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub lock: bool,
    /// How long to wait for the lock if somebody else has it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_time)]
    pub lock_timeout: Duration,
    /// How long the lock lasts without renewal; after that, others may take it
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_lease, env = variables::SKY_LOCK_LEASE.name)]
    pub lock_lease: Duration,
}

impl PlaceArgs {
    /// The working folder.
    pub fn folder(&self, working_dir: &Path) -> Folder {
        match &self.state {
            Some(Address::Folder(root)) => Folder::resolve(working_dir, Some(root)),
            _ => Folder::resolve(working_dir, self.state_dir.as_deref()),
        }
    }

    /// The working folder as a user would write it.
    pub fn root(&self) -> PathBuf {
        match &self.state {
            Some(Address::Folder(root)) => root.clone(),
            _ => self
                .state_dir
                .clone()
                .unwrap_or_else(|| PathBuf::from(crate::execution::state::folder::FOLDER)),
        }
    }

    /// Whether the user has said where the state is.
    pub fn is_named(&self) -> bool {
        self.state.is_some() || self.state_dir.is_some()
    }

    /// Returns the place of a rehearsal with a provider, unless the user has named another.
    pub fn of_rehearsal(&self, provider: &str) -> Self {
        let own_folder = || {
            Path::new(crate::execution::state::folder::FOLDER)
                .join(REHEARSALS)
                .join(provider)
        };
        let state_dir = if self.is_named() {
            self.state_dir.clone()
        } else {
            Some(own_folder())
        };
        Self {
            state_dir,
            ..self.clone()
        }
    }

    /// Returns the place that a verb without a plan means: the one that is named, else the state of
    /// the folder; if there is none, that of the only rehearsal, which is said.
    pub fn or_rehearsal(&self, working_dir: &Path, terminal: &Terminal) -> Self {
        if self.is_named() || Folder::resolve(working_dir, None).exists() {
            return self.clone();
        }
        match &self.rehearsals(working_dir)[..] {
            [only] => {
                terminal.note(&format!(
                    "The state of the rehearsal in {} is meant: there is no other.",
                    only.display()
                ));
                Self {
                    state_dir: Some(only.clone()),
                    ..self.clone()
                }
            }
            _ => self.clone(),
        }
    }

    /// The folders of rehearsals whose places were not named.
    pub fn rehearsals(&self, working_dir: &Path) -> Vec<PathBuf> {
        let places = REHEARSING.map(|provider| {
            Self {
                state: None,
                state_dir: None,
                ..self.clone()
            }
            .of_rehearsal(provider)
        });
        let folders = places.into_iter().filter_map(|place| place.state_dir);
        folders
            .filter(|folder| Folder::resolve(working_dir, Some(folder)).exists())
            .collect()
    }

    /// The state's place; asks nobody yet.
    pub fn store(&self, working_dir: &Path) -> Result<Store, Failure> {
        if let (Some(Address::Folder(folder)), Some(other)) = (&self.state, &self.state_dir) {
            let message = format!(
                "--state (or SKY_STATE) says that the state is in the folder {}, and --state-dir (or SKY_DATA_DIR) in {}",
                folder.display(),
                other.display()
            );
            return Err(Failure::error(message).hint("name one of them"));
        }
        let cipher = Cipher::load(
            self.state_recipients.as_deref(),
            self.state_identity.as_deref(),
            working_dir,
        );
        let cipher = cipher.map_err(|why| Failure::error(format!("keys of the state: {why}")))?;
        Store::open(
            working_dir,
            self.state.as_ref(),
            self.state_dir.as_deref(),
            cipher,
        )
        .map_err(Failure::error)
    }

    /// The options that say where it is, for a command that a user may copy.
    pub fn words(&self) -> String {
        let folder = self
            .state_dir
            .as_ref()
            .map(|folder| format!(" --state-dir {}", shell::quoted_path(folder)));
        let state_option = self
            .state
            .as_ref()
            .map(|state| format!(" --state {}", shell::quoted(&state.to_string())));
        folder.into_iter().chain(state_option).collect()
    }
}

impl StateArgs {
    /// Returns the settings with the place that a verb without a plan means.
    pub fn or_rehearsal(&self, working_dir: &Path, terminal: &Terminal) -> Self {
        Self {
            place: self.place.or_rehearsal(working_dir, terminal),
            ..self.clone()
        }
    }

    /// What providers are reached with; `here` is the current folder.
    pub fn access(&self, working_dir: &Path) -> Access {
        let hosts = super::hosts::for_providers(self.hosts.as_deref(), working_dir);
        let root = self.place.folder(working_dir).root;
        Access {
            root,
            hosts,
            cloud: self.sim.as_ref().map(|cloud| working_dir.join(cloud)),
            registry: None,
        }
    }

    /// The state's place; asks nobody yet.
    pub fn store(&self, working_dir: &Path) -> Result<Store, Failure> {
        Ok(self
            .place
            .store(working_dir)?
            .lasting(self.locking.lock_lease))
    }
}

/// Takes the lock, unless it is not wanted, and opens the state.
pub fn open_locked(
    store: &Store,
    operation: &str,
    args: &LockArgs,
) -> Result<(Option<Lock>, Opened), Failure> {
    wait(open_locked_async(store, operation, args))
}

/// The same for whoever must not block.
pub async fn open_locked_async(
    store: &Store,
    operation: &str,
    args: &LockArgs,
) -> Result<(Option<Lock>, Opened), Failure> {
    let fail = |error: Error| failure(error, store);
    let lock = if args.lock {
        let lock_taken = store.lock_async(operation, args.lock_timeout).await;
        Some(lock_taken.map_err(|error| fail(error.into()))?)
    } else {
        None
    };
    let open_result = store.change_async(lock.as_ref()).await;
    let opened_state = open_result.map_err(|error| fail(error.into()))?;
    Ok((lock, opened_state))
}

/// The words, the way out and the exit code of an error of the apply room.
pub fn failure(error: Error, store: &Store) -> Failure {
    match &error {
        Error::Lock(LockError::Held(holder)) => {
            let mut message = error.to_string();
            let mut unlock = String::new();
            match holder {
                Some(holder) => {
                    message += &format!(":\n{}", holder.lines().join("\n"));
                    unlock = format!("; if its process is gone for good: sky force-unlock {}", holder.id);
                }
                None => message += &format!(" (no record in {})", store.name()),
            }
            Failure::new(Exit::Locked, message).hint(format!(
                "wait for it, or try for longer with --lock-timeout=60s; the lock ends with its process{unlock}"
            ))
        }
        Error::Io(lost) | Error::State(StateError::Io(lost)) if LockLost::of(lost).is_some() => {
            Failure::new(Exit::Locked, error.to_string())
                .hint("what runs goes on, and the state knows of it; `sky lock show` says who is at work")
        }
        Error::Io(error) if error.kind() == std::io::ErrorKind::NotConnected => Failure::error(error)
            .hint("what runs goes on, and the state knows of it: once the bucket can be reached, do the same again"),
        Error::OtherJob { .. } => Failure::new(Exit::Stale, error.to_string())
            .hint("apply it in another folder or with --state-dir DIR, or delete the former with `sky destroy`"),
        Error::Rehearsal { .. } => Failure::new(Exit::Stale, error.to_string()).hint(
            "a rehearsal has a state of its own: leave --state-dir and --state out, or name a place where there is none; \
             `sky destroy` deletes what is here",
        ),
        Error::Stale(_) => Failure::new(Exit::Stale, error.to_string())
            .hint("plan the rest anew from the state as it is: sky plan JOB --from-state --out PLAN"),
        Error::State(StateError::Empty { .. } | StateError::Malformed { .. } | StateError::Missing { .. }) => {
            let failure = Failure::error(&error);
            match restore_hint(store) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
        _ => Failure::error(&error),
    }
}

/// How to restore a damaged state, what that gives, and what follows.
fn restore_hint(store: &Store) -> Option<String> {
    let restorable_state = store.restorable()?;
    let mut hint = shell::command_line(["cp", &restorable_state.from, &restorable_state.to]);
    if let Some(journal) = &restorable_state.unfit {
        // Records of what came after the damaged snapshot mean nothing without it.
        hint += &format!(
            "; {}",
            shell::command_line(["mv", journal, &format!("{journal}.old")])
        );
    }
    hint += &match restorable_state.stages {
        0 => format!(
            "\nthis goes back to serial {}, which knows of no stage",
            restorable_state.serial
        ),
        known => format!(
            "\nthis goes back to serial {}, with {} of {known} stages done",
            restorable_state.serial, restorable_state.done
        ),
    };
    Some(hint + ": what was done after it is run again by the next apply")
}

fn parse_lease(text: &str) -> Result<Duration, InvalidArgument> {
    let lease = parse_time(text)?;
    if lease < Duration::from_secs(1) {
        Err(InvalidArgument::new("a lock lasts for a second or more"))
    } else {
        Ok(lease)
    }
}

/// `2s`, `500ms`, `1m`, `1h`; a bare number is seconds.
pub fn parse_time(text: &str) -> Result<Duration, InvalidArgument> {
    let invalid = || InvalidArgument::new("write a time such as 2s, 500ms or 1m");
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let whole_number: u64 = digits.parse().map_err(|_| invalid())?;
    let milliseconds = match text.get(digits.len()..).map(str::trim) {
        Some("ms") => 1,
        Some("" | "s") => 1000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        _ => return Err(invalid()),
    };
    whole_number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(|| InvalidArgument::new("that is too long"))
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
        assert_eq!(
            [
                read(""),
                read("s"),
                read("-1s"),
                read("1 week"),
                read("18446744073709551615h")
            ],
            [None; 5]
        );
    }
}
