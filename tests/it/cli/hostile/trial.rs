//! One run of `sky` on one hostile input, within limits.

use crate::execution::apply::place::{Place, Row};
use crate::support::sandbox::Sandbox;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Address space in KiB: two gigabytes.
const MEMORY_KIB: u64 = 2 << 20;
/// Longer than any of these takes on a loaded machine, and shorter than anybody waits.
const TIME: Duration = Duration::from_secs(90);
/// What nobody may print, in a folder that nobody may touch.
pub(super) const CANARY: &str = "the-canary-sings";

/// One hostile input and the command that is given it.
pub(super) struct Trial {
    pub name: String,
    /// Where it lies in the sandbox.
    pub file: &'static str,
    /// None: it is not a regular file, of the kind that the name says.
    pub bytes: Option<Vec<u8>>,
    pub args: Vec<&'static str>,
}

/// A file of the BERT fixture.
pub(super) fn fixture(name: &str) -> String {
    Sandbox::bert().read(name)
}

/// The plan of the BERT job.
pub(super) fn plan() -> String {
    static PLAN: OnceLock<String> = OnceLock::new();
    let make = || {
        let sandbox = Sandbox::bert();
        sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
        sandbox.read("plan.json")
    };
    PLAN.get_or_init(make).clone()
}

/// A lock of the BERT job's catalog.
pub(super) fn lock() -> String {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&["catalog", "lock", "--catalog", "catalog"], 0);
    sandbox.read("sky.lock")
}

/// The state of a small job that was applied.
pub(super) fn state() -> String {
    static STATE: OnceLock<String> = OnceLock::new();
    let make = || {
        let rows: [Row; 2] = [
            ("first", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
            (
                "second",
                &["first.o"],
                &["o"],
                "cat $SKY_INPUTS/o > $SKY_OUTPUTS/o",
            ),
        ];
        let place = Place::new(&rows);
        crate::execution::apply::place::ended(
            &place.apply(&["--provider", "sim", "--state-dir", "state"]),
            0,
        );
        place.text("state/sky.state.json")
    };
    STATE.get_or_init(make).clone()
}

impl Trial {
    fn lay(&self, sandbox: &Sandbox) {
        for folder in ["state/.sky", "canary"] {
            std::fs::create_dir_all(sandbox.path(folder)).unwrap();
        }
        sandbox.write("canary/song", CANARY);
        if self.file == "state/journal" {
            // Without a snapshot, a journal is not read.
            sandbox.write("state/sky.state.json", &state());
        }
        let path = sandbox.path(self.file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &self.bytes {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => {
                let _ = std::fs::remove_file(&path);
                strange(&self.name, &path);
            }
        }
    }

    /// What the command says.
    pub(super) fn says(&self) -> String {
        let sandbox = Sandbox::bert();
        self.lay(&sandbox);
        within_limits(sandbox.sky(&self.args)).said
    }

    /// What is wrong with how the trial went.
    fn faults(&self) -> Vec<String> {
        let sandbox = Sandbox::bert();
        self.lay(&sandbox);
        let ended = within_limits(sandbox.sky(&self.args));
        let mut faults = ended.faults();
        if std::fs::read_to_string(sandbox.path("canary/song"))
            .ok()
            .as_deref()
            != Some(CANARY)
        {
            faults.push("a file outside of its reach was changed".to_owned());
        }
        if sandbox
            .path("canary")
            .read_dir()
            .is_ok_and(|entries| entries.count() != 1)
        {
            faults.push("a file was made outside of its reach".to_owned());
        }
        faults
            .into_iter()
            .map(|fault| format!("{} ({}): {fault}", self.name, self.args.join(" ")))
            .collect()
    }
}

fn strange(name: &str, path: &Path) {
    match name.rsplit_once(": ").unwrap().1 {
        "a folder" => std::fs::create_dir(path).unwrap(),
        "a link to itself" => std::os::unix::fs::symlink(path, path).unwrap(),
        "a pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "a link to /dev/zero" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        other => panic!("{other}"),
    }
}

/// How a command ended, and what it said.
pub(crate) struct Ended {
    /// None: it had to be ended.
    status: Option<ExitStatus>,
    pub said: String,
}

impl Ended {
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.status.map(|status| status.code()) {
            None => faults.push(format!("it did not end within {} s", TIME.as_secs())),
            Some(Some(0..=7)) => {}
            Some(other) => faults.push(format!("it ended with {other:?}: {}", tail(&self.said))),
        }
        if self.status.is_some_and(|status| !status.success()) && self.said.trim().is_empty() {
            faults.push("it refused without a word".to_owned());
        }
        for words in [
            "panicked",
            "this is a bug in sky",
            "memory allocation",
            CANARY,
        ] {
            if self.said.contains(words) {
                faults.push(format!("it said `{words}`: {}", tail(&self.said)));
            }
        }
        let control = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}')
        };
        if let Some(found) = self.said.chars().find(|c| control(*c)) {
            faults.push(format!(
                "it printed the control character {found:?}: {}",
                tail(&self.said)
            ));
        }
        if self.said.len() > 1 << 20 {
            faults.push(format!("it said {} bytes", self.said.len()));
        }
        faults
    }
}

fn tail(said: &str) -> String {
    let start = said.len().saturating_sub(600);
    let start = (start..said.len())
        .find(|at| said.is_char_boundary(*at))
        .unwrap_or(start);
    said[start..].escape_debug().to_string()
}

/// Runs a command to its end, or ends it.
pub(crate) fn within_limits(command: Command) -> Ended {
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", &format!("ulimit -v {MEMORY_KIB}; exec \"$@\""), "sh"])
        .arg(command.get_program());
    limited
        .args(command.get_args())
        .env_clear()
        .env("MALLOC_ARENA_MAX", "2")
        .env("SKY_IN_AUTOMATION", "1");
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let mut child = limited
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    // No more is kept than is looked at.
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        let _ = source.take(4 << 20).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    std::thread::scope(|scope| {
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() > TIME {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status,
            said: out.join().unwrap() + &err.join().unwrap(),
        }
    })
}

/// Makes the trials, of which there must be `least` at least, two at a time.
pub(super) fn hold(trials: &[Trial], least: usize) {
    assert!(trials.len() >= least, "only {} trials", trials.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = Vec::new();
        while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.extend(trial.faults());
        }
        faults
    };
    let faults: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut faults = work();
        faults.extend(other.join().unwrap());
        faults
    });
    assert!(
        faults.is_empty(),
        "{} of {} trials:\n{}",
        faults.len(),
        trials.len(),
        faults.join("\n")
    );
}
