//! Groups of sites between which all transfers cost the same.
//!
//! Egress depends on few things: the tariff of the source and how far the destination is. So an
//! edge needs no variable per pair of sites, only one per pair of groups, plus one per site for
//! data that stays where it is. The grouping is exact: two sources are in one group only if they
//! have the same price class to every destination other than themselves.

use super::ids::{PriceId, SiteId};
use super::instance::Links;

/// Sites as sources and as destinations of one edge, grouped by price.
pub(super) struct PriceGroups {
    /// The sources, by group.
    pub sources: Vec<Vec<SiteId>>,
    /// The destinations, by group.
    pub destinations: Vec<Vec<SiteId>>,
    /// Price class by group of sources and group of destinations; `None`: forbidden, or no such
    /// link but from a site to itself.
    pub class: Vec<Vec<Option<PriceId>>>,
}

/// A price class, forbidden, or the link of a site to itself, which is priced apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Same,
    Way(Option<PriceId>),
}

/// Groups the sites of transfers from `from` to `to` (each named once) by price.
pub(super) fn price_groups(links: &Links, from: &[SiteId], to: &[SiteId]) -> PriceGroups {
    let cell = |source: SiteId, destination: SiteId| {
        if source == destination {
            Cell::Same
        } else {
            Cell::Way(links.class(source, destination))
        }
    };
    let price_rows: Vec<Vec<Cell>> = from
        .iter()
        .map(|source| to.iter().map(|to| cell(*source, *to)).collect())
        .collect();
    let (sources, rows) = merged_lines(&price_rows);
    let columns: Vec<Vec<Cell>> = (0..to.len())
        .map(|column| rows.iter().map(|row| row[column]).collect())
        .collect();
    let (destinations, columns) = merged_lines(&columns);
    let class_of = |cell: Cell| match cell {
        Cell::Same => None,
        Cell::Way(class) => class,
    };
    let class = (0..sources.len())
        .map(|row| columns.iter().map(|column| class_of(column[row])).collect())
        .collect();
    let sites = |groups: &[Vec<usize>], of: &[SiteId]| {
        let group = |members: &Vec<usize>| members.iter().map(|member| of[*member]).collect();
        groups.iter().map(group).collect()
    };
    PriceGroups {
        sources: sites(&sources, from),
        destinations: sites(&destinations, to),
        class,
    }
}

/// Puts lines together that agree wherever neither is [`Cell::Same`]: first fit, so that equal
/// inputs give equal groups.
fn merged_lines(lines: &[Vec<Cell>]) -> (Vec<Vec<usize>>, Vec<Vec<Cell>>) {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut shared_rows: Vec<Vec<Cell>> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let agrees = |other: &Vec<Cell>| {
            other
                .iter()
                .zip(line)
                .all(|(a, b)| a == b || *a == Cell::Same || *b == Cell::Same)
        };
        match shared_rows.iter().position(agrees) {
            Some(group) => {
                groups[group].push(index);
                for (known, cell) in shared_rows[group].iter_mut().zip(line) {
                    if *known == Cell::Same {
                        *known = *cell;
                    }
                }
            }
            None => {
                groups.push(vec![index]);
                shared_rows.push(line.clone());
            }
        }
    }
    (groups, shared_rows)
}
