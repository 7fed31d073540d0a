//! What is put on machines that a cloud may take away: it hears of that, at an address that answers
//! as the cloud's own.

use super::http::{Asked, Server, Told};
use crate::execution::apply::place::{Row, ended};
use crate::execution::proof::ground::{Ground, On};
use base64::Engine;
use serde_json::{Value, json};
use sky::model::Purchase;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A machine's metadata.
struct Metadata {
    server: Server,
    leaves: Arc<AtomicBool>,
}

impl Metadata {
    fn new(answer: fn(&Asked, &dyn Fn() -> bool) -> Told) -> Self {
        let leaves = Arc::new(AtomicBool::new(false));
        let known = leaves.clone();
        let server =
            Server::new(move |asked| Some(answer(&asked, &|| known.load(Ordering::SeqCst))));
        Self { server, leaves }
    }
}

fn told(status: u16, body: Value) -> Told {
    Told {
        status,
        headers: Vec::new(),
        body,
    }
}

/// The value changes, and is waited for by whoever knows the one before.
fn google(asked: &Asked, leaves: &dyn Fn() -> bool) -> Told {
    if asked.path != "/computeMetadata/v1/instance/preempted" {
        return told(404, Value::Null);
    }
    if asked.headers.get("metadata-flavor").map(String::as_str) != Some("Google") {
        return told(403, Value::Null);
    }
    let etag = |leaves: bool| if leaves { "5d2c" } else { "1a7f" };
    let waits = asked
        .query
        .get("wait_for_change")
        .is_some_and(|wait| wait == "true");
    let limit = asked
        .query
        .get("timeout_sec")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(60);
    let begun = Instant::now();
    while waits
        && asked
            .query
            .get("last_etag")
            .is_none_or(|last| last == etag(leaves()))
        && begun.elapsed() < Duration::from_secs(limit)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let leaves = leaves();
    let body = Value::String(if leaves { "TRUE" } else { "FALSE" }.to_owned());
    Told {
        status: 200,
        headers: vec![("ETag", etag(leaves).to_owned())],
        body,
    }
}

fn azure(asked: &Asked, leaves: &dyn Fn() -> bool) -> Told {
    if asked.path != "/metadata/scheduledevents"
        || asked
            .query
            .get("api-version")
            .is_none_or(|of| of != "2020-07-01")
    {
        return told(404, Value::Null);
    }
    if asked.headers.get("metadata").map(String::as_str) != Some("true") {
        return told(400, Value::Null);
    }
    let event = |kind: &str, seconds: u32| {
        let from_now = format!("+{seconds} seconds");
        let mut date = Command::new("date");
        date.args(["-u", "-d", &from_now, "+%a, %d %b %Y %H:%M:%S GMT"])
            .env("LC_ALL", "C");
        let time = String::from_utf8(date.output().unwrap().stdout).unwrap();
        json!({ "EventId": "A123BC45", "EventStatus": "Scheduled", "EventType": kind, "ResourceType": "VirtualMachine",
                "Resources": ["sky"], "NotBefore": time.trim(), "Description": "", "EventSource": "Platform" })
    };
    let mut events = vec![event("Freeze", 900)];
    if leaves() {
        events.push(event("Preempt", 40));
    }
    told(200, json!({ "DocumentIncarnation": 1, "Events": events }))
}

/// What listens on a machine, until it is dropped.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs what the user data has for it; none if it has nothing.
fn listen(user_data: &str, home: &Path, metadata: &Metadata) -> Option<Listener> {
    let (first, rest) = user_data.split_once('\n').unwrap();
    assert_eq!(first, "#cloud-config");
    let config: Value = serde_json::from_str(rest).unwrap();
    let files = config["write_files"].as_array().unwrap();
    let content = |path: &str| {
        files
            .iter()
            .find(|file| file["path"] == path)
            .map(|file| file["content"].as_str().unwrap().to_owned())
    };
    let script = content("/usr/local/sbin/sky-notice");
    let unit = content("/etc/systemd/system/sky-notice.service");
    let enabled = config["runcmd"].as_array().unwrap().contains(&json!([
        "systemctl",
        "enable",
        "--now",
        "sky-notice.service"
    ]));
    assert!(
        script.is_some() == unit.is_some() && script.is_some() == enabled,
        "{user_data}"
    );
    let script = script?;
    assert!(unit?.contains("runuser -u "), "it must not be root");
    let mut shell = Command::new("/bin/sh")
        .args(["-s", "--", &home.display().to_string()])
        .env(
            "SKY_METADATA",
            format!("http://{}", metadata.server.address),
        )
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    Some(Listener(shell))
}

/// The user data of a machine that may be taken away, and of one that may not; what it says of them
/// is heard.
fn hears(
    on: On,
    user_data: fn(&Ground) -> Vec<String>,
    metadata: &Metadata,
    seconds: std::ops::RangeInclusive<u64>,
) {
    let rows: [Row; 2] = [
        ("kept", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
        ("lent", &["kept.o"], &[], "true"),
    ];
    let ground = Ground::with(on, &rows, |plan| plan.stages[1].purchase = Purchase::Spot);
    ended(&ground.apply(&[]), 0);
    let user_data = user_data(&ground);
    assert_eq!(user_data.len(), 2);
    let home = tempfile::tempdir().unwrap();
    assert!(
        listen(&user_data[0], home.path(), metadata).is_none(),
        "nobody takes it away"
    );
    let listener = listen(&user_data[1], home.path(), metadata).expect("nothing listens");
    let word = home.path().join("sky/leaving");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!word.exists(), "nothing was said");
    metadata.leaves.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    while !word.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it was not heard"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let uptime = || -> u64 {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split('.').next().unwrap().parse().unwrap()
    };
    let end = || -> u64 {
        std::fs::read_to_string(&word)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let first = end();
    let left = first.saturating_sub(uptime());
    assert!(seconds.contains(&left), "{left} s are not in {seconds:?}");
    // It is said again and again, and does not become later by that.
    std::thread::sleep(Duration::from_secs(5));
    assert!(end() <= first);
    drop(listener);
}

#[cfg(feature = "gcp")]
#[test]
fn a_preemption_at_google_is_heard() {
    let user_data = |ground: &Ground| -> Vec<String> {
        let bodies = ground.google().calls("compute.instances.insert");
        let item = |body: &Value| {
            let items = body["metadata"]["items"].as_array().unwrap().clone();
            items
                .into_iter()
                .find(|item| item["key"] == "user-data")
                .unwrap()["value"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        bodies.iter().map(item).collect()
    };
    hears(On::Gcp, user_data, &Metadata::new(google), 25..=30);
}

#[cfg(feature = "azure")]
#[test]
fn an_eviction_at_azure_is_heard() {
    let user_data = |ground: &Ground| -> Vec<String> {
        let bodies = ground.microsoft().unwrap().calls("PUT virtualMachines");
        let data = |body: &Value| {
            let data = body["properties"]["osProfile"]["customData"]
                .as_str()
                .unwrap();
            String::from_utf8(
                base64::engine::general_purpose::STANDARD
                    .decode(data)
                    .unwrap(),
            )
            .unwrap()
        };
        bodies.iter().map(data).collect()
    };
    hears(On::Azure, user_data, &Metadata::new(azure), 30..=40);
}
