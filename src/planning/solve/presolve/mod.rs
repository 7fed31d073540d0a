//! Making an instance smaller before it is solved: what no best placement can have is dropped.

pub mod dominated_sites;
pub mod reduction;
