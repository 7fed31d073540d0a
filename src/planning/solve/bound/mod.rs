//! Lower bounds on the cost and the makespan of every placement, without a solver.

pub mod certain_costs;
pub mod closing_bounds;
pub mod dual_messages;
pub mod fastest_placement;
pub mod forest;
pub mod network;
pub mod reader_tally;
pub mod time_prices;

#[cfg(test)]
mod tests;
