//! Burstable machines: what they give for as long as they run, beside the virtual CPUs in their
//! name.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{CatalogError, Source};
use crate::model::Machine;

/// Reads `burstable.csv` into the machines. An empty `baseline_vcpus` is a burstable machine of
/// which the vendor names no baseline: no work can count on any of its virtual CPUs.
pub(super) fn apply(
    file: &File,
    machines: &mut [Machine],
    sources: &[Source],
) -> Result<(), CatalogError> {
    let mut table = Table::open(&file.shown, &file.text, format::BURSTABLE)?;
    while let Some(row) = table.next_row()? {
        let (cloud, patterns) = (row.required(0)?, cells::patterns(row.required(1)?));
        let baseline = cells::figure_or_zero(&row, 2, 1000, "0.4")?.unsigned_abs();
        cells::source(&row, 3, sources)?;
        let is_meant = |machine: &&mut Machine| {
            machine.cloud == cloud
                && patterns
                    .iter()
                    .any(|pattern| pattern.matches(&machine.instance_type))
        };
        for machine in machines.iter_mut().filter(is_meant) {
            if machine.baseline_vcpu_thousandths.is_some() {
                let message = format!("`{}` has two baselines", machine.instance_type);
                return Err(row.error(1, message, "keep one of the rows that match it"));
            }
            if machine.vcpu_thousandths > 0 && baseline > machine.vcpu_thousandths {
                let message = format!(
                    "the baseline of `{}` is more than its {} vCPUs",
                    machine.instance_type,
                    machine.vcpu_thousandths / 1000
                );
                return Err(row.error(
                    2,
                    message,
                    "write the virtual CPUs of the whole machine, not a percentage",
                ));
            }
            machine.baseline_vcpu_thousandths = Some(baseline);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::catalog::load;

    #[test]
    fn burstable_machines_count_at_their_baseline() {
        let catalog = load::shipped().unwrap();
        let machine = |cloud: &str, name: &str| {
            catalog
                .machines
                .iter()
                .find(|machine| machine.cloud == cloud && machine.instance_type == name)
        };
        let cases = [
            ("aws", "t4g.nano", 100),
            ("aws", "t3.micro", 200),
            ("aws", "t3a.small", 400),
            ("aws", "t3.large", 600),
            ("aws", "t3.xlarge", 1600),
            ("aws", "t3.2xlarge", 3200),
            ("aws", "t2.medium", 400),
            ("aws", "t2.xlarge", 900),
            ("aws", "t2.2xlarge", 1360),
            ("azure", "Standard_B1ls", 50),
            ("azure", "Standard_B2ms", 600),
            ("azure", "Standard_B20ms", 3370),
            ("azure", "Standard_B2ts_v2", 400),
            ("azure", "Standard_B4als_v2", 1200),
            ("azure", "Standard_B16ps_v2", 6400),
            ("gcp", "e2-micro", 250),
            ("gcp", "e2-medium", 1000),
            ("gcp", "g1-small", 500),
        ];
        for (cloud, name, thousandths) in cases {
            let found = machine(cloud, name).unwrap_or_else(|| panic!("{cloud} has no {name}"));
            assert_eq!(
                found.sustained_vcpu_thousandths(),
                thousandths,
                "{cloud} {name}"
            );
            assert!(found.vcpu_thousandths > thousandths, "{cloud} {name}");
        }
        for (cloud, name) in [
            ("aws", "m5.large"),
            ("azure", "Standard_D2s_v5"),
            ("gcp", "e2-standard-2"),
        ] {
            assert_eq!(
                machine(cloud, name).unwrap().baseline_vcpu_thousandths,
                None,
                "{cloud} {name}"
            );
        }
    }

    #[test]
    fn every_machine_of_a_burstable_family_has_a_row() {
        let catalog = load::shipped().unwrap();
        let families = |cloud: &str, name: &str| match cloud {
            "aws" => ["t1.", "t2.", "t3.", "t3a.", "t4g."]
                .iter()
                .any(|family| name.starts_with(family)),
            "azure" => name.starts_with("Standard_B"),
            "gcp" => ["e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"].contains(&name),
            _ => false,
        };
        for machine in catalog
            .machines
            .iter()
            .filter(|machine| machine.service.is_none())
        {
            let expected = families(&machine.cloud, &machine.instance_type);
            assert_eq!(
                machine.baseline_vcpu_thousandths.is_some(),
                expected,
                "{machine:?}"
            );
        }
    }
}
