//! The streams that `sky` talks on: results on stdout, everything else on stderr.
//!
//! Invariant: only the cli and render rooms print, and only through this. So text of others is
//! cleaned here, once.

use super::exit::Failure;
use crate::util::text::{Styles, printable, shortened};
use crate::util::{environment, variables};
use std::borrow::Cow;
use std::io::{IsTerminal, Write};

/// What is known of the streams, decided once at the start.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// stdout may carry colours.
    pub colour_stdout: bool,
    /// stderr may carry colours.
    pub colour_stderr: bool,
    /// stdout is a terminal: somebody reads it now.
    pub stdout_is_terminal: bool,
    /// stderr is a terminal that can redraw lines: progress is animated.
    pub animate: bool,
    /// Questions may be asked.
    pub interactive: bool,
    /// Hints at a next step are left out.
    pub automation: bool,
    /// Columns of stdout, if it is a terminal or `COLUMNS` is set.
    pub width: Option<u16>,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Colours in any case.
    Always,
    /// No colours.
    Never,
}

impl Terminal {
    /// Looks at the streams and the environment.
    pub fn detect(colour: Colour, input: bool) -> Self {
        let dumb = environment::bytes(variables::TERM).is_some_and(|term| term == "dumb");
        let colours = |terminal: bool| match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !environment::is_set(variables::NO_COLOR) && !dumb,
        };
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        let no_input = !input
            || environment::bytes(variables::SKY_INPUT)
                .is_some_and(|value| value == "0" || value == "false");
        let columns =
            environment::text(variables::COLUMNS).and_then(|columns| columns.parse().ok());
        Self {
            colour_stdout: colours(stdout),
            colour_stderr: colours(stderr),
            stdout_is_terminal: stdout,
            animate: stderr && !dumb,
            interactive: std::io::stdin().is_terminal() && !no_input,
            automation: environment::is_set(variables::CI)
                || environment::is_set(variables::SKY_IN_AUTOMATION),
            width: columns.or_else(|| stdout.then(terminal_columns).flatten()),
        }
    }

    /// Writes a result, without what would drive a terminal in it. A reader that has gone away ends
    /// the verb quietly.
    pub fn out(&self, text: &str) -> Result<(), Failure> {
        self.out_own(&printable(text, styles_kept(self.colour_stdout)))
    }

    /// Writes a text of sky itself as it is, with whatever styles it has. Never for text of others.
    pub fn out_own(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => error.into(),
                _ => Failure::error(format!("cannot write to standard output: {error}")),
            })
    }

    /// Writes a message; a closed stderr is not a reason to stop work.
    pub fn note(&self, text: &str) {
        let text = shortened(text);
        let text = self.shown(&text);
        let mut stderr = std::io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.write_all(b"\n"));
    }

    /// Text as stderr shows it: nothing in it drives a terminal but the styles of `sky`, if stderr
    /// has colours.
    pub fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        printable(text, styles_kept(self.colour_stderr))
    }

    /// `text` in a style, if stderr has colours.
    pub fn paint(&self, style: anstyle::Style, text: &str) -> String {
        if self.colour_stderr {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// `warning: …` on stderr.
    pub fn warn(&self, text: &str) {
        let word = self.paint(anstyle::AnsiColor::Yellow.on_default().bold(), "warning");
        self.note(&format!("{word}: {text}"));
    }

    /// Asks on stderr and reads a line; true only for `yes`.
    pub fn confirm(&self, question: &str) -> Result<bool, Failure> {
        self.note(question);
        self.note("  Only 'yes' will be accepted to approve.\n");
        let mut stderr = std::io::stderr().lock();
        let _ = stderr
            .write_all(b"  Enter a value: ")
            .and_then(|()| stderr.flush());
        let mut answer_line = String::new();
        std::io::stdin()
            .read_line(&mut answer_line)
            .map_err(|error| Failure::error(format!("cannot read the answer: {error}")))?;
        Ok(answer_line.trim() == "yes")
    }
}

fn styles_kept(colours: bool) -> Styles {
    if colours {
        Styles::Own
    } else {
        Styles::Removed
    }
}

fn terminal_columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col)
        .filter(|columns| *columns > 0)
}
