//! `sky catalog lock`, and what `sky catalog update` does to the lock.

use super::diff::summary;
use super::offer_table::pretty;
use crate::catalog::lock::{self, LOCK, Lock};
use crate::catalog::{Catalog, diff};
use crate::cli::{Exit, Failure, Terminal, lock as locks};
use crate::util::shell;
use clap::Args;
use serde_json::json;
use std::path::Path;

/// Pin the catalog in sky.lock: plans are made from that one, until you pin another
///
/// Pins the catalog of --catalog; without it, the one that sky.lock pins already, as it is now;
/// without a lock, the one that sky was built with. Commit the file.
#[derive(Debug, Default, Args)]
pub struct LockArgs {
    /// Pin the catalog that sky was built with
    #[arg(long, conflicts_with = "catalog")]
    pub built_in: bool,
    /// Write nothing: exit code 2 if the lock would change
    #[arg(long)]
    pub check: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Pins.
pub(super) fn run(
    args: &LockArgs,
    named: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    // A lock that cannot be read is written anew; where its catalog was is not known then.
    let lock_before = locks::read();
    let folder = match (&lock_before, named) {
        (_, Some(named)) => Some(named.to_owned()),
        (Ok(Some(lock)), None) if !args.built_in => locks::folder(&lock.at),
        _ => None,
    };
    if args.check {
        let lock_before = lock_before?;
        let (now, _, _) = locks::locked(folder.as_deref())?;
        if args.json {
            terminal.out(&to_json(lock_before.as_ref(), &now))?;
        }
        let Some(before) = lock_before else {
            terminal.note(&format!("there is no {LOCK} here"));
            return Ok(Exit::Changes);
        };
        if before == now {
            if !args.json {
                terminal.out(&format!("{LOCK} is up to date.\n"))?;
            }
            return Ok(Exit::Success);
        }
        terminal.note(&format!(
            "{LOCK} would change:{}",
            listed_changes(&before, &now)
        ));
        return Ok(Exit::Changes);
    }
    if let Err(broken) = &lock_before {
        terminal.warn(&format!("{}; it is written anew", broken.message));
    }
    if args.json {
        let (old, new, _) = locks::write(folder.as_deref())?;
        terminal.out(&to_json(old.as_ref(), &new))?;
    } else {
        terminal.out(&pin_catalog(folder.as_deref(), None)?)?;
    }
    Ok(Exit::Success)
}

/// What is pinned now, and what that changes; `changes` is null where there was no lock.
fn to_json(old: Option<&Lock>, new: &Lock) -> String {
    pretty(&json!({
        "format_version": "1.0", "lock": LOCK, "catalog": new.at.to_string(), "date": new.date,
        "digest": new.digest, "changed": old != Some(new), "changes": old.map(|old| changed_lines(old, new)),
    }))
}

/// After a verb has changed a catalog folder: pins it if it is the pinned one, or if nobody named
/// it, so that plans are made from it. A folder that was named may be anyone's.
pub(super) fn follow(folder: &Path, named: bool, terminal: &Terminal) -> Result<(), Failure> {
    let pinned = locks::read()?.is_some_and(|pinned| pinned.at == locks::relative(folder));
    if pinned || !named {
        terminal.note(refresh(folder, None)?.trim_end());
    } else {
        terminal.note(&format!(
            "Plan with it: sky plan --catalog {}",
            shell::quoted_path(folder)
        ));
    }
    Ok(())
}

/// Pins the catalog in `folder`, for a verb that has just changed it; what to say about it.
/// `before` is the catalog that was there, if there was one: what changed in price is summed up.
///
/// The lock is written also where there was none: plans are then made from this folder.
pub(super) fn refresh(folder: &Path, catalog_before: Option<&Catalog>) -> Result<String, Failure> {
    pin_catalog(Some(folder), catalog_before)
}

fn pin_catalog(folder: Option<&Path>, catalog_before: Option<&Catalog>) -> Result<String, Failure> {
    let kept_catalog = || locks::kept(&locks::read().ok().flatten()?.digest);
    let lock_before = match catalog_before {
        Some(before) => Some(before.clone()),
        None => kept_catalog(),
    };
    let (old, new, catalog) = locks::write(folder)?;
    let pinned = format!(
        "{LOCK} pins {}: newest price {}, {}",
        new.at, new.date, new.digest
    );
    let Some(old) = old else {
        return Ok(format!(
            "{pinned}\nCommit {LOCK}: plans are made from this catalog wherever it is.\n"
        ));
    };
    if old == new {
        return Ok(format!("{pinned}\nNothing changed.\n"));
    }
    let mut text = format!("{pinned}\nChanged:{}\n", listed_changes(&old, &new));
    if let Some(before) = lock_before.filter(|before| before.digest == old.digest) {
        text.push_str(&format!("\n{}", summary(&diff::between(&before, &catalog))));
    }
    Ok(text)
}

/// Lines on what changed that are said.
const SHOWN: usize = 12;

/// What differs between two locks, a line each.
fn changed_lines(old: &Lock, new: &Lock) -> Vec<String> {
    let moved_words = (old.at != new.at).then(|| format!("pinned is {}, was {}", new.at, old.at));
    let differences = if old == new {
        Vec::new()
    } else {
        lock::differences(old, new)
    };
    moved_words.into_iter().chain(differences).collect()
}

fn listed_changes(old: &Lock, new: &Lock) -> String {
    let change_lines = changed_lines(old, new);
    let mut text: String = change_lines
        .iter()
        .take(SHOWN)
        .map(|line| format!("\n  {line}"))
        .collect();
    if change_lines.len() > SHOWN {
        text.push_str(&format!(
            "\n  and {} more sources",
            change_lines.len() - SHOWN
        ));
    }
    text
}
