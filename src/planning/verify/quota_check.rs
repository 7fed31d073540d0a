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

    /// Returns what is used of every figure of a quota, and the most that it allows, both in the same
    /// unit.
    pub(super) fn figures(&self, quota: &Quota, catalog: &Catalog) -> Vec<QuotaFigure> {
        let cards = |wanted: &str| {
            let counted_cards = self
                .cards
                .iter()
                .filter(|(name, _)| *name == wanted || catalog.is_accelerator(name, wanted));
            counted_cards.map(|(_, count)| *count).sum::<u64>()
        };
        // What is unknown may be more than there is.
        let vcpus = match self.unknown_vcpus {
            true => u64::MAX,
            false => self.vcpu_thousandths,
        };
        let plain_figures = [
            (vcpus, quota.vcpu_thousandths),
            (self.instances, quota.instances),
            (
                self.cards.values().sum::<u64>(),
                quota.accelerators.map(|most| most.saturating_mul(1000)),
            ),
        ];
        let named_figures = quota
            .by_accelerator
            .iter()
            .map(|(name, most)| (cards(name), Some(most.saturating_mul(1000))));
        let figures = plain_figures.into_iter().chain(named_figures);
        figures
            .filter_map(|(used, most)| Some(QuotaFigure { used, most: most? }))
            .collect()
    }

    pub(super) fn within(&self, quota: &Quota, catalog: &Catalog) -> bool {
        let figures = self.figures(quota, catalog);
        figures.iter().all(|figure| figure.used <= figure.most)
    }
}

/// What is used of one figure of a quota.
pub(super) struct QuotaFigure {
    /// How much is used.
    pub used: u64,
    /// The most that the quota allows.
    pub most: u64,
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
