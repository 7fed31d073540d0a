//! The inside of a simulated machine. A command's outputs are a function of its stage and its
//! inputs, so that what is wrong with them is seen.

use super::case::{Stage, Trouble};
use super::cloud::{gone, here};
use super::machine::{Command, Machine, Why};
use super::stores::{chunk_of, put_chunk};
use super::world::{Carried, Load, World};
use async_trait::async_trait;
use sky::execution::provider::{
    Content, Delivery, ErrorKind, Fetch, Moved, Parcel, ProviderError, RunStatus, Source, Staging,
    Task, Token, Worker, Written,
};
use sky::util::hash;
use sky::util::simulation;
use sky::util::tree::{Kind, Measured};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest that inputs or outputs are on their way.
const DATA: Duration = Duration::from_secs(3 * 3600);
/// So long after its end a command may still count as running by who looks in vain: calls are late
/// or lost.
const UNSEEN: u64 = 15 * 60_000;
/// What a command prints that prints without end, in bytes a second, and how much of it is read at
/// once.
const PRINTED: u64 = 400;
const READ: u64 = 200;

pub(super) struct Inside {
    pub token: Token,
    pub provider: &'static str,
    pub world: Arc<World>,
}

/// The bytes that an output may have.
pub(super) const OUTPUT_LIMIT: u64 = 4096;

/// What a stage writes from its inputs.
pub(super) fn output(stage: &Stage, name: &str, inputs: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut text = format!("{}.{name}\n", stage.name);
    for (name, content) in inputs {
        text += &format!("{name} {}\n", hash::digest(content));
    }
    let mut bytes = text.into_bytes();
    if stage.oversized {
        bytes.resize(usize::try_from(OUTPUT_LIMIT).unwrap() + 1, b'x');
    }
    bytes
}

/// Notes when a copying ends, however it does.
struct Carrying<'a> {
    world: &'a World,
    what: Load,
}

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        if let Some(process) = simulation::current() {
            let (pid, what, until) = (process.pid, self.what, self.world.now());
            let carried = Carried { pid, what, until };
            self.world.carried.lock().unwrap().push(carried);
        }
    }
}

impl Inside {
    async fn call<T: Send + 'static>(
        &self,
        what: &str,
        effect: impl FnOnce(&mut Machine, u64) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let (token, provider) = (self.token.clone(), self.provider);
        let make = move |world: &World| {
            let locked =
                |machine: &mut Machine, now| machine.locked_from.is_some_and(|from| from <= now);
            if world.with(&token, locked).unwrap_or(false) && !world.is_calm() {
                return Err(ProviderError::new(
                    ErrorKind::Denied,
                    format!("{provider}: permission denied"),
                ));
            }
            world
                .with(&token, effect)
                .unwrap_or_else(|| Err(gone(&token)))
        };
        self.world
            .call(
                || format!("{what} {} #{}", self.token.stage, self.token.attempt),
                make,
            )
            .await
    }

    fn stage(&self) -> Stage {
        self.world.case.stage(&self.token.stage).cloned().unwrap()
    }

    /// Data on its way, while the machine has to be there.
    async fn carry(&self, what: Load) -> Result<(), ProviderError> {
        let _carrying = Carrying {
            world: &self.world,
            what,
        };
        tokio::time::sleep(self.world.delay(Trouble::SlowData, DATA)).await;
        self.world
            .with(&self.token, |_, _| ())
            .ok_or_else(|| gone(&self.token))
    }

    fn written(&self, machine: &Machine, names: &[String]) -> Vec<Vec<u8>> {
        let empty = BTreeMap::new();
        let inputs = machine.inputs.as_ref().unwrap_or(&empty);
        names
            .iter()
            .map(|name| output(&self.stage(), name, inputs))
            .collect()
    }

    async fn outputs(&self, what: &str, names: &[String]) -> Result<Vec<Vec<u8>>, ProviderError> {
        self.call(what, |machine, now| match machine.exited(now) {
            Some(_) => Ok(()),
            None => Err(ProviderError::new(
                ErrorKind::Output,
                "its command has not ended",
            )),
        })
        .await?;
        self.carry(Load::Outputs).await?;
        let written = self
            .world
            .with(&self.token, |machine, _| self.written(machine, names));
        written.ok_or_else(|| gone(&self.token))
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.world.scratch.join(format!("{}-{name}", self.token.id));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ProviderError> {
    std::fs::read(path).map_err(|error| {
        ProviderError::new(ErrorKind::Other, format!("{}: {error}", path.display()))
    })
}

#[async_trait]
impl Worker for Inside {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        let fetched = self
            .call("stage in", |machine, _| Ok(machine.fetched.clone()))
            .await?;
        let mut inputs = BTreeMap::new();
        for (number, item) in task.inputs.iter().enumerate() {
            let content = match &item.content {
                Content::Local(path) | Content::Stored(path) => read(path)?,
                Content::Empty => Vec::new(),
                Content::Fetched(_) => match fetched.get(&number) {
                    Some(bytes) => bytes.clone(),
                    None => {
                        return Err(ProviderError::new(ErrorKind::Other, "nothing was fetched"));
                    }
                },
            };
            inputs.insert(item.name.clone(), content);
        }
        let progress = match &task.checkpoint {
            Some(Content::Local(path) | Content::Stored(path)) => read(&path.join("progress"))?,
            _ => Vec::new(),
        };
        let ahead = String::from_utf8(progress).unwrap().parse().unwrap_or(0);
        self.carry(Load::Inputs).await?;
        let laid = self.world.with(&self.token, |machine, _| {
            machine.inputs = Some(inputs);
            machine.ahead_ms = ahead;
        });
        laid.ok_or_else(|| gone(&self.token))
    }

    async fn start(&self, _: &Task) -> Result<(), ProviderError> {
        let stage = self.stage();
        let failed = self.world.failures(&stage.name);
        self.call("start", move |machine, now| {
            if machine.inputs.is_none() {
                return Err(ProviderError::new(
                    ErrorKind::Other,
                    "its inputs are not there",
                ));
            }
            let left = stage.takes_ms.saturating_sub(machine.ahead_ms).max(1000);
            let command = Command {
                started: now,
                ends: now + left,
                code: if failed < stage.fails_first {
                    stage.fails_with
                } else {
                    stage.code
                },
                stopped: false,
                given_up: false,
            };
            machine.command.get_or_insert(command);
            Ok(())
        })
        .await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        let status = self.call("status", |machine, now| {
            Ok(match (&machine.command, machine.exited(now)) {
                (None, _) => RunStatus::NotStarted,
                (_, Some((_, code))) => RunStatus::Exited(code),
                (_, None) => machine
                    .leaves(now)
                    .map_or(RunStatus::Running, RunStatus::Leaving),
            })
        });
        match status.await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                let machines = self.world.machines();
                let ended = machines
                    .iter()
                    .rev()
                    .find(|machine| machine.token.id == self.token.id);
                Ok(match ended.and_then(|machine| machine.ended) {
                    Some((_, Why::Preempted)) => RunStatus::Preempted,
                    Some((_, Why::LeaseOver)) => RunStatus::Expired,
                    _ => return Err(error),
                })
            }
            other => other,
        }
    }

    fn interval(&self) -> Duration {
        self.world.case.interval
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        if !self.stage().chatty || self.world.is_calm() {
            return Ok(Vec::new());
        }
        let wait = self.world.chance().between(200, 800);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let there = self.log_length().await?.saturating_sub(offset).min(READ);
        // One line for each piece: what is tested is the number of pieces, and lines cost the test
        // its time.
        let mut piece = vec![b'y'; usize::try_from(there).unwrap()];
        if let Some(last) = piece.last_mut() {
            *last = b'\n';
        }
        Ok(piece)
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        let chatty = self.stage().chatty;
        let length = self.world.with(&self.token, |machine, now| {
            let ran = machine
                .command
                .as_ref()
                .map_or(0, |command| now.min(command.ends) - command.started);
            if chatty { ran * PRINTED / 1000 } else { 0 }
        });
        length.ok_or_else(|| gone(&self.token))
    }

    fn log_name(&self) -> String {
        format!("{}/log", self.token.id)
    }

    async fn checkpoint(&self, _most: u64) -> Result<Option<Content>, ProviderError> {
        let progress = self.call("checkpoint", |machine, now| {
            let ran = machine
                .command
                .as_ref()
                .map_or(0, |command| now.min(command.ends) - command.started);
            Ok(machine.ahead_ms + ran)
        });
        let progress = progress.await?;
        self.carry(Load::Progress).await?;
        let folder = self.folder("checkpoint");
        std::fs::write(folder.join("progress"), progress.to_string()).unwrap();
        Ok(Some(Content::Local(folder)))
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        let takes = Duration::from_millis(self.world.chance().below(20_000)).min(grace);
        let troubles = [
            Trouble::LostCalls,
            Trouble::SlowCloud,
            Trouble::SluggishCloud,
            Trouble::Throttling,
        ];
        let unseen = if troubles.iter().any(|trouble| self.world.case.has(*trouble)) {
            UNSEEN
        } else {
            0
        };
        self.world.give_up(&self.token);
        let end = self.call("stop", move |machine, now| {
            let end = now + u64::try_from(takes.as_millis()).unwrap();
            if let Some(command) = machine.command.as_mut() {
                // Nobody can know whether what ends at such a moment has done its work, even if it
                // says so.
                command.stopped |= command.ends + unseen > now;
                if command.ends > end {
                    (command.ends, command.code) = (end, 143);
                }
            }
            Ok(end)
        });
        let end = end.await?;
        tokio::time::sleep(Duration::from_millis(end.saturating_sub(self.world.now()))).await;
        Ok(())
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        let written = self.outputs("collect", outputs).await?;
        let folder = self.folder("outputs");
        let mut contents = Vec::new();
        for (name, bytes) in outputs.iter().zip(written) {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            contents.push(Content::Local(path));
        }
        self.world
            .with(&self.token, |machine, _| machine.collected_by.push(here()));
        Ok(contents)
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        let stage = self.stage();
        self.call("written", move |machine, _| {
            let empty = BTreeMap::new();
            let inputs = machine.inputs.as_ref().unwrap_or(&empty);
            let declared = (0..stage.outputs).map(|number| {
                let name = format!("o{number}");
                let bytes = output(&stage, &name, inputs).len() as u64;
                Written { name, bytes }
            });
            let other = stage.undeclared.then(|| Written {
                name: "other".to_owned(),
                bytes: 2 * OUTPUT_LIMIT,
            });
            Ok(declared.chain(other).collect())
        })
        .await
    }

    fn staging(&self) -> Option<&dyn Staging> {
        self.world
            .case
            .staging_in_buckets
            .then_some(self as &dyn Staging)
    }
}

#[async_trait]
impl Staging for Inside {
    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.outputs("measure", outputs).await?;
        let parcel = |bytes: Vec<u8>| Parcel {
            measured: Measured {
                digest: hash::digest(&bytes),
                bytes: bytes.len() as u64,
                kind: Kind::File,
            },
            packed: bytes.len() as u64,
        };
        Ok(written.into_iter().map(parcel).collect())
    }

    async fn deliver(
        &self,
        source: Source<'_>,
        delivery: &Delivery,
    ) -> Result<Moved, ProviderError> {
        let bytes = match source {
            Source::Output(name) => self.outputs("deliver", &[name.to_owned()]).await?.remove(0),
            Source::Input(number) => {
                let fetched = self.call("deliver", move |machine, _| {
                    Ok(machine.fetched.get(&number).cloned())
                });
                let fetched = fetched.await?;
                self.carry(Load::Inputs).await?;
                fetched
                    .ok_or_else(|| ProviderError::new(ErrorKind::Other, "nothing was fetched"))?
            }
        };
        let (address, there) = &delivery.chunks[0];
        let length = bytes.len() as u64;
        let moved = if *there == Some(length) { 0 } else { length };
        put_chunk(&self.world, address, &bytes)?;
        Ok(Moved {
            digests: vec![hash::digest(&bytes)],
            bytes: length,
            moved,
        })
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError> {
        self.call("fetch", |_, _| Ok(())).await?;
        self.carry(Load::Inputs).await?;
        let bytes = chunk_of(&self.world, &fetch.chunks[0])?;
        let moved = Moved {
            digests: vec![hash::digest(&bytes)],
            bytes: bytes.len() as u64,
            moved: bytes.len() as u64,
        };
        let number = fetch.input;
        let kept = self.world.with(&self.token, |machine, _| {
            machine.fetched.insert(number, bytes)
        });
        kept.map(|_| moved).ok_or_else(|| gone(&self.token))
    }
}
