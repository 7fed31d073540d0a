//! What stages use together: quotas, and how stages are spread.

use super::plan_check::PlanCheck;
use crate::model::{Domain, Pattern, PlaceName};
use crate::plan::PlannedStage;
use crate::planning::compile::base_name;
use crate::planning::verify::quota_check::QuotaCheck;
use std::collections::BTreeMap;

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
