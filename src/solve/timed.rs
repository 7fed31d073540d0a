//! Placements by a deadline: repair of one that is late, and cheaper ones by moves of single stages
//! that stay in time.

use super::net::Net;
use crate::problem::{Instance, Origin, Shape};

/// A placement with its schedule. Picks are positions of choices.
#[derive(Clone)]
pub struct Timed<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    net: &'a Net,
    /// By stage: who waits for it, and for which artifact.
    after: Vec<Vec<(usize, Option<usize>)>>,
    pub picks: Vec<usize>,
    /// By star and site: readers there.
    count: Vec<Vec<u32>>,
    end: Vec<i64>,
    /// By stage: the longest way from its end to the end of all.
    tail: Vec<i64>,
}

impl<'a> Timed<'a> {
    pub fn new(instance: &'a Instance, shape: &'a Shape, net: &'a Net, picks: Vec<usize>) -> Self {
        let mut after = vec![Vec::new(); picks.len()];
        for (stage, inputs) in shape.inputs.iter().enumerate() {
            for (origin, artifact) in inputs {
                if let Origin::Stage(before) = origin {
                    after[*before].push((stage, *artifact));
                }
            }
        }
        let count = vec![vec![0; instance.links.sites]; net.stars.len()];
        let (end, tail) = (vec![0; picks.len()], vec![0; picks.len()]);
        let mut timed = Self { instance, shape, net, after, picks, count, end, tail };
        for (index, star) in net.stars.iter().enumerate() {
            for reader in &star.readers {
                let site = timed.site(*reader);
                timed.count[index][site] += 1;
            }
        }
        timed.schedule();
        timed
    }

    fn site(&self, stage: usize) -> usize {
        self.instance.stages[stage].choices[self.picks[stage]].site
    }

    fn travel(&self, artifact: Option<usize>, from: usize, to: usize) -> i64 {
        if from == to {
            return 0;
        }
        artifact.map_or(0, |artifact| self.instance.links.time(from, to, self.instance.artifacts[artifact].bytes))
    }

    fn duration(&self, stage: usize) -> i64 {
        self.instance.stages[stage].choices[self.picks[stage]].duration
    }

    /// When a stage could start at a site.
    fn ready(&self, stage: usize, site: usize) -> i64 {
        let inputs = self.shape.inputs[stage].iter();
        inputs
            .map(|(origin, artifact)| match origin {
                Origin::Site(from) => self.travel(*artifact, *from, site),
                Origin::Stage(before) => self.end[*before] + self.travel(*artifact, self.site(*before), site),
            })
            .max()
            .unwrap_or(0)
    }

    /// The longest way from the end of a stage at a site.
    fn rest(&self, stage: usize, site: usize) -> i64 {
        let after = self.after[stage].iter();
        after
            .map(|(next, artifact)| {
                self.travel(*artifact, site, self.site(*next)) + self.duration(*next) + self.tail[*next]
            })
            .max()
            .unwrap_or(0)
    }

    /// Works out all ends and tails.
    fn schedule(&mut self) {
        for &stage in &self.shape.order {
            self.end[stage] = self.ready(stage, self.site(stage)) + self.duration(stage);
        }
        for &stage in self.shape.order.iter().rev() {
            self.tail[stage] = self.rest(stage, self.site(stage));
        }
    }

    pub fn makespan(&self) -> i64 {
        self.end.iter().copied().max().unwrap_or(0)
    }

    fn put(&mut self, stage: usize, pick: usize) {
        let before = self.site(stage);
        self.picks[stage] = pick;
        let now = self.site(stage);
        if before != now {
            for (star, _) in &self.net.nodes[stage].reads {
                self.count[*star][before] -= 1;
                self.count[*star][now] += 1;
            }
        }
    }

    /// What a stage causes at a site besides its own cost.
    fn copies(&self, stage: usize, site: usize) -> i64 {
        let node = &self.net.nodes[stage];
        let here = self.site(stage);
        let links = &self.instance.links;
        let mut cost = 0;
        for (star, _) in &node.reads {
            if self.count[*star][site] == u32::from(here == site) {
                let from = match self.net.stars[*star].origin {
                    Origin::Site(from) => from,
                    Origin::Stage(stage) => self.site(stage),
                };
                cost += self.net.price(links, &self.net.stars[*star], from, site);
            }
        }
        for star in &node.makes {
            for (to, count) in self.count[*star].iter().enumerate() {
                if *count > 0 {
                    cost += self.net.price(links, &self.net.stars[*star], site, to);
                }
            }
        }
        cost
    }

    /// What the whole placement costs, scaled.
    pub fn total(&self) -> i64 {
        let own: i64 = (0..self.picks.len())
            .map(|stage| self.instance.stages[stage].choices[self.picks[stage]].cost * self.net.scale)
            .sum();
        let copies = self.net.stars.iter().zip(&self.count).map(|(star, count)| {
            let from = match star.origin {
                Origin::Site(from) => from,
                Origin::Stage(stage) => self.site(stage),
            };
            let to = count.iter().enumerate().filter(|(_, count)| **count > 0);
            to.map(|(to, _)| self.net.price(&self.instance.links, star, from, to)).sum::<i64>()
        });
        own + copies.sum::<i64>()
    }

    /// By choice of a stage: its cost with all copies, and the longest way through it.
    fn options(&self, stage: usize) -> Vec<(i64, i64, usize)> {
        let mut known: Vec<(usize, i64, i64)> = Vec::new();
        let choices = &self.instance.stages[stage].choices;
        let mut options = Vec::with_capacity(choices.len());
        for (pick, choice) in choices.iter().enumerate() {
            let (copies, way) = match known.iter().find(|(site, _, _)| *site == choice.site) {
                Some((_, copies, way)) => (*copies, *way),
                None => {
                    let way = self.ready(stage, choice.site) + self.rest(stage, choice.site);
                    let copies = self.copies(stage, choice.site);
                    known.push((choice.site, copies, way));
                    (copies, way)
                }
            };
            options.push((choice.cost * self.net.scale + copies, way + choice.duration, pick));
        }
        options
    }

    /// Makes a late placement shorter, each time where a millisecond costs least, until it is in
    /// time. `false`: it cannot.
    pub fn repair(&mut self, deadline: i64, visits: &mut usize) -> bool {
        loop {
            let late = self.makespan() - deadline;
            if late <= 0 {
                return true;
            }
            let makespan = self.makespan();
            let mut best: Option<((i128, i128), usize, usize)> = None;
            for stage in 0..self.picks.len() {
                if self.end[stage] + self.tail[stage] < makespan {
                    continue;
                }
                if *visits < self.instance.stages[stage].choices.len() {
                    return false;
                }
                *visits -= self.instance.stages[stage].choices.len();
                let pick = self.picks[stage];
                let now = self.instance.stages[stage].choices[pick].cost * self.net.scale
                    + self.copies(stage, self.site(stage));
                for (cost, way, pick) in self.options(stage) {
                    let saved = (makespan - way).min(late);
                    if saved <= 0 {
                        continue;
                    }
                    let price = (i128::from(cost - now).max(0), i128::from(saved));
                    if best.is_none_or(|((cost, time), _, _)| price.0 * time < cost * price.1) {
                        best = Some((price, stage, pick));
                    }
                }
            }
            let Some((_, stage, pick)) = best else { return false };
            self.put(stage, pick);
            self.schedule();
        }
    }

    /// Moves single stages to where they cost least in time, until no move helps.
    pub fn settle(&mut self, deadline: i64, visits: &mut usize) {
        loop {
            let mut moved = false;
            for stage in 0..self.picks.len() {
                if self.instance.stages[stage].choices.len() < 2 {
                    continue;
                }
                if *visits < self.instance.stages[stage].choices.len() {
                    return;
                }
                *visits -= self.instance.stages[stage].choices.len();
                let pick = self.picks[stage];
                let now = self.instance.stages[stage].choices[pick].cost * self.net.scale
                    + self.copies(stage, self.site(stage));
                let options = self.options(stage);
                let best = options.into_iter().filter(|(cost, way, _)| *way <= deadline && *cost < now).min();
                if let Some((_, _, pick)) = best {
                    self.put(stage, pick);
                    self.schedule();
                    *visits = visits.saturating_sub(self.picks.len() * 8);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }
}
