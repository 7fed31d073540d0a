//! What texts of `hosts.toml` may be.

/// Whether a text has no control characters.
pub(super) fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Fits a cell of a catalog, and is printed.
pub(super) fn cell(text: &str) -> bool {
    plain(text) && !text.contains(['"', ';']) && text.trim() == text
}

/// A part of a place's name, of a type, of a host's name.
pub(super) fn word(text: &str) -> bool {
    let fits_word =
        |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    text.chars().all(fits_word) && !text.starts_with(['-', '.']) && text.len() <= 100
}
