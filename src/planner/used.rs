//! What a plan's stages use together, against quotas: the verifier's own count.

use crate::catalog::Catalog;
use crate::model::{Machine, Quota};
use crate::plan::PlannedStage;
use std::collections::BTreeMap;

/// What runs at once.
#[derive(Default)]
pub struct Used {
    vcpu_thousandths: u64,
    /// Of some machine the vCPUs are not known: they may be more than there are.
    unknown_vcpus: bool,
    instances: u64,
    /// Thousandths, by name.
    cards: BTreeMap<String, u64>,
}

impl Used {
    pub fn add(&mut self, stage: &PlannedStage, catalog: &Catalog) {
        let is =
            |machine: &&Machine| machine.cloud == stage.place.cloud && machine.instance_type == stage.instance_type;
        let Some(machine) = catalog.machines.iter().find(is) else { return };
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

    pub fn within(&self, quota: &Quota, catalog: &Catalog) -> bool {
        let cards = |wanted: &str| {
            let counted = self.cards.iter().filter(|(name, _)| *name == wanted || catalog.is_accelerator(name, wanted));
            counted.map(|(_, count)| *count).sum::<u64>()
        };
        quota.vcpu_thousandths.is_none_or(|most| !self.unknown_vcpus && self.vcpu_thousandths <= most)
            && quota.instances.is_none_or(|most| self.instances <= most)
            && quota.accelerators.is_none_or(|most| self.cards.values().sum::<u64>() <= most.saturating_mul(1000))
            && quota.by_accelerator.iter().all(|(name, most)| cards(name) <= most.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_vcpus_are_within_no_quota_of_them() {
        let catalog = Catalog::default();
        let vcpus = Quota { vcpu_thousandths: Some(4000), ..Quota::default() };
        let instances = Quota { instances: Some(1), ..Quota::default() };
        let known = Used { vcpu_thousandths: 4000, instances: 1, ..Used::default() };
        assert!(known.within(&vcpus, &catalog) && known.within(&instances, &catalog));
        let unknown = Used { unknown_vcpus: true, instances: 1, ..Used::default() };
        assert!(!unknown.within(&vcpus, &catalog) && unknown.within(&instances, &catalog));
    }
}
