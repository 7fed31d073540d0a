//! States in folders and in buckets: their locks, their keys, going on from another machine,
//! changes by hand.

mod hand;
mod locks;
mod machines;
mod secrets;
pub(crate) mod servers;

use crate::execution::apply::place::Place;
use servers::Spot;
use sky::execution::state::State;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// `sky` in a place, with its state in a spot; the spot's options as environment.
fn sky(place: &Place, spot: &Spot, args: &[&str]) -> Command {
    let mut command = place.sky(args);
    spot.tell(&mut command);
    command
}

fn run(place: &Place, spot: &Spot, args: &[&str]) -> Output {
    sky(place, spot, args).output().unwrap()
}

/// Waits, on a machine that may be busy with all other tests.
fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "{what} did not come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for a file that a stage makes.
fn wait_for(place: &Place, name: &str) {
    wait(name, || place.path(name).exists());
}

/// The state, through `sky state pull`.
fn state(place: &Place, spot: &Spot, more: &[&str]) -> State {
    let output = run(place, spot, &[&["state", "pull"], more].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
