//! `sky catalog register`.

use super::offer_table::pretty;
use crate::catalog::CatalogError;
use crate::feeds::register::{self, RegisterOptions, Registration};
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
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog register`, into a catalog folder.
pub fn register(args: &RegisterArgs, catalog_folder: &Path) -> Result<String, CatalogError> {
    let today = args
        .as_of
        .clone()
        .unwrap_or_else(|| clock::today().to_string());
    let today = today.parse().map_err(|_| {
        CatalogError::file(
            "--as-of",
            format!("`{today}` is not a day"),
            "write it like 2026-12-31",
        )
    })?;
    let options = RegisterOptions {
        location: args.file.clone(),
        signature: args.signature.clone().unwrap_or_default(),
        keys: args.keys.clone(),
        allow_unsigned: args.allow_unsigned,
        replace: args.replace,
        today,
    };
    let registration = register::register(&options, catalog_folder)?;
    Ok(if args.json {
        to_json(&registration, catalog_folder)
    } else {
        registration_text(&registration, catalog_folder)
    })
}

fn to_json(registration: &Registration, catalog_folder: &Path) -> String {
    pretty(&json!({
        "catalog": catalog_folder, "cloud": registration.cloud, "about": registration.about, "key": registration.key,
        "valid_until": registration.valid_until, "places": registration.places, "machines": registration.machines,
        "prices": registration.prices, "services": registration.services, "left_out": registration.left_out,
        "replaced": registration.replaced, "created": registration.created, "changed": registration.changed,
    }))
}

fn registration_text(registration: &Registration, catalog_folder: &Path) -> String {
    let mut text = String::new();
    let count = |count: usize, one: &str| {
        if count == 1 {
            format!("1 {one}")
        } else {
            format!("{count} {one}s")
        }
    };
    let verb = if registration.replaced {
        "is registered again"
    } else {
        "is registered"
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} ({}) {verb} in {}.",
        registration.cloud,
        registration.about,
        catalog_folder.display()
    );
    let _ = writeln!(
        text,
        "  {}, {}, {}, {}",
        count(registration.places, "place"),
        count(registration.machines, "machine type"),
        count(registration.prices, "price"),
        count(registration.services, "service offer"),
    );
    let _ = match &registration.key {
        Some(key) => writeln!(
            text,
            "  signed by {key}; holds until {}",
            registration.valid_until
        ),
        None => writeln!(
            text,
            "  not signed; holds until {}",
            registration.valid_until
        ),
    };
    for why in &registration.left_out {
        let _ = writeln!(text, "  left out: {why}");
    }
    if registration.created {
        let _ = writeln!(
            text,
            "The folder is new: it has all of the shipped catalog too."
        );
    }
    text
}
