//! What data costs to move, how much may run at once, and what is cheaper from some amount on.

use super::checker::{Check, Checked, Least};
use crate::catalog::format::{NANO, PPM_PER_PERCENT};
use crate::feeds::register::cloud_file::Cards;
use crate::feeds::register::exact_figure::Figure;
use crate::model::Pattern;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

impl Check<'_> {
    pub(super) fn network(&self) -> Checked {
        let mut rates: BTreeMap<(&str, &str, i64), Range<usize>> = BTreeMap::new();
        for row in &self.cloud_file.egress {
            self.region(&row.from)?;
            self.figure("above_gb", row.above_gb.as_ref(), NANO, Least::Zero)?;
            self.figure("usd_per_gb", Some(&row.usd_per_gb), NANO, Least::Zero)?;
            let above = row
                .above_gb
                .as_ref()
                .map_or(0, |above| above.get_ref().scaled(NANO));
            let (from, to) = (row.from.get_ref().as_str(), row.to.get_ref().as_str());
            if let Some(first) = rates.insert((from, to, above), row.usd_per_gb.span()) {
                let message = format!(
                    "`{from}` to `{to}` has another rate for the same volume at line {}",
                    self.line(first)
                );
                let hint = "keep one of them, or start one above more gigabytes: `above_gb`";
                return self.wrong(row.usd_per_gb.span(), message, hint);
            }
        }
        for row in &self.cloud_file.egress {
            let (from, to) = (row.from.get_ref().as_str(), row.to.get_ref().as_str());
            if !rates.contains_key(&(from, to, 0)) {
                let message = format!("`{from}` to `{to}` has no rate from the first byte");
                return self.wrong(row.from.span(), message, "add a row with above_gb = 0");
            }
        }
        let mut routes: BTreeMap<(&str, &str), Range<usize>> = BTreeMap::new();
        for route in &self.cloud_file.throughput {
            let is_ours = |end: &Spanned<String>| {
                end.get_ref() == "*" || self.cloud_file.places.contains_key(end)
            };
            if !is_ours(&route.from) && !is_ours(&route.to) {
                let hint = "one end must be a region of this file, or `*` for all of them";
                return self.wrong(route.from.span(), "this way is between other clouds", hint);
            }
            if route.from.get_ref() == "internet" {
                let hint = "name a region of this file, or a place";
                return self.wrong(
                    route.from.span(),
                    "`internet` is not a place to start from",
                    hint,
                );
            }
            self.figure("gbps", Some(&route.gbps), NANO, Least::MoreThanZero)?;
            let route_key = (route.from.get_ref().as_str(), route.to.get_ref().as_str());
            if let Some(first) = routes.insert(route_key, route.from.span()) {
                let message = format!(
                    "`{}` to `{}` is at line {} too",
                    route_key.0,
                    route_key.1,
                    self.line(first)
                );
                return self.wrong(route.from.span(), message, "keep one of the rows");
            }
        }
        Ok(())
    }

    pub(super) fn quotas(&self) -> Checked {
        let check_whole = |name: &str, figure: &Figure| {
            self.figure(name, Some(figure), 1000, Least::Zero)?;
            let thousandths = figure.get_ref().scaled(1000);
            if thousandths % 1000 != 0 || u32::try_from(thousandths / 1000).is_err() {
                let message = format!("{name}: {} is not a number of them", figure.get_ref().0);
                return self.wrong(figure.span(), message, "write a whole number such as 64");
            }
            Ok(())
        };
        let mut limits: BTreeMap<(String, &str), Range<usize>> = BTreeMap::new();
        for quota in &self.cloud_file.quotas {
            if let Some(places) = &quota.places {
                self.regions(places)?;
            }
            let mut counted_quotas: Vec<(&str, Range<usize>)> = Vec::new();
            for (name, figure) in [("cpus", &quota.cpus), ("instances", &quota.instances)] {
                if let Some(figure) = figure {
                    check_whole(name, figure)?;
                    counted_quotas.push((name, figure.span()));
                }
            }
            match quota
                .accelerators
                .as_ref()
                .map(|cards| (cards.get_ref(), cards.span()))
            {
                Some((Cards::Any(most), at)) => {
                    check_whole("accelerators", &Spanned::new(at.clone(), most.clone()))?;
                    counted_quotas.push(("accelerators", at));
                }
                Some((Cards::Named(cards), at)) => {
                    if cards.is_empty() {
                        let hint = "name one: `accelerators = { V100 = 16 }`";
                        return self.wrong(at, "accelerators: there is no card in it", hint);
                    }
                    for (card, most) in cards {
                        check_whole(card.get_ref(), most)?;
                        counted_quotas.push((card.get_ref(), card.span()));
                    }
                }
                None => {}
            }
            if counted_quotas.is_empty() {
                let message = "there is a quota that limits nothing";
                let places_span = quota
                    .places
                    .as_ref()
                    .map_or_else(|| self.table("quotas"), Spanned::span);
                return self.wrong(
                    places_span,
                    message,
                    "give `cpus`, `instances` or `accelerators`",
                );
            }
            let places = match &quota.places {
                Some(places) => places
                    .get_ref()
                    .iter()
                    .map(|place| place.get_ref().clone())
                    .collect(),
                None => vec![String::new()],
            };
            for (what, at) in counted_quotas {
                for place in &places {
                    if let Some(first) = limits.insert((place.clone(), what), at.clone()) {
                        let quota_place = if place.is_empty() { "the cloud" } else { place };
                        let message = format!(
                            "{what}: {quota_place} has another quota of it at line {}",
                            self.line(first)
                        );
                        return self.wrong(at, message, "keep one of them");
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn discounts(&self) -> Checked {
        for discount in &self.cloud_file.discounts {
            let percent = discount.percent.get_ref();
            let discount_ppm = percent.scaled(PPM_PER_PERCENT);
            if discount_ppm <= 0 || discount_ppm >= 1_000_000 {
                let message = format!("{} % is not a discount", percent.0);
                return self.wrong(
                    discount.percent.span(),
                    message,
                    "write a percentage above 0 and below 100",
                );
            }
            if let Some(places) = &discount.places {
                self.regions(places)?;
            }
            let offered_there = self.offered(discount.places.as_ref());
            let Some(types) = &discount.instance_types else {
                if offered_there.is_empty() {
                    let message = "the discount matches nothing: nothing is offered there";
                    return self.wrong(
                        discount.percent.span(),
                        message,
                        "name places of `[[prices]]` or `[[services]]`",
                    );
                }
                continue;
            };
            if types.get_ref().is_empty() {
                let hint = "name instance types, or leave it out: all of them";
                return self.wrong(types.span(), "instance_types: it names nothing", hint);
            }
            for name in types.get_ref() {
                let pattern = Pattern(name.get_ref().clone());
                if !offered_there.iter().any(|offered| pattern.matches(offered)) {
                    let offered_anywhere = self.offered(None);
                    let far = |known: &&String| strsim::levenshtein(known, name.get_ref());
                    let hint = match offered_anywhere.iter().filter(|known| (1..=3).contains(&far(known))).min_by_key(far) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "write an instance type that is priced there, `service/NAME`, or a pattern with `*`"
                            .to_owned(),
                    };
                    let message = format!(
                        "the discount of `{}` matches nothing that is offered there",
                        name.get_ref()
                    );
                    return self.wrong(name.span(), message, hint);
                }
            }
        }
        Ok(())
    }
}
