//! Removing a value, whatever its folders are like.

use crate::util::{file, file_changes};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes a value with all that is in it; that it is gone already is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    let gone_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return gone_is_fine(file_changes::remove_file(path))
            .map_err(|error| file::named(path, "remove", error));
    }
    let first_try = gone_is_fine(file_changes::remove_dir_all(path));
    // A command may have made folders read-only, or more of them in each other than a path can name
    // or a process can open.
    let last_try = first_try.or_else(|_| gone_is_fine(remove_folder(path)));
    last_try.map_err(|error| file::named(path, "remove", error))
}

/// Removes a folder with all that is in it, and never looks deeper than two folders: what lies
/// deeper is moved up first.
fn remove_folder(root: &Path) -> io::Result<()> {
    let open_up = |path: &Path| file_changes::set_permissions(path, Permissions::from_mode(0o700));
    let is_folder = |entry: &std::fs::DirEntry| Ok::<_, io::Error>(entry.file_type()?.is_dir());
    let _ = open_up(root);
    let mut moved_count = 0_u64;
    loop {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(root)? {
            let folder_entry = entry?;
            if is_folder(&folder_entry)? {
                folders.push(folder_entry.path());
            } else {
                file_changes::remove_file(folder_entry.path())?;
            }
        }
        if folders.is_empty() {
            return file_changes::remove_dir(root);
        }
        for folder in folders {
            let _ = open_up(&folder);
            for entry in std::fs::read_dir(&folder)? {
                let folder_entry = entry?;
                if !is_folder(&folder_entry)? {
                    file_changes::remove_file(folder_entry.path())?;
                    continue;
                }
                let _ = open_up(&folder_entry.path());
                let mut place_above = root.join(format!(".sky-{moved_count}"));
                while place_above.exists() {
                    moved_count += 1;
                    place_above = root.join(format!(".sky-{moved_count}"));
                }
                file_changes::rename(folder_entry.path(), place_above)?;
            }
            file_changes::remove_dir(folder)?;
        }
    }
}
