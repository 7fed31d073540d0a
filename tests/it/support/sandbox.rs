//! A folder of its own for a test, and the binary in it with an empty environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary folder that `sky` is run in.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With the files of the BERT job: job.toml, policy.toml and catalog/.
    pub(crate) fn bert() -> Self {
        let sandbox = Self::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bert");
        for name in ["job.toml", "policy.toml"] {
            std::fs::copy(from.join(name), sandbox.path(name)).unwrap();
        }
        std::fs::create_dir(sandbox.path("catalog")).unwrap();
        for entry in std::fs::read_dir(from.join("catalog")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(
                entry.path(),
                sandbox.path("catalog").join(entry.file_name()),
            )
            .unwrap();
        }
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces text of a file that must be in it.
    pub(crate) fn replace(&self, name: &str, old: &str, new: &str) -> &Self {
        let text = self.read(name);
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new))
    }

    /// `sky` with these arguments: no HOME, no terminal, no variable of the caller.
    pub(crate) fn sky(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    /// Runs `sky` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.sky(args).output().unwrap()
    }

    /// Runs `sky`, which must end with this exit code, and returns its stdout.
    pub(crate) fn stdout(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}\n{}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What was said on stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the name of a test of a module as the test binary takes it, to run it in a process of
/// its own. `module` is `module_path!()`.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub(crate) fn test_name(module: &str, test: &str) -> String {
    let within_binary = module.split_once("::").map_or(module, |(_, path)| path);
    format!("{within_binary}::{test}")
}
