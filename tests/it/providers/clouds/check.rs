//! `sky check` at Google Cloud, at Azure and on Kubernetes.

use super::google::Trouble;
use crate::execution::proof::ground::{Ground, On};
use serde_json::Value;

fn check(ground: &Ground, exit: i32) -> Value {
    let said = ground
        .sky(&["check", "plan.json", "--json"])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(exit), "{said:?}");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    said["providers"][0].clone()
}

fn verdict<'a>(said: &'a Value, about: &str) -> &'a str {
    let findings = said["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|one| one["about"].as_str().unwrap().contains(about));
    found.unwrap_or_else(|| panic!("{about} in {said:#}"))["verdict"]
        .as_str()
        .unwrap()
}

#[test]
fn a_check_says_what_a_project_lacks() {
    let ground = Ground::new(On::Gcp);
    let said = check(&ground, 0);
    assert_eq!(
        (&said["status"], verdict(&said, "CPUS at gcp:us-central1")),
        (&Value::from("ready"), "ok"),
        "{said:#}"
    );
    ground.google().restrict("compute.instances.create", 1);
    let said = check(&ground, 1);
    assert_eq!(said["status"], "not_ready");
    assert_eq!(verdict(&said, "compute.instances.create"), "missing");
    // One core is there and in use.
    assert_eq!(verdict(&said, "CPUS at gcp:us-central1"), "missing");
    // That an API is off says nothing about the others.
    ground.google().trouble(
        "cloudresourcemanager.projects.testIamPermissions",
        Trouble::Answer(403, "forbidden"),
    );
    assert_eq!(verdict(&check(&ground, 1), "project sky-test"), "ok");
    ground.google().trouble(
        "compute.instances.aggregatedList",
        Trouble::Answer(403, "forbidden"),
    );
    let said = check(&ground, 1);
    assert_eq!(
        (
            said["status"].as_str().unwrap(),
            said["findings"].as_array().unwrap().len()
        ),
        ("not_ready", 1),
        "{said:#}"
    );
    assert_eq!(ground.google().calls("compute.instances.insert").len(), 0);
    ground.google().check();
}

#[test]
fn a_check_says_what_a_subscription_lacks() {
    let ground = Ground::new(On::Azure);
    let said = check(&ground, 0);
    assert_eq!(said["status"], "ready", "{said:#}");
    assert_eq!(verdict(&said, "standardBSFamily at azure:eastus"), "ok");
    let microsoft = ground.microsoft().unwrap();
    microsoft.restrict("Microsoft.Compute/virtualMachines/write", 3);
    let said = check(&ground, 1);
    assert_eq!(said["status"], "not_ready");
    assert_eq!(
        verdict(&said, "Microsoft.Compute/virtualMachines/write"),
        "missing"
    );
    // Two of three cores are in use.
    assert_eq!(
        verdict(&said, "standardBSFamily at azure:eastus"),
        "missing"
    );
    assert_eq!(microsoft.calls("PUT virtualMachines").len(), 0);
}

#[cfg(feature = "kubernetes")]
#[test]
fn a_check_says_what_a_namespace_lacks() {
    let ground = Ground::new(On::Kubernetes);
    let said = check(&ground, 0);
    assert_eq!(
        (&said["status"], verdict(&said, "cluster one")),
        (&Value::from("ready"), "ok"),
        "{said:#}"
    );
    ground
        .namespace()
        .set(serde_json::json!({ "lacks": ["create jobs", "create pods"] }));
    let said = check(&ground, 1);
    assert_eq!(
        (
            verdict(&said, "create jobs"),
            verdict(&said, "create pods/exec")
        ),
        ("missing", "missing"),
        "{said:#}"
    );
    assert_eq!(ground.namespace().names(), Vec::<String>::new());
    ground.namespace().check();
}
