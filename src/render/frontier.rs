//! The frontier of cost and makespan as a table and as JSON; [`super::frontier_svg`] draws it.

use super::table;
use crate::model::Purchase;
use crate::planning::{Frontier, Placed, Point};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Jobs of more stages are summed up by place.
const NAMED_STAGES: usize = 6;

/// A table, the cheapest first. `width` is that of the terminal.
pub fn text(job: &str, frontier: &Frontier, width: Option<u16>) -> String {
    let mut text =
        format!("What time costs for {job}: no other plan is better in cost and time\n\n");
    let few_stages = frontier
        .points
        .first()
        .is_some_and(|point| point.stages.len() <= NAMED_STAGES);
    let mut table_rows = Vec::new();
    for (index, point) in frontier.points.iter().enumerate() {
        let last_point = index.checked_sub(1).map(|last| &frontier.points[last]);
        let places = if few_stages {
            changed_placements(point, last_point)
        } else {
            by_place(point)
        };
        let proven_word = if point.figures.proven { "yes" } else { "no" };
        let figures = &point.figures;
        table_rows.push(vec![
            figures.cost.to_string(),
            figures.makespan.to_string(),
            proven_word.to_owned(),
            places,
        ]);
    }
    let last_heading = if few_stages {
        "Stages, each where it changes"
    } else {
        "Stages by place"
    };
    text.push_str(&table::text(
        &[">Cost", ">Ends after", "Proven", last_heading],
        &table_rows,
        width,
    ));
    text.push('\n');
    text.push_str(&count_words(frontier));
    text
}

fn count_words(frontier: &Frontier) -> String {
    let point_count = frontier.points.len();
    match frontier.total {
        Some(total) if total == point_count => match total {
            1 => "The cheapest plan is also the fastest.\n".to_owned(),
            _ => format!("These are all {total} points.\n"),
        },
        Some(total) => {
            format!("{} of {total} are left out (--points N shows more); each that is shown is exact.\n", total - point_count)
        }
        None => "There are others between them, more than were looked for; each that is shown is exact.\n".to_owned(),
    }
}

/// `train gcp:us-central1 tpu-v3-8`, only what is not as in the row before.
fn changed_placements(point: &Point, last_point: Option<&Point>) -> String {
    let same_placement =
        |placed: &Placed| last_point.is_some_and(|last| last.stages.contains(placed));
    let spot = |placed: &Placed| {
        if placed.purchase == Purchase::Spot {
            ", spot"
        } else {
            ""
        }
    };
    let changed_parts = point.stages.iter().filter(|placed| !same_placement(placed));
    let changed_words = changed_parts.map(|placed| {
        format!(
            "{} {} {}{}",
            placed.stage,
            placed.place,
            placed.instance_type,
            spot(placed)
        )
    });
    changed_words.collect::<Vec<_>>().join("\n")
}

/// `12 at aws:us-east-1, 3 at gcp:us-central1`, most first.
fn by_place(point: &Point) -> String {
    let mut place_counts: BTreeMap<String, usize> = BTreeMap::new();
    for placed in &point.stages {
        *place_counts.entry(placed.place.to_string()).or_default() += 1;
    }
    let mut sorted_counts: Vec<(String, usize)> = place_counts.into_iter().collect();
    sorted_counts.sort_by_key(|(place, count)| (std::cmp::Reverse(*count), place.clone()));
    sorted_counts
        .iter()
        .map(|(place, count)| format!("{count} at {place}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// For programs.
pub fn json(job: &str, frontier: &Frontier) -> Value {
    let stage = |placed: &Placed| {
        json!({
            "name": placed.stage,
            "place": placed.place,
            "instance_type": placed.instance_type,
            "purchase": placed.purchase,
        })
    };
    let point_json = |point: &Point| {
        json!({
            "cost_micro_usd": point.figures.cost,
            "makespan_ms": point.figures.makespan,
            "proven": point.figures.proven,
            "stages": point.stages.iter().map(stage).collect::<Vec<_>>(),
        })
    };
    json!({
        "format_version": "1.0",
        "job": job,
        "points": frontier.points.iter().map(point_json).collect::<Vec<_>>(),
        "total": frontier.total,
        "left_out": frontier.total.map(|total| total - frontier.points.len()),
    })
}
