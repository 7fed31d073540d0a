//! The TOML files and the TOML texts of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder with an ending, but for those of builds and of version control.
fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            files_below(&path, ending, found);
        } else if path.is_file() && path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

/// The text of every TOML file of the repository, by its path.
pub(super) fn shipped_files() -> BTreeMap<String, String> {
    let mut found = Vec::new();
    files_below(root(), "toml", &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Every block of TOML in the guide.
pub(super) fn blocks_of_the_guide() -> BTreeSet<String> {
    let blocks = sky::guide::TOPICS.iter().flat_map(|topic| {
        let after = topic.text.split("```toml\n").skip(1);
        after.map(|after| after.split("```").next().unwrap().to_owned())
    });
    blocks.collect()
}

/// Every text in the tests of the readers, and in all tests of the command line and of planning,
/// that is TOML by itself.
pub(super) fn texts_of_tests() -> BTreeSet<String> {
    let mut sources = Vec::new();
    for folder in ["src/spec", "tests/it"] {
        files_below(&root().join(folder), "rs", &mut sources);
    }
    let mut texts = Texts(BTreeSet::new());
    for source in sources {
        let text = std::fs::read_to_string(&source).unwrap();
        let parsed = syn::parse_file(&text).unwrap();
        texts.visit_file(&parsed);
    }
    texts.0
}

struct Texts(BTreeSet<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let text = literal.value();
        let is_table = toml::from_str::<toml::Table>(&text).is_ok_and(|table| !table.is_empty());
        if is_table {
            self.0.insert(text);
        }
    }

    // What is inside of `assert!`, `format!` and the like.
    fn visit_macro(&mut self, of: &'ast syn::Macro) {
        type Arguments = syn::punctuated::Punctuated<syn::Expr, syn::Token![,]>;
        if let Ok(arguments) = of.parse_body_with(Arguments::parse_terminated) {
            arguments.iter().for_each(|argument| {
                // The expressions live as long as this call: what is kept of them is copied.
                let mut inner = Texts(BTreeSet::new());
                syn::visit::visit_expr(&mut inner, argument);
                self.0.append(&mut inner.0);
            });
        }
    }
}
