//! The schemas of single values: quantities, names, places and lists of them.

use crate::model::geography::{COUNTRIES, blocs};
use crate::model::names::LONGEST_NAME;
use crate::model::offer::{ANY_ARCH, CLASSES};
use crate::model::policy::DEFAULT_LABEL;
use crate::model::units::{SIZE_UNITS, SPEED_UNITS, TIME_UNITS};
use crate::model::{Allocation, Tee};
use crate::spec::needs::{ARCHITECTURES, MOST_CPUS};
use crate::spec::retries::MOST_RETRIES;
use crate::spec::work::WORK_UNITS;
use crate::spec::write::allocation_word;
use crate::util::json_schema::{CONTROL, Schema, Table};

/// The pattern of a number without a sign: `12`, `0.0875`, `1_000.5`, `3.2e18`.
pub(in crate::spec) const DECIMAL: &str =
    r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]{1,9})?";
/// What no text with a unit may have: an exponent that does not follow a digit.
const LONE_EXPONENT: &str = r"[._][eE][0-9+-]";
/// Found in every text whose number is zero, and in no text with another number.
pub(in crate::spec) const ZERO: &str = "^[^1-9]*$";
/// The pattern of environment variables.
pub(super) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// The pattern of the variables that sky sets itself.
pub(super) const OWN_VARIABLE: &str = "^SKY_";

/// A number with one of some units, as part of a pattern.
fn number_with<'u>(units: impl IntoIterator<Item = &'u str>) -> String {
    let units: Vec<&str> = units.into_iter().collect();
    format!(r"{DECIMAL}\s*(?:{})", units.join("|"))
}

/// A size, such as `"8 GB"`.
pub(in crate::spec) fn size() -> Schema {
    let quantity = number_with(SIZE_UNITS.map(|(unit, _)| unit));
    Schema::text_like(&format!(r"^\s*\+?{quantity}\s*$"))
        .unless_like(LONE_EXPONENT)
        .with_examples(["8 GB", "32 GiB"])
        .in_form("A size such as \"8 GB\" (powers of 1000) or \"32 GiB\" (powers of 1024).")
}

fn time_unless(refused: &str) -> Schema {
    let quantity = number_with(TIME_UNITS.map(|(unit, _)| unit));
    Schema::text_like(&format!(r"^\s*\+?{quantity}(?:\s*{quantity})*\s*$"))
        .unless_like(refused)
        .with_examples(["33 m", "2 h 30 m"])
        .in_form("A time such as \"90 s\", \"33 m\", \"2 h 30 m\" or \"7 d\".")
}

/// A time that is not zero, such as `"33 m"`.
pub(in crate::spec) fn time() -> Schema {
    time_unless(&format!("{ZERO}|{LONE_EXPONENT}"))
}

/// A time that may be zero.
pub(super) fn time_or_zero() -> Schema {
    time_unless(LONE_EXPONENT)
}

/// An amount of US dollars, as part of a pattern.
fn dollars() -> String {
    format!(r"(?:\$\s*\+*{DECIMAL}|\+*{DECIMAL}\s*USD)")
}

/// An amount of US dollars, such as `"$60"`.
pub(super) fn money() -> Schema {
    Schema::text_like(&format!(r"^\s*{}\s*$", dollars()))
        .with_examples(["$60"])
        .in_form("US dollars such as \"$60\" or \"60 USD\".")
}

/// A price for an hour, such as `"$2.50"`.
pub(super) fn hourly_price() -> Schema {
    Schema::text_like(&format!(r"^\s*{}\s*(?:/hour|/hr|/h)?\s*$", dollars()))
        .with_examples(["$2.50"])
        .in_form("US dollars for an hour, such as \"$2.50\" or \"$2.50/h\".")
}

/// The speed of a link, such as `"200 Mbit/s"`.
pub(super) fn speed() -> Schema {
    let quantity = number_with(SPEED_UNITS.map(|(unit, _)| unit));
    Schema::text_like(&format!(r"^\s*\+?{quantity}\s*$"))
        .unless_like(&format!("{ZERO}|{LONE_EXPONENT}"))
        .with_examples(["200 Mbit/s"])
        .in_form("A speed such as \"200 Mbit/s\" or \"1 Gbit/s\".")
}

/// An amount of work, such as `"500 PFLOP"`, in which upper and lower case are the same.
pub(super) fn operations() -> Schema {
    let either_case = |letter: char| {
        let (upper, lower) = (letter.to_ascii_uppercase(), letter.to_ascii_lowercase());
        format!("[{upper}{lower}]")
    };
    let units: Vec<String> = WORK_UNITS
        .iter()
        .map(|(unit, _)| unit.chars().map(either_case).collect())
        .collect();
    let quantity = number_with(units.iter().map(String::as_str));
    Schema::text_like(&format!(r"^\s*\+?{quantity}\s*$"))
        .unless_like(&format!("{ZERO}|{LONE_EXPONENT}"))
        .with_examples(["500 PFLOP"])
        .in_form("An amount of work such as \"500 PFLOP\" or \"3.2e18 FLOP\".")
}

/// A share from 1 % to 100 %.
pub(super) fn percentage() -> Schema {
    Schema::text_like(r"^\s*\+?0*(?:[1-9][0-9]?|100)\s*%\s*$")
        .with_examples(["40 %"])
        .in_form("A whole percentage such as \"40 %\".")
}

/// A number of virtual CPUs.
pub(super) fn cpus() -> Schema {
    Schema::number_up_to(MOST_CPUS).in_form("A number such as 8 or 0.5.")
}

/// The pattern of names of jobs, stages, datasets, artifacts and labels.
pub(super) fn name_pattern() -> String {
    format!("^{}$", name_part())
}

/// A name, as part of a pattern.
pub(super) fn name_part() -> String {
    format!("[A-Za-z0-9_][A-Za-z0-9_-]{{0,{}}}", LONGEST_NAME - 1)
}

/// A name, of letters, digits, `_` and `-`.
pub(super) fn name() -> Schema {
    Schema::text_like(&name_pattern())
        .in_form("Names are made of letters, digits, `_` and `-`, and do not begin with `-`.")
}

/// Labels on data.
pub(super) fn labels() -> Schema {
    Schema::one_or_list_of(name().except(DEFAULT_LABEL).in_form(""))
}

/// One place, such as `"azure:eastus"`.
pub(super) fn place() -> Schema {
    Schema::text_like(&format!("^[^:* A-Z{CONTROL}]+:[^:*\\s{CONTROL}]+$"))
        .with_examples(["azure:eastus"])
        .in_form("A place is written `cloud:region`, such as \"azure:eastus\".")
}

/// The pattern of patterns over places.
pub(super) fn place_pattern() -> String {
    format!("^[^:\\sA-Z{CONTROL}]+:[^:\\s{CONTROL}]+$")
}

/// A pattern over places, such as `"aws:eu-*"`.
pub(super) fn places() -> Schema {
    Schema::text_like(&place_pattern())
        .with_examples(["aws:eu-*"])
        .in_form("A pattern `cloud:region` with `*` for any letters, such as \"aws:eu-*\".")
}

/// A pattern over names of clouds.
pub(super) fn clouds() -> Schema {
    Schema::text_like(&format!("^[^:\\sA-Z{CONTROL}]+$"))
}

/// The pattern of the name of one cloud.
pub(super) fn cloud_pattern() -> String {
    format!("^[^:*\\sA-Z{CONTROL}]+$")
}

/// A pattern over names of machine types.
pub(super) fn instance_types() -> Schema {
    Schema::text_like(&format!("^[^:\\s{CONTROL}]+$"))
}

/// The pattern of an accelerator, with or without how many of it.
pub(super) fn accelerator_pattern() -> String {
    format!(r"^\s*[^:\s]+(?:\s*|:\s*\+*{DECIMAL}\s*)$")
}

/// Found in every accelerator whose count is zero.
pub(super) const NO_ACCELERATOR: &str = ":[^1-9]*$";

/// An accelerator and how many of it, such as `"V100:4"`.
pub(super) fn accelerator() -> Schema {
    Schema::text_like(&accelerator_pattern())
        .unless_like(NO_ACCELERATOR)
        .with_examples(["V100:4"])
        .in_form("An accelerator and how many of it: \"V100:4\", or \"V100\" for one.")
}

/// A trusted execution environment.
pub(in crate::spec) fn tee() -> Schema {
    Schema::word_of(Tee::ALL.map(Tee::name))
}

/// An architecture, or `any`.
pub(super) fn architecture() -> Schema {
    let known = ARCHITECTURES.map(|(name, _)| name);
    Schema::word_of(known.into_iter().chain([ANY_ARCH]))
}

/// One country.
pub(in crate::spec) fn country() -> Schema {
    Schema::word_of(COUNTRIES.split_whitespace())
        .in_form("An ISO 3166 code such as \"DE\"; the United Kingdom is \"GB\".")
}

/// Countries, and blocs of them.
pub(super) fn countries() -> Schema {
    let known = blocs().chain(COUNTRIES.split_whitespace());
    Schema::one_or_list_of(Schema::word_of(known))
        .not_empty()
        .in_form("ISO 3166 codes such as \"DE\", and the blocs \"EU\", \"EEA\" and \"EFTA\".")
}

/// A class of places.
pub(in crate::spec) fn class() -> Schema {
    Schema::word_of(CLASSES.map(|(name, _)| name))
}

/// Whether the US CLOUD Act reaches somebody.
pub(in crate::spec) fn reach() -> Schema {
    Schema::word_of(["no", "yes", "contested", "unknown"])
}

/// How machines are bought.
pub(super) fn allocation() -> Schema {
    let all = [
        Allocation::OnDemand,
        Allocation::Spot,
        Allocation::SpotIfAvailable,
        Allocation::Cheapest,
    ];
    Schema::word_of(all.map(allocation_word)).in_form(
        "`on-demand`; `spot`; `spot-if-available`: spot in every place that has such an offer, on demand \
         elsewhere; `cheapest`: what costs least in expectation.",
    )
}

/// How often a command that fails is run again.
pub(super) fn retries() -> Schema {
    let times = || Schema::whole_number(0..=MOST_RETRIES);
    let code = || Schema::whole_number(1..=255);
    let codes = Schema::list_of(code()).not_empty();
    Table::new("Retries")
        .required(
            "times",
            "How many more times it is run. 0: it is not run again.",
            times(),
        )
        .key(
            "on",
            "The exit codes after which it is run again. Default: every exit code but 0.",
            code().or(codes),
        )
        .schema()
        .or(times())
        .in_form("A number, or `{ times = 3, on = [75, 137] }` for these exit codes only.")
}
