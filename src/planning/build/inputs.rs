//! What a plan says of the job, the policy and the catalog that it was made from.

use crate::catalog::Catalog;
use crate::model::{Job, Policy, canonical};
use crate::plan::Inputs;
use crate::util::hash;

/// Returns the digests of the inputs that a plan is made from.
pub fn inputs(job: &Job, policy: &Policy, catalog: &Catalog) -> Result<Inputs, serde_json::Error> {
    Ok(Inputs {
        job: hash::digest(canonical::to_text(job)?.as_bytes()).into(),
        policy: hash::digest(canonical::to_text(policy)?.as_bytes()).into(),
        catalog: catalog.digest.clone(),
        catalog_date: catalog.date.clone(),
    })
}
