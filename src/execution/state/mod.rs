//! What has been applied: the snapshot, the journal, the lock; in a folder or in a bucket
//! ([`store`]).
//!
//! On disk, with the default state folder `.sky`:
//!
//! ```text
//! sky.state.json           snapshot (inside the state folder when that is given by hand)
//! sky.state.json.backup    the snapshot before it
//! .sky/journal             what happened since the snapshot, one checked record a line
//! .sky/lock                held by flock while an operation runs; says who
//! .sky/store               only if the state is in a bucket: in which
//! .sky/stages/NAME/N/      attempt N of a stage (the local provider's machine; its log)
//! .sky/rehearsal/PROVIDER/ all of these again, of a rehearsal with that provider
//! .sky/objects/            outputs by content hash
//! .sky/artifacts/NAME/OUT  outputs by name, for people
//! ```
//!
//! Invariant: the state is the snapshot plus the journal's records that are newer than it, and
//! nothing else. A record is on disk before the provider call that it announces.
//! Invariant: an empty or unreadable snapshot is an error, never a fresh start.
//! Invariant: whoever has lost the lock makes no other call ([`lock`]).

pub mod address;
pub mod bucket;
mod check;
pub mod cipher;
pub mod data;
pub mod edit;
pub mod event;
mod flock;
pub mod folder;
pub mod holder;
pub mod journal;
mod lease;
pub mod lock;
mod objects;
mod open_bucket;
mod open_folder;
pub mod opened;
mod segments;
pub mod snapshot;
pub mod standing;
pub mod store;
pub mod summary;
mod take_record;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use bucket::wait;
pub use check::Unbelievable;
pub use cipher::{Cipher, CipherError};
pub use data::{Artifact, Exhausted, Rented, StageRecord, State, Status};
pub use event::{Call, Event};
pub use folder::Folder;
pub use holder::Holder;
pub use lock::{Lock, LockError, LockLost};
pub use opened::Opened;
pub use snapshot::StateError;
pub use standing::{Preview, Standing, preview};
pub use store::Store;
pub use summary::{holds, summary, text_rows};
