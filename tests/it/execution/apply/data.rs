//! What stages hand on, leave behind and get to see: on this machine and on hosts.

use super::place::*;
use crate::support::sshd::Sshd;
use sky::execution::storage::Objects;
use sky::model::{Bytes, Millis};
use sky::plan::PlannedCheckpoint;
use sky::util::tree::{self, Links};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The same stages, on this machine and on two hosts in turn.
fn everywhere(rows: &[Row]) -> [(&'static str, Place); 2] {
    let at: Vec<&str> = ["ssh:one", "ssh:two"]
        .into_iter()
        .cycle()
        .take(rows.len())
        .collect();
    [
        ("local", Place::new(rows)),
        (
            "ssh",
            crate::providers::ssh::place(Sshd::shared(), &at, rows),
        ),
    ]
}

#[test]
fn a_damaged_object_is_never_handed_on_and_is_made_again() {
    let make = "echo make >> ../../../../ran; mkdir $SKY_OUTPUTS/d; echo good > $SKY_OUTPUTS/d/f; echo fine > $SKY_OUTPUTS/o";
    let read = "cat $SKY_INPUTS/d/f $SKY_INPUTS/o > $SKY_OUTPUTS/r";
    let mut rows: [Row; 3] = [
        (
            "first",
            &[],
            &["s"],
            "echo first >> ../../../../ran; echo seed > $SKY_OUTPUTS/s",
        ),
        ("make", &["first.s"], &["d", "o"], make),
        ("read", &["make.d", "make.o"], &["r"], read),
    ];
    let place = Place::new(&rows);
    ended(&place.apply(&[]), 0);
    let objects = Objects::at(place.path(".sky/objects"));
    let object = |name: &str| {
        let artifact = place.state().artifacts[name].clone();
        objects.path(&artifact.digest, artifact.kind)
    };
    let spoil = |path: &Path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::write(path, "evil\n").unwrap();
    };
    let damages: [&dyn Fn(); 4] = [
        &|| spoil(&object("make.d").join("f")),
        &|| spoil(&object("make.o")),
        &|| std::fs::remove_file(object("make.d").join("f")).unwrap(),
        // What is needed to make it again is damaged as well.
        &|| {
            spoil(&object("first.s"));
            spoil(&object("make.o"));
        },
    ];
    let commands = [
        "true",
        "true; true",
        "true; true; true",
        "true; true; true; true",
    ]
    .map(|more| format!("{read}; {more}"));
    for (number, (damage, command)) in damages.iter().zip(&commands).enumerate() {
        damage();
        rows[2].3 = command;
        place.plan("job", &rows);
        let said = ended(&place.apply(&[]), 0);
        assert!(
            said.contains("is damaged in ") && said.contains("discarded"),
            "{number}: {said}"
        );
        assert_eq!(
            place.text(".sky/artifacts/read/r"),
            "good\nfine\n",
            "{number}"
        );
        assert_eq!(
            (place.ran()["make"], place.ran()["first"]),
            (number + 2, 1 + number / 3),
            "{number}"
        );
    }
    // The copy by name is not made of what is damaged, either.
    spoil(&object("read.r"));
    std::fs::remove_file(place.path(".sky/artifacts/read/r")).unwrap();
    rows[2].3 = "cat $SKY_INPUTS/d/f > $SKY_OUTPUTS/r";
    place.plan("job", &rows);
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/read/r"), "good\n");
}

#[test]
fn what_a_failed_stage_printed_and_wrote_is_at_home() {
    let rows: [Row; 2] = [
        (
            "misspelt",
            &[],
            &["model"],
            "echo printed; mkdir $SKY_OUTPUTS/modle; echo work > $SKY_OUTPUTS/modle/w",
        ),
        (
            "fails",
            &[],
            &["model"],
            "echo said; echo half > $SKY_OUTPUTS/model; ln -s /etc/passwd $SKY_OUTPUTS/l; exit 3",
        ),
    ];
    for (name, place) in everywhere(&rows) {
        let said = ended(&place.apply(&[]), 1);
        for words in [
            "did not write `model` to $SKY_OUTPUTS; it wrote `modle`, which is kept in ",
            ".sky/stages/misspelt/1/log",
            ".sky/stages/fails/1/log",
        ] {
            assert!(said.contains(words), "{name}: no `{words}` in {said}");
        }
        let kept = [
            ("misspelt/1/log", "printed\n"),
            ("misspelt/1/outputs/modle/w", "work\n"),
            ("fails/1/log", "said\n"),
            ("fails/1/outputs/model", "half\n"),
        ];
        for (path, text) in kept {
            assert_eq!(
                place.text(&format!(".sky/stages/{path}")),
                text,
                "{name}: {path}"
            );
        }
        ended(
            &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
        assert!(!place.path(".sky/stages").exists(), "{name}");
    }
}

#[test]
fn what_is_written_without_being_declared_is_said() {
    let rows: [Row; 1] = [(
        "more",
        &[],
        &["o"],
        "echo 1 > $SKY_OUTPUTS/o; echo 2 > $SKY_OUTPUTS/extra",
    )];
    for (name, place) in everywhere(&rows) {
        let said = ended(&place.apply(&[]), 0);
        assert!(
            said.contains("stage.more wrote `extra` (2 B) to $SKY_OUTPUTS without declaring it"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_command_may_empty_its_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let run = format!(
        "echo ran >> {}; find . -mindepth 1 -delete; rm -rf ./* ./.[!.]*; sleep 0.3; cat $SKY_INPUTS/data > $SKY_OUTPUTS/o; echo end",
        ran.display()
    );
    let rows: [Row; 2] = [
        ("make", &[], &["data"], "echo 1 > $SKY_OUTPUTS/data"),
        ("only", &["make.data"], &["o"], &run),
    ];
    for (number, (name, place)) in everywhere(&rows).into_iter().enumerate() {
        let mut planned = plan("job", &rows);
        for stage in &mut planned.stages {
            stage
                .files
                .extend(["tool.sh".to_owned(), "inputs/x".to_owned()]);
        }
        if name == "local" {
            std::fs::create_dir(place.path("inputs")).unwrap();
            std::fs::write(place.path("inputs/x"), "").unwrap();
            std::fs::write(place.path("tool.sh"), "").unwrap();
            place.write_plan(&planned);
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/only/o"), "1\n", "{name}");
        assert_eq!(
            std::fs::read_to_string(&ran).unwrap().lines().count(),
            number + 1,
            "{name}"
        );
        assert!(!place.path(".sky/work").exists(), "{name}");
    }
}

#[test]
fn links_to_inputs_odd_names_and_times_are_handed_on() {
    let make = "mkdir $SKY_OUTPUTS/src; cd $SKY_OUTPUTS/src; echo 1 > stale.c; echo 1 > stale.o; echo 1 > fresh.c; \
                echo 1 > fresh.o; touch -d '2020-01-01 00:00:01.100' stale.o fresh.c; \
                touch -d '2020-01-01 00:00:01.900' stale.c fresh.o; touch -d '2019-01-01' .; echo 1 > $SKY_OUTPUTS/one; \
                touch -d '2018-01-01 00:00:00.5' $SKY_OUTPUTS/one";
    let link = "mkdir $SKY_OUTPUTS/o; cd $SKY_OUTPUTS/o; ln -s $SKY_INPUTS/src/fresh.c c; ln -s $SKY_INPUTS/src all; \
                ln -s c again; printf x > \"$(printf 'caf\\351')\"";
    let read = "cd $SKY_INPUTS; cat o/c o/all/stale.c o/again > /dev/null && test ! -L o/c && test -L o/again && \
                test -e \"o/$(printf 'caf\\351')\" && test src/stale.c -nt src/stale.o && test src/fresh.o -nt src/fresh.c && \
                test src/fresh.c -nt src && test src -nt one && test o/all/stale.c -nt o/all/stale.o && echo fine > $SKY_OUTPUTS/r";
    let rows: [Row; 3] = [
        ("make", &[], &["src", "one"], make),
        ("link", &["make.src"], &["o"], link),
        ("read", &["make.src", "make.one", "link.o"], &["r"], read),
    ];
    for (name, place) in everywhere(&rows) {
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/read/r"), "fine\n", "{name}");
        let time = std::fs::metadata(place.path(".sky/artifacts/make/src/stale.c")).unwrap();
        assert_eq!(
            (time.mtime() % 60, time.mtime_nsec()),
            (1, 900_000_000),
            "{name}"
        );
    }
}

#[test]
fn pipes_and_sockets_in_an_output_are_refused_and_never_become_files() {
    let rows: [Row; 2] = [
        (
            "inside",
            &[],
            &["o"],
            "mkdir $SKY_OUTPUTS/o; echo 1 > $SKY_OUTPUTS/o/f; mkfifo $SKY_OUTPUTS/o/p",
        ),
        ("itself", &[], &["o"], "mkfifo $SKY_OUTPUTS/o"),
    ];
    for (name, place) in everywhere(&rows) {
        let said = ended(&place.apply(&[]), 1);
        let refused = |stage: &str| {
            let line = said
                .lines()
                .find(|line| line.starts_with(&format!("error: stage.{stage}: ")));
            line.is_some_and(|line| line.contains("is a pipe, a socket or a device"))
        };
        assert!(refused("inside") && refused("itself"), "{name}: {said}");
        assert!(place.state().artifacts.is_empty(), "{name}");
    }
}

#[test]
fn datasets_with_links_in_a_circle_and_to_nowhere_can_be_used() {
    let rows: [Row; 1] = [(
        "use",
        &["data"],
        &["o"],
        "cd $SKY_INPUTS/data && readlink self gone away && cat out self/f && echo fine > $SKY_OUTPUTS/o && test -L ./../../work/*/tools/self || test -L tools/self || test -L $OLDPWD/tools/self",
    )];
    for (name, place) in everywhere(&rows) {
        for folder in ["data", "tools"] {
            let folder = place.path(folder);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("f"), "f").unwrap();
            for (link, target) in [
                ("self", "."),
                ("gone", "nothing"),
                ("away", "/nothing/there"),
                ("out", "../plan.json"),
            ] {
                std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
            }
        }
        let mut planned = plan("job", &rows);
        dataset(&mut planned, "data", Some("data"));
        planned.stages[0].files.insert("tools".into());
        if name == "ssh" {
            planned.stages[0].place = sky::model::PlaceName::parse("ssh:one").unwrap();
            planned.stages[0].instance_type = "one".into();
        }
        place.write_plan(&planned);
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/use/o"), "fine\n", "{name}");
    }
}

#[test]
fn a_stage_sees_only_the_variables_that_it_declares_and_the_base_set() {
    let rows: [Row; 1] = [("only", &[], &["o"], "env > $SKY_OUTPUTS/o")];
    for (name, place) in everywhere(&rows) {
        let mut planned = plan("job", &rows);
        planned.stages[0].env = [
            ("PLAIN".to_owned(), "a b\nc".to_owned()),
            ("TAKEN".to_owned(), "env:HERE".to_owned()),
        ]
        .into();
        if name == "ssh" {
            planned.stages[0].place = sky::model::PlaceName::parse("ssh:one").unwrap();
            planned.stages[0].instance_type = "one".into();
        }
        place.write_plan(&planned);
        let said = ended(&place.apply(&[]), 1);
        assert!(
            said.contains("variable TAKEN: environment variable HERE is not set"),
            "{name}: {said}"
        );
        let mut apply = place.sky(&["apply", "plan.json"]);
        let planted = [
            ("HERE", "taken"),
            ("AWS_SECRET_ACCESS_KEY", "planted"),
            ("SKY_SOMETHING", "planted"),
            ("LC_X", "C"),
        ];
        ended(&apply.envs(planted).output().unwrap(), 0);
        let seen = place.text(".sky/artifacts/only/o");
        assert!(
            seen.contains("PLAIN=a b\nc\n") && seen.contains("TAKEN=taken\n"),
            "{name}: {seen}"
        );
        assert!(
            !seen.contains("planted") && !seen.contains("AWS_"),
            "{name}: {seen}"
        );
        let base = [
            "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG", "PWD",
            "OLDPWD", "_", "SHLVL",
        ];
        let names = seen
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(variable, _)| variable);
        let others: Vec<&str> = names
            .filter(|variable| {
                !base.contains(variable)
                    && !variable.starts_with("LC_")
                    && !variable.starts_with("SKY_")
            })
            .collect();
        assert_eq!(
            others,
            ["PLAIN", "TAKEN"].map(str::to_owned),
            "{name}: {seen}"
        );
    }
}

#[test]
fn nobody_else_may_read_logs_and_what_sky_keeps() {
    let rows: [Row; 1] = [("only", &[], &["o"], "umask; echo 1 > $SKY_OUTPUTS/o")];
    for (name, place) in everywhere(&rows) {
        std::fs::create_dir(place.path(".sky")).unwrap();
        std::fs::set_permissions(place.path(".sky"), PermissionsExt::from_mode(0o755)).unwrap();
        let mut child = place.sky(&["apply", "plan.json"]);
        ended(&child.output().unwrap(), 0);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.path(".sky")), 0o700, "{name}");
        if name == "local" {
            assert_eq!(mode(&place.path(".sky/stages/only/1/log")), 0o600);
            // The command's own files are as its user wants them.
            assert_ne!(place.text(".sky/stages/only/1/log"), "0077\n");
        }
    }
}

#[test]
fn an_output_that_is_far_larger_than_declared_does_not_fill_the_disk() {
    let rows: [Row; 1] = [(
        "huge",
        &[],
        &["o"],
        "truncate -s 15T $SKY_OUTPUTS/o || truncate -s 8T $SKY_OUTPUTS/o",
    )];
    for (name, place) in everywhere(&rows) {
        let said = ended(&place.apply(&[]), 1);
        assert!(
            said.contains("are not copied") && said.contains("--output-limit"),
            "{name}: {said}"
        );
        assert!(
            !place.path(".sky/objects").exists()
                || tree::measure(&place.path(".sky/objects"), Links::Keep)
                    .unwrap()
                    .bytes
                    == 0
        );
    }
    let rows: [Row; 1] = [(
        "large",
        &[],
        &["o"],
        "head -c 3000 /dev/zero > $SKY_OUTPUTS/o",
    )];
    for (name, place) in everywhere(&rows) {
        let said = ended(&place.apply(&["--output-limit", "2 kB"]), 1);
        assert!(said.contains("output `o` has 3"), "{name}: {said}");
        ended(&place.apply(&["--output-limit", "3 kB"]), 0);
    }
}

#[test]
fn progress_that_is_far_larger_than_declared_does_not_fill_the_disk() {
    let huge = "truncate -s 15T $SKY_CHECKPOINT/p || truncate -s 8T $SKY_CHECKPOINT/p; sleep 1; rm $SKY_CHECKPOINT/p; \
                echo small > $SKY_CHECKPOINT/p; sleep 1; exit 3";
    let rows: [Row; 1] = [("saves", &[], &["o"], huge)];
    let place = Place::new(&rows);
    let mut plan = crate::execution::apply::place::plan("job", &rows);
    plan.stages[0].checkpoint = Some(PlannedCheckpoint {
        every_ms: Some(Millis(300)),
        bytes: Bytes(6),
    });
    std::fs::write(
        place.path("plan.json"),
        crate::execution::apply::place::text(&plan),
    )
    .unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(
        said.contains("stage.saves: its progress is not brought to safety: "),
        "{said}"
    );
    assert!(
        said.contains("raise the limit of 100 GB with --output-limit"),
        "{said}"
    );
    assert_eq!(
        said.matches("is not brought to safety").count(),
        1,
        "{said}"
    );
    // What is small enough is saved all the same.
    assert_eq!(
        place.state().stages["saves"]
            .checkpoint
            .as_ref()
            .unwrap()
            .bytes,
        6
    );
}

#[test]
fn a_signal_ends_the_copying_of_an_output_and_nothing_is_run_again() {
    let rows: [Row; 1] = [(
        "only",
        &[],
        &["o"],
        "echo only >> ../../../../ran; truncate -s 3G $SKY_OUTPUTS/o",
    )];
    let place = Place::new(&rows);
    let child = place
        .sky(&[
            "apply",
            "plan.json",
            "--output-limit",
            "4 GB",
            "--grace",
            "200ms",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let copying =
        || std::fs::read_dir(place.path(".sky/objects")).is_ok_and(|entries| entries.count() > 0);
    wait("the copy", copying);
    let begun = std::time::Instant::now();
    signal(&child, "INT");
    let said = ended(&child.wait_with_output().unwrap(), 130);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        said.contains("a signal came before its outputs were copied"),
        "{said}"
    );
    ended(&place.apply(&["--output-limit", "4 GB"]), 0);
    assert_eq!(place.ran()["only"], 1);
    // Holes stay holes.
    let copy = std::fs::metadata(place.path(".sky/artifacts/only/o")).unwrap();
    assert!(copy.len() == 3 << 30 && copy.blocks() * 512 < 1 << 20);
}
