//! A real cluster on this machine: Slurm with one node and two GPUs that are files, with daemons,
//! keys and a configuration of its own, for as long as a test lasts.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A cluster that ends when it is dropped, or with this process, whichever way that ends.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    /// Shells that wait for their input to end, and take a daemon with them.
    daemons: Vec<(&'static str, Child)>,
}

/// Ends the daemon with the shell's input. The munge daemon is asked, since it waits for no signal.
const KEEPER: &str = "\"$@\" < /dev/null & daemon=$!; read _; kill \"$daemon\"; \
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 \"$daemon\" 2> /dev/null || break; sleep 0.2; done; kill -9 \"$daemon\"; wait";

/// CPUs that the node claims to have: so many jobs with one each.
const CPUS: u32 = 64;

impl Cluster {
    pub(crate) fn start() -> Self {
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        assert!(
            root,
            "these tests run Slurm's daemons, which wants root: run them as root, as in a container"
        );
        let mut cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            daemons: Vec::new(),
        };
        for name in ["state", "spool"] {
            std::fs::create_dir(cluster.path(name)).unwrap();
        }
        for name in ["gpu0", "gpu1"] {
            std::fs::write(cluster.path(name), "").unwrap();
        }
        // Others must be able to see the socket of munge.
        permit(cluster.folder.path(), 0o755);
        let mut key = vec![0; 1024];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut key)
            .unwrap();
        std::fs::write(cluster.path("key"), key).unwrap();
        permit(&cluster.path("key"), 0o400);
        cluster.configure();
        let path = |name: &str| cluster.path(name).display().to_string();
        let munged = [
            "--foreground".to_owned(),
            "--force".to_owned(),
            format!("--key-file={}", path("key")),
            format!("--socket={}", path("munge")),
            format!("--pid-file={}", path("munged.pid")),
            format!("--seed-file={}", path("seed")),
        ];
        cluster.run("munged", &munged);
        cluster.until("the socket of munge", |cluster| {
            cluster.path("munge").exists()
        });
        cluster.begin();
        cluster
    }

    /// One for all tests of this process that do nothing to it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.path("slurm.conf")
    }

    fn configure(&self) {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let name = name.trim().split('.').next().unwrap();
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [controller, node] = free.map(|listener| listener.local_addr().unwrap().port());
        let folder = self.folder.path().display();
        let text = format!(
            "ClusterName=sky\nSlurmctldHost={name}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             SlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\nAuthInfo=socket={folder}/munge\nCredType=cred/munge\n\
             StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\nSlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/slurmd.pid\nSlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSchedulerType=sched/backfill\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nAccountingStorageType=accounting_storage/none\n\
             JobAcctGatherType=jobacct_gather/none\nJobCompType=jobcomp/none\nMpiDefault=none\nReturnToService=2\n\
             MailProg=/bin/true\nGresTypes=gpu\nKillWait=2\nSlurmdParameters=config_overrides\nMaxJobCount=50000\n\
             SlurmctldTimeout=300\nSlurmdTimeout=300\nMessageTimeout=20\nPreemptType=preempt/partition_prio\n\
             PreemptMode=REQUEUE\nNodeName={name} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=100000 Gres=gpu:a100:2\n\
             PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP PriorityTier=1\n\
             PartitionName=brief Nodes={name} MaxTime=10 State=UP PriorityTier=1\n\
             PartitionName=urgent Nodes={name} MaxTime=INFINITE State=UP PriorityTier=10\n"
        );
        std::fs::write(self.conf(), text).unwrap();
        std::fs::write(
            self.path("gres.conf"),
            format!("Name=gpu Type=a100 File={folder}/gpu[0-1]\n"),
        )
        .unwrap();
    }

    /// Begins the controller and the node, and waits until jobs can begin.
    pub(crate) fn begin(&mut self) {
        let conf = self.conf().display().to_string();
        for name in ["slurmctld", "slurmd"] {
            if self.daemons.iter().all(|(running, _)| *running != name) {
                self.run(name, &["-D".to_owned(), "-f".to_owned(), conf.clone()]);
            }
        }
        self.until("the node", |cluster| {
            let said = cluster
                .command("sinfo", &["-h", "-o", "%T"])
                .output()
                .unwrap()
                .stdout;
            let said = String::from_utf8_lossy(&said).into_owned();
            said.lines()
                .all(|state| ["idle", "mixed", "allocated"].contains(&state))
                && !said.is_empty()
        });
    }

    /// Ends one daemon.
    pub(crate) fn end(&mut self, name: &str) {
        let (ending, others) = std::mem::take(&mut self.daemons)
            .into_iter()
            .partition(|(running, _)| *running == name);
        self.daemons = others;
        for (_, mut keeper) in ending {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    fn run(&mut self, name: &'static str, arguments: &[String]) {
        let program =
            ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
        let program = program.into_iter().find(|path| path.exists());
        let program = program
            .unwrap_or_else(|| panic!("no {name} here: `make setup` installs slurm-wlm and munge"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("said"))
            .unwrap();
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemons.push((name, keeper));
    }

    fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !wanted(self) {
            if begun.elapsed() > Duration::from_secs(120) {
                let logs = ["said", "slurmctld.log", "slurmd.log"];
                let logs =
                    logs.map(|name| std::fs::read_to_string(self.path(name)).unwrap_or_default());
                panic!("{what} did not come: {}", logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// One of Slurm's commands.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(name);
        command
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// What one of Slurm's commands says.
    pub(crate) fn ask(&self, name: &str, arguments: &[&str]) -> String {
        let said = self.command(name, arguments).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// Submits a job of somebody else's that runs a script; its number.
    pub(crate) fn submit(&self, options: &[&str], script: &str) -> String {
        let mut child = self.command(
            "sbatch",
            &[&["--parsable", "--output=/dev/null"], options].concat(),
        );
        let mut child = child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(format!("#!/bin/sh\n{script}\n").as_bytes())
            .unwrap();
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// This cluster in an inventory, with this machine as its log-in node.
    pub(crate) fn entry(&self, name: &str, root: &Path, more: &str) -> String {
        format!(
            "[clusters.{name}]\nconf = \"{}\"\nroot = \"{}\"\n{more}\n",
            self.conf().display(),
            root.display()
        )
    }

    /// Jobs that wait or run, whose folders are in this one.
    pub(crate) fn jobs_in(&self, folder: &Path) -> Vec<String> {
        let jobs = self.ask("squeue", &["-h", "-o", "%i %T %Z"]);
        let folder = folder.display().to_string();
        jobs.lines()
            .filter(|line| line.contains(&folder))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.command("scancel", &["--user=root", "--signal=KILL", "--full"])
            .status()
            .ok();
        for name in ["slurmd", "slurmctld", "munged"] {
            self.end(name);
        }
    }
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
