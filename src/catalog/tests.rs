//! Loading catalogs: the fixture of the BERT job, the shipped one, and broken ones.

use super::*;
use crate::model::{
    Bytes, DataRate, Gigabyte, Millis, Money, Pattern, PlaceName, Purchase, Rate, Tee,
};
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
            (
                catalog.place(offer).name.to_string(),
                catalog.machine(offer).instance_type.as_str(),
                offer.rate,
            )
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
    let (azure, gcp) = (
        id(&catalog, "azure:eastus"),
        id(&catalog, "gcp:us-central1"),
    );
    let here = catalog.place_id(&PlaceName::here()).unwrap();
    let gigabyte = Bytes(1_000_000_000);
    let egress = catalog.network.egress(azure, gcp, gigabyte).unwrap();
    assert_eq!(
        (egress.cost, egress.last_rate),
        (Money(87_500), DataRate(87_500_000))
    );
    assert_eq!(
        catalog
            .network
            .egress(gcp, azure, Bytes(100_000_000))
            .unwrap()
            .cost,
        Money(12_000)
    );
    assert_eq!(
        catalog.network.egress(here, gcp, gigabyte).unwrap().cost,
        Money(0)
    );
    assert_eq!(
        catalog.network.egress(gcp, here, gigabyte).unwrap().cost,
        Money(120_000)
    );
    assert_eq!(
        catalog.network.egress(gcp, gcp, gigabyte).unwrap().cost,
        Money(0)
    );
    assert_eq!(catalog.network.bandwidth(azure, gcp).0, 81_500_000);
}

fn shipped() -> Catalog {
    load::shipped().unwrap()
}

fn rates(catalog: &Catalog, place: &str, instance_type: &str) -> Vec<(Purchase, String)> {
    let filter = |spot| query::Filter {
        place: Some(Pattern(place.to_owned())),
        instance_type: Some(Pattern(instance_type.to_owned())),
        spot,
        ..query::Filter::default()
    };
    let found = [false, true].map(|spot| query::find(catalog, &filter(spot)));
    found
        .iter()
        .flatten()
        .map(|offer| (offer.purchase, offer.rate.to_string()))
        .collect()
}

#[test]
fn the_shipped_catalog_has_the_real_offers_of_the_bert_job() {
    let catalog = shipped();
    let on_demand = |place, machine| rates(&catalog, place, machine).remove(0);
    let expected = [
        ("azure:eastus", "Standard_DC8s_v3", "$0.768"),
        ("azure:eastus", "Standard_NC8as_T4_v3", "$0.752"),
        ("gcp:us-central1", "tpu-v3-8", "$8.00"),
        ("aws:us-east-1", "inf1.xlarge", "$0.228"),
    ];
    for (place, machine, rate) in expected {
        assert_eq!(
            on_demand(place, machine),
            (Purchase::OnDemand, rate.to_owned()),
            "{machine}"
        );
    }
    let sgx = catalog
        .offers
        .iter()
        .find(|offer| catalog.machine(offer).instance_type == "Standard_DC8s_v3")
        .unwrap();
    assert!(sgx.tee.has(Tee::Sgx));
    // Sums of a host and its accelerators.
    assert_eq!(on_demand("gcp:us-central1", "a2-highgpu-1g").1, "$3.673385");
    assert_eq!(on_demand("gcp:us-central1", "T4+n1-standard-8").1, "$0.73");
    let tpu = catalog
        .machines
        .iter()
        .find(|machine| machine.instance_type == "tpu-v3-8")
        .unwrap();
    assert_eq!(
        (tpu.vcpu_thousandths, tpu.accelerator.clone()),
        (96_000, Some(("tpu-v3-8".to_owned(), 1000)))
    );
}

#[test]
fn the_shipped_catalog_has_all_clouds_and_only_believable_prices() {
    let catalog = shipped();
    let counts = query::counts(&catalog);
    let regions = |cloud: &str| {
        let mut places: Vec<u32> = catalog
            .offers
            .iter()
            .filter(|offer| catalog.place(offer).name.cloud == cloud)
            .map(|offer| offer.place)
            .collect();
        places.dedup();
        places.len()
    };
    assert_eq!(
        (regions("aws"), regions("azure"), regions("gcp")),
        (34, 54, 43)
    );
    assert!(
        counts["aws"].on_demand > 13_000
            && counts["azure"].on_demand > 31_000
            && counts["gcp"].on_demand > 7_500
    );
    for cloud in [
        "cudo",
        "do",
        "fluidstack",
        "ibm",
        "lambda",
        "oci",
        "ovh",
        "paperspace",
        "runpod",
        "scaleway",
        "scp",
    ] {
        assert!(counts[cloud].on_demand > 0, "{cloud}");
    }
    let mut last: Option<&crate::model::Offer> = None;
    for offer in &catalog.offers {
        assert!(offer.rate > Rate(0));
        if let Some(last) =
            last.filter(|last| (last.place, last.machine) == (offer.place, offer.machine))
        {
            assert!(last.purchase < offer.purchase && offer.rate <= last.rate);
        }
        last = Some(offer);
    }
    let mut machines = catalog
        .machines
        .iter()
        .filter(|machine| machine.service.is_none());
    assert!(machines.all(|machine| machine.memory.0 > 0 && machine.vcpu_thousandths > 0));
}

#[test]
fn geography_is_not_what_names_suggest() {
    let catalog = shipped();
    let country = |name: &str| {
        catalog.places[id(&catalog, name) as usize]
            .country
            .clone()
            .unwrap()
    };
    for (place, expected) in [
        ("aws:eu-west-2", "GB"),
        ("gcp:europe-west2", "GB"),
        ("aws:eu-central-2", "CH"),
        ("gcp:europe-west6", "CH"),
        ("azure:northeurope", "IE"),
        ("outscale:eu-west-2", "FR"),
    ] {
        assert_eq!(country(place), expected);
    }
}

#[test]
fn partitions_are_shipped_and_closed() {
    let catalog = shipped();
    let offers = |name: &str| {
        catalog
            .offers
            .iter()
            .filter(|offer| offer.place == id(&catalog, name))
            .count()
    };
    let closed = |name: &str| {
        catalog.places[id(&catalog, name) as usize]
            .partition()
            .to_owned()
    };
    for (place, at_least) in [("aws:us-gov-east-1", 400), ("aws:us-gov-west-1", 600)] {
        assert_eq!(closed(place), "us-gov");
        assert!(offers(place) > at_least, "{place}: {}", offers(place));
    }
    // Its price list is in yuan.
    assert_eq!(
        (closed("aws:cn-north-1").as_str(), offers("aws:cn-north-1")),
        ("cn-operated", 0)
    );
    assert_eq!(
        (closed("aws:us-east-1"), closed("aws:eusc-de-east-1")),
        (String::new(), String::new())
    );
}

#[test]
fn egress_of_the_shipped_catalog() {
    let catalog = shipped();
    let cost = |from: &str, to: &str, gigabytes: u64| {
        let cloud = from.split(':').next().unwrap();
        let gigabyte = catalog
            .terms
            .get(cloud)
            .map_or(Gigabyte::DECIMAL, |terms| terms.gigabyte);
        let bytes = gigabyte.scaled(Bytes(gigabytes * 1_000_000_000));
        let egress = catalog
            .network
            .egress(id(&catalog, from), id(&catalog, to), bytes);
        egress.map(|egress| egress.cost.to_string())
    };
    let usd = |text: &str| Some(text.to_owned());
    assert_eq!(
        cost("aws:us-east-1", "gcp:us-central1", 10_240),
        usd("$921.60")
    );
    assert_eq!(
        cost("aws:us-east-1", "gcp:us-central1", 10_241),
        usd("$921.68")
    );
    assert_eq!(cost("aws:us-east-1", "aws:us-east-2", 1_000), usd("$10.00"));
    assert_eq!(cost("aws:us-east-1", "aws:eu-west-1", 1_000), usd("$20.00"));
    assert_eq!(
        cost("aws:af-south-1", "aws:eu-west-1", 1_000),
        usd("$147.00")
    );
    assert_eq!(
        cost("azure:eastus", "gcp:us-central1", 1_000),
        usd("$87.00")
    );
    assert_eq!(
        cost("azure:francecentral", "azure:westeurope", 1_000),
        usd("$20.00")
    );
    assert_eq!(
        cost("azure:eastus", "azure:westeurope", 1_000),
        usd("$50.00")
    );
    assert_eq!(
        cost("gcp:us-central1", "aws:us-east-1", 1_000),
        usd("$120.00")
    );
    assert_eq!(
        cost("gcp:us-central1", "aws:ap-southeast-2", 1_000),
        usd("$190.00")
    );
    assert_eq!(
        cost("gcp:us-central1", "gcp:us-east1", 1_000),
        usd("$20.00")
    );
    assert_eq!(
        cost("gcp:us-central1", "gcp:us-central1", 1_000),
        usd("$0.00")
    );
    // Between partitions: a listed price, else that to the internet.
    assert_eq!(
        cost("aws:us-gov-east-1", "aws:us-east-1", 1_000),
        usd("$30.00")
    );
    assert_eq!(
        cost("aws:us-gov-east-1", "gcp:us-central1", 1_000),
        usd("$155.00")
    );
    assert_eq!(
        cost("azure:eastus", "azure:usgovvirginia", 1_000),
        usd("$87.00")
    );
    assert_eq!(
        cost("aws:us-east-1", "aws:cn-north-1", 1_000),
        usd("$90.00")
    );
    assert_eq!(cost("aws:cn-north-1", "aws:us-east-1", 1), None);
    assert_eq!(
        cost("lambda:us-east-1", "aws:us-east-1", 1_000),
        usd("$0.00")
    );
    assert_eq!(
        cost("oci:eu-frankfurt-1", "aws:us-east-1", 1_000),
        usd("$8.50")
    );
    assert_eq!(cost("gcp:us-central1", "local:here", 1_000), usd("$120.00"));
    assert_eq!(cost("local:here", "gcp:us-central1", 1_000), usd("$0.00"));
    assert_eq!(
        cost("scp:KOREA-EAST-1-SCP-B001", "aws:us-east-1", 1),
        None,
        "unknown is not free"
    );
    let speed = |from, to| {
        catalog
            .network
            .bandwidth(id(&catalog, from), id(&catalog, to))
            .0
    };
    assert_eq!(speed("aws:us-east-2", "azure:eastus"), 4_967_300_000);
    assert_eq!(speed("aws:us-east-2", "lambda:us-east-1"), 1_000_000_000);
}

#[test]
fn terms_interruptions_and_round_trips_of_the_shipped_catalog() {
    let catalog = shipped();
    let offered: std::collections::BTreeSet<&str> = catalog
        .offers
        .iter()
        .map(|offer| catalog.place(offer).name.cloud.as_str())
        .collect();
    // Every cloud that can be rented from says how it bills and boots, and so do those that can
    // be once their prices are fetched.
    assert!(
        offered
            .iter()
            .all(|&cloud| catalog.terms.contains_key(cloud)),
        "{offered:?}"
    );
    let more: Vec<&str> = catalog
        .terms
        .keys()
        .map(String::as_str)
        .filter(|cloud| !offered.contains(cloud))
        .collect();
    assert_eq!(more, ["hyperstack", "nebius", "verda"]);
    for (cloud, terms) in &catalog.terms {
        assert!(
            terms.increment.0 >= 1000 && terms.boot.0 >= 60_000 && terms.storage > DataRate(0),
            "{cloud}"
        );
    }
    let aws = &catalog.terms["aws"];
    assert_eq!(
        (aws.increment, aws.minimum, aws.free_egress),
        (Millis(1000), Millis(60_000), Bytes(100 << 30))
    );
    // The feed of 2025-07-28 has band 4 for m6i.2xlarge in us-east-1, band 1 for c5d.9xlarge.
    let share = |place: &str, machine: &str| {
        let index = catalog
            .machines
            .iter()
            .position(|row| row.cloud == "aws" && row.instance_type == machine)
            .unwrap();
        catalog
            .interruptions
            .get(&(id(&catalog, place), u32::try_from(index).unwrap()))
            .copied()
    };
    assert_eq!(share("aws:us-east-1", "m6i.2xlarge"), Some(300_000));
    assert_eq!(share("aws:us-east-1", "c5d.9xlarge"), Some(100_000));
    assert!(catalog.interruptions.len() > 10_000);
    let spot: std::collections::BTreeSet<(u32, u32)> = catalog
        .offers
        .iter()
        .filter(|offer| offer.purchase == Purchase::Spot)
        .map(|offer| (offer.place, offer.machine))
        .collect();
    assert!(catalog.interruptions.keys().all(|pair| spot.contains(pair)));
    let trip = |a: &str, b: &str| {
        catalog
            .round_trips
            .get(&(id(&catalog, a), id(&catalog, b)))
            .copied()
    };
    assert_eq!(trip("aws:af-south-1", "aws:ap-east-1"), Some(Millis(249)));
    assert_eq!(trip("aws:eu-west-1", "azure:northeurope"), Some(Millis(2)));
    assert_eq!(
        trip("azure:northeurope", "aws:eu-west-1"),
        None,
        "one row is enough"
    );
}

#[test]
fn every_cloud_of_size_can_move_data_out_of_its_places() {
    let catalog = shipped();
    let aws = id(&catalog, "aws:us-east-1");
    let mut silent: Vec<String> = catalog
        .offers
        .iter()
        .map(|offer| offer.place)
        .filter(|place| *place != aws && catalog.network.tariff(*place, aws).is_none())
        .map(|place| catalog.places[place as usize].name.to_string())
        .collect();
    silent.dedup();
    silent.retain(|name| {
        !["oci:", "scp:", "ovh:", "scaleway:"]
            .iter()
            .any(|cloud| name.starts_with(cloud))
    });
    assert_eq!(silent, ["ibm:br-sao", "ibm:ca-tor", "ibm:jp-osa"]);
}

/// The digest that the build worked out is the one that the program would.
#[test]
fn the_shipped_digest_is_that_of_the_files() {
    let shipped = shipped();
    assert_eq!(shipped.digest, files::SHIPPED_DIGEST);
    assert!(load::from_files(&files::shipped().unwrap()).unwrap() == shipped);
}

#[test]
fn writing_what_was_read_changes_no_byte() {
    let files = files::shipped().unwrap();
    let written = canonical_text::files(&draft::Draft::read(&files).unwrap());
    assert_eq!(files.len(), written.len());
    for file in &files {
        assert!(written[&file.name] == file.text, "{} differs", file.name);
        assert!(file.text.len() < 1_000_000, "{}", file.name);
    }
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let mut files = files::shipped().unwrap();
    let before = load::from_files(&files).unwrap();
    for file in files.iter_mut().filter(|file| file.name.ends_with(".csv")) {
        let (header, rows) = file.text.split_once('\n').unwrap();
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.reverse();
        let middle = rows.len() / 3;
        rows.rotate_left(middle);
        file.text = format!("# shuffled\n{header}\r\n\n{}", rows.join("\n"));
    }
    let after = load::from_files(&files).unwrap();
    assert!(before == after);
    files.retain(|file| file.name != "throughput.csv");
    assert_ne!(load::from_files(&files).unwrap().digest, before.digest);
}

#[test]
fn find_sorts_by_price_and_filters() {
    let catalog = shipped();
    let filter = query::Filter {
        accelerator: Some("a100-80gb".to_owned()),
        accelerator_count: Some(8000),
        countries: vec!["DE".to_owned(), "NL".to_owned()],
        min_vcpus: 90_000,
        ..query::Filter::default()
    };
    let offers = query::find(&catalog, &filter);
    assert!(offers.len() >= 2 && offers.is_sorted_by_key(|offer| offer.rate));
    for offer in offers {
        let (board, count) = catalog.machine(offer).accelerator.as_ref().unwrap();
        assert!(
            catalog.is_accelerator(board, "A100-80GB") && *count == 8000,
            "{board}"
        );
        assert!(["DE", "NL"].contains(&catalog.place(offer).country.as_deref().unwrap()));
    }
    assert!(matches!(
        query::look_up(&catalog, "aws:eu-west-1"),
        Some(query::Entry::Place(_))
    ));
    assert!(matches!(
        query::look_up(&catalog, "A6000"),
        Some(query::Entry::Accelerator("RTXA6000", _))
    ));
    assert!(
        matches!(query::look_up(&catalog, "m5.large"), Some(query::Entry::Machines(machines)) if machines.len() == 1)
    );
    assert_eq!(
        query::nearest(&catalog, "aws:eu-wst-1").unwrap(),
        "aws:eu-west-1"
    );
}

#[test]
fn all_names_of_the_shipped_catalog_round_trip() {
    let catalog = load::shipped().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for offer in &catalog.offers {
        let name = query::name(&catalog, offer);
        let text = name.to_string();
        assert_eq!(crate::model::UniformName::parse(&text), Ok(name), "{text}");
        assert!(seen.insert(text.clone()), "{text} names two offers");
    }
    assert_eq!(seen.len(), catalog.offers.len());
    assert!(
        seen.len() > 30_000
            && seen.contains("sky:azure:westeurope:service/spark@3.4/synapse-small")
    );
    // Names lead back to their offers.
    for offer in catalog.offers.iter().step_by(997) {
        assert_eq!(
            query::named(&catalog, &query::name(&catalog, offer)),
            Some(offer)
        );
    }
}
