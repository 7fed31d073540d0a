//! TPUs of Google: what a slice is made of, and the hosts that come with it.

use super::skypilot_row::SkyPilotRow;
use crate::catalog::catalog_toml::SourceEntry;
use crate::catalog::draft::{AcceleratorRow, Draft};

/// One host of a TPU VM: generation, chips of a slice with one such host (0: of the hosts of larger
/// slices, else as of four chips), vCPUs, GiB: the machine types `n1-356-96-tpu`, `n1-340-48-tpu`,
/// `ct3-hightpu-4t` and so on in the list of Compute Engine's machine types of 2026-08-20.
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

/// A TPU VM; slices of more chips than one host can have are made of hosts with four.
pub(super) fn tpu_vm(generation: &str, chips: u64, part: &SkyPilotRow) -> SkyPilotRow {
    let vms_of_generation = TPU_VMS.iter().filter(|(known, ..)| *known == generation);
    let vm_with_chips = |chips: u64| {
        vms_of_generation
            .clone()
            .find(|(_, most, ..)| *most == chips)
    };
    let shape = vm_with_chips(chips)
        .or_else(|| vm_with_chips(0))
        .or_else(|| vm_with_chips(4));
    let name = part
        .accelerator
        .as_ref()
        .map(|(name, _)| name.clone())
        .unwrap_or_default();
    SkyPilotRow {
        instance_type: name,
        vcpu_thousandths: shape.map_or(0, |(_, _, vcpus, _)| vcpus * 1000),
        memory: shape.map_or(0, |(_, _, _, memory)| memory << 30),
        ..part.clone()
    }
}

/// The generation, cores or chips of `tpu-v3-8`, and how many of that unit a chip has.
pub(super) fn tpu_size(name: &str) -> Option<(&str, u64, u64)> {
    let (generation, size) = name.strip_prefix("tpu-")?.split_once('-')?;
    // v2 to v5p count cores, two to a chip; v5e and v6e count chips.
    let cores = if matches!(generation, "v5litepod" | "v6e") {
        1
    } else {
        2
    };
    Some((generation, size.parse().ok()?, cores))
}

/// A generation of TPUs, by chip: dense bf16 gigaflop per second, GiB, and how chips are linked.
/// <https://cloud.google.com/tpu/docs/v2>, v3, v4, v5e, v5p and v6e; the memory of v2, 8 GiB for
/// each of two cores, is that of <https://cloud.google.com/tpu/docs/system-architecture-tpu-vm>.
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
const V5E_SHAPES: [(u64, &str); 8] = [
    (1, "1x1"),
    (4, "2x2"),
    (8, "2x4"),
    (16, "4x4"),
    (32, "4x8"),
    (64, "8x8"),
    (128, "8x16"),
    (256, "16x16"),
];

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
    let Some((generation, size, cores)) = tpu_size(name) else {
        return AcceleratorRow::default();
    };
    let Some((_, rate, memory, link, kind)) =
        TPU_CHIPS.iter().find(|(known, ..)| *known == generation)
    else {
        return AcceleratorRow::default();
    };
    let chips = size / cores;
    let shapes: &[(u64, &str)] = match generation {
        "v5litepod" => &V5E_SHAPES,
        "v5p" => &V5P_SHAPES,
        _ => &[],
    };
    let shape = shapes
        .iter()
        .find(|(of, _)| *of == chips)
        .map_or("", |(_, shape)| shape);
    let count = if chips == 1 {
        "1 chip".to_owned()
    } else {
        format!("{chips} chips")
    };
    let name_words = [count.as_str(), shape, kind];
    let page = if generation == "v5litepod" {
        "v5e"
    } else {
        generation
    };
    AcceleratorRow {
        gigaflops: [None, None, Some(rate * chips), None],
        memory: (memory * chips) << 30,
        interconnect: (*link).to_owned(),
        topology: name_words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
        frameworks: ["JAX", "PyTorch/XLA", "TensorFlow"]
            .map(str::to_owned)
            .to_vec(),
        evidence: format!("cloud.google.com/tpu/docs/{page}; frameworks from general knowledge"),
        ..AcceleratorRow::default()
    }
}

/// The source of [`tpu_row`].
pub(super) fn tpu_source(draft: &mut Draft) -> String {
    let id = "tpu-2026-11";
    let source_row = SourceEntry {
        date: "2026-11-22".to_owned(),
        about: "Cloud TPU system architecture: peak bf16 rate and memory per chip, times the chips of the slice"
            .to_owned(),
        url: "https://cloud.google.com/tpu/docs/system-architecture-tpu-vm".to_owned(),
        ..SourceEntry::default()
    };
    draft.sources.insert(id.to_owned(), source_row);
    id.to_owned()
}
