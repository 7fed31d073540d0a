//! `sky schema`: JSON Schemas of the files that sky reads and writes.

use super::{Exit, Failure, Terminal};
use crate::model::canonical;
use crate::util::nearest_name::nearest_name;
use crate::{plan, spec};
use serde_json::{Value, json};
use std::fmt::Write;

/// A kind of file that has a schema.
struct FileSchema {
    name: &'static str,
    /// What the file is, in a line.
    title: &'static str,
    schema: fn() -> Value,
}

const SCHEMAS: [FileSchema; 4] = [
    FileSchema {
        name: "job",
        title: "job.toml: stages and the data between them",
        schema: spec::schema::job,
    },
    FileSchema {
        name: "policy",
        title: "policy.toml: what must hold, and what to minimise",
        schema: spec::schema::policy,
    },
    FileSchema {
        name: "hosts",
        title: "hosts.toml: your own hosts and clusters",
        schema: spec::schema::hosts,
    },
    FileSchema {
        name: "plan",
        title: "a plan, the file that `sky plan --out` writes",
        schema: plan::schema::schema,
    },
];

/// Print the JSON Schema of a file, for editors and programs; without a name, the list of files.
///
/// `sky schema job > job.schema.json`, and the line `#:schema ./job.schema.json` at the top of
/// job.toml, make editors complete and check the file while you write it. `sky guide editors` says
/// which.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// File: job, policy, hosts or plan
    #[arg(value_name = "FILE")]
    pub name: Option<String>,
    /// The list as one JSON object; a schema is one always
    #[arg(long)]
    pub json: bool,
}

/// Prints a schema, or the list.
pub(super) fn run(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let text = match &args.name {
        Some(name) => canonical::text_of_value(&(find(name)?.schema)()),
        None if args.json => {
            let files = SCHEMAS
                .iter()
                .map(|file| json!({ "name": file.name, "title": file.title }));
            canonical::text_of_value(&json!({ "schemas": files.collect::<Vec<_>>() }))
        }
        None => list(),
    };
    terminal.out(&text).map(|()| Exit::Success)
}

fn find(name: &str) -> Result<&'static FileSchema, Failure> {
    if let Some(file) = SCHEMAS.iter().find(|file| file.name == name) {
        return Ok(file);
    }
    let failure = Failure::error(format!("there is no schema `{name}`"));
    Err(
        match nearest_name(name, SCHEMAS.iter().map(|file| file.name)) {
            Some(near) => failure.hint(format!("did you mean `sky schema {near}`?")),
            None => failure.hint("`sky schema` lists the files that have one"),
        },
    )
}

fn list() -> String {
    let mut text = "Files that have a JSON Schema; `sky schema FILE` prints it:\n\n".to_owned();
    for file in &SCHEMAS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<6}  {}", file.name, file.title);
    }
    text
}
