//! Which source file uses which: read from the paths in the code, whether they begin with `crate`,
//! `super`, or the name of a module or of something that was imported.

use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;

type ModulePath = Vec<String>;

/// One file's names and what it uses.
#[derive(Default)]
struct Module {
    /// How messages name the file: its path below `src`.
    shown: String,
    /// What the file defines itself.
    defined: BTreeSet<String>,
    /// What it hands on, by name: whole paths.
    handed_on: BTreeMap<String, ModulePath>,
    /// Modules all of which it hands on.
    handed_on_whole: Vec<ModulePath>,
    /// Whole paths that its code uses.
    used: Vec<ModulePath>,
}

/// Groups of files that use each other in a circle: who uses what of whom, a line each. Keys are
/// paths below `src` without the suffix.
pub(super) fn circles(files: &BTreeMap<Vec<String>, String>) -> Vec<String> {
    let names: BTreeSet<ModulePath> = files.keys().map(|path| module_path(path)).collect();
    let modules: BTreeMap<ModulePath, Module> = files
        .iter()
        .map(|(path, text)| (module_path(path), read(path, text, &names)))
        .collect();
    let paths: Vec<&ModulePath> = modules.keys().collect();
    let number: BTreeMap<&ModulePath, usize> = paths
        .iter()
        .enumerate()
        .map(|(number, path)| (*path, number))
        .collect();
    let mut graph = petgraph::graph::DiGraph::<usize, ()>::new();
    let nodes: Vec<_> = (0..paths.len())
        .map(|number| graph.add_node(number))
        .collect();
    for (path, module) in &modules {
        for used in &module.used {
            if let Some(target) = defining(used, &modules, 0).filter(|target| *target != path) {
                graph.update_edge(nodes[number[path]], nodes[number[target]], ());
            }
        }
    }
    let groups = petgraph::algo::tarjan_scc(&graph)
        .into_iter()
        .filter(|group| group.len() > 1);
    let shown = |group: Vec<petgraph::graph::NodeIndex>| {
        let files: BTreeSet<&ModulePath> = group.iter().map(|node| paths[graph[*node]]).collect();
        let mut lines = Vec::new();
        for from in &files {
            for used in &modules[*from].used {
                if let Some(to) =
                    defining(used, &modules, 0).filter(|to| to != from && files.contains(to))
                {
                    lines.push(format!(
                        "{} uses {} ({})",
                        modules[*from].shown,
                        modules[to].shown,
                        used.join("::")
                    ));
                }
            }
        }
        lines.sort_unstable();
        lines.dedup();
        lines.join("\n")
    };
    groups.map(shown).collect()
}

fn module_path(file: &[String]) -> ModulePath {
    match file {
        [folders @ .., last] if last == "mod" || last == "lib" => folders.to_vec(),
        all => all.to_vec(),
    }
}

/// The file that defines what a path names: through what others hand on.
fn defining<'m>(
    path: &[String],
    modules: &'m BTreeMap<ModulePath, Module>,
    depth: usize,
) -> Option<&'m ModulePath> {
    let length = (0..=path.len())
        .rev()
        .find(|length| modules.contains_key(&path[..*length]))?;
    let (found, module) = modules.get_key_value(&path[..length])?;
    let [name, rest @ ..] = &path[length..] else {
        return Some(found);
    };
    if depth < 16 && !module.defined.contains(name) {
        if let Some(target) = module.handed_on.get(name) {
            return defining(&[target.as_slice(), rest].concat(), modules, depth + 1);
        }
        for whole in &module.handed_on_whole {
            let target = [whole.as_slice(), &path[length..]].concat();
            if let Some(target) = defining(&target, modules, depth + 1)
                .filter(|at| modules[*at].defined.contains(name))
            {
                return Some(target);
            }
        }
    }
    Some(found)
}

fn read(file: &[String], text: &str, names: &BTreeSet<ModulePath>) -> Module {
    let parsed =
        syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.join("/")));
    let mut reader = Reader {
        module: Module {
            shown: file.join("/"),
            ..Module::default()
        },
        here: module_path(file),
        imported: BTreeMap::new(),
        names,
    };
    // Imports first: code above them may use them.
    for item in &parsed.items {
        if let syn::Item::Use(item) = item {
            reader.take_use(item);
        }
    }
    reader.visit_file(&parsed);
    reader.module
}

struct Reader<'n> {
    module: Module,
    here: ModulePath,
    imported: BTreeMap<String, ModulePath>,
    names: &'n BTreeSet<ModulePath>,
}

impl Reader<'_> {
    /// The whole path of what begins in this crate.
    fn whole(&self, path: &[String]) -> Option<ModulePath> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&self.here, &path[1..]].concat()),
            "super" => Some(
                [
                    &self.here[..self.here.len().checked_sub(ups)?],
                    &path[ups..],
                ]
                .concat(),
            ),
            first => {
                if let Some(imported) = self.imported.get(first).filter(|_| path.len() > 1) {
                    return Some([imported.as_slice(), &path[1..]].concat());
                }
                let child = [self.here.as_slice(), &path[..1]].concat();
                self.names
                    .contains(&child)
                    .then(|| [self.here.as_slice(), path].concat())
            }
        }
    }

    fn take_use(&mut self, item: &syn::ItemUse) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            let Some(whole) = self.whole(&path) else {
                continue;
            };
            match (hands_on, name.as_str()) {
                (true, "*") => self.module.handed_on_whole.push(whole.clone()),
                (true, _) => {
                    self.module.handed_on.insert(name.clone(), whole.clone());
                }
                (false, _) => self.module.used.push(whole.clone()),
            }
            if name != "*" {
                self.imported.insert(name, whole);
            }
        }
    }

    fn define(&mut self, name: &syn::Ident) {
        self.module.defined.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Use(_) => return,
            syn::Item::Mod(item) => (&item.attrs, None),
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Impl(item) => (&item.attrs, None),
            _ => return syn::visit::visit_item(self, item),
        };
        if is_for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.define(name);
        }
        syn::visit::visit_item(self, item);
    }

    // `pub(super)` says who may use an item, and uses nothing itself.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if let Some(whole) = self.whole(&parts) {
            self.module.used.push(whole);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast syn::Macro) {
        // The arguments of a macro are not paths yet: `a :: b :: c`.
        let text = of
            .tokens
            .to_string()
            .replace(" :: ", "::")
            .replace(":: ", "::");
        for word in text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':')
        {
            let parts: Vec<String> = word.split("::").map(str::to_owned).collect();
            if parts.len() > 1
                && parts.iter().all(|part| !part.is_empty())
                && let Some(whole) = self.whole(&parts)
            {
                self.module.used.push(whole);
            }
        }
        syn::visit::visit_macro(self, of);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
    };
    attributes.iter().any(is_test)
}

/// Every name that a `use` brings in: its path, and what it is called here; `*` for all of a
/// module.
fn flatten(tree: &syn::UseTree, above: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, String)>) {
    let leaf = |above: &[String], name: &syn::Ident| match name.to_string().as_str() {
        "self" => above.to_vec(),
        name => [above, &[name.to_owned()]].concat(),
    };
    match tree {
        syn::UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, leaves);
            above.pop();
        }
        syn::UseTree::Name(name) => {
            let path = leaf(above, &name.ident);
            let called = path.last().cloned().unwrap_or_default();
            leaves.push((path, called));
        }
        syn::UseTree::Rename(rename) => {
            leaves.push((leaf(above, &rename.ident), rename.rename.to_string()))
        }
        syn::UseTree::Glob(_) => leaves.push((above.clone(), "*".to_owned())),
        syn::UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| flatten(tree, above, leaves)),
    }
}
