//! Plain tables: two spaces between columns, no lines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Columns that are flush right, by their headers' first character.
const FLUSH_RIGHT: char = '>';

/// On a narrower terminal the terminal's own wrapping is easier to read than broken words.
const NARROWEST: u16 = 72;

/// A table with a header, indented by one; a header that starts with `>` is flush right. `width`
/// is that of the terminal: longer cells are wrapped; without it lines are as long as they are.
pub fn text(header: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    match width {
        // The padding after the last column is cut off below, so it may stand out.
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.max(NARROWEST).saturating_add(1)),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(
        header
            .iter()
            .map(|title| title.trim_start_matches(FLUSH_RIGHT))
            .collect::<Vec<_>>(),
    );
    table.add_rows(rows.iter().cloned());
    for (index, title) in header.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            // The columns' own padding is one on each side: two between, one before the first.
            column.set_padding((1, 1));
            if title.starts_with(FLUSH_RIGHT) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
