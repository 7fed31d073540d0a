//! One difference between what a plan says and what it should say.

/// Something in a plan that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Where: `stages.train.cost_micro_usd`.
    pub at: String,
    /// The value in the plan, and the value that it should have.
    pub says: String,
    /// The value that the plan should have there.
    pub should: String,
}

impl Difference {
    pub(in crate::planning) fn new(
        member_path: impl Into<String>,
        says: impl ToString,
        should: impl ToString,
    ) -> Self {
        Self {
            at: member_path.into(),
            says: says.to_string(),
            should: should.to_string(),
        }
    }
}
