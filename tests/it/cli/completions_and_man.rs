//! `sky completions` and `sky man`: what shells and `man` make of them.

use crate::support::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::process::Command;

/// The commands below a command, from its help.
fn commands_below(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let help = sandbox.stdout(&[words, &["--help"]].concat(), 0);
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_verbs_and_options() {
    let sandbox = Sandbox::new();
    sandbox.write("sky.bash", &sandbox.stdout(&["completions", "bash"], 0));
    // What bash does when Tab is pressed behind the last word.
    let complete = |words: &[&str]| {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source ./sky.bash; COMP_WORDS=({}); COMP_CWORD={}; _sky sky '{last}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            line.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &script])
            .current_dir(sandbox.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["sky", "pl"]), "plan\n");
    assert_eq!(complete(&["sky", "catalog", "upd"]), "update\n");
    assert_eq!(complete(&["sky", "plan", "--mark"]), "--markdown\n");
    assert_eq!(complete(&["sky", "plan", "--color", "nev"]), "never\n");
}

#[test]
fn every_shell_has_a_script_with_every_verb() {
    let sandbox = Sandbox::new();
    let verbs = commands_below(&sandbox, &[]);
    assert!(verbs.contains(&"plan".to_owned()), "{verbs:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sandbox.stdout(&["completions", shell], 0);
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{verb} for {shell}");
        }
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let said = sandbox.stdout(&["man", "share/man1", "--json"], 0);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let files = said["files"].as_array().unwrap();
    let written: BTreeSet<&str> = files.iter().map(|file| file.as_str().unwrap()).collect();
    let mut expected = BTreeSet::from(["share/man1/sky.1".to_owned()]);
    for verb in commands_below(&sandbox, &[]) {
        expected.insert(format!("share/man1/sky-{verb}.1"));
        for below in commands_below(&sandbox, &[&verb]) {
            expected.insert(format!("share/man1/sky-{verb}-{below}.1"));
        }
    }
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(written, expected);
    let page = sandbox.read("share/man1/sky-state-mv.1");
    let version = concat!("\"sky ", env!("CARGO_PKG_VERSION"), "\"");
    assert!(
        page.contains(".TH SKY-STATE-MV 1") && page.contains(version),
        "{page}"
    );
    assert!(
        page.contains("sky state mv") && page.contains("\\-\\-json"),
        "{page}"
    );
    // Again into the same folder: newer pages take the place of the old ones.
    let again = sandbox.stdout(&["man", "share/man1"], 0);
    assert_eq!(
        again,
        format!("Wrote {} manual pages to share/man1.\n", files.len())
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("taken", "a file");
    let output = sandbox.run(&["man", "taken"]);
    assert_eq!(output.status.code(), Some(1));
    let said = crate::support::sandbox::stderr(&output);
    assert!(said.contains("cannot create taken"), "{said}");
}
