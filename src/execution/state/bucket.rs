//! Objects below a prefix of a bucket, for the state's other files: read, written on condition,
//! listed.
//!
//! Calls are made on threads of their own, so that a client and its connections belong to one
//! runtime, whichever the caller's is. Whoever has no runtime waits for an answer with [`wait`]. A
//! call that is not answered is made again: for some seconds, so that a wrong address is told soon;
//! or, once an operation is at work ([`Bucket::patiently`]), for a minute, so that a short outage
//! does not end it.

use super::address::Cloud;
use crate::util::{simulation, task};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// Calls for many objects that are under way at the same time.
const AT_ONCE: usize = 16;

/// The objects of a bucket below a prefix.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Arc<dyn ObjectStore>,
    patient: Arc<dyn ObjectStore>,
    cloud: Cloud,
    name: String,
    prefix: String,
}

/// An object as it was when it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// The content of the object.
    pub bytes: Vec<u8>,
    /// The version of the object, for a conditional write.
    pub version: UpdateVersion,
}

/// When an object is written.
#[derive(Clone, Debug)]
pub enum When {
    /// The object is written whatever is there.
    Always,
    /// There is none of that name.
    New,
    /// The object is still this version.
    Still(UpdateVersion),
}

/// How a conditional write went.
#[derive(Clone, Debug)]
pub enum Put {
    /// The object was written, and has this version.
    Done(UpdateVersion),
    /// The condition does not hold.
    Refused,
}

impl Bucket {
    /// Opens a bucket; asks nobody yet.
    pub fn open(cloud: Cloud, name: &str, prefix: &str) -> io::Result<Self> {
        let client = |retries| {
            let named_error = |error| {
                io::Error::other(format!(
                    "cannot use {}: {}",
                    cloud.url(name, prefix),
                    words_of_error(&error)
                ))
            };
            cloud.client(name, retries).map_err(named_error)
        };
        Ok(Self {
            patient: client(64)?,
            ..Self::over(client(8)?, cloud, name, prefix)
        })
    }

    /// A bucket behind a client that is open already.
    pub fn over(client: Arc<dyn ObjectStore>, cloud: Cloud, name: &str, prefix: &str) -> Self {
        Self {
            patient: client.clone(),
            client,
            cloud,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// Returns the bucket with more patience, for an operation that is at work.
    pub fn patiently(&self) -> Self {
        Self {
            client: self.patient.clone(),
            ..self.clone()
        }
    }

    /// The address of the prefix, or of an object below it.
    pub fn url(&self, object: &str) -> String {
        self.cloud.url(&self.name, &self.below(object))
    }

    fn below(&self, object: &str) -> String {
        match (self.prefix.is_empty(), object.is_empty()) {
            (true, _) => object.to_owned(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}/{object}", self.prefix),
        }
    }

    /// Reads an object; none if there is none.
    pub async fn get(&self, object: &str) -> io::Result<Option<Found>> {
        let (client, path) = (self.client.clone(), Path::from(self.below(object)));
        let got = on_own_threads(async move {
            let get_answer = client.get(&path).await?;
            let (e_tag, version) = (
                get_answer.meta.e_tag.clone(),
                get_answer.meta.version.clone(),
            );
            Ok(Found {
                version: UpdateVersion { e_tag, version },
                bytes: get_answer.bytes().await?.to_vec(),
            })
        })
        .await;
        match got {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.named("read", object, &error)),
        }
    }

    /// Writes an object, whole or not at all. `Refused` also when an answer was lost, the same was
    /// written again, and now is there: the caller reads it.
    pub async fn put(&self, object: &str, bytes: Vec<u8>, when: When) -> io::Result<Put> {
        let (client, path) = (self.client.clone(), Path::from(self.below(object)));
        let changes = matches!(when, When::Still(_));
        let put_mode = match when {
            When::Always => PutMode::Overwrite,
            When::New => PutMode::Create,
            When::Still(version) => PutMode::Update(version),
        };
        let put_result = on_own_threads(async move {
            client
                .put_opts(&path, PutPayload::from(bytes), PutOptions::from(put_mode))
                .await
        })
        .await;
        match put_result {
            Ok(put) => Ok(Put::Done(put.into())),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Refused),
            // Somebody has deleted it.
            Err(Error::NotFound { .. }) if changes => Ok(Put::Refused),
            Err(error) => Err(self.named("write", object, &error)),
        }
    }

    /// Reads many objects at once; none for those that are not there.
    pub async fn get_all(&self, objects: &[String]) -> io::Result<Vec<Option<Vec<u8>>>> {
        let get_one = |object: &String| -> BoxFuture<'static, io::Result<Option<Vec<u8>>>> {
            let (bucket, object) = (self.clone(), object.clone());
            Box::pin(async move { Ok(bucket.get(&object).await?.map(|found| found.bytes)) })
        };
        let all_gets: Vec<_> = objects.iter().map(get_one).collect();
        let found_objects: Vec<io::Result<Option<Vec<u8>>>> =
            stream::iter(all_gets).buffered(AT_ONCE).collect().await;
        found_objects.into_iter().collect()
    }

    /// Deletes many objects at once.
    pub async fn delete_all(&self, objects: &[String]) -> io::Result<()> {
        let delete = |object: &String| -> BoxFuture<'static, io::Result<()>> {
            let (bucket, object) = (self.clone(), object.clone());
            Box::pin(async move { bucket.delete(&object).await })
        };
        let all_deletes: Vec<_> = objects.iter().map(delete).collect();
        let delete_results: Vec<io::Result<()>> =
            stream::iter(all_deletes).buffered(AT_ONCE).collect().await;
        delete_results.into_iter().collect()
    }

    /// The last parts of the names of all objects in a folder, in their order.
    pub async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let (client, path) = (self.client.clone(), Path::from(self.below(folder)));
        let list_result =
            on_own_threads(async move { client.list_with_delimiter(Some(&path)).await }).await;
        let listed_objects = list_result.map_err(|error| self.named("list", folder, &error))?;
        let name = |object: object_store::ObjectMeta| object.location.filename().map(str::to_owned);
        let mut names: Vec<String> = listed_objects
            .objects
            .into_iter()
            .filter_map(name)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Deletes an object; fine if there is none.
    pub async fn delete(&self, object: &str) -> io::Result<()> {
        let (client, path) = (self.client.clone(), Path::from(self.below(object)));
        match on_own_threads(async move { client.delete(&path).await }).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.named("delete", object, &error)),
        }
    }

    fn named(&self, verb: &str, object: &str, error: &Error) -> io::Error {
        let hint = match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                " (the credentials of the environment do not allow it)"
            }
            Error::NotFound { .. } => " (there is no such bucket)",
            _ => "",
        };
        let kind = match error {
            Error::Generic { .. } => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(
            kind,
            format!(
                "cannot {verb} {}{hint}: {}",
                self.url(object),
                words_of_error(error)
            ),
        )
    }
}

/// An error with all that caused it, each once, on one line.
fn words_of_error(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next_error = error.source();
    while let Some(cause) = next_error {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        next_error = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The threads for calls to stores cannot be started.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot start threads: {0}")]
struct NoThreads(Arc<io::Error>);

/// Never dropped: a runtime may not be, inside of another.
fn state_runtime() -> Result<&'static Runtime, NoThreads> {
    static RUNTIME: OnceLock<Result<Runtime, NoThreads>> = OnceLock::new();
    let built_runtime = RUNTIME.get_or_init(|| {
        let runtime_result = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("state")
            .enable_all()
            .build();
        runtime_result.map_err(|error| NoThreads(Arc::new(error)))
    });
    built_runtime.as_ref().map_err(Clone::clone)
}

/// Makes a call on the threads of this file; in a simulation, here.
async fn on_own_threads<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    if simulation::is_on() {
        return work.await;
    }
    let broken = |why: String| Error::Generic {
        store: "state",
        source: why.into(),
    };
    let runtime = state_runtime().map_err(|error| broken(error.to_string()))?;
    let spawned = runtime.spawn(work);
    spawned
        .await
        .unwrap_or_else(|error| Err(broken(format!("the call broke off: {error}"))))
}

/// Begins something that goes on whether or not anybody waits for it.
pub(super) fn detached(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    if simulation::is_on() {
        drop(task::spawn(work));
    } else {
        drop(state_runtime().map_err(io::Error::other)?.spawn(work));
    }
    Ok(())
}

/// Waits for something asynchronous from anywhere, also from inside of a runtime, whose other tasks
/// go on meanwhile. Not for simulated processes, whose one thread would wait for itself.
pub fn wait<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = match state_runtime() {
        Ok(runtime) => runtime,
        // Without threads nothing at all can be done.
        Err(why) => panic!("{why}"),
    };
    run_aside(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| runtime.block_on(work));
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    })
}

/// Does what blocks, while other tasks of the caller's runtime go on.
fn run_aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
