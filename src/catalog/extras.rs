//! What `sky apply` rents with every machine of a cloud: a boot disk and a public address.

use crate::catalog::files::File;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, Source, load, rules};
use crate::model::units::{div_half_even, saturate};
use crate::model::{Bytes, Extras, Machine, Offer, Place, Purchase, Rate};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const EXTRAS_FILE: &str = "machine_extras.csv";
pub(crate) const COLUMNS: &[&str] = &[
    "cloud",
    "boot_disk_gib",
    "disk_usd_per_gib_month",
    "disk_sizes_gib",
    "public_ipv4_usd_per_hour",
    "spot_public_ipv4_usd_per_hour",
    "source",
    "evidence",
];

/// Hours of the month that disks are priced by.
const HOURS_PER_MONTH: i128 = 730;
const NANO: i64 = 1_000_000_000;
const GIB: u64 = 1 << 30;

/// What comes with a machine of one cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineExtras {
    /// Of the boot disk, without what the stage is planned to write.
    pub boot_disk_gib: u64,
    /// Nano-USD per GiB and month.
    pub disk_per_gib_month: Rate,
    /// Sizes that disks are billed by, ascending; empty: every GiB is.
    pub disk_sizes_gib: Vec<u64>,
    /// Per hour, with a machine on demand and with a spot machine.
    pub address: Rate,
    pub spot_address: Rate,
}

impl MachineExtras {
    /// The size of the boot disk of a stage that writes so much, in GiB.
    pub fn disk_gib(&self, writes: Bytes) -> u64 {
        self.boot_disk_gib.saturating_add(writes.0.div_ceil(GIB))
    }

    fn prices(&self, purchase: Purchase, writes: Bytes) -> Extras {
        let size = self.disk_gib(writes);
        let billed = self.disk_sizes_gib.iter().find(|billed| **billed >= size).copied().unwrap_or(size);
        let month = i128::from(self.disk_per_gib_month.0) * i128::from(billed);
        Extras {
            disk_nano_usd_per_hour: Rate(saturate(div_half_even(month, HOURS_PER_MONTH))),
            address_nano_usd_per_hour: if purchase == Purchase::Spot { self.spot_address } else { self.address },
        }
    }
}

impl Catalog {
    /// What comes with a machine, if it is known: not with services, nor with TPU nodes, whose disk
    /// nobody chooses.
    pub fn extras_of(&self, offer: &Offer) -> Option<&MachineExtras> {
        let machine = self.machine(offer);
        let is_tpu = |machine: &Machine| machine.accelerator.as_ref().is_some_and(|(name, _)| name.starts_with("tpu-"));
        if machine.service.is_some() || is_tpu(machine) {
            return None;
        }
        self.extras.get(&self.place(offer).name.cloud)
    }

    /// Prices of what comes with a machine of a stage that writes so much.
    pub fn extras_prices(&self, offer: &Offer, writes: Bytes) -> Extras {
        self.extras_of(offer).map_or(Extras::default(), |extras| extras.prices(offer.purchase, writes))
    }
}

/// Reads `machine_extras.csv`, by cloud.
pub(crate) fn read(
    file: &File,
    places: &[Place],
    sources: &[Source],
) -> Result<BTreeMap<String, MachineExtras>, CatalogError> {
    let known: BTreeSet<&str> = places.iter().map(|place| place.name.cloud.as_str()).collect();
    let mut extras = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, COLUMNS, 1)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        if !known.contains(cloud) || cloud == "local" {
            return Err(row.error(0, format!("no place is of a cloud `{cloud}`"), "add its places to places.csv"));
        }
        let figure = |column: usize, per_unit: i64, example: &'static str| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, example),
        };
        let mut sizes = Vec::new();
        for size in load::list(row.cell(3)) {
            let hint = "write sizes in GiB, such as 32;64;128";
            sizes.push(size.parse().map_err(|_| row.error(3, format!("`{size}` is not a size"), hint))?);
        }
        sizes.sort_unstable();
        let address = Rate(figure(4, NANO, "0.005")?);
        let found = MachineExtras {
            boot_disk_gib: figure(1, 1, "30")?.unsigned_abs(),
            disk_per_gib_month: Rate(figure(2, NANO, "0.08")?),
            disk_sizes_gib: sizes,
            address,
            spot_address: if row.cell(5).is_empty() { address } else { Rate(figure(5, NANO, "0.0025")?) },
        };
        if !row.cell(6).is_empty() {
            rules::source(&row, 6, sources)?;
        }
        if extras.insert(cloud.to_owned(), found).is_some() {
            return Err(row.error(0, format!("`{cloud}` is there twice"), "keep one of the rows"));
        }
    }
    Ok(extras)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_disk_and_an_address_come_with_every_machine_of_the_large_clouds() {
        let catalog = load::shipped().unwrap();
        let prices =
            |cloud: &str, purchase: Purchase, writes: u64| catalog.extras[cloud].prices(purchase, Bytes(writes << 30));
        // 28 GiB at $0.08 a month, and $0.005 an hour.
        let aws = prices("aws", Purchase::OnDemand, 0);
        assert_eq!((aws.disk_nano_usd_per_hour, aws.address_nano_usd_per_hour), (Rate(3_068_493), Rate(5_000_000)));
        assert_eq!(prices("aws", Purchase::OnDemand, 72).disk_nano_usd_per_hour, Rate(10_958_904));
        assert_eq!(prices("gcp", Purchase::OnDemand, 0).address_nano_usd_per_hour, Rate(5_000_000));
        assert_eq!(prices("gcp", Purchase::Spot, 0).address_nano_usd_per_hour, Rate(2_500_000));
        // 50 GiB are billed as 64, 65 as 128.
        let azure = |writes: u64| prices("azure", Purchase::OnDemand, writes).disk_nano_usd_per_hour;
        assert_eq!((azure(0), azure(14), azure(15)), (Rate(6_575_342), Rate(6_575_342), Rate(13_150_685)));
        assert_eq!(catalog.extras.keys().collect::<Vec<_>>(), ["aws", "azure", "gcp"]);
    }
}
