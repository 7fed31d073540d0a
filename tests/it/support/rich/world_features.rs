//! Which features a random world has.

use super::*;

/// What a case can use.
pub(crate) const FEATURES: [&str; 37] = [
    "accounts",
    "any of",
    "arm or not",
    "billing",
    "boot",
    "checkpoint",
    "clouds",
    "copies",
    "element-wise",
    "extras",
    "free allowance",
    "home",
    "interruptions",
    "labels",
    "latency",
    "links",
    "local data",
    "nodes",
    "operators",
    "ordered",
    "quotas",
    "readers",
    "relay",
    "residency",
    "sent home",
    "spot",
    "spot if available",
    "spread over clouds",
    "spread over places",
    "stage deadlines",
    "storage",
    "there",
    "tiers",
    "time",
    "trust",
    "uplink",
    "weights",
];

/// What a case uses: said by its job or policy, with something in the catalog that it is about.
pub(crate) fn features(job: &Job, policy: &Policy, catalog: &Catalog) -> Vec<&'static str> {
    let stages = || job.stages.values();
    let reads = || stages().flat_map(|stage| &stage.reads);
    let terms = || catalog.terms.values();
    let allows = |wanted: Allocation| {
        policy.allow_spot != Some(false)
            && stages().any(|stage| stage.allocation.or(policy.allocation) == Some(wanted))
    };
    let spot =
        policy.allow_spot == Some(true) || allows(Allocation::Spot) || allows(Allocation::Cheapest);
    let on_spot = spot || allows(Allocation::SpotIfAvailable);
    let known = |cloud: &String| {
        policy
            .accounts
            .get(cloud)
            .is_some_and(|account| account.used_this_month.is_some())
    };
    let free = catalog
        .terms
        .iter()
        .any(|(cloud, terms)| terms.free_egress.0 > 0 && known(cloud));
    let tiered = |from: u32, to: u32| {
        catalog
            .network
            .tariff(from, to)
            .is_some_and(|list| list.thresholds().count() > 1)
    };
    let count = u32::try_from(catalog.places.len()).unwrap();
    let several = |artifact: &ArtifactRef| reads().filter(|read| *read == artifact).count() > 1;
    let shared = stages().any(|stage| {
        stage
            .reads
            .iter()
            .any(|read| several(read) || (stage.count > 1 && !read.is_element()))
    });
    let spread = |over: Domain| job.spread.iter().any(|spread| spread.over == over);
    let used = [
        (
            "accounts",
            catalog.places.iter().any(|place| known(&place.name.cloud)),
        ),
        (
            "any of",
            stages().any(|stage| !stage.needs.any_of.is_empty() && !stage.needs.ordered),
        ),
        (
            "arm or not",
            stages().any(|stage| stage.needs.arch.is_some()),
        ),
        (
            "billing",
            terms().any(|terms| terms.increment.0 > 1000 || terms.minimum.0 > 60_000),
        ),
        ("boot", terms().any(|terms| terms.boot.0 > 0)),
        (
            "checkpoint",
            on_spot && stages().any(|stage| stage.checkpoint.is_some()),
        ),
        ("clouds", !policy.clouds.deny.is_empty()),
        ("copies", stages().any(|stage| stage.count > 1)),
        ("element-wise", reads().any(ArtifactRef::is_element)),
        ("extras", !catalog.extras.is_empty()),
        ("free allowance", free),
        ("home", policy.home.country.is_some()),
        (
            "interruptions",
            on_spot && !catalog.interruptions.is_empty(),
        ),
        (
            "labels",
            job.datasets.values().any(|data| !data.labels.is_empty())
                && stages().any(|stage| !stage.removes.is_empty()),
        ),
        (
            "latency",
            stages().any(|stage| {
                stage.needs.latency.is_some()
                    || stage
                        .needs
                        .any_of
                        .iter()
                        .any(|needs| needs.latency.is_some())
            }),
        ),
        ("links", !policy.links.is_empty()),
        (
            "local data",
            job.datasets
                .values()
                .any(|data| data.at == PlaceName::here()),
        ),
        ("nodes", stages().any(|stage| stage.nodes > 1)),
        ("operators", policy.exclude_cloud_act),
        ("ordered", stages().any(|stage| stage.needs.ordered)),
        ("quotas", !policy.quotas.is_empty()),
        ("readers", shared),
        ("relay", policy.relay.is_some()),
        ("residency", !policy.residency.is_empty()),
        (
            "sent home",
            job.outputs.values().any(|goes| *goes == Destination::Home),
        ),
        ("spot", spot),
        ("spot if available", allows(Allocation::SpotIfAvailable)),
        ("spread over clouds", spread(Domain::Cloud)),
        ("spread over places", spread(Domain::Place)),
        (
            "stage deadlines",
            stages().any(|stage| stage.deadline.is_some()),
        ),
        (
            "storage",
            policy.keep.is_some() && terms().any(|terms| terms.storage.0 > 0),
        ),
        (
            "there",
            job.outputs.values().any(|goes| *goes == Destination::There),
        ),
        (
            "tiers",
            (0..count).any(|from| (0..count).any(|to| tiered(from, to))),
        ),
        ("time", policy.minimize == Objective::Time),
        ("trust", !policy.trust.is_empty()),
        ("uplink", policy.home.uplink.is_some()),
        ("weights", policy.hour.is_some()),
    ];
    used.into_iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| name)
        .collect()
}
