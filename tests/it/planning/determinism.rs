//! Equal inputs give equal bytes, whatever the order of the files' rows and however often.

use crate::support::case::{Random, random};
use crate::support::rich::rich;
use sky::plan::file::encode;
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};

fn bytes(case: &crate::support::case::Case) -> Option<String> {
    let settings = Settings {
        effort: Effort::default(),
        compare: true,
    };
    let plan = planning::plan(&case.job(), &case.policy(), &case.catalog(), &settings).ok()?;
    Some(encode(&plan).unwrap())
}

#[test]
fn shuffled_inputs_give_the_same_bytes() {
    let mut planned = 0;
    // Every other case has everything that the model has.
    for number in 1000..1100 {
        let case = if number % 2 == 0 {
            random(number)
        } else {
            rich(number)
        };
        let expected = bytes(&case);
        planned += usize::from(expected.is_some());
        let mut order = Random(number);
        for _ in 0..3 {
            let mut shuffled = case.clone();
            order.shuffle(&mut shuffled.job);
            for (_, _, rows) in &mut shuffled.catalog {
                order.shuffle(rows);
            }
            assert_eq!(bytes(&shuffled), expected, "case {number}");
        }
    }
    assert!(planned >= 45, "{planned}");
}

#[test]
fn twenty_runs_give_the_same_bytes() {
    let case = (2000..)
        .map(random)
        .find(|case| case.job().stages.len() == 6 && bytes(case).is_some())
        .unwrap();
    let expected = bytes(&case);
    for _ in 0..20 {
        assert_eq!(bytes(&case), expected);
    }
}
