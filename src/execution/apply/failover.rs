//! The list of alternatives of a stage: the offer that the plan takes, then its alternatives, which
//! the planner has checked. No solver is asked: an offer is taken if it still fits what has
//! happened since.
//!
//! The rules of the policy bind a stage and a place, so what the planner has found to keep them
//! keeps them for good. What may have changed is checked here: the deadline, with the ends of all
//! stages worked out again from what is done and what is left; the budget, when money is set aside;
//! and quotas and spreads, which count stages together and so hold only while all other stages
//! are where the plan puts them.

use super::plan_shape::stages_before;
use crate::execution::state::{State, Status};
use crate::model::{
    ArtifactRef, Bandwidth, Bytes, Extras, Millis, Money, PlaceName, Purchase, Rate, Tee,
};
use crate::plan::{Alternative, Billing, Plan, PlannedStage, PlannedTransfer, Usage};
use crate::util::clock;
use std::collections::{BTreeMap, BTreeSet};

/// An offer that a stage may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageOffer {
    /// 0: as planned; else the alternative of that number, from 1 on.
    pub number: u32,
    /// The place of the machines.
    pub place: PlaceName,
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// The accelerators of a machine, such as `V100:4`.
    pub accelerator: Option<String>,
    /// Whether the machines are bought on demand or as spot.
    pub purchase: Purchase,
    /// What its machine must run with.
    pub tee: Option<Tee>,
    /// The price of a machine.
    pub rate: Rate,
    /// What comes with each machine.
    pub extras: Extras,
    /// How machine time is billed.
    pub billing: Billing,
    /// What a service is paid for that is not time.
    pub usage: Option<Usage>,
    /// From asking for the machines to the end of the stage.
    pub duration: Millis,
    /// Compute only.
    pub cost: Money,
    /// See [`Alternative::counted_with_others`].
    pub counted_with_others: bool,
}

/// Why an offer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Passed {
    /// The offer was tried, and was unavailable.
    #[error("it was unavailable")]
    Exhausted,
    /// A deadline would be missed.
    #[error("it would end at {end}, after the deadline of {deadline}")]
    Late {
        /// When the job would end.
        end: Millis,
        /// The deadline of the job.
        deadline: Millis,
    },
    /// A rule counts the offer together with a stage that is elsewhere than planned.
    #[error(
        "a quota or a spread counts it together with stage.{0}, which is elsewhere than planned"
    )]
    Together(String),
    /// The plan does not say how long the stage takes with the offer.
    #[error("the plan does not say how long it takes there: plan again")]
    Unknown,
}

/// The offers of a stage, in order.
pub fn stage_offers(stage: &PlannedStage) -> Vec<StageOffer> {
    let planned = StageOffer {
        number: 0,
        place: stage.place.clone(),
        instance_type: stage.instance_type.clone(),
        accelerator: stage.accelerator.clone(),
        purchase: stage.purchase,
        tee: stage.tee,
        rate: stage.rate_nano_usd_per_hour,
        extras: stage.extras,
        billing: stage.billing,
        usage: stage.usage,
        duration: Millis(stage.end_ms.0.saturating_sub(stage.start_ms.0)),
        cost: stage.cost_micro_usd,
        counted_with_others: false,
    };
    let alternative = |(number, other): (u32, &Alternative)| StageOffer {
        number,
        place: other.place.clone(),
        instance_type: other.instance_type.clone(),
        accelerator: other.accelerator.clone(),
        purchase: other.purchase,
        tee: other.tee,
        rate: other.rate_nano_usd_per_hour,
        extras: other.extras,
        billing: other.billing,
        usage: other.usage,
        duration: other.duration_ms,
        cost: other.cost_micro_usd,
        counted_with_others: other.counted_with_others,
    };
    std::iter::once(planned)
        .chain((1..).zip(&stage.alternatives).map(alternative))
        .collect()
}

/// Whether the plan's stage may take an offer now, but for the budget. `elapsed` is the time since
/// the job began.
pub fn check_offer(
    plan: &Plan,
    state: &State,
    stage: &PlannedStage,
    stage_offer: &StageOffer,
    elapsed: Millis,
) -> Result<(), Passed> {
    if stage_offer.number == 0 {
        return Ok(());
    }
    if stage_offer.duration.0 == 0 {
        return Err(Passed::Unknown);
    }
    if stage_offer.counted_with_others
        && let Some(other) = plan
            .stages
            .iter()
            .find(|other| other.name != stage.name && is_elsewhere(state, &other.name))
    {
        return Err(Passed::Together(other.name.clone()));
    }
    check_deadlines(plan, state, stage, stage_offer, elapsed)
}

/// Whether a stage was or is somewhere else than its plan says.
fn is_elsewhere(state: &State, stage: &str) -> bool {
    let record = state
        .stages
        .get(stage)
        .filter(|record| record.live || record.status == Status::Done);
    record
        .and_then(|record| record.rented.as_ref())
        .is_some_and(|rented| rented.alternative != 0)
}

/// Whether all deadlines are still kept when the stage begins on the offer now.
fn check_deadlines(
    plan: &Plan,
    state: &State,
    stage: &PlannedStage,
    stage_offer: &StageOffer,
    elapsed: Millis,
) -> Result<(), Passed> {
    let limited = plan.limits.deadline_ms.is_some()
        || plan.stages.iter().any(|stage| stage.deadline_ms.is_some());
    if !limited {
        return Ok(());
    }
    let time_before = plan.from_state.as_ref().map_or(0, |from| from.elapsed_ms.0);
    let stage_ends = expected_ends(plan, state, Some((stage, stage_offer)), elapsed);
    for planned in &plan.stages {
        let Some(end) = stage_ends.get(planned.name.as_str()).copied() else {
            return Err(Passed::Unknown);
        };
        let place = if planned.name == stage.name {
            &stage_offer.place
        } else {
            &planned.place
        };
        let home = Millis(end.0.saturating_add(homeward_time(plan, planned, place).0));
        if let Some(deadline) = plan
            .limits
            .deadline_ms
            .map(|deadline| Millis(deadline.0.saturating_add(time_before)))
            && home > deadline
        {
            return Err(Passed::Late {
                end: home,
                deadline,
            });
        }
        let deadline = [plan.limits.deadline_ms, planned.deadline_ms]
            .into_iter()
            .flatten()
            .min();
        if let Some(deadline) =
            deadline.map(|deadline| Millis(deadline.0.saturating_add(time_before)))
            && end > deadline
        {
            return Err(Passed::Late { end, deadline });
        }
    }
    Ok(())
}

/// How long it takes to bring a stage's outputs home from a place.
fn homeward_time(plan: &Plan, stage: &PlannedStage, place: &PlaceName) -> Millis {
    let home_place = PlaceName::here();
    let way = plan
        .links
        .iter()
        .find(|way| way.from == *place && way.to == home_place);
    let copies = plan.transfers.iter().filter(|copy| {
        let of_stage = matches!(&copy.artifact, ArtifactRef::Output { stage: maker, .. } if *maker == stage.name);
        of_stage && copy.to == home_place && copy.readers.is_empty()
    });
    let time = |copy: &PlannedTransfer| match way {
        Some(way) => {
            Bandwidth(way.bits_per_second).time(Bytes(copy.bytes.0 + copy.shared_link_bytes.0))
        }
        None => copy.duration_ms,
    };
    copies.map(time).max().unwrap_or_default()
}

/// When each stage ends, in time since the job began: what is done has ended; what runs takes as
/// long as it should, from its start; what is left begins once its inputs are there.
pub fn expected_ends<'a>(
    plan: &'a Plan,
    state: &State,
    moved: Option<(&PlannedStage, &StageOffer)>,
    elapsed: Millis,
) -> BTreeMap<&'a str, Millis> {
    let forecast = Forecast::new(plan, state, moved, elapsed);
    let mut stage_ends: BTreeMap<&str, Millis> = BTreeMap::new();
    let since_begin = |at: &str| {
        // A job that has not begun has taken no time.
        state
            .begun
            .as_deref()
            .map_or(0, |begun| clock::between(begun, at))
    };
    for stage in in_order(plan) {
        let duration = forecast.placed[stage.name.as_str()].duration;
        let is_moved = moved.is_some_and(|(of, _)| of.name == stage.name);
        let stage_end = match state.stages.get(&stage.name) {
            // Whenever that was, it is over now.
            Some(record) if record.status == Status::Done => {
                record.ended.as_deref().map_or(elapsed.0, since_begin)
            }
            Some(record) if record.live && !is_moved => since_begin(&record.started)
                .saturating_add(duration.0)
                .max(elapsed.0),
            _ => forecast
                .start_of(stage, &stage_ends)
                .0
                .saturating_add(duration.0),
        };
        stage_ends.insert(&stage.name, Millis(stage_end));
    }
    stage_ends
}

/// Where a stage runs or will, and for how long.
struct PlacedStage {
    place: PlaceName,
    duration: Millis,
}

/// What the ends of stages are worked out from.
struct Forecast<'a> {
    plan: &'a Plan,
    by_name: BTreeMap<&'a str, &'a PlannedStage>,
    placed: BTreeMap<&'a str, PlacedStage>,
    /// In bits per second, from one place to another.
    bandwidths: BTreeMap<(&'a PlaceName, &'a PlaceName), u64>,
    elapsed: Millis,
}

impl<'a> Forecast<'a> {
    fn new(
        plan: &'a Plan,
        state: &State,
        moved: Option<(&PlannedStage, &StageOffer)>,
        elapsed: Millis,
    ) -> Self {
        let bandwidths = plan
            .links
            .iter()
            .map(|link| ((&link.from, &link.to), link.bits_per_second));
        let place_stage = |stage: &'a PlannedStage| {
            let moved_to = moved.filter(|(of, _)| of.name == stage.name);
            let stage_offer = match moved_to {
                Some((_, stage_offer)) => stage_offer.clone(),
                None => offer_by_state(state, stage),
            };
            let placed = PlacedStage {
                place: stage_offer.place,
                duration: stage_offer.duration,
            };
            (stage.name.as_str(), placed)
        };
        Self {
            plan,
            by_name: plan
                .stages
                .iter()
                .map(|stage| (stage.name.as_str(), stage))
                .collect(),
            placed: plan.stages.iter().map(place_stage).collect(),
            bandwidths: bandwidths.collect(),
            elapsed,
        }
    }

    /// When a stage that is still to come can begin: not before now, nor before what it waits for
    /// has ended and its inputs are there.
    fn start_of(&self, stage: &PlannedStage, ends: &BTreeMap<&str, Millis>) -> Millis {
        // What is not in the plan was done before the job went on with it.
        let end_of = |name: &str| ends.get(name).copied().unwrap_or(Millis(0));
        let mut start = self.elapsed;
        for before in stages_before(stage) {
            start = start.max(end_of(before));
        }
        for read in &stage.reads {
            let ArtifactRef::Output { stage: maker, name } = read else {
                continue;
            };
            if let Some(moving) = self.time_to_move(stage, maker, name) {
                let maker_end = end_of(maker).max(self.elapsed.min(start));
                start = start.max(Millis(maker_end.0.saturating_add(moving.0)));
            }
        }
        start
    }

    /// How long an output takes to the place of its reader; none: it is there already, or the plan
    /// does not say how it comes there.
    fn time_to_move(&self, reader: &PlannedStage, maker: &str, output: &str) -> Option<Millis> {
        let target_place = &self.placed[reader.name.as_str()].place;
        let done_before = self
            .plan
            .from_state
            .as_ref()
            .and_then(|from| from.done.get(maker));
        let from_place = self.placed.get(maker).map(|placed| &placed.place);
        let from_place = from_place.or(done_before.map(|done| &done.place))?;
        if from_place == target_place {
            return None;
        }
        let writes = self.by_name.get(maker).map(|maker| &maker.writes);
        let bytes = writes
            .or(done_before.map(|done| &done.outputs))?
            .get(output)?;
        let bits_per_second = self.bandwidths.get(&(from_place, target_place))?;
        Some(Bandwidth(*bits_per_second).time(*bytes))
    }
}

/// The offer that a stage has taken by the state, or else the planned one.
fn offer_by_state(state: &State, stage: &PlannedStage) -> StageOffer {
    let offer_number = state
        .stages
        .get(&stage.name)
        .filter(|record| record.live || record.status == Status::Done)
        .and_then(|record| record.rented.as_ref())
        .map_or(0, |rented| rented.alternative);
    let mut offers = stage_offers(stage);
    let taken_index = offers.iter().position(|offer| offer.number == offer_number);
    // A state may be of an earlier plan, with more alternatives.
    offers.swap_remove(taken_index.unwrap_or(0))
}

/// The stages so that each comes after all that it waits for.
fn in_order(plan: &Plan) -> Vec<&PlannedStage> {
    let mut waiting_counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let known_names: BTreeSet<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    for (index, stage) in plan.stages.iter().enumerate() {
        let names_before: Vec<&str> = stages_before(stage)
            .into_iter()
            .filter(|name| known_names.contains(name))
            .collect();
        waiting_counts.insert(&stage.name, names_before.len());
        for name in names_before {
            followers.entry(name).or_default().push(index);
        }
    }
    let mut ready_stages: Vec<usize> = (0..plan.stages.len())
        .rev()
        .filter(|index| waiting_counts[plan.stages[*index].name.as_str()] == 0)
        .collect();
    let mut order = Vec::new();
    while let Some(index) = ready_stages.pop() {
        let stage = &plan.stages[index];
        order.push(stage);
        for follower in followers.get(stage.name.as_str()).into_iter().flatten() {
            let waits_left = waiting_counts
                .entry(&plan.stages[*follower].name)
                .or_default();
            *waits_left = waits_left.saturating_sub(1);
            if *waits_left == 0 {
                ready_stages.push(*follower);
            }
        }
    }
    order
}
