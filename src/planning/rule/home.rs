//! Whether results may be brought to the machine that `sky` runs on.
//!
//! The machine is judged by every rule about where data lies: operators, residency,
//! certifications, trust, and denials of its own name. It is what `[home]` of the policy declares;
//! without a declared country it satisfies none of them. Lists of clouds and places that are
//! allowed say what may be rented, so they do not bind it.

use super::contract::{Labels, Terms};
use super::{certifications, operators, residency, trust};
use crate::model::offer::COMMERCIAL;
use crate::model::{Place, PlaceName, Policy, Purchase, Reach, TeeSet};

/// Who runs the machine unless the policy says otherwise.
const USER: &str = "you";

/// The key of the first rule that keeps data with such labels from being brought to this machine.
pub fn forbids_home(policy: &Policy, labels: &Labels) -> Option<String> {
    let place = home_place(policy);
    let (cloud, name) = (&place.name.cloud, place.name.to_string());
    for (table, denied, name) in [
        ("clouds", &policy.clouds.deny, cloud),
        ("places", &policy.places.deny, &name),
    ] {
        if denied.iter().any(|pattern| pattern.matches(name)) {
            return Some(format!("{table}.deny"));
        }
    }
    let places = [&operators::RULE, &residency::RULE, &certifications::RULE];
    let forbidden = places
        .into_iter()
        .find_map(|rule| (rule.place)(policy, labels, &place));
    let tees: TeeSet = match policy.home.country {
        Some(_) => policy.home.tee.iter().copied().collect(),
        None => TeeSet::default(),
    };
    let terms = Terms {
        tees,
        purchase: Purchase::OnDemand,
        hourly: None,
    };
    forbidden.or_else(|| (trust::RULE.machine)(policy, labels, &terms))
}

/// The machine as the rules see it.
fn home_place(policy: &Policy) -> Place {
    let home = &policy.home;
    let unknown_home = Place {
        name: PlaceName::here(),
        country: None,
        location: "this machine".to_owned(),
        operator: String::new(),
        parent: String::new(),
        parent_country: None,
        certifications: Default::default(),
        cloud_act: Reach::Unknown,
        class: COMMERCIAL.to_owned(),
    };
    if home.country.is_none() {
        return unknown_home;
    }
    let operator = home.operator.clone().unwrap_or_else(|| USER.to_owned());
    Place {
        country: home.country.clone(),
        parent: home.parent.clone().unwrap_or_else(|| operator.clone()),
        operator,
        parent_country: home.parent_country.clone(),
        certifications: home.certifications.clone(),
        cloud_act: home.us_cloud_act.unwrap_or(Reach::Unknown),
        ..unknown_home
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    fn forbids(policy: &str) -> Option<String> {
        let policy = spec::policy::parse("policy.toml", policy).unwrap().value;
        forbids_home(&policy, &Labels::from(["personal".to_owned()]))
    }

    #[test]
    fn a_machine_of_undeclared_country_satisfies_no_rule() {
        for (rule, key) in [
            ("residency.personal = [\"EU\"]", "residency.personal"),
            (
                "operators.us_cloud_act = \"exclude\"",
                "operators.us_cloud_act",
            ),
            ("operators.deny = [\"Amazon*\"]", "operators.deny"),
            ("operators.allow = [\"OVH*\"]", "operators.allow"),
            ("operators.parents = [\"DE\"]", "operators.parents"),
            (
                "certifications.personal = [\"C5\"]",
                "certifications.personal",
            ),
            ("trust.personal = [\"sev-snp\"]", "trust.personal"),
        ] {
            assert_eq!(forbids(rule).as_deref(), Some(key), "{rule}");
            assert_eq!(
                forbids(&format!("{rule}\n[home]\nuplink = \"1 Gbit/s\"\n")).as_deref(),
                Some(key),
                "{rule}"
            );
        }
        assert_eq!(forbids(""), None);
        assert_eq!(forbids("residency.other = [\"EU\"]"), None);
    }

    #[test]
    fn a_declared_machine_is_judged_by_what_it_declares() {
        let home = "\n[home]\ncountry = \"DE\"\nparent_country = \"DE\"\nus_cloud_act = \"no\"\n\
            certifications = [\"C5\"]\ntee = [\"sev-snp\"]\n";
        for rule in [
            "residency.personal = [\"EU\"]",
            "operators.us_cloud_act = \"exclude\"",
            "operators.deny = [\"Amazon*\"]",
            "operators.parents = [\"DE\"]",
            "certifications.personal = [\"C5\"]",
            "trust.personal = [\"sev-snp\"]",
        ] {
            assert_eq!(forbids(&format!("{rule}{home}")), None, "{rule}");
        }
        let country = "\n[home]\ncountry = \"DE\"\n";
        for (rule, key) in [
            ("residency.personal = [\"FR\"]", "residency.personal"),
            (
                "operators.us_cloud_act = \"exclude\"",
                "operators.us_cloud_act",
            ),
            ("operators.allow = [\"OVH*\"]", "operators.allow"),
            ("operators.parents = [\"DE\"]", "operators.parents"),
            (
                "certifications.personal = [\"C5\"]",
                "certifications.personal",
            ),
            ("trust.personal = [\"sev-snp\"]", "trust.personal"),
        ] {
            assert_eq!(
                forbids(&format!("{rule}{country}")).as_deref(),
                Some(key),
                "{rule}"
            );
        }
    }

    #[test]
    fn lists_of_what_may_be_rented_do_not_bind_it_but_denials_do() {
        assert_eq!(forbids("clouds.allow = [\"aws\"]"), None);
        assert_eq!(forbids("places.allow = [\"aws:eu-*\"]"), None);
        assert_eq!(
            forbids("places.deny = [\"local:here\"]").as_deref(),
            Some("places.deny")
        );
        assert_eq!(
            forbids("clouds.deny = [\"local\"]").as_deref(),
            Some("clouds.deny")
        );
    }
}
