//! What has been applied: the snapshot, the journal, the lock.
//!
//! On disk, with the default state folder `.sky`:
//!
//! ```text
//! sky.state.json           snapshot (inside the state folder when that is given by hand)
//! sky.state.json.backup    the snapshot before it
//! .sky/journal             what happened since the snapshot, one checked record a line
//! .sky/lock                held by flock while an operation runs; says who
//! .sky/stages/NAME/N/      attempt N of a stage (the local provider's machine; its log)
//! .sky/objects/            outputs by content hash
//! .sky/artifacts/NAME/OUT  outputs by name, for people
//! ```
//!
//! Invariant: the state is the snapshot plus the journal's records that are newer than it, and
//! nothing else. A record is on disk before the provider call that it announces.
//! Invariant: an empty or unreadable snapshot is an error, never a fresh start.

pub mod data;
pub mod event;
pub mod folder;
pub mod journal;
pub mod lock;
pub mod summary;

pub use data::{Artifact, Exhausted, Rented, StageRecord, State, Status};
pub use event::{Call, Event};
pub use folder::{Folder, Opened, StateError};
pub use lock::{Holder, Lock, LockError};
pub use summary::{holds, summary, text_rows};
