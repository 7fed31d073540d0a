//! Tags as labels. Google's labels take lower case, digits, `-` and `_`, and 63 of them: other
//! characters are written as `_` and two hex digits for each byte. What is too long even then is in
//! the instance's metadata, under the tag's name and as it is.

use std::collections::BTreeMap;

/// The longest value of a label.
const LONGEST: usize = 63;

/// A value as a label; none: it does not fit.
pub(super) fn encode(value: &str) -> Option<String> {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => text.push(char::from(byte)),
            _ => text.push_str(&format!("_{byte:02x}")),
        }
    }
    (text.len() <= LONGEST).then_some(text)
}

/// The value of a label; as it is, if it is not of our writing.
pub(super) fn decode(text: &str) -> String {
    let read_bytes = || {
        let mut pieces = text.split('_');
        let mut bytes = pieces.next()?.as_bytes().to_vec();
        for piece in pieces {
            let (hex, rest) = piece.split_at_checked(2)?;
            if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            bytes.extend_from_slice(rest.as_bytes());
        }
        String::from_utf8(bytes).ok()
    };
    read_bytes().unwrap_or_else(|| text.to_owned())
}

/// Tags as labels, and those that are metadata.
pub(super) fn split<'a>(
    tags: impl IntoIterator<Item = (&'a &'static str, &'a String)>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut labels, mut metadata) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in tags {
        match encode(value) {
            Some(label) => labels.insert((*name).to_owned(), label),
            None => metadata.insert((*name).to_owned(), value.clone()),
        };
    }
    (labels, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_back_as_it_was() {
        for value in [
            "",
            "train",
            "2026-11-27T01:02:03Z",
            "a_b",
            "_5f",
            "Größe",
            "x/y z",
        ] {
            let label = encode(value).unwrap();
            assert!(
                label
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')),
                "{label}"
            );
            assert_eq!(decode(&label), value);
        }
        assert_eq!(
            encode("2026-11-27T01:02:03Z").unwrap(),
            "2026-11-27_5401_3a02_3a03_5a"
        );
        let long = "x".repeat(64);
        assert_eq!(encode(&long), None);
        assert_eq!(split([(&"a", &long), (&"b", &"B".to_owned())]).0.len(), 1);
    }

    #[test]
    fn labels_of_others_stay_as_they_are() {
        for label in ["cost_center", "_", "a_f", "a_zz", "a_ff", "a_é1"] {
            assert_eq!(decode(label), label);
        }
    }
}
