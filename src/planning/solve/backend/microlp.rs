//! microlp, through `good_lp`: a small solver in plain Rust. Slow on large programs, but it shares
//! no line with HiGHS, so that the two check each other.

use crate::planning::problem::{ColumnId, Program};
use crate::planning::solve::backend::solver::{Answer, Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::util::id_vec::{Id, IdVec};
use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint,
    variable,
};

/// microlp: branch and bound over a dual simplex, one thread, no randomness. It knows no limit on
/// nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Microlp;

impl Solver for Microlp {
    fn name(&self) -> &'static str {
        "microlp"
    }

    fn version(&self) -> String {
        // Cargo.lock pins it.
        "0.6.0".to_owned()
    }

    fn minimize(&self, program: &Program, _: &[f64], _: &Effort) -> Result<Answer, SolverError> {
        let mut variables = ProblemVariables::new();
        let columns: IdVec<ColumnId, Variable> = program
            .columns
            .iter()
            .map(|column| {
                let definition = variable().min(column.lower as f64);
                let definition = column
                    .upper
                    .map_or(definition.clone(), |upper| definition.max(upper as f64));
                variables.add(if column.integer {
                    definition.integer()
                } else {
                    definition
                })
            })
            .collect();
        let sum_of = |terms: &[(ColumnId, i64)]| -> Expression {
            terms
                .iter()
                .map(|(column, coefficient)| *coefficient as f64 * columns[*column])
                .sum()
        };
        let mut model = variables
            .minimise(sum_of(&program.objective))
            .using(good_lp::microlp);
        for row in &program.rows {
            match (row.lower, row.upper) {
                (Some(lower), Some(upper)) if lower == upper => {
                    model.add_constraint(constraint::eq(sum_of(&row.terms), lower as f64));
                }
                (lower, upper) => {
                    if let Some(lower) = lower {
                        model.add_constraint(constraint::geq(sum_of(&row.terms), lower as f64));
                    }
                    if let Some(upper) = upper {
                        model.add_constraint(constraint::leq(sum_of(&row.terms), upper as f64));
                    }
                }
            }
        }
        match model.solve() {
            Ok(solution) => {
                let values: Vec<f64> = columns
                    .iter()
                    .map(|column| solution.value(*column))
                    .collect();
                let cost = program
                    .objective
                    .iter()
                    .map(|(column, coefficient)| *coefficient as f64 * values[column.index()]);
                let lower_bound = cost.sum::<f64>() + program.constant as f64;
                Ok(Answer::Found {
                    values,
                    bound: lower_bound,
                    proven: true,
                })
            }
            Err(ResolutionError::Infeasible) => Ok(Answer::Infeasible),
            Err(error) => Err(SolverError(error.to_string())),
        }
    }
}
