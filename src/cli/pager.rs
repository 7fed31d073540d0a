//! Long texts on a terminal, a page at a time.

use super::{Failure, Terminal};
use crate::util::{environment, variables};
use std::io::Write;
use std::process::{Command, Stdio};

/// What shows pages if PAGER names nothing.
const USUAL_PAGER: &str = "less";

/// Shows a text of sky itself with the program that PAGER names, or with `less`. Where there is none, or if PAGER
/// is empty or `cat`, the text is printed as a whole.
pub(super) fn show_in_pager(text: &str, terminal: &Terminal) -> Result<(), Failure> {
    let pager = match environment::exact_text(variables::PAGER) {
        Ok(pager) if pager.trim().is_empty() || pager.trim() == "cat" => {
            return terminal.out_own(text);
        }
        Ok(pager) => pager,
        Err(_) => USUAL_PAGER.to_owned(),
    };
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec {pager}")])
        .stdin(Stdio::piped());
    if !environment::is_set(variables::LESS) {
        // Colours are kept, a text of one page is only printed, and it stays on the screen.
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else {
        return terminal.out_own(text);
    };
    if let Some(mut input) = child.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        let _ = input.write_all(text.as_bytes());
    }
    match child.wait() {
        // The shell says 127 if there is no such program.
        Ok(status) if status.code() == Some(127) => terminal.out_own(text),
        _ => Ok(()),
    }
}
