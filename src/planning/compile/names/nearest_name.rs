//! The known name that is most like a mistyped one.

use std::collections::BTreeSet;

/// `did you mean …?` for the known name most like `name`, if one is close.
pub(super) fn nearest<'n>(
    name: &str,
    known_names: impl Iterator<Item = &'n str>,
) -> Option<String> {
    nearest_name(name, known_names).map(|known| format!("did you mean `{known}`?"))
}

/// The known name most like `name`, if one is close. Wildcards do not count.
pub(super) fn nearest_name<'n>(
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    let lower_case = name.to_lowercase();
    let plain_name = lower_case.replace('*', "");
    if plain_name.is_empty() {
        return None;
    }
    // A pattern such as `Amazn*` is compared with as much of each name as it has itself.
    let compared = |known: &str| match lower_case.ends_with('*') {
        true => known
            .to_lowercase()
            .chars()
            .take(plain_name.chars().count() + 1)
            .collect(),
        false => known.to_lowercase(),
    };
    let known_names: Vec<&str> = known.collect();
    let scored = known_names
        .iter()
        .map(|known| (strsim::jaro_winkler(&plain_name, &compared(known)), *known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))?;
    if score > 0.8 {
        return Some(known);
    }
    // Of short names, one slip of the finger: `gpc` for `gcp`.
    let one_slip = |known: &&&str| strsim::damerau_levenshtein(&plain_name, &compared(known)) == 1;
    known_names.iter().filter(one_slip).copied().min()
}

/// The names that there are, where none of them is like the one that was written; none: there are
/// none.
pub(super) fn listed(value_noun: &str, known_names: &BTreeSet<&str>) -> Option<String> {
    const SHOWN: usize = 12;
    let names: Vec<&str> = known_names.iter().copied().take(SHOWN).collect();
    let more_words = match known_names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty())
        .then(|| format!("the catalog {value_noun} {}{more_words}", names.join(", ")))
}
