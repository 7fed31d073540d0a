//! Small workflows of our own: what they become, and what is said about mistakes.

use super::{Factor, Imported, wfformat};
use crate::model::{ArtifactRef, Bytes, Millis, PlaceName, Work};
use crate::spec::{job, write};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use wfformat::Settings;

/// A task of the specification: id, parents, children, files read and written.
fn task(id: &str, parents: &[&str], children: &[&str], reads: &[&str], writes: &[&str]) -> Value {
    json!({ "name": id, "id": id, "parents": parents, "children": children,
            "inputFiles": reads, "outputFiles": writes })
}

fn workflow(tasks: Vec<Value>, files: &[(&str, u64)], runs: Value) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|(id, size)| json!({ "id": id, "sizeInBytes": size }))
        .collect();
    json!({ "name": "two halves (1.5).json", "schemaVersion": "1.5", "workflow": {
        "specification": { "tasks": tasks, "files": files },
        "execution": { "makespanInSeconds": 9, "executedAt": "2026-01-02T03:04:05Z", "tasks": runs } } })
}

/// A split, two workers, a join that also waits for a task without files.
fn sample() -> Value {
    let tasks = vec![
        task(
            "split:1",
            &[],
            &["work_a", "work_b"],
            &["/in/raw.dat"],
            &["half.1", "half.2"],
        ),
        task("work_a", &["split:1"], &["join"], &["half.1"], &["a"]),
        task(
            "work_b",
            &["split:1"],
            &["join"],
            &["half.2", "table"],
            &["b"],
        ),
        task("notify", &[], &["join"], &[], &[]),
        task(
            "join",
            &["work_a", "work_b", "notify"],
            &[],
            &["a", "b"],
            &["result"],
        ),
    ];
    let files = [
        ("/in/raw.dat", 2_000_000_001),
        ("half.1", 1_000_000_000),
        ("half.2", 1_000_000_001),
        ("table", 1024),
        ("a", 0),
        ("b", 12),
        ("result", 1_500),
    ];
    let runs = json!([
        { "id": "work_b", "runtimeInSeconds": 53.6, "coreCount": 4, "memoryInBytes": 8_589_934_592_u64 },
        { "id": "split:1", "runtimeInSeconds": 0.1256 },
        { "id": "work_a", "runtimeInSeconds": 3600, "coreCount": 1.5, "avgCPU": 93.8 },
        { "id": "notify", "runtimeInSeconds": 0.0, "memoryInBytes": 0 },
        { "id": "join", "runtimeInSeconds": 1e2, "command": { "program": "join" } },
    ]);
    workflow(tasks, &files, runs)
}

fn import(value: &Value) -> Imported {
    wfformat::import(&value.to_string(), &Settings::default()).unwrap()
}

/// What is said about a workflow that cannot be read.
fn faults(value: &Value) -> String {
    let faults = wfformat::import(&value.to_string(), &Settings::default()).unwrap_err();
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The sample with one value replaced, or taken out.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut sample = sample();
    match value {
        Some(value) => *sample.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match sample.pointer_mut(parent).unwrap() {
                Value::Object(keys) => {
                    keys.remove(key).unwrap();
                }
                Value::Array(items) => {
                    items.remove(key.parse().unwrap());
                }
                _ => unreachable!(),
            }
        }
    }
    sample
}

#[test]
fn a_workflow_becomes_a_job() {
    let imported = import(&sample());
    insta::assert_snapshot!(write::job(&imported.job));
    insta::assert_snapshot!(imported.warnings.join("\n"));
    assert_eq!(
        job::parse("job.toml", &write::job(&imported.job))
            .unwrap()
            .value,
        imported.job
    );
}

#[test]
fn settings_say_what_the_workflow_does_not() {
    let settings = Settings {
        at: PlaceName::parse("aws:eu-west-1").unwrap(),
        fixed: true,
        vcpu_thousandths: 2500,
        memory: Bytes(1 << 30),
        scale_data: Factor::parse("0.5").unwrap(),
        scale_time: Factor::parse("10").unwrap(),
    };
    let job = wfformat::import(&sample().to_string(), &settings)
        .unwrap()
        .job;
    assert_eq!(job.datasets["in-raw-dat"].at.to_string(), "aws:eu-west-1");
    assert_eq!(
        job.datasets["in-raw-dat"].size,
        Bytes(1_000_000_000),
        "half of an odd number, to even"
    );
    let (a, b) = (&job.stages["work_a"], &job.stages["work_b"]);
    assert_eq!(
        (&a.work, &b.work),
        (
            &Work::Duration(Millis(36_000_000)),
            &Work::Duration(Millis(536_000))
        )
    );
    assert_eq!(
        (a.needs.vcpu_thousandths, a.needs.memory),
        (1500, Bytes(1 << 30))
    );
    assert_eq!(
        (b.needs.vcpu_thousandths, b.needs.memory),
        (4000, Bytes(8 << 30))
    );
    let notify = &job.stages["notify"];
    assert_eq!(
        (&notify.work, notify.needs.vcpu_thousandths),
        (&Work::Duration(Millis(1)), 2500)
    );
    assert_eq!(
        job::parse("job.toml", &write::job(&job)).unwrap().value,
        job
    );
}

#[test]
fn factors_are_positive_decimals() {
    assert_eq!(Factor::parse("1"), Ok(Factor::ONE));
    assert!(Factor::parse("0.000001").is_ok() && Factor::parse("1e6").is_ok());
    for bad in ["0", "-1", "1e-7", "1000001", "x", "", "nan", "inf"] {
        assert!(Factor::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let mut turned = sample();
    for list in [
        "specification/tasks",
        "specification/files",
        "execution/tasks",
    ] {
        turned
            .pointer_mut(&format!("/workflow/{list}"))
            .unwrap()
            .as_array_mut()
            .unwrap()
            .reverse();
    }
    assert_ne!(turned, sample());
    assert_eq!(import(&turned), import(&sample()));
}

/// Reads of a stage, as people write them.
fn reads(imported: &Imported, stage: &str) -> Vec<String> {
    imported.job.stages[stage]
        .reads
        .iter()
        .map(ArtifactRef::to_string)
        .collect()
}

#[test]
fn who_reads_a_file_of_many_versions_gets_the_last_before_it() {
    let tasks = vec![
        task("make", &[], &["early", "patch"], &[], &["log"]),
        task("early", &["make"], &["patch"], &["log"], &[]),
        // Reads and writes: gets the version of `make`, and leaves its own.
        task(
            "patch",
            &["make", "early"],
            &["left", "right"],
            &["log"],
            &["log"],
        ),
        task("left", &["patch"], &["last"], &["log"], &["log"]),
        task("right", &["patch"], &["last"], &[], &["log"]),
        task("last", &["left", "right"], &[], &["log"], &[]),
        // Nobody before it writes the file: it was there.
        task("apart", &[], &[], &["log"], &["log"]),
        task("alone", &[], &[], &["own"], &["own"]),
    ];
    let names = [
        "make", "early", "patch", "left", "right", "last", "apart", "alone",
    ];
    let runs: Vec<Value> = names
        .iter()
        .map(|id| json!({ "id": id, "runtimeInSeconds": 1 }))
        .collect();
    let imported = import(&workflow(tasks, &[("log", 5), ("own", 6)], json!(runs)));
    assert_eq!(reads(&imported, "early"), reads(&imported, "patch"));
    assert_eq!(reads(&imported, "patch"), ["make.log-4"]);
    assert_eq!(reads(&imported, "left"), ["patch.log-5"]);
    assert_eq!(reads(&imported, "last"), ["left.log-3", "right.log-6"]);
    assert_eq!(
        (reads(&imported, "apart"), reads(&imported, "alone")),
        (vec!["log".into()], vec!["own".into()])
    );
    assert_eq!(
        imported.job.stages["right"].after,
        ["patch".to_owned()].into()
    );
    assert_eq!(
        imported.job.stages["patch"].after,
        ["early".to_owned()].into()
    );
    insta::assert_snapshot!(imported.warnings.join("\n"));
    assert_eq!(
        job::parse("job.toml", &write::job(&imported.job))
            .unwrap()
            .value,
        imported.job
    );
}

#[test]
fn names_are_valid_and_unique() {
    let long = "x/".repeat(200);
    let ids = ["a.b", "a-b", "a:b", "-", "ß", "#", &long, "a-b-2", "out"];
    let tasks = ids
        .iter()
        .map(|id| task(id, &[], &[], &["a.b", "a/b", "out"], &[]))
        .collect();
    let runs: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "runtimeInSeconds": 1 }))
        .collect();
    let job = import(&workflow(
        tasks,
        &[("a.b", 1), ("a/b", 2), ("out", 3)],
        json!(runs),
    ))
    .job;
    let names: Vec<&str> = job.stages.keys().map(String::as_str).collect();
    let x = "x-".repeat(64);
    let x = x.trim_end_matches('-');
    assert_eq!(
        names,
        [
            "a-b", "a-b-2", "a-b-3", "a-b-4", "out", "task", "task-2", "task-3", x
        ]
    );
    let datasets: Vec<(&str, u64)> = job
        .datasets
        .iter()
        .map(|(name, set)| (name.as_str(), set.size.0))
        .collect();
    assert_eq!(datasets, [("a-b-5", 1), ("a-b-6", 2), ("out-2", 3)]);
    assert_eq!(
        job::parse("job.toml", &write::job(&job)).unwrap().value,
        job
    );
}

#[test]
fn one_sided_steps_count_and_are_said() {
    let imported = import(&with(
        "/workflow/specification/tasks/3/children",
        Some(json!([])),
    ));
    assert!(imported.job.stages["join"].after.contains("notify"));
    assert_eq!(imported.job, import(&sample()).job);
    insta::assert_snapshot!(imported.warnings.join("\n"));
}

#[test]
fn mistakes_are_named_with_their_place() {
    const TASK: &str = "/workflow/specification/tasks/1";
    const RUN: &str = "/workflow/execution/tasks/0";
    let at = |start: &str, rest: &str| format!("{start}{rest}");
    let text = |text: &str| Some(json!(text));
    let cases: [(&str, Value); 36] = [
        ("no version", with("/schemaVersion", None)),
        ("an old version", with("/schemaVersion", text("1.4"))),
        (
            "a version as a number",
            with("/schemaVersion", Some(json!(1.5))),
        ),
        ("no name", with("/name", None)),
        ("no workflow", with("/workflow", None)),
        ("no specification", with("/workflow/specification", None)),
        ("no execution", with("/workflow/execution", None)),
        ("no tasks", with("/workflow/specification/tasks", None)),
        (
            "tasks of the wrong type",
            with("/workflow/specification/tasks", Some(json!({}))),
        ),
        ("an empty list of tasks", workflow(vec![], &[], json!([]))),
        ("no files", with("/workflow/specification/files", None)),
        ("a task that is a number", with(TASK, Some(json!(5)))),
        ("a task without an id", with(&at(TASK, "/id"), None)),
        ("a task with an empty id", with(&at(TASK, "/id"), text(""))),
        ("two tasks of one id", with(&at(TASK, "/id"), text("join"))),
        ("no parents", with(&at(TASK, "/parents"), None)),
        (
            "an unknown parent",
            with(&at(TASK, "/parents/0"), text("split")),
        ),
        (
            "an unknown child",
            with(&at(TASK, "/children/0"), text("jion")),
        ),
        (
            "a parent as a number",
            with(&at(TASK, "/parents/0"), Some(json!(1))),
        ),
        (
            "an unknown file",
            with(&at(TASK, "/inputFiles/0"), text("half.3")),
        ),
        (
            "a file as a list",
            with(&at(TASK, "/outputFiles/0"), Some(json!([]))),
        ),
        (
            "its own parent",
            with(&at(TASK, "/parents/0"), text("work_a")),
        ),
        (
            "a cycle of parents",
            with(&at(TASK, "/parents/0"), text("join")),
        ),
        (
            "a cycle through files",
            with(
                "/workflow/specification/tasks/0/inputFiles/0",
                text("result"),
            ),
        ),
        (
            "a negative size",
            with(
                "/workflow/specification/files/3/sizeInBytes",
                Some(json!(-5)),
            ),
        ),
        (
            "a size as text",
            with("/workflow/specification/files/3/sizeInBytes", text("5 B")),
        ),
        (
            "a size beyond all",
            with(
                "/workflow/specification/files/3/sizeInBytes",
                Some(json!(1e19)),
            ),
        ),
        (
            "no size",
            with("/workflow/specification/files/3/sizeInBytes", None),
        ),
        (
            "two files of one id",
            with("/workflow/specification/files/3/id", text("half.1")),
        ),
        ("no run time", with(&at(RUN, "/runtimeInSeconds"), None)),
        (
            "a negative run time",
            with(&at(RUN, "/runtimeInSeconds"), Some(json!(-53.6))),
        ),
        (
            "an endless run time",
            with(&at(RUN, "/runtimeInSeconds"), Some(json!(1e9))),
        ),
        (
            "negative cores",
            with(&at(RUN, "/coreCount"), Some(json!(-1))),
        ),
        (
            "negative memory",
            with(&at(RUN, "/memoryInBytes"), Some(json!(-1))),
        ),
        ("a run of nobody", with(&at(RUN, "/id"), text("work_c"))),
        ("a task that did not run", with(RUN, None)),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(name, value)| format!("# {name}\n{}", faults(value)))
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
    let text =
        |text: &str| wfformat::import(text, &Settings::default()).unwrap_err()[0].to_string();
    assert_eq!(
        text("{ \"name\": "),
        "not JSON: EOF while parsing a value at line 1 column 10"
    );
    assert!(text(&"[".repeat(100_000)).contains("recursion limit"));
    assert_eq!(text("[]"), "is a list, not an object with `schemaVersion`");
}

#[test]
fn many_equal_names_and_long_chains_are_read_in_good_time() {
    const COUNT: usize = 1_200;
    let id = |index: usize| "-".repeat(index + 1);
    let tasks = (0..COUNT).map(|index| {
        let parents = if index == 0 {
            vec![]
        } else {
            vec![id(index - 1)]
        };
        json!({ "name": "t", "id": id(index), "parents": parents, "children": [],
                "inputFiles": ["log"], "outputFiles": ["log"] })
    });
    let runs: Vec<Value> = (0..COUNT)
        .map(|index| json!({ "id": id(index), "runtimeInSeconds": 1 }))
        .collect();
    let imported = import(&workflow(tasks.collect(), &[("log", 1)], json!(runs)));
    assert_eq!(imported.job.stages.len(), COUNT);
    assert_eq!(
        (imported.job.datasets.len(), imported.warnings.len()),
        (1, 2)
    );
}

/// What a value may be replaced by.
fn odd() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1e308),
        json!(5e-324),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("a"),
        json!("work_a"),
        json!("join"),
        json!("half.1"),
        json!("ß\u{0}\n"),
        json!([]),
        json!(["a", "a", "join"]),
        json!({}),
        json!({ "id": "a" }),
    ])
}

/// Ways to all values below one.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(keys) => keys
            .iter()
            .for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the file says: a job that reads back, or a reason.
    #[test]
    fn any_changed_workflow_has_an_answer(
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        fixed in any::<bool>(),
    ) {
        let mut value = sample();
        for (index, odd) in changes {
            let mut all = Vec::new();
            pointers(&value, "", &mut all);
            *value.pointer_mut(index.get(&all).as_str()).unwrap() = odd;
        }
        let mut text = value.to_string();
        if let Some(cut) = cut {
            text.truncate(text.floor_char_boundary(cut.index(text.len())));
        }
        match wfformat::import(&text, &Settings { fixed, ..Settings::default() }) {
            Ok(imported) => {
                let parsed = job::parse("job.toml", &write::job(&imported.job));
                prop_assert_eq!(parsed.map(|parsed| parsed.value), Ok(imported.job));
            }
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
