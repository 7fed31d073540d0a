//! The cheapest way to relax one line so that there is a plan, all other lines in force.

use super::constraints::{Constraint, ConstraintKind, Counted, Need, without_constraints};
use crate::catalog::Catalog;
use crate::model::policy::DEFAULT_LABEL;
use crate::model::{
    AcceleratorNeed, Bytes, Destination, Job, Machine, Millis, Money, Needs, Objective, Offer,
    Pattern, Policy, Rate, Tee, Work,
};
use crate::planning::build::{Figures, Optimum, feasible, labels, optimum};
use crate::planning::solve::{Effort, SolverError};
use std::collections::BTreeSet;

/// The change of a line that makes room for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relaxation {
    /// The value that the line would have to have.
    pub to: Relaxed,
    /// The best plan then, by the policy's objective (fastest for a deadline, cheapest for a
    /// budget). None: it hangs on what the job does not say.
    pub figures: Option<Figures>,
    /// Nothing less, and no other single name for less money, would do; false: not all were tried.
    pub least: bool,
}

/// The value that a line may be relaxed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relaxed {
    /// The least time that would do.
    Time(Millis),
    /// The least amount that would do.
    Money(Money),
    /// The least price of an hour that would do.
    Hourly(Money),
    /// The least number that would do.
    Count(u64),
    /// The number of virtual CPUs, in thousandths: the greatest need, or the least quota.
    Cpus(u64),
    /// The greatest size that would do.
    Bytes(Bytes),
    /// Names to add to the line's list; all of them together if there are several.
    Add(BTreeSet<String>),
    /// So many machines with these cards each, in place of one with all of them.
    Gang(AcceleratorNeed, u32),
    /// The line has to go.
    Drop,
}

/// Single names that are tried before several are taken together.
const TRIED: usize = 48;

/// Relaxes `constraint` of a job and a policy that have a plan without it, but not with it. `None`:
/// they have none even without.
pub(super) fn relax(
    constraint: &Constraint,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<Option<Relaxation>, SolverError> {
    let (free_job, mut free_policy) = without_constraints(job, policy, [constraint]);
    match constraint.kind {
        ConstraintKind::Deadline => free_policy.minimize = Objective::Time,
        ConstraintKind::Budget => free_policy.minimize = Objective::Cost,
        _ => {}
    }
    let Some(free) = optimum(&free_job, &free_policy, catalog, effort)? else {
        return Ok(None);
    };
    let case = Case {
        constraint,
        job,
        policy,
        catalog,
        effort,
        free: &free,
    };
    let figures = Some(free.figures);
    let limit = |to: Relaxed| Relaxation {
        to,
        figures,
        least: free.figures.proven,
    };
    let relaxation = match &constraint.kind {
        ConstraintKind::Deadline => limit(Relaxed::Time(free.figures.makespan)),
        ConstraintKind::Budget => limit(Relaxed::Money(free.figures.cost)),
        ConstraintKind::StageDeadline(_)
        | ConstraintKind::Quota(..)
        | ConstraintKind::Spread(_)
        | ConstraintKind::MaxPrice => case.number()?,
        ConstraintKind::Need(_, Need::Cpus | Need::Memory | Need::Latency | Need::MaxPrice) => {
            case.number()?
        }
        ConstraintKind::Residency(_)
        | ConstraintKind::Trust(_)
        | ConstraintKind::CloudsAllow
        | ConstraintKind::PlacesAllow
        | ConstraintKind::Partitions => case.names()?,
        ConstraintKind::Need(stage, Need::Accelerators) => match case.gang(stage)? {
            Some(gang) => gang,
            None => case.names()?,
        },
        ConstraintKind::Need(_, Need::Tee | Need::Places | Need::InstanceTypes) => case.names()?,
        ConstraintKind::CloudAct
        | ConstraintKind::CloudsDeny(_)
        | ConstraintKind::PlacesDeny(_)
        | ConstraintKind::Spot
        | ConstraintKind::Allocation => case.gone(),
        ConstraintKind::Parents
        | ConstraintKind::OperatorsAllow
        | ConstraintKind::OperatorsDeny
        | ConstraintKind::Certifications(_) => case.gone(),
        ConstraintKind::BroughtHome(_) => case.gone(),
        ConstraintKind::StageAllocation(_)
        | ConstraintKind::Need(_, Need::Arch | Need::Service | Need::AnyOf) => case.gone(),
    };
    Ok(Some(relaxation))
}

fn money(micro_usd: u64) -> Money {
    Money(i64::try_from(micro_usd).unwrap_or(i64::MAX))
}

fn rate(micro_usd: u64) -> Rate {
    Rate(money(micro_usd).0.saturating_mul(1000))
}

/// A line, what it is part of, and the best without it.
struct Case<'a> {
    constraint: &'a Constraint,
    job: &'a Job,
    policy: &'a Policy,
    catalog: &'a Catalog,
    effort: &'a Effort,
    free: &'a Optimum,
}

/// The number that a line gives, and those that could take its place.
struct NumberOptions {
    now: u64,
    /// In rising ease; none if any number could.
    values: Vec<u64>,
}

impl Case<'_> {
    /// The line goes altogether.
    fn gone(&self) -> Relaxation {
        Relaxation {
            to: Relaxed::Drop,
            figures: Some(self.free.figures),
            least: true,
        }
    }

    /// The least change of a number that would do.
    fn number(&self) -> Result<Relaxation, SolverError> {
        let NumberOptions { now, mut values } = self.values();
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
                    return Ok(self.gone());
                };
                step = next;
            }
            let mut high = now.saturating_add(step);
            let unit = self.step();
            while high - low > unit {
                let middle = low + (high - low) / unit / 2 * unit;
                if would_do(middle)? {
                    high = middle
                } else {
                    low = middle
                }
            }
            values = vec![high];
        }
        // Rising ease: the first that does is the least change.
        let (mut low, mut high) = (0, values.len());
        while low < high {
            let middle = (low + high) / 2;
            if would_do(values[middle])? {
                high = middle
            } else {
                low = middle + 1
            }
        }
        let Some(value) = values.get(low) else {
            return Ok(self.gone());
        };
        let (job, policy) = self.with_number(*value);
        let figures = optimum(&job, &policy, self.catalog, self.effort)?.map(|best| best.figures);
        Ok(Relaxation {
            to: self.shown(*value),
            figures,
            least: true,
        })
    }

    /// The number that the line gives, and those that could take its place.
    fn values(&self) -> NumberOptions {
        let below = |now: u64, of: &mut dyn Iterator<Item = u64>| -> NumberOptions {
            let values: BTreeSet<u64> = of.filter(|value| *value < now && *value > 0).collect();
            let values = values.into_iter().rev().collect();
            NumberOptions { now, values }
        };
        let machines = || self.catalog.machines.iter();
        let now = match &self.constraint.kind {
            ConstraintKind::Need(stage, need) => {
                let needs = &self.job.stages[stage].needs;
                return match need {
                    Need::Cpus => below(
                        needs.vcpu_thousandths,
                        &mut machines().map(Machine::sustained_vcpu_thousandths),
                    ),
                    Need::Memory => below(
                        needs.memory.0,
                        &mut machines().map(|machine| machine.memory.0),
                    ),
                    Need::MaxPrice => self.prices(needs.max_price),
                    _ => self.latencies(needs),
                };
            }
            ConstraintKind::MaxPrice => return self.prices(self.policy.max_price),
            ConstraintKind::StageDeadline(stage) => {
                self.job.stages[stage].deadline.unwrap_or_default().0
            }
            ConstraintKind::Quota(pattern, counted) => {
                let mut quota = self.policy.quotas.get(pattern).cloned().unwrap_or_default();
                counted.of(&mut quota).copied().unwrap_or_default()
            }
            ConstraintKind::Spread(index) => u64::from(self.job.spread[*index].at_most),
            _ => 0,
        };
        NumberOptions {
            now,
            values: Vec::new(),
        }
    }

    /// A limit on the time to an answer, and the longer times that are known.
    fn latencies(&self, needs: &Needs) -> NumberOptions {
        let now = needs
            .latency
            .as_ref()
            .map_or(0, |latency| latency.at_most.0);
        let known = self.catalog.round_trips.values();
        let known: BTreeSet<u64> = known.map(|time| time.0).collect();
        NumberOptions {
            now,
            values: known.into_iter().filter(|time| *time > now).collect(),
        }
    }

    /// A cap on the price of an hour and the prices on offer above it, in micro-USD, rounded up to
    /// what can be written.
    fn prices(&self, cap: Option<Rate>) -> NumberOptions {
        let micro_usd = |rate: Rate| u64::try_from(rate.0).unwrap_or_default().div_ceil(1000);
        let now = cap.map_or(0, micro_usd);
        let prices: BTreeSet<u64> = self
            .catalog
            .offers
            .iter()
            .map(|offer| micro_usd(offer.rate))
            .collect();
        NumberOptions {
            now,
            values: prices.into_iter().filter(|price| *price > now).collect(),
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
                Relaxed::Hourly(money(value))
            }
            _ => Relaxed::Count(value),
        }
    }

    fn with_number(&self, value: u64) -> (Job, Policy) {
        let (mut job, mut policy) = (self.job.clone(), self.policy.clone());
        match &self.constraint.kind {
            ConstraintKind::Need(name, need) => {
                let set = |needs: &mut Needs| match need {
                    Need::Cpus => needs.vcpu_thousandths = value,
                    Need::Memory => needs.memory = Bytes(value),
                    Need::MaxPrice => needs.max_price = Some(rate(value)),
                    _ => {
                        if let Some(latency) = &mut needs.latency {
                            latency.at_most = Millis(value);
                        }
                    }
                };
                change(&mut job, name, *need, set);
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
            ConstraintKind::MaxPrice => policy.max_price = Some(rate(value)),
            ConstraintKind::Spread(index) => {
                job.spread[*index].at_most = u32::try_from(value).unwrap_or(u32::MAX)
            }
            _ => {}
        }
        (job, policy)
    }

    /// How many whole cards of this kind machines have, the most first, in thousandths; none if a
    /// machine has as many as are needed.
    fn counts_below(&self, need: &AcceleratorNeed) -> Vec<u32> {
        let cards = self
            .catalog
            .machines
            .iter()
            .filter_map(|machine| machine.accelerator.as_ref());
        let counts: BTreeSet<u32> = cards
            .filter(|(card, _)| self.catalog.is_accelerator(card, &need.name))
            .map(|(_, count)| *count)
            .collect();
        if counts.last().is_some_and(|most| *most >= need.thousandths) {
            return Vec::new();
        }
        let whole = counts.into_iter().rev().filter(|count| *count >= 1000);
        whole.collect()
    }

    /// The same cards spread over several machines, if no machine has so many of them.
    fn gang(&self, name: &str) -> Result<Option<Relaxation>, SolverError> {
        let Some(stage) = self.job.stages.get(name) else {
            return Ok(None);
        };
        for need in &stage.needs.accelerators {
            for each in self.counts_below(need) {
                let machines = need.thousandths.div_ceil(each);
                let each = AcceleratorNeed {
                    name: need.name.clone(),
                    thousandths: each,
                };
                let (mut job, policy) = (self.job.clone(), self.policy.clone());
                let Some(spread) = job.stages.get_mut(name) else {
                    continue;
                };
                spread.nodes = spread.nodes.saturating_mul(machines);
                spread.needs.accelerators = BTreeSet::from([each.clone()]);
                if let Work::DurationBy(times) = &mut spread.work
                    && let Some(time) = times.get(need).copied()
                {
                    times.insert(each.clone(), time);
                }
                if let Some(found) = optimum(&job, &policy, self.catalog, self.effort)? {
                    let to = Relaxed::Gang(each, stage.nodes.saturating_mul(machines));
                    return Ok(Some(Relaxation {
                        to,
                        figures: Some(found.figures),
                        least: false,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The name to add for which the best plan is best, or the names that are enough together.
    fn names(&self) -> Result<Relaxation, SolverError> {
        let missing = self.missing();
        let figures = |figures: Figures| Some(figures).filter(|_| !self.assumes_a_time());
        if let Some(names) = missing
            .as_ref()
            .filter(|names| names.len() == 1 && !self.assumes_a_time())
        {
            // No plan with another name added is better than the best without the line.
            return Ok(Relaxation {
                to: Relaxed::Add(names.clone()),
                figures: Some(self.free.figures),
                least: self.free.figures.proven,
            });
        }
        let names = self.known_names();
        let all = names.len() <= TRIED;
        let mut found: Option<((Money, Millis), String, Figures)> = None;
        for name in names.into_iter().take(TRIED) {
            let (job, policy) = self.with_names(&BTreeSet::from([name.clone()]));
            let Some(best) = optimum(&job, &policy, self.catalog, self.effort)? else {
                continue;
            };
            let rank = (best.figures.cost, best.figures.makespan);
            if found.as_ref().is_none_or(|(known, ..)| rank < *known) {
                found = Some((rank, name, best.figures));
            }
        }
        Ok(match (found, missing) {
            (Some((_, name, of)), _) => Relaxation {
                to: Relaxed::Add(BTreeSet::from([name])),
                figures: figures(of),
                least: all && of.proven,
            },
            (None, Some(names)) if !names.is_empty() => Relaxation {
                to: Relaxed::Add(names),
                figures: figures(self.free.figures),
                least: false,
            },
            (None, _) => Relaxation {
                figures: figures(self.free.figures),
                ..self.gone()
            },
        })
    }

    /// Whether a stage would run on what the job gives no time for.
    fn assumes_a_time(&self) -> bool {
        match &self.constraint.kind {
            ConstraintKind::Need(stage, Need::Accelerators) => {
                matches!(
                    self.job.stages.get(stage).map(|stage| &stage.work),
                    Some(Work::DurationBy(_))
                )
            }
            _ => false,
        }
    }

    /// What the best plan without the line uses that the line does not list. `None`: something
    /// that has no name.
    fn missing(&self) -> Option<BTreeSet<String>> {
        let labels = labels(self.job);
        let carries = |stage: &str, label: &str| {
            label == DEFAULT_LABEL
                || labels
                    .get(stage)
                    .is_some_and(|labels| labels.contains(label))
        };
        let mut names = BTreeSet::new();
        for (stage, offers) in &self.free.offers {
            let bound = match &self.constraint.kind {
                ConstraintKind::Residency(label) | ConstraintKind::Trust(label) => {
                    carries(stage, label)
                }
                ConstraintKind::Need(name, _) => name == stage,
                _ => true,
            };
            for offer in offers.iter().filter(|_| bound) {
                names.extend(self.lacking(offer)?);
            }
        }
        names.extend(self.country_of_home());
        Some(names)
    }

    /// The country of this machine, where the line would have to list it for what the job brings
    /// home.
    fn country_of_home(&self) -> Option<String> {
        let ConstraintKind::Residency(label) = &self.constraint.kind else {
            return None;
        };
        let country = self.policy.home.country.clone()?;
        let listed = self
            .policy
            .residency
            .get(label)
            .is_some_and(|list| list.contains(&country));
        let brought = self
            .job
            .outputs
            .values()
            .any(|destination| *destination == Destination::Home);
        (brought && !listed).then_some(country)
    }

    /// The name that the line would have to list for this offer; `Some(None)`: it does already.
    fn lacking(&self, offer: &Offer) -> Option<Option<String>> {
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        let listed =
            |list: &BTreeSet<Pattern>, name: &str| list.iter().any(|pattern| pattern.matches(name));
        let unless = |listed: bool, name: String| Some((!listed).then_some(name));
        let tee = |tees: &BTreeSet<Tee>| match tees.iter().any(|tee| offer.tee.has(*tee)) {
            true => Some(None),
            false => offer.tee.iter().next().map(|tee| Some(tee.to_string())),
        };
        match &self.constraint.kind {
            ConstraintKind::Residency(label) => {
                let country = place.country.clone()?;
                unless(
                    self.policy
                        .residency
                        .get(label)
                        .is_some_and(|list| list.contains(&country)),
                    country,
                )
            }
            ConstraintKind::Trust(label) => tee(self.policy.trust.get(label)?),
            ConstraintKind::CloudsAllow => {
                let cloud = place.name.cloud.clone();
                unless(
                    self.policy
                        .clouds
                        .allow
                        .as_ref()
                        .is_some_and(|list| listed(list, &cloud)),
                    cloud,
                )
            }
            ConstraintKind::PlacesAllow => {
                let name = place.name.to_string();
                unless(
                    self.policy
                        .places
                        .allow
                        .as_ref()
                        .is_some_and(|list| listed(list, &name)),
                    name,
                )
            }
            ConstraintKind::Partitions => {
                let class = place.partition();
                unless(
                    class.is_empty() || self.policy.partitions.contains(class),
                    class.to_owned(),
                )
            }
            ConstraintKind::Need(stage, need) => {
                let needs = &self.job.stages.get(stage)?.needs;
                match need {
                    Need::Tee => tee(&needs.tee),
                    Need::Places => {
                        let name = place.name.to_string();
                        unless(listed(&needs.places, &name), name)
                    }
                    Need::InstanceTypes => {
                        let name = machine.instance_type.clone();
                        unless(listed(&needs.instance_types, &name), name)
                    }
                    _ => {
                        let (name, count) = machine.accelerator.clone()?;
                        let has = |need: &AcceleratorNeed| {
                            count >= need.thousandths
                                && self.catalog.is_accelerator(&name, &need.name)
                        };
                        let listed = needs.accelerators.iter().any(has);
                        unless(
                            listed,
                            AcceleratorNeed {
                                name,
                                thousandths: count,
                            }
                            .to_string(),
                        )
                    }
                }
            }
            _ => None,
        }
    }

    /// Names of the catalog that the line could list.
    fn known_names(&self) -> BTreeSet<String> {
        let places = self.catalog.places.iter();
        match &self.constraint.kind {
            ConstraintKind::Residency(_) => {
                places.filter_map(|place| place.country.clone()).collect()
            }
            ConstraintKind::CloudsAllow => places.map(|place| place.name.cloud.clone()).collect(),
            ConstraintKind::PlacesAllow | ConstraintKind::Need(_, Need::Places) => {
                places.map(|place| place.name.to_string()).collect()
            }
            ConstraintKind::Partitions => places
                .map(|place| place.partition().to_owned())
                .filter(|class| !class.is_empty())
                .collect(),
            ConstraintKind::Trust(_) | ConstraintKind::Need(_, Need::Tee) => {
                Tee::ALL.iter().map(Tee::to_string).collect()
            }
            ConstraintKind::Need(_, Need::InstanceTypes) => self
                .catalog
                .machines
                .iter()
                .map(|machine| machine.instance_type.clone())
                .collect(),
            ConstraintKind::Need(_, Need::Accelerators) => {
                let all = self
                    .catalog
                    .machines
                    .iter()
                    .filter_map(|machine| machine.accelerator.clone());
                all.map(|(name, thousandths)| AcceleratorNeed { name, thousandths }.to_string())
                    .collect()
            }
            _ => BTreeSet::new(),
        }
    }

    fn with_names(&self, names: &BTreeSet<String>) -> (Job, Policy) {
        let (mut job, mut policy) = (self.job.clone(), self.policy.clone());
        let patterns = || names.iter().cloned().map(Pattern);
        let tees = || names.iter().filter_map(|name| Tee::parse(name));
        match &self.constraint.kind {
            ConstraintKind::Residency(label) => {
                if let Some(list) = policy.residency.get_mut(label) {
                    list.extend(names.iter().cloned());
                }
            }
            ConstraintKind::Trust(label) => {
                if let Some(list) = policy.trust.get_mut(label) {
                    list.extend(tees());
                }
            }
            ConstraintKind::CloudsAllow => policy
                .clouds
                .allow
                .iter_mut()
                .for_each(|list| list.extend(patterns())),
            ConstraintKind::PlacesAllow => policy
                .places
                .allow
                .iter_mut()
                .for_each(|list| list.extend(patterns())),
            ConstraintKind::Partitions => policy.partitions.extend(names.iter().cloned()),
            ConstraintKind::Need(name, need) => {
                let more: Vec<AcceleratorNeed> = names
                    .iter()
                    .filter_map(|name| AcceleratorNeed::parse(name).ok())
                    .collect();
                let add = |needs: &mut Needs| match need {
                    Need::Tee => needs.tee.extend(tees()),
                    Need::Places => needs.places.extend(patterns()),
                    Need::InstanceTypes => needs.instance_types.extend(patterns()),
                    _ => needs.accelerators.extend(more.iter().cloned()),
                };
                change(&mut job, name, *need, add);
                if *need == Need::Accelerators
                    && let Some(Work::DurationBy(times)) =
                        job.stages.get_mut(name).map(|stage| &mut stage.work)
                    && let Some(least) = times.values().min().copied()
                {
                    // As when the line is left out.
                    times.extend(more.into_iter().map(|need| (need, least)));
                }
            }
            _ => {}
        }
        (job, policy)
    }
}

/// Changes a need of a stage, also where it was copied into alternatives.
fn change(job: &mut Job, name: &str, need: Need, set: impl Fn(&mut Needs)) {
    let Some(stage) = job.stages.get_mut(name) else {
        return;
    };
    let common = stage.needs.clone();
    stage
        .needs
        .any_of
        .iter_mut()
        .filter(|other| need.same(other, &common))
        .for_each(&set);
    set(&mut stage.needs);
}
