//! The cards that the names of machine types say, family by family, for tests: the table is
//! `card_families.csv`.

use crate::catalog::format::TableFormat;
use crate::catalog::table::Table;
use std::sync::OnceLock;

/// The table of families, with where each row was seen.
const FAMILIES: &str = include_str!("card_families.csv");

/// The columns of the table.
const FAMILIES_FORMAT: TableFormat = TableFormat {
    file: "card_families.csv",
    columns: &["cloud", "card", "names", "sizes", "evidence"],
    required: 5,
};

/// One row of the table.
struct Family {
    cloud: String,
    card: String,
    names: String,
    /// By size how many cards in thousandths; empty: the names have the number.
    sizes: Vec<(String, u32)>,
}

fn all_families() -> &'static [Family] {
    static TABLE: OnceLock<Vec<Family>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut card_families = Vec::new();
        let mut table = Table::open(FAMILIES_FORMAT.file, FAMILIES, FAMILIES_FORMAT).unwrap();
        while let Some(row) = table.next_row().unwrap() {
            let size_and_thousandths = |text: &str| {
                let (size, cards) = text.split_once(':').unwrap();
                let thousandths = crate::model::units::scaled(cards, 1000).unwrap();
                (size.to_owned(), u32::try_from(thousandths).unwrap())
            };
            let sizes = row.cell(3).split(';').filter(|text| !text.is_empty());
            row.required(4).unwrap();
            card_families.push(Family {
                cloud: row.required(0).unwrap().to_owned(),
                card: row.required(1).unwrap().to_owned(),
                names: row.required(2).unwrap().to_owned(),
                sizes: sizes.map(size_and_thousandths).collect(),
            });
        }
        card_families
    })
}

/// Splits what a text begins with from the rest, if it begins with any.
fn split_run(text: &str, is_part: fn(char) -> bool) -> Option<(&str, &str)> {
    let run_end = text.find(|one| !is_part(one)).unwrap_or(text.len());
    (run_end > 0).then(|| text.split_at(run_end))
}

/// The number of cards that a name says which is made by a pattern of the table.
fn count_in(pattern: &str, name: &str) -> Option<u32> {
    let (mut rest, mut count) = (name, 1);
    for part in pattern.chars() {
        rest = match part {
            '#' | '%' => {
                let (digits, rest) = split_run(rest, |one| one.is_ascii_digit())?;
                if part == '#' {
                    count = digits.parse().ok()?;
                }
                rest
            }
            '?' => split_run(rest, |one| one.is_ascii_lowercase())?.1,
            literal => rest.strip_prefix(literal)?,
        };
    }
    rest.is_empty().then_some(count)
}

/// The accelerator that the name of a machine type says, and how many of them in thousandths; none:
/// no family has such a name.
pub(crate) fn cards_of_family(cloud: &str, instance_type: &str) -> Option<(String, u32)> {
    if cloud == "gcp" && instance_type.starts_with("tpu-") {
        return Some((instance_type.to_owned(), 1000));
    }
    let of_cloud = || all_families().iter().filter(|family| family.cloud == cloud);
    let mut any_size = None;
    for family in of_cloud().filter(|family| !family.sizes.is_empty()) {
        let Some(size) = instance_type.strip_prefix(family.names.as_str()) else {
            continue;
        };
        let of_size = |wanted: &str| {
            let mut sizes = family.sizes.iter();
            sizes.find(|(known, _)| known == wanted)
        };
        if let Some((_, count)) = of_size(size) {
            return Some((family.card.clone(), *count));
        }
        any_size = any_size.or(of_size("*").map(|(_, count)| (family.card.clone(), *count)));
    }
    let mut unsized_families = of_cloud().filter(|family| family.sizes.is_empty());
    any_size.or_else(|| {
        unsized_families.find_map(|family| {
            let count = count_in(&family.names, instance_type)?;
            Some((family.card.clone(), count * 1000))
        })
    })
}

/// Whether a machine type is of a family with accelerators, by the letters that its cloud names
/// such families with, known families or not.
pub(crate) fn is_named_as_accelerated(cloud: &str, instance_type: &str) -> bool {
    let family = |letters: &str| {
        instance_type
            .strip_prefix(letters)
            .is_some_and(|rest| rest.starts_with(|one: char| one.is_ascii_digit()))
    };
    match cloud {
        "aws" => ["dl", "f", "g", "gr", "inf", "p", "trn", "vt"]
            .into_iter()
            .any(family),
        "azure" => instance_type.starts_with("Standard_N"),
        "gcp" => {
            let shared_core = instance_type == "g1-small";
            let lettered = ["a", "g", "ct", "tpu-v"].into_iter().any(family);
            (lettered && !shared_core) || instance_type.contains('+')
        }
        _ => false,
    }
}

#[test]
fn names_say_their_cards() {
    for (cloud, name, card, count) in [
        ("oci", "BM.GPU.H100.8", "H100-SXM", 8000),
        ("oci", "VM.GPU.A10.1", "A10", 1000),
        ("ibm", "gx2-8x64x1v100", "V100-PCIe", 1000),
        ("ibm", "gx3-64x320x4l4", "L4", 4000),
        ("ovh", "t1-le-90", "V100-PCIe", 2000),
        ("ovh", "h100-760", "H100-PCIe", 2000),
        ("scaleway", "L40S-4-48G", "L40S", 4000),
        ("do", "gpu-h100x8-640gb", "H100-SXM", 8000),
        ("cudo", "ice-lake-a40_96x4v48gb", "A40", 4000),
        ("paperspace", "A100-80Gx8", "A100-80GB", 8000),
        ("paperspace", "GPU+", "M4000", 1000),
        ("scp", "g1v64v8", "V100-32GB", 8000),
        ("lambda", "gpu_8x_a100", "A100-SXM", 8000),
        ("gcp", "2xT4+n1-standard-8", "T4", 2000),
        ("azure", "Standard_NM16ads_MA35D", "Alveo-MA35D", 500),
    ] {
        assert_eq!(
            cards_of_family(cloud, name),
            Some((card.to_owned(), count)),
            "{cloud} {name}"
        );
    }
    for (cloud, name) in [
        ("oci", "VM.Standard.E4.Flex"),
        ("do", "s-2vcpu-4gb"),
        ("aws", "m5.large"),
        ("gcp", "n1-standard-8"),
    ] {
        assert_eq!(cards_of_family(cloud, name), None, "{cloud} {name}");
    }
    assert!(is_named_as_accelerated("aws", "p7.48xlarge"));
    assert!(is_named_as_accelerated("gcp", "a5-highgpu-8g"));
    assert!(!is_named_as_accelerated("aws", "m7gd.large"));
    assert!(!is_named_as_accelerated("gcp", "c4a-standard-8"));
    assert!(!is_named_as_accelerated("gcp", "g1-small"));
}
