//! Words as a POSIX shell reads them, for commands that messages suggest.

use std::path::Path;

/// Returns a word in the form in which a shell takes it as one word, quoted only where it must be.
pub fn quoted(word: &str) -> String {
    let plain_character =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain_character) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns a path as one word of a shell.
pub fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Returns words as one command line.
pub fn command_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_a_shell_would_change_are_quoted() {
        let words = ["plan.json", "a=b/c", "my plan", "it's", "$x", ""];
        assert_eq!(
            words.map(quoted),
            [
                "plan.json",
                "a=b/c",
                "'my plan'",
                "'it'\\''s'",
                "'$x'",
                "''"
            ]
        );
        assert_eq!(
            command_line(["sky", "apply", "my plan"]),
            "sky apply 'my plan'"
        );
    }
}
