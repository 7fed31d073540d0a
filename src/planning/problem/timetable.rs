//! When stages run so that concurrent caps hold at every moment.
//!
//! A placement whose stages all start as soon as their inputs are there may use more of a cap at
//! one moment than there is ([`first_overload`]). [`levelled`] starts some stages later, so that
//! every cap holds at every moment. [`capacity_waits`] turns such times into waits of stages for
//! others that hand over what they used. With the waits as further [`Precedence`], every cap holds
//! whatever the durations turn out to be: each unit of a cap passes along one chain of stages, so
//! stages of which none waits for another use different units (a partial order schedule; Policella,
//! Smith, Cesta and Oddi 2004).

use super::concurrency::{ExceededCap, cap_usage};
use super::evaluate::{Followers, ready};
use super::ids::{CapId, Placement, StageId};
use super::instance::{Cap, Instance, Origin, Precedence, Shape, StageInput};
use super::routes::Routes;
use crate::model::Millis;
use crate::util::id_vec::IdVec;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A stage that waits for another one, which hands over what both use of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapacityWait {
    /// The stage that waits.
    pub after: StageId,
    /// The stage that has to end first.
    pub before: StageId,
    /// The cap that both use.
    pub cap: CapId,
}

impl CapacityWait {
    /// Returns the wait as an order of two stages.
    pub fn precedence(&self) -> Precedence {
        Precedence {
            before: self.before,
            after: self.after,
        }
    }
}

/// Returns the orders of an instance with those that waits ask for, each of them once.
pub fn with_waits(orders: &[Precedence], waits: &[CapacityWait]) -> Vec<Precedence> {
    let mut all = orders.to_vec();
    let mut known: BTreeSet<Precedence> = orders.iter().copied().collect();
    let asked = waits.iter().map(CapacityWait::precedence);
    all.extend(asked.filter(|order| known.insert(*order)));
    all
}

/// Which of the stages that could start goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartRule {
    /// The stage with the longest way to the end of the job.
    LongestTail,
    /// The stage that takes longest.
    LongestStage,
    /// The first stage in canonical order.
    CanonicalOrder,
}

/// All rules, the best one in most cases first.
pub const START_RULES: [StartRule; 3] = [
    StartRule::LongestTail,
    StartRule::LongestStage,
    StartRule::CanonicalOrder,
];

/// What a placement uses of concurrent caps: by stage, the caps and the amounts that are not zero.
pub type CapUses = IdVec<StageId, Vec<(CapId, i64)>>;

/// Returns what each stage of a placement uses of the concurrent ones among some caps.
pub fn concurrent_uses(
    caps: &IdVec<CapId, Cap>,
    instance: &Instance,
    placement: &Placement,
) -> CapUses {
    let uses_of = |(stage, choice)| {
        let tag = instance.stages[stage].choices[choice].tag;
        let used = caps
            .iter_enumerated()
            .filter(|(_, cap)| cap.concurrent)
            .map(|(index, cap)| (index, cap_usage(cap, stage, tag)));
        used.filter(|(_, used)| *used > 0).collect()
    };
    placement
        .ids()
        .zip(placement.iter().copied())
        .map(uses_of)
        .collect()
}

/// Returns stages that run at one moment and use more of a cap than there is: the first such moment
/// of a schedule, and as few stages as exceed the cap. `None`: the caps hold at every moment.
pub fn first_overload(
    caps: &IdVec<CapId, Cap>,
    uses: &CapUses,
    start: &IdVec<StageId, Millis>,
    end: &IdVec<StageId, Millis>,
) -> Option<ExceededCap> {
    let mut events: Vec<(Millis, bool, StageId)> = Vec::new();
    for stage in uses.ids().filter(|stage| !uses[*stage].is_empty()) {
        // What ends makes room for what starts at that moment.
        events.push((end[stage], false, stage));
        events.push((start[stage], true, stage));
    }
    events.sort_unstable();
    let mut running: BTreeSet<StageId> = BTreeSet::new();
    let mut used_units = caps.map(|_| 0_i64);
    for (_, starts, stage) in events {
        let sign = if starts { 1 } else { -1 };
        let changed = if starts {
            running.insert(stage)
        } else {
            running.remove(&stage)
        };
        // A stage without duration would end before it starts.
        if !changed {
            continue;
        }
        for (cap, used) in &uses[stage] {
            used_units[*cap] += sign * used;
        }
        let exceeded = uses[stage]
            .iter()
            .find(|(cap, _)| used_units[*cap] > caps[*cap].limit);
        if let Some((cap, _)) = exceeded.filter(|_| starts) {
            return Some(ExceededCap {
                cap: *cap,
                stages: fewest_exceeding(*cap, caps[*cap].limit, uses, &running),
            });
        }
    }
    None
}

/// Returns as few stages of a set as use more of a cap than its limit, in rising order.
fn fewest_exceeding(
    cap: CapId,
    limit: i64,
    uses: &CapUses,
    running: &BTreeSet<StageId>,
) -> Vec<StageId> {
    let used_of = |stage: StageId| {
        let found = uses[stage].iter().find(|(used_cap, _)| *used_cap == cap);
        found.map_or(0, |(_, used)| *used)
    };
    let mut by_use: Vec<StageId> = running.iter().copied().collect();
    by_use.sort_by_key(|stage| (Reverse(used_of(*stage)), *stage));
    let mut total = 0_i64;
    let mut stages = Vec::new();
    for stage in by_use {
        if total > limit {
            break;
        }
        total += used_of(stage);
        stages.push(stage);
    }
    stages.sort_unstable();
    stages
}

/// When the stages of a placement start and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// By stage: when it starts.
    pub start: IdVec<StageId, Millis>,
    /// By stage: when it ends.
    pub end: IdVec<StageId, Millis>,
}

/// Returns times at which concurrent caps hold: each stage starts as soon as its inputs are there
/// and there is room for it, those that `rule` prefers first (parallel schedule generation; Kolisch
/// 1996). A stage that alone exceeds a cap never starts, and has the times 0.
pub fn levelled(
    instance: &Instance,
    caps: &IdVec<CapId, Cap>,
    shape: &Shape,
    placement: &Placement,
    routes: &Routes,
    rule: StartRule,
) -> StageTimes {
    let stages_before = |inputs: &Vec<StageInput>| {
        let stages = inputs
            .iter()
            .filter(|input| matches!(input.origin, Origin::Stage(_)));
        stages.count()
    };
    let mut simulation = Simulation {
        instance,
        shape,
        placement,
        routes,
        followers: Followers::new(shape),
        urgency: urgency(instance, shape, placement, rule),
        free_units: caps.map(|cap| cap.limit),
        uses: concurrent_uses(caps, instance, placement),
        waiting_for: shape.inputs.map(stages_before),
        times: StageTimes {
            start: placement.map(|_| Millis(0)),
            end: placement.map(|_| Millis(0)),
        },
        events: BinaryHeap::new(),
        eligible: BTreeMap::new(),
    };
    simulation.run();
    simulation.times
}

/// Returns who hands over to whom what stages use of concurrent caps, for times at which the caps
/// hold. Nothing is said of stages that wait for each other by the shape of the job.
pub fn capacity_waits(
    caps: &IdVec<CapId, Cap>,
    uses: &CapUses,
    shape: &Shape,
    times: &StageTimes,
) -> Vec<CapacityWait> {
    let mut by_start: Vec<StageId> = uses
        .ids()
        .filter(|stage| !uses[*stage].is_empty())
        .collect();
    by_start.sort_by_key(|stage| (times.start[*stage], *stage));
    let mut by_end = by_start.clone();
    by_end.sort_by_key(|stage| (times.end[*stage], *stage));
    let mut ended = by_end.into_iter().peekable();
    let mut free_units = caps.map(|cap| FreeUnits::all(cap.limit));
    let mut waits = Vec::new();
    for after in by_start {
        while let Some(before) = ended.next_if(|stage| times.end[*stage] <= times.start[after]) {
            for (cap, used) in &uses[before] {
                free_units[*cap].give_back(before, *used);
            }
        }
        let inputs = &shape.inputs[after];
        let is_before = |other: StageId| {
            inputs
                .iter()
                .any(|input| input.origin == Origin::Stage(other))
        };
        for (cap, used) in &uses[after] {
            let from_stages = free_units[*cap].take(*used, is_before);
            waits.extend(from_stages.into_iter().map(|before| CapacityWait {
                after,
                before,
                cap: *cap,
            }));
        }
    }
    waits.sort_unstable();
    waits
}

/// By stage: how urgent a rule takes it to be; the largest number starts first.
fn urgency(
    instance: &Instance,
    shape: &Shape,
    placement: &Placement,
    rule: StartRule,
) -> IdVec<StageId, i64> {
    let choice = |stage: StageId| instance.stages[stage].choices[placement[stage]];
    match rule {
        StartRule::CanonicalOrder => placement.map(|_| 0),
        StartRule::LongestStage => placement
            .ids()
            .map(|stage| choice(stage).duration.signed())
            .collect(),
        StartRule::LongestTail => {
            let mut tails: IdVec<StageId, i64> = placement
                .ids()
                .map(|stage| choice(stage).duration.signed())
                .collect();
            for &stage in shape.order.iter().rev() {
                let tail = tails[stage];
                for StageInput { origin, artifact } in &shape.inputs[stage] {
                    let Origin::Stage(before) = *origin else {
                        continue;
                    };
                    let (from, to) = (choice(before).site, choice(stage).site);
                    let travel = artifact.map_or(Millis(0), |artifact| {
                        let bytes = instance.artifacts[artifact].link_bytes;
                        instance.links.time(from, to, bytes)
                    });
                    let through = choice(before).duration.signed() + travel.signed() + tail;
                    tails[before] = tails[before].max(through);
                }
            }
            tails
        }
    }
}

/// Units of a cap that nobody uses now, by the stage that used them last.
struct FreeUnits {
    parcels: Vec<(Option<StageId>, i64)>,
}

impl FreeUnits {
    fn all(limit: i64) -> Self {
        Self {
            parcels: vec![(None, limit)],
        }
    }

    fn give_back(&mut self, stage: StageId, used: i64) {
        self.parcels.push((Some(stage), used));
    }

    /// Takes so many units and returns the stages that used them before: first those that `after`
    /// waits for anyway, then units that nobody has used, then those that were free first.
    fn take(&mut self, wanted: i64, is_before: impl Fn(StageId) -> bool) -> Vec<StageId> {
        self.parcels.sort_by_key(|(stage, _)| match stage {
            Some(stage) if is_before(*stage) => 0,
            None => 1,
            Some(_) => 2,
        });
        let mut missing = wanted;
        let mut taken_from = Vec::new();
        for (stage, units) in &mut self.parcels {
            if missing == 0 {
                break;
            }
            let taken = missing.min(*units);
            *units -= taken;
            missing -= taken;
            taken_from.extend(stage.filter(|stage| !is_before(*stage)));
        }
        self.parcels.retain(|(_, units)| *units > 0);
        taken_from
    }
}

/// What happens to a stage at a moment; ends come before starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ends(StageId),
    InputsArrive(StageId),
}

/// Stages that could start and use the same of every cap, the most urgent first.
type StartQueue = BTreeSet<(Reverse<i64>, StageId)>;

/// A job that is run in time.
struct Simulation<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    placement: &'a Placement,
    routes: &'a Routes,
    followers: Followers,
    urgency: IdVec<StageId, i64>,
    free_units: IdVec<CapId, i64>,
    uses: CapUses,
    waiting_for: IdVec<StageId, usize>,
    times: StageTimes,
    events: BinaryHeap<Reverse<(Millis, Event)>>,
    /// By what they use of the caps.
    eligible: BTreeMap<Vec<(CapId, i64)>, StartQueue>,
}

impl Simulation<'_> {
    fn run(&mut self) {
        for stage in self.placement.ids() {
            if self.waiting_for[stage] == 0 {
                self.expect_inputs(stage);
            }
        }
        while let Some(Reverse((now, event))) = self.events.pop() {
            self.note(event);
            while let Some(Reverse((_, event))) = self
                .events
                .peek()
                .copied()
                .filter(|Reverse((time, _))| *time == now)
            {
                self.events.pop();
                self.note(event);
            }
            while let Some(stage) = self.next_to_start() {
                self.start(stage, now);
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Ends(stage) => {
                for (cap, used) in &self.uses[stage] {
                    self.free_units[*cap] += used;
                }
            }
            Event::InputsArrive(stage) => {
                let queue = self.eligible.entry(self.uses[stage].clone()).or_default();
                queue.insert((Reverse(self.urgency[stage]), stage));
            }
        }
    }

    /// Takes out the most urgent stage that there is room for.
    fn next_to_start(&mut self) -> Option<StageId> {
        let has_room = |uses: &[(CapId, i64)]| {
            uses.iter()
                .all(|(cap, used)| self.free_units[*cap] >= *used)
        };
        let first = self
            .eligible
            .iter()
            .filter(|(uses, _)| has_room(uses))
            .filter_map(|(uses, queue)| Some((*queue.first()?, uses.clone())))
            .min()?;
        let (entry, uses) = first;
        if let Some(queue) = self.eligible.get_mut(&uses) {
            queue.remove(&entry);
            if queue.is_empty() {
                self.eligible.remove(&uses);
            }
        }
        Some(entry.1)
    }

    fn start(&mut self, stage: StageId, now: Millis) {
        for (cap, used) in &self.uses[stage] {
            self.free_units[*cap] -= used;
        }
        let choice = self.instance.stages[stage].choices[self.placement[stage]];
        let end = now + choice.duration;
        self.times.start[stage] = now;
        self.times.end[stage] = end;
        self.events.push(Reverse((end, Event::Ends(stage))));
        for next in self.followers.after(stage).to_vec() {
            self.waiting_for[next] = self.waiting_for[next].saturating_sub(1);
            if self.waiting_for[next] == 0 {
                self.expect_inputs(next);
            }
        }
    }

    /// Notes when the inputs of a stage are there whose predecessors have all started.
    fn expect_inputs(&mut self, stage: StageId) {
        let site = self.instance.stages[stage].choices[self.placement[stage]].site;
        let time = ready(
            self.instance,
            self.shape,
            self.routes,
            self.placement,
            &self.times.end,
            stage,
            site,
        );
        self.events
            .push(Reverse((time, Event::InputsArrive(stage))));
    }
}
