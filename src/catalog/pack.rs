//! The build script: packs `catalog/` into one blob of files, each compressed by LZ4, the same bytes on every machine.
//! `files.rs` has the format and reads it.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("catalog");
    let mut files = Vec::new();
    collect(root, 0, &mut files)?;
    files.sort();
    let mut packed = Vec::new();
    for (name, path) in files {
        for piece in [name.into_bytes(), lz4_flex::compress_prepend_size(&std::fs::read(path)?)] {
            packed.extend(u32::try_from(piece.len())?.to_le_bytes());
            packed.extend(piece);
        }
    }
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    std::fs::write(Path::new(&out).join("catalog.lz4"), packed)?;
    Ok(())
}

fn collect(folder: &Path, depth: u32, files: &mut Vec<(String, PathBuf)>) -> Result<(), Box<dyn Error>> {
    // A folder is watched too: a new file in it must build the blob again.
    write_line(&format!("cargo::rerun-if-changed={}", folder.display()));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix("catalog")?.to_str().ok_or("a file name is not UTF-8")?.replace('\\', "/");
        if path.is_dir() && depth == 0 {
            collect(&path, depth + 1, files)?;
        } else if name.ends_with(".csv") || name == "catalog.toml" {
            write_line(&format!("cargo::rerun-if-changed={}", path.display()));
            files.push((name, path));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
fn write_line(line: &str) {
    println!("{line}");
}
