//! One's own hosts as a provider.

use super::super::check::{Finding, Need, Topic};
use super::super::runner::{Link, RemoteWorker};
use super::super::{
    ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, SSH,
    Survey, Token, Worker, without_tee,
};
use super::tags;
use super::tags::Tags;
use crate::model::hosts::{OwnHost, OwnHosts};
use crate::util::{clock, tree};
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// One's own hosts.
pub struct Ssh {
    own: Arc<OwnHosts>,
    /// The connections, in the order of the file of hosts.
    links: Vec<Arc<Link>>,
    /// The folder of this machine for what comes back.
    scratch: PathBuf,
    /// The host of each token that was seen.
    seen: Mutex<HashMap<String, usize>>,
    /// Held while a token's machine is created.
    creating: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A machine, and the number of its host.
type Found = (usize, Tags, Machine);

impl Ssh {
    /// The hosts of a file; `root` is the state folder.
    pub fn new(own_hosts: Arc<OwnHosts>, root: &Path) -> Self {
        let links = own_hosts
            .hosts
            .iter()
            .map(|host| Link::new(host.reach.clone()))
            .collect();
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let scratch = root.join("stages").join(".incoming");
        Self {
            own: own_hosts,
            links,
            scratch,
            seen: Mutex::default(),
            creating: Mutex::default(),
        }
    }

    fn name(&self, host: usize) -> &str {
        &self.own.hosts[host].reach.name
    }

    /// Makes the same request of several hosts at once; their answers by host.
    async fn ask(
        &self,
        hosts: impl IntoIterator<Item = usize>,
        request: &'static str,
        arguments: &[&str],
    ) -> Vec<(usize, Result<Vec<String>, ProviderError>)> {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let mut asked_hosts = JoinSet::new();
        for host in hosts {
            let (link, arguments) = (self.links[host].clone(), arguments.clone());
            asked_hosts.spawn(async move {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                (host, link.lines(request, &arguments).await)
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asked_hosts.join_next().await {
            answers.extend(answer);
        }
        answers.sort_by_key(|(host, _)| *host);
        answers
    }

    /// The machine of a token, on any of these hosts.
    async fn look(
        &self,
        token: &str,
        hosts: impl IntoIterator<Item = usize>,
    ) -> Result<Option<Found>, ProviderError> {
        let mut silent = None;
        let mut found_machine: Option<Found> = None;
        for (host, answer) in self.ask(hosts, "find", &[token]).await {
            match answer {
                Ok(lines) => {
                    for line in lines {
                        let (tags, machine) = self.machine(host, &line)?;
                        // What is only traces is not what is looked for if there is more.
                        if found_machine
                            .as_ref()
                            .is_none_or(|(_, _, found)| found.ended)
                        {
                            found_machine = Some((host, tags, machine));
                        }
                    }
                }
                Err(error) => silent = Some(error),
            }
        }
        if let Some((host, ..)) = &found_machine {
            self.seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(token.to_owned(), *host);
        }
        match (found_machine, silent) {
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }

    /// The machine of a token: first where it was, then anywhere.
    async fn find(&self, token: &Token) -> Result<Option<Found>, ProviderError> {
        let seen_host = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token.id)
            .copied();
        if let Some(host) = seen_host
            && let Some(found) = self.look(&token.id, [host]).await?
        {
            return Ok(Some(found));
        }
        self.look(&token.id, 0..self.links.len()).await
    }

    fn machine(&self, host: usize, line: &str) -> Result<(Tags, Machine), ProviderError> {
        tags::machine_of_line(self.name(host), line)
    }

    /// Hosts that are what is asked for. A plan for other clouds is rehearsed on any of them.
    fn hosts(&self, spec: &MachineSpec) -> Vec<usize> {
        let fits_host = |host: &OwnHost| {
            spec.place.cloud != SSH
                || (host.place == spec.place && host.instance_type == spec.instance_type)
        };
        let all_hosts = self.own.hosts.iter().enumerate();
        all_hosts
            .filter(|(_, host)| fits_host(host))
            .map(|(index, _)| index)
            .collect()
    }

    fn scratch(&self, token: &Token) -> PathBuf {
        self.scratch.join(&token.id)
    }

    async fn end(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError> {
        let kept_word = if evidence == Evidence::Keep {
            "keep"
        } else {
            "drop"
        };
        for host in self.holders(token).await? {
            self.links[host]
                .lines("release", &[&token.id, kept_word])
                .await?;
        }
        tree::remove(&self.scratch(token))?;
        Ok(())
    }

    /// The hosts that have something of a token, whatever its tags say: what is to end need not be
    /// understood. Nobody knows what is on a host that does not answer, so it is an error if no
    /// other has it.
    async fn holders(&self, token: &Token) -> Result<Vec<usize>, ProviderError> {
        let seen_hosts = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token.id)
            .copied();
        if let Some(host) = seen_hosts
            && let Some((_, Ok(lines))) = self.ask([host], "find", &[&token.id]).await.pop()
            && !lines.is_empty()
        {
            return Ok(vec![host]);
        }
        let mut silent = None;
        let mut holders = Vec::new();
        for (host, answer) in self.ask(0..self.links.len(), "find", &[&token.id]).await {
            match answer {
                Ok(lines) if lines.is_empty() => {}
                Ok(_) => holders.push(host),
                Err(error) => silent = Some(error),
            }
        }
        match silent {
            Some(error) if holders.is_empty() => Err(error),
            _ => Ok(holders),
        }
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let message = format!(
            "ssh: no host has the machine of attempt {} of stage.{}",
            token.attempt, token.stage
        );
        ProviderError::new(ErrorKind::NotFound, message)
    }
}

#[async_trait]
impl Provider for Ssh {
    fn name(&self) -> &'static str {
        SSH
    }

    async fn check(&self, _needs: &[Need]) -> Vec<Finding> {
        let answers = self.ask(0..self.links.len(), "list", &[]).await;
        let told_finding = |(host, answer): (usize, Result<Vec<String>, ProviderError>)| {
            let about_host = format!("host {}", self.name(host));
            match answer {
                Ok(machines) => Finding::there(
                    Topic::Reach,
                    about_host,
                    format!("answers; machines on it: {}", machines.len()),
                ),
                Err(error) => Finding::failed(Topic::Reach, about_host, &error),
            }
        };
        answers.into_iter().map(told_finding).collect()
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let wanted_machine = format!("{} at {}", spec.instance_type, spec.place);
        let mut hosts = self.hosts(spec);
        if hosts.is_empty() {
            let message = format!("ssh: the inventory has no host that is {wanted_machine}");
            return Err(ProviderError::new(ErrorKind::Stockout, message));
        }
        if let Some(tee) = spec.tee {
            hosts.retain(|host| self.own.hosts[*host].offer.tee.contains(tee.name()));
            if hosts.is_empty() {
                return Err(without_tee(
                    SSH,
                    format!("a host that is {wanted_machine}"),
                    tee,
                ));
            }
        }
        if spec.nodes > 1 && spec.place.cloud == SSH {
            let message = format!(
                "ssh: a stage gets one host, and stage.{} wants {}",
                token.stage, spec.nodes
            );
            return Err(ProviderError::new(ErrorKind::Quota, message));
        }
        let lock = {
            let mut creating = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
            creating.entry(token.id.clone()).or_default().clone()
        };
        let _alone = lock.lock().await;
        if let Some((_, _, machine)) = self.look(&token.id, hosts.iter().copied()).await?
            && !machine.ended
        {
            return Ok(machine);
        }
        let text = Tags::new(token, spec).encode()?;
        let (lease, lease_end) = (spec.lease.as_secs().to_string(), clock::after(spec.lease));
        // Not all begin at the first one.
        let start =
            usize::from_str_radix(token.id.get(..4).unwrap_or("0"), 16).unwrap_or(0) % hosts.len();
        hosts.rotate_left(start);
        for host in &hosts {
            let slots = self.own.hosts[*host].slots.to_string();
            match self.links[*host]
                .line("create", &[&token.id, &text, &lease, &lease_end, &slots])
                .await
            {
                Ok(line) => {
                    let (_, machine) = self.machine(*host, &line)?;
                    self.seen
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(token.id.clone(), *host);
                    return Ok(machine);
                }
                Err(error) if error.kind == ErrorKind::Stockout => {}
                Err(error) => return Err(error),
            }
        }
        let names: Vec<&str> = hosts.iter().map(|host| self.name(*host)).collect();
        let message = format!(
            "ssh: every host that is {wanted_machine} is taken ({})",
            names.join(", ")
        );
        Err(ProviderError::new(ErrorKind::Stockout, message))
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self.find(token).await?.map(|(_, _, machine)| machine))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        self.survey(owner).await.into_machines()
    }

    async fn survey(&self, owner: Option<&Owner>) -> Survey {
        let mut survey = Survey::default();
        for (host, answer) in self.ask(0..self.links.len(), "list", &[]).await {
            survey.take(answer, owner, |line| {
                self.machine(host, line).map(|(_, machine)| machine)
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
        let Some((host, ..)) = self.find(token).await? else {
            return Err(self.not_found(token));
        };
        let arguments = [
            token.id.as_str(),
            &lease.left().as_secs().to_string(),
            &lease.timestamp(),
        ];
        self.links[host].lines("renew", &arguments).await.map(drop)
    }

    async fn adopt(
        &self,
        id: &str,
        token: &Token,
        owner: &Owner,
    ) -> Result<Machine, ProviderError> {
        let missing_machine = || {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("ssh: no host has a machine `{id}`"),
            )
        };
        let (name, known) = id.split_once('/').ok_or_else(missing_machine)?;
        let host = (0..self.links.len())
            .find(|host| self.name(*host) == name)
            .ok_or_else(missing_machine)?;
        if known != token.id {
            let message = format!(
                "{id} is known by its token for good, and cannot become {}",
                token.id
            );
            let (_, answer) = self
                .ask([host], "find", &[known])
                .await
                .pop()
                .ok_or_else(missing_machine)?;
            let is_there = !answer.map_err(|_| missing_machine())?.is_empty();
            return Err(if is_there {
                ProviderError::new(ErrorKind::Other, message)
            } else {
                missing_machine()
            });
        }
        let Some((_, mut tags, _)) = self.look(known, [host]).await? else {
            return Err(missing_machine());
        };
        tags.belong_to(owner);
        let adopt_line = self.links[host]
            .line("adopt", &[&token.id, &tags.encode()?])
            .await?;
        let (_, machine) = self.machine(host, &adopt_line)?;
        Ok(machine)
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let Some((host, ..)) = self.find(token).await? else {
            return Err(self.not_found(token));
        };
        Ok(Box::new(RemoteWorker::new(
            self.links[host].clone(),
            token.clone(),
            self.scratch(token),
        )))
    }
}
