//! The commands that the tutorial and the README show, typed as they stand.

use crate::support::console::{self, Width};
use crate::support::sandbox::Sandbox;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tutorial() -> String {
    std::fs::read_to_string(root().join("src/guide/tutorial.md")).unwrap()
}

#[test]
fn the_tutorial_runs_in_an_empty_folder() {
    let sandbox = Sandbox::new();
    console::run(&tutorial(), &sandbox.path(""), Width::Columns(80));
}

#[test]
fn the_tutorial_quotes_the_files_that_it_begins_with() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["init"], 0);
    let job = sandbox.read("job.toml");
    let quoted = console::blocks(&tutorial(), "toml")
        .iter()
        .map(|lines| lines.join("\n"))
        .collect::<Vec<_>>();
    assert!(!quoted.is_empty());
    for lines in quoted {
        assert!(job.contains(&lines), "{lines}");
    }
}

#[test]
fn the_tutorial_fits_a_terminal_of_80_columns() {
    let tutorial = tutorial();
    let lines = console::blocks(&tutorial, "console").concat();
    for line in lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    console::run(&readme, root(), Width::Unbounded);
}
