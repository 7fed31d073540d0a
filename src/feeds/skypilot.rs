//! SkyPilot's catalogs: a folder per cloud with `vms.csv`, one row per instance type and zone.
//! The folder of one cloud will do, and so will the file.
//!
//! Schema 5 and newer: columns are found by name, in any order; `Arch` may be there. Zones
//! collapse to the cheapest price of their region.

use super::figure_day;
use super::foreign_csv::{ForeignCsv, unreadable};
use super::full_price_lists::{self, ListedRows};
use super::import_source::add_source;
use super::skypilot_row::SkyPilotRow;
use super::{
    GuessedDay, ImportOptions, ImportReport, gcp_machines, gcp_tpus, price_outliers, vendor_facts,
};
use crate::catalog::CatalogError;
use crate::catalog::draft::{AcceleratorRow, Draft, MachineRow, PriceRow};
use crate::model::units::scaled;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of a list.
const VMS: &str = "vms.csv";

/// Clouds that catalogs name differently: their name, ours.
const CLOUDS: &[(&str, &str)] = &[("ovhcloud", "ovh")];

/// Regions that catalogs name differently: cloud, their name, ours.
const REGIONS: &[(&str, &str, &str)] = &[
    ("ovh", "BHS", "BHS5"),
    ("ovh", "FRA", "DE1"),
    ("ovh", "LON", "UK1"),
    ("ovh", "WAW", "WAW1"),
    ("paperspace", "East Coast (NY2)", "NY2"),
];

/// A cloud's list.
struct CloudList {
    /// The name of the cloud in catalogs.
    cloud: String,
    file: PathBuf,
}

/// The lists that a path means: a folder of clouds, the folder of one cloud, or a file.
fn meant_lists(path: &Path, only: Option<&str>) -> Result<Vec<CloudList>, CatalogError> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let our_name = |name: &str| {
        CLOUDS
            .iter()
            .find(|(theirs, _)| *theirs == name)
            .map_or(name, |(_, ours)| ours)
            .to_owned()
    };
    let single_file = if metadata.is_file() {
        path.to_owned()
    } else {
        path.join(VMS)
    };
    if single_file.is_file() {
        // The folder's name, even if the path is `.`.
        let full_path = std::fs::canonicalize(&single_file)
            .map_err(|error| unreadable(&single_file, &error))?;
        let folder = full_path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        return Ok(vec![CloudList {
            cloud: only.map_or_else(|| our_name(folder), str::to_owned),
            file: single_file,
        }]);
    }
    let mut found_lists = Vec::new();
    for folder in folders_in(path)? {
        let file = folder.join(VMS);
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if file.is_file() {
            found_lists.push(CloudList {
                cloud: our_name(name),
                file,
            });
        }
    }
    let shown_path = path.display().to_string();
    if found_lists.is_empty() {
        // Checkouts keep the lists in folders by schema.
        let schema_folder = folders_in(path)?.into_iter().rfind(|folder| {
            folders_in(folder)
                .unwrap_or_default()
                .iter()
                .any(|folder| folder.join(VMS).is_file())
        });
        let hint = match schema_folder {
            Some(folder) => format!("did you mean {}?", folder.display()),
            None => "give the folder that holds the clouds, the folder of one cloud, or a vms.csv"
                .to_owned(),
        };
        return Err(CatalogError::file(
            shown_path,
            "there is no CLOUD/vms.csv",
            hint,
        ));
    }
    if let Some(only) = only {
        let clouds: Vec<String> = found_lists.iter().map(|list| list.cloud.clone()).collect();
        found_lists.retain(|list| list.cloud == only);
        if found_lists.is_empty() {
            let hint = format!("it has {}", clouds.join(", "));
            return Err(CatalogError::file(
                shown_path,
                format!("there is no list of the cloud `{only}`"),
                hint,
            ));
        }
    }
    Ok(found_lists)
}

/// The folders in a folder, by name.
fn folders_in(path: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let fault = |error: std::io::Error| unreadable(path, &error);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let entry_path = entry.map_err(fault)?.path();
        if entry_path.is_dir() {
            folders.push(entry_path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The day that a path tells: a file's name says nothing.
pub(super) fn guess(path: &Path) -> Result<GuessedDay, CatalogError> {
    let files: Vec<PathBuf> = meant_lists(path, None)?
        .into_iter()
        .map(|list| list.file)
        .collect();
    let full_path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let named_folder = if full_path.ends_with(VMS) {
        full_path.parent().unwrap_or(&full_path)
    } else {
        &full_path
    };
    figure_day::guess(named_folder, &files)
}

/// `5` in a path with a part like `v5` or `skypilot-v5-2024-11-03`.
fn schema_in_path(path: &Path) -> Option<String> {
    let full_path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let names: Vec<String> = full_path
        .components()
        .rev()
        .take(3)
        .map(|name| name.as_os_str().to_string_lossy().into_owned())
        .collect();
    let path_words = names
        .iter()
        .flat_map(|name| name.split(|c: char| !c.is_ascii_alphanumeric()));
    let mut numbers = path_words.filter_map(|word| word.strip_prefix('v'));
    numbers
        .find(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}

/// Imports every cloud of the folder.
pub(super) fn import(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let schema = schema_in_path(path).map_or(String::new(), |number| format!(", schema {number}"));
    for CloudList { cloud, file } in meant_lists(path, options.cloud.as_deref())? {
        let vms = read_rows(&file, &cloud, report)?;
        if vms.is_empty() {
            report.leave(format!("{cloud}: the list has no rows"));
            continue;
        }
        let vms = if cloud == "gcp" {
            gcp_machines::combine(vms, report)
        } else {
            vms
        };
        let about_source = format!("SkyPilot catalog of {cloud}{schema}");
        let id = add_source(draft, options, report, &cloud, Some(&cloud), &about_source)?;
        let prices_before = draft.prices.clone();
        let series = format!("SkyPilot catalog of {cloud}");
        let mut listed_rows = ListedRows {
            cloud: cloud.clone(),
            id: id.clone(),
            series,
            ..ListedRows::default()
        };
        take_rows(&mut listed_rows, vms, draft, report)?;
        full_price_lists::drop_rows_not_listed(draft, &prices_before, &listed_rows, report);
        price_outliers::leave_out(draft, &cloud, &prices_before, report);
        full_price_lists::note_price_changes(draft, &prices_before, &listed_rows);
    }
    Ok(())
}

fn read_rows(
    path: &Path,
    cloud: &str,
    report: &mut ImportReport,
) -> Result<Vec<SkyPilotRow>, CatalogError> {
    let mut csv_rows = ForeignCsv::open(path)?;
    let instance_type = csv_rows.required(&["InstanceType"])?;
    let (region, price) = (
        csv_rows.required(&["Region"])?,
        csv_rows.required(&["Price"])?,
    );
    let column = |name| csv_rows.optional(&[name]);
    let (name, count) = (column("AcceleratorName"), column("AcceleratorCount"));
    let (vcpus, memory) = (column("vCPUs"), column("MemoryGiB"));
    let (spot, zone, arch) = (
        column("SpotPrice"),
        column("AvailabilityZone"),
        column("Arch"),
    );
    let mut vms = Vec::new();
    while csv_rows.advance()? {
        csv_rows.check_is_whole()?;
        let figure_or_zero =
            |column, per| scaled(csv_rows.cell(column), per).map_or(0, i64::unsigned_abs);
        let accelerator = match csv_rows.cell(name) {
            "" => None,
            name => {
                // Lists without the column have one card a machine.
                let count = match csv_rows.cell(count) {
                    "" => Some(1000),
                    given => scaled(given, 1000)
                        .ok()
                        .and_then(|given| u32::try_from(given).ok())
                        .filter(|count| *count > 0),
                };
                let Some(count) = count else {
                    let count_unreadable =
                        format!("{cloud}: the count of accelerators is not a number above 0");
                    report.leave_of(count_unreadable, csv_rows.cell(instance_type));
                    continue;
                };
                Some((name.to_owned(), count))
            }
        };
        vms.push(SkyPilotRow {
            instance_type: csv_rows.cell(instance_type).to_owned(),
            accelerator,
            vcpu_thousandths: figure_or_zero(vcpus, 1000),
            memory: figure_or_zero(memory, 1 << 30),
            region: csv_rows.cell(region).to_owned(),
            zone: csv_rows.cell(zone).to_owned(),
            on_demand: csv_rows.nano(price),
            spot: csv_rows.nano(spot),
            arch: csv_rows.cell(arch).to_owned(),
        });
    }
    Ok(vms)
}

fn take_rows(
    listed: &mut ListedRows,
    vms: Vec<SkyPilotRow>,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let (cloud, id) = (listed.cloud.clone(), listed.id.clone());
    let (cloud, id) = (cloud.as_str(), id.as_str());
    let mut prices: BTreeMap<(String, String), PriceRow> = BTreeMap::new();
    for vm in vms {
        let known_region = REGIONS
            .iter()
            .find(|(of, theirs, _)| *of == cloud && *theirs == vm.region);
        let region = known_region.map_or(vm.region.as_str(), |(_, _, ours)| ours);
        if !draft.places.contains_key(&format!("{cloud}:{region}")) {
            report.leave_of(format!("{cloud}: unknown region"), region);
            continue;
        }
        if vm.instance_type.is_empty() {
            report.leave(format!("{cloud}: no instance type"));
            continue;
        }
        if !vendor_facts::machine(draft, cloud, &vm.instance_type, report)? {
            let accelerator = match &vm.accelerator {
                Some((name, count)) => Some((
                    canonical_accelerator(draft, cloud, &vm.instance_type, name)?,
                    *count,
                )),
                None => None,
            };
            let machine = MachineRow {
                vcpu_thousandths: vm.vcpu_thousandths,
                memory: vm.memory,
                accelerator,
                arch: machine_architecture(cloud, &vm.instance_type, &vm.arch).to_owned(),
                source: String::new(),
            };
            let machine_key = (cloud.to_owned(), vm.instance_type.clone());
            if draft
                .machines
                .get(&machine_key)
                .is_none_or(|old| old.vcpu_thousandths == 0 || old.memory == 0)
            {
                draft.machines.insert(machine_key, machine);
            }
        }
        listed.add(region, &vm.instance_type, false);
        if vm.spot.is_some() {
            listed.add(region, &vm.instance_type, true);
        }
        if vm.on_demand == Some(0) || vm.spot == Some(0) {
            report.leave(format!("{cloud}: a price of 0"));
        }
        let price = |nano: Option<i64>| {
            nano.filter(|nano| *nano > 0)
                .map(|nano| (nano, id.to_owned()))
        };
        if price(vm.on_demand).is_none() && price(vm.spot).is_none() {
            report.leave(format!("{cloud}: no price"));
            continue;
        }
        report.take(format!("{cloud}: rows"));
        let price_row = prices
            .entry((region.to_owned(), vm.instance_type))
            .or_default();
        price_row.on_demand =
            price_outliers::cheaper(price_row.on_demand.take(), price(vm.on_demand));
        price_row.spot = price_outliers::cheaper(price_row.spot.take(), price(vm.spot));
    }
    for ((region, machine), row) in prices {
        draft.put_price(cloud, &region, &machine, row);
    }
    Ok(())
}

/// The canonical name of the board; a new accelerator is put into the table.
fn canonical_accelerator(
    draft: &mut Draft,
    cloud: &str,
    instance_type: &str,
    name: &str,
) -> Result<String, CatalogError> {
    if let Some(known) = vendor_facts::card(draft, cloud, instance_type, name)? {
        return Ok(known);
    }
    // A name is one word, so that jobs can write `NAME:COUNT`.
    let plain_name = name.split_whitespace().collect::<Vec<_>>().join("-");
    let aliases = if plain_name == name {
        Vec::new()
    } else {
        vec![name.to_owned()]
    };
    let mut row = gcp_tpus::tpu_row(name);
    if row.gigaflops[2].is_some() {
        row.source = gcp_tpus::tpu_source(draft);
    }
    draft
        .accelerators
        .insert(plain_name.clone(), AcceleratorRow { aliases, ..row });
    Ok(plain_name)
}

/// The architecture, from the row or from what the cloud's names say; empty: unknown.
fn machine_architecture(
    cloud: &str,
    instance_type: &str,
    given_architecture: &str,
) -> &'static str {
    match given_architecture.to_ascii_lowercase().as_str() {
        "x86_64" | "amd64" => return "x86_64",
        "arm64" | "aarch64" => return "arm64",
        _ => {}
    }
    let family = instance_type.split(['.', '-']).next().unwrap_or_default();
    let arm = match cloud {
        // The letters after the generation: m6g, c7gn, x2gd, t4g; a1 and the newer Macs too.
        "aws" => {
            let attributes = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            let attributes = attributes.trim_start_matches(|c: char| c.is_ascii_digit());
            family == "a1"
                || (family.starts_with("mac2"))
                || (attributes.contains('g') && !family.starts_with(['p', 'g']))
                || family == "g5g"
        }
        "gcp" => {
            let host = instance_type.rsplit('+').next().unwrap_or_default();
            ["t2a", "c4a", "n4a"]
                .iter()
                .any(|arm| host.starts_with(&format!("{arm}-")))
        }
        // The lower-case letters before the version: D2ps_v5, B2pts_v2.
        "azure" => {
            let size_part = instance_type.split('_').nth(1).unwrap_or_default();
            let letters = size_part.trim_start_matches(|c: char| c.is_ascii_uppercase());
            letters
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')
                .contains('p')
        }
        _ => return "",
    };
    if arm { "arm64" } else { "x86_64" }
}

#[cfg(test)]
mod tests {
    use super::machine_architecture;

    #[test]
    fn names_tell_the_architecture() {
        let arm = [
            "m6g.large",
            "c7gn.xlarge",
            "x2gd.medium",
            "t4g.nano",
            "a1.large",
            "im4gn.large",
            "hpc7g.4xlarge",
        ];
        for name in arm
            .iter()
            .chain(&["g5g.xlarge", "is4gen.large", "r8gd.large", "mac2-m2.metal"])
        {
            assert_eq!(machine_architecture("aws", name, ""), "arm64", "{name}");
        }
        for name in [
            "m5.large",
            "g5.xlarge",
            "g4dn.xlarge",
            "p4de.24xlarge",
            "inf1.xlarge",
            "u-6tb1.metal",
        ] {
            assert_eq!(machine_architecture("aws", name, ""), "x86_64", "{name}");
        }
        assert_eq!(
            machine_architecture("azure", "Standard_D2ps_v5", ""),
            "arm64"
        );
        assert_eq!(
            machine_architecture("azure", "Standard_B2pts_v2", ""),
            "arm64"
        );
        assert_eq!(
            machine_architecture("azure", "Standard_NC24ads_A100_v4", ""),
            "x86_64"
        );
        assert_eq!(machine_architecture("gcp", "t2a-standard-1", ""), "arm64");
        assert_eq!(
            machine_architecture("gcp", "2xT4+n1-standard-8", ""),
            "x86_64"
        );
        assert_eq!(machine_architecture("lambda", "gpu_1x_a10", ""), "");
        assert_eq!(
            machine_architecture("lambda", "gpu_1x_gh200", "ARM64"),
            "arm64"
        );
    }
}
