//! What must be right before anything starts, all of it told at once.

use super::Error;
use super::found_inputs::{find_datasets, find_files, find_secrets, find_variables};
use super::plan_shape::{check_commands, check_shape};
use super::settings::{Checked, Settings};
use crate::execution::provider;
use crate::execution::state::data::REHEARSING;
use crate::execution::state::{State, Status};
use crate::execution::storage::Staging;
use crate::model::{ArtifactRef, Bytes, Destination};
use crate::plan::{self, DoneStage, FromState, Plan, PlannedStage};
use std::collections::{BTreeMap, BTreeSet};

/// Looks at the plan, the files and the state; changes nothing.
pub fn check(plan: &Plan, settings: &Settings, state: Option<&State>) -> Result<Checked, Error> {
    let held_state = state
        .filter(|state| !state.stages.is_empty())
        .and_then(|state| state.job.clone());
    if let Some(held) = held_state.filter(|held| *held != plan.job) {
        return Err(Error::OtherJob {
            held,
            planned: plan.job.clone(),
        });
    }
    check_rehearsal(plan, settings, state)?;
    if let Some(from) = &plan.from_state {
        check_from_state(plan, from, state)?;
    }
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    if settings.stand_ins && rehearsal(plan, settings.provider.as_deref(), true).is_none() {
        problems.push(
            "--stand-ins is for rehearsals: it needs --provider local or --provider sim".to_owned(),
        );
    }
    check_shape(plan, &mut problems);
    check_commands(plan, &mut problems);
    let providers = find_providers(plan, settings, &mut problems);
    let datasets = find_datasets(plan, settings, &mut problems, &mut warnings);
    let mut files = BTreeMap::new();
    for stage in &plan.stages {
        files.insert(
            stage.name.clone(),
            find_files(stage, settings, &mut problems),
        );
        if stage.nodes > 1
            && providers
                .get(&stage.name)
                .is_some_and(|name| runs_as_one_process(name, stage))
        {
            warnings.push(format!(
                "stage.{} is planned on {} nodes: it runs here as one process with SKY_NODES={}",
                stage.name, stage.nodes, stage.nodes
            ));
        }
    }
    let env = find_variables(plan, &mut problems);
    check_home(plan, settings, &providers, (&mut problems, &mut warnings));
    let secrets = find_secrets(plan, settings, &mut problems);
    if problems.is_empty() {
        Ok(Checked {
            providers,
            datasets,
            files,
            env,
            secrets,
            unready: BTreeMap::new(),
            warnings,
        })
    } else {
        Err(Error::NotReady(problems))
    }
}

/// What the plan keeps away from this machine must not come through it, and what stays in a place
/// needs something there that keeps it. A rehearsal rents nothing and moves nothing.
fn check_home(
    plan: &Plan,
    settings: &Settings,
    providers: &BTreeMap<String, String>,
    (problems, warnings): (&mut Vec<String>, &mut Vec<String>),
) {
    let rehearsed = |stage: &PlannedStage| {
        providers
            .get(&stage.name)
            .is_some_and(|name| name == provider::LOCAL || name == provider::SIM)
    };
    let stores = |stage: &PlannedStage| settings.staging.has(&stage.place.cloud);
    let reason_for = |stage: &PlannedStage| match settings.staging {
        Staging::Home => "`--staging home` brings all data to this machine".to_owned(),
        _ => format!(
            "there is no object store at {} that could keep it",
            stage.place
        ),
    };
    for stage in plan.stages.iter().filter(|stage| !rehearsed(stage)) {
        for (output, _) in stage
            .outputs
            .iter()
            .filter(|(_, goes)| **goes == Destination::There && !stores(stage))
        {
            problems.push(format!(
                "stage.{}: output `{output}` stays at {} by the plan, but {}; to bring it home, write \
                 `\"{}.{output}\" = \"home\"` in `[outputs]` of the job (and declare `[home]` in the policy if a rule \
                 covers it), and plan again",
                stage.name,
                stage.place,
                reason_for(stage),
                stage
                    .replica
                    .as_ref()
                    .map_or(&stage.name, |replica| &replica.stage),
            ));
        }
        if let Some(rule) = stage
            .checkpoints_kept_from_home_by
            .as_ref()
            .filter(|_| stage.checkpoint.is_some())
        {
            warnings.push(format!(
                "stage.{}: its checkpoints are not saved, because they would be brought to this machine, which {rule} \
                 forbids: if it is interrupted, it starts over",
                stage.name
            ));
        }
        let Some(rule) = &stage.kept_from_home_by else {
            continue;
        };
        let passes = |output: &&String| {
            let output_read = ArtifactRef::Output {
                stage: stage.name.clone(),
                name: (*output).clone(),
            };
            let mut readers = plan
                .stages
                .iter()
                .filter(|reader| reader.reads.contains(&output_read))
                .peekable();
            readers.peek().is_some() && !(stores(stage) && readers.all(stores))
        };
        for output in stage.writes.keys().filter(passes) {
            problems.push(format!(
                "stage.{}: output `{output}` would pass through this machine on its way to its readers, which {rule} \
                 forbids: {}; run the stages where there is one (aws, gcp, azure), give `--staging file:///DIR` for a \
                 folder that all machines share, or declare `[home]` in the policy and plan again",
                stage.name,
                reason_for(stage)
            ));
        }
    }
}

/// Returns the provider that a plan is only rehearsed with: this machine or the simulated cloud, in
/// place of the places of the plan, or with empty files in place of its data.
pub fn rehearsal(plan: &Plan, provider: Option<&str>, stand_ins: bool) -> Option<&'static str> {
    let provider = REHEARSING
        .into_iter()
        .find(|name| provider == Some(*name))?;
    // A plan of the rest is of the same kind as what was done before it.
    let stages_done = plan
        .from_state
        .iter()
        .flat_map(|from| from.done.values())
        .map(|done| &done.place);
    let mut places = plan
        .stages
        .iter()
        .map(|stage| &stage.place)
        .chain(stages_done);
    (stand_ins || places.any(|place| place.cloud != provider)).then_some(provider)
}

/// Nothing of a rehearsal may count as done in earnest, nor the other way round.
fn check_rehearsal(plan: &Plan, settings: &Settings, state: Option<&State>) -> Result<(), Error> {
    let rehearsed_now = rehearsal(plan, settings.provider.as_deref(), settings.stand_ins);
    let tried_providers = state
        .into_iter()
        .flat_map(|state| &state.stages)
        .filter(|(_, record)| record.attempt > 0);
    for (name, record) in tried_providers {
        let clash = match rehearsed_now {
            None => record.rehearsed_with().is_some(),
            Some(provider) => record.provider != provider,
        };
        if clash {
            let (stage, provider) = (name.clone(), record.provider.clone());
            return Err(Error::Rehearsal {
                stage,
                provider,
                now: rehearsed_now.map(str::to_owned),
            });
        }
    }
    Ok(())
}

/// Whether a gang is one process at that provider, which is told how many it stands for.
fn runs_as_one_process(name: &str, stage: &PlannedStage) -> bool {
    name == provider::LOCAL || (name == provider::SSH && stage.place.cloud != provider::SSH)
}

/// Whether the state is still the one that the plan goes on from; or one that this plan was applied
/// to since.
fn check_from_state(
    plan: &Plan,
    from_state: &FromState,
    state: Option<&State>,
) -> Result<(), Error> {
    let made_from = format!(
        "the plan goes on from serial {} of state {}",
        from_state.serial, from_state.lineage
    );
    let Some(state) = state else {
        return Err(Error::Stale(format!(
            "{made_from}, and there is no state here"
        )));
    };
    if state.lineage != from_state.lineage {
        return Err(Error::Stale(format!(
            "{made_from}; here is state {}, serial {}",
            state.lineage, state.serial
        )));
    }
    let digest = plan::file::digest(plan)
        .map_err(|error| Error::Bug(format!("cannot write the plan: {error}")))?;
    if state.plan.as_ref() == Some(&digest) {
        return Ok(());
    }
    if state.serial != from_state.serial {
        let by = match &state.plan {
            Some(plan) => format!(", by plan {plan}"),
            None => String::new(),
        };
        return Err(Error::Stale(format!(
            "{made_from}, which is at serial {} since{by}",
            state.serial
        )));
    }
    let same_outputs = |(name, done): (&String, &DoneStage)| {
        let same_size = |(output, bytes): (&String, &Bytes)| {
            state
                .artifacts
                .get(&format!("{name}.{output}"))
                .is_some_and(|artifact| artifact.bytes == bytes.0)
        };
        let record = state
            .stages
            .get(name)
            .filter(|record| record.status == Status::Done && record.place == done.place);
        record.is_some() && done.outputs.iter().all(same_size)
    };
    match from_state.done.iter().find(|done| !same_outputs(*done)) {
        Some((name, _)) => Err(Error::Stale(format!(
            "{made_from}; stage.{name} is not done there as it was"
        ))),
        None => Ok(()),
    }
}

fn find_providers(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let names = settings.access.names();
    let is_known = |name: &str| names.contains(&name);
    if let Some(name) = settings.provider.as_deref().filter(|name| !is_known(name)) {
        problems.push(provider::unknown(name));
    }
    let own_provider = |cloud: &str| {
        provider::of_cloud(cloud, &settings.access)
            .unwrap_or(cloud)
            .to_owned()
    };
    let chosen_provider = |stage: &PlannedStage| {
        settings
            .provider
            .clone()
            .unwrap_or_else(|| own_provider(&stage.place.cloud))
    };
    let provider_of_stage: BTreeMap<String, String> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.clone(), chosen_provider(stage)))
        .collect();
    let unknown_names: BTreeSet<&str> = provider_of_stage
        .values()
        .map(String::as_str)
        .filter(|name| !is_known(name))
        .collect();
    let wanted_names: BTreeSet<&str> = provider_of_stage
        .values()
        .map(String::as_str)
        .filter(|name| is_known(name))
        .collect();
    for name in wanted_names {
        if let Err(error) = provider::open(name, &settings.access) {
            problems.push(error.to_string());
        }
    }
    if settings.provider.is_none() && !unknown_names.is_empty() {
        let clouds: Vec<&str> = unknown_names.into_iter().collect();
        problems.push(format!(
            "this sky has no provider for {}: `--provider local` rehearses the plan on this machine",
            clouds.join(", ")
        ));
    }
    provider_of_stage
}
