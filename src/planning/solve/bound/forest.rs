//! The cheapest placement of a forest inside the DAG, by dynamic programming over sites.
//!
//! Every stage keeps at most one of the artifacts that it reads, and every artifact at most one
//! of its readers; what is left is a forest, whose optimum is found exactly by passing messages
//! from the leaves to the roots and back. Copies that were left out cost nothing here, so the
//! forest's optimum is a lower bound on that of the whole, also with one stage held at one site
//! (its min-marginal). For a chain or a tree of artifacts it is the optimum.

use crate::planning::problem::routes::{Least, least_rates};
use crate::planning::problem::{Instance, Origin, Shape};
use crate::planning::solve::bound::certain_costs::certain_costs;
use std::collections::BTreeMap;

/// More than any cost, and far from overflow when a few are added.
const NEVER: i64 = i64::MAX / 16;

/// Bounds from the forest.
pub(crate) struct Forest {
    /// No placement costs less.
    pub least: i64,
    /// By stage and choice: no placement with that choice costs less.
    pub with: Vec<Vec<i64>>,
    /// Positions of choices that attain `least` in the forest.
    pub picks: Vec<usize>,
}

/// One stage's sites, ascending, with its least cost at each and the choice that has it.
struct Node {
    sites: Vec<usize>,
    /// Own cost, then with all that hangs below.
    cost: Vec<i64>,
    choice: Vec<usize>,
    /// The stage and the artifact above it.
    above: Option<(usize, usize)>,
    /// By site of the stage above: what this branch costs, and the position of its best site.
    message: Vec<(i64, usize)>,
    /// By own site: what all the rest of the tree costs.
    remaining: Vec<i64>,
}

/// Works the bounds out. `None`: some stage has no choice, or no way for its data.
pub(crate) fn forest(instance: &Instance, shape: &Shape) -> Option<Forest> {
    let costs = certain_costs(instance);
    let mut nodes = nodes(instance, &costs);
    let rates = least_rates(instance);
    let prices: Vec<Least<'_>> = instance
        .artifacts
        .iter()
        .map(|a| Least::of(instance, a, &rates))
        .collect();
    if nodes.iter().any(|node| node.sites.is_empty()) {
        return None;
    }
    for &stage in shape.order.iter().rev() {
        let Some((above, artifact)) = nodes[stage].above else {
            continue;
        };
        let price = &prices[artifact];
        let node = &nodes[stage];
        let message: Vec<(i64, usize)> = nodes[above]
            .sites
            .iter()
            .map(|from| {
                let at = |position: usize| {
                    node.cost[position] + price.copy(*from, node.sites[position]).unwrap_or(NEVER)
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
    let mut picks = vec![0; nodes.len()];
    let mut place = vec![0; nodes.len()];
    let mut root_of = vec![0; nodes.len()];
    let mut least_of: BTreeMap<usize, i64> = BTreeMap::new();
    for &stage in &shape.order {
        let (position, remaining, root) = match nodes[stage].above {
            None => {
                let best = (0..nodes[stage].sites.len())
                    .min_by_key(|position| nodes[stage].cost[*position])?;
                least_of.insert(stage, nodes[stage].cost[best]);
                (best, vec![0; nodes[stage].sites.len()], stage)
            }
            Some((above, artifact)) => (
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
    let with = (0..nodes.len()).map(|stage| {
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

/// What the rest of the tree costs, for every site of a stage.
fn remaining_costs(price: &Least<'_>, nodes: &[Node], stage: usize, above: usize) -> Vec<i64> {
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
            from.map(|(from, cost)| (cost + price.copy(*from, *to).unwrap_or(NEVER)).min(NEVER))
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

fn nodes(instance: &Instance, costs: &[Vec<Option<i64>>]) -> Vec<Node> {
    let mut above: Vec<Option<(usize, usize)>> = vec![None; instance.stages.len()];
    // The largest artifacts first: their copies cost most.
    let mut artifacts: Vec<usize> = (0..instance.artifacts.len()).collect();
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
            above[*reader] = Some((origin, artifact));
        }
    }
    let stages = instance.stages.iter().zip(costs).zip(above);
    stages
        .map(|((stage, costs), above)| {
            let mut cheapest: BTreeMap<usize, (i64, usize)> = BTreeMap::new();
            for (position, (choice, cost)) in stage.choices.iter().zip(costs).enumerate() {
                let Some(cost) = cost else { continue };
                let known = cheapest.entry(choice.site).or_insert((*cost, position));
                *known = (*known).min((*cost, position));
            }
            let (sites, best): (Vec<usize>, Vec<(i64, usize)>) = cheapest.into_iter().unzip();
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
