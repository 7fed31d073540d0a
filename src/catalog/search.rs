//! Offers by what somebody asks for: the question, and its answer. [`super::search_words`] reads it
//! from words.

use crate::catalog::Catalog;
use crate::model::accelerator::count_text;
use crate::model::{
    AcceleratorNeed, Bytes, Offer, Pattern, Purchase, Rate, ServiceNeed, Tee, geography,
};
use std::collections::BTreeSet;

/// What is asked for; what is empty binds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// An accelerator, and at least how many of it, as in a job's needs.
    pub accelerator: Option<AcceleratorNeed>,
    /// The place is in one of these ISO 3166 countries.
    pub countries: BTreeSet<String>,
    /// The cloud matches one of these patterns.
    pub clouds: BTreeSet<Pattern>,
    /// The place matches one of these patterns.
    pub places: BTreeSet<Pattern>,
    /// The instance type matches this pattern.
    pub instance_type: Option<Pattern>,
    /// The greatest price per hour.
    pub max_rate: Option<Rate>,
    /// Whether the price must be less than `max_rate`, not at most that.
    pub below: bool,
    /// Least number of virtual CPUs, in thousandths.
    pub min_vcpus: u64,
    /// Least memory.
    pub min_memory: Bytes,
    /// The machine has one of these confidential-computing environments.
    pub tee: BTreeSet<Tee>,
    /// The architecture, `x86_64` or `arm64`.
    pub arch: Option<String>,
    /// Spot offers instead of those on demand.
    pub spot: bool,
    /// A service instead of machines.
    pub service: Option<ServiceNeed>,
}

/// The offers that match the search, the cheapest first; then by place and instance type.
pub fn find<'a>(catalog: &'a Catalog, search: &Search) -> Vec<&'a Offer> {
    offers_among(&catalog.offers, catalog, search)
}

/// The offers that match the search and have ended, the cheapest first.
pub fn lapsed<'a>(catalog: &'a Catalog, search: &Search) -> Vec<&'a Offer> {
    offers_among(&catalog.lapsed, catalog, search)
}

fn offers_among<'a>(offers: &'a [Offer], catalog: &Catalog, search: &Search) -> Vec<&'a Offer> {
    let any_matches = |patterns: &BTreeSet<Pattern>, name: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
    };
    let wanted_cards = search
        .accelerator
        .as_ref()
        .map(|need| (need.name.as_str(), need.thousandths));
    let machine = |machine: &crate::model::Machine| {
        let cards = machine
            .accelerator
            .as_ref()
            .map(|(name, count)| (name.as_str(), *count));
        let served = match (&search.service, &machine.service) {
            (Some(need), Some(service)) => {
                need.name == service.name && need.admits(service.version.as_ref())
            }
            (None, None) => true,
            _ => false,
        };
        served
            && wanted_cards.is_none_or(|(name, least)| {
                cards
                    .is_some_and(|(has, count)| count >= least && catalog.is_accelerator(has, name))
            })
            && search
                .instance_type
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&machine.instance_type))
            && machine.vcpu_thousandths >= search.min_vcpus
            && machine.memory >= search.min_memory
            && search
                .arch
                .as_ref()
                .is_none_or(|arch| *arch == machine.arch)
    };
    let place = |place: &crate::model::Place| {
        any_matches(&search.clouds, &place.name.cloud)
            && any_matches(&search.places, &place.name.to_string())
            && (search.countries.is_empty()
                || place
                    .country
                    .as_ref()
                    .is_some_and(|country| search.countries.contains(country)))
    };
    let machines: Vec<bool> = catalog.machines.iter().map(machine).collect();
    let places: Vec<bool> = catalog.places.iter().map(place).collect();
    let purchase = if search.spot {
        Purchase::Spot
    } else {
        Purchase::OnDemand
    };
    let passes = |offer: &&Offer| {
        offer.purchase == purchase
            && places[offer.place as usize]
            && machines[offer.machine as usize]
            // A bound per hour says nothing of what is paid by something else.
            && search.max_rate.is_none_or(|_| catalog.machine(offer).unit() == crate::model::Unit::Hour)
            && search.max_rate.is_none_or(|most| offer.rate < most || (offer.rate == most && !search.below))
            && (search.tee.is_empty() || search.tee.iter().any(|tee| offer.tee.has(*tee)))
    };
    let mut offers: Vec<&Offer> = offers.iter().filter(passes).collect();
    // Offers lie by place and machine, and the sort is stable.
    offers.sort_by_key(|offer| (catalog.machine(offer).unit(), offer.rate));
    offers
}

/// Whether a catalog has a service of this name.
pub fn has_service(catalog: &Catalog, name: &str) -> bool {
    let mut services = catalog
        .machines
        .iter()
        .filter_map(|machine| machine.service.as_ref());
    services.any(|service| service.name == name)
}

/// What was understood, in one line.
pub fn said(search: &Search) -> String {
    let joined_by_or = |items: Vec<String>| items.join(" or ");
    let mut said_parts = Vec::new();
    said_parts.extend(search.service.as_ref().map(ToString::to_string));
    said_parts.extend(
        search
            .accelerator
            .as_ref()
            .map(|need| format!("at least {} {}", count_text(need.thousandths), need.name)),
    );
    if search.min_vcpus > 0 {
        let count = count_text(u32::try_from(search.min_vcpus).unwrap_or(u32::MAX));
        said_parts.push(format!("at least {count} vCPUs"));
    }
    if search.min_memory.0 > 0 {
        said_parts.push(format!("at least {} memory", search.min_memory));
    }
    said_parts.extend(
        search
            .instance_type
            .as_ref()
            .map(|pattern| format!("type {pattern}")),
    );
    said_parts.extend(search.arch.clone());
    if !search.tee.is_empty() {
        said_parts.push(joined_by_or(
            search.tee.iter().map(Tee::to_string).collect(),
        ));
    }
    for patterns in [&search.clouds, &search.places] {
        if !patterns.is_empty() {
            said_parts.push(format!(
                "at {}",
                joined_by_or(patterns.iter().map(Pattern::to_string).collect())
            ));
        }
    }
    if !search.countries.is_empty() {
        let bloc = geography::blocs().find(|bloc| {
            geography::countries(bloc).is_some_and(|members| {
                members
                    .into_iter()
                    .map(str::to_owned)
                    .collect::<BTreeSet<_>>()
                    == search.countries
            })
        });
        said_parts.push(format!(
            "in {}",
            bloc.map_or_else(
                || joined_by_or(search.countries.iter().cloned().collect()),
                str::to_owned
            )
        ));
    }
    let bound_words = if search.below { "under" } else { "at most" };
    said_parts.extend(
        search
            .max_rate
            .map(|most| format!("{bound_words} {most}/h")),
    );
    if search.service.is_none() {
        said_parts.push(if search.spot { "spot" } else { "on demand" }.to_owned());
    }
    said_parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{load, search_words};

    #[test]
    fn what_is_found_is_what_was_asked_for() {
        let catalog = &load::shipped().unwrap();
        let mut search = Search::default();
        search_words::read("4x A100 80GB in the EU under $20/h", catalog, &mut search).unwrap();
        let found = find(catalog, &search);
        let expected = catalog.offers.iter().filter(|offer| {
            let (machine, place) = (catalog.machine(offer), catalog.place(offer));
            let country = place.country.as_deref().unwrap_or("??");
            matches!(&machine.accelerator, Some((name, count)) if name.starts_with("A100-80GB") && *count >= 4000)
                && geography::countries("EU").unwrap().contains(&country)
                && offer.rate < Rate::parse_usd("20").unwrap()
                && offer.purchase == Purchase::OnDemand
        });
        assert_eq!(found.len(), expected.count());
        assert!(found.len() > 3 && found.is_sorted_by_key(|offer| offer.rate));
    }
}
