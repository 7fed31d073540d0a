//! Job, policy and catalog to a placement problem: candidates, pruning, egress, timing.
//!
//! Invariant: no IO. Stages, artifacts, places and choices are taken in the order of their names,
//! so the order in which files list them is gone before any number is made.

mod candidates;
mod needs;

pub use candidates::{Candidate, Funnel};

use crate::catalog::Catalog;
use crate::model::{AcceleratorNeed, ArtifactRef, Job, Policy, dag};
use crate::problem::{Artifact, Choice, Instance, Links, Origin, Price, StageChoices};
use candidates::{Allowed, Request};
use std::collections::{BTreeMap, BTreeSet};

/// A placement problem, and what its numbers stand for.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub instance: Instance,
    /// Stage names, by stage.
    pub stages: Vec<String>,
    /// By stage: the candidates; a choice's tag is an index here.
    pub candidates: Vec<Vec<Candidate>>,
    /// By artifact of the instance.
    pub artifacts: Vec<ArtifactRef>,
    /// By site: index of the place in the catalog.
    pub sites: Vec<u32>,
    pub labels: dag::Labels,
    pub counts: Counts,
}

/// How many were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clouds and places with a candidate of some stage.
    pub clouds: u64,
    pub places: u64,
    /// Pairs of a stage and an offer that it may use.
    pub candidates: u64,
    /// Of these, what was left after dominated offers of the same place were dropped.
    pub kept: u64,
}

/// Why there is no problem to solve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A name that the catalog does not know: the job's dotted key, and what to say.
    Unknown { key: String, message: String, hint: Option<String> },
    /// Stages that no offer may run.
    NoCandidates(Vec<Funnel>),
}

/// Makes the placement problem. The job must be acyclic, as `spec` guarantees.
pub fn compile(job: &Job, policy: &Policy, catalog: &Catalog) -> Result<Compiled, Refusal> {
    check_names(job, catalog)?;
    let labels = dag::labels(job);
    let stages: Vec<String> = job.stages.keys().cloned().collect();
    let (candidates, mut counts) = all_candidates(job, policy, catalog, &labels)?;
    let sites = sites(job, catalog, &candidates);
    let site_of: BTreeMap<u32, usize> = sites.iter().enumerate().map(|(site, place)| (*place, site)).collect();
    let choices = stages.iter().zip(&candidates).map(|(name, candidates)| StageChoices {
        label: name.clone(),
        choices: candidates
            .iter()
            .enumerate()
            .map(|(tag, candidate)| Choice {
                site: site_of[&catalog.offers[candidate.offer].place],
                cost: candidate.cost.0,
                duration: signed(candidate.duration.0),
                tag,
                ..Choice::default()
            })
            .collect(),
        deadline: None,
    });
    let (names, artifacts) = artifacts(job, catalog, &stages, &site_of);
    let instance = Instance {
        stages: choices.collect(),
        artifacts,
        precedence: precedence(job, &stages),
        links: links(catalog, &sites),
        minimize: policy.minimize,
        deadline: policy.deadline.map(|deadline| signed(deadline.0)),
        budget: policy.budget.map(|budget| budget.0),
        hour: 0,
        caps: Vec::new(),
    };
    let used: BTreeSet<u32> =
        candidates.iter().flatten().map(|candidate| catalog.offers[candidate.offer].place).collect();
    let clouds: BTreeSet<&str> = used.iter().map(|place| catalog.places[*place as usize].name.cloud.as_str()).collect();
    counts.places = used.len() as u64;
    counts.clouds = clouds.len() as u64;
    Ok(Compiled { instance, stages, candidates, artifacts: names, sites, labels, counts })
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Names in the job that only the catalog can vouch for.
pub fn check_names(job: &Job, catalog: &Catalog) -> Result<(), Refusal> {
    for (name, dataset) in &job.datasets {
        if catalog.place_id(&dataset.at).is_none() {
            let at = dataset.at.to_string();
            let known = catalog.places.iter().map(|place| place.name.to_string());
            return Err(Refusal::Unknown {
                key: format!("datasets.{name}.at"),
                message: format!("the catalog has no place `{at}`"),
                hint: nearest(&at, known),
            });
        }
    }
    for (name, stage) in &job.stages {
        let accelerators = &stage.needs.accelerators;
        let unknown = |need: &&AcceleratorNeed| catalog.accelerator_name(&need.name).is_none();
        // One known alternative is enough: a job may be planned on small catalogs too.
        if let Some(need) = accelerators.iter().find(unknown).filter(|_| accelerators.iter().all(|need| unknown(&need)))
        {
            return Err(Refusal::Unknown {
                key: format!("stages.{name}.needs.accelerators"),
                message: format!("the catalog has no accelerator `{}`", need.name),
                hint: nearest(&need.name, catalog.accelerators.keys().cloned()),
            });
        }
    }
    Ok(())
}

/// Names that the job gives as one alternative of several and that the catalog does not know:
/// they may be mistyped, so they are said.
pub fn unknown_alternatives(job: &Job, catalog: &Catalog) -> Vec<String> {
    let needs =
        job.stages.iter().flat_map(|(name, stage)| stage.needs.accelerators.iter().map(move |need| (name, need)));
    let unknown = needs.filter(|(_, need)| catalog.accelerator_name(&need.name).is_none());
    let said = unknown.map(|(name, need)| {
        let hint = nearest(&need.name, catalog.accelerators.keys().cloned()).map(|hint| format!("; {hint}"));
        format!("stage {name}: the catalog has no accelerator `{}`{}", need.name, hint.unwrap_or_default())
    });
    said.collect()
}

/// `did you mean …?` for the known name most like `name`, if one is close.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let lower = name.to_lowercase();
    let scored = known.map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)))?;
    (score > 0.8).then(|| format!("did you mean `{known}`?"))
}

/// Candidates of every stage. Stages that ask for the same are enumerated once.
fn all_candidates(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    labels: &dag::Labels,
) -> Result<(Vec<Vec<Candidate>>, Counts), Refusal> {
    let empty = BTreeSet::new();
    let mut known: Vec<(Request<'_>, Result<Allowed, Funnel>)> = Vec::new();
    let mut all = Vec::new();
    let mut starved = Vec::new();
    let mut counts = Counts::default();
    for (name, stage) in &job.stages {
        let request = Request { needs: &stage.needs, labels: labels.of_stage.get(name).unwrap_or(&empty) };
        let index = known.iter().position(|(other, _)| *other == request).unwrap_or_else(|| {
            known.push((request, candidates::offers(&request, policy, catalog)));
            known.len() - 1
        });
        let offers = match &known[index].1 {
            Ok(offers) => offers,
            Err(funnel) => {
                starved.push(Funnel { stage: name.clone(), ..funnel.clone() });
                continue;
            }
        };
        let (kept, seen) = candidates::candidates(stage, offers, catalog);
        if kept.is_empty() {
            let unmet = BTreeMap::from([("duration".to_owned(), offers.offers.len() as u64)]);
            starved.push(Funnel { stage: name.clone(), needs: needs::text(&stage.needs), unmet, ..Funnel::default() });
        }
        counts.candidates += seen as u64;
        counts.kept += kept.len() as u64;
        all.push(kept);
    }
    if starved.is_empty() { Ok((all, counts)) } else { Err(Refusal::NoCandidates(starved)) }
}

/// Places with a candidate or a dataset, ascending by name.
fn sites(job: &Job, catalog: &Catalog, candidates: &[Vec<Candidate>]) -> Vec<u32> {
    let offered = candidates.iter().flatten().map(|candidate| catalog.offers[candidate.offer].place);
    let stored = job.datasets.values().filter_map(|dataset| catalog.place_id(&dataset.at));
    offered.chain(stored).collect::<BTreeSet<u32>>().into_iter().collect()
}

/// Artifacts that somebody reads, by name, with their readers.
fn artifacts(
    job: &Job,
    catalog: &Catalog,
    stages: &[String],
    site_of: &BTreeMap<u32, usize>,
) -> (Vec<ArtifactRef>, Vec<Artifact>) {
    let mut readers: BTreeMap<&ArtifactRef, Vec<usize>> = BTreeMap::new();
    for (index, stage) in job.stages.values().enumerate() {
        for read in &stage.reads {
            readers.entry(read).or_default().push(index);
        }
    }
    let number = |name: &String| stages.binary_search(name).ok();
    let origin = |artifact: &ArtifactRef| match artifact {
        ArtifactRef::Dataset(name) => {
            let place = catalog.place_id(&job.datasets.get(name)?.at)?;
            Some(Origin::Site(*site_of.get(&place)?))
        }
        ArtifactRef::Output { stage, .. } => number(stage).map(Origin::Stage),
    };
    let made = readers.into_iter().filter_map(|(artifact, readers)| {
        let made =
            Artifact { label: artifact.to_string(), origin: origin(artifact)?, bytes: job.size(artifact), readers };
        Some((artifact.clone(), made))
    });
    made.unzip()
}

/// Pairs of stages ordered by `after` alone.
fn precedence(job: &Job, stages: &[String]) -> Vec<(usize, usize)> {
    let number = |name: &String| stages.binary_search(name).ok();
    let pairs = job.stages.iter().flat_map(|(name, stage)| stage.after.iter().map(move |before| (before, name)));
    pairs
        .filter_map(|(before, after)| Some((number(before)?, number(after)?)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Prices and speeds between the sites.
fn links(catalog: &Catalog, sites: &[u32]) -> Links {
    let mut links = Links {
        sites: sites.len(),
        labels: sites.iter().map(|place| catalog.places[*place as usize].name.to_string()).collect(),
        ..Links::default()
    };
    let mut classes = BTreeMap::new();
    for from in sites {
        for to in sites {
            let class = catalog.network.tariff(*from, *to).map(|tariff| {
                *classes.entry(tariff.clone()).or_insert_with(|| {
                    links.tariffs.push(Price { tariff: tariff.clone(), ..Price::default() });
                    u16::try_from(links.tariffs.len() - 1).unwrap_or(u16::MAX)
                })
            });
            links.tariff.push(class);
            links.bandwidth.push(catalog.network.bandwidth(*from, *to));
        }
    }
    links
}
