//! The sources, which of them an update asks, and how each is asked.

#[cfg(feature = "aws")]
use super::aws_spot_prices;
use super::http_client::HttpClient;
use super::source_answer::{AnswerContent, AnswerData, SourceAnswer};
use super::source_request::SourceRequest;
use super::{
    Endpoints, Fault, ProgressNews, SourceSelection, aws_price_list, aws_spot_advisor,
    azure_retail_prices, gcp_billing_catalog, own_catalog, skypilot_lists,
};
use crate::catalog::CatalogError;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A source: name, clouds that it has (none: any), what it is.
pub const SOURCES: &[(&str, &[&str], &str)] = &[
    (
        "skypilot",
        &[],
        "SkyPilot's hosted catalogs of 28 clouds, CSV",
    ),
    ("azure", &["azure"], "Azure Retail Prices API"),
    (
        "gcp",
        &["gcp"],
        "GCP Cloud Billing Catalog API; needs a key in SKY_GCP_API_KEY or GOOGLE_API_KEY",
    ),
    (
        "aws",
        &["aws"],
        "AWS's public price list, the files of all regions",
    ),
    #[cfg(feature = "aws")]
    (
        "aws-spot",
        &["aws"],
        "spot prices and instance types that an AWS account sees; needs credentials",
    ),
    (
        "aws-spot-advisor",
        &["aws"],
        "AWS's spot advisor feed: how often spot machines are interrupted",
    ),
    (
        "catalog",
        &[],
        "a catalog in sky's own format: --from, or SKY_CATALOG_URL",
    ),
];

/// Checks that every source that is asked for is one of this sky.
fn check_source_names(wanted_sources: &SourceSelection) -> Result<(), CatalogError> {
    let names: Vec<&str> = SOURCES.iter().map(|(name, ..)| *name).collect();
    if let Some(unknown) = wanted_sources
        .sources
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        let hint = match unknown.as_str() {
            "aws-spot" => {
                "this sky was built without it: cargo install with --features aws".to_owned()
            }
            _ => format!("the sources are {}", names.join(", ")),
        };
        return Err(CatalogError::file(
            "--source",
            format!("there is no source `{unknown}`"),
            hint,
        ));
    }
    Ok(())
}

/// The sources that are asked.
pub(super) fn chosen_sources(
    wanted_sources: &SourceSelection,
    endpoints: &Endpoints,
) -> Result<Vec<&'static str>, CatalogError> {
    check_source_names(wanted_sources)?;
    let of_skypilot = |cloud: &str| {
        skypilot_lists::CLOUDS
            .iter()
            .any(|(_, ours)| *ours == cloud)
    };
    let known_clouds: BTreeSet<&str> = SOURCES
        .iter()
        .flat_map(|(_, clouds, _)| clouds.iter().copied())
        .chain(skypilot_lists::CLOUDS.iter().map(|(_, ours)| *ours))
        .collect();
    if let Some(unknown) = wanted_sources
        .clouds
        .iter()
        .find(|cloud| !known_clouds.contains(cloud.as_str()))
    {
        let hint = format!(
            "the clouds are {}",
            known_clouds.into_iter().collect::<Vec<_>>().join(", ")
        );
        return Err(CatalogError::file(
            "--cloud",
            format!("no source has the cloud `{unknown}`"),
            hint,
        ));
    }
    let serves = |name: &str, clouds: &[&str]| match name {
        _ if wanted_sources.clouds.is_empty() => true,
        "skypilot" => wanted_sources.clouds.iter().any(|cloud| of_skypilot(cloud)),
        _ => wanted_sources
            .clouds
            .iter()
            .any(|cloud| clouds.contains(&cloud.as_str())),
    };
    let is_asked = |name: &str, clouds: &[&str]| match wanted_sources
        .sources
        .iter()
        .any(|source| source == name)
    {
        // An own catalog is of any cloud.
        true => name == "catalog" || serves(name, clouds),
        false => {
            wanted_sources.sources.is_empty()
                && serves(name, clouds)
                && (name != "catalog" || endpoints.own.is_some())
        }
    };
    let chosen_names: Vec<&str> = SOURCES
        .iter()
        .filter(|(name, clouds, _)| is_asked(name, clouds))
        .map(|(name, ..)| *name)
        .collect();
    if chosen_names.is_empty() {
        return Err(CatalogError::file(
            "--cloud",
            "none of the named sources has that cloud",
            "leave --source out",
        ));
    }
    Ok(chosen_names)
}

/// Asks one source.
pub(super) async fn ask(
    name: &'static str,
    http: Rc<HttpClient>,
    request: Rc<SourceRequest>,
) -> Vec<SourceAnswer> {
    let one_answer = |cloud: &str, result| vec![SourceAnswer::new(name, cloud, "", result)];
    let mut answers = match name {
        "skypilot" => skypilot_lists::fetch(http.clone(), request.clone()).await,
        "azure" => one_answer("azure", azure_retail_prices::fetch(&http, &request).await),
        "gcp" => one_answer("gcp", gcp_billing_catalog::fetch(&http, &request).await),
        "aws" => aws_price_list::fetch(http.clone(), request.clone()).await,
        #[cfg(feature = "aws")]
        "aws-spot" => aws_spot_prices::fetch(http.clone(), request.clone()).await,
        "aws-spot-advisor" => one_answer("aws", aws_spot_advisor::fetch(&http, &request).await),
        _ => one_answer("", own_catalog::fetch(&http, &request).await),
    };
    // What was asked for by its name and cannot be asked has failed.
    let skipped = |answer: &SourceAnswer| {
        matches!(
            answer.result,
            Ok(AnswerData {
                content: AnswerContent::Skip(_),
                ..
            })
        )
    };
    if request.wanted.sources.iter().any(|source| source == name) {
        let all_skipped = answers.iter().all(skipped);
        for answer in &mut answers {
            if let Ok(AnswerData {
                content: AnswerContent::Skip(why),
                ..
            }) = &answer.result
                && (all_skipped || request.wanted.clouds.contains(&answer.cloud))
            {
                answer.result = Err(Fault(why.clone()));
            }
        }
    }
    http.tell(name, &ProgressNews::Done);
    answers
}
