//! In which order stages are begun, and which of them are run again.

use super::outcome::StageOutcome;
use super::plan_shape::{predecessors, stages_ahead, stages_before};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// How often what one stage has made is made again in one apply.
pub(super) const REMAKES: u32 = 2;

/// The stages of a plan that were not begun, by their number in the plan.
#[derive(Default)]
pub(super) struct Waiting {
    /// How many stages each still waits for.
    pub(super) waits: BTreeMap<usize, usize>,
    /// Those that wait for none.
    pub(super) ready: BTreeSet<usize>,
    /// By name: who waits for it.
    pub(super) followers: BTreeMap<String, Vec<usize>>,
    /// The stages that each waits for so that limits on what runs at once hold, as far as they have
    /// not ended.
    ahead: BTreeMap<usize, BTreeSet<String>>,
    /// Stages whose machines an earlier `sky` has left at work: nobody renews their leases until
    /// they begin.
    pub(super) live: BTreeSet<usize>,
    /// Those, and all that has to be looked at before them.
    pub(super) urgent: BTreeSet<usize>,
    /// The urgent ones that are done by the state, so that they are only looked at.
    pub(super) urgent_and_done: BTreeSet<usize>,
}

impl Waiting {
    /// `live` and `done`: the names of stages that are at work, or done, by the state.
    pub(super) fn new(plan: &Plan, live: &BTreeSet<String>, done: &BTreeSet<String>) -> Self {
        let known_names: BTreeSet<&str> = plan
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        let mut waiting_stages = Self::default();
        for (index, stage) in plan.stages.iter().enumerate() {
            // What is done by the state that the plan goes on from is not waited for.
            let names_before = predecessors(stage)
                .into_iter()
                .filter(|name| known_names.contains(name));
            let mut count = 0;
            for name in names_before {
                waiting_stages
                    .followers
                    .entry(name.to_owned())
                    .or_default()
                    .push(index);
                count += 1;
            }
            waiting_stages.waits.insert(index, count);
            if count == 0 {
                waiting_stages.ready.insert(index);
            }
            let ahead = stages_ahead(stage)
                .into_iter()
                .filter(|name| known_names.contains(name));
            waiting_stages
                .ahead
                .insert(index, ahead.map(str::to_owned).collect());
        }
        let index_of: BTreeMap<&str, usize> = plan
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .zip(0..)
            .collect();
        waiting_stages.live = live
            .iter()
            .filter_map(|name| index_of.get(name.as_str()).copied())
            .collect();
        let mut found_stages: Vec<usize> = waiting_stages.live.iter().copied().collect();
        while let Some(index) = found_stages.pop() {
            if waiting_stages.urgent.insert(index) {
                found_stages.extend(
                    predecessors(&plan.stages[index])
                        .iter()
                        .filter_map(|name| index_of.get(name).copied()),
                );
            }
        }
        let is_done = |index: &usize| done.contains(&plan.stages[*index].name);
        waiting_stages.urgent_and_done = waiting_stages
            .urgent
            .iter()
            .copied()
            .filter(is_done)
            .collect();
        waiting_stages
    }

    /// The first that may begin, taken out. What is at work already goes on at once, also if there
    /// is no slot left, and so does what comes before it and is done; what else comes before it is
    /// next. Nothing else begins in its place while that is `held`. Only what is at work already
    /// does not wait for limits on what runs at once.
    pub(super) fn take_next(&mut self, slot: bool, is_held_back: bool) -> Option<usize> {
        let may_begin = |index: &usize| {
            self.live.contains(index) || self.ahead.get(index).is_none_or(BTreeSet::is_empty)
        };
        let first_ready = |of: &BTreeSet<usize>| {
            let mut ready = self.ready.intersection(of).copied();
            ready.find(may_begin)
        };
        let at_once = first_ready(&self.live).or_else(|| first_ready(&self.urgent_and_done));
        let index = match at_once {
            Some(index) => index,
            None if !slot => return None,
            None => match first_ready(&self.urgent) {
                Some(index) => index,
                None if is_held_back && self.has_urgent() => return None,
                None => self.ready.iter().copied().find(may_begin)?,
            },
        };
        self.ready.remove(&index);
        self.waits.remove(&index);
        Some(index)
    }

    /// Whether a stage that is at work already still waits for others.
    pub(super) fn has_urgent(&self) -> bool {
        self.urgent
            .iter()
            .any(|index| self.waits.contains_key(index))
    }

    pub(super) fn note_done(&mut self, name: &str) {
        for index in self.followers.get(name).into_iter().flatten() {
            let Some(count) = self.waits.get_mut(index) else {
                continue;
            };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.ready.insert(*index);
            }
        }
    }

    /// Lets stages begin that wait for one which has ended, well or not, because of a limit.
    pub(super) fn note_ended(&mut self, name: &str) {
        for ahead in self.ahead.values_mut() {
            ahead.remove(name);
        }
    }

    /// Puts stages back whose outputs are needed again, the one that reads them, and all that
    /// depend on either and are not at work: these are looked at anew, and run again if what they
    /// read is not the same any more.
    pub(super) fn put_back(
        &mut self,
        plan: &Plan,
        reader: usize,
        producers: &BTreeSet<String>,
        outcomes: &mut BTreeMap<String, StageOutcome>,
        running: &BTreeSet<&str>,
    ) {
        let is_done = |outcome: Option<&StageOutcome>| {
            matches!(outcome, Some(StageOutcome::Done | StageOutcome::Unchanged))
        };
        let mut stages_again: BTreeSet<usize> = BTreeSet::from([reader]);
        let mut makers_found: Vec<usize> = (0..plan.stages.len())
            .filter(|index| producers.contains(&plan.stages[*index].name))
            .collect();
        while let Some(index) = makers_found.pop() {
            let name = plan.stages[index].name.as_str();
            let is_open =
                is_done(outcomes.get(name)) || self.waits.contains_key(&index) || index == reader;
            if is_open && !running.contains(name) && (stages_again.insert(index) || index == reader)
            {
                makers_found.extend(
                    self.followers
                        .get(name)
                        .into_iter()
                        .flatten()
                        .filter(|next| !stages_again.contains(next)),
                );
            }
        }
        for index in &stages_again {
            outcomes.remove(&plan.stages[*index].name);
            // It is not only looked at.
            self.urgent_and_done.remove(index);
        }
        let known_names: BTreeSet<&str> = plan
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        self.wait_for_limits_again(plan, &stages_again, running);
        for index in stages_again {
            let names_before = predecessors(&plan.stages[index])
                .into_iter()
                .filter(|name| known_names.contains(name));
            let count = names_before
                .filter(|name| !is_done(outcomes.get(*name)))
                .count();
            self.waits.insert(index, count);
            match count {
                0 => self.ready.insert(index),
                _ => self.ready.remove(&index),
            };
        }
    }

    /// Has stages that are run again, and those that were to begin after them, wait for limits on
    /// what runs at once: for what they waited for at first, and for what runs now in their stead.
    fn wait_for_limits_again(
        &mut self,
        plan: &Plan,
        stages_again: &BTreeSet<usize>,
        running: &BTreeSet<&str>,
    ) {
        let again_names: BTreeSet<&str> = stages_again
            .iter()
            .map(|index| plan.stages[*index].name.as_str())
            .collect();
        let mut later_stages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for stage in &plan.stages {
            for before in stages_before(stage) {
                later_stages.entry(before).or_default().push(&stage.name);
            }
        }
        for (index, stage) in plan.stages.iter().enumerate() {
            if !stages_again.contains(&index) && !self.waits.contains_key(&index) {
                continue;
            }
            let ahead = self.ahead.entry(index).or_default();
            let names = stages_ahead(stage);
            // What ran and is to run again is waited for only where the plan says so.
            ahead.retain(|name| {
                !again_names.contains(name.as_str()) || names.contains(name.as_str())
            });
            ahead.extend(
                names
                    .intersection(&again_names)
                    .map(|name| (*name).to_owned()),
            );
        }
        for index in stages_again {
            let ahead = self.ahead.entry(*index).or_default();
            let mut found_names: BTreeSet<&str> = BTreeSet::new();
            let mut open_names = vec![plan.stages[*index].name.as_str()];
            while let Some(name) = open_names.pop() {
                for later in later_stages.get(name).into_iter().flatten() {
                    if found_names.insert(later) {
                        open_names.push(later);
                    }
                }
            }
            ahead.extend(
                found_names
                    .intersection(running)
                    .map(|name| (*name).to_owned()),
            );
        }
    }

    /// Takes out all that wait for a failed stage, directly or not, in the order of the plan.
    pub(super) fn take_out_followers(&mut self, failed: &str, plan: &Plan) -> BTreeSet<usize> {
        let mut stages_gone = BTreeSet::new();
        let mut names = vec![failed];
        while let Some(name) = names.pop() {
            for index in self.followers.get(name).into_iter().flatten() {
                if self.waits.remove(index).is_some() {
                    self.ready.remove(index);
                    stages_gone.insert(*index);
                    names.push(&plan.stages[*index].name);
                }
            }
        }
        stages_gone
    }
}

/// Stages that were run again since what they had made was lost.
#[derive(Default)]
pub(super) struct Remakes {
    times: BTreeMap<String, u32>,
    /// Those that were run in this apply.
    ran: BTreeSet<String>,
}

impl Remakes {
    /// How a stage came out of this apply as a whole: it may have been looked at more than once.
    pub(super) fn outcome_of_apply(&mut self, name: &str, outcome: StageOutcome) -> StageOutcome {
        match outcome {
            StageOutcome::Unchanged if self.ran.contains(name) => StageOutcome::Done,
            StageOutcome::Done => {
                self.ran.insert(name.to_owned());
                StageOutcome::Done
            }
            other => other,
        }
    }

    /// Counts; why one of the stages cannot be run again.
    pub(super) fn refuse_remake(
        &mut self,
        producers: &BTreeSet<String>,
        plan: &Plan,
    ) -> Option<String> {
        for name in producers {
            if plan.stages.iter().all(|stage| stage.name != *name) {
                return Some(format!(
                    "what stage.{name} made is damaged or lost, and the plan does not have that stage: plan the whole job \
                     again, without --from-state"
                ));
            }
            let times = self.times.entry(name.clone()).or_default();
            *times += 1;
            if *times > REMAKES {
                return Some(format!(
                    "what stage.{name} made was damaged {REMAKES} times in this apply: is the disk failing?"
                ));
            }
        }
        None
    }
}
