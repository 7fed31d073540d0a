//! Random small instances for tests.

use super::{
    Artifact, ArtifactId, CandidateUse, Cap, Choice, ChoiceId, Instance, Links, Origin, Pool,
    Price, PriceId, SiteId, StageChoices, StageId,
};
use crate::model::{Bandwidth, Bytes, DataRate, Millis, Money, Objective, Tariff};
use crate::util::id_vec::IdVec;
use proptest::prelude::*;

/// Instances of up to four sites and five stages, with forbidden links, free links, ties, data
/// that several stages read, and limits that may or may not be kept.
pub(crate) fn instances() -> impl Strategy<Value = Instance> {
    (1..5_usize, 1..6_usize).prop_flat_map(|(sites, stages)| {
        (
            links(sites),
            proptest::collection::vec(choices(sites), stages),
            artifacts(sites, stages),
            limits(),
        )
            .prop_map(|(links, stages, artifacts, (minimize, deadline, budget))| {
                let stages = stages.into_iter().enumerate();
                let stages = stages
                    .map(|(index, choices)| StageChoices {
                        label: format!("s{index}"),
                        choices,
                        deadline: None,
                    })
                    .collect();
                Instance {
                    stages,
                    artifacts,
                    links,
                    minimize,
                    deadline,
                    budget,
                    relays: true,
                    ..Instance::default()
                }
            })
    })
}

/// The same with everything else that an instance can say: tiers that run over all transfers after
/// a free allowance, storage, preferences, stages' own deadlines, caps, a worth of time.
pub(crate) fn rich_instances() -> impl Strategy<Value = Instance> {
    let stage = (
        proptest::option::weighted(0.2, 60_000..1_000_000_i64),
        proptest::collection::vec((0..3_i64, 0..50_000_i64), 3),
    );
    let cap = (
        0..4_i64,
        any::<bool>(),
        proptest::collection::vec(proptest::collection::vec(0..3_i64, 3), 5),
    );
    let extras = (
        proptest::collection::vec(stage, 5),
        proptest::collection::vec(cap, 0..3),
        prop_oneof![Just(0_i64), Just(0), Just(36_000_000)],
        any::<(bool, bool)>(),
        0..9_000_000_000_u64,
    );
    (instances(), extras).prop_map(
        |(mut instance, (stages, caps, hour, (pooled, ranked), used))| {
            for (stage, (deadline, choices)) in instance.stages.iter_mut().zip(stages) {
                stage.deadline = deadline.map(Millis::from_signed);
                for (choice, (rank, storage)) in stage.choices.iter_mut().zip(choices) {
                    choice.rank = if ranked { rank } else { 0 };
                    choice.storage = Money(storage);
                    choice.cost += choice.storage;
                }
            }
            let count = instance.stages.len();
            instance.caps = caps
                .into_iter()
                .map(|(limit, concurrent, uses)| {
                    let uses_of_each = |uses: Vec<i64>| {
                        IdVec::from(uses)
                            .into_iter_enumerated()
                            .filter(|(_, used)| *used > 0)
                            .map(|(candidate, used)| CandidateUse { candidate, used })
                            .collect()
                    };
                    let uses = uses.into_iter().take(count).map(uses_of_each).collect();
                    Cap {
                        label: "cap".to_owned(),
                        limit: limit + 1,
                        concurrent,
                        uses,
                    }
                })
                .collect();
            instance.hour = match instance.minimize {
                Objective::Cost => Money(hour),
                Objective::Time => Money(0),
            };
            if pooled {
                let tiers = [(1_000_000_000, 90_000_000), (8_000_000_000, 20_000_000)];
                let tariff = Tariff::new(tiers.map(|(from, rate)| (Bytes(from), DataRate(rate))));
                let pool = instance.links.pools.push(Pool {
                    tariff: tariff.clone(),
                    used: Bytes(used),
                });
                instance.links.tariffs[PriceId::new(2)] = Price {
                    tariff,
                    keep: Tariff::new([(Bytes(0), DataRate(1_000_000))]),
                    pool: Some(pool),
                };
            }
            instance
        },
    )
}

fn links(sites: usize) -> impl Strategy<Value = Links> {
    let pairs = sites * sites;
    let tariff = proptest::collection::vec(proptest::option::weighted(0.9, 0..3_u16), pairs);
    let speed =
        proptest::collection::vec(prop_oneof![Just(8_000_000_u64), Just(80_000_000)], pairs);
    (tariff, speed).prop_map(move |(tariff, speed)| Links {
        sites,
        labels: (0..sites).map(|site| format!("p{site}")).collect(),
        tariff: tariff
            .into_iter()
            .map(|class| class.map(PriceId::new))
            .collect(),
        tariffs: IdVec::from(vec![
            Price::default(),
            per_gb(20_000_000),
            per_gb(90_000_000),
        ]),
        pools: IdVec::new(),
        bandwidth: speed.into_iter().map(Bandwidth).collect(),
    })
}

fn per_gb(nano_usd: i64) -> Price {
    Price {
        tariff: Tariff::new([(Bytes(0), DataRate(nano_usd))]),
        ..Price::default()
    }
}

fn choices(sites: usize) -> impl Strategy<Value = IdVec<ChoiceId, Choice>> {
    let choice = (0..sites, 0..4_i64, 1..4_i64);
    proptest::collection::vec(choice, 1..4).prop_map(|choices| {
        let choices = IdVec::from(choices).into_iter_enumerated();
        choices
            .map(|(tag, (site, cost, time))| Choice {
                site: SiteId::new(site),
                cost: Money(cost * 100_000 + 1),
                duration: Millis::from_signed(time * 60_000),
                tag,
                ..Choice::default()
            })
            .collect()
    })
}

/// Every artifact is made by a stage before its readers, or lies at a site.
fn artifacts(sites: usize, stages: usize) -> impl Strategy<Value = IdVec<ArtifactId, Artifact>> {
    let origin = prop_oneof![
        (0..sites).prop_map(|site| Origin::Site(SiteId::new(site))),
        (0..stages).prop_map(|stage| Origin::Stage(StageId::new(stage)))
    ];
    let readers = proptest::collection::btree_set(0..stages, 0..4);
    let artifact = (
        origin,
        prop_oneof![Just(0_u64), Just(1_000_000_000), Just(7_000_000_000)],
        readers,
    );
    proptest::collection::vec(artifact, 0..5).prop_map(|artifacts| {
        let artifacts = artifacts.into_iter().enumerate();
        artifacts
            .map(|(index, (origin, bytes, readers))| {
                let is_later = |reader: &StageId| match origin {
                    Origin::Stage(stage) => *reader > stage,
                    Origin::Site(_) => true,
                };
                let readers = readers
                    .into_iter()
                    .map(StageId::new)
                    .filter(is_later)
                    .collect();
                Artifact {
                    label: format!("a{index}"),
                    origin,
                    bytes: Bytes(bytes),
                    link_bytes: Bytes(bytes),
                    readers,
                }
            })
            .collect()
    })
}

fn limits() -> impl Strategy<Value = (Objective, Option<Millis>, Option<Money>)> {
    let deadline = proptest::option::of((60_000..6_000_000_i64).prop_map(Millis::from_signed));
    let budget = proptest::option::of((100_000..2_500_000_i64).prop_map(Money));
    (
        prop_oneof![Just(Objective::Cost), Just(Objective::Time)],
        deadline,
        budget,
    )
}
