//! Names of what the machines of a state share at a cloud, and what must be removed once no machine
//! needs it: firewalls, resource groups. A name is noted in a folder of this machine before the
//! thing is made.

use super::super::ProviderError;
use crate::util::{file, hash};
use std::path::PathBuf;

/// The name of what all machines of a state share, made of the state's lineage.
pub fn name_of_state(lineage: &str) -> String {
    let digest = hash::digest(lineage.as_bytes());
    format!(
        "sky-{}",
        digest
            .chars()
            .skip("sha256:".len())
            .take(16)
            .collect::<String>()
    )
}

/// The names that are noted in one folder, each as an empty file.
pub struct RememberedNames {
    folder: PathBuf,
}

impl RememberedNames {
    /// The names that are noted in this folder, which need not exist yet.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Notes the name of what is to be removed one day.
    pub fn remember(&self, name: &str) -> Result<(), ProviderError> {
        let path = self.folder.join(name);
        if path.exists() {
            return Ok(());
        }
        file::create_private_folders(&self.folder)?;
        Ok(file::write_atomic(&path, b"")?)
    }

    /// All names that are noted, in order.
    pub fn all(&self) -> Result<Vec<String>, ProviderError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file::named(&self.folder, "read", error).into()),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Forgets the name of what has been removed.
    pub fn forget(&self, name: &str) -> Result<(), ProviderError> {
        Ok(file::remove(&self.folder.join(name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let names = RememberedNames::at(folder.path().join("not/yet"));
        assert!(names.all().unwrap().is_empty());
        for name in ["sky-2", "sky-1", "sky-2"] {
            names.remember(name).unwrap();
        }
        assert_eq!(names.all().unwrap(), ["sky-1", "sky-2"]);
        names.forget("sky-1").unwrap();
        assert_eq!(names.all().unwrap(), ["sky-2"]);
    }

    #[test]
    fn states_have_names_of_their_own() {
        assert_eq!(name_of_state("a"), name_of_state("a"));
        assert_ne!(name_of_state("a"), name_of_state("b"));
        assert_eq!(name_of_state("a").len(), "sky-".len() + 16);
    }
}
