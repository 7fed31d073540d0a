//! A plan as a comment on a pull request.

use super::plan_text::{assumed_speeds, compared, machine, transfer_time};
use crate::model::Money;
use crate::model::units::grouped;
use crate::plan::{Plan, PlannedStage, PlannedTransfer};
use crate::util::text::{Styles, clean};
use std::collections::BTreeSet;

/// Code hosts refuse comments of more than 65,536 characters. This is counted in bytes, of which no
/// text has fewer than characters, and leaves room for a line or two that a bot adds.
const MOST_BYTES: usize = 65_000;
/// What the rows may take of it at least, however long the warnings are.
const ROWS_BYTES: usize = 40_000;

/// Returns GitHub-flavoured markdown that code hosts accept as a comment: of a plan that is too
/// large, the dearest rows are there, and a line says what was left out. The first line is a hidden
/// tag by which a bot finds its comment.
pub fn text(plan: &Plan) -> String {
    let (head, foot) = (comment_head(plan), comment_foot(plan));
    let warnings: Vec<String> = plan
        .warnings
        .iter()
        .map(|warning| format!("\n> **warning:** {}\n", cell_text(warning)))
        .collect();
    let bytes_left = MOST_BYTES.saturating_sub(head.len() + foot.len());
    let warnings = first_that_fit(&warnings, bytes_left.saturating_sub(ROWS_BYTES));
    let bytes_left = bytes_left.saturating_sub(warnings.len());
    let stages: Vec<(Money, String)> = plan
        .stages
        .iter()
        .map(|one| (one.cost_micro_usd, stage_row(one)))
        .collect();
    let transfers: Vec<(Money, String)> = plan
        .transfers
        .iter()
        .map(|one| (one.cost_micro_usd, transfer_row(one)))
        .collect();
    let kept_rows = dearest_that_fit(&stages, &transfers, bytes_left.saturating_sub(NOTE_BYTES));
    let mut text = head + STAGE_HEAD;
    text.extend(
        stages
            .iter()
            .enumerate()
            .filter(|(number, _)| kept_rows.contains(number))
            .map(|(_, (_, row))| row.as_str()),
    );
    let is_shown = |number: usize| kept_rows.contains(&(stages.len() + number));
    if (0..transfers.len()).any(is_shown) {
        text += TRANSFER_HEAD;
        text.extend(
            transfers
                .iter()
                .enumerate()
                .filter(|(number, _)| is_shown(*number))
                .map(|(_, (_, row))| row.as_str()),
        );
    }
    text += &left_out(&stages, &transfers, &kept_rows);
    text + &warnings + &foot
}

const STAGE_HEAD: &str = "\n| stage | place | machine | start | end | cost |\n| --- | --- | --- | ---: | ---: | ---: |\n";
const TRANSFER_HEAD: &str =
    "\n| transfer | from | to | size | time | cost |\n| --- | --- | --- | ---: | ---: | ---: |\n";
/// Room for the heads of the tables and for the line about what was left out.
const NOTE_BYTES: usize = STAGE_HEAD.len() + TRANSFER_HEAD.len() + 400;

fn comment_head(plan: &Plan) -> String {
    let job = first_characters(&plan.job, 200);
    let mut text = format!(
        "<!-- sky-plan:{} -->\n### sky plan: {}\n\n",
        comment_text(&job),
        cell_text(&job)
    );
    text += &format!(
        "**{}**, ends after **{}**\n",
        plan.totals.cost_micro_usd, plan.totals.makespan_ms
    );
    if let Some(single) = &plan.single_cloud {
        text += &format!(
            "\nBest single cloud ({}): {}, ends after {}. Compared to it, this plan is: {}.\n",
            cell_text(&single.cloud),
            single.cost_micro_usd,
            single.makespan_ms,
            compared(plan, single)
        );
    }
    text
}

fn comment_foot(plan: &Plan) -> String {
    let assumed_text = assumed_speeds(plan);
    let assumed_text = first_characters(assumed_text.trim(), 2_000);
    let assumed_text = if assumed_text.is_empty() {
        assumed_text
    } else {
        format!("\n<sub>{assumed_text}</sub>\n")
    };
    let waits = super::plan_text::waits_text(plan);
    let waits = waits.split_whitespace().collect::<Vec<&str>>().join(" ");
    let waits = match waits.is_empty() {
        true => waits,
        false => format!("\n{}\n", cell_text(&first_characters(&waits, 2_000))),
    };
    let old = plan.old_prices.as_ref().map(|old| {
        format!(
            "\nOld prices: {}, {}\n",
            old.cost_micro_usd,
            super::plan_text::old_prices(old)
        )
    });
    let assumed_and_old =
        waits + &assumed_text + &first_characters(&old.unwrap_or_default(), 2_000);
    let proof = format!(
        "\n<sub>{} by {} {}, gap {} ppm; newest price {}; catalog `{}`</sub>\n",
        cell_text(&plan.solver.status),
        cell_text(&plan.solver.name),
        cell_text(&plan.solver.version),
        plan.solver.gap,
        cell_text(&plan.inputs.catalog_date),
        cell_text(&plan.inputs.catalog).replace('`', "")
    );
    assumed_and_old + &proof
}

fn stage_row(stage: &PlannedStage) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        cell_text(&stage.name),
        cell_text(&stage.place.to_string()),
        cell_text(&machine(stage)),
        stage.start_ms,
        stage.end_ms,
        stage.cost_micro_usd
    )
}

fn transfer_row(transfer: &PlannedTransfer) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        cell_text(&transfer.artifact.to_string()),
        cell_text(&transfer.from.to_string()),
        cell_text(&transfer.to.to_string()),
        transfer.bytes,
        transfer_time(transfer),
        transfer.cost_micro_usd.exact()
    )
}

/// The first of some paragraphs that fit in so many bytes, and how many do not.
fn first_that_fit(paragraphs: &[String], most_bytes: usize) -> String {
    let mut text = String::new();
    for (number, paragraph) in paragraphs.iter().enumerate() {
        let note = format!("\n> and {} more warnings\n", paragraphs.len() - number);
        let is_last = number + 1 == paragraphs.len();
        if text.len() + paragraph.len() + if is_last { 0 } else { note.len() } > most_bytes {
            return text + &note;
        }
        text += paragraph;
    }
    text
}

/// The rows that fit in so many bytes, by their number, transfers after stages: all if they do,
/// else the dearest first, of equally dear ones those that come first.
fn dearest_that_fit(
    stages: &[(Money, String)],
    transfers: &[(Money, String)],
    most_bytes: usize,
) -> BTreeSet<usize> {
    let all_rows: Vec<&(Money, String)> = stages.iter().chain(transfers).collect();
    let mut order: Vec<usize> = (0..all_rows.len()).collect();
    order.sort_by_key(|number| (std::cmp::Reverse(all_rows[*number].0), *number));
    let mut bytes = 0;
    let fitting_rows = order.into_iter().filter(|number| {
        let row_fits = bytes + all_rows[*number].1.len() <= most_bytes;
        bytes += if row_fits {
            all_rows[*number].1.len()
        } else {
            0
        };
        row_fits
    });
    fitting_rows.collect()
}

/// What is not in the tables, and what it costs.
fn left_out(
    stages: &[(Money, String)],
    transfers: &[(Money, String)],
    kept_rows: &BTreeSet<usize>,
) -> String {
    let missing_rows = |rows: &[(Money, String)], first: usize| {
        let rows_left_out = rows
            .iter()
            .enumerate()
            .filter(|(number, _)| !kept_rows.contains(&(first + number)));
        let costs: Vec<Money> = rows_left_out.map(|(_, (cost, _))| *cost).collect();
        (costs.len(), costs.into_iter().sum::<Money>())
    };
    let part_words = |(count, cost): (usize, Money), all: usize, noun: &str| {
        (count > 0).then(|| {
            format!(
                "{} of {} {noun} ({cost})",
                grouped(count as i128),
                grouped(all as i128)
            )
        })
    };
    let present_parts: Vec<String> = [
        part_words(missing_rows(stages, 0), stages.len(), "stages"),
        part_words(
            missing_rows(transfers, stages.len()),
            transfers.len(),
            "transfers",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    match present_parts.is_empty() {
        true => String::new(),
        false => format!(
            "\n**Left out** to stay below 65,536 characters, the limit for comments: {}. The dearest are shown; \
             `sky plan` shows all.\n",
            present_parts.join(" and ")
        ),
    }
}

fn first_characters(text: &str, most_bytes: usize) -> String {
    text.chars().take(most_bytes).collect()
}

/// Text that stays text: it cannot end its cell, and is neither HTML, nor a link, nor a picture.
fn cell_text(text: &str) -> String {
    let text = clean(text, Styles::Removed).replace('\n', " ");
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('\\', "&#92;")
        .replace('|', "\\|")
        .replace("](", "]\\(")
}

/// Text that cannot end its comment.
fn comment_text(text: &str) -> String {
    clean(text, Styles::Removed)
        .replace(['\n', '<', '>'], " ")
        .replace("--", "- -")
        .replace("--", "- -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let name = "a|b\n<img src=x> --> [x](http://y) ![z](http://y) \\| &lt; \u{1b}[31m\u{202e}";
        assert_eq!(
            cell_text(name),
            "a\\|b &lt;img src=x&gt; --&gt; [x]\\(http://y) ![z]\\(http://y) &#92;\\| &amp;lt; \u{fffd}"
        );
        for text in ["x --> <script>", "--->", "-->", "--\n>"] {
            let said = comment_text(text);
            assert!(
                !said.contains("--") && !said.contains(['<', '>', '\n']),
                "{said}"
            );
        }
    }
}
