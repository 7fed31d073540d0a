//! The binary: all of it is in the library's `cli` room.

use std::process::ExitCode;

fn main() -> ExitCode {
    sky::cli::main(std::env::args_os().collect())
}
