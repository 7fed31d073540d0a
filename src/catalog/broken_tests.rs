//! Broken catalogs: what the messages say, and that nothing panics.

use super::files::{self, File};
use super::{Catalog, CatalogError, load};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A tiny catalog, as a person would write it.
const TINY: [(&str, &str); 10] = [
    (
        "catalog.toml",
        "format = 1\n\n[sources.list]\ndate = \"2026-08-06\"\nabout = \"a list\"\n",
    ),
    (
        "clouds.csv",
        "cloud,increment_s,minimum_s,boot_s,storage_usd_per_gb_month,source\nx,1,60,90.5,0.02,list\n",
    ),
    (
        "confidential.csv",
        "cloud,instance_type,tee,places,source\nx,big,sev-snp,x:*,list\n",
    ),
    (
        "egress.csv",
        "from,to,above_gb,usd_per_gb,source\nx:*,internet,0,0.09,list\nx:*,internet,10240,0.085,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,12.5,north,list\nx,small,5,*,list\n",
    ),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib,accelerator,count\nx,big,8,32,V100,4\nx,small,2,4,,\n",
    ),
    ("places.csv", "place,country\nx:north,DE\nx:south,\n"),
    (
        "prices.csv",
        "place,instance_type,on_demand,source,spot\nx:north,big,12.24,list,4\nx:south,small,0.1,list,\n",
    ),
    (
        "round_trips.csv",
        "from,to,ms,source\nx:north,x:south,17,list\n",
    ),
    (
        "throughput.csv",
        "from,to,gbps,source\nx:north,x:south,4.5,list\n",
    ),
];

fn with(name: &str, text: &str) -> Vec<File> {
    let mut files: Vec<File> = TINY
        .iter()
        .filter(|(known, _)| *known != name)
        .chain(&[(name, text)])
        .map(|(name, text)| File {
            name: (*name).to_owned(),
            shown: format!("my/{name}"),
            text: (*text).to_owned(),
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn read(name: &str, text: &str) -> Result<Catalog, CatalogError> {
    load::from_files(&with(name, text))
}

#[test]
fn the_tiny_catalog_loads() {
    let catalog = read(TINY[0].0, TINY[0].1).unwrap();
    assert_eq!((catalog.offers.len(), catalog.places.len()), (3, 3));
    let terms = &catalog.terms["x"];
    assert_eq!(
        (terms.increment.0, terms.minimum.0, terms.boot.0),
        (1000, 60_000, 90_500)
    );
    assert_eq!((terms.free_egress.0, terms.storage.0), (0, 20_000_000));
    // Places are local:here, x:north, x:south; machines are big, small.
    let shares: Vec<_> = catalog
        .interruptions
        .iter()
        .map(|(pair, share)| (*pair, *share))
        .collect();
    assert_eq!(
        shares,
        [((1, 0), 125_000), ((1, 1), 50_000), ((2, 1), 50_000)]
    );
    let trips: Vec<_> = catalog
        .round_trips
        .iter()
        .map(|(pair, trip)| (*pair, trip.0))
        .collect();
    assert_eq!(trips, [((1, 2), 17)]);
    // Only the head must be there.
    let alone = &with(TINY[0].0, TINY[0].1)[..1];
    assert!(load::from_files(alone).unwrap().offers.is_empty());
}

const BROKEN_FILES: &[(&str, &str)] = &[
    ("catalog.toml", "format = 2\n"),
    (
        "catalog.toml",
        "format = 1\n[sources.list]\ndate = \"6.8.2026\"\nabout = \"a list\"\n",
    ),
    (
        "catalog.toml",
        "format = 1\n[sources.list]\nday = \"2026-08-06\"\n",
    ),
    ("catalog.toml", "formt 1"),
    ("places.csv", "place,country\nx:north,UK\n"),
    ("places.csv", "place,country\nnorth,DE\n"),
    (
        "places.csv",
        "place,country\nx:north,DE\nx:south,DE\nx:north,DE\n",
    ),
    ("places.csv", "place,us_cloud_act\nx:north,maybe\n"),
    ("places.csv", "place,class\nx:north,us-goverment\n"),
    ("places.csv", "place,county\nx:north,DE\n"),
    ("places.csv", ""),
    ("machines.csv", "cloud,instance_type,vcpus\nx,big,8\n"),
    ("machines.csv", "instance_type,vcpus,memory_gib\nbig,8,32\n"),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib\nx,big,8 cores,32\n",
    ),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib,arch\nx,big,8,32,sparc\n",
    ),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib,accelerator,count\nx,big,8,32,V100,0\n",
    ),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib\nx,big,8,32\nx,small,2,4\nx,big,8,32\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,12.24\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:nroth,big,12.24,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,huge,12.24,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,-1,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,NaN,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,0.00,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,$12,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,12.24,lst\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,big,12.24,list\nx:north,big,12,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\nx:north,\"big,12.24,list\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source,source\nx:north,big,12.24,list,list\n",
    ),
    (
        "x/mars.csv",
        "instance_type,on_demand,source\nbig,12.24,list\n",
    ),
    (
        "price.csv",
        "place,instance_type,on_demand,source\nx:north,big,12.24,list\n",
    ),
    (
        "egress.csv",
        "from,to,above_gb,usd_per_gb,source\nx:*,internet,100,0.09,list\n",
    ),
    (
        "egress.csv",
        "from,to,above_gb,usd_per_gb,source\nx:*,internet,0,0.09,list\nx:*,internet,0,0.08,list\n",
    ),
    (
        "egress.csv",
        "from,to,above_gb,usd_per_gb,source\ninternet,x:north,0,0,list\n",
    ),
    (
        "egress.csv",
        "from,to,above_gb,usd_per_gb,source\nx:north,x:west,0,0.02,list\n",
    ),
    (
        "throughput.csv",
        "from,to,gbps,source\nx:north,x:south,0,list\n",
    ),
    (
        "confidential.csv",
        "cloud,instance_type,tee,places,source\nx,big,tpm,x:*,list\n",
    ),
    ("clouds.csv", "cloud,boot_s\nxx,60\n"),
    ("clouds.csv", "cloud,boot_s\nlocal,60\n"),
    ("clouds.csv", "cloud,boot_s\nx,soon\n"),
    ("clouds.csv", "cloud,boot_s\nx,60\nx,60\n"),
    ("clouds.csv", "cloud,boot_s,source\nx,60,lst\n"),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,huge,5,north,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,100,north,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,-5,north,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,5,north;sooth,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,5,,list\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,5,north,lst\n",
    ),
    (
        "interruptions.csv",
        "cloud,instance_type,percent_per_month,regions,source\nx,big,5,n*,list\nx,big,6,north,list\n",
    ),
    (
        "round_trips.csv",
        "from,to,ms,source\nx:north,x:sooth,17,list\n",
    ),
    (
        "round_trips.csv",
        "from,to,ms,source\nx:north,x:south,far,list\n",
    ),
    (
        "round_trips.csv",
        "from,to,ms,source\nx:north,x:north,1,list\n",
    ),
    (
        "round_trips.csv",
        "from,to,ms,source\nx:north,x:south,1,list\nx:north,x:south,2,list\n",
    ),
    ("round_trips.csv", "from,to,ms\nx:north,x:south,1\n"),
    (
        "accelerators.csv",
        "name,aliases\nV100,volta\nV100-32GB,Volta\n",
    ),
];

#[test]
fn messages_name_the_place_and_the_way_out() {
    let mut text = String::new();
    for (name, broken) in BROKEN_FILES {
        let error = read(name, broken).unwrap_err();
        text.push_str(&format!("{error}\n"));
        let line = broken
            .lines()
            .nth((error.line as usize).saturating_sub(1))
            .unwrap_or_default();
        assert!(error.line == 0 || error.text == line.trim_end(), "{error}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let error = files::file(
        "prices.csv".to_owned(),
        "my/prices.csv".to_owned(),
        b"place\nx:\xff\n".to_vec(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "my/prices.csv:2: byte 8 is not UTF-8; save the file as UTF-8"
    );
    let missing = load::directory(std::path::Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "/nowhere/at/all: cannot read it: no such file or directory"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(file in 0..TINY.len(), text in "[ -~\n\"#,;*:]{0,200}", tail in any::<bool>()) {
        let (name, good) = TINY[file];
        let text = if tail { format!("{good}{text}") } else { text };
        if let Err(error) = read(name, &text) {
            prop_assert!(error.file.starts_with("my/"), "{}", error);
        }
    }

    #[test]
    fn no_byte_put_anywhere_makes_it_panic(file in 0..TINY.len(), at in 0..200_usize, bytes in prop::collection::vec(any::<u8>(), 0..4)) {
        let (name, good) = TINY[file];
        let mut broken = good.as_bytes().to_vec();
        let at = at.min(broken.len());
        broken.splice(at..(at + 1).min(good.len()), bytes);
        if let Ok(file) = files::file(name.to_owned(), name.to_owned(), broken) {
            let _ = read(name, &file.text);
        }
    }
}
