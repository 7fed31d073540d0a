//! `sky catalog show`.

use super::cloud_terms;
use super::offer_table::{
    self, accelerator, fields, gib, machine_json, memory, offer_json, offer_table, pretty,
    table_text, vcpus,
};
use crate::catalog::query::{self, Count, Entry, Filter};
use crate::catalog::search::{self, Search};
use crate::catalog::{Accelerator, Catalog, CatalogError};
use crate::model::accelerator::count_text;
use crate::model::offer::COMMERCIAL;
use crate::model::{
    Bytes, Machine, Offer, Pattern, Place, Reach, ServiceNeed, UniformName, geography, uniform,
};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;

/// Arguments of `sky catalog show`.
#[derive(Debug, Default, Args)]
pub struct ShowArgs {
    /// A cloud (`aws`), a place (`aws:eu-west-1`), an instance type, an accelerator, a service, or
    /// a uniform name (`sky:aws:eu-west-1:vm/m5.large?spot`)
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog show`.
pub fn show(catalog: &Catalog, args: &ShowArgs) -> Result<String, CatalogError> {
    let Some(name) = &args.name else {
        return Ok(summary_text(catalog, args.json));
    };
    if name.starts_with(uniform::SCHEME) {
        return offer_text(catalog, name, args.json);
    }
    if search::has_service(catalog, name) {
        return Ok(service_text(catalog, name, args.json));
    }
    match query::look_up(catalog, name) {
        Some(Entry::Place(place)) => Ok(place_text(catalog, place, args.json)),
        Some(Entry::Cloud(cloud, count)) => Ok(cloud_text(catalog, cloud, count, args.json)),
        Some(Entry::Machines(machines)) => machines_text(catalog, &machines, args.json),
        Some(Entry::Accelerator(name, row)) => Ok(accelerator_text(catalog, name, row, args.json)),
        None => {
            let hint = match query::nearest(catalog, name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`sky catalog list` has the names".to_owned(),
            };
            Err(CatalogError::file(
                name,
                "no cloud, place, instance type, accelerator or service has this name",
                hint,
            ))
        }
    }
}

/// All offers of a service.
fn service_text(catalog: &Catalog, name: &str, as_json: bool) -> String {
    let service_search = Search {
        service: ServiceNeed::parse(name).ok(),
        ..Search::default()
    };
    let (offers, lapsed) = (
        search::find(catalog, &service_search),
        search::lapsed(catalog, &service_search),
    );
    if as_json {
        let mut offer_rows: Vec<Value> = offers
            .iter()
            .map(|offer| offer_json(catalog, offer))
            .collect();
        // Those that ended say so: `held_until`.
        offer_rows.extend(offer_table::lapsed_json(catalog, &lapsed));
        return pretty(&Value::Array(offer_rows));
    }
    let title = fields(&[("service", name.to_owned())]);
    format!(
        "{title}\n{}{}",
        offer_table(catalog, &offers),
        offer_table::lapsed_text(catalog, &lapsed)
    )
}

/// One place: where it is, who operates it, what it offers, and what leads out of it.
fn place_text(catalog: &Catalog, place: &Place, as_json: bool) -> String {
    let exact_filter = Filter {
        place: Some(Pattern(place.name.to_string())),
        ..Filter::default()
    };
    let (on_demand, spot) = offers_and_lapsed(catalog, &exact_filter);
    let lapsed_offers = lapsed_at(catalog, |offer| catalog.place(offer).name == place.name);
    let country = place.country.as_deref().unwrap_or("unknown");
    let reach_word = reach_words(place.cloud_act);
    if as_json {
        return pretty(&json!({
            "place": place.name, "country": place.country, "location": place.location,
            "operator": place.operator, "us_cloud_act": reach_word, "class": place.class,
            "blocs": blocs_of_place(place), "parent": place.parent, "parent_country": place.parent_country,
            "certifications": place.certifications,
            "on_demand_offers": on_demand.len(), "spot_offers": spot.len(),
            "lapsed_offers": lapsed_offers.len(),
            "terms": cloud_terms::terms_json(catalog, &place.name.cloud),
            "throughput": cloud_terms::throughput_json(&cloud_terms::throughput(catalog, place)),
        }));
    }
    let mut place_lines = vec![
        ("place", place.name.to_string()),
        ("country", country_text(country, place)),
        ("location", place.location.clone()),
        ("operator", operator_text(place)),
        ("US CLOUD Act", reach_word.to_owned()),
    ];
    place_lines.extend(class_text(place).map(|text| ("class", text)));
    if !place.certifications.is_empty() {
        let schemes: Vec<&str> = place.certifications.iter().map(String::as_str).collect();
        place_lines.push(("certified", schemes.join(", ")));
    }
    place_lines.push((
        "offers",
        format!("{} on demand, {} spot", on_demand.len(), spot.len()),
    ));
    if !on_demand.is_empty() {
        place_lines.extend(cloud_terms::terms_lines(catalog, &place.name.cloud));
    }
    place_lines.extend(cloud_terms::round_trips(catalog, place).map(|text| ("round trips", text)));
    let mut text = fields(&place_lines);
    if let (Some(id), false) = (catalog.place_id(&place.name), on_demand.is_empty()) {
        text.push_str(&egress_lines(catalog, id));
        text.push_str(&fields(&cloud_terms::throughput_lines(
            &cloud_terms::throughput(catalog, place),
        )));
    }
    text.push_str(&offer_table::lapsed_text(catalog, &lapsed_offers));
    text
}

/// One accelerator: its names, what it can do, and the cheapest offers of it.
fn accelerator_text(catalog: &Catalog, name: &str, row: &Accelerator, as_json: bool) -> String {
    let exact_filter = Filter {
        accelerator: Some(name.to_owned()),
        ..Filter::default()
    };
    let (on_demand, spot) = offers_and_lapsed(catalog, &exact_filter);
    if as_json {
        return pretty(&json!({
            "accelerator": name, "aliases": row.aliases, "kinds": row.kinds, "boards": boards_of(catalog, name),
            "dense_gigaflops": row.gigaflops,
            "memory_bytes": (row.memory.0 > 0).then_some(row.memory.0), "interconnect": row.interconnect,
            "topology": row.topology, "frameworks": row.frameworks,
            "on_demand_offers": on_demand.len(), "spot_offers": spot.len(),
            "cheapest": on_demand.first().map(|offer| offer_json(catalog, offer)),
        }));
    }
    let mut card_lines = accelerator_lines(catalog, name, row);
    card_lines.push((
        "offers",
        format!("{} on demand, {} spot", on_demand.len(), spot.len()),
    ));
    let mut text = fields(&card_lines);
    text.push_str("\nThe cheapest:\n");
    text.push_str(&offer_table(catalog, &on_demand[..on_demand.len().min(5)]));
    text
}

/// What is known of an accelerator, a title and a text for each line.
fn accelerator_lines(
    catalog: &Catalog,
    name: &str,
    row: &Accelerator,
) -> Vec<(&'static str, String)> {
    let rates: Vec<String> = row
        .gigaflops
        .iter()
        .map(|(precision, rate)| {
            format!(
                "{precision} {}",
                count_text(u32::try_from(*rate).unwrap_or(u32::MAX))
            )
        })
        .collect();
    let mut card_lines = vec![("accelerator", name.to_owned())];
    if !row.aliases.is_empty() {
        card_lines.push(("also called", row.aliases.join(", ")));
    }
    if !row.kinds.is_empty() {
        card_lines.push(("is also a", row.kinds.join(", ")));
    }
    let boards = boards_of(catalog, name);
    if !boards.is_empty() {
        card_lines.push(("boards", boards.join(", ")));
    }
    card_lines.push((
        "dense TFLOPS",
        if rates.is_empty() {
            "not known".to_owned()
        } else {
            rates.join(", ")
        },
    ));
    card_lines.push(("memory", gib(row.memory)));
    for (title, text) in [
        ("interconnect", &row.interconnect),
        ("topology", &row.topology),
    ] {
        if !text.is_empty() {
            card_lines.push((title, text.clone()));
        }
    }
    if !row.frameworks.is_empty() {
        card_lines.push(("frameworks", row.frameworks.join(", ")));
    }
    card_lines
}

/// The accelerators that are of a kind.
fn boards_of<'a>(catalog: &'a Catalog, kind: &str) -> Vec<&'a str> {
    let of_kind = catalog
        .accelerators
        .iter()
        .filter(|(_, row)| row.kinds.iter().any(|name| name == kind));
    of_kind.map(|(name, _)| name.as_str()).collect()
}

/// One offer, by its uniform name.
fn offer_text(catalog: &Catalog, name: &str, as_json: bool) -> Result<String, CatalogError> {
    let fault = |message: String, hint: String| CatalogError::file(name, message, hint);
    let parsed =
        UniformName::parse(name).map_err(|error| fault(error.to_string(), String::new()))?;
    let Some(offer) = query::named(catalog, &parsed) else {
        if let Some(lapsed) = query::named_lapsed(catalog, &parsed) {
            let (day, rate) = (catalog.held_until(lapsed), lapsed.rate);
            let message = format!(
                "this offer held until {day} only, at {rate}{}",
                catalog.machine(lapsed).unit().after_price()
            );
            let hint = format!(
                "the catalog has prices of {}: register a newer file of who offers it",
                catalog.date
            );
            return Err(fault(message, hint));
        }
        let place = parsed.place.to_string();
        let place_known = catalog.place_id(&parsed.place).is_some();
        let hint = match query::nearest(catalog, &place).filter(|_| !place_known) {
            Some(near) => format!("the catalog has no place `{place}`; did you mean `{near}`?"),
            None if !place_known => format!("the catalog has no place `{place}`"),
            None => format!("`sky catalog list --place {place} --limit 0` has the offers there"),
        };
        return Err(fault("the catalog has no such offer".to_owned(), hint));
    };
    if as_json {
        return Ok(pretty(&offer_json(catalog, offer)));
    }
    let machine = catalog.machine(offer);
    let source = catalog.sources.get(usize::from(offer.source));
    let mut offer_lines = vec![
        ("name", name.to_owned()),
        ("place", offer_place(catalog, offer)),
        ("instance type", machine.instance_type.clone()),
        ("vCPUs", vcpus(machine)),
        ("memory", memory(machine)),
    ];
    if machine.accelerator.is_some() {
        offer_lines.push(("accelerator", accelerator(machine)));
    }
    offer_lines.push(("purchase", offer.purchase.to_string()));
    offer_lines.push((
        "price",
        format!("{}{}", offer.rate, machine.unit().after_price()),
    ));
    offer_lines
        .extend(source.map(|source| ("as of", format!("{}, {}", source.date, source.about))));
    if offer.estimated {
        let text =
            "estimated: scaled from that day by how the price of the type changed since".to_owned();
        offer_lines.push(("price is", text));
    }
    offer_lines.extend(
        catalog
            .retires(offer)
            .map(|retirement| ("retires", retirement.day.clone())),
    );
    Ok(fields(&offer_lines))
}

fn offer_place(catalog: &Catalog, offer: &Offer) -> String {
    let place = catalog.place(offer);
    format!(
        "{} ({})",
        place.name,
        place.country.as_deref().unwrap_or("country unknown")
    )
}

/// Offers that have ended.
fn lapsed_at(catalog: &Catalog, is_wanted: impl Fn(&Offer) -> bool) -> Vec<&Offer> {
    catalog
        .lapsed
        .iter()
        .filter(|offer| is_wanted(offer))
        .collect()
}

fn cloud_text(catalog: &Catalog, cloud: &str, count: Count, as_json: bool) -> String {
    let lapsed_offers = lapsed_at(catalog, |offer| catalog.place(offer).name.cloud == cloud);
    if as_json {
        return pretty(&json!({
            "cloud": cloud, "places": count.places, "instance_types": count.machines,
            "on_demand_offers": count.on_demand, "spot_offers": count.spot, "service_offers": count.services,
            "lapsed_offers": lapsed_offers.len(), "terms": cloud_terms::terms_json(catalog, cloud),
        }));
    }
    let mut cloud_lines = vec![
        ("cloud", cloud.to_owned()),
        ("places", count.places.to_string()),
        ("instance types", count.machines.to_string()),
        (
            "offers",
            format!("{} on demand, {} spot", count.on_demand, count.spot),
        ),
    ];
    if count.services > 0 {
        cloud_lines.push(("services", count.services.to_string()));
    }
    cloud_lines.extend(cloud_terms::terms_lines(catalog, cloud));
    fields(&cloud_lines) + &offer_table::lapsed_text(catalog, &lapsed_offers)
}

fn offers_and_lapsed<'a>(
    catalog: &'a Catalog,
    filter: &Filter,
) -> (Vec<&'a Offer>, Vec<&'a Offer>) {
    (
        query::find(catalog, filter),
        query::find(
            catalog,
            &Filter {
                spot: true,
                ..filter.clone()
            },
        ),
    )
}

fn machines_text(
    catalog: &Catalog,
    machines: &[&Machine],
    as_json: bool,
) -> Result<String, CatalogError> {
    let mut text = String::new();
    let mut values = Vec::new();
    for machine in machines {
        let exact_filter = Filter {
            cloud: Some(Pattern(machine.cloud.clone())),
            instance_type: Some(Pattern(machine.instance_type.clone())),
            ..Filter::default()
        };
        let (mut offers, spot) = offers_and_lapsed(catalog, &exact_filter);
        offers.extend(spot);
        let lapsed_offers = query::lapsed(catalog, &exact_filter);
        if as_json {
            let mut machine_value = machine_json(machine);
            machine_value["lapsed"] =
                Value::Array(offer_table::lapsed_json(catalog, &lapsed_offers));
            machine_value["offers"] = offers
                .iter()
                .map(|offer| offer_json(catalog, offer))
                .collect();
            values.push(machine_value);
            continue;
        }
        text.push_str(&fields(&[
            ("instance type", machine.instance_type.clone()),
            ("cloud", machine.cloud.clone()),
            ("vCPUs", offer_table::sustained_vcpus(machine)),
            ("memory", memory(machine)),
            ("accelerator", accelerator(machine)),
            (
                "architecture",
                if machine.arch.is_empty() {
                    "unknown".to_owned()
                } else {
                    machine.arch.clone()
                },
            ),
        ]));
        text.push('\n');
        text.push_str(&offer_table(catalog, &offers));
        text.push_str(&offer_table::lapsed_text(catalog, &lapsed_offers));
        text.push_str(&retired_text(catalog, machine));
    }
    Ok(if as_json {
        pretty(&Value::Array(values))
    } else {
        text
    })
}

/// Says that a machine type is retired, where its prices would stand.
fn retired_text(catalog: &Catalog, machine: &Machine) -> String {
    let of_type = |offer: &&Offer| std::ptr::eq(catalog.machine(offer), machine);
    let mut days: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for retirement in catalog
        .retired
        .iter()
        .filter(of_type)
        .filter_map(|offer| catalog.retires(offer))
    {
        *days.entry(&retirement.day).or_default() += 1;
    }
    let retired_line = |(day, offers): (&str, usize)| {
        let offers = if offers == 1 {
            "1 offer is".to_owned()
        } else {
            format!("{offers} offers are")
        };
        format!("{offers} not there any more: the cloud retired the type on {day}.\n")
    };
    days.into_iter().map(retired_line).collect()
}

fn summary_text(catalog: &Catalog, as_json: bool) -> String {
    let catalog_counts = query::counts(catalog);
    if as_json {
        let clouds: serde_json::Map<String, Value> = catalog_counts
            .iter()
            .map(|(cloud, count)| {
                let counts_value = json!({
                    "places": count.places, "instance_types": count.machines,
                    "on_demand": count.on_demand, "spot": count.spot,
                });
                ((*cloud).to_owned(), counts_value)
            })
            .collect();
        let sources: Vec<Value> = catalog
            .sources
            .iter()
            .map(|source| json!({ "id": source.id, "date": source.date, "about": source.about, "url": source.url }))
            .collect();
        let summary_value = json!({ "digest": catalog.digest, "date": catalog.date, "clouds": clouds, "sources": sources });
        return pretty(&summary_value);
    }
    let mut table = offer_table::new_table(&["CLOUD", "PLACES", "TYPES", "ON DEMAND", "SPOT"]);
    for (cloud, count) in &catalog_counts {
        let figures = [count.places, count.machines, count.on_demand, count.spot]
            .map(|figure| figure.to_string());
        table.add_row(std::iter::once((*cloud).to_owned()).chain(figures));
    }
    offer_table::align_right(&mut table, &[1, 2, 3, 4]);
    let mut text = fields(&[
        ("digest", catalog.digest.clone()),
        ("newest price", catalog.date.clone()),
    ]);
    let _ = writeln!(text, "\n{}\nSources:", table_text(&table));
    for source in &catalog.sources {
        let _ = writeln!(text, "  {}  {}: {}", source.date, source.id, source.about);
    }
    text
}

/// The prices of the routes out of a place: to the other places of its cloud, and to other clouds.
fn egress_lines(catalog: &Catalog, from: u32) -> String {
    let cloud = &catalog.places[from as usize].name.cloud;
    let mut range = [None, None];
    for (place, to) in catalog.places.iter().zip(0_u32..) {
        if to == from || place.name.cloud == "local" {
            continue;
        }
        let Some(egress) = catalog.network.egress(from, to, Bytes(1_000_000_000)) else {
            continue;
        };
        let (low, high) = range[usize::from(place.name.cloud != *cloud)]
            .get_or_insert((egress.last_rate, egress.last_rate));
        *low = egress.last_rate.min(*low);
        *high = egress.last_rate.max(*high);
    }
    let mut text = String::new();
    for (title, range) in ["egress inside", "egress outside"].into_iter().zip(range) {
        let egress_value = match range {
            None => "unknown: no plan moves data this way".to_owned(),
            Some((low, high)) if low == high => format!("{low} per GB"),
            Some((low, high)) => format!("{low} to {high} per GB"),
        };
        text.push_str(&fields(&[(title, egress_value)]));
    }
    text
}

/// What is special about a place, if anything.
fn class_text(place: &Place) -> Option<String> {
    match place.partition() {
        "" => (place.class != COMMERCIAL).then(|| place.class.clone()),
        class => Some(format!(
            "{class}, for policies with `[partitions] allow = [\"{class}\"]` only"
        )),
    }
}

/// The blocs that a place's country is of.
fn blocs_of_place(place: &Place) -> Vec<&'static str> {
    let is_inside = |bloc: &&'static str| {
        geography::countries(bloc).is_some_and(|list| {
            list.iter()
                .any(|one| Some(*one) == place.country.as_deref())
        })
    };
    geography::blocs().filter(is_inside).collect()
}

/// `DE (EU, EEA)`.
fn country_text(country: &str, place: &Place) -> String {
    let blocs = blocs_of_place(place);
    if blocs.is_empty() {
        country.to_owned()
    } else {
        format!("{country} ({})", blocs.join(", "))
    }
}

/// `Amazon Web Services, of Amazon.com Inc. (US)`.
fn operator_text(place: &Place) -> String {
    let country = place
        .parent_country
        .as_ref()
        .map_or(String::new(), |country| format!(" ({country})"));
    match place.parent.as_str() {
        "" => place.operator.clone(),
        parent if parent == place.operator => format!("{parent}{country}"),
        parent => format!("{}, of {parent}{country}", place.operator),
    }
}

fn reach_words(reach: Reach) -> &'static str {
    match reach {
        Reach::No => "no",
        Reach::Yes => "yes",
        Reach::Contested => "contested",
        Reach::Unknown => "unknown",
    }
}
