//! The schemas of a plan's data: where it is, and how it is brought to other places.

use super::values::{
    artifact, bytes, counted, digest, money, name_pattern, path_part, place, purchase, rate, time,
};
use crate::util::json_schema::{Schema, Table};

const SPEED: &str = "The speed of the link in bits per second. Absent: the plan does not say.";
const ASSUMED: &str =
    "Whether the speed is assumed, because nobody has measured or declared it. Absent: false.";

/// A dataset of the job.
pub(super) fn dataset() -> Schema {
    Table::new("PlannedDataset")
        .required("at", "The place where the dataset is.", place())
        .required(
            "path",
            "Where the machine that planned has it, relative to the job file. Null: the job does not say.",
            Schema::text().or_null(),
        )
        .required("bytes", "The size of the dataset.", bytes())
        .required(
            "labels",
            "The labels of the dataset, which rules name.",
            Schema::list_of(Schema::text()),
        )
        .schema()
}

/// A transfer of an artifact.
pub(super) fn transfer() -> Schema {
    Table::new("PlannedTransfer")
        .required("artifact", "The dataset or artifact that is brought to another place.", artifact())
        .required("from", "The place that has the artifact by then.", place())
        .required(
            "to",
            "The place that gets the artifact; `local:here` is the machine that sky runs on.",
            place(),
        )
        .required("bytes", "The size of the artifact.", bytes())
        .required(
            "readers",
            "The stages that read this copy; none if it is brought home.",
            Schema::list_of(Schema::text()),
        )
        .required("start_ms", "The start of the transfer, from the start of the job.", time())
        .required("duration_ms", "How long the transfer takes.", time())
        .required("cost_micro_usd", "The cost of the egress.", money())
        .key(
            "storage_micro_usd",
            "The cost of keeping the copy at its destination. Absent: 0.",
            money(),
        )
        .required("rate_nano_usd_per_gb", "The price of its last gigabyte.", rate())
        .key(
            "billed_gb_bytes",
            "The bytes of a gigabyte as the cloud bills it. Absent: 1000000000.",
            counted(),
        )
        .key("bits_per_second", SPEED, counted())
        .key("assumed_speed", ASSUMED, Schema::boolean())
        .key(
            "shared_link_bytes",
            "What of other copies passes the link of this machine before this one has arrived. Absent: 0.",
            bytes(),
        )
        .schema()
}

/// The price and the speed of data from one place to another.
pub(super) fn link() -> Schema {
    Table::new("PlannedLink")
        .required("from", "The place that data comes from.", place())
        .required("to", "The place that data goes to.", place())
        .required(
            "rate_nano_usd_per_gb",
            "The most that a gigabyte of this plan costs on the way.",
            rate(),
        )
        .required(
            "bits_per_second",
            "The speed of the link in bits per second.",
            counted(),
        )
        .key("assumed_speed", ASSUMED, Schema::boolean())
        .schema()
}

/// What was done when the rest of a job was planned.
pub(super) fn from_state() -> Schema {
    Table::new("FromState")
        .required(
            "lineage",
            "The lineage of the state, which is its identity.",
            Schema::text(),
        )
        .required("serial", "The serial number of the state.", counted())
        .required(
            "elapsed_ms",
            "The time from the start of the job to the last thing that the state knows of.",
            time(),
        )
        .required(
            "spent_micro_usd",
            "What was spent, and what is set aside for machines that are still there.",
            money(),
        )
        .required(
            "done",
            "The stages that are done, by name; they are not among `stages`.",
            Schema::table_by_name(&name_pattern(), done_stage()),
        )
        .key(
            "exhausted",
            "Offers that were unavailable, which the plan does without.",
            Schema::list_of(exhausted()),
        )
        .schema()
}

fn done_stage() -> Schema {
    Table::new("DoneStage")
        .required(
            "place",
            "Where the stage ran, and its outputs are.",
            place(),
        )
        .required(
            "outputs",
            "The outputs by name, with their sizes as they are.",
            Schema::table_by_name(&name_pattern(), bytes()),
        )
        .schema()
}

fn exhausted() -> Schema {
    Table::new("Exhausted")
        .required("stage", "The stage that wanted the offer.", Schema::text())
        .required("place", "The place of the offer.", place())
        .required(
            "instance_type",
            "The machine type of the offer.",
            Schema::text(),
        )
        .required("purchase", "How the machines are bought.", purchase())
        .required(
            "why",
            "Why: `stockout`, `quota` or `preempted`.",
            Schema::text(),
        )
        .schema()
}

/// What datasets and files hold.
pub(super) fn contents() -> Schema {
    Table::new("Contents")
        .key(
            "datasets",
            "The content of datasets, by name.",
            Schema::table_of(content_digest()),
        )
        .key(
            "files",
            "The content of files, by the name that stages give them.",
            Schema::table_of(content_digest()),
        )
        .schema()
}

fn content_digest() -> Schema {
    Table::new("ContentDigest")
        .required(
            "digest",
            "The digest of the file, or of the listing of the directory.",
            digest(),
        )
        .required("bytes", "The sum of the sizes of its files.", bytes())
        .required(
            "kind",
            "Whether it is a file, an executable file or a directory.",
            Schema::word_of(["file", "executable", "directory"]),
        )
        .schema()
}

/// Names of things that become names of files, with their sizes.
pub(super) fn sizes_by_name() -> Schema {
    Schema::table_by_name(&name_pattern(), bytes())
}

/// Names of stages.
pub(super) fn stage_names() -> Schema {
    Schema::list_of(path_part())
}
