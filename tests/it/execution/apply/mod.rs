//! `sky apply` and `sky destroy` with real processes.

mod data;
mod interruption;
pub(crate) mod place;

use place::*;
use serde_json::{Value, json};
use sky::execution::state::Status;
use sky::model::PlaceName;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

/// The two branches meet: each ends only once the other has begun, so one after the other fails.
const DIAMOND: [Row; 4] = [
    (
        "top",
        &[],
        &["o"],
        "echo top >> ../../../../ran; echo seed > $SKY_OUTPUTS/o",
    ),
    (
        "left",
        &["top.o"],
        &["l"],
        "echo left >> ../../../../ran; touch ../../../../left; i=0; until [ -e ../../../../right ]; do \
         i=$((i+1)); [ $i -lt 600 ] || exit 9; sleep 0.05; done; sed s/$/-left/ $SKY_INPUTS/o > $SKY_OUTPUTS/l",
    ),
    (
        "right",
        &["top.o"],
        &["r"],
        "echo right >> ../../../../ran; touch ../../../../right; i=0; until [ -e ../../../../left ]; do \
         i=$((i+1)); [ $i -lt 600 ] || exit 9; sleep 0.05; done; sed s/$/-right/ $SKY_INPUTS/o > $SKY_OUTPUTS/r",
    ),
    (
        "bottom",
        &["left.l", "right.r"],
        &["all"],
        "echo bottom >> ../../../../ran; cat $SKY_INPUTS/l $SKY_INPUTS/r > $SKY_OUTPUTS/all",
    ),
];

#[test]
fn a_diamond_runs_in_parallel_and_hands_its_data_on() {
    let place = Place::new(&DIAMOND);
    let said = ended(&place.apply(&[]), 0);
    assert!(
        said.contains("Apply: 4 done, 0 unchanged, 0 failed, 0 skipped.")
            && said.contains("bottom.all"),
        "{said}"
    );
    assert_eq!(
        place.text(".sky/artifacts/bottom/all"),
        "seed-left\nseed-right\n"
    );
    assert_eq!(
        std::fs::metadata(place.path(".sky/journal")).unwrap().len(),
        0
    );
    assert!(place.path("sky.state.json.backup").exists());

    let serial = place.state().serial;
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("No changes. All stages are done."), "{said}");
    assert_eq!(place.state().serial, serial);
    assert!(sky::execution::state::holds(
        &place.state(),
        &plan("job", &DIAMOND)
    ));

    // A changed command runs again, with what depends on its output; here also with all of it gone
    // by name.
    let mut rows = DIAMOND;
    rows[1].3 = "echo left >> ../../../../ran; sed s/$/-LEFT/ $SKY_INPUTS/o > $SKY_OUTPUTS/l";
    assert!(!sky::execution::state::holds(
        &place.state(),
        &plan("job", &rows)
    ));
    place.plan("job", &rows);
    ended(&place.apply(&[]), 0);
    assert_eq!(
        place.text(".sky/artifacts/bottom/all"),
        "seed-LEFT\nseed-right\n"
    );
    let counts: Vec<(String, usize)> = place.ran().into_iter().collect();
    let wanted = [("bottom", 2), ("left", 2), ("right", 1), ("top", 1)];
    assert_eq!(counts, wanted.map(|(name, count)| (name.to_owned(), count)));

    // A changed command with the same output runs alone.
    rows[0].3 = "echo top >> ../../../../ran; printf 'seed\\n' > $SKY_OUTPUTS/o";
    place.plan("job", &rows);
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("Apply: 1 done, 3 unchanged"), "{said}");
    // What a user does to a copy does not reach the store; what is gone by name comes back.
    std::fs::write(place.path(".sky/artifacts/top/o"), "spoilt").unwrap();
    std::fs::remove_file(place.path(".sky/artifacts/bottom/all")).unwrap();
    ended(&place.apply(&[]), 0);
    assert_eq!(
        place.text(".sky/artifacts/bottom/all"),
        "seed-LEFT\nseed-right\n"
    );
}

#[test]
fn a_failure_leaves_the_independent_ones_running() {
    let rows: [Row; 4] = [
        ("bad", &[], &["o"], "echo about to fail; exit 3"),
        ("below", &["bad.o"], &[], "true"),
        ("forgetful", &[], &["x", "y"], "echo 1 > $SKY_OUTPUTS/x"),
        ("good", &[], &["o"], "sleep 0.3; echo fine > $SKY_OUTPUTS/o"),
    ];
    let place = Place::new(&rows);
    let said = ended(&place.apply(&[]), 7);
    for words in [
        "Apply: 1 done, 0 unchanged, 2 failed, 1 skipped.",
        "its command ended with exit code 3",
        "bad | about to fail",
        "did not write `y` to $SKY_OUTPUTS",
        "skipped: stage.bad failed",
        ".sky/stages/bad/1/log",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let statuses: Vec<Status> = place
        .state()
        .stages
        .values()
        .map(|stage| stage.status)
        .collect();
    assert_eq!(
        statuses,
        [
            Status::Failed,
            Status::Skipped,
            Status::Failed,
            Status::Done
        ]
    );
    let mut mended = rows;
    mended[0].3 = "echo 1 > $SKY_OUTPUTS/o";
    mended[2].3 = "echo 1 > $SKY_OUTPUTS/x; mkdir $SKY_OUTPUTS/y";
    place.plan("job", &mended);
    assert!(ended(&place.apply(&[]), 0).contains("Apply: 3 done, 1 unchanged"));
    let only_bad = Place::new(&rows[..2]);
    ended(&only_bad.apply(&["--fail-fast", "--parallelism=1"]), 1);
}

#[test]
fn destroy_leaves_nothing_and_ends_orphans() {
    let rows: [Row; 2] = [
        (
            "done",
            &[],
            &["o"],
            "mkdir -p $SKY_OUTPUTS/o/sub; echo 1 > $SKY_OUTPUTS/o/sub/f; chmod a-w $SKY_OUTPUTS/o/sub",
        ),
        (
            "long",
            &["done.o"],
            &[],
            "test -f $SKY_INPUTS/o/sub/f && touch ../../../../begun; setsid sleep 61 & sleep 60",
        ),
    ];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    wait("its children", || place.processes() >= 3);
    ended(&place.sky(&["destroy"]).output().unwrap(), 1);
    assert!(place.processes() >= 3);
    let serial = place.state().serial;
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(
        said.contains("stage.long attempt 1 at local, running") && said.contains("artifact done.o"),
        "{said}"
    );
    assert_eq!(place.processes(), 0);
    let state = place.state();
    assert!(state.stages.is_empty() && state.artifacts.is_empty() && state.serial == serial + 1);
    for gone in ["stages", "objects", "artifacts", "work"] {
        assert!(!place.path(".sky").join(gone).exists(), "{gone}");
    }
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(said.contains("nothing to destroy"), "{said}");
    assert_eq!(place.state().serial, serial + 1);
}

#[test]
fn a_command_is_passed_as_it_is() {
    let command = "printf '%s' 'a\"b$HOME`id`\\n ü 😀;&|<>*?' > \"$SKY_OUTPUTS/o u't\"\n# '\"` unbalanced\ntrue";
    let place = Place::new(&[("odd ü$(x)", &[], &["o u't"], command)]);
    ended(&place.apply(&[]), 0);
    assert_eq!(
        place.text(".sky/artifacts/odd ü$(x)/o u't"),
        "a\"b$HOME`id`\\n ü 😀;&|<>*?"
    );
}

#[test]
fn all_that_is_missing_is_told_before_anything_starts() {
    let rows: [Row; 3] = [
        ("a", &["gone", "there"], &["o"], "touch ../../../../started"),
        ("b", &["a.o"], &[], ""),
        ("c", &[], &[], "true"),
    ];
    let place = Place {
        folder: tempfile::tempdir().unwrap(),
    };
    let mut bad = plan("job", &rows);
    dataset(&mut bad, "gone", Some("data/gone"));
    dataset(&mut bad, "there", Some("plan.json"));
    bad.stages[2]
        .files
        .extend(["tool.sh".to_owned(), "../up".to_owned()]);
    bad.stages[2].place = PlaceName::parse("oci:uk-london-1").unwrap();
    place.write_plan(&bad);
    let said = ended(&place.apply(&["--data", "other=plan.json"]), 1);
    for words in [
        "dataset `gone`",
        "stage.b has no `run`",
        "`tool.sh`",
        "`../up`",
        "provider for oci",
        "`other`",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert!(!place.path("started").exists() && !place.path(".sky").exists());
}

#[test]
fn datasets_files_and_stand_ins() {
    let place = Place {
        folder: tempfile::tempdir().unwrap(),
    };
    let rows: [Row; 1] = [(
        "use",
        &["near", "far"],
        &["o"],
        "./tool.sh > $SKY_OUTPUTS/o; test ! -s $SKY_INPUTS/far",
    )];
    let mut planned = plan("job", &rows);
    dataset(&mut planned, "near", Some("data"));
    dataset(&mut planned, "far", None);
    planned.stages[0].files.insert("tool.sh".into());
    planned.stages[0].place = PlaceName::parse("gcp:us-central1").unwrap();
    planned.stages[0].nodes = 4;
    place.write_plan(&planned);
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::write(place.path("data/x"), "content").unwrap();
    std::fs::write(
        place.path("tool.sh"),
        "#!/bin/sh\necho $SKY_JOB $SKY_STAGE $SKY_NODES; cat $SKY_INPUTS/near/x\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("tool.sh"), mode).unwrap();
    ended(&place.apply(&[]), 1);
    // Nothing runs on an empty file unless somebody asks for that; and only in a rehearsal.
    for provider in ["local", "sim"] {
        let said = ended(&place.apply(&["--provider", provider]), 1);
        assert!(
            said.contains("dataset `far` lies at azure:eastus") && said.contains("--data far=PATH"),
            "{said}"
        );
    }
    let said = ended(&place.apply(&["--stand-ins"]), 1);
    assert!(said.contains("--stand-ins is for rehearsals"), "{said}");
    let rehearsal = [
        &["--provider", "local"][..],
        &["--stand-ins", "--state-dir", ".sky"],
    ]
    .concat();
    let said = ended(&place.apply(&rehearsal), 0);
    assert!(
        said.contains("an empty file stands in") && said.contains("SKY_NODES=4"),
        "{said}"
    );
    assert_eq!(place.text(".sky/artifacts/use/o"), "job use 4\ncontent");
    std::fs::write(place.path("data/x"), "changed").unwrap();
    ended(&place.apply(&rehearsal), 0);
    assert_eq!(place.text(".sky/artifacts/use/o"), "job use 4\nchanged");
    place.plan("another", &DIAMOND);
    let said = ended(&place.apply(&["--state-dir", ".sky"]), 5);
    assert!(
        said.contains("state of job `job`; the plan is of job `another`"),
        "{said}"
    );
}

#[test]
fn the_stream_begins_with_version_and_ends_with_the_summary() {
    let place = Place::new(&[
        ("good", &[], &["o"], "echo hello; echo 1 > $SKY_OUTPUTS/o"),
        ("bad", &[], &[], "exit 9"),
    ]);
    let lines = |output: &Output| -> Vec<Value> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let output = place.apply(&["--json"]);
    assert_eq!(output.status.code(), Some(7));
    let stream = lines(&output);
    assert_eq!(
        (&stream[0]["type"], &stream[0]["ui"]),
        (&json!("version"), &json!("1.0"))
    );
    let last = stream.last().unwrap();
    assert_eq!(last["type"], "change_summary");
    assert_eq!(
        (&last["changes"]["add"], &last["changes"]["failed"]),
        (&json!(1), &json!(1))
    );
    for kind in [
        "apply_start",
        "apply_progress",
        "apply_complete",
        "apply_errored",
        "diagnostic",
        "stage_log",
    ] {
        assert!(stream.iter().any(|line| line["type"] == kind), "{kind}");
    }
    assert!(
        stream
            .iter()
            .any(|line| line["hook"]["resource"]["addr"] == "stage.good")
    );
    std::fs::write(place.path("sky.state.json"), "").unwrap();
    let stream = lines(&place.apply(&["--json"]));
    assert_eq!(stream.last().unwrap()["type"], "change_summary");
    std::fs::copy(
        place.path("sky.state.json.backup"),
        place.path("sky.state.json"),
    )
    .unwrap();
}

#[test]
fn a_closed_pipe_does_not_stop_an_apply() {
    let place = Place::new(&[(
        "a",
        &[],
        &["o"],
        "for i in 1 2 3; do echo $i; sleep 0.1; done; echo 1 > $SKY_OUTPUTS/o",
    )]);
    for args in [
        &["apply", "plan.json", "--json"][..],
        &["apply", "plan.json"],
    ] {
        let mut child = place
            .sky(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success());
    }
    assert!(place.path(".sky/artifacts/a/o").exists());
}

#[test]
fn odd_outputs_are_refused_with_their_name() {
    let rows: [Row; 3] = [
        ("pipe", &[], &["o"], "mkfifo $SKY_OUTPUTS/o"),
        (
            "out",
            &[],
            &["o"],
            "mkdir $SKY_OUTPUTS/o; ln -s /etc/no/such/file $SKY_OUTPUTS/o/p",
        ),
        (
            "in",
            &[],
            &["o"],
            "mkdir $SKY_OUTPUTS/o; echo 1 > $SKY_OUTPUTS/o/f; ln -s f $SKY_OUTPUTS/o/l",
        ),
    ];
    let place = Place::new(&rows);
    let said = ended(&place.apply(&[]), 7);
    assert!(
        said.contains("a pipe, a socket or a device")
            && said.contains("symbolic link to /etc/no/such/file"),
        "{said}"
    );
    assert!(
        Path::new(&std::fs::read_link(place.path(".sky/artifacts/in/o/l")).unwrap()).ends_with("f")
    );
}

#[test]
fn links_inside_an_output_reach_its_readers_as_links() {
    let write = "cd $SKY_OUTPUTS && mkdir -p o/v1 && echo 1 > o/v1/f && cd o && ln -s . self && ln -s gone dangling && \
                 ln -s v1 current";
    let read = "cd $SKY_INPUTS/o && readlink self dangling current > $SKY_OUTPUTS/links && cat current/f self/v1/f";
    let place = Place::new(&[
        ("write", &[], &["o"], write),
        ("read", &["write.o"], &["links"], read),
    ]);
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/read/links"), ".\ngone\nv1\n");
}

#[test]
fn a_descriptor_left_open_cannot_change_a_collected_output() {
    // It is in a session of its own, too: out of reach. It writes when the output is certainly in
    // the store.
    let run = "echo good > $SKY_OUTPUTS/o; exec 9>> $SKY_OUTPUTS/o; \
               env -i setsid sh -c 'touch away; while ! test -e ../../../../collected; do sleep 0.01; done; \
               echo bad >&9; touch ../../../../written' & \
               while ! test -e away; do sleep 0.01; done";
    let place = Place::new(&[("only", &[], &["o"], run)]);
    ended(&place.apply(&[]), 0);
    std::fs::write(place.path("collected"), "").unwrap();
    place.wait_for("written");
    let artifact = place.state().artifacts["only.o"].clone();
    let objects = sky::execution::storage::Objects::at(place.path(".sky/objects"));
    let object = objects.path(&artifact.digest, artifact.kind);
    assert_eq!(std::fs::read_to_string(&object).unwrap(), "good\n");
}

#[test]
fn processes_without_their_environment_end_with_the_stage() {
    let beat = "env -i sh -c 'while :; do date +%N > ../../../../beat; sleep 0.02; done' & \
                while ! test -s ../../../../beat; do sleep 0.01; done;";
    let still = |place: &Place| {
        std::thread::sleep(Duration::from_millis(100));
        let before = place.text("beat");
        std::thread::sleep(Duration::from_millis(300));
        before == place.text("beat")
    };
    for (end, code) in [("echo 1 > $SKY_OUTPUTS/o", 0), ("exit 3", 1)] {
        let place = Place::new(&[("only", &[], &["o"], &format!("{beat} {end}"))]);
        ended(&place.apply(&[]), code);
        assert!(place.path("beat").exists() && still(&place), "after {end}");
    }
    // The sky that began it is gone, and so is the supervisor.
    let place = Place::new(&[(
        "only",
        &[],
        &[],
        &format!("{beat} touch ../../../../begun; sleep 0.3"),
    )]);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    wait("the end of the stage", || {
        place.path(".sky/stages/only/1/.run/exit").exists()
    });
    assert!(!still(&place));
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(still(&place));
}
