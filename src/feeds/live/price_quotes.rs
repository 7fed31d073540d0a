//! Prices as feeds have them, on their way into the draft.

use super::super::full_price_lists::{self, ListedRows};
use super::super::left_rows::{CARDS_UNKNOWN, LeftRows, SIZE_UNKNOWN};
use super::super::{ImportReport, listed_names, price_outliers, vendor_facts};
use crate::catalog::CatalogError;
use crate::catalog::catalog_toml::SourceEntry;
use crate::catalog::draft::{Draft, MachineRow, PriceRow};
use crate::model::units::{div_half_even, scaled};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The size of a machine, if the feed says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MachineSize {
    pub vcpu_thousandths: u64,
    /// Bytes.
    pub memory: u64,
    /// Thousandths of cards; none: how many cards it has is not known.
    pub cards: Option<u32>,
    /// The name of the cards; most feeds only count them.
    #[serde(default)]
    pub card: Option<String>,
    pub arch: String,
}

/// One price, and what it is preferred by when the feed has several of one machine: the greater
/// wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PriceQuote {
    rank: (bool, String),
    /// Nano-USD per hour; of equals the dearer, so that no plan costs more than it says.
    nano: i64,
}

/// Prices of one day of one feed of one cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PriceQuotes {
    pub cloud: String,
    /// The source's id without its day.
    pub name: String,
    pub day: Date,
    pub about: String,
    pub url: String,
    /// The feed is a full list of the regions that it has.
    full: bool,
    /// Rows that the feed's reader left out.
    pub report: ImportReport,
    pub sizes: BTreeMap<String, MachineSize>,
    /// Prices, by region, instance type, and whether it is a spot price.
    quotes: BTreeMap<(String, String, bool), PriceQuote>,
}

/// [`Quotes`] in the cache.
#[derive(Serialize, Deserialize)]
struct CachedQuotes {
    day: Date,
    report: ImportReport,
    sizes: BTreeMap<String, MachineSize>,
    quotes: Vec<(String, String, bool, i64)>,
}

/// A price of a unit such as `1 Hour`, `100 Hours` or `Hrs` as nano-USD per hour; none: it is no
/// unit of hours, or no price.
pub(super) fn hourly(price: &str, unit: &str) -> Result<i64, &'static str> {
    let hours = hours_of_unit(unit).ok_or("not by the hour")?;
    let unit_nano = scaled(price, 1_000_000_000).map_err(|_| "no price")?;
    i64::try_from(div_half_even(i128::from(unit_nano), i128::from(hours))).map_err(|_| "no price")
}

/// The day of a timestamp of a feed; none if the feed says none. The error is why a row with it is
/// left out.
pub(super) fn day_of(text: &str) -> Result<Option<Date>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.get(..10).and_then(|day| day.parse().ok());
    day.map(Some).ok_or("a day that cannot be read")
}

fn hours_of_unit(unit: &str) -> Option<u32> {
    let (count, unit) = unit
        .trim()
        .split_once([' ', '/'])
        .unwrap_or(("1", unit.trim()));
    let count: u32 = count.parse().ok()?;
    (matches!(unit, "Hour" | "Hours" | "Hrs" | "hour" | "hours") && count > 0).then_some(count)
}

impl PriceQuotes {
    /// Makes a list without prices.
    pub(super) fn new(cloud: &str, name: &str, day: Date, about: &str, url: impl ToString) -> Self {
        let (cloud, name, about) = (cloud.to_owned(), name.to_owned(), about.to_owned());
        Self {
            cloud,
            name,
            day,
            about,
            url: url.to_string(),
            ..Self::default()
        }
    }

    /// Marks the feed as a full list of the regions that it has.
    pub(super) fn full(self) -> Self {
        Self { full: true, ..self }
    }

    /// Whether each price is of spot machines, in the order of the list.
    #[cfg(test)]
    pub(super) fn spots(&self) -> Vec<bool> {
        self.quotes.keys().map(|(_, _, spot)| *spot).collect()
    }

    /// Counts a row that is left out.
    pub(super) fn leave(&mut self, why: &str) {
        self.report.leave(format!("{}: {why}", self.cloud));
    }

    /// Counts a row that is left out because of a name in it.
    pub(super) fn leave_of(&mut self, why: &str, name: &str) {
        self.report.leave_of(format!("{}: {why}", self.cloud), name);
    }

    /// Takes a price that is more than nothing.
    pub(super) fn put(
        &mut self,
        region: &str,
        machine: &str,
        spot: bool,
        nano: i64,
        rank: (bool, String),
    ) {
        if nano <= 0 {
            self.leave("a price of 0");
            return;
        }
        let new = PriceQuote { rank, nano };
        let quote_key = (region.to_owned(), machine.to_owned(), spot);
        match self.quotes.get_mut(&quote_key) {
            None => {
                self.quotes.insert(quote_key, new);
                return;
            }
            Some(old) if *old < new => *old = new,
            Some(_) => {}
        }
        self.leave("another row of the same machine");
    }

    /// The number of prices.
    pub(super) fn len(&self) -> usize {
        self.quotes.len()
    }

    /// Adds what another reading left out.
    pub(super) fn add_left_out(&mut self, other: &ImportReport) {
        self.report.add_left_out(other);
    }

    /// The list as text, for the cache: what was read of a large body.
    pub(super) fn to_text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let quotes = self.quotes.iter().map(|((region, machine, spot), quote)| {
            (region.clone(), machine.clone(), *spot, quote.nano)
        });
        serde_json::to_vec(&CachedQuotes {
            day: self.day,
            report: self.report.clone(),
            sizes: self.sizes.clone(),
            quotes: quotes.collect(),
        })
    }

    /// Reads what [`Self::to_text`] wrote; cloud, name, about and url are those of `empty`.
    pub(super) fn from_text(text: &[u8], empty: Self) -> Result<Self, serde_json::Error> {
        let cached_quotes: CachedQuotes = serde_json::from_slice(text)?;
        let quotes = cached_quotes
            .quotes
            .into_iter()
            .map(|(region, machine, spot, nano)| {
                (
                    (region, machine, spot),
                    PriceQuote {
                        rank: (false, String::new()),
                        nano,
                    },
                )
            });
        Ok(Self {
            day: cached_quotes.day,
            report: cached_quotes.report,
            sizes: cached_quotes.sizes,
            quotes: quotes.collect(),
            ..empty
        })
    }

    /// Puts the prices into the draft where it has no newer ones.
    pub(super) fn apply(
        self,
        draft: &mut Draft,
        report: &mut ImportReport,
    ) -> Result<(), CatalogError> {
        let cloud = self.cloud;
        report.add_left_out(&self.report);
        self.report
            .notes
            .into_iter()
            .for_each(|note| report.note(note));
        let id = format!("{}-{}", self.name, self.day);
        draft.sources.insert(
            id.clone(),
            SourceEntry {
                date: self.day.to_string(),
                about: self.about,
                url: self.url,
                list: if self.full {
                    crate::catalog::catalog_toml::FULL_LIST.to_owned()
                } else {
                    String::new()
                },
                ..SourceEntry::default()
            },
        );
        let mut listed_rows = ListedRows {
            cloud: cloud.clone(),
            id: id.clone(),
            full: self.full,
            ..ListedRows::default()
        };
        let mut left_rows = LeftRows::default();
        // Feeds are not sure of the case of their names.
        let prices_before = draft.prices.clone();
        let known_names: BTreeMap<String, String> = draft
            .machines
            .keys()
            .filter(|(of, _)| *of == cloud)
            .map(|(_, name)| (name.to_ascii_lowercase(), name.clone()))
            .collect();
        for (region, machine, spot, quote) in by_ordered_name(&cloud, self.quotes)? {
            if !draft.places.contains_key(&format!("{cloud}:{region}")) {
                report.leave_of(format!("{cloud}: unknown region"), &region);
                continue;
            }
            let machine = known_names
                .get(&machine.to_ascii_lowercase())
                .cloned()
                .unwrap_or(machine);
            listed_rows.add(&region, &machine, spot);
            left_rows.meet(&machine);
            let machine_size = self.sizes.get(&machine);
            if let Some(reason) = why_unknown(draft, &cloud, &machine, machine_size, report)? {
                left_rows.leave(&region, &machine, reason);
                continue;
            }
            let price = Some((quote.nano, id.clone()));
            let price_row = if spot {
                PriceRow {
                    on_demand: None,
                    spot: price,
                }
            } else {
                PriceRow {
                    on_demand: price,
                    spot: None,
                }
            };
            draft.put_price(&cloud, &region, &machine, price_row);
            report.take(format!("{cloud}: prices"));
        }
        left_rows.note(draft, &prices_before, &cloud, &id);
        full_price_lists::drop_rows_not_listed(draft, &prices_before, &listed_rows, report);
        price_outliers::leave_out(draft, &cloud, &prices_before, report);
        full_price_lists::note_price_changes(draft, &prices_before, &listed_rows);
        Ok(())
    }
}

/// Prices by the names that their machine types are ordered by: those that the feed has under
/// another name first, so that a price of the type itself speaks last.
fn by_ordered_name(
    cloud: &str,
    quotes: BTreeMap<(String, String, bool), PriceQuote>,
) -> Result<Vec<(String, String, bool, PriceQuote)>, CatalogError> {
    let (mut otherwise_named, mut found) = (Vec::new(), Vec::new());
    for ((region, machine, spot), quote) in quotes {
        let (name, is_other_name) = listed_names::ordered_name(cloud, &machine)?;
        let target_quotes = if is_other_name {
            &mut otherwise_named
        } else {
            &mut found
        };
        target_quotes.push((region, name.to_owned(), spot, quote));
    }
    otherwise_named.append(&mut found);
    Ok(otherwise_named)
}

/// Sees to it that the draft has a row of a machine; returns why its price is left out if there can
/// be none.
fn why_unknown(
    draft: &mut Draft,
    cloud: &str,
    machine: &str,
    size: Option<&MachineSize>,
    report: &mut ImportReport,
) -> Result<Option<&'static str>, CatalogError> {
    let machine_key = (cloud.to_owned(), machine.to_owned());
    let sized = |row: &MachineRow| row.vcpu_thousandths > 0 && row.memory > 0;
    if vendor_facts::machine(draft, cloud, machine, report)?
        || draft.machines.get(&machine_key).is_some_and(sized)
    {
        return Ok(None);
    }
    Ok(
        match size.map(|size| new_machine(draft, cloud, machine, size)) {
            Some(Ok(row)) => {
                draft.machines.insert(machine_key, row);
                None
            }
            Some(Err(why)) => {
                report.leave_of(format!("{cloud}: {why}"), machine);
                Some(why)
            }
            None => {
                report.leave(format!("{cloud}: {SIZE_UNKNOWN}"));
                Some(SIZE_UNKNOWN)
            }
        },
    )
}

/// A machine that the catalog did not know. Which cards it has is what its siblings have.
fn new_machine(
    draft: &Draft,
    cloud: &str,
    name: &str,
    size: &MachineSize,
) -> Result<MachineRow, &'static str> {
    if size.vcpu_thousandths == 0 || size.memory == 0 {
        return Err(SIZE_UNKNOWN);
    }
    let family = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let sibling = draft
        .machines
        .iter()
        .filter(|((of, other), _)| of == cloud && family(other) == family(name))
        .find_map(|(_, row)| row.accelerator.as_ref());
    let accelerator = match (size.cards, size.card.as_deref(), sibling) {
        (Some(0), None, None) => None,
        (Some(cards @ 1..), Some(feed_name), None) => {
            let name = draft.accelerator_name(feed_name).unwrap_or(feed_name);
            Some((name.to_owned(), cards))
        }
        (Some(cards @ 1..), _, Some((name, _))) => Some((name.clone(), cards)),
        // Feeds do not count every kind of card, and name none.
        _ => return Err(CARDS_UNKNOWN),
    };
    let (vcpu_thousandths, memory) = (size.vcpu_thousandths, size.memory);
    Ok(MachineRow {
        vcpu_thousandths,
        memory,
        accelerator,
        arch: size.arch.clone(),
        source: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(cards: Option<u32>, card: Option<&str>) -> MachineSize {
        MachineSize {
            vcpu_thousandths: 8000,
            memory: 1 << 35,
            cards,
            card: card.map(str::to_owned),
            arch: "x86_64".to_owned(),
        }
    }

    #[test]
    fn a_machine_whose_cards_cannot_be_counted_is_left_out() {
        let draft = Draft::default();
        let machine = |size| new_machine(&draft, "aws", "g6.xlarge", &size);
        assert_eq!(machine(size(Some(0), None)).unwrap().accelerator, None);
        assert_eq!(
            machine(size(Some(1000), Some("L4"))).unwrap().accelerator,
            Some(("L4".to_owned(), 1000))
        );
        for uncounted in [
            size(None, Some("L4")),
            size(Some(0), Some("L4")),
            size(None, None),
        ] {
            assert_eq!(machine(uncounted), Err(CARDS_UNKNOWN));
        }
    }

    #[test]
    fn a_day_that_cannot_be_read_is_none() {
        assert_eq!(day_of(""), Ok(None));
        let day = Date::constant(2026, 11, 20);
        assert_eq!(day_of("2026-11-20T00:00:00Z"), Ok(Some(day)));
        for text in ["soon", "2026-13-01", "20 November 2026"] {
            assert!(day_of(text).is_err(), "{text}");
        }
    }
}
