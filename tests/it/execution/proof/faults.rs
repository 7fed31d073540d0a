//! Calls of a cloud that go wrong: every call, in every way; by chance; and with kills besides.

use super::ground::{Ground, On, each};
use crate::execution::apply::place::{self, Row, ended, wait};
use sky::execution::state::Status;
use std::process::Stdio;

/// Calls that every apply makes.
const CALLS: [&str; 7] = [
    "create", "worker", "stage-in", "start", "status", "collect", "release",
];

#[test]
fn trouble_that_passes_is_waited_out() {
    let faults = ["throttled", "unreachable", "lost-answer", "slow"];
    let cases: Vec<(&str, &str)> = CALLS
        .iter()
        .flat_map(|call| faults.map(|fault| (*call, fault)))
        .collect();
    each(cases.len() as u64, |number| {
        let (call, fault) = cases[number as usize - 1];
        let ground = Ground::new(On::Sim);
        ground.faults(&format!(
            "[[faults]]\ncall = \"{call}\"\ntimes = 4\nfault = \"{fault}\"\ndelay_ms = 50"
        ));
        ended(&ground.apply(&[]), 0);
        ground.check_done(&format!("{call}: {fault}"), 1);
    });
}

#[test]
fn what_does_not_pass_fails_a_stage_and_nothing_else() {
    each(CALLS.len() as u64, |number| {
        let call = CALLS[number as usize - 1];
        for fault in ["fail", "denied"] {
            let ground = Ground::new(On::Sim);
            let about = format!("{call}: {fault}");
            ground.faults(&format!(
                "[[faults]]\ncall = \"{call}\"\nstage = \"b\"\ntimes = 1\nfault = \"{fault}\""
            ));
            let output = ground.apply(&[]);
            let said = ended(&output, if call == "release" { 0 } else { 7 });
            if call == "release" {
                // The stage is done; its machine is still there, and that is said.
                assert!(
                    said.contains("cannot clean up") && said.contains("Still there: 1 machine"),
                    "{about}: {said}"
                );
            } else {
                assert!(
                    said.contains("stage.d: skipped") && said.contains("stage.e: done"),
                    "{about}: {said}"
                );
            }
            ended(&ground.apply(&[]), 0);
            // A stage that failed is run again as a whole.
            ground.check_done(&about, 2);
            assert!(
                ground
                    .ran()
                    .iter()
                    .all(|(name, count)| name == "b" || *count == 1),
                "{about}: {:?}",
                ground.ran()
            );
        }
    });
}

#[test]
fn trouble_by_chance_and_kills_besides() {
    each(48, |seed| {
        let ground = Ground::new(On::Sim);
        let about = format!("seed {seed}");
        ground.faults(&format!(
            "[random]\nseed = {seed}\npercent = 12\nfaults = [\"throttled\", \"unreachable\", \"lost-answer\", \"slow\"]"
        ));
        for kill in 0..3 {
            ground.crash(
                &["apply", "plan.json", "--provider", "sim"],
                20 + (seed * 37 + kill * 61) % 150,
            );
        }
        // So much at once may be too much for one apply; never for the guarantees.
        for _ in 0..3 {
            let code = ground.apply(&[]).status.code();
            assert!(matches!(code, Some(0 | 1 | 7)), "{about}: {code:?}");
            ground.check_money(&about);
        }
        ground.faults("");
        ended(&ground.apply(&[]), 0);
        let state = ground.state();
        ground.check_done(&about, 4);
        for (name, count) in ground.ran() {
            let attempts = state.stages[&name].attempt as usize;
            assert!(
                count <= attempts,
                "{about}: {name} ran {count} times in {attempts} attempts"
            );
        }
    });
}

/// An attempt of an earlier apply that cannot be ended costs its own stage, and no other: no second
/// one is begun beside it, and it stays in the state.
#[test]
fn an_earlier_attempt_that_cannot_be_ended_fails_its_stage_alone() {
    let rows: [Row; 2] = [
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
            "echo b >> \"RAN\"; echo 1 > $SKY_OUTPUTS/o",
        ),
    ];
    // What may still run has money set aside, and the other stage needs its own.
    let ground = Ground::with(On::Sim, &rows, |plan| plan.limits.budget_micro_usd = None);
    let mut child = ground
        .apply_command(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("their end and start", || {
        ground.ran().len() == 2
            && ground
                .state()
                .stages
                .get("b")
                .is_some_and(|record| record.status == Status::Done)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let former = ground.state().stages["a"].token.clone();
    let mut plan = sky::plan::file::read(&ground.path("plan.json")).unwrap();
    plan.digest = None;
    for stage in &mut plan.stages {
        let changed = |run: String| {
            run.replace("sleep 300", "true")
                .replace("echo 1 >", "echo 2 >")
        };
        stage.run = stage.run.take().map(changed);
    }
    std::fs::write(ground.path("plan.json"), place::text(&plan)).unwrap();
    ground.faults("[[faults]]\ncall = \"release\"\nstage = \"a\"\nfault = \"denied\"");
    let said = ended(&ground.apply(&[]), 7);
    assert!(
        said.contains("stage.a: failed") && said.contains("cannot end its attempt 1"),
        "{said}"
    );
    assert!(
        said.contains("stage.b: done") && said.contains("Still there: 1 machine"),
        "{said}"
    );
    let state = ground.state();
    assert!(state.stages["a"].live && state.stages["a"].token == former);
    assert_eq!(
        (ground.bill().running, ground.ran()["a"], ground.ran()["b"]),
        (1, 1, 2)
    );
    ground.faults("");
    ended(&ground.apply(&[]), 0);
    ground.check_nothing_left("the attempt can be ended again");
    assert_eq!((ground.ran()["a"], ground.ran()["b"]), (2, 2));
}
