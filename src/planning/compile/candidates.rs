//! What a stage takes and costs on each offer, and which offers are worth keeping.

use super::needs;
use super::offer_id::OfferId;
use super::offers::Contender;
use super::places::Places;
use super::quota_limits::QuotaLimit;
use super::spot::{self, Expected};
use crate::catalog::Catalog;
use crate::model::{Bytes, Extras, Millis, Money, Offer, Stage, Tee};
use crate::planning::problem::{CandidateId, StageId};
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

/// The candidates of every stage.
pub type StageCandidates = IdVec<StageId, IdVec<CandidateId, Candidate>>;

/// An offer that a stage may take. Candidates of a stage are in the order of place, instance
/// type and purchase, which is the order that breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The offer of the catalog.
    pub offer: OfferId,
    /// From asking for the machines to the end of the stage: `boot` and `run`.
    pub duration: Millis,
    /// Time until the machines are up.
    pub boot: Millis,
    /// Time from then to the end; on spot machines, in expectation.
    pub run: Millis,
    /// Machine time that is billed.
    pub billed: Millis,
    /// All nodes for the billed time, with `extras`.
    pub cost: Money,
    /// Prices of what comes with each machine.
    pub extras: Extras,
    /// The part of `cost` that `extras` cost.
    pub beside: Money,
    /// Expected number of interruptions, in millionths.
    pub interruptions: u64,
    /// Work between two checkpoints; none: none is saved.
    pub every: Option<Millis>,
    /// Share of such machines interrupted in a month, in parts per million; 0 on demand.
    pub monthly: u32,
    /// That share is assumed: the catalog does not have it.
    pub assumed: bool,
    /// Place in the stage's order of preference.
    pub rank: i64,
    /// The environment that needs or policy demand, of those that the machine has.
    pub tee: Option<Tee>,
}

/// A stage's candidates worth keeping among the contenders. None are left if all are over a quota
/// or would practically never end.
pub(super) fn candidates(
    stage: &Stage,
    contenders: &[Contender],
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Vec<Candidate> {
    let place = |candidate: &Candidate| places.catalog.offers[candidate.offer.index()].place;
    let mut kept_candidates = Vec::new();
    for group in
        all_candidates(stage, contenders, places, limits).chunk_by(|a, b| place(a) == place(b))
    {
        let limits: Vec<&QuotaLimit> = limits
            .iter()
            .filter(|limit| limit.holds_at(place(&group[0])))
            .collect();
        undominated(group.to_vec(), &limits, places, &mut kept_candidates);
    }
    kept_candidates
}

/// All of a stage's candidates among the contenders, whether or not another in the same place
/// beats them.
pub(super) fn all_candidates(
    stage: &Stage,
    contenders: &[Contender],
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Vec<Candidate> {
    let catalog = places.catalog;
    let mut calculator = CandidateCalculator::new(stage, places);
    let place = |contender: &Contender| catalog.offers[contender.offer.index()].place;
    let mut all = Vec::new();
    for group in contenders.chunk_by(|a, b| place(a) == place(b)) {
        let limits: Vec<&QuotaLimit> = limits
            .iter()
            .filter(|limit| limit.holds_at(place(&group[0])))
            .collect();
        let is_within = |contender: &&Contender| {
            let machine = catalog.machine(&catalog.offers[contender.offer.index()]);
            !limits
                .iter()
                .any(|limit| limit.exceeded_by(machine, stage.nodes))
        };
        let contenders_within = group.iter().filter(is_within);
        all.extend(contenders_within.filter_map(|contender| calculator.candidate(contender)));
    }
    all
}

/// Works out what a stage takes and costs on each contender.
struct CandidateCalculator<'a> {
    stage: &'a Stage,
    /// The size of all that the stage writes.
    written: Bytes,
    places: &'a Places<'a>,
    /// By machine of the catalog: how long the work takes; `None`: the job does not say.
    work_times: BTreeMap<u32, Option<Millis>>,
    /// Expectations take time to work out, and are the same for many machines.
    expectations: BTreeMap<SpotRun, Option<Expected>>,
}

/// What the expectation of a run on spot machines depends on, for one stage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SpotRun {
    work: Millis,
    monthly: u32,
    boot: Millis,
}

impl<'a> CandidateCalculator<'a> {
    fn new(stage: &'a Stage, places: &'a Places<'a>) -> Self {
        Self {
            stage,
            written: stage.writes.values().copied().sum(),
            places,
            work_times: BTreeMap::new(),
            expectations: BTreeMap::new(),
        }
    }

    /// Returns the candidate that a contender is; `None`: the job does not say how long the stage
    /// runs on such a machine, or the stage would practically never end.
    fn candidate(&mut self, contender: &Contender) -> Option<Candidate> {
        let (stage, places, catalog) = (self.stage, self.places, self.places.catalog);
        let offer = &catalog.offers[contender.offer.index()];
        let work = self.work_time(offer)?;
        // What is paid by quantity is not ordered first, and its time is not billed.
        let unit = catalog.machine(offer).unit();
        let quantity = unit.counts(stage.needs.scans, stage.needs.requests);
        let boot = quantity.map_or_else(|| places.boot(offer.place), |_| Millis(0));
        let expected = self.expectation(SpotRun {
            work,
            monthly: contender.monthly,
            boot,
        })?;
        let duration = boot + expected.time;
        let billed = quantity.map_or_else(|| places.billed(offer.place, duration), |_| Millis(0));
        let own_cost = match quantity {
            Some(quantity) => unit.cost(offer.rate, quantity),
            None => offer.rate.cost(stage.nodes, billed),
        };
        let extras = match quantity {
            Some(_) => Extras::default(),
            None => catalog.extras_prices(offer, self.written),
        };
        let extra_cost = extras.cost(stage.nodes, billed);
        Some(Candidate {
            offer: contender.offer,
            duration,
            boot,
            run: expected.time,
            billed,
            cost: own_cost + extra_cost,
            extras,
            beside: extra_cost,
            interruptions: expected.interruptions,
            every: expected.every,
            monthly: contender.monthly,
            assumed: contender.assumed,
            rank: contender.rank,
            tee: contender.tee,
        })
    }

    fn work_time(&mut self, offer: &Offer) -> Option<Millis> {
        let (stage, catalog) = (self.stage, self.places.catalog);
        let of_machine =
            || needs::duration(&stage.work, catalog.machine(offer), stage.nodes, catalog);
        *self
            .work_times
            .entry(offer.machine)
            .or_insert_with(of_machine)
    }

    /// Returns how long the run takes with the interruptions that are expected.
    fn expectation(&mut self, run: SpotRun) -> Option<Expected> {
        if run.monthly == 0 {
            return Some(Expected {
                time: run.work,
                ..Expected::default()
            });
        }
        let stage = self.stage;
        *self.expectations.entry(run).or_insert_with(|| {
            spot::expected(
                run.work,
                stage.nodes,
                run.monthly,
                run.boot,
                stage.checkpoint.as_ref(),
            )
        })
    }
}

/// Keeps, among the candidates in one place, those that no other beats in cost without being
/// slower, less preferred, or using more of a quota; of equals the first stays. Offers stay in
/// their order.
fn undominated(
    mut candidates: Vec<Candidate>,
    limits: &[&QuotaLimit],
    places: &Places<'_>,
    kept_candidates: &mut Vec<Candidate>,
) {
    candidates.sort_unstable_by_key(|candidate| {
        (
            candidate.cost,
            candidate.duration,
            candidate.rank,
            candidate.offer,
        )
    });
    let catalog = places.catalog;
    let mut front: Vec<(Millis, i64, Vec<i64>)> = Vec::new();
    candidates.retain(|candidate| {
        let machine = catalog.machine(&catalog.offers[candidate.offer.index()]);
        let uses: Vec<i64> = limits.iter().map(|limit| limit.used(machine, 1)).collect();
        let beaten = front.iter().any(|(duration, rank, used)| {
            *duration <= candidate.duration
                && *rank <= candidate.rank
                && used.iter().zip(&uses).all(|(a, b)| a <= b)
        });
        if !beaten {
            front.push((candidate.duration, candidate.rank, uses));
        }
        !beaten
    });
    candidates.sort_unstable_by_key(|candidate| candidate.offer);
    kept_candidates.append(&mut candidates);
}

/// Returns what had to be assumed about the candidates that a plan takes, one sentence per cloud.
pub fn assumptions<'a>(
    taken_candidates: impl IntoIterator<Item = &'a Candidate>,
    catalog: &Catalog,
) -> Vec<String> {
    let assumed_candidates = taken_candidates
        .into_iter()
        .filter(|candidate| candidate.assumed);
    let clouds: BTreeSet<&str> = assumed_candidates
        .map(|candidate| {
            catalog
                .place(&catalog.offers[candidate.offer.index()])
                .name
                .cloud
                .as_str()
        })
        .collect();
    let percent = spot::ASSUMED_INTERRUPTIONS / 10_000;
    let assumption_words = |cloud| {
        format!(
            "how often spot machines of {cloud} are interrupted is not known: {percent} % of them a month is assumed"
        )
    };
    clouds.into_iter().map(assumption_words).collect()
}
