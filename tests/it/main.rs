//! Integration tests: the library and the binary from outside.

#![allow(
    clippy::disallowed_methods,
    reason = "tests prepare files and variables by themselves"
)]

mod architecture;
mod catalog;
mod cli;
mod execution;
mod planning;
mod providers;
mod support;
