//! Interruptions of spot machines, and round trips.

use super::*;
use crate::model::Millis;

const FEED: &str = r#"{
"ranges": [
  {"index": 0, "label": "<5%", "dots": 0, "max": 5}, {"index": 1, "label": "5-10%", "dots": 1, "max": 11},
  {"index": 4, "label": ">20%", "dots": 4, "max": 100}, {"index": 5, "label": "often", "dots": 5, "max": 100}],
"spot_advisor": {
  "eu-west-1": {
    "Linux": {"m5.large": {"s": 60, "r": BAND}, "m9.huge": {"s": 1, "r": 0}},
    "Windows": {"m5.large": {"s": 60, "r": 1}}},
  "us-east-1": {"Linux": {"g4dn.xlarge": {"s": 60, "r": 0}}},
  "mars-1": {"Linux": {"m5.large": {"s": 60, "r": 0}}}}}"#;

fn shares(out: &Path) -> Vec<(String, String, u32)> {
    let catalog = load::directory(out).unwrap();
    let name = |((place, machine), share): (&(u32, u32), &u32)| {
        let machine = &catalog.machines[*machine as usize].instance_type;
        (
            catalog.places[*place as usize].name.to_string(),
            machine.clone(),
            *share,
        )
    };
    catalog.interruptions.iter().map(name).collect()
}

#[test]
fn interruptions_are_the_upper_edge_of_their_band() {
    let (_source, out, _) = imported();
    let feed = |band: u32, day: &str| {
        let list = folder(&[("feed.json", &FEED.replace("BAND", &band.to_string()))]);
        import(
            "interruptions",
            &list.path().join("feed.json"),
            &on(day),
            out.path(),
        )
    };
    let report = feed(1, "2025-07-28").unwrap();
    // Of these only m5.large in eu-west-1 has a spot price.
    let m5 = |share| vec![("aws:eu-west-1".to_owned(), "m5.large".to_owned(), share)];
    assert_eq!(shares(out.path()), m5(100_000));
    assert_eq!(report.changed, ["catalog.toml", "interruptions.csv"]);
    assert_eq!(
        left(&report),
        "3 aws: no spot price for the machine there\n"
    );
    assert_eq!(feed(1, "2025-07-28").unwrap().changed, Vec::<String>::new());
    feed(4, "2025-08-01").unwrap();
    assert_eq!(shares(out.path()), m5(300_000));
    // Older figures do not win, bands without an edge say nothing.
    let nothing = |band, day| {
        feed(band, day)
            .unwrap_err()
            .to_string()
            .rsplit_once("; ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        nothing(0, "2020-01-01"),
        "left out, 3 times: aws: no spot price for the machine there"
    );
    assert_eq!(
        nothing(5, "2026-01-01"),
        "left out, 3 times: aws: no spot price for the machine there"
    );
    assert_eq!(shares(out.path()), m5(300_000));
    // Without a spot price there is nothing to interrupt.
    let list = folder(&[(
        "new.csv",
        "region,instance_type,usd_per_hour\neu-west-1,m5.large,0.03\n",
    )]);
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        ..on("2026-07-20")
    };
    import("prices", &list.path().join("new.csv"), &options, out.path()).unwrap();
    assert_eq!(shares(out.path()), []);
    let broken = folder(&[("feed.json", "{\"ranges\": []")]);
    let path = broken.path().join("feed.json");
    let error = import("interruptions", &path, &on("2025-07-28"), out.path()).unwrap_err();
    assert!(
        error.message.starts_with("this is not a spot advisor feed") && error.line == 1,
        "{error}"
    );
}

#[test]
fn round_trips_are_kept_once_and_rounded_up() {
    let (_source, out, _) = imported();
    let list = folder(&[(
        "pairs.csv",
        "src_region,dst_region,rtt_ms_min,rtt_ms_avg\ngcp:us-central1-a,aws:eu-west-1,90,100.0000\n\
         aws:eu-west-1,gcp:us-central1-a,90,100.0010\ngcp:us-east1-b,gcp:us-central1-a,30,31.5\n\
         aws:us-east-1,gcp:us-east1-b,,\naws:mars-1,aws:eu-west-1,1,1\n",
    )]);
    let report = import(
        "round_trips",
        &list.path().join("pairs.csv"),
        &on("2022-01-01"),
        out.path(),
    )
    .unwrap();
    assert_eq!(
        left(&report),
        "1 round trips: a region that is not a place of this catalog\n1 round trips: no figure\n"
    );
    let catalog = load::directory(out.path()).unwrap();
    let id = |name: &str| catalog.place_id(&PlaceName::parse(name).unwrap()).unwrap();
    let trip = |from: &str, to: &str| catalog.round_trips.get(&(id(from), id(to))).copied();
    assert_eq!(catalog.round_trips.len(), 2);
    assert_eq!(trip("aws:eu-west-1", "gcp:us-central1"), Some(Millis(101)));
    assert_eq!(trip("gcp:us-central1", "gcp:us-east1"), Some(Millis(32)));
}
