//! Every placement with every route, one after the other: the reference for small instances.

use crate::model::{Millis, Objective};
use crate::planning::problem::{
    Artifact, ArtifactId, ChoiceId, Evaluation, Instance, Origin, Placement, Routes, SiteId,
    StageId, concurrency, evaluate_on, routes,
};
use crate::util::id_vec::Id;

/// What makes one placement better than another, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    preference: i64,
    objective: i64,
    other: i64,
}

/// The best placement within all limits: least preference, then least objective, then least other
/// figure, then the first in the order of choices; its transfers on any trees of holders. `None`:
/// there is none. The work is the product of all numbers of choices.
pub fn best(instance: &Instance) -> Option<(Placement, Evaluation)> {
    let shape = instance.shape();
    let mut placement = instance.stages.map(|_| ChoiceId::default());
    let mut best_found: Option<(Key, Placement, Evaluation)> = None;
    loop {
        let permitted = concurrency::excess(instance, &placement) == 0
            && concurrency::exceeded_cap(instance, &shape, &placement).is_none();
        for routes in if permitted {
            every_route(instance, &placement)
        } else {
            Vec::new()
        } {
            let Some(evaluation) = evaluate_on(instance, &shape, &placement, &routes) else {
                continue;
            };
            let (cost, time) = (evaluation.cost(), evaluation.makespan);
            let within_limits = instance.budget.is_none_or(|budget| cost <= budget)
                && instance.deadline.is_none_or(|deadline| time <= deadline)
                && instance.lateness(&evaluation) == Millis(0);
            let preference = instance
                .stages
                .iter()
                .zip(&placement)
                .map(|(stage, pick)| stage.choices[*pick].rank)
                .sum();
            let other_figure = match instance.minimize {
                Objective::Cost => time.signed(),
                Objective::Time => cost.0,
            };
            let rank_key = Key {
                preference,
                objective: instance.score(&evaluation),
                other: other_figure,
            };
            // Placements come in lexicographic order, so the first of equals stays.
            if within_limits
                && best_found
                    .as_ref()
                    .is_none_or(|(known, _, _)| rank_key < *known)
            {
                best_found = Some((rank_key, placement.clone(), evaluation));
            }
        }
        // Count up, last stage fastest.
        let Some(stage) = placement
            .ids()
            .rev()
            .find(|stage| placement[*stage].index() + 1 < instance.stages[*stage].choices.len())
        else {
            return best_found.map(|(_, placement, evaluation)| (placement, evaluation));
        };
        placement[stage] = ChoiceId::from_index(placement[stage].index() + 1);
        for later in placement.ids().filter(|later| *later > stage) {
            placement[later] = ChoiceId::default();
        }
    }
}

/// All routes that bring every artifact to its readers.
fn every_route(instance: &Instance, placement: &Placement) -> Vec<Routes> {
    let mut all_routes = vec![Routes::new()];
    for (index, artifact) in instance.artifacts.iter_enumerated() {
        let trees = all_trees(instance, index, artifact, placement);
        let with_tree = |routes: Routes| {
            trees
                .iter()
                .map(move |tree| routes.iter().chain(tree).map(|(a, b)| (*a, *b)).collect())
                .collect::<Vec<Routes>>()
        };
        all_routes = all_routes.into_iter().flat_map(with_tree).collect();
    }
    all_routes
}

/// All trees of one artifact: every destination takes its transfer from the origin, or from another
/// destination that is cheaper, without rings.
fn all_trees(
    instance: &Instance,
    index: ArtifactId,
    artifact: &Artifact,
    placement: &Placement,
) -> Vec<Routes> {
    let site = |stage: StageId| instance.stages[stage].choices[placement[stage]].site;
    let origin = match artifact.origin {
        Origin::Site(from) => from,
        Origin::Stage(stage) => site(stage),
    };
    let destinations = routes::destinations(artifact, origin, site);
    let mut trees = vec![Routes::new()];
    for to in &destinations {
        let holders = destinations
            .iter()
            .filter(|holder| routes::relayed(instance, artifact, origin, **holder, *to).is_some());
        let longer_trees: Vec<Routes> = holders
            .flat_map(|holder| {
                let tree_taken = |tree: &Routes| {
                    let mut tree = tree.clone();
                    tree.insert((index, *to), *holder);
                    tree
                };
                trees.iter().map(tree_taken).collect::<Vec<Routes>>()
            })
            .collect();
        trees.extend(longer_trees);
    }
    let reaches = |tree: &Routes, to: &SiteId| {
        let mut tree_site = *to;
        for _ in 0..=destinations.len() {
            match tree.get(&(index, tree_site)) {
                Some(holder) => tree_site = *holder,
                None => return true,
            }
        }
        false
    };
    trees.retain(|tree| destinations.iter().all(|to| reaches(tree, to)));
    trees
}
