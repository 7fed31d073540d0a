//! What a stage takes and costs on each offer, and which offers are worth keeping.

use super::needs;
use super::offers::Contender;
use super::places::Places;
use super::quota_limits::QuotaLimit;
use super::spot::{self, Expected};
use crate::catalog::Catalog;
use crate::model::units::{div_half_even, saturate};
use crate::model::{Bytes, Extras, Millis, Money, Stage, Tee};
use crate::planning::problem::{CandidateId, StageId};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// The candidates of every stage.
pub type StageCandidates = IdVec<StageId, IdVec<CandidateId, Candidate>>;

/// An offer that a stage may take. Candidates of a stage are in the order of place, instance
/// type and purchase, which is the order that breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Index into the catalog's offers.
    pub offer: usize,
    /// From asking for the machines to the end of the stage: `boot` and `run`.
    pub duration: Millis,
    /// Time until the machines are up.
    pub boot: Millis,
    /// Time from then to the end; on spot machines, in expectation.
    pub run: Millis,
    /// Machine time that is billed.
    pub billed: Millis,
    /// All nodes for the billed time, with `extras`, and `moving`.
    pub cost: Money,
    /// Prices of what comes with each machine.
    pub extras: Extras,
    /// The part of `cost` that `extras` cost.
    pub beside: Money,
    /// The part of `cost` that is expected for bringing checkpoints to other places.
    pub moving: Money,
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

/// By place: what it costs to bring a checkpoint to the cheapest other place where the stage may
/// run; a place that is not there has no such way, so the stage waits there.
pub(super) type WaysOut = BTreeMap<u32, Money>;

/// Returns what it costs to leave each place of the contenders for the cheapest other one.
pub(super) fn ways_out(contenders: &[Contender], size: Bytes, places: &Places<'_>) -> WaysOut {
    let stops: BTreeSet<u32> = contenders
        .iter()
        .map(|contender| places.catalog.offers[contender.offer].place)
        .collect();
    let cheapest = |from: u32| {
        let others = stops.iter().filter(|to| **to != from);
        others
            .filter_map(|to| places.tariff(from, *to))
            .map(|tariff| tariff.cost(size))
            .min()
    };
    stops
        .iter()
        .filter_map(|from| Some((*from, cheapest(*from)?)))
        .collect()
}

/// A stage's candidates worth keeping among the contenders. None are left if all are over a quota
/// or would practically never end.
pub(super) fn candidates(
    stage: &Stage,
    contenders: &[Contender],
    ways_out: Option<&WaysOut>,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Vec<Candidate> {
    let place = |candidate: &Candidate| places.catalog.offers[candidate.offer].place;
    let mut kept = Vec::new();
    for group in all_candidates(stage, contenders, ways_out, places, limits)
        .chunk_by(|a, b| place(a) == place(b))
    {
        let limits: Vec<&QuotaLimit> = limits
            .iter()
            .filter(|limit| limit.holds_at(place(&group[0])))
            .collect();
        undominated(group.to_vec(), &limits, places, &mut kept);
    }
    kept
}

/// All of a stage's candidates among the contenders, whether or not another in the same place
/// beats them.
pub(super) fn all_candidates(
    stage: &Stage,
    contenders: &[Contender],
    ways_out: Option<&WaysOut>,
    places: &Places<'_>,
    limits: &[QuotaLimit],
) -> Vec<Candidate> {
    let catalog = places.catalog;
    let writes: Bytes = stage.writes.values().copied().sum();
    let mut times: BTreeMap<u32, Option<Millis>> = BTreeMap::new();
    // Expectations take time to work out, and are the same for many machines.
    let mut expected: BTreeMap<(Millis, u32, Millis), Option<Expected>> = BTreeMap::new();
    let mut candidate = |contender: &Contender| -> Option<Candidate> {
        let offer = &catalog.offers[contender.offer];
        let machine = || needs::duration(&stage.work, catalog.machine(offer), stage.nodes, catalog);
        let time = (*times.entry(offer.machine).or_insert_with(machine))?;
        // What is paid by quantity is not ordered first, and its time is not billed.
        let needs = &stage.needs;
        let unit = catalog.machine(offer).unit();
        let quantity = unit.counts(needs.scans, needs.requests);
        let boot = quantity.map_or_else(|| places.boot(offer.place), |_| Millis(0));
        let expectation = || {
            spot::expected(
                time,
                stage.nodes,
                contender.monthly,
                boot,
                stage.checkpoint.as_ref(),
            )
        };
        let Expected {
            time: run,
            interruptions,
            every,
        } = match contender.monthly {
            0 => Expected {
                time,
                ..Expected::default()
            },
            monthly => {
                (*expected
                    .entry((time, monthly, boot))
                    .or_insert_with(expectation))?
            }
        };
        let duration = Millis(boot.0.saturating_add(run.0));
        let billed = quantity.map_or_else(|| places.billed(offer.place, duration), |_| Millis(0));
        // Without a checkpoint there is nothing to bring along.
        let moving = match ways_out
            .filter(|_| every.is_some())
            .and_then(|ways| ways.get(&offer.place))
        {
            Some(Money(once)) => Money(saturate(div_half_even(
                i128::from(*once) * i128::from(interruptions),
                1_000_000,
            ))),
            None => Money(0),
        };
        let own = match quantity {
            Some(quantity) => unit.cost(offer.rate, quantity),
            None => offer.rate.cost(stage.nodes, billed),
        };
        let extras = if quantity.is_some() {
            Extras::default()
        } else {
            catalog.extras_prices(offer, writes)
        };
        let beside = extras.cost(stage.nodes, billed);
        let cost = Money(own.0.saturating_add(moving.0).saturating_add(beside.0));
        let Contender {
            offer,
            rank,
            tee,
            monthly,
            assumed,
        } = *contender;
        Some(Candidate {
            offer,
            duration,
            boot,
            run,
            billed,
            cost,
            extras,
            beside,
            moving,
            interruptions,
            every,
            monthly,
            assumed,
            rank,
            tee,
        })
    };
    let place = |contender: &Contender| catalog.offers[contender.offer].place;
    let mut all = Vec::new();
    for group in contenders.chunk_by(|a, b| place(a) == place(b)) {
        let limits: Vec<&QuotaLimit> = limits
            .iter()
            .filter(|limit| limit.holds_at(place(&group[0])))
            .collect();
        let within = |contender: &&Contender| {
            let machine = catalog.machine(&catalog.offers[contender.offer]);
            !limits
                .iter()
                .any(|limit| limit.exceeded_by(machine, stage.nodes))
        };
        all.extend(group.iter().filter(within).filter_map(&mut candidate));
    }
    all
}

/// Keeps, among the candidates in one place, those that no other beats in cost without being
/// slower, less preferred, or using more of a quota; of equals the first stays. Offers stay in
/// their order.
fn undominated(
    mut candidates: Vec<Candidate>,
    limits: &[&QuotaLimit],
    places: &Places<'_>,
    kept: &mut Vec<Candidate>,
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
        let machine = catalog.machine(&catalog.offers[candidate.offer]);
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
    kept.append(&mut candidates);
}

/// Returns what had to be assumed about the candidates that a plan takes, one sentence per cloud.
pub fn assumptions<'a>(
    taken: impl IntoIterator<Item = &'a Candidate>,
    catalog: &Catalog,
) -> Vec<String> {
    let assumed = taken.into_iter().filter(|candidate| candidate.assumed);
    let clouds: BTreeSet<&str> = assumed
        .map(|candidate| {
            catalog
                .place(&catalog.offers[candidate.offer])
                .name
                .cloud
                .as_str()
        })
        .collect();
    let percent = spot::ASSUMED_INTERRUPTIONS / 10_000;
    let said = |cloud| {
        format!(
            "how often spot machines of {cloud} are interrupted is not known: {percent} % of them a month is assumed"
        )
    };
    clouds.into_iter().map(said).collect()
}
