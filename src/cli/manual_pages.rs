//! `sky man`: manual pages of all verbs.

use super::{Exit, Failure, Terminal};
use crate::util::{file, file_changes};
use clap::Command;
use clap_mangen::Man;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write manual pages for `man`: sky.1, and one page for each verb.
///
/// `sky man ~/.local/share/man/man1` puts them where `man sky` and `man sky-plan` find them.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Folder to write the pages to; created if needed
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Print the paths of the pages as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Writes the pages; `command` is sky's whole command line.
pub(super) fn run(
    args: &ManArgs,
    mut command: Command,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    command.build();
    file_changes::create_dir_all(&args.folder)
        .map_err(|error| Failure::file(&args.folder, "create", error))?;
    let mut written = Vec::new();
    write_pages(command, "sky", &args.folder, &mut written)?;
    let text = match args.json {
        true => format!("{}\n", json!({ "files": written })),
        false => {
            let (count, folder) = (written.len(), file::shown(&args.folder));
            format!("Wrote {count} manual pages to {folder}.\n")
        }
    };
    terminal.out(&text).map(|()| Exit::Success)
}

/// Writes the page of a command and those of the commands below it, and notes their paths.
fn write_pages(
    command: Command,
    name: &str,
    folder: &Path,
    written: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    for below in command.get_subcommands() {
        let name = format!("{name}-{}", below.get_name());
        write_pages(below.clone(), &name, folder, written)?;
    }
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    // The synopsis has the words of the command line; the page's name has dashes between them.
    Man::new(command.display_name(name.to_owned()))
        .title(name.to_uppercase())
        .source(concat!("sky ", env!("CARGO_PKG_VERSION")))
        .manual("Manual of sky")
        .render(&mut page)
        .map_err(Failure::error)?;
    file::write_result(&path, &page).map_err(Failure::error)?;
    written.push(path);
    Ok(())
}
