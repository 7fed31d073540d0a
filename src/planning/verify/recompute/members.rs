//! What a plan says of the whole job: names, objective, limits and datasets.

use super::plan_check::PlanCheck;
use crate::model::Objective;
use crate::plan::PlannedObjective;

impl PlanCheck<'_> {
    /// Checks that the plan has every stage and dataset once, and what it says of the whole.
    pub(super) fn members(&mut self) {
        self.stage_names();
        self.same("job", &self.plan.job.as_str(), &self.job.name.as_str());
        self.same("objective", &self.plan.objective, &self.objective());
        self.limits();
        self.datasets();
    }

    fn stage_names(&mut self) {
        let mut names: Vec<&str> = self
            .plan
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        names.sort_unstable();
        let expected: Vec<&str> = self.job.stages.keys().map(String::as_str).collect();
        self.same("stages", &names, &expected);
    }

    fn objective(&self) -> PlannedObjective {
        match (self.policy.minimize, self.policy.hour) {
            (Objective::Time, _) => PlannedObjective::Time,
            (Objective::Cost, Some(_)) => PlannedObjective::Weighted,
            (Objective::Cost, None) => PlannedObjective::Cost,
        }
    }

    fn limits(&mut self) {
        let (limits, policy) = (&self.plan.limits, self.policy);
        self.same("limits.hour_nano_usd", &limits.hour_nano_usd, &policy.hour);
        self.same("limits.deadline_ms", &limits.deadline_ms, &policy.deadline);
        self.same(
            "limits.budget_micro_usd",
            &limits.budget_micro_usd,
            &policy.budget,
        );
    }

    fn datasets(&mut self) {
        let given_datasets: Vec<_> = self
            .job
            .datasets
            .iter()
            .map(|(name, data)| (name, &data.at, &data.path, data.size, &data.labels))
            .collect();
        let planned: Vec<_> = self
            .plan
            .datasets
            .iter()
            .map(|(name, data)| (name, &data.at, &data.path, data.bytes, &data.labels))
            .collect();
        self.same("datasets", &planned, &given_datasets);
    }
}
