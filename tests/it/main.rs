//! Integration tests: the library and the binary from outside.

mod apply;
mod architecture;
mod case;
mod determinism;
mod import;
mod oracle;
