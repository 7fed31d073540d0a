//! Rules over pairs of places (`from`, `to`), resolved into dense tables.
//!
//! `from` and `to` are a place, a pattern with `*` (`aws:*`, `*`), or, for `to`, `internet`: every
//! other place, at the price of the public internet. A pattern does not reach from one partition of
//! a cloud into another. The most specific rule wins: a place over a pattern, a pattern with more
//! letters over one with fewer; `from` counts before `to`; a rule to `internet` only speaks where
//! no other does.

use super::place_names::PlaceNames;
use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, NANO};
use crate::catalog::network::{Network, Speed};
use crate::catalog::table::{Row, Table};
use crate::catalog::{CatalogError, Source};
use crate::model::{Bandwidth, Bytes, DataRate, Pattern, Place, Tariff};
use std::collections::BTreeMap;
use std::ops::Range;

/// Which places a rule is about, from the least to the most specific.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Selector<'a> {
    Internet,
    /// A pattern; of two, the one with more letters that are not `*` is more specific.
    Pattern(usize, &'a str),
    Place(u32),
}

type Pair<'a> = (Selector<'a>, Selector<'a>);

/// Fills the network from the two files, either of which may be missing.
pub(super) fn network(
    places: &[Place],
    names: &PlaceNames,
    sources: &[Source],
    egress: Option<&File>,
    throughput: Option<&File>,
) -> Result<Network, CatalogError> {
    let count = places.len();
    let mut network = Network {
        places: u32::try_from(count).map_err(|_| {
            let message = format!("{count} places are more than a catalog can have");
            CatalogError::file(
                format::PLACES.file,
                message,
                "leave out places that no job needs",
            )
        })?,
        ..Network::default()
    };
    let texts: Vec<String> = places.iter().map(|place| place.name.to_string()).collect();
    let resolver = Resolver {
        places,
        texts: &texts,
        names,
    };
    network.tariff_of = vec![0; count * count];
    network.speed_of = vec![0; count * count];
    network.tariffs.push((Tariff::free(), None));
    // Data on this machine leaves it without a bill.
    if let Some(here) = places.iter().position(|place| place.name.cloud == "local") {
        network.tariff_of[here * count..(here + 1) * count].fill(1);
    }
    if let Some(file) = egress {
        let tariffs = read_tariffs(file, &resolver, sources)?;
        resolver.fill(
            file,
            &tariffs,
            &mut network.tariff_of,
            network.tariffs.len(),
        )?;
        network.tariffs.extend(tariffs.into_values());
    }
    if let Some(file) = throughput {
        let speeds = read_speeds(file, &resolver, sources)?;
        let mut kinds: Vec<Speed> = speeds.values().copied().collect();
        kinds.sort_by_key(|speed| (speed.bandwidth, speed.source));
        kinds.dedup();
        // Each speed is one of `kinds`, which are sorted: its index is how many come before it.
        let index_of = |speed: &Speed| {
            kinds.partition_point(|kind| {
                (kind.bandwidth, kind.source) < (speed.bandwidth, speed.source)
            })
        };
        let ids: BTreeMap<Pair, usize> = speeds
            .iter()
            .map(|(pair, speed)| (pair.clone(), index_of(speed)))
            .collect();
        resolver.fill_ids(file, &ids, &mut network.speed_of)?;
        network.speeds = kinds;
    }
    Ok(network)
}

/// The tiers of one pair, with the first row that names it.
type Tiers<'a> = (Vec<(Bytes, DataRate)>, u16, Row<'a>);

fn read_tariffs<'a>(
    file: &'a File,
    resolver: &Resolver,
    sources: &[Source],
) -> Result<BTreeMap<Pair<'a>, (Tariff, Option<u16>)>, CatalogError> {
    let mut pairs: BTreeMap<Pair, Tiers> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::EGRESS)?;
    while let Some(row) = table.next_row()? {
        let pair = resolver.pair(&row)?;
        let above = cells::figure_or_zero(&row, 2, NANO, "10240")?;
        let rate = DataRate(row.number(3, NANO, "0.09")?);
        let above = Bytes(above.unsigned_abs());
        let source = cells::source(&row, 4, sources)?;
        let (tiers, first, _) = pairs
            .entry(pair)
            .or_insert_with(|| (Vec::new(), source, row));
        // Which row comes first must not matter.
        *first = source.min(*first);
        if tiers.iter().any(|(other, _)| *other == above) {
            let message = format!(
                "`{}` to `{}` has two prices for the same volume",
                row.cell(0),
                row.cell(1)
            );
            return Err(row.error(
                2,
                message,
                "keep one of them, or start the other tier above more gigabytes",
            ));
        }
        tiers.push((above, rate));
    }
    let mut tariffs = BTreeMap::new();
    for (pair, (tiers, source, row)) in pairs {
        if !tiers.iter().any(|(above, _)| above.0 == 0) {
            let message = format!(
                "`{}` to `{}` has no price from the first byte",
                row.cell(0),
                row.cell(1)
            );
            return Err(row.error(2, message, "add a row with above_gb = 0"));
        }
        tariffs.insert(pair, (Tariff::new(tiers), Some(source)));
    }
    Ok(tariffs)
}

fn read_speeds<'a>(
    file: &'a File,
    resolver: &Resolver,
    sources: &[Source],
) -> Result<BTreeMap<Pair<'a>, Speed>, CatalogError> {
    let mut speeds: BTreeMap<Pair, Speed> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::THROUGHPUT)?;
    while let Some(row) = table.next_row()? {
        let pair = resolver.pair(&row)?;
        let bandwidth = Bandwidth(row.number(2, NANO, "4.5")?.unsigned_abs());
        if bandwidth.0 == 0 {
            return Err(row.error(
                2,
                format!("`{}` would never end", row.cell(2)),
                "leave the row out",
            ));
        }
        if speeds
            .insert(
                pair,
                Speed {
                    bandwidth,
                    source: cells::source(&row, 3, sources)?,
                },
            )
            .is_some()
        {
            let message = format!("`{}` to `{}` is there twice", row.cell(0), row.cell(1));
            return Err(row.error(0, message, "keep one of the rows"));
        }
    }
    Ok(speeds)
}

struct Resolver<'a> {
    places: &'a [Place],
    texts: &'a [String],
    names: &'a PlaceNames<'a>,
}

impl Resolver<'_> {
    fn pair<'t>(&self, row: &Row<'t>) -> Result<Pair<'t>, CatalogError> {
        let from_selector = self.selector(row, 0)?;
        if from_selector == Selector::Internet {
            return Err(row.error(
                0,
                "`internet` is not a place to start from",
                "name a place or a pattern",
            ));
        }
        Ok((from_selector, self.selector(row, 1)?))
    }

    fn selector<'t>(&self, row: &Row<'t>, column: usize) -> Result<Selector<'t>, CatalogError> {
        let text = row.required(column)?;
        if text == "internet" {
            return Ok(Selector::Internet);
        }
        if text.contains('*') {
            return Ok(Selector::Pattern(
                text.len() - text.matches('*').count(),
                text,
            ));
        }
        match self.names.place(text) {
            Some(place) => Ok(Selector::Place(place)),
            None => Err(row.error(
                column,
                format!("unknown place `{text}`"),
                self.names.place_hint(text),
            )),
        }
    }

    fn members(&self, selector: &Selector) -> Vec<usize> {
        let all_places = 0..self.places.len();
        match selector {
            Selector::Place(place) => vec![*place as usize],
            Selector::Internet => all_places.collect(),
            Selector::Pattern(_, "*") => all_places.collect(),
            Selector::Pattern(_, text) => {
                match text.strip_suffix(":*").filter(|cloud| !cloud.contains('*')) {
                    Some(cloud) => self.cloud(cloud).collect(),
                    None => {
                        let pattern = Pattern((*text).to_owned());
                        all_places
                            .filter(|place| pattern.matches(&self.texts[*place]))
                            .collect()
                    }
                }
            }
        }
    }

    /// The places of a cloud: they are neighbours, because places are sorted by name.
    fn cloud(&self, cloud: &str) -> Range<usize> {
        let start = self
            .places
            .partition_point(|place| place.name.cloud.as_str() < cloud);
        let length = self.places[start..].partition_point(|place| place.name.cloud == cloud);
        start..start + length
    }

    fn fill<V>(
        &self,
        file: &File,
        rules: &BTreeMap<Pair, V>,
        table: &mut [u16],
        first_id: usize,
    ) -> Result<(), CatalogError> {
        let ids = rules
            .keys()
            .enumerate()
            .map(|(index, pair)| (pair.clone(), first_id + index))
            .collect();
        self.fill_ids(file, &ids, table)
    }

    /// Writes `id + 1` for every pair, the most specific rule last.
    fn fill_ids(
        &self,
        file: &File,
        rules: &BTreeMap<Pair, usize>,
        table: &mut [u16],
    ) -> Result<(), CatalogError> {
        // Many rules name the same selector.
        let mut members_of: BTreeMap<&Selector, Vec<usize>> = BTreeMap::new();
        let partitions: Vec<&str> = self.places.iter().map(Place::partition).collect();
        let mut from_members: (Option<&Selector>, Vec<usize>) = (None, Vec::new());
        // `internet` is what remains when no other rule speaks of the pair, so it goes first.
        let (internet, named): (Vec<_>, Vec<_>) = rules
            .iter()
            .partition(|((_, to), _)| *to == Selector::Internet);
        for ((from, to), id) in internet.into_iter().chain(named) {
            let id = u16::try_from(id + 1).map_err(|_| {
                CatalogError::file(
                    &file.shown,
                    "more than 65,000 different rules",
                    "use patterns",
                )
            })?;
            if from_members.0 != Some(from) {
                let places = members_of.entry(from).or_insert_with(|| self.members(from));
                from_members = (Some(from), places.clone());
            }
            if let Selector::Place(to) = to {
                for from in &from_members.1 {
                    table[from * self.places.len() + *to as usize] = id;
                }
                continue;
            }
            let targets = members_of.entry(to).or_insert_with(|| self.members(to));
            for from in &from_members.1 {
                let cloud = &self.places[*from].name.cloud;
                for target in targets.iter() {
                    let same_cloud = self.places[*target].name.cloud == *cloud;
                    let inside_partition = same_cloud && partitions[*from] == partitions[*target];
                    // A pattern speaks of other clouds and of the inside of a partition.
                    // The internet reaches every place, at its price.
                    let speaks = *to == Selector::Internet || inside_partition || !same_cloud;
                    if speaks {
                        table[from * self.places.len() + target] = id;
                    }
                }
            }
        }
        Ok(())
    }
}
