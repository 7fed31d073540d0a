//! What one seed stands for: a job, the place of its state, what goes wrong, and who does what
//! when.

use super::chance::Chance;
use super::themes;
use sky::model::{ArtifactRef, Bytes, Millis, Money, PlaceName, Purchase, Rate, Retries};
use sky::plan::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: u64 = 60_000;

/// What may go wrong in a world. Each kind is on or off for a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The store of the state answers late.
    SlowStore,
    /// Calls are made, and their answers are lost; or they never arrive.
    LostCalls,
    Throttling,
    Stockouts,
    Quotas,
    /// Spot machines are taken away, with and without notice.
    Preemptions,
    /// Calls for machines answer late.
    SlowCloud,
    /// Machines take long to come up.
    SlowBoots,
    /// Copying inputs and outputs takes up to hours.
    SlowData,
    /// Commands print without end.
    ChattyCommands,
    /// Some commands fail.
    FailingCommands,
    /// Commands take far longer than planned.
    LateCommands,
    /// What was not synced is lost with its process.
    PowerCuts,
    /// The inside of one stage's machines cannot be reached once they run.
    LockedOut,
    /// Machines of one stage cannot be deleted for a while.
    DeletionsFail,
    /// Clocks of machines are wrong.
    WrongClocks,
    /// Every call for machines answers late, not only some. Only themes have it.
    SluggishCloud,
    /// The store of the state refuses calls for being too many, loses them or their answers, and
    /// now and then does not answer at all. Drawn with a chance of its own.
    StoreFails,
}

pub(super) const TROUBLES: [Trouble; 16] = [
    Trouble::SlowStore,
    Trouble::LostCalls,
    Trouble::Throttling,
    Trouble::Stockouts,
    Trouble::Quotas,
    Trouble::Preemptions,
    Trouble::SlowCloud,
    Trouble::SlowBoots,
    Trouble::SlowData,
    Trouble::ChattyCommands,
    Trouble::FailingCommands,
    Trouble::LateCommands,
    Trouble::PowerCuts,
    Trouble::LockedOut,
    Trouble::DeletionsFail,
    Trouble::WrongClocks,
];

/// One stage of the job.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub name: String,
    /// `STAGE.OUTPUT` of earlier stages.
    pub reads: BTreeSet<String>,
    pub outputs: usize,
    pub place: &'static str,
    pub others: Vec<&'static str>,
    pub planned_ms: u64,
    /// How long its command really takes.
    pub takes_ms: u64,
    pub code: i32,
    pub spot: bool,
    pub rate_nano: i64,
    pub billing: Billing,
    pub checkpoint: bool,
    pub chatty: bool,
    /// How often its command fails before it ends with its `code`, and with which code then.
    pub fails_first: u32,
    pub fails_with: i32,
    pub retries: Option<Retries>,
    /// Its outputs are over the limit.
    pub oversized: bool,
    /// It writes something that it does not declare.
    pub undeclared: bool,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Apply,
    Refresh,
}

/// One `sky apply` or `sky refresh`.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub verb: Verb,
    /// In place of the case's.
    pub parallelism: Option<usize>,
    /// The process is killed while its snapshot of this number is on its way to a bucket.
    pub kill_in_snapshot: Option<u32>,
    /// On which of the two machines of the user.
    pub machine: usize,
    pub kill_after_ms: Option<u64>,
    pub signal_after_ms: Option<u64>,
    /// The process stands still: from when on, and for how long.
    pub pause_ms: Option<(u64, u64)>,
    /// The next one begins this long after this one has begun; none: once it has ended.
    pub overlap_ms: Option<u64>,
    /// Between this one's end and the next one's beginning.
    pub gap_ms: u64,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Of chance in the world.
    pub seed: u64,
    pub stages: Vec<Stage>,
    pub budget: Option<Money>,
    pub parallelism: usize,
    pub in_bucket: bool,
    pub staging_in_buckets: bool,
    pub lock_lease: Duration,
    /// Between two looks at a command.
    pub interval: Duration,
    pub grace: Duration,
    /// How far each machine's clock is ahead, in milliseconds.
    pub skews: [i64; 2],
    pub troubles: BTreeSet<Trouble>,
    pub runs: Vec<Run>,
    /// How long the user takes to answer the question of a sweep.
    pub question_ms: u64,
}

const PLACES: [&str; 4] = [
    "aws:us-east-1",
    "aws:eu-west-1",
    "gcp:us-central1",
    "local:here",
];

impl Case {
    pub(super) fn of_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5EED);
        let mut troubles: BTreeSet<Trouble> = TROUBLES
            .into_iter()
            .filter(|_| chance.percent(25))
            .collect();
        if chance.percent(10) {
            troubles.clear();
        }
        let stages = stages(&mut chance, &troubles);
        let total = total_cost(&stages);
        // From far too little to more than enough.
        let percent = i64::try_from(chance.between(20, 300)).unwrap();
        let budget = chance.percent(60).then(|| Money(total * percent / 100));
        let skew = |chance: &mut Chance| match troubles.contains(&Trouble::WrongClocks) {
            true => i64::try_from(chance.below(20 * MINUTE)).unwrap() - 10 * 60_000,
            false => 0,
        };
        let skews = [skew(&mut chance), skew(&mut chance)];
        let mut runs: Vec<Run> = (0..chance.between(1, 4))
            .map(|_| run(&mut chance))
            .collect();
        if chance.percent(30) {
            runs.truncate(1);
            runs[0] = Run {
                kill_after_ms: None,
                signal_after_ms: None,
                pause_ms: None,
                ..runs[0].clone()
            };
        }
        let in_bucket = chance.percent(50);
        if !in_bucket || stages.iter().any(|stage| stage.place.starts_with("local")) {
            // Nobody else can reach what is on this machine.
            runs.iter_mut().for_each(|run| run.machine = 0);
        }
        let mut case = Self {
            seed,
            budget,
            parallelism: usize::try_from(chance.pick(&[1, 2, 3, 10, 10])).unwrap(),
            in_bucket,
            staging_in_buckets: chance.percent(40),
            lock_lease: Duration::from_secs(chance.pick(&[60, 300, 600])),
            interval: Duration::from_secs(chance.pick(&[20, 60, 120])),
            grace: Duration::from_secs(chance.pick(&[0, 5, 10, 60])),
            skews,
            runs,
            question_ms: chance
                .delay(Duration::from_secs(3600))
                .as_millis()
                .try_into()
                .unwrap(),
            stages,
            troubles,
        };
        case.add_what_came_later();
        case
    }

    /// What was added to the simulation after seeds had failed that are still played: it is drawn
    /// apart, and leaves most cases as they were.
    fn add_what_came_later(&mut self) {
        let mut chance = Chance::new(self.seed.wrapping_mul(0x9FB2_1C65_1E98_DF25) ^ 0xADDED);
        if chance.percent(60) {
            return;
        }
        if self.in_bucket && chance.percent(50) {
            self.troubles.insert(Trouble::StoreFails);
        }
        for run in &mut self.runs {
            if chance.percent(15) {
                run.verb = Verb::Refresh;
            }
            if chance.percent(25) {
                run.parallelism = Some(usize::try_from(chance.between(1, 2)).unwrap());
            }
            // A user who thinks better of it soon.
            if chance.percent(20) {
                run.signal_after_ms = Some(chance.below(40_000));
            }
        }
        let overruns = self.budget.is_some() && chance.percent(30);
        let (failing, oversized, undeclared) =
            (chance.percent(40), chance.percent(15), chance.percent(20));
        for stage in &mut self.stages {
            if failing && chance.percent(40) {
                stage.fails_first = u32::try_from(chance.between(1, 3)).unwrap();
                stage.fails_with = chance.pick(&[3, 75]);
            }
            if failing && chance.percent(60) {
                let on = chance.pick(&[&[][..], &[75], &[3, 75]]);
                stage.retries = Some(Retries {
                    times: u32::try_from(chance.between(0, 3)).unwrap(),
                    on: on.iter().copied().collect(),
                });
            }
            stage.oversized = oversized && stage.outputs > 0 && chance.percent(40);
            stage.undeclared = undeclared && chance.percent(40);
            if overruns && chance.percent(40) {
                stage.takes_ms = stage.planned_ms * chance.between(5, 20);
            }
        }
        themes::give(self, &mut chance);
        if self
            .stages
            .iter()
            .any(|stage| stage.place.starts_with("local"))
        {
            self.runs.iter_mut().for_each(|run| run.machine = 0);
        }
    }

    /// What all stages together cost as planned, in micro-USD.
    pub(super) fn planned_cost(&self) -> i64 {
        total_cost(&self.stages)
    }

    pub(super) fn plan(&self) -> Plan {
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        let mut plan = crate::execution::apply::place::plan("job", &[]);
        for stage in &self.stages {
            let makers = stage.reads.iter().filter_map(|read| read.split('.').next());
            let start = makers
                .map(|maker| ends.get(maker).copied().unwrap_or(0))
                .max()
                .unwrap_or(0);
            ends.insert(&stage.name, start + stage.planned_ms);
            plan.stages.push(stage.planned(start));
        }
        plan.limits.budget_micro_usd = self.budget;
        plan.objective = PlannedObjective::Cost;
        plan
    }

    pub(super) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    pub(super) fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

fn total_cost(stages: &[Stage]) -> i64 {
    stages.iter().map(Stage::planned_cost).sum()
}

fn stages(chance: &mut Chance, troubles: &BTreeSet<Trouble>) -> Vec<Stage> {
    // Most faults of order need two or three stages; a few worlds are larger.
    let count = chance.pick(&[1, 1, 2, 2, 2, 3, 3, 4, 5, 8]);
    let mut stages: Vec<Stage> = Vec::new();
    let wide = chance.percent(40);
    for number in 0..count {
        let mut reads = BTreeSet::new();
        for earlier in stages.iter().filter(|stage| stage.outputs > 0) {
            if !wide && chance.percent(35) {
                let output = chance.below(earlier.outputs as u64);
                reads.insert(format!("{}.o{output}", earlier.name));
            }
        }
        let planned_ms = chance.between(1, 40) * MINUTE;
        let late = troubles.contains(&Trouble::LateCommands) && chance.percent(30);
        let percent = if late {
            chance.between(100, 400)
        } else {
            chance.between(20, 100)
        };
        let failing = troubles.contains(&Trouble::FailingCommands) && chance.percent(20);
        let step = chance.pick(&[0, 0, 1000, MINUTE]);
        stages.push(Stage {
            name: format!("s{number}"),
            reads,
            outputs: usize::try_from(chance.below(3)).unwrap(),
            place: chance.pick(&PLACES),
            others: (0..chance.below(3))
                .map(|_| chance.pick(&PLACES[..3]))
                .collect(),
            planned_ms,
            takes_ms: planned_ms * percent / 100,
            code: if failing { 3 } else { 0 },
            spot: chance.percent(30),
            rate_nano: i64::try_from(chance.between(1, 100)).unwrap() * 100_000_000,
            billing: Billing {
                increment_ms: Millis(step),
                minimum_ms: Millis(step),
            },
            checkpoint: chance.percent(20),
            chatty: troubles.contains(&Trouble::ChattyCommands) && chance.percent(40),
            fails_first: 0,
            fails_with: 0,
            retries: None,
            oversized: false,
            undeclared: false,
        });
    }
    stages
}

fn run(chance: &mut Chance) -> Run {
    let within = Duration::from_millis(80 * MINUTE);
    let moment = |chance: &mut Chance| {
        let moment = if chance.percent(50) {
            chance.below(60_000)
        } else {
            chance.below(80 * MINUTE)
        };
        moment + u64::try_from(chance.delay(within).as_millis()).unwrap()
    };
    let kill_after_ms = chance.percent(45).then(|| moment(chance));
    let signal_after_ms = chance.percent(30).then(|| moment(chance));
    let pause_ms = chance
        .percent(15)
        .then(|| (moment(chance), chance.between(1000, 20 * MINUTE)));
    let overlap_ms = chance.percent(25).then(|| moment(chance));
    let gap_ms = chance
        .delay(Duration::from_millis(180 * MINUTE))
        .as_millis()
        .try_into()
        .unwrap();
    let machine = usize::try_from(chance.below(2)).unwrap();
    Run {
        verb: Verb::Apply,
        parallelism: None,
        kill_in_snapshot: None,
        machine,
        kill_after_ms,
        signal_after_ms,
        pause_ms,
        overlap_ms,
        gap_ms,
    }
}

impl Stage {
    fn rate(&self) -> Rate {
        Rate(if self.place.starts_with("local") {
            0
        } else {
            self.rate_nano
        })
    }

    fn planned_cost(&self) -> i64 {
        self.rate()
            .cost(1, self.billing.billed(Millis(self.planned_ms)))
            .0
    }

    fn planned(&self, start: u64) -> PlannedStage {
        let row = (self.name.as_str(), &[][..], &[][..], self.name.as_str());
        let mut planned = crate::execution::apply::place::stage(&row);
        planned.place = PlaceName::parse(self.place).unwrap();
        planned.instance_type = "box".into();
        planned.purchase = if self.spot {
            Purchase::Spot
        } else {
            Purchase::OnDemand
        };
        planned.rate_nano_usd_per_hour = self.rate();
        planned.start_ms = Millis(start);
        planned.end_ms = Millis(start + self.planned_ms);
        planned.billing = self.billing;
        planned.cost_micro_usd = Money(self.planned_cost());
        planned.reads = self
            .reads
            .iter()
            .map(|read| ArtifactRef::from(read.clone()))
            .collect();
        planned.writes = (0..self.outputs)
            .map(|number| (format!("o{number}"), Bytes(1)))
            .collect();
        planned.retries.clone_from(&self.retries);
        planned.checkpoint = self.checkpoint.then_some(PlannedCheckpoint {
            every_ms: None,
            bytes: Bytes(1),
        });
        let other = |place: &&str| Alternative {
            place: PlaceName::parse(place).unwrap(),
            instance_type: "other".into(),
            purchase: Purchase::OnDemand,
            rate_nano_usd_per_hour: Rate(self.rate_nano * 2),
            total_cost_micro_usd: Money(0),
            makespan_ms: Millis(0),
            country: None,
            accelerator: None,
            tee: None,
            usage: None,
            extras: Default::default(),
            billing: self.billing,
            duration_ms: Millis(self.planned_ms),
            boot_ms: Millis(0),
            cost_micro_usd: Money(2 * self.planned_cost()),
            counted_with_others: false,
        };
        planned.alternatives = self.others.iter().map(other).collect();
        planned
    }
}
