//! The `slurm` provider: clusters of one's own that Slurm runs, named in `hosts.toml`
//! ([`crate::spec::hosts`]), are a private cloud `slurm`. A machine is a job, which holds an
//! allocation while one command runs in it, and a folder that the log-in node and all others see:
//!
//! ```text
//! ROOT/machines/TOKEN/tags       whose it is, as of the provider `ssh`; the job's comment says so too
//! ROOT/machines/TOKEN/box/       its disk, as of the provider `local`
//! ```
//!
//! - A machine is there as soon as its job is in the queue, and can be filled and started then:
//!   inputs go to the shared folder. The command begins when the job does; until then it counts as
//!   running.
//! - A job is named after its token, and the one that begins first claims the folder. So an answer
//!   that is lost costs nothing: whoever asks again finds the job, and two would never run both.
//! - A lease is watched by the job itself, to the second, and by Slurm, which ends the job at its
//!   time limit, to a minute or two. A longer lease moves that limit. Where Slurm allows that to
//!   its administrators alone, the inventory says how long jobs may take (`time`), which is then
//!   the limit from the beginning. What is still in the queue when its lease ends never runs.
//! - All is done by Slurm's commands, on the log-in node, by the agent of the shared runner with
//!   what `slurm.sh` changes of it. What people have written is an argument of those, never a part
//!   of a command. Secrets go to the node by `srun`, over Slurm's own connection, into a pipe
//!   there.
//!
//! What runs is asked of Slurm every three seconds at most; the end of a command is seen in the
//! folder.

mod provider;
mod worker;

pub use provider::Slurm;
