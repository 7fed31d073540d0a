//! What a cloud offers: machines, their prices, and services.

use super::checker::{Check, Checked, Least, service_name};
use crate::catalog::format::{NANO, PPM_PER_PERCENT};
use crate::feeds::register::exact_figure::Figure;
use crate::model::{Tee, service};
use std::collections::BTreeMap;
use std::ops::Range;

impl Check<'_> {
    pub(super) fn machines(&self) -> Checked {
        for (name, machine) in &self.cloud_file.machines {
            if name.get_ref().is_empty() || name.get_ref().contains([',', ';', '"', '*', '\n']) {
                let hint = "leave `,` `;` `*` and quotes out";
                return self.wrong(
                    name.span(),
                    format!("`{}` is not a name for an instance type", name.get_ref()),
                    hint,
                );
            }
            self.figure("vcpus", machine.vcpus.as_ref(), 1000, Least::MoreThanZero)?;
            self.figure(
                "memory_gib",
                machine.memory_gib.as_ref(),
                1 << 30,
                Least::MoreThanZero,
            )?;
            self.figure("count", machine.count.as_ref(), 1000, Least::MoreThanZero)?;
            if let Some(card) = machine
                .accelerator
                .as_ref()
                .filter(|card| card.get_ref().trim().is_empty())
            {
                return self.wrong(
                    card.span(),
                    "accelerator: it has no name",
                    "leave it out if there is none",
                );
            }
            if let Some(count) = &machine.count {
                if machine.accelerator.is_none() {
                    let hint = "add `accelerator`, or leave `count` out";
                    return self.wrong(
                        count.span(),
                        "count: there is no accelerator to count",
                        hint,
                    );
                }
                if count
                    .get_ref()
                    .checked(1000)
                    .is_none_or(|count| u32::try_from(count).is_err())
                {
                    let message = format!("count: {} is too large", count.get_ref().0);
                    return self.wrong(
                        count.span(),
                        message,
                        "write how many there are, such as 8",
                    );
                }
            }
            if let Some(arch) = machine
                .arch
                .as_ref()
                .filter(|arch| !["x86_64", "arm64"].contains(&arch.get_ref().as_str()))
            {
                let message = format!("unknown architecture `{}`", arch.get_ref());
                return self.wrong(arch.span(), message, "write x86_64 or arm64");
            }
            if let Some(tee) = machine
                .tee
                .iter()
                .find(|tee| Tee::parse(tee.get_ref()).is_none())
            {
                let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
                let hint = format!("it is one of {}", names.join(", "));
                return self.wrong(
                    tee.span(),
                    format!("unknown environment `{}`", tee.get_ref()),
                    hint,
                );
            }
        }
        Ok(())
    }

    pub(super) fn prices(&self) -> Checked {
        for price in &self.cloud_file.prices {
            self.regions(&price.places)?;
            let name = &price.instance_type;
            if !self.cloud_file.machines.contains_key(name) {
                let hint = "add it: `[machines.\"NAME\"]` with vcpus and memory_gib";
                return self.wrong(
                    name.span(),
                    format!("there is no machine `{}` in this file", name.get_ref()),
                    hint,
                );
            }
            if price.on_demand.is_none() && price.spot.is_none() {
                let hint =
                    "give `on_demand`, `spot`, or both; leave the row out if the price is unknown";
                return self.wrong(name.span(), "this row has no price", hint);
            }
            self.price("on_demand", price.on_demand.as_ref())?;
            self.price("spot", price.spot.as_ref())?;
            if let (Some(on_demand), Some(spot)) = (&price.on_demand, &price.spot)
                && spot.get_ref().scaled(NANO) > on_demand.get_ref().scaled(NANO)
            {
                let message = format!(
                    "spot: {} is above the {} on demand",
                    spot.get_ref().0,
                    on_demand.get_ref().0
                );
                return self.wrong(
                    spot.span(),
                    message,
                    "a spot machine costs no more: correct one of them",
                );
            }
            if let Some(percent) = &price.interrupted_percent {
                if price.spot.is_none() {
                    let hint = "give `spot`, or leave it out";
                    return self.wrong(
                        percent.span(),
                        "interrupted_percent: this row has no spot price",
                        hint,
                    );
                }
                self.figure(
                    "interrupted_percent",
                    Some(percent),
                    PPM_PER_PERCENT,
                    Least::Zero,
                )?;
                if percent.get_ref().scaled(PPM_PER_PERCENT) >= 1_000_000 {
                    let message = format!(
                        "interrupted_percent: {} % is not less than all",
                        percent.get_ref().0
                    );
                    return self.wrong(percent.span(), message, "write a percentage below 100");
                }
            }
        }
        Ok(())
    }

    pub(super) fn services(&self) -> Checked {
        /// Where a service of this name is first offered, its unit and size.
        type Shape<'a> = (Range<usize>, &'a str, [Option<i64>; 2]);
        let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
        for row in &self.cloud_file.services {
            self.regions(&row.places)?;
            if !service::is_name(row.service.get_ref()) {
                let message = format!("`{}` is not a name of a service", row.service.get_ref());
                return self.wrong(
                    row.service.span(),
                    message,
                    "use small letters, digits and `-`",
                );
            }
            if service::Unit::parse(row.unit.get_ref()).is_none() {
                let units = service::Unit::ALL.map(service::Unit::name).join(", ");
                let message = format!("unknown unit `{}`", row.unit.get_ref());
                return self.wrong(row.unit.span(), message, format!("it is one of {units}"));
            }
            if let Some(version) = row
                .version
                .as_ref()
                .filter(|text| service::Version::parse(text.get_ref()).is_none())
            {
                let message = format!("`{}` is not a version", version.get_ref());
                return self.wrong(
                    version.span(),
                    message,
                    "write numbers with dots between, such as 3.5",
                );
            }
            self.price("price", Some(&row.price))?;
            self.figure("vcpus", row.vcpus.as_ref(), 1000, Least::MoreThanZero)?;
            self.figure(
                "memory_gib",
                row.memory_gib.as_ref(),
                1 << 30,
                Least::MoreThanZero,
            )?;
            let size = |figure: &Option<Figure>, per| {
                figure.as_ref().map(|figure| figure.get_ref().scaled(per))
            };
            let shape = (
                row.service.span(),
                row.unit.get_ref().as_str(),
                [size(&row.vcpus, 1000), size(&row.memory_gib, 1 << 30)],
            );
            let full_name = service_name(row);
            if let Some((first, unit, size)) = shapes.get(&full_name)
                && (*unit, size) != (shape.1, &shape.2)
            {
                let message = format!(
                    "`{full_name}` has another unit or size at line {}",
                    self.line(first.clone())
                );
                return self.wrong(
                    row.service.span(),
                    message,
                    "give one of them a `product` of its own",
                );
            }
            shapes.entry(full_name).or_insert(shape);
        }
        Ok(())
    }
}
