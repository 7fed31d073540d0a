//! The DAG of a job or of a plan, in Graphviz's DOT or in Mermaid.

use crate::model::{ArtifactRef, Bytes, Destination, Job, canonical};
use crate::plan::Plan;
use crate::util::text::{Styles, clean};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A drawing, before its syntax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// Identifier to lines of its label; datasets start with `data.`, stages with `stage.`;
    /// `home` is the machine that results are brought to.
    pub nodes: BTreeMap<String, Vec<String>>,
    /// `(from, to, label)`: `to` depends on `from`.
    pub edges: Vec<(String, String, String)>,
}

/// The graph of a job: stages, datasets, sizes.
pub fn of_job(job: &Job) -> Graph {
    let mut graph = Graph::default();
    for (name, dataset) in &job.datasets {
        graph.nodes.insert(
            format!("data.{name}"),
            vec![name.clone(), dataset.at.to_string()],
        );
    }
    for (name, stage) in &job.stages {
        graph
            .nodes
            .insert(format!("stage.{name}"), vec![name.clone()]);
        for artifact in &stage.reads {
            graph
                .edges
                .push(artifact_edge(artifact, name, job.size(artifact), ""));
        }
        let by_data = |before: &&String| {
            !stage
                .reads
                .iter()
                .any(|read| matches!(read, ArtifactRef::Output { stage, .. } if stage == *before))
        };
        for before in stage.after.iter().filter(by_data) {
            graph.edges.push((
                format!("stage.{before}"),
                format!("stage.{name}"),
                String::new(),
            ));
        }
    }
    for (output, _) in job
        .outputs
        .iter()
        .filter(|(_, destination)| **destination == Destination::Home)
    {
        let ArtifactRef::Output { stage, name } = output else {
            continue;
        };
        graph
            .nodes
            .entry(HOME.to_owned())
            .or_insert_with(|| vec!["this machine".to_owned()]);
        graph.edges.push((
            format!("stage.{stage}"),
            HOME.to_owned(),
            edge_label(name, job.size(output), ""),
        ));
    }
    graph
}

/// The graph of a plan: also places, machines and costs.
pub fn of_plan(plan: &Plan) -> Graph {
    let mut graph = Graph::default();
    for (name, dataset) in &plan.datasets {
        graph.nodes.insert(
            format!("data.{name}"),
            vec![name.clone(), dataset.at.to_string()],
        );
    }
    let size_of = |artifact: &ArtifactRef| match artifact {
        ArtifactRef::Dataset(name) => plan.datasets.get(name).map(|dataset| dataset.bytes),
        ArtifactRef::Output { stage, name } => plan
            .stages
            .iter()
            .find(|other| other.name == *stage)
            .and_then(|stage| stage.writes.get(name).copied()),
    };
    for stage in &plan.stages {
        let node_lines = vec![
            stage.name.clone(),
            stage.place.to_string(),
            super::plan_text::machine(stage),
            stage.cost_micro_usd.to_string(),
        ];
        graph
            .nodes
            .insert(format!("stage.{}", stage.name), node_lines);
        for artifact in &stage.reads {
            let copy = plan
                .transfers
                .iter()
                .find(|copy| copy.artifact == *artifact && copy.readers.contains(&stage.name));
            // A copy is paid for once, however many stages read it: its cost is at its first
            // reader.
            let cost = copy.map_or(String::new(), |copy| {
                match copy.readers.first() == Some(&stage.name) {
                    true => format!(", {}", copy.cost_micro_usd.exact()),
                    false => ", same copy".to_owned(),
                }
            });
            graph.edges.push(artifact_edge(
                artifact,
                &stage.name,
                size_of(artifact),
                &cost,
            ));
        }
        let by_data = |before: &&String| {
            !stage
                .reads
                .iter()
                .any(|read| matches!(read, ArtifactRef::Output { stage, .. } if stage == *before))
        };
        for before in stage.after.iter().filter(by_data) {
            graph.edges.push((
                format!("stage.{before}"),
                format!("stage.{}", stage.name),
                String::new(),
            ));
        }
    }
    for copy in plan.transfers.iter().filter(|copy| copy.readers.is_empty()) {
        let ArtifactRef::Output { stage, name } = &copy.artifact else {
            continue;
        };
        graph
            .nodes
            .entry(HOME.to_owned())
            .or_insert_with(|| vec!["this machine".to_owned(), copy.to.to_string()]);
        let label = format!("{name} ({}, {})", copy.bytes, copy.cost_micro_usd.exact());
        graph
            .edges
            .push((format!("stage.{stage}"), HOME.to_owned(), label));
    }
    graph
}

/// The identifier of the machine that results are brought to.
const HOME: &str = "home";

fn artifact_edge(
    artifact: &ArtifactRef,
    reader: &str,
    size: Option<Bytes>,
    cost: &str,
) -> (String, String, String) {
    let from_node = match artifact {
        ArtifactRef::Dataset(name) => format!("data.{name}"),
        ArtifactRef::Output { stage, .. } => format!("stage.{stage}"),
    };
    (
        from_node,
        format!("stage.{reader}"),
        edge_label(artifact.file_name(), size, cost),
    )
}

/// What an edge says of its data; a size that is not known is left out.
fn edge_label(artifact: &str, size: Option<Bytes>, cost: &str) -> String {
    match size {
        Some(size) => format!("{artifact} ({size}{cost})"),
        None => format!("{artifact} (size unknown{cost})"),
    }
}

fn one_line(text: &str) -> String {
    clean(text, Styles::Removed).replace('\n', " ")
}

/// One JSON object: nodes by identifier with the lines of their labels, and edges.
pub fn json(graph: &Graph) -> Result<String, serde_json::Error> {
    let edges: Vec<_> = graph
        .edges
        .iter()
        .map(|(from, to, label)| json!({ "from": from, "to": to, "label": label }))
        .collect();
    canonical::to_text(&json!({
        "format_version": "1.0", "nodes": graph.nodes, "edges": edges,
    }))
}

/// DOT text.
pub fn dot(graph: &Graph) -> String {
    let escaped = |text: &str| one_line(text).replace('\\', "\\\\").replace('"', "\\\"");
    let quoted_label = |text: &str| format!("\"{}\"", escaped(text));
    let mut text = "digraph sky {\n  rankdir = LR\n  node [shape = box]\n".to_owned();
    for (name, lines) in &graph.nodes {
        let shape = if name.starts_with("data.") {
            ", shape = cylinder"
        } else {
            ""
        };
        let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {} [label = \"{}\"{shape}]",
            quoted_label(name),
            label.join("\\n")
        );
    }
    for (from, to, label) in &graph.edges {
        let _ = writeln!(
            text,
            "  {} -> {} [label = {}]",
            quoted_label(from),
            quoted_label(to),
            quoted_label(label)
        );
    }
    text.push_str("}\n");
    text
}

/// Mermaid text.
pub fn mermaid(graph: &Graph) -> String {
    // Labels are HTML there, with entities that begin with `#`.
    let escaped = |text: &str| {
        let text = one_line(text).replace('#', "#35;").replace('&', "#amp;");
        text.replace('"', "#quot;")
            .replace('<', "#lt;")
            .replace('>', "#gt;")
    };
    let ids: BTreeMap<&str, usize> = graph
        .nodes
        .keys()
        .zip(0..)
        .map(|(name, id)| (name.as_str(), id))
        .collect();
    let mut text = "flowchart LR\n".to_owned();
    for (name, lines) in &graph.nodes {
        let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let (open, close) = if name.starts_with("data.") {
            ("[(\"", "\")]")
        } else {
            ("[\"", "\"]")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  n{}{open}{}{close}",
            ids[name.as_str()],
            label.join("<br/>")
        );
    }
    for (from, to, label) in &graph.edges {
        let (Some(from), Some(to)) = (ids.get(from.as_str()), ids.get(to.as_str())) else {
            continue;
        };
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("|\"{}\"|", escaped(label))
        };
        let _ = writeln!(text, "  n{from} -->{label} n{to}");
    }
    text
}
