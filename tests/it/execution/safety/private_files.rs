//! What sky keeps for itself is the user's alone: every folder and file that it makes in its state
//! folder, in caches and below HOME.

use crate::support::sandbox::{Sandbox, stderr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const JOB: &str = r#"name = "private"
[datasets.large]
at = "local:here"
path = "large"
size = "10 MB"
[stages.a]
reads = ["large"]
writes = { o = "1 kB", d = "1 kB" }
checkpoint = { size = "1 kB" }
duration = "1 m"
run = "echo said; echo 1 > $SKY_CHECKPOINT/c; echo 1 > $SKY_OUTPUTS/o; mkdir $SKY_OUTPUTS/d; echo 1 > $SKY_OUTPUTS/d/f"
[stages.fails]
reads = ["a.o", "a.d"]
writes = { o = "1 kB" }
duration = "1 m"
run = "echo lost > $SKY_OUTPUTS/other; exit 3"
"#;

/// `sky` as somebody runs it whose new files all may read: with the umask 022 and a home folder.
fn sky(sandbox: &Sandbox, args: &[&str], variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            "umask 022; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_sky"),
        ])
        .args(args)
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", sandbox.path("home"))
        .envs(variables.iter().copied());
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

/// All below a folder that others may read, write or look into, by what `ours` says of its path.
pub(crate) fn open_to_others(folder: &Path, ours: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        if metadata.is_symlink() || !ours(&name) {
            continue;
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        if mode & 0o077 != 0 || mode & wanted != wanted {
            found.push(format!("{mode:o} {}/{name}", folder.display()));
        }
        if metadata.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    found
}

/// How many files there are below a folder.
pub(crate) fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |path: &Path| if path.is_dir() { files(path) } else { 1 };
    entries.map(|entry| count(&entry.path())).sum()
}

/// What a stage has written, copies of it and what it was given keep the rights that the stage gave
/// them; the folders above them let nobody in.
fn is_not_of_a_stage(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let held = |folder: &str| parts.iter().position(|part| *part == folder);
    // objects/ab/DIGEST, artifacts/STAGE/NAME.
    let deep = ["objects", "artifacts"]
        .into_iter()
        .any(|folder| held(folder).is_some_and(|at| parts.len() > at + 2));
    let inside = ["inputs", "outputs", "checkpoint", "box"]
        .into_iter()
        .any(|folder| held(folder).is_some_and(|at| parts.len() > at + 1));
    !deep && !inside
}

#[test]
fn a_state_folder_is_the_users_alone_in_all_its_parts() {
    let sandbox = Sandbox::bert();
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    sandbox
        .write("job.toml", JOB)
        .write("large", &"x".repeat(10_000_000));
    std::fs::create_dir(sandbox.path("home")).unwrap();
    // The digest of a large file is remembered once the file has rested for three seconds, counted
    // from the end of the second in which it was written.
    std::thread::sleep(std::time::Duration::from_millis(4200));
    let plan = ["plan", "--catalog", "catalog", "--out", "plan.json"];
    let planned = sky(&sandbox, &plan, &[]);
    assert_eq!(planned.status.code(), Some(0), "{}", stderr(&planned));
    for provider in ["local", "sim"] {
        let apply = ["apply", "plan.json", "--provider", provider];
        let output = sky(&sandbox, &apply, &[]);
        assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    }
    let verbs: [&[&str]; 4] = [
        &["refresh", "--state-dir", ".sky/rehearsal/local"],
        &[
            "state",
            "mv",
            "a",
            "b",
            "--state-dir",
            ".sky/rehearsal/local",
        ],
        &["state", "rm", "b", "--state-dir", ".sky/rehearsal/local"],
        &[
            "sweep",
            "--auto-approve",
            "--state-dir",
            ".sky/rehearsal/local",
        ],
    ];
    for verb in verbs {
        let output = sky(&sandbox, verb, &[]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{verb:?} {}",
            stderr(&output)
        );
    }
    let state = sandbox.path(".sky");
    assert!(files(&state) > 30, "{}", files(&state));
    let open = open_to_others(&state, &is_not_of_a_stage);
    assert!(open.is_empty(), "{}", open.join("\n"));
    // What the user has asked for is readable like any other file.
    let mode = |name: &str| {
        let found = std::fs::metadata(sandbox.path(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode("plan.json"), 0o644);
    // Digests of large files are remembered below HOME.
    let home = sandbox.path("home/.cache/sky");
    assert!(files(&home) > 0);
    let open = open_to_others(&home, &|_| true);
    assert!(open.is_empty(), "{}", open.join("\n"));
}

#[test]
fn a_state_that_was_named_is_private_as_well() {
    let sandbox = Sandbox::bert();
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    sandbox.write("job.toml", JOB).write("large", "x");
    std::fs::create_dir(sandbox.path("home")).unwrap();
    let apply = [
        "apply",
        "--catalog",
        "catalog",
        "--auto-approve",
        "--provider",
        "local",
    ];
    for place in [["--state-dir", "deep/st"], ["--state", "file:///"]] {
        let folder = sandbox.path(&format!("named{}", place[0]));
        let url = format!("{}{}", place[1], folder.display());
        let place = match place[0] {
            "--state" => [place[0], url.as_str()],
            _ => place,
        };
        let output = sky(&sandbox, &[&apply[..], &place].concat(), &[]);
        assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
        let folder = if place[0] == "--state" {
            folder
        } else {
            sandbox.path("deep/st")
        };
        assert!(folder.join("sky.state.json").exists());
        let open = open_to_others(&folder, &is_not_of_a_stage);
        assert!(open.is_empty(), "{}", open.join("\n"));
    }
}
