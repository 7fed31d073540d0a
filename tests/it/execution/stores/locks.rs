//! One at a time, and the others say who it is.

use super::servers::{ALL, On, Spot};
use super::{run, sky, state, wait, wait_for};
use crate::execution::apply::place::{Place, Row, ended, signal};
use serde_json::Value;
use sky::execution::state::Status;
use std::process::{Child, Command, Stdio};

/// A stage that says when it has begun, and ends when it is told to.
const WAITS: Row = (
    "waits",
    &[],
    &["o"],
    "echo waits >> ../../../../ran; touch ../../../../begun; i=0; until [ -e ../../../../go ]; do i=$((i+1)); \
     [ $i -lt 3000 ] || exit 9; sleep 0.05; done; echo 1 > $SKY_OUTPUTS/o",
);

fn begin(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn holder(place: &Place, spot: &Spot) -> Value {
    let shown = run(place, spot, &["lock", "show", "--json"]);
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    serde_json::from_slice::<Value>(&shown.stdout).unwrap()["holder"].clone()
}

#[test]
fn of_twenty_at_once_one_wins_and_the_others_say_who() {
    for on in ALL {
        let (place, spot) = (Place::new(&[WAITS]), Spot::new(on));
        let mut children: Vec<Child> = (0..20)
            .map(|_| begin(&mut sky(&place, &spot, &["apply", "plan.json"])))
            .collect();
        // All but one end by themselves; the one that holds the lock is at work until it is told to
        // end.
        let mut running: Vec<usize> = (0..20).collect();
        wait("the end of all but one", || {
            running.retain(|index| children[*index].try_wait().unwrap().is_none());
            running.len() <= 1
        });
        assert_eq!(running.len(), 1, "{on:?}: nobody won");
        wait_for(&place, "begun");
        let winner = running[0];
        let pid = children[winner].id();
        let held = holder(&place, &spot);
        assert_eq!(
            (held["Pid"].as_u64(), held["Operation"].as_str()),
            (Some(u64::from(pid)), Some("apply"))
        );
        let (id, who, since) = (&held["ID"], &held["Who"], &held["Created"]);
        std::fs::write(place.path("go"), "").unwrap();
        for (index, child) in children.into_iter().enumerate() {
            let output = child.wait_with_output().unwrap();
            if index == winner {
                ended(&output, 0);
                continue;
            }
            let said = ended(&output, 6);
            let pid = format!("Pid:       {pid}\n");
            let words = [id, who, since].map(|word| word.as_str().unwrap().to_owned());
            for word in words.iter().chain([&pid, &"sky force-unlock ".to_owned()]) {
                assert!(
                    said.contains(word.as_str()),
                    "{on:?}: no `{word}` in {said}"
                );
            }
        }
        assert_eq!(place.ran()["waits"], 1, "{on:?}");
        assert_eq!(holder(&place, &spot), Value::Null, "{on:?}");
        assert_eq!(
            state(&place, &spot, &[]).stages["waits"].status,
            Status::Done
        );
        ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
    }
}

#[test]
fn whoever_hangs_loses_the_lock_and_stops_when_it_wakes_up() {
    for on in ALL {
        let (place, spot) = (Place::new(&[WAITS]), Spot::new(on));
        let mut command = sky(&place, &spot, &["apply", "plan.json"]);
        let first = begin(command.env("SKY_LOCK_LEASE", "2s"));
        wait_for(&place, "begun");
        signal(&first, "STOP");
        // Its lock is still its own for a while, and shown without being tried.
        assert_eq!(
            holder(&place, &spot)["Pid"].as_u64(),
            Some(u64::from(first.id())),
            "{on:?}"
        );
        let second = begin(&mut sky(
            &place,
            &spot,
            &["apply", "plan.json", "--lock-timeout=120s"],
        ));
        wait("the takeover", || {
            holder(&place, &spot)["Pid"].as_u64() == Some(u64::from(second.id()))
        });
        // What is read takes no lock.
        ended(&run(&place, &spot, &["state", "list"]), 0);
        ended(&run(&place, &spot, &["show"]), 0);
        std::fs::write(place.path("go"), "").unwrap();
        signal(&first, "CONT");
        let said = ended(&first.wait_with_output().unwrap(), 6);
        assert!(
            said.contains("the lock of the state was taken from this operation"),
            "{on:?}: {said}"
        );
        let said = ended(&second.wait_with_output().unwrap(), 0);
        assert!(
            said.contains("was taken over: it was last renewed at"),
            "{on:?}: {said}"
        );
        assert_eq!(place.ran()["waits"], 1, "{on:?}");
        assert_eq!(
            state(&place, &spot, &[]).stages["waits"].status,
            Status::Done,
            "{on:?}"
        );
        assert!(
            ended(&run(&place, &spot, &["apply", "plan.json"]), 0).contains("No changes"),
            "{on:?}"
        );
        ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
    }
}

#[test]
fn a_lock_is_forced_open_by_its_id_alone() {
    for on in [On::Folder, On::S3] {
        let (place, spot) = (Place::new(&[WAITS]), Spot::new(on));
        let unlock = |args: &[&str]| run(&place, &spot, &[&["force-unlock"], args].concat());
        let said = ended(&unlock(&["some-id", "--auto-approve"]), 1);
        assert!(said.contains("nobody holds the lock"), "{said}");
        let first = begin(&mut sky(&place, &spot, &["apply", "plan.json"]));
        wait_for(&place, "begun");
        let id = holder(&place, &spot)["ID"].as_str().unwrap().to_owned();
        let said = ended(&unlock(&["some-id", "--auto-approve"]), 1);
        assert!(
            said.contains("another ID than some-id") && said.contains(&id),
            "{said}"
        );
        assert!(ended(&unlock(&[&id]), 1).contains("no terminal to ask on"));
        assert!(
            ended(&run(&place, &spot, &["lock", "show"]), 0).contains(&format!("ID:        {id}"))
        );
        ended(&unlock(&[&id, "--force"]), 0);
        assert!(ended(&run(&place, &spot, &["lock", "show"]), 0).contains("Nobody is at work"));
        // Another goes on; the former stops before it does anything more.
        std::fs::write(place.path("go"), "").unwrap();
        let said = ended(&first.wait_with_output().unwrap(), 6);
        assert!(
            said.contains("was taken from this operation"),
            "{on:?}: {said}"
        );
        ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
        assert_eq!(place.ran()["waits"], 1, "{on:?}");
        ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
    }
}

#[test]
fn a_holder_of_this_machine_that_was_killed_holds_nobody_up() {
    for on in ALL {
        let (place, spot) = (Place::new(&[WAITS]), Spot::new(on));
        let mut first = begin(&mut sky(&place, &spot, &["apply", "plan.json"]));
        wait_for(&place, "begun");
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(holder(&place, &spot), Value::Null, "{on:?}");
        std::fs::write(place.path("go"), "").unwrap();
        ended(&run(&place, &spot, &["apply", "plan.json"]), 0);
        assert_eq!(place.ran()["waits"], 1, "{on:?}");
        ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
    }
}
