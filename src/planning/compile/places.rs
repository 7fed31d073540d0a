//! What follows from a place alone: the price of the links out of it under the policy's own links,
//! how near it is to a country, how its cloud bills.

use crate::catalog::{Catalog, Terms};
use crate::model::units::{MS_PER_HOUR, div_half_even, saturate};
use crate::model::{
    Bandwidth, DataRate, Gigabyte, Latency, Millis, Needs, PlaceName, Policy, Tariff,
};
use std::borrow::Cow;

/// Hours in a month, where a price is per month.
const HOURS_PER_MONTH: i128 = 730;

/// The places of a catalog, as a policy sees them.
pub struct Places<'a> {
    /// The catalog that has the places.
    pub catalog: &'a Catalog,
    /// The policy whose links and accounts set prices of transfers.
    pub policy: &'a Policy,
    /// `cloud:region`, by place.
    pub names: Vec<String>,
    /// By link of the policy: which places it leads from and to.
    links: Vec<(Vec<bool>, Vec<bool>)>,
    /// By place.
    terms: Vec<Option<&'a Terms>>,
}

impl<'a> Places<'a> {
    /// Looks up, once, which places the links of the policy lead from and to.
    pub fn new(catalog: &'a Catalog, policy: &'a Policy) -> Self {
        let names: Vec<String> = catalog
            .places
            .iter()
            .map(|place| place.name.to_string())
            .collect();
        let matching = |pattern: &crate::model::Pattern| {
            names.iter().map(|name| pattern.matches(name)).collect()
        };
        let links = policy
            .links
            .iter()
            .map(|link| (matching(&link.from), matching(&link.to)))
            .collect();
        let terms = catalog
            .places
            .iter()
            .map(|place| catalog.terms.get(&place.name.cloud))
            .collect();
        Self {
            catalog,
            policy,
            names,
            links,
            terms,
        }
    }

    /// The price of a link that the account has an arrangement for, per GB as the cloud bills it
    /// that the data leaves.
    pub fn link(&self, from: u32, to: u32) -> Option<Tariff> {
        let (source, target) = (from as usize, to as usize);
        let matching = self
            .links
            .iter()
            .rposition(|(sources, targets)| sources[source] && targets[target])?;
        Some(Tariff::flat(
            self.gigabyte(from),
            self.policy.links[matching].rate,
        ))
    }

    /// Returns how many bytes a billed GB has there.
    fn gigabyte(&self, place: u32) -> Gigabyte {
        self.terms[place as usize].map_or(Gigabyte::DECIMAL, |terms| terms.gigabyte)
    }

    /// The price list of a link: the account's own arrangement, else the catalog's. `None`:
    /// unknown.
    pub fn tariff(&self, from: u32, to: u32) -> Option<Cow<'a, Tariff>> {
        match self.link(from, to).filter(|_| from != to) {
            Some(tariff) => Some(Cow::Owned(tariff)),
            None => self.catalog.network.tariff(from, to).map(Cow::Borrowed),
        }
    }

    /// How fast data moves from one place to another.
    pub fn bandwidth(&self, from: u32, to: u32) -> Bandwidth {
        speed(self.catalog, self.policy, from, to)
            .unwrap_or_else(|| self.catalog.network.bandwidth(from, to))
    }

    /// Whether a link leaves a cloud: what clouds bill as egress to the internet.
    pub fn leaves_cloud(&self, from: u32, to: u32) -> bool {
        self.cloud(from) != self.cloud(to)
    }

    /// The cloud of a place.
    pub fn cloud(&self, place: u32) -> &'a str {
        &self.catalog.places[place as usize].name.cloud
    }

    /// How long a machine takes to come up there.
    pub fn boot(&self, place: u32) -> Millis {
        self.terms[place as usize].map_or(Millis(0), |terms| terms.boot)
    }

    /// The machine time that is billed for `time`: at least the minimum, in whole increments.
    pub fn billed(&self, place: u32, time: Millis) -> Millis {
        self.terms[place as usize].map_or(time, |terms| billed(terms, time))
    }

    /// Keeping data there as long as the policy says; free if it does not say.
    pub fn keep(&self, place: u32) -> Tariff {
        let (Some(keep), Some(terms)) = (self.policy.keep, self.terms[place as usize]) else {
            return Tariff::free();
        };
        let nano_cost = i128::from(terms.storage.0) * i128::from(keep.0);
        let rate = DataRate(saturate(div_half_even(
            nano_cost,
            HOURS_PER_MONTH * MS_PER_HOUR,
        )));
        Tariff::flat(terms.gigabyte, rate)
    }

    /// Whether a place is near enough for what a stage needs.
    pub fn within(&self, place: u32, needs: &Needs) -> bool {
        needs
            .latency
            .as_ref()
            .is_none_or(|bound| self.near(place, bound))
    }

    /// Whether a place is known to be near enough: in the country, or with a round trip to some
    /// place in it that was measured and is short enough.
    fn near(&self, place: u32, bound: &Latency) -> bool {
        let in_country =
            |place: u32| self.catalog.places[place as usize].country.as_ref() == Some(&bound.to);
        let short_trip = |(&(a, b), trip): (&(u32, u32), &Millis)| {
            *trip <= bound.at_most
                && ((a == place && in_country(b)) || (b == place && in_country(a)))
        };
        in_country(place) || self.catalog.round_trips.iter().any(short_trip)
    }
}

/// The known speed of a link: as measured, and no more than the policy declares for this machine's
/// link. `None`: neither is known, and a speed has to be assumed.
pub fn speed(catalog: &Catalog, policy: &Policy, from: u32, to: u32) -> Option<Bandwidth> {
    let is_here = |place: u32| catalog.places[place as usize].name == PlaceName::here();
    let measured_speed = catalog.network.speed(from, to).map(|speed| speed.bandwidth);
    let declared = match from == to {
        true => None,
        false if is_here(from) => policy.home.uplink,
        false if is_here(to) => policy.home.download_speed(),
        false => None,
    };
    measured_speed.into_iter().chain(declared).min()
}

/// The machine time that is billed for `time`.
pub fn billed(terms: &Terms, time: Millis) -> Millis {
    let whole_time = match terms.increment.0 {
        0 => time.0,
        increment => time.0.div_ceil(increment).saturating_mul(increment),
    };
    Millis(whole_time.max(terms.minimum.0))
}
