//! From job, policy and catalog to a placement problem.

use super::candidates::{self, Candidate, StageCandidates, WaysOut};
use super::names::{self, UnknownName};
use super::offers::{self, Allowed, Contender, Funnel, Request};
use super::places::Places;
use super::quota_limits::{QuotaLimit, quota_limits};
use super::results::{self, ForbiddenHome, PartlyPriced, Results};
use super::{caps, links, needs};
use crate::catalog::Catalog;
use crate::model::units::{div_half_even, saturate};
use crate::model::{
    ArtifactRef, Bytes, Dataset, Job, Money, Needs, PlaceName, Policy, Stage, Work, dag,
};
use crate::planning::problem::{
    Artifact, ArtifactId, CandidateId, Choice, Instance, Origin, Precedence, Price, SiteId,
    StageChoices, StageId,
};
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

/// A placement problem, and what its numbers stand for.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The job with every copy of a stage as a stage of its own.
    pub job: Job,
    /// The placement problem.
    pub instance: Instance,
    /// Stage names, by stage. The instance has more stages after these: one for each output that is
    /// brought home.
    pub stages: IdVec<StageId, String>,
    /// The candidates of every stage; their positions are the tags of the instance's choices.
    pub candidates: StageCandidates,
    /// By artifact of the instance.
    pub artifacts: IdVec<ArtifactId, ArtifactRef>,
    /// By site: index of the place in the catalog.
    pub sites: IdVec<SiteId, u32>,
    /// The labels that every stage and every artifact carries.
    pub labels: dag::Labels,
    /// Where the outputs of stages go.
    pub results: Results,
    /// How many clouds, places and candidates were looked at.
    pub counts: Counts,
}

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

/// Why there is no problem to solve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A name in job or policy that the catalog does not know.
    Unknown(UnknownName),
    /// Stages that no offer may run.
    NoCandidates(Vec<Funnel>),
    /// Outputs that the job brings to this machine and a rule of the policy keeps away from it.
    HomeForbidden(Vec<ForbiddenHome>),
}

/// Copies may come from other holders, unless the policy says otherwise, where no more pairs of
/// a holder and a destination have to be looked at: the bounds that larger problems need are those
/// of copies straight from their origins.
const RELAY_PAIRS: usize = 1_000;

/// Pairs of sites between which data with several readers could be handed on.
fn relay_pairs(instance: &Instance) -> usize {
    let shared = instance
        .artifacts
        .iter()
        .filter(|artifact| artifact.readers.len() > 1);
    let pairs = shared.map(|artifact| {
        let mut read: IdVec<SiteId, bool> = IdVec::filled(false, instance.links.sites);
        let choices = artifact
            .readers
            .iter()
            .flat_map(|reader| &instance.stages[*reader].choices);
        choices.for_each(|choice| read[choice.site] = true);
        read.into_iter().filter(|read| *read).count().pow(2)
    });
    pairs.sum()
}

/// Makes the placement problem. The job must be acyclic, as `spec` guarantees. Outputs whose way
/// home has a price from only some places are brought home.
pub fn compile(job: &Job, policy: &Policy, catalog: &Catalog) -> Result<Compiled, Refusal> {
    compile_with(job, policy, catalog, PartlyPriced::Home)
}

/// Makes the placement problem as [`compile`] does, with outputs whose way home has a price from
/// only some places brought home or left.
pub fn compile_with(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    partly_priced: PartlyPriced,
) -> Result<Compiled, Refusal> {
    check_names(job, policy, catalog)?;
    let job = &job.expanded();
    let labels = dag::labels(job);
    let stages: IdVec<StageId, String> = job.stages.keys().cloned().collect();
    let places = Places::new(catalog, policy);
    let limits = quota_limits(&places);
    let (candidates, mut counts) = all_candidates(job, &places, &limits, &labels)?;
    let results = results::results(job, &labels, &places, &candidates, partly_priced);
    let results = results.map_err(Refusal::HomeForbidden)?;
    let sites = sites(
        job,
        catalog,
        &candidates,
        results.homeward().next().is_some(),
    );
    let site_of: BTreeMap<u32, SiteId> = sites
        .iter_enumerated()
        .map(|(site, place)| (*place, site))
        .collect();
    let home = catalog
        .place_id(&PlaceName::here())
        .and_then(|here| site_of.get(&here).copied());
    let arrivals = StageId::from_index(stages.len());
    let read = artifacts(job, catalog, &stages, &site_of);
    let (names, mut artifacts) = results::with_homeward(read, &results, arrivals);
    if let Some(home) = home {
        results::share_link(&mut artifacts, home, arrivals);
    }
    let storage = storage(job, &places, &sites);
    let choice = |tag: CandidateId, candidate: &Candidate, storage: &IdVec<SiteId, Money>| {
        let site = site_of[&catalog.offers[candidate.offer].place];
        Choice {
            site,
            cost: candidate.cost + storage[site],
            storage: storage[site],
            duration: candidate.duration,
            rank: candidate.rank,
            tag,
        }
    };
    let of_stage = job.stages.iter().zip(&candidates).zip(&storage);
    let choices = of_stage.map(|(((name, stage), candidates), storage)| StageChoices {
        label: name.clone(),
        choices: candidates
            .iter_enumerated()
            .map(|(tag, candidate)| choice(tag, candidate, storage))
            .collect(),
        deadline: stage.deadline,
    });
    let arrivals = results
        .homeward()
        .filter_map(|output| Some(results::arrival(output, home?)));
    let mut instance = Instance {
        stages: choices.chain(arrivals).collect(),
        precedence: precedence(job, &stages),
        links: links::links(&places, &sites, &artifacts),
        artifacts,
        minimize: policy.minimize,
        deadline: policy.deadline,
        budget: policy.budget,
        // Nano-USD to micro-USD.
        hour: policy.hour.map_or(Money(0), |hour| {
            Money(saturate(div_half_even(i128::from(hour.0), 1000)))
        }),
        relays: false,
        caps: caps::caps(&places, &limits, job, &candidates),
    };
    let count = instance.stages.len();
    instance
        .caps
        .iter_mut()
        .for_each(|cap| cap.uses.resize(count, Vec::new()));
    instance.relays = policy
        .relay
        .unwrap_or_else(|| relay_pairs(&instance) <= RELAY_PAIRS);
    let used = offering(catalog, &candidates);
    let clouds: BTreeSet<&str> = used
        .iter()
        .map(|place| catalog.places[*place as usize].name.cloud.as_str())
        .collect();
    counts.places = used.len() as u64;
    counts.clouds = clouds.len() as u64;
    Ok(Compiled {
        job: job.clone(),
        instance,
        stages,
        candidates,
        artifacts: names,
        sites,
        labels,
        results,
        counts,
    })
}

/// Refuses names in job and policy that only the catalog can vouch for, and without which nothing
/// can be planned.
pub fn check_names(job: &Job, policy: &Policy, catalog: &Catalog) -> Result<(), Refusal> {
    match names::unknown_names(job, policy, catalog)
        .into_iter()
        .next()
    {
        Some(unknown) if unknown.is_error => Err(Refusal::Unknown(unknown)),
        _ => Ok(()),
    }
}

/// Candidates of every stage. Stages that ask for the same are enumerated once.
fn all_candidates(
    job: &Job,
    places: &Places<'_>,
    limits: &[QuotaLimit],
    labels: &dag::Labels,
) -> Result<(StageCandidates, Counts), Refusal> {
    let empty = BTreeSet::new();
    let sizes = needs::Sizes::of(places.catalog);
    let mut known: Vec<Known<'_>> = Vec::new();
    let mut all = StageCandidates::new();
    let mut starved = Vec::new();
    let mut counts = Counts::default();
    let asked =
        |stage: &Stage| needs::rounded(&needs::with_arch(&stage.needs, places.policy), &sizes);
    let asked: Vec<Needs> = job.stages.values().map(asked).collect();
    for ((name, stage), needs) in job.stages.iter().zip(&asked) {
        let labels = labels.of_stage.get(name).unwrap_or(&empty);
        let request = Request {
            needs,
            labels,
            allocation: stage.allocation,
            without: &stage.without,
        };
        let index = known
            .iter()
            .position(|known| known.request == request)
            .unwrap_or_else(|| {
                let allowed = offers::allowed(&request, places);
                known.push(Known {
                    request,
                    allowed,
                    by_work: Vec::new(),
                });
                known.len() - 1
            });
        let Known {
            allowed, by_work, ..
        } = &mut known[index];
        let allowed = match allowed {
            Ok(allowed) => allowed,
            Err(funnel) => {
                let needs = needs::text(&stage.needs);
                starved.push(Funnel {
                    stage: name.clone(),
                    needs,
                    ..funnel.clone()
                });
                continue;
            }
        };
        let index = by_work
            .iter()
            .position(|known| needs::same_kind(known.work, &stage.work))
            .unwrap_or_else(|| {
                let (contenders, seen) = offers::contenders(allowed, &stage.work, places, limits);
                by_work.push(KnownWork {
                    work: &stage.work,
                    contenders,
                    seen,
                    ways_out: BTreeMap::new(),
                });
                by_work.len() - 1
            });
        let KnownWork {
            contenders,
            seen,
            ways_out,
            ..
        } = &mut by_work[index];
        let at_risk = contenders.iter().any(|contender| contender.monthly > 0);
        let ways_out = stage
            .checkpoint
            .as_ref()
            .filter(|_| at_risk)
            .map(|checkpoint| {
                let size = checkpoint.size;
                &*ways_out
                    .entry(size)
                    .or_insert_with(|| candidates::ways_out(contenders, size, places))
            });
        let kept = candidates::candidates(stage, contenders, ways_out, places, limits);
        if kept.is_empty() {
            starved.push(offers::none_left(name, stage, allowed, places, limits));
        }
        counts.candidates += *seen as u64;
        counts.kept += kept.len() as u64;
        all.push(kept.into());
    }
    if starved.is_empty() {
        Ok((all, counts))
    } else {
        Err(Refusal::NoCandidates(starved))
    }
}

/// What is known of a request that some stage made.
struct Known<'a> {
    request: Request<'a>,
    allowed: Result<Allowed, Funnel>,
    by_work: Vec<KnownWork<'a>>,
}

/// What is known of a kind of work under a request.
struct KnownWork<'a> {
    work: &'a Work,
    contenders: Vec<Contender>,
    seen: usize,
    /// By size of the checkpoint.
    ways_out: BTreeMap<Bytes, WaysOut>,
}

/// Places with a candidate or a dataset, and this machine if results are brought to it; ascending
/// by name.
fn sites(
    job: &Job,
    catalog: &Catalog,
    candidates: &StageCandidates,
    home: bool,
) -> IdVec<SiteId, u32> {
    let here = home.then(|| catalog.place_id(&PlaceName::here())).flatten();
    let stored = job
        .datasets
        .values()
        .chain(job.made.values())
        .filter_map(|data| catalog.place_id(&data.at));
    offering(catalog, candidates)
        .into_iter()
        .chain(stored)
        .chain(here)
        .collect::<BTreeSet<u32>>()
        .into_iter()
        .collect()
}

/// Places with candidates, ascending. There may be millions of candidates.
fn offering(catalog: &Catalog, candidates: &StageCandidates) -> Vec<u32> {
    let mut offers = vec![false; catalog.places.len()];
    for candidate in candidates.iter().flatten() {
        offers[catalog.offers[candidate.offer].place as usize] = true;
    }
    (0..)
        .zip(offers)
        .filter(|(_, offers)| *offers)
        .map(|(place, _)| place)
        .collect()
}

/// Artifacts that somebody reads, by name, with their readers.
fn artifacts(
    job: &Job,
    catalog: &Catalog,
    stages: &IdVec<StageId, String>,
    site_of: &BTreeMap<u32, SiteId>,
) -> Vec<(ArtifactRef, Artifact)> {
    let mut readers: BTreeMap<&ArtifactRef, Vec<StageId>> = BTreeMap::new();
    for (index, stage) in stages.ids().zip(job.stages.values()) {
        for read in &stage.reads {
            readers.entry(read).or_default().push(index);
        }
    }
    let number = |name: &String| stages.binary_search(name).ok();
    let lies =
        |dataset: &Dataset| Some(Origin::Site(*site_of.get(&catalog.place_id(&dataset.at)?)?));
    let origin = |artifact: &ArtifactRef| match (artifact, job.made.get(artifact)) {
        (_, Some(made)) => lies(made),
        (ArtifactRef::Dataset(name), _) => lies(job.datasets.get(name)?),
        (ArtifactRef::Output { stage, .. }, _) => number(stage).map(Origin::Stage),
    };
    let made = readers.into_iter().filter_map(|(artifact, readers)| {
        let bytes = job.size(artifact);
        let label = artifact.to_string();
        let made = Artifact {
            label,
            origin: origin(artifact)?,
            bytes,
            link_bytes: bytes,
            readers,
        };
        Some((artifact.clone(), made))
    });
    made.collect()
}

/// Pairs of stages ordered by `after` alone.
fn precedence(job: &Job, stages: &IdVec<StageId, String>) -> Vec<Precedence> {
    let number = |name: &String| stages.binary_search(name).ok();
    let pairs = job
        .stages
        .iter()
        .flat_map(|(name, stage)| stage.after.iter().map(move |before| (before, name)));
    pairs
        .filter_map(|(before, after)| {
            Some(Precedence {
                before: number(before)?,
                after: number(after)?,
            })
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// By stage and site: what keeping the artifacts that the stage writes costs where it runs.
fn storage(
    job: &Job,
    places: &Places<'_>,
    sites: &IdVec<SiteId, u32>,
) -> IdVec<StageId, IdVec<SiteId, Money>> {
    let prices: IdVec<SiteId, Price> = sites
        .iter()
        .map(|place| Price {
            keep: places.keep(*place),
            ..Price::default()
        })
        .collect();
    let kept =
        |stage: &Stage, price: &Price| stage.writes.values().map(|bytes| price.kept(*bytes)).sum();
    job.stages
        .values()
        .map(|stage| prices.map(|price| kept(stage, price)))
        .collect()
}
