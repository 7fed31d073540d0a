//! Limits on what stages use together: quotas of the policy, and stages kept apart by the job.

use super::candidates::{Candidate, StageCandidates};
use super::places::Places;
use super::quota_limits::{QuotaLimit, signed};
use crate::catalog::Catalog;
use crate::model::{Domain, Job};
use crate::planning::problem::{CandidateUse, Cap, CapId, StageId};
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeMap;

/// The part of a stage's name that a person wrote: `sweep` for its replica `sweep[3]`.
pub fn base_name(stage: &str) -> &str {
    stage.split_once('[').map_or(stage, |(base, _)| base)
}

/// The caps of a problem: quotas, then spreads. Those that no choice of the stages can exceed are
/// left out.
pub(super) fn caps(
    places: &Places<'_>,
    limits: &[QuotaLimit],
    job: &Job,
    candidates: &StageCandidates,
) -> IdVec<CapId, Cap> {
    let catalog = places.catalog;
    let nodes: IdVec<StageId, u32> = job.stages.values().map(|stage| stage.nodes).collect();
    let quotas = limits.iter().filter_map(|limit| {
        let uses = |stage: StageId, candidate: &Candidate| {
            let offer = &catalog.offers[candidate.offer.index()];
            if limit.holds_at(offer.place) {
                limit.used(catalog.machine(offer), nodes[stage])
            } else {
                0
            }
        };
        let of_domain = format!("quotas.{}.", limit.domain);
        let label = if limit
            .key
            .trim_start_matches("catalog.")
            .starts_with(&of_domain)
        {
            limit.key.clone()
        } else {
            format!("{} at {}", limit.key, limit.domain)
        };
        possible_cap(label, limit.most, true, candidates, uses)
    });
    quotas
        .chain(spread_caps(catalog, job, candidates))
        .collect()
}

/// One cap per failure domain that could hold too many stages.
fn spread_caps<'a>(
    catalog: &'a Catalog,
    job: &'a Job,
    candidates: &'a StageCandidates,
) -> impl Iterator<Item = Cap> + 'a {
    job.spread
        .iter()
        .enumerate()
        .flat_map(move |(index, spread)| {
            let domain = move |candidate: &Candidate| {
                let name = &catalog.place(&catalog.offers[candidate.offer.index()]).name;
                match spread.over {
                    Domain::Place => name.to_string(),
                    Domain::Cloud => name.cloud.clone(),
                }
            };
            let member: IdVec<StageId, bool> = job
                .stages
                .keys()
                .map(|name| spread.stages.contains(name) || spread.stages.contains(base_name(name)))
                .collect();
            let mut uses: BTreeMap<String, IdVec<StageId, Vec<CandidateUse>>> = BTreeMap::new();
            for (stage, choices) in candidates
                .iter_enumerated()
                .filter(|(stage, _)| member[*stage])
            {
                for (tag, candidate) in choices.iter_enumerated() {
                    let uses = uses
                        .entry(domain(candidate))
                        .or_insert_with(|| candidates.map(|_| Vec::new()));
                    uses[stage].push(CandidateUse {
                        candidate: tag,
                        used: 1,
                    });
                }
            }
            let limit = i64::from(spread.at_most);
            let binding = move |(domain, uses): (String, IdVec<StageId, Vec<CandidateUse>>)| {
                let most_domains = uses.iter().filter(|uses| !uses.is_empty()).count();
                let label = format!("spread.{index} at {domain}");
                (signed(most_domains as u64) > limit).then_some(Cap {
                    label,
                    limit,
                    concurrent: false,
                    uses,
                })
            };
            uses.into_iter().filter_map(binding)
        })
}

/// A cap, if the stages together could exceed it.
fn possible_cap(
    label: String,
    limit: i64,
    concurrent: bool,
    candidates: &StageCandidates,
    used: impl Fn(StageId, &Candidate) -> i64,
) -> Option<Cap> {
    let mut most_units: i64 = 0;
    let mut uses = IdVec::with_capacity(candidates.len());
    for (stage, choices) in candidates.iter_enumerated() {
        let of_stage = choices
            .iter_enumerated()
            .map(|(tag, candidate)| CandidateUse {
                candidate: tag,
                used: used(stage, candidate),
            });
        let of_stage: Vec<CandidateUse> = of_stage.filter(|entry| entry.used > 0).collect();
        let dearest = of_stage.iter().map(|entry| entry.used).fold(0, i64::max);
        most_units = most_units.saturating_add(dearest);
        uses.push(of_stage);
    }
    (most_units > limit).then_some(Cap {
        label,
        limit,
        concurrent,
        uses,
    })
}
