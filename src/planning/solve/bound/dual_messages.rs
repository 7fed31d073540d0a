//! A lower bound for the whole DAG by passing messages, with a bound for every choice.
//!
//! A star's transfers cost `Σ price(o, p)` over the distinct sites `p ≠ o` of its readers. Let
//! reader `i` have `up[i](o)`, paid to the origin's stage, and `down[i](p)`, paid to the reader's.
//! As long as
//!
//! ```text
//! Σ over i of max(0, up[i](o) + down[i](p) - toll[i](o, p))  <=  price(o, p)    for all o, p
//! ```
//!
//! the messages of a placement never sum up to more than its transfers (and tolls) cost: a reader
//! at `p` takes part in the price of that transfer, and the parts of all readers sum up to the
//! price at most. So the sum over all stages of the least of "own cost plus messages" is a lower
//! bound, whatever the messages are. Sweeps against and along the DAG raise them: a stage hands
//! what it has above its least to its stars, and each star passes on what it can. No step lowers
//! the bound.

use crate::planning::problem::{Links, Origin, SiteId, StageId};
use crate::planning::solve::bound::network::{Network, ReadStar, Star, StarId};
use crate::util::id_vec::IdVec;

/// Messages of one star.
#[derive(Clone, Debug)]
struct Mail {
    /// Sites of any reader, ascending.
    targets: Vec<SiteId>,
    /// By reader and position among its sites: index into `targets`.
    slots: Vec<Vec<usize>>,
    /// By reader and position among the origin's sites.
    up: Vec<Vec<i64>>,
    /// By reader and position among its sites.
    down: Vec<Vec<i64>>,
}

/// The bound and what it is made of.
#[derive(Clone, Debug)]
pub(crate) struct DualMessages<'a> {
    pub net: Network,
    links: &'a Links,
    mail: IdVec<StarId, Mail>,
    /// By stage and position of the site: own cost plus messages.
    pub level: IdVec<StageId, Vec<i64>>,
    /// By stage: least of its levels.
    least: IdVec<StageId, i64>,
    own: IdVec<StageId, Vec<i64>>,
    /// What fixed origins got.
    constant: i64,
    room: Vec<i64>,
    /// Stages keep a part of what they could hand on.
    holding: bool,
}

impl<'a> DualMessages<'a> {
    /// Without messages; `own` by stage and position of the site, scaled.
    pub(crate) fn new(net: Network, links: &'a Links, own_costs: IdVec<StageId, Vec<i64>>) -> Self {
        let mail = net.stars.map(|star| empty_mail(&net, star));
        let least_own = own_costs.map(|own| own.iter().copied().min().unwrap_or(0));
        Self {
            net,
            links,
            mail,
            level: own_costs.clone(),
            least: least_own,
            own: own_costs,
            constant: 0,
            room: Vec::new(),
            holding: false,
        }
    }

    /// No placement costs less, scaled.
    pub(crate) fn bound(&self) -> i64 {
        self.constant + self.least.iter().sum::<i64>()
    }

    /// No placement with this stage at that site costs less, scaled.
    pub(crate) fn bound_at(&self, bound: i64, stage: StageId, position: usize) -> i64 {
        bound - self.least[stage] + self.level[stage][position]
    }

    fn settle(&mut self, stage: StageId) {
        self.least[stage] = self.level[stage].iter().copied().min().unwrap_or(0);
    }

    fn parts(&self, stage: StageId, forward: bool) -> i64 {
        let node = &self.net.nodes[stage];
        let readers_after: usize = node
            .makes
            .iter()
            .map(|star| self.net.stars[*star].readers.len())
            .sum();
        let reads_before = node.reads.len();
        let own_parts = if forward { readers_after } else { reads_before };
        if self.holding {
            own_parts as i64 + 1
        } else {
            own_parts.max(1) as i64
        }
    }

    /// From the last stages to the first. `seen` is called for every stage when it has heard from
    /// all after it.
    pub(crate) fn backward(&mut self, visit: &mut dyn FnMut(&Self, StageId)) {
        for at in (0..self.net.order.len()).rev() {
            let stage = self.net.order[at];
            for index in 0..self.net.nodes[stage].makes.len() {
                self.lift_origin(self.net.nodes[stage].makes[index]);
            }
            self.settle(stage);
            visit(self, stage);
            let reads = &self.net.nodes[stage].reads;
            let part_count = self.parts(stage, false);
            let least_level = self.least[stage];
            for position in 0..self.level[stage].len() {
                let spare_part = (self.level[stage][position] - least_level) / part_count;
                for ReadStar { star, number } in reads {
                    self.mail[*star].down[*number][position] -= spare_part;
                }
                self.level[stage][position] -= spare_part * reads.len() as i64;
            }
        }
        for star in self.net.stars.ids() {
            if let Origin::Site(_) = self.net.stars[star].origin {
                self.lift_origin(star);
            }
        }
    }

    /// From the first stages to the last. `seen` is called for every stage when it has heard from
    /// all before it.
    pub(crate) fn forward(&mut self, visit: &mut dyn FnMut(&Self, StageId)) {
        for star in self.net.stars.ids() {
            if let Origin::Site(_) = self.net.stars[star].origin {
                self.lift_readers(star);
            }
        }
        for at in 0..self.net.order.len() {
            let stage = self.net.order[at];
            self.settle(stage);
            visit(self, stage);
            let makes = &self.net.nodes[stage].makes;
            let edges: usize = makes
                .iter()
                .map(|star| self.net.stars[*star].readers.len())
                .sum();
            let part_count = self.parts(stage, true);
            let least_level = self.least[stage];
            for position in 0..self.level[stage].len() {
                let spare_part = (self.level[stage][position] - least_level) / part_count;
                for star in makes {
                    for up in &mut self.mail[*star].up {
                        up[position] -= spare_part;
                    }
                }
                self.level[stage][position] -= spare_part * edges as i64;
            }
            for index in 0..self.net.nodes[stage].makes.len() {
                self.lift_readers(self.net.nodes[stage].makes[index]);
            }
        }
    }

    /// Fills `room`: by source and target, what is left of the price.
    fn rooms(&mut self, star: StarId) {
        let Self {
            net,
            links,
            mail,
            room,
            ..
        } = self;
        let Mail {
            targets,
            slots,
            up,
            down,
        } = &mail[star];
        let star = &net.stars[star];
        room.clear();
        for from in net.sources(star) {
            room.extend(targets.iter().map(|to| net.price(links, star, *from, *to)));
        }
        for ((slots, up), down) in slots.iter().zip(up).zip(down) {
            for (row, up) in room.chunks_exact_mut(targets.len()).zip(up) {
                for (slot, down) in slots.iter().zip(down) {
                    row[*slot] -= (up + down).max(0);
                }
            }
        }
    }

    /// Raises what the readers pay to the origin.
    fn lift_origin(&mut self, star: StarId) {
        self.rooms(star);
        let width = self.mail[star].targets.len();
        let readers = self.mail[star].slots.len();
        let rounds = if readers > 1 { 2 } else { 1 };
        for round in 0..rounds {
            for number in 0..readers {
                let share = if round + 1 == rounds {
                    1
                } else {
                    readers - number
                };
                let Mail {
                    slots, up, down, ..
                } = &mut self.mail[star];
                let (slots, down) = (&slots[number], &down[number]);
                let share = Share::of(share);
                for (source, up) in up[number].iter_mut().enumerate() {
                    let room_row = &mut self.room[source * width..(source + 1) * width];
                    let mut raise = i64::MAX;
                    for (slot, down) in slots.iter().zip(down) {
                        let joint_part = *up + down;
                        raise = raise.min(share.take(room_row[*slot]) - joint_part.min(0));
                    }
                    if raise <= 0 {
                        continue;
                    }
                    for (slot, down) in slots.iter().zip(down) {
                        let joint_part = *up + down;
                        room_row[*slot] -= (joint_part + raise).max(0) - joint_part.max(0);
                    }
                    *up += raise;
                    match self.net.stars[star].origin {
                        Origin::Site(_) => self.constant += raise,
                        Origin::Stage(stage) => self.level[stage][source] += raise,
                    }
                }
            }
        }
    }

    /// Raises what the readers get.
    fn lift_readers(&mut self, star: StarId) {
        self.rooms(star);
        let width = self.mail[star].targets.len();
        let readers = self.mail[star].slots.len();
        let mut raises: Vec<i64> = Vec::new();
        for number in 0..readers {
            let Mail {
                slots, up, down, ..
            } = &mut self.mail[star];
            let (slots, up) = (&slots[number], &up[number]);
            let down = &mut down[number];
            let share = Share::of(readers - number);
            raises.clear();
            raises.resize(down.len(), i64::MAX);
            for (row, up) in self.room.chunks_exact(width).zip(up) {
                for ((slot, down), raise) in slots.iter().zip(down.iter()).zip(&mut raises) {
                    let joint_part = up + down;
                    *raise = (*raise).min(share.take(row[*slot]) - joint_part.min(0));
                }
            }
            for (row, up) in self.room.chunks_exact_mut(width).zip(up) {
                for ((slot, down), raise) in slots.iter().zip(down.iter()).zip(&raises) {
                    let joint_part = up + down;
                    row[*slot] -= (joint_part + raise).max(0) - joint_part.max(0);
                }
            }
            let level = &mut self.level[self.net.stars[star].readers[number]];
            for ((down, level), raise) in down.iter_mut().zip(level).zip(&raises) {
                *down += raise;
                *level += raise;
            }
        }
    }

    /// From now on every stage keeps an even part of what is above its least, instead of handing
    /// on all: then its levels say what each site is worth to it.
    pub(crate) fn hold(&mut self) {
        self.holding = true;
    }

    /// What a stage costs at a site by itself.
    pub(crate) fn own(&self, stage: StageId, position: usize) -> i64 {
        self.own[stage][position]
    }

    /// Puts other own costs in the place of those so far; messages stay.
    pub(crate) fn reprice(&mut self, own_costs: &IdVec<StageId, Vec<i64>>) {
        for (stage, new) in own_costs.iter_enumerated() {
            for ((level, old), new) in self.level[stage]
                .iter_mut()
                .zip(&mut self.own[stage])
                .zip(new)
            {
                *level += new - *old;
                *old = *new;
            }
            self.settle(stage);
        }
    }

    /// Drops sites; every stage must keep one.
    pub(crate) fn retain(&mut self, keep: &IdVec<StageId, Vec<bool>>) {
        let retain_kept = |keep: &[bool], values: &mut Vec<i64>| {
            let mut keep_marks = keep.iter();
            values.retain(|_| *keep_marks.next().unwrap_or(&true));
        };
        for (stage, keep) in keep.iter_enumerated() {
            retain_kept(keep, &mut self.level[stage]);
            retain_kept(keep, &mut self.own[stage]);
            self.net.nodes[stage].retain(keep);
        }
        for (star, old) in self.net.stars.iter().zip(&mut self.mail) {
            let mut new = empty_mail(&self.net, star);
            if let Origin::Stage(stage) = star.origin {
                old.up
                    .iter_mut()
                    .for_each(|up| retain_kept(&keep[stage], up));
            }
            for (reader, down) in star.readers.iter().zip(&mut old.down) {
                retain_kept(&keep[*reader], down);
            }
            (new.up, new.down) = (std::mem::take(&mut old.up), std::mem::take(&mut old.down));
            *old = new;
        }
        keep.ids().for_each(|stage| self.settle(stage));
    }

    /// A reader's part in the price of a transfer, by the positions of the origin's site and its
    /// own.
    pub(crate) fn part(&self, star: StarId, number: usize, source: usize, position: usize) -> i64 {
        let Mail { up, down, .. } = &self.mail[star];
        (up[number][source] + down[number][position]).max(0)
    }

    /// What the rest of the DAG after a stage costs at least, by position of its site, as far as
    /// messages know.
    pub(crate) fn after(&self, stage: StageId, position: usize) -> i64 {
        let makes = self.net.nodes[stage].makes.iter();
        makes
            .flat_map(|star| self.mail[*star].up.iter().map(|up| up[position]))
            .sum()
    }
}

/// Division by a small number, rounded down.
#[derive(Clone, Copy)]
struct Share(i64);

impl Share {
    fn of(count: usize) -> Self {
        Self(count as i64)
    }

    fn take(self, room: i64) -> i64 {
        if self.0 == 1 { room } else { room / self.0 }
    }
}

fn empty_mail(net: &Network, star: &Star) -> Mail {
    let mut targets: Vec<SiteId> = star
        .readers
        .iter()
        .flat_map(|reader| net.nodes[*reader].sites.iter().copied())
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let slots: Vec<Vec<usize>> = star
        .readers
        .iter()
        .map(|reader| {
            let sites = net.nodes[*reader].sites.iter();
            sites
                .filter_map(|site| targets.binary_search(site).ok())
                .collect()
        })
        .collect();
    let sources = net.sources(star).len();
    let mail_up = vec![vec![0; sources]; slots.len()];
    let down = slots.iter().map(|slots| vec![0; slots.len()]).collect();
    Mail {
        targets,
        slots,
        up: mail_up,
        down,
    }
}
