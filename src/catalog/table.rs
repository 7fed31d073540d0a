//! Reads one CSV table of a catalog: columns by header name, cells with their place in the file.
//!
//! A narrow CSV: a row is a line, a cell may be quoted but holds no quote itself, `#` starts a
//! comment line. So rows can be sorted as lines, and reading needs no allocation.

use crate::catalog::CatalogError;
use crate::catalog::format::TableFormat;
use crate::model::units::{UnitError, scaled};

/// Most columns that a table may have.
const MAX_COLUMNS: usize = 16;

/// No column: rows are small, because there are many.
const NOWHERE: u8 = MAX_COLUMNS as u8;

/// A CSV table whose header is understood and whose rows are still text.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    /// The name of the file, for messages.
    file: &'a str,
    rest: &'a str,
    line: u32,
    names: &'static [&'static str],
    /// The place of each named column in a row; [`NOWHERE`]: not in this file.
    at: [u8; MAX_COLUMNS],
    width: usize,
}

/// One row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    file: &'a str,
    /// The line in the file, from 1.
    pub line: u32,
    text: &'a str,
    names: &'static [&'static str],
    cells: [&'a str; MAX_COLUMNS],
    at: [u8; MAX_COLUMNS],
}

impl<'a> Table<'a> {
    /// Reads the header of a table; `file` is its name in messages.
    pub(crate) fn open(
        file: &'a str,
        text: &'a str,
        format: TableFormat,
    ) -> Result<Self, CatalogError> {
        let TableFormat {
            columns: names,
            required,
            ..
        } = format;
        let mut table = Table {
            file,
            rest: text,
            line: 0,
            names,
            at: [NOWHERE; MAX_COLUMNS],
            width: 0,
        };
        let Some((line, header)) = table.next_line() else {
            return Err(CatalogError::file(
                file,
                "the file has no header line",
                format!("start it with `{}`", names.join(",")),
            ));
        };
        let header = header.strip_prefix('\u{feff}').unwrap_or(header);
        let mut header_row = Row {
            file,
            line,
            text: header,
            names,
            cells: [""; MAX_COLUMNS],
            at: [0; MAX_COLUMNS],
        };
        table.width = header_row.split()?;
        for (place, cell) in (0_u8..).zip(&header_row.cells[..table.width]) {
            let known_column = names.iter().position(|name| name == cell);
            let Some(column) = known_column else {
                let hint = format!("the columns are {}", names.join(", "));
                return Err(header_row.fault(cell, format!("unknown column `{cell}`"), hint));
            };
            if table.at[column] != NOWHERE {
                return Err(header_row.fault(
                    cell,
                    format!("column `{cell}` is there twice"),
                    "keep one of them",
                ));
            }
            table.at[column] = place;
        }
        if let Some(missing) = (0..required).find(|column| table.at[*column] == NOWHERE) {
            let message = format!("there is no column `{}`", names[missing]);
            let hint = format!("the header must have {}", names[..required].join(", "));
            return Err(header_row.fault("", message, hint));
        }
        Ok(table)
    }

    /// Whether the file has this column.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.at[column] != NOWHERE
    }

    fn next_line(&mut self) -> Option<(u32, &'a str)> {
        while !self.rest.is_empty() {
            let (line, rest) = cut_at(self.rest, b'\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line = self.line.saturating_add(1);
            let plain_line = line.strip_suffix('\r').unwrap_or(line);
            if !is_blank(plain_line) {
                return Some((self.line, plain_line));
            }
        }
        None
    }

    /// The next row.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'a>>, CatalogError> {
        let Some((line, text)) = self.next_line() else {
            return Ok(None);
        };
        let mut row = Row {
            file: self.file,
            line,
            text,
            names: self.names,
            cells: [""; MAX_COLUMNS],
            at: self.at,
        };
        let width = row.split()?;
        if width != self.width {
            let cells = if width == 1 { "cell" } else { "cells" };
            let message = format!(
                "this row has {width} {cells}, the header has {}",
                self.width
            );
            return Err(row.fault(
                "",
                message,
                "write one cell per column; quote a cell that has a comma in it",
            ));
        }
        Ok(Some(row))
    }
}

/// `split_once` for a plain mark. Cells are short: looking byte by byte is twice as fast as the
/// general search.
fn cut_at(text: &str, mark: u8) -> Option<(&str, &str)> {
    let mark_index = text.bytes().position(|byte| byte == mark)?;
    Some((&text[..mark_index], &text[mark_index + 1..]))
}

fn trimmed_cell(cell: &str) -> &str {
    if cell.starts_with(' ') || cell.ends_with(' ') {
        cell.trim_matches(' ')
    } else {
        cell
    }
}

/// The cells of a line; none if it is not well written, which the loader of a catalog refuses.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    let plain_line = line.trim_end_matches('\r');
    let mut row = Row {
        file: "",
        line: 0,
        text: plain_line,
        names: &[],
        cells: [""; MAX_COLUMNS],
        at: [0; MAX_COLUMNS],
    };
    let count = row.split().unwrap_or(0);
    row.cells[..count].to_vec()
}

/// Lines that say nothing: empty ones and comments.
pub(crate) fn is_blank(line: &str) -> bool {
    match line.as_bytes().first() {
        None | Some(b'#') => true,
        Some(b' ' | b'\r') => line.bytes().all(|byte| byte == b' ' || byte == b'\r'),
        Some(_) => false,
    }
}

impl<'a> Row<'a> {
    /// Cuts the line into cells; how many there are.
    fn split(&mut self) -> Result<usize, CatalogError> {
        let mut remaining_text = self.text;
        let mut count = 0;
        loop {
            if count == MAX_COLUMNS {
                return Err(self.fault(
                    remaining_text,
                    format!("more than {MAX_COLUMNS} columns"),
                    "remove the others",
                ));
            }
            let text_after;
            if let Some(quoted) = remaining_text.strip_prefix('"') {
                let Some((cell, tail)) = quoted.split_once('"') else {
                    return Err(self.fault(
                        remaining_text,
                        format!("`{remaining_text}` has no closing quote"),
                        "a row must end on its line",
                    ));
                };
                self.cells[count] = cell;
                text_after = match tail.strip_prefix(',') {
                    Some(next) => Some(next),
                    None if tail.is_empty() => None,
                    None => {
                        let message = format!("`{tail}` follows a closing quote");
                        return Err(self.fault(tail, message, "a quoted cell cannot hold a quote"));
                    }
                };
            } else {
                let (cell, next) = cut_at(remaining_text, b',')
                    .map_or((remaining_text, None), |(cell, next)| (cell, Some(next)));
                self.cells[count] = trimmed_cell(cell);
                text_after = next;
            }
            count += 1;
            match text_after {
                Some(next) => remaining_text = next,
                None => return Ok(count),
            }
        }
    }

    /// The text of a cell; empty if the file has no such column.
    pub(crate) fn cell(&self, column: usize) -> &'a str {
        self.cells
            .get(usize::from(self.at[column]))
            .copied()
            .unwrap_or("")
    }

    /// A fault of one cell.
    pub(crate) fn error(
        &self,
        column: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> CatalogError {
        let name = self.names.get(column).copied().unwrap_or("");
        self.fault(
            self.cell(column),
            format!("{name}: {}", message.into()),
            hint,
        )
    }

    /// A fault at a part of the line.
    fn fault(
        &self,
        part: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> CatalogError {
        // Cells are slices of the line, so the distance of their starts is the offset.
        let offset = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let text_before = offset
            .and_then(|offset| self.text.get(..offset))
            .filter(|_| !part.is_empty());
        CatalogError {
            file: self.file.to_owned(),
            line: self.line,
            column: text_before.map_or(0, |before| {
                CatalogError::position(before.chars().count() + 1)
            }),
            text: self.text.to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A cell that must not be empty.
    pub(crate) fn required(&self, column: usize) -> Result<&'a str, CatalogError> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return Err(self.error(column, "the cell is empty", "it must have a value"));
        }
        Ok(cell)
    }

    /// A plain decimal times `per_unit`, rounded half-even.
    pub(crate) fn number(
        &self,
        column: usize,
        per_unit: i64,
        example: &str,
    ) -> Result<i64, CatalogError> {
        let cell = self.cell(column);
        if per_unit == 1_000_000_000
            && let Some(value) = short_nano(cell)
        {
            return Ok(value);
        }
        scaled(cell, i128::from(per_unit)).map_err(|UnitError(message)| {
            let message = if cell.is_empty() {
                "the cell is empty".to_owned()
            } else {
                message
            };
            self.error(
                column,
                message,
                format!("write a plain decimal like `{example}`"),
            )
        })
    }
}

/// Reads a short decimal in units of 10⁻⁹; `None`: let the careful reader look at it.
fn short_nano(text: &str) -> Option<i64> {
    let (whole, fraction) = cut_at(text, b'.').unwrap_or((text, "0"));
    if whole.is_empty() || whole.len() > 9 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let digits = |text: &str| {
        text.bytes().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    const SCALE: [i64; 10] = [
        1_000_000_000,
        100_000_000,
        10_000_000,
        1_000_000,
        100_000,
        10_000,
        1_000,
        100,
        10,
        1,
    ];
    Some(digits(whole)? * 1_000_000_000 + digits(fraction)? * SCALE[fraction.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: TableFormat = TableFormat {
        file: "t.csv",
        columns: &["name", "price", "note"],
        required: 1,
    };

    #[test]
    fn columns_are_found_by_name_and_cells_may_be_quoted() {
        let text = "# a comment\nnote,name\n\"x, y\",a\n\n,b\r\n";
        let mut table = Table::open("t.csv", text, FORMAT).unwrap();
        assert!(table.has(2) && !table.has(1));
        let row = table.next_row().unwrap().unwrap();
        assert_eq!(
            (row.line, row.cell(0), row.cell(1), row.cell(2)),
            (3, "a", "", "x, y")
        );
        let row = table.next_row().unwrap().unwrap();
        assert_eq!((row.line, row.cell(0), row.cell(2)), (5, "b", ""));
        assert!(table.next_row().unwrap().is_none());
    }

    #[test]
    fn short_decimals_read_the_same_both_ways() {
        for text in ["0", "1", "0.0875", "12.24", "999999999.999999999", "00.10"] {
            assert_eq!(
                short_nano(text).unwrap(),
                scaled(text, 1_000_000_000).unwrap(),
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "1.",
            "-1",
            "1e3",
            "NaN",
            "1.0000000005",
            "+1",
            "0x1",
        ] {
            assert_eq!(short_nano(text), None, "{text}");
        }
    }
}
