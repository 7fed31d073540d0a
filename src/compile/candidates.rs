//! Which offers a stage may take, and which of them are worth keeping.

use super::needs;
use crate::catalog::Catalog;
use crate::model::{Millis, Money, Needs, Policy, Stage, Work};
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

/// What decides which offers a stage may take: equal requests have equal offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub needs: &'a Needs,
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

/// The offers that a request may take, as indexes in the catalog's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub offers: Vec<usize>,
    /// The cheapest of each place, the first of equals: all that a stage needs that runs equally
    /// long everywhere.
    pub cheapest: Vec<usize>,
}

/// The offers that a request may take, or how they ran out.
pub fn offers(request: &Request<'_>, policy: &Policy, catalog: &Catalog) -> Result<Allowed, Funnel> {
    let mut funnel = Funnel { needs: needs::text(request.needs), ..Funnel::default() };
    let unmet: Vec<Option<&'static str>> =
        catalog.machines.iter().map(|machine| needs::unmet(request.needs, machine, catalog)).collect();
    let wanted =
        |name: String| request.needs.places.is_empty() || request.needs.places.iter().any(|p| p.matches(&name));
    let places: Vec<(bool, Option<String>)> = catalog
        .places
        .iter()
        .map(|place| (wanted(place.name.to_string()), rule::forbids_place(policy, request.labels, place)))
        .collect();
    let mut allowed = Vec::new();
    for (index, offer) in catalog.offers.iter().enumerate() {
        let (wanted, forbidden) = &places[offer.place as usize];
        let unmet = match unmet[offer.machine as usize] {
            None if !wanted => Some("places"),
            None if !needs::has_tee(request.needs, offer.tee) => Some("tee"),
            unmet => unmet,
        };
        if let Some(need) = unmet {
            count(&mut funnel.unmet, need);
            continue;
        }
        funnel.fitting += 1;
        match forbidden {
            Some(key) => count(&mut funnel.forbidden, key),
            None => match rule::forbids_machine(policy, request.labels, offer.tee, offer.purchase) {
                Some(key) => count(&mut funnel.forbidden, &key),
                None => allowed.push(index),
            },
        }
    }
    if allowed.is_empty() {
        return Err(funnel);
    }
    let in_place = allowed.chunk_by(|a, b| catalog.offers[*a].place == catalog.offers[*b].place);
    let cheapest =
        in_place.filter_map(|group| group.iter().copied().min_by_key(|index| (catalog.offers[*index].rate, *index)));
    Ok(Allowed { cheapest: cheapest.collect(), offers: allowed })
}

/// A stage's candidates worth keeping among the offers that it may take, and how many there were.
/// None are left if the job does not say how long the stage runs on any of them.
pub fn candidates(stage: &Stage, allowed: &Allowed, catalog: &Catalog) -> (Vec<Candidate>, usize) {
    let candidate = |index: usize, duration: Millis| {
        let cost = catalog.offers[index].rate.cost(stage.nodes, duration);
        Candidate { offer: index, duration, cost }
    };
    if let Work::Duration(duration) = stage.work {
        let kept = allowed.cheapest.iter().map(|index| candidate(*index, duration)).collect();
        return (kept, allowed.offers.len());
    }
    let mut known: BTreeMap<u32, Option<Millis>> = BTreeMap::new();
    let mut seen = 0;
    let mut kept = Vec::new();
    for group in allowed.offers.chunk_by(|a, b| catalog.offers[*a].place == catalog.offers[*b].place) {
        let in_place = group.iter().filter_map(|index| {
            let machine = catalog.offers[*index].machine;
            let time = || needs::duration(&stage.work, &catalog.machines[machine as usize], stage.nodes, catalog);
            Some(candidate(*index, (*known.entry(machine).or_insert_with(time))?))
        });
        let in_place: Vec<Candidate> = in_place.collect();
        seen += in_place.len();
        undominated(in_place, &mut kept);
    }
    (kept, seen)
}

fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

/// Of the candidates in one place, keeps those that no other beats in cost without being slower;
/// of equals the first stays. Offers stay in their order.
fn undominated(mut candidates: Vec<Candidate>, kept: &mut Vec<Candidate>) {
    candidates.sort_unstable_by_key(|candidate| (candidate.cost, candidate.duration, candidate.offer));
    let mut fastest = Millis(u64::MAX);
    candidates.retain(|candidate| {
        let faster = candidate.duration < fastest;
        fastest = fastest.min(candidate.duration);
        faster
    });
    candidates.sort_unstable_by_key(|candidate| candidate.offer);
    kept.append(&mut candidates);
}
