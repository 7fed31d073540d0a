//! `sky state …`, `sky lock show`, `sky force-unlock`: a state and its lock, looked at and changed
//! by hand.

mod change;
mod journal;
mod list;
mod lock;
mod lookup;
mod transfer;
mod verb;

pub(super) use lock::{ForceUnlockArgs, LockVerbArgs, force_unlock, show as lock_show};
pub(super) use verb::{StateVerbArgs, run};
