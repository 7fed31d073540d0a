//! A simulated cloud in a folder: it creates, bills and takes away like a real one, and goes wrong
//! in every way that [`faults`] can say. Its machines are folders, in which commands run as
//! processes of this machine.
//!
//! ```text
//! cloud/machines/TOKEN/card    a machine: tags, price, when it began, when its lease ends
//! cloud/machines/TOKEN/box/    its disk, as of the provider `local`
//! cloud/machines/TOKEN/work/   where its command runs
//! cloud/gone/ID                the card of a machine that is no more, and why: the bill has it
//! cloud/calls                  every call that was ever made, a line each
//! cloud/faults.toml            what goes wrong
//! ```
//!
//! For rehearsals of what happens when clouds run out, and the ground on which the engine is
//! proven: the folder outlives any `sky`, as a cloud does, and its bill ([`bill`]) knows nothing
//! of what `sky` believes to have spent.

mod cards;
pub mod faults;
mod worker;

use super::local::worker as inside;
use super::{ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, Token, Worker};
use crate::util::{clock, file, tree};
use async_trait::async_trait;
pub use cards::{Bill, bill};
use cards::{Card, Why, now};
use faults::{Counts, Fault, Faults, Made};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The simulated cloud.
#[derive(Clone, Debug)]
pub struct Sim {
    root: PathBuf,
    faults: Arc<Faults>,
    counts: Arc<Mutex<Counts>>,
}

impl Sim {
    /// The cloud in this folder, which need not exist yet.
    pub fn open(root: &Path) -> Result<Self, ProviderError> {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let path = root.join("faults.toml");
        let wrong = |error: String| ProviderError::new(ErrorKind::Other, format!("{}: {error}", path.display()));
        let faults = match path.exists() {
            true => Faults::parse(&file::read_text(&path)?).map_err(wrong)?,
            false => Faults::default(),
        };
        let sim = Self { root, faults: Arc::new(faults), counts: Arc::default() };
        if *sim.faults != Faults::default() {
            sim.count_earlier_calls();
        }
        Ok(sim)
    }

    /// What earlier processes called counts, too.
    fn count_earlier_calls(&self) {
        let calls = std::fs::read_to_string(self.root.join("calls")).unwrap_or_default();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for line in calls.lines() {
            let mut words = line.split('\t');
            let mut word = || words.next().unwrap_or_default();
            let (call, stage, attempt, place) = (word(), word(), word().parse().unwrap_or(0), word());
            self.faults.next(Made { call, stage, attempt, place }, &mut counts);
        }
    }

    /// Makes one call, which may go wrong. A fault that is not one of the call's own kind of
    /// trouble leaves `work` undone, but for a lost answer.
    async fn call<T>(
        &self,
        made: Made<'_>,
        work: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let fault = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            self.write_down(made)?;
            self.faults.next(made, &mut counts)
        };
        let named = |kind, what: &str| {
            let about = if made.stage.is_empty() { String::new() } else { format!(" for stage.{}", made.stage) };
            Err(ProviderError::new(kind, format!("sim: {}{about}: {what}", made.call)))
        };
        let Some((fault, delay)) = fault else { return work.await };
        match fault {
            Fault::Stockout => named(ErrorKind::Stockout, "no capacity of this kind now"),
            Fault::Quota => named(ErrorKind::Quota, "the account's limit is reached"),
            Fault::Denied => named(ErrorKind::Denied, "no permission"),
            Fault::Throttled => named(ErrorKind::Throttled, "too many calls"),
            Fault::Unreachable => named(ErrorKind::Unreachable, "no answer"),
            Fault::Fail => named(ErrorKind::Other, "internal error"),
            Fault::LostAnswer => {
                let _ = work.await;
                named(ErrorKind::Unreachable, "no answer")
            }
            Fault::Slow => {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                work.await
            }
            Fault::Preempt => {
                let of_stage = |card: &Card| card.stage == made.stage && card.attempt == made.attempt;
                for card in cards::all(&self.root)?.into_iter().filter(of_stage) {
                    self.end(&card, Why::Preempted).await?;
                }
                work.await
            }
            Fault::Notice => {
                let of_stage = |card: &Card| card.stage == made.stage && card.attempt == made.attempt;
                for mut card in cards::all(&self.root)?.into_iter().filter(of_stage) {
                    card.leaves_ms.get_or_insert(now().saturating_add(delay));
                    cards::write(&self.root, &card)?;
                }
                work.await
            }
        }
    }

    fn write_down(&self, made: Made<'_>) -> Result<(), ProviderError> {
        file::create_folders(&self.root)?;
        let path = self.root.join("calls");
        let fail = |error| ProviderError::from(file::named(&path, "append to", error));
        let mut calls = std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        let line = format!("{}\t{}\t{}\t{}\n", made.call, made.stage, made.attempt, made.place);
        calls.write_all(line.as_bytes()).map_err(fail)
    }

    /// The machine of a token, unless it is gone. One whose lease or time is over goes now.
    async fn find(&self, token: &str) -> Result<Option<Card>, ProviderError> {
        let Some(card) = cards::read(&self.root, token)? else { return Ok(None) };
        let why = match card.leaves_ms {
            Some(leaves) if leaves <= now() => Why::Preempted,
            _ if card.lease_end_ms <= now() => Why::Lease,
            _ => return Ok(Some(card)),
        };
        self.end(&card, why).await?;
        Ok(None)
    }

    /// Ends a machine: first its processes, then the bill, then the folder.
    async fn end(&self, card: &Card, why: Why) -> Result<(), ProviderError> {
        inside::attempt(&cards::disk(&self.root, &card.token), &card.token).end(Duration::ZERO).await?;
        Ok(cards::finish(&self.root, card, why)?)
    }

    fn made<'a>(&self, call: &'a str, token: &'a Token, place: &'a str) -> Made<'a> {
        Made { call, stage: &token.stage, attempt: token.attempt, place }
    }

    /// Where the machine of a token is, for rules about places.
    fn place(&self, token: &Token) -> String {
        let card = cards::read(&self.root, &token.id).ok().flatten();
        card.and_then(|card| card.place).map(|place| place.to_string()).unwrap_or_default()
    }
}

#[async_trait]
impl Provider for Sim {
    fn name(&self) -> &'static str {
        super::SIM
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let create = async {
            if let Some(card) = self.find(&token.id).await? {
                return Ok(card.machine());
            }
            let card = Card::new(token, spec, cards::ended(&self.root, &token.id));
            Ok(cards::create(&self.root, &card)?.machine())
        };
        self.call(self.made("create", token, &spec.place.to_string()), create).await
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        let place = self.place(token);
        let get = async { Ok(self.find(&token.id).await?.map(|card| card.machine())) };
        self.call(self.made("get", token, &place), get).await
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let list = async {
            let mut machines = Vec::new();
            for card in cards::all(&self.root)? {
                let owned = owner.is_none_or(|owner| card.job == owner.job && card.lineage == owner.lineage);
                // What carries none of our tags is not ours to see.
                if owned
                    && !card.lineage.is_empty()
                    && let Some(card) = self.find(&card.token).await?
                {
                    machines.push(card.machine());
                }
            }
            machines.sort_by(|a, b| a.token.cmp(&b.token));
            Ok(machines)
        };
        self.call(Made { call: "list", stage: "", attempt: 0, place: "" }, list).await
    }

    async fn release(&self, token: &Token, _evidence: Evidence) -> Result<(), ProviderError> {
        let place = self.place(token);
        let release = async {
            match cards::read(&self.root, &token.id)? {
                Some(card) => self.end(&card, Why::Released).await,
                None => Ok(()),
            }
        };
        self.call(self.made("release", token, &place), release).await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        let place = self.place(token);
        let delete = async {
            match cards::read(&self.root, &token.id)? {
                Some(card) => self.end(&card, Why::Released).await,
                None => Ok(()),
            }
        };
        self.call(self.made("delete", token, &place), delete).await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let place = self.place(token);
        let renew = async {
            let Some(mut card) = self.find(&token.id).await? else {
                return Err(worker::gone(token));
            };
            card.extend(lease.left());
            super::local::write_lease(&cards::disk(&self.root, &token.id), lease.left())?;
            Ok(cards::write(&self.root, &card)?)
        };
        self.call(self.made("renew", token, &place), renew).await
    }

    async fn adopt(&self, id: &str, token: &Token, owner: &Owner) -> Result<Machine, ProviderError> {
        let adopt = async {
            let found = cards::all(&self.root)?.into_iter().find(|card| card.id == id);
            let Some(mut card) = found else {
                return Err(ProviderError::new(ErrorKind::NotFound, format!("sim has no machine `{id}`")));
            };
            let former = std::mem::replace(&mut card.token, token.id.clone());
            (card.stage, card.attempt) = (token.stage.clone(), token.attempt);
            (card.job, card.lineage) = (owner.job.clone(), owner.lineage.clone());
            if former != card.token {
                cards::rename(&self.root, &former, &card.token)?;
            }
            cards::write(&self.root, &card)?;
            Ok(card.machine())
        };
        self.call(self.made("adopt", token, ""), adopt).await
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let place = self.place(token);
        let open = async {
            if self.find(&token.id).await?.is_none() && cards::ended(&self.root, &token.id) == 0 {
                return Err(worker::gone(token));
            }
            let worker: Box<dyn Worker> = Box::new(worker::SimWorker::new(self.clone(), token.clone()));
            Ok(worker)
        };
        self.call(self.made("worker", token, &place), open).await
    }
}

/// Removes a disk whose machine is no more.
fn remove_disk(root: &Path, token: &str) -> std::io::Result<()> {
    tree::remove(&cards::folder(root, token))
}

/// When a lease that begins now ends, as a tag says it.
fn tag(lease: Duration) -> String {
    clock::after(lease)
}
