//! The schema of a planned stage, with its alternatives.

use super::places_and_data::{sizes_by_name, stage_names};
use super::values::{
    artifact, bytes, counted, money, path_part, place, purchase, rate, small_count, time,
};
use crate::model::{Tee, Unit};
use crate::util::json_schema::{Schema, Table};

const NOT_BY_THE_HOUR: &str =
    "The price of an hour of one machine; 0 of a service that is not paid by the hour.";

/// A stage of the job and where it runs.
pub(super) fn stage() -> Schema {
    let stage = Table::new("PlannedStage")
        .required("name", "The name of the stage; of a copy it ends with its number, as in `sweep[3]`.", path_part())
        .key(
            "copy",
            "Which copy it is, of a stage that the job wants several of. Absent: the job wants one.",
            replica(),
        )
        .required(
            "alternatives",
            "Other offers for the stage, the cheapest first. Each keeps every rule and limit if only this stage takes \
             it.",
            Schema::list_of(alternative()),
        );
    command(data(cost(timing(machines(stage))))).schema()
}

/// Which machines the stage runs on.
fn machines(stage: Table) -> Table {
    stage
        .required("place", "The place where the stage runs.", place())
        .required(
            "country",
            "The ISO 3166 code of the country of the place. Null: unknown.",
            Schema::text().or_null(),
        )
        .required("instance_type", "The provider's name of the machine type.", Schema::text())
        .required(
            "accelerator",
            "The accelerators of a machine, such as `V100:4`. Null: it has none.",
            Schema::text().or_null(),
        )
        .key(
            "baseline_vcpu_thousandths",
            "The virtual CPUs that a burstable machine gives for as long as it runs, in thousandths. Absent: the \
             machines are not burstable.",
            counted(),
        )
        .required("nodes", "The number of machines.", small_count())
        .required("purchase", "How the machines are bought.", purchase())
        .key(
            "tee",
            "The trusted execution environment that the machines must run with. Absent: none is demanded.",
            tee(),
        )
        .required("rate_nano_usd_per_hour", NOT_BY_THE_HOUR, rate())
        .key(
            "usage",
            "What is paid for a service that is not paid by the hour. Absent: the stage is paid by the hour.",
            usage(),
        )
        .required("price_source", "Where the price is from, and of which day.", price_source())
        .key(
            "spot",
            "What is expected of spot machines; time and cost are expected values then. Absent: none are used.",
            spot_terms(),
        )
}

/// When it runs, and for how long.
fn timing(stage: Table) -> Table {
    stage
        .required(
            "start_ms",
            "When the machines are asked for, from the start of the job.",
            time(),
        )
        .required(
            "end_ms",
            "The end of the stage, from the start of the job.",
            time(),
        )
        .key(
            "boot_ms",
            "How much of that time passes until the machines are up. Absent: 0.",
            time(),
        )
        .key(
            "billed_ms",
            "The machine time that is billed, for each machine. Absent: 0.",
            time(),
        )
        .key(
            "billing",
            "In which steps machine time is billed. Absent: by the millisecond.",
            billing(),
        )
        .key(
            "deadline_ms",
            "The latest end that the job allows, from its start. Absent: none.",
            time(),
        )
}

/// What it costs.
fn cost(stage: Table) -> Table {
    stage
        .required("cost_micro_usd", "The cost of the machines or of the service.", money())
        .key(
            "storage_micro_usd",
            "The cost of keeping the outputs where the stage runs. Absent: 0.",
            money(),
        )
        .key(
            "boot_disk_gib",
            "The size in GiB of the boot disk of each machine. Absent: none that is known to be billed.",
            counted(),
        )
        .key("extras", "The prices of what comes with each machine. Absent: nothing is billed.", extras())
        .key("disk_micro_usd", "The cost of the boot disks. Absent: 0.", money())
        .key("address_micro_usd", "The cost of the public IPv4 addresses. Absent: 0.", money())
}

/// What it reads and writes.
fn data(stage: Table) -> Table {
    let texts = || Schema::list_of(Schema::text());
    stage
        .required("labels", "The labels of what the stage reads.", texts())
        .required("reads", "The datasets and artifacts that it reads.", Schema::list_of(artifact()))
        .required("writes", "The artifacts that it writes, by name, with their planned sizes.", sizes_by_name())
        .key(
            "outputs",
            "Where its artifacts go, by name, as far as the job says it or no stage reads them.",
            Schema::table_of(Schema::word_of(["home", "there"])),
        )
        .key(
            "kept_from_home_by",
            "The line of the policy that forbids to bring the outputs to the machine that sky runs on. Absent: none.",
            Schema::text(),
        )
        .key(
            "checkpoints_kept_from_home_by",
            "The line of the policy that forbids to bring checkpoints there. Absent: none.",
            Schema::text(),
        )
        .required("after", "The stages that must end before this one begins.", stage_names())
        .key(
            "waits_for",
            "Stages that must end before this one begins so that a limit on what runs at once holds, whatever their \
             results are. Absent: none.",
            Schema::list_of(limit_wait()),
        )
        .key(
            "wait_ms",
            "The time from the arrival of the last input to the start. Absent: 0.",
            time(),
        )
}

/// A stage that has to end first, and the limit that asks for it.
fn limit_wait() -> Schema {
    Table::new("LimitWait")
        .required("stage", "The stage that has to end first.", path_part())
        .required(
            "limit",
            "The limit that the two stages exceed together with what else runs.",
            Schema::text(),
        )
        .schema()
}

/// What is run.
fn command(stage: Table) -> Table {
    let texts_by_name = || Schema::table_of(Schema::text());
    stage
        .required(
            "run",
            "The command. Null: the stage is only planned.",
            Schema::text().or_null(),
        )
        .required(
            "files",
            "Files and folders beside the job file that the command gets.",
            Schema::list_of(Schema::text()),
        )
        .key(
            "env",
            "Environment variables: a text, or `env:NAME`, which is looked up when the plan is applied.",
            texts_by_name(),
        )
        .key(
            "secrets",
            "Environment variables whose values are looked up when the plan is applied: `env:NAME` or `file:PATH`.",
            texts_by_name(),
        )
        .key("checkpoint", "How the stage saves its progress. Absent: it saves none.", checkpoint())
        .key(
            "retries",
            "How often the command is run again when it fails. Absent: never.",
            retries(),
        )
}

/// Another offer for a stage.
fn alternative() -> Schema {
    Table::new("Alternative")
        .required("place", "The place of the offer.", place())
        .required("instance_type", "The provider's name of the machine type.", Schema::text())
        .required("purchase", "How the machines are bought.", purchase())
        .required("rate_nano_usd_per_hour", NOT_BY_THE_HOUR, rate())
        .required("total_cost_micro_usd", "The cost of the whole job with this offer.", money())
        .required("makespan_ms", "The time of the whole job with this offer.", time())
        .key("country", "The ISO 3166 code of the country of the place. Absent: unknown.", Schema::text())
        .key("accelerator", "The accelerators of a machine, such as `V100:4`. Absent: none.", Schema::text())
        .key(
            "tee",
            "The trusted execution environment that the machines must run with. Absent: none is demanded.",
            tee(),
        )
        .key("usage", "What is paid for a service that is not paid by the hour.", usage())
        .key("billing", "In which steps machine time is billed. Absent: by the millisecond.", billing())
        .key(
            "duration_ms",
            "The time from asking for the machines to the end of the stage. Absent: the plan does not say.",
            time(),
        )
        .key("boot_ms", "How much of that time passes until the machines are up. Absent: 0.", time())
        .key("cost_micro_usd", "The cost of the machines or of the service. Absent: 0.", money())
        .key("extras", "The prices of what comes with each machine. Absent: nothing is billed.", extras())
        .key(
            "counted_with_others",
            "Whether a quota or a spread counts the stage together with others, which must be where the plan puts \
             them. Absent: false.",
            Schema::boolean(),
        )
        .schema()
}

fn tee() -> Schema {
    Schema::word_of(Tee::ALL.map(Tee::name))
}

fn usage() -> Schema {
    Table::new("Usage")
        .required(
            "unit",
            "The unit that the service is billed by.",
            Schema::word_of(Unit::ALL.map(Unit::name)),
        )
        .required("rate_nano_usd_per_unit", "The price of a unit.", rate())
        .required(
            "quantity",
            "The bytes that are scanned, or the number of requests.",
            counted(),
        )
        .schema()
}

fn price_source() -> Schema {
    Table::new("PriceSource")
        .required("id", "The name of the source in the catalog.", Schema::text())
        .required("date", "The day of the price.", Schema::text().in_form("Written `YYYY-MM-DD`."))
        .key(
            "estimated",
            "Whether the price is scaled by how the price of its machine type changed since that day. Absent: false.",
            Schema::boolean(),
        )
        .schema()
}

fn replica() -> Schema {
    Table::new("ReplicaOf")
        .required("stage", "The name of the stage in the job.", path_part())
        .required("index", "The number of the copy, from 0.", small_count())
        .required("count", "How many copies there are.", small_count())
        .schema()
}

fn billing() -> Schema {
    Table::new("Billing")
        .required(
            "increment_ms",
            "The step that time is rounded up to.",
            time(),
        )
        .required("minimum_ms", "The least time that is billed.", time())
        .schema()
}

fn spot_terms() -> Schema {
    Table::new("SpotTerms")
        .required(
            "monthly_ppm",
            "The share of such machines that is interrupted in a month, in parts per million.",
            small_count(),
        )
        .required(
            "assumed",
            "Whether the share is assumed, and not from a source.",
            Schema::boolean(),
        )
        .required(
            "interruptions_millionths",
            "The expected number of interruptions, in millionths.",
            counted(),
        )
        .required(
            "checkpoint_every_ms",
            "The work between two checkpoints. Null: none is saved.",
            time().or_null(),
        )
        .required(
            "moving_micro_usd",
            "The part of the cost that is for bringing checkpoints to other places: 0, since an interrupted stage is \
             expected to start again where it was. Plans of earlier versions may say more.",
            money(),
        )
        .schema()
}

fn extras() -> Schema {
    Table::new("Extras")
        .key(
            "disk_nano_usd_per_hour",
            "The price of an hour of the boot disk. Absent: 0.",
            rate(),
        )
        .key(
            "address_nano_usd_per_hour",
            "The price of an hour of the public IPv4 address. Absent: 0.",
            rate(),
        )
        .schema()
}

fn checkpoint() -> Schema {
    Table::new("PlannedCheckpoint")
        .required(
            "every_ms",
            "The work between two checkpoints. Null: the stage decides.",
            time().or_null(),
        )
        .required("bytes", "The size of a checkpoint.", bytes())
        .schema()
}

fn retries() -> Schema {
    Table::new("Retries")
        .required(
            "times",
            "How many more times the command is run after the first.",
            small_count(),
        )
        .key(
            "on",
            "The exit codes after which it is run again. Absent: every code but 0.",
            Schema::list_of(Schema::whole_number(i32::MIN..=i32::MAX)),
        )
        .schema()
}
