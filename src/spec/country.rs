//! Countries as people write them, and the message about one that is not known.

use crate::model::geography::{blocs, countries};
use crate::spec::Diagnostic;
use crate::spec::table::{Item, shown};

/// Words that people write for a country, each with the code that is meant.
const COUNTRY_ALIASES: [(&str, &str); 12] = [
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
    let alias = COUNTRY_ALIASES
        .iter()
        .find(|(alias, _)| *alias == upper)
        .map(|(_, code)| *code);
    let meant = alias.or_else(|| countries(&upper).is_some().then_some(upper.as_str()));
    let known = format!(
        "countries are ISO 3166 codes such as `DE`; blocs: {}",
        blocs().collect::<Vec<_>>().join(", ")
    );
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => known,
    };
    Diagnostic::error(
        item.span.clone(),
        format!("`{}` is not a country or a bloc", shown(item.text)),
    )
    .with_label("unknown")
    .with_hint(hint)
}
