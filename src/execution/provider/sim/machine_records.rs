//! What the simulated cloud knows of its machines, and its bill.

use super::super::{Machine, MachineSpec, Token};
use crate::model::{Millis, Money, PlaceName, Rate};
use crate::util::{clock, file, file_changes, tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A machine. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MachineRecord {
    pub id: String,
    pub token: String,
    #[serde(default)]
    pub stage: String,
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub job: String,
    /// Empty: nobody's that we know.
    #[serde(default)]
    pub lineage: String,
    #[serde(default)]
    pub plan: String,
    #[serde(default)]
    pub place: Option<PlaceName>,
    #[serde(default)]
    pub instance_type: Option<String>,
    pub nodes: u32,
    /// What one machine costs an hour.
    pub rate: Rate,
    pub created_ms: u64,
    pub lease_end_ms: u64,
    /// The tag that says so.
    pub lease_end: String,
    /// When it is taken away, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_ms: Option<u64>,
    #[serde(default)]
    pub ended_ms: Option<u64>,
    #[serde(default)]
    pub why: Option<EndReason>,
}

/// How a machine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EndReason {
    Released,
    Preempted,
    Lease,
}

/// What a simulated cloud has to be paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// How many machines were ever there.
    pub machines: usize,
    /// How many of these machines are there still.
    pub running: usize,
    /// What all machines cost for all of their time, by the millisecond.
    pub cost: Money,
}

static BUILDING: AtomicU64 = AtomicU64::new(0);

pub(super) fn now() -> u64 {
    let since = clock::system_time()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl MachineRecord {
    /// A new machine; `earlier` of the same token are gone.
    pub(super) fn new(token: &Token, spec: &MachineSpec, earlier: usize) -> Self {
        let created_ms = now();
        let mut record = Self {
            id: record_id(&token.id, earlier + 1),
            token: token.id.clone(),
            stage: token.stage.clone(),
            attempt: token.attempt,
            job: spec.owner.job.clone(),
            lineage: spec.owner.lineage.clone(),
            plan: spec.plan.clone(),
            place: Some(spec.place.clone()),
            instance_type: Some(spec.instance_type.clone()),
            nodes: spec.nodes,
            rate: spec.rate,
            created_ms,
            lease_end_ms: 0,
            lease_end: String::new(),
            leaves_ms: None,
            ended_ms: None,
            why: None,
        };
        record.extend(spec.lease);
        record
    }

    /// Lets it live for so long from now on.
    pub(super) fn extend(&mut self, lease: Duration) {
        self.lease_end_ms =
            now().saturating_add(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        self.lease_end = clock::after(lease);
    }

    pub(super) fn machine(self) -> Machine {
        Machine {
            token: Token {
                id: self.token,
                stage: self.stage,
                attempt: self.attempt,
            },
            id: self.id,
            job: self.job,
            lineage: self.lineage,
            place: self.place,
            instance_type: self.instance_type,
            lease_end: Some(self.lease_end),
            lease_over: Some(self.lease_end_ms < now()),
            ended: false,
        }
    }
}

pub(super) fn folder(root: &Path, token: &str) -> PathBuf {
    root.join("machines").join(token)
}

pub(super) fn disk(root: &Path, token: &str) -> PathBuf {
    folder(root, token).join("box")
}

/// Where the command of a machine runs.
pub(super) fn working_folder(root: &Path, token: &str) -> PathBuf {
    folder(root, token).join("work")
}

/// Writes a machine down, whole or not at all; if there is one of its token, that one is returned.
pub(super) fn create(root: &Path, record: &MachineRecord) -> io::Result<MachineRecord> {
    let place = folder(root, &record.token);
    let building_number = BUILDING.fetch_add(1, Ordering::Relaxed);
    let building = place.with_extension(format!("new{}-{building_number}", std::process::id()));
    tree::remove(&building)?;
    let disk = building.join("box");
    for part in ["inputs", "outputs", "checkpoint", ".run"] {
        file::create_private_folders(&disk.join(part))?;
    }
    let lease = Duration::from_millis(record.lease_end_ms.saturating_sub(now()));
    super::super::local::write_lease(&disk, lease)?;
    file::write_atomic(&building.join("card"), &serde_json::to_vec(record)?)?;
    match file_changes::rename(&building, &place) {
        Ok(()) => Ok(record.clone()),
        Err(error) => {
            tree::remove(&building)?;
            let record_there = read(root, &record.token)?;
            record_there.ok_or_else(|| file::named(&place, "create", error))
        }
    }
}

pub(super) fn write(root: &Path, record: &MachineRecord) -> io::Result<()> {
    file::write_atomic(
        &folder(root, &record.token).join("card"),
        &serde_json::to_vec(record)?,
    )
}

pub(super) fn rename(root: &Path, from: &str, to: &str) -> io::Result<()> {
    let target_folder = folder(root, to);
    file_changes::rename(folder(root, from), &target_folder)
        .map_err(|error| file::named(&target_folder, "create", error))
}

/// The record of the machine of a token that is there.
pub(super) fn read(root: &Path, token: &str) -> io::Result<Option<MachineRecord>> {
    read_record(&folder(root, token).join("card"))
}

fn read_record(path: &Path) -> io::Result<Option<MachineRecord>> {
    match std::fs::read(path) {
        Ok(text) => {
            let record = serde_json::from_slice(&text);
            record
                .map(Some)
                .map_err(|error| file::named(path, "read", io::Error::other(error)))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(file::named(path, "read", error)),
    }
}

/// All machines that are there, whosever they are.
pub(super) fn all(root: &Path) -> io::Result<Vec<MachineRecord>> {
    let mut records = Vec::new();
    for folder in super::super::local::folders_in(&root.join("machines"))? {
        if folder.extension().is_none() {
            records.extend(read_record(&folder.join("card"))?);
        }
    }
    Ok(records)
}

/// How many machines of a token there were.
pub(super) fn ended(root: &Path, token: &str) -> usize {
    (1..)
        .take_while(|number| root.join("gone").join(record_id(token, *number)).exists())
        .count()
}

/// EndReason the last machine of a token is no more.
pub(super) fn end_of(root: &Path, token: &str) -> io::Result<Option<EndReason>> {
    let last_record = read_record(&root.join("gone").join(record_id(token, ended(root, token))))?;
    Ok(last_record.and_then(|record| record.why))
}

fn record_id(token: &str, number: usize) -> String {
    format!("sim-{}-{number}", token.get(..12).unwrap_or(token))
}

fn gone_records(root: &Path) -> io::Result<Vec<MachineRecord>> {
    let folder = root.join("gone");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file::named(&folder, "list", error)),
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| file::named(&folder, "list", error))?
            .path();
        // Others are being written.
        if path
            .file_name()
            .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        {
            records.extend(read_record(&path)?);
        }
    }
    Ok(records)
}

/// Puts a machine on the bill for good, then takes it away.
pub(super) fn finish(root: &Path, record: &MachineRecord, why: EndReason) -> io::Result<()> {
    let ended_ms = if why == EndReason::Lease {
        record.lease_end_ms
    } else {
        now().min(record.lease_end_ms)
    };
    let record = MachineRecord {
        ended_ms: Some(ended_ms),
        why: Some(why),
        ..record.clone()
    };
    let gone_folder = root.join("gone");
    file::create_private_folders(&gone_folder)?;
    file::write_atomic(&gone_folder.join(&record.id), &serde_json::to_vec(&record)?)?;
    tree::remove(&folder(root, &record.token))
}

/// The bill of the simulated cloud in a folder, as of now.
pub fn bill(root: &Path) -> io::Result<Bill> {
    let mut records: BTreeMap<String, MachineRecord> = all(root)?
        .into_iter()
        .map(|record| (record.id.clone(), record))
        .collect();
    // One that is on the way out has two records.
    records.extend(
        gone_records(root)?
            .into_iter()
            .map(|record| (record.id.clone(), record)),
    );
    let now_ms = now();
    let mut bill = Bill {
        machines: records.len(),
        ..Bill::default()
    };
    for record in records.values() {
        let bill_end = record
            .ended_ms
            .unwrap_or_else(|| now_ms.min(record.lease_end_ms));
        bill.running += usize::from(record.ended_ms.is_none() && record.lease_end_ms > now_ms);
        bill.cost.0 += record
            .rate
            .cost(
                record.nodes,
                Millis(bill_end.saturating_sub(record.created_ms)),
            )
            .0;
    }
    Ok(bill)
}
