//! Where results go: bringing them home is a transfer like any other, with a price, a time and the
//! policy's rules.

mod messages;
mod plan_figures;

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
