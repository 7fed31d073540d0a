//! From an instance to its one best placement and the proof that it is.
//!
//! The order of placements is lexicographic: the objective, then the other figure (time after
//! cost, cost after time), then the first choices in canonical order. Each level is a pass with
//! the levels above as limits, on the choices that these limits leave ([`super::reduce`]); so
//! ties, which are the rule where regions share a price list, do not depend on a solver's mood.

use super::close::{close, plain};
use super::deadline::by_deadline;
use super::reduce::{Limits, least_cost, least_time, reduce};
use super::search::{improve, search};
use super::solver::{Answer, Effort, Solver, SolverError};
use crate::model::Objective;
use crate::problem::{Artifact, Evaluation, Goal, Instance, Lowered, Origin, Shape, Target, evaluate, lower};
use std::collections::BTreeSet;

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Solved(Box<Solved>),
    Infeasible(Shortfall),
}

/// A placement and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// By stage: the position of its choice in the instance.
    pub picks: Vec<usize>,
    pub evaluation: Evaluation,
    pub proof: Proof,
}

/// How good the placement is proven to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The objective cannot be lower.
    pub optimal: bool,
    /// No placement within the limits costs less; when time comes first: none as fast.
    pub cost_bound: i64,
    /// When time comes first: no placement within the limits is faster.
    pub time_bound: Option<i64>,
}

/// How far the limits are from what can be had. `(cost, makespan)` pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Fastest within the budget, were there no deadline.
    pub fastest: Option<(i64, i64)>,
    /// Cheapest by the deadline, were there no budget.
    pub cheapest: Option<(i64, i64)>,
    /// Cheapest with neither limit; none: it is not the limits that clash.
    pub unlimited: Option<(i64, i64)>,
    /// Artifacts that cannot get from any site of their origin to any of some reader.
    pub stuck: Vec<String>,
}

/// Ties in cost between more choices than this are broken by single-stage moves, which is as
/// deterministic, instead of by programs: the cost is proven, the makespan at that cost is not.
const TIED_CHOICES: usize = 300;
/// Above so many choices no program is built: its first linear relaxation alone would outlast
/// every patience, and no count of nodes limits that. The placement is then the search's, with
/// the bound of [`super::dual`] or of the longest path, and the gap to it.
const PROGRAM_CHOICES: usize = 3_000;
/// The same for programs with time, in pairs of a choice and a site that data may come from.
const PROGRAM_WAITS: usize = 40_000;
/// Ranks of a group of stages are one number below this, well inside a double's integers.
const RANKS: i64 = 1_000_000;

/// The best placement of `instance`, or why there is none.
pub fn solve(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<Outcome, SolverError> {
    let shape = instance.shape();
    let run = Run { shape: &shape, solver, effort };
    let Some(Ranked { first, second, limits }) = run.ranked(instance)? else {
        return Ok(Outcome::Infeasible(run.shortfall(instance)?));
    };
    let tags = if first.proven { run.first_in_order(instance, limits, &second.tags)? } else { second.tags.clone() };
    let picks = positions(instance, &tags).ok_or_else(lost)?;
    let evaluation = evaluate(instance, &shape, &picks).ok_or_else(lost)?;
    let proof = match instance.minimize {
        Objective::Cost => Proof { optimal: first.proven, cost_bound: first.bound, time_bound: None },
        Objective::Time => {
            Proof { optimal: first.proven && second.proven, cost_bound: second.bound, time_bound: Some(first.bound) }
        }
    };
    Ok(Outcome::Solved(Box::new(Solved { picks, evaluation, proof })))
}

/// Cost and makespan of the best placement, without telling equals apart. `None`: there is none.
pub fn figures(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<Option<(i64, i64)>, SolverError> {
    let shape = instance.shape();
    let ranked = Run { shape: &shape, solver, effort }.ranked(instance)?;
    Ok(ranked.map(|Ranked { first, second, .. }| match instance.minimize {
        Objective::Cost => (first.value, second.value),
        Objective::Time => (second.value, first.value),
    }))
}

fn lost() -> SolverError {
    SolverError("a placement that was found does not fit its own instance".to_owned())
}

impl Limits {
    fn with(self, objective: Objective, value: i64) -> Self {
        match objective {
            Objective::Cost => Self { cost: Some(value), least: false, ..self },
            Objective::Time => Self { time: Some(value), ..self },
        }
    }

    fn hold(self, evaluation: &Evaluation) -> bool {
        self.cost.is_none_or(|limit| evaluation.cost() <= limit)
            && self.time.is_none_or(|limit| evaluation.makespan <= limit)
    }
}

/// A placement by the tags of its choices, which outlive reduction, with the value of what was
/// minimised.
#[derive(Clone)]
struct Found {
    tags: Vec<usize>,
    value: i64,
    bound: i64,
    proven: bool,
}

struct Run<'a> {
    shape: &'a Shape,
    solver: &'a dyn Solver,
    effort: &'a Effort,
}

/// The optimum of the objective, that of the other figure among its optima, and both as limits.
struct Ranked {
    first: Found,
    second: Found,
    limits: Limits,
}

impl Run<'_> {
    /// The passes over both figures. `None`: no placement keeps the limits.
    fn ranked(&self, instance: &Instance) -> Result<Option<Ranked>, SolverError> {
        let (goal, other) = match instance.minimize {
            Objective::Cost => (Objective::Cost, Objective::Time),
            Objective::Time => (Objective::Time, Objective::Cost),
        };
        let limits = Limits { cost: instance.budget, time: instance.deadline, least: false };
        let Some(first) = self.best(instance, goal, limits, None)? else { return Ok(None) };
        let least = goal == Objective::Cost && limits.time.is_none() && first.proven && plain(instance);
        let limits = Limits { least, ..limits.with(goal, first.value) };
        let left = reduce(instance, self.shape, limits).ok_or_else(lost)?;
        let second = if other == Objective::Time && left.size() > TIED_CHOICES {
            self.improved(&left, other, limits, &first.tags)
        } else {
            self.best(&left, other, limits, Some(&first.tags))?
        };
        let second = second.ok_or_else(lost)?;
        let limits = limits.with(other, second.value);
        Ok(Some(Ranked { first, second, limits }))
    }

    /// Minimises one figure within limits. `known` keeps the limits already.
    fn best(
        &self,
        instance: &Instance,
        goal: Objective,
        limits: Limits,
        known: Option<&[usize]>,
    ) -> Result<Option<Found>, SolverError> {
        let closed = match known {
            None if goal == Objective::Cost && plain(instance) => close(instance, self.shape),
            _ => None,
        };
        // No bound is lower than any figure.
        let floor = closed.as_ref().map_or(i64::MIN, |closed| closed.bound);
        let mut start = known.map(<[usize]>::to_vec);
        if let Some(closed) = closed {
            let tags = tags(instance, &closed.picks);
            match self.value(instance, goal, limits, &tags) {
                Some(value) if value == floor => {
                    return Ok(Some(Found { tags, value, bound: floor, proven: true }));
                }
                Some(_) => start = Some(tags),
                None if limits.cost.is_some_and(|limit| floor > limit) => return Ok(None),
                None => {}
            }
        }
        let found = self.best_left(instance, goal, limits, start)?;
        Ok(found.map(|found| {
            let bound = found.bound.max(floor).min(found.value);
            Found { bound, proven: found.proven || bound == found.value, ..found }
        }))
    }

    /// As [`Self::best`], on what the limits leave.
    fn best_left(
        &self,
        instance: &Instance,
        goal: Objective,
        limits: Limits,
        start: Option<Vec<usize>>,
    ) -> Result<Option<Found>, SolverError> {
        let Some(instance) = reduce(instance, self.shape, limits) else { return Ok(None) };
        let mut instance = Instance { minimize: goal, budget: limits.cost, deadline: limits.time, ..instance };
        let mut start = start;
        let mut floor = self.floor(&instance, goal);
        if let (Objective::Cost, None, true, Some(deadline)) = (goal, &start, plain(&instance), limits.time)
            && let Some(closed) = by_deadline(&instance, self.shape, deadline, None, self.solver, self.effort)
        {
            floor = floor.max(closed.bound);
            let tags = tags(&instance, &closed.picks);
            if let Some(value) = self.value(&instance, goal, limits, &tags) {
                if value == floor {
                    return Ok(Some(Found { tags, value, bound: floor, proven: true }));
                }
                // What is dropped costs more than the value that the bounds reckoned with.
                let keep = closed.keep.filter(|_| value <= closed.value);
                for (stage, keep) in instance.stages.iter_mut().zip(keep.into_iter().flatten()) {
                    let mut keep = keep.into_iter();
                    stage.choices.retain(|_| keep.next().unwrap_or(true));
                }
                start = Some(tags);
            }
        }
        let start = start.or_else(|| search(&instance, self.shape).map(|(picks, _, _)| tags(&instance, &picks)));
        let Some(start) = start else { return self.program(&instance, goal, limits, None) };
        let found = self.best_from(&instance, goal, limits, start, floor)?;
        let bound = found.bound.max(floor).min(found.value);
        Ok(Some(Found { bound, proven: found.proven || bound == found.value, ..found }))
    }

    /// As [`Self::best`], from a placement within the limits. No figure is below `floor`.
    fn best_from(
        &self,
        instance: &Instance,
        goal: Objective,
        limits: Limits,
        start: Vec<usize>,
        floor: i64,
    ) -> Result<Found, SolverError> {
        let value = self.value(instance, goal, limits, &start).ok_or_else(lost)?;
        let instance = reduce(instance, self.shape, limits.with(goal, value)).ok_or_else(lost)?;
        let bound = floor.max(self.floor(&instance, goal)).min(value);
        if bound == value || instance.stages.iter().all(|stage| stage.choices.len() == 1) {
            // All other choices are proven to exceed a limit or to be worse.
            return Ok(Found { tags: start, value, bound: value, proven: true });
        }
        if instance.size() > PROGRAM_CHOICES || (limits.time.is_some() && self.waits(&instance) > PROGRAM_WAITS) {
            return Ok(Found { tags: start, value, bound, proven: false });
        }
        let found = self.program(&instance, goal, limits, Some(&start))?;
        Ok(match found {
            Some(found) if found.value <= value => Found { bound: found.bound.min(found.value), ..found },
            Some(found) if !found.proven => Found { tags: start, value, bound: found.bound.min(value), proven: false },
            // A solver that calls the program infeasible, or proves an optimum that the start
            // beats, contradicts a placement that is there: its word is no proof.
            _ => Found { tags: start, value, bound, proven: false },
        })
    }

    /// Pairs of sites over all edges: the size of what a program says about time.
    fn waits(&self, instance: &Instance) -> usize {
        let sites = |stage: usize| {
            instance.stages[stage].choices.iter().map(|choice| choice.site).collect::<BTreeSet<usize>>().len()
        };
        let sites: Vec<usize> = (0..instance.stages.len()).map(sites).collect();
        let inputs = self
            .shape
            .inputs
            .iter()
            .enumerate()
            .flat_map(|(stage, inputs)| inputs.iter().map(move |(origin, _)| (stage, origin)));
        inputs
            .map(|(stage, origin)| match origin {
                Origin::Stage(before) => sites[*before] * instance.stages[stage].choices.len(),
                Origin::Site(_) => instance.stages[stage].choices.len(),
            })
            .sum()
    }

    /// A bound without a solver.
    fn floor(&self, instance: &Instance, goal: Objective) -> i64 {
        match goal {
            Objective::Cost => least_cost(instance, self.shape),
            Objective::Time => least_time(instance, self.shape),
        }
    }

    /// A placement within limits, made better by single-stage moves, without a proof.
    fn improved(&self, instance: &Instance, goal: Objective, limits: Limits, known: &[usize]) -> Option<Found> {
        let instance = Instance { minimize: goal, budget: limits.cost, deadline: limits.time, ..instance.clone() };
        let picks = improve(&instance, self.shape, positions(&instance, known)?);
        let tags = tags(&instance, &picks);
        let value = self.value(&instance, goal, limits, &tags)?;
        Some(Found { tags, value, bound: self.floor(&instance, goal), proven: false })
    }

    /// The program's optimum. A cost without the rows of time is tried first: when its optimum
    /// is in time anyway, time costs nothing.
    fn program(
        &self,
        instance: &Instance,
        goal: Objective,
        limits: Limits,
        start: Option<&[usize]>,
    ) -> Result<Option<Found>, SolverError> {
        let objective = if goal == Objective::Cost { Goal::Cost } else { Goal::Makespan };
        if goal == Objective::Cost && limits.time.is_some() {
            let untimed = Limits { time: None, ..limits };
            match self.minimize(instance, goal, &Goal::Cost, untimed, start)? {
                None => return Ok(None),
                Some(found) if self.value(instance, goal, limits, &found.tags).is_some() => return Ok(Some(found)),
                Some(_) => {}
            }
        }
        self.minimize(instance, goal, &objective, limits, start)
    }

    /// One program, one solve.
    fn minimize(
        &self,
        instance: &Instance,
        measured: Objective,
        goal: &Goal<'_>,
        limits: Limits,
        start: Option<&[usize]>,
    ) -> Result<Option<Found>, SolverError> {
        let target = Target { objective: goal.clone(), cost_limit: limits.cost, time_limit: limits.time };
        let lowered = lower(instance, &target);
        let begin =
            start.and_then(|tags| positions(instance, tags)).map_or_else(Vec::new, |picks| point(&lowered, &picks));
        let (values, bound, proven) = match self.solver.minimize(&lowered.program, &begin, self.effort)? {
            Answer::Infeasible => return Ok(None),
            Answer::Unknown => return self.unimproved(instance, measured, limits, start),
            Answer::Found { values, bound, proven } => (values, bound, proven),
        };
        let tags = tags(instance, &picked(&lowered, &values));
        // Within its tolerances a solver may miss a limit by a hair; what counts is exact.
        let Some(value) = self.value(instance, measured, limits, &tags) else {
            return self.unimproved(instance, measured, limits, start);
        };
        let bound = if proven { value } else { whole_bound(bound).min(value) };
        Ok(Some(Found { tags, value, bound, proven }))
    }

    /// The start, when the solver found nothing better.
    fn unimproved(
        &self,
        instance: &Instance,
        goal: Objective,
        limits: Limits,
        start: Option<&[usize]>,
    ) -> Result<Option<Found>, SolverError> {
        let known = start.and_then(|tags| Some((tags.to_vec(), self.value(instance, goal, limits, tags)?)));
        let (tags, value) = known
            .ok_or_else(|| SolverError("no plan was found within the effort allowed; raise --max-nodes".to_owned()))?;
        let bound = self.floor(instance, goal).min(value);
        Ok(Some(Found { tags, value, bound, proven: false }))
    }

    /// The figure of a placement; `None`: it breaks a limit.
    fn value(&self, instance: &Instance, goal: Objective, limits: Limits, tags: &[usize]) -> Option<i64> {
        let evaluation = evaluate(instance, self.shape, &positions(instance, tags)?)?;
        let value = if goal == Objective::Cost { evaluation.cost() } else { evaluation.makespan };
        limits.hold(&evaluation).then_some(value)
    }

    /// Among placements within the limits, the one whose choices come first, stage by stage.
    fn first_in_order(&self, instance: &Instance, limits: Limits, known: &[usize]) -> Result<Vec<usize>, SolverError> {
        let mut instance = reduce(instance, self.shape, limits).ok_or_else(lost)?;
        let mut best = known.to_vec();
        if instance.size() > TIED_CHOICES {
            return Ok(self.nudge(&instance, limits, best));
        }
        let mut next = 0;
        while next < instance.stages.len() {
            let (group, end) = group(&instance, next);
            let first = |stage: usize| instance.stages[stage].choices[0].tag == best[stage];
            if !(next..end).all(first) {
                let found = self.minimize(&instance, Objective::Cost, &Goal::Ranks(&group), limits, Some(&best))?;
                best = found.map_or(best, |found| found.tags);
            }
            for (stage, tag) in instance.stages.iter_mut().zip(&best).take(end).skip(next) {
                stage.choices.retain(|choice| choice.tag == *tag);
            }
            instance = reduce(&instance, self.shape, limits).ok_or_else(lost)?;
            next = end;
        }
        Ok(best)
    }

    /// Moves single stages to earlier choices while the limits hold.
    fn nudge(&self, instance: &Instance, limits: Limits, mut best: Vec<usize>) -> Vec<usize> {
        for stage in 0..best.len() {
            let kept = best[stage];
            for choice in instance.stages[stage].choices.iter().take_while(|choice| choice.tag < kept) {
                best[stage] = choice.tag;
                if self.value(instance, Objective::Cost, limits, &best).is_some() {
                    break;
                }
                best[stage] = kept;
            }
        }
        best
    }

    /// What each limit would have to be.
    fn shortfall(&self, instance: &Instance) -> Result<Shortfall, SolverError> {
        let (cost, time) = (instance.budget, instance.deadline);
        let figures = |goal: Objective, limits: Limits| -> Result<Option<(i64, i64)>, SolverError> {
            let found = self.best(instance, goal, limits, None)?;
            let evaluation = found.and_then(|found| evaluate(instance, self.shape, &positions(instance, &found.tags)?));
            Ok(evaluation.map(|evaluation| (evaluation.cost(), evaluation.makespan)))
        };
        Ok(Shortfall {
            fastest: if time.is_some() {
                figures(Objective::Time, Limits { cost, ..Limits::default() })?
            } else {
                None
            },
            cheapest: if cost.is_some() {
                figures(Objective::Cost, Limits { time, ..Limits::default() })?
            } else {
                None
            },
            unlimited: figures(Objective::Cost, Limits::default())?,
            stuck: stuck(instance),
        })
    }
}

/// Labels of artifacts that have no allowed way to some reader.
fn stuck(instance: &Instance) -> Vec<String> {
    let sites =
        |stage: usize| instance.stages[stage].choices.iter().map(|choice| choice.site).collect::<BTreeSet<usize>>();
    let cut = |artifact: &&Artifact| {
        let from = match artifact.origin {
            Origin::Site(site) => BTreeSet::from([site]),
            Origin::Stage(stage) => sites(stage),
        };
        let reaches = |to: &usize| from.iter().any(|from| instance.links.cost(*from, *to, artifact.bytes).is_some());
        artifact.readers.iter().any(|reader| !sites(*reader).iter().any(reaches))
    };
    instance.artifacts.iter().filter(cut).map(|artifact| artifact.label.clone()).collect()
}

/// The stages from `next` on whose ranks fit into one number, with weights so that an earlier
/// stage counts more than all later ones; and the first stage after them.
fn group(instance: &Instance, next: usize) -> (Vec<(usize, i64)>, usize) {
    let mut product = 1_i64;
    let mut end = next;
    while end < instance.stages.len() {
        let count = i64::try_from(instance.stages[end].choices.len()).unwrap_or(i64::MAX);
        if end > next && product.saturating_mul(count) > RANKS {
            break;
        }
        product = product.saturating_mul(count);
        end += 1;
    }
    let mut weight = 1_i64;
    let mut weights = Vec::with_capacity(end - next);
    for stage in (next..end).rev() {
        weights.push((stage, weight));
        weight = weight.saturating_mul(i64::try_from(instance.stages[stage].choices.len()).unwrap_or(i64::MAX));
    }
    weights.reverse();
    (weights, end)
}

fn tags(instance: &Instance, picks: &[usize]) -> Vec<usize> {
    instance.stages.iter().zip(picks).map(|(stage, position)| stage.choices[*position].tag).collect()
}

fn positions(instance: &Instance, tags: &[usize]) -> Option<Vec<usize>> {
    let position = |(stage, tag): (&crate::problem::StageChoices, &usize)| {
        stage.choices.binary_search_by_key(tag, |choice| choice.tag).ok()
    };
    instance.stages.iter().zip(tags).map(position).collect()
}

/// A start for the solver: the choices alone; it completes the rest.
fn point(lowered: &Lowered, picks: &[usize]) -> Vec<f64> {
    let mut values = vec![0.0; lowered.program.columns.len()];
    for (columns, position) in lowered.choice.iter().zip(picks) {
        values[columns[*position]] = 1.0;
    }
    values
}

/// Solvers return 0.9999 for one: the largest of a stage's values is its choice.
fn picked(lowered: &Lowered, values: &[f64]) -> Vec<usize> {
    let largest = |columns: &Vec<usize>| {
        let better = |best: usize, position: usize| {
            if values[columns[position]] > values[columns[best]] { position } else { best }
        };
        (0..columns.len()).fold(0, better)
    };
    lowered.choice.iter().map(largest).collect()
}

/// A solver's bound as an integer that is surely one too.
fn whole_bound(bound: f64) -> i64 {
    // A saturating cast: minus infinity becomes the least integer. One unit covers rounding.
    (bound.floor() as i64).saturating_sub(1)
}
