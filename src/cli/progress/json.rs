//! Progress for programs: one JSON object a line on stdout, with the keys and type names of
//! Terraform's `-json` output. The first line is `version`, the last always `change_summary`.

use super::wording::{elapsed, leaving};
use crate::cli::{Failure, Terminal};
use crate::execution::apply::{Notice, Observer, Outcome, StageOutcome};
use crate::execution::state::Status;
use crate::util::clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Tells notices as JSON lines.
pub struct Stream {
    terminal: Terminal,
    /// What is being done to each stage: `create`, or `update` for one that was run before.
    actions: Mutex<BTreeMap<String, &'static str>>,
}

impl Stream {
    /// Begins the stream with its version.
    pub fn begin(terminal: &Terminal) -> Self {
        let stream = Self {
            terminal: *terminal,
            actions: Mutex::default(),
        };
        let version = env!("CARGO_PKG_VERSION");
        stream.line(
            "info",
            format!("sky {version}"),
            "version",
            json!({ "sky": version, "ui": "1.0" }),
        );
        stream
    }

    /// The end of an operation that could not be done.
    pub fn failed(&self, failure: &Failure, operation: &str) {
        self.diagnostic("error", &failure.message, &failure.hints.join("\n"), None);
        self.summary(
            json!({ "add": 0, "change": 0, "import": 0, "remove": 0, "operation": operation }),
        );
    }

    /// The end of an apply.
    pub fn outcome(&self, outcome: &Outcome) {
        let count = |wanted: &dyn Fn(&StageOutcome) -> bool| {
            outcome.stages.values().filter(|one| wanted(one)).count()
        };
        let actions = self
            .actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let done_actions = |action: &str| {
            let is = |name: &String| actions.get(name).is_some_and(|known| *known == action);
            outcome
                .stages
                .iter()
                .filter(|(name, one)| **one == StageOutcome::Done && is(name))
                .count()
        };
        self.line(
            "info",
            "Outputs".to_owned(),
            "outputs",
            json!({ "outputs": outcome.artifacts }),
        );
        self.summary(json!({
            "operation": "apply",
            "add": done_actions("create"),
            "change": done_actions("update"),
            "import": 0,
            "remove": 0,
            "unchanged": count(&|one| *one == StageOutcome::Unchanged),
            "failed": count(&|one| matches!(one, StageOutcome::Failed { .. })),
            "skipped": count(&|one| matches!(one, StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. })),
            "interrupted": count(&|one| *one == StageOutcome::Interrupted),
        }));
    }

    /// The last line.
    pub fn summary(&self, changes: Value) {
        let count_of = |key: &str| changes.get(key).and_then(Value::as_u64).unwrap_or(0);
        let operation = changes
            .get("operation")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let verb = match operation {
            "destroy" => "Destroy",
            "refresh" => "Refresh",
            _ => "Apply",
        };
        let message = format!(
            "{verb}: {} added, {} changed, {} destroyed, {} failed.",
            count_of("add"),
            count_of("change"),
            count_of("remove"),
            count_of("failed")
        );
        self.line(
            "info",
            message,
            "change_summary",
            json!({ "changes": changes }),
        );
    }

    /// A warning or an error.
    pub fn diagnostic(&self, severity: &str, summary: &str, detail: &str, address: Option<&str>) {
        let level = if severity == "error" { "error" } else { "warn" };
        let title = if severity == "error" {
            "Error"
        } else {
            "Warning"
        };
        let mut diagnostic = json!({ "severity": severity, "summary": summary, "detail": detail });
        if let (Some(address), Some(fields)) = (address, diagnostic.as_object_mut()) {
            fields.insert("address".to_owned(), json!(address));
        }
        self.line(
            level,
            format!("{title}: {summary}"),
            "diagnostic",
            json!({ "diagnostic": diagnostic }),
        );
    }

    /// A line about one stage.
    pub fn hook(&self, kind: &str, stage: &str, message: String, more_fields: Value) {
        let action = self
            .actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(stage)
            .copied();
        let mut hook = json!({
            "resource": {
                "addr": format!("stage.{stage}"),
                "resource": format!("stage.{stage}"),
                "resource_type": "stage",
                "resource_name": stage,
                "resource_key": null,
            },
            "action": action.unwrap_or("create"),
        });
        if let (Some(hook), Value::Object(more)) = (hook.as_object_mut(), more_fields) {
            hook.extend(more);
        }
        let level = if kind == "apply_errored" {
            "error"
        } else {
            "info"
        };
        self.line(
            level,
            format!("stage.{stage}: {message}"),
            kind,
            json!({ "hook": hook }),
        );
    }

    fn line(&self, level: &str, message: String, kind: &str, more_fields: Value) {
        let mut json_line = json!({
            "@level": level,
            "@message": message,
            "@module": "sky.ui",
            "@timestamp": clock::timestamp(),
            "type": kind,
        });
        if let (Some(line), Value::Object(more)) = (json_line.as_object_mut(), more_fields) {
            line.extend(more);
        }
        // A reader that has gone away does not stop an apply.
        let _ = self.terminal.out(&format!("{json_line}\n"));
    }
}

impl Observer for Stream {
    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Unchanged { .. } => {}
            Notice::Stopping { interrupt, .. } => {
                let signal = interrupt.name();
                let summary = format!("{signal}: starting nothing new, ending what runs");
                self.diagnostic("warning", &summary, "", None);
            }
            Notice::Warning { message } => self.diagnostic("warning", message, "", None),
            Notice::Began { .. }
            | Notice::Moved { .. }
            | Notice::Still { .. }
            | Notice::Log { .. }
            | Notice::FailedOver { .. } => self.hook_of_a_stage_at_work(notice),
            Notice::Done {
                stage,
                elapsed: time,
            } => {
                self.end_hook("apply_complete", stage, "done", *time);
            }
            Notice::Failed {
                stage,
                message,
                elapsed: time,
            } => {
                self.end_hook("apply_errored", stage, "failed", *time);
                self.stage_diagnostic("error", stage, message);
            }
            Notice::Interrupted {
                stage,
                elapsed: time,
            } => {
                let hook_fields = json!({ "elapsed_seconds": time.as_secs(), "interrupted": true });
                let message = format!("interrupted after {}", elapsed(*time));
                self.hook("apply_errored", stage, message, hook_fields);
            }
            Notice::Denied { stage, message } => self.stage_diagnostic("error", stage, message),
            Notice::Leaving { stage, left, saves } => {
                self.stage_diagnostic("warning", stage, &leaving(*left, *saves));
            }
            Notice::Lost {
                stage,
                attempt,
                message,
            } => {
                let summary = format!("attempt {attempt} was lost: {message}; trying again");
                self.stage_diagnostic("warning", stage, &summary);
            }
            Notice::Retrying {
                stage,
                attempt,
                message,
                retry,
                times,
            } => {
                let summary =
                    format!("attempt {attempt} failed: {message}; retry {retry} of {times}");
                self.stage_diagnostic("warning", stage, &summary);
            }
            Notice::Skipped { stage, because } => {
                self.stage_diagnostic("warning", stage, &format!("skipped: {because}"));
            }
        }
    }
}

impl Stream {
    /// Writes the line about a stage that begins or runs, if the notice is one of those.
    fn hook_of_a_stage_at_work(&self, notice: &Notice) {
        match notice {
            Notice::Began {
                stage,
                attempt,
                place,
                resumed,
                changed,
            } => {
                let action = if *changed { "update" } else { "create" };
                self.actions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(stage.clone(), action);
                let hook_fields = json!({ "attempt": attempt, "place": place, "resumed": resumed });
                self.hook("apply_start", stage, "starting".to_owned(), hook_fields);
            }
            Notice::Moved {
                stage,
                attempt,
                status: status @ Status::Running,
            } => {
                let hook_fields =
                    json!({ "attempt": attempt, "status": status, "elapsed_seconds": 0 });
                self.hook("apply_progress", stage, "running".to_owned(), hook_fields);
            }
            Notice::Still {
                stage,
                elapsed: time,
            } => {
                let message = format!("Still running... [{} elapsed]", elapsed(*time));
                let hook_fields = json!({ "elapsed_seconds": time.as_secs() });
                self.hook("apply_progress", stage, message, hook_fields);
            }
            Notice::Log { stage, line } => {
                self.hook("stage_log", stage, line.clone(), json!({ "line": line }));
            }
            Notice::FailedOver {
                stage,
                why,
                place,
                instance_type,
                decided,
            } => {
                let message = format!("{why}; going on with {instance_type} at {place}");
                let micros = u64::try_from(decided.as_micros()).unwrap_or(u64::MAX);
                let hook_fields =
                    json!({ "place": place, "instance_type": instance_type, "decided_us": micros });
                self.hook("failover", stage, message, hook_fields);
            }
            _ => {}
        }
    }

    /// Writes the line about a stage that ended after so long.
    fn end_hook(&self, kind: &str, stage: &str, verb: &str, time: Duration) {
        let hook_fields = json!({ "elapsed_seconds": time.as_secs() });
        self.hook(
            kind,
            stage,
            format!("{verb} after {}", elapsed(time)),
            hook_fields,
        );
    }

    fn stage_diagnostic(&self, severity: &str, stage: &str, summary: &str) {
        self.diagnostic(severity, summary, "", Some(&format!("stage.{stage}")));
    }
}
