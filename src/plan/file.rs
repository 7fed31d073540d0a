//! Reading and writing plan files.

use super::{Contents, FORMAT_VERSION, Plan, names};
use crate::model::canonical;
use crate::util::{file, hash};
use std::io;
use std::path::Path;

/// Why a plan file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The file does not hold a plan.
    #[error("{path} is not a plan: {reason}")]
    Malformed {
        /// The path of the file.
        path: String,
        /// What is wrong, for people.
        reason: String,
    },
    /// The plan is not the one that its digest names.
    #[error(
        "{path} was changed after it was planned: its digest is that of another plan; `sky verify` says what differs"
    )]
    Changed {
        /// The path of the file.
        path: String,
    },
    /// The plan has no digest.
    #[error(
        "{path} has no `digest`, so nobody can tell whether it was changed after it was planned: plan again, and \
         hand on the file as it is"
    )]
    NoDigest {
        /// The path of the file.
        path: String,
    },
    /// The plan was written in another format.
    #[error(
        "{path} has plan format {found}; this sky reads {FORMAT_VERSION}: plan again, or use the sky that wrote it"
    )]
    Version {
        /// The path of the file.
        path: String,
        /// The format of the plan.
        found: String,
    },
}

/// The canonical bytes of a plan.
pub fn encode(plan: &Plan) -> Result<String, serde_json::Error> {
    canonical::to_text(plan)
}

/// The digest that names a plan in states and tags.
pub fn digest(plan: &Plan) -> Result<String, serde_json::Error> {
    Ok(hash::digest(encode(plan)?.as_bytes()).into())
}

/// The digest that a plan carries: that of its members without it.
pub fn self_digest(plan: &Plan) -> Result<String, serde_json::Error> {
    digest(&Plan {
        digest: None,
        ..plan.clone()
    })
}

/// Returns the plan with the content that its stages read named in it, and with the digest that it
/// has then.
pub fn with_contents(plan: Plan, contents: Contents) -> Result<Plan, serde_json::Error> {
    let plan = Plan { contents, ..plan };
    let digest = Some(self_digest(&plan)?);
    Ok(Plan { digest, ..plan })
}

/// Reads a plan file. One that was changed since it was planned, or that does not say what its
/// digest was then, is refused; so is one with names that no job can have: they become names of
/// files.
pub fn read(path: &Path) -> Result<Plan, PlanFileError> {
    let (plan, _) = read_as_it_is(path)?;
    let name = file::shown(path);
    if plan.digest.is_none() {
        return Err(PlanFileError::NoDigest { path: name });
    }
    if plan.digest != self_digest(&plan).ok() {
        return Err(PlanFileError::Changed { path: name });
    }
    match names::check_names(&plan) {
        Ok(()) => Ok(plan),
        Err(error) => Err(PlanFileError::Malformed {
            path: name,
            reason: error.to_string(),
        }),
    }
}

/// Reads a plan file, and its text, whatever was done to it.
pub fn read_as_it_is(path: &Path) -> Result<(Plan, String), PlanFileError> {
    let text = file::read_text(path)?;
    let name = file::shown(path);
    let malformed = |reason: String| PlanFileError::Malformed {
        path: name.clone(),
        reason,
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let version = value
        .get("format_version")
        .and_then(|version| version.as_str());
    let version = version.ok_or_else(|| malformed("it has no `format_version`".to_owned()))?;
    if version.split('.').next() != FORMAT_VERSION.split('.').next() {
        return Err(PlanFileError::Version {
            path: name,
            found: version.to_owned(),
        });
    }
    let plan = serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
    Ok((plan, text))
}
