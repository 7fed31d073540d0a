//! Writes a catalog: sorted rows, one spelling per value, so that equal data is equal bytes.

use crate::catalog::catalog_toml::{self, CatalogToml};
use crate::catalog::draft::{AcceleratorRow, CloudRow, Draft, PlaceRow, Price, PriceRow};
use crate::catalog::format::{
    self, CATALOG, FORMAT, MILLIS_PER_SECOND, PPM, PPM_PER_PERCENT, TableFormat,
};
use crate::model::units::div_half_even;
use std::collections::{BTreeMap, BTreeSet};

/// A cloud with more prices than this has one file per region.
const MOST_PRICES_OF_ONE_FILE: usize = 2000;

/// The files of a catalog, by name: equal rows give equal bytes.
pub(crate) fn files(draft: &Draft) -> BTreeMap<String, String> {
    let head = CatalogToml {
        format: FORMAT,
        sources: draft.sources.clone(),
        ..CatalogToml::default()
    };
    let mut sheets = Sheets::default();
    sheets
        .files
        .insert(CATALOG.to_owned(), catalog_toml::text(&head));
    sheets.put_table(format::PLACES, places_table(draft));
    // Columns that only some catalogs need are left out of the others.
    let width = if draft.accelerators.values().any(|row| !row.kinds.is_empty()) {
        13
    } else {
        12
    };
    let columns = &format::ACCELERATORS.columns[..width];
    sheets.put(
        format::ACCELERATORS.file.to_owned(),
        columns,
        accelerators_table(draft, width),
    );
    sheets.put_table(format::CONFIDENTIAL, confidential_table(draft));
    sheets.put_table(format::BURSTABLE, burstable_table(draft));
    sheets.put_table(format::MACHINE_EXTRAS, machine_extras(draft));
    sheets.put_table(format::CERTIFICATIONS, certifications_table(draft));
    sheets.put_table(format::EGRESS, egress_table(draft));
    sheets.put_table(format::THROUGHPUT, throughput_table(draft));
    sheets.put_table(format::CLOUDS, clouds_table(draft));
    sheets.put_table(format::INTERRUPTIONS, interruptions_table(draft));
    sheets.put_table(format::ROUND_TRIPS, round_trips(draft));
    sheets.put_table(format::SERVICES, services_table(draft));
    sheets.put_table(format::DISCOUNTS, discounts_table(draft));
    sheets.put_table(format::QUOTAS, quotas_table(draft));
    sheets.put_table(format::REGISTERED, registered_table(draft));
    sheets.put_table(format::RETIREMENTS, retirements_table(draft));
    sheets.put_table(format::PRICE_CHANGES, price_changes(draft));
    sheets.put_table(format::DROPPED_ROWS, dropped_rows(draft));
    machines_and_prices(draft, &mut sheets);
    sheets.files
}

/// The texts of the files that have rows, by file name.
#[derive(Default)]
struct Sheets {
    files: BTreeMap<String, String>,
}

impl Sheets {
    /// Adds a file, unless it has no rows.
    fn put(&mut self, name: String, header: &[&str], rows: Vec<String>) {
        if !rows.is_empty() {
            self.files.insert(name, sheet_text(header, rows));
        }
    }

    /// Adds a table with all its columns, unless it has no rows.
    fn put_table(&mut self, table: TableFormat, rows: Vec<String>) {
        self.put(table.file.to_owned(), table.columns, rows);
    }
}

fn places_table(draft: &Draft) -> Vec<String> {
    let place_row = |(name, place): (&String, &PlaceRow)| {
        let cells = [
            name,
            &place.country,
            &place.location,
            &place.operator,
            &place.us_cloud_act,
            &place.source,
            &place.parent,
        ];
        row_line(
            cells
                .into_iter()
                .chain([&place.class, &place.evidence, &place.parent_country]),
        )
    };
    draft.places.iter().map(place_row).collect()
}

/// The rows of accelerators with the first `width` of the columns.
fn accelerators_table(draft: &Draft, width: usize) -> Vec<String> {
    let accelerator_row = |(name, row): (&String, &AcceleratorRow)| {
        let rates = row
            .gigaflops
            .iter()
            .map(|rate| rate.map_or(String::new(), |rate| decimal_text(rate.into(), 1000)));
        let memory = if row.memory == 0 {
            String::new()
        } else {
            decimal_text(row.memory.into(), 1 << 30)
        };
        let texts = [
            row.source.clone(),
            memory,
            row.interconnect.clone(),
            row.topology.clone(),
        ];
        let lists = [
            row.frameworks.join(";"),
            row.evidence.clone(),
            row.kinds.join(";"),
        ];
        row_line(
            [name.clone(), row.aliases.join(";")]
                .into_iter()
                .chain(rates)
                .chain(texts)
                .chain(lists)
                .take(width),
        )
    };
    draft.accelerators.iter().map(accelerator_row).collect()
}

fn confidential_table(draft: &Draft) -> Vec<String> {
    let confidential_rows = draft
        .confidential
        .iter()
        .map(|((cloud, machine, tee), row)| {
            row_line([cloud, machine, tee, &row.places, &row.source, &row.evidence])
        });
    confidential_rows.collect()
}

fn burstable_table(draft: &Draft) -> Vec<String> {
    let burstable_rows =
        draft
            .burstable
            .iter()
            .map(|((cloud, types), (baseline, source, evidence))| {
                let baseline = baseline.map_or(String::new(), |baseline| {
                    decimal_text(baseline.into(), 1000)
                });
                row_line([cloud, types, &baseline, source, evidence])
            });
    burstable_rows.collect()
}

fn machine_extras(draft: &Draft) -> Vec<String> {
    let extras_rows = draft.extras.iter().map(|((cloud, places), cells)| {
        row_line(std::iter::once(cloud).chain(cells).chain([places]))
    });
    extras_rows.collect()
}

fn certifications_table(draft: &Draft) -> Vec<String> {
    let certification_rows =
        draft
            .certifications
            .iter()
            .map(|((scheme, places, operator), row)| {
                row_line([
                    scheme,
                    &row.status,
                    places,
                    &row.source,
                    operator,
                    &row.since,
                    &row.evidence,
                ])
            });
    certification_rows.collect()
}

fn egress_table(draft: &Draft) -> Vec<String> {
    let egress_rows = draft.egress.iter().flat_map(|((from, to), row)| {
        row.tiers.iter().map(move |(above, rate)| {
            let (above, rate) = (
                decimal_text((*above).into(), NANO),
                decimal_text((*rate).into(), NANO),
            );
            row_line([from, to, &above, &rate, &row.source])
        })
    });
    egress_rows.collect()
}

fn throughput_table(draft: &Draft) -> Vec<String> {
    let throughput_rows = draft.throughput.iter().map(|((from, to), (bits, source))| {
        row_line([from, to, &decimal_text((*bits).into(), NANO), source])
    });
    throughput_rows.collect()
}

fn clouds_table(draft: &Draft) -> Vec<String> {
    let optional_figure = |value: Option<i64>, per: i128| {
        value.map_or(String::new(), |value| decimal_text(value.into(), per))
    };
    let cloud_row = |(name, row): (&String, &CloudRow)| {
        let times = row
            .times
            .map(|time| optional_figure(time, MILLIS_PER_SECOND.into()));
        let figures = [
            optional_figure(row.free_egress, NANO),
            optional_figure(row.storage, NANO),
        ];
        let gigabyte = row
            .gigabyte
            .map_or(String::new(), |bytes| bytes.to_string());
        let texts = [row.source.clone(), row.evidence.clone(), gigabyte];
        row_line(
            std::iter::once(name.clone())
                .chain(times)
                .chain(figures)
                .chain(texts),
        )
    };
    draft.clouds.iter().map(cloud_row).collect()
}

fn round_trips(draft: &Draft) -> Vec<String> {
    let round_trip_rows = draft
        .round_trips
        .iter()
        .map(|((from, to), (ms, source))| row_line([from, to, &ms.to_string(), source]));
    round_trip_rows.collect()
}

fn services_table(draft: &Draft) -> Vec<String> {
    let service_rows = draft
        .services
        .iter()
        .map(|((places, service, version, product), row)| {
            let (vcpus, memory) = (
                figure_or_empty(row.vcpu_thousandths, 1000),
                figure_or_empty(row.memory, 1 << 30),
            );
            let price = decimal_text(row.price.into(), NANO);
            row_line([
                places,
                service,
                &row.unit,
                &price,
                &row.source,
                version,
                product,
                &vcpus,
                &memory,
                &row.evidence,
            ])
        });
    service_rows.collect()
}

fn discounts_table(draft: &Draft) -> Vec<String> {
    let discount_rows =
        draft
            .discounts
            .iter()
            .map(|((places, types), (parts, source, evidence))| {
                row_line([
                    places,
                    types,
                    &decimal_text((*parts).into(), PPM_PER_PERCENT.into()),
                    source,
                    evidence,
                ])
            });
    discount_rows.collect()
}

fn quotas_table(draft: &Draft) -> Vec<String> {
    let quota_rows = draft
        .quotas
        .iter()
        .map(|((pattern, what), (most, source, evidence))| {
            row_line([pattern, what, &most.to_string(), source, evidence])
        });
    quota_rows.collect()
}

fn registered_table(draft: &Draft) -> Vec<String> {
    let registration_rows = draft.registered.iter().map(|(cloud, row)| {
        let days = [&row.date, &row.valid_from, &row.valid_until];
        let revision = if row.revision == 0 {
            String::new()
        } else {
            row.revision.to_string()
        };
        row_line([cloud, &row.about].into_iter().chain(days).chain([
            &row.key,
            &row.file_sha256,
            &row.url,
            &revision,
        ]))
    });
    registration_rows.collect()
}

fn retirements_table(draft: &Draft) -> Vec<String> {
    let retirement_rows = draft
        .retirements
        .iter()
        .map(|((cloud, types, places), row)| {
            row_line([cloud, types, &row.day, &row.source, places, &row.evidence])
        });
    retirement_rows.collect()
}

fn price_changes(draft: &Draft) -> Vec<String> {
    let change_rows = draft.changes.iter().map(|((cloud, name, from), row)| {
        row_line([
            cloud,
            name,
            from,
            &row.to,
            &decimal_text(row.ratio_ppm.into(), PPM.into()),
        ])
    });
    change_rows.collect()
}

fn dropped_rows(draft: &Draft) -> Vec<String> {
    let rows = draft
        .dropped
        .iter()
        .map(|((cloud, name, reason, source), rows)| {
            row_line([cloud, name, reason, &rows.to_string(), source])
        });
    rows.collect()
}

/// Puts the machine types and the prices of each cloud into a folder of its name.
fn machines_and_prices(draft: &Draft, sheets: &mut Sheets) {
    let clouds: BTreeSet<&String> = draft
        .machines
        .keys()
        .map(|(cloud, _)| cloud)
        .chain(draft.prices.keys().map(|(cloud, _)| cloud))
        .collect();
    for cloud in clouds {
        put_machines(draft, cloud, sheets);
        put_prices(draft, cloud, sheets);
    }
}

fn put_machines(draft: &Draft, cloud: &str, sheets: &mut Sheets) {
    let of_cloud = || draft.machines.iter().filter(|((of, _), _)| of == cloud);
    let width = if of_cloud().any(|(_, row)| !row.source.is_empty()) {
        7
    } else {
        6
    };
    let machines = of_cloud().map(|((_, name), row)| {
        let (accelerator, count) = match &row.accelerator {
            Some((name, count)) => (name.clone(), decimal_text((*count).into(), 1000)),
            None => Default::default(),
        };
        let (vcpus, memory) = (
            figure_or_empty(row.vcpu_thousandths, 1000),
            figure_or_empty(row.memory, 1 << 30),
        );
        row_line(
            [
                name,
                &vcpus,
                &memory,
                &accelerator,
                &count,
                &row.arch,
                &row.source,
            ]
            .into_iter()
            .take(width),
        )
    });
    sheets.put(
        format!("{cloud}/machines.csv"),
        &format::MACHINES.columns[..width],
        machines.collect(),
    );
}

fn put_prices(draft: &Draft, cloud: &str, sheets: &mut Sheets) {
    let regions = draft.prices.iter().filter(|((of, _), _)| of == cloud);
    if regions.clone().map(|(_, rows)| rows.len()).sum::<usize>() > MOST_PRICES_OF_ONE_FILE {
        for ((_, region), rows) in regions {
            let price_lines = rows.iter().map(|(name, row)| price_line(name, row, None));
            sheets.put(
                format!("{cloud}/{region}.csv"),
                &format::PRICES.columns[..5],
                price_lines.collect(),
            );
        }
    } else {
        let price_lines_of_regions = regions.flat_map(|((_, region), rows)| {
            rows.iter()
                .map(|(name, row)| price_line(name, row, Some(region)))
        });
        sheets.put(
            format!("{cloud}/prices.csv"),
            &format::PRICES.columns[..6],
            price_lines_of_regions.collect(),
        );
    }
}

/// A figure as a decimal; empty: it is 0, which is unknown.
fn figure_or_empty(value: u64, per: i128) -> String {
    if value == 0 {
        String::new()
    } else {
        decimal_text(value.into(), per)
    }
}

/// A row per machine and share, with all regions that have it.
fn interruptions_table(draft: &Draft) -> Vec<String> {
    let mut regions: BTreeMap<(&str, &str, i64, &str), Vec<&str>> = BTreeMap::new();
    for ((cloud, machine, region), (share, source)) in &draft.interruptions {
        regions
            .entry((cloud, machine, *share, source))
            .or_default()
            .push(region);
    }
    let interruption_row =
        |((cloud, machine, share, source), regions): ((&str, &str, i64, &str), Vec<&str>)| {
            row_line([
                cloud,
                machine,
                &decimal_text(share.into(), PPM_PER_PERCENT.into()),
                &regions.join(";"),
                source,
            ])
        };
    regions.into_iter().map(interruption_row).collect()
}

fn price_line(name: &str, row: &PriceRow, region: Option<&str>) -> String {
    let price = |price: &Option<Price>| {
        price.as_ref().map_or(String::new(), |(nano, _)| {
            decimal_text((*nano).into(), NANO)
        })
    };
    let source = |price: &Option<Price>| {
        price
            .as_ref()
            .map_or(String::new(), |(_, source)| source.clone())
    };
    let (on_demand, mut spot) = (source(&row.on_demand), source(&row.spot));
    if spot == on_demand {
        spot.clear();
    }
    let cells = [
        name.to_owned(),
        price(&row.on_demand),
        on_demand,
        price(&row.spot),
        spot,
    ];
    row_line(cells.into_iter().chain(region.map(str::to_owned)))
}

/// Parts of a decimal: nine digits after the point.
const NANO: i128 = 1_000_000_000;

/// Header and sorted rows.
fn sheet_text(header: &[&str], mut rows: Vec<String>) -> String {
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
fn row_line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
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
fn decimal_text(value: i128, per: i128) -> String {
    let nano_units = div_half_even(value * NANO, per);
    let text = format!("{}.{:09}", nano_units / NANO, nano_units % NANO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
