//! A folder that this machine and all workers see under the same name: addresses are names of files. Whoever may
//! read the folder may read all of it, so it is as safe as the file system that they share.

use super::{BucketError, Purpose, Store, Trouble};
use crate::util::secret::Secret;
use crate::util::{file, tree};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct Folder(PathBuf);

pub(super) fn open(path: &str) -> Folder {
    Folder(PathBuf::from(path))
}

fn failed(error: &io::Error) -> BucketError {
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
            let message = format!("{}: the shared folder that it should be in is not there", self.0.display());
            return Err(BucketError::new(Trouble::Missing, message));
        };
        let made = file::create_folders(&self.0).map_err(|error| file::named(above, "write to", error));
        made.map_err(|error| failed(&error))
    }

    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, BucketError> {
        let path = self.0.join(folder);
        let fail = |error| failed(&file::named(&path, "list", error));
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut sizes = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let size = entry.metadata().map_err(fail)?.len();
            sizes.insert(entry.file_name().to_string_lossy().into_owned(), size);
        }
        Ok(sizes)
    }

    async fn remove(&self, folder: &str) -> Result<(), BucketError> {
        tree::remove(&self.0.join(folder)).map_err(|error| failed(&error))
    }

    async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        let path = self.0.join(key);
        std::fs::read(&path).map_err(|error| failed(&file::named(&path, "read", error)))
    }

    async fn sign(&self, _: Purpose, keys: &[String], _: Duration) -> Result<Vec<Secret>, BucketError> {
        Ok(keys.iter().map(|key| Secret::new(format!("file://{}", self.0.join(key).display()))).collect())
    }

    async fn delete(&self) -> Result<(), BucketError> {
        tree::remove(&self.0).map_err(|error| failed(&error))
    }
}
