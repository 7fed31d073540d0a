//! A Google Cloud of a few routes. Its instances are real SSH servers on this machine, which take
//! their keys from the user data as cloud-init does. What is asked and what it answers is checked
//! by Google's own description.

use super::answers::{aggregated, failure, fits, labels_fit, message, missing, plain};
use super::discovery::Discovery;
use super::machine::{Machine, alias};
use super::metal::{boot, end};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) const PROJECT: &str = "sky-test";
/// All zones that there are, and what machines they have.
pub(super) const ZONES: [&str; 4] = [
    "us-central1-a",
    "us-central1-b",
    "us-central1-f",
    "europe-west4-a",
];
const TYPES: [&str; 2] = ["e2-small", "n1-standard-8"];
/// The zones that have T4 cards.
const WITH_CARDS: [&str; 2] = ["us-central1-b", "europe-west4-a"];
const ROOT: &str = "https://www.googleapis.com/compute/v1";

/// Google Cloud until it is dropped, with all that runs there.
pub(crate) struct Google {
    address: SocketAddr,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub folder: tempfile::TempDir,
    world: Mutex<World>,
    over: AtomicBool,
}

#[derive(Default)]
pub(super) struct World {
    /// By zone and name.
    instances: BTreeMap<(String, String), Machine>,
    /// TPU VMs, by zone and name.
    pub nodes: BTreeMap<(String, String), Machine>,
    firewalls: BTreeMap<String, Value>,
    pub operations: BTreeMap<String, Value>,
    /// The operations that requests with an id began.
    requests: BTreeMap<String, String>,
    troubles: Vec<(String, Trouble)>,
    /// Methods that were called, with their bodies.
    calls: Vec<(String, Value)>,
    wrong: Vec<String>,
    count: u64,
    /// Permissions that nobody has.
    lacks: Vec<&'static str>,
    /// Of cores, in every region.
    quota: Option<u64>,
}

/// What happens to calls.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The operation fails, with this code; of Cloud TPU, with a number and a message.
    Operation(&'static str),
    /// It is answered with this status and reason.
    Answer(u16, &'static str),
    /// It is done, but nothing is answered.
    Silence,
}

pub(super) type Answer = (u16, Value);

impl Google {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared {
            folder,
            world: Mutex::default(),
            over: AtomicBool::new(false),
        });
        std::fs::write(shared.config(), "").unwrap();
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = for_thread.clone();
                // A client that goes away in the middle is none of the server's business.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment in which `sky` takes it for Google.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let user = Command::new("id").arg("-un").output().unwrap();
        vec![
            ("SKY_GCP_ENDPOINT", self.endpoint()),
            ("SKY_GCP_PROJECT", PROJECT.to_owned()),
            (
                "SKY_TEST_MACHINES",
                self.shared.folder.path().display().to_string(),
            ),
            ("SKY_SSH_CONFIG", self.shared.config().display().to_string()),
            ("SKY_SSH_FROM", "192.0.2.1".to_owned()),
            (
                "SKY_SSH_USER",
                String::from_utf8(user.stdout).unwrap().trim().to_owned(),
            ),
        ]
    }

    /// From now on this happens to calls of a method in a zone:
    /// `compute.instances.insert us-central1-a`.
    pub(crate) fn trouble(&self, call: &str, trouble: Trouble) {
        self.shared.lock().troubles.push((call.to_owned(), trouble));
    }

    /// From now on nobody has this permission, and regions have so many cores.
    pub(crate) fn restrict(&self, permission: &'static str, cores: u64) {
        let mut world = self.shared.lock();
        world.lacks.push(permission);
        world.quota = Some(cores);
    }

    pub(crate) fn no_trouble(&self) {
        self.shared.lock().troubles.clear();
    }

    /// The bodies of calls of a method, so far.
    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let world = self.shared.lock();
        world
            .calls
            .iter()
            .filter(|(called, _)| called == method)
            .map(|(_, body)| body.clone())
            .collect()
    }

    /// The zones and names of what is there.
    pub(crate) fn instances(&self) -> Vec<(String, String)> {
        self.shared.lock().instances.keys().cloned().collect()
    }

    /// The same of TPU VMs.
    pub(crate) fn nodes(&self) -> Vec<(String, String)> {
        self.shared.lock().nodes.keys().cloned().collect()
    }

    /// Somebody makes a TPU VM behind everybody's back.
    pub(crate) fn plant(&self, zone: &str, name: &str, body: &Value) {
        self.shared.lock().plant(zone, name, body);
    }

    pub(crate) fn firewalls(&self) -> Vec<Value> {
        self.shared.lock().firewalls.values().cloned().collect()
    }

    /// All machines power themselves off.
    pub(crate) fn power_off(&self) {
        self.shared.power_off();
    }

    /// What was asked or answered against Google's own description.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.shared.lock().wrong.clone()
    }

    /// Nothing that was asked or answered is against Google's own description.
    pub(crate) fn check(&self) {
        let world = self.shared.lock();
        assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
        assert!(!world.calls.is_empty());
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // The listener waits for a connection.
        drop(TcpStream::connect(self.address));
        let mut world = self.shared.lock();
        let (instances, nodes) = (
            std::mem::take(&mut world.instances),
            std::mem::take(&mut world.nodes),
        );
        for (_, machine) in instances.into_iter().chain(nodes) {
            end(machine.server);
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    fn power_off(&self) {
        let mut world = self.lock();
        for machine in world.instances.values_mut() {
            machine.body["status"] = "TERMINATED".into();
            end(machine.server.take());
        }
        for machine in world.nodes.values_mut() {
            machine.body["state"] = "STOPPED".into();
            end(machine.server.take());
        }
    }

    /// Google takes all machines back.
    fn take(&self) {
        let mut world = self.lock();
        for ((zone, name), machine) in std::mem::take(&mut world.instances) {
            end(machine.server);
            world.operation(
                "compute.instances.preempted",
                Some(&zone),
                &format!("instances/{name}"),
                None,
            );
        }
        for machine in world.nodes.values_mut() {
            machine.body["state"] = "PREEMPTED".into();
            end(machine.server.take());
        }
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ');
        let (verb, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let mut length = 0;
        loop {
            let mut line = String::new();
            // Whoever is killed before all is said has asked for nothing.
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let Some((status, answer)) = self.handle(verb, target, &body) else {
            return Ok(());
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(answer.as_bytes())
    }

    /// None: nothing is answered.
    fn handle(&self, verb: &str, target: &str, body: &[u8]) -> Option<Answer> {
        match target {
            "/test/take" => self.take(),
            "/test/off" => self.power_off(),
            _ => {}
        }
        if target.starts_with("/test/") {
            return Some((200, json!({})));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (plain(name), plain(value)))
            .collect();
        let tpu = path.starts_with("/v2/");
        let projects = path.starts_with("/v3/");
        let google = match (tpu, projects) {
            (true, _) => Discovery::tpu(),
            (_, true) => Discovery::projects(),
            _ => Discovery::shared(),
        };
        let below = path
            .strip_prefix(if tpu || projects { "/" } else { "/compute/v1/" })
            .unwrap_or_default();
        let Some(route) = google.route(verb, below) else {
            self.lock().wrong.push(format!("no route: {verb} {target}"));
            return Some(failure(404, "notFound", "no such route"));
        };
        let body: Option<Value> =
            (!body.is_empty()).then(|| serde_json::from_slice(body).unwrap_or_default());
        let wrong = google.request(&route, &query, body.as_ref());
        let below = below.strip_prefix("v2/").unwrap_or(below);
        let parts: Vec<&str> = below.split('/').skip(2).collect();
        let zone = match parts.as_slice() {
            ["zones" | "locations", zone, ..] => zone,
            _ => "",
        };
        let call = format!("{} {zone}", route.id());
        let body = body.unwrap_or_default();
        let trouble = {
            let mut world = self.lock();
            world.wrong.extend(wrong);
            world.calls.push((route.id().to_owned(), body.clone()));
            if !projects && !below.starts_with(&format!("projects/{PROJECT}/")) {
                world.wrong.push(format!("another project: {below}"));
            }
            world
                .troubles
                .iter()
                .find(|(at, _)| call.trim_end().starts_with(at.as_str()))
                .map(|(_, trouble)| trouble.clone())
        };
        if let Some(Trouble::Answer(status, reason)) = trouble {
            return Some(failure(status, reason, message(reason)));
        }
        let failing = match &trouble {
            Some(Trouble::Operation(code)) => Some(*code),
            _ => None,
        };
        let answer = match tpu {
            _ if projects => {
                let lacks: Vec<Value> = self
                    .lock()
                    .lacks
                    .iter()
                    .map(|name| Value::from(*name))
                    .collect();
                let asked = body["permissions"].as_array().cloned().unwrap_or_default();
                let granted: Vec<Value> = asked
                    .into_iter()
                    .filter(|one| !lacks.contains(one))
                    .collect();
                (200, json!({ "permissions": granted }))
            }
            true => self.tpu(verb, &parts, &query, &body, failing),
            false => self.answer(verb, &parts, &query, &body, failing),
        };
        if answer.0 == 200 {
            let wrong = google.answer(&route, &answer.1);
            self.lock().wrong.extend(wrong);
        }
        (!matches!(trouble, Some(Trouble::Silence))).then_some(answer)
    }

    fn answer(
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
        let filter = asked("filter").unwrap_or_default();
        if verb == "POST" && parts.len() == 3 && parts[0] == "zones" {
            return self.insert(
                parts[1],
                body,
                asked("requestId").unwrap_or_default(),
                failing,
            );
        }
        let mut world = self.lock();
        match (verb, parts) {
            ("GET", ["aggregated", "instances"]) => {
                let found = world
                    .instances
                    .iter()
                    .filter(|(_, machine)| fits(filter, &machine.body));
                let found = found.map(|((zone, _), machine)| (zone.clone(), machine.body.clone()));
                (200, aggregated("instances", found.collect()))
            }
            ("GET", ["aggregated", "machineTypes"]) => {
                let all = ZONES.iter().flat_map(|zone| {
                    TYPES.map(|name| (*zone, json!({ "name": name, "architecture": "X86_64" })))
                });
                let found = all
                    .filter(|(_, body)| fits(filter, body))
                    .map(|(zone, body)| (zone.to_owned(), body));
                (200, aggregated("machineTypes", found.collect()))
            }
            ("GET", ["aggregated", "acceleratorTypes"]) => {
                let all = WITH_CARDS
                    .iter()
                    .map(|zone| (*zone, json!({ "name": "nvidia-tesla-t4" })));
                let found = all
                    .filter(|(_, body)| fits(filter, body))
                    .map(|(zone, body)| (zone.to_owned(), body));
                (200, aggregated("acceleratorTypes", found.collect()))
            }
            ("GET", ["aggregated", "operations"]) => {
                let found = world.operations.values().filter(|body| fits(filter, body));
                let zone = |body: &Value| {
                    body["zone"]
                        .as_str()
                        .and_then(|zone| zone.rsplit('/').next())
                        .map(str::to_owned)
                };
                let found = found.filter_map(|body| Some((zone(body)?, body.clone())));
                (200, aggregated("operations", found.collect()))
            }
            ("GET", ["zones", zone, "machineTypes", name]) => {
                (200, json!({ "name": name, "zone": zone, "guestCpus": 2 }))
            }
            ("GET", ["regions", region]) => {
                let quota =
                    json!({ "metric": "CPUS", "limit": world.quota.unwrap_or(24), "usage": 1 });
                (200, json!({ "name": region, "quotas": [quota] }))
            }
            ("GET", ["zones", _, "operations", name] | ["global", "operations", name])
            | ("POST", ["zones", _, "operations", name, "wait"]) => {
                match world.operations.get_mut(*name) {
                    Some(operation) => {
                        operation["status"] = "DONE".into();
                        (200, operation.clone())
                    }
                    None => failure(404, "notFound", "no such operation"),
                }
            }
            ("GET", ["zones", zone, "instances", name]) => match world.instance(zone, name) {
                Some(machine) => (200, machine.body.clone()),
                None => missing(name),
            },
            ("DELETE", ["zones", zone, "instances", name]) => match world.instance(zone, name) {
                Some(_) => {
                    if failing.is_none() {
                        let removed = world
                            .instances
                            .remove(&((*zone).to_owned(), (*name).to_owned()));
                        end(removed.and_then(|machine| machine.server));
                    }
                    (
                        200,
                        world.operation(
                            "delete",
                            Some(zone),
                            &format!("instances/{name}"),
                            failing,
                        ),
                    )
                }
                None => missing(name),
            },
            ("POST", ["zones", zone, "instances", name, what]) => {
                let (field, print) = if *what == "setLabels" {
                    ("labels", "labelFingerprint")
                } else {
                    ("metadata", "fingerprint")
                };
                let next = world.fingerprint();
                let Some(machine) = world.instance(zone, name) else {
                    return missing(name);
                };
                let known = if field == "labels" {
                    &machine.body[print]
                } else {
                    &machine.body["metadata"][print]
                };
                if *known != body[print] {
                    return failure(
                        412,
                        "conditionNotMet",
                        "Supplied fingerprint does not match current metadata fingerprint.",
                    );
                }
                if field == "labels" {
                    machine.body["labels"] = body["labels"].clone();
                    machine.body[print] = next;
                } else {
                    machine.body["metadata"] =
                        json!({ "items": body["items"], "fingerprint": next });
                }
                (
                    200,
                    world.operation(what, Some(zone), &format!("instances/{name}"), failing),
                )
            }
            ("POST", ["global", "firewalls"]) => {
                let name = body["name"].as_str().unwrap_or_default().to_owned();
                if world.firewalls.contains_key(&name) {
                    return failure(
                        409,
                        "alreadyExists",
                        &format!("The resource '{name}' already exists"),
                    );
                }
                world.firewalls.insert(name.clone(), body.clone());
                (
                    200,
                    world.operation("insert", None, &format!("firewalls/{name}"), failing),
                )
            }
            ("GET", ["global", "firewalls", name]) => match world.firewalls.get(*name) {
                Some(body) => (200, body.clone()),
                None => missing(name),
            },
            ("PATCH", ["global", "firewalls", name]) => match world.firewalls.get_mut(*name) {
                Some(known) => {
                    let fields: &Map<String, Value> = body.as_object().unwrap();
                    fields
                        .iter()
                        .for_each(|(field, value)| known[field] = value.clone());
                    (
                        200,
                        world.operation("patch", None, &format!("firewalls/{name}"), failing),
                    )
                }
                None => missing(name),
            },
            ("DELETE", ["global", "firewalls", name]) => match world.firewalls.remove(*name) {
                Some(_) => (
                    200,
                    world.operation("delete", None, &format!("firewalls/{name}"), failing),
                ),
                None => missing(name),
            },
            _ => failure(501, "notImplemented", "the fake has no such route"),
        }
    }

    fn insert(&self, zone: &str, body: &Value, request: &str, failing: Option<&str>) -> Answer {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        {
            let mut world = self.lock();
            if let Some(known) = world.requests.get(request) {
                return (200, world.operations[known].clone());
            }
            let key = (zone.to_owned(), name.clone());
            let kind = body["machineType"]
                .as_str()
                .and_then(|kind| kind.rsplit('/').next())
                .unwrap_or_default();
            if world.instances.contains_key(&key) {
                return failure(
                    409,
                    "alreadyExists",
                    &format!("The resource '{name}' already exists"),
                );
            }
            if !ZONES.contains(&zone) || !TYPES.contains(&kind) {
                return failure(400, "invalid", &format!("no {kind} in {zone}"));
            }
            if !labels_fit(&body["labels"]) {
                return failure(400, "invalid", "Invalid value for field 'resource.labels'");
            }
            let operation =
                world.operation("insert", Some(zone), &format!("instances/{name}"), failing);
            world.requests.insert(
                request.to_owned(),
                operation["name"].as_str().unwrap().to_owned(),
            );
            if failing.is_some() {
                return (200, operation);
            }
            let mut made = body.clone();
            let address = world.address();
            made["id"] = world.number().to_string().into();
            made["status"] = "RUNNING".into();
            made["selfLink"] =
                format!("{ROOT}/projects/{PROJECT}/zones/{zone}/instances/{name}").into();
            made["zone"] = format!("{ROOT}/projects/{PROJECT}/zones/{zone}").into();
            made["machineType"] =
                format!("{ROOT}/projects/{PROJECT}/zones/{zone}/machineTypes/{kind}").into();
            made["labelFingerprint"] = world.fingerprint();
            made["metadata"]["fingerprint"] = world.fingerprint();
            made["networkInterfaces"][0]["accessConfigs"][0]["natIP"] = address.into();
            world.instances.insert(
                key,
                Machine {
                    body: made,
                    server: None,
                },
            );
        }
        let items = body["metadata"]["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let user_data = items
            .iter()
            .find(|item| item["key"] == "user-data")
            .and_then(|item| item["value"].as_str());
        let server = user_data.map(|user_data| boot(self.folder.path(), user_data));
        let mut world = self.lock();
        match world.instance(zone, &name) {
            Some(machine) => machine.server = server,
            None => end(server),
        }
        world.write_config(&self.config());
        let known = world.requests[request].clone();
        (200, world.operations[&known].clone())
    }
}

impl World {
    fn instance(&mut self, zone: &str, name: &str) -> Option<&mut Machine> {
        self.instances.get_mut(&(zone.to_owned(), name.to_owned()))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// One that nobody else has.
    pub(super) fn address(&mut self) -> String {
        let number = self.number();
        format!("198.51.{}.{}", 100 + number / 250, 1 + number % 250)
    }

    /// Writes down the ways to all machines.
    pub(super) fn write_config(&self, path: &Path) {
        let config: String = self
            .instances
            .values()
            .chain(self.nodes.values())
            .filter_map(alias)
            .collect();
        sky::util::file::write_atomic(path, config.as_bytes()).unwrap();
    }

    fn fingerprint(&mut self) -> Value {
        // Eight bytes in base64; which ones says nothing.
        format!("AAAA{:06}A=", self.number()).into()
    }

    /// An operation that has begun, and fails with a code or not.
    fn operation(
        &mut self,
        kind: &str,
        zone: Option<&str>,
        target: &str,
        failing: Option<&str>,
    ) -> Value {
        let name = format!("operation-{}", self.number());
        let at = zone.map_or_else(|| "global".to_owned(), |zone| format!("zones/{zone}"));
        let mut body = json!({
            "name": name,
            "operationType": kind,
            "selfLink": format!("{ROOT}/projects/{PROJECT}/{at}/operations/{name}"),
            "status": "RUNNING",
            "targetLink": format!("{ROOT}/projects/{PROJECT}/{at}/{target}"),
        });
        if let Some(zone) = zone {
            body["zone"] = format!("{ROOT}/projects/{PROJECT}/zones/{zone}").into();
        }
        if let Some(code) = failing {
            body["error"] = json!({ "errors": [{ "code": code, "message": "as the test says" }] });
        }
        self.operations.insert(name, body.clone());
        body
    }
}
