//! What every check of a cloud's file uses: faults at their lines, figures, regions.

use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::catalog::format::NANO;
use crate::feeds::register::cloud_file::{self, CloudFile, List, fault};
use crate::feeds::register::exact_figure::Figure;
use crate::model::uniform::ServiceName;
use std::ops::Range;
use toml::Spanned;

pub(super) type Checked = Result<(), CatalogError>;

/// A cloud's file that is checked.
pub(super) struct Check<'a> {
    pub cloud_file: &'a CloudFile,
    pub file: &'a File,
}

/// What a figure may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    Zero,
    MoreThanZero,
}

impl Check<'_> {
    pub(super) fn wrong(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Checked {
        Err(fault(self.file, span, message, hint))
    }

    /// The line of a place in the file, for a second row that is named in a message.
    pub(super) fn line(&self, span: Range<usize>) -> usize {
        self.file
            .text
            .get(..span.start)
            .unwrap_or("")
            .matches('\n')
            .count()
            + 1
    }

    pub(super) fn figure(
        &self,
        name: &str,
        figure: Option<&Figure>,
        per: i64,
        least: Least,
    ) -> Checked {
        let Some(figure) = figure else { return Ok(()) };
        let text = &figure.get_ref().0;
        let Some(value) = figure.get_ref().checked(per) else {
            return self.wrong(
                figure.span(),
                format!("{name}: {text} is too large"),
                "write a smaller number",
            );
        };
        if value == 0 && least == Least::MoreThanZero {
            let hint = "leave it out if it is unknown";
            return self.wrong(figure.span(), format!("{name}: {text} is nothing"), hint);
        }
        Ok(())
    }

    /// A price; 0 is none.
    pub(super) fn price(&self, name: &str, figure: Option<&Figure>) -> Checked {
        if let Some(figure) = figure.filter(|figure| figure.get_ref().checked(NANO) == Some(0)) {
            let hint = "leave the row out if the price is unknown";
            return self.wrong(
                figure.span(),
                format!("{name}: a price of 0 is not believable"),
                hint,
            );
        }
        self.figure(name, figure, NANO, Least::Zero)
    }

    pub(super) fn day(&self, day: &Spanned<String>) -> Checked {
        let text = day.get_ref();
        if text.len() != 10 || text.parse::<jiff::civil::Date>().is_err() {
            return self.wrong(
                day.span(),
                format!("`{text}` is not a day"),
                "write it like 2026-12-31",
            );
        }
        Ok(())
    }

    /// Where the first `[[NAME]]` is.
    pub(super) fn table(&self, name: &str) -> Range<usize> {
        let table_start = self.file.text.find(&format!("[[{name}]]")).unwrap_or(0);
        table_start..table_start
    }

    /// What has a price at these regions; none: anywhere.
    pub(super) fn offered(&self, places: Option<&List>) -> Vec<String> {
        let is_everywhere = |list: &List| list.get_ref().iter().any(|place| place.get_ref() == "*");
        let offered_there = |offered: &List| {
            let Some(wanted) = places else { return true };
            is_everywhere(wanted)
                || is_everywhere(offered)
                || wanted
                    .get_ref()
                    .iter()
                    .any(|place| offered.get_ref().contains(place))
        };
        let prices = self
            .cloud_file
            .prices
            .iter()
            .filter(|row| offered_there(&row.places));
        let services = self
            .cloud_file
            .services
            .iter()
            .filter(|row| offered_there(&row.places));
        prices
            .map(|row| row.instance_type.get_ref().clone())
            .chain(services.map(service_name))
            .collect()
    }

    /// A list of regions of this file, or `*`; each once.
    pub(super) fn regions(&self, list: &List) -> Checked {
        if list.get_ref().is_empty() {
            return self.wrong(
                list.span(),
                "places: it names no place",
                "name regions of this file, or `*` for all",
            );
        }
        for (index, region) in list.get_ref().iter().enumerate() {
            self.region(region)?;
            if list.get_ref()[..index].contains(region) {
                let message = format!("`{}` is there twice", region.get_ref());
                return self.wrong(region.span(), message, "name it once");
            }
        }
        Ok(())
    }

    /// A region of this file, or `*`.
    pub(super) fn region(&self, region: &Spanned<String>) -> Checked {
        if region.get_ref() == "*" || self.cloud_file.places.contains_key(region) {
            return Ok(());
        }
        let known_regions: Vec<&str> = self
            .cloud_file
            .places
            .keys()
            .map(|region| region.get_ref().as_str())
            .collect();
        let hint = format!(
            "this file has {}; `*` is all of them. It cannot speak of other clouds",
            known_regions.join(", ")
        );
        self.wrong(
            region.span(),
            format!("there is no place `{}` in this file", region.get_ref()),
            hint,
        )
    }
}

/// `service/spark@3.5/product`.
pub(super) fn service_name(row: &cloud_file::Service) -> String {
    let version = row
        .version
        .as_ref()
        .map(|version| version.get_ref().clone())
        .unwrap_or_default();
    ServiceName {
        service: row.service.get_ref().clone(),
        version,
        product: row.product.clone(),
    }
    .to_string()
}
