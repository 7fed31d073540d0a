//! From job, policy and catalog to a placement problem.

use super::candidates::{Candidate, StageCandidates};
use super::names::{self, UnknownName};
use super::offers::Funnel;
use super::places::Places;
use super::quota_limits::quota_limits;
use super::results::{self, ForbiddenHome, PartlyPriced, Results};
use super::stage_candidates::{Counts, all_candidates};
use super::{caps, links};
use crate::catalog::Catalog;
use crate::model::units::{div_half_even, saturate};
use crate::model::{ArtifactRef, Dataset, Job, Money, PlaceName, Policy, Rate, Stage, dag};
use crate::planning::problem::{
    Artifact, ArtifactId, CandidateId, Choice, Instance, Origin, Precedence, Price, SiteId,
    StageChoices, StageId,
};
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

/// A placement problem, and what its numbers stand for.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The job with every replica of a stage as a stage of its own.
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

/// Transfers may come from other holders, unless the policy says otherwise, where no more pairs of
/// a holder and a destination have to be looked at: the bounds that larger problems need are those
/// of transfers straight from their origins.
const RELAY_PAIRS: usize = 1_000;

/// Pairs of sites between which data with several readers could be handed on.
fn relay_pairs(instance: &Instance) -> usize {
    let shared_artifacts = instance
        .artifacts
        .iter()
        .filter(|artifact| artifact.readers.len() > 1);
    let pairs = shared_artifacts.map(|artifact| {
        let mut site_reads: IdVec<SiteId, bool> = IdVec::filled(false, instance.links.sites);
        let choices = artifact
            .readers
            .iter()
            .flat_map(|reader| &instance.stages[*reader].choices);
        choices.for_each(|choice| site_reads[choice.site] = true);
        site_reads.into_iter().filter(|read| *read).count().pow(2)
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
    let (candidates, mut counts) =
        all_candidates(job, &places, &limits, &labels).map_err(Refusal::NoCandidates)?;
    let results = results::results(job, &labels, &places, &candidates, partly_priced)
        .map_err(Refusal::HomeForbidden)?;
    let brings_home = results.homeward().next().is_some();
    let sites = Sites::of(job, catalog, &candidates, brings_home);
    let first_arrival = StageId::from_index(stages.len());
    let artifacts_read = read_artifacts(job, catalog, &stages, &sites);
    let (names, mut artifacts) = results::with_homeward(artifacts_read, &results, first_arrival);
    if let Some(home) = sites.home {
        results::share_link(&mut artifacts, home, first_arrival);
    }
    let mut choices = stage_choices(job, &places, &candidates, &sites);
    let arrivals = results
        .homeward()
        .filter_map(|output| Some(results::arrival(output, sites.home?)));
    choices.extend(arrivals);
    let mut instance = Instance {
        precedence: precedence_pairs(job, &stages),
        links: links::links(&places, &sites.places, &artifacts),
        artifacts,
        minimize: policy.minimize,
        deadline: policy.deadline,
        budget: policy.budget,
        hour: policy.hour.map_or(Money(0), worth_of_hour),
        relays: false,
        caps: caps::caps(&places, &limits, job, &candidates),
        stages: choices,
    };
    let count = instance.stages.len();
    for cap in instance.caps.iter_mut() {
        cap.uses.resize(count, Vec::new());
    }
    instance.relays = policy
        .relay
        .unwrap_or_else(|| relay_pairs(&instance) <= RELAY_PAIRS);
    count_places(&mut counts, catalog, &candidates);
    Ok(Compiled {
        job: job.clone(),
        instance,
        stages,
        candidates,
        artifacts: names,
        sites: sites.places,
        labels,
        results,
        counts,
    })
}

/// Returns what an hour of makespan is worth, from nano-USD to micro-USD.
fn worth_of_hour(hour: Rate) -> Money {
    Money(saturate(div_half_even(i128::from(hour.0), 1000)))
}

/// Counts places and clouds with a candidate of some stage.
fn count_places(counts: &mut Counts, catalog: &Catalog, candidates: &StageCandidates) {
    let places = offering_places(catalog, candidates);
    let clouds: BTreeSet<&str> = places
        .iter()
        .map(|place| catalog.places[*place as usize].name.cloud.as_str())
        .collect();
    counts.places = places.len() as u64;
    counts.clouds = clouds.len() as u64;
}

/// The choices of every stage of the job, in the order of its candidates.
fn stage_choices(
    job: &Job,
    places: &Places<'_>,
    candidates: &StageCandidates,
    sites: &Sites,
) -> IdVec<StageId, StageChoices> {
    let offers = &places.catalog.offers;
    let storage = storage_costs(job, places, &sites.places);
    let choice = |tag: CandidateId, candidate: &Candidate, storage: &IdVec<SiteId, Money>| {
        let site = sites.of_place[&offers[candidate.offer.index()].place];
        Choice {
            site,
            cost: candidate.cost + storage[site],
            storage: storage[site],
            duration: candidate.duration,
            rank: candidate.rank,
            tag,
        }
    };
    let stages = job.stages.iter().zip(candidates).zip(&storage);
    stages
        .map(|(((name, stage), candidates), storage)| StageChoices {
            label: name.clone(),
            choices: candidates
                .iter_enumerated()
                .map(|(tag, candidate)| choice(tag, candidate, storage))
                .collect(),
            deadline: stage.deadline,
        })
        .collect()
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

/// The sites of an instance.
struct Sites {
    /// By site: the index of the place in the catalog, ascending.
    places: IdVec<SiteId, u32>,
    of_place: BTreeMap<u32, SiteId>,
    /// The site of this machine, if it is one.
    home: Option<SiteId>,
}

impl Sites {
    /// Numbers the places with a candidate or a dataset, and this machine if outputs are brought to
    /// it; ascending by name.
    fn of(job: &Job, catalog: &Catalog, candidates: &StageCandidates, brings_home: bool) -> Self {
        let home_place = catalog.place_id(&PlaceName::here());
        let stored = job
            .datasets
            .values()
            .chain(job.made.values())
            .filter_map(|data| catalog.place_id(&data.at));
        let places: IdVec<SiteId, u32> = offering_places(catalog, candidates)
            .into_iter()
            .chain(stored)
            .chain(home_place.filter(|_| brings_home))
            .collect::<BTreeSet<u32>>()
            .into_iter()
            .collect();
        let of_place: BTreeMap<u32, SiteId> = places
            .iter_enumerated()
            .map(|(site, place)| (*place, site))
            .collect();
        let home = home_place.and_then(|here| of_place.get(&here).copied());
        Self {
            places,
            of_place,
            home,
        }
    }
}

/// Places with candidates, ascending. There may be millions of candidates.
fn offering_places(catalog: &Catalog, candidates: &StageCandidates) -> Vec<u32> {
    let mut offers = vec![false; catalog.places.len()];
    for candidate in candidates.iter().flatten() {
        offers[catalog.offers[candidate.offer.index()].place as usize] = true;
    }
    (0..)
        .zip(offers)
        .filter(|(_, offers)| *offers)
        .map(|(place, _)| place)
        .collect()
}

/// Artifacts that somebody reads, by name, with their readers.
fn read_artifacts(
    job: &Job,
    catalog: &Catalog,
    stages: &IdVec<StageId, String>,
    sites: &Sites,
) -> Vec<(ArtifactRef, Artifact)> {
    let mut readers: BTreeMap<&ArtifactRef, Vec<StageId>> = BTreeMap::new();
    for (index, stage) in stages.ids().zip(job.stages.values()) {
        for read in &stage.reads {
            readers.entry(read).or_default().push(index);
        }
    }
    let stage_number = |name: &String| stages.binary_search(name).ok();
    let lies = |dataset: &Dataset| {
        let place = catalog.place_id(&dataset.at)?;
        Some(Origin::Site(*sites.of_place.get(&place)?))
    };
    let origin = |artifact: &ArtifactRef| match (artifact, job.made.get(artifact)) {
        (_, Some(made)) => lies(made),
        (ArtifactRef::Dataset(name), _) => lies(job.datasets.get(name)?),
        (ArtifactRef::Output { stage, .. }, _) => stage_number(stage).map(Origin::Stage),
    };
    let artifacts_made = readers.into_iter().filter_map(|(artifact, readers)| {
        let bytes = job.size(artifact)?;
        let label = artifact.to_string();
        let artifact_made = Artifact {
            label,
            origin: origin(artifact)?,
            bytes,
            link_bytes: bytes,
            readers,
        };
        Some((artifact.clone(), artifact_made))
    });
    artifacts_made.collect()
}

/// Pairs of stages ordered by `after` alone.
fn precedence_pairs(job: &Job, stages: &IdVec<StageId, String>) -> Vec<Precedence> {
    let stage_number = |name: &String| stages.binary_search(name).ok();
    let pairs = job
        .stages
        .iter()
        .flat_map(|(name, stage)| stage.after.iter().map(move |before| (before, name)));
    pairs
        .filter_map(|(before, after)| {
            Some(Precedence {
                before: stage_number(before)?,
                after: stage_number(after)?,
            })
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// By stage and site: what keeping the artifacts that the stage writes costs where it runs.
fn storage_costs(
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
    let kept_cost =
        |stage: &Stage, price: &Price| stage.writes.values().map(|bytes| price.kept(*bytes)).sum();
    job.stages
        .values()
        .map(|stage| prices.map(|price| kept_cost(stage, price)))
        .collect()
}
