//! The cheapest placement by a deadline, on a network that is expanded in time.
//!
//! Prices of time ([`crate::planning::solve::bound::time_prices`]) see a DAG as if its stages could
//! be sped up by halves; where a few stages have few choices, that is far off. Here every stage has
//! a place for each slot of time that it may be in, so messages know which choices fit together.
//! Slots begin long, and are halved where no bound excludes them: what is left when they are short
//! is all that could still be cheaper.

pub(super) mod by_deadline;
mod grid;
mod network_inputs;
mod priced_choices;
mod punctual_placement;
mod refinement;
mod slot_fates;
mod slots;
mod star_messages;
mod support;
mod sweep;
mod sweeper;
mod walk;

#[cfg(test)]
pub(super) use network_inputs::NetworkInputs;
#[cfg(test)]
pub(super) use refinement::{SearchWork, raise_bound};
