//! The file that a cloud joins with, as it is written.

use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::model::{Tee, geography, offer, service};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

/// The version of the form that this program reads.
pub const FORMAT: u32 = 1;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    #[serde(rename = "format")]
    pub _format: u32,
    /// The short name, as in `aws`.
    pub cloud: Spanned<String>,
    /// Who that is, for people.
    pub about: String,
    /// The day of the figures.
    pub date: Spanned<String>,
    pub valid_from: Option<Spanned<String>>,
    /// The last day that the file holds.
    pub valid_until: Spanned<String>,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub terms: Terms,
    /// By region.
    pub places: BTreeMap<Spanned<String>, Place>,
    /// By instance type.
    #[serde(default)]
    pub machines: BTreeMap<Spanned<String>, Machine>,
    #[serde(default)]
    pub prices: Vec<Price>,
    #[serde(default)]
    pub services: Vec<Service>,
    #[serde(default)]
    pub egress: Vec<Egress>,
    #[serde(default)]
    pub throughput: Vec<Throughput>,
    #[serde(default)]
    pub quotas: Vec<Quota>,
    #[serde(default)]
    pub discounts: Vec<Discount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub increment_s: Option<Number>,
    pub minimum_s: Option<Number>,
    pub boot_s: Option<Number>,
    pub free_egress_gb: Option<Number>,
    pub storage_usd_per_gb_month: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub country: Option<Spanned<String>>,
    #[serde(default)]
    pub location: String,
    #[serde(default)]
    pub operator: String,
    #[serde(default)]
    pub parent: String,
    pub parent_country: Option<Spanned<String>>,
    pub us_cloud_act: Option<Spanned<String>>,
    pub class: Option<Spanned<String>>,
    #[serde(default)]
    pub evidence: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub vcpus: Option<Number>,
    pub memory_gib: Option<Number>,
    pub accelerator: Option<String>,
    pub count: Option<Number>,
    pub arch: Option<Spanned<String>>,
    #[serde(default)]
    pub tee: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Regions; `*` is all of them.
    pub places: Vec<Spanned<String>>,
    pub instance_type: Spanned<String>,
    /// US dollars an hour.
    pub on_demand: Option<Number>,
    pub spot: Option<Number>,
    /// Share of spot machines interrupted in a month.
    pub interrupted_percent: Option<Number>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub places: Vec<Spanned<String>>,
    pub service: Spanned<String>,
    pub version: Option<Spanned<String>>,
    #[serde(default)]
    pub product: String,
    pub unit: Spanned<String>,
    /// US dollars a unit.
    pub price: Number,
    pub vcpus: Option<Number>,
    pub memory_gib: Option<Number>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

/// From places of this cloud.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    pub from: Spanned<String>,
    /// `internet`, a region of this cloud or `*` for all of them, or a place of another cloud.
    pub to: Spanned<String>,
    pub above_gb: Option<Number>,
    pub usd_per_gb: Number,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    pub from: Spanned<String>,
    pub to: Spanned<String>,
    pub gbps: Number,
}

/// Most that one account may run at once: in the whole cloud, or in each of the places.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    #[serde(default)]
    pub places: Vec<Spanned<String>>,
    pub cpus: Option<u32>,
    pub instances: Option<u32>,
    pub accelerators: Option<Cards>,
}

/// Cards of any kind, or by name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Cards {
    Any(u32),
    Named(BTreeMap<String, u32>),
}

/// A share off the list prices of what matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    pub percent: Spanned<Number>,
    /// Regions; none: all.
    #[serde(default)]
    pub places: Vec<Spanned<String>>,
    /// Instance types or services (`service/spark*`), also as patterns; none: all.
    #[serde(default)]
    pub instance_types: Vec<Spanned<String>>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

/// A plain decimal, written as a number or as text, with all its digits.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawNumber")]
pub struct Number(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawNumber {
    Whole(i64),
    Float(f64),
    Text(String),
}

impl TryFrom<RawNumber> for Number {
    type Error = String;
    fn try_from(raw: RawNumber) -> Result<Self, String> {
        let text = match raw {
            RawNumber::Whole(whole) => whole.to_string(),
            // The shortest text that reads as the same number: what was written, up to 15 digits.
            RawNumber::Float(float) => float.to_string(),
            RawNumber::Text(text) => text.trim().trim_start_matches('$').to_owned(),
        };
        crate::model::units::scaled(&text, 1_000_000_000).map_err(|error| error.to_string())?;
        Ok(Number(text))
    }
}

impl Number {
    /// In units of one part of `per`.
    pub fn scaled(&self, per: i64) -> i64 {
        crate::model::units::scaled(&self.0, i128::from(per)).unwrap_or_default()
    }
}

/// A fault at some place of a file.
pub fn fault(file: &File, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> CatalogError {
    let before = file.text.get(..span.start).unwrap_or("");
    let line = before.matches('\n').count();
    CatalogError {
        line: u32::try_from(line + 1).unwrap_or(0),
        column: u32::try_from(before.rsplit('\n').next().unwrap_or("").chars().count() + 1).unwrap_or(0),
        text: file.text.lines().nth(line).unwrap_or("").to_owned(),
        ..CatalogError::file(&file.shown, message, hint)
    }
}

/// Where a text, or a name, has a control character: its keys, with dots.
fn steering(value: &toml::Value, at: &str) -> Option<String> {
    let bad = |text: &str| text.chars().any(char::is_control);
    match value {
        toml::Value::String(text) => bad(text).then(|| at.to_owned()),
        toml::Value::Array(values) => values.iter().find_map(|value| steering(value, at)),
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| {
            let shown: String = key.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
            let at = if at.is_empty() { shown } else { format!("{at}.{shown}") };
            if bad(key) { Some(at) } else { steering(value, &at) }
        }),
        _ => None,
    }
}

impl Form {
    /// Reads the form of a file.
    pub fn read(file: &File) -> Result<Self, CatalogError> {
        #[derive(Deserialize)]
        struct Version {
            format: Spanned<u32>,
        }
        let hint = "README.md has the form of the file, under \"A cloud joins with a file\"";
        let wrong = |error: toml::de::Error| {
            fault(file, error.span().unwrap_or(0..0), error.message().replace('\n', " "), hint)
        };
        // The version first: another one may have other keys.
        let version: Version = toml::from_str(&file.text).map_err(wrong)?;
        if *version.format.get_ref() != FORMAT {
            let message = format!("format {} is not known", version.format.get_ref());
            return Err(fault(file, version.format.span(), message, "this program reads format 1; use a newer sky"));
        }
        // What is printed later must not steer a terminal.
        let table: toml::Table = toml::from_str(&file.text).map_err(wrong)?;
        if let Some(at) = steering(&toml::Value::Table(table), "") {
            let message = format!("`{at}` has a control character in it");
            return Err(fault(file, 0..0, message, "write it without escapes and line breaks"));
        }
        toml::from_str(&file.text).map_err(wrong)
    }

    /// Checks names, days and answers, each at its line.
    pub fn check(&self, file: &File) -> Result<(), CatalogError> {
        let wrong = |at: &Spanned<String>, message: String, hint: &str| Err(fault(file, at.span(), message, hint));
        let cloud = self.cloud.get_ref();
        if !service::is_name(cloud) || cloud == "local" || cloud.len() > 32 {
            let hint = "use small letters, digits and `-`, a letter first; `local` is this machine";
            return wrong(&self.cloud, format!("`{cloud}` is no name for a cloud"), hint);
        }
        let of_file = [Some(&self.date), self.valid_from.as_ref(), Some(&self.valid_until)];
        let of_rows = self.prices.iter().flat_map(|row| [&row.valid_from, &row.valid_until]);
        let of_rows = of_rows.chain(self.services.iter().flat_map(|row| [&row.valid_from, &row.valid_until]));
        let of_rows = of_rows.chain(self.discounts.iter().flat_map(|row| [&row.valid_from, &row.valid_until]));
        for day in of_file.into_iter().flatten().chain(of_rows.flatten()) {
            let text = day.get_ref();
            if text.len() != 10 || text.parse::<jiff::civil::Date>().is_err() {
                return wrong(day, format!("`{text}` is not a day"), "write it like 2026-12-31");
            }
        }
        if self.places.is_empty() {
            return wrong(&self.cloud, "it has no places".to_owned(), "add one: `[places.REGION]` with its country");
        }
        for (region, place) in &self.places {
            if crate::model::PlaceName::parse(&format!("{cloud}:{}", region.get_ref())).is_none()
                || region.get_ref().contains([',', ';', '"', '/'])
            {
                let hint = "a region is like `fra1`, without `:` `*` `,` `;` or quotes";
                return wrong(region, format!("`{}` is no name for a region", region.get_ref()), hint);
            }
            for country in place.country.iter().chain(&place.parent_country) {
                let known = geography::COUNTRIES.split_whitespace().any(|known| known == country.get_ref());
                if !known {
                    let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it out if unknown";
                    return wrong(country, format!("unknown country `{}`", country.get_ref()), hint);
                }
            }
            if let Some(reach) = &place.us_cloud_act
                && !["yes", "no", "contested", "unknown"].contains(&reach.get_ref().as_str())
            {
                let hint = "write yes, no, contested or unknown";
                return wrong(reach, format!("`{}` is none of the answers", reach.get_ref()), hint);
            }
            if let Some(class) = &place.class
                && !offer::CLASSES.iter().any(|(name, _)| name == class.get_ref())
            {
                let names = offer::CLASSES.map(|(name, _)| name).join(", ");
                return wrong(class, format!("unknown class `{}`", class.get_ref()), &format!("write {names}"));
            }
        }
        for (name, machine) in &self.machines {
            if name.get_ref().is_empty() || name.get_ref().contains([',', ';', '"', '*', '\n']) {
                let hint = "leave `,` `;` `*` and quotes out";
                return wrong(name, format!("`{}` is no name for an instance type", name.get_ref()), hint);
            }
            if let Some(arch) =
                machine.arch.as_ref().filter(|arch| !["x86_64", "arm64"].contains(&arch.get_ref().as_str()))
            {
                return wrong(arch, format!("unknown architecture `{}`", arch.get_ref()), "write x86_64 or arm64");
            }
            if let Some(tee) = machine.tee.iter().find(|tee| Tee::parse(tee.get_ref()).is_none()) {
                let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
                let hint = format!("it is one of {}", names.join(", "));
                return wrong(tee, format!("unknown environment `{}`", tee.get_ref()), &hint);
            }
        }
        for price in &self.prices {
            let name = &price.instance_type;
            if !self.machines.contains_key(name) {
                let hint = "add it: `[machines.\"NAME\"]` with vcpus and memory_gib";
                return wrong(name, format!("there is no machine `{}` in this file", name.get_ref()), hint);
            }
            if price.on_demand.is_none() && price.spot.is_none() {
                let hint = "give `on_demand`, `spot`, or both; leave the row out if the price is unknown";
                return wrong(name, "this row has no price".to_owned(), hint);
            }
        }
        for service in &self.services {
            if !service::is_name(service.service.get_ref()) {
                let message = format!("`{}` is no name of a service", service.service.get_ref());
                return wrong(&service.service, message, "use small letters, digits and `-`");
            }
            if service::Unit::parse(service.unit.get_ref()).is_none() {
                let units = service::Unit::ALL.map(service::Unit::name).join(", ");
                let message = format!("unknown unit `{}`", service.unit.get_ref());
                return wrong(&service.unit, message, &format!("it is one of {units}"));
            }
            if let Some(version) =
                service.version.as_ref().filter(|text| service::Version::parse(text.get_ref()).is_none())
            {
                let message = format!("`{}` is no version", version.get_ref());
                return wrong(version, message, "write numbers with dots between, such as 3.5");
            }
        }
        let lists = self.prices.iter().map(|row| &row.places);
        let lists = lists.chain(self.services.iter().map(|row| &row.places));
        let lists = lists.chain(self.quotas.iter().map(|row| &row.places));
        let lists = lists.chain(self.discounts.iter().map(|row| &row.places));
        for region in lists.flatten().chain(self.egress.iter().map(|row| &row.from)) {
            self.region(region, file)?;
        }
        for way in &self.throughput {
            let ours = |end: &Spanned<String>| end.get_ref() == "*" || self.places.contains_key(end);
            if !ours(&way.from) && !ours(&way.to) {
                let hint = "one end must be a region of this file, or `*` for all of them";
                return wrong(&way.from, "this way is between other clouds".to_owned(), hint);
            }
        }
        for discount in &self.discounts {
            let parts = discount.percent.get_ref().scaled(10_000);
            if parts <= 0 || parts >= 1_000_000 {
                let message = format!("{} % is no discount", discount.percent.get_ref().0);
                return Err(fault(file, discount.percent.span(), message, "write a percentage above 0 and below 100"));
            }
        }
        Ok(())
    }

    /// A region of this file, or `*`.
    fn region(&self, region: &Spanned<String>, file: &File) -> Result<(), CatalogError> {
        if region.get_ref() == "*" || self.places.contains_key(region) {
            return Ok(());
        }
        let known: Vec<&str> = self.places.keys().map(|region| region.get_ref().as_str()).collect();
        let hint = format!("this file has {}; `*` is all of them. It cannot speak of other clouds", known.join(", "));
        Err(fault(file, region.span(), format!("there is no place `{}` in this file", region.get_ref()), hint))
    }
}
