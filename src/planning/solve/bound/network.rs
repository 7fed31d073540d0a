//! The placement problem as a network for bounds: stages with labels (sites), and stars.
//!
//! A star is one origin (a stage or a fixed site) and all readers of the data that it makes for
//! exactly them: artifacts with the same origin and the same readers are copied together, so they
//! count as one. All money in here is scaled, so that it can be split finely among readers.

use crate::planning::problem::routes::{self, Least};
use crate::planning::problem::{Instance, Links, Origin, Shape};
use std::collections::BTreeMap;

/// What one stage may take, by site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Ascending.
    pub sites: Vec<usize>,
    /// By position in `sites`: the choices there, as positions in the instance.
    pub choices: Vec<Vec<usize>>,
    /// Stars that it reads, with its number among their readers.
    pub reads: Vec<(usize, usize)>,
    /// Stars that it makes.
    pub makes: Vec<usize>,
}

/// Data with one origin and one set of readers.
#[derive(Clone, Debug)]
pub(crate) struct Star {
    pub origin: Origin,
    pub readers: Vec<usize>,
    /// Scaled price of a copy, by price class.
    pub price: Vec<i64>,
    /// Scaled price of a copy from another reader's site, by destination; empty: none is.
    relayed: Vec<i64>,
    /// The artifact that travels longest.
    pub largest: usize,
}

/// The network of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub nodes: Vec<Node>,
    pub stars: Vec<Star>,
    /// Stages so that each comes after all it waits for.
    pub order: Vec<usize>,
    /// Units of a micro-USD.
    pub scale: i64,
    /// Price of a forbidden way: more than all placements without one.
    pub never: i64,
}

/// Sums of this many units stay far from overflow.
const MOST: i128 = 1 << 60;
/// A micro-USD in units, when sums allow it.
const FINEST: i64 = 1 << 12;

impl Node {
    /// Drops sites.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let mut at = 0;
        self.sites.retain(|_| {
            at += 1;
            keep[at - 1]
        });
        at = 0;
        self.choices.retain(|_| {
            at += 1;
            keep[at - 1]
        });
    }
}

impl Network {
    /// `None`: the figures are too large for sums to be safe.
    /// `certain`: prices are the least that copies can have when they may come from other readers'
    /// sites and share tiers; else what each costs on its own straight from its origin.
    pub(crate) fn new(instance: &Instance, shape: &Shape, certain: bool) -> Option<Self> {
        let mut nodes: Vec<Node> = instance
            .stages
            .iter()
            .map(|stage| {
                let mut at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
                for (position, choice) in stage.choices.iter().enumerate() {
                    at.entry(choice.site).or_default().push(position);
                }
                let (sites, choices) = at.into_iter().unzip();
                Node {
                    sites,
                    choices,
                    ..Node::default()
                }
            })
            .collect();
        let mut stars = stars(instance, certain);
        let dearest = |star: &Star| i128::from(star.price.iter().copied().max().unwrap_or(0));
        let own: i128 = instance
            .stages
            .iter()
            .map(|stage| {
                i128::from(
                    stage
                        .choices
                        .iter()
                        .map(|choice| choice.cost.abs())
                        .max()
                        .unwrap_or(0),
                )
            })
            .sum();
        let copies: i128 = stars
            .iter()
            .map(|star| dearest(star) * star.readers.len() as i128)
            .sum();
        let edges: i128 = stars.iter().map(|star| star.readers.len() as i128).sum();
        let never = own + copies + 1;
        let room = MOST / (never * (edges + 1) * 4);
        if room < 1 {
            return None;
        }
        let mut scale = FINEST;
        while i128::from(scale) > room {
            scale /= 2;
        }
        for (index, star) in stars.iter_mut().enumerate() {
            star.price.iter_mut().for_each(|price| *price *= scale);
            star.relayed
                .iter_mut()
                .for_each(|price| *price = price.saturating_mul(scale));
            for (number, reader) in star.readers.iter().enumerate() {
                nodes[*reader].reads.push((index, number));
            }
            if let Origin::Stage(origin) = star.origin {
                nodes[origin].makes.push(index);
            }
        }
        let never = i64::try_from(never).ok()?.checked_mul(scale)?;
        Some(Self {
            nodes,
            stars,
            order: shape.order.clone(),
            scale,
            never,
        })
    }

    /// A scaled bound as one in micro-USD: costs are whole, so it is rounded up.
    pub(crate) fn whole(&self, bound: i64) -> i64 {
        -((-bound).div_euclid(self.scale))
    }

    /// Sites of a star's origin.
    pub(crate) fn sources<'a>(&'a self, star: &'a Star) -> &'a [usize] {
        match &star.origin {
            Origin::Site(site) => std::slice::from_ref(site),
            Origin::Stage(stage) => &self.nodes[*stage].sites,
        }
    }

    /// Scaled price of bringing a star's data from one site to another.
    pub(crate) fn price(&self, links: &Links, star: &Star, from: usize, to: usize) -> i64 {
        if from == to {
            return 0;
        }
        let direct = links
            .class(from, to)
            .map_or(self.never, |class| star.price[usize::from(class)]);
        star.relayed
            .get(to)
            .map_or(direct, |relayed| direct.min(*relayed))
    }

    /// The least of it over some price classes, wherever the copy goes.
    pub(crate) fn least_price(
        &self,
        star: &Star,
        classes: impl Iterator<Item = Option<u16>>,
    ) -> i64 {
        let direct =
            classes.map(|class| class.map_or(self.never, |class| star.price[usize::from(class)]));
        direct
            .chain(star.relayed.iter().copied())
            .min()
            .unwrap_or(self.never)
    }
}

/// Artifacts with readers, those with the same origin and readers as one.
fn stars(instance: &Instance, certain: bool) -> Vec<Star> {
    let rates = routes::least_rates(instance);
    let links = &instance.links;
    let mut known: BTreeMap<((usize, usize), &[usize]), usize> = BTreeMap::new();
    let mut stars: Vec<Star> = Vec::new();
    for (index, artifact) in instance
        .artifacts
        .iter()
        .enumerate()
        .filter(|(_, artifact)| !artifact.readers.is_empty())
    {
        let origin = match artifact.origin {
            Origin::Site(site) => (0, site),
            Origin::Stage(stage) => (1, stage),
        };
        let (price, relayed) = if certain {
            Least::of(instance, artifact, &rates).prices()
        } else {
            (
                links
                    .tariffs
                    .iter()
                    .map(|price| price.cost(artifact.bytes))
                    .collect(),
                Vec::new(),
            )
        };
        let next = stars.len();
        let at = match relayed.is_empty() {
            true => *known.entry((origin, &artifact.readers)).or_insert(next),
            // The least of two sums is more than the sum of the least: each is a star of its own.
            false => next,
        };
        match stars.get_mut(at) {
            Some(star) => {
                star.price
                    .iter_mut()
                    .zip(price)
                    .for_each(|(sum, price)| *sum += price);
                if artifact.link_bytes > instance.artifacts[star.largest].link_bytes {
                    star.largest = index;
                }
            }
            None => {
                let readers = artifact.readers.clone();
                stars.push(Star {
                    origin: artifact.origin,
                    readers,
                    price,
                    relayed,
                    largest: index,
                });
            }
        }
    }
    stars
}
