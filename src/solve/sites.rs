//! Sites that another site replaces at less cost, whatever the rest of the placement is.
//!
//! Site `b` replaces site `a` if data goes from and to `b` for at most what it costs from and to
//! `a`, no data lies at `a` from the start, and every stage that may run at `a` may run at `b` for at
//! most as much. Then moving all stages at `a` to `b` never costs more; where one of them gets
//! cheaper, it costs less, so no cheapest placement has that stage at `a`. Equal costs are kept:
//! they are ties, which are broken later.

use super::net::Net;
use crate::problem::{Links, Origin};
use std::collections::BTreeSet;

/// By stage and position of its site: some cheapest placement may have it. `own` likewise: what
/// the stage costs there at least.
pub fn worthwhile(net: &Net, links: &Links, own: &[Vec<i64>]) -> Vec<Vec<bool>> {
    let sites = Sites::new(net, links, own);
    let mut keep: Vec<Vec<bool>> = own.iter().map(|own| vec![true; own.len()]).collect();
    for a in &sites.used {
        for b in sites.used.iter().filter(|b| sites.replaces(**b, *a)) {
            for (stage, node) in net.nodes.iter().enumerate() {
                if let (Some(less), Some(cost)) = (sites.at[*b][stage], sites.at[*a][stage])
                    && less < cost
                    && let Ok(position) = node.sites.binary_search(a)
                {
                    keep[stage][position] = false;
                }
            }
        }
    }
    keep
}

/// By stage and position of its site: sites of which each is needed. One cheapest placement at
/// least is left.
pub fn enough(net: &Net, links: &Links, own: &[Vec<i64>]) -> Vec<Vec<bool>> {
    let sites = Sites::new(net, links, own);
    let mut left = sites.used.clone();
    // The dearest first, so that what replaces them stays.
    let mut order = sites.used.clone();
    let sum = |site: &usize| -> i64 { sites.at[*site].iter().flatten().sum() };
    order.sort_by_cached_key(|site| std::cmp::Reverse((sum(site), *site)));
    for a in order {
        if left.iter().any(|b| sites.replaces(*b, a)) {
            left.retain(|site| *site != a);
        }
    }
    let kept = |site: &usize| left.binary_search(site).is_ok();
    net.nodes.iter().map(|node| node.sites.iter().map(kept).collect()).collect()
}

struct Sites<'a> {
    links: &'a Links,
    /// By site and stage: what the stage costs there at least, if it can be there.
    at: Vec<Vec<Option<i64>>>,
    /// Sites where anything can be, ascending.
    used: Vec<usize>,
    /// Sites where data lies from the start.
    fixed: BTreeSet<usize>,
    no_dearer: Vec<Vec<bool>>,
}

impl<'a> Sites<'a> {
    fn new(net: &Net, links: &'a Links, own: &[Vec<i64>]) -> Self {
        let mut at: Vec<Vec<Option<i64>>> = vec![vec![None; net.nodes.len()]; links.sites];
        for (stage, node) in net.nodes.iter().enumerate() {
            for (site, own) in node.sites.iter().zip(&own[stage]) {
                at[*site][stage] = Some(*own);
            }
        }
        let fixed: BTreeSet<usize> = net.stars.iter().filter_map(|star| fixed(star.origin)).collect();
        let used =
            (0..links.sites).filter(|site| fixed.contains(site) || at[*site].iter().any(Option::is_some)).collect();
        Self { links, at, used, fixed, no_dearer: no_dearer(net, links) }
    }

    /// Whether all stages at `a` may move to `b` for nothing.
    fn replaces(&self, b: usize, a: usize) -> bool {
        let cheaper = |(b, a): (&Option<i64>, &Option<i64>)| match (b, a) {
            (_, None) => true,
            (Some(b), Some(a)) => b <= a,
            (None, Some(_)) => false,
        };
        let way = |from: usize, to: usize| self.links.class(from, to).map_or(self.links.tariffs.len(), usize::from);
        let near =
            |site: &usize| self.no_dearer[way(b, *site)][way(a, *site)] && self.no_dearer[way(*site, b)][way(*site, a)];
        a != b
            && !self.fixed.contains(&a)
            && self.at[b].iter().zip(&self.at[a]).all(cheaper)
            && self.used.iter().filter(|site| **site != a && **site != b).all(near)
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
fn no_dearer(net: &Net, links: &Links) -> Vec<Vec<bool>> {
    let classes = links.tariffs.len() + 1;
    let price = |star: &super::net::Star, class: usize| star.price.get(class).copied().unwrap_or(net.never);
    let row = |a: usize| (0..classes).map(|b| net.stars.iter().all(|star| price(star, a) <= price(star, b))).collect();
    (0..classes).map(row).collect()
}
