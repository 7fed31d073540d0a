//! Requests for accelerators as people write them, on the shipped catalog: the answer, and the way
//! out where no machine has so many cards.

use crate::support::sandbox::{Sandbox, stderr};

fn job(card: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "job.toml",
        &format!(
            "name = \"j\"\n[stages.s]\nneeds = {{ accelerators = [\"{card}\"] }}\nduration = \"1 h\"\n{more}\n"
        ),
    );
    sandbox
}

#[test]
fn eight_h200_are_on_offer() {
    let text = job("H200:8", "").stdout(&["plan"], 0);
    assert!(text.contains("(H200-SXM:8)"), "{text}");
}

/// Each with the most cards of that kind that a machine of the catalog has.
#[test]
fn more_cards_than_any_machine_has_are_answered_with_several_machines_of_the_same_card() {
    for (wanted, each, nodes) in [
        ("H100:64", "H100:8", 8),
        ("H200:16", "H200:8", 2),
        ("A100-80GB:32", "A100-80GB:8", 4),
        ("L4:20", "L4:8", 3),
    ] {
        let sandbox = job(wanted, "");
        let output = sandbox.run(&["plan"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{wanted}: {said}");
        let help = format!("help: set accelerators = [\"{each}\"] and nodes = {nodes}");
        assert!(said.contains(&help), "{wanted}: {said}");
        // The way out is one.
        let sandbox = job(each, &format!("nodes = {nodes}"));
        let text = sandbox.stdout(&["plan"], 0);
        assert!(text.contains(&format!("{nodes} x ")), "{text}");
    }
}
