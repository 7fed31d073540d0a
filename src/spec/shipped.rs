//! The policies that come with sky, by name.

const POLICIES: [(&str, &str); 6] = [
    ("cheapest", include_str!("../../policies/cheapest.toml")),
    (
        "confidential",
        include_str!("../../policies/confidential.toml"),
    ),
    (
        "deadline-6h",
        include_str!("../../policies/deadline-6h.toml"),
    ),
    ("eu-only", include_str!("../../policies/eu-only.toml")),
    ("fastest", include_str!("../../policies/fastest.toml")),
    (
        "no-us-cloud-act",
        include_str!("../../policies/no-us-cloud-act.toml"),
    ),
];

/// Their names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    POLICIES.iter().map(|(name, _)| *name)
}

/// The text of one.
pub fn text(name: &str) -> Option<&'static str> {
    POLICIES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}
