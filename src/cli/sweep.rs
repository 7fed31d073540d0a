//! `sky sweep`: deletes machines that are in no state.

use super::state::{StateArgs, failure, open_locked};
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::stray::{Found, Scope, Stray, StrayBucket, Swept, Why};
use crate::execution::apply::stray_buckets::look_for_buckets;
use crate::execution::apply::sweep::{look_for_machines, sweep};
use crate::execution::provider;
use crate::render::table;
use serde_json::json;

/// Find machines that sky made and no state knows, or whose lease is over, and delete them.
///
/// What a crash or a lost state has left: machines with this state's tags that the state does not
/// have, and machines of any state whose lease is over by more than 15 minutes. Asks before it
/// deletes, and looks again at each machine and each bucket right before its deletion. Goes on
/// after a failure; exit code 1 if anything could not be looked at or not be deleted.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SweepArgs {
    /// Look only at this provider; can be given many times
    #[arg(long, value_name = "NAME")]
    pub provider: Vec<String>,
    /// Also delete machines of other states whose leases still run; use this only while no other
    /// state is in use
    #[arg(long)]
    pub all: bool,
    /// Also look for buckets with data between stages, in the object stores that the environment
    /// has credentials for
    #[arg(long)]
    pub buckets: bool,
    /// Delete nothing, only show; exit code 2 if there is anything to delete
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub auto_approve: bool,
    /// Print one JSON object; needs --auto-approve or --dry-run
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Looks, asks, deletes.
pub(super) fn run(args: &SweepArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.json && !args.auto_approve && !args.dry_run {
        return Err(Failure::error(
            "--json cannot ask: it needs --auto-approve or --dry-run",
        ));
    }
    let working_dir = working_folder()?;
    let args = &SweepArgs {
        state: args.state.or_rehearsal(&working_dir, terminal),
        ..args.clone()
    };
    let store = args.state.store(&working_dir)?;
    let access = args.state.access(&working_dir);
    let runtime = super::runtime::runtime()?;
    // Under the lock: a machine that an apply is creating is in no state for a moment.
    let (lock, opened) = open_locked(&store, "sweep", &args.state.locking)?;
    let names = match args.provider.is_empty() {
        true => provider::present(&access),
        false => args.provider.clone(),
    };
    let scope = if args.all { Scope::All } else { Scope::Own };
    let search_result = runtime.block_on(look_for_machines(&opened.state, &names, scope, &access));
    let mut found_machines = search_result.map_err(|error| failure(error, &store))?;
    if args.buckets {
        runtime.block_on(look_for_buckets(&opened.state, scope, &mut found_machines));
    }
    for (name, error) in &found_machines.failed {
        terminal.warn(&format!(
            "{name} could not be looked at, or not all of it: {error}"
        ));
    }
    let mut results: Vec<(String, Swept)> = Vec::new();
    if found_count(&found_machines) > 0 && !args.dry_run {
        confirm_deletion(args, &found_machines, terminal)?;
        // As it is now: the answer may have come after hours.
        let opened_state = store
            .change(lock.as_ref())
            .map_err(|error| failure(error.into(), &store))?;
        let swept = runtime.block_on(sweep(opened_state, &found_machines, scope, &access));
        let swept = swept.map_err(|error| failure(error, &store))?;
        results.extend(found_ids(&found_machines).zip(swept));
    }
    drop(lock);
    report_results(args, &found_machines, &results, terminal)
}

/// Machines and buckets that were found.
fn found_count(found_machines: &Found) -> usize {
    found_machines.strays.len() + found_machines.buckets.len()
}

/// The ids of machines and the addresses of buckets, in the order in which they are deleted.
fn found_ids(found_machines: &Found) -> impl Iterator<Item = String> {
    let machines = found_machines
        .strays
        .iter()
        .map(|stray| stray.machine.id.clone());
    let buckets = found_machines
        .buckets
        .iter()
        .map(|stray| stray.bucket.address.clone());
    machines.chain(buckets)
}

/// Shows what would be deleted, and asks unless that was approved already.
fn confirm_deletion(
    args: &SweepArgs,
    found_machines: &Found,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if !args.json {
        terminal.out(&found_text(found_machines, terminal))?;
    }
    if args.auto_approve {
        return Ok(());
    }
    if !terminal.interactive {
        return Err(Failure::error(
            "sweep asks before it deletes, and there is no terminal to ask on",
        )
        .hint("give --auto-approve, or --dry-run to look only"));
    }
    match terminal.confirm("Do you really want to delete all of this? There is no undo.")? {
        true => Ok(()),
        false => Err(Failure::error("sweep cancelled: nothing was deleted")),
    }
}

/// Says what was deleted, what was left and why.
fn report_results(
    args: &SweepArgs,
    found_machines: &Found,
    results: &[(String, Swept)],
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let (mut deleted, mut left) = (0, 0);
    for (id, swept) in results {
        match swept {
            Swept::Deleted => deleted += 1,
            Swept::Gone => terminal.note(&format!("{id}: somebody else has deleted it meanwhile")),
            Swept::InUse => terminal.note(&format!(
                "{id}: it was renewed or used meanwhile, so it is left alone"
            )),
            Swept::Failed(error) => {
                left += 1;
                terminal.warn(&format!("{id} could not be deleted: {error}"));
            }
        }
    }
    let message = match (found_count(found_machines), args.dry_run) {
        _ if args.json => json_text(found_machines, results),
        (0, _) if found_machines.failed.is_empty() => "Nothing to sweep.\n".to_owned(),
        (0, _) => {
            "Nothing to sweep in what could be looked at; see the warnings for what could not.\n"
                .to_owned()
        }
        (_, true) => found_text(found_machines, terminal),
        (_, false) if left > 0 => {
            format!("\nSweep: {deleted} deleted, {left} left: run `sky sweep` again.\n")
        }
        (_, false) => format!("\nSweep: {deleted} deleted.\n"),
    };
    terminal.out(&message)?;
    Ok(match found_machines.failed.is_empty() && left == 0 {
        false => Exit::Error,
        true if args.dry_run && found_count(found_machines) > 0 => Exit::Changes,
        true => Exit::Success,
    })
}

fn reason_words(why: Why) -> &'static str {
    match why {
        Why::NotInState => "in no state",
        Why::LeaseOver => "its lease is over",
        Why::OfAnother => "of another state",
    }
}

fn found_text(found_machines: &Found, terminal: &Terminal) -> String {
    let stray_row = |stray: &Stray| {
        let machine = &stray.machine;
        vec![
            machine.id.clone(),
            stray.provider.to_owned(),
            machine.instance_type.clone().unwrap_or_default(),
            machine
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            format!("{} stage.{}", machine.job, machine.token.stage),
            reason_words(stray.why).to_owned(),
        ]
    };
    let bucket_row = |stray: &StrayBucket| {
        let (bucket, why) = (&stray.bucket, reason_words(stray.why).to_owned());
        let (cloud, place) = (bucket.place.cloud.clone(), bucket.place.to_string());
        vec![
            bucket.address.clone(),
            cloud,
            "bucket".to_owned(),
            place,
            String::new(),
            why,
        ]
    };
    let stray_rows: Vec<Vec<String>> = found_machines
        .strays
        .iter()
        .map(stray_row)
        .chain(found_machines.buckets.iter().map(bucket_row))
        .collect();
    table::text(
        &["Machine", "Provider", "Type", "Place", "Of", "Why"],
        &stray_rows,
        terminal.width,
    )
}

fn json_text(found_machines: &Found, results: &[(String, Swept)]) -> String {
    let result_of = |id: &String| {
        results
            .iter()
            .find(|(of, _)| of == id)
            .map(|(_, swept)| swept)
    };
    let is_deleted = |id: &String| result_of(id) == Some(&Swept::Deleted);
    let error = |id: &String| match result_of(id) {
        Some(Swept::Failed(error)) => Some(error.to_string()),
        _ => None,
    };
    let stray = |stray: &Stray| {
        let machine = &stray.machine;
        json!({
            "id": machine.id,
            "provider": stray.provider,
            "address": format!("stage.{}", machine.token.stage),
            "attempt": machine.token.attempt,
            "job": machine.job,
            "lineage": machine.lineage,
            "place": machine.place,
            "instance_type": machine.instance_type,
            "lease_end": machine.lease_end,
            "why": reason_words(stray.why),
            "deleted": is_deleted(&machine.id),
            "error": error(&machine.id),
        })
    };
    let failed_providers = found_machines
        .failed
        .iter()
        .map(|(name, error)| json!({ "provider": name, "error": error.to_string() }));
    let strays: Vec<_> = found_machines.strays.iter().map(stray).collect();
    let bucket = |stray: &StrayBucket| {
        let (address, place) = (&stray.bucket.address, &stray.bucket.place);
        json!({
            "id": address,
            "place": place,
            "why": reason_words(stray.why),
            "deleted": is_deleted(address),
            "error": error(address),
        })
    };
    let buckets: Vec<_> = found_machines.buckets.iter().map(bucket).collect();
    let whole_answer = json!({ "format_version": "1.0", "strays": strays, "buckets": buckets, "failed": failed_providers.collect::<Vec<_>>() });
    format!("{whole_answer}\n")
}
