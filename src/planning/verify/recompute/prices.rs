//! Price lists of transfers and of storage.

use super::plan_check::PlanCheck;
use crate::model::units::{MS_PER_HOUR, div_half_even, saturate};
use crate::model::{Bytes, Money, PlaceName, Tariff};

/// Hours in a month, where a price is per month.
pub(super) const HOURS_PER_MONTH: i128 = 730;

/// What is billed together: the transfers out of a cloud, inside of it or to others, that have one
/// price list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bill {
    pub cloud: String,
    pub leaves_cloud: bool,
    pub tariff: Tariff,
}

/// The price list of a transfer.
pub(super) struct TransferPrice {
    pub tariff: Tariff,
    /// The bill that the volume is counted on; `None`: an arrangement of one's own is counted on
    /// none.
    pub bill: Option<Bill>,
}

impl PlanCheck<'_> {
    /// Returns the price list of transfers between two places; `None`: it is not known.
    pub(super) fn transfer_price(&self, from: &PlaceName, to: &PlaceName) -> Option<TransferPrice> {
        let names = (from.to_string(), to.to_string());
        let own_link = self
            .policy
            .links
            .iter()
            .rfind(|link| link.from.matches(&names.0) && link.to.matches(&names.1));
        if let Some(link) = own_link {
            return Some(TransferPrice {
                tariff: Tariff::per(self.terms(from).gigabyte, [(Bytes(0), link.rate)]),
                bill: None,
            });
        }
        let (from_id, to_id) = (self.catalog.place_id(from)?, self.catalog.place_id(to)?);
        let tariff = self.catalog.network.tariff(from_id, to_id)?.clone();
        Some(TransferPrice {
            tariff: tariff.clone(),
            bill: Some(Bill {
                cloud: from.cloud.clone(),
                leaves_cloud: from.cloud != to.cloud,
                tariff,
            }),
        })
    }

    /// Returns what keeping so many bytes at a place costs, for as long as the policy says; a
    /// policy that says nothing keeps nothing.
    pub(super) fn storage_cost(&self, place: &PlaceName, bytes: Bytes) -> Money {
        let Some(keep) = self.policy.keep else {
            return Money(0);
        };
        let terms = self.terms(place);
        let rate = div_half_even(
            i128::from(terms.storage.0) * i128::from(keep.0),
            HOURS_PER_MONTH * MS_PER_HOUR,
        );
        let nano_per_gigabyte = i128::from(terms.gigabyte.0) * 1000;
        let cost = div_half_even(rate * i128::from(bytes.0), nano_per_gigabyte);
        Money(saturate(cost))
    }
}
