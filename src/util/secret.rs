//! Values that must not be seen: they cannot be printed, logged or written by accident.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// What stands in the place of a value.
pub const HIDDEN: &str = "(sensitive value)";

/// A value that only its user sees, by [`Secret::reveal`]. It has no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for handing it to whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(HIDDEN)
    }
}

/// Why a reference to a secret leads to no value. No message holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    VariableNotSet(String),
    /// The environment variable is empty.
    #[error("environment variable {0} is empty")]
    EmptyVariable(String),
    /// The environment variable is not a text.
    #[error("environment variable {0} is not UTF-8")]
    VariableNotText(String),
    /// The file cannot be read.
    #[error("{0}")]
    File(std::io::Error),
    /// The file is empty.
    #[error("{0} is empty")]
    EmptyFile(String),
    /// The reference has none of the forms that are known.
    #[error("write env:NAME or file:PATH")]
    UnknownForm,
}

/// Looks up a reference: `env:NAME`, or `file:PATH` relative to `folder`, without its last line's
/// end.
pub fn resolve(reference: &str, folder: &Path) -> Result<Secret, SecretError> {
    if let Some(name) = reference.strip_prefix("env:") {
        return match super::environment::text_named_by_a_job(name) {
            Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
            Ok(_) => Err(SecretError::EmptyVariable(name.to_owned())),
            Err(std::env::VarError::NotPresent) => {
                Err(SecretError::VariableNotSet(name.to_owned()))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(SecretError::VariableNotText(name.to_owned()))
            }
        };
    }
    if let Some(path) = reference.strip_prefix("file:") {
        let text = super::file::read_text(&folder.join(path)).map_err(SecretError::File)?;
        let without_newline = text.strip_suffix('\n').unwrap_or(&text);
        let without_return = without_newline
            .strip_suffix('\r')
            .unwrap_or(without_newline);
        return if without_return.is_empty() {
            Err(SecretError::EmptyFile(path.to_owned()))
        } else {
            Ok(Secret::new(without_return))
        };
    }
    Err(SecretError::UnknownForm)
}

/// Values of fewer bytes than this are left: they would be found everywhere.
const SHORTEST: usize = 4;
/// `base64` breaks its lines after so many letters, and PEM after fewer.
const BASE64_LINES: [usize; 2] = [76, 64];

/// Takes the values of secrets out of texts, in each of the forms in which programs print them: as
/// they are, in Base64, in hexadecimal digits, as a part of an URL and as a JSON text.
#[derive(Clone, Default)]
pub struct Redactor {
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// One for all these values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: BTreeSet<Vec<u8>> = BTreeSet::new();
        for secret in secrets {
            // A program may print the whole of it, or one of its lines.
            let whole_secret = secret.0.as_str();
            for value in std::iter::once(whole_secret)
                .chain(whole_secret.lines())
                .filter(|value| value.len() >= SHORTEST)
            {
                add_forms(value, &mut forms);
            }
        }
        forms.retain(|form| form.len() >= SHORTEST);
        let longest_form = forms.iter().map(Vec::len).max().unwrap_or_default();
        // The longest first: one may be part of another.
        let build = || {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&forms)
                .ok()
        };
        Self {
            finder: (!forms.is_empty()).then(build).flatten(),
            longest: longest_form,
        }
    }

    /// The most bytes that one form of one value has; 0: there is nothing to find.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Returns the text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.redact_bytes(text.as_bytes())).into_owned()
    }

    /// Returns the bytes without the secrets.
    pub fn redact_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.finder {
            Some(finder) => {
                let mut clean_bytes = Vec::with_capacity(bytes.len());
                finder.replace_all_with_bytes(bytes, &mut clean_bytes, |_, _, clean| {
                    clean.extend_from_slice(HIDDEN.as_bytes());
                    true
                });
                clean_bytes
            }
            None => bytes.to_vec(),
        }
    }

    /// Where bytes that go on may be cut at or after `at` without cutting a value in two. Sure only
    /// if so many bytes as [`Redactor::longest`] follow `at`.
    pub fn cut(&self, bytes: &[u8], cut_index: usize) -> usize {
        let found_forms = self
            .finder
            .iter()
            .flat_map(|finder| finder.find_iter(bytes));
        let form_over_cut = found_forms
            .take_while(|one| one.start() < cut_index)
            .find(|one| one.end() > cut_index);
        form_over_cut.map_or(cut_index, |one| one.end())
    }
}

/// The forms in which a value may be printed.
fn add_forms(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    forms.insert(bytes.to_vec());
    // Behind a user's name and a colon, as in HTTP's basic authentication, it begins at any bit of
    // three bytes.
    for shift in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode([&vec![0; shift], bytes].concat());
            // Letters that also hold bits of what is around it are of no use.
            let whole_letters = (shift + bytes.len()) * 8 / 6;
            forms.extend(
                text.get([0, 2, 3][shift]..whole_letters)
                    .map(|core| core.as_bytes().to_vec()),
            );
        }
    }
    let base64 = STANDARD_NO_PAD.encode(bytes);
    for line in BASE64_LINES {
        let base64_lines = base64.as_bytes().chunks(line).map(<[u8]>::to_vec);
        forms.extend(base64_lines.filter(|part| base64.len() > line && part.len() >= 2 * SHORTEST));
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.insert(digits.to_ascii_uppercase().into_bytes());
    forms.insert(digits.into_bytes());
    for kept in ["-._~", "-._~/", "-._~!*'()", "-._~!*'();/?:@&=+$,#"] {
        for upper in [true, false] {
            forms.insert(percent_encoded(bytes, kept, upper).into_bytes());
            forms.insert(
                percent_encoded(bytes, kept, upper)
                    .replace("%20", "+")
                    .into_bytes(),
            );
        }
    }
    if let Ok(json) = serde_json::to_string(value) {
        // Without the quotes around it.
        forms.extend(json.as_bytes().get(1..json.len() - 1).map(<[u8]>::to_vec));
    }
}

fn percent_encoded(bytes: &[u8], kept_characters: &str, upper: bool) -> String {
    let mut text = String::new();
    for byte in bytes {
        match char::from(*byte) {
            letter if letter.is_ascii_alphanumeric() || kept_characters.contains(letter) => {
                text.push(letter)
            }
            _ if upper => text.push_str(&format!("%{byte:02X}")),
            _ => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

/// The text without any of the values.
pub fn redact<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    Redactor::new(secrets).redact(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), format!("{HIDDEN} {HIDDEN}"));
        assert_eq!(redact("say hunter2!", [&secret]), format!("say {HIDDEN}!"));
        let longer = Secret::new("hunter2hunter2\nsecond line");
        assert_eq!(
            redact("hunter2hunter2 second line", [&secret, &longer]),
            format!("{HIDDEN} {HIDDEN}")
        );
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_programs_print_it() {
        let secret = Secret::new("p@ss w\u{f6}rd/\"42\"");
        let value = secret.reveal();
        let redactor = Redactor::new([&secret]);
        let standard = base64::engine::general_purpose::STANDARD;
        for before in ["", "u:", "user:", "me:", "a longer name:"] {
            let said = redactor.redact(&format!(
                "Basic {}",
                standard.encode(format!("{before}{value}@host"))
            ));
            assert!(said.contains(HIDDEN), "behind `{before}`: {said}");
        }
        let urls = [
            "p%40ss%20w%C3%B6rd%2F%2242%22",
            "p%40ss%20w%c3%b6rd%2f%2242%22",
            "p%40ss+w%C3%B6rd%2F%2242%22",
            "p%40ss%20w%C3%B6rd/%2242%22",
            "p@ss%20w%C3%B6rd/%2242%22",
        ];
        for url in urls {
            assert_eq!(
                redactor.redact(&format!("https://u:{url}@h/")),
                format!("https://u:{HIDDEN}@h/")
            );
        }
        let json = serde_json::to_string(&[value]).unwrap();
        assert_eq!(redactor.redact(&json), format!("[\"{HIDDEN}\"]"));
        assert_eq!(redactor.redact("7040737320"), "7040737320");
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(redactor.redact(&hex), HIDDEN);
        // `base64` breaks its lines.
        let long = Secret::new("k3y".repeat(60));
        let text = standard.encode(long.reveal());
        let redactor = Redactor::new([&long]);
        for line in text.as_bytes().chunks(76) {
            assert_eq!(redactor.redact(std::str::from_utf8(line).unwrap()), HIDDEN);
        }
        assert_eq!(Redactor::default().redact("anything"), "anything");
    }

    #[test]
    fn references_lead_to_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cr3t\n").unwrap();
        assert_eq!(
            resolve("file:key", folder.path()).unwrap().reveal(),
            "s3cr3t"
        );
        assert!(
            resolve("file:none", folder.path())
                .unwrap_err()
                .to_string()
                .contains("none")
        );
        assert!(
            resolve("env:SKY_NO_SUCH_VARIABLE", folder.path())
                .unwrap_err()
                .to_string()
                .contains("is not set")
        );
        assert!(
            resolve("hunter2", folder.path())
                .unwrap_err()
                .to_string()
                .starts_with("write env:")
        );
    }
}
