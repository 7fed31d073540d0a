//! Signatures of files by which clouds register: minisign's, detached, by keys that the user names.

use crate::catalog::CatalogError;
use crate::util::file;
use minisign_verify::{PublicKey, Signature};
use std::path::Path;

/// Largest file of keys, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 1 << 20;

/// The list of keys that a catalog folder trusts, one a line; lines that start with `#` are
/// comments.
pub(super) const TRUSTED: &str = "trusted.keys";

/// Public keys in their text form, `RW…`, from their text or from files that hold them.
pub(super) fn keys(given_keys: &[String]) -> Result<Vec<String>, CatalogError> {
    let mut keys = Vec::new();
    for text in given_keys {
        if PublicKey::from_base64(text.trim()).is_ok() {
            keys.push(text.trim().to_owned());
            continue;
        }
        let Ok(content) = file::read_text_within(Path::new(text), MAX_KEY_FILE_BYTES) else {
            let hint = "give the key itself (`RW…`), or the file that `minisign -G` wrote, such as minisign.pub";
            // It may be a secret that was pasted: it is not said again.
            let message = "what is given is not a key, and no file with one";
            return Err(CatalogError::file("--key", message, hint));
        };
        let listed_keys = keys_in_file(text, &content)?;
        if listed_keys.is_empty() {
            return Err(CatalogError::file(
                text,
                "there is no key in it",
                "a key is a line that starts with `RW`",
            ));
        }
        keys.extend(listed_keys);
    }
    Ok(keys)
}

/// The keys that a catalog folder trusts.
pub(super) fn trusted(folder: &Path) -> Result<Vec<String>, CatalogError> {
    let path = folder.join(TRUSTED);
    match file::read_text_within(&path, MAX_KEY_FILE_BYTES) {
        Ok(content) => keys_in_file(&path.display().to_string(), &content),
        Err(_) => Ok(Vec::new()),
    }
}

/// The keys in a file, which may be minisign's own with its comment.
fn keys_in_file(name: &str, content: &str) -> Result<Vec<String>, CatalogError> {
    let mut keys = Vec::new();
    for (line, text) in (1..).zip(content.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') || text.starts_with("untrusted comment:") {
            continue;
        }
        let key_text = text.split_whitespace().next().unwrap_or_default();
        if PublicKey::from_base64(key_text).is_err() {
            // It may be a secret key: the line is not said again.
            let secret = content
                .lines()
                .any(|line| line.starts_with("untrusted comment:") && line.contains("secret key"));
            let (message, hint) = match secret {
                true => (
                    "this is a secret key",
                    "give the public one, which `minisign -G` wrote to minisign.pub",
                ),
                false => (
                    "this is not a minisign key",
                    "a key is a line that starts with `RW`",
                ),
            };
            return Err(CatalogError {
                line,
                ..CatalogError::file(name, message, hint)
            });
        }
        keys.push(key_text.to_owned());
    }
    Ok(keys)
}

/// The one of the keys that signed the bytes.
pub(super) fn verify(
    file: &str,
    signature_file: &str,
    bytes: &[u8],
    signature: &[u8],
    keys: &[String],
) -> Result<String, CatalogError> {
    let text = std::str::from_utf8(signature).unwrap_or_default();
    let Ok(signature) = Signature::decode(text) else {
        let hint = "make it again with `minisign -Sm FILE`";
        return Err(CatalogError::file(
            signature_file,
            "it is not a minisign signature",
            hint,
        ));
    };
    if keys.is_empty() {
        let hint = format!(
            "give the key of whoever offers it with --key, or add it to {TRUSTED} in the catalog folder"
        );
        return Err(CatalogError::file(
            file,
            "it is signed, but no key is trusted",
            hint,
        ));
    }
    let signed = |key: &&String| {
        PublicKey::from_base64(key).is_ok_and(|key| key.verify(bytes, &signature, true).is_ok())
    };
    keys.iter().find(signed).cloned().ok_or_else(|| {
        let hint =
            "it was changed after it was signed, or it was signed with another key: get it again from its source";
        CatalogError::file(file, format!("no trusted key signed it (looked at {})", counted_keys(keys.len())), hint)
    })
}

fn counted_keys(keys: usize) -> String {
    if keys == 1 {
        "1 key".to_owned()
    } else {
        format!("{keys} keys")
    }
}
