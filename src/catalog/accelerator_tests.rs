//! Every accelerator type of the newest lists is on offer with its cards, its memory and its rates,
//! and what is not says why.

use super::card_families::{cards_of_family, is_named_as_accelerated};
use crate::catalog::{Catalog, load};
use std::collections::BTreeSet;

fn shipped() -> Catalog {
    load::shipped().unwrap()
}

#[test]
fn every_machine_of_every_cloud_has_the_cards_that_its_name_says() {
    let catalog = shipped();
    let offered: BTreeSet<u32> = catalog.offers.iter().map(|offer| offer.machine).collect();
    let mut wrong = Vec::new();
    let machines = catalog.machines.iter().zip(0_u32..);
    for (machine, id) in machines.filter(|(machine, _)| machine.service.is_none()) {
        let (cloud, name) = (&machine.cloud, &machine.instance_type);
        let expected = cards_of_family(cloud, name);
        if expected != machine.accelerator {
            wrong.push(format!(
                "{cloud} {name}: {:?}, by its name {expected:?}",
                machine.accelerator
            ));
        }
        if expected.is_none() && offered.contains(&id) && is_named_as_accelerated(cloud, name) {
            wrong.push(format!("{cloud} {name}: of which family is it?"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Types of the newest lists with accelerators that are not on offer although their cloud has not
/// retired them, and why.
const NOT_OFFERED: &[(&str, &str, &str)] = &[(
    "azure",
    "Standard_NC8lds_xl_RTXPRO6000BSE_v6",
    "in two regions of the list of 2026-06-18, in no page of Microsoft's and not in its Compute SKUs API: nobody says its \
     memory and its part of a card",
)];

#[test]
fn every_accelerator_type_of_the_newest_lists_is_an_offer_or_says_why_not() {
    let catalog = shipped();
    // The importer counts what it leaves out by name: a type without an offer is in here.
    let left: BTreeSet<(&str, &str)> = catalog
        .dropped
        .iter()
        .filter(|row| row.reason.contains("not known"))
        .map(|row| (row.cloud.as_str(), row.instance_type.as_str()))
        .filter(|(cloud, name)| is_named_as_accelerated(cloud, name))
        .collect();
    let allowed: BTreeSet<(&str, &str)> = NOT_OFFERED
        .iter()
        .map(|(cloud, name, _)| (*cloud, *name))
        .collect();
    assert_eq!(left, allowed);
    // That counts the newest lists: what no vendor's page gives a size for is many hundred types.
    let types = |cloud: &str| {
        let of_list = catalog.dropped.iter().filter(|row| {
            row.cloud == cloud && row.source.contains("2026") && row.reason.contains("not known")
        });
        of_list.count()
    };
    for cloud in ["aws", "azure", "gcp"] {
        assert!(types(cloud) > 100, "{cloud}: {}", types(cloud));
    }
    // And a machine with accelerators that is known has a price, or had one until it was retired or
    // a newer list had it no more.
    let priced: BTreeSet<u32> = catalog
        .offers
        .iter()
        .chain(&catalog.retired)
        .map(|offer| offer.machine)
        .collect();
    let gone = |cloud: &str, name: &str| {
        let mut rows = catalog.dropped.iter();
        rows.any(|row| {
            (row.cloud.as_str(), row.instance_type.as_str()) == (cloud, name)
                && row.reason.contains("newer full list")
        })
    };
    let idle: BTreeSet<(&str, &str)> = catalog
        .machines
        .iter()
        .zip(0_u32..)
        .filter(|(machine, id)| machine.accelerator.is_some() && !priced.contains(id))
        .map(|(machine, _)| (machine.cloud.as_str(), machine.instance_type.as_str()))
        .filter(|(cloud, name)| !gone(cloud, name))
        .collect();
    let unlisted: BTreeSet<(&str, &str)> = UNLISTED.iter().copied().collect();
    assert_eq!(idle, unlisted);
}

/// Types that their cloud has, by its own pages, and no list has a price of: most are let by
/// reservation only.
const UNLISTED: &[(&str, &str)] = &[
    ("aws", "p5e.48xlarge"),
    ("aws", "trn2.48xlarge"),
    ("azure", "Standard_ND128isr_GB300_v6"),
    ("gcp", "a3-edgegpu-8g"),
    ("gcp", "a3-edgegpu-8g-nolssd"),
    ("gcp", "a3-ultragpu-8g"),
    ("gcp", "a3-ultragpu-8g-nolssd"),
    ("gcp", "a4-highgpu-8g"),
    ("gcp", "a4x-highgpu-4g"),
    ("gcp", "a4x-maxgpu-4g-metal"),
];

/// Accelerators on offer without a rate, and why.
const NO_RATES: &[(&str, &str)] = &[
    ("Alveo-MA35D", "transcodes video"),
    ("Alveo-U250", "an FPGA"),
    ("U30", "transcodes video"),
    ("VU47P", "an FPGA"),
];

/// Accelerators on offer without a memory, and why.
const NO_MEMORY: &[(&str, &str)] = &[(
    "U30",
    "AWS names none for the cards of VT1, and no job chooses them by it",
)];

#[test]
fn every_accelerator_on_offer_has_memory_and_a_rate() {
    let catalog = shipped();
    let offered: BTreeSet<&str> = catalog
        .offers
        .iter()
        .filter_map(|offer| Some(catalog.machine(offer).accelerator.as_ref()?.0.as_str()))
        .collect();
    let without = |is_known: &dyn Fn(&str) -> bool| -> Vec<&str> {
        offered
            .iter()
            .copied()
            .filter(|name| !is_known(name))
            .collect()
    };
    let names = |table: &[(&'static str, &str)]| -> Vec<&'static str> {
        table.iter().map(|(name, _)| *name).collect()
    };
    let row = |name: &str| &catalog.accelerators[name];
    assert_eq!(
        without(&|name| !row(name).gigaflops.is_empty()),
        names(NO_RATES)
    );
    assert_eq!(without(&|name| row(name).memory.0 > 0), names(NO_MEMORY));
}
