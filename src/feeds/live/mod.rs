//! Live prices: sources that are asked over HTTP, one file per source.
//!
//! First every source is asked, at the same time and into the cache; the catalog is read and
//! written only then, in one step. So what ends this program before that leaves the catalog as it
//! was, and the next update goes on with what the cache has. A source that fails leaves the rows
//! that the catalog has of it. Sources are laid over each other in a fixed order, and a figure
//! gives way to one of the same day or a later one only: what a cloud says itself comes last.

mod apply_answers;
mod aws_price_list;
mod aws_price_list_json;
mod aws_price_row;
mod aws_spot_advisor;
#[cfg(feature = "aws")]
mod aws_spot_prices;
mod azure_retail_prices;
mod cached_body;
mod changed_prices;
mod endpoints;
mod fault;
mod gcp_billing_catalog;
mod http_client;
mod own_catalog;
mod paged_list;
mod price_quotes;
mod progress_news;
mod single_body;
mod skypilot_lists;
mod source_answer;
mod source_outcome;
mod source_request;
mod source_selection;
mod sources;
#[cfg(test)]
mod tests;
mod update;
mod update_settings;
mod updated_catalog;

pub use changed_prices::{ChangedPrices, KeptRows};
pub use endpoints::Endpoints;
pub use http_client::Fault;
pub use progress_news::{ProgressNews, ProgressWatcher};
pub(crate) use single_body::fetch_body;
pub use source_outcome::{SourceOutcome, SourceStatus, UpdateOutcome, grouped, total};
pub use source_selection::SourceSelection;
pub use sources::SOURCES;
pub use update::{LOCKED, update};
pub use update_settings::{RETRIES, TIMEOUT_S, UpdateSettings};
