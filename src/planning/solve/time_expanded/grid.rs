//! The time-expanded network: by stage and site, slots in which the stage may start and end.
//!
//! A slot is a piece of the time line, narrowed to what can be in it at all: a stage starts when
//! the last of its inputs has arrived, so the times at which it can are the arrivals from slots of
//! the stages before it. The slots of every placement in time are those that its real times fall
//! into; only slots without one are left out. A finer grid has its slots within those of the grid
//! that it refines.

use super::network_inputs::{NetworkInputs, Run};
use super::slots::{BySlot, Fate, Slots, Times};
use crate::planning::problem::{Instance, Origin, Precedence, SiteId, StageId};
use crate::planning::solve::bound::closing_bounds::KeptChoices;
use crate::planning::solve::bound::network::{Network, ReadStar, StarId};
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// One stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Ascending.
    pub sites: Vec<SiteId>,
    /// By position of the site, shortest first.
    pub runs: Vec<Vec<Run>>,
    pub start: Times,
    pub end: Times,
    /// Stars that it reads.
    pub reads: Vec<ReadStar>,
    pub makes: Vec<StarId>,
}

impl Node {
    /// All that can be at a site: the slot of the start, that of the end, and the run between them.
    #[inline]
    pub(super) fn each_run(&self, position: usize, mut visit: impl FnMut(usize, usize, Run)) {
        for run in &self.runs[position] {
            self.each_of(position, *run, &mut |start, end| visit(start, end, *run));
        }
    }

    /// The same for one run.
    #[inline]
    pub(super) fn each_of(&self, position: usize, run: Run, visit: &mut impl FnMut(usize, usize)) {
        let end_slots = self.end.range(position);
        let mut slot_reached = end_slots.start;
        for start in self.start.range(position) {
            let (first, last) = (
                self.start.first[start] + run.duration,
                self.start.last[start] + run.duration,
            );
            while slot_reached < end_slots.end && self.end.last[slot_reached] < first {
                slot_reached += 1;
            }
            if slot_reached == end_slots.end {
                break;
            }
            let mut slot_reached = slot_reached;
            while slot_reached < end_slots.end && self.end.first[slot_reached] <= last {
                visit(start, slot_reached);
                slot_reached += 1;
            }
        }
    }
}

/// What readers wait for: data with one origin, or nothing but the end of a stage.
#[derive(Clone, Debug)]
pub(super) struct Star {
    pub origin: Origin,
    pub readers: Vec<StageId>,
    /// The same star in the network without times; `None`: readers only wait.
    data: Option<StarId>,
    /// Sites of any reader, ascending.
    pub targets: Vec<SiteId>,
    /// By reader and position of its site: index into `targets`.
    pub slots: Vec<Vec<usize>>,
    /// By position of the origin's site and target: scaled price of a transfer.
    pub price: Vec<i64>,
    /// Likewise: how long a transfer takes.
    pub travel: Vec<i64>,
}

/// What a stage or a star takes besides its slots, as pairs of slots.
const EACH: usize = 200;

/// The network.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub nodes: IdVec<StageId, Node>,
    /// The stars of the network without times, then those for waits without data.
    pub stars: IdVec<StarId, Star>,
    pub order: Vec<StageId>,
}

/// The one slot of data that lies at a site from the start.
static FIXED: ([usize; 2], [i64; 1]) = ([0, 1], [0]);

impl Grid {
    /// The first grid, from the choices that may be taken. `None`: no placement is in time.
    pub(super) fn new(ground: &NetworkInputs<'_>, keep: &KeptChoices) -> Option<Self> {
        let mut nodes = IdVec::with_capacity(keep.len());
        for (stage, keep) in keep.iter_enumerated() {
            let (sites, runs) = ground.runs(keep, stage).into_iter().unzip();
            nodes.push(Node {
                sites,
                runs,
                ..Node::default()
            });
        }
        let stars = grid_stars(ground.instance, ground.net);
        let mut grid = Self {
            nodes,
            stars,
            order: ground.shape.order.clone(),
        };
        grid.connect(ground);
        grid.fill(ground, None)
    }

    /// A finer grid, as each slot's fate is. `None`: nothing is left.
    pub(super) fn refined(
        &self,
        ground: &NetworkInputs<'_>,
        keep: &KeptChoices,
        fates: &BySlot<Fate>,
    ) -> Option<Self> {
        let mut nodes = IdVec::with_capacity(self.nodes.len());
        for (stage, old) in self.nodes.iter_enumerated() {
            let lives = |position: usize| {
                old.start
                    .range(position)
                    .any(|slot| fates.start[stage][slot] != Fate::Dead)
            };
            // What a run stands for was dropped with it.
            let kept_runs = |position: usize| -> Vec<Run> {
                old.runs[position]
                    .iter()
                    .copied()
                    .filter(|run| keep[stage][run.choice])
                    .collect()
            };
            let sites_left = (0..old.sites.len()).filter(|position| lives(*position));
            let runs_left = sites_left.map(|position| (old.sites[position], kept_runs(position)));
            let (sites, runs) = runs_left.filter(|(_, runs)| !runs.is_empty()).unzip();
            nodes.push(Node {
                sites,
                runs,
                ..Node::default()
            });
        }
        let mut grid = Self {
            nodes,
            stars: self.stars.clone(),
            order: self.order.clone(),
        };
        grid.connect(ground);
        grid.fill(ground, Some((self, fates)))
    }

    /// Slots of a star's origin: where those of each site begin, and their times.
    pub(super) fn source<'a>(&'a self, star: &'a Star) -> (&'a [usize], &'a [i64]) {
        match star.origin {
            Origin::Site(_) => (&FIXED.0, &FIXED.1),
            Origin::Stage(stage) => (&self.nodes[stage].end.at, &self.nodes[stage].end.first),
        }
    }

    /// Every slot at the `from`th site of the origin, with the first slot of the `number`th reader
    /// at its `to`th site that may follow it.
    #[inline]
    pub(super) fn each_pair(
        &self,
        star: &Star,
        number: usize,
        from: usize,
        to: usize,
        mut visit: impl FnMut(usize, usize),
    ) {
        let (at, times) = self.source(star);
        let travel = star.travel[from * star.targets.len() + star.slots[number][to]];
        let star_starts = &self.nodes[star.readers[number]].start;
        let range = star_starts.range(to);
        let last_starts = &star_starts.last[..range.end];
        let mut slot = range.start;
        for (end, time) in (at[from]..).zip(&times[at[from]..at[from + 1]]) {
            let time = time + travel;
            while slot < last_starts.len() && last_starts[slot] < time {
                slot += 1;
            }
            if slot == last_starts.len() {
                return;
            }
            visit(end, slot);
        }
    }

    /// Pairs of slots that one sweep looks at, and what else it does as pairs.
    pub(super) fn work(&self) -> usize {
        let star = |star: &Star| -> usize {
            let targets: usize = star
                .readers
                .iter()
                .map(|reader| self.nodes[*reader].sites.len())
                .sum();
            self.source(star).1.len() * targets
        };
        let node = |node: &Node| -> usize {
            (0..node.sites.len())
                .map(|position| node.start.range(position).len() * node.runs[position].len())
                .sum()
        };
        let looked_at =
            self.stars.iter().map(star).sum::<usize>() + self.nodes.iter().map(node).sum::<usize>();
        looked_at + (self.stars.len() + self.nodes.len()) * EACH
    }

    /// How long the shortest slot of a stage's end is: in the middle of all stages.
    pub(super) fn slot_length(&self) -> i64 {
        let length = |node: &Node| {
            node.end
                .first
                .iter()
                .zip(&node.end.last)
                .map(|(first, last)| last - first)
                .min()
        };
        let mut lengths: Vec<i64> = self.nodes.iter().filter_map(length).collect();
        lengths.sort_unstable();
        lengths.get(lengths.len() / 2).copied().unwrap_or(0)
    }

    /// Every slot is a single millisecond: shorter ones say no more.
    pub(super) fn exact(&self) -> bool {
        let points = |times: &Times| {
            times
                .first
                .iter()
                .zip(&times.last)
                .all(|(first, last)| first == last)
        };
        self.nodes
            .iter()
            .all(|node| points(&node.start) && points(&node.end))
    }

    /// The same for all slots.
    pub(super) fn all<T: Copy>(&self, value: T) -> BySlot<T> {
        BySlot {
            start: self.nodes.map(|node| vec![value; node.start.len()]),
            end: self.nodes.map(|node| vec![value; node.end.len()]),
        }
    }

    /// Ties nodes and stars together.
    fn connect(&mut self, ground: &NetworkInputs<'_>) {
        for (index, star) in self.stars.iter_enumerated_mut() {
            for (number, reader) in star.readers.iter().enumerate() {
                self.nodes[*reader].reads.push(ReadStar {
                    star: index,
                    number,
                });
            }
            if let Origin::Stage(stage) = star.origin {
                self.nodes[stage].makes.push(index);
            }
            let targets: BTreeSet<SiteId> = star
                .readers
                .iter()
                .flat_map(|reader| self.nodes[*reader].sites.iter().copied())
                .collect();
            star.targets = targets.into_iter().collect();
            let slots = |reader: &StageId| {
                let sites = self.nodes[*reader].sites.iter();
                sites
                    .filter_map(|site| star.targets.binary_search(site).ok())
                    .collect()
            };
            star.slots = star.readers.iter().map(slots).collect();
            let sources = match &star.origin {
                Origin::Site(site) => std::slice::from_ref(site),
                Origin::Stage(stage) => &self.nodes[*stage].sites,
            };
            let pairs = || {
                sources
                    .iter()
                    .flat_map(|from| star.targets.iter().map(move |to| (*from, *to)))
            };
            (star.price, star.travel) = match star.data {
                None => (vec![0; pairs().count()], vec![0; pairs().count()]),
                Some(data) => {
                    let star_data = &ground.net.stars[data];
                    let pair = |(from, to)| {
                        (
                            ground.price(star_data, from, to),
                            ground.travel(star_data, from, to),
                        )
                    };
                    pairs().map(pair).unzip()
                }
            };
        }
    }

    /// Works out all slots; `old`: within those of a coarser grid.
    fn fill(
        mut self,
        ground: &NetworkInputs<'_>,
        old: Option<(&Self, &BySlot<Fate>)>,
    ) -> Option<Self> {
        let latest_slots = self.latest(ground);
        for index in 0..self.order.len() {
            let stage = self.order[index];
            let sites = self.nodes[stage].sites.len();
            let (mut start, mut end) = (
                Times {
                    at: vec![0],
                    ..Times::default()
                },
                Times {
                    at: vec![0],
                    ..Times::default()
                },
            );
            for position in 0..sites {
                let node = &self.nodes[stage];
                let shortest = node.runs[position].first().map_or(0, |run| run.duration);
                let latest_of_site = latest_slots[stage][position];
                let earliest = self.earliest(stage, position);
                let (starts, ends) = match old {
                    Some((old, fates)) => {
                        let node_before = &old.nodes[stage];
                        let old_position = node_before
                            .sites
                            .binary_search(&node.sites[position])
                            .expect("a finer grid has the sites of the coarser one, or fewer");
                        let (starts, ends) = (&fates.start[stage], &fates.end[stage]);
                        (
                            Slots::within(&node_before.start, old_position, starts),
                            Slots::within(&node_before.end, old_position, ends),
                        )
                    }
                    None => (
                        Slots::new(earliest, latest_of_site - shortest),
                        Slots::new(earliest + shortest, latest_of_site),
                    ),
                };
                let mut slots = starts;
                self.arrivals(
                    stage,
                    position,
                    earliest,
                    latest_of_site - shortest,
                    &mut slots,
                );
                slots.into_times(&mut start);
                let mut slots = ends;
                for slot in start.range(position) {
                    for run in &node.runs[position] {
                        let (first, last) = (
                            start.first[slot] + run.duration,
                            start.last[slot] + run.duration,
                        );
                        slots.add(first, last.min(latest_of_site));
                    }
                }
                slots.into_times(&mut end);
            }
            if start.len() == 0 || end.len() == 0 {
                return None;
            }
            (self.nodes[stage].start, self.nodes[stage].end) = (start, end);
        }
        self.supported().then_some(self)
    }

    /// By stage and position of its site: when it must have ended there.
    fn latest(&self, ground: &NetworkInputs<'_>) -> IdVec<StageId, Vec<i64>> {
        let deadline = ground.deadline;
        let own_deadline = |stage: StageId| {
            ground.instance.stages[stage]
                .deadline
                .map_or(deadline, |own| own.signed().min(deadline))
        };
        let mut latest_starts: IdVec<StageId, Vec<i64>> = self
            .nodes
            .ids()
            .map(|stage| vec![own_deadline(stage); self.nodes[stage].sites.len()])
            .collect();
        for &stage in self.order.iter().rev() {
            for star in &self.nodes[stage].makes {
                let star = &self.stars[*star];
                for (number, reader) in star.readers.iter().enumerate() {
                    let next_node = &self.nodes[*reader];
                    for from in 0..self.nodes[stage].sites.len() {
                        let travel_row = &star.travel[from * star.targets.len()..];
                        let latest_by_target = (0..next_node.sites.len()).map(|to| {
                            let shortest = next_node.runs[to].first().map_or(0, |run| run.duration);
                            latest_starts[*reader][to]
                                - shortest
                                - travel_row[star.slots[number][to]]
                        });
                        let latest_by_reader = latest_by_target.max().unwrap_or(-1);
                        latest_starts[stage][from] =
                            latest_starts[stage][from].min(latest_by_reader);
                    }
                }
            }
        }
        latest_starts
    }

    /// Times of a star's transfers at the `to`th site of a reader: earliest and latest arrival by
    /// slot.
    fn arriving(&self, star: StarId, number: usize, to: usize) -> impl Iterator<Item = (i64, i64)> {
        let star = &self.stars[star];
        let (at, first) = self.source(star);
        let last_slots = match star.origin {
            Origin::Site(_) => first,
            Origin::Stage(stage) => &self.nodes[stage].end.last[..],
        };
        let (width, target) = (star.targets.len(), star.slots[number][to]);
        (0..at.len() - 1).flat_map(move |from| {
            let travel = star.travel[from * width + target];
            (at[from]..at[from + 1]).map(move |end| (first[end] + travel, last_slots[end] + travel))
        })
    }

    /// When a stage may start at a site at the earliest.
    fn earliest(&self, stage: StageId, to: usize) -> i64 {
        let reads = self.nodes[stage].reads.iter();
        let least_arrival = |ReadStar { star, number }: &ReadStar| {
            self.arriving(*star, *number, to)
                .map(|(first, _)| first)
                .min()
        };
        reads
            .map(|read| least_arrival(read).unwrap_or(i64::MAX / 2))
            .fold(0, i64::max)
    }

    /// Adds all times from `earliest` to `latest` at which a stage may start at a site.
    fn arrivals(&self, stage: StageId, to: usize, earliest: i64, latest: i64, slots: &mut Slots) {
        let node = &self.nodes[stage];
        if node.reads.is_empty() {
            slots.add(0, latest.min(0));
        }
        for ReadStar { star, number } in &node.reads {
            for (first, last) in self.arriving(*star, *number, to) {
                slots.add(first.max(earliest), last.min(latest));
            }
        }
    }
}

/// The network's stars, and one for every wait without data.
fn grid_stars(instance: &Instance, net: &Network) -> IdVec<StarId, Star> {
    let star = |origin: Origin, readers: Vec<StageId>, data: Option<StarId>| Star {
        origin,
        readers,
        data,
        targets: Vec::new(),
        slots: Vec::new(),
        price: Vec::new(),
        travel: Vec::new(),
    };
    let star_data = net
        .stars
        .iter_enumerated()
        .map(|(index, data)| star(data.origin, data.readers.clone(), Some(index)));
    let wait_pairs: BTreeSet<Precedence> = instance.precedence.iter().copied().collect();
    let wait_stars = wait_pairs
        .into_iter()
        .map(|wait| star(Origin::Stage(wait.before), vec![wait.after], None));
    star_data.chain(wait_stars).collect()
}
