//! Which offers are left, in which order of preference, bought how.

use super::*;

fn names(stage: Stage, policy: &Policy) -> Vec<String> {
    let catalog = catalog();
    let compiled = compile(&job([("a", stage)]), policy, &catalog).unwrap();
    named(&compiled, &catalog, 0)
}

#[test]
fn how_machines_are_bought() {
    use Allocation::{Cheapest, OnDemand, Spot, SpotIfAvailable};
    let bought =
        |stage: Option<Allocation>, policy: Option<Allocation>, allow_spot: Option<bool>| {
            let work = Stage {
                allocation: stage,
                needs: only("*", "small"),
                ..hours(1)
            };
            names(
                work,
                &Policy {
                    allocation: policy,
                    allow_spot,
                    ..Policy::default()
                },
            )
        };
    let (north, south) = ("x:north small".to_owned(), "x:south small".to_owned());
    let spot = "x:north small spot".to_owned();
    let on_demand = vec![north.clone(), south.clone()];
    // Nobody says anything, or spot is only allowed or forbidden.
    assert_eq!(bought(None, None, None), on_demand);
    assert_eq!(bought(None, None, Some(false)), on_demand);
    let cheapest = vec![north.clone(), spot.clone(), south.clone()];
    // On demand is faster, as nothing interrupts it.
    assert_eq!(bought(None, None, Some(true)), cheapest);
    assert_eq!(bought(Some(Cheapest), Some(OnDemand), None), cheapest);
    // The stage speaks before the policy.
    assert_eq!(bought(Some(OnDemand), Some(Spot), Some(true)), on_demand);
    assert_eq!(bought(Some(Spot), None, None), vec![spot.clone()]);
    assert_eq!(bought(None, Some(Spot), None), vec![spot.clone()]);
    // Spot where there is some, on demand elsewhere.
    assert_eq!(bought(Some(SpotIfAvailable), None, None), [spot, south]);
    assert_eq!(bought(Some(SpotIfAvailable), None, Some(false)), on_demand);
}

#[test]
fn nothing_is_left_and_the_funnel_says_by_which_line() {
    let catalog = catalog();
    let work = |allocation| Stage {
        allocation,
        needs: only("*", "small"),
        ..hours(1)
    };
    let never = Policy {
        allow_spot: Some(false),
        ..Policy::default()
    };
    // Three offers, one of them spot; six are of other machines.
    let elsewhere = counts([("instance_types", 6)]);
    let (unmet, forbidden) = funnel(work(Some(Allocation::Spot)), &never, &catalog);
    assert_eq!(unmet, counts([("allocation", 2), ("instance_types", 6)]));
    assert_eq!(forbidden, counts([("spot.allow", 1)]));
    let by_policy = Policy {
        allocation: Some(Allocation::Spot),
        ..never.clone()
    };
    let found = funnel(work(None), &by_policy, &catalog);
    assert_eq!(
        found,
        (
            elsewhere.clone(),
            counts([("spot.allocation", 2), ("spot.allow", 1)])
        )
    );
    let spot_only = Stage {
        allocation: None,
        needs: only("x:south", "small"),
        ..hours(1)
    };
    let wanted = Policy {
        allocation: Some(Allocation::Spot),
        ..Policy::default()
    };
    assert_eq!(
        funnel(spot_only, &wanted, &catalog).1,
        counts([("spot.allocation", 1)])
    );
}

fn accelerator(name: &str, count: u32) -> Needs {
    let need = AcceleratorNeed {
        name: name.to_owned(),
        thousandths: count * 1000,
    };
    Needs {
        accelerators: BTreeSet::from([need]),
        ..Needs::default()
    }
}

#[test]
fn one_of_several_sets_of_needs() {
    let any_of = vec![
        accelerator("A100", 1),
        accelerator("V100", 4),
        accelerator("V100", 1),
    ];
    let catalog = catalog();
    let ranks = |ordered: bool| -> Vec<(String, i64)> {
        let needs = Needs {
            any_of: any_of.clone(),
            ordered,
            ..Needs::default()
        };
        let compiled = compile(
            &job([("a", Stage { needs, ..hours(1) })]),
            &Policy::default(),
            &catalog,
        )
        .unwrap();
        let ranks = compiled.instance.stages[StageId::new(0)]
            .choices
            .iter()
            .map(|choice| choice.rank);
        named(&compiled, &catalog, 0)
            .into_iter()
            .zip(ranks)
            .collect()
    };
    let of = |names: &[(&str, i64)]| {
        names
            .iter()
            .map(|(name, rank)| ((*name).to_owned(), *rank))
            .collect::<Vec<_>>()
    };
    // In x:north the cheaper machine is less preferred, so both stay.
    let ordered = [
        ("x:north big", 1),
        ("x:north mid", 2),
        ("x:south big", 1),
        ("y:west fast", 0),
    ];
    assert_eq!(ranks(true), of(&ordered));
    assert_eq!(
        ranks(false),
        of(&[("x:north mid", 0), ("x:south big", 0), ("y:west fast", 0)])
    );
    let none = Needs {
        any_of: vec![accelerator("A100", 8), only("x:south", "mid")],
        ..Needs::default()
    };
    let found = funnel(
        Stage {
            needs: none,
            ..hours(1)
        },
        &Policy::default(),
        &catalog,
    );
    assert_eq!(found.0, counts([("any_of", 9)]));
    // What is common is said by its own key.
    let none = Needs {
        any_of: vec![accelerator("A100", 1)],
        vcpu_thousandths: 32_000,
        ..Needs::default()
    };
    assert_eq!(
        funnel(
            Stage {
                needs: none,
                ..hours(1)
            },
            &Policy::default(),
            &catalog
        )
        .0,
        counts([("cpus", 9)])
    );
}

#[test]
fn near_to_a_country() {
    let mut catalog = catalog();
    let id = |name: &str| catalog.place_id(&PlaceName::parse(name).unwrap()).unwrap();
    let (north, west) = (id("x:north"), id("y:west"));
    catalog.round_trips.insert((west, north), Millis(90));
    let left = |to: &str, at_most: u64| -> Vec<String> {
        let latency = Some(Latency {
            to: to.to_owned(),
            at_most: Millis(at_most),
        });
        let needs = Needs {
            latency,
            ..Needs::default()
        };
        match compile(
            &job([("a", Stage { needs, ..hours(1) })]),
            &Policy::default(),
            &catalog,
        ) {
            Ok(compiled) => named(&compiled, &catalog, 0),
            Err(Refusal::NoCandidates(funnels)) => funnels[0].unmet.keys().cloned().collect(),
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(left("DE", 0), ["x:north small"]);
    assert_eq!(left("DE", 89), ["x:north small"]);
    // A round trip is as long both ways. From x:south none is known, which is not near.
    assert_eq!(left("DE", 90), ["x:north small", "y:west fast"]);
    assert_eq!(left("US", 90), ["x:north small", "y:west fast"]);
    assert_eq!(left("JP", 1_000_000), ["latency"]);
}

#[test]
fn what_would_never_end_is_said() {
    // 2,000 machines at 20 % a month: an interruption every 1.6 h, and a run of 100 h.
    let mut catalog = catalog();
    for offer in catalog
        .offers
        .iter()
        .filter(|offer| offer.purchase == Purchase::Spot)
    {
        catalog
            .interruptions
            .insert((offer.place, offer.machine), 200_000);
    }
    let work = Stage {
        nodes: 2_000,
        allocation: Some(Allocation::Spot),
        ..hours(100)
    };
    let (unmet, forbidden) = funnel(work.clone(), &Policy::default(), &catalog);
    assert_eq!(
        (unmet, forbidden),
        (counts([("interruptions", 3)]), counts([]))
    );
    // Checkpoints help.
    let checkpoint = Checkpoint {
        every: None,
        save: Millis(MINUTE),
        restart: Millis(MINUTE),
        size: Bytes(0),
    };
    let work = Stage {
        checkpoint: Some(checkpoint),
        ..work
    };
    assert!(compile(&job([("a", work)]), &Policy::default(), &catalog).is_ok());
}

#[test]
fn faster_machines_stay_beside_cheaper_ones() {
    // 16 h on one vCPU: big 2 h for $16, mid 4 h for $12, small 8 h for $8; in x:south big
    // costs $20 and small $16; fast 1 h for $20.
    let all = [
        "x:north big",
        "x:north mid",
        "x:north small",
        "x:south big",
        "x:south small",
        "y:west fast",
    ];
    assert_eq!(
        names(stage(Work::VcpuTime(Millis(16 * HOUR))), &Policy::default()),
        all
    );
    assert_eq!(
        names(hours(1), &Policy::default()),
        ["x:north small", "x:south small", "y:west fast"]
    );
}
