//! Late placements in time by cuts. To shorten a DAG means to shorten every late path, so stages of
//! wide layers only help together: the cheapest set of stages such that every late path passes
//! one is a minimum cut, as in project crashing (Phillips and Dessouky, 1977).

use crate::planning::problem::concurrency::with_room;
use crate::planning::problem::{ChoiceId, Origin, StageId, StageInput};
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use crate::util::id_vec::IdVec;
use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::{DiGraph, NodeIndex};

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
        let mut steps_left = steps;
        for _ in 0..CUTS {
            let makespan = self.makespan();
            let late_by = makespan - deadline;
            if late_by <= 0 {
                return true;
            }
            let mut step = (late_by / steps_left).max(1);
            let mut best_cut = None;
            for _ in 0..HALVINGS {
                best_cut = self.cut(makespan - step, allowed, visits);
                if best_cut.is_some() || step == 1 {
                    break;
                }
                step -= step / 2;
            }
            let Some(cut) = best_cut else { return false };
            cut.into_iter()
                .for_each(|StageMove { stage, pick }| self.put(stage, pick));
            self.schedule();
            // Moves of neighbours may undo each other.
            if self.makespan() >= makespan {
                return false;
            }
            steps_left = (steps_left - 1).max(1);
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
        let is_late = |stage: StageId| self.end(stage) + self.tail[stage] > target;
        let stages: Vec<StageId> = self
            .placement
            .ids()
            .filter(|stage| is_late(*stage))
            .collect();
        let work: usize = stages.iter().map(|stage| allowed[*stage].len() + 1).sum();
        *visits = visits.checked_sub(work)?;
        let dearest = ENDLESS / (stages.len() as u64 + 1);
        let mut late_paths = LatePaths::new(self.placement.len(), stages.len());
        let mut moves = Vec::with_capacity(stages.len());
        for &stage in &stages {
            let option_now = self.now(stage);
            let options = self.options(stage, &allowed[stage]).into_iter();
            let best_option = options
                .filter(|option| option.path <= target)
                .min_by_key(|option| (option.cost, option.pick));
            // Of cuts that cost the same, the one with fewer moves.
            let capacity = best_option.map_or(dearest, |option| {
                let dearer = (option.cost - option_now).max(0).unsigned_abs();
                dearer.saturating_add(1).min(dearest)
            });
            let nodes = late_paths.add_stage(stage, capacity);
            moves.push(CutStage {
                stage,
                nodes,
                pick: best_option.map(|option| option.pick),
            });
        }
        for CutStage { stage, nodes, .. } in &moves {
            self.connect(*stage, *nodes, target, &mut late_paths);
        }
        let LatePaths {
            graph,
            source,
            sink,
            ..
        } = late_paths;
        let (cost, flows) = dinics(&graph, source, sink);
        if cost >= dearest {
            return None;
        }
        let reached_nodes = with_room(&graph, source, &flows);
        let crossed = moves.into_iter().filter(|cut| {
            reached_nodes[cut.nodes.into.index()] && !reached_nodes[cut.nodes.out.index()]
        });
        crossed
            .map(|cut| {
                Some(StageMove {
                    stage: cut.stage,
                    pick: cut.pick?,
                })
            })
            .collect()
    }

    /// Adds the edges that lead to a stage on paths that are longer than `target`, and its edge to
    /// the sink if it ends too late itself.
    fn connect(&self, stage: StageId, nodes: StageNodes, target: i64, late_paths: &mut LatePaths) {
        let site = self.site(stage);
        let rest_time = self.duration(stage) + self.tail[stage];
        let inputs = &self.shape.inputs[stage];
        let mut is_first = inputs.is_empty();
        for StageInput { origin, artifact } in inputs {
            match origin {
                Origin::Site(from) => {
                    is_first |= self.travel(*artifact, *from, site) + rest_time > target
                }
                Origin::Stage(before) => {
                    let arrival =
                        self.end(*before) + self.travel(*artifact, self.site(*before), site);
                    if let Some(before) =
                        late_paths.nodes[*before].filter(|_| arrival + rest_time > target)
                    {
                        late_paths.graph.add_edge(before.out, nodes.into, ENDLESS);
                    }
                }
            }
        }
        if is_first {
            let source = late_paths.source;
            late_paths.graph.add_edge(source, nodes.into, ENDLESS);
        }
        if self.end(stage) > target {
            let sink = late_paths.sink;
            late_paths.graph.add_edge(nodes.out, sink, ENDLESS);
        }
    }
}

/// The two nodes of a stage; the edge between them is cut where the stage moves.
#[derive(Clone, Copy)]
struct StageNodes {
    into: NodeIndex,
    out: NodeIndex,
}

/// A stage on a late path.
struct CutStage {
    stage: StageId,
    nodes: StageNodes,
    /// The cheapest choice that is fast enough.
    pick: Option<ChoiceId>,
}

/// The late paths of a placement as a network.
struct LatePaths {
    graph: DiGraph<(), u64>,
    source: NodeIndex,
    sink: NodeIndex,
    nodes: IdVec<StageId, Option<StageNodes>>,
}

impl LatePaths {
    /// A network without stages, with room for `late` of them.
    fn new(stages: usize, late: usize) -> Self {
        let mut graph = DiGraph::with_capacity(2 * late + 2, 4 * late);
        let (source, sink) = (graph.add_node(()), graph.add_node(()));
        Self {
            graph,
            source,
            sink,
            nodes: IdVec::filled(None, stages),
        }
    }

    fn add_stage(&mut self, stage: StageId, capacity: u64) -> StageNodes {
        let nodes = StageNodes {
            into: self.graph.add_node(()),
            out: self.graph.add_node(()),
        };
        self.graph.add_edge(nodes.into, nodes.out, capacity);
        self.nodes[stage] = Some(nodes);
        nodes
    }
}
