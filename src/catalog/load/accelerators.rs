//! Reads `accelerators.csv`.

use crate::catalog::cells::{self, list};
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{Accelerator, CatalogError, Source};
use crate::model::Bytes;
use rustc_hash::FxHashMap as HashMap;
use std::collections::BTreeMap;

pub(super) fn accelerators(
    file: &File,
    sources: &[Source],
) -> Result<BTreeMap<String, Accelerator>, CatalogError> {
    let mut accelerators = BTreeMap::new();
    let mut seen_names: HashMap<String, u32> = HashMap::default();
    let mut table = Table::open(&file.shown, &file.text, format::ACCELERATORS)?;
    while let Some(row) = table.next_row()? {
        let name = row.required(0)?;
        let aliases = list(row.cell(1));
        for (column, text) in
            std::iter::once((0, name)).chain(aliases.iter().map(|alias| (1, alias.as_str())))
        {
            if let Some(line) = seen_names.insert(text.to_ascii_lowercase(), row.line) {
                let message = format!("`{text}` already names the accelerator of line {line}");
                return Err(row.error(
                    column,
                    message,
                    "a name may stand for one accelerator only",
                ));
            }
        }
        let mut gigaflops = BTreeMap::new();
        for (column, precision) in format::ACCELERATORS
            .columns
            .iter()
            .enumerate()
            .take(6)
            .skip(2)
        {
            if !row.cell(column).is_empty() {
                let rate = row.number(column, 1000, "312")?.unsigned_abs();
                gigaflops.insert((*precision).to_owned(), rate);
            }
        }
        if !row.cell(6).is_empty() {
            cells::source(&row, 6, sources)?;
        }
        let memory = cells::figure_or_zero(&row, 7, 1 << 30, "80")?;
        let accelerator = Accelerator {
            aliases,
            gigaflops,
            memory: Bytes(memory.unsigned_abs()),
            interconnect: row.cell(8).to_owned(),
            topology: row.cell(9).to_owned(),
            frameworks: list(row.cell(10)),
            kinds: list(row.cell(12)),
        };
        accelerators.insert(name.to_owned(), accelerator);
    }
    let kinds: Vec<String> = accelerators
        .values()
        .flat_map(|row| row.kinds.iter().cloned())
        .collect();
    for kind in kinds {
        accelerators.entry(kind).or_default();
    }
    Ok(accelerators)
}
