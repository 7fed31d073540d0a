//! Relaxing a line that gives a number.

use super::relax_case::{RelaxCase, change_need};
use super::relaxation::{Relaxation, Relaxed};
use crate::model::units::{saturate, saturate_unsigned};
use crate::model::{Bytes, Job, Machine, Millis, Money, Needs, Policy, Rate};
use crate::planning::build::{feasible, optimum};
use crate::planning::explain::constraint::{ConstraintKind, Counted};
use crate::planning::explain::need::Need;
use crate::planning::solve::SolverError;
use std::collections::BTreeSet;

/// The number that a line gives, and those that could take its place.
struct NumberOptions {
    now: u64,
    /// In rising ease; none if any number could.
    values: Vec<u64>,
}

impl RelaxCase<'_> {
    /// The least change of a number that would do.
    pub(super) fn relax_number(&self) -> Result<Relaxation, SolverError> {
        let Some(NumberOptions { now, mut values }) = self.values() else {
            let constraint_key = &self.constraint.key;
            return Err(SolverError(format!(
                "`{constraint_key}` gives no number that could be another"
            )));
        };
        let would_do = |value: u64| {
            let (job, policy) = self.with_number(value);
            feasible(&job, &policy, self.catalog, self.effort)
        };
        // Without a list of values that matter: double the distance until one does.
        if values.is_empty() {
            let mut step = self.step();
            let mut low = now;
            while !would_do(now.saturating_add(step))? {
                low = now.saturating_add(step);
                let Some(next) = step.checked_mul(2).filter(|step| *step < 1 << 60) else {
                    return Ok(self.dropped());
                };
                step = next;
            }
            let mut high = now.saturating_add(step);
            let unit = self.step();
            while high - low > unit {
                let middle_value = low + (high - low) / unit / 2 * unit;
                if would_do(middle_value)? {
                    high = middle_value
                } else {
                    low = middle_value
                }
            }
            values = vec![high];
        }
        // Rising ease: the first that does is the least change.
        let (mut low, mut high) = (0, values.len());
        while low < high {
            let middle_index = (low + high) / 2;
            if would_do(values[middle_index])? {
                high = middle_index
            } else {
                low = middle_index + 1
            }
        }
        let Some(value) = values.get(low) else {
            return Ok(self.dropped());
        };
        let (job, policy) = self.with_number(*value);
        let figures = optimum(&job, &policy, self.catalog, self.effort)?.map(|best| best.figures);
        Ok(Relaxation {
            to: self.shown(*value),
            figures,
            least: true,
        })
    }

    /// The number that the line gives, and those that could take its place; `None`: the line gives
    /// none.
    fn values(&self) -> Option<NumberOptions> {
        let nearest_below = |now: u64, of: &mut dyn Iterator<Item = u64>| -> NumberOptions {
            let values: BTreeSet<u64> = of.filter(|value| *value < now && *value > 0).collect();
            let values = values.into_iter().rev().collect();
            NumberOptions { now, values }
        };
        let machines = || self.catalog.machines.iter();
        let only = |now: u64| NumberOptions {
            now,
            values: Vec::new(),
        };
        match &self.constraint.kind {
            ConstraintKind::Need(stage, need) => {
                let needs = &self.job.stages.get(stage)?.needs;
                match need {
                    Need::Cpus => Some(nearest_below(
                        needs.vcpu_thousandths,
                        &mut machines().map(Machine::sustained_vcpu_thousandths),
                    )),
                    Need::Memory => Some(nearest_below(
                        needs.memory.0,
                        &mut machines().map(|machine| machine.memory.0),
                    )),
                    Need::MaxPrice => Some(self.prices(needs.max_price?)),
                    Need::Latency => Some(self.latencies(needs.latency.as_ref()?.at_most)),
                    _ => None,
                }
            }
            ConstraintKind::MaxPrice => Some(self.prices(self.policy.max_price?)),
            ConstraintKind::StageDeadline(stage) => {
                Some(only(self.job.stages.get(stage)?.deadline?.0))
            }
            ConstraintKind::Quota(pattern, counted) => {
                let mut quota = self.policy.quotas.get(pattern)?.clone();
                Some(only(*counted.of(&mut quota)?))
            }
            ConstraintKind::Spread(index) => {
                Some(only(u64::from(self.job.spread.get(*index)?.at_most)))
            }
            _ => None,
        }
    }

    /// A limit on the time to an answer, and the longer times that are known.
    fn latencies(&self, limit: Millis) -> NumberOptions {
        let round_trips = self.catalog.round_trips.values();
        let known_latencies: BTreeSet<u64> = round_trips.map(|time| time.0).collect();
        NumberOptions {
            now: limit.0,
            values: known_latencies
                .into_iter()
                .filter(|time| *time > limit.0)
                .collect(),
        }
    }

    /// A cap on the price of an hour and the prices on offer above it, in micro-USD, rounded up to
    /// what can be written.
    fn prices(&self, cap: Rate) -> NumberOptions {
        let micro_usd = |rate: Rate| saturate_unsigned(i128::from(rate.0)).div_ceil(1000);
        let price_now = micro_usd(cap);
        let prices: BTreeSet<u64> = self
            .catalog
            .offers
            .iter()
            .map(|offer| micro_usd(offer.rate))
            .collect();
        NumberOptions {
            now: price_now,
            values: prices
                .into_iter()
                .filter(|price| *price > price_now)
                .collect(),
        }
    }

    /// The finest difference worth naming.
    fn step(&self) -> u64 {
        if matches!(
            self.constraint.kind,
            ConstraintKind::Quota(_, Counted::Cpus)
        ) {
            1000
        } else {
            1
        }
    }

    fn shown(&self, value: u64) -> Relaxed {
        match &self.constraint.kind {
            ConstraintKind::StageDeadline(_) | ConstraintKind::Need(_, Need::Latency) => {
                Relaxed::Time(Millis(value))
            }
            ConstraintKind::Need(_, Need::Cpus) | ConstraintKind::Quota(_, Counted::Cpus) => {
                Relaxed::Cpus(value)
            }
            ConstraintKind::Need(_, Need::Memory) => Relaxed::Bytes(Bytes(value)),
            ConstraintKind::MaxPrice | ConstraintKind::Need(_, Need::MaxPrice) => {
                Relaxed::Hourly(money_of_micros(value))
            }
            _ => Relaxed::Count(value),
        }
    }

    fn with_number(&self, value: u64) -> (Job, Policy) {
        let (mut job, mut policy) = (self.job.clone(), self.policy.clone());
        match &self.constraint.kind {
            ConstraintKind::Need(name, need) => {
                let set_need = |needs: &mut Needs| match need {
                    Need::Cpus => needs.vcpu_thousandths = value,
                    Need::Memory => needs.memory = Bytes(value),
                    Need::MaxPrice => needs.max_price = Some(rate_of_micros(value)),
                    _ => {
                        if let Some(latency) = &mut needs.latency {
                            latency.at_most = Millis(value);
                        }
                    }
                };
                change_need(&mut job, name, *need, set_need);
            }
            ConstraintKind::StageDeadline(name) => {
                if let Some(stage) = job.stages.get_mut(name) {
                    stage.deadline = Some(Millis(value));
                }
            }
            ConstraintKind::Quota(pattern, counted) => {
                if let Some(limit) = policy
                    .quotas
                    .get_mut(pattern)
                    .and_then(|quota| counted.of(quota))
                {
                    *limit = value;
                }
            }
            ConstraintKind::MaxPrice => policy.max_price = Some(rate_of_micros(value)),
            ConstraintKind::Spread(index) => {
                job.spread[*index].at_most = u32::try_from(value).unwrap_or(u32::MAX)
            }
            _ => {}
        }
        (job, policy)
    }
}

fn money_of_micros(micro_usd: u64) -> Money {
    Money(saturate(i128::from(micro_usd)))
}

fn rate_of_micros(micro_usd: u64) -> Rate {
    Rate(money_of_micros(micro_usd).0.saturating_mul(1000))
}
