//! The cheapest placement of a forest inside the DAG, by dynamic programming over sites.
//!
//! Every stage keeps at most one of the artifacts that it reads, and every artifact at most one
//! of its readers; what is left is a forest, whose optimum is found exactly by passing messages
//! from the leaves to the roots and back. Copies that were left out cost nothing here, so the
//! forest's optimum is a lower bound on that of the whole, also with one stage held at one site
//! (its min-marginal). For a chain or a tree of artifacts it is the optimum.

use crate::planning::problem::routes::{Least, least_rates};
use crate::planning::problem::{
    ArtifactId, ChoiceId, Instance, Origin, Placement, Shape, SiteId, StageId,
};
use crate::planning::solve::bound::certain_costs::certain_costs;
use crate::util::id_vec::IdVec;
use std::collections::BTreeMap;

/// More than any cost, and far from overflow when a few are added.
const NEVER: i64 = i64::MAX / 16;

/// Bounds from the forest.
pub(crate) struct Forest {
    /// No placement costs less.
    pub least: i64,
    /// By stage and choice: no placement with that choice costs less.
    pub with: IdVec<StageId, IdVec<ChoiceId, i64>>,
    /// Choices that attain `least` in the forest.
    pub picks: Placement,
}

/// One stage's sites, ascending, with its least cost at each and the choice that has it.
struct Node {
    sites: Vec<SiteId>,
    /// Own cost, then with all that hangs below.
    cost: Vec<i64>,
    choice: Vec<ChoiceId>,
    /// What is above it.
    above: Option<Above>,
    /// By site of the stage above: what this branch costs, and the position of its best site.
    message: Vec<(i64, usize)>,
    /// By own site: what all the rest of the tree costs.
    remaining: Vec<i64>,
}

/// The stage above another one in the forest, and the artifact between them.
#[derive(Clone, Copy)]
struct Above {
    stage: StageId,
    artifact: ArtifactId,
}

/// Works the bounds out. `None`: some stage has no choice, or no way for its data.
pub(crate) fn forest(instance: &Instance, shape: &Shape) -> Option<Forest> {
    let costs = certain_costs(instance);
    let mut nodes = nodes(instance, &costs);
    let rates = least_rates(instance);
    let prices = instance
        .artifacts
        .map(|artifact| Least::of(instance, artifact, &rates));
    if nodes.iter().any(|node| node.sites.is_empty()) {
        return None;
    }
    for &stage in shape.order.iter().rev() {
        let Some(Above {
            stage: above,
            artifact,
        }) = nodes[stage].above
        else {
            continue;
        };
        let price = &prices[artifact];
        let node = &nodes[stage];
        let message: Vec<(i64, usize)> = nodes[above]
            .sites
            .iter()
            .map(|from| {
                let at = |position: usize| {
                    node.cost[position] + copy_cost(price, *from, node.sites[position])
                };
                (0..node.sites.len())
                    .map(|position| (at(position).min(NEVER), position))
                    .min()
                    .unwrap_or((NEVER, 0))
            })
            .collect();
        for (cost, (branch, _)) in nodes[above].cost.iter_mut().zip(&message) {
            *cost = (*cost + branch).min(NEVER);
        }
        nodes[stage].message = message;
    }
    let mut picks = nodes.map(|_| ChoiceId::default());
    let mut place = nodes.map(|_| 0);
    let mut root_of = nodes.map(|_| StageId::default());
    let mut least_of: BTreeMap<StageId, i64> = BTreeMap::new();
    for &stage in &shape.order {
        let (position, remaining, root) = match nodes[stage].above {
            None => {
                let best = (0..nodes[stage].sites.len())
                    .min_by_key(|position| nodes[stage].cost[*position])?;
                least_of.insert(stage, nodes[stage].cost[best]);
                (best, vec![0; nodes[stage].sites.len()], stage)
            }
            Some(Above {
                stage: above,
                artifact,
            }) => (
                nodes[stage].message[place[above]].1,
                remaining_costs(&prices[artifact], &nodes, stage, above),
                root_of[above],
            ),
        };
        place[stage] = position;
        root_of[stage] = root;
        picks[stage] = nodes[stage].choice[position];
        nodes[stage].remaining = remaining;
    }
    let least: i64 = least_of.values().sum();
    if least >= NEVER {
        return None;
    }
    let with = nodes.ids().map(|stage| {
        let node = &nodes[stage];
        let others = least - least_of[&root_of[stage]];
        let own = instance.stages[stage].choices.iter().zip(&costs[stage]);
        let bound = |(choice, cost): (&crate::planning::problem::Choice, &Option<i64>)| {
            let (Ok(position), Some(cost)) = (node.sites.binary_search(&choice.site), cost) else {
                return NEVER;
            };
            // The site's cost has its cheapest choice in it: put this one in its place.
            let cheapest = costs[stage][node.choice[position]].unwrap_or(NEVER);
            (node.cost[position] + node.remaining[position]).min(NEVER) - cheapest + cost + others
        };
        own.map(bound).collect()
    });
    Some(Forest {
        least,
        with: with.collect(),
        picks,
    })
}

/// What a copy costs at least; [`NEVER`] if it is forbidden.
fn copy_cost(price: &Least<'_>, from: SiteId, to: SiteId) -> i64 {
    price.copy(from, to).map_or(NEVER, |cost| cost.0)
}

/// What the rest of the tree costs, for every site of a stage.
fn remaining_costs(
    price: &Least<'_>,
    nodes: &IdVec<StageId, Node>,
    stage: StageId,
    above: StageId,
) -> Vec<i64> {
    let (node, parent) = (&nodes[stage], &nodes[above]);
    let without: Vec<i64> = (0..parent.sites.len())
        .map(|position| match parent.message_free(position, node) {
            Some(cost) => (cost + parent.remaining[position]).min(NEVER),
            None => NEVER,
        })
        .collect();
    let sites = node.sites.iter();
    sites
        .map(|to| {
            let from = parent.sites.iter().zip(&without);
            from.map(|(from, cost)| (cost + copy_cost(price, *from, *to)).min(NEVER))
                .min()
                .unwrap_or(NEVER)
        })
        .collect()
}

impl Node {
    /// The cost at a site without one branch; `None` where that branch cannot be at all.
    fn message_free(&self, position: usize, branch: &Node) -> Option<i64> {
        let (message, _) = branch.message[position];
        (message < NEVER && self.cost[position] < NEVER).then(|| self.cost[position] - message)
    }
}

fn nodes(
    instance: &Instance,
    costs: &IdVec<StageId, IdVec<ChoiceId, Option<i64>>>,
) -> IdVec<StageId, Node> {
    let mut above: IdVec<StageId, Option<Above>> = instance.stages.map(|_| None);
    // The largest artifacts first: their copies cost most.
    let mut artifacts: Vec<ArtifactId> = instance.artifacts.ids().collect();
    artifacts.sort_by_key(|artifact| std::cmp::Reverse(instance.artifacts[*artifact].bytes));
    for artifact in artifacts {
        let Origin::Stage(origin) = instance.artifacts[artifact].origin else {
            continue;
        };
        if let Some(reader) = instance.artifacts[artifact]
            .readers
            .iter()
            .find(|reader| above[**reader].is_none())
        {
            above[*reader] = Some(Above {
                stage: origin,
                artifact,
            });
        }
    }
    let stages = instance.stages.iter().zip(costs).zip(above);
    stages
        .map(|((stage, costs), above)| {
            let mut cheapest: BTreeMap<SiteId, (i64, ChoiceId)> = BTreeMap::new();
            for ((position, choice), cost) in stage.choices.iter_enumerated().zip(costs) {
                let Some(cost) = cost else { continue };
                let known = cheapest.entry(choice.site).or_insert((*cost, position));
                *known = (*known).min((*cost, position));
            }
            let (sites, best): (Vec<SiteId>, Vec<(i64, ChoiceId)>) = cheapest.into_iter().unzip();
            let (cost, choice) = best.into_iter().unzip();
            Node {
                sites,
                cost,
                choice,
                above,
                message: Vec::new(),
                remaining: Vec::new(),
            }
        })
        .collect()
}
