//! The other offers of each stage, checked beforehand: what `apply` takes without a solver when an
//! offer is unavailable.

use super::offer_fields::{accelerator, billing, hourly, offer_of, usage};
use super::plan_parts::Parts;
use crate::model::{Millis, Money};
use crate::plan::Alternative;
use crate::planning::problem::concurrency::Usage;
use crate::planning::problem::{
    ArtifactId, CapId, Choice, ChoiceId, Followers, Instance, Placement, ReadersAtSite, Shape,
    SiteId, StageId, artifacts_by_stage, cap_usage, caused, concurrency, evaluate, routes, spread,
};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// The cheapest alternatives kept per stage. One in another place and one in another cloud come on
/// top if these have none: what is unavailable in a place may be so there for all machines.
const ALTERNATIVES: usize = 3;
/// How many of the cheapest choices are checked against the limits.
const LOOKED_AT: usize = 24;
/// How many of the cheapest choices in another place, or in another cloud, are checked besides.
const LOOKED_AT_ELSEWHERE: usize = 4;

/// Tables about the job's DAG and the plan's placement that all stages share.
pub(super) struct Dag<'a> {
    shape: Shape,
    followers: Followers,
    stage_artifacts: IdVec<StageId, Vec<ArtifactId>>,
    /// By artifact: the sites of its readers under the plan's own placement, and how many are
    /// there.
    spread: IdVec<ArtifactId, Vec<ReadersAtSite>>,
    usage: Usage<'a>,
    /// By cap: what the plan's own placement uses.
    used: IdVec<CapId, i64>,
}

impl<'a> Dag<'a> {
    pub(super) fn of(instance: &'a Instance, placement: &Placement) -> Self {
        let usage = Usage::of(instance);
        let used_caps = usage.totals(placement);
        let shape = instance.shape();
        let (stage_artifacts, spread) = (artifacts_by_stage(instance), spread(instance, placement));
        Self {
            followers: Followers::new(&shape),
            shape,
            stage_artifacts,
            spread,
            usage,
            used: used_caps,
        }
    }
}

/// The choices that cost least, with their costs.
struct Cheapest {
    most: usize,
    found: BTreeSet<(Money, ChoiceId)>,
}

impl Cheapest {
    fn new(most_alternatives: usize) -> Self {
        Self {
            most: most_alternatives,
            found: BTreeSet::new(),
        }
    }

    /// Whether a choice that costs at least so much can be among them.
    fn wants(&self, cost: Money) -> bool {
        self.found.len() < self.most || self.found.last().is_some_and(|(last, _)| *last > cost)
    }

    fn add(&mut self, cost: Money, position: ChoiceId) {
        self.found.insert((cost, position));
        if self.found.len() > self.most {
            self.found.pop_last();
        }
    }
}

/// Other offers for one stage, the rest of the plan as it is, within the limits, cheapest first.
pub(super) fn alternatives(parts: &Parts<'_>, dag: &Dag<'_>, stage: StageId) -> Vec<Alternative> {
    let moves = StageMoves::of(parts, dag, stage);
    let shortlist = moves.shortlist();
    moves
        .checked(&shortlist)
        .into_iter()
        .map(|found| planned_alternative(parts, stage, found))
        .collect()
}

/// How far from the plan's choice a choice is: in another place, in another cloud.
const DISTANCES: usize = 2;

/// The choices of one stage, seen from the one that the plan takes.
struct StageMoves<'a> {
    parts: &'a Parts<'a>,
    dag: &'a Dag<'a>,
    stage: StageId,
    choices: &'a IdVec<ChoiceId, Choice>,
    kept: ChoiceId,
}

/// The choices that are worth checking against the limits.
struct Shortlist {
    cheapest: Cheapest,
    /// By distance: the cheapest of the choices that are so far away.
    elsewhere: [Cheapest; DISTANCES],
}

impl<'a> StageMoves<'a> {
    fn of(parts: &'a Parts<'a>, dag: &'a Dag<'a>, stage: StageId) -> Self {
        Self {
            parts,
            dag,
            stage,
            choices: &parts.compiled.instance.stages[stage].choices,
            kept: parts.solved.placement[stage],
        }
    }

    fn cloud(&self, site: SiteId) -> &str {
        let place = self.parts.compiled.sites[site];
        &self.parts.catalog.places[place as usize].name.cloud
    }

    /// Returns whether a site is another place than the plan's, and whether it is another cloud.
    fn is_elsewhere(&self, site: SiteId) -> [bool; DISTANCES] {
        let own_site = self.choices[self.kept].site;
        [site != own_site, self.cloud(site) != self.cloud(own_site)]
    }

    /// Returns what transfers cost that the stage causes at a site; `None`: one is forbidden.
    fn transfer_cost(&self, site: SiteId) -> Option<Money> {
        caused(
            &self.parts.compiled.instance,
            &self.dag.stage_artifacts[self.stage],
            &self.dag.spread,
            &self.parts.solved.placement,
            self.stage,
            site,
        )
    }

    /// Returns the cheapest choices, with the transfers that they cause.
    fn shortlist(&self) -> Shortlist {
        // A choice costs at least what it costs itself: those after the last that can be among the
        // cheapest need not be looked at with their transfers.
        let mut by_own_cost: Vec<(Money, ChoiceId)> = self
            .choices
            .ids()
            .filter(|position| *position != self.kept)
            .map(|position| (self.choices[position].cost, position))
            .collect();
        by_own_cost.sort_unstable();
        // Transfers cost the same for all choices at a site.
        let mut transfers: BTreeMap<SiteId, Option<Money>> = BTreeMap::new();
        let mut cheapest = Cheapest::new(LOOKED_AT);
        let mut elsewhere = [(); DISTANCES].map(|()| Cheapest::new(LOOKED_AT_ELSEWHERE));
        for (own, position) in by_own_cost {
            let site = self.choices[position].site;
            let is_wanted = cheapest.wants(own);
            let mut wanted_lists = elsewhere.each_ref().map(|list| list.wants(own));
            if !is_wanted && !wanted_lists.contains(&true) {
                break;
            }
            for (wanted, is_there) in wanted_lists.iter_mut().zip(self.is_elsewhere(site)) {
                *wanted &= is_there;
            }
            if !is_wanted && !wanted_lists.contains(&true) {
                continue;
            }
            let transfers = transfers
                .entry(site)
                .or_insert_with(|| self.transfer_cost(site));
            let Some(transfers) = *transfers else {
                continue;
            };
            let cost = own + transfers;
            cheapest.add(cost, position);
            let lists = elsewhere.iter_mut().zip(wanted_lists);
            for (list, _) in lists.filter(|(_, wanted)| *wanted) {
                list.add(cost, position);
            }
        }
        Shortlist {
            cheapest,
            elsewhere,
        }
    }

    /// Returns those choices of a shortlist that keep all limits and are among the cheapest, and if
    /// none of these is in another place or another cloud, also the cheapest one that is.
    fn checked(&self, shortlist: &Shortlist) -> Vec<CheckedChoice> {
        let instance = &self.parts.compiled.instance;
        let own_choice = self.choices[self.kept];
        let cost_now = self
            .transfer_cost(own_choice.site)
            .map(|cost| own_choice.cost + cost);
        let check = |(cost, position): &(Money, ChoiceId)| {
            let dearer = cost_now.map(|now| *cost - now);
            within_limits(self.parts, self.dag, self.stage, *position, dearer)
        };
        let cheapest = shortlist.cheapest.found.iter().filter_map(check);
        // Transfers that are counted on their own: the first that are found are the cheapest.
        let mut checked_choices: Vec<CheckedChoice> = match on_their_own(instance) {
            true => cheapest.take(ALTERNATIVES).collect(),
            false => cheapest.collect(),
        };
        checked_choices.sort_unstable();
        checked_choices.truncate(ALTERNATIVES);
        for (distance, list) in shortlist.elsewhere.iter().enumerate() {
            let is_there = |found: &CheckedChoice| {
                self.is_elsewhere(self.choices[found.choice].site)[distance]
            };
            if !checked_choices.iter().any(is_there) {
                checked_choices.extend(list.found.iter().find_map(check));
            }
        }
        checked_choices.sort_unstable();
        checked_choices
    }
}

/// Whether what a stage causes is all that changes when it moves.
fn on_their_own(instance: &Instance) -> bool {
    instance.links.pools.is_empty() && !routes::possible(instance)
}

/// A choice of a stage that keeps all limits, with what the whole job costs and takes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CheckedChoice {
    cost: Money,
    time: Millis,
    choice: ChoiceId,
}

/// Cost and makespan of the whole job if one stage takes another choice, which makes it dearer by
/// so much, where that is known; `None`: a limit is not kept then.
fn within_limits(
    parts: &Parts<'_>,
    dag: &Dag<'_>,
    stage: StageId,
    position: ChoiceId,
    dearer: Option<Money>,
) -> Option<CheckedChoice> {
    let instance = &parts.compiled.instance;
    // Looked at first, as it is the quickest.
    let holds = dag
        .usage
        .holds_after(&dag.used, stage, parts.solved.placement[stage], position);
    if holds == Some(false) {
        return None;
    }
    let mut placement = parts.solved.placement.clone();
    placement[stage] = position;
    let dearer = dearer.filter(|_| on_their_own(instance));
    let (cost, time, late) = if let Some(dearer) = dearer {
        let stage_ends = dag.followers.moved(
            instance,
            &dag.shape,
            &placement,
            &parts.solved.evaluation.end,
            stage,
        );
        let is_late = instance
            .stages
            .iter()
            .zip(&stage_ends)
            .any(|(stage, end)| stage.deadline.is_some_and(|by| *end > by));
        (
            parts.solved.evaluation.cost() + dearer,
            stage_ends.into_iter().fold(Millis(0), Ord::max),
            is_late,
        )
    } else {
        let evaluation = evaluate(instance, &dag.shape, &placement)?;
        (
            evaluation.cost(),
            evaluation.makespan,
            instance.lateness(&evaluation) > Millis(0),
        )
    };
    let keeps_limits = instance.budget.is_none_or(|limit| cost <= limit)
        && instance.deadline.is_none_or(|limit| time <= limit);
    let keeps_caps = !late
        && (holds == Some(true) || concurrency::is_known_to_fit(instance, &dag.shape, &placement));
    (keeps_limits && keeps_caps).then_some(CheckedChoice {
        cost,
        time,
        choice: position,
    })
}

fn planned_alternative(parts: &Parts<'_>, stage: StageId, checked: CheckedChoice) -> Alternative {
    let (catalog, compiled) = (parts.catalog, parts.compiled);
    let offer = offer_of(parts, stage, checked.choice);
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let choice = compiled.instance.stages[stage].choices[checked.choice];
    let candidate = &compiled.candidates[stage][choice.tag];
    let is_counted = compiled
        .instance
        .caps
        .iter()
        .any(|cap| cap_usage(cap, stage, choice.tag) > 0);
    Alternative {
        place: place.name.clone(),
        instance_type: machine.instance_type.clone(),
        purchase: offer.purchase,
        rate_nano_usd_per_hour: hourly(catalog, offer),
        total_cost_micro_usd: checked.cost,
        makespan_ms: checked.time,
        country: place.country.clone(),
        accelerator: accelerator(machine),
        tee: candidate.tee,
        usage: usage(
            catalog,
            offer,
            &compiled.job.stages[&compiled.stages[stage]],
        ),
        billing: billing(catalog, offer),
        duration_ms: candidate.duration,
        boot_ms: candidate.boot,
        cost_micro_usd: candidate.cost - candidate.beside,
        extras: candidate.extras,
        counted_with_others: is_counted,
    }
}
