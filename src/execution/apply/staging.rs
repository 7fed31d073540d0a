//! Data between stages that goes through buckets: which does, and what is written down about it.
//!
//! What a stage writes and another reads goes to the bucket of the place where it was made. Who
//! reads it in another place puts a copy into the bucket of that place before its command begins,
//! so that it crosses between the two once, as the plan says and as is paid for; all others there,
//! and later attempts, read the copy. What nobody reads comes home, and so does what is read where
//! there is no bucket. The machines get signed addresses of single objects over their connection,
//! no credential.
//!
//! Every step is announced in the journal and can be done again: buckets are made under names that
//! were written down before, chunks that are there are not sent again, and what was fetched is not
//! fetched again.

use super::Error;
use super::attempt::Attempt;
use super::bucket_transfer::{
    SentPack, announce_staging, bring_home, bucket_access, fetch_input, pack_is_there,
    record_staged, send_pack,
};
use super::buckets::{bucket_of_place, check_bucket};
use super::calls::{Patience, patiently};
use super::collected::is_gone;
use super::context::Context;
use super::step_error::{Step, StepError};
use crate::execution::provider::{Content, ErrorKind, ProviderError, Source, Task, Worker};
use crate::execution::state::Artifact;
use crate::execution::state::standing::input_names;
use crate::execution::storage::Staging;
use crate::execution::storage::bucket::{Bucket, BucketError};
use crate::model::{ArtifactRef, Destination, PlaceName};
use crate::plan::{Plan, PlannedStage};
use crate::util::tree::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// The size of chunks, in MiB: the few that are on their way fit on every machine's disk beside the
/// data, and one is soon sent again.
pub const CHUNK_MIB: u64 = 64;
/// What one may do without buckets.
const ELSE: &str = "or give --staging home: data then goes through this machine, at a price for what leaves a cloud that is not in the plan";

/// Whether somebody reads an output from a bucket.
fn is_read(plan: &Plan, staging: &Staging, stage: &str, output: &str) -> bool {
    let output_read = ArtifactRef::Output {
        stage: stage.to_owned(),
        name: output.to_owned(),
    };
    plan.stages
        .iter()
        .any(|reader| reader.reads.contains(&output_read) && staging.has(&reader.place.cloud))
}

/// Whether an output stays in the place where it is made.
fn stays_in_place(planned: &PlannedStage, output: &str) -> bool {
    planned.outputs.get(output) == Some(&Destination::There)
}

/// Whether an output goes to a bucket: its machine and its place can, and somebody reads it from
/// there, or it stays there.
pub(super) fn goes_through(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    output: &str,
    worker: &dyn Worker,
) -> bool {
    let staging = &attempt.context.settings.staging;
    worker.staging().is_some()
        && staging.has(&attempt.stage_offer.place.cloud)
        && (stays_in_place(planned, output)
            || is_read(&attempt.context.plan, staging, &planned.name, output))
}

/// The clouds whose buckets a plan or its alternatives need, and why they cannot be used, if this
/// machine knows: credentials are missing.
pub fn needed_buckets(plan: &Plan, staging: &Staging) -> BTreeMap<String, Option<String>> {
    let writes = |stage: &PlannedStage| {
        let has_staging = staging.has(&stage.place.cloud);
        has_staging
            && stage.writes.keys().any(|output| {
                stays_in_place(stage, output) || is_read(plan, staging, &stage.name, output)
            })
    };
    // Whoever reads it has a copy in the bucket of that place.
    let reads = |stage: &PlannedStage| {
        stage.reads.iter().any(|read| match read {
            ArtifactRef::Output { stage, .. } => {
                plan.stages.iter().any(|by| by.name == *stage && writes(by))
            }
            ArtifactRef::Dataset(_) => false,
        })
    };
    let stage_offers = |stage: &PlannedStage| -> Vec<PlaceName> {
        stage
            .alternatives
            .iter()
            .map(|stage_offer| stage_offer.place.clone())
            .chain([stage.place.clone()])
            .collect()
    };
    let places: BTreeSet<PlaceName> = plan
        .stages
        .iter()
        .filter(|stage| writes(stage) || reads(stage))
        .flat_map(stage_offers)
        .collect();
    let lacking_bucket = |place: PlaceName| {
        // Nobody is asked, so its name does not matter.
        let address = staging.address(&place, "", 0)?;
        let reason_of = |error: BucketError| {
            let error_words = error
                .message
                .replace(&address, &format!("the object store of {}", place.cloud));
            format!("{error_words}; {ELSE}")
        };
        Some((
            place.cloud.clone(),
            Bucket::open(&address, &place).err().map(reason_of),
        ))
    };
    places.into_iter().filter_map(lacking_bucket).collect()
}

/// Sends outputs to the bucket of the attempt's place.
pub(super) async fn send_outputs(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    names: &[String],
) -> Step<BTreeMap<String, Artifact>> {
    let mut sent = BTreeMap::new();
    if names.is_empty() {
        return Ok(sent);
    }
    let (context, place) = (attempt.context, &attempt.stage_offer.place);
    let parcels = patiently(attempt.patience(), || async {
        bucket_access(worker)?.measure(names).await
    })
    .await
    .map_err(StepError::Attempt)?;
    for (name, parcel) in names.iter().zip(parcels) {
        let bucket = match bucket_of_place(context, place).await? {
            Some(bucket) => bucket,
            None => {
                return Err(StepError::Attempt(ProviderError::new(
                    ErrorKind::Other,
                    format!("{place} has no bucket"),
                )));
            }
        };
        let measured_output = parcel.measured;
        let hex = measured_output.digest.hex();
        let pack_key = match measured_output.kind {
            Kind::File | Kind::Executable => hex.to_owned(),
            // Archives of equal folders are not equal: their files are of another time.
            Kind::Directory => format!("{hex}-{}", attempt.token.id),
        };
        let artifact = format!("{}.{name}", attempt.token.stage);
        announce_staging(attempt, &artifact, &measured_output.digest, place).await?;
        let sent_pack = SentPack {
            source: Source::Output(name),
            key: pack_key,
            most: parcel.packed,
            chunk: context.settings.chunk_bytes,
        };
        let (pack, moved, digests) = send_pack(attempt, worker, &bucket, &sent_pack)
            .await
            .map_err(StepError::Attempt)?;
        let has_changed = measured_output.kind != Kind::Directory
            && (pack.bytes != measured_output.bytes
                || digests.len() == 1 && digests[0] != measured_output.digest);
        if has_changed {
            let message = format!("output `{name}` was changed while it was read");
            return Err(StepError::Attempt(ProviderError::new(
                ErrorKind::Output,
                message,
            )));
        }
        record_staged(
            attempt,
            &artifact,
            &measured_output.digest,
            place,
            moved,
            &pack,
        )
        .await?;
        let staged = BTreeMap::from([(place.clone(), pack)]);
        let (digest, bytes, kind) = (
            measured_output.digest,
            measured_output.bytes,
            measured_output.kind,
        );
        let artifact = Artifact {
            digest,
            bytes,
            kind,
            attempt: attempt.token.attempt,
            staged,
            away: true,
        };
        sent.insert(name.clone(), artifact);
    }
    Ok(sent)
}

/// Has the machine fetch what lies in buckets, and brings home what it cannot fetch; the task's
/// inputs say so then.
pub(super) async fn bring_inputs(
    attempt: &Attempt<'_>,
    planned: &PlannedStage,
    worker: &dyn Worker,
    task: &mut Task,
) -> Step<()> {
    let context = attempt.context;
    // Else it would be known only when the command has done its work.
    if planned
        .writes
        .keys()
        .any(|output| goes_through(attempt, planned, output, worker))
    {
        if let Err(error) = check_bucket(attempt).await {
            let error = error.of_attempt()?;
            let message = format!("{}; {ELSE}", error.message);
            return Err(StepError::Attempt(ProviderError::new(error.kind, message)));
        }
        if context.settings.staging == Staging::Buckets
            && let Err(error) = patiently(attempt.patience(), || async {
                bucket_access(worker)?.measure(&[]).await
            })
            .await
        {
            return Err(StepError::Attempt(error));
        }
    }
    for (number, (read, _)) in input_names(&planned.reads).into_iter().enumerate() {
        let ArtifactRef::Output { .. } = read else {
            continue;
        };
        let Some(item) = task.inputs.get_mut(number) else {
            continue;
        };
        bring_input(attempt, worker, read, number, &mut item.content).await?;
    }
    Ok(())
}

/// Brings one input to the machine, or home: from wherever it is still what was written. If it is
/// nowhere, the attempt knows whose output is lost.
async fn bring_input(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    read: &ArtifactRef,
    number: usize,
    content: &mut Content,
) -> Step<()> {
    let context = attempt.context;
    let name = &read.to_string();
    let mut damaged_copy = None;
    loop {
        let Some(artifact) = context
            .recorder
            .read(|state| state.artifacts.get(name).cloned())
        else {
            return Ok(());
        };
        let home = context.objects.has(&artifact.digest, artifact.kind);
        if let Some(error) = damaged_copy.take_if(|_| !home && artifact.staged.is_empty()) {
            if let ArtifactRef::Output { stage, .. } = read {
                *attempt
                    .lost_input
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(stage.clone());
            }
            return Err(StepError::Attempt(error));
        }
        let bring_result = if worker.staging().is_some() && !artifact.staged.is_empty() {
            *content = Content::Fetched(artifact.kind);
            fetch_input(attempt, worker, name, number).await
        } else {
            *content = Content::Stored(context.objects.path(&artifact.digest, artifact.kind));
            if home {
                Ok(())
            } else {
                bring_home(context, name, attempt.patience()).await
            }
        };
        match bring_result {
            Err(StepError::Attempt(error)) if error.kind == ErrorKind::Damaged => {
                damaged_copy = Some(error);
            }
            done => return done,
        }
    }
}

/// Whether an artifact that is not at home can still be had, or is needed by nobody.
pub(super) async fn can_still_be_had(
    context: &Context,
    name: &str,
    artifact: &Artifact,
) -> Result<bool, Error> {
    for (place, pack) in &artifact.staged {
        let found_in_bucket = match bucket_of_place(context, place).await {
            Ok(Some(bucket)) => {
                let look_in_bucket = || async { pack_is_there(&bucket, pack).await };
                patiently(
                    Patience::UntilSignal(context.interrupt.clone()),
                    look_in_bucket,
                )
                .await?
            }
            Ok(None) => false,
            Err(error) => return Err(error.of_attempt()?.into()),
        };
        if found_in_bucket {
            return Ok(true);
        }
    }
    let read_by = |stage: &&PlannedStage| stage.reads.iter().any(|read| read.to_string() == name);
    let is_settled = |stage: &PlannedStage| context.settled.contains(&stage.name);
    Ok(is_gone(artifact) && context.plan.stages.iter().filter(read_by).all(is_settled))
}
