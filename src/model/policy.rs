//! What must hold, and what to minimise.

use crate::model::{
    Allocation, Bandwidth, Bytes, DataRate, Millis, Money, Pattern, Rate, Reach, Retries, Tee,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a rule that holds for all data, labelled or not.
pub const DEFAULT_LABEL: &str = "default";

/// A policy. [`Policy::default`] allows everything on demand and minimises cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What to minimise first; the other one breaks ties.
    pub minimize: Objective,
    /// Latest end of the whole job.
    pub deadline: Option<Millis>,
    /// Most that the whole job may cost.
    pub budget: Option<Money>,
    /// The most that an hour of one machine may cost, whichever stage runs on it; none: any price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Rate>,
    /// How often commands that fail are run again, of stages that do not say; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// By label (or [`DEFAULT_LABEL`]): ISO 3166 country codes where such data may lie and be
    /// processed. Blocs are already spelled out.
    pub residency: BTreeMap<String, BTreeSet<String>>,
    /// True: places within reach of the US CLOUD Act (known, contested or unknown) are out.
    pub exclude_cloud_act: bool,
    /// Operators, and their ultimate parents, by name.
    #[serde(default, skip_serializing_if = "Allowance::is_open")]
    pub operators: Allowance,
    /// ISO 3166 codes of the countries that an operator's ultimate parent may be of; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<BTreeSet<String>>,
    /// By label (or [`DEFAULT_LABEL`]): schemes, in lower case, by all of which a place must be
    /// certified where such data lies or is processed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certifications: BTreeMap<String, BTreeSet<String>>,
    /// By label: a stage that reads such data needs one of these environments.
    pub trust: BTreeMap<String, BTreeSet<Tee>>,
    /// Dotted keys of rules such as `residency.personal` that also hold for jobs in which nothing
    /// carries the label; without it, a label that nothing carries is taken for a typing mistake.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub optional_labels: BTreeSet<String>,
    /// Clouds.
    pub clouds: Allowance,
    /// Places, `cloud:region`.
    pub places: Allowance,
    /// Closed classes of places, such as `us-gov`, that may be used.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub partitions: BTreeSet<String>,
    /// Whether spot machines may be used; none: where a stage asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_spot: Option<bool>,
    /// How machines are bought for stages that do not say; none: the cheapest way if spot is
    /// allowed, else on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<Allocation>,
    /// What an hour of makespan is worth: with it, cost plus this is minimised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hour: Option<Rate>,
    /// By cloud: what is known of the account there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, Account>,
    /// The architecture of machines for stages that name none, or `any`; none: x86_64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// By cloud (`aws`) or place (`aws:us-east-1`), also as a pattern of places (`aws:*`: each of
    /// them): most that may run there at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<Pattern, Quota>,
    /// Peerings and flat-rate links of one's own; of several that match a way, the last counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Whether an artifact may be copied from a place other than its origin that holds it too,
    /// where that is cheaper; none: in jobs of few stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<bool>,
    /// How long artifacts are kept at every place that holds them, for storage prices; none:
    /// storage is not charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Millis>,
    /// The machine that `sky` runs on, where results are brought to.
    #[serde(default, skip_serializing_if = "Home::is_undeclared")]
    pub home: Home,
}

/// What a policy declares about the machine that `sky` runs on (`local:here`): where results are
/// brought to, and where data without another place lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// ISO 3166 code of the country where the machine stands. Without it, the machine satisfies no
    /// rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Who runs the machine; none: the user of `sky`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The operator's ultimate parent; none: the operator itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// ISO 3166 code of the country that the ultimate parent is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_country: Option<String>,
    /// Whether the US CLOUD Act reaches the operator; none: unknown, which counts as within reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us_cloud_act: Option<Reach>,
    /// Schemes, in lower case, that the machine is certified by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certifications: BTreeSet<String>,
    /// Trusted execution environments that data on the machine is protected by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tee: BTreeSet<Tee>,
    /// How fast data leaves the machine; none: an assumed speed, which plans mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bandwidth>,
    /// How fast data arrives at the machine; none: as fast as it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
}

impl Home {
    /// Whether nothing is declared.
    pub fn is_undeclared(&self) -> bool {
        *self == Self::default()
    }

    /// How fast data arrives at the machine, if that is declared.
    pub fn download_speed(&self) -> Option<Bandwidth> {
        self.downlink.or(self.uplink)
    }
}

/// What is known of an account with a cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Egress already used this month. Tiers go on from here, and the cloud's free allowance
    /// counts only when this is given.
    pub used_this_month: Option<Bytes>,
}

/// Most that may run at once; none: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Virtual CPUs, in thousandths.
    pub vcpu_thousandths: Option<u64>,
    /// Machines.
    pub instances: Option<u64>,
    /// Cards of any kind.
    pub accelerators: Option<u64>,
    /// Cards by name.
    pub by_accelerator: BTreeMap<String, u64>,
}

/// The price of a way that the account has an arrangement for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Places, as patterns.
    pub from: Pattern,
    /// Places, as patterns.
    pub to: Pattern,
    /// Per GB; 0 for a peering or a flat-rate link that is paid for anyway.
    pub rate: DataRate,
}

/// First objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Money, then time.
    #[default]
    Cost,
    /// Time, then money.
    Time,
}

/// Names that are allowed (`None`: all) and denied; a denial wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// When given, only these.
    pub allow: Option<BTreeSet<Pattern>>,
    /// Never these.
    pub deny: BTreeSet<Pattern>,
}

impl Allowance {
    /// Whether it allows everything.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Whether `name` may be used.
    pub fn permits(&self, name: &str) -> bool {
        let is_listed =
            |patterns: &BTreeSet<Pattern>| patterns.iter().any(|pattern| pattern.matches(name));
        self.allow.as_ref().is_none_or(is_listed) && !is_listed(&self.deny)
    }
}
