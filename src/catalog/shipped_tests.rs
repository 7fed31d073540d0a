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

/// Cloud, what the names of the family begin with, its card, and by size how many of them in
/// thousandths.
type Family = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, u32)],
);

/// The cards of machine families of Azure, AWS and Compute Engine; `*` is any other size.
const FAMILIES: &[Family] = &[
    (
        "aws",
        "p2.",
        "K80",
        &[("xlarge", 1000), ("8xlarge", 8000), ("16xlarge", 16_000)],
    ),
    (
        "aws",
        "p3.",
        "V100-SXM",
        &[("2xlarge", 1000), ("8xlarge", 4000), ("16xlarge", 8000)],
    ),
    ("aws", "p3dn.", "V100-32GB-SXM", &[("24xlarge", 8000)]),
    ("aws", "p4d.", "A100-SXM", &[("24xlarge", 8000)]),
    ("aws", "p4de.", "A100-80GB-SXM", &[("24xlarge", 8000)]),
    (
        "aws",
        "p5.",
        "H100-SXM",
        &[("4xlarge", 1000), ("48xlarge", 8000)],
    ),
    ("aws", "p5e.", "H200-SXM", &[("48xlarge", 8000)]),
    ("aws", "p5en.", "H200-SXM", &[("48xlarge", 8000)]),
    ("aws", "p6-b200.", "B200", &[("48xlarge", 8000)]),
    ("aws", "p6-b300.", "B300", &[("48xlarge", 8000)]),
    (
        "aws",
        "g3.",
        "M60",
        &[("4xlarge", 1000), ("8xlarge", 2000), ("16xlarge", 4000)],
    ),
    ("aws", "g3s.", "M60", &[("xlarge", 1000)]),
    (
        "aws",
        "g4dn.",
        "T4",
        &[("*", 1000), ("12xlarge", 4000), ("metal", 8000)],
    ),
    (
        "aws",
        "g4ad.",
        "Radeon-Pro-V520",
        &[("*", 1000), ("8xlarge", 2000), ("16xlarge", 4000)],
    ),
    (
        "aws",
        "g5.",
        "A10G",
        &[
            ("*", 1000),
            ("12xlarge", 4000),
            ("24xlarge", 4000),
            ("48xlarge", 8000),
        ],
    ),
    (
        "aws",
        "g5g.",
        "T4G",
        &[("*", 1000), ("16xlarge", 2000), ("metal", 2000)],
    ),
    (
        "aws",
        "g6.",
        "L4",
        &[
            ("*", 1000),
            ("12xlarge", 4000),
            ("24xlarge", 4000),
            ("48xlarge", 8000),
        ],
    ),
    ("aws", "gr6.", "L4", &[("*", 1000)]),
    (
        "aws",
        "g6f.",
        "L4",
        &[
            ("large", 125),
            ("xlarge", 125),
            ("2xlarge", 250),
            ("4xlarge", 500),
        ],
    ),
    ("aws", "gr6f.", "L4", &[("4xlarge", 500)]),
    (
        "aws",
        "g6e.",
        "L40S",
        &[
            ("*", 1000),
            ("12xlarge", 4000),
            ("24xlarge", 4000),
            ("48xlarge", 8000),
        ],
    ),
    (
        "aws",
        "g7.",
        "RTXPRO4500",
        &[
            ("*", 1000),
            ("12xlarge", 2000),
            ("24xlarge", 4000),
            ("48xlarge", 8000),
        ],
    ),
    (
        "aws",
        "g7e.",
        "RTXPRO6000",
        &[
            ("*", 1000),
            ("12xlarge", 2000),
            ("24xlarge", 4000),
            ("48xlarge", 8000),
        ],
    ),
    (
        "aws",
        "inf1.",
        "Inferentia",
        &[("*", 1000), ("6xlarge", 4000), ("24xlarge", 16_000)],
    ),
    (
        "aws",
        "inf2.",
        "Inferentia2",
        &[("*", 1000), ("24xlarge", 6000), ("48xlarge", 12_000)],
    ),
    (
        "aws",
        "trn1.",
        "Trainium",
        &[("2xlarge", 1000), ("32xlarge", 16_000)],
    ),
    ("aws", "trn1n.", "Trainium", &[("32xlarge", 16_000)]),
    ("aws", "trn2.", "Trainium2", &[("48xlarge", 16_000)]),
    ("aws", "dl1.", "Gaudi-HL-205", &[("24xlarge", 8000)]),
    ("aws", "dl2q.", "Qualcomm-AI100", &[("24xlarge", 8000)]),
    (
        "aws",
        "f1.",
        "VU9P",
        &[("2xlarge", 1000), ("4xlarge", 2000), ("16xlarge", 8000)],
    ),
    (
        "aws",
        "f2.",
        "VU47P",
        &[("6xlarge", 1000), ("12xlarge", 2000), ("48xlarge", 8000)],
    ),
    (
        "aws",
        "vt1.",
        "U30",
        &[("3xlarge", 1000), ("6xlarge", 2000), ("24xlarge", 8000)],
    ),
    (
        "azure",
        "Standard_NC",
        "K80",
        &[("6", 1000), ("12", 2000), ("24", 4000), ("24r", 4000)],
    ),
    (
        "azure",
        "Standard_NC",
        "K80",
        &[
            ("6_Promo", 1000),
            ("12_Promo", 2000),
            ("24_Promo", 4000),
            ("24r_Promo", 4000),
        ],
    ),
    (
        "azure",
        "Standard_NC",
        "V100-PCIe",
        &[
            ("6s_v3", 1000),
            ("12s_v3", 2000),
            ("24s_v3", 4000),
            ("24rs_v3", 4000),
        ],
    ),
    (
        "azure",
        "Standard_NC",
        "T4",
        &[
            ("4as_T4_v3", 1000),
            ("8as_T4_v3", 1000),
            ("16as_T4_v3", 1000),
            ("64as_T4_v3", 4000),
        ],
    ),
    (
        "azure",
        "Standard_NC",
        "A10",
        &[
            ("8ads_A10_v4", 1000),
            ("16ads_A10_v4", 1000),
            ("32ads_A10_v4", 2000),
        ],
    ),
    (
        "azure",
        "Standard_NC",
        "A100-80GB-PCIe",
        &[
            ("24ads_A100_v4", 1000),
            ("48ads_A100_v4", 2000),
            ("96ads_A100_v4", 4000),
        ],
    ),
    (
        "azure",
        "Standard_NC",
        "H100-NVL",
        &[("40ads_H100_v5", 1000), ("80adis_H100_v5", 2000)],
    ),
    (
        "azure",
        "Standard_NCC",
        "H100-NVL",
        &[("40ads_H100_v5", 1000)],
    ),
    (
        "azure",
        "Standard_NC",
        "RTXPRO6000",
        &[
            ("24lds_xl_RTXPRO6000BSE_v6", 250),
            ("36ds_xl_RTXPRO6000BSE_v6", 250),
            ("36lds_xl_RTXPRO6000BSE_v6", 250),
            ("72ds_xl_RTXPRO6000BSE_v6", 500),
            ("72lds_xl_RTXPRO6000BSE_v6", 500),
            ("144ds_xl_RTXPRO6000BSE_v6", 1000),
            ("144lds_xl_RTXPRO6000BSE_v6", 1000),
            ("288ds_xl_RTXPRO6000BSE_v6", 2000),
            ("288lds_xl_RTXPRO6000BSE_v6", 2000),
        ],
    ),
    (
        "azure",
        "Standard_ND",
        "V100-32GB-SXM",
        &[("40rs_v2", 8000)],
    ),
    ("azure", "Standard_ND", "A100-SXM", &[("96asr_v4", 8000)]),
    (
        "azure",
        "Standard_ND",
        "A100-80GB-SXM",
        &[("96amsr_A100_v4", 8000)],
    ),
    (
        "azure",
        "Standard_ND",
        "H100-SXM",
        &[("96isr_H100_v5", 8000)],
    ),
    (
        "azure",
        "Standard_ND",
        "H200-SXM",
        &[("96isr_H200_v5", 8000)],
    ),
    (
        "azure",
        "Standard_ND",
        "MI300X",
        &[("96is_MI300X_v5", 8000), ("96isr_MI300X_v5", 8000)],
    ),
    (
        "azure",
        "Standard_ND",
        "GB200",
        &[("128isr_NDR_GB200_v6", 4000)],
    ),
    (
        "azure",
        "Standard_ND",
        "GB300",
        &[("128isr_GB300_v6", 4000)],
    ),
    (
        "azure",
        "Standard_NP",
        "Alveo-U250",
        &[("10s", 1000), ("20s", 2000), ("40s", 4000)],
    ),
    (
        "azure",
        "Standard_NV",
        "M60",
        &[("6", 1000), ("12", 2000), ("24", 4000)],
    ),
    (
        "azure",
        "Standard_NV",
        "M60",
        &[("6_Promo", 1000), ("12_Promo", 2000), ("24_Promo", 4000)],
    ),
    (
        "azure",
        "Standard_NV",
        "M60",
        &[("6s_v2", 1000), ("12s_v2", 2000), ("24s_v2", 4000)],
    ),
    (
        "azure",
        "Standard_NV",
        "M60",
        &[("12s_v3", 1000), ("24s_v3", 2000), ("48s_v3", 4000)],
    ),
    (
        "azure",
        "Standard_NV",
        "Radeon-MI25",
        &[
            ("4as_v4", 125),
            ("8as_v4", 250),
            ("16as_v4", 500),
            ("32as_v4", 1000),
        ],
    ),
    (
        "azure",
        "Standard_NV",
        "A10",
        &[
            ("6ads_A10_v5", 167),
            ("12ads_A10_v5", 333),
            ("18ads_A10_v5", 500),
            ("36ads_A10_v5", 1000),
            ("36adms_A10_v5", 1000),
            ("72ads_A10_v5", 2000),
        ],
    ),
    (
        "azure",
        "Standard_NV",
        "Radeon-Pro-V710",
        &[
            ("4ads_V710_v5", 167),
            ("8ads_V710_v5", 333),
            ("12ads_V710_v5", 500),
            ("24ads_V710_v5", 1000),
            ("28adms_V710_v5", 1000),
        ],
    ),
    (
        "azure",
        "Standard_NG",
        "Radeon-Pro-V620",
        &[
            ("8ads_V620_v1", 250),
            ("16ads_V620_v1", 500),
            ("32ads_V620_v1", 1000),
            ("32adms_V620_v1", 1000),
        ],
    ),
    (
        "gcp",
        "a2-highgpu-",
        "A100-SXM",
        &[("1g", 1000), ("2g", 2000), ("4g", 4000), ("8g", 8000)],
    ),
    ("gcp", "a2-megagpu-", "A100-SXM", &[("16g", 16_000)]),
    (
        "gcp",
        "a2-ultragpu-",
        "A100-80GB-SXM",
        &[("1g", 1000), ("2g", 2000), ("4g", 4000), ("8g", 8000)],
    ),
    (
        "gcp",
        "a3-highgpu-",
        "H100-SXM",
        &[("1g", 1000), ("2g", 2000), ("4g", 4000), ("8g", 8000)],
    ),
    (
        "gcp",
        "a3-edgegpu-",
        "H100-SXM",
        &[("8g", 8000), ("8g-nolssd", 8000)],
    ),
    ("gcp", "a3-megagpu-", "H100-MEGA", &[("8g", 8000)]),
    (
        "gcp",
        "a3-ultragpu-",
        "H200-SXM",
        &[("8g", 8000), ("8g-nolssd", 8000)],
    ),
    ("gcp", "a4-highgpu-", "B200", &[("8g", 8000)]),
    ("gcp", "a4x-highgpu-", "GB200", &[("4g", 4000)]),
    ("gcp", "a4x-maxgpu-", "GB300", &[("4g-metal", 4000)]),
    (
        "gcp",
        "g2-standard-",
        "L4",
        &[("*", 1000), ("24", 2000), ("48", 4000), ("96", 8000)],
    ),
    (
        "gcp",
        "g4-standard-",
        "RTXPRO6000",
        &[
            ("6", 125),
            ("12", 250),
            ("24", 500),
            ("48", 1000),
            ("96", 2000),
            ("192", 4000),
            ("384", 8000),
        ],
    ),
];

/// The accelerator and the number of them that the family of a machine says, in thousandths.
pub(crate) fn cards_of_family(cloud: &str, instance_type: &str) -> Option<(&'static str, u32)> {
    let mut any = None;
    for (_, prefix, card, sizes) in FAMILIES.iter().filter(|(of, ..)| *of == cloud) {
        let Some(size) = instance_type.strip_prefix(prefix) else {
            continue;
        };
        if let Some((_, count)) = sizes.iter().find(|(known, _)| *known == size) {
            return Some((card, *count));
        }
        any = any.or(sizes
            .iter()
            .find(|(known, _)| *known == "*")
            .map(|(_, count)| (*card, *count)));
    }
    any
}

#[test]
fn every_machine_has_the_cards_of_its_family() {
    let catalog = shipped();
    let mut wrong = Vec::new();
    for machine in catalog
        .machines
        .iter()
        .filter(|machine| machine.accelerator.is_some())
    {
        let (name, count) = machine.accelerator.clone().unwrap_or_default();
        let (cloud, instance_type) = (machine.cloud.as_str(), machine.instance_type.as_str());
        let expected = match (cloud, instance_type.split_once('+')) {
            // `2xT4+n1-standard-8`, `tpu-v3-8`, `1x_L40_SECURE`, `gpu_8x_v100`: the name has the
            // number.
            ("gcp", Some((cards, _))) => {
                let (count, card) = cards.split_once('x').unwrap_or(("1", cards));
                let card = if card == "V100" { "V100-SXM" } else { card };
                Some((card.to_owned(), count.parse::<u32>().unwrap() * 1000))
            }
            ("gcp", None) if instance_type.starts_with("tpu-") => {
                Some((instance_type.to_owned(), 1000))
            }
            ("aws" | "azure" | "gcp", _) => {
                cards_of_family(cloud, instance_type).map(|(card, count)| (card.to_owned(), count))
            }
            ("lambda", _) => {
                let count = instance_type
                    .strip_prefix("gpu_")
                    .and_then(|rest| rest.split_once('x'));
                count.map(|(count, _)| (name.clone(), count.parse::<u32>().unwrap() * 1000))
            }
            ("runpod", _) => instance_type
                .split_once('x')
                .map(|(count, _)| (name.clone(), count.parse::<u32>().unwrap() * 1000)),
            ("fluidstack", _) => instance_type
                .split_once("::")
                .map(|(_, count)| (name.clone(), count.parse::<u32>().unwrap() * 1000)),
            _ => Some((name.clone(), count)),
        };
        if expected != Some((name.clone(), count)) {
            wrong.push(format!(
                "{cloud} {instance_type}: {name} {count}, not {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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
        "g3.4xlarge",
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
    assert!(
        on_demand("aws:us-east-1", "p3.2xlarge").is_none()
            && on_demand("aws:eu-west-1", "p3.2xlarge").is_some()
    );
    let found = check::findings(catalog);
    let retiring = |name: &str| {
        found
            .iter()
            .any(|one| one.kind == Kind::Retiring && one.name == name)
    };
    assert!(retiring("azure:Standard_NV12s_v3") && retiring("azure:Standard_NV4as_v4"));
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
    let there = on_demand("aws:us-west-2", "p4d.24xlarge").unwrap();
    assert!(
        there.estimated && (21_900_000_000..22_000_000_000).contains(&there.rate.0),
        "{}",
        there.rate
    );
    let found = check::findings(catalog);
    assert!(
        found
            .iter()
            .any(|one| one.kind == Kind::Estimated && one.name == "aws:p5.48xlarge")
    );
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
