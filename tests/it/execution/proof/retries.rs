//! A command that fails is run again as often as the plan says, each time with money of its own.

use super::ground::{Ground, On, each};
use crate::execution::apply::place::{Row, ended};
use sky::model::{Money, Retries};
use std::sync::atomic::{AtomicU64, Ordering};

/// Fails twice with the code 75, then ends well.
const FAILS_TWICE: [Row; 1] = [(
    "flaky",
    &[],
    &["o"],
    "echo flaky >> \"RAN\"; [ $(grep -c flaky \"RAN\") -ge 3 ] || exit 75; echo 1 > $SKY_OUTPUTS/o",
)];

fn ground(rows: &[Row], times: u32, on: &[i32]) -> Ground {
    Ground::with(On::Sim, rows, |plan| {
        plan.transfers.clear();
        plan.limits.budget_micro_usd = Some(Money(400_000));
        plan.stages[0].retries = Some(Retries {
            times,
            on: on.iter().copied().collect(),
        });
    })
}

#[test]
fn until_it_ends_well() {
    for on in [&[75][..], &[]] {
        let ground = ground(&FAILS_TWICE, 3, on);
        let said = ended(&ground.apply(&[]), 0);
        assert!(
            said.contains("ended with exit code 75; retry 1 of 3") && said.contains("retry 2 of 3"),
            "{said}"
        );
        let state = ground.state();
        assert_eq!(
            (
                state.stages["flaky"].attempt,
                ground.bill().machines,
                ground.ran()["flaky"]
            ),
            (3, 3, 3)
        );
        assert!(
            ground.bill().cost <= state.spent_micro_usd,
            "each try is on the account"
        );
        ground.check_nothing_left("retried");
    }
}

#[test]
fn not_after_other_exit_codes() {
    let ground = ground(&FAILS_TWICE, 3, &[137]);
    let said = ended(&ground.apply(&[]), 1);
    assert!(
        said.contains("exit code 75") && !said.contains("retry"),
        "{said}"
    );
    assert_eq!(ground.ran()["flaky"], 1);
}

#[test]
fn not_more_often_than_the_plan_says_and_anew_with_every_apply() {
    let rows: [Row; 1] = [("broken", &[], &["o"], "echo broken >> \"RAN\"; exit 9")];
    let ground = ground(&rows, 2, &[]);
    ended(&ground.apply(&[]), 1);
    assert_eq!(ground.ran()["broken"], 3);
    ended(&ground.apply(&[]), 1);
    assert_eq!(ground.ran()["broken"], 6);
    ground.check_nothing_left("broken");
}

/// What was tried before a kill counts.
#[test]
fn killed_at_every_point_it_is_tried_no_more_often() {
    let apply = ["apply", "plan.json", "--provider", "sim"];
    let points = ground(&FAILS_TWICE, 2, &[75]).points(&apply);
    let killed = AtomicU64::new(0);
    each(points, |point| {
        let ground = ground(&FAILS_TWICE, 2, &[75]);
        let about = format!("killed at point {point} of {points}");
        killed.fetch_add(u64::from(ground.crash(&apply, point)), Ordering::SeqCst);
        ended(&ground.apply(&[]), 0);
        assert_eq!(ground.ran()["flaky"], 3, "{about}");
        let state = ground.state();
        assert!(
            ground.bill().cost <= state.spent_micro_usd && state.spent_micro_usd <= Money(400_000),
            "{about}"
        );
        ground.check_nothing_left(&about);
    });
    assert!(killed.into_inner() >= 60, "{points}");
    // Of a command that always fails, too.
    let rows: [Row; 1] = [("broken", &[], &["o"], "echo broken >> \"RAN\"; exit 9")];
    let points = 120;
    each(points / 4, |point| {
        let ground = ground(&rows, 2, &[]);
        if ground.crash(&apply, point * 4) {
            ended(&ground.apply(&[]), 1);
            // Killed after the last of them failed, the next apply is a new one, with tries of its
            // own.
            let ran = ground.ran()["broken"];
            assert!(
                (3..=6).contains(&ran),
                "killed at point {}: {ran}",
                point * 4
            );
            assert!(ran == 3 || ground.text("ran").lines().count() >= 3, "{ran}");
        }
    });
}
