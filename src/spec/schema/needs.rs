//! The schema of `needs` of a stage.

use super::values;
use crate::spec::needs::{MOST_ALTERNATIVES, MOST_REQUESTS};
use crate::util::json_schema::{Schema, Table};

/// Returns the schema of `needs`, with its alternatives.
pub(super) fn needs() -> Schema {
    let alternatives = || {
        Schema::list_of(common("Alternative").schema())
            .not_empty()
            .at_most_items(MOST_ALTERNATIVES)
    };
    common("Needs")
        .key(
            "scans",
            "How much data the stage scans, where a service is paid by that. Default: 0.",
            values::size(),
        )
        .key(
            "requests",
            "How often the stage calls the service, where it is paid by that. Default: 0.",
            Schema::whole_number(1..=MOST_REQUESTS),
        )
        .key(
            "any_of",
            "Alternatives, of which a machine must meet one. Each takes from `needs` what it does not say itself.",
            alternatives(),
        )
        .key(
            "ordered",
            "Alternatives in order of preference: an earlier one is taken over a later one at any price.",
            alternatives(),
        )
        .never_together(&["any_of", "ordered"])
        .schema()
}

/// What both `needs` and each of its alternatives may say.
fn common(title: &str) -> Table {
    Table::new(title)
        .key(
            "cpus",
            "The least number of virtual CPUs of a machine. A burstable machine counts at its baseline. Default: any.",
            values::cpus(),
        )
        .key(
            "memory",
            "The least memory of a machine. Default: any.",
            values::size(),
        )
        .key(
            "accelerators",
            "Accelerators, of which a machine must have any one, at least so many. Default: none is needed.",
            Schema::one_or_list_of(values::accelerator()).not_empty(),
        )
        .key(
            "tee",
            "Trusted execution environments, any of which a machine must have. Default: none is needed.",
            Schema::one_or_list_of(values::tee()).not_empty(),
        )
        .key(
            "arch",
            "The CPU architecture, or `any`. Default: as the policy says, else `x86_64`.",
            values::architecture(),
        )
        .key(
            "places",
            "The places where a machine may be. Default: every place.",
            Schema::one_or_list_of(values::places()).not_empty(),
        )
        .key(
            "instance_types",
            "The machine types that are allowed, with `*` for any letters, such as \"m5.*\". Default: every type.",
            Schema::one_or_list_of(values::instance_types()).not_empty(),
        )
        .key(
            "latency",
            "How near to the users' country a place must be. Default: anywhere.",
            latency(),
        )
        .key(
            "max_price",
            "The most that an hour of one machine may cost. Default: any price.",
            values::hourly_price(),
        )
        .key(
            "service",
            "A service that the stage needs instead of machines.",
            service(),
        )
}

fn latency() -> Schema {
    Table::new("Latency")
        .required("to", "The country of the users.", values::country())
        .required(
            "at_most",
            "The longest time of a round trip.",
            values::time(),
        )
        .schema()
}

/// A service with bounds for its version.
fn service() -> Schema {
    let version = r"[0-9]{1,15}(?:\.[0-9]{1,15}){0,5}";
    let bound = format!(r"(?:>=|<=|==|=|@|>|<|\^|~)\s*{version}\s*");
    Schema::text_like(&format!(
        r"^\s*[a-z][a-z0-9-]*\s*(?:{bound}(?:,\s*{bound})*)?$"
    ))
    .with_examples(["spark>=3.4"])
    .in_form("Written like \"spark\", \"spark>=3.4\", \"kafka ^3.6\" or \"spark>=3.4,<4\".")
}
