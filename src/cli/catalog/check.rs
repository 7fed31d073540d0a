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
    let mut catalog_findings = check::findings(&catalog);
    let suspicious = catalog_findings
        .iter()
        .filter(|one| one.kind.is_suspicious())
        .count();
    let gaps = catalog_findings
        .iter()
        .filter(|one| one.kind.is_gap())
        .count();
    let dropped_rows = dropped_by_reason(&catalog);
    catalog_findings.retain(|one| one.kind.is_suspicious() || !args.suspicious);
    let mut kinds: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for one in &catalog_findings {
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
        let kind_counts: serde_json::Map<String, Value> = kinds
            .iter()
            .map(|(kind, of_kind)| (kind.name().to_owned(), json!(of_kind.len())))
            .collect();
        pretty(&json!({
            "format_version": "1.0", "catalog": catalog.digest, "suspicious": suspicious,
            "gaps": gaps, "counts": kind_counts, "findings": findings.collect::<Vec<_>>(), "dropped_prices": dropped_rows,
        }))
    } else {
        findings_text(&kinds, limit, &files, suspicious, gaps) + &dropped_text(&dropped_rows)
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
    let reason_lines: String = dropped
        .iter()
        .map(|(reason, rows)| format!("  {rows:>6}  {reason}\n"))
        .collect();
    if reason_lines.is_empty() {
        reason_lines
    } else {
        format!("\nPrices of lists that are not offered, by reason:\n{reason_lines}")
    }
}

fn findings_text(
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
                let line_words = line_of(one, files).map_or(String::new(), |at| format!(" ({at})"));
                table.add_row([
                    kind.name().to_owned(),
                    name,
                    format!("{}{line_words}", one.message),
                ]);
            }
            if of_kind.len() > limit {
                let more_words = format!("and {} more; --limit 0 lists all", of_kind.len() - limit);
                table.add_row([kind.name().to_owned(), String::new(), more_words]);
            }
        }
        let _ = writeln!(text, "{title}:\n{}", table_text(&table));
    }
    let count_words = |count: usize| match count {
        0 => "nothing suspicious".to_owned(),
        1 => "1 suspicious price".to_owned(),
        count => format!("{count} suspicious prices"),
    };
    let ended_count = kinds.get(&check::Kind::Lapsed).map_or(0, Vec::len);
    let ended_words = if ended_count > 0 {
        format!("; {ended_count} that ended")
    } else {
        String::new()
    };
    let _ = writeln!(
        text,
        "{}; {gaps} things that are not known{ended_words}.",
        count_words(suspicious)
    );
    text
}

fn to_json(finding: &Finding, files: &[File]) -> Value {
    json!({
        "kind": finding.kind.name(), "suspicious": finding.kind.is_suspicious(), "name": finding.name,
        "instance_type": finding.instance_type, "message": finding.message, "at": line_of(finding, files),
    })
}

/// Where the row of a price is: `catalog/aws/us-east-1.csv:12`.
fn line_of(finding: &Finding, files: &[File]) -> Option<String> {
    let machine = finding.instance_type.as_ref()?;
    let (cloud, region) = finding.name.split_once(':')?;
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
            let mut numbered_lines = file
                .text
                .lines()
                .zip(1..)
                .filter(|(line, _)| !line.starts_with('#') && !line.trim().is_empty());
            let header = cells(numbered_lines.next()?.0);
            let column = |name: &str| header.iter().position(|cell| *cell == name);
            let (type_at, region_at, place_at) =
                (column("instance_type")?, column("region"), column("place"));
            let is_this_row = |row: &[&str]| match (region_at, place_at) {
                (Some(at), _) => row.get(at) == Some(&region),
                (_, Some(at)) => row.get(at) == Some(&finding.name.as_str()),
                _ => stem == Some(region),
            };
            let (_, line) = numbered_lines.find(|(line, _)| {
                let row_cells = cells(line);
                row_cells.get(type_at) == Some(&machine.as_str()) && is_this_row(&row_cells)
            })?;
            Some(format!("{}:{line}", file.shown))
        })
}
