//! Counting against the exhaustive search and against the program that places every stage by
//! itself.

use super::Counted;
use crate::model::{Bandwidth, Bytes, DataRate, Millis, Money, Objective, Tariff};
use crate::planning::problem::{
    Artifact, CandidateId, CandidateUse, Cap, Choice, ChoiceId, Instance, Links, Lowered, Origin,
    Placement, Price, PriceId, SiteId, StageChoices, StageId, Target, concurrency, evaluate, lower,
};
use crate::planning::solve::backend::solver::Answer;
use crate::planning::solve::{Effort, Highs, Outcome, Solver, exhaustive, solve};
use crate::util::id_vec::{Id, IdVec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Replicas of up to two stages at up to three sites, at most so many at each site or of each kind
/// of choice, with data that all read, results that one stage collects, and limits.
fn replicas() -> impl Strategy<Value = Instance> {
    let choices = || proptest::collection::vec((0..3_usize, 1..5_i64, 1..4_i64), 1..4);
    let shape = (
        choices(),
        choices(),
        1..4_usize,
        0..3_usize,
        any::<(bool, bool)>(),
    );
    let limits = (
        proptest::collection::vec(1..4_i64, 3),
        proptest::option::of(60_000..400_000_i64),
        proptest::option::of(200_000..2_500_000_i64),
        any::<(bool, bool, bool)>(),
    );
    (
        shape,
        limits,
        proptest::collection::vec(proptest::option::weighted(0.9, 0..3_u16), 9),
    )
        .prop_map(
            |(
                (one, two, ones, twos, (dataset, collected)),
                (most, deadline, budget, (concurrent, timed, spread)),
                tariff,
            )| {
                let mut stages: IdVec<StageId, StageChoices> = (0..ones)
                    .map(|number| stage(format!("a{number}"), &one))
                    .collect();
                stages.extend((0..twos).map(|number| stage(format!("b{number}"), &two)));
                let members: Vec<StageId> = stages.ids().collect();
                let mut artifacts = IdVec::new();
                if dataset {
                    let origin = Origin::Site(SiteId::new(0));
                    artifacts.push(artifact("data".to_owned(), origin, members.clone()));
                }
                if collected {
                    let collect = stages.push(stage("collect".to_owned(), &[(1, 1, 1)]));
                    let made = |maker: StageId| {
                        artifact(format!("o{maker}"), Origin::Stage(maker), vec![collect])
                    };
                    artifacts.extend(members.iter().copied().map(made));
                }
                let cap = |(site, limit): (SiteId, &i64)| Cap {
                    label: "cap".to_owned(),
                    limit: *limit,
                    concurrent,
                    uses: cap_uses(&stages, members.len(), site, spread),
                };
                let caps = (0..).map(SiteId::new).zip(&most).map(cap).collect();
                Instance {
                    stages,
                    artifacts,
                    links: links(tariff),
                    caps,
                    minimize: if timed {
                        Objective::Time
                    } else {
                        Objective::Cost
                    },
                    deadline: deadline.map(Millis::from_signed),
                    budget: budget.map(Money),
                    ..Instance::default()
                }
            },
        )
}

/// A stage with choices by site, cost in tenths of a dollar, and minutes.
fn stage(label: String, choices: &[(usize, i64, i64)]) -> StageChoices {
    let choice = |(tag, (site, cost, time)): (usize, &(usize, i64, i64))| Choice {
        site: SiteId::new(*site),
        cost: Money(cost * 100_000),
        duration: Millis::from_signed(time * 60_000),
        tag: CandidateId::new(tag),
        ..Choice::default()
    };
    StageChoices {
        label,
        choices: choices.iter().enumerate().map(choice).collect(),
        deadline: None,
    }
}

fn artifact(label: String, origin: Origin, readers: Vec<StageId>) -> Artifact {
    let bytes = Bytes(1_000_000_000);
    Artifact {
        label,
        origin,
        bytes,
        link_bytes: bytes,
        readers,
    }
}

/// What the first stages use of a cap: one each at a site, or as much as the number of the choice.
fn cap_uses(
    stages: &IdVec<StageId, StageChoices>,
    members: usize,
    site: SiteId,
    spread: bool,
) -> IdVec<StageId, Vec<CandidateUse>> {
    let uses = |stage: &StageChoices| -> Vec<CandidateUse> {
        let bound = stage
            .choices
            .iter()
            .filter(|choice| choice.site == site || !spread);
        bound
            .map(|choice| CandidateUse {
                candidate: choice.tag,
                used: if spread { 1 } else { choice.tag.index() as i64 },
            })
            .collect()
    };
    stages
        .iter_enumerated()
        .map(|(index, stage)| match index.index() < members {
            true => uses(stage),
            false => Vec::new(),
        })
        .collect()
}

/// Links between three sites, by the price class of each pair.
fn links(tariff: Vec<Option<u16>>) -> Links {
    let price = |rate: i64| Price {
        tariff: Tariff::new([(Bytes(0), DataRate(rate))]),
        ..Price::default()
    };
    Links {
        sites: 3,
        labels: (0..3).map(|site| format!("p{site}")).collect(),
        tariff: tariff
            .into_iter()
            .map(|class| class.map(PriceId::new))
            .collect(),
        tariffs: IdVec::from(vec![Price::default(), price(20_000_000), price(90_000_000)]),
        pools: IdVec::new(),
        bandwidth: vec![Bandwidth(80_000_000); 9],
    }
}

/// The cost of the program that has a variable for every stage and choice.
fn placed_one_by_one(instance: &Instance) -> Option<i64> {
    let Lowered { program, .. } = lower(instance, &Target::of(instance));
    match Highs.minimize(&program, &[], &Effort::default()).unwrap() {
        Answer::Found {
            bound,
            proven: true,
            ..
        } => Some(bound.round() as i64),
        Answer::Infeasible => None,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_that_are_counted_get_the_one_best_placement(instance in replicas()) {
        let expected = exhaustive::best(&instance).map(|(placement, best)| (placement, best.cost(), best.makespan));
        let found = match solve(&instance, &Highs, &Effort::default()).unwrap() {
            Outcome::Solved(solved) if !solved.waits.is_empty() => {
                // Where replicas wait for each other, only the first figure is proven.
                let best = exhaustive::best(&instance).map(|(_, best)| instance.score(&best));
                prop_assert_eq!(Some(instance.score(&solved.evaluation)), best);
                prop_assert!(solved.proof.optimal);
                return Ok(());
            }
            Outcome::Solved(solved) => {
                prop_assert!(solved.proof.optimal);
                Some((solved.placement, solved.evaluation.cost(), solved.evaluation.makespan))
            }
            Outcome::Infeasible(_) => None,
        };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn counting_and_placing_one_by_one_cost_the_same(instance in replicas()) {
        let mut instance = Instance { minimize: Objective::Cost, ..instance };
        instance.caps.iter_mut().for_each(|cap| cap.concurrent = false);
        let shape = instance.shape();
        prop_assume!(Counted::of(&instance, &shape).is_some());
        let found = match solve(&instance, &Highs, &Effort::default()).unwrap() {
            Outcome::Solved(solved) => Some(solved.evaluation.cost().0),
            Outcome::Infeasible(_) => None,
        };
        prop_assert_eq!(found, placed_one_by_one(&instance));
    }
}

/// A thousand replicas over forty sites, at most thirty at each.
#[test]
fn a_thousand_replicas_under_a_spread_are_counted() {
    let sites = 40;
    let choice = |site: SiteId| Choice {
        site,
        cost: Money(100 + site.index() as i64),
        duration: Millis(1),
        tag: CandidateId::new(site.index()),
        ..Choice::default()
    };
    let stage = |number: usize| StageChoices {
        label: format!("s{number}"),
        choices: SiteId::below(sites).map(choice).collect(),
        deadline: None,
    };
    let stages: IdVec<StageId, StageChoices> = (0..1000).map(stage).collect();
    let cap = |site: SiteId| Cap {
        label: format!("spread at {site}"),
        limit: 30,
        concurrent: false,
        uses: stages.map(|_| {
            vec![CandidateUse {
                candidate: CandidateId::new(site.index()),
                used: 1,
            }]
        }),
    };
    let links = Links {
        sites,
        tariff: vec![None; sites * sites],
        ..Links::default()
    };
    let caps = SiteId::below(sites).map(cap).collect();
    let instance = Instance {
        stages,
        caps,
        links,
        ..Instance::default()
    };
    let Outcome::Solved(solved) = solve(&instance, &Highs, &Effort::default()).unwrap() else {
        panic!("no placement")
    };
    assert!(solved.proof.optimal);
    // Thirty at each of the 33 cheapest sites, ten at the next one, in order.
    let expected: Placement = (0..1000).map(|stage| ChoiceId::new(stage / 30)).collect();
    assert_eq!(solved.placement, expected);
    assert_eq!(concurrency::excess(&instance, &solved.placement), 0);
    assert_eq!(
        evaluate(&instance, &instance.shape(), &solved.placement).map(|found| found.cost()),
        Some(solved.evaluation.cost())
    );
}
