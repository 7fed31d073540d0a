//! What people and programs meet on the command line.

pub(crate) mod check;
pub(crate) mod completions_and_man;
pub(crate) mod console_blocks;
pub(crate) mod door;
pub(crate) mod errors;
pub(crate) mod flags;
pub(crate) mod gallery;
pub(crate) mod guide;
pub(crate) mod hostile;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod json_answers;
pub(crate) mod json_events;
pub(crate) mod missing_providers;
pub(crate) mod names;
pub(crate) mod nearest_names;
pub(crate) mod offline;
pub(crate) mod reference;
pub(crate) mod schema;
