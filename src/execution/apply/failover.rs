//! The list of alternatives of a stage: the offer that the plan takes, then its alternatives, which
//! the planner has checked. No solver is asked: an offer is taken if it still fits what has
//! happened since.
//!
//! The rules of the policy bind a stage and a place, so what the planner has found to keep them
//! keeps them for good. What may have changed is checked here: the deadline, with the ends of all
//! stages worked out again from what is done and what is left; the budget, when money is set aside;
//! and quotas and spreads, which count stages together and so hold only while all other stages
//! are where the plan puts them.

use super::check::predecessors;
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
pub fn fits(
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
            .find(|other| other.name != stage.name && elsewhere(state, &other.name))
    {
        return Err(Passed::Together(other.name.clone()));
    }
    on_time(plan, state, stage, stage_offer, elapsed)
}

/// Whether a stage was or is somewhere else than its plan says.
fn elsewhere(state: &State, stage: &str) -> bool {
    let record = state
        .stages
        .get(stage)
        .filter(|record| record.live || record.status == Status::Done);
    record
        .and_then(|record| record.rented.as_ref())
        .is_some_and(|rented| rented.alternative != 0)
}

/// Whether all deadlines are still kept when the stage begins on the offer now.
fn on_time(
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
    let before = plan.from_state.as_ref().map_or(0, |from| from.elapsed_ms.0);
    let ends = ends(plan, state, Some((stage, stage_offer)), elapsed);
    for planned in &plan.stages {
        let end = ends.get(planned.name.as_str()).copied().unwrap_or_default();
        let place = if planned.name == stage.name {
            &stage_offer.place
        } else {
            &planned.place
        };
        let home = Millis(end.0.saturating_add(homeward_time(plan, planned, place).0));
        if let Some(deadline) = plan
            .limits
            .deadline_ms
            .map(|deadline| Millis(deadline.0.saturating_add(before)))
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
        if let Some(deadline) = deadline.map(|deadline| Millis(deadline.0.saturating_add(before)))
            && end > deadline
        {
            return Err(Passed::Late { end, deadline });
        }
    }
    Ok(())
}

/// How long it takes to bring a stage's outputs home from a place.
fn homeward_time(plan: &Plan, stage: &PlannedStage, place: &PlaceName) -> Millis {
    let here = PlaceName::here();
    let way = plan
        .links
        .iter()
        .find(|way| way.from == *place && way.to == here);
    let copies = plan.transfers.iter().filter(|copy| {
        let of_stage = matches!(&copy.artifact, ArtifactRef::Output { stage: maker, .. } if *maker == stage.name);
        of_stage && copy.to == here && copy.readers.is_empty()
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
pub fn ends<'a>(
    plan: &'a Plan,
    state: &State,
    moved: Option<(&PlannedStage, &StageOffer)>,
    elapsed: Millis,
) -> BTreeMap<&'a str, Millis> {
    let ways: BTreeMap<(&PlaceName, &PlaceName), u64> = plan
        .links
        .iter()
        .map(|way| ((&way.from, &way.to), way.bits_per_second))
        .collect();
    let mut placed: BTreeMap<&str, (PlaceName, Millis)> = BTreeMap::new();
    for stage in &plan.stages {
        let record = state
            .stages
            .get(&stage.name)
            .filter(|record| record.live || record.status == Status::Done);
        let number = record
            .and_then(|record| record.rented.as_ref())
            .map_or(0, |rented| rented.alternative);
        let stage_offer = match moved {
            Some((of, stage_offer)) if of.name == stage.name => Some(stage_offer.clone()),
            _ => stage_offers(stage)
                .into_iter()
                .find(|stage_offer| stage_offer.number == number),
        };
        let stage_offer = stage_offer.unwrap_or_else(|| stage_offers(stage).swap_remove(0));
        placed.insert(&stage.name, (stage_offer.place, stage_offer.duration));
    }
    let by_name: BTreeMap<&str, &PlannedStage> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage))
        .collect();
    let mut ends: BTreeMap<&str, Millis> = BTreeMap::new();
    let since = |at: &str| {
        state
            .begun
            .as_deref()
            .map_or(0, |begun| clock::between(begun, at))
    };
    for stage in in_order(plan) {
        let (place, duration) = &placed[stage.name.as_str()];
        let record = state.stages.get(&stage.name);
        let is_moved = moved.is_some_and(|(of, _)| of.name == stage.name);
        let end = match record {
            Some(record) if record.status == Status::Done => {
                since(record.ended.as_deref().unwrap_or_default())
            }
            Some(record) if record.live && !is_moved => since(&record.started)
                .saturating_add(duration.0)
                .max(elapsed.0),
            _ => {
                let mut start = elapsed.0;
                for before in predecessors(stage) {
                    let ended = ends.get(before).map_or(0, |end| end.0);
                    start = start.max(ended);
                }
                for read in &stage.reads {
                    let ArtifactRef::Output { stage: maker, name } = read else {
                        continue;
                    };
                    let before = plan
                        .from_state
                        .as_ref()
                        .and_then(|from| from.done.get(maker));
                    let from = placed.get(maker.as_str()).map(|(from, _)| from);
                    let from = from.or(before.map(|done| &done.place));
                    let Some(from) = from.filter(|from| *from != place) else {
                        continue;
                    };
                    let writes = by_name.get(maker.as_str()).map(|maker| &maker.writes);
                    let bytes = writes
                        .or(before.map(|done| &done.outputs))
                        .and_then(|writes| writes.get(name));
                    let bytes = bytes.copied().unwrap_or(Bytes(0));
                    let ended = ends
                        .get(maker.as_str())
                        .map_or(0, |end| end.0)
                        .max(elapsed.0.min(start));
                    let moving = ways
                        .get(&(from, place))
                        .map_or(0, |bits| Bandwidth(*bits).time(bytes).0);
                    start = start.max(ended.saturating_add(moving));
                }
                start.saturating_add(duration.0)
            }
        };
        ends.insert(&stage.name, Millis(end));
    }
    ends
}

/// The stages so that each comes after all that it waits for.
fn in_order(plan: &Plan) -> Vec<&PlannedStage> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let known: BTreeSet<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    for (index, stage) in plan.stages.iter().enumerate() {
        let before: Vec<&str> = predecessors(stage)
            .into_iter()
            .filter(|name| known.contains(name))
            .collect();
        waiting.insert(&stage.name, before.len());
        for name in before {
            followers.entry(name).or_default().push(index);
        }
    }
    let mut ready: Vec<usize> = (0..plan.stages.len())
        .rev()
        .filter(|index| waiting[plan.stages[*index].name.as_str()] == 0)
        .collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop() {
        let stage = &plan.stages[index];
        order.push(stage);
        for follower in followers.get(stage.name.as_str()).into_iter().flatten() {
            let left = waiting.entry(&plan.stages[*follower].name).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.push(*follower);
            }
        }
    }
    order
}
