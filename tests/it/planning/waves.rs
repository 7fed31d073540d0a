//! Limits on what runs at once act in time: stages that do not fit together run one after another.

use crate::support::sandbox::{Sandbox, stderr};
use sky::model::Millis;
use sky::plan::{Plan, PlannedStage, file};
use std::collections::BTreeMap;

/// Minutes that a machine of AWS takes until its stage begins, by the shipped catalog.
const BOOT_MINUTES: u64 = 2;

fn planned(sandbox: &Sandbox, job: &str, policy: &str) -> Plan {
    sandbox.write("job.toml", job).write("policy.toml", policy);
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    sandbox.stdout(&["verify", "plan.json"], 0);
    file::read(&sandbox.path("plan.json")).unwrap()
}

/// The most that runs at once of something that each stage has a number of.
fn most_at_once(plan: &Plan, of: impl Fn(&PlannedStage) -> u64) -> u64 {
    let at = |moment: Millis| {
        let running = plan
            .stages
            .iter()
            .filter(|stage| stage.start_ms <= moment && moment < stage.end_ms);
        running.map(&of).sum::<u64>()
    };
    let most = plan.stages.iter().map(|stage| at(stage.start_ms)).max();
    most.unwrap_or(0)
}

/// How many stages start at each moment.
fn starts(plan: &Plan) -> BTreeMap<Millis, usize> {
    let mut starts = BTreeMap::new();
    for stage in &plan.stages {
        *starts.entry(stage.start_ms).or_default() += 1;
    }
    starts
}

const FIVE: &str = "name = \"five\"\n[stages.train]\ncount = 5\nduration = \"1 h\"\n\
                    needs = { accelerators = \"A100:8\" }\n";
const SIXTEEN_CARDS: &str = "[clouds]\nallow = [\"aws\"]\n[quotas]\naws = { accelerators = 16 }\n";

#[test]
fn five_stages_of_eight_cards_run_two_at_a_time() {
    for objective in ["cost", "time"] {
        let policy = format!("objective = {{ minimize = \"{objective}\" }}\n{SIXTEEN_CARDS}");
        let plan = planned(&Sandbox::new(), FIVE, &policy);
        assert_eq!(plan.solver.status, "optimal");
        let wave = Millis((60 + BOOT_MINUTES) * 60_000);
        let expected = BTreeMap::from([(Millis(0), 2), (wave, 2), (Millis(2 * wave.0), 1)]);
        assert_eq!(starts(&plan), expected);
        for stage in &plan.stages {
            assert_eq!(stage.wait_ms, stage.start_ms, "{}", stage.name);
            assert_eq!(stage.waits_for.is_empty(), stage.start_ms == Millis(0));
            for wait in &stage.waits_for {
                assert_eq!(wait.limit, "quotas.aws.accelerators");
            }
        }
    }
}

#[test]
fn a_deadline_that_three_waves_miss_has_no_plan_and_the_quota_is_named() {
    let sandbox = Sandbox::new();
    let deadline =
        |minutes: u64| format!("limits = {{ deadline = \"{minutes} m\" }}\n{SIXTEEN_CARDS}");
    let three_waves = 3 * (60 + BOOT_MINUTES);
    planned(&sandbox, FIVE, &deadline(three_waves));
    sandbox.write("policy.toml", &deadline(three_waves - 1));
    let output = sandbox.run(&["plan"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("quotas.aws.accelerators"), "{said}");
    assert!(said.contains("limits.deadline"), "{said}");
}

#[test]
fn twelve_replicas_share_six_instances() {
    let job =
        "name = \"sweep\"\n[stages.sweep]\ncount = 12\nduration = \"1 h\"\nneeds = { cpus = 4 }\n";
    let policy = "limits = { deadline = \"100 h\" }\n[clouds]\nallow = [\"aws\"]\n[quotas]\naws = { instances = 6 }\n";
    let plan = planned(&Sandbox::new(), job, policy);
    assert_eq!(plan.solver.status, "optimal");
    assert_eq!(most_at_once(&plan, |_| 1), 6);
    assert_eq!(starts(&plan).values().copied().collect::<Vec<_>>(), [6, 6]);
}

#[test]
fn stages_that_data_keeps_apart_need_no_room_at_once() {
    let sandbox = Sandbox::new();
    let job = "name = \"apart\"\n[datasets.far]\nat = \"aws:ap-southeast-2\"\nsize = \"15 TB\"\n\
               [stages.early]\nwork = { vcpu = \"64 h\" }\n\
               [stages.late]\nwork = { vcpu = \"64 h\" }\nreads = [\"far\"]\nneeds = { places = [\"aws:us-east-1\"] }\n";
    let policy = "objective = { minimize = \"time\" }\n[clouds]\nallow = [\"aws\"]\n";
    let free = planned(&sandbox, job, policy);
    let quota = format!("{policy}[quotas]\naws = {{ cpus = 96 }}\n");
    let bound = planned(&sandbox, job, &quota);
    let late = |plan: &Plan| {
        plan.stages
            .iter()
            .find(|stage| stage.name == "late")
            .cloned()
            .unwrap()
    };
    // The transfer takes so long that the early stage is done before it has arrived.
    assert_eq!(late(&bound).wait_ms, Millis(0));
    assert_eq!(late(&bound).waits_for[0].stage, "early");
    assert_eq!(late(&bound).start_ms, late(&free).start_ms);
    // 96 vCPUs leave no room for the machine of the early stage beside it.
    assert!(
        late(&bound).instance_type.contains(".24xlarge"),
        "{}",
        late(&bound).instance_type
    );
    // The planned times keep the quota without the wait too; a slower transfer would not.
    let mut changed = bound.clone();
    for stage in &mut changed.stages {
        stage.waits_for.clear();
    }
    changed.digest = Some(file::self_digest(&changed).unwrap());
    sandbox.write("changed.json", &file::encode(&changed).unwrap());
    let output = sandbox.run(&["verify", "changed.json"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("however long stages take"), "{said}");
}

#[test]
fn stages_share_the_slots_of_a_host() {
    let sandbox = Sandbox::new();
    sandbox
        .write(
            "job.toml",
            "name = \"own\"\n[stages.task]\ncount = 3\nduration = \"1 h\"\n",
        )
        .write("policy.toml", "[clouds]\nallow = [\"ssh\"]\n")
        .write(
            "hosts.toml",
            "[hosts.lab]\naddress = \"10.0.0.1\"\ncpus = 8\nmemory = \"32 GiB\"\nslots = 2\nplace = \"lab\"\n\
             [places.lab]\ncountry = \"DE\"\noperator = \"Us\"\nus_cloud_act = \"no\"\n",
        );
    let files = ["--hosts", "hosts.toml"];
    sandbox.stdout(&["plan", "--out", "plan.json", files[0], files[1]], 0);
    sandbox.stdout(&["verify", "plan.json", files[0], files[1]], 0);
    let plan = file::read(&sandbox.path("plan.json")).unwrap();
    assert_eq!(most_at_once(&plan, |_| 1), 2);
    assert_eq!(starts(&plan).values().copied().collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_plan_without_a_wait_that_a_quota_needs_is_refused() {
    let sandbox = Sandbox::new();
    let plan = planned(&sandbox, FIVE, SIXTEEN_CARDS);
    for stage in (0..plan.stages.len()).filter(|stage| !plan.stages[*stage].waits_for.is_empty()) {
        let mut changed = plan.clone();
        changed.stages[stage].waits_for.clear();
        changed.digest = Some(file::self_digest(&changed).unwrap());
        sandbox.write("changed.json", &file::encode(&changed).unwrap());
        sandbox.stdout(&["verify", "changed.json"], 1);
    }
}

/// Stages that say when they begin and end.
const SLOW_FIRST: &str = "name = \"slip\"\n[stages.task]\ncount = 4\nduration = \"1 h\"\n\
    needs = { cpus = 2 }\nwrites = { done = \"1 KB\" }\nfiles = []\n\
    run = '''\necho begin $SKY_STAGE >> $LOG\nif [ \"$SKY_STAGE\" = 'task[0]' ]; then sleep 2; fi\n\
    sleep 0.3\necho end $SKY_STAGE >> $LOG\ntouch $SKY_OUTPUTS/done\n'''\n\
    [stages.task.env]\nLOG = \"env:LOG\"\n";

#[test]
fn an_apply_keeps_the_limit_when_a_stage_takes_longer() {
    let sandbox = Sandbox::new();
    let policy = "[clouds]\nallow = [\"aws\"]\n[quotas]\naws = { instances = 2 }\n";
    planned(&sandbox, SLOW_FIRST, policy);
    let log = sandbox.path("log");
    let output = sandbox
        .sky(&["apply", "plan.json", "--provider", "local"])
        .env("LOG", &log)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = sandbox.read("log");
    let (mut running, mut most, mut begun) = (0_i64, 0, 0);
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("begin", _)) => {
                running += 1;
                begun += 1;
            }
            _ => running -= 1,
        }
        most = most.max(running);
    }
    assert_eq!((begun, most), (4, 2), "{said}");
}

#[test]
fn a_stage_that_fails_makes_room_for_those_that_wait() {
    let sandbox = Sandbox::new();
    let job = "name = \"fails\"\n[stages.bad]\nduration = \"2 h\"\nneeds = { cpus = 2 }\nrun = \"exit 1\"\n\
               [stages.good]\nduration = \"1 h\"\nneeds = { cpus = 2 }\nrun = \"true\"\n";
    let policy = "[clouds]\nallow = [\"aws\"]\n[quotas]\naws = { instances = 1 }\n";
    let plan = planned(&sandbox, job, policy);
    let waits = |name: &str| {
        let stage = plan.stages.iter().find(|stage| stage.name == name);
        stage
            .unwrap()
            .waits_for
            .iter()
            .map(|wait| wait.stage.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (waits("good"), waits("bad")),
        (vec!["bad".to_owned()], vec![])
    );
    let output = sandbox
        .sky(&["apply", "plan.json", "--provider", "local"])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(7), "{said}");
    let state = sandbox.stdout(&["show"], 0);
    let of_good = state
        .lines()
        .find(|line| line.contains("stage.good"))
        .unwrap();
    assert!(of_good.contains("done"), "{state}");
}
