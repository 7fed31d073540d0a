//! Every placement with every route, one after the other: the reference for small instances.

use crate::model::{Millis, Objective};
use crate::planning::problem::{
    Artifact, ArtifactId, Cap, ChoiceId, Evaluation, Instance, Origin, Placement, Routes, Shape,
    SiteId, StageId, cap_usage, concurrency, evaluate_on, ready, routes,
};
use crate::util::id_vec::{Id, IdVec};

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
        let permitted = concurrency::excess(instance, &placement) == 0;
        for routes in if permitted {
            every_route(instance, &placement)
        } else {
            Vec::new()
        } {
            let Some(earliest) = evaluate_on(instance, &shape, &placement, &routes) else {
                continue;
            };
            let Some(evaluation) =
                fastest_schedule(instance, &shape, &placement, &routes, earliest)
            else {
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

/// The evaluation with the fastest schedule in which concurrent caps and the deadlines of stages
/// hold: `earliest`, or else the best that comes of starting the stages one by one, in every order,
/// each as early as it can be. One of these orders is optimal, since a later end is never better.
/// `None`: there is none.
fn fastest_schedule(
    instance: &Instance,
    shape: &Shape,
    placement: &Placement,
    routes: &Routes,
    earliest: Evaluation,
) -> Option<Evaluation> {
    if fits(instance, placement, &earliest.start, &earliest.end) {
        return Some(earliest);
    }
    let mut best_found: Option<Evaluation> = None;
    let mut started: Vec<StageId> = Vec::new();
    let mut partial = earliest;
    let orders = StartOrders {
        instance,
        shape,
        placement,
        routes,
    };
    orders.continue_with(&mut started, &mut partial, &mut best_found);
    best_found
}

/// Every order in which the stages of a placement can be started one by one.
struct StartOrders<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    placement: &'a Placement,
    routes: &'a Routes,
}

impl StartOrders<'_> {
    fn continue_with(
        &self,
        started: &mut Vec<StageId>,
        partial: &mut Evaluation,
        best_found: &mut Option<Evaluation>,
    ) {
        if started.len() == self.placement.len() {
            partial.makespan = partial.end.iter().copied().fold(Millis(0), Ord::max);
            let is_in_time = self.instance.lateness(partial) == Millis(0);
            let is_faster = best_found
                .as_ref()
                .is_none_or(|best| partial.makespan < best.makespan);
            if is_in_time && is_faster {
                *best_found = Some(partial.clone());
            }
            return;
        }
        for stage in self.placement.ids() {
            let waits_for_others = self.shape.inputs[stage].iter().any(
                |input| matches!(input.origin, Origin::Stage(before) if !started.contains(&before)),
            );
            if started.contains(&stage) || waits_for_others {
                continue;
            }
            let Some(start) = self.first_start(started, partial, stage) else {
                return;
            };
            let choice = self.instance.stages[stage].choices[self.placement[stage]];
            partial.start[stage] = start;
            partial.end[stage] = start + choice.duration;
            started.push(stage);
            self.continue_with(started, partial, best_found);
            started.pop();
        }
    }

    /// The first moment at which a stage fits in among those that were started; `None`: it fits
    /// nowhere.
    fn first_start(
        &self,
        started: &[StageId],
        partial: &Evaluation,
        stage: StageId,
    ) -> Option<Millis> {
        let choice = self.instance.stages[stage].choices[self.placement[stage]];
        let inputs_there = ready(
            self.instance,
            self.shape,
            self.routes,
            self.placement,
            &partial.end,
            stage,
            choice.site,
        );
        let ends = started.iter().map(|other| partial.end[*other]);
        let mut starts: Vec<Millis> = ends.filter(|end| *end > inputs_there).collect();
        starts.push(inputs_there);
        starts.sort_unstable();
        starts.into_iter().find(|start| {
            let (mut from, mut to) = (partial.start.clone(), partial.end.clone());
            // What was not started takes no part.
            for other in self
                .placement
                .ids()
                .filter(|other| !started.contains(other))
            {
                (from[other], to[other]) = (Millis(0), Millis(0));
            }
            (from[stage], to[stage]) = (*start, *start + choice.duration);
            fits(self.instance, self.placement, &from, &to)
        })
    }
}

/// Whether no concurrent cap is exceeded at any start of a stage.
fn fits(
    instance: &Instance,
    placement: &Placement,
    start: &IdVec<StageId, Millis>,
    end: &IdVec<StageId, Millis>,
) -> bool {
    let used = |cap: &Cap, stage: StageId| {
        cap_usage(
            cap,
            stage,
            instance.stages[stage].choices[placement[stage]].tag,
        )
    };
    let used_at = |cap: &Cap, moment: Millis| {
        let running = placement
            .ids()
            .filter(|stage| start[*stage] <= moment && moment < end[*stage]);
        running.map(|stage| used(cap, stage)).sum::<i64>()
    };
    let concurrent = instance.caps.iter().filter(|cap| cap.concurrent);
    let mut moments = concurrent.flat_map(|cap| start.iter().map(move |moment| (cap, *moment)));
    moments.all(|(cap, moment)| used_at(cap, moment) <= cap.limit)
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
