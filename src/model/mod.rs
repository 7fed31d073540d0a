//! Plain data for all rooms: units, names, the job, the policy, places and offers.
//!
//! Invariant: nothing here does IO, and every collection is ordered, so that a value has one
//! canonical form ([`canonical`]) and one digest.

pub mod accelerator;
pub mod bucket_name;
pub mod canonical;
pub mod dag;
pub mod extras;
pub mod fanout;
pub mod geography;
pub mod hosts;
pub mod job;
pub mod names;
pub mod offer;
pub mod pack;
pub mod pattern;
pub mod policy;
pub mod service;
pub mod tariff;
pub mod uniform;
pub mod units;

pub use accelerator::AcceleratorNeed;
pub use extras::Extras;
pub use job::{
    Allocation, ArtifactRef, Checkpoint, Dataset, Destination, Domain, Job, Latency, Needs,
    OfferName, Retries, Spread, Stage, Work,
};
pub use names::PlaceName;
pub use offer::{Machine, Offer, Place, Purchase, Reach, Tee, TeeSet};
pub use pack::Pack;
pub use pattern::Pattern;
pub use policy::{Account, Allowance, Home, Link, Objective, Policy, Quota};
pub use service::{Service, ServiceNeed, Unit};
pub use tariff::{Gigabyte, Tariff};
pub use uniform::UniformName;
pub use units::{Bandwidth, Bytes, DataRate, Millis, Money, Rate};
