//! What vendors say of machines and accelerators: facts that price lists leave out or have wrong.
//!
//! SkyPilot's list gives Azure's `ND96isr_H100_v5` twelve cards, the sizes with a part of a card a
//! whole one, and calls every H100 an H100. The tables in `facts/` are from the vendors' own pages
//! and interfaces; an importer takes a machine from there, and from the list only what is not
//! there.

use super::ImportReport;
use crate::catalog::CatalogError;
use crate::catalog::draft::{AcceleratorRow, Draft, MachineRow};
use crate::catalog::files::File;
use crate::catalog::format::TableFormat;
use crate::catalog::table::Table;
use crate::model::Pattern;
use std::sync::OnceLock;

/// The tables that hold these facts, as files of a catalog.
const TABLES: &[(&str, &str)] = &[
    ("accelerators.csv", include_str!("facts/accelerators.csv")),
    ("aws/machines.csv", include_str!("facts/aws/machines.csv")),
    (
        "azure/machines.csv",
        include_str!("facts/azure/machines.csv"),
    ),
    ("catalog.toml", include_str!("facts/catalog.toml")),
    ("gcp/machines.csv", include_str!("facts/gcp/machines.csv")),
];

/// Which board a list means by a wider name.
const CARDS: &str = include_str!("cards.csv");

/// The columns of `cards.csv`.
const CARDS_FORMAT: TableFormat = TableFormat {
    file: "cards.csv",
    columns: &["cloud", "instance_types", "listed", "card", "evidence"],
    required: 4,
};

/// One row of `cards.csv`.
struct CardRule {
    cloud: String,
    instance_types: Vec<Pattern>,
    listed: String,
    card: String,
}

/// All of them.
struct VendorFacts {
    rows: Draft,
    cards: Vec<CardRule>,
}

fn vendor_facts() -> Result<&'static VendorFacts, CatalogError> {
    static FACTS: OnceLock<Result<VendorFacts, CatalogError>> = OnceLock::new();
    FACTS.get_or_init(read_facts).as_ref().map_err(Clone::clone)
}

fn read_facts() -> Result<VendorFacts, CatalogError> {
    let file = |(name, text): &(&str, &str)| File {
        name: (*name).to_owned(),
        shown: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    let files: Vec<File> = TABLES.iter().map(file).collect();
    let mut cards = Vec::new();
    let mut table = Table::open(CARDS_FORMAT.file, CARDS, CARDS_FORMAT)?;
    while let Some(row) = table.next_row()? {
        let patterns = row
            .required(1)?
            .split(';')
            .map(|pattern| Pattern(pattern.trim().to_owned()));
        cards.push(CardRule {
            cloud: row.required(0)?.to_owned(),
            instance_types: patterns.collect(),
            listed: row.required(2)?.to_owned(),
            card: row.required(3)?.to_owned(),
        });
    }
    Ok(VendorFacts {
        rows: Draft::read(&files)?,
        cards,
    })
}

/// Puts the vendor's row of a machine into the draft, if there is one; whether there is.
///
/// The row replaces what the draft has of that machine from a price list; a note says so.
pub(crate) fn machine(
    draft: &mut Draft,
    cloud: &str,
    instance_type: &str,
    report: &mut ImportReport,
) -> Result<bool, CatalogError> {
    let facts = vendor_facts()?;
    let machine_key = (cloud.to_owned(), instance_type.to_owned());
    let Some(row) = facts.rows.machines.get(&machine_key) else {
        return Ok(false);
    };
    let old_row = draft.machines.get(&machine_key);
    if old_row == Some(row) {
        return Ok(true);
    }
    // Another name of the same card is no news.
    let figures = |row: &MachineRow| {
        (
            row.accelerator.as_ref().map(|(_, count)| *count),
            row.vcpu_thousandths,
        )
    };
    if old_row.is_some_and(|old| figures(old) != figures(row)) {
        report.correct(cloud, instance_type);
    }
    if let Some((name, _)) = &row.accelerator {
        add_accelerator(draft, name)?;
    }
    add_source_of(draft, facts, &row.source);
    draft.machines.insert(machine_key, MachineRow::clone(row));
    Ok(true)
}

/// The canonical name of an accelerator that a list names, for a machine: the board itself where
/// the machine tells it, and with what is known of it put into the draft's table.
pub(crate) fn card(
    draft: &mut Draft,
    cloud: &str,
    instance_type: &str,
    listed: &str,
) -> Result<Option<String>, CatalogError> {
    let facts = vendor_facts()?;
    let canonical = facts.rows.accelerator_name(listed).unwrap_or(listed);
    let rule = facts.cards.iter().find(|rule| {
        rule.cloud == cloud
            && rule.listed == canonical
            && rule
                .instance_types
                .iter()
                .any(|pattern| pattern.matches(instance_type))
    });
    let name = rule.map_or(canonical, |rule| rule.card.as_str());
    if !facts.rows.accelerators.contains_key(name) {
        return Ok(draft.accelerator_name(name).map(str::to_owned));
    }
    add_accelerator(draft, name)?;
    Ok(Some(name.to_owned()))
}

/// Puts what is known of an accelerator, and of the kinds that it is of, into the draft's table.
fn add_accelerator(draft: &mut Draft, name: &str) -> Result<(), CatalogError> {
    let facts = vendor_facts()?;
    let Some(row) = facts.rows.accelerators.get(name) else {
        return Ok(());
    };
    for (name, row) in std::iter::once((name, row)).chain(row.kinds.iter().filter_map(|kind| {
        facts
            .rows
            .accelerators
            .get(kind)
            .map(|row| (kind.as_str(), row))
    })) {
        if draft.accelerators.get(name) == Some(row) {
            continue;
        }
        // Who has a row of their own keeps it, but for the kinds.
        if let Some(old) = draft
            .accelerators
            .get_mut(name)
            .filter(|old| **old != AcceleratorRow::default())
        {
            old.kinds.clone_from(&row.kinds);
            continue;
        }
        let mut accelerator_row = row.clone();
        // A name may stand for one accelerator only, and the draft's own come first.
        accelerator_row.aliases.retain(|alias| {
            draft
                .accelerator_name(alias)
                .is_none_or(|known| known == name)
        });
        for other in draft.accelerators.values_mut() {
            other
                .aliases
                .retain(|alias| !alias.eq_ignore_ascii_case(name));
        }
        add_source_of(draft, facts, &accelerator_row.source);
        draft.accelerators.insert(name.to_owned(), accelerator_row);
    }
    Ok(())
}

fn add_source_of(draft: &mut Draft, facts: &VendorFacts, id: &str) {
    if let (Some(row), false) = (facts.rows.sources.get(id), draft.sources.contains_key(id)) {
        draft.sources.insert(id.to_owned(), row.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::card_families::cards_of_family;

    #[test]
    fn every_machine_of_a_vendor_has_the_cards_of_its_family() {
        for ((cloud, name), row) in &vendor_facts().unwrap().rows.machines {
            assert_eq!(
                row.accelerator,
                cards_of_family(cloud, name),
                "{cloud} {name}"
            );
        }
    }

    #[test]
    fn a_machine_has_the_cards_that_its_vendor_says() {
        let (mut draft, mut report) = (Draft::default(), ImportReport::default());
        let wrong = MachineRow {
            accelerator: Some(("H100".to_owned(), 12_000)),
            ..MachineRow::default()
        };
        draft.machines.insert(
            ("azure".to_owned(), "Standard_ND96isr_H100_v5".to_owned()),
            wrong,
        );
        assert!(machine(&mut draft, "azure", "Standard_ND96isr_H100_v5", &mut report).unwrap());
        let row = &draft.machines[&("azure".to_owned(), "Standard_ND96isr_H100_v5".to_owned())];
        assert_eq!(row.accelerator, Some(("H100-SXM".to_owned(), 8000)));
        assert_eq!(draft.accelerators["H100-SXM"].kinds, ["H100"]);
        assert!(draft.accelerators.contains_key("H100") && draft.sources.contains_key(&row.source));
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
        assert!(!machine(&mut draft, "azure", "Standard_D2s_v5", &mut report).unwrap());
    }

    #[test]
    fn a_board_is_told_by_its_machine() {
        let mut draft = Draft::default();
        let mut named = |cloud, machine, listed| {
            card(&mut draft, cloud, machine, listed)
                .unwrap()
                .unwrap_or_else(|| listed.to_owned())
        };
        assert_eq!(named("lambda", "gpu_1x_h100_pcie", "H100"), "H100-PCIe");
        assert_eq!(named("lambda", "gpu_8x_h100_sxm5", "H100"), "H100-SXM");
        assert_eq!(named("lambda", "gpu_1x_a100", "A100"), "A100-PCIe");
        assert_eq!(named("lambda", "gpu_8x_a100", "A100"), "A100-SXM");
        assert_eq!(named("gcp", "2xV100+n1-standard-8", "V100"), "V100-SXM");
        assert_eq!(named("aws", "inf2.xlarge", "Inferentia"), "Inferentia2");
        assert_eq!(named("fluidstack", "H100_NVLINK_80GB::8", "H100"), "H100");
        assert_eq!(named("cudo", "x", "New Card"), "New Card");
    }
}
