//! Processes of this machine as a provider.

use super::super::{
    ErrorKind, Evidence, LOCAL, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError,
    Survey, Token, Worker,
};
use super::{process, worker};
use crate::model::PlaceName;
use crate::model::names::{is_path_part, is_token};
use crate::util::interruptible::blocking;
use crate::util::{clock, file, file_changes, tree};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static BUILDING: AtomicU64 = AtomicU64::new(0);

/// Processes on this machine, with folders under a state folder.
#[derive(Clone, Debug)]
pub struct Local {
    stages: PathBuf,
    /// Working folders of attempts, by stage and number.
    work: PathBuf,
}

/// What `.run/machine` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tags {
    token: String,
    stage: String,
    attempt: u32,
    job: String,
    lineage: String,
    #[serde(default)]
    place: Option<PlaceName>,
    #[serde(default)]
    instance_type: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    lease_end: Option<String>,
}

impl Tags {
    fn machine(self, folder: &Path) -> Machine {
        Machine {
            token: Token {
                id: self.token,
                stage: self.stage,
                attempt: self.attempt,
            },
            id: folder.display().to_string(),
            job: self.job,
            lineage: self.lineage,
            place: self.place,
            instance_type: self.instance_type,
            lease_end: self.lease_end,
            lease_over: lease_is_over(folder),
            ended: folder.join(".run/released").exists(),
        }
    }
}

impl Local {
    /// Processes of this machine that have their folders in `stages` and `work` of this state
    /// folder.
    pub fn new(root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self {
            stages: root.join("stages"),
            work: root.join("work"),
        }
    }

    fn folder(&self, token: &Token) -> PathBuf {
        self.stages
            .join(&token.stage)
            .join(token.attempt.to_string())
    }

    fn working_folder(&self, token: &Token) -> PathBuf {
        self.work.join(&token.stage).join(token.attempt.to_string())
    }

    fn tags(folder: &Path) -> Result<Option<Tags>, ProviderError> {
        let path = folder.join(".run/machine");
        match std::fs::read(&path) {
            Ok(text) => {
                let damaged_tags = |why: String| {
                    ProviderError::new(
                        ErrorKind::Other,
                        format!("{} is damaged: {why}", path.display()),
                    )
                };
                let tags: Tags = serde_json::from_slice(&text)
                    .map_err(|error| damaged_tags(error.to_string()))?;
                match is_token(&tags.token) && is_path_part(&tags.stage) {
                    true => Ok(Some(tags)),
                    false => Err(damaged_tags(
                        "it names no token and no stage of a job".to_owned(),
                    )),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file::named(&path, "read", error).into()),
        }
    }

    /// The folders of all attempts, and what cannot be listed.
    fn attempts(&self) -> Vec<Result<PathBuf, ProviderError>> {
        let stages = match folders_in(&self.stages) {
            Ok(stages) => stages,
            Err(error) => return vec![Err(error.into())],
        };
        let of_stage = |stage: PathBuf| match folders_in(&stage) {
            // Those with an extension are being built, or were when their sky was killed.
            Ok(found) => found
                .into_iter()
                .filter(|folder| folder.extension().is_none())
                .map(Ok)
                .collect(),
            Err(error) => vec![Err(error.into())],
        };
        stages.into_iter().flat_map(of_stage).collect()
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let message = format!(
            "attempt {} of stage.{} is not in {}",
            token.attempt,
            token.stage,
            self.stages.display()
        );
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn find(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        let folder = self.folder(token);
        let tags = Self::tags(&folder)?;
        Ok(tags
            .filter(|tags| tags.token == token.id)
            .map(|tags| tags.machine(&folder)))
    }
}

#[async_trait]
impl Provider for Local {
    fn name(&self) -> &'static str {
        LOCAL
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let folder = self.folder(token);
        // A token that is asked for again after its release comes from a state that was rolled
        // back: what is left of that attempt is of no use.
        let used_up = folder.join(".run/released").exists() || !folder.join("outputs").exists();
        if let Some(machine) = self.find(token)?
            && !used_up
        {
            return Ok(machine);
        }
        if let Some(former) = Self::tags(&folder)? {
            // From a state that was rolled back or removed: nobody knows it any more.
            worker::attempt_processes(&folder, &former.token)
                .end(Duration::ZERO)
                .await?;
        }
        let tags = Tags {
            token: token.id.clone(),
            stage: token.stage.clone(),
            attempt: token.attempt,
            job: spec.owner.job.clone(),
            lineage: spec.owner.lineage.clone(),
            place: Some(spec.place.clone()),
            instance_type: Some(spec.instance_type.clone()),
            lease_end: Some(clock::after(spec.lease)),
        };
        let text = encode_tags(&tags)?;
        let lease = spec.lease;
        let create = move || -> io::Result<()> {
            tree::remove(&folder)?;
            // Built aside, so that a folder always says whose it is.
            let building_number = BUILDING.fetch_add(1, Ordering::Relaxed);
            let building =
                folder.with_extension(format!("new{}-{building_number}", std::process::id()));
            tree::remove(&building)?;
            for part in ["inputs", "outputs", "checkpoint", ".run"] {
                file::create_private_folders(&building.join(part))?;
            }
            write_lease(&building, lease)?;
            file::write_atomic(&building.join(".run/machine"), &text)?;
            let renamed = file_changes::rename(&building, &folder);
            if renamed.is_err() {
                tree::remove(&building)?;
            }
            match renamed {
                // Another call for the same token was quicker.
                Err(_) if folder.join(".run/machine").exists() => Ok(()),
                renamed => renamed.map_err(|error| file::named(&folder, "create", error)),
            }
        };
        blocking(move |_| create()).await?;
        Ok(tags.machine(&self.folder(token)))
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        self.find(token)
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        self.survey(owner).await.into_machines()
    }

    async fn survey(&self, owner: Option<&Owner>) -> Survey {
        let mut survey = Survey::default();
        for attempt in self.attempts() {
            let tags = attempt
                .and_then(|folder| Ok(Self::tags(&folder)?.map(|tags| tags.machine(&folder))));
            match tags {
                Ok(machine) => survey
                    .machines
                    .extend(machine.filter(|machine| machine.is_of(owner))),
                Err(error) => survey.failed.push(error),
            }
        }
        survey.machines.sort_by(|a, b| a.token.cmp(&b.token));
        survey
    }

    async fn release(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError> {
        if self.find(token)?.is_none() {
            return Ok(());
        }
        let folder = self.folder(token);
        worker::attempt_processes(&folder, &token.id)
            .end(Duration::ZERO)
            .await?;
        // From here on, numbers of its processes may become others'. A full disk is not a reason to
        // keep what follows.
        let _ = file::write_atomic(&folder.join(".run/released"), b"");
        if evidence == Evidence::Keep {
            return Ok(());
        }
        let working_folder = self.working_folder(token);
        let drop = move || -> io::Result<()> {
            remove_working_folder(&working_folder)?;
            for folder in folders_in(&folder)?
                .into_iter()
                .filter(|folder| !folder.ends_with(".run"))
            {
                tree::remove(&folder)?;
            }
            Ok(())
        };
        Ok(blocking(move |_| drop()).await?)
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        // Even without its folder, its processes may be there.
        let folder = self.folder(token);
        worker::attempt_processes(&folder, &token.id)
            .end(Duration::ZERO)
            .await?;
        if self.find(token)?.is_none() {
            return Ok(());
        }
        let stage = self.stages.join(&token.stage);
        let working_folder = self.working_folder(token);
        let delete = move || -> io::Result<()> {
            remove_working_folder(&working_folder)?;
            tree::remove(&folder)?;
            // Fails when there are other attempts, as it should.
            let _ = file_changes::remove_dir(&stage);
            Ok(())
        };
        Ok(blocking(move |_| delete()).await?)
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let folder = self.folder(token);
        let tags = Self::tags(&folder)?.filter(|tags| tags.token == token.id);
        let Some(mut tags) = tags else {
            return Err(self.not_found(token));
        };
        write_lease(&folder, lease.left())?;
        tags.lease_end = Some(lease.timestamp());
        Ok(file::write_atomic(
            &folder.join(".run/machine"),
            &encode_tags(&tags)?,
        )?)
    }

    async fn adopt(
        &self,
        id: &str,
        token: &Token,
        owner: &Owner,
    ) -> Result<Machine, ProviderError> {
        let wanted_folder = std::path::absolute(id).unwrap_or_else(|_| id.into());
        let folder = self.folder(token);
        let Some(mut tags) = Self::tags(&wanted_folder)?.filter(|_| wanted_folder == folder) else {
            let message = format!("{id} is not an attempt that could be {}", folder.display());
            return Err(ProviderError::new(ErrorKind::NotFound, message));
        };
        if tags.token != token.id {
            let message = format!(
                "{id} has token {}, by which its processes are known for good",
                tags.token
            );
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        (tags.job, tags.lineage) = (owner.job.clone(), owner.lineage.clone());
        file::write_atomic(&folder.join(".run/machine"), &encode_tags(&tags)?)?;
        Ok(tags.machine(&folder))
    }

    fn bills(&self) -> bool {
        false
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let Some(machine) = self.find(token)? else {
            return Err(self.not_found(token));
        };
        Ok(Box::new(worker::LocalWorker::new(
            self.folder(token),
            self.working_folder(token),
            machine.token,
        )))
    }
}

/// Removes a working folder, and the folders above it that nothing else is in.
fn remove_working_folder(folder: &Path) -> io::Result<()> {
    tree::remove(folder)?;
    for above in folder.ancestors().skip(1).take(2) {
        // Fails when there are others, as it should.
        let _ = file_changes::remove_dir(above);
    }
    Ok(())
}

fn encode_tags(tags: &Tags) -> Result<Vec<u8>, ProviderError> {
    serde_json::to_vec(tags).map_err(|error| ProviderError::new(ErrorKind::Other, error))
}

/// Tells the watchdog when the lease ends, in this machine's own time.
pub(in crate::execution::provider) fn write_lease(
    folder: &Path,
    lease: Duration,
) -> io::Result<()> {
    let lease_end = clock::uptime()?.saturating_add(lease).as_secs();
    file::write_atomic(
        &folder.join(".run/lease"),
        format!("{lease_end}\n").as_bytes(),
    )
}

/// Whether the lease of an attempt is over, by the uptime that its watchdog goes by; none: it has
/// none, or was begun before this machine was.
fn lease_is_over(folder: &Path) -> Option<bool> {
    let numbering = std::fs::read_to_string(folder.join(".run/numbering")).ok();
    if numbering.is_some_and(|numbering| numbering != process::numbering()) {
        return None;
    }
    let lease_end: u64 = std::fs::read_to_string(folder.join(".run/lease"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(clock::uptime().ok()?.as_secs() >= lease_end)
}

/// The folders in a folder, sorted; none if it is not there.
pub(in crate::execution::provider) fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let fail = |error| file::named(folder, "list", error);
    let mut found_folders = Vec::new();
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found_folders),
        Err(error) => return Err(fail(error)),
        Ok(entries) => {
            for entry in entries {
                let folder_entry = entry.map_err(fail)?;
                if folder_entry.file_type().map_err(fail)?.is_dir() {
                    found_folders.push(folder_entry.path());
                }
            }
        }
    }
    found_folders.sort();
    Ok(found_folders)
}
