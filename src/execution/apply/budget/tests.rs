use super::*;
use proptest::prelude::*;

fn meter(rate: i64) -> Meter {
    Meter {
        rate: Rate(rate),
        extras: Extras::default(),
        nodes: 1,
        billing: Billing::default(),
    }
}

const HOUR: u64 = 3_600_000;

#[test]
fn slack_is_what_nobody_else_needs() {
    // $10 an hour, an hour planned, an hour and a half wanted.
    let wanted = Wanted {
        meter: meter(10_000_000_000),
        least: Millis(HOUR),
        most: longest_lease(Millis(HOUR), true),
        once: Money(0),
        overrun: Duration::ZERO,
    };
    let account = |limit: i64, to_come: i64| Account {
        limit: Some(Money(limit)),
        spent: Money(1_000_000),
        reserved: Money(2_000_000),
        to_come: Money(to_come),
    };
    let lease =
        |limit, to_come| reserve_from(&account(limit, to_come), &wanted).map(|given| given.lease.0);
    assert_eq!(lease(18_000_000, 0), Ok(HOUR * 3 / 2));
    assert_eq!(lease(18_000_000, 5_000_000), Ok(HOUR));
    assert_eq!(lease(15_000_000, 0).unwrap() / 1000, HOUR * 6 / 5 / 1000);
    let refused = reserve_from(&account(12_999_999, 0), &wanted).unwrap_err();
    assert_eq!(refused.needed, Money(10_000_000));
    assert_eq!(
        refused.to_string(),
        "the budget of $13.00 does not allow it: $1.00 spent, $2.00 set aside, and this would take $10.00"
    );
    let free = Wanted {
        meter: meter(0),
        ..wanted
    };
    assert_eq!(
        reserve_from(&account(3_000_000, 0), &free).unwrap().amount,
        Money(0)
    );
}

#[test]
fn a_clock_that_was_set_back_is_not_believed() {
    let meter = meter(3_600_000_000_000);
    let tomorrow = clock::after(Duration::from_secs(86_400));
    let time = MachineTime {
        started: &tomorrow,
        seen: Duration::from_secs(2),
        unseen: None,
        end: MachineEnd::Now,
    };
    assert_eq!(
        charge_for_machine(&meter, &time, Money(5_000_000)),
        Money(2_000_000)
    );
}

#[test]
fn what_was_spent_is_charged_also_beyond_what_was_set_aside() {
    // $1 a second, for a machine that began a minute ago and whose lease was ten seconds.
    let meter = meter(3_600_000_000_000);
    let ago = |seconds: u64| {
        let time = clock::now() - std::time::Duration::from_secs(seconds);
        format!("{time:.3}")
    };
    let (started, lease_end) = (ago(60), ago(50));
    let charged = |end: MachineEnd, reserved: i64| {
        let time = MachineTime {
            started: &started,
            seen: Duration::ZERO,
            unseen: None,
            end,
        };
        charge_for_machine(&meter, &time, Money(reserved)).0 / 1_000_000
    };
    // It was powered off, and billed until somebody deleted it.
    assert_eq!(charged(MachineEnd::Now, 10_000_000), 60);
    let by_lease = |overrun| MachineEnd::ByLease {
        lease_end: lease_end.clone(),
        overrun: Duration::from_secs(overrun),
    };
    assert_eq!(
        charged(by_lease(0), 0),
        9,
        "the end of a lease is rounded to the second"
    );
    assert_eq!(charged(by_lease(20), 0), 29);
    assert_eq!(
        charged(by_lease(0), 15_000_000),
        15,
        "no less than was set aside for the lease"
    );
    assert_eq!(
        charged(by_lease(120), 0),
        60,
        "and never for longer than until now"
    );
}

#[test]
fn a_machine_that_another_host_began_may_have_been_there_for_all_of_its_lease() {
    // $1 a second, set aside for 100 s. By the clock here it began this moment.
    let (meter, now) = (meter(3_600_000_000_000), clock::timestamp());
    let charged = |unseen: u64, seen: u64| {
        let (unseen, seen) = (Some(Duration::from_secs(unseen)), Duration::from_secs(seen));
        let time = MachineTime {
            started: &now,
            seen,
            unseen,
            end: MachineEnd::Now,
        };
        charge_for_machine(&meter, &time, Money(100_000_000)).0 / 1_000_000
    };
    assert_eq!(charged(60, 0), 60);
    assert_eq!(charged(60, 20), 80);
    assert_eq!(
        charged(60, 90),
        100,
        "a lease ends a machine, and no more was set aside for it"
    );
    assert_eq!(charged(60, 110), 110, "unless it was seen for longer");
}

proptest! {
    #[test]
    fn no_reservation_is_over_the_budget(
        limit in 0_i64..50_000_000, spent in 0_i64..20_000_000, reserved in 0_i64..20_000_000,
        to_come in 0_i64..20_000_000, rate in 0_i64..100_000_000_000, least in 0_u64..10 * HOUR,
        slack in 0_u64..10 * HOUR, once in 0_i64..1_000_000, overrun in 0_u64..HOUR, nodes in 1_u32..5,
        increment in prop::sample::select(vec![0_u64, 1000, 60_000, HOUR]),
    ) {
        let account = Account {
            limit: Some(Money(limit)), spent: Money(spent), reserved: Money(reserved), to_come: Money(to_come),
        };
        let billing = Billing { increment_ms: Millis(increment), minimum_ms: Millis(increment) };
        let extras = Extras { address_nano_usd_per_hour: Rate(5_000_000), ..Extras::default() };
        let meter = Meter { rate: Rate(rate), extras, nodes, billing };
        let wanted = Wanted { meter, least: Millis(least), most: Millis(least + slack), once: Money(once), overrun: Duration::from_millis(overrun) };
        match reserve_from(&account, &wanted) {
            Ok(given) => {
                prop_assert!(given.amount.0 == 0 || given.amount.0 + spent + reserved <= limit);
                prop_assert!(given.lease >= wanted.least && given.lease <= wanted.most);
                prop_assert!(given.amount.0 >= meter.cost(given.lease).0 + once);
                prop_assert!(given.amount.0 <= meter.cost(Millis(given.lease.0 + overrun)).0 + once);
            }
            Err(refused) => prop_assert!(refused.needed.0 + spent + reserved > limit),
        }
    }
}
