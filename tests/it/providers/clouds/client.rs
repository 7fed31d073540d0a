//! The fake of Google is as honest as Google's own client can tell: what that makes, sky sees, and
//! the other way round.

use super::discovery::home;
use super::gcp::{Place, spec, token};
use super::google::{Google, PROJECT};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn googles_own_client_takes_it_for_google() {
    let place = Place::new();
    let provider = place.provider();
    place
        .create(&provider, &token("a"), &spec("gcp:us-central1", "e2-small"))
        .unwrap();
    place
        .create(&provider, &token("b"), &spec("gcp:us-central1", "tpu-v3-8"))
        .unwrap();
    let python = home().join("schemas/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/google_client.py");
    let mut command = Command::new(&python);
    command
        .arg(script)
        .arg(place.google.endpoint())
        .arg(PROJECT)
        .env("NO_PROXY", "127.0.0.1");
    command
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = command.spawn();
    let mut client = started.unwrap_or_else(|error| {
        panic!(
            "{}: {error}: `make setup` gets Google's client",
            python.display()
        )
    });
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    if line.trim() == "made" {
        let listed = place.runtime.block_on(provider.list(None)).unwrap();
        let mut ids: Vec<&str> = listed.iter().map(|machine| machine.id.as_str()).collect();
        ids.retain(|id| id.contains("theirs"));
        ids.sort_unstable();
        assert_eq!(
            ids,
            [
                "locations/us-central1-b/nodes/theirs",
                "us-central1-a/theirs"
            ]
        );
        client.stdin.take().unwrap().write_all(b"\n").unwrap();
    }
    let mut said = String::new();
    output.read_to_string(&mut said).unwrap();
    let ended = client.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "Google's client failed; if it lacks something, `make setup` gets it:\n{line}{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let seen: Value = serde_json::from_str(&said).unwrap();
    let name = |stage: &str| format!("sky-{}", token(stage).id);
    let expected = json!({
        "instances": [name("a")], "nodes": [name("b")],
        "again": 409, "stale": 412, "no_rule": 404, "node_again": 409, "no_node": 404, "no_instance": 404,
    });
    assert_eq!(seen, expected);
    // Nor was anything that it asked, and was answered, against the descriptions.
    place.google.check();
}

/// What `gcloud` says when it is pointed at that Google.
fn gcloud(google: &Google, home: &Path, args: &[&str]) -> Value {
    let mut command = Command::new("gcloud");
    command
        .args(args)
        .args(["--quiet", "--format=json"])
        .stdin(Stdio::null());
    command
        .env("HOME", home)
        .env("CLOUDSDK_CONFIG", home.join("gcloud"))
        .env("CLOUDSDK_CORE_PROJECT", PROJECT);
    command
        .env("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
        .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true");
    command.env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true");
    command.env(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE",
        format!("{}/compute/v1/", google.endpoint()),
    );
    command.env(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU",
        format!("{}/", google.endpoint()),
    );
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(name);
    }
    let output = command.output().expect("no gcloud on this machine");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gcloud {args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
#[ignore = "needs gcloud, which is large: Google's other client says the same in a test of its own"]
fn gcloud_takes_it_for_google() {
    let place = Place::new();
    let (google, home) = (&place.google, tempfile::tempdir().unwrap());
    let provider = place.provider();
    place
        .create(&provider, &token("b"), &spec("gcp:us-central1", "tpu-v3-8"))
        .unwrap();
    let gcloud = |args: &[&str]| gcloud(google, home.path(), args);
    let tpu = |args: &[&str]| gcloud(&[&["compute", "tpus", "tpu-vm"], args].concat());
    let kind = ["--accelerator-type=v3-8", "--version=tpu-ubuntu2204-base"];
    let zone = "--zone=us-central1-f";
    tpu(&[
        &["create", "theirs", zone],
        &kind[..],
        &["--labels=x=y", "--spot"],
    ]
    .concat());
    assert_eq!(
        tpu(&["describe", "theirs", zone])["schedulingConfig"]["spot"],
        true
    );
    let listed = tpu(&["list", "--zone=-"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert!(
        names.len() == 2 && names.iter().any(|name| name.ends_with(&token("b").id)),
        "{names:?}"
    );
    tpu(&["delete", "theirs", zone]);
    // What sky has made is ended by somebody else.
    tpu(&[
        "delete",
        &format!("sky-{}", token("b").id),
        "--zone=us-central1-b",
    ]);
    assert_eq!(google.nodes(), []);
    assert_eq!(place.runtime.block_on(provider.list(None)), Ok(Vec::new()));
    let machine = place
        .create(&provider, &token("a"), &spec("gcp:us-central1", "e2-small"))
        .unwrap();
    let instances = |args: &[&str]| gcloud(&[&["compute", "instances"], args].concat());
    let kind = [
        "--machine-type=e2-small",
        "--image=projects/p/global/images/i",
        "--labels=x=y",
    ];
    instances(&[&["create", "theirs", "--zone=europe-west4-a"], &kind[..]].concat());
    let listed = instances(&["list", "--filter=labels.sky-stage=a"]);
    let name = listed[0]["name"].as_str().unwrap();
    assert!(
        listed.as_array().unwrap().len() == 1 && machine.id == format!("us-central1-a/{name}"),
        "{listed}"
    );
    instances(&["delete", name, "--zone=us-central1-a"]);
    instances(&["delete", "theirs", "--zone=europe-west4-a"]);
    assert_eq!(google.instances(), []);
    assert_eq!(place.runtime.block_on(provider.list(None)), Ok(Vec::new()));
    // It asks for the project itself, in vain and not minding; and some versions of it for
    // something that is in no description any more.
    let mut wrong = google.wrong();
    wrong.retain(|wrong| {
        !wrong.starts_with("another project")
            && !wrong.ends_with("no parameter returnPartialSuccess")
    });
    assert_eq!(wrong, Vec::<String>::new());
}
