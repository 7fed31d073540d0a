//! The readers of the files that people write, and what they say.

use serde_json::{Map, Value, json};
use sky::spec::hosts::{self, HostsFile};
use sky::spec::{self, Diagnostics, Severity, job, policy};
use std::path::Path;

/// A kind of file that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Job,
    Policy,
    Hosts,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Job, Kind::Policy, Kind::Hosts];

impl Kind {
    /// The name of the schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Job => "job",
            Kind::Policy => "policy",
            Kind::Hosts => "hosts",
        }
    }

    pub(super) fn schema(self) -> Value {
        match self {
            Kind::Job => spec::schema::job(),
            Kind::Policy => spec::schema::policy(),
            Kind::Hosts => spec::schema::hosts(),
        }
    }

    /// Every error that the reader finds, with its hint; none: it takes the file.
    pub(super) fn errors(self, text: &str) -> Vec<String> {
        match self {
            Kind::Job => job::parse("job.toml", text).map_or_else(messages, |_| Vec::new()),
            Kind::Policy => {
                policy::parse("policy.toml", text).map_or_else(messages, |_| Vec::new())
            }
            Kind::Hosts => {
                let file = HostsFile {
                    path: Path::new("hosts.toml"),
                    folder: Path::new("/"),
                    home: None,
                    text,
                };
                match hosts::parse(&file) {
                    Ok(_) => Vec::new(),
                    Err(fault) => vec![format!("{}; {}", fault.message, fault.hint)],
                }
            }
        }
    }
}

fn messages(found: Diagnostics) -> Vec<String> {
    found
        .list
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| {
            let hint = diagnostic.hint.as_deref().unwrap_or_default();
            format!("{}; {hint}", diagnostic.message)
        })
        .collect()
}

/// All schemas by name, for the validator.
pub(super) fn schemas() -> Value {
    let mut all: Map<String, Value> = KINDS
        .iter()
        .map(|kind| (kind.name().to_owned(), kind.schema()))
        .collect();
    all.insert("plan".to_owned(), sky::plan::schema::schema());
    Value::Object(all)
}

/// A TOML file as editors hand it to a validator: JSON has no dates, and no number that is not
/// finite. None: it is not TOML.
pub(super) fn as_json(text: &str) -> Option<Value> {
    fn json(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => json!(text),
            toml::Value::Integer(number) => json!(number),
            toml::Value::Float(number) => json!(number),
            toml::Value::Boolean(boolean) => json!(boolean),
            toml::Value::Datetime(date) => json!(date.to_string()),
            toml::Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
            toml::Value::Table(table) => object(table),
        }
    }
    fn object(table: toml::Table) -> Value {
        Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        )
    }
    toml::from_str::<toml::Table>(text).ok().map(object)
}
