//! A signal is answered within the grace, whatever a stage or `sky` is doing.

use super::ground::{Ground, On};
use crate::execution::apply::place::{Row, ended, signal, wait};
use sky::execution::state::Status;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

fn begin(ground: &Ground, more: &[&str]) -> Child {
    ground
        .apply_command(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends a signal, and waits for the end, which must come in time.
fn interrupted(child: Child, most: Duration) -> Output {
    signal(&child, "INT");
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(
        begun.elapsed() < most,
        "{:?}: {}",
        begun.elapsed(),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn called(ground: &Ground, call: &str) -> bool {
    ground
        .text("cloud/calls")
        .lines()
        .any(|line| line.starts_with(call))
}

const ONE: [Row; 1] = [(
    "one",
    &[],
    &["o"],
    "echo one >> \"RAN\"; echo 1 > $SKY_OUTPUTS/o",
)];

#[test]
fn while_outputs_are_brought_home_and_the_next_apply_goes_on_with_them() {
    let ground = Ground::with(On::Sim, &ONE, |plan| plan.transfers.clear());
    ground
        .faults("[[faults]]\ncall = \"collect\"\ntimes = 1\nfault = \"slow\"\ndelay_ms = 60000\n");
    let child = begin(&ground, &[]);
    wait("the end of its command", || called(&ground, "collect"));
    let said = ended(&interrupted(child, Duration::from_secs(6)), 130);
    assert!(said.contains("the next apply copies them"), "{said}");
    let stage = ground.state().stages["one"].clone();
    assert!(
        stage.live && stage.status == Status::StagingOut && stage.exit_code == Some(0),
        "{stage:?}"
    );
    ended(&ground.apply(&[]), 0);
    assert_eq!(
        (ground.state().stages["one"].attempt, ground.ran()["one"]),
        (1, 1)
    );
    ground.check_nothing_left("interrupted while collecting");
}

#[test]
fn while_inputs_are_laid_out() {
    let ground = Ground::with(On::Sim, &ONE, |plan| plan.transfers.clear());
    ground
        .faults("[[faults]]\ncall = \"stage-in\"\ntimes = 1\nfault = \"slow\"\ndelay_ms = 60000\n");
    let child = begin(&ground, &[]);
    wait("its inputs", || called(&ground, "stage-in"));
    ended(&interrupted(child, Duration::from_secs(6)), 130);
    ground.check_nothing_left("interrupted while staging in");
    ended(&ground.apply(&[]), 0);
}

#[test]
fn while_a_machine_cannot_be_given_back() {
    let ground = Ground::with(On::Sim, &ONE, |plan| plan.transfers.clear());
    ground
        .faults("[[faults]]\ncall = \"release\"\ntimes = 1\nfault = \"slow\"\ndelay_ms = 120000\n");
    let child = begin(&ground, &[]);
    wait("its end", || called(&ground, "release"));
    // A second of grace, and ten more to give back what there is.
    let said = ended(&interrupted(child, Duration::from_secs(20)), 130);
    assert!(
        said.contains("could not be brought to an end within the grace"),
        "{said}"
    );
    assert!(ground.state().stages["one"].live);
    ended(&ground.apply(&[]), 0);
    assert_eq!(ground.ran()["one"], 1);
    ground.check_nothing_left("interrupted while giving back");
}

#[test]
fn while_a_command_prints_without_end() {
    let rows: [Row; 1] = [("chatty", &[], &["o"], "echo chatty >> \"RAN\"; exec yes")];
    for on in [On::Local, On::Ssh] {
        let ground = Ground::with(on, &rows, |_| {});
        let child = begin(&ground, &["--no-logs", "--log-limit", "1 MB"]);
        wait("its start", || !ground.ran().is_empty());
        std::thread::sleep(Duration::from_secs(2));
        ended(&interrupted(child, Duration::from_secs(15)), 130);
        let log = match on {
            On::Local => ground.path(".sky/stages/chatty/1/log"),
            _ => ground.machines()[0].join("box/log"),
        };
        let size = std::fs::metadata(&log).unwrap().len();
        assert!((1_000_000..1_100_000).contains(&size), "{on:?}: {size}");
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(
            text.starts_with("y\n") && text.contains("SKY_LOG_LIMIT"),
            "{on:?}"
        );
        ground.check_nothing_left("chatty");
    }
}
