//! The change of a line that makes room for a plan.

use crate::model::{AcceleratorNeed, Bytes, Millis, Money};
use crate::planning::build::Figures;
use std::collections::BTreeSet;

/// The change of a line that makes room for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relaxation {
    /// The value that the line would have to have.
    pub to: Relaxed,
    /// The best plan then, by the policy's objective (fastest for a deadline, cheapest for a
    /// budget). None: it hangs on what the job does not say.
    pub figures: Option<Figures>,
    /// Nothing less, and no other single name for less money, would do; false: not all were tried.
    pub least: bool,
}

/// The value that a line may be relaxed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relaxed {
    /// The least time that would do.
    Time(Millis),
    /// The least amount that would do.
    Money(Money),
    /// The least price of an hour that would do.
    Hourly(Money),
    /// The least number that would do.
    Count(u64),
    /// The number of virtual CPUs, in thousandths: the greatest need, or the least quota.
    Cpus(u64),
    /// The greatest size that would do.
    Bytes(Bytes),
    /// Names to add to the line's list; all of them together if there are several.
    Add(BTreeSet<String>),
    /// So many machines with these cards each, in place of one with all of them.
    Gang(AcceleratorNeed, u32),
    /// The line has to go.
    Drop,
}
