//! Importers on small foreign files with the odd rows that real ones have.

use super::{ImportOptions, ImportReport, import};
use crate::catalog::{Catalog, load, query};
use crate::model::{Bytes, Pattern, PlaceName, Purchase};
use std::path::Path;

const PLACES: &str = "key,cloud,region,location,country,operator,ultimate_parent,us_cloud_act,cls,source
aws:eu-west-1,aws,eu-west-1,Dublin,IE,Amazon Web Services,Amazon.com Inc.,yes,commercial,seen
aws:us-east-1,aws,us-east-1,\"Ashburn, Virginia\",US,Amazon Web Services,Amazon.com Inc.,yes,commercial,seen
aws:us-gov-west-1,aws,us-gov-west-1,Oregon,US,Amazon Web Services,Amazon.com Inc.,yes,us-gov,seen
gcp:us-central1,gcp,us-central1,Iowa,US,Google,Alphabet Inc.,yes,commercial,seen
gcp:us-east1,gcp,us-east1,South Carolina,US,Google,Alphabet Inc.,yes,commercial,seen
";

/// Schema 5: zones, a missing price, an unknown region, quotes with commas, a price of 0.
const AWS: &str =
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone
m5.large,,,2.0,8.0,,0.107,0.05,eu-west-1,euw1-az1
m5.large,,,2.0,8.0,,0.107,0.04,eu-west-1,euw1-az2
m5.large,,,2.0,8.0,,0.096,0.2,us-east-1,use1-az1
m5.large,,,2.0,8.0,,0.1,,mars-1,mars1-az1
g4dn.xlarge,T4,1.0,4.0,16.0,\"{'Gpus': [{'Name': 'T4', 'Count': 1}], 'Total': 16384}\",0.526,,us-east-1,use1-az1
inf2.xlarge,Inferentia,1.0,4.0,16.0,,,,us-east-1,use1-az1
f1.2xlarge,Virtex UltraScale (VU9P),1.0,8.0,122.0,,1.65,,us-east-1,use1-az1
zero.large,,,2.0,8.0,,0,,us-east-1,use1-az1
";

/// A newer schema: other order, more columns, an architecture.
const GCP: &str =
    "Arch,Region,Price,SpotPrice,vCPUs,MemoryGiB,InstanceType,AcceleratorName,AcceleratorCount,AvailabilityZone,New
x86_64,us-central1,0.38,0.08,8.0,30.0,n1-standard-8,,,us-central1-a,x
x86_64,us-central1,0.37,0.09,8.0,30.0,n1-standard-8,,,us-central1-b,x
x86_64,us-central1,1.52,0.32,32.0,120.0,n1-standard-32,,,us-central1-a,x
x86_64,us-central1,0.74,0.3,12.0,85.0,a2-highgpu-1g,,,us-central1-a,x
x86_64,us-east1,0.74,0.3,12.0,85.0,a2-highgpu-1g,,,us-east1-b,x
x86_64,us-central1,9.9,9,8.0,30.0,n1-340-48-tpu,,,us-central1-a,x
,us-central1,2.93,1.17,,,,A100,1.0,us-central1-a,x
,us-central1,0.7,0.2,,,,T4,2.0,us-central1-a,x
,us-central1,2.48,0.75,,,,V100,1.0,us-central1-a,x
,us-central1,8.0,2.04,,,,tpu-v3-8,1.0,us-central1-a,x
,us-central1,16.8,8.4,,,,tpu-v5p-8,1.0,us-central1-a,x
,us-central1,0.0,,,,,tpu-v6e-8,1.0,us-central1-a,x
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        crate::util::file::write_below(folder.path(), name, text.as_bytes()).unwrap();
    }
    folder
}

fn on(day: &str) -> ImportOptions {
    ImportOptions {
        dates: vec![day.to_owned()],
        ..ImportOptions::default()
    }
}

/// Places and both clouds, imported into a new folder.
fn imported() -> (tempfile::TempDir, tempfile::TempDir, ImportReport) {
    let source = folder(&[
        ("places.csv", PLACES),
        ("sky/aws/vms.csv", AWS),
        ("sky/gcp/vms.csv", GCP),
    ]);
    let out = tempfile::tempdir().unwrap();
    import(
        "places",
        &source.path().join("places.csv"),
        &on("2026-11-22"),
        out.path(),
    )
    .unwrap();
    let report = import(
        "skypilot",
        &source.path().join("sky"),
        &on("2024-11-03"),
        out.path(),
    )
    .unwrap();
    (source, out, report)
}

fn prices(catalog: &Catalog) -> Vec<String> {
    let text = |offer: &crate::model::Offer| {
        let machine = catalog.machine(offer);
        format!(
            "{} {} {} {}",
            catalog.place(offer).name,
            machine.instance_type,
            offer.purchase,
            offer.rate
        )
    };
    catalog.offers.iter().map(text).collect()
}

#[test]
fn a_skypilot_folder_becomes_offers() {
    let (_source, out, report) = imported();
    let catalog = load::directory(out.path()).unwrap();
    insta::assert_snapshot!(prices(&catalog).join("\n"), @r"
    aws:eu-west-1 m5.large on-demand $0.107
    aws:eu-west-1 m5.large spot $0.04
    aws:us-east-1 f1.2xlarge on-demand $1.65
    aws:us-east-1 g4dn.xlarge on-demand $0.526
    aws:us-east-1 m5.large on-demand $0.096
    gcp:us-central1 2xT4+n1-standard-32 on-demand $2.22
    gcp:us-central1 2xT4+n1-standard-32 spot $0.52
    gcp:us-central1 2xT4+n1-standard-8 on-demand $1.08
    gcp:us-central1 2xT4+n1-standard-8 spot $0.28
    gcp:us-central1 V100+n1-standard-8 on-demand $2.86
    gcp:us-central1 V100+n1-standard-8 spot $0.83
    gcp:us-central1 a2-highgpu-1g on-demand $3.67
    gcp:us-central1 a2-highgpu-1g spot $1.47
    gcp:us-central1 n1-standard-32 on-demand $1.52
    gcp:us-central1 n1-standard-32 spot $0.32
    gcp:us-central1 n1-standard-8 on-demand $0.37
    gcp:us-central1 n1-standard-8 spot $0.08
    gcp:us-central1 tpu-v3-8 on-demand $8.00
    gcp:us-central1 tpu-v3-8 spot $2.04
    gcp:us-central1 tpu-v5p-8 on-demand $16.80
    gcp:us-central1 tpu-v5p-8 spot $8.40
    ");
    insta::assert_snapshot!(crate::feeds::tests::left(&report), @r"
    2 aws: no price
    1 aws: a price of 0
    1 aws: spot above on demand
    1 aws: unknown region (mars-1)
    2 gcp: no price
    1 gcp: a price of 0
    1 gcp: host of TPU VMs, not rented by itself
    1 gcp: no price of the accelerator for its host in that zone (A100)
    ");
    assert_eq!(
        catalog.accelerator_name("virtex ultrascale (vu9p)"),
        Some("VU9P")
    );
    let machine = |name: &str| {
        catalog
            .machines
            .iter()
            .find(|machine| machine.instance_type == name)
            .unwrap()
    };
    assert_eq!(
        machine("inf2.xlarge").accelerator.as_ref().unwrap().0,
        "Inferentia2"
    );
    assert_eq!(machine("tpu-v5p-8").vcpu_thousandths, 208_000);
    assert_eq!(machine("g4dn.xlarge").arch, "x86_64");
    assert_eq!(catalog.accelerators["tpu-v3-8"].gigaflops["bf16"], 492_000);
}

fn left(report: &ImportReport) -> String {
    report
        .reasons()
        .iter()
        .map(|(rows, why)| format!("{rows} {why}\n"))
        .collect()
}

#[test]
fn importing_again_changes_no_byte() {
    let (source, out, _) = imported();
    let again = import(
        "skypilot",
        &source.path().join("sky"),
        &on("2024-11-03"),
        out.path(),
    )
    .unwrap();
    assert_eq!(again.changed, Vec::<String>::new());
    let before = load::directory(out.path()).unwrap();
    import("catalog", out.path(), &ImportOptions::default(), out.path()).unwrap();
    assert!(before == load::directory(out.path()).unwrap());
}

#[test]
fn newer_prices_win_and_older_ones_do_not() {
    let (_source, out, _) = imported();
    let list = folder(&[(
        "new.csv",
        "region,instance_type,usd_per_hour\neu-west-1,m5.large,0.03\nus-east-1,m5.large,0.09\n\
         us-east-1,g4dn.xlarge,0\nus-east-1,m9.huge,1\nmars-1,m5.large,1\n",
    )]);
    let path = list.path().join("new.csv");
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2026-07-20")
    };
    let report = import("prices", &path, &options, out.path()).unwrap();
    // One line for the price, the new source, and what the list has that is not on offer; a spot
    // price above the new one is gone.
    assert_eq!(
        report.changed,
        ["aws/prices.csv", "catalog.toml", "dropped.csv"]
    );
    insta::assert_snapshot!(left(&report), @r"
    1 aws: no price, or a price of 0
    1 aws: spot above on demand
    1 aws: unknown region (mars-1)
    1 aws: vCPUs and memory of the instance type are not known
    ");
    let older = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2020-01-01")
    };
    assert_eq!(
        import("prices", &path, &older, out.path()).unwrap().changed,
        Vec::<String>::new()
    );
    let catalog = load::directory(out.path()).unwrap();
    let filter = query::Filter {
        instance_type: Some(Pattern("m5.large".to_owned())),
        ..query::Filter::default()
    };
    let rates: Vec<String> = query::find(&catalog, &filter)
        .iter()
        .map(|offer| offer.rate.to_string())
        .collect();
    assert_eq!(rates, ["$0.03", "$0.09"]);
    assert!(
        !catalog
            .offers
            .iter()
            .any(|offer| offer.purchase == Purchase::Spot
                && catalog.place(offer).name.cloud == "aws")
    );
    assert_eq!(catalog.date, "2026-07-20");
}

#[test]
fn what_a_newer_full_list_lacks_is_gone_and_does_not_come_back() {
    let (source, out, _) = imported();
    let list = folder(&[(
        "new.csv",
        "region,instance_type,usd_per_hour\nus-east-1,m5.large,0.09\nus-east-1,m9.huge,1\n",
    )]);
    let path = list.path().join("new.csv");
    let offered = || {
        let catalog = load::directory(out.path()).unwrap();
        let aws = |text: &String| text.starts_with("aws:");
        prices(&catalog).into_iter().filter(aws).collect::<Vec<_>>()
    };
    let part = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2026-07-20")
    };
    import("prices", &path, &part, out.path()).unwrap();
    assert!(
        offered().iter().any(|text| text.contains("g4dn.xlarge")),
        "a part of a list only adds"
    );
    let full = ImportOptions { full: true, ..part };
    let report = import("prices", &path, &full, out.path()).unwrap();
    let now = [
        "aws:eu-west-1 m5.large on-demand $0.107",
        "aws:eu-west-1 m5.large spot $0.04",
        "aws:us-east-1 m5.large on-demand $0.09",
    ];
    assert_eq!(offered(), now);
    assert!(
        left(&report)
            .contains("2 aws: not in the newer full list of its region (f1.2xlarge, g4dn.xlarge)"),
        "{}",
        left(&report)
    );
    let catalog = load::directory(out.path()).unwrap();
    let dropped: Vec<_> = catalog
        .dropped
        .iter()
        .map(|row| (row.instance_type.as_str(), row.rows))
        .collect();
    assert_eq!(
        dropped,
        [("f1.2xlarge", 1), ("g4dn.xlarge", 1), ("m9.huge", 1)]
    );
    // Neither the same list again nor the older one changes that.
    assert_eq!(
        import("prices", &path, &full, out.path()).unwrap().changed,
        Vec::<String>::new()
    );
    import(
        "skypilot",
        &source.path().join("sky"),
        &on("2024-11-03"),
        out.path(),
    )
    .unwrap();
    assert_eq!(offered(), now);
}

#[test]
fn prices_of_dedicated_tenancy_are_left_out() {
    let (_source, out, _) = imported();
    let list = folder(&[(
        "new.csv",
        "region,instance_type,usd_per_hour\nus-east-1,m5.large,0.1056\nus-east-1,g4dn.xlarge,0.5577\n",
    )]);
    let path = list.path().join("new.csv");
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2025-03-02")
    };
    let error = import("prices", &path, &options, out.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("dedicated tenancy"), "{error}");
}

#[test]
fn how_prices_changed_is_kept_while_older_ones_are_there() {
    let (_source, out, _) = imported();
    let list = folder(&[(
        "new.csv",
        "region,instance_type,usd_per_hour\nus-east-1,m5.large,0.048\n",
    )]);
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2026-07-20")
    };
    import("prices", &list.path().join("new.csv"), &options, out.path()).unwrap();
    let catalog = load::directory(out.path()).unwrap();
    let eu: Vec<_> = catalog
        .offers
        .iter()
        .filter(|offer| catalog.place(offer).name.region == "eu-west-1")
        .collect();
    let rates: Vec<_> = eu
        .iter()
        .map(|offer| (offer.rate.to_string(), offer.estimated))
        .collect();
    assert_eq!(
        rates,
        [("$0.0535".to_owned(), true), ("$0.02".to_owned(), true)]
    );
}

#[test]
fn prices_far_off_their_peers_are_left_out() {
    use crate::catalog::draft::{Draft, MachineRow, PriceRow};
    let mut draft = Draft::default();
    let machine = MachineRow {
        accelerator: Some(("B200".to_owned(), 1000)),
        ..MachineRow::default()
    };
    let clouds = [
        ("a", 5_000_000_000),
        ("b", 6_000_000_000),
        ("c", 4_000_000_000),
        ("d", 10_000_000),
    ];
    for (cloud, nano) in clouds {
        draft
            .machines
            .insert((cloud.to_owned(), "gpu".to_owned()), machine.clone());
        let row = PriceRow {
            on_demand: Some((nano, "list".to_owned())),
            spot: None,
        };
        draft
            .prices
            .entry((cloud.to_owned(), "one".to_owned()))
            .or_default()
            .insert("gpu".to_owned(), row);
    }
    let mut report = ImportReport::default();
    for (cloud, _) in clouds {
        super::price_outliers::leave_out(
            &mut draft,
            cloud,
            &std::collections::BTreeMap::new(),
            &mut report,
        );
    }
    assert_eq!(
        left(&report),
        "1 d: under a tenth of what the accelerator costs elsewhere (B200)\n"
    );
    assert_eq!(draft.prices.len(), 3);
}

#[test]
fn egress_of_unlisted_regions_is_that_of_their_neighbours() {
    let (_source, out, _) = imported();
    let list = folder(&[(
        "pairs.csv",
        "src_region,dst_region,gbps_sent,usd_per_gb\ngcp:us-central1-a,aws:eu-west-1,5.5,0.12\n\
         gcp:us-central1-a,gcp:us-east1-b,7,0.0100\naws:eu-west-1,gcp:us-central1-a,4,0.09\n",
    )]);
    let path = list.path().join("pairs.csv");
    import("egress", &path, &on("2022-11-01"), out.path()).unwrap();
    import("throughput", &path, &on("2022-11-01"), out.path()).unwrap();
    let catalog = load::directory(out.path()).unwrap();
    let id = |name: &str| catalog.place_id(&PlaceName::parse(name).unwrap()).unwrap();
    let cost = |from: &str, to: &str| {
        let egress = catalog
            .network
            .egress(id(from), id(to), Bytes(2_000_000_000_000))?;
        Some(egress.cost.to_string())
    };
    // 1,024 GB at 0.12 and the rest at 0.11.
    assert_eq!(cost("gcp:us-central1", "aws:us-east-1").unwrap(), "$230.24");
    assert_eq!(cost("gcp:us-east1", "aws:eu-west-1").unwrap(), "$230.24");
    assert_eq!(cost("gcp:us-central1", "gcp:us-east1").unwrap(), "$20.00");
    assert_eq!(cost("aws:us-east-1", "gcp:us-east1"), None);
    assert_eq!(
        catalog
            .network
            .bandwidth(id("aws:eu-west-1"), id("gcp:us-central1"))
            .0,
        4_000_000_000
    );
    assert_eq!(
        catalog
            .network
            .bandwidth(id("aws:eu-west-1"), id("gcp:us-east1"))
            .0,
        1_000_000_000
    );
}

#[test]
fn what_is_missing_is_named() {
    let (source, out, _) = imported();
    let path = source.path().join("places.csv");
    let shown = |kind: &str, path: &Path, options: &ImportOptions| {
        let text = import(kind, path, options, out.path())
            .unwrap_err()
            .to_string();
        text.replace(&source.path().display().to_string(), "DIR")
    };
    let cloud = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2026-07-20")
    };
    let messages = [
        shown("price", &path, &on("2026-07-20")),
        shown("prices", &path, &on("2026-07-20")),
        shown("prices", &path, &cloud),
        shown("places", &path, &on("yesterday")),
        shown("skypilot", source.path(), &on("2026-07-20")),
        shown(
            "skypilot",
            &source.path().join("sky"),
            &ImportOptions {
                cloud: Some("oci".to_owned()),
                ..on("2026-07-20")
            },
        ),
        shown(
            "skypilot",
            &source.path().join("no/such"),
            &ImportOptions::default(),
        ),
        shown("prices", &source.path().join("none.csv"), &cloud),
        shown("prices", source.path(), &cloud),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    price: unknown kind of source; the kinds are catalog, places, skypilot, prices, confidential, egress, throughput, round_trips, interruptions
    --cloud: the cloud of the price list is not given; give --cloud aws
    DIR/places.csv: there is no column `instance_type` or `machine_type` or `sku`; its columns are key, cloud, region, location, country, operator, ultimate_parent, us_cloud_act, cls, source
    --date: the date `yesterday` is not a day; every figure is dated: give --date 2026-08-06
    DIR: there is no CLOUD/vms.csv; did you mean DIR/sky?
    DIR/sky: there is no list of the cloud `oci`; it has aws, gcp
    DIR/no/such: there is no such file or folder; check the path
    DIR/none.csv: there is no such file or folder; check the path
    DIR: this is a folder, not a CSV file; give one of the files in it
    ");
}

mod fresh;
mod risk;
