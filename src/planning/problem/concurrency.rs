//! What stages use together: quotas, also on stages that run at once, and stages kept apart.

use super::ids::{CandidateId, CapId, ChoiceId, Placement, StageId};
use super::instance::{CandidateUse, Cap, Instance, Origin, Shape, StageInput};
use crate::model::units::saturate;
use crate::util::id_vec::{Id, IdVec};
use petgraph::Direction::Incoming;
use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// Returns what one choice of a stage uses of a cap.
pub fn cap_usage(cap: &Cap, stage: StageId, candidate: CandidateId) -> i64 {
    let uses = &cap.uses[stage];
    uses.binary_search_by_key(&candidate, |entry| entry.candidate)
        .map_or(0, |index| uses[index].used)
}

/// Returns how far a placement is over its caps on all stages together; 0: within them.
pub fn excess(instance: &Instance, placement: &Placement) -> i64 {
    let excess = |cap: &Cap| {
        (usage_by_stage(instance, cap, placement).iter().sum::<i64>() - cap.limit).max(0)
    };
    instance
        .caps
        .iter()
        .filter(|cap| !cap.concurrent)
        .map(excess)
        .sum()
}

/// A table of what the choices of an instance use of its caps, for those who look at many
/// placements.
pub struct Usage<'a> {
    caps: &'a IdVec<CapId, Cap>,
    /// By stage and choice: caps, rising, and what it uses of them.
    of: IdVec<StageId, IdVec<ChoiceId, Vec<(CapId, i64)>>>,
}

impl<'a> Usage<'a> {
    /// Looks up what every choice uses.
    pub fn of(instance: &'a Instance) -> Self {
        let mut uses_of_choices: IdVec<StageId, IdVec<ChoiceId, Vec<(CapId, i64)>>> = instance
            .stages
            .map(|stage| stage.choices.map(|_| Vec::new()));
        for (index, cap) in instance.caps.iter_enumerated() {
            for ((stage, uses), of) in instance
                .stages
                .iter()
                .zip(&cap.uses)
                .zip(&mut uses_of_choices)
            {
                for CandidateUse { candidate, used } in uses {
                    // Choices rise by tag; one that was dropped uses nothing.
                    if let Ok(position) = stage
                        .choices
                        .binary_search_by_key(candidate, |choice| choice.tag)
                    {
                        of[position].push((index, *used));
                    }
                }
            }
        }
        Self {
            caps: &instance.caps,
            of: uses_of_choices,
        }
    }

    /// How far a placement is over the caps on all stages together; 0: within them. The same as
    /// [`excess`].
    pub fn excess(&self, placement: &Placement) -> i64 {
        if self.caps.is_empty() {
            return 0;
        }
        let caps = self
            .caps
            .iter()
            .zip(self.totals(placement))
            .filter(|(cap, _)| !cap.concurrent);
        caps.map(|(cap, used)| (used - cap.limit).max(0)).sum()
    }

    /// By cap: what all stages together use.
    pub fn totals(&self, placement: &Placement) -> IdVec<CapId, i64> {
        let mut used_units = self.caps.map(|_| 0_i64);
        for (of, position) in self.of.iter().zip(placement) {
            of[*position]
                .iter()
                .for_each(|(cap, more)| used_units[*cap] += more);
        }
        used_units
    }

    /// Whether every cap still holds when one stage of a placement that keeps all of them takes
    /// another choice; `totals` are those of the placement. `None`: a cap on stages that run at
    /// once holds only if some of them wait for each other.
    pub fn holds_after(
        &self,
        totals: &IdVec<CapId, i64>,
        stage: StageId,
        from: ChoiceId,
        to: ChoiceId,
    ) -> Option<bool> {
        let units_before = |cap: CapId| {
            let units_of_choice = &self.of[stage][from];
            units_of_choice
                .binary_search_by_key(&cap, |(cap, _)| *cap)
                .map_or(0, |index| units_of_choice[index].1)
        };
        // Who uses no more than before exceeds nothing that was kept.
        let exceeded = |(cap, used): &&(CapId, i64)| {
            let before = units_before(*cap);
            *used > before && totals[*cap] - before + used > self.caps[*cap].limit
        };
        let mut exceeded = self.of[stage][to].iter().filter(exceeded).peekable();
        match exceeded.peek().is_none() {
            true => Some(true),
            false if exceeded.any(|(cap, _)| !self.caps[*cap].concurrent) => Some(false),
            false => None,
        }
    }
}

/// Returns whether each stage of a placement uses no more of any concurrent cap than in another one.
pub fn uses_no_more(instance: &Instance, placement: &Placement, than: &Placement) -> bool {
    let mut concurrent = instance.caps.iter().filter(|cap| cap.concurrent);
    concurrent.all(|cap| {
        let used = usage_by_stage(instance, cap, placement);
        let most = usage_by_stage(instance, cap, than);
        used.iter().zip(&most).all(|(used, most)| used <= most)
    })
}

/// By stage: what its choice uses.
fn usage_by_stage(instance: &Instance, cap: &Cap, placement: &Placement) -> IdVec<StageId, i64> {
    let stages = instance.stages.iter_enumerated().zip(placement);
    stages
        .map(|((stage, choices), pick)| cap_usage(cap, stage, choices.choices[*pick].tag))
        .collect()
}

/// A concurrent cap that some stages which may run at once exceed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceededCap {
    /// The cap that is exceeded.
    pub cap: CapId,
    /// Stages that may run at once and use more than the cap together.
    pub stages: Vec<StageId>,
}

/// Returns a concurrent cap that a placement may exceed; `None`: whatever the durations, no such
/// cap is ever exceeded.
pub fn exceeded_cap(
    instance: &Instance,
    shape: &Shape,
    placement: &Placement,
) -> Option<ExceededCap> {
    let exceeded = |(index, cap): (CapId, &Cap)| {
        let uses = usage_by_stage(instance, cap, placement);
        // Most placements use too little even if all ran at once.
        if uses.iter().sum::<i64>() <= cap.limit {
            return None;
        }
        let heaviest = heaviest_antichain(shape, &uses);
        (heaviest.weight > cap.limit).then_some(ExceededCap {
            cap: index,
            stages: heaviest.stages,
        })
    };
    instance
        .caps
        .iter_enumerated()
        .filter(|(_, cap)| cap.concurrent)
        .find_map(exceeded)
}

/// For more stages than this, no maximum flow is worked out to see whether caps hold.
const COMPARED_STAGES: usize = 500;

/// Returns whether a placement is known to exceed no concurrent cap, whatever the durations. For a
/// job of very many stages that is not looked into, and the answer is no.
pub fn is_known_to_fit(instance: &Instance, shape: &Shape, placement: &Placement) -> bool {
    instance.stages.len() <= COMPARED_STAGES && exceeded_cap(instance, shape, placement).is_none()
}

/// Stages of which none waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Antichain {
    /// The sum of the stages' weights.
    pub weight: i64,
    /// The stages, in rising order.
    pub stages: Vec<StageId>,
}

/// Returns the stages of most weight of which none waits for another.
///
/// Dilworth's theorem with weights: the heaviest antichain weighs as much as the least number of
/// chains that cover every stage as often as its weight, which is the sum of the weights less a
/// maximum flow between "before" and "after" (Fulkerson 1956).
pub fn heaviest_antichain(shape: &Shape, weights: &IdVec<StageId, i64>) -> Antichain {
    let heavy: Vec<StageId> = weights.ids().filter(|stage| weights[*stage] > 0).collect();
    let stages_below = descendant_bits(shape);
    let comparable = |a: StageId, b: StageId| has_bit(&stages_below[a], b);
    // Nodes: source, sink, then "before" and "after" of every stage.
    let mut network: DiGraph<(), u64> = DiGraph::new();
    let source = network.add_node(());
    let sink = network.add_node(());
    let nodes_before: Vec<NodeIndex> = heavy.iter().map(|_| network.add_node(())).collect();
    let nodes_after: Vec<NodeIndex> = heavy.iter().map(|_| network.add_node(())).collect();
    let weight = |stage: StageId| weights[stage].unsigned_abs();
    for (index, stage) in heavy.iter().enumerate() {
        network.add_edge(source, nodes_before[index], weight(*stage));
        network.add_edge(nodes_after[index], sink, weight(*stage));
        // Never full: the cut that a maximum flow leaves is to run through stages alone.
        for (other, _) in heavy
            .iter()
            .enumerate()
            .filter(|(_, later)| comparable(*stage, **later))
        {
            network.add_edge(nodes_before[index], nodes_after[other], u64::MAX);
        }
    }
    let (most, flows) = dinics(&network, source, sink);
    let total_weight: i64 = heavy.iter().map(|stage| weights[*stage]).sum();
    let reached_nodes = with_room(&network, source, &flows);
    let is_free = |index: &usize| {
        reached_nodes[nodes_before[*index].index()] && !reached_nodes[nodes_after[*index].index()]
    };
    let stages = (0..heavy.len())
        .filter(is_free)
        .map(|index| heavy[index])
        .collect();
    Antichain {
        weight: total_weight - saturate(i128::from(most)),
        stages,
    }
}

/// Returns, by node, whether more could flow there from `source`: what a minimum cut leaves on its
/// side.
pub fn with_room(network: &DiGraph<(), u64>, source: NodeIndex, flows: &[u64]) -> Vec<bool> {
    let mut reached_nodes = vec![false; network.node_count()];
    reached_nodes[source.index()] = true;
    let mut stack = vec![source];
    while let Some(node) = stack.pop() {
        let onward = network
            .edges(node)
            .filter(|edge| flows[edge.id().index()] < *edge.weight())
            .map(|edge| edge.target());
        let back = network
            .edges_directed(node, Incoming)
            .filter(|edge| flows[edge.id().index()] > 0)
            .map(|edge| edge.source());
        for next in onward.chain(back).collect::<Vec<_>>() {
            if !std::mem::replace(&mut reached_nodes[next.index()], true) {
                stack.push(next);
            }
        }
    }
    reached_nodes
}

/// By stage, as bits: the stages that wait for it.
fn descendant_bits(shape: &Shape) -> IdVec<StageId, Vec<u64>> {
    let count = shape.inputs.len();
    let mut stages_below = shape.inputs.map(|_| vec![0_u64; count.div_ceil(64)]);
    for &stage in shape.order.iter().rev() {
        let own_bits = stages_below[stage].clone();
        for StageInput { origin, .. } in &shape.inputs[stage] {
            if let Origin::Stage(before) = origin {
                stages_below[*before]
                    .iter_mut()
                    .zip(&own_bits)
                    .for_each(|(bits, own)| *bits |= own);
                stages_below[*before][stage.index() / 64] |= 1 << (stage.index() % 64);
            }
        }
    }
    stages_below
}

/// Whether a stage is in a set of stages that is kept as bits.
fn has_bit(set: &[u64], stage: StageId) -> bool {
    set[stage.index() / 64] >> (stage.index() % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::problem::samples::rich_instances;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_set_that_may_run_at_once_is_heavier(
            weights in prop::collection::vec(0..6_i64, 1..9),
            arcs in prop::collection::vec((0..9_usize, 0..9_usize), 0..12),
        ) {
            let count = weights.len();
            let mut inputs: IdVec<StageId, Vec<StageInput>> = IdVec::filled(Vec::new(), count);
            for (before, after) in arcs.into_iter().filter(|(a, b)| a < b && *b < count) {
                inputs[StageId::new(after)].push(StageInput { origin: Origin::Stage(StageId::new(before)), artifact: None });
            }
            let shape = Shape { inputs, order: StageId::below(count).collect() };
            let below = descendant_bits(&shape);
            let waits = |a: usize, b: usize| has_bit(&below[StageId::new(a)], StageId::new(b));
            let apart = |set: u32| {
                let inside = |stage: &usize| set >> stage & 1 == 1;
                (0..count).filter(inside).all(|a| (0..count).filter(inside).all(|b| !waits(a, b)))
            };
            let weight = |set: u32| (0..count).filter(|stage| set >> stage & 1 == 1).map(|stage| weights[stage]).sum::<i64>();
            let expected = (0..1_u32 << count).filter(|set| apart(*set)).map(weight).max().unwrap();
            let heaviest = heaviest_antichain(&shape, &weights.clone().into());
            prop_assert_eq!(heaviest.weight, expected);
            let set = heaviest.stages.iter().fold(0, |set, stage| set | 1 << stage.index());
            prop_assert!(apart(set));
            prop_assert_eq!(weight(set), expected);
        }

        #[test]
        fn what_is_looked_up_before_is_what_is_summed_up(instance in rich_instances()) {
            let usage = Usage::of(&instance);
            for number in 0..3 {
                let placement: Placement = instance.stages.map(|stage| ChoiceId::new(number % stage.choices.len()));
                prop_assert_eq!(usage.excess(&placement), excess(&instance, &placement));
                let shape = instance.shape();
                let holds = |placement: &Placement| excess(&instance, placement) == 0 && exceeded_cap(&instance, &shape, placement).is_none();
                for stage in placement.ids().filter(|_| holds(&placement)) {
                    let mut moved = placement.clone();
                    moved[stage] = ChoiceId::new((placement[stage].index() + 1) % instance.stages[stage].choices.len());
                    let found = usage.holds_after(&usage.totals(&placement), stage, placement[stage], moved[stage]);
                    let over_all = excess(&instance, &moved) > 0;
                    prop_assert!(found.is_none_or(|found| found == holds(&moved)), "{found:?} {over_all}");
                    prop_assert!(found.is_some() || !over_all);
                }
            }
        }
    }
}
