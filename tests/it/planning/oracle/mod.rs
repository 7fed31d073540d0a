//! The planner against an oracle that looks at every placement.
//!
//! The oracle is written to be read, not to be fast. It has its own copies of stages, its own
//! rules, its own following of labels, its own bills and its own schedule, and it tries every tree
//! by which data can get to its readers. It shares with the planner the plain data of job, policy
//! and catalog, the units' rounding, and what has tests of its own: the catalog's answers on one
//! way (its price list and throughput), and what is expected of one stage on spot machines. Costs
//! agree to the micro-dollar: both round a bill line by line ([`ways`]).

mod ways;
mod work;

use crate::support::case::{Case, Random, random};
use crate::support::rich;
use sky::catalog::Catalog;
use sky::model::units::div_half_even;
use sky::model::{Job, Objective, Policy};
use sky::planning::compile::PartlyPriced;
use sky::planning::solve::Effort;
use sky::planning::{self, NoPlan, Settings};
use std::collections::{BTreeMap, BTreeSet};
use ways::{Limit, Times, Tree, Ways};
use work::{Data, Made, Take, Task};

/// More placements than this are too many to look at.
const MOST: usize = 20_000;

/// The figures of a placement that keeps every rule; deadline and budget of the job aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Figures {
    /// Sum over the orders of preference.
    pub rank: i64,
    /// Micro-USD.
    pub cost: i128,
    /// Milliseconds.
    pub time: i128,
}

/// Every placement, and what made a difference between them.
#[derive(Debug, Default)]
pub(crate) struct Every {
    pub all: Vec<Figures>,
    pub mattered: BTreeSet<&'static str>,
}

/// Cost and makespan of every placement that the rules allow. `None`: there are too many.
pub(crate) fn every_placement(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> Option<Vec<(i128, i128)>> {
    let mut every = every(job, policy, catalog, MOST)?;
    if every.all.is_empty() {
        every = every_leaving(job, policy, catalog, MOST)?;
    }
    Some(
        every
            .all
            .iter()
            .map(|figures| (figures.cost, figures.time))
            .collect(),
    )
}

/// The same with preferences. What comes home by default is brought home.
pub(crate) fn every(job: &Job, policy: &Policy, catalog: &Catalog, most: usize) -> Option<Every> {
    every_with(job, policy, catalog, most, PartlyPriced::Home)
}

/// The same, but what comes home by default and has a price of the way from some places only stays
/// where it is made: so a job is planned that has no plan otherwise.
fn every_leaving(job: &Job, policy: &Policy, catalog: &Catalog, most: usize) -> Option<Every> {
    every_with(job, policy, catalog, most, PartlyPriced::There)
}

fn every_with(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    most: usize,
    partly: PartlyPriced,
) -> Option<Every> {
    let (mut tasks, mut data) = work::tasks(job, catalog);
    for task in &mut tasks {
        task.takes = work::takes(task.stage_name, job, policy, catalog);
    }
    let count = tasks
        .iter()
        .map(|task| task.takes.len())
        .fold(1, usize::saturating_mul);
    if count > most {
        return None;
    }
    let mut places: BTreeSet<u32> = tasks
        .iter()
        .flat_map(|task| task.takes.iter().map(|take| take.offer.place))
        .collect();
    match work::homeward(job, policy, catalog, &tasks, partly) {
        Some(homeward) if homeward.is_empty() => {}
        Some(homeward) => {
            places.insert(work::here(catalog));
            data.extend(homeward);
        }
        None => {
            return Some(Every {
                all: Vec::new(),
                mattered: BTreeSet::from(["kept from home"]),
            });
        }
    }
    work::share_links(&mut data, work::here(catalog));
    places.extend(
        job.datasets
            .values()
            .filter_map(|dataset| catalog.place_id(&dataset.at)),
    );
    let ways = Ways::new(policy, catalog, &places, &data);
    let limits = ways::quotas(policy, catalog);
    let mut every = Every::default();
    for mut number in 0..count {
        let mut placement: Vec<Take<'_>> = Vec::new();
        for task in &tasks {
            placement.push(task.takes[number % task.takes.len()]);
            number /= task.takes.len();
        }
        if !ways::spread_out(job, &tasks, &placement, catalog) {
            every.mattered.insert("spread");
        } else {
            on_every_way(&tasks, &data, &placement, &ways, &limits, &mut every);
        }
    }
    Some(every)
}

/// One placement, with every choice of trees for its data.
fn on_every_way(
    tasks: &[Task<'_>],
    data: &[Data],
    placement: &[Take<'_>],
    ways: &Ways<'_>,
    limits: &[Limit],
    every: &mut Every,
) {
    let mut choices: Vec<Vec<Tree>> = vec![Vec::new()];
    for data in data {
        let destinations = ways::destinations(data, placement, ways.here());
        let trees = ways.trees(ways::origin(data, placement), &destinations, data.bytes);
        let with = |chosen: Vec<Tree>| -> Vec<Vec<Tree>> {
            trees
                .iter()
                .map(|tree| chosen.iter().cloned().chain([tree.clone()]).collect())
                .collect()
        };
        choices = choices.into_iter().flat_map(with).collect();
    }
    if choices.len() > 1 {
        every.mattered.insert("relay");
    }
    let rank = placement.iter().map(|take| take.rank).sum();
    let compute: i128 = placement.iter().map(|take| take.cost).sum();
    for trees in choices {
        let mut ends = vec![None; tasks.len()];
        for task in 0..tasks.len() {
            end(task, tasks, data, placement, &trees, ways, &mut ends);
        }
        let mut ends: Vec<i128> = ends.into_iter().flatten().collect();
        let on_time = |(task, end): (&Task<'_>, &i128)| {
            task.stage
                .deadline
                .is_none_or(|deadline| *end <= i128::from(deadline.0))
        };
        let homecoming = |ends: &[i128]| {
            let arrivals = data.iter().filter(|data| data.home).map(|data| {
                let Made::By(maker) = data.made else {
                    unreachable!("datasets stay where they are")
                };
                let origin = ways::origin(data, placement);
                ends[maker] + ways.travel(origin, ways.here(), data.link_bytes)
            });
            arrivals.chain(ends.iter().copied()).max().unwrap_or(0)
        };
        let times = ends
            .iter()
            .enumerate()
            .map(|(task, end)| (task, (end - placement[task].time, *end)));
        if !ways::within_quotas(limits, tasks, placement, &times.collect()) {
            every.mattered.insert("quota");
            let ready = |task: usize, times: &Times| {
                let known = |task: usize| times.get(&task).map(|(_, end)| *end);
                let mut ends: Vec<Option<i128>> = (0..tasks.len()).map(known).collect();
                end(task, tasks, data, placement, &trees, ways, &mut ends) - placement[task].time
            };
            let mut schedules = Vec::new();
            every_order(
                tasks,
                placement,
                limits,
                &ready,
                &mut BTreeMap::new(),
                &mut schedules,
            );
            schedules.retain(|ends| tasks.iter().zip(ends).all(on_time));
            match schedules.into_iter().min_by_key(|ends| homecoming(ends)) {
                Some(fastest) => ends = fastest,
                None => continue,
            }
        }
        if !tasks.iter().zip(&ends).all(on_time) {
            every.mattered.insert("stage deadline");
            continue;
        }
        let copies = || {
            let copies = |(data, tree): (&Data, &Tree)| -> Vec<(u32, u32, i128)> {
                tree.iter()
                    .map(|(to, from)| (*from, *to, data.bytes))
                    .collect()
            };
            data.iter().zip(&trees).flat_map(copies).collect::<Vec<_>>()
        };
        // What is made is kept where it is made; every copy is kept where it goes.
        let made = tasks.iter().zip(placement).flat_map(|(task, take)| {
            task.stage
                .writes
                .values()
                .map(|bytes| (take.offer.place, i128::from(bytes.0)))
        });
        let kept = made
            .map(|(place, bytes)| ways.kept(place, bytes))
            .sum::<i128>()
            + copies()
                .iter()
                .map(|(_, to, bytes)| ways.kept(*to, *bytes))
                .sum::<i128>();
        let egress = ways.egress(copies().into_iter());
        if egress != ways.apart(copies().into_iter()) {
            every.mattered.insert("tiers");
        }
        let time = homecoming(&ends);
        every.all.push(Figures {
            rank,
            cost: compute + kept + egress,
            time,
        });
    }
}

/// The ends of all tasks when they are started one by one, in every order, each as early as the
/// quotas let it. No schedule is better than the best of these, since a later end never helps.
fn every_order(
    tasks: &[Task<'_>],
    placement: &[Take<'_>],
    limits: &[Limit],
    ready: &dyn Fn(usize, &Times) -> i128,
    times: &mut Times,
    schedules: &mut Vec<Vec<i128>>,
) {
    if times.len() == tasks.len() {
        schedules.push(times.values().map(|(_, end)| *end).collect());
        return;
    }
    for task in 0..tasks.len() {
        let is_open = tasks[task]
            .waits
            .iter()
            .all(|before| times.contains_key(before));
        if times.contains_key(&task) || !is_open {
            continue;
        }
        let first = ready(task, times);
        let mut starts: Vec<i128> = times.values().map(|(_, end)| *end).collect();
        starts.push(first);
        starts.sort_unstable();
        let fits = |start: &i128| {
            let mut with_task = times.clone();
            with_task.insert(task, (*start, start + placement[task].time));
            *start >= first && ways::within_quotas(limits, tasks, placement, &with_task)
        };
        let start = starts.into_iter().find(fits).expect("alone it fits");
        times.insert(task, (start, start + placement[task].time));
        every_order(tasks, placement, limits, ready, times, schedules);
        times.remove(&task);
    }
}

/// When a task ends. It starts when its last input has arrived and all that it comes after has
/// ended.
fn end(
    task: usize,
    tasks: &[Task<'_>],
    data: &[Data],
    placement: &[Take<'_>],
    trees: &[Tree],
    ways: &Ways<'_>,
    ends: &mut Vec<Option<i128>>,
) -> i128 {
    if let Some(end) = ends[task] {
        return end;
    }
    let mut start = 0;
    for before in &tasks[task].waits {
        start = start.max(end(*before, tasks, data, placement, trees, ways, ends));
    }
    for (data, tree) in data
        .iter()
        .zip(trees)
        .filter(|(data, _)| data.readers.contains(&task))
    {
        let mut arrival = match data.made {
            Made::Before(_) => 0,
            // Known by now: the task waits for it.
            Made::By(before) => ends[before].unwrap(),
        };
        // Backwards, from copy to copy.
        let mut at = placement[task].offer.place;
        while let Some(from) = tree.get(&at) {
            arrival += ways.travel(*from, at, data.link_bytes);
            at = *from;
        }
        start = start.max(arrival);
    }
    let end = start + placement[task].time;
    ends[task] = Some(end);
    end
}

/// The best of them: preference, then the policy's objective, then the other figure.
fn best(policy: &Policy, all: &[Figures]) -> Option<Figures> {
    let deadline = policy
        .deadline
        .map_or(i128::MAX, |deadline| i128::from(deadline.0));
    let budget = policy
        .budget
        .map_or(i128::MAX, |budget| i128::from(budget.0));
    let within = all
        .iter()
        .filter(|figures| figures.cost <= budget && figures.time <= deadline);
    within
        .min_by_key(|figures| match policy.minimize {
            Objective::Cost => (figures.rank, score(policy, figures), figures.time),
            Objective::Time => (figures.rank, figures.time, figures.cost),
        })
        .copied()
}

/// The cost, and what the time is worth.
fn score(policy: &Policy, figures: &Figures) -> i128 {
    // nano-USD per hour, milliseconds -> micro-USD
    let worth = policy.hour.map_or(0, |hour| {
        div_half_even(i128::from(hour.0) * figures.time, 3_600_000 * 1000)
    });
    figures.cost + worth
}

/// Limits near what the job costs and takes, so that many of them bind.
pub(crate) fn with_limits(policy: &Policy, all: &[(i128, i128)], random: &mut Random) -> Policy {
    let mut policy = policy.clone();
    let mut near =
        |figure: i128| -> u64 { u64::try_from(figure).unwrap() * (60 + random.below(100)) / 100 };
    if let Some((cost, time)) = all.get(all.len() / 2) {
        let (cost, time) = (near(*cost), near(*time));
        if random.chance(50) {
            policy.deadline = Some(sky::model::Millis(time));
        }
        if random.chance(30) {
            policy.budget = Some(sky::model::Money(i64::try_from(cost).unwrap()));
        }
    }
    policy
}

fn settings() -> Settings {
    Settings {
        effort: Effort::default(),
        compare: false,
    }
}

/// What came of a case: `planned`, `infeasible` or `too many`; and what made a difference in it.
fn agree(case: &Case, number: u64, most: usize) -> (&'static str, BTreeSet<&'static str>) {
    let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
    let Some(Every { all, mut mattered }) = every(&job, &policy, &catalog, most) else {
        return ("too many", BTreeSet::new());
    };
    let pairs: Vec<(i128, i128)> = all
        .iter()
        .map(|figures| (figures.cost, figures.time))
        .collect();
    let policy = with_limits(&policy, &pairs, &mut Random(number));
    let planned = planning::plan(&job, &policy, &catalog, &settings());
    let mut all = all;
    let mut expected = best(&policy, &all);
    if expected.is_none()
        && let Some(left) = every_leaving(&job, &policy, &catalog, most)
    {
        all = left.all;
        expected = best(&policy, &all);
    }
    match (expected, planned) {
        (Some(expected), Ok(plan)) => {
            let (cost, time) = (
                i128::from(plan.totals.cost_micro_usd.0),
                i128::from(plan.totals.makespan_ms.0),
            );
            let found = Figures {
                rank: expected.rank,
                cost,
                time,
            };
            let said = || format!("case {number}\n{}\n{policy:#?}\n{plan:#?}", case.text());
            let near = all.iter().min_by_key(|figures| {
                (found.cost - figures.cost).abs() + (found.time - figures.time).abs()
            });
            assert!(
                all.contains(&found),
                "{found:?} is not a placement; the nearest is {near:?}\n{}",
                said()
            );
            match policy.hour {
                // What the time is worth is rounded apart in programs.
                Some(_) => assert!(
                    score(&policy, &found) - score(&policy, &expected) <= 1,
                    "{found:?}, not {expected:?}\n{}",
                    said()
                ),
                None => assert_eq!(found, expected, "{}", said()),
            }
            assert_eq!(
                (plan.solver.status.as_str(), plan.solver.gap),
                ("optimal", 0),
                "{}",
                said()
            );
            let value = if policy.minimize == Objective::Cost {
                score(&policy, &found)
            } else {
                cost
            };
            assert_eq!(
                i128::from(plan.solver.bound_micro_usd.0),
                value,
                "{}",
                said()
            );
            if all.iter().any(|figures| figures.rank > expected.rank) {
                mattered.insert("order of preference");
            }
            ("planned", mattered)
        }
        (None, Err(NoPlan::Infeasible(_) | NoPlan::Refused(_))) => ("infeasible", mattered),
        (expected, found) => panic!(
            "case {number}: {expected:?} but {found:#?}\n{}\n{policy:#?}",
            case.text()
        ),
    }
}

#[test]
fn the_planner_agrees_with_the_oracle() {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..300 {
        *ends
            .entry(agree(&random(number), number, MOST).0)
            .or_default() += 1;
    }
    // The cases must be worth something: most have a plan, and some have none.
    assert!(ends["planned"] + ends["infeasible"] >= 200, "{ends:?}");
    assert!(
        ends["planned"] >= 130 && ends["infeasible"] >= 12,
        "{ends:?}"
    );
}

/// Cases with everything that the model has.
#[test]
fn the_planner_agrees_with_the_oracle_on_rich_cases() {
    let (mut ends, mut uses, mut matters) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut compared, mut number) = (0, 100_000);
    while compared < 1000 {
        number += 1;
        let case = rich::rich(number);
        let (end, mattered) = agree(&case, number, 2000);
        *ends.entry(end).or_insert(0_usize) += 1;
        if end != "too many" {
            compared += 1;
            let features = rich::features(&case.job(), &case.policy(), &case.catalog());
            features
                .into_iter()
                .for_each(|feature| *uses.entry(feature).or_insert(0_usize) += 1);
            mattered
                .into_iter()
                .for_each(|feature| *matters.entry(feature).or_insert(0_usize) += 1);
        }
    }
    assert!(
        ends["planned"] >= 500 && ends["infeasible"] >= 100,
        "{ends:?}"
    );
    assert_eq!(uses.len(), rich::FEATURES.len(), "{uses:?}");
    assert!(uses.values().all(|count| *count >= 60), "{uses:?}");
    assert_eq!(matters.len(), 7, "{matters:?}");
    assert!(matters.values().all(|count| *count >= 30), "{matters:?}");
}
