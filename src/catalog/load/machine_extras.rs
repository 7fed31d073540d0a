//! Reads `machine_extras.csv`: what `sky apply` rents with every machine of a cloud, a boot disk
//! and a public address.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, NANO};
use crate::catalog::table::{Row, Table};
use crate::catalog::{CatalogError, MachineExtras, Source};
use crate::model::{Place, PlaceName, Rate};
use std::collections::BTreeMap;

/// Reads `machine_extras.csv`, by place. A row without places is for all places of its cloud that
/// no other row names.
pub(super) fn read(
    file: &File,
    places: &[Place],
    sources: &[Source],
) -> Result<BTreeMap<PlaceName, MachineExtras>, CatalogError> {
    let mut extras: BTreeMap<PlaceName, MachineExtras> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::MACHINE_EXTRAS)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        let of_cloud = || {
            places
                .iter()
                .filter(|place| place.name.cloud == cloud && cloud != "local")
        };
        if of_cloud().next().is_none() {
            return Err(row.error(
                0,
                format!("no place is of a cloud `{cloud}`"),
                "add its places to places.csv",
            ));
        }
        let read_extras = extras_of_row(&row, sources)?;
        let patterns = cells::patterns(row.cell(8));
        let is_named = |place: &&Place| {
            patterns
                .iter()
                .any(|pattern| pattern.matches(&place.name.region))
        };
        for place in of_cloud().filter(|place| patterns.is_empty() || is_named(place)) {
            let known_extras = extras.get(&place.name);
            if known_extras.is_some_and(|known| known.estimated == read_extras.estimated) {
                return Err(row.error(
                    0,
                    format!("`{}` has two rows", place.name),
                    "keep one of the rows",
                ));
            }
            // A row that names the place is before one that does not, whichever comes first.
            if known_extras.is_none_or(|known| known.estimated) {
                extras.insert(place.name.clone(), read_extras.clone());
            }
        }
    }
    Ok(extras)
}

/// The figures of a row.
fn extras_of_row(row: &Row, sources: &[Source]) -> Result<MachineExtras, CatalogError> {
    let figure = |column, per_unit, example| cells::figure_or_zero(row, column, per_unit, example);
    let mut sizes = Vec::new();
    for size in cells::list(row.cell(3)) {
        let hint = "write sizes in GiB, such as 32;64;128";
        sizes.push(
            size.parse()
                .map_err(|_| row.error(3, format!("`{size}` is not a size"), hint))?,
        );
    }
    sizes.sort_unstable();
    let address = Rate(figure(4, NANO, "0.005")?);
    Ok(MachineExtras {
        boot_disk_gib: figure(1, 1, "30")?.unsigned_abs(),
        disk_per_gib_month: Rate(figure(2, NANO, "0.08")?),
        disk_sizes_gib: sizes,
        address,
        spot_address: if row.cell(5).is_empty() {
            address
        } else {
            Rate(figure(5, NANO, "0.0025")?)
        },
        source: cells::optional_source(row, 6, sources)?,
        estimated: row.cell(8).is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, load};
    use crate::model::{Bytes, Extras, Purchase};

    fn at(catalog: &Catalog, place: &str, purchase: Purchase, writes: u64) -> Extras {
        catalog.extras[&PlaceName::parse(place).unwrap()].prices(purchase, Bytes(writes << 30))
    }

    #[test]
    fn a_boot_disk_and_an_address_come_with_every_machine_of_the_large_clouds() {
        let catalog = load::shipped().unwrap();
        let on_demand = |place: &str, writes: u64| at(&catalog, place, Purchase::OnDemand, writes);
        // 28 GiB at $0.08 a month, and $0.005 an hour.
        let aws = on_demand("aws:us-east-1", 0);
        assert_eq!(
            (aws.disk_nano_usd_per_hour, aws.address_nano_usd_per_hour),
            (Rate(3_068_493), Rate(5_000_000))
        );
        assert_eq!(
            on_demand("aws:us-east-1", 72).disk_nano_usd_per_hour,
            Rate(10_958_904)
        );
        assert_eq!(
            on_demand("gcp:us-central1", 0).address_nano_usd_per_hour,
            Rate(5_000_000)
        );
        let spot = at(&catalog, "gcp:us-central1", Purchase::Spot, 0);
        assert_eq!(spot.address_nano_usd_per_hour, Rate(2_500_000));
        // 50 GiB are billed as 64, 65 as 128.
        let azure = |writes: u64| on_demand("azure:eastus", writes).disk_nano_usd_per_hour;
        assert_eq!(
            (azure(0), azure(14), azure(15)),
            (Rate(6_575_342), Rate(6_575_342), Rate(13_150_685))
        );
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
        for known in [
            "aws:us-east-1",
            "azure:eastus",
            "gcp:us-central1",
            "gcp:me-central2",
        ] {
            assert!(!estimated(known), "{known}");
        }
        for other in ["aws:sa-east-1", "azure:westeurope", "gcp:asia-southeast3"] {
            assert!(estimated(other), "{other}");
        }
        assert!(
            catalog
                .extras
                .values()
                .all(|extras| extras.source.is_some())
        );
    }

    #[test]
    fn two_rows_for_one_place_are_refused() {
        let file = |rows: &str| File {
            name: format::MACHINE_EXTRAS.file.to_owned(),
            shown: format::MACHINE_EXTRAS.file.to_owned(),
            text: format!("cloud,boot_disk_gib,disk_usd_per_gib_month,places\n{rows}"),
        };
        let places = load::shipped().unwrap().places;
        let both = read(&file("aws,28,0.08,\naws,28,0.1,us-*\n"), &places, &[]).unwrap();
        let price = |place: &str| both[&PlaceName::parse(place).unwrap()].disk_per_gib_month;
        assert_eq!(
            (price("aws:us-east-1"), price("aws:eu-west-1")),
            (Rate(100_000_000), Rate(80_000_000))
        );
        for twice in [
            "aws,28,0.08,\naws,28,0.1,\n",
            "aws,28,0.1,us-*\naws,28,0.1,us-east-1\n",
        ] {
            assert!(
                read(&file(twice), &places, &[])
                    .unwrap_err()
                    .to_string()
                    .contains("two rows"),
                "{twice}"
            );
        }
    }
}
