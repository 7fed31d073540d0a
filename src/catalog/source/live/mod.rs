//! Live prices: sources that are asked over HTTP, one file per source.
//!
//! First every source is asked, at the same time and into the cache; the catalog is read and
//! written only then, in one step. So what ends this program before that leaves the catalog as it
//! was, and the next update goes on with what the cache has. A source that fails leaves the rows
//! that the catalog has of it. Sources are laid over each other in a fixed order, and a figure
//! gives way to one of the same day or a later one only: what a cloud says itself comes last.

mod advisor;
mod aws;
#[cfg(feature = "aws")]
mod aws_ec2;
mod aws_json;
mod azure;
mod changes;
mod endpoints;
mod file;
mod gcp;
mod http;
mod lay;
mod own;
mod pages;
mod quotes;
mod skypilot;
#[cfg(test)]
mod tests;

pub use changes::{Changes, Kept};
pub use endpoints::{Endpoints, VARIABLES};
pub use http::Fault;

use super::{Importer, Options, Report};
use crate::catalog::draft::{Draft, MachineRow};
use crate::catalog::{CatalogError, files};
use crate::model::Pattern;
use file::Fetched;
use http::Http;
use jiff::civil::Date;
use pages::Pages;
use quotes::Quotes;
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// A source: name, clouds that it has (none: any), what it is.
pub const SOURCES: &[(&str, &[&str], &str)] = &[
    ("skypilot", &[], "SkyPilot's hosted catalogs of 28 clouds, CSV"),
    ("azure", &["azure"], "Azure Retail Prices API"),
    ("gcp", &["gcp"], "GCP Cloud Billing Catalog API; needs a key in SKY_GCP_API_KEY or GOOGLE_API_KEY"),
    ("aws", &["aws"], "AWS's public price list, the files of all regions"),
    #[cfg(feature = "aws")]
    ("aws-spot", &["aws"], "spot prices and instance types that an AWS account sees; needs credentials"),
    ("aws-spot-advisor", &["aws"], "AWS's spot advisor feed: how often spot machines are interrupted"),
    ("catalog", &[], "a catalog in sky's own format: --from, or SKY_CATALOG_URL"),
];

/// How to ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where answers are kept.
    pub cache: PathBuf,
    pub endpoints: Endpoints,
    /// Attempts after the first one.
    pub retries: usize,
    /// Before the first of them; doubled from one to the next.
    pub first_wait: Duration,
    /// Without a byte for so long, an attempt has failed.
    pub timeout: Duration,
    /// Largest body that any source may answer, unpacked, in bytes; each source has a limit of its own besides.
    pub largest: u64,
    pub gcp_key: Option<String>,
    /// There are credentials that AWS's SDK will find.
    pub aws_credentials: bool,
}

impl Settings {
    /// What is done where nothing else is said.
    pub fn usual(cache: PathBuf, endpoints: Endpoints) -> Self {
        Self {
            cache,
            endpoints,
            retries: RETRIES,
            first_wait: FIRST_WAIT,
            timeout: Duration::from_secs(TIMEOUT_S),
            largest: u64::MAX,
            gcp_key: None,
            aws_credentials: false,
        }
    }
}

/// Attempts after the first one.
pub const RETRIES: usize = 3;

/// Before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Seconds without an answer after which an attempt has failed.
pub const TIMEOUT_S: u64 = 30;

/// The body at an address, of at most so many bytes: asked for as sources are, with the same
/// retries, time limits and rules for redirects.
pub(crate) fn body(url: &Url, most: usize) -> Result<Vec<u8>, Fault> {
    struct Silent;
    impl Watch for Silent {
        fn tell(&self, _: &str, _: &News<'_>) {}
    }
    let endpoints = Endpoints::new(|_| None).map_err(|error| Fault(error.to_string()))?;
    // Nothing of it is kept.
    let http = Http::new(&Settings::usual(PathBuf::new(), endpoints), Rc::new(Silent))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault(error.to_string()))?;
    let body = runtime.block_on(http.body("", url, &reqwest::header::HeaderMap::new(), most));
    // A look-up of a name that hangs must not keep the program.
    runtime.shutdown_background();
    body.map(|body| body.bytes)
}

/// What is asked for; empty: everything.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub clouds: Vec<String>,
    pub sources: Vec<String>,
    /// Patterns of regions, `us-*`, or of places, `aws:us-east-1`.
    pub regions: Vec<Pattern>,
}

/// What happens while sources are asked.
#[derive(Debug)]
pub enum News<'a> {
    Bytes {
        done: u64,
        total: Option<u64>,
    },
    Page {
        pages: u32,
    },
    /// A download goes on where it broke off.
    Resumed {
        at: u64,
    },
    /// A list goes on after these pages.
    ResumedPages {
        pages: u32,
    },
    /// An attempt failed; the next one follows.
    Again {
        why: &'a str,
        wait: Duration,
    },
    /// A source has been asked.
    Done,
}

/// Who is told.
pub trait Watch {
    /// `unit` is the source, and what of it.
    fn tell(&self, unit: &str, news: &News<'_>);
}

/// How one source, or one part of it, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Updated,
    /// It has nothing that the catalog did not have.
    Unchanged,
    /// It was not asked: why.
    Skipped(String),
    /// The rows that the catalog had stay: why.
    Failed(String),
}

/// What became of one source, or one part of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub source: &'static str,
    /// Empty: of several.
    pub cloud: String,
    /// A region of the cloud; empty: all of them.
    pub part: String,
    pub status: Status,
    /// The day of its figures.
    pub day: Option<Date>,
    pub report: Report,
    pub changes: Changes,
    /// What the catalog has of it, if it failed.
    pub kept: Option<Kept>,
}

/// What an update did.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub outcomes: Vec<Outcome>,
    /// Files of the catalog whose text is new or changed.
    pub changed: Vec<String>,
    /// The folder was not there: it was made from the shipped catalog.
    pub created: bool,
}

/// What sources are told: what to ask for, and where.
struct Job {
    endpoints: Endpoints,
    wanted: Wanted,
    gcp_key: Option<String>,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only the SDK needs them"))]
    aws_credentials: bool,
    /// `cloud:region` of the places that the catalog has.
    places: BTreeSet<String>,
    /// Sizes of GCP's machines: its prices are those of parts.
    machines: BTreeMap<String, MachineRow>,
}

impl Job {
    fn wants(&self, cloud: &str) -> bool {
        self.wanted.clouds.is_empty() || self.wanted.clouds.iter().any(|wanted| wanted == cloud)
    }
}

/// What a source, or a part of it, has answered.
struct Harvest {
    source: &'static str,
    cloud: String,
    part: String,
    result: Result<Yield, Fault>,
}

impl Harvest {
    fn new(source: &'static str, cloud: &str, part: &str, result: Result<Yield, Fault>) -> Self {
        Self { source, cloud: cloud.to_owned(), part: part.to_owned(), result }
    }
}

/// What is to be laid over the catalog.
enum Load {
    Quotes(Box<Quotes>),
    Import(Importer, PathBuf, Box<Options>),
    Own(Box<Draft>),
    Skip(String),
}

/// What a source has answered, and what of the cache is used up or confirmed by using it.
struct Yield {
    load: Load,
    day: Option<Date>,
    notes: Vec<String>,
    bodies: Vec<Fetched>,
    pages: Vec<Pages>,
}

impl Yield {
    fn of(load: Load) -> Self {
        Self { load, day: None, notes: Vec::new(), bodies: Vec::new(), pages: Vec::new() }
    }

    fn quotes(quotes: Quotes) -> Self {
        Self { day: Some(quotes.day), ..Self::of(Load::Quotes(Box::new(quotes))) }
    }

    fn import(importer: Importer, fetched: Fetched, options: Options, day: Date, notes: Vec<String>) -> Self {
        let load = Load::Import(importer, fetched.path.clone(), Box::new(options));
        Self { day: Some(day), notes, bodies: vec![fetched], ..Self::of(load) }
    }

    fn own(draft: Draft, bodies: Vec<Fetched>) -> Self {
        let day = draft.sources.values().filter_map(|source| source.date.parse().ok()).max();
        Self { day, bodies, ..Self::of(Load::Own(Box::new(draft))) }
    }

    fn skip(why: String) -> Self {
        Self::of(Load::Skip(why))
    }

    fn with_pages(mut self, pages: Pages) -> Self {
        self.pages.push(pages);
        self
    }

    /// What was used need not be asked for again.
    fn used(&self) -> Result<(), Fault> {
        self.pages.iter().for_each(Pages::drop);
        self.bodies.iter().try_for_each(Fetched::approve)
    }
}

/// What an update needs to know of the catalog, read before anything is asked.
fn read(out: &Path) -> Result<(Vec<files::File>, bool), CatalogError> {
    if out.join(files::CATALOG).exists() {
        return Ok((files::read(out)?, false));
    }
    if out.is_file() {
        return Err(CatalogError::file(out.display().to_string(), "this is a file, not a catalog", "name a folder"));
    }
    let empty = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(super::foreign::unreadable(out, &error)),
    };
    if !empty {
        let hint = "name a catalog, a new folder, or nothing: ./catalog";
        return Err(CatalogError::file(out.display().to_string(), "this folder is no catalog", hint));
    }
    Ok((files::shipped()?, true))
}

/// The sources that are asked.
fn chosen(wanted: &Wanted, endpoints: &Endpoints) -> Result<Vec<&'static str>, CatalogError> {
    let names: Vec<&str> = SOURCES.iter().map(|(name, ..)| *name).collect();
    if let Some(unknown) = wanted.sources.iter().find(|name| !names.contains(&name.as_str())) {
        let hint = match unknown.as_str() {
            "aws-spot" => "this sky was built without it: cargo install with --features aws".to_owned(),
            _ => format!("the sources are {}", names.join(", ")),
        };
        return Err(CatalogError::file("--source", format!("there is no source `{unknown}`"), hint));
    }
    let of_skypilot = |cloud: &str| skypilot::CLOUDS.iter().any(|(_, ours)| *ours == cloud);
    let known: BTreeSet<&str> = SOURCES
        .iter()
        .flat_map(|(_, clouds, _)| clouds.iter().copied())
        .chain(skypilot::CLOUDS.iter().map(|(_, ours)| *ours))
        .collect();
    if let Some(unknown) = wanted.clouds.iter().find(|cloud| !known.contains(cloud.as_str())) {
        let hint = format!("the clouds are {}", known.into_iter().collect::<Vec<_>>().join(", "));
        return Err(CatalogError::file("--cloud", format!("no source has the cloud `{unknown}`"), hint));
    }
    let serves = |name: &str, clouds: &[&str]| match name {
        _ if wanted.clouds.is_empty() => true,
        "skypilot" => wanted.clouds.iter().any(|cloud| of_skypilot(cloud)),
        _ => wanted.clouds.iter().any(|cloud| clouds.contains(&cloud.as_str())),
    };
    let asked = |name: &str, clouds: &[&str]| match wanted.sources.iter().any(|source| source == name) {
        // An own catalog is of any cloud.
        true => name == "catalog" || serves(name, clouds),
        false => wanted.sources.is_empty() && serves(name, clouds) && (name != "catalog" || endpoints.own.is_some()),
    };
    let chosen: Vec<&str> =
        SOURCES.iter().filter(|(name, clouds, _)| asked(name, clouds)).map(|(name, ..)| *name).collect();
    if chosen.is_empty() {
        return Err(CatalogError::file("--cloud", "none of the named sources has that cloud", "leave --source out"));
    }
    Ok(chosen)
}

/// Patterns of regions must match a place: one that does not is a slip, and nothing would be fetched.
fn check_regions(wanted: &Wanted, places: &BTreeSet<String>) -> Result<(), CatalogError> {
    let of_clouds: Vec<(&str, &str)> = places
        .iter()
        .filter_map(|place| place.split_once(':'))
        .filter(|(cloud, _)| wanted.clouds.is_empty() || wanted.clouds.iter().any(|wanted| wanted == cloud))
        .collect();
    for pattern in &wanted.regions {
        let one = std::slice::from_ref(pattern);
        if of_clouds.iter().any(|(cloud, region)| lay::asked_for(one, cloud, region)) {
            continue;
        }
        let text = pattern.0.as_str();
        let name = |(cloud, region): &(&str, &str)| match text.contains(':') {
            true => format!("{cloud}:{region}"),
            false => (*region).to_owned(),
        };
        // Of `us-*` that matches nothing, the letters before the star are compared.
        let letters = text.trim_end_matches('*');
        let distance = |known: &str| {
            let start = if text.ends_with('*') { known.get(..letters.len()).unwrap_or(known) } else { known };
            strsim::damerau_levenshtein(letters, start)
        };
        let mut near: Vec<(usize, String)> = of_clouds.iter().map(name).map(|name| (distance(&name), name)).collect();
        near.sort();
        near.dedup();
        near.retain(|(distance, _)| *distance <= 3 && *distance < letters.len().max(2));
        let names: Vec<String> = near.into_iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
        let hint = match names.as_slice() {
            [] => "write a region such as us-east-1, a pattern such as `us-*`, or a place such as aws:us-east-1; \
                   `sky catalog show` has the clouds"
                .to_owned(),
            names => format!("did you mean {}?", names.join(" or ")),
        };
        let of = match wanted.clouds.as_slice() {
            [] => "the catalog".to_owned(),
            clouds => clouds.join(", "),
        };
        return Err(CatalogError::file("--region", format!("no place of {of} matches `{text}`"), hint));
    }
    Ok(())
}

/// Asks the sources, and lays what they say over the catalog in `out`, which is created from the
/// shipped one if it is not there.
pub async fn update(
    wanted: &Wanted,
    settings: &Settings,
    out: &Path,
    watch: Rc<dyn Watch>,
) -> Result<Update, CatalogError> {
    let chosen = chosen(wanted, &settings.endpoints)?;
    let known = Draft::read(&read(out)?.0)?;
    let places: BTreeSet<String> = known.places.into_keys().collect();
    check_regions(wanted, &places)?;
    let shown = settings.cache.display().to_string();
    let unusable = |why: String| CatalogError::file(&shown, why, "name another folder with --cache");
    crate::util::cache::create(&settings.cache).map_err(|error| unusable(error.to_string()))?;
    let _lock = lock(&settings.cache)?;
    let http = Rc::new(Http::new(settings, watch.clone()).map_err(|fault| unusable(fault.0))?);
    let machines = known.machines.into_iter().filter(|((cloud, _), _)| cloud == "gcp");
    let job = Rc::new(Job {
        endpoints: settings.endpoints.clone(),
        wanted: wanted.clone(),
        gcp_key: settings.gcp_key.clone(),
        aws_credentials: settings.aws_credentials,
        places,
        machines: machines.map(|((_, name), row)| (name, row)).collect(),
    });
    let tasks = tokio::task::LocalSet::new();
    let mut asked = Vec::new();
    for name in &chosen {
        asked.push(tasks.spawn_local(ask(name, http.clone(), job.clone())));
    }
    let mut harvests = Vec::new();
    let gathered = tasks.run_until(async {
        for task in asked {
            harvests.extend(task.await.map_err(|error| unusable(format!("a source was not asked: {error}")))?);
        }
        Ok::<_, CatalogError>(())
    });
    gathered.await?;
    let update = lay::apply(harvests, &wanted.regions, out);
    file::prune(&settings.cache);
    update
}

async fn ask(name: &'static str, http: Rc<Http>, job: Rc<Job>) -> Vec<Harvest> {
    let one = |cloud: &str, result| vec![Harvest::new(name, cloud, "", result)];
    let mut harvests = match name {
        "skypilot" => skypilot::fetch(http.clone(), job.clone()).await,
        "azure" => one("azure", azure::fetch(&http, &job).await),
        "gcp" => one("gcp", gcp::fetch(&http, &job).await),
        "aws" => aws::fetch(http.clone(), job.clone()).await,
        #[cfg(feature = "aws")]
        "aws-spot" => aws_ec2::fetch(http.clone(), job.clone()).await,
        "aws-spot-advisor" => one("aws", advisor::fetch(&http, &job).await),
        _ => one("", own::fetch(&http, &job).await),
    };
    // What was asked for by its name and cannot be asked has failed.
    let skipped = |harvest: &Harvest| matches!(harvest.result, Ok(Yield { load: Load::Skip(_), .. }));
    if job.wanted.sources.iter().any(|source| source == name) {
        let all = harvests.iter().all(skipped);
        for harvest in &mut harvests {
            if let Ok(Yield { load: Load::Skip(why), .. }) = &harvest.result
                && (all || job.wanted.clouds.contains(&harvest.cloud))
            {
                harvest.result = Err(Fault(why.clone()));
            }
        }
    }
    http.tell(name, &News::Done);
    harvests
}

/// Two updates with one cache would write the same files.
fn lock(cache: &Path) -> Result<std::fs::File, CatalogError> {
    let path = cache.join("lock");
    let fault = |error: std::io::Error| {
        CatalogError::file(path.display().to_string(), error.to_string(), "name another folder with --cache")
    };
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let hint = "wait until it has ended, or name another folder with --cache";
            Err(CatalogError::file(path.display().to_string(), LOCKED, hint))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// The message of an update that another one keeps from starting.
pub const LOCKED: &str = "another update is under way";

/// How many prices rose and fell, over all sources.
pub fn total(outcomes: &[Outcome]) -> Changes {
    outcomes.iter().fold(Changes::default(), |sum, outcome| sum.plus(&outcome.changes))
}

/// Parts of a source that ended in the same way, together: for people.
pub fn grouped(outcomes: &[Outcome]) -> BTreeMap<(&str, &str), Vec<&Outcome>> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        if let Status::Failed(why) | Status::Skipped(why) = &outcome.status {
            groups.entry((outcome.source, why)).or_default().push(outcome);
        }
    }
    groups
}
