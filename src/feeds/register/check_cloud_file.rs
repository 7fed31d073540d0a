//! What a file must be before any of it is taken: names, days, answers and figures that can be
//! meant, rows that say something, and no two that say different things. Every fault is at its
//! line.

use super::cloud_file::{Cards, CloudFile, List, fault};
use super::exact_figure::Figure;
use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::catalog::format::{GIGABYTES, MILLIS_PER_SECOND, NANO, PPM_PER_PERCENT};
use crate::model::uniform::ServiceName;
use crate::model::{Pattern, Tee, geography, offer, service};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

type Checked = Result<(), CatalogError>;

/// Checks all of a file.
pub(super) fn check(cloud_file: &CloudFile, file: &File) -> Checked {
    let check = Check { cloud_file, file };
    check.cloud()?;
    check.days()?;
    check.terms()?;
    check.places()?;
    check.machines()?;
    check.prices()?;
    check.services()?;
    check.network()?;
    check.quotas()?;
    check.discounts()
}

struct Check<'a> {
    cloud_file: &'a CloudFile,
    file: &'a File,
}

/// What a figure may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Least {
    Zero,
    MoreThanZero,
}

impl Check<'_> {
    fn wrong(
        &self,
        at: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Checked {
        Err(fault(self.file, at, message, hint))
    }

    /// The line of a place in the file, for a second row that is named in a message.
    fn line(&self, at: Range<usize>) -> usize {
        self.file
            .text
            .get(..at.start)
            .unwrap_or("")
            .matches('\n')
            .count()
            + 1
    }

    fn figure(&self, name: &str, figure: Option<&Figure>, per: i64, least: Least) -> Checked {
        let Some(figure) = figure else { return Ok(()) };
        let text = &figure.get_ref().0;
        let Some(value) = figure.get_ref().checked(per) else {
            return self.wrong(
                figure.span(),
                format!("{name}: {text} is too large"),
                "write a smaller number",
            );
        };
        if value == 0 && least == Least::MoreThanZero {
            let hint = "leave it out if it is unknown";
            return self.wrong(figure.span(), format!("{name}: {text} is nothing"), hint);
        }
        Ok(())
    }

    /// A price; 0 is none.
    fn price(&self, name: &str, figure: Option<&Figure>) -> Checked {
        if let Some(figure) = figure.filter(|figure| figure.get_ref().checked(NANO) == Some(0)) {
            let hint = "leave the row out if the price is unknown";
            return self.wrong(
                figure.span(),
                format!("{name}: a price of 0 is not believable"),
                hint,
            );
        }
        self.figure(name, figure, NANO, Least::Zero)
    }

    fn cloud(&self) -> Checked {
        let cloud = self.cloud_file.cloud.get_ref();
        if !service::is_name(cloud) || cloud == "local" || cloud.len() > 32 {
            let hint = "use small letters, digits and `-`, a letter first; `local` is this machine";
            return self.wrong(
                self.cloud_file.cloud.span(),
                format!("`{cloud}` is not a name for a cloud"),
                hint,
            );
        }
        Ok(())
    }

    fn days(&self) -> Checked {
        let cloud_file = self.cloud_file;
        let whole = (
            cloud_file.valid_from.as_ref(),
            Some(&cloud_file.valid_until),
        );
        let prices = cloud_file
            .prices
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        let services = cloud_file
            .services
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        let discounts = cloud_file
            .discounts
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        self.day(&cloud_file.date)?;
        for (from, until) in std::iter::once(whole)
            .chain(prices)
            .chain(services)
            .chain(discounts)
        {
            for day in [from, until].into_iter().flatten() {
                self.day(day)?;
            }
            if let (Some(from), Some(until)) = (from, until)
                && from.get_ref() > until.get_ref()
            {
                let message = format!(
                    "it ends on {}, before it begins on {}",
                    until.get_ref(),
                    from.get_ref()
                );
                return self.wrong(until.span(), message, "write a later day");
            }
        }
        Ok(())
    }

    fn day(&self, day: &Spanned<String>) -> Checked {
        let text = day.get_ref();
        if text.len() != 10 || text.parse::<jiff::civil::Date>().is_err() {
            return self.wrong(
                day.span(),
                format!("`{text}` is not a day"),
                "write it like 2026-12-31",
            );
        }
        Ok(())
    }

    fn terms(&self) -> Checked {
        let terms = &self.cloud_file.terms;
        for (name, figure, per) in [
            ("increment_s", &terms.increment_s, MILLIS_PER_SECOND),
            ("minimum_s", &terms.minimum_s, MILLIS_PER_SECOND),
            ("boot_s", &terms.boot_s, MILLIS_PER_SECOND),
            ("free_egress_gb", &terms.free_egress_gb, NANO),
            (
                "storage_usd_per_gb_month",
                &terms.storage_usd_per_gb_month,
                NANO,
            ),
            ("gb_bytes", &terms.gb_bytes, 1),
        ] {
            self.figure(name, figure.as_ref(), per, Least::Zero)?;
        }
        let is_known = |bytes: i64| {
            GIGABYTES
                .iter()
                .any(|gigabyte| i64::try_from(gigabyte.0) == Ok(bytes))
        };
        if let Some(bytes) = terms
            .gb_bytes
            .as_ref()
            .filter(|bytes| !is_known(bytes.get_ref().scaled(1)))
        {
            let hint = "write 1000000000, or 1073741824 for a GiB";
            return self.wrong(
                bytes.span(),
                "no cloud bills by a GB of so many bytes",
                hint,
            );
        }
        Ok(())
    }

    fn places(&self) -> Checked {
        let (cloud_file, cloud) = (self.cloud_file, self.cloud_file.cloud.get_ref());
        if cloud_file.places.is_empty() {
            return self.wrong(
                cloud_file.cloud.span(),
                "it has no places",
                "add one: `[places.REGION]` with its country",
            );
        }
        for (region, place) in &cloud_file.places {
            if crate::model::PlaceName::parse(&format!("{cloud}:{}", region.get_ref())).is_none()
                || region.get_ref().contains([',', ';', '"', '/'])
            {
                let hint = "a region is like `fra1`, without `:` `*` `,` `;` or quotes";
                return self.wrong(
                    region.span(),
                    format!("`{}` is not a name for a region", region.get_ref()),
                    hint,
                );
            }
            for country in place.country.iter().chain(&place.parent_country) {
                if !geography::COUNTRIES
                    .split_whitespace()
                    .any(|known| known == country.get_ref())
                {
                    let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it out if unknown";
                    return self.wrong(
                        country.span(),
                        format!("unknown country `{}`", country.get_ref()),
                        hint,
                    );
                }
            }
            if let Some(reach) = &place.us_cloud_act
                && !["yes", "no", "contested", "unknown"].contains(&reach.get_ref().as_str())
            {
                let hint = "write yes, no, contested or unknown";
                return self.wrong(
                    reach.span(),
                    format!("`{}` is none of the answers", reach.get_ref()),
                    hint,
                );
            }
            if let Some(class) = &place.class
                && !offer::CLASSES
                    .iter()
                    .any(|(name, _)| name == class.get_ref())
            {
                let names = offer::CLASSES.map(|(name, _)| name).join(", ");
                let message = format!("unknown class `{}`", class.get_ref());
                return self.wrong(class.span(), message, format!("write {names}"));
            }
        }
        Ok(())
    }

    fn machines(&self) -> Checked {
        for (name, machine) in &self.cloud_file.machines {
            if name.get_ref().is_empty() || name.get_ref().contains([',', ';', '"', '*', '\n']) {
                let hint = "leave `,` `;` `*` and quotes out";
                return self.wrong(
                    name.span(),
                    format!("`{}` is not a name for an instance type", name.get_ref()),
                    hint,
                );
            }
            self.figure("vcpus", machine.vcpus.as_ref(), 1000, Least::MoreThanZero)?;
            self.figure(
                "memory_gib",
                machine.memory_gib.as_ref(),
                1 << 30,
                Least::MoreThanZero,
            )?;
            self.figure("count", machine.count.as_ref(), 1000, Least::MoreThanZero)?;
            if let Some(card) = machine
                .accelerator
                .as_ref()
                .filter(|card| card.get_ref().trim().is_empty())
            {
                return self.wrong(
                    card.span(),
                    "accelerator: it has no name",
                    "leave it out if there is none",
                );
            }
            if let Some(count) = &machine.count {
                if machine.accelerator.is_none() {
                    let hint = "add `accelerator`, or leave `count` out";
                    return self.wrong(
                        count.span(),
                        "count: there is no accelerator to count",
                        hint,
                    );
                }
                if count
                    .get_ref()
                    .checked(1000)
                    .is_none_or(|count| u32::try_from(count).is_err())
                {
                    let message = format!("count: {} is too large", count.get_ref().0);
                    return self.wrong(
                        count.span(),
                        message,
                        "write how many there are, such as 8",
                    );
                }
            }
            if let Some(arch) = machine
                .arch
                .as_ref()
                .filter(|arch| !["x86_64", "arm64"].contains(&arch.get_ref().as_str()))
            {
                let message = format!("unknown architecture `{}`", arch.get_ref());
                return self.wrong(arch.span(), message, "write x86_64 or arm64");
            }
            if let Some(tee) = machine
                .tee
                .iter()
                .find(|tee| Tee::parse(tee.get_ref()).is_none())
            {
                let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
                let hint = format!("it is one of {}", names.join(", "));
                return self.wrong(
                    tee.span(),
                    format!("unknown environment `{}`", tee.get_ref()),
                    hint,
                );
            }
        }
        Ok(())
    }

    fn prices(&self) -> Checked {
        for price in &self.cloud_file.prices {
            self.regions(&price.places)?;
            let name = &price.instance_type;
            if !self.cloud_file.machines.contains_key(name) {
                let hint = "add it: `[machines.\"NAME\"]` with vcpus and memory_gib";
                return self.wrong(
                    name.span(),
                    format!("there is no machine `{}` in this file", name.get_ref()),
                    hint,
                );
            }
            if price.on_demand.is_none() && price.spot.is_none() {
                let hint =
                    "give `on_demand`, `spot`, or both; leave the row out if the price is unknown";
                return self.wrong(name.span(), "this row has no price", hint);
            }
            self.price("on_demand", price.on_demand.as_ref())?;
            self.price("spot", price.spot.as_ref())?;
            if let (Some(on_demand), Some(spot)) = (&price.on_demand, &price.spot)
                && spot.get_ref().scaled(NANO) > on_demand.get_ref().scaled(NANO)
            {
                let message = format!(
                    "spot: {} is above the {} on demand",
                    spot.get_ref().0,
                    on_demand.get_ref().0
                );
                return self.wrong(
                    spot.span(),
                    message,
                    "a spot machine costs no more: correct one of them",
                );
            }
            if let Some(percent) = &price.interrupted_percent {
                if price.spot.is_none() {
                    let hint = "give `spot`, or leave it out";
                    return self.wrong(
                        percent.span(),
                        "interrupted_percent: this row has no spot price",
                        hint,
                    );
                }
                self.figure(
                    "interrupted_percent",
                    Some(percent),
                    PPM_PER_PERCENT,
                    Least::Zero,
                )?;
                if percent.get_ref().scaled(PPM_PER_PERCENT) >= 1_000_000 {
                    let message = format!(
                        "interrupted_percent: {} % is not less than all",
                        percent.get_ref().0
                    );
                    return self.wrong(percent.span(), message, "write a percentage below 100");
                }
            }
        }
        Ok(())
    }

    fn services(&self) -> Checked {
        /// Where a service of this name is first offered, its unit and size.
        type Shape<'a> = (Range<usize>, &'a str, [Option<i64>; 2]);
        let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
        for row in &self.cloud_file.services {
            self.regions(&row.places)?;
            if !service::is_name(row.service.get_ref()) {
                let message = format!("`{}` is not a name of a service", row.service.get_ref());
                return self.wrong(
                    row.service.span(),
                    message,
                    "use small letters, digits and `-`",
                );
            }
            if service::Unit::parse(row.unit.get_ref()).is_none() {
                let units = service::Unit::ALL.map(service::Unit::name).join(", ");
                let message = format!("unknown unit `{}`", row.unit.get_ref());
                return self.wrong(row.unit.span(), message, format!("it is one of {units}"));
            }
            if let Some(version) = row
                .version
                .as_ref()
                .filter(|text| service::Version::parse(text.get_ref()).is_none())
            {
                let message = format!("`{}` is not a version", version.get_ref());
                return self.wrong(
                    version.span(),
                    message,
                    "write numbers with dots between, such as 3.5",
                );
            }
            self.price("price", Some(&row.price))?;
            self.figure("vcpus", row.vcpus.as_ref(), 1000, Least::MoreThanZero)?;
            self.figure(
                "memory_gib",
                row.memory_gib.as_ref(),
                1 << 30,
                Least::MoreThanZero,
            )?;
            let size = |figure: &Option<Figure>, per| {
                figure.as_ref().map(|figure| figure.get_ref().scaled(per))
            };
            let shape = (
                row.service.span(),
                row.unit.get_ref().as_str(),
                [size(&row.vcpus, 1000), size(&row.memory_gib, 1 << 30)],
            );
            let full = service_name(row);
            if let Some((first, unit, size)) = shapes.get(&full)
                && (*unit, size) != (shape.1, &shape.2)
            {
                let message = format!(
                    "`{full}` has another unit or size at line {}",
                    self.line(first.clone())
                );
                return self.wrong(
                    row.service.span(),
                    message,
                    "give one of them a `product` of its own",
                );
            }
            shapes.entry(full).or_insert(shape);
        }
        Ok(())
    }

    fn network(&self) -> Checked {
        let mut rates: BTreeMap<(&str, &str, i64), Range<usize>> = BTreeMap::new();
        for row in &self.cloud_file.egress {
            self.region(&row.from)?;
            self.figure("above_gb", row.above_gb.as_ref(), NANO, Least::Zero)?;
            self.figure("usd_per_gb", Some(&row.usd_per_gb), NANO, Least::Zero)?;
            let above = row
                .above_gb
                .as_ref()
                .map_or(0, |above| above.get_ref().scaled(NANO));
            let (from, to) = (row.from.get_ref().as_str(), row.to.get_ref().as_str());
            if let Some(first) = rates.insert((from, to, above), row.usd_per_gb.span()) {
                let message = format!(
                    "`{from}` to `{to}` has another rate for the same volume at line {}",
                    self.line(first)
                );
                let hint = "keep one of them, or start one above more gigabytes: `above_gb`";
                return self.wrong(row.usd_per_gb.span(), message, hint);
            }
        }
        for row in &self.cloud_file.egress {
            let (from, to) = (row.from.get_ref().as_str(), row.to.get_ref().as_str());
            if !rates.contains_key(&(from, to, 0)) {
                let message = format!("`{from}` to `{to}` has no rate from the first byte");
                return self.wrong(row.from.span(), message, "add a row with above_gb = 0");
            }
        }
        let mut routes: BTreeMap<(&str, &str), Range<usize>> = BTreeMap::new();
        for route in &self.cloud_file.throughput {
            let ours = |end: &Spanned<String>| {
                end.get_ref() == "*" || self.cloud_file.places.contains_key(end)
            };
            if !ours(&route.from) && !ours(&route.to) {
                let hint = "one end must be a region of this file, or `*` for all of them";
                return self.wrong(route.from.span(), "this way is between other clouds", hint);
            }
            if route.from.get_ref() == "internet" {
                let hint = "name a region of this file, or a place";
                return self.wrong(
                    route.from.span(),
                    "`internet` is not a place to start from",
                    hint,
                );
            }
            self.figure("gbps", Some(&route.gbps), NANO, Least::MoreThanZero)?;
            let key = (route.from.get_ref().as_str(), route.to.get_ref().as_str());
            if let Some(first) = routes.insert(key, route.from.span()) {
                let message = format!(
                    "`{}` to `{}` is at line {} too",
                    key.0,
                    key.1,
                    self.line(first)
                );
                return self.wrong(route.from.span(), message, "keep one of the rows");
            }
        }
        Ok(())
    }

    fn quotas(&self) -> Checked {
        let whole = |name: &str, figure: &Figure| {
            self.figure(name, Some(figure), 1000, Least::Zero)?;
            let value = figure.get_ref().scaled(1000);
            if value % 1000 != 0 || u32::try_from(value / 1000).is_err() {
                let message = format!("{name}: {} is not a number of them", figure.get_ref().0);
                return self.wrong(figure.span(), message, "write a whole number such as 64");
            }
            Ok(())
        };
        let mut limits: BTreeMap<(String, &str), Range<usize>> = BTreeMap::new();
        for quota in &self.cloud_file.quotas {
            if let Some(places) = &quota.places {
                self.regions(places)?;
            }
            let mut counted: Vec<(&str, Range<usize>)> = Vec::new();
            for (name, figure) in [("cpus", &quota.cpus), ("instances", &quota.instances)] {
                if let Some(figure) = figure {
                    whole(name, figure)?;
                    counted.push((name, figure.span()));
                }
            }
            match quota
                .accelerators
                .as_ref()
                .map(|cards| (cards.get_ref(), cards.span()))
            {
                Some((Cards::Any(most), at)) => {
                    whole("accelerators", &Spanned::new(at.clone(), most.clone()))?;
                    counted.push(("accelerators", at));
                }
                Some((Cards::Named(cards), at)) => {
                    if cards.is_empty() {
                        let hint = "name one: `accelerators = { V100 = 16 }`";
                        return self.wrong(at, "accelerators: there is no card in it", hint);
                    }
                    for (card, most) in cards {
                        whole(card.get_ref(), most)?;
                        counted.push((card.get_ref(), card.span()));
                    }
                }
                None => {}
            }
            if counted.is_empty() {
                let message = "there is a quota that limits nothing";
                let at = quota
                    .places
                    .as_ref()
                    .map_or_else(|| self.table("quotas"), Spanned::span);
                return self.wrong(at, message, "give `cpus`, `instances` or `accelerators`");
            }
            let places = match &quota.places {
                Some(places) => places
                    .get_ref()
                    .iter()
                    .map(|place| place.get_ref().clone())
                    .collect(),
                None => vec![String::new()],
            };
            for (what, at) in counted {
                for place in &places {
                    if let Some(first) = limits.insert((place.clone(), what), at.clone()) {
                        let whole = if place.is_empty() { "the cloud" } else { place };
                        let message = format!(
                            "{what}: {whole} has another quota of it at line {}",
                            self.line(first)
                        );
                        return self.wrong(at, message, "keep one of them");
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the first `[[NAME]]` is.
    fn table(&self, name: &str) -> Range<usize> {
        let at = self.file.text.find(&format!("[[{name}]]")).unwrap_or(0);
        at..at
    }

    fn discounts(&self) -> Checked {
        for discount in &self.cloud_file.discounts {
            let percent = discount.percent.get_ref();
            let parts = percent.scaled(PPM_PER_PERCENT);
            if parts <= 0 || parts >= 1_000_000 {
                let message = format!("{} % is not a discount", percent.0);
                return self.wrong(
                    discount.percent.span(),
                    message,
                    "write a percentage above 0 and below 100",
                );
            }
            if let Some(places) = &discount.places {
                self.regions(places)?;
            }
            let offered = self.offered(discount.places.as_ref());
            let Some(types) = &discount.instance_types else {
                if offered.is_empty() {
                    let message = "the discount matches nothing: nothing is offered there";
                    return self.wrong(
                        discount.percent.span(),
                        message,
                        "name places of `[[prices]]` or `[[services]]`",
                    );
                }
                continue;
            };
            if types.get_ref().is_empty() {
                let hint = "name instance types, or leave it out: all of them";
                return self.wrong(types.span(), "instance_types: it names nothing", hint);
            }
            for name in types.get_ref() {
                let pattern = Pattern(name.get_ref().clone());
                if !offered.iter().any(|offered| pattern.matches(offered)) {
                    let all = self.offered(None);
                    let far = |known: &&String| strsim::levenshtein(known, name.get_ref());
                    let hint = match all.iter().filter(|known| (1..=3).contains(&far(known))).min_by_key(far) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "write an instance type that is priced there, `service/NAME`, or a pattern with `*`"
                            .to_owned(),
                    };
                    let message = format!(
                        "the discount of `{}` matches nothing that is offered there",
                        name.get_ref()
                    );
                    return self.wrong(name.span(), message, hint);
                }
            }
        }
        Ok(())
    }

    /// What has a price at these regions; none: anywhere.
    fn offered(&self, places: Option<&List>) -> Vec<String> {
        let all = |list: &List| list.get_ref().iter().any(|place| place.get_ref() == "*");
        let there = |offered: &List| {
            let Some(wanted) = places else { return true };
            all(wanted)
                || all(offered)
                || wanted
                    .get_ref()
                    .iter()
                    .any(|place| offered.get_ref().contains(place))
        };
        let prices = self
            .cloud_file
            .prices
            .iter()
            .filter(|row| there(&row.places));
        let services = self
            .cloud_file
            .services
            .iter()
            .filter(|row| there(&row.places));
        prices
            .map(|row| row.instance_type.get_ref().clone())
            .chain(services.map(service_name))
            .collect()
    }

    /// A list of regions of this file, or `*`; each once.
    fn regions(&self, list: &List) -> Checked {
        if list.get_ref().is_empty() {
            return self.wrong(
                list.span(),
                "places: it names no place",
                "name regions of this file, or `*` for all",
            );
        }
        for (index, region) in list.get_ref().iter().enumerate() {
            self.region(region)?;
            if list.get_ref()[..index].contains(region) {
                let message = format!("`{}` is there twice", region.get_ref());
                return self.wrong(region.span(), message, "name it once");
            }
        }
        Ok(())
    }

    /// A region of this file, or `*`.
    fn region(&self, region: &Spanned<String>) -> Checked {
        if region.get_ref() == "*" || self.cloud_file.places.contains_key(region) {
            return Ok(());
        }
        let known: Vec<&str> = self
            .cloud_file
            .places
            .keys()
            .map(|region| region.get_ref().as_str())
            .collect();
        let hint = format!(
            "this file has {}; `*` is all of them. It cannot speak of other clouds",
            known.join(", ")
        );
        self.wrong(
            region.span(),
            format!("there is no place `{}` in this file", region.get_ref()),
            hint,
        )
    }
}

/// `service/spark@3.5/product`.
fn service_name(row: &super::cloud_file::Service) -> String {
    let version = row
        .version
        .as_ref()
        .map(|version| version.get_ref().clone())
        .unwrap_or_default();
    ServiceName {
        service: row.service.get_ref().clone(),
        version,
        product: row.product.clone(),
    }
    .to_string()
}
