//! How artifacts get from one stage to the next.

use crate::model::PlaceName;
use crate::model::bucket_name;
use std::fmt;
use std::path::PathBuf;

/// How artifacts get from one stage to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staging {
    /// Through this machine.
    Home,
    /// Through a bucket in each place whose cloud has an object store.
    Buckets,
    /// Through a folder that this machine and all others share.
    Folder(PathBuf),
}

/// Why a text names no way to stage data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStaging {
    /// The text is none of the ways.
    #[error("`{0}` is not a way to stage data: write home, buckets or file:///DIR")]
    Unknown(String),
    /// The text names a folder that cannot be shared under this name.
    #[error(
        "`{0}` is not a way to stage data: write home, buckets or file:///DIR, a folder of plain letters"
    )]
    Folder(String),
}

impl Staging {
    /// Reads `home`, `buckets` or `file:///DIR`.
    pub fn parse(text: &str) -> Result<Self, NotStaging> {
        match text {
            "home" => return Ok(Self::Home),
            "buckets" => return Ok(Self::Buckets),
            _ => {}
        }
        let Some(folder) = text.strip_prefix("file://") else {
            return Err(NotStaging::Unknown(text.to_owned()));
        };
        // It is part of an address, and of a configuration, that others read.
        let plain_letter =
            |letter: char| letter.is_ascii_alphanumeric() || "/-_.,+=@".contains(letter);
        match folder.starts_with('/') && folder.chars().all(plain_letter) {
            true => Ok(Self::Folder(PathBuf::from(folder))),
            false => Err(NotStaging::Folder(text.to_owned())),
        }
    }

    /// The way if nobody says another: as the plan has paid for, from place to place. A provider in
    /// place of those of the plan's places, as in a rehearsal, has no buckets there.
    pub fn usual(provider: Option<&str>) -> Self {
        match provider {
            Some(name) if !Self::Buckets.has(name) => Self::Home,
            _ => Self::Buckets,
        }
    }

    /// Whether places of that cloud have buckets.
    pub fn has(&self, cloud: &str) -> bool {
        match self {
            Self::Home => false,
            Self::Buckets => matches!(cloud, "aws" | "gcp" | "azure"),
            Self::Folder(_) => true,
        }
    }

    /// The address that a new bucket of a place gets, if the place has one. `nonce`: no two buckets
    /// of a lineage have the same, so that none has to wait for the end of another.
    pub fn address(&self, place: &PlaceName, lineage: &str, nonce: u64) -> Option<String> {
        let name = bucket_name::new(place, lineage, nonce);
        match (self, place.cloud.as_str()) {
            (Self::Home, _) => None,
            (Self::Folder(folder), _) => Some(format!("file://{}/{name}", folder.display())),
            (Self::Buckets, "aws") => Some(format!("s3://{name}")),
            (Self::Buckets, "gcp") => Some(format!("gs://{name}")),
            (Self::Buckets, "azure") => Some(format!("az://{name}")),
            (Self::Buckets, _) => None,
        }
    }
}

impl fmt::Display for Staging {
    /// Writes the setting as people write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("home"),
            Self::Buckets => f.write_str("buckets"),
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_and_where() {
        let place = PlaceName::parse("aws:us-east-1").unwrap();
        let lineage = "0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9";
        let first = Staging::Buckets.address(&place, lineage, 7).unwrap();
        assert!(
            first.starts_with("s3://sky-0a1b2c3d4e5f-") && first.ends_with("-us-east-1"),
            "{first}"
        );
        assert_ne!(first, Staging::Buckets.address(&place, lineage, 8).unwrap());
        assert!(first.len() <= "s3://".len() + 63);
        assert_eq!(
            Staging::Buckets.address(&PlaceName::parse("ssh:one").unwrap(), lineage, 1),
            None
        );
        assert_eq!(Staging::Home.address(&place, lineage, 1), None);
        let folder = Staging::parse("file:///shared/x").unwrap();
        let address = folder
            .address(&PlaceName::parse("ssh:My Host").unwrap(), lineage, 1)
            .unwrap();
        assert!(
            address.starts_with("file:///shared/x/sky-0a1b2c3d4e5f-")
                && address.ends_with("-my-host"),
            "{address}"
        );
    }

    #[test]
    fn ways_of_staging() {
        for text in ["home", "buckets", "file:///shared/x"] {
            assert_eq!(Staging::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Staging::usual(None), Staging::Buckets);
        assert_eq!(
            ["aws", "sim", "ssh", "local"]
                .map(|name| Staging::usual(Some(name)) == Staging::Buckets),
            [true, false, false, false]
        );
        assert_eq!(Staging::parse("home"), Ok(Staging::Home));
        assert_eq!(Staging::parse("buckets"), Ok(Staging::Buckets));
        for text in ["", "s3://x", "file://x", "file:///a b", "file:///a\"b"] {
            assert!(
                Staging::parse(text)
                    .unwrap_err()
                    .to_string()
                    .contains("write home, buckets or file:///DIR"),
                "{text}"
            );
        }
    }
}
