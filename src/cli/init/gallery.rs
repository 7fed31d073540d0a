//! The examples that `sky init` writes, each a folder below `examples`.

/// A file of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExampleFile {
    /// The name of the file in the folder of the example.
    pub name: &'static str,
    /// What the file contains.
    pub text: &'static str,
}

/// A job with its policy and the files that its commands need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// The name, as `sky init --example` takes it.
    pub name: &'static str,
    /// The files of the example; the first one is `job.toml`.
    pub files: &'static [ExampleFile],
}

impl Example {
    /// Returns what the example shows, in one line: the first comment of its job file.
    pub(super) fn title(&self) -> &'static str {
        let job = self.files.first().map_or("", |file| file.text);
        // A line such as `#:schema …`, which editors read, is not a comment for people.
        let comment = job.lines().find_map(|line| line.strip_prefix("# "));
        comment.unwrap_or(self.name).trim_end_matches('.')
    }

    /// Returns whether this is the example that `sky init` writes unless another one is named.
    pub(super) fn is_starter(&self) -> bool {
        self.name == STARTER
    }
}

/// The name of the example that `sky init` writes unless another one is named.
pub(super) const STARTER: &str = "starter";

/// Makes the list of examples, whose files are compiled in.
macro_rules! examples {
    ($($name:literal [$($file:literal),+];)+) => {
        /// All examples, in the order in which a newcomer may look at them.
        pub(super) const EXAMPLES: &[Example] = &[
            $(Example {
                name: $name,
                files: &[$(ExampleFile {
                    name: $file,
                    text: include_str!(concat!("examples/", $name, "/", $file)),
                }),+],
            },)+
        ];
    };
}

examples! {
    "starter" ["job.toml", "policy.toml", "reviews.txt"];
    "fine-tune" ["job.toml", "policy.toml"];
    "pretraining" ["job.toml", "policy.toml", "prepare.py"];
    "batch-inference" ["job.toml", "policy.toml"];
    "spark-etl" ["job.toml", "policy.toml", "sessions.py", "revenue.py"];
    "sweep" ["job.toml", "policy.toml", "train.py", "settings.csv"];
    "residency" ["job.toml", "policy.toml", "columns.cd"];
    "spot-checkpoints" ["job.toml", "policy.toml", "train.py"];
    "hosts-and-cloud" ["job.toml", "policy.toml", "hosts.toml", "index.py"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    fn names_in(folder: &Path) -> BTreeSet<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn every_folder_with_all_of_its_files_is_registered() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/init/examples");
        let on_disk: BTreeMap<String, BTreeSet<String>> = names_in(&root)
            .into_iter()
            .map(|name| (name.clone(), names_in(&root.join(name))))
            .collect();
        let registered: BTreeMap<String, BTreeSet<String>> = EXAMPLES
            .iter()
            .map(|example| {
                let files = example.files.iter().map(|file| file.name.to_owned());
                (example.name.to_owned(), files.collect())
            })
            .collect();
        assert_eq!(on_disk, registered);
    }

    #[test]
    fn every_example_has_a_title_that_fits_a_line() {
        assert_eq!(EXAMPLES[0].name, STARTER);
        for example in EXAMPLES {
            assert_eq!(example.files[0].name, "job.toml", "{}", example.name);
            assert_ne!(example.title(), example.name);
            assert!(example.title().len() <= 60, "{}", example.title());
        }
    }

    #[test]
    fn every_line_is_short_enough_to_be_read_beside_another_window() {
        for file in EXAMPLES.iter().flat_map(|example| example.files) {
            for line in file.text.lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", file.name);
            }
        }
    }
}
