//! Changing a catalog that people write too: what they wrote stays as they wrote it.
//!
//! A file whose rows are the same after a change is left alone, byte for byte, whatever its order,
//! spelling and comments. In one that changes, rows that are gone are taken out, new ones follow at
//! the end, and every other line stays. Only a file that is as [`canonical_text`] would write it is
//! written anew.

use crate::catalog::catalog_toml::{self, CatalogToml, SourceEntry};
use crate::catalog::draft::Draft;
use crate::catalog::files::File;
use crate::catalog::format::{CATALOG, FORMAT};
use crate::catalog::{CatalogError, canonical_text, table};
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{DocumentMut, Item, Table, value};

/// The files of a catalog after a change: `old` is what is there, `draft` what shall be.
pub(crate) fn files(old: &[File], draft: &Draft) -> Result<BTreeMap<String, String>, CatalogError> {
    let new = canonical_text::files(draft);
    let files_before = match Draft::read(old) {
        Ok(before) => canonical_text::files(&before),
        Err(_) => return Ok(new),
    };
    let by_hand = |file: &&File| files_before.get(&file.name) != Some(&file.text);
    if !old.iter().any(|file| by_hand(&file)) {
        return Ok(new);
    }
    let mut edited: BTreeMap<String, String> = BTreeMap::new();
    // Files that hold the rows of others: a `prices.csv` of all clouds.
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    for file in old.iter().filter(by_hand) {
        if file.name == CATALOG {
            edited.insert(file.name.clone(), edited_head(file, draft)?);
            continue;
        }
        let file_rows = Rows::of(file);
        let their_sheets = file_rows.sheets();
        let unchanged = their_sheets
            .iter()
            .all(|name| files_before.get(*name) == new.get(*name));
        // A file that is written under its own name is changed in place; others give way.
        let only_own_rows = their_sheets.iter().all(|name| *name == file.name);
        if unchanged || their_sheets.is_empty() {
            edited.insert(file.name.clone(), file.text.clone());
            covered.extend(
                files_before
                    .keys()
                    .map(String::as_str)
                    .filter(|name| their_sheets.contains(name)),
            );
        } else if only_own_rows {
            let no_text = String::new();
            edited.insert(
                file.name.clone(),
                file_rows.changed(new.get(&file.name).unwrap_or(&no_text)),
            );
        } else {
            let is_kept = |name: &str| files_before.get(name) == new.get(name);
            edited.insert(file.name.clone(), file_rows.without(&is_kept));
            covered.extend(
                files_before
                    .keys()
                    .map(String::as_str)
                    .filter(|name| their_sheets.contains(name) && is_kept(name)),
            );
        }
    }
    for (name, text) in &new {
        if !covered.contains(name.as_str()) && !edited.contains_key(name) {
            edited.insert(name.clone(), text.clone());
        }
    }
    // Whatever was thought above: it must say what was meant, or it is written anew.
    let edited_files: Vec<File> = edited
        .iter()
        .map(|(name, text)| File {
            name: name.clone(),
            shown: name.clone(),
            text: text.clone(),
        })
        .collect();
    let files_again = Draft::read(&edited_files).map(|draft| canonical_text::files(&draft));
    Ok(if files_again.is_ok_and(|said| said == new) {
        edited
    } else {
        new
    })
}

/// The lines of a file, each row with what it is as [`canonical_text`] would write it.
struct Rows<'a> {
    header: usize,
    lines: Vec<(&'a str, Vec<(String, String)>)>,
}

impl<'a> Rows<'a> {
    fn of(file: &'a File) -> Self {
        let file_lines: Vec<&str> = file.text.lines().collect();
        let header = file_lines
            .iter()
            .position(|line| !table::is_blank(line))
            .unwrap_or(0);
        let rows_of_lines = file_lines.iter().enumerate().map(|(index, line)| {
            if index <= header || table::is_blank(line) {
                return (*line, Vec::new());
            }
            let text = format!(
                "{}\n{line}\n",
                file_lines[header].trim_start_matches('\u{feff}')
            );
            let row_alone = File {
                name: file.name.clone(),
                shown: file.shown.clone(),
                text,
            };
            let sheets = Draft::read(&[row_alone])
                .map(|draft| canonical_text::files(&draft))
                .unwrap_or_default();
            let sheet_rows = sheets
                .into_iter()
                .filter(|(name, _)| name != CATALOG)
                .flat_map(|(name, text)| {
                    let text_rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
                    text_rows.into_iter().map(move |row| (name.clone(), row))
                });
            (*line, sheet_rows.collect())
        });
        Self {
            header,
            lines: rows_of_lines.collect(),
        }
    }

    /// The files that [`canonical_text`] would put the rows into.
    fn sheets(&self) -> BTreeSet<&str> {
        self.lines
            .iter()
            .flat_map(|(_, rows)| rows.iter().map(|(name, _)| name.as_str()))
            .collect()
    }

    /// All lines but the rows of files that are not kept.
    fn without(&self, is_kept: &dyn Fn(&str) -> bool) -> String {
        let row_stays = |rows: &[(String, String)]| rows.iter().all(|(name, _)| is_kept(name));
        let kept_lines = self
            .lines
            .iter()
            .filter(|(_, rows)| row_stays(rows))
            .map(|(line, _)| *line);
        kept_lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// The lines with rows that are not in `new` taken out, and those that are new at the end.
    fn changed(&self, new: &str) -> String {
        let mut wanted_rows: BTreeSet<&str> = new.lines().skip(1).collect();
        let mut kept_rows: Vec<String> = Vec::new();
        for (index, (line, rows)) in self.lines.iter().enumerate() {
            let row_stays = rows.is_empty()
                || rows
                    .iter()
                    .all(|(_, row)| wanted_rows.contains(row.as_str()));
            if index <= self.header || row_stays {
                kept_rows.push((*line).to_owned());
                for (_, row) in rows {
                    wanted_rows.remove(row.as_str());
                }
            }
        }
        let their_columns: Vec<&str> = table::cells(new.lines().next().unwrap_or_default());
        let mut columns: Vec<&str> =
            table::cells(self.lines[self.header].0.trim_start_matches('\u{feff}'));
        let column_used = |column: &usize| {
            wanted_rows.iter().any(|row| {
                table::cells(row)
                    .get(*column)
                    .is_some_and(|c| !c.is_empty())
            })
        };
        let used_columns: Vec<&str> = (0..their_columns.len())
            .filter(column_used)
            .map(|column| their_columns[column])
            .collect();
        let new_columns: Vec<&str> = used_columns
            .into_iter()
            .filter(|name| !columns.contains(name))
            .collect();
        for (line, index) in kept_rows.iter_mut().zip(0..) {
            if index >= self.header && !table::is_blank(line) {
                let ending = if index == self.header {
                    new_columns.iter().map(|name| format!(",{name}")).collect()
                } else {
                    ",".repeat(new_columns.len())
                };
                *line = format!("{}{ending}", line.trim_end());
            }
        }
        columns.extend(&new_columns);
        for row in &wanted_rows {
            let cells = table::cells(row);
            let cell = |name: &&str| {
                let their_index = their_columns.iter().position(|known| known == name);
                let cell = their_index
                    .and_then(|at| cells.get(at))
                    .copied()
                    .unwrap_or_default();
                if cell.contains(',') || cell.starts_with('#') {
                    format!("\"{cell}\"")
                } else {
                    cell.to_owned()
                }
            };
            kept_rows.push(columns.iter().map(cell).collect::<Vec<_>>().join(","));
        }
        kept_rows.join("\n") + "\n"
    }
}

/// `catalog.toml` with its sources as they shall be.
fn edited_head(file: &File, draft: &Draft) -> Result<String, CatalogError> {
    let old_head: CatalogToml = catalog_toml::read(file)?;
    let Ok(mut document) = file.text.parse::<DocumentMut>() else {
        return Ok(catalog_toml::text(&CatalogToml {
            format: FORMAT,
            sources: draft.sources.clone(),
            ..CatalogToml::default()
        }));
    };
    let dropped_ids: Vec<&String> = old_head
        .sources
        .keys()
        .filter(|id| !draft.sources.contains_key(*id))
        .collect();
    if dropped_ids.is_empty()
        && draft
            .sources
            .iter()
            .all(|(id, source)| old_head.sources.get(id) == Some(source))
    {
        return Ok(file.text.clone());
    }
    let sources = document.entry("sources").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(sources) = sources.as_table_like_mut() else {
        return Ok(file.text.clone());
    };
    for id in dropped_ids {
        sources.remove(id);
    }
    for (id, source) in draft
        .sources
        .iter()
        .filter(|(id, source)| old_head.sources.get(*id) != Some(source))
    {
        if !sources.contains_key(id) {
            sources.insert(id, Item::Table(Table::new()));
        }
        if let Some(table) = sources.get_mut(id).and_then(Item::as_table_like_mut) {
            let SourceEntry {
                date,
                about,
                url,
                valid_until,
                list,
            } = source;
            let keys = [
                ("date", date),
                ("about", about),
                ("url", url),
                ("valid_until", valid_until),
                ("list", list),
            ];
            for (key, text) in keys {
                if text.is_empty() {
                    table.remove(key);
                } else {
                    table.insert(key, value(text));
                }
            }
        }
    }
    Ok(document.to_string())
}
