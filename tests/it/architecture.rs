//! The rooms of `src/` use each other only along the arrows of the map in `src/lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Room, and the rooms that it may use.
const ARROWS: [(&str, &str); 16] = [
    ("apply", "plan state provider transfer model"),
    ("catalog", "model"),
    ("cli", "apply catalog compile model plan planner problem provider render rule solve spec state transfer"),
    ("compile", "model rule problem catalog"),
    ("model", ""),
    ("plan", "model"),
    ("planner", "model rule compile problem solve plan catalog"),
    ("problem", "model"),
    ("provider", "model"),
    ("render", "apply catalog compile model plan planner problem provider rule solve spec state transfer"),
    ("rule", "model"),
    ("solve", "model problem"),
    ("spec", "model"),
    ("state", "model plan"),
    ("transfer", "model"),
    ("util", ""),
];

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

/// Rooms named as `crate::ROOM` in the part of a file that is not a test.
fn used(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(name).collect()
}

#[test]
fn rooms_use_each_other_along_the_arrows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let arrows: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(room, uses)| (*room, uses.split_whitespace().collect())).collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50);
    let mut wrong = Vec::new();
    for file in files {
        let parts: Vec<&str> = file.strip_prefix(&root).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
        let is_test = parts.iter().any(|part| matches!(*part, "tests" | "tests.rs" | "samples.rs"));
        if parts.len() < 2 || is_test {
            continue;
        }
        let room = parts[0];
        let allowed = arrows.get(room).unwrap_or_else(|| panic!("room {room} is not on the map"));
        for other in used(&file) {
            if other != room
                && other != "util"
                && arrows.contains_key(other.as_str())
                && !allowed.contains(other.as_str())
            {
                wrong.push(format!("{}: {room} -> {other}", parts.join("/")));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not on the map:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_room() {
    let map = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for (room, _) in ARROWS {
        assert!(map.contains(&format!("//! | [`{room}`]")), "{room}");
        assert!(map.contains(&format!("pub mod {room};")), "{room}");
    }
}

/// `apply` and what it stands on can be simulated: the same seed gives the same story. So its choices are made in the
/// order in which they are written, and time and chance come from `util::clock` and `util::simulation`.
#[test]
fn what_is_simulated_leaves_nothing_to_chance() {
    const OTHER_SOURCES: [&str; 6] =
        ["SystemTime::now", "Timestamp::now", "std::time::Instant", "thread::sleep", "fastrand::", "getrandom"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut wrong, mut choices) = (Vec::new(), Vec::new(), 0);
    for room in ["apply", "state", "transfer"] {
        sources(&root.join(room), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for choice in code.split("select! {").skip(1) {
            choices += 1;
            if !choice.trim_start().starts_with("biased;") {
                wrong.push(format!("{}: a select! that is not biased", file.display()));
            }
        }
        let found = OTHER_SOURCES.iter().filter(|source| code.contains(**source));
        wrong.extend(found.map(|source| format!("{}: {source}", file.display())));
    }
    assert!(choices >= 10, "{choices}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
