//! Relaxing a line that lists names.

use super::relax_case::{RelaxCase, change_need};
use super::relaxation::{Relaxation, Relaxed};
use crate::model::policy::DEFAULT_LABEL;
use crate::model::{
    AcceleratorNeed, Destination, Job, Millis, Money, Needs, Offer, Pattern, Policy, Tee, TeeSet,
    Work,
};
use crate::planning::build::{Figures, labels, optimum};
use crate::planning::explain::constraint::ConstraintKind;
use crate::planning::explain::need::Need;
use crate::planning::solve::SolverError;
use std::collections::BTreeSet;

/// Single names that are tried before several are taken together.
const TRIED: usize = 48;

/// What a line would have to list for an offer.
enum Lacking {
    /// The line lists what the offer has already.
    Nothing,
    /// The line would have to list this name.
    Name(String),
    /// What the offer has, or lacks, has no name.
    Nameless,
}

impl Lacking {
    fn unless(is_listed: bool, name: &str) -> Self {
        if is_listed {
            Self::Nothing
        } else {
            Self::Name(name.to_owned())
        }
    }
}

/// What a list of environments would have to name for a machine that has some.
fn lacking_tee(listed: &BTreeSet<Tee>, offered: TeeSet) -> Lacking {
    if listed.iter().any(|tee| offered.has(*tee)) {
        return Lacking::Nothing;
    }
    match offered.iter().next() {
        Some(tee) => Lacking::Name(tee.to_string()),
        None => Lacking::Nameless,
    }
}

fn is_matched<'p>(patterns: impl IntoIterator<Item = &'p Pattern>, name: &str) -> bool {
    patterns.into_iter().any(|pattern| pattern.matches(name))
}

impl RelaxCase<'_> {
    /// The name to add for which the best plan is best, or the names that are enough together.
    pub(super) fn relax_names(&self) -> Result<Relaxation, SolverError> {
        let missing_names = self.missing();
        let figures = |figures: Figures| Some(figures).filter(|_| !self.assumes_a_time());
        if let Some(names) = missing_names
            .as_ref()
            .filter(|names| names.len() == 1 && !self.assumes_a_time())
        {
            // No plan with another name added is better than the best without the line.
            return Ok(Relaxation {
                to: Relaxed::Add(names.clone()),
                figures: Some(self.free.figures),
                least: self.free.figures.proven,
            });
        }
        let names = self.known_names();
        let all_tried = names.len() <= TRIED;
        let mut best_found: Option<((Money, Millis), String, Figures)> = None;
        for name in names.into_iter().take(TRIED) {
            let (job, policy) = self.with_names(&BTreeSet::from([name.clone()]));
            let Some(best) = optimum(&job, &policy, self.catalog, self.effort)? else {
                continue;
            };
            let figures_rank = (best.figures.cost, best.figures.makespan);
            if best_found
                .as_ref()
                .is_none_or(|(known, ..)| figures_rank < *known)
            {
                best_found = Some((figures_rank, name, best.figures));
            }
        }
        Ok(match (best_found, missing_names) {
            (Some((_, name, of)), _) => Relaxation {
                to: Relaxed::Add(BTreeSet::from([name])),
                figures: figures(of),
                least: all_tried && of.proven,
            },
            (None, Some(names)) if !names.is_empty() => Relaxation {
                to: Relaxed::Add(names),
                figures: figures(self.free.figures),
                least: false,
            },
            (None, _) => Relaxation {
                figures: figures(self.free.figures),
                ..self.dropped()
            },
        })
    }

    /// Whether a stage would run on what the job gives no time for.
    fn assumes_a_time(&self) -> bool {
        match &self.constraint.kind {
            ConstraintKind::Need(stage, Need::Accelerators) => {
                matches!(
                    self.job.stages.get(stage).map(|stage| &stage.work),
                    Some(Work::DurationBy(_))
                )
            }
            _ => false,
        }
    }

    /// What the best plan without the line uses that the line does not list. `None`: something
    /// that has no name.
    fn missing(&self) -> Option<BTreeSet<String>> {
        let labels = labels(self.job);
        let carries = |stage: &str, label: &str| {
            label == DEFAULT_LABEL
                || labels
                    .get(stage)
                    .is_some_and(|labels| labels.contains(label))
        };
        let mut names = BTreeSet::new();
        for (stage, offers) in &self.free.offers {
            let names_bound = match &self.constraint.kind {
                ConstraintKind::Residency(label) | ConstraintKind::Trust(label) => {
                    carries(stage, label)
                }
                ConstraintKind::Need(name, _) => name == stage,
                _ => true,
            };
            for offer in offers.iter().filter(|_| names_bound) {
                match self.lacking(offer) {
                    Lacking::Nothing => {}
                    Lacking::Name(name) => drop(names.insert(name)),
                    Lacking::Nameless => return None,
                }
            }
        }
        names.extend(self.country_of_home());
        Some(names)
    }

    /// The country of this machine, where the line would have to list it for what the job brings
    /// home.
    fn country_of_home(&self) -> Option<String> {
        let ConstraintKind::Residency(label) = &self.constraint.kind else {
            return None;
        };
        let country = self.policy.home.country.clone()?;
        let home_listed = self
            .policy
            .residency
            .get(label)
            .is_some_and(|list| list.contains(&country));
        let brought = self
            .job
            .outputs
            .values()
            .any(|destination| *destination == Destination::Home);
        (brought && !home_listed).then_some(country)
    }

    /// What the line would have to list for this offer.
    fn lacking(&self, offer: &Offer) -> Lacking {
        let place = self.catalog.place(offer);
        match &self.constraint.kind {
            ConstraintKind::Residency(label) => match &place.country {
                Some(country) => {
                    let countries = self.policy.residency.get(label);
                    let is_listed = countries.is_some_and(|list| list.contains(country));
                    Lacking::unless(is_listed, country)
                }
                None => Lacking::Nameless,
            },
            ConstraintKind::Trust(label) => match self.policy.trust.get(label) {
                Some(trusted) => lacking_tee(trusted, offer.tee),
                None => Lacking::Nameless,
            },
            ConstraintKind::CloudsAllow => {
                let allowed_patterns = self.policy.clouds.allow.iter().flatten();
                Lacking::unless(
                    is_matched(allowed_patterns, &place.name.cloud),
                    &place.name.cloud,
                )
            }
            ConstraintKind::PlacesAllow => {
                let (allowed, name) = (self.policy.places.allow.iter(), place.name.to_string());
                Lacking::unless(is_matched(allowed.flatten(), &name), &name)
            }
            ConstraintKind::Partitions => {
                let class = place.partition();
                let is_open = class.is_empty() || self.policy.partitions.contains(class);
                Lacking::unless(is_open, class)
            }
            ConstraintKind::Need(stage, need) => match self.job.stages.get(stage) {
                Some(stage) => self.lacking_need(&stage.needs, *need, offer),
                None => Lacking::Nameless,
            },
            _ => Lacking::Nameless,
        }
    }

    /// What a need of a stage would have to list for this offer.
    fn lacking_need(&self, needs: &Needs, need: Need, offer: &Offer) -> Lacking {
        let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
        match need {
            Need::Tee => lacking_tee(&needs.tee, offer.tee),
            Need::Places => {
                let name = place.name.to_string();
                Lacking::unless(is_matched(&needs.places, &name), &name)
            }
            Need::InstanceTypes => {
                let name = &machine.instance_type;
                Lacking::unless(is_matched(&needs.instance_types, name), name)
            }
            _ => {
                let Some((name, count)) = &machine.accelerator else {
                    return Lacking::Nameless;
                };
                let is_met = |need: &AcceleratorNeed| {
                    *count >= need.thousandths && self.catalog.is_accelerator(name, &need.name)
                };
                let offered_accelerator = AcceleratorNeed {
                    name: name.clone(),
                    thousandths: *count,
                };
                let is_listed = needs.accelerators.iter().any(is_met);
                Lacking::unless(is_listed, &offered_accelerator.to_string())
            }
        }
    }

    /// Names of the catalog that the line could list.
    fn known_names(&self) -> BTreeSet<String> {
        let places = self.catalog.places.iter();
        match &self.constraint.kind {
            ConstraintKind::Residency(_) => {
                places.filter_map(|place| place.country.clone()).collect()
            }
            ConstraintKind::CloudsAllow => places.map(|place| place.name.cloud.clone()).collect(),
            ConstraintKind::PlacesAllow | ConstraintKind::Need(_, Need::Places) => {
                places.map(|place| place.name.to_string()).collect()
            }
            ConstraintKind::Partitions => places
                .map(|place| place.partition().to_owned())
                .filter(|class| !class.is_empty())
                .collect(),
            ConstraintKind::Trust(_) | ConstraintKind::Need(_, Need::Tee) => {
                Tee::ALL.iter().map(Tee::to_string).collect()
            }
            ConstraintKind::Need(_, Need::InstanceTypes) => self
                .catalog
                .machines
                .iter()
                .map(|machine| machine.instance_type.clone())
                .collect(),
            ConstraintKind::Need(_, Need::Accelerators) => {
                let all_names = self
                    .catalog
                    .machines
                    .iter()
                    .filter_map(|machine| machine.accelerator.clone());
                all_names
                    .map(|(name, thousandths)| AcceleratorNeed { name, thousandths }.to_string())
                    .collect()
            }
            _ => BTreeSet::new(),
        }
    }

    fn with_names(&self, names: &BTreeSet<String>) -> (Job, Policy) {
        let (mut job, mut policy) = (self.job.clone(), self.policy.clone());
        let patterns = || names.iter().cloned().map(Pattern);
        let tees = || names.iter().filter_map(|name| Tee::parse(name));
        match &self.constraint.kind {
            ConstraintKind::Residency(label) => {
                if let Some(list) = policy.residency.get_mut(label) {
                    list.extend(names.iter().cloned());
                }
            }
            ConstraintKind::Trust(label) => {
                if let Some(list) = policy.trust.get_mut(label) {
                    list.extend(tees());
                }
            }
            ConstraintKind::CloudsAllow => policy
                .clouds
                .allow
                .iter_mut()
                .for_each(|list| list.extend(patterns())),
            ConstraintKind::PlacesAllow => policy
                .places
                .allow
                .iter_mut()
                .for_each(|list| list.extend(patterns())),
            ConstraintKind::Partitions => policy.partitions.extend(names.iter().cloned()),
            ConstraintKind::Need(name, need) => {
                let more_accelerators: Vec<AcceleratorNeed> = names
                    .iter()
                    .filter_map(|name| AcceleratorNeed::parse(name).ok())
                    .collect();
                let add = |needs: &mut Needs| match need {
                    Need::Tee => needs.tee.extend(tees()),
                    Need::Places => needs.places.extend(patterns()),
                    Need::InstanceTypes => needs.instance_types.extend(patterns()),
                    _ => needs.accelerators.extend(more_accelerators.iter().cloned()),
                };
                change_need(&mut job, name, *need, add);
                if *need == Need::Accelerators
                    && let Some(Work::DurationBy(times)) =
                        job.stages.get_mut(name).map(|stage| &mut stage.work)
                    && let Some(least) = times.values().min().copied()
                {
                    // As when the line is left out.
                    times.extend(more_accelerators.into_iter().map(|need| (need, least)));
                }
            }
            _ => {}
        }
        (job, policy)
    }
}
