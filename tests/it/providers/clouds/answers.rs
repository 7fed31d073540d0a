//! What the fake of Google answers with, and how it understands what it is asked.

use super::google::{Answer, ZONES};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn failure(status: u16, reason: &str, message: &str) -> Answer {
    let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
    (
        status,
        json!({ "error": { "code": status, "message": message, "errors": errors } }),
    )
}

/// What Google says with a reason.
pub(super) fn message(reason: &str) -> &'static str {
    match reason {
        "quotaExceeded" => "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.",
        "rateLimitExceeded" => "Rate Limit Exceeded",
        "forbidden" => "Required 'compute.instances.create' permission for 'projects/sky-test'",
        "SERVICE_DISABLED" => {
            "Cloud TPU API has not been used in project 1 before or it is disabled."
        }
        "resourceNotReady" => "The resource 'projects/sky-test' is not ready",
        _ => "as the test says",
    }
}

pub(super) fn missing(name: &str) -> Answer {
    failure(
        404,
        "notFound",
        &format!("The resource '{name}' was not found"),
    )
}

/// Google takes lower case, digits, `-` and `_`, and 63 of them.
pub(super) fn labels_fit(labels: &Value) -> bool {
    let fits = |text: &str| {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        text.len() <= 63 && text.bytes().all(plain)
    };
    labels.as_object().is_none_or(|labels| {
        labels
            .iter()
            .all(|(name, value)| fits(name) && value.as_str().is_some_and(fits))
    })
}

/// A list by zones; those that have nothing say so, as Google's do.
pub(super) fn aggregated(kind: &str, found: Vec<(String, Value)>) -> Value {
    let mut items: BTreeMap<String, Value> = BTreeMap::new();
    let empty: BTreeSet<&str> = ZONES
        .into_iter()
        .filter(|zone| found.iter().all(|(at, _)| at != zone))
        .collect();
    for zone in empty {
        let warning = json!({ "code": "NO_RESULTS_ON_PAGE", "message": "There are no results" });
        items.insert(format!("zones/{zone}"), json!({ "warning": warning }));
    }
    for (zone, body) in found {
        let list = items
            .entry(format!("zones/{zone}"))
            .or_insert_with(|| json!({ kind: [] }));
        list[kind].as_array_mut().unwrap().push(body);
    }
    json!({ "items": items })
}

/// Whether a filter, of the few forms that are asked for, leaves something.
pub(super) fn fits(filter: &str, body: &Value) -> bool {
    filter
        .split(" AND ")
        .filter(|term| !term.is_empty())
        .all(|term| {
            let term = term.trim_start_matches('(').trim_end_matches(')');
            let field = |path: &str| {
                path.split('.')
                    .fold(body, |value, name| &value[name])
                    .as_str()
                    .map(str::to_owned)
            };
            if let Some(path) = term.strip_suffix(":*") {
                return field(path).is_some();
            }
            let (path, comparison, wanted) = match term.split_once(" = ") {
                Some((path, wanted)) => (path, "=", wanted),
                None => term
                    .split_once(" : ")
                    .map(|(path, wanted)| (path, ":", wanted))
                    .unwrap(),
            };
            let wanted = wanted.trim_matches('"');
            field(path).is_some_and(|value| {
                if comparison == "=" {
                    value == wanted
                } else {
                    value.contains(wanted)
                }
            })
        })
}

/// A part of a query as it was before it was encoded.
pub(super) fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
