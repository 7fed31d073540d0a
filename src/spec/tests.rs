//! Tests of the whole room: what is read, and what is said about mistakes.

mod mistakes;
mod policies;
mod properties;

use crate::model::{
    AcceleratorNeed, Allocation, ArtifactRef, Bytes, Checkpoint, Domain, Latency, Millis, Money,
    Objective, Pattern, PlaceName, Policy, Spread, Tee, Work,
};
use crate::spec::{check, check_labels, job, policy, shipped, write};
use std::collections::BTreeMap;

/// The job of the guide, with every key that a job can have.
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

[stages.split]
reads = "process.tokens"
writes = { part = "1 GB" }
needs = { arch = "x86_64", any_of = [{ cpus = 64 }, { accelerators = ["T4"], memory = "16 GiB" }] }
duration = "1 h"
count = 16

[stages.map]
reads = ["split.part[i]"]
needs = { accelerators = ["T4"], ordered = [{ places = ["aws:eu-*"] }, { accelerators = ["L4:2"] }] }
duration = { T4 = "2 h", "L4:2" = "1 h" }
nodes = 2
count = 16
deadline = "14 h"
allocation = "spot-if-available"
checkpoint = { every = "30 m", save = "1 m", restart = "2 m", size = "10 GB" }

[stages.serve]
reads = ["split.part", "train.model"]
needs = { cpus = 4, latency = { to = "DE", at_most = "50 ms" } }
duration = "30 d"
count = 3
allocation = "on-demand"

[[spread]]
stages = ["serve"]
over = "cloud"
at_most = 1

[[spread]]
stages = ["ma*", "s*l*t"]
over = "place"
survivors = 2
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

[accounts.aws]
used_this_month = "80 GB"

[quotas]
aws = { cpus = 64.5, instances = 20, accelerators = 8 }
"aws:us-east-1" = { accelerators = { V100 = 4, "tpu-v3" = 0 } }
"gcp:*" = { instances = 1_000 }

[[links]]
from = "aws:us-east-1"
to = "gcp:us-*"
per_gb = "$0"

[[links]]
from = "aws:eu-*"
to = "azure:*"
per_gb = "0.02 USD"
both = true

[storage]
keep = "7 d"
"#;

#[test]
fn a_job_reads_as_it_is_written() {
    let parsed = job::parse("job.toml", JOB).unwrap();
    assert_eq!(parsed.warnings, []);
    let job = parsed.value;
    assert_eq!(job.name, "bert");
    assert_eq!(
        job.datasets["reviews"].at,
        PlaceName::parse("azure:eastus").unwrap()
    );
    assert_eq!(
        job.datasets["reviews"].path.as_deref(),
        Some("data/reviews")
    );
    assert_eq!(job.datasets["words"].at, PlaceName::here());
    assert_eq!(job.datasets["words"].path.as_deref(), Some("../words.txt"));
    let process = &job.stages["process"];
    assert_eq!(
        (process.needs.vcpu_thousandths, process.needs.memory),
        (8000, Bytes(32 << 30))
    );
    assert_eq!(process.needs.tee, [Tee::Sgx, Tee::SevSnp].into());
    assert_eq!(
        (&process.work, process.nodes),
        (&Work::Duration(Millis(33 * 60_000)), 1)
    );
    assert_eq!(process.writes["report"], Bytes(0));
    let train = &job.stages["train"];
    assert_eq!(
        train.reads,
        [ArtifactRef::Output {
            stage: "process".into(),
            name: "tokens".into()
        }]
        .into()
    );
    let v100 = AcceleratorNeed {
        name: "V100".into(),
        thousandths: 4000,
    };
    let tpu = AcceleratorNeed {
        name: "tpu-v3-8".into(),
        thousandths: 1000,
    };
    assert_eq!(
        train.work,
        Work::DurationBy(BTreeMap::from([
            (v100, Millis(30_240_000)),
            (tpu, Millis(14_580_000))
        ]))
    );
    assert_eq!(
        (train.nodes, &train.after),
        (2, &["process".to_owned()].into())
    );
    let flops = Work::Flops {
        precision: "bf16".into(),
        gigaflop: 3_200_000_000,
        efficiency_percent: 55,
    };
    assert_eq!(job.stages["tune"].work, flops);
    assert_eq!(
        job.stages["judge"].work,
        Work::VcpuTime(Millis(16 * 3_600_000))
    );
    assert_eq!(job.stages["judge"].needs.vcpu_thousandths, 500);
}

#[test]
fn copies_alternatives_and_spreads_read_as_they_are_written() {
    let job = job::parse("job.toml", JOB).unwrap().value;
    let (split, map, serve) = (
        &job.stages["split"],
        &job.stages["map"],
        &job.stages["serve"],
    );
    assert_eq!(
        (split.count, map.count, map.nodes, serve.count),
        (16, 16, 2, 3)
    );
    let element = ArtifactRef::Output {
        stage: "split".into(),
        name: "part[i]".into(),
    };
    assert_eq!(map.reads, [element.clone()].into());
    assert_eq!(
        (
            element.file_name(),
            element.whole().to_string(),
            job.size(&element).unwrap()
        ),
        ("part", "split.part".into(), Bytes(1_000_000_000))
    );
    assert!(element.is_element() && !element.whole().is_element());
    // Filled up with what is common.
    let t4 = AcceleratorNeed::parse("T4").unwrap();
    let [large, card] = &split.needs.any_of[..] else {
        panic!("{:?}", split.needs.any_of)
    };
    assert_eq!(
        (
            large.vcpu_thousandths,
            large.accelerators.len(),
            large.arch.as_deref()
        ),
        (64_000, 0, Some("x86_64"))
    );
    assert_eq!(
        (card.vcpu_thousandths, &card.accelerators, card.memory),
        (0, &[t4.clone()].into(), Bytes(16 << 30))
    );
    assert_eq!(
        (
            card.arch.as_deref(),
            split.needs.ordered,
            split.needs.vcpu_thousandths
        ),
        (Some("x86_64"), false, 0)
    );
    let [near, fast] = &map.needs.any_of[..] else {
        panic!("{:?}", map.needs.any_of)
    };
    assert_eq!(
        (&near.accelerators, &near.places),
        (&[t4].into(), &[Pattern("aws:eu-*".into())].into())
    );
    assert_eq!(
        (&fast.accelerators, fast.places.len()),
        (&[AcceleratorNeed::parse("L4:2").unwrap()].into(), 0)
    );
    assert!(map.needs.ordered && near.any_of.is_empty() && !near.ordered);
    assert!(matches!(&map.work, Work::DurationBy(times) if times.len() == 2));
    assert_eq!(
        (map.deadline, map.allocation),
        (
            Some(Millis(14 * 3_600_000)),
            Some(Allocation::SpotIfAvailable)
        )
    );
    let (every, save, restart) = (Some(Millis(1_800_000)), Millis(60_000), Millis(120_000));
    assert_eq!(
        map.checkpoint,
        Some(Checkpoint {
            every,
            save,
            restart,
            size: Bytes(10_000_000_000)
        })
    );
    assert_eq!(
        serve.needs.latency,
        Some(Latency {
            to: "DE".into(),
            at_most: Millis(50)
        })
    );
    // 32 copies, of which 2 are left when one place is lost; in order of their names.
    let of = |names: &[&str], over, at_most| {
        let stages = names.iter().map(|name| (*name).to_owned()).collect();
        Spread {
            stages,
            over,
            at_most,
        }
    };
    assert_eq!(
        job.spread,
        [
            of(&["map", "split"], Domain::Place, 30),
            of(&["serve"], Domain::Cloud, 1)
        ]
    );
}

#[test]
fn labels_stick_to_what_is_read_element_by_element() {
    let text = "name = \"j\"\n[datasets.d]\npath = \"d\"\nsize = \"1 B\"\nlabels = [\"personal\"]\n\
                [stages.a]\ncount = 2\nreads = [\"d\"]\nwrites = { x = \"1 B\" }\nduration = \"1 h\"\n\
                [stages.b]\ncount = 2\nreads = [\"a.x[i]\"]\nduration = \"1 h\"\n";
    let labels = crate::model::dag::labels(&job::parse("job.toml", text).unwrap().value);
    assert_eq!(labels.of_stage["b"], ["personal".to_owned()].into());
}

#[test]
fn checkpoints_have_defaults() {
    let text = "name = \"j\"\n[stages.s]\nduration = \"1 h\"\ncheckpoint = {}\n";
    let job = job::parse("job.toml", text).unwrap().value;
    assert_eq!(
        job.stages["s"].checkpoint,
        Some(Checkpoint {
            every: None,
            save: Millis(0),
            restart: Millis(0),
            size: Bytes(0)
        })
    );
}

#[test]
fn a_job_is_written_as_it_is_read() {
    let job = job::parse("job.toml", JOB).unwrap().value;
    let text = write::job(&job);
    assert_eq!(job::parse("job.toml", &text).unwrap().value, job);
    assert_eq!(
        write::job(&job::parse("job.toml", &text).unwrap().value),
        text
    );
    insta::assert_snapshot!(text);
}

#[test]
fn every_entry_has_its_span() {
    let job = job::parse("job.toml", JOB).unwrap().source;
    let at = |key: &str| &job.text[job.span(key).unwrap()];
    assert_eq!(at("stages.process"), "[stages.process]");
    assert_eq!(at("stages.process.duration"), "duration = \"33 m\"");
    assert_eq!(
        at("stages.process.needs"),
        "needs = { cpus = 8, memory = \"32 GiB\", tee = [\"sgx\", \"sev-snp\"] }"
    );
    assert_eq!(at("stages.process.needs.memory"), "memory = \"32 GiB\"");
    assert_eq!(at("stages.process.needs.tee.sgx"), "\"sgx\"");
    assert_eq!(
        at("stages.train.reads.process.tokens"),
        "\"process.tokens\""
    );
    assert_eq!(at("stages.train.duration.V100:4"), "\"V100:4\" = \"8.4 h\"");
    assert_eq!(at("stages.map.reads.split.part[i]"), "\"split.part[i]\"");
    assert_eq!(at("stages.map.checkpoint.save"), "save = \"1 m\"");
    assert_eq!(at("stages.split.needs.any_of.0"), "{ cpus = 64 }");
    assert_eq!(
        at("stages.split.needs.any_of.1.memory"),
        "memory = \"16 GiB\""
    );
    assert_eq!(at("stages.serve.needs.latency.to"), "to = \"DE\"");
    assert_eq!(at("spread.0"), "[[spread]]");
    assert_eq!(at("spread.1.over"), "over = \"place\"");
    let policy = policy::parse("policy.toml", POLICY).unwrap().source;
    assert_eq!(policy.location("limits.deadline"), "policy.toml:6:1");
    assert_eq!(policy.location("clouds.deny.oci"), "policy.toml:20:9");
    assert_eq!(
        policy.location("quotas.aws:us-east-1.accelerators.V100"),
        "policy.toml:37:38"
    );
    assert_eq!(policy.location("links.1"), "policy.toml:45:1");
    assert_eq!(policy.location("links.1.both"), "policy.toml:49:1");
}

#[test]
fn the_ways_to_write_a_table_are_one() {
    let dotted = "name = \"a\"\nstages.s.duration = \"1 h\"\nstages.s.needs.cpus = 2\n";
    let inline = "name = \"a\"\nstages = { s = { duration = \"60 m\", needs = { cpus = 2.0 } } }\n";
    let headers =
        "name = \"a\"\r\n[stages.s]\r\nduration = \"3600 s\"\r\n[stages.s.needs]\r\ncpus = 0x2\r\n";
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
            Ok(Work::Flops {
                gigaflop,
                efficiency_percent: 40,
                ..
            }) => Some(gigaflop),
            _ => None,
        }
    };
    assert_eq!(gigaflop("500 PFLOP"), Some(500_000_000));
    assert_eq!(gigaflop("3.2e24 FLOP"), Some(3_200_000_000_000_000));
    assert_eq!(gigaflop("0.5 GFLOP"), None);
    assert_eq!(gigaflop("1.5 GFLOP"), Some(2));
    assert_eq!(gigaflop("1e9 EFLOP"), Some(1_000_000_000_000_000_000));
    for bad in [
        "1e10 EFLOP",
        "1e30 EFLOP",
        "999999999999999999999999e-30 FLOP",
        "0 EFLOP",
        "-1 FLOP",
        "nan FLOP",
    ] {
        assert_eq!(gigaflop(bad), None, "{bad}");
    }
}

#[test]
fn the_two_files_are_read_together() {
    let job = job::parse("job.toml", JOB).unwrap();
    let text = "[residency]\ndefault = [\"EU\"]\npersonnal = [\"DE\"]\n[trust]\nsecret = \"tdx\"\n";
    let found = check(&job, &policy::parse("policy.toml", text).unwrap());
    insta::assert_snapshot!(found, @"
    policy.toml:3:1: error: no dataset of the job carries the label `personnal`
    policy.toml:5:1: error: no dataset of the job carries the label `secret`
    ");
    assert_eq!(
        found.list[0].hint.as_deref(),
        Some(
            "did you mean `personal`? a rule for jobs that may lack the label is written \
             `personnal = { in = […], optional = true }`"
        )
    );
    assert_eq!(
        check(&job, &policy::parse("policy.toml", POLICY).unwrap()).list,
        []
    );
}
