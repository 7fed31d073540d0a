//! The versions of Azure's APIs that are spoken here.

/// The version of the API for virtual machines; the SDK's client speaks it, too.
pub(super) const MACHINES: &str = "2024-07-01";
/// The version of the API for resource groups and what is in them.
pub(super) const RESOURCES: &str = "2021-04-01";
/// The version of the API for networks.
pub(super) const NETWORKS: &str = "2024-05-01";
