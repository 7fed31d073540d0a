//! Which trusted execution environment a machine has to run with, worked out a second time.

use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Needs, Policy, Tee, TeeSet};
use std::collections::BTreeSet;

/// Of what a machine has the first that the policy trusts with all labels and that the needs
/// accept, by the first of their alternatives that it meets so. None: none is demanded.
pub(super) fn tee(
    policy: &Policy,
    labels: &BTreeSet<String>,
    needs: &Needs,
    offered: TeeSet,
    meets: impl Fn(&Needs) -> bool,
) -> Option<Tee> {
    let applies = |label: &String| label == DEFAULT_LABEL || labels.contains(label);
    let trust = policy.trust.iter().filter(|(label, _)| applies(label));
    let lists: Vec<&BTreeSet<Tee>> = trust
        .map(|(_, trusted)| trusted)
        .chain(asked_environments(needs))
        .collect();
    let tee_taken = |alternative: &Needs| -> Option<Option<Tee>> {
        let lists: Vec<&BTreeSet<Tee>> = lists
            .iter()
            .copied()
            .chain(asked_environments(alternative))
            .collect();
        let accepted = |tee: &Tee| offered.has(*tee) && lists.iter().all(|list| list.contains(tee));
        match lists.is_empty() {
            true => Some(None),
            false => Tee::ALL.into_iter().find(accepted).map(Some),
        }
    };
    match needs.any_of.is_empty() {
        true => tee_taken(&Needs::default()),
        false => needs
            .any_of
            .iter()
            .filter(|alternative| meets(alternative))
            .find_map(tee_taken),
    }
    .flatten()
}

/// The environments that needs ask for, if they do.
fn asked_environments(needs: &Needs) -> Option<&BTreeSet<Tee>> {
    Some(&needs.tee).filter(|tees| !tees.is_empty())
}
