//! The JSON form of AWS's price list, for mirrors that have no CSV: read as a stream, of which only
//! the machines that are wanted stay in memory until their prices come, further down.

use super::Fault;
use super::aws_price_row::{PriceListRow, TermPrice, is_wanted, take_price};
use super::price_quotes::PriceQuotes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::io::BufReader;
use std::marker::PhantomData;
use std::path::Path;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Product {
    product_family: String,
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attributes {
    instance_type: String,
    tenancy: String,
    operating_system: String,
    license_model: String,
    pre_installed_sw: String,
    capacitystatus: String,
    marketoption: String,
    location_type: String,
    region_code: String,
    vcpu: String,
    memory: String,
    gpu: String,
    physical_processor: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Term {
    effective_date: String,
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Dimension {
    unit: String,
    begin_range: String,
    price_per_unit: BTreeMap<String, String>,
}

/// What was read so far.
struct State {
    region: String,
    quotes: PriceQuotes,
    /// Wanted products, by SKU.
    wanted: BTreeMap<String, Product>,
}

impl State {
    fn product(&mut self, sku: String, product: Product) {
        if is_wanted(
            &price_list_row(&product, TermPrice::default()),
            &self.region,
            &mut self.quotes,
        ) {
            self.wanted.insert(sku, product);
        }
    }

    fn terms(&mut self, term: &str, sku: &str, terms: &BTreeMap<String, Term>) {
        let Some(product) = self.wanted.get(sku) else {
            return;
        };
        let dimensions = terms
            .values()
            .flat_map(|term| term.price_dimensions.values().map(move |each| (term, each)));
        for (of, dimension) in dimensions {
            let dollars = dimension.price_per_unit.get_key_value("USD");
            let (currency, amount) = dollars
                .or_else(|| dimension.price_per_unit.iter().next())
                .map_or(("", ""), |(currency, amount)| {
                    (currency.as_str(), amount.as_str())
                });
            let price = TermPrice {
                term,
                unit: &dimension.unit,
                amount,
                currency,
                effective: &of.effective_date,
                from: &dimension.begin_range,
            };
            take_price(
                &price_list_row(product, price),
                &self.region,
                &mut self.quotes,
            );
        }
    }
}

fn price_list_row<'a>(product: &'a Product, price: TermPrice<'a>) -> PriceListRow<'a> {
    let attributes = &product.attributes;
    PriceListRow {
        family: &product.product_family,
        machine: &attributes.instance_type,
        tenancy: &attributes.tenancy,
        system: &attributes.operating_system,
        licence: &attributes.license_model,
        software: &attributes.pre_installed_sw,
        capacity: &attributes.capacitystatus,
        market: &attributes.marketoption,
        location_type: &attributes.location_type,
        region: &attributes.region_code,
        vcpus: &attributes.vcpu,
        memory: &attributes.memory,
        gpus: &attributes.gpu,
        processor: &attributes.physical_processor,
        price,
    }
}

/// Reads a file of one region.
pub(super) fn read(path: &Path, region: &str, quotes: PriceQuotes) -> Result<PriceQuotes, Fault> {
    let wrong_list = |error: &dyn fmt::Display| {
        Fault(format!("the list of {region} is not a price list: {error}"))
    };
    let file = std::fs::File::open(path).map_err(|error| wrong_list(&error))?;
    let mut reader_state = State {
        region: region.to_owned(),
        quotes,
        wanted: BTreeMap::new(),
    };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 18, file));
    reader
        .deserialize_map(Top(&mut reader_state))
        .and_then(|()| reader.end())
        .map_err(|error| wrong_list(&error))?;
    Ok(reader_state.quotes)
}

/// The whole file.
struct Top<'s>(&'s mut State);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price list")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "publicationDate" => {
                    let text: String = map.next_value()?;
                    if let Some(day) = text.get(..10).and_then(|day| day.parse().ok()) {
                        self.0.quotes.day = day;
                    }
                }
                "products" => {
                    map.next_value_seed(Each::new(|sku, product| self.0.product(sku, product)))?
                }
                "terms" => map.next_value_seed(Terms(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Terms by their kind.
struct Terms<'s>(&'s mut State);

impl<'de> DeserializeSeed<'de> for Terms<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Terms<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("terms by their kind")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(kind) = map.next_key::<String>()? {
            map.next_value_seed(Each::new(|sku: String, terms| {
                self.0.terms(&kind, &sku, &terms)
            }))?;
        }
        Ok(())
    }
}

/// The entries of a map, one after the other.
struct Each<T, F>(F, PhantomData<T>);

impl<T, F: FnMut(String, T)> Each<T, F> {
    fn new(take: F) -> Self {
        Self(take, PhantomData)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(String, T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(String, T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries by their SKU")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some((key, value)) = map.next_entry()? {
            self.0(key, value);
        }
        Ok(())
    }
}
