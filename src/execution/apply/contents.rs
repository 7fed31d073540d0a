//! Where the datasets and files of a job are on this machine, and the digests of their content.
//!
//! A plan names content by digest as far as the machine that plans can read it; an apply reads it
//! again. Both look at the same places and digest in the same way.

use crate::model::{ArtifactRef, Job};
use crate::plan::{ContentDigest, Contents, Plan};
use crate::util::digests::Digests;
use crate::util::interruptible::Bounds;
use crate::util::tree::{self, Links, Measured};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where datasets and files may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The current folder.
    pub here: PathBuf,
    /// The folder of the plan or of the job.
    pub folder: PathBuf,
    /// In place of both.
    pub source: Option<PathBuf>,
    /// Datasets given by hand, relative to the current folder.
    pub data: BTreeMap<String, PathBuf>,
}

impl Sources {
    /// Returns where a dataset may be: where it was given by hand, else at its path; nowhere if it
    /// has neither.
    pub fn dataset(&self, name: &str, path: Option<&str>) -> Vec<PathBuf> {
        match self.data.get(name) {
            Some(given) => vec![self.here.join(given)],
            None => path.map(|path| self.path(path)).unwrap_or_default(),
        }
    }

    /// Returns where a path of the job may be: in the folder given for that, else beside the plan
    /// or the job, else in the current folder.
    pub fn path(&self, path: &str) -> Vec<PathBuf> {
        match &self.source {
            Some(source) => vec![self.here.join(source).join(path)],
            None => {
                let (beside, here) = (self.folder.join(path), self.here.join(path));
                if beside == here {
                    vec![beside]
                } else {
                    vec![beside, here]
                }
            }
        }
    }
}

/// What is read of a machine: datasets with their paths, and files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The datasets, each with its path if the job gives one.
    pub datasets: BTreeMap<String, Option<String>>,
    /// The paths of files and folders.
    pub files: BTreeSet<String>,
}

impl Wanted {
    /// Returns what the stages of a job read.
    pub fn of_job(job: &Job) -> Self {
        let reads = job.stages.values().flat_map(|stage| &stage.reads);
        let path = |name: &str| {
            job.datasets
                .get(name)
                .and_then(|dataset| dataset.path.clone())
        };
        let files = job
            .stages
            .values()
            .flat_map(|stage| stage.files.iter().cloned());
        Self {
            datasets: named_inputs(reads, path),
            files: files.collect(),
        }
    }

    /// Returns what the stages of a plan read.
    pub fn of_plan(plan: &Plan) -> Self {
        let reads = plan.stages.iter().flat_map(|stage| &stage.reads);
        let path = |name: &str| {
            plan.datasets
                .get(name)
                .and_then(|dataset| dataset.path.clone())
        };
        let files = plan
            .stages
            .iter()
            .flat_map(|stage| stage.files.iter().cloned());
        Self {
            datasets: named_inputs(reads, path),
            files: files.collect(),
        }
    }
}

fn named_inputs<'a>(
    reads: impl Iterator<Item = &'a ArtifactRef>,
    path: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, Option<String>> {
    let datasets = reads.filter_map(|read| match read {
        ArtifactRef::Dataset(name) => Some((name.clone(), path(name))),
        ArtifactRef::Output { .. } => None,
    });
    datasets.collect()
}

/// Whether a path leads to something below the folder that it is relative to.
pub fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Digests a dataset or a file of a stage as it lies on this machine; an error if it cannot be
/// read.
pub fn measure(path: &Path, bounds: &Bounds) -> io::Result<Measured> {
    tree::measure_remembered(path, Links::Follow, bounds, &Digests::of_user())
}

/// Digests all that is wanted and is on this machine. What is not here is left out; what is here
/// and cannot be read is left out too, and the second value says why.
pub fn read(wanted_contents: &Wanted, sources: &Sources) -> (Contents, Vec<String>) {
    let (mut contents, mut problems) = (Contents::default(), Vec::new());
    let mut digest = |what: String, tried: Vec<PathBuf>| -> Option<ContentDigest> {
        let path = tried.iter().find(|path| path.exists())?;
        match measure(path, &Bounds::default()) {
            Ok(measured) => Some(measured.into()),
            Err(error) => {
                problems.push(format!(
                    "{what} is not named by its content in the plan: {error}"
                ));
                None
            }
        }
    };
    for (name, path) in &wanted_contents.datasets {
        let found_content = digest(
            format!("dataset `{name}`"),
            sources.dataset(name, path.as_deref()),
        );
        contents
            .datasets
            .extend(found_content.map(|found| (name.clone(), found)));
    }
    for name in wanted_contents
        .files
        .iter()
        .filter(|name| is_inside(Path::new(name)))
    {
        let found_content = digest(format!("file `{name}`"), sources.path(name));
        contents
            .files
            .extend(found_content.map(|found| (name.clone(), found)));
    }
    (contents, problems)
}
