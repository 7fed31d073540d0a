//! Stages that ask for services: random requests against an answer that is looked up offer by
//! offer in a table, and one of each kind through every verb.

mod random_requests;

use random_requests::case;

use crate::support::case::{Case, Random};
use crate::support::sandbox::Sandbox;
use sky::model::Money;
use sky::plan::file;
use sky::planning::solve::Effort;
use sky::planning::{self, NoPlan, Settings};

/// A job that scans, calls and runs; each stage must take a service of its own unit.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let case = case();
    sandbox.write(
        "catalog/catalog.toml",
        "format = 1\n[sources.s]\ndate = \"2026-01-01\"\nabout = \"made up\"\n",
    );
    for (name, header, rows) in &case.catalog {
        sandbox.write(
            &format!("catalog/{name}"),
            &format!("{header}\n{}\n", rows.join("\n")),
        );
    }
    sandbox.write(
        "catalog/egress.csv",
        "from,to,above_gb,usd_per_gb,source\n*,*,0,0.01,s\n*,internet,0,0.05,s\n",
    );
    sandbox.write(
        "job.toml",
        r#"name = "report"
[stages.query]
needs = { service = "warehouse", scans = "2.5 TB" }
writes = { table = "1 GB" }
duration = "10 m"
run = "echo table > $SKY_OUTPUTS/table"
[stages.join]
reads = ["query.table"]
needs = { service = "spark>=3.5,<4", cpus = 8 }
writes = { report = "10 MB" }
duration = "2 h"
nodes = 3
run = "cp $SKY_INPUTS/table $SKY_OUTPUTS/report"
[stages.tell]
reads = ["join.report"]
needs = { service = "functions^2", requests = 7654321 }
duration = "1 m"
run = "cat $SKY_INPUTS/report"
[stages.own]
needs = { cpus = 2 }
duration = "1 h"
run = "true"
"#,
    );
    sandbox.write("policy.toml", "[residency]\ndefault = [\"EU\"]\n");
    sandbox
}

#[test]
fn a_job_of_services_goes_through_every_verb() {
    let sandbox = sandbox();
    let text = sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    // 2.5 TB at $5, 3 nodes for 2 h at $0.50, 7.654321 million requests at $0.20, an hour at
    // $0.001.
    for line in [
        "service/warehouse",
        "$12.50",
        "3 x service/spark@3.5.1",
        "$3.00",
        "service/functions@2.9",
        "$1.53",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let plan: serde_json::Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let stage = |name: &str| {
        plan["stages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stage| stage["name"] == name)
            .unwrap()
            .clone()
    };
    let query = stage("query");
    assert_eq!(query["cost_micro_usd"], 12_500_000);
    assert_eq!(query["rate_nano_usd_per_hour"], 0);
    assert_eq!(
        query["usage"],
        serde_json::json!({
            "unit": "tb-scanned", "rate_nano_usd_per_unit": 5_000_000_000_i64, "quantity": 2_500_000_000_000_i64
        })
    );
    assert_eq!(stage("tell")["cost_micro_usd"], 1_530_864);
    assert_eq!(stage("join")["usage"], serde_json::Value::Null);
    // A stage that asks for no service gets none, though one would be the only other offer.
    assert_eq!(stage("own")["instance_type"], "m");
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    assert!(
        sandbox
            .stdout(&["plan", "--catalog", "catalog", "--markdown"], 0)
            .contains("service/warehouse")
    );
    let why = sandbox.stdout(
        &["explain", "plan.json", "query", "--catalog", "catalog"],
        0,
    );
    assert!(why.contains("$12.50 at $5.00 per TB scanned"), "{why}");
    sandbox.stdout(
        &["apply", "plan.json", "--provider", "local", "--stand-ins"],
        0,
    );
    // A plan that says less was paid is refused.
    sandbox.write(
        "cheap.json",
        &sandbox
            .read("plan.json")
            .replace("\"quantity\": 2500000000000", "\"quantity\": 1500000000000"),
    );
    let output = sandbox.run(&["verify", "cheap.json", "--catalog", "catalog"]);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        crate::support::sandbox::stderr(&output)
    );
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("stages.query.usage"), "{text}");
}

#[test]
fn what_cannot_be_had_is_said_at_its_line() {
    let said = |old: &str, new: &str, code: i32| {
        let sandbox = sandbox();
        sandbox.replace("job.toml", old, new);
        let output = sandbox.run(&["plan", "--catalog", "catalog"]);
        let text = crate::support::sandbox::stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    };
    let text = said("spark>=3.5,<4", "sparc>=3.5", 1);
    assert!(
        text.contains("the catalog has no service `sparc`")
            && text.contains("did you mean `spark`?"),
        "{text}"
    );
    let text = said("spark>=3.5,<4", "spark>=3,5", 1);
    assert!(
        text.contains("job.toml:9:21") && text.contains("`5` does not start with one of"),
        "{text}"
    );
    let text = said("spark>=3.5,<4", "spark>=4", 3);
    assert!(
        text.contains("stages.join.needs.service") && text.contains("accept any version"),
        "{text}"
    );
    let text = said(", scans = \"2.5 TB\"", "", 3);
    let says = "help: what is offered is paid by the terabytes that it scans: add `scans = \"1 TB\"` to `needs` (job.toml:3:";
    assert!(text.contains(says), "{text}");
    let text = said(", requests = 7654321", "", 3);
    assert!(
        text.contains("add `requests = 1000000` to `needs` (job.toml:16:"),
        "{text}"
    );
    let text = said("scans = \"2.5 TB\"", "scans = \"2.5\"", 1);
    assert!(text.contains("job.toml:3:"), "{text}");
}

/// Machines of one's own, or a service: whichever costs less.
#[test]
fn alternatives_may_mix_machines_and_services() {
    let sandbox = sandbox();
    sandbox.replace(
        "job.toml",
        "needs = { cpus = 2 }",
        "needs = { any_of = [{ cpus = 2 }, { service = \"spark>=3.5\" }] }",
    );
    let text = sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    assert!(text.contains(" m "), "{text}");
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    sandbox.replace("job.toml", "{ cpus = 2 }, {", "{ cpus = 65 }, {");
    let plan = sandbox.stdout(
        &[
            "plan",
            "--catalog",
            "catalog",
            "--out",
            "plan.json",
            "--json",
        ],
        0,
    );
    assert!(plan.matches("service/spark@3.5").count() > 1, "{plan}");
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
}

/// The shipped services: what a stage may ask for by name, one of each unit of a price among them.
#[test]
fn the_shipped_services_are_planned_and_paid_by_their_units() {
    let sandbox = Sandbox::new();
    let stages: [(&str, &str, &str, &str, i64); 10] = [
        // A medium warehouse of the Enterprise edition: four credits at $3.00, for 1 h and 2 min of
        // boot.
        (
            "warehouse",
            "service = \"snowflake\", instance_types = [\"service/snowflake/enterprise-m\"], places = [\"aws:us-east-1\"]",
            "1 h",
            "service/snowflake/enterprise-m",
            12_400_000,
        ),
        (
            "lake",
            "service = \"databricks\"",
            "2 h",
            "service/databricks/jobs-premium-m5.xlarge",
            600_850,
        ),
        (
            "ray",
            "service = \"ray\", cpus = 4",
            "1 h",
            "service/ray/self-hosted-e2-standard-4",
            138_490,
        ),
        (
            "cluster",
            "service = \"kubernetes\", places = [\"azure:*\"]",
            "57 m",
            "service/kubernetes/aks-d4s_v3",
            292_000,
        ),
        (
            "plane",
            "service = \"kubernetes-control-plane\", places = [\"gcp:europe-west1\"]",
            "58 m",
            "service/kubernetes-control-plane/gke",
            100_000,
        ),
        (
            "events",
            "service = \"kafka\", places = [\"azure:*\"]",
            "57 m",
            "service/kafka/event-hubs-premium",
            1_027_000,
        ),
        (
            "query",
            "service = \"bigquery\", scans = \"1.099511627776 TB\"",
            "9 m",
            "service/bigquery",
            6_250_000,
        ),
        (
            "scan",
            "service = \"athena\", scans = \"2.5 TB\", places = [\"aws:us-east-1\"]",
            "9 m",
            "service/athena",
            12_500_000,
        ),
        (
            "send",
            "service = \"sqs\", requests = 3000000",
            "9 m",
            "service/sqs/standard",
            1_200_000,
        ),
        (
            "call",
            "service = \"aws-lambda\", requests = 3000000",
            "9 m",
            "service/aws-lambda/128mb-100ms",
            1_225_001,
        ),
    ];
    let mut job = "name = \"services\"\n".to_owned();
    for (name, needs, duration, ..) in stages {
        job.push_str(&format!(
            "[stages.{name}]\nneeds = {{ {needs} }}\nduration = \"{duration}\"\n"
        ));
    }
    sandbox.write("job.toml", &job);
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    let plan: serde_json::Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    for (name, _, _, service, cost) in stages {
        let stage = plan["stages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stage| stage["name"] == name)
            .unwrap();
        assert_eq!(
            (&stage["instance_type"], &stage["cost_micro_usd"]),
            (&service.into(), &cost.into()),
            "{name}"
        );
    }
    let usage = |name: &str| {
        let stage = plan["stages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stage| stage["name"] == name)
            .unwrap();
        stage["usage"]["unit"].clone()
    };
    let units = ["ray", "query", "scan", "send"].map(usage);
    assert_eq!(
        units,
        [
            serde_json::Value::Null,
            "tib-scanned".into(),
            "tb-scanned".into(),
            "million-requests".into()
        ]
    );
    sandbox.stdout(&["verify", "plan.json"], 0);
    // The price of a credit is that of the region, and the edition and size are the product.
    let price = |name: &str| sandbox.stdout(&["catalog", "show", name], 0);
    assert!(price("sky:aws:us-east-1:service/snowflake/standard-xs").contains("$2.00/h"));
    assert!(price("sky:gcp:europe-west3:service/snowflake/enterprise-s").contains("$7.80/h"));
}

/// What has no virtual CPUs, no machines and no cards uses none of a quota.
#[test]
fn quotas_do_not_forbid_what_is_serverless() {
    let sandbox = Sandbox::new();
    let job = "name = \"scan\"\n[stages.s]\nneeds = { service = \"athena\", scans = \"2 TB\" }\nduration = \"10 m\"\n";
    sandbox.write("job.toml", job);
    let free = sandbox.stdout(&["plan"], 0);
    for quota in [
        "cpus = 64",
        "instances = 1",
        "accelerators = 1",
        "cpus = 1, instances = 1, accelerators = { V100 = 1 }",
    ] {
        sandbox.write(
            "policy.toml",
            &format!("[quotas]\naws = {{ {quota} }}\n\"aws:*\" = {{ {quota} }}\n"),
        );
        assert_eq!(
            sandbox.stdout(&["plan", "--out", "plan.json"], 0),
            free,
            "{quota}"
        );
        sandbox.stdout(&["verify", "plan.json"], 0);
    }
}
