//! `sky catalog list`.

use super::offer_table::{accelerator_flag, offer_json, offer_table, pretty};
use crate::catalog::query::{self, Filter};
use crate::catalog::{Catalog, CatalogError};
use crate::model::{Bytes, Pattern, geography};
use crate::planning::compile;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;

/// Arguments of `sky catalog list`.
#[derive(Debug, Default, Args)]
pub struct ListArgs {
    /// Only this cloud; `*` matches any text
    #[arg(long, value_name = "CLOUD")]
    pub cloud: Option<String>,
    /// Only this place, such as `aws:eu-*`
    #[arg(long, value_name = "PLACE")]
    pub place: Option<String>,
    /// Only this country or bloc, such as DE or EU
    #[arg(long, value_name = "COUNTRY", value_delimiter = ',')]
    pub country: Vec<String>,
    /// Only machines with this accelerator, such as `A100-80GB:8`; without a count, any number
    #[arg(long, value_name = "NAME[:COUNT]")]
    pub accelerator: Option<String>,
    /// Only this instance type; `*` matches any text
    #[arg(long, value_name = "TYPE")]
    pub instance_type: Option<String>,
    /// At least so many virtual CPUs
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub min_cpus: u32,
    /// At least so much memory, such as "64 GiB"
    #[arg(long, value_name = "SIZE")]
    pub min_memory: Option<String>,
    /// Spot offers instead of on-demand ones
    #[arg(long)]
    pub spot: bool,
    /// Print at most so many offers; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog list`.
pub fn list(catalog: &Catalog, args: &ListArgs) -> Result<String, CatalogError> {
    let offer_filter = filter_of(catalog, args)?;
    let offers = query::find(catalog, &offer_filter);
    let shown_count = if args.limit == 0 {
        offers.len()
    } else {
        args.limit.min(offers.len())
    };
    if args.json {
        let offer_rows: Vec<Value> = offers[..shown_count]
            .iter()
            .map(|offer| offer_json(catalog, offer))
            .collect();
        return Ok(pretty(
            &json!({ "offers": offer_rows, "found": offers.len(), "catalog": catalog.digest }),
        ));
    }
    let mut text = offer_table(catalog, &offers[..shown_count]);
    let _ = match offers.len() {
        0 => writeln!(
            text,
            "No offer passes; the catalog has {}.",
            catalog.offers.len()
        ),
        found if found > shown_count => {
            writeln!(
                text,
                "{shown_count} of {found} offers; --limit 0 prints all."
            )
        }
        1 => writeln!(text, "1 offer."),
        found => writeln!(text, "{found} offers."),
    };
    Ok(text)
}

/// A pattern over names of the catalog, which must match one: where nothing is listed for a slip of
/// the finger, nobody looks for it there.
fn known_pattern<'n>(
    option: &str,
    text: &Option<String>,
    mut names: impl Iterator<Item = &'n str>,
    nearest: impl Fn(&str) -> Option<String>,
) -> Result<Option<Pattern>, CatalogError> {
    let Some(text) = text else { return Ok(None) };
    let pattern = Pattern(text.clone());
    if names.any(|name| pattern.matches(name)) {
        return Ok(Some(pattern));
    }
    let hint = nearest(text).unwrap_or_else(|| "`sky catalog show` says what there is".to_owned());
    Err(CatalogError::file(
        option,
        format!("`{text}` matches nothing in the catalog"),
        hint,
    ))
}

fn filter_of(catalog: &Catalog, args: &ListArgs) -> Result<Filter, CatalogError> {
    let (mut accelerator, mut accelerator_count) = (None, None);
    if let Some(text) = &args.accelerator {
        let need = accelerator_flag(catalog, text)?;
        accelerator_count = text.contains(':').then_some(need.thousandths);
        accelerator = Some(need.name);
    }
    let mut countries = Vec::new();
    for name in &args.country {
        let known_countries = geography::countries(name).ok_or_else(|| {
            let blocs: Vec<&str> = geography::blocs().collect();
            let hint = format!(
                "write an ISO 3166 code such as DE, or one of {}",
                blocs.join(", ")
            );
            CatalogError::file("--country", format!("unknown country `{name}`"), hint)
        })?;
        countries.extend(known_countries.into_iter().map(str::to_owned));
    }
    let memory = args.min_memory.as_deref().map(Bytes::parse).transpose();
    let nearest_hint = |text: &str| {
        let nearest_name = query::nearest(catalog, text)?;
        Some(format!("did you mean `{nearest_name}`?"))
    };
    let places = &catalog.places;
    let names: Vec<String> = places.iter().map(|place| place.name.to_string()).collect();
    let clouds = places.iter().map(|place| place.name.cloud.as_str());
    let types = catalog
        .machines
        .iter()
        .map(|machine| machine.instance_type.as_str());
    let place = known_pattern(
        "--place",
        &args.place,
        names.iter().map(String::as_str),
        |text| compile::nearest_place(text, catalog),
    )?;
    Ok(Filter {
        cloud: known_pattern("--cloud", &args.cloud, clouds, |text| {
            compile::nearest_cloud(text, catalog)
        })?,
        place,
        countries,
        accelerator,
        accelerator_count,
        instance_type: known_pattern("--instance-type", &args.instance_type, types, nearest_hint)?,
        min_vcpus: u64::from(args.min_cpus) * 1000,
        min_memory: memory
            .map_err(|error| CatalogError::file("--min-memory", error.to_string(), ""))?
            .unwrap_or_default(),
        spot: args.spot,
    })
}
