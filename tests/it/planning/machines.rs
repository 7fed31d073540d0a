//! What a machine gives: burstable ones count at their baseline, and a stage that names no
//! architecture runs on x86_64.

use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;

/// A catalog of one place, where the burstable and the ARM machines are the cheapest.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "catalog/catalog.toml",
        "format = 1\n[sources.list]\ndate = \"2026-11-30\"\nabout = \"a list\"\n",
    );
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
    sandbox.write(
        "job.toml",
        &format!("name = \"j\"\n[stages.s]\nneeds = {{ {needs} }}\n{work}\n"),
    );
    let plan = sandbox.run(&["plan", "--catalog", "catalog", "--out", "plan.json"]);
    assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    plan["stages"][0].clone()
}

#[test]
fn work_counts_the_baseline_of_burstable_machines() {
    let sandbox = sandbox();
    // 160 vCPU-hours: 80 hours of m5.large for $8.00; a t3.nano with 0.1 vCPU would take 1,600
    // hours for $8.32, not 80 hours for $0.42.
    let stage = planned(&sandbox, "", "work = { vcpu = \"160 h\" }");
    assert_eq!(
        (
            stage["instance_type"].as_str(),
            stage["cost_micro_usd"].as_i64()
        ),
        (Some("m5.large"), Some(8_000_000))
    );
    assert!(stage.get("baseline_vcpu_thousandths").is_none());
    let stage = planned(
        &sandbox,
        "instance_types = [\"t3.*\"]",
        "work = { vcpu = \"160 h\" }",
    );
    assert_eq!(stage["end_ms"].as_i64(), Some(1_600 * 3_600_000));
    assert_eq!(stage["baseline_vcpu_thousandths"].as_i64(), Some(100));
    let text = sandbox.stdout(&["show", "plan.json"], 0);
    assert!(
        text.contains("t3.nano, burstable: 0.1 vCPU sustained"),
        "{text}"
    );
}

#[test]
fn needs_count_the_baseline_of_burstable_machines() {
    let sandbox = sandbox();
    let fixed = "duration = \"1 h\"";
    assert_eq!(
        planned(&sandbox, "cpus = 0.1", fixed)["instance_type"],
        "t3.nano"
    );
    assert_eq!(
        planned(&sandbox, "cpus = 0.2", fixed)["instance_type"],
        "m5.large"
    );
    assert_eq!(
        planned(&sandbox, "cpus = 2", fixed)["instance_type"],
        "m5.large"
    );
    // Without a known baseline nothing can be counted on.
    assert_eq!(planned(&sandbox, "", fixed)["instance_type"], "t1.micro");
}

#[test]
fn a_stage_that_names_no_architecture_runs_on_x86_64_unless_any_is_allowed() {
    let sandbox = sandbox();
    let fixed = "duration = \"1 h\"";
    let on = |needs: &str| {
        planned(&sandbox, needs, fixed)["instance_type"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(on("cpus = 2"), "m5.large");
    assert_eq!(on("cpus = 2, arch = \"any\""), "m6g.large");
    assert_eq!(on("cpus = 2, arch = \"arm64\""), "m6g.large");
    assert_eq!(
        on("cpus = 2, any_of = [{ memory = \"8 GiB\" }, { memory = \"4 GiB\" }]"),
        "m5.large"
    );
    assert_eq!(
        on("cpus = 2, any_of = [{ arch = \"arm64\" }, { memory = \"16 GiB\" }]"),
        "m6g.large"
    );
    // An unknown architecture is not known to be another one; it satisfies no wish.
    assert_eq!(on("instance_types = [\"old.*\"]"), "old.large");
    sandbox.write("policy.toml", "[needs]\narch = \"any\"\n");
    assert_eq!(on("cpus = 2"), "m6g.large");
    assert_eq!(on("cpus = 2, arch = \"x86_64\""), "m5.large");
    sandbox.write("policy.toml", "[needs]\narch = \"arm64\"\n");
    assert_eq!(on("cpus = 2"), "m6g.large");
    sandbox.write("policy.toml", "");
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nneeds = { instance_types = [\"m6g.*\"] }\nduration = \"1 h\"\n",
    );
    let refused = sandbox.run(&["plan", "--catalog", "catalog"]);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains("a stage that names no `arch` runs on x86_64")
            && said.contains("arch = \"any\""),
        "{said}"
    );
}

#[test]
fn a_machine_says_what_it_sustains() {
    let sandbox = sandbox();
    let text = sandbox.stdout(&["catalog", "show", "t3.nano", "--catalog", "catalog"], 0);
    assert!(
        text.contains("2, of which 0.1 sustained (burstable)"),
        "{text}"
    );
    let json = sandbox.stdout(
        &[
            "catalog",
            "show",
            "t3.nano",
            "--catalog",
            "catalog",
            "--json",
        ],
        0,
    );
    assert!(
        json.contains("\"baseline_vcpu_thousandths\": 100"),
        "{json}"
    );
}

/// The boot disk and the public address that are rented with a machine are real money.
#[test]
fn boot_disks_and_public_addresses_are_cost_lines_of_their_own() {
    let sandbox = sandbox();
    sandbox.write(
        "catalog/machine_extras.csv",
        "cloud,boot_disk_gib,disk_usd_per_gib_month,disk_sizes_gib,public_ipv4_usd_per_hour,source\n\
         aws,28,0.073,32;64;128,0.005,list\n",
    );
    let work = "duration = \"10 h\"\nnodes = 2\nwrites = { out = \"10 GiB\" }";
    let stage = planned(&sandbox, "cpus = 2", work);
    // 38 GiB are billed as 64: $0.0064 an hour.
    assert_eq!(stage["boot_disk_gib"].as_i64(), Some(38));
    assert_eq!(
        stage["extras"]["disk_nano_usd_per_hour"].as_i64(),
        Some(6_400_000)
    );
    assert_eq!(stage["disk_micro_usd"].as_i64(), Some(128_000));
    assert_eq!(stage["address_micro_usd"].as_i64(), Some(100_000));
    assert_eq!(
        stage["cost_micro_usd"].as_i64(),
        Some(2_000_000),
        "the machines alone"
    );
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let totals = &plan["totals"];
    assert_eq!(totals["compute_micro_usd"].as_i64(), Some(2_000_000));
    assert_eq!(totals["cost_micro_usd"].as_i64(), Some(2_228_000));
    let text = sandbox.stdout(&["show", "plan.json"], 0);
    assert!(
        text.contains("Boot disks") && text.contains("Public addresses") && text.contains("$2.23"),
        "{text}"
    );
    // The budget counts them, to the last micro-dollar.
    for (budget, code) in [("$2.228", 0), ("$2.227999", 3), ("$2.00", 3)] {
        sandbox.write("policy.toml", &format!("[limits]\nbudget = \"{budget}\"\n"));
        let run = sandbox.run(&["plan", "--catalog", "catalog"]);
        assert_eq!(run.status.code(), Some(code), "{budget} {}", stderr(&run));
    }
    // A plan that was changed is found out.
    sandbox.write("policy.toml", "");
    let text = sandbox.read("plan.json");
    sandbox.write(
        "changed.json",
        &text.replace("\"address_micro_usd\": 100000", "\"address_micro_usd\": 1"),
    );
    let said = stderr(&sandbox.run(&["verify", "changed.json", "--catalog", "catalog"]));
    assert!(said.contains("address_micro_usd"), "{said}");
}

/// Plans of an earlier sky have none of these members.
#[test]
fn plans_without_extras_are_read() {
    let sandbox = sandbox();
    planned(&sandbox, "cpus = 2", "duration = \"1 h\"");
    let text = sandbox.read("plan.json");
    for member in [
        "extras",
        "boot_disk_gib",
        "disk_micro_usd",
        "address_micro_usd",
        "baseline_vcpu_thousandths",
        "billed_gb_bytes",
    ] {
        assert!(
            !text.contains(member),
            "{member} is left out where it says nothing"
        );
    }
    sandbox.stdout(&["show", "plan.json"], 0);
}

/// No clock is read: a source of November tells what has happened by November, and a plan on a
/// machine type that is still to be retired says on which day.
#[test]
fn a_plan_on_a_machine_type_that_will_be_retired_says_the_day() {
    let sandbox = sandbox();
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\nneeds = { instance_types = [\"m5.*\"] }\n",
    );
    let plan = |day: &str| {
        let row = format!("cloud,instance_types,retires,source\naws,m5.*,{day},list\n");
        sandbox.write("catalog/retirements.csv", &row);
        let output = sandbox.run(&["plan", "--catalog", "catalog"]);
        (output.status.code(), stderr(&output))
    };
    let (code, said) = plan("2027-01-31");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("m5.large will be retired on 2027-01-31"),
        "{said}"
    );
    // Years later is no news, and by its own day it is gone.
    let (code, said) = plan("2029-01-31");
    assert!(code == Some(0) && !said.contains("retired"), "{said}");
    let (code, said) = plan("2026-11-30");
    assert_eq!(code, Some(3), "{said}");
}
