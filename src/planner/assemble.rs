//! From a solved placement to a plan.

use super::old_prices;
use super::rungs::{self, Dag};
use crate::catalog::{Catalog, age};
use crate::compile::{self, Compiled, Stays};
use crate::model::{
    AcceleratorNeed, Bytes, Destination, Gigabyte, Job, Machine, Money, Offer, PlaceName, Policy, Purchase, Rate,
    Stage, Unit, dag, fanout,
};
use crate::plan::*;
use crate::problem::{Evaluation, Instance, StageChoices, evaluate_on, routes, worth};
use crate::solve::Solved;
use std::collections::BTreeMap;

/// All that a plan is made of.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// As it is written, with all its stages.
    pub job: &'a Job,
    /// As it is written; but its limits are what is left of them.
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    /// What is left to do.
    pub compiled: &'a Compiled,
    pub solved: &'a Solved,
    pub single: Option<SingleCloud>,
    /// Of job and policy as they are written.
    pub inputs: Inputs,
    pub from_state: Option<&'a FromState>,
}

/// Who solved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverName {
    pub name: &'static str,
    pub version: String,
}

/// Writes the plan down.
pub fn assemble(parts: &Parts<'_>, solver: &SolverName) -> Plan {
    // Alternatives may be offers that are not worth planning.
    let extended = compile::with_spares(parts.compiled, parts.policy, parts.catalog, &parts.solved.picks);
    let parts = &Parts { compiled: &extended, ..parts.clone() };
    let Parts { job, policy, catalog, compiled, solved, single, .. } = parts;
    let evaluation = &solved.evaluation;
    let dag = Dag::of(&compiled.instance, &solved.picks);
    let mut stages: Vec<PlannedStage> =
        (0..compiled.stages.len()).map(|stage| planned_stage(parts, &dag, stage)).collect();
    let ways = rungs::ways(parts, &stages);
    let disks: Money = stages.iter().map(|stage| stage.disk_micro_usd).sum();
    let addresses: Money = stages.iter().map(|stage| stage.address_micro_usd).sum();
    stages.sort_by(|a, b| (a.start_ms, &a.name).cmp(&(b.start_ms, &b.name)));
    let mut transfers: Vec<PlannedTransfer> = planned_transfers(parts);
    transfers.sort_by(|a, b| (a.start_ms, &a.artifact, &a.to).cmp(&(b.start_ms, &b.artifact, &b.to)));
    let old_prices = old_prices::of(parts, &stages, &transfers, Money(evaluation.cost()));
    let has_estimate = |stage: &&PlannedStage| stage.disk_micro_usd.0 > 0 && extras_at(catalog, &stage.place).1;
    let estimated_disks = stages.iter().filter(has_estimate).map(|stage| stage.name.clone()).collect();
    Plan {
        old_prices,
        estimated_disks,
        format_version: FORMAT_VERSION.to_owned(),
        sky_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: job.name.clone(),
        inputs: parts.inputs.clone(),
        objective: PlannedObjective::of(policy.minimize, policy.hour),
        limits: Limits { deadline_ms: policy.deadline, budget_micro_usd: policy.budget, hour_nano_usd: policy.hour },
        stages,
        transfers,
        datasets: planned_datasets(job),
        totals: Totals {
            cost_micro_usd: money(evaluation.cost()),
            compute_micro_usd: money(evaluation.compute) - disks - addresses,
            egress_micro_usd: money(evaluation.egress),
            storage_micro_usd: money(evaluation.storage),
            disk_micro_usd: disks,
            address_micro_usd: addresses,
            makespan_ms: millis(evaluation.makespan),
        },
        single_cloud: single.clone(),
        solver: report(parts, solver),
        considered: Considered {
            clouds: compiled.counts.clouds,
            places: compiled.counts.places,
            offers: catalog.offers.len() as u64,
            candidates: compiled.counts.candidates,
            kept: compiled.counts.kept,
        },
        warnings: warnings(parts),
        ways,
        from_state: parts.from_state.cloned(),
        // Whoever has the files at hand names their content: planning reads none.
        contents: Contents::default(),
        digest: None,
    }
}

fn report(parts: &Parts<'_>, solver: &SolverName) -> SolverReport {
    let solved = parts.solved;
    let proof = &solved.proof;
    let (value, bound) = match proof.time_bound {
        Some(bound) => (solved.evaluation.makespan, bound),
        None => {
            let worth = worth(&parts.compiled.instance, solved.evaluation.makespan);
            (solved.evaluation.cost().saturating_add(worth), proof.cost_bound)
        }
    };
    let missing = i128::from(value.saturating_sub(bound).max(0)) * 1_000_000;
    // Rounded up: a gap is never understated.
    let gap = (missing + i128::from(value.max(1)) - 1) / i128::from(value.max(1));
    SolverReport {
        name: solver.name.to_owned(),
        version: solver.version.clone(),
        status: if proof.optimal { "optimal" } else { "feasible" }.to_owned(),
        bound_micro_usd: money(proof.cost_bound),
        bound_ms: proof.time_bound.map(millis),
        gap: u64::try_from(gap).unwrap_or(u64::MAX),
        seed: crate::solve::solver::SEED,
        threads: 1,
        time_limited: false,
    }
}

/// The source of what comes with machines at a place, and whether its prices are those of other places.
pub(super) fn extras_at(catalog: &Catalog, place: &PlaceName) -> (Option<u16>, bool) {
    catalog.extras.get(place).map_or((None, false), |extras| (extras.source, extras.estimated))
}

/// The offer that a stage takes at some position of its choices.
pub(super) fn offer_of<'a>(parts: &Parts<'a>, stage: usize, position: usize) -> &'a Offer {
    let tag = parts.compiled.instance.stages[stage].choices[position].tag;
    &parts.catalog.offers[parts.compiled.candidates[stage][tag].offer]
}

fn planned_stage(parts: &Parts<'_>, dag: &Dag<'_>, index: usize) -> PlannedStage {
    let Parts { job: written, policy, catalog, compiled, solved, .. } = parts;
    let name = &compiled.stages[index];
    let stage = &compiled.job.stages[name];
    let offer = offer_of(parts, index, solved.picks[index]);
    let choice = compiled.instance.stages[index].choices[solved.picks[index]];
    let candidate = &compiled.candidates[index][choice.tag];
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let source = &catalog.sources[usize::from(offer.source)];
    PlannedStage {
        name: name.clone(),
        place: place.name.clone(),
        country: place.country.clone(),
        instance_type: machine.instance_type.clone(),
        accelerator: accelerator(machine),
        baseline_vcpu_thousandths: machine.baseline_vcpu_thousandths,
        nodes: stage.nodes,
        purchase: offer.purchase,
        tee: candidate.tee,
        rate_nano_usd_per_hour: hourly(catalog, offer),
        usage: usage(catalog, offer, stage),
        price_source: PriceSource { id: source.id.clone(), date: source.date.clone(), estimated: offer.estimated },
        copy: fanout::copy_of(name).map(|(of, index)| CopyOf {
            stage: of.to_owned(),
            index,
            count: written.stages.get(of).map_or(1, |stage| stage.count),
        }),
        start_ms: millis(solved.evaluation.start[index]),
        end_ms: millis(solved.evaluation.end[index]),
        boot_ms: candidate.boot,
        billed_ms: candidate.billed,
        billing: billing(catalog, offer),
        deadline_ms: stage.deadline,
        spot: (offer.purchase == Purchase::Spot).then_some(SpotTerms {
            monthly_ppm: candidate.monthly,
            assumed: candidate.assumed,
            interruptions_millionths: candidate.interruptions,
            checkpoint_every_ms: candidate.every,
            moving_micro_usd: candidate.moving,
        }),
        cost_micro_usd: Money(choice.cost - choice.storage - candidate.beside.0),
        storage_micro_usd: money(choice.storage),
        boot_disk_gib: catalog
            .extras_of(offer)
            .map_or(0, |extras| extras.disk_gib(stage.writes.values().copied().sum())),
        extras: candidate.extras,
        disk_micro_usd: candidate.extras.disks(stage.nodes, candidate.billed),
        address_micro_usd: candidate.extras.addresses(stage.nodes, candidate.billed),
        labels: compiled.labels.of_stage.get(name).cloned().unwrap_or_default(),
        reads: stage.reads.clone(),
        writes: stage.writes.clone(),
        outputs: destinations(compiled, index),
        checkpoints_kept_from_home_by: stage.checkpoint.as_ref().and_then(|_| {
            let labels = compiled.labels.of_stage.get(name).cloned().unwrap_or_default();
            crate::rule::forbids_home(parts.policy, &labels)
        }),
        kept_from_home_by: compiled.results.forbidden[index].clone(),
        after: dag::predecessors(stage).into_iter().map(str::to_owned).collect(),
        run: stage.run.clone(),
        files: stage.files.clone(),
        env: stage.env.clone(),
        secrets: stage.secrets.clone(),
        checkpoint: stage.checkpoint.as_ref().map(|checkpoint| PlannedCheckpoint {
            every_ms: checkpoint.every.or(candidate.every),
            bytes: checkpoint.size,
        }),
        retries: stage.retries.clone().or_else(|| policy.retries.clone()).filter(|retries| retries.times > 0),
        alternatives: rungs::alternatives(parts, dag, index),
    }
}

/// Where the outputs of a stage go, by the output's name.
fn destinations(compiled: &Compiled, stage: usize) -> BTreeMap<String, Destination> {
    // Stages and artifacts are both in the order of their names.
    let outputs = &compiled.results.outputs;
    let first = outputs.partition_point(|output| output.stage < stage);
    let own = outputs[first..].iter().take_while(|output| output.stage == stage);
    own.map(|output| (output.artifact.file_name().to_owned(), output.destination)).collect()
}

/// `V100:4`.
pub(super) fn accelerator(machine: &Machine) -> Option<String> {
    let (name, count) = machine.accelerator.as_ref()?;
    Some(AcceleratorNeed { name: name.clone(), thousandths: *count }.to_string())
}

/// How time at an offer is billed; not at all if it is paid by something else.
pub(super) fn billing(catalog: &Catalog, offer: &Offer) -> Billing {
    let terms = catalog.terms.get(&catalog.place(offer).name.cloud);
    let terms = terms.filter(|_| catalog.machine(offer).unit() == Unit::Hour);
    terms.map_or(Billing::default(), |terms| Billing { increment_ms: terms.increment, minimum_ms: terms.minimum })
}

/// The price of an offer per hour; 0 if it is per something else.
pub(super) fn hourly(catalog: &Catalog, offer: &Offer) -> Rate {
    if catalog.machine(offer).unit() == Unit::Hour { offer.rate } else { Rate(0) }
}

/// What a stage pays for at an offer that is not time.
pub(super) fn usage(catalog: &Catalog, offer: &Offer, stage: &Stage) -> Option<Usage> {
    let unit = catalog.machine(offer).unit();
    let quantity = unit.counts(stage.needs.scans, stage.needs.requests)?;
    Some(Usage { unit, rate_nano_usd_per_unit: offer.rate, quantity })
}

fn planned_transfers(parts: &Parts<'_>) -> Vec<PlannedTransfer> {
    let Parts { catalog, compiled, solved, .. } = parts;
    let instance = &compiled.instance;
    let site_of = |stage: usize| instance.stages[stage].choices[solved.picks[stage]].site;
    let place = |site: usize| catalog.places[compiled.sites[site] as usize].name.clone();
    let Evaluation { copies, .. } = &solved.evaluation;
    let transfer = |copy: &crate::problem::evaluate::Copy| {
        let artifact = &instance.artifacts[copy.artifact];
        // Stages after those of the job stand for bringing an output home.
        let stages = artifact.readers.iter().filter(|reader| **reader < compiled.stages.len());
        let readers = stages.filter(|reader| site_of(**reader) == copy.to);
        let (from, to) = (compiled.sites[copy.from], compiled.sites[copy.to]);
        let class = instance.links.class(copy.from, copy.to);
        PlannedTransfer {
            artifact: compiled.artifacts[copy.artifact].clone(),
            from: place(copy.from),
            to: place(copy.to),
            bytes: artifact.bytes,
            readers: readers.map(|reader| compiled.stages[*reader].clone()).collect(),
            start_ms: millis(copy.start),
            duration_ms: millis(copy.duration),
            cost_micro_usd: money(copy.cost),
            storage_micro_usd: money(copy.kept),
            rate_nano_usd_per_gb: copy.last_rate,
            bits_per_second: instance.links.bandwidth[copy.from * instance.links.sites + copy.to].0,
            assumed_speed: compile::speed(catalog, parts.policy, from, to).is_none(),
            shared_link_bytes: Bytes(artifact.link_bytes.0.saturating_sub(artifact.bytes.0)),
            billed_gb_bytes: class
                .map_or(Gigabyte::DECIMAL, |class| instance.links.tariffs[usize::from(class)].tariff.gigabyte()),
        }
    };
    copies.iter().map(transfer).collect()
}

fn planned_datasets(job: &Job) -> BTreeMap<String, PlannedDataset> {
    let planned = |dataset: &crate::model::Dataset| PlannedDataset {
        at: dataset.at.clone(),
        path: dataset.path.clone(),
        bytes: dataset.size,
        labels: dataset.labels.clone(),
    };
    job.datasets.iter().map(|(name, dataset)| (name.clone(), planned(dataset))).collect()
}

/// What a reader should know. Data that exists already may lie where the policy would not put
/// it: that is said, since no plan can change it. So are names that match nothing, which may be
/// mistyped and then protect nothing.
fn warnings(parts: &Parts<'_>) -> Vec<String> {
    let Parts { job, policy, catalog, compiled, solved, .. } = parts;
    let unknown = compile::unknown_names(job, policy, catalog);
    let mut warnings: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let misplaced = job.datasets.iter().filter_map(|(name, dataset)| {
        let place = &catalog.places[catalog.place_id(&dataset.at)? as usize];
        let key = crate::rule::forbids_place(policy, &dataset.labels, place)?;
        let country = place.country.as_deref().unwrap_or("unknown country");
        Some(format!(
            "dataset {name} already lies at {} ({country}), outside {key}; only its copies are bound",
            place.name
        ))
    });
    warnings.extend(misplaced);
    let taken = compiled.instance.stages.iter().zip(&solved.picks).zip(&compiled.candidates);
    let taken = taken.map(|((stage, pick), candidates)| &candidates[stage.choices[*pick].tag]);
    warnings.extend(compile::assumptions(taken, catalog));
    warnings.extend(handed_on(compiled, solved));
    warnings.extend(left_there(compiled, policy));
    warnings.extend(prices_and_retirements(parts));
    warnings
}

/// So many days before a machine type is retired it is said; what is announced for years later is no news.
const RETIRES_SOON: i32 = 365;

/// Stages at estimated prices, and on machine types that will be retired soon.
fn prices_and_retirements(parts: &Parts<'_>) -> Vec<String> {
    let Parts { catalog, compiled, solved, .. } = parts;
    let mut warnings = Vec::new();
    for (index, name) in compiled.stages.iter().enumerate() {
        let offer = offer_of(parts, index, solved.picks[index]);
        let (place, machine) = (&catalog.place(offer).name, &catalog.machine(offer).instance_type);
        let day = &catalog.sources[usize::from(offer.source)].date;
        if offer.estimated {
            warnings.push(format!(
                "stage {name}: the price of {machine} at {place} is estimated: the list of {day} scaled by how the price \
                 of the type changed since, where both are known"
            ));
        }
        let soon = |day: &str| age::days_between(&catalog.date, day).is_some_and(|days| days <= RETIRES_SOON);
        if let Some(retirement) = catalog.retires(offer).filter(|retirement| soon(&retirement.day)) {
            warnings.push(format!("stage {name}: {machine} will be retired on {}", retirement.day));
        }
    }
    warnings
}

/// Outputs that a warning names.
const NAMED: usize = 4;

/// Outputs that nobody reads and that are not brought home although the job does not say so, by reason.
fn left_there(compiled: &Compiled, policy: &Policy) -> Vec<String> {
    let mut by_reason: BTreeMap<&Stays, Vec<String>> = BTreeMap::new();
    for output in &compiled.results.outputs {
        if let Some(why) = &output.stays {
            by_reason.entry(why).or_default().push(output.artifact.to_string());
        }
    }
    let said = |(why, outputs): (&Stays, Vec<String>)| {
        let named = outputs.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = outputs.len().saturating_sub(NAMED);
        let names = if more > 0 { format!("{named} and {more} more") } else { named };
        let (verb, is) = if outputs.len() == 1 { ("stays", "is") } else { ("stay", "are") };
        let why = match why {
            Stays::Unpriced => "the catalog has no egress price for the way to this machine".to_owned(),
            Stays::NoPlanFromPriced => "the catalog has an egress price for the way to this machine from some places \
                                        only, and no plan brings it home from one of them"
                .to_owned(),
            Stays::Forbidden(rule) if policy.home.country.is_some() => {
                format!("{rule} forbids to bring it to this machine as `[home]` of the policy declares it")
            }
            Stays::Forbidden(rule) => format!(
                "{rule} covers it and the country of this machine is not declared: add `[home]` with \
                 `country = \"DE\"` to the policy"
            ),
        };
        format!(
            "{names} {verb} where it {is} made and {is} not brought home: {why}; or write `\"there\"` for it in `[outputs]`"
        )
    };
    by_reason.into_iter().map(said).collect()
}

/// Where copies come straight from their origins for the sake of the proof: what handing them on
/// would save in this placement, if it would.
fn handed_on(compiled: &Compiled, solved: &Solved) -> Option<String> {
    if compiled.instance.relays || !compiled.instance.links.pools.is_empty() {
        return None;
    }
    // Of every stage its one choice: the rest need not be copied for this.
    let instance = &compiled.instance;
    let taken = |(stage, pick): (&StageChoices, &usize)| StageChoices {
        choices: vec![stage.choices[*pick]],
        ..StageChoices::default()
    };
    let relayed = Instance {
        stages: instance.stages.iter().zip(&solved.picks).map(taken).collect(),
        artifacts: instance.artifacts.clone(),
        links: instance.links.clone(),
        relays: true,
        ..Instance::default()
    };
    let picks = vec![0; relayed.stages.len()];
    let found = evaluate_on(&relayed, &relayed.shape(), &picks, &routes::cheapest(&relayed, &picks))?;
    let saved = solved.evaluation.cost() - found.cost();
    (saved > 0).then(|| {
        let saved = Money(saved);
        format!("copies taken from other places that hold the data could save {saved}: `[transfers] relay = true`")
    })
}
