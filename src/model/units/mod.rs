//! Quantities as integers: money, rates, bytes, times, bandwidths.
//!
//! Invariant: no float takes part in any figure of a plan. A published price such as
//! `0.0875` is read digit by digit, so it loses nothing.
//!
//! Rounding is stated once, in [`div_half_even`]: to the nearest integer, ties to even
//! (IEEE 754 "roundTiesToEven"), and is applied once per cost line.

mod quantity;
mod reading;
mod writing;

#[cfg(test)]
mod tests;

pub use quantity::{
    Bandwidth, Bytes, DataRate, MS_PER_HOUR, Millis, Money, Rate, div_half_even, saturate,
    saturate_unsigned, signed_count,
};
pub(crate) use reading::{SIZE_UNITS, SPEED_UNITS, TIME_UNITS, number_and_unit};
pub use reading::{UnitError, decimal, scaled};
pub use writing::grouped;
