//! Prices of time: what a millisecond of every stage is worth under a deadline.
//!
//! A placement by the deadline has no path through the DAG that is longer. So for any flow from
//! the first stages to the last, the cost of every such placement is at least that of the
//! cheapest one when each stage's time costs what flows through it, less the whole flow times
//! the deadline. Given by stage what it costs to run for how long (a curve), the best such flow
//! is the optimum of a linear program, which is one of a network: rounding leaves it whole.

use crate::planning::problem::{ColumnId, Program, StageId, Terms};
use crate::planning::solve::backend::solver::{Answer, Solver};
use crate::planning::solve::effort::Effort;
use crate::util::id_vec::{Id, IdVec};

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

/// An arc over which the flow reaches a stage.
struct StageArc {
    /// `None`: from outside of the DAG.
    from: Option<StageId>,
    column: ColumnId,
}

/// The linear program of the best flow.
struct FlowProgram {
    program: Program,
    objective: Terms,
    /// By stage: what flows into it.
    into: IdVec<StageId, Terms>,
    /// By stage: what flows out of it.
    out: IdVec<StageId, Terms>,
    /// By stage: the arcs that lead to it.
    arcs: IdVec<StageId, Vec<StageArc>>,
    /// By stage: the column of what leaves the DAG there.
    ends: IdVec<StageId, Option<ColumnId>>,
    /// Units of the curves' slopes that are one unit of flow.
    unit: i64,
    /// Milliseconds that are one unit of time.
    tick: i64,
}

impl FlowProgram {
    fn new(stages: &IdVec<StageId, Vec<StageId>>, unit: i64, tick: i64) -> Self {
        Self {
            program: Program {
                name: "time".to_owned(),
                ..Program::default()
            },
            objective: Vec::new(),
            into: stages.map(|_| Vec::new()),
            out: stages.map(|_| Vec::new()),
            arcs: stages.map(|_| Vec::new()),
            ends: stages.map(|_| None),
            unit,
            tick,
        }
    }

    /// Adds the arcs that lead to a stage: one from each that it waits for, or one from outside.
    fn add_arcs(&mut self, stage: StageId, stages_before: &[StageId], deadline: i64) -> Option<()> {
        if stages_before.is_empty() {
            let most_capacity = i64::try_from(CAPACITY).ok()?.checked_mul(4)?;
            let name = format!("first[{stage}]");
            let column = self.program.column(name, Some(most_capacity), false);
            self.objective.push((column, deadline / self.tick));
            self.into[stage].push((column, 1));
            self.arcs[stage].push(StageArc { from: None, column });
        }
        for from in stages_before {
            let name = format!("arc[{from},{stage}]");
            let column = self.program.column(name, None, false);
            self.into[stage].push((column, 1));
            self.out[*from].push((column, -1));
            self.arcs[stage].push(StageArc {
                from: Some(*from),
                column,
            });
        }
        Some(())
    }

    /// Adds what flows through a stage, in parts at each of which another point of its curve is
    /// best. `is_last`: no stage waits for it.
    fn add_stage(&mut self, stage: StageId, hull: &[HullPoint], is_last: bool) -> Option<()> {
        let mut arc_parts = Vec::new();
        let mut time_reached = 0;
        for (number, point) in hull.iter().enumerate() {
            let upper = if number + 1 == hull.len() {
                None
            } else {
                let arc_end = point.rate / i128::from(self.unit);
                let width = i64::try_from(arc_end - time_reached).ok()?;
                time_reached = arc_end;
                Some(width)
            };
            let name = format!("part[{stage},{number}]");
            let part_column = self.program.column(name, upper, false);
            self.objective
                .push((part_column, -(point.time / self.tick)));
            arc_parts.push(part_column);
        }
        if is_last {
            let name = format!("last[{stage}]");
            let column = self.program.column(name, None, false);
            self.out[stage].push((column, -1));
            self.ends[stage] = Some(column);
        }
        let mut terms = std::mem::take(&mut self.into[stage]);
        terms.extend(arc_parts.iter().map(|part| (*part, -1)));
        self.program
            .row(format!("in[{stage}]"), Some(0), Some(0), terms);
        let mut terms = std::mem::take(&mut self.out[stage]);
        terms.extend(arc_parts.iter().map(|part| (*part, 1)));
        self.program
            .row(format!("out[{stage}]"), Some(0), Some(0), terms);
        Some(())
    }

    /// The flow in a point of the program, made whole from the last stages on: what flows into a
    /// stage is what flows out of it, exactly. `order`: stages so that each comes before all it
    /// waits for.
    fn prices(&self, values: &[f64], order: &[StageId]) -> TimePrices {
        let whole_value = |column: ColumnId| {
            self.unit
                .saturating_mul(values[column.index()].max(0.0).round() as i64)
        };
        let mut price_of_end = self.ends.map(|column| column.map_or(0, whole_value));
        let mut total_price = 0;
        for &stage in order {
            let mut price_left = price_of_end[stage];
            let arcs = &self.arcs[stage];
            for (number, arc) in arcs.iter().enumerate() {
                let flow = if number + 1 == arcs.len() {
                    price_left
                } else {
                    whole_value(arc.column).min(price_left)
                };
                price_left -= flow;
                match arc.from {
                    Some(from) => price_of_end[from] += flow,
                    None => total_price += flow,
                }
            }
        }
        TimePrices {
            of: price_of_end,
            total: total_price,
        }
    }
}

/// The best flow for these curves, whose points are in any order. `None`: the solver found none.
pub(crate) fn time_prices(
    curves: &IdVec<StageId, Vec<CurvePoint>>,
    stages_before: &IdVec<StageId, Vec<StageId>>,
    deadline: i64,
    solver: &dyn Solver,
    effort: &Effort,
) -> Option<TimePrices> {
    let hulls = curves.map(|curve| lower_hull(curve));
    let rates = hulls.iter().flatten().map(|point| point.rate);
    let steepest = rates.fold(0, i128::max);
    if steepest == 0 {
        return Some(TimePrices {
            of: curves.map(|_| 0),
            total: 0,
        });
    }
    let unit = i64::try_from(steepest / CAPACITY).ok()?.max(1);
    let tick = (deadline / TICKS).max(1);
    let mut flow = FlowProgram::new(stages_before, unit, tick);
    for (stage, before) in stages_before.iter_enumerated() {
        flow.add_arcs(stage, before, deadline)?;
    }
    let mut is_last = curves.map(|_| true);
    stages_before
        .iter()
        .flatten()
        .for_each(|stage| is_last[*stage] = false);
    for (stage, hull) in hulls.iter_enumerated() {
        flow.add_stage(stage, hull, is_last[stage])?;
    }
    flow.program
        .minimize(std::mem::take(&mut flow.objective), 0);
    let Ok(Answer::Found { values, .. }) = solver.minimize(&flow.program, &[], effort) else {
        return None;
    };
    Some(flow.prices(&values, &reversed_order(stages_before)))
}

/// Stages so that each comes before all it waits for.
fn reversed_order(stages_before: &IdVec<StageId, Vec<StageId>>) -> Vec<StageId> {
    let mut arcs_after = stages_before.map(|_| 0_usize);
    stages_before
        .iter()
        .flatten()
        .for_each(|stage| arcs_after[*stage] += 1);
    let mut order: Vec<StageId> = stages_before
        .ids()
        .filter(|stage| arcs_after[*stage] == 0)
        .collect();
    let mut next_index = 0;
    while next_index < order.len() {
        for stage in &stages_before[order[next_index]] {
            arcs_after[*stage] -= 1;
            if arcs_after[*stage] == 0 {
                order.push(*stage);
            }
        }
        next_index += 1;
    }
    order
}

/// What a stage costs to run for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CurvePoint {
    /// Scaled.
    pub cost: i64,
    /// In milliseconds.
    pub time: i64,
}

/// A point of a curve's lower hull.
struct HullPoint {
    time: i64,
    /// The price of time up to which the point is best; that of the last one has no meaning.
    rate: i128,
}

/// The lower hull of a curve from its cheapest point to its shortest.
fn lower_hull(curve: &[CurvePoint]) -> Vec<HullPoint> {
    let mut points: Vec<CurvePoint> = curve.to_vec();
    points.sort_unstable();
    let mut hull: Vec<CurvePoint> = Vec::new();
    for point in points {
        if hull.last().is_some_and(|last| point.time >= last.time) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            // b is above the line from a to this point.
            let above = i128::from(b.cost - a.cost) * i128::from(a.time - point.time)
                >= i128::from(point.cost - a.cost) * i128::from(a.time - b.time);
            if !above {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    let rate = |(a, b): (&CurvePoint, &CurvePoint)| {
        (i128::from(b.cost - a.cost) << SHIFT) / i128::from(a.time - b.time)
    };
    let mut rates: Vec<i128> = hull.iter().zip(&hull[1..]).map(rate).collect();
    rates.push(0);
    hull.iter()
        .zip(rates)
        .map(|(point, rate)| HullPoint {
            time: point.time,
            rate,
        })
        .collect()
}
