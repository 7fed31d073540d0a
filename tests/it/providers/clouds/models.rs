//! What Microsoft's own Python client knows of the bodies that Azure takes and gives, by which
//! every request and every answer of the fake is checked.

use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The models of the client, by API and name: `compute.VirtualMachine`.
pub(super) struct Models(Value);

/// Where `make setup` has put things.
fn home() -> PathBuf {
    let usual = || {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
            .join(".cache/sky-planner/servers")
    };
    std::env::var_os("SKY_TEST_SERVERS").map_or_else(usual, PathBuf::from)
}

/// The Python that has Microsoft's client.
pub(super) fn python() -> PathBuf {
    let python = home().join("azure/bin/python");
    assert!(
        python.exists(),
        "no client of Microsoft's in {}: `make setup` gets it",
        home().display()
    );
    python
}

impl Models {
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Models> = OnceLock::new();
        SHARED.get_or_init(|| {
            let path = home().join("azure-models.json");
            let text = std::fs::read(&path);
            let text =
                text.unwrap_or_else(|_| panic!("no {}: `make setup` makes it", path.display()));
            Self(serde_json::from_slice(&text).unwrap())
        })
    }

    /// What is wrong with what is asked.
    pub(super) fn request(&self, model: &str, body: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.value(model, body, model, true, &mut wrong);
        wrong
    }

    /// What is wrong with an answer.
    pub(super) fn answer(&self, model: &str, body: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.value(model, body, model, false, &mut wrong);
        wrong
            .iter()
            .map(|wrong| format!("answer: {wrong}"))
            .collect()
    }

    fn fields(
        &self,
        known: &Value,
        fields: &Map<String, Value>,
        at: &str,
        asked: bool,
        wrong: &mut Vec<String>,
    ) {
        for (name, field) in known.as_object().unwrap() {
            if asked && field["required"] == true && fields.get(name).is_none_or(Value::is_null) {
                wrong.push(format!("{at}.{name} is missing"));
            }
        }
        // What is null is not there.
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let below = format!("{at}.{name}");
            let Some(field) = known.get(name) else {
                wrong.push(format!("there is no {below}"));
                continue;
            };
            if asked && field["readonly"] == true {
                wrong.push(format!("{below} is for answers alone"));
            }
            match (field.get("fields"), value) {
                (Some(inner), Value::Object(fields)) => {
                    self.fields(inner, fields, &below, asked, wrong)
                }
                (Some(_), _) => wrong.push(format!("{below} is not an object")),
                (None, _) => {
                    self.value(field["type"].as_str().unwrap(), value, &below, asked, wrong)
                }
            }
            let unknown = |values: &Vec<Value>| !values.contains(value);
            if field["enum"].as_array().is_some_and(unknown) {
                wrong.push(format!("{below} cannot be {value}"));
            }
        }
    }

    fn value(&self, kind: &str, value: &Value, at: &str, asked: bool, wrong: &mut Vec<String>) {
        if let Some(inner) = kind
            .strip_prefix('[')
            .and_then(|kind| kind.strip_suffix(']'))
        {
            match value.as_array() {
                Some(items) => items
                    .iter()
                    .for_each(|item| self.value(inner, item, at, asked, wrong)),
                None => wrong.push(format!("{at} is not a list")),
            }
            return;
        }
        if let Some(inner) = kind
            .strip_prefix('{')
            .and_then(|kind| kind.strip_suffix('}'))
        {
            match value.as_object() {
                Some(map) => map
                    .values()
                    .for_each(|one| self.value(inner, one, at, asked, wrong)),
                None => wrong.push(format!("{at} is not a map")),
            }
            return;
        }
        if let Some(model) = self.0.get(kind) {
            match value.as_object() {
                Some(fields) => self.fields(&model["fields"], fields, at, asked, wrong),
                None => wrong.push(format!("{at} is not a {kind}")),
            }
            return;
        }
        let right = match kind {
            "str" => value.is_string(),
            "int" | "long" => value.is_i64(),
            "float" => value.is_number(),
            "bool" => value.is_boolean(),
            "iso-8601" => value.as_str().is_some_and(|text| text.contains('T')),
            "object" => true,
            _ => false,
        };
        if !right {
            wrong.push(format!("{at} is not a {kind}: {value}"));
        }
    }
}

#[test]
fn mistakes_are_seen() {
    use serde_json::json;
    let models = Models::shared();
    let right = json!({
        "location": "eastus", "tags": { "a": "b" },
        "properties": { "priority": "Spot", "timeCreated": null, "osProfile": { "customData": "aGk=" } },
    });
    assert_eq!(
        models.request("compute.VirtualMachine", &right),
        Vec::<String>::new()
    );
    for (change, part) in [
        (
            json!({ "locaton": "x" }),
            "there is no compute.VirtualMachine.locaton",
        ),
        (json!({ "location": null }), "location is missing"),
        (json!({ "etag": "x" }), "etag is for answers alone"),
        (json!({ "tags": { "a": 1 } }), "tags is not a str"),
        (
            json!({ "properties": { "vmId": "x" } }),
            "properties.vmId is for answers alone",
        ),
        (
            json!({ "properties": { "priority": "Cheap" } }),
            "priority cannot be",
        ),
        (
            json!({ "properties": { "osProfile": { "x": 1 } } }),
            "there is no compute.VirtualMachine.properties.osProfile.x",
        ),
        (
            json!({ "properties": { "storageProfile": { "dataDisks": 7 } } }),
            "dataDisks is not a list",
        ),
        (
            json!({ "properties": { "billingProfile": { "maxPrice": "1" } } }),
            "maxPrice is not a float",
        ),
    ] {
        let mut body = right.clone();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let wrong = models.request("compute.VirtualMachine", &body);
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{wrong:?}");
    }
}
