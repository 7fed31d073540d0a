//! The file by which a cloud registers, as it is written.

use super::exact_figure::{Figure, PlainDecimal};
use crate::catalog::CatalogError;
use crate::catalog::files::File;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// The version of the form that this program reads.
pub(super) const FORMAT: u32 = 1;

/// A list of names in brackets.
pub(super) type List = Spanned<Vec<Spanned<String>>>;

/// The whole file of a cloud.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloudFile {
    #[serde(rename = "format")]
    pub _format: u32,
    /// The short name, as in `aws`.
    pub cloud: Spanned<String>,
    /// Who that is, for people.
    pub about: String,
    /// The day of the figures.
    pub date: Spanned<String>,
    /// Which file of that day this is: a later one has a greater number.
    #[serde(default)]
    pub revision: u32,
    pub valid_from: Option<Spanned<String>>,
    /// The last day that the file holds.
    pub valid_until: Spanned<String>,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub terms: Terms,
    /// Places, by region.
    pub places: BTreeMap<Spanned<String>, Place>,
    /// Machine types, by instance type.
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
pub(super) struct Terms {
    pub increment_s: Option<Figure>,
    pub minimum_s: Option<Figure>,
    pub boot_s: Option<Figure>,
    pub free_egress_gb: Option<Figure>,
    pub storage_usd_per_gb_month: Option<Figure>,
    /// 1000000000 or 1073741824: what a GB of egress and storage has.
    pub gb_bytes: Option<Figure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
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
pub(super) struct Machine {
    pub vcpus: Option<Figure>,
    pub memory_gib: Option<Figure>,
    pub accelerator: Option<Spanned<String>>,
    pub count: Option<Figure>,
    pub arch: Option<Spanned<String>>,
    #[serde(default)]
    pub tee: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    /// Regions; `*` is all of them.
    pub places: List,
    pub instance_type: Spanned<String>,
    /// US dollars an hour.
    pub on_demand: Option<Figure>,
    pub spot: Option<Figure>,
    /// Share of spot machines interrupted in a month.
    pub interrupted_percent: Option<Figure>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub places: List,
    pub service: Spanned<String>,
    pub version: Option<Spanned<String>>,
    #[serde(default)]
    pub product: String,
    pub unit: Spanned<String>,
    /// US dollars a unit.
    pub price: Figure,
    pub vcpus: Option<Figure>,
    pub memory_gib: Option<Figure>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

/// From places of this cloud.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Egress {
    pub from: Spanned<String>,
    /// `internet`, a region of this cloud or `*` for all of them, or a place of another cloud.
    pub to: Spanned<String>,
    pub above_gb: Option<Figure>,
    pub usd_per_gb: Figure,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Throughput {
    pub from: Spanned<String>,
    pub to: Spanned<String>,
    pub gbps: Figure,
}

/// Most that one account may run at once: in the whole cloud, or in each of the places.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    /// The regions of which each has this quota; none: the whole cloud.
    pub places: Option<List>,
    pub cpus: Option<Figure>,
    pub instances: Option<Figure>,
    pub accelerators: Option<Spanned<Cards>>,
}

/// Cards of any kind, or by name.
#[derive(Debug)]
pub(super) enum Cards {
    Any(PlainDecimal),
    Named(BTreeMap<Spanned<String>, Figure>),
}

impl<'de> Deserialize<'de> for Cards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cards;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or numbers by the names of cards, such as { V100 = 16 }")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Cards, E> {
                PlainDecimal::read(&value.to_string()).map(Cards::Any)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Cards, E> {
                PlainDecimal::read(&value.to_string()).map(Cards::Any)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cards, A::Error> {
                let mut named_cards = BTreeMap::new();
                while let Some((name, most)) = map.next_entry()? {
                    named_cards.insert(name, most);
                }
                Ok(Cards::Named(named_cards))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A share off the list prices of what matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discount {
    pub percent: Figure,
    /// Regions; none: all.
    pub places: Option<List>,
    /// Instance types or services (`service/spark*`), also as patterns; none: all.
    pub instance_types: Option<List>,
    pub valid_from: Option<Spanned<String>>,
    pub valid_until: Option<Spanned<String>>,
}

/// A fault at some place of a file.
pub(super) fn fault(
    file: &File,
    span: Range<usize>,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> CatalogError {
    CatalogError::at_offset((&file.shown, &file.text), span.start, message, hint)
}

/// The keys, with dots, of a text or a name that has a control character.
fn steering_text(value: &toml::Value, at: &str) -> Option<String> {
    let bad = |text: &str| text.chars().any(char::is_control);
    match value {
        toml::Value::String(text) => bad(text).then(|| at.to_owned()),
        toml::Value::Array(values) => values.iter().find_map(|value| steering_text(value, at)),
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| {
            let shown_key: String = key
                .chars()
                .map(|letter| if letter.is_control() { '?' } else { letter })
                .collect();
            let key_path = if at.is_empty() {
                shown_key
            } else {
                format!("{at}.{shown_key}")
            };
            if bad(key) {
                Some(key_path)
            } else {
                steering_text(value, &key_path)
            }
        }),
        _ => None,
    }
}

impl CloudFile {
    /// Reads the form of a file.
    pub(super) fn read(file: &File) -> Result<Self, CatalogError> {
        #[derive(Deserialize)]
        struct Version {
            format: Spanned<u32>,
        }
        let hint = "`sky guide register` shows the form of the file";
        let wrong_file = |error: toml::de::Error| {
            fault(
                file,
                error.span().unwrap_or(0..0),
                error.message().replace('\n', " "),
                hint,
            )
        };
        // The version first: another one may have other keys.
        let version: Version = toml::from_str(&file.text).map_err(wrong_file)?;
        if *version.format.get_ref() != FORMAT {
            let message = format!("format {} is not known", version.format.get_ref());
            return Err(fault(
                file,
                version.format.span(),
                message,
                "this program reads format 1; use a newer sky",
            ));
        }
        // What is printed later must not steer a terminal.
        let table: toml::Table = toml::from_str(&file.text).map_err(wrong_file)?;
        if let Some(at) = steering_text(&toml::Value::Table(table), "") {
            let message = format!("`{at}` has a control character in it");
            return Err(fault(
                file,
                0..0,
                message,
                "write it without escapes and line breaks",
            ));
        }
        toml::from_str(&file.text).map_err(wrong_file)
    }
}
