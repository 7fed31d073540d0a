//! Countries as people write them, and the message about one that is not known.

use crate::model::geography::{blocs, countries};
use crate::spec::Diagnostic;
use crate::spec::table::{Item, shown};

/// Words that people write for a country, each with the code that is meant.
const COUNTRY_ALIASES: [(&str, &str); 29] = [
    ("AUSTRALIA", "AU"),
    ("AUSTRIA", "AT"),
    ("BRAZIL", "BR"),
    ("CANADA", "CA"),
    ("CHINA", "CN"),
    ("FINLAND", "FI"),
    ("GREAT BRITAIN", "GB"),
    ("INDIA", "IN"),
    ("ITALY", "IT"),
    ("JAPAN", "JP"),
    ("NETHERLANDS", "NL"),
    ("NORWAY", "NO"),
    ("POLAND", "PL"),
    ("SPAIN", "ES"),
    ("SWEDEN", "SE"),
    ("UNITED KINGDOM", "GB"),
    ("UNITED STATES", "US"),
    ("UK", "GB"),
    ("EL", "GR"),
    ("USA", "US"),
    ("GBR", "GB"),
    ("DEU", "DE"),
    ("FRA", "FR"),
    ("GERMANY", "DE"),
    ("FRANCE", "FR"),
    ("IRELAND", "IE"),
    ("SWITZERLAND", "CH"),
    ("EUROPE", "EU"),
    ("EUROPEAN UNION", "EU"),
];

/// Returns the error about a text that is neither a country nor a bloc.
pub(super) fn unknown_country(item: &Item<'_>) -> Diagnostic {
    let upper = item.text.trim().to_uppercase();
    // One slip of the finger or two in a long name; short codes are too much like each other.
    let alike = |alias: &str| {
        let slips = strsim::damerau_levenshtein(alias, &upper);
        slips == 0 || slips <= 2 && alias.chars().count() >= 5
    };
    let alias = COUNTRY_ALIASES
        .iter()
        .filter(|(alias, _)| alike(alias))
        .min_by_key(|(alias, _)| strsim::damerau_levenshtein(alias, &upper))
        .map(|(_, code)| *code);
    let meant_country = alias.or_else(|| countries(&upper).is_some().then_some(upper.as_str()));
    let known_names = format!(
        "countries are ISO 3166 codes such as `DE`; blocs: {}",
        blocs().collect::<Vec<_>>().join(", ")
    );
    let hint = match meant_country {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => known_names,
    };
    Diagnostic::error(
        item.span.clone(),
        format!("`{}` is not a country or a bloc", shown(item.text)),
    )
    .with_label("unknown")
    .with_hint(hint)
}
