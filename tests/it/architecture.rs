//! The rooms of `src/` use each other only along the arrows of the map in
//! `src/guide/architecture.md`.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Room, and the rooms that it may use. The parts of `planning` and `execution` are rooms of their
/// own.
const ARROWS: [(&str, &str); 20] = [
    ("catalog", "model"),
    (
        "cli",
        "catalog execution/apply execution/provider execution/state execution/storage feeds guide model plan planning \
         planning/compile planning/solve render spec",
    ),
    (
        "execution/apply",
        "execution/provider execution/state execution/storage model plan",
    ),
    ("execution/provider", "model"),
    ("execution/state", "model plan"),
    ("execution/storage", "model"),
    ("feeds", "catalog model"),
    ("guide", ""),
    ("model", ""),
    ("plan", "model"),
    ("planning", "model plan"),
    (
        "planning/build",
        "catalog model plan planning planning/compile planning/problem planning/rule planning/solve planning/verify",
    ),
    (
        "planning/compile",
        "catalog model planning/problem planning/rule",
    ),
    (
        "planning/explain",
        "catalog model plan planning/build planning/compile planning/problem planning/rule planning/solve",
    ),
    ("planning/problem", "model"),
    ("planning/rule", "model"),
    ("planning/solve", "model planning/problem"),
    // Of the problem it knows the seed that a plan names, nothing else.
    (
        "planning/verify",
        "catalog model plan planning planning/compile planning/problem planning/rule",
    ),
    (
        "render",
        "catalog execution/state model plan planning planning/compile planning/solve spec",
    ),
    ("spec", "model"),
];

/// Rooms whose folders are rooms.
const HALVES: [&str; 2] = ["planning", "execution"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The source files that are not tests, by their path below `src`.
pub(crate) fn files() -> BTreeMap<Vec<String>, String> {
    let (root, mut found) = (root(), Vec::new());
    sources(&root, &mut found);
    let parts = |path: &Path| -> Vec<String> {
        let path = path.strip_prefix(&root).unwrap().with_extension("");
        path.iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect()
    };
    let is_test =
        |part: &String| matches!(part.as_str(), "tests" | "samples") || part.ends_with("_tests");
    let all = found
        .iter()
        .map(|path| (parts(path), std::fs::read_to_string(path).unwrap()));
    all.filter(|(path, _)| !path.iter().any(is_test)).collect()
}

/// The code of a file, without comments and without its module of tests.
pub(crate) fn code(text: &str) -> String {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The room of a path such as `planning::solve::backend`.
fn room(path: &[String]) -> String {
    let is_half = |first: &String| HALVES.contains(&first.as_str());
    match path {
        [first, second, ..] if is_half(first) && root().join(first).join(second).is_dir() => {
            format!("{first}/{second}")
        }
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// The rooms that code names as `crate::ROOM`.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let path = |rest: &str| -> Vec<String> {
        let end = rest
            .find(|letter: char| !is_name(letter) && letter != ':')
            .unwrap_or(rest.len());
        rest[..end]
            .split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    code.split("crate::")
        .skip(1)
        .map(|rest| room(&path(rest)))
        .collect()
}

#[test]
fn rooms_use_each_other_along_the_arrows() {
    let arrows: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(room, uses)| (*room, uses.split_whitespace().collect()))
        .collect();
    let files = files();
    assert!(files.len() > 300, "{}", files.len());
    let mut wrong = Vec::new();
    // What lies in `src` itself, and what only names the two halves, is in no room.
    for (path, text) in files
        .iter()
        .filter(|(path, _)| path.len() > 1 && path[0] != "util")
    {
        let room = if path.as_slice() == ["execution", "mod"] {
            continue;
        } else {
            room(&path[..path.len() - 1])
        };
        let allowed = arrows
            .get(room.as_str())
            .unwrap_or_else(|| panic!("room {room} is not on the map"));
        for other in rooms_used(&code(text)) {
            if other != room
                && other != "util"
                && arrows.contains_key(other.as_str())
                && !allowed.contains(other.as_str())
            {
                wrong.push(format!("{}: {room} -> {other}", path.join("/")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that are not on the map:\n{}",
        wrong.join("\n")
    );
}

fn map() -> String {
    std::fs::read_to_string(root().join("guide/architecture.md")).unwrap()
}

#[test]
fn the_map_names_every_room() {
    let map = map();
    for (room, _) in ARROWS {
        assert!(map.contains(&format!("\n| `{room}` | ")), "{room}");
    }
}

/// The list of the map: a line for each room with the rooms that it may use, which may go on in
/// lines that are indented.
#[test]
fn the_map_has_the_arrows_that_hold() {
    let map = map();
    let (_, list) = map
        .split_once("may use these others:\n\n```text\n")
        .unwrap();
    let (list, _) = list.split_once("\n```\n").unwrap();
    let mut arrows: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list.lines() {
        let uses = match line.split_once(':') {
            Some((room, uses)) => {
                arrows.push((room, Vec::new()));
                uses
            }
            None => line,
        };
        let (_, used) = arrows.last_mut().unwrap();
        used.extend(uses.split_whitespace());
    }
    let held: Vec<(&str, Vec<&str>)> = ARROWS
        .iter()
        .map(|(room, uses)| (*room, uses.split_whitespace().collect()))
        .collect();
    assert_eq!(arrows, held);
}

/// Planning is pure: whatever it needs of the world comes in as a value, so equal inputs give equal
/// plans everywhere.
#[test]
fn planning_reads_no_file_no_clock_and_no_environment() {
    const EFFECTS: [&str; 8] = [
        "tokio",
        "reqwest",
        "object_store",
        "std::fs",
        "std::env",
        "std::time",
        "std::thread",
        "util::clock",
    ];
    let mut wrong = Vec::new();
    for (path, text) in files().iter().filter(|(path, _)| path[0] == "planning") {
        let code = code(text);
        let found = EFFECTS.iter().filter(|effect| code.contains(**effect));
        wrong.extend(found.map(|effect| format!("{}: {effect}", path.join("/"))));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The catalog comes from files: only `feeds` asks the network.
#[test]
fn the_catalog_knows_no_network() {
    for (path, text) in files().iter().filter(|(path, _)| path[0] == "catalog") {
        for network in ["reqwest", "tokio", "object_store", "feeds::"] {
            assert!(
                !code(text).contains(network),
                "{}: {network}",
                path.join("/")
            );
        }
    }
}

#[test]
fn files_form_no_circles() {
    let circles = imports::circles(&files());
    assert!(
        circles.is_empty(),
        "files that import each other:\n{}",
        circles.join("\n\n")
    );
}

#[test]
fn circles_are_found_through_super_and_through_what_is_handed_on() {
    let file = |path: &str, text: &str| {
        (
            path.split('/').map(str::to_owned).collect::<Vec<_>>(),
            text.to_owned(),
        )
    };
    let made = |files: &[(&str, &str)]| {
        imports::circles(&files.iter().map(|(path, text)| file(path, text)).collect())
    };
    let through_super = [
        ("a/mod", "pub mod b; pub mod c;"),
        ("a/b", "use super::c::C; pub struct B;"),
        ("a/c/mod", "pub mod d; pub use d::C;"),
        ("a/c/d", "pub struct C(super::super::b::B);"),
    ];
    assert_eq!(
        made(&through_super),
        ["a/b uses a/c/d (a::c::C)\na/c/d uses a/b (a::b::B)"]
    );
    // A `mod.rs` that only hands on is not a part of a circle; one that defines what its files need
    // is.
    let handed_on = [
        ("a/mod", "mod b; mod c; pub use b::B;"),
        ("a/b", "pub struct B;"),
        ("a/c", "use super::B;"),
    ];
    assert_eq!(made(&handed_on), Vec::<String>::new());
    let defines = [
        ("a/mod", "mod b; pub struct A; fn f() { b::g() }"),
        ("a/b", "use crate::a::A; pub fn g() {}"),
    ];
    assert_eq!(
        made(&defines),
        ["a/b uses a/mod (a::A)\na/mod uses a/b (a::b::g)"]
    );
}

/// `apply` and what it stands on can be simulated: the same seed gives the same story. So its
/// choices are made in the order in which they are written, and time and chance come from
/// `util::clock` and `util::simulation`.
#[test]
fn what_is_simulated_leaves_nothing_to_chance() {
    const OTHER_SOURCES: [&str; 6] = [
        "SystemTime::now",
        "Timestamp::now",
        "std::time::Instant",
        "thread::sleep",
        "fastrand::",
        "getrandom",
    ];
    let (mut files, mut wrong, mut choices) = (Vec::new(), Vec::new(), 0);
    for room in ["apply", "state", "storage"] {
        sources(&root().join("execution").join(room), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for choice in code.split("select! {").skip(1) {
            choices += 1;
            if !choice.trim_start().starts_with("biased;") {
                wrong.push(format!("{}: a select! that is not biased", file.display()));
            }
        }
        let found = OTHER_SOURCES
            .iter()
            .filter(|source| code.contains(**source));
        wrong.extend(found.map(|source| format!("{}: {source}", file.display())));
    }
    assert!(choices >= 10, "{choices}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
