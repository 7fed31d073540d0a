//! The provider `aws`, on moto with what it lacks, and on real SSH servers.

pub(crate) mod fake;
mod gang;

use crate::execution::apply::place::{Row, ended, wait};
use crate::execution::proof::files_with;
use crate::execution::proof::ground::{Ground, JOB, On};
use crate::execution::stores::servers;
use fake::{FROM, SECRET};
use serde_json::{Value, json};
use sky::execution::state::Status;
use sky::model::{Bytes, Extras, Millis, Money, PlaceName, Purchase, Rate, Tee};
use sky::plan::{Alternative, Plan, PlannedCheckpoint};

/// Every stage may go to Oregon instead.
fn with_alternatives(plan: &mut Plan) {
    for stage in &mut plan.stages {
        stage.alternatives = vec![Alternative {
            place: PlaceName::parse("aws:us-west-2").unwrap(),
            instance_type: "m1.medium".into(),
            purchase: Purchase::Spot,
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
        }];
    }
}

#[test]
fn stockouts_and_quotas_take_the_next_alternative_at_once() {
    let ground = Ground::with(On::Aws, &JOB, with_alternatives);
    ground.account().faults(&json!([
        {"action": "RunInstances", "stage": "b", "region": "us-east-1", "status": 500, "code": "InsufficientInstanceCapacity"},
        {"action": "RunInstances", "stage": "c", "region": "us-east-1", "status": 400, "code": "VcpuLimitExceeded"},
        {"action": "RunInstances", "stage": "e", "region": "us-east-1", "status": 400, "code": "Unsupported"},
    ]));
    let said = ended(&ground.apply(&[]), 0);
    let state = ground.state();
    let place = |stage: &str| state.stages[stage].place.to_string();
    assert_eq!(
        [place("a"), place("b")],
        ["aws:us-east-1", "aws:us-west-2"],
        "{said}"
    );
    assert_eq!(
        [place("c"), place("e")],
        ["aws:us-west-2", "aws:us-west-2"],
        "{said}"
    );
    ground.check_done("stockout", 1);
    // A offer that is full is asked once.
    let of_b = |request: &serde_json::Value| {
        request
            .as_object()
            .unwrap()
            .values()
            .any(|value| value == "b")
    };
    let asked = ground.account().requests("RunInstances");
    assert_eq!(
        asked.iter().filter(|request| of_b(request)).count(),
        2,
        "{asked:?}"
    );
    // The next offer was a spot machine, for no more than the plan says.
    let spot: Vec<_> = asked
        .iter()
        .filter(|one| one["InstanceMarketOptions.MarketType"] == "spot")
        .collect();
    assert_eq!(spot.len(), 3);
    for request in spot {
        assert_eq!(
            request["InstanceMarketOptions.SpotOptions.MaxPrice"],
            "4.200000"
        );
    }
}

#[test]
fn an_answer_that_is_lost_costs_nothing() {
    let ground = Ground::new(On::Aws);
    ground.account().faults(&json!([
        {"action": "RunInstances", "stage": "b", "lost": true, "times": 2},
        {"action": "RunInstances", "stage": "c", "status": 503, "code": "RequestLimitExceeded", "times": 3},
        {"action": "TerminateInstances", "lost": true, "times": 2},
        {"action": "DescribeInstances", "status": 503, "code": "Unavailable", "times": 4},
        {"action": "CreateSecurityGroup", "lost": true, "times": 1},
    ]));
    ended(&ground.apply(&[]), 0);
    ground.check_done("lost", 1);
    let running = ground
        .account()
        .call("us-east-1", &[("Action", "DescribeInstances")]);
    assert_eq!(
        running.matches("<instanceId>").count(),
        5,
        "each of five stages in that region has had one"
    );
}

#[test]
fn who_is_denied_learns_what_to_do() {
    for (code, words) in [
        (
            "UnauthorizedOperation",
            "`sky guide aws` lists the permissions",
        ),
        ("RequestExpired", "aws sso login"),
        ("AuthFailure", "AWS_ACCESS_KEY_ID"),
    ] {
        let rows: [Row; 1] = [("only", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o")];
        let ground = Ground::with(On::Aws, &rows, with_alternatives);
        ground
            .account()
            .faults(&json!([{"action": "RunInstances", "status": 403, "code": code}]));
        let said = ended(&ground.apply(&[]), 1);
        assert!(said.contains(code) && said.contains(words), "{said}");
        assert_eq!(ground.state().stages["only"].status, Status::Failed);
        ground.check_nothing_left(code);
    }
    let ground = Ground::new(On::Aws);
    let mut apply = ground.apply_command(&[]);
    apply
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("HOME", ground.path("nowhere"));
    let said = ended(&apply.output().unwrap(), 1);
    assert!(
        said.contains("there are no credentials") && said.contains("aws configure"),
        "{said}"
    );
    // Nothing was begun of which nobody could say whether it made a machine.
    assert!(
        !said.contains("Still there") && !ground.path(".sky").exists(),
        "{said}"
    );
}

/// A check of the plan as JSON, in the account.
fn check(ground: &Ground, exit: i32) -> Value {
    let said = ground
        .sky(&["check", "plan.json", "--json"])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(exit), "{said:?}");
    serde_json::from_slice(&said.stdout).unwrap()
}

/// The verdict and the words on the finding about that.
fn finding<'a>(said: &'a Value, about: &str) -> (&'a str, &'a str) {
    let findings = said["providers"][0]["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|one| one["about"].as_str().unwrap().contains(about));
    let found = found.unwrap_or_else(|| panic!("{about} in {said:#}"));
    (
        found["verdict"].as_str().unwrap(),
        found["message"].as_str().unwrap(),
    )
}

#[test]
fn a_check_says_what_an_account_lacks() {
    let ground = Ground::new(On::Aws);
    let said = check(&ground, 0);
    assert_eq!(
        (&said["ready"], &said["providers"][0]["status"]),
        (&json!(true), &json!("ready")),
        "{said:#}"
    );
    assert_eq!(
        finding(&said, "ec2:RunInstances of m1.small in us-east-1").0,
        "ok"
    );
    let quota = finding(&said, "L-1216C47A, vCPUs in us-east-1");
    assert!(
        quota.0 == "ok" && quota.1.contains("the limit is 1000"),
        "{quota:?}"
    );
    assert_eq!(
        ground
            .account()
            .requests("RunInstances")
            .iter()
            .filter(|one| one["DryRun"] != "true")
            .count(),
        0
    );

    std::fs::write(ground.account().path("quotas"), r#"{"L-1216C47A": 1}"#).unwrap();
    ground.account().faults(&json!([
        {"action": "RunInstances", "region": "us-west-2", "status": 403, "code": "UnauthorizedOperation"},
        {"action": "TerminateInstances", "region": "us-east-1", "status": 403, "code": "UnauthorizedOperation"},
    ]));
    let said = check(&ground, 1);
    assert_eq!(said["providers"][0]["status"], "not_ready");
    for lacks in [
        "RunInstances of m1.small in us-west-2",
        "TerminateInstances in us-east-1",
        "L-1216C47A, vCPUs in us-east-1",
    ] {
        assert_eq!(finding(&said, lacks).0, "missing", "{lacks}: {said:#}");
    }
    assert_eq!(finding(&said, "TerminateInstances in us-west-2").0, "ok");
    // Who may not see a quota may still be within it.
    ground.account().faults(
        &json!([{"action": "GetServiceQuota", "status": 400, "code": "AccessDeniedException"}]),
    );
    let said = check(&ground, 0);
    assert_eq!(finding(&said, "L-1216C47A").0, "unknown");

    // Keys that AWS does not know, none, and no network.
    let run = |key: Option<&str>, endpoint: Option<&str>| {
        let mut command = ground.sky(&["check", "--provider", "aws"]);
        match key {
            Some(key) => command.env("AWS_ACCESS_KEY_ID", key),
            None => command
                .env_remove("AWS_ACCESS_KEY_ID")
                .env_remove("AWS_SECRET_ACCESS_KEY"),
        };
        command
            .envs(endpoint.map(|endpoint| ("AWS_ENDPOINT_URL", endpoint)))
            .env("HOME", ground.path("nowhere"));
        ended(&command.output().unwrap(), 1)
    };
    let said = run(Some("nobody"), None);
    assert!(
        said.contains("aws: not ready") && said.contains("AuthFailure"),
        "{said}"
    );
    let said = run(None, None);
    assert!(
        said.contains("aws: not ready") && said.contains("there are no credentials"),
        "{said}"
    );
    let said = run(Some("AKIA000000000001"), Some("http://127.0.0.1:9"));
    assert!(
        said.contains("aws: does not answer") && said.contains("not known"),
        "{said}"
    );
}

#[test]
fn a_sweep_finds_what_was_made_behind_the_state_with_its_tags() {
    let ground = Ground::new(On::Aws);
    ended(&ground.apply(&[]), 0);
    let lineage = ground.state().lineage;
    let token = "f".repeat(32);
    let tags = [
        ("sky-token", token.as_str()),
        ("sky-stage", "x"),
        ("sky-attempt", "1"),
        ("sky-lineage", &lineage),
    ];
    let mut form = vec![
        ("Action".to_owned(), "RunInstances"),
        ("ImageId".to_owned(), "ami-00000002"),
        ("InstanceType".to_owned(), "t3.micro"),
        ("MinCount".to_owned(), "1"),
        ("MaxCount".to_owned(), "1"),
        ("TagSpecification.1.ResourceType".to_owned(), "instance"),
    ];
    for (number, (name, value)) in (1..).zip(&tags) {
        form.push((format!("TagSpecification.1.Tag.{number}.Key"), name));
        form.push((format!("TagSpecification.1.Tag.{number}.Value"), value));
    }
    let form: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    // In a region that the plan has never heard of: all that the account has enabled are looked at.
    let made = ground.account().call("eu-central-1", &form);
    let id = made
        .split("<instanceId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .unwrap_or_else(|| panic!("{made}"));
    let sweep = |args: &[&str]| {
        let mut command = ground.sky(&[&["sweep"], args].concat());
        command.env_remove("SKY_AWS_REGIONS");
        command.output().unwrap()
    };
    let said = ended(&sweep(&["--dry-run"]), 2);
    assert!(said.contains("in no state") && said.contains(id), "{said}");
    ended(&sweep(&["--auto-approve"]), 0);
    let said = ended(&sweep(&["--dry-run"]), 0);
    assert!(said.contains("Nothing to sweep"), "{said}");
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.account().groups("us-east-1"), Vec::<String>::new());
}

#[test]
fn credentials_are_seen_by_nobody() {
    let mut rows = JOB;
    // All that a command can see of where it is.
    rows[4].3 =
        "echo e >> \"RAN\"; env; cat \"$HOME/../config\" > /dev/null; echo other > $SKY_OUTPUTS/o";
    let ground = Ground::with(On::Aws, &rows, |_| {});
    let mut said = ended(&ground.apply(&["--json"]), 0);
    for verb in [&["show"][..], &["show", "--json"], &["show", "plan.json"]] {
        said += &ended(&ground.sky(verb).output().unwrap(), 0);
    }
    ground.check_done("credentials", 1);
    // In the whole folder are the state, the journal, logs, keys, the disks of machines, and every
    // request that AWS got, with user data.
    assert!(!ground.account().requests("RunInstances").is_empty());
    assert_eq!(
        files_with(ground.folder.path(), SECRET),
        Vec::<String>::new()
    );
    for word in [SECRET, "AWS_ACCESS_KEY_ID", "AWS_SECRET"] {
        assert!(!said.contains(word), "{word} in {said}");
    }
    // An instance has no role, and asks for a token before it tells of itself.
    for request in ground.account().requests("RunInstances") {
        assert_eq!(request["MetadataOptions.HttpTokens"], "required");
        assert_eq!(request["InstanceInitiatedShutdownBehavior"], "terminate");
        assert!(
            request.get("IamInstanceProfile.Name").is_none() && request.get("KeyName").is_none()
        );
        assert!(
            request["UserData"]
                .as_str()
                .unwrap()
                .starts_with("#cloud-config\n")
        );
    }
}

#[test]
fn only_we_are_let_in_and_the_newest_image_of_its_maker_boots() {
    let ground = Ground::new(On::Aws);
    ended(&ground.apply(&[]), 0);
    let account = ground.account();
    let said = account.call("us-east-1", &[("Action", "DescribeSecurityGroups")]);
    let ours = said.split("<groupName>sky-").nth(1).unwrap();
    let rules = ours
        .split("<ipPermissions>")
        .nth(1)
        .and_then(|rest| rest.split("</ipPermissions>").next())
        .unwrap();
    assert_eq!(rules.matches("<cidrIp>").count(), 1, "{rules}");
    assert!(
        rules.contains(&format!("<cidrIp>{FROM}/32</cidrIp>"))
            && rules.contains("<toPort>22</toPort>"),
        "{rules}"
    );
    for request in account.requests("RunInstances") {
        assert_eq!(
            request["ImageId"], "ami-00000002",
            "not the older, nor a stranger's newer one"
        );
        assert_eq!(
            request["BlockDeviceMapping.1.Ebs.DeleteOnTermination"],
            "true"
        );
    }
    assert_eq!(account.groups("us-east-1").len(), 1);
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(
        ["us-east-1", "us-west-2"]
            .iter()
            .all(|region| account.groups(region).is_empty())
    );
}

#[test]
fn what_is_taken_away_goes_on_from_its_last_checkpoint() {
    let steps = "i=$(cat $SKY_CHECKPOINT/step 2>/dev/null || echo 0); echo \"from $i\" >> \"RAN\"; \
                 while [ $i -lt 4 ] || [ ! -e \"RAN.go\" ]; do sleep 0.05; i=$((i+1)); echo $i > $SKY_CHECKPOINT/step.tmp; \
                 mv $SKY_CHECKPOINT/step.tmp $SKY_CHECKPOINT/step; done; echo $i > $SKY_OUTPUTS/o";
    let rows: [Row; 1] = [("train", &[], &["o"], steps)];
    let ground = Ground::with(On::Aws, &rows, |plan| {
        with_alternatives(plan);
        plan.stages[0].purchase = Purchase::Spot;
        plan.stages[0].checkpoint = Some(PlannedCheckpoint {
            every_ms: Some(Millis(100)),
            bytes: Bytes(1),
        });
    });
    let piped = std::process::Stdio::piped;
    let apply = ground
        .apply_command(&[])
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    wait("a checkpoint", || {
        ground.text(".sky/journal").contains("checkpointed")
    });
    assert!(ground.account().preempt("train"));
    std::fs::write(ground.path("ran.go"), "").unwrap();
    let said = ended(&apply.wait_with_output().unwrap(), 0);
    assert!(
        said.contains("taken away") && said.contains("going on with m1.medium at aws:us-west-2"),
        "{said}"
    );
    let ran = ground.text("ran");
    let from: Vec<u32> = ran
        .lines()
        .map(|line| line.trim_start_matches("from ").parse().unwrap())
        .collect();
    assert!(from.len() == 2 && from[0] == 0 && from[1] > 0, "{ran}");
    ground.check_nothing_left("preempted");
}

/// It is never taken away here: `sky` saves what there is and leaves before that.
#[test]
fn what_will_be_taken_away_is_left_in_time_with_all_of_its_progress() {
    let steps = "i=$(cat $SKY_CHECKPOINT/step 2>/dev/null || echo 0); echo \"from $i\" >> \"RAN\"; \
                 save() { echo $i > $SKY_CHECKPOINT/step; }; trap 'save; exit 0' TERM; \
                 [ $i -gt 0 ] || while :; do sleep 0.05; i=$((i+1)); done; echo $i > $SKY_OUTPUTS/o";
    let rows: [Row; 1] = [("train", &[], &["o"], steps)];
    let ground = Ground::with(On::Aws, &rows, |plan| {
        with_alternatives(plan);
        plan.stages[0].purchase = Purchase::Spot;
        plan.stages[0]
            .alternatives
            .iter_mut()
            .for_each(|alternative| alternative.purchase = Purchase::OnDemand);
        plan.stages[0].checkpoint = Some(PlannedCheckpoint {
            every_ms: Some(Millis(3_600_000)),
            bytes: Bytes(1),
        });
    });
    let piped = std::process::Stdio::piped;
    let apply = ground
        .apply_command(&["--grace", "2s"])
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    wait("the command", || ground.path("ran").exists());
    assert!(ground.account().announce("train", 20));
    let said = ended(&apply.wait_with_output().unwrap(), 0);
    assert!(
        said.contains("its cloud takes its machine away in ") && said.contains("until then"),
        "{said}"
    );
    assert!(
        said.contains("going on with m1.medium at aws:us-west-2"),
        "{said}"
    );
    let ran = ground.text("ran");
    let from: Vec<u32> = ran
        .lines()
        .map(|line| line.trim_start_matches("from ").parse().unwrap())
        .collect();
    // Some ten seconds of it: until shortly before the end, not until the word came.
    assert!(from.len() == 2 && from[0] == 0 && from[1] > 40, "{ran}");
    assert_eq!(
        ground.text(".sky/artifacts/train/o"),
        format!("{}\n", from[1])
    );
    let requests = ground.account().requests("RunInstances");
    let listens: Vec<bool> = requests
        .iter()
        .map(|request| request["UserData"].as_str().unwrap().contains("sky-notice"))
        .collect();
    assert_eq!(listens, [true, false], "what is not spot is not taken away");
    ground.check_nothing_left("announced");
}

#[test]
fn what_must_be_confidential_is() {
    for (tee, key, value) in [
        (Tee::SevSnp, "CpuOptions.AmdSevSnp", "enabled"),
        (Tee::NitroEnclave, "EnclaveOptions.Enabled", "true"),
    ] {
        let rows: [Row; 1] = [("only", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o")];
        let ground = Ground::with(On::Aws, &rows, |plan| {
            with_alternatives(plan);
            // No machine of AWS has it, so the next offer is taken.
            plan.stages[0].tee = Some(Tee::Sgx);
            plan.stages[0].alternatives[0].tee = Some(tee);
        });
        ended(&ground.apply(&[]), 0);
        assert_eq!(
            ground.state().stages["only"]
                .rented
                .as_ref()
                .unwrap()
                .alternative,
            1
        );
        let requests = ground.account().requests("RunInstances");
        assert!(
            requests.len() == 1 && requests[0][key] == value,
            "{requests:?}"
        );
        ended(
            &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
            0,
        );
    }
    let rows: [Row; 1] = [("only", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o")];
    let ground = Ground::with(On::Aws, &rows, |plan| plan.stages[0].tee = Some(Tee::Tdx));
    let said = ended(&ground.apply(&[]), 1);
    assert!(
        said.contains("cannot be had with tdx, which the stage demands"),
        "{said}"
    );
    assert!(ground.account().requests("RunInstances").is_empty());
}

#[test]
fn what_stages_hand_on_goes_through_s3() {
    let ground = Ground::new(On::Aws);
    // The store is another server than the machines' one, with the same credentials.
    let store = servers::environment()
        .into_iter()
        .filter(|(name, _)| ["AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP"].contains(name));
    let store: Vec<_> = store.collect();
    let mut apply = ground.apply_command(&["--staging", "buckets", "--keep-buckets"]);
    ended(&apply.envs(store.clone()).output().unwrap(), 0);
    ground.check_done("staged", 1);
    let state = ground.state();
    let addresses: Vec<String> = state.buckets.values().cloned().collect();
    assert!(
        addresses[0].ends_with("-us-east-1") && addresses[1].ends_with("-us-west-2"),
        "{addresses:?}"
    );
    assert!(
        ["a.o", "b.o", "c.o", "d.o", "e.o"]
            .iter()
            .all(|name| state.artifacts[*name].away)
    );
    // What the stage in the other region reads is in both.
    assert_eq!(state.artifacts["b.o"].staged.len(), 2);
    assert_eq!(servers::content(&addresses[1]).unwrap().len(), 3);
    let mut destroy = ground.sky(&["destroy", "--auto-approve"]);
    ended(&destroy.envs(store).output().unwrap(), 0);
    assert!(
        addresses
            .iter()
            .all(|address| servers::content(address).is_none())
    );
}
