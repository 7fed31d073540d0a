//! Which version of a file a task reads, when more than one task writes it or a task reads what
//! it also writes.

use std::collections::{BTreeMap, BTreeSet};

/// The files that one task reads and writes, by index, and the tasks that it waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub before: BTreeSet<usize>,
    pub reads: BTreeSet<usize>,
    pub writes: BTreeSet<usize>,
}

/// Who writes what everybody reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Lineage {
    /// By task and file that it reads: the tasks whose version it gets; none: the file as it was
    /// before the workflow.
    pub from: Vec<BTreeMap<usize, BTreeSet<usize>>>,
    /// Files that several tasks write.
    pub shared: BTreeSet<usize>,
    /// Files that a task reads and writes.
    pub updated: BTreeSet<usize>,
}

/// Finds out. An error is a cycle: each task of it waits for the next, and the last for the first.
///
/// A file with one writer, which does not read it, is read from that writer. Of any other file a
/// task gets what the last of its writers before it wrote; with none before it, the file as it
/// was before the workflow.
pub(super) fn lineage(tasks: &[Node], files: usize) -> Result<Lineage, Vec<usize>> {
    let mut writers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); files];
    let mut found = Lineage::default();
    for (task, node) in tasks.iter().enumerate() {
        for file in &node.writes {
            writers[*file].insert(task);
        }
        found.updated.extend(node.reads.intersection(&node.writes));
    }
    found.shared = (0..files).filter(|file| writers[*file].len() > 1).collect();
    let written_once = |file: &usize| !found.shared.contains(file) && !found.updated.contains(file);
    let tasks_before: Vec<BTreeSet<usize>> = tasks
        .iter()
        .map(|node| {
            let by_file = node
                .reads
                .iter()
                .filter(|file| written_once(file))
                .flat_map(|file| writers[*file].iter());
            node.before.iter().chain(by_file).copied().collect()
        })
        .collect();
    let position = task_positions(&tasks_before)?;
    found.from = tasks
        .iter()
        .enumerate()
        .map(|(task, node)| {
            let special = node.reads.iter().any(|file| !written_once(file));
            let mut earlier = vec![false; if special { tasks.len() } else { 0 }];
            if special {
                mark_earlier(&tasks_before, task, &mut earlier);
            }
            let writers_before = |file: &usize| match written_once(file) {
                true => writers[*file].clone(),
                false => last_tasks(
                    writers[*file]
                        .iter()
                        .copied()
                        .filter(|writer| earlier[*writer]),
                    &tasks_before,
                    &position,
                ),
            };
            node.reads
                .iter()
                .map(|file| (*file, writers_before(file)))
                .collect()
        })
        .collect();
    Ok(found)
}

/// Returns the tasks that come before no other one of them.
fn last_tasks(
    writers: impl Iterator<Item = usize>,
    tasks_before: &[BTreeSet<usize>],
    position: &[usize],
) -> BTreeSet<usize> {
    let mut writers: Vec<usize> = writers.collect();
    if writers.len() < 2 {
        return writers.into_iter().collect();
    }
    writers.sort_by_key(|writer| std::cmp::Reverse(position[*writer]));
    let mut covered = vec![false; tasks_before.len()];
    let mut last_writers = BTreeSet::new();
    for writer in writers {
        if !covered[writer] {
            last_writers.insert(writer);
            mark_earlier(tasks_before, writer, &mut covered);
        }
    }
    last_writers
}

/// Marks all that `task` waits for, itself not included.
fn mark_earlier(tasks_before: &[BTreeSet<usize>], task: usize, marked: &mut [bool]) {
    let mut open_tasks = vec![task];
    while let Some(task) = open_tasks.pop() {
        for earlier in &tasks_before[task] {
            if !std::mem::replace(&mut marked[*earlier], true) {
                open_tasks.push(*earlier);
            }
        }
    }
}

/// By task: its position in an order in which everything comes after what it waits for.
fn task_positions(tasks_before: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting_counts: Vec<usize> = tasks_before.iter().map(BTreeSet::len).collect();
    let mut tasks_after: Vec<Vec<usize>> = vec![Vec::new(); tasks_before.len()];
    for (task, earlier) in tasks_before.iter().enumerate() {
        for earlier in earlier {
            tasks_after[*earlier].push(task);
        }
    }
    let mut order: Vec<usize> = (0..tasks_before.len())
        .filter(|task| waiting_counts[*task] == 0)
        .collect();
    let mut position = vec![usize::MAX; tasks_before.len()];
    let mut next_task = 0;
    while let Some(task) = order.get(next_task).copied() {
        position[task] = next_task;
        next_task += 1;
        for later in &tasks_after[task] {
            waiting_counts[*later] -= 1;
            if waiting_counts[*later] == 0 {
                order.push(*later);
            }
        }
    }
    let Some(mut unreached) = position.iter().position(|position| *position == usize::MAX) else {
        return Ok(position);
    };
    // Whoever was not reached waits for another one that was not: going on, we meet one again.
    let mut walk: Vec<usize> = Vec::new();
    let mut place_in_walk: Vec<Option<usize>> = vec![None; tasks_before.len()];
    loop {
        if let Some(first_visit) = place_in_walk[unreached] {
            return Err(walk.split_off(first_visit));
        }
        place_in_walk[unreached] = Some(walk.len());
        walk.push(unreached);
        let earlier = tasks_before[unreached]
            .iter()
            .find(|earlier| position[**earlier] == usize::MAX);
        match earlier {
            Some(earlier) => unreached = *earlier,
            None => return Err(walk),
        }
    }
}
