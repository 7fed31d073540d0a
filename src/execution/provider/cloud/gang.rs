//! The inside of a gang: one command on several machines, each of which is told which it is.
//!
//! The command runs on all of them, with the same inputs. What it writes is taken from the first,
//! and so are its log and its progress; what it reads from a bucket of another place crosses once,
//! to the first. It is done when it is done on all, and ends when it fails on one.

use super::super::{
    Content, Delivery, ErrorKind, Fetch, Moved, Nodes, Parcel, ProviderError, RunStatus, Source,
    Staging, Task, Worker, Written,
};
use super::Cloud;
use super::machine_fate::CloudWorker;
use crate::util::variables;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::path::Path;
use std::time::Duration;

pub(super) struct Gang<C> {
    /// The workers of all machines, in order; there is at least one.
    pub workers: Vec<CloudWorker<C>>,
    /// Under which they reach one another, in order.
    pub addresses: String,
}

impl<C: Cloud + 'static> Gang<C> {
    fn first(&self) -> &CloudWorker<C> {
        &self.workers[0]
    }
}

/// What all have fetched; if one has fetched something else than the first, that. None: there is
/// no machine.
fn fetched_by_all(fetched: &[Moved]) -> Option<Moved> {
    let first_fetched = fetched.first()?;
    let other_fetched = fetched
        .iter()
        .find(|one| one.digests != first_fetched.digests);
    Some(Moved {
        moved: fetched.iter().map(|one| one.moved).sum(),
        ..other_fetched.unwrap_or(first_fetched).clone()
    })
}

/// All results, or the first error.
fn all<T>(results: Vec<Result<T, ProviderError>>) -> Result<Vec<T>, ProviderError> {
    results.into_iter().collect()
}

/// How a command is doing that runs in many places: whatever ends it on one ends it, and it is done
/// when it is done on all.
fn together(of_each: &[RunStatus]) -> RunStatus {
    let has_failed = |status: &RunStatus| match status {
        RunStatus::Preempted => Some(0),
        RunStatus::Expired => Some(1),
        RunStatus::Lost => Some(2),
        RunStatus::Exited(code) if *code != 0 => Some(3),
        _ => None,
    };
    let worst = of_each
        .iter()
        .filter_map(|status| Some((has_failed(status)?, *status)))
        .min_by_key(|(rank, _)| *rank);
    match worst {
        Some((_, status)) => status,
        None if of_each.contains(&RunStatus::NotStarted) => RunStatus::NotStarted,
        None if of_each.iter().all(|status| *status == RunStatus::Exited(0)) => {
            RunStatus::Exited(0)
        }
        None => {
            let signals_left = of_each.iter().filter_map(|status| match status {
                RunStatus::Leaving(left) => Some(*left),
                _ => None,
            });
            signals_left
                .min()
                .map_or(RunStatus::Running, RunStatus::Leaving)
        }
    }
}

#[async_trait]
impl<C: Cloud + 'static> Worker for Gang<C> {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        all(join_all(self.workers.iter().map(|worker| worker.stage_in(task))).await).map(drop)
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        let of_node = |number: usize| {
            let mut task = task.clone();
            task.environment
                .insert(variables::SKY_NODE.name.to_owned(), number.to_string());
            task.environment.insert(
                variables::SKY_NODE_ADDRESSES.name.to_owned(),
                self.addresses.clone(),
            );
            task
        };
        let tasks: Vec<Task> = (0..self.workers.len()).map(of_node).collect();
        all(join_all(
            self.workers
                .iter()
                .zip(&tasks)
                .map(|(worker, task)| worker.start(task)),
        )
        .await)
        .map(drop)
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        Ok(together(&all(join_all(
            self.workers.iter().map(Worker::status),
        )
        .await)?))
    }

    fn interval(&self) -> Duration {
        self.first().interval()
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        self.first().log(offset).await
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        self.first().log_length().await
    }

    fn log_name(&self) -> String {
        self.first().log_name()
    }

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        self.first().checkpoint(most_bytes).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        all(join_all(self.workers.iter().map(|worker| worker.stop(grace))).await).map(drop)
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.first().collect(outputs).await
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        self.first().written().await
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        self.first().bring_outputs(to, most_bytes).await
    }

    fn nodes(&self) -> usize {
        self.workers.len()
    }

    fn staging(&self) -> Option<&dyn Staging> {
        self.workers
            .iter()
            .all(|worker| worker.staging().is_some())
            .then_some(self as &dyn Staging)
    }
}

#[async_trait]
impl<C: Cloud + 'static> Staging for Gang<C> {
    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        if outputs.is_empty() {
            all(join_all(self.workers.iter().map(|worker| worker.measure(outputs))).await)?;
            return Ok(Vec::new());
        }
        self.first().measure(outputs).await
    }

    async fn deliver(
        &self,
        source: Source<'_>,
        delivery: &Delivery,
    ) -> Result<Moved, ProviderError> {
        self.first().deliver(source, delivery).await
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError> {
        let who = match fetch.nodes {
            Nodes::All => &self.workers[..],
            Nodes::First => &self.workers[..1],
            Nodes::Others => &self.workers[1..],
        };
        let fetched_packs = all(join_all(who.iter().map(|worker| worker.fetch(fetch))).await)?;
        fetched_by_all(&fetched_packs)
            .ok_or_else(|| ProviderError::new(ErrorKind::Other, "no machine is to fetch it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::hash;
    use RunStatus::{Exited, Leaving, Lost, NotStarted, Preempted, Running};

    #[test]
    fn what_one_has_fetched_otherwise_is_seen() {
        let of = |text: &str, moved| Moved {
            digests: vec![hash::digest(text.as_bytes())],
            bytes: 7,
            moved,
        };
        assert_eq!(fetched_by_all(&[of("a", 7), of("a", 0)]), Some(of("a", 7)));
        assert_eq!(
            fetched_by_all(&[of("a", 7), of("a", 7), of("b", 7)]),
            Some(of("b", 21))
        );
        assert_eq!(fetched_by_all(&[]), None);
    }

    #[test]
    fn a_gang_is_as_its_weakest() {
        assert_eq!(together(&[Exited(0), Running]), Running);
        assert_eq!(together(&[Exited(0), Exited(0)]), Exited(0));
        assert_eq!(together(&[Running, Exited(3)]), Exited(3));
        assert_eq!(together(&[Running, NotStarted]), NotStarted);
        // A command fails because its fellow was taken away: the fellow is the reason.
        assert_eq!(together(&[Exited(1), Preempted]), Preempted);
        assert_eq!(together(&[Exited(0), Lost]), Lost);
        // Without one of them, the others are of no use.
        let soon = |seconds| Leaving(Duration::from_secs(seconds));
        assert_eq!(together(&[Running, soon(90), soon(30)]), soon(30));
        assert_eq!(together(&[soon(90), Exited(1)]), Exited(1));
    }
}
