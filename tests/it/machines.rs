//! What a machine gives: burstable ones count at their baseline, and a stage that names no
//! architecture runs on x86_64.

use crate::sandbox::{Sandbox, stderr};
use serde_json::Value;

/// A catalog of one place, where the burstable and the ARM machines are the cheapest.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("catalog/catalog.toml", "format = 1\n[sources.list]\ndate = \"2026-11-30\"\nabout = \"a list\"\n");
    sandbox.write("catalog/places.csv", "place,country\naws:here,DE\n");
    sandbox.write(
        "catalog/aws/machines.csv",
        "instance_type,vcpus,memory_gib,arch\n\
         t3.nano,2,0.5,x86_64\nt1.micro,1,0.6,x86_64\nm5.large,2,8,x86_64\nm6g.large,2,8,arm64\nold.large,2,8,\n",
    );
    sandbox.write(
        "catalog/aws/prices.csv",
        "region,instance_type,on_demand,source\n\
         here,t3.nano,0.0052,list\nhere,t1.micro,0.002,list\nhere,m5.large,0.1,list\nhere,m6g.large,0.08,list\n\
         here,old.large,0.2,list\n",
    );
    sandbox.write(
        "catalog/burstable.csv",
        "cloud,instance_types,baseline_vcpus,source\naws,t3.nano,0.1,list\naws,t1.micro,,list\n",
    );
    sandbox
}

/// The one stage of a plan of such a job.
fn planned(sandbox: &Sandbox, needs: &str, work: &str) -> Value {
    sandbox.write("job.toml", &format!("name = \"j\"\n[stages.s]\nneeds = {{ {needs} }}\n{work}\n"));
    let plan = sandbox.run(&["plan", "--catalog", "catalog", "--out", "plan.json"]);
    assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    plan["stages"][0].clone()
}

#[test]
fn work_counts_the_baseline_of_burstable_machines() {
    let sandbox = sandbox();
    // 160 vCPU-hours: 80 hours of m5.large for $8.00; a t3.nano with 0.1 vCPU would take 1,600 hours
    // for $8.32, not 80 hours for $0.42.
    let stage = planned(&sandbox, "", "work = { vcpu = \"160 h\" }");
    assert_eq!(
        (stage["instance_type"].as_str(), stage["cost_micro_usd"].as_i64()),
        (Some("m5.large"), Some(8_000_000))
    );
    assert!(stage.get("baseline_vcpu_thousandths").is_none());
    let stage = planned(&sandbox, "instance_types = [\"t3.*\"]", "work = { vcpu = \"160 h\" }");
    assert_eq!(stage["end_ms"].as_i64(), Some(1_600 * 3_600_000));
    assert_eq!(stage["baseline_vcpu_thousandths"].as_i64(), Some(100));
    let text = sandbox.stdout(&["show", "plan.json"], 0);
    assert!(text.contains("t3.nano, burstable: 0.1 vCPU sustained"), "{text}");
}

#[test]
fn needs_count_the_baseline_of_burstable_machines() {
    let sandbox = sandbox();
    let fixed = "duration = \"1 h\"";
    assert_eq!(planned(&sandbox, "cpus = 0.1", fixed)["instance_type"], "t3.nano");
    assert_eq!(planned(&sandbox, "cpus = 0.2", fixed)["instance_type"], "m5.large");
    assert_eq!(planned(&sandbox, "cpus = 2", fixed)["instance_type"], "m5.large");
    // Without a known baseline nothing can be counted on.
    assert_eq!(planned(&sandbox, "", fixed)["instance_type"], "t1.micro");
}

#[test]
fn a_stage_that_names_no_architecture_runs_on_x86_64_unless_any_is_allowed() {
    let sandbox = sandbox();
    let fixed = "duration = \"1 h\"";
    let on = |needs: &str| planned(&sandbox, needs, fixed)["instance_type"].as_str().unwrap().to_owned();
    assert_eq!(on("cpus = 2"), "m5.large");
    assert_eq!(on("cpus = 2, arch = \"any\""), "m6g.large");
    assert_eq!(on("cpus = 2, arch = \"arm64\""), "m6g.large");
    assert_eq!(on("cpus = 2, any_of = [{ memory = \"8 GiB\" }, { memory = \"4 GiB\" }]"), "m5.large");
    assert_eq!(on("cpus = 2, any_of = [{ arch = \"arm64\" }, { memory = \"16 GiB\" }]"), "m6g.large");
    // An unknown architecture is not known to be another one; it satisfies no wish.
    assert_eq!(on("instance_types = [\"old.*\"]"), "old.large");
    sandbox.write("policy.toml", "[needs]\narch = \"any\"\n");
    assert_eq!(on("cpus = 2"), "m6g.large");
    assert_eq!(on("cpus = 2, arch = \"x86_64\""), "m5.large");
    sandbox.write("policy.toml", "[needs]\narch = \"arm64\"\n");
    assert_eq!(on("cpus = 2"), "m6g.large");
    sandbox.write("policy.toml", "");
    sandbox
        .write("job.toml", "name = \"j\"\n[stages.s]\nneeds = { instance_types = [\"m6g.*\"] }\nduration = \"1 h\"\n");
    let refused = sandbox.run(&["plan", "--catalog", "catalog"]);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("a stage that names no `arch` runs on x86_64") && said.contains("arch = \"any\""), "{said}");
}

#[test]
fn a_machine_says_what_it_sustains() {
    let sandbox = sandbox();
    let text = sandbox.stdout(&["catalog", "show", "t3.nano", "--catalog", "catalog"], 0);
    assert!(text.contains("2, of which 0.1 sustained (burstable)"), "{text}");
    let json = sandbox.stdout(&["catalog", "show", "t3.nano", "--catalog", "catalog", "--json"], 0);
    assert!(json.contains("\"baseline_vcpu_thousandths\": 100"), "{json}");
}
