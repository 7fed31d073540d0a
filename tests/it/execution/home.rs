//! Where results go: bringing them home is a transfer like any other, with a price, a time and the
//! policy's rules.

use crate::support::case::Case;
use crate::support::sandbox::Sandbox;
use sky::model::{ArtifactRef, Destination, Millis, Money, PlaceName};
use sky::plan::{Plan, PlannedObjective, PlannedTransfer, file};
use sky::planning::compile::Refusal;
use sky::planning::solve::{Effort, Monitor, SolveMonitor};
use sky::planning::{self, NoPlan, Settings};
use sky::render::{graph, plan_text};
use std::process::Command;

/// Three places of two clouds; egress costs $0.09 a GB, and nobody has measured any way.
fn case(job: &[&str], policy: &str) -> Case {
    let rows = |text: &str| text.lines().map(str::to_owned).collect();
    Case {
        catalog: vec![
            (
                "places.csv",
                "place,country,location,operator,us_cloud_act,class",
                rows(
                    "x:frankfurt,DE,Somewhere,Operator,yes,\nx:virginia,US,Somewhere,Operator,yes,\ny:paris,FR,Somewhere,Other,no,",
                ),
            ),
            (
                "machines.csv",
                "cloud,instance_type,vcpus,memory_gib,accelerator,count,arch",
                rows(
                    "x,m1,4,16,,,x86_64\nx,m2,8,32,,,x86_64\nx,m3,16,64,,,x86_64\nx,m4,2,8,,,x86_64\ny,n1,4,16,,,x86_64",
                ),
            ),
            (
                "prices.csv",
                "place,instance_type,on_demand,source,spot,spot_source",
                rows(
                    "x:frankfurt,m1,1.00,s,,\nx:frankfurt,m2,2.00,s,,\nx:frankfurt,m3,4.00,s,,\nx:frankfurt,m4,0.50,s,,\n\
                     x:virginia,m1,1.10,s,,\ny:paris,n1,1.20,s,,",
                ),
            ),
            (
                "egress.csv",
                "from,to,usd_per_gb,above_gb,source",
                rows("x:*,internet,0.09,0,s\nx:*,x:*,0.02,0,s\ny:*,internet,0.09,0,s"),
            ),
            (
                "clouds.csv",
                "cloud,increment_s,minimum_s,boot_s,free_egress_gb,storage_usd_per_gb_month,source",
                rows("x,1,60,0,100,0.10,s"),
            ),
        ],
        job: job.iter().map(|table| (*table).to_owned()).collect(),
        policy: policy.to_owned(),
    }
}

/// 1 TB of personal data in Frankfurt, and a stage that makes as much of it.
const PERSONAL: [&str; 2] = [
    "[datasets.people]\nat = \"x:frankfurt\"\nsize = \"1 TB\"\nlabels = [\"personal\"]\n",
    "[stages.train]\nreads = [\"people\"]\nwrites = { model = \"1 TB\" }\nneeds = { cpus = 4 }\nduration = \"1 h\"\n",
];
const EU: &str = "[residency]\npersonal = [\"EU\"]\n";

fn planned(case: &Case) -> Result<Plan, NoPlan> {
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan = planning::plan(&case.job(), &case.policy(), &case.catalog(), &settings)?;
    let text = file::encode(&plan).unwrap();
    let wrong = planning::verify(&plan, &text, &case.job(), &case.policy(), &case.catalog());
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(plan)
}

fn plan(job: &[&str], policy: &str) -> Plan {
    planned(&case(job, policy)).unwrap_or_else(|error| panic!("{error:#?}"))
}

fn homeward(plan: &Plan) -> Vec<&PlannedTransfer> {
    plan.transfers
        .iter()
        .filter(|copy| copy.to == PlaceName::here())
        .collect()
}

fn with(outputs: &str) -> Vec<String> {
    PERSONAL
        .iter()
        .map(|table| (*table).to_owned())
        .chain([format!("[outputs]\n{outputs}\n")])
        .collect()
}

fn sent(outputs: &str, policy: &str) -> Result<Plan, NoPlan> {
    let job = with(outputs);
    planned(&case(
        &job.iter().map(String::as_str).collect::<Vec<_>>(),
        policy,
    ))
}

#[test]
fn bringing_a_result_home_is_priced_timed_and_in_the_plan() {
    let plan = plan(&PERSONAL, "");
    let [home] = homeward(&plan)[..] else {
        panic!("{plan:#?}")
    };
    assert_eq!(
        (home.from.to_string(), home.cost_micro_usd),
        ("x:frankfurt".to_owned(), Money(90_000_000))
    );
    // 8 Tbit at the gigabit that is assumed.
    assert_eq!(
        (home.start_ms, home.duration_ms),
        (Millis(3_600_000), Millis(8_000_000))
    );
    assert!(home.assumed_speed && home.readers.is_empty());
    assert_eq!(plan.totals.egress_micro_usd, Money(90_000_000));
    assert_eq!(plan.totals.makespan_ms, Millis(11_600_000));
    assert_eq!(plan.stages[0].outputs["model"], Destination::Home);
    let ways = plan
        .links
        .iter()
        .filter(|way| way.to == PlaceName::here())
        .count();
    assert!(ways > 0, "alternatives have a way home too");
}

#[test]
fn a_result_stays_where_a_rule_keeps_it_and_the_plan_says_so() {
    let plan = plan(&PERSONAL, EU);
    assert!(homeward(&plan).is_empty());
    assert_eq!(plan.stages[0].outputs["model"], Destination::There);
    assert_eq!(
        plan.stages[0].kept_from_home_by.as_deref(),
        Some("residency.personal")
    );
    assert_eq!(plan.totals.cost_micro_usd, Money(1_000_000));
    let said = plan
        .warnings
        .iter()
        .find(|warning| warning.contains("train.model"))
        .unwrap();
    assert!(
        said.contains("residency.personal") && said.contains("country = \"DE\""),
        "{said}"
    );
}

#[test]
fn a_declared_country_lets_results_come_home() {
    for (home, comes) in [("DE", true), ("FR", true), ("US", false)] {
        let plan = plan(&PERSONAL, &format!("{EU}[home]\ncountry = \"{home}\"\n"));
        assert_eq!(homeward(&plan).len(), usize::from(comes), "{home}");
    }
}

#[test]
fn every_rule_keeps_results_from_a_machine_that_declares_nothing() {
    for policy in [
        EU,
        "[operators]\nus_cloud_act = \"exclude\"\n",
        "[operators]\ndeny = [\"Nobody*\"]\n",
        "[operators]\nallow = [\"O*\"]\n",
    ] {
        // Data without labels, as far as the rule is about all data.
        let job = "[stages.a]\nwrites = { o = \"1 GB\" }\nduration = \"1 h\"\n";
        let job: Vec<&str> = if policy == EU {
            PERSONAL.to_vec()
        } else {
            vec![job]
        };
        match planned(&case(&job, policy)) {
            Ok(plan) => assert!(homeward(&plan).is_empty(), "{policy}"),
            Err(NoPlan::Refused(Refusal::NoCandidates(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_the_job_sends_home_against_a_rule_is_no_plan_and_names_both() {
    let refused = sent("\"train.model\" = \"home\"", EU).unwrap_err();
    let NoPlan::Refused(Refusal::HomeForbidden(outputs)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (outputs[0].output.as_str(), outputs[0].rule.as_str()),
        ("train.model", "residency.personal")
    );
    assert!(
        sent("train.model = \"home\"", "").is_ok(),
        "a key may be written without quotes"
    );
}

#[test]
fn what_the_job_leaves_there_costs_nothing_to_move() {
    let plan = sent("\"train.model\" = \"there\"", "").unwrap();
    assert!(
        homeward(&plan).is_empty() && plan.warnings.is_empty(),
        "{:?}",
        plan.warnings
    );
    assert_eq!(plan.totals.cost_micro_usd, Money(1_000_000));
}

#[test]
fn what_is_read_may_be_sent_home_too() {
    let job = [
        PERSONAL[0],
        PERSONAL[1],
        "[stages.next]\nreads = [\"train.model\"]\nduration = \"1 h\"\n",
    ];
    assert!(homeward(&plan(&job, "")).is_empty());
    let sent = [&job[..], &["[outputs]\ntrain.model = \"home\"\n"]].concat();
    assert_eq!(
        homeward(&plan(&sent, ""))[0].cost_micro_usd,
        Money(90_000_000)
    );
}

#[test]
fn the_way_home_counts_in_budget_and_deadline() {
    for limit in ["budget = \"$50\"", "deadline = \"2 h\""] {
        let refused = planned(&case(&PERSONAL, &format!("[limits]\n{limit}\n"))).unwrap_err();
        assert!(matches!(refused, NoPlan::Infeasible(_)), "{refused:?}");
        let there = sent("train.model = \"there\"", &format!("[limits]\n{limit}\n"));
        assert!(there.is_ok(), "{limit}");
    }
}

#[test]
fn every_copy_of_a_stage_sends_its_output_where_the_job_says() {
    let job = ["[stages.sweep]\ncount = 3\nwrites = { o = \"1 GB\" }\nduration = \"1 h\"\n"];
    assert_eq!(homeward(&plan(&job, "")).len(), 3);
    let there = [job[0], "[outputs]\nsweep.o = \"there\"\n"];
    assert!(homeward(&plan(&there, "")).is_empty());
}

#[test]
fn storage_of_what_nobody_reads_is_priced_like_other_storage() {
    let policy = "[storage]\nkeep = \"365 h\"\n";
    // A TB for half a month at $0.10 a GB and month.
    assert_eq!(
        sent("train.model = \"there\"", policy)
            .unwrap()
            .totals
            .storage_micro_usd,
        Money(50_000_000)
    );
    assert_eq!(
        plan(&PERSONAL, policy).totals.storage_micro_usd,
        Money(50_000_000)
    );
}

#[test]
fn copies_from_this_machine_share_its_link_and_the_policy_may_declare_its_speed() {
    let job = |datasets: usize| -> Vec<String> {
        (0..datasets)
            .map(|number| {
                format!(
                    "[datasets.d{number}]\npath = \"d{number}\"\nsize = \"1 GB\"\n\
                     [stages.s{number}]\nreads = [\"d{number}\"]\nduration = \"1 h\"\n"
                )
            })
            .collect()
    };
    let duration = |datasets: usize, policy: &str| {
        let job = job(datasets);
        let plan = plan(&job.iter().map(String::as_str).collect::<Vec<_>>(), policy);
        let first = plan.transfers.first().unwrap().clone();
        (
            first.duration_ms,
            first.assumed_speed,
            first.bits_per_second,
        )
    };
    assert_eq!(duration(1, ""), (Millis(8_000), true, 1_000_000_000));
    assert_eq!(duration(2, ""), (Millis(16_000), true, 1_000_000_000));
    let home = "[home]\nuplink = \"200 Mbit/s\"\n";
    assert_eq!(duration(1, home), (Millis(40_000), false, 200_000_000));
    assert_eq!(duration(3, home), (Millis(120_000), false, 200_000_000));
}

#[test]
fn results_that_come_home_share_the_link_of_this_machine() {
    let job = ["[stages.sweep]\ncount = 4\nwrites = { o = \"1 GB\" }\nduration = \"1 h\"\n"];
    let plan = plan(
        &job,
        "[home]\nuplink = \"100 Mbit/s\"\ndownlink = \"1 Gbit/s\"\n",
    );
    assert!(
        homeward(&plan)
            .iter()
            .all(|copy| copy.duration_ms == Millis(32_000) && !copy.assumed_speed)
    );
}

#[test]
fn assumed_speeds_are_marked_in_the_plan() {
    let text = plan_text::text(&plan(&PERSONAL, ""), None);
    assert!(
        text.contains("~2 h 13 m") && text.contains("~ at an assumed 1 Gbit/s"),
        "{text}"
    );
    let declared = plan_text::text(&plan(&PERSONAL, "[home]\nuplink = \"1 Gbit/s\"\n"), None);
    assert!(!declared.contains('~'), "{declared}");
}

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

#[test]
fn outputs_that_do_not_exist_and_destinations_that_are_none_are_errors() {
    for (outputs, message) in [
        ("\"train.modle\" = \"home\"", "did you mean `train.model`?"),
        ("\"people\" = \"home\"", "is a dataset"),
        (
            "\"train[0].model\" = \"home\"",
            "names one of several copies",
        ),
        (
            "\"train.model\" = \"s3://bucket/key\"",
            "not supported as a destination yet",
        ),
        ("\"train.model\" = \"away\"", "is not a destination"),
    ] {
        let text = format!("name = \"case\"\n{}", with(outputs).join("\n"));
        // With the hints.
        let found = format!(
            "{:?}",
            sky::spec::job::parse("job.toml", &text).unwrap_err()
        );
        assert!(found.contains(message), "{outputs}: {found}");
    }
    assert_eq!(
        ArtifactRef::from("train.model".to_owned()).to_string(),
        "train.model"
    );
}

/// `sky` in a folder with these files.
fn sky(sandbox: &Sandbox, args: &[&str]) -> (i32, String) {
    let output = Command::output(sandbox.sky(args).env("NO_COLOR", "1")).unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), text)
}

fn folder(case: &Case) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "catalog/catalog.toml",
        "format = 1\n[sources.s]\ndate = \"2026-01-01\"\nabout = \"made up\"\n",
    );
    for (name, header, rows) in &case.catalog {
        sandbox.write(
            &format!("catalog/{name}"),
            &format!("{header}\n{}\n", rows.join("\n")),
        );
    }
    sandbox.write(
        "job.toml",
        &format!("name = \"case\"\n{}", case.job.join("\n")),
    );
    sandbox.write("policy.toml", &case.policy);
    sandbox
}

const PLAN: [&str; 4] = ["plan", "job.toml", "--catalog", "catalog"];

#[test]
fn no_plan_names_the_rule_the_output_and_the_way_out() {
    let job = with("\"train.model\" = \"home\"");
    let sandbox = folder(&case(
        &job.iter().map(String::as_str).collect::<Vec<_>>(),
        EU,
    ));
    let (code, text) = sky(&sandbox, &PLAN);
    assert_eq!(code, 3, "{text}");
    for part in [
        "`train.model`",
        "residency.personal",
        "country of this machine is not declared",
        "\"there\"",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

/// Without the residency rule the result could come home, which costs more than the budget. That
/// is not a reason to blame the budget alone.
#[test]
fn lines_that_clash_are_those_of_the_same_work() {
    let case = case(
        &PERSONAL,
        "[residency]\npersonal = [\"FR\"]\n[limits]\nbudget = \"$50\"\n",
    );
    let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
    let found = planning::conflict(&job, &policy, &catalog, &Effort::default()).unwrap();
    let mut lines: Vec<(&str, bool)> = found
        .constraints
        .iter()
        .map(|clashing| (clashing.constraint.key.as_str(), clashing.enough))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [("limits.budget", true), ("residency.personal", true)]
    );
}

#[test]
fn a_way_without_a_price_is_named_before_any_rule() {
    let job = [
        "[datasets.d]\nat = \"y:paris\"\nsize = \"1 GB\"\nlabels = [\"personal\"]\n",
        "[stages.a]\nreads = [\"d\"]\nneeds = { instance_types = [\"m*\"] }\nduration = \"1 h\"\n",
    ];
    let mut case = case(&job, "[residency]\npersonal = [\"DE\"]\n");
    case.catalog
        .iter_mut()
        .filter(|(name, ..)| *name == "egress.csv")
        .for_each(|(_, _, rows)| {
            rows.retain(|row| !row.starts_with("y:"));
        });
    let (code, text) = sky(&folder(&case), &PLAN);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("no egress price to bring `d` from y:paris, where it lies"),
        "{text}"
    );
    assert!(
        !text.contains("deadline") && !text.contains("budget"),
        "{text}"
    );
}

#[test]
fn more_cards_than_a_machine_has_are_answered_with_a_gang() {
    let job = ["[stages.train]\nneeds = { accelerators = [\"H100:64\"] }\nduration = \"1 h\"\n"];
    let mut case = case(&job, "");
    for (name, _, rows) in &mut case.catalog {
        match *name {
            "machines.csv" => rows.extend(
                ["x,g8,64,512,H100,8,x86_64", "x,i1,4,16,Inferentia,1,x86_64"].map(str::to_owned),
            ),
            "prices.csv" => {
                rows.extend(
                    ["x:frankfurt,g8,90.00,s,,", "x:frankfurt,i1,0.10,s,,"].map(str::to_owned),
                );
            }
            _ => {}
        }
    }
    let (code, text) = sky(&folder(&case), &PLAN);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("accelerators = [\"H100:8\"] and nodes = 8"),
        "{text}"
    );
    assert!(!text.contains("Inferentia"), "{text}");
}

#[test]
fn a_plan_given_as_a_job_is_one_message() {
    let sandbox = folder(&case(&PERSONAL, ""));
    assert_eq!(
        sky(&sandbox, &[&PLAN[..], &["--out", "plan.json"]].concat()).0,
        0
    );
    sandbox.write("job.yaml", "name: bert\nstages:\n  train:\n    run: x\n");
    for (file, what) in [
        ("plan.json", "is a plan that was made already"),
        ("job.yaml", "is a YAML file"),
    ] {
        let (code, text) = sky(&sandbox, &["plan", file, "--catalog", "catalog"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(what) && text.lines().count() <= 4, "{text}");
    }
}

#[test]
fn a_round_trip_bound_of_milliseconds_is_printed_as_it_is() {
    let job = [
        "[stages.a]\nneeds = { cpus = 4096, latency = { to = \"DE\", at_most = \"20 ms\" } }\nduration = \"1 h\"\n",
    ];
    let (code, text) = sky(&folder(&case(&job, "")), &PLAN);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("20 ms") && !text.contains("0.1 s"), "{text}");
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

/// As [`case`], with a place whose cloud has no price for what leaves it.
fn with_unpriced_place(job: &[&str], policy: &str) -> Case {
    let mut case = case(job, policy);
    let mut add = |table: &str, row: &str| {
        let (_, _, rows) = case
            .catalog
            .iter_mut()
            .find(|(name, ..)| *name == table)
            .unwrap();
        rows.push(row.to_owned());
    };
    add("places.csv", "z:oslo,NO,Somewhere,Third,no,");
    add("machines.csv", "z,o1,64,256,,,x86_64");
    add("prices.csv", "z:oslo,o1,9.00,s,,");
    case
}

const MADE: &str = "[stages.train]\nwrites = { model = \"1 GB\" }\nduration = \"1 h\"\n";

#[test]
fn a_result_comes_home_from_a_priced_place_also_where_another_place_would_be_cheaper() {
    let mut case = with_unpriced_place(&[MADE], "");
    let (_, _, rows) = case
        .catalog
        .iter_mut()
        .find(|(name, ..)| *name == "prices.csv")
        .unwrap();
    *rows.last_mut().unwrap() = "z:oslo,o1,0.01,s,,".to_owned();
    let plan = planned(&case).unwrap();
    assert_eq!(
        (plan.stages[0].place.to_string(), homeward(&plan).len()),
        ("x:frankfurt".to_owned(), 1)
    );
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn a_result_that_no_plan_can_bring_home_stays_and_the_plan_says_so() {
    // Machines of so many vCPUs are in both, but the data can only be read where it lies.
    let stage = |needs: &str| {
        format!(
            "[stages.train]\nreads = [\"people\"]\nwrites = {{ model = \"1 GB\" }}\nneeds = {{ {needs} }}\nduration = \"1 h\"\n"
        )
    };
    let data = "[datasets.people]\nat = \"z:oslo\"\nsize = \"1 GB\"\n";
    let plan = planned(&with_unpriced_place(&[data, &stage("cpus = 4")], "")).unwrap();
    assert_eq!(plan.stages[0].place.to_string(), "z:oslo");
    assert!(homeward(&plan).is_empty());
    assert_eq!(plan.stages[0].outputs["model"], Destination::There);
    let said = plan
        .warnings
        .iter()
        .find(|warning| warning.starts_with("train.model stays"))
        .unwrap();
    assert!(
        said.contains("from some places only") && said.contains("`\"there\"`"),
        "{said}"
    );
    let shown = folder(&with_unpriced_place(&[data, &stage("cpus = 4")], ""));
    let (code, text) = sky(&shown, &["plan", "job.toml", "--catalog", "catalog"]);
    assert!(
        code == 0 && text.contains("train.model stays where it is made"),
        "{text}"
    );
    // What the job states itself is kept to: there is no plan.
    let stated = [
        data,
        &stage("cpus = 4"),
        "[outputs]\ntrain.model = \"home\"\n",
    ];
    assert!(matches!(
        planned(&with_unpriced_place(&stated, "")),
        Err(NoPlan::Infeasible(_))
    ));
}

#[test]
fn other_results_than_those_that_no_plan_can_bring_home_still_come() {
    let job = [
        "[datasets.people]\nat = \"z:oslo\"\nsize = \"1 GB\"\n",
        "[stages.train]\nreads = [\"people\"]\nwrites = { model = \"1 GB\" }\nduration = \"1 h\"\n",
        "[stages.other]\nneeds = { places = [\"x:frankfurt\"] }\nwrites = { o = \"1 GB\" }\nduration = \"1 h\"\n",
    ];
    let plan = planned(&with_unpriced_place(&job, "")).unwrap();
    let home: Vec<String> = homeward(&plan)
        .iter()
        .map(|copy| copy.artifact.to_string())
        .collect();
    assert_eq!(home, ["other.o"]);
}

#[test]
fn a_limit_that_only_the_way_home_breaks_is_answered_with_how_to_leave_results() {
    for limit in ["budget = \"$50\"", "deadline = \"2 h\""] {
        let sandbox = folder(&case(&PERSONAL, ""));
        sandbox.write("policy.toml", &format!("[limits]\n{limit}\n"));
        let (code, said) = sky(
            &sandbox,
            &[
                "plan",
                "job.toml",
                "--policy",
                "policy.toml",
                "--catalog",
                "catalog",
            ],
        );
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains("write `[outputs]` with `train.model = \"there\"`"),
            "{said}"
        );
    }
    // Not where leaving them would not help.
    let sandbox = folder(&case(&PERSONAL, ""));
    sandbox.write("policy.toml", "[limits]\nbudget = \"$0.01\"\n");
    let (code, said) = sky(
        &sandbox,
        &[
            "plan",
            "job.toml",
            "--policy",
            "policy.toml",
            "--catalog",
            "catalog",
        ],
    );
    assert_eq!(code, 3, "{said}");
    assert!(!said.contains("[outputs]"), "{said}");
}
