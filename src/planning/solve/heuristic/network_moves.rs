//! Cheap placements of a network: building them from messages, and moving single stages or all
//! stages of a site, with the cost of a move worked out from what it touches.

use crate::planning::problem::{Links, Origin, SiteId, StageId};
use crate::planning::solve::bound::network::{Network, ReadStar, StarId};
use crate::planning::solve::bound::reader_tally::ReaderTally;
use crate::util::id_vec::IdVec;

/// A placement under construction: by stage the position of its site.
pub(crate) struct NetworkWalk<'a> {
    net: &'a Network,
    links: &'a Links,
    /// By stage and position of the site.
    own: &'a IdVec<StageId, Vec<i64>>,
    pub place: IdVec<StageId, Option<usize>>,
    tally: ReaderTally,
}

impl<'a> NetworkWalk<'a> {
    pub(crate) fn new(
        net: &'a Network,
        links: &'a Links,
        own_costs: &'a IdVec<StageId, Vec<i64>>,
    ) -> Self {
        Self {
            net,
            links,
            own: own_costs,
            place: net.nodes.map(|_| None),
            tally: ReaderTally::new(net.stars.len()),
        }
    }

    fn site(&self, stage: StageId) -> Option<SiteId> {
        self.place[stage].map(|position| self.net.nodes[stage].sites[position])
    }

    fn origin(&self, star: StarId) -> Option<SiteId> {
        match self.net.stars[star].origin {
            Origin::Site(site) => Some(site),
            Origin::Stage(stage) => self.site(stage),
        }
    }

    /// Puts a stage somewhere, or takes it away.
    pub(crate) fn put(&mut self, stage: StageId, position: Option<usize>) {
        if let Some(site) = self.site(stage) {
            self.net.nodes[stage]
                .reads
                .iter()
                .for_each(|read| self.tally.remove(read.star, site));
        }
        self.place[stage] = position;
        if let Some(site) = self.site(stage) {
            self.net.nodes[stage]
                .reads
                .iter()
                .for_each(|read| self.tally.add(read.star, site));
        }
    }

    /// What a stage that is nowhere would cost at a site, with the transfers that it alone causes,
    /// as far as its neighbours are placed.
    pub(crate) fn cost(&self, stage: StageId, position: usize) -> i64 {
        let node = &self.net.nodes[stage];
        let site = node.sites[position];
        let mut cost = self.own[stage][position];
        for ReadStar { star, .. } in &node.reads {
            if self.tally.at(*star, site) == 0
                && let Some(from) = self.origin(*star)
            {
                cost += self
                    .net
                    .price(self.links, &self.net.stars[*star], from, site);
            }
        }
        for star in &node.makes {
            for to in self.tally.sites(*star) {
                cost += self.net.price(self.links, &self.net.stars[*star], site, to);
            }
        }
        cost
    }

    /// What a stage whose inputs are placed would cost at a site, when every transfer that is not
    /// there yet costs only the stage's part in it.
    pub(crate) fn part(
        &self,
        dual: &crate::planning::solve::bound::dual_messages::DualMessages<'_>,
        stage: StageId,
        position: usize,
    ) -> i64 {
        let node = &self.net.nodes[stage];
        let site = node.sites[position];
        let mut cost = self.own[stage][position];
        for ReadStar { star, number } in &node.reads {
            if self.tally.at(*star, site) == 0 {
                let source = match self.net.stars[*star].origin {
                    Origin::Site(from) => {
                        if from == site {
                            continue;
                        } else {
                            0
                        }
                    }
                    Origin::Stage(stage) => {
                        if self.site(stage) == Some(site) {
                            continue;
                        }
                        self.place[stage].expect("inputs are placed before their readers")
                    }
                };
                cost += dual.part(*star, *number, source, position);
            }
        }
        cost
    }

    /// Moves single stages to where they cost least until no move helps.
    pub(crate) fn settle(&mut self, sweeps: usize) {
        for _ in 0..sweeps {
            let mut any_moved = false;
            for stage in self.place.ids() {
                let Some(before) = self.place[stage] else {
                    continue;
                };
                if self.own[stage].len() < 2 {
                    continue;
                }
                self.put(stage, None);
                let costs = (0..self.own[stage].len())
                    .map(|position| (self.cost(stage, position), position));
                let (least, position) = costs.min().unwrap_or((0, before));
                let best_position = if self.cost(stage, before) == least {
                    before
                } else {
                    position
                };
                self.put(stage, Some(best_position));
                any_moved |= best_position != before;
            }
            if !any_moved {
                return;
            }
        }
    }

    /// What the whole placement costs.
    pub(crate) fn total(&self) -> i64 {
        let own_sum: i64 = self
            .place
            .iter()
            .zip(self.own)
            .map(|(place, own)| place.map_or(0, |place| own[place]))
            .sum();
        let transfers = self.net.stars.ids().map(|star| {
            let Some(from) = self.origin(star) else {
                return 0;
            };
            let to_sites = self.tally.sites(star);
            to_sites
                .map(|to| self.net.price(self.links, &self.net.stars[star], from, to))
                .sum::<i64>()
        });
        own_sum + transfers.sum::<i64>()
    }

    /// The position of every stage's site; every stage must have one.
    pub(crate) fn positions(&self) -> IdVec<StageId, usize> {
        self.place
            .map(|place| place.expect("a finished placement has a site for every stage"))
    }
}
