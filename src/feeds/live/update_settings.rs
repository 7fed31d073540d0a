//! How an update asks its sources.

use super::Endpoints;
use std::path::PathBuf;
use std::time::Duration;

/// How an update asks its sources.
#[derive(Clone, Debug)]
pub struct UpdateSettings {
    /// The folder where answers are kept.
    pub cache: PathBuf,
    /// Where sources are asked.
    pub endpoints: Endpoints,
    /// Attempts after the first one.
    pub retries: usize,
    /// Pause before the second attempt; doubled from one to the next.
    pub first_wait: Duration,
    /// Without a byte for so long, an attempt has failed.
    pub timeout: Duration,
    /// Largest body that any source may answer, unpacked, in bytes; each source has a limit of its
    /// own besides.
    pub largest: u64,
    /// The key for Google's Cloud Billing Catalog API.
    pub gcp_key: Option<String>,
    /// Whether there are credentials that AWS's SDK will find.
    pub aws_credentials: bool,
}

impl UpdateSettings {
    /// The settings where nothing else is said.
    pub fn usual(cache: PathBuf, endpoints: Endpoints) -> Self {
        Self {
            cache,
            endpoints,
            retries: RETRIES,
            first_wait: FIRST_WAIT,
            timeout: Duration::from_secs(TIMEOUT_S),
            largest: u64::MAX,
            gcp_key: None,
            aws_credentials: false,
        }
    }
}

/// Attempts after the first one.
pub const RETRIES: usize = 3;

/// Pause before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Seconds without an answer after which an attempt has failed.
pub const TIMEOUT_S: u64 = 30;
