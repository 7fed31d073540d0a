//! What a stage works on: its inputs and files, found and digested, and what bringing them costs.

use super::contents;
use super::context::Context;
use super::failover::StageOffer;
use super::notice::Notice;
use crate::execution::provider::{Content, Item, Task};
use crate::execution::state::State;
use crate::execution::state::standing::{self, input_names};
use crate::model::{ArtifactRef, Bytes, Destination, Money, PlaceName};
use crate::plan::{ContentDigest, PlannedStage};
use crate::util::interruptible::blocking;
use std::collections::BTreeMap;
use std::io;

/// What a stage works on, and the digests of all of it.
pub(super) struct Work {
    pub task: Task,
    pub content: standing::Content,
    pub fingerprint: String,
}

/// A copy of an artifact that a stage's place does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub artifact: String,
    pub bytes: u64,
    pub cost: Money,
}

/// Finds inputs and files, and digests them.
pub(super) async fn prepare(context: &Context, planned: &PlannedStage) -> io::Result<Work> {
    let mut digests: BTreeMap<&ArtifactRef, String> = BTreeMap::new();
    let mut inputs = Vec::new();
    for (read, name) in input_names(&planned.reads) {
        let (content, digest) = match read {
            ArtifactRef::Dataset(dataset) => find_dataset(context, dataset).await?,
            ArtifactRef::Output { .. } => {
                let artifact = context
                    .recorder
                    .read(|state| state.artifacts.get(&read.to_string()).cloned());
                let artifact = artifact
                    .ok_or_else(|| io::Error::other(format!("`{read}` is not in the state")))?;
                (
                    Content::Stored(context.objects.path(&artifact.digest, artifact.kind)),
                    artifact.digest.into(),
                )
            }
        };
        digests.insert(read, digest);
        inputs.push(Item { name, content });
    }
    let files = context
        .checked
        .files
        .get(&planned.name)
        .cloned()
        .unwrap_or_default();
    let mut of_files: BTreeMap<String, ContentDigest> = BTreeMap::new();
    for file in &files {
        if let Content::Local(path) = &file.content {
            let path = path.clone();
            let measured = blocking(move |bounds| contents::measure(&path, bounds)).await?;
            of_files.insert(file.name.clone(), measured.into());
        }
    }
    say_changed_files(context, planned, &of_files);
    let file = |name: &str| of_files.get(name).map(ContentDigest::as_file);
    let content = standing::Content::new(planned.into(), |read| digests.get(read).cloned(), file);
    let fingerprint = content
        .fingerprint
        .clone()
        .ok_or_else(|| io::Error::other("not all of its inputs were read"))?;
    let (index, count) = planned
        .replica
        .as_ref()
        .map_or((0, 1), |replica| (replica.index, replica.count));
    let environment = [
        ("SKY_INDEX", index.to_string()),
        ("SKY_COUNT", count.to_string()),
        ("SKY_JOB", context.owner.job.clone()),
        ("SKY_STAGE", planned.name.clone()),
        ("SKY_NODES", planned.nodes.to_string()),
        ("SKY_NODE", "0".to_owned()),
    ];
    let mut environment: BTreeMap<String, String> = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    environment.extend(
        context
            .checked
            .env
            .get(&planned.name)
            .cloned()
            .unwrap_or_default(),
    );
    let secrets = context
        .checked
        .secrets
        .get(&planned.name)
        .cloned()
        .unwrap_or_default();
    let command = planned.run.clone().unwrap_or_default();
    let log_limit = context.settings.log_limit;
    let task = Task {
        command,
        environment,
        secrets,
        log_limit,
        checkpoint: None,
        files,
        inputs,
    };
    Ok(Work {
        task,
        content,
        fingerprint,
    })
}

async fn find_dataset(context: &Context, dataset: &str) -> io::Result<(Content, String)> {
    let content = context.checked.datasets.get(dataset).cloned();
    let content =
        content.ok_or_else(|| io::Error::other(format!("dataset `{dataset}` was not found")))?;
    let (Content::Local(path), Some(cell)) = (&content, context.datasets.get(dataset)) else {
        return Ok((content, "empty".to_owned()));
    };
    let path = path.clone();
    let measure = || async {
        let measured = blocking(move |bounds| contents::measure(&path, bounds)).await?;
        if context
            .plan
            .contents
            .datasets
            .get(dataset)
            .is_some_and(|planned| planned.digest != measured.digest)
        {
            let message =
                format!("dataset `{dataset}` has other content than when the plan was made");
            context.observer.notice(&Notice::Warning { message });
        }
        Ok::<_, io::Error>(measured)
    };
    let measured = cell.get_or_try_init(measure).await?;
    Ok((content, measured.digest.to_string()))
}

/// Says which files of a stage are not as they were when the plan was made.
fn say_changed_files(
    context: &Context,
    planned: &PlannedStage,
    found: &BTreeMap<String, ContentDigest>,
) {
    let changed = |(name, now): &(&String, &ContentDigest)| {
        context
            .plan
            .contents
            .files
            .get(*name)
            .is_some_and(|then| then.as_file() != now.as_file())
    };
    for (name, _) in found.iter().filter(changed) {
        let message = format!(
            "stage.{}: file `{name}` has other content than when the plan was made",
            planned.name
        );
        context.observer.notice(&Notice::Warning { message });
    }
}

/// The copies that have to be paid for when the stage runs at the offer's place: those that were
/// not made for another stage there. Sizes are what they are, not what was planned; those of
/// datasets are as the job says.
pub(super) fn copies(
    context: &Context,
    planned: &PlannedStage,
    stage_offer: &StageOffer,
    state: &State,
) -> Vec<Copy> {
    let mut copies = Vec::new();
    for read in &planned.reads {
        let name = read.to_string();
        let there = state
            .copies
            .get(&name)
            .is_some_and(|places| places.contains(&stage_offer.place));
        let Some((from, bytes)) =
            origin(context, read, state).filter(|(from, _)| *from != stage_offer.place && !there)
        else {
            continue;
        };
        let Some(rate) = context.ways.get(&(from, stage_offer.place.clone())) else {
            continue;
        };
        copies.push(Copy {
            artifact: name,
            bytes,
            cost: rate.cost(Bytes(bytes)),
        });
    }
    copies
}

/// Whether the plan brings an output of a stage home.
pub(super) fn goes_home(planned: &PlannedStage, output: &str) -> bool {
    planned.outputs.get(output) == Some(&Destination::Home)
}

/// The copies that bring outputs home from a place and were not paid for, by the outputs' sizes.
pub(super) fn homeward<'o>(
    context: &Context,
    planned: &PlannedStage,
    from: &PlaceName,
    state: &State,
    outputs: impl Iterator<Item = (&'o str, u64)>,
) -> Vec<Copy> {
    let here = PlaceName::here();
    let Some(rate) = context.ways.get(&(from.clone(), here.clone())) else {
        return Vec::new();
    };
    let copy = |(output, bytes): (&str, u64)| Copy {
        artifact: format!("{}.{output}", planned.name),
        bytes,
        cost: rate.cost(Bytes(bytes)),
    };
    let paid = |copy: &Copy| {
        state
            .copies
            .get(&copy.artifact)
            .is_some_and(|places| places.contains(&here))
    };
    outputs
        .filter(|(output, _)| goes_home(planned, output))
        .map(copy)
        .filter(|copy| !paid(copy))
        .collect()
}

/// Where an artifact was made or lies, and its size.
fn origin(context: &Context, read: &ArtifactRef, state: &State) -> Option<(PlaceName, u64)> {
    match read {
        ArtifactRef::Dataset(name) => context
            .plan
            .datasets
            .get(name)
            .map(|dataset| (dataset.at.clone(), dataset.bytes.0)),
        ArtifactRef::Output { stage, .. } => {
            let place = state.stages.get(stage)?.place.clone();
            Some((place, state.artifacts.get(&read.to_string())?.bytes))
        }
    }
}
