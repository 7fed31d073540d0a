//! What JSON Schemas say of values, by a validator that shares no code with sky.

use crate::execution::stores::servers;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// For each pair of a schema's name and a value why the schema refuses the value; none: it allows it.
pub(super) fn refusals<'v>(
    schemas: &Value,
    questions: impl Iterator<Item = (&'v str, &'v Value)>,
) -> Vec<Option<String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut asked = 0;
    writeln!(file, "{schemas}").unwrap();
    for (schema, value) in questions {
        writeln!(file, "{}", json!([schema, value])).unwrap();
        asked += 1;
    }
    let python = servers::home().join("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/json_schema.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(file.path())
        .env("PYTHONUTF8", "1")
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}: `make setup` installs what tests talk to",
                python.display()
            )
        });
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let refusals: Vec<Option<String>> = said
        .split_terminator('\n')
        .map(|line| Some(line.to_owned()).filter(|line| !line.is_empty()))
        .collect();
    assert_eq!(refusals.len(), asked);
    refusals
}
