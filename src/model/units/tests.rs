use super::*;

#[test]
fn half_even_rounds_ties_to_even() {
    let cases = [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (-1, 2, 0),
        (-3, 2, -2),
        (7, 3, 2),
        (8, 3, 3),
    ];
    for (numerator, denominator, expected) in cases {
        assert_eq!(
            div_half_even(numerator, denominator),
            expected,
            "{numerator}/{denominator}"
        );
    }
}

#[test]
fn figures_of_the_bert_job_are_exact() {
    let time = Millis::parse("4.049 h").unwrap();
    assert_eq!(time, Millis(14_576_400));
    assert_eq!(
        Rate::parse_usd("9.52").unwrap().cost(1, time),
        Money(38_546_480)
    );
    assert_eq!(
        Bandwidth::parse_gbps("0.0815")
            .unwrap()
            .time(Bytes::parse("1 GB").unwrap()),
        Millis(98_160)
    );
}

#[test]
fn times_are_signed_where_they_fit() {
    assert_eq!(Millis(5).signed(), 5);
    assert_eq!(Millis(u64::MAX).signed(), i64::MAX);
    assert_eq!(Millis::from_signed(i64::MAX), Millis(i64::MAX as u64));
    assert_eq!(Millis::from_signed(-1), Millis(0));
}

#[test]
fn times_and_sizes_read_as_people_write_them() {
    assert_eq!(Millis::parse("2 h 30 m"), Ok(Millis(9_000_000)));
    assert_eq!(Millis::parse("2h30m"), Ok(Millis(9_000_000)));
    assert_eq!(Millis::parse("1e3 s"), Ok(Millis(1_000_000)));
    assert_eq!(Bytes::parse("32 GiB"), Ok(Bytes(32 << 30)));
    assert_eq!(Money::parse("$0.25"), Ok(Money(250_000)));
    for bad in [
        "",
        "33",
        "33 parsecs",
        "-3 h",
        "nan h",
        "inf s",
        "h",
        "1..2 s",
        "3 h h",
        "1e40 s",
    ] {
        assert!(Millis::parse(bad).is_err(), "{bad}");
    }
    for bad in ["1 gb", "GB", "1", "-1 GB", "1e30 PB"] {
        assert!(Bytes::parse(bad).is_err(), "{bad}");
    }
    for bad in ["60", "€60", "$", "$-4", "$nan", "60 EUR"] {
        assert!(Money::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn display_is_short_and_true() {
    assert_eq!(Money(39_744_652).to_string(), "$39.74");
    assert_eq!(Money(1_234_567_890_000).to_string(), "$1,234,567.89");
    assert_eq!(Money(870).to_string(), "$0.0009");
    assert_eq!(Money(87).to_string(), "$0.000087");
    assert_eq!(Rate(768_000_000).to_string(), "$0.768");
    assert_eq!(Rate(12_240_000_000).to_string(), "$12.24");
    assert_eq!(Rate(8_000_000_000).to_string(), "$8.00");
    assert_eq!(Millis(20_631_576).to_string(), "5 h 44 m");
    assert_eq!(Millis(98_160).to_string(), "1 m 38 s");
    assert_eq!(Bytes(100_000_000).to_string(), "100 MB");
}
