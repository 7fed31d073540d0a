//! A row of AWS's price list, in CSV or JSON, and whether it is a machine as one rents it.

use super::price_quotes::{MachineSize, PriceQuotes, day_of, hourly};
use crate::model::units::scaled;

/// A product that is sold, and its price.
#[derive(Default)]
pub(super) struct PriceListRow<'a> {
    pub family: &'a str,
    pub machine: &'a str,
    pub tenancy: &'a str,
    pub system: &'a str,
    pub licence: &'a str,
    pub software: &'a str,
    pub capacity: &'a str,
    pub market: &'a str,
    pub location_type: &'a str,
    pub region: &'a str,
    pub vcpus: &'a str,
    pub memory: &'a str,
    pub gpus: &'a str,
    pub processor: &'a str,
    pub price: TermPrice<'a>,
}

/// A price of a product.
#[derive(Clone, Copy, Default)]
pub(super) struct TermPrice<'a> {
    pub term: &'a str,
    pub unit: &'a str,
    pub amount: &'a str,
    pub currency: &'a str,
    pub effective: &'a str,
    pub from: &'a str,
}

/// Whether a cell says nothing.
fn says_nothing(text: &str) -> bool {
    text.is_empty() || text == "NA"
}

/// Whether a row is a machine as one rents it; other rows are counted as left out.
pub(super) fn is_wanted(row: &PriceListRow, region: &str, quotes: &mut PriceQuotes) -> bool {
    let elsewhere = !says_nothing(row.location_type) && row.location_type != "AWS Region";
    let refused = if !row.family.starts_with("Compute Instance") {
        Some(("no machine", row.family))
    } else if row.tenancy != "Shared" {
        Some(("dedicated host or other tenancy", row.tenancy))
    } else if row.system != "Linux" {
        Some(("another operating system", row.system))
    } else if row.licence == "Bring your own license" {
        Some(("another licence", row.licence))
    } else if !says_nothing(row.software) {
        Some(("software counted in", row.software))
    } else if row.capacity != "Used" {
        Some(("capacity reservation", row.capacity))
    } else if !says_nothing(row.market) && row.market != "OnDemand" {
        Some(("another way of buying", row.market))
    } else if elsewhere || (!says_nothing(row.region) && row.region != region) {
        Some(("a zone outside of the region", row.region))
    } else if says_nothing(row.machine) {
        Some(("no instance type", row.machine))
    } else {
        None
    };
    if let Some((why, name)) = refused {
        quotes.leave_of(why, name);
    }
    refused.is_none()
}

/// Takes a price of a wanted machine.
pub(super) fn take_price(row: &PriceListRow, region: &str, quotes: &mut PriceQuotes) {
    let price = row.price;
    if price.term != "OnDemand" {
        return quotes.leave("reserved term");
    }
    if price.currency != "USD" {
        return quotes.leave_of("not in US dollars", price.currency);
    }
    match day_of(price.effective) {
        Ok(Some(day)) if day > quotes.day => return quotes.leave("not yet in force"),
        Ok(_) => {}
        Err(why) => return quotes.leave_of(why, price.effective),
    }
    if !matches!(price.from, "" | "0") {
        return quotes.leave("for larger volumes only");
    }
    let hourly_nano = match hourly(price.amount, price.unit) {
        Ok(nano) => nano,
        Err(why @ "not by the hour") => return quotes.leave_of(why, price.unit),
        Err(why) => return quotes.leave(why),
    };
    // 0: the row does not say it.
    let figure_or_zero =
        |text: &str, per| scaled(&text.replace(',', ""), per).map_or(0, i64::unsigned_abs);
    let cards = match row.gpus {
        gpus if says_nothing(gpus) => Some(0),
        gpus => scaled(gpus, 1000)
            .ok()
            .and_then(|count| u32::try_from(count).ok()),
    };
    let arm = ["Graviton", "Apple M"]
        .iter()
        .any(|name| row.processor.contains(name));
    let machine_size = MachineSize {
        vcpu_thousandths: figure_or_zero(row.vcpus, 1000),
        memory: row
            .memory
            .strip_suffix(" GiB")
            .map_or(0, |text| figure_or_zero(text, 1 << 30)),
        cards,
        card: None,
        arch: if arm { "arm64" } else { "x86_64" }.to_owned(),
    };
    quotes
        .sizes
        .entry(row.machine.to_owned())
        .or_insert(machine_size);
    let day = price.effective.get(..10).unwrap_or_default();
    quotes.put(
        region,
        row.machine,
        false,
        hourly_nano,
        (false, day.to_owned()),
    );
}
