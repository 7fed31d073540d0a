//! Whatever the text, there is an answer, and its spans lie inside the text.

use super::{JOB, POLICY};
use crate::render::diagnostic;
use crate::spec::{Diagnostics, Parsed, job, policy, write};
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
    // A file of another kind is not quoted.
    assert!(source.text == text || source.text.is_empty());
    for span in list
        .iter()
        .map(|diagnostic| &diagnostic.span)
        .chain(source.spans.values())
    {
        assert!(
            source.text.get(span.clone()).is_some(),
            "{span:?} is not within {text:?}"
        );
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
    let nested =
        |open: &str, close: &str| format!("a = {}{}", open.repeat(5_000), close.repeat(5_000));
    answer(&nested("[", "]"));
    answer(&nested("{ a = ", "}"));
    answer(&format!("{}a = 1", "a.".repeat(5_000)));
    answer(&format!("[{}a]", "a.".repeat(5_000)));
    answer(&format!("name = \"{}\"", "x".repeat(100_000)));
    answer(&format!("{JOB}\n{} = 1", "é".repeat(50_000)));
}

#[test]
fn a_job_of_many_stages_is_read_in_good_time() {
    let mut text = String::from(
        "name = \"chain\"\n[stages.s0]\nduration = \"1 h\"\nwrites = { x = \"1 GB\" }\n",
    );
    for index in 1..5_000 {
        let before = index - 1;
        text.push_str(&format!(
            "[stages.s{index}]\nduration = \"1 h\"\nreads = [\"s{before}.x\"]\nwrites = {{ x = \"1 GB\" }}\n"
        ));
    }
    assert_eq!(
        job::parse("job.toml", &text).unwrap().value.stages.len(),
        5_000
    );
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
        Change::DeleteLine(at) => {
            lines.remove(at % of_lines);
        }
        Change::DuplicateLine(at) => lines.insert(at % of_lines, lines[at % of_lines]),
        Change::SwapLines(a, b) => lines.swap(a % of_lines, b % of_lines),
        Change::DeleteCharacter(at) => {
            characters.remove(at % of_characters);
        }
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

/// One line for a key, or none.
fn line(key: &'static str, values: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::option::of(prop::sample::select(values)).prop_map(move |value| {
        value
            .map(|value| format!("{key} = {value}\n"))
            .unwrap_or_default()
    })
}

/// The inside of a table of needs.
fn some_needs() -> impl Strategy<Value = String> {
    let keys = prop::sample::subsequence(
        vec![
            "cpus = 0.125",
            "memory = \"1.5 GiB\"",
            "accelerators = [\"T4\", \"V100:0.5\"]",
            "tee = [\"tdx\", \"sgx\"]",
            "arch = \"arm64\"",
            "places = [\"aws:eu-*\"]",
            "instance_types = [\"m5.*\"]",
            "latency = { to = \"DE\", at_most = \"51 ms\" }",
        ],
        0..=8,
    );
    keys.prop_map(|keys| keys.join(", "))
}

/// A job of three stages with any of the keys that a stage can have.
fn some_job() -> impl Strategy<Value = String> {
    let alternatives = (
        prop::sample::select(vec!["any_of", "ordered"]),
        prop::collection::vec(some_needs(), 0..4),
    );
    let needs = (some_needs(), alternatives).prop_map(|(common, (key, alternatives))| {
        let tables: Vec<String> = alternatives
            .iter()
            .map(|needs| format!("{{ {needs} }}"))
            .collect();
        let list = if tables.is_empty() {
            String::new()
        } else {
            format!("{key} = [{}]", tables.join(", "))
        };
        let parts: Vec<&str> = [common.as_str(), list.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        format!("needs = {{ {} }}\n", parts.join(", "))
    });
    let checkpoints = vec![
        "{}",
        "{ every = \"90 s\" }",
        "{ save = \"1 ms\", restart = \"2 m\", size = \"1001 B\" }",
    ];
    let commands = vec![
        "'''\necho \"a\"\necho 'b'\n'''",
        "\"tab\\t\\u00e9 \\\\ \\u007f\"",
        "\"a''''b\"",
    ];
    let keys = (
        line("nodes", vec!["1", "7"]),
        line("deadline", vec!["\"1 ms\"", "\"4 h 30 m\"", "\"3652 d\""]),
        line(
            "allocation",
            vec![
                "\"on-demand\"",
                "\"spot\"",
                "\"spot-if-available\"",
                "\"cheapest\"",
            ],
        ),
        line("checkpoint", checkpoints),
        prop_oneof![
            line("run", commands),
            line(
                "env",
                vec![
                    "{ A = \"\" }",
                    "{ A_1 = \"a \\\"b\\\"\\n=c\", _b = \"env:HOME\" }"
                ]
            ),
            line(
                "secrets",
                vec![
                    "{ A = \"env:B\" }",
                    "{ A_1 = \"file:k/e y\", _b = \"env:ß\" }"
                ]
            ),
        ],
    );
    let spread = line("survivors", vec!["1", "2"]);
    (1..5_u32, needs, keys, spread).prop_map(|(count, needs, (nodes, deadline, allocation, checkpoint, run), spread)| {
        let each = if count == 1 { "" } else { "[i]" };
        let spread = match spread.as_str() {
            "" => String::new(),
            line => format!("[[spread]]\nstages = [\"*\"]\nover = \"cloud\"\n{line}"),
        };
        format!(
            "name = \"j\"\n[stages.a]\ncount = {count}\nwork = {{ vcpu = \"61001 ms\" }}\nwrites = {{ x = \"1048577 B\" }}\n\
             [stages.b]\ncount = {count}\nreads = [\"a.x{each}\"]\nduration = \"8.4 h\"\n{needs}{nodes}{deadline}\
             {allocation}{checkpoint}{run}[stages.c]\nduration = \"1 h\"\n{spread}"
        )
    })
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
    fn jobs_come_back_from_toml_and_from_json(text in some_job()) {
        let parsed = job::parse("job.toml", &text).map_err(|said| TestCaseError::fail(format!("{text}\n{said}")))?;
        let written = write::job(&parsed.value);
        let again = job::parse("job.toml", &written).map_err(|said| TestCaseError::fail(format!("{written}\n{said}")))?;
        prop_assert_eq!(&again.value, &parsed.value);
        prop_assert!(again.warnings.len() <= parsed.warnings.len(), "{}", written);
        let json = serde_json::to_string(&parsed.value).unwrap();
        prop_assert_eq!(serde_json::from_str::<crate::model::Job>(&json).unwrap(), parsed.value);
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
