//! The one way a value is written down: JSON with sorted keys, two spaces, a final newline.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Canonical JSON text of `value`: sorted keys, indented by two, with a trailing newline.
///
/// The order does not depend on serde_json's `preserve_order` feature, which any dependency
/// may turn on.
pub fn to_text<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&sorted_members(serde_json::to_value(value)?))?;
    text.push('\n');
    Ok(text)
}

/// Canonical JSON text of what is JSON already, as [`to_text`] writes it.
pub fn text_of_value(value: &Value) -> String {
    format!("{:#}\n", sorted_value(value))
}

fn sorted_value(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let sorted = sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted_value(value)));
            Value::Object(sorted.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted_value).collect()),
        leaf => leaf.clone(),
    }
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

fn sorted_members(value: Value) -> Sorted {
    match value {
        Value::Object(members) => Sorted::Object(
            members
                .into_iter()
                .map(|(key, value)| (key, sorted_members(value)))
                .collect(),
        ),
        Value::Array(items) => Sorted::Array(items.into_iter().map(sorted_members).collect()),
        leaf => Sorted::Leaf(leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_everything_else_is() {
        for value in [
            json!({}),
            json!([]),
            json!({ "b": [1, { "z": null, "a": "\u{e9}\n\"" }], "a": {}, "c": [] }),
            json!("text"),
        ] {
            assert_eq!(text_of_value(&value), to_text(&value).unwrap());
        }
    }
}
