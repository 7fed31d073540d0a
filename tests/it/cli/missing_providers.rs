//! Clouds that this sky has no provider for: a plan names them, an apply of a job does without.

use crate::execution::apply::place::{ended, wait};
use crate::support::sandbox::Sandbox;
use serde_json::Value;
use std::process::Output;

const PLAN: [&str; 5] = ["plan", "--catalog", "catalog", "--state-dir", "st"];

fn with_path(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox
        .sky(args)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap()
}

/// What is said up to these words. An apply at a host that does not answer would go on for a minute;
/// it is ended then.
fn said_up_to(sandbox: &Sandbox, args: &[&str], words: &str) -> String {
    let said = sandbox.path("said");
    let file = std::fs::File::create(&said).unwrap();
    let mut child = sandbox
        .sky(args)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    wait(words, || {
        std::fs::read_to_string(&said).unwrap().contains(words)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::read_to_string(&said).unwrap()
}

/// A catalog of clouds that no build of sky has a provider for.
fn without_providers() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox
        .write(
            "catalog/catalog.toml",
            "format = 1\n[sources.list]\ndate = \"2026-11-30\"\nabout = \"a list\"\n",
        )
        .write(
            "catalog/places.csv",
            "place,country\nlambda:here,DE\nrunpod:there,DE\n",
        )
        .write(
            "catalog/machines.csv",
            "cloud,instance_type,vcpus,memory_gib,accelerator,count,arch\n\
             lambda,small,2,8,,,x86_64\nrunpod,small,2,8,,,x86_64\n",
        )
        .write(
            "catalog/prices.csv",
            "place,instance_type,on_demand,source\nlambda:here,small,0.1,list\nrunpod:there,small,0.2,list\n",
        )
        .write(
            "job.toml",
            "name = \"j\"\n[stages.s]\nduration = \"1 m\"\nrun = \"true\"\n",
        );
    sandbox
}

#[test]
fn an_apply_of_a_job_is_planned_without_clouds_that_have_no_provider() {
    let sandbox = without_providers();
    let events = sandbox.stdout(&[&PLAN[..], &["--json"]].concat(), 0);
    let first: Value = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .nth(1)
        .unwrap();
    assert_eq!(first["change"]["provider_missing"], "lambda", "{first}");
    assert!(events.contains("this sky has no provider for lambda (stage.s)"));
    let apply = ["apply", "--catalog", "catalog", "--auto-approve"];
    let said = ended(&with_path(&sandbox, &apply), 1);
    assert!(
        said.contains("no plan is possible at the clouds that this sky can use"),
        "{said}"
    );
    assert!(said.contains("--provider local"), "{said}");
    // A dear host is what is left.
    let host = "[hosts.dear]\naddress = \"127.0.0.1\"\nport = 1\ncpus = 4\ntype = \"own\"\nprice = \"$900\"\n";
    sandbox.write(
        "hosts.toml",
        &format!("{host}[network]\negress = \"$0.02\"\ngbps = 1\n"),
    );
    assert!(!sandbox.stdout(&PLAN, 0).contains("ssh:dear"));
    let said = said_up_to(&sandbox, &apply, "ssh:dear");
    assert!(
        said.contains(
            "planned without the clouds that this sky has no provider for: lambda, runpod; "
        ),
        "{said}"
    );
    // A cloud that the policy denies anyway is not missed.
    sandbox.write("policy.toml", "[clouds]\ndeny = [\"runpod\"]\n");
    said_up_to(&sandbox, &apply, "no provider for: lambda; ");
    // A rehearsal takes any cloud.
    let rehearsal = [&apply[..], &["--provider", "local"]].concat();
    let said = ended(&with_path(&sandbox, &rehearsal), 0);
    assert!(
        said.contains("lambda:here") && !said.contains("planned without"),
        "{said}"
    );
}

#[test]
fn clouds_of_the_shipped_catalog_without_a_provider_are_named_with_the_plan_and_the_apply() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nneeds = { places = [\"lambda:*\", \"oci:*\"] }\nduration = \"1 m\"\nrun = \"true\"\n",
    );
    let text = sandbox.stdout(&["plan", "--state-dir", "st"], 0);
    assert!(
        text.contains("Note: this sky has no provider for"),
        "{text}"
    );
    let said = ended(
        &with_path(&sandbox, &["apply", "--auto-approve", "--state-dir", "st"]),
        1,
    );
    assert!(
        said.contains("planned without the clouds that this sky has no provider for: ")
            && said.contains(" more; `sky plan` takes them into account"),
        "{said}"
    );
    assert!(
        said.contains("no plan is possible at the clouds that this sky can use"),
        "{said}"
    );
    assert!(!sandbox.path("st").exists());
}
