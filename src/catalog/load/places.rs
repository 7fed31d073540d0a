//! Reads `places.csv`.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::{Row, Table};
use crate::catalog::{CatalogError, Source};
use crate::model::offer::{CLASSES, COMMERCIAL};
use crate::model::{Place, PlaceName, Reach, geography};
use std::collections::BTreeSet;

/// The machine that sky runs on.
pub(super) fn this_machine() -> Place {
    Place {
        name: PlaceName::here(),
        country: None,
        location: "this machine".to_owned(),
        operator: "you".to_owned(),
        parent: "you".to_owned(),
        parent_country: None,
        certifications: BTreeSet::new(),
        cloud_act: Reach::No,
        class: COMMERCIAL.to_owned(),
    }
}

pub(super) fn places(file: &File, sources: &[Source]) -> Result<Vec<Place>, CatalogError> {
    let mut place_rows: Vec<(Place, Row)> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::PLACES)?;
    while let Some(row) = table.next_row()? {
        let text = row.required(0)?;
        let name = PlaceName::parse(text).ok_or_else(|| {
            row.error(
                0,
                format!("`{text}` is not a place"),
                "write `cloud:region`",
            )
        })?;
        if name.cloud == "local" {
            return Err(row.error(
                0,
                "the cloud `local` is this machine",
                "give the cloud another name",
            ));
        }
        let country = country_of(&row, 1)?;
        let cloud_act = match row.cell(4) {
            "no" => Reach::No,
            "yes" => Reach::Yes,
            "contested" => Reach::Contested,
            "" | "unknown" => Reach::Unknown,
            other => {
                let hint = "write yes, no, contested or unknown";
                return Err(row.error(4, format!("`{other}` is none of the answers"), hint));
            }
        };
        if !row.cell(5).is_empty() {
            cells::source(&row, 5, sources)?;
        }
        let class = match row.cell(7) {
            "" => COMMERCIAL,
            known if CLASSES.iter().any(|(name, _)| *name == known) => known,
            other => {
                let hint = format!("write {}", CLASSES.map(|(name, _)| name).join(", "));
                return Err(row.error(7, format!("unknown class `{other}`"), hint));
            }
        };
        let place = Place {
            name,
            country,
            location: row.cell(2).to_owned(),
            operator: row.cell(3).to_owned(),
            parent: row.cell(6).to_owned(),
            parent_country: country_of(&row, 9)?,
            certifications: BTreeSet::new(),
            cloud_act,
            class: class.to_owned(),
        };
        place_rows.push((place, row));
    }
    place_rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    if let Some(pair) = place_rows
        .windows(2)
        .find(|pair| pair[0].0.name == pair[1].0.name)
    {
        let later_row = if pair[0].1.line > pair[1].1.line {
            &pair[0]
        } else {
            &pair[1]
        };
        return Err(later_row.1.error(
            0,
            format!("`{}` is there twice", later_row.0.name),
            "keep one of the rows",
        ));
    }
    let mut places: Vec<Place> = place_rows.into_iter().map(|(place, _)| place).collect();
    let home_index = places.partition_point(|place| place.name < PlaceName::here());
    places.insert(home_index, this_machine());
    Ok(places)
}

/// A country, if the cell has one.
fn country_of(row: &Row, column: usize) -> Result<Option<String>, CatalogError> {
    match row.cell(column) {
        "" => Ok(None),
        code if geography::COUNTRIES
            .split_whitespace()
            .any(|known| known == code) =>
        {
            Ok(Some(code.to_owned()))
        }
        code => {
            let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it empty if unknown";
            Err(row.error(column, format!("unknown country `{code}`"), hint))
        }
    }
}
