//! The buckets of an apply that are open.

use crate::execution::storage::bucket::Bucket;
use crate::model::PlaceName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) type Alone = Arc<tokio::sync::Mutex<()>>;

/// The buckets of an apply that are open.
#[derive(Default)]
pub(super) struct OpenBuckets {
    pub(super) open: tokio::sync::Mutex<BTreeMap<PlaceName, Bucket>>,
    /// Held while an artifact is brought to a place.
    alone: Mutex<BTreeMap<(String, PlaceName), Alone>>,
}

impl OpenBuckets {
    pub(super) fn transfer_lock(&self, artifact: &str, place: &PlaceName) -> Alone {
        let mut transfer_locks = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        transfer_locks
            .entry((artifact.to_owned(), place.clone()))
            .or_default()
            .clone()
    }
}
