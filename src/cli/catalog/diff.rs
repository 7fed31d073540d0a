//! `sky catalog diff`: what changed in price, and which saved plans that touches.

use super::cloud_terms::percent_of;
use super::diff_side::{BUILT_IN, Side, of_folder, read_side};
use super::offer_table::{self, pretty, table_text};
use crate::catalog::diff::{self, CloudChange, Differences, PriceChange};
use crate::catalog::files::CATALOG;
use crate::catalog::lock::{self, LOCK};
use crate::cli::{Exit, Failure, Terminal, lock as locks};
use crate::model::Money;
use crate::model::units::{grouped, saturate};
use crate::plan::{Plan, file as plan_file};
use crate::planning::{self, Repriced};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Show what changed in price between two catalogs, and which saved plans that touches
///
/// A catalog is a folder, a lock file, or `built-in`. OLD is sky.lock if there is one, else
/// built-in; NEW is the catalog of --catalog, else what there is now where sky.lock says, else
/// ./catalog.
#[derive(Debug, Default, Args)]
pub struct DiffArgs {
    /// The catalog to compare with: a folder, a lock file, or `built-in`
    pub old: Option<String>,
    /// The other one
    pub new: Option<String>,
    /// Plan files, or folders with them, to price anew [default: plans in the working folder]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub plans: Vec<PathBuf>,
    /// List at most so many prices; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Exit code 2 if anything differs
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Compares.
pub(super) fn run(
    args: &DiffArgs,
    named: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let pinned = locks::read()?;
    let old_side = match &args.old {
        Some(name) => read_side(name)?,
        None if pinned.is_some() => read_side(LOCK)?,
        None => read_side(BUILT_IN)?,
    };
    let new = match (&args.new, named, &pinned) {
        (Some(name), _, _) => read_side(name)?,
        (None, Some(folder), _) => of_folder(folder)?,
        (None, None, Some(pinned)) => match locks::folder(&pinned.at) {
            Some(folder) => of_folder(&folder)?,
            None => read_side(BUILT_IN)?,
        },
        (None, None, None) if Path::new("catalog").join(CATALOG).exists() => {
            of_folder(Path::new("catalog"))?
        }
        (None, None, None) => {
            return Err(Failure::error(
                "there is nothing to compare with: no sky.lock and no ./catalog here",
            )
            .hint("name two catalogs: `sky catalog diff built-in ./catalog`"));
        }
    };
    let (Some(before), Some(after)) = (&old_side.catalog, &new.catalog) else {
        return by_locks(args, &old_side, &new, terminal);
    };
    let differences = diff::between(before, after);
    let plans = meant_plans(&args.plans)?;
    let touched: Vec<(String, usize, Money, Repriced)> = plans
        .into_iter()
        .map(|(name, plan)| {
            (
                name,
                plan.stages.len(),
                plan.totals.cost_micro_usd,
                planning::reprice(&plan, before, after),
            )
        })
        .collect();
    let differs = old_side.digest != new.digest;
    let text = match args.json {
        true => pretty(&to_json(
            &old_side,
            &new,
            &differences,
            &touched,
            shown_limit(args, &differences),
        )),
        false => diff_text(
            &old_side,
            &new,
            &differences,
            &touched,
            shown_limit(args, &differences),
        ),
    };
    terminal.out(&text)?;
    Ok(if differs && args.detailed_exitcode {
        Exit::Changes
    } else {
        Exit::Success
    })
}

fn shown_limit(args: &DiffArgs, differences: &Differences) -> usize {
    if args.limit == 0 {
        differences.prices.len()
    } else {
        args.limit.min(differences.prices.len())
    }
}

/// What locks alone tell: which sources differ.
fn by_locks(args: &DiffArgs, old: &Side, new: &Side, terminal: &Terminal) -> Result<Exit, Failure> {
    let lock = |side: &Side| match &side.lock {
        Some(lock) => Ok(lock.clone()),
        None => locks::locked(None).map(|(lock, _, _)| lock),
    };
    let difference_lines = lock::differences(&lock(old)?, &lock(new)?);
    let lost = if old.catalog.is_none() { old } else { new };
    terminal.warn(&format!(
        "the catalog of {} is not kept on this machine, so its prices cannot be compared; name its folder, or take it \
         from version control",
        lost.name
    ));
    if args.json {
        let diff_value = json!({
            "format_version": "1.0", "old": side_json(old), "new": side_json(new), "sources": difference_lines,
            "prices_compared": false,
        });
        terminal.out(&pretty(&diff_value))?;
    } else {
        let indented_lines: String = difference_lines
            .iter()
            .map(|line| format!("  {line}\n"))
            .collect();
        terminal.out(&format!(
            "{}\nSources:\n{indented_lines}",
            side_heads(old, new)
        ))?;
    }
    Ok(if args.detailed_exitcode && old.digest != new.digest {
        Exit::Changes
    } else {
        Exit::Success
    })
}

/// The plans that are meant, each with its file's name.
fn meant_plans(paths: &[PathBuf]) -> Result<Vec<(String, Plan)>, Failure> {
    let mut found_plans = Vec::new();
    let working_dir = [PathBuf::from(".")];
    for path in if paths.is_empty() {
        working_dir.as_slice()
    } else {
        paths
    } {
        if !path.is_dir() {
            found_plans.push((
                path.display().to_string(),
                plan_file::read(path).map_err(Failure::error)?,
            ));
            continue;
        }
        let entries =
            std::fs::read_dir(path).map_err(|error| Failure::file(path, "read", error))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<PathBuf> = files
            .filter(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        files.sort();
        // Other JSON files may lie beside plans.
        let read_plan = |file: PathBuf| {
            Some((
                file.strip_prefix(".")
                    .unwrap_or(&file)
                    .display()
                    .to_string(),
                plan_file::read(&file).ok()?,
            ))
        };
        found_plans.extend(files.into_iter().filter_map(read_plan));
    }
    Ok(found_plans)
}

fn side_heads(old: &Side, new: &Side) -> String {
    let width = old.name.len().max(new.name.len());
    let side_line = |title: &str, side: &Side| {
        // As much of the digest as tells two apart.
        let digest = side.digest.get(..19).unwrap_or(&side.digest);
        format!(
            "{title}  {:<width$}  newest price {}  {digest}\n",
            side.name, side.date
        )
    };
    side_line("old", old) + &side_line("new", new)
}

type Plans = [(String, usize, Money, Repriced)];

fn diff_text(
    old: &Side,
    new: &Side,
    differences: &Differences,
    plans: &Plans,
    limit: usize,
) -> String {
    let mut text = side_heads(old, new);
    if differences.is_empty() {
        let verdict_words = match old.digest == new.digest {
            true => "The catalogs are the same.",
            false => "No figure differs.",
        };
        let _ = writeln!(text, "\n{verdict_words}");
    } else {
        let _ = write!(text, "\n{}", summary(differences));
    }
    text += &price_changes(&differences.prices, limit);
    if !plans.is_empty() {
        text.push_str("\nSaved plans:\n");
    }
    for (name, stages, total, repriced) in plans {
        text += &saved_plan(name, *stages, *total, repriced);
    }
    text
}

/// A table of the first `limit` changes of prices.
fn price_changes(prices: &[PriceChange], limit: usize) -> String {
    let shown_prices = &prices[..limit];
    if shown_prices.is_empty() {
        return String::new();
    }
    let mut table = offer_table::new_table(&[
        "PLACE",
        "INSTANCE TYPE",
        "PURCHASE",
        "OLD",
        "NEW",
        "CHANGE",
        "AS OF",
    ]);
    for change in shown_prices {
        table.add_row([
            change.place.to_string(),
            change.instance_type.clone(),
            change.purchase.to_string(),
            change.old.map_or("-".to_owned(), |rate| rate.to_string()),
            change.new.map_or("-".to_owned(), |rate| rate.to_string()),
            share_text(change),
            change.date.clone(),
        ]);
    }
    offer_table::align_right(&mut table, &[3, 4, 5]);
    let mut text = format!("\n{}", table_text(&table));
    if limit < prices.len() {
        let all_count = grouped(prices.len() as i128);
        let _ = writeln!(
            text,
            "{limit} of {all_count} changes, the largest; --limit 0 lists all."
        );
    }
    text
}

/// What a saved plan costs at the new prices, with a line for each price of it that differs.
fn saved_plan(name: &str, stages: usize, total: Money, repriced: &Repriced) -> String {
    if repriced.is_empty() {
        return format!("  {name}: not touched\n");
    }
    let mut text = format!("  {name}: {}\n", plan_verdict(stages, total, repriced));
    let more_words = |difference: Option<Money>| match difference {
        Some(more) => format!(", {}", signed_money(more)),
        None => String::new(),
    };
    for stage in &repriced.stages {
        let new = match stage.new {
            Some(rate) => format!("{rate}/h"),
            None => "gone".to_owned(),
        };
        let (at, kind, more) = (
            &stage.place,
            &stage.instance_type,
            more_words(stage.difference),
        );
        let _ = writeln!(
            text,
            "    {} at {at}: {kind} {}/h -> {new}{more}",
            stage.name, stage.old
        );
    }
    for transfer in &repriced.transfers {
        let new = match transfer.new {
            Some(rate) => format!("{rate}/GB"),
            None => "unknown".to_owned(),
        };
        let (from, to, more) = (
            &transfer.from,
            &transfer.to,
            more_words(transfer.difference),
        );
        let _ = writeln!(
            text,
            "    {} from {from} to {to}: {}/GB -> {new}{more}",
            transfer.artifact, transfer.old
        );
    }
    text
}

fn plan_verdict(stages: usize, total: Money, touched: &Repriced) -> String {
    let mut text = format!("{} of {stages} stages", touched.stages.len());
    if !touched.transfers.is_empty() {
        let _ = write!(text, " and {} transfers", touched.transfers.len());
    }
    let cost_now = Money(total.0.saturating_add(touched.difference.0));
    let _ = write!(
        text,
        "; {} ({total} -> {cost_now})",
        signed_money(touched.difference)
    );
    if touched.gone > 0 {
        let _ = write!(text, ", and {} without a price now", touched.gone);
    }
    text + ": plan again to have the best of it"
}

fn signed_money(money: Money) -> String {
    if money.0 < 0 {
        money.to_string()
    } else {
        format!("+{money}")
    }
}

fn share_text(change: &PriceChange) -> String {
    match change.share() {
        Some(parts) => percent_of(parts),
        None if change.old.is_none() => "new".to_owned(),
        None => "gone".to_owned(),
    }
}

/// Counts by cloud, and what else differs.
pub(super) fn summary(differences: &Differences) -> String {
    let mut text = String::new();
    let changed_count =
        |change: &CloudChange| change.risen + change.fallen + change.new + change.gone > 0;
    if differences.clouds.values().any(changed_count) {
        let mut table =
            offer_table::new_table(&["CLOUD", "RISEN", "FALLEN", "NEW", "GONE", "SAME"]);
        for (cloud, change) in differences
            .clouds
            .iter()
            .filter(|(_, change)| changed_count(change))
        {
            let change_counts = [
                change.risen,
                change.fallen,
                change.new,
                change.gone,
                change.same,
            ];
            table.add_row(
                std::iter::once(cloud.clone()).chain(change_counts.map(|count| count.to_string())),
            );
        }
        offer_table::align_right(&mut table, &[1, 2, 3, 4, 5]);
        text.push_str(&table_text(&table));
    } else {
        text.push_str("No price of a machine differs.\n");
    }
    if !differences.others.is_empty() {
        let other_counts: Vec<String> = differences
            .others
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        let _ = writeln!(text, "Also different: {}", other_counts.join(", "));
    }
    text
}

fn side_json(side: &Side) -> Value {
    json!({ "catalog": side.name, "date": side.date, "digest": side.digest })
}

fn to_json(
    old: &Side,
    new: &Side,
    differences: &Differences,
    plans: &Plans,
    limit: usize,
) -> Value {
    let clouds: serde_json::Map<String, Value> = differences
        .clouds
        .iter()
        .map(|(cloud, change)| {
            let cloud_counts = json!({
                "risen": change.risen, "fallen": change.fallen, "new": change.new, "gone": change.gone,
                "same": change.same,
            });
            (cloud.clone(), cloud_counts)
        })
        .collect();
    let prices: Vec<Value> = differences.prices[..limit]
        .iter()
        .map(|change| {
            json!({
                "place": change.place, "instance_type": change.instance_type, "purchase": change.purchase,
                "old_nano_usd_per_hour": change.old, "new_nano_usd_per_hour": change.new,
                "change_ppm": change.share().map(saturate),
                "date": change.date,
            })
        })
        .collect();
    let plans: Vec<Value> = plans
        .iter()
        .map(|(name, count, total, touched)| {
            let stages: Vec<Value> = touched
                .stages
                .iter()
                .map(|stage| {
                    json!({
                        "stage": stage.name, "place": stage.place, "instance_type": stage.instance_type,
                        "purchase": stage.purchase, "old_nano_usd_per_hour": stage.old,
                        "new_nano_usd_per_hour": stage.new, "difference_micro_usd": stage.difference,
                    })
                })
                .collect();
            let transfers: Vec<Value> = touched
                .transfers
                .iter()
                .map(|copy| {
                    json!({
                        "artifact": copy.artifact, "from": copy.from, "to": copy.to, "old_nano_usd_per_gb": copy.old,
                        "new_nano_usd_per_gb": copy.new, "difference_micro_usd": copy.difference,
                    })
                })
                .collect();
            json!({
                "plan": name, "stages_in_plan": count, "touched": !touched.is_empty(), "stages": stages,
                "transfers": transfers, "cost_micro_usd": total, "difference_micro_usd": touched.difference,
                "without_price": touched.gone,
            })
        })
        .collect();
    json!({
        "format_version": "1.0", "old": side_json(old), "new": side_json(new), "same": old.digest == new.digest,
        "prices_compared": true, "clouds": clouds, "changes": prices, "found": differences.prices.len(),
        "others": differences.others, "plans": plans,
    })
}
