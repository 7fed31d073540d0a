//! What the stores of all clouds share: objects through the crate `object_store`, and the few calls
//! about whole buckets, which it does not make.

use super::bucket_contract::{BucketError, Contents, Purpose, Trouble};
use crate::util::secret::Secret;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Objects that are deleted at a time.
const AT_ONCE: usize = 16;
/// How long a call about a bucket may take.
const CALL: Duration = Duration::from_secs(60);
/// The most that is said of an error, in characters: stores answer with whole documents.
const WORDS: usize = 400;
/// Longest answer about a bucket, in bytes.
const LONGEST_ANSWER: usize = 64 << 20;
/// Largest object that is read into memory, in bytes: chunks are smaller by far.
const LARGEST_OBJECT: u64 = 1 << 30;
/// How often a bucket is emptied again because something was still being written to it.
pub(super) const SWEEPS: u32 = 5;

/// The objects of a bucket.
pub(super) struct Remote {
    pub address: String,
    pub store: Arc<dyn ObjectStore>,
    pub signer: Arc<dyn Signer>,
}

/// How calls about objects are made again.
pub(super) fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: 6,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    }
}

impl Remote {
    pub(super) async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, BucketError> {
        let list_result = self
            .store
            .list_with_delimiter(Some(&Path::from(folder)))
            .await;
        let listed_objects = list_result.map_err(|error| self.failed("list", folder, &error))?;
        let size_entry = |object: object_store::ObjectMeta| {
            Some((object.location.filename()?.to_owned(), object.size))
        };
        Ok(listed_objects
            .objects
            .into_iter()
            .filter_map(size_entry)
            .collect())
    }

    pub(super) async fn remove(&self, folder: &str) -> Result<(), BucketError> {
        for name in self.sizes(folder).await?.keys() {
            match self
                .store
                .delete(&Path::from(format!("{folder}/{name}")))
                .await
            {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete from", folder, &error)),
            }
        }
        Ok(())
    }

    pub(super) async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        let read_failed = |error| self.failed("read", key, &error);
        let found_object = self
            .store
            .get(&Path::from(key))
            .await
            .map_err(read_failed)?;
        if found_object.meta.size > LARGEST_OBJECT {
            let (address, most) = (&self.address, LARGEST_OBJECT >> 20);
            let message =
                format!("{address}/{key} is larger than {most} MiB: sky has not written it");
            return Err(BucketError::new(Trouble::Other, message));
        }
        Ok(found_object.bytes().await.map_err(read_failed)?.to_vec())
    }

    pub(super) async fn sign(
        &self,
        purpose: Purpose,
        keys: &[String],
        validity: Duration,
    ) -> Result<Vec<Secret>, BucketError> {
        let method = match purpose {
            Purpose::Read => Method::GET,
            Purpose::Write => Method::PUT,
        };
        let paths: Vec<Path> = keys.iter().map(|key| Path::from(key.as_str())).collect();
        let signed = self.signer.signed_urls(method, &paths, validity).await;
        let signed = signed.map_err(|error| self.failed("sign addresses of", "", &error))?;
        Ok(signed
            .into_iter()
            .map(|url| Secret::new(String::from(url)))
            .collect())
    }

    /// Deletes all objects; whether there is a bucket at all.
    pub(super) async fn empty(&self) -> Result<bool, BucketError> {
        match self.delete_all().await {
            Ok(()) => Ok(true),
            Err(error) if error.kind == Trouble::Missing => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is said when it is never found empty.
    pub(super) fn busy(&self) -> BucketError {
        BucketError::new(
            Trouble::Passing,
            format!("{} does not become empty: is it written to?", self.address),
        )
    }

    pub(super) async fn contents(&self) -> Result<Contents, BucketError> {
        let mut contents = Contents::default();
        for object in self.objects().await? {
            contents.add(object.size, object.last_modified.timestamp_millis());
        }
        Ok(contents)
    }

    /// All objects of the bucket and of the folders in it, which hold no others.
    async fn objects(&self) -> Result<Vec<object_store::ObjectMeta>, BucketError> {
        let list_folder = async |folder: Option<&Path>| {
            let list_result = self.store.list_with_delimiter(folder).await;
            list_result.map_err(|error| self.failed("list", "", &error))
        };
        let top = list_folder(None).await?;
        let mut objects = top.objects;
        for folder in &top.common_prefixes {
            objects.extend(list_folder(Some(folder)).await?.objects);
        }
        Ok(objects)
    }

    async fn delete_all(&self) -> Result<(), BucketError> {
        let objects = self.objects().await?.into_iter();
        let paths = objects.map(|object| object.location);
        let mut deleting = JoinSet::new();
        for path in paths {
            if deleting.len() >= AT_ONCE
                && let Some(deleted) = deleting.join_next().await
            {
                self.check_deleted(deleted)?;
            }
            let store = self.store.clone();
            deleting.spawn(async move { store.delete(&path).await });
        }
        while let Some(deleted) = deleting.join_next().await {
            self.check_deleted(deleted)?;
        }
        Ok(())
    }

    fn check_deleted(
        &self,
        deleted: Result<object_store::Result<()>, tokio::task::JoinError>,
    ) -> Result<(), BucketError> {
        let delete_result =
            deleted.map_err(|error| BucketError::new(Trouble::Other, error.to_string()))?;
        match delete_result {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete from", "", &error)),
        }
    }

    fn failed(&self, verb: &str, key: &str, error: &object_store::Error) -> BucketError {
        let path_below = if key.is_empty() {
            String::new()
        } else {
            format!("/{key}")
        };
        named(
            &format!("cannot {verb} {}{path_below}", self.address),
            error,
        )
    }
}

/// An error of the crate, after what was to be done.
pub(super) fn named(what_failed: &str, error: &object_store::Error) -> BucketError {
    use object_store::Error;
    let mut error_words = error.to_string();
    let mut next_error = std::error::Error::source(error);
    while let Some(cause) = next_error {
        let text = cause.to_string();
        if !error_words.contains(&text) {
            error_words += &format!(": {text}");
        }
        next_error = cause.source();
    }
    // What the stores say of a bucket that is not there is no `NotFound` of every call.
    let is_missing = [
        "NoSuchBucket",
        "ContainerNotFound",
        "The specified bucket does not exist",
    ];
    let (kind, hint) = match error {
        _ if is_missing.iter().any(|said| error_words.contains(said)) => {
            (Trouble::Missing, " (there is no such bucket)")
        }
        Error::NotFound { .. } => (Trouble::Missing, ""),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => (
            Trouble::Denied,
            " (the credentials of the environment do not allow it)",
        ),
        Error::Generic { .. } => (Trouble::Passing, ""),
        _ => (Trouble::Other, ""),
    };
    // What comes after a question mark may be a signature.
    let without_query = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address.to_owned(),
        _ => word.to_owned(),
    };
    let plain_words: String = error_words
        .split_whitespace()
        .map(without_query)
        .collect::<Vec<_>>()
        .join(" ");
    let shortened_words: String = plain_words.chars().take(WORDS).collect();
    BucketError::new(kind, format!("{what_failed}{hint}: {shortened_words}"))
}

/// An answer about a whole bucket.
pub(super) struct Answer {
    pub status: u16,
    pub text: String,
}

/// A request that is still to be signed.
pub(super) fn request(
    method: Method,
    url: &str,
    body: Vec<u8>,
) -> Result<HttpRequest, BucketError> {
    let mut request = HttpRequest::new(HttpRequestBody::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().map_err(|error| {
        BucketError::new(Trouble::Other, format!("{url} is not an address: {error}"))
    })?;
    Ok(request)
}

/// Sends a request about `what`, which is signed.
pub(super) async fn send(what_failed: &str, request: HttpRequest) -> Result<Answer, BucketError> {
    let passing = |error: reqwest::Error| {
        // Its address is signed in its query.
        let error = error.without_url();
        let mut error_words = error.to_string();
        let mut next_error = std::error::Error::source(&error);
        while let Some(cause) = next_error {
            error_words += &format!(": {cause}");
            next_error = cause.source();
        }
        BucketError::new(
            Trouble::Passing,
            format!("{what_failed} cannot be asked: {error_words}"),
        )
    };
    let (parts, body) = request.into_parts();
    let Some(body) = body.as_bytes().map(|bytes| bytes.to_vec()) else {
        let message = format!("{what_failed} cannot be asked: the request is a stream");
        return Err(BucketError::new(Trouble::Other, message));
    };
    let client = reqwest::Client::builder()
        .timeout(CALL)
        .build()
        .map_err(passing)?;
    let sent = client
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(body)
        .send()
        .await;
    let mut sent = sent.map_err(passing)?;
    let http_status = sent.status().as_u16();
    let mut text = Vec::new();
    while let Some(piece) = sent.chunk().await.map_err(passing)? {
        if text.len() + piece.len() > LONGEST_ANSWER {
            let message = format!(
                "{what_failed} answers more than {} MiB about a bucket",
                LONGEST_ANSWER >> 20
            );
            return Err(BucketError::new(Trouble::Other, message));
        }
        text.extend_from_slice(&piece);
    }
    Ok(Answer {
        status: http_status,
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

impl Answer {
    /// What an answer that is not good means. `code` is the store's own word for it.
    pub(super) fn error(&self, what_failed: &str, code: &str) -> BucketError {
        let (kind, hint) = match self.status {
            401 | 403 => (
                Trouble::Denied,
                " (the credentials of the environment do not allow it)",
            ),
            404 => (Trouble::Missing, ""),
            408 | 429 | 500.. => (Trouble::Passing, ""),
            _ => (Trouble::Other, ""),
        };
        let status_words = format!("status {} {code}", self.status);
        BucketError::new(
            kind,
            format!("{what_failed}{hint}: {}", status_words.trim_end()),
        )
    }

    /// The content of the first XML element of that name.
    pub(super) fn element(&self, name: &str) -> &str {
        self.elements(name).next().unwrap_or_default()
    }

    /// The contents of all XML elements of that name, which hold no others.
    pub(super) fn elements<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let open_tag = format!("<{name}>");
        let tag_parts: Vec<&str> = self.text.split(open_tag.as_str()).skip(1).collect();
        tag_parts
            .into_iter()
            .filter_map(|rest| rest.split('<').next())
    }
}
