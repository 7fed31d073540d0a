//! Files: read with the name in every error, written atomically.

use super::file_changes;
use rustix::fs::OFlags;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::OnceLock;

/// Names the file in an error.
pub fn named(path: &Path, verb: &str, error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {verb} {}: {}", path.display(), plain_error(&error)),
    )
}

/// The error's words without Rust's `(os error N)`.
fn plain_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

/// Largest state that is read, in bytes: in memory it takes some times as much.
pub const MOST_BY_SKY: u64 = 256 << 20;

/// Opens a regular file of at most so many bytes. What is none, such as a pipe or a device, is
/// refused at once: reading it might never end.
pub fn open_within(path: &Path, most_bytes: u64) -> io::Result<std::fs::File> {
    let fail = |error| named(path, "read", error);
    // Opening a pipe would wait for its writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(fail)?;
    let file_metadata = file.metadata().map_err(fail)?;
    if file_metadata.is_dir() {
        return Err(fail(io::Error::new(
            io::ErrorKind::IsADirectory,
            "is a directory",
        )));
    }
    if !file_metadata.is_file() {
        let message =
            "it is a pipe, a socket or a device: copy what it gives into a file, and name that";
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, message)));
    }
    if file_metadata.len() > most_bytes {
        Err(too_large(path, most_bytes))
    } else {
        Ok(file)
    }
}

fn too_large(path: &Path, most_bytes: u64) -> io::Error {
    let message = format!("it is larger than {} MiB", most_bytes >> 20);
    named(
        path,
        "read",
        io::Error::new(io::ErrorKind::FileTooLarge, message),
    )
}

/// Reads a regular file of at most so many bytes.
pub fn read_within(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // It may grow meanwhile, and some files of the kernel do not say how large they are.
    let bytes_read = open_within(path, most_bytes)?
        .take(most_bytes + 1)
        .read_to_end(&mut bytes);
    bytes_read.map_err(|error| named(path, "read", error))?;
    if bytes.len() as u64 > most_bytes {
        Err(too_large(path, most_bytes))
    } else {
        Ok(bytes)
    }
}

/// Reads a regular UTF-8 file of at most so many bytes.
pub fn read_text_within(path: &Path, most_bytes: u64) -> io::Result<String> {
    let bytes = read_within(path, most_bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let message = format!(
            "cannot read {}: byte {} is not UTF-8",
            path.display(),
            error.utf8_error().valid_up_to()
        );
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The path that stands for standard input where a file is read.
pub const STANDARD_INPUT: &str = "-";

/// Most bytes of one input: more is hardly meant, and would not fit into memory several times.
const MOST_INPUT: u64 = 1 << 29;

/// Whether a path stands for standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// A path as messages name it.
pub fn shown(path: &Path) -> String {
    if is_standard_input(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads a file, or standard input for `-`. Standard input is read once, and remembered for those
/// who ask again. An input of more than 512 MiB is an error, and so is what is not a regular file.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if is_standard_input(path) {
        static INPUT: OnceLock<Result<Vec<u8>, (io::ErrorKind, String)>> = OnceLock::new();
        let read_input = || {
            read_bounded(io::stdin().lock()).map_err(|error| (error.kind(), plain_error(&error)))
        };
        return match INPUT.get_or_init(read_input) {
            Ok(bytes) => Ok(bytes.clone()),
            Err((kind, error)) => Err(io::Error::new(
                *kind,
                format!("cannot read standard input: {error}"),
            )),
        };
    }
    read_within(path, MOST_INPUT)
}

fn read_bounded(input: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MOST_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_INPUT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it has more than 512 MiB",
        ));
    }
    Ok(bytes)
}

/// Reads a text: UTF-8 with or without a byte-order mark, or UTF-16 with one, as some editors and
/// shells write it. `-` is standard input.
pub fn read_text(path: &Path) -> io::Result<String> {
    text_of(read_bytes(path)?).map_err(|at| {
        let message = format!("cannot read {}: byte {at} is not UTF-8", shown(path));
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The text of these bytes, without a byte-order mark; else the first byte that is not text.
pub fn text_of(mut bytes: Vec<u8>) -> Result<String, usize> {
    let wide = |from_bytes: fn([u8; 2]) -> u16| {
        let units = bytes[2..]
            .chunks_exact(2)
            .map(|pair| from_bytes([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.ok().filter(|_| bytes.len().is_multiple_of(2)).ok_or(0)
    };
    match bytes[..] {
        [0xEF, 0xBB, 0xBF, ..] => drop(bytes.drain(..3)),
        [0xFF, 0xFE, ..] => return wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => return wide(u16::from_be_bytes),
        _ => {}
    }
    String::from_utf8(bytes).map_err(|error| error.utf8_error().valid_up_to())
}

/// Who may read a file that is written.
#[derive(Clone, Copy)]
enum Readers {
    /// The user alone: what sky keeps for itself tells what a user asks for, and of whom.
    User,
    /// Whoever may read any new file of the user, as the umask says: what the user has asked for.
    Umask,
}

/// Replaces `path` by `contents`, whole or not at all: a temporary file in the same folder is
/// written, synced and renamed, then the folder is synced. Nobody but the user can read the file.
pub fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    write_for(Readers::User, path, contents)
}

fn write_for(readers: Readers, path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        // The umask still applies to it.
        let file_mode = std::fs::Permissions::from_mode(match readers {
            Readers::User => 0o600,
            Readers::Umask => 0o666,
        });
        let mut file = tempfile::Builder::new()
            .prefix(".sky-")
            .permissions(file_mode)
            .tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| named(path, "write", error))
}

/// Creates a folder and those above it.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    file_changes::create_dir_all(folder).map_err(|error| named(folder, "create", error))
}

/// Creates a folder and those above it that are missing, which nobody but the user may look into.
pub fn create_private_folders(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| named(folder, "create", error))
}

/// Takes the rights of all others to a folder away, if it is the user's own.
pub fn make_private(folder: &Path) {
    let others_may = |mode: u32| mode & 0o077 != 0;
    if let Ok(mode) = std::fs::metadata(folder).map(|metadata| metadata.permissions().mode())
        && others_may(mode)
    {
        // Somebody else's folder stays as its owner wants it.
        let _ =
            file_changes::set_permissions(folder, std::fs::Permissions::from_mode(mode & 0o700));
    }
}

/// Writes `name` (with `/`) below a folder of the user's, such as a catalog, whose folders are
/// created. Whoever may read any new file of the user can read it.
pub fn write_below(folder: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        create_folders(parent)?;
    }
    write_for(Readers::Umask, &path, contents)
}

/// Removes a file. A file that is already gone is not an error: whoever works beside us may have
/// been faster.
pub fn remove(path: &Path) -> io::Result<()> {
    match file_changes::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, "remove", error)),
        _ => Ok(()),
    }
}

/// Writes a result where the user wants it: a regular file atomically, through a symbolic link,
/// and not at all if it holds just that already; a device or a pipe as it is, unread.
pub fn write_result(path: &Path, contents: &[u8]) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let error = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder");
            Err(named(path, "write", error))
        }
        Ok(found) if !found.is_file() => {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(|error| named(path, "write", error))?;
            file.write_all(contents)
                .map_err(|error| named(path, "write", error))
        }
        Ok(found) => {
            let same_contents = found.len() == contents.len() as u64
                && std::fs::read(path).is_ok_and(|old| old == contents);
            let target =
                std::fs::canonicalize(path).map_err(|error| named(path, "write", error))?;
            if same_contents {
                Ok(())
            } else {
                write_for(Readers::Umask, &target, contents)
            }
        }
        Err(_) => write_for(Readers::Umask, path, contents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let wide = |big: bool| {
            let bytes = |unit: u16| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            };
            "\u{feff}größe"
                .encode_utf16()
                .flat_map(bytes)
                .collect::<Vec<u8>>()
        };
        assert_eq!(text_of(b"\xEF\xBB\xBFname".to_vec()), Ok("name".to_owned()));
        assert_eq!(text_of(b"\xEF\xBB\xBF".to_vec()), Ok(String::new()));
        assert_eq!(text_of(wide(false)), Ok("größe".to_owned()));
        assert_eq!(text_of(wide(true)), Ok("größe".to_owned()));
        assert_eq!(text_of(b"a\xFFb".to_vec()), Err(1));
        assert_eq!(text_of(b"\xFF\xFEabc".to_vec()), Err(0), "half a character");
    }

    #[test]
    fn what_may_never_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        for path in [
            pipe.as_path(),
            Path::new("/dev/zero"),
            Path::new("/dev/tty"),
        ] {
            let said = read_within(path, 10).unwrap_err().to_string();
            let no_terminal = path.ends_with("tty") && said.contains("cannot read /dev/tty");
            assert!(
                said.contains("a pipe, a socket or a device") || no_terminal,
                "{said}"
            );
        }
        assert!(
            read_within(folder.path(), 10)
                .unwrap_err()
                .to_string()
                .contains("is a directory")
        );
        let large = folder.path().join("large");
        std::fs::File::create(&large)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let said = read_within(&large, 3 << 20).unwrap_err().to_string();
        assert!(said.ends_with("/large: it is larger than 3 MiB"), "{said}");
        std::fs::write(&large, "ten bytes.").unwrap();
        assert_eq!(read_within(&large, 10).unwrap(), b"ten bytes.");
        assert!(read_within(&large, 9).is_err());
    }
}
