//! Text of others on its way to people: names in plans and states, answers of clouds, logs of
//! stages.
//!
//! Everything that `sky` prints goes through [`clean`], whatever it holds: a terminal obeys escape
//! sequences, and characters that change the direction of text, or that cannot be seen, make it
//! read as what it is not.

use std::borrow::Cow;

/// Stands where a character was that must not reach a terminal.
const REPLACEMENT: char = '\u{fffd}';
const ESCAPE: char = '\u{1b}';
/// Parameters of the colours and weights that `sky` itself writes.
const OWN_STYLES: [&str; 19] = [
    "", "0", "1", "2", "4", "22", "31", "32", "33", "34", "35", "36", "39", "91", "92", "93", "94",
    "95", "96",
];

/// Which escape sequences stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Styles {
    /// None.
    Removed,
    /// The colours and weights that `sky` itself writes.
    Own,
}

/// Whether a character has no business in text for people: control characters, those that change
/// the direction of text, and those that cannot be seen.
pub fn is_harmful(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

/// Text for people, without what is harmful in it: whole escape sequences are left out, and any
/// other harmful character becomes U+FFFD.
pub fn clean(text: &str, styles: Styles) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut text_left = text;
    while let Some(at) = text_left.find(is_harmful) {
        cleaned.push_str(&text_left[..at]);
        text_left = &text_left[at..];
        let length = sequence_length(text_left);
        let (found, after) = text_left.split_at(length);
        if length > 1 && styles == Styles::Own && is_own_style(found) {
            cleaned.push_str(found);
        }
        match found
            .chars()
            .next()
            .filter(|_| length <= first_length(found))
        {
            // What a terminal would write over stands beside it.
            Some('\r') if after.is_empty() || after.starts_with('\n') => {}
            Some('\r') => cleaned.push(' '),
            Some(_) => cleaned.push(REPLACEMENT),
            None => {}
        }
        text_left = after;
    }
    cleaned.push_str(text_left);
    Cow::Owned(cleaned)
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

fn is_own_style(sequence: &str) -> bool {
    let parameters = sequence
        .strip_prefix("\u{1b}[")
        .and_then(|rest| rest.strip_suffix('m'));
    parameters.is_some_and(|parameters| parameters.split(';').all(|one| OWN_STYLES.contains(&one)))
}

/// The length in bytes of the escape sequence that a text begins with, or else of its first
/// character. A sequence that has no end on its line counts as its first character alone: what it
/// would hide is shown.
fn sequence_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    let single = first_length(text);
    let introducer = match characters.next() {
        Some((_, ESCAPE)) => match characters.next() {
            Some((_, second)) => second,
            None => return single,
        },
        // The same introducers as one character.
        Some((_, '\u{9b}')) => '[',
        Some((_, '\u{9d}')) => ']',
        Some((_, '\u{90}')) => 'P',
        _ => return single,
    };
    match introducer {
        // A control sequence: parameters, then one letter.
        '[' => {
            let sequence_end = characters.find(|(_, character)| !matches!(character, ' '..='?'));
            sequence_end
                .filter(|(_, last)| matches!(last, '@'..='~'))
                .map_or(single, |(at, last)| at + last.len_utf8())
        }
        // Strings, up to BEL, ST or `ESC \`.
        ']' | 'P' | 'X' | '^' | '_' => {
            let mut escaped = false;
            for (at, character) in characters {
                match character {
                    '\u{7}' | '\u{9c}' => return at + character.len_utf8(),
                    '\\' if escaped => return at + 1,
                    '\n' => return single,
                    _ => escaped = character == ESCAPE,
                }
            }
            single
        }
        // Of two or three characters: character sets, modes, the cursor.
        ' '..='/' => match characters.next() {
            Some((at, '0'..='~')) => at + 1,
            _ => single,
        },
        '0'..='~' => 2,
        _ => single,
    }
}

/// The longest line of a message, in characters; what a message quotes may be as long as a file.
const LONGEST_LINE: usize = 2000;

/// A message whose lines are no longer than people read: the rest of a longer line is left out, and
/// the line says how much that is.
pub fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LINE {
        return Cow::Borrowed(text);
    }
    let shortened_line = |line: &str| match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!(
            "{}… ({} bytes more are not shown)",
            &line[..end],
            line.len() - end
        ),
        None => line.to_owned(),
    };
    Cow::Owned(
        text.split('\n')
            .map(shortened_line)
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// What `sky` prints: text for people is cleaned, and JSON keeps its data: harmful characters in
/// its strings are written as `\uXXXX`.
pub fn printable(text: &str, styles: Styles) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    if is_json(text) {
        Cow::Owned(json_escaped(text))
    } else {
        clean(text, styles)
    }
}

/// Whether a text is one or more JSON objects.
fn is_json(text: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    text.starts_with('{') && values.all(|value| value.is_ok())
}

/// JSON text in which harmful characters, which can only be inside of strings, are escaped.
fn json_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Between values.
            '\r' => escaped.push(character),
            harmful if is_harmful(harmful) => {
                for unit in harmful.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_no_whole_file() {
        assert_eq!(shortened("short\n"), "short\n");
        let long = format!("first\n`{}` is unknown\nlast", "é".repeat(1 << 20));
        let short = shortened(&long);
        assert!(short.len() < 3 * LONGEST_LINE, "{}", short.len());
        assert!(
            short.starts_with("first\n`éé") && short.ends_with(" bytes more are not shown)\nlast"),
            "{short}"
        );
    }

    fn cleaned(text: &str) -> String {
        clean(text, Styles::Removed).into_owned()
    }

    #[test]
    fn what_a_terminal_would_obey_does_not_reach_it() {
        let cases = [
            (
                "plain text, größe 日本 🦀\n\tand more",
                "plain text, größe 日本 🦀\n\tand more",
            ),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Htop", "top"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}P+q\u{1b}\\text", "text"),
            ("\u{1b}(Btext\u{1b}7\u{1b}c", "text"),
            ("\u{9b}31mred", "red"),
            ("\u{9d}0;t\u{9c}x", "x"),
            // What has no end hides nothing.
            ("\u{1b}]0;all of this", "\u{fffd}]0;all of this"),
            (
                "\u{1b}]0;this\nand this\u{7}",
                "\u{fffd}]0;this\nand this\u{fffd}",
            ),
            ("\u{1b}[31", "\u{fffd}[31"),
            ("end\u{1b}", "end\u{fffd}"),
            (
                "bell\u{7} back\u{8}space \u{0}\u{7f}\u{85}",
                "bell\u{fffd} back\u{fffd}space \u{fffd}\u{fffd}\u{fffd}",
            ),
            ("10 %\r20 %\r\n", "10 % 20 %\n"),
            (
                "admin\u{202e}gpj.exe\u{2066}x\u{2069}",
                "admin\u{fffd}gpj.exe\u{fffd}x\u{fffd}",
            ),
            (
                "a\u{200b}b\u{feff}c\u{e0041}",
                "a\u{fffd}b\u{fffd}c\u{fffd}",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(cleaned(text), wanted, "{text:?}");
            assert!(!cleaned(text).contains(is_harmful));
        }
    }

    #[test]
    fn only_own_styles_stay_and_only_when_asked_for() {
        let text = "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: \u{1b}[8mhidden\u{1b}[7m";
        assert_eq!(
            clean(text, Styles::Own),
            "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: hidden"
        );
        assert_eq!(clean(text, Styles::Removed), "error: hidden");
    }

    #[test]
    fn json_keeps_its_data() {
        let value = serde_json::json!({ "name": "a\u{1b}[31m\u{9b}\u{202e}\u{e0041}\r\n" });
        for text in [
            format!("{value}\n"),
            format!("{value}\n{value}\n"),
            format!("{value:#}"),
        ] {
            let printed = printable(&text, Styles::Removed).into_owned();
            assert!(!printed.contains(is_harmful), "{printed:?}");
            let first = serde_json::Deserializer::from_str(&printed)
                .into_iter::<serde_json::Value>()
                .next();
            assert_eq!(first.unwrap().unwrap(), value);
        }
        assert_eq!(
            printable("{ not json \u{1b}[31m", Styles::Removed),
            "{ not json "
        );
    }

    #[test]
    fn any_text_is_cleaned_without_a_panic() {
        let letters = [
            '\u{1b}', '[', ']', 'm', '3', ';', '\\', '\u{7}', '\n', 'é', '\u{9b}', '\u{202e}', '\r',
        ];
        let mut number = 7_u64;
        for _ in 0..2000 {
            let text: String = (0..12)
                .map(|_| {
                    number = number
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    letters[(number >> 33) as usize % letters.len()]
                })
                .collect();
            assert!(!cleaned(&text).contains(is_harmful), "{text:?}");
            assert_eq!(cleaned(&cleaned(&text)), cleaned(&text));
        }
    }
}
