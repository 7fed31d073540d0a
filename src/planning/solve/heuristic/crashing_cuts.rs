//! Late placements in time by cuts. To shorten a DAG means to shorten every late path, so stages of
//! wide layers only help together: the cheapest set of stages such that every late path passes
//! one is a minimum cut, as in project crashing (Phillips and Dessouky, 1977).

use crate::planning::problem::{ChoiceId, Origin, StageId, StageInput};
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use crate::util::id_vec::IdVec;
use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// More than all capacities that can be cut.
const ENDLESS: u64 = 1 << 60;
/// Cuts for one placement at most.
const CUTS: usize = 256;
/// A step that no cut can make is halved so often at most.
const HALVINGS: usize = 4;

/// A stage, and the choice that it is to take.
struct StageMove {
    stage: StageId,
    pick: ChoiceId,
}

impl TimedPlacement<'_> {
    /// Makes a late placement shorter until it is in time, in about that many steps. `false`: it
    /// cannot.
    pub(crate) fn crash(
        &mut self,
        deadline: i64,
        steps: i64,
        allowed: &AllowedChoices,
        visits: &mut usize,
    ) -> bool {
        let mut left = steps;
        for _ in 0..CUTS {
            let makespan = self.makespan();
            let late = makespan - deadline;
            if late <= 0 {
                return true;
            }
            let mut step = (late / left).max(1);
            let mut cut = None;
            for _ in 0..HALVINGS {
                cut = self.cut(makespan - step, allowed, visits);
                if cut.is_some() || step == 1 {
                    break;
                }
                step -= step / 2;
            }
            let Some(cut) = cut else { return false };
            cut.into_iter()
                .for_each(|StageMove { stage, pick }| self.put(stage, pick));
            self.schedule();
            // Moves of neighbours may undo each other.
            if self.makespan() >= makespan {
                return false;
            }
            left = (left - 1).max(1);
        }
        false
    }

    /// The cheapest moves that shorten every path that is longer than `target`, each path's one
    /// enough for it.
    fn cut(
        &self,
        target: i64,
        allowed: &AllowedChoices,
        visits: &mut usize,
    ) -> Option<Vec<StageMove>> {
        let late = |stage: StageId| self.end(stage) + self.tail[stage] > target;
        let stages: Vec<StageId> = self.picks.ids().filter(|stage| late(*stage)).collect();
        let work: usize = stages.iter().map(|stage| allowed[*stage].len() + 1).sum();
        *visits = visits.checked_sub(work)?;
        let dearest = ENDLESS / (stages.len() as u64 + 1);
        let mut graph: DiGraph<(), u64> =
            DiGraph::with_capacity(2 * stages.len() + 2, 4 * stages.len());
        let (source, sink) = (graph.add_node(()), graph.add_node(()));
        let mut nodes: IdVec<StageId, Option<(NodeIndex, NodeIndex)>> = self.picks.map(|_| None);
        let mut moves = Vec::with_capacity(stages.len());
        for &stage in &stages {
            let now = self.now(stage);
            let options = self.options(stage, &allowed[stage]).into_iter();
            let best = options
                .filter(|option| option.way <= target)
                .map(|option| (option.cost, option.pick))
                .min();
            // Of cuts that cost the same, the one with fewer moves.
            let capacity = best.map_or(dearest, |(cost, _)| {
                u64::try_from(cost - now)
                    .unwrap_or(0)
                    .saturating_add(1)
                    .min(dearest)
            });
            let (into, out) = (graph.add_node(()), graph.add_node(()));
            graph.add_edge(into, out, capacity);
            nodes[stage] = Some((into, out));
            moves.push((stage, into, out, best));
        }
        for &(stage, into, out, _) in &moves {
            let site = self.site(stage);
            let rest = self.duration(stage) + self.tail[stage];
            let inputs = &self.shape.inputs[stage];
            let mut first = inputs.is_empty();
            for StageInput { origin, artifact } in inputs {
                match origin {
                    Origin::Site(from) => {
                        first |= self.travel(*artifact, *from, site) + rest > target
                    }
                    Origin::Stage(before) => {
                        let arrival =
                            self.end(*before) + self.travel(*artifact, self.site(*before), site);
                        if let Some((_, before)) =
                            nodes[*before].filter(|_| arrival + rest > target)
                        {
                            graph.add_edge(before, into, ENDLESS);
                        }
                    }
                }
            }
            if first {
                graph.add_edge(source, into, ENDLESS);
            }
            if self.end(stage) > target {
                graph.add_edge(out, sink, ENDLESS);
            }
        }
        let (cost, flows) = dinics(&graph, source, sink);
        if cost >= dearest {
            return None;
        }
        let mut reached = vec![false; graph.node_count()];
        reached[source.index()] = true;
        let mut open = vec![source];
        while let Some(node) = open.pop() {
            let forth = graph
                .edges(node)
                .filter(|edge| flows[edge.id().index()] < *edge.weight());
            let back = graph
                .edges_directed(node, petgraph::Direction::Incoming)
                .filter(|edge| flows[edge.id().index()] > 0);
            let next: Vec<NodeIndex> = forth
                .map(|edge| edge.target())
                .chain(back.map(|edge| edge.source()))
                .collect();
            for node in next {
                if !std::mem::replace(&mut reached[node.index()], true) {
                    open.push(node);
                }
            }
        }
        let crossed = moves
            .into_iter()
            .filter(|(_, into, out, _)| reached[into.index()] && !reached[out.index()]);
        crossed
            .map(|(stage, _, _, best)| {
                Some(StageMove {
                    stage,
                    pick: best?.1,
                })
            })
            .collect()
    }
}
