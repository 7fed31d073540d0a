//! Catalogs in our own format, from a folder or an address.
//!
//! At an address, `catalog.toml` is the index: its `files` names the tables. Without that key
//! the usual names at its side are tried.

use super::endpoints::below;
use super::http_client::HttpClient;
use super::source_answer::AnswerData;
use super::source_request::SourceRequest;
use super::{Fault, cached_body};
use crate::catalog::catalog_toml;
use crate::catalog::draft::{Draft, PriceRow};
use crate::catalog::files::{self, CATALOG};
use crate::feeds::ImportReport;
use reqwest::Url;
use std::path::Path;

/// Most tables of a catalog that is fetched, and most bytes of all of them.
const MAX_FILES: usize = 500;
const MAX_TOTAL_BYTES: u64 = 256 << 20;

/// Tables that are looked for where the index names none.
const USUAL_TABLES: [&str; 12] = [
    "burstable.csv",
    "machine_extras.csv",
    "places.csv",
    "machines.csv",
    "prices.csv",
    "accelerators.csv",
    "confidential.csv",
    "egress.csv",
    "throughput.csv",
    "clouds.csv",
    "interruptions.csv",
    "round_trips.csv",
];

pub(super) async fn fetch(http: &HttpClient, request: &SourceRequest) -> Result<AnswerData, Fault> {
    let Some(from) = request.endpoints.own.as_deref() else {
        return Ok(AnswerData::skip(
            "no catalog is named: --from, or SKY_CATALOG_URL".to_owned(),
        ));
    };
    let plain_fault = |error: crate::catalog::CatalogError| Fault(error.to_string());
    let url = match Url::parse(from) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            let files = files::read(Path::new(from)).map_err(plain_fault)?;
            return Ok(AnswerData::own(
                Draft::read(&files).map_err(plain_fault)?,
                Vec::new(),
            ));
        }
    };
    let mut folder = url.clone();
    folder.set_path(url.path().trim_end_matches(CATALOG));
    let get_file = async |name: &str| {
        let address = below(&folder, name);
        let fetched_body =
            cached_body::fetch(http, "catalog", &address, "catalog", files::MAX_FILE_BYTES).await?;
        let bytes = crate::util::file::read_within(&fetched_body.path, files::MAX_FILE_BYTES);
        let bytes = bytes.map_err(|error| Fault(error.to_string()))?;
        let file = files::file(name.to_owned(), address.to_string(), bytes).map_err(plain_fault)?;
        Ok::<_, Fault>((file, fetched_body))
    };
    let (index, mark) = get_file(CATALOG).await?;
    let named_files = catalog_toml::read(&index).map_err(plain_fault)?.files;
    if named_files.len() > MAX_FILES {
        return Err(Fault(format!(
            "{CATALOG} names {} files, and no catalog has more than {MAX_FILES}",
            named_files.len()
        )));
    }
    let (mut files, mut marks) = (vec![index], vec![mark]);
    let mut total_bytes = 0;
    for name in named_files
        .iter()
        .map(String::as_str)
        .chain(USUAL_TABLES.into_iter().filter(|_| named_files.is_empty()))
    {
        if !is_table(name) {
            return Err(Fault(format!(
                "{CATALOG} names a file that is not a table beside it: `{name}`"
            )));
        }
        match get_file(name).await {
            Ok((file, mark)) => {
                total_bytes += file.text.len() as u64;
                if total_bytes > MAX_TOTAL_BYTES {
                    return Err(Fault(format!(
                        "the tables of {CATALOG} are larger than {} MiB",
                        MAX_TOTAL_BYTES >> 20
                    )));
                }
                files.push(file);
                marks.push(mark);
            }
            Err(fault) if named_files.is_empty() && fault.0.ends_with(" answers 404 Not Found") => {
            }
            Err(fault) => return Err(fault),
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(AnswerData::own(
        Draft::read(&files).map_err(plain_fault)?,
        marks,
    ))
}

/// `prices.csv` or `acme/prices.csv`; nothing that leads elsewhere.
fn is_table(name: &str) -> bool {
    let path_parts: Vec<&str> = name.split('/').collect();
    let is_plain_part = |part: &&str| {
        !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '?', '#', '%'])
    };
    name.ends_with(".csv") && path_parts.len() <= 2 && path_parts.iter().all(is_plain_part)
}

/// Lays a catalog over another one: its prices where they are not older, all its other rows.
pub(super) fn apply(
    mut other: Draft,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), Fault> {
    let today = crate::util::clock::today().to_string();
    for (id, source) in &other.sources {
        if source.date > today {
            return Err(Fault(format!(
                "its source `{id}` is of {}, which is yet to come",
                source.date
            )));
        }
        if draft.sources.get(id).is_some_and(|mine| mine != source) {
            return Err(Fault(format!(
                "its source `{id}` is another one than the catalog's source of that name"
            )));
        }
    }
    let prices = std::mem::take(&mut other.prices);
    for (what, count) in [
        ("places", other.places.len()),
        ("machines", other.machines.len()),
        ("accelerators", other.accelerators.len()),
        ("confidential families", other.confidential.len()),
        ("burstable families", other.burstable.len()),
        ("extras of machines", other.extras.len()),
        ("egress rules", other.egress.len()),
        ("throughput rules", other.throughput.len()),
        ("terms of clouds", other.clouds.len()),
        ("interruption rates", other.interruptions.len()),
        ("round trips", other.round_trips.len()),
    ] {
        if count > 0 {
            report.taken.insert(what.to_owned(), count);
        }
    }
    draft.merge(other);
    for ((cloud, region), rows) in prices {
        for (machine, row) in rows {
            if row != PriceRow::default() {
                draft.put_price(&cloud, &region, &machine, row);
                report.take(format!("{cloud}: prices"));
            }
        }
    }
    Ok(())
}
