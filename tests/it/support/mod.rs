//! What tests share: folders with the binary in them, random worlds, real servers.

pub(crate) mod case;
pub(crate) mod console;
pub(crate) mod own_hosts;
pub(crate) mod rich;
pub(crate) mod sandbox;
pub(crate) mod slurmd;
pub(crate) mod sshd;
