//! From a solved placement to a plan.

use crate::catalog::Catalog;
use crate::compile::{self, Compiled};
use crate::model::{
    Allowance, Bytes, DataRate, Job, Millis, Money, Offer, Pattern, Place, Policy, Purchase, Rate, Stage, Unit, dag,
    fanout,
};
use crate::plan::*;
use crate::problem::{
    Evaluation, Followers, Instance, Shape, StageChoices, caused, evaluate, evaluate_on, routes, spread, together,
    touched, worth,
};
use crate::solve::Solved;
use std::collections::{BTreeMap, BTreeSet};

/// All that a plan is made of.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    pub job: &'a Job,
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    pub compiled: &'a Compiled,
    pub solved: &'a Solved,
    pub single: Option<SingleCloud>,
}

/// Who solved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverName {
    pub name: &'static str,
    pub version: String,
}

/// Alternatives kept per stage.
const ALTERNATIVES: usize = 3;
/// The cheapest so many are checked against the limits.
const LOOKED_AT: usize = 24;

/// What follows from the job's DAG, for all stages.
struct Dag {
    shape: Shape,
    followers: Followers,
    touched: Vec<Vec<usize>>,
    /// Of the plan's own picks.
    spread: Vec<Vec<(usize, usize)>>,
}

/// Writes the plan down.
pub fn assemble(parts: &Parts<'_>, solver: &SolverName) -> Result<Plan, serde_json::Error> {
    let Parts { job, policy, catalog, compiled, solved, single } = parts;
    let evaluation = &solved.evaluation;
    let shape = compiled.instance.shape();
    let dag = Dag {
        followers: Followers::new(&shape),
        shape,
        touched: touched(&compiled.instance),
        spread: spread(&compiled.instance, &solved.picks),
    };
    let mut stages: Vec<PlannedStage> =
        (0..compiled.stages.len()).map(|stage| planned_stage(parts, &dag, stage)).collect();
    stages.sort_by(|a, b| (a.start_ms, &a.name).cmp(&(b.start_ms, &b.name)));
    let mut transfers: Vec<PlannedTransfer> = planned_transfers(parts);
    transfers.sort_by(|a, b| (a.start_ms, &a.artifact, &a.to).cmp(&(b.start_ms, &b.artifact, &b.to)));
    Ok(Plan {
        format_version: FORMAT_VERSION.to_owned(),
        sky_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: job.name.clone(),
        inputs: super::inputs(job, policy, catalog)?,
        objective: policy.minimize,
        limits: Limits { deadline_ms: policy.deadline, budget_micro_usd: policy.budget, hour_nano_usd: policy.hour },
        stages,
        transfers,
        datasets: planned_datasets(job),
        totals: Totals {
            cost_micro_usd: money(evaluation.cost()),
            compute_micro_usd: money(evaluation.compute),
            egress_micro_usd: money(evaluation.egress),
            storage_micro_usd: money(evaluation.storage),
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
        ways: Vec::new(),
        from_state: None,
        digest: None,
    })
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

/// The offer that a stage takes at some position of its choices.
fn offer_of<'a>(parts: &Parts<'a>, stage: usize, position: usize) -> &'a Offer {
    let tag = parts.compiled.instance.stages[stage].choices[position].tag;
    &parts.catalog.offers[parts.compiled.candidates[stage][tag].offer]
}

fn planned_stage(parts: &Parts<'_>, dag: &Dag, index: usize) -> PlannedStage {
    let Parts { job: written, catalog, compiled, solved, .. } = parts;
    let name = &compiled.stages[index];
    let stage = &compiled.job.stages[name];
    let offer = offer_of(parts, index, solved.picks[index]);
    let choice = compiled.instance.stages[index].choices[solved.picks[index]];
    let candidate = &compiled.candidates[index][choice.tag];
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let source = &catalog.sources[usize::from(offer.source)];
    let accelerator = machine.accelerator.as_ref();
    PlannedStage {
        name: name.clone(),
        place: place.name.clone(),
        country: place.country.clone(),
        instance_type: machine.instance_type.clone(),
        accelerator: accelerator
            .map(|(name, count)| crate::model::AcceleratorNeed { name: name.clone(), thousandths: *count }.to_string()),
        nodes: stage.nodes,
        purchase: offer.purchase,
        rate_nano_usd_per_hour: hourly(catalog, offer),
        usage: usage(catalog, offer, stage),
        price_source: PriceSource { id: source.id.clone(), date: source.date.clone() },
        copy: fanout::copy_of(name).map(|(of, index)| CopyOf {
            stage: of.to_owned(),
            index,
            count: written.stages.get(of).map_or(1, |stage| stage.count),
        }),
        start_ms: millis(solved.evaluation.start[index]),
        end_ms: millis(solved.evaluation.end[index]),
        boot_ms: candidate.boot,
        billed_ms: candidate.billed,
        billing: Billing::default(),
        deadline_ms: stage.deadline,
        spot: (offer.purchase == Purchase::Spot).then_some(SpotTerms {
            monthly_ppm: candidate.monthly,
            assumed: candidate.assumed,
            interruptions_millionths: candidate.interruptions,
            checkpoint_every_ms: candidate.every,
            moving_micro_usd: candidate.moving,
        }),
        cost_micro_usd: money(choice.cost - choice.storage),
        storage_micro_usd: money(choice.storage),
        labels: compiled.labels.of_stage.get(name).cloned().unwrap_or_default(),
        reads: stage.reads.clone(),
        writes: stage.writes.clone(),
        after: dag::predecessors(stage).into_iter().map(str::to_owned).collect(),
        run: stage.run.clone(),
        files: stage.files.clone(),
        secrets: BTreeMap::new(),
        checkpoint: None,
        alternatives: alternatives(parts, dag, index),
    }
}

/// The price of an offer per hour; 0 if it is per something else.
fn hourly(catalog: &Catalog, offer: &Offer) -> Rate {
    if catalog.machine(offer).unit() == Unit::Hour { offer.rate } else { Rate(0) }
}

/// What a stage pays for at an offer that is not time.
fn usage(catalog: &Catalog, offer: &Offer, stage: &Stage) -> Option<Usage> {
    let unit = catalog.machine(offer).unit();
    let quantity = unit.counts(stage.needs.scans, stage.needs.requests)?;
    Some(Usage { unit, rate_nano_usd_per_unit: offer.rate, quantity })
}

/// The cheapest other offers for one stage, the rest of the plan as it is, within the limits.
fn alternatives(parts: &Parts<'_>, dag: &Dag, stage: usize) -> Vec<Alternative> {
    let instance = &parts.compiled.instance;
    let mut picks = parts.solved.picks.clone();
    let kept = picks[stage];
    // A choice costs at least what it costs itself: those after the last that can be among the
    // cheapest need not be looked at with their copies.
    let choices = &instance.stages[stage].choices;
    let mut by_own: Vec<(i64, usize)> = (0..choices.len())
        .filter(|position| *position != kept)
        .map(|position| (choices[position].cost, position))
        .collect();
    by_own.sort_unstable();
    let own_site = choices[kept].site;
    let caused = |site: usize| caused(instance, &dag.touched[stage], &dag.spread, &parts.solved.picks, stage, site);
    let mut copies: BTreeMap<usize, Option<i64>> = BTreeMap::new();
    let mut ranked: BTreeSet<(i64, usize)> = BTreeSet::new();
    for (own, position) in by_own {
        if ranked.len() >= LOOKED_AT && ranked.last().is_some_and(|(cost, _)| *cost <= own) {
            break;
        }
        // Copies cost the same for all choices at a site.
        let site = choices[position].site;
        let copies = copies.entry(site).or_insert_with(|| caused(site));
        let Some(copies) = *copies else { continue };
        ranked.insert((own.saturating_add(copies), position));
        if ranked.len() > LOOKED_AT {
            ranked.pop_last();
        }
    }
    // Copies that are counted on their own: the first that are found are the cheapest.
    let in_order = instance.links.pools.is_empty() && !routes::possible(instance);
    let mut found: Vec<(i64, i64, usize)> = Vec::new();
    let now = choices[kept].cost.saturating_add(caused(own_site).unwrap_or(0));
    for (ranked_cost, position) in ranked {
        if in_order && found.len() == ALTERNATIVES {
            break;
        }
        picks[stage] = position;
        let (cost, time, late) = if in_order {
            // Nothing but what the stage causes differs.
            let whole = parts.solved.evaluation.cost() - now + ranked_cost;
            let end = dag.followers.moved(instance, &dag.shape, &picks, &parts.solved.evaluation.end, stage);
            let late = instance.stages.iter().zip(&end).any(|(stage, end)| stage.deadline.is_some_and(|by| *end > by));
            (whole, end.into_iter().max().unwrap_or(0), late)
        } else {
            let Some(evaluation) = evaluate(instance, &dag.shape, &picks) else { continue };
            (evaluation.cost(), evaluation.makespan, instance.lateness(&evaluation) > 0)
        };
        let keeps_limits =
            instance.budget.is_none_or(|limit| cost <= limit) && instance.deadline.is_none_or(|limit| time <= limit);
        let keeps_caps =
            !late && together::over(instance, &picks) == 0 && together::clash(instance, &dag.shape, &picks).is_none();
        if keeps_limits && keeps_caps {
            found.push((cost, time, position));
        }
    }
    found.sort_unstable();
    let alternative = |(cost, time, position): (i64, i64, usize)| {
        let offer = offer_of(parts, stage, position);
        Alternative {
            place: parts.catalog.place(offer).name.clone(),
            instance_type: parts.catalog.machine(offer).instance_type.clone(),
            purchase: offer.purchase,
            rate_nano_usd_per_hour: hourly(parts.catalog, offer),
            total_cost_micro_usd: money(cost),
            makespan_ms: millis(time),
            country: None,
            accelerator: None,
            usage: None,
            billing: Billing::default(),
            duration_ms: Millis(0),
            boot_ms: Millis(0),
            cost_micro_usd: Money(0),
            counted_with_others: false,
        }
    };
    found.into_iter().take(ALTERNATIVES).map(alternative).collect()
}

fn planned_transfers(parts: &Parts<'_>) -> Vec<PlannedTransfer> {
    let Parts { catalog, compiled, solved, .. } = parts;
    let instance = &compiled.instance;
    let site_of = |stage: usize| instance.stages[stage].choices[solved.picks[stage]].site;
    let place = |site: usize| catalog.places[compiled.sites[site] as usize].name.clone();
    let Evaluation { copies, .. } = &solved.evaluation;
    let transfer = |copy: &crate::problem::evaluate::Copy| {
        let artifact = &instance.artifacts[copy.artifact];
        let readers = artifact.readers.iter().filter(|reader| site_of(**reader) == copy.to);
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
            rate_nano_usd_per_gb: class.map_or(DataRate(0), |class| last_rate(parts, class, artifact.bytes)),
        }
    };
    copies.iter().map(transfer).collect()
}

fn last_rate(parts: &Parts<'_>, class: u16, bytes: Bytes) -> DataRate {
    parts.compiled.instance.links.tariffs[usize::from(class)].tariff.last_rate(bytes)
}

fn planned_datasets(job: &Job) -> std::collections::BTreeMap<String, PlannedDataset> {
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
    let mut warnings = compile::unknown_alternatives(job, catalog);
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
    warnings.extend(unmatched("clouds", &policy.clouds, catalog, |place| place.name.cloud.clone()));
    warnings.extend(unmatched("places", &policy.places, catalog, |place| place.name.to_string()));
    warnings.extend(unknown_in_accounts(policy, catalog));
    let taken = compiled.instance.stages.iter().zip(&solved.picks).zip(&compiled.candidates);
    let taken = taken.map(|((stage, pick), candidates)| &candidates[stage.choices[*pick].tag]);
    warnings.extend(compile::assumptions(taken, catalog));
    warnings.extend(handed_on(compiled, solved));
    warnings
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

/// Clouds, places and accelerators of accounts, quotas and links that the catalog does not have.
fn unknown_in_accounts(policy: &Policy, catalog: &Catalog) -> Vec<String> {
    let clouds: BTreeSet<&str> = catalog.places.iter().map(|place| place.name.cloud.as_str()).collect();
    let places: Vec<String> = catalog.places.iter().map(|place| place.name.to_string()).collect();
    let place = |pattern: &Pattern| places.iter().any(|name| pattern.matches(name));
    let known = |pattern: &Pattern| clouds.contains(pattern.0.as_str()) || place(pattern);
    let accounts = policy.accounts.keys().filter(|cloud| !clouds.contains(cloud.as_str()));
    let mut warnings: Vec<String> =
        accounts.map(|cloud| format!("accounts: the catalog has no cloud `{cloud}`")).collect();
    for (pattern, quota) in &policy.quotas {
        if !known(pattern) {
            warnings.push(format!("quotas: `{pattern}` matches nothing in the catalog"));
        }
        let unknown = quota.by_accelerator.keys().filter(|name| catalog.accelerator_name(name).is_none());
        warnings.extend(unknown.map(|name| format!("quotas of `{pattern}`: the catalog has no accelerator `{name}`")));
    }
    let ends: BTreeSet<&Pattern> = policy.links.iter().flat_map(|link| [&link.from, &link.to]).collect();
    let unknown = ends.into_iter().filter(|end| !place(end));
    warnings.extend(unknown.map(|end| format!("links: `{end}` matches nothing in the catalog")));
    warnings
}

/// Patterns of the policy that match no place of the catalog.
fn unmatched(table: &str, rule: &Allowance, catalog: &Catalog, name: impl Fn(&Place) -> String) -> Vec<String> {
    let names: BTreeSet<String> = catalog.places.iter().map(name).collect();
    let said = |list: &str, pattern: &Pattern| {
        let unknown = !names.iter().any(|name| pattern.matches(name));
        unknown.then(|| format!("{table}.{list} `{pattern}` matches nothing in the catalog"))
    };
    let allowed = rule.allow.iter().flatten().filter_map(|pattern| said("allow", pattern));
    allowed.chain(rule.deny.iter().filter_map(|pattern| said("deny", pattern))).collect()
}
