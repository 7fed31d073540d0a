//! Cases that are made for one kind of trouble: what comes together by chance once in a hundred
//! thousand seeds comes together in each of them.

use super::case::{Case, Run, Trouble, Verb};
use super::chance::Chance;
use sky::model::Money;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// A theme, which changes a case.
type Theme = fn(&mut Case, &mut Chance);

const THEMES: [Theme; 5] = [
    more_at_work_than_may_begin,
    interrupted_when_it_goes_on,
    killed_at_once,
    killed_while_the_snapshot_is_sent,
    all_of_a_tight_budget,
];

/// Gives some of the cases a theme.
pub(super) fn give(case: &mut Case, chance: &mut Chance) {
    if chance.percent(70) {
        return;
    }
    let theme = chance.pick(&THEMES);
    theme(case, chance);
}

fn apply() -> Run {
    Run {
        verb: Verb::Apply,
        parallelism: None,
        kill_in_snapshot: None,
        machine: 0,
        kill_after_ms: None,
        signal_after_ms: None,
        pause_ms: None,
        overlap_ms: None,
        gap_ms: 0,
    }
}

/// What an earlier apply has left at work is more than the next one may begin, which has something
/// long to do before.
fn more_at_work_than_may_begin(case: &mut Case, chance: &mut Chance) {
    let slow = [Trouble::SlowBoots, Trouble::SlowData, Trouble::LateCommands];
    case.troubles = slow.into_iter().collect();
    case.budget = None;
    for stage in &mut case.stages {
        stage.takes_ms = stage.planned_ms * chance.between(1, 4);
        stage.fails_first = 0;
    }
    let kill = chance.between(1, 20) * MINUTE;
    case.runs = vec![
        Run {
            parallelism: Some(10),
            kill_after_ms: Some(kill),
            ..apply()
        },
        Run {
            parallelism: Some(1),
            ..apply()
        },
    ];
}

/// Commands have ended while nobody was there; whoever comes back is interrupted before all of them
/// have answered.
fn interrupted_when_it_goes_on(case: &mut Case, chance: &mut Chance) {
    case.troubles = if chance.percent(50) {
        [Trouble::SluggishCloud].into()
    } else {
        let slow = [Trouble::SlowCloud, Trouble::SlowStore];
        slow.into_iter().filter(|_| chance.percent(80)).collect()
    };
    case.in_bucket = true;
    let kill = chance.between(1, 40) * MINUTE;
    let gap = chance.between(0, 30) * MINUTE;
    let signal = chance.below(40 * SECOND);
    case.runs = vec![
        Run {
            kill_after_ms: Some(kill),
            gap_ms: gap,
            ..apply()
        },
        Run {
            signal_after_ms: Some(signal),
            ..apply()
        },
    ];
}

/// The apply is killed as soon as it has begun something, and the next one is there at once.
fn killed_at_once(case: &mut Case, chance: &mut Chance) {
    let kill = chance.below(2 * SECOND);
    case.runs.insert(
        0,
        Run {
            kill_after_ms: Some(kill),
            ..apply()
        },
    );
}

/// The apply is killed while its snapshot is on its way, and the next one is there at once.
fn killed_while_the_snapshot_is_sent(case: &mut Case, chance: &mut Chance) {
    case.in_bucket = true;
    case.troubles.insert(Trouble::SlowStore);
    let number = u32::try_from(chance.between(1, 3)).unwrap();
    case.runs.insert(
        0,
        Run {
            kill_in_snapshot: Some(number),
            ..apply()
        },
    );
}

/// Commands run for as long as there is money, and calls are late, lost or refused.
fn all_of_a_tight_budget(case: &mut Case, chance: &mut Chance) {
    let calls = [Trouble::SlowCloud, Trouble::LostCalls, Trouble::Throttling];
    case.troubles = calls.into_iter().filter(|_| chance.percent(70)).collect();
    case.stages.truncate(2);
    for stage in &mut case.stages {
        stage.takes_ms = stage.planned_ms * 30;
        stage.place = "aws:us-east-1";
    }
    let planned = case.planned_cost();
    let percent = i64::try_from(chance.between(150, 800)).unwrap();
    case.budget = Some(Money(planned * percent / 100));
    case.runs.truncate(2);
}
