//! Cells that several tables have: lists, patterns, days and the source of a row.

use crate::catalog::table::Row;
use crate::catalog::{CatalogError, Source};
use crate::model::Pattern;
use jiff::civil::Date;

/// The parts of a cell that are separated by `;`.
pub(crate) fn list(cell: &str) -> Vec<String> {
    cell.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The patterns of a cell, separated by `;`.
pub(crate) fn patterns(cell: &str) -> Vec<Pattern> {
    list(cell).into_iter().map(Pattern).collect()
}

/// The patterns of a cell, separated by `;`; an empty part is a pattern that matches nothing.
pub(crate) fn patterns_or_empty(cell: &str) -> Vec<Pattern> {
    cell.split(';')
        .map(|part| Pattern(part.trim().to_owned()))
        .collect()
}

/// The day that a cell names, `YYYY-MM-DD`.
pub(crate) fn day<'a>(row: &Row<'a>, column: usize) -> Result<&'a str, CatalogError> {
    let text = row.required(column)?;
    match text.parse::<Date>() {
        Ok(_) if text.len() == 10 => Ok(text),
        _ => Err(row.error(
            column,
            format!("`{text}` is not a day"),
            "write it like 2026-12-31",
        )),
    }
}

/// The index of the source that a cell names.
pub(crate) fn source(row: &Row, column: usize, sources: &[Source]) -> Result<u16, CatalogError> {
    let id = row.required(column)?;
    let index = sources
        .binary_search_by(|source| source.id.as_str().cmp(id))
        .ok();
    index
        .and_then(|index| u16::try_from(index).ok())
        .ok_or_else(|| {
            row.error(
                column,
                format!("unknown source `{id}`"),
                format!("add [sources.{id}] to catalog.toml"),
            )
        })
}

/// The index of the source that a cell names; none: the cell is empty.
pub(crate) fn optional_source(
    row: &Row,
    column: usize,
    sources: &[Source],
) -> Result<Option<u16>, CatalogError> {
    if row.cell(column).is_empty() {
        Ok(None)
    } else {
        source(row, column, sources).map(Some)
    }
}

/// A figure, as `Row::number` reads it; 0: the cell is empty.
pub(crate) fn figure_or_zero(
    row: &Row,
    column: usize,
    per_unit: i64,
    example: &str,
) -> Result<i64, CatalogError> {
    if row.cell(column).is_empty() {
        Ok(0)
    } else {
        row.number(column, per_unit, example)
    }
}

/// Which places a cell with patterns names, in the order of `names`; each pattern must match one.
pub(crate) fn places(
    row: &Row,
    column: usize,
    names: &[String],
) -> Result<Vec<bool>, CatalogError> {
    let mut is_matched = vec![false; names.len()];
    for pattern in patterns_or_empty(row.required(column)?) {
        let mut any_matched = false;
        for (inside, name) in is_matched.iter_mut().zip(names) {
            if pattern.matches(name) && name != "local:here" {
                (*inside, any_matched) = (true, true);
            }
        }
        if !any_matched {
            let hint = "write places such as aws:us-east-1, or patterns such as aws:eu-*, several separated by `;`";
            return Err(row.error(column, format!("no place matches `{pattern}`"), hint));
        }
    }
    Ok(is_matched)
}
