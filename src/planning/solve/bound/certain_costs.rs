//! The part of a choice's cost that no other choice can change.

use crate::model::Money;
use crate::planning::problem::routes::{Least, least_rates};
use crate::planning::problem::{Choice, ChoiceId, Instance, Origin, SiteId, StageId};
use crate::util::id_vec::IdVec;

/// Returns, by stage and choice, the cost that is certain once the choice is taken; `None`: the
/// choice cannot be taken.
pub(crate) fn certain_costs(instance: &Instance) -> IdVec<StageId, IdVec<ChoiceId, Option<i64>>> {
    // Data at a fixed site with one reader: its transfer is decided by that reader alone.
    let mut fetched_inputs: IdVec<StageId, Vec<(SiteId, Least<'_>)>> =
        instance.stages.map(|_| Vec::new());
    let rates = least_rates(instance);
    for artifact in &instance.artifacts {
        if let (Origin::Site(from), [reader]) = (artifact.origin, &artifact.readers[..]) {
            fetched_inputs[*reader].push((from, Least::of(instance, artifact, &rates)));
        }
    }
    let certain = |choice: &Choice, fetched: &[(SiteId, Least<'_>)]| -> Option<i64> {
        let transfers = fetched
            .iter()
            .map(|(from, price)| price.transfer_cost(*from, choice.site));
        Some((choice.cost + transfers.sum::<Option<Money>>()?).0)
    };
    let stages = instance.stages.iter().zip(&fetched_inputs);
    stages
        .map(|(stage, fetched)| {
            stage
                .choices
                .iter()
                .map(|choice| certain(choice, fetched))
                .collect()
        })
        .collect()
}
