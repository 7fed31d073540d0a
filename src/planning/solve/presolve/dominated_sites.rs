//! Sites that another site replaces at less cost, whatever the rest of the placement is.
//!
//! Site `b` replaces site `a` if data goes from and to `b` for at most what it costs from and to
//! `a`, no data lies at `a` from the start, and every stage that may run at `a` may run at `b` for
//! at most as much. Then moving all stages at `a` to `b` never costs more; where one of them gets
//! cheaper, it costs less, so no cheapest placement has that stage at `a`. Equal costs are kept:
//! they are ties, which are broken later.

use crate::planning::problem::{ChoiceId, Instance, Links, Origin, SiteId, StageId};
use crate::planning::solve::bound::network::{Network, Node};
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeSet;

/// By stage and position of its site: some cheapest placement may have it. `own` likewise: what
/// the stage costs there at least.
pub(crate) fn worthwhile(
    net: &Network,
    links: &Links,
    own_costs: &IdVec<StageId, Vec<i64>>,
) -> IdVec<StageId, Vec<bool>> {
    let points = untimed_points(own_costs);
    let sites = Sites::new(net, links, &points);
    // By site and stage: another site does it for less.
    let mut dear: IdVec<SiteId, IdVec<StageId, bool>> =
        IdVec::filled(net.nodes.map(|_| false), links.sites);
    for a in &sites.used {
        for b in sites.used.iter().filter(|b| sites.replaces(**b, *a)) {
            for (dear, (less, cost)) in dear[*a]
                .iter_mut()
                .zip(sites.at[*b].iter().zip(&sites.at[*a]))
            {
                if let ([less], [cost]) = (&less[..], &cost[..]) {
                    *dear |= less.cost < cost.cost;
                }
            }
        }
    }
    let kept_positions = |(stage, node): (StageId, &Node)| {
        node.sites.iter().map(|site| !dear[*site][stage]).collect()
    };
    net.nodes.iter_enumerated().map(kept_positions).collect()
}

/// By stage and position of its site: sites of which each is needed. One cheapest placement at
/// least is left.
pub(crate) fn enough(
    net: &Network,
    links: &Links,
    own_costs: &IdVec<StageId, Vec<i64>>,
) -> IdVec<StageId, Vec<bool>> {
    let points = untimed_points(own_costs);
    let instead = needed_sites(&Sites::new(net, links, &points));
    let is_kept = |site: &SiteId| instead[*site] == *site;
    net.nodes
        .map(|node| node.sites.iter().map(is_kept).collect())
}

/// For placements that must be in time, when transfers take none: by site, the one that is enough
/// in its place, often itself.
pub(crate) fn enough_in_time(
    net: &Network,
    links: &Links,
    instance: &Instance,
) -> IdVec<SiteId, SiteId> {
    let stages = net.nodes.iter().zip(&instance.stages);
    let points: IdVec<StageId, Vec<Vec<CostAndTime>>> = stages
        .map(|(node, stage)| {
            let point_of = |choice: &ChoiceId| CostAndTime {
                cost: stage.choices[*choice].cost.0,
                time: stage.choices[*choice].duration.signed(),
            };
            node.choices
                .iter()
                .map(|choices| choices.iter().map(point_of).collect())
                .collect()
        })
        .collect();
    needed_sites(&Sites::new(net, links, &points))
}

/// By site, the one that is enough in its place.
fn needed_sites(sites: &Sites<'_>) -> IdVec<SiteId, SiteId> {
    let mut instead: IdVec<SiteId, SiteId> = sites.links.site_ids().collect();
    let mut sites_left = sites.used.clone();
    // The dearest first, so that what replaces them stays.
    let mut order = sites.used.clone();
    let sum_at = |site: &SiteId| -> i64 {
        sites.at[*site]
            .iter()
            .flat_map(|points| points.iter().map(|point| point.cost).min())
            .sum()
    };
    order.sort_by_cached_key(|site| std::cmp::Reverse((sum_at(site), *site)));
    for a in order {
        if let Some(b) = sites_left.iter().copied().find(|b| sites.replaces(*b, a)) {
            sites_left.retain(|site| *site != a);
            instead[a] = b;
        }
    }
    // What replaces a site may have been replaced later.
    for site in instead.ids() {
        while instead[instead[site]] != instead[site] {
            instead[site] = instead[instead[site]];
        }
    }
    instead
}

/// What a stage may take at a site, where neither is less than that of another one there.
#[derive(Clone, Copy)]
struct CostAndTime {
    cost: i64,
    time: i64,
}

/// Costs alone, as if nothing took time.
fn untimed_points(own_costs: &IdVec<StageId, Vec<i64>>) -> IdVec<StageId, Vec<Vec<CostAndTime>>> {
    let point_of = |cost: &i64| {
        vec![CostAndTime {
            cost: *cost,
            time: 0,
        }]
    };
    own_costs.map(|own| own.iter().map(point_of).collect())
}

struct Sites<'a> {
    links: &'a Links,
    /// By site and stage: cost and time of what it may take there.
    at: IdVec<SiteId, IdVec<StageId, Vec<CostAndTime>>>,
    /// By site, then stage: the least of these costs; more than any when there is none.
    least: IdVec<SiteId, IdVec<StageId, i64>>,
    /// Sites where anything can be, ascending.
    used: Vec<SiteId>,
    /// Sites where data lies from the start.
    fixed: BTreeSet<SiteId>,
    no_dearer: Vec<Vec<bool>>,
}

impl<'a> Sites<'a> {
    fn new(
        net: &Network,
        links: &'a Links,
        own_costs: &IdVec<StageId, Vec<Vec<CostAndTime>>>,
    ) -> Self {
        let mut points_at: IdVec<SiteId, IdVec<StageId, Vec<CostAndTime>>> =
            IdVec::filled(net.nodes.map(|_| Vec::new()), links.sites);
        for (stage, node) in net.nodes.iter_enumerated() {
            for (site, own) in node.sites.iter().zip(&own_costs[stage]) {
                points_at[*site][stage].clone_from(own);
            }
        }
        let fixed: BTreeSet<SiteId> = net
            .stars
            .iter()
            .filter_map(|star| fixed_site(star.origin))
            .collect();
        let used_sites = links
            .site_ids()
            .filter(|site| {
                fixed.contains(site) || points_at[*site].iter().any(|points| !points.is_empty())
            })
            .collect();
        let least_point = |points: &Vec<CostAndTime>| {
            points
                .iter()
                .map(|point| point.cost)
                .min()
                .unwrap_or(i64::MAX)
        };
        let least_points = points_at.map(|at| at.map(least_point));
        Self {
            links,
            at: points_at,
            least: least_points,
            used: used_sites,
            fixed,
            no_dearer: no_dearer(net, links),
        }
    }

    /// Whether all stages at `a` may move to `b` for nothing.
    fn replaces(&self, b: SiteId, a: SiteId) -> bool {
        // Most pairs differ in this already.
        if a == b
            || self.fixed.contains(&a)
            || self.least[a].iter().zip(&self.least[b]).any(|(a, b)| b > a)
        {
            return false;
        }
        let cheaper = |stage: StageId| {
            let (a, b) = (&self.at[a][stage], &self.at[b][stage]);
            a.iter().all(|point| {
                b.iter()
                    .any(|other| other.cost <= point.cost && other.time <= point.time)
            })
        };
        let pair = |from: SiteId, to: SiteId| {
            self.links
                .class(from, to)
                .map_or(self.links.tariffs.len(), |class| class.index())
        };
        let is_near = |site: &SiteId| {
            self.no_dearer[pair(b, *site)][pair(a, *site)]
                && self.no_dearer[pair(*site, b)][pair(*site, a)]
        };
        self.used
            .iter()
            .filter(|site| **site != a && **site != b)
            .all(is_near)
            && self.at[a].ids().all(cheaper)
    }
}

fn fixed_site(origin: Origin) -> Option<SiteId> {
    match origin {
        Origin::Site(site) => Some(site),
        Origin::Stage(_) => None,
    }
}

/// By two price classes: no star pays more in the first than in the second. The last index stands
/// for a forbidden link.
fn no_dearer(net: &Network, links: &Links) -> Vec<Vec<bool>> {
    let classes = links.tariffs.len() + 1;
    let price = |star: &crate::planning::solve::bound::network::Star, class: usize| {
        star.price
            .as_slice()
            .get(class)
            .copied()
            .unwrap_or(net.never)
    };
    let row_of = |a: usize| {
        (0..classes)
            .map(|b| {
                net.stars
                    .iter()
                    .all(|star| price(star, a) <= price(star, b))
            })
            .collect()
    };
    (0..classes).map(row_of).collect()
}
