//! The list of alternatives: what is unavailable is taken elsewhere, within policy, deadline and
//! budget.

use super::ground::{BUDGET, Ground, JOB, On};
use crate::execution::apply::place::{Row, ended};
use sky::execution::state::Status;
use sky::model::{Extras, Millis, Money, PlaceName, Purchase, Rate};
use sky::plan::{Alternative, Plan, PlannedCheckpoint};

fn alternative(place: &str, instance_type: &str) -> Alternative {
    Alternative {
        place: PlaceName::parse(place).unwrap(),
        instance_type: instance_type.into(),
        purchase: Purchase::OnDemand,
        tee: None,
        rate_nano_usd_per_hour: Rate(4_200_000_000),
        total_cost_micro_usd: Money(400_000),
        makespan_ms: Millis(300_000),
        country: Some("US".into()),
        accelerator: None,
        usage: None,
        billing: Default::default(),
        duration_ms: Millis(60_000),
        boot_ms: Millis(0),
        extras: Extras::default(),
        cost_micro_usd: Money(70_000),
        counted_with_others: false,
    }
}

fn with_alternatives(plan: &mut Plan) {
    for stage in &mut plan.stages {
        stage.alternatives = vec![
            alternative("aws:us-west-2", "m2.small"),
            alternative("gcp:europe-west4", "n1"),
        ];
    }
}

#[test]
fn stockouts_and_quotas_take_the_next_alternative() {
    for fault in ["stockout", "quota"] {
        let ground = Ground::with(On::Sim, &JOB, with_alternatives);
        ground.faults(&format!(
            "[[faults]]\ncall = \"create\"\nplace = \"aws:*\"\nstage = \"b\"\nfault = \"{fault}\"\n\
             [[faults]]\ncall = \"create\"\nplace = \"aws:us-east-1\"\nstage = \"c\"\nfault = \"{fault}\""
        ));
        let said = ended(&ground.apply(&["--json"]), 0);
        let decided: Vec<u64> = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|line| line["type"] == "failover")
            .map(|line| line["hook"]["decided_us"].as_u64().unwrap())
            .collect();
        assert!(
            decided.len() == 3 && decided.iter().all(|micros| *micros < 1_000_000),
            "{decided:?}"
        );
        let state = ground.state();
        let place = |stage: &str| state.stages[stage].place.to_string();
        assert_eq!(
            [place("b"), place("c"), place("e")],
            ["gcp:europe-west4", "aws:us-west-2", "aws:us-east-1"]
        );
        assert_eq!(state.stages["b"].rented.as_ref().unwrap().alternative, 2);
        assert_eq!(state.exhausted.len(), 3);
        ground.check_done(fault, 1);
    }
}

#[test]
fn an_alternative_that_would_be_late_is_passed_over() {
    let ground = Ground::with(On::Sim, &JOB, |plan| {
        with_alternatives(plan);
        plan.stages[1].alternatives[0].duration_ms = Millis(3_600_000);
        plan.limits.deadline_ms = Some(Millis(1_200_000));
    });
    ground.faults("[[faults]]\ncall = \"create\"\nplace = \"aws:us-east-1\"\nstage = \"b\"\nfault = \"stockout\"");
    ended(&ground.apply(&[]), 0);
    assert_eq!(
        ground.state().stages["b"].place.to_string(),
        "gcp:europe-west4"
    );
    ground.check_done("late", 1);
}

#[test]
fn an_alternative_that_is_counted_with_others_needs_them_where_they_are_planned() {
    let ground = Ground::with(On::Sim, &JOB, |plan| {
        with_alternatives(plan);
        plan.stages
            .iter_mut()
            .filter(|stage| stage.name == "d")
            .for_each(|stage| {
                stage
                    .alternatives
                    .iter_mut()
                    .for_each(|alternative| alternative.counted_with_others = true);
            });
    });
    let out = |stage: &str| {
        format!(
            "[[faults]]\ncall = \"create\"\nstage = \"{stage}\"\ntimes = 1\nfault = \"stockout\"\n"
        )
    };
    ground.faults(&format!("{}{}", out("b"), out("d")));
    let said = ended(&ground.apply(&[]), 7);
    assert!(
        said.contains("counts it together with stage.b, which is elsewhere than planned"),
        "{said}"
    );
    assert!(said.contains("sky plan JOB --from-state"), "{said}");
    // Alone, it may.
    let ground = Ground::with(On::Sim, &JOB, |plan| {
        with_alternatives(plan);
        plan.stages[3]
            .alternatives
            .iter_mut()
            .for_each(|alternative| alternative.counted_with_others = true);
    });
    ground.faults(&out("d"));
    ended(&ground.apply(&[]), 0);
    ground.check_done("alone", 1);
}

#[test]
fn an_alternative_that_the_budget_does_not_allow_is_not_taken() {
    let ground = Ground::with(On::Sim, &JOB, |plan| {
        with_alternatives(plan);
        for stage in &mut plan.stages {
            stage.alternatives.truncate(1);
            stage.alternatives[0].rate_nano_usd_per_hour = Rate(100_000_000_000);
        }
    });
    ground.faults("[[faults]]\ncall = \"create\"\nplace = \"aws:us-east-1\"\nstage = \"b\"\nfault = \"stockout\"");
    let said = ended(&ground.apply(&[]), 4);
    assert!(
        said.contains("the budget of") && said.contains("denied"),
        "{said}"
    );
    assert!(ground.state().spent_micro_usd <= BUDGET);
    ground.check_nothing_left("dear alternative");
}

#[test]
fn when_nothing_is_to_be_had_the_rest_goes_on_and_the_way_out_is_said() {
    let ground = Ground::with(On::Sim, &JOB, with_alternatives);
    ground.faults("[[faults]]\ncall = \"create\"\nstage = \"b\"\nfault = \"stockout\"");
    let said = ended(&ground.apply(&[]), 7);
    for words in [
        "so is every alternative of the plan",
        "n1 at gcp:europe-west4: sim: create for stage.b: no capacity",
        "stage.e: done",
        "stage.c: done",
        "hint: plan the rest from here",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert_eq!(ground.state().exhausted.len(), 3);
    // The next day there is capacity again, as planned.
    ground.faults("");
    ended(&ground.apply(&[]), 0);
    assert_eq!(
        ground.state().stages["b"].place.to_string(),
        "aws:us-east-1"
    );
    ground.check_done("the next day", 1);
}

/// Saves only when it is asked to end; the second time, there is not much to do.
pub(super) const SAVES_LATE: &str = "i=$(cat $SKY_CHECKPOINT/step 2>/dev/null || echo 0); echo \"from $i\" >> \"RAN\"; \
     trap 'echo $i > $SKY_CHECKPOINT/step; exit 0' TERM; \
     while [ $i -lt 200 ]; do sleep 0.02; i=$((i+1)); [ ! -e $SKY_CHECKPOINT/step ] || i=200; done; \
     echo $i > $SKY_OUTPUTS/o";

/// A plan of one stage with that command, and a machine that is taken away with a notice of so many
/// milliseconds.
pub(super) fn announced(notice: u64, saves: bool) -> Ground {
    let rows: [Row; 1] = [("train", &[], &["o"], SAVES_LATE)];
    let ground = Ground::with(On::Sim, &rows, |plan| {
        with_alternatives(plan);
        plan.stages[0].purchase = Purchase::Spot;
        let every_ms = Some(Millis(3_600_000));
        plan.stages[0].checkpoint = saves.then_some(PlannedCheckpoint {
            every_ms,
            bytes: sky::model::Bytes(1),
        });
    });
    ground.faults(&format!(
        "[[faults]]\ncall = \"status\"\nattempt = 1\nskip = 8\ntimes = 1\nfault = \"notice\"\ndelay_ms = {notice}"
    ));
    ground
}

#[test]
fn what_is_announced_is_saved_before() {
    let ground = announced(3000, true);
    let said = ended(&ground.apply(&[]), 0);
    assert!(
        said.contains("its cloud takes its machine away in") && said.contains("until then"),
        "{said}"
    );
    assert!(
        said.contains("is being taken away; going on with m2.small at aws:us-west-2"),
        "{said}"
    );
    let ran = ground.text("ran");
    let from: Vec<u32> = ran
        .lines()
        .map(|line| line.trim_start_matches("from ").parse().unwrap())
        .collect();
    assert!(from.len() == 2 && from[0] == 0 && from[1] > 0, "{ran}");
    assert_eq!(ground.text(".sky/artifacts/train/o"), "200\n");
    // That its command exited well when it was asked to end does not make it done.
    assert_eq!(
        (
            ground.state().stages["train"].attempt,
            ground.state().exhausted.len()
        ),
        (2, 1)
    );
    ground.check_nothing_left("announced");
}

#[test]
fn what_saves_nothing_may_get_done_in_the_time_that_is_left() {
    let ground = announced(60_000, false);
    let said = ended(&ground.apply(&["--json"]), 0);
    assert!(said.contains("it saves no progress"), "{said}");
    assert_eq!(
        (
            ground.text("ran").as_str(),
            ground.state().stages["train"].attempt
        ),
        ("from 0\n", 1)
    );
    ground.check_nothing_left("announced, done");
    // Or not.
    let ground = announced(300, false);
    let said = ended(&ground.apply(&[]), 0);
    assert!(
        said.contains("was taken away; going on with m2.small"),
        "{said}"
    );
    assert_eq!(
        (
            ground.text("ran").as_str(),
            ground.state().stages["train"].attempt
        ),
        ("from 0\nfrom 0\n", 2)
    );
    ground.check_nothing_left("announced, taken away");
}

#[test]
fn what_is_taken_away_goes_on_from_its_last_checkpoint() {
    let steps = "i=$(cat $SKY_CHECKPOINT/step 2>/dev/null || echo 0); echo \"from $i\" >> \"RAN\"; \
                 while [ $i -lt 12 ]; do sleep 0.05; i=$((i+1)); echo $i > $SKY_CHECKPOINT/step.tmp; \
                 mv $SKY_CHECKPOINT/step.tmp $SKY_CHECKPOINT/step; done; echo $i > $SKY_OUTPUTS/o";
    let rows: [Row; 1] = [("train", &[], &["o"], steps)];
    let ground = Ground::with(On::Sim, &rows, |plan| {
        with_alternatives(plan);
        plan.stages[0].purchase = Purchase::Spot;
        plan.stages[0].checkpoint = Some(PlannedCheckpoint {
            every_ms: Some(Millis(60)),
            bytes: sky::model::Bytes(1),
        });
    });
    // After some looks at it, the machine is taken away, and all that is on it.
    ground.faults("[[faults]]\ncall = \"status\"\nskip = 18\ntimes = 1\nfault = \"preempt\"");
    let said = ended(&ground.apply(&[]), 0);
    assert!(
        said.contains("taken away") && said.contains("going on with m2.small at aws:us-west-2"),
        "{said}"
    );
    let ran = ground.text("ran");
    let from: Vec<u32> = ran
        .lines()
        .map(|line| line.trim_start_matches("from ").parse().unwrap())
        .collect();
    assert!(from.len() == 2 && from[0] == 0 && from[1] > 0, "{ran}");
    assert_eq!(ground.text(".sky/artifacts/train/o"), "12\n");
    let stage = ground.state().stages["train"].clone();
    assert_eq!(
        (stage.status, stage.attempt, stage.checkpoint),
        (Status::Done, 2, None)
    );
    ground.check_nothing_left("preempted");
}
