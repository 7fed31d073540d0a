//! What a state says, for `sky show` and for `sky plan --detailed-exitcode`.

use super::data::{Artifact, State};
use super::standing::{Standing, Work, look, preview, waits};
use crate::model::{Bytes, Job, Millis, Money, dag};
use crate::plan::{Contents, DoneStage, FromState, Plan};
use crate::util::clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    let head_row = ["stage", "status", "attempt", "place", "spent", "note"]
        .map(str::to_owned)
        .to_vec();
    let stage_rows = state.stages.iter().map(|(name, stage)| {
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
    std::iter::once(head_row).chain(stage_rows).collect()
}

/// Whether the state already holds all of the plan done, by the content that the plan names.
pub fn holds(state: &State, plan: &Plan) -> bool {
    state.job.as_deref() == Some(plan.job.as_str())
        && preview(Some(state), plan, &|_| true).is_empty()
}

/// The stages of a job wait for each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stages wait for each other in a circle: {}", .0.join(", "))]
pub struct StagesInCircle(pub Vec<String>);

/// What a plan of the rest of a job goes on from: the stages that are done, and what is used up of
/// time and money. A stage counts as done if an apply of the whole job would leave it as it is. The
/// error is a job that has no order, which no job that was read has.
pub fn facts(
    state: &State,
    job: &Job,
    contents: &Contents,
    present: &dyn Fn(&Artifact) -> bool,
) -> Result<FromState, StagesInCircle> {
    let whole_job = job.expanded();
    let works = whole_job.stages.iter().map(|(name, stage)| {
        let stage_waits = waits(&stage.reads, &stage.after);
        (name.as_str(), (Work::from(stage), stage_waits))
    });
    let preview = look(state, &works.collect(), contents, present);
    let mut done_stages: BTreeMap<String, DoneStage> = BTreeMap::new();
    for name in dag::order(&whole_job).map_err(StagesInCircle)? {
        let (Some(stage), Some(record)) = (whole_job.stages.get(name), state.stages.get(name))
        else {
            continue;
        };
        // What stands before a stage that is still to do is planned with it.
        let is_ready = dag::predecessors(stage)
            .into_iter()
            .all(|before| done_stages.contains_key(before));
        if preview.stages.get(name) != Some(&Standing::Done) || !is_ready {
            continue;
        }
        let output = |output: &String| {
            let artifact = state.artifacts.get(&format!("{name}.{output}"))?;
            Some((output.clone(), Bytes(artifact.bytes)))
        };
        let outputs: Option<BTreeMap<String, Bytes>> = stage.writes.keys().map(output).collect();
        done_stages.extend(outputs.map(|outputs| {
            (
                name.to_owned(),
                DoneStage {
                    place: record.place.clone(),
                    outputs,
                },
            )
        }));
    }
    let elapsed = match (&state.begun, &state.newest) {
        (Some(begun), Some(newest)) => clock::between(begun, newest),
        _ => 0,
    };
    let live = state.stages.values().filter(|record| record.live);
    let set_aside: Money = live.map(|record| record.reserved_micro_usd).sum();
    let exhausted = state
        .exhausted
        .iter()
        .filter(|offer| !done_stages.contains_key(&offer.stage));
    Ok(FromState {
        lineage: state.lineage.clone(),
        serial: state.serial,
        elapsed_ms: Millis(elapsed),
        spent_micro_usd: state.spent_micro_usd + set_aside,
        exhausted: exhausted.cloned().collect(),
        done: done_stages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::state::event::{Event, Record};
    use crate::execution::state::standing::Content;
    use crate::model::{ArtifactRef, PlaceName};
    use crate::spec;
    use crate::util::hash;
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
        for (name, stage) in &whole.stages {
            let input = |read: &ArtifactRef| {
                state
                    .artifacts
                    .get(&read.to_string())
                    .map(|one| one.digest.to_string())
            };
            let content = Content::new(Work::from(stage), input, |_| None);
            let (definition, fingerprint) = (content.definition, content.fingerprint.unwrap());
            let mut take = |event: Event| {
                sequence += 1;
                state.take(&Record {
                    sequence,
                    at: format!("2026-01-01T00:00:0{sequence}Z"),
                    event,
                });
            };
            take(Event::Attempt {
                stage: name.clone(),
                attempt: 1,
                token: "t".into(),
                provider: "sim".into(),
                place: PlaceName::here(),
                definition,
                fingerprint,
                rented: None,
                failures: 0,
            });
            let output = |output: &String| {
                let (digest, staged) = (hash::digest(b"0"), BTreeMap::new());
                let artifact = Artifact {
                    digest,
                    bytes: 1,
                    kind: Kind::File,
                    attempt: 1,
                    staged,
                    away: true,
                };
                (output.clone(), artifact)
            };
            let outputs = stage.writes.keys().map(output).collect();
            take(Event::Done {
                stage: name.clone(),
                outputs,
                storage_micro_usd: Money(0),
            });
        }
        let facts =
            |text: &str| facts(&state, &job(text), &Contents::default(), &|_| true).unwrap();
        let done = |text: &str| facts(text).done.into_keys().collect::<Vec<_>>();
        assert_eq!(done(JOB), ["a", "b", "c"]);
        // The last is another, and reads what is gone; what made that reads what is gone.
        assert_eq!(
            done(&JOB.replace("run = \"c\"", "run = \"d\"")),
            Vec::<String>::new()
        );
    }
}
