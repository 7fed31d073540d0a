//! Names of our own for names that anybody chose: valid, unique, the same in every run and in
//! whatever order the source lists them.

use crate::spec::value::{LONGEST_NAME, name_fault};
use std::collections::{BTreeMap, BTreeSet};

/// A name for every text; equal texts get different names. None of them is in `taken`, to which
/// they are added. `texts` must come in an order that does not depend on the source's.
///
/// Who has a valid name keeps it; of equal ones the first.
pub(super) fn unique(
    texts: &[&str],
    fallback: &str,
    taken_names: &mut BTreeSet<String>,
) -> Vec<String> {
    let mut names = vec![String::new(); texts.len()];
    let mut other_indices = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if name_fault(text).is_none() && taken_names.insert((*text).to_owned()) {
            names[index] = (*text).to_owned();
        } else {
            other_indices.push(index);
        }
    }
    // The next number to try, by name: many equal names are no quadratic search.
    let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
    for index in other_indices {
        let plain_name = plain(texts[index], fallback);
        let next_number = numbers.entry(plain_name.clone()).or_insert(1);
        names[index] = loop {
            let name = match *next_number {
                1 => plain_name.clone(),
                number => {
                    let suffix = format!("-{number}");
                    format!(
                        "{}{suffix}",
                        &plain_name[..plain_name.len().min(LONGEST_NAME - suffix.len())]
                    )
                }
            };
            *next_number += 1;
            if taken_names.insert(name.clone()) {
                break name;
            }
        };
    }
    names
}

/// `text` as a name: what no name has becomes `-`, and of a long one the end stays, which tells
/// paths apart.
pub(super) fn plain(text: &str, fallback: &str) -> String {
    let plain_character = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    let mut name: String = text.chars().map(plain_character).collect();
    name = name
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    if name.len() > LONGEST_NAME {
        name = name[name.len() - LONGEST_NAME..]
            .trim_start_matches('-')
            .to_owned();
    }
    if name.is_empty() {
        fallback.to_owned()
    } else {
        name
    }
}
