//! What an import is told beside its path.

use jiff::civil::Date;

/// What an import is told beside its path.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The cloud that a price list is of.
    pub cloud: Option<String>,
    /// The day of the figures; a bare day, or `cloud=day` for one of several clouds.
    pub dates: Vec<String>,
    /// What the source is, for people.
    pub about: Option<String>,
    /// Where the source can be looked up.
    pub url: Option<String>,
    /// A price list that is full: what it does not have is not sold in the regions that it has.
    pub full: bool,
    /// The day where `dates` has none; found by [`crate::feeds::import`].
    pub guess: Option<GuessedDay>,
}

/// A day of figures where none is given, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuessedDay {
    /// The day.
    pub day: Date,
    /// Why that day, such as `the day in the name x`.
    pub why: String,
}
