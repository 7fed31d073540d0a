//! Whatever the text, there is an answer, and its spans lie inside the text.

use super::{JOB, POLICY};
use crate::render::diagnostic;
use crate::spec::{Diagnostics, Parsed, job, policy};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn sound<T>(text: &str, result: Result<Parsed<T>, Diagnostics>) {
    let (source, list) = match result {
        Ok(parsed) => (parsed.source, parsed.warnings),
        Err(found) => {
            assert!(!found.list.is_empty());
            (found.source, found.list)
        }
    };
    assert_eq!(source.text, text);
    for span in list.iter().map(|diagnostic| &diagnostic.span).chain(source.spans.values()) {
        assert!(source.text.get(span.clone()).is_some(), "{span:?} is not within {text:?}");
    }
    assert!(list.is_sorted_by_key(|diagnostic| diagnostic.span.start));
    diagnostic::text(&source, &list, true);
    diagnostic::json(&[(&source, &list)]);
}

fn answer(text: &str) {
    sound(text, job::parse("job.toml", text));
    sound(text, policy::parse("policy.toml", text));
}

#[test]
fn deep_and_long_files_have_an_answer() {
    let nested = |open: &str, close: &str| format!("a = {}{}", open.repeat(5_000), close.repeat(5_000));
    answer(&nested("[", "]"));
    answer(&nested("{ a = ", "}"));
    answer(&format!("{}a = 1", "a.".repeat(5_000)));
    answer(&format!("[{}a]", "a.".repeat(5_000)));
    answer(&format!("name = \"{}\"", "x".repeat(100_000)));
    answer(&format!("{JOB}\n{} = 1", "é".repeat(50_000)));
}

#[test]
fn a_job_of_many_stages_is_read_in_good_time() {
    let mut text = String::from("name = \"chain\"\n[stages.s0]\nduration = \"1 h\"\nwrites = { x = \"1 GB\" }\n");
    for index in 1..5_000 {
        let before = index - 1;
        text.push_str(&format!(
            "[stages.s{index}]\nduration = \"1 h\"\nreads = [\"s{before}.x\"]\nwrites = {{ x = \"1 GB\" }}\n"
        ));
    }
    assert_eq!(job::parse("job.toml", &text).unwrap().value.stages.len(), 5_000);
}

/// One change to a text; positions are taken modulo its length.
#[derive(Clone, Debug)]
enum Change {
    DeleteCharacter(usize),
    DeleteLine(usize),
    DuplicateCharacter(usize),
    DuplicateLine(usize),
    SwapLines(usize, usize),
    Insert(usize, &'static str),
    Replace(usize, &'static str),
}

const PIECES: [&str; 30] = [
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\r\n",
    "\t",
    "#",
    "-",
    "ß",
    "🦀",
    "\u{feff}",
    "\0",
    "\u{1b}[31m",
    "nan",
    "inf",
    "-1",
    "1e400",
    "99999999999999999999999999",
    "0x",
    "true",
    "\"\"",
    "[[x]]",
    "\"\"\"",
    "\\u00e9",
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>();
    let piece = prop::sample::select(&PIECES[..]);
    prop_oneof![
        at.prop_map(Change::DeleteCharacter),
        at.prop_map(Change::DeleteLine),
        at.prop_map(Change::DuplicateCharacter),
        at.prop_map(Change::DuplicateLine),
        (at, at).prop_map(|(a, b)| Change::SwapLines(a, b)),
        (at, piece.clone()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at, piece).prop_map(|(at, piece)| Change::Replace(at, piece)),
    ]
}

fn changed(text: &str, change: &Change) -> String {
    let mut characters: Vec<String> = text.chars().map(String::from).collect();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if characters.is_empty() {
        return String::new();
    }
    let (of_characters, of_lines) = (characters.len(), lines.len());
    match change {
        Change::DeleteLine(at) => drop(lines.remove(at % of_lines)),
        Change::DuplicateLine(at) => lines.insert(at % of_lines, lines[at % of_lines]),
        Change::SwapLines(a, b) => lines.swap(a % of_lines, b % of_lines),
        Change::DeleteCharacter(at) => drop(characters.remove(at % of_characters)),
        Change::DuplicateCharacter(at) => {
            let twice = characters[at % of_characters].clone();
            characters.insert(at % of_characters, twice);
        }
        Change::Insert(at, piece) => characters.insert(at % of_characters, (*piece).to_owned()),
        Change::Replace(at, piece) => characters[at % of_characters] = (*piece).to_owned(),
    }
    match change {
        Change::DeleteLine(_) | Change::DuplicateLine(_) | Change::SwapLines(..) => lines.concat(),
        _ => characters.concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_an_answer(text in any::<String>()) {
        answer(&text);
    }

    #[test]
    fn any_changed_file_has_an_answer(
        of_job in any::<bool>(),
        carriage_returns in any::<bool>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut text = if of_job { JOB.to_owned() } else { POLICY.to_owned() };
        if carriage_returns {
            text = text.replace('\n', "\r\n");
        }
        for change in &changes {
            text = changed(&text, change);
        }
        answer(&text);
    }

    #[test]
    fn order_does_not_matter(
        tables in Just(JOB.trim().split("\n\n").skip(1).map(str::to_owned).collect::<Vec<_>>()).prop_shuffle(),
        keys in any::<u64>(),
        reads in Just(vec!["reviews", "words"]).prop_shuffle(),
        tees in Just(vec!["sgx", "sev-snp"]).prop_shuffle(),
        accelerators in Just(vec!["V100:4", "tpu-v3-8"]).prop_shuffle(),
    ) {
        let mut text = String::from("name = \"bert\"\n");
        for table in &tables {
            let mut lines: Vec<&str> = table.lines().collect();
            let turn = usize::try_from(keys % 7).unwrap() % (lines.len() - 1);
            lines[1..].rotate_left(turn);
            text.push_str(&format!("\n{}\n", lines.join("\n")));
        }
        let list = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let text = text
            .replace("\"reviews\", \"words\"", &list(&reads))
            .replace("\"sgx\", \"sev-snp\"", &list(&tees))
            .replace("\"V100:4\", \"tpu-v3-8\"", &list(&accelerators));
        let original = job::parse("job.toml", JOB).unwrap().value;
        prop_assert_eq!(job::parse("job.toml", &text).unwrap().value, original);
    }
}
