//! What a machine type is ordered by that a price list has under another name.

use crate::catalog::CatalogError;
use crate::catalog::format::TableFormat;
use crate::catalog::table::Table;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The table of such names.
const NAMES: &str = include_str!("listed_names.csv");

/// The columns of `listed_names.csv`.
const NAMES_FORMAT: TableFormat = TableFormat {
    file: "listed_names.csv",
    columns: &["cloud", "listed", "instance_type", "evidence"],
    required: 4,
};

/// Names to order by, by cloud and listed name.
type Names = BTreeMap<(String, String), String>;

/// The name that a machine type of a list is ordered by, and whether the list has it under another
/// one. Blanks around a name belong to no name.
pub(super) fn ordered_name<'a>(
    cloud: &str,
    listed: &'a str,
) -> Result<(&'a str, bool), CatalogError> {
    static TABLE: OnceLock<Result<Names, CatalogError>> = OnceLock::new();
    let names = TABLE
        .get_or_init(read_names)
        .as_ref()
        .map_err(Clone::clone)?;
    let trimmed_name = listed.trim();
    Ok(
        match names.get(&(cloud.to_owned(), trimmed_name.to_owned())) {
            Some(ordered) => (ordered.as_str(), true),
            None => (trimmed_name, false),
        },
    )
}

fn read_names() -> Result<Names, CatalogError> {
    let mut names = Names::new();
    let mut table = Table::open(NAMES_FORMAT.file, NAMES, NAMES_FORMAT)?;
    while let Some(row) = table.next_row()? {
        let name_key = (row.required(0)?.to_owned(), row.required(1)?.to_owned());
        names.insert(name_key, row.required(2)?.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_types_are_known_by_the_names_that_they_are_ordered_by() {
        let name = |listed| ordered_name("azure", listed).unwrap();
        assert_eq!(
            name("Standard_ND96asr_A100_v4"),
            ("Standard_ND96asr_v4", true)
        );
        assert_eq!(
            name("Standard_NM16ads_MA35D  "),
            ("Standard_NM16ads_MA35D", false)
        );
        assert_eq!(name("Standard_D2s_v5"), ("Standard_D2s_v5", false));
    }
}
