//! What happens to machines behind sky's back.

use super::ground::{Ground, JOB, On};
use crate::execution::apply::place::{Row, ended, wait};
use std::process::Stdio;

/// A machine that runs, whose sky was killed.
fn orphan() -> Ground {
    let rows: [Row; 1] = [(
        "long",
        &[],
        &["o"],
        "echo long >> \"RAN\"; sleep 2; echo 1 > $SKY_OUTPUTS/o",
    )];
    let ground = Ground::with(On::Sim, &rows, |_| {});
    let mut child = ground
        .apply_command(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("its start", || !ground.ran().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    ground
}

fn only_file(folder: &std::path::Path) -> std::path::PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn a_sweep_finds_what_a_lost_state_has_left() {
    let ground = orphan();
    // While the state has it, it is not a stray.
    let said = ended(&ground.sky(&["sweep", "--dry-run"]).output().unwrap(), 0);
    assert!(said.contains("Nothing to sweep"), "{said}");
    std::fs::remove_dir_all(ground.path(".sky")).unwrap();
    // Another state's machine is its own business while its lease goes on.
    let said = ended(&ground.sky(&["sweep", "--dry-run"]).output().unwrap(), 0);
    assert!(said.contains("Nothing to sweep"), "{said}");
    let said = ended(
        &ground
            .sky(&["sweep", "--all", "--dry-run"])
            .output()
            .unwrap(),
        2,
    );
    assert!(
        said.contains("of another state") && said.contains("stage.long"),
        "{said}"
    );
    let said = ended(&ground.sky(&["sweep", "--all"]).output().unwrap(), 1);
    assert!(said.contains("--auto-approve"), "{said}");
    let said = ended(
        &ground
            .sky(&["sweep", "--all", "--auto-approve", "--json"])
            .output()
            .unwrap(),
        0,
    );
    assert!(said.contains("\"deleted\":true"), "{said}");
    assert_eq!((ground.bill().running, ground.processes()), (0, 0));
}

#[test]
fn a_sweep_finds_what_was_made_behind_the_state_with_its_tags() {
    let ground = orphan();
    let lineage = ground.state().lineage;
    let card = only_file(&ground.cloud().join("machines")).join("card");
    let text = std::fs::read_to_string(&card).unwrap();
    let token = ground.state().stages["long"].token.clone();
    let behind = ground.cloud().join("machines").join("f".repeat(32));
    std::fs::create_dir_all(behind.join("box/.run")).unwrap();
    let forged = text
        .replace(&token, &"f".repeat(32))
        .replace("\"id\":\"sim-", "\"id\":\"behind-");
    assert!(forged.contains(&lineage));
    std::fs::write(behind.join("card"), forged).unwrap();
    let said = ended(&ground.sky(&["sweep", "--dry-run"]).output().unwrap(), 2);
    assert!(
        said.contains("in no state") && said.contains("behind-"),
        "{said}"
    );
    ended(
        &ground.sky(&["sweep", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(!behind.exists());
    // What the state has goes on.
    ended(&ground.apply(&[]), 0);
    assert_eq!(ground.ran()["long"], 1);
}

#[test]
fn a_refresh_sees_what_was_changed_outside() {
    let ground = orphan();
    let said = ended(
        &ground
            .sky(&["refresh", "--detailed-exitcode"])
            .output()
            .unwrap(),
        0,
    );
    assert!(said.contains("No drift"), "{said}");
    let card = only_file(&ground.cloud().join("machines")).join("card");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(
        &card,
        text.replace("m1.small", "m1.huge")
            .replace("\"job\":\"job\"", "\"job\":\"theirs\""),
    )
    .unwrap();
    let said = ended(
        &ground
            .sky(&["refresh", "--detailed-exitcode"])
            .output()
            .unwrap(),
        2,
    );
    assert!(
        said.contains("is a m1.huge, and was a m1.small") && said.contains("job theirs"),
        "{said}"
    );
    let rented = ground.state().stages["long"].rented.clone().unwrap();
    assert_eq!(rented.instance_type, "m1.huge");
    // Deleted outside: the state learns it, and the next apply runs the stage again.
    std::fs::remove_dir_all(card.parent().unwrap()).unwrap();
    wait("its end", || {
        ground.processes() == 0 || ground.text("ran").contains("long")
    });
    let said = ended(&ground.sky(&["refresh", "--json"]).output().unwrap(), 0);
    assert!(
        said.contains("\"resource_drift\"") && said.contains("deleted outside of sky"),
        "{said}"
    );
    assert!(!ground.state().stages["long"].live);
    ended(&ground.apply(&[]), 0);
    assert_eq!(ground.state().stages["long"].attempt, 2);
}

#[test]
fn an_import_takes_back_what_the_state_has_lost() {
    let ground = orphan();
    let id = ended(
        &ground
            .sky(&["sweep", "--all", "--dry-run", "--json"])
            .output()
            .unwrap(),
        0,
    );
    assert!(id.contains("\"strays\":[]"), "{id}");
    std::fs::remove_dir_all(ground.path(".sky")).unwrap();
    let found = ended(
        &ground
            .sky(&["sweep", "--all", "--dry-run", "--json"])
            .output()
            .unwrap(),
        2,
    );
    let found: serde_json::Value = serde_json::from_str(found.trim()).unwrap();
    let id = found["strays"][0]["id"].as_str().unwrap().to_owned();
    let import = ["import", "stage.long", &id, "--provider", "sim"];
    let said = ended(&ground.sky(&import).output().unwrap(), 0);
    assert!(said.contains(&id), "{said}");
    let said = ended(&ground.sky(&import).output().unwrap(), 1);
    assert!(said.contains("has a live attempt already"), "{said}");
    ended(&ground.apply(&[]), 0);
    // The command that was running all the time was awaited, not run again.
    assert_eq!(ground.ran()["long"], 1);
    assert_eq!(ground.text(".sky/artifacts/long/o"), "1\n");
    ground.check_nothing_left("imported");
    let said = ended(
        &ground
            .sky(&["import", "stage.x", "no-such", "--provider", "sim"])
            .output()
            .unwrap(),
        1,
    );
    assert!(said.contains("no machine `no-such`"), "{said}");
    let said = ended(&ground.sky(&["import", "train", "x"]).output().unwrap(), 1);
    assert!(
        said.contains("`train` is not an address") && said.contains("sky import stage.NAME ID"),
        "{said}"
    );
}

#[test]
fn no_secret_is_seen_by_anybody_but_its_command() {
    let planted = "pl4nted-s3cret-value";
    for on in [On::Local, On::Sim] {
        let mut rows = JOB;
        rows[5].3 = "echo f >> \"RAN\"; printf %s \"$TOKEN\" | wc -c; echo \"leak: $TOKEN\"; \
                     cat $SKY_INPUTS/d.o $SKY_INPUTS/e.o > $SKY_OUTPUTS/all";
        // It fails once, so that its last lines are told with the failure, too.
        rows[4].3 = "echo e >> \"RAN\"; echo \"$KEY\"; [ -e \"RAN.again\" ] || exit 3; echo other > $SKY_OUTPUTS/o";
        let ground = Ground::with(on, &rows, |plan| {
            plan.stages[5]
                .secrets
                .insert("TOKEN".into(), "env:SKY_TEST_TOKEN".into());
            plan.stages[4]
                .secrets
                .insert("KEY".into(), "file:../outside/key".into());
        });
        let outside = ground.folder.path().parent().unwrap().join("outside");
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("key"), format!("{planted}\n")).unwrap();
        // A reference that leads nowhere is told before anything is begun.
        let said = ended(&ground.apply(&[]), 1);
        assert!(
            said.contains("stage.f: secret TOKEN: environment variable SKY_TEST_TOKEN is not set"),
            "{said}"
        );
        assert!(!ground.path(".sky").exists());
        let run = |code| {
            ended(
                &ground
                    .apply_command(&["--json"])
                    .env("SKY_TEST_TOKEN", planted)
                    .output()
                    .unwrap(),
                code,
            )
        };
        let mut said = run(7);
        std::fs::write(ground.path("ran.again"), "").unwrap();
        said += &ended(
            &ground
                .apply_command(&[])
                .env("SKY_TEST_TOKEN", planted)
                .output()
                .unwrap(),
            0,
        );
        for verb in [
            &["show"][..],
            &["show", "--json"],
            &["show", "plan.json"],
            &["graph", "plan.json"],
        ] {
            said += &ended(&ground.sky(verb).output().unwrap(), 0);
        }
        assert!(
            said.contains("leak: (sensitive value)") && !said.contains(planted),
            "{said}"
        );
        assert!(said.contains(&format!("{}", planted.len())));
        // The log of the command is its own: what it prints there, it prints. Nothing else has it.
        let found = super::conformance::files_with(ground.folder.path(), planted);
        assert!(found.iter().all(|file| file.ends_with("/log")), "{found:?}");
        ground.check_done(&format!("{on:?}"), 2);
    }
}
