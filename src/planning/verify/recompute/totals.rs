//! Sums over the whole plan, and the limits of the policy.

use super::plan_check::PlanCheck;
use crate::model::{Millis, Money};
use crate::plan::{Plan, PlannedStage, PlannedTransfer};

impl PlanCheck<'_> {
    /// Checks every total, and that deadline and budget are kept.
    pub(super) fn totals(&mut self) {
        let totals = &self.plan.totals;
        let sum_of_stages =
            |cost: fn(&PlannedStage) -> Money| self.plan.stages.iter().map(cost).sum();
        let compute: Money = sum_of_stages(|stage| stage.cost_micro_usd);
        let disks: Money = sum_of_stages(|stage| stage.disk_micro_usd);
        let addresses: Money = sum_of_stages(|stage| stage.address_micro_usd);
        let written: Money = sum_of_stages(|stage| stage.storage_micro_usd);
        let sum_of_transfers =
            |cost: fn(&PlannedTransfer) -> Money| self.plan.transfers.iter().map(cost).sum();
        let egress: Money = sum_of_transfers(|transfer| transfer.cost_micro_usd);
        let transferred: Money = sum_of_transfers(|transfer| transfer.storage_micro_usd);
        let storage = written + transferred;
        let cost = compute + egress + storage + disks + addresses;
        let makespan = plan_makespan(self.plan);
        self.same("totals.disk_micro_usd", &totals.disk_micro_usd, &disks);
        self.same(
            "totals.address_micro_usd",
            &totals.address_micro_usd,
            &addresses,
        );
        self.same(
            "totals.compute_micro_usd",
            &totals.compute_micro_usd,
            &compute,
        );
        self.same("totals.egress_micro_usd", &totals.egress_micro_usd, &egress);
        self.same(
            "totals.storage_micro_usd",
            &totals.storage_micro_usd,
            &storage,
        );
        self.same("totals.cost_micro_usd", &totals.cost_micro_usd, &cost);
        self.same("totals.makespan_ms", &totals.makespan_ms, &makespan);
        self.policy_limits(cost, makespan);
    }

    fn policy_limits(&mut self, cost: Money, makespan: Millis) {
        if let Some(limit) = self.policy.deadline.filter(|limit| makespan > *limit) {
            let should = format!("at most {}", limit.exact());
            self.wrong("totals.makespan_ms", makespan.exact(), should);
        }
        if let Some(limit) = self.policy.budget.filter(|limit| cost > *limit) {
            let should = format!("at most {}", limit.exact());
            self.wrong("totals.cost_micro_usd", cost.exact(), should);
        }
    }
}

/// Returns when the last stage ends and the last output is home; zero for a plan without stages.
fn plan_makespan(plan: &Plan) -> Millis {
    let stage_ends = plan.stages.iter().map(|stage| stage.end_ms);
    let arrivals_home = plan
        .transfers
        .iter()
        .filter(|transfer| transfer.readers.is_empty())
        .map(|transfer| transfer.start_ms + transfer.duration_ms);
    stage_ends.chain(arrivals_home).fold(Millis(0), Ord::max)
}
