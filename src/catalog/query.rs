//! Questions to a catalog, without printing.

use crate::catalog::{Accelerator, Catalog};
use crate::model::uniform::{ServiceName, UniformName, What};
use crate::model::{Bytes, Machine, Offer, Pattern, Place, Purchase};

/// Which offers to list; an empty filter lists all on-demand offers.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The cloud matches this pattern.
    pub cloud: Option<Pattern>,
    /// The place, `cloud:region`, matches this pattern.
    pub place: Option<Pattern>,
    /// The place is in one of these ISO 3166 countries; empty: anywhere.
    pub countries: Vec<String>,
    /// The accelerator, by any of its names.
    pub accelerator: Option<String>,
    /// The exact number of accelerators, in thousandths.
    pub accelerator_count: Option<u32>,
    /// The instance type matches this pattern.
    pub instance_type: Option<Pattern>,
    /// Least number of virtual CPUs, in thousandths.
    pub min_vcpus: u64,
    /// Least memory.
    pub min_memory: Bytes,
    /// Spot offers instead of on-demand ones.
    pub spot: bool,
}

impl Filter {
    fn machine(&self, machine: &Machine, catalog: &Catalog) -> bool {
        let has_cards = |wanted: &String| {
            machine.accelerator.as_ref().is_some_and(|(name, count)| {
                catalog.is_accelerator(name, wanted)
                    && self.accelerator_count.is_none_or(|wanted| wanted == *count)
            })
        };
        // Services are asked for by their names.
        (machine.service.is_none() || self.instance_type.is_some())
            && self
                .cloud
                .as_ref()
                .is_none_or(|cloud| cloud.matches(&machine.cloud))
            && self
                .instance_type
                .as_ref()
                .is_none_or(|name| name.matches(&machine.instance_type))
            && machine.vcpu_thousandths >= self.min_vcpus
            && machine.memory >= self.min_memory
            && self.accelerator.as_ref().is_none_or(has_cards)
    }

    fn place(&self, place: &Place) -> bool {
        let in_country = |country: &String| self.countries.contains(country);
        self.place
            .as_ref()
            .is_none_or(|name| name.matches(&place.name.to_string()))
            && (self.countries.is_empty() || place.country.as_ref().is_some_and(in_country))
    }
}

/// The offers that pass the filter, the cheapest first; then by place and instance type.
pub fn find<'a>(catalog: &'a Catalog, filter: &Filter) -> Vec<&'a Offer> {
    offers_among(&catalog.offers, catalog, filter)
}

/// The offers that would pass the filter and have ended, on demand and spot ones.
pub fn lapsed<'a>(catalog: &'a Catalog, filter: &Filter) -> Vec<&'a Offer> {
    let mut offers = offers_among(
        &catalog.lapsed,
        catalog,
        &Filter {
            spot: false,
            ..filter.clone()
        },
    );
    offers.extend(offers_among(
        &catalog.lapsed,
        catalog,
        &Filter {
            spot: true,
            ..filter.clone()
        },
    ));
    offers
}

fn offers_among<'a>(offers: &'a [Offer], catalog: &Catalog, filter: &Filter) -> Vec<&'a Offer> {
    let machines: Vec<bool> = catalog
        .machines
        .iter()
        .map(|machine| filter.machine(machine, catalog))
        .collect();
    let places: Vec<bool> = catalog
        .places
        .iter()
        .map(|place| filter.place(place))
        .collect();
    let purchase = if filter.spot {
        Purchase::Spot
    } else {
        Purchase::OnDemand
    };
    let passes = |offer: &&Offer| {
        offer.purchase == purchase
            && places[offer.place as usize]
            && machines[offer.machine as usize]
    };
    let mut offers: Vec<&Offer> = offers.iter().filter(passes).collect();
    // Offers lie by place and machine, and the sort is stable.
    offers.sort_by_key(|offer| offer.rate);
    offers
}

/// The uniform name of an offer.
pub fn name(catalog: &Catalog, offer: &Offer) -> UniformName {
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    let service = machine
        .service
        .as_ref()
        .and_then(|_| ServiceName::parse(&machine.instance_type));
    let machine = || What::Machine {
        instance_type: machine.instance_type.clone(),
        purchase: offer.purchase,
    };
    let known_as = service.map_or_else(machine, What::Service);
    UniformName {
        place: place.name.clone(),
        what: known_as,
    }
}

/// The offer of a uniform name.
pub fn named<'a>(catalog: &'a Catalog, wanted_name: &UniformName) -> Option<&'a Offer> {
    named_among(&catalog.offers, catalog, wanted_name)
}

/// The offer of a uniform name, if it is one that has ended.
pub fn named_lapsed<'a>(catalog: &'a Catalog, wanted_name: &UniformName) -> Option<&'a Offer> {
    named_among(&catalog.lapsed, catalog, wanted_name)
}

fn named_among<'a>(
    offers: &'a [Offer],
    catalog: &Catalog,
    wanted_name: &UniformName,
) -> Option<&'a Offer> {
    let place = catalog.place_id(&wanted_name.place)?;
    // Offers lie by place.
    let start = offers.partition_point(|offer| offer.place < place);
    let mut offers_there = offers[start..]
        .iter()
        .take_while(|offer| offer.place == place);
    offers_there.find(|offer| name(catalog, offer) == *wanted_name)
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// A cloud, and how much there is of it.
    Cloud(&'a str, Count),
    /// A place.
    Place(&'a Place),
    /// One instance type of one cloud; several clouds may use the name.
    Machines(Vec<&'a Machine>),
    /// An accelerator, by its canonical name.
    Accelerator(&'a str, &'a Accelerator),
}

/// Looks a name up: a cloud, a place, an accelerator, or an instance type (also `cloud:type`, for
/// the few that are called like an accelerator).
pub fn look_up<'a>(catalog: &'a Catalog, name: &str) -> Option<Entry<'a>> {
    if let Some(place) = catalog
        .places
        .iter()
        .find(|place| place.name.to_string() == name)
    {
        return Some(Entry::Place(place));
    }
    if let Some(canonical) = catalog.accelerator_name(name) {
        return catalog
            .accelerators
            .get_key_value(canonical)
            .map(|(name, row)| Entry::Accelerator(name, row));
    }
    if let Some((cloud, count)) = counts(catalog).remove_entry(name) {
        return Some(Entry::Cloud(cloud, count));
    }
    let same_type = |machine: &&Machine| {
        machine.instance_type == name
            || name.strip_prefix(&format!("{}:", machine.cloud))
                == Some(machine.instance_type.as_str())
    };
    let machines: Vec<&Machine> = catalog.machines.iter().filter(same_type).collect();
    (!machines.is_empty()).then_some(Entry::Machines(machines))
}

/// The known name that is nearest to a misspelt one.
pub fn nearest<'a>(catalog: &'a Catalog, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    use std::borrow::Cow;
    let places = catalog
        .places
        .iter()
        .map(|place| Cow::Owned(place.name.to_string()));
    let machines = catalog
        .machines
        .iter()
        .map(|machine| match &machine.service {
            Some(service) => Cow::Borrowed(service.name.as_str()),
            None => Cow::Borrowed(machine.instance_type.as_str()),
        });
    let accelerators = catalog
        .accelerators
        .keys()
        .map(|name| Cow::Borrowed(name.as_str()));
    let lower_case = name.to_ascii_lowercase();
    places
        .chain(machines)
        .chain(accelerators)
        .map(|known| {
            (
                strsim::levenshtein(&known.to_ascii_lowercase(), &lower_case),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known)
}

/// How much a catalog holds of one cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Number of places.
    pub places: usize,
    /// Number of machine types.
    pub machines: usize,
    /// Number of offers on demand.
    pub on_demand: usize,
    /// Number of spot offers.
    pub spot: usize,
    /// Number of offers of services.
    pub services: usize,
}

/// What a catalog holds, by cloud; `local` is not a cloud.
pub fn counts(catalog: &Catalog) -> std::collections::BTreeMap<&str, Count> {
    let mut counts_by_cloud: std::collections::BTreeMap<&str, Count> =
        std::collections::BTreeMap::new();
    for place in catalog
        .places
        .iter()
        .filter(|place| place.name.cloud != "local")
    {
        counts_by_cloud.entry(&place.name.cloud).or_default().places += 1;
    }
    for machine in catalog
        .machines
        .iter()
        .filter(|machine| machine.service.is_none())
    {
        counts_by_cloud.entry(&machine.cloud).or_default().machines += 1;
    }
    // Offers lie by place: a cloud is looked up once for each.
    for same in catalog.offers.chunk_by(|a, b| a.place == b.place) {
        let service = |offer: &&Offer| catalog.machine(offer).service.is_some();
        let services = same.iter().filter(service).count();
        let spot = same
            .iter()
            .filter(|offer| !service(offer) && offer.purchase == Purchase::Spot)
            .count();
        let count = counts_by_cloud
            .entry(&catalog.place(&same[0]).name.cloud)
            .or_default();
        count.services += services;
        count.spot += spot;
        count.on_demand += same.len() - spot - services;
    }
    counts_by_cloud
}
