//! The inside of a machine that is reached by SSH: one attempt's folder and its processes there.

use super::super::{
    Content, Delivery, ErrorKind, Fetch, Moved, Parcel, ProviderError, RunStatus, Source, Staging,
    Task, Token, Worker, Written,
};
use super::archives::{Sender, pack, unpack};
use super::link::Link;
use super::session::{Answer, Streams};
use super::staging;
use crate::util::file;
use crate::util::file_changes;
use crate::util::interruptible::blocking;
use crate::util::tree::{self, Kind};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The supervisor, which claims the run, runs the command and watches the lease: the same one as on
/// this machine.
const SUPERVISOR: &str = concat!(
    include_str!("../local/keep_log.sh"),
    include_str!("../local/supervise.sh")
);
/// How much of a log is read at once.
const LOG_PIECE: &str = "65536";
/// How often a command that was asked to end is looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// Pieces that may be on their way inside this process.
const QUEUE: usize = 4;

/// One attempt on a machine.
pub struct RemoteWorker {
    link: Arc<Link>,
    token: Token,
    /// A folder of this machine for what comes back; removed with all that is in it.
    scratch: PathBuf,
}

impl RemoteWorker {
    /// `scratch` is this attempt's own, and need not exist.
    pub fn new(link: Arc<Link>, token: Token, scratch: PathBuf) -> Self {
        Self {
            link,
            token,
            scratch,
        }
    }

    /// Makes a request about this attempt, for the lines of its answer.
    pub(in crate::execution::provider) async fn lines(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> Result<Vec<String>, ProviderError> {
        let arguments: Vec<&str> = std::iter::once(self.token.id.as_str())
            .chain(arguments.iter().copied())
            .collect();
        self.link.lines(name, &arguments).await
    }

    /// Makes a request about the machine whose answer is one line.
    pub(in crate::execution::provider) async fn line(
        &self,
        name: &str,
    ) -> Result<String, ProviderError> {
        self.link.line(name, &[self.token.id.as_str()]).await
    }

    /// Makes a request whose answer is a file or a folder, and lays that out; none if there is
    /// nothing.
    async fn bring(
        &self,
        name: &str,
        arguments: &[&str],
        to: &str,
        most_bytes: Option<u64>,
    ) -> Result<Option<PathBuf>, ProviderError> {
        let target = self.scratch.join(to);
        let (into, from) = mpsc::channel(QUEUE);
        let arguments: Vec<&str> = std::iter::once(self.token.id.as_str())
            .chain(arguments.iter().copied())
            .collect();
        let ask = self.link.ask(
            name,
            &arguments,
            Streams {
                content: None,
                into: Some(into),
            },
        );
        let place = target.clone();
        let lay = blocking(move |bounds| unpack(from, place, &bounds.within(most_bytes)));
        let (answer, laid) = tokio::join!(ask, lay);
        let Answer { .. } = answer?;
        // What is wrong with what came is wrong with what the command wrote.
        let bring_failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
                ProviderError::new(ErrorKind::Output, error)
            }
            _ => error.into(),
        };
        Ok(laid.map_err(bring_failed)?.then_some(target))
    }

    /// What an answer to `look` means.
    pub(in crate::execution::provider) fn understood(
        &self,
        said_words: &str,
    ) -> Result<RunStatus, ProviderError> {
        let run_status = match said_words.split_once(' ').unwrap_or((said_words, "")) {
            ("waiting", _) => Some(RunStatus::NotStarted),
            ("running", _) => Some(RunStatus::Running),
            ("leaving", left) => left
                .parse()
                .ok()
                .map(|left| RunStatus::Leaving(Duration::from_secs(left))),
            ("lost", _) => Some(RunStatus::Lost),
            ("expired", _) => Some(RunStatus::Expired),
            ("preempted", _) => Some(RunStatus::Preempted),
            ("exited", code) => code.parse().ok().map(RunStatus::Exited),
            _ => None,
        };
        run_status.ok_or_else(|| self.nonsense(said_words))
    }

    fn nonsense(&self, said_words: &str) -> ProviderError {
        let message = format!(
            "host {}: its answer makes no sense: {}",
            self.link.reach.name,
            said_words.escape_debug()
        );
        ProviderError::new(ErrorKind::Other, message)
    }

    /// How many processes of the attempt are left.
    async fn left(&self, signal: &str) -> Result<usize, ProviderError> {
        let signal_lines = self.lines("signal", &[signal]).await?;
        Ok(signal_lines
            .iter()
            .flat_map(|line| line.split_ascii_whitespace())
            .count())
    }
}

impl Drop for RemoteWorker {
    fn drop(&mut self) {
        let _ = tree::remove(&self.scratch);
    }
}

#[async_trait]
impl Worker for RemoteWorker {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        let (to, content) = mpsc::channel(QUEUE);
        let owned = task.clone();
        let packing = tokio::task::spawn_blocking(move || {
            let packed = pack(&owned, Sender::new(to.clone()));
            if let Err(error) = &packed {
                // What has no end must not be taken for whole.
                let _ = to.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
            }
            packed
        });
        let arguments = [self.token.id.as_str()];
        let ask = self.link.ask(
            "fill",
            &arguments,
            Streams {
                content: Some(content),
                into: None,
            },
        );
        let (answer, packed) = tokio::join!(ask, packing);
        match packed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            // The connection ended under it: the answer says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            packed => packed?,
        }
        answer?;
        for (number, item) in task.inputs.iter().enumerate() {
            let Content::Fetched(kind) = item.content else {
                continue;
            };
            let kind = match kind {
                Kind::File => "file",
                Kind::Executable => "program",
                Kind::Directory => "archive",
            };
            self.lines("lay", &[&number.to_string(), &item.name, kind])
                .await?;
        }
        Ok(())
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        let plain_variables = task
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let secret = task
            .secrets
            .iter()
            .map(|(name, value)| (name.as_str(), value.reveal()));
        let environment = if self.link.is_container() {
            "own"
        } else {
            "base"
        };
        let log_limit = task.log_limit.to_string();
        let mut arguments = vec![task.command.as_str(), SUPERVISOR, environment, &log_limit];
        for (name, value) in plain_variables.chain(secret) {
            if !is_variable(name) || value.contains('\0') {
                let message = format!(
                    "`{}` cannot be a variable of the environment",
                    name.escape_debug()
                );
                return Err(ProviderError::new(ErrorKind::Other, message));
            }
            arguments.extend([name, value]);
        }
        self.lines("start", &arguments).await.map(drop)
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        self.understood(&self.line("look").await?)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        let offset = offset.to_string();
        let arguments = [self.token.id.as_str(), &offset, LOG_PIECE];
        Ok(self
            .link
            .ask("log", &arguments, Streams::default())
            .await?
            .content)
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        let length_line = self.line("log_length").await?;
        length_line.parse().map_err(|_| self.nonsense(&length_line))
    }

    fn log_name(&self) -> String {
        self.link
            .reach
            .place(&format!("machines/{}/box/log", self.token.id))
    }

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        Ok(self
            .bring("progress", &[], "checkpoint", Some(most_bytes))
            .await?
            .map(Content::Stored))
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        let begun_at = Instant::now();
        if !grace.is_zero() && self.left("TERM").await? > 0 {
            while self.left("0").await? > 0 && begun_at.elapsed() < grace {
                tokio::time::sleep(INTERVAL.min(grace)).await;
            }
        }
        self.left("KILL").await.map(drop)
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        // What the command left running could still write to what is about to be collected.
        self.left("KILL").await?;
        let mut contents = Vec::new();
        let mut missing_outputs = Vec::new();
        for (number, name) in outputs.iter().enumerate() {
            match self
                .bring("output", &[name], &format!("outputs/{number}"), None)
                .await?
            {
                Some(path) => contents.push(Content::Stored(path)),
                None => missing_outputs.push(format!("`{name}`")),
            }
        }
        if missing_outputs.is_empty() {
            Ok(contents)
        } else {
            Err(unwritten_outputs(&missing_outputs))
        }
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        let arguments = [self.token.id.as_str()];
        let written_answer = self
            .link
            .ask("written", &arguments, Streams::default())
            .await?;
        parse_written(&written_answer.content).ok_or_else(|| self.nonsense("a size that is none"))
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        if self.written().await?.is_empty() {
            return Ok(false);
        }
        let Some(path) = self
            .bring("output", &[".", "lenient"], "all", Some(most_bytes))
            .await?
        else {
            return Ok(false);
        };
        let move_result =
            file_changes::rename(&path, to).map_err(|error| file::named(to, "create", error));
        move_result.map(|()| true).map_err(ProviderError::from)
    }

    fn staging(&self) -> Option<&dyn Staging> {
        self.link.knows_buckets().then_some(self as &dyn Staging)
    }
}

#[async_trait]
impl Staging for RemoteWorker {
    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        if outputs.is_empty() {
            self.lines("measure", &[]).await?;
            return Ok(Vec::new());
        }
        // As before they are collected.
        self.left("KILL").await?;
        let mut parcels = Vec::new();
        let mut missing_outputs = Vec::new();
        for name in outputs {
            match staging::measure(&self.link, &self.token.id, name).await? {
                Some(parcel) => parcels.push(parcel),
                None => missing_outputs.push(format!("`{name}`")),
            }
        }
        if missing_outputs.is_empty() {
            Ok(parcels)
        } else {
            Err(unwritten_outputs(&missing_outputs))
        }
    }

    async fn deliver(
        &self,
        source: Source<'_>,
        delivery: &Delivery,
    ) -> Result<Moved, ProviderError> {
        staging::deliver(&self.link, &self.token.id, source, delivery).await
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError> {
        staging::fetch(&self.link, &self.token.id, fetch).await
    }
}

/// What is in a folder, by the entries below it; none: a size is no number.
fn parse_written(list: &[u8]) -> Option<Vec<Written>> {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for entry in list.split(|byte| *byte == 0) {
        let mut fields = entry.splitn(3, |byte| *byte == b' ');
        let (Some(kind), Some(size), Some(name)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let top = name
            .iter()
            .position(|byte| *byte == b'/')
            .map_or(name, |slash| &name[..slash]);
        let file_size: u64 = std::str::from_utf8(size).ok()?.parse().ok()?;
        let size_sum = sizes
            .entry(String::from_utf8_lossy(top).into_owned())
            .or_default();
        *size_sum = size_sum.saturating_add(if kind == b"f" { file_size } else { 0 });
    }
    let written = sizes
        .into_iter()
        .map(|(name, bytes)| Written { name, bytes });
    Some(written.collect())
}

fn unwritten_outputs(missing: &[String]) -> ProviderError {
    let message = format!(
        "it exited well but did not write {} to $SKY_OUTPUTS",
        missing.join(", ")
    );
    ProviderError::new(ErrorKind::Output, message)
}

/// Whether a shell can have a variable of that name.
pub(in crate::execution::provider) fn is_variable(name: &str) -> bool {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain_byte)
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_summed_by_name() {
        let list = b"d 4096 a\0f 3 a/x\0f 4 a/y z\0l 9 a/l\0f 5 caf\xe9\0";
        let sizes: Vec<(String, u64)> = parse_written(list)
            .unwrap()
            .into_iter()
            .map(|one| (one.name, one.bytes))
            .collect();
        assert_eq!(sizes, [("a".to_owned(), 7), ("caf\u{fffd}".to_owned(), 5)]);
        assert!(parse_written(b"").unwrap().is_empty());
    }
}
