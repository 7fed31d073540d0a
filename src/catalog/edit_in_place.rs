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
    let before = match Draft::read(old) {
        Ok(before) => canonical_text::files(&before),
        Err(_) => return Ok(new),
    };
    let by_hand = |file: &&File| before.get(&file.name) != Some(&file.text);
    if !old.iter().any(|file| by_hand(&file)) {
        return Ok(new);
    }
    let mut edited: BTreeMap<String, String> = BTreeMap::new();
    // Files that hold the rows of others: a `prices.csv` of all clouds.
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    for file in old.iter().filter(by_hand) {
        if file.name == CATALOG {
            edited.insert(file.name.clone(), head(file, draft)?);
            continue;
        }
        let rows = Rows::of(file);
        let theirs = rows.sheets();
        let same = theirs
            .iter()
            .all(|name| before.get(*name) == new.get(*name));
        // A file that is written under its own name is changed in place; others give way.
        let own = theirs.iter().all(|name| *name == file.name);
        if same || theirs.is_empty() {
            edited.insert(file.name.clone(), file.text.clone());
            covered.extend(
                before
                    .keys()
                    .map(String::as_str)
                    .filter(|name| theirs.contains(name)),
            );
        } else if own {
            let empty = String::new();
            edited.insert(
                file.name.clone(),
                rows.changed(new.get(&file.name).unwrap_or(&empty)),
            );
        } else {
            let kept = |name: &str| before.get(name) == new.get(name);
            edited.insert(file.name.clone(), rows.without(&kept));
            covered.extend(
                before
                    .keys()
                    .map(String::as_str)
                    .filter(|name| theirs.contains(name) && kept(name)),
            );
        }
    }
    for (name, text) in &new {
        if !covered.contains(name.as_str()) && !edited.contains_key(name) {
            edited.insert(name.clone(), text.clone());
        }
    }
    // Whatever was thought above: it must say what was meant, or it is written anew.
    let again: Vec<File> = edited
        .iter()
        .map(|(name, text)| File {
            name: name.clone(),
            shown: name.clone(),
            text: text.clone(),
        })
        .collect();
    let said = Draft::read(&again).map(|draft| canonical_text::files(&draft));
    Ok(if said.is_ok_and(|said| said == new) {
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
        let lines: Vec<&str> = file.text.lines().collect();
        let header = lines
            .iter()
            .position(|line| !table::is_blank(line))
            .unwrap_or(0);
        let rows = lines.iter().enumerate().map(|(index, line)| {
            if index <= header || table::is_blank(line) {
                return (*line, Vec::new());
            }
            let text = format!("{}\n{line}\n", lines[header].trim_start_matches('\u{feff}'));
            let alone = File {
                name: file.name.clone(),
                shown: file.shown.clone(),
                text,
            };
            let sheets = Draft::read(&[alone])
                .map(|draft| canonical_text::files(&draft))
                .unwrap_or_default();
            let rows = sheets
                .into_iter()
                .filter(|(name, _)| name != CATALOG)
                .flat_map(|(name, text)| {
                    let rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
                    rows.into_iter().map(move |row| (name.clone(), row))
                });
            (*line, rows.collect())
        });
        Self {
            header,
            lines: rows.collect(),
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
    fn without(&self, kept: &dyn Fn(&str) -> bool) -> String {
        let stays = |rows: &[(String, String)]| rows.iter().all(|(name, _)| kept(name));
        let lines = self
            .lines
            .iter()
            .filter(|(_, rows)| stays(rows))
            .map(|(line, _)| *line);
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// The lines with rows that are not in `new` taken out, and those that are new at the end.
    fn changed(&self, new: &str) -> String {
        let mut wanted: BTreeSet<&str> = new.lines().skip(1).collect();
        let mut kept: Vec<String> = Vec::new();
        for (index, (line, rows)) in self.lines.iter().enumerate() {
            let stays =
                rows.is_empty() || rows.iter().all(|(_, row)| wanted.contains(row.as_str()));
            if index <= self.header || stays {
                kept.push((*line).to_owned());
                for (_, row) in rows {
                    wanted.remove(row.as_str());
                }
            }
        }
        let theirs: Vec<&str> = table::cells(new.lines().next().unwrap_or_default());
        let mut columns: Vec<&str> =
            table::cells(self.lines[self.header].0.trim_start_matches('\u{feff}'));
        let used = |column: &usize| {
            wanted.iter().any(|row| {
                table::cells(row)
                    .get(*column)
                    .is_some_and(|c| !c.is_empty())
            })
        };
        let more: Vec<&str> = (0..theirs.len())
            .filter(used)
            .map(|column| theirs[column])
            .collect();
        let more: Vec<&str> = more
            .into_iter()
            .filter(|name| !columns.contains(name))
            .collect();
        for (line, index) in kept.iter_mut().zip(0..) {
            if index >= self.header && !table::is_blank(line) {
                let ending = if index == self.header {
                    more.iter().map(|name| format!(",{name}")).collect()
                } else {
                    ",".repeat(more.len())
                };
                *line = format!("{}{ending}", line.trim_end());
            }
        }
        columns.extend(&more);
        for row in &wanted {
            let cells = table::cells(row);
            let cell = |name: &&str| {
                let at = theirs.iter().position(|known| known == name);
                let cell = at.and_then(|at| cells.get(at)).copied().unwrap_or_default();
                if cell.contains(',') || cell.starts_with('#') {
                    format!("\"{cell}\"")
                } else {
                    cell.to_owned()
                }
            };
            kept.push(columns.iter().map(cell).collect::<Vec<_>>().join(","));
        }
        kept.join("\n") + "\n"
    }
}

/// `catalog.toml` with its sources as they shall be.
fn head(file: &File, draft: &Draft) -> Result<String, CatalogError> {
    let old: CatalogToml = catalog_toml::read(file)?;
    let Ok(mut document) = file.text.parse::<DocumentMut>() else {
        return Ok(catalog_toml::text(&CatalogToml {
            format: FORMAT,
            sources: draft.sources.clone(),
            ..CatalogToml::default()
        }));
    };
    let gone: Vec<&String> = old
        .sources
        .keys()
        .filter(|id| !draft.sources.contains_key(*id))
        .collect();
    if gone.is_empty()
        && draft
            .sources
            .iter()
            .all(|(id, source)| old.sources.get(id) == Some(source))
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
    for id in gone {
        sources.remove(id);
    }
    for (id, source) in draft
        .sources
        .iter()
        .filter(|(id, source)| old.sources.get(*id) != Some(source))
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
