//! The index of an offer in a catalog.

use crate::util::id_vec::id_type;

id_type! {
    /// An offer of a catalog, by its position in the catalog's list.
    pub OfferId: usize;
}
