//! What the machine under `sky` does to it: a full disk, a folder that cannot be written, a
//! terminal that is gone. What signals do is in `apply/interruption.rs`.

use super::ground::{Ground, JOB, On};
use crate::execution::apply::place::{Row, ended, wait};
use sky::execution::state::Status;
use std::process::{Command, Stdio};

/// `sky` under a shell that first does something to itself.
fn under(ground: &Ground, before: &str, args: &[&str]) -> Command {
    let plain = ground.sky(args);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(plain.get_program())
        .args(plain.get_args());
    command
        .current_dir(ground.folder.path())
        .stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn a_full_disk_stops_an_apply_and_loses_nothing() {
    // As on a full disk: whatever goes beyond so many blocks of 512 bytes fails; the journal grows
    // past each of them in another place.
    let mut stopped = 0;
    for blocks in 1..=12 {
        let ground = Ground::new(On::Sim);
        let limit = format!("trap '' XFSZ; ulimit -f {blocks};");
        let args = ["apply", "plan.json", "--provider", "sim"];
        let output = under(&ground, &limit, &args).output().unwrap();
        if output.status.code() != Some(0) {
            stopped += 1;
            let said = ended(&output, output.status.code().unwrap());
            assert!(
                [1, 7].contains(&output.status.code().unwrap()),
                "{blocks}: {said}"
            );
            assert!(said.contains("file too large"), "{blocks}: {said}");
        }
        // Once there is room again.
        ended(&ground.apply(&[]), 0);
        ground.check_done(&format!("{blocks} blocks"), 1);
    }
    assert!(stopped > 3, "{stopped}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_begun() {
    use std::os::unix::fs::PermissionsExt;
    let ground = Ground::new(On::Sim);
    let mode = |mode| {
        std::fs::set_permissions(ground.folder.path(), std::fs::Permissions::from_mode(mode))
            .unwrap()
    };
    // Permissions do not bind root, unless it gives that up.
    let root = rustix::process::geteuid().is_root();
    let plain = if root {
        "exec setpriv --bounding-set -dac_override,-dac_read_search -- \"$0\" \"$@\";"
    } else {
        ""
    };
    mode(0o555);
    let apply = under(&ground, plain, &["apply", "plan.json", "--provider", "sim"])
        .output()
        .unwrap();
    mode(0o755);
    let said = ended(&apply, 1);
    assert!(
        said.contains("permission denied") && said.contains(".sky"),
        "{said}"
    );
    assert!(ground.ran().is_empty() && !ground.path(".sky").exists() && !ground.cloud().exists());
    // With a state in it, what only looks still works.
    ended(&ground.apply(&[]), 0);
    mode(0o555);
    let show = under(&ground, plain, &["show"]).output().unwrap();
    let again = under(&ground, plain, &["apply", "plan.json", "--provider", "sim"])
        .output()
        .unwrap();
    mode(0o755);
    assert!(ended(&show, 0).contains("stage.a"));
    assert!(ended(&again, 0).contains("No changes"));
    ground.check_done("read only", 1);
}

#[test]
fn a_terminal_that_is_closed_ends_an_apply_like_a_hang_up() {
    let rows: [Row; 1] = [(
        "long",
        &[],
        &["o"],
        "[ -e \"RAN\" ] || { echo long > \"RAN\"; sleep 60; }; echo 1 > $SKY_OUTPUTS/o",
    )];
    let ground = Ground::with(On::Local, &rows, |_| {});
    let sky = ground.sky(&["apply", "plan.json", "--provider", "local"]);
    let words = format!(
        "{} apply plan.json --provider local",
        sky.get_program().to_str().unwrap()
    );
    let mut terminal = Command::new("script");
    terminal
        .args(["-qec", &words, "/dev/null"])
        .current_dir(ground.folder.path());
    terminal
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    terminal.env_remove("SKY_DATA_DIR").env("SKY_GRACE", "1s");
    let mut terminal = terminal.spawn().unwrap();
    wait("its start", || !ground.ran().is_empty());
    assert!(ground.processes() > 0);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    wait("the end of the stage", || ground.processes() == 0);
    wait("the end of sky", || !ground.state().stages["long"].live);
    let stage = ground.state().stages["long"].clone();
    assert_eq!(stage.status, Status::Lost);
    assert!(
        stage
            .message
            .as_deref()
            .is_some_and(|message| message.contains("interrupted by a signal")),
        "{stage:?}"
    );
    let again = ground
        .sky(&[
            "apply",
            "plan.json",
            "--provider",
            "local",
            "--lock-timeout=10s",
        ])
        .output()
        .unwrap();
    ended(&again, 0);
}

#[test]
fn closed_streams_do_not_stop_an_apply() {
    for (before, after) in [
        ("", ">&- 2>&-"),
        ("", ">&-"),
        ("", "2>&-"),
        ("| true", ""),
        ("2>&1 | true", ""),
    ] {
        let ground = Ground::with(On::Sim, &JOB, |_| {});
        // The reader of a pipe has gone away before the first line comes.
        let line =
            format!("{{ sleep 0.1; \"$0\" \"$@\" {after}; echo $? > code; }} {before}; exit 0;");
        ended(
            &under(&ground, &line, &["apply", "plan.json", "--provider", "sim"])
                .output()
                .unwrap(),
            0,
        );
        assert_eq!(ground.text("code"), "0\n", "{before}{after}");
        ground.check_done(&format!("{before}{after}"), 1);
    }
}
