//! Money is set aside before it can be spent: what a machine may cost until its lease ends, and
//! what moving its inputs costs. What was charged and what is set aside never exceed the budget
//! together, and a machine ends itself when its lease does, so neither can the bill.
//!
//! A lease is as long as planned and half as long again (a quarter of an hour at least), as far as
//! the budget allows it besides what the stages still to come are planned to cost. It is renewed
//! while `sky` watches, within the same bounds.

use crate::model::{ArtifactRef, Extras, Millis, Money, Rate};
use crate::plan::{Billing, Plan, PlannedStage};
use crate::state::{StageRecord, State, Status};
use crate::util::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The least slack of a lease.
const SLACK: Millis = Millis(15 * 60 * 1000);
/// The lease of what costs nothing.
const FREE: Millis = Millis(24 * 3600 * 1000);

/// What a machine costs by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    pub rate: Rate,
    /// What comes with each machine.
    pub extras: Extras,
    pub nodes: u32,
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
    pub meter: Meter,
    /// The least that is of use: as long as planned; for a renewal, what it has.
    pub least: Millis,
    /// The most that is wanted.
    pub most: Millis,
    /// What is paid once, besides time.
    pub once: Money,
}

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub amount: Money,
    /// From the creation of the machine on.
    pub lease: Millis,
}

/// What there is for all stages of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// None: no limit.
    pub limit: Option<Money>,
    pub spent: Money,
    /// Set aside for other attempts.
    pub reserved: Money,
    /// What the stages that are still to come are planned to cost.
    pub to_come: Money,
}

/// The budget does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget of {limit} does not allow it: {spent} spent, {reserved} set aside, and this would take {needed}")]
pub struct Refused {
    pub limit: Money,
    pub spent: Money,
    pub reserved: Money,
    pub needed: Money,
}

/// How long a stage wants its machine to live, when it is planned to take `planned`.
pub fn most(planned: Millis, bills: bool) -> Millis {
    let slack = SLACK.0.max(planned.0 / 2);
    let most = planned.0.saturating_add(slack);
    Millis(if bills { most } else { most.max(FREE.0) })
}

/// How much longer than it is there a machine wants to live whenever its lease is renewed.
pub fn slack(planned: Millis) -> Duration {
    Duration::from_millis(SLACK.0.max(planned.0 / 2))
}

/// Sets money aside, for the longest lease that it is enough for.
pub fn reserve(account: &Account, wanted: &Wanted) -> Result<Reservation, Refused> {
    let cost = |time: Millis| Money(wanted.meter.cost(time).0.saturating_add(wanted.once.0));
    let given = |lease: Millis| Reservation { amount: cost(lease), lease };
    let Some(limit) = account.limit else { return Ok(given(wanted.most)) };
    let left = limit.0.saturating_sub(account.spent.0).saturating_sub(account.reserved.0);
    let needed = cost(wanted.least);
    if needed.0 > left.max(0) {
        let Account { spent, reserved, .. } = *account;
        return Err(Refused { limit, spent, reserved, needed });
    }
    // Slack is taken from what nobody is planned to need.
    let top = left.saturating_sub(account.to_come.0).max(needed.0);
    if cost(wanted.most).0 <= top {
        return Ok(given(wanted.most));
    }
    let (mut fits, mut over) = (wanted.least.0, wanted.most.0);
    while over - fits > 1 {
        let middle = fits + (over - fits) / 2;
        if cost(Millis(middle)).0 <= top {
            fits = middle;
        } else {
            over = middle;
        }
    }
    Ok(given(Millis(fits)))
}

/// What the stages of a plan are still to cost, kept while they are walked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    limit: Option<Money>,
    /// Planned, by stage.
    planned: BTreeMap<String, Money>,
    /// The same, of stages that were not begun.
    to_come: BTreeMap<String, Money>,
    sum: Money,
    /// Stages that may have something set aside.
    live: BTreeSet<String>,
}

impl Purse {
    /// Before the walk.
    pub fn new(limit: Option<Money>, plan: &Plan, state: &State) -> Self {
        let live = state.stages.iter().filter(|(_, record)| record.live).map(|(name, _)| name.clone());
        let mut purse = Self { limit, live: live.collect(), ..Self::default() };
        let beside = |stage: &PlannedStage| stage.storage_micro_usd + stage.disk_micro_usd + stage.address_micro_usd;
        let own = plan.stages.iter().map(|stage| (&stage.name, stage.cost_micro_usd, beside(stage)));
        // A copy is on the bill of its first reader; one that is brought home, on that of its maker.
        let copies = plan.transfers.iter().filter_map(|copy| {
            let maker = match &copy.artifact {
                ArtifactRef::Output { stage, .. } => Some(stage),
                ArtifactRef::Dataset(_) => None,
            };
            let payer = copy.readers.first().or(maker)?;
            Some((payer, copy.cost_micro_usd, copy.storage_micro_usd))
        });
        for (stage, cost, storage) in own.chain(copies) {
            let amount = purse.planned.entry(stage.clone()).or_default();
            amount.0 = amount.0.saturating_add(cost.0).saturating_add(storage.0);
        }
        let begun = |record: &StageRecord| record.live || record.status == Status::Done;
        purse.to_come = purse.planned.clone();
        purse.to_come.retain(|stage, _| !state.stages.get(stage).is_some_and(begun));
        purse.sum = Money(purse.to_come.values().map(|amount| amount.0).fold(0, i64::saturating_add));
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

    /// Sets money aside for a stage, and counts it from this moment on. The state must be the one that the
    /// reservation is recorded in, held under the recorder's lock from before this call until the record is part of
    /// it ([`Recorder::decide`](super::Recorder::decide)): then no other stage can decide in between, however long
    /// the journal takes to answer.
    pub fn reserve(&mut self, stage: &str, state: &State, wanted: &Wanted) -> Result<Reservation, Refused> {
        let given = reserve(&self.account(stage, state), wanted)?;
        self.begin(stage);
        Ok(given)
    }

    /// The account for a stage that asks.
    pub fn account(&mut self, stage: &str, state: &State) -> Account {
        self.live.retain(|name| state.stages.get(name).is_some_and(|record| record.live));
        let others = self.live.iter().filter(|name| name.as_str() != stage);
        let reserved = others.filter_map(|name| state.stages.get(name)).map(|record| record.reserved_micro_usd.0);
        let reserved = Money(reserved.fold(0, i64::saturating_add));
        // The set of names only saves looking at every stage of a large job.
        debug_assert_eq!(reserved, reserved_for_others(stage, state), "a live attempt is missing in the account");
        Account {
            limit: self.limit,
            spent: state.spent_micro_usd,
            reserved,
            to_come: Money(self.sum.0.saturating_sub(self.to_come.get(stage).map_or(0, |own| own.0))),
        }
    }

    /// The stage is begun, by this `sky` or an earlier one: it is no longer among those to come.
    pub fn begin(&mut self, stage: &str) {
        if let Some(own) = self.to_come.remove(stage) {
            self.sum.0 = self.sum.0.saturating_sub(own.0);
        }
        self.live.insert(stage.to_owned());
    }
}

/// What the state has set aside for all attempts that are live, except those of one stage.
fn reserved_for_others(stage: &str, state: &State) -> Money {
    let others = state.stages.iter().filter(|(name, record)| record.live && name.as_str() != stage);
    Money(others.map(|(_, record)| record.reserved_micro_usd.0).fold(0, i64::saturating_add))
}

/// What the time of a machine that is gone costs: from `started` until now, by the clock or by
/// `seen` if that is more (a clock may have been set back), and never more than is set aside:
/// past its lease there is no machine.
pub fn charge(meter: &Meter, started: &str, seen: Duration, reserved: Money) -> Money {
    let seen = u64::try_from(seen.as_millis()).unwrap_or(u64::MAX);
    let time = Millis(clock::between(started, &clock::timestamp()).max(seen));
    Money(meter.cost(time).0.min(reserved.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meter(rate: i64) -> Meter {
        Meter { rate: Rate(rate), extras: Extras::default(), nodes: 1, billing: Billing::default() }
    }

    const HOUR: u64 = 3_600_000;

    #[test]
    fn slack_is_what_nobody_else_needs() {
        // $10 an hour, an hour planned, an hour and a half wanted.
        let wanted = Wanted {
            meter: meter(10_000_000_000),
            least: Millis(HOUR),
            most: most(Millis(HOUR), true),
            once: Money(0),
        };
        let account = |limit: i64, to_come: i64| Account {
            limit: Some(Money(limit)),
            spent: Money(1_000_000),
            reserved: Money(2_000_000),
            to_come: Money(to_come),
        };
        let lease = |limit, to_come| reserve(&account(limit, to_come), &wanted).map(|given| given.lease.0);
        assert_eq!(lease(18_000_000, 0), Ok(HOUR * 3 / 2));
        assert_eq!(lease(18_000_000, 5_000_000), Ok(HOUR));
        assert_eq!(lease(15_000_000, 0).unwrap() / 1000, HOUR * 6 / 5 / 1000);
        let refused = reserve(&account(12_999_999, 0), &wanted).unwrap_err();
        assert_eq!(refused.needed, Money(10_000_000));
        assert_eq!(
            refused.to_string(),
            "the budget of $13.00 does not allow it: $1.00 spent, $2.00 set aside, and this would take $10.00"
        );
        let free = Wanted { meter: meter(0), ..wanted };
        assert_eq!(reserve(&account(3_000_000, 0), &free).unwrap().amount, Money(0));
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_believed() {
        let meter = meter(3_600_000_000_000);
        let tomorrow = clock::after(Duration::from_secs(86_400));
        let charged = charge(&meter, &tomorrow, Duration::from_secs(2), Money(5_000_000));
        assert_eq!(charged, Money(2_000_000));
        let charged = charge(&meter, "1970-01-01T00:00:00Z", Duration::ZERO, Money(5_000_000));
        assert_eq!(charged, Money(5_000_000));
    }

    proptest! {
        #[test]
        fn no_reservation_is_over_the_budget(
            limit in 0_i64..50_000_000, spent in 0_i64..20_000_000, reserved in 0_i64..20_000_000,
            to_come in 0_i64..20_000_000, rate in 0_i64..100_000_000_000, least in 0_u64..10 * HOUR,
            slack in 0_u64..10 * HOUR, once in 0_i64..1_000_000, nodes in 1_u32..5,
            increment in prop::sample::select(vec![0_u64, 1000, 60_000, HOUR]),
        ) {
            let account = Account {
                limit: Some(Money(limit)), spent: Money(spent), reserved: Money(reserved), to_come: Money(to_come),
            };
            let billing = Billing { increment_ms: Millis(increment), minimum_ms: Millis(increment) };
            let extras = Extras { address_nano_usd_per_hour: Rate(5_000_000), ..Extras::default() };
            let meter = Meter { rate: Rate(rate), extras, nodes, billing };
            let wanted = Wanted { meter, least: Millis(least), most: Millis(least + slack), once: Money(once) };
            match reserve(&account, &wanted) {
                Ok(given) => {
                    prop_assert!(given.amount.0 == 0 || given.amount.0 + spent + reserved <= limit);
                    prop_assert!(given.lease >= wanted.least && given.lease <= wanted.most);
                    prop_assert_eq!(given.amount.0, meter.cost(given.lease).0 + once);
                }
                Err(refused) => prop_assert!(refused.needed.0 + spent + reserved > limit),
            }
        }
    }
}
