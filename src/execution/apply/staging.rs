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
use super::buckets::{VALID, as_call, bucket, usable};
use super::calls::{Patience, patiently};
use super::collected::is_gone;
use super::context::Context;
use super::notice::Notice;
use super::step_error::{Step, StepError, of_attempt};
use crate::execution::provider::{
    self, Content, Delivery, ErrorKind, Fetch, Moved, Nodes, ProviderError, Source, Task, Worker,
};
use crate::execution::state::Artifact;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::standing::input_names;
use crate::execution::storage::Staging;
use crate::execution::storage::bucket::{Bucket, BucketError, Purpose};
use crate::execution::storage::pack::{bring, there};
use crate::model::{ArtifactRef, Destination, Pack, PlaceName, pack};
use crate::plan::{Plan, PlannedStage};
use crate::util::crash;
use crate::util::hash::Digest;
use crate::util::tree::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

/// The size of chunks, in MiB: the few that are on their way fit on every machine's disk beside the
/// data, and one is soon sent again.
pub const CHUNK_MIB: u64 = 64;
/// Addresses are valid for longer than usual by a second for each so many bytes,
const PACE: u64 = 4_000_000;
/// but never longer than a store allows (S3: seven days).
const LONGEST: Duration = Duration::from_secs(6 * 86_400);

/// What one may do without buckets.
const ELSE: &str = "or give --staging home: data then goes through this machine, at a price for what leaves a cloud that is not in the plan";

/// Whether somebody reads an output from a bucket.
fn is_read(plan: &Plan, staging: &Staging, stage: &str, output: &str) -> bool {
    let read = ArtifactRef::Output {
        stage: stage.to_owned(),
        name: output.to_owned(),
    };
    plan.stages
        .iter()
        .any(|reader| reader.reads.contains(&read) && staging.has(&reader.place.cloud))
}

/// Whether an output stays in the place where it is made.
fn stays(planned: &PlannedStage, output: &str) -> bool {
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
        && (stays(planned, output)
            || is_read(&attempt.context.plan, staging, &planned.name, output))
}

/// What a worker does with buckets; an error: it cannot use them.
fn with_buckets(worker: &dyn Worker) -> Result<&dyn provider::Staging, ProviderError> {
    worker
        .staging()
        .ok_or_else(|| ProviderError::new(ErrorKind::Other, "this machine cannot use buckets"))
}

/// Brings an output home that the plan brings there and that is in a bucket so far; whether it is
/// there now.
pub(super) async fn deliver(context: &Context, name: &str) -> Step<()> {
    bring_home(
        context,
        name,
        Patience::UntilSignal(context.interrupt.clone()),
    )
    .await
}

/// The clouds whose buckets a plan or its alternatives need, and why they cannot be used, if this
/// machine knows: credentials are missing.
pub fn lacking(plan: &Plan, staging: &Staging) -> BTreeMap<String, Option<String>> {
    let writes = |stage: &PlannedStage| {
        let has = staging.has(&stage.place.cloud);
        has && stage
            .writes
            .keys()
            .any(|output| stays(stage, output) || is_read(plan, staging, &stage.name, output))
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
    let lacks = |place: PlaceName| {
        // Nobody is asked, so its name does not matter.
        let address = staging.address(&place, "", 0)?;
        let why = |error: BucketError| {
            let said = error
                .message
                .replace(&address, &format!("the object store of {}", place.cloud));
            format!("{said}; {ELSE}")
        };
        Some((
            place.cloud.clone(),
            Bucket::open(&address, &place).err().map(why),
        ))
    };
    places.into_iter().filter_map(lacks).collect()
}

/// Sends outputs to the bucket of the attempt's place.
pub(super) async fn outputs(
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
        with_buckets(worker)?.measure(names).await
    })
    .await
    .map_err(StepError::Attempt)?;
    for (name, parcel) in names.iter().zip(parcels) {
        let bucket = match bucket(context, place).await? {
            Some(bucket) => bucket,
            None => {
                return Err(StepError::Attempt(ProviderError::new(
                    ErrorKind::Other,
                    format!("{place} has no bucket"),
                )));
            }
        };
        let measured = parcel.measured;
        let hex = measured.digest.hex();
        let key = match measured.kind {
            Kind::File | Kind::Executable => hex.to_owned(),
            // Archives of equal folders are not equal: their files are of another time.
            Kind::Directory => format!("{hex}-{}", attempt.token.id),
        };
        let artifact = format!("{}.{name}", attempt.token.stage);
        announce(attempt, &artifact, &measured.digest, place).await?;
        let what = Sent {
            source: Source::Output(name),
            key,
            most: parcel.packed,
            chunk: context.settings.chunk_bytes,
        };
        let (pack, moved, digests) = send(attempt, worker, &bucket, &what)
            .await
            .map_err(StepError::Attempt)?;
        let changed = measured.kind != Kind::Directory
            && (pack.bytes != measured.bytes
                || digests.len() == 1 && digests[0] != measured.digest);
        if changed {
            let message = format!("output `{name}` was changed while it was read");
            return Err(StepError::Attempt(ProviderError::new(
                ErrorKind::Output,
                message,
            )));
        }
        told(attempt, &artifact, &measured.digest, place, moved, &pack).await?;
        let staged = BTreeMap::from([(place.clone(), pack)]);
        let (digest, bytes, kind) = (measured.digest, measured.bytes, measured.kind);
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

/// What is sent, and under which name.
struct Sent<'a> {
    source: Source<'a>,
    key: String,
    /// The most that it is, in bytes.
    most: u64,
    chunk: u64,
}

/// Sends a pack, until all of it is there; how many bytes were moved for it, and the digests of its
/// chunks.
async fn send(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    bucket: &Bucket,
    sent: &Sent<'_>,
) -> Result<(Pack, u64, Vec<Digest>), ProviderError> {
    let count = sent.most.div_ceil(sent.chunk).max(1);
    let keys: Vec<String> = (0..count)
        .map(|number| pack::object(&sent.key, number))
        .collect();
    let validity = validity(sent.most);
    let sending = || async {
        let sizes = bucket.sizes(&sent.key).await.map_err(as_call)?;
        let signed = bucket
            .sign(Purpose::Write, &keys, validity)
            .await
            .map_err(as_call)?;
        let there = (0..count).map(|number| sizes.get(&pack::chunk(number)).copied());
        let chunks = signed.into_iter().zip(there).collect();
        let delivery = Delivery {
            chunk_bytes: sent.chunk,
            header: bucket.header(),
            chunks,
        };
        crash::point("send before");
        let Moved {
            digests,
            bytes,
            moved,
        } = with_buckets(worker)?
            .deliver(sent.source, &delivery)
            .await?;
        crash::point("send after");
        let digest = pack::digest(&digests);
        let pack = Pack {
            key: sent.key.clone(),
            bytes,
            chunk_bytes: sent.chunk,
            digest,
        };
        match there_is(bucket, &pack).await? {
            true => Ok((pack, moved, digests)),
            false => {
                let message = format!(
                    "{}/{} is not whole after all of it was sent",
                    bucket.address(),
                    pack.key
                );
                Err(ProviderError::new(ErrorKind::Unreachable, message))
            }
        }
    };
    patiently(attempt.patience(), sending).await
}

async fn there_is(bucket: &Bucket, pack: &Pack) -> Result<bool, ProviderError> {
    there(bucket, pack).await.map_err(as_call)
}

fn validity(bytes: u64) -> Duration {
    (VALID + Duration::from_secs(bytes / PACE)).min(LONGEST)
}

async fn announce(
    attempt: &Attempt<'_>,
    artifact: &str,
    digest: &Digest,
    place: &PlaceName,
) -> io::Result<()> {
    let event = Event::Staging {
        stage: attempt.token.stage.clone(),
        token: attempt.token.id.clone(),
        artifact: artifact.to_owned(),
        digest: digest.clone(),
        place: place.clone(),
    };
    attempt
        .context
        .recorder
        .record(event, Durability::Now)
        .await
}

async fn told(
    attempt: &Attempt<'_>,
    artifact: &str,
    digest: &Digest,
    place: &PlaceName,
    moved: u64,
    pack: &Pack,
) -> io::Result<()> {
    let event = Event::Staged {
        stage: attempt.token.stage.clone(),
        token: attempt.token.id.clone(),
        artifact: artifact.to_owned(),
        digest: digest.clone(),
        place: place.clone(),
        moved,
        pack: pack.clone(),
    };
    attempt
        .context
        .recorder
        .record(event, Durability::Now)
        .await
}

/// Has the machine fetch what lies in buckets, and brings home what it cannot fetch; the task's
/// inputs say so then.
pub(super) async fn inputs(
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
        if let Err(error) = of_attempt(usable(attempt).await)? {
            let message = format!("{}; {ELSE}", error.message);
            return Err(StepError::Attempt(ProviderError::new(error.kind, message)));
        }
        if context.settings.staging == Staging::Buckets
            && let Err(error) = patiently(attempt.patience(), || async {
                with_buckets(worker)?.measure(&[]).await
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
        input(attempt, worker, read, number, &mut item.content).await?;
    }
    Ok(())
}

/// Brings one input to the machine, or home: from wherever it is still what was written. If it is
/// nowhere, the attempt knows whose output is lost.
async fn input(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    read: &ArtifactRef,
    number: usize,
    content: &mut Content,
) -> Step<()> {
    let context = attempt.context;
    let name = &read.to_string();
    let mut damaged = None;
    loop {
        let Some(artifact) = context
            .recorder
            .read(|state| state.artifacts.get(name).cloned())
        else {
            return Ok(());
        };
        let home = context.objects.has(&artifact.digest, artifact.kind);
        if let Some(error) = damaged.take_if(|_| !home && artifact.staged.is_empty()) {
            if let ArtifactRef::Output { stage, .. } = read {
                *attempt
                    .lost_input
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(stage.clone());
            }
            return Err(StepError::Attempt(error));
        }
        let done = if worker.staging().is_some() && !artifact.staged.is_empty() {
            *content = Content::Fetched(artifact.kind);
            fetch(attempt, worker, name, number).await
        } else {
            *content = Content::Stored(context.objects.path(&artifact.digest, artifact.kind));
            if home {
                Ok(())
            } else {
                bring_home(context, name, attempt.patience()).await
            }
        };
        match done {
            Err(StepError::Attempt(error)) if error.kind == ErrorKind::Damaged => {
                damaged = Some(error);
            }
            done => return done,
        }
    }
}

/// Discards what a bucket has of an artifact: it is not what was written.
async fn discard(
    context: &Context,
    name: &str,
    bucket: &Bucket,
    place: &PlaceName,
    pack: &Pack,
) -> Result<(), Error> {
    let message = format!(
        "`{name}`: {}/{} is not what was written: somebody has changed it; it is discarded, and made or fetched again",
        bucket.address(),
        pack.key
    );
    context.observer.notice(&Notice::Warning { message });
    let discarded = Event::Discarded {
        artifact: name.to_owned(),
        place: place.clone(),
    };
    context.recorder.record(discarded, Durability::Now).await?;
    // What is sent there again must not find any of it.
    let patience = Patience::UntilSignal(context.interrupt.clone());
    let removed = patiently(patience, || async {
        bucket.remove(&pack.key).await.map_err(as_call)
    })
    .await;
    Ok(removed?)
}

/// Has the machine fetch one input, and leave a copy in its place's bucket.
async fn fetch(attempt: &Attempt<'_>, worker: &dyn Worker, name: &str, input: usize) -> Step<()> {
    let (context, here) = (attempt.context, &attempt.stage_offer.place);
    let alone = context.buckets.alone(name, here);
    let _alone = alone.lock().await;
    let artifact = context
        .recorder
        .read(|state| state.artifacts.get(name).cloned());
    // Somebody may have brought it here meanwhile.
    let artifact = artifact.ok_or_else(|| Error::Bug(format!("`{name}` is not in the state")))?;
    let found = artifact
        .staged
        .get_key_value(here)
        .or_else(|| artifact.staged.first_key_value());
    let Some((from, pack)) = found else {
        return Err(StepError::Attempt(gone(name)));
    };
    let from_bucket = match bucket(context, from).await? {
        Some(bucket) => bucket,
        None => return Err(StepError::Attempt(gone(name))),
    };
    let nodes = if from == here {
        Nodes::All
    } else {
        Nodes::First
    };
    let there = (&from_bucket, from, pack);
    fetch_from(attempt, worker, there, (name, input), nodes).await?;
    if from == here {
        return Ok(());
    }
    let gang = worker.nodes() > 1;
    let bucket = match bucket(context, here).await? {
        Some(bucket) => bucket,
        None if gang => {
            return fetch_from(attempt, worker, there, (name, input), Nodes::Others).await;
        }
        None => return Ok(()),
    };
    announce(attempt, name, &artifact.digest, here).await?;
    let (key, most, chunk) = (pack.key.clone(), pack.bytes, pack.chunk_bytes);
    let sent = Sent {
        source: Source::Input(input),
        key,
        most,
        chunk,
    };
    match send(attempt, worker, &bucket, &sent).await {
        Ok((copy, moved, _)) if copy == *pack => {
            told(attempt, name, &artifact.digest, here, moved, pack).await?;
            match gang {
                true => {
                    fetch_from(
                        attempt,
                        worker,
                        (&bucket, here, pack),
                        (name, input),
                        Nodes::Others,
                    )
                    .await
                }
                false => Ok(()),
            }
        }
        Ok(_) => {
            let message = format!(
                "input `{name}` was changed while it was copied to {}",
                bucket.address()
            );
            Err(StepError::Attempt(ProviderError::new(
                ErrorKind::Other,
                message,
            )))
        }
        Err(error) => Err(StepError::Attempt(error)),
    }
}

/// Has machines fetch an input from one bucket, and looks whether it is what was written there.
async fn fetch_from(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    (bucket, from, pack): (&Bucket, &PlaceName, &Pack),
    (name, input): (&str, usize),
    nodes: Nodes,
) -> Step<()> {
    let recorder = &attempt.context.recorder;
    let (stage, token, artifact) = (
        attempt.token.stage.clone(),
        attempt.token.id.clone(),
        name.to_owned(),
    );
    let (from, place) = (from.clone(), from.clone());
    let fetching = Event::Fetching {
        stage: stage.clone(),
        token: token.clone(),
        artifact: artifact.clone(),
        from: from.clone(),
    };
    recorder.record(fetching, Durability::Now).await?;
    let mut moved = 0;
    let mut whole = false;
    // What came over a bad line is fetched once more; what lies there wrong is not used.
    for again in ["", "-again"] {
        let fetched = fetch_once(attempt, worker, (bucket, pack), (input, again), nodes)
            .await
            .map_err(StepError::Attempt)?;
        moved += fetched.moved;
        whole = fetched.bytes == pack.bytes && pack::digest(&fetched.digests) == pack.digest;
        if whole {
            break;
        }
    }
    recorder
        .record(
            Event::Fetched {
                stage,
                token,
                artifact,
                from,
                moved,
            },
            Durability::Now,
        )
        .await?;
    if !whole {
        let at = format!("{}/{}", bucket.address(), pack.key);
        let message =
            format!("input `{name}`: {at} is not what was written: somebody has changed it");
        discard(attempt.context, name, bucket, &place, pack).await?;
        return Err(StepError::Attempt(ProviderError::new(
            ErrorKind::Damaged,
            message,
        )));
    }
    Ok(())
}

async fn fetch_once(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    (bucket, pack): (&Bucket, &Pack),
    (input, again): (usize, &str),
    nodes: Nodes,
) -> Result<Moved, ProviderError> {
    let keys = pack.objects();
    let fetching = || async {
        let chunks = bucket
            .sign(Purpose::Read, &keys, validity(pack.bytes))
            .await
            .map_err(as_call)?;
        let mark = format!("{}{again}", pack.digest);
        crash::point("fetch before");
        let fetch = Fetch {
            nodes,
            input,
            mark,
            chunk_bytes: pack.chunk_bytes,
            chunks,
        };
        let fetched = with_buckets(worker)?.fetch(&fetch).await;
        crash::point("fetch after");
        fetched
    };
    patiently(attempt.patience(), fetching).await
}

fn gone(name: &str) -> ProviderError {
    let message = format!(
        "`{name}` was deleted with its bucket when an earlier apply was done: `sky destroy`, then apply again, makes it anew"
    );
    ProviderError::new(ErrorKind::Other, message)
}

/// Brings an artifact from a bucket into the store of the state folder.
async fn bring_home(context: &Context, name: &str, patience: Patience) -> Step<()> {
    let alone = context.buckets.alone(name, &PlaceName::here());
    let _alone = alone.lock().await;
    let artifact = context
        .recorder
        .read(|state| state.artifacts.get(name).cloned());
    let artifact = artifact.ok_or_else(|| Error::Bug(format!("`{name}` is not in the state")))?;
    if context.objects.has(&artifact.digest, artifact.kind) {
        return Ok(());
    }
    let Some((from, pack)) = artifact.staged.first_key_value() else {
        return Err(StepError::Attempt(gone(name)));
    };
    let bucket = match bucket(context, from).await? {
        Some(bucket) => bucket,
        None => return Err(StepError::Attempt(gone(name))),
    };
    let bringing = || async {
        bring(&bucket, pack, artifact.kind, &context.objects)
            .await
            .map_err(as_call)
    };
    let measured = match patiently(patience, bringing).await {
        Ok(measured) => measured,
        Err(error) => {
            if error.kind == ErrorKind::Damaged {
                discard(context, name, &bucket, from, pack).await?;
            }
            return Err(StepError::Attempt(error));
        }
    };
    if measured.digest != artifact.digest {
        let message = format!(
            "`{name}` from {} is not what was written there",
            bucket.address()
        );
        discard(context, name, &bucket, from, pack).await?;
        return Err(StepError::Attempt(ProviderError::new(
            ErrorKind::Damaged,
            message,
        )));
    }
    let (artifact, digest) = (name.to_owned(), artifact.digest);
    let brought = Event::Brought {
        artifact,
        digest,
        from: from.clone(),
        moved: pack.bytes,
    };
    context.recorder.record(brought, Durability::Now).await?;
    Ok(())
}

/// Whether an artifact that is not at home can still be had, or is needed by nobody.
pub(super) async fn to_be_had(
    context: &Context,
    name: &str,
    artifact: &Artifact,
) -> Result<bool, Error> {
    for (place, pack) in &artifact.staged {
        let found = match of_attempt(bucket(context, place).await)? {
            Ok(Some(bucket)) => {
                let look = || async { there_is(&bucket, pack).await };
                patiently(Patience::UntilSignal(context.interrupt.clone()), look).await
            }
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        if found? {
            return Ok(true);
        }
    }
    let read_by = |stage: &&PlannedStage| stage.reads.iter().any(|read| read.to_string() == name);
    let settled = |stage: &PlannedStage| context.settled.contains(&stage.name);
    Ok(is_gone(artifact) && context.plan.stages.iter().filter(read_by).all(settled))
}
