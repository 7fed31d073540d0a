//! `sky apply`: executes a plan.
