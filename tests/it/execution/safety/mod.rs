//! What a stranger's file, a machine that lets nobody in, and a hostile text can do: nothing but
//! fail with a message.

mod names;
mod output;
pub(crate) mod private_files;
