//! The whole search against the exhaustive one, picks included: the optimum is unique.

use super::solver::Answer;
use super::{Effort, Highs, Outcome, Solver, SolverError, exhaustive, solve};
use crate::problem::Program;
use crate::problem::samples::instances;
use proptest::prelude::*;
use std::cell::Cell;

/// Counts what reaches the solver.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Solver for Counting {
    fn name(&self) -> &'static str {
        Highs.name()
    }

    fn version(&self) -> String {
        Highs.version()
    }

    fn minimize(&self, program: &Program, start: &[f64], effort: &Effort) -> Result<Answer, SolverError> {
        self.0.set(self.0.get() + 1);
        Highs.minimize(program, start, effort)
    }
}

#[test]
fn the_one_best_placement_is_found() {
    let solver = Counting::default();
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&instances(), |instance| {
        let expected = exhaustive::best(&instance);
        match solve(&instance, &solver, &Effort::default()).unwrap() {
            Outcome::Solved(solved) => {
                prop_assert_eq!(Some((solved.picks, solved.evaluation)), expected);
                prop_assert!(solved.proof.optimal);
            }
            Outcome::Infeasible(_) => prop_assert_eq!(None, expected),
        }
        Ok(())
    });
    result.unwrap();
    // Bounds and search must not do all the work here, or the programs would go untested.
    assert!(solver.0.get() > 100, "{} programs", solver.0.get());
}

#[test]
fn plans_name_the_solvers_that_are_built_in() {
    let lock = include_str!("../../Cargo.lock");
    for (package, version) in [("highs-sys", Highs.version()), ("microlp", super::Microlp.version())] {
        assert!(lock.contains(&format!("name = \"{package}\"\nversion = \"{version}\"")), "{package} {version}");
    }
}
