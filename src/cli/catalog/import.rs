//! `sky catalog import`.

use super::offer_table::pretty;
use crate::catalog::CatalogError;
use crate::feeds::{self, ImportOptions, ImportReport};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Arguments of `sky catalog import`.
#[derive(Debug, Default, Args)]
pub struct ImportArgs {
    /// What the path holds: catalog, places, skypilot, prices, confidential, egress, throughput,
    /// round_trips, interruptions
    pub kind: String,
    /// The file or folder to read
    pub path: PathBuf,
    /// The catalog folder to write; created if it is not there. Price lists start a new one from
    /// the shipped catalog, without its prices
    #[arg(long, value_name = "DIR", default_value = "catalog")]
    pub out: PathBuf,
    /// The day of the figures, such as 2026-08-06; for one of several clouds, `lambda=2024-10-14`
    /// [default: the day in the path's name, else when the files were last changed]
    #[arg(long = "date", value_name = "DAY")]
    pub dates: Vec<String>,
    /// The cloud that a price list is of; for `skypilot`, only this cloud
    #[arg(long, value_name = "CLOUD")]
    pub cloud: Option<String>,
    /// What the source is, for people
    #[arg(long, value_name = "TEXT")]
    pub about: Option<String>,
    /// Where the source can be looked up
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The price list is full: what it does not have is no longer sold in the regions that it has,
    /// and rows of older lists that it does not have are dropped
    #[arg(long)]
    pub full: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog import`.
pub fn import(args: &ImportArgs) -> Result<String, CatalogError> {
    let options = ImportOptions {
        cloud: args.cloud.clone(),
        dates: args.dates.clone(),
        about: args.about.clone(),
        url: args.url.clone(),
        full: args.full,
        guess: None,
    };
    let report = feeds::import(&args.kind, &args.path, &options, &args.out)?;
    if args.json {
        let (rows, about) = left_out_json(&report);
        return Ok(pretty(&json!({
            "catalog": args.out, "notes": report.notes, "taken": report.taken, "left_out": rows,
            "left_out_about": about, "changed": report.changed,
        })));
    }
    Ok(report_text(&report, &args.out))
}

/// Rows that were left out, by reason: how many, and what they are about.
pub(super) fn left_out_json(report: &ImportReport) -> (Value, Value) {
    let left_out = report.left_out.iter();
    let about_reasons = left_out.clone().filter(|(_, left)| !left.about.is_empty());
    let about_names: BTreeMap<&String, _> = about_reasons
        .map(|(why, left)| (why, &left.about))
        .collect();
    let left_rows: BTreeMap<&String, usize> =
        left_out.map(|(why, left)| (why, left.rows)).collect();
    (json!(left_rows), json!(about_names))
}

/// What an import did, as text.
pub fn report_text(report: &ImportReport, catalog_folder: &Path) -> String {
    let mut text: String = report
        .notes
        .iter()
        .map(|note| format!("{note}\n"))
        .collect();
    let mut put_part = |title: &str, lines: Vec<(usize, String)>| {
        if !lines.is_empty() {
            let _ = writeln!(text, "{title}");
            for (rows, what) in lines {
                let _ = writeln!(text, "  {rows:>6}  {what}");
            }
        }
    };
    put_part(
        "Taken:",
        report
            .taken
            .iter()
            .map(|(what, rows)| (*rows, what.clone()))
            .collect(),
    );
    put_part("Left out:", report.reasons());
    let out = catalog_folder.display();
    let _ = match report.changed.len() {
        0 => writeln!(text, "No file changed in {out}."),
        1 => writeln!(text, "1 file changed in {out}."),
        files => writeln!(text, "{files} files changed in {out}."),
    };
    text
}
