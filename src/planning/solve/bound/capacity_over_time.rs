//! Caps on what stages use from the start of a job to its deadline.
//!
//! What runs at once is limited at every moment, so the product of use and duration is limited over
//! all of the time. Whatever the order of stages is, a placement that keeps the concurrent caps by
//! a deadline keeps these caps too. They bind all stages together, which every bound and program
//! understands.
//!
//! Plain products say nothing of what is left over: a machine that is free for half an hour runs no
//! stage of one hour. Dual feasible functions say it (Lueker 1983; Fekete and Schepers 2001). Such a
//! function maps parts of a whole to parts of a whole so that parts which fit together still do:
//! `f_k(x) = ⌊(k + 1) x⌋ / k`, or `x` where `(k + 1) x` is whole. It may be applied to what is used
//! at a moment, since these parts fit together then. It may be applied to durations too, since each
//! unit of a cap serves one stage after the other.

use crate::model::Millis;
use crate::planning::problem::{CandidateUse, Cap, CapId, Instance, StageChoices, StageId};
use crate::util::id_vec::IdVec;

/// The whole of a cap, in the unit of the caps that are made here.
const WHOLE: i64 = 1_000_000;
/// The functions that are applied to what is used at a moment; 0: the part itself.
const UNIT_FUNCTIONS: [i128; 3] = [0, 1, 2];
/// The functions that are applied to durations.
const TIME_FUNCTIONS: [i128; 4] = [0, 1, 2, 3];

/// Returns the caps on use over time that some placement of an instance could exceed.
pub(in crate::planning::solve) fn caps_over_time(
    instance: &Instance,
    caps: &IdVec<CapId, Cap>,
    deadline: Millis,
) -> Vec<Cap> {
    let concurrent = caps.iter().filter(|cap| cap.concurrent && cap.limit > 0);
    concurrent
        .flat_map(|cap| caps_of_one(instance, cap, deadline))
        .collect()
}

/// The caps that come of one concurrent cap: that of plain products first.
fn caps_of_one(instance: &Instance, cap: &Cap, deadline: Millis) -> Vec<Cap> {
    let plain = cap_over_time(instance, cap, deadline, 0, 0);
    let mut found = Vec::new();
    for unit_function in UNIT_FUNCTIONS {
        for time_function in TIME_FUNCTIONS {
            let mapped = cap_over_time(instance, cap, deadline, unit_function, time_function);
            let adds_something = exceeds_somewhere(&mapped, &plain);
            if adds_something && can_be_exceeded(&mapped) && !found.contains(&mapped) {
                found.push(mapped);
            }
        }
    }
    if can_be_exceeded(&plain) {
        found.insert(0, plain);
    }
    found
}

/// A cap on products of mapped use and mapped duration.
fn cap_over_time(
    instance: &Instance,
    cap: &Cap,
    deadline: Millis,
    unit_function: i128,
    time_function: i128,
) -> Cap {
    let whole_time = i128::from(deadline.0).max(1);
    let uses = |(stage, choices): (StageId, &StageChoices)| {
        let of_stage = &cap.uses[stage];
        let product = |choice: &crate::planning::problem::Choice| {
            let found = of_stage.binary_search_by_key(&choice.tag, |entry| entry.candidate);
            let used = found.map_or(0, |index| of_stage[index].used);
            let of_units = mapped(i128::from(used), i128::from(cap.limit), unit_function);
            let of_time = mapped(i128::from(choice.duration.0), whole_time, time_function);
            CandidateUse {
                candidate: choice.tag,
                used: of_units.times(&of_time),
            }
        };
        let products = choices.choices.iter().map(product);
        products.filter(|entry| entry.used > 0).collect()
    };
    Cap {
        label: format!("{} over time", cap.label),
        limit: WHOLE,
        concurrent: false,
        uses: instance.stages.iter_enumerated().map(uses).collect(),
    }
}

/// A part of a whole, as a fraction.
struct Part {
    numerator: i128,
    denominator: i128,
}

impl Part {
    /// Returns the product in units of [`WHOLE`], rounded down so that no placement which fits is
    /// ruled out.
    fn times(&self, other: &Self) -> i64 {
        let product = i128::from(WHOLE) * self.numerator * other.numerator
            / (self.denominator * other.denominator);
        i64::try_from(product).unwrap_or(i64::MAX)
    }
}

/// `f_k(part / whole)`; 0 for `k` is the part itself. What is more than the whole counts as the
/// whole, since other limits forbid it.
fn mapped(part: i128, whole: i128, function: i128) -> Part {
    let part = part.min(whole);
    let steps = (function + 1) * part;
    if function == 0 || steps % whole == 0 {
        Part {
            numerator: part,
            denominator: whole,
        }
    } else {
        Part {
            numerator: steps / whole,
            denominator: function,
        }
    }
}

/// Whether a cap counts some candidate for more than another one does.
fn exceeds_somewhere(cap: &Cap, other: &Cap) -> bool {
    let counted_for = |uses: &[CandidateUse], entry: &CandidateUse| {
        let found = uses.binary_search_by_key(&entry.candidate, |known| known.candidate);
        found.map_or(0, |index| uses[index].used)
    };
    cap.uses.iter().zip(&other.uses).any(|(uses, known)| {
        uses.iter()
            .any(|entry| entry.used > counted_for(known, entry))
    })
}

/// Whether the candidates that use most exceed a cap together.
fn can_be_exceeded(cap: &Cap) -> bool {
    let most_of_stage = |uses: &Vec<CandidateUse>| {
        let used = uses.iter().map(|entry| entry.used);
        used.fold(0, i64::max)
    };
    cap.uses.iter().map(most_of_stage).sum::<i64>() > cap.limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Money;
    use crate::planning::problem::{CandidateId, Choice};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// Stages of one choice each, by what they use and how long they take.
    fn instance_of(stages: &[(i64, u64)], limit: i64) -> Instance {
        let choice = |duration: u64| Choice {
            duration: Millis(duration),
            cost: Money(1),
            ..Choice::default()
        };
        let uses = |used: i64| {
            vec![CandidateUse {
                candidate: CandidateId::default(),
                used,
            }]
        };
        let cap = Cap {
            label: "cards".to_owned(),
            limit,
            concurrent: true,
            uses: stages.iter().map(|(used, _)| uses(*used)).collect(),
        };
        let choices = |(_, duration): &(i64, u64)| StageChoices {
            choices: vec![choice(*duration)].into(),
            ..StageChoices::default()
        };
        Instance {
            stages: stages.iter().map(choices).collect(),
            caps: vec![cap].into(),
            ..Instance::default()
        }
    }

    /// Whether the only placement of an instance keeps some caps.
    fn is_within(caps: &[Cap]) -> bool {
        caps.iter().all(|cap| {
            let used: i64 = cap.uses.iter().flatten().map(|entry| entry.used).sum();
            used <= cap.limit
        })
    }

    #[test]
    fn five_stages_in_pairs_take_three_rounds() {
        let instance = instance_of(&[(8, 100); 5], 16);
        let within = |deadline| {
            let caps = caps_over_time(&instance, &instance.caps, Millis(deadline));
            is_within(&caps)
        };
        // By plain products 250 would do.
        assert!(within(300) && !within(299) && !within(250));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_fits_into_the_time_is_not_ruled_out(
            lines in prop::collection::vec(prop::collection::vec((1..9_u64, 1..4_usize), 1..4), 1..5),
            room in 0..3_u64,
        ) {
            // Lines of stages one after the other; a stage on several lines begins on all at once.
            let mut ends = vec![0_u64; lines.len() + 3];
            let mut stages = Vec::new();
            for (line, of_line) in lines.iter().enumerate() {
                for (duration, width) in of_line {
                    let width = (*width).min(ends.len() - line);
                    let start = ends[line..line + width].iter().copied().max().unwrap();
                    ends[line..line + width].fill(start + duration);
                    stages.push((i64::try_from(width).unwrap(), *duration));
                }
            }
            let deadline = ends.iter().copied().max().unwrap() + room;
            let instance = instance_of(&stages, i64::try_from(ends.len()).unwrap());
            let caps = caps_over_time(&instance, &instance.caps, Millis(deadline));
            prop_assert!(is_within(&caps), "{stages:?} by {deadline}: {caps:?}");
        }
    }
}
