//! A simulated cloud in a folder: it creates, bills and takes away like a real one, and goes wrong
//! in every way that [`faults`] can say. Its machines are folders, in which commands run as
//! processes of this machine.
//!
//! ```text
//! cloud/machines/TOKEN/card    a machine: tags, price, when it began, when its lease ends
//! cloud/machines/TOKEN/box/    its disk, as of the provider `local`
//! cloud/machines/TOKEN/work/   where its command runs
//! cloud/gone/ID                the card of a machine that is no more, and why: the bill has it
//! cloud/calls                  every call that was ever made, a line each
//! cloud/faults.toml            what goes wrong
//! ```
//!
//! The simulated cloud serves rehearsals of what happens when clouds run out, and it is the ground
//! on which the engine is proven: the folder outlives any `sky`, as a cloud does, and its bill
//! ([`bill`]) knows nothing of what `sky` believes to have spent.

mod calls;
pub mod faults;
mod machine_records;
mod provider;
mod worker;

pub use calls::Sim;
pub use machine_records::{Bill, bill};
