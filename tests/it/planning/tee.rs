//! Trusted execution environments: a plan says which one a machine must run with, for each stage
//! that needs or policy demand one for, and for each of its alternatives.

use crate::planning::europe::{self, job, policy};
use sky::catalog::Catalog;
use sky::model::{Job, Policy, Tee};
use sky::plan::{Plan, file};
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};

/// `read` reads personal data; `free` reads nothing.
const JOB: &str = r#"
name = "job"
[datasets.people]
at = "aws:eu-west-1"
size = "1 GB"
labels = ["personal"]
[stages.read]
reads = ["people"]
duration = "1 h"
NEEDS
[stages.free]
duration = "1 h"
"#;

fn with_needs(needs: &str) -> Job {
    job(&JOB.replace("NEEDS", needs))
}

/// AWS's confidential machines have two environments, Azure's and Outscale's one.
fn catalog() -> Catalog {
    let mut case = europe::case();
    let (_, _, rows) = case
        .catalog
        .iter_mut()
        .find(|(name, ..)| *name == "confidential.csv")
        .unwrap();
    rows.push("aws,secret,sev-snp,*,s".to_owned());
    case.catalog()
}

fn plan(job: &Job, policy: &Policy, catalog: &Catalog) -> Option<Plan> {
    planning::plan(
        job,
        policy,
        catalog,
        &Settings {
            effort: Effort::default(),
            compare: false,
        },
    )
    .ok()
}

/// What the machines of the stage that reads personal data must run with: as planned, then its
/// alternatives, each after its cloud.
fn demanded(needs: &str, trust: &str) -> Option<Vec<(String, Option<Tee>)>> {
    let (job, policy, catalog) = (with_needs(needs), policy(trust), catalog());
    let plan = plan(&job, &policy, &catalog)?;
    let text = file::encode(&plan).unwrap();
    assert_eq!(planning::verify(&plan, &text, &job, &policy, &catalog), []);
    let of = |name: &str| plan.stages.iter().find(|stage| stage.name == name).unwrap();
    // What demands nothing says nothing.
    let free = of("free");
    assert!(free.tee.is_none() && free.alternatives.iter().all(|other| other.tee.is_none()));
    let read = of("read");
    assert_eq!(
        text.matches("\"tee\"").count(),
        read.alternatives.iter().filter_map(|one| one.tee).count()
            + usize::from(read.tee.is_some())
    );
    let others = read
        .alternatives
        .iter()
        .map(|other| (other.place.cloud.clone(), other.tee));
    Some(
        std::iter::once((read.place.cloud.clone(), read.tee))
            .chain(others)
            .collect(),
    )
}

#[test]
fn plans_say_what_machines_must_run_with() {
    // Nobody demands anything, although the machines have it.
    let none = demanded("needs = { instance_types = [\"secret\"] }", "").unwrap();
    assert!(
        none.len() > 1 && none.iter().all(|(_, tee)| tee.is_none()),
        "{none:?}"
    );
    for (needs, trust) in [
        ("", "[trust]\npersonal = [\"sev-snp\", \"tdx\"]"),
        ("needs = { tee = [\"tdx\", \"sev-snp\"] }", ""),
        (
            "needs = { tee = [\"tdx\", \"sev-snp\", \"nitro-enclave\"] }",
            "[trust]\npersonal = [\"sev-snp\", \"tdx\"]",
        ),
        (
            "needs = { any_of = [{ tee = [\"sev-snp\"] }, { tee = [\"tdx\"] }] }",
            "",
        ),
    ] {
        let all = demanded(needs, trust).unwrap();
        assert!(all.len() > 1, "{all:?}");
        for (cloud, tee) in all {
            // Of two that a machine has, the one that is accepted.
            let expected = if cloud == "outscale" {
                Tee::Tdx
            } else {
                Tee::SevSnp
            };
            assert_eq!(tee, Some(expected), "{needs} {trust} {cloud}");
        }
    }
    let enclaves = demanded("needs = { tee = [\"nitro-enclave\"] }", "").unwrap();
    assert!(
        enclaves
            .iter()
            .all(|one| *one == ("aws".to_owned(), Some(Tee::NitroEnclave))),
        "{enclaves:?}"
    );
}

#[test]
fn a_machine_runs_with_one_environment_that_all_accept() {
    // The machine has both, but runs with one of them.
    assert_eq!(
        demanded(
            "needs = { tee = [\"nitro-enclave\"] }",
            "[trust]\npersonal = [\"sev-snp\"]"
        ),
        None
    );
    assert_eq!(
        demanded(
            "",
            "[trust]\npersonal = [\"sev-snp\"]\ndefault = [\"nitro-enclave\"]"
        ),
        None
    );
    let needs = "needs = { any_of = [{ tee = [\"nitro-enclave\"] }, { tee = [\"sev-snp\"] }] }";
    let all = demanded(needs, "[trust]\npersonal = [\"sev-snp\"]").unwrap();
    assert!(
        all.iter().all(|(_, tee)| *tee == Some(Tee::SevSnp)),
        "{all:?}"
    );
    // One of two ways to meet the needs demands none, and is the second: the first is met where it
    // can be.
    let all = demanded(
        "needs = { any_of = [{ tee = [\"tdx\"] }, { instance_types = [\"secret\"] }] }",
        "",
    )
    .unwrap();
    assert!(
        all.iter()
            .all(|(cloud, tee)| *tee == (cloud == "outscale").then_some(Tee::Tdx)),
        "{all:?}"
    );
}

#[test]
fn a_plan_that_demands_less_is_refused() {
    let (job, policy, catalog) = (
        with_needs(""),
        policy("[trust]\npersonal = [\"sev-snp\"]"),
        catalog(),
    );
    let right = plan(&job, &policy, &catalog).unwrap();
    let mut place = right.clone();
    let mut with_alternatives = right.clone();
    for (stage, other) in place
        .stages
        .iter_mut()
        .zip(&mut with_alternatives.stages)
        .filter(|(stage, _)| stage.name == "read")
    {
        stage.tee = None;
        other.alternatives[0].tee = Some(Tee::Sev);
    }
    for (plan, at) in [
        (place, "stages.read.tee"),
        (with_alternatives, "stages.read.alternatives.0.tee"),
    ] {
        // Also by somebody who signs it anew.
        let digest = file::self_digest(&plan).unwrap();
        let plan = Plan {
            digest: Some(digest),
            ..plan
        };
        let found = planning::verify(
            &plan,
            &file::encode(&plan).unwrap(),
            &job,
            &policy,
            &catalog,
        );
        assert!(
            found.iter().any(|difference| difference.at == at),
            "{found:?}"
        );
    }
}
