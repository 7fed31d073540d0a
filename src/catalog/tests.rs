//! Loading catalogs: the fixture of the BERT job, the shipped one, and broken ones.

use super::*;
use crate::model::{Bytes, DataRate, Money, PlaceName, Purchase, Rate, Tee};
use std::path::Path;

fn bert() -> Catalog {
    load::directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bert/catalog")).unwrap()
}

fn id(catalog: &Catalog, name: &str) -> u32 {
    catalog.place_id(&PlaceName::parse(name).unwrap()).unwrap()
}

#[test]
fn the_bert_fixture_has_its_five_offers() {
    let catalog = bert();
    let offers: Vec<(String, &str, Rate)> = catalog
        .offers
        .iter()
        .map(|offer| {
            assert_eq!(offer.purchase, Purchase::OnDemand);
            (catalog.place(offer).name.to_string(), catalog.machine(offer).instance_type.as_str(), offer.rate)
        })
        .collect();
    let expected = [
        ("aws:us-east-1", "inf1.xlarge", "0.228"),
        ("azure:eastus", "Standard_DC8_v2", "0.768"),
        ("azure:eastus", "Standard_NC24s_v3", "12.24"),
        ("azure:eastus", "Standard_NC8as_T4_v3", "0.752"),
        ("gcp:us-central1", "tpu-v3-8+n1-standard-32", "9.52"),
    ];
    let expected: Vec<(String, &str, Rate)> = expected
        .iter()
        .map(|(place, machine, usd)| ((*place).to_owned(), *machine, Rate::parse_usd(usd).unwrap()))
        .collect();
    assert_eq!(offers, expected);
    assert!(catalog.offers[1].tee.has(Tee::Sgx) && catalog.offers[2].tee == Default::default());
    assert_eq!(catalog.date, "2024-11-03");
}

#[test]
fn the_network_of_the_bert_fixture() {
    let catalog = bert();
    let (azure, gcp) = (id(&catalog, "azure:eastus"), id(&catalog, "gcp:us-central1"));
    let here = catalog.place_id(&PlaceName::here()).unwrap();
    let gigabyte = Bytes(1_000_000_000);
    let egress = catalog.network.egress(azure, gcp, gigabyte).unwrap();
    assert_eq!((egress.cost, egress.last_rate), (Money(87_500), DataRate(87_500_000)));
    assert_eq!(catalog.network.egress(gcp, azure, Bytes(100_000_000)).unwrap().cost, Money(12_000));
    assert_eq!(catalog.network.egress(here, gcp, gigabyte).unwrap().cost, Money(0));
    assert_eq!(catalog.network.egress(gcp, here, gigabyte).unwrap().cost, Money(120_000));
    assert_eq!(catalog.network.egress(gcp, gcp, gigabyte).unwrap().cost, Money(0));
    assert_eq!(catalog.network.bandwidth(azure, gcp).0, 81_500_000);
}
