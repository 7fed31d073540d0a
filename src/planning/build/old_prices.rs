//! How much of a plan's bill rests on prices that are old beside the newest of the catalog.
//!
//! All kinds of prices that the catalog dates count: machines and services, boot disks and public
//! addresses, moving data, and keeping it. What the user declares (own hosts, the policy's links)
//! is of no list, and of no day.

use super::offer_fields::extras_at;
use super::plan_parts::Parts;
use crate::catalog::{host_offers, price_age};
use crate::model::units::{div_half_even, saturate_unsigned};
use crate::model::{Money, PlaceName};
use crate::plan::{OldPrices, PlannedStage, PlannedTransfer};
use crate::planning::compile::Places;
use std::collections::BTreeMap;

/// One figure of the bill: what kind of price it rests on, how much it is, and the day of the
/// price.
struct Line<'a> {
    kind: &'static str,
    cost: Money,
    day: &'a str,
}

/// Returns how much of a plan's bill rests on old prices; `None` when nothing does.
pub(super) fn of(
    parts: &Parts<'_>,
    stages: &[PlannedStage],
    transfers: &[PlannedTransfer],
    total: Money,
) -> Option<OldPrices> {
    let newest = &parts.inputs.catalog_date;
    let is_old = |line: &Line| {
        line.cost.0 > 0
            && price_age::days_between(line.day, newest).is_some_and(|days| days > price_age::OLD)
    };
    let of_a_list = |stage: &&PlannedStage| stage.price_source.id != host_offers::OWN;
    let old_stages: Vec<&PlannedStage> = stages
        .iter()
        .filter(of_a_list)
        .filter(|stage| is_old(&machine_line(stage)))
        .collect();
    let mut old_lines: Vec<Line> = old_stages.iter().map(|stage| machine_line(stage)).collect();
    old_lines.extend(
        other_lines(parts, stages, transfers)
            .into_iter()
            .filter(is_old),
    );
    let oldest = old_lines.iter().map(|line| line.day).min()?.to_owned();
    let mut kinds: BTreeMap<String, Money> = BTreeMap::new();
    for line in &old_lines {
        let kind_total = kinds.entry(line.kind.to_owned()).or_insert(Money(0));
        *kind_total += line.cost;
    }
    let cost: Money = kinds.values().copied().sum();
    let share = div_half_even(i128::from(cost.0) * 1_000_000, i128::from(total.0.max(1)));
    let estimated = old_stages
        .iter()
        .filter(|stage| stage.price_source.estimated);
    Some(OldPrices {
        older_than_days: price_age::OLD.unsigned_abs(),
        cost_micro_usd: cost,
        share_ppm: saturate_unsigned(share),
        oldest,
        kinds,
        estimated: estimated.map(|stage| stage.name.clone()).collect(),
    })
}

/// Returns what a stage pays for its machines, or for a service.
fn machine_line(stage: &PlannedStage) -> Line<'_> {
    Line {
        kind: "machines",
        cost: stage.cost_micro_usd,
        day: &stage.price_source.date,
    }
}

/// The bill but for the machines themselves.
fn other_lines<'a>(
    parts: &Parts<'a>,
    stages: &[PlannedStage],
    transfers: &[PlannedTransfer],
) -> Vec<Line<'a>> {
    let catalog = parts.catalog;
    let places = Places::new(catalog, parts.policy);
    let day = |source: Option<u16>| {
        source.map_or("", |id| catalog.sources[usize::from(id)].date.as_str())
    };
    let kept_at = |place: &PlaceName| {
        day(catalog
            .terms
            .get(&place.cloud)
            .and_then(|terms| terms.source))
    };
    let mut lines_beside = Vec::new();
    for stage in stages {
        let cost = stage.disk_micro_usd + stage.address_micro_usd;
        lines_beside.push(Line {
            kind: "boot disks and addresses",
            cost,
            day: day(extras_at(catalog, &stage.place).0),
        });
        lines_beside.push(Line {
            kind: "storage",
            cost: stage.storage_micro_usd,
            day: kept_at(&stage.place),
        });
    }
    for transfer in transfers {
        lines_beside.push(Line {
            kind: "storage",
            cost: transfer.storage_micro_usd,
            day: kept_at(&transfer.to),
        });
        let (Some(from), Some(to)) = (
            catalog.place_id(&transfer.from),
            catalog.place_id(&transfer.to),
        ) else {
            continue;
        };
        // What the account has an arrangement for is not of the catalog.
        if places.link(from, to).is_none() {
            let source = catalog
                .network
                .priced(from, to)
                .and_then(|(_, source)| source);
            lines_beside.push(Line {
                kind: "egress",
                cost: transfer.cost_micro_usd,
                day: day(source),
            });
        }
    }
    lines_beside
}
