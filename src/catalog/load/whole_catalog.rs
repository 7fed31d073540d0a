//! From the text of a catalog to [`Catalog`]. Speed matters: all of the shipped text is read on
//! every start, so rows are slices, names are looked up once, and the digest has its own thread.

use super::place_names::PlaceNames;
use super::{
    accelerators, burstable, certifications, cloud_terms, confidential, discounts, dropped_rows,
    interruptions, machine_extras, machines, network_rules, places, price_changes, prices, quotas,
    retirements, round_trips, services,
};
use crate::catalog::catalog_toml::{self, CatalogToml};
use crate::catalog::files::{self, File};
use crate::catalog::format::{self, CATALOG, TableFormat};
use crate::catalog::{Catalog, CatalogError, Source};
use crate::model::{Gigabyte, Place};
use std::path::Path;

/// Reads the catalog in a folder.
pub fn directory(folder: &Path) -> Result<Catalog, CatalogError> {
    from_files(&files::read(folder)?)
}

/// Reads the catalog that is compiled into this program.
pub fn shipped() -> Result<Catalog, CatalogError> {
    with_digest(&files::shipped()?, files::SHIPPED_DIGEST)
}

/// Reads a catalog from its files, which must be sorted by name.
pub fn from_files(files: &[File]) -> Result<Catalog, CatalogError> {
    with_digest(files, "")
}

/// Reads a catalog whose digest is known; empty: it is not.
fn with_digest(files: &[File], known_digest: &str) -> Result<Catalog, CatalogError> {
    let Some(head_file) = files.iter().find(|file| file.name == CATALOG) else {
        return Err(CatalogError::file(
            CATALOG,
            "there is no such file",
            "a catalog is a folder with this file in it",
        ));
    };
    let catalog_head = catalog_toml::read(head_file)?;
    if !known_digest.is_empty() {
        return Ok(Catalog {
            digest: known_digest.to_owned(),
            ..parse_tables(files, &catalog_head)?
        });
    }
    let toml = catalog_toml::text(&catalog_head);
    let (digest, catalog) = std::thread::scope(|scope| {
        let digest = scope.spawn(|| files::digest(files, &toml));
        let catalog = parse_tables(files, &catalog_head);
        (digest.join(), catalog)
    });
    let mut catalog = catalog?;
    // The digest cannot panic; if it ever did, do it again where the panic is seen.
    catalog.digest = digest.unwrap_or_else(|_| files::digest(files, &toml));
    Ok(catalog)
}

/// The file of a table, if the catalog has it.
fn file_of(files: &[File], table: TableFormat) -> Option<&File> {
    files.iter().find(|file| file.name == table.file)
}

/// The sources of `catalog.toml`, by id.
fn catalog_sources(head: &CatalogToml) -> Vec<Source> {
    let source_rows = head.sources.iter().map(|(id, source)| Source {
        id: id.clone(),
        date: source.date.clone(),
        about: source.about.clone(),
        url: source.url.clone(),
        valid_until: source.valid_until.clone(),
    });
    source_rows.collect()
}

/// Reads all tables, in the order in which they need each other.
fn parse_tables(files: &[File], head: &CatalogToml) -> Result<Catalog, CatalogError> {
    let find = |table: TableFormat| file_of(files, table);
    let mut catalog = Catalog {
        sources: catalog_sources(head),
        ..Catalog::default()
    };
    catalog.places = match find(format::PLACES) {
        Some(file) => places::places(file, &catalog.sources)?,
        None => vec![places::this_machine()],
    };
    if let Some(file) = find(format::CERTIFICATIONS) {
        catalog.schemes = certifications::apply(file, &mut catalog.places, &catalog.sources)?;
    }
    let texts: Vec<String> = catalog
        .places
        .iter()
        .map(|place| place.name.to_string())
        .collect();
    let names = PlaceNames::new(&texts);
    if let Some(file) = find(format::ACCELERATORS) {
        catalog.accelerators = accelerators::accelerators(file, &catalog.sources)?;
    }
    if let Some(file) = find(format::CLOUDS) {
        catalog.terms = cloud_terms::clouds(file, &catalog.places, &catalog.sources)?;
    }
    if let Some(file) = find(format::MACHINE_EXTRAS) {
        catalog.extras = machine_extras::read(file, &catalog.places, &catalog.sources)?;
    }
    let (places, sources) = (catalog.places.clone(), catalog.sources.clone());
    let gigabyte = |place: &Place| {
        catalog
            .terms
            .get(&place.name.cloud)
            .map_or(Gigabyte::DECIMAL, |terms| terms.gigabyte)
    };
    let gigabytes: Vec<Gigabyte> = places.iter().map(gigabyte).collect();
    let (network, offers) = std::thread::scope(|scope| {
        // The network needs neither machines nor prices, so they are read side by side. It is what
        // allocates many small things, which is faster here than in another thread.
        let offers = scope.spawn(|| machines_and_offers(files, &mut catalog, &names, &texts));
        let network = || {
            let (egress, throughput) = (find(format::EGRESS), find(format::THROUGHPUT));
            let mut network =
                network_rules::network(&places, &names, &sources, egress, throughput)?;
            network.bill_by(&gigabytes);
            let trips = find(format::ROUND_TRIPS);
            let trips = trips
                .map(|file| round_trips::round_trips(file, &names, &sources))
                .transpose()?;
            Ok((network, trips.unwrap_or_default()))
        };
        let network = network();
        (
            network,
            offers
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    (catalog.network, catalog.round_trips) = network?;
    offers?;
    catalog.date = newest_price_day(&catalog);
    drop_lapsed(files, &mut catalog, &texts)?;
    age_offers(files, &mut catalog)?;
    Ok(catalog)
}

/// Takes prices that have ended by the catalog's own day off the market, and reads the discounts
/// and quotas that still hold on that day.
fn drop_lapsed(
    files: &[File],
    catalog: &mut Catalog,
    texts: &[String],
) -> Result<(), CatalogError> {
    let has_ended =
        |source: &Source| !source.valid_until.is_empty() && source.valid_until < catalog.date;
    let ended_sources: Vec<bool> = catalog.sources.iter().map(has_ended).collect();
    if ended_sources.contains(&true) {
        let offers = std::mem::take(&mut catalog.offers);
        (catalog.lapsed, catalog.offers) = offers
            .into_iter()
            .partition(|offer| ended_sources[usize::from(offer.source)]);
    }
    if let Some(file) = file_of(files, format::DISCOUNTS) {
        discounts::discounts(file, catalog, texts, &ended_sources)?;
    }
    if let Some(file) = file_of(files, format::QUOTAS) {
        catalog.quotas = quotas::quotas(file, catalog, texts, &ended_sources)?;
    }
    Ok(())
}

/// Reads what time does to offers: takes retired machine types off the market and scales prices
/// that are out of date.
fn age_offers(files: &[File], catalog: &mut Catalog) -> Result<(), CatalogError> {
    if let Some(file) = file_of(files, format::DROPPED_ROWS) {
        catalog.dropped = dropped_rows::dropped(file, catalog)?;
    }
    if let Some(file) = file_of(files, format::RETIREMENTS) {
        catalog.retirements = retirements::retirements(file, catalog)?;
        retirements::retire(catalog);
    }
    if let Some(file) = file_of(files, format::PRICE_CHANGES) {
        catalog.price_changes = price_changes::changes(file, catalog)?;
        price_changes::estimate(catalog);
    }
    Ok(())
}

/// Reads the machine types, the services, and the prices of both.
fn machines_and_offers(
    files: &[File],
    catalog: &mut Catalog,
    names: &PlaceNames,
    texts: &[String],
) -> Result<(), CatalogError> {
    catalog.machines = machines::machines(files, catalog)?;
    if let Some(file) = file_of(files, format::BURSTABLE) {
        burstable::apply(file, &mut catalog.machines, &catalog.sources)?;
    }
    let offered_services = match file_of(files, format::SERVICES) {
        Some(file) => {
            let clouds: Vec<&str> = catalog
                .places
                .iter()
                .map(|place| place.name.cloud.as_str())
                .collect();
            services::services(file, &clouds, texts, &catalog.sources)?
        }
        None => Vec::new(),
    };
    if !offered_services.is_empty() {
        // Rows of one service at several places are one entry.
        catalog.machines.extend(
            offered_services
                .iter()
                .flat_map(|offered| &offered.machines)
                .cloned(),
        );
        catalog
            .machines
            .sort_by(|a, b| (&a.cloud, &a.instance_type).cmp(&(&b.cloud, &b.instance_type)));
        catalog.machines.dedup();
    }
    let tee = match file_of(files, format::CONFIDENTIAL) {
        Some(file) => confidential::confidential(file, catalog, texts)?,
        None => Vec::new(),
    };
    if let Some(file) = file_of(files, format::INTERRUPTIONS) {
        catalog.interruptions = interruptions::interruptions(file, catalog, names)?;
    }
    prices::offers(files, catalog, names, &tee, &offered_services)
}

/// The day of the newest source that a price is from; empty: there is no price.
fn newest_price_day(catalog: &Catalog) -> String {
    let mut used_sources = vec![false; catalog.sources.len()];
    for offer in &catalog.offers {
        used_sources[usize::from(offer.source)] = true;
    }
    let days = catalog
        .sources
        .iter()
        .zip(used_sources)
        .filter(|(_, used)| *used)
        .map(|(source, _)| &source.date);
    days.max().cloned().unwrap_or_default()
}
