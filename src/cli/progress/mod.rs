//! What an apply tells while it runs: lines and spinners for people, a stream for programs.

mod json;
mod text;
mod wording;

pub use json::Stream;
pub use text::Text;
pub use wording::{elapsed, one_line};
