//! Reading and writing plan files.

use super::{FORMAT_VERSION, Plan};
use crate::model::canonical;
use crate::util::{file, hash};
use std::io;
use std::path::Path;

/// Why a plan file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("{path} is not a plan: {reason}")]
    Malformed { path: String, reason: String },
    #[error(
        "{path} has plan format {found}; this sky reads {FORMAT_VERSION}: plan again, or use the sky that wrote it"
    )]
    Version { path: String, found: String },
}

/// The canonical bytes of a plan.
pub fn encode(plan: &Plan) -> Result<String, serde_json::Error> {
    canonical::to_text(plan)
}

/// The digest that names a plan in states and tags.
pub fn digest(plan: &Plan) -> Result<String, serde_json::Error> {
    Ok(hash::digest(encode(plan)?.as_bytes()))
}

/// Reads a plan file.
pub fn read(path: &Path) -> Result<Plan, PlanFileError> {
    let text = file::read_text(path)?;
    let name = path.display().to_string();
    let malformed = |reason: String| PlanFileError::Malformed { path: name.clone(), reason };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let version = value.get("format_version").and_then(|version| version.as_str());
    let version = version.ok_or_else(|| malformed("it has no `format_version`".to_owned()))?;
    if version.split('.').next() != FORMAT_VERSION.split('.').next() {
        return Err(PlanFileError::Version { path: name, found: version.to_owned() });
    }
    serde_json::from_value(value).map_err(|error| malformed(error.to_string()))
}
