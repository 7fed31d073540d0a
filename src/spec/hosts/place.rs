//! The places of `hosts.toml`: what rules may ask of them.

use super::fault::HostsFault;
use super::reader::HostsFile;
use super::text_checks::cell;
use crate::model::hosts::HostPlace;
use crate::model::{geography, offer};
use serde::Deserialize;
use toml::Spanned;

/// A table of a place.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceForm {
    country: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    operator: Option<Spanned<String>>,
    parent: Option<Spanned<String>>,
    parent_country: Option<Spanned<String>>,
    us_cloud_act: Option<Spanned<String>>,
    class: Option<Spanned<String>>,
    #[serde(default)]
    certifications: Vec<Spanned<String>>,
}

/// A place as its table says.
pub(super) fn place(file: &HostsFile, form: &PlaceForm) -> Result<HostPlace, HostsFault> {
    let text = |value, fits: fn(&str) -> bool, what, hint| {
        file.text(value, fits, what, hint)
            .map(Option::unwrap_or_default)
    };
    let country = |value| {
        let hint =
            "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it out if unknown";
        let is_known_country = |text: &str| {
            geography::COUNTRIES
                .split_whitespace()
                .any(|known| known == text)
        };
        text(value, is_known_country, "country", hint)
    };
    let hint = "write it without quotes, semicolons and control characters";
    let is_known_reach = |text: &str| ["yes", "no", "contested", "unknown"].contains(&text);
    let class = |text: &str| offer::CLASSES.iter().any(|(name, _)| *name == text);
    let classes = offer::CLASSES.map(|(name, _)| name).join(", ");
    let mut certifications = Vec::new();
    for scheme in &form.certifications {
        let scheme = Some(scheme.clone());
        certifications.extend(file.text(&scheme, cell, "name of a scheme", hint)?);
    }
    Ok(HostPlace {
        country: country(&form.country)?,
        location: text(&form.location, cell, "location", hint)?,
        operator: text(&form.operator, cell, "operator", hint)?,
        parent: text(&form.parent, cell, "name of an owner", hint)?,
        parent_country: country(&form.parent_country)?,
        us_cloud_act: text(
            &form.us_cloud_act,
            is_known_reach,
            "answer",
            "write yes, no, contested or unknown",
        )?,
        class: file
            .text(&form.class, class, "class", &format!("write {classes}"))?
            .unwrap_or_default(),
        certifications,
    })
}
