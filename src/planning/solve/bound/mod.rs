//! Lower bounds on the cost and the makespan of every placement, without a solver.

pub(super) mod capacity_over_time;
pub(super) mod certain_costs;
pub(super) mod closing_bounds;
pub(super) mod dual_messages;
pub(super) mod fastest_placement;
pub(super) mod forest;
pub(super) mod network;
pub(super) mod reader_tally;
pub(super) mod time_prices;

#[cfg(test)]
mod tests;
