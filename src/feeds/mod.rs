//! Where catalogs come from: foreign figures into our own format, from files ([`import`]) or over
//! HTTP ([`live`]), and clouds that register by a signed file ([`register`]). One file per source;
//! a new one that reads files is one file and one line in [`KINDS`].

mod catalog_folder;
mod confidential_families;
mod egress_pairs;
mod egress_prices;
mod figure_day;
mod foreign_csv;
mod full_price_lists;
mod gcp_machines;
mod gcp_tpus;
mod import_options;
mod import_report;
mod import_source;
mod importer;
mod interruptions;
mod left_rows;
mod listed_names;
pub mod live;
mod network_measurements;
mod places;
mod price_list;
mod price_outliers;
mod region_place;
pub mod register;
mod skypilot;
mod skypilot_row;
#[cfg(test)]
mod tests;
mod vendor_facts;

pub use import_options::{GuessedDay, ImportOptions};
pub use import_report::{ImportReport, LeftOut};
pub use importer::{KINDS, import};
