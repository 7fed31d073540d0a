//! Prices of time: what a millisecond of every stage is worth under a deadline.
//!
//! A placement by the deadline has no path through the DAG that is longer. So for any flow from
//! the first stages to the last, the cost of every such placement is at least that of the
//! cheapest one when each stage's time costs what flows through it, less the whole flow times
//! the deadline. Given by stage what it costs to run for how long (a curve), the best such flow
//! is the optimum of a linear program, which is one of a network: rounding leaves it whole.

use crate::planning::problem::{Program, StageId};
use crate::planning::solve::backend::solver::{Answer, Solver};
use crate::planning::solve::effort::Effort;
use crate::util::id_vec::IdVec;

/// Fractions of a unit of money per millisecond.
pub(crate) const SHIFT: u32 = 20;

/// What flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimePrices {
    /// By stage, in units of scaled money per millisecond, times `1 << SHIFT`.
    pub of: IdVec<StageId, i64>,
    /// Out of all first stages together.
    pub total: i64,
}

impl TimePrices {
    /// What that time is worth, rounded down.
    pub(crate) fn worth(rate: i64, time: i64) -> i64 {
        i64::try_from((i128::from(rate) * i128::from(time)) >> SHIFT).unwrap_or(i64::MAX / 8)
    }

    /// What the deadline takes off a bound, rounded up.
    pub(crate) fn taken(&self, deadline: i64) -> i64 {
        let product = i128::from(self.total) * i128::from(deadline);
        i64::try_from(-((-product) >> SHIFT)).unwrap_or(i64::MAX / 8)
    }
}

/// Largest capacity in the program: solvers calculate in floating point.
const CAPACITY: i128 = 1 << 22;
/// Deadline in the program's units of time.
const TICKS: i64 = 1 << 20;

/// The best flow for these curves: `(time, cost)` by stage, in any order. `None`: the solver found
/// none.
pub(crate) fn time_prices(
    curves: &IdVec<StageId, Vec<(i64, i64)>>,
    before: &IdVec<StageId, Vec<StageId>>,
    deadline: i64,
    solver: &dyn Solver,
    effort: &Effort,
) -> Option<TimePrices> {
    let hulls = curves.map(|curve| hull(curve));
    let steepest = hulls
        .iter()
        .flatten()
        .map(|(_, capacity)| *capacity)
        .max()
        .unwrap_or(0);
    if steepest == 0 {
        return Some(TimePrices {
            of: curves.map(|_| 0),
            total: 0,
        });
    }
    let unit = (steepest / CAPACITY).max(1);
    let tick = (deadline / TICKS).max(1);
    let mut program = Program {
        name: "time".to_owned(),
        ..Program::default()
    };
    let mut objective = Vec::new();
    let mut into: IdVec<StageId, Vec<(usize, i64)>> = curves.map(|_| Vec::new());
    let mut out: IdVec<StageId, Vec<(usize, i64)>> = curves.map(|_| Vec::new());
    let mut last = curves.map(|_| true);
    before
        .iter()
        .flatten()
        .for_each(|stage| last[*stage] = false);
    let mut arcs: IdVec<StageId, Vec<(Option<StageId>, usize)>> = curves.map(|_| Vec::new());
    let most = i64::try_from(CAPACITY).ok()?.checked_mul(4)?;
    for (stage, before) in before.iter_enumerated() {
        if before.is_empty() {
            let arc = program.column(format!("first[{stage}]"), Some(most), false);
            objective.push((arc, deadline / tick));
            into[stage].push((arc, 1));
            arcs[stage].push((None, arc));
        }
        for from in before {
            let arc = program.column(format!("arc[{from},{stage}]"), None, false);
            into[stage].push((arc, 1));
            out[*from].push((arc, -1));
            arcs[stage].push((Some(*from), arc));
        }
    }
    let mut ends = curves.map(|_| None);
    for (stage, hull) in hulls.iter_enumerated() {
        let mut parts = Vec::new();
        let mut reached = 0;
        for (number, (time, end)) in hull.iter().enumerate() {
            let upper = if number + 1 == hull.len() {
                None
            } else {
                let end = end / unit;
                let width = i64::try_from(end - reached).ok()?;
                reached = end;
                Some(width)
            };
            let part = program.column(format!("part[{stage},{number}]"), upper, false);
            objective.push((part, -(time / tick)));
            parts.push(part);
        }
        if last[stage] {
            let arc = program.column(format!("last[{stage}]"), None, false);
            out[stage].push((arc, -1));
            ends[stage] = Some(arc);
        }
        let mut terms = std::mem::take(&mut into[stage]);
        terms.extend(parts.iter().map(|part| (*part, -1)));
        program.row(format!("in[{stage}]"), Some(0), Some(0), terms);
        let mut terms = std::mem::take(&mut out[stage]);
        terms.extend(parts.iter().map(|part| (*part, 1)));
        program.row(format!("out[{stage}]"), Some(0), Some(0), terms);
    }
    program.minimize(objective, 0);
    let Ok(Answer::Found { values, .. }) = solver.minimize(&program, &[], effort) else {
        return None;
    };
    // From the last stages on: what flows into a stage is made what flows out of it, exactly.
    let whole = |column: usize| {
        i64::try_from(unit)
            .unwrap_or(1)
            .saturating_mul(values[column].max(0.0).round() as i64)
    };
    let mut of = ends.map(|arc| arc.map_or(0, whole));
    let mut total = 0;
    for stage in reversed(before) {
        let mut left = of[stage];
        let arcs = &arcs[stage];
        for (number, (from, arc)) in arcs.iter().enumerate() {
            let flow = if number + 1 == arcs.len() {
                left
            } else {
                whole(*arc).min(left)
            };
            left -= flow;
            match from {
                Some(from) => of[*from] += flow,
                None => total += flow,
            }
        }
    }
    Some(TimePrices { of, total })
}

/// Stages so that each comes before all it waits for.
fn reversed(before: &IdVec<StageId, Vec<StageId>>) -> Vec<StageId> {
    let mut after = before.map(|_| 0_usize);
    before.iter().flatten().for_each(|stage| after[*stage] += 1);
    let mut order: Vec<StageId> = before.ids().filter(|stage| after[*stage] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for stage in &before[order[at]] {
            after[*stage] -= 1;
            if after[*stage] == 0 {
                order.push(*stage);
            }
        }
        at += 1;
    }
    order
}

/// The lower hull of a curve from its cheapest point to its shortest: each point's time, and the
/// rate up to which it is best (that of the last one has no meaning).
fn hull(curve: &[(i64, i64)]) -> Vec<(i64, i128)> {
    let mut points: Vec<(i64, i64)> = curve.iter().map(|(time, cost)| (*cost, *time)).collect();
    points.sort_unstable();
    let mut hull: Vec<(i64, i64)> = Vec::new();
    for (cost, time) in points {
        if hull.last().is_some_and(|(_, last)| time >= *last) {
            continue;
        }
        while let [.., (cost_a, time_a), (cost_b, time_b)] = hull[..] {
            // b is above the line from a to this point.
            let above = i128::from(cost_b - cost_a) * i128::from(time_a - time)
                >= i128::from(cost - cost_a) * i128::from(time_a - time_b);
            if !above {
                break;
            }
            hull.pop();
        }
        hull.push((cost, time));
    }
    let rate = |(a, b): (&(i64, i64), &(i64, i64))| {
        (i128::from(b.0 - a.0) << SHIFT) / i128::from(a.1 - b.1)
    };
    let mut rates: Vec<i128> = hull.iter().zip(&hull[1..]).map(rate).collect();
    rates.push(0);
    hull.into_iter().map(|(_, time)| time).zip(rates).collect()
}
