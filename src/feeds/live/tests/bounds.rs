//! Bodies without an end, and small ones that unpack to large ones: each source gives them up with
//! a clear error, keeps the old rows, and leaves nothing in the cache.

use super::*;

const LARGEST: u64 = 1 << 20;

/// A gzip that unpacks to so many bytes, of which it has a hundredth itself: one block of Huffman
/// codes that repeats its first byte, 258 bytes with each code (RFC 1951, 3.2.6).
fn bomb(size: usize) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut bits) = (0_u32, 0);
    // Codes begin with their highest bit, all else with its lowest.
    let mut put = |value: u32, count: u32, bytes: &mut Vec<u8>| {
        held |= value << bits;
        bits += count;
        while bits >= 8 {
            bytes.push((held & 0xff) as u8);
            held >>= 8;
            bits -= 8;
        }
    };
    let code = |value: u32, count: u32| value.reverse_bits() >> (32 - count);
    // The last block, of fixed codes; then an `x`.
    put(0b011, 3, &mut bytes);
    put(code(0x30 + u32::from(b'x'), 8), 8, &mut bytes);
    for _ in 0..size / 258 {
        // 258 bytes, from one byte before.
        put(code(0b1100_0101, 8), 8, &mut bytes);
        put(code(0, 5), 5, &mut bytes);
    }
    put(0, 7, &mut bytes);
    put(0, 8, &mut bytes);
    bytes
}

/// Makes an answer as often as one is asked for.
type MakeAnswer = Box<dyn Fn() -> Answer + Send + Sync>;

/// The bodies: one that says that it is too large, one that has no end, a bomb, and an endless one
/// of bombs.
fn bodies() -> Vec<(&'static str, MakeAnswer)> {
    let gzip = |answer: Answer| answer.with("Content-Encoding", "gzip");
    let packed = bomb(64 << 20);
    assert!(packed.len() < 1 << 19, "{}", packed.len());
    let again = packed.clone();
    vec![
        (
            "announced",
            Box::new(|| Answer::ok(vec![b'x'; 3 * LARGEST as usize])),
        ),
        (
            "endless",
            Box::new(|| Answer::ok(vec![b'x'; 8192]).endless()),
        ),
        (
            "endless blanks",
            Box::new(|| Answer::ok(vec![b' '; 8192]).endless()),
        ),
        ("bomb", Box::new(move || gzip(Answer::ok(packed.clone())))),
        (
            "endless bombs",
            Box::new(move || gzip(Answer::ok(again.clone())).endless()),
        ),
    ]
}

/// Sources, and the part of an address from which on they answer without an end: all that is asked
/// before is answered well.
const SOURCES: [(&str, &str); 10] = [
    ("azure", "/api/retail/prices"),
    ("azure", "skip=1000"),
    ("gcp", "/v1/services/6F81-5844-456A/skus"),
    ("gcp", "pageToken"),
    ("gcp", "/v1/services/E000-3F24-B8AA/skus"),
    ("aws", "region_index.json"),
    ("aws", "us-east-1/index.csv"),
    ("aws-spot-advisor", "/spot-advisor-data.json"),
    ("skypilot", "vms.csv"),
    ("catalog", "/own/"),
];

#[test]
fn a_body_without_an_end_ends_with_a_clear_error_at_every_source() {
    for (name, body) in bodies() {
        let body = std::sync::Arc::new(body);
        for (source, from) in SOURCES {
            let body = body.clone();
            let server = Server::new(move |request| match request.path.contains(from) {
                true => body(),
                false => good(request),
            });
            let bench = Bench::new();
            let before = bench.bytes();
            let mut settings = UpdateSettings {
                largest: LARGEST,
                ..bench.settings(&server)
            };
            settings.endpoints.own = Some(format!("{}/own/", server.address()));
            let begun = std::time::Instant::now();
            let wanted = SourceSelection {
                sources: vec![source.to_owned()],
                // Of regions that are named, also large lists are fetched.
                regions: match source {
                    "aws" => vec![Pattern("*".to_owned())],
                    _ => Vec::new(),
                },
                ..SourceSelection::default()
            };
            let update = bench.update_of(&wanted, &settings).unwrap();
            let why = |outcome: &SourceOutcome| match &outcome.status {
                SourceStatus::Failed(why) => Some(why.clone()),
                _ => None,
            };
            let all: Vec<String> = update.outcomes.iter().filter_map(why).collect();
            assert!(!all.is_empty(), "{name} {source} {from}");
            assert!(
                all.iter()
                    .all(|why| why.contains("answers more than 1 MiB")),
                "{name} {source} {from}: {all:?}"
            );
            // What was read well of the same source may be taken; what was not stays.
            if !from.contains("us-east-1") {
                assert!(before == bench.bytes(), "{name} {source} {from}");
            }
            assert!(bench.rows("aws/prices.csv").contains("us-east-1"));
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(20), "{name} {source}: {took:?}");
            // Nothing of it is left in the cache.
            let kept = size(&settings.cache);
            assert!(kept < 256 << 10, "{name} {source} {from}: {kept}");
        }
    }
}

#[test]
fn a_list_of_pages_without_an_end_ends_with_a_clear_error() {
    for source in ["azure", "gcp"] {
        // Each page is small, and none is the last.
        let server = Server::new(|request| {
            let number = request.path.len();
            let filler = "x".repeat(50_000);
            Answer::ok(match request.path.starts_with("/api") {
                true => format!(
                    "{{\"Items\": [], \"filler\": \"{filler}\", \"NextPageLink\": \
                     \"https://prices.azure.com/api/retail/prices?$skip={}\"}}",
                    "1".repeat(number)
                ),
                false => format!(
                    "{{\"skus\": [], \"filler\": \"{filler}\", \"nextPageToken\": \"{}\"}}",
                    "1".repeat(number)
                ),
            })
        });
        let bench = Bench::new();
        let before = bench.bytes();
        let settings = UpdateSettings {
            largest: LARGEST,
            ..bench.settings(&server)
        };
        let end = ends(&bench.update(&[source], &settings), &server);
        assert!(
            end.contains("HOST answers more than 1 MiB: no list is so long"),
            "{end}"
        );
        assert!(before == bench.bytes());
        assert!(size(&settings.cache) < 256 << 10, "{source}");
    }
}

/// Bytes below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            found => found.map_or(0, |found| found.len()),
        })
        .sum()
}
