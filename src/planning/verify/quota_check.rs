//! What a plan's stages use together, against quotas: the verifier's own count.

use crate::catalog::Catalog;
use crate::model::{Machine, Quota};
use crate::plan::PlannedStage;
use std::collections::BTreeMap;

/// The sum of what stages that run at once use of a quota.
#[derive(Default)]
pub(super) struct QuotaCheck {
    vcpu_thousandths: u64,
    /// Whether some machine has an unknown number of vCPUs, which may be more than the quota.
    unknown_vcpus: bool,
    instances: u64,
    /// Thousandths, by name.
    cards: BTreeMap<String, u64>,
}

impl QuotaCheck {
    pub(super) fn add(&mut self, stage: &PlannedStage, catalog: &Catalog) {
        let is = |machine: &&Machine| {
            machine.cloud == stage.place.cloud && machine.instance_type == stage.instance_type
        };
        let Some(machine) = catalog.machines.iter().find(is) else {
            return;
        };
        let nodes = u64::from(stage.nodes);
        // What is paid by quantity is nobody's machine.
        let rented = stage.usage.is_none();
        self.unknown_vcpus |= rented && machine.vcpu_thousandths == 0;
        self.vcpu_thousandths += machine.vcpu_thousandths * nodes;
        self.instances += if rented { nodes } else { 0 };
        if let Some((name, count)) = &machine.accelerator {
            *self.cards.entry(name.clone()).or_default() += u64::from(*count) * nodes;
        }
    }

    pub(super) fn within(&self, quota: &Quota, catalog: &Catalog) -> bool {
        let cards = |wanted: &str| {
            let counted_cards = self
                .cards
                .iter()
                .filter(|(name, _)| *name == wanted || catalog.is_accelerator(name, wanted));
            counted_cards.map(|(_, count)| *count).sum::<u64>()
        };
        quota
            .vcpu_thousandths
            .is_none_or(|most| !self.unknown_vcpus && self.vcpu_thousandths <= most)
            && quota.instances.is_none_or(|most| self.instances <= most)
            && quota
                .accelerators
                .is_none_or(|most| self.cards.values().sum::<u64>() <= most.saturating_mul(1000))
            && quota
                .by_accelerator
                .iter()
                .all(|(name, most)| cards(name) <= most.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_vcpus_are_within_no_quota_of_them() {
        let catalog = Catalog::default();
        let vcpus = Quota {
            vcpu_thousandths: Some(4000),
            ..Quota::default()
        };
        let instances = Quota {
            instances: Some(1),
            ..Quota::default()
        };
        let known = QuotaCheck {
            vcpu_thousandths: 4000,
            instances: 1,
            ..QuotaCheck::default()
        };
        assert!(known.within(&vcpus, &catalog) && known.within(&instances, &catalog));
        let unknown = QuotaCheck {
            unknown_vcpus: true,
            instances: 1,
            ..QuotaCheck::default()
        };
        assert!(!unknown.within(&vcpus, &catalog) && unknown.within(&instances, &catalog));
    }
}
