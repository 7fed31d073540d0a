//! `sky check` on a machine with little on it.

use crate::execution::apply::place::ended;
use crate::support::sshd::Sshd;
use std::path::Path;
use std::process::Command;

fn check(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command.arg("check").args(args).current_dir(folder);
    // A machine on which nobody has set up anything.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn in_an_empty_folder_it_says_what_each_would_take() {
    let folder = tempfile::tempdir().unwrap();
    let said = ended(&check(folder.path(), &[]).output().unwrap(), 0);
    assert!(said.contains("local: ready\n"), "{said}");
    assert!(
        said.contains("ssh: not set up\n") && said.contains("hosts.toml"),
        "{said}"
    );
    if cfg!(feature = "aws") {
        assert!(
            said.contains("aws: not set up\n") && said.contains("aws configure"),
            "{said}"
        );
    }
    if cfg!(feature = "gcp") {
        assert!(said.contains("gcp: not set up\n"), "{said}");
    }
    // It leaves nothing behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let said = ended(
        &check(folder.path(), &["--provider", "ssh"])
            .output()
            .unwrap(),
        1,
    );
    assert!(said.contains("ssh: not ready\n"), "{said}");
    let said = ended(
        &check(folder.path(), &["--provider", "nowhere"])
            .output()
            .unwrap(),
        1,
    );
    assert!(said.contains("has no provider `nowhere`"), "{said}");
    let said = ended(&check(folder.path(), &["none.json"]).output().unwrap(), 1);
    assert!(said.contains("none.json"), "{said}");
}

#[test]
fn hosts_that_answer_and_those_that_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let more = "slots = 1\nprice = 1.0";
    let one = Sshd::shared().host("one", &folder.path().join("one"), more);
    let silent = format!(
        "{one}\n{}",
        Sshd::shared().host("two", &folder.path().join("two"), more)
    );
    let port = format!("port = {}", Sshd::shared().port);
    let at = silent.rfind(&port).unwrap();
    let silent = format!("{}port = 9{}", &silent[..at], &silent[at + port.len()..]);
    std::fs::write(folder.path().join("hosts.toml"), one).unwrap();
    let said = ended(
        &check(folder.path(), &["--provider", "ssh"])
            .output()
            .unwrap(),
        0,
    );
    assert!(
        said.contains("ssh: ready\n") && said.contains("host one: answers"),
        "{said}"
    );
    std::fs::write(folder.path().join("hosts.toml"), silent).unwrap();
    let said = check(folder.path(), &["--provider", "ssh", "--json"])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(
        said["providers"][0]["status"], "does_not_answer",
        "{said:#}"
    );
    assert_eq!(
        said["providers"][0]["findings"][1]["verdict"], "unknown",
        "{said:#}"
    );
}
