//! Cloud TPU, as the fake of Google has it: nodes that are real SSH servers, which take their keys
//! by running the script of their metadata.

use super::answers::{failure, labels_fit};
use super::google::{Answer, PROJECT, Shared, World, ZONES};
use super::machine::Machine;
use super::metal::end;
use crate::support::sshd::Sshd;
use serde_json::{Value, json};
use std::io::Write;
use std::ops::Bound;
use std::path::Path;
use std::process::{Command, Stdio};

/// The zones that have slices, and which ones.
const SLICES: [(&str, &[&str]); 3] = [
    ("us-central1-b", &["v3-8", "v5litepod-8"]),
    ("us-central1-f", &["v3-8"]),
    ("europe-west4-a", &["v2-8", "v3-8", "v3-32"]),
];
/// The software that there is.
const VERSIONS: [&str; 2] = ["tpu-ubuntu2204-base", "v2-alpha-tpuv5-lite"];

/// Runs a node's script as the machine would, in a folder that it takes for the whole disk.
pub(super) fn boot(below: &Path, script: &str) -> Sshd {
    let disk = tempfile::tempdir_in(below).unwrap();
    let root = disk.path().display().to_string();
    let log = disk.path().join("systemctl");
    std::fs::create_dir_all(disk.path().join("bin")).unwrap();
    std::fs::create_dir_all(disk.path().join("etc/systemd/system")).unwrap();
    let program = disk.path().join("bin/systemctl");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho \"$*\" >> {}\n", log.display()),
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let mut script = script.to_owned();
    for folder in ["/etc/", "/usr/local/", "/home/", "/root/"] {
        script = script.replace(folder, &format!("{root}{folder}"));
    }
    let path = format!("{root}/bin:{}", std::env::var("PATH").unwrap_or_default());
    // At its second boot it has nothing to do.
    for _ in 0..2 {
        let mut command = Command::new("/bin/sh");
        let mut shell = command
            .env("PATH", &path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(
            shell.wait().unwrap().success(),
            "the script of a node failed:\n{script}"
        );
    }
    let calls = std::fs::read_to_string(&log).unwrap();
    // What may be taken away listens for that.
    let listens = match script.contains("sky-notice") {
        true => "restart systemd-logind.service\nenable --now sky-notice.service\n",
        false => "",
    };
    assert_eq!(
        calls,
        format!("daemon-reload\nenable --now sky-watchdog.service\n{listens}restart ssh\n")
    );
    assert_eq!(
        disk.path().join("usr/local/sbin/sky-notice").exists(),
        !listens.is_empty()
    );
    let read = |name: &str| std::fs::read_to_string(disk.path().join(name)).unwrap();
    let lease: u64 = read("etc/sky/lease").trim().parse().unwrap();
    assert!(lease >= 120 && read("usr/local/sbin/sky-watchdog").contains("poweroff"));
    let user = script
        .lines()
        .find_map(|line| line.strip_prefix("mkdir -p -m 700 "))
        .unwrap();
    let authorized = std::fs::read_to_string(Path::new(user).join("authorized_keys")).unwrap();
    Sshd::with_keys(
        below,
        &read("etc/ssh/ssh_host_ed25519_key"),
        read("etc/ssh/ssh_host_ed25519_key.pub").trim(),
        authorized.trim(),
    )
}

/// An error as Cloud TPU words it.
fn wrong(code: u16, message: &str) -> Answer {
    failure(code, "backendError", message)
}

fn missing(name: &str) -> Answer {
    wrong(404, &format!("Resource '{name}' was not found"))
}

impl World {
    fn slice(&self, zone: &str, kind: &str) -> bool {
        SLICES
            .iter()
            .any(|(at, kinds)| *at == zone && kinds.contains(&kind))
    }

    /// An operation that has begun, and fails with `CODE message` or not.
    fn tpu_operation(&mut self, zone: &str, failing: Option<&str>) -> Value {
        let name = format!(
            "projects/{PROJECT}/locations/{zone}/operations/operation-{}",
            self.number()
        );
        let begun = json!({ "name": name, "done": false });
        let mut over = json!({ "name": name, "done": true });
        match failing.and_then(|failing| failing.split_once(' ')) {
            Some((code, message)) => {
                over["error"] = json!({ "code": code.parse::<i32>().unwrap(), "message": message });
            }
            None => {
                over["response"] =
                    json!({ "@type": "type.googleapis.com/google.cloud.tpu.v2.Node" })
            }
        }
        self.operations.insert(name, over);
        begun
    }
}

impl Shared {
    /// What is answered at `projects/P/…` of Cloud TPU.
    pub(super) fn tpu(
        &self,
        verb: &str,
        parts: &[&str],
        query: &[(String, String)],
        body: &Value,
        failing: Option<&str>,
    ) -> Answer {
        let asked = |name: &str| {
            query
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        if let ("POST", ["locations", zone, "nodes"]) = (verb, parts) {
            return self.create_node(zone, asked("nodeId").unwrap_or_default(), body, failing);
        }
        let mut world = self.lock();
        match (verb, parts) {
            ("GET", ["locations"]) => {
                let all = ZONES
                    .map(|zone| json!({ "locationId": zone, "name": format!("projects/{PROJECT}/locations/{zone}") }));
                (200, json!({ "locations": all }))
            }
            ("GET", ["locations", zone, "acceleratorTypes", kind]) => match world.slice(zone, kind)
            {
                true => (200, json!({ "name": parts.join("/"), "type": kind })),
                false => missing(&parts.join("/")),
            },
            ("GET", ["locations", "-", "nodes"]) => {
                // A page has one node, so that somebody who reads one page only is seen; and it
                // begins after the last one, whatever has come and gone since.
                let after = asked("pageToken").and_then(|after| after.split_once('/'));
                let after = after
                    .map(|(zone, name)| (zone.to_owned(), name.to_owned()))
                    .unwrap_or_default();
                let mut left = world
                    .nodes
                    .range((Bound::Excluded(after), Bound::Unbounded));
                let Some(((zone, name), first)) = left.next() else {
                    return (200, json!({}));
                };
                let mut answer = json!({ "nodes": [first.body] });
                if left.next().is_some() {
                    answer["nextPageToken"] = format!("{zone}/{name}").into();
                }
                (200, answer)
            }
            ("GET", ["locations", zone, "nodes", name]) => {
                let key = ((*zone).to_owned(), (*name).to_owned());
                let Some(machine) = world.nodes.get_mut(&key) else {
                    return missing(name);
                };
                let answer = machine.body.clone();
                match answer["state"].as_str() {
                    // By the next look it is up, or, of a zone that is full, gone.
                    Some("CREATING") if failing.is_some() => {
                        world.nodes.remove(&key);
                    }
                    Some("CREATING") => machine.body["state"] = "READY".into(),
                    _ => {}
                }
                (200, answer)
            }
            ("PATCH", ["locations", zone, "nodes", name]) => {
                let Some(machine) = world.node(zone, name) else {
                    return missing(name);
                };
                if machine.body["state"] != "READY" {
                    return wrong(
                        400,
                        &format!(
                            "update is not supported while in state {}",
                            machine.body["state"]
                        ),
                    );
                }
                for field in asked("updateMask").unwrap_or_default().split(',') {
                    machine.body[field] = body[field].clone();
                }
                (200, world.tpu_operation(zone, failing))
            }
            ("DELETE", ["locations", zone, "nodes", name]) => {
                let Some(machine) = world
                    .nodes
                    .remove(&((*zone).to_owned(), (*name).to_owned()))
                else {
                    return missing(name);
                };
                end(machine.server);
                (200, world.tpu_operation(zone, failing))
            }
            ("GET", ["locations", zone, "operations", name]) => {
                let name = format!("projects/{PROJECT}/locations/{zone}/operations/{name}");
                world
                    .operations
                    .get(&name)
                    .map_or_else(|| missing(&name), |over| (200, over.clone()))
            }
            _ => wrong(501, "the fake has no such route"),
        }
    }

    fn create_node(&self, zone: &str, name: &str, body: &Value, failing: Option<&str>) -> Answer {
        let operation = {
            let mut world = self.lock();
            if world.node(zone, name).is_some() {
                return wrong(
                    409,
                    &format!(
                        "Resource 'projects/{PROJECT}/locations/{zone}/nodes/{name}' already exists"
                    ),
                );
            }
            let text = |field: &str| body[field].as_str().unwrap_or_default();
            if !world.slice(zone, text("acceleratorType"))
                || !VERSIONS.contains(&text("runtimeVersion"))
                || name.is_empty()
            {
                return wrong(
                    400,
                    &format!(
                        "no {} with {}",
                        body["acceleratorType"], body["runtimeVersion"]
                    ),
                );
            }
            if !labels_fit(&body["labels"]) {
                return wrong(400, "Invalid value for field 'node.labels'");
            }
            let operation = world.tpu_operation(zone, failing);
            if failing.is_some() {
                return (200, operation);
            }
            world.plant(zone, name, body);
            operation
        };
        let script = body["metadata"]["startup-script"].as_str();
        let server = script.map(|script| boot(self.folder.path(), script));
        let mut world = self.lock();
        match world.node(zone, name) {
            Some(machine) => machine.server = server,
            None => end(server),
        }
        world.write_config(&self.config());
        (200, operation)
    }
}

impl World {
    pub(super) fn node(&mut self, zone: &str, name: &str) -> Option<&mut Machine> {
        self.nodes.get_mut(&(zone.to_owned(), name.to_owned()))
    }

    /// A node is there.
    pub(super) fn plant(&mut self, zone: &str, name: &str, body: &Value) {
        let address = self.address();
        let mut made = body.clone();
        made["name"] = format!("projects/{PROJECT}/locations/{zone}/nodes/{name}").into();
        made["state"] = body.get("state").cloned().unwrap_or("READY".into());
        made["networkEndpoints"] = json!([{ "ipAddress": "10.128.0.2", "port": 8470, "accessConfig": { "externalIp": address } }]);
        self.nodes.insert(
            (zone.to_owned(), name.to_owned()),
            Machine {
                body: made,
                server: None,
            },
        );
    }
}
