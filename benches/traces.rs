//! How long `sky plan` takes on real workflows: the whole process, from start to exit.
//!
//! Reads all WfFormat files of the folder in `SKY_TRACES` (or the first argument that is
//! one), imports each with `sky import wfformat` at data scales 1, 10 and 100, and plans it with
//! the whole shipped catalog: without a deadline, and with deadlines 0.3 and 0.7 of the way from
//! the fastest plan to the cheapest. Prints a markdown table: the median wall time of three runs,
//! status and gap. Without a folder it does nothing. `SKY_TRACES_AT` is where the data lies
//! [aws:us-east-1], `SKY_TRACES_ONLY` a part of the names of the files to take.

#![allow(
    clippy::disallowed_methods,
    reason = "measurements prepare files by themselves"
)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 3;
const SCALES: [&str; 3] = ["1", "10", "100"];

/// What one plan says, and the wall time of the process.
struct Planned {
    time: Duration,
    stages: usize,
    status: String,
    /// In millionths.
    gap: u64,
    makespan: u64,
}

fn main() {
    // Any other argument is the filter of whoever runs all benches or tests.
    let argument = std::env::args()
        .skip(1)
        .find(|argument| Path::new(argument).is_dir());
    let Some(folder) = argument.or_else(|| std::env::var("SKY_TRACES").ok()) else {
        eprintln!("no traces: set SKY_TRACES to a folder of WfFormat files");
        return;
    };
    let only = std::env::var("SKY_TRACES_ONLY").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(&only))
        })
        .collect();
    files.sort_by_key(|path| std::fs::metadata(path).map(|data| data.len()).unwrap_or(0));
    let work = tempfile::tempdir().expect("a temporary folder");
    println!("| trace | stages | data | deadline | wall time | status | gap |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for file in &files {
        for scale in SCALES {
            rows(file, scale, work.path());
        }
    }
}

fn rows(file: &Path, scale: &str, work: &Path) {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let job = work.join("job.toml");
    let at = std::env::var("SKY_TRACES_AT").unwrap_or_else(|_| "aws:us-east-1".to_owned());
    let imported = sky()
        .args(["import", "wfformat"])
        .arg(file)
        .args([
            "--cpus",
            "2",
            "--memory",
            "4GiB",
            "--at",
            &at,
            "--scale-data",
            scale,
            "--out",
        ])
        .arg(&job)
        .status();
    if !imported.is_ok_and(|status| status.success()) {
        println!("| {name} | | x{scale} | | cannot be imported | | |");
        return;
    }
    let fastest = plan(&job, &policy(work, "minimize = \"time\"", None), 1);
    let cheapest = plan(&job, &policy(work, "minimize = \"cost\"", None), RUNS);
    row(&name, scale, "none", cheapest.as_ref());
    let (Some(fastest), Some(cheapest)) = (fastest, cheapest) else {
        return;
    };
    for (label, tenths) in [("0.3", 3), ("0.7", 7)] {
        let way = cheapest.makespan.saturating_sub(fastest.makespan);
        let deadline = fastest.makespan + way * tenths / 10;
        let policy = policy(work, "minimize = \"cost\"", Some(deadline));
        row(&name, scale, label, plan(&job, &policy, RUNS).as_ref());
    }
}

fn row(name: &str, scale: &str, deadline: &str, planned: Option<&Planned>) {
    match planned {
        Some(Planned {
            time,
            stages,
            status,
            gap,
            ..
        }) => {
            let percent = format!("{}.{:04} %", gap / 10_000, gap % 10_000);
            println!(
                "| {name} | {stages} | x{scale} | {deadline} | {:.2} s | {status} | {percent} |",
                time.as_secs_f64()
            );
        }
        None => println!("| {name} | | x{scale} | {deadline} | no plan | | |"),
    }
    // A table that is watched while it grows.
    let _ = std::io::stdout().flush();
}

fn policy(work: &Path, objective: &str, deadline_ms: Option<u64>) -> PathBuf {
    let path = work.join("policy.toml");
    let limits = deadline_ms.map_or(String::new(), |ms| {
        format!("[limits]\ndeadline = \"{ms} ms\"\n")
    });
    std::fs::write(&path, format!("[objective]\n{objective}\n{limits}")).expect("a policy file");
    path
}

fn sky() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command.stderr(Stdio::null());
    command
}

/// The plan, with the median wall time of so many runs.
fn plan(job: &Path, policy: &Path, runs: usize) -> Option<Planned> {
    let mut times = Vec::new();
    let mut output = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let done = sky()
            .arg("plan")
            .arg(job)
            .arg("--policy")
            .arg(policy)
            .arg("--json")
            .output()
            .ok()?;
        times.push(start.elapsed());
        if !done.status.success() {
            return None;
        }
        output = done.stdout;
    }
    times.sort();
    let text = String::from_utf8(output).ok()?;
    let plan: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
    Some(Planned {
        time: times[times.len() / 2],
        stages: plan["stages"].as_array()?.len(),
        status: plan["solver"]["status"].as_str()?.to_owned(),
        gap: plan["solver"]["gap"].as_u64()?,
        makespan: plan["totals"]["makespan_ms"].as_u64()?,
    })
}
