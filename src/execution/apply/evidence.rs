//! What comes home before a machine is given back, however its command has ended: its log, and what
//! it has left in `$SKY_OUTPUTS`. And how much a command may write.

use super::attempt::Attempt;
use super::notice::Notice;
use crate::execution::provider::{ErrorKind, LOCAL, ProviderError, SIM, Worker, Written};
use crate::model::Bytes;
use crate::plan::PlannedStage;
use crate::util::{file, simulation, tree};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// An output may have so many times the bytes that it was planned with.
const TIMES: u64 = 10;
/// An output may have so many bytes, however few were planned: 1 GiB.
const LEAST: u64 = 1 << 30;
/// How long a machine may take for its next word, when it is asked for a log that is only for
/// people.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came home of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Where people find the log.
    pub log: Option<String>,
    /// The folder with what it left in `$SKY_OUTPUTS`.
    pub outputs: Option<PathBuf>,
    /// What that is, by name.
    pub names: Vec<String>,
}

impl Evidence {
    /// What is to be said of it when an output is missing; empty if nothing is there.
    pub(super) fn shown_outputs(&self) -> String {
        let Some(folder) = &self.outputs else {
            return String::new();
        };
        let names: Vec<String> = self
            .names
            .iter()
            .map(|name| format!("`{}`", name.escape_debug()))
            .collect();
        format!(
            "; it wrote {}, which is kept in {}",
            names.join(", "),
            folder.display()
        )
    }
}

/// Progress may have so many bytes, however few were planned: 100 GB. A job need not say how large
/// it is, and without it hours of work may be done again.
const LEAST_OF_PROGRESS: u64 = 100_000_000_000;

/// The bytes that a stage's progress may have which was planned with so many.
pub(super) fn most_of_progress(limit: Option<u64>, planned: Bytes) -> u64 {
    limit.unwrap_or(planned.0.saturating_mul(TIMES).max(LEAST_OF_PROGRESS))
}

/// The bytes that an output may have which was planned with so many.
pub(super) fn most_of_output(limit: Option<u64>, planned: u64) -> u64 {
    limit.unwrap_or(planned.saturating_mul(TIMES).max(LEAST))
}

/// The error if a declared output is far larger than planned.
pub(super) fn check_sizes(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    written: &[Written],
) -> Option<ProviderError> {
    let limit = attempt.context.settings.output_limit;
    let (one, declared) = written.iter().find_map(|one| {
        let declared = planned.writes.get(&one.name)?;
        (one.bytes > most_of_output(limit, declared.0)).then_some((one, declared))
    })?;
    let message = format!(
        "output `{}` has {}, and is planned with {declared}: more than {} are not copied; declare its size in `writes`, or \
         raise the limit with --output-limit",
        one.name,
        Bytes(one.bytes),
        Bytes(most_of_output(limit, declared.0)),
    );
    Some(ProviderError::new(ErrorKind::Output, message))
}

/// Warns of what a stage wrote without declaring it: it goes with its machine.
pub(super) fn warn_of_undeclared(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    written: &[Written],
) {
    let declared: BTreeSet<&str> = planned.writes.keys().map(String::as_str).collect();
    let undeclared_files = written
        .iter()
        .filter(|one| !declared.contains(one.name.as_str()));
    let undeclared_words: Vec<String> = undeclared_files
        .map(|one| format!("`{}` ({})", one.name.escape_debug(), Bytes(one.bytes)))
        .collect();
    if !undeclared_words.is_empty() {
        let message = format!(
            "stage.{} wrote {} to $SKY_OUTPUTS without declaring it: it is not kept; add it to the stage's `writes`",
            planned.name,
            undeclared_words.join(", ")
        );
        attempt
            .context
            .observer
            .notice(&Notice::Warning { message });
    }
}

/// Brings home what an attempt leaves that did not end well. Whatever goes wrong here is said, and
/// nothing else.
pub(super) async fn bring_evidence(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    worker: &dyn Worker,
) -> Evidence {
    let kept_evidence = Evidence {
        log: Some(worker.log_name()),
        ..Evidence::default()
    };
    if simulation::is_on() {
        return kept_evidence;
    }
    let token = &attempt.token;
    let folder = attempt
        .context
        .kept
        .join(&token.stage)
        .join(token.attempt.to_string());
    let bring = async {
        if attempt.provider.name() == LOCAL {
            // It is here.
            return left_here(worker, &folder.join("outputs")).await;
        }
        let log = match bring_log(worker, &folder.join("log")).await {
            Ok(log) => log
                .map(|path| path.display().to_string())
                .or(kept_evidence.log.clone()),
            // A machine that is gone has nothing to give, and one that does not answer is not asked
            // for more.
            Err(error) => {
                if error.kind != ErrorKind::NotFound {
                    warn_of_missing_evidence(
                        attempt,
                        &format!("its log and what it wrote could not be brought home: {error}"),
                    );
                }
                return kept_evidence.clone();
            }
        };
        let (outputs, names) = bring_outputs(attempt, planned, worker, &folder)
            .await
            .unwrap_or_else(|error| {
                warn_of_missing_evidence(
                    attempt,
                    &format!("what it wrote could not be brought home: {error}"),
                );
                (None, Vec::new())
            });
        Evidence {
            log,
            outputs,
            names,
        }
    };
    tokio::select! {
        biased;
        () = attempt.context.deadlines.saving_is_over() => {
            warn_of_missing_evidence(attempt, "a signal came before its log and what it wrote were all at home");
            kept_evidence
        }
        brought = bring => brought,
    }
}

fn warn_of_missing_evidence(attempt: &Attempt<'_>, message: &str) {
    let message = attempt
        .context
        .redact(&format!("stage.{}: {message}", attempt.token.stage));
    attempt
        .context
        .observer
        .notice(&Notice::Warning { message });
}

async fn left_here(worker: &dyn Worker, outputs: &Path) -> Evidence {
    let written = worker.written().await.unwrap_or_default();
    let names: Vec<String> = written.into_iter().map(|one| one.name).collect();
    let outputs = (!names.is_empty()).then(|| outputs.to_owned());
    Evidence {
        log: Some(worker.log_name()),
        outputs,
        names,
    }
}

/// Writes the log to a file of this machine; none if there is no line in it.
async fn bring_log(worker: &dyn Worker, path: &Path) -> Result<Option<PathBuf>, ProviderError> {
    let too_late = || {
        ProviderError::new(
            ErrorKind::Unreachable,
            format!("no answer within {} s", PATIENCE.as_secs()),
        )
    };
    let fail = |error| ProviderError::from(file::named(path, "write", error));
    let mut open_file = None;
    let mut offset = 0_u64;
    loop {
        let log_piece = timeout(PATIENCE, worker.log(offset))
            .await
            .map_err(|_| too_late())??;
        if log_piece.is_empty() {
            return Ok(open_file.map(|_| path.to_owned()));
        }
        if open_file.is_none() {
            file::create_private_folders(path.parent().unwrap_or(Path::new(".")))?;
            let mut options = std::fs::OpenOptions::new();
            let options = options.create(true).write(true).truncate(true).mode(0o600);
            open_file = Some(options.open(path).map_err(fail)?);
        }
        if let Some(open) = &mut open_file {
            open.write_all(&log_piece).map_err(fail)?;
        }
        offset += log_piece.len() as u64;
    }
}

/// Brings all that is in `$SKY_OUTPUTS` into a folder, if it is not too much; with its names.
async fn bring_outputs(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    worker: &dyn Worker,
    folder: &Path,
) -> Result<(Option<PathBuf>, Vec<String>), ProviderError> {
    let too_late = || {
        ProviderError::new(
            ErrorKind::Unreachable,
            format!("no answer within {} s", PATIENCE.as_secs()),
        )
    };
    let written = timeout(PATIENCE, worker.written())
        .await
        .map_err(|_| too_late())??;
    if written.is_empty() {
        return Ok((None, Vec::new()));
    }
    // What a rule keeps from this machine is not brought here for being unfinished.
    if let Some(rule) = planned
        .kept_from_home_by
        .as_ref()
        .filter(|_| attempt.provider.name() != SIM)
    {
        let message = format!("{rule} forbids to bring it to this machine");
        return Err(ProviderError::new(ErrorKind::Output, message));
    }
    let bytes = written
        .iter()
        .fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    let declared = planned
        .writes
        .values()
        .fold(0_u64, |sum, one| sum.saturating_add(one.0));
    let most_bytes = most_of_output(attempt.context.settings.output_limit, declared);
    if bytes > most_bytes {
        let message = format!(
            "{} in $SKY_OUTPUTS are more than the {} that are copied; --output-limit raises that",
            Bytes(bytes),
            Bytes(most_bytes)
        );
        return Err(ProviderError::new(ErrorKind::Output, message));
    }
    let target_folder = folder.join("outputs");
    tree::remove(&target_folder)?;
    file::create_private_folders(folder)?;
    let files_there = worker.bring_outputs(&target_folder, most_bytes).await?;
    file::make_private(&target_folder);
    let names = written.into_iter().map(|one| one.name).collect();
    if files_there {
        warn_of_missing_evidence(
            attempt,
            &format!(
                "what it left in $SKY_OUTPUTS is kept in {}",
                target_folder.display()
            ),
        );
    }
    Ok((files_there.then_some(target_folder), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_may_be_larger_than_planned_but_not_by_far() {
        assert_eq!(most_of_output(None, 0), 1 << 30);
        assert_eq!(most_of_output(None, 1 << 30), 10 << 30);
        assert_eq!(most_of_output(None, u64::MAX), u64::MAX);
        assert_eq!(most_of_output(Some(7), 1 << 30), 7);
    }
}
