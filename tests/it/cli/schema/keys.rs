//! Whether a schema and its reader know the same keys.

use super::readers::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The name of a key that no file has.
const UNKNOWN: &str = "zzz-unknown";

/// A table of a schema, and the tables of files that it describes.
#[derive(Default)]
pub(super) struct SchemaTable {
    pub(super) keys: BTreeSet<String>,
    /// Keys that are in one of the files.
    pub(super) used: BTreeSet<String>,
    /// A file with an unknown key in such a table.
    pub(super) with_unknown_key: Option<String>,
}

/// The tables with known keys of a schema, by the pointers to them.
pub(super) fn tables(schema: &Value) -> BTreeMap<String, SchemaTable> {
    let mut tables = BTreeMap::new();
    collect(schema, "", &mut tables);
    tables
}

fn collect(schema: &Value, place: &str, tables: &mut BTreeMap<String, SchemaTable>) {
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], false, "{place}");
        let keys = properties.keys().cloned().collect();
        let table = SchemaTable {
            keys,
            ..SchemaTable::default()
        };
        tables.insert(place.to_owned(), table);
    }
    for (step, below) in children(schema) {
        collect(below, &format!("{place}/{step}"), tables);
    }
}

/// A part of the JSON pointer to a schema.
fn step(keyword: &str, key: &str) -> String {
    format!("{keyword}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The schemas of the parts of a value, with the pointers to them in its schema.
pub(super) fn children(schema: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for keyword in ["properties", "patternProperties"] {
        if let Some(members) = schema[keyword].as_object() {
            all.extend(
                members
                    .iter()
                    .map(|(key, below)| (step(keyword, key), below)),
            );
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            all.push((keyword.to_owned(), &schema[keyword]));
        }
    }
    all
}

/// Notes which tables and which keys of a schema a file has.
pub(super) fn visit(schema: &Value, file: &Value, tables: &mut BTreeMap<String, SchemaTable>) {
    visit_part(schema, file, file, "", &mut Vec::new(), tables);
}

fn visit_part(
    schema: &Value,
    whole: &Value,
    part: &Value,
    place: &str,
    path: &mut Vec<String>,
    tables: &mut BTreeMap<String, SchemaTable>,
) {
    let mut below: Vec<(String, String, &Value, &Value)> = Vec::new();
    match part {
        Value::Object(members) => {
            if let Some(table) = tables.get_mut(place) {
                table.used.extend(members.keys().cloned());
                table
                    .with_unknown_key
                    .get_or_insert_with(|| with_unknown_key(whole, path));
            }
            for (key, value) in members {
                let by_name = schema["patternProperties"]
                    .as_object()
                    .into_iter()
                    .flatten();
                let by_name =
                    by_name.map(|(pattern, schema)| (step("patternProperties", pattern), schema));
                let known = schema["properties"]
                    .get(key)
                    .map(|schema| (step("properties", key), schema));
                let any = Some(&schema["additionalProperties"])
                    .filter(|any| any.is_object())
                    .map(|any| ("additionalProperties".to_owned(), any));
                for (step, schema) in by_name.chain(known).chain(any) {
                    below.push((step, key.clone(), schema, value));
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                below.push((
                    "items".to_owned(),
                    number.to_string(),
                    &schema["items"],
                    item,
                ));
            }
        }
        _ => {}
    }
    for (step, key, schema, value) in below {
        path.push(key);
        visit_part(
            schema,
            whole,
            value,
            &format!("{place}/{step}"),
            path,
            tables,
        );
        path.pop();
    }
}

fn with_unknown_key(file: &Value, path: &[String]) -> String {
    let mut changed = file.clone();
    let table = path.iter().fold(&mut changed, |value, step| match value {
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        value => &mut value[step.as_str()],
    });
    table[UNKNOWN] = Value::from(1);
    toml::to_string(&changed).unwrap()
}

/// The keys that a reader names when it refuses the unknown one.
pub(super) fn known_to_the_reader(kind: Kind, text: &str) -> BTreeSet<String> {
    let errors = kind.errors(text);
    let about = |error: &&String| error.contains(UNKNOWN);
    let error = errors
        .iter()
        .find(about)
        .unwrap_or_else(|| panic!("{text}\n{errors:?}"));
    match error.split_once("known keys: ") {
        Some((_, keys)) => keys.split(", ").map(str::to_owned).collect(),
        // What serde says: "unknown field `x`, expected one of `a`, `b`".
        None => {
            let (_, expected) = error.split_once("expected ").unwrap();
            let (expected, _hint) = expected.split_once("; ").unwrap();
            let names = expected.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        }
    }
}
