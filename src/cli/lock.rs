//! Which catalog a verb takes: the one that is named, the one that `sky.lock` pins, or the one that
//! sky was built with.
//!
//! A catalog that is named (`--catalog`, SKY_CATALOG) is taken as it is, with a warning if it is
//! not the pinned one. Without a name, a catalog that is not the pinned one is refused: prices that
//! are newer than the pin do not exist for it. With `--locked` nothing but the pinned one is ever
//! taken.

use super::{Exit, Failure, Terminal};
use crate::catalog::files::{self, CATALOG, File};
use crate::catalog::lock::{self, LOCK, Location, Lock};
use crate::catalog::{Catalog, load};
use crate::util::hash::Digest;
use crate::util::{cache, file, shell};
use std::path::{Component, Path, PathBuf};

/// Reads the lock of the working folder; none if there is no such file.
pub fn read() -> Result<Option<Lock>, Failure> {
    match std::fs::symlink_metadata(LOCK) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(Path::new(LOCK), "read", error)),
        Ok(_) => {
            let text = file::read_text(Path::new(LOCK)).map_err(Failure::error)?;
            lock::parse(LOCK, &text).map(Some).map_err(Failure::error)
        }
    }
}

/// The catalog that the arguments, the environment and the lock name.
pub fn catalog(
    named: Option<&Path>,
    locked: bool,
    terminal: &Terminal,
) -> Result<Catalog, Failure> {
    let pinned = read()?;
    let Some(pinned) = pinned else {
        if locked {
            let message = format!(
                "there is no {LOCK} here, and --locked takes nothing but the catalog that it pins"
            );
            return Err(
                Failure::error(message).hint("write one with `sky catalog lock`, and commit it")
            );
        }
        return load_from(named);
    };
    let catalog_folder = named.map_or_else(|| folder(&pinned.at), |named| Some(named.to_owned()));
    let catalog = load_pinned(&pinned, catalog_folder.as_deref(), named.is_some())?;
    if catalog.digest == pinned.digest {
        return Ok(catalog);
    }
    if let (Some(named), false) = (named, locked) {
        terminal.warn(&format!(
            "{} is used, which is not the catalog that {LOCK} pins ({}, newest price {})",
            named.display(),
            pinned.at,
            pinned.date
        ));
        return Ok(catalog);
    }
    Err(stale_lock(&pinned, &catalog, named))
}

/// The catalog to look into: the same one, whether or not it is what the lock pins.
pub fn catalog_to_show(named: Option<&Path>, terminal: &Terminal) -> Result<Catalog, Failure> {
    let Some(pinned) = read()? else {
        return load_from(named);
    };
    let catalog_folder = named.map_or_else(|| folder(&pinned.at), |named| Some(named.to_owned()));
    let catalog = load_pinned(&pinned, catalog_folder.as_deref(), named.is_some())?;
    if catalog.digest != pinned.digest && named.is_none() {
        let message = format!(
            "this is not the catalog that {LOCK} pins any more; `sky catalog diff` says what changed"
        );
        terminal.warn(&message);
    }
    Ok(catalog)
}

/// Where a pinned catalog is; none: it is built in.
pub fn folder(location: &Location) -> Option<PathBuf> {
    match location {
        Location::BuiltIn => None,
        Location::Folder(folder) => Some(PathBuf::from(folder)),
    }
}

/// Loads the catalog of a folder, or the shipped one.
fn load_from(folder: Option<&Path>) -> Result<Catalog, Failure> {
    let loaded = match folder {
        Some(folder) => load::directory(folder),
        None => load::shipped(),
    };
    loaded.map_err(Failure::error)
}

/// Loads the catalog that a lock pins, or the one that is named instead of it.
pub(super) fn load_pinned(
    pinned: &Lock,
    catalog_folder: Option<&Path>,
    named: bool,
) -> Result<Catalog, Failure> {
    match catalog_folder {
        Some(folder) if !named && !folder.join(CATALOG).exists() => {
            let message = format!(
                "{LOCK} pins the catalog in {}, and there is none",
                pinned.at
            );
            Err(Failure::error(message).hint(
                "bring it back, or pin another one: `sky catalog lock --catalog DIR`, or `sky catalog lock --built-in`",
            ))
        }
        _ => load_from(catalog_folder),
    }
}

/// What changed since the lock was written, and what to do.
fn stale_lock(pinned: &Lock, catalog: &Catalog, named: Option<&Path>) -> Failure {
    let catalog_place = named.map_or_else(
        || pinned.at.to_string(),
        |named| named.display().to_string(),
    );
    let folder = named.map(Path::to_owned).or_else(|| folder(&pinned.at));
    let changed_lines = locked(folder.as_deref())
        .map(|(now, _, _)| lock::differences(pinned, &now))
        .unwrap_or_default();
    let title = if named.is_some() {
        "is not"
    } else {
        "is no longer"
    };
    let mut message = format!(
        "the catalog {title} the one that {LOCK} pins\n  pinned   {}, newest price {}, {}\n  now      {catalog_place}, newest price {}, {}",
        pinned.at, pinned.date, pinned.digest, catalog.date, catalog.digest
    );
    for (index, line) in changed_lines.iter().take(SHOWN).enumerate() {
        message.push_str(&format!(
            "\n  {}  {line}",
            if index == 0 { "changed" } else { "       " }
        ));
    }
    if changed_lines.len() > SHOWN {
        message.push_str(&format!(
            "\n           and {} more sources",
            changed_lines.len() - SHOWN
        ));
    }
    let lock = match named {
        Some(named) => format!(
            "`sky catalog lock --catalog {}` pins it",
            shell::quoted_path(named)
        ),
        None => "`sky catalog lock` pins what there is now".to_owned(),
    };
    Failure::new(Exit::Stale, message)
        .hint("`sky catalog diff` shows what changed in price")
        .hint(lock)
}

/// Sources that are said in a refusal.
const SHOWN: usize = 5;

/// The catalog of a folder (none: the built-in one), with its files and the lock that pins it.
pub fn locked(folder: Option<&Path>) -> Result<(Lock, Vec<File>, Catalog), Failure> {
    let files = match folder {
        Some(folder) => files::read(folder),
        None => files::shipped(),
    };
    let files = files.map_err(Failure::error)?;
    let catalog = load::from_files(&files).map_err(Failure::error)?;
    let lock_place = folder.map_or(Location::BuiltIn, relative);
    let lock =
        lock::of(&files, &catalog.digest, &catalog.date, lock_place).map_err(Failure::error)?;
    Ok((lock, files, catalog))
}

/// Pins the catalog of a folder (none: the built-in one) in the working folder's lock: the old lock
/// and the new one. The catalog is kept in the cache folder, so that a later one can be compared.
pub fn write(folder: Option<&Path>) -> Result<(Option<Lock>, Lock, Catalog), Failure> {
    // Writing to a pipe would wait for a reader, whom a lock never has.
    if std::fs::metadata(LOCK).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let message = format!("{LOCK} is a pipe, a socket or a device");
        return Err(Failure::error(message).hint("remove it, and lock again"));
    }
    // A lock that cannot be read is what this is the way out of.
    let old_lock = read().ok().flatten();
    let (new, files, catalog) = locked(folder)?;
    file::write_result(Path::new(LOCK), lock::text(&new).as_bytes()).map_err(Failure::error)?;
    keep(&files, &new.digest);
    Ok((old_lock, new, catalog))
}

/// Keeps a catalog for later comparison. It is a convenience: that it cannot be kept is not a
/// failure.
pub fn keep(files: &[File], digest: &str) {
    if let Some(path) = kept_at(digest)
        && !path.exists()
        && let Some(folder) = path.parent()
    {
        let _ = cache::create(folder).and_then(|()| file::write_atomic(&path, &files::pack(files)));
    }
}

/// A catalog that was kept, if it is still there and whole.
pub fn kept(digest: &str) -> Option<Catalog> {
    let path = kept_at(digest)?;
    let files = files::unpack(
        &file::read_within(&path, file::MOST_BY_SKY).ok()?,
        &path.display().to_string(),
        "remove it",
    )
    .ok()?;
    load::from_files(&files)
        .ok()
        .filter(|catalog| catalog.digest == digest)
}

fn kept_at(digest: &str) -> Option<PathBuf> {
    // A digest that a plan or a lock names: nothing else may become the name of a file.
    let digest: Digest = digest.parse().ok()?;
    let name = digest.hex();
    Some(
        cache::folder()?
            .join("catalogs")
            .join(format!("{name}.lz4")),
    )
}

/// The catalog folder that a verb writes when none is named: the one that the lock pins, else
/// `./catalog`.
pub fn home(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let pinned = read()?.and_then(|pinned| folder(&pinned.at));
    Ok(pinned.unwrap_or_else(|| PathBuf::from("catalog")))
}

/// A folder as a lock writes it: relative to the working folder, with a leading `.` so that none
/// is taken for a name.
pub fn relative(folder: &Path) -> Location {
    let working_dir = std::env::current_dir()
        .and_then(std::fs::canonicalize)
        .unwrap_or_default();
    let target_folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let common_parts = working_dir
        .components()
        .zip(target_folder.components())
        .take_while(|(a, b)| a == b)
        .count();
    let ways_up = working_dir
        .components()
        .skip(common_parts)
        .map(|_| Component::ParentDir);
    let path: PathBuf = ways_up
        .chain(target_folder.components().skip(common_parts))
        .collect();
    let text = path.display().to_string();
    let is_plain = text.starts_with("..") || text.starts_with('/');
    Location::Folder(match text.as_str() {
        "" => ".".to_owned(),
        _ if is_plain => text,
        _ => format!("./{text}"),
    })
}
