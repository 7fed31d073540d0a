//! From the file of a cloud to rows of the catalog.

use super::Joined;
use super::form::{Cards, Form, List, fault};
use super::number::Figure;
use crate::catalog::CatalogError;
use crate::catalog::draft::{CloudRow, ConfidentialRow, Draft, MachineRow, PlaceRow, PriceRow, ServiceRow};
use crate::catalog::files::File;
use crate::catalog::load::HeadSource;
use crate::catalog::terms::{MILLIS, NANO, PER_PERCENT};
use crate::model::Pattern;
use jiff::civil::Date;
use std::collections::BTreeMap;
use toml::Spanned;

/// Makes the sources of a file: one for each day that prices end.
struct Sources<'a> {
    form: &'a Form,
    today: String,
}

impl Sources<'_> {
    /// The source of a row; the reason if it does not hold today.
    fn of(
        &self,
        draft: &mut Draft,
        from: Option<&Spanned<String>>,
        until: Option<&Spanned<String>>,
    ) -> Result<String, String> {
        let whole = self.form.valid_until.get_ref();
        let until = until.map_or(whole, |until| until.get_ref().min(whole));
        if let Some(from) = from.filter(|from| *from.get_ref() > self.today) {
            return Err(format!("holds only from {} on", from.get_ref()));
        }
        if *until < self.today {
            return Err(format!("expired on {until}"));
        }
        let (cloud, date) = (self.form.cloud.get_ref(), self.form.date.get_ref());
        let id = format!("joined-{cloud}-{date}-until-{until}");
        let source = HeadSource {
            date: date.clone(),
            about: format!("{}: registered by a file", self.form.about),
            url: self.form.url.clone(),
            valid_until: until.clone(),
            list: String::new(),
        };
        draft.sources.insert(id.clone(), source);
        Ok(id)
    }
}

/// Adds the rows of a checked form.
pub(super) fn add(
    form: &Form,
    file: &File,
    today: Date,
    draft: &mut Draft,
    joined: &mut Joined,
) -> Result<(), CatalogError> {
    let cloud = form.cloud.get_ref();
    let sources = Sources { form, today: today.to_string() };
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default();
    // The file as a whole holds today, so this cannot fail.
    let whole = sources.of(draft, None, None).unwrap_or_default();
    let regions = |wanted: &List| -> Vec<String> {
        let all = || form.places.keys().map(|region| region.get_ref().clone());
        let wanted = wanted.get_ref();
        let any = wanted.iter().any(|region| region.get_ref() == "*");
        if any { all().collect() } else { wanted.iter().map(|region| region.get_ref().clone()).collect() }
    };
    for (region, place) in &form.places {
        let row = PlaceRow {
            country: text(&place.country),
            location: place.location.clone(),
            operator: place.operator.clone(),
            us_cloud_act: text(&place.us_cloud_act),
            parent: place.parent.clone(),
            parent_country: text(&place.parent_country),
            class: text(&place.class),
            evidence: place.evidence.clone(),
            source: whole.clone(),
        };
        draft.places.insert(format!("{cloud}:{}", region.get_ref()), row);
        joined.places += 1;
    }
    for (name, machine) in &form.machines {
        let figure =
            |value: &Option<Figure>, per| value.as_ref().map_or(0, |value| value.get_ref().scaled(per).unsigned_abs());
        let count = machine.count.as_ref().map_or(1000, |count| count.get_ref().scaled(1000));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let row = MachineRow {
            vcpu_thousandths: figure(&machine.vcpus, 1000),
            memory: figure(&machine.memory_gib, 1 << 30),
            accelerator: machine.accelerator.as_ref().map(|name| (name.get_ref().clone(), count)),
            arch: text(&machine.arch),
            source: String::new(),
        };
        draft.machines.insert((cloud.clone(), name.get_ref().clone()), row);
        joined.machines += 1;
        for tee in &machine.tee {
            let key = (cloud.clone(), name.get_ref().clone(), tee.get_ref().clone());
            let row = ConfidentialRow { places: format!("{cloud}:*"), source: whole.clone(), evidence: String::new() };
            draft.confidential.insert(key, row);
        }
    }
    terms(form, draft, &whole);
    for price in &form.prices {
        let name = price.instance_type.get_ref();
        let source = match sources.of(draft, price.valid_from.as_ref(), price.valid_until.as_ref()) {
            Ok(source) => source,
            Err(why) => {
                joined.left_out.push(format!("the price of {name} {why}"));
                continue;
            }
        };
        let rate = |rate: &Option<Figure>| rate.as_ref().map(|rate| (rate.get_ref().scaled(NANO), source.clone()));
        let row = PriceRow { on_demand: rate(&price.on_demand), spot: rate(&price.spot) };
        for region in regions(&price.places) {
            let there = draft.prices.entry((cloud.clone(), region.clone())).or_default();
            if there.insert(name.clone(), row.clone()).is_some() {
                let message = format!("`{name}` has two prices at {region} that hold today");
                return Err(fault(file, price.instance_type.span(), message, "keep one of them"));
            }
            joined.prices += 1;
            if let Some(percent) = price.interrupted_percent.as_ref().filter(|_| price.spot.is_some()) {
                let key = (cloud.clone(), name.clone(), region);
                draft.interruptions.insert(key, (percent.get_ref().scaled(PER_PERCENT), source.clone()));
            }
        }
    }
    for service in &form.services {
        let name = service.service.get_ref();
        let source = match sources.of(draft, service.valid_from.as_ref(), service.valid_until.as_ref()) {
            Ok(source) => source,
            Err(why) => {
                joined.left_out.push(format!("the price of {name} {} {why}", text(&service.version)));
                continue;
            }
        };
        let figure =
            |value: &Option<Figure>, per| value.as_ref().map_or(0, |value| value.get_ref().scaled(per).unsigned_abs());
        let row = ServiceRow {
            unit: service.unit.get_ref().clone(),
            price: service.price.get_ref().scaled(NANO),
            vcpu_thousandths: figure(&service.vcpus, 1000),
            memory: figure(&service.memory_gib, 1 << 30),
            source,
            evidence: String::new(),
        };
        for region in regions(&service.places) {
            let key = (format!("{cloud}:{region}"), name.clone(), text(&service.version), service.product.clone());
            if draft.services.insert(key, row.clone()).is_some() {
                let message = format!("`{name}` is offered twice at {region}");
                return Err(fault(file, service.service.span(), message, "give one of them a `product` of its own"));
            }
            joined.services += 1;
        }
    }
    network(form, file, draft, &whole)?;
    limits(form, file, &sources, draft, joined)
}

fn terms(form: &Form, draft: &mut Draft, source: &str) {
    let figure = |value: &Option<Figure>, per| value.as_ref().map(|value| value.get_ref().scaled(per));
    let terms = &form.terms;
    let row = CloudRow {
        times: [&terms.increment_s, &terms.minimum_s, &terms.boot_s].map(|time| figure(time, MILLIS)),
        free_egress: figure(&terms.free_egress_gb, NANO),
        storage: figure(&terms.storage_usd_per_gb_month, NANO),
        source: source.to_owned(),
        evidence: "its own file".to_owned(),
        gigabyte: figure(&terms.gb_bytes, 1),
    };
    draft.clouds.insert(form.cloud.get_ref().clone(), row);
}

fn network(form: &Form, file: &File, draft: &mut Draft, source: &str) -> Result<(), CatalogError> {
    let cloud = form.cloud.get_ref();
    let own = |region: &str| format!("{cloud}:{region}");
    let places: Vec<String> = draft.places.keys().cloned().collect();
    let end = |end: &Spanned<String>| -> Result<String, CatalogError> {
        let text = end.get_ref().as_str();
        if text == "*" || form.places.keys().any(|region| region.get_ref() == text) {
            return Ok(own(text));
        }
        let pattern = Pattern(text.to_owned());
        if text == "internet" || text == "local:here" || places.iter().any(|place| pattern.matches(place)) {
            return Ok(text.to_owned());
        }
        let near = places.iter().map(|place| (strsim::levenshtein(place, text), place)).min();
        let hint = match near.filter(|(distance, _)| *distance <= 3) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => "name `internet`, a region of this file, `*` for all of them, or a place of the catalog".to_owned(),
        };
        Err(fault(file, end.span(), format!("`{text}` is no place and no pattern that matches one"), hint))
    };
    for row in &form.egress {
        let above = row.above_gb.as_ref().map_or(0, |above| above.get_ref().scaled(NANO).unsigned_abs());
        let entry = draft.egress.entry((own(row.from.get_ref()), end(&row.to)?)).or_default();
        entry.tiers.insert(above, row.usd_per_gb.get_ref().scaled(NANO));
        entry.source = source.to_owned();
    }
    for row in &form.throughput {
        let (from, to) = (end(&row.from)?, end(&row.to)?);
        draft.throughput.insert((from, to), (row.gbps.get_ref().scaled(NANO).unsigned_abs(), source.to_owned()));
    }
    Ok(())
}

fn limits(
    form: &Form,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
    joined: &mut Joined,
) -> Result<(), CatalogError> {
    let cloud = form.cloud.get_ref();
    let whole = sources.of(draft, None, None).unwrap_or_default();
    let named = |regions: &List| -> Vec<String> {
        regions.get_ref().iter().map(|region| format!("{cloud}:{}", region.get_ref())).collect()
    };
    for quota in &form.quotas {
        let domains = quota.places.as_ref().map_or_else(|| vec![cloud.clone()], named);
        let mut figures: BTreeMap<String, i64> = BTreeMap::new();
        figures.extend(quota.cpus.as_ref().map(|most| ("cpus".to_owned(), most.get_ref().scaled(1))));
        figures.extend(quota.instances.as_ref().map(|most| ("instances".to_owned(), most.get_ref().scaled(1))));
        match quota.accelerators.as_ref().map(Spanned::get_ref) {
            Some(Cards::Any(most)) => drop(figures.insert("accelerators".to_owned(), most.scaled(1))),
            Some(Cards::Named(cards)) => {
                for (card, most) in cards {
                    let of_machine = |row: &MachineRow| row.accelerator.as_ref().map(|(name, _)| name.clone());
                    let same = |name: &String| name.eq_ignore_ascii_case(card.get_ref());
                    let known = draft.accelerator_name(card.get_ref()).map(str::to_owned);
                    let known = known.or_else(|| draft.machines.values().filter_map(of_machine).find(same));
                    let Some(known) = known else {
                        let message = format!("`{}` is nothing that is counted", card.get_ref());
                        let hint = "name an accelerator that a machine of this file has";
                        return Err(fault(file, card.span(), message, hint));
                    };
                    figures.insert(known, most.get_ref().scaled(1));
                }
            }
            None => {}
        }
        for domain in domains {
            for (what, most) in &figures {
                draft.quotas.insert((domain.clone(), what.clone()), (*most, whole.clone(), String::new()));
            }
        }
    }
    for discount in &form.discounts {
        let percent = discount.percent.get_ref();
        let source = match sources.of(draft, discount.valid_from.as_ref(), discount.valid_until.as_ref()) {
            Ok(source) => source,
            Err(why) => {
                joined.left_out.push(format!("the discount of {} % {why}", percent.0));
                continue;
            }
        };
        let places = discount.places.as_ref().map_or_else(|| vec![format!("{cloud}:*")], named);
        let types = discount.instance_types.as_ref().map_or_else(
            || "*".to_owned(),
            |types| types.get_ref().iter().map(|name| name.get_ref().as_str()).collect::<Vec<_>>().join(";"),
        );
        let key = (places.join(";"), types);
        let row = (percent.scaled(PER_PERCENT), source, String::new());
        if draft.discounts.insert(key, row).is_some() {
            let message = "there is another discount for the same places and instance types";
            return Err(fault(file, discount.percent.span(), message, "keep one of them"));
        }
    }
    Ok(())
}
