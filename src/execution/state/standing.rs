//! Whether a stage is done, by the content of all that it works on.
//!
//! One function decides, [`Content::is_of`]: an apply asks it with digests that it has just read, a
//! preview ([`preview`]) with those that the plan names. So what `sky plan` says is what
//! `sky apply` does.

use super::data::{Artifact, StageRecord, State, Status};
use crate::model::{ArtifactRef, Stage, canonical};
use crate::plan::{Contents, Plan, PlannedStage};
use crate::util::hash;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The work that a plan or a job gives to a stage, wherever it runs.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The command; `None` if the stage can only be planned.
    pub run: Option<&'a str>,
    /// The datasets and outputs that the stage reads.
    pub reads: &'a BTreeSet<ArtifactRef>,
    /// The paths of files and folders that the stage gets.
    pub files: &'a BTreeSet<String>,
    /// The number of machines.
    pub nodes: u32,
    env: &'a BTreeMap<String, String>,
    writes: Outputs<'a>,
}

/// The names of a stage's outputs are the keys of this map.
type Outputs<'a> = &'a BTreeMap<String, crate::model::Bytes>;

impl<'a> From<&'a PlannedStage> for Work<'a> {
    fn from(stage: &'a PlannedStage) -> Self {
        let (run, nodes) = (stage.run.as_deref(), stage.nodes);
        Self {
            run,
            reads: &stage.reads,
            files: &stage.files,
            nodes,
            env: &stage.env,
            writes: &stage.writes,
        }
    }
}

impl<'a> From<&'a Stage> for Work<'a> {
    fn from(stage: &'a Stage) -> Self {
        let (run, nodes) = (stage.run.as_deref(), stage.nodes);
        Self {
            run,
            reads: &stage.reads,
            files: &stage.files,
            nodes,
            env: &stage.env,
            writes: &stage.writes,
        }
    }
}

/// Returns the names under which a command finds its inputs: the last part of each, or all of it
/// where two would be the same.
pub fn input_names(reads: &BTreeSet<ArtifactRef>) -> BTreeMap<&ArtifactRef, String> {
    let mut taken_names: BTreeMap<&str, usize> = BTreeMap::new();
    reads
        .iter()
        .for_each(|read| *taken_names.entry(read.file_name()).or_default() += 1);
    let name = |read: &ArtifactRef| {
        let short_name = read.file_name();
        if taken_names.get(short_name).is_some_and(|count| *count > 1) {
            read.to_string()
        } else {
            short_name.to_owned()
        }
    };
    reads.iter().map(|read| (read, name(read))).collect()
}

/// The digests of what a stage works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The digest of the work: command, number of nodes, names of inputs, outputs and files as the
    /// command sees them.
    pub definition: String,
    /// The digest of the work and of the content of all inputs and files; `None`: some content
    /// could not be read.
    pub fingerprint: Option<String>,
    /// The two digests in the form that states had before inputs counted by the names that the
    /// command sees.
    former: (String, Option<String>),
}

impl Content {
    /// Digests the work with all that it works on. `input` and `file` give digests of content, or
    /// none where it cannot be read.
    pub fn new(
        work: Work<'_>,
        input: impl Fn(&ArtifactRef) -> Option<String>,
        file: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let names = input_names(work.reads);
        let inputs = names
            .iter()
            .map(|(read, name)| Some((format!("input {name}"), input(read)?)));
        let files = work
            .files
            .iter()
            .map(|name| Some((format!("file {name}"), file(name)?)));
        let digests: Option<BTreeMap<String, String>> = inputs.chain(files).collect();
        let fingerprint = |definition: &str| {
            let mut digests = digests.clone()?;
            digests.insert("definition".to_owned(), definition.to_owned());
            Some(digest_of(&json!(digests)))
        };
        let writes: Vec<&String> = work.writes.keys().collect();
        let seen_names: BTreeSet<&String> = names.values().collect();
        let mut definition = json!({ "run": work.run, "inputs": seen_names, "writes": writes, "files": work.files, "nodes": work.nodes });
        let mut former_definition = json!({ "run": work.run, "reads": work.reads, "writes": writes, "files": work.files, "nodes": work.nodes });
        // Stages without plain variables have the digests that they had before there were any.
        if !work.env.is_empty() {
            definition["env"] = json!(work.env);
            former_definition["env"] = json!(work.env);
        }
        let (definition, former) = (digest_of(&definition), digest_of(&former_definition));
        let fingerprints = (fingerprint(&definition), fingerprint(&former));
        Self {
            definition,
            fingerprint: fingerprints.0,
            former: (former, fingerprints.1),
        }
    }

    /// Whether a record is about work on just this content. Where content could not be read, the
    /// work alone counts.
    pub fn is_of(&self, record: &StageRecord) -> bool {
        let same_fingerprint = match (&self.fingerprint, &self.former.1) {
            (Some(now), former) => {
                record.fingerprint == *now || Some(&record.fingerprint) == former.as_ref()
            }
            (None, _) => self.is_work_of(record),
        };
        same_fingerprint || record.imported()
    }

    /// Whether a record is about the same work, on whatever content.
    pub fn is_work_of(&self, record: &StageRecord) -> bool {
        record.definition == self.definition
            || record.definition == self.former.0
            || record.imported()
    }
}

fn digest_of(value: &serde_json::Value) -> String {
    hash::digest(canonical::text_of_value(value).as_bytes()).into()
}

/// How a stage stands before an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The stage is done with the same content: an apply leaves it as it is.
    Done,
    /// The stage is not done yet.
    New,
    /// The stage is done, and runs again for this reason.
    Again(Reason),
}

/// Why a stage that is done runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The job gives it other work.
    Work,
    /// A dataset, a file or an output that it reads has other content.
    Content,
    /// A stage that it reads from runs again; it is left as it is if that writes the same as
    /// before.
    Inputs,
    /// The outputs of the stage are not there any more, and some stage reads them.
    Outputs,
}

impl Reason {
    /// The reason as a word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Work => "work_changed",
            Reason::Content => "content_changed",
            Reason::Inputs => "inputs_run_again",
            Reason::Outputs => "outputs_missing",
        }
    }
}

/// The steps that an apply would take by the state as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// How every stage of the plan stands.
    pub stages: BTreeMap<String, Standing>,
    /// Stages that the plan does not have and of which something may still run: an apply ends them.
    pub removed: BTreeSet<String>,
    /// Stages that count as done although some of what they read is not on this machine and was not
    /// compared.
    pub unread: BTreeSet<String>,
}

impl Preview {
    /// How many stages an apply runs for the first time.
    pub fn added(&self) -> usize {
        self.stages
            .values()
            .filter(|standing| **standing == Standing::New)
            .count()
    }

    /// How many stages an apply runs again.
    pub fn changed(&self) -> usize {
        self.stages
            .values()
            .filter(|standing| matches!(standing, Standing::Again(_)))
            .count()
    }

    /// How many stages an apply leaves as they are.
    pub fn unchanged(&self) -> usize {
        self.stages
            .values()
            .filter(|standing| **standing == Standing::Done)
            .count()
    }

    /// How many stages run again only if what they read comes out different.
    pub fn undecided(&self) -> usize {
        self.stages
            .values()
            .filter(|standing| **standing == Standing::Again(Reason::Inputs))
            .count()
    }

    /// Whether an apply has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.added() + self.changed() + self.removed.len() == 0
    }
}

/// Looks at the state as an apply of the plan would. `present` says whether the store of this
/// machine has an output.
pub fn preview(state: Option<&State>, plan: &Plan, present: &dyn Fn(&Artifact) -> bool) -> Preview {
    let planned: BTreeSet<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let own_state = state.filter(|state| state.job.as_deref().is_none_or(|job| job == plan.job));
    let Some(state) = own_state else {
        let stages = plan
            .stages
            .iter()
            .map(|stage| (stage.name.clone(), Standing::New));
        return Preview {
            stages: stages.collect(),
            ..Preview::default()
        };
    };
    let works: BTreeMap<&str, (Work<'_>, BTreeSet<&str>)> = plan
        .stages
        .iter()
        .map(|stage| {
            (
                stage.name.as_str(),
                (Work::from(stage), waits(&stage.reads, &stage.after)),
            )
        })
        .collect();
    let live = state
        .stages
        .iter()
        .filter(|(name, record)| record.live && !planned.contains(name.as_str()));
    let removed = live.map(|(name, _)| name.clone()).collect();
    Preview {
        removed,
        ..look(state, &works, &plan.contents, present)
    }
}

/// The stages that a stage waits for, by data or by order.
pub(super) fn waits<'a>(
    reads: &'a BTreeSet<ArtifactRef>,
    after: &'a BTreeSet<String>,
) -> BTreeSet<&'a str> {
    let by_data = reads.iter().filter_map(|read| match read {
        ArtifactRef::Output { stage, .. } => Some(stage.as_str()),
        ArtifactRef::Dataset(_) => None,
    });
    by_data.chain(after.iter().map(String::as_str)).collect()
}

/// How each of some stages stands, given its work and the stages that it waits for.
pub(super) fn look(
    state: &State,
    works: &BTreeMap<&str, (Work<'_>, BTreeSet<&str>)>,
    contents: &Contents,
    present: &dyn Fn(&Artifact) -> bool,
) -> Preview {
    let order = in_order(works);
    let mut readers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, (work, _)) in works {
        work.reads
            .iter()
            .for_each(|read| readers.entry(read.to_string()).or_default().push(name));
    }
    // What was deleted when all had read it is made again if somebody has to read it again.
    let mut remade: BTreeSet<&str> = BTreeSet::new();
    loop {
        let mut preview = Preview::default();
        for name in &order {
            let Some((work, _)) = works.get(name) else {
                continue;
            };
            let (standing, read) =
                stage_standing(state, name, *work, contents, &preview, (present, &remade));
            if standing == Standing::Done && !read {
                preview.unread.insert((*name).to_owned());
            }
            preview.stages.insert((*name).to_owned(), standing);
        }
        let runs = |reader: &&str| {
            preview
                .stages
                .get(*reader)
                .is_some_and(|standing| *standing != Standing::Done)
        };
        let is_needed = |name: &&str| {
            let is_done = preview.stages.get(*name) == Some(&Standing::Done);
            let outputs = works
                .get(*name)
                .into_iter()
                .flat_map(|(work, _)| work.writes.keys());
            is_done
                && outputs
                    .map(|output| format!("{name}.{output}"))
                    .any(|output| {
                        let is_gone = state
                            .artifacts
                            .get(&output)
                            .is_some_and(|one| one.away && one.staged.is_empty());
                        is_gone
                            && readers
                                .get(&output)
                                .is_some_and(|readers| readers.iter().any(runs))
                    })
        };
        let needed_stages: Vec<&str> = order.iter().copied().filter(is_needed).collect();
        if needed_stages.is_empty() {
            return preview;
        }
        remade.extend(needed_stages);
    }
}

/// Whether an output is where it should be, and the stages that are to be made again whatever they
/// have.
type Present<'a> = (&'a dyn Fn(&Artifact) -> bool, &'a BTreeSet<&'a str>);

/// How one stage stands, once it is known of those that it waits for; and whether all that it reads
/// was compared.
fn stage_standing(
    state: &State,
    name: &str,
    work: Work<'_>,
    contents: &Contents,
    earlier_stages: &Preview,
    (present, remade): Present<'_>,
) -> (Standing, bool) {
    let Some(record) = state
        .stages
        .get(name)
        .filter(|record| record.status == Status::Done)
    else {
        return (Standing::New, true);
    };
    let input = |read: &ArtifactRef| match read {
        ArtifactRef::Dataset(dataset) => contents
            .datasets
            .get(dataset)
            .map(|content| content.digest.to_string()),
        ArtifactRef::Output { .. } => state
            .artifacts
            .get(&read.to_string())
            .map(|artifact| artifact.digest.to_string()),
    };
    let file = |name: &str| contents.files.get(name).map(|content| content.as_file());
    let content = Content::new(work, input, file);
    let runs = |read: &ArtifactRef| match read {
        ArtifactRef::Output { stage, .. } => earlier_stages
            .stages
            .get(stage)
            .is_some_and(|standing| *standing != Standing::Done),
        ArtifactRef::Dataset(_) => false,
    };
    let has_output = |output: &String| {
        let artifact = state.artifacts.get(&format!("{name}.{output}"));
        artifact.is_some_and(|artifact| {
            artifact.away || !artifact.staged.is_empty() || present(artifact)
        })
    };
    let standing = match () {
        () if !content.is_work_of(record) => Standing::Again(Reason::Work),
        () if remade.contains(name) || !work.writes.keys().all(has_output) => {
            Standing::Again(Reason::Outputs)
        }
        () if work.reads.iter().any(runs) => Standing::Again(Reason::Inputs),
        () if !content.is_of(record) => Standing::Again(Reason::Content),
        () => Standing::Done,
    };
    (standing, content.fingerprint.is_some())
}

/// The names of stages so that each comes after those that it waits for; those on a circle come
/// last.
fn in_order<'a>(works: &BTreeMap<&'a str, (Work<'_>, BTreeSet<&'a str>)>) -> Vec<&'a str> {
    let mut waiting_counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for (name, (_, before)) in works {
        let known_before = before.iter().filter(|before| works.contains_key(**before));
        known_before
            .clone()
            .for_each(|before| followers.entry(before).or_default().push(name));
        waiting_counts.insert(name, known_before.count());
    }
    let mut order: Vec<&'a str> = works
        .keys()
        .copied()
        .filter(|name| waiting_counts.get(name) == Some(&0))
        .collect();
    let mut next_index = 0;
    while let Some(name) = order.get(next_index).copied() {
        next_index += 1;
        for follower in followers.get(name).into_iter().flatten() {
            let Some(count) = waiting_counts.get_mut(follower) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                order.push(follower);
            }
        }
    }
    let reached_stages: BTreeSet<&str> = order.iter().copied().collect();
    order.extend(
        works
            .keys()
            .copied()
            .filter(|name| !reached_stages.contains(name)),
    );
    order
}
