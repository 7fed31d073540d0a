//! Documents, broken as a whole or in one value.

use super::values::nasty;
use serde_json::Value;
use toml_edit::{DocumentMut, Item};

type Named = Vec<(String, Vec<u8>)>;

/// One text, broken as a whole in every way.
pub(super) fn broken_texts(text: &str) -> Named {
    let half = &text.as_bytes()[..text.len() / 2];
    let with = |head: &[u8], tail: &[u8]| [head, text.as_bytes(), tail].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("one NUL byte", vec![0]),
        ("NUL bytes in it", text.replace(' ', "\0").into_bytes()),
        ("not UTF-8", with(b"", b"\n# \xff\xfe\xc0\x80\n")),
        (
            "UTF-16",
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        ("half of it", half.to_vec()),
        ("twice", text.repeat(2).into_bytes()),
        ("byte-order mark", with(b"\xef\xbb\xbf", b"")),
        ("carriage returns", text.replace('\n', "\r").into_bytes()),
        (
            "escape sequences",
            with(b"\x1b[2J\x1b[1;1H", b"\x1b]0;x\x07"),
        ),
        ("16 MiB of one letter", vec![b'a'; 16 << 20]),
        ("16 MiB of line feeds", with(b"", &vec![b'\n'; 16 << 20])),
        ("a hundred thousand brackets", vec![b'['; 100_000]),
        ("a hundred thousand braces", b"x={".repeat(100_000)),
        (
            "a hundred thousand JSON objects",
            b"{\"a\":".repeat(100_000),
        ),
        (
            "a key of a thousand parts",
            with(b"", format!("\n{}b = 1\n", "a.".repeat(1000)).as_bytes()),
        ),
        (
            "a key of a megabyte",
            with(b"", format!("\n{} = 1\n", "k".repeat(1 << 20)).as_bytes()),
        ),
        (
            "fifty thousand unknown keys",
            with(b"", many("key{} = 1\n", 50_000).as_bytes()),
        ),
        (
            "twenty thousand unknown tables",
            with(b"", many("[table.t{}]\nx = 1\n", 20_000).as_bytes()),
        ),
        (
            "a list of 200,000 numbers",
            with(
                b"",
                format!("\nx = [{}]\n", "1,".repeat(200_000)).as_bytes(),
            ),
        ),
        ("a string without an end", with(b"", b"\nx = \"abc")),
        (
            "HTML",
            b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec(),
        ),
        (
            "compressed",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".repeat(50),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

fn many(line: &str, times: usize) -> String {
    (0..times)
        .map(|number| line.replace("{}", &number.to_string()))
        .collect()
}

/// One TOML text, with so many hostile values in place of each of its values in turn.
pub(super) fn with_toml_values(text: &str, each: usize) -> Named {
    let document: DocumentMut = text.parse().unwrap();
    let mut paths = Vec::new();
    walk_toml(document.as_item(), &mut Vec::new(), &mut paths);
    let values = nasty();
    let mut cases = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        for value in (0..each).map(|step| &values[(number * each + step) % values.len()]) {
            let Some(value) = toml_value(value) else {
                continue;
            };
            let mut changed = document.clone();
            let mut item = changed.as_item_mut();
            for key in path {
                item = &mut item[key.as_str()];
            }
            *item = Item::Value(value.clone());
            let name = format!("{} = {}", path.join("."), shorter(value.to_string().trim()));
            cases.push((name, changed.to_string().into_bytes()));
        }
    }
    cases
}

fn shorter(text: &str) -> String {
    text.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}

fn walk_toml(item: &Item, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if !path.is_empty() {
        found.push(path.clone());
    }
    let Some(table) = item.as_table_like() else {
        return;
    };
    for (key, inner) in table.iter() {
        path.push(key.to_owned());
        walk_toml(inner, path, found);
        path.pop();
    }
}

fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::Array(items) => {
            let mut array = toml_edit::Array::new();
            for item in items {
                array.push(toml_value(item)?);
            }
            array.into()
        }
        Value::Object(_) => toml_edit::InlineTable::new().into(),
        Value::Null => f64::NAN.into(),
    })
}

/// One JSON text, with so many hostile values in place of each of its values in turn. `sealed`:
/// with the digest that a plan carries made anew, so that what reads it looks further.
pub(super) fn with_json_values(text: &str, each: usize, sealed: bool) -> Named {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut pointers = Vec::new();
    walk_json(&document, &mut String::new(), &mut pointers);
    let values = nasty();
    let mut cases = Vec::new();
    for (number, pointer) in pointers.iter().enumerate() {
        for value in (0..each).map(|step| &values[(number * each + step) % values.len()]) {
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).unwrap() = value.clone();
            if sealed && pointer != "/digest" {
                seal(&mut changed);
            }
            let name = format!("{pointer} = {}", shorter(&value.to_string()));
            cases.push((
                name,
                sky::model::canonical::to_text(&changed)
                    .unwrap()
                    .into_bytes(),
            ));
        }
    }
    cases
}

fn seal(plan: &mut Value) {
    let Some(members) = plan.as_object_mut() else {
        return;
    };
    members.remove("digest");
    let text = sky::model::canonical::to_text(&Value::Object(members.clone())).unwrap();
    members.insert(
        "digest".to_owned(),
        sky::util::hash::digest(text.as_bytes()).to_string().into(),
    );
}

fn walk_json(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    if !pointer.is_empty() {
        found.push(pointer.clone());
    }
    let length = pointer.len();
    let mut step = |key: &str, inner: &Value| {
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        walk_json(inner, pointer, found);
        pointer.truncate(length);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, inner)| step(key, inner)),
        // The first speaks for all.
        Value::Array(items) => items.first().into_iter().for_each(|inner| step("0", inner)),
        _ => {}
    }
}

/// One table of a catalog, with a hostile value in each cell of its first row in turn.
pub(super) fn with_cells(text: &str) -> Named {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let (header, row) = (lines[0], lines[1]);
    let values = nasty();
    let texts: Vec<String> = values
        .iter()
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
        .collect();
    let mut cases = Vec::new();
    for (number, column) in header.split(',').enumerate() {
        for text in (0..3).map(|step| &texts[(number * 3 + step) % texts.len()]) {
            let mut cells: Vec<&str> = row.split(',').collect();
            if let Some(cell) = cells.get_mut(number) {
                *cell = text;
            }
            let table = [&[header], &[cells.join(",").as_str()], &lines[2..]]
                .concat()
                .join("\n");
            cases.push((
                format!("{column} = {}", shorter(text)),
                (table + "\n").into_bytes(),
            ));
        }
    }
    cases
}
