//! A program as free-format MPS, for any other solver to check.
//!
//! Format as IBM documents it for CPLEX ("MPS file format"): sections ROWS, COLUMNS with integer
//! markers, RHS, RANGES, BOUNDS. The objective's constant is written, as is the custom, as the
//! negated right-hand side of the objective row.

use super::ids::ColumnId;
use super::program::{Program, Row};
use crate::util::id_vec::IdVec;
use std::fmt::Write;

/// The text of an MPS file. All figures are integers: money in micro-USD, time in milliseconds.
pub fn text(program: &Program) -> String {
    let mut text = format!(
        "NAME {}\nROWS\n N objective\n",
        name_without_spaces(&program.name)
    );
    for row in &program.rows {
        put_line(
            &mut text,
            format_args!(" {} {}", row_kind(row), name_without_spaces(&row.name)),
        );
    }
    put_columns(&mut text, program);
    text.push_str("RHS\n");
    if program.constant != 0 {
        put_line(
            &mut text,
            format_args!("    rhs objective {}", -program.constant),
        );
    }
    for row in &program.rows {
        let side = if row_kind(row) == 'L' {
            row.upper
        } else {
            row.lower.or(row.upper)
        };
        if let Some(side) = side.filter(|side| *side != 0) {
            put_line(
                &mut text,
                format_args!("    rhs {} {side}", name_without_spaces(&row.name)),
            );
        }
    }
    text.push_str("RANGES\n");
    for row in &program.rows {
        if let (Some(lower), Some(upper)) = (row.lower, row.upper)
            && lower != upper
        {
            put_line(
                &mut text,
                format_args!(
                    "    range {} {}",
                    name_without_spaces(&row.name),
                    upper - lower
                ),
            );
        }
    }
    text.push_str("BOUNDS\n");
    for column in &program.columns {
        if column.lower != 0 {
            put_line(
                &mut text,
                format_args!(
                    " LO bound {} {}",
                    name_without_spaces(&column.name),
                    column.lower
                ),
            );
        }
        match column.upper {
            Some(upper) => put_line(
                &mut text,
                format_args!(" UP bound {} {upper}", name_without_spaces(&column.name)),
            ),
            None => put_line(
                &mut text,
                format_args!(" PL bound {}", name_without_spaces(&column.name)),
            ),
        }
    }
    text.push_str("ENDATA\n");
    text
}

/// `G` also for rows with both sides: a range then gives the upper one.
fn row_kind(row: &Row) -> char {
    match (row.lower, row.upper) {
        (Some(lower), Some(upper)) if lower == upper => 'E',
        (Some(_), _) => 'G',
        (None, Some(_)) => 'L',
        (None, None) => 'N',
    }
}

fn put_columns(text: &mut String, program: &Program) {
    let mut entries: IdVec<ColumnId, Vec<(&str, i64)>> = program.columns.map(|_| Vec::new());
    for (column, coefficient) in &program.objective {
        entries[*column].push(("objective", *coefficient));
    }
    for row in &program.rows {
        for (column, coefficient) in &row.terms {
            entries[*column].push((&row.name, *coefficient));
        }
    }
    text.push_str("COLUMNS\n");
    let mut integer = false;
    for (column, mut entries) in program.columns.iter().zip(entries) {
        if column.integer != integer {
            integer = column.integer;
            let marker = if integer { "INTORG" } else { "INTEND" };
            put_line(text, format_args!("    marker 'MARKER' '{marker}'"));
        }
        if entries.is_empty() {
            // A column is declared by having an entry.
            entries.push(("objective", 0));
        }
        for (row, coefficient) in entries {
            put_line(
                text,
                format_args!(
                    "    {} {} {coefficient}",
                    name_without_spaces(&column.name),
                    name_without_spaces(row)
                ),
            );
        }
    }
    if integer {
        put_line(text, format_args!("    marker 'MARKER' 'INTEND'"));
    }
}

/// Names end at white space.
fn name_without_spaces(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}

fn put_line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}
