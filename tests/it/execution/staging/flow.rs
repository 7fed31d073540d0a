//! What goes where, what is paid for it, and that it arrives as it was.

use super::*;
use sky::model::{Bytes, Destination};
use std::collections::BTreeMap;

/// Files, a program, a folder with all that folders may have; over two clouds and back.
const ROWS: [Row; 4] = [
    (
        "make",
        &[],
        &["big", "tool", "tree", "report"],
        "cd $SKY_OUTPUTS; seq 400000 > big; printf '#!/bin/sh\\necho tool' > tool; chmod 755 tool; echo 1 > report; \
         mkdir -p tree/a/empty; echo x > 'tree/a/x y'; echo z > tree/a-b; ln -s 'a/x y' tree/link; cp tool tree/run; \
         long=$(printf %0120d 7); echo long > tree/$long; printf '' > tree/nothing; cp big tree/copy; \
         printf odd > \"$(printf 'tree/new\\nline\\\\n')\"",
    ),
    (
        "turn",
        &["make.big", "make.tool", "make.tree"],
        &["tree", "sum"],
        "cp -R $SKY_INPUTS/tree $SKY_OUTPUTS/tree; test -L $SKY_INPUTS/tree/link; test -d $SKY_INPUTS/tree/a/empty; \
         $SKY_INPUTS/tool > $SKY_OUTPUTS/sum; sha256sum < $SKY_INPUTS/big >> $SKY_OUTPUTS/sum",
    ),
    (
        "also",
        &["make.big", "make.tree"],
        &["sum"],
        "cat $SKY_INPUTS/big $SKY_INPUTS/tree/link > $SKY_OUTPUTS/sum",
    ),
    (
        "last",
        &["also.sum", "turn.sum", "turn.tree"],
        &["all"],
        "cat $SKY_INPUTS/turn.sum \"$SKY_INPUTS/tree/a/x y\" > $SKY_OUTPUTS/all; wc -c < $SKY_INPUTS/also.sum >> $SKY_OUTPUTS/all",
    ),
];
const AT: [&str; 4] = [AMAZON, AZURE, AZURE, AMAZON];

fn digests(state: &State) -> BTreeMap<String, (String, u64)> {
    let artifacts = state.artifacts.iter();
    artifacts
        .map(|(name, artifact)| (name.clone(), (artifact.digest.to_string(), artifact.bytes)))
        .collect()
}

#[test]
fn what_is_handed_on_through_two_stores_is_what_came_home() {
    let home = Yard::new(Sshd::shared(), &AT, &ROWS);
    ended(
        &home
            .command(&["apply", "plan.json", "--provider", "ssh"])
            .output()
            .unwrap(),
        0,
    );
    let yard = Yard::new(Sshd::shared(), &AT, &ROWS);
    ended(&yard.apply(&["--keep-buckets"]), 0);
    assert_eq!(
        yard.place.text(".sky/artifacts/last/all"),
        home.place.text(".sky/artifacts/last/all")
    );
    assert!(
        yard.place
            .text(".sky/artifacts/last/all")
            .starts_with("tool\n")
    );
    let (state, before) = (yard.state(), home.state());
    assert_eq!(digests(&state), digests(&before));
    // Only what nobody reads is here.
    let away: Vec<&str> = state
        .artifacts
        .iter()
        .filter(|(_, artifact)| artifact.away)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        away,
        [
            "also.sum",
            "make.big",
            "make.tool",
            "make.tree",
            "turn.sum",
            "turn.tree"
        ]
    );
    for (name, there) in [
        ("make/big", false),
        ("make/report", true),
        ("last/all", true),
    ] {
        assert_eq!(
            yard.place.path(".sky/artifacts").join(name).exists(),
            there,
            "{name}"
        );
    }
    // Each crossing is paid for once, and costs what coming home costs.
    assert_eq!(state.spent_micro_usd, before.spent_micro_usd);
    let size = |name: &str| state.artifacts[name].bytes;
    let crossed = [
        "make.big",
        "make.tool",
        "make.tree",
        "turn.tree",
        "turn.sum",
        "also.sum",
    ];
    let cost: i64 = crossed
        .iter()
        .map(|name| DataRate(90_000_000_000).cost(Bytes(size(name))).0)
        .sum();
    assert!(
        cost > 100 && state.spent_micro_usd == Money(cost),
        "{} {cost}",
        state.spent_micro_usd
    );
    // Both places have what crossed between them, in chunks.
    let buckets: BTreeMap<String, String> = state
        .buckets
        .iter()
        .map(|(place, address)| (place.to_string(), address.clone()))
        .collect();
    assert_eq!(buckets.keys().collect::<Vec<_>>(), [AMAZON, AZURE]);
    let there = |place: &str| servers::content(&buckets[place]).unwrap();
    assert_eq!(there(AMAZON), there(AZURE));
    let big = &state.artifacts["make.big"].staged[&PlaceName::parse(AZURE).unwrap()];
    assert_eq!((big.bytes, big.chunks()), (size("make.big"), 3));
    let sizes: Vec<u64> = there(AZURE)
        .into_iter()
        .filter(|(name, _)| name.starts_with(&big.key))
        .map(|(_, size)| size)
        .collect();
    assert_eq!(sizes, [1 << 20, 1 << 20, size("make.big") - (2 << 20)]);
    // Done is done, also when the buckets are gone; these go once nobody keeps them.
    for _ in 0..2 {
        let again = ended(&yard.apply(&["--json"]), 0);
        assert!(!again.contains("apply_start"), "{again}");
        assert_eq!(yard.state().buckets, BTreeMap::new());
    }
    assert_eq!(
        [
            servers::content(&buckets[AMAZON]),
            servers::content(&buckets[AZURE])
        ],
        [None, None]
    );
    // Whoever reads again what is gone has it made again.
    change(&yard.place, |plan| {
        plan.stages[3].run =
            Some(plan.stages[3].run.clone().unwrap() + "; echo 2 >> $SKY_OUTPUTS/all")
    });
    let again = ended(&yard.apply(&[]), 0);
    assert_eq!(
        yard.place.text(".sky/artifacts/last/all"),
        home.place.text(".sky/artifacts/last/all") + "2\n",
        "{again}"
    );
    yard.destroy();
    assert_eq!(
        std::fs::read_dir(yard.place.path("host"))
            .into_iter()
            .flatten()
            .count(),
        0
    );
}

#[test]
fn what_moves_is_in_the_journal() {
    let mut rows = ROWS;
    rows[3].3 = "touch ../../../../begun; sleep 1000";
    let yard = Yard::new(Sshd::shared(), &AT, &rows);
    let mut child = yard.staged(&["--no-logs"]).spawn().unwrap();
    crate::execution::apply::place::wait("the last stage", || yard.place.path("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = yard.journal();
    let state = yard.state();
    let (mut made, mut staged, mut fetched, mut open) = (0, BTreeMap::new(), BTreeMap::new(), 0);
    for event in &journal {
        match event {
            Event::Bucket { address, .. } => {
                made += 1;
                assert!(
                    address.starts_with("s3://sky-") || address.starts_with("az://sky-"),
                    "{address}"
                );
            }
            Event::Staging { .. } | Event::Fetching { .. } => open += 1,
            Event::Staged {
                artifact,
                place,
                moved,
                pack,
                ..
            } => {
                open -= 1;
                assert_eq!(*moved, pack.bytes);
                assert!(
                    staged
                        .insert((artifact.clone(), place.to_string()), *moved)
                        .is_none(),
                    "{artifact} twice"
                );
            }
            Event::Fetched {
                stage,
                artifact,
                from,
                moved,
                ..
            } => {
                open -= 1;
                fetched.insert((stage.clone(), artifact.clone(), from.to_string()), *moved);
            }
            _ => {}
        }
    }
    assert_eq!((made, open), (2, 0));
    assert_eq!(staged.len(), 12, "{staged:?}");
    // Of both that read it at Azure's, one has read it at Amazon's.
    let of_big: Vec<_> = fetched
        .iter()
        .filter(|((_, artifact, _), _)| artifact == "make.big")
        .collect();
    assert_eq!(
        of_big
            .iter()
            .filter(|((_, _, from), _)| from == AMAZON)
            .count(),
        1,
        "{of_big:?}"
    );
    assert!(
        of_big.len() == 2
            && of_big
                .iter()
                .all(|(_, moved)| **moved == state.artifacts["make.big"].bytes)
    );
    let addresses: Vec<String> = state.buckets.values().cloned().collect();
    assert!(
        addresses
            .iter()
            .all(|address| servers::content(address).is_some())
    );
    let said = yard.destroy();
    assert!(
        addresses
            .iter()
            .all(|address| said.contains(address) && servers::content(address).is_none()),
        "{said}"
    );
    assert_eq!(yard.place.processes(), 0);
}

#[test]
fn a_folder_that_all_share_will_do() {
    let rows: [Row; 3] = [
        (
            "one",
            &[],
            &["o", "tree"],
            "echo 1 > $SKY_OUTPUTS/o; mkdir $SKY_OUTPUTS/tree; echo 2 > $SKY_OUTPUTS/tree/x",
        ),
        (
            "two",
            &["one.o", "one.tree"],
            &["o"],
            "cat $SKY_INPUTS/o $SKY_INPUTS/tree/x > $SKY_OUTPUTS/o",
        ),
        (
            "here",
            &["two.o", "one.tree"],
            &["o"],
            "cat $SKY_INPUTS/o $SKY_INPUTS/tree/x > $SKY_OUTPUTS/o",
        ),
    ];
    let place =
        crate::providers::ssh::place(Sshd::shared(), &["ssh:one", "ssh:two", "local:here"], &rows);
    let shared = place.path("shared");
    let staging = format!("file://{}", shared.display());
    let said = ended(&place.apply(&["--staging", &staging]), 1);
    assert!(
        said.contains("the shared folder that it should be in is not there"),
        "{said}"
    );
    std::fs::create_dir(&shared).unwrap();
    ended(&place.apply(&["--staging", &staging, "--keep-buckets"]), 0);
    assert_eq!(place.text(".sky/artifacts/here/o"), "1\n2\n2\n");
    let state = place.state();
    // What is read on this machine was brought to it.
    let away = |name: &str| state.artifacts[name].away;
    assert_eq!(
        [away("one.o"), away("one.tree"), away("two.o")],
        [true, false, false]
    );
    assert_eq!(
        std::fs::read_dir(&shared).unwrap().count(),
        state.buckets.len()
    );
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(std::fs::read_dir(&shared).unwrap().count(), 0);
}

#[test]
fn what_stays_there_is_kept_in_its_bucket_and_what_is_sent_home_is_paid_for() {
    let rows: [Row; 2] = [
        (
            "make",
            &[],
            &["kept", "sent", "both"],
            "cd $SKY_OUTPUTS; echo 1 > kept; echo 22 > sent; echo 333 > both",
        ),
        ("read", &["make.both"], &[], "cat $SKY_INPUTS/both"),
    ];
    let yard = Yard::new(Sshd::shared(), &[AMAZON, AZURE], &rows);
    let rate = DataRate(90_000_000_000);
    change(&yard.place, |plan| {
        let way = PlannedLink {
            to: PlaceName::here(),
            rate_nano_usd_per_gb: rate,
            ..plan.links[0].clone()
        };
        assert_eq!(way.from.to_string(), AMAZON);
        plan.links.push(way);
        let goes = [
            ("kept", Destination::There),
            ("sent", Destination::Home),
            ("both", Destination::Home),
        ];
        plan.stages[0].outputs = goes.map(|(name, goes)| (name.to_owned(), goes)).into();
    });
    let said = ended(&yard.apply(&[]), 0);
    let here = |name: &str| yard.place.path(".sky/artifacts/make").join(name).exists();
    assert_eq!(
        [here("kept"), here("sent"), here("both")],
        [false, true, true],
        "{said}"
    );
    let state = yard.state();
    // To the reader at the other cloud once, and home what goes home.
    let costs = [4, 3, 4].map(|bytes| rate.cost(Bytes(bytes)).0);
    assert_eq!(state.spent_micro_usd, Money(costs.iter().sum()));
    assert!(said.contains("make.kept stays at aws:us-east-1"), "{said}");
    let kept = &state.buckets[&PlaceName::parse(AMAZON).unwrap()];
    assert!(servers::content(kept).is_some_and(|held| !held.is_empty()));
    assert_eq!(
        state.buckets.len(),
        1,
        "the other bucket has nothing that anybody needs"
    );
    // Again, nothing is to do; and then it is wanted here after all.
    let again = ended(&yard.apply(&["--json"]), 0);
    assert!(!again.contains("apply_start"), "{again}");
    change(&yard.place, |plan| {
        plan.stages[0]
            .outputs
            .insert("kept".to_owned(), Destination::Home);
    });
    ended(&yard.apply(&[]), 0);
    assert!(here("kept"));
    yard.destroy();
    assert!(servers::content(kept).is_none());
}

#[test]
fn what_a_rule_keeps_from_this_machine_does_not_pass_through_it() {
    let rows: [Row; 2] = [
        ("make", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
        ("read", &["make.o"], &[], "true"),
    ];
    let yard = Yard::new(Sshd::shared(), &[AMAZON, AZURE], &rows);
    change(&yard.place, |plan| {
        plan.stages[0].kept_from_home_by = Some("residency.personal".to_owned())
    });
    let apply = [
        "apply",
        "plan.json",
        "--provider",
        "ssh",
        "--staging",
        "home",
    ];
    let said = ended(&yard.command(&apply).output().unwrap(), 1);
    assert!(
        said.contains("would pass through this machine") && said.contains("residency.personal"),
        "{said}"
    );
    assert!(!yard.place.path(".sky/artifacts").exists());
    change(&yard.place, |plan| {
        plan.stages[1].reads.clear();
        plan.stages[0].outputs = [("o".to_owned(), Destination::There)].into();
    });
    let said = ended(&yard.command(&apply).output().unwrap(), 1);
    assert!(
        said.contains("stays at aws:us-east-1 by the plan") && said.contains("[outputs]"),
        "{said}"
    );
    // A rehearsal rents nothing and moves nothing.
    ended(
        &yard
            .command(&["apply", "plan.json", "--provider", "local"])
            .output()
            .unwrap(),
        0,
    );
}
