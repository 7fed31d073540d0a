//! Integration tests: the library and the binary from outside.

mod apply;
mod architecture;
mod case;
mod conflicts;
mod determinism;
mod directory;
mod errors;
mod europe;
mod explain;
mod flags;
mod frontier;
mod import;
mod lock;
mod mps;
mod offline;
mod oracle;
mod plans;
mod policies;
mod properties;
mod relations;
mod rich;
mod rules;
mod sandbox;
mod services;
mod update;
mod verify;
