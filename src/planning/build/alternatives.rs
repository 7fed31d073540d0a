//! The other offers of each stage, checked beforehand, and the ways between all the places that
//! stages may so come to: what `apply` needs to get by without a solver when an offer is not to be
//! had.

use super::offer_fields::{accelerator, billing, hourly, offer_of, usage};
use super::plan_parts::Parts;
use crate::model::{Bytes, DataRate, Millis, Money, PlaceName};
use crate::plan::{Alternative, PlannedStage, PlannedWay};
use crate::planning::compile;
use crate::planning::problem::concurrency::Usage;
use crate::planning::problem::{
    ArtifactId, CapId, ChoiceId, Followers, Instance, Origin, Placement, ReadersAtSite, Shape,
    SiteId, StageId, artifacts_by_stage, cap_usage, caused, concurrency, evaluate, routes, spread,
};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// The cheapest alternatives kept per stage. One in another place and one in another cloud come on
/// top if these have none: what is not to be had in a place may be so there for all machines.
const ALTERNATIVES: usize = 3;
/// The cheapest so many are checked against the limits,
const LOOKED_AT: usize = 24;
/// and of those that are elsewhere.
const LOOKED_AT_ELSEWHERE: usize = 4;

/// Tables about the job's DAG and the plan's placement that all stages share.
pub(super) struct Dag<'a> {
    shape: Shape,
    followers: Followers,
    stage_artifacts: IdVec<StageId, Vec<ArtifactId>>,
    /// By artifact: the sites of its readers under the plan's own picks, and how many are there.
    spread: IdVec<ArtifactId, Vec<ReadersAtSite>>,
    usage: Usage<'a>,
    /// By cap: what the plan's own picks use.
    used: IdVec<CapId, i64>,
}

impl<'a> Dag<'a> {
    pub(super) fn of(instance: &'a Instance, picks: &Placement) -> Self {
        let usage = Usage::of(instance);
        let used = usage.totals(picks);
        let shape = instance.shape();
        let (stage_artifacts, spread) = (artifacts_by_stage(instance), spread(instance, picks));
        Self {
            followers: Followers::new(&shape),
            shape,
            stage_artifacts,
            spread,
            usage,
            used,
        }
    }
}

/// The choices that cost least, with their costs.
struct Cheapest {
    most: usize,
    found: BTreeSet<(Money, ChoiceId)>,
}

impl Cheapest {
    fn new(most: usize) -> Self {
        Self {
            most,
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
    let instance = &parts.compiled.instance;
    let choices = &instance.stages[stage].choices;
    let kept = parts.solved.picks[stage];
    let own_site = choices[kept].site;
    let cloud = |site: SiteId| {
        parts.catalog.places[parts.compiled.sites[site] as usize]
            .name
            .cloud
            .as_str()
    };
    let elsewhere = |site: SiteId| [site != own_site, cloud(site) != cloud(own_site)];
    // A choice costs at least what it costs itself: those after the last that can be among the
    // cheapest need not be looked at with their copies.
    let mut by_own: Vec<(Money, ChoiceId)> = choices
        .ids()
        .filter(|position| *position != kept)
        .map(|position| (choices[position].cost, position))
        .collect();
    by_own.sort_unstable();
    let caused = |site: SiteId| {
        caused(
            instance,
            &dag.stage_artifacts[stage],
            &dag.spread,
            &parts.solved.picks,
            stage,
            site,
        )
    };
    let mut copies: BTreeMap<SiteId, Option<Money>> = BTreeMap::new();
    let mut cheapest = Cheapest::new(LOOKED_AT);
    let mut others = [
        Cheapest::new(LOOKED_AT_ELSEWHERE),
        Cheapest::new(LOOKED_AT_ELSEWHERE),
    ];
    for (own, position) in by_own {
        let site = choices[position].site;
        let wanted = [others[0].wants(own), others[1].wants(own)];
        if !cheapest.wants(own) && wanted == [false, false] {
            break;
        }
        let wanted = [
            wanted[0] && elsewhere(site)[0],
            wanted[1] && elsewhere(site)[1],
        ];
        if !cheapest.wants(own) && wanted == [false, false] {
            continue;
        }
        // Copies cost the same for all choices at a site.
        let copies = copies.entry(site).or_insert_with(|| caused(site));
        let Some(copies) = *copies else { continue };
        let cost = own + copies;
        cheapest.add(cost, position);
        others
            .iter_mut()
            .zip(wanted)
            .filter(|(_, wanted)| *wanted)
            .for_each(|(others, _)| others.add(cost, position));
    }
    let now = choices[kept].cost + caused(own_site).unwrap_or_default();
    let check = |(cost, position): &(Money, ChoiceId)| {
        within_limits(parts, dag, stage, *position, *cost - now)
    };
    // Copies that are counted on their own: the first that are found are the cheapest.
    let mut found: Vec<CheckedChoice> = match on_their_own(instance) {
        true => cheapest
            .found
            .iter()
            .filter_map(check)
            .take(ALTERNATIVES)
            .collect(),
        false => cheapest.found.iter().filter_map(check).collect(),
    };
    found.sort_unstable();
    found.truncate(ALTERNATIVES);
    for (which, others) in others.iter().enumerate() {
        if !found
            .iter()
            .any(|found| elsewhere(choices[found.choice].site)[which])
        {
            found.extend(others.found.iter().find_map(check));
        }
    }
    found.sort_unstable();
    found
        .into_iter()
        .map(|found| alternative(parts, stage, found))
        .collect()
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
/// so much; none if a limit is not kept then.
fn within_limits(
    parts: &Parts<'_>,
    dag: &Dag<'_>,
    stage: StageId,
    position: ChoiceId,
    dearer: Money,
) -> Option<CheckedChoice> {
    let instance = &parts.compiled.instance;
    // Looked at first, as it is the quickest.
    let holds = dag
        .usage
        .holds_after(&dag.used, stage, parts.solved.picks[stage], position);
    if holds == Some(false) {
        return None;
    }
    let mut picks = parts.solved.picks.clone();
    picks[stage] = position;
    let (cost, time, late) = if on_their_own(instance) {
        let end = dag.followers.moved(
            instance,
            &dag.shape,
            &picks,
            &parts.solved.evaluation.end,
            stage,
        );
        let late = instance
            .stages
            .iter()
            .zip(&end)
            .any(|(stage, end)| stage.deadline.is_some_and(|by| *end > by));
        (
            parts.solved.evaluation.cost() + dearer,
            end.into_iter().max().unwrap_or_default(),
            late,
        )
    } else {
        let evaluation = evaluate(instance, &dag.shape, &picks)?;
        (
            evaluation.cost(),
            evaluation.makespan,
            instance.lateness(&evaluation) > Millis(0),
        )
    };
    let keeps_limits = instance.budget.is_none_or(|limit| cost <= limit)
        && instance.deadline.is_none_or(|limit| time <= limit);
    let keeps_caps = !late
        && (holds == Some(true)
            || concurrency::exceeded_cap(instance, &dag.shape, &picks).is_none());
    (keeps_limits && keeps_caps).then_some(CheckedChoice {
        cost,
        time,
        choice: position,
    })
}

fn alternative(parts: &Parts<'_>, stage: StageId, checked: CheckedChoice) -> Alternative {
    let (catalog, compiled) = (parts.catalog, parts.compiled);
    let offer = offer_of(parts, stage, checked.choice);
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let choice = compiled.instance.stages[stage].choices[checked.choice];
    let candidate = &compiled.candidates[stage][choice.tag];
    let counted = compiled
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
        counted_with_others: counted,
    }
}

/// The ways that the job's data may have to go, wherever each stage takes which of its offers.
/// `stages` are those of the plan, in the order of the instance.
pub(super) fn ways(parts: &Parts<'_>, stages: &[PlannedStage]) -> Vec<PlannedWay> {
    let (instance, sites) = (&parts.compiled.instance, &parts.compiled.sites);
    let name = |site: SiteId| &parts.catalog.places[sites[site] as usize].name;
    let site = |place: &PlaceName| sites.binary_search(&parts.catalog.place_id(place)?).ok();
    let of_stage = |stage: &PlannedStage| -> BTreeSet<SiteId> {
        let places = std::iter::once(&stage.place)
            .chain(stage.alternatives.iter().map(|other| &other.place));
        places.filter_map(site).collect()
    };
    let mut of_stages: IdVec<StageId, BTreeSet<SiteId>> = stages.iter().map(of_stage).collect();
    // What is brought home has one place to go to.
    let arrivals = instance.stages.iter().skip(stages.len());
    of_stages
        .extend(arrivals.map(|arrival| arrival.choices.iter().map(|choice| choice.site).collect()));
    let mut pairs: BTreeSet<(SiteId, SiteId)> = BTreeSet::new();
    for artifact in &instance.artifacts {
        let from = match artifact.origin {
            Origin::Site(site) => BTreeSet::from([site]),
            Origin::Stage(stage) => of_stages[stage].clone(),
        };
        // Readers that may be at the same places are many, the sets of places few.
        let to: BTreeSet<SiteId> = artifact
            .readers
            .iter()
            .flat_map(|reader| &of_stages[*reader])
            .copied()
            .collect();
        pairs.extend(
            from.iter()
                .flat_map(|from| to.iter().map(move |to| (*from, *to))),
        );
    }
    let volume = instance.artifacts.iter().fold(0_u64, |sum, artifact| {
        let copies = artifact.readers.len().min(sites.len()) as u64;
        sum.saturating_add(artifact.bytes.0.saturating_mul(copies))
    });
    let mut ways: Vec<PlannedWay> = pairs
        .into_iter()
        .filter(|(from, to)| from != to)
        .filter_map(|(from, to)| {
            let price = &instance.links.tariffs[instance.links.class(from, to)?];
            let used = price
                .pool
                .map_or(Bytes(0), |pool| instance.links.pools[pool].used);
            let dearest = price
                .tariff
                .greatest_rate(used, Bytes(used.0.saturating_add(volume)));
            // By decimal GB both, so that they add up.
            let dearest = price.tariff.gigabyte().decimal_rate(dearest);
            let keep = price
                .keep
                .gigabyte()
                .decimal_rate(price.keep.last_rate(Bytes(1)));
            Some(PlannedWay {
                from: name(from).clone(),
                to: name(to).clone(),
                rate_nano_usd_per_gb: DataRate(dearest.0.saturating_add(keep.0)),
                bits_per_second: instance.links.bandwidth[instance.links.pair(from, to)].0,
                assumed_speed: compile::speed(parts.catalog, parts.policy, sites[from], sites[to])
                    .is_none(),
            })
        })
        .collect();
    ways.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    ways
}
