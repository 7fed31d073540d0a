//! What must hold, and what to minimise.

use crate::model::{Millis, Money, Pattern, Tee};
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
    /// By label (or [`DEFAULT_LABEL`]): ISO 3166 country codes where such data may lie and be
    /// processed. Blocs are already spelled out.
    pub residency: BTreeMap<String, BTreeSet<String>>,
    /// True: places within reach of the US CLOUD Act (known, contested or unknown) are out.
    pub exclude_cloud_act: bool,
    /// By label: a stage that reads such data needs one of these environments.
    pub trust: BTreeMap<String, BTreeSet<Tee>>,
    /// Clouds.
    pub clouds: Allowance,
    /// Places, `cloud:region`.
    pub places: Allowance,
    /// Closed classes of places, such as `us-gov`, that may be used.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub partitions: BTreeSet<String>,
    /// Spot machines may be used, at their bare spot price.
    pub allow_spot: bool,
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
    /// Whether `name` may be used.
    pub fn permits(&self, name: &str) -> bool {
        let listed = |patterns: &BTreeSet<Pattern>| patterns.iter().any(|pattern| pattern.matches(name));
        self.allow.as_ref().is_none_or(listed) && !listed(&self.deny)
    }
}
