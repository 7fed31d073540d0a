//! What can be rented, and where.

use crate::model::{Bytes, PlaceName, Rate, Service, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A region of a cloud: one failure domain, one law, one price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The qualified name of the place.
    pub name: PlaceName,
    /// ISO 3166 alpha-2 code of the country; `None`: unknown, which satisfies no rule.
    pub country: Option<String>,
    /// City or area, for people.
    pub location: String,
    /// The company that runs it.
    pub operator: String,
    /// The operator's ultimate parent company; empty: unknown.
    pub parent: String,
    /// ISO 3166 alpha-2 code of the country that the parent is of; `None`: unknown.
    pub parent_country: Option<String>,
    /// Schemes that it is certified by, in lower case; one that is sought or partial is not here.
    pub certifications: BTreeSet<String>,
    /// Whether the US CLOUD Act reaches its operator.
    pub cloud_act: Reach,
    /// One of [`CLASSES`].
    pub class: String,
}

/// The class of places that says nothing special.
pub const COMMERCIAL: &str = "commercial";

/// Classes of places, and whether they are open: closed ones are partitions with accounts and
/// networks of their own, which one must be entitled to.
pub const CLASSES: [(&str, bool); 6] = [
    (COMMERCIAL, true),
    ("eu-operated", true),
    ("eu-sovereign", true),
    ("us-gov", false),
    ("cn-operated", false),
    ("classified", false),
];

impl Place {
    /// The closed class that it is of; empty if it is open. What is not known to be open is closed.
    pub fn partition(&self) -> &str {
        if CLASSES.contains(&(self.class.as_str(), true)) {
            ""
        } else {
            &self.class
        }
    }
}

/// How far a foreign law reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Out of reach.
    No,
    /// Within reach.
    Yes,
    /// Argued about; counts as within reach.
    Contested,
    /// Not known; counts as within reach.
    Unknown,
}

/// The architecture of stages that name none, if the policy does not either.
pub const DEFAULT_ARCH: &str = "x86_64";

/// Stands for every architecture.
pub const ANY_ARCH: &str = "any";

/// A machine type of one cloud, the same in all its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The cloud.
    pub cloud: String,
    /// The provider's name of it.
    pub instance_type: String,
    /// Virtual CPUs in thousandths.
    pub vcpu_thousandths: u64,
    /// Memory.
    pub memory: Bytes,
    /// Canonical accelerator name and its count in thousandths.
    pub accelerator: Option<(String, u32)>,
    /// `x86_64` or `arm64`; empty: unknown.
    pub arch: String,
    /// The virtual CPUs that a burstable machine gives for as long as it runs, in
    /// thousandths; 0 if the vendor names no such figure. `None`: it is not burstable.
    pub baseline_vcpu_thousandths: Option<u64>,
    /// The service that runs already, where this is not a machine; its `instance_type` is the text
    /// of a [`ServiceName`](crate::model::uniform::ServiceName).
    pub service: Option<Service>,
}

impl Machine {
    /// The virtual CPUs that work can count on, in thousandths: all of them, or the baseline of a
    /// burstable machine. 0: unknown.
    pub fn sustained_vcpu_thousandths(&self) -> u64 {
        self.baseline_vcpu_thousandths
            .unwrap_or(self.vcpu_thousandths)
    }

    /// Whether it has the architecture that a stage asks for. Without a word of the stage, a
    /// machine that is known to be another than x86_64 is not taken; one of an unknown architecture
    /// is.
    pub fn has_arch(&self, arch: Option<&str>) -> bool {
        match arch {
            None => self.arch.is_empty() || self.arch == DEFAULT_ARCH,
            Some(ANY_ARCH) => true,
            Some(arch) => self.arch == arch,
        }
    }

    /// Whether machines run for the account, which its quotas count: a service that is not paid by
    /// the hour has none.
    pub fn is_rented(&self) -> bool {
        self.unit() == Unit::Hour
    }

    /// Returns the unit that a price of the machine is for.
    pub fn unit(&self) -> Unit {
        self.service
            .as_ref()
            .map_or(Unit::Hour, |service| service.unit)
    }
}

/// A machine at a place for a price. `machine` and `place` are indexes into the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The index of the place.
    pub place: u32,
    /// The index of the machine type.
    pub machine: u32,
    /// Whether the machine is bought on demand or as spot.
    pub purchase: Purchase,
    /// Per machine and hour; of a service, per [`Machine::unit`].
    pub rate: Rate,
    /// Environments that this machine has at this place.
    pub tee: TeeSet,
    /// Index into the catalog's sources: where the price is from, and of what day.
    pub source: u16,
    /// The price is of a list more than a year older than the newest price of its machine type, and
    /// was scaled by how the price of that type changed since.
    pub estimated: bool,
}

/// How a machine is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purchase {
    /// The machine stays until it is given back.
    OnDemand,
    /// The machine is cheaper, and the provider may take it away.
    Spot,
}

impl fmt::Display for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Purchase::OnDemand => "on-demand",
            Purchase::Spot => "spot",
        })
    }
}

/// A trusted execution environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tee {
    /// Intel SGX enclaves.
    Sgx,
    /// AMD SEV-SNP confidential machines.
    SevSnp,
    /// Intel TDX confidential machines.
    Tdx,
    /// AMD SEV: memory encryption without integrity protection.
    Sev,
    /// AWS Nitro Enclaves.
    NitroEnclave,
}

impl Tee {
    /// All of them, in canonical order.
    pub const ALL: [Tee; 5] = [Tee::Sgx, Tee::SevSnp, Tee::Tdx, Tee::Sev, Tee::NitroEnclave];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Tee::Sgx => "sgx",
            Tee::SevSnp => "sev-snp",
            Tee::Tdx => "tdx",
            Tee::Sev => "sev",
            Tee::NitroEnclave => "nitro-enclave",
        }
    }

    /// Reads the name in files.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tee| tee.name() == text)
    }
}

impl fmt::Display for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A small set of [`Tee`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeeSet(u8);

impl TeeSet {
    /// With `tee` in it.
    pub fn with(self, tee: Tee) -> Self {
        Self(self.0 | 1 << tee as u8)
    }

    /// Whether `tee` is in it.
    pub fn has(self, tee: Tee) -> bool {
        self.0 & (1 << tee as u8) != 0
    }

    /// Whether the two share one.
    pub fn meets(self, other: TeeSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the environments that are in both sets.
    pub fn and(self, other: TeeSet) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there are none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the members of the set, in canonical order.
    pub fn iter(self) -> impl Iterator<Item = Tee> {
        Tee::ALL.into_iter().filter(move |tee| self.has(*tee))
    }
}

impl FromIterator<Tee> for TeeSet {
    fn from_iter<I: IntoIterator<Item = Tee>>(tees: I) -> Self {
        tees.into_iter().fold(Self::default(), TeeSet::with)
    }
}
