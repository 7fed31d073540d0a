//! `--time-limit` is kept, also by what planning does before and after its searches.

use crate::support::sandbox::{Sandbox, stderr};
use std::fmt::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const LIMIT: u64 = 3;

/// Ten layers of twenty stages, each of which reads three outputs of the layer before, on machines
/// of many kinds.
fn hard_job() -> String {
    let needs = [
        "cpus = 4",
        "cpus = 16, memory = \"64 GiB\"",
        "accelerators = [\"T4\", \"L4\"]",
        "memory = \"32 GiB\"",
        "accelerators = [\"A100-80GB\", \"H100\"]",
    ];
    let mut text = "name = \"hard\"\n".to_owned();
    for (number, at) in ["aws:eu-west-1", "gcp:us-central1", "azure:westeurope"]
        .into_iter()
        .enumerate()
    {
        let _ = writeln!(
            text,
            "[datasets.d{number}]\nat = \"{at}\"\nsize = \"{} GB\"",
            200 + 300 * number
        );
    }
    for stage in 0..200_usize {
        let (layer, place) = (stage / 20, stage % 20);
        let reads: Vec<String> = match layer {
            0 => vec![format!("\"d{}\"", stage % 3)],
            _ => [0, 7, 13]
                .map(|step| 20 * (layer - 1) + (place * 3 + step) % 20)
                .map(|from| format!("\"s{from}.o{from}\""))
                .to_vec(),
        };
        let kind = needs[(stage * 7 + layer) % needs.len()];
        let time = match kind.contains("accelerators") {
            true => format!("duration = \"{} m\"", 20 + stage * 37 % 100),
            false => format!("work = {{ vcpu = \"{} h\" }}", 20 + stage * 53 % 380),
        };
        let _ = writeln!(
            text,
            "[stages.s{stage}]\nreads = [{}]\nwrites = {{ o{stage} = \"{} GB\" }}\nneeds = {{ {kind} }}\n{time}",
            reads.join(", "),
            [1, 10, 50, 120][stage % 4]
        );
    }
    text
}

/// Runs `sky` to its end: how it ended, and for how long it ran. Where other processes share the
/// machine it is the time of the processor that counts: waiting for it is no work.
fn timed(sandbox: &Sandbox, args: &[&str]) -> (Output, Duration) {
    let sky = sandbox.sky(args);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "\"$@\"; code=$?; times > times; exit $code", "sh"])
        .arg(sky.get_program())
        .args(sky.get_args())
        .current_dir(sandbox.path(""))
        .env_clear()
        .stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.output().unwrap();
    let took = begun.elapsed();
    // User and system time of what the shell has run: `0m16.363s 0m0.051s`.
    let times = sandbox.read("times");
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        60.0 * minutes.parse::<f64>().unwrap() + seconds.parse::<f64>().unwrap()
    };
    let worked = times.lines().last().unwrap().split(' ').map(seconds).sum();
    (output, took.min(Duration::from_secs_f64(worked)))
}

#[test]
fn a_large_job_with_a_deadline_is_planned_within_its_time_limit() {
    let sandbox = Sandbox::new();
    sandbox.write("job.toml", &hard_job());
    for deadline in ["200 h", "40 h", "10 h"] {
        sandbox.write(
            "policy.toml",
            &format!("[limits]\ndeadline = \"{deadline}\"\n"),
        );
        let limit = LIMIT.to_string();
        let (output, took) = timed(&sandbox, &["plan", "--time-limit", &limit]);
        let said = stderr(&output);
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{deadline}: {said}"
        );
        assert!(
            took < Duration::from_secs(2 * LIMIT + 5),
            "{deadline}: {took:?}\n{said}"
        );
    }
}
