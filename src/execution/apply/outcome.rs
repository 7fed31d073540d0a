//! How an apply and its stages came out.

use super::budget::Purse;
use super::notice::Interrupt;
use crate::execution::state::{Artifact, State};
use crate::model::{Millis, Money, PlaceName};
use crate::plan::{Plan, PlannedStage};
use std::collections::BTreeMap;

/// How an apply ended, when it could be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every stage of the plan.
    pub stages: BTreeMap<String, StageOutcome>,
    /// What is done, by artifact.
    pub artifacts: BTreeMap<String, Artifact>,
    /// The signal that ended the apply; `None`: it ran to its end.
    pub interrupted: Option<Interrupt>,
    /// After a signal the last snapshot of the state could not be written in time, and may still
    /// arrive: the lock has to end as that of a process that was killed, so that whoever comes next
    /// writes one of its own first.
    pub snapshot_is_late: bool,
    /// Addresses of the buckets that are left, by place.
    pub buckets: BTreeMap<PlaceName, String>,
    /// The serial of the state that was left.
    pub serial: u64,
    /// What was spent, and what was planned.
    pub account: Balance,
}

/// What an apply has cost, beside what was planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The budget; `None`: there is none.
    pub limit: Option<Money>,
    /// By the whole job so far.
    pub spent: Money,
    /// By stage: planned, and what all its attempts have cost.
    pub stages: BTreeMap<String, (Money, Money)>,
    /// Stages of which a machine may still be there, and what an hour of it costs.
    pub billing: BTreeMap<String, Money>,
}

/// How one stage came out of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageOutcome {
    /// The stage was run.
    Done,
    /// The stage was done before, with the same content.
    Unchanged,
    /// The stage failed.
    Failed {
        /// Why the stage failed.
        message: String,
        /// The last lines that it printed.
        tail: Vec<String>,
        /// Where its log is, if it came so far.
        log: Option<String>,
        /// The planned offer and all of its alternatives are unavailable: the remaining job needs
        /// another plan.
        used_up: bool,
    },
    /// The budget does not allow it.
    Denied {
        /// Why the budget does not allow the stage.
        message: String,
    },
    /// A stage that it waits for is not done.
    Skipped {
        /// Why the stage was not begun.
        because: String,
    },
    /// The stage was ended by a signal to `sky`.
    Interrupted,
    /// Not begun because of a signal, or because another stage failed and the user wants no more.
    NotBegun {
        /// Why the stage was not begun.
        because: &'static str,
    },
}

/// The sums at the end of an apply.
pub(super) fn draw_balance(plan: &Plan, purse: &Purse, state: &State) -> Balance {
    let cost = |stage: &PlannedStage| {
        let spent = state
            .stages
            .get(&stage.name)
            .map_or(Money(0), |record| record.spent_micro_usd);
        (stage.name.clone(), (purse.planned(&stage.name), spent))
    };
    let live = state.stages.iter().filter(|(_, record)| record.live);
    let billing = live.map(|(name, record)| {
        let hourly = record.rented.as_ref().map_or(Money(0), |rented| {
            let hour = Millis(3_600_000);
            rented.rate_nano_usd_per_hour.cost(rented.nodes, hour)
                + rented.extras.cost(rented.nodes, hour)
        });
        (name.clone(), hourly)
    });
    Balance {
        limit: purse.limit(),
        spent: state.spent_micro_usd,
        stages: plan.stages.iter().map(cost).collect(),
        billing: billing.collect(),
    }
}
