//! One's own Kubernetes clusters as a provider.

use super::super::check::{Finding, Need};
use super::super::cloud::instance_tags;
use super::super::runner::{Link, RemoteWorker};
use super::super::{
    ErrorKind, Evidence, KUBERNETES, LeaseEnd, Machine, MachineSpec, Owner, Provider,
    ProviderError, Token, Worker, without_tee,
};
use super::access::Site;
use super::machine::Machines;
use super::machine_fate::{PodFate, PodWorker};
use super::{access, check, job, machine};
use crate::model::hosts::{KubernetesPods, OwnHosts};
use crate::util::tree;
use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One's own Kubernetes clusters.
pub struct Kubernetes {
    own: Arc<OwnHosts>,
    machines: Arc<Machines>,
    /// The folder of this machine for what comes back, and for logs.
    stages: PathBuf,
}

impl Kubernetes {
    /// The clusters of a file of hosts; `root` is the state folder. Nothing is asked of them before
    /// it is needed.
    pub fn new(own_hosts: Arc<OwnHosts>, root: &Path) -> Self {
        access::choose_tls();
        let mut sites: Vec<Arc<Site>> = Vec::new();
        for pods in &own_hosts.pods {
            if sites.iter().all(|site| site.at != pods.at) {
                sites.push(Arc::new(Site::new(&pods.host.reach.name, &pods.at)));
            }
        }
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let machines = Arc::new(Machines::new(sites, own_hosts.pods.clone()));
        Self {
            own: own_hosts,
            machines,
            stages: root.join("stages"),
        }
    }

    fn not_found(token: &Token) -> ProviderError {
        let message = format!(
            "kubernetes: no cluster has the job of attempt {} of stage.{}",
            token.attempt, token.stage
        );
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn scratch(&self, token: &Token) -> PathBuf {
        self.stages.join(".incoming").join(&token.id)
    }

    /// Where the log of an attempt is kept when its pod is gone.
    fn log(&self, token: &Token) -> PathBuf {
        self.stages
            .join(&token.stage)
            .join(token.attempt.to_string())
            .join("log")
    }

    fn inside(&self, token: &Token, link: Arc<Link>) -> RemoteWorker {
        RemoteWorker::new(link, token.clone(), self.scratch(token))
    }

    async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        self.machines.end(token).await?;
        Ok(tree::remove(&self.scratch(token))?)
    }

    /// The Job of a token that may go on, and where it is.
    async fn alive(&self, token: &Token) -> Result<(Arc<Site>, Job), ProviderError> {
        let found_job = self.machines.find(token).await?;
        let usable = |job: &Job| !job::leaves(job) && job::ended(job).is_none();
        found_job
            .filter(|(_, job)| usable(job))
            .ok_or_else(|| Self::not_found(token))
    }
}

#[async_trait]
impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        KUBERNETES
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        for site in self.machines.sites() {
            site.jobs().await?;
        }
        Ok(())
    }

    async fn check(&self, _needs: &[Need]) -> Vec<Finding> {
        let looks = self.machines.sites().iter().map(|site| check::check(site));
        futures_util::future::join_all(looks)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let wanted_machine = format!("{} at {}", spec.instance_type, spec.place);
        let fits_pods = |pods: &&KubernetesPods| {
            pods.host.place == spec.place && pods.host.instance_type == spec.instance_type
        };
        let Some(pods) = self.own.pods.iter().find(fits_pods) else {
            let message =
                format!("kubernetes: the inventory has no pods that are {wanted_machine}");
            return Err(ProviderError::new(ErrorKind::Stockout, message));
        };
        if let Some(tee) = spec
            .tee
            .filter(|tee| !pods.host.offer.tee.contains(tee.name()))
        {
            return Err(without_tee(KUBERNETES, wanted_machine, tee));
        }
        if spec.nodes > 1 {
            let message = format!(
                "kubernetes: a stage gets one pod, and stage.{} wants {}",
                token.stage, spec.nodes
            );
            return Err(ProviderError::new(ErrorKind::Quota, message));
        }
        let node_lock = self.machines.known(token).alone;
        let _alone = node_lock.lock().await;
        let site = self.machines.site(&pods.at);
        let job = match site.job(&token.id).await? {
            Some(job) => job,
            None => {
                let job = job::wanted(token, spec, pods);
                let params = PatchParams::apply(job::MANAGER).force();
                let jobs = site.jobs().await?;
                let name = job::name(&token.id);
                let job_made = site
                    .ask(jobs.patch(&name, &params, &Patch::Apply(&job)))
                    .await;
                job_made.map_err(|error| match error.kind {
                    // What is not found can only be the namespace.
                    ErrorKind::NotFound => ProviderError::new(ErrorKind::Other, error.message),
                    _ => error,
                })?
            }
        };
        self.machines.saw(token, &site);
        let damaged_job = || {
            ProviderError::new(
                ErrorKind::Other,
                format!("cluster {}: the job lost its labels", site.name),
            )
        };
        job::machine(&site.name, &job).ok_or_else(damaged_job)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self
            .machines
            .find(token)
            .await?
            .and_then(|(site, job)| job::machine(&site.name, &job)))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let mut machines = Vec::new();
        let mut seen_jobs = BTreeSet::new();
        for site in self.machines.sites() {
            let jobs = site.jobs().await?;
            for job in site
                .ask(jobs.list(&ListParams::default().labels(job::OURS)))
                .await?
            {
                // Two entries may lead to one namespace by different names.
                let is_first = seen_jobs.insert(job.metadata.uid.clone());
                let Some(machine) = job::machine(&site.name, &job).filter(|_| is_first) else {
                    continue;
                };
                if machine.is_of(owner) {
                    machines.push(machine);
                }
            }
        }
        machines.sort_by(|a, b| (&a.token, &a.id).cmp(&(&b.token, &b.id)));
        Ok(machines)
    }

    async fn release(&self, token: &Token, _evidence: Evidence) -> Result<(), ProviderError> {
        self.end(token).await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        // The folder of its log is named after its stage, and may be that of another state's pod of
        // the same name: whoever empties a state removes it.
        self.end(token).await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let (site, _) = self.alive(token).await?;
        let lease_end = lease.timestamp();
        // The tag first: what looks at it must never take the machine for one that is overdue.
        let lease_note =
            json!({ "metadata": { "annotations": { instance_tags::LEASE_END: lease_end } } });
        let job = self.machines.change(&site, token, &lease_note).await?;
        let limit = job::deadline(machine::elapsed(&job), lease.left());
        let limit = json!({ "spec": { "activeDeadlineSeconds": limit } });
        self.machines.change(&site, token, &limit).await?;
        let link = self.machines.link(token).await?;
        link.lines(
            "renew",
            &[&token.id, &lease.left().as_secs().to_string(), &lease_end],
        )
        .await
        .map(drop)
    }

    async fn adopt(
        &self,
        id: &str,
        token: &Token,
        owner: &Owner,
    ) -> Result<Machine, ProviderError> {
        let missing_job = || {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("kubernetes: no cluster has a job `{id}`"),
            )
        };
        let (cluster, name) = id.split_once('/').ok_or_else(missing_job)?;
        let site = self
            .machines
            .sites()
            .iter()
            .find(|site| site.name == cluster)
            .cloned()
            .ok_or_else(missing_job)?;
        let jobs = site.jobs().await?;
        let job = site
            .ask(jobs.get_opt(name))
            .await?
            .filter(|job| !job::leaves(job))
            .ok_or_else(missing_job)?;
        let machine = job::machine(&site.name, &job);
        if name != job::name(&token.id)
            || machine.is_none_or(|machine| machine.token.id != token.id)
        {
            let message = format!(
                "{id} is known by its token for good, and cannot become {}",
                token.id
            );
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let lease_note = json!({ "metadata": { "annotations": { instance_tags::JOB: owner.job, instance_tags::LINEAGE: owner.lineage } } });
        let job = self.machines.change(&site, token, &lease_note).await?;
        self.machines.saw(token, &site);
        job::machine(&site.name, &job).ok_or_else(missing_job)
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let link = self.machines.link(token).await?;
        let inner_worker = self.inside(token, link);
        let fate = PodFate {
            machines: self.machines.clone(),
            token: token.clone(),
        };
        Ok(Box::new(PodWorker {
            inner: inner_worker,
            fate,
            kept: self.log(token),
        }))
    }
}
