//! Stages on hosts: their data, and what becomes of them when sky or the connection is gone.

use super::*;
use crate::execution::apply::place::{ended, wait};
use crate::execution::proof::files_with;
use std::process::Stdio;

#[test]
fn data_goes_to_hosts_and_comes_back() {
    let server = Sshd::start();
    // Some shells greet whoever comes.
    std::fs::write(server.path(".bashrc"), "echo welcome to this host\n").unwrap();
    let rows: [Row; 4] = [
        (
            "here",
            &[],
            &["tree"],
            "mkdir $SKY_OUTPUTS/tree; echo 1 > $SKY_OUTPUTS/tree/a; ln -s a $SKY_OUTPUTS/tree/b",
        ),
        (
            "there",
            &["here.tree"],
            &["tree", "size"],
            "./tool; cp -R $SKY_INPUTS/tree $SKY_OUTPUTS/tree; echo 2 >> $SKY_OUTPUTS/tree/a; \
            head -c 3000000 /dev/zero > $SKY_OUTPUTS/size",
        ),
        (
            "other",
            &["there.tree"],
            &["o"],
            "test -L $SKY_INPUTS/tree/b && cat $SKY_INPUTS/tree/b > $SKY_OUTPUTS/o",
        ),
        (
            "back",
            &["other.o", "there.size"],
            &["o"],
            "cat $SKY_INPUTS/o > $SKY_OUTPUTS/o; wc -c < $SKY_INPUTS/size >> $SKY_OUTPUTS/o",
        ),
    ];
    let at = ["local:here", "ssh:one", "ssh:two", "local:here"];
    let place = place(&server, &at, &rows);
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.stages[1].files = std::iter::once("tool".to_owned()).collect();
    plan.digest = None;
    place.write_plan(&plan);
    std::fs::write(place.path("tool"), "#!/bin/sh\necho a tool of $SKY_TOKEN\n").unwrap();
    std::fs::set_permissions(
        place.path("tool"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("a tool of "), "{said}");
    assert_eq!(place.text(".sky/artifacts/back/o"), "1\n2\n3000000\n");
    // Done is done.
    let again = ended(&place.apply(&[]), 0);
    assert!(!again.contains("a tool of "), "{again}");
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(left(&place), Vec::<String>::new());
}

const LONG: [Row; 1] = [(
    "long",
    &[],
    &["o"],
    "echo long >> ../../../../../ran; touch ../../../../../begun; until [ -e ../../../../../go ]; do sleep 0.05; done; \
     echo 1 > $SKY_OUTPUTS/o",
)];

#[test]
fn a_killed_sky_ends_nothing_and_the_next_goes_on() {
    let server = Sshd::start();
    let connections = || {
        let port = format!("Port={}", server.port);
        let lines = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines
            .filter(|line| {
                line.split(|byte| *byte == 0)
                    .any(|argument| argument == port.as_bytes())
            })
            .count()
    };
    let place = place(&server, &["ssh:one"], &LONG);
    let mut child = place.start();
    place.wait_for("begun");
    assert!(connections() > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    // No connection outlives it.
    wait("the end of the connections", || connections() == 0);
    assert!(place.processes() > 0);
    std::fs::write(place.path("go"), "").unwrap();
    // It ends while nobody watches.
    wait("the end of the stage", || place.processes() == 0);
    ended(&place.apply(&[]), 0);
    assert_eq!(
        (place.text(".sky/artifacts/long/o"), place.ran()["long"]),
        ("1\n".into(), 1)
    );
}

#[test]
fn a_lost_connection_ends_nothing() {
    let mut server = Sshd::start();
    let place = place(&server, &["ssh:one"], &LONG);
    let child = place.start();
    place.wait_for("begun");
    assert!(server.drop_connections() > 0);
    // Then the host is not to be reached at all for a while.
    server.end();
    std::thread::sleep(std::time::Duration::from_secs(2));
    server.begin();
    std::fs::write(place.path("go"), "").unwrap();
    ended(&child.wait_with_output().unwrap(), 0);
    assert_eq!(
        (place.text(".sky/artifacts/long/o"), place.ran()["long"]),
        ("1\n".into(), 1)
    );
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn a_signal_ends_the_stage_on_its_host() {
    let place = place(Sshd::shared(), &["ssh:one"], &LONG);
    let child = place.start();
    place.wait_for("begun");
    crate::execution::apply::place::signal(&child, "INT");
    ended(&child.wait_with_output().unwrap(), 130);
    assert_eq!(place.processes(), 0);
}

#[test]
fn a_failure_shows_what_was_printed_and_where_the_log_is() {
    let rows: [Row; 1] = [("bad", &[], &["o"], "echo on the host; exit 3")];
    let place = place(Sshd::shared(), &["ssh:two"], &rows);
    let said = ended(&place.apply(&[]), 1);
    for words in [
        "its command ended with exit code 3",
        "on the host",
        ".sky/stages/bad/1/log",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
}

#[test]
fn names_and_contents_are_data_whatever_they_are() {
    // A plan refuses names with control characters; all else may be in one.
    let names = [
        "-n $(touch pwned)",
        "it's \"a\" `touch pwned`; touch pwned &",
        "a*\\b\\n",
    ];
    let run = "o='-o '\\''\"$(touch pwned)'; echo \"it's $((1+1))\" > \"$SKY_OUTPUTS/$o\"; ls -A >> ../../../../../listing; \
               printf '%s\\n' \"$SKY_STAGE\" ~ '$HOME' \\\\ \"!\" \"'\"";
    let output: &[&str] = &["-o '\"$(touch pwned)"];
    let rows: Vec<Row> = names
        .iter()
        .map(|name| (*name, [].as_slice(), output, run))
        .collect();
    let place = place(Sshd::shared(), &["ssh:one"; 3], &rows);
    write_hosts(Sshd::shared(), &place, "slots = 3");
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.job = "job'\"; touch pwned; $(touch pwned)".into();
    plan.stages[0].files = ["-rf", "a b/$(touch pwned)", "'\"\n"]
        .map(str::to_owned)
        .into_iter()
        .collect();
    plan.digest = None;
    place.write_plan(&plan);
    std::fs::create_dir(place.path("a b")).unwrap();
    for name in &plan.stages[0].files {
        std::fs::write(place.path(name), "x").unwrap();
    }
    ended(&place.apply(&["--no-logs"]), 0);
    for name in names {
        let written =
            std::fs::read_to_string(place.path(".sky/artifacts").join(name).join(output[0]))
                .unwrap();
        assert_eq!(written, "it's 2\n");
    }
    let listing = place.text("listing");
    assert!(
        listing.contains("-rf\n") && listing.contains("a b\n"),
        "{listing}"
    );
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(left(&place), Vec::<String>::new());
    let home = std::path::PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    for folder in [
        place.folder.path(),
        &home,
        Sshd::shared().path("").as_path(),
    ] {
        assert!(!folder.join("pwned").exists(), "{}", folder.display());
    }
}

#[test]
fn a_secret_is_nowhere_but_with_its_command() {
    let planted = "pl4nted-over-ssh-'$x";
    let rows: [Row; 1] = [(
        "secret",
        &[],
        &["o"],
        "printf %s \"$PASSWORD\" | wc -c > $SKY_OUTPUTS/o; touch ../../../../../begun; \
         until [ -e ../../../../../go ]; do sleep 0.05; done; echo \"$PASSWORD\"",
    )];
    let server = Sshd::start();
    let place = place(&server, &["ssh:one"], &rows);
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.stages[0].secrets =
        std::iter::once(("PASSWORD".to_owned(), "env:PLANTED".to_owned())).collect();
    plan.digest = None;
    place.write_plan(&plan);
    let mut command = place.sky(&["apply", "plan.json"]);
    command
        .env("PLANTED", planted)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    place.wait_for("begun");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&arguments).contains(planted),
            "in the arguments of {entry:?}"
        );
    }
    assert_eq!(
        files_with(place.folder.path(), planted),
        Vec::<String>::new()
    );
    std::fs::write(place.path("go"), "").unwrap();
    let said = ended(&child.wait_with_output().unwrap(), 0);
    // What the command itself prints is not shown either.
    assert!(!said.contains(planted), "{said}");
    assert_eq!(
        place.text(".sky/artifacts/secret/o").trim(),
        planted.len().to_string()
    );
    assert_eq!(
        files_with(place.folder.path(), planted),
        Vec::<String>::new()
    );
    assert_eq!(files_with(&server.path(""), planted), Vec::<String>::new());
}
