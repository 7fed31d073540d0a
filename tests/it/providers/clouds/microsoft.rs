//! An Azure of a few routes. Its machines are real SSH servers on this machine, which take their
//! keys from the user data as cloud-init does. What is asked and what it answers is checked by the
//! models of Microsoft's own client, which also has to get along with it.

use super::arm::{KINDS, failure, message, refusal, tags_refusal, told};
use super::http::{Asked, Server, Told};
use super::metal::{boot, end};
use super::models::Models;
use super::world::World;
use base64::Engine;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";

/// Azure until it is dropped, with all that runs there.
pub(crate) struct Microsoft {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    folder: tempfile::TempDir,
    world: Mutex<World>,
}

/// What happens to calls.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The operation fails, with this code.
    Operation(&'static str),
    /// It is answered with this status and code.
    Answer(u16, &'static str),
    /// It is done, but nothing is answered.
    Silence,
    /// What a machine was made of stays when it goes.
    Leftovers,
}

impl Microsoft {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared {
            folder: tempfile::tempdir().unwrap(),
            world: Mutex::default(),
        });
        std::fs::write(shared.config(), "").unwrap();
        let for_server = shared.clone();
        let server = Server::new(move |asked| for_server.handle(asked));
        shared.lock().endpoint = format!("http://{}", server.address);
        Self { server, shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The environment in which `sky` takes it for Azure.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let user = Command::new("id").arg("-un").output().unwrap();
        vec![
            ("SKY_AZURE_ENDPOINT", self.endpoint()),
            ("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION.to_owned()),
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

    /// From now on this happens to calls of a kind: `PUT virtualMachines`.
    pub(crate) fn trouble(&self, call: &str, trouble: Trouble) {
        self.shared.lock().troubles.push((call.to_owned(), trouble));
    }

    /// From now on nobody may do that, and regions have so many cores.
    pub(crate) fn restrict(&self, action: &str, cores: u64) {
        let mut world = self.shared.lock();
        world.excepted = Some(action.to_owned());
        world.cores = Some(cores);
    }

    pub(crate) fn no_trouble(&self) {
        self.shared.lock().troubles.clear();
    }

    /// The bodies of calls of a kind, so far.
    pub(crate) fn calls(&self, call: &str) -> Vec<Value> {
        let world = self.shared.lock();
        world
            .calls
            .iter()
            .filter(|(called, _)| called == call)
            .map(|(_, body)| body.clone())
            .collect()
    }

    /// The names of what there is of a kind: `virtualMachines`; `resourceGroups` for groups.
    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        let kind = format!("/{}/", kind.to_ascii_lowercase());
        let world = self.shared.lock();
        let paths = world.resources.keys().map(|path| format!("/{path}"));
        let of_it =
            paths.filter_map(|path| path.rsplit_once(&kind).map(|(_, name)| name.to_owned()));
        of_it.filter(|name| !name.contains('/')).collect()
    }

    /// All machines power themselves off.
    pub(crate) fn power_off(&self) {
        self.shared.power_off();
    }

    /// Nothing that was asked or answered is against what Microsoft's client knows.
    pub(crate) fn check(&self) {
        let world = self.shared.lock();
        assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
        assert!(!world.calls.is_empty());
    }
}

impl Drop for Microsoft {
    fn drop(&mut self) {
        for (_, machine) in std::mem::take(&mut self.shared.lock().machines) {
            end(machine.server);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    fn power_off(&self) {
        for machine in self.lock().machines.values_mut() {
            machine.power = Some("stopped");
            end(machine.server.take());
        }
    }

    /// Azure takes all spot machines back.
    fn take(&self) {
        let mut world = self.lock();
        let spot = |path: &String| world.resources[path]["properties"]["priority"] == "Spot";
        let taken: Vec<String> = world
            .machines
            .keys()
            .filter(|path| spot(path))
            .cloned()
            .collect();
        taken.iter().for_each(|path| world.remove(path, true));
    }

    fn handle(&self, asked: Asked) -> Option<Told> {
        match asked.path.as_str() {
            "/test/take" => self.take(),
            "/test/off" => self.power_off(),
            _ => {}
        }
        if asked.path.starts_with("/test/") {
            return Some(told(200, json!({})));
        }
        let root = format!("/subscriptions/{SUBSCRIPTION}/");
        let Some(path) = asked.path.strip_prefix(&root).map(str::to_ascii_lowercase) else {
            self.lock()
                .wrong
                .push(format!("another subscription: {}", asked.path));
            return Some(failure(
                404,
                "SubscriptionNotFound",
                "The subscription could not be found.",
            ));
        };
        let (what, name, of_group) = place(&path);
        let call = format!(
            "{} {what}",
            if name.is_empty() && asked.verb == "GET" {
                "LIST"
            } else {
                &asked.verb
            }
        );
        let body = asked.body.clone().unwrap_or_default();
        let at = format!("{call} {}", body["location"].as_str().unwrap_or_default());
        let trouble = {
            let mut world = self.lock();
            let wrong = wrong(&asked, what, &call, &body);
            world.wrong.extend(wrong);
            world.calls.push((call.clone(), body.clone()));
            let known = world
                .troubles
                .iter()
                .find(|(known, _)| at.trim_end().starts_with(known.as_str()));
            known.map(|(_, trouble)| trouble.clone())
        };
        if let Some(Trouble::Answer(status, code)) = trouble {
            return Some(failure(status, code, message(code)));
        }
        let failing = if let Some(Trouble::Operation(code)) = trouble {
            Some(code)
        } else {
            None
        };
        let answer = match (asked.verb.as_str(), what) {
            ("PUT", "virtualMachines") => self.create(&asked, &path, name, &body, failing),
            _ => {
                let keep = matches!(trouble, Some(Trouble::Leftovers));
                self.lock()
                    .answer(&asked, &path, (what, name, of_group), &body, keep)
            }
        };
        if answer.status < 300 && !answer.body.is_null() {
            let model = model(what, name, false);
            let wrong = model
                .map(|model| Models::shared().answer(model, &answer.body))
                .unwrap_or_default();
            self.lock().wrong.extend(wrong);
        }
        (!matches!(trouble, Some(Trouble::Silence))).then_some(answer)
    }

    fn create(
        &self,
        asked: &Asked,
        path: &str,
        name: &str,
        body: &Value,
        failing: Option<&'static str>,
    ) -> Told {
        let data = body["properties"]["osProfile"]["customData"]
            .as_str()
            .unwrap_or_default();
        let Ok(data) = base64::engine::general_purpose::STANDARD.decode(data) else {
            return failure(
                400,
                "InvalidParameter",
                "Custom data in OSProfile must be in Base64 encoding",
            );
        };
        let answer = {
            let mut world = self.lock();
            if world.resources.contains_key(path) {
                return match asked.headers.get("if-none-match").map(String::as_str) {
                    Some("*") => failure(412, "PreconditionFailed", "The condition is not met."),
                    _ => failure(
                        409,
                        "PropertyChangeNotAllowed",
                        "Changing 'osProfile.customData' is not allowed.",
                    ),
                };
            }
            if let Some(no) =
                refusal(body, &world.subnets(body)).or_else(|| tags_refusal(&body["tags"]))
            {
                return no;
            }
            world.make(path, name, body, failing)
        };
        if answer.status != 201 || failing.is_some() {
            return answer;
        }
        // What has no user data of ours is nothing that could be talked to.
        let text = String::from_utf8(data).unwrap_or_default();
        let server = text
            .starts_with("#cloud-config\n")
            .then(|| boot(self.folder.path(), &text));
        let mut world = self.lock();
        match world.machines.get_mut(path) {
            Some(machine) => machine.server = server,
            None => end(server),
        }
        let config: String = world
            .machines
            .iter()
            .filter_map(|(path, machine)| world.alias(path, machine))
            .collect();
        sky::util::file::write_atomic(&self.config(), config.as_bytes()).unwrap();
        answer
    }
}

/// What a path is of, its name if it has one, and whether it is in a group.
fn place(path: &str) -> (&'static str, &str, bool) {
    let parts: Vec<&str> = path.split('/').collect();
    let kind = |kind: &str| {
        let known = KINDS
            .iter()
            .map(|known| known.0.rsplit('/').next().unwrap_or_default());
        known
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(kind))
            .unwrap_or("unknown")
    };
    match parts.as_slice() {
        ["resourcegroups", name] => ("resourceGroups", name, true),
        ["resourcegroups", _, "resources"] => ("resources", "", true),
        ["providers", "microsoft.authorization", "permissions"] => ("permissions", "", false),
        ["providers", "microsoft.compute", "locations", _, "usages"] => ("usages", "", false),
        ["providers", "microsoft.compute", "skus"] => ("skus", "", false),
        ["providers", _, "locations", _, "operations", name] => ("operations", name, false),
        ["operationresults", name] => ("operationresults", name, false),
        ["providers", _, what] => (kind(what), "", false),
        ["resourcegroups", _, "providers", _, what] => (kind(what), "", true),
        ["resourcegroups", _, "providers", _, what, name] => (kind(what), name, true),
        [.., "providers", "microsoft.resources", "tags", "default"] => ("tags", "default", true),
        _ => ("unknown", "", false),
    }
}

/// The model of a body; none: it has none that the client describes.
fn model(what: &str, name: &str, asked: bool) -> Option<&'static str> {
    match what {
        "virtualMachines" if name.is_empty() => Some("compute.VirtualMachineListResult"),
        "skus" => Some("skus.ResourceSkusResult"),
        "usages" => Some("compute.ListUsagesResult"),
        "resources" => Some("resources.ResourceListResult"),
        "resourceGroups" => Some("resources.ResourceGroup"),
        "tags" => Some(if asked {
            "resources.TagsPatchResource"
        } else {
            "resources.TagsResource"
        }),
        _ => KINDS
            .iter()
            .find(|kind| kind.0.ends_with(what))
            .and_then(|kind| kind.2),
    }
}

/// What is wrong with what is asked.
fn wrong(asked: &Asked, what: &str, call: &str, body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let version = match what {
        "skus" => "2021-07-01",
        "usages" => "2024-07-01",
        "permissions" => "2022-04-01",
        "operations" | "operationresults" => "",
        _ => KINDS
            .iter()
            .find(|kind| kind.0.ends_with(&format!("/{what}")))
            .map_or("2021-04-01", |kind| kind.1),
    };
    if !version.is_empty() && asked.query.get("api-version").map(String::as_str) != Some(version) {
        wrong.push(format!("the version is not {version}"));
    }
    let known = ["api-version", "$expand", "$filter", "$skiptoken", "t"];
    wrong.extend(
        asked
            .query
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| format!("?{name}")),
    );
    // On this machine nobody is told a secret; Microsoft's client is given a word of the test.
    let bearer = asked.headers.get("authorization").map(String::as_str);
    if !matches!(bearer, Some("Bearer none" | "Bearer python")) {
        wrong.push("it is not known who asks, or somebody real does".to_owned());
    }
    match (asked.verb.as_str(), model(what, "x", true)) {
        ("PUT" | "PATCH", Some(model)) => wrong.extend(Models::shared().request(model, body)),
        ("PUT" | "PATCH", None) => wrong.push("it is nobody's to change".to_owned()),
        _ if asked.body.is_some() => wrong.push("a body, but none is wanted".to_owned()),
        _ => {}
    }
    if what == "unknown" {
        wrong.push(format!("no route: {}", asked.path));
    }
    wrong
        .iter()
        .map(|wrong| format!("{call}: {wrong}"))
        .collect()
}
