//! Machines that let nobody in: they cost money like all others, and are deleted by their cloud's
//! API.

use super::ground::{Ground, JOB, On, each};
use crate::execution::apply::place::{Row, ended, wait};
use std::process::Stdio;

const LONG: [Row; 3] = [
    (
        "a",
        &[],
        &["o"],
        "echo a >> \"RAN\"; sleep 300; echo 1 > $SKY_OUTPUTS/o",
    ),
    (
        "b",
        &[],
        &["o"],
        "echo b >> \"RAN\"; sleep 300; echo 1 > $SKY_OUTPUTS/o",
    ),
    (
        "c",
        &[],
        &["o"],
        "echo c >> \"RAN\"; sleep 300; echo 1 > $SKY_OUTPUTS/o",
    ),
];
/// Nobody gets into any machine.
const NOBODY: &str = "[[faults]]\ncall = \"worker\"\nfault = \"denied\"\n[[faults]]\ncall = \"status\"\nfault = \"unreachable\"\n";

/// Three machines that run, whose sky was killed.
fn orphans(on: On) -> Ground {
    let ground = Ground::with(on, &LONG, |_| {});
    let mut child = ground
        .apply_command(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("their start", || ground.ran().len() == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    ground
}

#[test]
fn destroy_deletes_machines_that_let_nobody_in() {
    for fault in ["denied", "unreachable", "fail"] {
        let ground = orphans(On::Sim);
        ground.faults(&NOBODY.replace("denied", fault));
        assert_eq!(ground.bill().running, 3);
        let said = ended(
            &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
        assert!(said.contains("3 stages"), "{fault}: {said}");
        assert_eq!(
            (ground.bill().running, ground.processes()),
            (0, 0),
            "{fault}"
        );
        assert!(ground.state().stages.is_empty());
    }
}

/// Killed at every record and every call, a destroy of such machines goes on and leaves nothing.
#[test]
fn destroy_of_machines_that_let_nobody_in_is_killed_at_every_point() {
    let begin = || {
        let ground = Ground::with(On::Sim, &JOB, |_| {});
        assert!(ground.crash(&["apply", "plan.json", "--provider", "sim"], 70));
        ground.faults(NOBODY);
        ground
    };
    let destroy = ["destroy", "--auto-approve"];
    let points = begin().points(&destroy);
    assert!(points > 5, "{points}");
    each(points, |point| {
        let ground = begin();
        ground.crash(&destroy, point);
        ended(&ground.sky(&destroy).output().unwrap(), 0);
        ground.check_nothing_left(&format!(
            "nobody gets in, destroy killed at {point} of {points}"
        ));
        assert!(ground.state().stages.is_empty());
    });
}

#[test]
fn destroy_goes_on_after_a_failure_and_says_at_the_end_what_is_left() {
    let ground = orphans(On::Sim);
    let refused = "[[faults]]\ncall = \"delete\"\nstage = \"a\"\nfault = \"denied\"\n";
    ground.faults(&format!("{NOBODY}{refused}"));
    let said = ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        1,
    );
    for words in [
        "stage.a attempt 1 at sim could not be deleted",
        "2 stages are no longer in the state",
        "`sky destroy` again",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert!(
        !said.contains("stage.b attempt 1 at sim could not be deleted"),
        "{said}"
    );
    assert_eq!(ground.bill().running, 1);
    let state = ground.state();
    assert_eq!(state.stages.keys().collect::<Vec<_>>(), ["a"]);
    assert!(state.stages["a"].live);
    // For programs, too.
    let said = ended(
        &ground
            .sky(&["destroy", "--auto-approve", "--json"])
            .output()
            .unwrap(),
        1,
    );
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["changes"]["failed"], &last["changes"]["remove"]),
        (&1.into(), &0.into()),
        "{said}"
    );
    assert!(said.contains("\"diagnostic\""), "{said}");
    // A failed operation is over: nothing looks as if it had been cut off.
    assert_eq!(ground.text(".sky/journal"), "");
    ground.faults(NOBODY);
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!((ground.bill().running, ground.processes()), (0, 0));
    assert!(ground.state().stages.is_empty());
}

#[test]
fn destroy_deletes_what_the_state_knows_when_the_provider_lists_nothing() {
    let ground = orphans(On::Sim);
    ground.faults(&format!(
        "{NOBODY}[[faults]]\ncall = \"list\"\nfault = \"denied\"\n"
    ));
    let said = ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        1,
    );
    assert!(
        said.contains("whatever else sim has of this state could not be deleted"),
        "{said}"
    );
    assert_eq!((ground.bill().running, ground.processes()), (0, 0));
    // What was not seen may be there: the state keeps who is to be asked.
    assert_eq!(ground.state().stages.len(), 3);
    ground.faults("");
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(ground.state().stages.is_empty());
}

#[test]
fn refresh_goes_on_where_nobody_gets_in() {
    let ground = orphans(On::Sim);
    ground.faults(NOBODY);
    let said = ended(&ground.sky(&["refresh"]).output().unwrap(), 0);
    assert!(
        said.contains("stage.a: its machine is there, and lets nobody in"),
        "{said}"
    );
    // One that cannot be looked at at all keeps nobody from seeing that another is gone.
    let gone = ground.state().stages["b"].token.clone();
    std::fs::remove_dir_all(ground.cloud().join("machines").join(gone)).unwrap();
    ground.faults(&format!(
        "{NOBODY}[[faults]]\ncall = \"get\"\nstage = \"a\"\nfault = \"denied\"\n"
    ));
    let said = ended(&ground.sky(&["refresh"]).output().unwrap(), 1);
    assert!(
        said.contains("stage.a: nothing is known of its machine"),
        "{said}"
    );
    assert!(
        said.contains("stage.b: its machine was deleted outside of sky"),
        "{said}"
    );
    let state = ground.state();
    assert!(state.stages["a"].live && !state.stages["b"].live && state.stages["c"].live);
    ground.faults("");
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.bill().running, 0);
}

#[test]
fn sweep_deletes_machines_that_let_nobody_in_and_goes_on_after_a_failure() {
    let ground = orphans(On::Sim);
    std::fs::remove_dir_all(ground.path(".sky")).unwrap();
    let refused = "[[faults]]\ncall = \"delete\"\nstage = \"a\"\nfault = \"denied\"\n";
    ground.faults(&format!("{NOBODY}{refused}"));
    let said = ended(
        &ground
            .sky(&["sweep", "--all", "--dry-run"])
            .output()
            .unwrap(),
        2,
    );
    assert!(
        ["stage.a", "stage.b", "stage.c"]
            .iter()
            .all(|stage| said.contains(stage)),
        "{said}"
    );
    let said = ended(
        &ground
            .sky(&["sweep", "--all", "--auto-approve"])
            .output()
            .unwrap(),
        1,
    );
    assert!(
        said.contains("could not be deleted") && said.contains("2 deleted, 1 left"),
        "{said}"
    );
    assert_eq!(ground.bill().running, 1);
    ground.faults(NOBODY);
    ended(
        &ground
            .sky(&["sweep", "--all", "--auto-approve"])
            .output()
            .unwrap(),
        0,
    );
    assert_eq!((ground.bill().running, ground.processes()), (0, 0));
}

/// A machine whose lease is over is overdue, also if the state still has it: nobody is at work on
/// it.
#[test]
fn sweep_sees_what_has_outlived_its_lease_although_the_state_has_it() {
    let ground = orphans(On::Local);
    let said = ended(&ground.sky(&["sweep", "--dry-run"]).output().unwrap(), 0);
    assert!(said.contains("Nothing to sweep"), "{said}");
    std::fs::write(ground.path(".sky/stages/a/1/.run/lease"), "1\n").unwrap();
    let said = ended(&ground.sky(&["sweep", "--dry-run"]).output().unwrap(), 2);
    assert!(
        said.contains("its lease is over") && said.contains("stage.a") && !said.contains("stage.b"),
        "{said}"
    );
    let said = ended(
        &ground.sky(&["sweep", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(said.contains("1 deleted"), "{said}");
    let state = ground.state();
    assert!(!state.stages["a"].live && state.stages["b"].live && state.stages["c"].live);
    assert_eq!(
        state.stages["a"].status,
        sky::execution::state::Status::Lost
    );
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.processes(), 0);
}

#[test]
fn a_damaged_description_of_a_machine_hides_no_other() {
    let ground = orphans(On::Ssh);
    let token = ground.state().stages["a"].token.clone();
    let tags = ground.path("host/machines").join(&token).join("tags");
    let good = std::fs::read_to_string(&tags).unwrap();
    let stranger = ground.path("host/machines/not a token");
    std::fs::create_dir_all(stranger.join("box/.run")).unwrap();
    // For a state that has none of them, all three are to be listed.
    let own = ["sky.state.json", "sky.state.json.backup", ".sky"];
    let aside = |name: &str| ground.path(&format!("{name}.aside"));
    for name in own.iter().filter(|name| ground.path(name).exists()) {
        std::fs::rename(ground.path(name), aside(name)).unwrap();
    }
    for damage in [
        "",
        "{",
        "garbage\n",
        &good.replace(&token, &"f".repeat(32)),
        &good.replace("\"a\"", "\"../../x\""),
    ] {
        std::fs::write(&tags, damage).unwrap();
        let said = ended(
            &ground
                .sky(&["sweep", "--all", "--dry-run", "--provider", "ssh"])
                .output()
                .unwrap(),
            1,
        );
        assert!(
            said.contains(&format!("the tags of machine {token} are damaged")),
            "{said}"
        );
        assert!(
            said.contains("stage.b") && said.contains("stage.c") && !said.contains("stage.a"),
            "{said}"
        );
    }
    for name in own {
        let here = ground.path(name);
        if here.is_dir() {
            std::fs::remove_dir_all(&here).unwrap();
        } else if here.exists() {
            std::fs::remove_file(&here).unwrap();
        }
        if aside(name).exists() {
            std::fs::rename(aside(name), here).unwrap();
        }
    }
    // What is to be deleted need not be understood.
    let said = ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(said.contains("3 stages"), "{said}");
    assert_eq!(ground.processes(), 0);
    std::fs::remove_dir_all(stranger).unwrap();
    assert_eq!(ground.machines(), Vec::<std::path::PathBuf>::new());
}
