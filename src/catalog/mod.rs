//! What clouds offer: places, machines, prices, the network between them; dated and sourced.
//!
//! Text files are the truth (`catalog/README.md` has their format); the shipped ones are
//! compiled into the binary. Nothing in this room asks a server: catalogs are made and updated
//! in [`crate::feeds`].

pub(crate) mod canonical_text;
pub(crate) mod catalog_toml;
pub(crate) mod cells;
pub mod check;
pub mod diff;
pub mod draft;
pub(crate) mod edit_in_place;
pub mod error;
pub mod files;
pub(crate) mod format;
pub mod host_offers;
pub mod hosts;
pub mod load;
mod loaded_catalog;
pub mod lock;
pub mod network;
pub(crate) mod peer_prices;
pub mod price_age;
pub mod query;
mod read_draft;
pub mod search;
pub mod search_words;
pub(crate) mod table;

pub use error::CatalogError;
pub use loaded_catalog::{
    Accelerator, Catalog, DroppedRows, MachineExtras, PriceRatio, Retirement, Source, Terms,
};

#[cfg(test)]
mod accelerator_tests;
#[cfg(test)]
mod broken_tests;
#[cfg(test)]
pub(crate) mod card_families;
#[cfg(test)]
mod egress_tests;
#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod tests;
