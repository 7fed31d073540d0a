//! `sky catalog check`.

use super::offer_table::{self, pretty, table_text};
use crate::catalog::Catalog;
use crate::catalog::check::{self, Finding};
use crate::catalog::files::File;
use crate::catalog::table::cells;
use crate::cli::{Exit, Failure, Terminal, lock as locks};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Report what looks wrong in a catalog, and what it does not know
///
/// Suspicious are prices far off their peers, spot above on demand, next to nothing for an
/// accelerator: exit code 2. Gaps, such as a place without a country, are listed and are no reason
/// for that; nor are prices of one machine type that are years apart, machine types that are or
/// will be retired, and rows of price lists that are not offered. A catalog that cannot be read is
/// exit code 1.
#[derive(Debug, Default, Args)]
pub struct CheckArgs {
    /// Only what is suspicious
    #[arg(long)]
    pub suspicious: bool,
    /// List at most so many of each kind; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Checks.
pub(super) fn run(
    args: &CheckArgs,
    named: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let pinned = locks::read()?;
    let folder = named
        .map(Path::to_owned)
        .or_else(|| locks::folder(&pinned?.at));
    let (_, files, catalog) = locks::locked(folder.as_deref())?;
    let mut found = check::findings(&catalog);
    let suspicious = found.iter().filter(|one| one.kind.is_suspicious()).count();
    let gaps = found.iter().filter(|one| one.kind.is_gap()).count();
    let dropped = dropped_by_reason(&catalog);
    found.retain(|one| one.kind.is_suspicious() || !args.suspicious);
    let mut kinds: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for one in &found {
        kinds.entry(one.kind).or_default().push(one);
    }
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let text = if args.json {
        let findings = kinds
            .values()
            .flat_map(|of_kind| of_kind.iter().take(limit))
            .map(|one| to_json(one, &files));
        let counts: serde_json::Map<String, Value> = kinds
            .iter()
            .map(|(kind, of_kind)| (kind.name().to_owned(), json!(of_kind.len())))
            .collect();
        pretty(&json!({
            "format_version": "1.0", "catalog": catalog.digest, "suspicious": suspicious,
            "gaps": gaps, "counts": counts, "findings": findings.collect::<Vec<_>>(), "dropped_prices": dropped,
        }))
    } else {
        text(&kinds, limit, &files, suspicious, gaps) + &dropped_text(&dropped)
    };
    terminal.out(&text)?;
    Ok(if suspicious > 0 {
        Exit::Changes
    } else {
        Exit::Success
    })
}

/// How many prices of lists are not offered, by reason.
fn dropped_by_reason(catalog: &Catalog) -> BTreeMap<String, u64> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for row in &catalog.dropped {
        *reasons.entry(row.reason.clone()).or_default() += row.rows;
    }
    if !catalog.retired.is_empty() {
        reasons.insert(
            "the machine type is retired".to_owned(),
            catalog.retired.len() as u64,
        );
    }
    if !catalog.lapsed.is_empty() {
        reasons.insert(
            "the offer has ended".to_owned(),
            catalog.lapsed.len() as u64,
        );
    }
    reasons
}

fn dropped_text(dropped: &BTreeMap<String, u64>) -> String {
    let lines: String = dropped
        .iter()
        .map(|(reason, rows)| format!("  {rows:>6}  {reason}\n"))
        .collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nPrices of lists that are not offered, by reason:\n{lines}")
    }
}

fn text(
    kinds: &BTreeMap<check::Kind, Vec<&Finding>>,
    limit: usize,
    files: &[File],
    suspicious: usize,
    gaps: usize,
) -> String {
    let mut text = String::new();
    let title_of = |kind: check::Kind| match kind {
        check::Kind::Lapsed => "Ended",
        check::Kind::Retired | check::Kind::Dropped => "Not offered",
        check::Kind::Retiring => "Retiring",
        check::Kind::OldBesideNewer | check::Kind::Estimated => "Prices of other years",
        kind if kind.is_suspicious() => "Suspicious",
        _ => "Not known",
    };
    for title in [
        "Suspicious",
        "Not known",
        "Prices of other years",
        "Retiring",
        "Ended",
        "Not offered",
    ] {
        let of_title: Vec<_> = kinds
            .iter()
            .filter(|(kind, _)| title_of(**kind) == title)
            .collect();
        if of_title.is_empty() {
            continue;
        }
        let mut table = offer_table::new_table(&["KIND", "NAME", "WHAT"]);
        for (kind, of_kind) in of_title {
            for one in of_kind.iter().take(limit) {
                let name = match &one.instance_type {
                    Some(machine) => format!("{} {machine}", one.name),
                    None => one.name.clone(),
                };
                let at = line_of(one, files).map_or(String::new(), |at| format!(" ({at})"));
                table.add_row([kind.name().to_owned(), name, format!("{}{at}", one.message)]);
            }
            if of_kind.len() > limit {
                let more = format!("and {} more; --limit 0 lists all", of_kind.len() - limit);
                table.add_row([kind.name().to_owned(), String::new(), more]);
            }
        }
        let _ = writeln!(text, "{title}:\n{}", table_text(&table));
    }
    let rows = |count: usize| match count {
        0 => "nothing suspicious".to_owned(),
        1 => "1 suspicious price".to_owned(),
        count => format!("{count} suspicious prices"),
    };
    let ended = kinds.get(&check::Kind::Lapsed).map_or(0, Vec::len);
    let over = if ended > 0 {
        format!("; {ended} that ended")
    } else {
        String::new()
    };
    let _ = writeln!(
        text,
        "{}; {gaps} things that are not known{over}.",
        rows(suspicious)
    );
    text
}

fn to_json(one: &Finding, files: &[File]) -> Value {
    json!({
        "kind": one.kind.name(), "suspicious": one.kind.is_suspicious(), "name": one.name,
        "instance_type": one.instance_type, "message": one.message, "at": line_of(one, files),
    })
}

/// Where the row of a price is: `catalog/aws/us-east-1.csv:12`.
fn line_of(one: &Finding, files: &[File]) -> Option<String> {
    let machine = one.instance_type.as_ref()?;
    let (cloud, region) = one.name.split_once(':')?;
    files
        .iter()
        .filter(|file| !file.name.ends_with("machines.csv"))
        .find_map(|file| {
            let folder = file.name.split_once('/');
            let stem = folder.and_then(|(_, stem)| stem.strip_suffix(".csv"));
            if folder.is_some_and(|(folder, _)| folder != cloud)
                || (folder.is_none() && file.name != "prices.csv")
            {
                return None;
            }
            let mut lines = file
                .text
                .lines()
                .zip(1..)
                .filter(|(line, _)| !line.starts_with('#') && !line.trim().is_empty());
            let header = cells(lines.next()?.0);
            let column = |name: &str| header.iter().position(|cell| *cell == name);
            let (type_at, region_at, place_at) =
                (column("instance_type")?, column("region"), column("place"));
            let here = |row: &[&str]| match (region_at, place_at) {
                (Some(at), _) => row.get(at) == Some(&region),
                (_, Some(at)) => row.get(at) == Some(&one.name.as_str()),
                _ => stem == Some(region),
            };
            let (_, line) = lines.find(|(line, _)| {
                let row = cells(line);
                row.get(type_at) == Some(&machine.as_str()) && here(&row)
            })?;
            Some(format!("{}:{line}", file.shown))
        })
}
