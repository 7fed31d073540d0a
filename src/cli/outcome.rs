//! What is printed when an apply has ended: counts, a table of what is not done, what it has cost,
//! what is still there, outputs that no stage reads.

use super::Terminal;
use super::progress::one_line;
use crate::execution::apply::{Outcome, StageOutcome};
use crate::model::{ArtifactRef, Bytes, Money};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Why stages failed, with the last of what they printed.
pub(super) fn say_failures(outcome: &Outcome, terminal: &Terminal) {
    for (name, one) in &outcome.stages {
        let StageOutcome::Failed {
            message, tail, log, ..
        } = one
        else {
            continue;
        };
        let word = terminal.paint(anstyle::AnsiColor::Red.on_default().bold(), "error");
        terminal.note(&format!("\n{word}: stage.{name}: {}", one_line(message)));
        for line in tail {
            terminal.note(&format!("  {name} | {}", one_line(line)));
        }
        if let Some(log) = log {
            terminal.note(&format!("  log: {log}"));
        }
    }
}

/// All of it; `root` is the state folder.
pub(super) fn text(plan: &Plan, outcome: &Outcome, root: &Path) -> String {
    let count = |wanted: fn(&StageOutcome) -> bool| {
        outcome.stages.values().filter(|one| wanted(one)).count()
    };
    let done_count = count(|one| *one == StageOutcome::Done);
    let unchanged = count(|one| *one == StageOutcome::Unchanged);
    let failed_count = count(|one| matches!(one, StageOutcome::Failed { .. }));
    let interrupted = count(|one| *one == StageOutcome::Interrupted);
    let denied_count = count(|one| matches!(one, StageOutcome::Denied { .. }));
    let skipped = count(|one| {
        matches!(
            one,
            StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. }
        )
    });
    let mut text = String::new();
    if unchanged == outcome.stages.len() {
        text += "No changes. All stages are done.\n";
    } else {
        text += &format!(
            "Apply: {done_count} done, {unchanged} unchanged, {failed_count} failed, {skipped} skipped"
        );
        text += &if denied_count > 0 {
            format!(", {denied_count} denied by the budget")
        } else {
            String::new()
        };
        text += &if interrupted > 0 {
            format!(", {interrupted} interrupted.\n")
        } else {
            ".\n".to_owned()
        };
    }
    let money = outcome.account.limit.is_some() || outcome.account.spent.0 > 0;
    if done_count + unchanged < outcome.stages.len() || money && unchanged < outcome.stages.len() {
        text += "\n";
        text += &aligned_columns(stage_rows(plan, outcome, money));
    }
    text += &account_text(outcome, money);
    let read_artifacts: BTreeSet<String> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.reads)
        .map(ArtifactRef::to_string)
        .collect();
    let mut output_rows = Vec::new();
    for stage in &plan.stages {
        for output in stage.writes.keys() {
            let name = format!("{}.{output}", stage.name);
            let Some(artifact) = outcome
                .artifacts
                .get(&name)
                .filter(|_| !read_artifacts.contains(&name))
            else {
                continue;
            };
            let path = root.join("artifacts").join(&stage.name).join(output);
            let size_text = Bytes(artifact.bytes).to_string();
            output_rows.push(vec![
                name,
                size_text,
                short_digest(&artifact.digest),
                path.display().to_string(),
            ]);
        }
    }
    if !output_rows.is_empty() {
        output_rows.insert(
            0,
            ["output", "size", "digest", "path"]
                .map(str::to_owned)
                .to_vec(),
        );
        text += "\n";
        text += &aligned_columns(output_rows);
    }
    text
}

fn outcome_words(outcome: &StageOutcome) -> (&'static str, String) {
    match outcome {
        StageOutcome::Done => ("done", String::new()),
        StageOutcome::Unchanged => ("unchanged", String::new()),
        StageOutcome::Failed { message, .. } => ("failed", one_line(message)),
        StageOutcome::Skipped { because } => ("skipped", because.clone()),
        StageOutcome::Denied { message } => ("denied", message.clone()),
        StageOutcome::Interrupted => ("interrupted", String::new()),
        StageOutcome::NotBegun { because } => ("not begun", (*because).to_owned()),
    }
}

fn short_digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// Rows of cells as left-aligned columns, without trailing blanks.
fn aligned_columns(rows: Vec<Vec<String>>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: BTreeMap<usize, usize> = (0..count)
        .map(|column| (column, width(column).unwrap_or(0)))
        .collect();
    let padded_line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = widths[&column]));
        format!("  {}", cells.collect::<Vec<_>>().join("  "))
            .trim_end()
            .to_owned()
            + "\n"
    };
    rows.iter().map(padded_line).collect()
}

/// A row for each stage, below a head.
fn stage_rows(plan: &Plan, outcome: &Outcome, money: bool) -> Vec<Vec<String>> {
    let table_head: &[&str] = if money {
        &["stage", "result", "planned", "cost", "note"]
    } else {
        &["stage", "result", "note"]
    };
    let rows = plan.stages.iter().filter_map(|stage| {
        let (word, note) = outcome_words(outcome.stages.get(&stage.name)?);
        let (planned, spent) = outcome
            .account
            .stages
            .get(&stage.name)
            .copied()
            .unwrap_or_default();
        let mut stage_row = vec![format!("stage.{}", stage.name), word.to_owned()];
        if money {
            stage_row.extend([planned.to_string(), spent.to_string()]);
        }
        stage_row.push(note);
        Some(stage_row)
    });
    std::iter::once(table_head.iter().map(|word| (*word).to_owned()).collect())
        .chain(rows)
        .collect()
}

/// What the job has cost so far, and what goes on costing.
fn account_text(outcome: &Outcome, money: bool) -> String {
    let account = &outcome.account;
    let mut text = String::new();
    if money {
        let budget_words = account
            .limit
            .map(|limit| format!(" of a budget of {limit}"))
            .unwrap_or_default();
        text += &format!("\nSpent: {}{budget_words}.\n", account.spent);
    }
    if !account.billing.is_empty() {
        let hourly = Money(account.billing.values().map(|hourly| hourly.0).sum());
        let (count, names) = (account.billing.len(), account.billing.keys());
        let names: Vec<String> = names.map(|name| format!("stage.{name}")).collect();
        let machines = if count == 1 { "machine" } else { "machines" };
        text += &format!(
            "Still there: {count} {machines}, {hourly} an hour ({}).\n",
            names.join(", ")
        );
    }
    text
}
