//! Applies that are killed, interrupted, locked out or find a damaged state.

use super::place::*;
use sky::execution::state::Status;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn kill_9_in_the_middle_of_a_stage_loses_and_repeats_nothing() {
    let rows: [Row; 3] = [
        (
            "first",
            &[],
            &["o"],
            "echo first >> ../../../../ran; echo 1 > $SKY_OUTPUTS/o",
        ),
        (
            "second",
            &["first.o"],
            &["o"],
            "echo second >> ../../../../ran; touch ../../../../begun; sleep 2; echo 2 > $SKY_OUTPUTS/o",
        ),
        (
            "third",
            &["second.o"],
            &["o"],
            "echo third >> ../../../../ran; cp $SKY_INPUTS/o $SKY_OUTPUTS/o",
        ),
    ];
    for late in [false, true] {
        let place = Place::new(&rows);
        let mut child = place.start();
        place.wait_for("begun");
        child.kill().unwrap();
        child.wait().unwrap();
        // Killed before or after the line that says so was written.
        assert!(place.state().stages["second"].status.in_flight());
        assert!(place.processes() > 0);
        if late {
            // The stage ends while nobody watches.
            wait("the end of the stage", || place.processes() == 0);
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/third/o"), "2\n");
        assert!(
            place.ran().values().all(|count| *count == 1),
            "{:?}",
            place.ran()
        );
    }
}

#[test]
fn a_stage_whose_process_is_gone_is_run_again() {
    let rows: [Row; 1] = [(
        "only",
        &[],
        &["o"],
        "echo only >> ../../../../ran; touch ../../../../begun; sleep 0.5; echo 1 > $SKY_OUTPUTS/o",
    )];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    let stat = place.text(".sky/stages/only/1/.run/pid");
    let group = format!("-{}", stat.split(' ').next().unwrap());
    assert!(
        Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status()
            .unwrap()
            .success()
    );
    wait("its end", || place.processes() == 0);
    let said = ended(&place.apply(&[]), 0);
    assert!(
        said.contains("attempt 1 was lost: its process is gone without an exit code"),
        "{said}"
    );
    assert_eq!(place.state().stages["only"].attempt, 2);
    assert_eq!(place.ran()["only"], 2);
}

#[test]
fn kill_9_anywhere_and_each_stage_has_run_once() {
    let rows: [Row; 4] = [
        (
            "a",
            &[],
            &["o"],
            "echo a >> ../../../../ran; sleep 0.05; echo a > $SKY_OUTPUTS/o",
        ),
        (
            "b",
            &["a.o"],
            &["o"],
            "echo b >> ../../../../ran; sleep 0.05; cat $SKY_INPUTS/o > $SKY_OUTPUTS/o",
        ),
        (
            "c",
            &["a.o"],
            &["o"],
            "echo c >> ../../../../ran; cat $SKY_INPUTS/o > $SKY_OUTPUTS/o",
        ),
        (
            "d",
            &["b.o", "c.o"],
            &["o"],
            "echo d >> ../../../../ran; cat $SKY_INPUTS/* > $SKY_OUTPUTS/o",
        ),
    ];
    let begun = Instant::now();
    let mut kills = 0;
    for round in 0_u64.. {
        if round == 12 || begun.elapsed() > Duration::from_secs(20) {
            break;
        }
        let place = Place::new(&rows);
        // Spread over the run without a pattern: multiples of the golden ratio.
        for kill in 0..3 {
            let delay = (round * 3 + kill).wrapping_mul(0x9E37_79B9) % 1000 * 250;
            let mut child = place.start();
            std::thread::sleep(Duration::from_micros(delay));
            kills += usize::from(child.try_wait().unwrap().is_none());
            let _ = child.kill();
            child.wait().unwrap();
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/d/o"), "a\na\n");
        let counts = place.ran();
        assert!(
            counts.len() == 4 && counts.values().all(|count| *count == 1),
            "round {round}: {counts:?}"
        );
        ended(
            &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
        assert_eq!(place.processes(), 0);
    }
    assert!(kills > 5, "{kills}");
}

#[test]
fn ctrl_c_ends_the_stages_and_says_how_to_go_on() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let rows: [Row; 2] = [
            (
                "long",
                &[],
                &["o"],
                "touch ../../../../begun; [ -e ../../../../again ] || sleep 60; echo 1 > $SKY_OUTPUTS/o",
            ),
            ("next", &["long.o"], &[], "true"),
        ];
        let place = Place::new(&rows);
        let child = place.start();
        place.wait_for("begun");
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = ended(&output, code);
        assert_eq!(place.processes(), 0);
        assert!(
            said.contains("to go on: sky apply plan.json")
                && said.contains("1 skipped, 1 interrupted"),
            "{said}"
        );
        let stage = place.state().stages["long"].clone();
        assert_eq!((stage.status, stage.live), (Status::Lost, false));
        std::fs::write(place.path("again"), "").unwrap();
        ended(&place.apply(&[]), 0);
    }
}

#[test]
fn the_line_about_going_on_repeats_the_options() {
    let place = Place {
        folder: tempfile::tempdir().unwrap(),
    };
    let row = (
        "long",
        &["d"][..],
        &[][..],
        "touch ../../../../begun; sleep 2",
    );
    let mut planned = plan("job", &[row]);
    dataset(&mut planned, "d", Some("nowhere"));
    place.write_plan(&planned);
    std::fs::rename(place.path("plan.json"), place.path("my plan.json")).unwrap();
    std::fs::write(place.path("it's"), "1").unwrap();
    let options = [
        "--provider",
        "local",
        "--source",
        "./.",
        "--data",
        "d=it's",
        "--state-dir",
        "st/s 1",
    ];
    let mut command = place.sky(&[&["apply", "my plan.json"], &options[..]].concat());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    place.wait_for("st/begun");
    signal(&child, "INT");
    let said = ended(&child.wait_with_output().unwrap(), 130);
    let line = "to go on: sky apply 'my plan.json' --provider local --source ./. --data 'd=it'\\''s' \
                --state-dir 'st/s 1'; to end and delete everything: sky destroy --state-dir 'st/s 1'";
    assert!(said.contains(line), "{said}");
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let rows: [Row; 1] = [(
        "stubborn",
        &[],
        &[],
        "trap '' TERM; touch ../../../../begun; sleep 0.1; sleep 60; touch ../../../../over",
    )];
    let place = Place::new(&rows);
    let child = place.start();
    place.wait_for("begun");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let said = ended(&child.wait_with_output().unwrap(), 130);
    assert!(
        said.contains("left at once") && said.contains("to go on: sky apply plan.json"),
        "{said}"
    );
    assert!(place.processes() > 0 && !place.path("over").exists());
    // The grace is the user's; after it, there is no arguing.
    let child = place
        .sky(&["apply", "plan.json", "--grace=200ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    ended(&child.wait_with_output().unwrap(), 143);
    assert_eq!(place.processes(), 0);
}

#[test]
fn a_stage_that_was_asked_to_stop_is_never_taken_as_done() {
    let run = "trap 'sleep 0.6; exit 0' TERM; echo PARTIAL > $SKY_OUTPUTS/o; touch ../../../../begun; i=0; \
               while [ $i -lt 10 ]; do sleep 0.1; i=$((i+1)); done; echo COMPLETE > $SKY_OUTPUTS/o";
    // The second sky comes while the handler is at work, or after its end.
    for (end, late) in [("INT", true), ("KILL", true), ("KILL", false)] {
        let place = Place::new(&[("only", &[], &["o"], run)]);
        let child = place.start();
        place.wait_for("begun");
        signal(&child, "INT");
        wait("the journalled intent", || {
            place.state().stages["only"].stopping
        });
        std::thread::sleep(Duration::from_millis(100));
        signal(&child, end);
        child.wait_with_output().unwrap();
        if late {
            wait("the end of the stage", || place.processes() == 0);
            assert_eq!(place.text(".sky/stages/only/1/.run/exit"), "0\n");
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/only/o"), "COMPLETE\n");
        let stage = place.state().stages["only"].clone();
        assert_eq!((stage.attempt, stage.stopping), (2, false));
    }
}

#[test]
fn a_second_apply_is_told_who_is_at_work() {
    let rows: [Row; 1] = [("long", &[], &[], "touch ../../../../begun; sleep 1.2")];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    let said = ended(&place.apply(&["--lock-timeout=100ms"]), 6);
    for words in [
        "locked by another operation",
        "ID:",
        "Operation: apply",
        &format!("Pid:       {}", child.id()),
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        6,
    );
    assert!(said.contains("Operation: apply"), "{said}");
    assert!(ended(&place.apply(&["--lock-timeout=20s"]), 0).contains("No changes"));
    assert!(child.wait().unwrap().success());
    // Nobody outlives a kill as a holder.
    assert_eq!(place.text(".sky/lock"), "");
}

#[test]
fn a_torn_journal_is_mended_and_an_empty_state_is_refused() {
    let place = Place::new(&[("long", &[], &[], "touch ../../../../begun; sleep 0.4")]);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = place.text(".sky/journal");
    std::fs::write(
        place.path(".sky/journal"),
        format!("{journal}0badbeef {{\"seq"),
    )
    .unwrap();
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("torn by a crash"), "{said}");
    std::fs::write(place.path("sky.state.json"), "").unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(
        said.contains("sky.state.json is empty") && said.contains("sky.state.json.backup"),
        "{said}"
    );
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        1,
    );
    assert!(said.contains("sky.state.json is empty"), "{said}");
    std::fs::copy(
        place.path("sky.state.json.backup"),
        place.path("sky.state.json"),
    )
    .unwrap();
    ended(&place.apply(&[]), 0);
}

#[test]
fn a_state_restored_from_an_older_backup_is_caught_up_with() {
    let rows: [Row; 2] = [
        (
            "first",
            &[],
            &["o"],
            "echo first >> ../../../../ran; touch ../../../../begun; sleep 0.5; echo 1 > $SKY_OUTPUTS/o",
        ),
        (
            "second",
            &["first.o"],
            &["o"],
            "echo second >> ../../../../ran; cp $SKY_INPUTS/o $SKY_OUTPUTS/o",
        ),
    ];
    let place = Place::new(&rows);
    ended(&place.apply(&[]), 0);
    // The backup is from before the only apply.
    std::fs::write(place.path("sky.state.json"), "").unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(
        said.contains("this goes back to serial 1, which knows of no stage"),
        "{said}"
    );
    std::fs::copy(
        place.path("sky.state.json.backup"),
        place.path("sky.state.json"),
    )
    .unwrap();
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/second/o"), "1\n");
    assert_eq!(place.ran().values().copied().collect::<Vec<_>>(), [2, 2]);

    // The backup is from the middle of an attempt that came to its end later.
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    let (snapshot, journal) = (place.text("sky.state.json"), place.text(".sky/journal"));
    ended(&place.apply(&[]), 0);
    std::fs::write(place.path("sky.state.json"), "{").unwrap();
    std::fs::write(place.path("sky.state.json.backup"), snapshot).unwrap();
    std::fs::write(place.path(".sky/journal"), journal).unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(said.contains("serial 1, with 0 of 1 stages done"), "{said}");
    std::fs::copy(
        place.path("sky.state.json.backup"),
        place.path("sky.state.json"),
    )
    .unwrap();
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/second/o"), "1\n");
    assert_eq!(place.state().stages["first"].attempt, 2);
}

#[test]
fn destroy_deletes_although_nothing_can_be_written() {
    let rows: [Row; 2] = [
        ("done", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
        (
            "long",
            &["done.o"],
            &[],
            "touch ../../../../begun; sleep 60",
        ),
    ];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    // As on a full disk: every write of a byte to a file fails.
    let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" destroy --auto-approve";
    let mut destroy = Command::new("/bin/sh");
    destroy
        .args(["-c", full, env!("CARGO_BIN_EXE_sky")])
        .current_dir(place.folder.path())
        .stdin(Stdio::null());
    let said = ended(&destroy.env_remove("SKY_DATA_DIR").output().unwrap(), 1);
    assert!(
        said.contains("all is deleted, but the state could not be written"),
        "{said}"
    );
    assert_eq!(place.processes(), 0);
    for gone in ["stages", "objects", "artifacts"] {
        assert!(!place.path(".sky").join(gone).exists(), "{gone}");
    }
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(place.state().stages.is_empty());
}
