//! What a catalog has that cannot be meant, or does not say: rows to look at before planning on it.
//!
//! The loader refuses what it cannot read; this is about figures that can be read. Suspicious are
//! prices that are far off their peers; the importers leave the same out. Gaps are what is unknown,
//! which satisfies no rule and no need.

use crate::catalog::peer_prices::{
    LEAST_PER_CARD, TIMES_OFF_ELSEWHERE, TIMES_OFF_PEERS, medians, per_card,
};
use crate::catalog::{Catalog, price_age};
use crate::model::{Offer, Purchase, Reach};
use std::collections::{BTreeMap, BTreeSet};

/// A price per unit of computing under the median of all accelerators by more than this is not
/// believed. An assumption: accelerators of one time lie within ten times of each other.
const OFF_PER_RATE: i64 = 30;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The kind of the finding.
    pub kind: Kind,
    /// What the finding is about: a place, a machine, an accelerator, a cloud or a source.
    pub name: String,
    /// The instance type, if the finding is about a price.
    pub instance_type: Option<String>,
    /// What is odd, with the figures.
    pub message: String,
}

/// Kinds of findings; the first ones are suspicious, the others are gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A price that is next to nothing for what is offered.
    PriceTooLow,
    /// A price far off the same machine in the other regions of its cloud.
    OffPeers,
    /// A price far under what the accelerator costs elsewhere.
    OffAccelerator,
    /// A spot price above the price on demand.
    SpotAboveOnDemand,
    /// A spot price under a hundredth of the price on demand.
    SpotTooLow,
    /// An accelerator without rates.
    UnknownAccelerator,
    /// A place without a country.
    NoCountry,
    /// A place without an operator.
    NoOperator,
    /// A place of which it is unknown whether the US CLOUD Act reaches it.
    NoReach,
    /// A machine type whose vCPUs or memory are unknown.
    NoSize,
    /// A cloud of which it is unknown how it bills and boots.
    NoTerms,
    /// A place out of which no route has a price.
    NoEgress,
    /// A source that is long before the newest price.
    OldSource,
    /// Prices of a machine type that are more than a year before its newest one, and not known to
    /// have changed.
    OldBesideNewer,
    /// Prices that are more than a year old, scaled by how the price of the machine type changed
    /// since.
    Estimated,
    /// Machine types that their cloud has announced to retire.
    Retiring,
    /// Offers that held until a day before the newest price.
    Lapsed,
    /// Machine types that their cloud has retired, by what the catalog knows.
    Retired,
    /// Rows of price lists that are not offered, by reason.
    Dropped,
}

impl Kind {
    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PriceTooLow => "price-too-low",
            Kind::OffPeers => "off-peers",
            Kind::OffAccelerator => "off-accelerator",
            Kind::SpotAboveOnDemand => "spot-above-on-demand",
            Kind::SpotTooLow => "spot-too-low",
            Kind::UnknownAccelerator => "unknown-accelerator",
            Kind::NoCountry => "no-country",
            Kind::NoOperator => "no-operator",
            Kind::NoReach => "no-us-cloud-act",
            Kind::NoSize => "no-size",
            Kind::NoTerms => "no-terms",
            Kind::NoEgress => "no-egress-price",
            Kind::OldSource => "old-source",
            Kind::OldBesideNewer => "old-beside-newer",
            Kind::Estimated => "estimated-price",
            Kind::Retiring => "retiring",
            Kind::Retired => "retired",
            Kind::Dropped => "dropped-rows",
            Kind::Lapsed => "lapsed",
        }
    }

    /// Whether findings of this kind are figures that cannot be meant.
    pub fn is_suspicious(self) -> bool {
        self < Kind::UnknownAccelerator
    }

    /// Whether findings of this kind are something that the catalog does not say.
    pub fn is_gap(self) -> bool {
        (Kind::UnknownAccelerator..=Kind::OldSource).contains(&self)
    }
}

/// All findings, the suspicious ones first, then by name.
pub fn findings(catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    prices(catalog, &mut found);
    gaps(catalog, &mut found);
    old_sources(catalog, &mut found);
    lapsed(catalog, &mut found);
    years_apart(catalog, &mut found);
    retirements(catalog, &mut found);
    dropped(catalog, &mut found);
    found.sort();
    found
}

fn prices(catalog: &Catalog, found: &mut Vec<Finding>) {
    let on_demand = |offer: &&Offer| offer.purchase == Purchase::OnDemand;
    let machine_key = |offer: &Offer| offer.machine.to_string();
    let of_machine = medians(
        catalog
            .offers
            .iter()
            .filter(on_demand)
            .map(|offer| (machine_key(offer), offer.rate.0)),
    );
    let card = |offer: &Offer| {
        let (name, count) = catalog.machine(offer).accelerator.as_ref()?;
        Some((name.clone(), per_card(offer.rate.0, *count)))
    };
    let of_accelerator = medians(catalog.offers.iter().filter(on_demand).filter_map(card));
    let by_rate = |offer: &Offer| {
        let (name, price) = card(offer)?;
        let rates = &catalog.accelerators.get(&name)?.gigaflops;
        let gigaflops = rates.get("bf16").or_else(|| rates.get("fp16"))?;
        // Nano-USD for a petaflop per second and hour.
        i64::try_from(i128::from(price) * 1_000_000 / i128::from(*gigaflops).max(1)).ok()
    };
    let rates = catalog
        .offers
        .iter()
        .filter(on_demand)
        .filter_map(|offer| Some((String::new(), by_rate(offer)?)));
    let of_rates = medians(rates).get("").copied();
    let mut last: Option<&Offer> = None;
    for offer in &catalog.offers {
        let mut put = |kind, message| {
            found.push(Finding {
                kind,
                name: catalog.place(offer).name.to_string(),
                instance_type: Some(catalog.machine(offer).instance_type.clone()),
                message,
            });
        };
        let (rate, here) = (offer.rate.0, card(offer));
        let peers = of_machine.get(&machine_key(offer)).copied();
        let elsewhere = here
            .as_ref()
            .and_then(|(name, _)| of_accelerator.get(name).copied());
        let median = |nano: i64| crate::model::Rate(nano);
        if let Some((name, price)) = here.as_ref().filter(|(_, price)| *price < LEAST_PER_CARD) {
            put(
                Kind::PriceTooLow,
                format!(
                    "{} for one {name} and hour, {}",
                    median(*price),
                    offer.purchase
                ),
            );
        } else if let (Some(price), Some(usual)) = (by_rate(offer), of_rates)
            && price.saturating_mul(OFF_PER_RATE) < usual
        {
            let message = format!(
                "{} {}, under a {OFF_PER_RATE}th of what computing costs",
                offer.rate, offer.purchase
            );
            put(Kind::PriceTooLow, message);
        } else if offer.purchase == Purchase::OnDemand {
            if let Some(peers) = peers
                && (rate > peers.saturating_mul(TIMES_OFF_PEERS)
                    || rate.saturating_mul(TIMES_OFF_PEERS) < peers)
            {
                put(
                    Kind::OffPeers,
                    format!(
                        "{}, the median of its cloud is {}",
                        offer.rate,
                        median(peers)
                    ),
                );
            } else if let (Some((name, price)), Some(usual)) = (&here, elsewhere)
                && price.saturating_mul(TIMES_OFF_ELSEWHERE) < usual
            {
                put(
                    Kind::OffAccelerator,
                    format!(
                        "{} for one {name}, the median is {}",
                        median(*price),
                        median(usual)
                    ),
                );
            }
        }
        // The offer on demand lies just before its spot offer.
        let same = last.filter(|last| (last.place, last.machine) == (offer.place, offer.machine));
        if let Some(before) = same.filter(|before| before.rate < offer.rate) {
            put(
                Kind::SpotAboveOnDemand,
                format!("spot {}, on demand {}", offer.rate, before.rate),
            );
        } else if let Some(before) = same.filter(|before| rate.saturating_mul(100) < before.rate.0)
        {
            put(
                Kind::SpotTooLow,
                format!("spot {}, on demand {}", offer.rate, before.rate),
            );
        }
        last = Some(offer);
    }
}

fn gaps(catalog: &Catalog, found: &mut Vec<Finding>) {
    let mut put = |kind, name: String, message: String| {
        found.push(Finding {
            kind,
            name,
            instance_type: None,
            message,
        });
    };
    let with_offers: BTreeSet<u32> = catalog.offers.iter().map(|offer| offer.place).collect();
    let used: BTreeSet<&str> = with_offers
        .iter()
        .map(|id| catalog.places[*id as usize].name.cloud.as_str())
        .collect();
    for (place, id) in catalog
        .places
        .iter()
        .zip(0_u32..)
        .filter(|(place, _)| place.name.cloud != "local")
    {
        let name = || place.name.to_string();
        if place.country.is_none() {
            put(
                Kind::NoCountry,
                name(),
                "its country is unknown: no residency rule lets data there".to_owned(),
            );
        }
        if place.operator.is_empty() {
            put(
                Kind::NoOperator,
                name(),
                "its operator is unknown".to_owned(),
            );
        }
        if place.cloud_act == Reach::Unknown {
            put(
                Kind::NoReach,
                name(),
                "whether the US CLOUD Act reaches it is unknown: it counts as reached".to_owned(),
            );
        }
        let leaves = || {
            let mut others = catalog
                .places
                .iter()
                .zip(0_u32..)
                .filter(|(other, _)| other.name.cloud != "local");
            others.any(|(_, to)| to != id && catalog.network.tariff(id, to).is_some())
        };
        if with_offers.contains(&id) && !leaves() {
            put(
                Kind::NoEgress,
                name(),
                "no way out has a known price: no plan moves data from there".to_owned(),
            );
        }
    }
    for cloud in used
        .iter()
        .filter(|cloud| !catalog.terms.contains_key(**cloud))
    {
        let message =
            "how it bills and boots is unknown: to the millisecond, and in no time".to_owned();
        put(Kind::NoTerms, (*cloud).to_owned(), message);
    }
    let machines = catalog
        .machines
        .iter()
        .filter(|machine| machine.service.is_none());
    for machine in machines.filter(|machine| machine.vcpu_thousandths == 0 || machine.memory.0 == 0)
    {
        let what = if machine.memory.0 == 0 {
            "memory"
        } else {
            "vCPUs"
        };
        let message = format!("its {what} are unknown: it meets no need of them");
        put(
            Kind::NoSize,
            format!("{}:{}", machine.cloud, machine.instance_type),
            message,
        );
    }
    for (name, row) in &catalog.accelerators {
        if row.gigaflops.is_empty() {
            put(
                Kind::UnknownAccelerator,
                name.clone(),
                "it has no rates: no `work` is divided by it".to_owned(),
            );
        }
    }
}

/// Sources of prices of any kind that are long before the newest price.
fn old_sources(catalog: &Catalog, found: &mut Vec<Finding>) {
    let mut used: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    let mut count = |source: Option<u16>, kind: &'static str| {
        if let Some(source) = source {
            *used.entry((source, kind)).or_default() += 1;
        }
    };
    catalog
        .offers
        .iter()
        .for_each(|offer| count(Some(offer.source), "prices"));
    catalog
        .extras
        .values()
        .for_each(|extras| count(extras.source, "prices of boot disks and addresses"));
    catalog
        .terms
        .values()
        .for_each(|terms| count(terms.source, "prices of storage"));
    let places = 0..u32::try_from(catalog.places.len()).unwrap_or(u32::MAX);
    let routes = places
        .clone()
        .flat_map(|from| places.clone().map(move |to| (from, to)));
    routes.for_each(|(from, to)| {
        count(
            catalog
                .network
                .priced(from, to)
                .and_then(|(_, source)| source),
            "prices of egress",
        )
    });
    for ((source, kind), prices) in used {
        let source = &catalog.sources[usize::from(source)];
        let days = price_age::days_between(&source.date, &catalog.date).unwrap_or(0);
        if days > OLD {
            let message = format!("{prices} {kind} are {days} days older than the newest");
            found.push(Finding {
                kind: Kind::OldSource,
                name: source.id.clone(),
                instance_type: None,
                message,
            });
        }
    }
}

/// Sources whose last day is past, and the offers that went with them.
fn lapsed(catalog: &Catalog, found: &mut Vec<Finding>) {
    for (source, id) in catalog.sources.iter().zip(0_u16..) {
        let until = &source.valid_until;
        if until.is_empty() || *until >= catalog.date {
            continue;
        }
        let of_source = || catalog.lapsed.iter().filter(|offer| offer.source == id);
        let mut types: Vec<&str> = of_source()
            .map(|offer| catalog.machine(offer).instance_type.as_str())
            .collect();
        types.sort_unstable();
        types.dedup();
        let what = match (of_source().count(), types.as_slice()) {
            (0, _) => "what it says of limits and discounts".to_owned(),
            (1, [one, ..]) => format!("its offer of {one}"),
            (many, [one]) => format!("its {many} offers of {one}"),
            (many, [one, rest @ ..]) => {
                format!("its {many} offers of {one} and {} more", rest.len())
            }
            (many, []) => format!("its {many} offers"),
        };
        let message = format!(
            "{what} held until {until}, before the newest price ({}): not offered",
            catalog.date
        );
        found.push(Finding {
            kind: Kind::Lapsed,
            name: source.id.clone(),
            instance_type: None,
            message,
        });
    }
}

/// Machine types with prices that are more than a year apart.
fn years_apart(catalog: &Catalog, found: &mut Vec<Finding>) {
    let days = price_age::source_days(catalog);
    let newest = price_age::newest_prices(catalog, &days);
    // By machine: places with prices that stand as they are, that were scaled, that did not change.
    let mut types: BTreeMap<u32, (usize, usize, BTreeSet<&str>)> = BTreeMap::new();
    for offer in &catalog.offers {
        let day = days[usize::from(offer.source)];
        let Some(latest) =
            newest[offer.machine as usize].filter(|latest| latest - day > price_age::APART)
        else {
            continue;
        };
        let changes = catalog
            .price_changes
            .get(&offer.machine)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let is_known = price_age::change_for(changes, &days, day).is_some()
            || offer.purchase == Purchase::Spot;
        if !offer.estimated && is_known {
            continue;
        }
        let entry = types.entry(offer.machine).or_default();
        entry.0 += usize::from(!offer.estimated);
        entry.1 += usize::from(offer.estimated);
        entry
            .2
            .insert(&catalog.sources[usize::from(offer.source)].date);
        debug_assert!(latest >= day);
    }
    for (machine, (plain, scaled, dates)) in types {
        let machine = &catalog.machines[machine as usize];
        let name = format!("{}:{}", machine.cloud, machine.instance_type);
        let since = dates.first().copied().unwrap_or_default();
        if plain > 0 {
            let message = format!(
                "{plain} prices, the oldest of {since}, are more than a year before the newest of the type, and how \
                 its price changed is not known"
            );
            found.push(Finding {
                kind: Kind::OldBesideNewer,
                name: name.clone(),
                instance_type: None,
                message,
            });
        }
        if scaled > 0 {
            let message = format!(
                "{scaled} prices, the oldest of {since}, are scaled by how the price of the type changed since"
            );
            found.push(Finding {
                kind: Kind::Estimated,
                name,
                instance_type: None,
                message,
            });
        }
    }
}

/// What clouds have retired, and what they will.
fn retirements(catalog: &Catalog, found: &mut Vec<Finding>) {
    let mut types: BTreeMap<(Kind, u32, &str, &str), usize> = BTreeMap::new();
    for (offers, kind) in [
        (&catalog.retired, Kind::Retired),
        (&catalog.offers, Kind::Retiring),
    ] {
        for offer in offers {
            let Some(retirement) = catalog.retires(offer) else {
                continue;
            };
            *types
                .entry((
                    kind,
                    offer.machine,
                    retirement.day.as_str(),
                    retirement.evidence.as_str(),
                ))
                .or_default() += 1;
        }
    }
    for ((kind, machine, day, evidence), offers) in types {
        let machine = &catalog.machines[machine as usize];
        let name = format!("{}:{}", machine.cloud, machine.instance_type);
        let from = if evidence.is_empty() {
            String::new()
        } else {
            format!(" ({evidence})")
        };
        let message = match kind {
            Kind::Retired => format!("retired on {day}{from}: its {offers} prices are not offered"),
            _ => format!("will retire on {day}{from}"),
        };
        found.push(Finding {
            kind,
            name,
            instance_type: None,
            message,
        });
    }
}

/// Rows of price lists that are not offered.
fn dropped(catalog: &Catalog, found: &mut Vec<Finding>) {
    for row in &catalog.dropped {
        let name = match row.instance_type.as_str() {
            "" => row.cloud.clone(),
            machine => format!("{}:{machine}", row.cloud),
        };
        let rows = if row.rows == 1 {
            "1 price".to_owned()
        } else {
            format!("{} prices", row.rows)
        };
        let message = format!("{rows}: {} ({})", row.reason, row.source);
        found.push(Finding {
            kind: Kind::Dropped,
            name,
            instance_type: None,
            message,
        });
    }
}

/// Days after which prices are old beside newer ones.
const OLD: i32 = 366;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::files::File;
    use crate::catalog::load;

    fn check(prices: &str) -> Vec<(Kind, String)> {
        let file = |name: &str, text: String| File {
            name: name.to_owned(),
            shown: name.to_owned(),
            text,
        };
        let head = "format = 1\n[sources.a]\ndate = \"2026-01-01\"\nabout = \"A\"\n\
                    [sources.old]\ndate = \"2024-01-01\"\nabout = \"Old\"\n";
        let files = [
            file("accelerators.csv", "name,bf16\nB200,2250\nT4,65\n".to_owned()),
            file("catalog.toml", head.to_owned()),
            file("machines.csv", "cloud,instance_type,vcpus,memory_gib,accelerator,count\nx,cpu,8,32,,\nx,odd,,32,New,1\nx,b200,8,32,B200,8\nx,t4,4,16,T4,1\n".to_owned()),
            file("places.csv", "place,country,operator,us_cloud_act\nx:a,DE,X,no\nx:b,DE,X,no\nx:c,DE,X,no\nx:d,,,\n".to_owned()),
            file("prices.csv", format!("place,instance_type,on_demand,source,spot,spot_source\n{prices}")),
        ];
        findings(&load::from_files(&files).unwrap())
            .into_iter()
            .map(|one| (one.kind, one.name))
            .collect()
    }

    fn suspicious(prices: &str) -> Vec<(Kind, String)> {
        check(prices)
            .into_iter()
            .filter(|(kind, _)| kind.is_suspicious())
            .collect()
    }

    #[test]
    fn each_kind_of_price_is_found() {
        let one = |kind, name: &str| vec![(kind, name.to_owned())];
        let fine = "x:a,cpu,1,a,0.3,\nx:b,cpu,1.2,a,0.4,\nx:c,cpu,0.9,a,,\nx:a,t4,0.5,a,0.1,\nx:b,t4,0.6,a,,\nx:a,b200,30,a,9,\n";
        assert_eq!(suspicious(fine), []);
        assert_eq!(
            suspicious(&format!("{fine}x:c,b200,0.01,a,,\n")),
            one(Kind::PriceTooLow, "x:c")
        );
        assert_eq!(
            suspicious(&format!("{fine}x:c,b200,,a,0.05,\n")),
            one(Kind::PriceTooLow, "x:c")
        );
        // Thirty cents for eight of them is more than a cent a card, and still no price.
        assert_eq!(
            suspicious(&format!("{fine}x:c,b200,0.3,a,,\n")),
            one(Kind::PriceTooLow, "x:c")
        );
        assert_eq!(
            suspicious(&format!("{fine}x:d,cpu,5.6,a,,\n")),
            one(Kind::OffPeers, "x:d")
        );
        assert_eq!(
            suspicious(&format!("{fine}x:d,cpu,0.15,a,,\n")),
            one(Kind::OffPeers, "x:d")
        );
        assert_eq!(
            suspicious(&format!("{fine}x:d,cpu,1,a,1.01,\n")),
            one(Kind::SpotAboveOnDemand, "x:d")
        );
        assert_eq!(
            suspicious(&format!("{fine}x:d,cpu,1,a,0.009,\n")),
            one(Kind::SpotTooLow, "x:d")
        );
        let cards = "x:a,b200,30,a,,\nx:b,b200,28,a,,\nx:c,b200,32,a,,\nx:d,b200,2.7,a,,\n";
        assert_eq!(suspicious(cards), one(Kind::OffPeers, "x:d"));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let found = check("x:a,odd,1,a,,\nx:b,odd,1,old,,\nx:d,cpu,1,a,,\n");
        let has = |kind, name: &str| found.contains(&(kind, name.to_owned()));
        for (kind, name) in [
            (Kind::NoCountry, "x:d"),
            (Kind::NoOperator, "x:d"),
            (Kind::NoReach, "x:d"),
            (Kind::NoSize, "x:odd"),
            (Kind::UnknownAccelerator, "New"),
            (Kind::NoTerms, "x"),
            (Kind::NoEgress, "x:a"),
            (Kind::OldSource, "old"),
        ] {
            assert!(has(kind, name), "{kind:?} {name} in {found:?}");
        }
        assert!(
            !has(Kind::NoCountry, "x:a")
                && !has(Kind::OldSource, "a")
                && !has(Kind::NoEgress, "x:c")
        );
        assert!(found.iter().all(|(kind, _)| !kind.is_suspicious()));
    }

    #[test]
    fn old_prices_of_every_kind_are_said() {
        let found = findings(&load::shipped().unwrap());
        let says = |source: &str, kind: &str| {
            let of = |one: &&Finding| one.kind == Kind::OldSource && one.name == source;
            found
                .iter()
                .filter(of)
                .any(|one| one.message.contains(kind))
        };
        assert!(
            says("egress-2022-11-01", "prices of egress are 13"),
            "{found:?}"
        );
        assert!(says("egress-2022-12-01", "prices of egress"));
        assert!(says("aws-2024-11-03", " prices are "));
        assert!(says(
            "gcp-skus-2025-03",
            "prices of boot disks and addresses"
        ));
        // Newer than the newest price of a machine.
        assert!(
            !found
                .iter()
                .any(|one| one.kind == Kind::OldSource && one.name == "terms-2026-11")
        );
    }

    #[test]
    fn the_shipped_catalog_has_nothing_suspicious() {
        let found = findings(&load::shipped().unwrap());
        let suspicious: Vec<&Finding> = found
            .iter()
            .filter(|one| one.kind.is_suspicious())
            .collect();
        assert!(suspicious.is_empty(), "{suspicious:?}");
        assert!(
            !found
                .iter()
                .any(|one| matches!(one.kind, Kind::NoCountry | Kind::NoSize | Kind::NoTerms))
        );
    }
}
