//! The job file: datasets, stages, and the data between them.

use crate::model::job::ELEMENT;
use crate::model::{ArtifactRef, Bytes, Dataset, Job, Needs, PlaceName, Stage};
use crate::spec::table::{Entry, Findings, Item, Section, shown};
use crate::spec::value::{self, PathFault, relative_path};
use crate::spec::{
    Diagnostic, Diagnostics, Parsed, buying, needs, outputs, retries, spread, wiring, work,
};
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// Most machines in one gang.
pub(super) const MOST_NODES: u32 = 1000;
/// Most copies of one stage.
pub(super) const MOST_COPIES: u32 = 10_000;
/// Most machines of one stage: copies times nodes.
const MOST_MACHINES: u64 = 100_000;

/// Reads a job file. An error holds every mistake in it, in order of the file.
pub fn parse(file_name: &str, text: &str) -> Result<Parsed<Job>, Diagnostics> {
    crate::spec::table::read(file_name, text, decode_job)
}

fn decode_job(mut document: Section<'_, '_>, findings: &mut Findings) -> Job {
    let mut job = Job {
        name: String::new(),
        datasets: BTreeMap::new(),
        stages: BTreeMap::new(),
        spread: Vec::new(),
        made: BTreeMap::new(),
        outputs: BTreeMap::new(),
    };
    if let Some(entry) = document.require("name", "the job", "\"bert\"", findings)
        && let Some(name) = entry.text("bert", findings)
    {
        value::name("job", name, &entry.span, findings);
        job.name = name.to_owned();
    }
    if let Some(datasets) = document.take_table("datasets", findings) {
        for entry in datasets.entries(findings) {
            value::name("dataset", entry.key, &entry.key_span, findings);
            if let Some(section) = entry.section(findings) {
                let dataset = read_dataset(section, entry.key, findings);
                job.datasets.insert(entry.key.to_owned(), dataset);
            }
        }
    }
    let stages = document.take("stages", findings);
    let stages_readable = stages
        .as_ref()
        .is_none_or(|stages| matches!(stages.value, DeValue::Table(_)));
    let stages_span = stages
        .as_ref()
        .map_or_else(|| document.span.clone(), |stages| stages.span.clone());
    if let Some(stages) = stages.and_then(|stages| stages.section(findings)) {
        for entry in stages.entries(findings) {
            value::name("stage", entry.key, &entry.key_span, findings);
            if let Some(section) = entry.section(findings) {
                let stage = read_stage(section, entry.key, findings);
                job.stages.insert(entry.key.to_owned(), stage);
            }
        }
    }
    if let Some(entry) = document.take("spread", findings) {
        job.spread = spread::spread(&entry, &job, findings);
    }
    if let Some(table) = document.take_table("outputs", findings) {
        job.outputs = outputs::outputs(&table, findings);
    }
    let mistyped = document.finish(findings).contains(&Some("stages"));
    let any_stage = findings.spans.keys().any(|key| key.starts_with("stages."));
    if !any_stage && !mistyped && stages_readable {
        findings.push(
            Diagnostic::error(stages_span, "the job has no stages")
                .with_label("nothing to plan")
                .with_hint("add a table such as `[stages.train]`"),
        );
    }
    wiring::check(&job, findings);
    job
}

fn read_dataset(mut section: Section<'_, '_>, name: &str, findings: &mut Findings) -> Dataset {
    let at_entry = section.take("at", findings);
    let path = section.take("path", findings);
    if at_entry.is_none() && path.is_none() {
        findings.push(
            Diagnostic::error(section.span.clone(), format!("dataset `{name}` has neither `at` nor `path`"))
                .with_label("where does it lie?")
                .with_hint("add `at = \"azure:eastus\"`, or `path = \"data/reviews\"` for data on this machine"),
        );
    }
    let at = at_entry
        .and_then(|entry| value::place(&entry, findings))
        .unwrap_or_else(PlaceName::here);
    let path = path.and_then(|entry| {
        let path_item = Item {
            text: entry.text("data/reviews", findings)?,
            span: entry.span.clone(),
        };
        path_beside_job(&path_item, findings)
    });
    let size_entry = section.require("size", &format!("dataset `{name}`"), "\"1 GB\"", findings);
    let size = size_entry
        .and_then(|entry| value::bytes(&entry, findings))
        .unwrap_or_default();
    let labels = section
        .take("labels", findings)
        .map(|entry| value::labels(&entry, findings))
        .unwrap_or_default();
    section.finish(findings);
    Dataset {
        at,
        path,
        size,
        labels,
    }
}

fn read_stage(mut section: Section<'_, '_>, name: &str, findings: &mut Findings) -> Stage {
    let reads = section
        .take("reads", findings)
        .map(|entry| read_artifacts(&entry, findings))
        .unwrap_or_default();
    let writes = section
        .take_table("writes", findings)
        .map(|writes| written_outputs(&writes, findings))
        .unwrap_or_default();
    let removes = section
        .take("removes", findings)
        .map(|entry| value::labels(&entry, findings))
        .unwrap_or_default();
    let needs = section.take_table("needs", findings);
    let mut needs = needs
        .map(|needs| needs::needs(needs, findings))
        .unwrap_or_default();
    max_price(&mut section, name, &mut needs, findings);
    let work = work::work(&mut section, name, &needs, findings);
    let run = section
        .take("run", findings)
        .and_then(|entry| stage_command(&entry, findings));
    let files = section
        .take("files", findings)
        .map(|entry| files_beside_job(&entry, findings))
        .unwrap_or_default();
    let (count, nodes) = replicas_and_nodes(&mut section, name, findings);
    let after_items = section
        .take("after", findings)
        .map(|entry| entry.texts("process", findings))
        .unwrap_or_default();
    let after = after_items
        .into_iter()
        .map(|item| item.text.to_owned())
        .collect();
    let deadline = section
        .take("deadline", findings)
        .and_then(|entry| value::time(&entry, findings));
    let allocation = section
        .take("allocation", findings)
        .and_then(|entry| value::allocation(&entry, findings));
    let checkpoint = buying::checkpoint(&mut section, name, allocation, findings);
    let (env, secrets) = variables_and_secrets(&mut section, findings);
    let retries = section
        .take("retries", findings)
        .and_then(|entry| retries::retries(&entry, findings));
    section.finish(findings);
    Stage {
        reads,
        writes,
        removes,
        needs,
        work,
        run,
        files,
        nodes,
        after,
        count,
        deadline,
        allocation,
        checkpoint,
        env,
        secrets,
        retries,
        without: BTreeSet::new(),
    }
}

/// Reads the artifacts that a stage reads.
fn read_artifacts(entry: &Entry<'_, '_>, findings: &mut Findings) -> BTreeSet<ArtifactRef> {
    let items = entry.texts("process.tokens", findings);
    items
        .into_iter()
        .filter_map(|item| read_artifact(&item, findings))
        .collect()
}

/// Reads the paths of the files that a stage takes along, relative to the job file.
fn files_beside_job(entry: &Entry<'_, '_>, findings: &mut Findings) -> BTreeSet<String> {
    let items = entry.texts("train.py", findings);
    items
        .into_iter()
        .filter_map(|item| file_beside_job(&item, findings))
        .collect()
}

/// Reads `env` and `secrets`, in which no variable may be twice.
fn variables_and_secrets(
    section: &mut Section<'_, '_>,
    findings: &mut Findings,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let env = section
        .take_table("env", findings)
        .map(|table| stage_variables(&table, findings))
        .unwrap_or_default();
    let secrets = section
        .take_table("secrets", findings)
        .map(|table| stage_secrets(&table, findings))
        .unwrap_or_default();
    if let Some(name) = env.keys().find(|name| secrets.contains_key(*name)) {
        let message = format!("`{}` is in both `env` and `secrets`", shown(name));
        let span = findings.span(&section.path);
        let hint = "keep it in `secrets` if nobody may see its value, else in `env`";
        findings.push(
            Diagnostic::error(span, message)
                .with_label("in this stage")
                .with_hint(hint),
        );
    }
    (env, secrets)
}

/// `max_price` of a stage is the same as `needs.max_price`.
fn max_price(
    section: &mut Section<'_, '_>,
    name: &str,
    needs: &mut Needs,
    findings: &mut Findings,
) {
    let Some(entry) = section.take("max_price", findings) else {
        return;
    };
    let in_needs = format!("{}.needs.max_price", section.path);
    if needs.max_price.is_some() {
        let message = format!("stage `{name}` has `max_price` twice, here and in `needs`");
        findings.push(
            Diagnostic::error(entry.key_span, message)
                .with_label("one too many")
                .with_hint("take one of the two lines out"),
        );
        return;
    }
    let Some(rate) = value::hourly_rate(&entry, findings) else {
        return;
    };
    let span = findings.span(&entry.path);
    findings.spans.insert(in_needs, span);
    needs.max_price = Some(rate);
    // As everything that is common to the alternatives.
    needs
        .any_of
        .iter_mut()
        .for_each(|one| one.max_price = one.max_price.or(Some(rate)));
}

fn read_artifact(item: &Item<'_>, findings: &mut Findings) -> Option<ArtifactRef> {
    let well_formed = match item.text.split_once('.') {
        Some((stage, name)) => {
            !stage.is_empty() && !name.is_empty() && name != ELEMENT && !name.contains('.')
        }
        None => !item.text.is_empty(),
    };
    if !well_formed {
        let message = format!("`{}` names no artifact", shown(item.text));
        let hint = "write the name of a dataset, or `stage.artifact` such as `process.tokens`";
        findings.push(
            Diagnostic::error(item.span.clone(), message)
                .with_label("not a name")
                .with_hint(hint),
        );
        return None;
    }
    let index = item.text.find('[').map(|at| &item.text[at..]);
    if let Some(index) = index.filter(|index| *index != ELEMENT || !item.text.contains('.')) {
        let message = format!(
            "`{}` in `{}` stands for nothing",
            shown(index),
            shown(item.text)
        );
        let hint = match item.text.contains('.') {
            true => {
                "`split.part[i]` is what copy i of `split` wrote, for copy i; `split.part` is that of all copies"
            }
            false => "a dataset has no copies: write its name",
        };
        findings.push(
            Diagnostic::error(item.span.clone(), message)
                .with_label("no such part")
                .with_hint(hint),
        );
        return None;
    }
    Some(ArtifactRef::from(item.text.to_owned()))
}

/// Copies, and machines of each.
fn replicas_and_nodes(
    section: &mut Section<'_, '_>,
    name: &str,
    findings: &mut Findings,
) -> (u32, u32) {
    let mut whole_number = |key: &'static str, most: u32, findings: &mut Findings| {
        let number = section
            .take(key, findings)
            .and_then(|entry| value::whole(&entry, 1..=u64::from(most), findings));
        number
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(1)
    };
    let (count, nodes) = (
        whole_number("count", MOST_COPIES, findings),
        whole_number("nodes", MOST_NODES, findings),
    );
    if u64::from(count) * u64::from(nodes) > MOST_MACHINES {
        let message = format!(
            "stage `{name}` has {count} copies of {nodes} machines, which is more than {MOST_MACHINES}"
        );
        let span = findings.span(&format!("{}.count", section.path));
        findings.push(
            Diagnostic::error(span, message)
                .with_label("too many for one stage")
                .with_hint("split it into several stages"),
        );
    }
    (count, nodes)
}

fn written_outputs(writes: &Section<'_, '_>, findings: &mut Findings) -> BTreeMap<String, Bytes> {
    let mut outputs = BTreeMap::new();
    for entry in writes.entries(findings) {
        value::name("artifact", entry.key, &entry.key_span, findings);
        outputs.insert(
            entry.key.to_owned(),
            value::bytes(&entry, findings).unwrap_or_default(),
        );
    }
    outputs
}

/// Whether a command can have a variable of that name that sky does not set itself.
fn is_variable(name: &str) -> bool {
    let mut letters = name.chars();
    let first_fits = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first_fits
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with("SKY_")
}

/// `env` of a stage: names of environment variables and their values.
fn stage_variables(table: &Section<'_, '_>, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for entry in table.entries(findings) {
        if !is_variable(entry.key) {
            let message = format!("`{}` cannot be the name of a variable", shown(entry.key));
            let hint = "it is an environment variable of the command: letters, digits and `_`, not `SKY_…`";
            findings.push(
                Diagnostic::error(entry.key_span, message)
                    .with_label("not usable")
                    .with_hint(hint),
            );
            continue;
        }
        let Some(text) = entry.text("0", findings) else {
            continue;
        };
        let reference = text.strip_prefix("env:");
        if text.contains('\0')
            || reference.is_some_and(|name| name.is_empty() || name.contains('='))
        {
            let message = format!("`{}` cannot have that value", shown(entry.key));
            let hint = "write a text without NUL, or \"env:NAME\" for the value of that variable of `sky apply`";
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("not usable")
                    .with_hint(hint),
            );
            continue;
        }
        variables.insert(entry.key.to_owned(), text.to_owned());
    }
    variables
}

/// `secrets` of a stage: names of environment variables, and where their values are.
fn stage_secrets(table: &Section<'_, '_>, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    for entry in table.entries(findings) {
        if !is_variable(entry.key) {
            let message = format!("`{}` cannot be the name of a secret", shown(entry.key));
            let hint = "it is an environment variable of the command: letters, digits and `_`, not `SKY_…`";
            findings.push(
                Diagnostic::error(entry.key_span, message)
                    .with_label("not usable")
                    .with_hint(hint),
            );
            continue;
        }
        let Some(text) = entry.text("env:HF_TOKEN", findings) else {
            continue;
        };
        if let Some(fault) = reference_fault(text) {
            // The text may be the secret itself: neither it nor its line is shown.
            let span = findings.span(table.path.strip_suffix(".secrets").unwrap_or(&table.path));
            let message = format!("secret `{}` {fault}", shown(entry.key));
            let hint = "write where its value is, never the value: \"env:HF_TOKEN\", or \"file:PATH\" beside the job";
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("in this stage")
                    .with_hint(hint),
            );
            continue;
        }
        secrets.insert(entry.key.to_owned(), text.to_owned());
    }
    secrets
}

/// Returns what is wrong with a reference to a secret.
fn reference_fault(text: &str) -> Option<&'static str> {
    let is_plain_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0', '\n']);
    match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
        (Some(name), _) => (!is_plain_name(name)).then_some("names no environment variable"),
        (_, Some(path)) => match relative_path(path) {
            Ok(_) => None,
            Err(PathFault::Absolute) => {
                Some("has an absolute path: a plan carries no machine's paths")
            }
            Err(PathFault::Unusable) => Some("names no file"),
        },
        (None, None) => Some("is not a reference"),
    }
}

fn stage_command(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<String> {
    let text = entry.text("python train.py", findings)?;
    if text.trim().is_empty() {
        let hint =
            "leave the line out for a stage that is only planned; `run = \"true\"` does nothing";
        findings.push(
            Diagnostic::error(entry.span.clone(), "`run` is empty")
                .with_label("no command")
                .with_hint(hint),
        );
        return None;
    }
    if text.contains('\0') {
        findings.push(Diagnostic::error(
            entry.span.clone(),
            "`run` has a NUL character, which no command can have",
        ));
        return None;
    }
    Some(text.to_owned())
}

fn path_beside_job(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let (fault, hint) = match relative_path(item.text) {
        Ok(path) => return Some(path),
        Err(PathFault::Absolute) => (
            "is absolute",
            "write it relative to the job file: a plan carries no machine's paths",
        ),
        Err(PathFault::Unusable) => ("names no file", "write a path relative to the job file"),
    };
    let message = format!("path `{}` {fault}", shown(item.text));
    findings.push(
        Diagnostic::error(item.span.clone(), message)
            .with_label("not usable")
            .with_hint(hint),
    );
    None
}

fn file_beside_job(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let path = path_beside_job(item, findings)?;
    if path.split('/').any(|part| part == "..") {
        let message = format!("file `{}` lies outside the job's folder", shown(item.text));
        let hint =
            "`files` are copied to the machine with their folders; move it beside the job file";
        findings.push(
            Diagnostic::error(item.span.clone(), message)
                .with_label("leads out")
                .with_hint(hint),
        );
        return None;
    }
    Some(path)
}
