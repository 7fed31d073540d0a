//! Fields of a plan that follow from the offer that a stage takes.

use super::plan_parts::Parts;
use crate::catalog::Catalog;
use crate::model::{AcceleratorNeed, Machine, Offer, PlaceName, Rate, Stage, Unit};
use crate::plan::{Billing, Usage};
use crate::planning::problem::{ChoiceId, StageId};
use crate::util::id_vec::Id;

/// The source of what comes with machines at a place, and whether its prices are those of other
/// places.
pub(super) fn extras_at(catalog: &Catalog, place: &PlaceName) -> (Option<u16>, bool) {
    catalog
        .extras
        .get(place)
        .map_or((None, false), |extras| (extras.source, extras.estimated))
}

/// The offer that a choice of a stage stands for.
pub(super) fn offer_of<'a>(parts: &Parts<'a>, stage: StageId, choice: ChoiceId) -> &'a Offer {
    let tag = parts.compiled.instance.stages[stage].choices[choice].tag;
    &parts.catalog.offers[parts.compiled.candidates[stage][tag].offer.index()]
}

/// Returns the accelerators of a machine as a plan writes them, such as `V100:4`.
pub(super) fn accelerator(machine: &Machine) -> Option<String> {
    let (name, count) = machine.accelerator.as_ref()?;
    Some(
        AcceleratorNeed {
            name: name.clone(),
            thousandths: *count,
        }
        .to_string(),
    )
}

/// How time at an offer is billed; not at all if it is paid by something else.
pub(super) fn billing(catalog: &Catalog, offer: &Offer) -> Billing {
    let terms = catalog.terms.get(&catalog.place(offer).name.cloud);
    let terms = terms.filter(|_| catalog.machine(offer).unit() == Unit::Hour);
    terms.map_or(Billing::default(), |terms| Billing {
        increment_ms: terms.increment,
        minimum_ms: terms.minimum,
    })
}

/// The price of an offer per hour; 0 if it is per something else.
pub(super) fn hourly(catalog: &Catalog, offer: &Offer) -> Rate {
    if catalog.machine(offer).unit() == Unit::Hour {
        offer.rate
    } else {
        Rate(0)
    }
}

/// Returns the quantity that a stage pays for at an offer which is not billed by time.
pub(super) fn usage(catalog: &Catalog, offer: &Offer, stage: &Stage) -> Option<Usage> {
    let unit = catalog.machine(offer).unit();
    let quantity = unit.counts(stage.needs.scans, stage.needs.requests)?;
    Some(Usage {
        unit,
        rate_nano_usd_per_unit: offer.rate,
        quantity,
    })
}
