//! `sky apply` and `sky destroy` with real processes, ended in every way.

use serde_json::{Value, json};
use sky::model::{Bytes, DataRate, Millis, Money, Objective, PlaceName, Purchase, Rate};
use sky::plan::*;
use sky::state::{Folder, State, Status};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder with a plan in it.
struct Place {
    folder: tempfile::TempDir,
}

/// A stage: name, reads, writes, command.
type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a str);

impl Place {
    fn new(rows: &[Row]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.plan("job", rows);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn plan(&self, job: &str, rows: &[Row]) {
        self.write_plan(&plan(job, rows));
    }

    fn write_plan(&self, plan: &Plan) {
        std::fs::write(self.path("plan.json"), file::encode(plan).unwrap()).unwrap();
    }

    fn sky(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command.args(args).current_dir(self.folder.path()).env_remove("SKY_DATA_DIR").stdin(Stdio::null());
        command
    }

    fn apply(&self, args: &[&str]) -> Output {
        self.sky(&[&["apply", "plan.json"], args].concat()).output().unwrap()
    }

    fn start(&self) -> Child {
        self.sky(&["apply", "plan.json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn state(&self) -> State {
        Folder::resolve(self.folder.path(), None).read().unwrap().unwrap()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// How often each stage wrote its name to the file `ran`, outside of all that sky knows.
    fn ran(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.text("ran").lines().for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
        counts
    }

    /// Live processes of this folder's stages.
    fn processes(&self) -> usize {
        let wanted = format!("SKY_OUTPUTS={}", self.folder.path().canonicalize().unwrap().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments = processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
        environments.filter(|text| String::from_utf8_lossy(text).contains(&wanted)).count()
    }

    fn wait_for(&self, name: &str) {
        wait(name, || self.path(name).exists());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.sky(&["destroy", "--auto-approve"]).output();
    }
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn stage(row: &Row) -> PlannedStage {
    let (name, reads, writes, run) = row;
    let here = PlaceName::here();
    PlannedStage {
        name: (*name).into(),
        place: here,
        country: None,
        instance_type: "this".into(),
        accelerator: None,
        nodes: 1,
        purchase: Purchase::OnDemand,
        rate_nano_usd_per_hour: Rate(0),
        price_source: PriceSource { id: "none".into(), date: "2026-01-01".into() },
        start_ms: Millis(0),
        end_ms: Millis(0),
        cost_micro_usd: Money(0),
        labels: Default::default(),
        reads: reads.iter().map(|read| read.to_string().try_into().unwrap()).collect(),
        writes: writes.iter().map(|name| (name.to_string(), Bytes(1))).collect(),
        after: Default::default(),
        run: (!run.is_empty()).then(|| run.to_string()),
        files: Default::default(),
        alternatives: Vec::new(),
    }
}

fn plan(job: &str, rows: &[Row]) -> Plan {
    let _ = DataRate(0);
    Plan {
        format_version: FORMAT_VERSION.into(),
        sky_version: "0".into(),
        job: job.into(),
        inputs: Inputs { job: "".into(), policy: "".into(), catalog: "".into(), catalog_date: "".into() },
        objective: Objective::Cost,
        limits: Limits { deadline_ms: None, budget_micro_usd: None },
        stages: rows.iter().map(stage).collect(),
        transfers: Vec::new(),
        datasets: BTreeMap::new(),
        totals: Totals {
            cost_micro_usd: Money(0),
            compute_micro_usd: Money(0),
            egress_micro_usd: Money(0),
            makespan_ms: Millis(0),
        },
        single_cloud: None,
        solver: SolverReport {
            name: "none".into(),
            version: "0".into(),
            status: "optimal".into(),
            bound_micro_usd: Money(0),
            bound_ms: None,
            gap: 0,
            seed: 0,
            threads: 1,
        },
        considered: Considered { clouds: 0, places: 0, offers: 0, candidates: 0, kept: 0 },
        warnings: Vec::new(),
    }
}

fn dataset(plan: &mut Plan, name: &str, path: Option<&str>) {
    let dataset = PlannedDataset {
        at: if path.is_some() { PlaceName::here() } else { PlaceName::parse("azure:eastus").unwrap() },
        path: path.map(str::to_owned),
        bytes: Bytes(1),
        labels: Default::default(),
    };
    plan.datasets.insert(name.into(), dataset);
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

const DIAMOND: [Row; 4] = [
    ("top", &[], &["o"], "echo top >> ../../../../ran; echo seed > $SKY_OUTPUTS/o"),
    (
        "left",
        &["top.o"],
        &["l"],
        "echo left >> ../../../../ran; sleep 1; sed s/$/-left/ $SKY_INPUTS/o > $SKY_OUTPUTS/l",
    ),
    (
        "right",
        &["top.o"],
        &["r"],
        "echo right >> ../../../../ran; sleep 1; sed s/$/-right/ $SKY_INPUTS/o > $SKY_OUTPUTS/r",
    ),
    (
        "bottom",
        &["left.l", "right.r"],
        &["all"],
        "echo bottom >> ../../../../ran; cat $SKY_INPUTS/l $SKY_INPUTS/r > $SKY_OUTPUTS/all",
    ),
];

#[test]
fn a_diamond_runs_in_parallel_and_hands_its_data_on() {
    let place = Place::new(&DIAMOND);
    let begun = Instant::now();
    let said = ended(&place.apply(&[]), 0);
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
    assert!(said.contains("Apply: 4 done, 0 unchanged, 0 failed, 0 skipped.") && said.contains("bottom.all"), "{said}");
    assert_eq!(place.text(".sky/artifacts/bottom/all"), "seed-left\nseed-right\n");
    assert_eq!(std::fs::metadata(place.path(".sky/journal")).unwrap().len(), 0);
    assert!(place.path("sky.state.json.backup").exists());

    let serial = place.state().serial;
    let begun = Instant::now();
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("No changes. All stages are done."), "{said}");
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
    assert_eq!(place.state().serial, serial);
    assert!(sky::state::holds(&place.state(), &plan("job", &DIAMOND)));

    // A changed command runs again, with what depends on its output; here also with all of it gone by name.
    let mut rows = DIAMOND;
    rows[1].3 = "echo left >> ../../../../ran; sed s/$/-LEFT/ $SKY_INPUTS/o > $SKY_OUTPUTS/l";
    assert!(!sky::state::holds(&place.state(), &plan("job", &rows)));
    place.plan("job", &rows);
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/bottom/all"), "seed-LEFT\nseed-right\n");
    let counts: Vec<(String, usize)> = place.ran().into_iter().collect();
    let wanted = [("bottom", 2), ("left", 2), ("right", 1), ("top", 1)];
    assert_eq!(counts, wanted.map(|(name, count)| (name.to_owned(), count)));

    // A changed command with the same output runs alone.
    rows[0].3 = "echo top >> ../../../../ran; printf 'seed\\n' > $SKY_OUTPUTS/o";
    place.plan("job", &rows);
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("Apply: 1 done, 3 unchanged"), "{said}");
    // What a user does to a copy does not reach the store; what is gone by name comes back.
    std::fs::write(place.path(".sky/artifacts/top/o"), "spoilt").unwrap();
    std::fs::remove_file(place.path(".sky/artifacts/bottom/all")).unwrap();
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/bottom/all"), "seed-LEFT\nseed-right\n");
}

#[test]
fn a_failure_leaves_the_independent_ones_running() {
    let rows: [Row; 4] = [
        ("bad", &[], &["o"], "echo about to fail; exit 3"),
        ("below", &["bad.o"], &[], "true"),
        ("forgetful", &[], &["x", "y"], "echo 1 > $SKY_OUTPUTS/x"),
        ("good", &[], &["o"], "sleep 0.3; echo fine > $SKY_OUTPUTS/o"),
    ];
    let place = Place::new(&rows);
    let said = ended(&place.apply(&[]), 7);
    for words in [
        "Apply: 1 done, 0 unchanged, 2 failed, 1 skipped.",
        "its command ended with exit code 3",
        "bad | about to fail",
        "did not write `y` to $SKY_OUTPUTS",
        "skipped: stage.bad failed",
        ".sky/stages/bad/1/log",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let statuses: Vec<Status> = place.state().stages.values().map(|stage| stage.status).collect();
    assert_eq!(statuses, [Status::Failed, Status::Skipped, Status::Failed, Status::Done]);
    let mut mended = rows;
    mended[0].3 = "echo 1 > $SKY_OUTPUTS/o";
    mended[2].3 = "echo 1 > $SKY_OUTPUTS/x; mkdir $SKY_OUTPUTS/y";
    place.plan("job", &mended);
    assert!(ended(&place.apply(&[]), 0).contains("Apply: 3 done, 1 unchanged"));
    let only_bad = Place::new(&rows[..2]);
    ended(&only_bad.apply(&["--fail-fast", "--parallelism=1"]), 1);
}

#[test]
fn kill_9_in_the_middle_of_a_stage_loses_and_repeats_nothing() {
    let rows: [Row; 3] = [
        ("first", &[], &["o"], "echo first >> ../../../../ran; echo 1 > $SKY_OUTPUTS/o"),
        (
            "second",
            &["first.o"],
            &["o"],
            "echo second >> ../../../../ran; touch ../../../../begun; sleep 1; echo 2 > $SKY_OUTPUTS/o",
        ),
        ("third", &["second.o"], &["o"], "echo third >> ../../../../ran; cp $SKY_INPUTS/o $SKY_OUTPUTS/o"),
    ];
    for late in [false, true] {
        let place = Place::new(&rows);
        let mut child = place.start();
        place.wait_for("begun");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.state().stages["second"].status, Status::Running);
        assert!(place.processes() > 0);
        if late {
            // The stage ends while nobody watches.
            wait("the end of the stage", || place.processes() == 0);
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/third/o"), "2\n");
        assert!(place.ran().values().all(|count| *count == 1), "{:?}", place.ran());
    }
}

#[test]
fn a_stage_whose_process_is_gone_is_run_again() {
    let rows: [Row; 1] = [(
        "only",
        &[],
        &["o"],
        "echo only >> ../../../../ran; touch ../../../../begun; sleep 0.5; echo 1 > $SKY_OUTPUTS/o",
    )];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    let stat = place.text(".sky/stages/only/1/.run/pid");
    let group = format!("-{}", stat.split(' ').next().unwrap());
    assert!(Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap().success());
    wait("its end", || place.processes() == 0);
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("attempt 1 was lost: its process is gone without an exit code"), "{said}");
    assert_eq!(place.state().stages["only"].attempt, 2);
    assert_eq!(place.ran()["only"], 2);
}

#[test]
fn kill_9_anywhere_and_each_stage_has_run_once() {
    let rows: [Row; 4] = [
        ("a", &[], &["o"], "echo a >> ../../../../ran; sleep 0.05; echo a > $SKY_OUTPUTS/o"),
        ("b", &["a.o"], &["o"], "echo b >> ../../../../ran; sleep 0.05; cat $SKY_INPUTS/o > $SKY_OUTPUTS/o"),
        ("c", &["a.o"], &["o"], "echo c >> ../../../../ran; cat $SKY_INPUTS/o > $SKY_OUTPUTS/o"),
        ("d", &["b.o", "c.o"], &["o"], "echo d >> ../../../../ran; cat $SKY_INPUTS/* > $SKY_OUTPUTS/o"),
    ];
    let begun = Instant::now();
    let mut kills = 0;
    for round in 0_u64.. {
        if begun.elapsed() > Duration::from_secs(12) {
            break;
        }
        let place = Place::new(&rows);
        // Spread over the run without a pattern: multiples of the golden ratio.
        for kill in 0..3 {
            let delay = (round * 3 + kill).wrapping_mul(0x9E37_79B9) % 1000 * 250;
            let mut child = place.start();
            std::thread::sleep(Duration::from_micros(delay));
            kills += usize::from(child.try_wait().unwrap().is_none());
            let _ = child.kill();
            child.wait().unwrap();
        }
        ended(&place.apply(&[]), 0);
        assert_eq!(place.text(".sky/artifacts/d/o"), "a\na\n");
        let counts = place.ran();
        assert!(counts.len() == 4 && counts.values().all(|count| *count == 1), "round {round}: {counts:?}");
        ended(&place.sky(&["destroy", "--auto-approve"]).output().unwrap(), 0);
        assert_eq!(place.processes(), 0);
    }
    assert!(kills > 10, "{kills}");
    eprintln!("{kills} kills");
}

#[test]
fn ctrl_c_ends_the_stages_and_says_how_to_go_on() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let rows: [Row; 2] = [
            ("long", &[], &["o"], "touch ../../../../begun; sleep 0.7; echo 1 > $SKY_OUTPUTS/o"),
            ("next", &["long.o"], &[], "true"),
        ];
        let place = Place::new(&rows);
        let child = place.start();
        place.wait_for("begun");
        let begun = Instant::now();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = ended(&output, code);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(place.processes(), 0);
        assert!(said.contains("to go on: sky apply plan.json") && said.contains("2 interrupted"), "{said}");
        let stage = place.state().stages["long"].clone();
        assert_eq!((stage.status, stage.live), (Status::Lost, false));
        ended(&place.apply(&[]), 0);
    }
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let rows: [Row; 1] =
        [("stubborn", &[], &[], "trap '' TERM; touch ../../../../begun; sleep 0.1; sleep 3; touch ../../../../over")];
    let place = Place::new(&rows);
    let child = place.start();
    place.wait_for("begun");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    signal(&child, "INT");
    let said = ended(&child.wait_with_output().unwrap(), 130);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(said.contains("left at once") && said.contains("to go on: sky apply plan.json"), "{said}");
    assert!(place.processes() > 0 && !place.path("over").exists());
    // The grace is the user's; after it, there is no arguing.
    let child = place.sky(&["apply", "plan.json", "--grace=200ms"]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    ended(&child.wait_with_output().unwrap(), 143);
    assert_eq!(place.processes(), 0);
}

#[test]
fn a_second_apply_is_told_who_is_at_work() {
    let rows: [Row; 1] = [("long", &[], &[], "touch ../../../../begun; sleep 1.2")];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    let said = ended(&place.apply(&["--lock-timeout=100ms"]), 6);
    for words in ["locked by another operation", "ID:", "Operation: apply", &format!("Pid:       {}", child.id())] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let said = ended(&place.sky(&["destroy", "--auto-approve"]).output().unwrap(), 6);
    assert!(said.contains("Operation: apply"), "{said}");
    assert!(ended(&place.apply(&["--lock-timeout=20s"]), 0).contains("No changes"));
    assert!(child.wait().unwrap().success());
    // Nobody outlives a kill as a holder.
    assert_eq!(place.text(".sky/lock"), "");
}

#[test]
fn a_torn_journal_is_mended_and_an_empty_state_is_refused() {
    let place = Place::new(&[("long", &[], &[], "touch ../../../../begun; sleep 0.4")]);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = place.text(".sky/journal");
    std::fs::write(place.path(".sky/journal"), format!("{journal}0badbeef {{\"seq")).unwrap();
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("torn by a crash"), "{said}");
    std::fs::write(place.path("sky.state.json"), "").unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(said.contains("sky.state.json is empty") && said.contains("sky.state.json.backup"), "{said}");
    let said = ended(&place.sky(&["destroy", "--auto-approve"]).output().unwrap(), 1);
    assert!(said.contains("sky.state.json is empty"), "{said}");
    std::fs::copy(place.path("sky.state.json.backup"), place.path("sky.state.json")).unwrap();
    ended(&place.apply(&[]), 0);
}

#[test]
fn destroy_leaves_nothing_and_ends_orphans() {
    let rows: [Row; 2] = [
        (
            "done",
            &[],
            &["o"],
            "mkdir -p $SKY_OUTPUTS/o/sub; echo 1 > $SKY_OUTPUTS/o/sub/f; chmod a-w $SKY_OUTPUTS/o/sub",
        ),
        (
            "long",
            &["done.o"],
            &[],
            "test -f $SKY_INPUTS/o/sub/f && touch ../../../../begun; setsid sleep 61 & sleep 60",
        ),
    ];
    let place = Place::new(&rows);
    let mut child = place.start();
    place.wait_for("begun");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.processes() >= 3);
    ended(&place.sky(&["destroy"]).output().unwrap(), 1);
    assert!(place.processes() >= 3);
    let serial = place.state().serial;
    let said = ended(&place.sky(&["destroy", "--auto-approve"]).output().unwrap(), 0);
    assert!(said.contains("stage.long attempt 1 at local, running") && said.contains("artifact done.o"), "{said}");
    assert_eq!(place.processes(), 0);
    let state = place.state();
    assert!(state.stages.is_empty() && state.artifacts.is_empty() && state.serial == serial + 1);
    for gone in ["stages", "objects", "artifacts"] {
        assert!(!place.path(".sky").join(gone).exists(), "{gone}");
    }
    let said = ended(&place.sky(&["destroy", "--auto-approve"]).output().unwrap(), 0);
    assert!(said.contains("nothing to destroy"), "{said}");
    assert_eq!(place.state().serial, serial + 1);
}

#[test]
fn a_command_is_passed_as_it_is() {
    let command = "printf '%s' 'a\"b$HOME`id`\\n ü 😀;&|<>*?' > \"$SKY_OUTPUTS/o u't\"\n# '\"` unbalanced\ntrue";
    let place = Place::new(&[("odd ü$(x)", &[], &["o u't"], command)]);
    ended(&place.apply(&[]), 0);
    assert_eq!(place.text(".sky/artifacts/odd ü$(x)/o u't"), "a\"b$HOME`id`\\n ü 😀;&|<>*?");
}

#[test]
fn all_that_is_missing_is_told_before_anything_starts() {
    let rows: [Row; 3] = [
        ("a", &["gone", "there"], &["o"], "touch ../../../../started"),
        ("b", &["a.o"], &[], ""),
        ("c", &[], &[], "true"),
    ];
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let mut bad = plan("job", &rows);
    dataset(&mut bad, "gone", Some("data/gone"));
    dataset(&mut bad, "there", Some("plan.json"));
    bad.stages[2].files.extend(["tool.sh".to_owned(), "../up".to_owned()]);
    bad.stages[2].place = PlaceName::parse("aws:eu-west-1").unwrap();
    place.write_plan(&bad);
    let said = ended(&place.apply(&["--data", "other=plan.json"]), 1);
    for words in ["dataset `gone`", "stage.b has no `run`", "`tool.sh`", "`../up`", "provider for aws", "`other`"] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert!(!place.path("started").exists() && !place.path(".sky").exists());
}

#[test]
fn datasets_files_and_stand_ins() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let rows: [Row; 1] = [("use", &["near", "far"], &["o"], "./tool.sh > $SKY_OUTPUTS/o; test ! -s $SKY_INPUTS/far")];
    let mut planned = plan("job", &rows);
    dataset(&mut planned, "near", Some("data"));
    dataset(&mut planned, "far", None);
    planned.stages[0].files.insert("tool.sh".into());
    planned.stages[0].place = PlaceName::parse("gcp:us-central1").unwrap();
    planned.stages[0].nodes = 4;
    place.write_plan(&planned);
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::write(place.path("data/x"), "content").unwrap();
    std::fs::write(place.path("tool.sh"), "#!/bin/sh\necho $SKY_JOB $SKY_STAGE $SKY_NODES; cat $SKY_INPUTS/near/x\n")
        .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("tool.sh"), mode).unwrap();
    ended(&place.apply(&[]), 1);
    let said = ended(&place.apply(&["--provider", "local"]), 0);
    assert!(said.contains("an empty file stands in") && said.contains("SKY_NODES=4"), "{said}");
    assert_eq!(place.text(".sky/artifacts/use/o"), "job use 4\ncontent");
    std::fs::write(place.path("data/x"), "changed").unwrap();
    ended(&place.apply(&["--provider", "local"]), 0);
    assert_eq!(place.text(".sky/artifacts/use/o"), "job use 4\nchanged");
    place.plan("another", &DIAMOND);
    let said = ended(&place.apply(&[]), 5);
    assert!(said.contains("state of job `job`; the plan is of job `another`"), "{said}");
}

#[test]
fn the_stream_begins_with_version_and_ends_with_the_summary() {
    let place =
        Place::new(&[("good", &[], &["o"], "echo hello; echo 1 > $SKY_OUTPUTS/o"), ("bad", &[], &[], "exit 9")]);
    let lines = |output: &Output| -> Vec<Value> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let output = place.apply(&["--json"]);
    assert_eq!(output.status.code(), Some(7));
    let stream = lines(&output);
    assert_eq!((&stream[0]["type"], &stream[0]["ui"]), (&json!("version"), &json!("1.0")));
    let last = stream.last().unwrap();
    assert_eq!(last["type"], "change_summary");
    assert_eq!((&last["changes"]["add"], &last["changes"]["failed"]), (&json!(1), &json!(1)));
    for kind in ["apply_start", "apply_progress", "apply_complete", "apply_errored", "diagnostic", "stage_log"] {
        assert!(stream.iter().any(|line| line["type"] == kind), "{kind}");
    }
    assert!(stream.iter().any(|line| line["hook"]["resource"]["addr"] == "stage.good"));
    std::fs::write(place.path("sky.state.json"), "").unwrap();
    let stream = lines(&place.apply(&["--json"]));
    assert_eq!(stream.last().unwrap()["type"], "change_summary");
    std::fs::copy(place.path("sky.state.json.backup"), place.path("sky.state.json")).unwrap();
}

#[test]
fn a_closed_pipe_does_not_stop_an_apply() {
    let place =
        Place::new(&[("a", &[], &["o"], "for i in 1 2 3; do echo $i; sleep 0.1; done; echo 1 > $SKY_OUTPUTS/o")]);
    for args in [&["apply", "plan.json", "--json"][..], &["apply", "plan.json"]] {
        let mut child = place.sky(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success());
    }
    assert!(place.path(".sky/artifacts/a/o").exists());
}

#[test]
fn odd_outputs_are_refused_with_their_name() {
    let rows: [Row; 3] = [
        ("pipe", &[], &["o"], "mkfifo $SKY_OUTPUTS/o"),
        ("out", &[], &["o"], "mkdir $SKY_OUTPUTS/o; ln -s /etc/passwd $SKY_OUTPUTS/o/p"),
        ("in", &[], &["o"], "mkdir $SKY_OUTPUTS/o; echo 1 > $SKY_OUTPUTS/o/f; ln -s f $SKY_OUTPUTS/o/l"),
    ];
    let place = Place::new(&rows);
    let said = ended(&place.apply(&[]), 7);
    assert!(said.contains("a pipe, a socket or a device") && said.contains("symbolic link to /etc/passwd"), "{said}");
    assert!(Path::new(&std::fs::read_link(place.path(".sky/artifacts/in/o/l")).unwrap()).ends_with("f"));
}
