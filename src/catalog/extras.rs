//! What `sky apply` rents with every machine of a cloud: a boot disk and a public address.

use crate::catalog::files::File;
use crate::catalog::table::{Row, Table};
use crate::catalog::{Catalog, CatalogError, Source, load, rules};
use crate::model::units::{div_half_even, saturate};
use crate::model::{Bytes, Extras, Machine, Offer, Pattern, Place, PlaceName, Purchase, Rate};
use std::collections::BTreeMap;

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
    "places",
];

/// Hours of the month that disks are priced by.
const HOURS_PER_MONTH: i128 = 730;
const NANO: i64 = 1_000_000_000;
const GIB: u64 = 1 << 30;

/// What comes with a machine at one place.
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
    /// Index into the catalog's sources; none: the row names no source.
    pub source: Option<u16>,
    /// The prices are of other places of the cloud: the row names no places.
    pub estimated: bool,
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
    /// What comes with a machine, if it is known: not with services, nor with TPU nodes. A TPU VM includes a
    /// boot disk of 100 GiB (docs.cloud.google.com/tpu/docs/attach-durable-block-storage, read 2026-11), and Google's
    /// SKUs of external addresses are of standard and of spot VMs: whether a TPU's address is billed is not known.
    pub fn extras_of(&self, offer: &Offer) -> Option<&MachineExtras> {
        let machine = self.machine(offer);
        let is_tpu = |machine: &Machine| machine.accelerator.as_ref().is_some_and(|(name, _)| name.starts_with("tpu-"));
        if machine.service.is_some() || is_tpu(machine) {
            return None;
        }
        self.extras.get(&self.place(offer).name)
    }

    /// Prices of what comes with a machine of a stage that writes so much.
    pub fn extras_prices(&self, offer: &Offer, writes: Bytes) -> Extras {
        self.extras_of(offer).map_or(Extras::default(), |extras| extras.prices(offer.purchase, writes))
    }
}

/// Reads `machine_extras.csv`, by place. A row without places is for all places of its cloud that no other
/// row names.
pub(crate) fn read(
    file: &File,
    places: &[Place],
    sources: &[Source],
) -> Result<BTreeMap<PlaceName, MachineExtras>, CatalogError> {
    let mut extras: BTreeMap<PlaceName, MachineExtras> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, COLUMNS, 1)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        let of_cloud = || places.iter().filter(|place| place.name.cloud == cloud && cloud != "local");
        if of_cloud().next().is_none() {
            return Err(row.error(0, format!("no place is of a cloud `{cloud}`"), "add its places to places.csv"));
        }
        let found = prices(&row, sources)?;
        let patterns: Vec<Pattern> = load::list(row.cell(8)).into_iter().map(Pattern).collect();
        let named = |place: &&Place| patterns.iter().any(|pattern| pattern.matches(&place.name.region));
        for place in of_cloud().filter(|place| patterns.is_empty() || named(place)) {
            let known = extras.get(&place.name);
            if known.is_some_and(|known| known.estimated == found.estimated) {
                return Err(row.error(0, format!("`{}` has two rows", place.name), "keep one of the rows"));
            }
            // A row that names the place is before one that does not, whichever comes first.
            if known.is_none_or(|known| known.estimated) {
                extras.insert(place.name.clone(), found.clone());
            }
        }
    }
    Ok(extras)
}

/// The figures of a row.
fn prices(row: &Row, sources: &[Source]) -> Result<MachineExtras, CatalogError> {
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
    Ok(MachineExtras {
        boot_disk_gib: figure(1, 1, "30")?.unsigned_abs(),
        disk_per_gib_month: Rate(figure(2, NANO, "0.08")?),
        disk_sizes_gib: sizes,
        address,
        spot_address: if row.cell(5).is_empty() { address } else { Rate(figure(5, NANO, "0.0025")?) },
        source: if row.cell(6).is_empty() { None } else { Some(rules::source(row, 6, sources)?) },
        estimated: row.cell(8).is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(catalog: &Catalog, place: &str, purchase: Purchase, writes: u64) -> Extras {
        catalog.extras[&PlaceName::parse(place).unwrap()].prices(purchase, Bytes(writes << 30))
    }

    #[test]
    fn a_boot_disk_and_an_address_come_with_every_machine_of_the_large_clouds() {
        let catalog = load::shipped().unwrap();
        let on_demand = |place: &str, writes: u64| at(&catalog, place, Purchase::OnDemand, writes);
        // 28 GiB at $0.08 a month, and $0.005 an hour.
        let aws = on_demand("aws:us-east-1", 0);
        assert_eq!((aws.disk_nano_usd_per_hour, aws.address_nano_usd_per_hour), (Rate(3_068_493), Rate(5_000_000)));
        assert_eq!(on_demand("aws:us-east-1", 72).disk_nano_usd_per_hour, Rate(10_958_904));
        assert_eq!(on_demand("gcp:us-central1", 0).address_nano_usd_per_hour, Rate(5_000_000));
        let spot = at(&catalog, "gcp:us-central1", Purchase::Spot, 0);
        assert_eq!(spot.address_nano_usd_per_hour, Rate(2_500_000));
        // 50 GiB are billed as 64, 65 as 128.
        let azure = |writes: u64| on_demand("azure:eastus", writes).disk_nano_usd_per_hour;
        assert_eq!((azure(0), azure(14), azure(15)), (Rate(6_575_342), Rate(6_575_342), Rate(13_150_685)));
        for place in catalog.places.iter().map(|place| &place.name) {
            let large = ["aws", "azure", "gcp"].contains(&place.cloud.as_str());
            assert_eq!(catalog.extras.contains_key(place), large, "{place}");
        }
    }

    #[test]
    fn boot_disks_have_the_price_of_their_region_or_are_marked_as_estimates() {
        let catalog = load::shipped().unwrap();
        // pd-balanced: 30 GiB at $0.154, $0.15 and $0.1 a month.
        let disk = |place: &str| at(&catalog, place, Purchase::OnDemand, 0).disk_nano_usd_per_hour;
        assert_eq!(disk("gcp:europe-west10"), Rate(6_328_767));
        assert_eq!(disk("gcp:southamerica-east1"), Rate(6_164_384));
        assert_eq!(disk("gcp:us-central1"), Rate(4_109_589));
        let estimated = |place: &str| catalog.extras[&PlaceName::parse(place).unwrap()].estimated;
        for known in ["aws:us-east-1", "azure:eastus", "gcp:us-central1", "gcp:me-central2"] {
            assert!(!estimated(known), "{known}");
        }
        for other in ["aws:sa-east-1", "azure:westeurope", "gcp:asia-southeast3"] {
            assert!(estimated(other), "{other}");
        }
        assert!(catalog.extras.values().all(|extras| extras.source.is_some()));
    }

    #[test]
    fn two_rows_for_one_place_are_refused() {
        let file = |rows: &str| File {
            name: EXTRAS_FILE.to_owned(),
            shown: EXTRAS_FILE.to_owned(),
            text: format!("cloud,boot_disk_gib,disk_usd_per_gib_month,places\n{rows}"),
        };
        let places = load::shipped().unwrap().places;
        let both = read(&file("aws,28,0.08,\naws,28,0.1,us-*\n"), &places, &[]).unwrap();
        let price = |place: &str| both[&PlaceName::parse(place).unwrap()].disk_per_gib_month;
        assert_eq!((price("aws:us-east-1"), price("aws:eu-west-1")), (Rate(100_000_000), Rate(80_000_000)));
        for twice in ["aws,28,0.08,\naws,28,0.1,\n", "aws,28,0.1,us-*\naws,28,0.1,us-east-1\n"] {
            assert!(read(&file(twice), &places, &[]).unwrap_err().to_string().contains("two rows"), "{twice}");
        }
    }
}
