//! JSON with the way to every value, for messages.

use super::Fault;
use crate::model::units::scaled;
use crate::spec::table::shown;
use serde_json::Value;

/// A value and the way to it.
#[derive(Clone)]
pub(super) struct Node<'j> {
    pub at: String,
    pub value: &'j Value,
}

impl<'j> Node<'j> {
    /// The value of a key; null counts as left out.
    pub(super) fn get(&self, key: &str) -> Option<Node<'j>> {
        let member_value = self.value.get(key).filter(|value| !value.is_null())?;
        let member_path = if self.at.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.at)
        };
        Some(Node {
            at: member_path,
            value: member_value,
        })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Node<'j>> {
        let required_node = self.get(key);
        if required_node.is_none() {
            let message = match self.value {
                Value::Object(_) => format!("`{key}` is missing"),
                other => format!("is {}, not an object with `{key}`", kind_words(other)),
            };
            faults.push(Fault::new(self.at.clone(), message));
        }
        required_node
    }

    /// The elements of a list.
    pub(super) fn items(&self, faults: &mut Vec<Fault>) -> Vec<Node<'j>> {
        match self.value {
            Value::Array(items) => {
                let item_node = |(index, value)| Node {
                    at: format!("{}[{index}]", self.at),
                    value,
                };
                items.iter().enumerate().map(item_node).collect()
            }
            other => {
                faults.push(Fault::new(
                    self.at.clone(),
                    format!("is {}, not a list", kind_words(other)),
                ));
                Vec::new()
            }
        }
    }

    /// The elements of a list that may be left out.
    pub(super) fn list(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<Node<'j>> {
        self.get(key)
            .map(|node| node.items(faults))
            .unwrap_or_default()
    }

    /// Text that is not empty.
    pub(super) fn text(&self, faults: &mut Vec<Fault>) -> Option<&'j str> {
        match self.value {
            Value::String(text) if !text.is_empty() => return Some(text),
            Value::String(_) => faults.push(Fault::new(self.at.clone(), "is empty")),
            other => faults.push(Fault::new(
                self.at.clone(),
                format!("is {}, not text", kind_words(other)),
            )),
        }
        None
    }

    /// A number that is not negative, times `per_unit`.
    pub(super) fn number(&self, per_unit: i128, faults: &mut Vec<Fault>) -> Option<u64> {
        let fault = match self.value {
            // The shortest decimal that is this number: a fraction is read by its digits.
            Value::Number(number) => match scaled(&number.to_string(), per_unit) {
                Ok(scaled) => return u64::try_from(scaled).ok(),
                Err(error) => error.0,
            },
            other => format!("is {}, not a number", kind_words(other)),
        };
        faults.push(Fault::new(self.at.clone(), shown(&fault)));
        None
    }
}

fn kind_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
