//! `sky destroy`: deletes what applies have made.

use super::progress::Stream;
use super::state::{StateArgs, failure, open_locked};
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::destroy::{Destroyed, Inventory, Left, destroy_all, inventory};
use crate::model::Bytes;
use crate::util::shell;
use serde_json::json;
use std::path::Path;

/// Delete everything that `sky apply` made here: processes, machines, folders, outputs.
///
/// Ends what still runs, even if the `sky` that began it was killed. Machines are deleted by their
/// cloud's API, so also those that nobody can log into. The state is left empty; what could not be
/// deleted stays in it, and the exit code is 1.
#[derive(Clone, Debug, clap::Args)]
pub struct DestroyArgs {
    /// Do not ask for confirmation
    #[arg(long)]
    pub auto_approve: bool,
    /// Print progress and result as JSON, one object a line; needs --auto-approve
    #[arg(long)]
    pub json: bool,
    /// The state and its place.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Shows what goes, asks, deletes.
pub fn run(args: &DestroyArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.json && !args.auto_approve {
        return Err(Failure::error("--json cannot ask: it needs --auto-approve"));
    }
    let stream = args.json.then(|| Stream::begin(terminal));
    let destroy_result = destroy_state(args, terminal, stream.as_ref());
    destroy_result.map_err(|failure| match &stream {
        Some(stream) => {
            stream.failed(&failure, "destroy");
            failure.told()
        }
        None => failure,
    })
}

fn destroy_state(
    args: &DestroyArgs,
    terminal: &Terminal,
    stream: Option<&Stream>,
) -> Result<Exit, Failure> {
    let runtime = super::runtime::runtime()?;
    let working_dir = working_folder()?;
    let args = &DestroyArgs {
        state: args.state.or_rehearsal(&working_dir, terminal),
        ..args.clone()
    };
    let store = args.state.store(&working_dir)?;
    name_rehearsals(args, &working_dir, terminal);
    if !store
        .exists()
        .map_err(|error| failure(error.into(), &store))?
    {
        return nothing_to_destroy(terminal, stream);
    }
    if !args.auto_approve && !terminal.interactive {
        return Err(Failure::error(
            "destroy asks before it deletes, and there is no terminal to ask on",
        )
        .hint("give --auto-approve"));
    }
    let access = args.state.access(&working_dir);
    let (lock, opened) = open_locked(&store, "destroy", &args.state.locking)?;
    let found_things = runtime
        .block_on(inventory(&store.folder, &opened.state, &access))
        .map_err(|error| failure(error, &store))?;
    for warning in &opened.warnings {
        terminal.warn(warning);
    }
    for (provider, error) in &found_things.failed {
        terminal.warn(&format!(
            "{provider} could not be looked at, or not all of it: {error}"
        ));
    }
    if found_things.is_empty() {
        return nothing_to_destroy(terminal, stream);
    }
    if stream.is_none() {
        terminal.out(&inventory_text(&found_things))?;
    }
    if !args.auto_approve
        && !terminal.confirm("Do you really want to delete all of this? There is no undo.")?
    {
        return Err(Failure::error("destroy cancelled: nothing was deleted"));
    }
    let destroyed = runtime
        .block_on(destroy_all(&store.folder, opened, &found_things, &access))
        .map_err(|error| {
            failure(error, &store)
                .hint("what is deleted is in the state; `sky destroy` again goes on with the rest")
        })?;
    drop(lock);
    match stream {
        Some(stream) => Ok(destroyed_as_json(&destroyed, stream)),
        None if destroyed.left.is_empty() => {
            // The deletion is done, whoever reads this.
            drop(terminal.out(&destroyed_text(&destroyed, found_things.artifacts.len())));
            Ok(Exit::Success)
        }
        None => Err(not_deleted(&destroyed)),
    }
}

/// Names the states of rehearsals, which are not deleted unless a state is named.
fn name_rehearsals(args: &DestroyArgs, working_dir: &Path, terminal: &Terminal) {
    if args.state.place.is_named() {
        return;
    }
    for folder in args.state.place.rehearsals(working_dir) {
        let folder = shell::quoted_path(&folder);
        terminal.note(&format!(
            "A rehearsal has a state of its own: sky destroy --state-dir {folder} deletes it."
        ));
    }
}

fn nothing_to_destroy(terminal: &Terminal, stream: Option<&Stream>) -> Result<Exit, Failure> {
    match stream {
        Some(stream) => stream.summary(
            json!({ "add": 0, "change": 0, "import": 0, "remove": 0, "operation": "destroy" }),
        ),
        None => terminal.out("No changes. There is nothing to destroy.\n")?,
    }
    Ok(Exit::Success)
}

/// Says what was deleted and what could not be, a line each, with a summary at the end.
fn destroyed_as_json(destroyed: &Destroyed, stream: &Stream) -> Exit {
    for stage in &destroyed.stages {
        let delete_hook = json!({ "action": "delete" });
        stream.hook("apply_complete", stage, "destroyed".to_owned(), delete_hook);
    }
    let (removed, failed) = (destroyed.stages.len(), destroyed.left.len());
    if failed == 0 {
        stream.summary(json!({
            "add": 0, "change": 0, "import": 0, "remove": removed, "operation": "destroy",
        }));
        return Exit::Success;
    }
    for left in &destroyed.left {
        stream.diagnostic("error", &could_not(left), "", None);
    }
    stream.summary(json!({
        "add": 0, "change": 0, "import": 0, "remove": removed, "failed": failed, "operation": "destroy",
    }));
    Exit::Error
}

fn destroyed_text(destroyed: &Destroyed, artifacts: usize) -> String {
    let removed = destroyed.stages.len();
    format!(
        "\nDestroy: {removed} {}, {artifacts} {} deleted. The state is empty (serial {}).\n",
        plural(removed, "stage"),
        plural(artifacts, "artifact"),
        destroyed.serial
    )
}

fn could_not(left_thing: &Left) -> String {
    format!(
        "{} could not be deleted: {}",
        left_thing.what, left_thing.why
    )
}

/// All that could not be deleted, a line each, with the ways out.
fn not_deleted(destroyed: &Destroyed) -> Failure {
    let failure_lines: Vec<String> = destroyed.left.iter().map(could_not).collect();
    let (removed, serial) = (destroyed.stages.len(), destroyed.serial);
    let rest_words = format!(
        "all else is deleted, and {removed} {} {} no longer in the state (serial {serial}); what is left stays in it and \
         may cost money; `sky destroy` again goes on with it",
        plural(removed, "stage"),
        if removed == 1 { "is" } else { "are" }
    );
    Failure::error(failure_lines.join("\nerror: ")).hint(rest_words)
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

fn inventory_text(found_things: &Inventory) -> String {
    let mut text = "This will be deleted:\n".to_owned();
    for (provider, machine, runs) in &found_things.machines {
        let doing = if *runs { ", running" } else { "" };
        let token = &machine.token;
        text += &format!(
            "  - stage.{} attempt {} at {provider}{doing}: {}\n",
            token.stage, token.attempt, machine.id
        );
    }
    for (name, artifact) in &found_things.artifacts {
        text += &format!("  - artifact {name}, {}\n", Bytes(artifact.bytes));
    }
    for (place, address) in &found_things.buckets {
        text += &format!("  - bucket {address} of {place}, with all that is in it\n");
    }
    for folder in &found_things.folders {
        text += &format!("  - folder {folder}\n");
    }
    text
}
