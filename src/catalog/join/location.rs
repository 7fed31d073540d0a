//! Reads a file by its path or URL.

use crate::catalog::CatalogError;
use std::path::Path;
use std::time::Duration;

/// Largest file that is read: more is no price list of one cloud.
const MOST: usize = 64 << 20;
/// Longest that a server may take.
const PATIENCE: Duration = Duration::from_secs(60);

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

fn fetch(url: &str) -> Result<Vec<u8>, CatalogError> {
    let fault = |message: String| CatalogError::file(url, message, "download the file, and name it here");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| fault(error.to_string()))?;
    let got = runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let answer = client.get(url).send().await?.error_for_status()?;
        answer.bytes().await
    });
    match got {
        Ok(bytes) => within(url, bytes.to_vec()),
        Err(error) => Err(fault(match error.status() {
            Some(status) => format!("the server answers {status}"),
            None if error.is_timeout() => "the server does not answer".to_owned(),
            None => "the server cannot be reached".to_owned(),
        })),
    }
}
