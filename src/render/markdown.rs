//! A plan as a comment on a pull request.

use super::plan_text::{machine, saving_money, saving_time};
use crate::plan::Plan;
use std::fmt::Write;

/// GitHub-flavoured markdown. The first line is a hidden tag by which a bot finds its comment.
pub fn text(plan: &Plan) -> String {
    let mut text = format!("<!-- sky-plan:{} -->\n### sky plan: {}\n\n", cell(&plan.job), cell(&plan.job));
    let mut line = |line: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format!("**{}**, ends after **{}**", plan.totals.cost_micro_usd, plan.totals.makespan_ms));
    if let Some(single) = &plan.single_cloud {
        line(format!(
            "\nBest single cloud ({}): {}, {}. Saved: {} of the cost, {} of the time.",
            single.cloud,
            single.cost_micro_usd,
            single.makespan_ms,
            saving_money(plan, single),
            saving_time(plan, single)
        ));
    }
    line("\n| stage | place | machine | start | end | cost |\n| --- | --- | --- | ---: | ---: | ---: |".to_owned());
    for stage in &plan.stages {
        line(format!(
            "| {} | {} | {} | {} | {} | {} |",
            cell(&stage.name),
            cell(&stage.place.to_string()),
            cell(&machine(stage)),
            stage.start_ms,
            stage.end_ms,
            stage.cost_micro_usd
        ));
    }
    if !plan.transfers.is_empty() {
        line("\n| transfer | from | to | size | time | cost |\n| --- | --- | --- | ---: | ---: | ---: |".to_owned());
    }
    for transfer in &plan.transfers {
        line(format!(
            "| {} | {} | {} | {} | {} | {} |",
            cell(&transfer.artifact.to_string()),
            cell(&transfer.from.to_string()),
            cell(&transfer.to.to_string()),
            transfer.bytes,
            transfer.duration_ms,
            transfer.cost_micro_usd.exact()
        ));
    }
    for warning in &plan.warnings {
        line(format!("\n> **warning:** {}", cell(warning)));
    }
    line(format!(
        "\n<sub>{} by {} {}, gap {} ppm; prices up to {}; catalog `{}`</sub>",
        plan.solver.status,
        plan.solver.name,
        plan.solver.version,
        plan.solver.gap,
        plan.inputs.catalog_date,
        plan.inputs.catalog
    ));
    text
}

/// Text that cannot end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;")
}
