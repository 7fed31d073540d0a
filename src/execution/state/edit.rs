//! Changes by hand: stages that get another name, states that are put in the place of others.

use super::data::{Exhausted, State};
use super::opened::Opened;
use std::io;

/// Why a state is not put in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The two states belong to different jobs.
    #[error(
        "it is of another lineage ({theirs}) than the state there ({ours}): it never was its past or future"
    )]
    Lineage {
        /// What the state that is there has.
        ours: String,
        /// What the new state has.
        theirs: String,
    },
    /// The new state is older than the state that is there.
    #[error("it has serial {theirs}, and the state there is further on: serial {ours}")]
    Older {
        /// What the state that is there has.
        ours: u64,
        /// What the new state has.
        theirs: u64,
    },
    /// Two different states have the same serial.
    #[error("it has serial {serial}, as the state there, and is another one")]
    Same {
        /// The serial of the new state.
        serial: u64,
    },
    /// The state that is there has records that the new state does not know of.
    #[error(
        "since serial {serial} the state there has records that this one does not know of: an operation has failed or was \
         cut off; pull it again, and change that"
    )]
    Unfinished {
        /// The serial of the new state.
        serial: u64,
    },
}

/// Whether `pushed` may take the place of the state that is open; `false` if it is just that.
pub fn may_push(opened: &Opened, pushed: &State) -> Result<bool, Refused> {
    // What was only written anew on opening is as it was.
    let serial = opened.rewritten.unwrap_or(opened.state.serial);
    let current = &State {
        serial,
        ..opened.state.clone()
    };
    let pushed = &as_written_there(pushed, current);
    let never_used =
        current.serial <= 1 && current.stages.is_empty() && current.journal_sequence == 0;
    if never_used {
        return Ok(true);
    }
    if current.lineage != pushed.lineage {
        let (ours, theirs) = (current.lineage.clone(), pushed.lineage.clone());
        return Err(Refused::Lineage { ours, theirs });
    }
    // A state that was pulled since then holds them.
    if opened.journal.length() > 0
        && pushed != current
        && pushed.journal_sequence < current.journal_sequence
    {
        return Err(Refused::Unfinished {
            serial: current.serial,
        });
    }
    match pushed.serial.cmp(&current.serial) {
        std::cmp::Ordering::Less => Err(Refused::Older {
            ours: current.serial,
            theirs: pushed.serial,
        }),
        std::cmp::Ordering::Equal if pushed == current => Ok(false),
        std::cmp::Ordering::Equal => Err(Refused::Same {
            serial: current.serial,
        }),
        std::cmp::Ordering::Greater => Ok(true),
    }
}

/// A state with what a snapshot says of its writer as in another.
fn as_written_there(state: &State, state_there: &State) -> State {
    let (sky_version, encrypted_for) = (
        state_there.sky_version.clone(),
        state_there.encrypted_for.clone(),
    );
    State {
        sky_version,
        encrypted_for,
        ..state.clone()
    }
}

impl Opened {
    /// Puts another state in the place of this one, as its next snapshot.
    pub async fn replace(&mut self, state: State) -> io::Result<()> {
        let (serial, sequence) = (self.state.serial, self.state.journal_sequence);
        self.state = state;
        // Neither a serial nor a record's sequence is ever used twice.
        self.state.serial = self.state.serial.max(serial);
        self.state.journal_sequence = self.state.journal_sequence.max(sequence);
        self.compact().await
    }
}

impl State {
    /// Gives a stage, its outputs and all that is said of them another name.
    pub(super) fn rename(&mut self, stage: &str, to: &str) {
        let Some(record) = self.stages.remove(stage) else {
            return;
        };
        self.stages.insert(to.to_owned(), record);
        let renamed = |name: &String| {
            Some(format!(
                "{to}.{}",
                name.strip_prefix(stage)?.strip_prefix('.')?
            ))
        };
        let artifacts = std::mem::take(&mut self.artifacts).into_iter();
        self.artifacts = artifacts
            .map(|(name, artifact)| (renamed(&name).unwrap_or(name), artifact))
            .collect();
        let copies = std::mem::take(&mut self.copies).into_iter();
        self.copies = copies
            .map(|(name, places)| (renamed(&name).unwrap_or(name), places))
            .collect();
        let exhausted = std::mem::take(&mut self.exhausted).into_iter();
        let renamed_offer = |offer: Exhausted| match offer.stage == stage {
            true => Exhausted {
                stage: to.to_owned(),
                ..offer
            },
            false => offer,
        };
        self.exhausted = exhausted.map(renamed_offer).collect();
    }
}
