//! What is left to plan of a job that a state holds a part of.
//!
//! What is done is a fact: its stages are not planned, and what they wrote is data that exists,
//! where they ran and as large as it is. Time that has passed and money that is spent are taken off
//! the limits. Progress inside a stage that is not done counts for nothing, which never makes a
//! plan promise too much.

use crate::model::{ArtifactRef, Dataset, Job, Millis, Money, OfferName, Policy, Stage, dag};
use crate::plan::FromState;
use std::collections::BTreeSet;

/// Why a state leaves nothing to plan: mostly a limit that nothing is left of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsedUp {
    /// The deadline of the policy has passed since the job began.
    #[error("the deadline of {deadline} has passed: the job began {elapsed} ago, by its state")]
    Deadline {
        /// The latest end of the job that the policy allows, from its beginning.
        deadline: Millis,
        /// The time since the job began.
        elapsed: Millis,
    },
    /// The deadline of a stage that is not done has passed since the job began.
    #[error(
        "the deadline of stage `{stage}`, {deadline}, has passed: the job began {elapsed} ago, by its state"
    )]
    StageDeadline {
        /// The name of the stage in the job.
        stage: String,
        /// The latest end of the stage that the job allows, from the job's beginning.
        deadline: Millis,
        /// The time since the job began.
        elapsed: Millis,
    },
    /// Nothing is left of the budget of the policy.
    #[error(
        "the budget of {budget} is used up: {spent} are spent or set aside, by the job's state"
    )]
    Budget {
        /// The most that the policy lets the whole job cost.
        budget: Money,
        /// What the state has spent of it or holds in reserve.
        spent: Money,
    },
    /// The state has a stage as done that wrote an artifact, but not the artifact's size.
    #[error("the job's state does not say how large `{artifact}` is, which a stage still reads")]
    UnknownSize {
        /// The name of the artifact: `train.model`.
        artifact: String,
    },
}

/// Whether a state holds all of a job as done.
pub fn nothing_left(job: &Job, from_state: &FromState) -> bool {
    job.expanded()
        .stages
        .keys()
        .all(|name| from_state.done.contains_key(name))
}

/// The rest of a job, each replica of a stage as a stage of its own, and the policy with what is
/// left of its limits.
pub(super) fn remaining_job(
    job: &Job,
    policy: &Policy,
    from_state: &FromState,
) -> Result<(Job, Policy), UsedUp> {
    if nothing_left(job, from_state) {
        // No limit stands in the way of doing nothing.
        let policy = Policy {
            deadline: None,
            budget: None,
            ..policy.clone()
        };
        return Ok((
            Job {
                stages: std::collections::BTreeMap::new(),
                ..job.expanded()
            },
            policy,
        ));
    }
    let limits = remaining_limits(policy, from_state)?;
    let mut remaining = job.expanded();
    let labels = dag::labels(&remaining);
    remaining
        .stages
        .retain(|name, _| !from_state.done.contains_key(name));
    add_made_data(&mut remaining, &labels, from_state)?;
    for (name, stage) in &mut remaining.stages {
        take_off(name, stage, from_state)?;
    }
    Ok((remaining, limits))
}

/// Takes time that has passed and money that is spent off the limits of the policy.
fn remaining_limits(policy: &Policy, from_state: &FromState) -> Result<Policy, UsedUp> {
    let elapsed = from_state.elapsed_ms;
    let deadline = match policy.deadline {
        Some(deadline) => {
            Some(remaining_time(deadline, elapsed).ok_or(UsedUp::Deadline { deadline, elapsed })?)
        }
        None => None,
    };
    let spent = from_state.spent_micro_usd;
    let budget = match policy.budget {
        Some(budget) if spent > budget => return Err(UsedUp::Budget { budget, spent }),
        Some(budget) => Some(budget - spent),
        None => None,
    };
    Ok(Policy {
        deadline,
        budget,
        ..policy.clone()
    })
}

/// Returns how long it is to a deadline; `None`: it has passed.
fn remaining_time(deadline: Millis, elapsed: Millis) -> Option<Millis> {
    (deadline > elapsed).then(|| deadline - elapsed)
}

/// Adds what stages that are done wrote and others still read, as data that exists.
fn add_made_data(
    remaining: &mut Job,
    labels: &dag::Labels,
    from_state: &FromState,
) -> Result<(), UsedUp> {
    let artifacts_read: BTreeSet<ArtifactRef> = remaining
        .stages
        .values()
        .flat_map(|stage| stage.reads.iter().cloned())
        .collect();
    for artifact in artifacts_read {
        let ArtifactRef::Output { stage, name } = &artifact else {
            continue;
        };
        let Some(done) = from_state.done.get(stage) else {
            continue;
        };
        let Some(size) = done.outputs.get(name).copied() else {
            return Err(UsedUp::UnknownSize {
                artifact: artifact.to_string(),
            });
        };
        let made_data = Dataset {
            at: done.place.clone(),
            path: None,
            size,
            labels: labels.of_artifact[&artifact].clone(),
        };
        remaining.made.insert(artifact, made_data);
    }
    Ok(())
}

/// Takes what is done, how long it took, and offers that were found used up off a stage.
fn take_off(name: &str, stage: &mut Stage, from_state: &FromState) -> Result<(), UsedUp> {
    stage
        .after
        .retain(|before| !from_state.done.contains_key(before));
    if let Some(deadline) = stage.deadline {
        let elapsed = from_state.elapsed_ms;
        let time_left = remaining_time(deadline, elapsed).ok_or_else(|| UsedUp::StageDeadline {
            stage: name.to_owned(),
            deadline,
            elapsed,
        })?;
        stage.deadline = Some(time_left);
    }
    let exhausted_offers = from_state
        .exhausted
        .iter()
        .filter(|offer| offer.stage == name);
    stage.without = exhausted_offers
        .map(|offer| OfferName {
            place: offer.place.clone(),
            instance_type: offer.instance_type.clone(),
            purchase: offer.purchase,
        })
        .collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bytes;
    use crate::plan::DoneStage;
    use crate::spec;
    use std::collections::BTreeMap;

    const JOB: &str = "name = \"j\"\n[datasets.d]\nat = \"aws:us-east-1\"\nsize = \"1 GB\"\nlabels = [\"pii\"]\n\
        [stages.a]\nduration = \"1 h\"\nreads = [\"d\"]\nwrites = { o = \"1 GB\" }\ncount = 2\n\
        [stages.b]\nduration = \"1 h\"\nreads = [\"a.o\"]\ndeadline = \"3 h\"\n";

    fn job() -> Job {
        spec::job::parse("job.toml", JOB).unwrap().value
    }

    fn policy(text: &str) -> Policy {
        spec::policy::parse("policy.toml", text).unwrap().value
    }

    fn from(hours: u64, spent: i64) -> FromState {
        let done = DoneStage {
            place: crate::model::PlaceName::parse("gcp:us-central1").unwrap(),
            outputs: BTreeMap::from([("o".to_owned(), Bytes(7))]),
        };
        FromState {
            lineage: "l".to_owned(),
            serial: 1,
            elapsed_ms: Millis(hours * 3_600_000),
            spent_micro_usd: Money(spent),
            done: BTreeMap::from([("a[0]".to_owned(), done)]),
            exhausted: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_done_is_data_with_its_labels() {
        let (left, policy) = remaining_job(
            &job(),
            &policy("limits = { deadline = \"4 h\", budget = \"$2\" }\n"),
            &from(1, 500_000),
        )
        .unwrap();
        assert_eq!(left.stages.keys().collect::<Vec<_>>(), ["a[1]", "b"]);
        let made = left.made.iter().next().unwrap();
        assert_eq!(
            (made.0.to_string(), made.1.at.to_string(), made.1.size),
            ("a[0].o".into(), "gcp:us-central1".into(), Bytes(7))
        );
        assert!(made.1.labels.contains("pii"));
        assert_eq!(
            (policy.deadline, policy.budget),
            (Some(Millis(3 * 3_600_000)), Some(Money(1_500_000)))
        );
        assert_eq!(left.stages["b"].deadline, Some(Millis(2 * 3_600_000)));
        assert!(dag::labels(&left).of_stage["b"].contains("pii"));
    }

    #[test]
    fn a_limit_that_is_used_up_is_said() {
        let said = |limits: &str, hours, spent| {
            remaining_job(&job(), &policy(limits), &from(hours, spent))
                .unwrap_err()
                .to_string()
        };
        assert!(
            said("limits.deadline = \"2 h\"\n", 2, 0).starts_with("the deadline of 2 h has passed")
        );
        assert!(
            said("limits.budget = \"$1\"\n", 1, 1_000_001)
                .starts_with("the budget of $1.00 is used up")
        );
        assert!(said("", 3, 0).starts_with("the deadline of stage `b`, 3 h, has passed"));
    }
}
