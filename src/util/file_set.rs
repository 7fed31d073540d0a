//! Several files of the user's that are written together.

use super::file;
use super::file_changes;
use std::io;
use std::path::{Path, PathBuf};

/// Writes these files, by their names in `folder`, which is created if it is not there. When one
/// of them cannot be written, the others are as they were before, and so is the folder.
///
/// # Errors
/// The folder cannot be created, or a file cannot be written; the error names it.
pub fn write_all_or_none(folder: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    let created = missing_folders(folder);
    let mut replaced = Vec::new();
    let written = file::create_folders(folder).and_then(|()| {
        files.iter().try_for_each(|(name, contents)| {
            let path = folder.join(name);
            let before = contents_before(&path)?;
            file::write_result(&path, contents)?;
            replaced.push((path, before));
            Ok(())
        })
    });
    if written.is_err() {
        // What cannot be undone either is of less use to the user than why writing failed.
        for (path, before) in replaced {
            let _ = match before {
                Some(before) => file::write_result(&path, &before),
                None => file::remove(&path),
            };
        }
        for folder in created {
            let _ = file_changes::remove_dir(folder);
        }
    }
    written
}

/// The folders, of this one and those above it, that are not there; the innermost first.
fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    folder
        .ancestors()
        .take_while(is_missing)
        .map(Path::to_owned)
        .collect()
}

/// What a file contains that is about to be replaced; none if there is no such file.
fn contents_before(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match path.exists() {
        true => file::read_bytes(path).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_others_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("first"), "old").unwrap();
        std::fs::create_dir(at("third")).unwrap();
        let files: [(&str, &[u8]); 3] = [("first", b"new"), ("second", b"new"), ("third", b"new")];
        let error = write_all_or_none(root.path(), &files).unwrap_err();
        assert!(error.to_string().contains("third"), "{error}");
        assert_eq!(std::fs::read_to_string(at("first")).unwrap(), "old");
        assert!(!at("second").exists());
    }

    #[test]
    fn folders_that_were_created_for_nothing_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let files: [(&str, &[u8]); 2] = [("first", b"new"), ("no/such/folder", b"new")];
        write_all_or_none(&folder, &files).unwrap_err();
        assert!(!root.path().join("a").exists());
        write_all_or_none(&folder, &files[..1]).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.join("first")).unwrap(),
            "new"
        );
    }
}
