//! Money: set aside before it can be spent.

use super::ground::{Ground, JOB, On, PLANNED, each, kill_every};
use crate::execution::apply::place::{Row, ended};
use crate::execution::stores::servers::{self, Spot};
use sky::execution::state::State;
use sky::model::{Millis, Money};
use sky::plan::{Billing, Plan};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn what_is_planned_fits_exactly() {
    let ground = Ground::with(On::Sim, &JOB, |plan| {
        plan.limits.budget_micro_usd = Some(PLANNED)
    });
    ended(&ground.apply(&[]), 0);
    ground.check_done("exact budget", 1);
}

#[test]
fn what_does_not_fit_is_not_begun() {
    // Enough for two stages at a time, and not for three.
    let tight = |plan: &mut Plan| {
        plan.limits.budget_micro_usd = Some(Money(150_000));
        for stage in &mut plan.stages {
            // Whatever is begun is billed by the minute.
            stage.billing = Billing {
                increment_ms: Millis(60_000),
                minimum_ms: Millis(60_000),
            };
        }
    };
    let ground = Ground::with(On::Sim, &JOB, tight);
    let said = ended(&ground.apply(&["--parallelism", "1"]), 4);
    for words in [
        "denied",
        "the budget of $0.15 does not allow it",
        "planned",
        "of a budget of $0.15",
        "not begun",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let state = ground.state();
    assert_eq!(
        state.spent_micro_usd,
        Money(120_000),
        "two stages, a minute each"
    );
    assert_eq!(ground.bill().machines, 2);
    ground.check_nothing_left("tight");
    // More money, and it goes on.
    ended(&ground.apply(&["--budget", "$1"]), 0);
    assert!(ground.ran().values().all(|count| *count == 1));
}

/// Eight stages of $0.06 side by side, and money for two.
fn too_many_for_their_budget(on: On) -> Ground {
    let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let rows: Vec<Row> = names
        .iter()
        .map(|name| {
            (
                name.as_str(),
                &[][..],
                &["o"][..],
                "echo ran >> \"RAN\"; echo 1 > $SKY_OUTPUTS/o",
            )
        })
        .collect();
    Ground::with(on, &rows, |plan| {
        plan.transfers.clear();
        plan.limits.budget_micro_usd = Some(Money(150_000));
        for stage in &mut plan.stages {
            stage.billing = Billing {
                increment_ms: Millis(60_000),
                minimum_ms: Millis(60_000),
            };
        }
    })
}

fn all_at_once(on: On) -> [&'static str; 6] {
    let provider = match on {
        On::Sim => "sim",
        On::Ssh => "ssh",
        _ => "local",
    };
    [
        "apply",
        "plan.json",
        "--provider",
        provider,
        "--parallelism",
        "8",
    ]
}

/// A reservation is made before the store has heard of it, so the time that a store takes must not
/// matter.
#[test]
fn a_reservation_counts_at_once_in_every_store_however_late_it_answers() {
    for store in servers::ALL {
        for delay in [0, 150] {
            let ground = too_many_for_their_budget(On::Sim);
            let spot = Spot::late(store, Duration::from_millis(delay));
            let about = format!("{store:?}, {delay} ms");
            let sky = |args: &[&str]| spot.tell(&mut ground.sky(args)).output().unwrap();
            let apply = all_at_once(On::Sim);
            let said = ended(&sky(&apply), 4);
            assert!(
                said.contains("the budget of $0.15 does not allow it"),
                "{about}: {said}"
            );
            let state: State = serde_json::from_slice(&sky(&["state", "pull"]).stdout).unwrap();
            assert_eq!(
                state.spent_micro_usd,
                Money(120_000),
                "{about}: two stages, a minute each"
            );
            assert_eq!(
                (ground.bill().machines, ground.ran()["ran"]),
                (2, 2),
                "{about}"
            );
            // What is left is not enough for a third; more money is for the rest.
            ended(&sky(&apply), 4);
            assert_eq!(ground.bill().machines, 2, "{about}");
            ended(&sky(&[&apply[..], &["--budget", "$1"]].concat()), 0);
            assert_eq!(ground.ran()["ran"], 8, "{about}");
        }
    }
}

/// The same, killed at points of the way, and what must be true then. The store of the state may
/// answer late.
#[allow(clippy::print_stdout)] // The figures are what is to be seen.
fn a_budget_holds_wherever_sky_is_killed(on: On, store: servers::On, delay: u64, nth: u64) {
    let nth = kill_every(nth);
    let apply = all_at_once(on);
    let begin = || {
        let spot = Spot::late(store, Duration::from_millis(delay));
        (too_many_for_their_budget(on), spot)
    };
    // On this machine nothing costs anything: all eight are done.
    let (code, ran, cost) = match on {
        On::Local => (0, 8, Money(0)),
        _ => (4, 2, Money(120_000)),
    };
    let (whole, spot) = begin();
    let undisturbed = spot
        .tell(&mut whole.sky(&apply))
        .env("SKY_CRASH_LOG", whole.path("points"))
        .output()
        .unwrap();
    ended(&undisturbed, code);
    let points = whole.text("points").lines().count() as u64;
    assert!(points > 50, "{points}");
    let killed = AtomicU64::new(0);
    each(points / nth, |number| {
        let (ground, spot) = begin();
        let at = number * nth;
        let about = format!("{on:?}, {store:?}, {delay} ms, killed at point {at} of {points}");
        let sky = |args: &[&str]| spot.tell(&mut ground.sky(args)).output().unwrap();
        let crashed = spot
            .tell(&mut ground.sky(&apply))
            .env("SKY_CRASH_AT", at.to_string())
            .output()
            .unwrap();
        killed.fetch_add(u64::from(crashed.status.code().is_none()), Ordering::SeqCst);
        ended(&sky(&apply), code);
        let state: State = serde_json::from_slice(&sky(&["state", "pull"]).stdout).unwrap();
        assert_eq!(
            (state.spent_micro_usd, ground.ran()["ran"]),
            (cost, ran),
            "{about}: a minute for each stage that ran"
        );
        if on == On::Sim {
            let bill = ground.bill();
            assert_eq!((bill.machines, bill.running), (2, 0), "{about}: {bill:?}");
        }
        ended(&sky(&["destroy", "--auto-approve"]), 0);
        let swept = ended(&sky(&["sweep", "--provider", apply[3], "--dry-run"]), 0);
        assert!(
            swept.contains("Nothing to sweep") && ground.processes() == 0,
            "{about}: {swept}"
        );
    });
    let killed = killed.into_inner();
    println!(
        "budget on {on:?}, {store:?}, {delay} ms: {killed} kills at {points} points, no violation"
    );
    assert!(killed + 5 >= points / nth, "{killed} of {points}");
}

#[test]
fn a_budget_holds_wherever_sky_is_killed_in_every_store() {
    a_budget_holds_wherever_sky_is_killed(On::Sim, servers::On::Folder, 0, 1);
    a_budget_holds_wherever_sky_is_killed(On::Sim, servers::On::S3, 40, 4);
    a_budget_holds_wherever_sky_is_killed(On::Sim, servers::On::Azure, 40, 4);
}

/// Hosts of one's own have prices, too.
#[test]
fn a_budget_holds_wherever_sky_is_killed_over_ssh() {
    a_budget_holds_wherever_sky_is_killed(On::Ssh, servers::On::Folder, 0, 4);
    a_budget_holds_wherever_sky_is_killed(On::Ssh, servers::On::S3, 40, 12);
}

#[test]
fn a_budget_holds_wherever_sky_is_killed_on_this_machine() {
    a_budget_holds_wherever_sky_is_killed(On::Local, servers::On::Folder, 0, 4);
    a_budget_holds_wherever_sky_is_killed(On::Local, servers::On::S3, 40, 12);
}

#[test]
fn a_stage_that_overruns_is_ended_by_its_lease() {
    let rows: [Row; 1] = [(
        "slow",
        &[],
        &["o"],
        "echo slow >> \"RAN\"; sleep 300; echo 1 > $SKY_OUTPUTS/o",
    )];
    let ground = Ground::with(On::Sim, &rows, |plan| {
        plan.stages[0].end_ms = Millis(1500);
        plan.stages[0].cost_micro_usd = Money(1500);
        plan.limits.budget_micro_usd = Some(Money(2500));
    });
    let said = ended(&ground.apply(&[]), 4);
    assert!(
        said.contains("the budget allows no longer lease") && said.contains("denied"),
        "{said}"
    );
    let (bill, spent) = (ground.bill(), ground.state().spent_micro_usd);
    assert!(
        bill.cost <= spent && bill.cost <= Money(2500),
        "{bill:?} {spent}"
    );
    // The account counts from before the call that makes the machine. Where that call takes long,
    // the account may be more than was set aside, and says so.
    let told = said.contains("its machine was there for longer than its lease");
    assert!(
        spent <= Money(if told { 5000 } else { 2500 }),
        "{bill:?} {spent}: {said}"
    );
    ground.check_nothing_left("overrun");
}

#[test]
fn a_machine_ends_itself_when_sky_never_comes_back() {
    let rows: [Row; 1] = [(
        "long",
        &[],
        &["o"],
        "echo long >> \"RAN\"; sleep 300; echo 1 > $SKY_OUTPUTS/o",
    )];
    let ground = Ground::with(On::Sim, &rows, |plan| {
        plan.stages[0].end_ms = Millis(2000);
        plan.stages[0].cost_micro_usd = Money(2000);
        plan.limits.budget_micro_usd = Some(Money(2600));
    });
    let mut child = ground
        .apply_command(&[])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::execution::apply::place::wait("its start", || !ground.ran().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ground.processes() > 0);
    crate::execution::apply::place::wait("its end", || {
        ground.processes() == 0 && ground.bill().running == 0
    });
    assert!(ground.bill().cost <= Money(2600), "{:?}", ground.bill());
    // The next apply knows, and what is left of the budget is not enough for all of it again.
    let said = ended(&ground.apply(&[]), 4);
    assert!(
        said.contains("its lease ended") || said.contains("its machine is gone"),
        "{said}"
    );
    assert!(ground.state().spent_micro_usd <= Money(2600));
    ground.check_nothing_left("alone");
}

/// Nobody renews the lease of what a killed `sky` has left at work until the next one takes it up.
/// So that does not wait for its turn behind other stages.
#[test]
fn what_is_at_work_is_taken_up_first_whatever_the_parallelism() {
    let wait = "until [ -e \"RAN.go\" ]; do sleep 0.05; done; echo 1 > $SKY_OUTPUTS/o";
    let commands = ["first", "left"].map(|name| format!("echo {name} >> \"RAN\"; {wait}"));
    let rows: [Row; 2] = [
        ("first", &[], &["o"], &commands[0]),
        ("left", &[], &["o"], &commands[1]),
    ];
    let ground = Ground::with(On::Sim, &rows, |plan| plan.transfers.clear());
    let first_is_not_to_be_had =
        "[[faults]]\ncall = \"create\"\nstage = \"first\"\ntimes = 1\nfault = \"stockout\"\n";
    ground.faults(first_is_not_to_be_had);
    let one_at_a_time = ["--parallelism", "1"];
    let mut child = ground
        .apply_command(&one_at_a_time)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::execution::apply::place::wait("its start", || ground.ran().contains_key("left"));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(ground.path("ran.go"), "").unwrap();
    let said = ended(&ground.apply(&one_at_a_time), 0);
    let at = |words: &str| {
        said.find(words)
            .unwrap_or_else(|| panic!("no `{words}` in {said}"))
    };
    assert!(
        at("stage.left: going on") < at("stage.first: starting"),
        "{said}"
    );
    assert_eq!(
        ground.ran(),
        [("first".to_owned(), 1), ("left".to_owned(), 1)].into()
    );
    ground.check_nothing_left("taken up first");
}

#[test]
fn what_costs_nothing_needs_no_budget() {
    let ground = Ground::with(On::Local, &JOB, |plan| {
        plan.limits.budget_micro_usd = Some(Money(0))
    });
    ended(&ground.apply(&[]), 0);
    ground.check_done("free", 1);
    assert_eq!(ground.state().spent_micro_usd, Money(0));
}

/// The machine takes its time to come up, and so does bringing inputs there and outputs home: each
/// takes as long as a lease, which is renewed all the while.
#[test]
fn a_lease_is_renewed_in_every_phase_and_a_command_that_ended_well_runs_once() {
    let rows: [Row; 1] = [(
        "slow",
        &[],
        &["o"],
        "echo slow >> \"RAN\"; echo 1 > $SKY_OUTPUTS/o",
    )];
    let ground = Ground::with(On::Sim, &rows, |plan| {
        plan.transfers.clear();
        plan.stages[0].end_ms = Millis(1000);
        plan.limits.budget_micro_usd = Some(Money(120_000));
    });
    let late = |call: &str| {
        format!("[[faults]]\ncall = \"{call}\"\ntimes = 1\nfault = \"slow\"\ndelay_ms = 10000\n")
    };
    ground.faults(&["worker", "stage-in", "collect"].map(late).concat());
    let mut apply = ground.apply_command(&[]);
    ended(
        &apply
            .env("SKY_TEST_LEASE_SLACK_MS", "8000")
            .output()
            .unwrap(),
        0,
    );
    let state = ground.state();
    assert_eq!((state.stages["slow"].attempt, ground.ran()["slow"]), (1, 1));
    let (bill, spent) = (ground.bill(), state.spent_micro_usd);
    assert!(
        Money(30_000) < spent && bill.cost <= spent && spent <= Money(120_000),
        "{bill:?} {spent}"
    );
    ground.check_nothing_left("slow phases");
}

/// A command can write to the file from which the watchdog on its machine reads the end of its
/// lease.
#[test]
fn a_command_that_lengthens_its_own_lease_is_ended_all_the_same() {
    let command = "echo liar >> \"RAN\"; echo 99999999 > $SKY_OUTPUTS/../.run/lease; sleep 300; echo 1 > $SKY_OUTPUTS/o";
    let rows: [Row; 1] = [("liar", &[], &["o"], command)];
    for on in [On::Sim, On::Ssh] {
        let ground = Ground::with(on, &rows, |plan| {
            plan.stages[0].end_ms = Millis(1500);
            plan.stages[0].cost_micro_usd = Money(1500);
            plan.limits.budget_micro_usd = Some(Money(2500));
        });
        let begun = Instant::now();
        let said = ended(&ground.apply(&[]), 4);
        assert!(
            begun.elapsed() < Duration::from_secs(60) && said.contains("its lease ended"),
            "{on:?}: {said}"
        );
        let spent = ground.state().spent_micro_usd;
        match on {
            // A cloud ends it when the lease is over that the cloud knows of.
            On::Sim => assert!(
                ground.bill().cost <= spent && spent <= Money(2500),
                "{spent}"
            ),
            // On a host it ran on until sky looked: the account has what that has cost.
            _ => assert!(
                said.contains("more than was set aside") && spent > Money(2500),
                "{said}"
            ),
        }
        ground.check_nothing_left("a liar");
    }
}

#[test]
fn a_lease_that_is_no_number_ends_a_command_too() {
    let rows: [Row; 1] = [(
        "odd",
        &[],
        &["o"],
        "echo odd >> \"RAN\"; echo '1 +' > $SKY_OUTPUTS/../.run/lease; sleep 300",
    )];
    let ground = Ground::with(On::Local, &rows, |_| {});
    let mut child = ground
        .apply_command(&[])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::execution::apply::place::wait("its start", || !ground.ran().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    // The watchdog is still there, as are the shell, the command and its sleep.
    assert!(ground.processes() >= 4, "{}", ground.processes());
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
}
