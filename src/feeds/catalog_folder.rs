//! Writing a catalog: the new one is there as a whole, or the old one is.

use crate::catalog::draft::Draft;
use crate::catalog::files::{self, CATALOG, File};
use crate::catalog::{CatalogError, edit_in_place};
use crate::util::file;
use crate::util::file_changes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Writes a draft over the files of the catalog in `out`, after the loader has checked it; the
/// names of the files that are new or changed. Nothing is written that the loader refuses, and what
/// people wrote into the files stays ([`edit_in_place`]).
pub(crate) fn save(
    old: &[files::File],
    draft: &Draft,
    catalog_folder: &Path,
) -> Result<Vec<String>, CatalogError> {
    let new = edit_in_place::files(old, draft)?;
    check(&new, catalog_folder)?;
    write(catalog_folder, old, &new)
}

/// Refuses files that cannot be loaded: the new catalog is read as a plan would read it.
pub(crate) fn check(
    new: &BTreeMap<String, String>,
    catalog_folder: &Path,
) -> Result<(), CatalogError> {
    let loadable: Result<Vec<_>, _> = new
        .iter()
        .map(|(name, text)| {
            files::file(
                name.clone(),
                catalog_folder.join(name).display().to_string(),
                text.clone().into_bytes(),
            )
        })
        .collect();
    crate::catalog::load::from_files(&loadable?).map(|_| ())
}

/// Writes the files of a catalog that differ from the old ones, and removes those that are no
/// longer there; the names of the changed ones.
///
/// The folder is exchanged for a new one in one step, so that whoever reads it, and whatever
/// ends this program, finds the old catalog or the new one. Where that cannot be done (the folder
/// holds other things too, or is one that cannot be moved), file after file is replaced.
pub(crate) fn write(
    catalog_folder: &Path,
    old: &[File],
    new: &BTreeMap<String, String>,
) -> Result<Vec<String>, CatalogError> {
    let text_of = |name: &str| {
        old.iter()
            .find(|file| file.name == name)
            .map(|file| file.text.as_str())
    };
    let changed_names: Vec<String> = new
        .iter()
        .filter(|(name, text)| text_of(name) != Some(text.as_str()))
        .map(|(name, _)| name.clone())
        .collect();
    let dropped_names: Vec<&str> = old
        .iter()
        .map(|file| file.name.as_str())
        .filter(|name| !new.contains_key(*name))
        .collect();
    if changed_names.is_empty() && dropped_names.is_empty() {
        return Ok(changed_names);
    }
    let fault = |error: io::Error| {
        CatalogError::file(catalog_folder.display().to_string(), error.to_string(), "")
    };
    let one_file_only = changed_names.len() + dropped_names.len() == 1 && catalog_folder.exists();
    if one_file_only
        || !exchange_folders(catalog_folder, new, &changed_names, &dropped_names).map_err(fault)?
    {
        for name in &changed_names {
            file::write_below(catalog_folder, name, new[name].as_bytes()).map_err(fault)?;
        }
        for name in dropped_names {
            file::remove(&catalog_folder.join(name)).map_err(fault)?;
        }
    }
    Ok(changed_names)
}

/// False: it cannot be done here, and nothing was changed.
fn exchange_folders(
    catalog_folder: &Path,
    new: &BTreeMap<String, String>,
    changed: &[String],
    dropped_names: &[&str],
) -> io::Result<bool> {
    let already_exists = catalog_folder.exists();
    let target = if already_exists {
        std::fs::canonicalize(catalog_folder)?
    } else {
        catalog_folder.to_owned()
    };
    let Some(name) = target.file_name().and_then(|name| name.to_str()) else {
        return Ok(false);
    };
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let inside_folder = std::env::current_dir().is_ok_and(|here| here.starts_with(&target));
    if already_exists && (inside_folder || !only_a_catalog(&target)) {
        return Ok(false);
    }
    if !already_exists {
        file::create_folders(&parent)?;
    }
    let Ok(staging) = tempfile::Builder::new()
        .prefix(&format!(".{name}.sky-"))
        .tempdir_in(&parent)
    else {
        return Ok(false);
    };
    if already_exists {
        link_all(&target, staging.path())?;
        file_changes::set_permissions(staging.path(), std::fs::metadata(&target)?.permissions())?;
    } else {
        use std::os::unix::fs::PermissionsExt;
        // The umask's choice, which a temporary folder does not follow.
        let plain_file = staging.path().join("mode");
        file_changes::create_dir(&plain_file)?;
        let usual_mode = std::fs::metadata(&plain_file)?.permissions().mode();
        file_changes::remove_dir(&plain_file)?;
        file_changes::set_permissions(staging.path(), std::fs::Permissions::from_mode(usual_mode))?;
    }
    for name in changed {
        file::write_below(staging.path(), name, new[name].as_bytes())?;
    }
    for name in dropped_names {
        file_changes::remove_file(staging.path().join(name))?;
    }
    std::fs::File::open(staging.path())?.sync_all()?;
    if !already_exists {
        file_changes::rename(staging.keep(), &target)?;
    } else if renameat_with(CWD, staging.path(), CWD, &target, RenameFlags::EXCHANGE).is_err() {
        return Ok(false);
    }
    std::fs::File::open(&parent)?.sync_all()?;
    // What is left of `staging` now is the old catalog; it goes with it.
    Ok(true)
}

/// Whether a folder holds nothing but a catalog and notes on it, so that it may be moved.
fn only_a_catalog(folder: &Path) -> bool {
    let is_known = |name: &str| {
        name.ends_with(".csv") || name.ends_with(".md") || name == CATALOG || name == ".gitignore"
    };
    let only_known_files = |folder: &Path, folders: bool| {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return None;
        };
        let mut subfolders = Vec::new();
        for entry in entries {
            let folder_entry = entry.ok()?;
            let kind = folder_entry.file_type().ok()?;
            if kind.is_dir() && folders {
                subfolders.push(folder_entry.path());
            } else if !kind.is_file() || !is_known(folder_entry.file_name().to_str()?) {
                return None;
            }
        }
        Some(subfolders)
    };
    only_known_files(folder, true).is_some_and(|below| {
        below
            .iter()
            .all(|folder| only_known_files(folder, false).is_some())
    })
}

/// The files of a folder in another one, without copying them where that can be avoided.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let folder_entry = entry?;
        let target = to.join(folder_entry.file_name());
        if folder_entry.file_type()?.is_dir() {
            file_changes::create_dir(&target)?;
            file_changes::set_permissions(&target, folder_entry.metadata()?.permissions())?;
            link_all(&folder_entry.path(), &target)?;
        } else if file_changes::hard_link(folder_entry.path(), &target).is_err() {
            file_changes::copy(folder_entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            names.push(path.file_name().unwrap().to_string_lossy().into_owned());
            if path.is_dir() {
                names.extend(listing(&path));
            }
        }
        names.sort();
        names
    }

    const OLD: [(&str, &str); 3] = [
        ("catalog.toml", "format = 1\n"),
        ("a/prices.csv", "old"),
        ("a/gone.csv", "old"),
    ];
    const NEW: [(&str, &str); 3] = [
        ("catalog.toml", "format = 1\n"),
        ("a/prices.csv", "new"),
        ("b/prices.csv", "new"),
    ];

    fn old_files() -> Vec<File> {
        OLD.iter()
            .map(|(name, text)| {
                files::file((*name).into(), (*name).into(), (*text).into()).unwrap()
            })
            .collect()
    }

    fn written(extra: Option<&str>) -> (tempfile::TempDir, std::fs::File) {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("catalog");
        assert_eq!(
            write(&out, &[], &texts(&OLD)).unwrap(),
            ["a/gone.csv", "a/prices.csv", "catalog.toml"]
        );
        if let Some(name) = extra {
            file::write_below(&out, name, b"kept").unwrap();
        }
        let before = std::fs::File::open(out.join("a/prices.csv")).unwrap();
        assert_eq!(
            write(&out, &old_files(), &texts(&NEW)).unwrap(),
            ["a/prices.csv", "b/prices.csv"]
        );
        assert_eq!(
            std::fs::read_to_string(out.join("a/prices.csv")).unwrap(),
            "new"
        );
        // Nothing is left beside it.
        assert_eq!(
            listing(parent.path())
                .iter()
                .filter(|name| name.starts_with('.'))
                .count(),
            0
        );
        (parent, before)
    }

    #[test]
    fn a_catalog_is_exchanged_as_a_whole() {
        use std::os::unix::fs::MetadataExt;
        let (parent, before) = written(Some("README.md"));
        let out = parent.path().join("catalog");
        assert_eq!(
            listing(&out),
            [
                "README.md",
                "a",
                "b",
                "catalog.toml",
                "prices.csv",
                "prices.csv"
            ]
        );
        // The old file was never written to: who has it open still reads the old text.
        assert_eq!(std::io::read_to_string(&before).unwrap(), "old");
        assert_eq!(
            std::fs::metadata(&out).unwrap().mode() & 0o777,
            std::fs::metadata(out.join("b")).unwrap().mode() & 0o777
        );
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_not_moved() {
        use std::os::unix::fs::MetadataExt;
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("catalog");
        write(&out, &[], &texts(&OLD)).unwrap();
        file::write_below(&out, "project/main.rs", b"kept").unwrap();
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let before = inode(&out);
        write(&out, &old_files(), &texts(&NEW)).unwrap();
        assert_eq!(inode(&out), before);
        assert_eq!(
            std::fs::read_to_string(out.join("b/prices.csv")).unwrap(),
            "new"
        );
        assert!(out.join("project/main.rs").exists() && !out.join("a/gone.csv").exists());
    }
}
