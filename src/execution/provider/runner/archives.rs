//! What is laid out on a machine, and what comes back from it, as archives on their way.

use super::super::{Content, Item, Task};
use super::request_format::PIECE;
use super::session::Part;
use crate::util::archive::{self, Time};
use crate::util::interruptible::Bounds;
use crate::util::tree::{self, Found, Links};
use crate::util::{clock, file, file_changes};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Takes bytes to whoever sends them.
pub(super) struct Sender {
    pub to: mpsc::Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
}

impl Sender {
    pub(super) fn new(to: mpsc::Sender<io::Result<Vec<u8>>>) -> Self {
        Self {
            to,
            piece: Vec::with_capacity(PIECE),
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        let full_piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let connection_gone =
            |_| io::Error::new(io::ErrorKind::BrokenPipe, "the connection has ended");
        if full_piece.is_empty() {
            Ok(())
        } else {
            self.to
                .blocking_send(Ok(full_piece))
                .map_err(connection_gone)
        }
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken_size = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken_size]);
        if self.piece.len() == PIECE {
            self.pass()?;
        }
        Ok(taken_size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass()
    }
}

/// Packs a task's inputs, files and progress. Blocks.
pub(super) fn pack(task: &Task, to: Sender) -> io::Result<()> {
    let packed_at = Time {
        seconds: clock::now().as_second(),
        nanoseconds: 0,
    };
    let mut archive = Archive {
        builder: tar::Builder::new(to),
        now: packed_at,
    };
    for (folder, items) in [("inputs", &task.inputs), ("files", &task.files)] {
        archive.folder(Path::new(folder), packed_at)?;
        for item in items {
            archive.item(&Path::new(folder).join(&item.name), item)?;
        }
    }
    if let Some(content) = &task.checkpoint {
        let archive_item = Item {
            name: "checkpoint".to_owned(),
            content: content.clone(),
        };
        archive.item(Path::new("checkpoint"), &archive_item)?;
    }
    archive.builder.into_inner()?.flush()
}

struct Archive {
    builder: tar::Builder<Sender>,
    /// The time of what has none of its own.
    now: Time,
}

impl Archive {
    /// The header of an entry; what does not fit into it is written before it.
    fn header(
        &mut self,
        kind: tar::EntryType,
        mode: u32,
        size: u64,
        time: Time,
    ) -> io::Result<tar::Header> {
        time.announce(&mut self.builder)?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(u64::try_from(time.seconds).unwrap_or_default());
        Ok(header)
    }

    fn folder(&mut self, name: &Path, time: Time) -> io::Result<()> {
        let mut header = self.header(tar::EntryType::Directory, 0o755, 0, time)?;
        self.builder.append_data(&mut header, name, io::empty())
    }

    fn item(&mut self, name: &Path, item: &Item) -> io::Result<()> {
        let (source, links) = match &item.content {
            Content::Empty => {
                let mut header = self.header(tar::EntryType::Regular, 0o644, 0, self.now)?;
                return self.builder.append_data(&mut header, name, io::empty());
            }
            // The machine has it.
            Content::Fetched(_) => return Ok(()),
            Content::Local(source) => (source, Links::Follow),
            Content::Stored(source) => (source, Links::Keep),
        };
        let metadata =
            std::fs::metadata(source).map_err(|error| file::named(source, "read", error))?;
        if !metadata.is_dir() {
            return self.file(name, source);
        }
        self.folder(name, Time::of(&metadata))?;
        tree::visit(source, links, &mut |inside, path, found, metadata| {
            let name = name.join(inside);
            match found {
                Found::Folder => self.folder(&name, Time::of(metadata)),
                Found::File => self.file(&name, path),
                Found::Link(target) => self.link(&name, target, Time::of(metadata)),
            }
        })
    }

    fn file(&mut self, name: &Path, path: &Path) -> io::Result<()> {
        let fail = |error| file::named(path, "read", error);
        let open_file = File::open(path).map_err(fail)?;
        let metadata = open_file.metadata().map_err(fail)?;
        let file_mode = if metadata.mode() & 0o111 != 0 {
            0o755
        } else {
            0o644
        };
        let mut header = self.header(
            tar::EntryType::Regular,
            file_mode,
            metadata.len(),
            Time::of(&metadata),
        )?;
        // One that grows meanwhile is taken as it was, one that shrinks is noticed.
        let mut content = Exactly {
            from: open_file.take(metadata.len()),
            left: metadata.len(),
        };
        self.builder.append_data(&mut header, name, &mut content)?;
        match content.left {
            0 => Ok(()),
            _ => Err(io::Error::other(format!(
                "{} became shorter while it was read",
                path.display()
            ))),
        }
    }

    fn link(&mut self, name: &Path, target: &Path, time: Time) -> io::Result<()> {
        let mut header = self.header(tar::EntryType::Symlink, 0o777, 0, time)?;
        // As it is; what is too long for a header is written in normal form.
        match header.set_link_name_literal(target.as_os_str().as_bytes()) {
            Ok(()) => self.builder.append_data(&mut header, name, io::empty()),
            Err(_) => self.builder.append_link(&mut header, name, target),
        }
    }
}

struct Exactly<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read_size = self.from.read(buffer)?;
        self.left -= read_size as u64;
        Ok(read_size)
    }
}

/// Reads bytes of an answer while they come.
struct Receiver {
    from: mpsc::Receiver<Part>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.from.blocking_recv() {
                Some(Part::Bytes(piece)) => (self.piece, self.at) = (piece, 0),
                Some(Part::Text(_)) => {}
                None => return Ok(0),
            }
        }
        let taken_size = buffer.len().min(self.piece.len() - self.at);
        buffer[..taken_size].copy_from_slice(&self.piece[self.at..self.at + taken_size]);
        self.at += taken_size;
        Ok(taken_size)
    }
}

/// Lays out what comes, at `target`; whether there is anything. That all of it came is for the
/// answer to say. Blocks.
pub(super) fn unpack(
    mut from: mpsc::Receiver<Part>,
    target: PathBuf,
    bounds: &Bounds,
) -> io::Result<bool> {
    tree::remove(&target)?;
    let Some(Part::Text(what)) = from.blocking_recv() else {
        return Ok(false);
    };
    let (what, time) = what
        .split_once(' ')
        .map_or((what.as_str(), None), |(what, time)| {
            (what, Time::parse(time))
        });
    let mut content = Receiver {
        from,
        piece: Vec::new(),
        at: 0,
    };
    let folder = target.parent().unwrap_or(Path::new("."));
    file::create_folders(folder)?;
    let fail = |error| file::named(&target, "write", error);
    match what {
        "file" | "program" => {
            let mut open_file = file_changes::create(&target).map_err(fail)?;
            let most_bytes = bounds.most().unwrap_or(u64::MAX - 1);
            let copied =
                io::copy(&mut (&mut content).take(most_bytes + 1), &mut open_file).map_err(fail)?;
            bounds.check(copied).map_err(fail)?;
            if let Some(time) = time {
                time.set(&target);
            }
            let file_mode = if what == "program" { 0o755 } else { 0o644 };
            file_changes::set_permissions(&target, PermissionsExt::from_mode(file_mode))
                .map_err(fail)?;
            Ok(true)
        }
        "archive" => {
            file_changes::create_dir(&target).map_err(fail)?;
            archive::unpack(&mut content, &target, bounds).map_err(fail)?;
            // What follows the end of an archive is padding.
            io::copy(&mut content, &mut io::sink())?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
