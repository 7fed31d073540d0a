//! What is cut off, changed behind our back, or missing; and what nobody may see.

use super::*;
use crate::execution::apply::place::wait;
use crate::execution::proof::files_with;
use object_store::ObjectStoreExt;
use object_store::path::Path as ObjectPath;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

const ROWS: [Row; 2] = [
    (
        "make",
        &[],
        &["big"],
        "echo make >> ../../../../ran; seq 400000 > $SKY_OUTPUTS/big",
    ),
    (
        "read",
        &["make.big"],
        &["o"],
        "echo read >> ../../../../ran; test -e ../../../../good && wc -c < $SKY_INPUTS/big > $SKY_OUTPUTS/o",
    ),
];

/// A folder of programs that is looked into before all others.
fn first(folder: &Path) -> String {
    std::fs::create_dir(folder.join("bin")).unwrap();
    format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        folder.join("bin").display()
    )
}

/// A `curl` that tells of its calls, and does what `before` says first.
fn curl(server: &Sshd, before: &str) {
    let text = format!(
        "#!/bin/sh\n{{ echo \"call $*\"; env; }} >> {log}\ncat /proc/$PPID/cmdline /proc/$PPID/environ >> {log}\n{before}\n\
         exec /usr/bin/curl \"$@\"\n",
        log = server.path("calls").display()
    );
    std::fs::write(server.path("bin/curl"), text).unwrap();
    std::fs::set_permissions(
        server.path("bin/curl"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
}

fn calls(server: &Sshd) -> String {
    String::from_utf8_lossy(&std::fs::read(server.path("calls")).unwrap_or_default()).into_owned()
}

#[test]
fn no_credential_and_no_signed_address_is_seen_by_anybody() {
    let server = Sshd::start_with(first);
    curl(&server, "");
    let mut rows = ROWS;
    rows[1].3 = "touch ../../../../begun; sleep 1000";
    let yard = Yard::new(&server, &[AMAZON, AZURE], &rows);
    let mut command = yard.staged(&[]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait("the second stage", || yard.place.path("begun").exists());
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let calls = calls(&server);
    assert!(calls.matches("call ").count() >= 9, "{calls}");
    for hidden in [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "sig=",
        servers::AWS_SECRET,
        "AKIASTAGING",
        servers::AZURE_SECRET,
    ] {
        assert!(!said.contains(hidden), "{hidden} in what was said");
        assert!(
            !calls.contains(hidden),
            "{hidden} in arguments or environment"
        );
        assert_eq!(
            files_with(yard.place.folder.path(), hidden),
            Vec::<String>::new(),
            "{hidden}"
        );
        assert_eq!(
            files_with(&server.path(""), hidden),
            Vec::<String>::new(),
            "{hidden}"
        );
    }
    yard.destroy();
}

#[test]
fn an_upload_that_was_cut_off_goes_on_where_it_was() {
    let server = Sshd::start_with(first);
    let yard = Yard::new(&server, &[AMAZON, AMAZON], &ROWS);
    std::fs::write(yard.place.path("good"), "").unwrap();
    let (log, go) = (server.path("calls"), yard.place.path("go"));
    // Of the first chunk the first call fails, and the second chunk waits: as by a line that is
    // bad, then gone.
    let before = format!(
        "case \"$* \" in\n\
         *chunk.*.0\\ *) [ -e {log}.once ] || {{ touch {log}.once; exit 56; }}; touch {go}.sent ;;\n\
         *chunk.*.1\\ *) touch {go}.waits; until [ -e {go} ]; do sleep 0.05; done ;;\n\
         esac",
        log = log.display(),
        go = go.display()
    );
    curl(&server, &before);
    let mut child = yard.staged(&["--no-logs"]).spawn().unwrap();
    wait("the chunks", || {
        yard.place.path("go.waits").exists() && yard.place.path("go.sent").exists()
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(&go, "").unwrap();
    let mut rest = yard
        .staged(&["--no-logs"])
        .env("SKY_CRASH_LOG", yard.place.path("points"))
        .spawn()
        .unwrap();
    // Seen before the journal is taken into the snapshot, or not at all.
    let mut moved = None;
    while rest.try_wait().unwrap().is_none() {
        for event in yard.journal() {
            if let Event::Staged {
                moved: now, pack, ..
            } = event
            {
                moved = Some((now, pack.bytes));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let (moved, all) = moved.expect("nothing was seen of it");
    assert!(moved < all && all - moved >= 1 << 20, "{moved} of {all}");
    assert_eq!(
        yard.place.ran(),
        [("make".to_owned(), 1), ("read".to_owned(), 1)].into()
    );
    assert_eq!(
        yard.place.text(".sky/artifacts/read/o").trim(),
        all.to_string()
    );
    yard.destroy();
}

/// Pieces that are on their way side by side come to be what was written, also when one of them
/// does not get through.
#[test]
fn a_piece_that_does_not_get_through_holds_up_no_other() {
    let server = Sshd::start_with(first);
    let yard = Yard::new(
        &server,
        &[AMAZON, AMAZON],
        &[
            ("make", &[], &["big"], "seq 2500000 > $SKY_OUTPUTS/big"),
            (
                "read",
                &["make.big"],
                &["o"],
                "seq 2500000 | cmp - $SKY_INPUTS/big && echo same > $SKY_OUTPUTS/o",
            ),
        ],
    );
    // All that is tried in one request: of the fourth piece on its way there, and on its way back.
    let before = format!(
        "case \"$* \" in\n*chunk.*.3\\ *) which=to ;; *part.4.some\\ *) which=from ;; *) which= ;; esac\n\
         [ -z $which ] || {{ echo >> {log}.$which; [ $(wc -l < {log}.$which) -gt 4 ] || exit 56; }}",
        log = server.path("calls").display(),
    );
    curl(&server, &before);
    ended(&yard.apply(&[]), 0);
    assert_eq!(yard.place.text(".sky/artifacts/read/o"), "same\n");
    let calls = calls(&server);
    let tried = |name: &str| {
        calls
            .lines()
            .filter(|line| line.contains("call -q") && line.contains(name))
            .count()
    };
    // 19 MB are 19 pieces, more than go at a time.
    assert_eq!(
        (tried("chunk."), tried("part.")),
        (19 + 4, 19 + 4),
        "the others were moved once"
    );
    yard.destroy();
}

#[test]
fn what_somebody_has_changed_or_deleted_is_made_again() {
    for (at, deleted) in [(AMAZON, false), (AZURE, false), (AMAZON, true)] {
        let yard = Yard::new(Sshd::shared(), &[at, at], &ROWS);
        let said = ended(&yard.apply(&[]), 7);
        assert!(
            said.contains("exit code 1") && said.contains("data in between is still in "),
            "{said}"
        );
        std::fs::write(yard.place.path("good"), "").unwrap();
        let state = yard.state();
        let address = state.buckets[&PlaceName::parse(at).unwrap()].clone();
        let (name, size) = servers::content(&address).unwrap()[1].clone();
        let bucket = servers::bucket(&address);
        if deleted {
            servers::block_on(bucket.delete(&ObjectPath::from(name.as_str()))).unwrap();
        } else {
            let other = vec![b'x'; usize::try_from(size).unwrap()];
            servers::block_on(bucket.put(&ObjectPath::from(name.as_str()), other.into())).unwrap();
        }
        let said = ended(&yard.apply(&[]), 0);
        for words in [
            "`make.big`",
            "is not what was written: somebody has changed it",
            &address,
        ] {
            assert!(deleted || said.contains(words), "no `{words}` in {said}");
        }
        assert_eq!(
            yard.place.ran(),
            [("make".to_owned(), 2), ("read".to_owned(), 2)].into()
        );
        assert_eq!(servers::content(&address), None);
        yard.destroy();
    }
}

/// All programs of this machine but these.
fn without(folder: &Path, missing: &[&str]) -> String {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for entry in ["/usr/bin", "/bin"]
        .into_iter()
        .filter_map(|path| std::fs::read_dir(path).ok())
        .flatten()
        .flatten()
    {
        if !missing.iter().any(|missing| entry.file_name() == **missing) {
            let _ = symlink(entry.path(), bin.join(entry.file_name()));
        }
    }
    bin.display().to_string()
}

#[test]
fn one_of_curl_and_wget_is_enough() {
    let server = Sshd::start_with(|folder| without(folder, &["curl"]));
    let yard = Yard::new(&server, &[AMAZON, AZURE], &ROWS);
    std::fs::write(yard.place.path("good"), "").unwrap();
    ended(&yard.apply(&[]), 0);
    assert_ne!(yard.place.text(".sky/artifacts/read/o"), "");
    yard.destroy();
    let server = Sshd::start_with(|folder| without(folder, &["curl", "wget"]));
    let yard = Yard::new(&server, &[AMAZON, AZURE], &ROWS);
    let said = ended(&yard.apply(&[]), 1);
    assert!(
        said.contains("neither curl nor wget") && said.contains("--staging home"),
        "{said}"
    );
    assert_eq!(
        yard.place.ran(),
        Default::default(),
        "its work would have been in vain"
    );
    yard.destroy();
}

#[test]
fn a_sweep_finds_buckets_that_are_in_no_state() {
    let yard = Yard::new(Sshd::shared(), &[AMAZON, AZURE], &ROWS);
    let said = ended(&yard.apply(&[]), 7);
    let addresses: Vec<String> = yard.state().buckets.into_values().collect();
    assert_eq!(addresses.len(), 2, "{said}");
    let sweep = |more: &[&str]| {
        yard.command(&[&["sweep", "--buckets", "--provider", "ssh"], more].concat())
            .output()
            .unwrap()
    };
    assert!(ended(&sweep(&["--dry-run"]), 0).contains("Nothing to sweep"));
    // A state that was lost: its lineage is all that is left.
    let mut state = yard.state();
    (state.buckets, state.stages, state.artifacts) = Default::default();
    state.serial += 1;
    std::fs::write(
        yard.place.path("sky.state.json"),
        serde_json::to_vec(&state).unwrap(),
    )
    .unwrap();
    let said = ended(&sweep(&["--dry-run"]), 2);
    assert!(
        addresses.iter().all(|address| said.contains(address)) && said.contains("in no state"),
        "{said}"
    );
    ended(&sweep(&["--auto-approve"]), 0);
    assert!(
        addresses
            .iter()
            .all(|address| servers::content(address).is_none())
    );
    assert!(ended(&sweep(&["--dry-run"]), 0).contains("Nothing to sweep"));
}

#[test]
fn without_credentials_it_says_what_is_missing() {
    let yard = Yard::new(Sshd::shared(), &[AZURE, AZURE], &ROWS);
    let mut apply = yard.staged(&[]);
    for name in [
        "AZURE_STORAGE_USE_EMULATOR",
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
    ] {
        apply.env_remove(name);
    }
    let said = ended(&apply.output().unwrap(), 1);
    assert!(said.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{said}");
    assert_eq!(yard.place.text("ran"), "", "its work would be lost");
    yard.destroy();
}

#[cfg(feature = "aws")]
#[test]
fn a_profile_will_do() {
    let yard = Yard::new(Sshd::shared(), &[AMAZON, AMAZON], &ROWS);
    std::fs::write(yard.place.path("good"), "").unwrap();
    let keys = format!(
        "[work]\naws_access_key_id = AKIASTAGING\naws_secret_access_key = {}\n",
        servers::AWS_SECRET
    );
    std::fs::write(yard.place.path("credentials"), keys).unwrap();
    let mut apply = yard.staged(&[]);
    apply
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_PROFILE", "work");
    apply
        .env(
            "AWS_SHARED_CREDENTIALS_FILE",
            yard.place.path("credentials"),
        )
        .env("AWS_CONFIG_FILE", yard.place.path("none"));
    ended(&apply.output().unwrap(), 0);
    assert_ne!(yard.place.text(".sky/artifacts/read/o"), "");
    yard.destroy();
    let said = {
        let yard = Yard::new(Sshd::shared(), &[AMAZON, AMAZON], &ROWS);
        let mut apply = yard.staged(&[]);
        apply
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env_remove("AWS_PROFILE");
        apply
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", yard.place.path("nowhere"));
        ended(&apply.output().unwrap(), 1)
    };
    assert!(said.contains("there are no credentials for AWS"), "{said}");
}
