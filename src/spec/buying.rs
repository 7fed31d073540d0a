//! How a stage lives with machines that may be taken away.

use crate::model::{Allocation, Checkpoint};
use crate::spec::table::{Findings, Section};
use crate::spec::{Diagnostic, value};

/// `checkpoint` of a stage.
pub(super) fn checkpoint(
    stage: &mut Section<'_, '_>,
    name: &str,
    allocation: Option<Allocation>,
    findings: &mut Findings,
) -> Option<Checkpoint> {
    let checkpoint_entry = stage.take("checkpoint", findings)?;
    let mut section = checkpoint_entry.section(findings)?;
    if allocation == Some(Allocation::OnDemand) {
        let message =
            format!("stage `{name}` has checkpoints, and only machines that nobody interrupts");
        findings.push(
            Diagnostic::warning(checkpoint_entry.key_span, message)
                .with_label("binds nothing")
                .with_hint("`allocation = \"on-demand\"` needs none"),
        );
    }
    let every_time = section
        .take("every", findings)
        .and_then(|entry| value::time(&entry, findings));
    let mut time = |key: &'static str, findings: &mut Findings| {
        let time = section
            .take(key, findings)
            .and_then(|entry| value::time_or_none(&entry, findings));
        time.unwrap_or_default()
    };
    let (save, restart) = (time("save", findings), time("restart", findings));
    let saved_size = section
        .take("size", findings)
        .and_then(|entry| value::bytes(&entry, findings))
        .unwrap_or_default();
    section.finish(findings);
    Some(Checkpoint {
        every: every_time,
        save,
        restart,
        size: saved_size,
    })
}
