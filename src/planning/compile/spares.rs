//! Offers in a stage's own place that the problem leaves out because another there is at least as
//! good: they are never planned, but when the planned one is not available they will do.

use super::candidates::{self, Candidate};
use super::caps;
use super::compiler::Compiled;
use super::needs;
use super::offer_id::OfferId;
use super::offers::{self, Contender, Request};
use super::places::Places;
use super::quota_limits::{QuotaLimit, quota_limits};
use crate::catalog::Catalog;
use crate::model::{Allocation, Job, Millis, Needs, Policy, Stage, Work};
use crate::planning::problem::{CandidateId, Choice, Placement};
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeSet;

/// The cheapest spares of a stage that are looked at.
const SPARES: usize = 24;
/// Pairs of a kind of stage and a place for which offers are looked up; stages beyond that have no
/// spares.
const LOOKED_UP: usize = 2_000;

/// What decides the spares of a stage: stages that agree in it have the same.
#[derive(Clone, PartialEq)]
struct Kind<'a> {
    needs: Needs,
    labels: &'a BTreeSet<String>,
    allocation: Option<Allocation>,
    work: &'a Work,
    nodes: u32,
    place: u32,
}

/// The problem with spares as further choices of each stage, after those that it had; `placement`
/// has the choices that the stages take.
pub fn with_spares(
    compiled: &Compiled,
    policy: &Policy,
    catalog: &Catalog,
    placement: &Placement,
) -> Compiled {
    let job = compiled.job.clone();
    let places = Places::new(catalog, policy);
    let limits = quota_limits(&places);
    let sizes = needs::Sizes::of(catalog);
    let no_labels = BTreeSet::new();
    let mut known_kinds: Vec<(Kind<'_>, Vec<Contender>)> = Vec::new();
    let mut extended = compiled.clone();
    for (index, (name, stage)) in compiled.stages.ids().zip(&job.stages) {
        let picked = compiled.instance.stages[index].choices[placement[index]];
        let kind = Kind {
            needs: needs::rounded(&stage.needs, &sizes),
            labels: compiled.labels.of_stage.get(name).unwrap_or(&no_labels),
            allocation: stage.allocation,
            work: &stage.work,
            nodes: stage.nodes,
            place: compiled.sites[picked.site],
        };
        let request = Request {
            needs: &kind.needs,
            labels: kind.labels,
            allocation: kind.allocation,
            without: &stage.without,
        };
        // Offers that one stage has found used up are its own.
        let known_index = known_kinds
            .iter()
            .position(|(other, _)| *other == kind)
            .filter(|_| stage.without.is_empty());
        let contenders = match known_index {
            Some(found) => known_kinds[found].1.clone(),
            None if known_kinds.len() >= LOOKED_UP => continue,
            None => {
                let allowed_offers = offers::allowed_at(&request, &places, kind.place);
                let all = allowed_offers.map_or_else(
                    |_| Vec::new(),
                    |allowed| offers::all_contenders(&allowed, kind.work, &places),
                );
                if stage.without.is_empty() {
                    known_kinds.push((kind.clone(), all.clone()));
                }
                all
            }
        };
        let spares = cheapest_spares(
            &compiled.candidates[index],
            &contenders,
            stage,
            &places,
            &limits,
        );
        let candidates = &mut extended.candidates[index];
        for candidate in spares {
            extended.instance.stages[index].choices.push(Choice {
                site: picked.site,
                cost: candidate.cost + picked.storage,
                storage: picked.storage,
                duration: candidate.duration,
                rank: candidate.rank,
                tag: CandidateId::from_index(candidates.len()),
            });
            candidates.push(candidate);
        }
    }
    limit_spares(&mut extended, &places, &limits, &job);
    extended
}

/// The cheapest candidates among contenders of one place that a stage does not have yet.
fn cheapest_spares(
    had: &IdVec<CandidateId, Candidate>,
    contenders: &[Contender],
    stage: &Stage,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Vec<Candidate> {
    let offers: BTreeSet<OfferId> = had.iter().map(|candidate| candidate.offer).collect();
    let other_contenders: Vec<Contender> = contenders
        .iter()
        .filter(|contender| !offers.contains(&contender.offer))
        .copied()
        .collect();
    let mut spares = candidates::all_candidates(stage, &other_contenders, places, limits);
    spares.sort_by_key(|spare| (spare.cost, spare.duration, spare.offer));
    spares.retain(|spare| spare.duration > Millis(0));
    spares.truncate(SPARES);
    spares
}

/// Limits what the choices use together, those that were added with them.
fn limit_spares(extended: &mut Compiled, places: &Places<'_>, limits: &[QuotaLimit], job: &Job) {
    let count = extended.instance.stages.len();
    extended.instance.caps = caps::caps(places, limits, job, &extended.candidates);
    extended
        .instance
        .caps
        .iter_mut()
        .for_each(|cap| cap.uses.resize(count, Vec::new()));
}
