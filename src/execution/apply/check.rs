//! What must be right before anything starts, all of it told at once.

use super::Error;
use super::contents::{self, Sources};
use crate::execution::provider::{self, Access, Content, Item};
use crate::execution::state::data::REHEARSING;
use crate::execution::state::{State, Status};
use crate::execution::storage::Staging;
use crate::model::{ArtifactRef, Bytes, Destination, Money};
use crate::plan::{self, DoneStage, FromState, Plan, PlannedStage};
use crate::util::environment;
use crate::util::secret::{self, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
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

/// Looks at the plan, the files and the state; changes nothing.
pub fn check(plan: &Plan, settings: &Settings, state: Option<&State>) -> Result<Checked, Error> {
    let held = state
        .filter(|state| !state.stages.is_empty())
        .and_then(|state| state.job.clone());
    if let Some(held) = held.filter(|held| *held != plan.job) {
        return Err(Error::OtherJob {
            held,
            planned: plan.job.clone(),
        });
    }
    check_rehearsal(plan, settings, state)?;
    if let Some(from) = &plan.from_state {
        still_true(plan, from, state)?;
    }
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    if settings.stand_ins && rehearsal(plan, settings.provider.as_deref(), true).is_none() {
        problems.push(
            "--stand-ins is for rehearsals: it needs --provider local or --provider sim".to_owned(),
        );
    }
    check_shape(plan, &mut problems);
    check_commands(plan, &mut problems);
    let providers = find_providers(plan, settings, &mut problems);
    let datasets = find_datasets(plan, settings, &mut problems, &mut warnings);
    let mut files = BTreeMap::new();
    for stage in &plan.stages {
        files.insert(
            stage.name.clone(),
            find_files(stage, settings, &mut problems),
        );
        if stage.nodes > 1
            && providers
                .get(&stage.name)
                .is_some_and(|name| one_process(name, stage))
        {
            warnings.push(format!(
                "stage.{} is planned on {} nodes: it runs here as one process with SKY_NODES={}",
                stage.name, stage.nodes, stage.nodes
            ));
        }
    }
    let env = find_variables(plan, &mut problems);
    check_home(plan, settings, &providers, (&mut problems, &mut warnings));
    let secrets = find_secrets(plan, settings, &mut problems);
    if problems.is_empty() {
        Ok(Checked {
            providers,
            datasets,
            files,
            env,
            secrets,
            unready: BTreeMap::new(),
            warnings,
        })
    } else {
        Err(Error::NotReady(problems))
    }
}

/// What the plan keeps away from this machine must not come through it, and what stays in a place
/// needs something there that keeps it. A rehearsal rents nothing and moves nothing.
fn check_home(
    plan: &Plan,
    settings: &Settings,
    providers: &BTreeMap<String, String>,
    (problems, warnings): (&mut Vec<String>, &mut Vec<String>),
) {
    let rehearsed = |stage: &PlannedStage| {
        providers
            .get(&stage.name)
            .is_some_and(|name| name == provider::LOCAL || name == provider::SIM)
    };
    let stores = |stage: &PlannedStage| settings.staging.has(&stage.place.cloud);
    let why = |stage: &PlannedStage| match settings.staging {
        Staging::Home => "`--staging home` brings all data to this machine".to_owned(),
        _ => format!(
            "there is no object store at {} that could keep it",
            stage.place
        ),
    };
    for stage in plan.stages.iter().filter(|stage| !rehearsed(stage)) {
        for (output, _) in stage
            .outputs
            .iter()
            .filter(|(_, goes)| **goes == Destination::There && !stores(stage))
        {
            problems.push(format!(
                "stage.{}: output `{output}` stays at {} by the plan, but {}; to bring it home, write \
                 `\"{}.{output}\" = \"home\"` in `[outputs]` of the job (and declare `[home]` in the policy if a rule \
                 covers it), and plan again",
                stage.name,
                stage.place,
                why(stage),
                stage
                    .replica
                    .as_ref()
                    .map_or(&stage.name, |replica| &replica.stage),
            ));
        }
        if let Some(rule) = stage
            .checkpoints_kept_from_home_by
            .as_ref()
            .filter(|_| stage.checkpoint.is_some())
        {
            warnings.push(format!(
                "stage.{}: its checkpoints are not saved, because they would be brought to this machine, which {rule} \
                 forbids: if it is interrupted, it starts over",
                stage.name
            ));
        }
        let Some(rule) = &stage.kept_from_home_by else {
            continue;
        };
        let passes = |output: &&String| {
            let read = ArtifactRef::Output {
                stage: stage.name.clone(),
                name: (*output).clone(),
            };
            let mut readers = plan
                .stages
                .iter()
                .filter(|reader| reader.reads.contains(&read))
                .peekable();
            readers.peek().is_some() && !(stores(stage) && readers.all(stores))
        };
        for output in stage.writes.keys().filter(passes) {
            problems.push(format!(
                "stage.{}: output `{output}` would pass through this machine on its way to its readers, which {rule} \
                 forbids: {}; run the stages where there is one (aws, gcp, azure), give `--staging file:///DIR` for a \
                 folder that all machines share, or declare `[home]` in the policy and plan again",
                stage.name,
                why(stage)
            ));
        }
    }
}

/// Returns the provider that a plan is only rehearsed with: this machine or the simulated cloud, in
/// place of the places of the plan, or with empty files in place of its data.
pub fn rehearsal(plan: &Plan, provider: Option<&str>, stand_ins: bool) -> Option<&'static str> {
    let provider = REHEARSING
        .into_iter()
        .find(|name| provider == Some(*name))?;
    // A plan of the rest is of the same kind as what was done before it.
    let done = plan
        .from_state
        .iter()
        .flat_map(|from| from.done.values())
        .map(|done| &done.place);
    let mut places = plan.stages.iter().map(|stage| &stage.place).chain(done);
    (stand_ins || places.any(|place| place.cloud != provider)).then_some(provider)
}

/// Nothing of a rehearsal may count as done in earnest, nor the other way round.
fn check_rehearsal(plan: &Plan, settings: &Settings, state: Option<&State>) -> Result<(), Error> {
    let now = rehearsal(plan, settings.provider.as_deref(), settings.stand_ins);
    let tried = state
        .into_iter()
        .flat_map(|state| &state.stages)
        .filter(|(_, record)| record.attempt > 0);
    for (name, record) in tried {
        let clash = match now {
            None => record.rehearsed_with().is_some(),
            Some(provider) => record.provider != provider,
        };
        if clash {
            let (stage, provider) = (name.clone(), record.provider.clone());
            return Err(Error::Rehearsal {
                stage,
                provider,
                now: now.map(str::to_owned),
            });
        }
    }
    Ok(())
}

/// Whether a gang is one process at that provider, which is told how many it stands for.
fn one_process(name: &str, stage: &PlannedStage) -> bool {
    name == provider::LOCAL || (name == provider::SSH && stage.place.cloud != provider::SSH)
}

/// Whether the state is still the one that the plan goes on from; or one that this plan was applied
/// to since.
fn still_true(plan: &Plan, from: &FromState, state: Option<&State>) -> Result<(), Error> {
    let made = format!(
        "the plan goes on from serial {} of state {}",
        from.serial, from.lineage
    );
    let Some(state) = state else {
        return Err(Error::Stale(format!("{made}, and there is no state here")));
    };
    if state.lineage != from.lineage {
        return Err(Error::Stale(format!(
            "{made}; here is state {}, serial {}",
            state.lineage, state.serial
        )));
    }
    let digest = plan::file::digest(plan)
        .map_err(|error| Error::Bug(format!("cannot write the plan: {error}")))?;
    if state.plan.as_ref() == Some(&digest) {
        return Ok(());
    }
    if state.serial != from.serial {
        let by = state
            .plan
            .as_ref()
            .map(|plan| format!(", by plan {plan}"))
            .unwrap_or_default();
        return Err(Error::Stale(format!(
            "{made}, which is at serial {} since{by}",
            state.serial
        )));
    }
    let same = |(name, done): (&String, &DoneStage)| {
        let held = |(output, bytes): (&String, &Bytes)| {
            state
                .artifacts
                .get(&format!("{name}.{output}"))
                .is_some_and(|artifact| artifact.bytes == bytes.0)
        };
        let record = state
            .stages
            .get(name)
            .filter(|record| record.status == Status::Done && record.place == done.place);
        record.is_some() && done.outputs.iter().all(held)
    };
    match from.done.iter().find(|done| !same(*done)) {
        Some((name, _)) => Err(Error::Stale(format!(
            "{made}; stage.{name} is not done there as it was"
        ))),
        None => Ok(()),
    }
}

/// The stages that must end before `stage`, by data or by order.
pub fn predecessors(stage: &PlannedStage) -> BTreeSet<&str> {
    let by_data = stage.reads.iter().filter_map(|read| match read {
        ArtifactRef::Output { stage, .. } => Some(stage.as_str()),
        ArtifactRef::Dataset(_) => None,
    });
    by_data
        .chain(stage.after.iter().map(String::as_str))
        .collect()
}

/// A plan file may have been edited by hand: names must be plain, references must lead somewhere,
/// and no stage may wait for itself.
fn check_shape(plan: &Plan, problems: &mut Vec<String>) {
    let mut known: BTreeMap<&str, &PlannedStage> = BTreeMap::new();
    for stage in &plan.stages {
        if known.insert(&stage.name, stage).is_some() {
            problems.push(format!("stage.{} is in the plan twice", stage.name));
        }
        let names = std::iter::once(&stage.name).chain(stage.writes.keys());
        for output in stage
            .outputs
            .keys()
            .filter(|output| !stage.writes.contains_key(*output))
        {
            problems.push(format!(
                "stage.{} sends `{output}` somewhere, which it does not write",
                stage.name
            ));
        }
        for name in names.filter(|name| !plain(name)) {
            problems.push(format!(
                "`{}` cannot be the name of a folder or file",
                name.escape_debug()
            ));
        }
    }
    let done = plan.from_state.as_ref().map(|from| &from.done);
    let done = |stage: &str| done.and_then(|done| done.get(stage));
    for stage in &plan.stages {
        if done(&stage.name).is_some() {
            problems.push(format!(
                "stage.{} is in the plan, which says that it is done already",
                stage.name
            ));
        }
        for read in &stage.reads {
            let there = match read {
                ArtifactRef::Dataset(name) => plan.datasets.contains_key(name) && plain(name),
                ArtifactRef::Output { stage, name } => {
                    known
                        .get(stage.as_str())
                        .is_some_and(|stage| stage.writes.contains_key(name))
                        || done(stage).is_some_and(|done| done.outputs.contains_key(name))
                }
            };
            if !there {
                problems.push(format!(
                    "stage.{} reads `{read}`, which the plan does not have",
                    stage.name
                ));
            }
        }
        for before in stage
            .after
            .iter()
            .filter(|before| !known.contains_key(before.as_str()) && done(before).is_none())
        {
            problems.push(format!(
                "stage.{} waits for stage.{before}, which the plan does not have",
                stage.name
            ));
        }
    }
    let mut left: BTreeMap<&str, BTreeSet<&str>> = known
        .values()
        .map(|stage| (stage.name.as_str(), predecessors(stage)))
        .collect();
    loop {
        let open: BTreeSet<&str> = left.keys().copied().collect();
        let before = left.len();
        left.retain(|_, waits| waits.iter().any(|name| open.contains(name)));
        if left.len() == before {
            break;
        }
    }
    if !left.is_empty() {
        let names: Vec<&str> = left.keys().copied().collect();
        problems.push(format!(
            "stages wait for each other in a circle: {}",
            names.join(", ")
        ));
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']) && name.len() <= 200
}

fn check_commands(plan: &Plan, problems: &mut Vec<String>) {
    let none = |stage: &&PlannedStage| stage.run.as_deref().is_none_or(|run| run.trim().is_empty());
    let names: Vec<String> = plan
        .stages
        .iter()
        .filter(none)
        .map(|stage| format!("stage.{}", stage.name))
        .collect();
    if !names.is_empty() {
        let verb = if names.len() == 1 { "has" } else { "have" };
        problems.push(format!(
            "{} {verb} no `run`: give the command in the job file and plan again",
            names.join(", ")
        ));
    }
}

fn find_providers(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let names = settings.access.names();
    let known = |name: &str| names.contains(&name);
    if let Some(name) = settings.provider.as_deref().filter(|name| !known(name)) {
        problems.push(provider::unknown(name));
    }
    let own = |cloud: &str| {
        provider::of_cloud(cloud, &settings.access)
            .unwrap_or(cloud)
            .to_owned()
    };
    let chosen = |stage: &PlannedStage| {
        settings
            .provider
            .clone()
            .unwrap_or_else(|| own(&stage.place.cloud))
    };
    let chosen: BTreeMap<String, String> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.clone(), chosen(stage)))
        .collect();
    let unknown: BTreeSet<&str> = chosen
        .values()
        .map(String::as_str)
        .filter(|name| !known(name))
        .collect();
    let wanted: BTreeSet<&str> = chosen
        .values()
        .map(String::as_str)
        .filter(|name| known(name))
        .collect();
    for name in wanted {
        if let Err(error) = provider::open(name, &settings.access) {
            problems.push(error.to_string());
        }
    }
    if settings.provider.is_none() && !unknown.is_empty() {
        let clouds: Vec<&str> = unknown.into_iter().collect();
        problems.push(format!(
            "this sky has no provider for {}: `--provider local` rehearses the plan on this machine",
            clouds.join(", ")
        ));
    }
    chosen
}

fn find_datasets(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> BTreeMap<String, Content> {
    let sources = settings.sources();
    let mut found = BTreeMap::new();
    for name in settings
        .data
        .keys()
        .filter(|name| !plan.datasets.contains_key(*name))
    {
        let names: Vec<&str> = plan.datasets.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        problems.push(format!(
            "--data {name}=…: the plan has no dataset `{name}`; its datasets: {known}"
        ));
    }
    let read: BTreeSet<&str> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.reads)
        .filter_map(dataset)
        .collect();
    for (name, planned) in plan
        .datasets
        .iter()
        .filter(|(name, _)| read.contains(name.as_str()))
    {
        let tried = sources.dataset(name, planned.path.as_deref());
        if tried.is_empty() {
            let at = format!(
                "dataset `{name}` lies at {}, and has no path on this machine",
                planned.at
            );
            if settings.stand_ins {
                warnings.push(format!(
                    "{at}: an empty file stands in for it (--stand-ins)"
                ));
                found.insert(name.clone(), Content::Empty);
            } else {
                problems.push(format!(
                    "{at}: give a copy of it with --data {name}=PATH; in a rehearsal (--provider sim or local), \
                     --stand-ins puts empty files in place of such datasets"
                ));
            }
            continue;
        }
        match tried.iter().find(|path| path.exists()) {
            Some(path) => {
                found.insert(name.clone(), Content::Local(path.clone()));
            }
            None => problems.push(format!(
                "dataset `{name}` is not there: looked at {}; --data {name}=PATH gives another place",
                shown(&tried)
            )),
        }
    }
    found
}

fn dataset(read: &ArtifactRef) -> Option<&str> {
    match read {
        ArtifactRef::Dataset(name) => Some(name),
        ArtifactRef::Output { .. } => None,
    }
}

fn find_files(stage: &PlannedStage, settings: &Settings, problems: &mut Vec<String>) -> Vec<Item> {
    let (sources, mut items) = (settings.sources(), Vec::new());
    for name in &stage.files {
        let path = Path::new(name);
        let inside = contents::is_inside(path);
        let named = path
            .components()
            .any(|part| matches!(part, Component::Normal(_)));
        if !inside || !named {
            problems.push(format!(
                "stage.{}: file `{name}` must be a relative path without `..`",
                stage.name
            ));
            continue;
        }
        let tried = sources.path(name);
        match tried.iter().find(|path| path.exists()) {
            Some(path) => items.push(Item {
                name: name.clone(),
                content: Content::Local(path.clone()),
            }),
            None => problems.push(format!(
                "stage.{}: file `{name}` is not there: looked at {}",
                stage.name,
                shown(&tried)
            )),
        }
    }
    items
}

/// The plain variables of each stage; those that the plan only refers to are looked up.
fn find_variables(
    plan: &Plan,
    problems: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for stage in &plan.stages {
        for (name, text) in &stage.env {
            let value = match text.strip_prefix("env:") {
                None => text.clone(),
                Some(variable) => match environment::exact_text(variable) {
                    Ok(value) => value,
                    Err(std::env::VarError::NotPresent) => {
                        problems.push(format!(
                            "stage.{}: variable {name}: environment variable {variable} is not set",
                            stage.name
                        ));
                        continue;
                    }
                    Err(std::env::VarError::NotUnicode(_)) => {
                        problems.push(format!(
                            "stage.{}: variable {name}: environment variable {variable} is not UTF-8",
                            stage.name
                        ));
                        continue;
                    }
                },
            };
            found
                .entry(stage.name.clone())
                .or_default()
                .insert(name.clone(), value);
        }
    }
    found
}

/// Looks up what the plan only refers to, before anything starts.
fn find_secrets(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, Secret>> {
    let folder = settings
        .source
        .as_ref()
        .map_or(settings.plan_folder.clone(), |source| {
            settings.here.join(source)
        });
    let mut found: BTreeMap<String, BTreeMap<String, Secret>> = BTreeMap::new();
    for stage in &plan.stages {
        for (name, reference) in &stage.secrets {
            match secret::resolve(reference, &folder) {
                Ok(value) => {
                    found
                        .entry(stage.name.clone())
                        .or_default()
                        .insert(name.clone(), value);
                }
                Err(why) => problems.push(format!("stage.{}: secret {name}: {why}", stage.name)),
            }
        }
    }
    found
}

fn shown(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(" and ")
}
