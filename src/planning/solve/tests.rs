//! The whole search against the exhaustive one, placements included: the optimum is unique.

use crate::model::Objective;
use crate::planning::problem::concurrency::exceeded_cap;
use crate::planning::problem::samples::{instances, rich_instances};
use crate::planning::problem::timetable::{CapacityWait, concurrent_uses, first_overload};
use crate::planning::problem::{Evaluation, Instance, Program};
use crate::planning::solve::backend::solver::Answer;
use crate::planning::solve::bound::forest::forest;
use crate::planning::solve::{Effort, Highs, Outcome, Solver, SolverError, exhaustive, solve};
use crate::util::id_vec::IdVec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
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

    fn minimize(
        &self,
        program: &Program,
        start: &[f64],
        effort: &Effort,
    ) -> Result<Answer, SolverError> {
        self.0.set(self.0.get() + 1);
        Highs.minimize(program, start, effort)
    }
}

/// The whole search against the exhaustive one, on as many instances. Where stages wait for room
/// under a cap, only the first figure is proven, and the other one is compared as far as it is as
/// good.
fn agrees(cases: u32, instances: impl Strategy<Value = Instance>, programs: usize, waits: usize) {
    let solver = Counting::default();
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let (waiting, as_good) = (Cell::new(0), Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&instances, |instance| {
        let expected = exhaustive::best(&instance);
        match solve(&instance, &solver, &Effort::default()).unwrap() {
            Outcome::Solved(solved) if !solved.waits.is_empty() => {
                waiting.set(waiting.get() + 1);
                let Some((_, best)) = expected else {
                    return Err(TestCaseError::fail("a placement that breaks a limit"));
                };
                let found = &solved.evaluation;
                prop_assert_eq!(
                    instance.score(found),
                    instance.score(&best),
                    "{:?}",
                    solved.proof
                );
                prop_assert!(solved.proof.optimal);
                prop_assert!((found.cost(), found.makespan) >= (best.cost(), best.makespan));
                as_good.set(as_good.get() + usize::from(found.makespan == best.makespan));
                let uses = concurrent_uses(&instance.caps, &instance, &solved.placement);
                prop_assert_eq!(
                    first_overload(&instance.caps, &uses, &found.start, &found.end),
                    None
                );
                // The waits keep the caps whatever the durations are.
                let mut waiting = instance.clone();
                waiting
                    .precedence
                    .extend(solved.waits.iter().map(CapacityWait::precedence));
                let shape = waiting.shape();
                prop_assert_eq!(exceeded_cap(&waiting, &shape, &solved.placement), None);
            }
            Outcome::Solved(solved) => {
                let figures = |evaluation: &Evaluation| (evaluation.cost(), evaluation.makespan);
                let expected =
                    expected.map(|(placement, evaluation)| (figures(&evaluation), placement));
                prop_assert_eq!(
                    Some((figures(&solved.evaluation), solved.placement)),
                    expected
                );
                prop_assert!(solved.proof.optimal);
            }
            Outcome::Infeasible(_) => prop_assert_eq!(None, expected),
        }
        Ok(())
    });
    result.unwrap();
    // Bounds and search must not do all the work here, or the programs would go untested.
    assert!(solver.0.get() > programs, "{} programs", solver.0.get());
    assert!(waiting.get() >= waits, "{} with waits", waiting.get());
    assert!(
        as_good.get() * 10 >= waiting.get() * 9,
        "{} of {}",
        as_good.get(),
        waiting.get()
    );
}

#[test]
fn the_one_best_placement_is_found() {
    agrees(600, instances(), 100, 0);
}

#[test]
fn the_best_placement_is_found_whatever_an_instance_says() {
    agrees(1000, rich_instances(), 300, 50);
}

#[test]
fn plans_name_the_solvers_that_are_built_in() {
    let lock = include_str!("../../../Cargo.lock");
    for (package, version) in [
        ("highs-sys", Highs.version()),
        ("microlp", crate::planning::solve::Microlp.version()),
    ] {
        assert!(
            lock.contains(&format!("name = \"{package}\"\nversion = \"{version}\"")),
            "{package} {version}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// No placement with a choice costs less than the forest says of that choice.
    #[test]
    fn the_forest_bounds_every_choice(instance in instances()) {
        let instance = Instance { minimize: Objective::Cost, deadline: None, budget: None, ..instance };
        let found = exhaustive::best(&instance).map(|(_, best)| best.cost().0);
        match (forest(&instance, &instance.shape()), found) {
            (None, found) => prop_assert_eq!(found, None),
            (Some(forest), found) => {
                prop_assert!(found.is_none_or(|cost| forest.least <= cost));
                for (stage, bounds) in forest.with.iter_enumerated() {
                    for (position, bound) in bounds.iter_enumerated() {
                        let mut held = instance.clone();
                        held.stages[stage].choices = IdVec::from(vec![instance.stages[stage].choices[position]]);
                        let cost = exhaustive::best(&held).map(|(_, best)| best.cost().0);
                        prop_assert!(cost.is_none_or(|cost| *bound <= cost), "{bound} > {cost:?}");
                        prop_assert!(*bound >= forest.least);
                    }
                }
            }
        }
    }
}
