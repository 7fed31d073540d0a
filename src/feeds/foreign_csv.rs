//! Foreign CSV files: columns by name in any order, quotes, a byte order mark, any line ends.

use crate::catalog::CatalogError;
use std::path::Path;

/// Largest file of another's prices that is read, in bytes.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// A foreign CSV file with its columns by name.
pub(crate) struct ForeignCsv {
    file: String,
    reader: csv::Reader<std::fs::File>,
    header: Vec<String>,
    record: csv::StringRecord,
}

impl ForeignCsv {
    pub(crate) fn open(path: &Path) -> Result<Self, CatalogError> {
        let file = path.display().to_string();
        if path.is_dir() {
            return Err(CatalogError::file(
                file,
                "this is a folder, not a CSV file",
                "give one of the files in it",
            ));
        }
        let opened_file = crate::util::file::open_within(path, MAX_FILE_BYTES)
            .map_err(|error| unreadable(path, &error))?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(opened_file);
        let fault =
            |error: csv::Error| CatalogError::file(&file, format!("cannot read it: {error}"), "");
        let header = reader.headers().map_err(fault)?.iter();
        let header: Vec<String> = header
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        if header.iter().all(String::is_empty) {
            return Err(CatalogError::file(
                file,
                "the file is empty",
                "its first line must name the columns",
            ));
        }
        Ok(Self {
            file,
            reader,
            header,
            record: csv::StringRecord::new(),
        })
    }

    /// The index of the first of these columns that is there.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| {
            self.header
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// The index of the first of these columns that is there; without one an index at which every
    /// row has an empty cell.
    pub(crate) fn optional(&self, names: &[&str]) -> usize {
        const NO_COLUMN: usize = usize::MAX;
        self.column(names).unwrap_or(NO_COLUMN)
    }

    pub(crate) fn required(&self, names: &[&str]) -> Result<usize, CatalogError> {
        self.column(names).ok_or_else(|| {
            let message = format!("there is no column `{}`", names.join("` or `"));
            CatalogError::file(
                &self.file,
                message,
                format!("its columns are {}", self.header.join(", ")),
            )
        })
    }

    /// Moves to the next row.
    pub(crate) fn advance(&mut self) -> Result<bool, CatalogError> {
        self.reader.read_record(&mut self.record).map_err(|error| {
            let line_number = line_of(error.position());
            let message = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => "this row is not UTF-8".to_owned(),
                _ => format!("cannot read a row: {error}"),
            };
            CatalogError {
                line: line_number,
                ..CatalogError::file(&self.file, message, "save the file as CSV in UTF-8")
            }
        })
    }

    /// A row that has fewer cells than the header was cut off, and so may the rest of the list be.
    pub(crate) fn check_is_whole(&self) -> Result<(), CatalogError> {
        let (cells, columns) = (self.record.len(), self.header.len());
        if cells >= columns {
            return Ok(());
        }
        let message = format!("this row has {cells} of {columns} cells: the list was cut off");
        Err(CatalogError {
            line: line_of(self.record.position()),
            ..CatalogError::file(&self.file, message, "get the whole file again")
        })
    }

    /// A cell of this row; empty if it has none.
    pub(crate) fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or("").trim()
    }

    /// A cell in units of 10⁻⁹; `None`: empty or not a number.
    pub(crate) fn nano(&self, column: usize) -> Option<i64> {
        crate::model::units::scaled(self.cell(column), 1_000_000_000).ok()
    }
}

/// A line as errors have it; 0: it is not known.
fn line_of(position: Option<&csv::Position>) -> u32 {
    let line_number = position.and_then(|position| usize::try_from(position.line()).ok());
    line_number.map_or(0, CatalogError::position)
}

/// A file or folder that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> CatalogError {
    let shown_path = path.display().to_string();
    if error.kind() == std::io::ErrorKind::NotFound {
        return CatalogError::file(
            shown_path,
            "there is no such file or folder",
            "check the path",
        );
    }
    let text = error.to_string();
    let text = text
        .strip_prefix(&format!("cannot read {shown_path}: "))
        .unwrap_or(&text);
    let plain_error = text.split(" (os error").next().unwrap_or_default();
    CatalogError::file(shown_path, format!("cannot read it: {plain_error}"), "")
}
