//! GCP lists hosts and accelerators apart; what can be rented is the sum.
//!
//! - a2, a3 and g2 machines have a fixed number of GPUs: the host's price plus theirs. The offer
//!   keeps the machine's name: `a2-highgpu-1g`.
//! - T4, P4, V100, P100 and K80 are attached to N1 machines of any size up to a limit: an offer
//!   for each allowed `n1-standard` and `n1-highmem`, named `2xT4+n1-standard-8`.
//! - TPUs are TPU VMs: their price counts the host in, and no machine beside them is rented or
//!   billed. The offer is named `tpu-v3-8`, and its vCPUs and memory are those of one host,
//!   whatever the number of hosts in the slice. <https://cloud.google.com/tpu/pricing>
//!
//! Host and accelerator must be in one zone. A spot offer is spot for both.

use super::ImportReport;
use super::gcp_tpus::{tpu_size, tpu_vm};
use super::skypilot_row::SkyPilotRow;
use std::collections::BTreeMap;

/// The largest N1 host for so many GPUs: vCPUs, GiB.
/// <https://cloud.google.com/compute/docs/gpus#n1-gpus>; for four P100 the smaller of two limits.
const LARGEST_N1_HOSTS: &[(&str, u32, u64, u64)] = &[
    ("K80", 1, 8, 52),
    ("K80", 2, 16, 104),
    ("K80", 4, 32, 208),
    ("K80", 8, 64, 208),
    ("P100", 1, 16, 104),
    ("P100", 2, 32, 208),
    ("P100", 4, 64, 208),
    ("P4", 1, 24, 156),
    ("P4", 2, 48, 312),
    ("P4", 4, 96, 624),
    ("T4", 1, 48, 312),
    ("T4", 2, 48, 312),
    ("T4", 4, 96, 624),
    ("V100", 1, 12, 78),
    ("V100", 2, 24, 156),
    ("V100", 4, 48, 312),
    ("V100", 8, 96, 624),
];

/// The GPU of a machine that has one by its name.
fn built_in_gpu(instance_type: &str) -> Option<(&'static str, u32)> {
    let (family, size) = instance_type.rsplit_once('-')?;
    let name = match family {
        "a2-highgpu" | "a2-megagpu" => "A100",
        "a2-ultragpu" => "A100-80GB",
        "a3-highgpu" | "a3-edgegpu" => "H100",
        "a3-megagpu" => "H100-MEGA",
        "a3-ultragpu" => "H200",
        "a4-highgpu" => "B200",
        "a4x-highgpu" => "GB200",
        "g2-standard" => {
            let count = match size {
                "4" | "8" | "12" | "16" | "32" => 1,
                "24" => 2,
                "48" => 4,
                "96" => 8,
                _ => return None,
            };
            return Some(("L4", count * 1000));
        }
        _ => return None,
    };
    let count: u32 = size.strip_suffix('g')?.parse().ok()?;
    Some((name, count.checked_mul(1000)?))
}

/// Accelerators by zone, name and thousandths of a card.
type Accelerators = BTreeMap<(String, String, u32), SkyPilotRow>;
/// Hosts by zone and machine type.
type Hosts = BTreeMap<(String, String), SkyPilotRow>;

/// Pairs hosts with accelerators.
pub(super) fn combine(vms: Vec<SkyPilotRow>, report: &mut ImportReport) -> Vec<SkyPilotRow> {
    let mut accelerators = Accelerators::new();
    let mut hosts = Hosts::new();
    let mut whole_machines = Vec::new();
    for vm in vms {
        match (&vm.accelerator, vm.instance_type.is_empty()) {
            (Some((name, count)), true) => {
                let card_key = (vm.zone.clone(), name.clone(), *count);
                let dearer = |old: &SkyPilotRow| {
                    old.on_demand.unwrap_or(i64::MAX) > vm.on_demand.unwrap_or(i64::MAX)
                };
                if accelerators.get(&card_key).is_none_or(dearer) {
                    accelerators.insert(card_key, vm);
                }
            }
            (None, false) if vm.instance_type.ends_with("-tpu") => {
                report.leave("gcp: host of TPU VMs, not rented by itself");
            }
            (None, false) => {
                hosts.insert((vm.zone.clone(), vm.instance_type.clone()), vm);
            }
            (Some(_), false) => whole_machines.push(vm),
            (None, true) => report.leave("gcp: neither host nor accelerator"),
        }
    }
    for ((zone, instance_type), host) in &hosts {
        whole_machines.push(match built_in_gpu(instance_type) {
            None => host.clone(),
            Some((name, count)) => {
                match accelerators.get(&(zone.clone(), name.to_owned(), count)) {
                    Some(part) => host_with_accelerator(instance_type.clone(), part, host),
                    None => {
                        let missing_host =
                            "gcp: no price of the accelerator for its host in that zone";
                        report.leave_of(missing_host, name);
                        // The size is known all the same: a newer list may have the price.
                        SkyPilotRow {
                            accelerator: Some((name.to_owned(), count)),
                            on_demand: None,
                            spot: None,
                            ..host.clone()
                        }
                    }
                }
            }
        });
    }
    for ((zone, name, count), part) in &accelerators {
        if let Some(largest) = largest_n1_host(name, *count) {
            whole_machines.extend(on_n1_hosts(zone, part, largest, &hosts));
        } else if let Some((generation, size, cores)) = tpu_size(name) {
            whole_machines.push(tpu_vm(generation, size / cores, part));
        }
    }
    whole_machines
}

/// The vCPUs and the GiB of the largest N1 host that so many thousandths of a card may have.
fn largest_n1_host(name: &str, count: u32) -> Option<(u64, u64)> {
    LARGEST_N1_HOSTS
        .iter()
        .find(|(known, cards, _, _)| *known == name && cards * 1000 == count)
        .map(|(_, _, vcpus, memory)| (*vcpus, *memory))
}

/// All N1 hosts of a zone with an accelerator, from four vCPUs up to the largest.
fn on_n1_hosts(
    zone: &str,
    part: &SkyPilotRow,
    (vcpus, memory): (u64, u64),
    hosts: &Hosts,
) -> Vec<SkyPilotRow> {
    let Some((name, count)) = &part.accelerator else {
        return Vec::new();
    };
    let card = match count / 1000 {
        1 => name.clone(),
        several => format!("{several}x{name}"),
    };
    let fits_cards = |host: &SkyPilotRow| {
        let is_usual = host.instance_type.starts_with("n1-standard-")
            || host.instance_type.starts_with("n1-highmem-");
        is_usual
            && host.vcpu_thousandths >= 4000
            && host.vcpu_thousandths <= vcpus * 1000
            && host.memory <= memory << 30
    };
    hosts
        .range((zone.to_owned(), String::new())..)
        .take_while(|((of, _), _)| of == zone)
        .filter(|(_, host)| fits_cards(host))
        .map(|(_, host)| {
            let name = format!("{card}+{}", host.instance_type);
            host_with_accelerator(name, part, host)
        })
        .collect()
}

fn host_with_accelerator(
    instance_type: String,
    part: &SkyPilotRow,
    host: &SkyPilotRow,
) -> SkyPilotRow {
    // A part without a price (or at 0) has no sum.
    let add = |a: Option<i64>, b: Option<i64>| {
        let (a, b) = (a.filter(|nano| *nano > 0)?, b.filter(|nano| *nano > 0)?);
        a.checked_add(b)
    };
    SkyPilotRow {
        instance_type,
        accelerator: part.accelerator.clone(),
        on_demand: add(part.on_demand, host.on_demand),
        spot: add(part.spot, host.spot),
        ..host.clone()
    }
}
