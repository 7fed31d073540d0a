//! The inside of a `local` machine: one attempt's folder and its processes.

use super::super::{
    Content, ErrorKind, Item, ProviderError, RunStatus, Task, Token, Worker, Written,
};
use super::process;
use crate::util::interruptible::{Bounds, blocking};
use crate::util::{clock, environment, file, file_changes, tree, variables};
use async_trait::async_trait;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Given to `/bin/sh -c`; it gets the control folder as an argument, never as text.
const SUPERVISOR: &str = concat!(include_str!("keep_log.sh"), include_str!("supervise.sh"));
/// How much of a log is read at once.
const LOG_PIECE: u64 = 64 * 1024;
/// How long a supervisor may take between its claim and its first word.
const CLAIM: Duration = Duration::from_secs(5);

/// Variables of this process that a command gets without asking for them, and all that begin with
/// `LC_`: where programs and the home folder are, who the user is, and how text and time are shown.
/// Everything else has to be declared.
const BASE_VARIABLES: [&str; 9] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG",
];

pub(in crate::execution::provider) struct LocalWorker {
    /// What sky keeps of the attempt: control files, log, inputs, outputs, checkpoint.
    folder: PathBuf,
    /// Where the command runs. Nothing of sky's is in it, so that a command may empty it.
    working_folder: PathBuf,
    token: Token,
}

impl LocalWorker {
    pub(in crate::execution::provider) fn new(
        folder: PathBuf,
        working_folder: PathBuf,
        token: Token,
    ) -> Self {
        Self {
            folder,
            working_folder,
            token,
        }
    }

    fn control(&self, name: &str) -> PathBuf {
        self.folder.join(".run").join(name)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn look(&self) -> Result<RunStatus, ProviderError> {
        let expired = self.control("expired").exists();
        if let Some(code) = self.exit_code()? {
            if expired {
                return Ok(RunStatus::Expired);
            }
            if !self.folder.join("outputs").exists() {
                // Dropped after they were collected, by a sky whose state was rolled back since.
                return Ok(RunStatus::Lost);
            }
            return Ok(RunStatus::Exited(code));
        }
        let path = self.control("pid");
        let Some(stat) = read_if_there(&path)? else {
            return Ok(RunStatus::NotStarted);
        };
        let alive = match process::parse_stat(&stat) {
            Some(stat) => process::alive(stat.identity),
            // Claimed, and the supervisor's first word is under way; or it died in between.
            None => {
                let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
                let age = modified
                    .ok()
                    .and_then(|modified| clock::file_system_time().duration_since(modified).ok());
                age.is_none_or(|age| age < CLAIM) || !process::carrying(&self.token.id).is_empty()
            }
        };
        if alive {
            return Ok(RunStatus::Running);
        }
        if self.control("expired").exists() {
            return Ok(RunStatus::Expired);
        }
        // It may have ended between the two looks.
        Ok(self.exit_code()?.map_or(RunStatus::Lost, RunStatus::Exited))
    }

    fn attempt(&self) -> process::Attempt {
        attempt_processes(&self.folder, &self.token.id)
    }

    fn exit_code(&self) -> Result<Option<i32>, ProviderError> {
        let path = self.control("exit");
        let Some(text) = read_if_there(&path)? else {
            return Ok(None);
        };
        let code = text.trim().parse().map_err(|_| {
            ProviderError::new(
                ErrorKind::Other,
                format!("{} holds no exit code: `{}`", path.display(), text.trim()),
            )
        })?;
        Ok(Some(code))
    }
}

#[async_trait]
impl Worker for LocalWorker {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        if self.control("command").exists() {
            // A sky died right after starting it. Its supervisor may be about to begin, and must
            // neither be lost nor find the inputs half laid.
            let begun_at = tokio::time::Instant::now();
            while !process::carrying(&self.token.id).is_empty() && begun_at.elapsed() < CLAIM {
                if self.look()? != RunStatus::NotStarted {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.attempt().end(Duration::ZERO).await?;
            if self.look()? != RunStatus::NotStarted {
                return Ok(());
            }
        }
        let (folder, files, inputs) =
            (self.folder.clone(), task.files.clone(), task.inputs.clone());
        let working_folder = self.working_folder.clone();
        let checkpoint = task.checkpoint.clone();
        let lay_all = move |bounds: &Bounds| -> io::Result<()> {
            let inputs_folder = folder.join("inputs");
            tree::remove(&inputs_folder)?;
            file::create_private_folders(&inputs_folder)?;
            inputs
                .iter()
                .try_for_each(|item| lay_out(item, &inputs_folder, bounds))?;
            if let Some(content) = checkpoint {
                lay_out(
                    &Item {
                        name: "checkpoint".to_owned(),
                        content,
                    },
                    &folder,
                    bounds,
                )?;
            }
            tree::remove(&working_folder)?;
            file::create_private_folders(&working_folder)?;
            files
                .iter()
                .try_for_each(|item| lay_out(item, &working_folder, bounds))
        };
        Ok(blocking(lay_all).await?)
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        if self.look()? != RunStatus::NotStarted {
            return Ok(());
        }
        file::write_atomic(&self.control("numbering"), process::numbering().as_bytes())?;
        file::write_atomic(&self.control("command"), task.command.as_bytes())?;
        file::create_private_folders(&self.working_folder)?;
        let path = self.log_path();
        // Nobody but the user may read what commands print.
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let log = log.map_err(|error| file::named(&path, "open", error))?;
        let errors = log
            .try_clone()
            .map_err(|error| file::named(&path, "open", error))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SUPERVISOR, "sky-stage"])
            .arg(self.folder.join(".run"))
            .arg(task.log_limit.to_string())
            .current_dir(&self.working_folder)
            // What this process was started with is nobody else's to see: credentials, tokens,
            // settings of sky.
            .env_clear()
            .envs(environment::all().filter(|(name, _)| is_base_variable(name)))
            .envs(&task.environment)
            .env(variables::SKY_INPUTS.name, self.folder.join("inputs"))
            .env(variables::SKY_OUTPUTS.name, self.folder.join("outputs"))
            .env(
                variables::SKY_CHECKPOINT.name,
                self.folder.join("checkpoint"),
            )
            .envs(
                task.secrets
                    .iter()
                    .map(|(name, secret)| (name, secret.reveal())),
            )
            .env(variables::SKY_TOKEN.name, &self.token.id)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // A Ctrl-C on the terminal is for sky, which tells the stages.
            .process_group(0);
        // Its end is read from its file; dropping the handle leaves it alone, and tokio reaps it.
        drop(
            command
                .spawn()
                .map_err(|error| file::named(Path::new("/bin/sh"), "run", error))?,
        );
        // Not started until it says so: else a look could come before the claim.
        let begun_at = tokio::time::Instant::now();
        while self.look()? == RunStatus::NotStarted {
            if begun_at.elapsed() > CLAIM * 6 {
                let message = format!(
                    "stage.{} did not begin within 30 s; see {}",
                    self.token.stage,
                    path.display()
                );
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        self.look()
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(25)
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        let path = self.log_path();
        let fail = |error| ProviderError::from(file::named(&path, "read", error));
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut log_piece = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        file.take(LOG_PIECE)
            .read_to_end(&mut log_piece)
            .map_err(fail)?;
        Ok(log_piece)
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        match std::fs::metadata(self.log_path()) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(file::named(&self.log_path(), "read", error).into()),
        }
    }

    fn log_name(&self) -> String {
        self.log_path().display().to_string()
    }

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        let (from, to) = (self.folder.join("checkpoint"), self.control("checkpoint"));
        let take_progress = move |bounds: &Bounds| -> io::Result<Option<Content>> {
            let names = complete_names(&from)?;
            if names.is_empty() {
                return Ok(None);
            }
            // A copy, so that what is read is of one time.
            tree::remove(&to)?;
            file::create_private_folders(&to)?;
            // The limit is one for all of them together.
            let mut bytes_left = most_bytes;
            for name in names {
                let (from, to) = (from.join(&name), to.join(&name));
                let bounds = bounds.within(Some(bytes_left));
                bytes_left -= tree::copy_within(
                    &from,
                    &to,
                    tree::Links::Resolve,
                    tree::Sharing::Own,
                    &bounds,
                )?
                .min(bytes_left);
            }
            Ok(Some(Content::Local(to)))
        };
        blocking(take_progress)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::FileTooLarge => ProviderError::new(ErrorKind::Output, error),
                _ => error.into(),
            })
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        self.attempt().end(grace).await
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        // What the command left running could still write to what is about to be collected.
        self.attempt().end(Duration::ZERO).await?;
        let folder = self.folder.join("outputs");
        let is_there = |name: &&String| folder.join(name).exists();
        let missing_outputs: Vec<&str> = outputs
            .iter()
            .filter(|name| !is_there(name))
            .map(String::as_str)
            .collect();
        if !missing_outputs.is_empty() {
            let names: Vec<String> = missing_outputs
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            let message = format!(
                "it exited well but did not write {} to $SKY_OUTPUTS",
                names.join(", ")
            );
            return Err(ProviderError::new(ErrorKind::Output, message));
        }
        Ok(outputs
            .iter()
            .map(|name| Content::Local(folder.join(name)))
            .collect())
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        let folder = self.folder.join("outputs");
        Ok(blocking(move |bounds| written_in(&folder, bounds)).await?)
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        let (from, to) = (self.folder.join("outputs"), to.to_owned());
        let bring = move |bounds: &Bounds| -> io::Result<bool> {
            if written_in(&from, bounds)?.is_empty() {
                return Ok(false);
            }
            tree::copy_within(
                &from,
                &to,
                tree::Links::Follow,
                tree::Sharing::Own,
                &bounds.within(Some(most_bytes)),
            )?;
            Ok(true)
        };
        Ok(blocking(bring).await?)
    }
}

/// What is in a folder, by name.
fn written_in(folder: &Path, bounds: &Bounds) -> io::Result<Vec<Written>> {
    let fail = |error| file::named(folder, "list", error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut written_files = Vec::new();
    for entry in entries {
        let folder_entry = entry.map_err(fail)?;
        let bytes = tree::size(&folder_entry.path(), bounds)?;
        written_files.push(Written {
            name: folder_entry.file_name().to_string_lossy().into_owned(),
            bytes,
        });
    }
    written_files.sort();
    Ok(written_files)
}

/// Whether a command gets this variable of its surroundings without declaring it.
fn is_base_variable(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| BASE_VARIABLES.contains(&name) || name.starts_with("LC_"))
}

/// The names in a checkpoint folder that are complete.
fn complete_names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let fail = |error| file::named(folder, "list", error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(fail));
    let names: Vec<_> = names.collect::<io::Result<_>>()?;
    let is_whole = |name: &std::ffi::OsString| {
        let name = name.as_encoded_bytes();
        !name.starts_with(b".") && !name.ends_with(b".tmp")
    };
    Ok(names.into_iter().filter(is_whole).collect())
}

/// The processes of the attempt with this token in `folder`.
pub(in crate::execution::provider) fn attempt_processes(
    folder: &Path,
    token: &str,
) -> process::Attempt {
    let read_file = |name: &str| std::fs::read_to_string(folder.join(".run").join(name)).ok();
    let supervisor = read_file("pid").and_then(|stat| process::parse_stat(&stat));
    let is_fresh = read_file("numbering").is_some_and(|then| then == process::numbering());
    let released = folder.join(".run/released").exists();
    process::Attempt {
        token: token.to_owned(),
        supervisor,
        fresh: is_fresh && !released,
    }
}

fn lay_out(item: &Item, folder: &Path, bounds: &Bounds) -> io::Result<()> {
    let target = folder.join(&item.name);
    tree::remove(&target)?;
    if let Some(parent) = target.parent() {
        file_changes::create_dir_all(parent)
            .map_err(|error| file::named(parent, "create", error))?;
    }
    let copy = |source, links| {
        tree::copy_within(source, &target, links, tree::Sharing::Own, bounds).map(drop)
    };
    match &item.content {
        Content::Local(source) => copy(source, tree::Links::Follow),
        Content::Stored(source) => copy(source, tree::Links::Keep),
        Content::Fetched(_) => Err(io::Error::other(format!(
            "{} was fetched by another worker",
            target.display()
        ))),
        Content::Empty => {
            file_changes::write(&target, "").map_err(|error| file::named(&target, "write", error))
        }
    }
}

fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file::named(path, "read", error)),
    }
}
