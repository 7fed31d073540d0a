//! What time costs: all pairs of cost and makespan of which no other plan is better in both.
//!
//! The cheapest plan comes first; then, again and again, the cheapest that is faster than the
//! last one, by at least a millisecond, until there is none (the epsilon-constraint method;
//! Haimes, Lasdon, Wismer 1971).

use super::optimum::Figures;
use crate::catalog::Catalog;
use crate::model::units::saturate;
use crate::model::{Job, Millis, Money, Objective, PlaceName, Policy, Purchase};
use crate::planning::NoPlan;
use crate::planning::compile::{self, Compiled};
use crate::planning::problem::{Instance, StageId};
use crate::planning::solve::{self, Effort, Highs, Outcome, Solved, UnmetLimits};
use crate::util::id_vec::Id;

/// The frontier, or as much of it as was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    /// The cheapest first, so the fastest is last.
    pub points: Vec<Point>,
    /// How many there are. None: more than were looked for; those that are given are still
    /// points of the frontier.
    pub total: Option<usize>,
}

/// One point of the frontier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Proven: no plan as fast costs less, and none that costs as little is faster.
    pub figures: Figures,
    /// By stage, in the order of their starts.
    pub stages: Vec<Placed>,
}

/// Where a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The name of the stage in a plan; a replica has its number in it.
    pub stage: String,
    /// The place that the stage runs at.
    pub place: PlaceName,
    /// The machine type of the offer that the stage takes.
    pub instance_type: String,
    /// How the machines are bought.
    pub purchase: Purchase,
}

/// Points that are looked for one after the other, for jobs of few stages; fewer for others.
const STEPS: usize = 6_000;
/// Whatever the number of stages.
const MOST_STEPS: usize = 400;

/// The frontier of a job within the policy's rules and limits, with at most `most` points (at
/// least 2) spread evenly over it.
pub fn frontier(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
    most_points: usize,
) -> Result<Frontier, NoPlan> {
    let mut compiled = compile::compile(job, policy, catalog).map_err(NoPlan::Refused)?;
    if compiled.results.partly_priced
        && !solve::feasible(&compiled.instance, &Highs, effort).map_err(NoPlan::Solver)?
    {
        let left_results =
            compile::compile_with(job, policy, catalog, compile::PartlyPriced::There);
        compiled = left_results.map_err(NoPlan::Refused)?;
    }
    let mut walk = Walk {
        instance: Instance {
            minimize: Objective::Cost,
            hour: Money(0),
            ..compiled.instance.clone()
        },
        limit: compiled.instance.deadline,
        effort,
        unmet_limits: UnmetLimits::default(),
    };
    let steps = (STEPS / job.stages.len().max(1)).clamp(most_points, MOST_STEPS.max(most_points));
    let mut points_found: Vec<(Solved, bool)> = Vec::new();
    let mut is_whole = false;
    let mut deadline = walk.limit;
    while points_found.len() < steps {
        let Some(next) = walk.cheapest(deadline)? else {
            is_whole = true;
            break;
        };
        let faster = next.evaluation.makespan.0.checked_sub(1).map(Millis);
        add_point(&mut points_found, next);
        if faster.is_none() {
            // Nothing is faster than no time.
            is_whole = true;
            break;
        }
        deadline = faster;
    }
    if points_found.is_empty() {
        return Err(NoPlan::Infeasible(walk.unmet_limits));
    }
    let total_points = is_whole.then_some(points_found.len());
    let points_found = if is_whole {
        spread_points(points_found, most_points)
    } else {
        walk.spaced(points_found, most_points)?
    };
    let frontier_point = |(solved, proven): &(Solved, bool)| Point {
        figures: Figures {
            cost: solved.evaluation.cost(),
            makespan: solved.evaluation.makespan,
            proven: *proven,
        },
        stages: placed_stages(&compiled, solved, catalog),
    };
    Ok(Frontier {
        points: points_found.iter().map(frontier_point).collect(),
        total: total_points,
    })
}

/// Takes a point in that is faster than all before, with whether it is proven so far. Those that
/// cost no less make room for it: where many choices tie, the fastest of the cheapest comes in
/// more than one step.
fn add_point(points_found: &mut Vec<(Solved, bool)>, next_point: Solved) {
    let mut is_proven = next_point.proof.optimal;
    if let Some((_, last_proven)) = points_found.last_mut() {
        // That nothing as cheap is faster than the last one is what this one shows.
        *last_proven &= is_proven;
    }
    while let Some((last, last_proven)) = points_found.last() {
        if last.evaluation.cost() < next_point.evaluation.cost() {
            break;
        }
        is_proven &= last_proven;
        points_found.pop();
    }
    points_found.push((next_point, is_proven));
}

/// So many of them, the first and the last among them.
fn spread_points<T>(points_found: Vec<T>, most_points: usize) -> Vec<T> {
    let count = points_found.len();
    if count <= most_points {
        return points_found;
    }
    let kept_steps: std::collections::BTreeSet<usize> = (0..most_points)
        .map(|step| step * (count - 1) / (most_points - 1))
        .collect();
    points_found
        .into_iter()
        .enumerate()
        .filter(|(index, _)| kept_steps.contains(index))
        .map(|(_, point)| point)
        .collect()
}

struct Walk<'a> {
    instance: Instance,
    /// The policy's deadline.
    limit: Option<Millis>,
    effort: &'a Effort,
    /// Why the last question had no answer.
    unmet_limits: UnmetLimits,
}

impl Walk<'_> {
    /// The cheapest placement by a deadline, and of those the fastest.
    fn cheapest(&mut self, deadline: Option<Millis>) -> Result<Option<Solved>, NoPlan> {
        self.instance.deadline = deadline;
        if deadline.is_some() && deadline != self.limit && !self.possible()? {
            return Ok(None);
        }
        match solve::solve(&self.instance, &Highs, self.effort).map_err(NoPlan::Solver)? {
            Outcome::Solved(solved) => Ok(Some(*solved)),
            Outcome::Infeasible(unmet_limits) => {
                self.unmet_limits = unmet_limits;
                Ok(None)
            }
        }
    }

    /// Asked before solving: only the policy's own limits need the reasons.
    fn possible(&self) -> Result<bool, NoPlan> {
        solve::feasible(&self.instance, &Highs, self.effort).map_err(NoPlan::Solver)
    }

    /// Points at evenly spaced makespans, from the cheapest (already found) to the fastest.
    fn spaced(
        &mut self,
        points_found: Vec<(Solved, bool)>,
        most_points: usize,
    ) -> Result<Vec<(Solved, bool)>, NoPlan> {
        self.instance.deadline = self.limit;
        let fast = Instance {
            minimize: Objective::Time,
            ..self.instance.clone()
        };
        let fastest = match solve::solve(&fast, &Highs, self.effort).map_err(NoPlan::Solver)? {
            Outcome::Solved(solved) => *solved,
            Outcome::Infeasible(_) => return Ok(spread_points(points_found, most_points)),
        };
        let Some((cheapest, _)) = points_found.first() else {
            return Ok(points_found);
        };
        let slow = i128::from(cheapest.evaluation.makespan.0);
        let quick = i128::from(fastest.evaluation.makespan.0);
        let steps = most_points.max(2) as i128 - 1;
        let mut points: Vec<(Solved, bool)> = Vec::new();
        for step in 0..=steps {
            let deadline = Millis::from_signed(saturate(slow - (slow - quick) * step / steps));
            if points
                .last()
                .is_some_and(|(last, _)| last.evaluation.makespan <= deadline)
            {
                continue;
            }
            let Some(next) = self.cheapest(Some(deadline))? else {
                break;
            };
            // Of the points in between nothing is known, so each is proven on its own.
            let is_proven = next.proof.optimal;
            while points
                .last()
                .is_some_and(|(last, _)| last.evaluation.cost() >= next.evaluation.cost())
            {
                points.pop();
            }
            points.push((next, is_proven));
        }
        Ok(points)
    }
}

fn placed_stages(compiled: &Compiled, solved: &Solved, catalog: &Catalog) -> Vec<Placed> {
    let mut order: Vec<StageId> = compiled.stages.ids().collect();
    order.sort_by_key(|stage| (solved.evaluation.start[*stage], *stage));
    let placed_stage = |stage: StageId| {
        let tag = compiled.instance.stages[stage].choices[solved.placement[stage]].tag;
        let offer = &catalog.offers[compiled.candidates[stage][tag].offer.index()];
        Placed {
            stage: compiled.stages[stage].clone(),
            place: catalog.place(offer).name.clone(),
            instance_type: catalog.machine(offer).instance_type.clone(),
            purchase: offer.purchase,
        }
    };
    order.into_iter().map(placed_stage).collect()
}
