//! One side of a comparison of catalogs: a catalog, or only its lock.

use crate::catalog::lock::{self, Lock};
use crate::catalog::{Catalog, load};
use crate::cli::{Failure, lock as locks};
use std::path::Path;

/// One side of a comparison.
pub(super) struct Side {
    /// The name for people.
    pub name: String,
    pub date: String,
    pub digest: String,
    /// The catalog; none: only its lock is known.
    pub catalog: Option<Catalog>,
    pub lock: Option<Lock>,
}

pub(super) const BUILT_IN: &str = "built-in";

pub(super) fn read_side(name: &str) -> Result<Side, Failure> {
    if name == BUILT_IN || name == "shipped" {
        return Ok(of_catalog(
            BUILT_IN.to_owned(),
            load::shipped().map_err(Failure::error)?,
        ));
    }
    let path = Path::new(name);
    if path.is_dir() {
        return of_folder(path);
    }
    if !path.exists() {
        return Err(Failure::error(format!("there is no catalog {name}"))
            .hint("name a folder with a catalog.toml, a lock file, or `built-in`"));
    }
    let text = crate::util::file::read_text(path).map_err(Failure::error)?;
    let lock = lock::parse(name, &text).map_err(Failure::error)?;
    // What the lock pins may be there still, or kept.
    let lock_folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let catalog_there = match locks::folder(&lock.at) {
        Some(folder) => load::directory(&lock_folder.join(folder)),
        None => load::shipped(),
    };
    let same_catalog = catalog_there
        .ok()
        .filter(|catalog| catalog.digest == lock.digest);
    Ok(Side {
        name: format!("{name} ({})", lock.at),
        date: lock.date.clone(),
        digest: lock.digest.clone(),
        catalog: same_catalog.or_else(|| locks::kept(&lock.digest)),
        lock: Some(lock),
    })
}

pub(super) fn of_folder(folder: &Path) -> Result<Side, Failure> {
    let (lock, _, catalog) = locks::locked(Some(folder))?;
    Ok(Side {
        lock: Some(lock),
        ..of_catalog(folder.display().to_string(), catalog)
    })
}

fn of_catalog(name: String, catalog: Catalog) -> Side {
    Side {
        name,
        date: catalog.date.clone(),
        digest: catalog.digest.clone(),
        catalog: Some(catalog),
        lock: None,
    }
}
