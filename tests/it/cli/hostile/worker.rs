//! Machines that answer what no machine of ours would: an `ssh` that leads to none, and makes its
//! answers up.

use super::trial::{CANARY, within_limits};
use crate::execution::apply::place::{Place, Row, plan};
use sky::model::PlaceName;
use std::os::unix::fs::PermissionsExt;

/// Shell scripts in place of `ssh`. `greet` is what the agent says first.
const ANSWERS: [(&str, &str); 16] = [
    (
        "refuses",
        "echo 'Permission denied (publickey).' >&2; exit 255",
    ),
    ("says nothing and goes", "exit 0"),
    ("an endless greeting", "yes"),
    ("a greeting of zeros", "head -c 100000000 /dev/zero"),
    ("greets and goes", "greet"),
    ("endless agreement", "greet; yes ."),
    ("endless text", "greet; yes '+x'"),
    (
        "text without an end",
        "greet; printf +; head -c 100000000 /dev/zero | tr '\\0' a",
    ),
    ("a piece that is too large", "greet; echo @99999999"),
    ("a piece of negative size", "greet; echo @-1"),
    ("a piece that is too short", "greet; echo @1000; echo x"),
    (
        "pieces without an end",
        "greet; while :; do echo @65536; head -c 65536 /dev/zero; done",
    ),
    ("an error of no kind", "greet; echo '!'"),
    (
        "an error of control characters",
        "greet; printf '!Other \\033[2J\\033]0;x\\007\\n'",
    ),
    (
        "paths in place of names",
        "greet; while :; do printf '+../../../canary\\n+sha256:aa/../../canary\\n.\\n'; done",
    ),
    (
        "numbers that are none",
        "greet; while :; do printf '+99999999999999999999999\\n.\\n'; done",
    ),
];

pub(super) fn hold() {
    let faults: Vec<String> = ANSWERS
        .iter()
        .flat_map(|(name, script)| faults(name, script))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults(name: &str, script: &str) -> Vec<String> {
    let rows: [Row; 1] = [("only", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o")];
    let place = Place {
        folder: tempfile::tempdir().unwrap(),
    };
    let mut plan = plan("job", &rows);
    plan.stages[0].place = PlaceName::parse("ssh:one").unwrap();
    plan.stages[0].instance_type = "one".into();
    place.write_plan(&plan);
    let write = |file: &str, text: &str| std::fs::write(place.path(file), text).unwrap();
    write(
        "hosts.toml",
        "[hosts.one]\naddress = \"127.0.0.1\"\ncpus = 1\nmemory = \"1 GiB\"\n",
    );
    std::fs::create_dir(place.path("canary")).unwrap();
    write("canary/song", CANARY);
    std::fs::create_dir(place.path("bin")).unwrap();
    write(
        "bin/ssh",
        &format!("#!/bin/sh\ngreet() {{ echo 'sky-agent 1'; }}\n{script}\n"),
    );
    std::fs::set_permissions(
        place.path("bin/ssh"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    let mut faults = Vec::new();
    for args in [
        &["apply", "plan.json"][..],
        &["destroy", "--auto-approve"],
        &["sweep", "--auto-approve"],
    ] {
        let mut command = place.sky(args);
        command.env("PATH", &path);
        let ended = within_limits(command);
        faults.extend(
            ended
                .faults()
                .into_iter()
                .map(|fault| format!("{name} ({}): {fault}", args.join(" "))),
        );
    }
    if std::fs::read_to_string(place.path("canary/song"))
        .ok()
        .as_deref()
        != Some(CANARY)
    {
        faults.push(format!("{name}: a file outside of its reach was changed"));
    }
    faults
}
