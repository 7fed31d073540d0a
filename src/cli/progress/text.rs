//! Progress for people, on stderr: a line for each event, and on a terminal a spinner for each
//! stage that runs.

use super::wording::{elapsed, leaving, one_line};
use crate::cli::Terminal;
use crate::execution::apply::{Interrupt, Notice, Observer};
use crate::execution::state::Status;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What stages print is told, or only kept in their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    Shown,
    Kept,
}

/// Tells notices as text.
pub struct Text {
    terminal: Terminal,
    logs: Logs,
    spinners: Option<MultiProgress>,
    running: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Text {
    /// For this terminal.
    pub fn new(terminal: &Terminal, show_logs: bool) -> Self {
        let logs = if show_logs { Logs::Shown } else { Logs::Kept };
        let spinners = terminal.animate.then(MultiProgress::new);
        Self {
            terminal: *terminal,
            logs,
            spinners,
            running: Mutex::default(),
        }
    }

    /// Takes the spinners away; what is printed next stays below the lines so far.
    pub fn finish(&self) {
        if let Some(spinners) = &self.spinners {
            let _ = spinners.clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.spinners {
            // A closed stderr is not a reason to stop work.
            Some(spinners) => drop(spinners.println(self.terminal.shown(line))),
            None => self.terminal.note(line),
        }
    }

    fn spin(&self, stage: &str, doing: &str) {
        let Some(spinners) = &self.spinners else {
            return;
        };
        let mut running_spinners = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let spinner = running_spinners.entry(stage.to_owned()).or_insert_with(|| {
            let spinner = spinners.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        spinner.set_message(one_line(&format!("stage.{stage}: {doing}")));
    }

    fn still(&self, stage: &str) {
        let mut running_spinners = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spinner) = running_spinners.remove(stage) {
            spinner.finish_and_clear();
        }
    }
}

impl Observer for Text {
    fn notice(&self, notice: &Notice) {
        self.update_spinner(notice);
        let notice_line = match notice {
            Notice::Stopping { interrupt, running } => Some(stopping_lines(*interrupt, running)),
            Notice::Warning { message } => Some(format!("{}: {message}", self.yellow("warning"))),
            Notice::Began { .. }
            | Notice::Moved { .. }
            | Notice::Still { .. }
            | Notice::Log { .. }
            | Notice::Leaving { .. }
            | Notice::Lost { .. }
            | Notice::Retrying { .. }
            | Notice::FailedOver { .. } => self.line_of_a_stage_at_work(notice),
            Notice::Done { .. }
            | Notice::Failed { .. }
            | Notice::Denied { .. }
            | Notice::Unchanged { .. }
            | Notice::Skipped { .. }
            | Notice::Interrupted { .. } => self.line_of_a_stage_at_its_end(notice),
        };
        if let Some(line) = notice_line {
            self.say(&line);
        }
    }
}

impl Text {
    /// Begins, changes or ends the spinner of the stage that the notice is about.
    fn update_spinner(&self, notice: &Notice) {
        match notice {
            Notice::Began { stage, resumed, .. } => self.spin(stage, begin_words(*resumed)),
            Notice::Moved { stage, status, .. } => self.spin(stage, status.name()),
            Notice::Done { stage, .. }
            | Notice::Failed { stage, .. }
            | Notice::Lost { stage, .. }
            | Notice::Retrying { stage, .. }
            | Notice::Denied { stage, .. }
            | Notice::Interrupted { stage, .. } => self.still(stage),
            Notice::Still { .. }
            | Notice::Log { .. }
            | Notice::Leaving { .. }
            | Notice::FailedOver { .. }
            | Notice::Unchanged { .. }
            | Notice::Skipped { .. }
            | Notice::Stopping { .. }
            | Notice::Warning { .. } => {}
        }
    }

    fn line_of_a_stage_at_work(&self, notice: &Notice) -> Option<String> {
        let stage_line = match notice {
            Notice::Began {
                stage,
                attempt,
                place,
                resumed,
                ..
            } => format!(
                "{}: {}… [attempt {attempt}, {place}]",
                self.bold_name(stage),
                begin_words(*resumed)
            ),
            Notice::Moved {
                stage,
                attempt,
                status: Status::Running,
            } => {
                format!("{}: running… [attempt {attempt}]", self.bold_name(stage))
            }
            // A spinner shows its own time.
            Notice::Still {
                stage,
                elapsed: time,
            } if self.spinners.is_none() => {
                format!(
                    "stage.{stage}: Still running... [{} elapsed]",
                    elapsed(*time)
                )
            }
            Notice::Log { stage, line } if self.logs == Logs::Shown => {
                format!("{stage} | {}", one_line(line))
            }
            Notice::Leaving { stage, left, saves } => {
                format!("stage.{stage}: {}", leaving(*left, *saves))
            }
            Notice::Lost {
                stage,
                attempt,
                message,
            } => {
                format!("stage.{stage}: attempt {attempt} was lost: {message}; trying again")
            }
            Notice::Retrying {
                stage,
                message,
                retry,
                times,
                ..
            } => {
                format!(
                    "stage.{stage}: {}; retry {retry} of {times}",
                    one_line(message)
                )
            }
            Notice::FailedOver {
                stage,
                why,
                place,
                instance_type,
                ..
            } => {
                format!("stage.{stage}: {why}; going on with {instance_type} at {place}")
            }
            _ => return None,
        };
        Some(stage_line)
    }

    fn line_of_a_stage_at_its_end(&self, notice: &Notice) -> Option<String> {
        let stage_line = match notice {
            Notice::Done {
                stage,
                elapsed: time,
            } => {
                format!("{}: done after {}", self.bold_name(stage), elapsed(*time))
            }
            Notice::Failed {
                stage,
                message,
                elapsed: time,
            } => format!(
                "stage.{stage}: {} after {}: {}",
                self.red("failed"),
                elapsed(*time),
                one_line(message)
            ),
            Notice::Denied { stage, message } => {
                format!("stage.{stage}: {}: {message}", self.red("denied"))
            }
            Notice::Unchanged { stage } => format!("stage.{stage}: done already, nothing changed"),
            Notice::Skipped { stage, because } => format!("stage.{stage}: skipped: {because}"),
            Notice::Interrupted {
                stage,
                elapsed: time,
            } => {
                format!("stage.{stage}: interrupted after {}", elapsed(*time))
            }
            _ => return None,
        };
        Some(stage_line)
    }

    fn bold_name(&self, stage: &str) -> String {
        let name = format!("stage.{stage}");
        self.terminal.paint(anstyle::Style::new().bold(), &name)
    }

    fn red(&self, word: &str) -> String {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        self.terminal.paint(style, word)
    }

    fn yellow(&self, word: &str) -> String {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        self.terminal.paint(style, word)
    }
}

/// What a stage does that begins: an attempt of an earlier `sky` goes on.
fn begin_words(resumed: bool) -> &'static str {
    if resumed { "going on" } else { "starting" }
}

fn stopping_lines(interrupt: Interrupt, running: &[String]) -> String {
    let mut stop_lines = format!(
        "\n{}: starting nothing new, ending what runs",
        interrupt.name()
    );
    if !running.is_empty() {
        stop_lines += &format!("\n  still at work: {}", stage_names(running));
    }
    stop_lines + "\n  a second signal leaves at once; nothing is lost then either"
}

fn stage_names(stages: &[String]) -> String {
    stages
        .iter()
        .map(|stage| format!("stage.{stage}"))
        .collect::<Vec<_>>()
        .join(", ")
}
