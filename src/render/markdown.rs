//! A plan as a comment on a pull request.

use super::plan_text::{assumed_speeds, machine, saving_money, saving_time, transfer_time};
use crate::plan::Plan;
use crate::util::text::{Styles, clean};
use std::fmt::Write;

/// GitHub-flavoured markdown. The first line is a hidden tag by which a bot finds its comment.
pub fn text(plan: &Plan) -> String {
    let mut text = format!("<!-- sky-plan:{} -->\n### sky plan: {}\n\n", comment(&plan.job), cell(&plan.job));
    let mut line = |line: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format!("**{}**, ends after **{}**", plan.totals.cost_micro_usd, plan.totals.makespan_ms));
    if let Some(single) = &plan.single_cloud {
        line(format!(
            "\nBest single cloud ({}): {}, {}. Saved: {} of the cost, {} of the time.",
            cell(&single.cloud),
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
            transfer_time(transfer),
            transfer.cost_micro_usd.exact()
        ));
    }
    let assumed = assumed_speeds(plan);
    if !assumed.is_empty() {
        line(format!("\n<sub>{}</sub>", assumed.trim()));
    }
    if let Some(old) = &plan.old_prices {
        line(format!("\n{} rests on old prices: {}", old.cost_micro_usd, super::plan_text::old_prices(old)));
    }
    for warning in &plan.warnings {
        line(format!("\n> **warning:** {}", cell(warning)));
    }
    line(format!(
        "\n<sub>{} by {} {}, gap {} ppm; prices up to {}; catalog `{}`</sub>",
        cell(&plan.solver.status),
        cell(&plan.solver.name),
        cell(&plan.solver.version),
        plan.solver.gap,
        cell(&plan.inputs.catalog_date),
        cell(&plan.inputs.catalog).replace('`', "")
    ));
    text
}

/// Text that stays text: it cannot end its cell, and is no HTML, no link and no picture.
fn cell(text: &str) -> String {
    let text = clean(text, Styles::Removed).replace('\n', " ");
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('\\', "&#92;").replace('|', "\\|").replace("](", "]\\(")
}

/// Text that cannot end its comment.
fn comment(text: &str) -> String {
    clean(text, Styles::Removed).replace(['\n', '<', '>'], " ").replace("--", "- -").replace("--", "- -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let name = "a|b\n<img src=x> --> [x](http://y) ![z](http://y) \\| &lt; \u{1b}[31m\u{202e}";
        assert_eq!(
            cell(name),
            "a\\|b &lt;img src=x&gt; --&gt; [x]\\(http://y) ![z]\\(http://y) &#92;\\| &amp;lt; \u{fffd}"
        );
        for text in ["x --> <script>", "--->", "-->", "--\n>"] {
            let said = comment(text);
            assert!(!said.contains("--") && !said.contains(['<', '>', '\n']), "{said}");
        }
    }
}
