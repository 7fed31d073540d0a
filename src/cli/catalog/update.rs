//! `sky catalog update`.

mod progress;

use super::offer_table::pretty;
use crate::cli::signals::Signals;
use crate::cli::{Exit, Failure, Terminal};
use crate::feeds::ImportReport;
use crate::feeds::live::{
    self, ChangedPrices, Endpoints, SourceOutcome, SourceSelection, SourceStatus, UpdateOutcome,
    UpdateSettings,
};
use crate::model::Pattern;
use crate::util::{environment, variables};
use clap::Args;
use progress::Progress;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Arguments of `sky catalog update`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "The sources are skypilot, azure, gcp, aws, aws-spot-advisor, catalog, and aws-spot in builds with \
the feature aws. gcp needs a key, in SKY_GCP_API_KEY or GOOGLE_API_KEY. Each is asked at its public address, \
or where an environment variable says: SKY_SKYPILOT_URL (and SKY_SKYPILOT_COMMITS_URL), SKY_AZURE_PRICES_URL, SKY_GCP_PRICES_URL, SKY_AWS_PRICES_URL, \
SKY_AWS_SPOT_ADVISOR_URL, SKY_CATALOG_URL. Proxies are those of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.\n\n\
Exit codes: 0 all sources were read, 7 some failed and some did not, 1 all failed. What a source that failed would \
have changed stays as it was."
)]
pub struct UpdateArgs {
    /// Only this cloud; may be given several times
    #[arg(long = "cloud", value_name = "CLOUD")]
    pub clouds: Vec<String>,
    /// Only this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Only prices of these regions, such as us-east-1, `us-*` or `aws:eu-*`; may be given several
    /// times. AWS's price list has a file of some hundred MB for each region: all of them are only
    /// fetched with --region '*'
    #[arg(long = "region", value_name = "PATTERN")]
    pub regions: Vec<String>,
    /// A catalog in sky's own format, a folder or an address, is laid over this one; alone, unless
    /// --source names others
    #[arg(long, value_name = "URL|DIR")]
    pub from: Option<String>,
    /// Where answers are kept, so that only what has changed is fetched again [default:
    /// $XDG_CACHE_HOME/sky or ~/.cache/sky]
    #[arg(long, value_name = "DIR", env = variables::SKY_CACHE_DIR.name)]
    pub cache: Option<PathBuf>,
    /// Attempts after one that failed
    #[arg(long, value_name = "N", default_value_t = live::RETRIES)]
    pub retries: usize,
    /// Seconds without an answer after which an attempt has failed
    #[arg(long, value_name = "SECONDS", default_value_t = live::TIMEOUT_S, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `sky catalog update`.
pub fn update(
    args: &UpdateArgs,
    catalog: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let out = &crate::cli::lock::home(catalog)?;
    let text = |variable: variables::Variable| environment::exact_text(variable).ok();
    let mut endpoints = Endpoints::new(text).map_err(|fault| Failure::error(fault.0))?;
    let mut wanted_sources = SourceSelection {
        clouds: args.clouds.clone(),
        sources: args.sources.clone(),
        regions: args.regions.iter().cloned().map(Pattern).collect(),
    };
    if args.from.is_some() {
        endpoints.own = args.from.clone();
        if wanted_sources.sources.is_empty() {
            wanted_sources.sources.push("catalog".to_owned());
        }
    }
    let (cache, passing) = cache_folder(args)?;
    let settings = UpdateSettings {
        retries: args.retries,
        timeout: Duration::from_secs(args.timeout),
        gcp_key: [variables::SKY_GCP_API_KEY, variables::GOOGLE_API_KEY]
            .into_iter()
            .find_map(|variable| text(variable).filter(|key| !key.is_empty())),
        aws_credentials: aws_credentials(),
        ..UpdateSettings::usual(cache, endpoints)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    let progress = Rc::new(Progress::new(terminal));
    let update_result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            result = live::update(&wanted_sources, &settings, out, progress.clone()) => Ok(result),
            interrupt = signals.next() => Err(Failure::new(crate::cli::apply::exit_of(interrupt), format!("{}: {} is as it was", interrupt.name(), out.display()))
                .hint(if passing.is_some() { "--cache DIR keeps what was fetched until the next `sky catalog update`" } else { "the next `sky catalog update` goes on with what was fetched" })),
        }
    });
    // A look-up of a name that hangs must not keep the program.
    runtime.shutdown_background();
    progress.finish();
    let update = update_result?.map_err(|error| match error.message == live::LOCKED {
        true => Failure::new(Exit::Locked, error.to_string()),
        false => Failure::error(error),
    })?;
    if passing.is_some() {
        terminal.note("There is no HOME: what was fetched is not kept for the next update; --cache DIR keeps it.");
    }
    terminal.out(&if args.json {
        to_json(&update, out)
    } else {
        to_text(&update, out)
    })?;
    for line in failure_lines(&update.outcomes) {
        terminal.warn(&line);
    }
    // Programs have read all of it by now, the reason of every source that failed included.
    let told_failure = |failure: Failure| failure.told_if(args.json);
    let exit = update_exit(&update.outcomes).map_err(told_failure)?;
    super::lock::follow(out, catalog.is_some(), terminal).map_err(told_failure)?;
    Ok(exit)
}

/// Whether there is anything that names credentials of AWS. Without, the SDK would ask an address
/// that only AWS's own machines have, and wait.
fn aws_credentials() -> bool {
    let names_credentials = [
        variables::AWS_ACCESS_KEY_ID,
        variables::AWS_PROFILE,
        variables::AWS_WEB_IDENTITY_TOKEN_FILE,
        variables::AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
    ];
    let home = environment::bytes(variables::HOME).map(|home| Path::new(&home).join(".aws"));
    names_credentials.into_iter().any(environment::is_set)
        || home.is_some_and(|folder| {
            folder.join("credentials").exists() || folder.join("config").exists()
        })
}

fn update_exit(outcomes: &[SourceOutcome]) -> Result<Exit, Failure> {
    let failed_outcomes = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.status, SourceStatus::Failed(_)))
        .count();
    let worked = outcomes.iter().any(|outcome| {
        matches!(
            outcome.status,
            SourceStatus::Updated | SourceStatus::Unchanged
        )
    });
    match (failed_outcomes, worked) {
        (0, true) => Ok(Exit::Success),
        (_, true) => Ok(Exit::Partial),
        (0, false) => Err(Failure::error("no source could be asked; the catalog is as it was")),
        (_, false) => Err(Failure::error("no source could be read; the catalog is as it was")
            .hint("nothing of the network is needed to plan: plans go on with the prices that are there")),
    }
}

/// The folder for answers; without HOME one that is dropped in the end.
fn cache_folder(args: &UpdateArgs) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if let Some(cache) = args.cache.clone().or_else(crate::util::cache::folder) {
        return Ok((cache, None));
    }
    let fault = |error: std::io::Error| {
        Failure::error(format!("there is no folder for what is fetched: {error}"))
    };
    let folder = tempfile::Builder::new()
        .prefix("sky-")
        .tempdir()
        .map_err(|error| fault(error).hint("name one with --cache"))?;
    Ok((folder.path().to_owned(), Some(folder)))
}

/// A line for each reason, with all that failed for it.
fn failure_lines(outcomes: &[SourceOutcome]) -> Vec<String> {
    let groups = live::grouped(outcomes).into_iter();
    let failed_groups =
        groups.filter(|(_, group)| matches!(group[0].status, SourceStatus::Failed(_)));
    failed_groups
        .map(|((source, why), group)| {
            format!(
                "{}: {why}; {}",
                source_words(source, &group),
                kept_words(source, &group)
            )
        })
        .collect()
}

/// What the catalog has instead: `its 3 prices stay, the newest of 2026-07-20 (126 days old)`.
fn kept_words(source: &str, group: &[&SourceOutcome]) -> String {
    let kept_rows = || group.iter().filter_map(|outcome| outcome.kept.as_ref());
    let kept_figure = if source == "aws-spot-advisor" {
        "interruption rate"
    } else {
        "price"
    };
    let newest = kept_rows()
        .max_by_key(|kept| kept.newest)
        .and_then(|kept| Some((kept.newest?, kept.days?)));
    match (kept_rows().map(|kept| kept.rows).sum::<usize>(), newest) {
        (1, Some((day, days))) => {
            format!("the catalog's {kept_figure} of {day} stays, {days} days old")
        }
        (rows, Some((day, days))) => {
            format!(
                "the catalog's {rows} {kept_figure}s stay, the newest of {day}, {days} days old"
            )
        }
        _ => "the catalog stays as it is".to_owned(),
    }
}

/// `skypilot (aws, azure and 26 more)`.
fn source_words(source: &str, group: &[&SourceOutcome]) -> String {
    let outcome_parts: Vec<String> = group
        .iter()
        .map(|outcome| region_or_cloud(outcome))
        .filter(|part| !part.is_empty())
        .collect();
    match outcome_parts.as_slice() {
        [] => source.to_owned(),
        [one] if one == source => source.to_owned(),
        few if few.len() <= 4 => format!("{source} ({})", few.join(", ")),
        many => format!(
            "{source} ({} and {} more)",
            many[..3].join(", "),
            many.len() - 3
        ),
    }
}

/// What of a source: a region, else a cloud if the source has several.
fn region_or_cloud(outcome: &SourceOutcome) -> String {
    match (outcome.part.as_str(), outcome.source) {
        ("", "skypilot") => outcome.cloud.clone(),
        (part, _) => part.to_owned(),
    }
}

fn to_text(update: &UpdateOutcome, catalog_folder: &Path) -> String {
    let mut text = String::new();
    if update.created {
        let _ = writeln!(
            text,
            "{} is new: it starts as the catalog that sky was built with.",
            catalog_folder.display()
        );
    }
    let read_outcomes = update.outcomes.iter().filter(|outcome| {
        matches!(
            outcome.status,
            SourceStatus::Updated | SourceStatus::Unchanged
        )
    });
    text.extend(read_outcomes.clone().map(outcome_line));
    let mut all_notes: Vec<&String> = read_outcomes
        .clone()
        .flat_map(|outcome| &outcome.report.notes)
        .collect();
    all_notes.dedup();
    all_notes
        .iter()
        .for_each(|note| text.push_str(&format!("{note}\n")));
    let mut left_by_source: BTreeMap<&str, ImportReport> = BTreeMap::new();
    for outcome in read_outcomes {
        left_by_source
            .entry(outcome.source)
            .or_default()
            .add_left_out(&outcome.report);
    }
    for (source, report) in left_by_source {
        let reasons = report.reasons();
        if !reasons.is_empty() {
            let _ = writeln!(text, "Left out of {source}:");
            reasons
                .iter()
                .for_each(|(rows, what)| text.push_str(&format!("  {rows:>6}  {what}\n")));
        }
    }
    for ((source, why), group) in live::grouped(&update.outcomes) {
        if matches!(group[0].status, SourceStatus::Skipped(_)) {
            let _ = writeln!(text, "Not asked: {}: {why}", source_words(source, &group));
        }
    }
    let total_changes = live::total(&update.outcomes);
    let _ = match update.changed.len() {
        0 => writeln!(text, "No file changed in {}.", catalog_folder.display()),
        1 => writeln!(
            text,
            "1 file changed in {}{}.",
            catalog_folder.display(),
            changed_prices_words(&total_changes)
        ),
        files => writeln!(
            text,
            "{files} files changed in {}{}.",
            catalog_folder.display(),
            changed_prices_words(&total_changes)
        ),
    };
    text
}

/// What was taken from a source, of which day, and how its prices changed: one line.
fn outcome_line(outcome: &SourceOutcome) -> String {
    let name = format!("{} {}", outcome.source, region_or_cloud(outcome));
    let taken_words: Vec<String> = outcome
        .report
        .taken
        .iter()
        .map(|(what, rows)| format!("{rows} {}", what_of(what, &outcome.cloud)))
        .collect();
    let day = outcome
        .day
        .map_or(String::new(), |day| format!(" of {day}"));
    format!(
        "{}: {}{day}{}\n",
        name.trim_end(),
        list_words(&taken_words),
        changed_prices_words(&outcome.changes)
    )
}

/// `prices` instead of `aws: prices` where the line has the cloud already.
fn what_of<'a>(reason_text: &'a str, cloud: &str) -> &'a str {
    reason_text
        .strip_prefix(cloud)
        .and_then(|rest| rest.strip_prefix(": "))
        .filter(|_| !cloud.is_empty())
        .unwrap_or(reason_text)
}

fn list_words(items: &[String]) -> String {
    if items.is_empty() {
        "nothing taken".to_owned()
    } else {
        items.join(", ")
    }
}

/// `: 3 prices new, 2 rose`.
fn changed_prices_words(changes: &ChangedPrices) -> String {
    let change_counts = [
        (changes.new, "new"),
        (changes.rose, "rose"),
        (changes.fell, "fell"),
        (changes.same, "as before"),
        (changes.gone, "dropped"),
    ];
    let change_words: Vec<String> = change_counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if change_words.is_empty() {
        String::new()
    } else {
        format!(": prices {}", change_words.join(", "))
    }
}

fn to_json(update: &UpdateOutcome, catalog_folder: &Path) -> String {
    let sources: Vec<Value> = update.outcomes.iter().map(outcome_json).collect();
    pretty(&json!({
        "catalog": catalog_folder, "created": update.created, "changed": update.changed,
        "prices": changes_json(&live::total(&update.outcomes)), "sources": sources,
    }))
}

fn outcome_json(outcome: &SourceOutcome) -> Value {
    let (status, reason) = match &outcome.status {
        SourceStatus::Updated => ("updated", None),
        SourceStatus::Unchanged => ("unchanged", None),
        SourceStatus::Skipped(why) => ("skipped", Some(why)),
        SourceStatus::Failed(why) => ("failed", Some(why)),
    };
    let report = &outcome.report;
    let (rows, about) = super::import::left_out_json(report);
    let kept_value = outcome.kept.as_ref().map(
        |kept| json!({ "rows": kept.rows, "newest": kept.newest.map(|day| day.to_string()), "days_old": kept.days }),
    );
    json!({
        "source": outcome.source, "cloud": outcome.cloud, "part": outcome.part, "status": status, "reason": reason,
        "date": outcome.day.map(|day| day.to_string()), "taken": report.taken, "left_out": rows,
        "left_out_about": about, "notes": report.notes, "prices": changes_json(&outcome.changes), "kept": kept_value,
    })
}

fn changes_json(changes: &ChangedPrices) -> Value {
    json!({
        "new": changes.new, "rose": changes.rose, "fell": changes.fell, "same": changes.same, "dropped": changes.gone,
    })
}
