//! `sky.lock`: plans are made from the catalog that it pins, and from no other one.

use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;
use std::process::Output;

const LOCK: [&str; 4] = ["catalog", "lock", "--catalog", "catalog"];

fn locked() -> Sandbox {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&LOCK, 0);
    sandbox
}

/// With a cache folder, so that catalogs that were pinned are kept.
fn cached(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox
        .sky(args)
        .env("XDG_CACHE_HOME", sandbox.path("cache"))
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_lock_is_small_and_the_same_for_equal_catalogs() {
    let sandbox = locked();
    let text = sandbox.read("sky.lock");
    assert!(text.starts_with('#') && text.lines().count() < 20, "{text}");
    for word in [
        "version = 1",
        "at = \"./catalog\"",
        "date = \"2024-11-03\"",
        "[sources.bert-2022-11]",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(
        !text.contains(&sandbox.path("").display().to_string()),
        "no path of this machine: {text}"
    );
    // Rows in another order are the same catalog.
    let prices = sandbox.read("catalog/prices.csv");
    let (header, rows) = prices.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.reverse();
    sandbox.write(
        "catalog/prices.csv",
        &format!("{header}\n{}\n", rows.join("\n")),
    );
    sandbox.stdout(&["catalog", "lock", "--check"], 0);
    sandbox.stdout(&["catalog", "lock"], 0);
    assert_eq!(sandbox.read("sky.lock"), text);
}

#[test]
fn plan_takes_the_catalog_that_is_pinned() {
    let sandbox = locked();
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let digest = plan["inputs"]["catalog"].as_str().unwrap();
    assert!(
        sandbox.read("sky.lock").contains(digest),
        "the pinned catalog, not the built-in one"
    );
    for verb in [
        &["explain", "plan.json"][..],
        &["verify", "plan.json"],
        &["frontier"],
        &["plan", "--locked"],
    ] {
        sandbox.stdout(verb, 0);
    }
    assert!(sandbox.stdout(&["catalog", "show"], 0).contains(digest));
    // The lock of a folder is of that folder only.
    sandbox.write("elsewhere/job.toml", &sandbox.read("job.toml"));
    sandbox.stdout(&["--chdir", "elsewhere", "plan"], 0);
    assert_eq!(
        sandbox
            .run(&["--chdir", "elsewhere", "plan", "--locked"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn another_catalog_than_the_pinned_one_is_refused() {
    let sandbox = locked();
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    sandbox.replace("catalog/prices.csv", "0.228", "0.229");
    for verb in [
        &["plan"][..],
        &["plan", "--locked"],
        &["frontier"],
        &["explain"],
        &["explain", "plan.json"],
        &["verify", "plan.json"],
        &["apply", "job.toml", "--auto-approve", "--provider", "local"],
        &["plan", "--locked", "--catalog", "catalog"],
    ] {
        let refused = sandbox.run(verb);
        assert_eq!(refused.status.code(), Some(5), "{verb:?}");
        let said = stderr(&refused);
        for word in [
            "sky.lock",
            "bert-2024-11 (2024-11-03) has other figures",
            "sky catalog lock",
            "sky catalog diff",
        ] {
            assert!(said.contains(word), "{verb:?}: {word} in {said}");
        }
    }
    // A catalog that is named is meant.
    let named = sandbox.run(&["plan", "--catalog", "catalog"]);
    assert_eq!(named.status.code(), Some(0));
    assert!(
        stderr(&named)
            .contains("warning: catalog is used, which is not the catalog that sky.lock pins")
    );
    assert_eq!(
        sandbox
            .sky(&["plan"])
            .env("SKY_CATALOG", "catalog")
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    // What is shown is what there is, with a warning.
    let shown = sandbox.run(&["catalog", "show", "inf1.xlarge"]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("0.229"));
    assert!(
        stderr(&shown).contains("warning: this is not the catalog that sky.lock pins any more")
    );
    sandbox.stdout(&["catalog", "lock", "--check"], 2);
    assert!(
        sandbox
            .stdout(&["catalog", "lock"], 0)
            .contains("bert-2024-11 (2024-11-03) has other figures")
    );
    sandbox.stdout(&["plan"], 0);
    let stale = sandbox.run(&["apply", "--locked", "plan.json"]);
    assert_eq!(stale.status.code(), Some(5), "{}", stderr(&stale));
}

#[test]
fn a_missing_or_broken_lock_names_the_way_out() {
    let sandbox = Sandbox::bert();
    let missing = sandbox.run(&["plan", "--locked", "--catalog", "catalog"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("there is no sky.lock here")
            && stderr(&missing).contains("sky catalog lock")
    );
    sandbox.stdout(&["catalog", "lock", "--check"], 2);
    sandbox.write("sky.lock", "<<<<<<< HEAD\n");
    let broken = sandbox.run(&["plan"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        stderr(&broken).contains("error: sky.lock:1: ")
            && stderr(&broken).contains("sky catalog lock")
    );
    let again = sandbox.run(&LOCK);
    assert_eq!(again.status.code(), Some(0));
    assert!(
        stderr(&again).contains("it is written anew"),
        "{}",
        stderr(&again)
    );
    std::fs::rename(sandbox.path("catalog"), sandbox.path("other")).unwrap();
    let gone = sandbox.run(&["plan"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        stderr(&gone).contains("sky.lock pins the catalog in ./catalog, and there is none"),
        "{}",
        stderr(&gone)
    );
    sandbox.stdout(&["catalog", "lock", "--built-in"], 0);
    assert!(sandbox.read("sky.lock").contains("at = \"built-in\""));
    sandbox.stdout(&["plan", "--locked"], 0);
}

#[test]
fn diff_shows_what_changed_in_price_and_which_plans_it_touches() {
    let sandbox = Sandbox::bert();
    assert!(cached(&sandbox, &LOCK).status.success());
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    sandbox.write("other.json", "{\"no\": \"plan\"}");
    let same = cached(&sandbox, &["catalog", "diff", "--detailed-exitcode"]);
    assert_eq!(same.status.code(), Some(0));
    let text = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(
        text.contains("The catalogs are the same.") && text.contains("plan.json: not touched"),
        "{text}"
    );
    // Doubled, so that the cost of the stage is doubled; one price less, one more.
    sandbox.replace("catalog/prices.csv", "0.228", "0.456");
    sandbox.replace(
        "catalog/prices.csv",
        "azure:eastus,Standard_NC24s_v3,12.24,",
        "azure:westus,Standard_NC24s_v3,12.24,",
    );
    sandbox.replace(
        "catalog/places.csv",
        "azure:eastus,US",
        "azure:westus,US,,Microsoft,yes\nazure:eastus,US",
    );
    sandbox.replace("catalog/egress.csv", "0.12", "0.24");
    let changed = cached(
        &sandbox,
        &[
            "catalog",
            "diff",
            "--detailed-exitcode",
            "--json",
            "--plans",
            "plan.json",
        ],
    );
    assert_eq!(changed.status.code(), Some(2), "{}", stderr(&changed));
    let value = json(&changed);
    assert_eq!(
        (&value["prices_compared"], &value["same"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    let aws = &value["clouds"]["aws"];
    assert_eq!(
        (aws["risen"].as_i64(), aws["fallen"].as_i64()),
        (Some(1), Some(0))
    );
    let azure = &value["clouds"]["azure"];
    assert_eq!(
        (azure["new"].as_i64(), azure["gone"].as_i64()),
        (Some(1), Some(1))
    );
    assert_eq!(value["changes"][0]["change_ppm"], 1_000_000);
    assert_eq!(value["changes"][0]["new_nano_usd_per_hour"], 456_000_000);
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let stages = plan["stages"].as_array().unwrap();
    let serve = stages
        .iter()
        .find(|stage| stage["name"] == "serve")
        .unwrap();
    let touched = &value["plans"][0];
    assert_eq!(touched["stages"].as_array().unwrap().len(), 1);
    assert_eq!(
        touched["stages"][0]["difference_micro_usd"], serve["cost_micro_usd"],
        "twice the price"
    );
    let copy = plan["transfers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|copy| copy["artifact"] == "train.model")
        .unwrap();
    assert_eq!(
        touched["transfers"][0]["difference_micro_usd"],
        copy["cost_micro_usd"]
    );
    let all = serve["cost_micro_usd"].as_i64().unwrap() + copy["cost_micro_usd"].as_i64().unwrap();
    assert_eq!(touched["difference_micro_usd"], all);
    let text = String::from_utf8(cached(&sandbox, &["catalog", "diff"]).stdout).unwrap();
    for line in [
        "gone",
        "new",
        "+100 %",
        "serve at aws:us-east-1: inf1.xlarge $0.228/h -> $0.456/h, +$0.25",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    // Two folders, and the built-in one.
    assert_eq!(
        cached(
            &sandbox,
            &[
                "catalog",
                "diff",
                "built-in",
                "catalog",
                "--detailed-exitcode"
            ]
        )
        .status
        .code(),
        Some(2)
    );
    assert_eq!(
        cached(
            &sandbox,
            &[
                "catalog",
                "diff",
                "catalog",
                "catalog",
                "--detailed-exitcode"
            ]
        )
        .status
        .code(),
        Some(0)
    );
    let unknown = cached(&sandbox, &["catalog", "diff", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("there is no catalog nowhere"));
}

#[test]
fn without_the_pinned_catalog_sources_are_compared() {
    // No HOME and no cache folder: nothing is kept.
    let sandbox = locked();
    sandbox.replace("catalog/prices.csv", "0.228", "0.229");
    let found = sandbox.run(&["catalog", "diff", "--detailed-exitcode"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&found.stdout)
            .contains("bert-2024-11 (2024-11-03) has other figures")
    );
    assert!(stderr(&found).contains("prices cannot be compared"));
}

#[test]
fn check_reports_what_cannot_be_meant() {
    let sandbox = Sandbox::bert();
    let check = ["catalog", "check", "--catalog", "catalog"];
    assert!(sandbox.stdout(&check, 0).contains("nothing suspicious"));
    let prices = sandbox.read("catalog/prices.csv");
    // Sixteen GPUs for two cents, a spot price above its price on demand.
    sandbox.write("catalog/prices.csv", &prices.replace("12.24", "0.02"));
    let text = sandbox.stdout(&check, 2);
    for word in [
        "price-too-low",
        "Standard_NC24s_v3",
        "$0.005 for one V100",
        "catalog/prices.csv:",
        "1 suspicious price",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let value: Value =
        serde_json::from_str(&sandbox.stdout(&[&check[..], &["--json"]].concat(), 2)).unwrap();
    assert_eq!(
        (&value["suspicious"], &value["findings"][0]["kind"]),
        (&1.into(), &"price-too-low".into())
    );
    assert_eq!(value["findings"][0]["name"], "azure:eastus");
    let at = value["findings"][0]["at"].as_str().unwrap();
    let line: usize = at.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(
        sandbox
            .read("catalog/prices.csv")
            .lines()
            .nth(line - 1)
            .unwrap()
            .contains("Standard_NC24s_v3"),
        "{at}"
    );
    // What cannot be read at all is an error.
    sandbox.write("catalog/prices.csv", &prices.replace("12.24", "-12.24"));
    sandbox.stdout(&check, 1);
}

#[test]
fn policies_bind_operators_owners_and_certifications() {
    let sandbox = Sandbox::bert();
    std::fs::remove_dir_all(sandbox.path("catalog")).unwrap();
    sandbox.write(
        "job.toml",
        "name = \"one\"\n[stages.run]\nneeds = { cpus = 2 }\nduration = \"1 h\"\n",
    );
    let places = |policy: &str| {
        sandbox.write("policy.toml", policy);
        sandbox.stdout(&["plan", "--out", "plan.json"], 0);
        let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
        plan["stages"][0]["place"].as_str().unwrap().to_owned()
    };
    assert!(
        places("[operators]\nparents = [\"EU\"]\n").starts_with("ovh:"),
        "or scaleway: both are French"
    );
    assert!(places("[operators]\nallow = [\"IBM*\"]\n").starts_with("ibm:"));
    let certified = places(
        "[certifications]\ndefault = [\"c5\"]\n[operators]\ndeny = [\"Amazon*\", \"Alphabet*\"]\n",
    );
    assert!(certified.starts_with("azure:"), "{certified}");
    // Nobody who rents machines here is known to be qualified by it.
    sandbox.write(
        "policy.toml",
        "[certifications]\ndefault = [\"SecNumCloud\"]\n",
    );
    let none = sandbox.run(&["plan"]);
    assert_eq!(none.status.code(), Some(3));
    assert!(
        stderr(&none).contains("certifications.default"),
        "{}",
        stderr(&none)
    );
    assert!(
        sandbox
            .stdout(&["catalog", "show", "aws:eu-central-1"], 0)
            .contains("certified       c5")
    );
}
