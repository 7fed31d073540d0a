//! The catalog that an update changes, read before anything is asked and again before it is
//! written.

use crate::catalog::{CatalogError, files};
use crate::feeds::foreign_csv::unreadable;
use std::path::Path;

/// The files of the catalog in a folder, and whether they are those of the shipped catalog, because
/// the folder is new or empty.
pub(super) fn read(catalog_folder: &Path) -> Result<(Vec<files::File>, bool), CatalogError> {
    if catalog_folder.join(files::CATALOG).exists() {
        return Ok((files::read(catalog_folder)?, false));
    }
    if catalog_folder.is_file() {
        return Err(CatalogError::file(
            catalog_folder.display().to_string(),
            "this is a file, not a catalog",
            "name a folder",
        ));
    }
    let is_empty = match std::fs::read_dir(catalog_folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(unreadable(catalog_folder, &error)),
    };
    if !is_empty {
        let hint = "name a catalog, a new folder, or nothing: ./catalog";
        return Err(CatalogError::file(
            catalog_folder.display().to_string(),
            "this folder is not a catalog",
            hint,
        ));
    }
    Ok((files::shipped()?, true))
}
