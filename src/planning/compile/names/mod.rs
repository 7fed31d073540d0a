//! Names in job and policy that only a catalog can vouch for: all of them, through one list.
//!
//! Some are errors, because a plan would not mean what its author meant; the rest are warnings,
//! because a job or a policy may be used with several catalogs.

mod job_names;
mod known_names;
mod nearest_name;
mod policy_names;
mod unknown_name;

pub use unknown_name::{InputFile, UnknownName};

use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use job_names::job_names;
use known_names::KnownNames;
use policy_names::policy_names;
use std::collections::BTreeSet;

/// Every name and pattern of the job and the policy that matches nothing in the catalog: errors
/// first, then those of the job, then those of the policy, by key.
pub fn unknown_names(job: &Job, policy: &Policy, catalog: &Catalog) -> Vec<UnknownName> {
    let known_names = KnownNames::of(catalog);
    let mut found = Vec::new();
    job_names(job, &known_names, &mut found);
    policy_names(policy, &known_names, &mut found);
    // What is said once is enough, also where two lines have the same name.
    let mut names_said: BTreeSet<String> = BTreeSet::new();
    found.retain(|name| names_said.insert(name.message.clone()));
    found.sort_by_key(|name| !name.is_error);
    found
}

/// `did you mean …?` for the place of the catalog most like `name`, if one is close.
pub fn nearest_place(name: &str, catalog: &Catalog) -> Option<String> {
    KnownNames::of(catalog).nearest_place(name)
}

/// `did you mean …?` for the cloud of the catalog most like `name`, if one is close.
pub fn nearest_cloud(name: &str, catalog: &Catalog) -> Option<String> {
    KnownNames::of(catalog).nearest_cloud(name)
}
