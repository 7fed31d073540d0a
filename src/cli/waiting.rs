//! Signs of life on a terminal, while something takes its time.

use super::Terminal;
use crate::model::units::grouped;
use indicatif::{ProgressBar, ProgressStyle};

/// A sign of life on a terminal, for as long as a large job takes.
pub(super) fn waiting(
    work_name: &str,
    stages: usize,
    offers: usize,
    terminal: &Terminal,
) -> Option<ProgressBar> {
    spinner(
        format!(
            "{work_name} {stages} stages on {} offers",
            grouped(offers as i128)
        ),
        terminal,
    )
}

pub(super) fn spinner(message: String, terminal: &Terminal) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").ok()?;
    terminal.animate.then(|| {
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_message(message);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    })
}
