//! What people write: job and policy TOML to model, with a span for every message.

pub mod diagnostic;

pub use diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile};
