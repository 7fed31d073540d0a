//! Tests of the whole room: what is read, and what is said about mistakes.

mod mistakes;
mod properties;

use crate::model::{
    AcceleratorNeed, ArtifactRef, Bytes, Millis, Money, Objective, Pattern, PlaceName, Policy, Tee, Work,
};
use crate::spec::{check, job, policy, shipped};
use std::collections::BTreeMap;

/// The job of the README, with every key that a job can have.
pub(super) const JOB: &str = r#"
name = "bert"

[datasets.reviews]
at = "azure:eastus"
path = "data/reviews"
size = "1 GB"
labels = ["personal"]

[datasets.words]
path = "../words.txt"
size = "3 MB"

[stages.process]
reads = ["reviews", "words"]
writes = { tokens = "1 GB", report = "0 B" }
removes = ["personal"]
needs = { cpus = 8, memory = "32 GiB", tee = ["sgx", "sev-snp"] }
duration = "33 m"
run = "python process.py"
files = ["process.py", "lib/clean.py"]

[stages.train]
reads = ["process.tokens"]
writes = { model = "0.1 GB" }
needs = { accelerators = ["V100:4", "tpu-v3-8"], places = ["gcp:*", "azure:eastus"] }
duration = { "V100:4" = "8.4 h", "tpu-v3-8" = "4.05 h" }
nodes = 2
after = ["process"]

[stages.tune]
reads = "train.model"
needs = { accelerators = "H100:8", arch = "x86_64", instance_types = ["p5.*"] }
work = { bf16 = "3.2e18 FLOP", efficiency = "55 %" }

[stages.judge]
reads = ["train.model", "process.report"]
needs = { cpus = 0.5 }
work = { vcpu = "16 h" }
"#;

/// A policy with every key that a policy can have.
pub(super) const POLICY: &str = r#"
[objective]
minimize = "time"

[limits]
deadline = "6 h"
budget = "$60"

[residency]
default = ["EU", "GB"]
personal = ["DE", "FR"]

[operators]
us_cloud_act = "exclude"

[trust]
personal = ["sgx", "sev-snp", "tdx"]

[clouds]
deny = ["oci"]

[places]
allow = ["*:eu-*", "azure:westeurope"]
deny = ["aws:eu-west-2"]

[spot]
allow = true

[partitions]
allow = ["us-gov"]
"#;

#[test]
fn a_job_reads_as_it_is_written() {
    let parsed = job::parse("job.toml", JOB).unwrap();
    assert_eq!(parsed.warnings, []);
    let job = parsed.value;
    assert_eq!(job.name, "bert");
    assert_eq!(job.datasets["reviews"].at, PlaceName::parse("azure:eastus").unwrap());
    assert_eq!(job.datasets["reviews"].path.as_deref(), Some("data/reviews"));
    assert_eq!(job.datasets["words"].at, PlaceName::here());
    assert_eq!(job.datasets["words"].path.as_deref(), Some("../words.txt"));
    let process = &job.stages["process"];
    assert_eq!((process.needs.vcpu_thousandths, process.needs.memory), (8000, Bytes(32 << 30)));
    assert_eq!(process.needs.tee, [Tee::Sgx, Tee::SevSnp].into());
    assert_eq!((&process.work, process.nodes), (&Work::Duration(Millis(33 * 60_000)), 1));
    assert_eq!(process.writes["report"], Bytes(0));
    let train = &job.stages["train"];
    assert_eq!(train.reads, [ArtifactRef::Output { stage: "process".into(), name: "tokens".into() }].into());
    let v100 = AcceleratorNeed { name: "V100".into(), thousandths: 4000 };
    let tpu = AcceleratorNeed { name: "tpu-v3-8".into(), thousandths: 1000 };
    assert_eq!(train.work, Work::DurationBy(BTreeMap::from([(v100, Millis(30_240_000)), (tpu, Millis(14_580_000))])));
    assert_eq!((train.nodes, &train.after), (2, &["process".to_owned()].into()));
    let flops = Work::Flops { precision: "bf16".into(), gigaflop: 3_200_000_000, efficiency_percent: 55 };
    assert_eq!(job.stages["tune"].work, flops);
    assert_eq!(job.stages["judge"].work, Work::VcpuTime(Millis(16 * 3_600_000)));
    assert_eq!(job.stages["judge"].needs.vcpu_thousandths, 500);
}

#[test]
fn a_policy_reads_as_it_is_written() {
    let parsed = policy::parse("policy.toml", POLICY).unwrap();
    assert_eq!(parsed.warnings, []);
    let policy = parsed.value;
    assert_eq!(policy.minimize, Objective::Time);
    assert_eq!((policy.deadline, policy.budget), (Some(Millis(21_600_000)), Some(Money(60_000_000))));
    assert_eq!(policy.residency["default"].len(), 28);
    assert_eq!(policy.residency["personal"], ["DE".to_owned(), "FR".to_owned()].into());
    assert!(policy.exclude_cloud_act && policy.allow_spot == Some(true));
    assert_eq!(policy.trust["personal"], [Tee::Sgx, Tee::SevSnp, Tee::Tdx].into());
    assert_eq!(policy.partitions, ["us-gov".to_owned()].into());
    assert_eq!(policy.clouds.deny, [Pattern("oci".into())].into());
    assert!(policy.places.permits("azure:westeurope") && !policy.places.permits("aws:eu-west-2"));
}

#[test]
fn an_empty_policy_is_the_default() {
    assert_eq!(policy::parse("policy.toml", "").unwrap().value, Policy::default());
    assert_eq!(policy::parse("policy.toml", "# nothing\r\n").unwrap().value, Policy::default());
}

#[test]
fn every_entry_has_its_span() {
    let job = job::parse("job.toml", JOB).unwrap().source;
    let at = |key: &str| &job.text[job.span(key).unwrap()];
    assert_eq!(at("stages.process"), "[stages.process]");
    assert_eq!(at("stages.process.duration"), "duration = \"33 m\"");
    assert_eq!(at("stages.process.needs"), "needs = { cpus = 8, memory = \"32 GiB\", tee = [\"sgx\", \"sev-snp\"] }");
    assert_eq!(at("stages.process.needs.memory"), "memory = \"32 GiB\"");
    assert_eq!(at("stages.process.needs.tee.sgx"), "\"sgx\"");
    assert_eq!(at("stages.train.reads.process.tokens"), "\"process.tokens\"");
    assert_eq!(at("stages.train.duration.V100:4"), "\"V100:4\" = \"8.4 h\"");
    let policy = policy::parse("policy.toml", POLICY).unwrap().source;
    assert_eq!(policy.location("limits.deadline"), "policy.toml:6:1");
    assert_eq!(policy.location("clouds.deny.oci"), "policy.toml:20:9");
}

#[test]
fn the_ways_to_write_a_table_are_one() {
    let dotted = "name = \"a\"\nstages.s.duration = \"1 h\"\nstages.s.needs.cpus = 2\n";
    let inline = "name = \"a\"\nstages = { s = { duration = \"60 m\", needs = { cpus = 2.0 } } }\n";
    let headers = "name = \"a\"\r\n[stages.s]\r\nduration = \"3600 s\"\r\n[stages.s.needs]\r\ncpus = 0x2\r\n";
    let read = |text| job::parse("job.toml", text).unwrap().value;
    assert_eq!(read(dotted), read(inline));
    assert_eq!(read(dotted), read(headers));
    let source = job::parse("job.toml", dotted).unwrap().source;
    assert_eq!(source.location("stages.s.needs.cpus"), "job.toml:3:16");
}

#[test]
fn work_is_read_to_the_last_digit() {
    let gigaflop = |amount: &str| {
        let text = format!("name = \"a\"\n[stages.s]\nwork = {{ fp8 = \"{amount}\" }}\n");
        match job::parse("job.toml", &text).map(|parsed| parsed.value.stages["s"].work.clone()) {
            Ok(Work::Flops { gigaflop, efficiency_percent: 40, .. }) => Some(gigaflop),
            _ => None,
        }
    };
    assert_eq!(gigaflop("500 PFLOP"), Some(500_000_000));
    assert_eq!(gigaflop("3.2e24 FLOP"), Some(3_200_000_000_000_000));
    assert_eq!(gigaflop("0.5 GFLOP"), None);
    assert_eq!(gigaflop("1.5 GFLOP"), Some(2));
    assert_eq!(gigaflop("1e9 EFLOP"), Some(1_000_000_000_000_000_000));
    for bad in ["1e10 EFLOP", "1e30 EFLOP", "999999999999999999999999e-30 FLOP", "0 EFLOP", "-1 FLOP", "nan FLOP"] {
        assert_eq!(gigaflop(bad), None, "{bad}");
    }
}

#[test]
fn the_two_files_are_read_together() {
    let job = job::parse("job.toml", JOB).unwrap();
    let text = "[residency]\ndefault = [\"EU\"]\npersonnal = [\"DE\"]\n[trust]\nsecret = \"tdx\"\n";
    let found = check(&job, &policy::parse("policy.toml", text).unwrap());
    insta::assert_snapshot!(found, @"
    policy.toml:3:1: warning: no dataset of the job carries the label `personnal`
    policy.toml:5:1: warning: no dataset of the job carries the label `secret`
    ");
    assert_eq!(found.list[0].hint.as_deref(), Some("did you mean `personal`? labels of this job: personal"));
    assert_eq!(check(&job, &policy::parse("policy.toml", POLICY).unwrap()).list, []);
}

#[test]
fn shipped_policies_say_what_their_names_say() {
    let names: Vec<&str> = shipped::names().collect();
    assert_eq!(names, ["cheapest", "confidential", "deadline-6h", "eu-only", "fastest", "no-us-cloud-act"]);
    let read = |name: &str| policy::parse(name, shipped::text(name).unwrap()).unwrap();
    assert!(names.iter().all(|name| read(name).warnings.is_empty()));
    assert_eq!(read("cheapest").value, Policy::default());
    assert_eq!(read("fastest").value.minimize, Objective::Time);
    assert_eq!(read("deadline-6h").value.deadline, Some(Millis(21_600_000)));
    let eu = read("eu-only").value.residency.remove("default").unwrap();
    assert!(eu.contains("IE") && !eu.contains("GB") && !eu.contains("CH"));
    assert!(read("no-us-cloud-act").value.exclude_cloud_act);
    assert_eq!(read("confidential").value.trust["default"], [Tee::Sgx, Tee::SevSnp, Tee::Tdx].into());
    assert_eq!(shipped::text("slowest"), None);
}
