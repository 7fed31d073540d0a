//! What a state says, for `sky show` and for `sky plan --detailed-exitcode`.

use super::data::{Artifact, State, Status};
use crate::model::{ArtifactRef, Bytes, Job, Millis, Money, canonical, dag};
use crate::plan::{DoneStage, FromState, Plan, PlannedStage};
use crate::util::{clock, hash};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The state for programs: its head, its stages with their addresses, its artifacts.
pub fn summary(state: &State) -> Value {
    let stages: Vec<Value> = state
        .stages
        .iter()
        .map(|(name, stage)| {
            json!({
                "address": format!("stage.{name}"),
                "name": name,
                "status": stage.status,
                "attempt": stage.attempt,
                "live": stage.live,
                "provider": stage.provider,
                "place": stage.place,
                "exit_code": stage.exit_code,
                "message": stage.message,
                "spent_micro_usd": stage.spent_micro_usd,
                "reserved_micro_usd": stage.reserved_micro_usd,
                "lease_end": stage.lease_end,
                "started": stage.started,
                "ended": stage.ended,
            })
        })
        .collect();
    let artifacts: Vec<Value> = state
        .artifacts
        .iter()
        .map(|(name, artifact)| {
            json!({
                "artifact": name,
                "digest": artifact.digest,
                "bytes": artifact.bytes,
                "kind": artifact.kind,
                "attempt": artifact.attempt,
            })
        })
        .collect();
    json!({
        "format_version": "1.0",
        "version": state.version,
        "serial": state.serial,
        "lineage": state.lineage,
        "sky_version": state.sky_version,
        "job": state.job,
        "plan": state.plan,
        "spent_micro_usd": state.spent_micro_usd,
        "stages": stages,
        "artifacts": artifacts,
    })
}

/// The stages for people, with a head row: address, status, attempt, place, note.
pub fn text_rows(state: &State) -> Vec<Vec<String>> {
    let head = ["stage", "status", "attempt", "place", "spent", "note"].map(str::to_owned).to_vec();
    let rows = state.stages.iter().map(|(name, stage)| {
        let note = stage.message.clone().unwrap_or_default();
        vec![
            format!("stage.{name}"),
            stage.status.to_string(),
            stage.attempt.to_string(),
            stage.place.to_string(),
            stage.spent_micro_usd.to_string(),
            note,
        ]
    });
    std::iter::once(head).chain(rows).collect()
}

/// Whether the state already holds all of the plan done, as far as the plan itself can tell: the
/// content of datasets and files is looked at by `apply` alone.
pub fn holds(state: &State, plan: &Plan) -> bool {
    let done = |stage: &PlannedStage| {
        state
            .stages
            .get(&stage.name)
            .is_some_and(|record| record.status == Status::Done && record.definition == definition(stage))
            && stage.writes.keys().all(|output| state.artifacts.contains_key(&format!("{}.{output}", stage.name)))
    };
    state.job.as_deref() == Some(plan.job.as_str()) && plan.stages.iter().all(done)
}

/// What a plan of the rest of a job goes on from: the stages that are done, and what is used up of
/// time and money. A stage counts as done if the job still gives it the same work, and all that it
/// waits for counts as done too; the content of datasets and files is not looked at.
pub fn facts(state: &State, job: &Job) -> FromState {
    let whole = job.expanded();
    let mut again: BTreeSet<String> = BTreeSet::new();
    let done = loop {
        let done = done(state, &whole, &again);
        // What was deleted when all had read it is made again if somebody has to read it again.
        let reads = |artifact: &str| {
            let readers =
                whole.stages.iter().filter(|(_, stage)| stage.reads.iter().any(|read| read.to_string() == artifact));
            readers.filter(|(name, _)| !done.contains_key(*name)).count() > 0
        };
        let gone = |(name, artifact): (&String, &Artifact)| {
            let stage =
                done.keys().find(|stage| name.strip_prefix(*stage).is_some_and(|rest| rest.starts_with('.')))?;
            (artifact.away && artifact.staged.is_empty() && reads(name)).then(|| stage.clone())
        };
        let before = again.len();
        again.extend(state.artifacts.iter().filter_map(gone));
        if again.len() == before {
            break done;
        }
    };
    let elapsed = match (&state.begun, &state.newest) {
        (Some(begun), Some(newest)) => clock::between(begun, newest),
        _ => 0,
    };
    let live = state.stages.values().filter(|record| record.live);
    let set_aside: Money = live.map(|record| record.reserved_micro_usd).sum();
    let exhausted = state.exhausted.iter().filter(|offer| !done.contains_key(&offer.stage));
    FromState {
        lineage: state.lineage.clone(),
        serial: state.serial,
        elapsed_ms: Millis(elapsed),
        spent_micro_usd: state.spent_micro_usd + set_aside,
        exhausted: exhausted.cloned().collect(),
        done,
    }
}

/// The stages of a job that count as done, but for those that are to be done `again`.
fn done(state: &State, whole: &Job, again: &BTreeSet<String>) -> BTreeMap<String, DoneStage> {
    let mut done: BTreeMap<String, DoneStage> = BTreeMap::new();
    for name in dag::order(whole).unwrap_or_default() {
        let Some(stage) = whole.stages.get(name).filter(|_| !again.contains(name)) else { continue };
        let Some(record) = state.stages.get(name).filter(|record| record.status == Status::Done) else { continue };
        let given =
            digest(stage.run.as_deref(), &stage.reads, stage.writes.keys(), &stage.files, stage.nodes, &stage.env);
        let same = record.imported() || record.definition == given;
        let ready = dag::predecessors(stage).into_iter().all(|before| done.contains_key(before));
        let output = |output: &String| {
            let artifact = state.artifacts.get(&format!("{name}.{output}"))?;
            Some((output.clone(), Bytes(artifact.bytes)))
        };
        let outputs: Option<BTreeMap<String, Bytes>> = stage.writes.keys().map(output).collect();
        if let Some(outputs) = outputs.filter(|_| same && ready) {
            done.insert(name.to_owned(), DoneStage { place: record.place.clone(), outputs });
        }
    }
    done
}

/// Digest of the work that a plan gives a stage, wherever it runs: the command, the names of what
/// it reads, writes and brings along, the number of nodes it is told of, its plain variables.
pub fn definition(stage: &PlannedStage) -> String {
    digest(stage.run.as_deref(), &stage.reads, stage.writes.keys(), &stage.files, stage.nodes, &stage.env)
}

fn digest<'a>(
    run: Option<&str>,
    reads: &BTreeSet<ArtifactRef>,
    writes: impl Iterator<Item = &'a String>,
    files: &BTreeSet<String>,
    nodes: u32,
    env: &BTreeMap<String, String>,
) -> String {
    let writes: Vec<&String> = writes.collect();
    let mut work = json!({ "run": run, "reads": reads, "writes": writes, "files": files, "nodes": nodes });
    // Stages without any have the digest that they had before there were such variables.
    if !env.is_empty() {
        work["env"] = json!(env);
    }
    // The canonical text of strings and numbers cannot fail to be written.
    hash::digest(canonical::to_text(&work).unwrap_or_default().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PlaceName;
    use crate::spec;
    use crate::state::event::{Event, Record};
    use crate::util::tree::Kind;

    const JOB: &str = "name = \"j\"\n[stages.a]\nduration = \"1 h\"\nwrites = { o = \"1 GB\" }\nrun = \"a\"\n\
        [stages.b]\nduration = \"1 h\"\nreads = [\"a.o\"]\nwrites = { p = \"1 GB\" }\nrun = \"b\"\n\
        [stages.c]\nduration = \"1 h\"\nreads = [\"b.p\"]\nwrites = { q = \"1 GB\" }\nrun = \"c\"\n";

    #[test]
    fn what_is_gone_and_read_again_is_made_again() {
        let job = |text: &str| spec::job::parse("job.toml", text).unwrap().value;
        let whole = job(JOB).expanded();
        let mut state = State::empty("l".into());
        let mut sequence = 0;
        let mut take = |event: Event| {
            sequence += 1;
            state.take(&Record { sequence, at: format!("2026-01-01T00:00:0{sequence}Z"), event });
        };
        for (name, stage) in &whole.stages {
            let definition =
                digest(stage.run.as_deref(), &stage.reads, stage.writes.keys(), &stage.files, stage.nodes, &stage.env);
            take(Event::Attempt {
                stage: name.clone(),
                attempt: 1,
                token: "t".into(),
                provider: "sim".into(),
                place: PlaceName::here(),
                definition,
                fingerprint: "f".into(),
                rented: None,
                failures: 0,
            });
            let output = |output: &String| {
                let (digest, staged) = (hash::digest(b"0"), BTreeMap::new());
                let artifact = Artifact { digest, bytes: 1, kind: Kind::File, attempt: 1, staged, away: true };
                (output.clone(), artifact)
            };
            let outputs = stage.writes.keys().map(output).collect();
            take(Event::Done { stage: name.clone(), outputs, storage_micro_usd: Money(0) });
        }
        let done = |text: &str| facts(&state, &job(text)).done.into_keys().collect::<Vec<_>>();
        assert_eq!(done(JOB), ["a", "b", "c"]);
        // The last is another, and reads what is gone; what made that reads what is gone.
        assert_eq!(done(&JOB.replace("run = \"c\"", "run = \"d\"")), Vec::<String>::new());
    }
}
