//! The policy's rules: which places and machines they leave to each stage.
//!
//! The assertions take a catalog, so that they hold for any that has the regions they name.

use crate::planning::europe::{self, job, policy};
use sky::catalog::Catalog;
use sky::model::{Job, Policy, Purchase, Reach, Tee};
use sky::planning::compile;
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};
use sky::util::id_vec::Id;
use std::collections::{BTreeMap, BTreeSet};

type Places = BTreeSet<String>;

/// `first` reads personal data; `second` and `third` read what comes of it; `clean` removes the
/// label, and `after` reads what `clean` writes.
const CHAIN: &str = r#"
name = "chain"
[datasets.people]
at = "aws:eu-west-1"
size = "1 GB"
labels = ["personal"]
[stages.first]
reads = ["people"]
writes = { one = "1 GB" }
duration = "1 h"
[stages.second]
reads = ["first.one"]
writes = { two = "1 GB" }
duration = "1 h"
[stages.third]
reads = ["second.two"]
duration = "1 h"
[stages.clean]
reads = ["second.two"]
writes = { anonymous = "1 GB" }
removes = ["personal"]
duration = "1 h"
[stages.after]
reads = ["clean.anonymous"]
duration = "1 h"
[stages.apart]
duration = "1 h"
"#;

/// Stages that read personal data, directly or not.
const BOUND: [&str; 4] = ["first", "second", "third", "clean"];
/// Stages that do not.
const FREE: [&str; 2] = ["after", "apart"];

/// The members of the European Union, written down a second time.
const UNION: [&str; 27] = [
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV",
    "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
];

/// The candidates of every stage: place, instance type, purchase, environments.
fn candidates(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> BTreeMap<String, Vec<(String, String, Purchase, bool)>> {
    let compiled =
        compile::compile(job, policy, catalog).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let one = |candidate: &compile::Candidate| {
        let offer = &catalog.offers[candidate.offer.index()];
        let tee = [Tee::Sgx, Tee::SevSnp, Tee::Tdx]
            .iter()
            .any(|tee| offer.tee.has(*tee));
        (
            catalog.place(offer).name.to_string(),
            catalog.machine(offer).instance_type.clone(),
            offer.purchase,
            tee,
        )
    };
    compiled
        .stages
        .into_iter()
        .zip(
            compiled
                .candidates
                .iter()
                .map(|all| all.iter().map(one).collect()),
        )
        .collect()
}

/// The places that a policy leaves to every stage of [`CHAIN`].
fn places(text: &str, catalog: &Catalog) -> BTreeMap<String, Places> {
    let candidates = candidates(&job(CHAIN), &policy(text), catalog);
    candidates
        .into_iter()
        .map(|(stage, all)| (stage, all.into_iter().map(|(place, ..)| place).collect()))
        .collect()
}

/// The places that a policy which says nothing leaves, and that satisfy `wanted`.
fn with_offers(catalog: &Catalog, wanted: impl Fn(&sky::model::Place) -> bool) -> Places {
    let open = &places("", catalog)["apart"];
    let wanted = catalog
        .places
        .iter()
        .filter(|place| wanted(place))
        .map(|place| place.name.to_string());
    wanted.filter(|name| open.contains(name)).collect()
}

fn in_country(place: &sky::model::Place, countries: &[&str]) -> bool {
    place
        .country
        .as_deref()
        .is_some_and(|country| countries.contains(&country))
}

/// Must hold for every catalog with these regions.
pub(crate) fn residency_is_about_countries(catalog: &Catalog) {
    let eu = places("[residency]\ndefault = [\"EU\"]", catalog);
    let expected = with_offers(catalog, |place| in_country(place, &UNION));
    for (stage, left) in &eu {
        assert_eq!(*left, expected, "{stage}");
        for outside in [
            "aws:eu-west-2",
            "gcp:europe-west2",
            "aws:eu-central-2",
            "gcp:europe-west6",
            "aws:us-east-1",
        ] {
            assert!(
                catalog
                    .places
                    .iter()
                    .any(|place| place.name.to_string() == outside),
                "{outside}"
            );
            assert!(!left.contains(outside), "{outside}");
        }
        for inside in ["azure:northeurope", "aws:eu-west-1", "aws:eu-central-1"] {
            assert!(left.contains(inside), "{inside}");
        }
    }
    let wider = places("[residency]\ndefault = [\"EU\", \"GB\", \"EFTA\"]", catalog);
    let countries: Vec<&str> = UNION
        .into_iter()
        .chain(["GB", "CH", "IS", "LI", "NO"])
        .collect();
    assert_eq!(
        wider["apart"],
        with_offers(catalog, |place| in_country(place, &countries))
    );
    assert!(
        wider["apart"].contains("aws:eu-west-2") && wider["apart"].contains("gcp:europe-west6")
    );
    // A country that nobody has told satisfies no list.
    let everywhere: Vec<String> = sky::model::geography::COUNTRIES
        .split(' ')
        .map(|code| format!("\"{code}\""))
        .collect();
    let known = places(
        &format!("[residency]\ndefault = [{}]", everywhere.join(", ")),
        catalog,
    );
    assert_eq!(
        known["apart"],
        with_offers(catalog, |place| place.country.is_some())
    );
}

/// Must hold for every catalog with these regions.
pub(crate) fn a_label_binds_all_that_is_derived(catalog: &Catalog) {
    let left = places(
        "[residency]\ndefault = [\"EU\", \"GB\"]\npersonal = [\"IE\"]",
        catalog,
    );
    let ireland = with_offers(catalog, |place| in_country(place, &["IE"]));
    assert!(ireland.contains("aws:eu-west-1") && ireland.contains("azure:northeurope"));
    for stage in BOUND {
        assert_eq!(left[stage], ireland, "{stage}");
    }
    for stage in FREE {
        assert!(
            left[stage].is_superset(&ireland) && left[stage].contains("aws:eu-west-2"),
            "{stage}"
        );
    }
    // A label's rule does not widen the rule for all data.
    let narrow = places(
        "[residency]\ndefault = [\"IE\"]\npersonal = [\"EU\", \"US\"]",
        catalog,
    );
    assert!(narrow.values().all(|left| *left == ireland));
}

/// Must hold for every catalog with these regions and a place out of the act's reach.
pub(crate) fn only_known_operators_are_out_of_reach(catalog: &Catalog) {
    let left = places("[operators]\nus_cloud_act = \"exclude\"", catalog);
    let expected = with_offers(catalog, |place| place.cloud_act == Reach::No);
    assert!(!expected.is_empty());
    for (stage, left) in &left {
        assert_eq!(*left, expected, "{stage}");
        let american = |name: &String| {
            ["aws:", "azure:", "gcp:"]
                .iter()
                .any(|cloud| name.starts_with(cloud))
        };
        assert!(!left.iter().any(american), "{stage}");
    }
    assert_eq!(
        places("[operators]\nus_cloud_act = \"allow\"", catalog)["first"],
        with_offers(catalog, |_| true)
    );
}

/// Must hold for every catalog with these regions and a confidential machine in one of them.
pub(crate) fn trust_is_about_machines_that_read_labelled_data(catalog: &Catalog) {
    let policy = policy("[trust]\npersonal = [\"sgx\", \"sev-snp\", \"tdx\"]");
    let left = candidates(&job(CHAIN), &policy, catalog);
    for stage in BOUND {
        assert!(
            !left[stage].is_empty() && left[stage].iter().all(|(.., tee)| *tee),
            "{stage}"
        );
    }
    for stage in FREE {
        assert!(left[stage].iter().any(|(.., tee)| !*tee), "{stage}");
    }
}

/// Must hold for every catalog with these regions.
pub(crate) fn clouds_and_places_are_chosen_by_name(catalog: &Catalog) {
    let left = |text: &str| places(text, catalog)["first"].clone();
    let named = |wanted: &dyn Fn(&str) -> bool| -> Places {
        with_offers(catalog, |_| true)
            .into_iter()
            .filter(|name| wanted(name))
            .collect()
    };
    assert_eq!(
        left("[clouds]\ndeny = [\"aws\"]"),
        named(&|name| !name.starts_with("aws:"))
    );
    assert_eq!(
        left("[clouds]\nallow = [\"aws\", \"gc*\"]"),
        named(&|name| name.starts_with("aws:") || name.starts_with("gcp:"))
    );
    let denied = left("[clouds]\nallow = [\"a*\"]\ndeny = [\"az*\"]");
    assert!(denied.contains("aws:eu-west-1") && !denied.contains("azure:northeurope"));
    assert_eq!(
        left("[places]\nallow = [\"*:eu*\"]"),
        named(&|name| name.split(':').nth(1).unwrap().starts_with("eu"))
    );
    assert_eq!(
        left("[places]\nallow = [\"aws:eu-*\"]\ndeny = [\"aws:eu-west-2\"]"),
        named(&|name| name.starts_with("aws:eu-") && name != "aws:eu-west-2")
    );
    // Names are compared whole: there is a region aws:us-east-1, no region aws:us-east.
    assert!(left("[places]\ndeny = [\"aws:us-east\"]").contains("aws:us-east-1"));
}

#[test]
fn nothing_said_is_nothing_forbidden() {
    let all: Places = europe::PLACES
        .iter()
        .map(|(place, ..)| (*place).to_owned())
        .collect();
    assert!(
        places("", &europe::catalog())
            .values()
            .all(|left| *left == all)
    );
}

#[test]
fn residency() {
    residency_is_about_countries(&europe::catalog());
}

#[test]
fn labels() {
    a_label_binds_all_that_is_derived(&europe::catalog());
}

#[test]
fn operators() {
    let catalog = europe::catalog();
    only_known_operators_are_out_of_reach(&catalog);
    let left = places("[operators]\nus_cloud_act = \"exclude\"", &catalog);
    assert_eq!(
        left["first"],
        Places::from(["outscale:eu-west-2".to_owned()]),
        "contested and unknown are within reach"
    );
}

#[test]
fn trust() {
    trust_is_about_machines_that_read_labelled_data(&europe::catalog());
    // Every environment counts for itself: an enclave is not a confidential machine.
    let left = candidates(
        &job(CHAIN),
        &policy("[trust]\npersonal = [\"nitro-enclave\"]"),
        &europe::catalog(),
    );
    assert!(
        left["third"]
            .iter()
            .all(|(place, machine, ..)| place.starts_with("aws:") && machine == "secret")
    );
    assert_eq!(left["third"].len(), 5);
}

#[test]
fn clouds_and_places() {
    clouds_and_places_are_chosen_by_name(&europe::catalog());
}

#[test]
fn spot() {
    let catalog = europe::catalog();
    let bought = |text: &str| -> BTreeSet<Purchase> {
        candidates(&job(CHAIN), &policy(text), &catalog)["first"]
            .iter()
            .map(|(_, _, purchase, _)| *purchase)
            .collect()
    };
    assert_eq!(bought(""), BTreeSet::from([Purchase::OnDemand]));
    assert_eq!(
        bought("[spot]\nallow = false"),
        BTreeSet::from([Purchase::OnDemand])
    );
    // Spot costs less, and is expected to be interrupted: on demand is faster.
    assert_eq!(
        bought("[spot]\nallow = true"),
        BTreeSet::from([Purchase::OnDemand, Purchase::Spot])
    );
}

#[test]
fn rules_add_up() {
    let left = places(
        "[residency]\ndefault = [\"EU\"]\n[clouds]\ndeny = [\"vast\"]\n[places]\ndeny = [\"*:eu-west-*\"]\n",
        &europe::catalog(),
    );
    let expected = ["aws:eu-central-1", "azure:northeurope", "ovh:gra"].map(str::to_owned);
    assert_eq!(left["first"], Places::from(expected));
}

#[test]
fn plans_keep_the_rules_where_it_costs_them_something() {
    let catalog = europe::catalog();
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan =
        |text: &str| planning::plan(&job(CHAIN), &policy(text), &catalog, &settings).unwrap();
    let free = plan("");
    // Cheapest of all, and in no known country's reach: $0.80 an hour.
    assert!(
        free.stages
            .iter()
            .any(|stage| stage.place.to_string() == "vast:de")
    );
    let bound = plan("[residency]\ndefault = [\"EU\", \"GB\"]\npersonal = [\"IE\"]");
    for stage in &bound.stages {
        let irish = stage.country.as_deref() == Some("IE");
        assert_eq!(
            irish,
            BOUND.contains(&stage.name.as_str()),
            "{} at {}",
            stage.name,
            stage.place
        );
        assert_eq!(stage.labels.contains("personal"), irish, "{}", stage.name);
    }
    assert!(bound.totals.cost_micro_usd > free.totals.cost_micro_usd);
}

#[test]
fn data_that_already_lies_outside_is_said() {
    let catalog = europe::catalog();
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan =
        |text: &str| planning::plan(&job(CHAIN), &policy(text), &catalog, &settings).unwrap();
    assert_eq!(
        plan("[residency]\ndefault = [\"EU\"]").warnings,
        Vec::<String>::new()
    );
    let warnings = plan("[residency]\npersonal = [\"DE\", \"FR\"]").warnings;
    assert_eq!(
        warnings,
        [
            "dataset people is already at aws:eu-west-1 (IE), which residency.personal does not allow; the rule is applied to every place that the plan brings it to"
        ]
    );
}

/// The shipped catalog has all these regions, and must keep them where they are.
mod on_the_shipped_catalog {
    use sky::catalog::{Catalog, load};

    fn shipped() -> Catalog {
        load::shipped().unwrap()
    }

    #[test]
    fn residency() {
        super::residency_is_about_countries(&shipped());
    }

    #[test]
    fn labels() {
        super::a_label_binds_all_that_is_derived(&shipped());
    }

    #[test]
    fn operators() {
        super::only_known_operators_are_out_of_reach(&shipped());
    }

    #[test]
    fn trust() {
        super::trust_is_about_machines_that_read_labelled_data(&shipped());
    }

    #[test]
    fn clouds_and_places() {
        super::clouds_and_places_are_chosen_by_name(&shipped());
    }
}
