//! A row of SkyPilot's lists, as read.

/// One row: an instance type, or an accelerator to be added to one, in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SkyPilotRow {
    /// Empty: an accelerator to be added to a host.
    pub instance_type: String,
    /// The name of the accelerator, and how many of them there are in thousandths.
    pub accelerator: Option<(String, u32)>,
    /// Virtual CPUs in thousandths; 0: unknown.
    pub vcpu_thousandths: u64,
    /// Bytes; 0: unknown.
    pub memory: u64,
    pub region: String,
    pub zone: String,
    /// Nano-USD per hour.
    pub on_demand: Option<i64>,
    /// Nano-USD per hour.
    pub spot: Option<i64>,
    pub arch: String,
}
