//! Where the outputs of a stage go: as the job says, or as the rules allow; and whether they get
//! there.

use super::plan_check::PlanCheck;
use super::stage_names::member;
use crate::model::{ArtifactRef, Destination, PlaceName, Stage};
use crate::plan::PlannedStage;
use crate::planning::rule;
use std::collections::BTreeSet;

impl PlanCheck<'_> {
    /// Checks the destinations of a stage's outputs; `read` are the labels of what the stage reads.
    pub(super) fn outputs(
        &mut self,
        stage: &Stage,
        planned: &PlannedStage,
        read: &BTreeSet<String>,
    ) {
        let carried: BTreeSet<String> = read.difference(&stage.removes).cloned().collect();
        let forbidden =
            rule::forbids_home(self.policy, &carried).filter(|_| !stage.writes.is_empty());
        self.same(
            member(planned, "kept_from_home_by"),
            &planned.kept_from_home_by,
            &forbidden,
        );
        let progress = rule::forbids_home(self.policy, read).filter(|_| stage.checkpoint.is_some());
        self.same(
            member(planned, "checkpoints_kept_from_home_by"),
            &planned.checkpoints_kept_from_home_by,
            &progress,
        );
        for output in stage.writes.keys() {
            self.destination(planned, output, forbidden.as_deref());
            self.homeward_transfer(planned, output, forbidden.as_deref());
        }
    }

    /// Checks the destination of one output, which a rule of the policy may keep from home.
    fn destination(&mut self, planned: &PlannedStage, output: &str, forbidden: Option<&str>) {
        let artifact = output_of(planned, output);
        let is_read = self
            .job
            .stages
            .values()
            .any(|stage| stage.reads.contains(&artifact));
        let goes = planned.outputs.get(output).copied();
        let should = match (self.job.outputs.get(&artifact).copied(), is_read) {
            (None, true) => None,
            (Some(said), _) => Some(said),
            (None, false) if forbidden.is_some() => Some(Destination::There),
            // It stays where nobody knows what it would cost to bring it. It may also stay where
            // that is not known of another place, if no plan brings it home.
            (None, false) if goes == Some(Destination::There) && self.lacks_a_way_home() => return,
            (None, false) if self.has_a_way_home(&planned.place) => Some(Destination::Home),
            (None, false) => Some(Destination::There),
        };
        self.same(
            member(planned, &format!("outputs.{output}")),
            &goes,
            &should,
        );
    }

    /// Checks that an output is brought home once if that is its destination, and never against a
    /// rule of the policy.
    fn homeward_transfer(&mut self, planned: &PlannedStage, output: &str, forbidden: Option<&str>) {
        let artifact = output_of(planned, output);
        let transfer_member = format!("transfers.{artifact} to {}", PlaceName::here());
        let brought = self
            .plan
            .transfers
            .iter()
            .filter(|transfer| transfer.artifact == artifact && transfer.readers.is_empty())
            .count();
        let goes_home = planned.outputs.get(output) == Some(&Destination::Home);
        self.same(transfer_member.clone(), &brought, &usize::from(goes_home));
        if let Some(rule) = forbidden.filter(|_| brought > 0) {
            self.wrong(
                transfer_member,
                "brought home",
                format!("kept where it is made: {rule}"),
            );
        }
    }

    fn has_a_way_home(&self, place: &PlaceName) -> bool {
        self.transfer_price(place, &PlaceName::here()).is_some()
    }

    /// Returns whether the way home has no known price from some place where something may run.
    fn lacks_a_way_home(&self) -> bool {
        let offering: BTreeSet<u32> = self
            .catalog
            .offers
            .iter()
            .map(|offer| offer.place)
            .collect();
        offering
            .into_iter()
            .any(|place| !self.has_a_way_home(&self.catalog.places[place as usize].name))
    }
}

/// Returns an output of a planned stage as an artifact.
fn output_of(planned: &PlannedStage, output: &str) -> ArtifactRef {
    ArtifactRef::Output {
        stage: planned.name.clone(),
        name: output.to_owned(),
    }
}
