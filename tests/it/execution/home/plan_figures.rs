//! What else a plan says: alternatives, rates, time that is weighed, the format of before.

use super::*;

#[test]
fn a_stage_pinned_to_one_place_has_other_types_there_as_alternatives() {
    let job = [
        "[stages.pinned]\nneeds = { places = [\"x:frankfurt\"], cpus = 4 }\nduration = \"1 h\"\n",
        "[stages.exact]\nneeds = { places = [\"x:frankfurt\"], instance_types = [\"m2\"] }\nduration = \"1 h\"\n",
    ];
    let plan = plan(&job, "");
    let of = |name: &str| plan.stages.iter().find(|stage| stage.name == name).unwrap();
    let types: Vec<&str> = of("pinned")
        .alternatives
        .iter()
        .map(|other| other.instance_type.as_str())
        .collect();
    // In the order of cost, and none that has too little.
    assert_eq!(
        (of("pinned").instance_type.as_str(), types),
        ("m1", vec!["m2", "m3"])
    );
    assert!(
        of("pinned")
            .alternatives
            .iter()
            .all(|other| other.duration_ms == Millis(3_600_000))
    );
    assert!(
        of("exact").alternatives.is_empty(),
        "a stage that takes one type has no other"
    );
}

#[test]
fn alternatives_in_the_same_place_keep_quotas_and_deadlines() {
    let job =
        ["[stages.pinned]\nneeds = { places = [\"x:frankfurt\"], cpus = 4 }\nduration = \"1 h\"\n"];
    let plan = plan(&job, "[quotas]\nx = { cpus = 8 }\n");
    let types: Vec<&str> = plan.stages[0]
        .alternatives
        .iter()
        .map(|other| other.instance_type.as_str())
        .collect();
    assert_eq!(types, ["m2"]);
    let over = planned(&case(&job, "[limits]\nbudget = \"$2.50\"\n")).unwrap();
    assert_eq!(over.stages[0].alternatives.len(), 1);
}

#[test]
fn a_plan_that_weighs_time_says_so() {
    assert_eq!(
        plan(&PERSONAL, "[objective]\nweights = { time = 2 }\n").objective,
        PlannedObjective::Weighted
    );
    assert_eq!(plan(&PERSONAL, "").objective, PlannedObjective::Cost);
    assert_eq!(
        plan(&PERSONAL, "[objective]\nminimize = \"time\"\n").objective,
        PlannedObjective::Time
    );
}

#[test]
fn a_transfer_that_costs_something_has_a_rate() {
    // 40 of 160 GB are free: the rest of the month's allowance.
    let job = [
        "[stages.a]\nneeds = { places = [\"x:frankfurt\"] }\nwrites = { o = \"160 GB\" }\nduration = \"1 h\"\n",
    ];
    let plan = plan(&job, "[accounts.x]\nused_this_month = \"60 GB\"\n");
    let home = homeward(&plan)[0];
    assert_eq!(
        (home.cost_micro_usd, home.rate_nano_usd_per_gb.0),
        (Money(10_800_000), 90_000_000)
    );
}

#[test]
fn the_graph_counts_a_transfer_once_and_shows_the_way_home() {
    let reader = |name: &str| {
        format!(
            "[stages.{name}]\nreads = [\"d\"]\nneeds = {{ places = [\"y:paris\"] }}\nwrites = {{ o = \"1 GB\" }}\nduration = \"1 h\"\n"
        )
    };
    let job = [
        "[datasets.d]\nat = \"x:frankfurt\"\nsize = \"100 GB\"\n",
        &reader("one"),
        &reader("two"),
    ];
    let drawn = graph::dot(&graph::of_plan(&plan(&job, "")));
    assert_eq!(drawn.matches("$9.00").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("same copy").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("-> \"home\"").count(), 2, "{drawn}");
}

/// A time limit that was over before the planning began.
struct LimitIsOver;

impl SolveMonitor for LimitIsOver {
    fn should_stop(&self) -> bool {
        true
    }

    fn remaining_seconds(&self) -> Option<f64> {
        Some(-1.0)
    }
}

#[test]
fn a_time_limit_that_is_over_ends_the_planning_with_what_there_is() {
    let case = case(&PERSONAL, "[limits]\ndeadline = \"9 h\"\n");
    let effort = Effort {
        monitor: Monitor::new(LimitIsOver),
        ..Effort::default()
    };
    let settings = Settings {
        effort,
        compare: true,
    };
    let plan = planning::plan(&case.job(), &case.policy(), &case.catalog(), &settings).unwrap();
    assert!(plan.solver.time_limited && plan.single_cloud.is_none());
    assert_eq!(plan.transfers.len(), 1, "the rules hold all the same");
}

/// Plans of earlier formats say nothing of where outputs go: they are read and shown as they were.
#[test]
fn a_plan_of_format_1_2_is_still_read() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plans/format-1.2.json");
    let plan = file::read(&path).unwrap();
    assert_eq!(
        (plan.format_version.as_str(), plan.objective),
        ("1.2", PlannedObjective::Cost)
    );
    assert!(
        plan.stages
            .iter()
            .all(|stage| stage.outputs.is_empty() && stage.kept_from_home_by.is_none())
    );
    assert!(
        plan.transfers
            .iter()
            .all(|copy| copy.bits_per_second == 0 && !copy.assumed_speed)
    );
    // Its digest is that of its members, which the new ones leave as they were.
    assert_eq!(file::self_digest(&plan).ok(), plan.digest);
    assert!(plan_text::text(&plan, None).contains("$39.74"));
}
