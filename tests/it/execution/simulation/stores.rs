//! Simulated object stores: for the state, through the crate's interface, and for data between
//! stages.

use super::case::Trouble;
use super::world::World;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use sky::execution::provider::{ErrorKind, ProviderError};
use sky::execution::storage::bucket::{
    BucketError, Contents, Purpose, Store, Stores, Trouble as Kind,
};
use sky::util::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest that the store of the state takes to answer: later, its client would have given up.
pub(super) const ANSWER: Duration = Duration::from_secs(25);

/// How often its client makes a call.
const TRIES: usize = 8;
/// Between two of these.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long its client waits for an answer that does not come.
const NO_ANSWER: Duration = Duration::from_secs(5);
/// How long its client tries to reach it, at most.
const OUTAGE: Duration = Duration::from_secs(60);

/// The store that has the state.
#[derive(Clone)]
pub(super) struct SlowStore {
    inner: Arc<InMemory>,
    world: Arc<World>,
}

impl SlowStore {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self {
            inner: Arc::default(),
            world: world.clone(),
        }
    }

    /// Makes a call, which once it is on its way is made whatever becomes of its maker. As the
    /// clients of object stores do, it is made again when it is refused for the moment, or when
    /// there is no answer; a store that is out of reach for long is an error.
    async fn call<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        effect: impl Fn() -> F,
    ) -> Result<T> {
        for _ in 0..TRIES {
            match self.way() {
                Way::Through => return self.call_once(effect()).await,
                Way::Refused => {}
                Way::Lost => tokio::time::sleep(NO_ANSWER).await,
                Way::AnswerLost => {
                    // What came of it is not known.
                    let _ = self.call_once(effect()).await;
                    tokio::time::sleep(NO_ANSWER).await;
                }
                Way::OutOfReach => {
                    tokio::time::sleep(OUTAGE).await;
                    break;
                }
            }
            tokio::time::sleep(BACKOFF).await;
        }
        self.world.tell("the store of the state cannot be reached");
        Err(Error::Generic {
            store: "simulation",
            source: "it cannot be reached".into(),
        })
    }

    /// What becomes of a call.
    fn way(&self) -> Way {
        let drawn = self.world.store_chance().below(1000);
        if !self.world.case.has(Trouble::StoreFails) || self.world.is_calm() {
            return Way::Through;
        }
        match drawn {
            0..=49 => Way::Refused,
            50..=69 => Way::Lost,
            70..=99 => Way::AnswerLost,
            100..=102 => Way::OutOfReach,
            _ => Way::Through,
        }
    }

    /// Notes that a snapshot is on its way: whoever is to be killed then is.
    fn note_snapshot(&self, location: &Path) {
        if location.filename() == Some("sky.state.json") {
            let (sender, sent) = &self.world.snapshots;
            sender.send(*sent.borrow() + 1);
        }
    }

    async fn call_once<T: Send + 'static>(
        &self,
        effect: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (world, most) = (&self.world, ANSWER / 2);
        let (there, back) = (
            world.delay(Trouble::SlowStore, most),
            world.delay(Trouble::SlowStore, most),
        );
        let done = if there.is_zero() {
            effect.await
        } else {
            let sent = async move {
                tokio::time::sleep(there).await;
                effect.await
            };
            tokio::spawn(sent).await.unwrap()
        };
        if !back.is_zero() {
            tokio::time::sleep(back).await;
        }
        done
    }
}

/// How a call to the store of the state goes.
enum Way {
    Through,
    /// For being one of too many.
    Refused,
    Lost,
    AnswerLost,
    OutOfReach,
}

impl fmt::Debug for SlowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a simulated store")
    }
}

impl fmt::Display for SlowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a simulated store")
    }
}

#[async_trait]
impl ObjectStore for SlowStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.note_snapshot(location);
        self.call(|| {
            let (inner, location) = (self.inner.clone(), location.clone());
            let (payload, opts) = (payload.clone(), opts.clone());
            async move { inner.put_opts(&location, payload, opts).await }
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "multipart".into(),
            implementer: "simulation".into(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(|| {
            let (inner, location) = (self.inner.clone(), location.clone());
            let options = options.clone();
            async move { inner.get_opts(&location, options).await }
        })
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                store
                    .call(|| {
                        let (inner, gone) = (store.inner.clone(), location.clone());
                        async move { inner.delete(&gone).await }
                    })
                    .await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(|| {
            let (inner, prefix) = (self.inner.clone(), prefix.cloned());
            async move { inner.list_with_delimiter(prefix.as_ref()).await }
        })
        .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The object stores for data between stages.
pub(super) struct Buckets(pub Arc<World>);

impl Stores for Buckets {
    fn open(&self, address: &str) -> Arc<dyn Store> {
        Arc::new(Bucket {
            address: address.to_owned(),
            world: self.0.clone(),
        })
    }

    fn list(&self, cloud: &str) -> Vec<String> {
        let scheme = match cloud {
            "aws" => "s3://",
            "gcp" => "gs://",
            _ => "az://",
        };
        self.0
            .buckets()
            .keys()
            .filter_map(|address| address.strip_prefix(scheme))
            .map(str::to_owned)
            .collect()
    }
}

struct Bucket {
    address: String,
    world: Arc<World>,
}

impl Bucket {
    async fn call<T: Send + 'static>(
        &self,
        what: &str,
        effect: impl FnOnce(&World) -> Option<T> + Send + 'static,
    ) -> std::result::Result<T, BucketError> {
        let failed = |kind, message: String| BucketError { kind, message };
        match self
            .world
            .call(
                || format!("{what} {}", self.address),
                |world| Ok(effect(world)),
            )
            .await
        {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(failed(
                Kind::Missing,
                format!("{}: there is no such thing", self.address),
            )),
            Err(error) => Err(failed(Kind::Passing, error.message)),
        }
    }
}

#[async_trait]
impl Store for Bucket {
    async fn make(&self, _: &str) -> std::result::Result<(), BucketError> {
        let address = self.address.clone();
        self.call("make", move |world| {
            world.buckets().entry(address).or_default();
            Some(())
        })
        .await
    }

    async fn sizes(&self, folder: &str) -> std::result::Result<BTreeMap<String, u64>, BucketError> {
        let (address, folder) = (self.address.clone(), format!("{folder}/"));
        self.call("sizes", move |world| {
            let buckets = world.buckets();
            let objects = buckets.get(&address)?.iter();
            let size = |(key, bytes): (&String, &Vec<u8>)| {
                Some((key.strip_prefix(&folder)?.to_owned(), bytes.len() as u64))
            };
            Some(objects.filter_map(size).collect())
        })
        .await
    }

    async fn remove(&self, folder: &str) -> std::result::Result<(), BucketError> {
        let (address, folder) = (self.address.clone(), format!("{folder}/"));
        self.call("remove", move |world| {
            world
                .buckets()
                .get_mut(&address)?
                .retain(|key, _| !key.starts_with(&folder));
            Some(())
        })
        .await
    }

    async fn read(&self, key: &str) -> std::result::Result<Vec<u8>, BucketError> {
        let (address, key) = (self.address.clone(), key.to_owned());
        self.call("read", move |world| {
            world.buckets().get(&address)?.get(&key).cloned()
        })
        .await
    }

    async fn sign(
        &self,
        _: Purpose,
        keys: &[String],
        _: Duration,
    ) -> std::result::Result<Vec<Secret>, BucketError> {
        Ok(keys
            .iter()
            .map(|key| Secret::new(format!("{}\n{key}", self.address)))
            .collect())
    }

    async fn contents(&self) -> std::result::Result<Contents, BucketError> {
        let address = self.address.clone();
        self.call("contents", move |world| {
            let buckets = world.buckets();
            let objects = buckets.get(&address)?;
            Some(Contents {
                objects: objects.len() as u64,
                bytes: objects.values().map(|bytes| bytes.len() as u64).sum(),
                newest: 0,
            })
        })
        .await
    }

    async fn delete(&self) -> std::result::Result<(), BucketError> {
        let address = self.address.clone();
        self.call("delete", move |world| {
            world.buckets().remove(&address);
            Some(())
        })
        .await
    }
}

fn parts(address: &Secret) -> (&str, &str) {
    address.reveal().split_once('\n').unwrap()
}

fn missing() -> ProviderError {
    ProviderError::new(ErrorKind::Other, "there is no such bucket or object")
}

/// Writes an object, as somebody with a signed address.
pub(super) fn put_chunk(
    world: &World,
    address: &Secret,
    bytes: &[u8],
) -> std::result::Result<(), ProviderError> {
    let (bucket, key) = parts(address);
    let mut buckets = world.buckets();
    buckets
        .get_mut(bucket)
        .ok_or_else(missing)?
        .insert(key.to_owned(), bytes.to_vec());
    Ok(())
}

/// Reads an object, as somebody with a signed address.
pub(super) fn chunk_of(
    world: &World,
    address: &Secret,
) -> std::result::Result<Vec<u8>, ProviderError> {
    let (bucket, key) = parts(address);
    world
        .buckets()
        .get(bucket)
        .and_then(|objects| objects.get(key))
        .cloned()
        .ok_or_else(missing)
}
