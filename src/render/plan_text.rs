//! A plan as people read it in a terminal.

use super::table;
use crate::model::accelerator::count_text;
use crate::model::{Bandwidth, Millis, Money};
use crate::plan::{
    FromState, OldPrices, Plan, PlannedObjective, PlannedStage, PlannedTransfer, SingleCloud,
};
use crate::planning::COMPARED_STAGES;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The columns that notes are wrapped to.
const COLUMNS: usize = 80;

/// The whole plan. `width` is that of the terminal, if there is one.
pub fn text(plan: &Plan, width: Option<u16>) -> String {
    let mut text = plan_heading(plan);
    text.push('\n');
    let stage_rows: Vec<Vec<String>> = plan.stages.iter().map(stage_row).collect();
    text.push_str(&table::text(
        &["Stage", "Place", "Machine", ">Start", ">End", ">Cost"],
        &stage_rows,
        width,
    ));
    text.push_str(&waits_text(plan));
    if !plan.transfers.is_empty() {
        text.push('\n');
        let transfer_rows: Vec<Vec<String>> = plan.transfers.iter().map(transfer_row).collect();
        text.push_str(&table::text(
            &["Transfer", "From", "To", ">Size", ">Time", ">Cost"],
            &transfer_rows,
            width,
        ));
        text.push_str(&assumed_speeds(plan));
    }
    text.push('\n');
    text.push_str(&totals_text(plan));
    text.push('\n');
    text.push_str(&proof_text(plan));
    text
}

/// Says which stages are planned at clouds that this sky has no provider for; none if there are
/// none. `missing` has the stages by cloud.
pub fn without_provider(missing: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let clouds: Vec<String> = missing
        .iter()
        .map(|(cloud, stages)| format!("{cloud} ({})", named_stages(stages)))
        .collect();
    (!clouds.is_empty()).then(|| {
        format!(
            "this sky has no provider for {}: it can plan these stages and not run them there; `sky apply` with \
             --provider local rehearses them, and `sky apply JOB` plans without such clouds",
            clouds.join(", ")
        )
    })
}

/// Says which clouds a job is planned without, because this sky has no provider for them; none if
/// there are none.
pub fn planned_without(clouds: &BTreeSet<String>) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<&str> = clouds.iter().map(String::as_str).take(SHOWN).collect();
    let more_words = match clouds.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!clouds.is_empty()).then(|| {
        format!(
            "planned without the clouds that this sky has no provider for: {}{more_words}; `sky plan` takes them into account",
            names.join(", ")
        )
    })
}

/// `stage.a, stage.b and 3 more`.
fn named_stages(stages: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = stages
        .iter()
        .take(SHOWN)
        .map(|name| format!("stage.{name}"))
        .collect();
    match stages.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn plan_heading(plan: &Plan) -> String {
    let goal = match (plan.objective, plan.limits.hour_nano_usd) {
        (PlannedObjective::Cost | PlannedObjective::Weighted, Some(hour)) => {
            format!("least cost with {hour} for an hour")
        }
        (PlannedObjective::Cost | PlannedObjective::Weighted, None) => "least cost".to_owned(),
        (PlannedObjective::Time, _) => "least time".to_owned(),
    };
    let deadline = plan
        .limits
        .deadline_ms
        .map(|limit| format!(", deadline {}", limit.exact()));
    let budget = plan
        .limits
        .budget_micro_usd
        .map(|limit| format!(", budget {limit}"));
    let state_words = plan.from_state.as_ref().map(from_state).unwrap_or_default();
    format!(
        "Plan for {}: {goal}{}{}\n{state_words}",
        plan.job,
        deadline.unwrap_or_default(),
        budget.unwrap_or_default()
    )
}

/// Returns the lines about stages that the plan takes as done and leaves out; its limits are what
/// is left of the policy's.
fn from_state(state: &FromState) -> String {
    let stages = match state.done.len() {
        1 => "1 stage is done".to_owned(),
        count => format!("{count} stages are done"),
    };
    let without = match state.exhausted.len() {
        0 => String::new(),
        1 => "; 1 offer is unavailable".to_owned(),
        count => format!("; {count} offers are unavailable"),
    };
    let (serial, elapsed, spent) = (state.serial, state.elapsed_ms, state.spent_micro_usd);
    format!(
        "The rest, from serial {serial} of the state: {stages}; {elapsed} and {spent} are used up{without}\n"
    )
}

/// `2 x Standard_DC8_v2`, with what is special about it.
pub fn machine(stage: &PlannedStage) -> String {
    let gang = if stage.nodes > 1 {
        format!("{} x ", stage.nodes)
    } else {
        String::new()
    };
    // A name such as `tpu-v3-8+host` already says what is in it.
    let is_unsaid = |accelerator: &&String| !stage.instance_type.contains(accelerator.as_str());
    let accelerator = stage
        .accelerator
        .as_ref()
        .filter(is_unsaid)
        .map(|accelerator| format!(" ({accelerator})"));
    let spot = if stage.purchase == crate::model::Purchase::Spot {
        ", spot"
    } else {
        ""
    };
    let burstable = stage
        .baseline_vcpu_thousandths
        .map(|baseline| match u32::try_from(baseline) {
            Ok(0) | Err(_) => ", burstable".to_owned(),
            Ok(baseline) => format!(", burstable: {} vCPU sustained", count_text(baseline)),
        });
    let burstable = burstable.unwrap_or_default();
    let tee = stage.tee.map(|tee| format!(", {tee}")).unwrap_or_default();
    format!(
        "{gang}{}{}{burstable}{tee}{spot}",
        stage.instance_type,
        accelerator.unwrap_or_default()
    )
}

fn stage_row(stage: &PlannedStage) -> Vec<String> {
    vec![
        stage.name.clone(),
        stage.place.to_string(),
        machine(stage),
        stage.start_ms.to_string(),
        stage.end_ms.to_string(),
        stage.cost_micro_usd.to_string(),
    ]
}

/// Says which stages wait for room under a limit and how long, one sentence for each limit; empty if
/// none does.
pub fn waits_text(plan: &Plan) -> String {
    let mut by_limit: BTreeMap<&str, Vec<&PlannedStage>> = BTreeMap::new();
    for stage in plan.stages.iter().filter(|stage| stage.wait_ms > Millis(0)) {
        let limits: BTreeSet<&str> = stage
            .waits_for
            .iter()
            .map(|wait| wait.limit.as_str())
            .collect();
        for limit in limits {
            by_limit.entry(limit).or_default().push(stage);
        }
    }
    let mut text = String::new();
    for (limit, stages) in by_limit {
        let longest = stages
            .iter()
            .map(|stage| stage.wait_ms)
            .fold(Millis(0), Ord::max);
        let sentence = match stages.as_slice() {
            [stage] => format!("{} waits {longest} for room under {limit}.", stage.name),
            [first, others @ ..] => format!(
                "{} and {} more {} wait for room under {limit}, up to {longest}.",
                first.name,
                others.len(),
                if others.len() == 1 { "stage" } else { "stages" },
            ),
            [] => continue,
        };
        let wrapping = textwrap::Options::new(COLUMNS)
            .initial_indent(" ")
            .subsequent_indent(" ");
        text.push_str(&textwrap::fill(&sentence, wrapping));
        text.push('\n');
    }
    text
}

/// How long a transfer takes, marked where its speed is assumed.
pub fn transfer_time(transfer: &PlannedTransfer) -> String {
    if transfer.assumed_speed {
        format!("~{}", transfer.duration_ms)
    } else {
        transfer.duration_ms.to_string()
    }
}

/// Returns what the mark of assumed speeds means; empty if there is none.
pub fn assumed_speeds(plan: &Plan) -> String {
    let assumed_transfers = || {
        plan.transfers
            .iter()
            .filter(|transfer| transfer.assumed_speed)
    };
    let Some(speed) = assumed_transfers()
        .map(|transfer| transfer.bits_per_second)
        .min()
    else {
        return String::new();
    };
    let touches_home = assumed_transfers()
        .any(|transfer| transfer.from.cloud == HERE || transfer.to.cloud == HERE);
    let declare = if touches_home {
        "; `[home] uplink` in the policy declares the speed of this machine's link"
    } else {
        ""
    };
    format!(
        " ~ at an assumed {}, which nobody has measured{declare}\n",
        Bandwidth(speed)
    )
}

/// The cloud of the machine that `sky` runs on.
const HERE: &str = "local";

fn transfer_row(transfer: &PlannedTransfer) -> Vec<String> {
    vec![
        transfer.artifact.to_string(),
        transfer.from.to_string(),
        transfer.to.to_string(),
        transfer.bytes.to_string(),
        transfer_time(transfer),
        transfer.cost_micro_usd.exact(),
    ]
}

fn totals_text(plan: &Plan) -> String {
    let totals = &plan.totals;
    let mut text = String::new();
    let mut put_line = |name: &str, figure: &str, note: &str| {
        let start = format!(" {name:<18} {figure:>12}  ");
        let indent = " ".repeat(start.len());
        let wrapping = textwrap::Options::new(COLUMNS)
            .initial_indent(&start)
            .subsequent_indent(&indent);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", textwrap::fill(note, wrapping).trim_end());
    };
    put_line("Compute", &totals.compute_micro_usd.to_string(), "");
    put_line("Egress", &totals.egress_micro_usd.to_string(), "");
    if totals.storage_micro_usd.0 != 0 {
        put_line("Storage", &totals.storage_micro_usd.to_string(), "");
    }
    if totals.disk_micro_usd.0 != 0 {
        put_line(
            "Boot disks",
            &totals.disk_micro_usd.to_string(),
            &estimated_disks(plan),
        );
    }
    if totals.address_micro_usd.0 != 0 {
        put_line(
            "Public addresses",
            &totals.address_micro_usd.to_string(),
            "",
        );
    }
    put_line(
        "Total",
        &totals.cost_micro_usd.to_string(),
        &format!("ends after {}", totals.makespan_ms),
    );
    if let Some(old) = &plan.old_prices {
        put_line(
            "Old prices",
            &old.cost_micro_usd.to_string(),
            &old_prices(old),
        );
    }
    match &plan.single_cloud {
        Some(single) => {
            let limits = if single.within_limits {
                ""
            } else {
                ", beyond the limits"
            };
            put_line(
                "Best single cloud",
                &single.cost_micro_usd.to_string(),
                &format!(
                    "ends after {} ({}{limits})",
                    single.makespan_ms, single.cloud
                ),
            );
            put_line("Compared to it", "", &compared(plan, single));
        }
        None => put_line(
            "Best single cloud",
            "none",
            match plan.stages.len() <= COMPARED_STAGES {
                true => "no single cloud can run the whole job",
                false => {
                    "not compared for a job of this size, or no single cloud can run it (--compare)"
                }
            },
        ),
    }
    text
}

/// `estimated for train, use: no price of their place is known`; empty: all prices are of their
/// places.
pub fn estimated_disks(plan: &Plan) -> String {
    let stages: Vec<&str> = plan.estimated_disks.iter().map(String::as_str).collect();
    match stages.as_slice() {
        [] => String::new(),
        [stage] => format!("estimated for {stage}: the price of other places of its cloud"),
        [first, rest @ ..] => {
            format!(
                "estimated for {first} and {} more: the price of other places of their clouds",
                rest.len()
            )
        }
    }
}

/// `86 % of the total: prices of machines, over 90 days older than the newest, back to 2024-11-03`.
pub fn old_prices(old: &OldPrices) -> String {
    let share = crate::model::units::div_half_even(i128::from(old.share_ppm), 10_000);
    let estimated = if old.estimated.is_empty() {
        ""
    } else {
        "; estimates among them"
    };
    let share = if share == 0 {
        "under 1".to_owned()
    } else {
        share.to_string()
    };
    let kinds: Vec<&str> = old.kinds.keys().map(String::as_str).collect();
    let kinds = match kinds.as_slice() {
        [] => "machines".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    format!(
        "{share} % of the total: prices of {kinds}, over {} days older than the newest, back to {}{estimated}",
        old.older_than_days, old.oldest
    )
}

/// `62 % cheaper, 47 % slower`: the plan beside the best plan in a single cloud.
pub fn compared(plan: &Plan, single: &SingleCloud) -> String {
    let Money(our_cost) = plan.totals.cost_micro_usd;
    let Money(their_cost) = single.cost_micro_usd;
    let (Millis(our_time), Millis(their_time)) = (plan.totals.makespan_ms, single.makespan_ms);
    let cost = difference(our_cost.into(), their_cost.into(), "cheaper", "dearer");
    let time = difference(our_time.into(), their_time.into(), "faster", "slower");
    format!(
        "{}, {}",
        cost.unwrap_or_else(|| "the same cost".to_owned()),
        time.unwrap_or_else(|| "the same time".to_owned())
    )
}

/// `62 % cheaper`, in parts of theirs; `None` if there is next to no difference.
fn difference(ours: i128, theirs: i128, less: &str, more: &str) -> Option<String> {
    let percent = match theirs > 0 {
        true => crate::model::units::div_half_even((theirs - ours) * 100, theirs),
        false => 0,
    };
    match percent {
        0 => None,
        1.. => Some(format!("{percent} % {less}")),
        _ => Some(format!("{} % {more}", -percent)),
    }
}

fn proof_text(plan: &Plan) -> String {
    let solver = format!("{} {}", plan.solver.name, plan.solver.version);
    let proof = match (plan.solver.status.as_str(), plan.objective) {
        ("optimal", PlannedObjective::Cost | PlannedObjective::Weighted) => {
            let counted_words = if plan.limits.hour_nano_usd.is_some() {
                ", its time counted in"
            } else {
                ""
            };
            format!(
                "Proven optimal (bounds and {solver}): no plan under these rules costs less{counted_words}.\n"
            )
        }
        ("optimal", PlannedObjective::Time) => {
            format!(
                "Proven optimal (bounds and {solver}): no plan under these rules is faster, nor as fast for less.\n"
            )
        }
        _ => format!(
            "Not proven optimal: {solver} stopped at its limit, or the job is too large for it. The best possible\n\
             plan is at most {}.{:04} % better than this one.\n",
            plan.solver.gap / 10_000,
            plan.solver.gap % 10_000
        ),
    };
    let limited = match plan.solver.time_limited {
        true => "A time limit was set: another run, or another machine, may give another plan.\n",
        false => "",
    };
    let considered = &plan.considered;
    let group = |count: u64| crate::model::units::grouped(i128::from(count));
    let counted = |count: u64, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", group(count)),
    };
    format!(
        "{proof}{limited}Of {} pairs of a stage and an offer, {} meet needs and policy.\n\
         The stages can run in {} of {}; the newest price is of {}.\n",
        group(considered.offers * plan.stages.len() as u64),
        group(considered.candidates),
        counted(considered.places, "place"),
        counted(considered.clouds, "cloud"),
        plan.inputs.catalog_date,
    )
}
