//! Solvers of mixed-integer programs, one file each, behind one trait; and the exhaustive search
//! that checks them.

pub mod exhaustive;
pub mod highs;
pub mod microlp;
pub mod solver;
