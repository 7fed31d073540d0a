//! A folder that this machine and all workers see under the same name: addresses are names of
//! files. Whoever may read the folder may read all of it, so it is as safe as the file system that
//! they share.

use super::bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
use crate::model::pack;
use crate::util::secret::Secret;
use crate::util::{file, tree};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) struct Folder(PathBuf);

pub(super) fn open(path: &str) -> Folder {
    Folder(PathBuf::from(path))
}

fn folder_failed(error: &io::Error) -> BucketError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::PermissionDenied => Trouble::Denied,
        _ => Trouble::Other,
    };
    BucketError::new(kind, error.to_string())
}

#[async_trait]
impl Store for Folder {
    async fn make(&self, _: &str) -> Result<(), BucketError> {
        let Some(above) = self.0.parent().filter(|above| above.is_dir()) else {
            let message = format!(
                "{}: the shared folder that it should be in is not there",
                self.0.display()
            );
            return Err(BucketError::new(Trouble::Missing, message));
        };
        let folder_made =
            file::create_folders(&self.0).map_err(|error| file::named(above, "write to", error));
        folder_made.map_err(|error| folder_failed(&error))
    }

    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, BucketError> {
        let path = self.0.join(folder);
        let fail = |error| folder_failed(&file::named(&path, "list", error));
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut sizes = BTreeMap::new();
        for entry in entries {
            let folder_entry = entry.map_err(fail)?;
            let file_size = folder_entry.metadata().map_err(fail)?.len();
            sizes.insert(
                folder_entry.file_name().to_string_lossy().into_owned(),
                file_size,
            );
        }
        Ok(sizes)
    }

    async fn remove(&self, folder: &str) -> Result<(), BucketError> {
        tree::remove(&self.0.join(folder)).map_err(|error| folder_failed(&error))
    }

    async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        let path = self.0.join(key);
        std::fs::read(&path).map_err(|error| folder_failed(&file::named(&path, "read", error)))
    }

    async fn sign(
        &self,
        _: Purpose,
        keys: &[String],
        _: Duration,
    ) -> Result<Vec<Secret>, BucketError> {
        Ok(keys
            .iter()
            .map(|key| Secret::new(format!("file://{}", self.0.join(key).display())))
            .collect())
    }

    async fn contents(&self) -> Result<Contents, BucketError> {
        let mut contents = Contents::default();
        for (_, folder, _) in folder_entries(&self.0)?
            .into_iter()
            .filter(|(.., kind)| kind.is_dir())
        {
            for (_, path, _) in folder_entries(&folder)? {
                let fail = |error| folder_failed(&file::named(&path, "read", error));
                let object = std::fs::symlink_metadata(&path).map_err(fail)?;
                let written = jiff::Timestamp::try_from(object.modified().map_err(fail)?);
                let written = written.map_err(|error| fail(io::Error::other(error)))?;
                contents.add(object.len(), written.as_millisecond());
            }
        }
        Ok(contents)
    }

    async fn delete(&self) -> Result<(), BucketError> {
        self.check_contents()?;
        tree::remove(&self.0).map_err(|error| folder_failed(&error))
    }
}

impl Folder {
    /// An error if anything is in the folder that no machine of `sky` has put there: whoever named
    /// the folder was mistaken, or worse, and nothing is deleted.
    fn check_contents(&self) -> Result<(), BucketError> {
        let foreign = |path: &Path| {
            let (folder, path) = (self.0.display(), path.display());
            let message = format!(
                "{folder} is not deleted: {path} is nothing that sky keeps in a folder for data between stages; look at it, \
                 and remove the folder by hand if it is to go"
            );
            BucketError::new(Trouble::Other, message)
        };
        match std::fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(folder_failed(&file::named(&self.0, "read", error))),
            Ok(found) if !found.is_dir() => return Err(foreign(&self.0)),
            Ok(_) => {}
        }
        for (name, path, kind) in folder_entries(&self.0)? {
            if !kind.is_dir() || !pack::is_key(&name) {
                return Err(foreign(&path));
            }
            let chunk = |name: &str| {
                // A chunk that is being written has the number of the writer's process after it.
                let mut name_parts = name.splitn(2, '.');
                name_parts
                    .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
            };
            if let Some((_, path, _)) = folder_entries(&path)?
                .into_iter()
                .find(|(name, _, kind)| !kind.is_file() || !chunk(name))
            {
                return Err(foreign(&path));
            }
        }
        Ok(())
    }
}

/// What is in a folder: names, paths, and what each is itself, not what it may be a link to.
fn folder_entries(folder: &Path) -> Result<Vec<(String, PathBuf, FileType)>, BucketError> {
    let fail = |error| folder_failed(&file::named(folder, "list", error));
    let mut found_entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let folder_entry = entry.map_err(fail)?;
        let name = folder_entry.file_name().to_string_lossy().into_owned();
        found_entries.push((
            name,
            folder_entry.path(),
            folder_entry.file_type().map_err(fail)?,
        ));
    }
    Ok(found_entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_with_anything_else_in_it_is_not_deleted() {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("folder");
        let key = root.join("0".repeat(64));
        let chunk = || {
            std::fs::create_dir_all(&key).unwrap();
            std::fs::write(key.join("00000"), "x").unwrap();
            std::fs::write(key.join("00001.4711"), "x").unwrap();
        };
        for foreign in [
            "thesis.txt",
            "photos/1.jpg",
            &format!("{}/notes", "0".repeat(64)),
            "0123/00000",
        ] {
            chunk();
            file::write_below(&root, foreign, b"dear").unwrap();
            let said = open(root.to_str().unwrap())
                .delete()
                .await
                .unwrap_err()
                .message;
            assert!(
                said.contains("is not deleted") && root.join(foreign).exists(),
                "{said}"
            );
            tree::remove(&root).unwrap();
        }
        // A link is not a folder, whatever it leads to.
        let elsewhere = above.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &root).unwrap();
        assert!(open(root.to_str().unwrap()).delete().await.is_err() && elsewhere.exists());
        std::fs::remove_file(&root).unwrap();
        chunk();
        open(root.to_str().unwrap()).delete().await.unwrap();
        open(root.to_str().unwrap()).delete().await.unwrap();
        assert!(!root.exists());
    }
}
