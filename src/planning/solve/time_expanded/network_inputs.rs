//! What a time-expanded network is made of.

use crate::planning::problem::{
    Choice, ChoiceId, Instance, Links, PriceId, Shape, SiteId, StageId,
};
use crate::planning::solve::bound::network::{Network, Star};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// What a stage may take at a site: nothing else there is both shorter and cheaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub duration: i64,
    /// Scaled.
    pub cost: i64,
    /// Which choice of the stage.
    pub choice: ChoiceId,
}

/// What a grid is made of.
pub(in crate::planning::solve) struct NetworkInputs<'a> {
    pub instance: &'a Instance,
    pub shape: &'a Shape,
    pub net: &'a Network,
    pub deadline: i64,
    /// By site: the one that stands for it and its group.
    pub instead: &'a IdVec<SiteId, SiteId>,
    /// No site of a group stands for the others in a placement that is as cheap: what placements in
    /// the network cost and how long they take is less than any real one's.
    pub loose: bool,
    /// Travel between groups is the shortest between any of their sites.
    links: Links,
    /// By pair of loose groups: price classes between any of their sites.
    classes: BTreeMap<(SiteId, SiteId), BTreeSet<Option<PriceId>>>,
}

impl<'a> NetworkInputs<'a> {
    /// Sites that stand for others cost no more
    /// ([`crate::planning::solve::presolve::dominated_sites`]), unless groups are `loose`.
    pub(in crate::planning::solve) fn new(
        instance: &'a Instance,
        shape: &'a Shape,
        net: &'a Network,
        deadline: i64,
        instead: &'a IdVec<SiteId, SiteId>,
        loose: bool,
    ) -> Self {
        let mut links = instance.links.clone();
        let used_sites: BTreeSet<SiteId> = instance
            .stages
            .iter()
            .flat_map(|stage| &stage.choices)
            .map(|choice| choice.site)
            .collect();
        let mut classes: BTreeMap<(SiteId, SiteId), BTreeSet<Option<PriceId>>> = BTreeMap::new();
        for from in &used_sites {
            for to in used_sites.iter().filter(|to| *to != from) {
                // A site where data lies stands for itself, and for others.
                for (a, b) in [
                    (instead[*from], instead[*to]),
                    (*from, instead[*to]),
                    (instead[*from], *to),
                ] {
                    let pair = links.pair(a, b);
                    let known_bandwidth = &mut links.bandwidth[pair];
                    *known_bandwidth = (*known_bandwidth)
                        .max(instance.links.bandwidth[instance.links.pair(*from, *to)]);
                    if loose {
                        classes
                            .entry((a, b))
                            .or_default()
                            .insert(instance.links.class(*from, *to));
                    }
                }
            }
        }
        Self {
            instance,
            shape,
            net,
            deadline,
            instead,
            loose,
            links,
            classes,
        }
    }

    /// The least that a transfer between groups costs, scaled.
    pub(super) fn price(&self, star: &Star, from: SiteId, to: SiteId) -> i64 {
        if self.instead[from] == self.instead[to] {
            return 0;
        }
        if !self.loose {
            return self.net.price(&self.instance.links, star, from, to);
        }
        let classes = self.classes.get(&(from, to)).into_iter().flatten().copied();
        self.net.least_price(star, classes)
    }

    /// The least time that it takes.
    pub(super) fn travel(&self, star: &Star, from: SiteId, to: SiteId) -> i64 {
        if self.instead[from] == self.instead[to] {
            return 0;
        }
        self.links
            .time(from, to, self.instance.artifacts[star.largest].link_bytes)
            .signed()
    }

    /// By site of a stage, what it may take there: nothing else that is kept is shorter and no
    /// dearer.
    pub(super) fn runs(
        &self,
        keep: &IdVec<ChoiceId, bool>,
        stage: StageId,
    ) -> BTreeMap<SiteId, Vec<Run>> {
        let mut by_site: BTreeMap<SiteId, Vec<Run>> = BTreeMap::new();
        for (index, choice) in self.instance.stages[stage]
            .choices
            .iter_enumerated()
            .filter(|(index, _)| keep[*index])
        {
            let run = Run {
                duration: choice.duration.signed(),
                cost: choice.cost.0 * self.net.scale,
                choice: index,
            };
            by_site
                .entry(self.instead[choice.site])
                .or_default()
                .push(run);
        }
        for (site, runs) in &mut by_site {
            let away = |run: &Run| self.instance.stages[stage].choices[run.choice].site != *site;
            runs.sort_unstable_by_key(|run| (run.duration, run.cost, away(run), run.choice));
            let mut least_time = i64::MAX;
            runs.retain(|run| {
                let cheaper = run.cost < least_time;
                least_time = least_time.min(run.cost);
                cheaper
            });
        }
        by_site
    }

    /// Where a choice is in the network.
    pub(super) fn site(&self, choice: &Choice) -> SiteId {
        self.instead[choice.site]
    }
}
