//! How a cloud registers in the catalog: one signed file with its places, machines, services,
//! prices, network and limits ([`cloud_file`]), read from a file or a URL ([`file_or_url`]),
//! checked against its signature ([`signature`]), and laid over a catalog folder
//! ([`register_file`]).
//!
//! A file speaks of its own cloud only: it cannot change what others offer. Whether a price holds
//! is judged twice, and neither reads the clock of a plan: when the file is registered, against the
//! day of the registration; and whenever the catalog is loaded, against the catalog's own day, that
//! of its newest price. So a plan is the same on every day.

mod catalog_rows;
mod check_cloud_file;
mod cloud_file;
mod exact_figure;
mod file_or_url;
mod register_file;
mod registration;
mod signature;
mod trace_error;

pub use register_file::register;
pub use registration::{RegisterOptions, Registration};
