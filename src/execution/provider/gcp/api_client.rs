//! Who asks, of which project, and where: what the clients are made with.

use super::super::{ErrorKind, ProviderError};
use super::errors::{classify, failure};
use super::rest_client::Rest;
use crate::util::environment;
use crate::util::variables::{self, Variable};
use google_cloud_auth::credentials::{Builder, Credentials, anonymous};
use google_cloud_compute_v1::Error;
use google_cloud_compute_v1::client;
use google_cloud_compute_v1::model::{Operation, operation::Status};
use google_cloud_gax::retry_policy::NeverRetry;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long an operation may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between the first two looks at an operation, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(2);
const SCOPE: &str = "https://www.googleapis.com/auth/compute";
/// Cloud TPU has no smaller one.
const WHOLE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where Cloud TPU is.
const TPU: &str = "https://tpu.googleapis.com";
const COMPUTE: &str = "https://compute.googleapis.com";
const PROJECTS: &str = "https://cloudresourcemanager.googleapis.com";
const FILE: Variable = variables::GOOGLE_APPLICATION_CREDENTIALS;

/// What is said of the API that is not in credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The project's id; none: that of the credentials.
    pub project: Option<String>,
    /// Another address of the APIs. One without TLS is sent no credentials.
    pub endpoint: Option<String>,
}

impl Settings {
    /// The settings that the environment has.
    pub fn read() -> Self {
        Self {
            project: environment::text(variables::SKY_GCP_PROJECT)
                .or_else(|| environment::text(variables::GOOGLE_CLOUD_PROJECT)),
            endpoint: environment::text(variables::SKY_GCP_ENDPOINT),
        }
    }
}

/// The clients, and the project that they ask about.
pub(super) struct Api {
    pub project: String,
    pub instances: client::Instances,
    pub firewalls: client::Firewalls,
    pub machine_types: client::MachineTypes,
    pub accelerator_types: client::AcceleratorTypes,
    pub global_operations: client::GlobalOperations,
    pub tpu: Rest,
    /// What the SDK's features above do not have of Compute Engine.
    pub compute: Rest,
    /// Resource Manager.
    pub projects: Rest,
    zone_operations: client::ZoneOperations,
}

/// Whether somebody has set up credentials on this machine, as far as files and the environment
/// tell.
pub(super) fn set_up() -> bool {
    environment::text(variables::SKY_GCP_PROJECT).is_some()
        || file().is_some_and(|path| path.exists())
}

/// The file of the standard chain.
fn file() -> Option<PathBuf> {
    let usual_file = || {
        environment::text(variables::HOME)
            .map(|home| format!("{home}/.config/gcloud/application_default_credentials.json"))
    };
    environment::text(FILE)
        .or_else(usual_file)
        .map(PathBuf::from)
}

/// Whether this machine is one of Google's, which gives credentials by itself; else asking for them
/// takes long, and nobody answers.
fn of_google() -> bool {
    let product = std::fs::read_to_string("/sys/class/dmi/id/product_name").unwrap_or_default();
    product.trim_start().starts_with("Google")
        || environment::text(variables::GCE_METADATA_HOST).is_some()
}

fn denied(why: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Denied, format!("gcp: {why}"))
}

fn credentials(scope: &str) -> Result<Credentials, ProviderError> {
    let file_there = file().is_some_and(|path| path.exists());
    if !file_there && environment::text(FILE).is_none() && !of_google() {
        return Err(denied(
            "there are no credentials: sign in with `gcloud auth application-default login`, or name the file of a \
             service account by GOOGLE_APPLICATION_CREDENTIALS",
        ));
    }
    let credentials_made = Builder::default().with_scopes([scope]).build();
    credentials_made.map_err(|error| {
        denied(&format!(
            "the credentials cannot be used: {error}; is {} right?",
            FILE.name
        ))
    })
}

fn project(settings: &Settings) -> Result<String, ProviderError> {
    let of_file = || {
        let text = std::fs::read_to_string(file()?).ok()?;
        let credentials_json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let named_project = credentials_json
            .get("project_id")
            .or_else(|| credentials_json.get("quota_project_id"))?;
        named_project.as_str().map(str::to_owned)
    };
    let named_project = settings
        .project
        .clone()
        .or_else(of_file)
        .ok_or_else(|| denied("nothing says which project: set SKY_GCP_PROJECT to its id"))?;
    let plain_character = |one: char| one.is_ascii_alphanumeric() || "-:.".contains(one);
    if !named_project.chars().all(plain_character) {
        return Err(denied(&format!(
            "`{}` is not an id of a project: see SKY_GCP_PROJECT",
            named_project.escape_debug()
        )));
    }
    Ok(named_project)
}

impl Api {
    pub(super) async fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let project = project(settings)?;
        let endpoint = &settings.endpoint;
        // A token is never sent in the clear.
        let clear = endpoint
            .as_deref()
            .is_some_and(|endpoint| !endpoint.starts_with("https://"));
        let whole_access = if clear {
            None
        } else {
            Some(credentials(WHOLE)?)
        };
        let rest_client = |own: &str| {
            let base = endpoint.as_deref().unwrap_or(own).trim_end_matches('/');
            Rest::new(&format!("{base}/"), whole_access.clone())
        };
        let (tpu, compute, projects) = (
            rest_client(TPU)?,
            rest_client(COMPUTE)?,
            rest_client(PROJECTS)?,
        );
        let credentials = if clear {
            anonymous::Builder::new().build()
        } else {
            credentials(SCOPE)?
        };
        macro_rules! client {
            ($name:ident) => {{
                // Who tries again, and when, is the engine's to say.
                let builder = client::$name::builder()
                    .with_credentials(credentials.clone())
                    .with_retry_policy(NeverRetry);
                let builder = match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint),
                    None => builder,
                };
                let client_made = builder.build().await;
                client_made.map_err(|error| {
                    ProviderError::new(ErrorKind::Other, format!("gcp: {error}"))
                })?
            }};
        }
        Ok(Self {
            project,
            instances: client!(Instances),
            firewalls: client!(Firewalls),
            machine_types: client!(MachineTypes),
            accelerator_types: client!(AcceleratorTypes),
            global_operations: client!(GlobalOperations),
            tpu,
            compute,
            projects,
            zone_operations: client!(ZoneOperations),
        })
    }

    /// Waits for the end of an operation of a zone, or of none. What failed is an error: Google
    /// answers calls well whose operations then fail.
    pub(super) async fn done(
        &self,
        mut operation: Operation,
        zone: Option<&str>,
        about: &str,
    ) -> Result<(), ProviderError> {
        let begun_at = Instant::now();
        let mut pause = FIRST_LOOK;
        while operation.status != Some(Status::Done) {
            let Some(name) = operation.name.clone() else {
                let message = format!(
                    "gcp: cannot {about}: Google has begun it, and does not say under which name"
                );
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            };
            if begun_at.elapsed() > PATIENCE {
                let message = format!(
                    "gcp: cannot {about}: the operation {name} is not over after 10 minutes"
                );
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK);
            operation = match zone {
                Some(zone) => {
                    let wait_call = self
                        .zone_operations
                        .get()
                        .set_project(&self.project)
                        .set_zone(zone);
                    answered(wait_call.set_operation(name).send(), about).await?
                }
                None => {
                    let wait_call = self.global_operations.get().set_project(&self.project);
                    answered(wait_call.set_operation(name).send(), about).await?
                }
            };
        }
        failure(&operation, about).map_or(Ok(()), Err)
    }
}

/// The answer to a call, if it comes in time.
pub(super) async fn answered<T>(
    call: impl Future<Output = Result<T, Error>>,
    about: &str,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(answer) => answer.map_err(|error| classify(&error, about)),
        Err(_) => {
            let message = format!(
                "gcp: cannot {about}: no answer within {} s",
                ANSWER.as_secs()
            );
            Err(ProviderError::new(ErrorKind::Unreachable, message))
        }
    }
}
