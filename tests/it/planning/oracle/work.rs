//! What there is to do, and who may do it: every copy of every stage, and its offers.

use sky::catalog::Catalog;
use sky::model::units::div_half_even;
use sky::model::{
    Allocation, ArtifactRef, Destination, Job, Machine, Millis, Needs, Offer, PlaceName, Policy,
    Purchase, Reach, Stage, Work,
};
use sky::planning::compile::{PartlyPriced, spot};
use std::collections::{BTreeMap, BTreeSet};

/// One copy of a stage: the work that is placed.
pub(super) struct Task<'a> {
    pub stage_name: &'a str,
    /// Which copy, from 0.
    pub number: u32,
    pub stage: &'a Stage,
    /// The tasks that must end first, by data or by order.
    pub waits: BTreeSet<usize>,
    pub takes: Vec<Take<'a>>,
}

/// One way to run a task.
#[derive(Clone, Copy)]
pub(super) struct Take<'a> {
    pub offer: &'a Offer,
    pub machine: &'a Machine,
    /// Its place in the order of preference.
    pub rank: i64,
    /// Micro-USD.
    pub cost: i128,
    /// From asking for the machine to the end, in milliseconds.
    pub time: i128,
}

/// Data that is read.
pub(super) struct Data {
    pub made: Made,
    pub bytes: i128,
    /// Tasks.
    pub readers: Vec<usize>,
    /// It is brought to this machine.
    pub home: bool,
    /// What passes its way until a copy has arrived, other copies on the same link with it.
    pub link_bytes: i128,
}

/// This machine.
pub(super) fn here(catalog: &Catalog) -> u32 {
    catalog.place_id(&PlaceName::here()).unwrap()
}

/// The outputs that are brought home: those that the job sends there, and those that nobody reads
/// where the rules allow it and a price of the way is known. `None`: a rule forbids one that the
/// job sends home.
pub(super) fn homeward(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    tasks: &[Task<'_>],
    partly: PartlyPriced,
) -> Option<Vec<Data>> {
    let mut data = Vec::new();
    for (maker, task) in tasks.iter().enumerate() {
        let mut labels = labels_read(job, task.stage_name);
        labels.retain(|label| !task.stage.removes.contains(label));
        let allowed = home_obeys(policy, &labels);
        let priced = |take: &Take<'_>| {
            let (from, to) = (take.offer.place, here(catalog));
            super::ways::arranged(policy, catalog, from, to).is_some()
                || catalog.network.tariff(from, to).is_some()
        };
        for (name, bytes) in &task.stage.writes {
            let whole = ArtifactRef::Output {
                stage: task.stage_name.to_owned(),
                name: name.clone(),
            };
            let is_read = job
                .stages
                .values()
                .any(|stage| stage.reads.iter().any(|read| read.whole() == whole));
            let goes_home = match job.outputs.get(&whole) {
                Some(Destination::Home) if !allowed => return None,
                Some(said) => *said == Destination::Home,
                None => {
                    let enough = match partly {
                        PartlyPriced::Home => task.takes.iter().any(priced),
                        PartlyPriced::There => {
                            !task.takes.is_empty() && task.takes.iter().all(priced)
                        }
                    };
                    !is_read && allowed && enough
                }
            };
            if goes_home {
                let bytes = i128::from(bytes.0);
                data.push(Data {
                    made: Made::By(maker),
                    bytes,
                    readers: Vec::new(),
                    home: true,
                    link_bytes: bytes,
                });
            }
        }
    }
    Some(data)
}

/// Whether data with such labels may lie on this machine, by what the policy declares of it.
fn home_obeys(policy: &Policy, labels: &BTreeSet<String>) -> bool {
    let home = &policy.home;
    let applies = |label: &String| label == "default" || labels.contains(label);
    let resident = policy
        .residency
        .iter()
        .filter(|(label, _)| applies(label))
        .all(|(_, countries)| {
            home.country
                .as_ref()
                .is_some_and(|country| countries.contains(country))
        });
    let trusted = policy
        .trust
        .iter()
        .filter(|(label, _)| applies(label))
        .all(|(_, tees)| !tees.is_disjoint(&home.tee));
    let operated = !policy.exclude_cloud_act
        || (home.country.is_some() && home.us_cloud_act == Some(Reach::No));
    resident && trusted && operated
}

/// Copies that leave this machine share its link, each reader with a copy of its own, and so do
/// those that arrive: each waits for no more of another than it has itself.
pub(super) fn share_links(data: &mut [Data], here: u32) {
    let from_here = |data: &Data| data.made == Made::Before(here);
    let shares =
        |one: &Data, other: &Data| (from_here(one) && from_here(other)) || (one.home && other.home);
    let passed: Vec<i128> = data
        .iter()
        .map(|one| {
            let others = data.iter().filter(|other| shares(one, other));
            others
                .map(|other| one.bytes.min(other.bytes) * other.readers.len().max(1) as i128)
                .sum()
        })
        .collect();
    for (one, passed) in data.iter_mut().zip(passed) {
        one.link_bytes = one.bytes.max(passed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Made {
    /// It lies at this place of the catalog.
    Before(u32),
    /// By this task.
    By(usize),
}

/// Every copy of every stage, without offers, and the data that they read.
pub(super) fn tasks<'a>(job: &'a Job, catalog: &Catalog) -> (Vec<Task<'a>>, Vec<Data>) {
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for (stage_name, stage) in &job.stages {
        for number in 0..stage.count {
            tasks.push(Task {
                stage_name,
                number,
                stage,
                waits: BTreeSet::new(),
                takes: Vec::new(),
            });
        }
    }
    let copies_of = |name: &str| -> Vec<usize> {
        (0..tasks.len())
            .filter(|task| tasks[*task].stage_name == name)
            .collect()
    };
    // A stage with copies writes one artifact per copy.
    let mut data: BTreeMap<(Made, String), Data> = BTreeMap::new();
    let mut waits: Vec<BTreeSet<usize>> = Vec::new();
    for (reader, task) in tasks.iter().enumerate() {
        let mut before: BTreeSet<usize> = task
            .stage
            .after
            .iter()
            .flat_map(|name| copies_of(name))
            .collect();
        for read in &task.stage.reads {
            let (made, name): (Vec<Made>, &str) = match read {
                ArtifactRef::Dataset(name) => (
                    vec![Made::Before(
                        catalog.place_id(&job.datasets[name].at).unwrap(),
                    )],
                    name,
                ),
                ArtifactRef::Output { stage, name } => {
                    let (name, element) = match name.strip_suffix("[i]") {
                        Some(name) => (name, true),
                        None => (name.as_str(), false),
                    };
                    let all = copies_of(stage)
                        .into_iter()
                        .filter(|copy| !element || tasks[*copy].number == task.number);
                    (all.map(Made::By).collect(), name)
                }
            };
            for made in made {
                let bytes = match made {
                    Made::Before(_) => job.datasets[name].size,
                    Made::By(copy) => tasks[copy].stage.writes[name],
                };
                if let Made::By(copy) = made {
                    before.insert(copy);
                }
                let bytes = i128::from(bytes.0);
                let none = Data {
                    made,
                    bytes,
                    readers: Vec::new(),
                    home: false,
                    link_bytes: bytes,
                };
                data.entry((made, name.to_owned()))
                    .or_insert(none)
                    .readers
                    .push(reader);
            }
        }
        waits.push(before);
    }
    for (task, before) in tasks.iter_mut().zip(waits) {
        task.waits = before;
    }
    (tasks, data.into_values().collect())
}

/// The labels of all that a stage reads, followed back to the datasets.
pub(super) fn labels_read(job: &Job, stage: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for artifact in &job.stages[stage].reads {
        match artifact {
            ArtifactRef::Dataset(name) => labels.extend(job.datasets[name].labels.clone()),
            ArtifactRef::Output { stage, .. } => {
                let removed = &job.stages[stage].removes;
                labels.extend(
                    labels_read(job, stage)
                        .into_iter()
                        .filter(|label| !removed.contains(label)),
                );
            }
        }
    }
    labels
}

/// The offers that a stage may take: its needs and the policy's rules, how it buys, and quotas
/// that one of its gangs would exceed on its own.
pub(super) fn takes<'a>(
    name: &str,
    job: &Job,
    policy: &Policy,
    catalog: &'a Catalog,
) -> Vec<Take<'a>> {
    let stage = &job.stages[name];
    let labels = labels_read(job, name);
    let mut allowed: Vec<(&Offer, i64, i128)> = Vec::new();
    for offer in &catalog.offers {
        if let Some(rank) = preference(&stage.needs, offer, catalog)
            && obeys(policy, &labels, offer, catalog)
            && bought(stage, policy, offer)
            && let Some(run) = undisturbed(stage, catalog.machine(offer))
        {
            allowed.push((offer, rank, run));
        }
    }
    // Spot in every place that has such an offer, on demand elsewhere.
    if stage.allocation.or(policy.allocation) == Some(Allocation::SpotIfAvailable) {
        let spot: BTreeSet<u32> = allowed
            .iter()
            .filter(|(offer, ..)| offer.purchase == Purchase::Spot)
            .map(|(offer, ..)| offer.place)
            .collect();
        allowed
            .retain(|(offer, ..)| offer.purchase == Purchase::Spot || !spot.contains(&offer.place));
    }
    let mut takes = Vec::new();
    for (offer, rank, run) in allowed {
        takes.extend(take(stage, offer, rank, run, policy, catalog));
    }
    takes
}

/// Which of the stage's alternatives an offer meets first; 0 if their order does not matter.
/// `None`: it does not meet the stage's needs.
fn preference(needs: &Needs, offer: &Offer, catalog: &Catalog) -> Option<i64> {
    if needs.any_of.is_empty() {
        return meets(needs, offer, catalog).then_some(0);
    }
    let first = needs
        .any_of
        .iter()
        .position(|needs| meets(needs, offer, catalog))?;
    Some(if needs.ordered {
        i64::try_from(first).unwrap()
    } else {
        0
    })
}

fn meets(needs: &Needs, offer: &Offer, catalog: &Catalog) -> bool {
    let (machine, place) = (catalog.machine(offer), catalog.place(offer));
    let has_accelerator = needs.accelerators.is_empty()
        || needs.accelerators.iter().any(|need| {
            machine
                .accelerator
                .as_ref()
                .is_some_and(|(name, count)| *name == need.name && *count >= need.thousandths)
        });
    let near = needs.latency.as_ref().is_none_or(|bound| {
        let there: Vec<usize> = (0..catalog.places.len())
            .filter(|other| catalog.places[*other].country.as_deref() == Some(bound.to.as_str()))
            .collect();
        there.iter().any(|other| {
            let (one, other) = (offer.place, u32::try_from(*other).unwrap());
            let trip = [(one, other), (other, one)]
                .into_iter()
                .filter_map(|pair| catalog.round_trips.get(&pair))
                .min();
            one == other || trip.is_some_and(|trip| *trip <= bound.at_most)
        })
    });
    // No case has a word of the policy on architectures.
    let runs = match needs.arch.as_deref() {
        Some("any") => true,
        Some(arch) => machine.arch == arch,
        None => machine.arch != "arm64",
    };
    machine
        .baseline_vcpu_thousandths
        .unwrap_or(machine.vcpu_thousandths)
        >= needs.vcpu_thousandths
        && machine.memory >= needs.memory
        && has_accelerator
        && near
        && runs
        && (needs.tee.is_empty() || needs.tee.iter().any(|tee| offer.tee.has(*tee)))
        && (needs.places.is_empty()
            || needs
                .places
                .iter()
                .any(|pattern| pattern.matches(&place.name.to_string())))
        && (needs.instance_types.is_empty()
            || needs
                .instance_types
                .iter()
                .any(|pattern| pattern.matches(&machine.instance_type)))
}

/// The policy, sentence by sentence.
fn obeys(policy: &Policy, labels: &BTreeSet<String>, offer: &Offer, catalog: &Catalog) -> bool {
    let place = catalog.place(offer);
    let applies = |label: &String| label == "default" || labels.contains(label);
    let resident = policy
        .residency
        .iter()
        .filter(|(label, _)| applies(label))
        .all(|(_, countries)| match &place.country {
            Some(country) => countries.contains(country),
            None => false,
        });
    let trusted = policy
        .trust
        .iter()
        .filter(|(label, _)| applies(label))
        .all(|(_, tees)| tees.iter().any(|tee| offer.tee.has(*tee)));
    let operated = !policy.exclude_cloud_act || place.cloud_act == Reach::No;
    let open = ["commercial", "eu-sovereign"].contains(&place.class.as_str())
        || policy.partitions.contains(&place.class);
    let denied = policy
        .clouds
        .deny
        .iter()
        .any(|pattern| pattern.0 == place.name.cloud);
    resident && trusted && operated && open && !denied
}

/// How machines are bought: as the stage says, else as the policy says.
fn bought(stage: &Stage, policy: &Policy, offer: &Offer) -> bool {
    let unsaid = if policy.allow_spot == Some(true) {
        Allocation::Cheapest
    } else {
        Allocation::OnDemand
    };
    match (
        stage.allocation.or(policy.allocation).unwrap_or(unsaid),
        offer.purchase,
    ) {
        (Allocation::OnDemand, purchase) => purchase == Purchase::OnDemand,
        (Allocation::Spot, Purchase::OnDemand) => false,
        (_, Purchase::OnDemand) => true,
        (_, Purchase::Spot) => policy.allow_spot != Some(false),
    }
}

/// How long a stage runs on machines that nobody takes away; `None`: the job does not say.
fn undisturbed(stage: &Stage, machine: &Machine) -> Option<i128> {
    match &stage.work {
        Work::Duration(time) => Some(i128::from(time.0)),
        Work::DurationBy(times) => {
            let (name, count) = machine.accelerator.as_ref()?;
            let fits = times
                .iter()
                .filter(|(need, _)| need.name == *name && need.thousandths <= *count);
            Some(i128::from(
                fits.max_by_key(|(need, _)| need.thousandths)?.1.0,
            ))
        }
        Work::VcpuTime(time) => {
            let sustained = machine
                .baseline_vcpu_thousandths
                .unwrap_or(machine.vcpu_thousandths);
            let vcpus = i128::from(sustained) * i128::from(stage.nodes);
            Some(div_half_even(i128::from(time.0) * 1000, vcpus).max(1))
        }
        Work::Flops { .. } => unreachable!("no case uses it"),
    }
}

/// One stage on one offer: its bill and its time. On spot machines both are what is expected: that
/// formula has tests of its own.
fn take<'a>(
    stage: &Stage,
    offer: &'a Offer,
    rank: i64,
    run: i128,
    policy: &Policy,
    catalog: &'a Catalog,
) -> Option<Take<'a>> {
    let machine = catalog.machine(offer);
    let terms = catalog
        .terms
        .get(&catalog.place(offer).name.cloud)
        .cloned()
        .unwrap_or_default();
    if super::ways::quotas(policy, catalog)
        .iter()
        .any(|quota| quota.uses(offer, machine, stage.nodes) > quota.most)
    {
        return None;
    }
    let mut time = run;
    if offer.purchase == Purchase::Spot {
        let known = catalog
            .interruptions
            .get(&(offer.place, offer.machine))
            .copied();
        let monthly = known.unwrap_or(spot::ASSUMED_INTERRUPTIONS);
        let run = Millis(u64::try_from(run).unwrap());
        let expected = spot::expected(
            run,
            stage.nodes,
            monthly,
            terms.boot,
            stage.checkpoint.as_ref(),
        )?;
        time = i128::from(expected.time.0);
    }
    let time = i128::from(terms.boot.0) + time;
    let mut billed = time;
    let increment = i128::from(terms.increment.0);
    if increment > 0 && billed % increment > 0 {
        billed += increment - billed % increment;
    }
    billed = billed.max(i128::from(terms.minimum.0));
    // nano-USD per hour, milliseconds -> micro-USD
    let machines = div_half_even(
        i128::from(offer.rate.0) * i128::from(stage.nodes) * billed,
        3_600_000 * 1000,
    );
    let beside = beside(stage, offer, billed, catalog);
    Some(Take {
        offer,
        machine,
        rank,
        cost: machines + beside,
        time,
    })
}

/// What comes with the machines: boot disks and public addresses, a line each.
fn beside(stage: &Stage, offer: &Offer, billed: i128, catalog: &Catalog) -> i128 {
    let Some(extras) = catalog.extras.get(&catalog.place(offer).name) else {
        return 0;
    };
    let written: u64 = stage.writes.values().map(|bytes| bytes.0).sum();
    let size = i128::from(extras.boot_disk_gib) + (i128::from(written) + (1 << 30) - 1) / (1 << 30);
    let disk = div_half_even(i128::from(extras.disk_per_gib_month.0) * size, 730);
    let address = if offer.purchase == Purchase::Spot {
        extras.spot_address
    } else {
        extras.address
    };
    let line =
        |rate: i128| div_half_even(rate * i128::from(stage.nodes) * billed, 3_600_000 * 1000);
    line(disk) + line(i128::from(address.0))
}
