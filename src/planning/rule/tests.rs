//! What is unknown never satisfies a rule: a place that passes with a cell unknown passes whatever
//! the cell says, so nothing rests on what is not known.

use super::*;
use crate::model::{
    Allowance, Pattern, Place, PlaceName, Policy, Purchase, Rate, Reach, Tee, TeeSet,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;
use std::collections::{BTreeMap, BTreeSet};

const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];
const NAMES: [&str; 3] = ["Alpha", "Beta", "Gamma"];
const SCHEMES: [&str; 2] = ["c5", "secnumcloud"];
const LABELS: [&str; 2] = ["default", "personal"];

fn set(list: Vec<&str>) -> BTreeSet<String> {
    list.into_iter().map(str::to_owned).collect()
}

fn patterns(list: Vec<&str>) -> BTreeSet<Pattern> {
    list.into_iter()
        .map(|name| Pattern(format!("{}*", &name[..2])))
        .collect()
}

/// For some labels, a set that is not empty.
fn by_label(
    names: &'static [&'static str],
) -> impl Strategy<Value = BTreeMap<String, BTreeSet<String>>> {
    prop::collection::btree_map(
        select(LABELS.to_vec()).prop_map(str::to_owned),
        subsequence(names.to_vec(), 1..=names.len()).prop_map(set),
        0..=2,
    )
}

fn allowance() -> impl Strategy<Value = Allowance> {
    let allow = prop::option::of(subsequence(NAMES.to_vec(), 1..=3).prop_map(patterns));
    (allow, subsequence(NAMES.to_vec(), 0..=2).prop_map(patterns))
        .prop_map(|(allow, deny)| Allowance { allow, deny })
}

prop_compose! {
    fn policies()(
        residency in by_label(&COUNTRIES),
        certifications in by_label(&SCHEMES),
        operators in allowance(),
        parents in prop::option::of(subsequence(COUNTRIES.to_vec(), 1..=3).prop_map(set)),
        exclude_cloud_act in any::<bool>(),
        partitions in subsequence(vec!["us-gov", "cn-operated"], 0..=2).prop_map(set),
        trust in prop::collection::btree_map(
            select(LABELS.to_vec()).prop_map(str::to_owned),
            prop::collection::btree_set(select(Tee::ALL.to_vec()), 1..=2),
            0..=2,
        ),
    ) -> Policy {
        Policy { residency, certifications, operators, parents, exclude_cloud_act, partitions, trust, ..Policy::default() }
    }
}

prop_compose! {
    fn places()(
        country in select(COUNTRIES.to_vec()),
        operator in select(NAMES.to_vec()),
        parent in select(NAMES.to_vec()),
        parent_country in select(COUNTRIES.to_vec()),
        cloud_act in select(vec![Reach::No, Reach::Yes, Reach::Contested]),
        class in select(vec!["commercial", "eu-sovereign", "us-gov", "cn-operated"]),
        certifications in subsequence(SCHEMES.to_vec(), 0..=2).prop_map(set),
    ) -> Place {
        Place {
            name: PlaceName { cloud: "x".to_owned(), region: "y".to_owned() },
            country: Some(country.to_owned()),
            location: String::new(),
            operator: operator.to_owned(),
            parent: parent.to_owned(),
            parent_country: Some(parent_country.to_owned()),
            certifications,
            cloud_act,
            class: class.to_owned(),
        }
    }
}

/// Makes one cell unknown.
type Forget = fn(&mut Place);

/// Every cell that a rule reads.
const CELLS: [(&str, Forget); 7] = [
    ("country", |place| place.country = None),
    ("operator", |place| place.operator.clear()),
    ("parent", |place| place.parent.clear()),
    ("parent country", |place| place.parent_country = None),
    ("reach", |place| place.cloud_act = Reach::Unknown),
    ("class", |place| place.class = "not said".to_owned()),
    ("certifications", |place| place.certifications.clear()),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_unknown_never_satisfies_a_rule(
        policy in policies(),
        place in places(),
        labels in subsequence(vec!["personal", "other"], 0..=2).prop_map(set),
        forgotten in subsequence(CELLS.to_vec(), 1..=7),
        tee in select(Tee::ALL.to_vec()),
    ) {
        let mut less = place.clone();
        for (_, forget) in &forgotten {
            forget(&mut less);
        }
        for rule in RULES {
            let known = (rule.place)(&policy, &labels, &place);
            let unknown = (rule.place)(&policy, &labels, &less);
            let cells: Vec<&str> = forgotten.iter().map(|(name, _)| *name).collect();
            prop_assert!(unknown.is_some() || known.is_none(), "{:?} without {:?} passes {:?}", place, cells, policy);
            let with = TeeSet::default().with(tee);
            let known = (rule.machine)(&policy, &labels, &terms(with));
            let unknown = (rule.machine)(&policy, &labels, &terms(TeeSet::default()));
            prop_assert!(unknown.is_some() || known.is_none());
        }
    }

    #[test]
    fn nothing_known_passes_nothing_that_binds(policy in policies(), place in places()) {
        let mut empty = place;
        CELLS.iter().for_each(|(_, forget)| forget(&mut empty));
        empty.class = "commercial".to_owned();
        let binds = !policy.operators.is_open() || policy.parents.is_some() || policy.exclude_cloud_act
            || policy.residency.contains_key("default") || policy.certifications.contains_key("default");
        prop_assert_eq!(forbids_place(&policy, &Labels::new(), &empty).is_some(), binds);
    }
}

#[test]
fn operators_are_known_by_name_owner_and_its_country() {
    let place = |operator: &str, parent: &str, country: &str| Place {
        name: PlaceName {
            cloud: "x".to_owned(),
            region: "y".to_owned(),
        },
        country: None,
        location: String::new(),
        operator: operator.to_owned(),
        parent: parent.to_owned(),
        parent_country: Some(country.to_owned()),
        certifications: BTreeSet::new(),
        cloud_act: Reach::Yes,
        class: "commercial".to_owned(),
    };
    let forbids = |policy: &Policy, place: &Place| forbids_place(policy, &Labels::new(), place);
    let list = |names: &[&str]| {
        names
            .iter()
            .map(|name| Pattern((*name).to_owned()))
            .collect::<BTreeSet<_>>()
    };
    let deny = Policy {
        operators: Allowance {
            allow: None,
            deny: list(&["Amazon*"]),
        },
        ..Policy::default()
    };
    let sovereign = place("AWS European Sovereign Cloud GmbH", "Amazon.com Inc.", "US");
    assert_eq!(
        forbids(&deny, &sovereign).unwrap(),
        "operators.deny",
        "its owner is denied"
    );
    assert_eq!(
        forbids(&deny, &place("OVHcloud", "OVH Groupe SA", "FR")),
        None
    );
    assert_eq!(
        forbids(&deny, &place("Cudo Compute", "", "GB")).unwrap(),
        "operators.deny",
        "who owns it is unknown"
    );
    let allow = Policy {
        operators: Allowance {
            allow: Some(list(&["OVH*"])),
            deny: list(&[]),
        },
        ..Policy::default()
    };
    assert_eq!(
        forbids(&allow, &place("OVHcloud US", "OVH Groupe SA", "FR")),
        None
    );
    assert_eq!(forbids(&allow, &sovereign).unwrap(), "operators.allow");
    let european = Policy {
        parents: Some(set(vec!["DE", "FR"])),
        ..Policy::default()
    };
    assert_eq!(forbids(&european, &sovereign).unwrap(), "operators.parents");
    assert_eq!(
        forbids(&european, &place("OVHcloud", "OVH Groupe SA", "FR")),
        None
    );
}

fn terms(tees: TeeSet) -> Terms {
    Terms {
        tees,
        purchase: Purchase::OnDemand,
        hourly: None,
    }
}

#[test]
fn a_price_is_capped_only_where_it_is_by_the_hour() {
    let forbidden = |most: Option<i64>, hourly: Option<i64>| {
        let policy = Policy {
            max_price: most.map(Rate),
            ..Policy::default()
        };
        let terms = Terms {
            hourly: hourly.map(Rate),
            ..terms(TeeSet::default())
        };
        forbids_machine(&policy, &Labels::default(), &terms)
    };
    assert_eq!(
        forbidden(Some(2_500_000_000), Some(2_500_000_001)).as_deref(),
        Some("limits.max_price")
    );
    assert_eq!(forbidden(Some(2_500_000_000), Some(2_500_000_000)), None);
    assert_eq!(forbidden(Some(0), None), None);
    assert_eq!(forbidden(None, Some(i64::MAX)), None);
}
