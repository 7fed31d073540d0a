//! Writes a catalog: sorted rows, one spelling per value, so that equal data is equal bytes.

use crate::catalog::load::Head;

/// The canonical text of `catalog.toml`.
pub(crate) fn head_text(head: &Head) -> String {
    use std::fmt::Write;
    let mut text = format!("format = {}\n", head.format);
    // Writing to a String cannot fail.
    for (id, source) in &head.sources {
        let _ = write!(
            text,
            "\n[sources.{}]\ndate = {}\nabout = {}\n",
            key(id),
            quoted(&source.date),
            quoted(&source.about)
        );
        if !source.url.is_empty() {
            let _ = writeln!(text, "url = {}", quoted(&source.url));
        }
    }
    text
}

fn key(id: &str) -> String {
    let bare = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { id.to_owned() } else { quoted(id) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
