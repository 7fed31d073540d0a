//! Writes a catalog: sorted rows, one spelling per value, so that equal data is equal bytes.

use crate::catalog::draft::{Draft, Price, PriceRow};
use crate::catalog::files::CATALOG;
use crate::catalog::load::{ACCELERATORS, CONFIDENTIAL, FORMAT, Head, MACHINES, PLACES, PRICES};
use crate::catalog::rules::{EGRESS, THROUGHPUT};
use crate::catalog::services;
use crate::catalog::terms::{self, CLOUDS, INTERRUPTIONS, ROUND_TRIPS};
use crate::catalog::{age, burstable, certifications, extras};
use crate::model::units::div_half_even;
use std::collections::{BTreeMap, BTreeSet};

/// The canonical text of `catalog.toml`.
pub(crate) fn head_text(head: &Head) -> String {
    use std::fmt::Write;
    let mut text = format!("format = {}\n", head.format);
    // Writing to a String cannot fail.
    for (id, source) in &head.sources {
        let _ = write!(
            text,
            "\n[sources.{}]\ndate = {}\nabout = {}\n",
            key(id),
            quoted(&source.date),
            quoted(&source.about)
        );
        if !source.url.is_empty() {
            let _ = writeln!(text, "url = {}", quoted(&source.url));
        }
        if !source.valid_until.is_empty() {
            let _ = writeln!(text, "valid_until = {}", quoted(&source.valid_until));
        }
        if !source.list.is_empty() {
            let _ = writeln!(text, "list = {}", quoted(&source.list));
        }
    }
    text
}

fn key(id: &str) -> String {
    let bare = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { id.to_owned() } else { quoted(id) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A cloud with more prices than this has one file per region.
const ONE_FILE: usize = 2000;

/// The files of a catalog, by name: equal rows give equal bytes.
pub fn files(draft: &Draft) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert(
        CATALOG.to_owned(),
        head_text(&Head { format: FORMAT, sources: draft.sources.clone(), ..Head::default() }),
    );
    let mut put = |name: String, header: &[&str], rows: Vec<String>| {
        if !rows.is_empty() {
            files.insert(name, sheet(header, rows));
        }
    };
    let places = draft.places.iter().map(|(name, place)| {
        let cells =
            [name, &place.country, &place.location, &place.operator, &place.us_cloud_act, &place.source, &place.parent];
        line(cells.into_iter().chain([&place.class, &place.evidence, &place.parent_country]))
    });
    put("places.csv".to_owned(), PLACES, places.collect());
    // Columns that only some catalogs need are left out of the others.
    let width = if draft.accelerators.values().any(|row| !row.kinds.is_empty()) { 13 } else { 12 };
    let accelerators = draft.accelerators.iter().map(|(name, row)| {
        let rates = row.gigaflops.iter().map(|rate| rate.map_or(String::new(), |rate| decimal(rate.into(), 1000)));
        let memory = if row.memory == 0 { String::new() } else { decimal(row.memory.into(), 1 << 30) };
        let texts = [row.source.clone(), memory, row.interconnect.clone(), row.topology.clone()];
        let rest = [row.frameworks.join(";"), row.evidence.clone(), row.kinds.join(";")];
        line([name.clone(), row.aliases.join(";")].into_iter().chain(rates).chain(texts).chain(rest).take(width))
    });
    put("accelerators.csv".to_owned(), &ACCELERATORS[..width], accelerators.collect());
    let confidential = draft
        .confidential
        .iter()
        .map(|((cloud, machine, tee), row)| line([cloud, machine, tee, &row.places, &row.source, &row.evidence]));
    put("confidential.csv".to_owned(), CONFIDENTIAL, confidential.collect());
    let baselines = draft.burstable.iter().map(|((cloud, types), (baseline, source, evidence))| {
        let baseline = baseline.map_or(String::new(), |baseline| decimal(baseline.into(), 1000));
        line([cloud, types, &baseline, source, evidence])
    });
    put(burstable::BURSTABLE_FILE.to_owned(), burstable::COLUMNS, baselines.collect());
    let extras_rows =
        draft.extras.iter().map(|((cloud, places), cells)| line(std::iter::once(cloud).chain(cells).chain([places])));
    put(extras::EXTRAS_FILE.to_owned(), extras::COLUMNS, extras_rows.collect());
    let certified = draft.certifications.iter().map(|((scheme, places, operator), row)| {
        line([scheme, &row.status, places, &row.source, operator, &row.since, &row.evidence])
    });
    put("certifications.csv".to_owned(), certifications::COLUMNS, certified.collect());
    let egress = draft.egress.iter().flat_map(|((from, to), row)| {
        row.tiers.iter().map(move |(above, rate)| {
            let (above, rate) = (decimal((*above).into(), NANO), decimal((*rate).into(), NANO));
            line([from, to, &above, &rate, &row.source])
        })
    });
    put("egress.csv".to_owned(), EGRESS, egress.collect());
    let throughput = draft
        .throughput
        .iter()
        .map(|((from, to), (bits, source))| line([from, to, &decimal((*bits).into(), NANO), source]));
    put("throughput.csv".to_owned(), THROUGHPUT, throughput.collect());
    let clouds = draft.clouds.iter().map(|(name, row)| {
        let figure =
            |value: Option<i64>, per: i64| value.map_or(String::new(), |value| decimal(value.into(), per.into()));
        let times = row.times.map(|time| figure(time, terms::MILLIS));
        let figures = [figure(row.free_egress, terms::NANO), figure(row.storage, terms::NANO)];
        let gigabyte = row.gigabyte.map_or(String::new(), |bytes| bytes.to_string());
        let texts = [row.source.clone(), row.evidence.clone(), gigabyte];
        line(std::iter::once(name.clone()).chain(times).chain(figures).chain(texts))
    });
    put("clouds.csv".to_owned(), CLOUDS, clouds.collect());
    put("interruptions.csv".to_owned(), INTERRUPTIONS, interruptions(draft));
    let trips = draft.round_trips.iter().map(|((from, to), (ms, source))| line([from, to, &ms.to_string(), source]));
    put("round_trips.csv".to_owned(), ROUND_TRIPS, trips.collect());
    let offered = draft.services.iter().map(|((places, service, version, product), row)| {
        let figure = |value: u64, per: i128| if value == 0 { String::new() } else { decimal(value.into(), per) };
        let size = [figure(row.vcpu_thousandths, 1000), figure(row.memory, 1 << 30)];
        let price = decimal(row.price.into(), NANO);
        line([places, service, &row.unit, &price, &row.source, version, product, &size[0], &size[1], &row.evidence])
    });
    put(services::SERVICES_FILE.to_owned(), services::SERVICES, offered.collect());
    let discounts = draft.discounts.iter().map(|((places, types), (parts, source, evidence))| {
        line([places, types, &decimal((*parts).into(), terms::PER_PERCENT.into()), source, evidence])
    });
    put("discounts.csv".to_owned(), services::DISCOUNTS, discounts.collect());
    let quotas = draft
        .quotas
        .iter()
        .map(|((pattern, what), (most, source, evidence))| line([pattern, what, &most.to_string(), source, evidence]));
    put("quotas.csv".to_owned(), services::QUOTAS, quotas.collect());
    let joined = draft.joined.iter().map(|(cloud, row)| {
        let days = [&row.date, &row.valid_from, &row.valid_until];
        let revision = if row.revision == 0 { String::new() } else { row.revision.to_string() };
        line([cloud, &row.about].into_iter().chain(days).chain([&row.key, &row.file_sha256, &row.url, &revision]))
    });
    put("joined.csv".to_owned(), services::JOINED, joined.collect());
    let retirements = draft
        .retirements
        .iter()
        .map(|((cloud, types, places), row)| line([cloud, types, &row.day, &row.source, places, &row.evidence]));
    put("retirements.csv".to_owned(), age::RETIREMENTS, retirements.collect());
    let changes = draft.changes.iter().map(|((cloud, name, from), row)| {
        line([cloud, name, from, &row.to, &decimal(row.ratio_ppm.into(), age::PPM.into())])
    });
    put("price_changes.csv".to_owned(), age::CHANGES, changes.collect());
    let dropped = draft
        .dropped
        .iter()
        .map(|((cloud, name, reason, source), rows)| line([cloud, name, reason, &rows.to_string(), source]));
    put("dropped.csv".to_owned(), age::DROPPED, dropped.collect());

    let clouds: BTreeSet<&String> =
        draft.machines.keys().map(|(cloud, _)| cloud).chain(draft.prices.keys().map(|(cloud, _)| cloud)).collect();
    for cloud in clouds {
        let of_cloud = || draft.machines.iter().filter(|((of, _), _)| of == cloud);
        let width = if of_cloud().any(|(_, row)| !row.source.is_empty()) { 7 } else { 6 };
        let machines = of_cloud().map(|((_, name), row)| {
            let figure = |value: u64, per: i128| if value == 0 { String::new() } else { decimal(value.into(), per) };
            let (accelerator, count) = match &row.accelerator {
                Some((name, count)) => (name.clone(), decimal((*count).into(), 1000)),
                None => Default::default(),
            };
            let (vcpus, memory) = (figure(row.vcpu_thousandths, 1000), figure(row.memory, 1 << 30));
            line([name, &vcpus, &memory, &accelerator, &count, &row.arch, &row.source].into_iter().take(width))
        });
        put(format!("{cloud}/machines.csv"), &MACHINES[..width], machines.collect());
        let regions = draft.prices.iter().filter(|((of, _), _)| of == cloud);
        if regions.clone().map(|(_, rows)| rows.len()).sum::<usize>() > ONE_FILE {
            for ((_, region), rows) in regions {
                let rows = rows.iter().map(|(name, row)| price_line(name, row, None));
                put(format!("{cloud}/{region}.csv"), &PRICES[..5], rows.collect());
            }
        } else {
            let rows = regions
                .flat_map(|((_, region), rows)| rows.iter().map(|(name, row)| price_line(name, row, Some(region))));
            put(format!("{cloud}/prices.csv"), &PRICES[..6], rows.collect());
        }
    }
    files
}

/// A row per machine and share, with all regions that have it.
fn interruptions(draft: &Draft) -> Vec<String> {
    let mut regions: BTreeMap<(&str, &str, i64, &str), Vec<&str>> = BTreeMap::new();
    for ((cloud, machine, region), (share, source)) in &draft.interruptions {
        regions.entry((cloud, machine, *share, source)).or_default().push(region);
    }
    let row = |((cloud, machine, share, source), regions): ((&str, &str, i64, &str), Vec<&str>)| {
        line([cloud, machine, &decimal(share.into(), terms::PER_PERCENT.into()), &regions.join(";"), source])
    };
    regions.into_iter().map(row).collect()
}

fn price_line(name: &str, row: &PriceRow, region: Option<&str>) -> String {
    let price = |price: &Option<Price>| price.as_ref().map_or(String::new(), |(nano, _)| decimal((*nano).into(), NANO));
    let source = |price: &Option<Price>| price.as_ref().map_or(String::new(), |(_, source)| source.clone());
    let (on_demand, mut spot) = (source(&row.on_demand), source(&row.spot));
    if spot == on_demand {
        spot.clear();
    }
    let cells = [name.to_owned(), price(&row.on_demand), on_demand, price(&row.spot), spot];
    line(cells.into_iter().chain(region.map(str::to_owned)))
}

const NANO: i128 = 1_000_000_000;

/// Header and sorted rows.
fn sheet(header: &[&str], mut rows: Vec<String>) -> String {
    rows.sort_unstable();
    let mut text = header.join(",");
    for row in rows {
        text.push('\n');
        text.push_str(&row);
    }
    text.push('\n');
    text
}

/// One row. Quotes and line breaks cannot be in a cell, so they become plain marks.
fn line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let mut text = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let cell = cell.as_ref().replace('"', "'").replace(['\n', '\r'], " ");
        // A line that starts with `#` would be a comment.
        if cell.contains(',') || (index == 0 && cell.trim_start().starts_with('#')) {
            text.push('"');
            text.push_str(&cell);
            text.push('"');
        } else {
            text.push_str(cell.trim());
        }
    }
    text
}

/// `value / per` as a plain decimal; every `per` here divides a power of ten or two, at most
/// nine decimals are kept.
fn decimal(value: i128, per: i128) -> String {
    let nano = div_half_even(value * NANO, per);
    let text = format!("{}.{:09}", nano / NANO, nano % NANO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
