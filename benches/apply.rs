//! What an apply costs `sky` itself, by the number of stages: the whole process, on the simulated
//! cloud, with commands that do nothing.
//!
//! For jobs of 500, 1,000 and 2,000 stages (or the sizes in `SKY_APPLY_STAGES`) in layers of 20,
//! each stage reading what two of the layer before wrote. Prints a markdown table: wall time; CPU
//! time and peak memory of `sky` alone; the journal's length before it is folded into the snapshot,
//! and the snapshot's, both also per stage; and how long the ladder took to decide on the next rung
//! after a stockout in the middle of the job.

#![allow(
    clippy::disallowed_methods,
    reason = "measurements prepare files by themselves"
)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LAYER: usize = 20;

/// What was seen of one apply.
#[derive(Default)]
struct Seen {
    wall: Duration,
    /// Of the process, in clock ticks of a hundredth of a second.
    ticks: u64,
    /// Peak resident set, in KiB.
    memory: u64,
    journal: u64,
    snapshot: u64,
    /// Microseconds.
    decided: Vec<u64>,
}

fn main() {
    let sizes = std::env::var("SKY_APPLY_STAGES").unwrap_or_else(|_| "500,1000,2000".to_owned());
    // `cargo bench` says so; as a part of `cargo test` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "| stages | wall | CPU of sky | peak memory | journal | a stage | snapshot | a stage | next rung decided in |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for size in sizes.split(',').map(|size| {
        size.trim()
            .parse::<u64>()
            .expect("numbers, with commas between")
    }) {
        let seen = apply(size);
        println!(
            "| {size} | {:.1} s | {:.1} s | {} MiB | {} kB | {} B | {} kB | {} B | {:?} us |",
            seen.wall.as_secs_f64(),
            seen.ticks as f64 / 100.0,
            seen.memory / 1024,
            seen.journal / 1000,
            seen.journal / size,
            seen.snapshot / 1000,
            seen.snapshot / size,
            seen.decided,
        );
    }
}

fn job(stages: u64) -> String {
    let mut text = "name = \"layers\"\n".to_owned();
    let name = |number: usize| format!("s{number:05}");
    for number in 0..stages as usize {
        let (layer, at) = (number / LAYER, number % LAYER);
        // Neighbours write under other names, since one stage reads both.
        let output = |at: usize| if at.is_multiple_of(2) { "even" } else { "odd" };
        let read = |at: usize| {
            format!(
                "\"{}.{}\"",
                name((layer - 1) * LAYER + at % LAYER),
                output(at % LAYER)
            )
        };
        let reads = if layer == 0 {
            String::new()
        } else {
            format!("reads = [{}, {}]\n", read(at), read(at + 1))
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "[stages.{}]\nduration = \"10 m\"\nwrites = {{ {1} = \"1 MB\" }}\n{reads}run = \"echo 1 > $SKY_OUTPUTS/{1}\"\n",
            name(number),
            output(at)
        );
    }
    text
}

fn apply(stages: u64) -> Seen {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    std::fs::write(at.join("job.toml"), job(stages)).expect("a job file");
    run(at, &["plan", "--out", "plan.json"]);
    std::fs::create_dir_all(at.join("cloud")).expect("a folder");
    let middle = format!("s{:05}", stages / 2);
    let fault = format!(
        "[[faults]]\ncall = \"create\"\nstage = \"{middle}\"\ntimes = 1\nfault = \"stockout\"\n"
    );
    std::fs::write(at.join("cloud/faults.toml"), fault).expect("a file of faults");
    let began = Instant::now();
    let mut child = sky(at)
        .args([
            "apply",
            "plan.json",
            "--provider",
            "sim",
            "--json",
            "--parallelism",
            "20",
        ])
        .stdout(std::fs::File::create(at.join("out")).expect("a file"))
        .spawn()
        .expect("sky runs");
    let mut seen = Seen::default();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        let length = std::fs::metadata(at.join(".sky/journal")).map_or(0, |data| data.len());
        seen.journal = seen.journal.max(length);
        let process = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default()
        };
        let stat = process("stat");
        let fields: Vec<u64> = stat
            .split(' ')
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        seen.ticks = seen
            .ticks
            .max(fields.get(13..15).map_or(0, |times| times.iter().sum()));
        let status = process("status");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap_or_default();
        let peak = peak
            .trim()
            .trim_end_matches(" kB")
            .trim()
            .parse()
            .unwrap_or(0);
        seen.memory = seen.memory.max(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    seen.wall = began.elapsed();
    let said = std::fs::read_to_string(at.join("out")).unwrap_or_default();
    assert!(
        status.success(),
        "{}",
        said.lines().last().unwrap_or_default()
    );
    seen.snapshot = std::fs::metadata(at.join("sky.state.json")).map_or(0, |data| data.len());
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    seen.decided = lines
        .filter_map(|line| line["hook"]["decided_us"].as_u64())
        .collect();
    seen
}

fn sky(at: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command
        .current_dir(at)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    for name in ["SKY_DATA_DIR", "SKY_CATALOG", "SKY_STATE"] {
        command.env_remove(name);
    }
    command.env("SKY_SIM", at.join("cloud"));
    command
}

fn run(at: &Path, args: &[&str]) {
    let status = sky(at).args(args).status().expect("sky runs");
    assert!(status.success(), "sky {args:?}: {status}");
}
