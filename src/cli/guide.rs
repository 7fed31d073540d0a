//! `sky guide`: the manual.

use super::pager::show_in_pager;
use super::{Exit, Failure, Terminal};
use crate::guide::{TOPICS, Topic};
use crate::model::canonical;
use crate::render::manual_page;
use crate::util::nearest_name::nearest_name;
use serde_json::json;
use std::fmt::Write;

/// Columns that text is wrapped to on wide terminals: longer lines are hard to read.
const MOST_COLUMNS: u16 = 100;

/// Show a topic of the manual; without a topic, list the topics.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GuideArgs {
    /// Topic, such as `jobs`
    pub topic: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Shows the list, or a topic.
pub(super) fn run(args: &GuideArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let Some(name) = &args.topic else {
        let topic_list = match args.json {
            true => {
                let topics = TOPICS
                    .iter()
                    .map(|topic| json!({ "name": topic.name, "title": topic.title() }));
                canonical::to_text(&json!({ "topics": topics.collect::<Vec<_>>() }))
                    .map_err(Failure::error)?
            }
            false => list_of_topics(),
        };
        return terminal.out(&topic_list).map(|()| Exit::Success);
    };
    let topic = find_topic(name)?;
    if args.json {
        let topic = json!({ "name": topic.name, "title": topic.title(), "text": topic.text });
        let text = canonical::to_text(&topic).map_err(Failure::error)?;
        return terminal.out(&text).map(|()| Exit::Success);
    }
    match terminal.stdout_is_terminal {
        true => show_in_pager(&rendered_topic(topic, terminal), terminal)?,
        // A file or another program gets the Markdown as it was written.
        false => terminal.out(topic.text)?,
    }
    Ok(Exit::Success)
}

fn find_topic(name: &str) -> Result<&'static Topic, Failure> {
    if let Some(topic) = TOPICS.iter().find(|topic| topic.name == name) {
        return Ok(topic);
    }
    let failure = Failure::error(format!("`{name}` is not a topic of the guide"));
    let names = TOPICS.iter().map(|topic| topic.name);
    Err(match nearest_name(name, names) {
        Some(near) => failure.hint(format!("did you mean `sky guide {near}`?")),
        None => failure.hint("`sky guide` lists the topics"),
    })
}

fn list_of_topics() -> String {
    let longest_name = TOPICS.iter().map(|topic| topic.name.len()).max();
    let width = longest_name.unwrap_or(0);
    let mut text = "The topics of the guide; `sky guide TOPIC` shows one:\n\n".to_owned();
    for topic in TOPICS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<width$}  {}", topic.name, topic.title());
    }
    text
}

/// The topic for a terminal: wrapped, with headings and tables.
fn rendered_topic(topic: &Topic, terminal: &Terminal) -> String {
    let bold = |heading: &str| match terminal.colour_stdout {
        true => {
            let style = anstyle::Style::new().bold();
            format!("{style}{heading}{style:#}")
        }
        false => heading.to_owned(),
    };
    let columns = terminal.width.unwrap_or(80).min(MOST_COLUMNS);
    manual_page::text(topic.text, columns, bold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_manual_is_wider_than_a_terminal_but_for_code_and_addresses() {
        for topic in TOPICS {
            let page = manual_page::text(topic.text, 80, str::to_owned);
            assert!(page.lines().count() > 5, "{}", topic.name);
            for line in page.lines().filter(|line| line.chars().count() > 80) {
                // An address cannot be broken.
                let is_one_word = !line.trim().contains(' ');
                assert!(
                    line.starts_with("    ") || is_one_word,
                    "{}: {line}",
                    topic.name
                );
            }
        }
    }
}
