//! Jobs and their pods: where they are, how they come up, who ends them.

use super::super::cloud::instance_tags;
use super::super::pauses::Pauses;
use super::super::runner::Link;
use super::super::{ErrorKind, ProviderError, RunStatus, Token};
use super::access::Site;
use super::errors::{refusal, words};
use super::exec::Exec;
use super::job;
use super::pod::{self, PodEnd, PodState};
use crate::model::hosts::{HostTrust, KubernetesNamespace, KubernetesPods, SshTarget};
use crate::util::clock;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a pod that has its node may take to come up: images may be large.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long a Job may be without a pod and without a word why.
const NO_POD: Duration = Duration::from_secs(120);
/// How long a pod may take to end.
const END: Duration = Duration::from_secs(120);
/// Where the agent keeps a machine, in its disk.
const ROOT: &str = "data";

/// What is known of the clusters' machines.
pub(super) struct Machines {
    sites: Vec<Arc<Site>>,
    kinds: Vec<KubernetesPods>,
    /// What is known of machines, by token.
    known: Mutex<HashMap<String, Known>>,
}

/// What this process knows of a token.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Where its Job was seen, or made.
    site: Option<Arc<Site>>,
    pub link: Option<Arc<Link>>,
    /// Held while its Job is made, or its link.
    pub alone: Arc<tokio::sync::Mutex<()>>,
}

impl Machines {
    pub(super) fn new(sites: Vec<Arc<Site>>, kinds: Vec<KubernetesPods>) -> Self {
        Self {
            sites,
            kinds,
            known: Mutex::default(),
        }
    }

    pub(super) fn sites(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// There is one for every entry of the inventory.
    pub(super) fn site(&self, namespace: &KubernetesNamespace) -> Arc<Site> {
        let found_site = self.sites.iter().find(|site| site.at == *namespace);
        found_site
            .cloned()
            .unwrap_or_else(|| Arc::new(Site::new("of the inventory", namespace)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self, token: &Token) -> Known {
        self.lock().entry(token.id.clone()).or_default().clone()
    }

    pub(super) fn saw(&self, token: &Token, site: &Arc<Site>) {
        self.lock().entry(token.id.clone()).or_default().site = Some(site.clone());
    }

    /// The Job of a token: first where it was, then anywhere. Of a cluster that does not answer
    /// nobody knows anything, so what is in no other may be there.
    pub(super) async fn find(
        &self,
        token: &Token,
    ) -> Result<Option<(Arc<Site>, Job)>, ProviderError> {
        if let Some(site) = self.known(token).site
            && let Some(job) = site.job(&token.id).await?
        {
            return Ok(Some((site, job)));
        }
        let mut silent = None;
        for site in &self.sites {
            match site.job(&token.id).await {
                Ok(Some(job)) => {
                    self.saw(token, site);
                    return Ok(Some((site.clone(), job)));
                }
                Ok(None) => {}
                Err(error) => silent = Some(error),
            }
        }
        silent.map_or(Ok(None), Err)
    }

    /// Changes a Job as a merge patch says; it as it is then.
    pub(super) async fn change(
        &self,
        site: &Site,
        token: &Token,
        patch: &Value,
    ) -> Result<Job, ProviderError> {
        let params = PatchParams {
            field_manager: Some(job::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let jobs = site.jobs().await?;
        site.ask(jobs.patch(&job::name(&token.id), &params, &Patch::Merge(patch)))
            .await
    }

    /// The way into the machine of a token, once its pod runs; its folder there is made.
    pub(super) async fn link(&self, token: &Token) -> Result<Arc<Link>, ProviderError> {
        let node_lock = self.known(token).alone;
        let _alone = node_lock.lock().await;
        if let Some(link) = self.known(token).link {
            return Ok(link);
        }
        let (site, job, pod) = self.up(token).await?;
        let name = name_of_pod(&pod)?.to_owned();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let image = containers
            .filter_map(|container| container.image.clone())
            .next()
            .unwrap_or_default();
        let pod_target = SshTarget {
            name: format!("{}/{name}", site.name),
            address: String::new(),
            port: None,
            user: None,
            identity: None,
            trust: HostTrust::Here,
            root: ROOT.to_owned(),
        };
        let link = Link::by(
            Box::new(Exec {
                site: site.clone(),
                pod: name,
                image: image.clone(),
            }),
            pod_target,
        );
        let lease_end = job::note(&job, instance_tags::LEASE_END)
            .unwrap_or_default()
            .to_owned();
        let tags = serde_json::to_string(&job.metadata.annotations)
            .map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
        let lease_seconds = clock::between(&clock::timestamp(), &lease_end) / 1000;
        let arguments = [
            token.id.as_str(),
            &tags,
            &lease_seconds.to_string(),
            &lease_end,
            "1",
        ];
        link.lines("create", &arguments).await.map_err(|error| {
            let host_lacks = error.message.contains("the host lacks");
            let hint = if host_lacks {
                format!(": its image is {image}")
            } else {
                String::new()
            };
            ProviderError::new(error.kind, error.message + &hint)
        })?;
        self.lock().entry(token.id.clone()).or_default().link = Some(link.clone());
        Ok(link)
    }

    /// The Job of a token and the pod that has the machine, once that runs.
    async fn up(&self, token: &Token) -> Result<(Arc<Site>, Job, Pod), ProviderError> {
        let begun_at = Instant::now();
        let mut pauses = pauses();
        loop {
            let found_job = self.find(token).await?.filter(|(_, job)| !job::leaves(job));
            let (site, job) = found_job.ok_or_else(|| missing_pod(token, "is not there"))?;
            let pods = site.pods_of(&token.id).await?;
            let pod = pod_with_machine(pods, job::note(&job, job::POD));
            check_job(token, &job, pod.as_ref())?;
            let waited = begun_at.elapsed();
            match pod {
                Some((PodState::Up, pod)) => {
                    if let Some(job) = self.bind_pod(&site, token, job, &pod).await? {
                        return Ok((site, job, pod));
                    }
                }
                Some((state, pod)) => {
                    let patience = self.kind(&job).map_or(PATIENCE, |kind| kind.wait);
                    check_pod(&site, token, (state, &pod), (waited, patience))?;
                }
                None => {
                    if let Some((kind, why)) = without_pod(&site, &job, waited).await {
                        return Err(failed_job(&site, token, kind, why));
                    }
                }
            }
            pauses.wait().await;
        }
    }

    /// Notes in a Job which pod has its machine, unless that is noted already; none: the Job has
    /// changed since it was read.
    async fn bind_pod(
        &self,
        site: &Arc<Site>,
        token: &Token,
        job: Job,
        pod: &Pod,
    ) -> Result<Option<Job>, ProviderError> {
        if job::note(&job, job::POD).is_some() {
            return Ok(Some(job));
        }
        let (uid, version) = (&pod.metadata.uid, &job.metadata.resource_version);
        let note =
            json!({ "metadata": { "resourceVersion": version, "annotations": { job::POD: uid } } });
        match self.change(site, token, &note).await {
            Ok(job) => Ok(Some(job)),
            // It has changed since: one more look.
            Err(error) if error.kind == ErrorKind::Throttled => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entry of the inventory that a Job was made by.
    fn kind(&self, job: &Job) -> Option<&KubernetesPods> {
        let (place, name) = (job::note(job, job::PLACE)?, job::note(job, job::TYPE)?);
        self.kinds
            .iter()
            .find(|kind| kind.host.instance_type == name && kind.host.place.to_string() == place)
    }

    /// Why a machine does not answer: its end, if that is it; else none.
    pub(super) async fn fate(&self, token: &Token) -> Result<Option<RunStatus>, ProviderError> {
        let Some((site, job)) = self.find(token).await?.filter(|(_, job)| !job::leaves(job)) else {
            return Ok(Some(RunStatus::Lost));
        };
        let pods = site.pods_of(&token.id).await?;
        let bound_pod = job::note(&job, job::POD);
        let own_pod = pods
            .iter()
            .find(|pod| bound_pod.is_none() || pod.metadata.uid.as_deref() == bound_pod);
        let stand = own_pod.map_or(PodState::PodEnd(PodEnd::Deleted), pod::read);
        let replaced = bound_pod.is_some()
            && pods
                .iter()
                .any(|pod| pod.metadata.uid.as_deref() != bound_pod);
        let ended_reason = job::ended(&job).map(|(reason, _)| reason);
        let lease_end = job::note(&job, instance_tags::LEASE_END);
        let is_late = lease_end.is_some_and(|end| clock::between(end, &clock::timestamp()) > 0);
        Ok(match stand {
            PodState::PodEnd(PodEnd::OutOfMemory) => {
                let message = format!("cluster {}: {}", site.name, out_of_memory());
                return Err(ProviderError::new(ErrorKind::Other, message));
            }
            PodState::PodEnd(_)
                if is_late || ended_reason.as_deref() == Some("DeadlineExceeded") =>
            {
                Some(RunStatus::Expired)
            }
            PodState::PodEnd(PodEnd::Taken) => Some(RunStatus::Preempted),
            // The pod goes first, and the Job says later whether it was for its deadline.
            PodState::PodEnd(PodEnd::Deleted) => {
                (replaced || ended_reason.is_some()).then_some(RunStatus::Preempted)
            }
            PodState::PodEnd(_) => Some(RunStatus::Lost),
            _ => None,
        })
    }

    /// Ends the Job of a token and its pods, wherever they are, and waits until they are gone.
    pub(super) async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        let sites = match self.find(token).await? {
            Some((site, _)) => vec![site],
            // There may be pods without a Job.
            None => self
                .known(token)
                .site
                .map_or_else(|| self.sites.clone(), |site| vec![site]),
        };
        for site in sites {
            self.end_at(&site, token).await?;
        }
        self.lock().entry(token.id.clone()).or_default().link = None;
        Ok(())
    }

    async fn end_at(&self, site: &Site, token: &Token) -> Result<(), ProviderError> {
        let begun_at = Instant::now();
        let mut pauses = pauses();
        let fine = |error: &ProviderError| error.kind == ErrorKind::NotFound;
        loop {
            let job = site.job(&token.id).await?;
            if job.as_ref().is_some_and(|job| !job::leaves(job)) {
                let jobs = site.jobs().await?;
                let delete_result = site
                    .ask(jobs.delete(&job::name(&token.id), &DeleteParams::foreground()))
                    .await;
                delete_result
                    .map(drop)
                    .or_else(|error| if fine(&error) { Ok(()) } else { Err(error) })?;
            }
            let pods = site.pods_of(&token.id).await?;
            if job.is_none() && pods.is_empty() {
                return Ok(());
            }
            // What its Job does not take with it.
            for pod in pods
                .iter()
                .filter(|pod| job.is_none() && pod.metadata.deletion_timestamp.is_none())
            {
                let api = site.pods().await?;
                let name = name_of_pod(pod)?;
                let delete_result = site.ask(api.delete(name, &DeleteParams::default())).await;
                delete_result
                    .map(drop)
                    .or_else(|error| if fine(&error) { Ok(()) } else { Err(error) })?;
            }
            if begun_at.elapsed() > END {
                let message = format!(
                    "cluster {}: job {} was deleted, and is not gone after {} s: is its node there?",
                    site.name,
                    job::name(&token.id),
                    END.as_secs()
                );
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            pauses.wait().await;
        }
    }
}

/// Why a Job without a pod will not get one, if that is clear by now.
async fn without_pod(site: &Site, job: &Job, waited: Duration) -> Option<(ErrorKind, String)> {
    match site.complaint(job).await {
        Some(why) if why.contains("forbidden") => Some((refusal(&why), words(&why))),
        why if waited > NO_POD => {
            let reason_words = why.unwrap_or_else(|| "the cluster does not say why".to_owned());
            Some((
                ErrorKind::Stockout,
                format!("it gets no pod: {}", words(&reason_words)),
            ))
        }
        _ => None,
    }
}

fn out_of_memory() -> String {
    "its pod had not enough memory, and was ended: a kind of pod with more `memory` may do"
        .to_owned()
}

/// How long a Job has been under way until its last change, by the cluster's own clock.
pub(super) fn elapsed(job: &Job) -> Duration {
    let begun_at = job
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref())
        .map(|time| time.0);
    let changes = job.metadata.managed_fields.iter().flatten();
    let changed_at = changes
        .filter_map(|change| change.time.as_ref())
        .map(|time| time.0)
        .max();
    let elapsed = begun_at
        .zip(changed_at)
        .map(|(begun, changed)| changed.duration_since(begun));
    elapsed
        .and_then(|elapsed| Duration::try_from(elapsed).ok())
        .unwrap_or_default()
}

/// The pod of a Job that has its machine, or may have it: the one that is `bound`, if one is. One
/// that still may run is before one that has, or never will.
fn pod_with_machine(pods: Vec<Pod>, bound: Option<&str>) -> Option<(PodState, Pod)> {
    pods.into_iter()
        .filter(|pod| bound.is_none() || pod.metadata.uid.as_deref() == bound)
        .map(|pod| (pod::read(&pod), pod))
        .min_by_key(|(state, _)| matches!(state, PodState::PodEnd(_)))
}

/// The error if the Job, by itself, says that its machine is gone.
fn check_job(token: &Token, job: &Job, pod: Option<&(PodState, Pod)>) -> Result<(), ProviderError> {
    if pod.is_none() && job::note(job, job::POD).is_some() {
        return Err(missing_pod(token, "was taken away"));
    }
    if let Some((reason, message)) = job::ended(job)
        && !matches!(pod, Some((PodState::PodEnd(_), _)))
    {
        let ended_words = format!("has ended: {reason}: {message}");
        return Err(missing_pod(token, &ended_words));
    }
    Ok(())
}

/// The error if a pod that is not up will not come up any more, or has taken too long.
fn check_pod(
    site: &Site,
    token: &Token,
    (state, pod): (PodState, &Pod),
    (waited, patience): (Duration, Duration),
) -> Result<(), ProviderError> {
    let pod_failed = |kind, why| Err(failed_job(site, token, kind, why));
    match state {
        PodState::PodEnd(PodEnd::NoRoom(why)) => pod_failed(ErrorKind::Stockout, why),
        PodState::PodEnd(PodEnd::Broken(why)) | PodState::Broken(why) => {
            pod_failed(ErrorKind::Other, format!("its container cannot run: {why}"))
        }
        PodState::PodEnd(PodEnd::OutOfMemory) => pod_failed(ErrorKind::Other, out_of_memory()),
        PodState::PodEnd(PodEnd::Taken | PodEnd::Deleted) => {
            Err(missing_pod(token, "was taken away"))
        }
        PodState::PodEnd(PodEnd::Ended(why)) => {
            Err(missing_pod(token, &format!("has ended: {why}")))
        }
        PodState::Unplaced(why) if waited > patience => {
            let name = name_of_pod(pod)?;
            let unscheduled_words = format!(
                "no node took pod {name} within {} s: {why}",
                patience.as_secs()
            );
            pod_failed(ErrorKind::Stockout, unscheduled_words)
        }
        PodState::Coming(why) if waited > PATIENCE => {
            let not_up_words = format!(
                "its pod did not come up within {} s: {why}",
                PATIENCE.as_secs()
            );
            pod_failed(ErrorKind::Other, not_up_words)
        }
        PodState::Unplaced(_) | PodState::Coming(_) | PodState::Up => Ok(()),
    }
}

fn missing_pod(token: &Token, why: &str) -> ProviderError {
    let message = format!(
        "kubernetes: the pod of attempt {} of stage.{} {why}",
        token.attempt, token.stage
    );
    ProviderError::new(ErrorKind::NotFound, message)
}

fn failed_job(site: &Site, token: &Token, kind: ErrorKind, why: String) -> ProviderError {
    let message = format!("cluster {}: job {}: {why}", site.name, job::name(&token.id));
    ProviderError::new(kind, message)
}

/// Between two looks at what comes and goes.
fn pauses() -> Pauses {
    Pauses::new(Duration::from_millis(50), Duration::from_secs(3))
}

fn name_of_pod(pod: &Pod) -> Result<&str, ProviderError> {
    let name = pod.metadata.name.as_deref();
    name.ok_or_else(|| ProviderError::new(ErrorKind::Other, "kubernetes: a pod has no name"))
}
