//! Integration tests: the library and the binary from outside.

mod apply;
mod case;
mod determinism;
mod flags;
mod mps;
mod oracle;
mod plans;
mod sandbox;
