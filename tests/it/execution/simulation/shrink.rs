//! Makes a case that fails smaller, for as long as it fails.

use super::case::Case;
use super::drama::play;
use std::path::Path;

/// How often a smaller case is tried.
const TRIES: usize = 400;

/// The kind of what is wrong: its words without what is of one case.
pub(super) fn kind(wrong: &str) -> String {
    wrong
        .chars()
        .take_while(|letter| *letter != ':')
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}

/// A case as small as can be found in which the same kind of thing goes wrong.
pub(super) fn shrink(case: &Case, wanted: &str, scratch: &Path) -> Case {
    let mut best = case.clone();
    let mut tries = 0;
    loop {
        let smaller = candidates(&best).into_iter().find(|candidate| {
            tries += 1;
            let folder = scratch.join(format!("try-{tries}"));
            std::fs::create_dir_all(&folder).unwrap();
            let fails = tries < TRIES
                && play(candidate, &folder, false)
                    .wrongs
                    .iter()
                    .any(|wrong| kind(wrong) == wanted);
            let _ = std::fs::remove_dir_all(&folder);
            fails
        });
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    for number in (0..case.runs.len()).filter(|_| case.runs.len() > 1) {
        add(&|case| {
            case.runs.remove(number);
        });
    }
    for number in (0..case.stages.len()).filter(|_| case.stages.len() > 1) {
        add(&|case| {
            let gone = case.stages.remove(number).name + ".";
            case.stages
                .iter_mut()
                .for_each(|stage| stage.reads.retain(|read| !read.starts_with(&gone)));
        });
    }
    for trouble in case.troubles.clone() {
        add(&|case| {
            case.troubles.remove(&trouble);
        });
    }
    for number in 0..case.runs.len() {
        let run = &case.runs[number];
        if run.kill_after_ms.is_some() {
            add(&|case| case.runs[number].kill_after_ms = None);
        }
        if run.signal_after_ms.is_some() {
            add(&|case| case.runs[number].signal_after_ms = None);
        }
        if run.pause_ms.is_some() {
            add(&|case| case.runs[number].pause_ms = None);
        }
        if run.kill_in_snapshot.is_some() {
            add(&|case| case.runs[number].kill_in_snapshot = None);
        }
        if run.parallelism.is_some() {
            add(&|case| case.runs[number].parallelism = None);
        }
        if run.overlap_ms.is_some() {
            add(&|case| case.runs[number].overlap_ms = None);
        }
    }
    for number in 0..case.stages.len() {
        let stage = &case.stages[number];
        if stage.fails_first > 0 {
            add(&|case| case.stages[number].fails_first = 0);
        }
        if stage.oversized {
            add(&|case| case.stages[number].oversized = false);
        }
        if !case.stages[number].others.is_empty() {
            add(&|case| case.stages[number].others.clear());
        }
        for read in case.stages[number].reads.clone() {
            add(&|case| {
                case.stages[number].reads.remove(&read);
            });
        }
    }
    if case.staging_in_buckets {
        add(&|case| case.staging_in_buckets = false);
    }
    if case.in_bucket && case.runs.iter().all(|run| run.machine == 0) {
        add(&|case| case.in_bucket = false);
    }
    if case.budget.is_some() {
        add(&|case| case.budget = None);
    }
    all
}
