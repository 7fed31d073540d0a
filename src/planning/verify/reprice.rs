//! What a saved plan would cost at the prices of another catalog, line by line, without planning
//! again.

use crate::catalog::Catalog;
use crate::model::{DataRate, Money, Offer, PlaceName, Purchase, Rate};
use crate::plan::{Plan, PlannedStage, PlannedTransfer};

/// The lines of a plan whose price another catalog changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repriced {
    /// In the plan's order.
    pub stages: Vec<RepricedStage>,
    /// Transfers whose price list changed, in the plan's order.
    pub transfers: Vec<RepricedTransfer>,
    /// How much more (or less) these lines cost, all together; lines whose price is gone are not
    /// counted.
    pub difference: Money,
    /// Lines whose price is gone.
    pub gone: usize,
}

/// A stage whose offer changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepricedStage {
    /// The name of the stage in the plan.
    pub name: String,
    /// The place that the plan has the stage run at.
    pub place: PlaceName,
    /// The machine type that the plan takes.
    pub instance_type: String,
    /// How the plan buys the machines.
    pub purchase: Purchase,
    /// The rate per machine and hour that the plan was made with.
    pub old: Rate,
    /// None: the offer is gone.
    pub new: Option<Rate>,
    /// None: the offer is gone.
    pub difference: Option<Money>,
}

/// A transfer whose price list changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepricedTransfer {
    /// The artifact, as the plan names it.
    pub artifact: String,
    /// The place that the plan takes the artifact from.
    pub from: PlaceName,
    /// The place that the plan brings the artifact to.
    pub to: PlaceName,
    /// The price of its last gigabyte.
    pub old: DataRate,
    /// The price of its last gigabyte now; `None`: the link has no known price.
    pub new: Option<DataRate>,
    /// How much more the transfer costs now (or less); `None`: it has no known price now.
    pub difference: Option<Money>,
}

impl Repriced {
    /// Whether the plan costs what it says.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.transfers.is_empty()
    }
}

/// Compares the prices in a plan with those of `new`. If the plan was made from `old`, transfers
/// are compared by its price lists, else by what the plan says of them: each is priced alone, from
/// the first byte of a month on.
pub fn reprice(plan: &Plan, old: &Catalog, new: &Catalog) -> Repriced {
    let old_catalog = Some(old).filter(|old| old.digest == plan.inputs.catalog);
    let mut repriced_plan = Repriced {
        stages: plan
            .stages
            .iter()
            .filter_map(|stage| reprice_stage(stage, new))
            .collect(),
        transfers: plan
            .transfers
            .iter()
            .filter_map(|transfer| reprice_transfer(transfer, old_catalog, new))
            .collect(),
        ..Repriced::default()
    };
    let stages = repriced_plan.stages.iter().map(|stage| stage.difference);
    for difference in stages.chain(
        repriced_plan
            .transfers
            .iter()
            .map(|transfer| transfer.difference),
    ) {
        match difference {
            Some(more) => {
                repriced_plan.difference = Money(repriced_plan.difference.0.saturating_add(more.0))
            }
            None => repriced_plan.gone += 1,
        }
    }
    repriced_plan
}

fn reprice_stage(stage: &PlannedStage, new: &Catalog) -> Option<RepricedStage> {
    let old_rate = stage.rate_nano_usd_per_hour;
    let rate =
        find_offer(new, &stage.place, &stage.instance_type, stage.purchase).map(|offer| offer.rate);
    let cost = |rate: Rate| rate.cost(stage.nodes, stage.billed_ms).0;
    (rate != Some(old_rate)).then(|| RepricedStage {
        name: stage.name.clone(),
        place: stage.place.clone(),
        instance_type: stage.instance_type.clone(),
        purchase: stage.purchase,
        old: old_rate,
        new: rate,
        difference: rate.map(|rate| Money(cost(rate).saturating_sub(cost(old_rate)))),
    })
}

fn find_offer<'a>(
    catalog: &'a Catalog,
    place: &PlaceName,
    machine: &str,
    purchase: Purchase,
) -> Option<&'a Offer> {
    let id = catalog.place_id(place)?;
    let start = catalog.offers.partition_point(|offer| offer.place < id);
    let offers_there = catalog.offers[start..]
        .iter()
        .take_while(|offer| offer.place == id);
    offers_there
        .into_iter()
        .find(|offer| offer.purchase == purchase && catalog.machine(offer).instance_type == machine)
}

fn reprice_transfer(
    transfer: &PlannedTransfer,
    old: Option<&Catalog>,
    new: &Catalog,
) -> Option<RepricedTransfer> {
    let price_list = |catalog: &Catalog| {
        let (from, to) = (
            catalog.place_id(&transfer.from)?,
            catalog.place_id(&transfer.to)?,
        );
        catalog.network.tariff(from, to).cloned()
    };
    let (was, is) = (old.and_then(price_list), price_list(new));
    let unchanged = match &was {
        Some(_) => was == is,
        None => is
            .as_ref()
            .is_some_and(|list| list.last_rate(transfer.bytes) == transfer.rate_nano_usd_per_gb),
    };
    let cost_before = was.map_or(transfer.cost_micro_usd, |list| list.cost(transfer.bytes));
    (!unchanged).then(|| RepricedTransfer {
        artifact: transfer.artifact.to_string(),
        from: transfer.from.clone(),
        to: transfer.to.clone(),
        old: transfer.rate_nano_usd_per_gb,
        new: is.as_ref().map(|list| list.last_rate(transfer.bytes)),
        difference: is.map(|list| Money(list.cost(transfer.bytes).0.saturating_sub(cost_before.0))),
    })
}
