//! A plan's costs, schedule and rules, worked out again from its offers and transfers.
//!
//! This is the planner's second opinion: it does not use [`crate::planning::problem`], and of
//! [`crate::planning::compile`] only the expectation of spot machines, so a mistake there shows
//! here. It takes the plan's word for which offers are taken and which copies are made, and checks
//! that they are allowed and enough.

use super::difference::Difference;
use super::quota_check::QuotaCheck;
use super::required_tee;
use crate::catalog::{Catalog, Terms};
use crate::model::units::{MS_PER_HOUR, div_half_even, saturate};
use crate::model::{
    AcceleratorNeed, Allocation, ArtifactRef, Bandwidth, Bytes, Destination, Domain, Job, Machine,
    Millis, Money, Needs, Objective, Offer, OfferName, Place, PlaceName, Policy, Purchase, Rate,
    Stage, Tariff, Unit, Work,
};
use crate::plan::{Plan, PlannedObjective, PlannedStage, PlannedTransfer, Usage};
use crate::planning::compile::{base_name, spot};
use crate::planning::rule;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Returns what is wrong with a plan, for what is left of a job and of a policy's limits.
pub(crate) fn differences(
    plan: &Plan,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> Vec<Difference> {
    let whole = job.expanded();
    let stages = plan
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage))
        .collect();
    let mut check = Check {
        plan,
        job: &whole,
        policy,
        catalog,
        stages,
        found: Vec::new(),
    };
    check.members();
    for (name, stage) in &whole.stages {
        if let Some(planned) = check.stages.get(name.as_str()).copied() {
            check.stage(stage, planned);
        }
    }
    for transfer in &plan.transfers {
        check.transfer(transfer);
    }
    check.egress();
    check.totals();
    check.quotas();
    check.spread();
    check.found
}

struct Check<'a> {
    plan: &'a Plan,
    /// With every copy of a stage as a stage.
    job: &'a Job,
    policy: &'a Policy,
    catalog: &'a Catalog,
    stages: BTreeMap<&'a str, &'a PlannedStage>,
    found: Vec<Difference>,
}

impl<'a> Check<'a> {
    fn same<T: PartialEq + Serialize>(&mut self, at: String, says: &T, should: &T) {
        if says != should {
            let shown = |value: &T| serde_json::to_string(value).unwrap_or_default();
            self.found
                .push(Difference::new(at, shown(says), shown(should)));
        }
    }

    fn wrong(&mut self, at: String, says: impl ToString, should: impl ToString) {
        self.found.push(Difference::new(at, says, should));
    }

    /// Every stage and dataset once, and what the policy says of the whole.
    fn members(&mut self) {
        let mut names: Vec<&str> = self
            .plan
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        names.sort_unstable();
        let expected: Vec<&str> = self.job.stages.keys().map(String::as_str).collect();
        self.same("stages".to_owned(), &names, &expected);
        self.same(
            "job".to_owned(),
            &self.plan.job.as_str(),
            &self.job.name.as_str(),
        );
        self.same(
            "objective".to_owned(),
            &self.plan.objective,
            &self.objective(),
        );
        let hour = self.plan.limits.hour_nano_usd;
        self.same("limits.hour_nano_usd".to_owned(), &hour, &self.policy.hour);
        let limits = &self.plan.limits;
        self.same(
            "limits.deadline_ms".to_owned(),
            &limits.deadline_ms,
            &self.policy.deadline,
        );
        self.same(
            "limits.budget_micro_usd".to_owned(),
            &limits.budget_micro_usd,
            &self.policy.budget,
        );
        let given: Vec<_> = self
            .job
            .datasets
            .iter()
            .map(|(n, d)| (n, &d.at, &d.path, d.size, &d.labels))
            .collect();
        let planned: Vec<_> = self
            .plan
            .datasets
            .iter()
            .map(|(n, d)| (n, &d.at, &d.path, d.bytes, &d.labels))
            .collect();
        self.same("datasets".to_owned(), &planned, &given);
    }

    fn objective(&self) -> PlannedObjective {
        match (self.policy.minimize, self.policy.hour) {
            (Objective::Time, _) => PlannedObjective::Time,
            (Objective::Cost, Some(_)) => PlannedObjective::Weighted,
            (Objective::Cost, None) => PlannedObjective::Cost,
        }
    }

    fn place(&self, name: &PlaceName) -> Option<(u32, &'a Place)> {
        let id = self.catalog.place_id(name)?;
        Some((id, &self.catalog.places[id as usize]))
    }

    fn terms(&self, place: &PlaceName) -> Terms {
        self.catalog
            .terms
            .get(&place.cloud)
            .cloned()
            .unwrap_or_default()
    }

    /// Labels of what a stage reads, followed back to the datasets.
    fn labels(&self, stage: &Stage) -> BTreeSet<String> {
        let mut labels = BTreeSet::new();
        for read in &stage.reads {
            match read {
                ArtifactRef::Dataset(name) => {
                    labels.extend(
                        self.job
                            .datasets
                            .get(name)
                            .into_iter()
                            .flat_map(|data| data.labels.clone()),
                    );
                }
                made if self.job.made.contains_key(made) => {
                    labels.extend(
                        self.job
                            .made
                            .get(made)
                            .into_iter()
                            .flat_map(|data| data.labels.clone()),
                    );
                }
                ArtifactRef::Output { stage, .. } => {
                    let Some(writer) = self.job.stages.get(stage) else {
                        continue;
                    };
                    labels.extend(self.labels(writer).difference(&writer.removes).cloned());
                }
            }
        }
        labels
    }

    fn stage(&mut self, stage: &Stage, planned: &PlannedStage) {
        let at = |member: &str| format!("stages.{}.{member}", planned.name);
        let offer = self.catalog.offers.iter().find(|offer| {
            self.catalog.place(offer).name == planned.place
                && self.catalog.machine(offer).instance_type == planned.instance_type
                && offer.purchase == planned.purchase
        });
        let Some(offer) = offer else {
            return self.wrong(
                at("instance_type"),
                &planned.instance_type,
                "an offer of the catalog at this place",
            );
        };
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        let unit = machine
            .service
            .as_ref()
            .map_or(Unit::Hour, |service| service.unit);
        let quantity = match unit {
            Unit::Hour => None,
            Unit::TbScanned | Unit::TibScanned => Some(stage.needs.scans.0),
            Unit::MillionRequests => Some(stage.needs.requests),
        };
        let hourly = if quantity.is_none() {
            offer.rate
        } else {
            Rate(0)
        };
        self.same(
            at("rate_nano_usd_per_hour"),
            &planned.rate_nano_usd_per_hour,
            &hourly,
        );
        let usage = quantity.map(|quantity| Usage {
            unit,
            rate_nano_usd_per_unit: offer.rate,
            quantity,
        });
        self.same(at("usage"), &planned.usage, &usage);
        self.same(at("country"), &planned.country, &place.country);
        self.same(
            at("baseline_vcpu_thousandths"),
            &planned.baseline_vcpu_thousandths,
            &machine.baseline_vcpu_thousandths,
        );
        self.same(at("nodes"), &planned.nodes, &stage.nodes);
        self.same(at("reads"), &planned.reads, &stage.reads);
        self.same(at("writes"), &planned.writes, &stage.writes);
        self.same(at("run"), &planned.run, &stage.run);
        self.same(at("files"), &planned.files, &stage.files);
        self.same(at("deadline_ms"), &planned.deadline_ms, &stage.deadline);
        let retries = stage
            .retries
            .as_ref()
            .or(self.policy.retries.as_ref())
            .filter(|retries| retries.times > 0);
        self.same(at("retries"), &planned.retries.as_ref(), &retries);
        let labels = self.labels(stage);
        self.same(at("labels"), &planned.labels, &labels);
        let terms = rule::Terms {
            tees: offer.tee,
            purchase: offer.purchase,
            hourly: quantity.is_none().then_some(offer.rate),
        };
        let forbidden = rule::forbids_place(self.policy, &labels, place)
            .or_else(|| rule::forbids_machine(self.policy, &labels, &terms));
        if let Some(key) = forbidden {
            self.wrong(
                at("place"),
                &planned.place,
                format!("a place and machine that {key} allows"),
            );
        }
        let tee = required_tee::tee(self.policy, &labels, &stage.needs, offer.tee, |needs| {
            self.meets(needs, offer)
        });
        self.same(at("tee"), &planned.tee, &tee);
        if !self.bought(stage, offer.purchase) {
            self.wrong(
                at("purchase"),
                planned.purchase,
                "as the allocation of the stage or the policy says",
            );
        }
        let alternatives = stage.needs.any_of.iter();
        let any = stage.needs.any_of.is_empty()
            || alternatives
                .into_iter()
                .any(|needs| self.meets(needs, offer));
        let gone = |name: &OfferName| {
            name.place == planned.place
                && name.instance_type == planned.instance_type
                && name.purchase == planned.purchase
        };
        if stage.without.iter().any(gone) {
            self.wrong(
                at("instance_type"),
                &planned.instance_type,
                "an offer that the state has not found used up",
            );
        }
        if !(self.meets(&stage.needs, offer) && any) {
            self.wrong(
                at("instance_type"),
                &planned.instance_type,
                "a machine that meets the stage's needs",
            );
        }
        self.schedule(stage, planned, offer);
        self.outputs(stage, planned, &labels);
    }

    /// Whether the way home has no known price from some place where something may run.
    fn lacks_a_way_home(&self) -> bool {
        let offering: BTreeSet<u32> = self
            .catalog
            .offers
            .iter()
            .map(|offer| offer.place)
            .collect();
        let name = |place: u32| &self.catalog.places[place as usize].name;
        offering
            .into_iter()
            .any(|place| self.tariff(name(place), &PlaceName::here()).is_none())
    }

    /// Where the stage's outputs go: as the job says, or as the rules allow; and whether they get
    /// there.
    fn outputs(&mut self, stage: &Stage, planned: &PlannedStage, read: &BTreeSet<String>) {
        let at = |member: &str| format!("stages.{}.{member}", planned.name);
        let carried: BTreeSet<String> = read.difference(&stage.removes).cloned().collect();
        let forbidden =
            rule::forbids_home(self.policy, &carried).filter(|_| !stage.writes.is_empty());
        self.same(
            at("kept_from_home_by"),
            &planned.kept_from_home_by,
            &forbidden,
        );
        let progress = rule::forbids_home(self.policy, read).filter(|_| stage.checkpoint.is_some());
        self.same(
            at("checkpoints_kept_from_home_by"),
            &planned.checkpoints_kept_from_home_by,
            &progress,
        );
        for output in stage.writes.keys() {
            let whole = ArtifactRef::Output {
                stage: planned.name.clone(),
                name: output.clone(),
            };
            let is_read = self
                .job
                .stages
                .values()
                .any(|stage| stage.reads.contains(&whole));
            let goes = planned.outputs.get(output).copied();
            let at = at(&format!("outputs.{output}"));
            match (self.job.outputs.get(&whole).copied(), is_read) {
                (None, true) => self.same(at, &goes, &None),
                (Some(said), _) => self.same(at, &goes, &Some(said)),
                (None, false) if forbidden.is_some() => {
                    self.same(at, &goes, &Some(Destination::There))
                }
                // It stays where nobody knows what it would cost to bring it. It may also stay
                // where that is not known of another place, if no plan brings it home.
                (None, false) if goes == Some(Destination::There) && self.lacks_a_way_home() => {}
                (None, false) if self.tariff(&planned.place, &PlaceName::here()).is_some() => {
                    self.same(at, &goes, &Some(Destination::Home));
                }
                (None, false) => self.same(at, &goes, &Some(Destination::There)),
            }
            let at = format!("transfers.{whole} to {}", PlaceName::here());
            let home = |copy: &&PlannedTransfer| copy.artifact == whole && copy.readers.is_empty();
            let brought = self.plan.transfers.iter().filter(home).count();
            self.same(
                at.clone(),
                &brought,
                &usize::from(goes == Some(Destination::Home)),
            );
            if let Some(rule) = forbidden.as_ref().filter(|_| brought > 0) {
                self.wrong(at, "brought home", format!("kept where it is made: {rule}"));
            }
        }
    }

    fn bought(&self, stage: &Stage, purchase: Purchase) -> bool {
        let by_default = if self.policy.allow_spot == Some(true) {
            Allocation::Cheapest
        } else {
            Allocation::OnDemand
        };
        match stage
            .allocation
            .or(self.policy.allocation)
            .unwrap_or(by_default)
        {
            Allocation::OnDemand => purchase == Purchase::OnDemand,
            Allocation::Spot => purchase == Purchase::Spot,
            Allocation::SpotIfAvailable | Allocation::Cheapest => true,
        }
    }

    fn has(&self, machine: &Machine, need: &AcceleratorNeed) -> bool {
        let Some((name, count)) = &machine.accelerator else {
            return false;
        };
        *count >= need.thousandths && self.catalog.is_accelerator(name, &need.name)
    }

    fn meets(&self, needs: &Needs, offer: &Offer) -> bool {
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        let name = place.name.to_string();
        let near = needs.latency.as_ref().is_none_or(|bound| {
            let there = |place: u32| {
                self.catalog.places[place as usize].country.as_ref() == Some(&bound.to)
            };
            let trips = self
                .catalog
                .round_trips
                .iter()
                .filter(|(_, time)| **time <= bound.at_most);
            let mut others = trips.filter_map(|((a, b), _)| match offer.place {
                from if from == *a => Some(*b),
                from if from == *b => Some(*a),
                _ => None,
            });
            there(offer.place) || others.any(there)
        });
        let served = match (&needs.service, &machine.service) {
            (Some(need), Some(service)) => {
                need.name == service.name && need.admits(service.version.as_ref())
            }
            (None, None) => true,
            // What is common to alternatives may leave open which of both it is.
            (None, Some(_)) => !needs.any_of.is_empty(),
            (Some(_), None) => false,
        };
        served
            && sustained(machine) >= needs.vcpu_thousandths
            && machine.memory >= needs.memory
            && (needs.accelerators.is_empty()
                || needs
                    .accelerators
                    .iter()
                    .any(|need| self.has(machine, need)))
            && (needs.tee.is_empty() || needs.tee.iter().any(|tee| offer.tee.has(*tee)))
            && (machine.service.is_some() || self.runs_on(needs, machine))
            && (needs.places.is_empty()
                || needs.places.iter().any(|pattern| pattern.matches(&name)))
            && (needs.instance_types.is_empty()
                || needs
                    .instance_types
                    .iter()
                    .any(|pattern| pattern.matches(&machine.instance_type)))
            && needs
                .max_price
                .is_none_or(|most| machine.unit() != Unit::Hour || offer.rate <= most)
            && near
    }

    /// The architecture: as the stage says, else the policy; where neither does, none that is known
    /// to be another than x86_64.
    fn runs_on(&self, needs: &Needs, machine: &Machine) -> bool {
        let by_policy = self
            .policy
            .arch
            .as_deref()
            .filter(|_| needs.any_of.is_empty());
        match needs.arch.as_deref().or(by_policy) {
            Some("any") => true,
            Some(arch) => machine.arch == arch,
            // Alternatives say it each for themselves.
            None => !needs.any_of.is_empty() || machine.arch.is_empty() || machine.arch == "x86_64",
        }
    }

    /// How long the work takes on a machine of the gang.
    fn work(&self, stage: &Stage, machine: &Machine) -> Option<Millis> {
        let quotient = |work: i128, speed: i128| {
            (speed > 0).then(|| {
                Millis(u64::try_from(div_half_even(work, speed).max(1)).unwrap_or(u64::MAX))
            })
        };
        let nodes = i128::from(stage.nodes);
        match &stage.work {
            Work::Duration(time) => Some(*time),
            Work::DurationBy(times) => {
                let met: Vec<_> = times
                    .iter()
                    .filter(|(need, _)| self.has(machine, need))
                    .collect();
                let most = met.iter().map(|(need, _)| need.thousandths).max()?;
                met.iter()
                    .filter(|(need, _)| need.thousandths == most)
                    .map(|(_, time)| **time)
                    .min()
            }
            Work::Flops {
                precision,
                gigaflop,
                efficiency_percent,
            } => {
                let (name, count) = machine.accelerator.as_ref()?;
                let rate = self
                    .catalog
                    .accelerators
                    .get(name)?
                    .gigaflops
                    .get(precision)?;
                let speed = i128::from(*rate)
                    * i128::from(*count)
                    * nodes
                    * i128::from(*efficiency_percent);
                // Thousandths of cards, of seconds, and hundredths of the rate.
                quotient(i128::from(*gigaflop) * 100_000_000, speed)
            }
            Work::VcpuTime(time) => quotient(
                i128::from(time.0) * 1000,
                i128::from(sustained(machine)) * nodes,
            ),
        }
    }

    fn schedule(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer) {
        let machine = self.catalog.machine(offer);
        let at = |member: &str| format!("stages.{}.{member}", planned.name);
        let Some(work) = self.work(stage, machine) else {
            return self.wrong(
                at("instance_type"),
                &planned.instance_type,
                "a machine that the job has a time for",
            );
        };
        let terms = self.terms(&planned.place);
        let mut run = work;
        let mut moving = Money(0);
        if let Some(spot) = &planned.spot {
            moving = spot.moving_micro_usd;
            let expected = spot::expected(
                work,
                stage.nodes,
                spot.monthly_ppm,
                terms.boot,
                stage.checkpoint.as_ref(),
            );
            match expected.filter(|_| spot.monthly_ppm > 0) {
                Some(expected) => {
                    run = expected.time;
                    let says = (spot.interruptions_millionths, spot.checkpoint_every_ms);
                    self.same(at("spot"), &says, &(expected.interruptions, expected.every));
                }
                None => self.same(at("spot"), &spot.interruptions_millionths, &0),
            }
        }
        self.same(
            at("spot"),
            &planned.spot.is_some(),
            &(planned.purchase == Purchase::Spot),
        );
        let boot = if planned.usage.is_some() {
            Millis(0)
        } else {
            terms.boot
        };
        self.same(at("boot_ms"), &planned.boot_ms, &boot);
        let mut start = Millis(0);
        for read in &stage.reads {
            match self.arrival(read, &planned.place) {
                Some(time) => start = start.max(time),
                None => self.wrong(
                    at("reads"),
                    read,
                    "data that is at this place, or is brought there",
                ),
            }
        }
        for before in &stage.after {
            start = start.max(
                self.stages
                    .get(before.as_str())
                    .map_or(Millis(0), |before| before.end_ms),
            );
        }
        self.same(at("start_ms"), &planned.start_ms, &start);
        let time = boot + run;
        self.same(at("end_ms"), &planned.end_ms, &(start + time));
        if let Some(deadline) = stage.deadline.filter(|deadline| start + time > *deadline) {
            self.wrong(
                at("end_ms"),
                planned.end_ms.exact(),
                format!("at most {}, its deadline", deadline.exact()),
            );
        }
        let increment = terms.increment.0.max(1);
        let billed = match planned.usage {
            Some(_) => Millis(0),
            None => Millis((time.0.div_ceil(increment) * increment).max(terms.minimum.0)),
        };
        self.same(at("billed_ms"), &planned.billed_ms, &billed);
        let rate = i128::from(planned.rate_nano_usd_per_hour.0)
            * i128::from(stage.nodes)
            * i128::from(billed.0);
        let mut cost = Money(saturate(div_half_even(rate, MS_PER_HOUR * 1000))) + moving;
        if let Some(usage) = &planned.usage {
            let per: i128 = match usage.unit {
                Unit::TbScanned => 1_000_000_000_000,
                Unit::TibScanned => 1_099_511_627_776,
                Unit::Hour | Unit::MillionRequests => 1_000_000,
            };
            let paid = i128::from(usage.rate_nano_usd_per_unit.0) * i128::from(usage.quantity);
            cost = Money(saturate(div_half_even(paid, per * 1000)));
            self.same(at("usage"), &(usage.quantity > 0), &true);
        }
        self.same(at("cost_micro_usd"), &planned.cost_micro_usd, &cost);
        self.beside(stage, planned, offer, billed);
        let kept: Money = stage
            .writes
            .values()
            .map(|bytes| self.kept(&planned.place, *bytes))
            .sum();
        self.same(at("storage_micro_usd"), &planned.storage_micro_usd, &kept);
    }

    /// What comes with the machines: their boot disks and their public addresses.
    fn beside(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer, billed: Millis) {
        let at = |member: &str| format!("stages.{}.{member}", planned.name);
        let machine = self.catalog.machine(offer);
        let is_tpu = machine
            .accelerator
            .as_ref()
            .is_some_and(|(name, _)| name.starts_with("tpu-"));
        let extras = self
            .catalog
            .extras
            .get(&planned.place)
            .filter(|_| machine.service.is_none() && !is_tpu);
        let (mut gib, mut disk, mut address) = (0, 0, 0);
        if let Some(extras) = extras {
            let written: u64 = stage.writes.values().map(|bytes| bytes.0).sum();
            gib = extras.boot_disk_gib + written.div_ceil(1 << 30);
            let size = extras
                .disk_sizes_gib
                .iter()
                .copied()
                .find(|size| *size >= gib)
                .unwrap_or(gib);
            disk = saturate(div_half_even(
                i128::from(extras.disk_per_gib_month.0) * i128::from(size),
                730,
            ));
            address = if planned.purchase == Purchase::Spot {
                extras.spot_address.0
            } else {
                extras.address.0
            };
        }
        self.same(at("boot_disk_gib"), &planned.boot_disk_gib, &gib);
        self.same(
            at("extras.disk_nano_usd_per_hour"),
            &planned.extras.disk_nano_usd_per_hour,
            &Rate(disk),
        );
        self.same(
            at("extras.address_nano_usd_per_hour"),
            &planned.extras.address_nano_usd_per_hour,
            &Rate(address),
        );
        let cost = |rate: i64| {
            let exact = i128::from(rate) * i128::from(stage.nodes) * i128::from(billed.0);
            Money(saturate(div_half_even(exact, MS_PER_HOUR * 1000)))
        };
        self.same(at("disk_micro_usd"), &planned.disk_micro_usd, &cost(disk));
        self.same(
            at("address_micro_usd"),
            &planned.address_micro_usd,
            &cost(address),
        );
    }

    /// What keeping so much there costs.
    fn kept(&self, place: &PlaceName, bytes: Bytes) -> Money {
        let keep = i128::from(self.policy.keep.unwrap_or_default().0);
        let rate = div_half_even(
            i128::from(self.terms(place).storage.0) * keep,
            730 * MS_PER_HOUR,
        );
        let per = i128::from(self.terms(place).gigabyte.0) * 1000;
        Money(saturate(div_half_even(rate * i128::from(bytes.0), per)))
    }

    /// Where an artifact is from the start or is made, and when it is there.
    fn origin(&self, artifact: &ArtifactRef) -> Option<(&'a PlaceName, Millis)> {
        match artifact {
            ArtifactRef::Dataset(name) => self
                .plan
                .datasets
                .get(name)
                .map(|data| (&data.at, Millis(0))),
            ArtifactRef::Output { stage, .. } if self.job.made.contains_key(artifact) => {
                let done = self.plan.from_state.as_ref()?.done.get(stage)?;
                Some((&done.place, Millis(0)))
            }
            ArtifactRef::Output { stage, .. } => self
                .stages
                .get(stage.as_str())
                .map(|stage| (&stage.place, stage.end_ms)),
        }
    }

    /// When an artifact is at a place.
    fn arrival(&self, artifact: &ArtifactRef, place: &PlaceName) -> Option<Millis> {
        let (origin, ready) = self.origin(artifact)?;
        if origin == place {
            return Some(ready);
        }
        let copy = self
            .plan
            .transfers
            .iter()
            .find(|copy| copy.artifact == *artifact && copy.to == *place)?;
        Some(copy.start_ms + copy.duration_ms)
    }

    fn transfer(&mut self, copy: &PlannedTransfer) {
        let at = |member: &str| format!("transfers.{} to {}.{member}", copy.artifact, copy.to);
        let (Some((from, _)), Some((to, _))) = (self.place(&copy.from), self.place(&copy.to))
        else {
            return self.wrong(at("from"), &copy.from, "places of the catalog");
        };
        self.same(at("bytes"), &copy.bytes, &self.job.size(&copy.artifact));
        let readers: BTreeSet<String> = self
            .job
            .stages
            .iter()
            .filter(|(name, stage)| {
                stage.reads.contains(&copy.artifact)
                    && self
                        .stages
                        .get(name.as_str())
                        .is_some_and(|stage| stage.place == copy.to)
            })
            .map(|(name, _)| name.clone())
            .collect();
        self.same(at("readers"), &copy.readers, &readers);
        let brought_home = self.brought_home(copy);
        if readers.is_empty() && !brought_home {
            self.wrong(at("readers"), "none", "a stage that reads it there");
        }
        let twins = self
            .plan
            .transfers
            .iter()
            .filter(|other| other.artifact == copy.artifact && other.to == copy.to);
        if twins.count() > 1
            || self
                .origin(&copy.artifact)
                .is_some_and(|(origin, _)| *origin == copy.to)
        {
            self.wrong(at("to"), &copy.to, "a place that does not have it yet");
        }
        // Copies of copies lead back to the origin, each later than the one before.
        match self.arrival(&copy.artifact, &copy.from) {
            Some(ready) => self.same(at("start_ms"), &copy.start_ms, &ready),
            None => self.wrong(at("from"), &copy.from, "a place that has it"),
        }
        let speed = self.speed(copy, from, to);
        self.same(at("assumed_speed"), &copy.assumed_speed, &speed.is_none());
        let speed = speed.map_or(1_000_000_000, |speed| speed.0);
        self.same(at("bits_per_second"), &copy.bits_per_second, &speed);
        let shared = self.shares_link_with(copy);
        self.same(at("shared_link_bytes"), &copy.shared_link_bytes, &shared);
        let bits = (i128::from(copy.bytes.0) + i128::from(shared.0)) * 8000;
        let time = div_half_even(bits, i128::from(speed.max(1)));
        let time = Millis(u64::try_from(time).unwrap_or(u64::MAX));
        self.same(at("duration_ms"), &copy.duration_ms, &time);
        self.same(
            at("storage_micro_usd"),
            &copy.storage_micro_usd,
            &self.kept(&copy.to, copy.bytes),
        );
    }

    /// Whether a copy brings an output home.
    fn brought_home(&self, copy: &PlannedTransfer) -> bool {
        let ArtifactRef::Output { stage, name } = &copy.artifact else {
            return false;
        };
        let goes = self
            .stages
            .get(stage.as_str())
            .and_then(|stage| stage.outputs.get(name));
        copy.to == PlaceName::here() && goes == Some(&Destination::Home)
    }

    /// The speed of a way, if it was measured or the policy declares it.
    fn speed(&self, copy: &PlannedTransfer, from: u32, to: u32) -> Option<Bandwidth> {
        let (here, home) = (PlaceName::here(), &self.policy.home);
        let measured = self
            .catalog
            .network
            .speed(from, to)
            .map(|speed| speed.bandwidth);
        let declared = match () {
            () if copy.from == here => home.uplink,
            () if copy.to == here => home.downlink.or(home.uplink),
            () => None,
        };
        [measured, declared].into_iter().flatten().min()
    }

    /// What of other copies a fair link of this machine lets pass before a copy has arrived: of
    /// each no more than the copy itself. Every reader of data that lies here fetches it on its
    /// own.
    fn shares_link_with(&self, copy: &PlannedTransfer) -> Bytes {
        let (here, own) = (PlaceName::here(), copy.bytes.0);
        let sum = |sizes: &mut dyn Iterator<Item = (u64, u64)>| -> u64 {
            sizes.fold(0, |sum, (bytes, times)| {
                sum.saturating_add(bytes.min(own).saturating_mul(times))
            })
        };
        let lies_here = self
            .origin(&copy.artifact)
            .is_some_and(|(origin, ready)| *origin == here && ready.0 == 0);
        let passed = match () {
            () if lies_here => {
                let readers = |name: &ArtifactRef| {
                    self.job
                        .stages
                        .values()
                        .filter(|stage| stage.reads.contains(name))
                        .count() as u64
                };
                let data = self.job.datasets.iter().filter(|(_, data)| data.at == here);
                let data = data.map(|(name, data)| {
                    (data.size.0, readers(&ArtifactRef::Dataset(name.clone())))
                });
                let made = self.job.made.iter().filter(|(_, data)| data.at == here);
                let made = made.map(|(name, data)| (data.size.0, readers(name)));
                sum(&mut data.chain(made))
            }
            () if self.brought_home(copy) => {
                let home = self
                    .plan
                    .transfers
                    .iter()
                    .filter(|other| self.brought_home(other));
                sum(&mut home.map(|other| (other.bytes.0, 1)))
            }
            () => own,
        };
        Bytes(passed.saturating_sub(own))
    }

    /// The price list of a way, with the part of the bill that it is counted on; an arrangement of
    /// one's own is counted on none.
    fn tariff(&self, from: &PlaceName, to: &PlaceName) -> Option<(Tariff, Option<Bill>)> {
        let names = (from.to_string(), to.to_string());
        let own = self
            .policy
            .links
            .iter()
            .rfind(|link| link.from.matches(&names.0) && link.to.matches(&names.1));
        if let Some(link) = own {
            return Some((
                Tariff::per(self.terms(from).gigabyte, [(Bytes(0), link.rate)]),
                None,
            ));
        }
        let (from_id, to_id) = (self.catalog.place_id(from)?, self.catalog.place_id(to)?);
        let tariff = self.catalog.network.tariff(from_id, to_id)?.clone();
        Some((
            tariff.clone(),
            Some((from.cloud.clone(), from.cloud != to.cloud, tariff)),
        ))
    }

    /// Every bill: its copies in the order of artifacts and destinations, through its tiers. How
    /// a free allowance is shared out between price lists is left to the comparison of the whole.
    fn egress(&mut self) {
        let mut copies: Vec<&PlannedTransfer> = self.plan.transfers.iter().collect();
        // What is brought home comes after what is read.
        copies.sort_by_key(|copy| (&copy.artifact, copy.readers.is_empty(), &copy.to));
        let mut volumes: BTreeMap<Bill, u64> = BTreeMap::new();
        for copy in copies {
            let at = format!("transfers.{} to {}.cost_micro_usd", copy.artifact, copy.to);
            let Some((tariff, bill)) = self.tariff(&copy.from, &copy.to) else {
                self.wrong(at, copy.cost_micro_usd.exact(), "a way that has a price");
                continue;
            };
            let account = self
                .policy
                .accounts
                .get(&copy.from.cloud)
                .and_then(|account| account.used_this_month);
            let Some(bill) = bill else {
                self.same(at, &copy.cost_micro_usd, &tariff.cost(copy.bytes));
                continue;
            };
            if account.is_some() && bill.1 {
                // Tiers may rise as well as fall: no byte costs more than in the dearest.
                let dearest = tariff.greatest_rate(Bytes(0), Bytes(u64::MAX));
                let most = Tariff::flat(tariff.gigabyte(), dearest).cost(copy.bytes);
                if copy.cost_micro_usd.0 < 0 || copy.cost_micro_usd.0 > most.0.saturating_add(1) {
                    self.wrong(
                        at,
                        copy.cost_micro_usd.exact(),
                        format!("from nothing to {}", most.exact()),
                    );
                }
                continue;
            }
            let before = volumes.entry(bill).or_default();
            let after = *before + copy.bytes.0;
            let share = tariff.cost(Bytes(after)) - tariff.cost(Bytes(*before));
            *before = after;
            // Inside one tier every copy is rounded on its own.
            let alone = tariff.cost(copy.bytes);
            let close = (share.0 - alone.0).abs() <= 1 && copy.cost_micro_usd == alone;
            if !close {
                self.same(at, &copy.cost_micro_usd, &share);
            }
        }
    }

    fn totals(&mut self) {
        let Plan {
            stages,
            transfers,
            totals,
            ..
        } = self.plan;
        let compute: Money = stages.iter().map(|stage| stage.cost_micro_usd).sum();
        let egress: Money = transfers.iter().map(|copy| copy.cost_micro_usd).sum();
        let storage = stages.iter().map(|stage| stage.storage_micro_usd);
        let storage: Money = storage
            .chain(transfers.iter().map(|copy| copy.storage_micro_usd))
            .sum();
        let home = transfers.iter().filter(|copy| copy.readers.is_empty());
        let ends = stages.iter().map(|stage| stage.end_ms);
        let makespan = ends
            .chain(home.map(|copy| copy.start_ms + copy.duration_ms))
            .max()
            .unwrap_or_default();
        let disks: Money = stages.iter().map(|stage| stage.disk_micro_usd).sum();
        let addresses: Money = stages.iter().map(|stage| stage.address_micro_usd).sum();
        self.same(
            "totals.disk_micro_usd".to_owned(),
            &totals.disk_micro_usd,
            &disks,
        );
        self.same(
            "totals.address_micro_usd".to_owned(),
            &totals.address_micro_usd,
            &addresses,
        );
        let cost = compute + egress + storage + disks + addresses;
        self.same(
            "totals.compute_micro_usd".to_owned(),
            &totals.compute_micro_usd,
            &compute,
        );
        self.same(
            "totals.egress_micro_usd".to_owned(),
            &totals.egress_micro_usd,
            &egress,
        );
        self.same(
            "totals.storage_micro_usd".to_owned(),
            &totals.storage_micro_usd,
            &storage,
        );
        self.same(
            "totals.cost_micro_usd".to_owned(),
            &totals.cost_micro_usd,
            &cost,
        );
        self.same(
            "totals.makespan_ms".to_owned(),
            &totals.makespan_ms,
            &makespan,
        );
        if let Some(limit) = self.policy.deadline.filter(|limit| makespan > *limit) {
            self.wrong(
                "totals.makespan_ms".to_owned(),
                makespan.exact(),
                format!("at most {}", limit.exact()),
            );
        }
        if let Some(limit) = self.policy.budget.filter(|limit| cost > *limit) {
            let cost = cost.exact();
            self.wrong(
                "totals.cost_micro_usd".to_owned(),
                cost,
                format!("at most {}", limit.exact()),
            );
        }
    }

    /// No quota is exceeded at any start of a stage.
    fn quotas(&mut self) {
        for (pattern, quota) in self.policy.quotas.iter().chain(&self.catalog.quotas) {
            let domain = |place: &PlaceName| {
                let name = if pattern.0.contains(':') {
                    place.to_string()
                } else {
                    place.cloud.clone()
                };
                pattern.matches(&name).then_some(name)
            };
            for now in &self.plan.stages {
                let Some(here) = domain(&now.place) else {
                    continue;
                };
                let mut used = QuotaCheck::default();
                let at_once = |other: &&PlannedStage| {
                    other.start_ms <= now.start_ms
                        && now.start_ms < other.end_ms
                        && domain(&other.place).as_ref() == Some(&here)
                };
                for other in self.plan.stages.iter().filter(at_once) {
                    used.add(other, self.catalog);
                }
                if !used.within(quota, self.catalog) {
                    let at = format!("stages.{}.place", now.name);
                    let should = format!("within quotas.{pattern} when it starts");
                    self.found.push(Difference::new(at, &now.place, should));
                }
            }
        }
    }

    fn spread(&mut self) {
        for (index, spread) in self.job.spread.iter().enumerate() {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            let bound = self
                .plan
                .stages
                .iter()
                .filter(|stage| spread.stages.contains(base_name(&stage.name)));
            for stage in bound {
                let domain = match spread.over {
                    Domain::Place => stage.place.to_string(),
                    Domain::Cloud => stage.place.cloud.clone(),
                };
                *counts.entry(domain).or_default() += 1;
            }
            for (domain, count) in counts
                .into_iter()
                .filter(|(_, count)| *count > spread.at_most)
            {
                let should = format!("at most {} at {domain}: spread.{index}", spread.at_most);
                self.found.push(Difference::new("stages", count, should));
            }
        }
    }
}

/// The virtual CPUs that a machine gives for as long as it runs.
fn sustained(machine: &Machine) -> u64 {
    machine
        .baseline_vcpu_thousandths
        .unwrap_or(machine.vcpu_thousandths)
}

/// A cloud, whether the way leaves it, and its price list: what is billed together.
type Bill = (String, bool, Tariff);
