//! What has become of an attempt that an earlier `sky` has left.

use super::calls::{Patience, is_passing, patiently, status_when_answered};
use super::context::Context;
use crate::execution::provider::{RunStatus, Token};
use crate::execution::state::{StageRecord, Status};
use std::time::Duration;
use tokio::time;

/// How long machines may take to say whether their commands have ended.
pub(super) const LOOK: Duration = Duration::from_secs(8);

/// What has become of the command of an attempt that an earlier `sky` has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandFate {
    /// The attempt has done its work, and is not run again.
    EndedWell,
    /// The attempt may be ended: it is at work or has failed, or there is none.
    OfNoUse,
    /// Its machine does not answer.
    Unknown,
}

impl CommandFate {
    /// What is said of an attempt that is left as it is; none: it is of no use.
    pub(super) fn left_as_it_is(self, stage: &str) -> Option<String> {
        let reason_words = match self {
            Self::EndedWell => {
                "is done, and its outputs are still on its machine: the next apply copies them"
            }
            Self::Unknown => {
                "may be done, but its machine does not answer: the next apply goes on from there"
            }
            Self::OfNoUse => return None,
        };
        Some(format!(
            "stage.{stage} {reason_words}, unless its lease ends before; `sky destroy` gives the machine back"
        ))
    }
}

/// Looks whether the command of an attempt that an earlier `sky` has left has done its work.
pub(super) async fn look_at_command(
    context: &Context,
    name: &str,
    former: &StageRecord,
) -> CommandFate {
    // A process that was killed may not have come to write down that the command runs.
    if former.stopping || !former.status.in_flight() || former.status == Status::Provisioning {
        return CommandFate::OfNoUse;
    }
    let token = Token {
        id: former.token.clone(),
        stage: name.to_owned(),
        attempt: former.attempt,
    };
    let Ok(provider) = context.open_provider(&former.provider) else {
        return CommandFate::OfNoUse;
    };
    let command_answer = async {
        let worker = patiently(Patience::Through, || provider.worker(&token)).await?;
        status_when_answered(worker.as_ref()).await
    };
    let Ok(status) = time::timeout(LOOK, command_answer).await else {
        return CommandFate::Unknown;
    };
    match status {
        Ok(RunStatus::Exited(0)) => CommandFate::EndedWell,
        Err(error) if is_passing(&error) => CommandFate::Unknown,
        _ => CommandFate::OfNoUse,
    }
}
