//! What must hold, by the world's own books.

use super::case::Trouble;
use super::inside::output;
use super::machine::{Machine, Why};
use super::sky::User;
use super::world::{Watched, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// So long before the end of a lease somebody has to be there to renew it.
const RENEWAL: u64 = 10 * 60_000;

/// The stages of which machines are there, but for those on users' own machines.
pub(super) fn living(world: &World) -> Vec<String> {
    let now = world.now();
    let mut machines = world.machines();
    machines.iter_mut().for_each(|machine| machine.settle(now));
    let ours = machines
        .iter()
        .filter(|machine| machine.kept_until.is_none() && machine.provider != "local");
    ours.filter(|machine| machine.lives())
        .map(|machine| machine.token.stage.clone())
        .collect()
}

/// Never over budget by the clouds' own books.
pub(super) fn budget(world: &World) {
    let Some(budget) = world.case.budget else {
        return;
    };
    let now = world.now();
    let mut machines = world.machines();
    machines.iter_mut().for_each(|machine| machine.settle(now));
    let ours = machines
        .iter()
        .filter(|machine| machine.kept_until.is_none());
    let bill: i64 = ours.map(|machine| machine.bill(now)).sum();
    drop(machines);
    if bill > budget.0 {
        world.wrong(format!("over budget: {bill} of {} micro-USD", budget.0));
    }
}

/// While `sky` is there, and nothing keeps it from its machines or its money, no machine is lost
/// for want of a renewal: not while it comes up, nor while inputs, the command or outputs take
/// their time.
pub(super) fn leases(world: &World) {
    const IN_THE_WAY: [Trouble; 10] = [
        Trouble::SluggishCloud,
        Trouble::SlowStore,
        Trouble::LostCalls,
        Trouble::Throttling,
        Trouble::SlowCloud,
        Trouble::LockedOut,
        Trouble::DeletionsFail,
        Trouble::WrongClocks,
        Trouble::Preemptions,
        Trouble::StoreFails,
    ];
    let case = &world.case;
    let users: BTreeSet<usize> = case.runs.iter().map(|run| run.machine).collect();
    if case.budget.is_some()
        || users.len() > 1
        || IN_THE_WAY.iter().any(|trouble| case.has(*trouble))
    {
        return;
    }
    let machines = world.machines().clone();
    for machine in machines
        .iter()
        .filter(|machine| machine.kept_until.is_none() && !machine.given_up && !machine.orphan)
    {
        let Some((at, Why::LeaseOver)) = machine.ended else {
            continue;
        };
        let from = at.saturating_sub(RENEWAL);
        let seen = world
            .watched
            .lock()
            .unwrap()
            .iter()
            .any(|watched| watched.from <= from && at <= watched.to);
        if seen {
            let (stage, attempt) = (&machine.token.stage, machine.token.attempt);
            world.wrong(format!(
                "the lease of stage.{stage} #{attempt} ran out while sky was there, and nothing was in its way"
            ));
        }
    }
}

/// No stage is run to its end again when the outputs of the first time were there or could be had.
pub(super) fn effects(world: &World) {
    let now = world.now();
    let mut by_stage: BTreeMap<String, Vec<Machine>> = BTreeMap::new();
    for machine in world
        .machines()
        .iter_mut()
        .filter(|machine| machine.kept_until.is_none())
    {
        machine.settle(now);
        by_stage
            .entry(machine.token.stage.clone())
            .or_default()
            .push(machine.clone());
    }
    let oversized = |name: &String| world.case.stage(name).is_some_and(|stage| stage.oversized);
    for (stage, machines) in by_stage.into_iter().filter(|(name, _)| !oversized(name)) {
        for (number, first) in machines.iter().enumerate() {
            let Some(done) = first.effect(now) else {
                continue;
            };
            if first
                .command
                .as_ref()
                .is_some_and(|command| command.given_up)
                && first.collected_by.is_empty()
            {
                continue;
            }
            let later = machines[number + 1..]
                .iter()
                .find_map(|machine| Some((machine, machine.command.as_ref()?.started)));
            let Some((second, again)) = later else {
                continue;
            };
            if let Some(why) = wrongly(world, first, second) {
                world.wrong(format!(
                    "stage.{stage} was done at {done} and began again at {again}: {why}"
                ));
            }
        }
    }
}

impl World {
    /// How often the command of a stage has failed by itself so far.
    pub(super) fn failures(&self, stage: &str) -> u32 {
        let now = self.now();
        let machines = self.machines();
        let failed = machines.iter().filter(|machine| {
            let command = machine.command.as_ref();
            machine.token.stage == stage
                && machine.exited(now).is_some_and(|(_, code)| code != 0)
                && command.is_some_and(|command| !command.stopped)
        });
        u32::try_from(failed.count()).unwrap()
    }
}

/// No command is run again after a failure more often than its stage allows, in each apply.
pub(super) fn retries(world: &World) {
    let applies = world.applies.load(Ordering::Relaxed);
    for stage in &world.case.stages {
        let codes = [stage.code, stage.fails_with];
        let allowed = |retries: &sky::model::Retries| {
            let any = codes
                .iter()
                .any(|code| *code != 0 && retries.allow(*code, 1));
            if any { retries.times } else { 0 }
        };
        let most = (1 + stage.retries.as_ref().map_or(0, allowed)) * applies;
        let failures = world.failures(&stage.name);
        if failures > most {
            world.wrong(format!(
                "stage.{} failed {failures} times in {applies} applies, and {most} are allowed",
                stage.name
            ));
        }
    }
}

/// What a sweep has found is gone, unless it came into use before it was deleted.
pub(super) fn swept(world: &World, bucket: &str) {
    let now = world.now();
    let overdue = |machine: &&mut Machine| machine.kept_from.is_some_and(|from| from > now);
    let left = world
        .machines()
        .iter_mut()
        .filter(overdue)
        .any(|machine| machine.lives());
    if left {
        world.wrong("a sweep has left a machine whose lease is long over".to_owned());
    }
    let written = world.buckets().get(bucket).map(BTreeMap::len);
    match (written, world.stray_written.load(Ordering::Relaxed)) {
        (Some(1), _) => world.wrong("a sweep has left a bucket that nobody uses".to_owned()),
        (None, true) => {
            world.wrong("a bucket was deleted to which somebody had written".to_owned())
        }
        _ => {}
    }
}

/// Why there was no need for another attempt.
fn wrongly(world: &World, first: &Machine, second: &Machine) -> Option<&'static str> {
    if !first.collected_by.is_empty() && !first.collected_by.contains(&second.made_by) {
        // The outputs are on the user's other machine.
        return None;
    }
    let (done, again) = (first.effect(world.now())?, second.created);
    let between = |watched: &&Watched| watched.to >= first.created && watched.from <= again;
    let users: BTreeSet<usize> = world
        .watched
        .lock()
        .unwrap()
        .iter()
        .filter(between)
        .map(|seen| seen.machine)
        .collect();
    if users.len() > 1 {
        // The outputs come home to one machine. An apply on the other one, which lacks them, begins
        // the stage anew, or waits until what the stage reads is made anew there, or removes what
        // it needs no more.
        return None;
    }
    let signalled = world
        .signals
        .lock()
        .unwrap()
        .iter()
        .any(|at| first.created <= *at && *at <= done);
    if signalled && world.case.has(Trouble::SlowStore) {
        // It is written down that the command is to be stopped, and the process ended before the
        // store had answered. Whether the command ended of itself after that, or because it was
        // asked to, nobody can know.
        return None;
    }
    if first.locked_from.is_some() {
        // Nobody can get at what it has written.
        return None;
    }
    if first.provider == "local" && first.made_by != second.made_by {
        return None;
    }
    match first.ended {
        Some((_, Why::Preempted))
            if first.collected_by.is_empty() || world.lost_lock.load(Ordering::Relaxed) =>
        {
            None
        }
        // Who has not the money for a longer lease loses the machine.
        Some((_, Why::LeaseOver))
            if world.case.budget.is_some() && first.collected_by.is_empty() =>
        {
            None
        }
        Some((at, Why::LeaseOver)) => {
            let watched = world.watched.lock().unwrap();
            let from = at.saturating_sub(RENEWAL);
            let seen = watched
                .iter()
                .any(|watched| watched.from <= from && at <= watched.to);
            seen.then_some("its lease ran out while sky was there")
        }
        Some((_, Why::Released)) => Some("its machine was given back"),
        Some((_, Why::Preempted)) | None => {
            Some("its outputs had been collected, or its machine is there")
        }
    }
}

/// All artifacts are what their stages write, as far as they are here.
pub(super) fn outputs(user: &User, machine: usize) {
    let world = &user.world;
    let mut right: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for stage in &world.case.stages {
        let planned = user
            .plan
            .stages
            .iter()
            .find(|planned| planned.name == stage.name)
            .unwrap();
        let names = sky::execution::state::standing::input_names(&planned.reads);
        let inputs = names
            .iter()
            .map(|(read, name)| (name.clone(), right[&read.to_string()].clone()))
            .collect();
        for number in 0..stage.outputs {
            let name = format!("o{number}");
            right.insert(
                format!("{}.{name}", stage.name),
                output(stage, &name, &inputs),
            );
        }
    }
    let root = user.store(machine).folder.artifacts();
    let mut here = BTreeSet::new();
    for (name, content) in &right {
        let (stage, output) = name.split_once('.').unwrap();
        if let Ok(found) = std::fs::read(root.join(stage).join(output)) {
            here.insert(name);
            if found != *content {
                world.wrong(format!("{name} is not what its stage writes"));
            }
        }
    }
    let read: BTreeSet<&String> = world
        .case
        .stages
        .iter()
        .flat_map(|stage| &stage.reads)
        .collect();
    for name in right
        .keys()
        .filter(|name| !here.contains(name) && !read.contains(name))
    {
        world.wrong(format!("{name} is not where people look for it"));
    }
}
