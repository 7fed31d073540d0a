//! What a GB is that a cloud bills: a GiB at some, 10⁹ bytes at others.

use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;

/// Data at `from` that a stage reads at `to`: the plan of it.
fn moved(from: &str, to: &str, size: &str, policy: &str) -> Value {
    let sandbox = Sandbox::new();
    sandbox.write(
        "job.toml",
        &format!(
            "name = \"j\"\n[datasets.d]\nat = \"{from}\"\nsize = \"{size}\"\n\
             [stages.s]\nreads = [\"d\"]\nneeds = {{ places = [\"{to}\"] }}\nduration = \"1 h\"\n"
        ),
    );
    sandbox.write("policy.toml", policy);
    let plan = sandbox.run(&["plan", "--out", "plan.json"]);
    assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    sandbox.stdout(&["verify", "plan.json"], 0);
    serde_json::from_str(&sandbox.read("plan.json")).unwrap()
}

fn egress(plan: &Value) -> i64 {
    plan["totals"]["egress_micro_usd"].as_i64().unwrap()
}

#[test]
fn ten_tebibytes_out_of_amazon_cost_921_dollars_60() {
    let plan = moved("aws:us-east-1", "gcp:us-central1", "10 TiB", "");
    assert_eq!(egress(&plan), 921_600_000);
    assert_eq!(
        plan["transfers"][0]["rate_nano_usd_per_gb"].as_i64(),
        Some(90_000_000)
    );
    assert_eq!(
        plan["transfers"][0]["billed_gb_bytes"].as_i64(),
        Some(1 << 30)
    );
}

#[test]
fn every_large_cloud_bills_by_the_gibibyte() {
    let cases = [
        ("azure:eastus", "aws:us-east-1", "10 TiB", 890_880_000),
        ("gcp:us-central1", "aws:us-east-1", "1 TiB", 122_880_000),
        ("gcp:us-central1", "gcp:us-east4", "100 GiB", 2_000_000),
        (
            "gcp:us-east4",
            "gcp:northamerica-northeast1",
            "100 GiB",
            2_000_000,
        ),
        (
            "gcp:northamerica-northeast1",
            "gcp:us-east4",
            "100 GiB",
            2_000_000,
        ),
    ];
    for (from, to, size, cost) in cases {
        assert_eq!(egress(&moved(from, to, size, "")), cost, "{from} to {to}");
    }
    // A GB that nobody says anything about has 10⁹ bytes.
    assert_eq!(
        egress(&moved("oci:eu-frankfurt-1", "aws:us-east-1", "100 GB", "")),
        850_000
    );
}

#[test]
fn allowances_used_volumes_and_links_count_in_the_same_gigabytes() {
    let free = "[accounts.aws]\nused_this_month = \"0 GB\"\n";
    assert_eq!(
        egress(&moved("aws:us-east-1", "gcp:us-central1", "10 TiB", free)),
        912_600_000
    );
    let used = "[accounts.aws]\nused_this_month = \"10 TiB\"\n";
    assert_eq!(
        egress(&moved("aws:us-east-1", "gcp:us-central1", "1 TiB", used)),
        1024 * 85_000
    );
    let link = "[[links]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\nper_gb = \"$0.02\"\n";
    assert_eq!(
        egress(&moved("aws:us-east-1", "gcp:us-central1", "10 TiB", link)),
        204_800_000
    );
    let kept = moved(
        "aws:us-east-1",
        "gcp:us-central1",
        "1 TiB",
        "[storage]\nkeep = \"730 h\"\n",
    );
    assert_eq!(
        kept["transfers"][0]["storage_micro_usd"].as_i64(),
        Some(20_480_000),
        "1,024 GiB at $0.02"
    );
}

/// No pair of regions of one cloud and area costs more one way than the other by a slip. Prices
/// that depend on where the data comes from (AWS, Azure's zones) do, and are the vendors' own.
#[test]
fn regions_of_google_cost_the_same_both_ways() {
    let catalog = sky::catalog::load::shipped().unwrap();
    let of = |cloud: &str| -> Vec<u32> {
        (0..)
            .zip(&catalog.places)
            .filter(|(_, place)| place.name.cloud == cloud)
            .map(|(id, _)| id)
            .collect()
    };
    for from in of("gcp") {
        for to in of("gcp") {
            let ways = [
                catalog.network.tariff(from, to),
                catalog.network.tariff(to, from),
            ];
            let names = [from, to].map(|id| catalog.places[id as usize].name.to_string());
            // No list has prices between Johannesburg and other regions: out of it the internet's
            // price stands.
            let is_listed = names.iter().all(|name| name != "gcp:africa-south1");
            if let ([Some(there), Some(back)], true) = (ways, is_listed) {
                assert_eq!(there, back, "{names:?}");
            }
        }
    }
}
