//! Reads a file by its path or URL.

use crate::catalog::CatalogError;
use crate::feeds::live::{Fault, fetch_body};
use reqwest::Url;
use std::path::Path;

/// Largest file that is read: more is not a price list of one cloud.
const MAX_FILE_BYTES: usize = 64 << 20;

/// The bytes at a path, a `file://` or an `http(s)://` URL.
pub(super) fn read(location: &str) -> Result<Vec<u8>, CatalogError> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return fetch_url(location);
    }
    let path = Path::new(location.strip_prefix("file://").unwrap_or(location));
    crate::util::file::read_within(path, MAX_FILE_BYTES as u64).map_err(|error| {
        let named_error = error.to_string();
        let message = named_error
            .split_once(": ")
            .map_or(named_error.as_str(), |(_, why)| why);
        CatalogError::file(
            location,
            format!("cannot read it: {message}"),
            "name a file, or a URL with http:// or https://",
        )
    })
}

fn fetch_url(text: &str) -> Result<Vec<u8>, CatalogError> {
    let fault =
        |message: String| CatalogError::file(text, message, "download the file, and name it here");
    let url =
        Url::parse(text).map_err(|error| fault(format!("this is not an address: {error}")))?;
    fetch_body(&url, MAX_FILE_BYTES).map_err(|Fault(message)| fault(message))
}
