//! The state and its journal, shared by the stages of one apply.

use crate::execution::provider::{ErrorKind, ProviderError};
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::{Opened, State};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The one way to change a state: by an event that is in the journal first. Where that takes an
/// answer from far away, others may go on recording meanwhile, but whoever records waits for it.
#[derive(Debug)]
pub struct Recorder(Mutex<Opened>);

impl Recorder {
    /// Takes an opened state, and records what happens in it.
    pub fn new(opened: Opened) -> Self {
        Self(Mutex::new(opened))
    }

    /// Appends an event to the journal and takes it into the state.
    pub async fn record(&self, event: Event, sync: Durability) -> io::Result<()> {
        let ticket = {
            let mut opened_state = self.lock();
            let record = opened_state.journal.append(event, sync)?;
            opened_state.state.take(&record);
            opened_state.journal.ticket(sync)
        };
        ticket.wait().await
    }

    /// Announces a call.
    pub async fn announce_call(&self, stage: &str, token: &str, call: Call) -> io::Result<()> {
        self.record(
            Event::Intent {
                stage: stage.to_owned(),
                token: token.to_owned(),
                call,
            },
            Durability::Now,
        )
        .await
    }

    /// Writes down how a call went.
    pub async fn record_result<T>(
        &self,
        stage: &str,
        token: &str,
        call: Call,
        result: &Result<T, ProviderError>,
    ) -> io::Result<()> {
        let error = result.as_ref().err();
        let certain = |error: &ProviderError| {
            matches!(
                error.kind,
                ErrorKind::Stockout | ErrorKind::Quota | ErrorKind::Denied
            )
        };
        let absent = call == Call::Create && error.is_some_and(certain);
        let (stage, token, error) = (
            stage.to_owned(),
            token.to_owned(),
            error.map(ToString::to_string),
        );
        self.record(
            Event::Result {
                stage,
                token,
                call,
                error,
                absent,
            },
            Durability::Now,
        )
        .await
    }

    /// Decides something by the state and records what follows, with nothing in between. Nothing is
    /// recorded if the decision is an error.
    pub async fn decide<T, E: From<io::Error>>(
        &self,
        decide: impl FnOnce(&State) -> Result<(T, Vec<Event>), E>,
    ) -> Result<T, E> {
        let (decided, ticket) = {
            let mut opened_state = self.lock();
            let (decided, events) = decide(&opened_state.state)?;
            let last_index = events.len();
            for (number, event) in (1..).zip(events) {
                let sync = if number == last_index {
                    Durability::Now
                } else {
                    Durability::Later
                };
                let record = opened_state.journal.append(event, sync)?;
                opened_state.state.take(&record);
            }
            (
                decided,
                opened_state.journal.ticket(if last_index > 0 {
                    Durability::Now
                } else {
                    Durability::Later
                }),
            )
        };
        ticket.wait().await?;
        Ok(decided)
    }

    /// Fails if the lock of the state is no longer held by this process, so that what is known of
    /// the state may not be true any more.
    pub async fn check_lock(&self) -> io::Result<()> {
        let fence = self.lock().journal.fence();
        match fence {
            Some(fence) => fence.check().await,
            None => Ok(()),
        }
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Gives the state back.
    pub fn into_inner(self) -> Opened {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        // A panic elsewhere cannot leave an event half taken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
