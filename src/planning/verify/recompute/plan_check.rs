//! What all checks share: the inputs, and how a difference is noted.

use crate::catalog::{Catalog, Terms};
use crate::model::{Job, PlaceName, Policy};
use crate::plan::{Plan, PlannedStage};
use crate::planning::verify::difference::Difference;
use serde::Serialize;
use std::collections::BTreeMap;

/// A plan, the inputs that it is checked against, and the differences that were found.
pub(super) struct PlanCheck<'a> {
    pub plan: &'a Plan,
    /// The job with every replica of a stage as a stage.
    pub job: &'a Job,
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    /// The stages of the plan, by name.
    pub stages: BTreeMap<&'a str, &'a PlannedStage>,
    pub found: Vec<Difference>,
}

impl<'a> PlanCheck<'a> {
    /// Begins the check of a plan; every replica of a stage is a stage of `job`.
    pub(super) fn new(
        plan: &'a Plan,
        job: &'a Job,
        policy: &'a Policy,
        catalog: &'a Catalog,
    ) -> Self {
        let stages = plan
            .stages
            .iter()
            .map(|stage| (stage.name.as_str(), stage))
            .collect();
        Self {
            plan,
            job,
            policy,
            catalog,
            stages,
            found: Vec::new(),
        }
    }

    /// Notes a difference unless the plan says what it should.
    pub(super) fn same<T: PartialEq + Serialize>(
        &mut self,
        member_path: impl Into<String>,
        says: &T,
        should: &T,
    ) {
        if says != should {
            self.wrong(member_path, shown_member(says), shown_member(should));
        }
    }

    /// Notes a difference.
    pub(super) fn wrong(
        &mut self,
        member_path: impl Into<String>,
        says: impl ToString,
        should: impl ToString,
    ) {
        self.found.push(Difference::new(member_path, says, should));
    }

    /// Returns the terms of the cloud that a place is of; a cloud whose terms the catalog does not
    /// have bills every millisecond and nothing else.
    pub(super) fn terms(&self, place: &PlaceName) -> Terms {
        self.catalog
            .terms
            .get(&place.cloud)
            .cloned()
            .unwrap_or_default()
    }
}

/// Returns a member of a plan as JSON.
fn shown_member<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("no JSON: {error}"))
}
