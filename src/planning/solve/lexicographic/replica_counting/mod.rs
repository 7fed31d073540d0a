//! Stages that nothing but limits tie together, such as the replicas of one stage under a spread.
//!
//! Where no stage that still has a choice waits for another one, what a choice costs and when it
//! ends do not depend on the other choices; only caps, the budget and transfers of shared data join
//! them. Then replicas are interchangeable: a program needs to know how many of them take each
//! choice, not which. Its size is that of one replica, however many there are, and the symmetry
//! that makes a search over single replicas exponential is gone.
//!
//! Invariant: figures are exact integers; a solver's answer is rounded and then checked.

mod choice_effect;
mod count_program;
mod count_search;
mod counted;
mod ids;
mod surroundings;
#[cfg(test)]
mod tests;

pub(super) use count_search::Found;
pub(super) use counted::Counted;
