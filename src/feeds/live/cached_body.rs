//! One body of any size: kept in the cache, asked for only if it has changed, and gone on with
//! where it broke off.

use super::ProgressNews;
use super::http_client::{
    self, AttemptFault, Fault, HttpClient, PROGRESS_BYTES, check_status, host_of, send_request,
};
use crate::util::file_changes;
use jiff::civil::Date;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is known of a body; a JSON file beside it in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BodyMark {
    pub url: String,
    #[serde(default)]
    pub etag: Option<String>,
    #[serde(default)]
    pub modified: Option<String>,
    /// The day of the body: when it was last changed, else when it was first seen.
    pub day: Option<Date>,
    /// The day is that of a change, not only when it was seen.
    #[serde(default)]
    pub dated: bool,
}

/// A body in the cache.
#[derive(Clone, Debug)]
pub(super) struct CachedBody {
    /// The body itself, or, if it has not changed, whatever `made` of it the caller has kept.
    pub path: PathBuf,
    pub mark: BodyMark,
    /// Whether the body is new; if not, what the caller made of it the last time still holds.
    pub changed: bool,
    stem: PathBuf,
}

impl CachedBody {
    /// The file that keeps what is made of the body, instead of the body.
    pub(super) fn made(&self) -> PathBuf {
        self.stem.with_extension("made")
    }

    /// Keeps what was made of the body, and the body no longer.
    pub(super) fn keep_made(&self, bytes: &[u8]) -> Result<(), Fault> {
        http_client::write_to_cache(&self.made(), bytes)?;
        if self.changed {
            let _ = file_changes::remove_file(&self.path);
        }
        Ok(())
    }

    /// Marks the body as used: from now on it is only asked for if it changes.
    pub(super) fn approve(&self) -> Result<(), Fault> {
        let text = serde_json::to_vec(&self.mark).map_err(|error| Fault(error.to_string()))?;
        http_client::write_to_cache(&self.stem.with_extension("json"), &text)
    }
}

/// Days after which what nobody has asked for is dropped from the cache.
const MAX_UNUSED_DAYS: u64 = 60;

/// Drops bodies that were not used for long: addresses of lists have versions in them.
pub(super) fn prune(cache: &Path) {
    let Ok(entries) = std::fs::read_dir(cache.join("bodies")) else {
        return;
    };
    for entry in entries.flatten() {
        let age = entry
            .metadata()
            .and_then(|data| data.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > MAX_UNUSED_DAYS * 24 * 3600) {
            let _ = file_changes::remove_file(entry.path());
        }
    }
    keep_within(&cache.join("bodies"), MAX_CACHE_BYTES);
}

/// Most that all bodies in the cache may take, in bytes.
const MAX_CACHE_BYTES: u64 = 8 << 30;

/// Removes the files of a folder that were not used for longest, until all of them take at most so
/// many bytes.
fn keep_within(folder: &Path, most_bytes: u64) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<(std::time::SystemTime, u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let file_metadata = entry.metadata().ok()?;
            Some((
                file_metadata.modified().ok()?,
                file_metadata.len(),
                entry.path(),
            ))
        })
        .collect();
    files.sort();
    let mut total_size: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if total_size <= most_bytes {
            return;
        }
        if file_changes::remove_file(path).is_ok() {
            total_size -= size;
        }
    }
}

/// Whether a body, or what was made of it, is in the cache: an address with a version in it is not
/// fetched again then.
pub(super) fn is_kept(http: &HttpClient, url: &Url, kind: &str) -> bool {
    let stem = cache_stem(http, url, kind);
    let is_there = stem.with_extension("body").exists() || stem.with_extension("made").exists();
    is_there && read_mark(&stem.with_extension("json"), url).is_some()
}

fn cache_stem(http: &HttpClient, url: &Url, kind: &str) -> PathBuf {
    let name = crate::util::hash::digest(format!("{kind}\n{url}").as_bytes());
    http.cache.join("bodies").join(
        name.trim_start_matches("sha256:")
            .get(..32)
            .unwrap_or("body"),
    )
}

/// Gets a body of at most so many bytes. `kind` parts the cache's names when what is made of bodies
/// changes its form.
pub(super) async fn fetch(
    http: &HttpClient,
    unit: &str,
    url: &Url,
    kind: &str,
    most_bytes: u64,
) -> Result<CachedBody, Fault> {
    let stem = cache_stem(http, url, kind);
    let (body, made) = (stem.with_extension("body"), stem.with_extension("made"));
    let known_mark =
        read_mark(&stem.with_extension("json"), url).filter(|_| body.exists() || made.exists());
    // A body that breaks off twice is gone on with twice.
    http.retried(unit, url, async || {
        attempt_fetch(http, unit, url, &stem, known_mark.as_ref(), most_bytes).await
    })
    .await
}

fn read_mark(path: &Path, url: &Url) -> Option<BodyMark> {
    let body_mark: BodyMark = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (body_mark.url == url.as_str()).then_some(body_mark)
}

/// The headers of a request: for the rest of a body of which `begun` bytes are there, or for a body
/// only if it is not the one that is known.
fn request_headers(
    resume: Option<&BodyMark>,
    bytes_begun: u64,
    known_mark: Option<&BodyMark>,
) -> HeaderMap {
    // Not compressed: the length of a compressed body says nothing, and no part of it can be asked
    // for.
    let mut headers =
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let mut set_header = |name: HeaderName, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    };
    match (resume, known_mark) {
        (Some(mark), _) => {
            set_header(RANGE, Some(&format!("bytes={bytes_begun}-")));
            set_header(IF_RANGE, body_validator(mark));
        }
        (None, Some(mark)) => {
            set_header(IF_NONE_MATCH, mark.etag.as_deref());
            set_header(IF_MODIFIED_SINCE, mark.modified.as_deref());
        }
        (None, None) => {}
    }
    headers
}

/// Tries once to get a body, and goes on with what earlier attempts have left of it.
async fn attempt_fetch(
    http: &HttpClient,
    unit: &str,
    url: &Url,
    stem: &Path,
    known_mark: Option<&BodyMark>,
    most_bytes: u64,
) -> Result<CachedBody, AttemptFault> {
    let (part, part_mark) = (
        stem.with_extension("part"),
        stem.with_extension("part.json"),
    );
    let bytes_begun = std::fs::metadata(&part).map_or(0, |found| found.len());
    let resume =
        read_mark(&part_mark, url).filter(|mark| bytes_begun > 0 && body_validator(mark).is_some());
    let headers = request_headers(resume.as_ref(), bytes_begun, known_mark);
    let response = send_request(http.get(url, &headers), url).await?;
    if let (StatusCode::NOT_MODIFIED, Some(mark)) = (response.status(), known_mark) {
        return Ok(kept_body(stem, mark));
    }
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // What was begun is not a beginning of what is there now.
        let _ = file_changes::remove_file(&part);
        let text = format!("{} has another body than before", host_of(url));
        return Err(AttemptFault {
            may_retry: resume.is_some(),
            ..AttemptFault::lasting(text)
        });
    }
    let response = check_status(response, url)?;
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
    if goes_on && starts_at(&response) != Some(bytes_begun) {
        let _ = file_changes::remove_file(&part);
        let text = format!("{} sends another part than asked for", host_of(url));
        return Err(AttemptFault {
            may_retry: true,
            ..AttemptFault::lasting(text)
        });
    }
    let body_mark = match (goes_on, resume) {
        (true, Some(mark)) => mark,
        _ => mark_of(&response, url, known_mark),
    };
    let start = if goes_on { bytes_begun } else { 0 };
    if goes_on {
        http.tell(unit, &ProgressNews::Resumed { at: start });
    }
    let text =
        serde_json::to_vec(&body_mark).map_err(|error| AttemptFault::lasting(error.to_string()))?;
    http_client::write_to_cache(&part_mark, &text)
        .map_err(|fault| AttemptFault::lasting(fault.0))?;
    let mut file = open_part(&part, goes_on)?;
    if let Err(trouble) =
        download_body(http, unit, url, response, &mut file, start, most_bytes).await
    {
        if !trouble.may_retry {
            // Nobody goes on with it.
            let _ = file_changes::remove_file(&part);
        }
        return Err(trouble);
    }
    let path = keep_whole_body(stem, &file, &part, &part_mark)?;
    Ok(CachedBody {
        path,
        mark: body_mark,
        changed: true,
        stem: stem.to_owned(),
    })
}

/// The body that is in the cache, which has not changed.
fn kept_body(stem: &Path, mark: &BodyMark) -> CachedBody {
    let made_file = stem.with_extension("made");
    let path = match made_file.exists() {
        true => made_file,
        false => stem.with_extension("body"),
    };
    CachedBody {
        path,
        mark: mark.clone(),
        changed: false,
        stem: stem.to_owned(),
    }
}

fn not_written(part: &Path, error: std::io::Error) -> AttemptFault {
    AttemptFault::lasting(crate::util::file::named(part, "write", error).to_string())
}

/// Opens the file of a body that is not whole yet, to go on at its end or to begin anew.
fn open_part(part: &Path, goes_on: bool) -> Result<std::fs::File, AttemptFault> {
    std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .append(goes_on)
        .truncate(!goes_on)
        .mode(0o600)
        .open(part)
        .map_err(|error| not_written(part, error))
}

/// Moves a whole body to where bodies are kept. At no moment does the mark of an old body stand
/// beside the new one.
fn keep_whole_body(
    stem: &Path,
    file: &std::fs::File,
    part: &Path,
    part_mark: &Path,
) -> Result<PathBuf, AttemptFault> {
    file.sync_all().map_err(|error| not_written(part, error))?;
    let _ = file_changes::remove_file(stem.with_extension("json"));
    let body = stem.with_extension("body");
    file_changes::rename(part, &body).map_err(|error| not_written(part, error))?;
    let _ = file_changes::remove_file(part_mark);
    Ok(body)
}

/// Writes a body of at most `most` bytes to a file that has its first `start` bytes.
async fn download_body(
    http: &HttpClient,
    unit: &str,
    url: &Url,
    mut response: Response,
    file: &mut std::fs::File,
    start: u64,
    most_bytes: u64,
) -> Result<(), AttemptFault> {
    let total_size = response.content_length().map(|left| start + left);
    let mut bytes_done = start;
    let mut size_bound = http.bound(most_bytes);
    size_bound.check(total_size.unwrap_or_default(), url)?;
    loop {
        match size_bound.next(&mut response, url, bytes_done).await {
            Ok(Some(chunk)) => {
                file.write_all(&chunk).map_err(|error| {
                    AttemptFault::lasting(format!("cannot write to the cache: {error}"))
                })?;
                bytes_done += chunk.len() as u64;
                http.tell(
                    unit,
                    &ProgressNews::Bytes {
                        done: bytes_done,
                        total: total_size,
                    },
                );
            }
            Ok(None) if total_size.is_some_and(|total| bytes_done < total) => {
                let text = format!(
                    "the answer of {} broke off after {bytes_done} bytes",
                    host_of(url)
                );
                return Err(AttemptFault {
                    may_retry: true,
                    made_progress: bytes_done - start > PROGRESS_BYTES,
                    ..AttemptFault::lasting(text)
                });
            }
            Ok(None) => return Ok(()),
            Err(trouble) => {
                return Err(AttemptFault {
                    made_progress: bytes_done - start > PROGRESS_BYTES,
                    ..trouble
                });
            }
        }
    }
}

/// What says that a body is still the same byte by byte: a strong tag, else the time.
fn body_validator(mark: &BodyMark) -> Option<&str> {
    mark.etag
        .as_deref()
        .filter(|tag| !tag.starts_with("W/"))
        .or(mark.modified.as_deref())
}

/// The first byte of a partial answer.
fn starts_at(response: &Response) -> Option<u64> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn mark_of(response: &Response, url: &Url, known_mark: Option<&BodyMark>) -> BodyMark {
    let text = |name: HeaderName| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (etag, modified) = (text(ETAG), text(LAST_MODIFIED));
    // The same body as the last time was first seen then.
    let same_mark = known_mark.filter(|mark| mark.etag.is_some() && mark.etag == etag);
    let changed_day = http_client::day_of(response.headers(), LAST_MODIFIED);
    let seen_day = same_mark
        .and_then(|mark| mark.day)
        .or_else(|| http_client::day_of(response.headers(), DATE));
    BodyMark {
        url: url.to_string(),
        etag,
        modified,
        day: changed_day.or(seen_day),
        dated: changed_day.is_some(),
    }
}
