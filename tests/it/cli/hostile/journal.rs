//! Journals that `sky` did not write.

use sky::util::hash;

/// The line of a record, with the checksum that it must have.
fn line(payload: &str) -> Vec<u8> {
    let digest = hash::digest(payload.as_bytes()).to_string();
    format!("{} {payload}\n", &digest["sha256:".len()..][..8]).into_bytes()
}

/// A record as `sky` writes it.
fn whole_record(sequence: u64, event: &str) -> Vec<u8> {
    line(&format!(
        "{{\"sequence\":{sequence},\"at\":\"2026-01-01T00:00:00.000Z\",\"event\":{event}}}"
    ))
}

/// A journal that is as it should be, beside a snapshot that has the records up to `last`.
pub(super) fn good(last: u64) -> Vec<u8> {
    whole_record(
        last + 1,
        "{\"type\":\"begun\",\"operation\":\"apply\",\"job\":\"job\",\"plan\":null}",
    )
}

/// Journals beside a snapshot that has the records up to `last`.
pub(super) fn journals(last: u64) -> Vec<(String, Vec<u8>)> {
    let record = |sequence: u64, event: &str| whole_record(last + sequence, event);
    let begun = "{\"type\":\"begun\",\"operation\":\"apply\",\"job\":\"job\",\"plan\":null}";
    let attempt = |token: &str, stage: &str| {
        format!(
            "{{\"type\":\"attempt\",\"stage\":\"{stage}\",\"attempt\":1,\"token\":\"{token}\",\"provider\":\"local\",\
             \"place\":\"local:here\",\"definition\":\"\",\"fingerprint\":\"\"}}"
        )
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no checksum", b"{\"sequence\":1}\n".to_vec()),
        ("a checksum alone", b"00000000\n".to_vec()),
        ("a wrong checksum", b"00000000 {\"sequence\":1}\n".to_vec()),
        ("a torn line", record(1, begun)[..20].to_vec()),
        (
            "a whole line and a torn one",
            [&record(1, begun)[..], b"1234"].concat(),
        ),
        (
            "an event that nobody knows",
            record(1, "{\"type\":\"nonsense\"}"),
        ),
        ("no event", record(1, "{\"x\":1}")),
        ("null", line("null")),
        ("a list", line("[]")),
        ("deep", line(&"[".repeat(50_000))),
        ("sequence zero", whole_record(0, begun)),
        ("the largest sequence", whole_record(u64::MAX, begun)),
        (
            "sequence backwards",
            [record(2, begun), record(1, begun)].concat(),
        ),
        (
            "the same sequence twice",
            [record(1, begun), record(1, begun)].concat(),
        ),
        ("a gap", [record(1, begun), record(7, begun)].concat()),
        (
            "a token that is a path",
            record(1, &attempt("../../canary", "a")),
        ),
        (
            "a token that is absolute",
            record(1, &attempt("/etc/passwd", "a")),
        ),
        ("an empty token", record(1, &attempt("", "a"))),
        (
            "a stage that is a path",
            record(1, &attempt(&"0".repeat(32), "../../../canary")),
        ),
        (
            "a stage of control characters",
            record(1, &attempt(&"0".repeat(32), "\\u001b[2J")),
        ),
        (
            "a provider that nobody has",
            record(
                1,
                &attempt(&"0".repeat(32), "a").replace("local\"", "nowhere\""),
            ),
        ),
        ("NUL bytes", vec![0; 4096]),
        ("16 MiB without a line feed", vec![b'a'; 16 << 20]),
        (
            "fifty thousand records",
            (1..50_000)
                .flat_map(|number| record(number, begun))
                .collect(),
        ),
        ("sealed by nobody", line("age:AAAA")),
        ("sealed, and not base64", line("age:!!!!")),
        (
            "carriage returns",
            record(1, begun)
                .iter()
                .flat_map(|b| {
                    if *b == b'\n' {
                        vec![b'\r', b'\n']
                    } else {
                        vec![*b]
                    }
                })
                .collect(),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}
