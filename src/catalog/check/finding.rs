//! What a finding is, and which kinds there are.

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The kind of the finding.
    pub kind: Kind,
    /// What the finding is about: a place, a machine, an accelerator, a cloud or a source.
    pub name: String,
    /// The instance type, if the finding is about a price.
    pub instance_type: Option<String>,
    /// What is odd, with the figures.
    pub message: String,
}

/// Kinds of findings; the first ones are suspicious, the others are gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A price that is next to nothing for what is offered.
    PriceTooLow,
    /// A price far off the same machine in the other regions of its cloud.
    OffPeers,
    /// A price far under what the accelerator costs elsewhere.
    OffAccelerator,
    /// A spot price above the price on demand.
    SpotAboveOnDemand,
    /// A spot price under a hundredth of the price on demand.
    SpotTooLow,
    /// An accelerator without rates.
    UnknownAccelerator,
    /// A place without a country.
    NoCountry,
    /// A place without an operator.
    NoOperator,
    /// A place of which it is unknown whether the US CLOUD Act reaches it.
    NoReach,
    /// A machine type whose vCPUs or memory are unknown.
    NoSize,
    /// A cloud of which it is unknown how it bills and boots.
    NoTerms,
    /// A place out of which no route has a price.
    NoEgress,
    /// A source that is long before the newest price.
    OldSource,
    /// Prices of a machine type that are more than a year before its newest one, and not known to
    /// have changed.
    OldBesideNewer,
    /// Prices that are more than a year old, scaled by how the price of the machine type changed
    /// since.
    Estimated,
    /// Machine types that their cloud has announced to retire.
    Retiring,
    /// Offers that held until a day before the newest price.
    Lapsed,
    /// Machine types that their cloud has retired, by what the catalog knows.
    Retired,
    /// Rows of price lists that are not offered, by reason.
    Dropped,
}

impl Kind {
    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PriceTooLow => "price-too-low",
            Kind::OffPeers => "off-peers",
            Kind::OffAccelerator => "off-accelerator",
            Kind::SpotAboveOnDemand => "spot-above-on-demand",
            Kind::SpotTooLow => "spot-too-low",
            Kind::UnknownAccelerator => "unknown-accelerator",
            Kind::NoCountry => "no-country",
            Kind::NoOperator => "no-operator",
            Kind::NoReach => "no-us-cloud-act",
            Kind::NoSize => "no-size",
            Kind::NoTerms => "no-terms",
            Kind::NoEgress => "no-egress-price",
            Kind::OldSource => "old-source",
            Kind::OldBesideNewer => "old-beside-newer",
            Kind::Estimated => "estimated-price",
            Kind::Retiring => "retiring",
            Kind::Retired => "retired",
            Kind::Dropped => "dropped-rows",
            Kind::Lapsed => "lapsed",
        }
    }

    /// Whether findings of this kind are figures that cannot be meant.
    pub fn is_suspicious(self) -> bool {
        self < Kind::UnknownAccelerator
    }

    /// Whether findings of this kind are something that the catalog does not say.
    pub fn is_gap(self) -> bool {
        (Kind::UnknownAccelerator..=Kind::OldSource).contains(&self)
    }
}

impl Finding {
    /// A finding that is not about the price of one instance type.
    pub(super) fn of(kind: Kind, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            instance_type: None,
            message: message.into(),
        }
    }
}
