//! Expected time of a stage on machines that may be taken away.
//!
//! Interruptions of a machine are taken to come at random at a constant rate λ: of machines that
//! are kept for a month, the share `p` that the catalog states is interrupted, so
//! λ = −ln(1 − p) per month of 730 hours. A gang of `n` machines stops when one of them is lost,
//! so its rate is Λ = n·λ.
//!
//! What runs for `w` and, after each interruption, needs `R` until it runs again, from its start,
//! takes (e^(Λw) − 1) · e^(ΛR) / Λ in expectation, interruptions while it comes back included.
//! Without checkpoints `w` is the whole run and `R` the boot. With a checkpoint that takes `δ` to
//! save after every `τ` of work, the run is `T/τ` such pieces of `w = τ + δ`, and `R` is the boot
//! and the restart: J. T. Daly, A higher order estimate of the optimum checkpoint interval for
//! restart dumps, Future Generation Computer Systems 22 (2006), equation 13. If `τ` is not
//! given it is √(2δ/Λ): J. W. Young, A first order approximation to the optimum checkpoint
//! interval, Communications of the ACM 17 (1974); or no checkpoint, if that is expected to be
//! faster. A run that is not longer than `τ` saves none.
//!
//! All of it is integer arithmetic, because exp and ln of floats differ between platforms.
//! Numbers are multiples of 2⁻⁴⁸. Every series below drops less than 100 of these units, so that
//! an expected time is off by less than 1 ms · (1 + e^(Λ(w + R))) and a share of 10⁻¹¹.

use crate::model::units::{MS_PER_HOUR, div_half_even};
use crate::model::{Checkpoint, Millis};

/// Share of spot machines taken to be interrupted in a month where no list says it, in parts per
/// million. An assumption: AWS's highest band starts at 20 %, so this is worse than what most
/// lists would say, and a plan does not look better for what is not known.
pub const ASSUMED_INTERRUPTIONS: u32 = 300_000;

/// What is to be expected of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// From the first moment that the stage runs to its end; boots and restarts after
    /// interruptions are in it, the first boot is not.
    pub time: Millis,
    /// Number of interruptions, in millionths.
    pub interruptions: u64,
    /// Work between two checkpoints; none: it saves none.
    pub every: Option<Millis>,
}

const BITS: u32 = 48;
const ONE: i128 = 1 << BITS;
/// 730 hours.
pub const MONTH: i128 = 730 * MS_PER_HOUR;
/// More expected interruptions than this between two checkpoints: it would practically never end.
const MOST: i128 = 16 * ONE;
/// Ten thousand years.
const LONGEST: i128 = 10_000 * 366 * 24 * MS_PER_HOUR;

/// What a run of `run` on `nodes` machines is expected to take when in a month so many parts per
/// million of machines are interrupted. `None`: it would practically never end.
pub fn expected(
    run: Millis,
    nodes: u32,
    monthly: u32,
    boot: Millis,
    checkpoint: Option<&Checkpoint>,
) -> Option<Expected> {
    let gang = Gang {
        hazard: hazard(monthly).checked_mul(i128::from(nodes))?,
    };
    let (run, boot) = (i128::from(run.0), i128::from(boot.0));
    let unsaved_pieces = || gang.pieces(run, run, run, boot);
    let Some(checkpoint) = checkpoint else {
        return gang.outcome(unsaved_pieces()?, None);
    };
    let (save, restart) = (
        i128::from(checkpoint.save.0),
        i128::from(checkpoint.restart.0),
    );
    let save_interval = match checkpoint.every {
        Some(every) => i128::from(every.0).max(1),
        None => gang.interval(save, run),
    };
    if save_interval >= run {
        return gang.outcome(unsaved_pieces()?, None);
    }
    let saved_pieces = gang.pieces(
        run,
        save_interval,
        save_interval.checked_add(save)?,
        boot.checked_add(restart)?,
    );
    match (saved_pieces, checkpoint.every) {
        (Some(saved), None) => match unsaved_pieces() {
            Some(plain) if plain <= saved => gang.outcome(plain, None),
            _ => gang.outcome(saved, Some(save_interval)),
        },
        (saved, Some(_)) => gang.outcome(saved?, Some(save_interval)),
        (None, None) => gang.outcome(unsaved_pieces()?, None),
    }
}

/// Machines that stop together.
struct Gang {
    /// Expected interruptions in a month.
    hazard: i128,
}

impl Gang {
    /// Expected interruptions in so many milliseconds.
    fn load(&self, time: i128) -> Option<i128> {
        Some(self.hazard.checked_mul(time)? / MONTH)
    }

    /// Expected time of `run` in pieces that each do `work` of it, last `length`, and start over
    /// `back` after an interruption.
    fn pieces(&self, run: i128, work: i128, length: i128, back: i128) -> Option<i128> {
        if run > LONGEST || length > LONGEST || back > LONGEST {
            return None;
        }
        if run == 0 {
            return Some(0);
        }
        let (load, back) = (self.load(length)?, self.load(back)?);
        if load + back > MOST {
            return None;
        }
        let longer = (growth(load) * exp(back)) >> BITS;
        let undisturbed = div_half_even(run * length, work);
        let time = div_half_even(undisturbed.checked_mul(longer)?, ONE);
        (time <= LONGEST).then_some(time)
    }

    /// Young's interval, at least a millisecond and at most `run`.
    fn interval(&self, save: i128, run: i128) -> i128 {
        if self.hazard == 0 {
            return run;
        }
        let between = (MONTH * ONE / self.hazard).min(LONGEST);
        let square = 2 * save.min(LONGEST) * between;
        let root = i128::try_from(square.unsigned_abs().isqrt()).unwrap_or(i128::MAX);
        root.max(1).min(run)
    }

    /// Interruptions come at the same rate all the time, so their number follows from the time.
    fn outcome(&self, time: i128, every: Option<i128>) -> Option<Expected> {
        let interruptions = div_half_even(self.load(time)?.checked_mul(1_000_000)?, ONE);
        let millis = |value: i128| u64::try_from(value).map(Millis).ok();
        let interval = every.and_then(millis);
        Some(Expected {
            time: millis(time)?,
            interruptions: u64::try_from(interruptions).ok()?,
            every: interval,
        })
    }
}

/// −ln(1 − p) for `p` in parts per million, which is taken to be at most 99.9 %.
fn hazard(parts: u32) -> i128 {
    let kept_share = i128::from(1_000_000 - parts.min(999_000));
    let mut share = kept_share * ONE / 1_000_000;
    let mut halvings = 0;
    while share < ONE / 2 {
        share *= 2;
        halvings += 1;
    }
    // −ln q = 2 · artanh((1 − q) / (1 + q)), quick for q from a half to one.
    halvings * LN_2 + 2 * artanh((ONE - share) * ONE / (ONE + share))
}

const LN_2: i128 = 195_103_586_505_167;

/// z + z³/3 + z⁵/5 + … for z from 0 to 1/3.
fn artanh(z: i128) -> i128 {
    let square = (z * z) >> BITS;
    let (mut power, mut sum, mut odd) = (z, 0, 1);
    while power > 0 {
        sum += power / odd;
        power = (power * square) >> BITS;
        odd += 2;
    }
    sum
}

/// (eˣ − 1) / x = 1 + x/2! + x²/3! + … for x from 0 to 16.
fn growth(x: i128) -> i128 {
    let (mut term, mut sum, mut next) = (ONE, 0, 2);
    while term > 0 {
        sum += term;
        term = term * x / (ONE * next);
        next += 1;
    }
    sum
}

fn exp(x: i128) -> i128 {
    ONE + ((x * growth(x)) >> BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const HOUR: u64 = 3_600_000;

    fn close(ours: i128, known: f64) {
        let ours = ours as f64 / ONE as f64;
        assert!(
            (ours - known).abs() <= known.abs() * 1e-11 + 1e-12,
            "{ours} {known}"
        );
    }

    #[test]
    fn the_series_agree_with_known_values() {
        // −ln(0.95), −ln(0.8), −ln(0.7), −ln(0.001), from tables.
        close(hazard(0), 0.0);
        close(hazard(50_000), 0.051_293_294_387_550_6);
        close(hazard(200_000), 0.223_143_551_314_209_76);
        close(hazard(300_000), 0.356_674_943_938_732_4);
        close(hazard(999_000), 6.907_755_278_982_137);
        close(hazard(1_000_000), 6.907_755_278_982_137);
        close(exp(0), 1.0);
        close(exp(ONE), std::f64::consts::E);
        close(exp(10 * ONE), 22_026.465_794_806_718);
        close(exp(16 * ONE), 8_886_110.520_507_872);
        close(growth(0), 1.0);
        close(growth(ONE / 2), 1.297_442_541_400_256_3);
    }

    #[test]
    fn without_checkpoints_it_starts_over() {
        // λ = 0.223143551 / 730 h = 3.05676e-4 per hour. 100 h on one machine, no boot:
        // (e^0.0305676 − 1) / 3.05676e-4 h = 101.544096 h; × λ = 0.0310396 interruptions.
        let one = expected(Millis(100 * HOUR), 1, 200_000, Millis(0), None).unwrap();
        assert_eq!(
            one,
            Expected {
                time: Millis(365_558_664),
                interruptions: 31_040,
                every: None
            }
        );
        // Ten machines: Λ = 3.05676e-3 per hour, (e^0.305676 − 1) / Λ = 116.9678 h, and a boot of
        // 0.1 h per interruption: × e^(0.000305676).
        let ten = expected(Millis(100 * HOUR), 10, 200_000, Millis(HOUR / 10), None).unwrap();
        assert_eq!(
            ten,
            Expected {
                time: Millis(421_212_718),
                interruptions: 357_652,
                every: None
            }
        );
        // Nothing is ever interrupted.
        let never = expected(Millis(HOUR), 3, 0, Millis(60_000), None).unwrap();
        assert_eq!(
            never,
            Expected {
                time: Millis(HOUR),
                interruptions: 0,
                every: None
            }
        );
        assert_eq!(
            expected(Millis(100_000 * HOUR), 1, 200_000, Millis(0), None),
            None
        );
    }

    #[test]
    fn checkpoints_follow_young_and_daly() {
        let checkpoint = Checkpoint {
            every: None,
            save: Millis(60_000),
            restart: Millis(120_000),
            size: crate::model::Bytes(0),
        };
        // Ten machines, 1/Λ = 327.144 h. Young: √(2 · 1/60 h · 327.144 h) = 3.30224 h.
        // Daly: 100 h · (τ + 1/60)/τ · (e^x − 1)/x · e^(Λ(0.1 + 1/30)), x = Λ(τ + 1/60).
        let best = expected(
            Millis(100 * HOUR),
            10,
            200_000,
            Millis(HOUR / 10),
            Some(&checkpoint),
        )
        .unwrap();
        assert_eq!(best.every, Some(Millis(11_888_063)));
        assert_eq!(
            best,
            Expected {
                time: Millis(363_806_752),
                interruptions: 308_908,
                every: best.every
            }
        );
        let hourly = Checkpoint {
            every: Some(Millis(HOUR)),
            ..checkpoint.clone()
        };
        let hourly = expected(
            Millis(100 * HOUR),
            10,
            200_000,
            Millis(HOUR / 10),
            Some(&hourly),
        )
        .unwrap();
        assert!(hourly.time > best.time && hourly.every == Some(Millis(HOUR)));
        // A run shorter than the interval saves nothing.
        let short = expected(
            Millis(HOUR),
            10,
            200_000,
            Millis(HOUR / 10),
            Some(&checkpoint),
        )
        .unwrap();
        assert_eq!(
            short,
            expected(Millis(HOUR), 10, 200_000, Millis(HOUR / 10), None).unwrap()
        );
        // What costs no time is done all the time: only the ways back are lost.
        let free = Checkpoint {
            save: Millis(0),
            ..checkpoint
        };
        let free = expected(
            Millis(100 * HOUR),
            10,
            200_000,
            Millis(HOUR / 10),
            Some(&free),
        )
        .unwrap();
        // 100 h · e^(3.05676e-3 · 0.13333)
        assert_eq!(
            (free.every, free.time),
            (Some(Millis(1)), Millis(360_146_755))
        );
    }

    /// The formula in floats.
    fn floats(
        run: u64,
        nodes: u32,
        monthly: u32,
        boot: u64,
        piece: Option<(u64, u64, u64)>,
    ) -> f64 {
        let rate = -(1.0 - f64::from(monthly) / 1e6).ln() / 730.0 / HOUR as f64 * f64::from(nodes);
        let (every, save, restart) = piece.unwrap_or((run, 0, 0));
        let (length, back) = ((every + save) as f64, (boot + restart) as f64);
        let grown = (rate * length).exp_m1() / (rate * length) * (rate * back).exp();
        run as f64 * length / every as f64 * grown
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn integers_and_floats_agree(
            run in 1..2_000 * HOUR, nodes in 1..20_u32, monthly in 1_000..600_000_u32, boot in 0..HOUR,
            every in 60_000..50 * HOUR, save in 0..HOUR, restart in 0..HOUR, saves in any::<bool>(),
        ) {
            let checkpoint = Checkpoint { every: Some(Millis(every)), save: Millis(save), restart: Millis(restart), size: Default::default() };
            let piece = (saves && every < run).then_some((every, save, restart));
            let known = floats(run, nodes, monthly, boot, piece);
            match expected(Millis(run), nodes, monthly, Millis(boot), saves.then_some(&checkpoint)) {
                Some(found) => {
                    prop_assert!((found.time.0 as f64 - known).abs() <= known * 1e-8 + 2.0, "{} {}", found.time.0, known);
                    prop_assert!(found.time.0 >= run);
                    prop_assert_eq!(found.every, piece.map(|(every, ..)| Millis(every)));
                }
                None => prop_assert!(known > run as f64 * 1000.0, "{}", known),
            }
        }

        #[test]
        fn more_interruptions_and_longer_runs_take_longer(
            run in 1..500 * HOUR, more in 0..100 * HOUR, nodes in 1..20_u32, monthly in 1_000..500_000_u32,
            worse in 1_000..400_000_u32, boot in 0..HOUR, save in 0..HOUR, restart in 0..HOUR, saves in any::<bool>(),
        ) {
            let checkpoint = Checkpoint { every: None, save: Millis(save), restart: Millis(restart), size: Default::default() };
            let checkpoint = saves.then_some(&checkpoint);
            let of = |run, monthly| expected(Millis(run), nodes, monthly, Millis(boot), checkpoint);
            let time = |run, monthly| of(run, monthly).map_or(u64::MAX, |found| found.time.0);
            prop_assert!(time(run, monthly) >= run);
            prop_assert!(time(run + more, monthly) >= time(run, monthly));
            prop_assert!(time(run, monthly + worse) >= time(run, monthly));
            prop_assert!(time(run, 0) == run);
            // The best interval is never worse than none at all.
            let none = expected(Millis(run), nodes, monthly, Millis(boot), None).map_or(u64::MAX, |found| found.time.0);
            prop_assert!(time(run, monthly) <= none);
        }
    }
}
