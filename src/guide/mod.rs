//! The manual of sky: one topic a file, for `sky guide TOPIC` and for rustdoc.

/// A topic of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The name, as `sky guide` takes it.
    pub name: &'static str,
    /// The text, in Markdown; its first line is the title.
    pub text: &'static str,
}

impl Topic {
    /// Returns the title of the topic.
    pub fn title(&self) -> &'static str {
        let first_line = self.text.lines().next().unwrap_or(self.name);
        first_line.trim_start_matches("# ")
    }
}

/// Makes the list of topics, and a module for each, whose documentation is its text.
macro_rules! topics {
    ($($module:ident $name:literal,)*) => {
        $(
            #[doc = include_str!(concat!($name, ".md"))]
            pub mod $module {}
        )*

        /// All topics, in the order in which a newcomer may read them.
        pub const TOPICS: &[Topic] = &[
            $(Topic { name: $name, text: include_str!(concat!($name, ".md")) },)*
        ];
    };
}

topics! {
    tutorial "tutorial",
    jobs "jobs",
    policies "policies",
    explain "explain",
    no_plan "no-plan",
    apply "apply",
    signals "signals",
    outside_changes "outside-changes",
    simulated_cloud "simulated-cloud",
    data "data",
    costs "costs",
    failover "failover",
    state "state",
    ci "ci",
    import "import",
    ssh "ssh",
    slurm "slurm",
    kubernetes "kubernetes",
    aws "aws",
    gcp "gcp",
    azure "azure",
    catalog "catalog",
    live_prices "live-prices",
    register "register",
    solver "solver",
    editors "editors",
    commands "commands",
    environment "environment",
    exit_codes "exit-codes",
    json_events "json-events",
    plan_format "plan-format",
    glossary "glossary",
    changelog "changelog",
    architecture "architecture",
    style "style",
    contributing "contributing",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_manual_is_a_topic_with_a_title() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| Some(name.strip_suffix(".md")?.to_owned()))
            .collect();
        let topics: BTreeSet<String> = TOPICS.iter().map(|topic| topic.name.to_owned()).collect();
        assert_eq!(files, topics);
        for topic in TOPICS {
            assert!(topic.text.starts_with("# "), "{}", topic.name);
        }
    }

    /// rustdoc takes what is indented, and fences without a language, for programs in Rust.
    #[test]
    fn every_block_of_code_names_its_language() {
        for topic in TOPICS {
            let mut is_inside = false;
            for line in topic.text.lines() {
                if let Some(language) = line.strip_prefix("```") {
                    is_inside = !is_inside;
                    assert_eq!(is_inside, !language.is_empty(), "{}: {line}", topic.name);
                } else {
                    assert!(
                        is_inside || !line.starts_with("    "),
                        "{}: {line}",
                        topic.name
                    );
                }
            }
            assert!(!is_inside, "{}", topic.name);
        }
    }

    /// The topics for whoever changes the source.
    const DEVELOPER_TOPICS: [&str; 3] = ["architecture", "style", "contributing"];
    /// The folders of the source that these topics speak of.
    const SOURCE_FOLDERS: [&str; 6] = [
        "src/",
        "tests/",
        "catalog/",
        "policies/",
        "fixtures/",
        "benches/",
    ];

    #[test]
    fn every_file_that_a_developer_topic_names_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in DEVELOPER_TOPICS {
            let topic = TOPICS.iter().find(|topic| topic.name == name).unwrap();
            let in_backticks = topic.text.lines().flat_map(|line| {
                let parts = line.split('`').skip(1).step_by(2);
                parts.filter(|part| SOURCE_FOLDERS.iter().any(|folder| part.starts_with(folder)))
            });
            let paths: BTreeSet<&str> = in_backticks.collect();
            assert!(paths.len() >= 5, "{name}: {paths:?}");
            for path in paths {
                assert!(root.join(path).exists(), "{name}: {path}");
            }
        }
    }

    #[test]
    fn every_topic_that_is_named_is_there() {
        for topic in TOPICS {
            for named in topic.text.split("`sky guide ").skip(1) {
                let name = named.split('`').next().unwrap();
                assert!(
                    ["TOPIC", "[TOPIC]"].contains(&name)
                        || TOPICS.iter().any(|topic| topic.name == name),
                    "{}: {name}",
                    topic.name
                );
            }
        }
    }
}
