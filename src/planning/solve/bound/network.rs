//! The placement problem as a network for bounds: stages with labels (sites), and stars.
//!
//! A star is one origin (a stage or a fixed site) and all readers of the data that it makes for
//! exactly them: artifacts with the same origin and the same readers are copied together, so they
//! count as one. All money in here is scaled, so that it can be split finely among readers.

use crate::planning::problem::routes::{self, Least, LeastPrices};
use crate::planning::problem::{
    ArtifactId, ChoiceId, Instance, Links, Origin, PriceId, Shape, SiteId, StageId,
};
use crate::util::id_vec::{IdVec, id_type};
use std::collections::BTreeMap;

id_type! {
    /// A star of a [`Network`], or of a network that is made from one.
    pub(crate) StarId: usize;
}

/// What one stage may take, by site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Ascending.
    pub sites: Vec<SiteId>,
    /// By position in `sites`: the choices there.
    pub choices: Vec<Vec<ChoiceId>>,
    /// Stars that it reads.
    pub reads: Vec<ReadStar>,
    /// Stars that it makes.
    pub makes: Vec<StarId>,
}

/// A star that a stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadStar {
    pub star: StarId,
    /// The stage's number among the star's readers.
    pub number: usize,
}

/// Data with one origin and one set of readers.
#[derive(Clone, Debug)]
pub(crate) struct Star {
    pub origin: Origin,
    pub readers: Vec<StageId>,
    /// Scaled price of a transfer, by price class.
    pub price: IdVec<PriceId, i64>,
    /// Scaled price of a transfer from another reader's site, by destination; empty: none is.
    relayed: IdVec<SiteId, i64>,
    /// The artifact that travels longest.
    pub largest: ArtifactId,
}

/// The network of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub nodes: IdVec<StageId, Node>,
    pub stars: IdVec<StarId, Star>,
    /// Stages so that each comes after all it waits for.
    pub order: Vec<StageId>,
    /// Units of a micro-USD.
    pub scale: i64,
    /// Price of a forbidden link: more than all placements without one.
    pub never: i64,
}

/// Sums of this many units stay far from overflow.
const MOST: i128 = 1 << 60;
/// A micro-USD in units, when sums allow it.
const FINEST: i64 = 1 << 12;

impl Node {
    /// Drops sites.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let mut next_index = 0;
        self.sites.retain(|_| {
            next_index += 1;
            keep[next_index - 1]
        });
        next_index = 0;
        self.choices.retain(|_| {
            next_index += 1;
            keep[next_index - 1]
        });
    }
}

impl Network {
    /// `None`: the figures are too large for sums to be safe. `certain`: prices are the least that
    /// transfers can have when they may come from other readers' sites and share tiers; else what
    /// each costs on its own straight from its origin.
    pub(crate) fn new(instance: &Instance, shape: &Shape, certain: bool) -> Option<Self> {
        let mut nodes: IdVec<StageId, Node> = instance.stages.map(|stage| {
            let mut choices_at: BTreeMap<SiteId, Vec<ChoiceId>> = BTreeMap::new();
            for (position, choice) in stage.choices.iter_enumerated() {
                choices_at.entry(choice.site).or_default().push(position);
            }
            let (sites, choices) = choices_at.into_iter().unzip();
            Node {
                sites,
                choices,
                ..Node::default()
            }
        });
        let mut stars = network_stars(instance, certain);
        let dearest = |star: &Star| i128::from(star.price.iter().copied().fold(0, i64::max));
        let own_sum: i128 = instance
            .stages
            .iter()
            .map(|stage| {
                i128::from(
                    stage
                        .choices
                        .iter()
                        .map(|choice| choice.cost.0.abs())
                        .fold(0, i64::max),
                )
            })
            .sum();
        let transfers: i128 = stars
            .iter()
            .map(|star| dearest(star) * star.readers.len() as i128)
            .sum();
        let edges: i128 = stars.iter().map(|star| star.readers.len() as i128).sum();
        let never = own_sum + transfers + 1;
        let room = MOST / (never * (edges + 1) * 4);
        if room < 1 {
            return None;
        }
        let mut scale = FINEST;
        while i128::from(scale) > room {
            scale /= 2;
        }
        for (index, star) in stars.iter_enumerated_mut() {
            star.price.iter_mut().for_each(|price| *price *= scale);
            star.relayed
                .iter_mut()
                .for_each(|price| *price = price.saturating_mul(scale));
            for (number, reader) in star.readers.iter().enumerate() {
                nodes[*reader].reads.push(ReadStar {
                    star: index,
                    number,
                });
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
    pub(crate) fn sources<'a>(&'a self, star: &'a Star) -> &'a [SiteId] {
        match &star.origin {
            Origin::Site(site) => std::slice::from_ref(site),
            Origin::Stage(stage) => &self.nodes[*stage].sites,
        }
    }

    /// Scaled price of bringing a star's data from one site to another.
    pub(crate) fn price(&self, links: &Links, star: &Star, from: SiteId, to: SiteId) -> i64 {
        if from == to {
            return 0;
        }
        let direct = links
            .class(from, to)
            .map_or(self.never, |class| star.price[class]);
        star.relayed
            .get(to)
            .map_or(direct, |relayed| direct.min(*relayed))
    }

    /// The least of it over some price classes, wherever the transfer goes.
    pub(crate) fn least_price(
        &self,
        star: &Star,
        classes: impl Iterator<Item = Option<PriceId>>,
    ) -> i64 {
        let direct = classes.map(|class| class.map_or(self.never, |class| star.price[class]));
        direct
            .chain(star.relayed.iter().copied())
            .min()
            .unwrap_or(self.never)
    }
}

/// Artifacts with readers, those with the same origin and readers as one.
fn network_stars(instance: &Instance, certain: bool) -> IdVec<StarId, Star> {
    let rates = routes::least_rates(instance);
    let links = &instance.links;
    let mut known_stars: BTreeMap<(Origin, &[StageId]), StarId> = BTreeMap::new();
    let mut stars: IdVec<StarId, Star> = IdVec::new();
    for (index, artifact) in instance
        .artifacts
        .iter_enumerated()
        .filter(|(_, artifact)| !artifact.readers.is_empty())
    {
        let least_price = if certain {
            Least::of(instance, artifact, &rates).prices()
        } else {
            LeastPrices {
                direct: links.tariffs.map(|price| price.cost(artifact.bytes)),
                relayed: IdVec::new(),
            }
        };
        let price = least_price.direct.map(|price| price.0);
        let relayed = least_price.relayed.map(|price| price.0);
        let next_star = StarId::new(stars.len());
        let star_at = match relayed.is_empty() {
            true => *known_stars
                .entry((artifact.origin, &artifact.readers))
                .or_insert(next_star),
            // The least of two sums is more than the sum of the least: each is a star of its own.
            false => next_star,
        };
        match star_at < next_star {
            true => {
                let star = &mut stars[star_at];
                star.price
                    .iter_mut()
                    .zip(price)
                    .for_each(|(sum, price)| *sum += price);
                if artifact.link_bytes > instance.artifacts[star.largest].link_bytes {
                    star.largest = index;
                }
            }
            false => {
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
