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
use crate::util::variables;
use std::collections::BTreeMap;
use std::io;

/// What a stage works on, and the digests of all of it.
pub(super) struct StageWork {
    pub task: Task,
    pub content: standing::Content,
    pub fingerprint: String,
}

/// An artifact that is brought to another place, which was not paid for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnpaidTransfer {
    pub artifact: String,
    pub bytes: u64,
    pub cost: Money,
}

/// Finds inputs and files, and digests them.
pub(super) async fn prepare_work(
    context: &Context,
    planned: &PlannedStage,
) -> io::Result<StageWork> {
    let mut digests: BTreeMap<&ArtifactRef, String> = BTreeMap::new();
    let mut inputs = Vec::new();
    for (read, name) in input_names(&planned.reads) {
        let (content, digest) = match read {
            ArtifactRef::Dataset(dataset) => find_dataset(context, dataset).await?,
            ArtifactRef::Output { .. } => find_output(context, read)?,
        };
        digests.insert(read, digest);
        inputs.push(Item { name, content });
    }
    let files = of_stage(&context.checked.files, planned);
    let of_files = measure_files(&files).await?;
    say_changed_files(context, planned, &of_files);
    let file = |name: &str| of_files.get(name).map(ContentDigest::as_file);
    let content = standing::Content::new(planned.into(), |read| digests.get(read).cloned(), file);
    let fingerprint = content
        .fingerprint
        .clone()
        .ok_or_else(|| io::Error::other("not all of its inputs were read"))?;
    // The check of the plan asks for one.
    let command = planned
        .run
        .clone()
        .ok_or_else(|| io::Error::other("it has no command"))?;
    let task = Task {
        command,
        environment: environment_of_stage(context, planned),
        secrets: of_stage(&context.checked.secrets, planned),
        log_limit: context.settings.log_limit,
        checkpoint: None,
        files,
        inputs,
    };
    Ok(StageWork {
        task,
        content,
        fingerprint,
    })
}

/// What was checked for a stage; most stages have no files, variables or secrets.
fn of_stage<T: Clone + Default>(checked: &BTreeMap<String, T>, planned: &PlannedStage) -> T {
    checked.get(&planned.name).cloned().unwrap_or_default()
}

/// The variables that a command finds: those that every stage has, and its own.
fn environment_of_stage(context: &Context, planned: &PlannedStage) -> BTreeMap<String, String> {
    let (index, count) = planned
        .replica
        .as_ref()
        .map_or((0, 1), |replica| (replica.index, replica.count));
    let own_variables = of_stage(&context.checked.env, planned);
    let environment = [
        (variables::SKY_INDEX.name, index.to_string()),
        (variables::SKY_COUNT.name, count.to_string()),
        (variables::SKY_JOB.name, context.owner.job.clone()),
        (variables::SKY_STAGE.name, planned.name.clone()),
        (variables::SKY_NODES.name, planned.nodes.to_string()),
        (variables::SKY_NODE.name, "0".to_owned()),
    ];
    environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(own_variables)
        .collect()
}

async fn measure_files(files: &[Item]) -> io::Result<BTreeMap<String, ContentDigest>> {
    let mut of_files = BTreeMap::new();
    for file in files {
        if let Content::Local(path) = &file.content {
            let path = path.clone();
            let measured_file = blocking(move |bounds| contents::measure(&path, bounds)).await?;
            of_files.insert(file.name.clone(), measured_file.into());
        }
    }
    Ok(of_files)
}

/// An output that another stage has made, in the store.
fn find_output(context: &Context, read: &ArtifactRef) -> io::Result<(Content, String)> {
    let artifact = context
        .recorder
        .read(|state| state.artifacts.get(&read.to_string()).cloned());
    let artifact =
        artifact.ok_or_else(|| io::Error::other(format!("`{read}` is not in the state")))?;
    let path = context.objects.path(&artifact.digest, artifact.kind);
    Ok((Content::Stored(path), artifact.digest.into()))
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
        let measured_dataset = blocking(move |bounds| contents::measure(&path, bounds)).await?;
        if context
            .plan
            .contents
            .datasets
            .get(dataset)
            .is_some_and(|planned| planned.digest != measured_dataset.digest)
        {
            let message =
                format!("dataset `{dataset}` has other content than when the plan was made");
            context.observer.notice(&Notice::Warning { message });
        }
        Ok::<_, io::Error>(measured_dataset)
    };
    let measured_dataset = cell.get_or_try_init(measure).await?;
    Ok((content, measured_dataset.digest.to_string()))
}

/// Says which files of a stage are not as they were when the plan was made.
fn say_changed_files(
    context: &Context,
    planned: &PlannedStage,
    found_digests: &BTreeMap<String, ContentDigest>,
) {
    let has_changed = |(name, now): &(&String, &ContentDigest)| {
        context
            .plan
            .contents
            .files
            .get(*name)
            .is_some_and(|then| then.as_file() != now.as_file())
    };
    for (name, _) in found_digests.iter().filter(has_changed) {
        let message = format!(
            "stage.{}: file `{name}` has other content than when the plan was made",
            planned.name
        );
        context.observer.notice(&Notice::Warning { message });
    }
}

/// The transfers that have to be paid for when the stage runs at the offer's place: those that were
/// not made for another stage there. Sizes are what they are, not what was planned; those of
/// datasets are as the job says.
pub(super) fn unpaid_input_transfers(
    context: &Context,
    planned: &PlannedStage,
    stage_offer: &StageOffer,
    state: &State,
) -> Vec<UnpaidTransfer> {
    let mut transfers = Vec::new();
    for read in &planned.reads {
        let name = read.to_string();
        let already_there = state
            .copies
            .get(&name)
            .is_some_and(|places| places.contains(&stage_offer.place));
        let Some((from, bytes)) = origin_of_artifact(context, read, state)
            .filter(|(from, _)| *from != stage_offer.place && !already_there)
        else {
            continue;
        };
        let Some(rate) = context.ways.get(&(from, stage_offer.place.clone())) else {
            continue;
        };
        transfers.push(UnpaidTransfer {
            artifact: name,
            bytes,
            cost: rate.cost(Bytes(bytes)),
        });
    }
    transfers
}

/// Whether the plan brings an output of a stage home.
pub(super) fn goes_home(planned: &PlannedStage, output: &str) -> bool {
    planned.outputs.get(output) == Some(&Destination::Home)
}

/// The transfers that bring outputs home from a place and were not paid for, by the outputs' sizes.
pub(super) fn unpaid_home_transfers<'o>(
    context: &Context,
    planned: &PlannedStage,
    from: &PlaceName,
    state: &State,
    outputs: impl Iterator<Item = (&'o str, u64)>,
) -> Vec<UnpaidTransfer> {
    let home_place = PlaceName::here();
    let Some(rate) = context.ways.get(&(from.clone(), home_place.clone())) else {
        return Vec::new();
    };
    let transfer = |(output, bytes): (&str, u64)| UnpaidTransfer {
        artifact: format!("{}.{output}", planned.name),
        bytes,
        cost: rate.cost(Bytes(bytes)),
    };
    let paid = |transfer: &UnpaidTransfer| {
        state
            .copies
            .get(&transfer.artifact)
            .is_some_and(|places| places.contains(&home_place))
    };
    outputs
        .filter(|(output, _)| goes_home(planned, output))
        .map(transfer)
        .filter(|transfer| !paid(transfer))
        .collect()
}

/// Where an artifact was made or lies, and its size.
fn origin_of_artifact(
    context: &Context,
    read: &ArtifactRef,
    state: &State,
) -> Option<(PlaceName, u64)> {
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
