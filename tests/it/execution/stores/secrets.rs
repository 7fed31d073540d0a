//! What must not be seen is not: secrets anywhere, and a sealed state without its key.

use super::servers::{ALL, On, Spot};
use super::{run, sky, state};
use crate::execution::apply::place::{Place, ended, plan};
use crate::execution::proof::conformance::files_with;
use age::secrecy::ExposeSecret;
use age::x25519::Identity;

const PLANTED: &str = "pl4nted-s3cret-for-the-store";

#[test]
fn a_planted_secret_is_in_no_file_stream_or_object() {
    for on in ALL {
        for json in [false, true] {
            let (place, spot) = (
                Place {
                    folder: tempfile::tempdir().unwrap(),
                },
                Spot::new(on),
            );
            // It prints what it was given, and fails with it in its last line.
            let print = "echo \"token: $TOKEN\"; printf %s \"$TOKEN\" | wc -c > $SKY_OUTPUTS/o";
            let mut plan = plan(
                "job",
                &[
                    ("print", &[], &["o"], print),
                    ("fail", &["print.o"], &[], "echo bad $TOKEN >&2; exit 3"),
                ],
            );
            for stage in &mut plan.stages {
                stage
                    .secrets
                    .insert("TOKEN".into(), "env:PLANTED_SECRET".into());
            }
            place.write_plan(&plan);
            let more: &[&str] = if json { &["--json"] } else { &[] };
            let mut command = sky(&place, &spot, &[&["apply", "plan.json"], more].concat());
            let said = ended(&command.env("PLANTED_SECRET", PLANTED).output().unwrap(), 7);
            assert!(said.contains("(sensitive value)"), "{on:?}: {said}");
            let mut streams = said;
            for args in [
                &["show", "--json"][..],
                &["state", "pull"],
                &["state", "show", "stage.fail"],
                &["state", "list", "--json"],
            ] {
                streams += &ended(&run(&place, &spot, args), 0);
            }
            assert!(!streams.contains(PLANTED), "{on:?}: {streams}");
            assert_eq!(
                files_with(place.folder.path(), PLANTED),
                logs(&place),
                "{on:?}"
            );
            for (name, bytes) in spot.stored(place.folder.path()) {
                assert!(
                    !String::from_utf8_lossy(&bytes).contains(PLANTED),
                    "{on:?}: {name}"
                );
            }
            assert_eq!(
                place.text(".sky/artifacts/print/o").trim(),
                PLANTED.len().to_string()
            );
            ended(&run(&place, &spot, &["destroy", "--auto-approve"]), 0);
        }
    }
}

/// What a command prints is its own: its log has it as it is.
fn logs(place: &Place) -> Vec<String> {
    let found = files_with(&place.path(".sky"), PLANTED);
    found
        .into_iter()
        .filter(|path| path.ends_with("/log"))
        .collect()
}

#[test]
fn rotated_recipients_are_taken_up_by_every_verb_that_writes_and_that_is_said() {
    for on in ALL {
        for verb in ["apply", "refresh", "push"] {
            let rows = [("only", &[][..], &["o"][..], "echo 1 > $SKY_OUTPUTS/o")];
            let (place, spot) = (Place::new(&rows), Spot::new(on));
            let (old, new) = (Identity::generate(), Identity::generate());
            let keys = [&old, &new].map(|key| key.to_string().expose_secret().to_owned());
            std::fs::write(place.path("old"), &keys[0]).unwrap();
            std::fs::write(place.path("new"), &keys[1]).unwrap();
            // While keys are rotated, one has both.
            std::fs::write(place.path("both"), keys.join("\n")).unwrap();
            let keyed = |args: &[&str], recipient: &Identity, key: &str| {
                let mut command = sky(&place, &spot, args);
                command.env("SKY_STATE_RECIPIENTS", recipient.to_public().to_string());
                command
                    .env("SKY_STATE_IDENTITY", place.path(key))
                    .output()
                    .unwrap()
            };
            let about = format!("{on:?} {verb}");
            ended(&keyed(&["apply", "plan.json"], &old, "old"), 0);
            let pulled = ended(&keyed(&["state", "pull"], &old, "old"), 0);
            std::fs::write(place.path("pulled.json"), pulled).unwrap();
            let args: &[&str] = match verb {
                "apply" => &["apply", "plan.json"],
                "refresh" => &["refresh"],
                _ => &["state", "push", "pulled.json"],
            };
            let said = ended(&keyed(args, &new, "both"), 0);
            assert!(
                said.contains("the state was encrypted for other keys"),
                "{about}: {said}"
            );
            assert!(
                verb != "push" || said.contains("No changes"),
                "{about}: {said}"
            );
            // From now on the new key opens all of it, and the old one nothing.
            assert!(
                ended(&keyed(&["state", "list"], &new, "new"), 0).contains("stage.only"),
                "{about}"
            );
            let opener = |key: &str| {
                sky::execution::state::Cipher::load(
                    None,
                    Some(&place.path(key)),
                    place.folder.path(),
                )
                .unwrap()
            };
            let sealed: Vec<(String, Vec<u8>)> = spot
                .stored(place.folder.path())
                .into_iter()
                .filter(|(_, bytes)| sky::execution::state::cipher::is_sealed(bytes))
                .collect();
            assert!(!sealed.is_empty(), "{about}");
            for (name, bytes) in sealed {
                assert!(opener("new").open(&bytes).is_ok(), "{about}: {name}");
                assert!(opener("old").open(&bytes).is_err(), "{about}: {name}");
            }
            // Once: then there is nothing to say.
            let said = ended(&keyed(&["apply", "plan.json"], &new, "new"), 0);
            assert!(
                !said.contains("encrypted for other keys") && said.contains("No changes"),
                "{about}: {said}"
            );
        }
    }
}

#[test]
fn a_sealed_state_tells_nothing_without_its_key() {
    for on in ALL {
        let rows = [
            (
                "trainsecretly",
                &[][..],
                &["weights"][..],
                "echo 1 > $SKY_OUTPUTS/weights",
            ),
            ("servequietly", &["trainsecretly.weights"], &[], "exit 3"),
        ];
        let (place, spot) = (Place::new(&rows), Spot::new(on));
        let identity = Identity::generate();
        std::fs::write(place.path("key"), identity.to_string().expose_secret()).unwrap();
        std::fs::write(
            place.path("other"),
            Identity::generate().to_string().expose_secret(),
        )
        .unwrap();
        let recipient = identity.to_public().to_string();
        let keyed = |args: &[&str], key: &str| {
            let mut command = sky(&place, &spot, args);
            command
                .env("SKY_STATE_RECIPIENTS", &recipient)
                .env("SKY_STATE_IDENTITY", place.path(key));
            command
        };
        // Killed in the middle, so that there is a journal besides the snapshot.
        let mut command = keyed(&["apply", "plan.json"], "key");
        let killed = command.env("SKY_CRASH_AT", "40").output().unwrap();
        assert_eq!(killed.status.code(), None, "{on:?}");
        let tells = |words: &[&str]| -> Vec<String> {
            let stored = spot.stored(place.folder.path());
            assert!(
                stored
                    .iter()
                    .any(|(name, bytes)| name.contains("journal") && !bytes.is_empty())
                    || words.len() > 3
            );
            let says = |bytes: &[u8]| {
                words
                    .iter()
                    .any(|word| String::from_utf8_lossy(bytes).contains(word))
            };
            stored
                .into_iter()
                .filter(|(name, bytes)| !name.ends_with("lock") && says(bytes))
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(
            tells(&["trainsecretly", "weights", "lineage"]),
            Vec::<String>::new(),
            "{on:?}"
        );
        ended(&keyed(&["apply", "plan.json"], "key").output().unwrap(), 7);
        assert_eq!(
            tells(&["trainsecretly", "servequietly", "weights", "lineage"]),
            Vec::<String>::new(),
            "{on:?}"
        );
        // Plain with the key, and nothing at all without.
        let pulled = ended(&keyed(&["state", "pull"], "key").output().unwrap(), 0);
        assert!(pulled.contains("trainsecretly.weights"), "{pulled}");
        for (args, key, word) in [
            (
                &["apply", "plan.json"][..],
                "other",
                "none of the recipients is of your identity",
            ),
            (&["apply", "plan.json"], "missing", "cannot read"),
        ] {
            let said = ended(&keyed(args, key).output().unwrap(), 1);
            assert!(said.contains(word), "{on:?}: {said}");
        }
        for args in [
            &["apply", "plan.json"][..],
            &["show"],
            &["destroy", "--auto-approve"],
            &["state", "list"],
        ] {
            let said = ended(&run(&place, &spot, args), 1);
            assert!(
                said.contains("it is encrypted, and there is no identity to read it with"),
                "{on:?} {args:?}: {said}"
            );
            let mut command = sky(&place, &spot, args);
            let said = ended(
                &command
                    .env("SKY_STATE_IDENTITY", place.path("other"))
                    .output()
                    .unwrap(),
                1,
            );
            assert!(
                said.contains("it is encrypted for others"),
                "{on:?} {args:?}: {said}"
            );
        }
        let mut command = sky(&place, &spot, &["apply", "plan.json"]);
        let said = ended(
            &command
                .env("SKY_STATE_IDENTITY", place.path("key"))
                .output()
                .unwrap(),
            1,
        );
        assert!(said.contains("nobody is named to encrypt it for"), "{said}");
        if on == On::Folder {
            let said = ended(
                &keyed(&["show", "sky.state.json"], "key").output().unwrap(),
                0,
            );
            assert!(said.contains("stage.trainsecretly"), "{said}");
            assert!(
                ended(&run(&place, &spot, &["show", "sky.state.json"]), 1)
                    .contains("it is encrypted")
            );
        }
        // Nothing of this has begun anew.
        assert!(
            ended(&keyed(&["state", "list"], "key").output().unwrap(), 0)
                .contains("stage.trainsecretly")
        );
        let args = [
            "destroy",
            "--auto-approve",
            "--state-recipients",
            "none",
            "--state-identity",
            "key",
        ];
        ended(&run(&place, &spot, &args), 0);
        assert!(state(&place, &spot, &[]).stages.is_empty());
        if on != On::Folder {
            assert!(
                spot.stored(place.folder.path())
                    .iter()
                    .any(|(name, _)| name == "/sky.state.json")
            );
        }
    }
}
