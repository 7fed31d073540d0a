//! The needs of a stage that are constraints, each on its own.

use crate::model::offer::ANY_ARCH;
use crate::model::{Needs, ServiceNeed};

/// One need of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The machine has at least so many virtual CPUs.
    Cpus,
    /// The machine has at least so much memory.
    Memory,
    /// The machine has one of the accelerators that are listed.
    Accelerators,
    /// The machine has one of the trusted execution environments that are listed.
    Tee,
    /// The machine has this processor architecture.
    Arch,
    /// The machine is at one of the places that are listed.
    Places,
    /// The machine is of one of the machine types that are listed.
    InstanceTypes,
    /// The machine is within so much time of a country.
    Latency,
    /// The most that an hour of a machine may cost.
    MaxPrice,
    /// In this version.
    Service,
    /// The machine meets one of several alternative sets of needs.
    AnyOf,
}

impl Need {
    /// All needs, in the order in which constraints list them.
    pub const ALL: [Need; 11] = [
        Need::Cpus,
        Need::Memory,
        Need::Accelerators,
        Need::Tee,
        Need::Arch,
        Need::Places,
        Need::InstanceTypes,
        Need::Latency,
        Need::MaxPrice,
        Need::Service,
        Need::AnyOf,
    ];

    /// Returns the key of the need in the table `needs` of a stage.
    pub fn key(self) -> &'static str {
        match self {
            Need::Cpus => "cpus",
            Need::Memory => "memory",
            Need::Accelerators => "accelerators",
            Need::Tee => "tee",
            Need::Arch => "arch",
            Need::Places => "places",
            Need::InstanceTypes => "instance_types",
            Need::Latency => "latency",
            Need::MaxPrice => "max_price",
            Need::Service => "service",
            Need::AnyOf => "any_of",
        }
    }

    /// Returns whether a stage has this need.
    pub(super) fn is_given(self, needs: &Needs) -> bool {
        match self {
            Need::Cpus => needs.vcpu_thousandths > 0,
            Need::Memory => needs.memory.0 > 0,
            Need::Accelerators => !needs.accelerators.is_empty(),
            Need::Tee => !needs.tee.is_empty(),
            Need::Arch => needs.arch.as_ref().is_some_and(|arch| arch != ANY_ARCH),
            Need::Places => !needs.places.is_empty(),
            Need::InstanceTypes => !needs.instance_types.is_empty(),
            Need::Latency => needs.latency.is_some(),
            Need::MaxPrice => needs.max_price.is_some(),
            // Which service it is says what the work is; only its version may be left open.
            Need::Service => needs
                .service
                .as_ref()
                .is_some_and(|service| !service.is_any()),
            Need::AnyOf => !needs.any_of.is_empty(),
        }
    }

    /// Takes this need away, which allows every offer that was allowed before.
    pub(super) fn clear(self, needs: &mut Needs) {
        match self {
            Need::Cpus => needs.vcpu_thousandths = 0,
            Need::Memory => needs.memory.0 = 0,
            Need::Accelerators => needs.accelerators.clear(),
            Need::Tee => needs.tee.clear(),
            // Leaving the line out allows x86_64 only, so it relaxes nothing.
            Need::Arch => needs.arch = Some(ANY_ARCH.to_owned()),
            Need::Places => needs.places.clear(),
            Need::InstanceTypes => needs.instance_types.clear(),
            Need::Latency => needs.latency = None,
            Need::MaxPrice => needs.max_price = None,
            Need::Service => needs.service = needs.service.as_ref().map(ServiceNeed::any),
            Need::AnyOf => needs.any_of.clear(),
        }
    }

    /// Returns whether two sets of needs say the same of this need.
    pub(super) fn same(self, a: &Needs, b: &Needs) -> bool {
        match self {
            Need::Cpus => a.vcpu_thousandths == b.vcpu_thousandths,
            Need::Memory => a.memory == b.memory,
            Need::Accelerators => a.accelerators == b.accelerators,
            Need::Tee => a.tee == b.tee,
            Need::Arch => a.arch == b.arch,
            Need::Places => a.places == b.places,
            Need::InstanceTypes => a.instance_types == b.instance_types,
            Need::Latency => a.latency == b.latency,
            Need::MaxPrice => a.max_price == b.max_price,
            Need::Service => a.service == b.service,
            Need::AnyOf => true,
        }
    }
}
