//! Catalogs: their sources, registration and the lock.

pub(crate) mod directory;
pub(crate) mod lock;
pub(crate) mod update;
