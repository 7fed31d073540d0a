//! Which offers a stage may take, and which of them are worth keeping.

use super::needs;
use crate::catalog::Catalog;
use crate::model::{Millis, Money, Needs, Policy, Work};
use crate::rule;
use std::collections::{BTreeMap, BTreeSet};

/// An offer that a stage may take. Candidates of a stage are in the order of place, instance
/// type and purchase, which is the order that breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index into the catalog's offers.
    pub offer: usize,
    pub duration: Millis,
    /// All nodes, for the whole duration.
    pub cost: Money,
}

/// What decides about a stage's candidates: equal requests have equal candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub needs: &'a Needs,
    pub work: &'a Work,
    pub nodes: u32,
    pub labels: &'a BTreeSet<String>,
}

/// How the offers of a stage ran out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    pub stage: String,
    /// The needs in words.
    pub needs: String,
    /// Offers that meet the needs, before any policy.
    pub fitting: u64,
    /// Offers in the catalog that fail first at this need (`cpus`, `accelerators`, …).
    pub unmet: BTreeMap<String, u64>,
    /// Offers that meet the needs and are forbidden first by this key of the policy.
    pub forbidden: BTreeMap<String, u64>,
}

/// The candidates worth keeping and how many there were, or how they ran out.
pub fn enumerate(request: &Request<'_>, policy: &Policy, catalog: &Catalog) -> Result<(Vec<Candidate>, usize), Funnel> {
    let mut funnel = Funnel { needs: needs::text(request.needs), ..Funnel::default() };
    let fits: Vec<Result<Millis, &'static str>> = catalog
        .machines
        .iter()
        .map(|machine| match needs::unmet(request.needs, machine, catalog) {
            Some(need) => Err(need),
            None => needs::duration(request.work, machine, request.nodes, catalog).ok_or("duration"),
        })
        .collect();
    let place_wanted =
        |name: String| request.needs.places.is_empty() || request.needs.places.iter().any(|p| p.matches(&name));
    let places: Vec<(bool, Option<String>)> = catalog
        .places
        .iter()
        .map(|place| (place_wanted(place.name.to_string()), rule::forbids_place(policy, request.labels, place)))
        .collect();
    let mut candidates = Vec::new();
    for (index, offer) in catalog.offers.iter().enumerate() {
        let (wanted, forbidden) = &places[offer.place as usize];
        let duration = match fits[offer.machine as usize] {
            Ok(_) if !wanted => Err("places"),
            Ok(_) if !needs::has_tee(request.needs, offer.tee) => Err("tee"),
            fit => fit,
        };
        let duration = match duration {
            Ok(duration) => duration,
            Err(need) => {
                count(&mut funnel.unmet, need);
                continue;
            }
        };
        funnel.fitting += 1;
        let forbidden =
            forbidden.clone().or_else(|| rule::forbids_machine(policy, request.labels, offer.tee, offer.purchase));
        match forbidden {
            Some(key) => count(&mut funnel.forbidden, &key),
            None => {
                candidates.push(Candidate { offer: index, duration, cost: offer.rate.cost(request.nodes, duration) })
            }
        }
    }
    if candidates.is_empty() {
        return Err(funnel);
    }
    let seen = candidates.len();
    Ok((undominated(candidates, catalog), seen))
}

fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

/// Within a place, drops what is neither cheaper nor faster than another; of equals the first
/// stays. Offers come sorted by place, and stay in their order.
fn undominated(candidates: Vec<Candidate>, catalog: &Catalog) -> Vec<Candidate> {
    let mut kept = Vec::new();
    for group in candidates.chunk_by(|a, b| catalog.offers[a.offer].place == catalog.offers[b.offer].place) {
        let mut by_cost: Vec<&Candidate> = group.iter().collect();
        by_cost.sort_by_key(|candidate| (candidate.cost, candidate.duration, candidate.offer));
        let mut fastest = Millis(u64::MAX);
        let mut front: Vec<Candidate> = Vec::new();
        for candidate in by_cost {
            if candidate.duration < fastest {
                fastest = candidate.duration;
                front.push(*candidate);
            }
        }
        front.sort_by_key(|candidate| candidate.offer);
        kept.extend(front);
    }
    kept
}
