//! What machines, moves and storage cost.

use super::*;
use crate::model::Account;
use crate::planning::compile::assumptions;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[test]
fn whole_increments_and_a_minimum_are_billed() {
    let terms = |increment: u64, minimum: u64, boot: u64| Terms {
        increment: Millis(increment),
        minimum: Millis(minimum),
        boot: Millis(boot),
        ..Terms::default()
    };
    let of = |terms: Terms, minutes: u64| {
        let work = Stage {
            nodes: 3,
            needs: only("x:north", "big"),
            ..stage(Work::Duration(Millis(minutes * MINUTE)))
        };
        single(work, &Policy::default(), &with_terms("x", terms))
    };
    // $8 an hour for each of three machines. 61 min and 2 min of boot: two whole hours.
    let hourly = of(terms(HOUR, 0, 2 * MINUTE), 61);
    assert_eq!(
        (hourly.boot, hourly.run),
        (Millis(2 * MINUTE), Millis(61 * MINUTE))
    );
    assert_eq!(
        (hourly.duration, hourly.billed),
        (Millis(63 * MINUTE), Millis(2 * HOUR))
    );
    assert_eq!(hourly.cost, Money(48_000_000));
    assert_eq!(of(terms(HOUR, 0, 0), 60).cost, Money(24_000_000));
    // At least ten minutes, to the second.
    let short = of(terms(1000, 10 * MINUTE, 0), 1);
    assert_eq!(
        (short.duration, short.billed, short.cost),
        (Millis(MINUTE), Millis(10 * MINUTE), Money(4_000_000))
    );
    // No terms: to the millisecond.
    assert_eq!(of(Terms::default(), 61).cost, Money(24_400_000));
}

#[test]
fn spot_costs_what_is_expected() {
    let mut catalog = catalog();
    let offer = catalog
        .offers
        .iter()
        .find(|offer| offer.purchase == Purchase::Spot)
        .copied()
        .unwrap();
    assert_eq!(catalog.machine(&offer).instance_type, "big");
    catalog
        .interruptions
        .insert((offer.place, offer.machine), 200_000);
    let work = |checkpoint| Stage {
        nodes: 10,
        allocation: Some(Allocation::Spot),
        needs: Needs {
            instance_types: BTreeSet::from([pattern("big"), pattern("fast")]),
            ..Needs::default()
        },
        checkpoint,
        ..hours(100)
    };
    let of = |stage: Stage| {
        compile(&job([("a", stage)]), &Policy::default(), &catalog)
            .unwrap()
            .candidates[StageId::new(0)]
        .clone()
    };
    // 20 % a month: see the tests of `spot`. 421,083.983 s at $4 an hour on ten machines.
    let plain = of(work(None))[CandidateId::new(0)];
    assert_eq!(
        (plain.monthly, plain.assumed, plain.every),
        (200_000, false, None)
    );
    assert_eq!(
        (plain.run, plain.duration, plain.interruptions),
        (Millis(421_083_983), Millis(421_083_983), 357_543)
    );
    assert_eq!(plain.cost, Money(4_678_710_922));
    // y does not say, so 30 % is assumed, which is worse.
    let other = of(work(None))[CandidateId::new(1)];
    assert_eq!((other.monthly, other.assumed), (300_000, true));
    assert!(other.run > plain.run);
    let said = "how often spot machines of y are interrupted is not known: 30 % of them a month is assumed";
    assert_eq!(assumptions([&plain, &other, &other], &catalog), [said]);
    // An interrupted machine starts again where it was, so that the checkpoint is not moved, whatever
    // other places there are.
    let checkpoint = Checkpoint {
        every: None,
        save: Millis(MINUTE),
        restart: Millis(0),
        size: Bytes(100 * GB),
    };
    let saved = of(work(Some(checkpoint)))[CandidateId::new(0)];
    assert!(saved.run < plain.run && saved.every.is_some());
    assert_eq!(saved.cost, Rate(4_000_000_000).cost(10, saved.run));
}

#[test]
fn artifacts_are_kept_where_they_are() {
    let terms = Terms {
        storage: DataRate(73_000_000),
        ..Terms::default()
    };
    let catalog = with_terms("x", terms);
    let artifact = ArtifactRef::Output {
        stage: "a".to_owned(),
        name: "o".to_owned(),
    };
    let writes = BTreeMap::from([
        ("o".to_owned(), Bytes(10 * GB)),
        ("unread".to_owned(), Bytes(GB)),
    ]);
    let chain = job([
        ("a", Stage { writes, ..hours(1) }),
        (
            "b",
            Stage {
                reads: BTreeSet::from([artifact]),
                ..hours(1)
            },
        ),
    ]);
    // $0.073 a month is $0.0001 an hour; ten hours: $0.001 per GB.
    let policy = Policy {
        keep: Some(Millis(10 * HOUR)),
        ..Policy::default()
    };
    let instance = compile(&chain, &policy, &catalog).unwrap().instance;
    let stored: Vec<(Money, Money)> = instance.stages[StageId::new(0)]
        .choices
        .iter()
        .map(|choice| (choice.storage, choice.cost))
        .collect();
    // The artifact that nobody reads is kept like the other: 11 GB.
    assert_eq!(
        stored,
        [(11_000, 1_011_000), (11_000, 2_011_000), (0, 20_000_000)]
            .map(|(storage, cost)| (Money(storage), Money(cost)))
    );
    assert!(
        instance.stages[StageId::new(1)]
            .choices
            .iter()
            .all(|choice| choice.storage == Money(0))
    );
    let kept = |from: usize, to: usize| {
        let class = instance
            .links
            .class(SiteId::new(from), SiteId::new(to))
            .unwrap();
        instance.links.tariffs[class].kept(Bytes(10 * GB)).0
    };
    // The first site is this machine, to which the unread artifact comes.
    assert_eq!((kept(1, 2), kept(1, 3), kept(3, 1)), (10_000, 0, 10_000));
    // $1 for 10 GB out of x, nothing to keep in y; $2 out of y, and a cent in x.
    let cost = |from: usize, to: usize| {
        let (from, to) = (SiteId::new(from), SiteId::new(to));
        instance.links.cost(from, to, Bytes(10 * GB)).unwrap().0
    };
    assert_eq!((cost(1, 3), cost(3, 1)), (1_000_000, 2_010_000));
    let free = compile(&chain, &Policy::default(), &catalog)
        .unwrap()
        .instance;
    assert!(
        free.links
            .tariffs
            .iter()
            .all(|price| price.keep == Tariff::free())
    );
    assert_eq!(
        free.stages[StageId::new(0)].choices[ChoiceId::new(0)].storage,
        Money(0)
    );
}

/// The price of transfers between two sites.
fn price_between(links: &Links, from: usize, to: usize) -> &Price {
    let class = links.class(SiteId::new(from), SiteId::new(to)).unwrap();
    &links.tariffs[class]
}

/// A dataset in x of so many GB, read in x and in y.
fn moving(gigabytes: u64) -> Job {
    let reads = BTreeSet::from([ArtifactRef::Dataset("d".to_owned())]);
    let read = || Stage {
        reads: reads.clone(),
        ..hours(1)
    };
    let mut job = job([("a", read()), ("b", read())]);
    let at = PlaceName::parse("x:north").unwrap();
    let size = Bytes(gigabytes * GB);
    job.datasets.insert(
        "d".to_owned(),
        Dataset {
            at,
            path: None,
            size,
            labels: BTreeSet::new(),
        },
    );
    job
}

fn used(gigabytes: u64) -> Policy {
    let account = Account {
        used_this_month: Some(Bytes(gigabytes * GB)),
    };
    Policy {
        accounts: BTreeMap::from([("x".to_owned(), account)]),
        ..Policy::default()
    }
}

fn tiers<const N: usize>(tiers: [(u64, i64); N]) -> Tariff {
    Tariff::new(tiers.map(|(from, rate)| (Bytes(from * GB), DataRate(rate * 1_000_000))))
}

#[test]
fn volumes_are_counted_together_where_they_reach_another_tier() {
    let catalog = with_terms(
        "x",
        Terms {
            free_egress: Bytes(100 * GB),
            ..Terms::default()
        },
    );
    // From x:north (site 0) to y:west (site 2).
    let way = |gigabytes: u64, policy: &Policy| {
        let links = compile(&moving(gigabytes), policy, &catalog)
            .unwrap()
            .instance
            .links;
        let price = price_between(&links, 0, 2).clone();
        (
            price.tariff,
            price.pool.map(|pool| links.pools[pool].clone()),
        )
    };
    let flat = |cents: i64| {
        (
            if cents == 0 {
                Tariff::free()
            } else {
                tiers([(0, cents * 10)])
            },
            None,
        )
    };
    let pool = |tariff: Tariff, used: u64| {
        let pool = crate::planning::problem::Pool {
            tariff: tariff.clone(),
            used: Bytes(used * GB),
        };
        (tariff, Some(pool))
    };
    let list = tiers([(0, 100), (1000, 50)]);
    let with_free = tiers([(0, 0), (100, 100), (1000, 50)]);
    // Two readers may take two transfers: 2 · 500 GB are the first tier, 2 · 501 GB are not.
    assert_eq!(way(500, &Policy::default()), flat(10));
    assert_eq!(way(501, &Policy::default()), pool(list, 0));
    // Nothing used yet: the first 100 GB are free.
    assert_eq!(way(50, &used(0)), flat(0));
    assert_eq!(way(51, &used(0)), pool(with_free.clone(), 0));
    assert_eq!(way(1, &used(99)), pool(with_free.clone(), 99));
    assert_eq!(way(50, &used(100)), flat(10));
    assert_eq!(way(51, &used(900)), pool(with_free, 900));
    assert_eq!(way(5_000, &used(1_000)), flat(5));
    // Inside the cloud it is no egress to the internet: nothing is free, nothing was used.
    let links = compile(&moving(600), &used(950), &catalog)
        .unwrap()
        .instance
        .links;
    let inside = price_between(&links, 0, 1);
    assert_eq!(
        (inside.tariff.clone(), inside.pool),
        (tiers([(0, 10)]), None)
    );
    assert_eq!(links.pools.len(), 1);
}

#[test]
fn a_free_allowance_is_given_once_to_the_cheapest_list() {
    let mut files = FILES.to_vec();
    files[1].1 = "from,to,above_gb,usd_per_gb,source
x:*,x:*,0,0.01,s
x:north,internet,0,0.10,s
x:south,internet,0,0.08,s
y:*,*,0,0.20,s
";
    let file = |(name, text): &(&str, &str)| File {
        name: (*name).to_owned(),
        shown: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    let mut catalog = load::from_files(&files.iter().map(file).collect::<Vec<_>>()).unwrap();
    catalog.terms.insert(
        "x".to_owned(),
        Terms {
            free_egress: Bytes(100 * GB),
            ..Terms::default()
        },
    );
    let links = compile(&moving(80), &used(0), &catalog)
        .unwrap()
        .instance
        .links;
    let price = |from, to| price_between(&links, from, to).clone();
    assert_eq!(
        (price(0, 2).tariff, price(0, 2).pool),
        (tiers([(0, 100)]), None)
    );
    assert_eq!(
        (price(1, 2).tariff, price(1, 2).pool),
        (tiers([(0, 0), (100, 80)]), Some(PoolId::new(0)))
    );
}

#[test]
fn own_links_come_before_the_catalog() {
    let link = |from: &str, to: &str, cents: i64| Link {
        from: pattern(from),
        to: pattern(to),
        rate: DataRate(cents * 10_000_000),
    };
    let links = vec![
        link("x:*", "y:*", 2),
        link("x:north", "y:west", 0),
        link("z:*", "*", 9),
    ];
    let policy = Policy { links, ..used(0) };
    let catalog = with_terms(
        "x",
        Terms {
            free_egress: Bytes(GB),
            ..Terms::default()
        },
    );
    let links = compile(&moving(2_000), &policy, &catalog)
        .unwrap()
        .instance
        .links;
    let cost = |from, to| {
        let (from, to) = (SiteId::new(from), SiteId::new(to));
        links.cost(from, to, Bytes(2_000 * GB)).unwrap().0
    };
    // The last that matches counts, in its own direction; no tier, no pool.
    assert_eq!(
        (cost(0, 2), cost(1, 2), cost(2, 0), cost(0, 0)),
        (0, 40_000_000, 400_000_000, 0)
    );
    assert_eq!(price_between(&links, 1, 2).pool, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn costs_rise_with_time_and_risk(
        run in 1..200 * HOUR, more in 0..50 * HOUR, monthly in 1_000..500_000_u32, worse in 0..400_000_u32,
        increment in 0..HOUR, minimum in 0..HOUR, boot in 0..HOUR, nodes in 1..5_u32,
        save in 0..HOUR, restart in 0..HOUR, gigabytes in 0..500_u64, saves in any::<bool>(),
    ) {
        let terms = Terms { increment: Millis(increment), minimum: Millis(minimum), boot: Millis(boot), ..Terms::default() };
        let mut catalog = with_terms("x", terms);
        let spot: Vec<(u32, u32)> = catalog
            .offers
            .iter()
            .filter(|offer| offer.purchase == Purchase::Spot)
            .map(|offer| (offer.place, offer.machine))
            .collect();
        let checkpoint = Checkpoint { every: None, save: Millis(save), restart: Millis(restart), size: Bytes(gigabytes * GB) };
        let mut of = |run: u64, monthly: u32, allocation: Allocation| {
            catalog.interruptions = spot.iter().map(|offer| (*offer, monthly)).collect();
            let needs = Needs { instance_types: BTreeSet::from([pattern("big"), pattern("fast")]), ..Needs::default() };
            let checkpoint = saves.then(|| checkpoint.clone());
            let work = Stage { nodes, needs, allocation: Some(allocation), checkpoint, ..stage(Work::Duration(Millis(run))) };
            compile(&job([("a", work)]), &Policy::default(), &catalog).unwrap().candidates[StageId::new(0)][CandidateId::new(0)]
        };
        let plain = of(run, monthly, Allocation::OnDemand);
        let spot = of(run, monthly, Allocation::Spot);
        let (longer, riskier) = (of(run + more, monthly, Allocation::Spot), of(run, monthly + worse, Allocation::Spot));
        for candidate in [plain, spot, longer, riskier] {
            prop_assert!(candidate.billed >= candidate.duration && candidate.billed.0 >= minimum);
            prop_assert!(candidate.run.0 >= run && candidate.duration.0 == candidate.boot.0 + candidate.run.0);
            prop_assert!(increment == 0 || candidate.billed.0 == minimum || candidate.billed.0 % increment == 0);
        }
        prop_assert_eq!((plain.run, plain.interruptions), (Millis(run), 0));
        prop_assert!(longer.cost >= spot.cost && longer.duration >= spot.duration);
        prop_assert!(riskier.cost >= spot.cost && riskier.duration >= spot.duration);
        prop_assert!(of(run + more, monthly, Allocation::OnDemand).cost >= plain.cost);
    }
}
