//! The command line that `sky` was given, for messages that suggest to repeat it or to go on from
//! it.

use crate::util::shell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The words of one command, and the folder that it runs in.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    words: Vec<String>,
    chdir: Option<PathBuf>,
}

impl CommandLine {
    /// Keeps the words of a command line, of which the first is the program's own name.
    pub fn new(words: &[OsString], chdir: Option<&Path>) -> Self {
        let given_words = words
            .iter()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        let all_words = std::iter::once("sky".to_owned())
            .chain(given_words)
            .collect();
        Self {
            words: all_words,
            chdir: chdir.map(Path::to_owned),
        }
    }

    /// Returns the same command with more options at its end.
    pub fn again(&self, more_words: &[&str]) -> String {
        shell::command_line(
            self.words
                .iter()
                .map(String::as_str)
                .chain(more_words.iter().copied()),
        )
    }

    /// Returns the start of another command that runs in the same folder.
    pub fn sky(&self, verb: &str) -> String {
        match &self.chdir {
            Some(folder) => format!("sky --chdir {} {verb}", shell::quoted_path(folder)),
            None => format!("sky {verb}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_command_keeps_every_option_and_quotes_blanks() {
        let words = [
            "/usr/bin/sky",
            "--chdir",
            "my jobs",
            "plan",
            "a job.toml",
            "--policy=p.toml",
        ]
        .map(OsString::from);
        let line = CommandLine::new(&words, Some(Path::new("my jobs")));
        assert_eq!(
            line.again(&["--out", "plan.json"]),
            "sky --chdir 'my jobs' plan 'a job.toml' --policy=p.toml --out plan.json"
        );
        assert_eq!(line.sky("destroy"), "sky --chdir 'my jobs' destroy");
    }
}
