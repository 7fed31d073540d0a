//! The part of a choice's cost that no other choice can change.

use crate::planning::problem::routes::{Least, least_rates};
use crate::planning::problem::{Choice, Instance, Origin};

/// Returns, by stage and choice, the cost that is certain once the choice is taken; `None`: the
/// choice cannot be taken.
pub(crate) fn certain_costs(instance: &Instance) -> Vec<Vec<Option<i64>>> {
    // Data at a fixed site with one reader: its copy is decided by that reader alone.
    let mut fetched: Vec<Vec<(usize, Least<'_>)>> =
        instance.stages.iter().map(|_| Vec::new()).collect();
    let rates = least_rates(instance);
    for artifact in &instance.artifacts {
        if let (Origin::Site(from), [reader]) = (artifact.origin, &artifact.readers[..]) {
            fetched[*reader].push((from, Least::of(instance, artifact, &rates)));
        }
    }
    let certain = |choice: &Choice, fetched: &[(usize, Least<'_>)]| -> Option<i64> {
        let copies = fetched
            .iter()
            .map(|(from, price)| price.copy(*from, choice.site));
        Some(choice.cost + copies.sum::<Option<i64>>()?)
    };
    let stages = instance.stages.iter().zip(&fetched);
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
