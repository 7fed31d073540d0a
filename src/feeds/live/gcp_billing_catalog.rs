//! GCP's Cloud Billing Catalog API: a key is needed, and prices are those of parts.
//! <https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list>
//!
//! A machine's price is its vCPUs and its memory by the rates of its family, plus its GPUs and the
//! local disks that come with it. What to add up is said by the catalog's machines. SKUs are told
//! apart by their descriptions; there is no other mark.

use super::Fault;
use super::endpoints::below;
use super::http_client::{HttpClient, KEY_HEADER};
use super::paged_list::{self, PagedList};
use super::price_quotes::{PriceQuotes, day_of};
use super::source_answer::AnswerData;
use super::source_request::SourceRequest;
use crate::catalog::draft::MachineRow;
use crate::model::units::div_half_even;
use jiff::civil::Date;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Compute Engine, and Cloud TPU: v2 to v4 have a service of their own.
const SERVICES: [&str; 2] = ["6F81-5844-456A", "E000-3F24-B8AA"];

/// Local disks are priced by the month; GCP counts 730 hours.
const HOURS_PER_MONTH: i128 = 730;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    /// Items as they are: one that is not as the others must not spoil the list.
    #[serde(default)]
    skus: Vec<serde_json::Value>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sku {
    description: String,
    category: Category,
    service_regions: Vec<String>,
    pricing_info: Vec<Pricing>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Category {
    resource_family: String,
    usage_type: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Pricing {
    effective_time: String,
    pricing_expression: Expression,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Expression {
    usage_unit: String,
    tiered_rates: Vec<Tier>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tier {
    unit_price: Money,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Money {
    currency_code: String,
    /// Whole dollars, as text.
    units: Option<String>,
    nanos: Option<i64>,
}

/// What a rate is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A vCPU of a family.
    Core(String),
    /// A GiB of a family.
    Ram(String),
    /// A card.
    Gpu(&'static str),
    /// TPUs of a generation; in pods or alone.
    Tpu(&'static str, bool),
    /// A GiB of local disk for a month.
    Disk,
}

/// Nano-USD per hour (of disks: per month), by part, spot and region.
type Rates = BTreeMap<(Part, bool, String), i64>;

pub(super) async fn fetch(http: &HttpClient, request: &SourceRequest) -> Result<AnswerData, Fault> {
    let Some(key) = &request.gcp_key else {
        let way_out = "set SKY_GCP_API_KEY or GOOGLE_API_KEY: console.cloud.google.com/apis/credentials makes one";
        return Ok(AnswerData::skip(format!("it needs a key: {way_out}")));
    };
    let key_header = HeaderValue::from_str(key)
        .map_err(|_| Fault("the key has letters that no key has".to_owned()))?;
    let headers = HeaderMap::from_iter([(HeaderName::from_static(KEY_HEADER), key_header)]);
    let mut lists = Vec::new();
    for service in SERVICES {
        lists.push(fetch_list(http, request, service, &headers).await?);
    }
    let day = lists
        .iter()
        .filter_map(|pages| pages.day)
        .min()
        .unwrap_or_else(crate::util::clock::today);
    let about_source = "GCP Cloud Billing Catalog: machines, GPUs and TPUs added up from the prices of their parts";
    let mut quotes = PriceQuotes::new(
        "gcp",
        "gcp-billing",
        day,
        about_source,
        &request.endpoints.gcp,
    );
    let mut rates = Rates::new();
    for body in lists.iter().flat_map(PagedList::bodies) {
        let page: Page = serde_json::from_slice(&body?)
            .map_err(|error| Fault(format!("a kept page is broken: {error}")))?;
        for sku in page.skus {
            match Sku::deserialize(sku) {
                Ok(sku) => take_sku(&sku, &mut rates, &mut quotes),
                Err(_) => quotes.leave("not of the form of the others"),
            }
        }
    }
    // Where no part has a price, the reason is why the parts have none.
    if !rates.is_empty() {
        add_up_machines(&rates, &request.machines, &mut quotes);
    }
    let mut answer_data = AnswerData::quotes(quotes);
    answer_data.pages = lists;
    Ok(answer_data)
}

async fn fetch_list(
    http: &HttpClient,
    request: &SourceRequest,
    service: &str,
    headers: &HeaderMap,
) -> Result<PagedList, Fault> {
    let mut first_page = below(&request.endpoints.gcp, &format!("{service}/skus"));
    first_page.set_query(Some("currencyCode=USD&pageSize=5000"));
    let next_of_page = |body: &[u8]| -> Result<Option<Url>, Fault> {
        let page: Page = serde_json::from_slice(body)
            .map_err(|error| Fault(format!("this is not a list of SKUs: {error}")))?;
        Ok((!page.next_page_token.is_empty()).then(|| {
            let mut url = first_page.clone();
            url.query_pairs_mut()
                .append_pair("pageToken", &page.next_page_token);
            url
        }))
    };
    paged_list::fetch(http, "gcp", &first_page, headers, next_of_page).await
}

/// Takes the price of a SKU, or counts why it is left out.
fn take_sku(sku: &Sku, rates: &mut Rates, quotes: &mut PriceQuotes) {
    let (part, spot, nano) = match priced_part(sku, quotes.day) {
        Ok(priced) => priced,
        Err(LeftOut { why, word: None }) => return quotes.leave(why),
        Err(LeftOut {
            why,
            word: Some(word),
        }) => return quotes.leave_of(why, word),
    };
    for region in &sku.service_regions {
        let price_key = (part.clone(), spot, region.clone());
        match rates.get_mut(&price_key) {
            None => {
                rates.insert(price_key, nano);
            }
            Some(old) => {
                // Of two the dearer, so that no plan costs more than it says.
                *old = nano.max(*old);
                quotes.leave("another SKU of the same part");
            }
        }
    }
}

/// Why a SKU is left out, and the word of the list that says so.
struct LeftOut<'s> {
    why: &'static str,
    word: Option<&'s str>,
}

impl<'s> LeftOut<'s> {
    fn because(why: &'static str) -> Self {
        Self { why, word: None }
    }

    fn because_of(why: &'static str, word: &'s str) -> Self {
        let word = match word {
            "" => "it does not say",
            word => word,
        };
        Self {
            why,
            word: Some(word),
        }
    }
}

/// Returns what a SKU is a price of, whether it is a spot price, and the price in nano-USD.
fn priced_part(sku: &Sku, today: Date) -> Result<(Part, bool, i64), LeftOut<'_>> {
    is_by_the_hour_and_for_all(sku)?;
    let text = sku.description.as_str();
    let spot = match sku.category.usage_type.as_str() {
        "Preemptible" => true,
        // TPUs that can be taken away are told by their description only.
        "OnDemand" => text.contains("Preemptible"),
        other => return Err(LeftOut::because_of("another way of paying", other)),
    };
    let Some(part) = part_of(text) else {
        return Err(LeftOut::because("no part of a machine of the catalog"));
    };
    let unit = match part {
        Part::Ram(_) => "GiBy.h",
        Part::Disk => "GiBy.mo",
        _ => "h",
    };
    let nano_price = price_of(newest_in_force(sku, today)?, unit)?;
    Ok((part, spot, nano_price))
}

/// Leaves out what is not a part of a machine, and prices for committed, reserved or dedicated use.
fn is_by_the_hour_and_for_all(sku: &Sku) -> Result<(), LeftOut<'_>> {
    let text = sku.description.as_str();
    let family = sku.category.resource_family.as_str();
    if !matches!(family, "Compute" | "Storage") {
        return Err(LeftOut {
            why: "no machine",
            word: Some(family),
        });
    }
    if text.starts_with("Commitment") || sku.category.usage_type.starts_with("Commit") {
        return Err(LeftOut::because("committed use"));
    }
    let reserved = [
        "Reserved",
        "DWS",
        "Defined Duration",
        "Calendar Mode",
        "Flex Start",
    ];
    for (words, why) in [
        (&["Sole Tenancy"][..], "sole tenancy"),
        (&["Custom"], "custom sizes"),
        (&reserved, "reserved or for a fixed time"),
        (&["Premium"], "a premium on top of another price"),
    ] {
        if words.iter().any(|word| text.contains(word)) {
            return Err(LeftOut::because(why));
        }
    }
    Ok(())
}

/// Returns the newest price that is in force.
fn newest_in_force(sku: &Sku, today: Date) -> Result<&Pricing, LeftOut<'_>> {
    let in_force = |pricing: &&Pricing| {
        day_of(&pricing.effective_time).is_ok_and(|day| day.is_none_or(|day| day <= today))
    };
    let newest = sku
        .pricing_info
        .iter()
        .filter(in_force)
        .max_by_key(|pricing| pricing.effective_time.as_str());
    let mut days = sku
        .pricing_info
        .iter()
        .map(|pricing| day_of(&pricing.effective_time));
    newest.ok_or_else(|| {
        LeftOut::because(match days.find_map(Result::err) {
            Some(why) => why,
            None if sku.pricing_info.is_empty() => "no price",
            None => "not yet in force",
        })
    })
}

/// Returns the price of a unit in nano-USD.
fn price_of<'s>(pricing: &'s Pricing, unit: &str) -> Result<i64, LeftOut<'s>> {
    let expression = &pricing.pricing_expression;
    if expression.usage_unit != unit {
        let word = &expression.usage_unit;
        return Err(LeftOut::because_of("not by the hour", word));
    }
    let mut prices = expression.tiered_rates.iter().map(|tier| &tier.unit_price);
    if let Some(price) = prices.clone().find(|price| price.currency_code != "USD") {
        let word = &price.currency_code;
        return Err(LeftOut::because_of("not in US dollars", word));
    }
    // With several tiers the dearest: the first is often a free one that an account has once.
    match prices.by_ref().filter_map(nano_of).max() {
        None => Err(LeftOut::because("no price")),
        Some(..=0) => Err(LeftOut::because("a price of 0")),
        Some(nano) => Ok(nano),
    }
}

fn nano_of(price: &Money) -> Option<i64> {
    let units = match price.units.as_deref() {
        None | Some("") => 0,
        Some(text) => text.parse::<i64>().ok()?,
    };
    units
        .checked_mul(1_000_000_000)?
        .checked_add(price.nanos.unwrap_or(0))
}

/// GPUs by their descriptions.
const GPUS: &[(&str, &str)] = &[
    ("Tesla T4 GPU", "T4"),
    ("Tesla P4 GPU", "P4"),
    ("Tesla V100 GPU", "V100-SXM"),
    ("Tesla P100 GPU", "P100"),
    ("Tesla K80 GPU", "K80"),
    ("Tesla A100 GPU", "A100-SXM"),
    ("Tesla A100 80GB GPU", "A100-80GB-SXM"),
    ("L4 GPU", "L4"),
    ("H100 80GB GPU", "H100-SXM"),
    ("H100 80GB Mega GPU", "H100-MEGA"),
    ("H100 Mega 80GB GPU", "H100-MEGA"),
    ("H100 80GB Plus GPU", "H100-MEGA"),
    ("H200 141GB GPU", "H200-SXM"),
];

/// TPUs by their descriptions: generation.
const TPUS: &[(&str, &str)] = &[
    ("Tpu-v2", "v2"),
    ("Tpu-v3", "v3"),
    ("Tpu-v4", "v4"),
    ("TpuV5e", "v5litepod"),
    ("TpuV5p", "v5p"),
    ("TpuV6e", "v6e"),
];

/// What a SKU is a part of; none: nothing that the catalog has.
fn part_of(description: &str) -> Option<Part> {
    let text = description
        .trim_start_matches("Spot ")
        .trim_start_matches("Preemptible ");
    if text.starts_with("SSD backed Local Storage") {
        return Some(Part::Disk);
    }
    if let Some((_, generation)) = TPUS.iter().find(|(mark, _)| description.contains(mark)) {
        return Some(Part::Tpu(generation, description.contains("Pod")));
    }
    let family_text = text
        .split(" running in")
        .next()
        .unwrap_or(text)
        .split(" attached to")
        .next()
        .unwrap_or(text);
    let family_text = family_text.split(" in ").next().unwrap_or(family_text);
    if let Some((_, name)) = GPUS
        .iter()
        .find(|(mark, _)| family_text.trim_start_matches("Nvidia ") == *mark)
    {
        return Some(Part::Gpu(name));
    }
    let family_words: Vec<&str> = family_text
        .split_whitespace()
        .filter(|word| !["Instance", "AMD", "Arm", "Predefined", "Intel"].contains(word))
        .collect();
    let (family, kind) = match family_words.as_slice() {
        ["Compute", "optimized", kind] => ("c2".to_owned(), *kind),
        ["Memory-optimized", kind] => ("m1".to_owned(), *kind),
        [family, "Memory-optimized", kind] | [family, kind] => (family.to_ascii_lowercase(), *kind),
        _ => return None,
    };
    match kind {
        "Core" => Some(Part::Core(family)),
        "Ram" => Some(Part::Ram(family)),
        _ => None,
    }
}

/// Machines that share cores pay for these parts of one, in thousandths.
/// <https://cloud.google.com/compute/docs/general-purpose-machines#e2-shared-core>
const SHARED_CORE_MACHINES: &[(&str, i64)] =
    &[("e2-micro", 250), ("e2-small", 500), ("e2-medium", 1000)];

/// GiB of local disk that come with a machine and are paid for; none: no disks, or it is not known
/// how many. The sizes of c3 fit GCP's list of 2026-08: c3-standard-8-lssd is dearer than
/// c3-standard-8 by 750 GiB at $0.08 a month. Those of a2 and a3 are of
/// <https://cloud.google.com/compute/docs/accelerator-optimized-machines>, from general knowledge.
fn local_disk_gib(machine: &str, vcpus: u64, cards: u64) -> Option<i128> {
    if machine.starts_with("a2-ultragpu-") {
        return Some(i128::from(cards) * 375);
    }
    if machine.starts_with("a3-highgpu-") || machine.starts_with("a3-megagpu-") {
        return Some(i128::from(cards) * 750);
    }
    if !machine.ends_with("-lssd") {
        return (!machine.starts_with("z3-")
            && !machine.starts_with("a3-")
            && !machine.starts_with("a4-"))
        .then_some(0);
    }
    let sizes = [
        (4, 375),
        (8, 750),
        (22, 1500),
        (44, 3000),
        (88, 6000),
        (176, 12000),
    ];
    sizes
        .iter()
        .find(|(of, _)| machine.starts_with("c3-") && *of == vcpus)
        .map(|(_, size)| *size)
}

/// The prices of machines from those of their parts.
fn add_up_machines(
    rates: &Rates,
    machines: &BTreeMap<String, MachineRow>,
    quotes: &mut PriceQuotes,
) {
    let regions: std::collections::BTreeSet<&String> =
        rates.keys().map(|(_, _, region)| region).collect();
    for (name, row) in machines {
        let mut any_priced = false;
        for (region, spot) in regions
            .iter()
            .flat_map(|region| [(*region, false), (*region, true)])
        {
            let rate = |part: Part| rates.get(&(part, spot, region.clone())).copied();
            if let Some(nano) = machine_price(name, row, machines, &rate) {
                quotes.put(region, name, spot, nano, Default::default());
                any_priced = true;
            }
        }
        if !any_priced {
            quotes.leave_of(
                "the parts of the machine have no prices, or are not known",
                name,
            );
        }
    }
}

/// The price of a machine; none: a part of it has none.
fn machine_price(
    name: &str,
    row: &MachineRow,
    machines: &BTreeMap<String, MachineRow>,
    rate: &dyn Fn(Part) -> Option<i64>,
) -> Option<i64> {
    let total_price = match name.split_once('+') {
        Some((cards, host)) => {
            let host = host_price(host, machines.get(host)?, rate)?;
            // TPUs bring their hosts: a node with a host of one's own is not rented.
            if cards.starts_with("tpu-") {
                return None;
            }
            host.checked_add(gpu_price(row, rate)?)?
        }
        None if name.starts_with("tpu-") => tpu_price(name, rate)?,
        None => {
            let host = host_price(name, row, rate)?;
            if row.accelerator.is_some() {
                host.checked_add(gpu_price(row, rate)?)?
            } else {
                host
            }
        }
    };
    i64::try_from(total_price).ok()
}

fn host_price(name: &str, row: &MachineRow, rate: &dyn Fn(Part) -> Option<i64>) -> Option<i128> {
    let family = name.split('-').next()?;
    // These are not sold by cores and memory, or not by them alone.
    if matches!(family, "f1" | "g1" | "m2") || row.vcpu_thousandths == 0 || row.memory == 0 {
        return None;
    }
    let shared_core = SHARED_CORE_MACHINES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, thousandths)| i128::from(*thousandths));
    let cores = shared_core.unwrap_or(i128::from(row.vcpu_thousandths));
    let core = i128::from(rate(Part::Core(family.to_owned()))?);
    let ram = i128::from(rate(Part::Ram(family.to_owned()))?);
    let cards = row
        .accelerator
        .as_ref()
        .map_or(0, |(_, thousandths)| u64::from(thousandths / 1000));
    let disk = match local_disk_gib(name, row.vcpu_thousandths / 1000, cards)? {
        0 => 0,
        size => div_half_even(size * i128::from(rate(Part::Disk)?), HOURS_PER_MONTH),
    };
    Some(
        div_half_even(core * cores, 1000)
            + div_half_even(ram * i128::from(row.memory), 1 << 30)
            + disk,
    )
}

fn gpu_price(row: &MachineRow, rate: &dyn Fn(Part) -> Option<i64>) -> Option<i128> {
    let (name, thousandths) = row.accelerator.as_ref()?;
    // A list that names the board only by its kind means the only board that Google has of it.
    let (_, known) = GPUS
        .iter()
        .find(|(_, known)| known == name || known.strip_suffix("-SXM") == Some(name.as_str()))?;
    Some(div_half_even(
        i128::from(rate(Part::Gpu(known))?) * i128::from(*thousandths),
        1000,
    ))
}

/// `tpu-v3-8`: v2 to v4 are priced by eight cores, in pods if there are more (v4: always); later
/// ones by the chip, which has two cores in v5p.
fn tpu_price(name: &str, rate: &dyn Fn(Part) -> Option<i64>) -> Option<i128> {
    let (generation, size) = name.strip_prefix("tpu-")?.split_once('-')?;
    let (_, known) = TPUS.iter().find(|(_, known)| *known == generation)?;
    let slice_size: i128 = size.parse().ok()?;
    let early = matches!(*known, "v2" | "v3" | "v4");
    let pod = early && (slice_size > 8 || *known == "v4");
    let per = match *known {
        _ if early => 8,
        "v5p" => 2,
        _ => 1,
    };
    Some(div_half_even(
        i128::from(rate(Part::Tpu(known, pod))?) * slice_size,
        per,
    ))
}
