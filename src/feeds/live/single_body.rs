//! One body that is not kept, for what is read once: a registration, its signature.

use super::http_client::HttpClient;
use super::{Endpoints, Fault, ProgressNews, ProgressWatcher, UpdateSettings};
use reqwest::Url;
use std::path::PathBuf;
use std::rc::Rc;

/// Tells nobody.
struct NoWatcher;

impl ProgressWatcher for NoWatcher {
    fn tell(&self, _: &str, _: &ProgressNews<'_>) {}
}

/// The body at an address, of at most so many bytes: asked for as sources are, with the same
/// retries, time limits and rules for redirects.
pub(crate) fn fetch_body(url: &Url, most_bytes: usize) -> Result<Vec<u8>, Fault> {
    let endpoints = Endpoints::new(|_| None)?;
    // Nothing of the body is kept, so no folder is needed.
    let http = HttpClient::new(
        &UpdateSettings::usual(PathBuf::new(), endpoints),
        Rc::new(NoWatcher),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Fault(error.to_string()))?;
    let body = runtime.block_on(http.body("", url, &reqwest::header::HeaderMap::new(), most_bytes));
    // A look-up of a name that hangs must not keep the program.
    runtime.shutdown_background();
    body.map(|body| body.bytes)
}
