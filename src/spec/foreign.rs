//! Files that are not TOML at all: one message that says what they are, instead of one for each
//! line that is not TOML.

use crate::spec::{Diagnostic, Diagnostics, SourceFile};

/// Returns the error about a file that is plainly of another format; `None`: the file may be TOML.
pub(super) fn foreign(file_name: &str, text: &str) -> Option<Diagnostics> {
    let first_line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let (what, hint) = if text.trim_start().starts_with('{') {
        json_format(file_name, text)
    } else if is_yaml(first_line) {
        let hint =
            "jobs and policies are TOML files: write `key = value` lines under `[table]` headers";
        ("a YAML file, not a TOML file", hint.to_owned())
    } else if first_line.starts_with('<') {
        (
            "an XML or HTML file, not a TOML file",
            "name the job or policy file itself".to_owned(),
        )
    } else {
        return None;
    };
    let diagnostic = Diagnostic::error(0..0, format!("{file_name} is {what}")).with_hint(hint);
    let source = SourceFile {
        name: file_name.to_owned(),
        ..SourceFile::default()
    };
    Some(Diagnostics {
        source,
        list: vec![diagnostic],
    })
}

/// A file that starts like a JSON object: TOML never does.
fn json_format(file_name: &str, text: &str) -> (&'static str, String) {
    let json_value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let has_key = |key: &str| {
        json_value
            .as_ref()
            .is_some_and(|value| value.get(key).is_some())
    };
    if has_key("format_version") && has_key("totals") && has_key("stages") {
        let hint = format!(
            "`sky show {file_name}` shows it and `sky apply {file_name}` applies it; to plan again, name the job file"
        );
        return (
            "a plan that was made already, not a job or policy file",
            hint,
        );
    }
    if has_key("lineage") && has_key("serial") {
        return (
            "the state of a job, not a job or policy file",
            "`sky show` shows it; name the job file".to_owned(),
        );
    }
    if has_key("workflow") {
        let hint =
            format!("`sky import wfformat {file_name} --out job.toml` makes a job file of it");
        return ("a workflow in JSON, not a TOML file", hint);
    }
    (
        "a JSON file, not a TOML file",
        "jobs and policies are written in TOML".to_owned(),
    )
}

/// Whether a first line is one that YAML has and TOML does not: a document mark, a list item, or
/// `key:` with nothing or a blank after the colon.
fn is_yaml(first_line: &str) -> bool {
    let is_plain_key = |key: &str| {
        !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    };
    let mapping = |(key, value): (&str, &str)| {
        is_plain_key(key.trim()) && (value.is_empty() || value.starts_with(' '))
    };
    first_line == "---"
        || first_line.starts_with("%YAML")
        || first_line.starts_with("- ")
        || first_line.split_once(':').is_some_and(mapping)
}

#[cfg(test)]
mod tests {
    use crate::spec;

    #[test]
    fn a_file_of_another_format_is_one_message_that_says_what_it_is() {
        let plan = "{\n  \"format_version\": \"1.3\",\n  \"stages\": [],\n  \"totals\": {}\n}\n";
        for (text, what, way_out) in [
            (plan, "is a plan that was made already", "sky apply"),
            (
                "{\"lineage\": \"x\", \"serial\": 3}",
                "is the state of a job",
                "sky show",
            ),
            (
                "{\"workflow\": {}}",
                "is a workflow in JSON",
                "sky import wfformat",
            ),
            ("{\"a\": 1}", "is a JSON file", "TOML"),
            ("{ broken", "is a JSON file", "TOML"),
            ("# comment\n---\nname: x\n", "is a YAML file", "TOML"),
            (
                "name: bert\nstages:\n  train:\n    run: x\n",
                "is a YAML file",
                "TOML",
            ),
            ("- a\n- b\n", "is a YAML file", "TOML"),
            ("<html>", "is an XML or HTML file", "name the job"),
        ] {
            for found in [
                spec::job::parse("some.file", text).err(),
                spec::policy::parse("some.file", text).err(),
            ] {
                let list = found.unwrap().list;
                assert_eq!(list.len(), 1, "{text}");
                assert!(list[0].message.contains(what), "{}", list[0].message);
                assert!(
                    list[0]
                        .hint
                        .as_ref()
                        .is_some_and(|hint| hint.contains(way_out)),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn what_may_be_toml_is_read_as_toml() {
        for text in [
            "name = \"a:b\"",
            "\"a: b\" = 1",
            "[a]\nb = 1",
            "a.b = \"c\"",
            "name",
            "= 3",
        ] {
            assert!(super::foreign("job.toml", text).is_none(), "{text}");
        }
    }
}
