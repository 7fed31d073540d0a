//! The command line: one file per verb, arguments to settings to operation.

pub mod apply;
mod arguments;
pub mod catalog;
mod check;
pub mod command_line;
pub mod destroy;
mod dispatch;
pub mod exit;
mod explain;
mod frontier;
mod graph;
mod hosts;
mod import;
mod inputs;
pub mod lock;
mod locked_plan;
mod outcome;
mod plan;
pub mod progress;
mod refresh;
mod runtime;
mod show;
pub mod signals;
mod solve_effort;
pub mod state;
mod states;
mod sweep;
pub mod terminal;
mod validate;
mod verify;
mod version;
mod working_folder;

pub use dispatch::main;
pub use exit::{Exit, Failure};
pub use terminal::Terminal;
