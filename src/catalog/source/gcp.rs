//! GCP lists hosts and accelerators apart; what can be rented is the sum.
//!
//! - a2, a3 and g2 machines have a fixed number of GPUs: the host's price plus theirs. The offer
//!   keeps the machine's name: `a2-highgpu-1g`.
//! - T4, P4, V100, P100 and K80 are attached to N1 machines of any size up to a limit: an offer
//!   for each allowed `n1-standard` and `n1-highmem`, named `2xT4+n1-standard-8`.
//! - TPUs are TPU VMs: their price counts the host in, and no machine beside them is rented or billed.
//!   The offer is named `tpu-v3-8`, and its vCPUs and memory are those of one host, whatever the number
//!   of hosts in the slice. <https://cloud.google.com/tpu/pricing>
//!
//! Host and accelerator must be in one zone. A spot offer is spot for both.

use super::Report;
use super::skypilot::Vm;
use crate::catalog::draft::{AcceleratorRow, Draft};
use crate::catalog::load::HeadSource;
use std::collections::BTreeMap;

/// The largest N1 host for so many GPUs: vCPUs, GiB.
/// <https://cloud.google.com/compute/docs/gpus#n1-gpus>; for four P100 the smaller of two limits.
const N1: &[(&str, u32, u64, u64)] = &[
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

/// One host of a TPU VM: generation, chips of a slice with one such host (0: of the hosts of larger
/// slices, else as of four chips), vCPUs, GiB: the machine types `n1-356-96-tpu`, `n1-340-48-tpu`, `ct3-hightpu-4t`
/// and so on in the list of Compute Engine's machine types of 2026-08-20.
/// <https://cloud.google.com/tpu/docs/system-architecture-tpu-vm>
const TPU_VMS: &[(&str, u64, u64, u64)] = &[
    ("v2", 4, 96, 340),
    ("v2", 0, 48, 340),
    ("v3", 4, 96, 340),
    ("v3", 0, 48, 340),
    ("v4", 4, 240, 407),
    ("v5litepod", 1, 24, 48),
    ("v5litepod", 4, 112, 192),
    ("v5litepod", 8, 224, 384),
    ("v5p", 4, 208, 448),
    ("v6e", 1, 44, 176),
    ("v6e", 4, 180, 720),
    ("v6e", 8, 360, 1440),
];

/// The generation, cores or chips of `tpu-v3-8`, and how many of that unit a chip has.
fn tpu(name: &str) -> Option<(&str, u64, u64)> {
    let (generation, size) = name.strip_prefix("tpu-")?.split_once('-')?;
    // v2 to v5p count cores, two to a chip; v5e and v6e count chips.
    let cores = if matches!(generation, "v5litepod" | "v6e") { 1 } else { 2 };
    Some((generation, size.parse().ok()?, cores))
}

/// A generation of TPUs, by chip: dense bf16 gigaflop per second, GiB, and how chips are linked.
/// <https://cloud.google.com/tpu/docs/v2>, v3, v4, v5e, v5p and v6e; the memory of v2, 8 GiB for each of two cores, is
/// that of <https://cloud.google.com/tpu/docs/system-architecture-tpu-vm>.
const TPU_CHIPS: [(&str, u64, u64, &str, &str); 6] = [
    ("v2", 45_000, 16, "", "2D torus"),
    ("v3", 123_000, 32, "", "2D torus"),
    ("v4", 275_000, 32, "", "3D mesh"),
    ("v5litepod", 197_000, 16, "ICI 400 GB/s", "2D torus"),
    ("v5p", 459_000, 95, "ICI 600 GB/s", "3D torus"),
    ("v6e", 918_000, 32, "ICI 800 GB/s", "2D torus"),
];

/// Usual shapes of slices by chips, of v5e and of v5p; other sizes have several shapes.
/// <https://cloud.google.com/tpu/docs/supported-tpu-configurations>
const V5E_SHAPES: [(u64, &str); 8] =
    [(1, "1x1"), (4, "2x2"), (8, "2x4"), (16, "4x4"), (32, "4x8"), (64, "8x8"), (128, "8x16"), (256, "16x16")];
const V5P_SHAPES: [(u64, &str); 11] = [
    (4, "2x2x1"),
    (8, "2x2x2"),
    (32, "2x4x4"),
    (64, "4x4x4"),
    (128, "4x4x8"),
    (256, "4x8x8"),
    (512, "8x8x8"),
    (1024, "8x8x16"),
    (2048, "8x16x16"),
    (4096, "16x16x16"),
    (6144, "16x16x24"),
];

/// What is known of a whole slice; nothing if the name is of no TPU.
pub(super) fn tpu_row(name: &str) -> AcceleratorRow {
    let Some((generation, size, cores)) = tpu(name) else { return AcceleratorRow::default() };
    let Some((_, rate, memory, link, kind)) = TPU_CHIPS.iter().find(|(known, ..)| *known == generation) else {
        return AcceleratorRow::default();
    };
    let chips = size / cores;
    let shapes: &[(u64, &str)] = match generation {
        "v5litepod" => &V5E_SHAPES,
        "v5p" => &V5P_SHAPES,
        _ => &[],
    };
    let shape = shapes.iter().find(|(of, _)| *of == chips).map_or("", |(_, shape)| shape);
    let count = if chips == 1 { "1 chip".to_owned() } else { format!("{chips} chips") };
    let words = [count.as_str(), shape, kind];
    let page = if generation == "v5litepod" { "v5e" } else { generation };
    AcceleratorRow {
        gigaflops: [None, None, Some(rate * chips), None],
        memory: (memory * chips) << 30,
        interconnect: (*link).to_owned(),
        topology: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("; "),
        frameworks: ["JAX", "PyTorch/XLA", "TensorFlow"].map(str::to_owned).to_vec(),
        evidence: format!("cloud.google.com/tpu/docs/{page}; frameworks from general knowledge"),
        ..AcceleratorRow::default()
    }
}

/// The source of [`tpu_row`].
pub(super) fn tpu_source(draft: &mut Draft) -> String {
    let id = "tpu-2026-11";
    let row = HeadSource {
        date: "2026-11-22".to_owned(),
        about: "Cloud TPU system architecture: peak bf16 rate and memory per chip, times the chips of the slice"
            .to_owned(),
        url: "https://cloud.google.com/tpu/docs/system-architecture-tpu-vm".to_owned(),
        ..HeadSource::default()
    };
    draft.sources.insert(id.to_owned(), row);
    id.to_owned()
}

/// The GPU of a machine that has one by its name.
fn built_in(instance_type: &str) -> Option<(&'static str, u32)> {
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

/// Pairs hosts with accelerators.
pub(super) fn combine(vms: Vec<Vm>, report: &mut Report) -> Vec<Vm> {
    let mut parts: BTreeMap<(String, String, u32), Vm> = BTreeMap::new();
    let mut hosts: BTreeMap<(String, String), Vm> = BTreeMap::new();
    let mut whole = Vec::new();
    for vm in vms {
        match (&vm.accelerator, vm.instance_type.is_empty()) {
            (Some((name, count)), true) => {
                let key = (vm.zone.clone(), name.clone(), *count);
                let dearer = |old: &Vm| old.on_demand.unwrap_or(i64::MAX) > vm.on_demand.unwrap_or(i64::MAX);
                if parts.get(&key).is_none_or(dearer) {
                    parts.insert(key, vm);
                }
            }
            (None, false) if vm.instance_type.ends_with("-tpu") => {
                report.leave("gcp: host of TPU VMs, not rented by itself");
            }
            (None, false) => {
                hosts.insert((vm.zone.clone(), vm.instance_type.clone()), vm);
            }
            (Some(_), false) => whole.push(vm),
            (None, true) => report.leave("gcp: neither host nor accelerator"),
        }
    }
    for ((zone, instance_type), host) in &hosts {
        match built_in(instance_type) {
            None => whole.push(host.clone()),
            Some((name, count)) => match parts.get(&(zone.clone(), name.to_owned(), count)) {
                Some(part) => whole.push(sum(instance_type.clone(), part, host)),
                None => {
                    report.leave_of("gcp: no price of the accelerator for its host in that zone", name);
                    // The size is known all the same: a newer list may have the price.
                    let accelerator = Some((name.to_owned(), count));
                    whole.push(Vm { accelerator, on_demand: None, spot: None, ..host.clone() });
                }
            },
        }
    }
    for ((zone, name, count), part) in &parts {
        let here = hosts.range((zone.clone(), String::new())..).take_while(|((of, _), _)| of == zone);
        let plural = if *count == 1000 { String::new() } else { format!("{}x", count / 1000) };
        if let Some((_, _, vcpus, memory)) = N1.iter().find(|(known, n, _, _)| known == name && n * 1000 == *count) {
            let fits = |host: &Vm| {
                let usual =
                    host.instance_type.starts_with("n1-standard-") || host.instance_type.starts_with("n1-highmem-");
                usual
                    && host.vcpu_thousandths >= 4000
                    && host.vcpu_thousandths <= vcpus * 1000
                    && host.memory <= memory << 30
            };
            for (_, host) in here.filter(|(_, host)| fits(host)) {
                whole.push(sum(format!("{plural}{name}+{}", host.instance_type), part, host));
            }
        } else if let Some((generation, size, cores)) = tpu(name) {
            whole.push(tpu_vm(generation, size / cores, part));
        }
    }
    whole
}

/// A TPU VM; slices of more chips than one host can have are made of hosts with four.
fn tpu_vm(generation: &str, chips: u64, part: &Vm) -> Vm {
    let of = TPU_VMS.iter().filter(|(known, ..)| *known == generation);
    let with = |chips: u64| of.clone().find(|(_, most, ..)| *most == chips);
    let shape = with(chips).or_else(|| with(0)).or_else(|| with(4));
    let name = part.accelerator.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
    Vm {
        instance_type: name,
        vcpu_thousandths: shape.map_or(0, |(_, _, vcpus, _)| vcpus * 1000),
        memory: shape.map_or(0, |(_, _, _, memory)| memory << 30),
        ..part.clone()
    }
}

fn sum(instance_type: String, part: &Vm, host: &Vm) -> Vm {
    // A part without a price (or at 0) has no sum.
    let add = |a: Option<i64>, b: Option<i64>| {
        let (a, b) = (a.filter(|nano| *nano > 0)?, b.filter(|nano| *nano > 0)?);
        a.checked_add(b)
    };
    Vm {
        instance_type,
        accelerator: part.accelerator.clone(),
        on_demand: add(part.on_demand, host.on_demand),
        spot: add(part.spot, host.spot),
        ..host.clone()
    }
}
