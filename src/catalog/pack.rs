//! The build script: packs `catalog/` into one blob of files, each compressed by LZ4, the same
//! bytes on every machine, and works their digest out, so that no start has to. `files.rs` has the
//! format and the digest, and reads both.

use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::{Path, PathBuf};

#[expect(
    clippy::disallowed_methods,
    reason = "a build script has nothing of the crate"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("catalog");
    let mut files = Vec::new();
    collect(root, 0, &mut files)?;
    files.sort();
    let mut packed = Vec::new();
    let mut digest = Some(Sha256::new());
    for (name, path) in files {
        let text = std::fs::read(path)?;
        digest = digest.filter(|_| is_canonical(&name, &text));
        if let Some(digest) = &mut digest {
            digest.update(name.as_bytes());
            digest.update([0]);
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(&text);
        }
        for piece in [name.into_bytes(), lz4_flex::compress_prepend_size(&text)] {
            packed.extend(u32::try_from(piece.len())?.to_le_bytes());
            packed.extend(piece);
        }
    }
    // Of files that somebody wrote by hand the program works the digest out itself.
    let digest = digest.map_or(String::new(), |digest| {
        let bytes = digest
            .finalize()
            .into_iter()
            .map(|byte| format!("{byte:02x}"));
        format!("sha256:{}", bytes.collect::<String>())
    });
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    std::fs::write(Path::new(&out).join("catalog.lz4"), packed)?;
    std::fs::write(Path::new(&out).join("catalog.sha256"), digest)?;
    Ok(())
}

/// Whether a file is surely written as the importers write it, so that its digest is that of its
/// bytes.
fn is_canonical(name: &str, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    if !text.ends_with('\n') || text.contains('\r') {
        return false;
    }
    if name != "catalog.toml" {
        let table_rows: Vec<&str> = text.lines().collect();
        let odd = table_rows
            .iter()
            .any(|row| row.trim().is_empty() || row.starts_with('#'));
        return !odd && table_rows.get(1..).is_some_and(<[&str]>::is_sorted);
    }
    // `format = 1`, then for each source, by name: an empty line, its head, and its keys in this
    // order.
    const KEYS: [&str; 5] = ["date", "about", "url", "valid_until", "list"];
    let mut toml_lines = text.lines();
    if toml_lines.next() != Some("format = 1") || text.contains('\\') {
        return false;
    }
    let (mut last, mut key) = ("", KEYS.len());
    let mut after_gap = false;
    for line in toml_lines {
        let section_id = line
            .strip_prefix("[sources.")
            .and_then(|rest| rest.strip_suffix(']'));
        let is_assignment = line.split_once(" = \"").and_then(|(name, rest)| {
            let is_plain_text = rest
                .strip_suffix('"')
                .is_some_and(|value| !value.is_empty() && !value.contains('"'));
            KEYS.iter()
                .position(|key| *key == name)
                .filter(|_| is_plain_text)
        });
        match (section_id, is_assignment) {
            (Some(id), _) if after_gap && id > last && !id.contains(['"', '.']) => {
                (last, key) = (id, 0);
            }
            // The first two are always there, the others may be left out.
            (None, Some(at)) if !after_gap && (at == key || (key >= 2 && at > key)) => key = at + 1,
            (None, None) if line.is_empty() && !after_gap && (last.is_empty() || key >= 2) => {}
            _ => return false,
        }
        after_gap = line.is_empty();
    }
    !after_gap && (last.is_empty() || key >= 2)
}

fn collect(
    folder: &Path,
    depth: u32,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    // A folder is watched too: a new file in it must build the blob again.
    write_line(&format!("cargo::rerun-if-changed={}", folder.display()));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .strip_prefix("catalog")?
            .to_str()
            .ok_or("a file name is not UTF-8")?
            .replace('\\', "/");
        if path.is_dir() && depth == 0 {
            collect(&path, depth + 1, files)?;
        } else if name.ends_with(".csv") || name == "catalog.toml" {
            write_line(&format!("cargo::rerun-if-changed={}", path.display()));
            files.push((name, path));
        }
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn write_line(line: &str) {
    println!("{line}");
}
