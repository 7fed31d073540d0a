//! Whether an offer meets needs.

use super::plan_check::PlanCheck;
use crate::model::{
    AcceleratorNeed, Allocation, Latency, Machine, Needs, Offer, Purchase, Stage, Unit,
};

impl PlanCheck<'_> {
    /// Returns whether a stage may buy machines in this way.
    pub(super) fn may_buy(&self, stage: &Stage, purchase: Purchase) -> bool {
        let by_default = if self.policy.allow_spot == Some(true) {
            Allocation::Cheapest
        } else {
            Allocation::OnDemand
        };
        match stage
            .allocation
            .or(self.policy.allocation)
            .unwrap_or(by_default)
        {
            Allocation::OnDemand => purchase == Purchase::OnDemand,
            Allocation::Spot => purchase == Purchase::Spot,
            Allocation::SpotIfAvailable | Allocation::Cheapest => true,
        }
    }

    /// Returns whether a machine has an accelerator.
    pub(super) fn has_accelerator(&self, machine: &Machine, need: &AcceleratorNeed) -> bool {
        let Some((name, count)) = &machine.accelerator else {
            return false;
        };
        *count >= need.thousandths && self.catalog.is_accelerator(name, &need.name)
    }

    /// Returns whether an offer meets one set of needs; alternatives in it are other sets.
    pub(super) fn meets(&self, needs: &Needs, offer: &Offer) -> bool {
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        let name = place.name.to_string();
        is_service_for(needs, machine)
            && sustained_vcpus(machine) >= needs.vcpu_thousandths
            && machine.memory >= needs.memory
            && (needs.accelerators.is_empty()
                || needs
                    .accelerators
                    .iter()
                    .any(|need| self.has_accelerator(machine, need)))
            && (needs.tee.is_empty() || needs.tee.iter().any(|tee| offer.tee.has(*tee)))
            && (machine.service.is_some() || self.runs_on(needs, machine))
            && (needs.places.is_empty()
                || needs.places.iter().any(|pattern| pattern.matches(&name)))
            && (needs.instance_types.is_empty()
                || needs
                    .instance_types
                    .iter()
                    .any(|pattern| pattern.matches(&machine.instance_type)))
            && needs
                .max_price
                .is_none_or(|most| machine.unit() != Unit::Hour || offer.rate <= most)
            && needs
                .latency
                .as_ref()
                .is_none_or(|bound| self.is_near(offer.place, bound))
    }

    /// Returns whether a place is in a country, or within so much time of a place that is.
    fn is_near(&self, place: u32, bound: &Latency) -> bool {
        let in_country =
            |place: u32| self.catalog.places[place as usize].country.as_ref() == Some(&bound.to);
        let mut neighbours = self
            .catalog
            .round_trips
            .iter()
            .filter(|(_, time)| **time <= bound.at_most)
            .filter_map(|((one, other), _)| match place {
                place if place == *one => Some(*other),
                place if place == *other => Some(*one),
                _ => None,
            });
        in_country(place) || neighbours.any(in_country)
    }

    /// Returns whether a machine has the architecture that the stage asks for, or else the policy;
    /// where neither does, whether it is not known to have another than x86_64.
    fn runs_on(&self, needs: &Needs, machine: &Machine) -> bool {
        let by_policy = self
            .policy
            .arch
            .as_deref()
            .filter(|_| needs.any_of.is_empty());
        match needs.arch.as_deref().or(by_policy) {
            Some("any") => true,
            Some(arch) => machine.arch == arch,
            // Alternatives say it each for themselves.
            None => !needs.any_of.is_empty() || machine.arch.is_empty() || machine.arch == "x86_64",
        }
    }
}

/// Returns whether a machine is the service that is asked for, or a machine where none is.
fn is_service_for(needs: &Needs, machine: &Machine) -> bool {
    match (&needs.service, &machine.service) {
        (Some(need), Some(service)) => {
            need.name == service.name && need.admits(service.version.as_ref())
        }
        (None, None) => true,
        // What is common to alternatives may leave open which of both it is.
        (None, Some(_)) => !needs.any_of.is_empty(),
        (Some(_), None) => false,
    }
}

/// Returns the virtual CPUs that a machine gives for as long as it runs, in thousandths.
pub(super) fn sustained_vcpus(machine: &Machine) -> u64 {
    machine
        .baseline_vcpu_thousandths
        .unwrap_or(machine.vcpu_thousandths)
}
