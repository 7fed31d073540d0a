//! How long planning takes: the BERT job on the whole shipped catalog.
//!
//! `plan/process` is what a user waits for: the `sky` binary from start to exit, warm file cache.
//! `load/…` is the catalog alone: the built-in one and the same as a folder of text, in this
//! process and (`process`) with all that a start of `sky catalog show` takes. It is to be under 60
//! ms.

#![allow(
    clippy::disallowed_methods,
    reason = "measurements prepare files by themselves"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use sky::catalog::load;
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};
use sky::spec;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/bert")
        .join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn plan(criterion: &mut Criterion) {
    let (Ok(job), Ok(policy), Ok(catalog)) = (
        spec::job::parse("job.toml", &fixture("job.toml")),
        spec::policy::parse("policy.toml", &fixture("policy.toml")),
        load::shipped(),
    ) else {
        panic!("the fixtures are not valid");
    };
    let settings = |compare| Settings {
        effort: Effort::default(),
        compare,
    };
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(20);
    group.bench_function("bert", |bench| {
        bench.iter(|| {
            black_box(planning::plan(
                &job.value,
                &policy.value,
                &catalog,
                &settings(false),
            ))
        });
    });
    group.bench_function("bert, compared with single clouds", |bench| {
        bench.iter(|| {
            black_box(planning::plan(
                &job.value,
                &policy.value,
                &catalog,
                &settings(true),
            ))
        });
    });
    group.bench_function("process", |bench| {
        let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bert/job.toml");
        bench.iter(|| {
            let status = Command::new(env!("CARGO_BIN_EXE_sky"))
                .args(["plan", &job.display().to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(status.is_ok_and(|status| status.success()));
        });
    });
    group.finish();
}

/// Runs `sky` to its end.
fn run(args: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_sky"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

fn loading(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    let text = folder.display().to_string();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20);
    group.bench_function("built-in", |bench| {
        bench.iter(|| black_box(load::shipped()))
    });
    group.bench_function("folder", |bench| {
        bench.iter(|| black_box(load::directory(&folder)))
    });
    group.bench_function("process, built-in", |bench| {
        bench.iter(|| run(&["catalog", "show"]))
    });
    group.bench_function("process, folder", |bench| {
        bench.iter(|| run(&["catalog", "show", "--catalog", &text]))
    });
    group.finish();
}

criterion_group!(benches, loading, plan);
criterion_main!(benches);
