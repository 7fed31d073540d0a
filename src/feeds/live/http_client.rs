//! Asking a server: time limits, retries with growing waits, faults in plain words.

pub use super::fault::Fault;
use super::{ProgressNews, ProgressWatcher, UpdateSettings};
use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::civil::Date;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// A server that asks for a longer pause than this is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// The header of a key.
pub(super) const KEY_HEADER: &str = "x-goog-api-key";

/// A server that is there takes a connection in that time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes after which a download that breaks again counts as a new one: a bad line is not a reason
/// to give up a large file that moves on.
pub(super) const PROGRESS_BYTES: u64 = 1 << 20;

/// A body may come slowly, but not more slowly than this, in bytes a second, once it has had some
/// time: one that never ends must not keep an update for ever.
const SLOWEST_BYTES_PER_SECOND: u64 = 1000;
const SLOW_START: Duration = Duration::from_secs(120);

/// Watches a body while it comes: neither its size, unpacked, nor its time is without a bound.
pub(super) struct BodyLimit {
    most: u64,
    begun: Instant,
    /// Bytes that came since.
    came: u64,
}

impl BodyLimit {
    /// An error if a body says of itself that it is larger.
    pub(super) fn check(&self, announced: u64, url: &Url) -> Result<(), AttemptFault> {
        match announced > self.most {
            true => Err(self.too_large(url)),
            false => Ok(()),
        }
    }

    fn too_large(&self, url: &Url) -> AttemptFault {
        let most_megabytes = self.most >> 20;
        AttemptFault::lasting(format!(
            "{} answers more than {most_megabytes} MiB: no list is so long",
            host_of(url)
        ))
    }

    /// The next piece of a body of which `before` bytes are there; none: that was the last.
    pub(super) async fn next(
        &mut self,
        response: &mut Response,
        url: &Url,
        bytes_before: u64,
    ) -> Result<Option<impl Deref<Target = [u8]> + use<>>, AttemptFault> {
        // What is packed may come for ever without anything to unpack.
        let next_piece = match tokio::time::timeout(SLOW_START, response.chunk()).await {
            Ok(piece) => piece.map_err(|error| connection_fault(&error, url))?,
            Err(_) => {
                return Err(AttemptFault::lasting(format!(
                    "{} sends a body that does not get on",
                    host_of(url)
                )));
            }
        };
        let Some(piece) = next_piece else {
            return Ok(None);
        };
        self.came += piece.len() as u64;
        if bytes_before + piece.len() as u64 > self.most {
            return Err(self.too_large(url));
        }
        let time = self.begun.elapsed();
        if time > SLOW_START && self.came / time.as_secs().max(1) < SLOWEST_BYTES_PER_SECOND {
            return Err(AttemptFault::lasting(format!(
                "{} sends less than {SLOWEST_BYTES_PER_SECOND} bytes a second",
                host_of(url)
            )));
        }
        Ok(Some(piece))
    }
}

/// Why one attempt has failed.
pub(super) struct AttemptFault {
    pub fault: Fault,
    /// Whether another attempt may succeed.
    pub may_retry: bool,
    /// How long the server asks to wait.
    pub pause: Option<Duration>,
    /// Whether the attempt got on before it broke.
    pub made_progress: bool,
    /// Whether the server has this trouble with all requests, not with this one alone.
    pub concerns_all_requests: bool,
}

impl AttemptFault {
    /// A fault that another attempt would not change.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Self {
            fault: Fault(message.into()),
            may_retry: false,
            pause: None,
            made_progress: false,
            concerns_all_requests: false,
        }
    }
}

/// The connection to all sources, and the folder with what they answered.
pub(super) struct HttpClient {
    client: Client,
    /// For requests with a key: it is not carried to another host.
    client_with_key: Client,
    pub cache: PathBuf,
    retries: usize,
    first_wait: Duration,
    largest: u64,
    watch: Rc<dyn ProgressWatcher>,
    /// Servers that were given up, by their addresses: nobody waits for each of their files.
    given_up: RefCell<BTreeMap<String, Fault>>,
}

impl HttpClient {
    pub(super) fn new(
        settings: &UpdateSettings,
        watch: Rc<dyn ProgressWatcher>,
    ) -> Result<Self, Fault> {
        let client = |keyed: bool| {
            let builder = || {
                let builder =
                    Client::builder().user_agent(concat!("sky/", env!("CARGO_PKG_VERSION")));
                builder
                    .connect_timeout(settings.timeout.min(CONNECT_TIMEOUT))
                    .read_timeout(settings.timeout)
            };
            let follow =
                move || redirect::Policy::custom(move |attempt| follow_redirect(attempt, keyed));
            // A machine without certificates can still ask mirrors over plain HTTP.
            let built_client = builder().redirect(follow()).build();
            let built_client =
                built_client.or_else(|_| builder().redirect(follow()).tls_certs_only([]).build());
            built_client.map_err(|error| {
                Fault(format!(
                    "cannot set up HTTPS: {}",
                    innermost_message(&error)
                ))
            })
        };
        Ok(Self {
            client: client(false)?,
            client_with_key: client(true)?,
            cache: settings.cache.clone(),
            retries: settings.retries,
            first_wait: settings.first_wait,
            largest: settings.largest,
            watch,
            given_up: RefCell::default(),
        })
    }

    pub(super) fn get(&self, url: &Url, headers: &HeaderMap) -> RequestBuilder {
        let client = if headers.contains_key(KEY_HEADER) {
            &self.client_with_key
        } else {
            &self.client
        };
        client.get(url.clone()).headers(headers.clone())
    }

    /// So many bytes, or fewer where the settings allow fewer.
    pub(super) fn most(&self, most_bytes: u64) -> u64 {
        most_bytes.min(self.largest)
    }

    /// Watches a body of at most so many bytes.
    pub(super) fn bound(&self, most_bytes: u64) -> BodyLimit {
        BodyLimit {
            most: self.most(most_bytes),
            begun: Instant::now(),
            came: 0,
        }
    }

    pub(super) fn tell(&self, unit: &str, news: &ProgressNews<'_>) {
        self.watch.tell(unit, news);
    }

    /// Tries until it works, until another attempt would not help, or until there were too many.
    pub(super) async fn retried<T>(
        &self,
        unit: &str,
        url: &Url,
        mut attempt: impl AsyncFnMut() -> Result<T, AttemptFault>,
    ) -> Result<T, Fault> {
        let server = url.origin().ascii_serialization();
        let retry_pauses = || {
            let builder = ExponentialBuilder::default()
                .with_min_delay(self.first_wait)
                .with_factor(2.0);
            builder
                .with_max_delay(Duration::from_secs(30))
                .with_max_times(self.retries)
                .with_jitter()
                .build()
        };
        let mut pauses_left = retry_pauses();
        loop {
            if let Some(fault) = self.given_up.borrow().get(&server) {
                return Err(fault.clone());
            }
            let trouble = match attempt().await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            if trouble.made_progress {
                pauses_left = retry_pauses();
            }
            let next_pause = pauses_left.next().filter(|_| trouble.may_retry);
            let wait = next_pause.map(|wait| trouble.pause.unwrap_or(wait));
            let fault = match wait {
                Some(wait) if wait > LONGEST_PAUSE => Fault(format!(
                    "{}; the server asks to wait {} s",
                    trouble.fault.0,
                    wait.as_secs()
                )),
                _ => trouble.fault.clone(),
            };
            let Some(wait) = wait.filter(|wait| *wait <= LONGEST_PAUSE) else {
                if trouble.concerns_all_requests {
                    self.given_up.borrow_mut().insert(server, fault.clone());
                }
                return Err(fault);
            };
            self.tell(
                unit,
                &ProgressNews::Again {
                    why: &trouble.fault.0,
                    wait,
                },
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// The length of a body, without fetching it; none: the server does not say.
    pub(super) async fn size(&self, unit: &str, url: &Url) -> Result<Option<u64>, Fault> {
        self.retried(unit, url, async || {
            let response =
                check_status(send_request(self.client.head(url.clone()), url).await?, url)?;
            let length = response.headers().get(reqwest::header::CONTENT_LENGTH);
            Ok(length.and_then(|length| length.to_str().ok()?.parse().ok()))
        })
        .await
    }

    /// A body of at most so many bytes, and the day of the answer.
    pub(super) async fn body(
        &self,
        unit: &str,
        url: &Url,
        headers: &HeaderMap,
        most_bytes: usize,
    ) -> Result<Body, Fault> {
        self.retried(unit, url, async || {
            let mut response = check_status(send_request(self.get(url, headers), url).await?, url)?;
            let day = day_of(response.headers(), DATE);
            let mut bytes = Vec::new();
            let mut size_bound = self.bound(most_bytes as u64);
            while let Some(piece) = size_bound
                .next(&mut response, url, bytes.len() as u64)
                .await?
            {
                bytes.extend_from_slice(&piece);
            }
            Ok(Body { bytes, day })
        })
        .await
    }
}

/// A whole answer.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    /// When it was given, by the server's clock.
    pub day: Option<Date>,
}

/// Redirects are followed, but not from HTTPS to HTTP, and with a key not to another host.
fn follow_redirect(attempt: redirect::Attempt<'_>, keyed: bool) -> redirect::Action {
    let Some(from) = attempt.previous().last() else {
        return attempt.follow();
    };
    let redirect_url = attempt.url();
    let wrong_redirect =
        if attempt.previous().len() > MAX_REDIRECTS || attempt.previous().contains(redirect_url) {
            "redirects in a circle, or too often"
        } else if from.scheme() == "https" && redirect_url.scheme() != "https" {
            "redirects from HTTPS to HTTP"
        } else if keyed && from.origin() != redirect_url.origin() {
            "redirects to another host, which must not see the key"
        } else {
            return attempt.follow();
        };
    attempt.error(wrong_redirect)
}

/// Sends a request.
pub(super) async fn send_request(
    request: RequestBuilder,
    url: &Url,
) -> Result<Response, AttemptFault> {
    request
        .send()
        .await
        .map_err(|error| connection_fault(&error, url))
}

/// An answer with a body; else what is wrong with it.
pub(super) fn check_status(response: Response, url: &Url) -> Result<Response, AttemptFault> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let may_retry = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        );
    let name = status.canonical_reason().unwrap_or("an unknown status");
    let fault = Fault(format!(
        "{} answers {} {name}",
        host_of(url),
        status.as_u16()
    ));
    let concerns_all_requests = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    Err(AttemptFault {
        fault,
        may_retry,
        pause: asked_pause(response.headers()),
        made_progress: false,
        concerns_all_requests,
    })
}

/// `Retry-After`, in seconds or as a date.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let pause_end = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(pause_end.duration_since(crate::util::clock::now()))
        .ok()
        .or(Some(Duration::ZERO))
}

/// The day of a header that has a date.
pub(super) fn day_of(headers: &HeaderMap, name: HeaderName) -> Option<Date> {
    let time = jiff::fmt::rfc2822::parse(headers.get(name)?.to_str().ok()?).ok()?;
    Some(time.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// A connection that did not come about or broke.
pub(super) fn connection_fault(error: &reqwest::Error, url: &Url) -> AttemptFault {
    let host = host_of(url);
    let text = if error.is_redirect() {
        return AttemptFault::lasting(format!("{host} {}", innermost_message(error)));
    } else if error.is_builder() {
        return AttemptFault::lasting(format!("cannot ask {host}: {}", innermost_message(error)));
    } else if error.is_timeout() {
        format!("{host} does not answer in time")
    } else if error.is_connect() && innermost_message(error).contains("UnknownIssuer") {
        return AttemptFault::lasting(format!(
            "the certificate of {host} is not signed by an authority that this system trusts; install ca-certificates, or name them in SSL_CERT_FILE"
        ));
    } else if error.is_connect() {
        format!("cannot connect to {host}: {}", innermost_message(error))
    } else {
        format!(
            "the answer of {host} broke off: {}",
            innermost_message(error)
        )
    };
    let concerns_all_requests = error.is_connect() || error.is_timeout();
    AttemptFault {
        fault: Fault(text),
        may_retry: true,
        pause: None,
        made_progress: false,
        concerns_all_requests,
    }
}

/// The words of the innermost error, without Rust's `(os error N)`.
fn innermost_message(error: &dyn Error) -> String {
    let mut innermost_error = error;
    while let Some(source) = innermost_error.source() {
        innermost_error = source;
    }
    let text = innermost_error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// `prices.azure.com`, with the port if it is an unusual one.
pub(super) fn host_of(url: &Url) -> String {
    let name = url.host_str().unwrap_or("the server");
    url.port()
        .map_or(name.to_owned(), |port| format!("{name}:{port}"))
}

/// Writes a file of the cache; other users cannot read it.
pub(super) fn write_to_cache(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(Path::new("."));
    crate::util::cache::create(folder).map_err(|error| Fault(error.to_string()))?;
    crate::util::file::write_atomic(path, bytes).map_err(|error| Fault(error.to_string()))
}
