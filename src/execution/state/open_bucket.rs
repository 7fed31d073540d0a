//! Opening a state in a bucket for change.

use super::bucket::{Bucket, When};
use super::cipher::{Cipher, is_sealed};
use super::folder::{SNAPSHOT, empty};
use super::lock::{Lock, LockLost};
use super::objects::{Loaded, Objects, load, missing};
use super::opened::{Home, Log, Opened};
use super::segments::Segments;
use super::snapshot::{self, StateError};

/// How often a state is read anew because its former holder's last snapshot came in between.
const READ_ANEW: u32 = 3;

/// Opens the state for change, under the lock. The first time, an empty one is written.
pub(super) async fn open(
    bucket: &Bucket,
    cipher: &Cipher,
    lock: Option<&Lock>,
) -> Result<Opened, StateError> {
    let mut tries = 0;
    loop {
        let (mut opened, anew) = open_as_it_is(bucket, cipher, lock).await?;
        if !anew {
            return Ok(opened);
        }
        let serial = opened.state.serial;
        // After this, a snapshot that the former holder is about to write is refused: also one that
        // it had sent before it was killed, and that is still on its way.
        match opened.compact().await {
            Ok(()) => {
                opened.rewritten = Some(serial);
                return Ok(opened);
            }
            Err(error) if LockLost::of(&error).is_some() && tries < READ_ANEW => {
                // Either the lock is lost, or that snapshot has just arrived.
                opened.journal.check().await?;
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the state as it is, and tells whether its snapshot has to be written anew.
async fn open_as_it_is(
    bucket: &Bucket,
    cipher: &Cipher,
    lock: Option<&Lock>,
) -> Result<(Opened, bool), StateError> {
    let loaded = match load(bucket, cipher).await? {
        Some(loaded) => loaded,
        None => {
            let bytes = snapshot::encode(&mut empty(&bucket.url("")), cipher)?;
            bucket.put(SNAPSHOT, bytes, When::New).await?;
            load(bucket, cipher).await?.ok_or_else(|| missing(bucket))?
        }
    };
    let Loaded { found, state, tail } = loaded;
    let (url, sealed) = (bucket.url(SNAPSHOT), is_sealed(&found.bytes));
    let in_form = snapshot::in_form(sealed, &url, cipher)?
        && (!tail.decoded.plain || snapshot::in_form(false, &url, cipher)?)
        && (!tail.decoded.sealed || snapshot::in_form(true, &url, cipher)?);
    let for_others = snapshot::for_others(sealed, &state, cipher);
    let journal_position = (state.journal_sequence, tail.names, tail.length);
    let segments = Segments::open(
        bucket.patiently(),
        cipher.clone(),
        lock.map(Lock::fence),
        journal_position,
    );
    let (bucket, cipher) = (bucket.patiently(), cipher.clone());
    let home = Home::Bucket(Objects {
        bucket,
        cipher,
        version: found.version,
        bytes: found.bytes,
    });
    let former_lock = lock.and_then(|lock| lock.former.clone());
    let anew = !in_form || for_others || former_lock.is_some();
    let mut warnings: Vec<String> = former_lock.into_iter().map(|former| former.words).collect();
    warnings.extend(for_others.then(|| snapshot::SEALED_ANEW.to_owned()));
    let opened_state = Opened {
        state,
        journal: Log::Segments(segments),
        warnings,
        rewritten: None,
        home,
    };
    Ok((opened_state, anew))
}
