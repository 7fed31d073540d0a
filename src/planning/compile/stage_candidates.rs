//! The candidates of every stage. Stages that ask for the same are enumerated once.

use super::candidates::{self, StageCandidates};
use super::needs;
use super::offers::{self, Allowed, Contender, Funnel, Request};
use super::places::Places;
use super::quota_limits::QuotaLimit;
use crate::model::{Job, Needs, Stage, Work, dag};
use std::collections::BTreeSet;

/// How many were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clouds and places with a candidate of some stage.
    pub clouds: u64,
    /// Places with a candidate of some stage.
    pub places: u64,
    /// Pairs of a stage and an offer that it may use.
    pub candidates: u64,
    /// Of these, what was left after dominated offers of the same place were dropped.
    pub kept: u64,
}

/// Returns the candidates of every stage, and how many offers were looked at; or how the offers of
/// those stages ran out that have none.
pub(super) fn all_candidates(
    job: &Job,
    places: &Places<'_>,
    limits: &[QuotaLimit],
    labels: &dag::Labels,
) -> Result<(StageCandidates, Counts), Vec<Funnel>> {
    let no_labels = BTreeSet::new();
    let sizes = needs::Sizes::of(places.catalog);
    let rounded_needs =
        |stage: &Stage| needs::rounded(&needs::with_arch(&stage.needs, places.policy), &sizes);
    let rounded: Vec<Needs> = job.stages.values().map(rounded_needs).collect();
    let mut requests = KnownRequests {
        places,
        known: Vec::new(),
    };
    let mut all = StageCandidates::new();
    let mut starved = Vec::new();
    let mut total_counts = Counts::default();
    for ((name, stage), needs) in job.stages.iter().zip(&rounded) {
        let known_request = requests.of(Request {
            needs,
            labels: labels.of_stage.get(name).unwrap_or(&no_labels),
            allocation: stage.allocation,
            without: &stage.without,
        });
        let allowed_offers = match &known_request.allowed {
            Ok(allowed) => allowed,
            Err(funnel) => {
                starved.push(Funnel {
                    stage: name.clone(),
                    needs: needs::text(&stage.needs),
                    ..funnel.clone()
                });
                continue;
            }
        };
        let work = known_work(
            &mut known_request.by_work,
            allowed_offers,
            &stage.work,
            places,
            limits,
        );
        let offers_seen = work.seen;
        let kept_candidates = work.candidates(stage, places, limits);
        if kept_candidates.is_empty() {
            starved.push(offers::none_left(
                name,
                stage,
                allowed_offers,
                places,
                limits,
            ));
        }
        total_counts.candidates += offers_seen;
        total_counts.kept += kept_candidates.len() as u64;
        all.push(kept_candidates.into());
    }
    if starved.is_empty() {
        Ok((all, total_counts))
    } else {
        Err(starved)
    }
}

/// Every request that some stage has made.
struct KnownRequests<'a> {
    places: &'a Places<'a>,
    known: Vec<KnownRequest<'a>>,
}

/// What is known of a request.
struct KnownRequest<'a> {
    request: Request<'a>,
    allowed: Result<Allowed, Funnel>,
    by_work: Vec<KnownWork<'a>>,
}

impl<'a> KnownRequests<'a> {
    /// Returns what is known of a request, which is looked up if no stage has made it yet.
    fn of(&mut self, request: Request<'a>) -> &mut KnownRequest<'a> {
        let index = self
            .known
            .iter()
            .position(|known| known.request == request)
            .unwrap_or_else(|| {
                self.known.push(KnownRequest {
                    request,
                    allowed: offers::allowed(&request, self.places),
                    by_work: Vec::new(),
                });
                self.known.len() - 1
            });
        &mut self.known[index]
    }
}

/// What is known of a kind of work under a request.
struct KnownWork<'a> {
    work: &'a Work,
    contenders: Vec<Contender>,
    /// How many offers were looked at.
    seen: u64,
}

/// Returns what is known of some work, which is looked up if no stage of the request has it yet.
fn known_work<'k, 'a>(
    known_works: &'k mut Vec<KnownWork<'a>>,
    allowed: &Allowed,
    work: &'a Work,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> &'k mut KnownWork<'a> {
    let index = known_works
        .iter()
        .position(|known| needs::same_kind(known.work, work))
        .unwrap_or_else(|| {
            let (contenders, seen) = offers::contenders(allowed, work, places, limits);
            known_works.push(KnownWork {
                work,
                contenders,
                seen: seen as u64,
            });
            known_works.len() - 1
        });
    &mut known_works[index]
}

impl KnownWork<'_> {
    /// Returns the candidates of one stage that are worth keeping.
    fn candidates(
        &mut self,
        stage: &Stage,
        places: &Places<'_>,
        limits: &[QuotaLimit],
    ) -> Vec<candidates::Candidate> {
        let contenders = &self.contenders;
        candidates::candidates(stage, contenders, places, limits)
    }
}
