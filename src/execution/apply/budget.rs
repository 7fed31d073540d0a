//! Money is set aside before it can be spent: what a machine may cost until its lease ends, and
//! what moving its inputs costs. What was charged and what is set aside never exceed the budget
//! together, and a machine ends itself when its lease does, so neither can the bill.
//!
//! A lease is as long as planned and half as long again (a quarter of an hour at least), as far as
//! the budget allows it besides what the stages still to come are planned to cost. It is renewed
//! while `sky` watches, within the same bounds.

use crate::execution::state::{StageRecord, State, Status, holder};
use crate::model::{ArtifactRef, Extras, Millis, Money, Rate};
use crate::plan::{Billing, Plan, PlannedStage};
use crate::util::clock;
#[cfg(debug_assertions)]
use crate::util::{environment, variables};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The least slack of a lease.
const SLACK: Millis = Millis(15 * 60 * 1000);

/// The least slack of a lease; a test may want leases that end within seconds.
fn least_slack() -> u64 {
    #[cfg(debug_assertions)]
    if let Some(given) =
        environment::text(variables::SKY_TEST_LEASE_SLACK_MS).and_then(|text| text.parse().ok())
    {
        return given;
    }
    SLACK.0
}
/// The lease of what costs nothing.
const FREE: Millis = Millis(24 * 3600 * 1000);

/// The end of a lease is written down in whole seconds: the machine may have ended so many
/// milliseconds before it.
pub(super) const ROUNDING: u64 = 1000;

/// What a machine costs by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The price of a machine.
    pub rate: Rate,
    /// What comes with each machine.
    pub extras: Extras,
    /// The number of machines.
    pub nodes: u32,
    /// How machine time is billed.
    pub billing: Billing,
}

impl Meter {
    /// For a time of the machines.
    pub fn cost(&self, time: Millis) -> Money {
        if self.rate.0 == 0 && self.extras.is_none() {
            return Money(0);
        }
        let billed = self.billing.billed(time);
        self.rate.cost(self.nodes, billed) + self.extras.cost(self.nodes, billed)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the machines cost by their time.
    pub meter: Meter,
    /// The least that is of use: as long as planned; for a renewal, what it has.
    pub least: Millis,
    /// The most that is wanted.
    pub most: Millis,
    /// What is paid once, besides time.
    pub once: Money,
    /// How long the machine may be there after its lease ended, and be billed.
    pub overrun: Duration,
}

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The money that is set aside.
    pub amount: Money,
    /// From the creation of the machine on.
    pub lease: Millis,
}

/// What there is for all stages of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// None: no limit.
    pub limit: Option<Money>,
    /// The money that is spent.
    pub spent: Money,
    /// Set aside for other attempts.
    pub reserved: Money,
    /// What the stages that are still to come are planned to cost.
    pub to_come: Money,
}

/// The budget does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of {limit} does not allow it: {spent} spent, {reserved} set aside, and this would take {needed}"
)]
pub struct Refused {
    /// The budget.
    pub limit: Money,
    /// The money that is spent.
    pub spent: Money,
    /// The money that is set aside for other attempts.
    pub reserved: Money,
    /// The money that the attempt would need.
    pub needed: Money,
}

/// How long a stage wants its machine to live, when it is planned to take `planned`.
pub fn longest_lease(planned: Millis, bills: bool) -> Millis {
    let slack = least_slack().max(planned.0 / 2);
    let longest_ms = planned.0.saturating_add(slack);
    Millis(if bills {
        longest_ms
    } else {
        longest_ms.max(FREE.0)
    })
}

/// How much longer than it is there a machine wants to live whenever its lease is renewed.
pub fn lease_slack(planned: Millis) -> Duration {
    Duration::from_millis(least_slack().max(planned.0 / 2))
}

/// Sets money aside, for the longest lease that it is enough for.
pub fn reserve_from(account: &Account, wanted_lease: &Wanted) -> Result<Reservation, Refused> {
    let cost = |time: Millis| {
        Money(
            wanted_lease
                .meter
                .cost(time)
                .0
                .saturating_add(wanted_lease.once.0),
        )
    };
    // What may be left over to pay for after the lease is set aside as well, as far as there is
    // money that nobody needs.
    let reservation_for = |lease: Millis, top: Option<i64>| {
        let whole_cost = cost(Millis(lease.0.saturating_add(millis(wanted_lease.overrun))));
        let amount = top.map_or(whole_cost, |top| {
            Money(whole_cost.0.min(top)).max(cost(lease))
        });
        Reservation { amount, lease }
    };
    let Some(limit) = account.limit else {
        return Ok(reservation_for(wanted_lease.most, None));
    };
    let money_left = limit
        .0
        .saturating_sub(account.spent.0)
        .saturating_sub(account.reserved.0);
    let needed_money = cost(wanted_lease.least);
    if needed_money.0 > money_left.max(0) {
        let Account {
            spent, reserved, ..
        } = *account;
        return Err(Refused {
            limit,
            spent,
            reserved,
            needed: needed_money,
        });
    }
    // Slack is taken from what nobody is planned to need.
    let top = money_left
        .saturating_sub(account.to_come.0)
        .max(needed_money.0);
    if cost(wanted_lease.most).0 <= top {
        return Ok(reservation_for(wanted_lease.most, Some(top)));
    }
    let (mut fits, mut over) = (wanted_lease.least.0, wanted_lease.most.0);
    while over - fits > 1 {
        let middle_lease = fits + (over - fits) / 2;
        if cost(Millis(middle_lease)).0 <= top {
            fits = middle_lease;
        } else {
            over = middle_lease;
        }
    }
    Ok(reservation_for(Millis(fits), Some(top)))
}

/// What the stages of a plan are still to cost, kept while they are walked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    limit: Option<Money>,
    /// Planned, by stage.
    planned: BTreeMap<String, Money>,
    /// The planned costs of stages that were not begun, by stage.
    to_come: BTreeMap<String, Money>,
    sum: Money,
    /// Stages that may have something set aside.
    live: BTreeSet<String>,
}

impl Purse {
    /// Before the walk.
    pub fn new(limit: Option<Money>, plan: &Plan, state: &State) -> Self {
        let live = state
            .stages
            .iter()
            .filter(|(_, record)| record.live)
            .map(|(name, _)| name.clone());
        let mut purse = Self {
            limit,
            live: live.collect(),
            ..Self::default()
        };
        let planned_beside = |stage: &PlannedStage| {
            stage.storage_micro_usd + stage.disk_micro_usd + stage.address_micro_usd
        };
        let own_costs = plan
            .stages
            .iter()
            .map(|stage| (&stage.name, stage.cost_micro_usd, planned_beside(stage)));
        // A copy is on the bill of its first reader; one that is brought home, on that of its
        // maker.
        let copies = plan.transfers.iter().filter_map(|copy| {
            let maker = match &copy.artifact {
                ArtifactRef::Output { stage, .. } => Some(stage),
                ArtifactRef::Dataset(_) => None,
            };
            let payer = copy.readers.first().or(maker)?;
            Some((payer, copy.cost_micro_usd, copy.storage_micro_usd))
        });
        for (stage, cost, storage) in own_costs.chain(copies) {
            let amount = purse.planned.entry(stage.clone()).or_default();
            amount.0 = amount.0.saturating_add(cost.0).saturating_add(storage.0);
        }
        let has_begun = |record: &StageRecord| record.live || record.status == Status::Done;
        purse.to_come = purse.planned.clone();
        purse
            .to_come
            .retain(|stage, _| !state.stages.get(stage).is_some_and(has_begun));
        purse.sum = Money(
            purse
                .to_come
                .values()
                .map(|amount| amount.0)
                .fold(0, i64::saturating_add),
        );
        purse
    }

    /// The most that the job may cost.
    pub fn limit(&self) -> Option<Money> {
        self.limit
    }

    /// What a stage is planned to cost, with its part of what its inputs cost to move.
    pub fn planned(&self, stage: &str) -> Money {
        self.planned.get(stage).copied().unwrap_or_default()
    }

    /// Sets money aside for a stage, and counts it from this moment on. The state must be the one
    /// that the reservation is recorded in, held under the recorder's lock from before this call
    /// until the record is part of it ([`Recorder::decide`](super::Recorder::decide)): then no
    /// other stage can decide in between, however long the journal takes to answer.
    pub fn reserve(
        &mut self,
        stage: &str,
        state: &State,
        wanted_lease: &Wanted,
    ) -> Result<Reservation, Refused> {
        let reservation = reserve_from(&self.account(stage, state), wanted_lease)?;
        self.note_begun(stage);
        Ok(reservation)
    }

    /// The account for a stage that asks.
    pub fn account(&mut self, stage: &str, state: &State) -> Account {
        self.live
            .retain(|name| state.stages.get(name).is_some_and(|record| record.live));
        let other_stages = self.live.iter().filter(|name| name.as_str() != stage);
        let reserved = other_stages
            .filter_map(|name| state.stages.get(name))
            .map(|record| record.reserved_micro_usd.0);
        let reserved = Money(reserved.fold(0, i64::saturating_add));
        // The set of names only saves looking at every stage of a large job.
        debug_assert_eq!(
            reserved,
            reserved_for_others(stage, state),
            "a live attempt is missing in the account"
        );
        Account {
            limit: self.limit,
            spent: state.spent_micro_usd,
            reserved,
            to_come: Money(
                self.sum
                    .0
                    .saturating_sub(self.to_come.get(stage).map_or(0, |own| own.0)),
            ),
        }
    }

    /// Notes that a stage was begun, by this `sky` or an earlier one, so that it no longer counts
    /// as one to come.
    pub fn note_begun(&mut self, stage: &str) {
        if let Some(own) = self.to_come.remove(stage) {
            self.sum.0 = self.sum.0.saturating_sub(own.0);
        }
        self.live.insert(stage.to_owned());
    }
}

/// What the state has set aside for all attempts that are live, except those of one stage.
fn reserved_for_others(stage: &str, state: &State) -> Money {
    let other_reservations = state
        .stages
        .iter()
        .filter(|(name, record)| record.live && name.as_str() != stage);
    Money(
        other_reservations
            .map(|(_, record)| record.reserved_micro_usd.0)
            .fold(0, i64::saturating_add),
    )
}

/// How a machine came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineEnd {
    /// There was none that anybody has to pay for.
    Never,
    /// The machine was there until now, whatever its lease says.
    Now,
    /// The machine was gone when it was looked for, and its lease was over: it ended itself when
    /// that ended, at RFC 3339, or so much later.
    ByLease {
        /// The end of the lease (RFC 3339).
        lease_end: String,
        /// The most time after the end of the lease that the machine may have lived.
        overrun: Duration,
    },
}

/// For how long a machine was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineTime<'a> {
    /// When it may have begun to cost something, RFC 3339.
    pub started: &'a str,
    /// The time that this process has seen of it: a clock may have been set back.
    pub seen: Duration,
    /// The longest that it was there before, when `started` is by the clock of another host: the
    /// two may differ.
    pub unseen: Option<Duration>,
    /// When the machine ended.
    pub end: MachineEnd,
}

impl<'a> MachineTime<'a> {
    /// Returns the time of a machine that this process has not seen at work.
    pub fn of(record: &'a StageRecord, end: MachineEnd) -> Self {
        Self {
            started: &record.started,
            seen: Duration::ZERO,
            unseen: unseen_time(record),
            end,
        }
    }
}

/// How long the machine of an attempt may have been there, at most, if another host began it: by
/// its lease, since the clocks of two hosts may differ by more than it was there.
pub fn unseen_time(record: &StageRecord) -> Option<Duration> {
    let host = record.started_host.as_ref()?;
    let lease = record.lease_ms.filter(|_| *host != holder::host())?;
    Some(Duration::from_millis(lease.0))
}

/// What the time of a machine that is gone costs, also when that is more than was set aside: what
/// is paid has to be known. Of a machine that has ended itself nobody knows when: it is charged
/// until the end of its lease, and for no less than what was set aside for that.
pub fn charge_for_machine(meter: &Meter, time: &MachineTime<'_>, reserved: Money) -> Money {
    let until_now = clock::between(time.started, &clock::timestamp()).max(millis(time.seen));
    let whole_cost = meter.cost(Millis(until_now));
    // By the clock of another host, it may have been there for all of the time that money was set
    // aside for.
    let at_most = time.unseen.map(|unseen| {
        meter
            .cost(Millis(millis(unseen.saturating_add(time.seen))))
            .min(reserved)
    });
    let cost_at_least = whole_cost.max(at_most.unwrap_or_default());
    match &time.end {
        MachineEnd::Never => Money(0),
        MachineEnd::Now => cost_at_least,
        MachineEnd::ByLease { lease_end, overrun } => {
            let leased = clock::between(time.started, lease_end).saturating_sub(ROUNDING);
            let leased = leased.saturating_add(millis(*overrun));
            cost_at_least.min(meter.cost(Millis(leased)).max(reserved))
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
