//! Choices of stages under a price of time: what they cost, and which of them are too dear.

use crate::planning::problem::{
    ChoiceId, Instance, Origin, Placement, Shape, SiteId, StageChoices, StageId, StageInput,
};
use crate::planning::solve::bound::closing_bounds::KeptChoices;
use crate::planning::solve::bound::dual_messages::DualMessages;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::bound::time_prices::{CurvePoint, TimePrices};
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// By site that all stages can be at, among those that stand for others: the cheapest of each stage
/// there. The cheapest first.
pub(super) fn placements_at_one_site(
    instance: &Instance,
    representatives: &IdVec<SiteId, SiteId>,
) -> Vec<Placement> {
    let home = |site: SiteId| {
        let cheapest = |stage: &StageChoices| {
            let choices = stage.choices.ids();
            let choices_here = choices.filter(|choice| stage.choices[*choice].site == site);
            choices_here.min_by_key(|choice| stage.choices[*choice].cost)
        };
        instance
            .stages
            .iter()
            .map(cheapest)
            .collect::<Option<Placement>>()
    };
    let mut homes: Vec<Placement> = representatives
        .ids()
        .filter(|site| representatives[*site] == *site)
        .filter_map(home)
        .collect();
    let cost = |home: &Placement| -> i64 {
        home.iter()
            .zip(&instance.stages)
            .map(|(pick, stage)| stage.choices[*pick].cost.0)
            .sum()
    };
    homes.sort_by_cached_key(cost);
    homes
}

/// By stage: the stages that it waits for.
pub(super) fn predecessors(shape: &Shape) -> IdVec<StageId, Vec<StageId>> {
    let stages = |inputs: &Vec<StageInput>| {
        let stages = inputs.iter().filter_map(|input| match input.origin {
            Origin::Stage(stage) => Some(stage),
            Origin::Site(_) => None,
        });
        stages.collect::<BTreeSet<StageId>>().into_iter().collect()
    };
    shape.inputs.map(stages)
}

/// Returns, by stage and choice, that every choice is kept.
pub(super) fn all_choices(instance: &Instance) -> KeptChoices {
    instance.stages.map(|stage| stage.choices.map(|_| true))
}

/// Drops choices of a stage that no placement of scaled cost up to `limit`, time included, can
/// have. A site that is not in the network has what replaces it as its bound.
pub(super) fn drop_dear_choices(
    instance: &Instance,
    dual: &DualMessages<'_>,
    representatives: &IdVec<SiteId, SiteId>,
    price: &TimePrices,
    limit: i64,
    stage: StageId,
    keep: &mut IdVec<ChoiceId, bool>,
) {
    let node = &dual.net.nodes[stage];
    let dual_bound = dual.bound();
    for (choice, keep) in instance.stages[stage].choices.iter().zip(keep) {
        if let Ok(position) = node.sites.binary_search(&representatives[choice.site]) {
            let own_cost = choice.cost.0 * dual.net.scale
                + TimePrices::worth(price.of[stage], choice.duration.signed());
            *keep &= dual.bound_at(dual_bound, stage, position) - dual.own(stage, position)
                + own_cost
                <= limit;
        }
    }
}

/// What a stage costs to run for how long, with the messages that it has.
pub(super) fn cost_by_duration(
    instance: &Instance,
    dual: &DualMessages<'_>,
    own_costs: &IdVec<StageId, Vec<i64>>,
    stage: StageId,
) -> Vec<CurvePoint> {
    let node = &dual.net.nodes[stage];
    let mut curve = Vec::new();
    for (position, choices) in node.choices.iter().enumerate() {
        let messages = dual.level[stage][position] - own_costs[stage][position];
        for choice in choices {
            let choice = &instance.stages[stage].choices[*choice];
            curve.push(CurvePoint {
                cost: choice.cost.0 * dual.net.scale + messages,
                time: choice.duration.signed(),
            });
        }
    }
    curve
}

/// Returns the cheapest choice of a stage at one of its sites, its time included.
pub(super) fn cheapest_choice(
    instance: &Instance,
    net: &Network,
    price: &TimePrices,
    stage: StageId,
    position: usize,
) -> ChoiceId {
    let cost = |choice: &ChoiceId| {
        let choice = &instance.stages[stage].choices[*choice];
        choice.cost.0 * net.scale + TimePrices::worth(price.of[stage], choice.duration.signed())
    };
    net.nodes[stage].choices[position]
        .iter()
        .copied()
        .min_by_key(|choice| (cost(choice), *choice))
        .expect("a stage has a choice at each of its sites")
}

/// By stage and position of its site: the least that it costs there, its time included, scaled.
pub(super) fn least_own_costs(
    instance: &Instance,
    net: &Network,
    price: &TimePrices,
) -> IdVec<StageId, Vec<i64>> {
    let stages = net.nodes.iter().zip(&instance.stages).zip(&price.of);
    stages
        .map(|((node, stage), rate)| {
            let cost = |choice: &ChoiceId| {
                let choice = &stage.choices[*choice];
                choice.cost.0 * net.scale + TimePrices::worth(*rate, choice.duration.signed())
            };
            node.choices
                .iter()
                .map(|choices| choices.iter().map(cost).min())
                .map(|least| least.expect("a stage has a choice at each of its sites"))
                .collect()
        })
        .collect()
}
