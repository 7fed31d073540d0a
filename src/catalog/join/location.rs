//! Reads a file by its path or URL.

use crate::catalog::CatalogError;
use crate::catalog::source::live::{self, Fault};
use reqwest::Url;
use std::path::Path;

/// Largest file that is read: more is no price list of one cloud.
const MOST: usize = 64 << 20;

/// The bytes at a path, a `file://` or an `http(s)://` URL.
pub fn read(location: &str) -> Result<Vec<u8>, CatalogError> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return fetch(location);
    }
    let path = Path::new(location.strip_prefix("file://").unwrap_or(location));
    let bytes = std::fs::read(path).map_err(|error| {
        let named = crate::util::file::named(path, "read", error).to_string();
        let message = named.split_once(": ").map_or(named.as_str(), |(_, why)| why);
        CatalogError::file(
            location,
            format!("cannot read it: {message}"),
            "name a file, or a URL with http:// or https://",
        )
    })?;
    within(location, bytes)
}

fn within(location: &str, bytes: Vec<u8>) -> Result<Vec<u8>, CatalogError> {
    if bytes.len() > MOST {
        return Err(CatalogError::file(location, "it is larger than 64 MiB", "split it by cloud"));
    }
    Ok(bytes)
}

fn fetch(text: &str) -> Result<Vec<u8>, CatalogError> {
    let fault = |message: String| CatalogError::file(text, message, "download the file, and name it here");
    let url = Url::parse(text).map_err(|error| fault(format!("this is no address: {error}")))?;
    live::body(&url, MOST).map_err(|Fault(message)| fault(message))
}
