//! An update: all sources are asked, and what they answer is laid over the catalog.

use super::http_client::HttpClient;
use super::source_request::SourceRequest;
use super::source_selection::check_regions;
use super::sources::{ask, chosen_sources};
use super::{
    ProgressWatcher, SourceSelection, UpdateOutcome, UpdateSettings, apply_answers, cached_body,
    updated_catalog,
};
use crate::catalog::CatalogError;
use crate::catalog::draft::Draft;
use std::collections::BTreeSet;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

/// Asks the sources, and lays what they say over the catalog in `out`, which is created from the
/// shipped one if it is not there.
pub async fn update(
    wanted_sources: &SourceSelection,
    settings: &UpdateSettings,
    catalog_folder: &Path,
    watch: Rc<dyn ProgressWatcher>,
) -> Result<UpdateOutcome, CatalogError> {
    let chosen_names = chosen_sources(wanted_sources, &settings.endpoints)?;
    let known_draft = Draft::read(&updated_catalog::read(catalog_folder)?.0)?;
    let places: BTreeSet<String> = known_draft.places.into_keys().collect();
    check_regions(wanted_sources, &places)?;
    let shown_cache = settings.cache.display().to_string();
    let unusable =
        |why: String| CatalogError::file(&shown_cache, why, "name another folder with --cache");
    crate::util::cache::create(&settings.cache).map_err(|error| unusable(error.to_string()))?;
    let _lock = lock_cache(&settings.cache)?;
    let http =
        Rc::new(HttpClient::new(settings, watch.clone()).map_err(|fault| unusable(fault.0))?);
    let machines = known_draft
        .machines
        .into_iter()
        .filter(|((cloud, _), _)| cloud == "gcp");
    let request = Rc::new(SourceRequest {
        endpoints: settings.endpoints.clone(),
        wanted: wanted_sources.clone(),
        gcp_key: settings.gcp_key.clone(),
        aws_credentials: settings.aws_credentials,
        places,
        machines: machines.map(|((_, name), row)| (name, row)).collect(),
    });
    let tasks = tokio::task::LocalSet::new();
    let mut sources_asked = Vec::new();
    for name in &chosen_names {
        sources_asked.push(tasks.spawn_local(ask(name, http.clone(), request.clone())));
    }
    let mut answers = Vec::new();
    let gathered = tasks.run_until(async {
        for task in sources_asked {
            answers.extend(
                task.await
                    .map_err(|error| unusable(format!("a source was not asked: {error}")))?,
            );
        }
        Ok::<_, CatalogError>(())
    });
    gathered.await?;
    let update = apply_answers::apply(answers, &wanted_sources.regions, catalog_folder);
    cached_body::prune(&settings.cache);
    update
}

/// Locks the cache: two updates with one cache would write the same files.
pub(super) fn lock_cache(cache: &Path) -> Result<std::fs::File, CatalogError> {
    let path = cache.join("lock");
    let fault = |error: std::io::Error| {
        CatalogError::file(
            path.display().to_string(),
            error.to_string(),
            "name another folder with --cache",
        )
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(fault)?;
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
