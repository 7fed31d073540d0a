//! The way into a machine: its address, its first answer, its folder, and the proof of a lease.

use super::super::super::pauses::Pauses;
use super::super::super::runner::{Link, RemoteWorker};
use super::super::super::{ErrorKind, ProviderError, Token};
use super::super::machine_fate::{CloudFate, CloudWorker};
use super::super::{Cloud, Instance, instance_tags, user_data};
use super::Machines;
use super::node::Node;
use crate::model::hosts::{HostTrust, SshTarget};
use crate::util::clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an instance may take to be there with an address, and then to let us in: each.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at what comes up: of a machine that boots, the cloud is not asked often.
fn pauses() -> Pauses {
    Pauses::new(Duration::from_millis(200), Duration::from_secs(5))
}

impl<C: Cloud> Machines<C> {
    /// The way to the machine of a token, once it has an address and lets us in; its folder there
    /// is made.
    pub(super) async fn link(&self, node: &Node) -> Result<Arc<Link>, ProviderError> {
        let known_node = self.known(node);
        let _alone = known_node.alone.lock().await;
        if let Some(link) = self.known(node).link {
            return Ok(link);
        }
        let begun_at = Instant::now();
        let mut pauses = pauses();
        let (instance, address) = loop {
            let instance = self
                .alive(node)
                .await?
                .ok_or_else(|| self.not_found(&node.token))?;
            if let Some(address) = instance.address.clone() {
                break (instance, address);
            }
            if begun_at.elapsed() > PATIENCE {
                return Err(self.wrong(
                    ErrorKind::Other,
                    &instance,
                    "has no address after 10 minutes",
                ));
            }
            pauses.wait().await;
        };
        let host_key = instance
            .tags
            .get(instance_tags::HOST_KEY)
            .cloned()
            .ok_or_else(|| {
                self.wrong(
                    ErrorKind::Denied,
                    &instance,
                    "has no host key in its tags, so it is not talked to",
                )
            })?;
        self.cloud.admit(&instance).await?;
        let link = Link::new(SshTarget {
            name: instance.id.clone(),
            address,
            port: None,
            user: Some(user_data::user()?),
            identity: Some(self.keys.client()?),
            trust: HostTrust::Key(host_key),
            root: "sky".to_owned(),
        });
        self.enter(node, &instance, &link).await?;
        self.learn(node, |known| known.link = Some(link.clone()));
        Ok(link)
    }

    /// Makes the machine's folder, when it has booted. Fine if it is there.
    async fn enter(
        &self,
        node: &Node,
        instance: &Instance,
        link: &Link,
    ) -> Result<(), ProviderError> {
        let lease_end = instance
            .tags
            .get(instance_tags::LEASE_END)
            .cloned()
            .unwrap_or_default();
        let tags = serde_json::to_string(&instance.tags)
            .map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
        let begun_at = Instant::now();
        let mut pauses = pauses();
        loop {
            let lease_seconds = clock::between(&clock::timestamp(), &lease_end) / 1000;
            let arguments = [
                node.token.id.as_str(),
                &tags,
                &lease_seconds.to_string(),
                &lease_end,
                "1",
            ];
            let error = match link.lines("create", &arguments).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // While it boots, nothing listens; or what listens does not know our key yet.
            if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Denied) {
                return Err(error);
            }
            if self.alive(node).await?.is_none() {
                return Err(self.not_found(&node.token));
            }
            if begun_at.elapsed() > PATIENCE {
                let message = format!("it did not let us in within 10 minutes: {}", error.message);
                // Whoever asks again would wait as long again.
                let kind = if error.kind == ErrorKind::Denied {
                    ErrorKind::Denied
                } else {
                    ErrorKind::Other
                };
                return Err(self.wrong(kind, instance, &message));
            }
            pauses.wait().await;
        }
    }

    /// Signs the longer lease for the machine's watchdog, if that asks for it: an answer to its
    /// challenge, so that nobody on the machine can make one, or keep one for later.
    pub(super) async fn prove(
        &self,
        token: &Token,
        link: &Link,
        lease: Duration,
    ) -> Result<(), ProviderError> {
        let challenge_answer = link.lines("challenge", &[&token.id]).await?;
        let Some(word) = challenge_answer.first().filter(|word| is_challenge(word)) else {
            return Ok(());
        };
        let message = format!("{} {word} {}", token.id, lease.as_secs());
        let signature = self.keys.sign(&message)?;
        link.lines("prove", &[&token.id, &message, &signature])
            .await
            .map(drop)
    }

    /// The inside of a node's machine.
    pub(super) async fn inside(&self, node: &Node) -> Result<CloudWorker<C>, ProviderError> {
        let link = self.link(node).await?;
        let inner_worker = RemoteWorker::new(link, node.token.clone(), self.scratch(node));
        let place = self.known(node).place;
        let fate = CloudFate {
            cloud: self.cloud.clone(),
            token: node.token.clone(),
            node: node.number,
            place,
        };
        Ok(CloudWorker {
            inner: inner_worker,
            fate,
            kept: self.log(node),
        })
    }

    pub(super) fn scratch(&self, node: &Node) -> PathBuf {
        self.stages.join(".incoming").join(node.own().id)
    }

    /// Where the log of an attempt is kept when its machine is gone.
    pub(super) fn log(&self, node: &Node) -> PathBuf {
        let name = if node.number == 0 {
            "log".to_owned()
        } else {
            format!("log-{}", node.number)
        };
        self.stages
            .join(&node.token.stage)
            .join(node.token.attempt.to_string())
            .join(name)
    }
}

/// Whether a machine's word is one that is signed: nothing else that somebody there might want to
/// have signed.
fn is_challenge(word: &str) -> bool {
    word.len() == 36
        && word
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
