//! Keys for SSH, made by `ssh-keygen`: the one that sky logs in with, and one for each machine, by
//! which it proves that it is itself.

use super::super::{ErrorKind, ProviderError};
use crate::util::{environment, file, file_changes, variables};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The two halves of a key, as OpenSSH writes them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub private: String,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public: String,
}

/// A folder of keys.
pub(super) struct Keys {
    folder: PathBuf,
    /// Held while one is made.
    making: Mutex<()>,
}

impl Keys {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            making: Mutex::new(()),
        }
    }

    /// The file of the private key that sky logs in with.
    pub(super) fn client(&self) -> Result<PathBuf, ProviderError> {
        if let Some(given) = environment::bytes(variables::SKY_SSH_KEY) {
            return Ok(given.into());
        }
        let path = self.folder.join("client");
        self.pair(&path).map(|_| path)
    }

    /// The public half of the key that sky logs in with.
    pub(super) fn client_public(&self) -> Result<String, ProviderError> {
        let path = self.client()?;
        read_public(&path)
    }

    /// The signature of a line of text by the key that sky logs in with, as OpenSSH writes it. An
    /// error if the key cannot sign here: it has a passphrase, or is not on this machine.
    pub(super) fn sign(&self, line: &str) -> Result<String, ProviderError> {
        let signing_failed = |what: String| {
            ProviderError::new(ErrorKind::Other, format!("cannot sign a lease: {what}"))
        };
        let mut child = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "sky-lease", "-f"])
            .arg(self.client()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Nobody is there to be asked for a passphrase.
            .env("SSH_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .spawn()
            .map_err(|error| signing_failed(format!("ssh-keygen, of OpenSSH: {error}")))?;
        if let Some(mut input) = child.stdin.take() {
            // Whoever does not read it says why.
            let _ = writeln!(input, "{line}");
        }
        let output = child
            .wait_with_output()
            .map_err(|error| signing_failed(format!("ssh-keygen: {error}")))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(signing_failed(format!(
                "ssh-keygen: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
        }
    }

    /// The host key of a token's machine; the same whenever it is asked for.
    pub(super) fn host(&self, token: &str) -> Result<Pair, ProviderError> {
        self.pair(&self.folder.join("hosts").join(token))
    }

    /// Removes the host key of a machine that is gone.
    pub(super) fn forget(&self, token: &str) -> Result<(), ProviderError> {
        let path = self.folder.join("hosts").join(token);
        for path in [public_of(&path), path] {
            file::remove(&path)?;
        }
        Ok(())
    }

    fn pair(&self, path: &Path) -> Result<Pair, ProviderError> {
        let _alone = self
            .making
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !path.exists() || !public_of(path).exists() {
            make(path)?;
        }
        Ok(Pair {
            private: file::read_text(path)?,
            public: read_public(path)?,
        })
    }
}

fn public_of(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".pub");
    name.into()
}

fn read_public(path: &Path) -> Result<String, ProviderError> {
    let path = public_of(path);
    let text = file::read_text(&path)?;
    let key_words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    match key_words.as_slice() {
        [kind, key] => Ok(format!("{kind} {key}")),
        _ => Err(ProviderError::new(
            ErrorKind::Other,
            format!("{} is not a public key", path.display()),
        )),
    }
}

/// Makes a pair aside, and puts the private half in place last: a file that is there is whole.
fn make(path: &Path) -> Result<(), ProviderError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    file::create_private_folders(folder)?;
    let aside = tempfile::Builder::new().prefix(".new").tempdir_in(folder);
    let aside = aside.map_err(|error| file::named(folder, "write to", error))?;
    let key_file = aside.path().join("key");
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "sky", "-f"])
        .arg(&key_file)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            ProviderError::new(
                ErrorKind::Other,
                format!("cannot run ssh-keygen, of OpenSSH: {error}"),
            )
        })?;
    if !output.status.success() {
        let keygen_words = String::from_utf8_lossy(&output.stderr);
        return Err(ProviderError::new(
            ErrorKind::Other,
            format!("ssh-keygen: {}", keygen_words.trim()),
        ));
    }
    for (from, to) in [
        (public_of(&key_file), public_of(path)),
        (key_file, path.to_owned()),
    ] {
        // A machine that only a lost key opens is worth nothing.
        let synced = std::fs::File::open(&from).and_then(|file| file.sync_all());
        synced.map_err(|error| file::named(&from, "write", error))?;
        file_changes::rename(&from, &to).map_err(|error| file::named(&to, "write", error))?;
    }
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(synced.map_err(|error| file::named(folder, "write to", error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::at(folder.path().join("keys"));
        let first = keys.host("ab").unwrap();
        assert!(
            first.private.contains("OPENSSH PRIVATE KEY")
                && first.public.starts_with("ssh-ed25519 ")
        );
        assert!(keys.host("ab").unwrap() == first && keys.host("cd").unwrap() != first);
        let mode = std::fs::metadata(folder.path().join("keys/hosts/ab"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0);
        keys.forget("ab").unwrap();
        keys.forget("ab").unwrap();
        assert!(keys.host("ab").unwrap() != first);
    }
}
