//! The files of a catalog, as text: from a folder, or from the blob in the binary.

use crate::catalog::{CatalogError, table};
use crate::util::file;
use crate::util::hash::Hasher;
use std::borrow::Cow;
use std::path::Path;

pub use crate::catalog::format::CATALOG;

/// One file of a catalog.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the catalog, with `/`: `aws/us-east-1.csv`.
    pub name: String,
    /// The path that people can open, for messages.
    pub shown: String,
    /// The text, without a byte-order mark.
    pub text: String,
}

/// Largest file of a catalog that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 128 << 20;

fn unreadable_file(path: &Path, error: &std::io::Error) -> CatalogError {
    let named_error = error.to_string();
    let plain_reason = named_error
        .split_once(": ")
        .map_or(named_error.as_str(), |(_, why)| why);
    CatalogError::file(
        path.display().to_string(),
        format!("cannot read it: {plain_reason}"),
        "",
    )
}

/// Reads the `.csv` files and `catalog.toml` of a folder, one level of folders deep, by name.
pub fn read(folder: &Path) -> Result<Vec<File>, CatalogError> {
    let mut files = Vec::new();
    read_into(folder, "", &mut files)?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    if !files.iter().any(|file| file.name == CATALOG) {
        let shown_path = folder.join(CATALOG).display().to_string();
        return Err(CatalogError::file(
            shown_path,
            "there is no such file",
            "a catalog is a folder with this file in it",
        ));
    }
    Ok(files)
}

fn read_into(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), CatalogError> {
    let fault = |path: &Path, error: std::io::Error| {
        let message = error.to_string();
        let plain_reason = message
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_lowercase();
        CatalogError::file(
            path.display().to_string(),
            format!("cannot read it: {plain_reason}"),
            "",
        )
    };
    for entry in std::fs::read_dir(folder).map_err(|error| fault(folder, error))? {
        let path = entry.map_err(|error| fault(folder, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let shown_path = path.display().to_string();
            return Err(CatalogError::file(
                shown_path,
                "the file name is not UTF-8",
                "rename the file",
            ));
        };
        if name.starts_with('.') {
            continue;
        }
        let full_name = format!("{prefix}{name}");
        if path.is_dir() {
            if prefix.is_empty() {
                read_into(&path, &format!("{name}/"), files)?;
            }
        } else if name.ends_with(".csv") || full_name == CATALOG {
            let bytes = file::read_within(&path, MAX_FILE_BYTES)
                .map_err(|error| unreadable_file(&path, &error))?;
            files.push(file(full_name, path.display().to_string(), bytes)?);
        }
    }
    Ok(())
}

/// Checks that a file is text.
pub fn file(name: String, shown: String, bytes: Vec<u8>) -> Result<File, CatalogError> {
    match String::from_utf8(bytes) {
        Ok(text) if text.starts_with('\u{feff}') => Ok(File {
            name,
            shown,
            text: text['\u{feff}'.len_utf8()..].to_owned(),
        }),
        Ok(text) => Ok(File { name, shown, text }),
        Err(error) => {
            let valid_length = error.utf8_error().valid_up_to();
            let faulty_line = error.as_bytes()[..valid_length]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            // UTF-16 with a byte-order mark is a text too.
            if let Ok(text) = crate::util::file::text_of(error.into_bytes()) {
                return Ok(File { name, shown, text });
            }
            Err(CatalogError {
                line: CatalogError::position(faulty_line),
                ..CatalogError::file(
                    shown,
                    format!("byte {valid_length} is not UTF-8"),
                    "save the file as UTF-8",
                )
            })
        }
    }
}

/// The shipped files, for each: the length of its name (4 bytes, little endian), the name, the
/// length of its text compressed by LZ4 after its plain length, and that. Written by `pack.rs`.
const SHIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalog.lz4"));

/// The digest of the shipped files, by `pack.rs`; empty: they are not as the importers write them.
pub const SHIPPED_DIGEST: &str = include_str!(concat!(env!("OUT_DIR"), "/catalog.sha256"));

/// Unpacks the shipped files.
pub fn shipped() -> Result<Vec<File>, CatalogError> {
    unpack(SHIPPED, "shipped catalog", "build sky again")
}

/// Packs files as the shipped ones are.
pub fn pack(files: &[File]) -> Vec<u8> {
    let mut packed = Vec::new();
    for file in files {
        for piece in [
            file.name.as_bytes(),
            &lz4_flex::compress_prepend_size(file.text.as_bytes()),
        ] {
            // No file of a catalog has 4 GiB; one that had would not be read back.
            packed.extend(u32::try_from(piece.len()).unwrap_or(u32::MAX).to_le_bytes());
            packed.extend(piece);
        }
    }
    packed
}

/// Unpacks what [`pack`] made; `shown` is its name in messages.
pub fn unpack(packed: &[u8], shown: &str, hint: &str) -> Result<Vec<File>, CatalogError> {
    let broken = || CatalogError::file(shown, "the copy is damaged", hint);
    let mut files = Vec::new();
    let mut remaining_bytes = packed;
    while !remaining_bytes.is_empty() {
        let mut next_piece = || -> Option<&[u8]> {
            let (length, tail) = remaining_bytes.split_first_chunk::<4>()?;
            let (piece, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            remaining_bytes = tail;
            Some(piece)
        };
        let name = next_piece().ok_or_else(broken)?;
        // Its size is in its first bytes: what claims to be larger than any catalog is not
        // unpacked.
        let small = |piece: &&[u8]| {
            piece
                .first_chunk::<4>()
                .is_some_and(|size| u64::from(u32::from_le_bytes(*size)) <= MAX_FILE_BYTES)
        };
        let unpacked = |piece: &[u8]| lz4_flex::decompress_size_prepended(piece).ok();
        let bytes = next_piece()
            .filter(small)
            .and_then(unpacked)
            .ok_or_else(broken)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| broken())?;
        files.push(file(name.clone(), format!("{shown}: {name}"), bytes)?);
    }
    Ok(files)
}

/// The digest of a catalog: over every file's name and canonical text, by name.
///
/// Canonical: header, then the rows as sorted lines, without comments and blank lines.
/// `canonical_toml` stands for `catalog.toml`.
pub fn digest(files: &[File], canonical_toml: &str) -> String {
    let mut hasher = Hasher::default();
    for file in files {
        let text = match file.name.as_str() {
            CATALOG => Cow::Borrowed(canonical_toml),
            _ => canonical_text(&file.text),
        };
        hasher.update(file.name.as_bytes());
        hasher.update(&[0]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finish().into()
}

fn canonical_text(text: &str) -> Cow<'_, str> {
    let mut canonical_lines = text.lines();
    let mut last_line = "";
    let header = canonical_lines.next().unwrap_or("");
    let is_clean = !table::is_blank(header)
        && canonical_lines
            .all(|line| !table::is_blank(line) && std::mem::replace(&mut last_line, line) <= line);
    if is_clean && text.ends_with('\n') && !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let mut content_lines = text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !table::is_blank(line));
    let mut sorted = String::with_capacity(text.len());
    let header = content_lines.next().unwrap_or("");
    let mut sorted_rows: Vec<&str> = content_lines.collect();
    sorted_rows.sort_unstable();
    for line in std::iter::once(header).chain(sorted_rows) {
        sorted.push_str(line);
        sorted.push('\n');
    }
    Cow::Owned(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_does_not_depend_on_order_or_comments() {
        let plain = "a,b\n1,2\n3,4\n";
        assert!(matches!(canonical_text(plain), Cow::Borrowed(_)));
        assert_eq!(canonical_text("# note\na,b\r\n3,4\r\n\r\n1,2"), plain);
    }
}
