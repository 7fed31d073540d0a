//! The cheapest placement of a forest inside the DAG, by dynamic programming over sites.
//!
//! Every stage keeps at most one of the artifacts that it reads, and every artifact at most one
//! of its readers; what is left is a forest, whose optimum is found exactly by passing messages
//! from the leaves to the roots and back. Transfers that were left out cost nothing here, so the
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
    pub placement: Placement,
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

/// Works the bounds out. `None`: some stage has no choice, or no link for its data.
pub(crate) fn forest(instance: &Instance, shape: &Shape) -> Option<Forest> {
    let costs = certain_costs(instance);
    let mut nodes = forest_nodes(instance, &costs);
    let rates = least_rates(instance);
    let prices = instance
        .artifacts
        .map(|artifact| Least::of(instance, artifact, &rates));
    if nodes.iter().any(|node| node.sites.is_empty()) {
        return None;
    }
    pass_costs_up(&mut nodes, &prices, shape);
    let trees = take_sites_down(&mut nodes, &prices, shape)?;
    let least_total: i64 = trees.least_of.values().sum();
    if least_total >= NEVER {
        return None;
    }
    let with_stage = nodes.ids().map(|stage| {
        let other_trees = least_total - trees.least_of[&trees.root_of[stage]];
        let own_costs = instance.stages[stage].choices.iter().zip(&costs[stage]);
        own_costs
            .map(|(choice, cost)| {
                let tree = nodes[stage].cost_with(choice.site, *cost, &costs[stage]);
                tree.map_or(NEVER, |cost| cost + other_trees)
            })
            .collect()
    });
    Some(Forest {
        least: least_total,
        with: with_stage.collect(),
        placement: trees.placement,
    })
}

/// The optimum of every tree of the forest.
struct Trees {
    /// By root: the least cost of its tree.
    least_of: BTreeMap<StageId, i64>,
    /// By stage: the root of its tree.
    root_of: IdVec<StageId, StageId>,
    placement: Placement,
}

/// Adds, from the leaves to the roots, what each branch costs to the stage above it.
fn pass_costs_up(
    nodes: &mut IdVec<StageId, Node>,
    prices: &IdVec<ArtifactId, Least<'_>>,
    shape: &Shape,
) {
    for &stage in shape.order.iter().rev() {
        let Some(Above {
            stage: above,
            artifact,
        }) = nodes[stage].above
        else {
            continue;
        };
        let message: Vec<(i64, usize)> = nodes[above]
            .sites
            .iter()
            .map(|from| nodes[stage].cheapest_from(*from, &prices[artifact]))
            .collect();
        for (cost, (branch, _)) in nodes[above].cost.iter_mut().zip(&message) {
            *cost = (*cost + branch).min(NEVER);
        }
        nodes[stage].message = message;
    }
}

/// Takes, from the roots to the leaves, the best site of every stage, and works out what the rest
/// of each tree costs. `None`: a root has no site.
fn take_sites_down(
    nodes: &mut IdVec<StageId, Node>,
    prices: &IdVec<ArtifactId, Least<'_>>,
    shape: &Shape,
) -> Option<Trees> {
    let mut position_of = nodes.map(|_| 0);
    let mut trees = Trees {
        least_of: BTreeMap::new(),
        root_of: nodes.map(|_| StageId::default()),
        placement: nodes.map(|_| ChoiceId::default()),
    };
    for &stage in &shape.order {
        let node = &nodes[stage];
        let (position, remaining, root) = match node.above {
            None => {
                let sites = 0..node.sites.len();
                let best_position = sites.min_by_key(|position| node.cost[*position])?;
                trees.least_of.insert(stage, node.cost[best_position]);
                (best_position, vec![0; node.sites.len()], stage)
            }
            Some(Above {
                stage: above,
                artifact,
            }) => (
                node.message[position_of[above]].1,
                remaining_costs(&prices[artifact], nodes, stage, above),
                trees.root_of[above],
            ),
        };
        position_of[stage] = position;
        trees.root_of[stage] = root;
        trees.placement[stage] = node.choice[position];
        nodes[stage].remaining = remaining;
    }
    Some(trees)
}

/// What a transfer costs at least; [`NEVER`] if it is forbidden.
fn transfer_cost(price: &Least<'_>, from: SiteId, to: SiteId) -> i64 {
    price.transfer_cost(from, to).map_or(NEVER, |cost| cost.0)
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
            let parent_costs = parent.sites.iter().zip(&without);
            parent_costs
                .map(|(from, cost)| (cost + transfer_cost(price, *from, *to)).min(NEVER))
                .min()
                .unwrap_or(NEVER)
        })
        .collect()
}

impl Node {
    /// The least cost of this branch when its data comes from a site, and the position of the site
    /// that has it.
    fn cheapest_from(&self, from: SiteId, price: &Least<'_>) -> (i64, usize) {
        let costs = self.sites.iter().zip(&self.cost);
        costs
            .enumerate()
            .map(|(position, (site, cost))| {
                let cost = cost + transfer_cost(price, from, *site);
                (cost.min(NEVER), position)
            })
            .min()
            .unwrap_or((NEVER, 0))
    }

    /// The cost of the whole tree with a choice of this stage; `None`: the choice cannot be taken.
    fn cost_with(
        &self,
        site: SiteId,
        choice: Option<i64>,
        choices: &IdVec<ChoiceId, Option<i64>>,
    ) -> Option<i64> {
        let position = self.sites.binary_search(&site).ok()?;
        // The site's cost has its cheapest choice in it: put this one in its place.
        let cheapest = choices[self.choice[position]]?;
        let tree = (self.cost[position] + self.remaining[position]).min(NEVER);
        Some(tree - cheapest + choice?)
    }

    /// The cost at a site without one branch; `None` where that branch cannot be at all.
    fn message_free(&self, position: usize, branch: &Node) -> Option<i64> {
        let (message, _) = branch.message[position];
        (message < NEVER && self.cost[position] < NEVER).then(|| self.cost[position] - message)
    }
}

fn forest_nodes(
    instance: &Instance,
    costs: &IdVec<StageId, IdVec<ChoiceId, Option<i64>>>,
) -> IdVec<StageId, Node> {
    let mut above: IdVec<StageId, Option<Above>> = instance.stages.map(|_| None);
    // The largest artifacts first: their transfers cost most.
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
                let known_cheapest = cheapest.entry(choice.site).or_insert((*cost, position));
                *known_cheapest = (*known_cheapest).min((*cost, position));
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
