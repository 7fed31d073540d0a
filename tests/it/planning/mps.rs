//! `--emit-mps`: the file says what the program says. The reader below knows only what the
//! format's documentation says, so that any other solver would read the same.

use crate::support::case::random;
use crate::support::rich::rich;
use crate::support::sandbox::Sandbox;
use sky::model::{Objective, Policy};
use sky::planning::compile;
use sky::planning::problem::{Column, ColumnId, Goal, Program, Row, Target, lower};
use sky::planning::solve::Effort;
use sky::planning::solve::solver::{Answer, Solver};
use sky::planning::solve::{Highs, Outcome, solve};
use sky::util::id_vec::Id;
use std::collections::BTreeMap;

/// Reads free-format MPS with integer markers, RANGES, and bounds LO, UP and PL.
fn read(text: &str) -> Program {
    let mut program = Program::default();
    let mut kinds: Vec<char> = Vec::new();
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let mut columns: BTreeMap<String, ColumnId> = BTreeMap::new();
    let (mut section, mut integer, mut ended) = (String::new(), false, false);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(' ') {
            section = words[0].to_owned();
            if section == "NAME" {
                program.name = words[1].to_owned();
            }
            ended = section == "ENDATA";
            continue;
        }
        match (section.as_str(), words.as_slice()) {
            ("ROWS", ["N", "objective"]) => {}
            ("ROWS", [kind, name]) => {
                let (lower, upper) = match *kind {
                    "E" => (Some(0), Some(0)),
                    "G" => (Some(0), None),
                    "L" => (None, Some(0)),
                    other => panic!("{other} {name}"),
                };
                kinds.push(kind.chars().next().unwrap());
                let known = rows.insert((*name).to_owned(), program.rows.len());
                assert_eq!(known, None, "{name} is there twice");
                program.rows.push(Row {
                    name: (*name).to_owned(),
                    lower,
                    upper,
                    terms: Vec::new(),
                });
            }
            ("COLUMNS", [_, "'MARKER'", marker]) => integer = *marker == "'INTORG'",
            ("COLUMNS", [column, row, figure]) => {
                let index = *columns.entry((*column).to_owned()).or_insert_with(|| {
                    program.columns.push(Column {
                        name: (*column).to_owned(),
                        lower: 0,
                        upper: None,
                        integer,
                    })
                });
                assert_eq!(
                    index.index() + 1,
                    program.columns.len(),
                    "the entries of {column} are not together"
                );
                let figure: i64 = figure.parse().unwrap();
                let terms = if *row == "objective" {
                    &mut program.objective
                } else {
                    &mut program.rows[rows[*row]].terms
                };
                if figure != 0 {
                    terms.push((index, figure));
                }
            }
            ("RHS", [_, "objective", figure]) => program.constant = -figure.parse::<i64>().unwrap(),
            ("RHS", [_, row, figure]) => {
                let row = &mut program.rows[rows[*row]];
                let figure = figure.parse().unwrap();
                (row.lower, row.upper) = (row.lower.map(|_| figure), row.upper.map(|_| figure));
            }
            ("RANGES", [_, row, figure]) => {
                assert_eq!(kinds[rows[*row]], 'G');
                let row = &mut program.rows[rows[*row]];
                row.upper = row
                    .lower
                    .map(|lower| lower + figure.parse::<i64>().unwrap());
            }
            ("BOUNDS", ["LO", _, column, figure]) => {
                program.columns[columns[*column]].lower = figure.parse().unwrap()
            }
            ("BOUNDS", ["UP", _, column, figure]) => {
                program.columns[columns[*column]].upper = Some(figure.parse().unwrap());
            }
            ("BOUNDS", ["PL", _, column]) => program.columns[columns[*column]].upper = None,
            (section, words) => panic!("{section}: {words:?}"),
        }
    }
    assert!(ended, "no ENDATA");
    program
}

fn minimum(program: &Program) -> Option<i64> {
    match Highs.minimize(program, &[], &Effort::default()).unwrap() {
        Answer::Infeasible => None,
        Answer::Found { values, proven, .. } => {
            assert!(proven);
            let terms = program
                .objective
                .iter()
                .map(|(column, cost)| *cost as f64 * values[column.index()]);
            Some(program.constant + terms.sum::<f64>().round() as i64)
        }
        Answer::Unknown => panic!("no answer"),
    }
}

#[test]
fn the_file_of_the_bert_job_solves_to_its_optimum() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(
        &["plan", "--catalog", "catalog", "--emit-mps", "bert.mps"],
        0,
    );
    assert_eq!(minimum(&read(&sandbox.read("bert.mps"))), Some(39_744_652));
    let fastest = [
        "plan",
        "--catalog",
        "catalog",
        "--emit-mps",
        "bert.mps",
        "--policy",
        "fastest",
    ];
    sandbox.stdout(&fastest, 0);
    assert_eq!(minimum(&read(&sandbox.read("bert.mps"))), Some(20_631_576));
    // It is written also when there is no plan: then it shows why.
    sandbox.write("tight.toml", "[limits]\ndeadline = \"5 h 42 m 51 s\"\n");
    sandbox.stdout(
        &[
            "plan",
            "--catalog",
            "catalog",
            "--emit-mps",
            "bert.mps",
            "--policy",
            "tight.toml",
        ],
        3,
    );
    assert_eq!(minimum(&read(&sandbox.read("bert.mps"))), None);
}

#[test]
fn files_say_what_the_program_says() {
    let (mut read_back, mut solved) = (0, 0);
    for number in 3000..3060 {
        let case = random(number);
        let (job, catalog) = (case.job(), case.catalog());
        let policy = Policy {
            budget: None,
            deadline: None,
            ..case.policy()
        };
        let Ok(compiled) = compile::compile(&job, &policy, &catalog) else {
            continue;
        };
        let objective = match policy.minimize {
            Objective::Cost => Goal::Cost,
            Objective::Time => Goal::Makespan,
        };
        let target = Target {
            objective,
            ..Target::default()
        };
        let program = lower(&compiled.instance, &target).program;
        let text = sky::planning::program(
            &job,
            &policy,
            &catalog,
            &sky::planning::solve::Effort::default(),
        )
        .unwrap();
        let again = read(&text);
        assert_eq!(again, program, "case {number}");
        read_back += 1;
        let effort = Effort::default();
        let expected = match solve(&compiled.instance, &Highs, &effort).unwrap() {
            Outcome::Infeasible(_) => None,
            Outcome::Solved(solved) => Some(match policy.minimize {
                Objective::Cost => solved.evaluation.cost().0,
                Objective::Time => solved.evaluation.makespan.signed(),
            }),
        };
        assert_eq!(minimum(&again), expected, "case {number}");
        solved += usize::from(expected.is_some());
    }
    assert!(read_back >= 30 && solved >= 25, "{read_back} {solved}");
}

/// Tiers, quotas, preferences, copies of copies, weights: any other solver gets to the plan's
/// objective from the file alone.
#[test]
fn files_of_rich_cases_solve_to_the_objectives_of_their_plans() {
    let mut solved = 0;
    for number in 230_000..230_120 {
        let case = rich(number);
        let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
        let settings = sky::planning::Settings {
            effort: Effort::default(),
            compare: false,
        };
        let Ok(plan) = sky::planning::plan(&job, &policy, &catalog, &settings) else {
            continue;
        };
        let text = sky::planning::program(&job, &policy, &catalog, &Effort::default()).unwrap();
        let value = match policy.minimize {
            Objective::Time => i64::try_from(plan.totals.makespan_ms.0).unwrap(),
            // With what the time is worth: with weights the bound is that of the sum.
            Objective::Cost => plan.solver.bound_micro_usd.0,
        };
        let found = minimum(&read(&text)).unwrap();
        // The worth of time and pieces of tariffs are rounded once in the plan.
        assert!(
            (found - value).abs() <= 1,
            "case {number}: {found}, the plan has {value}"
        );
        solved += 1;
    }
    assert!(solved >= 50, "{solved}");
}
