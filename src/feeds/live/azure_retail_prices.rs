//! Azure's Retail Prices API: public, in US dollars, page by page.
//! <https://learn.microsoft.com/en-us/rest/api/cost-management/retail-prices/azure-retail-prices>
//!
//! The list is of all meters of virtual machines. Taken are Linux machines by the hour, on demand
//! and spot. A row is of the day on which the list was given, as it is the price of that day; the
//! day since which it holds only says whether it holds yet.

use super::http_client::HttpClient;
use super::price_quotes::{PriceQuotes, day_of, hourly};
use super::source_answer::AnswerData;
use super::source_request::SourceRequest;
use super::{Fault, paged_list};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;

/// Only what can be asked for is filtered by the server; everything else is filtered below, as
/// mirrors may ignore it.
const FILTER: &str = "serviceName eq 'Virtual Machines' and priceType eq 'Consumption'";
const VERSION: &str = "2023-01-01-preview";

#[derive(Deserialize)]
struct Page {
    /// Items as they are: one that is not as the others must not spoil the list.
    #[serde(rename = "Items")]
    items: Vec<serde_json::Value>,
    #[serde(rename = "NextPageLink", default)]
    next: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Item {
    currency_code: Option<String>,
    tier_minimum_units: Option<serde_json::Number>,
    retail_price: Option<serde_json::Number>,
    arm_region_name: Option<String>,
    effective_start_date: Option<String>,
    effective_end_date: Option<String>,
    meter_name: Option<String>,
    product_name: Option<String>,
    sku_name: Option<String>,
    service_name: Option<String>,
    unit_of_measure: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    is_primary_meter_region: Option<bool>,
    arm_sku_name: Option<String>,
    reservation_term: Option<String>,
}

/// The list, as quotes.
pub(super) async fn fetch(http: &HttpClient, request: &SourceRequest) -> Result<AnswerData, Fault> {
    let endpoint = &request.endpoints.azure;
    let mut first_page = endpoint.clone();
    first_page.set_query(Some(&format!("api-version={VERSION}&$filter={FILTER}")));
    let next_of_page = |body: &[u8]| {
        let page: Page = serde_json::from_slice(body)
            .map_err(|error| Fault(format!("this is not a price list: {error}")))?;
        page.next
            .filter(|next| !next.is_empty())
            .map(|next| next_page(endpoint, &next))
            .transpose()
    };
    let pages =
        paged_list::fetch(http, "azure", &first_page, &HeaderMap::new(), next_of_page).await?;
    let day = pages.day.unwrap_or_else(crate::util::clock::today);
    let about_source = "Azure Retail Prices API: Linux machines, on demand and spot";
    let mut quotes = PriceQuotes::new("azure", "azure-retail", day, about_source, endpoint).full();
    for body in pages.bodies() {
        let page: Page = serde_json::from_slice(&body?)
            .map_err(|error| Fault(format!("a kept page is broken: {error}")))?;
        for item in page.items {
            match Item::deserialize(item) {
                Ok(item) => take_item(&item, &mut quotes),
                Err(_) => quotes.leave("not of the form of the others"),
            }
        }
    }
    Ok(AnswerData::quotes(quotes).with_pages(pages))
}

/// The next page. The list names it by the public address of the API: from a mirror it is asked
/// for at the mirror.
fn next_page(endpoint: &Url, next_link: &str) -> Result<Url, Fault> {
    let url = endpoint
        .join(next_link)
        .map_err(|error| Fault(format!("the next page is not an address: {error}")))?;
    if url.origin() == endpoint.origin() {
        return Ok(url);
    }
    let mut requested_page = endpoint.clone();
    requested_page.set_query(url.query());
    Ok(requested_page)
}

fn take_item(item: &Item, quotes: &mut PriceQuotes) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (product, sku, meter) = (
        text(&item.product_name),
        text(&item.sku_name),
        text(&item.meter_name),
    );
    let (region, machine) = (
        text(&item.arm_region_name).to_ascii_lowercase(),
        text(&item.arm_sku_name),
    );
    if text(&item.service_name) != "Virtual Machines" {
        return quotes.leave_of("another service", &text(&item.service_name));
    }
    match text(&item.kind).as_str() {
        "Consumption" if item.reservation_term.as_deref().is_none_or(str::is_empty) => {}
        "Consumption" | "Reservation" => return quotes.leave("reservation"),
        "DevTestConsumption" => return quotes.leave("for development and test only"),
        other => return quotes.leave_of("another way of paying", other),
    }
    if item.currency_code.as_deref() != Some("USD") {
        return quotes.leave_of("not in US dollars", &text(&item.currency_code));
    }
    if let Some(why) = other_product(&product, &sku, &meter) {
        return quotes.leave(why);
    }
    let day = |field: &Option<String>| day_of(field.as_deref().unwrap_or_default());
    match (
        day(&item.effective_start_date),
        day(&item.effective_end_date),
    ) {
        (Ok(Some(start)), _) if start > quotes.day => return quotes.leave("not yet in force"),
        (_, Ok(Some(end))) if end < quotes.day => return quotes.leave("no longer in force"),
        (Err(why), _) | (_, Err(why)) => return quotes.leave(why),
        (Ok(_), Ok(_)) => {}
    }
    if item
        .tier_minimum_units
        .as_ref()
        .and_then(serde_json::Number::as_f64)
        .is_some_and(|units| units > 0.0)
    {
        return quotes.leave("for larger volumes only");
    }
    if region.is_empty() || machine.is_empty() {
        return quotes.leave("no region or no instance type");
    }
    let unit = text(&item.unit_of_measure);
    let hourly_nano = match hourly(
        &item
            .retail_price
            .as_ref()
            .map_or(String::new(), ToString::to_string),
        &unit,
    ) {
        Ok(nano) => nano,
        Err(why @ "not by the hour") => return quotes.leave_of(why, &unit),
        Err(why) => return quotes.leave(why),
    };
    let price_rank = (
        item.is_primary_meter_region.unwrap_or(false),
        text(&item.effective_start_date),
    );
    let spot = [&sku, &meter]
        .into_iter()
        .any(|name| name.to_ascii_lowercase().ends_with(" spot"));
    quotes.put(&region, &machine, spot, hourly_nano, price_rank);
}

/// What else is sold under the name of virtual machines.
fn other_product(product: &str, sku: &str, meter: &str) -> Option<&'static str> {
    let has_word = |text: &str, any: &[&str]| {
        text.split_whitespace()
            .any(|word| any.iter().any(|any| any.eq_ignore_ascii_case(word)))
    };
    let low = |text: &str| text.to_ascii_lowercase().ends_with(" low priority");
    if has_word(product, &["Windows", "Win"]) {
        Some("Windows")
    } else if product.contains("Cloud Services") || has_word(product, &["CloudServices"]) {
        Some("cloud services")
    } else if product.contains("Dedicated Host") || sku.contains("Dedicated Host") {
        Some("dedicated host")
    } else if has_word(product, &["RHEL", "SUSE", "SLES", "SQL"]) || product.contains("Red Hat") {
        Some("another operating system or software")
    } else if low(sku) || low(meter) {
        // Of batch pools only, and not what a spot machine costs.
        Some("low priority")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Machines that were taken as spot, and reasons for those that were not taken.
    fn taken(sku: &str, meter: &str, product: &str) -> (Vec<bool>, Vec<(usize, String)>) {
        let text = |text: &str| Some(text.to_owned());
        let item = Item {
            currency_code: text("USD"),
            retail_price: Some(serde_json::Number::from(1)),
            arm_region_name: text("eastus"),
            meter_name: text(meter),
            product_name: text(product),
            sku_name: text(sku),
            service_name: text("Virtual Machines"),
            unit_of_measure: text("1 Hour"),
            kind: text("Consumption"),
            arm_sku_name: text("Standard_D8s_v5"),
            ..Item::default()
        };
        let mut quotes = PriceQuotes::new(
            "azure",
            "azure-retail",
            jiff::civil::Date::constant(2026, 11, 20),
            "",
            "",
        );
        take_item(&item, &mut quotes);
        (quotes.spots(), quotes.report.reasons())
    }

    #[test]
    fn ways_of_paying_are_told_apart_however_they_are_spelled() {
        let product = "Virtual Machines Dsv5 Series";
        assert_eq!(taken("D8s v5", "D8s v5", product).0, [false]);
        for (sku, meter) in [
            ("D8s v5 Spot", "D8s v5 Spot"),
            ("D8s v5 spot", "D8s v5"),
            ("D8s v5", "D8s v5 SPOT"),
        ] {
            assert_eq!(taken(sku, meter, product).0, [true], "{sku} {meter}");
        }
        for (sku, product) in [
            ("D8s v5 low priority", product),
            ("D8s v5", "Virtual Machines Dsv5 Series WINDOWS"),
        ] {
            let (spot, why) = taken(sku, "D8s v5", product);
            assert!(
                spot.is_empty() && why.len() == 1,
                "{sku} {product}: {why:?}"
            );
        }
    }
}
