//! Stages that ask for services: random requests against an answer that is looked up offer by
//! offer in a table, and one of each kind through every verb.

use crate::support::case::{Case, Random};
use crate::support::sandbox::Sandbox;
use sky::model::Money;
use sky::plan::file;
use sky::planning::solve::Effort;
use sky::planning::{self, NoPlan, Settings};

/// Place, country, within reach of the US CLOUD Act, closed class.
const PLACES: [(&str, &str, bool, &str); 7] = [
    ("a:berlin", "DE", false, ""),
    ("a:paris", "FR", false, ""),
    ("a:texas", "US", true, "us-gov"),
    ("b:dublin", "IE", true, ""),
    ("b:virginia", "US", true, ""),
    ("c:oslo", "NO", false, ""),
    ("c:somewhere", "", true, ""),
];

/// Places, service, version, product, unit, price in micro-USD, vCPUs.
type Row = (
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    i64,
    u64,
);

const OFFERS: [Row; 13] = [
    (
        &["a:berlin", "a:paris"],
        "spark",
        "3.3.2",
        "",
        "hour",
        400_000,
        4,
    ),
    (
        &["a:paris", "a:texas"],
        "spark",
        "3.5",
        "",
        "hour",
        650_000,
        4,
    ),
    (
        &["b:dublin", "b:virginia"],
        "spark",
        "3.5.1",
        "",
        "hour",
        500_000,
        8,
    ),
    (&["b:virginia"], "spark", "4.0", "", "hour", 300_000, 8),
    (
        &["c:oslo", "c:somewhere"],
        "spark",
        "3.4",
        "",
        "hour",
        700_000,
        16,
    ),
    (
        &["c:oslo"],
        "spark",
        "3.4",
        "by-scan",
        "tb-scanned",
        2_000_000,
        0,
    ),
    (
        &["a:berlin"],
        "warehouse",
        "",
        "",
        "tib-scanned",
        6_000_000,
        0,
    ),
    (
        &["b:dublin", "b:virginia"],
        "warehouse",
        "",
        "",
        "tb-scanned",
        5_000_000,
        0,
    ),
    (
        &["c:somewhere"],
        "warehouse",
        "",
        "",
        "tb-scanned",
        1_000_000,
        0,
    ),
    (
        &["a:paris", "a:berlin"],
        "functions",
        "2.10",
        "",
        "million-requests",
        250_000,
        0,
    ),
    (
        &["b:virginia", "b:dublin"],
        "functions",
        "2.9",
        "",
        "million-requests",
        200_000,
        0,
    ),
    (
        &["c:oslo"],
        "functions",
        "3.0.1",
        "",
        "million-requests",
        900_000,
        0,
    ),
    (
        &["c:oslo"],
        "functions",
        "3.0.1",
        "reserved",
        "hour",
        100_000,
        2,
    ),
];

fn case() -> Case {
    let place = |(name, country, reach, class): &(&str, &str, bool, &str)| {
        format!(
            "{name},{country},{},{class}",
            if *reach { "yes" } else { "no" }
        )
    };
    let offer = |(places, service, version, product, unit, price, vcpus): &Row| {
        let price = format!("{}.{:06}", price / 1_000_000, price % 1_000_000);
        let vcpus = if *vcpus == 0 {
            String::new()
        } else {
            vcpus.to_string()
        };
        format!(
            "{},{service},{version},{product},{unit},{price},{vcpus},s",
            places.join(";")
        )
    };
    let machines = ["a", "b", "c"].map(|cloud| format!("{cloud},m,64,256"));
    let prices = PLACES.map(|(place, ..)| format!("{place},m,0.001,s"));
    Case {
        catalog: vec![
            (
                "places.csv",
                "place,country,us_cloud_act,class",
                PLACES.iter().map(place).collect(),
            ),
            (
                "services.csv",
                "places,service,version,product,unit,price,vcpus,source",
                OFFERS.iter().map(offer).collect(),
            ),
            (
                "machines.csv",
                "cloud,instance_type,vcpus,memory_gib",
                machines.to_vec(),
            ),
            (
                "prices.csv",
                "place,instance_type,on_demand,source",
                prices.to_vec(),
            ),
        ],
        job: Vec::new(),
        policy: String::new(),
    }
}

/// What is asked for.
#[derive(Debug)]
struct Asked {
    service: &'static str,
    /// Sign and numbers; all must hold.
    bounds: Vec<(&'static str, Vec<u64>)>,
    hours: u64,
    nodes: u64,
    scans_gb: u64,
    requests: u64,
    cpus: u64,
    places: Option<&'static str>,
    countries: Option<&'static [&'static str]>,
    no_cloud_act: bool,
    deny: Option<&'static str>,
    government: bool,
    trust: bool,
    budget_cents: Option<u64>,
}

fn asked(random: &mut Random) -> Asked {
    let service = *random.pick(&["spark", "spark", "warehouse", "functions"]);
    let versions: &[&[u64]] = match service {
        "functions" => &[&[2], &[2, 9], &[2, 10], &[3, 0], &[3, 0, 1], &[9]],
        _ => &[
            &[3],
            &[3, 3],
            &[3, 4],
            &[3, 5],
            &[3, 5, 0],
            &[3, 5, 1],
            &[4],
            &[4, 1],
        ],
    };
    let count = random
        .below(3)
        .min(random.below(3) + u64::from(service == "spark"));
    let bounds = (0..count).map(|_| {
        (
            *random.pick(&[">=", ">=", ">", "<", "<=", "=", "^", "~"]),
            random.pick(versions).to_vec(),
        )
    });
    Asked {
        service,
        bounds: bounds.collect(),
        hours: 1 + random.below(20),
        nodes: 1 + random.below(4),
        scans_gb: *random.pick(&[0, 1, 3, 77, 500, 12_345]),
        requests: *random.pick(&[0, 1_000_000, 7_654_321]),
        cpus: *random.pick(&[0, 0, 0, 0, 0, 4, 8, 32]),
        places: *random.pick(&[
            None,
            None,
            None,
            Some("a:*"),
            Some("*:*o*"),
            Some("b:dublin"),
        ]),
        countries: *random.pick(&[
            None,
            None,
            Some(&["DE", "FR", "IE"] as &[&str]),
            Some(&["NO"]),
            Some(&["US", "DE"]),
        ]),
        no_cloud_act: random.chance(15),
        deny: *random.pick(&[None, None, None, None, Some("a"), Some("b"), Some("c")]),
        government: random.chance(20),
        trust: random.chance(4),
        budget_cents: random.chance(15).then(|| 1 + random.below(800)),
    }
}

impl Asked {
    fn job(&self) -> Vec<String> {
        let bounds: Vec<String> = self
            .bounds
            .iter()
            .map(|(sign, numbers)| {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                format!("{sign}{}", numbers.join("."))
            })
            .collect();
        let mut needs = vec![format!(
            "service = \"{}{}\"",
            self.service,
            bounds.join(",")
        )];
        if self.scans_gb > 0 {
            needs.push(format!("scans = \"{} GB\"", self.scans_gb));
        }
        if self.requests > 0 {
            needs.push(format!("requests = {}", self.requests));
        }
        if self.cpus > 0 {
            needs.push(format!("cpus = {}", self.cpus));
        }
        needs.extend(self.places.map(|places| format!("places = [\"{places}\"]")));
        let (needs, hours, nodes) = (needs.join(", "), self.hours, self.nodes);
        vec![format!(
            "[stages.s]\nneeds = {{ {needs} }}\nduration = \"{hours} h\"\nnodes = {nodes}\n"
        )]
    }

    fn policy(&self) -> String {
        let mut text = String::new();
        if let Some(countries) = self.countries {
            text += &format!(
                "[residency]\ndefault = [\"{}\"]\n",
                countries.join("\", \"")
            );
        }
        if self.no_cloud_act {
            text += "[operators]\nus_cloud_act = \"exclude\"\n";
        }
        if let Some(cloud) = self.deny {
            text += &format!("[clouds]\ndeny = [\"{cloud}\"]\n");
        }
        if self.government {
            text += "[partitions]\nallow = [\"us-gov\"]\n";
        }
        if self.trust {
            text += "[trust]\ndefault = [\"sgx\"]\n";
        }
        if let Some(cents) = self.budget_cents {
            text += &format!(
                "[limits]\nbudget = \"${}.{:02}\"\n",
                cents / 100,
                cents % 100
            );
        }
        text
    }

    /// What each offer at each place would cost, of those that do, in micro-USD.
    fn answers(&self) -> Vec<(String, String, i64)> {
        let mut answers = Vec::new();
        for (places, service, version, product, unit, price, vcpus) in OFFERS {
            let numbers: Vec<u64> = version
                .split('.')
                .filter_map(|number| number.parse().ok())
                .collect();
            let version_will_do = self
                .bounds
                .iter()
                .all(|(sign, bound)| !numbers.is_empty() && holds(&numbers, sign, bound));
            // Whole amounts come out here: to the nearest, the even one of two.
            let cost = match unit {
                "hour" => Some(price * (self.hours * self.nodes) as i64),
                "tb-scanned" if self.scans_gb > 0 => {
                    Some(nearest(price * self.scans_gb as i64, 1000))
                }
                "tib-scanned" if self.scans_gb > 0 => {
                    let cost = i128::from(price) * i128::from(self.scans_gb) * 1_000_000_000;
                    Some(((cost * 2 + (1 << 40)) / (1 << 41)) as i64)
                }
                "million-requests" if self.requests > 0 => {
                    Some(nearest(price * self.requests as i64, 1_000_000))
                }
                _ => None,
            };
            let Some(cost) =
                cost.filter(|_| service == self.service && version_will_do && vcpus >= self.cpus)
            else {
                continue;
            };
            for place in places {
                let (_, country, reach, class) =
                    PLACES.iter().find(|(name, ..)| name == place).unwrap();
                let wanted = match self.places {
                    None => true,
                    Some("a:*") => place.starts_with("a:"),
                    Some("*:*o*") => place.split(':').nth(1).unwrap().contains('o'),
                    Some(name) => name == *place,
                };
                let allowed = self.countries.is_none_or(|list| list.contains(country))
                    && !(self.no_cloud_act && *reach)
                    && !self.deny.is_some_and(|cloud| place.starts_with(cloud))
                    && (class.is_empty() || self.government)
                    && !self.trust
                    && self
                        .budget_cents
                        .is_none_or(|cents| cost <= cents as i64 * 10_000);
                if wanted && allowed {
                    let at = if version.is_empty() {
                        String::new()
                    } else {
                        format!("@{version}")
                    };
                    let product = if product.is_empty() {
                        String::new()
                    } else {
                        format!("/{product}")
                    };
                    answers.push((
                        (*place).to_owned(),
                        format!("service/{service}{at}{product}"),
                        cost,
                    ));
                }
            }
        }
        answers
    }
}

fn nearest(value: i64, per: i64) -> i64 {
    let (whole, rest) = (value / per, value % per);
    if rest * 2 > per || (rest * 2 == per && whole % 2 == 1) {
        whole + 1
    } else {
        whole
    }
}

/// Compares number by number, as far as the bound goes.
fn holds(version: &[u64], sign: &str, bound: &[u64]) -> bool {
    let cut: Vec<u64> = (0..bound.len())
        .map(|index| version.get(index).copied().unwrap_or(0))
        .collect();
    match sign {
        ">=" => cut.as_slice() >= bound,
        ">" => cut.as_slice() > bound,
        "<" => cut.as_slice() < bound,
        "<=" => cut.as_slice() <= bound,
        "=" => cut == bound,
        "^" => cut.as_slice() >= bound && cut[0] == bound[0],
        _ => cut.as_slice() >= bound && cut[..bound.len().min(2)] == bound[..bound.len().min(2)],
    }
}

#[test]
fn a_thousand_random_requests() {
    let (mut planned, mut refused) = (0, 0);
    let catalog = case().catalog();
    for number in 0..1000 {
        let asked = asked(&mut Random(number * 7919 + 5));
        let case = Case {
            job: asked.job(),
            policy: asked.policy(),
            ..case()
        };
        let (job, policy) = (case.job(), case.policy());
        let answers = asked.answers();
        let settings = Settings {
            effort: Effort::default(),
            compare: false,
        };
        match planning::plan(&job, &policy, &catalog, &settings) {
            Ok(plan) => {
                planned += 1;
                let stage = &plan.stages[0];
                let taken = (
                    stage.place.to_string(),
                    stage.instance_type.clone(),
                    stage.cost_micro_usd.0,
                );
                assert!(
                    answers.contains(&taken),
                    "{number}: {taken:?} is none of {answers:?}\n{asked:?}"
                );
                let least = answers.iter().map(|(_, _, cost)| *cost).min().unwrap();
                assert_eq!(
                    plan.totals.cost_micro_usd,
                    Money(least),
                    "{number}: {asked:?}"
                );
                let text = file::encode(&plan).unwrap();
                assert_eq!(
                    planning::verify(&plan, &text, &job, &policy, &catalog),
                    [],
                    "{number}: {asked:?}"
                );
            }
            Err(NoPlan::Refused(_) | NoPlan::Infeasible(_)) => {
                refused += 1;
                assert!(
                    answers.is_empty(),
                    "{number}: there is {answers:?}\n{asked:?}"
                );
            }
            Err(other) => panic!("{number}: {other:?}"),
        }
    }
    assert!(
        planned > 250 && refused > 250,
        "{planned} planned, {refused} refused"
    );
}

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
