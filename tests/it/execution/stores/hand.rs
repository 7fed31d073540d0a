//! `sky state …`: looked at and changed by hand; and what may be written where a state's place is
//! said.

use super::servers::{On, Spot};
use super::{run, sky, state, wait_for};
use crate::execution::apply::place::{Place, Row, ended};
use serde_json::Value;
use std::process::Stdio;

const ROWS: [Row; 2] = [
    (
        "a",
        &[],
        &["o"],
        "echo a >> ../../../../ran; echo 1 > $SKY_OUTPUTS/o",
    ),
    ("b", &["a.o"], &[], "echo b >> ../../../../ran"),
];

/// What an operation did can be looked at when it is over, as a whole, even if it was done by two.
#[test]
fn the_journal_of_the_last_operation_is_kept() {
    let place = Place::new(&[
        ("a", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
        ("b", &["a.o"], &["o"], "cp $SKY_INPUTS/o $SKY_OUTPUTS/o"),
    ]);
    let said = ended(&place.sky(&["state", "journal"]).output().unwrap(), 1);
    assert!(said.contains("there is no state"), "{said}");
    let mut first = place.sky(&["apply", "plan.json"]);
    assert!(
        !first
            .env("SKY_CRASH_AT", "30")
            .output()
            .unwrap()
            .status
            .success()
    );
    ended(&place.sky(&["apply", "plan.json"]).output().unwrap(), 0);
    let said = ended(&place.sky(&["state", "journal"]).output().unwrap(), 0);
    let records: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = records
        .iter()
        .map(|record| record["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "done").count(),
        2,
        "{said}"
    );
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("begun", "released"));
    assert!(
        records
            .iter()
            .zip(1..)
            .all(|(record, number)| record["sequence"] == number),
        "{said}"
    );
    // The next one takes its place.
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    let said = ended(&place.sky(&["state", "journal"]).output().unwrap(), 0);
    assert!(
        said.contains("\"emptied\"") && !said.contains("\"done\""),
        "{said}"
    );
}

#[test]
fn a_state_is_listed_shown_moved_and_removed() {
    for on in [On::Folder, On::S3] {
        let (place, spot) = (Place::new(&ROWS), Spot::new(on));
        assert!(ended(&run(&place, &spot, &["state", "list"]), 1).contains("there is no state in"));
        ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
        assert_eq!(
            ended(&run(&place, &spot, &["state", "list"]), 0),
            "stage.a\nstage.b\n"
        );
        let shown = ended(&run(&place, &spot, &["state", "show", "stage.a"]), 0);
        assert!(
            shown.contains("stage.a\n  status      done")
                && shown.contains("output      o, 2 B, sha256:"),
            "{shown}"
        );
        let json: Value = serde_json::from_str(&ended(
            &run(&place, &spot, &["state", "show", "a", "--json"]),
            0,
        ))
        .unwrap();
        assert_eq!(
            (&json["address"], &json["record"]["status"]),
            (&"stage.a".into(), &"done".into())
        );
        assert!(
            ended(&run(&place, &spot, &["state", "show", "stage.aa"]), 1)
                .contains("did you mean stage.a?")
        );

        let before = state(&place, &spot, &[]);
        let said = ended(
            &run(&place, &spot, &["state", "mv", "stage.a", "stage.first"]),
            0,
        );
        assert!(
            said.contains(&format!("sky.state.json.{}.backup", before.serial)),
            "{said}"
        );
        let after = state(&place, &spot, &[]);
        assert_eq!(
            (after.serial, &after.lineage),
            (before.serial + 1, &before.lineage)
        );
        assert_eq!(
            (after.stages.get("a"), &after.stages["first"]),
            (None, &before.stages["a"])
        );
        assert_eq!(after.artifacts["first.o"], before.artifacts["a.o"]);
        for (from, to, word) in [
            ("stage.a", "stage.x", "no `stage.a`"),
            ("stage.first", "stage.b", "already"),
            ("stage.first", "stage.x/y", "not a name"),
        ] {
            let said = ended(&run(&place, &spot, &["state", "mv", from, to]), 1);
            assert!(said.contains(word), "{said}");
        }
        // As it was renamed in the job, too: nothing is run again, also not what reads it.
        place.plan(
            "job",
            &[
                ("first", &[], &["o"], ROWS[0].3),
                ("b", &["first.o"], &[], ROWS[1].3),
            ],
        );
        ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
        assert_eq!((place.ran()["a"], place.ran()["b"]), (1, 1), "{on:?}");
        ended(
            &run(&place, &spot, &["state", "rm", "stage.b", "stage.first"]),
            0,
        );
        let gone = state(&place, &spot, &[]);
        assert!(gone.stages.is_empty() && gone.artifacts.is_empty());
    }
}

#[test]
fn what_is_live_is_said_and_not_forgotten_by_the_way() {
    let (place, spot) = (
        Place::new(&[("long", &[], &[], "touch ../../../../begun; sleep 60")]),
        Spot::new(On::S3),
    );
    let mut child = sky(&place, &spot, &["apply", "plan.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&place, "begun");
    // Whoever changes it by hand waits for the lock as all do.
    assert!(
        ended(&run(&place, &spot, &["state", "rm", "stage.long"]), 6).contains("Operation: apply")
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let said = ended(&run(&place, &spot, &["state", "rm", "stage.long"]), 1);
    let token = state(&place, &spot, &[]).stages["long"].token.clone();
    assert!(
        said.contains("stage.long is live: attempt 1")
            && said.contains(&token)
            && said.contains("--force"),
        "{said}"
    );
    assert!(
        ended(
            &run(&place, &spot, &["state", "mv", "stage.long", "stage.x"]),
            1
        )
        .contains("is live")
    );
    let kept = ended(&run(&place, &spot, &["state", "pull"]), 0);
    std::fs::write(place.path("kept.json"), kept).unwrap();
    let said = ended(
        &run(&place, &spot, &["state", "rm", "stage.long", "--force"]),
        0,
    );
    assert!(
        said.contains("left as it is") && said.contains(&token),
        "{said}"
    );
    assert!(state(&place, &spot, &[]).stages.is_empty() && place.processes() > 0);
    ended(
        &run(&place, &spot, &["state", "push", "kept.json", "--force"]),
        0,
    );
    assert_eq!(state(&place, &spot, &[]).stages["long"].token, token);
    ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
    assert_eq!(place.processes(), 0);
}

#[test]
fn a_state_is_pushed_only_where_it_follows() {
    for on in [On::Folder, On::Azure] {
        let (place, spot) = (Place::new(&ROWS), Spot::new(on));
        ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
        let push = |file: &str, more: &[&str]| {
            run(&place, &spot, &[&["state", "push", file], more].concat())
        };
        let write = |name: &str, change: &dyn Fn(&mut sky::execution::state::State)| {
            let mut state = state(&place, &spot, &[]);
            change(&mut state);
            std::fs::write(place.path(name), serde_json::to_string(&state).unwrap()).unwrap();
        };
        write("same", &|_| {});
        write("older", &|state| state.serial -= 1);
        write("twin", &|state| state.job = Some("another".into()));
        write("stranger", &|state| state.lineage = "another".into());
        write("next", &|state| {
            state.serial += 5;
            state.stages.remove("b");
        });
        assert!(ended(&push("same", &[]), 0).contains("No changes"));
        for (file, word) in [
            ("older", "further on: serial"),
            ("twin", "is another one"),
            ("stranger", "another lineage"),
        ] {
            let said = ended(&push(file, &[]), 5);
            assert!(said.contains(word) && said.contains("--force"), "{said}");
        }
        std::fs::write(place.path("odd"), "{").unwrap();
        assert!(ended(&push("odd", &[]), 1).contains("odd is not a state"));
        let before = state(&place, &spot, &[]);
        assert!(ended(&push("next", &[]), 0).contains("Pushed to"));
        let after = state(&place, &spot, &[]);
        assert_eq!((after.serial, after.stages.len()), (before.serial + 6, 1));
        // Whatever is forced, no serial is used twice.
        ended(&push("stranger", &["--force"]), 0);
        let forced = state(&place, &spot, &[]);
        assert_eq!(
            (forced.serial, forced.lineage.as_str()),
            (after.serial + 1, "another")
        );
        // Into a bucket that has none, any state may be pushed: that is how one moves there.
        let (fresh, elsewhere) = (Place::new(&ROWS), Spot::new(On::S3));
        std::fs::copy(place.path("next"), fresh.path("next")).unwrap();
        ended(&run(&fresh, &elsewhere, &["state", "push", "next"]), 0);
        assert_eq!(state(&fresh, &elsewhere, &[]).stages, after.stages);
    }
}

#[test]
fn a_folder_is_of_one_state_and_places_are_said_in_one_way() {
    let (place, spot) = (Place::new(&ROWS), Spot::new(On::S3));
    ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
    let url = spot.url.clone().unwrap();
    // Forgotten, or another one: never a fresh start in the same folder.
    let said = ended(&place.apply(&[]), 1);
    assert!(said.contains(&format!("--state {url}")), "{said}");
    let other = Spot::new(On::S3);
    assert!(
        ended(&run(&place, &other, &["apply", "plan.json"]), 1)
            .contains("take another one with --state-dir")
    );
    let local = Place::new(&ROWS);
    ended(&local.apply(&[]), 0);
    let said = ended(&run(&local, &other, &["apply", "plan.json"]), 1);
    assert!(
        said.contains("has a state of its own") && said.contains("sky state push FILE --state"),
        "{said}"
    );

    let fresh = Place::new(&ROWS);
    let file = format!("file://{}", fresh.path("st").display());
    ended(&fresh.apply(&["--state", &file]), 0);
    ended(&fresh.apply(&["--state", "st"]), 0);
    assert!(fresh.path("st/sky.state.json").exists() && !fresh.path("sky.state.json").exists());
    assert_eq!(fresh.ran()["a"], 1);
    assert!(
        ended(
            &fresh.sky(&["show", "--state-dir", "st"]).output().unwrap(),
            0
        )
        .contains("stage.a")
    );
    for (args, word) in [
        (&["--state", "ftp://x/y"][..], "is not a place for a state"),
        (
            &["--state", "s3://key:secret@bucket/x"],
            "the environment has them",
        ),
        (
            &["--state", "st", "--state-dir", "other"],
            "name one of them",
        ),
    ] {
        assert!(ended(&fresh.apply(args), 1).contains(word));
    }
    // A bucket that is not there is no empty state.
    let mut command = sky(
        &fresh,
        &spot,
        &[
            "apply",
            "plan.json",
            "--state",
            "s3://no-such-bucket/x",
            "--state-dir",
            "new",
        ],
    );
    let said = ended(&command.env_remove("SKY_STATE").output().unwrap(), 1);
    assert!(said.contains("s3://no-such-bucket/x"), "{said}");
    assert_eq!(fresh.ran()["a"], 1);
}
