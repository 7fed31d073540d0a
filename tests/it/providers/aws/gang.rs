//! A stage on several machines.

use super::*;
use crate::execution::proof::ground::each;
use std::collections::BTreeSet;

const COMMAND: &str = "echo \"$SKY_NODE/$SKY_NODES $SKY_NODE_ADDRESSES\" >> \"RAN\"; [ $SKY_NODE = 1 ] || echo first > $SKY_OUTPUTS/o";

fn ground(command: &str) -> Ground {
    let rows: [Row; 1] = [("train", &[], &["o"], command)];
    Ground::with(On::Aws, &rows, |plan| {
        plan.stages[0].nodes = 3;
        plan.limits.budget_micro_usd = None;
    })
}

#[test]
fn every_machine_of_a_gang_runs_the_command_and_knows_the_others() {
    let ground = ground(COMMAND);
    ended(&ground.apply(&[]), 0);
    assert_eq!(ground.text(".sky/artifacts/train/o"), "first\n");
    let ran = ground.text("ran");
    let lines: BTreeSet<&str> = ran.lines().collect();
    let who: Vec<&str> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(who, ["0/3", "1/3", "2/3"]);
    let addresses: BTreeSet<&str> = lines
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(addresses.len(), 1, "all are told the same: {ran}");
    assert_eq!(
        addresses
            .first()
            .unwrap()
            .split(' ')
            .collect::<BTreeSet<_>>()
            .len(),
        3,
        "{ran}"
    );
    // Only they are let in by one another.
    let groups = ground
        .account()
        .call("us-east-1", &[("Action", "DescribeSecurityGroups")]);
    let ours = groups.split("<groupName>sky-").nth(1).unwrap();
    let id = groups
        .split("<groupName>sky-")
        .next()
        .unwrap()
        .rsplit("<groupId>")
        .next()
        .unwrap();
    let id = id.split('<').next().unwrap();
    assert_eq!(
        ours.split("<ipPermissionsEgress>")
            .next()
            .unwrap()
            .matches(id)
            .count(),
        1,
        "{ours}"
    );
    ground.check_nothing_left("gang");
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.account().groups("us-east-1"), Vec::<String>::new());
}

/// What a stage elsewhere has written crosses once, to the first; the others read the copy. What
/// the first writes goes on.
#[test]
fn a_gang_reads_and_writes_through_buckets() {
    let rows: [Row; 3] = [
        (
            "make",
            &[],
            &["o"],
            "mkdir $SKY_OUTPUTS/o; head -c 2500000 /dev/urandom > $SKY_OUTPUTS/o/x; echo y > $SKY_OUTPUTS/o/y",
        ),
        (
            "train",
            &["make.o"],
            &["o"],
            "wc -c < $SKY_INPUTS/o/x >> \"RAN\"; [ $SKY_NODE = 1 ] || cat $SKY_INPUTS/o/x > $SKY_OUTPUTS/o",
        ),
        (
            "use",
            &["train.o", "make.o"],
            &["same"],
            "cmp $SKY_INPUTS/train.o $SKY_INPUTS/make.o/x && echo yes > $SKY_OUTPUTS/same",
        ),
    ];
    let ground = Ground::with(On::Aws, &rows, |plan| {
        let place = |name: &str| sky::model::PlaceName::parse(name).unwrap();
        plan.stages[0].place = place("aws:us-west-2");
        plan.stages[1].place = place("aws:us-east-1");
        plan.stages[2].place = place("aws:us-east-1");
        plan.stages[1].nodes = 3;
        plan.limits.budget_micro_usd = None;
    });
    let store = servers::environment()
        .into_iter()
        .filter(|(name, _)| ["AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP"].contains(name));
    let store: Vec<_> = store.collect();
    let mut apply = ground.apply_command(&["--staging", "buckets", "--keep-buckets"]);
    apply.envs(store.clone()).env("SKY_STAGING_CHUNK", "1");
    ended(&apply.output().unwrap(), 0);
    assert_eq!(ground.text("ran").replace(' ', ""), "2500000\n".repeat(3));
    assert_eq!(ground.text(".sky/artifacts/use/same"), "yes\n");
    let journal = ended(&ground.sky(&["state", "journal"]).output().unwrap(), 0);
    let fetched: Vec<(String, u64)> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone())
        .filter(|event| {
            event["type"] == "fetched" && event["artifact"] == "make.o" && event["stage"] == "train"
        })
        .map(|event| {
            (
                event["from"].as_str().unwrap().to_owned(),
                event["moved"].as_u64().unwrap(),
            )
        })
        .collect();
    let once = fetched[0].1;
    assert!(once > 2_500_000);
    assert_eq!(
        fetched,
        [
            ("aws:us-west-2".to_owned(), once),
            ("aws:us-east-1".to_owned(), 2 * once)
        ]
    );
    let state = ground.state();
    assert!(state.artifacts["train.o"].away && state.artifacts["make.o"].staged.len() == 2);
    ground.check_nothing_left("gang, staged");
    let mut destroy = ground.sky(&["destroy", "--auto-approve"]);
    ended(&destroy.envs(store).output().unwrap(), 0);
}

#[test]
fn one_that_fails_ends_them_all() {
    let ground = ground("[ $SKY_NODE = 2 ] && exit 3; sleep 3000");
    let said = ended(&ground.apply(&[]), 1);
    assert!(said.contains("exit code 3"), "{said}");
    ground.check_nothing_left("failed");
}

#[test]
fn a_gang_that_is_not_whole_is_none() {
    let ground = ground(COMMAND);
    // The first two are available, and the third is not.
    ground.account().faults(&json!([
        {"action": "RunInstances", "node": "2", "status": 500, "code": "InsufficientInstanceCapacity"},
    ]));
    let said = ended(&ground.apply(&[]), 1);
    assert!(said.contains("InsufficientInstanceCapacity"), "{said}");
    assert_eq!(ground.text("ran"), "");
    ground.check_nothing_left("not whole");
}

#[test]
fn killed_while_it_forms_it_is_whole_or_gone() {
    let apply = ["apply", "plan.json", "--provider", "aws"];
    let points = {
        let ground = ground(COMMAND);
        ground.points(&apply)
    };
    assert!(points > 20, "{points}");
    each(points / 4, |point| {
        let ground = ground(COMMAND);
        let point = point * 4;
        ground.crash(&apply, point);
        ended(&ground.apply(&[]), 0);
        assert_eq!(
            ground.text("ran").lines().collect::<BTreeSet<_>>().len(),
            3,
            "killed at {point}"
        );
        assert_eq!(
            ground.text("ran").lines().count(),
            3,
            "nothing is run twice: killed at {point}"
        );
        ground.check_nothing_left(&format!("killed at {point}"));
    });
}
