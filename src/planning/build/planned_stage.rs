//! From a stage and the offer that it takes to a stage of a plan.

use super::alternatives::{Dag, alternatives};
use super::offer_fields::{accelerator, billing, hourly, offer_of, usage};
use super::plan_parts::Parts;
use crate::catalog::Catalog;
use crate::model::{Checkpoint, Destination, Job, Millis, Money, Offer, Purchase, dag, fanout};
use crate::plan::{LimitWait, PlannedCheckpoint, PlannedStage, PriceSource, ReplicaOf, SpotTerms};
use crate::planning::compile::{Candidate, Compiled};
use crate::planning::problem::{ArtifactId, Origin, Precedence, SiteId, StageId};
use crate::planning::rule::forbids_home;
use std::collections::BTreeMap;

/// Writes down a stage, its offer, and its alternatives.
pub(super) fn planned_stage(parts: &Parts<'_>, dag: &Dag<'_>, index: StageId) -> PlannedStage {
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
    let offer = offer_of(parts, index, solved.placement[index]);
    let choice = compiled.instance.stages[index].choices[solved.placement[index]];
    let candidate = &compiled.candidates[index][choice.tag];
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let labels = &compiled.labels.of_stage[name];
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
        price_source: price_source(catalog, offer),
        replica: replica_of(written, name),
        start_ms: solved.evaluation.start[index],
        end_ms: solved.evaluation.end[index],
        boot_ms: candidate.boot,
        billed_ms: candidate.billed,
        billing: billing(catalog, offer),
        deadline_ms: stage.deadline,
        spot: (offer.purchase == Purchase::Spot).then(|| spot_terms(candidate)),
        cost_micro_usd: choice.cost - choice.storage - candidate.beside,
        storage_micro_usd: choice.storage,
        boot_disk_gib: catalog.extras_of(offer).map_or(0, |extras| {
            extras.disk_gib(stage.writes.values().copied().sum())
        }),
        extras: candidate.extras,
        disk_micro_usd: candidate.extras.disks(stage.nodes, candidate.billed),
        address_micro_usd: candidate.extras.addresses(stage.nodes, candidate.billed),
        labels: labels.clone(),
        reads: stage.reads.clone(),
        writes: stage.writes.clone(),
        outputs: output_destinations(compiled, index),
        checkpoints_kept_from_home_by: stage
            .checkpoint
            .as_ref()
            .and_then(|_| forbids_home(policy, labels)),
        kept_from_home_by: compiled.results.forbidden[index].clone(),
        after: dag::predecessors(stage)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        waits_for: limit_waits(parts, index),
        wait_ms: wait_time(parts, index),
        run: stage.run.clone(),
        files: stage.files.clone(),
        env: stage.env.clone(),
        secrets: stage.secrets.clone(),
        checkpoint: stage
            .checkpoint
            .as_ref()
            .map(|checkpoint| planned_checkpoint(checkpoint, candidate)),
        retries: stage
            .retries
            .clone()
            .or_else(|| policy.retries.clone())
            .filter(|retries| retries.times > 0),
        alternatives: alternatives(parts, dag, index),
    }
}

/// The stages that a stage waits for so that limits on what runs at once hold.
fn limit_waits(parts: &Parts<'_>, index: StageId) -> Vec<LimitWait> {
    let solved = parts.solved;
    let own_waits = solved.waits.iter().filter(|wait| wait.after == index);
    let mut limit_waits: Vec<LimitWait> = own_waits
        .map(|wait| LimitWait {
            stage: parts.compiled.stages[wait.before].clone(),
            limit: parts.wait_limits[wait.cap].clone(),
        })
        .collect();
    limit_waits.sort_unstable();
    limit_waits.dedup();
    limit_waits
}

/// The time between the arrival of the last input of a stage and its start.
fn wait_time(parts: &Parts<'_>, index: StageId) -> Millis {
    let evaluation = &parts.solved.evaluation;
    if !parts.solved.waits.iter().any(|wait| wait.after == index) {
        return Millis(0);
    }
    let instance = &parts.compiled.instance;
    let site_of =
        |stage: StageId| instance.stages[stage].choices[parts.solved.placement[stage]].site;
    let arrival = |artifact: ArtifactId, from: SiteId, ready: Millis| {
        let to = site_of(index);
        let transfer = evaluation
            .transfers
            .iter()
            .find(|transfer| transfer.artifact == artifact && transfer.to == to);
        match transfer {
            Some(transfer) if from != to => transfer.start + transfer.duration,
            _ => ready,
        }
    };
    let read_artifacts = instance
        .artifacts
        .iter_enumerated()
        .filter(|(_, artifact)| artifact.readers.contains(&index));
    let arrivals = read_artifacts.map(|(artifact, read)| match read.origin {
        Origin::Site(from) => arrival(artifact, from, Millis(0)),
        Origin::Stage(maker) => arrival(artifact, site_of(maker), evaluation.end[maker]),
    });
    let is_wait = |order: &&Precedence| {
        let waits = &parts.solved.waits;
        waits.iter().any(|wait| wait.precedence() == **order)
    };
    let orders = instance
        .precedence
        .iter()
        .filter(|order| order.after == index);
    let ends = orders
        .filter(|order| !is_wait(order))
        .map(|order| evaluation.end[order.before]);
    let ready = arrivals.chain(ends).fold(Millis(0), Ord::max);
    evaluation.start[index] - ready
}

/// Where the outputs of a stage go, by the output's name.
fn output_destinations(compiled: &Compiled, stage: StageId) -> BTreeMap<String, Destination> {
    // Stages and artifacts are both in the order of their names.
    let outputs = &compiled.results.outputs;
    let first_output = outputs.partition_point(|output| output.stage < stage);
    let own_outputs = outputs[first_output..]
        .iter()
        .take_while(|output| output.stage == stage);
    own_outputs
        .map(|output| (output.artifact.file_name().to_owned(), output.destination))
        .collect()
}

/// Which replica of which stage of the written job a stage is; `None`: the stage has only one.
fn replica_of(written: &Job, name: &str) -> Option<ReplicaOf> {
    let (stage, index) = fanout::replica_of(name)?;
    Some(ReplicaOf {
        stage: stage.to_owned(),
        index,
        count: written.stages.get(stage).map_or(1, |stage| stage.count),
    })
}

fn price_source(catalog: &Catalog, offer: &Offer) -> PriceSource {
    let source = &catalog.sources[usize::from(offer.source)];
    PriceSource {
        id: source.id.clone(),
        date: source.date.clone(),
        estimated: offer.estimated,
    }
}

fn spot_terms(candidate: &Candidate) -> SpotTerms {
    SpotTerms {
        monthly_ppm: candidate.monthly,
        assumed: candidate.assumed,
        interruptions_millionths: candidate.interruptions,
        checkpoint_every_ms: candidate.every,
        // An interrupted stage starts again where it was, beside its checkpoint.
        moving_micro_usd: Money(0),
    }
}

fn planned_checkpoint(checkpoint: &Checkpoint, candidate: &Candidate) -> PlannedCheckpoint {
    PlannedCheckpoint {
        every_ms: checkpoint.every.or(candidate.every),
        bytes: checkpoint.size,
    }
}
