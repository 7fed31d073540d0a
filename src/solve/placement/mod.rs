//! From an instance to its one best placement and the proof that it is.
//!
//! The order of placements is lexicographic: the objective, then the other figure (time after
//! cost, cost after time), then the first choices in canonical order. Each level is a pass with
//! the levels above as limits, on the choices that these limits leave ([`crate::solve::reduce`]); so
//! ties, which are the rule where regions share a price list, do not depend on a solver's mood.
//! Preferences come before all of it. Caps on stages that may run at once are added as rows for
//! the sets of stages that exceed them, until none does.

mod alike;
mod figure;
mod order;
mod programs;
mod shortfall;

use crate::model::Objective;
use crate::problem::{Cap, Evaluation, Goal, Instance, Routes, Shape, evaluate_on, lower, routes, together, worth};
use crate::solve::close::plain;
use crate::solve::forest::forest;
use crate::solve::reduce::{Limits, least_time, reduce};
use crate::solve::solver::{Answer, Effort, Solver, SolverError};
use alike::Alike;
use std::borrow::Cow;

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
    /// No placement within the limits costs less (with what its makespan is worth, if that counts);
    /// when time comes first: none as fast.
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
/// Rounds of adding rows for stages that may run at once.
const ROUNDS: usize = 10_000;

/// The best placement of `instance`, or why there is none.
pub fn solve(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<Outcome, SolverError> {
    let shape = instance.shape();
    let run = Run { shape: &shape, solver, effort };
    match run.decided(instance)? {
        None => Ok(Outcome::Infeasible(run.shortfall(instance)?)),
        Some((left, ranked)) => {
            let solved = run.finished(&left, ranked)?;
            // The choices that are left keep their tags.
            let picks = positions(instance, &tags(&left, &solved.picks)).ok_or_else(lost)?;
            Ok(Outcome::Solved(Box::new(Solved { picks, ..solved })))
        }
    }
}

/// Cost and makespan of the best placement, without telling equals apart. `None`: there is none.
pub fn figures(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<Option<(i64, i64)>, SolverError> {
    let shape = instance.shape();
    let run = Run { shape: &shape, solver, effort };
    let Some((instance, Ranked { second, .. })) = run.decided(instance)? else { return Ok(None) };
    let evaluation = run.evaluation(&instance, &second).ok_or_else(lost)?;
    Ok(Some((evaluation.cost(), evaluation.makespan)))
}

/// The instance with the rows that its preferences and its concurrent caps need at its optimum,
/// for other solvers.
pub fn with_rows(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<Instance, SolverError> {
    let ranked = || instance.stages.iter().any(|stage| stage.choices.iter().any(|choice| choice.rank > 0));
    if !ranked() && instance.caps.iter().all(|cap| !cap.concurrent) {
        return Ok(instance.clone());
    }
    let shape = instance.shape();
    let run = Run { shape: &shape, solver, effort };
    let decided = run.decided(instance)?;
    Ok(decided.map_or_else(|| instance.clone(), |(instance, _)| instance.into_owned()))
}

fn lost() -> SolverError {
    SolverError("a placement that was found does not fit its own instance".to_owned())
}

/// A figure of a placement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Figure {
    Cost,
    /// Cost and what the makespan is worth.
    Score,
    Time,
}

impl Figure {
    fn of(self, instance: &Instance, evaluation: &Evaluation) -> i64 {
        match self {
            Figure::Cost => evaluation.cost(),
            Figure::Score => evaluation.cost().saturating_add(worth(instance, evaluation.makespan)),
            Figure::Time => evaluation.makespan,
        }
    }
}

impl Limits {
    fn with(self, figure: Figure, value: i64) -> Self {
        match figure {
            Figure::Cost => Self { cost: Some(value), least: false, ..self },
            Figure::Score => Self { score: Some(value), ..self },
            Figure::Time => Self { time: Some(value), ..self },
        }
    }

    fn hold(self, instance: &Instance, evaluation: &Evaluation) -> bool {
        let keeps =
            |figure: Figure, limit: Option<i64>| limit.is_none_or(|limit| figure.of(instance, evaluation) <= limit);
        keeps(Figure::Cost, self.cost)
            && keeps(Figure::Time, self.time)
            && keeps(Figure::Score, self.score)
            && instance.lateness(evaluation) == 0
    }
}

/// A placement by the tags of its choices, which outlive reduction, with the value of what was
/// minimised.
#[derive(Clone)]
struct Found {
    tags: Vec<usize>,
    routes: Routes,
    value: i64,
    bound: i64,
    proven: bool,
    /// Without choices that no placement within the limits has whose value is as good, if known.
    left: Option<Box<Instance>>,
}

/// Picks and ways of a placement that is there already.
#[derive(Clone)]
struct Known {
    tags: Vec<usize>,
    routes: Routes,
}

impl Found {
    /// A placement whose figure is as good as its bound.
    fn proven(known: Known, value: i64) -> Self {
        let Known { tags, routes } = known;
        Self { tags, routes, value, bound: value, proven: true, left: None }
    }

    fn known(&self) -> Known {
        Known { tags: self.tags.clone(), routes: self.routes.clone() }
    }
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
    /// Without choices that no placement has whose first figure is as good.
    left: Box<Instance>,
    /// `second` has the first choices in order already.
    ordered: bool,
}

impl Run<'_> {
    /// All passes but the last, again and again with more rows until no concurrent cap is
    /// exceeded; with the instance that has these rows and only preferred choices.
    fn decided<'i>(&self, instance: &'i Instance) -> Result<Option<(Cow<'i, Instance>, Ranked)>, SolverError> {
        let mut instance = Cow::Borrowed(instance);
        for _ in 0..ROUNDS {
            let Some((preferred, ranked)) = self.preferred(instance.clone())? else { return Ok(None) };
            let picks = positions(&preferred, &ranked.second.tags).ok_or_else(lost)?;
            let Some((cap, stages)) = together::clash(&preferred, self.shape, &picks) else {
                return Ok(Some((preferred, ranked)));
            };
            let row = row(&instance.caps[cap], &stages);
            instance.to_mut().caps.push(row);
        }
        Err(SolverError("too many sets of stages may run at once; loosen a quota".to_owned()))
    }

    /// The passes over both figures among placements of the least sum of ranks.
    fn preferred<'i>(&self, instance: Cow<'i, Instance>) -> Result<Option<(Cow<'i, Instance>, Ranked)>, SolverError> {
        let ranks = || instance.stages.iter().flat_map(|stage| stage.choices.iter().map(|choice| choice.rank));
        if ranks().all(|rank| rank == 0) {
            return Ok(self.ranked(&instance)?.map(|ranked| (instance, ranked)));
        }
        let mut first = instance.clone().into_owned();
        first.stages.iter_mut().for_each(|stage| stage.choices.retain(|choice| choice.rank == 0));
        if first.stages.iter().all(|stage| !stage.choices.is_empty())
            && let Some(ranked) = self.ranked(&first)?
        {
            return Ok(Some((Cow::Owned(first), ranked)));
        }
        let limits = Limits { cost: instance.budget, time: instance.deadline, ..Limits::default() };
        let Some(instance) = reduce(&instance, self.shape, limits) else { return Ok(None) };
        let Some(least) = self.least_ranks(&instance, limits)? else { return Ok(None) };
        let uses = |stage: &crate::problem::StageChoices| {
            stage.choices.iter().filter(|choice| choice.rank > 0).map(|choice| (choice.tag, choice.rank)).collect()
        };
        let cap = Cap {
            label: "preference".to_owned(),
            limit: least,
            concurrent: false,
            uses: instance.stages.iter().map(uses).collect(),
        };
        let mut instance = instance;
        instance.caps.push(cap);
        Ok(self.ranked(&instance)?.map(|ranked| (Cow::Owned(instance), ranked)))
    }

    /// The least sum of ranks within limits.
    fn least_ranks(&self, instance: &Instance, limits: Limits) -> Result<Option<i64>, SolverError> {
        let lowered = lower(instance, &programs::target(instance, Goal::Preference, limits, true));
        match self.solver.minimize(&lowered.program, &[], self.effort)? {
            Answer::Infeasible => Ok(None),
            Answer::Found { values, proven: true, .. } => {
                let picks = lowered.picks(&values);
                Ok(Some(instance.stages.iter().zip(picks).map(|(stage, pick)| stage.choices[pick].rank).sum()))
            }
            _ => Err(SolverError(
                "preferences were not decided within the effort allowed; raise --max-nodes or --time-limit".to_owned(),
            )),
        }
    }

    /// The last pass, and the figures.
    fn finished(&self, instance: &Instance, ranked: Ranked) -> Result<Solved, SolverError> {
        let Ranked { first, second, limits, left, ordered } = ranked;
        let mut last = second.clone();
        if first.proven && !ordered && !self.effort.is_over() {
            let Known { tags, routes } = self.first_in_order(&left, limits, second.known())?;
            let picks = positions(instance, &tags).ok_or_else(lost)?;
            // The order of choices is the last tie-break: it never buys a row for stages at once.
            if together::clash(instance, self.shape, &picks).is_none() {
                last = Found { tags, routes, ..last };
            }
        }
        let evaluation = self.evaluation(instance, &last).ok_or_else(lost)?;
        let proof = match instance.minimize {
            Objective::Cost => Proof { optimal: first.proven, cost_bound: first.bound, time_bound: None },
            Objective::Time => {
                let optimal = first.proven && second.proven;
                Proof { optimal, cost_bound: second.bound, time_bound: Some(first.bound) }
            }
        };
        let picks = positions(instance, &last.tags).ok_or_else(lost)?;
        Ok(Solved { picks, evaluation, proof })
    }

    /// The passes over both figures. `None`: no placement keeps the limits.
    fn ranked(&self, instance: &Instance) -> Result<Option<Ranked>, SolverError> {
        let (goal, other) = match instance.minimize {
            Objective::Cost if instance.hour != 0 => (Figure::Score, Figure::Time),
            Objective::Cost => (Figure::Cost, Figure::Time),
            Objective::Time => (Figure::Time, Figure::Cost),
        };
        let limits = Limits { cost: instance.budget, time: instance.deadline, ..Limits::default() };
        match self.alike(instance, (goal, other), limits)? {
            Alike::Ranked(ranked) => return Ok(Some(*ranked)),
            Alike::Nothing => return Ok(None),
            Alike::Unknown => {}
        }
        let Some(mut first) = self.best(instance, goal, limits, None)? else { return Ok(None) };
        let least = goal == Figure::Cost && limits.time.is_none() && first.proven && plain(instance);
        let limits = Limits { least, ..limits.with(goal, first.value) };
        let left = match first.left.take() {
            Some(left) => *left,
            None if !first.proven && instance.size() > figure::REDUCED_CHOICES => instance.clone(),
            None => self.reduced(instance, limits).ok_or_else(lost)?,
        };
        let second = if (other == Figure::Time && left.size() > TIED_CHOICES) || self.effort.is_over() {
            self.improved(&left, other, limits, &first.known())
        } else {
            self.best(&left, other, limits, Some(first.known()))?
        };
        let second = second.ok_or_else(lost)?;
        let limits = limits.with(other, second.value);
        Ok(Some(Ranked { first, second, limits, left: Box::new(left), ordered: false }))
    }

    /// Without choices that no placement within the limits can take.
    fn reduced(&self, instance: &Instance, limits: Limits) -> Option<Instance> {
        let Some(score) = limits.score else { return reduce(instance, self.shape, limits) };
        // What the time is worth at least is not there for costs, and the other way round.
        let cost = score.saturating_sub(worth(instance, least_time(instance, self.shape)));
        let spare = i128::from(score.saturating_sub(forest(instance, self.shape)?.least).max(0)) + 1;
        let time = match instance.hour {
            0 => None,
            hour => i64::try_from(spare * crate::model::units::MS_PER_HOUR / i128::from(hour) + 1).ok(),
        };
        let least = |limit: Option<i64>, other: Option<i64>| limit.into_iter().chain(other).min();
        let (cost, time) = (least(limits.cost, Some(cost)), least(limits.time, time));
        reduce(instance, self.shape, Limits { cost, time, ..limits })
    }

    /// The figure of a placement; `None`: it breaks a limit.
    fn value(&self, instance: &Instance, goal: Figure, limits: Limits, known: &Known) -> Option<i64> {
        let picks = positions(instance, &known.tags)?;
        if together::over(instance, &picks) > 0 {
            return None;
        }
        let evaluation = evaluate_on(instance, self.shape, &picks, &known.routes)?;
        limits.hold(instance, &evaluation).then(|| goal.of(instance, &evaluation))
    }

    /// The better of two ways for given choices, and the figure: all copies on their cheapest ways,
    /// or all straight from their origins. `None`: both break a limit.
    fn resolved(&self, instance: &Instance, goal: Figure, limits: Limits, tags: Vec<usize>) -> Option<(Known, i64)> {
        let cheapest = routes::cheapest(instance, &positions(instance, &tags)?);
        let straight = (!cheapest.is_empty()).then(Routes::new);
        let ways = std::iter::once(cheapest).chain(straight).filter_map(|routes| {
            let known = Known { tags: tags.clone(), routes };
            let value = self.value(instance, goal, limits, &known)?;
            Some((known, value))
        });
        // Of equals the first.
        ways.min_by_key(|(_, value)| *value)
    }

    /// All figures of a placement that was found for the instance.
    fn evaluation(&self, instance: &Instance, found: &Found) -> Option<Evaluation> {
        evaluate_on(instance, self.shape, &positions(instance, &found.tags)?, &found.routes)
    }
}

fn has_deadlines(instance: &Instance) -> bool {
    instance.stages.iter().any(|stage| stage.deadline.is_some())
}

/// A concurrent cap on some stages of which none waits for another.
fn row(cap: &Cap, stages: &[usize]) -> Cap {
    let uses =
        |(stage, uses): (usize, &Vec<(usize, i64)>)| if stages.contains(&stage) { uses.clone() } else { Vec::new() };
    Cap { concurrent: false, uses: cap.uses.iter().enumerate().map(uses).collect(), ..cap.clone() }
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
