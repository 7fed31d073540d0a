//! The choices that moves of single stages may take.

use crate::planning::problem::{ChoiceId, StageId};
use crate::util::id_vec::IdVec;

/// By stage: choices that moves may take.
pub(crate) type AllowedChoices = IdVec<StageId, Vec<ChoiceId>>;
