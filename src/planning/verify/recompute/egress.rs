//! What every bill of transfers comes to.

use super::plan_check::PlanCheck;
use super::prices::{Bill, TransferPrice};
use crate::model::{Bytes, Tariff};
use crate::plan::PlannedTransfer;
use std::collections::BTreeMap;

impl PlanCheck<'_> {
    /// Checks every bill: its transfers in the order of artifacts and destinations, through its
    /// tiers. How a free allowance is shared out between price lists is left to the comparison of
    /// the whole.
    pub(super) fn egress(&mut self) {
        let mut transfers: Vec<&PlannedTransfer> = self.plan.transfers.iter().collect();
        // What is brought home comes after what is read.
        transfers.sort_by_key(|transfer| {
            (
                &transfer.artifact,
                transfer.readers.is_empty(),
                &transfer.to,
            )
        });
        let mut volumes: BTreeMap<Bill, Bytes> = BTreeMap::new();
        for transfer in transfers {
            let Some(price) = self.transfer_price(&transfer.from, &transfer.to) else {
                self.wrong(
                    cost_member(transfer),
                    transfer.cost_micro_usd.exact(),
                    "a way that has a price",
                );
                continue;
            };
            let TransferPrice { tariff, bill } = price;
            let Some(bill) = bill else {
                let cost_alone = tariff.cost(transfer.bytes);
                self.same(cost_member(transfer), &transfer.cost_micro_usd, &cost_alone);
                continue;
            };
            if bill.leaves_cloud && self.has_used_volume(&transfer.from.cloud) {
                self.within_dearest_tier(transfer, &tariff);
                continue;
            }
            let volume_before = volumes.entry(bill).or_default();
            let volume_after = *volume_before + transfer.bytes;
            self.share_of_bill(transfer, &tariff, *volume_before, volume_after);
            *volume_before = volume_after;
        }
    }

    /// Returns whether the policy says what an account has sent this month already.
    fn has_used_volume(&self, cloud: &str) -> bool {
        let account = self.policy.accounts.get(cloud);
        account.is_some_and(|account| account.used_this_month.is_some())
    }

    /// Checks that no byte of a transfer costs more than in the dearest tier: tiers may rise as
    /// well as fall.
    fn within_dearest_tier(&mut self, transfer: &PlannedTransfer, tariff: &Tariff) {
        let dearest = tariff.greatest_rate(Bytes(0), Bytes(u64::MAX));
        let most_cost = Tariff::flat(tariff.gigabyte(), dearest).cost(transfer.bytes);
        let cost = transfer.cost_micro_usd;
        if cost.0 < 0 || cost.0 > most_cost.0.saturating_add(1) {
            self.wrong(
                cost_member(transfer),
                cost.exact(),
                format!("from nothing to {}", most_cost.exact()),
            );
        }
    }

    /// Checks a transfer's share of a bill whose volume it raises from `before` to `after`.
    fn share_of_bill(
        &mut self,
        transfer: &PlannedTransfer,
        tariff: &Tariff,
        volume_before: Bytes,
        volume_after: Bytes,
    ) {
        let share = tariff.cost(volume_after) - tariff.cost(volume_before);
        // Inside one tier every transfer is rounded on its own.
        let cost_alone = tariff.cost(transfer.bytes);
        let is_rounded_alone =
            (share.0 - cost_alone.0).abs() <= 1 && transfer.cost_micro_usd == cost_alone;
        if !is_rounded_alone {
            self.same(cost_member(transfer), &transfer.cost_micro_usd, &share);
        }
    }
}

/// Returns how differences name the cost of a transfer.
fn cost_member(transfer: &PlannedTransfer) -> String {
    format!(
        "transfers.{} to {}.cost_micro_usd",
        transfer.artifact, transfer.to
    )
}
