//! Applying a plan: state, data, money, kills, and the simulation of all of it.

pub(crate) mod apply;
pub(crate) mod home;
pub(crate) mod preview;
pub(crate) mod proof;
pub(crate) mod safety;
pub(crate) mod simulation;
pub(crate) mod staging;
pub(crate) mod stores;
