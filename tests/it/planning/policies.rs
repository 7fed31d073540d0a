//! The policies that are shipped in `policies/`: what each changes for one small job.

use crate::planning::europe::{catalog, job};
use sky::plan::Plan;
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};
use sky::spec;
use std::collections::BTreeSet;

/// 32 hours on one virtual CPU: 8 h on a small machine, 2 h on a large one at six times the
/// price. The input weighs nothing, so it can be read anywhere.
const JOB: &str = r#"
name = "one"
[datasets.seed]
at = "aws:us-east-1"
size = "0 B"
[stages.work]
reads = ["seed"]
work = { vcpu = "32 h" }
"#;

/// The plan of [`JOB`] under a shipped policy: place, machine, hours, dollar cents.
fn planned(name: &str) -> (String, String, u64, i64) {
    let text = spec::shipped::text(name).unwrap();
    let policy = spec::policy::parse(name, text).unwrap();
    assert!(policy.warnings.is_empty(), "{name}: {:?}", policy.warnings);
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan: Plan = planning::plan(&job(JOB), &policy.value, &catalog(), &settings).unwrap();
    let stage = &plan.stages[0];
    let (hours, cents) = (
        plan.totals.makespan_ms.0 / 3_600_000,
        plan.totals.cost_micro_usd.0 / 10_000,
    );
    (
        stage.place.to_string(),
        stage.instance_type.clone(),
        hours,
        cents,
    )
}

fn expect(name: &str, place: &str, machine: &str, hours: u64, cents: i64) {
    assert_eq!(
        planned(name),
        (place.to_owned(), machine.to_owned(), hours, cents),
        "{name}"
    );
}

#[test]
fn cheapest_takes_the_least_rate() {
    expect("cheapest", "vast:de", "small", 8, 640);
}

#[test]
fn fastest_takes_the_large_machine_where_it_is_cheapest() {
    expect("fastest", "vast:de", "large", 2, 960);
}

#[test]
fn a_deadline_rules_out_the_small_machine() {
    expect("deadline-6h", "vast:de", "large", 2, 960);
}

#[test]
fn eu_only_leaves_out_unknown_countries_london_and_zurich() {
    // vast:de says that it is in Germany. Without it azure:northeurope is beaten by Frankfurt.
    expect("eu-only", "vast:de", "small", 8, 640);
    let text = format!(
        "{}\n[clouds]\ndeny = [\"vast\"]\n",
        spec::shipped::text("eu-only").unwrap()
    );
    let policy = spec::policy::parse("eu-only", &text).unwrap().value;
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let place = |policy: &sky::model::Policy| {
        planning::plan(&job(JOB), policy, &catalog(), &settings)
            .unwrap()
            .stages[0]
            .place
            .to_string()
    };
    assert_eq!(place(&policy), "aws:eu-central-1");
    // Without the policy it would be where nobody has told the country; then in the USA, in
    // London, and in Zurich.
    let free = |denied: &str| {
        let text = format!("[clouds]\ndeny = [\"vast\"]\n[places]\ndeny = [{denied}]\n");
        place(&spec::policy::parse("free", &text).unwrap().value)
    };
    assert_eq!(free(""), "lambda:europe");
    assert_eq!(free("\"lambda:europe\""), "aws:us-east-1");
    assert_eq!(
        free("\"lambda:europe\", \"aws:us-east-1\""),
        "gcp:europe-west2"
    );
    assert_eq!(
        free("\"lambda:europe\", \"aws:us-east-1\", \"gcp:europe-west2\""),
        "aws:eu-central-2"
    );
}

#[test]
fn no_us_cloud_act_leaves_the_one_operator_out_of_reach() {
    expect("no-us-cloud-act", "outscale:eu-west-2", "small", 8, 1600);
}

#[test]
fn confidential_takes_a_machine_with_protected_memory() {
    // Nitro enclaves at AWS are cheaper, and not on the policy's list.
    expect("confidential", "azure:northeurope", "secret", 8, 2000);
}

#[test]
fn every_shipped_policy_is_in_the_folder_and_tested_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let names: BTreeSet<String> = spec::shipped::names().map(str::to_owned).collect();
    assert_eq!(files, names);
    let tests = include_str!("policies.rs");
    for name in names {
        assert!(
            tests.contains(&format!("expect(\"{name}\"")),
            "{name} has no test"
        );
    }
}

#[test]
fn names_that_the_catalog_does_not_have_are_said() {
    let policy = "[accounts.aws]\nused_this_month = \"1 GB\"\n[accounts.amazon]\nused_this_month = \"1 GB\"\n\
                  [quotas]\naws = { cpus = 640 }\nawz = { cpus = 1 }\n\"aws:*\" = { accelerators = { V1000 = 4 } }\n\
                  \"aws:mars-*\" = { instances = 1 }\n\
                  [[links]]\nfrom = \"aws:*\"\nto = \"gpc:*\"\nper_gb = \"$0\"\nboth = true\n";
    let policy = spec::policy::parse("policy.toml", policy).unwrap();
    assert!(policy.warnings.is_empty());
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan: Plan = planning::plan(&job(JOB), &policy.value, &catalog(), &settings).unwrap();
    let expected = [
        "accounts: the catalog has no cloud `amazon`",
        "quotas of `aws:*`: the catalog has no accelerator `V1000`",
        "quotas: `aws:mars-*` matches nothing in the catalog",
        "quotas: `awz` matches nothing in the catalog; did you mean `aws`?",
        "links: `gpc:*` matches nothing in the catalog; did you mean `gcp:*`?",
    ];
    assert_eq!(plan.warnings, expected);
}
