//! Progress for people, on stderr: a line for each event, and on a terminal a spinner for each
//! stage that runs.

use super::wording::{elapsed, leaving, one_line};
use crate::cli::Terminal;
use crate::execution::apply::{Notice, Observer};
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
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let spinner = running.entry(stage.to_owned()).or_insert_with(|| {
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
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spinner) = running.remove(stage) {
            spinner.finish_and_clear();
        }
    }
}

impl Observer for Text {
    fn notice(&self, notice: &Notice) {
        let bold = |text: &str| self.terminal.paint(anstyle::Style::new().bold(), text);
        let red = |text: &str| {
            self.terminal
                .paint(anstyle::AnsiColor::Red.on_default().bold(), text)
        };
        match notice {
            Notice::Began {
                stage,
                attempt,
                place,
                resumed,
                ..
            } => {
                let verb = if *resumed { "going on" } else { "starting" };
                self.spin(stage, verb);
                self.say(&format!(
                    "{}: {verb}… [attempt {attempt}, {place}]",
                    bold(&format!("stage.{stage}"))
                ));
            }
            Notice::Moved {
                stage,
                attempt,
                status,
            } => {
                self.spin(stage, status.name());
                if *status == Status::Running {
                    self.say(&format!(
                        "{}: running… [attempt {attempt}]",
                        bold(&format!("stage.{stage}"))
                    ));
                }
            }
            Notice::Still {
                stage,
                elapsed: time,
            } => {
                // A spinner shows its own time.
                if self.spinners.is_none() {
                    self.say(&format!(
                        "stage.{stage}: Still running... [{} elapsed]",
                        elapsed(*time)
                    ));
                }
            }
            Notice::Log { stage, line } => {
                if self.logs == Logs::Shown {
                    self.say(&format!("{stage} | {}", one_line(line)));
                }
            }
            Notice::Leaving { stage, left, saves } => {
                self.say(&format!("stage.{stage}: {}", leaving(*left, *saves)))
            }
            Notice::Done {
                stage,
                elapsed: time,
            } => {
                self.still(stage);
                self.say(&format!(
                    "{}: done after {}",
                    bold(&format!("stage.{stage}")),
                    elapsed(*time)
                ));
            }
            Notice::Failed {
                stage,
                message,
                elapsed: time,
            } => {
                self.still(stage);
                self.say(&format!(
                    "stage.{stage}: {} after {}: {}",
                    red("failed"),
                    elapsed(*time),
                    one_line(message)
                ));
            }
            Notice::Lost {
                stage,
                attempt,
                message,
            } => {
                self.still(stage);
                self.say(&format!(
                    "stage.{stage}: attempt {attempt} was lost: {message}; trying again"
                ));
            }
            Notice::Retrying {
                stage,
                message,
                retry,
                times,
                ..
            } => {
                self.still(stage);
                self.say(&format!(
                    "stage.{stage}: {}; retry {retry} of {times}",
                    one_line(message)
                ));
            }
            Notice::FailedOver {
                stage,
                why,
                place,
                instance_type,
                ..
            } => {
                self.say(&format!(
                    "stage.{stage}: {why}; going on with {instance_type} at {place}"
                ));
            }
            Notice::Denied { stage, message } => {
                self.still(stage);
                self.say(&format!("stage.{stage}: {}: {message}", red("denied")));
            }
            Notice::Unchanged { stage } => {
                self.say(&format!("stage.{stage}: done already, nothing changed"))
            }
            Notice::Skipped { stage, because } => {
                self.say(&format!("stage.{stage}: skipped: {because}"))
            }
            Notice::Stopping { interrupt, running } => {
                self.say(&format!(
                    "\n{}: starting nothing new, ending what runs",
                    interrupt.name()
                ));
                if !running.is_empty() {
                    self.say(&format!("  still at work: {}", names(running)));
                }
                self.say("  a second signal leaves at once; nothing is lost then either");
            }
            Notice::Interrupted {
                stage,
                elapsed: time,
            } => {
                self.still(stage);
                self.say(&format!(
                    "stage.{stage}: interrupted after {}",
                    elapsed(*time)
                ));
            }
            Notice::Warning { message } => {
                let word = self
                    .terminal
                    .paint(anstyle::AnsiColor::Yellow.on_default().bold(), "warning");
                self.say(&format!("{word}: {message}"));
            }
        }
    }
}

fn names(stages: &[String]) -> String {
    stages
        .iter()
        .map(|stage| format!("stage.{stage}"))
        .collect::<Vec<_>>()
        .join(", ")
}
