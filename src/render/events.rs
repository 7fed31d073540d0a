//! The stream of `--json`: one JSON object a line, with the keys and type names that tools know
//! from `terraform -json`.

use super::plan_text;
use crate::execution::state::{Preview, Standing};
use crate::plan::{Plan, PlannedStage};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the stream's shape.
const UI: &str = "1.0";

/// One event. `fields` is an object whose members are merged in.
pub fn event(level: &str, kind: &str, message: &str, timestamp: &str, fields: Value) -> Value {
    let mut event = Map::new();
    event.insert("@level".to_owned(), json!(level));
    event.insert("@message".to_owned(), json!(message));
    event.insert("@module".to_owned(), json!("sky.ui"));
    event.insert("@timestamp".to_owned(), json!(timestamp));
    event.insert("type".to_owned(), json!(kind));
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    Value::Object(event)
}

/// The first event of every stream.
pub fn version(timestamp: &str) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    event(
        "info",
        "version",
        &format!("sky {version}"),
        timestamp,
        json!({ "sky": version, "ui": UI }),
    )
}

/// The events of a plan after the first: a change per stage that an apply would run, the costs, and
/// last the summary with the whole plan in it. `missing` are the clouds of the plan that this sky
/// has no provider for.
pub fn of_plan(
    plan: &Plan,
    preview: &Preview,
    missing: &BTreeMap<String, BTreeSet<String>>,
    timestamp: &str,
) -> Result<Vec<Value>, serde_json::Error> {
    let mut events = Vec::new();
    for stage in &plan.stages {
        let standing = preview
            .stages
            .get(&stage.name)
            .copied()
            .unwrap_or(Standing::New);
        events.extend(planned_change(stage, standing, missing, timestamp));
    }
    for name in &preview.removed {
        let address = format!("stage.{name}");
        let change =
            json!({ "action": "delete", "reason": "not_in_plan", "resource": resource_json(name) });
        let message = format!("{address}: what runs of it is ended, for the plan does not have it");
        events.push(event(
            "info",
            "planned_change",
            &message,
            timestamp,
            json!({ "change": change }),
        ));
    }
    let message = format!(
        "{}: {} compute, {} egress",
        plan.totals.cost_micro_usd, plan.totals.compute_micro_usd, plan.totals.egress_micro_usd
    );
    events.push(event(
        "info",
        "cost_summary",
        &message,
        timestamp,
        json!({ "totals": plan.totals }),
    ));
    for warning in plan
        .warnings
        .iter()
        .cloned()
        .chain(plan_text::without_provider(missing))
    {
        events.push(diagnostic_event("warning", &warning, "", timestamp));
    }
    let mut fields = serde_json::to_value(plan)?;
    fields["changes"] = change_counts(preview);
    events.push(event(
        "info",
        "change_summary",
        &summary(preview),
        timestamp,
        fields,
    ));
    Ok(events)
}

/// Returns the action of an apply on a stage; `None` if it leaves the stage as it is.
fn planned_change(
    stage: &PlannedStage,
    standing: Standing,
    missing: &BTreeMap<String, BTreeSet<String>>,
    timestamp: &str,
) -> Option<Value> {
    let address = format!("stage.{}", stage.name);
    let (action, reason, message) = match standing {
        Standing::Done => return None,
        Standing::New => (
            "create",
            "planned",
            format!("{address}: plan to create at {}", stage.place),
        ),
        Standing::Again(reason) => (
            "update",
            reason.word(),
            format!("{address}: plan to run again at {}", stage.place),
        ),
    };
    let mut change =
        json!({ "action": action, "reason": reason, "resource": resource_json(&stage.name) });
    if missing.contains_key(&stage.place.cloud) {
        change["provider_missing"] = json!(stage.place.cloud);
    }
    Some(event(
        "info",
        "planned_change",
        &message,
        timestamp,
        json!({ "change": change }),
    ))
}

fn resource_json(name: &str) -> Value {
    let address = format!("stage.{name}");
    json!({ "addr": address, "resource": address, "resource_type": "stage", "resource_name": name })
}

/// A failed plan still ends with a summary. `conflict`: the lines that clash.
pub fn of_failure(
    summary_text: &str,
    detail: &str,
    conflict: Option<&Value>,
    timestamp: &str,
) -> Vec<Value> {
    let mut diagnostic_line = diagnostic_event("error", summary_text, detail, timestamp);
    if let Some(conflict) = conflict {
        diagnostic_line["diagnostic"]["conflict"] = conflict.clone();
    }
    let nothing = Preview::default();
    let summary = event(
        "info",
        "change_summary",
        &summary(&nothing),
        timestamp,
        json!({ "changes": change_counts(&nothing) }),
    );
    vec![diagnostic_line, summary]
}

/// The whole stream of an operation that could not begin.
pub fn failed_stream(
    summary_text: &str,
    detail: &str,
    operation: &str,
    timestamp: &str,
) -> Vec<Value> {
    let mut changes = change_counts(&Preview::default());
    changes["operation"] = json!(operation);
    let diagnostic_line = diagnostic_event("error", summary_text, detail, timestamp);
    let message = format!("{operation}: nothing was done");
    vec![
        version(timestamp),
        diagnostic_line,
        event(
            "info",
            "change_summary",
            &message,
            timestamp,
            json!({ "changes": changes }),
        ),
    ]
}

/// The one object of a verb that answers with one, when it could not answer.
pub fn failed_object(summary_text: &str, detail: &str, timestamp: &str) -> Value {
    let mut diagnostic_line = diagnostic_event("error", summary_text, detail, timestamp);
    diagnostic_line["format_version"] = json!("1.0");
    diagnostic_line["error"] = json!(summary_text);
    diagnostic_line["diagnostics"] = json!([diagnostic_line["diagnostic"]]);
    diagnostic_line
}

/// `Plan: N to add, N to change, N to destroy.`, and what is done already.
pub fn summary(preview: &Preview) -> String {
    let (added, changed, removed) = (preview.added(), preview.changed(), preview.removed.len());
    let mut text = format!("Plan: {added} to add, {changed} to change, {removed} to destroy.");
    text += &match preview.unchanged() {
        0 => String::new(),
        1 => " 1 stage is done already.".to_owned(),
        count => format!(" {count} stages are done already."),
    };
    text += &match preview.undecided() {
        0 => String::new(),
        count => {
            format!(" Of those to change, {count} run only if what they read comes out different.")
        }
    };
    text
}

fn change_counts(preview: &Preview) -> Value {
    let (add, change, remove) = (preview.added(), preview.changed(), preview.removed.len());
    let mut changes =
        json!({ "add": add, "change": change, "import": 0, "remove": remove, "operation": "plan" });
    if preview.unchanged() > 0 {
        changes["unchanged"] = json!(preview.unchanged());
    }
    changes
}

fn diagnostic_event(severity: &str, summary: &str, detail: &str, timestamp: &str) -> Value {
    let level = if severity == "error" { "error" } else { "warn" };
    let diagnostic = json!({ "severity": severity, "summary": summary, "detail": detail });
    event(
        level,
        "diagnostic",
        summary,
        timestamp,
        json!({ "diagnostic": diagnostic }),
    )
}

/// A stream as text.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}
