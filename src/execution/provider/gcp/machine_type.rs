//! What a type of the catalog is at Google, and in which zones of a region it is available.

use super::super::{ErrorKind, ProviderError};
use super::api_client::{Api, answered};
use crate::model::PlaceName;
use google_cloud_compute_v1::model::machine_type::Architecture;

/// A type of the catalog: `n1-standard-8`, or with cards `2xT4+n1-standard-8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MachineType {
    pub machine: String,
    /// Google's name of the card, and how many; none for types that have them built in.
    pub cards: Option<(&'static str, i32)>,
}

/// Cards that machines of N1 are made with, by the catalog's name.
const CARDS: [(&str, &str); 5] = [
    ("K80", "nvidia-tesla-k80"),
    ("P100", "nvidia-tesla-p100"),
    ("P4", "nvidia-tesla-p4"),
    ("T4", "nvidia-tesla-t4"),
    ("V100", "nvidia-tesla-v100"),
];

/// Series with cards built in, or for clusters.
const STAYING: [&str; 8] = ["a2", "a3", "a4", "a4x", "g2", "g4", "h3", "h4d"];

/// The zones of a region that have it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zones {
    pub names: Vec<String>,
    pub arm: bool,
}

/// The series of a type of Google's: `n1` of `n1-standard-8`.
pub(super) fn series_of(machine: &str) -> &str {
    machine
        .split_once('-')
        .map_or(machine, |(series, _)| series)
}

impl MachineType {
    pub(super) fn parse(name: &str) -> Result<Self, ProviderError> {
        let wrong_type = |why: &str| {
            let message = format!("gcp: the type `{}` {why}", name.escape_debug());
            ProviderError::new(ErrorKind::Other, message)
        };
        let (cards, machine) = match name.split_once('+') {
            Some((cards, machine)) => (Some(cards), machine),
            None => (None, name),
        };
        // It becomes part of addresses and filters.
        let plain_character =
            |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
        if machine.is_empty() || !machine.chars().all(plain_character) {
            return Err(wrong_type("is none of Google's"));
        }
        let cards = match cards {
            None => None,
            Some(cards) => {
                let (count, card) = cards.split_once('x').unwrap_or(("1", cards));
                let known_card = CARDS
                    .iter()
                    .find(|(known, _)| *known == card)
                    .map(|(_, name)| *name);
                let count = count.parse().ok().filter(|count| *count > 0);
                Some(
                    known_card
                        .zip(count)
                        .ok_or_else(|| wrong_type("has cards that sky does not know at Google"))?,
                )
            }
        };
        Ok(Self {
            machine: machine.to_owned(),
            cards,
        })
    }

    /// Whether Google cannot move it to another host while it runs, and ends it for maintenance.
    pub(super) fn stays(&self) -> bool {
        let series = series_of(&self.machine);
        self.cards.is_some() || STAYING.contains(&series) || self.machine.ends_with("-metal")
    }

    /// The disk that it boots from: the newest series take no other.
    pub(super) fn disk(&self) -> &'static str {
        let series = series_of(&self.machine);
        let newest = series
            .trim_start_matches(|one: char| one.is_ascii_lowercase())
            .starts_with('4');
        if newest || self.machine.starts_with("a3-ultragpu") {
            "hyperdisk-balanced"
        } else {
            "pd-balanced"
        }
    }
}

/// Whether a zone, as `us-central1-a`, is in a region.
pub(super) fn is_in(zone: &str, region: &str) -> bool {
    zone.rsplit_once('-')
        .is_some_and(|(before, _)| before == region)
}

/// The zones of a place that have a type.
pub(super) async fn zones(
    api: &Api,
    place: &PlaceName,
    machine_type: &MachineType,
) -> Result<Zones, ProviderError> {
    let about_type = format!("look up the type {}", machine_type.machine);
    let (mut names, mut arm) = (Vec::new(), false);
    let mut page = String::new();
    loop {
        let types_call = api
            .machine_types
            .aggregated_list()
            .set_project(&api.project);
        let types_call = types_call
            .set_filter(format!("name = \"{}\"", machine_type.machine))
            .set_page_token(page);
        let types_answer = answered(types_call.send(), &about_type).await?;
        for (scope, list) in types_answer.items {
            let Some(zone) = scope.strip_prefix("zones/") else {
                continue;
            };
            let known_type = list
                .machine_types
                .first()
                .filter(|_| is_in(zone, &place.region));
            if let Some(known) = known_type {
                arm |= known.architecture == Some(Architecture::Arm64);
                names.push(zone.to_owned());
            }
        }
        page = types_answer.next_page_token.unwrap_or_default();
        if page.is_empty() {
            break;
        }
    }
    if let Some((card, _)) = machine_type.cards {
        let zones_of_card = zones_with(api, card).await?;
        names.retain(|zone| zones_of_card.contains(zone));
    }
    names.sort();
    if names.is_empty() {
        let cards = machine_type
            .cards
            .map(|(card, count)| format!(" with {count} {card}"))
            .unwrap_or_default();
        let message = format!(
            "gcp: no zone of {place} has {}{cards}",
            machine_type.machine
        );
        return Err(ProviderError::new(ErrorKind::Stockout, message));
    }
    Ok(Zones { names, arm })
}

/// The zones of the world that have a card.
async fn zones_with(api: &Api, card: &str) -> Result<Vec<String>, ProviderError> {
    let mut found_zones = Vec::new();
    let mut page = String::new();
    loop {
        let cards_call = api
            .accelerator_types
            .aggregated_list()
            .set_project(&api.project);
        let cards_call = cards_call
            .set_filter(format!("name = \"{card}\""))
            .set_page_token(page);
        let cards_answer = answered(cards_call.send(), &format!("look up the card {card}")).await?;
        let zones = cards_answer
            .items
            .into_iter()
            .filter(|(_, list)| !list.accelerator_types.is_empty());
        found_zones
            .extend(zones.filter_map(|(scope, _)| Some(scope.strip_prefix("zones/")?.to_owned())));
        page = cards_answer.next_page_token.unwrap_or_default();
        if page.is_empty() {
            return Ok(found_zones);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_catalog_are_read() {
        let kind = |name: &str| {
            MachineType::parse(name)
                .map(|machine_type| (machine_type.machine, machine_type.cards))
                .map_err(|error| error.kind)
        };
        assert_eq!(
            kind("n1-standard-8"),
            Ok(("n1-standard-8".to_owned(), None))
        );
        assert_eq!(
            kind("2xT4+n1-standard-8"),
            Ok(("n1-standard-8".to_owned(), Some(("nvidia-tesla-t4", 2))))
        );
        assert_eq!(
            kind("V100+n1-highmem-8"),
            Ok(("n1-highmem-8".to_owned(), Some(("nvidia-tesla-v100", 1))))
        );
        for wrong in [
            "tpu-v2-8+n1-standard-8",
            "2xH9+n1-standard-8",
            "",
            "n1\" OR name = \"x",
            "0xT4+n1",
        ] {
            assert_eq!(kind(wrong), Err(ErrorKind::Other), "{wrong}");
        }
    }

    #[test]
    fn what_has_cards_is_not_moved() {
        for (name, stays) in [
            ("n1-standard-8", false),
            ("T4+n1-standard-8", true),
            ("a2-highgpu-1g", true),
            ("c3-standard-192-metal", true),
            ("c3-standard-4-lssd", false),
        ] {
            assert_eq!(MachineType::parse(name).unwrap().stays(), stays, "{name}");
        }
    }

    #[test]
    fn disks_fit_series() {
        for (name, disk) in [
            ("n1-standard-8", "pd-balanced"),
            ("c3-standard-4", "pd-balanced"),
            ("a3-highgpu-8g", "pd-balanced"),
            ("a3-ultragpu-8g", "hyperdisk-balanced"),
            ("c4-standard-2", "hyperdisk-balanced"),
            ("n4-standard-2", "hyperdisk-balanced"),
            ("c4a-standard-2", "hyperdisk-balanced"),
        ] {
            assert_eq!(MachineType::parse(name).unwrap().disk(), disk, "{name}");
        }
    }

    #[test]
    fn zones_are_told_from_those_of_regions_with_longer_names() {
        assert!(is_in("us-central1-a", "us-central1"));
        assert!(!is_in("europe-west10-a", "europe-west1") && !is_in("us-central1", "us-central1"));
    }
}
