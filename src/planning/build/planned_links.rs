//! The links between all the places that stages may come to by their alternatives, with what a
//! gigabyte costs there at most.

use super::plan_parts::Parts;
use crate::model::{Bytes, DataRate, PlaceName};
use crate::plan::{PlannedLink, PlannedStage};
use crate::planning::compile;
use crate::planning::problem::{Instance, Origin, SiteId, StageId};
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// The links that the job's data may have to go over, wherever each stage takes which of its
/// offers. `stages` are those of the plan, in the order of the instance.
pub(super) fn planned_links(parts: &Parts<'_>, stages: &[PlannedStage]) -> Vec<PlannedLink> {
    let instance = &parts.compiled.instance;
    let possible = possible_sites(parts, stages);
    let volume = greatest_volume(parts);
    let mut planned: Vec<PlannedLink> = pairs_of_sites(instance, &possible)
        .into_iter()
        .filter_map(|(from, to)| planned_link(parts, from, to, volume))
        .collect();
    planned.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    planned
}

/// By stage of the instance: the sites that it may come to.
fn possible_sites(parts: &Parts<'_>, stages: &[PlannedStage]) -> IdVec<StageId, BTreeSet<SiteId>> {
    let sites = &parts.compiled.sites;
    let site = |place: &PlaceName| sites.binary_search(&parts.catalog.place_id(place)?).ok();
    let of_stage = |stage: &PlannedStage| -> BTreeSet<SiteId> {
        let alternatives = stage.alternatives.iter().map(|other| &other.place);
        let places = std::iter::once(&stage.place).chain(alternatives);
        places.filter_map(site).collect()
    };
    let mut possible: IdVec<StageId, BTreeSet<SiteId>> = stages.iter().map(of_stage).collect();
    // What is brought home has one place to go to.
    let arrivals = parts.compiled.instance.stages.iter().skip(stages.len());
    possible
        .extend(arrivals.map(|arrival| arrival.choices.iter().map(|choice| choice.site).collect()));
    possible
}

/// The pairs of different sites between which some artifact may have to go.
fn pairs_of_sites(
    instance: &Instance,
    possible: &IdVec<StageId, BTreeSet<SiteId>>,
) -> BTreeSet<(SiteId, SiteId)> {
    let mut pairs: BTreeSet<(SiteId, SiteId)> = BTreeSet::new();
    for artifact in &instance.artifacts {
        let from_sites = match artifact.origin {
            Origin::Site(site) => BTreeSet::from([site]),
            Origin::Stage(stage) => possible[stage].clone(),
        };
        // Readers that may be at the same places are many, the sets of places few.
        let to_sites: BTreeSet<SiteId> = artifact
            .readers
            .iter()
            .flat_map(|reader| &possible[*reader])
            .copied()
            .collect();
        pairs.extend(
            from_sites
                .iter()
                .flat_map(|from| to_sites.iter().map(move |to| (*from, *to))),
        );
    }
    pairs.retain(|(from, to)| from != to);
    pairs
}

/// The most bytes that all transfers of the job can come to.
fn greatest_volume(parts: &Parts<'_>) -> Bytes {
    let sites = parts.compiled.sites.len();
    let of_artifact = |bytes: Bytes, readers: usize| {
        let transfers = readers.min(sites) as u64;
        Bytes(bytes.0.saturating_mul(transfers))
    };
    let artifacts = parts.compiled.instance.artifacts.iter();
    artifacts
        .map(|artifact| of_artifact(artifact.bytes, artifact.readers.len()))
        .sum()
}

/// A link with the dearest price that `volume` can reach on it; `None`: no transfer is allowed.
fn planned_link(parts: &Parts<'_>, from: SiteId, to: SiteId, volume: Bytes) -> Option<PlannedLink> {
    let (links, sites) = (&parts.compiled.instance.links, &parts.compiled.sites);
    let name = |site: SiteId| parts.catalog.places[sites[site] as usize].name.clone();
    let price = &links.tariffs[links.class(from, to)?];
    let used_volume = price.pool.map_or(Bytes(0), |pool| links.pools[pool].used);
    let dearest = price
        .tariff
        .greatest_rate(used_volume, used_volume + volume);
    // By decimal GB both, so that they add up.
    let dearest = price.tariff.gigabyte().decimal_rate(dearest);
    let keep_rate = price
        .keep
        .gigabyte()
        .decimal_rate(price.keep.last_rate(Bytes(1)));
    let speed = compile::speed(parts.catalog, parts.policy, sites[from], sites[to]);
    Some(PlannedLink {
        from: name(from),
        to: name(to),
        rate_nano_usd_per_gb: DataRate(dearest.0.saturating_add(keep_rate.0)),
        bits_per_second: links.bandwidth[links.pair(from, to)].0,
        assumed_speed: speed.is_none(),
    })
}
