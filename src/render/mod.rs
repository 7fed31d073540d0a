//! Plans and messages for people and for programs.
//!
//! Invariant: nothing here prints; every function returns text, so that it can be tested.

pub mod conflict;
pub mod diagnostic;
pub mod event_kinds;
pub mod events;
pub mod explanation;
pub mod frontier;
pub mod frontier_svg;
pub mod graph;
pub mod manual_page;
pub mod markdown;
pub mod no_plan;
pub mod plan_text;
pub mod table;
