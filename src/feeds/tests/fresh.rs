//! SkyPilot lists with nothing else given, as people have them on their disks.

use super::*;
use crate::catalog::CatalogError;
use crate::catalog::draft::Draft;
use crate::catalog::files;

/// As newer schemas write it: other order and columns, a byte order mark, both line ends, quotes.
const NEWER: &str = "\u{feff}Arch,Region,\"Price\",SpotPrice,vCPUs,MemoryGiB,InstanceType,AcceleratorName,AcceleratorCount,DeviceMemoryGiB,GpuInfo\r
x86_64,eu-west-1,0.107,0.04,2.0,8.0,\"m5.large\",,,,\r
arm64,us-east-1,\"0.077\",,2.0,8.0,m6g.large,,,,\n\
x86_64,us-east-1,0.526,,4.0,16.0,g4dn.xlarge,T4,1.0,16.0,\"{\'Gpus\': [{\'Name\': \"\"T4\"\", \'Count\': 1}]}\"\r
x86_64,mars-1,1,,2,4,m5.large,,,,\r
";

fn fresh(
    kind: &str,
    path: &Path,
    options: &ImportOptions,
) -> Result<(Catalog, ImportReport), CatalogError> {
    let out = tempfile::tempdir().unwrap();
    let report = import(kind, path, options, &out.path().join("new"))?;
    Ok((load::directory(&out.path().join("new"))?, report))
}

#[test]
fn a_list_becomes_a_catalog_that_can_be_planned_on() {
    let source = folder(&[
        ("list-v7-2025-02-01/aws/vms.csv", NEWER),
        ("list-v7-2025-02-01/README.md", "no list"),
    ]);
    let (catalog, report) = fresh(
        "skypilot",
        &source.path().join("list-v7-2025-02-01"),
        &ImportOptions::default(),
    )
    .unwrap();
    insta::assert_snapshot!(report.notes.join("\n"), @r"
    The catalog is new: places, accelerators, confidential families, terms of clouds, egress, throughput, round trips and interruption rates are those of the shipped catalog, prices are not.
    The figures are dated 2025-02-01, the day in the name `list-v7-2025-02-01`; --date DAY says otherwise.
    ");
    insta::assert_snapshot!(left(&report), @"1 aws: unknown region (mars-1)");
    insta::assert_snapshot!(prices(&catalog).join("\n"), @r"
    aws:eu-west-1 m5.large on-demand $0.107
    aws:eu-west-1 m5.large spot $0.04
    aws:us-east-1 g4dn.xlarge on-demand $0.526
    aws:us-east-1 m6g.large on-demand $0.077
    ");
    let list = catalog
        .sources
        .iter()
        .find(|source| source.id == "aws-2025-02-01")
        .unwrap();
    assert_eq!(list.about, "SkyPilot catalog of aws, schema 7");
    assert_eq!(catalog.date, "2025-02-01");
    let arch = |name: &str| {
        &catalog
            .machines
            .iter()
            .find(|machine| machine.instance_type == name)
            .unwrap()
            .arch
    };
    assert_eq!(
        (arch("m6g.large").as_str(), arch("m5.large").as_str()),
        ("arm64", "x86_64")
    );
    // The rest is the shipped catalog's: where places are, what moving data costs, rates.
    let shipped = load::shipped().unwrap();
    assert_eq!(catalog.places, shipped.places);
    assert_eq!(catalog.network.tariff_of, shipped.network.tariff_of);
    assert_eq!(catalog.accelerators["T4"], shipped.accelerators["T4"]);
    assert_eq!(catalog.machines.len(), 3);
}

#[test]
fn one_cloud_one_file_and_either_line_end_are_the_same_list() {
    let source = folder(&[
        ("sky/aws/vms.csv", NEWER),
        (
            "2025-02-01/aws/vms.csv",
            &NEWER.replace(['\r', '\u{feff}'], ""),
        ),
        ("2025-02-01/other.csv", NEWER),
    ]);
    let day = on("2025-02-01");
    let (whole, _) = fresh("skypilot", &source.path().join("sky"), &day).unwrap();
    let alike = |path: &str, options: &ImportOptions| {
        let (catalog, report) = fresh("skypilot", &source.path().join(path), options).unwrap();
        assert!(catalog == whole, "{path}: {:?}", report.notes);
    };
    for path in ["sky/aws", "sky/aws/vms.csv", "sky/aws/../aws/."] {
        alike(path, &day);
    }
    for path in ["2025-02-01", "2025-02-01/aws", "2025-02-01/aws/vms.csv"] {
        alike(path, &ImportOptions::default());
    }
    alike(
        "2025-02-01/other.csv",
        &ImportOptions {
            cloud: Some("aws".to_owned()),
            ..ImportOptions::default()
        },
    );
}

#[test]
fn a_given_day_wins_over_the_name_and_the_name_over_the_clock() {
    let source = folder(&[
        ("2025-02-01/aws/vms.csv", AWS),
        ("2025-02-01/gcp/vms.csv", GCP),
        ("sky/aws/vms.csv", AWS),
    ]);
    let days = |path: &str, dates: &[&str]| {
        let options = ImportOptions {
            dates: dates.iter().map(|day| (*day).to_owned()).collect(),
            ..ImportOptions::default()
        };
        let (catalog, report) = fresh("skypilot", &source.path().join(path), &options).unwrap();
        let mut days: Vec<&str> = catalog
            .offers
            .iter()
            .map(|offer| {
                let source = &catalog.sources[usize::from(offer.source)];
                source.id.as_str()
            })
            .collect();
        days.sort_unstable();
        days.dedup();
        (
            days.join(" "),
            report
                .notes
                .iter()
                .filter(|note| note.contains("dated"))
                .count(),
        )
    };
    assert_eq!(
        days("2025-02-01", &["2024-11-03"]),
        ("aws-2024-11-03 gcp-2024-11-03".to_owned(), 0)
    );
    assert_eq!(
        days("2025-02-01", &["gcp=2024-11-03"]),
        ("aws-2025-02-01 gcp-2024-11-03".to_owned(), 1)
    );
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(source.path().join("sky/aws/vms.csv"))
        .unwrap();
    file.set_modified(time).unwrap();
    assert_eq!(days("sky", &[]), ("aws-2023-11-14".to_owned(), 1));
}

#[test]
fn a_new_price_list_gets_the_sizes_of_the_shipped_machines() {
    let list = folder(&[(
        "aws-2026-08-01.csv",
        "region,instance_type,usd_per_hour\nus-east-1,m5.large,0.09\n",
    )]);
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..ImportOptions::default()
    };
    let (catalog, report) =
        fresh("prices", &list.path().join("aws-2026-08-01.csv"), &options).unwrap();
    assert_eq!(prices(&catalog), ["aws:us-east-1 m5.large on-demand $0.09"]);
    assert_eq!(report.notes.len(), 2);
}

#[test]
fn places_still_start_from_nothing() {
    let (_source, out, _) = imported();
    let places = Draft::read(&files::read(out.path()).unwrap())
        .unwrap()
        .places;
    assert_eq!(places.len(), 5);
}

#[test]
fn lists_that_cannot_be_read_are_named_and_nothing_is_written() {
    let header = "InstanceType,Region,Price\n";
    let source = folder(&[
        ("empty/aws/vms.csv", ""),
        ("bare/aws/vms.csv", header),
        (
            "mars/aws/vms.csv",
            "InstanceType,Region,Price\nm5.large,mars-1,1\nm5.large,mars-2,1\n",
        ),
        (
            "columns/aws/vms.csv",
            "InstanceType,Zone,Price\nm5.large,mars-1,1\n",
        ),
        ("checkout/catalogs/v6/aws/vms.csv", AWS),
        ("binary/aws/vms.csv", header),
    ]);
    std::fs::write(
        source.path().join("binary/aws/vms.csv"),
        b"InstanceType,Region,Price\nm5,us-east-1,\xff\n",
    )
    .unwrap();
    let said = |path: &str| {
        let error = fresh("skypilot", &source.path().join(path), &on("2026-07-20"))
            .unwrap_err()
            .to_string();
        error.replace(&source.path().display().to_string(), "DIR")
    };
    let messages: Vec<String> = [
        "empty",
        "bare",
        "mars",
        "columns",
        "checkout",
        "checkout/catalogs",
        "binary",
        "nowhere",
        "empty/aws/prices.csv",
    ]
    .into_iter()
    .map(said)
    .collect();
    insta::assert_snapshot!(messages.join("\n"), @r"
    DIR/empty/aws/vms.csv: the file is empty; its first line must name the columns
    DIR/bare: there is nothing in it to import; left out: aws: the list has no rows
    DIR/mars: there is nothing in it to import; left out, 2 times: aws: unknown region (mars-1, mars-2)
    DIR/columns/aws/vms.csv: there is no column `Region`; its columns are InstanceType, Zone, Price
    DIR/checkout: there is no CLOUD/vms.csv; give the folder that holds the clouds, the folder of one cloud, or a vms.csv
    DIR/checkout/catalogs: there is no CLOUD/vms.csv; did you mean DIR/checkout/catalogs/v6?
    DIR/binary/aws/vms.csv:2: this row is not UTF-8; save the file as CSV in UTF-8
    DIR/nowhere: there is no such file or folder; check the path
    DIR/empty/aws/prices.csv: there is no such file or folder; check the path
    ");
    let out = tempfile::tempdir().unwrap();
    import(
        "skypilot",
        &source.path().join("mars"),
        &on("2026-07-20"),
        &out.path().join("new"),
    )
    .unwrap_err();
    assert!(!out.path().join("new").exists());
}

#[test]
fn a_price_that_cannot_be_meant_leaves_the_one_before() {
    let header = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone\n";
    let row = |price: &str, spot: &str, region: &str| {
        format!("m5.large,,,2,8,,{price},{spot},{region},a\n")
    };
    let regions = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];
    let good: String = regions
        .iter()
        .map(|region| row("0.1", "0.04", region))
        .collect();
    let list = |rows: &str| {
        format!(
            "{header}{rows}b.gpu,B200,8,192,2048,,0.01,,us-east-1,a\nc.gpu,B200,-1,4,16,,9,,us-east-1,a\n"
        )
    };
    let source = folder(&[
        ("2025-02-01/aws/vms.csv", &list(&good)),
        (
            "2025-03-01/aws/vms.csv",
            &list(&row("9.6", "0.05", "us-east-1")),
        ),
        (
            "2025-04-01/aws/vms.csv",
            &list(&row("0.11", "0.2", "us-east-1")),
        ),
    ]);
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("new");
    let mut seen = Vec::new();
    for day in ["2025-02-01", "2025-03-01", "2025-04-01"] {
        let report = import("skypilot", &source.path().join(day), &on(day), &to).unwrap();
        let catalog = load::directory(&to).unwrap();
        let here = prices(&catalog)
            .into_iter()
            .filter(|price| price.starts_with("aws:us-east-1"));
        seen.push(format!(
            "{day}\n{}\n{}",
            here.collect::<Vec<_>>().join("\n"),
            left(&report)
        ));
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    2025-02-01
    aws:us-east-1 m5.large on-demand $0.10
    aws:us-east-1 m5.large spot $0.04
    1 aws: next to nothing for an accelerator
    1 aws: the count of accelerators is not a number above 0 (c.gpu)

    2025-03-01
    aws:us-east-1 m5.large on-demand $0.10
    aws:us-east-1 m5.large spot $0.05
    1 aws: 5 times off the same machine elsewhere
    1 aws: next to nothing for an accelerator
    1 aws: the count of accelerators is not a number above 0 (c.gpu)

    2025-04-01
    aws:us-east-1 m5.large on-demand $0.11
    aws:us-east-1 m5.large spot $0.05
    1 aws: next to nothing for an accelerator
    1 aws: spot above on demand
    1 aws: the count of accelerators is not a number above 0 (c.gpu)
    ");
}

#[test]
fn a_name_that_looks_like_a_comment_is_kept() {
    let text = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone\n\
                #z,,,2,8,,0.1,,us-east-1,a\n";
    let source = folder(&[("2025-02-01/aws/vms.csv", text)]);
    let (catalog, _) = fresh(
        "skypilot",
        &source.path().join("2025-02-01"),
        &on("2025-02-01"),
    )
    .unwrap();
    assert_eq!(prices(&catalog), ["aws:us-east-1 #z on-demand $0.10"]);
}
