//! Making an instance smaller before it is solved: what no best placement can have is dropped.

pub(super) mod dominated_sites;
pub(super) mod reduction;
