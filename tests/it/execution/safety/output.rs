//! Text of others on its way to people.

use crate::execution::apply::place::{self, Place, Row, ended};
use sky::util::text::is_harmful;

const ROWS: [Row; 1] = [("a", &[], &["o"], "echo out > $SKY_OUTPUTS/o")];

/// Moves the cursor, sets a title, reads backwards, and ends comments.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}txt.exe --> <script>alert(1)</script> | [x](http://y)\u{0}\u{7f}";

/// Nothing in it drives a terminal; as it was written, before it is made text for a message.
fn is_clean(said: &str) -> bool {
    !said.contains(is_harmful)
}

#[test]
fn a_plan_without_a_digest_is_refused_by_all_its_readers() {
    let place = Place::new(&ROWS);
    let text = std::fs::read_to_string(place.path("plan.json")).unwrap();
    let mut plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    plan.as_object_mut().unwrap().remove("digest");
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    for verb in [
        &["show", "plan.json"][..],
        &["show", "plan.json", "--json"],
        &["show", "plan.json", "--markdown"],
        &["apply", "plan.json"],
        &["apply", "plan.json", "--provider", "sim"],
        &["graph", "plan.json"],
        &["explain", "plan.json"],
        &["check", "plan.json"],
    ] {
        let said = ended(&place.sky(verb).output().unwrap(), 1);
        assert!(
            said.contains("plan.json has no `digest`") && said.contains("plan again"),
            "{verb:?}: {said}"
        );
    }
    assert!(!place.path(".sky").exists());
}

#[test]
fn text_of_a_plan_drives_no_terminal_and_is_no_markup() {
    let place = Place::new(&ROWS);
    let mut plan = place::plan("job", &ROWS);
    plan.warnings.push(HOSTILE.to_owned());
    plan.stages[0].instance_type = HOSTILE.to_owned();
    plan.solver.status = HOSTILE.to_owned();
    plan.stages[0].run = Some(HOSTILE.replace('\0', ""));
    place.write_plan(&plan);
    for verb in [
        &["show", "plan.json"][..],
        &["show", "plan.json", "--color", "always"],
        &["show", "plan.json", "--markdown"],
        &["show", "plan.json", "--json"],
        &["graph", "plan.json"],
        &["graph", "plan.json", "--format", "mermaid"],
    ] {
        let output = place.sky(verb).output().unwrap();
        let (out, noted) = (
            String::from_utf8(output.stdout.clone()).unwrap(),
            String::from_utf8_lossy(&output.stderr),
        );
        ended(&output, 0);
        assert!(is_clean(&out), "{verb:?}: {out:?}");
        // Warnings may be coloured by sky itself.
        let plain = ["\u{1b}[1m", "\u{1b}[33m", "\u{1b}[0m"]
            .iter()
            .fold(noted.into_owned(), |text, own| text.replace(own, ""));
        assert!(is_clean(&plain), "{verb:?}: {plain:?}");
        if verb.contains(&"--markdown") || verb.contains(&"mermaid") {
            assert!(!out.contains("<script>"), "{out}");
        }
        if verb.contains(&"--markdown") {
            assert!(!out.contains("](http"), "{out}");
            assert_eq!(
                out.matches("-->").count(),
                1,
                "only its own comment ends: {out}"
            );
        }
        if verb.contains(&"--json") {
            let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(shown["warnings"][0], HOSTILE, "JSON keeps its data");
        }
    }
}

#[test]
fn what_a_stage_prints_drives_no_terminal() {
    let print = "printf '\\033[31mred\\033[0m and \\033]0;title\\007 10%%\\r20%%\\n\\302\\2332J\\342\\200\\256back\\n'; \
                 echo out > $SKY_OUTPUTS/o; exit \"$(cat code)\"";
    let place = Place::new(&[("a", &[], &["o"], print)]);
    for (code, exit) in [(3, 1), (0, 0)] {
        let mut plan = place::plan("job", &[("a", &[], &["o"], print)]);
        plan.stages[0].files.insert("code".into());
        place.write_plan(&plan);
        std::fs::write(place.path("code"), code.to_string()).unwrap();
        let said = ended(&place.apply(&["--color", "always", "--source", "."]), exit);
        // Colours of logs go with all other sequences.
        assert!(
            said.contains("a | red and  10% 20%") && said.contains("back"),
            "{said}"
        );
        assert!(
            !said.contains("\u{1b}]") && !said.contains('\u{9b}') && !said.contains('\u{202e}'),
            "{said:?}"
        );
        assert!(
            said.lines()
                .filter(|line| line.contains(" | "))
                .all(|line| !line.contains('\u{1b}')),
            "{said:?}"
        );
    }
    // The file keeps what was printed.
    let log = std::fs::read_dir(place.path(".sky/stages/a"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path()
        .join("log");
    assert!(std::fs::read(log).unwrap().starts_with(b"\x1b[31mred"));
}

#[test]
fn text_of_a_state_drives_no_terminal() {
    let place = Place::new(&ROWS);
    ended(&place.apply(&[]), 0);
    let path = place.path("sky.state.json");
    let mut state: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    state["stages"]["a"]["message"] = serde_json::json!(HOSTILE);
    state["stages"]["a"]["ended"] = serde_json::json!(HOSTILE);
    std::fs::write(&path, state.to_string()).unwrap();
    for verb in [
        &["show"][..],
        &["show", "--json"],
        &["state", "show", "a"],
        &["state", "show", "a", "--json"],
        &["state", "pull"],
        &["state", "list", "--json"],
    ] {
        let said = ended(&place.sky(verb).output().unwrap(), 0);
        assert!(is_clean(&said), "{verb:?}: {said:?}");
        if verb.contains(&"pull") {
            let pulled: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(pulled["stages"]["a"]["message"], HOSTILE);
        }
    }
    // Money is counted by this one, so what is no time is refused, in words that drive nothing.
    state["stages"]["a"]["started"] = serde_json::json!(HOSTILE);
    std::fs::write(&path, state.to_string()).unwrap();
    let refused = place.sky(&["state", "show", "a"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said.contains("stages.a.started") && is_clean(&said),
        "{said:?}"
    );
}
