//! What goes wrong in the simulated cloud: `faults.toml` in its folder, read with every process.
//!
//! ```toml
//! [[faults]]
//! call = "create"          # one of CALLS; without it: any call
//! stage = "train*"         # pattern; without it: any stage
//! place = "aws:*"          # pattern of the machine's place; likewise
//! attempt = 1              # likewise
//! skip = 0                 # let so many of these calls pass first
//! times = 1                # then so many go wrong; without it: all that follow
//! fault = "stockout"       # see Fault
//! delay_ms = 200           # with `slow`: how long the call takes; with `notice`: how long the machine is there yet
//!
//! [random]                 # besides: calls that go wrong by chance, the same ones for a seed
//! seed = 7
//! percent = 5
//! faults = ["throttled", "unreachable", "lost-answer", "slow"]
//! ```
//!
//! Which calls were made is counted over all processes, so that a call that went wrong once goes
//! well when a later `sky` makes it again.

use crate::model::Pattern;
use crate::util::hash;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The calls that can go wrong.
pub const CALLS: [&str; 14] = [
    "create",
    "get",
    "list",
    "renew",
    "adopt",
    "release",
    "delete",
    "worker",
    "stage-in",
    "start",
    "status",
    "collect",
    "checkpoint",
    "stop",
];

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing of this kind is available.
    Stockout,
    /// The account's limit is reached.
    Quota,
    /// Credentials do not do.
    Denied,
    /// Too many calls.
    Throttled,
    /// No answer, and nothing was done.
    Unreachable,
    /// The call was done, and the answer is lost.
    LostAnswer,
    /// The call takes its time, and goes well.
    Slow,
    /// An error of no special kind.
    Fail,
    /// The machine is taken away, with all that is on it.
    Preempt,
    /// The call goes well, and from now on it is said that the machine is taken away, in
    /// `delay_ms`.
    Notice,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The call that fails; `None`: any call.
    pub call: Option<String>,
    /// The stages that are meant; `None`: all.
    pub stage: Option<Pattern>,
    /// The places that are meant; `None`: all.
    pub place: Option<Pattern>,
    /// The number of the attempt; `None`: any.
    pub attempt: Option<u32>,
    /// How many such calls go well before.
    #[serde(default)]
    pub skip: u64,
    /// How many such calls fail; `None`: all.
    pub times: Option<u64>,
    /// What goes wrong.
    pub fault: Fault,
    /// The time before the answer, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
}

/// Faults by chance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// The seed of the random numbers.
    pub seed: u64,
    /// How many of a hundred calls fail.
    pub percent: u64,
    /// The faults that are drawn from.
    pub faults: Vec<Fault>,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Faults at calls that the file names.
    #[serde(default)]
    pub faults: Vec<Rule>,
    /// Faults by chance.
    pub random: Option<Chance>,
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The name of the call.
    pub call: &'a str,
    /// The stage's name.
    pub stage: &'a str,
    /// The attempt's number, from 1 on.
    pub attempt: u32,
    /// The place of the call.
    pub place: &'a str,
}

/// How often each rule has matched, and each call was made.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    rules: BTreeMap<usize, u64>,
    calls: BTreeMap<String, u64>,
}

/// What is wrong with a file of faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    /// The file is not TOML, or has other fields.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A rule names a call that no provider has.
    #[error("`{call}` is not a call; calls are {}", CALLS.join(", "))]
    UnknownCall {
        /// The name that is not known.
        call: String,
    },
}

impl Faults {
    /// Reads the file; the error names what is wrong in it.
    pub fn parse(text: &str) -> Result<Self, FaultsError> {
        let faults: Self = toml::from_str(text).map_err(Box::new)?;
        for rule in &faults.faults {
            if let Some(call) = rule
                .call
                .as_ref()
                .filter(|call| !CALLS.contains(&call.as_str()))
            {
                return Err(FaultsError::UnknownCall { call: call.clone() });
            }
        }
        Ok(faults)
    }

    /// Whether this call goes wrong, and for how long it is slow. Counts it.
    pub fn next(&self, made_call: Made<'_>, counts: &mut Counts) -> Option<(Fault, u64)> {
        let mut found_fault = None;
        for (index, rule) in self
            .faults
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.matches(made_call))
        {
            let count = counts.rules.entry(index).or_default();
            *count += 1;
            let is_due =
                *count > rule.skip && rule.times.is_none_or(|times| *count <= rule.skip + times);
            if is_due && found_fault.is_none() {
                found_fault = Some((rule.fault, rule.delay_ms));
            }
        }
        // Looks have no number of their own that two runs would share.
        let draw_key = format!(
            "{} {} {}",
            made_call.call, made_call.stage, made_call.attempt
        );
        let count = counts.calls.entry(draw_key.clone()).or_default();
        *count += 1;
        let by_chance = || {
            let chance = self
                .random
                .as_ref()
                .filter(|chance| !chance.faults.is_empty())?;
            let digest = hash::digest(format!("{} {draw_key} {count}", chance.seed).as_bytes());
            let drawn_number = u64::from_str_radix(digest.get(7..15)?, 16).ok()?;
            let picked = chance.faults[(drawn_number / 100) as usize % chance.faults.len()];
            (drawn_number % 100 < chance.percent).then_some((picked, 30))
        };
        found_fault.or_else(by_chance)
    }
}

impl Rule {
    fn matches(&self, made_call: Made<'_>) -> bool {
        self.call.as_ref().is_none_or(|call| call == made_call.call)
            && self
                .stage
                .as_ref()
                .is_none_or(|pattern| pattern.matches(made_call.stage))
            && self
                .place
                .as_ref()
                .is_none_or(|pattern| pattern.matches(made_call.place))
            && self
                .attempt
                .is_none_or(|attempt| attempt == made_call.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made<'a>(call: &'a str, stage: &'a str) -> Made<'a> {
        Made {
            call,
            stage,
            attempt: 1,
            place: "aws:us-east-1",
        }
    }

    #[test]
    fn rules_count_what_they_match() {
        let text = "[[faults]]\ncall = \"create\"\nstage = \"t*\"\nskip = 1\ntimes = 2\nfault = \"stockout\"";
        let faults = Faults::parse(text).unwrap();
        let mut counts = Counts::default();
        let mut next = |call, stage| faults.next(made(call, stage), &mut counts).is_some();
        assert!(!next("create", "serve") && !next("create", "train"));
        assert!(next("create", "train") && !next("release", "train") && next("create", "tune"));
        assert!(!next("create", "train"));
    }

    #[test]
    fn a_file_with_a_mistake_is_refused() {
        let text = "[[faults]]\ncall = \"creat\"\nfault = \"stockout\"";
        assert!(
            Faults::parse(text)
                .unwrap_err()
                .to_string()
                .contains("`creat` is not a call")
        );
        assert!(Faults::parse("[[faults]]\nfault = \"stocked\"").is_err());
    }

    #[test]
    fn chance_is_the_same_for_a_seed() {
        let text = "[random]\nseed = 3\npercent = 30\nfaults = [\"throttled\", \"slow\"]";
        let faults = Faults::parse(text).unwrap();
        let run = || {
            let mut counts = Counts::default();
            (0..200)
                .map(|_| faults.next(made("status", "a"), &mut counts))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let wrong = run().iter().flatten().count();
        assert!((30..90).contains(&wrong), "{wrong}");
    }
}
