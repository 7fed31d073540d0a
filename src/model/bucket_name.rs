//! Names of the buckets for data between stages: whose they are, and where, is in the name.
//!
//! `sky-OWNER-MARK-REGION`: the beginning of the state's lineage, eight hexadecimal digits that
//! differ between any two buckets, the region of the place.

use super::PlaceName;
use crate::util::hash;

/// How the name of every bucket of `sky` begins.
pub const PREFIX: &str = "sky-";
/// How much of a lineage is in a name, in characters.
pub const OWNER_LENGTH: usize = 12;
/// How much of a region is in a name, in characters.
const REGION_LENGTH: usize = 30;
/// The hexadecimal digits that tell two buckets of one owner apart.
pub const MARK_LENGTH: usize = 8;

/// The part of a bucket's name that says which state it belongs to.
pub fn owner(lineage: &str) -> String {
    let plain_letters = lineage
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(OWNER_LENGTH);
    plain_letters
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// The name of a new bucket of a place. No two nonces of a lineage give the same.
pub fn new(place: &PlaceName, lineage: &str, nonce: u64) -> String {
    let mark_digest = hash::digest(format!("{lineage}\n{place}\n{nonce}").as_bytes());
    let short_mark = mark_digest.hex().get(..MARK_LENGTH).unwrap_or_default();
    let name = format!(
        "{PREFIX}{}-{short_mark}-{}",
        owner(lineage),
        region_part(place)
    );
    name.trim_end_matches('-').to_owned()
}

fn region_part(place: &PlaceName) -> String {
    let plain_letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let region: String = place
        .region
        .chars()
        .map(plain_letter)
        .take(REGION_LENGTH)
        .collect();
    region.trim_matches('-').to_owned()
}

/// Whether a bucket of this place could have got this name under this lineage.
pub fn is_of(name: &str, place: &PlaceName, lineage: &str) -> bool {
    let owner = owner(lineage);
    let after_owner = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix(owner.as_str())?.strip_prefix('-'));
    let Some((mark, after)) = after_owner.and_then(|rest| rest.split_at_checked(MARK_LENGTH))
    else {
        return false;
    };
    let region = region_part(place);
    let wanted_end = if region.is_empty() {
        String::new()
    } else {
        format!("-{region}")
    };
    !owner.is_empty()
        && hash::is_hex(mark, MARK_LENGTH)
        && after == wanted_end.trim_end_matches('-')
}

/// Why a state of this lineage cannot have made a bucket of this place at this address. Such a
/// bucket is never read, written or deleted: the address may name anything.
pub fn fault(address: &str, place: &PlaceName, lineage: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = address.split_once("://") else {
        return Some("it is not the address of a bucket");
    };
    let name = match scheme {
        "s3" | "gs" | "az" => {
            let cloud = match scheme {
                "s3" => "aws",
                "gs" => "gcp",
                _ => "azure",
            };
            if place.cloud != cloud {
                return Some("it is at another cloud than its place");
            }
            rest
        }
        "file" => {
            let Some((above, name)) = rest.rsplit_once('/') else {
                return Some("it does not name a folder");
            };
            let is_whole_part = |part: &str| !part.is_empty() && part != "." && part != "..";
            if !above.split('/').skip(1).all(is_whole_part) || !rest.starts_with('/') {
                return Some("it is not a plain absolute path of a folder");
            }
            name
        }
        _ => return Some("it is in no kind of store that sky knows"),
    };
    (!is_of(name, place, lineage))
        .then_some("its name is none that sky gives to buckets of this state and place")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_own_lineage_and_place_are_own() {
        let lineage = "0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9";
        let aws = PlaceName::parse("aws:us-east-1").unwrap();
        let host = PlaceName::parse("ssh:My Host-").unwrap();
        let name = new(&aws, lineage, 7);
        assert_eq!(fault(&format!("s3://{name}"), &aws, lineage), None);
        assert_eq!(
            fault(&format!("file:///shared/x/{name}"), &aws, lineage),
            None
        );
        assert_eq!(fault(&format!("file:///{name}"), &aws, lineage), None);
        assert_eq!(
            fault(
                &format!("file:///shared/{}", new(&host, lineage, 1)),
                &host,
                lineage
            ),
            None
        );
        let other = new(&aws, "ffffffff-4e5f-6071-8293-a4b5c6d7e8f9", 7);
        for address in [
            "file:///any/dir".to_owned(),
            "file:///".to_owned(),
            String::new(),
            name.clone(),
            format!("file://{name}"),
            format!("file:///a/../{name}"),
            format!("file:///a//{name}"),
            format!("file:///a/{name}/"),
            format!("file:///a/{name}/.."),
            format!("file:///a/{name}x"),
            format!("s3://{name}/x"),
            format!("s3://{other}"),
            format!("file:///shared/{other}"),
            format!("gs://{name}"),
            format!("ftp://{name}"),
            "s3://production-data".to_owned(),
            format!(
                "s3://{}",
                new(&PlaceName::parse("aws:us-west-2").unwrap(), lineage, 7)
            ),
        ] {
            assert!(fault(&address, &aws, lineage).is_some(), "{address}");
        }
        assert!(fault("s3://sky--00000000-us-east-1", &aws, "").is_some());
    }
}
