//! Google's own descriptions of its APIs, by which every request and every answer of the fake is
//! checked.

use serde_json::Value;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A description, from Google's Python client.
pub(super) struct Discovery(Value);

/// What a path and a method are.
pub(super) struct Route<'a> {
    method: &'a Value,
}

/// What tests need of others is there.
pub(super) fn home() -> PathBuf {
    let home = || {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
            .join(".cache/sky-planner/servers")
    };
    std::env::var_os("SKY_TEST_SERVERS").map_or_else(home, PathBuf::from)
}

fn file(name: &str) -> PathBuf {
    let home = home();
    let libraries = std::fs::read_dir(home.join("schemas/lib"))
        .into_iter()
        .flatten()
        .flatten();
    let below = "site-packages/googleapiclient/discovery_cache/documents";
    let mut files = libraries
        .map(|python| python.path().join(below).join(name))
        .filter(|path| path.exists());
    files.next().unwrap_or_else(|| {
        panic!(
            "no description of Google's API in {}: `make setup` gets it",
            home.display()
        )
    })
}

impl Discovery {
    fn read(name: &str) -> Self {
        Self(serde_json::from_slice(&std::fs::read(file(name)).unwrap()).unwrap())
    }

    /// Compute Engine.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Discovery> = OnceLock::new();
        SHARED.get_or_init(|| Self::read("compute.v1.json"))
    }

    /// Cloud TPU.
    pub(super) fn tpu() -> &'static Self {
        static TPU: OnceLock<Discovery> = OnceLock::new();
        TPU.get_or_init(|| Self::read("tpu.v2.json"))
    }

    /// Resource Manager.
    pub(super) fn projects() -> &'static Self {
        static PROJECTS: OnceLock<Discovery> = OnceLock::new();
        PROJECTS.get_or_init(|| Self::read("cloudresourcemanager.v3.json"))
    }

    /// The route of a request; `path` is without the query, from after the address of the API on.
    pub(super) fn route(&self, verb: &str, path: &str) -> Option<Route<'_>> {
        let mut methods = methods(&self.0).into_iter();
        let fits = |method: &&Value| {
            let pattern = method["flatPath"]
                .as_str()
                .unwrap_or_default()
                .split('/')
                .collect::<Vec<_>>();
            let parts = path.split('/').collect::<Vec<_>>();
            let fits = |(wanted, part): (&&str, &&str)| match wanted.rsplit_once('}') {
                // `{projectsId}:testIamPermissions`
                Some((_, end)) => part.ends_with(end),
                None => wanted == part,
            };
            method["httpMethod"] == verb
                && pattern.len() == parts.len()
                && pattern.iter().zip(&parts).all(fits)
        };
        methods
            .find(|method| fits(method))
            .map(|method| Route { method })
    }

    /// What is wrong with a request: its query and its body.
    pub(super) fn request(
        &self,
        route: &Route,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let parameters = route.method["parameters"].as_object().unwrap();
        for (name, _) in query {
            // These two are of all of Google's APIs, and in no description.
            let known = matches!(name.as_str(), "$alt" | "$apiVersion");
            let known = known
                || parameters
                    .get(name)
                    .is_some_and(|known| known["location"] == "query");
            if !known && self.0["parameters"].get(name).is_none() {
                wrong.push(format!("there is no parameter {name}"));
            }
        }
        match (route.method["request"]["$ref"].as_str(), body) {
            (Some(schema), Some(body)) => {
                self.value(&self.0["schemas"][schema], body, schema, true, &mut wrong)
            }
            (Some(schema), None) => wrong.push(format!("no body, but a {schema} is wanted")),
            (None, Some(_)) => wrong.push("a body, but none is wanted".to_owned()),
            (None, None) => {}
        }
        let id = route.id();
        wrong.iter().map(|wrong| format!("{id}: {wrong}")).collect()
    }

    /// What is wrong with an answer.
    pub(super) fn answer(&self, route: &Route, body: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let schema = route.method["response"]["$ref"].as_str().unwrap();
        self.value(&self.0["schemas"][schema], body, schema, false, &mut wrong);
        wrong
            .iter()
            .map(|wrong| format!("answer of {}: {wrong}", route.id()))
            .collect()
    }

    fn value(&self, schema: &Value, value: &Value, at: &str, asked: bool, wrong: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.value(&self.0["schemas"][name], value, at, asked, wrong);
        }
        if asked && schema["readOnly"] == true {
            wrong.push(format!("{at} is for answers alone"));
        }
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => {
                for (name, field) in fields {
                    let below = format!("{at}.{name}");
                    match schema["properties"]
                        .get(name)
                        .or(schema.get("additionalProperties"))
                    {
                        Some(schema) => self.value(schema, field, &below, asked, wrong),
                        None => wrong.push(format!("there is no {below}")),
                    }
                }
            }
            (Some("array"), Value::Array(items)) => {
                items
                    .iter()
                    .for_each(|item| self.value(&schema["items"], item, at, asked, wrong));
            }
            (Some("string"), Value::String(text)) => {
                let known = schema["enum"].as_array();
                if known.is_some_and(|known| !known.iter().any(|one| one == text)) {
                    wrong.push(format!("{at} cannot be {text}"));
                }
                let number = matches!(schema["format"].as_str(), Some("int64" | "uint64"));
                if number && text.parse::<i128>().is_err() {
                    wrong.push(format!("{at} is not a number: {text}"));
                }
            }
            (Some("any"), _)
            | (Some("boolean"), Value::Bool(_))
            | (Some("integer" | "number"), Value::Number(_)) => {}
            (kind, _) => wrong.push(format!(
                "{at} is not a {}: {value}",
                kind.unwrap_or("known kind")
            )),
        }
    }
}

/// The methods of a resource, and of those below it.
fn methods(resource: &Value) -> Vec<&Value> {
    let own = resource["methods"]
        .as_object()
        .into_iter()
        .flat_map(|methods| methods.values());
    let below = resource["resources"]
        .as_object()
        .into_iter()
        .flat_map(|below| below.values());
    own.chain(below.flat_map(methods)).collect()
}

impl Route<'_> {
    /// As `compute.instances.insert`.
    pub(super) fn id(&self) -> &str {
        self.method["id"].as_str().unwrap()
    }
}

#[test]
fn mistakes_are_seen() {
    let google = Discovery::shared();
    let route = google
        .route("POST", "projects/p/zones/us-central1-a/instances")
        .unwrap();
    assert_eq!(route.id(), "compute.instances.insert");
    assert!(
        google
            .route("POST", "projects/p/zones/us-central1-a/instance")
            .is_none()
    );
    let right = serde_json::json!({ "name": "a", "labels": { "x": "y" }, "scheduling": { "maxRunDuration": { "seconds": "7" } } });
    assert_eq!(
        google.request(&route, &[("requestId".into(), "1".into())], Some(&right)),
        Vec::<String>::new()
    );
    for (body, part) in [
        (
            serde_json::json!({ "nam": "a" }),
            "there is no Instance.nam",
        ),
        (
            serde_json::json!({ "labels": { "x": 1 } }),
            "Instance.labels.x is not a string",
        ),
        (
            serde_json::json!({ "id": "1" }),
            "Instance.id is for answers alone",
        ),
        (
            serde_json::json!({ "scheduling": { "provisioningModel": "CHEAP" } }),
            "provisioningModel cannot be CHEAP",
        ),
        (
            serde_json::json!({ "scheduling": { "maxRunDuration": { "seconds": "x" } } }),
            "is not a number",
        ),
    ] {
        let wrong = google.request(&route, &[], Some(&body));
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{wrong:?}");
    }
    assert_eq!(
        google
            .request(&route, &[("request_id".into(), "1".into())], Some(&right))
            .len(),
        1
    );
}
