//! The schema of job files.

use super::{needs, values};
use crate::spec::job::{MOST_COPIES, MOST_NODES};
use crate::spec::work::PRECISIONS;
use crate::util::json_schema::{CONTROL, Schema, Table};
use serde_json::{Value, json};

/// Returns the schema of a whole job file.
pub(super) fn schema() -> Value {
    let names = values::name_pattern();
    Table::new("Job")
        .required("name", "The name of the job.", values::name())
        .key(
            "datasets",
            "Data that exists before the job, by name.",
            Schema::table_by_name(&names, dataset()),
        )
        .required(
            "stages",
            "The stages of the job, by name.",
            Schema::table_by_name(&names, stage()).not_an_empty_table(),
        )
        .key(
            "spread",
            "Stages whose copies are kept apart, so that no one loss takes too many of them.",
            Schema::list_of(spread()),
        )
        .key("outputs", "Where the outputs of stages go.", outputs())
        .schema()
        .of_file(
            "Job of sky",
            "A job file of sky: stages and the data between them. `sky guide jobs` explains it.",
        )
}

fn dataset() -> Schema {
    Table::new("Dataset")
        .key(
            "at",
            "The place where the dataset lies. Default: the machine that sky runs on.",
            values::place(),
        )
        .key(
            "path",
            "Where the machine that sky runs on has the dataset, or a sample of it, relative to the job file.",
            path_unless(""),
        )
        .required("size", "How large the dataset is.", values::size())
        .key(
            "labels",
            "Labels, such as `personal`, that rules of the policy name. They stick to all data that is derived \
             from the dataset. Default: none.",
            values::labels(),
        )
        .at_least_one_of(&["at", "path"])
        .schema()
}

fn stage() -> Schema {
    let stage = stage_machines(stage_command(stage_data(Table::new("Stage"))));
    let price_in_needs = json!({
        "required": ["max_price", "needs"],
        "properties": { "needs": { "type": "object", "required": ["max_price"] } },
    });
    stage
        .exactly_one_of(&["duration", "work"])
        .refuse(price_in_needs)
        .schema()
}

/// The keys of a stage about its data and its order.
fn stage_data(stage: Table) -> Table {
    let name = values::name_part();
    let artifact = format!(r"^{name}(?:\.{name}(?:\[i\])?)?$");
    stage
        .key(
            "reads",
            "The datasets and artifacts that the stage reads: \"reviews\", \"process.tokens\". Of a stage with \
             `count`, `split.part` is what all copies wrote, and `split.part[i]` what the copy of the same number \
             wrote. Default: none.",
            Schema::one_or_list_of(Schema::text_like(&artifact)),
        )
        .key(
            "writes",
            "The artifacts that the stage writes, by name, with their sizes. Default: none.",
            Schema::table_by_name(&values::name_pattern(), values::size()),
        )
        .key(
            "removes",
            "Labels that the outputs of the stage no longer carry. Default: none.",
            values::labels(),
        )
        .key(
            "after",
            "Stages that must end before this one begins, without data between. Default: none.",
            Schema::one_or_list_of(Schema::text_like(&values::name_pattern())),
        )
        .key(
            "deadline",
            "The latest end of the stage, from the start of the job. Default: none.",
            values::time(),
        )
}

/// The keys of a stage about its command.
fn stage_command(stage: Table) -> Table {
    stage
        .key(
            "run",
            "The command, for `/bin/sh`. Inputs are in `$SKY_INPUTS`, outputs go to `$SKY_OUTPUTS`. Default: the \
             stage is only planned.",
            Schema::text_like(r"^[^\x00]*[^\x00\s][^\x00]*$"),
        )
        .key(
            "files",
            "Files and folders that are copied to the machine, relative to the job file and in its folder. \
             Default: none.",
            Schema::one_or_list_of(path_unless(r"|(?:^|/)\.\.(?:/|$)")),
        )
        .key(
            "env",
            "Environment variables of the command: a text, or \"env:NAME\" for the value that this variable of \
             `sky apply` has. Default: none.",
            Schema::table_by_name(
                values::VARIABLE,
                Schema::text().unless_like(r"\x00|^env:(?:$|[^=]*=)"),
            )
            .without_names_like(values::OWN_VARIABLE),
        )
        .key(
            "secrets",
            "Environment variables of the command whose values are looked up when the plan is applied: \"env:NAME\" \
             or \"file:PATH\". Default: none.",
            Schema::table_by_name(values::VARIABLE, secret())
                .without_names_like(values::OWN_VARIABLE),
        )
        .key(
            "retries",
            "How often the command is run again when it fails. Default: as the policy says.",
            values::retries(),
        )
}

/// The keys of a stage about its machines and its time.
fn stage_machines(stage: Table) -> Table {
    stage
        .key(
            "needs",
            "What a machine must have to run the stage. Default: any machine will do.",
            needs::needs(),
        )
        .key(
            "duration",
            "How long the stage runs: one time, or one for each accelerator of its `needs`, as in \
             `{ \"V100:4\" = \"8.4 h\" }`.",
            values::time().or(Schema::table_by_name(
                &values::accelerator_pattern(),
                values::time(),
            )
            .without_names_like(values::NO_ACCELERATOR)),
        )
        .key("work", "The work that the duration of the stage follows from.", work())
        .key(
            "count",
            "So many copies of the stage run, each told its number by `$SKY_INDEX`. Default: 1.",
            Schema::whole_number(1..=MOST_COPIES),
        )
        .key(
            "nodes",
            "The stage runs on a gang of so many identical machines in one place. Default: 1.",
            Schema::whole_number(1..=MOST_NODES),
        )
        .key(
            "allocation",
            "How the machines of the stage are bought. Default: as the policy says.",
            values::allocation(),
        )
        .key(
            "checkpoint",
            "How the stage saves its progress. Default: what is interrupted starts over.",
            checkpoint(),
        )
        .key(
            "max_price",
            "The most that an hour of one machine may cost; the same as `max_price` of `needs`. Default: any price.",
            values::hourly_price(),
        )
}

fn work() -> Schema {
    let amount =
        "Operations in this number format, which the accelerators' rates in the catalog divide.";
    let work = PRECISIONS
        .into_iter()
        .fold(Table::new("Work"), |work, precision| {
            work.key(precision, amount, values::operations())
        });
    let amounts = PRECISIONS.into_iter().chain(["vcpu"]);
    work.key(
        "vcpu",
        "The time that the stage takes on one virtual CPU, which the virtual CPUs of all nodes divide.",
        values::time(),
    )
    .key(
        "efficiency",
        "The share of the accelerators' rates that the stage reaches. Default: \"40 %\".",
        values::percentage(),
    )
    .exactly_one_of(&amounts.collect::<Vec<_>>())
    .never_together(&["vcpu", "efficiency"])
    .schema()
}

fn checkpoint() -> Schema {
    Table::new("Checkpoint")
        .key(
            "every",
            "The work between two checkpoints. Default: the interval that is expected to cost least.",
            values::time(),
        )
        .key("save", "How long it takes to save one. Default: 0.", values::time_or_zero())
        .key(
            "restart",
            "How long it takes to go on from one, besides the boot of the machine. Default: 0.",
            values::time_or_zero(),
        )
        .key(
            "size",
            "How much is moved when the stage goes on in another place. Default: 0.",
            values::size(),
        )
        .schema()
}

fn spread() -> Schema {
    let stages = Schema::text_like("^[A-Za-z0-9_*][A-Za-z0-9_*-]*$");
    let copies = || Schema::whole_number(1..=u32::MAX);
    Table::new("Spread")
        .required(
            "stages",
            "Names of stages, with `*` for any letters, such as \"web-*\".",
            Schema::one_or_list_of(stages).not_empty(),
        )
        .required(
            "over",
            "What may be lost at once.",
            Schema::word_of(["place", "cloud"]),
        )
        .key(
            "at_most",
            "The most copies in any one place or cloud.",
            copies(),
        )
        .key(
            "survivors",
            "How many copies are left after the loss of any one place or cloud.",
            copies(),
        )
        .exactly_one_of(&["at_most", "survivors"])
        .schema()
}

fn outputs() -> Schema {
    let destination = || Schema::word_of(["home", "there"]);
    let (name, names) = (values::name_part(), values::name_pattern());
    Schema::table_by_name(&format!(r"^{name}\.{name}$"), destination())
        .and_by_name(&names, Schema::table_by_name(&names, destination()))
        .in_form(
            "For each \"STAGE.ARTIFACT\": \"home\" brings it to the machine that sky runs on, \"there\" leaves it in \
             the place where it is made. Default: what no stage reads comes home.",
        )
}

/// A path relative to the job file, without those that another pattern is found in; it follows a
/// `|`.
fn path_unless(refused: &str) -> Schema {
    Schema::text_like(&format!("^[^/~\\\\{CONTROL}][^{CONTROL}]*$"))
        .unless_like(&format!(r"^[A-Za-z]:|^(?:\.?/)*\.?${refused}"))
}

/// A reference to the value of a secret.
fn secret() -> Schema {
    Schema::text_like(&format!(
        "^env:[^=\\x00\\n]+$|^file:[^/~\\\\{CONTROL}][^{CONTROL}]*$"
    ))
    .unless_like(r"^file:(?:[A-Za-z]:|(?:\.?/)*\.?$)")
}
