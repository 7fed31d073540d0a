//! What there is at the Azure of the tests, and what becomes of it.

use super::arm::{DISK, IP, NIC, VM, failure, shown, skus, tags_refusal, told, view};
use super::http::{Asked, Told};
use super::metal::end;
use super::microsoft::{SUBSCRIPTION, Trouble};
use crate::support::sshd::Sshd;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A list has so many items a page.
const PAGE: usize = 2;

#[derive(Default)]
pub(super) struct World {
    /// Where it is reached.
    pub endpoint: String,
    /// By path in lower case, below the subscription.
    pub resources: BTreeMap<String, Value>,
    pub machines: BTreeMap<String, Machine>,
    operations: BTreeMap<String, Operation>,
    pub troubles: Vec<(String, Trouble)>,
    /// What was called, with bodies: `PUT virtualMachines`.
    pub calls: Vec<(String, Value)>,
    pub wrong: Vec<String>,
    /// What nobody may do.
    pub excepted: Option<String>,
    /// Of every region and family.
    pub cores: Option<u64>,
    count: u64,
}

/// What runs behind a resource.
#[derive(Default)]
pub(super) struct Machine {
    pub power: Option<&'static str>,
    failed: Option<&'static str>,
    pub server: Option<Sshd>,
}

/// Something that takes its time: over when it is looked at for the second time.
struct Operation {
    looked_at: bool,
    failing: Option<&'static str>,
    /// A machine that comes to be, or a group that comes to an end.
    of: String,
}

/// The path of something beside what has this path.
fn beside(path: &str, kind: &str, name: &str) -> String {
    let group = path.split('/').nth(1).unwrap_or_default();
    format!("resourcegroups/{group}/providers/{kind}/{name}").to_ascii_lowercase()
}

/// Azure's own id; in answers its case is not always that of the question.
fn id(path: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/{}",
        path.replace("resourcegroups", "resourceGroups")
    )
}

impl World {
    /// The subnets of the region that a machine is to be in.
    pub(super) fn subnets(&self, body: &Value) -> Vec<String> {
        let here = self
            .resources
            .values()
            .filter(|one| one["location"] == body["location"]);
        let subnets = here.filter_map(|one| {
            Some((
                one["id"].as_str()?,
                one["properties"]["subnets"].as_array()?,
            ))
        });
        subnets
            .flat_map(|(id, list)| {
                list.iter()
                    .map(move |one| format!("{id}/subnets/{}", one["name"].as_str().unwrap()))
            })
            .map(|id| id.to_ascii_lowercase())
            .collect()
    }

    /// The way to a machine, for the configuration of `ssh`.
    pub(super) fn alias(&self, path: &str, machine: &Machine) -> Option<String> {
        let name = path.rsplit('/').next()?;
        let address = self
            .resources
            .get(&beside(path, IP, &format!("{name}-public")))?["properties"]["ipAddress"]
            .as_str()?;
        let port = machine.server.as_ref()?.port;
        Some(format!(
            "Host {address}\n  HostName 127.0.0.1\n  Port {port}\n"
        ))
    }

    /// An answer that says where to see what becomes of it.
    fn begin(&mut self, status: u16, body: Value, of: &str, failing: Option<&'static str>) -> Told {
        self.count += 1;
        let name = format!("op{}", self.count);
        let root = format!("{}/subscriptions/{SUBSCRIPTION}", self.endpoint);
        let place = "providers/Microsoft.Compute/locations/eastus/operations";
        let headers = match of.matches('/').count() {
            // Of groups, only the place says when they are gone.
            1 => vec![(
                "Location",
                format!("{root}/operationresults/{name}?api-version=2021-04-01"),
            )],
            _ => vec![(
                "Azure-AsyncOperation",
                format!("{root}/{place}/{name}?api-version=2024-07-01&t=1"),
            )],
        };
        self.operations.insert(
            name,
            Operation {
                looked_at: false,
                failing,
                of: of.to_owned(),
            },
        );
        Told {
            status,
            headers,
            body,
        }
    }

    /// Makes a machine, and what it is made of. One that fails is there all the same.
    pub(super) fn make(
        &mut self,
        path: &str,
        name: &str,
        body: &Value,
        failing: Option<&'static str>,
    ) -> Told {
        let group = path
            .split("/providers")
            .next()
            .unwrap_or_default()
            .to_owned();
        if !self.resources.contains_key(&group) {
            return failure(
                404,
                "ResourceGroupNotFound",
                "Resource group could not be found.",
            );
        }
        self.count += 1;
        let location = &body["location"];
        let interface = &body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0];
        let part = &interface["properties"]["ipConfigurations"][0];
        let public = &part["properties"]["publicIPAddressConfiguration"];
        // They are named after what is asked for, and not the same.
        let named = |of: &Value, end: &str| format!("{}-{end}", of["name"].as_str().unwrap());
        let (nic, ip) = (named(interface, "nic"), named(public, "public"));
        let paths = [
            beside(path, NIC, &nic),
            beside(path, IP, &ip),
            beside(path, DISK, name),
        ];
        let address = format!("198.19.{}.{}", 100 + self.count / 250, 1 + self.count % 250);
        let with = |path: &str, name: &str, kind: &str, properties: Value| json!({ "id": id(path), "name": name, "type": kind, "location": location, "properties": properties });
        let inside = json!({
            "name": part["name"],
            "properties": { "subnet": part["properties"]["subnet"], "publicIPAddress": { "id": id(&paths[1]) } },
        });
        let done = "Succeeded";
        let made = [
            with(
                &paths[0],
                &nic,
                NIC,
                json!({ "ipConfigurations": [inside], "provisioningState": done }),
            ),
            with(
                &paths[1],
                &ip,
                IP,
                json!({ "ipAddress": address, "provisioningState": done }),
            ),
            with(&paths[2], name, DISK, json!({})),
        ];
        let machine = shown(body, &id(path), name, &id(&paths[0]), self.count);
        self.resources.extend(paths.into_iter().zip(made));
        self.resources.insert(path.to_owned(), machine.clone());
        self.machines.insert(path.to_owned(), Machine::default());
        self.begin(201, machine, path, failing)
    }

    /// What was begun has come to its end.
    fn finish(&mut self, of: &str, failing: Option<&'static str>) {
        if of.matches('/').count() == 1 {
            let below = format!("{of}/");
            let inside: Vec<String> = self
                .resources
                .keys()
                .filter(|path| path.starts_with(&below))
                .cloned()
                .collect();
            inside.iter().for_each(|path| self.remove(path, false));
            self.resources.remove(of);
        } else if let (Some(machine), Some(body)) =
            (self.machines.get_mut(of), self.resources.get_mut(of))
            && body["properties"]["provisioningState"] == "Creating"
        {
            body["properties"]["provisioningState"] = if failing.is_some() {
                "Failed"
            } else {
                "Succeeded"
            }
            .into();
            machine.failed = failing;
            machine.power = failing.is_none().then_some("running");
        }
    }

    /// Removes a resource, with what a machine was made of.
    pub(super) fn remove(&mut self, path: &str, with_parts: bool) {
        let Some(body) = self.resources.remove(path) else {
            return;
        };
        let Some(machine) = self.machines.remove(path) else {
            return;
        };
        end(machine.server);
        if with_parts {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            assert_eq!(
                body["properties"]["storageProfile"]["osDisk"]["deleteOption"],
                "Delete"
            );
            for (kind, name) in [
                (NIC, format!("{name}-nic")),
                (IP, format!("{name}-public")),
                (DISK, name),
            ] {
                self.resources.remove(&beside(path, kind, &name));
            }
        }
    }

    /// Whether something refers to it.
    fn is_used(&self, path: &str) -> bool {
        let id = format!("\"{}\"", id(path).to_ascii_lowercase());
        self.resources.iter().any(|(other, body)| {
            other != path && body.to_string().to_ascii_lowercase().contains(&id)
        })
    }

    fn shown(&mut self, path: &str, view_too: bool) -> Option<Value> {
        let mut body = self.resources.get(path)?.clone();
        if let Some(machine) = self.machines.get(path).filter(|_| view_too) {
            body["properties"]["instanceView"] = view(&body, machine.power, machine.failed);
        }
        Some(body)
    }

    /// A list, page by page.
    fn page(&self, asked: &Asked, mut items: Vec<Value>) -> Told {
        let from: usize = asked
            .query
            .get("$skiptoken")
            .and_then(|from| from.parse().ok())
            .unwrap_or(0);
        let more = items.len() > from + PAGE;
        items = items.into_iter().skip(from).take(PAGE).collect();
        let mut body = json!({ "value": items });
        if more {
            let version = &asked.query["api-version"];
            let next = format!(
                "{}{}?api-version={version}&$skiptoken={}",
                self.endpoint,
                asked.path,
                from + PAGE
            );
            body["nextLink"] = next.into();
        }
        told(200, body)
    }

    /// Everything but the call that creates a machine. `place`: what it is of, its name, whether in
    /// a group.
    pub(super) fn answer(
        &mut self,
        asked: &Asked,
        path: &str,
        (what, name, of_group): (&str, &str, bool),
        body: &Value,
        keep: bool,
    ) -> Told {
        let group = path
            .split("/providers")
            .next()
            .unwrap_or_default()
            .to_owned();
        let within = of_group && what != "resourceGroups";
        if within
            && !self
                .resources
                .contains_key(group.trim_end_matches("/resources"))
        {
            return failure(
                404,
                "ResourceGroupNotFound",
                &format!("Resource group '{group}' could not be found."),
            );
        }
        match (asked.verb.as_str(), what) {
            ("GET", "skus") => {
                let region = asked
                    .query
                    .get("$filter")
                    .and_then(|filter| filter.split('\'').nth(1))
                    .unwrap_or("eastus");
                let next = format!(
                    "{}{}?api-version=2021-07-01&$skiptoken={region}",
                    self.endpoint, asked.path
                );
                let second = asked.query.get("$skiptoken").map(String::as_str);
                told(200, skus(second.unwrap_or(region), second, &next))
            }
            ("GET", "permissions") => {
                let excepted: Vec<&String> = self.excepted.iter().collect();
                told(
                    200,
                    json!({ "value": [{ "actions": ["*"], "notActions": excepted }] }),
                )
            }
            ("GET", "usages") => {
                let usage = |name: &str| {
                    json!({
                        "name": { "value": name, "localizedValue": name }, "unit": "Count", "currentValue": 2,
                        "limit": self.cores.unwrap_or(100),
                    })
                };
                told(
                    200,
                    json!({ "value": [usage("cores"), usage("standardBSFamily")] }),
                )
            }
            ("GET", "operations") => self.look(name),
            ("GET", "operationresults") => {
                let over = self.look(name).body["status"] != "InProgress";
                told(if over { 200 } else { 202 }, Value::Null)
            }
            ("GET", "resources") => {
                let below = format!("{}/providers/", group.trim_end_matches("/resources"));
                let items = self
                    .resources
                    .iter()
                    .filter(|(path, _)| path.starts_with(&below));
                let short = |body: &Value| json!({ "id": body["id"], "name": body["name"], "type": body["type"], "location": body["location"] });
                self.page(asked, items.map(|(_, body)| short(body)).collect())
            }
            ("GET", _) if name.is_empty() => {
                let below = if of_group {
                    format!("{group}/")
                } else {
                    String::new()
                };
                let kind = format!("/{}/", VM.to_ascii_lowercase());
                let items = self
                    .resources
                    .iter()
                    .filter(|(path, _)| path.contains(&kind) && path.starts_with(&below));
                // In these lists, Azure writes groups in upper case.
                let mut items: Vec<Value> = items.map(|(_, body)| body.clone()).collect();
                for item in &mut items {
                    let id = item["id"]
                        .as_str()
                        .unwrap_or_default()
                        .replace("/sky-", "/SKY-");
                    item["id"] = id.into();
                }
                self.page(asked, items)
            }
            ("GET", _) => {
                let Some(body) = self.shown(path, asked.query.contains_key("$expand")) else {
                    return failure(
                        404,
                        "ResourceNotFound",
                        &format!("The Resource '{name}' was not found."),
                    );
                };
                // Time passes, whether anybody looks at the operation or not.
                if matches!(
                    body["properties"]["provisioningState"].as_str(),
                    Some("Creating" | "Deleting")
                ) {
                    let begun = self
                        .operations
                        .values()
                        .find(|operation| operation.of == path);
                    let failing = begun.and_then(|operation| operation.failing);
                    self.finish(path, failing);
                }
                told(200, body)
            }
            ("PUT", _) => self.put(path, what, name, body),
            ("PATCH", "tags") => {
                let path = path
                    .trim_end_matches("/providers/microsoft.resources/tags/default")
                    .to_owned();
                let (Some(known), "Merge") = (
                    self.resources.get_mut(&path),
                    body["operation"].as_str().unwrap(),
                ) else {
                    return failure(404, "ResourceNotFound", "The resource was not found.");
                };
                let mut tags = known["tags"].as_object().cloned().unwrap_or_default();
                tags.extend(body["properties"]["tags"].as_object().unwrap().clone());
                if let Some(no) = tags_refusal(&Value::Object(tags.clone())) {
                    return no;
                }
                known["tags"] = Value::Object(tags.clone());
                told(
                    200,
                    json!({ "name": "default", "type": "Microsoft.Resources/tags", "properties": { "tags": tags } }),
                )
            }
            ("DELETE", "resourceGroups") => match self.resources.get_mut(path) {
                Some(group) => {
                    group["properties"]["provisioningState"] = "Deleting".into();
                    self.begin(202, Value::Null, path, None)
                }
                None => failure(
                    404,
                    "ResourceGroupNotFound",
                    "Resource group could not be found.",
                ),
            },
            ("DELETE", "virtualMachines") if self.resources.contains_key(path) => {
                self.remove(path, !keep);
                self.begin(202, Value::Null, path, None)
            }
            ("DELETE", _) if !self.resources.contains_key(path) => told(204, Value::Null),
            ("DELETE", _) if self.is_used(path) => {
                failure(400, "NicInUse", "It is used by another resource.")
            }
            ("DELETE", _) => {
                self.remove(path, false);
                told(200, Value::Null)
            }
            _ => failure(404, "InvalidResourceType", "There is no such route."),
        }
    }

    /// The status of an operation.
    fn look(&mut self, name: &str) -> Told {
        let Some(operation) = self.operations.get_mut(name) else {
            return failure(404, "NotFound", "The entity was not found.");
        };
        if !std::mem::replace(&mut operation.looked_at, true) {
            return told(200, json!({ "status": "InProgress", "name": name }));
        }
        let (of, failing) = (operation.of.clone(), operation.failing);
        self.finish(&of, failing);
        told(
            200,
            match failing {
                None => json!({ "status": "Succeeded", "name": name }),
                Some(code) => {
                    json!({ "status": "Failed", "name": name, "error": { "code": code, "message": super::arm::message(code) } })
                }
            },
        )
    }

    fn put(&mut self, path: &str, what: &str, name: &str, body: &Value) -> Told {
        if let Some(no) = tags_refusal(&body["tags"]) {
            return no;
        }
        let known = self.resources.get(path);
        if known.is_some_and(|known| known["location"] != body["location"]) {
            return failure(
                409,
                "InvalidResourceLocation",
                "The resource already exists in another location.",
            );
        }
        if known.is_some_and(|known| known["properties"]["provisioningState"] == "Deleting") {
            return failure(
                409,
                "ResourceGroupBeingDeleted",
                "The resource group is being deleted.",
            );
        }
        let new = known.is_none();
        let kind = super::arm::KINDS
            .iter()
            .find(|kind| kind.0.ends_with(what))
            .map(|kind| kind.0);
        let mut made = body.clone();
        made["id"] = id(path).into();
        made["name"] = name.into();
        made["type"] = kind.unwrap_or("Microsoft.Resources/resourceGroups").into();
        made["properties"]["provisioningState"] = "Succeeded".into();
        self.resources.insert(path.to_owned(), made.clone());
        // It takes its time, which is seen by looking at the resource again.
        if new && kind.is_some() {
            made["properties"]["provisioningState"] = "Updating".into();
        }
        told(if new { 201 } else { 200 }, made)
    }
}
