//! The exact figures of a finished placement: the only place where they are computed while
//! planning. Solvers' own floating-point figures are never used.

use super::ids::{ArtifactId, Placement, SiteId, StageId};
use super::instance::{Artifact, Instance, Origin, Shape, StageChoices, StageInput};
use super::routes::{self, Routes};
use crate::model::units::{MS_PER_HOUR, div_half_even, saturate};
use crate::model::{Bytes, DataRate, Millis, Money, Objective};
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// Cost and schedule of one placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What all machines cost together, without the keeping of artifacts.
    pub compute: Money,
    /// Keeping artifacts, where they are made and at every place that they are copied to.
    pub storage: Money,
    /// What all transfers cost together, without the keeping of artifacts.
    pub egress: Money,
    /// The latest end of a stage.
    pub makespan: Millis,
    /// By stage.
    pub start: IdVec<StageId, Millis>,
    /// By stage: the time from the start of the job to the end of the stage.
    pub end: IdVec<StageId, Millis>,
    /// Every paid or free transfer to another site, by artifact, then by destination.
    pub transfers: Vec<Transfer>,
}

/// One artifact brought to one other site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The artifact that is brought.
    pub artifact: ArtifactId,
    /// A site that has the artifact by `start`: its origin, or one that gets one too.
    pub from: SiteId,
    /// The site that the artifact is brought to.
    pub to: SiteId,
    /// The time at which the artifact is at `from`.
    pub start: Millis,
    /// How long the bytes take on the way.
    pub duration: Millis,
    /// The egress cost; in a pool with tiers, the share of this transfer when transfers are counted
    /// in their order.
    pub cost: Money,
    /// The price of the last gigabyte, counted like `cost`.
    pub last_rate: DataRate,
    /// The cost of keeping the artifact at `to`.
    pub kept: Money,
}

impl Evaluation {
    /// Compute, storage and egress.
    pub fn cost(&self) -> Money {
        self.compute + self.storage + self.egress
    }
}

/// Returns what a makespan is worth to `instance`.
pub fn worth(instance: &Instance, makespan: Millis) -> Money {
    let time_worth = div_half_even(
        i128::from(makespan.0) * i128::from(instance.hour.0),
        MS_PER_HOUR,
    );
    Money(saturate(time_worth))
}

impl Instance {
    /// Returns the figure that is minimised: the makespan in milliseconds, or the cost and what the
    /// makespan is worth in micro-USD.
    pub fn score(&self, evaluation: &Evaluation) -> i64 {
        match self.minimize {
            Objective::Cost => (evaluation.cost() + worth(self, evaluation.makespan)).0,
            Objective::Time => evaluation.makespan.signed(),
        }
    }

    /// By how much stages end after their own deadlines, in sum; the job's deadline is not in it.
    pub fn lateness(&self, evaluation: &Evaluation) -> Millis {
        let lateness_of = |(stage, end): (&StageChoices, &Millis)| {
            stage.deadline.map_or(Millis(0), |deadline| *end - deadline)
        };
        self.stages
            .iter()
            .zip(&evaluation.end)
            .map(lateness_of)
            .sum()
    }
}

/// Cost and schedule when stage `s` takes `instance.stages[s].choices[placement[s]]`, every
/// transfer on its cheapest route ([`routes::cheapest`]), or all straight from their origins if
/// that alone keeps the deadlines, or is better. `None` if a transfer would use a forbidden link.
pub fn evaluate(instance: &Instance, shape: &Shape, placement: &Placement) -> Option<Evaluation> {
    let routes = routes::cheapest(instance, placement);
    let cheap = evaluate_on(instance, shape, placement, &routes)?;
    let is_timed =
        instance.deadline.is_some() || instance.stages.iter().any(|stage| stage.deadline.is_some());
    let may_differ = is_timed
        || instance.hour != Money(0)
        || instance.minimize == Objective::Time
        || !instance.links.pools.is_empty();
    if routes.is_empty() || !may_differ {
        return Some(cheap);
    }
    let straight = evaluate_on(instance, shape, placement, &Routes::new())?;
    let rank_of = |found: &Evaluation| {
        let late_by = instance
            .deadline
            .map_or(Millis(0), |deadline| found.makespan - deadline);
        let over_budget = instance
            .budget
            .map_or(Money(0), |budget| (found.cost() - budget).max(Money(0)));
        (
            late_by + instance.lateness(found),
            over_budget,
            instance.score(found),
            found.cost(),
            found.makespan,
        )
    };
    Some(if rank_of(&straight) < rank_of(&cheap) {
        straight
    } else {
        cheap
    })
}

/// Evaluates a placement as [`evaluate`] does, with transfers on given routes; what is not in
/// `routes` comes from its origin. `None` also if a transfer would come from where nobody reads the
/// artifact.
pub fn evaluate_on(
    instance: &Instance,
    shape: &Shape,
    placement: &Placement,
    routes: &Routes,
) -> Option<Evaluation> {
    let site = |stage: StageId| instance.stages[stage].choices[placement[stage]].site;
    let Schedule { start, end } = schedule_stages(instance, shape, placement, routes);
    let mut volumes = instance.links.pools.map(|pool| pool.used.0);
    let mut transfers = Vec::new();
    for (index, artifact) in instance.artifacts.iter_enumerated() {
        let (origin, ready) = match artifact.origin {
            Origin::Site(from) => (from, Millis(0)),
            Origin::Stage(stage) => (site(stage), end[stage]),
        };
        let holders = routes::destinations(artifact, origin, site);
        for &to in &holders {
            let from_site = match routes.get(&(index, to)) {
                // Whoever has no transfer of its own cannot hand one on.
                Some(holder) if !holders.contains(holder) => return None,
                Some(holder) => *holder,
                None => origin,
            };
            let price = &instance.links.tariffs[instance.links.class(from_site, to)?];
            let kept_cost = price.kept(artifact.bytes);
            let (cost, last_rate) = match price.pool {
                Some(pool) => {
                    let volume_before = volumes[pool];
                    let volume_after = volume_before.saturating_add(artifact.bytes.0);
                    volumes[pool] = volume_after;
                    let tariff = &instance.links.pools[pool].tariff;
                    let cost = tariff.cost(Bytes(volume_after)) - tariff.cost(Bytes(volume_before));
                    (cost, tariff.last_rate(Bytes(volume_after)))
                }
                None => (
                    price.cost(artifact.bytes) - kept_cost,
                    price.tariff.last_rate(artifact.bytes),
                ),
            };
            let start = ready + travel(instance, routes, index, origin, from_site);
            let duration = instance.links.time(from_site, to, artifact.link_bytes);
            transfers.push(Transfer {
                artifact: index,
                from: from_site,
                to,
                start,
                duration,
                cost,
                last_rate,
                kept: kept_cost,
            });
        }
    }
    let chosen_choices = || {
        let stages = instance.stages.iter().zip(placement);
        stages.map(|(stage, pick)| stage.choices[*pick])
    };
    let compute = chosen_choices()
        .map(|choice| choice.cost - choice.storage)
        .sum();
    let storage = chosen_choices().map(|choice| choice.storage).sum::<Money>()
        + transfers
            .iter()
            .map(|transfer| transfer.kept)
            .sum::<Money>();
    let egress = transfers.iter().map(|transfer| transfer.cost).sum();
    let makespan = end.iter().copied().fold(Millis(0), Ord::max);
    Some(Evaluation {
        compute,
        storage,
        egress,
        makespan,
        start,
        end,
        transfers,
    })
}

/// By stage: when it starts and ends.
struct Schedule {
    start: IdVec<StageId, Millis>,
    end: IdVec<StageId, Millis>,
}

/// Works out when stages start and end.
fn schedule_stages(
    instance: &Instance,
    shape: &Shape,
    placement: &Placement,
    routes: &Routes,
) -> Schedule {
    let mut start = placement.map(|_| Millis(0));
    let mut stage_ends = placement.map(|_| Millis(0));
    for &stage in &shape.order {
        let choice = instance.stages[stage].choices[placement[stage]];
        start[stage] = ready(
            instance,
            shape,
            routes,
            placement,
            &stage_ends,
            stage,
            choice.site,
        );
        stage_ends[stage] = start[stage] + choice.duration;
    }
    Schedule {
        start,
        end: stage_ends,
    }
}

/// Who waits for each stage, and the order of all.
#[derive(Clone, Debug)]
pub struct Followers {
    after: IdVec<StageId, Vec<StageId>>,
    /// By stage: its place in the order.
    rank: IdVec<StageId, usize>,
}

impl Followers {
    /// Works out from the shape of a DAG which stages wait for which.
    pub fn new(shape: &Shape) -> Self {
        let mut readers_after = shape.inputs.map(|_| Vec::new());
        for (stage, inputs) in shape.inputs.iter_enumerated() {
            for StageInput { origin, .. } in inputs {
                if let Origin::Stage(before) = origin {
                    readers_after[*before].push(stage);
                }
            }
        }
        let mut stage_ranks = shape.inputs.map(|_| 0);
        shape
            .order
            .iter()
            .enumerate()
            .for_each(|(at, stage)| stage_ranks[*stage] = at);
        Self {
            after: readers_after,
            rank: stage_ranks,
        }
    }

    /// Returns the stages that wait for a stage, once for each thing that they wait for.
    pub(super) fn after(&self, stage: StageId) -> &[StageId] {
        &self.after[stage]
    }

    /// Ends by stage when `stage` alone was picked anew, where all transfers come straight from
    /// their origins; `end`: those before. Only what its change reaches is looked at.
    pub fn moved(
        &self,
        instance: &Instance,
        shape: &Shape,
        placement: &Placement,
        end: &IdVec<StageId, Millis>,
        stage: StageId,
    ) -> IdVec<StageId, Millis> {
        let mut moved_ends = end.clone();
        let mut open_stages = BTreeSet::from([(self.rank[stage], stage)]);
        while let Some((_, next)) = open_stages.pop_first() {
            let choice = instance.stages[next].choices[placement[next]];
            let new = ready(
                instance,
                shape,
                &Routes::new(),
                placement,
                &moved_ends,
                next,
                choice.site,
            ) + choice.duration;
            // Those after the stage itself wait for its transfers from another site.
            if std::mem::replace(&mut moved_ends[next], new) != new || next == stage {
                open_stages.extend(
                    self.after[next]
                        .iter()
                        .map(|after| (self.rank[*after], *after)),
                );
            }
        }
        moved_ends
    }
}

/// When a stage could start at the site `to`: when all that it waits for has arrived there. Of the
/// stages before it, only placements and ends are looked at.
pub fn ready(
    instance: &Instance,
    shape: &Shape,
    routes: &Routes,
    placement: &Placement,
    end: &IdVec<StageId, Millis>,
    stage: StageId,
    to: SiteId,
) -> Millis {
    let arrivals = shape.inputs[stage]
        .iter()
        .map(|StageInput { origin, artifact }| {
            let (from, ready) = match origin {
                Origin::Site(from) => (*from, Millis(0)),
                Origin::Stage(before) => (
                    instance.stages[*before].choices[placement[*before]].site,
                    end[*before],
                ),
            };
            match artifact {
                Some(artifact) => ready + travel(instance, routes, *artifact, from, to),
                None => ready,
            }
        });
    arrivals.fold(Millis(0), Ord::max)
}

/// From when an artifact is ready until it has arrived.
fn travel(
    instance: &Instance,
    routes: &Routes,
    artifact: ArtifactId,
    origin: SiteId,
    to: SiteId,
) -> Millis {
    let bytes = instance.artifacts[artifact].link_bytes;
    if routes.is_empty() {
        return instance.links.time(origin, to, bytes);
    }
    let mut hop_site = to;
    let mut time = Millis(0);
    // Routes are trees; were they not, the walk would end all the same.
    for _ in 0..=routes.len() {
        match routes
            .get(&(artifact, hop_site))
            .filter(|_| hop_site != origin)
        {
            None => break,
            Some(holder) => {
                time += instance.links.time(*holder, hop_site, bytes);
                hop_site = *holder;
            }
        }
    }
    time + instance.links.time(origin, hop_site, bytes)
}

/// By stage: the artifacts that it makes or reads.
pub fn artifacts_by_stage(instance: &Instance) -> IdVec<StageId, Vec<ArtifactId>> {
    let mut by_stage = instance.stages.map(|_| Vec::new());
    for (index, artifact) in instance.artifacts.iter_enumerated() {
        if let Origin::Stage(stage) = artifact.origin {
            by_stage[stage].push(index);
        }
        artifact
            .readers
            .iter()
            .for_each(|reader| by_stage[*reader].push(index));
    }
    by_stage
}

/// Readers of one artifact that are at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadersAtSite {
    /// The site that the readers run at.
    pub site: SiteId,
    /// How many readers of the artifact run there; at least one.
    pub count: usize,
}

/// Returns, by artifact, the sites of its readers, ascending, and how many are there.
pub fn spread(instance: &Instance, placement: &Placement) -> IdVec<ArtifactId, Vec<ReadersAtSite>> {
    let site = |stage: &StageId| instance.stages[*stage].choices[placement[*stage]].site;
    let count = |artifact: &Artifact| {
        let mut sites: Vec<SiteId> = artifact.readers.iter().map(site).collect();
        sites.sort_unstable();
        sites
            .chunk_by(|a, b| a == b)
            .map(|chunk| ReadersAtSite {
                site: chunk[0],
                count: chunk.len(),
            })
            .collect()
    };
    instance.artifacts.map(count)
}

/// Returns what the transfers cost that a stage at the site `to` would cause, all other stages as
/// they are picked, and each transfer on its own, straight from its origin: those that it alone
/// reads there, and all of what it makes. `None`: one of them is forbidden.
pub fn caused(
    instance: &Instance,
    stage_artifacts: &[ArtifactId],
    spread: &IdVec<ArtifactId, Vec<ReadersAtSite>>,
    placement: &Placement,
    stage: StageId,
    to: SiteId,
) -> Option<Money> {
    let site = |stage: StageId| instance.stages[stage].choices[placement[stage]].site;
    let mut cost = Money(0);
    for index in stage_artifacts {
        let artifact = &instance.artifacts[*index];
        let from_site = match artifact.origin {
            Origin::Stage(maker) if maker == stage => {
                for readers in spread[*index].iter().filter(|readers| readers.site != to) {
                    let transfer = instance.links.cost(to, readers.site, artifact.bytes)?;
                    cost += transfer;
                }
                continue;
            }
            Origin::Stage(maker) => site(maker),
            Origin::Site(from) => from,
        };
        let readers_there = spread[*index]
            .iter()
            .find(|readers| readers.site == to)
            .map_or(0, |readers| readers.count);
        if to != from_site && readers_there <= usize::from(site(stage) == to) {
            cost += instance.links.cost(from_site, to, artifact.bytes)?;
        }
    }
    Some(cost)
}

/// Returns what a stage and all transfers of its artifacts cost: the part of the total that
/// its choice decides. More than anything for a forbidden link.
pub fn local_cost(
    instance: &Instance,
    stage_artifacts: &[ArtifactId],
    placement: &Placement,
    stage: StageId,
) -> Money {
    let site = |stage: StageId| instance.stages[stage].choices[placement[stage]].site;
    let mut cost = instance.stages[stage].choices[placement[stage]].cost;
    let mut paid: Vec<SiteId> = Vec::new();
    for index in stage_artifacts {
        let artifact = &instance.artifacts[*index];
        let from_site = match artifact.origin {
            Origin::Site(from) => from,
            Origin::Stage(stage) => site(stage),
        };
        paid.clear();
        for to in artifact.readers.iter().map(|reader| site(*reader)) {
            if to == from_site || paid.contains(&to) {
                continue;
            }
            paid.push(to);
            let Some(transfer) = instance.links.cost(from_site, to, artifact.bytes) else {
                return Money(i64::MAX);
            };
            cost += transfer;
        }
    }
    cost
}
