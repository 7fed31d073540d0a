//! What is decided before any stage with a choice is placed, and what follows from it for each
//! choice.

use super::choice_effect::ChoiceEffect;
use super::ids::SharedTransferId;
use crate::model::{Millis, Money};
use crate::planning::problem::{
    Artifact, ArtifactId, CandidateId, CapId, ChoiceId, Instance, Origin, Placement, Routes, Shape,
    SiteId, StageId, StageInput, artifacts_by_stage, ready,
};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is decided before any stage with a choice is placed.
pub(super) struct Surroundings {
    /// By stage: it has more than one choice.
    pub open: IdVec<StageId, bool>,
    /// What stages with one choice cost, with their transfers.
    pub base_cost: Money,
    /// When the last of them ends that waits for no open stage.
    pub base_time: Millis,
    /// What is left of each cap for the open stages.
    pub room: IdVec<CapId, i64>,
    /// By stage: artifacts that it makes or reads.
    stage_artifacts: IdVec<StageId, Vec<ArtifactId>>,
    /// By artifact and site: a transfer that several open stages may share.
    pub shared: BTreeMap<(ArtifactId, SiteId), SharedTransferId>,
    /// What each shared transfer costs.
    pub shared_costs: IdVec<SharedTransferId, Money>,
    /// By stage with one choice: its end as far as it waits for no open stage, the longest path
    /// from its end, and its latest end.
    end: IdVec<StageId, Millis>,
    tail: IdVec<StageId, i64>,
    latest: IdVec<StageId, i64>,
    /// By stage: who waits for it, and for which artifact.
    after: IdVec<StageId, Vec<(StageId, Option<ArtifactId>)>>,
    /// By stage, then by candidate: what it uses of which cap.
    uses: IdVec<StageId, BTreeMap<CandidateId, Vec<(CapId, i64)>>>,
    /// No placement at all keeps the stages' own deadlines and the allowed links.
    pub impossible: bool,
}

/// The choice of a stage that has only one.
const ONLY: ChoiceId = ChoiceId::new(0);

/// Later than every deadline, and far from overflow in sums.
const NEVER: i64 = i64::MAX / 4;

/// What follows the end of a stage at a site, as far as stages with one choice do.
struct PathOnward {
    /// The longest path.
    tail: i64,
    /// The latest end of the stage that keeps all deadlines.
    latest: i64,
}

impl Surroundings {
    /// `None`: an open stage waits for another one.
    pub(super) fn of(instance: &Instance, shape: &Shape) -> Option<Self> {
        let open_stages = instance.stages.map(|stage| stage.choices.len() > 1);
        let mut readers_after = instance.stages.map(|_| Vec::new());
        let mut waiting_stages = instance.stages.map(|_| false);
        for &stage in &shape.order {
            for StageInput { origin, artifact } in &shape.inputs[stage] {
                let Origin::Stage(before) = origin else {
                    continue;
                };
                readers_after[*before].push((stage, *artifact));
                waiting_stages[stage] |= waiting_stages[*before] || open_stages[*before];
            }
            if open_stages[stage] && waiting_stages[stage] {
                return None;
            }
        }
        let mut uses: IdVec<StageId, BTreeMap<CandidateId, Vec<(CapId, i64)>>> =
            instance.stages.map(|_| BTreeMap::new());
        for (cap, limit) in instance.caps.iter_enumerated() {
            for (stage, of_stage) in limit.uses.iter_enumerated() {
                for entry in of_stage.iter().filter(|entry| entry.used != 0) {
                    let of_candidate = uses[stage].entry(entry.candidate).or_default();
                    of_candidate.push((cap, entry.used));
                }
            }
        }
        let mut surroundings = Self {
            open: open_stages,
            base_cost: Money(0),
            base_time: Millis(0),
            room: instance.caps.map(|cap| cap.limit),
            stage_artifacts: artifacts_by_stage(instance),
            shared: BTreeMap::new(),
            shared_costs: IdVec::new(),
            end: instance.stages.map(|_| Millis(0)),
            tail: instance.stages.map(|_| 0),
            latest: instance
                .stages
                .map(|stage| stage.deadline.map_or(NEVER, Millis::signed)),
            after: readers_after,
            uses,
            impossible: false,
        };
        surroundings.times(instance, shape, &waiting_stages);
        surroundings.costs(instance);
        Some(surroundings)
    }

    /// Ends, tails and latest ends of stages with one choice.
    fn times(&mut self, instance: &Instance, shape: &Shape, waits: &IdVec<StageId, bool>) {
        let placement = self.open.map(|_| ChoiceId::default());
        for &stage in shape
            .order
            .iter()
            .filter(|stage| !self.open[**stage] && !waits[**stage])
        {
            let choice = instance.stages[stage].choices[ONLY];
            let start = ready(
                instance,
                shape,
                &Routes::new(),
                &placement,
                &self.end,
                stage,
                choice.site,
            );
            self.end[stage] = start + choice.duration;
            self.base_time = self.base_time.max(self.end[stage]);
        }
        for &stage in shape.order.iter().rev().filter(|stage| !self.open[**stage]) {
            let site = instance.stages[stage].choices[ONLY].site;
            let onward = self.onward(instance, stage, site);
            (self.tail[stage], self.latest[stage]) = (onward.tail, onward.latest);
            // What waits for an open stage may be late by its other inputs alone.
            if waits[stage] {
                let fixed = shape.inputs[stage]
                    .iter()
                    .map(|StageInput { origin, artifact }| match origin {
                        Origin::Site(from) => travel(instance, *artifact, *from, site),
                        Origin::Stage(_) => 0,
                    });
                let own_time = instance.stages[stage].choices[ONLY].duration.signed();
                let fixed_end = fixed.fold(0, i64::max) + own_time;
                let through = Millis::from_signed(fixed_end + self.tail[stage]);
                self.base_time = self.base_time.max(through);
                self.impossible |= fixed_end > self.latest[stage];
            }
        }
        for (stage, waiting) in waits
            .iter_enumerated()
            .filter(|(stage, _)| !self.open[*stage])
        {
            if !waiting {
                let stage_end = self.end[stage].signed();
                self.impossible |= stage_end > self.latest[stage];
                let through = Millis::from_signed(stage_end + self.tail[stage]);
                self.base_time = self.base_time.max(through);
            }
        }
    }

    /// The longest path from the end of a stage at a site over stages with one choice, and the
    /// latest end that keeps their deadlines and its own.
    fn onward(&self, instance: &Instance, stage: StageId, site: SiteId) -> PathOnward {
        let mut tail = 0;
        let deadline = instance.stages[stage].deadline;
        let mut latest_end = deadline.map_or(NEVER, Millis::signed);
        for (next, artifact) in self.after[stage]
            .iter()
            .filter(|(next, _)| !self.open[*next])
        {
            let choice = instance.stages[*next].choices[ONLY];
            let time_until =
                travel(instance, *artifact, site, choice.site) + choice.duration.signed();
            tail = tail.max(time_until + self.tail[*next]);
            latest_end = latest_end.min(self.latest[*next] - time_until);
        }
        PathOnward {
            tail,
            latest: latest_end,
        }
    }

    /// Costs that no open stage changes, what is left of caps, and transfers that open stages
    /// share.
    fn costs(&mut self, instance: &Instance) {
        for stage in self.open.ids().filter(|stage| !self.open[*stage]) {
            let choice = instance.stages[stage].choices[ONLY];
            self.base_cost += choice.cost;
            for (cap, used) in self.uses[stage].get(&choice.tag).into_iter().flatten() {
                // Stages that may not run at once with the open ones are the business of other
                // rows.
                if !instance.caps[*cap].concurrent {
                    self.room[*cap] -= used;
                }
            }
        }
        for (index, artifact) in instance.artifacts.iter_enumerated() {
            let Some(origin) = self.fixed_origin(instance, artifact) else {
                continue;
            };
            for to in self
                .fixed_readers(instance, artifact)
                .into_iter()
                .filter(|to| *to != origin)
            {
                match instance.links.cost(origin, to, artifact.bytes) {
                    Some(cost) => self.base_cost += cost,
                    None => self.impossible = true,
                }
            }
            let readers: Vec<StageId> = artifact
                .readers
                .iter()
                .copied()
                .filter(|reader| self.open[*reader])
                .collect();
            if readers.len() < 2 {
                continue;
            }
            let sites = readers
                .iter()
                .flat_map(|reader| instance.stages[*reader].choices.iter().map(|c| c.site));
            for site in sites.collect::<BTreeSet<SiteId>>() {
                if let Some(cost) = instance
                    .links
                    .cost(origin, site, artifact.bytes)
                    .filter(|cost| *cost != Money(0))
                {
                    // Artifacts and sites rise, so the ids are in the order of the map.
                    let transfer = self.shared_costs.push(cost);
                    self.shared.insert((index, site), transfer);
                }
            }
        }
    }

    /// Where an artifact comes from; `None`: from an open stage.
    fn fixed_origin(&self, instance: &Instance, artifact: &Artifact) -> Option<SiteId> {
        match artifact.origin {
            Origin::Site(site) => Some(site),
            Origin::Stage(stage) => {
                (!self.open[stage]).then(|| instance.stages[stage].choices[ONLY].site)
            }
        }
    }

    fn fixed_readers(&self, instance: &Instance, artifact: &Artifact) -> BTreeSet<SiteId> {
        let readers = artifact
            .readers
            .iter()
            .filter(|reader| !self.open[**reader]);
        readers
            .map(|reader| instance.stages[*reader].choices[ONLY].site)
            .collect()
    }

    /// Returns the effects of each choice of an open stage.
    pub(super) fn choices(
        &self,
        instance: &Instance,
        shape: &Shape,
        stage: StageId,
    ) -> IdVec<ChoiceId, ChoiceEffect> {
        let count = if shape.inputs[stage].is_empty() {
            0
        } else {
            self.open.len()
        };
        let placement = Placement::filled(ChoiceId::default(), count);
        let mut at_site: BTreeMap<SiteId, ChoiceEffect> = BTreeMap::new();
        let mut latest_at: BTreeMap<SiteId, i64> = BTreeMap::new();
        for site in instance.stages[stage]
            .choices
            .iter()
            .map(|choice| choice.site)
            .collect::<BTreeSet<SiteId>>()
        {
            let start = ready(
                instance,
                shape,
                &Routes::new(),
                &placement,
                &self.end,
                stage,
                site,
            )
            .signed();
            let PathOnward { tail, latest } = self.onward(instance, stage, site);
            // Until a choice is known, `through` is all of the path but its own time.
            let mut effect_there = ChoiceEffect {
                through: Millis::from_signed(start + tail),
                allowed: true,
                ..ChoiceEffect::default()
            };
            for index in &self.stage_artifacts[stage] {
                self.transfers_at(instance, stage, *index, site, &mut effect_there);
            }
            at_site.insert(site, effect_there);
            latest_at.insert(site, latest - start);
        }
        let choice = |choice: &crate::planning::problem::Choice| {
            let mut effects_there = at_site[&choice.site].clone();
            effects_there.cost += choice.cost;
            effects_there.through += choice.duration;
            effects_there.allowed &= choice.duration.signed() <= latest_at[&choice.site];
            effects_there.uses = self.uses[stage]
                .get(&choice.tag)
                .cloned()
                .unwrap_or_default();
            effects_there
        };
        instance.stages[stage].choices.map(choice)
    }

    /// Adds the transfers of one artifact that a stage at a site causes.
    fn transfers_at(
        &self,
        instance: &Instance,
        stage: StageId,
        index: ArtifactId,
        site: SiteId,
        effect_there: &mut ChoiceEffect,
    ) {
        let artifact = &instance.artifacts[index];
        let fixed_readers = self.fixed_readers(instance, artifact);
        let Some(origin) = self.fixed_origin(instance, artifact) else {
            // The stage makes it, and everybody who reads it has one place.
            for to in fixed_readers.into_iter().filter(|to| *to != site) {
                match instance.links.cost(site, to, artifact.bytes) {
                    Some(cost) => effect_there.cost += cost,
                    None => effect_there.allowed = false,
                }
            }
            return;
        };
        debug_assert!(
            artifact.readers.contains(&stage),
            "a stage touches what it makes or reads"
        );
        if site == origin || fixed_readers.contains(&site) {
            return;
        }
        match (
            instance.links.cost(origin, site, artifact.bytes),
            self.shared.get(&(index, site)),
        ) {
            (None, _) => effect_there.allowed = false,
            (Some(_), Some(transfer)) => effect_there.shared.push(*transfer),
            (Some(cost), None) => effect_there.cost += cost,
        }
    }
}

/// How long an artifact takes from one site to another.
fn travel(instance: &Instance, artifact: Option<ArtifactId>, from: SiteId, to: SiteId) -> i64 {
    artifact.map_or(0, |artifact| {
        instance
            .links
            .time(from, to, instance.artifacts[artifact].link_bytes)
            .signed()
    })
}
