//! What a catalog does not say: it satisfies no rule and no need.

use super::finding::{Finding, Kind};
use crate::catalog::Catalog;
use crate::model::{Place, Reach};
use std::collections::BTreeSet;

/// Finds what is unknown of places, clouds, machines and accelerators.
pub(super) fn check(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let with_offers: BTreeSet<u32> = catalog.offers.iter().map(|offer| offer.place).collect();
    for (place, id) in catalog.places.iter().zip(0_u32..) {
        if place.name.cloud == "local" {
            continue;
        }
        place_facts(place, findings);
        if with_offers.contains(&id) && !has_priced_way_out(catalog, id) {
            let message = "no way out has a known price: no plan moves data from there";
            findings.push(Finding::of(Kind::NoEgress, place.name.to_string(), message));
        }
    }
    let clouds: BTreeSet<&str> = with_offers
        .iter()
        .map(|id| catalog.places[*id as usize].name.cloud.as_str())
        .collect();
    for cloud in clouds {
        if !catalog.terms.contains_key(cloud) {
            let message = "how it bills and boots is unknown: to the millisecond, and in no time";
            findings.push(Finding::of(Kind::NoTerms, cloud, message));
        }
    }
    machine_sizes(catalog, findings);
    for (name, row) in &catalog.accelerators {
        if row.gigaflops.is_empty() {
            let message = "it has no rates: no `work` is divided by it";
            findings.push(Finding::of(Kind::UnknownAccelerator, name, message));
        }
    }
}

/// Finds what rules ask of a place and the catalog does not know.
fn place_facts(place: &Place, findings: &mut Vec<Finding>) {
    let name = place.name.to_string();
    if place.country.is_none() {
        let message = "its country is unknown: no residency rule lets data there";
        findings.push(Finding::of(Kind::NoCountry, &name, message));
    }
    if place.operator.is_empty() {
        findings.push(Finding::of(
            Kind::NoOperator,
            &name,
            "its operator is unknown",
        ));
    }
    if place.cloud_act == Reach::Unknown {
        let message = "whether the US CLOUD Act reaches it is unknown: it counts as reached";
        findings.push(Finding::of(Kind::NoReach, &name, message));
    }
}

/// Whether data can be moved from the place to any other at a known price.
fn has_priced_way_out(catalog: &Catalog, from: u32) -> bool {
    let mut other_places = catalog.places.iter().zip(0_u32..);
    other_places.any(|(other, to)| {
        other.name.cloud != "local" && to != from && catalog.network.tariff(from, to).is_some()
    })
}

fn machine_sizes(catalog: &Catalog, findings: &mut Vec<Finding>) {
    for machine in &catalog.machines {
        let lacking_figures = match (machine.memory.0, machine.vcpu_thousandths) {
            // A service has no hardware that could be known.
            _ if machine.service.is_some() => continue,
            (0, _) => "memory",
            (_, 0) => "vCPUs",
            _ => continue,
        };
        let name = format!("{}:{}", machine.cloud, machine.instance_type);
        let message = format!("its {lacking_figures} are unknown: it meets no need of them");
        findings.push(Finding::of(Kind::NoSize, name, message));
    }
}
