use super::*;
use crate::catalog::files::File;
use crate::catalog::load;

fn check(prices: &str) -> Vec<(Kind, String)> {
    let file = |name: &str, text: String| File {
        name: name.to_owned(),
        shown: name.to_owned(),
        text,
    };
    let head = "format = 1\n[sources.a]\ndate = \"2026-01-01\"\nabout = \"A\"\n\
                [sources.old]\ndate = \"2024-01-01\"\nabout = \"Old\"\n";
    let files = [
        file("accelerators.csv", "name,bf16\nB200,2250\nT4,65\n".to_owned()),
        file("catalog.toml", head.to_owned()),
        file("machines.csv", "cloud,instance_type,vcpus,memory_gib,accelerator,count\nx,cpu,8,32,,\nx,odd,,32,New,1\nx,b200,8,32,B200,8\nx,t4,4,16,T4,1\n".to_owned()),
        file("places.csv", "place,country,operator,us_cloud_act\nx:a,DE,X,no\nx:b,DE,X,no\nx:c,DE,X,no\nx:d,,,\n".to_owned()),
        file("prices.csv", format!("place,instance_type,on_demand,source,spot,spot_source\n{prices}")),
    ];
    findings(&load::from_files(&files).unwrap())
        .into_iter()
        .map(|one| (one.kind, one.name))
        .collect()
}

fn suspicious(prices: &str) -> Vec<(Kind, String)> {
    check(prices)
        .into_iter()
        .filter(|(kind, _)| kind.is_suspicious())
        .collect()
}

#[test]
fn each_kind_of_price_is_found() {
    let one = |kind, name: &str| vec![(kind, name.to_owned())];
    let fine = "x:a,cpu,1,a,0.3,\nx:b,cpu,1.2,a,0.4,\nx:c,cpu,0.9,a,,\nx:a,t4,0.5,a,0.1,\nx:b,t4,0.6,a,,\nx:a,b200,30,a,9,\n";
    assert_eq!(suspicious(fine), []);
    assert_eq!(
        suspicious(&format!("{fine}x:c,b200,0.01,a,,\n")),
        one(Kind::PriceTooLow, "x:c")
    );
    assert_eq!(
        suspicious(&format!("{fine}x:c,b200,,a,0.05,\n")),
        one(Kind::PriceTooLow, "x:c")
    );
    // Thirty cents for eight of them is more than a cent a card, and still no price.
    assert_eq!(
        suspicious(&format!("{fine}x:c,b200,0.3,a,,\n")),
        one(Kind::PriceTooLow, "x:c")
    );
    assert_eq!(
        suspicious(&format!("{fine}x:d,cpu,5.6,a,,\n")),
        one(Kind::OffPeers, "x:d")
    );
    assert_eq!(
        suspicious(&format!("{fine}x:d,cpu,0.15,a,,\n")),
        one(Kind::OffPeers, "x:d")
    );
    assert_eq!(
        suspicious(&format!("{fine}x:d,cpu,1,a,1.01,\n")),
        one(Kind::SpotAboveOnDemand, "x:d")
    );
    assert_eq!(
        suspicious(&format!("{fine}x:d,cpu,1,a,0.009,\n")),
        one(Kind::SpotTooLow, "x:d")
    );
    let cards = "x:a,b200,30,a,,\nx:b,b200,28,a,,\nx:c,b200,32,a,,\nx:d,b200,2.7,a,,\n";
    assert_eq!(suspicious(cards), one(Kind::OffPeers, "x:d"));
}

#[test]
fn what_is_not_known_is_said() {
    let found = check("x:a,odd,1,a,,\nx:b,odd,1,old,,\nx:d,cpu,1,a,,\n");
    let has = |kind, name: &str| found.contains(&(kind, name.to_owned()));
    for (kind, name) in [
        (Kind::NoCountry, "x:d"),
        (Kind::NoOperator, "x:d"),
        (Kind::NoReach, "x:d"),
        (Kind::NoSize, "x:odd"),
        (Kind::UnknownAccelerator, "New"),
        (Kind::NoTerms, "x"),
        (Kind::NoEgress, "x:a"),
        (Kind::OldSource, "old"),
    ] {
        assert!(has(kind, name), "{kind:?} {name} in {found:?}");
    }
    assert!(
        !has(Kind::NoCountry, "x:a") && !has(Kind::OldSource, "a") && !has(Kind::NoEgress, "x:c")
    );
    assert!(found.iter().all(|(kind, _)| !kind.is_suspicious()));
}

#[test]
fn old_prices_of_every_kind_are_said() {
    let found = findings(&load::shipped().unwrap());
    let says = |source: &str, kind: &str| {
        let of = |one: &&Finding| one.kind == Kind::OldSource && one.name == source;
        found
            .iter()
            .filter(of)
            .any(|one| one.message.contains(kind))
    };
    assert!(
        says("egress-2022-11-01", "prices of egress are 13"),
        "{found:?}"
    );
    assert!(says("egress-2022-12-01", "prices of egress"));
    assert!(says("aws-2024-11-03", " prices are "));
    assert!(says(
        "gcp-skus-2025-03",
        "prices of boot disks and addresses"
    ));
    // Newer than the newest price of a machine.
    assert!(
        !found
            .iter()
            .any(|one| one.kind == Kind::OldSource && one.name == "terms-2026-11")
    );
}

#[test]
fn the_shipped_catalog_has_nothing_suspicious() {
    let found = findings(&load::shipped().unwrap());
    let suspicious: Vec<&Finding> = found
        .iter()
        .filter(|one| one.kind.is_suspicious())
        .collect();
    assert!(suspicious.is_empty(), "{suspicious:?}");
    assert!(
        !found
            .iter()
            .any(|one| matches!(one.kind, Kind::NoCountry | Kind::NoSize | Kind::NoTerms))
    );
}
