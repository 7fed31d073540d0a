//! Who asks, of which subscription, and where; calls to Azure's Resource Manager that the SDK has
//! no client for, and how what they begin is followed to its end.

use super::super::{ErrorKind, ProviderError, ended_or_gone};
use super::errors::{classify, failure};
use crate::util::{clock, environment, variables};
use azure_core::auth::{AccessToken, Secret, TokenCredential};
use azure_core::{ClientOptions, Method, Pipeline, Request, Response, RetryOptions, Url};
use azure_mgmt_compute::package_2024_07_01 as compute;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long what was begun may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between the first two looks at what was begun, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(3);
/// Where Azure's Resource Manager is, for all but a few clouds of states.
const ENDPOINT: &str = "https://management.azure.com";

/// What is said of the API that is not in credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The subscription's id; none: the one that `az login` has left.
    pub subscription: Option<String>,
    /// Another address of the API. One without TLS must be of this machine, and is sent no
    /// credentials.
    pub endpoint: Option<String>,
}

impl Settings {
    /// The settings that the environment has.
    pub fn read() -> Self {
        Self {
            subscription: environment::text(variables::SKY_AZURE_SUBSCRIPTION)
                .or_else(|| environment::text(variables::AZURE_SUBSCRIPTION_ID)),
            endpoint: environment::text(variables::SKY_AZURE_ENDPOINT),
        }
    }
}

/// The way to the API, and the subscription that it is asked about.
pub(super) struct Api {
    pub subscription: String,
    machines: compute::Client,
    endpoint: Url,
    credential: Arc<dyn TokenCredential>,
    scope: String,
    pipeline: Pipeline,
}

/// What a call was answered with.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where to see what becomes of it: by the status in the body there.
    operation: Option<String>,
    /// Where the end of the call can be seen, by the status of the answer there.
    location: Option<String>,
    status: u16,
    pub body: Value,
}

/// The credentials for an API of this machine, which is told no secret.
#[derive(Debug)]
struct Nobody;

#[async_trait::async_trait]
impl TokenCredential for Nobody {
    async fn get_token(&self, _scopes: &[&str]) -> azure_core::Result<AccessToken> {
        Ok(AccessToken {
            token: Secret::new("none"),
            expires_on: (clock::system_time() + PATIENCE).into(),
        })
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        Ok(())
    }
}

/// The standard chain. What it says is about credentials, whatever its parts call it, unless nobody
/// has answered.
#[derive(Debug)]
struct Chain(Arc<dyn TokenCredential>);

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(&self, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        self.0
            .get_token(scopes)
            .await
            .map_err(|error| match error.kind() {
                azure_core::error::ErrorKind::Io => error,
                _ => azure_core::Error::new(azure_core::error::ErrorKind::Credential, error),
            })
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        self.0.clear_cache().await
    }
}

/// Whether somebody has set up credentials on this machine, as far as files and the environment
/// tell.
pub(super) fn set_up() -> bool {
    Settings::read().subscription.or_else(of_profile).is_some()
}

/// The subscription that `az` works with, from its own file.
fn of_profile() -> Option<String> {
    let usual_folder =
        || environment::text(variables::HOME).map(|home| PathBuf::from(home).join(".azure"));
    let folder = environment::text(variables::AZURE_CONFIG_DIR)
        .map(PathBuf::from)
        .or_else(usual_folder)?;
    default_of(&std::fs::read_to_string(folder.join("azureProfile.json")).ok()?)
}

fn default_of(profile: &str) -> Option<String> {
    // It begins with a byte order mark.
    let profile: Value = serde_json::from_str(profile.trim_start_matches('\u{feff}')).ok()?;
    let subscriptions = profile["subscriptions"].as_array()?;
    let default_subscription = subscriptions.iter().find(|one| one["isDefault"] == true)?;
    default_subscription["id"].as_str().map(str::to_owned)
}

fn denied(why: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Denied, format!("azure: {why}"))
}

fn subscription(settings: &Settings) -> Result<String, ProviderError> {
    let named_subscription = settings.subscription.clone().or_else(of_profile).ok_or_else(|| {
        denied("nothing says which subscription: set AZURE_SUBSCRIPTION_ID to its id, or sign in with `az login`")
    })?;
    // It becomes part of addresses.
    if !named_subscription
        .chars()
        .all(|one| one.is_ascii_alphanumeric() || one == '-')
    {
        let message = format!(
            "`{}` is not an id of a subscription: see AZURE_SUBSCRIPTION_ID",
            named_subscription.escape_debug()
        );
        return Err(denied(&message));
    }
    Ok(named_subscription)
}

/// The address, and whether it may be told who we are.
fn endpoint(settings: &Settings) -> Result<(Url, bool), ProviderError> {
    let text = settings.endpoint.as_deref().unwrap_or(ENDPOINT);
    let url = Url::parse(text).map_err(|error| denied(&format!("SKY_AZURE_ENDPOINT: {error}")))?;
    let host = url.host_str().unwrap_or_default();
    let is_local = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok((url, true)),
        "http" if is_local => Ok((url, false)),
        _ => Err(denied(
            "SKY_AZURE_ENDPOINT must begin with https://, or be an address of this machine",
        )),
    }
}

impl Api {
    pub(super) fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let subscription = subscription(settings)?;
        let (endpoint, trusted) = endpoint(settings)?;
        let credential: Arc<dyn TokenCredential> = if trusted {
            let chain = azure_identity::create_credential();
            Arc::new(Chain(chain.map_err(|error| {
                denied(&format!("{error}; {}", super::errors::SIGN_IN))
            })?))
        } else {
            Arc::new(Nobody)
        };
        let scope = format!("{}/.default", endpoint.as_str().trim_end_matches('/'));
        // Who tries again, and when, is the engine's to say.
        let options = ClientOptions::default().retry(RetryOptions::none());
        Ok(Self {
            machines: compute::Client::new(
                endpoint.clone(),
                credential.clone(),
                vec![scope.clone()],
                ClientOptions::default().retry(RetryOptions::none()),
            ),
            pipeline: Pipeline::new(
                Some("sky"),
                option_env!("CARGO_PKG_VERSION"),
                options,
                Vec::new(),
                Vec::new(),
            ),
            subscription,
            endpoint,
            credential,
            scope,
        })
    }

    /// Whether there are credentials that can be used.
    pub(super) async fn signed_in(&self) -> Result<(), ProviderError> {
        let got = self.credential.get_token(&[&self.scope]).await;
        got.map(drop)
            .map_err(|error| super::errors::classify(&error, "sign in"))
    }

    /// The SDK's client for virtual machines.
    pub(super) fn machines(&self) -> compute::virtual_machines::Client {
        self.machines.virtual_machines_client()
    }

    /// The path of a resource group.
    pub(super) fn group(&self, name: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{name}", self.subscription)
    }

    /// A call, by its path.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        about: &str,
    ) -> Result<Answer, ProviderError> {
        let mut url = self.endpoint.clone();
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(query);
        self.send(method, url, body, about).await
    }

    /// What is there; none: nothing is.
    pub(super) async fn look(
        &self,
        path: &str,
        query: &[(&str, &str)],
        about: &str,
    ) -> Result<Option<Value>, ProviderError> {
        match self.call(Method::Get, path, query, None, about).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All pages of a list. What is not there has none.
    pub(super) async fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        about: &str,
    ) -> Result<Vec<Value>, ProviderError> {
        let mut page = match self.look(path, query, about).await? {
            Some(page) => page,
            None => return Ok(Vec::new()),
        };
        let mut listed_items = Vec::new();
        loop {
            match page["value"].take() {
                Value::Array(items) => listed_items.extend(items),
                _ => {
                    return Err(ProviderError::new(
                        ErrorKind::Other,
                        format!("azure: cannot {about}: no list came"),
                    ));
                }
            }
            let next_page = page["nextLink"]
                .as_str()
                .filter(|next| !next.is_empty())
                .map(str::to_owned);
            let Some(next) = next_page else {
                return Ok(listed_items);
            };
            page = self.follow(&next, about).await?.body;
        }
    }

    /// Begins something and waits until it is there.
    pub(super) async fn put(
        &self,
        path: &str,
        version: &str,
        body: &Value,
        about: &str,
    ) -> Result<(), ProviderError> {
        let put_answer = self
            .call(
                Method::Put,
                path,
                &[("api-version", version)],
                Some(body),
                about,
            )
            .await?;
        self.done(put_answer, path, version, about).await
    }

    /// Removes something and waits until it is gone. Fine if it is.
    pub(super) async fn delete(
        &self,
        path: &str,
        version: &str,
        about: &str,
    ) -> Result<(), ProviderError> {
        let delete_answer = self
            .call(
                Method::Delete,
                path,
                &[("api-version", version)],
                None,
                about,
            )
            .await;
        let delete_result = match delete_answer {
            Ok(answer) => self.done(answer, path, version, about).await,
            Err(error) => Err(error),
        };
        ended_or_gone(delete_result)
    }

    /// An address that an answer has named. Nobody else is told who we are.
    async fn follow(&self, address: &str, about: &str) -> Result<Answer, ProviderError> {
        let url = Url::parse(address)
            .ok()
            .filter(|url| url.origin() == self.endpoint.origin());
        let url = url.ok_or_else(|| {
            let message = format!(
                "azure: cannot {about}: the answer leads away from {}",
                self.endpoint
            );
            ProviderError::new(ErrorKind::Other, message)
        })?;
        self.send(Method::Get, url, None, about).await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        about: &str,
    ) -> Result<Answer, ProviderError> {
        let send_call = async {
            let token = self.credential.get_token(&[&self.scope]).await?;
            let mut request = Request::new(url, method);
            request.insert_header(
                azure_core::headers::AUTHORIZATION,
                format!("Bearer {}", token.token.secret()),
            );
            match body {
                Some(body) => {
                    request.insert_header("content-type", "application/json");
                    request.set_body(azure_core::to_json(body)?);
                }
                None => request.set_body(azure_core::EMPTY_BODY),
            }
            self.pipeline
                .send(&azure_core::Context::default(), &mut request)
                .await
        };
        answered(send_call, about).await
    }

    /// Waits for the end of what was begun: by its operation, or by what was to be made. What
    /// failed is an error: Azure answers calls well whose operations then fail.
    pub(super) async fn done(
        &self,
        begun_answer: Answer,
        path: &str,
        version: &str,
        about: &str,
    ) -> Result<(), ProviderError> {
        let since = Instant::now();
        let mut pause = FIRST_LOOK;
        let Answer {
            operation,
            location,
            status,
            mut body,
        } = begun_answer;
        // Else it is where the new thing is.
        let location = location.filter(|_| status == 202);
        let mut is_over = operation.is_none() && location.is_none() && state(&body, about)?;
        while !is_over {
            if since.elapsed() > PATIENCE {
                let message = format!("azure: cannot {about}: it is not over after 10 minutes");
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK);
            is_over = match (&operation, &location) {
                (Some(address), _) => {
                    body = self.follow(address, about).await.map_err(forgotten)?.body;
                    match body["status"].as_str().unwrap_or_default() {
                        "Succeeded" => true,
                        "Failed" | "Canceled" => return Err(failure(&body["error"], about)),
                        _ => false,
                    }
                }
                (None, Some(address)) => self.follow(address, about).await?.status != 202,
                (None, None) => {
                    body = self
                        .call(Method::Get, path, &[("api-version", version)], None, about)
                        .await?
                        .body;
                    state(&body, about)?
                }
            };
        }
        Ok(())
    }
}

/// Whether a resource is what it was to become.
fn state(body: &Value, about: &str) -> Result<bool, ProviderError> {
    match body["properties"]["provisioningState"].as_str() {
        Some("Failed" | "Canceled") => Err(failure(&body["properties"]["error"], about)),
        Some("Succeeded") | None => Ok(true),
        Some(_) => Ok(false),
    }
}

/// An operation that is not known any more says nothing of what it was to do.
fn forgotten(error: ProviderError) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound => ProviderError {
            kind: ErrorKind::Unreachable,
            ..error
        },
        _ => error,
    }
}

/// The answer to a call, if it comes in time.
pub(super) async fn answered(
    call: impl Future<Output = azure_core::Result<Response>>,
    about: &str,
) -> Result<Answer, ProviderError> {
    let whole_answer = async {
        let response = call.await?;
        let header = |name: &'static str| response.headers().get_optional_string(&name.into());
        let (operation, location) = (header("azure-asyncoperation"), header("location"));
        let status = u16::from(response.status());
        let bytes = response.into_body().collect().await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            azure_core::from_json(&bytes)?
        };
        Ok(Answer {
            operation,
            location,
            status,
            body,
        })
    };
    match tokio::time::timeout(ANSWER, whole_answer).await {
        Ok(answer) => answer.map_err(|error| classify(&error, about)),
        Err(_) => {
            let message = format!(
                "azure: cannot {about}: no answer within {} s",
                ANSWER.as_secs()
            );
            Err(ProviderError::new(ErrorKind::Unreachable, message))
        }
    }
}

#[cfg(test)]
mod tests;
