//! What one's own hosts and clusters offer to plans, laid over a catalog in memory.

use super::files::File;
use super::host_offers::{self, OWN, Origin, Rows};
use super::{Catalog, CatalogError, load};
use crate::model::PlaceName;
use crate::model::hosts::{KUBERNETES, OwnHost, OwnHosts, SLURM, SSH};
use std::collections::{BTreeMap, BTreeSet};

/// The catalog of these files and of one's own hosts, whose figures are of the day that their file
/// says, else of `date`.
pub fn laid_over(
    files: Vec<File>,
    own_hosts: &OwnHosts,
    date: &str,
) -> Result<Catalog, CatalogError> {
    let origin = Origin {
        id: OWN,
        date: own_hosts.date.clone().unwrap_or_else(|| date.to_owned()),
        about: "One's own hosts, as hosts.toml has them",
    };
    load::from_files(&host_offers::lay(files, &origin, &host_tables(own_hosts))?)
}

/// All clouds that one's own hosts can be at, in the order of the tables of their machines.
const CLOUDS: [&str; 3] = [SSH, SLURM, KUBERNETES];

/// The clouds that one's own hosts are at.
pub fn clouds(own_hosts: &OwnHosts) -> Vec<&'static str> {
    let mut clouds = Vec::new();
    if !own_hosts.hosts.is_empty() {
        clouds.push(SSH);
    }
    if !own_hosts.clusters.is_empty() {
        clouds.push(SLURM);
    }
    if !own_hosts.pods.is_empty() {
        clouds.push(KUBERNETES);
    }
    clouds
}

/// One kind of machine, and how many of it there may be at a time.
fn host_offers(own_hosts: &OwnHosts) -> impl Iterator<Item = (&OwnHost, Option<u32>)> {
    let hosts = own_hosts.hosts.iter().map(|host| (host, Some(host.slots)));
    let jobs = own_hosts
        .clusters
        .iter()
        .map(|cluster| (&cluster.host, cluster.nodes));
    hosts
        .chain(jobs)
        .chain(own_hosts.pods.iter().map(|pods| (&pods.host, pods.nodes)))
}

/// The rows that one's own hosts add to the tables of a catalog.
fn host_tables(own_hosts: &OwnHosts) -> Vec<Rows> {
    let (places, certifications) = tables_of_places(own_hosts);
    let mut tables = vec![places];
    tables.extend(tables_of_machines(own_hosts));
    let (prices, confidential) = tables_of_offers(own_hosts);
    let (egress, throughput) = tables_of_network(own_hosts);
    tables.extend([
        certifications,
        prices,
        confidential,
        quotas(own_hosts),
        egress,
        throughput,
    ]);
    tables
}

fn source_of_hosts() -> String {
    OWN.to_owned()
}

fn tables_of_places(own_hosts: &OwnHosts) -> (Rows, Rows) {
    let columns = &[
        "place",
        "country",
        "location",
        "operator",
        "us_cloud_act",
        "source",
        "parent",
        "class",
        "parent_country",
    ];
    let mut places = Rows {
        file: "places.csv",
        columns,
        rows: Vec::new(),
    };
    let mut certifications = Rows {
        file: "certifications.csv",
        columns: &["scheme", "status", "places", "source"],
        rows: Vec::new(),
    };
    let names: BTreeSet<&PlaceName> = host_offers(own_hosts)
        .map(|(host, _)| &host.place)
        .collect();
    for name in names {
        let place = own_hosts
            .places
            .get(&name.region)
            .cloned()
            .unwrap_or_default();
        let full_name = name.to_string();
        for scheme in place.certifications {
            certifications.rows.push(vec![
                scheme,
                "certified".to_owned(),
                full_name.clone(),
                source_of_hosts(),
            ]);
        }
        places.rows.push(vec![
            full_name,
            place.country,
            place.location,
            place.operator,
            place.us_cloud_act,
            source_of_hosts(),
            place.parent,
            place.class,
            place.parent_country,
        ]);
    }
    (places, certifications)
}

/// What the machines of each cloud are.
fn tables_of_machines(own: &OwnHosts) -> [Rows; 3] {
    let table = |file| Rows {
        file,
        columns: &[
            "instance_type",
            "vcpus",
            "memory_gib",
            "accelerator",
            "count",
            "arch",
        ],
        rows: Vec::new(),
    };
    let mut tables = [
        table("ssh/machines.csv"),
        table("slurm/machines.csv"),
        table("kubernetes/machines.csv"),
    ];
    for (host, _) in host_offers(own) {
        let Some(cloud) = CLOUDS.iter().position(|cloud| *cloud == host.place.cloud) else {
            continue;
        };
        let offer = &host.offer;
        let (card, count) = match &offer.accelerators {
            Some((card, count)) => (card.clone(), count.to_string()),
            None => Default::default(),
        };
        let known_text = |number: u64, text: String| if number == 0 { String::new() } else { text };
        let cpus = known_text(
            offer.vcpu_thousandths,
            decimal_text(offer.vcpu_thousandths, 3),
        );
        let memory = known_text(
            offer.memory.0,
            decimal_text(((u128::from(offer.memory.0) * 1000) >> 30) as u64, 3),
        );
        let machine_row = vec![
            host.instance_type.clone(),
            cpus,
            memory,
            card,
            count,
            offer.arch.clone(),
        ];
        if !tables[cloud].rows.contains(&machine_row) {
            tables[cloud].rows.push(machine_row);
        }
    }
    tables
}

/// What machines cost, and which trusted execution environments they can run with.
fn tables_of_offers(own_hosts: &OwnHosts) -> (Rows, Rows) {
    let mut prices = Rows {
        file: "prices.csv",
        columns: &["place", "instance_type", "on_demand", "source"],
        rows: Vec::new(),
    };
    let mut confidential = Rows {
        file: "confidential.csv",
        columns: &["cloud", "instance_type", "tee", "places", "source"],
        rows: Vec::new(),
    };
    for (host, _) in host_offers(own_hosts) {
        let (place, name) = (host.place.to_string(), &host.instance_type);
        let price = decimal_text(host.offer.rate.0.unsigned_abs(), 9);
        let price_row = vec![place.clone(), name.clone(), price, source_of_hosts()];
        if prices.rows.contains(&price_row) {
            continue;
        }
        prices.rows.push(price_row);
        for tee in &host.offer.tee {
            confidential.rows.push(vec![
                host.place.cloud.clone(),
                name.clone(),
                tee.clone(),
                place.clone(),
                source_of_hosts(),
            ]);
        }
    }
    (prices, confidential)
}

/// How many machines each place has at a time.
fn quotas(own_hosts: &OwnHosts) -> Rows {
    // None: without a limit.
    let mut most_machines: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (host, count) in host_offers(own_hosts) {
        let most_at_place = most_machines
            .entry(host.place.to_string())
            .or_insert(Some(0));
        *most_at_place = most_at_place
            .zip(count)
            .map(|(most, count)| most + u64::from(count));
    }
    let quota = |(place, most): (String, Option<u64>)| {
        most.map(|most| {
            vec![
                place,
                "instances".to_owned(),
                most.to_string(),
                source_of_hosts(),
            ]
        })
    };
    Rows {
        file: "quotas.csv",
        columns: &["where", "what", "most", "source"],
        rows: most_machines.into_iter().filter_map(quota).collect(),
    }
}

/// What data from the hosts costs, and how fast it is.
fn tables_of_network(own_hosts: &OwnHosts) -> (Rows, Rows) {
    let mut egress = Rows {
        file: "egress.csv",
        columns: &["from", "to", "above_gb", "usd_per_gb", "source"],
        rows: Vec::new(),
    };
    let mut throughput = Rows {
        file: "throughput.csv",
        columns: &["from", "to", "gbps", "source"],
        rows: Vec::new(),
    };
    let price = decimal_text(own_hosts.egress.0.unsigned_abs(), 9);
    for cloud in clouds(own_hosts) {
        let whole_cloud = format!("{cloud}:*");
        for (to, price) in [("internet", price.as_str()), (&whole_cloud, "0")] {
            egress.rows.push(vec![
                whole_cloud.clone(),
                to.to_owned(),
                "0".to_owned(),
                price.to_owned(),
                source_of_hosts(),
            ]);
        }
        if let Some(gbps) = &own_hosts.gbps {
            throughput.rows.push(vec![
                whole_cloud.clone(),
                "*".to_owned(),
                gbps.clone(),
                source_of_hosts(),
            ]);
            throughput.rows.push(vec![
                "*".to_owned(),
                whole_cloud.clone(),
                gbps.clone(),
                source_of_hosts(),
            ]);
        }
    }
    (egress, throughput)
}

/// A number of so many parts, as a decimal.
fn decimal_text(parts: u64, digits: usize) -> String {
    let text = format!("{parts:0width$}", width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    match rest.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    }
}
