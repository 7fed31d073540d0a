//! `sky catalog import`.

use super::table::pretty;
use crate::catalog::CatalogError;
use crate::catalog::source::{self, Options, Report};
use clap::Args;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Arguments of `sky catalog import`.
#[derive(Debug, Default, Args)]
pub struct ImportArgs {
    /// What the path holds: catalog, places, skypilot, prices, confidential, egress, throughput
    pub kind: String,
    /// The file or folder to read
    pub path: PathBuf,
    /// The catalog folder to write; created if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The day of the figures, such as 2026-08-06; for one of several clouds, `lambda=2024-10-14`
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
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog import`.
pub fn import(args: &ImportArgs) -> Result<String, CatalogError> {
    let options = Options {
        cloud: args.cloud.clone(),
        dates: args.dates.clone(),
        about: args.about.clone(),
        url: args.url.clone(),
    };
    let report = source::import(&args.kind, &args.path, &options, &args.out)?;
    if args.json {
        return Ok(pretty(&json!({
            "taken": report.taken, "left_out": report.left_out, "changed": report.changed,
        })));
    }
    Ok(report_text(&report))
}

/// What an import did, as text.
pub fn report_text(report: &Report) -> String {
    let mut text = String::new();
    let mut part = |title: &str, counts: &std::collections::BTreeMap<String, usize>| {
        if !counts.is_empty() {
            let _ = writeln!(text, "{title}");
            for (what, count) in counts {
                let _ = writeln!(text, "  {count:>6}  {what}");
            }
        }
    };
    part("Taken:", &report.taken);
    part("Left out:", &report.left_out);
    let _ = match report.changed.len() {
        0 => writeln!(text, "No file changed."),
        1 => writeln!(text, "1 file changed."),
        files => writeln!(text, "{files} files changed."),
    };
    text
}
