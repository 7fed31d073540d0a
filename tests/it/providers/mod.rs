//! Providers, against servers that answer as clouds and clusters do.

#[cfg(feature = "aws")]
pub(crate) mod aws;
pub(crate) mod clouds;
#[cfg(feature = "kubernetes")]
pub(crate) mod kubernetes;
pub(crate) mod slurm;
pub(crate) mod ssh;
