//! Sites that another site replaces at less cost, whatever the rest of the placement is.
//!
//! Site `b` replaces site `a` if data goes from and to `b` for at most what it costs from and to
//! `a`, no data lies at `a` from the start, and every stage that may run at `a` may run at `b` for
//! at most as much. Then moving all stages at `a` to `b` never costs more; where one of them gets
//! cheaper, it costs less, so no cheapest placement has that stage at `a`. Equal costs are kept:
//! they are ties, which are broken later.

use crate::planning::problem::{Instance, Links, Origin};
use crate::planning::solve::bound::network::{Network, Node};
use std::collections::BTreeSet;

/// By stage and position of its site: some cheapest placement may have it. `own` likewise: what
/// the stage costs there at least.
pub(crate) fn worthwhile(net: &Network, links: &Links, own: &[Vec<i64>]) -> Vec<Vec<bool>> {
    let point = |cost: &i64| vec![(*cost, 0)];
    let points: Vec<Vec<Vec<(i64, i64)>>> = own
        .iter()
        .map(|own| own.iter().map(point).collect())
        .collect();
    let sites = Sites::new(net, links, &points);
    // By site and stage: another site does it for less.
    let mut dear = vec![vec![false; net.nodes.len()]; links.sites];
    for a in &sites.used {
        for b in sites.used.iter().filter(|b| sites.replaces(**b, *a)) {
            for (dear, (less, cost)) in dear[*a]
                .iter_mut()
                .zip(sites.at[*b].iter().zip(&sites.at[*a]))
            {
                if let ([(less, _)], [(cost, _)]) = (&less[..], &cost[..]) {
                    *dear |= less < cost;
                }
            }
        }
    }
    let kept =
        |(stage, node): (usize, &Node)| node.sites.iter().map(|site| !dear[*site][stage]).collect();
    net.nodes.iter().enumerate().map(kept).collect()
}

/// By stage and position of its site: sites of which each is needed. One cheapest placement at
/// least is left.
pub(crate) fn enough(net: &Network, links: &Links, own: &[Vec<i64>]) -> Vec<Vec<bool>> {
    let point = |cost: &i64| vec![(*cost, 0)];
    let points: Vec<Vec<Vec<(i64, i64)>>> = own
        .iter()
        .map(|own| own.iter().map(point).collect())
        .collect();
    let instead = needed(&Sites::new(net, links, &points));
    let kept = |site: &usize| instead[*site] == *site;
    net.nodes
        .iter()
        .map(|node| node.sites.iter().map(kept).collect())
        .collect()
}

/// For placements that must be in time, when copies take none: by site, the one that is enough in
/// its place, often itself.
pub(crate) fn enough_in_time(net: &Network, links: &Links, instance: &Instance) -> Vec<usize> {
    let stages = net.nodes.iter().zip(&instance.stages);
    let points: Vec<Vec<Vec<(i64, i64)>>> = stages
        .map(|(node, stage)| {
            let point =
                |choice: &usize| (stage.choices[*choice].cost, stage.choices[*choice].duration);
            node.choices
                .iter()
                .map(|choices| choices.iter().map(point).collect())
                .collect()
        })
        .collect();
    needed(&Sites::new(net, links, &points))
}

/// By site, the one that is enough in its place.
fn needed(sites: &Sites<'_>) -> Vec<usize> {
    let mut instead: Vec<usize> = (0..sites.links.sites).collect();
    let mut left = sites.used.clone();
    // The dearest first, so that what replaces them stays.
    let mut order = sites.used.clone();
    let sum = |site: &usize| -> i64 {
        sites.at[*site]
            .iter()
            .flat_map(|points| points.iter().map(|(cost, _)| *cost).min())
            .sum()
    };
    order.sort_by_cached_key(|site| std::cmp::Reverse((sum(site), *site)));
    for a in order {
        if let Some(b) = left.iter().copied().find(|b| sites.replaces(*b, a)) {
            left.retain(|site| *site != a);
            instead[a] = b;
        }
    }
    // What replaces a site may have been replaced later.
    for site in 0..instead.len() {
        while instead[instead[site]] != instead[site] {
            instead[site] = instead[instead[site]];
        }
    }
    instead
}

struct Sites<'a> {
    links: &'a Links,
    /// By site and stage: cost and time of what it may take there.
    at: Vec<Vec<Vec<(i64, i64)>>>,
    /// By site, then stage: the least of these costs; more than any when there is none.
    least: Vec<Vec<i64>>,
    /// Sites where anything can be, ascending.
    used: Vec<usize>,
    /// Sites where data lies from the start.
    fixed: BTreeSet<usize>,
    no_dearer: Vec<Vec<bool>>,
}

impl<'a> Sites<'a> {
    fn new(net: &Network, links: &'a Links, own: &[Vec<Vec<(i64, i64)>>]) -> Self {
        let mut at: Vec<Vec<Vec<(i64, i64)>>> =
            vec![vec![Vec::new(); net.nodes.len()]; links.sites];
        for (stage, node) in net.nodes.iter().enumerate() {
            for (site, own) in node.sites.iter().zip(&own[stage]) {
                at[*site][stage].clone_from(own);
            }
        }
        let fixed: BTreeSet<usize> = net
            .stars
            .iter()
            .filter_map(|star| fixed(star.origin))
            .collect();
        let used = (0..links.sites)
            .filter(|site| {
                fixed.contains(site) || at[*site].iter().any(|points| !points.is_empty())
            })
            .collect();
        let least = |points: &Vec<(i64, i64)>| {
            points
                .iter()
                .map(|(cost, _)| *cost)
                .min()
                .unwrap_or(i64::MAX)
        };
        let least = at.iter().map(|at| at.iter().map(least).collect()).collect();
        Self {
            links,
            at,
            least,
            used,
            fixed,
            no_dearer: no_dearer(net, links),
        }
    }

    /// Whether all stages at `a` may move to `b` for nothing.
    fn replaces(&self, b: usize, a: usize) -> bool {
        // Most pairs differ in this already.
        if a == b
            || self.fixed.contains(&a)
            || self.least[a].iter().zip(&self.least[b]).any(|(a, b)| b > a)
        {
            return false;
        }
        let cheaper = |stage: usize| {
            let (a, b) = (&self.at[a][stage], &self.at[b][stage]);
            a.iter().all(|(cost, time)| {
                b.iter()
                    .any(|(less, sooner)| less <= cost && sooner <= time)
            })
        };
        let way = |from: usize, to: usize| {
            self.links
                .class(from, to)
                .map_or(self.links.tariffs.len(), usize::from)
        };
        let near = |site: &usize| {
            self.no_dearer[way(b, *site)][way(a, *site)]
                && self.no_dearer[way(*site, b)][way(*site, a)]
        };
        self.used
            .iter()
            .filter(|site| **site != a && **site != b)
            .all(near)
            && (0..self.at[a].len()).all(cheaper)
    }
}

fn fixed(origin: Origin) -> Option<usize> {
    match origin {
        Origin::Site(site) => Some(site),
        Origin::Stage(_) => None,
    }
}

/// By two price classes: no star pays more in the first than in the second. The last index stands
/// for a forbidden way.
fn no_dearer(net: &Network, links: &Links) -> Vec<Vec<bool>> {
    let classes = links.tariffs.len() + 1;
    let price = |star: &crate::planning::solve::bound::network::Star, class: usize| {
        star.price.get(class).copied().unwrap_or(net.never)
    };
    let row = |a: usize| {
        (0..classes)
            .map(|b| {
                net.stars
                    .iter()
                    .all(|star| price(star, a) <= price(star, b))
            })
            .collect()
    };
    (0..classes).map(row).collect()
}
