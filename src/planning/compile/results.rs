//! Where the outputs of stages go: home, or nowhere.
//!
//! The job may say it for each output. One that it does not name and that nobody reads is brought
//! home, unless a rule of the policy forbids it or no place of its stage has a known price for the
//! way: then it stays where it is made, and the plan says so. Where only some of the places have
//! such a price, it is brought home as long as there is a plan that does so ([`PartlyPriced`]), so
//! that a default never takes away the only plan. Bringing home is a transfer like any other, so
//! for the problem home is a stage of its own: it takes no time, costs nothing, and has one choice,
//! at the site of this machine.

use super::candidates::{Candidate, StageCandidates};
use super::caps::base_name;
use super::places::Places;
use crate::model::{ArtifactRef, Bytes, Destination, Job, PlaceName, dag};
use crate::planning::problem::{
    Artifact, ArtifactId, CandidateId, Choice, Origin, SiteId, StageChoices, StageId,
};
use crate::planning::rule;
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

/// An output whose destination matters: the job names it, or nobody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The output, named as the artifact that a stage writes.
    pub artifact: ArtifactRef,
    /// The stage that writes it.
    pub stage: StageId,
    /// The size of the output.
    pub bytes: Bytes,
    /// Whether the output is brought home or stays where it is made.
    pub destination: Destination,
    /// Why it stays although nobody said so.
    pub stays: Option<Stays>,
}

/// Why an output that nobody reads is not brought home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stays {
    /// This line of the policy forbids it.
    Forbidden(String),
    /// The catalog has no price for the way from any place where its stage may run.
    Unpriced,
    /// The catalog has a price for the way from some of these places only, and no plan brings it
    /// home from one of them.
    NoPlanFromPriced,
}

/// What becomes of outputs whose destination the job does not state, that nobody reads, and whose
/// way home has a known price from only some of the places where their stage may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartlyPriced {
    /// They are brought home, so their stages run at places that have a price.
    Home,
    /// They stay where they are made, so their stages may run at any place.
    There,
}

/// An output that the job brings home although a rule forbids it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenHome {
    /// `train.model`, as the job names it.
    pub output: String,
    /// The policy's line that forbids it.
    pub rule: String,
}

/// The destinations of a job's outputs, and by stage the line of the policy that keeps its
/// outputs from being brought home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// By stage, then by name.
    pub outputs: Vec<Output>,
    /// By stage; none: they may be brought home.
    pub forbidden: IdVec<StageId, Option<String>>,
    /// Outputs are brought home that [`PartlyPriced::There`] would leave where they are made.
    pub partly_priced: bool,
}

impl Results {
    /// The outputs that are brought home, in order.
    pub fn homeward(&self) -> impl Iterator<Item = &Output> {
        self.outputs
            .iter()
            .filter(|output| output.destination == Destination::Home)
    }
}

/// Decides where the outputs of every stage go. `job` has every replica of a stage as a stage.
pub(super) fn results(
    job: &Job,
    labels: &dag::Labels,
    places: &Places<'_>,
    candidates: &StageCandidates,
    partly_priced: PartlyPriced,
) -> Result<Results, Vec<ForbiddenHome>> {
    let artifacts_read: BTreeSet<&ArtifactRef> =
        job.stages.values().flat_map(|stage| &stage.reads).collect();
    let home_place = places.catalog.place_id(&PlaceName::here());
    let no_labels = BTreeSet::new();
    let mut by_labels: BTreeMap<&BTreeSet<String>, Option<String>> = BTreeMap::new();
    let mut results = Results::default();
    let mut clashes: Vec<ForbiddenHome> = Vec::new();
    for (index, (name, stage)) in StageId::below(job.stages.len()).zip(&job.stages) {
        // All outputs of a stage carry the same labels.
        let mut forbidden = None;
        for (output, bytes) in &stage.writes {
            let artifact = ArtifactRef::Output {
                stage: name.clone(),
                name: output.clone(),
            };
            let carried = labels.of_artifact.get(&artifact).unwrap_or(&no_labels);
            forbidden = by_labels
                .entry(carried)
                .or_insert_with(|| rule::forbids_home(places.policy, carried))
                .clone();
            let destination_said = job.outputs.get(&artifact).copied();
            let (destination, stays) = match (destination_said, &forbidden, home_place) {
                (None, ..) if artifacts_read.contains(&artifact) => continue,
                (Some(Destination::There), ..) | (None, _, None) => (Destination::There, None),
                (Some(Destination::Home), Some(rule), _) => {
                    clashes.push(ForbiddenHome {
                        output: written_name(&artifact),
                        rule: rule.clone(),
                    });
                    continue;
                }
                (Some(Destination::Home), None, _) => (Destination::Home, None),
                (None, Some(rule), _) => (Destination::There, Some(Stays::Forbidden(rule.clone()))),
                (None, None, Some(here)) => {
                    match (priced_ways(places, here, &candidates[index]), partly_priced) {
                        (PricedWays::All, _) => (Destination::Home, None),
                        (PricedWays::Some, PartlyPriced::Home) => {
                            results.partly_priced = true;
                            (Destination::Home, None)
                        }
                        (PricedWays::Some, PartlyPriced::There) => {
                            (Destination::There, Some(Stays::NoPlanFromPriced))
                        }
                        (PricedWays::None, _) => (Destination::There, Some(Stays::Unpriced)),
                    }
                }
            };
            results.outputs.push(Output {
                artifact,
                stage: index,
                bytes: *bytes,
                destination,
                stays,
            });
        }
        results.forbidden.push(forbidden);
    }
    clashes.dedup();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    results
        .outputs
        .sort_by(|a, b| (a.stage, &a.artifact).cmp(&(b.stage, &b.artifact)));
    Ok(results)
}

/// The name of an output as the job has it: `sweep.out` for `sweep[3].out`.
fn written_name(artifact: &ArtifactRef) -> String {
    match artifact {
        ArtifactRef::Output { stage, name } => format!("{}.{name}", base_name(stage)),
        ArtifactRef::Dataset(name) => name.clone(),
    }
}

/// From how many of a stage's places the way home has a known price.
enum PricedWays {
    None,
    Some,
    All,
}

fn priced_ways(
    places: &Places<'_>,
    home_place: u32,
    candidates: &IdVec<CandidateId, Candidate>,
) -> PricedWays {
    // Candidates are in the order of places, so repeated places follow each other.
    let mut stops: Vec<u32> = candidates
        .iter()
        .map(|candidate| places.catalog.offers[candidate.offer.index()].place)
        .collect();
    stops.dedup();
    let priced_places = stops
        .iter()
        .filter(|place| places.tariff(**place, home_place).is_some())
        .count();
    match priced_places {
        0 => PricedWays::None,
        all if all == stops.len() => PricedWays::All,
        _ => PricedWays::Some,
    }
}

/// The stage that stands for bringing one output home.
pub(super) fn arrival(output: &Output, home: SiteId) -> StageChoices {
    StageChoices {
        label: format!("home({})", output.artifact),
        choices: IdVec::from(vec![Choice {
            site: home,
            ..Choice::default()
        }]),
        deadline: None,
    }
}

/// The artifacts of the problem, by name: those that stages read, and those that are brought home.
/// `arrivals` is the first stage that stands for bringing one home.
pub(super) fn with_homeward(
    read: Vec<(ArtifactRef, Artifact)>,
    results: &Results,
    arrivals: StageId,
) -> (IdVec<ArtifactId, ArtifactRef>, IdVec<ArtifactId, Artifact>) {
    let names: BTreeSet<ArtifactRef> = read.iter().map(|(name, _)| name.clone()).collect();
    let homeward = results.homeward().enumerate().map(|(number, output)| {
        let label = match names.contains(&output.artifact) {
            true => format!("{}@home", output.artifact),
            false => output.artifact.to_string(),
        };
        let artifact = Artifact {
            label,
            origin: Origin::Stage(output.stage),
            bytes: output.bytes,
            link_bytes: output.bytes,
            readers: vec![StageId::from_index(arrivals.index() + number)],
        };
        (output.artifact.clone(), artifact)
    });
    let mut all_artifacts: Vec<(ArtifactRef, Artifact)> =
        read.into_iter().chain(homeward).collect();
    // Of two with the same name the one that stages read stays first.
    all_artifacts.sort_by(|(a, _), (b, _)| a.cmp(b));
    all_artifacts.into_iter().unzip()
}

/// Has transfers that leave this machine share its link, and those that arrive at it.
///
/// Nothing is known of when they are under way, so all count as one: of transfers that share a link
/// fairly, none is held up by another for longer than the smaller of both takes. `home` is the
/// site of this machine, `arrivals` as in [`with_homeward`].
pub(super) fn share_link(
    artifacts: &mut IdVec<ArtifactId, Artifact>,
    home: SiteId,
    arrivals: StageId,
) {
    let leaves = |artifact: &Artifact| match artifact.origin {
        Origin::Site(site) => site == home,
        Origin::Stage(_) => false,
    };
    let arrives = |artifact: &Artifact| artifact.readers.iter().any(|reader| *reader >= arrivals);
    share_readers(artifacts, leaves);
    share_readers(artifacts, arrives);
}

/// Every reader fetches the artifact on its own from this machine.
fn share_readers(artifacts: &mut IdVec<ArtifactId, Artifact>, shares: impl Fn(&Artifact) -> bool) {
    let mut transfers: BTreeMap<u64, u64> = BTreeMap::new();
    for artifact in artifacts.iter().filter(|artifact| shares(artifact)) {
        *transfers.entry(artifact.bytes.0).or_default() += artifact.readers.len() as u64;
    }
    // By size: what passes until a transfer of that size has arrived.
    let mut passed_bytes: BTreeMap<u64, u64> = BTreeMap::new();
    let mut larger: u64 = transfers.values().sum();
    let mut smaller: u64 = 0;
    for (size, count) in &transfers {
        passed_bytes.insert(*size, smaller.saturating_add(size.saturating_mul(larger)));
        smaller = smaller.saturating_add(size.saturating_mul(*count));
        larger -= count;
    }
    for artifact in artifacts.iter_mut().filter(|artifact| shares(artifact)) {
        artifact.link_bytes = Bytes(
            passed_bytes
                .get(&artifact.bytes.0)
                .copied()
                .unwrap_or(artifact.bytes.0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(gigabytes: u64, readers: usize) -> Artifact {
        let bytes = Bytes(gigabytes);
        let readers = StageId::below(readers).collect();
        Artifact {
            label: String::new(),
            origin: Origin::Site(SiteId::new(0)),
            bytes,
            link_bytes: bytes,
            readers,
        }
    }

    #[test]
    fn copies_from_one_machine_share_its_link() {
        let passed = |artifacts: Vec<Artifact>| -> Vec<u64> {
            let mut artifacts = IdVec::from(artifacts);
            share_link(&mut artifacts, SiteId::new(0), StageId::new(100));
            artifacts
                .iter()
                .map(|artifact| artifact.link_bytes.0)
                .collect()
        };
        assert_eq!(passed(vec![artifact(5, 1)]), [5]);
        assert_eq!(passed(vec![artifact(5, 1), artifact(5, 1)]), [10, 10]);
        // A small one is held up no longer than it takes itself.
        assert_eq!(passed(vec![artifact(1, 1), artifact(1000, 1)]), [2, 1001]);
        // Each reader fetches it on its own.
        assert_eq!(passed(vec![artifact(7, 3)]), [21]);
        assert_eq!(passed(vec![artifact(2, 2), artifact(3, 1)]), [6, 7]);
        // Another place has a link of its own.
        let elsewhere = Artifact {
            origin: Origin::Site(SiteId::new(1)),
            ..artifact(5, 1)
        };
        assert_eq!(passed(vec![artifact(5, 1), elsewhere]), [5, 5]);
    }
}
