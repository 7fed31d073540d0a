//! Digests, tokens, names and buckets in states, journals and plans that lead elsewhere.

use crate::execution::apply::place::{self, Place, Row, ended};
use serde_json::{Value, json};
use sky::execution::state::event::Record;
use sky::execution::state::{Call, Cipher, Event, journal};
use sky::plan::Plan;
use std::path::Path;

const ROWS: [Row; 1] = [("a", &[], &["o"], "echo out > $SKY_OUTPUTS/o")];

/// A folder where the job was applied.
fn applied() -> Place {
    let place = Place::new(&ROWS);
    ended(&place.apply(&[]), 0);
    place
}

/// Changes the state file as somebody would who may write to it.
fn forge(place: &Place, change: impl FnOnce(&mut Value)) {
    let path = place.path("sky.state.json");
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(&path, state.to_string()).unwrap();
}

/// Every verb that reads the state refuses it, and names the field and the value.
fn all_refuse(place: &Place, says: &[&str]) {
    let file = ["show", "sky.state.json"];
    for verb in [
        &["show"][..],
        &file,
        &["state", "list"],
        &["state", "pull"],
        &["state", "push", "sky.state.json"],
        &["apply", "plan.json"],
        &["refresh"],
        &["sweep", "--all", "--auto-approve"],
        &["destroy", "--auto-approve"],
    ] {
        let said = ended(&place.sky(verb).output().unwrap(), 1);
        for words in says {
            assert!(said.contains(words), "{verb:?}: no `{words}` in {said}");
        }
    }
}

#[test]
fn a_digest_in_a_state_is_no_path() {
    let place = applied();
    let secret = place.path("secret");
    std::fs::write(&secret, "of this machine alone").unwrap();
    for digest in [
        format!("sha256:xx{}", secret.display()),
        "sha256:../../../secret".into(),
        String::new(),
    ] {
        forge(&place, |state| {
            state["artifacts"]["a.o"]["digest"] = json!(digest)
        });
        all_refuse(
            &place,
            &[
                "artifacts.a.o.digest",
                "is not a digest",
                "64 hexadecimal digits",
            ],
        );
    }
}

#[test]
fn tokens_and_names_in_a_state_lead_nowhere() {
    type Change = fn(&mut Value);
    let forged: [(&str, Change); 7] = [
        ("stages.a.token", |state| {
            state["stages"]["a"]["token"] = json!("../../../../tmp/x")
        }),
        ("`stages` has `../../x`", |state| {
            let record = state["stages"]["a"].clone();
            state["stages"]["../../x"] = record;
        }),
        ("`artifacts` has `a./etc/passwd`", |state| {
            let artifact = state["artifacts"]["a.o"].clone();
            state["artifacts"]["a./etc/passwd"] = artifact;
        }),
        ("lineage", |state| state["lineage"] = json!("../../x")),
        ("checkpoint.staged.aws:us-east-1.key", |state| {
            let mut saved = state["artifacts"]["a.o"].clone();
            let digest = saved["digest"].clone();
            let pack = json!({ "key": "../../x", "bytes": 1, "chunk_bytes": 1, "digest": digest });
            saved["staged"] = json!({ "aws:us-east-1": pack });
            state["stages"]["a"]["checkpoint"] = saved;
        }),
        ("at most 100000 chunks", |state| {
            let digest = state["artifacts"]["a.o"]["digest"].clone();
            let pack = json!({ "key": "0".repeat(64), "bytes": u64::MAX, "chunk_bytes": 1, "digest": digest });
            state["artifacts"]["a.o"]["staged"] = json!({ "aws:us-east-1": pack });
        }),
        ("exhausted.stage", |state| {
            state["exhausted"] = json!([{
                "stage": "a/../b", "place": "aws:us-east-1", "instance_type": "m", "purchase": "on-demand", "why": "quota",
            }]);
        }),
    ];
    let place = applied();
    let good = std::fs::read_to_string(place.path("sky.state.json")).unwrap();
    for (says, change) in forged {
        forge(&place, change);
        all_refuse(&place, &[says, "sky.state.json"]);
        std::fs::write(place.path("sky.state.json"), &good).unwrap();
    }
    ended(&place.apply(&[]), 0);
}

#[test]
fn only_buckets_of_the_own_lineage_are_deleted() {
    let place = applied();
    let victim = place.path("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("thesis.txt"), "years of work").unwrap();
    for address in [
        format!("file://{}", victim.display()),
        "s3://production-data".into(),
        "file:///".into(),
    ] {
        forge(&place, |state| {
            state["buckets"] = json!({ "aws:us-east-1": address })
        });
        all_refuse(&place, &["buckets.aws:us-east-1", &address]);
        assert!(victim.join("thesis.txt").exists());
    }
    // A name that the lineage could have made, for a folder in which somebody else keeps something.
    let lineage = place_lineage(&place);
    let owner: String = lineage
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let named = place.path(&format!("sky-{owner}-0123abcd-us-east-1"));
    std::fs::rename(&victim, &named).unwrap();
    forge(
        &place,
        |state| {
            state["buckets"] = json!({ "aws:us-east-1": format!("file://{}", named.display()) })
        },
    );
    let said = ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        1,
    );
    assert!(
        said.contains("is not deleted") && said.contains("thesis.txt"),
        "{said}"
    );
    assert!(named.join("thesis.txt").exists());
    // What sky has put there goes, and all else was deleted the first time.
    std::fs::remove_file(named.join("thesis.txt")).unwrap();
    std::fs::create_dir(named.join("0".repeat(64))).unwrap();
    std::fs::write(named.join("0".repeat(64)).join("00000"), "chunk").unwrap();
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert!(!named.exists());
}

fn place_lineage(place: &Place) -> String {
    let state: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("sky.state.json")).unwrap())
            .unwrap();
    state["lineage"].as_str().unwrap().to_owned()
}

#[test]
fn a_record_of_a_journal_leads_nowhere() {
    let token = || "0".repeat(32);
    let bucket = Event::Bucket {
        place: sky::model::PlaceName::parse("aws:us-east-1").unwrap(),
        address: "file:///any/dir".to_owned(),
    };
    let forged = [
        (
            Event::Intent {
                stage: "a".into(),
                token: "../../x".into(),
                call: Call::Delete,
            },
            "`token` has `../../x`",
        ),
        (
            Event::Intent {
                stage: "../x".into(),
                token: token(),
                call: Call::Delete,
            },
            "`stage` has `../x`",
        ),
        (
            Event::Renamed {
                stage: "a".into(),
                to: "/etc".into(),
            },
            "`to` has `/etc`",
        ),
        (bucket, "buckets.aws:us-east-1"),
    ];
    for (event, says) in forged {
        let place = applied();
        let sequence = 1 + {
            let text = std::fs::read_to_string(place.path("sky.state.json")).unwrap();
            let state: Value = serde_json::from_str(&text).unwrap();
            state["journal_sequence"].as_u64().unwrap()
        };
        let record = Record {
            sequence,
            at: "2026-01-01T00:00:00Z".into(),
            event,
        };
        let line = journal::encode(&record, &Cipher::default()).unwrap();
        std::fs::write(place.path(".sky/journal"), line).unwrap();
        for verb in [
            &["show"][..],
            &["apply", "plan.json"],
            &["destroy", "--auto-approve"],
        ] {
            let said = ended(&place.sky(verb).output().unwrap(), 1);
            assert!(
                said.contains(says) && said.contains("journal"),
                "{says}: {said}"
            );
        }
        std::fs::write(place.path(".sky/journal"), "").unwrap();
    }
    // A digest cannot even be written as a record.
    let place = applied();
    let payload = json!({
        "sequence": 99, "at": "2026-01-01T00:00:00Z",
        "event": {
            "type": "brought", "artifact": "a.o", "digest": "sha256:xx/etc/passwd", "from": "aws:us-east-1", "moved": 1,
        },
    });
    let sum = sky::util::hash::digest(payload.to_string().as_bytes());
    std::fs::write(
        place.path(".sky/journal"),
        format!("{} {payload}\n", &sum.hex()[..8]),
    )
    .unwrap();
    let said = ended(&place.sky(&["show"]).output().unwrap(), 1);
    assert!(
        said.contains("line 1") && said.contains("is not a digest"),
        "{said}"
    );
    std::fs::write(place.path(".sky/journal"), "").unwrap();
}

#[test]
fn names_in_a_plan_lead_nowhere() {
    type Change = fn(&mut Plan);
    let forged: [(&str, Change); 5] = [
        ("stages[0].name", |plan| {
            plan.stages[0].name = "../../x".into()
        }),
        ("stages[0].writes", |plan| {
            plan.stages[0]
                .writes
                .insert("../x".into(), sky::model::Bytes(1));
        }),
        ("stages[0].reads", |plan| {
            plan.stages[0].reads.insert("/etc/passwd".to_owned().into());
        }),
        ("inputs.catalog", |plan| {
            plan.inputs.catalog = "sha256:../x".into()
        }),
        ("job", |plan| plan.job = "../x".into()),
    ];
    for (field, change) in forged {
        let mut plan = place::plan("job", &ROWS);
        change(&mut plan);
        let place = Place::new(&ROWS);
        // With a digest that fits.
        place.write_plan(&plan);
        for verb in [
            &["show", "plan.json"][..],
            &["apply", "plan.json"],
            &["graph", "plan.json"],
        ] {
            let said = ended(&place.sky(verb).output().unwrap(), 1);
            assert!(said.contains(&format!("`{field}`")), "{field}: {said}");
        }
        assert!(!place.path(".sky").exists());
    }
}

#[test]
fn a_name_that_is_imported_leads_nowhere() {
    let place = applied();
    let import = ["import", "stage.../../x", "id", "--provider", "local"];
    let said = ended(&place.sky(&import).output().unwrap(), 1);
    assert!(said.contains("cannot be the name of a stage"), "{said}");
}

/// A failed import is over: it leaves nothing that looks like an operation that was cut off.
#[test]
fn a_failed_import_does_not_block_a_push() {
    let place = applied();
    for provider in ["local", "sim"] {
        let import = [
            "import",
            "stage.a",
            "no-such-machine",
            "--provider",
            provider,
        ];
        ended(&place.sky(&import).output().unwrap(), 1);
        let pulled = ended(&place.sky(&["state", "pull"]).output().unwrap(), 0);
        let mut state: Value = serde_json::from_str(&pulled).unwrap();
        state["serial"] = json!(state["serial"].as_u64().unwrap() + 1);
        std::fs::write(place.path("edited.json"), state.to_string()).unwrap();
        let said = ended(
            &place
                .sky(&["state", "push", "edited.json"])
                .output()
                .unwrap(),
            0,
        );
        assert!(said.contains("Pushed"), "{said}");
    }
    assert!(Path::new(&place.path("sky.state.json")).exists());
    ended(&place.apply(&[]), 0);
}
