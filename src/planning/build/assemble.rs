//! From a solved placement to a plan.

use super::alternatives::{self, Dag};
use super::offer_fields::{accelerator, billing, extras_at, hourly, offer_of, usage};
use super::old_prices;
use super::plan_parts::{Parts, SolverName};
use super::plan_warnings::plan_warnings;
use crate::model::{Bytes, Destination, Gigabyte, Job, Money, Purchase, dag, fanout};
use crate::plan::*;
use crate::planning::compile::{self, Compiled};
use crate::planning::problem::{Evaluation, SiteId, StageId, Transfer, worth};
use crate::util::id_vec::Id;
use std::collections::BTreeMap;

/// Writes the plan down.
pub(super) fn assemble(parts: &Parts<'_>, solver: &SolverName) -> Plan {
    // Alternatives may be offers that are not worth planning.
    let extended = compile::with_spares(
        parts.compiled,
        parts.policy,
        parts.catalog,
        &parts.solved.picks,
    );
    let parts = &Parts {
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
    } = parts;
    let evaluation = &solved.evaluation;
    let dag = Dag::of(&compiled.instance, &solved.picks);
    let mut stages: Vec<PlannedStage> = compiled
        .stages
        .ids()
        .map(|stage| planned_stage(parts, &dag, stage))
        .collect();
    let ways = alternatives::ways(parts, &stages);
    let disks: Money = stages.iter().map(|stage| stage.disk_micro_usd).sum();
    let addresses: Money = stages.iter().map(|stage| stage.address_micro_usd).sum();
    stages.sort_by(|a, b| (a.start_ms, &a.name).cmp(&(b.start_ms, &b.name)));
    let mut transfers: Vec<PlannedTransfer> = planned_transfers(parts);
    transfers
        .sort_by(|a, b| (a.start_ms, &a.artifact, &a.to).cmp(&(b.start_ms, &b.artifact, &b.to)));
    let old_prices = old_prices::of(parts, &stages, &transfers, evaluation.cost());
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
        inputs: parts.inputs.clone(),
        objective: PlannedObjective::of(policy.minimize, policy.hour),
        limits: Limits {
            deadline_ms: policy.deadline,
            budget_micro_usd: policy.budget,
            hour_nano_usd: policy.hour,
        },
        stages,
        transfers,
        datasets: planned_datasets(job),
        totals: Totals {
            cost_micro_usd: evaluation.cost(),
            compute_micro_usd: evaluation.compute - disks - addresses,
            egress_micro_usd: evaluation.egress,
            storage_micro_usd: evaluation.storage,
            disk_micro_usd: disks,
            address_micro_usd: addresses,
            makespan_ms: evaluation.makespan,
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
        warnings: plan_warnings(parts),
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
        Some(bound) => (solved.evaluation.makespan.signed(), bound.signed()),
        None => {
            let worth = worth(&parts.compiled.instance, solved.evaluation.makespan);
            ((solved.evaluation.cost() + worth).0, proof.cost_bound.0)
        }
    };
    let missing = i128::from(value.saturating_sub(bound).max(0)) * 1_000_000;
    // Rounded up: a gap is never understated.
    let gap = (missing + i128::from(value.max(1)) - 1) / i128::from(value.max(1));
    SolverReport {
        name: solver.name.to_owned(),
        version: solver.version.clone(),
        status: if proof.optimal { "optimal" } else { "feasible" }.to_owned(),
        bound_micro_usd: proof.cost_bound,
        bound_ms: proof.time_bound,
        gap: u64::try_from(gap).unwrap_or(u64::MAX),
        seed: crate::planning::solve::solver::SEED,
        threads: 1,
        time_limited: false,
    }
}

fn planned_stage(parts: &Parts<'_>, dag: &Dag<'_>, index: StageId) -> PlannedStage {
    let Parts {
        job: written,
        policy,
        catalog,
        compiled,
        solved,
        ..
    } = parts;
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
        price_source: PriceSource {
            id: source.id.clone(),
            date: source.date.clone(),
            estimated: offer.estimated,
        },
        copy: fanout::replica_of(name).map(|(of, index)| ReplicaOf {
            stage: of.to_owned(),
            index,
            count: written.stages.get(of).map_or(1, |stage| stage.count),
        }),
        start_ms: solved.evaluation.start[index],
        end_ms: solved.evaluation.end[index],
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
        cost_micro_usd: choice.cost - choice.storage - candidate.beside,
        storage_micro_usd: choice.storage,
        boot_disk_gib: catalog.extras_of(offer).map_or(0, |extras| {
            extras.disk_gib(stage.writes.values().copied().sum())
        }),
        extras: candidate.extras,
        disk_micro_usd: candidate.extras.disks(stage.nodes, candidate.billed),
        address_micro_usd: candidate.extras.addresses(stage.nodes, candidate.billed),
        labels: compiled
            .labels
            .of_stage
            .get(name)
            .cloned()
            .unwrap_or_default(),
        reads: stage.reads.clone(),
        writes: stage.writes.clone(),
        outputs: destinations(compiled, index),
        checkpoints_kept_from_home_by: stage.checkpoint.as_ref().and_then(|_| {
            let labels = compiled
                .labels
                .of_stage
                .get(name)
                .cloned()
                .unwrap_or_default();
            crate::planning::rule::forbids_home(parts.policy, &labels)
        }),
        kept_from_home_by: compiled.results.forbidden[index].clone(),
        after: dag::predecessors(stage)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        run: stage.run.clone(),
        files: stage.files.clone(),
        env: stage.env.clone(),
        secrets: stage.secrets.clone(),
        checkpoint: stage
            .checkpoint
            .as_ref()
            .map(|checkpoint| PlannedCheckpoint {
                every_ms: checkpoint.every.or(candidate.every),
                bytes: checkpoint.size,
            }),
        retries: stage
            .retries
            .clone()
            .or_else(|| policy.retries.clone())
            .filter(|retries| retries.times > 0),
        alternatives: alternatives::alternatives(parts, dag, index),
    }
}

/// Where the outputs of a stage go, by the output's name.
fn destinations(compiled: &Compiled, stage: StageId) -> BTreeMap<String, Destination> {
    // Stages and artifacts are both in the order of their names.
    let outputs = &compiled.results.outputs;
    let first = outputs.partition_point(|output| output.stage < stage);
    let own = outputs[first..]
        .iter()
        .take_while(|output| output.stage == stage);
    own.map(|output| (output.artifact.file_name().to_owned(), output.destination))
        .collect()
}

fn planned_transfers(parts: &Parts<'_>) -> Vec<PlannedTransfer> {
    let Parts {
        catalog,
        compiled,
        solved,
        ..
    } = parts;
    let instance = &compiled.instance;
    let site_of = |stage: StageId| instance.stages[stage].choices[solved.picks[stage]].site;
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
