//! What every provider must do, whichever it is: the contract of `sky::execution::provider`, call
//! by call.

mod subjects;

use sky::execution::provider::*;
use sky::model::{Bytes, PlaceName, Purchase, Rate};
use sky::util::secret::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(3600);

/// What the suite needs to know of a provider.
pub(crate) struct Subject {
    pub provider: Arc<dyn Provider>,
    /// Folders of this machine where everything that the provider writes lies.
    pub folders: Vec<std::path::PathBuf>,
    /// A place and a type that it has.
    pub place: PlaceName,
    pub instance_type: String,
}

impl Subject {
    fn owner(&self) -> Owner {
        Owner {
            job: "conformance".into(),
            lineage: format!("lineage-{}", self.provider.name()),
        }
    }

    fn spec(&self, lease: Duration) -> MachineSpec {
        MachineSpec {
            owner: self.owner(),
            plan: "sha256:plan".into(),
            lease,
            place: self.place.clone(),
            instance_type: self.instance_type.clone(),
            accelerator: None,
            nodes: 1,
            purchase: Purchase::OnDemand,
            tee: None,
            rate: Rate(0),
            disk: Bytes(1),
        }
    }

    /// Each subject has a lineage, and so tokens, of its own: subjects share this machine.
    fn token(&self, stage: &str, attempt: u32) -> Token {
        Token::new(&self.owner().lineage, "sha256:plan", stage, attempt)
    }

    async fn machine(&self, stage: &str, lease: Duration) -> (Token, Box<dyn Worker>) {
        let token = self.token(stage, 1);
        self.provider
            .create(&token, &self.spec(lease))
            .await
            .unwrap();
        let worker = self.provider.worker(&token).await.unwrap();
        (token, worker)
    }

    async fn delete(&self, token: &Token) {
        self.provider.delete(token).await.unwrap();
        assert!(self.provider.get(token).await.unwrap().is_none());
    }
}

fn task(command: &str) -> Task {
    Task {
        command: command.into(),
        environment: BTreeMap::from([("GREETING".into(), "it's \"$HOME\" `x`\nand more".into())]),
        secrets: BTreeMap::new(),
        log_limit: 0,
        checkpoint: None,
        files: Vec::new(),
        inputs: Vec::new(),
    }
}

async fn until(worker: &dyn Worker, what: &str, wanted: impl Fn(RunStatus) -> bool) -> RunStatus {
    let begun = Instant::now();
    loop {
        let status = worker.status().await.unwrap();
        if wanted(status) {
            return status;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} did not come: {status:?}"
        );
        tokio::time::sleep(worker.interval()).await;
    }
}

fn over(status: RunStatus) -> bool {
    !matches!(status, RunStatus::Running | RunStatus::NotStarted)
}

async fn log(worker: &dyn Worker) -> String {
    let mut text = Vec::new();
    loop {
        let piece = worker.log(text.len() as u64).await.unwrap();
        if piece.is_empty() {
            return String::from_utf8(text).unwrap();
        }
        text.extend(piece);
    }
}

fn content(content: &Content) -> &Path {
    match content {
        Content::Local(path) | Content::Stored(path) => path,
        Content::Empty | Content::Fetched(_) => panic!("no content"),
    }
}

/// The whole suite.
pub(crate) async fn conforms(subject: &Subject) {
    one_token_is_one_machine(subject).await;
    what_is_not_there(subject).await;
    a_command_runs_once(subject).await;
    data_comes_and_goes(subject).await;
    failures_are_told(subject).await;
    a_flood_of_output_is_cut(subject).await;
    a_stop_ends_all(subject).await;
    progress_is_saved(subject).await;
    leases_end_machines(subject).await;
    secrets_reach_the_command_alone(subject).await;
    machines_are_taken_over(subject).await;
}

async fn one_token_is_one_machine(subject: &Subject) {
    let provider = &subject.provider;
    let token = subject.token("once", 1);
    let first = provider.create(&token, &subject.spec(LONG)).await.unwrap();
    let again = provider.create(&token, &subject.spec(LONG)).await.unwrap();
    assert_eq!((&first.id, &first.token), (&again.id, &token));
    let found = provider.get(&token).await.unwrap().unwrap();
    assert_eq!(
        (found.id, found.job, found.lineage),
        (first.id, "conformance".into(), subject.owner().lineage)
    );
    // Both at once are one, too.
    let token2 = subject.token("once", 2);
    let (one, two) = (subject.spec(LONG), subject.spec(LONG));
    provider.delete(&token).await.unwrap();
    let (one, two) = tokio::join!(
        provider.create(&token2, &one),
        provider.create(&token2, &two)
    );
    assert_eq!(one.unwrap().id, two.unwrap().id);
    let owned = provider.list(Some(&subject.owner())).await.unwrap();
    assert_eq!(
        owned
            .iter()
            .filter(|machine| machine.token == token2)
            .count(),
        1
    );
    assert!(owned.iter().all(|machine| machine.token != token));
    assert!(
        provider
            .list(None)
            .await
            .unwrap()
            .iter()
            .any(|machine| machine.token == token2)
    );
    let stranger = Owner {
        lineage: "another".into(),
        ..subject.owner()
    };
    assert!(provider.list(Some(&stranger)).await.unwrap().is_empty());
    subject.delete(&token2).await;
    subject.delete(&token2).await;
    assert!(
        provider
            .list(Some(&subject.owner()))
            .await
            .unwrap()
            .is_empty()
    );
}

async fn what_is_not_there(subject: &Subject) {
    let provider = &subject.provider;
    let token = subject.token("nowhere", 1);
    assert!(provider.get(&token).await.unwrap().is_none());
    provider.release(&token, Evidence::Drop).await.unwrap();
    provider.delete(&token).await.unwrap();
    let error = provider.worker(&token).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let error = provider
        .renew(&token, LeaseEnd::after(LONG))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let error = provider
        .adopt("no-such-machine", &token, &subject.owner())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

async fn a_command_runs_once(subject: &Subject) {
    let (token, worker) = subject.machine("run", LONG).await;
    assert_eq!(worker.status().await.unwrap(), RunStatus::NotStarted);
    let outside = tempfile::NamedTempFile::new().unwrap();
    let command = format!(
        "echo ran >> '{}'; printf '%s|' \"$GREETING\" \"$SKY_TOKEN\"; echo; sleep 0.3; echo 1 > \"$SKY_OUTPUTS/o\"; echo last >&2",
        outside.path().display()
    );
    let task = task(&command);
    worker.stage_in(&task).await.unwrap();
    worker.stage_in(&task).await.unwrap();
    worker.start(&task).await.unwrap();
    worker.start(&task).await.unwrap();
    assert_ne!(worker.status().await.unwrap(), RunStatus::NotStarted);
    // Another look from elsewhere is at the same command.
    let other = subject.provider.worker(&token).await.unwrap();
    other.start(&task).await.unwrap();
    assert_eq!(
        until(other.as_ref(), "the end", over).await,
        RunStatus::Exited(0)
    );
    worker.start(&task).await.unwrap();
    assert_eq!(std::fs::read_to_string(outside.path()).unwrap(), "ran\n");
    let said = log(worker.as_ref()).await;
    assert_eq!(
        said,
        format!("it's \"$HOME\" `x`\nand more|{}|\nlast\n", token.id)
    );
    assert_eq!(worker.log_length().await.unwrap(), said.len() as u64);
    assert_eq!(
        String::from_utf8(worker.log(5).await.unwrap()).unwrap(),
        said[5..]
    );
    // Collecting changes nothing.
    for _ in 0..2 {
        let outputs = worker.collect(&["o".into()]).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(content(&outputs[0])).unwrap(),
            "1\n"
        );
    }
    subject
        .provider
        .release(&token, Evidence::Drop)
        .await
        .unwrap();
    subject
        .provider
        .release(&token, Evidence::Drop)
        .await
        .unwrap();
    subject.delete(&token).await;
}

async fn data_comes_and_goes(subject: &Subject) {
    let here = tempfile::tempdir().unwrap();
    let tree = here.path().join("tree");
    std::fs::create_dir_all(tree.join("in ner/empty")).unwrap();
    std::fs::write(tree.join("in ner/-rf *"), "hostile").unwrap();
    std::fs::write(tree.join("naïve\n'\"$x"), "odd").unwrap();
    std::os::unix::fs::symlink("in ner/-rf *", tree.join("link")).unwrap();
    let tool = here.path().join("tool");
    std::fs::write(&tool, "#!/bin/sh\necho tool\n").unwrap();
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (token, worker) = subject.machine("data", LONG).await;
    let mut task = task(
        "./bin/tool; cat \"$SKY_INPUTS/nothing\"; cp -R \"$SKY_INPUTS/a tree\" \"$SKY_OUTPUTS/back\"",
    );
    task.files = vec![Item {
        name: "bin/tool".into(),
        content: Content::Local(tool),
    }];
    task.inputs = vec![
        Item {
            name: "a tree".into(),
            content: Content::Stored(tree.clone()),
        },
        Item {
            name: "nothing".into(),
            content: Content::Empty,
        },
    ];
    worker.stage_in(&task).await.unwrap();
    worker.start(&task).await.unwrap();
    assert_eq!(
        until(worker.as_ref(), "the end", over).await,
        RunStatus::Exited(0),
        "{}",
        log(worker.as_ref()).await
    );
    assert_eq!(log(worker.as_ref()).await, "tool\n");
    let outputs = worker.collect(&["back".into()]).await.unwrap();
    let measure =
        |path: &Path| sky::util::tree::measure(path, sky::util::tree::Links::Keep).unwrap();
    assert_eq!(measure(content(&outputs[0])), measure(&tree));
    subject.delete(&token).await;
}

async fn failures_are_told(subject: &Subject) {
    for (name, command, code) in [("code", "exit 7", 7), ("signal", "kill -KILL $$", 137)] {
        let (token, worker) = subject.machine(name, LONG).await;
        worker.stage_in(&task(command)).await.unwrap();
        worker.start(&task(command)).await.unwrap();
        assert_eq!(
            until(worker.as_ref(), "the end", over).await,
            RunStatus::Exited(code)
        );
        subject.delete(&token).await;
    }
    let (token, worker) = subject.machine("missing", LONG).await;
    worker.stage_in(&task("true")).await.unwrap();
    worker.start(&task("true")).await.unwrap();
    until(worker.as_ref(), "the end", over).await;
    let error = worker.collect(&["o".into()]).await.unwrap_err();
    assert!(
        error.kind == ErrorKind::Output && error.message.contains("`o`"),
        "{error:?}"
    );
    subject.delete(&token).await;
}

async fn a_flood_of_output_is_cut(subject: &Subject) {
    let (token, worker) = subject.machine("flood", LONG).await;
    let task = Task {
        log_limit: 100_000,
        ..task("echo first; yes | head -c 3000000; echo last >&2; exit 3")
    };
    worker.stage_in(&task).await.unwrap();
    worker.start(&task).await.unwrap();
    assert_eq!(
        until(worker.as_ref(), "the end", over).await,
        RunStatus::Exited(3)
    );
    let said = log(worker.as_ref()).await;
    assert!((100_000..170_000).contains(&said.len()), "{}", said.len());
    assert!(
        said.starts_with("first\ny\n")
            && said.contains("SKY_LOG_LIMIT")
            && said.ends_with("y\nlast\n")
    );
    subject.delete(&token).await;
}

async fn a_stop_ends_all(subject: &Subject) {
    let (token, worker) = subject.machine("stop", LONG).await;
    let mark = format!("stop-{}", token.id);
    let run =
        format!("trap '' TERM; (exec env MARK={mark} sleep 300) & exec env MARK={mark} sleep 300");
    worker.stage_in(&task(&run)).await.unwrap();
    worker.start(&task(&run)).await.unwrap();
    let wanted = format!("MARK={mark}");
    let marked = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments =
            processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
        environments
            .filter(|text| String::from_utf8_lossy(text).contains(&wanted))
            .count()
    };
    let begun = Instant::now();
    while marked() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop(Duration::from_millis(200)).await.unwrap();
    assert_eq!(marked(), 0);
    assert!(over(worker.status().await.unwrap()));
    worker.stop(Duration::ZERO).await.unwrap();
    subject.delete(&token).await;
}

async fn progress_is_saved(subject: &Subject) {
    let (token, worker) = subject.machine("progress", LONG).await;
    assert!(worker.checkpoint(1 << 20).await.unwrap().is_none());
    let run = "cat $SKY_CHECKPOINT/step 2>/dev/null; echo 3 > $SKY_CHECKPOINT/step; echo half > $SKY_CHECKPOINT/next.tmp; \
               echo half > $SKY_CHECKPOINT/.next; echo written; sleep 300";
    worker.stage_in(&task(run)).await.unwrap();
    worker.start(&task(run)).await.unwrap();
    let begun = Instant::now();
    while !log(worker.as_ref()).await.contains("written") {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let saved = worker.checkpoint(1 << 20).await.unwrap().unwrap();
    let names: Vec<_> = std::fs::read_dir(content(&saved))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["step"]);
    let error = worker.checkpoint(1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Output, "{error}");
    let saved = worker.checkpoint(1 << 20).await.unwrap().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("kept");
    sky::util::tree::copy(
        content(&saved),
        &kept,
        sky::util::tree::Links::Keep,
        sky::util::tree::Sharing::Own,
    )
    .unwrap();
    subject.delete(&token).await;
    // Another attempt, elsewhere, goes on from it.
    let (token, worker) = subject.machine("progress-again", LONG).await;
    let next = Task {
        checkpoint: Some(Content::Stored(kept)),
        ..task("cat $SKY_CHECKPOINT/step")
    };
    worker.stage_in(&next).await.unwrap();
    worker.start(&next).await.unwrap();
    assert_eq!(
        until(worker.as_ref(), "the end", over).await,
        RunStatus::Exited(0)
    );
    assert_eq!(log(worker.as_ref()).await, "3\n");
    subject.delete(&token).await;
}

/// How long it takes from asking for a machine until its command runs. Leases begin when machines
/// are asked for, and a machine takes its time to come up, the more on a busy computer.
async fn time_to_start(subject: &Subject) -> Duration {
    let begun = Instant::now();
    let (token, worker) = subject.machine("first", LONG).await;
    worker.stage_in(&task("true")).await.unwrap();
    worker.start(&task("true")).await.unwrap();
    let time = begun.elapsed();
    subject.delete(&token).await;
    time
}

async fn leases_end_machines(subject: &Subject) {
    let lease = Duration::from_secs(3) + 4 * time_to_start(subject).await;
    let (token, worker) = subject.machine("lease", lease).await;
    worker.stage_in(&task("sleep 300")).await.unwrap();
    worker.start(&task("sleep 300")).await.unwrap();
    let status = until(worker.as_ref(), "the end of the lease", over).await;
    assert_eq!(status, RunStatus::Expired);
    subject.delete(&token).await;
    let begun = Instant::now();
    let (token, worker) = subject.machine("renewed", lease).await;
    worker.stage_in(&task("sleep 300")).await.unwrap();
    worker.start(&task("sleep 300")).await.unwrap();
    let lease_end = async || {
        let machine = subject.provider.get(&token).await.unwrap().unwrap();
        machine.lease_end
    };
    let before = lease_end().await;
    subject
        .provider
        .renew(&token, LeaseEnd::after(LONG))
        .await
        .unwrap();
    let first_end = (lease + Duration::from_secs(2)).saturating_sub(begun.elapsed());
    tokio::time::sleep(first_end).await;
    assert_eq!(worker.status().await.unwrap(), RunStatus::Running);
    assert_ne!(lease_end().await, before);
    subject.delete(&token).await;
}

async fn secrets_reach_the_command_alone(subject: &Subject) {
    let planted = "pl4nted-s3cret-'$x";
    let (token, worker) = subject.machine("secret", LONG).await;
    let mut task = task("printf %s \"$PASSWORD\" | wc -c; sleep 300");
    task.secrets = BTreeMap::from([("PASSWORD".into(), Secret::new(planted))]);
    worker.stage_in(&task).await.unwrap();
    worker.start(&task).await.unwrap();
    let begun = Instant::now();
    while log(worker.as_ref()).await.trim() != planted.len().to_string() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{}",
            log(worker.as_ref()).await
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for folder in &subject.folders {
        assert_eq!(files_with(folder, planted), Vec::<String>::new());
    }
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&arguments).contains(planted),
            "in the arguments of {entry:?}"
        );
    }
    subject.delete(&token).await;
}

/// Files below a folder that hold the text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path)
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

async fn machines_are_taken_over(subject: &Subject) {
    let (token, _worker) = subject.machine("adopted", LONG).await;
    let machine = subject.provider.get(&token).await.unwrap().unwrap();
    let heir = Owner {
        lineage: "lineage-2".into(),
        ..subject.owner()
    };
    for _ in 0..2 {
        let taken = subject
            .provider
            .adopt(&machine.id, &token, &heir)
            .await
            .unwrap();
        assert_eq!(
            (taken.id.as_str(), taken.lineage.as_str()),
            (machine.id.as_str(), "lineage-2")
        );
    }
    let owned = subject.provider.list(Some(&heir)).await.unwrap();
    assert_eq!(
        owned
            .iter()
            .map(|machine| &machine.token)
            .collect::<Vec<_>>(),
        [&token]
    );
    assert!(
        subject
            .provider
            .list(Some(&subject.owner()))
            .await
            .unwrap()
            .is_empty()
    );
    subject.delete(&token).await;
}
