//! From a solved placement to a plan.

use super::alternatives::Dag;
use super::offer_fields::extras_at;
use super::old_prices;
use super::plan_parts::{Parts, SolverName};
use super::plan_warnings::plan_warnings;
use super::planned_links::planned_links;
use super::planned_stage::planned_stage;
use crate::model::units::saturate_unsigned;
use crate::model::{Bytes, Gigabyte, Job, Money};
use crate::plan::*;
use crate::planning::compile;
use crate::planning::problem::{Evaluation, SOLVER_SEED, SiteId, StageId, Transfer, worth};
use crate::util::id_vec::Id;
use std::collections::BTreeMap;

/// Writes the plan down.
pub(super) fn assemble(parts: &Parts<'_>, solver: &SolverName) -> Plan {
    // Alternatives may be offers that are not worth planning.
    let extended = compile::with_spares(
        parts.compiled,
        parts.policy,
        parts.catalog,
        &parts.solved.placement,
    );
    let extended_parts = &Parts {
        compiled: &extended,
        ..parts.clone()
    };
    let Parts {
        job,
        policy,
        catalog,
        compiled,
        solved,
        single,
        ..
    } = extended_parts;
    let evaluation = &solved.evaluation;
    let dag = Dag::of(&compiled.instance, &solved.placement);
    let mut stages: Vec<PlannedStage> = compiled
        .stages
        .ids()
        .map(|stage| planned_stage(extended_parts, &dag, stage))
        .collect();
    let links = planned_links(extended_parts, &stages);
    let totals = plan_totals(evaluation, &stages);
    stages.sort_by(|a, b| (a.start_ms, &a.name).cmp(&(b.start_ms, &b.name)));
    let mut transfers: Vec<PlannedTransfer> = planned_transfers(extended_parts);
    transfers
        .sort_by(|a, b| (a.start_ms, &a.artifact, &a.to).cmp(&(b.start_ms, &b.artifact, &b.to)));
    let old_prices = old_prices::of(extended_parts, &stages, &transfers, evaluation.cost());
    let has_estimate =
        |stage: &&PlannedStage| stage.disk_micro_usd.0 > 0 && extras_at(catalog, &stage.place).1;
    let estimated_disks = stages
        .iter()
        .filter(has_estimate)
        .map(|stage| stage.name.clone())
        .collect();
    Plan {
        old_prices,
        estimated_disks,
        format_version: FORMAT_VERSION.to_owned(),
        sky_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: job.name.clone(),
        inputs: extended_parts.inputs.clone(),
        objective: PlannedObjective::of(policy.minimize, policy.hour),
        limits: Limits {
            deadline_ms: policy.deadline,
            budget_micro_usd: policy.budget,
            hour_nano_usd: policy.hour,
        },
        stages,
        transfers,
        datasets: planned_datasets(job),
        totals,
        single_cloud: single.clone(),
        solver: solver_report(extended_parts, solver),
        considered: candidates_considered(extended_parts),
        warnings: plan_warnings(extended_parts),
        links,
        from_state: extended_parts.from_state.cloned(),
        // Whoever has the files at hand names their content: planning reads none.
        contents: Contents::default(),
        digest: None,
    }
}

fn plan_totals(evaluation: &Evaluation, stages: &[PlannedStage]) -> Totals {
    let disks: Money = stages.iter().map(|stage| stage.disk_micro_usd).sum();
    let addresses: Money = stages.iter().map(|stage| stage.address_micro_usd).sum();
    Totals {
        cost_micro_usd: evaluation.cost(),
        compute_micro_usd: evaluation.compute - disks - addresses,
        egress_micro_usd: evaluation.egress,
        storage_micro_usd: evaluation.storage,
        disk_micro_usd: disks,
        address_micro_usd: addresses,
        makespan_ms: evaluation.makespan,
    }
}

fn candidates_considered(parts: &Parts<'_>) -> Considered {
    let candidate_counts = &parts.compiled.counts;
    Considered {
        clouds: candidate_counts.clouds,
        places: candidate_counts.places,
        offers: parts.catalog.offers.len() as u64,
        candidates: candidate_counts.candidates,
        kept: candidate_counts.kept,
    }
}

fn solver_report(parts: &Parts<'_>, solver: &SolverName) -> SolverReport {
    let solved = parts.solved;
    let proof = &solved.proof;
    let (value, bound) = match proof.time_bound {
        Some(bound) => (solved.evaluation.makespan.signed(), bound.signed()),
        None => {
            let time_worth = worth(&parts.compiled.instance, solved.evaluation.makespan);
            (
                (solved.evaluation.cost() + time_worth).0,
                proof.cost_bound.0,
            )
        }
    };
    let missing_parts = i128::from(value.saturating_sub(bound).max(0)) * 1_000_000;
    // Rounded up: a gap is never understated.
    let gap = (missing_parts + i128::from(value.max(1)) - 1) / i128::from(value.max(1));
    SolverReport {
        name: solver.name.to_owned(),
        version: solver.version.clone(),
        status: if proof.optimal { "optimal" } else { "feasible" }.to_owned(),
        bound_micro_usd: proof.cost_bound,
        bound_ms: proof.time_bound,
        gap: saturate_unsigned(gap),
        seed: SOLVER_SEED,
        threads: 1,
        time_limited: false,
    }
}

fn planned_transfers(parts: &Parts<'_>) -> Vec<PlannedTransfer> {
    let Parts {
        catalog,
        compiled,
        solved,
        ..
    } = parts;
    let instance = &compiled.instance;
    let site_of = |stage: StageId| instance.stages[stage].choices[solved.placement[stage]].site;
    let place = |site: SiteId| catalog.places[compiled.sites[site] as usize].name.clone();
    let Evaluation { transfers, .. } = &solved.evaluation;
    let planned_transfer = |transfer: &Transfer| {
        let artifact = &instance.artifacts[transfer.artifact];
        // Stages after those of the job stand for bringing an output home.
        let stages = artifact
            .readers
            .iter()
            .filter(|reader| reader.index() < compiled.stages.len());
        let readers = stages.filter(|reader| site_of(**reader) == transfer.to);
        let (from, to) = (compiled.sites[transfer.from], compiled.sites[transfer.to]);
        let class = instance.links.class(transfer.from, transfer.to);
        PlannedTransfer {
            artifact: compiled.artifacts[transfer.artifact].clone(),
            from: place(transfer.from),
            to: place(transfer.to),
            bytes: artifact.bytes,
            readers: readers
                .map(|reader| compiled.stages[*reader].clone())
                .collect(),
            start_ms: transfer.start,
            duration_ms: transfer.duration,
            cost_micro_usd: transfer.cost,
            storage_micro_usd: transfer.kept,
            rate_nano_usd_per_gb: transfer.last_rate,
            bits_per_second: instance.links.bandwidth
                [instance.links.pair(transfer.from, transfer.to)]
            .0,
            assumed_speed: compile::speed(catalog, parts.policy, from, to).is_none(),
            shared_link_bytes: Bytes(artifact.link_bytes.0.saturating_sub(artifact.bytes.0)),
            billed_gb_bytes: class.map_or(Gigabyte::DECIMAL, |class| {
                instance.links.tariffs[class].tariff.gigabyte()
            }),
        }
    };
    transfers.iter().map(planned_transfer).collect()
}

fn planned_datasets(job: &Job) -> BTreeMap<String, PlannedDataset> {
    let planned = |dataset: &crate::model::Dataset| PlannedDataset {
        at: dataset.at.clone(),
        path: dataset.path.clone(),
        bytes: dataset.size,
        labels: dataset.labels.clone(),
    };
    job.datasets
        .iter()
        .map(|(name, dataset)| (name.clone(), planned(dataset)))
        .collect()
}
