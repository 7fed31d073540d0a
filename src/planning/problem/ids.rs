//! The kinds of indices of a placement problem.

use crate::util::id_vec::{IdVec, id_type};

id_type! {
    /// A stage of an `Instance`.
    pub StageId: usize;
    /// A site of `Links`: a place that stages run at or data lies at.
    pub SiteId: usize;
    /// An artifact of an `Instance`.
    pub ArtifactId: usize;
    /// A position among the choices of one stage of one instance. When choices are dropped, those
    /// that are left move to other positions; a [`CandidateId`] stays what it is.
    pub ChoiceId: usize;
    /// A candidate of a stage for whoever made the instance: the tag of a
    /// `Choice`.
    pub CandidateId: usize;
    /// A limit on what choices use together (`Cap`).
    pub CapId: usize;
    /// A class of transfers that have one price (`Price`).
    pub PriceId: u16;
    /// A variable of a `Program`.
    pub ColumnId: usize;
    /// A bill whose tiers run over several transfers (`Pool`).
    pub PoolId: u16;
}

/// A placement: the choice that each stage takes.
pub type Placement = IdVec<StageId, ChoiceId>;

/// A placement by candidates, which outlives the dropping of choices.
pub type PlacedCandidates = IdVec<StageId, CandidateId>;
