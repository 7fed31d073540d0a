//! Encryption of the state at rest, with age.
//!
//! A sealed snapshot is an age file as `age -d -i KEY` reads it; a sealed journal record is one in
//! base64 behind `age:`. Whoever holds one of the identities reads both; whoever writes needs the
//! recipients alone, and an identity, so that nobody can lock himself out.
//!
//! What is plain is read whether or not there are keys, and sealed when it is written next.

use crate::util::file;
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// How every age file begins.
const START: &[u8] = b"age-encryption.org/";

/// The word for no recipients: what is sealed is written plain from then on.
pub const NONE: &str = "none";

/// Why keys cannot be used, or a state cannot be sealed or opened. No message holds a private key.
#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// The file with the identities cannot be read.
    #[error("identity: {0}")]
    UnreadableIdentity(io::Error),
    /// A line of the file with the identities is not a private key.
    #[error(
        "identity {}, line {line}: not an age private key (AGE-SECRET-KEY-1…): {why}",
        path.display()
    )]
    NotAnIdentity {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file with the identities has none.
    #[error("identity {}: there is no key in it", .0.display())]
    NoIdentityInFile(PathBuf),
    /// A file with recipients cannot be read.
    #[error("recipients: {0}")]
    UnreadableRecipients(io::Error),
    /// A word is not a public key.
    #[error("recipient {recipient}: not an age public key: {why}")]
    NotARecipient {
        /// The word.
        recipient: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A line of a file with recipients is not a public key.
    #[error(
        "recipients {}, line {line}: not an age public key (age1…): {why}",
        path.display()
    )]
    NotARecipientLine {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file with recipients has none.
    #[error("recipients {}: there is no key in it", .0.display())]
    NoRecipientsInFile(PathBuf),
    /// Recipients are given, and there is no key in them.
    #[error("recipients: there is no key in them")]
    NoRecipients,
    /// Recipients are given without an identity.
    #[error(
        "recipients are given and no identity: the state that is written could not be read again; set \
         SKY_STATE_IDENTITY or --state-identity to the file with your private key"
    )]
    RecipientsWithoutIdentity,
    /// The identity opens nothing that is sealed for the recipients.
    #[error(
        "none of the recipients is of your identity: you could not read the state that you write; add \
         your own public key to SKY_STATE_RECIPIENTS"
    )]
    RecipientsOfOthers,
    /// The state cannot be sealed.
    #[error("cannot encrypt the state: {0}")]
    NotSealed(Box<dyn std::error::Error + Send + Sync>),
    /// The state is sealed, and there is no identity.
    #[error(
        "it is encrypted, and there is no identity to read it with: set SKY_STATE_IDENTITY or \
         --state-identity to the file with your private key"
    )]
    NoIdentity,
    /// The state is sealed for other identities.
    #[error(
        "it is encrypted for others: none of the keys in your identity (SKY_STATE_IDENTITY) opens it"
    )]
    SealedForOthers,
    /// The state is sealed, and is not what was sealed.
    #[error("it is encrypted, and damaged: {0}")]
    Damaged(Box<dyn std::error::Error + Send + Sync>),
}

/// Keys, or none.
#[derive(Clone, Default)]
pub struct Cipher {
    recipients: Vec<Recipient>,
    identities: Vec<Identity>,
    opened_up: bool,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Cipher({} recipients, {} identities)",
            self.recipients.len(),
            self.identities.len()
        )
    }
}

impl Cipher {
    /// Reads keys. `recipients`: public keys (`age1…`) or files with one a line, separated by
    /// commas or blanks, or `none`; `identity`: a file with private keys. Both may be missing.
    pub fn load(
        recipients: Option<&str>,
        identity: Option<&Path>,
        working_dir: &Path,
    ) -> Result<Self, CipherError> {
        let mut cipher = Self::default();
        if let Some(path) = identity {
            cipher.add_identities(working_dir.join(path))?;
        }
        match recipients.map(str::trim) {
            None | Some("") => return Ok(cipher),
            Some(NONE) => cipher.opened_up = true,
            Some(list) => {
                for word in list
                    .split([',', ' ', '\n', '\t'])
                    .filter(|word| !word.is_empty())
                {
                    cipher.add_recipients(word, working_dir)?;
                }
                cipher.check_readable()?;
            }
        }
        Ok(cipher)
    }

    fn add_identities(&mut self, path: PathBuf) -> Result<(), CipherError> {
        let text = file::read_text(&path).map_err(CipherError::UnreadableIdentity)?;
        for (line, key) in key_lines(&text) {
            let path = path.clone();
            let identity =
                key.parse()
                    .map_err(|why| CipherError::NotAnIdentity { path, line, why })?;
            self.identities.push(identity);
        }
        if self.identities.is_empty() {
            return Err(CipherError::NoIdentityInFile(path));
        }
        Ok(())
    }

    fn add_recipients(&mut self, word: &str, working_dir: &Path) -> Result<(), CipherError> {
        if word.starts_with("age1") {
            let recipient_key = word.parse().map_err(|why| CipherError::NotARecipient {
                recipient: word.to_owned(),
                why,
            })?;
            self.recipients.push(recipient_key);
            return Ok(());
        }
        let path = working_dir.join(word);
        let text = file::read_text(&path).map_err(CipherError::UnreadableRecipients)?;
        let count_before = self.recipients.len();
        for (line, key) in key_lines(&text) {
            let path = path.clone();
            let recipient =
                key.parse()
                    .map_err(|why| CipherError::NotARecipientLine { path, line, why })?;
            self.recipients.push(recipient);
        }
        if self.recipients.len() == count_before {
            return Err(CipherError::NoRecipientsInFile(path));
        }
        Ok(())
    }

    /// Whoever writes a state must be able to read it again.
    fn check_readable(&self) -> Result<(), CipherError> {
        if self.recipients.is_empty() {
            return Err(CipherError::NoRecipients);
        }
        if self.identities.is_empty() {
            return Err(CipherError::RecipientsWithoutIdentity);
        }
        match self.seal(b"mine").and_then(|sealed| self.open(&sealed)) {
            Ok(_) => Ok(()),
            Err(_) => Err(CipherError::RecipientsOfOthers),
        }
    }

    /// The public keys that what is written is sealed for.
    pub fn recipients(&self) -> BTreeSet<String> {
        self.recipients.iter().map(ToString::to_string).collect()
    }

    /// Whether what is written is sealed.
    pub fn seals(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// Whether a sealed state may be written plain.
    pub fn may_unseal(&self) -> bool {
        self.opened_up
    }

    /// Seals, if there are recipients.
    pub fn seal(&self, plain_bytes: &[u8]) -> Result<Vec<u8>, CipherError> {
        if self.recipients.is_empty() {
            return Ok(plain_bytes.to_vec());
        }
        let recipients = self
            .recipients
            .iter()
            .map(|recipient| recipient as &dyn age::Recipient);
        let seal = || -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
            let mut sealed = Vec::new();
            let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(&mut sealed)?;
            writer.write_all(plain_bytes)?;
            writer.finish()?;
            Ok(sealed)
        };
        seal().map_err(CipherError::NotSealed)
    }

    /// The plain bytes of what is sealed or not.
    pub fn open(&self, bytes: &[u8]) -> Result<Vec<u8>, CipherError> {
        if !is_sealed(bytes) {
            return Ok(bytes.to_vec());
        }
        if self.identities.is_empty() {
            return Err(CipherError::NoIdentity);
        }
        let identities = self
            .identities
            .iter()
            .map(|identity| identity as &dyn age::Identity);
        let opened_reader =
            Decryptor::new_buffered(bytes).and_then(|decryptor| decryptor.decrypt(identities));
        let mut reader = opened_reader.map_err(|error| match error {
            DecryptError::NoMatchingKeys => CipherError::SealedForOthers,
            error => CipherError::Damaged(error.into()),
        })?;
        let mut plain_bytes = Vec::new();
        reader
            .read_to_end(&mut plain_bytes)
            .map_err(|error| CipherError::Damaged(error.into()))?;
        Ok(plain_bytes)
    }
}

/// Whether bytes are an age file.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(START)
}

/// The lines that are not comments, with their numbers.
fn key_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered_lines = (1..).zip(text.lines().map(str::trim));
    numbered_lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use age::secrecy::ExposeSecret;

    /// A pair of keys in files below a folder: the recipient, and the identity's path.
    pub(crate) fn pair(folder: &Path, name: &str) -> (String, std::path::PathBuf) {
        let identity = Identity::generate();
        let path = folder.join(name);
        std::fs::write(
            &path,
            format!("# {name}\n{}\n", identity.to_string().expose_secret()),
        )
        .unwrap();
        (identity.to_public().to_string(), path)
    }

    #[test]
    fn what_is_sealed_is_opened_by_each_recipient_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let ((mine, my_key), (theirs, their_key), (_, other_key)) =
            (pair(here, "a"), pair(here, "b"), pair(here, "c"));
        std::fs::write(here.join("team"), format!("# us\n{theirs}\n")).unwrap();
        let cipher = Cipher::load(Some(&format!("{mine}, team")), Some(&my_key), here).unwrap();
        let sealed = cipher.seal(b"stage train").unwrap();
        assert!(is_sealed(&sealed) && !sealed.windows(5).any(|part| part == b"train"));
        for key in [my_key, their_key] {
            assert_eq!(
                Cipher::load(None, Some(&key), here)
                    .unwrap()
                    .open(&sealed)
                    .unwrap(),
                b"stage train"
            );
        }
        let refused = |key: Option<&Path>| {
            Cipher::load(None, key, here)
                .unwrap()
                .open(&sealed)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(Some(&other_key)).contains("for others"));
        assert!(refused(None).contains("SKY_STATE_IDENTITY"));
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let error = cipher.open(&damaged).unwrap_err();
        assert!(error.to_string().contains("damaged"));
        assert_eq!(cipher.open(b"{}").unwrap(), b"{}");
    }

    #[test]
    fn keys_that_do_not_fit_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let ((mine, key), (theirs, _)) = (pair(here, "a"), pair(here, "b"));
        std::fs::write(here.join("empty"), "# nothing\n").unwrap();
        std::fs::write(here.join("odd"), "ssh-ed25519 AAAA\n").unwrap();
        let refused = |recipients: &str, identity: Option<&str>| {
            Cipher::load(Some(recipients), identity.map(Path::new), here)
                .unwrap_err()
                .to_string()
        };
        let key = key.to_str();
        assert!(refused(&theirs, key).contains("none of the recipients is of your identity"));
        assert!(refused(&mine, None).contains("no identity"));
        assert!(refused("age1xyz", key).contains("age1xyz"));
        assert!(refused("missing", key).contains("missing"));
        assert!(refused("odd", key).contains("odd, line 1"));
        assert!(refused(&mine, Some("empty")).contains("empty: there is no key"));
        assert!(refused(&mine, Some("odd")).contains("odd, line 1"));
        assert!(Cipher::load(Some(NONE), None, here).unwrap().may_unseal());
    }
}
