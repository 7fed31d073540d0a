//! How far an update has come, on stderr: bars on a terminal, else a line now and then.

use crate::cli::Terminal;
use crate::feeds::live::{ProgressNews, ProgressWatcher};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// Without a terminal, a line for so many pages.
const PAGES: u32 = 50;

/// Tells the news of sources.
pub(super) struct Progress {
    terminal: Terminal,
    bars: Option<MultiProgress>,
    running: RefCell<BTreeMap<String, ProgressBar>>,
}

impl Progress {
    pub(super) fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: *terminal,
            bars: terminal.animate.then(MultiProgress::new),
            running: RefCell::default(),
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(line)),
            None => self.terminal.note(line),
        }
    }

    fn bar(&self, unit: &str, show: impl FnOnce(&ProgressBar)) {
        let Some(bars) = &self.bars else { return };
        let mut running_bars = self.running.borrow_mut();
        let bar = running_bars.entry(unit.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(unit.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        show(bar);
    }
}

impl ProgressWatcher for Progress {
    fn tell(&self, unit: &str, news: &ProgressNews<'_>) {
        match news {
            ProgressNews::Bytes { done, total } => self.bar(unit, |bar| {
                let of_total = total
                    .filter(|total| *total > 0)
                    .map_or(String::new(), |total| {
                        format!(
                            " of {} MB, {} %",
                            total / 1_000_000,
                            u128::from(*done) * 100 / u128::from(total)
                        )
                    });
                bar.set_message(format!("{} MB{of_total}", done / 1_000_000));
            }),
            ProgressNews::Page { pages } => {
                self.bar(unit, |bar| bar.set_message(format!("{pages} pages")));
                if self.bars.is_none() && pages % PAGES == 0 {
                    self.say(&format!("{unit}: {pages} pages"));
                }
            }
            ProgressNews::Resumed { at } => self.say(&format!("{unit}: goes on after {at} bytes")),
            ProgressNews::ResumedPages { pages } => {
                self.say(&format!("{unit}: goes on after page {pages}"))
            }
            ProgressNews::Again { why, wait } => {
                self.say(&format!(
                    "{unit}: {why}; again in {}.{} s",
                    wait.as_secs(),
                    wait.subsec_millis() / 100
                ));
            }
            ProgressNews::Done => {
                // Parts of a source have bars of their own: `skypilot aws`.
                let mut running_bars = self.running.borrow_mut();
                running_bars.retain(|name, bar| {
                    let is_own_unit = name == unit
                        || name
                            .strip_prefix(unit)
                            .is_some_and(|rest| rest.starts_with(' '));
                    if is_own_unit {
                        bar.finish_and_clear();
                    }
                    !is_own_unit
                });
            }
        }
    }
}
