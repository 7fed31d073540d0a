//! One's own hosts and clusters: where their file is, and what they offer to plans.

use super::{Failure, lock};
use crate::catalog::files::{self, File};
use crate::catalog::overlay::{self, OWN, Origin, Rows};
use crate::catalog::{Catalog, load};
use crate::model::PlaceName;
use crate::provider::ssh::inventory::{self, Host, Inventory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file that is taken if none is named and it is there.
const FILE: &str = "hosts.toml";

/// The file of the hosts, if there is one.
pub fn file(named: Option<&Path>, here: &Path) -> Option<PathBuf> {
    match named {
        Some(named) => Some(here.join(named)),
        None => Some(here.join(FILE)).filter(|path| path.exists()),
    }
}

/// Reads the file of the hosts, if there is one, and says what is wrong with it.
pub fn check(named: Option<&Path>) -> Result<(), Failure> {
    file(named, Path::new("")).map_or(Ok(()), |path| read(&path).map(drop))
}

fn read(path: &Path) -> Result<Inventory, Failure> {
    inventory::read(path).map_err(|fault| {
        let hint = fault.hint.clone();
        let without_hint = inventory::Fault { hint: String::new(), ..fault };
        Failure::error(format!("the file of hosts cannot be used\n  {without_hint}")).hint(hint)
    })
}

/// The catalog with what one's own hosts offer; `named` is the folder that the arguments name.
pub fn laid_over(catalog: Catalog, named: Option<&Path>, hosts: Option<&Path>) -> Result<Catalog, Failure> {
    let Some(path) = file(hosts, Path::new("")) else { return Ok(catalog) };
    let inventory = read(&path)?;
    let own = |cloud: &str| clouds(&inventory).contains(&cloud);
    if let Some(place) = catalog.places.iter().find(|place| own(&place.name.cloud)) {
        let message =
            format!("the catalog has a place {} already, and {} would add others", place.name, path.display());
        return Err(Failure::error(message).hint("name the cloud in the catalog in another way"));
    }
    let folder = match named {
        Some(named) => Some(named.to_owned()),
        None => lock::read()?.and_then(|pinned| lock::folder(&pinned.at)),
    };
    let files = match &folder {
        Some(folder) => files::read(folder),
        None => files::shipped(),
    };
    with(files.map_err(Failure::error)?, &inventory, &catalog.date).map_err(|failure| {
        // What does not fit was written in that file.
        Failure::error(format!("{}: {}", path.display(), failure.message))
    })
}

/// The catalog of these files, and of the hosts; their figures are of the `date` that the
/// inventory has, else of this one.
fn with(files: Vec<File>, inventory: &Inventory, date: &str) -> Result<Catalog, Failure> {
    let origin = Origin {
        id: OWN,
        date: inventory.date.clone().unwrap_or_else(|| date.to_owned()),
        about: "One's own hosts, as hosts.toml has them",
    };
    let files = overlay::lay(files, &origin, &tables(inventory)).map_err(Failure::error)?;
    load::from_files(&files).map_err(Failure::error)
}

/// The clouds that an inventory has something at.
fn clouds(inventory: &Inventory) -> Vec<&'static str> {
    let mut clouds = Vec::new();
    if !inventory.hosts.is_empty() {
        clouds.push(crate::provider::SSH);
    }
    if !inventory.clusters.is_empty() {
        clouds.push(crate::provider::SLURM);
    }
    if !inventory.pods.is_empty() {
        clouds.push(crate::provider::KUBERNETES);
    }
    clouds
}

/// One kind of machine, and how many of it there may be at a time.
fn offers(inventory: &Inventory) -> impl Iterator<Item = (&Host, Option<u32>)> {
    let hosts = inventory.hosts.iter().map(|host| (host, Some(host.slots)));
    let jobs = inventory.clusters.iter().map(|cluster| (&cluster.host, cluster.nodes));
    hosts.chain(jobs).chain(inventory.pods.iter().map(|pods| (&pods.host, pods.nodes)))
}

fn tables(inventory: &Inventory) -> Vec<Rows> {
    let source = || OWN.to_owned();
    let mut tables = vec![Rows {
        file: "places.csv",
        columns: &[
            "place",
            "country",
            "location",
            "operator",
            "us_cloud_act",
            "source",
            "parent",
            "class",
            "parent_country",
        ],
        rows: Vec::new(),
    }];
    let mut certifications =
        Rows { file: "certifications.csv", columns: &["scheme", "status", "places", "source"], rows: Vec::new() };
    let names: BTreeSet<&PlaceName> = offers(inventory).map(|(host, _)| &host.place).collect();
    for name in names {
        let place = inventory.places.get(&name.region).cloned().unwrap_or_default();
        let full = name.to_string();
        for scheme in place.certifications {
            certifications.rows.push(vec![scheme, "certified".to_owned(), full.clone(), source()]);
        }
        tables[0].rows.push(vec![
            full,
            place.country,
            place.location,
            place.operator,
            place.us_cloud_act,
            source(),
            place.parent,
            place.class,
            place.parent_country,
        ]);
    }
    let machines = |file| Rows {
        file,
        columns: &["instance_type", "vcpus", "memory_gib", "accelerator", "count", "arch"],
        rows: Vec::new(),
    };
    let mut machines =
        [machines("ssh/machines.csv"), machines("slurm/machines.csv"), machines("kubernetes/machines.csv")];
    let mut prices =
        Rows { file: "prices.csv", columns: &["place", "instance_type", "on_demand", "source"], rows: Vec::new() };
    let mut confidential = Rows {
        file: "confidential.csv",
        columns: &["cloud", "instance_type", "tee", "places", "source"],
        rows: Vec::new(),
    };
    // None: without a limit.
    let mut most: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (host, count) in offers(inventory) {
        let (place, name, offer) = (host.place.to_string(), host.instance_type.clone(), &host.offer);
        let most = most.entry(place.clone()).or_insert(Some(0));
        *most = most.zip(count).map(|(most, count)| most + u64::from(count));
        let (card, count) = match &offer.accelerators {
            Some((card, count)) => (card.clone(), count.to_string()),
            None => Default::default(),
        };
        let known = |number: u64, text: String| if number == 0 { String::new() } else { text };
        let cpus = known(offer.vcpu_thousandths, decimal(offer.vcpu_thousandths, 3));
        let memory = known(offer.memory.0, decimal(((u128::from(offer.memory.0) * 1000) >> 30) as u64, 3));
        let row = vec![name.clone(), cpus, memory, card, count, offer.arch.clone()];
        let of = [crate::provider::SSH, crate::provider::SLURM, crate::provider::KUBERNETES];
        let machines = &mut machines[of.iter().position(|cloud| *cloud == host.place.cloud).unwrap_or_default()];
        if !machines.rows.contains(&row) {
            machines.rows.push(row);
        }
        let row = vec![place.clone(), name.clone(), decimal(offer.rate.0.unsigned_abs(), 9), source()];
        if prices.rows.contains(&row) {
            continue;
        }
        prices.rows.push(row);
        for tee in &offer.tee {
            confidential.rows.push(vec![host.place.cloud.clone(), name.clone(), tee.clone(), place.clone(), source()]);
        }
    }
    let quota = |(place, most): (String, Option<u64>)| {
        most.map(|most| vec![place, "instances".to_owned(), most.to_string(), source()])
    };
    let quotas = Rows {
        file: "quotas.csv",
        columns: &["where", "what", "most", "source"],
        rows: most.into_iter().filter_map(quota).collect(),
    };
    let mut egress =
        Rows { file: "egress.csv", columns: &["from", "to", "above_gb", "usd_per_gb", "source"], rows: Vec::new() };
    let mut throughput = Rows { file: "throughput.csv", columns: &["from", "to", "gbps", "source"], rows: Vec::new() };
    let price = decimal(inventory.egress.0.unsigned_abs(), 9);
    for cloud in clouds(inventory) {
        let all = format!("{cloud}:*");
        for (to, price) in [("internet", price.as_str()), (&all, "0")] {
            egress.rows.push(vec![all.clone(), to.to_owned(), "0".to_owned(), price.to_owned(), source()]);
        }
        if let Some(gbps) = &inventory.gbps {
            throughput.rows.push(vec![all.clone(), "*".to_owned(), gbps.clone(), source()]);
            throughput.rows.push(vec!["*".to_owned(), all.clone(), gbps.clone(), source()]);
        }
    }
    tables.extend(machines);
    tables.extend([certifications, prices, confidential, quotas, egress, throughput]);
    tables
}

/// A number of so many parts, as a decimal.
fn decimal(parts: u64, digits: usize) -> String {
    let text = format!("{parts:0width$}", width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    match rest.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    }
}
