//! Outputs that would take the place of an input.

use super::Failure;
use super::inputs::InputArgs;
use crate::catalog::lock::LOCK;
use std::path::{Path, PathBuf};

/// No output may take the place of an input or of another output.
pub(super) fn refuse_overwriting(
    args: &InputArgs,
    outputs: &[&Option<PathBuf>],
) -> Result<(), Failure> {
    let policy_beside = args.job.with_file_name("policy.toml");
    let (hosts, lock) = (PathBuf::from(super::hosts::FILE), PathBuf::from(LOCK));
    let inputs = [
        &args.job,
        args.policy.as_ref().unwrap_or(&policy_beside),
        args.hosts.as_ref().unwrap_or(&hosts),
        &lock,
    ];
    // A file that is not there yet is known by its folder.
    let real = |path: &PathBuf| {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let real_path = || Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?));
        std::fs::canonicalize(path)
            .ok()
            .or_else(real_path)
            .unwrap_or_else(|| path.clone())
    };
    let catalog = args.catalog.as_ref().map(real);
    let of_catalog = |path: &Path| {
        let inside_catalog = catalog
            .as_ref()
            .is_some_and(|folder| path.starts_with(folder));
        let may_be_read = path
            .extension()
            .is_some_and(|extension| extension == "csv" || extension == "toml");
        inside_catalog && may_be_read && path.exists()
    };
    let mut taken_paths: Vec<PathBuf> = inputs.into_iter().map(real).collect();
    for output in outputs.iter().copied().flatten() {
        let path = real(output);
        let special = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
        if (taken_paths.contains(&path) || of_catalog(&path)) && !special {
            return Err(Failure::error(format!(
                "{} is an input or the other output: it would be lost",
                output.display()
            ))
            .hint("name another file"));
        }
        taken_paths.push(path);
    }
    Ok(())
}
