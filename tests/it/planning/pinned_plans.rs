//! The bytes of many plans, pinned by their digests. A change of the code's structure or words
//! leaves every line of the snapshot as it is; a change of what is planned shows here which plans
//! it moves.

use crate::support::case::{Case, random};
use crate::support::rich::rich;
use crate::support::sandbox::Sandbox;
use sky::plan::file::encode;
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};
use std::fmt::Write as _;

/// The policies of `policies/`, each of which plans the job of `fixtures/bert` over the shipped
/// catalog.
const POLICIES: [&str; 6] = [
    "cheapest",
    "confidential",
    "deadline-6h",
    "eu-only",
    "fastest",
    "no-us-cloud-act",
];

fn digest_of_case(case: &Case) -> String {
    let settings = Settings {
        effort: Effort::default(),
        compare: true,
    };
    match planning::plan(&case.job(), &case.policy(), &case.catalog(), &settings) {
        Ok(plan) => sky::util::hash::digest(encode(&plan).unwrap().as_bytes()).to_string(),
        Err(_) => "no plan".to_owned(),
    }
}

#[test]
fn plans_of_random_worlds_keep_their_bytes() {
    let mut digests = String::new();
    for number in 3000..3100 {
        writeln!(
            digests,
            "random {number}: {}",
            digest_of_case(&random(number))
        )
        .unwrap();
        writeln!(digests, "rich {number}: {}", digest_of_case(&rich(number))).unwrap();
    }
    insta::assert_snapshot!(digests);
}

#[test]
fn plans_over_the_shipped_catalog_keep_their_bytes() {
    let sandbox = Sandbox::bert();
    let root = env!("CARGO_MANIFEST_DIR");
    let mut digests = String::new();
    for policy in POLICIES {
        let policy_file = format!("{root}/policies/{policy}.toml");
        let _ = std::fs::remove_file(sandbox.path("plan.json"));
        let output = sandbox.run(&["plan", "--policy", &policy_file, "--out", "plan.json"]);
        let digest = match std::fs::read(sandbox.path("plan.json")) {
            Ok(bytes) => sky::util::hash::digest(&bytes).to_string(),
            Err(_) => format!("no plan, exit code {:?}", output.status.code()),
        };
        writeln!(digests, "{policy}: {digest}").unwrap();
    }
    insta::assert_snapshot!(digests);
}
