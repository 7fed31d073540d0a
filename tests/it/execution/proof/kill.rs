//! `kill -9` at every point of an apply: before and after every journal record, half-way through
//! it, before and after every call of a provider. Then the next apply goes on.

use super::failover::announced;
use super::ground::{Ground, On, each, kill_every};
use crate::execution::apply::place::ended;
use std::sync::atomic::{AtomicU64, Ordering};

/// On a cluster one point of so many is tried: a job takes its time to begin and to end.
const EVERY_JOB: u64 = 10;

/// And where every machine is a server of its own.
#[cfg(any(feature = "aws", feature = "gcp"))]
const EVERY_SERVER: u64 = 7;

/// The least number of points of a job with six stages.
const POINTS: u64 = 200;

fn killed_everywhere(on: On) {
    killed_at_every(1, on);
}

/// At every nth point, or at every `$SKY_TEST_KILL_EVERY`th: at the clouds all of them take hours.
#[allow(clippy::print_stdout)] // The figures are what is to be seen.
fn killed_at_every(nth: u64, on: On) {
    let nth = kill_every(nth);
    let ground = Ground::new(on);
    let apply = ["apply", "plan.json", "--provider", ground.provider()];
    let points = ground.points(&apply);
    ground.check_done("undisturbed", 1);
    assert!(points >= POINTS, "{points}");
    let killed = AtomicU64::new(0);
    each(points / nth, |point| {
        let point = point * nth;
        let ground = Ground::new(on);
        let about = format!("{on:?}, killed at point {point} of {points}");
        killed.fetch_add(u64::from(ground.crash(&apply, point)), Ordering::SeqCst);
        ended(&ground.apply(&[]), 0);
        ground.check_done(&about, 1);
        ended(
            &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
        ground.check_nothing_left(&about);
        for gone in ["stages", "objects", "artifacts"] {
            assert!(!ground.path(".sky").join(gone).exists(), "{about}: {gone}");
        }
        assert_eq!(
            ground.machines(),
            Vec::<std::path::PathBuf>::new(),
            "{about}"
        );
        #[cfg(feature = "azure")]
        if let Some(azure) = ground.microsoft() {
            assert_eq!(
                azure.names("resourceGroups"),
                Vec::<String>::new(),
                "{about}"
            );
        }
        ground.check_no_buckets(&about);
        #[cfg(feature = "aws")]
        if on == On::Aws {
            for region in ["us-east-1", "us-west-2"] {
                assert_eq!(
                    ground.account().groups(region),
                    Vec::<String>::new(),
                    "{about}"
                );
            }
        }
    });
    // The order of what runs side by side differs, and with it, by a few, the number of looks.
    let killed = killed.into_inner();
    assert!(killed >= POINTS / nth, "{killed} of {points}");
    println!("{on:?}: {killed} kills at {points} points, no violation");
}

#[test]
fn at_every_point_on_this_machine() {
    killed_everywhere(On::Local);
}

#[test]
fn at_every_point_in_the_simulated_cloud() {
    killed_everywhere(On::Sim);
}

#[test]
fn at_every_point_over_ssh() {
    killed_everywhere(On::Ssh);
}

/// The machine is about to be taken away when `sky` is killed, or was left by it for that.
#[test]
#[allow(clippy::print_stdout)]
fn at_every_point_with_a_notice() {
    let apply = ["apply", "plan.json", "--provider", "sim"];
    let points = announced(3000, true).points(&apply);
    let killed = AtomicU64::new(0);
    each(points, |point| {
        let ground = announced(3000, true);
        let about = format!("a notice, killed at point {point} of {points}");
        killed.fetch_add(u64::from(ground.crash(&apply, point)), Ordering::SeqCst);
        ended(&ground.apply(&[]), 0);
        assert_eq!(ground.text(".sky/artifacts/train/o"), "200\n", "{about}");
        // Killed after it was left for another machine, it is not begun a third time.
        assert!(
            ground.text("ran").lines().count() <= 2,
            "{about}: {}",
            ground.text("ran")
        );
        ended(
            &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
        ground.check_nothing_left(&about);
    });
    let killed = killed.into_inner();
    assert!(killed >= 40, "{killed} of {points}");
    println!("a notice: {killed} kills at {points} points, no violation");
}

/// Object stores of two clouds have what stages hand on; every point would take long.
#[test]
fn at_many_points_with_data_in_buckets() {
    killed_at_every(9, On::Staged);
}

#[cfg(feature = "aws")]
#[test]
fn at_many_points_at_amazon() {
    killed_at_every(EVERY_SERVER, On::Aws);
}

/// Where an apply and a destroy are killed again and again.
const ALL: &[On] = &[
    On::Local,
    On::Sim,
    On::Ssh,
    On::Staged,
    #[cfg(feature = "aws")]
    On::Aws,
    #[cfg(feature = "azure")]
    On::Azure,
    #[cfg(feature = "gcp")]
    On::Gcp,
    #[cfg(feature = "kubernetes")]
    On::Kubernetes,
];

#[cfg(feature = "gcp")]
#[test]
fn at_many_points_at_google() {
    killed_at_every(EVERY_SERVER, On::Gcp);
}

/// What differs from instances is how they are made, found and ended.
#[cfg(feature = "gcp")]
#[test]
fn at_some_points_with_tpus() {
    killed_at_every(20, On::Tpu);
}

/// The same.
#[cfg(feature = "azure")]
#[test]
fn at_many_points_at_microsoft() {
    killed_at_every(7, On::Azure);
}

#[test]
fn on_a_cluster() {
    killed_at_every(EVERY_JOB, On::Slurm);
}

/// Every pod begins a shell or two, in a namespace of its own.
#[cfg(feature = "kubernetes")]
#[test]
fn at_many_points_in_pods() {
    killed_at_every(7, On::Kubernetes);
}

#[test]
fn again_and_again() {
    // Each apply is killed a little later than the one before: progress is made all the same.
    for on in ALL.iter().copied().chain([On::Slurm]) {
        let ground = Ground::new(on);
        let apply = ["apply", "plan.json", "--provider", ground.provider()];
        let mut kills = 0;
        while kills < 60 && ground.crash(&apply, 11 + kills % 7) {
            kills += 1;
        }
        assert!(kills > 5, "{kills}");
        ended(&ground.apply(&[]), 0);
        ground.check_done(&format!("{on:?} after {kills} kills"), 1);
    }
}

#[test]
fn in_the_middle_of_a_destroy() {
    for on in ALL.iter().copied() {
        // Something is there that runs: the apply was killed in the middle.
        let begin = |ground: &Ground| {
            assert!(ground.crash(&["apply", "plan.json", "--provider", ground.provider()], 70));
        };
        let destroy = ["destroy", "--auto-approve"];
        let ground = Ground::new(on);
        begin(&ground);
        let points = ground.points(&destroy);
        assert!(points > 5, "{points}");
        each(points, |point| {
            let ground = Ground::new(on);
            begin(&ground);
            ground.crash(&destroy, point);
            ended(&ground.sky(&destroy).output().unwrap(), 0);
            ground.check_nothing_left(&format!("{on:?}, destroy killed at {point} of {points}"));
            assert!(ground.state().stages.is_empty());
        });
    }
}
