//! The shortest placement, cost apart, when all transfers come straight from their origins.
//!
//! Bound: the longest path when every stage is where that path is shortest through it, whatever
//! other paths would need. Placements: each stage where its own path ends first, and all stages
//! as near as can be to one site; then moves of stages on the longest path.

use crate::model::Bytes;
use crate::planning::problem::{
    ArtifactId, ChoiceId, Instance, Links, Origin, Placement, Shape, SiteId, StageId,
};
use crate::util::id_vec::IdVec;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Fastest {
    pub placement: Placement,
    /// No placement ends earlier.
    pub bound: i64,
    /// By stage and choice: a placement that has it ends at that time at least.
    pub with: IdVec<StageId, IdVec<ChoiceId, i64>>,
}

/// Sites that are tried as the home of the whole job.
const HOMES: usize = 24;
/// Work on moves, in pairs of sites looked at.
const PAIRS: usize = 20_000_000;

/// The shortest choice of a stage at each site.
struct Node {
    sites: Vec<SiteId>,
    /// Choice and its duration.
    shortest: Vec<(ChoiceId, i64)>,
}

struct Network<'a> {
    nodes: IdVec<StageId, Node>,
    order: &'a [StageId],
    /// By stage: from where, and what.
    before: IdVec<StageId, Vec<(Origin, Travel<'a>)>>,
    after: IdVec<StageId, Vec<(StageId, Travel<'a>)>>,
    /// What is handed on, all in all.
    edges: usize,
}

/// How long data takes between sites.
#[derive(Clone, Copy)]
struct Travel<'a> {
    links: &'a Links,
    /// `None`: only the end is waited for.
    bytes: Option<Bytes>,
}

impl Travel<'_> {
    fn time(self, from: SiteId, to: SiteId) -> i64 {
        self.bytes
            .map_or(0, |bytes| self.links.time(from, to, bytes).signed())
    }

    /// [`NEVER`] if it may not go there.
    fn time_if_allowed(self, from: SiteId, to: SiteId) -> i64 {
        if self.allowed(from, to) {
            self.time(from, to)
        } else {
            NEVER
        }
    }

    fn allowed(self, from: SiteId, to: SiteId) -> bool {
        from == to || self.bytes.is_none() || self.links.class(from, to).is_some()
    }
}

/// Later than everything.
const NEVER: i64 = i64::MAX / 4;

/// The shortest placement as far as it is found. `None`: some stage has no choice, or no placement
/// was found whose transfers are all allowed.
pub(crate) fn fastest_placement(instance: &Instance, shape: &Shape) -> Option<Fastest> {
    let network = Network::new(instance, shape)?;
    let heads = network.heads();
    let tails = network.tails();
    let through = |stage: StageId, position: usize| {
        heads[stage][position].saturating_add(tails[stage][position])
    };
    let mut bound = 0;
    let mut with = IdVec::with_capacity(instance.stages.len());
    for (stage, node) in network.nodes.iter_enumerated() {
        let least = (0..node.sites.len())
            .map(|position| through(stage, position) + node.shortest[position].1)
            .min()?;
        bound = bound.max(least);
        let at: BTreeMap<SiteId, i64> = node
            .sites
            .iter()
            .enumerate()
            .map(|(position, site)| (*site, through(stage, position)))
            .collect();
        let choices = instance.stages[stage].choices.iter();
        with.push(
            choices
                .map(|choice| at[&choice.site].saturating_add(choice.duration.signed()))
                .collect(),
        );
    }
    let mut best: Option<TimedPlaces> = None;
    let mut pairs = PAIRS;
    for home in std::iter::once(None).chain(network.homes().into_iter().map(Some)) {
        let found = network.improved(network.placed(home, &tails), &mut pairs);
        if found.makespan < best.as_ref().map_or(NEVER, |known| known.makespan) {
            best = Some(found);
        }
        if best.as_ref().is_some_and(|known| known.makespan <= bound) {
            break;
        }
    }
    let TimedPlaces { makespan, places } = best?;
    let placement = network
        .nodes
        .iter()
        .zip(places)
        .map(|(node, place)| node.shortest[place].0)
        .collect();
    Some(Fastest {
        placement,
        bound: bound.min(makespan),
        with,
    })
}

/// By stage the position of its site, and when the last stage ends then.
struct TimedPlaces {
    makespan: i64,
    places: IdVec<StageId, usize>,
}

/// The schedule of one placement.
struct Schedule {
    makespan: i64,
    /// The number of stages on longest paths.
    longest: usize,
    ends: IdVec<StageId, i64>,
    /// By stage: the longest path from its end to the end of all.
    tails: IdVec<StageId, i64>,
}

impl<'a> Network<'a> {
    fn new(instance: &'a Instance, shape: &'a Shape) -> Option<Self> {
        let node = |stage: &crate::planning::problem::StageChoices| {
            let mut shortest: BTreeMap<SiteId, (i64, i64, ChoiceId)> = BTreeMap::new();
            for (index, choice) in stage.choices.iter_enumerated() {
                let key = (choice.duration.signed(), choice.cost.0, index);
                shortest
                    .entry(choice.site)
                    .and_modify(|known| *known = key.min(*known))
                    .or_insert(key);
            }
            let sites = shortest.keys().copied().collect();
            Node {
                sites,
                shortest: shortest
                    .into_values()
                    .map(|(time, _, index)| (index, time))
                    .collect(),
            }
        };
        let nodes = instance.stages.map(node);
        if nodes.iter().any(|node| node.sites.is_empty()) {
            return None;
        }
        let travel = |artifact: Option<ArtifactId>| Travel {
            links: &instance.links,
            bytes: artifact.map(|artifact| instance.artifacts[artifact].link_bytes),
        };
        let inputs = shape.inputs.iter();
        let before: IdVec<StageId, Vec<(Origin, Travel<'a>)>> = inputs
            .map(|inputs| {
                inputs
                    .iter()
                    .map(|input| (input.origin, travel(input.artifact)))
                    .collect()
            })
            .collect();
        let mut after = nodes.map(|_| Vec::new());
        for (stage, inputs) in before.iter_enumerated() {
            for (origin, travel) in inputs {
                if let Origin::Stage(before) = origin {
                    after[*before].push((stage, *travel));
                }
            }
        }
        let edges = before.iter().map(Vec::len).sum();
        Some(Self {
            nodes,
            order: &shape.order,
            before,
            after,
            edges,
        })
    }

    /// By stage and position of its site: no start is earlier.
    fn heads(&self) -> IdVec<StageId, Vec<i64>> {
        let mut heads = self.nodes.map(|node| vec![0; node.sites.len()]);
        // What many stages read arrives at a site at one time: by its maker, its size and the site.
        let mut known: FxHashMap<(StageId, Option<Bytes>), FxHashMap<SiteId, i64>> =
            FxHashMap::default();
        for &stage in self.order {
            let mut found = vec![0; self.nodes[stage].sites.len()];
            for (origin, travel) in &self.before[stage] {
                let arrival = |to: SiteId| match origin {
                    Origin::Site(from) => travel.time_if_allowed(*from, to),
                    Origin::Stage(before) => {
                        let node = &self.nodes[*before];
                        let paths = node.sites.iter().zip(&node.shortest).zip(&heads[*before]);
                        let arrivals = paths.map(|((from, (_, time)), head)| {
                            head + time + travel.time_if_allowed(*from, to)
                        });
                        arrivals.min().unwrap_or(NEVER)
                    }
                };
                let mut arrivals = match origin {
                    Origin::Stage(before) if self.after[*before].len() > 1 => {
                        Some(known.entry((*before, travel.bytes)).or_default())
                    }
                    _ => None,
                };
                for (head, to) in found.iter_mut().zip(&self.nodes[stage].sites) {
                    let at = match &mut arrivals {
                        Some(arrivals) => *arrivals.entry(*to).or_insert_with(|| arrival(*to)),
                        None => arrival(*to),
                    };
                    *head = at.min(NEVER).max(*head);
                }
            }
            heads[stage] = found;
        }
        heads
    }

    /// By stage and position of its site: what comes after its end takes no less.
    fn tails(&self) -> IdVec<StageId, Vec<i64>> {
        let mut tails = self.nodes.map(|node| vec![0; node.sites.len()]);
        for &stage in self.order.iter().rev() {
            let mut found = vec![0; self.nodes[stage].sites.len()];
            // What many stages read takes the same time to a site, whichever of them is there.
            let mut by_size: BTreeMap<Option<Bytes>, (Travel<'_>, Vec<StageId>)> = BTreeMap::new();
            for (next, travel) in &self.after[stage] {
                by_size
                    .entry(travel.bytes)
                    .or_insert_with(|| (*travel, Vec::new()))
                    .1
                    .push(*next);
            }
            for (travel, readers) in by_size.values() {
                let mut to_sites: Vec<SiteId> = readers
                    .iter()
                    .flat_map(|next| &self.nodes[*next].sites)
                    .copied()
                    .collect();
                to_sites.sort_unstable();
                to_sites.dedup();
                // Of each reader: where its sites are among those, and how long its work and the
                // rest take there.
                let at_sites: Vec<Vec<(usize, i64)>> = readers
                    .iter()
                    .map(|next| {
                        let node = &self.nodes[*next];
                        let places = node
                            .sites
                            .iter()
                            .map(|to| to_sites.partition_point(|site| site < to));
                        let work = node
                            .shortest
                            .iter()
                            .zip(&tails[*next])
                            .map(|((_, time), tail)| time + tail);
                        places.zip(work).collect()
                    })
                    .collect();
                for (tail, from) in found.iter_mut().zip(&self.nodes[stage].sites) {
                    let times: Vec<i64> = to_sites
                        .iter()
                        .map(|to| travel.time_if_allowed(*from, *to))
                        .collect();
                    for reader in &at_sites {
                        let rest = reader
                            .iter()
                            .map(|(place, work)| times[*place] + work)
                            .min()
                            .unwrap_or(NEVER);
                        *tail = rest.min(NEVER).max(*tail);
                    }
                }
            }
            tails[stage] = found;
        }
        tails
    }

    /// Sites where most stages can be, the faster first.
    fn homes(&self) -> Vec<SiteId> {
        let mut known: BTreeMap<SiteId, (usize, i64)> = BTreeMap::new();
        for node in &self.nodes {
            for (site, (_, time)) in node.sites.iter().zip(&node.shortest) {
                let (count, sum) = known.entry(*site).or_default();
                (*count, *sum) = (*count + 1, *sum + time);
            }
        }
        let mut homes: Vec<(usize, i64, SiteId)> = known
            .into_iter()
            .map(|(site, (count, sum))| (self.nodes.len() - count, sum, site))
            .collect();
        homes.sort_unstable();
        homes
            .into_iter()
            .take(HOMES)
            .map(|(_, _, site)| site)
            .collect()
    }

    /// When a stage could start at a site.
    fn ready(
        &self,
        stage: StageId,
        to: SiteId,
        places: &IdVec<StageId, usize>,
        ends: &IdVec<StageId, i64>,
    ) -> i64 {
        let arrival = |(origin, travel): &(Origin, Travel<'_>)| {
            let (from, end) = match origin {
                Origin::Site(from) => (*from, 0),
                Origin::Stage(before) => {
                    (self.nodes[*before].sites[places[*before]], ends[*before])
                }
            };
            if travel.allowed(from, to) {
                (end + travel.time(from, to)).min(NEVER)
            } else {
                NEVER
            }
        };
        self.before[stage].iter().map(arrival).fold(0, i64::max)
    }

    /// Each stage at `home` if it can be there, else where the path through it is shortest.
    fn placed(
        &self,
        home: Option<SiteId>,
        tails: &IdVec<StageId, Vec<i64>>,
    ) -> IdVec<StageId, usize> {
        let mut places = self.nodes.map(|_| 0);
        let mut ends = self.nodes.map(|_| 0);
        for &stage in self.order {
            let node = &self.nodes[stage];
            let options = node.sites.iter().zip(&node.shortest).enumerate().map(
                |(position, (site, (_, time)))| {
                    let end = self.ready(stage, *site, &places, &ends) + time;
                    let away = i64::from(home.is_some_and(|home| home != *site));
                    (
                        away,
                        end.saturating_add(tails[stage][position]),
                        end,
                        position,
                    )
                },
            );
            if let Some((_, _, end, position)) = options.min() {
                (places[stage], ends[stage]) = (position, end.min(NEVER));
            }
        }
        places
    }

    fn time(&self, stage: StageId, places: &IdVec<StageId, usize>) -> i64 {
        self.nodes[stage].shortest[places[stage]].1
    }

    /// The longest path from the end of a stage at a site.
    fn remaining_time(
        &self,
        stage: StageId,
        from: SiteId,
        places: &IdVec<StageId, usize>,
        tails: &IdVec<StageId, i64>,
    ) -> i64 {
        let path = |(next, travel): &(StageId, Travel<'_>)| {
            let to = self.nodes[*next].sites[places[*next]];
            if travel.allowed(from, to) {
                travel.time(from, to) + self.time(*next, places) + tails[*next]
            } else {
                NEVER
            }
        };
        self.after[stage]
            .iter()
            .map(path)
            .fold(0, i64::max)
            .min(NEVER)
    }

    /// Moves stages on longest paths to where the path through them is shortest, as long as the
    /// makespan or the number of stages on such paths falls.
    fn improved(&self, mut places: IdVec<StageId, usize>, pairs: &mut usize) -> TimedPlaces {
        let mut known = self.schedule(&places);
        loop {
            let mut moved = false;
            for stage in self.nodes.ids() {
                let Schedule {
                    makespan,
                    ends,
                    tails,
                    ..
                } = &known;
                if ends[stage] + tails[stage] < *makespan {
                    continue;
                }
                let node = &self.nodes[stage];
                let work =
                    node.sites.len() * (self.before[stage].len() + self.after[stage].len() + 1);
                if *pairs < work + self.nodes.len() + self.edges {
                    return TimedPlaces {
                        makespan: known.makespan,
                        places,
                    };
                }
                *pairs -= work;
                let paths = node.sites.iter().zip(&node.shortest).enumerate().map(
                    |(position, (site, (_, time)))| {
                        let ready = self.ready(stage, *site, &places, ends);
                        (
                            ready + time + self.remaining_time(stage, *site, &places, tails),
                            position,
                        )
                    },
                );
                let Some((path, position)) = paths.min() else {
                    continue;
                };
                if path >= *makespan {
                    continue;
                }
                let before = std::mem::replace(&mut places[stage], position);
                *pairs = pairs.saturating_sub(self.nodes.len() + self.edges);
                let new = self.schedule(&places);
                if (new.makespan, new.longest) < (known.makespan, known.longest) {
                    known = new;
                    moved = true;
                } else {
                    places[stage] = before;
                }
            }
            if !moved {
                return TimedPlaces {
                    makespan: known.makespan,
                    places,
                };
            }
        }
    }

    /// Works out the schedule of a placement.
    fn schedule(&self, places: &IdVec<StageId, usize>) -> Schedule {
        let (mut ends, mut tails) = (places.map(|_| 0), places.map(|_| 0));
        for &stage in self.order {
            let site = self.nodes[stage].sites[places[stage]];
            ends[stage] =
                (self.ready(stage, site, places, &ends) + self.time(stage, places)).min(NEVER);
        }
        for &stage in self.order.iter().rev() {
            tails[stage] = self.remaining_time(
                stage,
                self.nodes[stage].sites[places[stage]],
                places,
                &tails,
            );
        }
        let makespan = ends.iter().copied().fold(0, i64::max);
        let longest = ends
            .iter()
            .zip(&tails)
            .filter(|(end, tail)| *end + *tail >= makespan)
            .count();
        Schedule {
            makespan,
            longest,
            ends,
            tails,
        }
    }
}
