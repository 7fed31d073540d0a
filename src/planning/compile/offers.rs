//! Which offers a stage may take, and which of them can ever be worth taking.

pub(super) use super::offer_filter::Request;

use super::offer_filter::OfferFilter;
use super::offer_id::OfferId;
use super::places::Places;
use super::quota_limits::QuotaLimit;
use super::{needs, spot};
use crate::model::{Allocation, Offer, Purchase, Stage, Tee, Work};
use crate::planning::rule::{self, Terms};
use crate::util::id_vec::Id;
use std::collections::BTreeMap;
use std::ops::Range;

/// How the offers of a stage ran out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    /// The name of the stage that no offer may run.
    pub stage: String,
    /// The needs in words.
    pub needs: String,
    /// Offers that meet the needs, before any policy.
    pub fitting: u64,
    /// Offers in the catalog that fail first at this need (`cpus`, `accelerators`, …); four are no
    /// needs: `unavailable` is that it was tried, `allocation` is the stage's own, `duration`
    /// that the job does not say how long the stage runs there, `interruptions` that it would
    /// practically never end on spot machines.
    pub unmet: BTreeMap<String, u64>,
    /// Offers that meet the needs and are forbidden first by this key of the policy.
    pub forbidden: BTreeMap<String, u64>,
    /// Offers that met the needs until their last day, which is past, and the latest of these days.
    pub lapsed: Option<Box<(u64, String)>>,
}

/// The offers that a request may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The offers, in the catalog's order.
    pub offers: Vec<AllowedOffer>,
    /// How machines are bought.
    pub allocation: Allocation,
}

/// An offer that a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllowedOffer {
    /// The offer of the catalog.
    pub offer: OfferId,
    /// The position in the stage's order of preference, 0 first.
    pub rank: i64,
    /// What it has to run with.
    pub tee: Option<Tee>,
}

/// An offer that can be worth taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contender {
    /// The offer of the catalog.
    pub offer: OfferId,
    /// The position in the stage's order of preference, 0 first.
    pub rank: i64,
    /// What it has to run with.
    pub tee: Option<Tee>,
    /// Share of machines interrupted in a month, in parts per million; 0 on demand.
    pub monthly: u32,
    /// That share is assumed.
    pub assumed: bool,
}

/// The offers that a request may take, or how they ran out.
pub(super) fn allowed(request: &Request<'_>, places: &Places<'_>) -> Result<Allowed, Funnel> {
    allowed_among(request, places, 0..places.catalog.offers.len())
}

/// The offers in one place that a request may take.
pub(super) fn allowed_at(
    request: &Request<'_>,
    places: &Places<'_>,
    place: u32,
) -> Result<Allowed, Funnel> {
    let offers = &places.catalog.offers;
    let first_offer = offers.partition_point(|offer| offer.place < place);
    let end_offer = offers.partition_point(|offer| offer.place <= place);
    allowed_among(request, places, first_offer..end_offer)
}

/// The offers of some range in the catalog that a request may take, or how they ran out.
fn allowed_among(
    request: &Request<'_>,
    places: &Places<'_>,
    among: Range<usize>,
) -> Result<Allowed, Funnel> {
    let (catalog, policy) = (places.catalog, places.policy);
    let offer_filter = OfferFilter::of(request, places);
    let mut funnel = Funnel {
        needs: needs::text(request.needs),
        ..Funnel::default()
    };
    let mut allowed_offers = Allowed {
        offers: Vec::new(),
        allocation: offer_filter.allocation(),
    };
    let mut forbids: BTreeMap<Terms, Option<String>> = BTreeMap::new();
    let offers = among.map(|index| (OfferId::from_index(index), &catalog.offers[index]));
    for (index, offer) in offers.filter(|(_, offer)| offer_filter.is_in_question(offer)) {
        let needs_met = match offer_filter.taken(offer) {
            Ok(met) => met,
            Err(need) => {
                count_offer(&mut funnel.unmet, need);
                continue;
            }
        };
        funnel.fitting += 1;
        let forbidden = match offer_filter.place_forbidden_by(offer) {
            Some(key) => Some(key.clone()),
            None => forbids
                .entry(offer_filter.terms(offer, needs_met.tees))
                .or_insert_with_key(|terms| rule::forbids_machine(policy, request.labels, terms))
                .clone(),
        };
        match forbidden.or_else(|| offer_filter.purchase_forbidden_by(offer)) {
            Some(key) => count_offer(&mut funnel.forbidden, &key),
            None => {
                allowed_offers.offers.push(AllowedOffer {
                    offer: index,
                    rank: needs_met.rank,
                    tee: offer_filter.tee(needs_met),
                });
            }
        }
    }
    if !allowed_offers.offers.is_empty() {
        return Ok(allowed_offers);
    }
    let was_met = |offer: &&Offer| offer_filter.was_met_by(offer);
    let lapsed_offers: Vec<&Offer> = catalog.lapsed.iter().filter(was_met).collect();
    let last_day = lapsed_offers
        .iter()
        .map(|offer| catalog.held_until(offer))
        .max();
    funnel.lapsed = last_day.map(|last| Box::new((lapsed_offers.len() as u64, last.to_owned())));
    Err(funnel)
}

/// The offers that can be worth taking for a kind of work, in the order of places, and how many
/// may be taken at all.
///
/// In a place, whatever the amount of work, an offer is not worth taking if another of the same
/// risk, rank and unit has a lower price, is no slower, and uses no more of any quota; of equals,
/// the first stays.
pub(super) fn contenders(
    allowed: &Allowed,
    work: &Work,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> (Vec<Contender>, usize) {
    let mut kept_contenders = Vec::new();
    let mut offers_seen = 0;
    for in_place in by_place(allowed, work, places) {
        offers_seen += in_place.len();
        let Some((_, first_of_place)) = in_place.first() else {
            continue;
        };
        let place = places.catalog.offers[first_of_place.offer.index()].place;
        let limits: Vec<&QuotaLimit> = limits
            .iter()
            .filter(|limit| limit.holds_at(place))
            .collect();
        let first = kept_contenders.len();
        worth_taking(in_place, &limits, places, &mut kept_contenders);
        kept_contenders[first..].sort_unstable_by_key(|contender: &Contender| contender.offer);
    }
    (kept_contenders, offers_seen)
}

/// All offers that may be taken for a kind of work, whether or not another in the same place beats
/// them; in the catalog's order.
pub(super) fn all_contenders(
    allowed: &Allowed,
    work: &Work,
    places: &Places<'_>,
) -> Vec<Contender> {
    by_place(allowed, work, places)
        .into_iter()
        .flatten()
        .map(|(_, contender)| contender)
        .collect()
}

/// The offers that may be taken for a kind of work and how fast they are, by place.
fn by_place(allowed: &Allowed, work: &Work, places: &Places<'_>) -> Vec<Vec<(i128, Contender)>> {
    let catalog = places.catalog;
    let mut wanted_machines = vec![false; catalog.machines.len()];
    allowed.offers.iter().for_each(|allowed| {
        wanted_machines[catalog.offers[allowed.offer.index()].machine as usize] = true
    });
    let machines = wanted_machines.into_iter().zip(&catalog.machines);
    let paces: Vec<Option<i128>> = machines
        .map(|(wanted, machine)| {
            if wanted {
                needs::pace(work, machine, catalog)
            } else {
                None
            }
        })
        .collect();
    let place = |allowed: &AllowedOffer| catalog.offers[allowed.offer.index()].place;
    let in_place = |group: &[AllowedOffer]| {
        let contender = |allowed: &AllowedOffer| {
            let offer = &catalog.offers[allowed.offer.index()];
            let pace = paces[offer.machine as usize]?;
            let (monthly, assumed) = interruption_risk(offer, places);
            Some((
                pace,
                Contender {
                    offer: allowed.offer,
                    rank: allowed.rank,
                    tee: allowed.tee,
                    monthly,
                    assumed,
                },
            ))
        };
        let mut in_place: Vec<(i128, Contender)> = group.iter().filter_map(contender).collect();
        let spot = |(_, contender): &(i128, Contender)| {
            catalog.offers[contender.offer.index()].purchase == Purchase::Spot
        };
        if allowed.allocation == Allocation::SpotIfAvailable && in_place.iter().any(spot) {
            in_place.retain(spot);
        }
        in_place
    };
    allowed
        .offers
        .chunk_by(|a, b| place(a) == place(b))
        .map(in_place)
        .collect()
}

fn worth_taking(
    mut in_place: Vec<(i128, Contender)>,
    limits: &[&QuotaLimit],
    places: &Places<'_>,
    kept_contenders: &mut Vec<Contender>,
) {
    let catalog = places.catalog;
    let unit = |contender: &Contender| {
        catalog
            .machine(&catalog.offers[contender.offer.index()])
            .unit()
    };
    // What comes with a machine is the same for all of one kind, and so is left out of the
    // comparison.
    let kind = |contender: &Contender| {
        let extras = catalog
            .extras_of(&catalog.offers[contender.offer.index()])
            .is_some();
        (contender.monthly, contender.rank, unit(contender), extras)
    };
    in_place.sort_by_cached_key(|(pace, contender)| {
        let rate = catalog.offers[contender.offer.index()].rate;
        let kind = kind(contender);
        (kind, rate, std::cmp::Reverse(*pace), contender.offer)
    });
    let uses = |contender: &Contender| -> Vec<i64> {
        limits
            .iter()
            .map(|limit| limit.used(catalog.machine(&catalog.offers[contender.offer.index()]), 1))
            .collect()
    };
    // Cheaper ones come first, so only pace and uses are left to compare.
    for group in in_place.chunk_by(|(_, a), (_, b)| kind(a) == kind(b)) {
        let mut front: Vec<(i128, Vec<i64>)> = Vec::new();
        for (pace, contender) in group {
            let uses = uses(contender);
            let beaten = |(other, used): &(i128, Vec<i64>)| {
                other >= pace && used.iter().zip(&uses).all(|(a, b)| a <= b)
            };
            if front.iter().any(beaten) {
                continue;
            }
            // Without quotas the fastest of the cheaper ones says it all.
            if limits.is_empty() {
                front.clear();
            }
            front.push((*pace, uses));
            kept_contenders.push(*contender);
        }
    }
}

/// The share of machines interrupted in a month, in parts per million, and whether it is assumed.
fn interruption_risk(offer: &Offer, places: &Places<'_>) -> (u32, bool) {
    match offer.purchase {
        Purchase::OnDemand => (0, false),
        Purchase::Spot => match places
            .catalog
            .interruptions
            .get(&(offer.place, offer.machine))
        {
            Some(monthly) => (*monthly, false),
            None => (spot::ASSUMED_INTERRUPTIONS, true),
        },
    }
}

/// How the offers of a stage ran out that had some: the job does not say how long it runs on
/// them, they are over a quota, or it would practically never end.
pub(super) fn none_left(
    stage: &str,
    spec: &Stage,
    allowed: &Allowed,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Funnel {
    let catalog = places.catalog;
    let mut funnel = Funnel {
        stage: stage.to_owned(),
        needs: needs::text(&spec.needs),
        ..Funnel::default()
    };
    for allowed in &allowed.offers {
        let offer = &catalog.offers[allowed.offer.index()];
        let machine = catalog.machine(offer);
        if needs::pace(&spec.work, machine, catalog).is_none() {
            count_offer(&mut funnel.unmet, "duration");
            continue;
        }
        match limits
            .iter()
            .find(|limit| limit.holds_at(offer.place) && limit.exceeded_by(machine, spec.nodes))
        {
            Some(limit) => {
                funnel.fitting += 1;
                count_offer(&mut funnel.forbidden, &limit.key);
            }
            None => count_offer(&mut funnel.unmet, "interruptions"),
        }
    }
    funnel
}

fn count_offer(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}
