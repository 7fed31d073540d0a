//! The schemas of the sums of a plan and of its limits.

use super::values::{money, rate, time};
use crate::util::json_schema::{Schema, Table};

/// The limits of the policy on the whole job.
pub(super) fn limits() -> Schema {
    Table::new("Limits")
        .required(
            "deadline_ms",
            "The most time for the whole job. Null: there is no deadline.",
            time().or_null(),
        )
        .required(
            "budget_micro_usd",
            "The most money for the whole job. Null: there is no budget.",
            money().or_null(),
        )
        .key(
            "hour_nano_usd",
            "What an hour of the job's time is worth, where cost and time are weighed.",
            rate(),
        )
        .schema()
}

/// The sums over the plan.
pub(super) fn totals() -> Schema {
    Table::new("Totals")
        .required("cost_micro_usd", "The cost of the whole plan.", money())
        .required(
            "compute_micro_usd",
            "The part of the cost that is for machines and services.",
            money(),
        )
        .required(
            "egress_micro_usd",
            "The part of the cost that is for transfers.",
            money(),
        )
        .key(
            "storage_micro_usd",
            "The part of the cost that is for storage. Absent: 0.",
            money(),
        )
        .key(
            "disk_micro_usd",
            "The part of the cost that is for boot disks. Absent: 0.",
            money(),
        )
        .key(
            "address_micro_usd",
            "The part of the cost that is for public IPv4 addresses. Absent: 0.",
            money(),
        )
        .required(
            "makespan_ms",
            "The time from the start of the job to the end of its last stage or transfer.",
            time(),
        )
        .schema()
}

/// The best plan inside one cloud.
pub(super) fn single_cloud() -> Schema {
    Table::new("SingleCloud")
        .required("cloud", "The name of the cloud.", Schema::text())
        .required(
            "cost_micro_usd",
            "The cost of the whole job in that cloud.",
            money(),
        )
        .required(
            "makespan_ms",
            "The time of the whole job in that cloud.",
            time(),
        )
        .required(
            "within_limits",
            "Whether it keeps the deadline and the budget. False: no one cloud does.",
            Schema::boolean(),
        )
        .schema()
}

/// How much of the cost rests on old prices.
pub(super) fn old_prices() -> Schema {
    Table::new("OldPrices")
        .required(
            "older_than_days",
            "Prices are old that are so many days or more before the newest of the catalog.",
            Schema::whole_number(0..=u32::MAX),
        )
        .required("cost_micro_usd", "What is paid at such prices.", money())
        .required(
            "share_ppm",
            "The share of the whole cost that is paid at such prices, in parts per million.",
            Schema::whole_number(0..=u64::MAX),
        )
        .required(
            "oldest",
            "The day of the oldest of these prices.",
            Schema::text().in_form("Written `YYYY-MM-DD`."),
        )
        .key(
            "kinds",
            "What is paid at such prices, by what it is paid for: `machines`, `boot disks and addresses`, `egress`, \
             `storage`.",
            Schema::table_of(money()),
        )
        .key(
            "estimated",
            "Stages whose prices are scaled by how the price of their machine type changed since.",
            Schema::list_of(Schema::text()),
        )
        .schema()
}
