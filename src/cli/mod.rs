//! The command line: one file per verb, arguments to settings to operation.

pub mod apply;
pub mod destroy;
pub mod exit;
pub mod progress;
pub mod signals;
pub mod state;
pub mod terminal;

pub use exit::{Exit, Failure};
pub use terminal::Terminal;
