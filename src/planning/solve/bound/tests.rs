//! Every bound against the exhaustive search: none is above what can be had, and nothing is dropped
//! that the one best placement has.

use crate::model::{Bandwidth, Bytes, DataRate, Millis, Money, Objective, Tariff};
use crate::planning::problem::samples::{instances, rich_instances};
use crate::planning::problem::{
    Artifact, CandidateId, Choice, ChoiceId, Instance, Links, Origin, Price, PriceId, SiteId,
    StageChoices, StageId, evaluate,
};
use crate::planning::solve::bound::closing_bounds::{
    ChoicesWithin, choices_within, close_gap, cost_bound,
};
use crate::planning::solve::bound::fastest_placement::fastest_placement;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use crate::planning::solve::heuristic::incumbent::Incumbent;
use crate::planning::solve::limits::Limits;
use crate::planning::solve::presolve::reduction::reduce;
use crate::planning::solve::time_expanded::by_deadline::by_deadline;
use crate::planning::solve::time_expanded::{NetworkInputs, SearchWork, raise_bound};
use crate::planning::solve::{Effort, Highs, Monitor, SolveMonitor, exhaustive};
use crate::util::id_vec::{Id, IdVec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Only cost counts, and transfers come straight from their origins.
fn free(instance: &Instance) -> Instance {
    Instance {
        minimize: Objective::Cost,
        deadline: None,
        budget: None,
        relays: false,
        ..instance.clone()
    }
}

/// Time counts as a limit alone.
fn limited(instance: &Instance, deadline: i64) -> Instance {
    Instance {
        minimize: Objective::Cost,
        deadline: Some(Millis::from_signed(deadline)),
        budget: None,
        relays: false,
        ..instance.clone()
    }
}

fn held(instance: &Instance, stage: StageId, choice: ChoiceId) -> Instance {
    let mut held = instance.clone();
    held.stages[stage].choices = IdVec::from(vec![instance.stages[stage].choices[choice]]);
    held
}

fn least(instance: &Instance) -> Option<i64> {
    exhaustive::best(instance).map(|(_, best)| best.cost().0)
}

#[test]
fn no_placement_costs_less_than_the_bound_and_most_bounds_are_met() {
    let (met, all) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config(600)).run(&instances(), |instance| {
        let instance = free(&instance);
        let shape = instance.shape();
        let Some(least) = least(&instance) else {
            prop_assert!(close_gap(&instance, &shape, &Effort::default()).is_none());
            return Ok(());
        };
        prop_assert!(
            cost_bound(&instance, &shape, &Effort::default()).is_none_or(|bound| bound <= least)
        );
        let closed = close_gap(&instance, &shape, &Effort::default()).unwrap();
        prop_assert!(
            closed.bound <= least && least <= closed.value,
            "{closed:?}, least {least}"
        );
        prop_assert_eq!(
            evaluate(&instance, &shape, &closed.placement)
                .unwrap()
                .cost()
                .0,
            closed.value
        );
        all.set(all.get() + 1);
        met.set(met.get() + usize::from(closed.bound == closed.value));
        Ok(())
    });
    result.unwrap();
    assert!(
        met.get() * 100 > all.get() * 95,
        "{} of {} proven",
        met.get(),
        all.get()
    );
}

/// Takes down what a search reports.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

/// What a search knew at one time.
#[derive(Clone, Copy, Debug)]
struct Report {
    incumbent: Option<i64>,
    bound: Option<i64>,
}

impl SolveMonitor for Reports {
    fn should_stop(&self) -> bool {
        false
    }

    fn report(&self, incumbent: Option<i64>, bound: Option<i64>) {
        self.0.lock().unwrap().push(Report { incumbent, bound });
    }
}

#[test]
fn a_monitor_hears_of_falling_incumbents_and_rising_bounds() {
    let instance = layered_instance();
    let reports = Reports::default();
    let effort = Effort {
        monitor: Monitor::new(reports.clone()),
        ..Effort::default()
    };
    let closed = close_gap(&instance, &instance.shape(), &effort).unwrap();
    let reports = reports.0.lock().unwrap().clone();
    for pair in reports.windows(2) {
        assert!(pair[1].bound >= pair[0].bound, "{pair:?}");
        let falls = pair[0]
            .incumbent
            .is_none_or(|known| pair[1].incumbent.is_some_and(|next| next <= known));
        assert!(falls, "{pair:?}");
    }
    let rises = reports
        .windows(2)
        .filter(|pair| pair[1].bound > pair[0].bound);
    assert!(rises.count() >= 3, "{reports:?}");
    let last = reports.last().unwrap();
    assert_eq!(last.incumbent, Some(closed.value));
    assert!(last.bound.is_some_and(|bound| bound <= closed.bound));
}

/// Eight layers of five stages, each of which reads what three stages of the layer before wrote, at
/// five sites whose prices all differ.
fn layered_instance() -> Instance {
    const SITES: usize = 5;
    const WIDTH: usize = 5;
    const LAYERS: usize = 8;
    let number = |seed: usize| (seed * 7_919 + 13) % 97;
    let stage = |stage: usize| StageChoices {
        label: format!("s{stage}"),
        choices: SiteId::below(SITES)
            .map(|site| Choice {
                site,
                cost: Money(number(stage * SITES + site.index()) as i64 * 100_000),
                tag: CandidateId::new(site.index()),
                ..Choice::default()
            })
            .collect(),
        deadline: None,
    };
    let artifact = |writer: usize| {
        let next_layer = (writer / WIDTH + 1) * WIDTH;
        let reader = |step: usize| StageId::new(next_layer + (writer + step) % WIDTH);
        let readers: BTreeSet<StageId> = (0..3).map(reader).collect();
        let bytes = Bytes(40_000_000_000);
        Artifact {
            label: format!("a{writer}"),
            origin: Origin::Stage(StageId::new(writer)),
            bytes,
            link_bytes: bytes,
            readers: readers.into_iter().collect(),
        }
    };
    let price = |pair: usize| Price {
        tariff: Tariff::new([(Bytes(0), DataRate(number(pair) as i64 * 2_000_000))]),
        ..Price::default()
    };
    Instance {
        stages: (0..LAYERS * WIDTH).map(stage).collect(),
        artifacts: (0..(LAYERS - 1) * WIDTH).map(artifact).collect(),
        links: Links {
            sites: SITES,
            labels: (0..SITES).map(|site| format!("p{site}")).collect(),
            tariff: PriceId::below(SITES * SITES).map(Some).collect(),
            tariffs: (0..SITES * SITES).map(price).collect(),
            pools: IdVec::new(),
            bandwidth: vec![Bandwidth(80_000_000); SITES * SITES],
        },
        ..Instance::default()
    }
}

#[test]
fn what_is_dropped_costs_more_than_the_limit() {
    let dropped = Cell::new(0);
    let result = TestRunner::new(config(400)).run(&(instances(), 0..400_000_i64), |(instance, over)| {
        let instance = free(&instance);
        let shape = instance.shape();
        let Some((placement, best)) = exhaustive::best(&instance) else { return Ok(()) };
        for (limit, tight) in [(best.cost().0 + over, false), (best.cost().0, false), (best.cost().0, true)] {
            let ChoicesWithin::Some(keep) = choices_within(&instance, &shape, limit, tight, &Effort::default()) else {
                return Err(TestCaseError::fail("nothing is left"));
            };
            for (stage, keep) in keep.iter_enumerated() {
                prop_assert!(keep[placement[stage]], "the one best placement is gone");
                for (choice, _) in keep.iter_enumerated().filter(|(_, keep)| !**keep) {
                    dropped.set(dropped.get() + 1);
                    let cost = least(&held(&instance, stage, choice));
                    prop_assert!(cost.is_none_or(|cost| cost > limit), "{cost:?} is within {limit}");
                }
            }
        }
        prop_assert!(!matches!(choices_within(&instance, &shape, best.cost().0 - 1, false, &Effort::default()), ChoicesWithin::Some(_) if
            cost_bound(&instance, &shape, &Effort::default()) == Some(best.cost().0)));
        Ok(())
    });
    result.unwrap();
    assert!(dropped.get() > 500, "{} dropped", dropped.get());
}

#[test]
fn bounds_hold_under_a_deadline() {
    let (met, all, dropped) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config(600)).run(
        &(instances(), 60_000..1_500_000_i64),
        |(instance, deadline)| {
            let instance = limited(&instance, deadline);
            let shape = instance.shape();
            let expected = exhaustive::best(&instance);
            let limits = Limits {
                time: Some(Millis::from_signed(deadline)),
                ..Limits::default()
            };
            let Some(reduced) = reduce(&instance, &shape, limits, &Effort::default()) else {
                prop_assert!(expected.is_none());
                return Ok(());
            };
            let Some(closed) =
                by_deadline(&reduced, &shape, deadline, None, &Highs, &Effort::default())
            else {
                return Ok(());
            };
            let found = evaluate(&reduced, &shape, &closed.placement).unwrap();
            prop_assert_eq!(found.cost().0, closed.value);
            prop_assert!(found.makespan.signed() <= deadline);
            let Some((_, best)) = expected else {
                return Err(TestCaseError::fail("found what is not there"));
            };
            prop_assert!(
                closed.bound <= best.cost().0 && best.cost().0 <= closed.value,
                "{closed:?}, {}",
                best.cost().0
            );
            all.set(all.get() + 1);
            met.set(met.get() + usize::from(closed.bound == closed.value));
            for (stage, keep) in closed.keep.iter().flat_map(IdVec::iter_enumerated) {
                for (choice, _) in keep.iter_enumerated().filter(|(_, keep)| !**keep) {
                    dropped.set(dropped.get() + 1);
                    let cost = least(&held(&reduced, stage, choice));
                    prop_assert!(
                        cost.is_none_or(|cost| cost > closed.value),
                        "{cost:?}, {}",
                        closed.value
                    );
                }
            }
            Ok(())
        },
    );
    result.unwrap();
    assert!(
        all.get() > 300 && met.get() == all.get(),
        "{} of {} proven",
        met.get(),
        all.get()
    );
    assert!(dropped.get() > 100, "{} dropped", dropped.get());
}

#[test]
fn no_placement_is_shorter_than_the_bound() {
    let (met, all) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config(600)).run(&instances(), |instance| {
        let instance = Instance {
            minimize: Objective::Time,
            relays: false,
            deadline: None,
            budget: None,
            ..instance
        };
        let shape = instance.shape();
        let best = exhaustive::best(&instance);
        let Some(found) = fastest_placement(&instance, &shape) else {
            prop_assert!(best.is_none());
            return Ok(());
        };
        // It may have lost its way into transfers that are forbidden.
        let Some(evaluation) = evaluate(&instance, &shape, &found.placement) else {
            return Ok(());
        };
        let (placement, best) = best.unwrap();
        prop_assert!(
            found.bound <= best.makespan.signed()
                && best.makespan.signed() <= evaluation.makespan.signed()
        );
        for (stage, pick) in placement.iter_enumerated() {
            prop_assert!(found.with[stage][*pick] <= best.makespan.signed());
        }
        all.set(all.get() + 1);
        met.set(met.get() + usize::from(found.bound == evaluation.makespan.signed()));
        Ok(())
    });
    result.unwrap();
    assert!(
        all.get() > 300 && met.get() * 10 > all.get() * 8,
        "{} of {} proven",
        met.get(),
        all.get()
    );
}

#[test]
fn bounds_hold_whatever_else_binds_stages_together() {
    let (found, dropped) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config(600)).run(
        &(rich_instances(), 60_000..1_500_000_i64),
        |(instance, deadline)| {
            let mut instance = Instance {
                hour: Money(0),
                ..limited(&instance, deadline)
            };
            for stage in &mut instance.stages {
                stage.choices.iter_mut().for_each(|choice| choice.rank = 0);
            }
            let shape = instance.shape();
            let Some(closed) = by_deadline(
                &instance,
                &shape,
                deadline,
                None,
                &Highs,
                &Effort::default(),
            ) else {
                return Ok(());
            };
            let evaluation = evaluate(&instance, &shape, &closed.placement).unwrap();
            prop_assert_eq!(evaluation.cost().0, closed.value);
            let Some((placement, best)) = exhaustive::best(&instance) else {
                return Err(TestCaseError::fail("found what is not there"));
            };
            prop_assert!(
                closed.bound <= best.cost().0 && best.cost().0 <= closed.value,
                "{closed:?}, {}",
                best.cost().0
            );
            found.set(found.get() + 1);
            for (stage, keep) in closed.keep.iter().flat_map(IdVec::iter_enumerated) {
                prop_assert!(keep[placement[stage]], "the one best placement is gone");
                dropped.set(dropped.get() + keep.iter().filter(|keep| !**keep).count());
            }
            Ok(())
        },
    );
    result.unwrap();
    assert!(
        found.get() > 200 && dropped.get() > 100,
        "{} found, {} dropped",
        found.get(),
        dropped.get()
    );
}

#[test]
fn sites_taken_as_one_bound_from_below() {
    let (all, near) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config(400)).run(
        &(instances(), 60_000..900_000_i64),
        |(instance, deadline)| {
            let instance = limited(&instance, deadline);
            let shape = instance.shape();
            let (Some((placement, best)), Some(net)) = (
                exhaustive::best(&instance),
                Network::new(&instance, &shape, true),
            ) else {
                return Ok(());
            };
            let allowed = instance.stages.map(|stage| stage.choices.ids().collect());
            let found = Some((best.cost().0 * net.scale, placement.clone()));
            let mut incumbent = Incumbent {
                instance: &instance,
                shape: &shape,
                net: &net,
                deadline,
                allowed,
                tried: BTreeSet::new(),
                found,
            };
            let one = IdVec::filled(SiteId::new(0), instance.links.sites);
            let ground = NetworkInputs::new(&instance, &shape, &net, deadline, &one, true);
            let mut keep = instance.stages.map(|stage| stage.choices.map(|_| true));
            let around = incumbent.near(&placement);
            let effort = Effort::default();
            let mut work = SearchWork {
                best: &mut incumbent,
                visits: 10_000,
                pairs: 1_000_000,
                near: around,
                floor: 0,
                given: 1_000_000,
                in_vain: false,
                effort: &effort,
            };
            let bound = raise_bound(&ground, &mut keep, &mut work);
            prop_assert!(bound <= best.cost().0 * net.scale);
            prop_assert_eq!(
                incumbent.value(),
                best.cost().0 * net.scale,
                "nothing is cheaper than the best"
            );
            for (stage, keep) in keep.iter_enumerated() {
                prop_assert!(keep[placement[stage]], "the one best placement is gone");
            }
            all.set(all.get() + 1);
            near.set(near.get() + usize::from(bound > best.cost().0 * net.scale / 2));
            Ok(())
        },
    );
    result.unwrap();
    assert!(
        all.get() > 150 && near.get() * 4 > all.get(),
        "{} of {} above a half",
        near.get(),
        all.get()
    );
}

#[test]
fn cuts_put_placements_in_time() {
    let (late, in_time, dearer) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let result =
        TestRunner::new(config(400)).run(&(instances(), 1..16_i64), |(instance, steps)| {
            let instance = free(&instance);
            let shape = instance.shape();
            let (Some((placement, best)), Some(net)) = (
                exhaustive::best(&instance),
                Network::new(&instance, &shape, true),
            ) else {
                return Ok(());
            };
            let Some(fast) = exhaustive::best(&Instance {
                minimize: Objective::Time,
                ..instance.clone()
            }) else {
                return Ok(());
            };
            let deadline = (best.makespan.signed() + fast.1.makespan.signed()) / 2;
            if deadline >= best.makespan.signed() {
                return Ok(());
            }
            late.set(late.get() + 1);
            let allowed = instance.stages.map(|stage| stage.choices.ids().collect());
            let mut timed = TimedPlacement::new(&instance, &shape, &net, placement);
            let mut visits = 100_000;
            if timed.crash(deadline, steps, &allowed, &mut visits) {
                let evaluation = evaluate(&instance, &shape, &timed.placement).unwrap();
                prop_assert!(evaluation.makespan.signed() <= deadline);
                let least = exhaustive::best(&limited(&instance, deadline))
                    .unwrap()
                    .1
                    .cost()
                    .0;
                prop_assert!(least <= evaluation.cost().0);
                in_time.set(in_time.get() + 1);
                dearer.set(dearer.get() + usize::from(evaluation.cost().0 > least));
            }
            Ok(())
        });
    result.unwrap();
    assert!(
        late.get() > 100 && in_time.get() * 10 > late.get() * 7,
        "{} of {}",
        in_time.get(),
        late.get()
    );
    assert!(
        dearer.get() * 2 < in_time.get(),
        "{} of {} are not the cheapest",
        dearer.get(),
        in_time.get()
    );
}
