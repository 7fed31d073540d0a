//! What a time-expanded network is made of.

use crate::problem::{Choice, Instance, Links, Shape};
use crate::solve::net::Net;
use std::collections::{BTreeMap, BTreeSet};

/// What a stage may take at a site: nothing else there is both shorter and cheaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub duration: i64,
    /// Scaled.
    pub cost: i64,
    /// Which choice of the stage.
    pub choice: usize,
}

/// What a grid is made of.
pub struct Ground<'a> {
    pub instance: &'a Instance,
    pub shape: &'a Shape,
    pub net: &'a Net,
    pub deadline: i64,
    /// By site: the one that stands for it, which costs no more ([`crate::solve::sites`]).
    pub instead: &'a [usize],
    /// Travel between sites that stand for others is the shortest between any of these.
    pub links: Links,
}

impl<'a> Ground<'a> {
    pub fn new(instance: &'a Instance, shape: &'a Shape, net: &'a Net, deadline: i64, instead: &'a [usize]) -> Self {
        let mut links = instance.links.clone();
        let used: BTreeSet<usize> =
            instance.stages.iter().flat_map(|stage| &stage.choices).map(|choice| choice.site).collect();
        let sites = links.sites;
        for from in &used {
            for to in used.iter().filter(|to| *to != from) {
                // A site where data lies stands for itself, and for others.
                for (a, b) in [(instead[*from], instead[*to]), (*from, instead[*to]), (instead[*from], *to)] {
                    let known = &mut links.bandwidth[a * sites + b];
                    *known = (*known).max(instance.links.bandwidth[from * sites + to]);
                }
            }
        }
        Self { instance, shape, net, deadline, instead, links }
    }

    /// By site of a stage, what it may take there: nothing else that is kept is shorter and no
    /// dearer.
    pub fn runs(&self, keep: &[bool], stage: usize) -> BTreeMap<usize, Vec<Run>> {
        let mut by_site: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
        for (index, choice) in self.instance.stages[stage].choices.iter().enumerate().filter(|(index, _)| keep[*index])
        {
            let run = Run { duration: choice.duration, cost: choice.cost * self.net.scale, choice: index };
            by_site.entry(self.instead[choice.site]).or_default().push(run);
        }
        for (site, runs) in &mut by_site {
            let away = |run: &Run| self.instance.stages[stage].choices[run.choice].site != *site;
            runs.sort_unstable_by_key(|run| (run.duration, run.cost, away(run), run.choice));
            let mut least = i64::MAX;
            runs.retain(|run| {
                let cheaper = run.cost < least;
                least = least.min(run.cost);
                cheaper
            });
        }
        by_site
    }

    /// Where a choice is in the network.
    pub fn site(&self, choice: &Choice) -> usize {
        self.instead[choice.site]
    }
}
