//! `sky catalog register`.

use super::table::pretty;
use crate::catalog::CatalogError;
use crate::catalog::join::{self, Joined, Options};
use crate::util::clock;
use clap::Args;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// Arguments of `sky catalog register`.
#[derive(Debug, Default, Args)]
pub struct RegisterArgs {
    /// The file of the cloud: a path, or a URL with file://, http:// or https://
    pub file: String,
    /// A minisign public key that may have signed it, or a file with such keys; may be given many
    /// times. Those in `trusted.keys` of the catalog folder count too
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// Its signature [default: FILE.minisig]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<String>,
    /// Take a file that is not signed
    #[arg(long)]
    pub allow_unsigned: bool,
    /// Put it in the place of a cloud that was registered without a signature
    #[arg(long)]
    pub replace: bool,
    /// The day on which prices must hold [default: today]
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog register`, into a catalog folder.
pub fn register(args: &RegisterArgs, out: &Path) -> Result<String, CatalogError> {
    let today = args.as_of.clone().unwrap_or_else(|| clock::today().to_string());
    let today = today
        .parse()
        .map_err(|_| CatalogError::file("--as-of", format!("`{today}` is not a day"), "write it like 2026-12-31"))?;
    let options = Options {
        location: args.file.clone(),
        signature: args.signature.clone().unwrap_or_default(),
        keys: args.keys.clone(),
        allow_unsigned: args.allow_unsigned,
        replace: args.replace,
        today,
    };
    let joined = join::register(&options, out)?;
    Ok(if args.json { to_json(&joined, out) } else { text(&joined, out) })
}

fn to_json(joined: &Joined, out: &Path) -> String {
    pretty(&json!({
        "catalog": out, "cloud": joined.cloud, "about": joined.about, "key": joined.key,
        "valid_until": joined.valid_until, "places": joined.places, "machines": joined.machines,
        "prices": joined.prices, "services": joined.services, "left_out": joined.left_out,
        "replaced": joined.replaced, "created": joined.created, "changed": joined.changed,
    }))
}

fn text(joined: &Joined, out: &Path) -> String {
    let mut text = String::new();
    let count = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let verb = if joined.replaced { "is registered again" } else { "is registered" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} ({}) {verb} in {}.", joined.cloud, joined.about, out.display());
    let _ = writeln!(
        text,
        "  {}, {}, {}, {}",
        count(joined.places, "place"),
        count(joined.machines, "machine type"),
        count(joined.prices, "price"),
        count(joined.services, "service offer"),
    );
    let _ = match &joined.key {
        Some(key) => writeln!(text, "  signed by {key}; holds until {}", joined.valid_until),
        None => writeln!(text, "  not signed; holds until {}", joined.valid_until),
    };
    for why in &joined.left_out {
        let _ = writeln!(text, "  left out: {why}");
    }
    if joined.created {
        let _ = writeln!(text, "The folder is new: it has all of the shipped catalog too.");
    }
    text
}
