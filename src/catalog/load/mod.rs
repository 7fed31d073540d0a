//! From the text of a catalog to [`Catalog`](crate::catalog::Catalog): one file for each table, and
//! [`whole_catalog`] that reads them in order.

mod accelerators;
mod burstable;
mod certifications;
mod cloud_terms;
mod confidential;
mod discounts;
mod dropped_rows;
mod interruptions;
mod machine_extras;
mod machines;
mod network_rules;
mod place_names;
mod places;
mod price_changes;
mod prices;
mod quotas;
mod retirements;
mod round_trips;
mod services;
mod whole_catalog;

pub use whole_catalog::{directory, from_files, shipped};
