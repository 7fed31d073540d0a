//! What sources are told: what to ask for, and where.

use super::{Endpoints, SourceSelection};
use crate::catalog::draft::MachineRow;
use std::collections::{BTreeMap, BTreeSet};

/// What sources are told: what to ask for, and where.
pub(super) struct SourceRequest {
    /// Where sources are asked.
    pub endpoints: Endpoints,
    /// What is asked for.
    pub wanted: SourceSelection,
    /// The key for Google's Cloud Billing Catalog API.
    pub gcp_key: Option<String>,
    /// Whether there are credentials that AWS's SDK will find.
    #[cfg_attr(
        not(feature = "aws"),
        expect(dead_code, reason = "only the SDK needs them")
    )]
    pub aws_credentials: bool,
    /// `cloud:region` of the places that the catalog has.
    pub places: BTreeSet<String>,
    /// Sizes of GCP's machines: its prices are those of parts.
    pub machines: BTreeMap<String, MachineRow>,
}

impl SourceRequest {
    /// Whether figures of a cloud are asked for.
    pub(super) fn wants(&self, cloud: &str) -> bool {
        self.wanted.clouds.is_empty() || self.wanted.clouds.iter().any(|wanted| wanted == cloud)
    }
}
