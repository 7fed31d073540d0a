//! `sky completions`: a script that completes sky's command line in a shell.

use super::{Exit, Failure, Terminal};
use clap_complete::Shell;

/// Print a script that completes sky's command line in a shell.
///
/// For bash: `sky completions bash > ~/.local/share/bash-completion/completions/sky`. For zsh:
/// `sky completions zsh > _sky`, in a folder of $fpath. For fish: `sky completions fish >
/// ~/.config/fish/completions/sky.fish`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell to complete for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script; `command` is sky's whole command line.
pub(super) fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "sky", &mut script);
    let script = String::from_utf8(script).map_err(Failure::error)?;
    terminal.out(&script).map(|()| Exit::Success)
}
