//! The schemas of single values of a plan.

use crate::util::json_schema::{CONTROL, Schema};

/// An amount of money.
pub(super) fn money() -> Schema {
    Schema::whole_number(i64::MIN..=i64::MAX).in_form("In micro-USD.")
}

/// A price.
pub(super) fn rate() -> Schema {
    Schema::whole_number(i64::MIN..=i64::MAX).in_form("In nano-USD.")
}

/// A span of time, or a time from the start of the job.
pub(super) fn time() -> Schema {
    counted().in_form("In milliseconds.")
}

/// A size.
pub(super) fn bytes() -> Schema {
    counted().in_form("In bytes.")
}

/// A number of things.
pub(super) fn counted() -> Schema {
    Schema::whole_number(0..=u64::MAX)
}

/// A number of things that are never many.
pub(super) fn small_count() -> Schema {
    Schema::whole_number(0..=u32::MAX)
}

/// A SHA-256 digest.
pub(super) fn digest() -> Schema {
    Schema::text_like("^sha256:[0-9a-f]{64}$")
}

/// A place.
pub(super) fn place() -> Schema {
    Schema::text_like(&format!("^[^:* {CONTROL}]+:[^:*{CONTROL}]+$"))
        .in_form("Written `cloud:region`.")
}

/// The pattern of names that become names of files.
pub(super) fn name_pattern() -> String {
    format!("^[^./{CONTROL}][^/{CONTROL}]{{0,199}}$")
}

/// A name that becomes the name of a file.
pub(super) fn path_part() -> Schema {
    Schema::text_like(&name_pattern())
}

/// A dataset, or what a stage writes: `reviews`, `process.tokens`.
pub(super) fn artifact() -> Schema {
    Schema::text_like(&format!(
        "^[^./{CONTROL}]{{1,200}}(?:\\.[^./{CONTROL}][^/{CONTROL}]{{0,202}})?$"
    ))
    .unless_like(r"\.\[i\]$")
}

/// How machines are bought.
pub(super) fn purchase() -> Schema {
    Schema::word_of(["on-demand", "spot"])
}
