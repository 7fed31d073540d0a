//! The fields of a planned transfer, and of the ways that a plan knows.

use crate::model::{ArtifactRef, Bytes, DataRate, Gigabyte, Millis, Money, PlaceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The price and the speed of moving data from one place to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// The place that the data comes from.
    pub from: PlaceName,
    /// The place that the data goes to.
    pub to: PlaceName,
    /// The dearest tier that the plan's data reaches: no gigabyte costs more.
    pub rate_nano_usd_per_gb: DataRate,
    /// The speed of the link.
    pub bits_per_second: u64,
    /// Whether the speed is assumed, because nobody has measured or declared it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub assumed_speed: bool,
}

/// One copy of an artifact to another place; to `local:here` if it is brought home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTransfer {
    /// The dataset or output that is brought to another place.
    pub artifact: ArtifactRef,
    /// A place that has the artifact by then: where it was made, or one that gets one too.
    pub from: PlaceName,
    /// The place that gets the artifact.
    pub to: PlaceName,
    /// The size of the artifact.
    pub bytes: Bytes,
    /// The stages that read this copy; none if it is brought home.
    pub readers: BTreeSet<String>,
    /// The time from the start of the job to the start of the transfer.
    pub start_ms: Millis,
    /// The time that the transfer takes.
    pub duration_ms: Millis,
    /// Egress.
    pub cost_micro_usd: Money,
    /// Keeping the copy at its destination.
    #[serde(default)]
    pub storage_micro_usd: Money,
    /// The price of its last gigabyte.
    pub rate_nano_usd_per_gb: DataRate,
    /// Bytes of a gigabyte as that cloud bills it.
    #[serde(skip_serializing_if = "is_decimal", default)]
    pub billed_gb_bytes: Gigabyte,
    /// The speed of the way; 0 in plans of formats before 1.3.
    #[serde(skip_serializing_if = "is_unsaid", default)]
    pub bits_per_second: u64,
    /// Whether the speed is assumed, because nobody has measured or declared it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub assumed_speed: bool,
    /// What of other copies passes the link of this machine, which it shares with them, before this
    /// one has arrived: part of its duration.
    #[serde(skip_serializing_if = "is_empty", default)]
    pub shared_link_bytes: Bytes,
}

fn is_decimal(gigabyte: &Gigabyte) -> bool {
    *gigabyte == Gigabyte::DECIMAL
}

fn is_unsaid(bits_per_second: &u64) -> bool {
    *bits_per_second == 0
}

fn is_empty(bytes: &Bytes) -> bool {
    bytes.0 == 0
}
