//! What time costs: the frontier is all of it, and nothing else.

use crate::planning::oracle::{every_placement, with_limits};
use crate::support::case::{self, Random};
use crate::support::sandbox::Sandbox;
use insta_cmd::assert_cmd_snapshot;
use sky::catalog::Catalog;
use sky::model::{Job, Millis, Objective, Policy};
use sky::planning::compile::{Compiled, PartlyPriced, compile, compile_with};
use sky::planning::problem::Instance;
use sky::planning::solve::{Effort, exhaustive};
use sky::planning::{self, NoPlan};

const FRONTIER: [&str; 3] = ["frontier", "--catalog", "catalog"];

/// The pairs of cost and makespan that no other placement is better than in both, by looking at
/// every placement once for each. Results are brought home, or if that leaves no placement, left
/// where the way has no price from some places.
fn every_best(job: &Job, policy: &Policy, catalog: &Catalog) -> Vec<(i64, i64)> {
    let best =
        |partly| compile_with(job, policy, catalog, partly).map_or_else(|_| Vec::new(), best_pairs);
    let pairs = best(PartlyPriced::Home);
    if pairs.is_empty() {
        best(PartlyPriced::There)
    } else {
        pairs
    }
}

fn best_pairs(compiled: Compiled) -> Vec<(i64, i64)> {
    let mut instance = Instance {
        minimize: Objective::Cost,
        ..compiled.instance
    };
    let mut pairs = Vec::new();
    while let Some((_, best)) = exhaustive::best(&instance) {
        pairs.push((best.cost().0, best.makespan.signed()));
        let Some(faster) = best.makespan.0.checked_sub(1) else {
            break;
        };
        instance.deadline = Some(Millis(faster));
    }
    pairs
}

#[test]
fn the_frontier_is_that_of_all_placements() {
    let (mut points, mut most, mut none) = (0, 0, 0);
    for number in 40_000..40_250 {
        let case = case::random(number);
        let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
        let Some(all) = every_placement(&job, &policy, &catalog) else {
            continue;
        };
        let policy = with_limits(&policy, &all, &mut Random(number));
        // Where volumes run through tiers together the reference does not look at every way.
        if compile(&job, &policy, &catalog)
            .is_ok_and(|compiled| !compiled.instance.links.pools.is_empty())
        {
            continue;
        }
        let expected = every_best(&job, &policy, &catalog);
        match planning::frontier(&job, &policy, &catalog, &Effort::default(), 1000) {
            Ok(found) => {
                let figures = |point: &planning::Point| {
                    assert!(point.figures.proven, "case {number}");
                    (
                        point.figures.cost.0,
                        i64::try_from(point.figures.makespan.0).unwrap(),
                    )
                };
                let pairs: Vec<(i64, i64)> = found.points.iter().map(figures).collect();
                assert_eq!(pairs, expected, "case {number}\n{case:#?}\n{policy:#?}");
                assert_eq!(found.total, Some(pairs.len()));
                points += pairs.len();
                most = most.max(pairs.len());
                // With fewer points: the ends are kept, and all are of the frontier.
                let few =
                    planning::frontier(&job, &policy, &catalog, &Effort::default(), 2).unwrap();
                assert_eq!(
                    (few.points.first(), few.points.last()),
                    (found.points.first(), found.points.last())
                );
                assert_eq!(
                    (few.points.len(), few.total),
                    (pairs.len().min(2), found.total)
                );
            }
            Err(NoPlan::Refused(_) | NoPlan::Infeasible(_)) => {
                assert_eq!(expected, [], "case {number}");
                none += 1;
            }
            Err(error) => panic!("case {number}: {error:?}"),
        }
    }
    assert!(
        points >= 120 && most >= 4 && none >= 10,
        "{points} {most} {none}"
    );
}

#[test]
fn as_people_and_programs_read_it() {
    let sandbox = Sandbox::bert();
    // GPUs that are faster than what is cheaper.
    sandbox
        .replace("policy.toml", "deadline = \"6 h\"", "")
        .replace("job.toml", "\"8.4 h\"", "\"3.5 h\"");
    sandbox.replace("job.toml", "\"1.8 h\"", "\"0.9 h\"");
    let at_80 = |args: &[&str]| {
        let mut command = sandbox.sky(&[&FRONTIER[..], args].concat());
        command.env("COLUMNS", "80");
        command
    };
    assert_cmd_snapshot!("frontier_text", at_80(&[]));
    assert_cmd_snapshot!("frontier_text_of_two", at_80(&["--points", "2"]));
    assert_cmd_snapshot!("frontier_json", at_80(&["--json"]));
    let svg = sandbox.path("frontier.svg");
    let text = sandbox.stdout(&[&FRONTIER[..], &["--svg", "frontier.svg"]].concat(), 0);
    assert_eq!(
        text,
        sandbox.stdout(&FRONTIER, 0),
        "the table comes with the drawing too"
    );
    insta::assert_snapshot!("frontier_svg", std::fs::read_to_string(svg).unwrap());
}

#[test]
fn what_cannot_be() {
    let sandbox = Sandbox::bert();
    sandbox.replace("policy.toml", "6 h", "90 m");
    assert_cmd_snapshot!("frontier_without_a_plan", sandbox.sky(&FRONTIER));
    assert_cmd_snapshot!(
        "frontier_without_a_plan_as_json",
        sandbox.sky(&[&FRONTIER[..], &["--json"]].concat())
    );
    assert_cmd_snapshot!(
        "frontier_of_one_point",
        sandbox.sky(&["frontier", "--points", "1"])
    );
    assert_cmd_snapshot!(
        "frontier_over_its_job",
        sandbox.sky(&["frontier", "--svg", "job.toml"])
    );
}
