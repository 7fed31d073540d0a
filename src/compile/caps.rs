//! Limits on what stages use together: quotas of the policy, and stages kept apart by the job.

use super::Candidate;
use super::places::Places;
use crate::catalog::Catalog;
use crate::model::{Domain, Job, Machine, Pattern};
use crate::problem::Cap;
use std::collections::{BTreeMap, BTreeSet};

/// What a quota counts.
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
pub struct Limit {
    /// The policy's dotted key.
    pub key: String,
    /// The cloud or place that it is for.
    pub domain: String,
    counted: Counted,
    /// Thousandths of vCPUs or of cards; instances.
    most: i64,
    /// By place: whether it is in the domain.
    inside: Vec<bool>,
}

impl Limit {
    /// Whether machines at this place count.
    pub fn holds_at(&self, place: u32) -> bool {
        self.inside[place as usize]
    }

    /// What so many machines use of it.
    pub fn used(&self, machine: &Machine, nodes: u32) -> i64 {
        let cards = |only: Option<&BTreeSet<String>>| match &machine.accelerator {
            Some((name, count)) if only.is_none_or(|only| only.contains(name)) => u64::from(*count),
            _ => 0,
        };
        let each = match &self.counted {
            Counted::Vcpus => machine.vcpu_thousandths,
            Counted::Instances => u64::from(machine.is_rented()),
            Counted::Cards => cards(None),
            Counted::CardsOf(names) => cards(Some(names)),
        };
        signed(each.saturating_mul(u64::from(nodes)))
    }

    /// Whether so many machines alone are too many.
    pub fn exceeded_by(&self, machine: &Machine, nodes: u32) -> bool {
        // What is unknown may be more than there is.
        if matches!(self.counted, Counted::Vcpus) && machine.vcpu_thousandths == 0 && machine.is_rented() {
            return true;
        }
        self.used(machine, nodes) > self.most
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The quotas of the policy and those of the catalog's providers, one limit per figure and cloud or place that it is for.
///
/// A key with a `:` is about places, one without is about clouds; each that it matches has the
/// quota for itself.
pub fn limits(places: &Places<'_>) -> Vec<Limit> {
    let mut limits = Vec::new();
    let own = places.policy.quotas.iter().map(|(pattern, quota)| ("quotas", pattern, quota));
    let providers = places.catalog.quotas.iter().map(|(pattern, quota)| ("catalog.quotas", pattern, quota));
    for (table, pattern, quota) in own.chain(providers) {
        let plain = [
            ("cpus", Counted::Vcpus, quota.vcpu_thousandths),
            ("instances", Counted::Instances, quota.instances),
            ("accelerators", Counted::Cards, quota.accelerators.map(|count| count.saturating_mul(1000))),
        ];
        let plain = plain.into_iter().map(|(name, counted, most)| (name.to_owned(), counted, most));
        let named = quota.by_accelerator.iter().map(|(name, count)| {
            let catalog = places.catalog;
            let boards = catalog.accelerators.keys().filter(|board| catalog.is_accelerator(board, name)).cloned();
            (format!("accelerators.{name}"), Counted::CardsOf(boards.collect()), Some(count.saturating_mul(1000)))
        });
        let figures: Vec<(String, Counted, i64)> = plain
            .chain(named)
            .filter_map(|(name, counted, most)| Some((format!("{table}.{pattern}.{name}"), counted, signed(most?))))
            .collect();
        for (domain, inside) in domains(places, pattern) {
            limits.extend(figures.iter().map(|(key, counted, most)| Limit {
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
fn domains(places: &Places<'_>, pattern: &Pattern) -> BTreeMap<String, Vec<bool>> {
    let of_places = pattern.0.contains(':');
    let mut domains: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for (index, place) in places.catalog.places.iter().enumerate() {
        let name = if of_places { &places.names[index] } else { &place.name.cloud };
        if pattern.matches(name) {
            let inside = domains.entry(name.clone()).or_insert_with(|| vec![false; places.names.len()]);
            inside[index] = true;
        }
    }
    domains
}

/// The part of a stage's name that a person wrote: `sweep` for its copy `sweep[3]`.
pub fn base_name(stage: &str) -> &str {
    stage.split_once('[').map_or(stage, |(base, _)| base)
}

/// The caps of a problem: quotas, then spreads. Those that no choice of the stages can exceed are
/// left out.
pub fn caps(places: &Places<'_>, limits: &[Limit], job: &Job, candidates: &[Vec<Candidate>]) -> Vec<Cap> {
    let catalog = places.catalog;
    let nodes: Vec<u32> = job.stages.values().map(|stage| stage.nodes).collect();
    let quotas = limits.iter().filter_map(|limit| {
        let uses = |stage: usize, candidate: &Candidate| {
            let offer = &catalog.offers[candidate.offer];
            if limit.holds_at(offer.place) { limit.used(catalog.machine(offer), nodes[stage]) } else { 0 }
        };
        let of_domain = format!("quotas.{}.", limit.domain);
        let label = if limit.key.trim_start_matches("catalog.").starts_with(&of_domain) {
            limit.key.clone()
        } else {
            format!("{} at {}", limit.key, limit.domain)
        };
        cap(label, limit.most, true, candidates, uses)
    });
    quotas.chain(spreads(catalog, job, candidates)).collect()
}

/// One cap per failure domain that could hold too many stages.
fn spreads<'a>(catalog: &'a Catalog, job: &'a Job, candidates: &'a [Vec<Candidate>]) -> impl Iterator<Item = Cap> + 'a {
    job.spread.iter().enumerate().flat_map(move |(index, spread)| {
        let domain = move |candidate: &Candidate| {
            let name = &catalog.place(&catalog.offers[candidate.offer]).name;
            match spread.over {
                Domain::Place => name.to_string(),
                Domain::Cloud => name.cloud.clone(),
            }
        };
        let member: Vec<bool> = job
            .stages
            .keys()
            .map(|name| spread.stages.contains(name) || spread.stages.contains(base_name(name)))
            .collect();
        let mut uses: BTreeMap<String, Vec<Vec<(usize, i64)>>> = BTreeMap::new();
        for (stage, choices) in candidates.iter().enumerate().filter(|(stage, _)| member[*stage]) {
            for (tag, candidate) in choices.iter().enumerate() {
                let uses = uses.entry(domain(candidate)).or_insert_with(|| vec![Vec::new(); candidates.len()]);
                uses[stage].push((tag, 1));
            }
        }
        let limit = i64::from(spread.at_most);
        let binding = move |(domain, uses): (String, Vec<Vec<(usize, i64)>>)| {
            let most = uses.iter().filter(|uses| !uses.is_empty()).count();
            let label = format!("spread.{index} at {domain}");
            (signed(most as u64) > limit).then_some(Cap { label, limit, concurrent: false, uses })
        };
        uses.into_iter().filter_map(binding)
    })
}

/// A cap, if the stages together could exceed it.
fn cap(
    label: String,
    limit: i64,
    concurrent: bool,
    candidates: &[Vec<Candidate>],
    used: impl Fn(usize, &Candidate) -> i64,
) -> Option<Cap> {
    let mut most: i64 = 0;
    let mut uses = Vec::with_capacity(candidates.len());
    for (stage, choices) in candidates.iter().enumerate() {
        let of_stage = choices.iter().enumerate().map(|(tag, candidate)| (tag, used(stage, candidate)));
        let of_stage: Vec<(usize, i64)> = of_stage.filter(|(_, used)| *used > 0).collect();
        most = most.saturating_add(of_stage.iter().map(|(_, used)| *used).max().unwrap_or(0));
        uses.push(of_stage);
    }
    (most > limit).then_some(Cap { label, limit, concurrent, uses })
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
        let limit = |counted| Limit {
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
        let service = Service { name: "athena".to_owned(), version: None, unit: Unit::TbScanned };
        let serverless = Machine { service: Some(service), ..machine(0) };
        for counted in [Counted::Vcpus, Counted::Instances, Counted::Cards] {
            let none = Limit { most: 0, ..limit(counted) };
            assert!(!none.exceeded_by(&serverless, 1) && none.used(&serverless, 1) == 0, "{none:?}");
        }
    }
}
