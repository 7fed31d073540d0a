//! From the text of a catalog to [`Catalog`]. Speed matters: all of the shipped text is read on
//! every start, so rows are slices, names are looked up once, and the digest has its own thread.

use crate::catalog::files::{self, CATALOG, File};
use crate::catalog::table::{Row, Table};
use crate::catalog::{
    Accelerator, Catalog, CatalogError, Source, age, burstable, certifications, extras, offers, rules, services, terms,
};
use crate::model::offer::{CLASSES, COMMERCIAL};
use crate::model::{Bytes, Gigabyte, Machine, Place, PlaceName, Reach, geography};
use rustc_hash::FxHashMap as HashMap;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// The format of catalogs that this program reads and writes.
pub const FORMAT: u32 = 1;

pub(crate) const PLACES: &[&str] = &[
    "place",
    "country",
    "location",
    "operator",
    "us_cloud_act",
    "source",
    "parent",
    "class",
    "evidence",
    "parent_country",
];
pub(crate) const MACHINES: &[&str] =
    &["instance_type", "vcpus", "memory_gib", "accelerator", "count", "arch", "source", "cloud"];
pub(crate) const PRICES: &[&str] = &["instance_type", "on_demand", "source", "spot", "spot_source", "region", "place"];
pub(crate) const ACCELERATORS: &[&str] = &[
    "name",
    "aliases",
    "fp32",
    "fp16",
    "bf16",
    "fp8",
    "source",
    "memory_gib",
    "interconnect",
    "topology",
    "frameworks",
    "evidence",
    "kinds",
];
pub(crate) const CONFIDENTIAL: &[&str] = &["cloud", "instance_type", "tee", "places", "source", "evidence"];

/// `catalog.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub format: u32,
    #[serde(default)]
    pub sources: BTreeMap<String, HeadSource>,
    /// Where a catalog is published: its tables, for those who fetch it. Of no other meaning.
    #[serde(default)]
    pub files: Vec<String>,
}

/// `[sources.ID]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadSource {
    pub date: String,
    pub about: String,
    #[serde(default)]
    pub url: String,
    /// The last day that its figures hold.
    #[serde(default)]
    pub valid_until: String,
    /// `full`: what is not in it is not sold in the regions that it has; empty: it is a part of a list.
    #[serde(default)]
    pub list: String,
}

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
fn with_digest(files: &[File], known: &str) -> Result<Catalog, CatalogError> {
    let Some(head_file) = files.iter().find(|file| file.name == CATALOG) else {
        return Err(CatalogError::file(CATALOG, "there is no such file", "a catalog is a folder with this file in it"));
    };
    let head = head(head_file)?;
    if !known.is_empty() {
        return Ok(Catalog { digest: known.to_owned(), ..parse(files, &head)? });
    }
    let toml = super::write::head_text(&head);
    let (digest, catalog) = std::thread::scope(|scope| {
        let digest = scope.spawn(|| files::digest(files, &toml));
        let catalog = parse(files, &head);
        (digest.join(), catalog)
    });
    let mut catalog = catalog?;
    // The digest cannot panic; if it ever did, do it again where the panic is seen.
    catalog.digest = digest.unwrap_or_else(|_| files::digest(files, &toml));
    Ok(catalog)
}

/// Reads `catalog.toml`.
pub(crate) fn head(file: &File) -> Result<Head, CatalogError> {
    let fault = |message: String, offset: Option<Range<usize>>, hint: &str| {
        let before = offset.and_then(|span| file.text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count();
        CatalogError {
            line: u32::try_from(line + 1).unwrap_or(0),
            column: u32::try_from(before.rsplit('\n').next().unwrap_or("").chars().count() + 1).unwrap_or(0),
            text: file.text.lines().nth(line).unwrap_or("").to_owned(),
            ..CatalogError::file(&file.shown, message, hint)
        }
    };
    // The version first: another version may have other keys.
    #[derive(Deserialize)]
    struct Version {
        format: toml::Spanned<u32>,
    }
    let toml_fault = |error: toml::de::Error| {
        fault(
            error.message().replace('\n', " "),
            error.span(),
            "a catalog.toml has format and [sources.ID] with date and about",
        )
    };
    let version: Version = toml::from_str(&file.text).map_err(toml_fault)?;
    if *version.format.get_ref() != FORMAT {
        let message = format!("format {} is not known", version.format.get_ref());
        return Err(fault(message, Some(version.format.span()), "this program reads format 1; use a newer sky"));
    }
    let head: Head = toml::from_str(&file.text).map_err(toml_fault)?;
    for (id, source) in &head.sources {
        let until = &source.valid_until;
        if !until.is_empty() && (until.parse::<jiff::civil::Date>().is_err() || until.len() != 10) {
            let offset = file.text.find(until.as_str()).map(|at| at..at);
            let message = format!("valid_until `{until}` of source `{id}` is not a day");
            return Err(fault(message, offset, "write it like 2026-12-31"));
        }
        if source.date.parse::<jiff::civil::Date>().is_err() || source.date.len() != 10 {
            let offset = file.text.find(&source.date).map(|at| at..at);
            let message = format!("the date `{}` of source `{id}` is not a day", source.date);
            return Err(fault(message, offset, "write it like 2026-08-06"));
        }
        if !matches!(source.list.as_str(), "" | "full") {
            let offset = file.text.find(source.list.as_str()).map(|at| at..at);
            let message = format!("list `{}` of source `{id}` is not known", source.list);
            return Err(fault(message, offset, "write list = \"full\" or leave it out"));
        }
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(fault(
                format!("the source id `{id}` is not plain"),
                None,
                "use letters, digits, `-`, `_`, `.`",
            ));
        }
    }
    Ok(head)
}

/// Place names, found by their text.
pub(crate) struct Names<'a> {
    places: HashMap<&'a str, u32>,
}

impl Names<'_> {
    pub(crate) fn place(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    /// What to do about an unknown place.
    pub(crate) fn place_hint(&self, name: &str) -> String {
        let near = self.places.keys().map(|known| (strsim::levenshtein(known, name), *known)).min();
        match near {
            Some((distance, known)) if distance <= 3 => format!("did you mean `{known}`? else add it to places.csv"),
            _ => "add it to places.csv".to_owned(),
        }
    }
}

fn parse(files: &[File], head: &Head) -> Result<Catalog, CatalogError> {
    let sources: Vec<Source> = head
        .sources
        .iter()
        .map(|(id, source)| Source {
            id: id.clone(),
            date: source.date.clone(),
            about: source.about.clone(),
            url: source.url.clone(),
            valid_until: source.valid_until.clone(),
        })
        .collect();
    let find = |name: &str| files.iter().find(|file| file.name == name);
    let mut catalog = Catalog { sources, ..Catalog::default() };
    catalog.places = match find("places.csv") {
        Some(file) => places(file, &catalog.sources)?,
        None => vec![here()],
    };
    if let Some(file) = find("certifications.csv") {
        catalog.schemes = certifications::apply(file, &mut catalog.places, &catalog.sources)?;
    }
    let texts: Vec<String> = catalog.places.iter().map(|place| place.name.to_string()).collect();
    let ids = texts.iter().zip(0..).map(|(name, id)| (name.as_str(), id)).collect();
    let names = Names { places: ids };
    if let Some(file) = find("accelerators.csv") {
        catalog.accelerators = accelerators(file, &catalog.sources)?;
    }
    if let Some(file) = find("clouds.csv") {
        catalog.terms = terms::clouds(file, &catalog.places, &catalog.sources)?;
    }
    if let Some(file) = find(extras::EXTRAS_FILE) {
        catalog.extras = extras::read(file, &catalog.places, &catalog.sources)?;
    }
    let (places, sources) = (catalog.places.clone(), catalog.sources.clone());
    let gigabyte =
        |place: &Place| catalog.terms.get(&place.name.cloud).map_or(Gigabyte::DECIMAL, |terms| terms.gigabyte);
    let gigabytes: Vec<Gigabyte> = places.iter().map(gigabyte).collect();
    let (network, rest) = std::thread::scope(|scope| {
        // The network needs neither machines nor prices, so they are read side by side. It is what
        // allocates many small things, which is faster here than in another thread.
        let rest = scope.spawn(|| machines_and_offers(files, &mut catalog, &names, &texts));
        let network = || {
            let mut network = rules::network(&places, &names, &sources, find("egress.csv"), find("throughput.csv"))?;
            network.bill_by(&gigabytes);
            let trips = find("round_trips.csv").map(|file| terms::round_trips(file, &names, &sources)).transpose()?;
            Ok((network, trips.unwrap_or_default()))
        };
        let network = network();
        (network, rest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    (catalog.network, catalog.round_trips) = network?;
    rest?;
    catalog.date = newest(&catalog);
    directory_rows(files, &mut catalog, &texts)?;
    age::apply(files, &mut catalog)?;
    Ok(catalog)
}

/// What joined the catalog: prices that have ended by the catalog's own day are not offered, and
/// discounts and quotas hold as long.
fn directory_rows(files: &[File], catalog: &mut Catalog, texts: &[String]) -> Result<(), CatalogError> {
    let has_ended = |source: &Source| !source.valid_until.is_empty() && source.valid_until < catalog.date;
    let ended: Vec<bool> = catalog.sources.iter().map(has_ended).collect();
    if ended.contains(&true) {
        let offers = std::mem::take(&mut catalog.offers);
        (catalog.lapsed, catalog.offers) = offers.into_iter().partition(|offer| ended[usize::from(offer.source)]);
    }
    let find = |name: &str| files.iter().find(|file| file.name == name);
    if let Some(file) = find("discounts.csv") {
        services::discounts(file, catalog, texts, &ended)?;
    }
    if let Some(file) = find("quotas.csv") {
        catalog.quotas = services::quotas(file, catalog, texts, &ended)?;
    }
    Ok(())
}

fn machines_and_offers(
    files: &[File],
    catalog: &mut Catalog,
    names: &Names,
    texts: &[String],
) -> Result<(), CatalogError> {
    catalog.machines = machines(files, catalog)?;
    if let Some(file) = files.iter().find(|file| file.name == burstable::BURSTABLE_FILE) {
        burstable::apply(file, &mut catalog.machines, &catalog.sources)?;
    }
    let offered = match files.iter().find(|file| file.name == services::SERVICES_FILE) {
        Some(file) => {
            let clouds: Vec<&str> = catalog.places.iter().map(|place| place.name.cloud.as_str()).collect();
            services::services(file, &clouds, texts, &catalog.sources)?
        }
        None => Vec::new(),
    };
    if !offered.is_empty() {
        // Rows of one service at several places are one entry.
        catalog.machines.extend(offered.iter().flat_map(|offered| &offered.machines).cloned());
        catalog.machines.sort_by(|a, b| (&a.cloud, &a.instance_type).cmp(&(&b.cloud, &b.instance_type)));
        catalog.machines.dedup();
    }
    let tee = match files.iter().find(|file| file.name == "confidential.csv") {
        Some(file) => offers::confidential(file, catalog, texts)?,
        None => Vec::new(),
    };
    if let Some(file) = files.iter().find(|file| file.name == "interruptions.csv") {
        catalog.interruptions = terms::interruptions(file, catalog, names)?;
    }
    offers::offers(files, catalog, names, &tee, &offered)
}

/// The day of the newest source that a price is from.
fn newest(catalog: &Catalog) -> String {
    let mut used = vec![false; catalog.sources.len()];
    for offer in &catalog.offers {
        used[usize::from(offer.source)] = true;
    }
    let days = catalog.sources.iter().zip(used).filter(|(_, used)| *used).map(|(source, _)| &source.date);
    days.max().cloned().unwrap_or_default()
}

/// The machine that sky runs on.
fn here() -> Place {
    Place {
        name: PlaceName::here(),
        country: None,
        location: "this machine".to_owned(),
        operator: "you".to_owned(),
        parent: "you".to_owned(),
        parent_country: None,
        certifications: BTreeSet::new(),
        cloud_act: Reach::No,
        class: COMMERCIAL.to_owned(),
    }
}

fn places(file: &File, sources: &[Source]) -> Result<Vec<Place>, CatalogError> {
    let mut rows: Vec<(Place, Row)> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, PLACES, 1)?;
    while let Some(row) = table.next_row()? {
        let text = row.required(0)?;
        let name = PlaceName::parse(text)
            .ok_or_else(|| row.error(0, format!("`{text}` is not a place"), "write `cloud:region`"))?;
        if name.cloud == "local" {
            return Err(row.error(0, "the cloud `local` is this machine", "give the cloud another name"));
        }
        let country = country_of(&row, 1)?;
        let cloud_act = match row.cell(4) {
            "no" => Reach::No,
            "yes" => Reach::Yes,
            "contested" => Reach::Contested,
            "" | "unknown" => Reach::Unknown,
            other => {
                let hint = "write yes, no, contested or unknown";
                return Err(row.error(4, format!("`{other}` is none of the answers"), hint));
            }
        };
        if !row.cell(5).is_empty() {
            rules::source(&row, 5, sources)?;
        }
        let class = match row.cell(7) {
            "" => COMMERCIAL,
            known if CLASSES.iter().any(|(name, _)| *name == known) => known,
            other => {
                let hint = format!("write {}", CLASSES.map(|(name, _)| name).join(", "));
                return Err(row.error(7, format!("unknown class `{other}`"), hint));
            }
        };
        let place = Place {
            name,
            country,
            location: row.cell(2).to_owned(),
            operator: row.cell(3).to_owned(),
            parent: row.cell(6).to_owned(),
            parent_country: country_of(&row, 9)?,
            certifications: BTreeSet::new(),
            cloud_act,
            class: class.to_owned(),
        };
        rows.push((place, row));
    }
    rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].0.name == pair[1].0.name) {
        let late = if pair[0].1.line > pair[1].1.line { &pair[0] } else { &pair[1] };
        return Err(late.1.error(0, format!("`{}` is there twice", late.0.name), "keep one of the rows"));
    }
    let mut places: Vec<Place> = rows.into_iter().map(|(place, _)| place).collect();
    let at = places.partition_point(|place| place.name < PlaceName::here());
    places.insert(at, here());
    Ok(places)
}

/// A country, if the cell has one.
fn country_of(row: &Row, column: usize) -> Result<Option<String>, CatalogError> {
    match row.cell(column) {
        "" => Ok(None),
        code if geography::COUNTRIES.split_whitespace().any(|known| known == code) => Ok(Some(code.to_owned())),
        code => {
            let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it empty if unknown";
            Err(row.error(column, format!("unknown country `{code}`"), hint))
        }
    }
}

fn accelerators(file: &File, sources: &[Source]) -> Result<BTreeMap<String, Accelerator>, CatalogError> {
    let mut accelerators = BTreeMap::new();
    let mut seen: HashMap<String, u32> = HashMap::default();
    let mut table = Table::open(&file.shown, &file.text, ACCELERATORS, 1)?;
    while let Some(row) = table.next_row()? {
        let name = row.required(0)?;
        let aliases = list(row.cell(1));
        for (column, text) in std::iter::once((0, name)).chain(aliases.iter().map(|alias| (1, alias.as_str()))) {
            if let Some(line) = seen.insert(text.to_ascii_lowercase(), row.line) {
                let message = format!("`{text}` already names the accelerator of line {line}");
                return Err(row.error(column, message, "a name may stand for one accelerator only"));
            }
        }
        let mut gigaflops = BTreeMap::new();
        for (column, precision) in ACCELERATORS.iter().enumerate().take(6).skip(2) {
            if !row.cell(column).is_empty() {
                let rate = row.number(column, 1000, "312")?.unsigned_abs();
                gigaflops.insert((*precision).to_owned(), rate);
            }
        }
        if !row.cell(6).is_empty() {
            rules::source(&row, 6, sources)?;
        }
        let memory = if row.cell(7).is_empty() { 0 } else { row.number(7, 1 << 30, "80")? };
        let accelerator = Accelerator {
            aliases,
            gigaflops,
            memory: Bytes(memory.unsigned_abs()),
            interconnect: row.cell(8).to_owned(),
            topology: row.cell(9).to_owned(),
            frameworks: list(row.cell(10)),
            kinds: list(row.cell(12)),
        };
        accelerators.insert(name.to_owned(), accelerator);
    }
    let kinds: Vec<String> = accelerators.values().flat_map(|row| row.kinds.iter().cloned()).collect();
    for kind in kinds {
        accelerators.entry(kind).or_default();
    }
    Ok(accelerators)
}

/// The parts of a cell that are separated by `;`.
pub(crate) fn list(cell: &str) -> Vec<String> {
    cell.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The cloud that a file in a folder is about, and its file name without `.csv`.
pub(crate) fn folder_and_stem(name: &str) -> Option<(&str, &str)> {
    let (cloud, file) = name.split_once('/')?;
    Some((cloud, file.strip_suffix(".csv")?))
}

fn machines(files: &[File], catalog: &mut Catalog) -> Result<Vec<Machine>, CatalogError> {
    let mut rows: Vec<(Machine, Row)> = Vec::new();
    // Names are folded once, not per row.
    let mut canonical: HashMap<&str, String> = HashMap::default();
    for file in files {
        let folder = match folder_and_stem(&file.name) {
            Some((cloud, "machines")) => Some(cloud),
            None if file.name == "machines.csv" => None,
            _ => continue,
        };
        let mut table = Table::open(&file.shown, &file.text, MACHINES, 3)?;
        if folder.is_none() && !table.has(7) {
            let hint = "add a column `cloud`, or move the file to a folder of the cloud's name";
            return Err(CatalogError::file(&file.shown, "there is no column `cloud`", hint));
        }
        while let Some(row) = table.next_row()? {
            let cloud = match folder {
                Some(cloud) => cloud,
                None => row.required(7)?,
            };
            if !row.cell(6).is_empty() {
                rules::source(&row, 6, &catalog.sources)?;
            }
            let accelerator = match row.cell(3) {
                "" => None,
                name => {
                    let canonical = canonical.entry(name).or_insert_with(|| match catalog.accelerator_name(name) {
                        Some(known) => known.to_owned(),
                        None => {
                            catalog.accelerators.insert(name.to_owned(), Accelerator::default());
                            name.to_owned()
                        }
                    });
                    let count = match row.cell(4) {
                        "" => 1000,
                        _ => row.number(4, 1000, "8")?,
                    };
                    let count = u32::try_from(count).ok().filter(|count| *count > 0);
                    let Some(count) = count else {
                        let message = format!("`{}` is not a count of accelerators", row.cell(4));
                        return Err(row.error(4, message, "write how many there are, such as 8"));
                    };
                    Some((canonical.clone(), count))
                }
            };
            let arch = match row.cell(5) {
                text @ ("" | "x86_64" | "arm64") => text,
                other => {
                    let hint = "write x86_64 or arm64; leave it empty if unknown";
                    return Err(row.error(5, format!("unknown architecture `{other}`"), hint));
                }
            };
            let figure = |column, per_unit, example| match row.cell(column) {
                "" => Ok(0),
                _ => row.number(column, per_unit, example).map(i64::unsigned_abs),
            };
            let machine = Machine {
                cloud: cloud.to_owned(),
                instance_type: row.required(0)?.to_owned(),
                vcpu_thousandths: figure(1, 1000, "8")?,
                memory: Bytes(figure(2, 1 << 30, "32")?),
                accelerator,
                arch: arch.to_owned(),
                baseline_vcpu_thousandths: None,
                service: None,
            };
            rows.push((machine, row));
        }
    }
    let key = |machine: &Machine| (machine.cloud.clone(), machine.instance_type.clone());
    if !rows.is_sorted_by(|(a, _), (b, _)| (&a.cloud, &a.instance_type) <= (&b.cloud, &b.instance_type)) {
        rows.sort_by_cached_key(|(machine, _)| key(machine));
    }
    if let Some(pair) = rows.windows(2).find(|pair| key(&pair[0].0) == key(&pair[1].0)) {
        let late = if pair[0].1.line > pair[1].1.line { &pair[0] } else { &pair[1] };
        let message = format!("`{}` is there twice", late.0.instance_type);
        return Err(late.1.error(0, message, "keep one of the rows"));
    }
    Ok(rows.into_iter().map(|(machine, _)| machine).collect())
}
