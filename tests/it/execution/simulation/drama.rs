//! What happens in one world, from the first `sky apply` to the last look around.

use super::case::{Case, Run, Stage, Trouble, Verb};
use super::checks;
use super::machine::Machine;
use super::sky::{Ended, User};
use super::stores::Buckets;
use super::world::{CALL, World};
use jiff::SignedDuration;
use sky::cli::Exit;
use sky::execution::apply::StageOutcome;
use sky::execution::provider::Token;
use sky::execution::storage::bucket;
use sky::model::{PlaceName, Rate, bucket_name};
use sky::plan::Billing;
use sky::util::simulation;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What was wrong, and what happened.
pub(super) struct Verdict {
    pub wrongs: Vec<String>,
    pub story: Vec<String>,
}

/// Plays a case; `scratch` is a folder of its own; `tells`: the story is wanted.
pub(super) fn play(case: &Case, scratch: &Path, tells: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async { World::new(case.clone(), scratch.to_owned(), tells) });
    bucket::simulate(Some(Arc::new(Buckets(world.clone()))));
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            if tokio::time::timeout(Duration::from_secs(400 * 86_400), drama(&world))
                .await
                .is_err()
            {
                world.wrong("it never ends".to_owned());
            }
        });
    }));
    if let Err(panic) = played {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| {
            panic
                .downcast_ref::<&str>()
                .map(|words| (*words).to_owned())
        });
        world.wrong(format!("panic: {}", words.unwrap_or_default()));
    }
    bucket::simulate(None);
    Verdict {
        wrongs: world.wrongs(),
        story: world.story(),
    }
}

async fn drama(world: &Arc<World>) {
    let user = Arc::new(User::new(world));
    let case = &world.case;
    others(world);
    let mut at_work = Vec::new();
    for run in &case.runs {
        match run.overlap_ms {
            Some(later) => {
                let (user, run) = (user.clone(), run.clone());
                at_work.push(tokio::spawn(async move { drop(user.run(&run).await) }));
                tokio::time::sleep(Duration::from_millis(later)).await;
            }
            None => {
                user.run(run).await;
                tokio::time::sleep(Duration::from_millis(run.gap_ms)).await;
            }
        }
    }
    for process in at_work {
        if let Err(broken) = process.await {
            std::panic::resume_unwind(broken.into_panic());
        }
    }
    let last = case.runs.last().map_or(0, |run| run.machine);
    if case.seed.is_multiple_of(3) {
        give_up(&user, last).await;
    } else {
        world.calm_down();
        finish(&user, last).await;
    }
    checks::budget(world);
    checks::effects(world);
    checks::retries(world);
    checks::leases(world);
    if !world.wrongs().is_empty() {
        return;
    }
    world.calm_down();
    clean_up(&user, last).await;
}

/// Machines of somebody else at the same clouds.
fn others(world: &Arc<World>) {
    for number in 0..2 {
        let until = world.chance().below(20 * 3_600_000);
        let other = Machine {
            kept_until: Some(until),
            ..somebody_elses(&number.to_string())
        };
        world.machines().push(other);
    }
}

fn somebody_elses(name: &str) -> Machine {
    let token = Token {
        id: format!("{name:0>32}"),
        stage: "s0".into(),
        attempt: 1,
    };
    Machine {
        token,
        id: format!("other-{name}"),
        provider: "aws",
        job: "other".into(),
        lineage: "other".into(),
        place: PlaceName::parse("aws:us-east-1").unwrap(),
        instance_type: "box".into(),
        rate: Rate(1),
        nodes: 1,
        billing: Billing::default(),
        made_by: "elsewhere".into(),
        orphan: false,
        given_up: false,
        created: 0,
        ready: 0,
        lease_end: 0,
        lease_tag: String::new(),
        ended: None,
        taken: None,
        kept_until: None,
        kept_from: None,
        fetched: Default::default(),
        inputs: None,
        ahead_ms: 0,
        command: None,
        collected_by: Vec::new(),
        locked_from: None,
    }
}

/// What a sweep of the user's finds, and what becomes of it while the question waits: a machine of
/// somebody else whose lease is long over, and whose owner may come back; and a bucket of the
/// user's that is in no state, and to which somebody may write.
async fn strays(user: &User, machine: usize) -> String {
    let world = &user.world;
    let (now, asked) = (world.now(), world.case.question_ms);
    let overdue = Machine {
        lease_tag: (simulation::time(now) - OVERDUE).to_string(),
        kept_from: Some(now + world.chance().below(2 * asked + 1000)),
        kept_until: Some(u64::MAX),
        ..somebody_elses("overdue")
    };
    world.machines().push(overdue);
    let lineage = user.lineage(machine).await;
    let place = PlaceName::parse("aws:us-east-1").unwrap();
    let address = format!(
        "s3://{}",
        bucket_name::new(&place, &lineage, world.case.seed)
    );
    let content = std::iter::once(("key/0".to_owned(), vec![0]));
    world.buckets().insert(address.clone(), content.collect());
    let at = Duration::from_millis(world.chance().below(2 * asked + 1000));
    let (writer, bucket) = (world.clone(), address.clone());
    tokio::spawn(async move {
        tokio::time::sleep(at).await;
        if let Some(objects) = writer.buckets().get_mut(&bucket) {
            objects.insert("key/1".to_owned(), vec![1]);
            writer.stray_written.store(true, Ordering::Relaxed);
        }
    });
    address
}

/// So long ago the lease of a machine ended whose owner may come back.
const OVERDUE: SignedDuration = SignedDuration::from_mins(40);

/// The user gives up while things go wrong: what can be deleted is, whatever cannot.
async fn give_up(user: &Arc<User>, machine: usize) {
    let world = &user.world;
    // What a killed process has asked for may still be made; a `sweep` finds what is made after a
    // `destroy`.
    tokio::time::sleep(CALL).await;
    let mut destroyed = user.destroy(machine).await;
    if destroyed
        .as_ref()
        .is_err_and(|why| why.contains("locked by another"))
    {
        tokio::time::sleep(world.case.lock_lease * 30).await;
        destroyed = user.destroy(machine).await;
    }
    // Each call is made a few times; where all of them were lost, the message says to destroy
    // again.
    let passes = [Trouble::LostCalls, Trouble::Throttling, Trouble::StoreFails]
        .iter()
        .any(|trouble| world.case.has(*trouble));
    for _ in 0..3 {
        if passes && destroyed.is_err() {
            destroyed = user.destroy(machine).await;
        }
    }
    let stuck = |stage: &str| world.case.has(Trouble::DeletionsFail) && stage == "s0";
    for stage in checks::living(world) {
        if !stuck(&stage) {
            world.wrong(format!(
                "after a destroy the machine of stage.{stage} is left: {destroyed:?}"
            ));
        }
    }
    if destroyed.is_err() && !world.case.has(Trouble::DeletionsFail) {
        world.wrong(format!("a destroy failed for no reason: {destroyed:?}"));
    }
}

/// Nothing goes wrong any more: applied again and again, the job comes to its end.
async fn finish(user: &Arc<User>, machine: usize) {
    let world = &user.world;
    let calm = Run {
        verb: Verb::Apply,
        parallelism: None,
        kill_in_snapshot: None,
        machine,
        kill_after_ms: None,
        signal_after_ms: None,
        pause_ms: None,
        overlap_ms: None,
        gap_ms: 0,
    };
    // Each apply may meet one failure of a command that fails a few times before it ends well.
    let failures: u32 = world
        .case
        .stages
        .iter()
        .map(|stage| stage.fails_first)
        .sum();
    for _ in 0..8 + failures {
        match user.run(&calm).await {
            Ended::Exited(Exit::Success, _, _) => return checks::outputs(user, machine),
            Ended::Exited(Exit::Locked, _, _) => {
                tokio::time::sleep(world.case.lock_lease * 30).await
            }
            Ended::Exited(_, _, Some(outcome)) => {
                let expected = |name: &str, one: &StageOutcome| match one {
                    StageOutcome::Done | StageOutcome::Unchanged | StageOutcome::Skipped { .. } => {
                        true
                    }
                    StageOutcome::NotBegun { .. } => world.case.budget.is_some(),
                    StageOutcome::Denied { .. } => world.case.budget.is_some(),
                    StageOutcome::Failed { .. } => {
                        let fails = |stage: &Stage| stage.code != 0 || stage.oversized;
                        world.case.stage(name).is_some_and(fails)
                    }
                    StageOutcome::Interrupted => false,
                };
                if outcome.stages.iter().all(|(name, one)| expected(name, one)) {
                    return;
                }
                // What was begun in worse times may fail once more.
                world.tell("once more");
            }
            Ended::Exited(exit, why, None) => {
                world.tell(&format!("once more after {exit:?} {why}"))
            }
            Ended::Killed => return,
        }
    }
    world.wrong("the job does not come to its end although nothing is in its way".to_owned());
}

/// Everything is deleted.
async fn clean_up(user: &Arc<User>, machine: usize) {
    let world = &user.world;
    let question = Duration::from_millis(world.case.question_ms);
    if let Err(why) = user.destroy(machine).await {
        world.wrong(format!("a destroy failed for no reason: {why}"));
    }
    // Calls that are still on their way arrive.
    tokio::time::sleep(Duration::from_secs(120)).await;
    let stray = strays(user, machine).await;
    if let Err(why) = user.sweep(machine, question).await {
        world.wrong(format!("a sweep failed for no reason: {why}"));
    }
    checks::swept(world, &stray);
    // What was in use while the question waited is not any more.
    if let Err(why) = user.sweep(machine, Duration::ZERO).await {
        world.wrong(format!("a sweep failed for no reason: {why}"));
    }
    for stage in checks::living(world) {
        world.wrong(format!(
            "after destroy and sweep the machine of stage.{stage} is left"
        ));
    }
    for address in world.buckets().keys() {
        world.wrong(format!(
            "after destroy and sweep the bucket {address} is left"
        ));
    }
    checks::budget(world);
}
