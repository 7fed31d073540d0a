//! What is said where no plan can be made, or none that brings results home.

use super::*;

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
