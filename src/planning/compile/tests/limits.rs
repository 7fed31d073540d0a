//! Quotas, stages kept apart, deadlines, the worth of an hour.

use super::*;
use crate::planning::compile::base_name;
use crate::planning::problem::Cap;

fn quota(key: &str, quota: Quota) -> Policy {
    Policy {
        quotas: BTreeMap::from([(pattern(key), quota)]),
        ..Policy::default()
    }
}

fn cpus(count: u64) -> Quota {
    Quota {
        vcpu_thousandths: Some(count * 1000),
        ..Quota::default()
    }
}

/// The limits of the caps, by label.
fn labels(caps: &IdVec<CapId, Cap>) -> Vec<(&str, i64)> {
    caps.iter()
        .map(|cap| (cap.label.as_str(), cap.limit))
        .collect()
}

/// What each choice uses of a cap: its place and machine, and how much.
fn uses(compiled: &Compiled, catalog: &Catalog, cap: usize, stage: usize) -> Vec<(String, i64)> {
    let names = named(compiled, catalog, stage);
    compiled.instance.caps[CapId::new(cap)].uses[StageId::new(stage)]
        .iter()
        .map(|entry| (names[entry.candidate.index()].clone(), entry.used))
        .collect()
}

#[test]
fn quotas_count_what_choices_use() {
    let catalog = catalog();
    let two = || {
        job([
            (
                "a",
                Stage {
                    nodes: 2,
                    ..hours(1)
                },
            ),
            ("b", hours(1)),
        ])
    };
    let of = |policy: &Policy| compile(&two(), policy, &catalog).unwrap();
    // By cloud: at most 5 vCPUs in all of x. Machines of 8 and, for two nodes, of 4 are too big
    // alone; two small ones are 4 vCPUs.
    let compiled = of(&quota("x", cpus(5)));
    assert_eq!(labels(&compiled.instance.caps), [("quotas.x.cpus", 5_000)]);
    assert!(compiled.instance.caps[CapId::new(0)].concurrent);
    let small = |used: i64| {
        [
            ("x:north small".to_owned(), used),
            ("x:south small".to_owned(), used),
        ]
    };
    assert_eq!(uses(&compiled, &catalog, 0, 0), small(4_000));
    assert_eq!(uses(&compiled, &catalog, 0, 1), small(2_000));
    // By place, and by a pattern of places: each has it for itself.
    let compiled = of(&quota(
        "x:north",
        Quota {
            instances: Some(2),
            ..Quota::default()
        },
    ));
    assert_eq!(
        labels(&compiled.instance.caps),
        [("quotas.x:north.instances", 2)]
    );
    let compiled = of(&quota("x:*", cpus(5)));
    let each = [
        ("quotas.x:*.cpus at x:north", 5_000),
        ("quotas.x:*.cpus at x:south", 5_000),
    ];
    assert_eq!(labels(&compiled.instance.caps), each);
    assert_eq!(
        uses(&compiled, &catalog, 1, 0),
        [("x:south small".to_owned(), 4_000)]
    );
    // What nothing can exceed is no limit.
    assert_eq!(labels(&of(&quota("x", cpus(6))).instance.caps), []);
}

#[test]
fn quotas_count_cards_by_name() {
    let catalog = catalog();
    let need = AcceleratorNeed {
        name: "V100".to_owned(),
        thousandths: 1000,
    };
    let needs = || Needs {
        accelerators: BTreeSet::from([need.clone()]),
        ..Needs::default()
    };
    let work = || Stage {
        needs: needs(),
        ..hours(1)
    };
    let both = || job([("a", work()), ("b", work())]);
    let named_quota = Quota {
        by_accelerator: BTreeMap::from([("v100".to_owned(), 4)]),
        ..Quota::default()
    };
    // Without a quota only mid is worth taking in x:north. Both use cards, and mid uses fewer.
    let compiled = compile(&both(), &quota("x", named_quota), &catalog).unwrap();
    assert_eq!(
        labels(&compiled.instance.caps),
        [("quotas.x.accelerators.v100", 4_000)]
    );
    let used = [
        ("x:north mid".to_owned(), 1_000),
        ("x:south big".to_owned(), 4_000),
    ];
    assert_eq!(uses(&compiled, &catalog, 0, 0), used);
    let any = Quota {
        accelerators: Some(3),
        ..Quota::default()
    };
    // Four cards are too many alone, so x:south is out; two of one card are within.
    let compiled = compile(&both(), &quota("x", any), &catalog).unwrap();
    assert_eq!(named(&compiled, &catalog, 0), ["x:north mid"]);
    assert!(compiled.instance.caps.is_empty());
    let none = Quota {
        accelerators: Some(0),
        ..Quota::default()
    };
    let (unmet, forbidden) = funnel(work(), &quota("x", none), &catalog);
    assert_eq!(forbidden, counts([("quotas.x.accelerators", 3)]));
    assert_eq!(unmet, counts([]));
}

#[test]
fn what_uses_less_of_a_quota_stays() {
    // 16 h on one vCPU, billed by whole hours of at least 20: the largest machine is no dearer
    // per hour here, and faster, but the smaller ones use less.
    let mut catalog = catalog();
    for offer in &mut catalog.offers {
        offer.rate = Rate(1_000_000_000);
    }
    let work = || {
        job([(
            "a",
            Stage {
                needs: only("x:north", "*"),
                ..stage(Work::VcpuTime(Millis(16 * HOUR)))
            },
        )])
    };
    let left = |policy: &Policy| named(&compile(&work(), policy, &catalog).unwrap(), &catalog, 0);
    assert_eq!(left(&Policy::default()), ["x:north big"]);
    assert_eq!(
        left(&quota("x", cpus(100))),
        ["x:north big", "x:north mid", "x:north small"]
    );
    // Cards: big has four, mid one, small none.
    let cards = Quota {
        accelerators: Some(100),
        ..Quota::default()
    };
    assert_eq!(
        left(&quota("x", cards)),
        ["x:north big", "x:north mid", "x:north small"]
    );
    // One machine is one machine.
    assert_eq!(
        left(&quota(
            "x",
            Quota {
                instances: Some(9),
                ..Quota::default()
            }
        )),
        ["x:north big"]
    );
    assert_eq!(left(&quota("y", cpus(100))), ["x:north big"]);
}

#[test]
fn stages_are_kept_apart() {
    let catalog = catalog();
    let spread = |stages: &[&str], over, at_most| Spread {
        stages: stages.iter().map(|name| (*name).to_owned()).collect(),
        over,
        at_most,
    };
    let mut work = job([
        ("lone", hours(1)),
        ("sweep[0]", hours(1)),
        ("sweep[1]", hours(1)),
        ("sweep[2]", hours(1)),
    ]);
    work.spread = vec![
        spread(&["sweep"], Domain::Place, 1),
        spread(&["sweep", "lone"], Domain::Cloud, 3),
    ];
    let compiled = compile(&work, &Policy::default(), &catalog).unwrap();
    let expected = [
        ("spread.0 at x:north", 1),
        ("spread.0 at x:south", 1),
        ("spread.0 at y:west", 1),
        ("spread.1 at x", 3),
        ("spread.1 at y", 3),
    ];
    assert_eq!(labels(&compiled.instance.caps), expected);
    assert!(compiled.instance.caps.iter().all(|cap| !cap.concurrent));
    assert_eq!(uses(&compiled, &catalog, 0, 0), []);
    assert_eq!(
        uses(&compiled, &catalog, 0, 3),
        [("x:north small".to_owned(), 1)]
    );
    assert_eq!(
        uses(&compiled, &catalog, 3, 0),
        [
            ("x:north small".to_owned(), 1),
            ("x:south small".to_owned(), 1)
        ]
    );
    // Four stages are not more than four.
    work.spread = vec![spread(&["sweep", "lone"], Domain::Cloud, 4)];
    assert!(
        compile(&work, &Policy::default(), &catalog)
            .unwrap()
            .instance
            .caps
            .is_empty()
    );
    assert_eq!(
        (base_name("sweep[12]"), base_name("sweep")),
        ("sweep", "sweep")
    );
}

#[test]
fn deadlines_of_stages_and_the_worth_of_an_hour() {
    let policy = Policy {
        hour: Some(Rate(2_500_000_000)),
        ..Policy::default()
    };
    let work = job([
        (
            "a",
            Stage {
                deadline: Some(Millis(5)),
                ..hours(1)
            },
        ),
        ("b", hours(1)),
    ]);
    let instance = compile(&work, &policy, &catalog()).unwrap().instance;
    let deadlines: Vec<Option<Millis>> =
        instance.stages.iter().map(|stage| stage.deadline).collect();
    assert_eq!(deadlines, [Some(Millis(5)), None]);
    assert_eq!(instance.hour, Money(2_500_000));
}
