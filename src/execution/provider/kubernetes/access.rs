//! The ways to clusters: a namespace each, with the credentials of a kubeconfig or of a pod.

use super::super::{ErrorKind, ProviderError};
use super::{errors, job};
use crate::model::hosts::KubernetesNamespace;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a call may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A namespace of a cluster.
pub(super) struct Site {
    /// The name of the first entry of the file of hosts that is about this namespace.
    pub name: String,
    pub at: KubernetesNamespace,
    api: OnceCell<(Client, String)>,
}

impl Site {
    /// One that is not yet talked to.
    pub(super) fn new(name: &str, namespace: &KubernetesNamespace) -> Self {
        Self {
            name: name.to_owned(),
            at: namespace.clone(),
            api: OnceCell::new(),
        }
    }

    async fn api(&self) -> Result<&(Client, String), ProviderError> {
        let connect = async {
            let options = KubeConfigOptions {
                context: self.at.context.clone(),
                ..KubeConfigOptions::default()
            };
            let mut config = match (&self.at.kubeconfig, &self.at.context) {
                (Some(path), _) => {
                    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
                }
                (None, Some(_)) => Config::from_kubeconfig(&options).await?,
                (None, None) => Config::infer().await.map_err(kube::Error::InferConfig)?,
            };
            // Whoever calls knows how long to go on trying.
            config.default_retry = false;
            let namespace = self
                .at
                .name
                .clone()
                .unwrap_or_else(|| config.default_namespace.clone());
            Ok((Client::try_from(config)?, namespace))
        };
        self.api
            .get_or_try_init(|| connect)
            .await
            .map_err(|error: kube::Error| errors::read(&self.name, &error))
    }

    pub(super) async fn jobs(&self) -> Result<Api<Job>, ProviderError> {
        let (client, namespace) = self.api().await?;
        Ok(Api::namespaced(client.clone(), namespace))
    }

    /// Where one asks about one's own rights, and the namespace.
    pub(super) async fn reviews(
        &self,
    ) -> Result<(Api<SelfSubjectAccessReview>, String), ProviderError> {
        let (client, namespace) = self.api().await?;
        Ok((Api::all(client.clone()), namespace.clone()))
    }

    pub(super) async fn pods(&self) -> Result<Api<Pod>, ProviderError> {
        let (client, namespace) = self.api().await?;
        Ok(Api::namespaced(client.clone(), namespace))
    }

    /// Makes a call, and says what its failure means.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ProviderError> {
        match tokio::time::timeout(ANSWER, call).await {
            Ok(answer) => answer.map_err(|error| errors::read(&self.name, &error)),
            Err(_) => {
                let message = format!(
                    "cluster {}: no answer within {} s",
                    self.name,
                    ANSWER.as_secs()
                );
                Err(ProviderError::new(ErrorKind::Unreachable, message))
            }
        }
    }

    /// The job of a token.
    pub(super) async fn job(&self, token: &str) -> Result<Option<Job>, ProviderError> {
        self.ask(self.jobs().await?.get_opt(&job::name(token)))
            .await
    }

    /// The pods of a token, the oldest first: one, unless the cluster has replaced it.
    pub(super) async fn pods_of(&self, token: &str) -> Result<Vec<Pod>, ProviderError> {
        let wanted_pods = ListParams::default().labels(&job::label(token));
        let mut pods = self.ask(self.pods().await?.list(&wanted_pods)).await?.items;
        pods.sort_by_key(|pod| {
            (
                pod.metadata.creation_timestamp.clone(),
                pod.metadata.name.clone(),
            )
        });
        Ok(pods)
    }

    /// The last that the cluster says of why it does not make a job's pod.
    pub(super) async fn complaint(&self, job: &Job) -> Option<String> {
        let (client, namespace) = self.api().await.ok()?;
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let of_job = format!("involvedObject.uid={}", job.metadata.uid.as_deref()?);
        // Whoever may not see events waits without knowing why.
        let events = self
            .ask(events.list(&ListParams::default().fields(&of_job)))
            .await
            .ok()?
            .items;
        let failed_event = events
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("FailedCreate"));
        failed_event
            .max_by_key(|event| event.last_timestamp.clone())
            .and_then(|event| event.message)
    }
}

/// What makes TLS. More than one library for it may be in this build, and then somebody must
/// choose.
pub(super) fn choose_tls() {
    // Somebody has done so before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
