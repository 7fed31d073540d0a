//! The fake of Google is as honest as Google's own client can tell: what that makes, sky sees, and the
//! other way round.

use super::discovery::home;
use super::gcp::{Place, spec, token};
use super::google::PROJECT;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn googles_own_client_takes_it_for_google() {
    let place = Place::new();
    let provider = place.provider();
    place.create(&provider, &token("a"), &spec("gcp:us-central1", "e2-small")).unwrap();
    place.create(&provider, &token("b"), &spec("gcp:us-central1", "tpu-v3-8")).unwrap();
    let python = home().join("schemas/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/google_client.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(place.google.endpoint()).arg(PROJECT).env("NO_PROXY", "127.0.0.1");
    command.env("no_proxy", "127.0.0.1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    let mut client =
        started.unwrap_or_else(|error| panic!("{}: {error}: `make setup` gets Google's client", python.display()));
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    if line.trim() == "made" {
        let listed = place.runtime.block_on(provider.list(None)).unwrap();
        let mut ids: Vec<&str> = listed.iter().map(|machine| machine.id.as_str()).collect();
        ids.retain(|id| id.contains("theirs"));
        ids.sort_unstable();
        assert_eq!(ids, ["locations/us-central1-b/nodes/theirs", "us-central1-a/theirs"]);
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
