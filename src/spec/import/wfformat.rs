//! WfFormat 1.5 of WfCommons: runs of real workflows, and workflows made after them.
//!
//! <https://github.com/wfcommons/WfFormat>; 1.6 adds only summaries that may be left out.
//!
//! | WfFormat | job |
//! | --- | --- |
//! | task | stage, named after its id |
//! | file that a task writes | artifact of that stage |
//! | file that nobody writes | dataset |
//! | parent without a file between | `after` |
//! | `runtimeInSeconds` times `coreCount` (1 if not given) | `work = { vcpu = … }`: a run time is that of all cores of the task together, so a machine with as many virtual CPUs takes just as long |
//! | `coreCount`, `memoryInBytes` | `needs` |
//!
//! `avgCPU`, `machines` and the `command` are not used: the command is the program of that run on
//! that machine, so the stages have no `run`.

use super::json::Node;
use super::lineage::{self, Lineage};
use super::{Factor, Fault, Imported, names};
use crate::model::units::div_half_even;
use crate::model::{ArtifactRef, Bytes, Dataset, Job, Millis, Needs, PlaceName, Stage, Work};
use crate::spec::table::shown;
use crate::spec::value::{LONGEST, MOST_BYTES};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Versions of the format that are read.
const VERSIONS: [&str; 2] = ["1.5", "1.6"];
/// Most virtual CPUs of one machine, in thousandths; the same as in `needs`.
const MOST_CORES: u64 = 1_000_000_000;

/// The figures that a workflow does not have and that a job needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the files lie that no task writes.
    pub at: PlaceName,
    /// A task takes its run time on any machine.
    pub fixed: bool,
    /// Virtual CPUs, in thousandths, of a task without `coreCount`.
    pub vcpu_thousandths: u64,
    /// Memory of a task without `memoryInBytes`.
    pub memory: Bytes,
    /// Times all sizes of files.
    pub scale_data: Factor,
    /// Times all run times.
    pub scale_time: Factor,
}

impl Default for Settings {
    /// Data on this machine, which every catalog has as a place; one virtual CPU a task.
    fn default() -> Self {
        let unchanged = Factor::ONE;
        let this_machine = PlaceName::here();
        Self {
            at: this_machine,
            fixed: false,
            vcpu_thousandths: 1000,
            memory: Bytes(0),
            scale_data: unchanged,
            scale_time: unchanged,
        }
    }
}

/// One task, from both halves of the file.
struct Task<'j> {
    at: String,
    id: &'j str,
    work: Work,
    needs: Needs,
}

/// Reads a workflow. An error holds every mistake in it that was found.
pub fn import(text: &str, settings: &Settings) -> Result<Imported, Vec<Fault>> {
    let json_value: Value = serde_json::from_str(text).map_err(|error| {
        vec![
            Fault::new("", format!("not JSON: {error}"))
                .hint("WfFormat is one JSON object, such as WfInstances has"),
        ]
    })?;
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let imported = read_workflow(
        &Node {
            at: String::new(),
            value: &json_value,
        },
        settings,
        &mut faults,
        &mut warnings,
    );
    match imported {
        Some(job) if faults.is_empty() => Ok(Imported { job, warnings }),
        _ => Err(faults),
    }
}

fn read_workflow(
    root: &Node<'_>,
    settings: &Settings,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Option<Job> {
    check_version(root, faults)?;
    let name = root
        .require("name", faults)
        .and_then(|name| name.text(faults));
    let workflow = root.require("workflow", faults)?;
    let specification = workflow.require("specification", faults)?;
    let execution = workflow.get("execution");
    if execution.is_none() {
        let fault = Fault::new(
            workflow.at.clone(),
            "`execution` is missing: nothing says how long the tasks run",
        );
        faults.push(fault.hint("take an instance that was run, with workflow.execution.tasks"));
    }
    let files = read_files(&specification, settings, faults);
    let listed_tasks = specification.require("tasks", faults)?.items(faults);
    if listed_tasks.is_empty() {
        if faults.is_empty() {
            faults.push(Fault::new(
                format!("{}.tasks", specification.at),
                "is empty: the workflow has no tasks",
            ));
        }
        return None;
    }
    let ran = execution?.require("tasks", faults)?.items(faults);
    let tasks = read_tasks(&listed_tasks, &ran, settings, faults, warnings);
    let nodes = lineage_nodes(&listed_tasks, &tasks, &files, faults, warnings);
    if !faults.is_empty() {
        return None;
    }
    let sizes: Vec<Bytes> = files.sizes;
    match lineage::lineage(&nodes, sizes.len()) {
        Ok(lineage) => {
            said_of_files(&lineage, &files.ids, warnings);
            let name = names::plain(name?, "workflow");
            Some(assembled_job(
                name,
                &tasks,
                &nodes,
                (&files.ids, &sizes),
                &lineage,
                settings,
            ))
        }
        Err(cycle) => {
            let ids: Vec<String> = cycle
                .iter()
                .rev()
                .map(|task| shown(tasks[*task].id))
                .collect();
            let (at, first) = (tasks[*cycle.last()?].at.clone(), ids.first()?.clone());
            let fault = Fault::new(
                at,
                format!(
                    "the tasks wait for each other: {} -> {first}",
                    ids.join(" -> ")
                ),
            );
            faults.push(fault.hint("take one step out of the cycle: a parent, a child, or a file"));
            None
        }
    }
}

fn check_version(root: &Node<'_>, faults: &mut Vec<Fault>) -> Option<()> {
    let version = root.require("schemaVersion", faults)?;
    let text = version.text(faults)?;
    if VERSIONS.contains(&text) {
        return Some(());
    }
    let fault = Fault::new(
        version.at,
        format!(
            "WfFormat `{}` is not read; known: {}",
            shown(text),
            VERSIONS.join(", ")
        ),
    );
    faults.push(fault.hint(
        "migrate it with tools/wfcommons-migrate-instance.py of WfCommons' WfFormat repository",
    ));
    None
}

/// The table of files.
#[derive(Default)]
struct Files<'j> {
    ids: Vec<&'j str>,
    sizes: Vec<Bytes>,
    index: BTreeMap<&'j str, usize>,
}

fn read_files<'j>(
    specification: &Node<'j>,
    settings: &Settings,
    faults: &mut Vec<Fault>,
) -> Files<'j> {
    let mut files = Files::default();
    for node in specification.list("files", faults) {
        let id = node.require("id", faults).and_then(|id| id.text(faults));
        let size_node = node.require("sizeInBytes", faults);
        let size_and_path = size_node.and_then(|size| Some((size.number(1, faults)?, size.at)));
        let Some(id) = id else { continue };
        // Whoever names a file with a faulty size is right all the same.
        if files.index.insert(id, files.ids.len()).is_some() {
            faults.push(Fault::new(
                format!("{}.id", node.at),
                format!("a second file is called `{}`", shown(id)),
            ));
        }
        let (bytes, at) = size_and_path.unwrap_or_default();
        let scaled_size = div_half_even(
            i128::from(bytes) * i128::from(settings.scale_data.0),
            Factor::PER_UNIT,
        );
        let valid_size = u64::try_from(scaled_size)
            .ok()
            .filter(|bytes| *bytes <= MOST_BYTES.0);
        if valid_size.is_none() {
            faults.push(Fault::new(
                at,
                "is more than 1 EB (1,000 PB), with --scale-data",
            ));
        }
        files.ids.push(id);
        files.sizes.push(Bytes(valid_size.unwrap_or_default()));
    }
    files
}

/// The tasks, in the order of the specification; incomplete if there are faults.
fn read_tasks<'j>(
    listed: &[Node<'j>],
    ran: &[Node<'j>],
    settings: &Settings,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Vec<Task<'j>> {
    let mut runs: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for node in ran {
        let Some(id) = node.require("id", faults).and_then(|id| id.text(faults)) else {
            continue;
        };
        if runs.insert(id, node.clone()).is_some() {
            faults.push(Fault::new(
                format!("{}.id", node.at),
                format!("task `{}` is listed twice", shown(id)),
            ));
        }
    }
    let mut tasks = Vec::new();
    let mut seen_ids = BTreeSet::new();
    let mut too_short = 0;
    for node in listed {
        let Some(id) = node.require("id", faults).and_then(|id| id.text(faults)) else {
            continue;
        };
        if !seen_ids.insert(id) {
            faults.push(Fault::new(
                format!("{}.id", node.at),
                format!("a second task is called `{}`", shown(id)),
            ));
            continue;
        }
        let Some(run) = runs.remove(id) else {
            let message = format!(
                "task `{}` has no entry in workflow.execution.tasks",
                shown(id)
            );
            faults.push(
                Fault::new(format!("{}.id", node.at), message).hint("its run time is needed"),
            );
            continue;
        };
        if let Some((work, needs)) = task_effort(&run, settings, &mut too_short, faults) {
            tasks.push(Task {
                at: node.at.clone(),
                id,
                work,
                needs,
            });
        }
    }
    for (id, node) in runs {
        let message = format!(
            "there is no task `{}` in workflow.specification.tasks",
            shown(id)
        );
        faults.push(Fault::new(format!("{}.id", node.at), message));
    }
    if too_short > 0 {
        let subject = counted_words(too_short, "task took", "tasks took");
        warnings.push(format!(
            "{subject} less than 1 ms: planned with 1 ms, the shortest time of a stage"
        ));
    }
    tasks
}

/// How long a task runs, and on what.
fn task_effort(
    run: &Node<'_>,
    settings: &Settings,
    short: &mut usize,
    faults: &mut Vec<Fault>,
) -> Option<(Work, Needs)> {
    const NANOSECONDS: i128 = 1_000_000_000;
    let runtime = run.require("runtimeInSeconds", faults);
    let runtime =
        runtime.and_then(|runtime| Some((runtime.number(NANOSECONDS, faults)?, runtime.at)));
    let optional = |key: &str, per_unit: i128, faults: &mut Vec<Fault>| match run.get(key) {
        Some(node) => Some((node.number(per_unit, faults)?, node.at)),
        None => Some((0, String::new())),
    };
    let cores = optional("coreCount", 1000, faults);
    let memory = optional("memoryInBytes", 1, faults);
    let ((nanoseconds, at), (cores, at_cores), (memory, at_memory)) = (runtime?, cores?, memory?);
    if cores > MOST_CORES {
        faults.push(Fault::new(at_cores, "is more than a million cores"));
    }
    if memory > MOST_BYTES.0 {
        faults.push(Fault::new(at_memory, "is more than 1 EB (1,000 PB)"));
    }
    // What is not given, or given as nothing, was not measured.
    let parallel = if cores == 0 || settings.fixed {
        1000
    } else {
        cores.min(MOST_CORES)
    };
    let total_time = i128::from(nanoseconds)
        .checked_mul(i128::from(parallel) * i128::from(settings.scale_time.0));
    let time = total_time
        .map(|total| div_half_even(total, 1000 * Factor::PER_UNIT * (NANOSECONDS / 1000)));
    let Some(time) = time
        .and_then(|time| u64::try_from(time).ok())
        .filter(|time| *time <= LONGEST.0)
    else {
        faults.push(Fault::new(
            at,
            "is longer than 10 years, times coreCount and --scale-time",
        ));
        return None;
    };
    *short += usize::from(time == 0);
    let time = Millis(time.max(1));
    let needs = Needs {
        vcpu_thousandths: if cores == 0 {
            settings.vcpu_thousandths
        } else {
            cores
        },
        memory: if memory == 0 {
            settings.memory
        } else {
            Bytes(memory)
        },
        ..Needs::default()
    };
    Some((
        if settings.fixed {
            Work::Duration(time)
        } else {
            Work::VcpuTime(time)
        },
        needs,
    ))
}

/// Who waits for whom, and who reads and writes what.
fn lineage_nodes(
    listed: &[Node<'_>],
    tasks: &[Task<'_>],
    files: &Files<'_>,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Vec<lineage::Node> {
    let ids = TaskIds {
        index: tasks
            .iter()
            .enumerate()
            .map(|(index, task)| (task.id, index))
            .collect(),
        listed: listed
            .iter()
            .filter_map(|node| node.value.get("id")?.as_str())
            .collect(),
    };
    let mut nodes: Vec<lineage::Node> = vec![lineage::Node::default(); tasks.len()];
    let (mut by_parent, mut by_child) = (BTreeSet::new(), BTreeSet::new());
    for node in listed {
        let id = node.value.get("id").and_then(Value::as_str);
        let task = id.and_then(|id| ids.index.get(id)).copied();
        let parents = ids.neighbours(node, "parents", faults);
        let children = ids.neighbours(node, "children", faults);
        if let Some(task) = task {
            by_parent.extend(parents.into_iter().map(|parent| (parent, task)));
            by_child.extend(children.into_iter().map(|child| (task, child)));
        }
        let reads = files_of(node, "inputFiles", files, faults);
        let writes = files_of(node, "outputFiles", files, faults);
        if let Some(node) = task.and_then(|task| nodes.get_mut(task)) {
            node.reads.extend(reads);
            node.writes.extend(writes);
        }
    }
    let unsure = by_parent.symmetric_difference(&by_child).count();
    if unsure > 0 {
        let subject = counted_words(
            unsure,
            "step between two tasks is",
            "steps between two tasks are",
        );
        warnings.push(format!(
            "{subject} given by `parents` alone or by `children` alone: taken all the same"
        ));
    }
    for (parent, child) in by_parent.union(&by_child) {
        nodes[*child].before.insert(*parent);
    }
    nodes
}

/// The ids of a workflow's tasks.
struct TaskIds<'j> {
    /// The number of each task that could be read.
    index: BTreeMap<&'j str, usize>,
    /// The ids of all tasks, also of those that have a fault.
    listed: BTreeSet<&'j str>,
}

impl TaskIds<'_> {
    /// Returns the numbers of the tasks that are listed under `key`.
    fn neighbours(&self, node: &Node<'_>, key: &str, faults: &mut Vec<Fault>) -> Vec<usize> {
        let Some(list) = node.require(key, faults) else {
            return Vec::new();
        };
        let mut known_neighbours = Vec::new();
        for item in list.items(faults) {
            let Some(id) = item.text(faults) else {
                continue;
            };
            match self.index.get(id) {
                Some(task) => known_neighbours.push(*task),
                // That task has a fault of its own.
                None if self.listed.contains(id) => {}
                None => {
                    let message = format!("there is no task `{}`", shown(id));
                    faults.push(Fault::new(item.at, message));
                }
            }
        }
        known_neighbours
    }
}

/// Returns the numbers of the files that a task lists under `key`.
fn files_of(node: &Node<'_>, key: &str, files: &Files<'_>, faults: &mut Vec<Fault>) -> Vec<usize> {
    let mut known_files = Vec::new();
    for item in node.list(key, faults) {
        let Some(id) = item.text(faults) else {
            continue;
        };
        match files.index.get(id) {
            Some(file) => known_files.push(*file),
            None => {
                let message = format!(
                    "there is no file `{}` in workflow.specification.files",
                    shown(id)
                );
                faults.push(Fault::new(item.at, message));
            }
        }
    }
    known_files
}

fn said_of_files(lineage: &Lineage, ids: &[&str], warnings: &mut Vec<String>) {
    const SHOWN: usize = 3;
    let mut say_files = |files: &BTreeSet<usize>, one: &str, many: &str, so: &str| {
        if files.is_empty() {
            return;
        }
        let ids: BTreeSet<&str> = files.iter().map(|file| ids[*file]).collect();
        let first_names: Vec<String> = ids.iter().take(SHOWN).map(|id| shown(id)).collect();
        let more_mark = if ids.len() > SHOWN { ", …" } else { "" };
        warnings.push(format!(
            "{} ({}{more_mark}): {so}",
            counted_words(ids.len(), one, many),
            first_names.join(", ")
        ));
    };
    let shared_files = &lineage.shared;
    let so = "who reads it gets what the last of them before it wrote, or else a dataset";
    say_files(
        shared_files,
        "file is written by several tasks",
        "files are written by several tasks",
        so,
    );
    let updated = lineage.updated.difference(shared_files).copied().collect();
    let so = "the task reads what was there before it, and writes a new artifact";
    say_files(
        &updated,
        "file is read and written by one task",
        "files are read and written by one task",
        so,
    );
}

fn counted_words(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn assembled_job(
    name: String,
    tasks: &[Task<'_>],
    nodes: &[lineage::Node],
    (ids, sizes): (&[&str], &[Bytes]),
    lineage: &Lineage,
    settings: &Settings,
) -> Job {
    let names = Names::new(tasks, nodes, ids, lineage);
    let datasets = names
        .of_versions
        .iter()
        .filter(|((_, writer), _)| writer.is_none())
        .map(|((file, _), name)| {
            let dataset = Dataset {
                at: settings.at.clone(),
                path: None,
                size: sizes[*file],
                labels: BTreeSet::new(),
            };
            (name.clone(), dataset)
        });
    let datasets = datasets.collect();
    let stages = tasks.iter().enumerate().map(|(task, body)| {
        let (reads, after) = stage_inputs(task, &nodes[task].before, lineage, &names);
        let writes = nodes[task]
            .writes
            .iter()
            .map(|file| (names.of_version(*file, Some(task)), sizes[*file]));
        let stage = Stage {
            reads,
            writes: writes.collect(),
            removes: BTreeSet::new(),
            needs: body.needs.clone(),
            work: body.work.clone(),
            run: None,
            files: BTreeSet::new(),
            nodes: 1,
            after: after.iter().map(|before| names.of_stage(*before)).collect(),
            count: 1,
            deadline: None,
            allocation: None,
            checkpoint: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            retries: None,
            without: BTreeSet::new(),
        };
        (names.of_stage(task), stage)
    });
    let stages = stages.collect();
    Job {
        name,
        datasets,
        stages,
        spread: Vec::new(),
        made: BTreeMap::new(),
        outputs: BTreeMap::new(),
    }
}

/// Names of stages and of versions of files. No two are the same: a task may read any of them
/// together.
struct Names {
    of_stages: BTreeMap<usize, String>,
    /// By the file and the task that writes this version; none wrote the version from before the
    /// workflow.
    of_versions: BTreeMap<(usize, Option<usize>), String>,
}

impl Names {
    fn new(tasks: &[Task<'_>], nodes: &[lineage::Node], ids: &[&str], lineage: &Lineage) -> Self {
        // Names follow the ids in their order, not in the order of the file.
        let mut by_id: Vec<usize> = (0..tasks.len()).collect();
        by_id.sort_by_key(|task| tasks[*task].id);
        let texts: Vec<&str> = by_id.iter().map(|task| tasks[*task].id).collect();
        let mut taken_names = BTreeSet::new();
        let of_stages = names::unique(&texts, "task", &mut taken_names);
        let of_stages = by_id.into_iter().zip(of_stages).collect();
        let mut versions: BTreeSet<(&str, Option<&str>, usize, Option<usize>)> = BTreeSet::new();
        for (task, node) in nodes.iter().enumerate() {
            let written = node.writes.iter();
            versions
                .extend(written.map(|file| (ids[*file], Some(tasks[task].id), *file, Some(task))));
            let unwritten = lineage.from[task]
                .iter()
                .filter(|(_, from)| from.is_empty());
            versions.extend(unwritten.map(|(file, _)| (ids[*file], None, *file, None)));
        }
        let texts: Vec<&str> = versions.iter().map(|version| version.0).collect();
        let of_versions = names::unique(&texts, "file", &mut taken_names);
        let of_versions = versions
            .iter()
            .map(|(_, _, file, writer)| (*file, *writer))
            .zip(of_versions)
            .collect();
        Self {
            of_stages,
            of_versions,
        }
    }

    fn of_stage(&self, task: usize) -> String {
        self.of_stages[&task].clone()
    }

    fn of_version(&self, file: usize, writer: Option<usize>) -> String {
        self.of_versions[&(file, writer)].clone()
    }
}

/// Returns what a task reads, and the tasks that it waits for without reading from them.
fn stage_inputs(
    task: usize,
    before: &BTreeSet<usize>,
    lineage: &Lineage,
    names: &Names,
) -> (BTreeSet<ArtifactRef>, BTreeSet<usize>) {
    let mut reads = BTreeSet::new();
    let mut tasks_before = before.clone();
    for (file, from) in &lineage.from[task] {
        if from.is_empty() {
            reads.insert(ArtifactRef::Dataset(names.of_version(*file, None)));
        }
        for writer in from {
            let (stage, name) = (
                names.of_stage(*writer),
                names.of_version(*file, Some(*writer)),
            );
            reads.insert(ArtifactRef::Output { stage, name });
            tasks_before.remove(writer);
        }
    }
    (reads, tasks_before)
}
