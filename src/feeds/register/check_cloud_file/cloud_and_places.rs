//! The cloud itself: its name, the days of its file, how it bills, and its places.

use super::checker::{Check, Checked, Least};
use crate::catalog::format::{GIGABYTES, MILLIS_PER_SECOND, NANO};
use crate::model::{geography, offer, service};

impl Check<'_> {
    pub(super) fn cloud(&self) -> Checked {
        let cloud = self.cloud_file.cloud.get_ref();
        if !service::is_name(cloud) || cloud == "local" || cloud.len() > 32 {
            let hint = "use small letters, digits and `-`, a letter first; `local` is this machine";
            return self.wrong(
                self.cloud_file.cloud.span(),
                format!("`{cloud}` is not a name for a cloud"),
                hint,
            );
        }
        Ok(())
    }

    pub(super) fn days(&self) -> Checked {
        let cloud_file = self.cloud_file;
        let whole_validity = (
            cloud_file.valid_from.as_ref(),
            Some(&cloud_file.valid_until),
        );
        let prices = cloud_file
            .prices
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        let services = cloud_file
            .services
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        let discounts = cloud_file
            .discounts
            .iter()
            .map(|row| (row.valid_from.as_ref(), row.valid_until.as_ref()));
        self.day(&cloud_file.date)?;
        for (from, until) in std::iter::once(whole_validity)
            .chain(prices)
            .chain(services)
            .chain(discounts)
        {
            for day in [from, until].into_iter().flatten() {
                self.day(day)?;
            }
            if let (Some(from), Some(until)) = (from, until)
                && from.get_ref() > until.get_ref()
            {
                let message = format!(
                    "it ends on {}, before it begins on {}",
                    until.get_ref(),
                    from.get_ref()
                );
                return self.wrong(until.span(), message, "write a later day");
            }
        }
        Ok(())
    }

    pub(super) fn terms(&self) -> Checked {
        let terms = &self.cloud_file.terms;
        for (name, figure, per) in [
            ("increment_s", &terms.increment_s, MILLIS_PER_SECOND),
            ("minimum_s", &terms.minimum_s, MILLIS_PER_SECOND),
            ("boot_s", &terms.boot_s, MILLIS_PER_SECOND),
            ("free_egress_gb", &terms.free_egress_gb, NANO),
            (
                "storage_usd_per_gb_month",
                &terms.storage_usd_per_gb_month,
                NANO,
            ),
            ("gb_bytes", &terms.gb_bytes, 1),
        ] {
            self.figure(name, figure.as_ref(), per, Least::Zero)?;
        }
        let is_known = |bytes: i64| {
            GIGABYTES
                .iter()
                .any(|gigabyte| i64::try_from(gigabyte.0) == Ok(bytes))
        };
        if let Some(bytes) = terms
            .gb_bytes
            .as_ref()
            .filter(|bytes| !is_known(bytes.get_ref().scaled(1)))
        {
            let hint = "write 1000000000, or 1073741824 for a GiB";
            return self.wrong(
                bytes.span(),
                "no cloud bills by a GB of so many bytes",
                hint,
            );
        }
        Ok(())
    }

    pub(super) fn places(&self) -> Checked {
        let (cloud_file, cloud) = (self.cloud_file, self.cloud_file.cloud.get_ref());
        if cloud_file.places.is_empty() {
            return self.wrong(
                cloud_file.cloud.span(),
                "it has no places",
                "add one: `[places.REGION]` with its country",
            );
        }
        for (region, place) in &cloud_file.places {
            if crate::model::PlaceName::parse(&format!("{cloud}:{}", region.get_ref())).is_none()
                || region.get_ref().contains([',', ';', '"', '/'])
            {
                let hint = "a region is like `fra1`, without `:` `*` `,` `;` or quotes";
                return self.wrong(
                    region.span(),
                    format!("`{}` is not a name for a region", region.get_ref()),
                    hint,
                );
            }
            for country in place.country.iter().chain(&place.parent_country) {
                if !geography::COUNTRIES
                    .split_whitespace()
                    .any(|known| known == country.get_ref())
                {
                    let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it out if unknown";
                    return self.wrong(
                        country.span(),
                        format!("unknown country `{}`", country.get_ref()),
                        hint,
                    );
                }
            }
            if let Some(reach) = &place.us_cloud_act
                && !["yes", "no", "contested", "unknown"].contains(&reach.get_ref().as_str())
            {
                let hint = "write yes, no, contested or unknown";
                return self.wrong(
                    reach.span(),
                    format!("`{}` is none of the answers", reach.get_ref()),
                    hint,
                );
            }
            if let Some(class) = &place.class
                && !offer::CLASSES
                    .iter()
                    .any(|(name, _)| name == class.get_ref())
            {
                let names = offer::CLASSES.map(|(name, _)| name).join(", ");
                let message = format!("unknown class `{}`", class.get_ref());
                return self.wrong(class.span(), message, format!("write {names}"));
            }
        }
        Ok(())
    }
}
