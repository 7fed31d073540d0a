//! All entries of a directory, one after the other, and what links in it mean.

use super::value::{Kind, Links, kind_of, leads_out, refuse};
use crate::util::file;
use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Deeper than this, a followed link is taken to lead in a circle.
const DEPTH: usize = 100;
/// An entry of a directory, as [`visit`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A file.
    File,
    /// A directory.
    Folder,
    /// With its target.
    Link(&'a Path),
}

/// Visits all entries of a directory, sorted by name, each folder before what is in it: with the
/// name relative to the directory, where it lies, and what is known of it.
pub fn visit(
    root: &Path,
    links: Links,
    visit: &mut dyn FnMut(&Path, &Path, Found, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    walk(root, links, &mut |entry| match &entry.what {
        What::Link(target) => visit(
            &entry.inside,
            &entry.path,
            Found::Link(target),
            &entry.metadata,
        ),
        What::Known(Kind::Directory) => {
            visit(&entry.inside, &entry.path, Found::Folder, &entry.metadata)
        }
        What::Known(_) => visit(&entry.inside, &entry.path, Found::File, &entry.metadata),
    })
}

pub(super) struct Entry {
    pub path: PathBuf,
    /// Relative to the value's own directory.
    pub inside: PathBuf,
    pub what: What,
    /// The metadata of what a link stands for, unless the link is kept.
    pub metadata: Metadata,
}

pub(super) enum What {
    Known(Kind),
    Link(PathBuf),
}

/// Visits all entries below `root`, sorted by name, a directory before what is in it.
pub(super) fn walk(
    root: &Path,
    links: Links,
    visit: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> io::Result<()> {
    let real = std::fs::canonicalize(root).map_err(|error| file::named(root, "read", error))?;
    Walk {
        root,
        links,
        open: vec![real.clone()],
        followed: 0,
        visit,
    }
    .folder(Path::new(""), &real)
}

struct Walk<'a> {
    root: &'a Path,
    links: Links,
    /// Where the folders really are that the walk is in, from the root on.
    open: Vec<PathBuf>,
    /// How many of them it came to by links.
    followed: usize,
    visit: &'a mut dyn FnMut(Entry) -> io::Result<()>,
}

impl Walk<'_> {
    /// Visits what is in a folder, which really is at `real`.
    fn folder(&mut self, inner_path: &Path, real: &Path) -> io::Result<()> {
        let folder = self.root.join(inner_path);
        if self.open.len() > DEPTH {
            return Err(refuse(
                &folder,
                "lies deeper than 100 folders: does a symbolic link lead in a circle?",
            ));
        }
        let fail = |error| file::named(&folder, "list", error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name());
        }
        names.sort();
        for name in names {
            self.entry(inner_path.join(&name), real.join(&name))?;
        }
        Ok(())
    }

    fn entry(&mut self, inner_path: PathBuf, real: PathBuf) -> io::Result<()> {
        let path = self.root.join(&inner_path);
        let fail = |error| file::named(&path, "read", error);
        let metadata = std::fs::symlink_metadata(&path).map_err(fail)?;
        if !metadata.is_symlink() {
            return self.known(path, inner_path, metadata, real);
        }
        let target = std::fs::read_link(&path).map_err(fail)?;
        let stays_inside_root = stays_inside(&inner_path, &target);
        let is_kept = match self.links {
            Links::Keep if !stays_inside_root => return Err(refuse(&path, &leads_out(&target))),
            Links::Keep => true,
            // Below what a link led to, names that stay inside are not what they were.
            Links::Resolve => stays_inside_root && self.followed == 0,
            Links::Follow => false,
        };
        let resolved = if is_kept { None } else { self.resolve(&path)? };
        match resolved {
            Some((metadata, real)) => {
                self.followed += 1;
                let visit_result = self.known(path, inner_path, metadata, real);
                self.followed -= 1;
                visit_result
            }
            None if !is_kept && !stays_inside_root && self.links == Links::Resolve => {
                let nothing_there =
                    "outside of the artifact, where nothing is that could be copied";
                Err(refuse(
                    &path,
                    &format!(
                        "is a symbolic link to {}, {nothing_there}",
                        target.display()
                    ),
                ))
            }
            None => (self.visit)(Entry {
                path,
                inside: inner_path,
                what: What::Link(target),
                metadata,
            }),
        }
    }

    /// What a link leads to, and where that really is; none if it leads nowhere or in a circle.
    fn resolve(&self, path: &Path) -> io::Result<Option<(Metadata, PathBuf)>> {
        let nowhere = |error: &io::Error| {
            let circle = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
            circle
                || matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                )
        };
        let target_found = std::fs::metadata(path)
            .and_then(|metadata| Ok((metadata, std::fs::canonicalize(path)?)));
        match target_found {
            Ok((metadata, real)) => {
                let circle =
                    metadata.is_dir() && self.open.iter().any(|open| open.starts_with(&real));
                Ok((!circle).then_some((metadata, real)))
            }
            Err(error) if nowhere(&error) => Ok(None),
            Err(error) => Err(file::named(path, "read", error)),
        }
    }

    fn known(
        &mut self,
        path: PathBuf,
        inner_path: PathBuf,
        metadata: Metadata,
        real: PathBuf,
    ) -> io::Result<()> {
        let kind = kind_of(&path, &metadata)?;
        let below = inner_path.clone();
        (self.visit)(Entry {
            path,
            inside: inner_path,
            what: What::Known(kind),
            metadata,
        })?;
        if kind == Kind::Directory {
            self.open.push(real.clone());
            let result = self.folder(&below, &real);
            self.open.pop();
            result?;
        }
        Ok(())
    }
}

pub(super) fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count() as i64 - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}
