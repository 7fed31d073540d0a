//! From the file of a cloud to rows of the catalog.

use super::Registration;
use super::cloud_file::{Cards, CloudFile, List, fault};
use super::exact_figure::Figure;
use crate::catalog::CatalogError;
use crate::catalog::catalog_toml::SourceEntry;
use crate::catalog::draft::{
    CloudRow, ConfidentialRow, Draft, MachineRow, PlaceRow, PriceRow, ServiceRow,
};
use crate::catalog::files::File;
use crate::catalog::format::{MILLIS_PER_SECOND, NANO, PPM_PER_PERCENT};
use crate::model::Pattern;
use jiff::civil::Date;
use std::collections::BTreeMap;
use toml::Spanned;

/// Makes the sources of a file: one for each day that prices end.
struct Sources<'a> {
    cloud_file: &'a CloudFile,
    today: String,
}

/// Why a row does not hold today.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NotInForce {
    /// The row holds from a later day on.
    #[error("holds only from {0} on")]
    Before(String),
    /// The last day of the row is past.
    #[error("expired on {0}")]
    After(String),
}

impl Sources<'_> {
    /// The source of what the file says without days of its own.
    fn of_whole_file(&self, draft: &mut Draft, file: &File) -> Result<String, CatalogError> {
        self.of(draft, None, None).map_err(|why| {
            let cloud = self.cloud_file.cloud.get_ref();
            CatalogError::file(
                &file.shown,
                format!("the registration of `{cloud}` {why}"),
                "ask the cloud for its newest file",
            )
        })
    }

    /// The source of a row; the reason if it does not hold today.
    fn of(
        &self,
        draft: &mut Draft,
        valid_from: Option<&Spanned<String>>,
        until: Option<&Spanned<String>>,
    ) -> Result<String, NotInForce> {
        let whole_until = self.cloud_file.valid_until.get_ref();
        let row_until = until.map_or(whole_until, |until| until.get_ref().min(whole_until));
        if let Some(from) = valid_from.filter(|from| *from.get_ref() > self.today) {
            return Err(NotInForce::Before(from.get_ref().clone()));
        }
        if *row_until < self.today {
            return Err(NotInForce::After(row_until.clone()));
        }
        let (cloud, date) = (
            self.cloud_file.cloud.get_ref(),
            self.cloud_file.date.get_ref(),
        );
        let id = format!("joined-{cloud}-{date}-until-{row_until}");
        let source = SourceEntry {
            date: date.clone(),
            about: format!("{}: registered by a file", self.cloud_file.about),
            url: self.cloud_file.url.clone(),
            valid_until: row_until.clone(),
            list: String::new(),
        };
        draft.sources.insert(id.clone(), source);
        Ok(id)
    }
}

/// Adds the rows of a checked file.
pub(super) fn add_rows(
    cloud_file: &CloudFile,
    file: &File,
    today: Date,
    draft: &mut Draft,
    registration: &mut Registration,
) -> Result<(), CatalogError> {
    let sources = Sources {
        cloud_file,
        today: today.to_string(),
    };
    let whole_source = sources.of_whole_file(draft, file)?;
    registration.places += add_places(cloud_file, draft, &whole_source);
    registration.machines += add_machines(cloud_file, draft, &whole_source);
    add_terms(cloud_file, draft, &whole_source);
    add_prices(cloud_file, file, &sources, draft, registration)?;
    add_services(cloud_file, file, &sources, draft, registration)?;
    add_network(cloud_file, file, draft, &whole_source)?;
    add_limits(cloud_file, file, &sources, draft, registration)
}

/// The text of a key; empty: the file does not have it.
fn text_of(value: &Option<Spanned<String>>) -> String {
    value
        .as_ref()
        .map(|text| text.get_ref().clone())
        .unwrap_or_default()
}

/// A figure in units of one part of `per`; 0: the file does not have it.
fn figure_or_zero(value: &Option<Figure>, per: i64) -> u64 {
    value
        .as_ref()
        .map_or(0, |value| value.get_ref().scaled(per).unsigned_abs())
}

/// The regions that a list names; `*` is all regions of the file.
fn regions_of(cloud_file: &CloudFile, wanted: &List) -> Vec<String> {
    let wanted_regions = wanted.get_ref();
    if wanted_regions.iter().any(|region| region.get_ref() == "*") {
        return cloud_file
            .places
            .keys()
            .map(|region| region.get_ref().clone())
            .collect();
    }
    wanted_regions
        .iter()
        .map(|region| region.get_ref().clone())
        .collect()
}

/// Adds the places, and returns how many there are.
fn add_places(cloud_file: &CloudFile, draft: &mut Draft, source: &str) -> usize {
    for (region, place) in &cloud_file.places {
        let place_row = PlaceRow {
            country: text_of(&place.country),
            location: place.location.clone(),
            operator: place.operator.clone(),
            us_cloud_act: text_of(&place.us_cloud_act),
            parent: place.parent.clone(),
            parent_country: text_of(&place.parent_country),
            class: text_of(&place.class),
            evidence: place.evidence.clone(),
            source: source.to_owned(),
        };
        draft.places.insert(
            format!("{}:{}", cloud_file.cloud.get_ref(), region.get_ref()),
            place_row,
        );
    }
    cloud_file.places.len()
}

/// Adds the machine types with their confidential-computing environments, and returns how many
/// there are.
fn add_machines(cloud_file: &CloudFile, draft: &mut Draft, source: &str) -> usize {
    let cloud = cloud_file.cloud.get_ref();
    for (name, machine) in &cloud_file.machines {
        let count = machine
            .count
            .as_ref()
            .map_or(1000, |count| count.get_ref().scaled(1000));
        // The check of the file has refused a count that is too large or negative.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let machine_row = MachineRow {
            vcpu_thousandths: figure_or_zero(&machine.vcpus, 1000),
            memory: figure_or_zero(&machine.memory_gib, 1 << 30),
            accelerator: machine
                .accelerator
                .as_ref()
                .map(|name| (name.get_ref().clone(), count)),
            arch: text_of(&machine.arch),
            source: String::new(),
        };
        draft
            .machines
            .insert((cloud.clone(), name.get_ref().clone()), machine_row);
        for tee in &machine.tee {
            let tee_key = (cloud.clone(), name.get_ref().clone(), tee.get_ref().clone());
            let (places, source) = (format!("{cloud}:*"), source.to_owned());
            draft.confidential.insert(
                tee_key,
                ConfidentialRow {
                    places,
                    source,
                    evidence: String::new(),
                },
            );
        }
    }
    cloud_file.machines.len()
}

/// Adds the prices of machines that hold today, with the interruption rates of spot machines.
fn add_prices(
    cloud_file: &CloudFile,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
    registration: &mut Registration,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    for price in &cloud_file.prices {
        let name = price.instance_type.get_ref();
        let source = match sources.of(draft, price.valid_from.as_ref(), price.valid_until.as_ref())
        {
            Ok(source) => source,
            Err(why) => {
                registration
                    .left_out
                    .push(format!("the price of {name} {why}"));
                continue;
            }
        };
        let rate = |rate: &Option<Figure>| {
            rate.as_ref()
                .map(|rate| (rate.get_ref().scaled(NANO), source.clone()))
        };
        let price_row = PriceRow {
            on_demand: rate(&price.on_demand),
            spot: rate(&price.spot),
        };
        for region in regions_of(cloud_file, &price.places) {
            let prices_there = draft
                .prices
                .entry((cloud.clone(), region.clone()))
                .or_default();
            if prices_there
                .insert(name.clone(), price_row.clone())
                .is_some()
            {
                let message = format!("`{name}` has two prices at {region} that hold today");
                return Err(fault(
                    file,
                    price.instance_type.span(),
                    message,
                    "keep one of them",
                ));
            }
            registration.prices += 1;
            if let Some(percent) = price
                .interrupted_percent
                .as_ref()
                .filter(|_| price.spot.is_some())
            {
                let rate_key = (cloud.clone(), name.clone(), region);
                draft.interruptions.insert(
                    rate_key,
                    (percent.get_ref().scaled(PPM_PER_PERCENT), source.clone()),
                );
            }
        }
    }
    Ok(())
}

/// Adds the services that hold today.
fn add_services(
    cloud_file: &CloudFile,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
    registration: &mut Registration,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    for service in &cloud_file.services {
        let (name, version) = (service.service.get_ref(), text_of(&service.version));
        let source = match sources.of(
            draft,
            service.valid_from.as_ref(),
            service.valid_until.as_ref(),
        ) {
            Ok(source) => source,
            Err(why) => {
                registration
                    .left_out
                    .push(format!("the price of {name} {version} {why}"));
                continue;
            }
        };
        let service_row = ServiceRow {
            unit: service.unit.get_ref().clone(),
            price: service.price.get_ref().scaled(NANO),
            vcpu_thousandths: figure_or_zero(&service.vcpus, 1000),
            memory: figure_or_zero(&service.memory_gib, 1 << 30),
            source,
            evidence: String::new(),
        };
        for region in regions_of(cloud_file, &service.places) {
            let service_key = (
                format!("{cloud}:{region}"),
                name.clone(),
                version.clone(),
                service.product.clone(),
            );
            if draft
                .services
                .insert(service_key, service_row.clone())
                .is_some()
            {
                let message = format!("`{name}` is offered twice at {region}");
                return Err(fault(
                    file,
                    service.service.span(),
                    message,
                    "give one of them a `product` of its own",
                ));
            }
            registration.services += 1;
        }
    }
    Ok(())
}

fn add_terms(cloud_file: &CloudFile, draft: &mut Draft, source: &str) {
    let optional_figure =
        |value: &Option<Figure>, per| value.as_ref().map(|value| value.get_ref().scaled(per));
    let terms = &cloud_file.terms;
    let terms_row = CloudRow {
        times: [&terms.increment_s, &terms.minimum_s, &terms.boot_s]
            .map(|time| optional_figure(time, MILLIS_PER_SECOND)),
        free_egress: optional_figure(&terms.free_egress_gb, NANO),
        storage: optional_figure(&terms.storage_usd_per_gb_month, NANO),
        source: source.to_owned(),
        evidence: "its own file".to_owned(),
        gigabyte: optional_figure(&terms.gb_bytes, 1),
    };
    draft
        .clouds
        .insert(cloud_file.cloud.get_ref().clone(), terms_row);
}

fn add_network(
    cloud_file: &CloudFile,
    file: &File,
    draft: &mut Draft,
    source: &str,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    let own_place = |region: &str| format!("{cloud}:{region}");
    let places: Vec<String> = draft.places.keys().cloned().collect();
    let route_end = |end: &Spanned<String>| -> Result<String, CatalogError> {
        let text = end.get_ref().as_str();
        if text == "*"
            || cloud_file
                .places
                .keys()
                .any(|region| region.get_ref() == text)
        {
            return Ok(own_place(text));
        }
        let pattern = Pattern(text.to_owned());
        if text == "internet"
            || text == "local:here"
            || places.iter().any(|place| pattern.matches(place))
        {
            return Ok(text.to_owned());
        }
        let nearest_place = places
            .iter()
            .map(|place| (strsim::levenshtein(place, text), place))
            .min();
        let hint = match nearest_place.filter(|(distance, _)| *distance <= 3) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => "name `internet`, a region of this file, `*` for all of them, or a place of the catalog".to_owned(),
        };
        Err(fault(
            file,
            end.span(),
            format!("`{text}` is not a place and no pattern that matches one"),
            hint,
        ))
    };
    for row in &cloud_file.egress {
        let above = row
            .above_gb
            .as_ref()
            .map_or(0, |above| above.get_ref().scaled(NANO).unsigned_abs());
        let egress_row = draft
            .egress
            .entry((own_place(row.from.get_ref()), route_end(&row.to)?))
            .or_default();
        egress_row
            .tiers
            .insert(above, row.usd_per_gb.get_ref().scaled(NANO));
        egress_row.source = source.to_owned();
    }
    for row in &cloud_file.throughput {
        let (from, to) = (route_end(&row.from)?, route_end(&row.to)?);
        draft.throughput.insert(
            (from, to),
            (
                row.gbps.get_ref().scaled(NANO).unsigned_abs(),
                source.to_owned(),
            ),
        );
    }
    Ok(())
}

/// The places `cloud:region` of the regions in a list.
fn places_of(cloud: &str, regions: &List) -> Vec<String> {
    regions
        .get_ref()
        .iter()
        .map(|region| format!("{cloud}:{}", region.get_ref()))
        .collect()
}

/// Adds quotas, and the discounts that hold today.
fn add_limits(
    cloud_file: &CloudFile,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
    registration: &mut Registration,
) -> Result<(), CatalogError> {
    add_quotas(cloud_file, file, sources, draft)?;
    add_discounts(cloud_file, file, sources, draft, registration)
}

fn add_quotas(
    cloud_file: &CloudFile,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    let whole_source = sources.of_whole_file(draft, file)?;
    let named_places = |regions: &List| places_of(cloud, regions);
    for quota in &cloud_file.quotas {
        let domains = quota
            .places
            .as_ref()
            .map_or_else(|| vec![cloud.clone()], named_places);
        let mut figures: BTreeMap<String, i64> = BTreeMap::new();
        figures.extend(
            quota
                .cpus
                .as_ref()
                .map(|most| ("cpus".to_owned(), most.get_ref().scaled(1))),
        );
        figures.extend(
            quota
                .instances
                .as_ref()
                .map(|most| ("instances".to_owned(), most.get_ref().scaled(1))),
        );
        match quota.accelerators.as_ref().map(Spanned::get_ref) {
            Some(Cards::Any(most)) => {
                figures.insert("accelerators".to_owned(), most.scaled(1));
            }
            Some(Cards::Named(cards)) => {
                for (card, most) in cards {
                    let of_machine =
                        |row: &MachineRow| row.accelerator.as_ref().map(|(name, _)| name.clone());
                    let same_name = |name: &String| name.eq_ignore_ascii_case(card.get_ref());
                    let known_card = draft.accelerator_name(card.get_ref()).map(str::to_owned);
                    let known_card = known_card.or_else(|| {
                        draft
                            .machines
                            .values()
                            .filter_map(of_machine)
                            .find(same_name)
                    });
                    let Some(known) = known_card else {
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
                draft.quotas.insert(
                    (domain.clone(), what.clone()),
                    (*most, whole_source.clone(), String::new()),
                );
            }
        }
    }
    Ok(())
}

fn add_discounts(
    cloud_file: &CloudFile,
    file: &File,
    sources: &Sources<'_>,
    draft: &mut Draft,
    registration: &mut Registration,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    let named_places = |regions: &List| places_of(cloud, regions);
    for discount in &cloud_file.discounts {
        let percent = discount.percent.get_ref();
        let source = match sources.of(
            draft,
            discount.valid_from.as_ref(),
            discount.valid_until.as_ref(),
        ) {
            Ok(source) => source,
            Err(why) => {
                registration
                    .left_out
                    .push(format!("the discount of {} % {why}", percent.0));
                continue;
            }
        };
        let places = discount
            .places
            .as_ref()
            .map_or_else(|| vec![format!("{cloud}:*")], named_places);
        let types = discount.instance_types.as_ref().map_or_else(
            || "*".to_owned(),
            |types| {
                types
                    .get_ref()
                    .iter()
                    .map(|name| name.get_ref().as_str())
                    .collect::<Vec<_>>()
                    .join(";")
            },
        );
        let discount_key = (places.join(";"), types);
        let discount_row = (percent.scaled(PPM_PER_PERCENT), source, String::new());
        if draft.discounts.insert(discount_key, discount_row).is_some() {
            let message = "there is another discount for the same places and instance types";
            return Err(fault(
                file,
                discount.percent.span(),
                message,
                "keep one of them",
            ));
        }
    }
    Ok(())
}
