//! What the shipped catalog must say: each test is named after what it guards.

use crate::catalog::check::{self, Kind};
use crate::catalog::{Catalog, load};
use crate::model::{Machine, Offer, Purchase, Rate};
use std::collections::BTreeSet;

fn shipped() -> &'static Catalog {
    static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    CATALOG.get_or_init(|| load::shipped().unwrap())
}

fn machine(cloud: &str, instance_type: &str) -> &'static Machine {
    let is = |machine: &&Machine| machine.cloud == cloud && machine.instance_type == instance_type;
    shipped()
        .machines
        .iter()
        .find(is)
        .unwrap_or_else(|| panic!("{cloud} has no {instance_type}"))
}

fn offers(instance_type: &str) -> Vec<&'static Offer> {
    let catalog = shipped();
    catalog
        .offers
        .iter()
        .filter(|offer| catalog.machine(offer).instance_type == instance_type)
        .collect()
}

fn on_demand(place: &str, instance_type: &str) -> Option<&'static Offer> {
    let catalog = shipped();
    let there = |offer: &&Offer| catalog.place(offer).name.to_string() == place;
    offers(instance_type)
        .into_iter()
        .filter(there)
        .find(|offer| offer.purchase == Purchase::OnDemand)
}

fn cards(cloud: &str, instance_type: &str) -> (&'static str, u32) {
    let (name, count) = machine(cloud, instance_type).accelerator.as_ref().unwrap();
    (name, *count)
}

#[test]
fn sizes_that_the_newer_full_list_of_their_region_lacks_are_not_offered() {
    let catalog = shipped();
    // A few regions have them still, at prices of today.
    let promo = |offer: &&Offer| catalog.machine(offer).instance_type.ends_with("_Promo");
    for offer in catalog.offers.iter().filter(promo) {
        assert_eq!(
            catalog.sources[usize::from(offer.source)].id,
            "azure-2026-06-18"
        );
    }
    assert!(on_demand("azure:eastus", "Standard_D2_v2_Promo").is_none());
    assert!(on_demand("azure:eastus2", "Standard_D3_v2_Promo").is_none());
    assert!(on_demand("gcp:us-central1", "n1-megamem-96").is_none());
    // A list that is full names every on-demand price of its regions.
    for source in ["azure-2026-06-18", "aws-2026-07-20", "gcp-2026-08-06"] {
        let id = catalog
            .sources
            .iter()
            .position(|source_row| source_row.id == source)
            .unwrap();
        let of = |offer: &&Offer| {
            usize::from(offer.source) == id && offer.purchase == Purchase::OnDemand
        };
        let regions: BTreeSet<u32> = catalog
            .offers
            .iter()
            .filter(of)
            .map(|offer| offer.place)
            .collect();
        let older = catalog.offers.iter().filter(|offer| {
            let name = &catalog.machine(offer).instance_type;
            let by_name = !(name.contains('+') || name.starts_with("tpu-"));
            let machine = catalog.machine(offer).service.is_none();
            machine
                && by_name
                && offer.purchase == Purchase::OnDemand
                && regions.contains(&offer.place)
                && !of(offer)
        });
        let names: Vec<String> = older
            // Prices that were not believed give way to the older ones.
            .filter(|offer| !catalog.machine(offer).instance_type.contains("metal"))
            .map(|offer| {
                format!(
                    "{} {}",
                    catalog.place(offer).name,
                    catalog.machine(offer).instance_type
                )
            })
            .collect();
        assert!(names.len() < 60, "{source}: {} {names:?}", names.len());
    }
}

#[test]
fn nd96isr_h100_v5_has_eight_cards() {
    assert_eq!(
        cards("azure", "Standard_ND96isr_H100_v5"),
        ("H100-SXM", 8000)
    );
}

#[test]
fn a_tpu_costs_what_google_bills_and_no_host_beside_it() {
    let rate = |place: &str, name: &str| on_demand(place, name).map(|offer| offer.rate);
    assert_eq!(
        rate("gcp:us-central1", "tpu-v3-8"),
        Some(Rate(8_000_000_000))
    );
    assert_eq!(
        rate("gcp:us-central1", "tpu-v2-8"),
        Some(Rate(4_500_000_000))
    );
    let catalog = shipped();
    let with_host = |machine: &&Machine| {
        machine.instance_type.starts_with("tpu-") && machine.instance_type.contains('+')
    };
    assert_eq!(catalog.machines.iter().filter(with_host).count(), 0);
    let v3 = machine("gcp", "tpu-v3-8");
    assert_eq!((v3.vcpu_thousandths, v3.memory.0 >> 30), (96_000, 340));
}

#[test]
fn every_tpu_has_memory_and_a_rate() {
    let catalog = shipped();
    let tpus = catalog
        .accelerators
        .iter()
        .filter(|(name, _)| name.starts_with("tpu-"));
    for (name, row) in tpus {
        assert!(
            row.memory.0 > 0 && row.gigaflops.contains_key("bf16"),
            "{name}"
        );
    }
    assert_eq!(catalog.accelerators["tpu-v2-8"].memory.0 >> 30, 64);
}

#[test]
fn accelerators_of_the_newest_lists_are_offered_with_their_cards() {
    let catalog = shipped();
    for (cloud, instance_type, card, gib) in [
        ("aws", "p5en.48xlarge", "H200-SXM", 141),
        ("aws", "p5.4xlarge", "H100-SXM", 80),
        ("aws", "p6-b200.48xlarge", "B200", 179),
        ("aws", "p6-b300.48xlarge", "B300", 268),
        ("aws", "g7e.48xlarge", "RTXPRO6000", 96),
        ("aws", "g7.2xlarge", "RTXPRO4500", 32),
        ("aws", "g6f.large", "L4", 24),
        ("azure", "Standard_ND96isr_H200_v5", "H200-SXM", 141),
        ("azure", "Standard_ND128isr_NDR_GB200_v6", "GB200", 186),
        ("azure", "Standard_ND96isr_MI300X_v5", "MI300X", 192),
        ("azure", "Standard_NC8ads_A10_v4", "A10", 24),
        ("azure", "Standard_NC16ads_A10_v4", "A10", 24),
        ("azure", "Standard_NC32ads_A10_v4", "A10", 24),
        (
            "azure",
            "Standard_NC144ds_xl_RTXPRO6000BSE_v6",
            "RTXPRO6000",
            96,
        ),
        ("azure", "Standard_NV24ads_V710_v5", "Radeon-Pro-V710", 28),
        ("gcp", "g4-standard-48", "RTXPRO6000", 96),
        ("gcp", "g4-standard-384", "RTXPRO6000", 96),
        ("gcp", "a3-megagpu-8g", "H100-MEGA", 80),
    ] {
        assert_eq!(cards(cloud, instance_type).0, card, "{instance_type}");
        let of_cloud = |offer: &&&Offer| catalog.place(offer).name.cloud == cloud;
        assert!(
            offers(instance_type).iter().any(|offer| of_cloud(&offer)),
            "{instance_type} has no price"
        );
        assert_eq!(catalog.accelerators[card].memory.0 >> 30, gib, "{card}");
    }
    for (card, bf16) in [
        ("H100-SXM", 989_400),
        ("H100-PCIe", 756_000),
        ("H200-SXM", 989_400),
        ("B200", 2_250_000),
    ] {
        assert_eq!(catalog.accelerators[card].gigaflops["bf16"], bf16, "{card}");
    }
}

#[test]
fn retired_machines_are_not_offered_and_coming_retirements_are_known() {
    let catalog = shipped();
    for gone in [
        "p2.xlarge",
        "p3.2xlarge",
        "dl1.24xlarge",
        "g3.4xlarge",
        "Standard_NV4as_v4",
        "Standard_ND40s_v2",
        "Standard_NC128ds_xl_RTXPRO6000BSE_v6",
        "f1.2xlarge",
        "Standard_NC6",
        "Standard_NC6_Promo",
        "Standard_NC6s_v3",
        "Standard_NC24rs_v3",
        "Standard_NV6",
        "Standard_NV12_Promo",
        "Standard_NV6s_v2",
        "Standard_DC8_v2",
    ] {
        assert!(offers(gone).is_empty(), "{gone}");
    }
    assert!(!catalog.retired.is_empty());
    // P3dn is there still; G4ad is on its way out in three regions.
    assert!(!offers("p3dn.24xlarge").is_empty());
    // What a source of November says of September has happened, whatever the day of the prices.
    assert!(catalog.date.as_str() < "2026-09-30");
    let places: BTreeSet<String> = offers("Standard_NV12s_v3")
        .iter()
        .map(|offer| catalog.place(offer).name.to_string())
        .collect();
    assert_eq!(places, BTreeSet::from(["azure:uaenorth".to_owned()]));
    let found = check::findings(catalog);
    let is = |kind: Kind, name: &str, words: &str| {
        let of = |one: &&check::Finding| one.kind == kind && one.name == name;
        found
            .iter()
            .filter(of)
            .any(|one| one.message.contains(words))
    };
    assert!(is(Kind::Retired, "azure:Standard_NV4as_v4", "2026-09-30"));
    assert!(is(Kind::Retiring, "azure:Standard_NV12s_v3", "2027-01-31"));
}

#[test]
fn prices_before_a_cut_are_scaled_to_its_day_and_marked() {
    let catalog = shipped();
    let here = on_demand("aws:us-east-1", "p5.48xlarge").unwrap();
    assert_eq!((here.rate, here.estimated), (Rate(55_040_000_000), false));
    for offer in offers("p5.48xlarge")
        .into_iter()
        .filter(|offer| offer.purchase == Purchase::OnDemand)
    {
        let place = catalog.place(offer);
        let is_new = ["us-east-1", "us-gov-west-1"].contains(&place.name.region.as_str());
        assert_eq!(offer.estimated, !is_new, "{}", place.name);
        assert!(
            offer.rate.0 < 95_000_000_000,
            "{}: {}",
            place.name,
            offer.rate
        );
    }
    let found = check::findings(catalog);
    let is_listed = |name: &str| {
        let mut estimated = found.iter().filter(|one| one.kind == Kind::Estimated);
        estimated.any(|one| one.name == format!("aws:{name}"))
    };
    // P4d and P4de were cut by a third: of both the older lists are scaled to where they are now.
    for (name, here, there) in [
        (
            "p4d.24xlarge",
            21_957_642_000,
            21_900_000_000..22_000_000_000,
        ),
        (
            "p4de.24xlarge",
            27_447_050_000,
            27_400_000_000..27_500_000_000,
        ),
    ] {
        let newest = on_demand("aws:us-east-1", name).unwrap();
        assert_eq!(
            (newest.rate, newest.estimated),
            (Rate(here), false),
            "{name}"
        );
        let older = on_demand("aws:us-west-2", name).unwrap();
        assert!(
            older.estimated && there.contains(&older.rate.0),
            "{name}: {}",
            older.rate
        );
        assert!(is_listed(name), "{name} is not in `catalog check`");
    }
    assert!(is_listed("p5.48xlarge"));
}

#[test]
fn a_kind_of_card_is_any_of_its_boards_and_a_board_only_itself() {
    let catalog = shipped();
    for (board, is, is_not) in [
        (
            "H100-SXM",
            &["H100", "h100-sxm5", "H100-80GB"][..],
            &["H100-PCIe", "H100-NVL", "H200", "H100-MEGA"][..],
        ),
        ("H100-MEGA", &["H100", "H100-SXM"], &["H100-PCIe"]),
        ("H100-PCIe", &["H100"], &["H100-SXM"]),
        ("H100-NVL", &["H100"], &["H100-SXM", "H100-PCIe"]),
        ("H200-SXM", &["H200"], &["H200-NVL", "H100"]),
        (
            "A100-SXM",
            &["A100", "A100-40GB"],
            &["A100-PCIe", "A100-80GB"],
        ),
        ("A100-80GB-PCIe", &["A100-80GB"], &["A100", "A100-80GB-SXM"]),
        (
            "V100-SXM",
            &["V100", "V100-16GB"],
            &["V100-PCIe", "V100-32GB"],
        ),
        ("H100", &["H100"], &["H100-SXM", "H100-PCIe", "H100-NVL"]),
    ] {
        for wanted in is {
            assert!(
                catalog.is_accelerator(board, wanted),
                "{board} is a {wanted}"
            );
        }
        for wanted in is_not {
            assert!(
                !catalog.is_accelerator(board, wanted),
                "{board} is not {wanted}"
            );
        }
    }
    assert_eq!(cards("aws", "p5.48xlarge").0, "H100-SXM");
    assert_eq!(cards("gcp", "a3-highgpu-8g").0, "H100-SXM");
    assert_eq!(cards("lambda", "gpu_8x_h100_sxm5").0, "H100-SXM");
    assert_eq!(cards("lambda", "gpu_1x_h100_pcie").0, "H100-PCIe");
}

#[test]
fn parts_of_a_card_are_counted_as_parts() {
    let parts = [
        ("Standard_NV4as_v4", 125),
        ("Standard_NV8as_v4", 250),
        ("Standard_NV16as_v4", 500),
    ];
    for (name, thousandths) in parts {
        assert_eq!(cards("azure", name), ("Radeon-MI25", thousandths));
    }
    assert_eq!(cards("azure", "Standard_NV32as_v4").1, 1000);
    assert_eq!(cards("gcp", "g4-standard-6"), ("RTXPRO6000", 125));
}

#[test]
fn dropped_rows_are_counted_by_reason() {
    let catalog = shipped();
    let gone = catalog
        .dropped
        .iter()
        .filter(|row| row.reason.contains("newer full list"));
    let (rows, types) = gone.fold((0, 0), |(rows, types), row| (rows + row.rows, types + 1));
    assert!(rows > 150 && types > 20, "{rows} prices of {types} types");
    assert!(
        check::findings(catalog)
            .iter()
            .any(|one| one.kind == Kind::Dropped)
    );
}
