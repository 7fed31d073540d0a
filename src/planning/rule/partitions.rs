//! `[partitions]`: places that need accounts of their own, such as those of governments.

use super::contract::{Labels, Rule, any_machine};
use crate::model::{Place, Policy};

pub(super) const RULE: Rule = Rule {
    place,
    machine: any_machine,
};

/// Closed places are for those who say that they may use them.
fn place(policy: &Policy, _: &Labels, place: &Place) -> Option<String> {
    let partition = place.partition();
    (!partition.is_empty() && !policy.partitions.contains(partition))
        .then(|| "partitions.allow".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PlaceName, Reach};

    fn forbids(allowed: &[&str], class: &str) -> bool {
        let policy = Policy {
            partitions: allowed.iter().map(|class| (*class).to_owned()).collect(),
            ..Policy::default()
        };
        let there = Place {
            name: PlaceName {
                cloud: "x".to_owned(),
                region: "y".to_owned(),
            },
            country: None,
            location: String::new(),
            operator: String::new(),
            parent: String::new(),
            parent_country: None,
            certifications: Default::default(),
            cloud_act: Reach::Yes,
            class: class.to_owned(),
        };
        place(&policy, &Labels::new(), &there).is_some()
    }

    #[test]
    fn closed_places_are_for_those_who_ask() {
        for class in ["us-gov", "cn-operated", "classified", "no such class"] {
            assert!(forbids(&[], class), "{class}");
            assert!(!forbids(&[class], class), "{class}");
        }
        assert!(forbids(&["us-gov"], "cn-operated"));
        for class in ["commercial", "eu-operated", "eu-sovereign"] {
            assert!(!forbids(&[], class), "{class}");
        }
    }
}
