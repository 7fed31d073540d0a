//! Calls of Google's APIs that its SDK of Compute Engine does not have: JSON over HTTP, and
//! operations that are looked at until they are over.

use super::super::{ErrorKind, ProviderError};
use super::errors;
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Url};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;
use tokio::time::Instant;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long an operation may take: a slice of TPUs takes minutes to come up.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Between the first two looks at an operation, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(5);

/// How long to wait before each look at what takes its time; at last there are no more.
pub(super) fn looks() -> impl Iterator<Item = Duration> {
    let begun_at = Instant::now();
    let pauses = std::iter::successors(Some(FIRST_LOOK), |pause| Some((*pause * 2).min(LOOK)));
    pauses.take_while(move |_| begun_at.elapsed() <= PATIENCE)
}

/// One API, at one address.
pub(super) struct Rest {
    client: Client,
    base: Url,
    /// None: nothing is sent, since nothing keeps it secret on its way.
    credentials: Option<Credentials>,
}

/// A call of an API.
pub(super) struct Call<'a> {
    pub verb: Method,
    /// The path below the address of the API.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// What it is to do.
    pub about: &'a str,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: String, about: &'a str) -> Self {
        Self {
            verb: Method::GET,
            path,
            query: Vec::new(),
            body: None,
            about,
        }
    }
}

fn wrong(kind: ErrorKind, about: &str, why: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(kind, format!("gcp: cannot {about}: {why}"))
}

/// The last reason of all.
fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Rest {
    /// `base` ends with a `/`.
    pub(super) fn new(base: &str, credentials: Option<Credentials>) -> Result<Self, ProviderError> {
        let about_google = "talk to Google";
        let other_error = |error: &dyn Error| wrong(ErrorKind::Other, about_google, deepest(error));
        let base = Url::parse(base).map_err(|error| other_error(&error))?;
        let client = Client::builder()
            .user_agent(concat!("sky/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER);
        let client = client
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| other_error(&error))?;
        Ok(Self {
            client,
            base,
            credentials,
        })
    }

    async fn headers(&self, about: &str) -> Result<HeaderMap, ProviderError> {
        let Some(credentials) = &self.credentials else {
            return Ok(HeaderMap::new());
        };
        let refused = |error: CredentialsError| {
            let kind = if error.is_transient() {
                ErrorKind::Unreachable
            } else {
                ErrorKind::Denied
            };
            wrong(
                kind,
                about,
                format!("the credentials cannot be used: {error}"),
            )
        };
        match credentials
            .headers(Default::default())
            .await
            .map_err(refused)?
        {
            CacheableResource::New { data, .. } => Ok(data),
            CacheableResource::NotModified => Ok(HeaderMap::new()),
        }
    }

    /// The answer to a call, if it comes in time and is a good one.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, ProviderError> {
        let Call {
            verb,
            path,
            query,
            body,
            about,
        } = call;
        let mut url = self
            .base
            .join(&path)
            .map_err(|error| wrong(ErrorKind::Other, about, error))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .client
            .request(verb, url)
            .headers(self.headers(about).await?);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.to_string());
        }
        let silent = |error: reqwest::Error| wrong(ErrorKind::Unreachable, about, deepest(&error));
        let http_answer = request.send().await.map_err(silent)?;
        let http_status = http_answer.status();
        let text = http_answer.text().await.map_err(silent)?;
        if !http_status.is_success() {
            return Err(errors::answer(http_status.as_u16(), &text, about));
        }
        serde_json::from_str(&text).map_err(|error| {
            let unreadable_words = format!("the answer cannot be read: {error}");
            wrong(ErrorKind::Unreachable, about, unreadable_words)
        })
    }

    /// Waits for the end of an operation. What failed is an error: Google answers calls well whose
    /// operations then fail. `version` is the part of addresses before names of operations.
    pub(super) async fn done(
        &self,
        version: &str,
        mut operation: Value,
        about: &str,
    ) -> Result<(), ProviderError> {
        let mut looks = looks();
        while operation["done"] != true {
            let Some(name) = operation["name"].as_str().map(str::to_owned) else {
                let nameless_words = "Google has begun it, and does not say under which name";
                return Err(wrong(ErrorKind::Unreachable, about, nameless_words));
            };
            let Some(pause) = looks.next() else {
                let too_long_words = format!(
                    "the operation {name} is not over after {} minutes",
                    PATIENCE.as_secs() / 60
                );
                return Err(wrong(ErrorKind::Unreachable, about, too_long_words));
            };
            tokio::time::sleep(pause).await;
            operation = self
                .call(Call::get(format!("{version}/{name}"), about))
                .await?;
        }
        let error = &operation["error"];
        let message = error["message"].as_str().unwrap_or_default();
        match error["code"].as_i64() {
            Some(code) if code != 0 => Err(errors::of_operation(code, message, about)),
            _ => Ok(()),
        }
    }
}
