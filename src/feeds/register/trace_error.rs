//! From a fault of a row that was made of a file to the place in the file that it was made of:
//! whoever wrote the file has never seen the row.

use super::cloud_file::{CloudFile, Discount, Egress, List, Price, Service, Throughput, fault};
use super::exact_figure::Figure;
use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::catalog::format::folder_and_stem;
use crate::catalog::table::cells;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// Returns the fault at the line of the cloud's file that the row was made of, if it is one of
/// its rows.
pub(super) fn at_cloud_file(
    error: CatalogError,
    cloud_file: &CloudFile,
    file: &File,
    catalog_folder: &Path,
) -> CatalogError {
    let name = Path::new(&error.file)
        .strip_prefix(catalog_folder)
        .ok()
        .and_then(Path::to_str)
        .unwrap_or_default();
    match faulty_part(cloud_file, name, &error) {
        Some(at) => fault(file, at, error.message, error.hint),
        None => CatalogError {
            hint: match error.hint.as_str() {
                "" => String::new(),
                hint => format!("the file does not fit the catalog; {hint}"),
            },
            ..error
        },
    }
}

/// The part of the file that the faulty row of the table `name` was made of.
fn faulty_part(cloud_file: &CloudFile, name: &str, error: &CatalogError) -> Option<Range<usize>> {
    let faulty_row = FaultyRow {
        cloud_file,
        cells: cells(&error.text),
        // Messages of cells start with the name of the column.
        column: error
            .message
            .split_once(": ")
            .map_or("", |(column, _)| column),
    };
    let cloud = cloud_file.cloud.get_ref().as_str();
    match (name, folder_and_stem(name)) {
        ("places.csv", _) => faulty_row.place(),
        ("clouds.csv", _) if faulty_row.cell(0) == cloud => faulty_row.terms(),
        ("services.csv", _) => faulty_row.service(),
        ("egress.csv", _) => faulty_row.egress(),
        ("throughput.csv", _) => faulty_row.throughput(),
        ("interruptions.csv", _) if faulty_row.cell(0) == cloud => faulty_row.interruption(),
        ("quotas.csv", _) => faulty_row.quota(),
        ("discounts.csv", _) => faulty_row.discount(),
        (_, Some((of, "machines"))) if of == cloud => faulty_row.machine(),
        (_, Some((of, stem))) if of == cloud => faulty_row.price(stem),
        _ => None,
    }
}

/// Where a figure is written.
fn figure_span(figure: &Option<Figure>) -> Option<Range<usize>> {
    figure.as_ref().map(Spanned::span)
}

/// Where a text is written.
fn text_span(text: &Option<Spanned<String>>) -> Option<Range<usize>> {
    text.as_ref().map(Spanned::span)
}

/// Whether a list of regions has a region.
fn has_region(list: &List, wanted_region: &str) -> bool {
    list.get_ref()
        .iter()
        .any(|place| place.get_ref() == "*" || place.get_ref() == wanted_region)
}

/// A row that the loader found a fault in, and the file that the row was made of. Each function
/// finds the key or the table of the file that a row of one table was made of; none: the row is of
/// another cloud.
struct FaultyRow<'a> {
    cloud_file: &'a CloudFile,
    cells: Vec<&'a str>,
    /// The column of the fault; empty: the row as a whole.
    column: &'a str,
}

impl FaultyRow<'_> {
    fn cell(&self, index: usize) -> &str {
        self.cells.get(index).copied().unwrap_or_default()
    }

    /// The region of a place of this cloud.
    fn region(&self, place: &str) -> Option<String> {
        let cloud = self.cloud_file.cloud.get_ref().as_str();
        place
            .strip_prefix(cloud)
            .and_then(|rest| rest.strip_prefix(':'))
            .map(str::to_owned)
    }

    /// The region of a place of this cloud, or a place of another one as it is.
    fn region_or_place(&self, place: &str) -> String {
        self.region(place).unwrap_or_else(|| place.to_owned())
    }

    fn place(&self) -> Option<Range<usize>> {
        let (key, place) = self
            .cloud_file
            .places
            .get_key_value(self.region(self.cell(0))?.as_str())?;
        let faulty_span = match self.column {
            "country" => text_span(&place.country),
            "parent_country" => text_span(&place.parent_country),
            "us_cloud_act" => text_span(&place.us_cloud_act),
            "class" => text_span(&place.class),
            _ => None,
        };
        Some(faulty_span.unwrap_or(key.span()))
    }

    fn terms(&self) -> Option<Range<usize>> {
        let terms = &self.cloud_file.terms;
        let faulty_span = match self.column {
            "increment_s" => figure_span(&terms.increment_s),
            "minimum_s" => figure_span(&terms.minimum_s),
            "boot_s" => figure_span(&terms.boot_s),
            "free_egress_gb" => figure_span(&terms.free_egress_gb),
            "storage_usd_per_gb_month" => figure_span(&terms.storage_usd_per_gb_month),
            "gb_bytes" => figure_span(&terms.gb_bytes),
            _ => None,
        };
        Some(faulty_span.unwrap_or(self.cloud_file.cloud.span()))
    }

    fn service(&self) -> Option<Range<usize>> {
        let wanted_region = self.region(self.cell(0))?;
        let same_service = |row: &&Service| {
            row.service.get_ref() == self.cell(1)
                && row.version.as_ref().map_or("", |version| version.get_ref()) == self.cell(5)
                && row.product == self.cell(6)
                && has_region(&row.places, &wanted_region)
        };
        let service_row = self.cloud_file.services.iter().find(same_service)?;
        let faulty_span = match self.column {
            "unit" => Some(service_row.unit.span()),
            "price" => Some(service_row.price.span()),
            "version" => text_span(&service_row.version),
            "vcpus" => figure_span(&service_row.vcpus),
            "memory_gib" => figure_span(&service_row.memory_gib),
            _ => None,
        };
        Some(faulty_span.unwrap_or(service_row.service.span()))
    }

    fn egress(&self) -> Option<Range<usize>> {
        let (from, to) = (
            self.region(self.cell(0))?,
            self.region_or_place(self.cell(1)),
        );
        let same_pair = |row: &&Egress| *row.from.get_ref() == from && *row.to.get_ref() == to;
        let egress_row = self.cloud_file.egress.iter().find(same_pair)?;
        let faulty_span = match self.column {
            "to" => Some(egress_row.to.span()),
            "above_gb" => figure_span(&egress_row.above_gb),
            "usd_per_gb" => Some(egress_row.usd_per_gb.span()),
            _ => None,
        };
        Some(faulty_span.unwrap_or(egress_row.from.span()))
    }

    fn throughput(&self) -> Option<Range<usize>> {
        let (from, to) = (
            self.region_or_place(self.cell(0)),
            self.region_or_place(self.cell(1)),
        );
        let same_pair = |row: &&Throughput| *row.from.get_ref() == from && *row.to.get_ref() == to;
        let throughput_row = self.cloud_file.throughput.iter().find(same_pair)?;
        let faulty_span = match self.column {
            "to" => Some(throughput_row.to.span()),
            "gbps" => Some(throughput_row.gbps.span()),
            _ => None,
        };
        Some(faulty_span.unwrap_or(throughput_row.from.span()))
    }

    fn interruption(&self) -> Option<Range<usize>> {
        let same_price = |row: &&Price| {
            row.instance_type.get_ref() == self.cell(1) && row.interrupted_percent.is_some()
        };
        let price_row = self.cloud_file.prices.iter().find(same_price)?;
        Some(figure_span(&price_row.interrupted_percent).unwrap_or(price_row.instance_type.span()))
    }

    fn quota(&self) -> Option<Range<usize>> {
        let is_whole_cloud = self.cell(0) == self.cloud_file.cloud.get_ref();
        let place = if is_whole_cloud {
            None
        } else {
            Some(self.region(self.cell(0))?)
        };
        let quota_row = self
            .cloud_file
            .quotas
            .iter()
            .find(|row| match (&row.places, &place) {
                (None, None) => true,
                (Some(places), Some(place)) => places
                    .get_ref()
                    .iter()
                    .any(|known| known.get_ref() == place),
                _ => false,
            })?;
        let faulty_span = match self.cell(1) {
            "cpus" => figure_span(&quota_row.cpus),
            "instances" => figure_span(&quota_row.instances),
            _ => quota_row.accelerators.as_ref().map(Spanned::span),
        };
        faulty_span.or_else(|| quota_row.places.as_ref().map(Spanned::span))
    }

    fn discount(&self) -> Option<Range<usize>> {
        let same_discount = |row: &&Discount| row.percent.get_ref().0 == self.cell(2);
        self.cloud_file
            .discounts
            .iter()
            .find(same_discount)
            .map(|row| row.percent.span())
    }

    fn machine(&self) -> Option<Range<usize>> {
        let (key, machine) = self.cloud_file.machines.get_key_value(self.cell(0))?;
        let faulty_span = match self.column {
            "vcpus" => figure_span(&machine.vcpus),
            "memory_gib" => figure_span(&machine.memory_gib),
            "accelerator" => text_span(&machine.accelerator),
            "count" => figure_span(&machine.count),
            "arch" => text_span(&machine.arch),
            _ => None,
        };
        Some(faulty_span.unwrap_or(key.span()))
    }

    fn price(&self, stem: &str) -> Option<Range<usize>> {
        let wanted_region = if self.cell(5).is_empty() {
            stem
        } else {
            self.cell(5)
        };
        let same_price = |row: &&Price| {
            row.instance_type.get_ref() == self.cell(0) && has_region(&row.places, wanted_region)
        };
        let price_row = self.cloud_file.prices.iter().find(same_price)?;
        let faulty_span = match self.column {
            "on_demand" => figure_span(&price_row.on_demand),
            "spot" => figure_span(&price_row.spot),
            _ => None,
        };
        Some(faulty_span.unwrap_or(price_row.instance_type.span()))
    }
}
