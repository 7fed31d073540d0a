//! The machine that ran an apply is lost: another one, with a working folder of its own and the
//! same URL, goes on.

use super::servers::{On, Spot};
use super::wait;
use crate::execution::apply::place::{Row, ended};
use crate::execution::proof::ground::{self, Ground, JOB, RESULT};
use sky::execution::state::{State, Status};
use sky::model::Money;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// `sky` on a machine: the working folder is all that it has of its own.
fn on(ground: &Ground, spot: &Spot, machine: &str, args: &[&str]) -> Command {
    let mut command = ground.sky(args);
    spot.tell(&mut command)
        .env("SKY_DATA_DIR", ground.path(machine));
    command
}

fn apply(ground: &Ground, spot: &Spot, machine: &str) -> Command {
    on(
        ground,
        spot,
        machine,
        &["apply", "plan.json", "--provider", "sim"],
    )
}

fn state(ground: &Ground, spot: &Spot, machine: &str) -> State {
    let output = on(ground, spot, machine, &["state", "pull"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_runs_in_a_cloud_is_found_by_another_machine() {
    let rows: [Row; 2] = [
        (
            "train",
            &[],
            &["o"],
            "echo train >> \"RAN\"; i=0; until [ -e \"RAN.go\" ]; do i=$((i+1)); [ $i -lt 3000 ] || exit 9; sleep 0.05; \
             done; echo 1 > $SKY_OUTPUTS/o",
        ),
        (
            "serve",
            &["train.o"],
            &["o"],
            "echo serve >> \"RAN\"; cp $SKY_INPUTS/train.o $SKY_OUTPUTS/o || cp $SKY_INPUTS/o $SKY_OUTPUTS/o",
        ),
    ];
    for store in [On::S3, On::Azure] {
        let (ground, spot) = (
            Ground::with(ground::On::Sim, &rows, |_| {}),
            Spot::new(store),
        );
        let mut first = apply(&ground, &spot, "one")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait("its beginning", || ground.ran().contains_key("train"));
        first.kill().unwrap();
        first.wait().unwrap();
        std::fs::remove_dir_all(ground.path("one")).unwrap();
        assert!(
            state(&ground, &spot, "two").stages["train"]
                .status
                .in_flight()
        );
        assert!(
            spot.stored(&ground.path("two"))
                .iter()
                .any(|(name, _)| name.starts_with("/journal/"))
        );
        std::fs::write(ground.path("ran.go"), "").unwrap();
        ended(&apply(&ground, &spot, "two").output().unwrap(), 0);
        let after = state(&ground, &spot, "two");
        assert!(
            after
                .stages
                .values()
                .all(|stage| stage.status == Status::Done && !stage.live),
            "{:?}",
            after.stages
        );
        assert_eq!(
            after.stages["train"].attempt, 1,
            "{store:?}: it was begun again"
        );
        assert!(
            ground.ran().values().all(|count| *count == 1),
            "{store:?}: {:?}",
            ground.ran()
        );
        assert!(ground.bill().cost <= after.spent_micro_usd && ground.bill().running == 0);
        assert!(
            !spot
                .stored(&ground.path("two"))
                .iter()
                .any(|(name, _)| name.starts_with("/journal/"))
        );
        ended(
            &on(&ground, &spot, "two", &["destroy", "--auto-approve"])
                .output()
                .unwrap(),
            0,
        );
    }
}

#[test]
fn killed_at_any_point_nothing_is_lost_whoever_goes_on() {
    // Every fifth point of a whole apply, with the state in a bucket: go on where it was, or
    // elsewhere.
    let whole = (Ground::new(ground::On::Sim), Spot::new(On::S3));
    let log = whole.0.path("points");
    let mut command = apply(&whole.0, &whole.1, "one");
    ended(&command.env("SKY_CRASH_LOG", &log).output().unwrap(), 0);
    let points = whole.0.text("points").lines().count() as u64;
    assert!(points > 150, "{points}");
    let kills = AtomicUsize::new(0);
    ground::each(points / 5, |number| {
        // Elsewhere some of it is made again, which costs more than is planned.
        let whole_budget = number % 2 == 0;
        let ground = Ground::with(ground::On::Sim, &JOB, |plan| {
            plan.limits.budget_micro_usd = plan.limits.budget_micro_usd.filter(|_| whole_budget);
        });
        let spot = Spot::new(On::S3);
        let at = number * 5 - number % 4;
        let about = format!("killed at {at}");
        let killed = apply(&ground, &spot, "one")
            .env("SKY_CRASH_AT", at.to_string())
            .output()
            .unwrap();
        kills.fetch_add(
            usize::from(killed.status.code().is_none()),
            Ordering::SeqCst,
        );
        let heir = if number % 2 == 0 { "one" } else { "two" };
        ended(&apply(&ground, &spot, heir).output().unwrap(), 0);
        let after = state(&ground, &spot, heir);
        assert!(
            after
                .stages
                .values()
                .all(|stage| stage.status == Status::Done && !stage.live),
            "{about}: {after:?}"
        );
        assert_eq!(
            ground.text(&format!("{heir}/artifacts/f/all")),
            RESULT,
            "{about}"
        );
        // Elsewhere, outputs that are only on the lost machine are made again.
        let most = if heir == "one" { 1 } else { 2 };
        assert!(
            ground.ran().len() == 6 && ground.ran().values().all(|count| *count <= most),
            "{about}: {:?}",
            ground.ran()
        );
        let bill = ground.bill();
        assert!(
            bill.running == 0 && bill.cost <= after.spent_micro_usd && Money(0) < bill.cost,
            "{about}: {bill:?}"
        );
        assert!(
            !whole_budget || after.spent_micro_usd <= ground::BUDGET,
            "{about}: {}",
            after.spent_micro_usd
        );
        assert_eq!(ground.processes(), 0, "{about}");
        let swept = on(&ground, &spot, heir, &["sweep", "--dry-run"])
            .output()
            .unwrap();
        assert!(ended(&swept, 0).contains("Nothing to sweep"), "{about}");
    });
    let (kills, wanted) = (kills.into_inner() as u64, points / 5);
    // Stages run side by side, so a run may pass a few points less.
    assert!(kills + 5 >= wanted, "{kills} of {wanted}");
}
