//! Machine types that are retired or will be, and rows of price lists that are not offered.

use super::finding::{Finding, Kind};
use crate::catalog::Catalog;
use std::collections::BTreeMap;

/// What clouds have retired, and what they will.
pub(super) fn retirements(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let mut types: BTreeMap<(Kind, u32, &str, &str), usize> = BTreeMap::new();
    for (offers, kind) in [
        (&catalog.retired, Kind::Retired),
        (&catalog.offers, Kind::Retiring),
    ] {
        for offer in offers {
            let Some(retirement) = catalog.retires(offer) else {
                continue;
            };
            *types
                .entry((
                    kind,
                    offer.machine,
                    retirement.day.as_str(),
                    retirement.evidence.as_str(),
                ))
                .or_default() += 1;
        }
    }
    for ((kind, machine, day, evidence), offers) in types {
        let machine = &catalog.machines[machine as usize];
        let name = format!("{}:{}", machine.cloud, machine.instance_type);
        let evidence_words = if evidence.is_empty() {
            String::new()
        } else {
            format!(" ({evidence})")
        };
        let message = match kind {
            Kind::Retired => {
                format!("retired on {day}{evidence_words}: its {offers} prices are not offered")
            }
            _ => format!("will retire on {day}{evidence_words}"),
        };
        findings.push(Finding::of(kind, name, message));
    }
}

/// Rows of price lists that are not offered.
pub(super) fn dropped(catalog: &Catalog, findings: &mut Vec<Finding>) {
    for row in &catalog.dropped {
        let name = match row.instance_type.as_str() {
            "" => row.cloud.clone(),
            machine => format!("{}:{machine}", row.cloud),
        };
        let rows_words = if row.rows == 1 {
            "1 price".to_owned()
        } else {
            format!("{} prices", row.rows)
        };
        let message = format!("{rows_words}: {} ({})", row.reason, row.source);
        findings.push(Finding::of(Kind::Dropped, name, message));
    }
}
