//! From one cloud to another: what a plan has checked beforehand, on two clouds' APIs.

use super::bert::stores;
use crate::execution::apply::place::ended;
use crate::execution::proof::ground::{Ground, On};
use serde_json::json;

const CATALOG: [(&str, &str); 6] = [
    (
        "catalog.toml",
        "format = 1\n[sources.s]\ndate = \"2026-11-01\"\nabout = \"made up\"\n",
    ),
    (
        "machines.csv",
        "cloud,instance_type,vcpus,memory_gib,accelerator,count,arch\naws,m1.small,1,1.7,,,x86_64\n\
         azure,Standard_B2s,2,4,,,x86_64\ngcp,e2-small,2,2,,,x86_64\n",
    ),
    (
        "places.csv",
        "place,country,location,operator,us_cloud_act\naws:us-east-1,US,N. Virginia,Amazon Web Services,yes\n\
         azure:eastus,US,Virginia,Microsoft,yes\ngcp:us-central1,US,Iowa,Google,yes\n",
    ),
    (
        "prices.csv",
        "place,instance_type,on_demand,source\naws:us-east-1,m1.small,0.04,s\nazure:eastus,Standard_B2s,0.05,s\n\
         gcp:us-central1,e2-small,0.06,s\n",
    ),
    (
        "egress.csv",
        "from,to,usd_per_gb,above_gb,source\naws:*,internet,0.09,0,s\nazure:*,internet,0.0875,0,s\ngcp:*,internet,0.12,0,s\n",
    ),
    ("throughput.csv", "from,to,gbps,source\n*,*,1,s\n"),
];

const JOB: &str = r#"
name = "two"

[stages.first]
writes = { o = "2 MB" }
needs = { cpus = 1 }
duration = "10 m"
run = "head -c 2000000 /dev/zero > $SKY_OUTPUTS/o"

[stages.second]
reads = ["first.o"]
writes = { size = "1 kB" }
needs = { cpus = 1 }
duration = "10 m"
run = "wc -c < $SKY_INPUTS/o | tr -d ' ' > $SKY_OUTPUTS/size"
"#;

const POLICY: &str = r#"
[objective]
minimize = "cost"

[limits]
deadline = "2 h"
budget = "$1"

[clouds]
deny = ["azure"]
"#;

/// The plan is made, and Amazon has no machine for the second stage.
fn planned() -> Ground {
    let ground = Ground::new(On::Clouds);
    std::fs::create_dir(ground.path("catalog")).unwrap();
    for (name, text) in CATALOG {
        std::fs::write(ground.path("catalog").join(name), text).unwrap();
    }
    std::fs::write(ground.path("job.toml"), JOB).unwrap();
    std::fs::write(ground.path("policy.toml"), POLICY).unwrap();
    let plan = [
        "plan",
        "job.toml",
        "--policy",
        "policy.toml",
        "--catalog",
        "catalog",
        "--out",
        "plan.json",
    ];
    ended(&ground.sky(&plan).output().unwrap(), 0);
    ground.account().faults(&json!([
        {"action": "RunInstances", "stage": "second", "status": 500, "code": "InsufficientInstanceCapacity"},
    ]));
    ground
}

#[test]
fn a_stockout_at_amazon_takes_the_next_alternative_at_google_inside_the_policy() {
    let ground = planned();
    // Azure would be cheaper than Google, and is forbidden: it is not on the list of alternatives.
    assert!(
        !ground.text("plan.json").contains("azure:eastus\""),
        "{}",
        ground.text("plan.json")
    );
    let said = ended(&ground.sky(&["apply", "plan.json"]).output().unwrap(), 0);
    assert!(
        said.contains("going on with e2-small at gcp:us-central1"),
        "{said}"
    );
    let state = ground.state();
    assert_eq!(state.stages["first"].place.to_string(), "aws:us-east-1");
    assert_eq!(state.stages["second"].place.to_string(), "gcp:us-central1");
    assert_eq!(ground.text(".sky/artifacts/second/size"), "2000000\n");
    // 2 MB out of Amazon at $0.09 a GB, which the plan did not have to pay.
    let copies = &state.copies["first.o"];
    assert!(
        copies
            .iter()
            .any(|place| place.to_string() == "gcp:us-central1"),
        "{copies:?}"
    );
    ground.check_nothing_left("failed over");
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.account().groups("us-east-1"), Vec::<String>::new());
}

#[test]
fn what_the_next_alternative_reads_comes_from_the_bucket_of_the_stage_before() {
    let ground = planned();
    let mut apply = ground.sky(&["apply", "plan.json", "--keep-buckets"]);
    ended(
        &apply
            .env_remove("SKY_STAGING")
            .envs(stores())
            .output()
            .unwrap(),
        0,
    );
    assert_eq!(ground.text(".sky/artifacts/second/size"), "2000000\n");
    let state = ground.state();
    assert_eq!(state.stages["second"].place.to_string(), "gcp:us-central1");
    let staged: Vec<String> = state.artifacts["first.o"]
        .staged
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(staged, ["aws:us-east-1", "gcp:us-central1"]);
    let copies: Vec<String> = state.copies["first.o"]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(copies, ["gcp:us-central1"]);
    ground.check_nothing_left("failed over, staged");
    ended(
        &ground
            .sky(&["destroy", "--auto-approve"])
            .envs(stores())
            .output()
            .unwrap(),
        0,
    );
}

#[test]
fn an_alternative_without_a_usable_store_is_passed_by() {
    let ground = planned();
    let mut apply = ground.sky(&["apply", "plan.json"]);
    apply.env_remove("SKY_STAGING").envs(stores()).env(
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        ground.path("no-such-key.json"),
    );
    let said = ended(&apply.output().unwrap(), 7);
    assert!(
        said.contains("the object store of gcp") && said.contains("--staging home"),
        "{said}"
    );
    ended(
        &ground
            .sky(&["destroy", "--auto-approve"])
            .envs(stores())
            .output()
            .unwrap(),
        0,
    );
}

#[test]
fn a_cloud_without_credentials_is_no_alternative() {
    let ground = planned();
    let mut apply = ground.sky(&["apply", "plan.json"]);
    apply
        .env_remove("SKY_GCP_ENDPOINT")
        .env_remove("GCE_METADATA_HOST")
        .env("HOME", ground.path("nowhere"));
    apply.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    let said = ended(&apply.output().unwrap(), 7);
    assert!(
        said.contains("gcp:us-central1: gcp: there are no credentials"),
        "{said}"
    );
    let check = ground.sky(&["check", "plan.json"]).output().unwrap();
    ended(&check, 0);
}
