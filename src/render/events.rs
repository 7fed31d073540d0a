//! The stream of `--json`: one JSON object a line, with the keys and type names that tools know
//! from `terraform -json`.

use crate::plan::{Plan, PlannedStage};
use serde_json::{Map, Value, json};

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
    event("info", "version", &format!("sky {version}"), timestamp, json!({ "sky": version, "ui": UI }))
}

/// The events of a plan after the first: a change per stage, the costs, and last the summary
/// with the whole plan in it. `changed` says whether a stage is still to do.
pub fn of_plan(
    plan: &Plan,
    timestamp: &str,
    changed: &dyn Fn(&PlannedStage) -> bool,
) -> Result<Vec<Value>, serde_json::Error> {
    let mut events = Vec::new();
    for stage in plan.stages.iter().filter(|stage| changed(stage)) {
        let address = format!("stage.{}", stage.name);
        let message = format!("{address}: plan to create at {}", stage.place);
        let resource =
            json!({ "addr": address, "resource": address, "resource_type": "stage", "resource_name": stage.name });
        let change = json!({ "action": "create", "reason": "planned", "resource": resource });
        events.push(event("info", "planned_change", &message, timestamp, json!({ "change": change })));
    }
    let message = format!(
        "{}: {} compute, {} egress",
        plan.totals.cost_micro_usd, plan.totals.compute_micro_usd, plan.totals.egress_micro_usd
    );
    events.push(event("info", "cost_summary", &message, timestamp, json!({ "totals": plan.totals })));
    for warning in &plan.warnings {
        events.push(diagnostic("warning", warning, "", timestamp));
    }
    let add = plan.stages.iter().filter(|stage| changed(stage)).count();
    let mut fields = serde_json::to_value(plan)?;
    fields["changes"] = changes(add);
    events.push(event("info", "change_summary", &summary(add), timestamp, fields));
    Ok(events)
}

/// A failed plan still ends with a summary. `conflict`: the lines that clash.
pub fn of_failure(summary_text: &str, detail: &str, conflict: Option<&Value>, timestamp: &str) -> Vec<Value> {
    let mut said = diagnostic("error", summary_text, detail, timestamp);
    if let Some(conflict) = conflict {
        said["diagnostic"]["conflict"] = conflict.clone();
    }
    vec![said, event("info", "change_summary", &summary(0), timestamp, json!({ "changes": changes(0) }))]
}

/// `Plan: N to add, N to change, N to destroy.`
pub fn summary(add: usize) -> String {
    format!("Plan: {add} to add, 0 to change, 0 to destroy.")
}

fn changes(add: usize) -> Value {
    json!({ "add": add, "change": 0, "import": 0, "remove": 0, "operation": "plan" })
}

fn diagnostic(severity: &str, summary: &str, detail: &str, timestamp: &str) -> Value {
    let level = if severity == "error" { "error" } else { "warn" };
    let diagnostic = json!({ "severity": severity, "summary": summary, "detail": detail });
    event(level, "diagnostic", summary, timestamp, json!({ "diagnostic": diagnostic }))
}

/// A stream as text.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}
