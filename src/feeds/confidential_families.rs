//! Confidential-computing families, written in prose by vendors, as instance type patterns.

use super::foreign_csv::ForeignCsv;
use super::import_source::add_source;
use super::{ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use crate::catalog::draft::{ConfidentialRow, Draft};
use std::path::Path;

/// Families as the list names them, and which of our names they are: environment, instance type
/// patterns, place patterns.
///
/// Azure's sizes are confidential by their name, so they are wherever they have a price. On AWS
/// it is an option of a machine: only the regions that are named. On GCP it is an option too and
/// no region is named, so nothing is claimed: what is unknown satisfies no rule. Nitro Enclaves
/// are left out for the same reason.
const FAMILIES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "azure",
        "DCasv5/DCadsv5",
        "sev-snp",
        "Standard_DC*as_v5;Standard_DC*ads_v5",
        "azure:*",
    ),
    (
        "azure",
        "ECasv5/ECadsv5",
        "sev-snp",
        "Standard_EC*as_v5;Standard_EC*ads_v5",
        "azure:*",
    ),
    (
        "azure",
        "DCasv6/ECasv6",
        "sev-snp",
        "Standard_DC*as_v6;Standard_DC*ads_v6;Standard_EC*as_v6;Standard_EC*ads_v6",
        "azure:*",
    ),
    (
        "azure",
        "DCesv5/DCedsv5/ECesv5/ECedsv5",
        "tdx",
        "Standard_DC*es_v5;Standard_DC*eds_v5;Standard_EC*es_v5;Standard_EC*eds_v5",
        "azure:*",
    ),
    (
        "azure",
        "DCesv6/ECesv6",
        "tdx",
        "Standard_DC*es_v6;Standard_DC*eds_v6;Standard_EC*es_v6;Standard_EC*eds_v6",
        "azure:*",
    ),
    (
        "azure",
        "DCsv2/DCsv3/DCdsv3",
        "sgx",
        "Standard_DC*s_v2;Standard_DC8_v2;Standard_DC*s_v3;Standard_DC*ds_v3",
        "azure:*",
    ),
    (
        "azure",
        "NCCads_H100_v5 (Standard_NCC40ads_H100_v5)",
        "sev-snp",
        "Standard_NCC40ads_H100_v5",
        "azure:*",
    ),
    (
        "aws",
        "m6a/c6a/r6a",
        "sev-snp",
        "m6a.*;c6a.*;r6a.*",
        "aws:us-east-2;aws:eu-west-1",
    ),
];

/// Reads `cloud,family,…,source` and keeps the families that are known above.
pub(super) fn import(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let id = add_source(
        draft,
        options,
        report,
        "confidential",
        None,
        "Confidential-computing families of AWS and Azure",
    )?;
    let mut csv_rows = ForeignCsv::open(path)?;
    let (cloud, family) = (
        csv_rows.required(&["cloud"])?,
        csv_rows.required(&["family"])?,
    );
    let evidence = csv_rows.optional(&["source"]);
    while csv_rows.advance()? {
        let same_family = |known: &&(&str, &str, &str, &str, &str)| {
            known.0 == csv_rows.cell(cloud) && known.1 == csv_rows.cell(family)
        };
        let Some((cloud, family, tee, types, places)) = FAMILIES.iter().find(same_family) else {
            report.leave_of(
                format!(
                    "{}: families whose places are not known",
                    csv_rows.cell(cloud)
                ),
                csv_rows.cell(family),
            );
            continue;
        };
        let confidential_row = ConfidentialRow {
            places: (*places).to_owned(),
            source: id.clone(),
            evidence: format!("{family}: {}", csv_rows.cell(evidence)),
        };
        draft.confidential.insert(
            ((*cloud).to_owned(), (*types).to_owned(), (*tee).to_owned()),
            confidential_row,
        );
        report.take("families");
    }
    Ok(())
}
