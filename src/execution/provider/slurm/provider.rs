//! One's own clusters as a provider.

use super::super::check::{Finding, Need, Topic, in_time};
use super::super::runner::{Agent, Link, RemoteWorker};
use super::super::ssh::tags::{self, Tags};
use super::super::{
    ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, SLURM,
    Survey, Token, Worker, without_tee,
};
use super::worker::{JobWorker, Waiting};
use crate::model::hosts::{OwnHosts, SlurmCluster};
use crate::util::{clock, tree};
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const AGENT: &str = concat!(
    include_str!("../runner/agent.sh"),
    include_str!("slurm.sh"),
    include_str!("../runner/requests.sh")
);
/// What runs in a job.
const JOB: &str = concat!(
    "#!/bin/sh\n",
    include_str!("../local/keep_log.sh"),
    include_str!("job.sh")
);

/// One's own clusters.
pub struct Slurm {
    own: Arc<OwnHosts>,
    /// The connections, in the order of the file of hosts.
    links: Vec<Arc<Link>>,
    /// The folder of this machine for what comes back.
    scratch: PathBuf,
    /// The cluster of each token that was seen.
    seen: Mutex<HashMap<String, usize>>,
    waiting: Waiting,
}

impl Slurm {
    /// The clusters of a file of hosts; `root` is the state folder.
    pub fn new(own_hosts: Arc<OwnHosts>, root: &Path) -> Self {
        let link = |cluster: &SlurmCluster| {
            let settings = vec![
                cluster
                    .conf
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            ];
            Link::with(
                cluster.host.reach.clone(),
                Agent {
                    text: AGENT,
                    settings,
                },
            )
        };
        let links = own_hosts.clusters.iter().map(link).collect();
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let scratch = root.join("stages").join(".incoming");
        Self {
            own: own_hosts,
            links,
            scratch,
            seen: Mutex::default(),
            waiting: Waiting::default(),
        }
    }

    fn name(&self, cluster: usize) -> &str {
        &self.own.clusters[cluster].host.reach.name
    }

    fn saw(&self, token: &str, cluster: usize) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.to_owned(), cluster);
    }

    /// The machine of a token on that cluster.
    async fn look(
        &self,
        token: &str,
        cluster: usize,
    ) -> Result<Option<(usize, Tags, Machine)>, ProviderError> {
        let found_lines = self.links[cluster].lines("find", &[token]).await?;
        let Some(line) = found_lines.first() else {
            return Ok(None);
        };
        let (tags, machine) = tags::machine_of_line(self.name(cluster), line)?;
        self.saw(token, cluster);
        Ok(Some((cluster, tags, machine)))
    }

    /// The machine of a token: first where it was, then anywhere. Of a cluster that does not answer
    /// nobody knows anything, so what is on no other may be there.
    async fn find(&self, token: &Token) -> Result<Option<(usize, Tags, Machine)>, ProviderError> {
        let seen_cluster = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token.id)
            .copied();
        let other_clusters = (0..self.links.len()).filter(|cluster| Some(*cluster) != seen_cluster);
        let mut silent = None;
        for cluster in seen_cluster.into_iter().chain(other_clusters) {
            match self.look(&token.id, cluster).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                // It was there.
                Err(error) if Some(cluster) == seen_cluster => return Err(error),
                Err(error) => silent = Some(error),
            }
        }
        silent.map_or(Ok(None), Err)
    }

    async fn end(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError> {
        let kept_word = if evidence == Evidence::Keep {
            "keep"
        } else {
            "drop"
        };
        let clusters = match self.find(token).await? {
            Some((cluster, ..)) => cluster..cluster + 1,
            // There may be a job without a folder, or the beginning of a folder.
            None => 0..self.links.len(),
        };
        for cluster in clusters {
            self.links[cluster]
                .lines("release", &[&token.id, kept_word])
                .await?;
        }
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&token.id);
        Ok(tree::remove(&self.scratch(token))?)
    }

    fn scratch(&self, token: &Token) -> PathBuf {
        self.scratch.join(&token.id)
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let message = format!(
            "slurm: no cluster has the job of attempt {} of stage.{}",
            token.attempt, token.stage
        );
        ProviderError::new(ErrorKind::NotFound, message)
    }
}

/// What is asked of sbatch, one argument each.
fn sbatch_options(cluster: &SlurmCluster, nodes: u32) -> Vec<String> {
    let host = &cluster.host;
    let mut options = vec![
        format!("--nodes={}", nodes.max(1)),
        "--ntasks-per-node=1".to_owned(),
    ];
    let named_options = [
        ("partition", &cluster.partition),
        ("account", &cluster.account),
        ("qos", &cluster.qos),
        ("constraint", &cluster.constraint),
    ];
    options.extend(
        named_options
            .into_iter()
            .filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))),
    );
    if host.offer.vcpu_thousandths > 0 {
        options.push(format!(
            "--cpus-per-task={}",
            host.offer.vcpu_thousandths.div_ceil(1000)
        ));
    }
    if host.offer.memory.0 > 0 {
        options.push(format!("--mem={}K", host.offer.memory.0 >> 10));
    }
    match (&cluster.gres, &host.offer.accelerators) {
        (Some(gres), _) => options.push(format!("--gres={gres}")),
        (None, Some((_, count))) => options.push(format!("--gres=gpu:{count}")),
        (None, None) => {}
    }
    options
}

/// The limit that Slurm gets for a lease, in whole minutes: it is never the first to end it.
fn whole_minutes(lease: Duration) -> u64 {
    lease.as_secs().div_ceil(60) + 1
}

#[async_trait]
impl Provider for Slurm {
    fn name(&self) -> &'static str {
        SLURM
    }

    async fn check(&self, _needs: &[Need]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (cluster, link) in self.links.iter().enumerate() {
            let about_cluster = format!("cluster {}", self.name(cluster));
            findings.push(
                match in_time(link.lines("list", &[]), &about_cluster).await {
                    Ok(jobs) => Finding::there(
                        Topic::Reach,
                        about_cluster,
                        format!("answers; jobs of ours: {}", jobs.len()),
                    ),
                    Err(error) => Finding::failed(Topic::Reach, about_cluster, &error),
                },
            );
        }
        findings
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let fits_cluster = |cluster: &SlurmCluster| {
            cluster.host.place == spec.place && cluster.host.instance_type == spec.instance_type
        };
        let Some(at) = self.own.clusters.iter().position(fits_cluster) else {
            let message = format!(
                "slurm: the inventory has no cluster with {} at {}",
                spec.instance_type, spec.place
            );
            return Err(ProviderError::new(ErrorKind::Stockout, message));
        };
        let cluster = &self.own.clusters[at];
        if let Some(tee) = spec
            .tee
            .filter(|tee| !cluster.host.offer.tee.contains(tee.name()))
        {
            return Err(without_tee(
                SLURM,
                format!("{} at {}", spec.instance_type, spec.place),
                tee,
            ));
        }
        let text = Tags::new(token, spec).encode()?;
        let (lease, lease_end) = (spec.lease.as_secs().to_string(), clock::after(spec.lease));
        let limit = cluster
            .time
            .map_or_else(
                || whole_minutes(spec.lease),
                |time| time.as_secs().div_ceil(60),
            )
            .to_string();
        let options = sbatch_options(cluster, spec.nodes);
        let mut arguments = vec![token.id.as_str(), &text, &lease, &lease_end, JOB, &limit];
        arguments.extend(options.iter().map(String::as_str));
        let create_line = self.links[at].line("create", &arguments).await?;
        let (_, machine) = tags::machine_of_line(self.name(at), &create_line)?;
        self.saw(&token.id, at);
        Ok(machine)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self.find(token).await?.map(|(_, _, machine)| machine))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        self.survey(owner).await.into_machines()
    }

    async fn survey(&self, owner: Option<&Owner>) -> Survey {
        let mut survey = Survey::default();
        for cluster in 0..self.links.len() {
            let list_answer = self.links[cluster].lines("list", &[]).await;
            survey.take(list_answer, owner, |line| {
                tags::machine_of_line(self.name(cluster), line).map(|(_, machine)| machine)
            });
        }
        survey.machines.sort_by(|a, b| a.token.cmp(&b.token));
        survey
    }

    async fn release(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError> {
        self.end(token, evidence).await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        self.end(token, Evidence::Drop).await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let Some((at, ..)) = self.find(token).await? else {
            return Err(self.not_found(token));
        };
        let limit = if self.own.clusters[at].time.is_some() {
            "keep"
        } else {
            "extend"
        };
        let arguments = [
            token.id.as_str(),
            &lease.left().as_secs().to_string(),
            &lease.timestamp(),
            limit,
        ];
        self.links[at].lines("renew", &arguments).await.map(drop)
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
                format!("slurm: no cluster has a job `{id}`"),
            )
        };
        let (name, known) = id.split_once('/').ok_or_else(missing_job)?;
        let cluster_index = (0..self.links.len())
            .find(|at| self.name(*at) == name)
            .ok_or_else(missing_job)?;
        let Some((_, mut tags, _)) = self.look(known, cluster_index).await? else {
            return Err(missing_job());
        };
        if known != token.id {
            let message = format!(
                "{id} is known by its token for good, and cannot become {}",
                token.id
            );
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        tags.belong_to(owner);
        let adopt_line = self.links[cluster_index]
            .line("adopt", &[&token.id, &tags.encode()?])
            .await?;
        let (_, machine) = tags::machine_of_line(self.name(cluster_index), &adopt_line)?;
        Ok(machine)
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let Some((at, ..)) = self.find(token).await? else {
            return Err(self.not_found(token));
        };
        let inner_worker =
            RemoteWorker::new(self.links[at].clone(), token.clone(), self.scratch(token));
        Ok(Box::new(JobWorker {
            token: token.id.clone(),
            inside: inner_worker,
            waiting: self.waiting.clone(),
        }))
    }
}

#[cfg(test)]
mod tests;
