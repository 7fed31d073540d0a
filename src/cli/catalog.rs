//! `sky catalog list|show|import`.

use crate::catalog::query::{self, Entry, Filter};
use crate::catalog::source::{self, Options, Report};
use crate::catalog::{Catalog, CatalogError};
use crate::model::accelerator::count_text;
use crate::model::{AcceleratorNeed, Bytes, Machine, Offer, Pattern, Purchase, Reach, geography};
use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// List and show what clouds offer; import price lists into a catalog
#[derive(Debug, Args)]
pub struct CatalogArgs {
    /// Catalog folder [default: the one that sky was built with]
    #[arg(long, global = true, value_name = "DIR", env = "SKY_CATALOG")]
    pub catalog: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: CatalogVerb,
}

/// What to do with a catalog.
#[derive(Debug, Subcommand)]
pub enum CatalogVerb {
    /// List offers, the cheapest first
    List(ListArgs),
    /// Show a place, an instance type or an accelerator; without a name, what the catalog holds
    Show(ShowArgs),
    /// Read foreign price lists into a catalog folder
    Import(ImportArgs),
}

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
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sky catalog show`.
#[derive(Debug, Default, Args)]
pub struct ShowArgs {
    /// A place (`aws:eu-west-1`), an instance type or an accelerator
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

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

/// Runs the verb; what to print. `load` reads the catalog that the settings name: `import` needs
/// none.
pub fn run(args: &CatalogArgs, load: impl FnOnce() -> Result<Catalog, CatalogError>) -> Result<String, CatalogError> {
    match &args.verb {
        CatalogVerb::List(args) => list(&load()?, args),
        CatalogVerb::Show(args) => show(&load()?, args),
        CatalogVerb::Import(args) => import(args),
    }
}

/// `sky catalog list`.
pub fn list(catalog: &Catalog, args: &ListArgs) -> Result<String, CatalogError> {
    let filter = filter(catalog, args)?;
    let offers = query::find(catalog, &filter);
    let shown = if args.limit == 0 { offers.len() } else { args.limit.min(offers.len()) };
    if args.json {
        let rows: Vec<Value> = offers[..shown].iter().map(|offer| offer_json(catalog, offer)).collect();
        return Ok(pretty(&json!({ "offers": rows, "found": offers.len(), "catalog": catalog.digest })));
    }
    let mut text = offer_table(catalog, &offers[..shown]);
    let _ = match offers.len() {
        0 => writeln!(text, "No offer passes; the catalog has {}.", catalog.offers.len()),
        found if found > shown => writeln!(text, "{shown} of {found} offers; --limit 0 prints all."),
        1 => writeln!(text, "1 offer."),
        found => writeln!(text, "{found} offers."),
    };
    Ok(text)
}

fn filter(catalog: &Catalog, args: &ListArgs) -> Result<Filter, CatalogError> {
    let (mut accelerator, mut accelerator_count) = (None, None);
    if let Some(text) = &args.accelerator {
        let need =
            AcceleratorNeed::parse(text).map_err(|error| CatalogError::file("--accelerator", error.to_string(), ""))?;
        if catalog.accelerator_name(&need.name).is_none() {
            let near = query::nearest(catalog, &need.name);
            let hint = near.map_or(String::new(), |near| format!("did you mean `{near}`?"));
            return Err(CatalogError::file("--accelerator", format!("unknown accelerator `{}`", need.name), hint));
        }
        accelerator_count = text.contains(':').then_some(need.thousandths);
        accelerator = Some(need.name);
    }
    let mut countries = Vec::new();
    for name in &args.country {
        let known = geography::countries(name).ok_or_else(|| {
            let blocs: Vec<&str> = geography::blocs().collect();
            let hint = format!("write an ISO 3166 code such as DE, or one of {}", blocs.join(", "));
            CatalogError::file("--country", format!("unknown country `{name}`"), hint)
        })?;
        countries.extend(known.into_iter().map(str::to_owned));
    }
    let memory = args.min_memory.as_deref().map(Bytes::parse).transpose();
    let pattern = |text: &Option<String>| text.clone().map(Pattern);
    Ok(Filter {
        cloud: pattern(&args.cloud),
        place: pattern(&args.place),
        countries,
        accelerator,
        accelerator_count,
        instance_type: pattern(&args.instance_type),
        min_vcpus: u64::from(args.min_cpus) * 1000,
        min_memory: memory
            .map_err(|error| CatalogError::file("--min-memory", error.to_string(), ""))?
            .unwrap_or_default(),
        spot: args.spot,
    })
}

/// `sky catalog show`.
pub fn show(catalog: &Catalog, args: &ShowArgs) -> Result<String, CatalogError> {
    let Some(name) = &args.name else { return Ok(summary(catalog, args.json)) };
    match query::look_up(catalog, name) {
        Some(Entry::Place(place)) => {
            let exact = Filter { place: Some(Pattern(place.name.to_string())), ..Filter::default() };
            let (on_demand, spot) = both(catalog, &exact);
            let country = place.country.as_deref().unwrap_or("unknown");
            let reach = reach(place.cloud_act);
            if args.json {
                return Ok(pretty(&json!({
                    "place": place.name, "country": place.country, "location": place.location,
                    "operator": place.operator, "us_cloud_act": reach,
                    "on_demand_offers": on_demand.len(), "spot_offers": spot.len(),
                })));
            }
            let mut text = fields(&[
                ("place", place.name.to_string()),
                ("country", country.to_owned()),
                ("location", place.location.clone()),
                ("operator", place.operator.clone()),
                ("US CLOUD Act", reach.to_owned()),
                ("offers", format!("{} on demand, {} spot", on_demand.len(), spot.len())),
            ]);
            if let (Some(id), false) = (catalog.place_id(&place.name), on_demand.is_empty()) {
                text.push_str(&egress_lines(catalog, id));
            }
            Ok(text)
        }
        Some(Entry::Machines(machines)) => machines_text(catalog, &machines, args.json),
        Some(Entry::Accelerator(name, row)) => {
            let exact = Filter { accelerator: Some(name.to_owned()), ..Filter::default() };
            let (on_demand, spot) = both(catalog, &exact);
            if args.json {
                return Ok(pretty(&json!({
                    "accelerator": name, "aliases": row.aliases, "dense_gigaflops": row.gigaflops,
                    "on_demand_offers": on_demand.len(), "spot_offers": spot.len(),
                    "cheapest": on_demand.first().map(|offer| offer_json(catalog, offer)),
                })));
            }
            let rates: Vec<String> = row
                .gigaflops
                .iter()
                .map(|(precision, rate)| {
                    format!("{precision} {}", count_text(u32::try_from(*rate).unwrap_or(u32::MAX)))
                })
                .collect();
            let mut lines = vec![("accelerator", name.to_owned())];
            if !row.aliases.is_empty() {
                lines.push(("also called", row.aliases.join(", ")));
            }
            let rates = if rates.is_empty() { "not known".to_owned() } else { rates.join(", ") };
            lines.push(("dense TFLOPS", rates));
            lines.push(("offers", format!("{} on demand, {} spot", on_demand.len(), spot.len())));
            let mut text = fields(&lines);
            text.push_str("\nThe cheapest:\n");
            text.push_str(&offer_table(catalog, &on_demand[..on_demand.len().min(5)]));
            Ok(text)
        }
        None => {
            let hint = match query::nearest(catalog, name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`sky catalog list` has the names".to_owned(),
            };
            Err(CatalogError::file(name, "no place, instance type or accelerator has this name", hint))
        }
    }
}

fn both<'a>(catalog: &'a Catalog, filter: &Filter) -> (Vec<&'a Offer>, Vec<&'a Offer>) {
    (query::find(catalog, filter), query::find(catalog, &Filter { spot: true, ..filter.clone() }))
}

fn machines_text(catalog: &Catalog, machines: &[&Machine], as_json: bool) -> Result<String, CatalogError> {
    let mut text = String::new();
    let mut values = Vec::new();
    for machine in machines {
        let exact = Filter {
            cloud: Some(Pattern(machine.cloud.clone())),
            instance_type: Some(Pattern(machine.instance_type.clone())),
            ..Filter::default()
        };
        let (mut offers, spot) = both(catalog, &exact);
        offers.extend(spot);
        if as_json {
            let mut value = machine_json(machine);
            value["offers"] = offers.iter().map(|offer| offer_json(catalog, offer)).collect();
            values.push(value);
            continue;
        }
        text.push_str(&fields(&[
            ("instance type", machine.instance_type.clone()),
            ("cloud", machine.cloud.clone()),
            ("vCPUs", vcpus(machine)),
            ("memory", memory(machine)),
            ("accelerator", accelerator(machine)),
            ("architecture", if machine.arch.is_empty() { "unknown".to_owned() } else { machine.arch.clone() }),
        ]));
        text.push('\n');
        text.push_str(&offer_table(catalog, &offers));
    }
    Ok(if as_json { pretty(&Value::Array(values)) } else { text })
}

fn summary(catalog: &Catalog, as_json: bool) -> String {
    let counts = query::counts(catalog);
    if as_json {
        let clouds: serde_json::Map<String, Value> = counts
            .iter()
            .map(|(cloud, count)| {
                let value = json!({
                    "places": count.places, "instance_types": count.machines,
                    "on_demand": count.on_demand, "spot": count.spot,
                });
                ((*cloud).to_owned(), value)
            })
            .collect();
        let sources: Vec<Value> = catalog
            .sources
            .iter()
            .map(|source| json!({ "id": source.id, "date": source.date, "about": source.about, "url": source.url }))
            .collect();
        let value = json!({ "digest": catalog.digest, "date": catalog.date, "clouds": clouds, "sources": sources });
        return pretty(&value);
    }
    let mut table = table(&["CLOUD", "PLACES", "TYPES", "ON DEMAND", "SPOT"]);
    for (cloud, count) in &counts {
        let figures = [count.places, count.machines, count.on_demand, count.spot].map(|figure| figure.to_string());
        table.add_row(std::iter::once((*cloud).to_owned()).chain(figures));
    }
    right(&mut table, &[1, 2, 3, 4]);
    let mut text = fields(&[("digest", catalog.digest.clone()), ("newest price", catalog.date.clone())]);
    let _ = writeln!(text, "\n{}\nSources:", table_text(&table));
    for source in &catalog.sources {
        let _ = writeln!(text, "  {}  {}: {}", source.date, source.id, source.about);
    }
    text
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

/// The prices of the ways out of a place: to the other places of its cloud, and to other clouds.
fn egress_lines(catalog: &Catalog, from: u32) -> String {
    let cloud = &catalog.places[from as usize].name.cloud;
    let mut range = [None, None];
    for (place, to) in catalog.places.iter().zip(0_u32..) {
        if to == from || place.name.cloud == "local" {
            continue;
        }
        let Some(egress) = catalog.network.egress(from, to, Bytes(1_000_000_000)) else { continue };
        let (low, high) =
            range[usize::from(place.name.cloud != *cloud)].get_or_insert((egress.last_rate, egress.last_rate));
        *low = egress.last_rate.min(*low);
        *high = egress.last_rate.max(*high);
    }
    let mut text = String::new();
    for (title, range) in ["egress inside", "egress outside"].into_iter().zip(range) {
        let value = match range {
            None => "unknown: no plan moves data this way".to_owned(),
            Some((low, high)) if low == high => format!("{low} per GB"),
            Some((low, high)) => format!("{low} to {high} per GB"),
        };
        text.push_str(&fields(&[(title, value)]));
    }
    text
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::No => "no",
        Reach::Yes => "yes",
        Reach::Contested => "contested",
        Reach::Unknown => "unknown",
    }
}

fn vcpus(machine: &Machine) -> String {
    match u32::try_from(machine.vcpu_thousandths) {
        Ok(0) | Err(_) => "?".to_owned(),
        Ok(thousandths) => count_text(thousandths),
    }
}

fn memory(machine: &Machine) -> String {
    let hundredths = machine.memory.0.saturating_mul(100) >> 30;
    match hundredths {
        0 => "?".to_owned(),
        _ => {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

fn accelerator(machine: &Machine) -> String {
    machine.accelerator.as_ref().map_or(String::new(), |(name, thousandths)| {
        AcceleratorNeed { name: name.clone(), thousandths: *thousandths }.to_string()
    })
}

fn machine_json(machine: &Machine) -> Value {
    json!({
        "cloud": machine.cloud, "instance_type": machine.instance_type,
        "vcpu_thousandths": machine.vcpu_thousandths, "memory_bytes": machine.memory.0,
        "accelerator": machine.accelerator.as_ref().map(|_| accelerator(machine)), "arch": machine.arch,
    })
}

fn offer_json(catalog: &Catalog, offer: &Offer) -> Value {
    let source = catalog.sources.get(usize::from(offer.source));
    let mut value = machine_json(catalog.machine(offer));
    value["place"] = json!(catalog.place(offer).name);
    value["country"] = json!(catalog.place(offer).country);
    value["purchase"] = json!(offer.purchase);
    value["nano_usd_per_hour"] = json!(offer.rate.0);
    value["tee"] = offer.tee.iter().map(|tee| json!(tee)).collect();
    value["source"] = json!(source.map(|source| &source.id));
    value["date"] = json!(source.map(|source| &source.date));
    value
}

fn offer_table(catalog: &Catalog, offers: &[&Offer]) -> String {
    if offers.is_empty() {
        return String::new();
    }
    let mut table = table(&[
        "PLACE",
        "COUNTRY",
        "INSTANCE TYPE",
        "VCPUS",
        "MEMORY",
        "ACCELERATOR",
        "TEE",
        "PURCHASE",
        "USD/H",
        "AS OF",
    ]);
    for offer in offers {
        let (place, machine) = (catalog.place(offer), catalog.machine(offer));
        let tee: Vec<&str> = offer.tee.iter().map(|tee| tee.name()).collect();
        table.add_row([
            place.name.to_string(),
            place.country.clone().unwrap_or_else(|| "?".to_owned()),
            machine.instance_type.clone(),
            vcpus(machine),
            memory(machine),
            accelerator(machine),
            tee.join(" "),
            offer.purchase.to_string(),
            offer.rate.to_string(),
            catalog.sources.get(usize::from(offer.source)).map_or(String::new(), |source| source.date.clone()),
        ]);
    }
    right(&mut table, &[3, 4, 8]);
    if offers.iter().all(|offer| offer.tee == Default::default()) {
        hide(&mut table, 6);
    }
    if offers.iter().all(|offer| offer.purchase == Purchase::OnDemand) {
        hide(&mut table, 7);
    }
    table_text(&table)
}

/// The table's lines, without the padding of the last column.
fn table_text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn hide(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(comfy_table::ColumnConstraint::Hidden);
    }
}

/// Names and values, one a line.
fn fields(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(name, value)| format!("{name:<15} {value}").trim_end().to_owned() + "\n").collect()
}

fn pretty(value: &Value) -> String {
    crate::model::canonical::to_text(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
