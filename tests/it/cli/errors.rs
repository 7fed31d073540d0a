//! What sky says when it cannot go on, and how it ends. Each snapshot is one mistake in the
//! files of the BERT job.

use crate::support::sandbox::{Sandbox, stderr};
use insta_cmd::assert_cmd_snapshot;

const PLAN: [&str; 3] = ["plan", "--catalog", "catalog"];

/// A mistake: its name, the file, the text to replace, and what with.
type Mistake = (&'static str, &'static str, &'static str, &'static str);

/// Plans with one mistake at a time.
fn refuse(mistakes: &[Mistake], code: i32) {
    for (name, file, old, new) in mistakes {
        let sandbox = Sandbox::bert();
        sandbox.replace(file, old, new);
        let output = sandbox.run(&PLAN);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{name}: errors go to stderr");
        assert!(!sandbox.path("sky-crash.log").exists(), "{name}");
        assert_cmd_snapshot!(*name, sandbox.sky(&PLAN));
    }
}

#[test]
fn mistakes_in_a_job() {
    refuse(
        &[
            (
                "job_unknown_key",
                "job.toml",
                "duration = \"0.552 h\"",
                "duratoin = \"0.552 h\"",
            ),
            (
                "job_wrong_unit",
                "job.toml",
                "memory = \"32 GiB\"",
                "memory = \"32 GHz\"",
            ),
            ("job_no_unit", "job.toml", "tokens = \"1 GB\"", "tokens = 1"),
            (
                "job_cycle",
                "job.toml",
                "reads = [\"reviews\"]",
                "reads = [\"reviews\", \"train.model\"]",
            ),
            (
                "job_waits_for_itself",
                "job.toml",
                "nodes = 2",
                "after = [\"process\"]",
            ),
            (
                "job_missing_artifact",
                "job.toml",
                "\"process.tokens\"",
                "\"process.token\"",
            ),
            (
                "job_missing_stage",
                "job.toml",
                "\"train.model\"",
                "\"trian.model\"",
            ),
            (
                "job_negative",
                "job.toml",
                "tokens = \"1 GB\"",
                "tokens = \"-1 GB\"",
            ),
            (
                "job_nan",
                "job.toml",
                "duration = \"0.552 h\"",
                "duration = \"NaN h\"",
            ),
            ("job_zero_nodes", "job.toml", "nodes = 2", "nodes = 0"),
            ("job_bad_syntax", "job.toml", "nodes = 2", "nodes = = 2"),
            (
                "job_twice_the_same_key",
                "job.toml",
                "nodes = 2",
                "nodes = 2\nnodes = 3",
            ),
            (
                "job_unknown_environment",
                "job.toml",
                "\"sev-snp\"]",
                "\"sev-snip\"]",
            ),
            ("job_not_a_place", "job.toml", "azure:eastus", "eastus"),
        ],
        1,
    );
}

#[test]
fn mistakes_in_a_policy() {
    refuse(
        &[
            (
                "policy_unknown_country",
                "policy.toml",
                "[trust]",
                "[residency]\ndefault = [\"EU\", \"UK\"]\n[trust]",
            ),
            ("policy_unknown_table", "policy.toml", "[limits]", "[limit]"),
            (
                "policy_wrong_choice",
                "policy.toml",
                "\"cost\"",
                "\"price\"",
            ),
            ("policy_budget_without_unit", "policy.toml", "\"$60\"", "60"),
            (
                "policy_negative_budget",
                "policy.toml",
                "\"$60\"",
                "\"-$60\"",
            ),
            (
                "policy_cloud_in_capitals",
                "policy.toml",
                "[trust]",
                "[clouds]\ndeny = [\"AWS\"]\n[trust]",
            ),
            (
                "policy_place_without_cloud",
                "policy.toml",
                "[trust]",
                "[places]\ndeny = [\"eu-west-1\"]\n[trust]",
            ),
        ],
        1,
    );
}

#[test]
fn names_that_the_catalog_does_not_have() {
    refuse(
        &[
            (
                "unknown_accelerator",
                "job.toml",
                "[\"V100:4\", \"tpu-v3-8\"] }\nduration = { \"V100:4\" = \"8.4 h\", \"tpu-v3-8\" = \"4.049 h\" }",
                "[\"tpu-v4-8\"] }\nduration = \"4 h\"",
            ),
            (
                "unknown_place_of_a_dataset",
                "job.toml",
                "azure:eastus",
                "azure:eastsu",
            ),
        ],
        1,
    );
}

#[test]
fn mistakes_in_a_catalog() {
    refuse(
        &[
            ("catalog_bad_price", "catalog/prices.csv", "12.24", "12,24"),
            (
                "catalog_negative_price",
                "catalog/prices.csv",
                "12.24",
                "-12.24",
            ),
            (
                "catalog_unknown_place",
                "catalog/prices.csv",
                "aws:us-east-1",
                "aws:us-east-11",
            ),
            (
                "catalog_unknown_source",
                "catalog/prices.csv",
                "0.228,bert-2024-11",
                "0.228,bert-2024-12",
            ),
            (
                "catalog_unknown_country",
                "catalog/places.csv",
                "azure:eastus,US",
                "azure:eastus,UK",
            ),
            (
                "catalog_row_twice",
                "catalog/machines.csv",
                "gcp,tpu",
                "aws,inf1.xlarge,4,8,,,\ngcp,tpu",
            ),
            (
                "catalog_newer_format",
                "catalog/catalog.toml",
                "format = 1",
                "format = 2",
            ),
            (
                "catalog_bad_date",
                "catalog/catalog.toml",
                "2024-11-03\"\n",
                "3.11.2024\"\n",
            ),
        ],
        1,
    );
}

#[test]
fn jobs_without_a_plan() {
    let residency = "[residency]\ndefault = [\"EU\"]\n[trust]";
    let none_but = "[clouds]\nallow = [\"aws\"]\n[trust]";
    refuse(
        &[
            (
                "no_candidates_by_residency",
                "policy.toml",
                "[trust]",
                residency,
            ),
            ("no_candidates_by_cloud", "policy.toml", "[trust]", none_but),
            (
                "no_candidates_by_trust",
                "policy.toml",
                "personal = [\"sgx\", \"sev-snp\", \"tdx\"]",
                "default = [\"tdx\"]",
            ),
            (
                "no_machine_large_enough",
                "job.toml",
                "\"32 GiB\"",
                "\"4 TiB\"",
            ),
            (
                "limits_when_data_cannot_leave_a_cloud",
                "catalog/egress.csv",
                "azure:*,internet,0.0875,0,bert-2022-11\n",
                "",
            ),
            ("deadline_too_short", "policy.toml", "6 h", "90 m"),
            ("budget_too_low", "policy.toml", "$60", "$39.74"),
            (
                "deadline_and_budget",
                "policy.toml",
                "deadline = \"6 h\"\nbudget = \"$60\"",
                "deadline = \"2 h\"\nbudget = \"$20\"",
            ),
        ],
        3,
    );
}

#[test]
fn data_that_cannot_get_to_its_stage() {
    // No price is known for a way out of GCP, and only Azure has what the first stage needs.
    let sandbox = Sandbox::bert();
    sandbox.replace(
        "catalog/egress.csv",
        "gcp:*,internet,0.12,0,bert-2022-11\n",
        "",
    );
    sandbox.replace("job.toml", "azure:eastus", "gcp:us-central1");
    assert_cmd_snapshot!("no_way_for_the_data", sandbox.sky(&PLAN));
}

#[test]
fn an_unknown_alternative_is_a_warning() {
    let sandbox = Sandbox::bert();
    sandbox.replace("job.toml", "\"V100:4\"", "\"V1000:4\"");
    assert_cmd_snapshot!(
        "unknown_alternative",
        sandbox.sky(&[&PLAN[..], &["--markdown"]].concat())
    );
}

#[test]
fn what_a_message_about_a_limit_proposes_is_enough() {
    for (limit, old) in [("deadline", "6 h"), ("budget", "$60")] {
        let sandbox = Sandbox::bert();
        sandbox.replace(
            "policy.toml",
            old,
            if limit == "budget" { "$39.74" } else { "5 h" },
        );
        let said = stderr(&sandbox.run(&PLAN));
        let proposal = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("help: set "))
            .unwrap()
            .to_owned();
        let line = proposal.split_once(" or ").unwrap().0;
        assert!(line.starts_with(limit), "{said}");
        sandbox.write("policy.toml", &format!("[limits]\n{line}\n"));
        sandbox.stdout(&PLAN, 0);
    }
}

#[test]
fn all_mistakes_of_both_files_are_said_at_once() {
    let sandbox = Sandbox::bert();
    sandbox
        .replace("job.toml", "nodes = 2", "nodes = 0")
        .replace("job.toml", "\"0.552 h\"", "\"half an hour\"");
    sandbox.replace("policy.toml", "\"cost\"", "\"price\"");
    assert_cmd_snapshot!("three_mistakes", sandbox.sky(&["validate"]));
    assert_cmd_snapshot!(
        "three_mistakes_as_json",
        sandbox.sky(&["validate", "--json"])
    );
    sandbox.write("job.toml", &Sandbox::bert().read("job.toml"));
    sandbox.write("policy.toml", "[residency]\npersnal = [\"US\"]\n");
    assert_cmd_snapshot!("a_mistyped_label", sandbox.sky(&["validate"]));
    sandbox.write(
        "policy.toml",
        "[spot]\nallow = false\nallocation = \"cheapest\"\n",
    );
    assert_cmd_snapshot!("a_warning_is_no_error", sandbox.sky(&["validate"]));
}

#[test]
fn files_that_cannot_be_read() {
    let sandbox = Sandbox::bert();
    assert_cmd_snapshot!("no_such_job", sandbox.sky(&["plan", "jobs.toml"]));
    assert_cmd_snapshot!("job_is_a_folder", sandbox.sky(&["plan", "."]));
    assert_cmd_snapshot!(
        "no_such_policy",
        sandbox.sky(&["plan", "--policy", "eu-onyl"])
    );
    assert_cmd_snapshot!(
        "no_such_catalog",
        sandbox.sky(&["plan", "--catalog", "nowhere"])
    );
    assert_cmd_snapshot!(
        "catalog_is_no_catalog",
        sandbox.sky(&["plan", "--catalog", "."])
    );
    assert_cmd_snapshot!(
        "out_folder_is_missing",
        sandbox.sky(&[&PLAN[..], &["--out", "no/plan.json"]].concat())
    );
    std::fs::write(sandbox.path("latin.toml"), b"name = \"caf\xe9\"\n").unwrap();
    assert_cmd_snapshot!("job_is_not_utf8", sandbox.sky(&["plan", "latin.toml"]));
    std::os::unix::fs::symlink("loop.toml", sandbox.path("loop.toml")).unwrap();
    assert_cmd_snapshot!("job_is_a_loop", sandbox.sky(&["plan", "loop.toml"]));
    sandbox.write("empty.toml", "");
    assert_cmd_snapshot!("job_is_empty", sandbox.sky(&["plan", "empty.toml"]));
    assert_cmd_snapshot!("empty_folder", Sandbox::new().sky(&["plan"]));
}

#[test]
fn plan_files_that_cannot_be_used() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&[&PLAN[..], &["--out", "plan.json"]].concat(), 0);
    let plan = sandbox.read("plan.json");
    let version = format!("\"format_version\": \"{}\"", sky::plan::FORMAT_VERSION);
    assert!(plan.contains(&version));
    sandbox.write(
        "old.json",
        &plan.replace(&version, "\"format_version\": \"2.0\""),
    );
    assert_cmd_snapshot!("plan_of_a_newer_format", sandbox.sky(&["show", "old.json"]));
    assert_cmd_snapshot!(
        "apply_of_a_newer_format",
        sandbox.sky(&["apply", "old.json"])
    );
    sandbox.write("other.json", "{\"name\": \"bert\"}");
    assert_cmd_snapshot!(
        "json_that_is_no_plan",
        sandbox.sky(&["apply", "other.json"])
    );
    sandbox.write("half.json", &plan[..plan.len() / 2]);
    assert_cmd_snapshot!("half_a_plan", sandbox.sky(&["show", "half.json"]));
    sandbox.write("gap.json", &plan.replacen("\"place\"", "\"palace\"", 1));
    assert_cmd_snapshot!(
        "plan_with_a_missing_key",
        sandbox.sky(&["show", "gap.json"])
    );
    assert_cmd_snapshot!("a_job_is_no_plan", sandbox.sky(&["show", "job.toml"]));
    assert_cmd_snapshot!("no_such_plan", sandbox.sky(&["apply", "nowhere.json"]));
    assert_cmd_snapshot!(
        "check_without_a_plan",
        sandbox.sky(&[
            "plan",
            "--catalog",
            "catalog",
            "--markdown",
            "--check",
            "no.json"
        ])
    );
}

#[test]
fn applies_that_cannot_begin() {
    let sandbox = Sandbox::bert();
    assert_cmd_snapshot!("apply_without_a_terminal", sandbox.sky(&["apply"]));
    let timestamp = vec![(r#""@timestamp":"[^"]*""#, r#""@timestamp":"[timestamp]""#)];
    insta::with_settings!({filters => timestamp}, {
        assert_cmd_snapshot!("apply_as_json_without_approval", sandbox.sky(&["apply", "--json"]));
    });
    sandbox.stdout(&[&PLAN[..], &["--out", "plan.json"]].concat(), 0);
    assert_cmd_snapshot!(
        "apply_a_plan_under_another_policy",
        sandbox.sky(&["apply", "plan.json", "--policy", "cheapest"])
    );
    // The same with the clouds' features and without.
    let clouds = vec![
        (r"no provider for [a-z, ]+:", "no provider for [clouds]:"),
        (r"(local, sim, ssh)(, [a-z]+)+", "$1"),
    ];
    insta::with_settings!({filters => clouds}, {
    // With all three of them, there is a provider for every stage.
    #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
    assert_cmd_snapshot!("apply_at_a_cloud", sandbox.sky(&["apply", "plan.json"]));
    assert_cmd_snapshot!("unknown_provider", sandbox.sky(&["apply", "plan.json", "--provider", "loacl"]));
    });
    insta::with_settings!({filters => vec![(r"looked at \S+/", "looked at [folder]/")]}, {
    assert_cmd_snapshot!(
        "apply_without_the_data",
        sandbox.sky(&["apply", "plan.json", "--provider", "local", "--data", "reviews=nowhere"])
    );
    });
    sandbox.replace("job.toml", "run = \"python train.py\"\n", "");
    sandbox.stdout(&[&PLAN[..], &["--out", "plan.json"]].concat(), 0);
    assert_cmd_snapshot!(
        "apply_without_a_command",
        sandbox.sky(&["apply", "plan.json", "--provider", "local"])
    );
    assert!(
        !sandbox.path(".sky").exists(),
        "an apply that cannot begin leaves no trace"
    );
}

#[test]
fn no_input_of_garbage_ends_in_a_panic() {
    let sandbox = Sandbox::bert();
    let (job, policy) = (sandbox.read("job.toml"), sandbox.read("policy.toml"));
    let mut ends = std::collections::BTreeMap::new();
    // Every file cut off at every 23rd byte, and with a byte of it turned into a quote.
    for (name, text) in [("job.toml", &job), ("policy.toml", &policy)] {
        for at in (0..text.len()).step_by(23) {
            let quote = format!("{}\"{}", &text[..at], &text[at + 1..]);
            for garbage in [text[..at].to_owned(), quote] {
                sandbox.write(name, &garbage);
                let output = sandbox.run(&PLAN);
                let said = stderr(&output);
                assert!(!said.contains("bug in sky"), "{garbage}\n{said}");
                let code = output.status.code().unwrap();
                assert!(code == 0 || said.contains("error"), "{garbage}\n{said}");
                *ends.entry(code).or_insert(0) += 1;
            }
        }
        sandbox.write(name, text);
    }
    assert!(
        ends.keys().all(|code| [0, 1, 3].contains(code)) && ends[&1] > 50,
        "{ends:?}"
    );
}
