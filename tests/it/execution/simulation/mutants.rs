//! The simulation finds what it is there for: with each mending of `mutants.toml` taken out, a seed
//! fails.

use serde::Deserialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    name: String,
    file: String,
    #[serde(flatten)]
    change: Change,
    /// What has to be changed in the same file besides.
    #[serde(default)]
    more: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    from: String,
    to: String,
}

impl Mutant {
    /// The text of its file with the mending taken out.
    fn text(&self) -> String {
        let text = std::fs::read_to_string(root().join(&self.file)).unwrap();
        std::iter::once(&self.change)
            .chain(&self.more)
            .fold(text, |text, change| {
                let count = text.matches(&change.from).count();
                assert_eq!(
                    count, 1,
                    "{}: in {} this is there {count} times: {}",
                    self.name, self.file, change.from
                );
                text.replace(&change.from, &change.to)
            })
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn all() -> Vec<Mutant> {
    let text =
        std::fs::read_to_string(root().join("tests/it/execution/simulation/mutants.toml")).unwrap();
    toml::from_str::<Mutants>(&text).unwrap().mutant
}

/// The files that git knows, copied, so that a mutant never stands in the working tree.
fn copy_to(folder: &Path) {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .unwrap();
    for name in String::from_utf8(listed.stdout)
        .unwrap()
        .split_terminator('\0')
    {
        let to = folder.join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root().join(name), to).unwrap();
    }
}

/// Builds the copy and plays seeds; the first that fails, with what was wrong.
fn first_failing_seed(folder: &Path) -> Result<String, String> {
    let mut test = Command::new(env!("CARGO"));
    test.args([
        "test",
        "--locked",
        "--test",
        "it",
        "simulation::every_promise",
        "--",
        "--nocapture",
    ]);
    // A folder of its own: cargo would take the copy's binaries for ours.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let played = test
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = [played.stdout, played.stderr]
        .map(|said| String::from_utf8_lossy(&said).into_owned())
        .concat();
    if played.status.success() {
        return Err("no seed fails".to_owned());
    }
    let failed = said.lines().find(|line| line.starts_with("seed "));
    failed.map(str::to_owned).ok_or_else(|| {
        said.lines()
            .filter(|line| line.starts_with("error"))
            .collect()
    })
}

#[test]
fn every_mutant_changes_code_that_is_there() {
    for mutant in all() {
        assert_ne!(
            mutant.text(),
            std::fs::read_to_string(root().join(&mutant.file)).unwrap(),
            "{}",
            mutant.name
        );
    }
}

/// `SKY_SIM_MUTANT=A4` builds only those whose names contain that.
#[test]
#[ignore = "builds the crate once for each mutant: make mutants"]
fn every_mutant_is_found() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path());
    let wanted = std::env::var("SKY_SIM_MUTANT").unwrap_or_default();
    let mut missed = Vec::new();
    for mutant in all()
        .into_iter()
        .filter(|mutant| mutant.name.contains(&wanted))
    {
        let file: PathBuf = folder.path().join(&mutant.file);
        std::fs::write(&file, mutant.text()).unwrap();
        let found = first_failing_seed(folder.path());
        std::fs::copy(root().join(&mutant.file), &file).unwrap();
        let (Ok(said) | Err(said)) = &found;
        writeln!(std::io::stdout(), "{}\n    {said}", mutant.name).unwrap();
        if found.is_err() {
            missed.push(mutant.name);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
