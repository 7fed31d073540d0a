//! The `local` provider: a stage is a process on this machine, in a folder of its own.
//!
//! ```text
//! .sky/work/NAME/N/            attempt N: the command's working folder, with the stage's files
//! .sky/stages/NAME/N/          what sky keeps of it, where no command has any business
//!     inputs/  outputs/  log   $SKY_INPUTS, $SKY_OUTPUTS, what it printed
//!     checkpoint/              $SKY_CHECKPOINT
//!     .run/machine             who this is: token, owner
//!     .run/command             the command, as the user wrote it
//!     .run/pid                 /proc/PID/stat of its supervisor, as it was when it began
//!     .run/numbering           the boot and name space of that PID
//!     .run/exit                the exit code, once it ended
//!     .run/lease               the second of this machine's uptime at which its lease ends
//!     .run/expired             there once the lease ended before the command did
//!     .run/released            there once nothing of it runs any more, for good
//! ```
//!
//! The command runs under a tiny supervisor shell in a process group of its own, which writes
//! the exit code down; so a `sky` that dies loses nothing. A gang (`nodes` > 1) is one process
//! here, that is told `SKY_NODES` and `SKY_NODE=0`.

pub(super) mod process;
mod provider;
pub(super) mod worker;

pub use provider::Local;
pub(super) use provider::{folders_in, write_lease};
