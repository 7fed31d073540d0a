//! The program says the same as the instance.

use super::samples::{instances, rich_instances};
use super::{Column, ColumnId, Goal, Instance, Program, Row, Target, evaluate_on, lower, mps};
use crate::planning::solve::Effort;
use crate::planning::solve::solver::{Answer, SolverError};
use crate::planning::solve::{Highs, Microlp, Solver, exhaustive};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use std::cell::Cell;
use std::collections::BTreeMap;

/// The optimum of the bare program, without search, reduction or passes.
fn program_optimum(instance: &Instance, solver: &dyn Solver) -> Result<Option<i64>, SolverError> {
    let lowered = lower(instance, &Target::of(instance));
    let Answer::Found {
        values,
        proven: true,
        ..
    } = solver.minimize(&lowered.program, &[], &Effort::default())?
    else {
        return Ok(None);
    };
    let (placement, routes) = (lowered.placement(&values), lowered.routes(&values));
    let found = evaluate_on(instance, &instance.shape(), &placement, &routes).unwrap();
    Ok(Some(instance.score(&found)))
}

/// Plain instances, and ones with all that a program can say of itself: preferences are a pass of
/// their own, and rows for stages that may run at once are added as they are needed.
fn either() -> impl Strategy<Value = Instance> {
    let rich = rich_instances().prop_map(|mut instance| {
        instance
            .caps
            .iter_mut()
            .for_each(|cap| cap.concurrent = false);
        instance
            .stages
            .iter_mut()
            .flat_map(|stage| &mut stage.choices)
            .for_each(|choice| choice.rank = 0);
        instance
    });
    prop_oneof![instances(), rich]
}

#[test]
fn the_program_has_the_optimum_of_the_instance() {
    let config = ProptestConfig {
        cases: 800,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let compared = Cell::new(0);
    let result = TestRunner::new(config).run(&either(), |instance| {
        let expected = exhaustive::best(&instance).map(|(_, found)| instance.score(&found));
        prop_assert_eq!(program_optimum(&instance, &Highs).unwrap(), expected);
        // A solver that shares no code with the first. It knows no scaling and now and then gives
        // up on a singular matrix; what it does answer must be right.
        if let Ok(optimum) = program_optimum(&instance, &Microlp) {
            prop_assert_eq!(optimum, expected);
            compared.set(compared.get() + 1);
        }
        Ok(())
    });
    result.unwrap();
    assert!(compared.get() > 750, "{} compared", compared.get());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mps_text_holds_the_whole_program(instance in instances()) {
        for (objective, time_limit) in [(Goal::Cost, None), (Goal::Cost, instance.deadline), (Goal::Makespan, instance.deadline)] {
            let program = lower(&instance, &Target { objective, cost_limit: instance.budget, time_limit, ..Target::default() }).program;
            prop_assert_eq!(read_mps(&mps::text(&program)), program);
        }
    }
}

/// A reader of the free MPS format as its description gives it, for the sections that occur.
fn read_mps(text: &str) -> Program {
    let mut program = Program::default();
    let mut section = "";
    let mut integer = false;
    let mut kinds: Vec<char> = Vec::new();
    let mut row_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut column_of: BTreeMap<String, ColumnId> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(' ') {
            section = words[0];
            if section == "NAME" {
                program.name = words[1].to_owned();
            }
            continue;
        }
        let number = |word: &str| word.parse::<i64>().unwrap();
        match (section, &words[..]) {
            ("ROWS", ["N", "objective"]) => {}
            ("ROWS", [kind, name]) => {
                assert!(
                    row_of
                        .insert((*name).to_owned(), program.rows.len())
                        .is_none(),
                    "two rows {name}"
                );
                kinds.push(kind.chars().next().unwrap());
                let (lower, upper) = match *kind {
                    "E" => (Some(0), Some(0)),
                    "G" => (Some(0), None),
                    _ => (None, Some(0)),
                };
                program.rows.push(Row {
                    name: (*name).to_owned(),
                    lower,
                    upper,
                    terms: Vec::new(),
                });
            }
            ("COLUMNS", [_, "'MARKER'", marker]) => integer = *marker == "'INTORG'",
            ("COLUMNS", [column, row, value]) => {
                let index = *column_of.entry((*column).to_owned()).or_insert_with(|| {
                    let column = Column {
                        name: (*column).to_owned(),
                        lower: 0,
                        upper: None,
                        integer,
                    };
                    program.columns.push(column)
                });
                match row_of.get(*row) {
                    Some(row) => program.rows[*row].terms.push((index, number(value))),
                    None if number(value) != 0 => program.objective.push((index, number(value))),
                    None => {}
                }
            }
            ("RHS", [_, "objective", value]) => program.constant = -number(value),
            ("RHS", [_, row, value]) => {
                let row = &mut program.rows[row_of[*row]];
                row.lower = row.lower.map(|_| number(value));
                row.upper = row.upper.map(|_| number(value));
            }
            ("RANGES", [_, row, value]) => {
                assert_eq!(kinds[row_of[*row]], 'G');
                let row = &mut program.rows[row_of[*row]];
                row.upper = row.lower.map(|lower| lower + number(value));
            }
            ("BOUNDS", ["UP", _, column, value]) => {
                program.columns[column_of[*column]].upper = Some(number(value))
            }
            ("BOUNDS", ["PL", _, _]) => {}
            other => panic!("unknown line {other:?}"),
        }
    }
    program
}
