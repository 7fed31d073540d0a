//! States in a bucket, over an object store in memory: it has the same conditions as the real ones.
//! The protocols of Amazon and Azure are tested against servers in `tests/it/execution/stores`;
//! that of Google is the crate's word alone, since no server of it that knows conditions can be
//! installed from a registry.

use super::address::Cloud;
use super::bucket::{Bucket, Put, When};
use super::folder::Folder;
use super::journal::Durability;
use super::segments::name;
use super::*;
use crate::util::hash;
use object_store::memory::InMemory;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

struct Ground {
    bucket: Bucket,
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let bucket = Bucket::over(Arc::new(InMemory::new()), Cloud::Gcs, "team", "jobs/a");
        Self {
            bucket,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A store as seen from a machine with a working folder of its own.
    fn from(&self, machine: &str) -> Store {
        Store::over(
            Folder::resolve(self.folder.path(), Some(Path::new(machine))),
            self.bucket.clone(),
        )
    }

    fn names(&self) -> Vec<String> {
        wait(self.bucket.list("journal")).unwrap()
    }
}

fn attempt(stage: &str, number: u32) -> Event {
    Event::Attempt {
        stage: stage.into(),
        attempt: number,
        token: hash::digest(format!("token-{stage}-{number}").as_bytes()).hex()[..32].to_owned(),
        provider: "sim".into(),
        place: crate::model::PlaceName::here(),
        definition: "d".into(),
        fingerprint: "f".into(),
        rented: None,
        failures: 0,
    }
}

fn record(opened: &mut Opened, event: Event) -> std::io::Result<()> {
    let record = opened.journal.append(event, Durability::Now)?;
    opened.state.take(&record);
    wait(opened.journal.ticket(Durability::Now).wait())
}

#[test]
fn another_machine_goes_on_from_the_bucket_alone() {
    let ground = Ground::new();
    let first = ground.from("one");
    assert!(first.read().unwrap().is_none() && !first.exists().unwrap());
    let lock = first.lock("apply", Duration::ZERO).unwrap();
    let mut opened = first.change(Some(&lock)).unwrap();
    record(&mut opened, attempt("a", 1)).unwrap();
    let later = opened
        .journal
        .append(attempt("b", 1), Durability::Later)
        .unwrap();
    opened.state.take(&later);
    record(&mut opened, attempt("c", 1)).unwrap();
    assert_eq!(
        ground.names(),
        ["00000000000000000001", "00000000000000000002"]
    );
    // What ran it is gone with its disk; only its lock's record still says so.
    let wanted = opened.state.clone();
    std::mem::forget(lock);
    drop(opened);
    let second = ground.from("two");
    assert_eq!(second.read().unwrap().unwrap(), wanted);
    let Err(LockError::Held(Some(holder))) = second.lock("apply", Duration::ZERO) else {
        panic!("given twice")
    };
    assert!(
        second.force_unlock("another").is_ok_and(|done| !done)
            && second.force_unlock(&holder.id).unwrap()
    );
    let lock = second.lock("apply", Duration::ZERO).unwrap();
    let mut opened = second.change(Some(&lock)).unwrap();
    assert!(
        opened.warnings[0].contains("forced open"),
        "{:?}",
        opened.warnings
    );
    assert_eq!(opened.state.stages, wanted.stages);
    record(&mut opened, attempt("d", 1)).unwrap();
    wait(opened.compact()).unwrap();
    assert!(ground.names().is_empty());
    let after = second.read().unwrap().unwrap();
    assert_eq!((after.lineage, after.stages.len()), (wanted.lineage, 4));
    drop(lock);
    assert!(second.holder().unwrap().is_none());
    // A working folder is of one state.
    let other = Bucket::over(Arc::new(InMemory::new()), Cloud::Gcs, "team", "jobs/b");
    let said = Store::over(second.folder.clone(), other)
        .read()
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("gs://team/jobs/a, not of gs://team/jobs/b"),
        "{said}"
    );
    let said = Store::open(
        ground.folder.path(),
        None,
        Some(Path::new("two")),
        Cipher::default(),
    )
    .unwrap()
    .read();
    assert!(
        said.unwrap_err()
            .to_string()
            .contains("--state gs://team/jobs/a")
    );
}

#[test]
fn one_of_two_writers_is_stopped_before_its_next_call() {
    let ground = Ground::new();
    let (one, two) = (ground.from("one"), ground.from("two"));
    let former = one.lock("apply", Duration::ZERO).unwrap();
    let mut hung = one.change(Some(&former)).unwrap();
    record(&mut hung, attempt("a", 1)).unwrap();
    let lines = wait(ground.bucket.get(&name(1))).unwrap().unwrap().bytes;
    let id = two.holder().unwrap().unwrap().id;
    assert!(two.force_unlock(&id).unwrap());
    let lock = two.lock("apply", Duration::ZERO).unwrap();
    let mut opened = two.change(Some(&lock)).unwrap();
    // The former one wakes up: what it writes is void, and it is told so before it could do it.
    let lost = record(&mut hung, attempt("b", 1)).unwrap_err();
    assert_eq!(
        LockLost::of(&lost).unwrap().holder.as_ref().unwrap().pid,
        std::process::id()
    );
    assert!(record(&mut hung, attempt("c", 1)).is_err());
    assert!(LockLost::of(&wait(hung.compact()).unwrap_err()).is_some());
    // Its segment has the name of our next one, and gives way.
    assert_eq!(ground.names(), ["00000000000000000002"]);
    record(&mut opened, attempt("d", 1)).unwrap();
    let state = two.read().unwrap().unwrap();
    assert_eq!(state.stages.keys().collect::<Vec<_>>(), ["a", "d"]);
    // Neither its heart nor its end ends the other's lock.
    wait(former.fence().renew());
    drop(former);
    wait(lock.fence().check()).unwrap();
    wait(opened.compact()).unwrap();
    // Even without any lock, two do not write the same record.
    let (mut first, mut second) = (one.change(None).unwrap(), two.change(None).unwrap());
    record(&mut first, attempt("e", 1)).unwrap();
    assert!(LockLost::of(&record(&mut second, attempt("e", 2)).unwrap_err()).is_some());
    wait(first.compact()).unwrap();
    let mut third = two.change(None).unwrap();
    record(&mut first, attempt("f", 1)).unwrap();
    wait(first.compact()).unwrap();
    assert!(
        LockLost::of(&wait(third.compact()).unwrap_err()).is_some(),
        "an older snapshot took the place of a newer one"
    );
    assert!(!lines.is_empty());
}

#[test]
fn a_lock_that_is_over_is_taken_over_once() {
    let ground = Ground::new();
    let store = ground.from("one").lasting(Duration::from_secs(1));
    let former = store.lock("apply", Duration::ZERO).unwrap();
    // It is renewed while it is held.
    assert!(matches!(
        store.lock("destroy", Duration::from_millis(1500)),
        Err(LockError::Held(Some(_)))
    ));
    let fence = former.fence();
    std::mem::forget(former);
    let over = Holder {
        expires: "2001-01-01T00:00:00Z".into(),
        ..store.holder().unwrap().unwrap()
    };
    wait(
        ground
            .bucket
            .put("lock", over.bytes().unwrap(), When::Always),
    )
    .unwrap();
    let taken: Vec<_> = std::thread::scope(|scope| {
        let take = || store.clone().lasting(LONG).lock("apply", Duration::ZERO);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let held: Vec<&Lock> = taken.iter().flatten().collect();
    // A beat of the former heart may have come first; then all are told of it.
    assert!(held.len() <= 1, "{taken:?}");
    if let [lock] = held[..] {
        assert!(
            lock.former
                .as_ref()
                .unwrap()
                .words
                .contains("was taken over")
        );
        assert!(LockLost::of(&wait(fence.check()).unwrap_err()).is_some());
        wait(lock.fence().check()).unwrap();
    }
    let odd = Ground::new();
    wait(odd.bucket.put("lock", b"hello".to_vec(), When::Always)).unwrap();
    let Err(LockError::Io(error)) = odd.from("one").lock("apply", Duration::ZERO) else {
        panic!("taken")
    };
    assert!(
        error
            .to_string()
            .contains("gs://team/jobs/a/lock is not a lock of sky"),
        "{error}"
    );
}

#[test]
fn a_bad_object_is_never_a_fresh_start() {
    let ground = Ground::new();
    let store = ground.from("one");
    let mut opened = store.change(None).unwrap();
    for number in 1..=3 {
        record(&mut opened, attempt("a", number)).unwrap();
    }
    drop(opened);
    let snapshot = wait(ground.bucket.get("sky.state.json"))
        .unwrap()
        .unwrap()
        .bytes;
    let put = |name: &str, bytes: &[u8]| {
        assert!(matches!(
            wait(ground.bucket.put(name, bytes.to_vec(), When::Always)).unwrap(),
            Put::Done(_)
        ));
    };
    let refused = || {
        let said = store.read().unwrap_err().to_string();
        assert_eq!(store.change(None).unwrap_err().to_string(), said);
        said
    };
    for (bytes, word) in [
        (&b""[..], "is empty"),
        (b"{", "not a state"),
        (b"{\"version\": 99}", "version 99"),
    ] {
        put("sky.state.json", bytes);
        let said = refused();
        assert!(
            said.contains(word) && said.contains("gs://team/jobs/a/sky.state.json"),
            "{said}"
        );
    }
    wait(ground.bucket.delete("sky.state.json")).unwrap();
    assert!(refused().contains("is missing, but gs://team/jobs/a/journal is there"));
    put("sky.state.json", &snapshot);
    let whole = wait(ground.bucket.get(&name(2))).unwrap().unwrap().bytes;
    put(&name(2), &whole[..whole.len() - 4]);
    assert!(refused().contains("checksum does not fit"));
    wait(ground.bucket.delete(&name(2))).unwrap();
    assert!(refused().contains("records before it are missing"));
    put(&name(2), &whole);
    let last = wait(ground.bucket.get(&name(3))).unwrap().unwrap().bytes;
    put(&name(3), &last[..last.len() - 4]);
    assert!(refused().contains("torn, which no object can be"));
    put(&name(3), &last);
    assert_eq!(store.read().unwrap().unwrap().stages["a"].attempt, 3);
}

#[test]
fn records_that_come_together_go_together() {
    let ground = Ground::new();
    let store = ground.from("one");
    let opened = store.change(None).unwrap();
    let recorder = std::sync::Mutex::new(opened);
    let threads = 16;
    let together = std::sync::Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (recorder, together) = (&recorder, &together);
            scope.spawn(move || {
                for number in 0..20 {
                    let ticket = {
                        let mut opened = recorder.lock().unwrap();
                        let record = opened
                            .journal
                            .append(attempt(&format!("s{thread}"), number), Durability::Now)
                            .unwrap();
                        opened.state.take(&record);
                        opened.journal.ticket(Durability::Now)
                    };
                    together.wait();
                    wait(ticket.wait()).unwrap();
                }
            });
        }
    });
    let state = store.read().unwrap().unwrap();
    assert_eq!(state, recorder.into_inner().unwrap().state);
    assert_eq!((state.journal_sequence, state.stages.len()), (320, 16));
    assert!(
        ground.names().len() <= 2 * 20,
        "{} segments for 320 records in 20 rounds",
        ground.names().len()
    );
}

#[test]
fn a_plain_state_is_sealed_by_the_next_that_writes_and_opened_up_on_demand() {
    let keys = tempfile::tempdir().unwrap();
    let (recipient, identity) = cipher::tests::pair(keys.path(), "key");
    let sealing = Cipher::load(Some(&recipient), Some(&identity), keys.path()).unwrap();
    let reading = Cipher::load(None, Some(&identity), keys.path()).unwrap();
    let opening = Cipher::load(Some("none"), Some(&identity), keys.path()).unwrap();
    let ground = Ground::new();
    let here = Store::open(
        ground.folder.path(),
        None,
        Some(Path::new("local")),
        Cipher::default(),
    )
    .unwrap();
    for plain in [ground.from("one"), here] {
        let with = |cipher: &Cipher| plain.clone().under(cipher.clone());
        let texts = || -> String {
            let files = ["sky.state.json", "sky.state.json.backup", "journal"]
                .map(|name| plain.folder.root.join(name));
            let in_folder = files.iter().filter_map(|path| std::fs::read(path).ok());
            let mut objects = vec![
                "sky.state.json".to_owned(),
                "sky.state.json.backup".to_owned(),
            ];
            objects.extend(ground.names().iter().map(|name| format!("journal/{name}")));
            let in_bucket = objects
                .iter()
                .filter_map(|name| Some(wait(ground.bucket.get(name)).unwrap()?.bytes));
            in_folder
                .chain(in_bucket)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .collect()
        };
        let mut opened = plain.change(None).unwrap();
        record(&mut opened, attempt("train", 1)).unwrap();
        drop(opened);
        assert!(texts().contains("train"));
        assert_eq!(with(&sealing).read().unwrap().unwrap().stages.len(), 1);
        // From here on nothing is plain, neither what is there nor what comes.
        let mut opened = with(&sealing).change(None).unwrap();
        record(&mut opened, attempt("serve", 1)).unwrap();
        drop(opened);
        let all = texts();
        assert!(
            !all.contains("train") && !all.contains("serve") && !all.contains("lineage"),
            "{all}"
        );
        assert_eq!(with(&reading).read().unwrap().unwrap().stages.len(), 2);
        let said = plain.read().unwrap_err().to_string();
        assert!(
            said.contains("it is encrypted, and there is no identity"),
            "{said}"
        );
        assert!(
            plain
                .change(None)
                .unwrap_err()
                .to_string()
                .contains("it is encrypted")
        );
        let said = with(&reading).change(None).unwrap_err().to_string();
        assert!(said.contains("nobody is named to encrypt it for"), "{said}");
        let mut opened = with(&opening).change(None).unwrap();
        record(&mut opened, attempt("more", 1)).unwrap();
        drop(opened);
        assert_eq!(plain.read().unwrap().unwrap().stages.len(), 3);
        wait(
            ground
                .bucket
                .delete_all(&["sky.state.json".into(), "sky.state.json.backup".into()]),
        )
        .unwrap();
        let segments: Vec<String> = ground
            .names()
            .iter()
            .map(|name| format!("journal/{name}"))
            .collect();
        wait(ground.bucket.delete_all(&segments)).unwrap();
    }
}

/// A state that an earlier version wrote, before attempts counted failures.
#[test]
fn an_attempt_of_an_earlier_version_is_read() {
    let line = r#"{"sequence":1,"at":"2026-10-01T00:00:00.000Z","event":{"type":"attempt","stage":"a","attempt":2,
        "token":"7e1761c190b3bc12949763692c2d1593","provider":"sim","place":"aws:us-east-1","definition":"d",
        "fingerprint":"f"}}"#;
    let record: super::event::Record = serde_json::from_str(line).unwrap();
    let mut state = State::empty("l".into());
    state.take(&record);
    let exited = |sequence: u64, code: i32| super::event::Record {
        sequence,
        at: "2026-10-01T00:00:01.000Z".into(),
        event: Event::Exited {
            stage: "a".into(),
            code,
        },
    };
    // An attempt that is gone on with says its end again.
    [exited(2, 75), exited(3, 75)]
        .iter()
        .for_each(|record| state.take(record));
    assert_eq!(
        (state.stages["a"].attempt, state.stages["a"].failures),
        (2, 1)
    );
    let mut value = serde_json::to_value(&state.stages["a"]).unwrap();
    value.as_object_mut().unwrap().remove("failures").unwrap();
    let record: StageRecord = serde_json::from_value(value).unwrap();
    assert_eq!(record.failures, 0);
}
