//! What comes with a machine and is billed beside it: its boot disk and its public address.

use crate::model::{Millis, Money, Rate};
use serde::{Deserialize, Serialize};

/// Prices of what comes with one machine, in nano-USD per hour of its billed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// The price of a machine's boot disk.
    #[serde(default)]
    pub disk_nano_usd_per_hour: Rate,
    /// The price of a machine's public IPv4 address.
    #[serde(default)]
    pub address_nano_usd_per_hour: Rate,
}

impl Extras {
    /// Whether nothing is billed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what the disks of so many machines cost for a billed time.
    pub fn disks(&self, nodes: u32, billed: Millis) -> Money {
        self.disk_nano_usd_per_hour.cost(nodes, billed)
    }

    /// Returns what the addresses of so many machines cost for a billed time.
    pub fn addresses(&self, nodes: u32, billed: Millis) -> Money {
        self.address_nano_usd_per_hour.cost(nodes, billed)
    }

    /// Returns the price of the disk and the address together.
    pub fn cost(&self, nodes: u32, billed: Millis) -> Money {
        self.disks(nodes, billed) + self.addresses(nodes, billed)
    }
}
