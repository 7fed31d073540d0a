//! Words that all forms of progress share.

use crate::util::text::{Styles, clean};
use std::time::Duration;

/// `7s`, `2m5s`, `1h0m3s`.
pub fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Text of others on one line, without escape sequences: colours of logs go, too.
pub fn one_line(text: &str) -> String {
    clean(text, Styles::Removed).replace('\n', " ")
}

/// What is said of a stage whose machine is about to be taken away.
pub(super) fn leaving(time_left: Duration, saves: bool) -> String {
    let what_follows = if saves {
        "its progress is brought to safety until then"
    } else {
        "it saves no progress"
    };
    format!(
        "its cloud takes its machine away in {}; {what_follows}",
        elapsed(time_left)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let said: Vec<String> = [0, 59, 60, 3725]
            .map(|seconds| elapsed(Duration::from_secs(seconds)))
            .into();
        assert_eq!(said, ["0s", "59s", "1m0s", "1h2m5s"]);
    }

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mb\tc\u{7}\nd"), "ab\tc\u{fffd} d");
    }
}
