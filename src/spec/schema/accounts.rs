//! The schemas of what a policy says of one's accounts: `[accounts]`, `[quotas]`, `[[links]]`.

use super::values;
use crate::spec::accounts::MOST;
use crate::spec::limits::MOST_LINKS;
use crate::util::json_schema::{Schema, Table};

/// Returns the policy with these tables.
pub(super) fn with_accounts(policy: Table) -> Table {
    let cloud = values::cloud_pattern();
    let place_or_cloud = format!("{}|{cloud}", values::place_pattern());
    policy
        .key(
            "accounts",
            "What the month already had at a cloud, by its name.",
            Schema::table_by_name(&cloud, account()),
        )
        .key(
            "quotas",
            "The most that may run at once, by cloud (`aws`), place (`\"aws:us-east-1\"`) or pattern for each place \
             on its own (`\"aws:*\"`).",
            Schema::table_by_name(&place_or_cloud, quota()),
        )
        .key(
            "links",
            "Prices of links of your own, such as peerings. Of several that match, the last counts.",
            Schema::list_of(link()).at_most_items(MOST_LINKS),
        )
}

fn account() -> Schema {
    Table::new("Account")
        .required(
            "used_this_month",
            "The egress that the month already had. Tiers of prices go on from there, and the free allowance of the \
             cloud counts only with this line.",
            values::size(),
        )
        .schema()
}

fn quota() -> Schema {
    let count = || Schema::whole_number(0..=MOST);
    Table::new("Quota")
        .key("cpus", "The most virtual CPUs. Default: no limit.", values::cpus())
        .key("instances", "The most machines. Default: no limit.", count())
        .key(
            "accelerators",
            "The most accelerators: of all kinds together, or by name, as in `{ V100 = 8 }`. Default: no limit.",
            count().or(Schema::table_by_name(r"^[^:\s]+$", count())),
        )
        .schema()
}

fn link() -> Schema {
    Table::new("Link")
        .required(
            "from",
            "The places that the data comes from.",
            values::places(),
        )
        .required("to", "The places that the data goes to.", values::places())
        .required(
            "per_gb",
            "The price for a GB, as the cloud bills it that the data leaves.",
            values::money(),
        )
        .key(
            "both",
            "Whether the link has the same price the other way. Default: false.",
            Schema::boolean(),
        )
        .schema()
}
