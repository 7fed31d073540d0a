//! The place of the catalog that a list of region pairs means.

use crate::catalog::draft::Draft;

/// The place that a list means: `gcp:us-west1-a` is in `gcp:us-west1`; a bare region is the
/// given cloud's.
pub(super) fn place_of_region(draft: &Draft, cloud: Option<&str>, text: &str) -> Option<String> {
    let name = match (text.contains(':'), cloud) {
        (true, _) => text.to_owned(),
        (false, Some(cloud)) => format!("{cloud}:{text}"),
        (false, None) => return None,
    };
    if draft.places.contains_key(&name) {
        return Some(name);
    }
    let (region, zone) = name.rsplit_once('-')?;
    (zone.len() == 1 && draft.places.contains_key(region)).then(|| region.to_owned())
}
