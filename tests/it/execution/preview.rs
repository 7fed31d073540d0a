//! What a preview says is what the apply does: content by digest, states of rehearsals, clouds
//! without a provider.

use crate::execution::apply::place::{Place, Row, dataset, ended, plan};
use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;
use sky::model::PlaceName;
use sky::plan::file;
use std::path::Path;
use std::process::Output;

const JOB: &str = r#"name = "words"
[datasets.words]
at = "azure:eastus"
path = "data/words"
size = "1 kB"
[stages.sort]
reads = ["words"]
writes = { sorted = "1 kB" }
files = ["sort.sh"]
duration = "1 m"
run = "sh sort.sh"
[stages.count]
reads = ["sort.sorted"]
writes = { counts = "1 kB" }
duration = "1 m"
run = 'uniq -c "$SKY_INPUTS/sorted" > "$SKY_OUTPUTS/counts"'
"#;
const SORT: &str = "sort \"$SKY_INPUTS/words\" > \"$SKY_OUTPUTS/sorted\"\n";

/// A job over a dataset and a script, planned on the BERT catalog and run on this machine.
fn words() -> Sandbox {
    let sandbox = Sandbox::bert();
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    sandbox
        .write("data/words", "sky\nblue\nsky\n")
        .write("sort.sh", SORT)
        .write("job.toml", JOB);
    sandbox
}

fn with_path(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox
        .sky(args)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap()
}

const PLAN: [&str; 5] = ["plan", "--catalog", "catalog", "--state-dir", "st"];

fn applied(sandbox: &Sandbox) -> String {
    ended(
        &sandbox.run(&[&PLAN[..], &["--out", "plan.json"]].concat()),
        0,
    );
    ended(
        &with_path(
            sandbox,
            &[
                "apply",
                "plan.json",
                "--provider",
                "local",
                "--state-dir",
                "st",
            ],
        ),
        0,
    )
}

#[test]
fn changed_data_and_scripts_are_changes_in_every_preview_and_in_the_apply() {
    let sandbox = words();
    applied(&sandbox);
    let detailed = [&PLAN[..], &["--detailed-exitcode"]].concat();
    let check = [&PLAN[..], &["--check", "plan.json"]].concat();
    assert!(sandbox.stdout(&detailed, 0).contains("No changes."));
    sandbox.stdout(&check, 0);
    // The same words in another order: the reader of what is sorted has nothing to do.
    sandbox.write("data/words", "blue\nsky\nsky\n");
    let said = sandbox.stdout(&detailed, 2);
    assert!(
        said.contains("Plan: 0 to add, 2 to change, 0 to destroy."),
        "{said}"
    );
    assert!(
        said.contains("1 run only if what they read comes out different"),
        "{said}"
    );
    let said = ended(&sandbox.run(&check), 2);
    assert!(
        said.contains("the content of dataset `words` changed") && !said.contains("sort.sh"),
        "{said}"
    );
    // A plan file that was made for other content says so when it is applied.
    let said = ended(
        &with_path(
            &sandbox,
            &[
                "apply",
                "plan.json",
                "--provider",
                "local",
                "--state-dir",
                "st",
            ],
        ),
        0,
    );
    assert!(
        said.contains("dataset `words` has other content than when the plan was made"),
        "{said}"
    );
    assert!(said.contains("Apply: 1 done, 1 unchanged"), "{said}");
    assert!(sandbox.stdout(&detailed, 0).contains("No changes."));
    ended(
        &sandbox.run(&[&PLAN[..], &["--out", "plan.json"]].concat()),
        0,
    );
    // A script counts like data, and so does whether it can be executed.
    sandbox.write("sort.sh", &format!("# changed\n{SORT}"));
    assert!(sandbox.stdout(&detailed, 2).contains("2 to change"));
    assert!(ended(&sandbox.run(&check), 2).contains("the content of file `sort.sh` changed"));
    let events = sandbox.stdout(&[&PLAN[..], &["--json"]].concat(), 0);
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let changes: Vec<(&Value, &Value)> = events
        .iter()
        .filter(|event| event["type"] == "planned_change")
        .map(|event| (&event["change"]["action"], &event["change"]["reason"]))
        .collect();
    let mut words: Vec<&str> = changes
        .iter()
        .map(|(_, reason)| reason.as_str().unwrap())
        .collect();
    words.sort_unstable();
    assert!(
        changes.iter().all(|(action, _)| **action == "update"),
        "{changes:?}"
    );
    assert_eq!(words, ["content_changed", "inputs_run_again"]);
    assert_eq!(events.last().unwrap()["changes"]["change"], 2);
    // Without digests nothing of that is seen, as the option says.
    assert!(
        sandbox
            .stdout(&[&detailed[..], &["--no-digests"]].concat(), 0)
            .contains("No changes.")
    );
}

#[test]
fn a_plan_names_content_by_digest_and_nothing_else_of_the_machine() {
    let (here, there) = (words(), words());
    std::fs::rename(there.path("data"), there.path("elsewhere")).unwrap();
    let plan = |sandbox: &Sandbox, more: &[&str]| {
        ended(
            &sandbox.run(&[&PLAN[..], &["--out", "plan.json"], more].concat()),
            0,
        );
        file::read(&sandbox.path("plan.json")).unwrap()
    };
    let named = plan(&here, &[]);
    let words = &named.contents.datasets["words"];
    assert_eq!(
        (words.bytes.0, words.digest.len()),
        (13, "sha256:".len() + 64)
    );
    assert!(named.contents.files.contains_key("sort.sh"));
    assert!(
        !here
            .read("plan.json")
            .contains(&here.path("").display().to_string())
    );
    // A machine that lacks the data names none; where it is does not matter.
    assert!(plan(&there, &[]).contents.datasets.is_empty());
    assert_eq!(plan(&there, &["--data", "words=elsewhere/words"]), named);
    assert_eq!(there.read("plan.json"), here.read("plan.json"));
    let said = ended(&there.run(&[&PLAN[..], &["--data", "wrods=x"]].concat()), 1);
    assert!(
        said.contains("the job has no dataset `wrods`; its datasets: words"),
        "{said}"
    );
    // What a machine lacks is not compared, neither with a plan nor with a state.
    there.stdout(&[&PLAN[..], &["--check", "plan.json"]].concat(), 0);
    there.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    here.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    here.write("sort.sh", "true\n");
    let said = ended(
        &here.run(&["verify", "plan.json", "--catalog", "catalog"]),
        5,
    );
    assert!(
        said.contains("was made for other content of file `sort.sh`"),
        "{said}"
    );
}

#[test]
fn data_that_is_not_here_is_not_compared_with_the_state_and_that_is_said() {
    let sandbox = words();
    applied(&sandbox);
    std::fs::rename(sandbox.path("data"), sandbox.path("elsewhere")).unwrap();
    let output = sandbox.run(&[&PLAN[..], &["--detailed-exitcode"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).contains("1 stage counts as done without a look at content"),
        "{output:?}"
    );
}

#[test]
fn the_plan_line_and_the_result_agree() {
    let sandbox = words();
    applied(&sandbox);
    let job = sandbox.read("job.toml");
    let last = "[stages.last]\nreads = [\"count.counts\"]\nduration = \"1 m\"\nrun = \"true\"\n";
    sandbox.write("job.toml", &format!("{job}{last}"));
    let said = sandbox.stdout(&PLAN, 0);
    assert!(
        said.contains("Plan: 1 to add, 0 to change, 0 to destroy. 2 stages are done already."),
        "{said}"
    );
    assert!(applied(&sandbox).contains("Apply: 1 done, 2 unchanged, 0 failed, 0 skipped."));
    assert!(sandbox.stdout(&PLAN, 0).contains("No changes."));
    // So does the one that an apply of the job shows on its way.
    sandbox.replace("job.toml", "uniq -c", "uniq");
    let apply = [
        "apply",
        "--catalog",
        "catalog",
        "--auto-approve",
        "--provider",
        "local",
        "--state-dir",
        "st",
    ];
    let said = ended(&with_path(&sandbox, &apply), 0);
    assert!(
        said.contains("Plan: 0 to add, 2 to change, 0 to destroy. 1 stage is done already."),
        "{said}"
    );
    assert!(said.contains("Apply: 2 done, 1 unchanged"), "{said}");
}

/// Two stages, of which one reads what the other writes.
const ROWS: [Row; 2] = [
    ("a", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
    ("b", &["a.o"], &["o"], "cat $SKY_INPUTS/o > $SKY_OUTPUTS/o"),
];

fn at_a_cloud() -> Place {
    let place = Place {
        folder: tempfile::tempdir().unwrap(),
    };
    let mut plan = plan("job", &ROWS);
    plan.stages
        .iter_mut()
        .for_each(|stage| stage.place = PlaceName::parse("oci:uk-london-1").unwrap());
    place.write_plan(&plan);
    place
}

#[test]
fn a_rehearsal_has_a_state_of_its_own() {
    let place = at_a_cloud();
    for provider in ["local", "sim"] {
        let said = ended(&place.apply(&["--provider", provider]), 0);
        assert!(
            said.contains("Apply: 2 done, 0 unchanged"),
            "{provider}: {said}"
        );
        assert!(
            place
                .path(&format!(".sky/rehearsal/{provider}/sky.state.json"))
                .exists()
        );
        assert!(
            ended(&place.apply(&["--provider", provider]), 0).contains("No changes"),
            "{provider}"
        );
    }
    // Nothing of that is the job itself.
    assert!(!place.path("sky.state.json").exists());
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(
        said.contains("nothing to destroy") && said.contains("--state-dir .sky/rehearsal/sim"),
        "{said}"
    );
    ended(
        &place
            .sky(&[
                "destroy",
                "--auto-approve",
                "--state-dir",
                ".sky/rehearsal/local",
            ])
            .output()
            .unwrap(),
        0,
    );
    std::fs::remove_dir_all(place.path(".sky/rehearsal/local")).unwrap();
    // Verbs without a plan mean the only state that there is, and say so.
    let said = ended(&place.sky(&["state", "list"]).output().unwrap(), 0);
    assert!(
        said.contains("stage.a\nstage.b")
            && said.contains("rehearsal in .sky/rehearsal/sim is meant"),
        "{said}"
    );
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(said.contains("2 stages"), "{said}");
}

#[test]
fn a_rehearsal_of_a_job_does_not_make_its_plan_one_of_nothing() {
    let sandbox = words();
    let detailed = [
        "plan",
        "--catalog",
        "catalog",
        "--detailed-exitcode",
        "--out",
        "plan.json",
    ];
    sandbox.stdout(&detailed, 2);
    ended(
        &with_path(&sandbox, &["apply", "plan.json", "--provider", "local"]),
        0,
    );
    assert!(sandbox.stdout(&detailed, 2).contains("Plan: 2 to add"));
}

#[test]
fn one_place_holds_a_rehearsal_or_a_job_and_never_both() {
    let place = at_a_cloud();
    ended(
        &place.apply(&["--provider", "local", "--state-dir", "st"]),
        0,
    );
    for other in [
        &["--provider", "sim"][..],
        &["--provider", "ssh", "--hosts", "plan.json"],
    ] {
        let output = place.apply(&[other, &["--state-dir", "st"]].concat());
        let said = ended(&output, 5);
        assert!(
            said.contains("stage.a was run by the provider `local`")
                && said.contains("state of its own"),
            "{said}"
        );
    }
    // What ran where it was planned is not a rehearsal, whatever the provider is called.
    let own = Place::new(&ROWS);
    ended(&own.apply(&[]), 0);
    assert!(ended(&own.apply(&["--provider", "local"]), 0).contains("No changes"));
    let said = ended(&own.apply(&["--provider", "sim", "--state-dir", "st"]), 0);
    assert!(said.contains("2 done"), "{said}");
}

#[test]
fn a_rehearsal_that_an_earlier_sky_began_goes_on_where_it_is() {
    let place = at_a_cloud();
    ended(
        &place.apply(&["--provider", "local", "--state-dir", ".sky"]),
        0,
    );
    // As an earlier sky kept it: the snapshot beside the folder.
    for name in ["sky.state.json", "sky.state.json.backup"] {
        std::fs::rename(place.path(".sky").join(name), place.path(name)).unwrap();
    }
    assert!(ended(&place.apply(&["--provider", "local"]), 0).contains("No changes"));
    assert!(ended(&place.apply(&["--provider", "sim"]), 0).contains("2 done"));
}

#[test]
fn an_empty_file_stands_in_for_data_only_in_an_explicit_rehearsal() {
    for provider in [None, Some("local"), Some("sim")] {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut planned = plan(
            "job",
            &[(
                "read",
                &["far"],
                &["o"],
                "cp $SKY_INPUTS/far $SKY_OUTPUTS/o",
            )],
        );
        dataset(&mut planned, "far", None);
        place.write_plan(&planned);
        let with = provider
            .map(|provider| vec!["--provider", provider])
            .unwrap_or_default();
        let said = ended(&place.apply(&with), 1);
        assert!(
            said.contains("dataset `far` lies at azure:eastus") && said.contains("--data far=PATH"),
            "{said}"
        );
        assert!(!place.path(".sky").exists());
        // The way out.
        std::fs::write(place.path("copy"), "content\n").unwrap();
        ended(
            &place.apply(&[&with[..], &["--data", "far=copy"]].concat()),
            0,
        );
        let said = ended(
            &place.apply(&[&with[..], &["--stand-ins"]].concat()),
            i32::from(provider.is_none()),
        );
        match provider {
            None => assert!(said.contains("--stand-ins is for rehearsals"), "{said}"),
            Some(_) => assert!(said.contains("an empty file stands in for it"), "{said}"),
        }
    }
}

#[test]
fn a_plan_names_stages_without_a_provider_beside_the_file_and_not_in_it() {
    let place = at_a_cloud();
    let text = ended(&place.sky(&["show", "plan.json"]).output().unwrap(), 0);
    assert!(
        text.contains("this sky has no provider for oci (stage.a, stage.b)"),
        "{text}"
    );
    assert!(!place.text("plan.json").contains("provider_missing"));
}

#[test]
fn states_of_earlier_versions_are_compared_by_the_digests_that_they_have() {
    let place = Place::new(&ROWS);
    ended(&place.apply(&[]), 0);
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/states/definitions-by-name.json");
    let old: sky::execution::state::State =
        serde_json::from_str(&std::fs::read_to_string(fixture).unwrap()).unwrap();
    let mut state = place.state();
    for (name, record) in &mut state.stages {
        assert_ne!(record.definition, old.stages[name].definition);
        (record.definition, record.fingerprint) = (
            old.stages[name].definition.clone(),
            old.stages[name].fingerprint.clone(),
        );
    }
    std::fs::write(
        place.path("sky.state.json"),
        serde_json::to_string(&state).unwrap(),
    )
    .unwrap();
    assert!(ended(&place.apply(&[]), 0).contains("No changes"));
}
