//! `sky catalog search`.

use super::offer_table::{accelerator_flag, offer_json, offer_table, pretty};
use crate::catalog::search::{self, Search};
use crate::catalog::search_words::{self, Misunderstood};
use crate::catalog::{Catalog, CatalogError, query};
use crate::model::{Bytes, Pattern, Rate, ServiceNeed, Tee};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Arguments of `sky catalog search`.
#[derive(Debug, Default, Args)]
pub struct SearchArgs {
    /// What is wanted, in words: "8x A100 80GB in the EU under $20/h"
    pub query: Vec<String>,
    /// At least so many of this accelerator, such as `A100-80GB:8`
    #[arg(long, value_name = "NAME[:COUNT]")]
    pub accelerator: Option<String>,
    /// Only in this country, bloc, cloud or place: DE, EU, aws, `aws:eu-*`; any of several
    #[arg(long = "in", value_name = "WHERE", value_delimiter = ',')]
    pub within: Vec<String>,
    /// Only this cloud; `*` matches any text
    #[arg(long, value_name = "CLOUD", value_delimiter = ',')]
    pub cloud: Vec<String>,
    /// Only this instance type; `*` matches any text
    #[arg(long, value_name = "TYPE")]
    pub instance_type: Option<String>,
    /// At most so many US dollars an hour
    #[arg(long, value_name = "USD")]
    pub max_price: Option<String>,
    /// At least so many virtual CPUs
    #[arg(long, alias = "min-cpus", value_name = "COUNT")]
    pub min_vcpus: Option<u32>,
    /// At least so much memory, such as "64 GiB"
    #[arg(long, value_name = "SIZE")]
    pub min_memory: Option<String>,
    /// Any of these environments, such as sev-snp
    #[arg(long, value_name = "TEE", value_delimiter = ',')]
    pub tee: Vec<String>,
    /// Spot offers instead of on-demand ones
    #[arg(long)]
    pub spot: bool,
    /// A service instead of machines, such as "spark>=3.4"
    #[arg(long, value_name = "NAME[VERSIONS]")]
    pub service: Option<String>,
    /// Print at most so many offers; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog search`.
pub fn search(catalog: &Catalog, args: &SearchArgs) -> Result<String, CatalogError> {
    let asked_search = asked_by_words_and_flags(catalog, args)?;
    let offers = search::find(catalog, &asked_search);
    let shown_count = if args.limit == 0 {
        offers.len()
    } else {
        args.limit.min(offers.len())
    };
    let search_words = search::said(&asked_search);
    let lapsed_offers = search::lapsed(catalog, &asked_search);
    if args.json {
        let offer_rows: Vec<Value> = offers[..shown_count]
            .iter()
            .map(|offer| offer_json(catalog, offer))
            .collect();
        return Ok(pretty(&json!({
            "query": search_words, "offers": offer_rows, "found": offers.len(), "lapsed": super::offer_table::lapsed_json(catalog, &lapsed_offers),
            "catalog": catalog.digest,
        })));
    }
    let mut text = offer_table(catalog, &offers[..shown_count]);
    let _ = match offers.len() {
        0 => writeln!(
            text,
            "No offer of {}: {search_words}.",
            catalog.offers.len()
        ),
        found if found > shown_count => writeln!(
            text,
            "{shown_count} of {found} offers: {search_words}; --limit 0 prints all."
        ),
        1 => writeln!(text, "1 offer: {search_words}."),
        found => writeln!(text, "{found} offers: {search_words}."),
    };
    text.push_str(&super::offer_table::lapsed_text(catalog, &lapsed_offers));
    Ok(text)
}

/// The search that words and flags ask for together; what both say is said twice, which is a
/// mistake.
fn asked_by_words_and_flags(catalog: &Catalog, args: &SearchArgs) -> Result<Search, CatalogError> {
    let mut flag_search = Search::default();
    let query = args.query.join(" ");
    let misread =
        |at: &str, error: Misunderstood| CatalogError::file(at, error.message, error.hint);
    search_words::read(&query, catalog, &mut flag_search)
        .map_err(|error| misread(&format!("\"{query}\""), error))?;
    if let Some(text) = &args.accelerator {
        let need = accelerator_flag(catalog, text)?;
        if flag_search.accelerator.replace(need).is_some() {
            return Err(said_twice("--accelerator"));
        }
    }
    for word in &args.within {
        search_words::where_to(word, catalog, &mut flag_search)
            .map_err(|error| misread("--in", error))?;
    }
    for cloud in &args.cloud {
        flag_search.clouds.insert(cloud_flag(catalog, cloud)?);
    }
    flag_search.instance_type = args.instance_type.clone().map(Pattern);
    if let Some(text) = &args.max_price {
        let plain_price = text.trim().trim_start_matches('$').trim_end_matches("/h");
        let rate = Rate::parse_usd(plain_price).map_err(|error| {
            CatalogError::file(
                "--max-price",
                error.to_string(),
                "write it like --max-price 20",
            )
        })?;
        if flag_search.max_rate.replace(rate).is_some() {
            return Err(said_twice("--max-price"));
        }
    }
    if let Some(count) = args.min_vcpus {
        flag_search.min_vcpus = flag_search.min_vcpus.max(u64::from(count) * 1000);
    }
    if let Some(text) = &args.min_memory {
        let memory_size = Bytes::parse(text)
            .map_err(|error| CatalogError::file("--min-memory", error.to_string(), ""))?;
        flag_search.min_memory = flag_search.min_memory.max(memory_size);
    }
    for text in &args.tee {
        flag_search.tee.insert(tee_flag(text)?);
    }
    if let Some(text) = &args.service {
        let need = service_flag(catalog, text)?;
        if flag_search.service.replace(need).is_some() {
            return Err(said_twice("--service"));
        }
    }
    flag_search.spot |= args.spot;
    Ok(flag_search)
}

/// The fault of a flag that says what the words say too.
fn said_twice(flag: &str) -> CatalogError {
    CatalogError::file(
        flag,
        "the words say it too",
        "say it once: in the words or by the flag",
    )
}

/// The pattern of `--cloud`, which must match a cloud of the catalog.
fn cloud_flag(catalog: &Catalog, cloud: &str) -> Result<Pattern, CatalogError> {
    if cloud.contains(':') {
        let hint = "write a cloud such as aws; places go to --in";
        return Err(CatalogError::file(
            "--cloud",
            format!("`{cloud}` is not a cloud"),
            hint,
        ));
    }
    let pattern = Pattern(cloud.to_owned());
    if !catalog
        .places
        .iter()
        .any(|place| pattern.matches(&place.name.cloud))
    {
        let clouds: Vec<&str> = query::counts(catalog).into_keys().collect();
        let hint = format!("the clouds are {}", clouds.join(", "));
        return Err(CatalogError::file(
            "--cloud",
            format!("`{cloud}` is not a cloud of this catalog"),
            hint,
        ));
    }
    Ok(pattern)
}

/// The confidential-computing environment of `--tee`.
fn tee_flag(text: &str) -> Result<Tee, CatalogError> {
    Tee::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
        let hint = format!("it is one of {}", names.join(", "));
        CatalogError::file("--tee", format!("unknown environment `{text}`"), hint)
    })
}

/// The service of `--service`, which the catalog must have.
fn service_flag(catalog: &Catalog, text: &str) -> Result<ServiceNeed, CatalogError> {
    let need = ServiceNeed::parse(text)
        .map_err(|error| CatalogError::file("--service", error.to_string(), ""))?;
    if search::has_service(catalog, &need.name) {
        return Ok(need);
    }
    let known_services: BTreeSet<&str> = catalog
        .machines
        .iter()
        .filter_map(|machine| Some(machine.service.as_ref()?.name.as_str()))
        .collect();
    let hint = match known_services.is_empty() {
        true => "this catalog has no services".to_owned(),
        false => format!(
            "it has {}",
            known_services.into_iter().collect::<Vec<_>>().join(", ")
        ),
    };
    Err(CatalogError::file(
        "--service",
        format!("unknown service `{}`", need.name),
        hint,
    ))
}
