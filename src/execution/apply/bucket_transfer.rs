//! Packs on their way between machines, buckets and home: every step is announced in the journal,
//! and what arrived is compared with what was written.

use super::Error;
use super::attempt::Attempt;
use super::buckets::{VALID, as_call, bucket_of_place};
use super::calls::{Patience, patiently};
use super::context::Context;
use super::notice::Notice;
use super::step_error::{Step, StepError};
use crate::execution::provider::{
    self, Delivery, ErrorKind, Fetch, Moved, Nodes, ProviderError, Source, Worker,
};
use crate::execution::state::Artifact;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::storage::bucket::{Bucket, Purpose};
use crate::execution::storage::pack::{bring, there};
use crate::model::{Pack, PlaceName, pack};
use crate::util::crash;
use crate::util::hash::Digest;
use std::io;
use std::time::Duration;

/// Addresses are valid for longer than usual by a second for each so many bytes,
const PACE: u64 = 4_000_000;
/// but never longer than a store allows (S3: seven days).
const LONGEST: Duration = Duration::from_secs(6 * 86_400);

/// What a worker does with buckets; an error: it cannot use them.
pub(super) fn bucket_access(worker: &dyn Worker) -> Result<&dyn provider::Staging, ProviderError> {
    worker
        .staging()
        .ok_or_else(|| ProviderError::new(ErrorKind::Other, "this machine cannot use buckets"))
}

/// What is sent, and under which name.
pub(super) struct SentPack<'a> {
    pub source: Source<'a>,
    pub key: String,
    /// The most that it is, in bytes.
    pub most: u64,
    pub chunk: u64,
}

/// Sends a pack, until all of it is there; how many bytes were moved for it, and the digests of its
/// chunks.
pub(super) async fn send_pack(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    bucket: &Bucket,
    sent: &SentPack<'_>,
) -> Result<(Pack, u64, Vec<Digest>), ProviderError> {
    let count = sent.most.div_ceil(sent.chunk).max(1);
    let keys: Vec<String> = (0..count)
        .map(|number| pack::object(&sent.key, number))
        .collect();
    let validity = url_validity(sent.most);
    let sending = || async {
        let sizes = bucket.sizes(&sent.key).await.map_err(as_call)?;
        let signed = bucket
            .sign(Purpose::Write, &keys, validity)
            .await
            .map_err(as_call)?;
        let chunks_there = (0..count).map(|number| sizes.get(&pack::chunk(number)).copied());
        let chunks = signed.into_iter().zip(chunks_there).collect();
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
        } = bucket_access(worker)?
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
        match pack_is_there(bucket, &pack).await? {
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

pub(super) async fn pack_is_there(bucket: &Bucket, pack: &Pack) -> Result<bool, ProviderError> {
    there(bucket, pack).await.map_err(as_call)
}

fn url_validity(bytes: u64) -> Duration {
    (VALID + Duration::from_secs(bytes / PACE)).min(LONGEST)
}

/// Announces that an artifact is being sent to the bucket of a place.
pub(super) async fn announce_staging(
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

/// Writes down that an artifact lies in the bucket of a place.
pub(super) async fn record_staged(
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

/// Discards what a bucket has of an artifact: it is not what was written.
async fn discard_damaged_pack(
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
pub(super) async fn fetch_input(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    name: &str,
    input: usize,
) -> Step<()> {
    let (context, here) = (attempt.context, &attempt.stage_offer.place);
    let transfer_lock = context.buckets.transfer_lock(name, here);
    let _alone = transfer_lock.lock().await;
    let artifact = context
        .recorder
        .read(|state| state.artifacts.get(name).cloned());
    // Somebody may have brought it here meanwhile.
    let artifact = artifact.ok_or_else(|| Error::Bug(format!("`{name}` is not in the state")))?;
    let staged_copy = artifact
        .staged
        .get_key_value(here)
        .or_else(|| artifact.staged.first_key_value());
    let Some((from, pack)) = staged_copy else {
        return Err(StepError::Attempt(deleted_with_bucket(name)));
    };
    let from_bucket = match bucket_of_place(context, from).await? {
        Some(bucket) => bucket,
        None => return Err(StepError::Attempt(deleted_with_bucket(name))),
    };
    let nodes = if from == here {
        Nodes::All
    } else {
        Nodes::First
    };
    let source_pack = (&from_bucket, from, pack);
    fetch_from(attempt, worker, source_pack, (name, input), nodes).await?;
    if from == here {
        return Ok(());
    }
    let gang = worker.nodes() > 1;
    let copied_to = match bucket_of_place(context, here).await? {
        Some(bucket) => {
            leave_input_in(&bucket, attempt, worker, (name, input), (&artifact, pack)).await?;
            Some(bucket)
        }
        None => None,
    };
    match &copied_to {
        _ if !gang => Ok(()),
        Some(bucket) => {
            let local_pack = (bucket, here, pack);
            fetch_from(attempt, worker, local_pack, (name, input), Nodes::Others).await
        }
        None => fetch_from(attempt, worker, source_pack, (name, input), Nodes::Others).await,
    }
}

/// Sends an input that was fetched to the bucket of the attempt's place, for all others there.
async fn leave_input_in(
    bucket: &Bucket,
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    (name, input): (&str, usize),
    (artifact, pack): (&Artifact, &Pack),
) -> Step<()> {
    let home_place = &attempt.stage_offer.place;
    announce_staging(attempt, name, &artifact.digest, home_place).await?;
    let sent = SentPack {
        source: Source::Input(input),
        key: pack.key.clone(),
        most: pack.bytes,
        chunk: pack.chunk_bytes,
    };
    let (copy, moved, _) = send_pack(attempt, worker, bucket, &sent)
        .await
        .map_err(StepError::Attempt)?;
    if copy != *pack {
        let message = format!(
            "input `{name}` was changed while it was copied to {}",
            bucket.address()
        );
        let output_changed = ProviderError::new(ErrorKind::Other, message);
        return Err(StepError::Attempt(output_changed));
    }
    record_staged(attempt, name, &artifact.digest, home_place, moved, pack).await?;
    Ok(())
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
    let mut bytes_moved = 0;
    let mut whole_pack = false;
    // What came over a bad line is fetched once more; what lies there wrong is not used.
    for again in ["", "-again"] {
        let fetch_result = fetch_once(attempt, worker, (bucket, pack), (input, again), nodes)
            .await
            .map_err(StepError::Attempt)?;
        bytes_moved += fetch_result.moved;
        whole_pack =
            fetch_result.bytes == pack.bytes && pack::digest(&fetch_result.digests) == pack.digest;
        if whole_pack {
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
                moved: bytes_moved,
            },
            Durability::Now,
        )
        .await?;
    if !whole_pack {
        let pack_address = format!("{}/{}", bucket.address(), pack.key);
        let message = format!(
            "input `{name}`: {pack_address} is not what was written: somebody has changed it"
        );
        discard_damaged_pack(attempt.context, name, bucket, &place, pack).await?;
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
            .sign(Purpose::Read, &keys, url_validity(pack.bytes))
            .await
            .map_err(as_call)?;
        let fetch_mark = format!("{}{again}", pack.digest);
        crash::point("fetch before");
        let fetch = Fetch {
            nodes,
            input,
            mark: fetch_mark,
            chunk_bytes: pack.chunk_bytes,
            chunks,
        };
        let fetch_result = bucket_access(worker)?.fetch(&fetch).await;
        crash::point("fetch after");
        fetch_result
    };
    patiently(attempt.patience(), fetching).await
}

fn deleted_with_bucket(name: &str) -> ProviderError {
    let message = format!(
        "`{name}` was deleted with its bucket when an earlier apply was done: `sky destroy`, then apply again, makes it anew"
    );
    ProviderError::new(ErrorKind::Other, message)
}

/// Brings an artifact from a bucket into the store of the state folder.
pub(super) async fn bring_home(context: &Context, name: &str, patience: Patience) -> Step<()> {
    let transfer_lock = context.buckets.transfer_lock(name, &PlaceName::here());
    let _alone = transfer_lock.lock().await;
    let artifact = context
        .recorder
        .read(|state| state.artifacts.get(name).cloned());
    let artifact = artifact.ok_or_else(|| Error::Bug(format!("`{name}` is not in the state")))?;
    if context.objects.has(&artifact.digest, artifact.kind) {
        return Ok(());
    }
    let Some((from, pack)) = artifact.staged.first_key_value() else {
        return Err(StepError::Attempt(deleted_with_bucket(name)));
    };
    let bucket = match bucket_of_place(context, from).await? {
        Some(bucket) => bucket,
        None => return Err(StepError::Attempt(deleted_with_bucket(name))),
    };
    let bringing = || async {
        bring(&bucket, pack, artifact.kind, &context.objects)
            .await
            .map_err(as_call)
    };
    let measured_content = match patiently(patience, bringing).await {
        Ok(measured) => measured,
        Err(error) => {
            if error.kind == ErrorKind::Damaged {
                discard_damaged_pack(context, name, &bucket, from, pack).await?;
            }
            return Err(StepError::Attempt(error));
        }
    };
    if measured_content.digest != artifact.digest {
        let message = format!(
            "`{name}` from {} is not what was written there",
            bucket.address()
        );
        discard_damaged_pack(context, name, &bucket, from, pack).await?;
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

/// Brings an output home that the plan brings there and that is in a bucket so far; whether it is
/// there now.
pub(super) async fn deliver_home(context: &Context, name: &str) -> Step<()> {
    bring_home(
        context,
        name,
        Patience::UntilSignal(context.interrupt.clone()),
    )
    .await
}
