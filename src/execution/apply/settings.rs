//! How a plan is applied, and what is found before it is.

use super::contents::Sources;
use crate::execution::provider::{Access, Content, Item};
use crate::execution::storage::Staging;
use crate::model::Money;
use crate::util::secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The current folder.
    pub here: PathBuf,
    /// The plan file's folder.
    pub plan_folder: PathBuf,
    /// In place of the providers of the plan's places.
    pub provider: Option<String>,
    /// Where datasets and files are, in place of the plan's and the current folder.
    pub source: Option<PathBuf>,
    /// Datasets given by hand.
    pub data: BTreeMap<String, PathBuf>,
    /// Empty files stand in for datasets that this machine does not have; only in a rehearsal.
    pub stand_ins: bool,
    /// Stages at a time.
    pub parallelism: usize,
    /// What happens to other stages after a failure.
    pub on_failure: OnFailure,
    /// Between asking a stage to end and killing it.
    pub grace: Duration,
    /// The most bytes that a machine keeps of the beginning of what a stage prints; 0: all of it.
    pub log_limit: u64,
    /// The most that the job may cost, in place of the plan's budget.
    pub budget: Option<Money>,
    /// What providers are reached with.
    pub access: Access,
    /// How data gets from one stage to the next.
    pub staging: Staging,
    /// The size of the chunks that are sent to buckets, in bytes; a multiple of a MiB.
    pub chunk_bytes: u64,
    /// Buckets stay when the job is done.
    pub keep_buckets: bool,
    /// The bytes that one output may have; none: ten times what was planned, and 1 GiB at least.
    pub output_limit: Option<u64>,
}

/// What a failed stage means for those that do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Other stages go on, and are begun.
    GoOn,
    /// Nothing new is begun; what runs may end.
    StartNothing,
}

impl Settings {
    /// Where datasets and files may be.
    pub fn sources(&self) -> Sources {
        Sources {
            here: self.here.clone(),
            folder: self.plan_folder.clone(),
            source: self.source.clone(),
            data: self.data.clone(),
        }
    }
}

/// A plan that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The provider of every stage.
    pub providers: BTreeMap<String, String>,
    /// Where each dataset that is read lies.
    pub datasets: BTreeMap<String, Content>,
    /// Each stage's files.
    pub files: BTreeMap<String, Vec<Item>>,
    /// Each stage's plain variables, by name.
    pub env: BTreeMap<String, BTreeMap<String, String>>,
    /// Each stage's secrets, by the name of the variable.
    pub secrets: BTreeMap<String, BTreeMap<String, Secret>>,
    /// Providers that only alternatives would need, and why they cannot be asked.
    pub unready: BTreeMap<String, String>,
    /// What a user should know.
    pub warnings: Vec<String>,
}
