//! What it costs to keep an artifact of many small files: put into the store of the state folder,
//! and copied for its reader.
//!
//! For 2,000 and 20,000 files of 1 KiB (or the numbers in `SKY_ARTIFACT_FILES`) in folders of 100.
//! Prints a markdown table: putting them into the store, which syncs them once; the same with one
//! sync for each file, as it was done before; looking whether what is there is whole; copying them
//! for a reader.

#![allow(
    clippy::disallowed_methods,
    reason = "measurements prepare files by themselves"
)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use sky::execution::storage::Objects;
use sky::util::interruptible::Bounds;
use sky::util::tree::{self, Links, Sharing};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let sizes = std::env::var("SKY_ARTIFACT_FILES").unwrap_or_else(|_| "2000,20000".to_owned());
    // `cargo bench` says so; as a part of `cargo test` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| files | put | put, synced one by one | check | copy for a reader |");
    println!("| --- | --- | --- | --- | --- |");
    for size in sizes.split(',').map(|size| {
        size.trim()
            .parse::<usize>()
            .expect("numbers, with commas between")
    }) {
        // Not a folder in memory: what is measured is the disk.
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let artifact = folder.path().join("artifact");
        write(&artifact, size);
        let objects = Objects::at(folder.path().join("objects"));
        let (measured, put) = timed(|| objects.put(&artifact).expect("an object"));
        let (_, one_by_one) = timed(|| synced_one_by_one(&artifact, &folder.path().join("before")));
        let (_, check) = timed(|| {
            objects
                .check(&measured.digest, measured.kind, &Bounds::default())
                .expect("a look")
        });
        let object = objects.path(&measured.digest, measured.kind);
        let (_, copy) = timed(|| {
            tree::copy(
                &object,
                &folder.path().join("copy"),
                Links::Keep,
                Sharing::Own,
            )
            .expect("a copy");
        });
        println!("| {size} | {put:.2?} | {one_by_one:.2?} | {check:.2?} | {copy:.2?} |");
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

fn write(folder: &Path, size: usize) {
    for number in 0..size {
        let below = folder.join(format!("{:04}", number / 100));
        if number.is_multiple_of(100) {
            std::fs::create_dir_all(&below).expect("a folder");
        }
        std::fs::write(below.join(format!("{number}")), format!("{number:01024}")).expect("a file");
    }
}

/// A copy, and a sync of each of its files.
fn synced_one_by_one(from: &Path, to: &Path) {
    tree::copy(from, to, Links::Keep, Sharing::ReadOnly).expect("a copy");
    tree::measure(to, Links::Keep).expect("a digest");
    tree::visit(to, Links::Keep, &mut |_, path, _, _| {
        std::fs::File::open(path)?.sync_all()
    })
    .expect("a sync");
}
