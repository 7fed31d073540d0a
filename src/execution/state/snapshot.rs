//! A snapshot's bytes: canonical JSON, sealed if there are keys; and why a state could not be used.

use super::check::{self, Unbelievable};
use super::cipher::{Cipher, CipherError, is_sealed};
use super::data::{State, VERSION};
use crate::model::canonical;
use std::io;

/// Why a state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or an object could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The snapshot is there, and holds nothing.
    #[error(
        "{path} is empty: a state is never made up; restore it from {path}.backup, or delete what it held by hand"
    )]
    Empty {
        /// The path of the file, or the address of the object.
        path: String,
    },
    /// The snapshot cannot be read.
    #[error("{path} is not a state: {reason}; restore it from {path}.backup")]
    Malformed {
        /// The path of the file, or the address of the object.
        path: String,
        /// What is wrong, for people.
        reason: String,
    },
    /// The file holds a plan.
    #[error("{path} is a plan, not a state: name the file or the folder of a state")]
    IsPlan {
        /// The path of the file, or the address of the object.
        path: String,
    },
    /// The state holds what no `sky` has written: names that lead elsewhere, buckets of others.
    #[error(
        "{path} is not a state that sky has written: {reason}; restore it from {path}.backup, and look at who else may \
         write to it"
    )]
    Unbelievable {
        /// The path of the file, or the address of the object.
        path: String,
        /// What is wrong, for people.
        reason: Unbelievable,
    },
    /// The snapshot was written in a format that a newer `sky` has.
    #[error(
        "{path} has state version {found}; this sky reads up to {VERSION}: use the sky that wrote it"
    )]
    Version {
        /// The path of the file, or the address of the object.
        path: String,
        /// The version of the snapshot.
        found: u64,
    },
    /// The snapshot is missing beside its journal.
    #[error(
        "{path} is missing, but {journal} is there: restore it from {path}.backup, or remove {folder} to start anew"
    )]
    Missing {
        /// The path of the file, or the address of the object.
        path: String,
        /// The path of the journal.
        journal: String,
        /// The state folder.
        folder: String,
    },
    /// A line of the journal cannot be read.
    #[error(
        "{path}, line {line}: {reason}; restore the file, or move it away to fall back on the snapshot alone"
    )]
    Journal {
        /// The path of the file, or the address of the object.
        path: String,
        /// The number of the line, from 1 on.
        line: usize,
        /// What is wrong, for people.
        reason: String,
    },
    /// The keys do not fit what is there.
    #[error("cannot read {path}: {reason}")]
    Sealed {
        /// The path of the file, or the address of the object.
        path: String,
        /// What is wrong, for people.
        reason: CipherError,
    },
    /// An encrypted state would be written in plain text.
    #[error(
        "{path} is encrypted, and nobody is named to encrypt it for: set SKY_STATE_RECIPIENTS or --state-recipients to \
         public keys, or to `none` to have it written plain from now on"
    )]
    NoRecipients {
        /// The path of the file, or the address of the object.
        path: String,
    },
    /// Another state belongs to the working folder.
    #[error("{0}")]
    Elsewhere(String),
}

/// Reads a snapshot; `path` is its name, for errors.
pub fn decode(bytes: &[u8], path: &str, cipher: &Cipher) -> Result<State, StateError> {
    let path = path.to_owned();
    let bytes = match cipher.open(bytes) {
        Ok(bytes) => bytes,
        Err(reason) => return Err(StateError::Sealed { path, reason }),
    };
    let malformed = |reason: String| StateError::Malformed {
        path: path.clone(),
        reason,
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| malformed("it is not UTF-8 text".to_owned()))?;
    if text.trim().is_empty() {
        return Err(StateError::Empty { path });
    }
    let json_value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if json_value.get("solver").is_some() && json_value.get("format_version").is_some() {
        return Err(StateError::IsPlan { path });
    }
    let version = json_value
        .get("version")
        .and_then(serde_json::Value::as_u64);
    let version = version.ok_or_else(|| malformed("it has no `version`".to_owned()))?;
    if version > u64::from(VERSION) {
        return Err(StateError::Version {
            path,
            found: version,
        });
    }
    let decoded_state: State = serde_path_to_error::deserialize(json_value)
        .map_err(|error| malformed(error.to_string()))?;
    match check::check_state(&decoded_state) {
        Ok(()) => Ok(decoded_state),
        Err(reason) => Err(StateError::Unbelievable { path, reason }),
    }
}

/// The bytes of a new snapshot: `state` is one serial on.
pub fn encode(state: &mut State, cipher: &Cipher) -> io::Result<Vec<u8>> {
    state.serial += 1;
    state.sky_version = env!("CARGO_PKG_VERSION").to_owned();
    state.encrypted_for = cipher.recipients();
    let text = canonical::to_text(state).map_err(io::Error::from)?;
    cipher.seal(text.as_bytes()).map_err(io::Error::other)
}

/// The bytes of a former snapshot as they are kept: sealed for those that a new one is sealed for,
/// as far as it can be opened.
pub fn keep(former: Vec<u8>, cipher: &Cipher) -> io::Result<Vec<u8>> {
    if is_sealed(&former) && !cipher.seals() {
        return Ok(former);
    }
    match cipher.open(&former) {
        Ok(plain) => cipher.seal(&plain).map_err(io::Error::other),
        Err(_) => Ok(former),
    }
}

/// The message that a sealed state was sealed for others than before.
pub const SEALED_ANEW: &str = "the state was encrypted for other keys than --state-recipients or \
    SKY_STATE_RECIPIENTS names now: it is written anew for these; copies that were kept by `sky state mv`, `rm` and \
    `push` stay as they are";

/// Whether a sealed state is sealed for others than what is written now.
pub fn for_others(sealed: bool, state: &State, cipher: &Cipher) -> bool {
    sealed && cipher.seals() && state.encrypted_for != cipher.recipients()
}

/// Whether bytes are in the form in which the keys would write them; else they are written anew. An
/// error if the keys cannot write what is sealed.
pub fn in_form(sealed: bool, path: &str, cipher: &Cipher) -> Result<bool, StateError> {
    if sealed && !cipher.seals() && !cipher.may_unseal() {
        return Err(StateError::NoRecipients {
            path: path.to_owned(),
        });
    }
    Ok(sealed == cipher.seals())
}
