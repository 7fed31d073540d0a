//! The kinds of indices of an instance whose replicas are counted.

use crate::util::id_vec::id_type;

id_type! {
    /// A group of stages that are alike.
    pub(super) GroupId: usize;
    /// A transfer that several open stages may share.
    pub(super) SharedTransferId: usize;
}
