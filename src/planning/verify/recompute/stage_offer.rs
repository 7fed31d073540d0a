//! The offer that a stage takes, and the rules that bind it.

use super::plan_check::PlanCheck;
use super::stage_names::member;
use crate::model::{ArtifactRef, Offer, OfferName, Rate, Stage, Unit};
use crate::plan::{PlannedStage, Usage};
use crate::planning::rule;
use crate::planning::verify::required_tee;
use std::collections::BTreeSet;

impl<'a> PlanCheck<'a> {
    /// Checks all that the plan says of a stage.
    pub(super) fn stage(&mut self, stage: &Stage, planned: &PlannedStage) {
        let Some(offer) = self.offer_of(planned) else {
            return self.wrong(
                member(planned, "instance_type"),
                &planned.instance_type,
                "an offer of the catalog at this place",
            );
        };
        let labels = self.labels_read(stage);
        self.same(member(planned, "labels"), &planned.labels, &labels);
        self.offer_price(stage, planned, offer);
        self.description(stage, planned, offer);
        self.rules(stage, planned, offer, &labels);
        self.needs(stage, planned, offer);
        self.schedule(stage, planned, offer);
        self.outputs(stage, planned, &labels);
    }

    fn offer_of(&self, planned: &PlannedStage) -> Option<&'a Offer> {
        self.catalog.offers.iter().find(|offer| {
            self.catalog.place(offer).name == planned.place
                && self.catalog.machine(offer).instance_type == planned.instance_type
                && offer.purchase == planned.purchase
        })
    }

    /// Returns the labels of what a stage reads, followed back to the datasets.
    fn labels_read(&self, stage: &Stage) -> BTreeSet<String> {
        let mut labels = BTreeSet::new();
        for artifact in &stage.reads {
            let data_read = match artifact {
                ArtifactRef::Dataset(name) => self.job.datasets.get(name),
                ArtifactRef::Output { .. } => self.job.made.get(artifact),
            };
            match (data_read, artifact) {
                (Some(data), _) => labels.extend(data.labels.iter().cloned()),
                (None, ArtifactRef::Output { stage, .. }) => {
                    let Some(writer) = self.job.stages.get(stage) else {
                        continue;
                    };
                    let read = self.labels_read(writer);
                    labels.extend(read.difference(&writer.removes).cloned());
                }
                (None, ArtifactRef::Dataset(_)) => {}
            }
        }
        labels
    }

    /// Checks the rate of the offer, by the hour or by what a service counts.
    fn offer_price(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer) {
        let unit = self.catalog.machine(offer).unit();
        let quantity = match unit {
            Unit::Hour => None,
            Unit::TbScanned | Unit::TibScanned => Some(stage.needs.scans.0),
            Unit::MillionRequests => Some(stage.needs.requests),
        };
        let hourly = match quantity {
            None => offer.rate,
            Some(_) => Rate(0),
        };
        self.same(
            member(planned, "rate_nano_usd_per_hour"),
            &planned.rate_nano_usd_per_hour,
            &hourly,
        );
        let usage = quantity.map(|quantity| Usage {
            unit,
            rate_nano_usd_per_unit: offer.rate,
            quantity,
        });
        self.same(member(planned, "usage"), &planned.usage, &usage);
    }

    /// Checks what the plan only repeats of job, policy and catalog.
    fn description(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer) {
        let member_of = |name: &str| member(planned, name);
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        self.same(member_of("country"), &planned.country, &place.country);
        self.same(
            member_of("baseline_vcpu_thousandths"),
            &planned.baseline_vcpu_thousandths,
            &machine.baseline_vcpu_thousandths,
        );
        self.same(member_of("nodes"), &planned.nodes, &stage.nodes);
        self.same(member_of("reads"), &planned.reads, &stage.reads);
        self.same(member_of("writes"), &planned.writes, &stage.writes);
        self.same(member_of("run"), &planned.run, &stage.run);
        self.same(member_of("files"), &planned.files, &stage.files);
        self.same(
            member_of("deadline_ms"),
            &planned.deadline_ms,
            &stage.deadline,
        );
        let retries = stage
            .retries
            .as_ref()
            .or(self.policy.retries.as_ref())
            .filter(|retries| retries.times > 0);
        self.same(member_of("retries"), &planned.retries.as_ref(), &retries);
    }

    /// Checks that the rules of the policy allow the place and the machine.
    fn rules(
        &mut self,
        stage: &Stage,
        planned: &PlannedStage,
        offer: &Offer,
        labels: &BTreeSet<String>,
    ) {
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        let terms = rule::Terms {
            tees: offer.tee,
            purchase: offer.purchase,
            hourly: (machine.unit() == Unit::Hour).then_some(offer.rate),
        };
        let forbidden = rule::forbids_place(self.policy, labels, place)
            .or_else(|| rule::forbids_machine(self.policy, labels, &terms));
        if let Some(key) = forbidden {
            self.wrong(
                member(planned, "place"),
                &planned.place,
                format!("a place and machine that {key} allows"),
            );
        }
        let tee = required_tee::tee(self.policy, labels, &stage.needs, offer.tee, |needs| {
            self.meets(needs, offer)
        });
        self.same(member(planned, "tee"), &planned.tee, &tee);
    }

    /// Checks that the offer is bought as it may be, was not found used up, and meets the needs.
    fn needs(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer) {
        if !self.may_buy(stage, offer.purchase) {
            self.wrong(
                member(planned, "purchase"),
                planned.purchase,
                "as the allocation of the stage or the policy says",
            );
        }
        let is_planned = |name: &OfferName| {
            name.place == planned.place
                && name.instance_type == planned.instance_type
                && name.purchase == planned.purchase
        };
        if stage.without.iter().any(is_planned) {
            self.wrong(
                member(planned, "instance_type"),
                &planned.instance_type,
                "an offer that the state has not found used up",
            );
        }
        let alternatives = &stage.needs.any_of;
        let meets_alternative =
            alternatives.is_empty() || alternatives.iter().any(|needs| self.meets(needs, offer));
        if !(self.meets(&stage.needs, offer) && meets_alternative) {
            self.wrong(
                member(planned, "instance_type"),
                &planned.instance_type,
                "a machine that meets the stage's needs",
            );
        }
    }
}
