//! The one way a value is written down: JSON with sorted keys, two spaces, a final newline.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Canonical JSON text of `value`: sorted keys, indented by two, with a trailing newline.
///
/// The order does not depend on serde_json's `preserve_order` feature, which any dependency
/// may turn on.
pub fn to_text<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&sorted(serde_json::to_value(value)?))?;
    text.push('\n');
    Ok(text)
}

enum Sorted {
    Object(BTreeMap<String, Sorted>),
    Array(Vec<Sorted>),
    Leaf(Value),
}

impl Serialize for Sorted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Sorted::Object(members) => members.serialize(serializer),
            Sorted::Array(items) => items.serialize(serializer),
            Sorted::Leaf(value) => value.serialize(serializer),
        }
    }
}

fn sorted(value: Value) -> Sorted {
    match value {
        Value::Object(members) => Sorted::Object(
            members
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect(),
        ),
        Value::Array(items) => Sorted::Array(items.into_iter().map(sorted).collect()),
        leaf => Sorted::Leaf(leaf),
    }
}
