//! The known-hosts file of one connection, for a host whose key is given in `hosts.toml` or was
//! made for a rented machine.
//!
//! On Linux the file has no name: `ssh` opens it by the descriptor of this process in `/proc`, so
//! that nothing is left when `sky` is killed. Where that does not work, it is a temporary file that
//! is removed with the value.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The known-hosts file of one connection; `ssh` can read it for as long as this value lives.
pub(super) struct KnownHostFile {
    path: PathBuf,
    _open: OpenFile,
}

/// What keeps the file readable; dropping it removes the file.
enum OpenFile {
    Nameless { _file: std::fs::File },
    Named { _file: tempfile::NamedTempFile },
}

impl KnownHostFile {
    /// Returns a file with one line: the host's name and its key.
    pub(super) fn new(host_name: &str, key: &str) -> io::Result<Self> {
        let host_line = format!("{host_name} {key}\n");
        match Self::nameless(&host_line)? {
            Some(file) => Ok(file),
            None => Self::named(&host_line),
        }
    }

    /// Returns a file without a name, or nothing if this system cannot open one by its descriptor.
    fn nameless(line: &str) -> io::Result<Option<Self>> {
        let mut file = tempfile::tempfile()?;
        file.write_all(line.as_bytes())?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        // Other systems have no `/proc`, and a `/proc` from outside a container counts otherwise.
        let is_readable = std::fs::read(&path).is_ok_and(|content| content == line.as_bytes());
        Ok(is_readable.then(|| Self {
            path: path.into(),
            _open: OpenFile::Nameless { _file: file },
        }))
    }

    fn named(line: &str) -> io::Result<Self> {
        let mut file = tempfile::Builder::new()
            .prefix("sky-known-host-")
            .tempfile()?;
        file.write_all(line.as_bytes())?;
        Ok(Self {
            path: file.path().to_owned(),
            _open: OpenFile::Named { _file: file },
        })
    }

    /// Returns the path by which `ssh` reads the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "sky-host ssh-ed25519 AAAA\n";

    #[test]
    #[cfg(target_os = "linux")]
    fn another_process_reads_a_file_that_no_folder_has() {
        let file = KnownHostFile::new("sky-host", "ssh-ed25519 AAAA").unwrap();
        assert!(file.path().starts_with("/proc"));
        let read = std::process::Command::new("cat")
            .arg(file.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&read.stdout), LINE);
    }

    #[test]
    fn a_file_with_a_name_is_removed_with_its_value() {
        let file = KnownHostFile::named(LINE).unwrap();
        let path = file.path().to_owned();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), LINE);
        drop(file);
        assert!(!path.exists());
    }
}
