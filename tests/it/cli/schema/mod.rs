//! `sky schema`: what it prints, and that each schema says what the reader of its files says.
//!
//! The schemas are judged by Python's validator. Where a reader refuses what its schema allows,
//! every error must be one that no schema can find ([`reasons`]).

mod corpus;
mod keys;
mod mutations;
mod plans;
mod readers;
mod reasons;
mod validator;

use crate::support::sandbox::{Sandbox, stderr};
use readers::{KINDS, Kind, as_json, schemas};
use serde_json::Value;
use std::collections::BTreeMap;

/// A file, and what its reader says.
struct Case {
    what: String,
    kind: Kind,
    value: Value,
    errors: Vec<String>,
}

impl Case {
    /// None: the text is not TOML.
    fn new(what: impl Into<String>, kind: Kind, text: &str) -> Option<Self> {
        Some(Self {
            what: what.into(),
            kind,
            value: as_json(text)?,
            errors: kind.errors(text),
        })
    }
}

/// How many files both refuse and both take, and how many only a reader can refuse, by reason.
#[derive(Debug, Default)]
struct Agreement {
    refused: usize,
    taken: usize,
    beyond_schemas: BTreeMap<&'static str, usize>,
}

/// Compares what schemas and readers say of some files.
fn compare(cases: &[Case]) -> Agreement {
    let questions = cases.iter().map(|case| (case.kind.name(), &case.value));
    let refusals = validator::refusals(&schemas(), questions);
    let (mut agreement, mut wrong) = (Agreement::default(), Vec::new());
    for (case, refusal) in cases.iter().zip(refusals) {
        match (case.errors.as_slice(), refusal) {
            ([], None) => agreement.taken += 1,
            ([], Some(refusal)) => wrong.push(format!(
                "{} {}: the schema refuses what the reader takes: {refusal}",
                case.kind.name(),
                case.what
            )),
            (_, Some(_)) => agreement.refused += 1,
            (errors, None) => {
                let reason = errors.iter().map(|error| reasons::reason(error));
                match reason.collect::<Option<Vec<_>>>() {
                    Some(all) => *agreement.beyond_schemas.entry(all[0].name).or_default() += 1,
                    None => wrong.push(format!(
                        "{} {}: the schema takes what the reader refuses: {errors:?}",
                        case.kind.name(),
                        case.what
                    )),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
    agreement
}

/// Files that their schemas take and their readers refuse: for every reason one.
const BEYOND_SCHEMAS: [(Kind, &str, &str); 9] = [
    (
        Kind::Job,
        "a name refers to something else in the file",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\nreads = \"nothing\"\n",
    ),
    (
        Kind::Hosts,
        "a name refers to something else in the file",
        "[hosts.big]\n[places.nowhere]\n",
    ),
    (
        Kind::Hosts,
        "what parts of a file say together",
        "[hosts.a]\ntype = \"t\"\ncpus = 1\n[hosts.b]\ntype = \"t\"\ncpus = 2\n",
    ),
    (
        Kind::Job,
        "stages wait for each other",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\nafter = \"s\"\n",
    ),
    (
        Kind::Job,
        "sums and products are too large",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\ncount = 10000\nnodes = 1000\n",
    ),
    (
        Kind::Policy,
        "how large a quantity is that is written as text",
        "[storage]\nkeep = \"4000 d\"\n",
    ),
    (
        Kind::Hosts,
        "which days a month has",
        "date = \"2026-02-30\"\n[hosts.big]\n",
    ),
    (
        Kind::Job,
        "TOML has types that JSON does not have",
        "name = 2026-11-01\n[stages.s]\nduration = \"1 h\"\n",
    ),
    (
        Kind::Policy,
        "TOML has types that JSON does not have",
        "retries = 3.0\n",
    ),
];

#[test]
fn every_reason_why_only_a_reader_can_know_is_that_of_some_file() {
    for reason in &reasons::REASONS {
        let has_a_file = BEYOND_SCHEMAS
            .iter()
            .any(|(_, name, _)| *name == reason.name);
        assert!(has_a_file, "{}", reason.name);
    }
    for (kind, reason, text) in BEYOND_SCHEMAS {
        let case = Case::new(text, kind, text).unwrap();
        let agreement = compare(&[case]);
        assert_eq!(
            agreement.beyond_schemas,
            BTreeMap::from([(reason, 1)]),
            "{text}"
        );
    }
}

/// Files with every key, and the files that come with sky, with the kinds of those that are one.
fn good_files() -> Vec<Case> {
    let files = corpus::shipped_files();
    let all = files.iter().flat_map(|(name, text)| {
        KINDS
            .iter()
            .filter_map(move |kind| Case::new(name, *kind, text))
    });
    all.filter(|case| case.errors.is_empty()).collect()
}

#[test]
fn every_file_of_the_repository_is_judged_by_a_schema_as_by_its_reader() {
    let mut cases = Vec::new();
    for (name, text) in corpus::shipped_files() {
        cases.extend(
            KINDS
                .iter()
                .filter_map(|kind| Case::new(&name, *kind, &text)),
        );
    }
    let agreement = compare(&cases);
    assert!(agreement.taken >= 12, "{agreement:?}");
    for name in ["fixtures/bert/job.toml", "policies/eu-only.toml"] {
        let is_taken = |case: &Case| case.what == name && case.errors.is_empty();
        assert!(cases.iter().any(is_taken), "{name}");
    }
}

/// Fragments are tried alone and where the tests of the readers put them.
#[test]
fn every_text_of_a_test_is_judged_by_a_schema_as_by_its_reader() {
    let mut texts = corpus::texts_of_tests();
    texts.append(&mut corpus::blocks_of_the_guide());
    let mut cases = Vec::new();
    for text in texts {
        let in_stage = format!("name = \"j\"\n[stages.s]\nduration = \"1 h\"\n{text}");
        let in_host = format!("[hosts.big]\n{text}");
        let alone = KINDS.map(|kind| Case::new(&text, kind, &text));
        let placed = [
            Case::new(&in_stage, Kind::Job, &in_stage),
            Case::new(&in_host, Kind::Hosts, &in_host),
        ];
        cases.extend(alone.into_iter().chain(placed).flatten());
    }
    let agreement = compare(&cases);
    assert!(
        agreement.taken > 200 && agreement.refused > 1000,
        "{agreement:?}"
    );
}

/// The mutations of files, with what their readers say.
fn mutants(files: impl Iterator<Item = Case>) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in files {
        for mutation in mutations::mutations(&file.value) {
            // JSON has a number or two that TOML does not have.
            let Ok(text) = toml::to_string(&mutation.value) else {
                continue;
            };
            let what = format!("{}: {}", file.what, mutation.what);
            cases.extend(Case::new(what, file.kind, &text));
        }
    }
    cases
}

fn has_every_key(file: &Case) -> bool {
    file.what.starts_with("tests/it/cli/schema/")
}

/// One of so many mutations of the files with every key is tried, unless
/// `SKY_TEST_EVERY_MUTATION` is set: all of them take a minute.
const TRIED: usize = 3;

/// The mutations that only a reader can refuse are few, and there are some of each kind.
#[test]
fn every_mutation_of_every_key_is_judged_by_a_schema_as_by_its_reader() {
    let all = mutants(good_files().into_iter().filter(has_every_key));
    let step = match std::env::var_os("SKY_TEST_EVERY_MUTATION") {
        Some(_) => 1,
        None => TRIED,
    };
    let tried: Vec<Case> = all.into_iter().step_by(step).collect();
    let agreement = compare(&tried);
    let beyond: usize = agreement.beyond_schemas.values().sum();
    assert!(agreement.refused > 10_000 / step, "{agreement:?}");
    assert!(agreement.taken > 1_800 / step, "{agreement:?}");
    assert!(beyond * 20 < agreement.refused, "{agreement:?}");
    assert!(agreement.beyond_schemas.len() >= 3, "{agreement:?}");
}

#[test]
fn every_mutation_of_a_shipped_file_is_judged_by_a_schema_as_by_its_reader() {
    let shipped = good_files().into_iter().filter(|file| !has_every_key(file));
    let agreement = compare(&mutants(shipped));
    let beyond: usize = agreement.beyond_schemas.values().sum();
    assert!(agreement.refused > 1000, "{agreement:?}");
    assert!(beyond * 5 < agreement.refused, "{agreement:?}");
}

#[test]
fn a_schema_has_the_keys_that_its_reader_knows_and_no_other() {
    let mut files: BTreeMap<Kind, Vec<Value>> = BTreeMap::new();
    for case in good_files() {
        files.entry(case.kind).or_default().push(case.value);
    }
    for kind in KINDS {
        let schema = kind.schema();
        let mut tables = keys::tables(&schema);
        for file in &files[&kind] {
            keys::visit(&schema, file, &mut tables);
        }
        assert!(tables.len() >= 6, "{}", kind.name());
        for (place, table) in tables {
            let shown = format!("{} {place}", kind.name());
            let text = table.with_unknown_key;
            let text = text.unwrap_or_else(|| panic!("no file with every key has {shown}"));
            assert_eq!(
                keys::known_to_the_reader(kind, &text),
                table.keys,
                "{shown}"
            );
            // So that mutations change every key.
            assert_eq!(
                table.used, table.keys,
                "in the files with every key: {shown}"
            );
        }
    }
}

/// What editors of TOML show and follow.
#[test]
fn every_key_is_explained_in_words_that_editors_show() {
    fn check(schema: &Value, place: &str) {
        for keyword in ["$ref", "allOf", "if"] {
            assert!(schema.get(keyword).is_none(), "{place}: {keyword}");
        }
        for (step, below) in keys::children(schema) {
            if step.starts_with("properties/") {
                let said = below["description"].as_str().unwrap_or_default();
                assert!(
                    said.len() > 15 && said.ends_with('.'),
                    "{place}/{step}: {said}"
                );
            }
            check(below, &format!("{place}/{step}"));
        }
    }
    for (name, schema) in schemas().as_object().unwrap() {
        check(schema, name);
        let text = schema.to_string();
        for look_around in ["(?=", "(?!", "(?<"] {
            assert!(!text.contains(look_around), "{name}: {look_around}");
        }
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
}

#[test]
fn examples_of_values_are_what_their_schema_allows() {
    fn collect(schema: &Value, place: &str, found: &mut Vec<(String, Value, Value)>) {
        for example in schema["examples"].as_array().into_iter().flatten() {
            found.push((place.to_owned(), schema.clone(), example.clone()));
        }
        for (step, below) in keys::children(schema) {
            collect(below, &format!("{place}/{step}"), found);
        }
    }
    let mut found = Vec::new();
    for (name, schema) in schemas().as_object().unwrap() {
        collect(schema, name, &mut found);
    }
    assert!(found.len() > 50, "{}", found.len());
    let parts: Value = found
        .iter()
        .enumerate()
        .map(|(number, (_, schema, _))| (number.to_string(), schema.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let numbers: Vec<String> = (0..found.len()).map(|number| number.to_string()).collect();
    let questions = numbers
        .iter()
        .zip(&found)
        .map(|(number, (_, _, example))| (number.as_str(), example));
    let refusals = validator::refusals(&parts, questions);
    for ((place, _, example), refusal) in found.iter().zip(refusals) {
        assert_eq!(refusal, None, "{place}: {example}");
    }
}

#[test]
fn without_a_name_the_files_that_have_a_schema_are_listed() {
    let sandbox = Sandbox::new();
    let list = sandbox.stdout(&["schema"], 0);
    let json: Value = serde_json::from_str(&sandbox.stdout(&["schema", "--json"], 0)).unwrap();
    let known = schemas();
    let listed = json["schemas"].as_array().unwrap();
    assert_eq!(listed.len(), known.as_object().unwrap().len());
    for schema in listed {
        let (name, title) = (
            schema["name"].as_str().unwrap(),
            schema["title"].as_str().unwrap(),
        );
        let is_listed = |line: &str| line.trim_start().starts_with(name) && line.ends_with(title);
        assert!(list.lines().any(is_listed), "{name} in {list}");
        for words in [&["schema", name][..], &["schema", name, "--json"]] {
            let printed: Value = serde_json::from_str(&sandbox.stdout(words, 0)).unwrap();
            assert_eq!(printed, known[name], "{words:?}");
        }
    }
}

#[test]
fn an_unknown_file_is_answered_with_the_nearest() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["schema", "polcy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = stderr(&output);
    assert!(said.contains("there is no schema `polcy`"), "{said}");
    assert!(said.contains("did you mean `sky schema policy`?"), "{said}");
    let said = stderr(&sandbox.run(&["schema", "xyzzy"]));
    assert!(said.contains("`sky schema` lists the files"), "{said}");
}

/// The comment by which editors find a schema is nothing to sky.
#[test]
fn a_file_that_names_its_schema_is_read_as_ever() {
    for file in good_files() {
        let text = toml::to_string(&file.value).unwrap();
        let text = format!("#:schema ./{}.schema.json\n{text}", file.kind.name());
        assert_eq!(
            file.kind.errors(&text),
            Vec::<String>::new(),
            "{}",
            file.what
        );
    }
}
