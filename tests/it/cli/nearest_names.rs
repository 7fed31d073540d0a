//! The nearest name that is known, as the hint about a name that nothing answers to: for every kind
//! of name, on the shipped catalog.

use crate::support::sandbox::{Sandbox, stderr};

const JOB: &str = "name = \"j\"\n[datasets.d]\nat = \"aws:eu-west-1\"\nsize = \"1 GB\"\nlabels = [\"personal\"]\n\
                   [stages.s]\nreads = [\"d\"]\nduration = \"1 h\"\n";

/// Lines of a policy, and the hint that they must be answered with.
const IN_A_POLICY: [(&str, &str); 32] = [
    (
        "[operators]\ndeny = [\"Microsft\"]",
        "did you mean `Microsoft`?",
    ),
    (
        "[operators]\nallow = [\"Amazonn*\"]",
        "did you mean `Amazon Web Services`?",
    ),
    ("[operators]\nparents = [\"USA\"]", "did you mean `US`?"),
    ("[operators]\nparents = [\"TV\"]", "the catalog has CN, "),
    (
        "[operators]\nus_cloud_act = \"exlude\"",
        "did you mean `exclude`?",
    ),
    ("[clouds]\ndeny = [\"gpc\"]", "did you mean `gcp`?"),
    ("[clouds]\nallow = [\"awss\"]", "did you mean `aws`?"),
    (
        "[places]\ndeny = [\"aws:us-eats-1\"]",
        "did you mean `aws:us-east-1`?",
    ),
    (
        "[places]\nallow = [\"azuer:westeurope\"]",
        "did you mean `azure:westeurope`?",
    ),
    (
        "[partitions]\nallow = [\"us-goov\"]",
        "did you mean `us-gov`?",
    ),
    ("[residency]\npersonal = [\"UK\"]", "did you mean `GB`?"),
    ("[residency]\npersonal = [\"Germny\"]", "did you mean `DE`?"),
    (
        "[residency]\npersonal = [\"Netherlands\"]",
        "did you mean `NL`?",
    ),
    (
        "[residency]\npersonal = [\"TV\"]",
        "the catalog has places in AE, ",
    ),
    (
        "[residency]\npersonnal = [\"DE\"]",
        "did you mean `personal`?",
    ),
    ("[home]\ncountry = \"Frnace\"", "did you mean `FR`?"),
    (
        "[trust]\npersonal = [\"sev-snpp\"]",
        "did you mean `sev-snp`?",
    ),
    ("[trust]\npersonnal = [\"sgx\"]", "did you mean `personal`?"),
    (
        "[certifications]\npersonal = [\"secnumclod\"]",
        "did you mean `secnumcloud`?",
    ),
    (
        "[certifications]\npersonal = [\"ISO 27001\"]",
        "the catalog knows c5, ",
    ),
    (
        "[accounts.awss]\nused_this_month = \"1 GB\"",
        "did you mean `aws`?",
    ),
    ("[quotas]\nazuer = { cpus = 9 }", "did you mean `azure`?"),
    (
        "[quotas]\n\"aws:us-eats-1\" = { cpus = 9 }",
        "did you mean `aws:us-east-1`?",
    ),
    (
        "[quotas]\naws = { accelerators = { \"V10\" = 9 } }",
        "did you mean `V100`?",
    ),
    ("[quotas]\naws = { cpu = 9 }", "did you mean `cpus`?"),
    (
        "[[links]]\nfrom = \"aws:us-eats-1\"\nto = \"gcp:*\"\nper_gb = \"$0\"",
        "did you mean `aws:us-east-1`?",
    ),
    (
        "[[links]]\nfrom = \"aws:*\"\nto = \"gpc:*\"\nper_gb = \"$0\"",
        "did you mean `gcp:*`?",
    ),
    ("[objective]\nminimize = \"tiem\"", "did you mean `time`?"),
    ("[clouds]\ndney = [\"aws\"]", "did you mean `deny`?"),
    (
        "[ressidency]\npersonal = [\"DE\"]",
        "did you mean `residency`?",
    ),
    ("[needs]\narch = \"amd64\"", "did you mean `x86_64`?"),
    ("[limits]\nbudgett = \"$1\"", "did you mean `budget`?"),
];

/// What stands in a stage, and the hint.
const IN_A_STAGE: [(&str, &str); 18] = [
    (
        "needs = { accelerators = [\"H10:8\"] }",
        "did you mean `H100`?",
    ),
    (
        "needs = { accelerators = [\"A100-80G\"] }",
        "did you mean `A100-80GB`?",
    ),
    (
        "needs = { accelerators = [\"T4\", \"V10\"] }",
        "did you mean `V100`?",
    ),
    ("needs = { arch = \"aarch64\" }", "did you mean `arm64`?"),
    (
        "needs = { instance_types = [\"p5.48xlrge\"] }",
        "did you mean `p5.48xlarge`?",
    ),
    (
        "needs = { places = [\"gcp:us-centrl1\"] }",
        "did you mean `gcp:us-central1`?",
    ),
    ("needs = { places = [\"gpc:*\"] }", "did you mean `gcp:*`?"),
    (
        "needs = { ordered = [{ instance_types = [\"m5.lrage\"] }, { cpus = 1 }] }",
        "did you mean `m5.large`?",
    ),
    (
        "needs = { ordered = [{ places = [\"aws:eu-wset-1\"] }, { cpus = 1 }] }",
        "did you mean `aws:eu-west-1`?",
    ),
    (
        "needs = { any_of = [{ accelerators = [\"T44\"] }, { cpus = 1 }] }",
        "did you mean `T4`?",
    ),
    ("needs = { tee = [\"sgxx\"] }", "did you mean `sgx`?"),
    ("needs = { service = \"athna\" }", "did you mean `athena`?"),
    (
        "needs = { acelerators = [\"T4\"] }",
        "did you mean `accelerators`?",
    ),
    (
        "needs = { latency = { to = \"UK\", at_most = \"20 ms\" } }",
        "did you mean `GB`?",
    ),
    (
        "needs = { latency = { to = \"TV\", at_most = \"20 ms\" } }",
        "the catalog has places in AE, ",
    ),
    ("reads = [\"dd\"]", "did you mean `d`?"),
    ("after = [\"ss\"]", "did you mean `"),
    ("runn = \"true\"", "did you mean `run`?"),
];

#[test]
fn every_kind_of_name_in_a_policy_is_answered_with_the_nearest_one() {
    let sandbox = Sandbox::new();
    sandbox.write("job.toml", JOB);
    let missing: Vec<String> = IN_A_POLICY
        .iter()
        .filter_map(|(lines, hint)| {
            sandbox.write("policy.toml", lines);
            let said = stderr(&sandbox.run(&["validate"]));
            (!said.contains(hint)).then(|| format!("{lines}\n  no {hint}\n{said}"))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_kind_of_name_in_a_job_is_answered_with_the_nearest_one() {
    let sandbox = Sandbox::new();
    let missing: Vec<String> = IN_A_STAGE
        .iter()
        .filter_map(|(line, hint)| {
            let stage = format!("[stages.t]\nduration = \"1 h\"\n{line}\n");
            sandbox.write("job.toml", &format!("{JOB}{stage}"));
            let said = stderr(&sandbox.run(&["validate"]));
            (!said.contains(hint)).then(|| format!("{line}\n  no {hint}\n{said}"))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    for (at, hint) in [
        ("aws:eu-wset-1", "did you mean `aws:eu-west-1`?"),
        ("awss:eu-west-1", "did you mean `aws:eu-west-1`?"),
        ("gcp:europe-wset4", "did you mean `gcp:europe-west4`?"),
    ] {
        sandbox.write("job.toml", &JOB.replace("aws:eu-west-1", at));
        for verb in ["validate", "plan", "explain", "frontier"] {
            let said = stderr(&sandbox.run(&[verb]));
            assert!(said.contains(hint), "{verb} {at}: {said}");
        }
    }
}

#[test]
fn every_kind_of_name_on_the_command_line_is_answered_with_the_nearest_one() {
    let sandbox = Sandbox::new();
    sandbox
        .write("job.toml", JOB)
        .write("w.json", crate::cli::import::WORKFLOW);
    let lines: [(&[&str], &str); 16] = [
        (
            &["import", "wfformat", "w.json", "--at", "aws:eu-wset-1"],
            "did you mean `aws:eu-west-1`?",
        ),
        (&["plan", "--policy", "cheapst"], "cheapest"),
        (&["plan", "--data", "dd=x"], "its datasets: d"),
        (&["plna"], "'plan'"),
        (&["plan", "--polcy", "x"], "'--policy'"),
        (&["state", "lsit"], "'list'"),
        (&["catalog", "show", "p5.48xlrge"], "p5.48xlarge"),
        (&["catalog", "show", "aws:eu-wset-1"], "aws:eu-west-1"),
        (&["catalog", "list", "--accelerator", "H1000"], "`H100`"),
        (
            &["catalog", "list", "--place", "aws:eu-wset-1"],
            "aws:eu-west-1",
        ),
        (&["catalog", "list", "--cloud", "azuer"], "`azure`"),
        (
            &["catalog", "list", "--instance-type", "m5.lrage"],
            "`m5.large`",
        ),
        (&["catalog", "update", "--source", "azuer"], "azure"),
        (&["catalog", "update", "--cloud", "azuer"], "azure"),
        (&["catalog", "import", "skypilt", "x"], "skypilot"),
        (&["check", "--provider", "gpc"], "gcp"),
    ];
    let missing: Vec<String> = lines
        .iter()
        .filter_map(|(words, hint)| {
            let said = stderr(&sandbox.run(words));
            (!said.contains(hint)).then(|| format!("{words:?}\n  no {hint}\n{said}"))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
