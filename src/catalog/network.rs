//! What it costs and how long it takes to move data between places.

use crate::model::{Bandwidth, Bytes, DataRate, Money};

/// Egress prices and throughput between the places of one catalog, by place index.
#[derive(Clone, Debug, Default)]
pub struct Network {}

/// What one copy costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    pub cost: Money,
    /// The price of the last gigabyte.
    pub last_rate: DataRate,
}

impl Network {
    /// The price of moving `bytes` from one place to another; free inside a place. `None`: the
    /// catalog does not know it, and no plan may use that way.
    pub fn egress(&self, _from: u32, _to: u32, _bytes: Bytes) -> Option<Egress> {
        None
    }

    /// Measured or assumed throughput between two places.
    pub fn bandwidth(&self, _from: u32, _to: u32) -> Bandwidth {
        Bandwidth(1_000_000_000)
    }
}
