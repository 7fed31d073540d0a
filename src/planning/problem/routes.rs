//! Which holder a transfer of an artifact is taken from.
//!
//! A transfer comes from the artifact's origin, or from another site that gets one too,
//! where that is cheaper than from the origin: a multicast tree instead of a star. Only sites where
//! the artifact is read hold it, so every rule that binds its readers binds its route.

use super::ids::{ArtifactId, Placement, PoolId, PriceId, SiteId, StageId};
use super::instance::{Artifact, Instance, Origin, Price};
use crate::model::units::saturate;
use crate::model::{Bytes, DataRate, Millis, Money};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// By artifact and destination: the holder that the transfer is taken from, where it is not the
/// artifact's origin.
pub type Routes = BTreeMap<(ArtifactId, SiteId), SiteId>;

/// Sites other than `from` that read an artifact, ascending.
pub fn destinations(
    artifact: &Artifact,
    from: SiteId,
    site: impl Fn(StageId) -> SiteId,
) -> Vec<SiteId> {
    let mut sites: Vec<SiteId> = artifact
        .readers
        .iter()
        .map(|reader| site(*reader))
        .filter(|to| *to != from)
        .collect();
    sites.sort_unstable();
    sites.dedup();
    sites
}

/// Whether any transfer could come from a holder other than its origin.
pub fn possible(instance: &Instance) -> bool {
    instance.relays
        && instance
            .artifacts
            .iter()
            .any(|artifact| artifact.readers.len() > 1)
}

/// The cost of a transfer from another holder, if that is less than from the origin.
pub fn relayed(
    instance: &Instance,
    artifact: &Artifact,
    origin: SiteId,
    holder: SiteId,
    to: SiteId,
) -> Option<Money> {
    if !instance.relays || holder == to || holder == origin {
        return None;
    }
    let direct = instance.links.cost(origin, to, artifact.bytes)?;
    instance
        .links
        .cost(holder, to, artifact.bytes)
        .filter(|cost| *cost < direct)
}

/// More than any share of a bill, and far from overflow when many are added.
const LARGEST_SHARE: i64 = i64::MAX / 32;

/// Lower bounds on what transfers of one artifact cost, whatever the other stages take.
pub struct Least<'a> {
    instance: &'a Instance,
    /// By price class: one transfer.
    by_class: IdVec<PriceId, Money>,
    /// By site: the least from any reader's site. Empty: transfers come straight from the origin.
    relayed: IdVec<SiteId, Option<Money>>,
}

impl<'a> Least<'a> {
    /// For an artifact of the instance; `rates` are the instance's [`least_rates`].
    pub fn of(
        instance: &'a Instance,
        artifact: &Artifact,
        rates: &IdVec<PoolId, DataRate>,
    ) -> Self {
        let links = &instance.links;
        let least_rate = |price: &Price| match price.pool {
            Some(pool) => {
                // Rounded down, as the pool's sum is rounded but once.
                let gigabyte = i128::from(links.pools[pool].tariff.gigabyte().0);
                let share =
                    i128::from(artifact.bytes.0) * i128::from(rates[pool].0) / (gigabyte * 1000);
                let share = saturate(share).min(LARGEST_SHARE);
                price.kept(artifact.bytes) + Money((share - 1).max(0))
            }
            None => price.cost(artifact.bytes),
        };
        let by_class = links.tariffs.map(least_rate);
        let relayed = if instance.relays && artifact.readers.len() > 1 {
            least_relays(instance, artifact, &by_class)
        } else {
            IdVec::new()
        };
        Self {
            instance,
            by_class,
            relayed,
        }
    }

    /// Returns these bounds as a table.
    pub fn prices(self) -> LeastPrices {
        LeastPrices {
            direct: self.by_class,
            relayed: self
                .relayed
                .map(|relayed| relayed.unwrap_or(Money(i64::MAX))),
        }
    }

    /// From the origin to a site; `None`: forbidden.
    pub fn transfer_cost(&self, origin: SiteId, to: SiteId) -> Option<Money> {
        if origin == to {
            return Some(Money(0));
        }
        let direct = self.by_class[self.instance.links.class(origin, to)?];
        Some(
            self.relayed
                .get(to)
                .copied()
                .flatten()
                .map_or(direct, |relayed| relayed.min(direct)),
        )
    }
}

/// The least that a transfer of one artifact costs.
pub struct LeastPrices {
    /// By price class: straight from the origin.
    pub direct: IdVec<PriceId, Money>,
    /// By site: from another reader's site; empty: there is none.
    pub relayed: IdVec<SiteId, Money>,
}

fn least_relays(
    instance: &Instance,
    artifact: &Artifact,
    by_class: &IdVec<PriceId, Money>,
) -> IdVec<SiteId, Option<Money>> {
    let sites: BTreeSet<SiteId> = (artifact.readers.iter())
        .flat_map(|reader| {
            instance.stages[*reader]
                .choices
                .iter()
                .map(|choice| choice.site)
        })
        .collect();
    if sites.len() < 2 {
        return IdVec::new();
    }
    let mut least = IdVec::filled(None, instance.links.sites);
    for to in &sites {
        let classes = sites
            .iter()
            .filter(|holder| *holder != to)
            .filter_map(|holder| instance.links.class(*holder, *to));
        least[*to] = classes.map(|class| by_class[class]).min();
    }
    least
}

/// Sites that a transfer of an artifact may be handed on from.
pub fn holders(instance: &Instance, artifact: &Artifact) -> BTreeSet<SiteId> {
    if !instance.relays || artifact.readers.len() < 2 {
        return BTreeSet::new();
    }
    artifact
        .readers
        .iter()
        .flat_map(|reader| &instance.stages[*reader].choices)
        .map(|choice| choice.site)
        .collect()
}

/// No transfer of an artifact from its origin arrives at a site sooner, whichever of its
/// [`holders`] it is from.
pub fn least_time(
    instance: &Instance,
    artifact: &Artifact,
    holders: &BTreeSet<SiteId>,
    origin: SiteId,
    to: SiteId,
) -> Millis {
    let direct = instance.links.time(origin, to, artifact.link_bytes);
    if origin == to {
        return direct;
    }
    let from_holder = |holder: SiteId| {
        relayed(instance, artifact, origin, holder, to)?;
        Some(instance.links.time(holder, to, artifact.link_bytes))
    };
    holders
        .iter()
        .filter_map(|holder| from_holder(*holder))
        .chain([direct])
        .min()
        .unwrap_or(direct)
}

/// By pool: the least price that any byte of this instance's transfers can have.
pub fn least_rates(instance: &Instance) -> IdVec<PoolId, DataRate> {
    let most_bytes: u64 = instance.artifacts.iter().fold(0, |sum, artifact| {
        sum.saturating_add(
            artifact
                .bytes
                .0
                .saturating_mul(artifact.readers.len() as u64),
        )
    });
    let pools = instance.links.pools.iter();
    pools
        .map(|pool| {
            pool.tariff
                .least_rate(pool.used, Bytes(pool.used.0.saturating_add(most_bytes)))
        })
        .collect()
}

/// The trees of least cost for a placement, every transfer counted on its own; of equals the one
/// with the most transfers straight from the origin.
pub fn cheapest(instance: &Instance, placement: &Placement) -> Routes {
    let site = |stage: StageId| instance.stages[stage].choices[placement[stage]].site;
    let mut routes = Routes::new();
    if !instance.relays {
        return routes;
    }
    for (index, artifact) in instance
        .artifacts
        .iter_enumerated()
        .filter(|(_, artifact)| artifact.readers.len() > 1)
    {
        let origin = match artifact.origin {
            Origin::Site(from) => from,
            Origin::Stage(stage) => site(stage),
        };
        let destinations = destinations(artifact, origin, site);
        for relay in cheapest_tree(instance, artifact, origin, &destinations) {
            routes.insert((index, relay.to), relay.holder);
        }
    }
    routes
}

/// A transfer that is taken from a holder other than the origin.
struct RelayedCopy {
    to: SiteId,
    holder: SiteId,
}

/// The transfers of the cheapest tree that are not taken from the origin.
fn cheapest_tree(
    instance: &Instance,
    artifact: &Artifact,
    origin: SiteId,
    destinations: &[SiteId],
) -> Vec<RelayedCopy> {
    if destinations.len() < 2 {
        return Vec::new();
    }
    // Node 0 is the origin.
    let mut arcs: Vec<Arc> = Vec::new();
    for (to, site) in destinations.iter().enumerate() {
        let Some(direct) = instance.links.cost(origin, *site, artifact.bytes) else {
            return Vec::new();
        };
        arcs.push(Arc {
            from: 0,
            to: to + 1,
            cost: (direct.0, 0),
            id: arcs.len(),
        });
        for (from, holder) in destinations.iter().enumerate() {
            if let Some(cost) = relayed(instance, artifact, origin, *holder, *site) {
                arcs.push(Arc {
                    from: from + 1,
                    to: to + 1,
                    cost: (cost.0, 1),
                    id: arcs.len(),
                });
            }
        }
    }
    if arcs.len() == destinations.len() {
        return Vec::new();
    }
    let chosen_arcs = arborescence(destinations.len() + 1, &arcs);
    let relays = chosen_arcs
        .into_iter()
        .map(|arc| arcs[arc])
        .filter(|arc| arc.from > 0);
    relays
        .map(|arc| RelayedCopy {
            to: destinations[arc.to - 1],
            holder: destinations[arc.from - 1],
        })
        .collect()
}

/// A link in the graph of one artifact's holders. The second part of its cost counts relays.
#[derive(Clone, Copy)]
struct Arc {
    from: usize,
    to: usize,
    cost: (i64, i64),
    id: usize,
}

/// Ids of the arcs of a cheapest arborescence from node 0, by contracting cycles (Chu and Liu
/// 1965, Edmonds 1967). Every node must have an arc from node 0.
fn arborescence(nodes: usize, arcs: &[Arc]) -> Vec<usize> {
    let mut least_arcs: Vec<Option<Arc>> = vec![None; nodes];
    for arc in arcs.iter().filter(|arc| arc.to != 0 && arc.from != arc.to) {
        let least_arc = &mut least_arcs[arc.to];
        if least_arc.is_none_or(|known| (arc.cost, arc.id) < (known.cost, known.id)) {
            *least_arc = Some(*arc);
        }
    }
    let Some(cycle) = cycle_of_arcs(&least_arcs) else {
        return least_arcs.into_iter().flatten().map(|arc| arc.id).collect();
    };
    // The nodes of the cycle become one, the last.
    let mut name = vec![0; nodes];
    let mut next_name = 0;
    for node in (0..nodes).filter(|node| !cycle.contains(node)) {
        name[node] = next_name;
        next_name += 1;
    }
    cycle.iter().for_each(|node| name[*node] = next_name);
    let contracted: Vec<Arc> = arcs
        .iter()
        .filter(|arc| name[arc.from] != name[arc.to])
        .map(|arc| {
            // Entering the cycle saves the arc that enters the same node from inside it.
            let saved_weight = least_arcs[arc.to]
                .filter(|_| name[arc.to] == next_name)
                .map_or((0, 0), |inside| inside.cost);
            Arc {
                from: name[arc.from],
                to: name[arc.to],
                cost: (arc.cost.0 - saved_weight.0, arc.cost.1 - saved_weight.1),
                id: arc.id,
            }
        })
        .collect();
    let mut chosen_arcs = arborescence(next_name + 1, &contracted);
    let entered: Vec<usize> = arcs
        .iter()
        .filter(|arc| chosen_arcs.contains(&arc.id) && cycle.contains(&arc.to))
        .map(|arc| arc.to)
        .collect();
    chosen_arcs.extend(
        cycle
            .iter()
            .filter(|node| !entered.contains(node))
            .filter_map(|node| least_arcs[*node])
            .map(|arc| arc.id),
    );
    chosen_arcs
}

/// Nodes of a cycle of the least arcs, if there is one.
fn cycle_of_arcs(least: &[Option<Arc>]) -> Option<Vec<usize>> {
    let mut visits_seen = vec![0; least.len()];
    for start in 1..least.len() {
        let mut node = start;
        while let Some(arc) = least[node].filter(|_| visits_seen[node] == 0) {
            visits_seen[node] = start;
            node = arc.from;
        }
        if node != 0 && visits_seen[node] == start {
            let node_before = |at: &usize| least[*at].map(|arc| arc.from);
            let nodes_before = std::iter::successors(node_before(&node), node_before);
            let mut cycle: Vec<usize> = nodes_before.take_while(|at| *at != node).collect();
            cycle.push(node);
            cycle.sort_unstable();
            return Some(cycle);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The least over all ways to give every node a parent from which node 0 is reached.
    fn by_trying(nodes: usize, arcs: &[Arc]) -> (i64, i64) {
        let into: Vec<Vec<Arc>> = (1..nodes)
            .map(|node| arcs.iter().copied().filter(|arc| arc.to == node).collect())
            .collect();
        let mut best = (i64::MAX, 0);
        let mut at = vec![0; into.len()];
        loop {
            let chosen: Vec<Arc> = at
                .iter()
                .zip(&into)
                .map(|(position, arcs)| arcs[*position])
                .collect();
            let reaches = |node: usize| {
                let mut node = node;
                for _ in 0..nodes {
                    node = if node == 0 { 0 } else { chosen[node - 1].from };
                }
                node == 0
            };
            if (1..nodes).all(reaches) {
                best = best.min(
                    chosen
                        .iter()
                        .fold((0, 0), |sum, arc| (sum.0 + arc.cost.0, sum.1 + arc.cost.1)),
                );
            }
            let Some(node) = (0..at.len()).find(|node| at[*node] + 1 < into[*node].len()) else {
                return best;
            };
            at[node] += 1;
            at[..node].fill(0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_tree_is_cheaper(nodes in 2..6_usize, costs in prop::collection::vec(0..9_i64, 25), there in prop::collection::vec(any::<bool>(), 25)) {
            let mut arcs = Vec::new();
            for (position, cost) in costs.iter().enumerate() {
                let (from, to) = (position / 5, position % 5);
                if from < nodes && to < nodes && to > 0 && from != to && (from == 0 || there[position]) {
                    arcs.push(Arc { from, to, cost: (*cost, i64::from(from > 0)), id: arcs.len() });
                }
            }
            let chosen = arborescence(nodes, &arcs);
            prop_assert_eq!(chosen.len(), nodes - 1);
            let sum = chosen.iter().fold((0, 0), |sum, arc| (sum.0 + arcs[*arc].cost.0, sum.1 + arcs[*arc].cost.1));
            prop_assert_eq!(sum, by_trying(nodes, &arcs));
        }
    }
}
