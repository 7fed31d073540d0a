//! The JSON Schema of plan files, for programs that read them.
//!
//! It describes what this version of sky writes, and what earlier versions of the same major format
//! wrote: members that only some of them have are not required. [`super::data`] has the fields, and
//! `tests/it/cli/schema` holds the two together.

mod money_and_time;
mod places_and_data;
mod stage;
mod values;

use super::FORMAT_VERSION;
use crate::util::json_schema::{Schema, Table};
use money_and_time::{limits, old_prices, single_cloud, totals};
use places_and_data::{contents, dataset, from_state, link, transfer};
use serde_json::Value;
use values::{counted, digest, name_pattern, path_part};

/// Returns the JSON Schema of plan files.
pub fn schema() -> Value {
    let major = FORMAT_VERSION.split('.').next().unwrap_or(FORMAT_VERSION);
    let plan = Table::new("Plan")
        .required(
            "format_version",
            "The version of the format of plans.",
            Schema::text_like(&format!(r"^{major}(?:\.|$)")),
        )
        .required(
            "sky_version",
            "The version of sky that wrote the plan.",
            Schema::text(),
        )
        .required("job", "The name of the job.", path_part())
        .required("inputs", "The digests of what was planned.", inputs())
        .key(
            "digest",
            "The digest of all other members: sky refuses a plan of which anything was changed.",
            digest(),
        );
    let plan = results(plan);
    about_the_plan(plan).schema().of_file(
        "Plan of sky",
        "A plan of sky: which stage runs where and when, which data is moved, and what all of it costs. Money is in \
         micro-USD (millionths of a US dollar), prices are in nano-USD (billionths), times are in milliseconds from \
         the start of the job, and sizes are in bytes.",
    )
}

/// The members that say what is done.
fn results(plan: Table) -> Table {
    plan.required(
        "stages",
        "The stages in order of their start.",
        Schema::list_of(stage::stage()),
    )
    .required(
        "transfers",
        "The artifacts that are brought to other places, in order of their start.",
        Schema::list_of(transfer()),
    )
    .required(
        "datasets",
        "The datasets of the job, by name.",
        Schema::table_by_name(&name_pattern(), dataset()),
    )
    .required("limits", "The limits of the policy on the whole job.", limits())
    .required(
        "totals",
        "The cost of the whole plan, and how long it takes.",
        totals(),
    )
    .key(
        "ways",
        "The price and the speed of data between the places where stages may be, their alternatives included.",
        Schema::list_of(link()),
    )
    .key(
        "from_state",
        "What was done already when this was planned. Absent: no state was looked at.",
        from_state(),
    )
    .key(
        "contents",
        "The content of the datasets and files that could be read where the plan was made.",
        contents(),
    )
}

/// The members that say how good the plan is and what it rests on.
fn about_the_plan(plan: Table) -> Table {
    plan.required(
        "objective",
        "What was minimised: `cost`, then time; `time`, then cost; or `weighted`, the cost and what the time is worth.",
        Schema::word_of(["cost", "time", "weighted"]),
    )
    .required(
        "single_cloud",
        "The best plan inside one cloud, for comparison. Null: no one cloud can run the job, or none was looked for.",
        single_cloud().or_null(),
    )
    .required(
        "solver",
        "How the plan was found, and how good it is proven to be.",
        solver(),
    )
    .required(
        "considered",
        "How much the plan was chosen from.",
        considered(),
    )
    .required(
        "warnings",
        "What a reader should know: assumptions, and data that lies outside the countries of a rule.",
        Schema::list_of(Schema::text()),
    )
    .key(
        "old_prices",
        "What rests on old prices. Absent: all prices are recent beside the newest.",
        old_prices(),
    )
    .key(
        "estimated_disks",
        "Stages whose boot disks have the price of other places, because the catalog has none of theirs.",
        Schema::list_of(Schema::text()),
    )
}

fn inputs() -> Schema {
    Table::new("Inputs")
        .required("job", "The digest of the job.", digest())
        .required("policy", "The digest of the policy.", digest())
        .required("catalog", "The digest of the catalog.", digest())
        .required(
            "catalog_date",
            "The day of the newest price in the catalog.",
            Schema::text().in_form("Written `YYYY-MM-DD`."),
        )
        .schema()
}

fn solver() -> Schema {
    Table::new("SolverReport")
        .required("name", "The name of the solver.", Schema::text())
        .required("version", "The version of the solver.", Schema::text())
        .required(
            "status",
            "`optimal`; `feasible` when a limit ended the search first.",
            Schema::text(),
        )
        .required(
            "bound_micro_usd",
            "No plan under these rules costs less; where time is minimised, none that takes as long.",
            values::money(),
        )
        .key(
            "bound_ms",
            "No plan under these rules is faster. Absent: time was not minimised.",
            values::time(),
        )
        .required(
            "gap",
            "How far the plan may be from the best one, in parts per million of the plan.",
            counted(),
        )
        .required(
            "seed",
            "The random seed that the solver was given.",
            Schema::whole_number(0..=u32::MAX),
        )
        .required(
            "threads",
            "The number of threads that the solver was given.",
            Schema::whole_number(0..=u32::MAX),
        )
        .key(
            "time_limited",
            "Whether a limit of time was set, with which another run may give another plan. Absent: false.",
            Schema::boolean(),
        )
        .schema()
}

fn considered() -> Schema {
    Table::new("Considered")
        .required("clouds", "The number of clouds in which some stage can run.", counted())
        .required("places", "The number of places in which some stage can run.", counted())
        .required("offers", "The prices of the catalog.", counted())
        .required(
            "candidates",
            "The pairs of a stage and an offer that it may take.",
            counted(),
        )
        .required(
            "kept",
            "The pairs that were left when offers were dropped that another one in their place is better than.",
            counted(),
        )
        .schema()
}
