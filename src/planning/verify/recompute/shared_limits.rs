//! What stages use together: quotas, and how stages are spread.

use super::plan_check::PlanCheck;
use crate::model::{ArtifactRef, Domain, Pattern, PlaceName};
use crate::plan::PlannedStage;
use crate::planning::compile::base_name;
use crate::planning::verify::quota_check::{QuotaCheck, QuotaFigure};
use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// For plans of more stages, quotas are checked along the planned schedule only.
const COMPARED_STAGES: usize = 500;

impl PlanCheck<'_> {
    /// Checks that no quota is exceeded at any start of a stage.
    pub(super) fn quotas(&mut self) {
        for (pattern, quota) in self.policy.quotas.iter().chain(&self.catalog.quotas) {
            for starting in &self.plan.stages {
                let Some(domain) = quota_domain(pattern, &starting.place) else {
                    continue;
                };
                let runs_then = |other: &&PlannedStage| {
                    other.start_ms <= starting.start_ms
                        && starting.start_ms < other.end_ms
                        && quota_domain(pattern, &other.place).as_ref() == Some(&domain)
                };
                let mut quotas_used = QuotaCheck::default();
                for other in self.plan.stages.iter().filter(runs_then) {
                    quotas_used.add(other, self.catalog);
                }
                if !quotas_used.within(quota, self.catalog) {
                    let place_member = format!("stages.{}.place", starting.name);
                    let should = format!("within quotas.{pattern} when it starts");
                    self.wrong(place_member, &starting.place, should);
                }
            }
        }
    }

    /// Checks that quotas hold however long stages take: that stages which use more than a quota
    /// together do not all start before one of them has ended.
    pub(super) fn quotas_at_any_pace(&mut self) {
        if self.plan.stages.len() > COMPARED_STAGES {
            return;
        }
        let order = StageOrder::of(&self.plan.stages);
        for (pattern, quota) in self.policy.quotas.iter().chain(&self.catalog.quotas) {
            let domains: BTreeSet<String> = self
                .plan
                .stages
                .iter()
                .filter_map(|stage| quota_domain(pattern, &stage.place))
                .collect();
            for domain in domains {
                let of_stage = |stage: &PlannedStage| {
                    let mut used = QuotaCheck::default();
                    if quota_domain(pattern, &stage.place).as_ref() == Some(&domain) {
                        used.add(stage, self.catalog);
                    }
                    used.figures(quota, self.catalog)
                };
                let by_stage: Vec<Vec<QuotaFigure>> =
                    self.plan.stages.iter().map(of_stage).collect();
                let figure_count = by_stage.first().map_or(0, Vec::len);
                for figure in 0..figure_count {
                    let weights: Vec<u64> = by_stage
                        .iter()
                        .map(|figures| figures[figure].used)
                        .collect();
                    let most = by_stage[0][figure].most;
                    if order.heaviest_unordered(&weights) > u128::from(most) {
                        let should =
                            format!("waits that keep quotas.{pattern} however long stages take");
                        self.wrong("stages.waits_for", &domain, should);
                    }
                }
            }
        }
    }

    /// Checks that no place or cloud has more stages than the job lets it have.
    pub(super) fn spread(&mut self) {
        for (index, spread) in self.job.spread.iter().enumerate() {
            let mut stages_by_domain: BTreeMap<String, u32> = BTreeMap::new();
            let spread_domain = self
                .plan
                .stages
                .iter()
                .filter(|stage| spread.stages.contains(base_name(&stage.name)));
            for stage in spread_domain {
                let domain = match spread.over {
                    Domain::Place => stage.place.to_string(),
                    Domain::Cloud => stage.place.cloud.clone(),
                };
                *stages_by_domain.entry(domain).or_default() += 1;
            }
            for (domain, count) in stages_by_domain {
                if count > spread.at_most {
                    let should = format!("at most {} at {domain}: spread.{index}", spread.at_most);
                    self.wrong("stages", count, should);
                }
            }
        }
    }
}

/// Returns what a quota is counted by, a place or its cloud; `None`: the quota does not bind this
/// place.
fn quota_domain(pattern: &Pattern, place: &PlaceName) -> Option<String> {
    let name = if pattern.0.contains(':') {
        place.to_string()
    } else {
        place.cloud.clone()
    };
    pattern.matches(&name).then_some(name)
}

/// Which stages of a plan start only after others have ended.
struct StageOrder {
    /// By stage: all stages that start after it has ended.
    later: Vec<BTreeSet<usize>>,
}

impl StageOrder {
    fn of(stages: &[PlannedStage]) -> Self {
        let numbers: BTreeMap<&str, usize> = stages
            .iter()
            .map(|stage| stage.name.as_str())
            .zip(0..)
            .collect();
        let mut next = vec![BTreeSet::new(); stages.len()];
        for (number, stage) in stages.iter().enumerate() {
            let makers = stage.reads.iter().filter_map(|read| match read {
                ArtifactRef::Output { stage, .. } => Some(stage.as_str()),
                ArtifactRef::Dataset(_) => None,
            });
            let orders = stage.after.iter().map(String::as_str);
            let waits = stage.waits_for.iter().map(|wait| wait.stage.as_str());
            for before in makers.chain(orders).chain(waits) {
                if let Some(before) = numbers.get(before) {
                    next[*before].insert(number);
                }
            }
        }
        let reached_from = |first: usize| {
            let mut reached: BTreeSet<usize> = BTreeSet::new();
            let mut open = vec![first];
            while let Some(stage) = open.pop() {
                open.extend(next[stage].iter().filter(|later| reached.insert(**later)));
            }
            reached
        };
        Self {
            later: (0..stages.len()).map(reached_from).collect(),
        }
    }

    /// Returns the most that stages weigh together of which none starts after another has ended: the
    /// sum of all weights less the most of it that can be handed from stage to stage (Dilworth's
    /// theorem with weights; Fulkerson 1956).
    fn heaviest_unordered(&self, weights: &[u64]) -> u128 {
        let total: u128 = weights.iter().copied().map(u128::from).sum();
        let mut network: DiGraph<(), u64> = DiGraph::new();
        let (source, sink) = (network.add_node(()), network.add_node(()));
        let givers: Vec<NodeIndex> = weights.iter().map(|_| network.add_node(())).collect();
        let takers: Vec<NodeIndex> = weights.iter().map(|_| network.add_node(())).collect();
        for (stage, weight) in weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
        {
            network.add_edge(source, givers[stage], *weight);
            network.add_edge(takers[stage], sink, *weight);
            for later in self.later[stage]
                .iter()
                .filter(|later| weights[**later] > 0)
            {
                network.add_edge(givers[stage], takers[*later], *weight);
            }
        }
        let (handed_on, _) = dinics(&network, source, sink);
        total - u128::from(handed_on)
    }
}
