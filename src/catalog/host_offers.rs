//! Rows laid over the files of a catalog, in memory: what one user's own hosts offer to that user
//! alone.

use super::CatalogError;
use super::files::{CATALOG, File};
use super::table;

/// The source of what one's own hosts offer, the only one whose price of nothing is believed.
pub const OWN: &str = "own-hosts";

/// Rows for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The table's file, as in a catalog: `places.csv`.
    pub file: &'static str,
    /// The columns of the rows.
    pub columns: &'static [&'static str],
    /// The cells of each row; they hold no quotes and no line feeds.
    pub rows: Vec<Vec<String>>,
}

/// The source of rows, as in `[sources.ID]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the source.
    pub id: &'static str,
    /// The day of the figures, `YYYY-MM-DD`.
    pub date: String,
    /// What the source is, for people.
    pub about: &'static str,
}

/// Adds rows to the files of a catalog, which may have these tables already, with other columns.
/// The files stay sorted by name.
pub fn lay(
    mut files: Vec<File>,
    origin: &Origin,
    tables: &[Rows],
) -> Result<Vec<File>, CatalogError> {
    let Some(head) = files.iter_mut().find(|file| file.name == CATALOG) else {
        return Err(CatalogError::file(
            CATALOG,
            "there is no such file",
            "a catalog is a folder with this file in it",
        ));
    };
    let line_feed = if head.text.ends_with('\n') || head.text.is_empty() {
        ""
    } else {
        "\n"
    };
    head.text += &format!(
        "{line_feed}\n[sources.{}]\ndate = \"{}\"\nabout = \"{}\"\n",
        origin.id, origin.date, origin.about
    );
    for table in tables.iter().filter(|table| !table.rows.is_empty()) {
        match files.iter_mut().find(|file| file.name == table.file) {
            Some(file) => file.text = extended_table(&file.text, table),
            None => {
                let text = std::iter::once(table.columns.join(","))
                    .chain(table.rows.iter().map(|row| joined_row(row)));
                let text = text.map(|line| line + "\n").collect();
                files.push(File {
                    name: table.file.to_owned(),
                    shown: table.file.to_owned(),
                    text,
                });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The text of a table with more rows: columns that it lacks are added to all of it.
fn extended_table(text: &str, table: &Rows) -> String {
    let mut table_lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let mut lines_before: Vec<&str> = Vec::new();
    let header = loop {
        match table_lines.next() {
            Some(line) if table::is_blank(line) => lines_before.push(line),
            line => break line.unwrap_or_default(),
        }
    };
    let header = header.trim_start_matches('\u{feff}');
    let mut columns: Vec<&str> = header.split(',').map(str::trim).collect();
    let known_columns = columns.len();
    columns.extend(
        table
            .columns
            .iter()
            .filter(|column| !header.split(',').any(|known| known.trim() == **column)),
    );
    let padding = ",".repeat(columns.len() - known_columns);
    let mut all_lines: Vec<String> = lines_before.into_iter().map(str::to_owned).collect();
    all_lines.push(columns.join(","));
    all_lines.extend(table_lines.map(|line| {
        if table::is_blank(line) {
            line.to_owned()
        } else {
            format!("{line}{padding}")
        }
    }));
    all_lines.extend(table.rows.iter().map(|row| {
        let cell = |column: &&str| {
            let own_index = table.columns.iter().position(|own| own == column);
            own_index
                .and_then(|at| row.get(at))
                .cloned()
                .unwrap_or_default()
        };
        joined_row(&columns.iter().map(cell).collect::<Vec<_>>())
    }));
    all_lines.into_iter().map(|line| line + "\n").collect()
}

fn joined_row(row: &[String]) -> String {
    let cell = |cell: &String| {
        if cell.contains([',', '#']) {
            format!("\"{cell}\"")
        } else {
            cell.clone()
        }
    };
    row.iter().map(cell).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_with_other_columns_are_extended() {
        let rows = Rows {
            file: "places.csv",
            columns: &["place", "country", "parent"],
            rows: vec![vec!["ssh:a".into(), "DE".into(), "Me, myself".into()]],
        };
        let text = "# note\r\nplace,location,country\r\naws:x,\"Here, there\",US\r\n\r\n";
        let wanted = "# note\nplace,location,country,parent\naws:x,\"Here, there\",US,\n\nssh:a,,DE,\"Me, myself\"\n";
        assert_eq!(extended_table(text, &rows), wanted);
    }

    #[test]
    fn a_catalog_has_its_old_rows_and_the_new_ones() {
        let origin = Origin {
            id: "own",
            date: "2020-01-01".into(),
            about: "mine",
        };
        let row = |cells: &[&str]| vec![cells.iter().map(|cell| (*cell).to_owned()).collect()];
        let tables = [
            Rows {
                file: "places.csv",
                columns: &["place", "country"],
                rows: row(&["ssh:a", "DE"]),
            },
            Rows {
                file: "ssh/machines.csv",
                columns: &["instance_type", "vcpus", "memory_gib"],
                rows: row(&["a", "4", "8"]),
            },
            Rows {
                file: "prices.csv",
                columns: &["place", "instance_type", "on_demand", "source"],
                rows: row(&["ssh:a", "a", "0.5", "own"]),
            },
        ];
        let files = super::super::files::shipped().unwrap();
        let before = super::super::load::from_files(&files).unwrap();
        let after = super::super::load::from_files(&lay(files, &origin, &tables).unwrap()).unwrap();
        assert_eq!(after.offers.len(), before.offers.len() + 1);
        assert_eq!(after.date, before.date);
        assert_ne!(after.digest, before.digest);
        let place = after
            .place_id(&crate::model::PlaceName::parse("ssh:a").unwrap())
            .unwrap();
        assert_eq!(after.places[place as usize].country.as_deref(), Some("DE"));
    }
}
