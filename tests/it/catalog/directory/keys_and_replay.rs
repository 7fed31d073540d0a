//! Which key may register which cloud, and that an older file is not taken again.

use super::refused_files::plain;
use super::*;

#[test]
fn a_name_that_is_taken_is_refused() {
    let sandbox = sandbox();
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
    let named = |cloud: &str| {
        let text = sandbox.read("acme.toml");
        let old = text
            .lines()
            .find(|line| line.starts_with("cloud = "))
            .unwrap()
            .to_owned();
        sandbox.replace("acme.toml", &old, &format!("cloud = \"{cloud}\""));
    };
    named("aws");
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "acme.toml:4:9: the name `aws` is taken",
    );
    named("local");
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "`local` is not a name for a cloud",
    );
    named("acme");
    sandbox.stdout(&register(&UNSIGNED), 0);
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "the name `acme` is taken: it was registered without a signature",
    );
    let again = [UNSIGNED.as_slice(), &["--replace"]].concat();
    let said = sandbox.stdout(&register(&again), 0);
    assert!(said.contains("registered again"), "{said}");
    // Nor by a key without being asked to, where there was none.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory");
    for name in ["acme.toml", "acme.toml.minisig"] {
        std::fs::copy(fixture.join(name), sandbox.path(name)).unwrap();
    }
    refused(
        &sandbox,
        &register(&SIGNED),
        "it was registered without a signature",
    );
}

/// The same cloud may send its file again: the key of the first one is trusted for it.
#[test]
fn a_newer_file_of_the_same_key_takes_the_place() {
    let sandbox = sandbox();
    sandbox.stdout(&register(&SIGNED), 0);
    let before = everything(&sandbox);
    let said = sandbox.stdout(&register(&["--as-of", DAY]), 0);
    assert!(said.contains("registered again"), "{said}");
    assert_eq!(everything(&sandbox), before);
    // By someone else's key, or by none, it is not its file.
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
    refused(
        &sandbox,
        &register(&[UNSIGNED.as_slice(), &["--replace"]].concat()),
        "registered under another key",
    );
}

#[test]
fn a_cloud_may_be_signed_later() {
    let sandbox = sandbox();
    let signed = sandbox.read("acme.toml");
    sandbox.write("acme.toml", &plain("acme", "2026-11-01", "", "0.2"));
    std::fs::rename(sandbox.path("acme.toml.minisig"), sandbox.path("kept")).unwrap();
    sandbox.stdout(&register(&UNSIGNED), 0);
    sandbox.write("acme.toml", &signed);
    std::fs::rename(sandbox.path("kept"), sandbox.path("acme.toml.minisig")).unwrap();
    refused(
        &sandbox,
        &register(&SIGNED),
        "it was registered without a signature",
    );
    let replace: Vec<&str> = SIGNED.iter().copied().chain(["--replace"]).collect();
    assert!(
        sandbox
            .stdout(&register(&replace), 0)
            .contains("acme (Acme Cloud, a made-up provider)")
    );
}

#[test]
fn a_key_that_is_none_is_not_printed() {
    let sandbox = sandbox();
    sandbox.write(
        "secret",
        "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAsecret\n",
    );
    for key in ["secret", "RWQAAEIyAAAAsecret"] {
        let args = register(&["--key", key, "--as-of", DAY]);
        let output = sandbox.run(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(!stderr(&output).contains("RWQAAEIy"), "{}", stderr(&output));
    }
    refused(
        &sandbox,
        &register(&["--key", "secret", "--as-of", DAY]),
        "this is a secret key",
    );
}

/// A file of one owner's clouds, `one` and `two`, of which there are several of one day.
fn register_revision(name: &str, more: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions");
    let file = folder.join(name).display().to_string();
    let words = [
        "catalog",
        "register",
        &file,
        "--catalog",
        "catalog",
        "--as-of",
        DAY,
    ];
    words
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

#[test]
fn a_key_of_one_registered_cloud_signs_no_other() {
    let sandbox = sandbox();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions/owner.pub");
    let key = key.display().to_string();
    sandbox.stdout(&words(&register_revision("one.toml", &["--key", &key])), 0);
    let refusal = "is signed by the key of `one`, which is trusted for that cloud alone";
    refused(
        &sandbox,
        &words(&register_revision("two.toml", &[])),
        refusal,
    );
    refused(
        &sandbox,
        &words(&register_revision("two.toml", &["--replace"])),
        refusal,
    );
    // A user who trusts the key for it says so; from then on it is known for both.
    sandbox.stdout(&words(&register_revision("two.toml", &["--key", &key])), 0);
    sandbox.stdout(&words(&register_revision("two.toml", &[])), 0);
}

#[test]
fn an_older_file_of_a_cloud_is_not_taken_again() {
    let sandbox = sandbox();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions/owner.pub");
    let key = key.display().to_string();
    sandbox.stdout(&words(&register_revision("one.toml", &["--key", &key])), 0);
    refused(
        &sandbox,
        &words(&register_revision("one-older.toml", &[])),
        "a file of an earlier day is not taken back",
    );
    // Of the same day, only a greater revision is newer.
    for more in [&[][..], &["--replace"], &["--key", &key]] {
        refused(
            &sandbox,
            &words(&register_revision("one-same-day.toml", more)),
            "this one is revision 0",
        );
    }
    sandbox.stdout(&words(&register_revision("one-revision-1.toml", &[])), 0);
    let show = sandbox.stdout(
        &[
            "catalog",
            "show",
            "sky:one:fra1:vm/m1",
            "--catalog",
            "catalog",
        ],
        0,
    );
    assert!(show.contains("$0.11/h"), "{show}");
    refused(
        &sandbox,
        &words(&register_revision("one.toml", &[])),
        "of 2026-11-01, revision 1, and this one is revision 0",
    );
    // The same file again changes nothing.
    let before = everything(&sandbox);
    sandbox.stdout(&words(&register_revision("one-revision-1.toml", &[])), 0);
    assert_eq!(everything(&sandbox), before);
}
