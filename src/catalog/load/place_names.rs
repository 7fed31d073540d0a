//! Place names, found by their text.

use rustc_hash::FxHashMap as HashMap;

/// The places of a catalog by their text, such as `aws:us-east-1`.
pub(super) struct PlaceNames<'a> {
    places: HashMap<&'a str, u32>,
}

impl<'a> PlaceNames<'a> {
    /// Takes the names of all places in the order of the catalog.
    pub(crate) fn new(names: &'a [String]) -> Self {
        Self {
            places: names
                .iter()
                .zip(0..)
                .map(|(name, index)| (name.as_str(), index))
                .collect(),
        }
    }

    /// The index of the place of this name.
    pub(crate) fn place(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    /// What to do about an unknown place.
    pub(crate) fn place_hint(&self, name: &str) -> String {
        let nearest_name = self
            .places
            .keys()
            .map(|known| (strsim::levenshtein(known, name), *known))
            .min();
        match nearest_name {
            Some((distance, known)) if distance <= 3 => {
                format!("did you mean `{known}`? else add it to places.csv")
            }
            _ => "add it to places.csv".to_owned(),
        }
    }
}
