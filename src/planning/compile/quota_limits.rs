//! Quotas of the policy and of the catalog's providers, as limits on what stages use in one cloud
//! or place.

use super::places::Places;
use crate::model::units::saturate;
use crate::model::{Machine, Pattern};
use std::collections::{BTreeMap, BTreeSet};

/// The unit in which a quota counts machines.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Counted {
    Vcpus,
    Instances,
    Cards,
    /// Canonical names: a quota of a kind counts every board of it.
    CardsOf(BTreeSet<String>),
}

/// One figure of a quota, for one cloud or place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QuotaLimit {
    /// The policy's dotted key.
    pub key: String,
    /// The cloud or place that it is for.
    pub domain: String,
    counted: Counted,
    /// Thousandths of vCPUs or of cards; instances.
    pub(super) most: i64,
    /// By place: whether it is in the domain.
    inside: Vec<bool>,
}

impl QuotaLimit {
    /// Returns whether machines at this place count.
    pub(super) fn holds_at(&self, place: u32) -> bool {
        self.inside[place as usize]
    }

    /// Returns what so many machines use of this limit.
    pub(super) fn used(&self, machine: &Machine, nodes: u32) -> i64 {
        let cards = |only: Option<&BTreeSet<String>>| match &machine.accelerator {
            Some((name, count)) if only.is_none_or(|only| only.contains(name)) => u64::from(*count),
            _ => 0,
        };
        let used_by_each = match &self.counted {
            Counted::Vcpus => machine.vcpu_thousandths,
            Counted::Instances => u64::from(machine.is_rented()),
            Counted::Cards => cards(None),
            Counted::CardsOf(names) => cards(Some(names)),
        };
        signed(used_by_each.saturating_mul(u64::from(nodes)))
    }

    /// Returns whether so many machines alone are too many.
    pub(super) fn exceeded_by(&self, machine: &Machine, nodes: u32) -> bool {
        // What is unknown may be more than there is.
        if matches!(self.counted, Counted::Vcpus)
            && machine.vcpu_thousandths == 0
            && machine.is_rented()
        {
            return true;
        }
        self.used(machine, nodes) > self.most
    }
}

pub(super) fn signed(value: u64) -> i64 {
    saturate(i128::from(value))
}

/// The quotas of the policy and those of the catalog's providers, one limit per figure and cloud or
/// place that it is for.
///
/// A key with a `:` is about places, one without is about clouds; each that it matches has the
/// quota for itself.
pub(super) fn quota_limits(places: &Places<'_>) -> Vec<QuotaLimit> {
    let mut limits = Vec::new();
    let own_quotas = places
        .policy
        .quotas
        .iter()
        .map(|(pattern, quota)| ("quotas", pattern, quota));
    let providers = places
        .catalog
        .quotas
        .iter()
        .map(|(pattern, quota)| ("catalog.quotas", pattern, quota));
    for (table, pattern, quota) in own_quotas.chain(providers) {
        let plain_quotas = [
            ("cpus", Counted::Vcpus, quota.vcpu_thousandths),
            ("instances", Counted::Instances, quota.instances),
            (
                "accelerators",
                Counted::Cards,
                quota.accelerators.map(|count| count.saturating_mul(1000)),
            ),
        ];
        let plain_limits = plain_quotas
            .into_iter()
            .map(|(name, counted, most)| (name.to_owned(), counted, most));
        let named_limits = quota.by_accelerator.iter().map(|(name, count)| {
            let catalog = places.catalog;
            let boards = catalog
                .accelerators
                .keys()
                .filter(|board| catalog.is_accelerator(board, name))
                .cloned();
            (
                format!("accelerators.{name}"),
                Counted::CardsOf(boards.collect()),
                Some(count.saturating_mul(1000)),
            )
        });
        let figures: Vec<(String, Counted, i64)> = plain_limits
            .chain(named_limits)
            .filter_map(|(name, counted, most)| {
                Some((format!("{table}.{pattern}.{name}"), counted, signed(most?)))
            })
            .collect();
        for (domain, inside) in quota_domains(places, pattern) {
            limits.extend(figures.iter().map(|(key, counted, most)| QuotaLimit {
                key: key.clone(),
                domain: domain.clone(),
                counted: counted.clone(),
                most: *most,
                inside: inside.clone(),
            }));
        }
    }
    limits
}

/// The clouds or places that a quota's key matches, each with the places in it.
fn quota_domains(places: &Places<'_>, pattern: &Pattern) -> BTreeMap<String, Vec<bool>> {
    let of_places = pattern.0.contains(':');
    let mut domains: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for (index, place) in places.catalog.places.iter().enumerate() {
        let name = if of_places {
            &places.names[index]
        } else {
            &place.name.cloud
        };
        if pattern.matches(name) {
            let inside_domain = domains
                .entry(name.clone())
                .or_insert_with(|| vec![false; places.names.len()]);
            inside_domain[index] = true;
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Service, Unit};

    #[test]
    fn what_is_unknown_keeps_no_quota_of_vcpus() {
        let machine = |vcpu_thousandths| Machine {
            cloud: "acme".to_owned(),
            instance_type: "c".to_owned(),
            vcpu_thousandths,
            memory: crate::model::Bytes(0),
            accelerator: None,
            arch: String::new(),
            baseline_vcpu_thousandths: None,
            service: None,
        };
        let limit = |counted| QuotaLimit {
            key: "quotas.acme.cpus".to_owned(),
            domain: "acme".to_owned(),
            counted,
            most: 4000,
            inside: vec![true],
        };
        let vcpus = limit(Counted::Vcpus);
        assert!(!vcpus.exceeded_by(&machine(2000), 2) && vcpus.exceeded_by(&machine(2000), 3));
        assert!(vcpus.exceeded_by(&machine(0), 1));
        assert!(!limit(Counted::Instances).exceeded_by(&machine(0), 1));
        // A service that is paid by what it scans has no machine of this account.
        let service = Service {
            name: "athena".to_owned(),
            version: None,
            unit: Unit::TbScanned,
        };
        let serverless = Machine {
            service: Some(service),
            ..machine(0)
        };
        for counted in [Counted::Vcpus, Counted::Instances, Counted::Cards] {
            let none = QuotaLimit {
                most: 0,
                ..limit(counted)
            };
            assert!(
                !none.exceeded_by(&serverless, 1) && none.used(&serverless, 1) == 0,
                "{none:?}"
            );
        }
    }
}
