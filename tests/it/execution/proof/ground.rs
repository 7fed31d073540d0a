//! A six-stage job on one of the providers, and what must be true of it at the end.

use crate::execution::apply::place::{self, Row, ended};
#[cfg(feature = "gcp")]
use crate::providers::clouds::google::Google;
#[cfg(feature = "azure")]
use crate::providers::clouds::microsoft::Microsoft;
#[cfg(feature = "kubernetes")]
use crate::providers::kubernetes::fake::Namespace;
use crate::support::slurmd::Cluster;
use crate::support::sshd::Sshd;
use sky::execution::provider::sim;
use sky::execution::state::{Folder, State};
use sky::model::{Bytes, DataRate, Gigabyte, Millis, Money, PlaceName, Rate};
use sky::plan::{Plan, PlannedLink, PlannedTransfer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// Where the stages run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Local,
    Sim,
    /// A host, which is a folder behind an SSH server.
    Ssh,
    /// The same, for a plan of two clouds, whose object stores have what stages hand on.
    Staged,
    /// Two regions of Amazon's, whose instances are SSH servers.
    #[cfg(feature = "aws")]
    Aws,
    /// Google Cloud, of which there is one for each ground.
    #[cfg(feature = "gcp")]
    Gcp,
    /// Wherever the plan says: at any of the clouds that are there.
    #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
    Clouds,
    /// The same, with TPU VMs for machines.
    #[cfg(feature = "gcp")]
    Tpu,
    /// Azure, the same.
    #[cfg(feature = "azure")]
    Azure,
    /// A cluster, whose nodes are this machine.
    Slurm,
    /// A namespace of a cluster, whose pods are processes of this machine.
    #[cfg(feature = "kubernetes")]
    Kubernetes,
}

/// Two diamonds' worth of stages: name, reads, writes, command. `RAN` is a file outside of all that
/// sky knows, to which every run of a command adds its name.
pub(crate) const JOB: [Row<'static>; 6] = [
    (
        "a",
        &[],
        &["o"],
        "echo a >> \"RAN\"; echo seed > $SKY_OUTPUTS/o",
    ),
    (
        "b",
        &["a.o"],
        &["o"],
        "echo b >> \"RAN\"; sed s/$/-b/ $SKY_INPUTS/o > $SKY_OUTPUTS/o",
    ),
    (
        "c",
        &["a.o"],
        &["o"],
        "echo c >> \"RAN\"; sed s/$/-c/ $SKY_INPUTS/o > $SKY_OUTPUTS/o",
    ),
    (
        "d",
        &["b.o", "c.o"],
        &["o"],
        "echo d >> \"RAN\"; cat $SKY_INPUTS/b.o $SKY_INPUTS/c.o > $SKY_OUTPUTS/o",
    ),
    (
        "e",
        &[],
        &["o"],
        "echo e >> \"RAN\"; sleep 0.05; echo other > $SKY_OUTPUTS/o",
    ),
    (
        "f",
        &["d.o", "e.o"],
        &["all"],
        "echo f >> \"RAN\"; cat $SKY_INPUTS/d.o $SKY_INPUTS/e.o > $SKY_OUTPUTS/all",
    ),
];

/// What the last stage must have written.
pub(crate) const RESULT: &str = "seed-b\nseed-c\nother\n";

/// The job costs so much as planned: a minute of each stage at $3.60 an hour, and a copy.
pub(crate) const PLANNED: Money = Money(6 * 60_000 + 1);
/// Half a minute more than that for all stages together.
pub(crate) const BUDGET: Money = Money(PLANNED.0 + 30_000);

/// A folder with a plan in it, and a cloud beside it.
pub(crate) struct Ground {
    pub folder: tempfile::TempDir,
    pub on: On,
    #[cfg(feature = "aws")]
    account: Option<crate::providers::aws::fake::Account>,
    #[cfg(feature = "gcp")]
    google: Option<Google>,
    #[cfg(feature = "azure")]
    microsoft: Option<Microsoft>,
    #[cfg(feature = "kubernetes")]
    namespace: Option<Namespace>,
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
impl On {
    /// Whether a cloud is there.
    fn has(self, cloud: &str) -> bool {
        match self {
            #[cfg(feature = "aws")]
            On::Aws => cloud == "aws",
            #[cfg(feature = "gcp")]
            On::Gcp | On::Tpu => cloud == "gcp",
            #[cfg(feature = "azure")]
            On::Azure => cloud == "azure",
            #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
            On::Clouds => true,
            _ => false,
        }
    }
}

impl Ground {
    pub(crate) fn new(on: On) -> Self {
        Self::with(on, &JOB, |_| {})
    }

    /// With other stages, and a plan that is changed before it is written.
    pub(crate) fn with(on: On, rows: &[Row], change: impl FnOnce(&mut Plan)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        #[cfg(feature = "aws")]
        let account = on
            .has("aws")
            .then(|| crate::providers::aws::fake::Account::new(folder.path()));
        let ground = Self {
            folder,
            on,
            #[cfg(feature = "aws")]
            account,
            #[cfg(feature = "gcp")]
            google: on.has("gcp").then(Google::new),
            #[cfg(feature = "azure")]
            microsoft: on.has("azure").then(Microsoft::new),
            #[cfg(feature = "kubernetes")]
            namespace: (on == On::Kubernetes).then(Namespace::new),
        };
        let ran = ground.path("ran").display().to_string();
        let commands: Vec<String> = rows.iter().map(|row| row.3.replace("RAN", &ran)).collect();
        let rows: Vec<Row> = rows
            .iter()
            .zip(&commands)
            .map(|(row, command)| (row.0, row.1, row.2, command.as_str()))
            .collect();
        let mut plan = place::plan("job", &rows);
        match on {
            On::Local => {}
            On::Sim => in_clouds(&mut plan, ["aws:us-east-1", "gcp:us-central1"]),
            On::Ssh => {
                in_clouds(&mut plan, ["ssh:one"; 2]);
                (plan.transfers, plan.links) = (Vec::new(), Vec::new());
                let more = "slots = 4\ntype = \"m1.small\"\nprice = 3.6";
                let host = Sshd::shared().host("one", &ground.path("host"), more);
                std::fs::write(ground.path("hosts.toml"), host).unwrap();
            }
            On::Staged => {
                in_clouds(&mut plan, ["aws:us-east-1", "azure:westeurope"]);
                let host = Sshd::shared().host("one", &ground.path("host"), "slots = 4");
                std::fs::write(ground.path("hosts.toml"), host).unwrap();
            }
            #[cfg(feature = "aws")]
            On::Aws => in_clouds(&mut plan, ["aws:us-east-1", "aws:us-west-2"]),
            #[cfg(feature = "gcp")]
            On::Gcp | On::Tpu => {
                in_clouds(&mut plan, ["gcp:us-central1"; 2]);
                let kind = if on == On::Tpu {
                    "tpu-v3-8"
                } else {
                    "e2-small"
                };
                plan.stages
                    .iter_mut()
                    .for_each(|stage| stage.instance_type = kind.into());
                (plan.transfers, plan.links) = (Vec::new(), Vec::new());
            }
            #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
            On::Clouds => {}
            #[cfg(feature = "azure")]
            On::Azure => {
                in_clouds(&mut plan, ["azure:eastus"; 2]);
                plan.stages
                    .iter_mut()
                    .for_each(|stage| stage.instance_type = "Standard_B2s".into());
                (plan.transfers, plan.links) = (Vec::new(), Vec::new());
            }
            On::Slurm => {
                in_clouds(&mut plan, ["slurm:one"; 2]);
                (plan.transfers, plan.links) = (Vec::new(), Vec::new());
                let more = "type = \"m1.small\"\nprice = 3.6\nmemory = \"10 MB\"";
                let cluster = Cluster::shared().entry("one", &ground.path("shared"), more);
                std::fs::write(ground.path("hosts.toml"), cluster).unwrap();
            }
            #[cfg(feature = "kubernetes")]
            On::Kubernetes => {
                in_clouds(&mut plan, ["kubernetes:one"; 2]);
                (plan.transfers, plan.links) = (Vec::new(), Vec::new());
                let more = "type = \"m1.small\"\nprice = 3.6";
                let pods = ground
                    .namespace
                    .iter()
                    .map(|namespace| namespace.entry("one", ground.folder.path(), more));
                std::fs::write(ground.path("hosts.toml"), pods.collect::<String>()).unwrap();
            }
        }
        change(&mut plan);
        std::fs::write(ground.path("plan.json"), place::text(&plan)).unwrap();
        ground
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn cloud(&self) -> PathBuf {
        self.path("cloud")
    }

    /// What goes wrong in the simulated cloud from now on.
    pub(crate) fn faults(&self, text: &str) {
        std::fs::create_dir_all(self.cloud()).unwrap();
        std::fs::write(self.cloud().join("faults.toml"), text).unwrap();
        let _ = std::fs::remove_file(self.cloud().join("calls"));
    }

    pub(crate) fn sky(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for name in [
            "SKY_DATA_DIR",
            "SKY_HOSTS",
            "SKY_STATE",
            "SKY_CRASH_AT",
            "SKY_CRASH_LOG",
        ] {
            command.env_remove(name);
        }
        if self.on == On::Sim {
            // A rehearsal would have a state of its own; these tests look at one place.
            command.env("SKY_DATA_DIR", ".sky");
        }
        command
            .env("SKY_SIM", self.cloud())
            .env("SKY_GRACE", "1s")
            .env("SKY_STAGING", "home");
        if self.on == On::Staged {
            command
                .envs(crate::execution::stores::servers::environment())
                .env("SKY_STAGING", "buckets");
        }
        #[cfg(feature = "aws")]
        command.envs(
            self.account
                .iter()
                .flat_map(|account| account.environment()),
        );
        #[cfg(feature = "gcp")]
        command.envs(self.google.iter().flat_map(Google::environment));
        #[cfg(feature = "azure")]
        command.envs(self.microsoft.iter().flat_map(Microsoft::environment));
        #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
        if let (Some(account), Some(google), Some(microsoft)) =
            (&self.account, &self.google, &self.microsoft)
        {
            let all = account
                .environment()
                .into_iter()
                .chain(google.environment())
                .chain(microsoft.environment());
            let configs = all.filter(|(name, _)| *name == "SKY_SSH_CONFIG");
            let text: String = configs
                .map(|(_, path)| format!("Include \"{path}\"\nHost *\n"))
                .collect();
            std::fs::write(self.path("ssh_config"), text).unwrap();
            command.env("SKY_SSH_CONFIG", self.path("ssh_config"));
        }
        command
    }

    pub(crate) fn provider(&self) -> &'static str {
        match self.on {
            On::Local => "local",
            On::Sim => "sim",
            On::Ssh | On::Staged => "ssh",
            #[cfg(feature = "aws")]
            On::Aws => "aws",
            #[cfg(feature = "gcp")]
            On::Gcp | On::Tpu => "gcp",
            #[cfg(feature = "azure")]
            On::Azure => "azure",
            #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
            On::Clouds => panic!("each stage has its own"),
            On::Slurm => "slurm",
            #[cfg(feature = "kubernetes")]
            On::Kubernetes => "kubernetes",
        }
    }

    pub(crate) fn apply_command(&self, more: &[&str]) -> Command {
        self.sky(&[&["apply", "plan.json", "--provider", self.provider()], more].concat())
    }

    pub(crate) fn apply(&self, more: &[&str]) -> Output {
        self.apply_command(more).output().unwrap()
    }

    /// Runs until the process ends itself at its Nth point; whether it came so far.
    pub(crate) fn crash(&self, args: &[&str], at: u64) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let mut command = self.sky(args);
        command.env("SKY_CRASH_AT", at.to_string());
        command.output().unwrap().status.signal() == Some(9)
    }

    /// How many points an undisturbed run passes.
    pub(crate) fn points(&self, args: &[&str]) -> u64 {
        let log = self.path("points");
        ended(
            &self.sky(args).env("SKY_CRASH_LOG", &log).output().unwrap(),
            0,
        );
        self.text("points").lines().count() as u64
    }

    pub(crate) fn state(&self) -> State {
        let named = (self.on == On::Sim).then_some(std::path::Path::new(".sky"));
        Folder::resolve(self.folder.path(), named)
            .read()
            .unwrap()
            .unwrap()
    }

    /// How often each stage's command ran.
    pub(crate) fn ran(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.text("ran")
            .lines()
            .for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
        counts
    }

    /// Live processes of stages that run in this folder.
    pub(crate) fn processes(&self) -> usize {
        let wanted = format!(
            "SKY_OUTPUTS={}",
            self.folder.path().canonicalize().unwrap().display()
        );
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments =
            processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
        environments
            .filter(|text| String::from_utf8_lossy(text).contains(&wanted))
            .count()
    }

    pub(crate) fn bill(&self) -> sim::Bill {
        sim::bill(&self.cloud()).unwrap()
    }

    /// The account at Amazon's.
    #[cfg(feature = "aws")]
    pub(crate) fn account(&self) -> &crate::providers::aws::fake::Account {
        self.account.as_ref().unwrap()
    }

    /// Google Cloud.
    #[cfg(feature = "gcp")]
    pub(crate) fn google(&self) -> &Google {
        self.google.as_ref().unwrap()
    }

    #[cfg(feature = "azure")]
    pub(crate) fn microsoft(&self) -> Option<&Microsoft> {
        self.microsoft.as_ref()
    }

    #[cfg(feature = "kubernetes")]
    pub(crate) fn namespace(&self) -> &Namespace {
        self.namespace.as_ref().unwrap()
    }

    /// The folders of machines on the host or the cluster, with what is only traces; the disks of
    /// instances; the names of Jobs and pods.
    pub(crate) fn machines(&self) -> Vec<PathBuf> {
        #[cfg(feature = "aws")]
        if let Some(account) = &self.account {
            return account.machines();
        }
        #[cfg(feature = "kubernetes")]
        if let Some(namespace) = &self.namespace {
            return namespace.names().into_iter().map(PathBuf::from).collect();
        }
        let folder = if self.on == On::Slurm {
            "shared/one/machines"
        } else {
            "host/machines"
        };
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// What must be true once an apply says that all is done. `runs`: how often each command may
    /// have run.
    pub(crate) fn check_done(&self, about: &str, runs: usize) {
        let state = self.state();
        assert!(
            state.stages.values().all(|record| !record.live),
            "{about}: {:?}",
            state.stages
        );
        assert_eq!(self.text(".sky/artifacts/f/all"), RESULT, "{about}");
        let ran = self.ran();
        assert!(
            ran.len() == 6 && ran.values().all(|count| *count <= runs),
            "{about}: {ran:?}"
        );
        assert_eq!(self.text(".sky/journal"), "", "{about}");
        self.check_money(about);
        self.check_nothing_left(about);
    }

    /// The cloud's own bill is within what sky has accounted for, and that within the budget.
    pub(crate) fn check_money(&self, about: &str) {
        if self.on == On::Sim {
            let (bill, spent) = (self.bill(), self.state().spent_micro_usd);
            // The copy is on no machine's bill.
            assert!(
                bill.cost <= spent,
                "{about}: billed {} and accounted {spent}",
                bill.cost
            );
            assert!(spent <= BUDGET, "{about}: {spent}");
        }
        if !matches!(self.on, On::Local | On::Sim) {
            let spent = self.state().spent_micro_usd;
            assert!(spent.0 > 0 && spent <= BUDGET, "{about}: {spent}");
        }
    }

    /// What was in object stores is gone, as the journal has named it or not.
    pub(crate) fn check_no_buckets(&self, about: &str) {
        if self.on == On::Staged {
            let sweep = self
                .sky(&["sweep", "--buckets", "--provider", "ssh", "--dry-run"])
                .output()
                .unwrap();
            assert!(ended(&sweep, 0).contains("Nothing to sweep"), "{about}");
            assert_eq!(self.state().buckets, BTreeMap::new(), "{about}");
        }
    }

    /// Nothing runs, nothing costs, and a sweep agrees.
    pub(crate) fn check_nothing_left(&self, about: &str) {
        assert_eq!(self.processes(), 0, "{about}");
        if self.on == On::Sim {
            assert_eq!(self.bill().running, 0, "{about}");
        }
        #[cfg(feature = "gcp")]
        if let Some(google) = &self.google {
            assert_eq!(
                (google.instances(), google.nodes()),
                (Vec::new(), Vec::new()),
                "{about}"
            );
            google.check();
        }
        #[cfg(feature = "azure")]
        if let Some(azure) = &self.microsoft {
            for kind in [
                "virtualMachines",
                "networkInterfaces",
                "publicIPAddresses",
                "disks",
            ] {
                assert_eq!(azure.names(kind), Vec::<String>::new(), "{about}");
            }
        }
        #[cfg(feature = "kubernetes")]
        if let Some(namespace) = &self.namespace {
            namespace.check();
        }
        if self.on == On::Slurm {
            let jobs = Cluster::shared().jobs_in(self.folder.path());
            assert!(jobs.is_empty(), "{about}: {jobs:?}");
        }
        let taken: Vec<PathBuf> = self
            .machines()
            .into_iter()
            .filter(|machine| !machine.join("box/.run/released").exists())
            .collect();
        assert!(taken.is_empty(), "{about}: {taken:?}");
        let mut sweep = self.sky(&["sweep", "--dry-run"]);
        if self.on == On::Staged {
            // There are credentials for a store, and no cloud beside it.
            sweep.args(["--provider", "ssh"]);
        }
        let sweep = sweep.output().unwrap();
        assert!(ended(&sweep, 0).contains("Nothing to sweep"), "{about}");
        #[cfg(feature = "azure")]
        self.microsoft.iter().for_each(Microsoft::check);
    }
}

/// Puts the stages in two clouds, with prices, a budget, and a copy between the clouds.
fn in_clouds(plan: &mut Plan, places: [&str; 2]) {
    let [one, other] = places.map(|place| PlaceName::parse(place).unwrap());
    for stage in &mut plan.stages {
        stage.place = if stage.name == "d" {
            other.clone()
        } else {
            one.clone()
        };
        stage.instance_type = "m1.small".into();
        stage.rate_nano_usd_per_hour = Rate(3_600_000_000);
        stage.end_ms = Millis(60_000);
        stage.cost_micro_usd = Money(60_000);
    }
    let reader = |name: &str| std::iter::once(name.to_owned()).collect();
    plan.transfers = vec![PlannedTransfer {
        artifact: "b.o".to_owned().into(),
        from: one.clone(),
        to: other.clone(),
        bytes: Bytes(7),
        readers: reader("d"),
        start_ms: Millis(0),
        duration_ms: Millis(1),
        cost_micro_usd: Money(1),
        storage_micro_usd: Money(0),
        rate_nano_usd_per_gb: DataRate(90_000_000),
        billed_gb_bytes: Gigabyte::DECIMAL,
        bits_per_second: 0,
        assumed_speed: false,
        shared_link_bytes: Bytes(0),
    }];
    let way = |from: &PlaceName, to: &PlaceName| PlannedLink {
        from: from.clone(),
        to: to.clone(),
        rate_nano_usd_per_gb: DataRate(90_000_000),
        bits_per_second: 1_000_000_000,
        assumed_speed: false,
    };
    plan.links = vec![way(&one, &other), way(&other, &one)];
    plan.limits.budget_micro_usd = Some(BUDGET);
}

/// At every how manieth point `sky` is killed, where every point would take long:
/// `SKY_TEST_KILL_EVERY` says another number.
pub(crate) fn kill_every(nth: u64) -> u64 {
    let given = std::env::var("SKY_TEST_KILL_EVERY").ok();
    given.map_or(nth, |given| {
        given
            .parse()
            .expect("SKY_TEST_KILL_EVERY is a number from 1 on")
    })
}

/// How many pieces of work all calls of [`each`] in this process do at one time. More than that is no
/// faster on two cores, and makes what is waited for late.
const AT_A_TIME: usize = 6;

/// The pieces of work that are being done.
static BEING_DONE: Mutex<usize> = Mutex::new(0);
static ONE_IS_DONE: Condvar = Condvar::new();

/// The right to do one piece of work, which is given back at the end, also after a panic.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let count = BEING_DONE.lock().unwrap();
        let mut count = ONE_IS_DONE
            .wait_while(count, |count| *count >= AT_A_TIME)
            .unwrap();
        *count += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A panic between the two lines of `wait` is not possible, so the lock is not poisoned.
        if let Ok(mut count) = BEING_DONE.lock() {
            *count -= 1;
        }
        ONE_IS_DONE.notify_one();
    }
}

/// Does something for every number from 1 to `count`, a few at a time: the work is mostly waiting.
pub(crate) fn each(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst) as u64;
                    if number > count {
                        break;
                    }
                    let _turn = Turn::wait();
                    work(number);
                }
            });
        }
    });
}
