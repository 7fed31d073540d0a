//! HiGHS, through the `highs` crate.

use crate::planning::problem::{ColumnId, Program, Row, SOLVER_SEED};
use crate::planning::solve::backend::solver::{Answer, Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::util::id_vec::IdVec;
use highs::{HighsModelStatus, HighsSolutionStatus, Model, RowProblem, Sense};

/// HiGHS: branch and cut, one thread, fixed seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Highs;

impl Solver for Highs {
    fn name(&self) -> &'static str {
        "highs"
    }

    fn version(&self) -> String {
        // The version that highs-sys 1.15.0 builds; Cargo.lock pins it.
        "1.15.0".to_owned()
    }

    fn minimize(
        &self,
        program: &Program,
        start: &[f64],
        effort: &Effort,
    ) -> Result<Answer, SolverError> {
        let mut solved = prepared_model(program, start, effort, TOLERANCES[0])?.try_solve();
        for tolerance in &TOLERANCES[1..] {
            if solved.is_err() {
                solved = prepared_model(program, start, effort, *tolerance)?.try_solve();
            }
        }
        let solved = solved.map_err(|status| SolverError(format!("HiGHS returned {status:?}")))?;
        let is_proven = match solved.status() {
            HighsModelStatus::Infeasible | HighsModelStatus::UnboundedOrInfeasible => {
                return Ok(Answer::Infeasible);
            }
            HighsModelStatus::Optimal => true,
            HighsModelStatus::ReachedTimeLimit
            | HighsModelStatus::ReachedIterationLimit
            | HighsModelStatus::ReachedSolutionLimit => false,
            other => return Err(SolverError(format!("HiGHS ended with status {other:?}"))),
        };
        if solved.primal_solution_status() != HighsSolutionStatus::Feasible {
            return Ok(Answer::Unknown);
        }
        let whole_bound = if program.columns.iter().any(|column| column.integer) {
            solved
                .double_info_value(c"mip_dual_bound")
                .map_err(|status| SolverError(format!("HiGHS returned {status:?}")))?
        } else {
            solved.objective_value()
        };
        let values = solved.get_solution().columns().to_vec();
        Ok(Answer::Found {
            values,
            bound: whole_bound + exact_float(program.constant),
            proven: is_proven,
        })
    }
}

/// By how much a row or an integer may be off. HiGHS ends with an error when its own optimum is off
/// by more, as sums of large figures may be in floating point; then the next one is tried. What is
/// made of the answer is exact in any case.
const TOLERANCES: [f64; 3] = [1e-9, 1e-7, 1e-6];

/// The program as HiGHS takes it, with its start and its limits.
fn prepared_model(
    program: &Program,
    start: &[f64],
    effort: &Effort,
    tolerance: f64,
) -> Result<Model, SolverError> {
    let mut model = highs_model(program)?;
    configure_model(&mut model, effort, tolerance)?;
    if start.len() == program.columns.len() && !start.is_empty() {
        // A start that HiGHS refuses costs only speed.
        let _ = model.try_set_solution(Some(start), None, None, None);
    }
    Ok(model)
}

/// Integers up to 2⁵³ are exact; larger figures are refused when files are read.
fn exact_float(value: i64) -> f64 {
    value as f64
}

fn highs_model(program: &Program) -> Result<Model, SolverError> {
    let mut cost = program.columns.map(|_| 0.0);
    for (column, coefficient) in &program.objective {
        cost[*column] = exact_float(*coefficient);
    }
    let mut problem = RowProblem::default();
    let columns: IdVec<ColumnId, highs::Col> = program
        .columns
        .iter()
        .zip(cost)
        .map(|(column, cost)| {
            let upper = column.upper.map_or(f64::INFINITY, exact_float);
            problem.add_column_with_integrality(
                cost,
                exact_float(column.lower)..=upper,
                column.integer,
            )
        })
        .collect();
    for row in &program.rows {
        let scale = row_scale(row);
        let lower_bound = row
            .lower
            .map_or(f64::NEG_INFINITY, |lower| exact_float(lower) * scale);
        let upper = row
            .upper
            .map_or(f64::INFINITY, |upper| exact_float(upper) * scale);
        let terms = row
            .terms
            .iter()
            .map(|(column, coefficient)| (columns[*column], exact_float(*coefficient) * scale));
        problem.add_row(lower_bound..=upper, terms);
    }
    problem
        .try_optimise(Sense::Minimise)
        .map_err(|status| SolverError(format!("HiGHS refused the program: {status:?}")))
}

/// A power of two, which changes no digit, that makes a row's largest coefficient small: tolerances
/// are absolute. The least one stays well above what HiGHS takes for nothing.
fn row_scale(row: &Row) -> f64 {
    let sizes = || {
        row.terms
            .iter()
            .filter_map(|(_, coefficient)| coefficient.unsigned_abs().checked_ilog2())
    };
    let exponent = sizes()
        .max()
        .unwrap_or(0)
        .min(sizes().min().unwrap_or(0) + 20);
    1.0 / exact_float(1 << exponent.min(52))
}

/// The least time that HiGHS is given: with less it ends before it can report any result.
const LEAST_SECONDS: f64 = 0.01;

fn configure_model(model: &mut Model, effort: &Effort, tolerance: f64) -> Result<(), SolverError> {
    const _: () = assert!(SOLVER_SEED <= i32::MAX as u32);
    let seed = SOLVER_SEED as i32;
    let nodes = i32::try_from(effort.nodes).unwrap_or(i32::MAX);
    let settings = [
        model.try_set_option("threads", 1),
        model.try_set_option("parallel", "off"),
        model.try_set_option("random_seed", seed),
        // All objectives are integers: a gap under one is a proof.
        model.try_set_option("mip_rel_gap", 0.0),
        model.try_set_option("mip_abs_gap", 0.5),
        model.try_set_option("mip_feasibility_tolerance", tolerance),
        model.try_set_option("primal_feasibility_tolerance", tolerance.min(1e-7)),
        model.try_set_option("mip_max_nodes", nodes),
        model.try_set_option(
            "time_limit",
            effort
                .remaining_seconds()
                .unwrap_or(f64::INFINITY)
                .max(LEAST_SECONDS),
        ),
    ];
    settings
        .into_iter()
        .collect::<Result<(), _>>()
        .map_err(|_| SolverError("HiGHS refused a setting".to_owned()))
}
