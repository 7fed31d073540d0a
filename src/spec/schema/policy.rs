//! The schema of policy files.

use super::accounts::with_accounts;
use super::values;
use crate::spec::home::RULED;
use crate::util::json_schema::{Schema, Table};
use serde_json::{Value, json};

/// Returns the schema of a whole policy file.
pub(super) fn schema() -> Value {
    let prices_twice = json!({
        "required": ["limits", "max_price"],
        "properties": { "limits": { "type": "object", "required": ["max_price"] } },
    });
    let policy = defaults_of_stages(rules_of_places(rules_of_data(Table::new("Policy"))));
    with_accounts(policy)
        .key("objective", "What the plan minimises.", objective())
        .key("limits", "Limits on the whole job.", limits())
        .key(
            "max_price",
            "The most that an hour of one machine may cost; the same as `max_price` of `[limits]`.",
            values::hourly_price(),
        )
        .key(
            "home",
            "What is declared about the machine that sky runs on. Default: nothing, and so it satisfies no rule.",
            home(),
        )
        .refuse(prices_twice)
        .schema()
        .of_file(
            "Policy of sky",
            "A policy file of sky: what must hold, and what to minimise. `sky guide policies` explains it.",
        )
}

/// The rules that are about data with a label.
fn rules_of_data(policy: Table) -> Table {
    let schemes = Schema::one_or_list_of(Schema::text()).not_empty();
    let environments = Schema::one_or_list_of(values::tee()).not_empty();
    policy
        .key(
            "residency",
            "Where data may lie and be processed, by its label; `default` is for all data.",
            by_label(values::countries(), "Countries, or blocs of them."),
        )
        .key(
            "certifications",
            "Schemes by all of which a place must be certified, by the label of the data; `default` is for all data.",
            by_label(schemes, "Schemes such as \"C5\"."),
        )
        .key(
            "trust",
            "Trusted execution environments, one of which a stage needs that reads data with the label; `default` is \
             for all data.",
            by_label(environments, "Trusted execution environments."),
        )
}

/// The lists of a rule by label: a list alone, or a table with it.
fn by_label(list: Schema, description: &str) -> Schema {
    let with_options = Table::new("Rule")
        .required("in", description, list.clone())
        .key(
            "optional",
            "Whether the job may lack the label. Default: false, and a label that no dataset carries is an error.",
            Schema::boolean(),
        )
        .schema();
    Schema::table_by_name(&values::name_pattern(), list.or(with_options))
}

/// The rules that are about places and who runs them.
fn rules_of_places(policy: Table) -> Table {
    let classes = Schema::one_or_list_of(values::class()).not_empty();
    policy
        .key("operators", "Who may run the clouds.", operators())
        .key(
            "clouds",
            "Which clouds may be used, with `*` for any letters. A denial wins.",
            allowance(Table::new("Clouds"), &values::clouds()),
        )
        .key(
            "places",
            "Which places may be used. A denial wins.",
            allowance(Table::new("Places"), &values::places()),
        )
        .key(
            "partitions",
            "Closed classes of places, for which one needs an account of their own.",
            Table::new("Partitions")
                .key(
                    "allow",
                    "The closed classes that may be used: `us-gov`, `cn-operated`, `classified`. Default: none.",
                    classes,
                )
                .schema(),
        )
}

fn operators() -> Schema {
    let operators = Table::new("Operators")
        .key(
            "us_cloud_act",
            "`exclude`: only operators that are known to be out of reach of the US CLOUD Act. Default: `allow`.",
            Schema::word_of(["exclude", "allow"]),
        )
        .key(
            "parents",
            "Countries or blocs that the ultimate parent of an operator may be of. Default: all.",
            values::countries(),
        );
    allowance(operators, &Schema::text())
}

/// A table with `allow` and `deny`.
fn allowance(table: Table, names: &Schema) -> Schema {
    table
        .key(
            "allow",
            "Only these may be used. Default: all.",
            Schema::one_or_list_of(names.clone()).not_empty(),
        )
        .key(
            "deny",
            "These may not be used. Default: none.",
            Schema::one_or_list_of(names.clone()),
        )
        .schema()
}

/// What holds for stages that do not say it themselves.
fn defaults_of_stages(policy: Table) -> Table {
    policy
        .key(
            "retries",
            "How often commands that fail are run again, for stages that do not say. Default: never.",
            values::retries(),
        )
        .key(
            "spot",
            "How machines are bought.",
            spot(),
        )
        .key(
            "needs",
            "What machines must have, for stages that do not say.",
            Table::new("Needs")
                .key(
                    "arch",
                    "The CPU architecture, or `any`. Default: `x86_64`.",
                    values::architecture(),
                )
                .schema(),
        )
        .key(
            "transfers",
            "How data is brought to places.",
            Table::new("Transfers")
                .key(
                    "relay",
                    "Whether a copy may be taken from another place that reads the artifact too. Default: where few \
                     places have to be looked at.",
                    Schema::boolean(),
                )
                .schema(),
        )
        .key(
            "storage",
            "How artifacts are kept.",
            Table::new("Storage")
                .key(
                    "keep",
                    "How long artifacts are kept at every place that holds them. Default: storage is not charged.",
                    values::time(),
                )
                .schema(),
        )
}

fn spot() -> Schema {
    Table::new("Spot")
        .key(
            "allow",
            "Whether spot machines may be used. Default: where a stage asks for them.",
            Schema::boolean(),
        )
        .key(
            "allocation",
            "How machines are bought, for stages that do not say. Default: `cheapest` if spot machines are allowed, \
             else `on-demand`.",
            values::allocation(),
        )
        .refuse(json!({
            "required": ["allow", "allocation"],
            "properties": { "allow": { "enum": [false] }, "allocation": { "enum": ["spot"] } },
        }))
        .schema()
}

fn objective() -> Schema {
    let objectives = Schema::word_of(["cost", "time"]);
    let time_first = json!({ "anyOf": [
        { "enum": ["time"] },
        { "type": "array", "items": [{ "enum": ["time"] }] },
    ] });
    Table::new("Objective")
        .key(
            "minimize",
            "What counts first; the other one breaks ties. Default: `cost`.",
            Schema::one_or_list_of(objectives).not_empty(),
        )
        .key(
            "weights",
            "Minimises the sum of both instead: the cost in US dollars times `cost`, and the hours until the end \
             times `time`.",
            weights(),
        )
        .refuse(json!({
            "required": ["minimize", "weights"],
            "properties": { "minimize": time_first },
        }))
        .schema()
}

fn weights() -> Schema {
    /// The most that a number of nine decimals can be.
    const MOST_WEIGHT: i64 = i64::MAX / 1_000_000_000;
    let weight = || Schema::number_above_zero(MOST_WEIGHT);
    Table::new("Weights")
        .key("cost", "The weight of a US dollar. Default: 1.", weight())
        .required("time", "The weight of an hour.", weight())
        .schema()
}

fn limits() -> Schema {
    Table::new("Limits")
        .key(
            "deadline",
            "The most time for the whole job. Default: none.",
            values::time(),
        )
        .key(
            "budget",
            "The most money for the whole job. Default: none.",
            values::money(),
        )
        .key(
            "max_price",
            "The most that an hour of one machine may cost. Default: any price.",
            values::hourly_price(),
        )
        .schema()
}

fn home() -> Schema {
    Table::new("Home")
        .key(
            "country",
            "The country where the machine stands. Default: unknown.",
            values::country(),
        )
        .key(
            "operator",
            "Who runs the machine. Default: you.",
            Schema::text(),
        )
        .key(
            "parent",
            "The ultimate parent company of the operator. Default: unknown.",
            Schema::text(),
        )
        .key(
            "parent_country",
            "The country of the parent company. Default: unknown.",
            values::country(),
        )
        .key(
            "us_cloud_act",
            "Whether the US CLOUD Act reaches the operator. Default: `unknown`.",
            values::reach(),
        )
        .key(
            "certifications",
            "Schemes that the machine is certified by, such as \"C5\". Default: none.",
            Schema::one_or_list_of(Schema::text()),
        )
        .key(
            "tee",
            "Trusted execution environments that the machine has. Default: none.",
            Schema::one_or_list_of(values::tee()),
        )
        .key(
            "uplink",
            "The speed at which data leaves the machine. Default: 1 Gbit/s is assumed.",
            values::speed(),
        )
        .key(
            "downlink",
            "The speed at which data comes to the machine. Default: as `uplink`.",
            values::speed(),
        )
        .only_beside(&RULED, "country")
        .schema()
}
