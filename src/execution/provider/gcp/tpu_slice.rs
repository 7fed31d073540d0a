//! The slices of TPUs that types of the catalog stand for.

use super::super::{ErrorKind, ProviderError};
use crate::util::{environment, variables};

/// How types of TPUs begin in the catalog.
pub(super) const PREFIX: &str = "tpu-";
/// Generations, by the beginning of their types, and the software for them: Google's common images
/// for JAX and PyTorch, by "TPU software versions" of its documentation.
const VERSIONS: [(&str, &str); 6] = [
    ("v2-", "tpu-ubuntu2204-base"),
    ("v3-", "tpu-ubuntu2204-base"),
    ("v4-", "tpu-ubuntu2204-base"),
    ("v5litepod-", "v2-alpha-tpuv5-lite"),
    ("v5p-", "v2-alpha-tpuv5"),
    ("v6e-", "v2-alpha-tpuv6e"),
];
/// The largest number in the name of a slice that has one host: of cores up to v4 and for v5p, else
/// of chips.
const ONE_HOST: u32 = 8;

/// A slice of TPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Google's name of it, as `v5litepod-8`.
    pub kind: String,
    pub version: String,
}

impl Slice {
    /// The slice that a type of the catalog is; none: it is not a TPU. A host that the catalog
    /// names with it (`tpu-v3-8+n1-highmem-8`) is of no account: a TPU VM brings its own, which is
    /// larger.
    pub(super) fn parse(name: &str) -> Result<Option<Self>, ProviderError> {
        let Some(kind) = name.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let kind = kind.split_once('+').map_or(kind, |(kind, _)| kind);
        let known_version = VERSIONS
            .iter()
            .find(|(generation, _)| kind.starts_with(generation));
        let size_text =
            known_version.and_then(|(generation, _)| kind[generation.len()..].parse::<u32>().ok());
        let (Some((_, version)), Some(size)) = (known_version, size_text) else {
            let known_kinds: Vec<&str> = VERSIONS
                .iter()
                .map(|(generation, _)| generation.trim_end_matches('-'))
                .collect();
            let (name, known) = (name.escape_debug(), known_kinds.join(", "));
            let message =
                format!("gcp: sky does not know the TPU `{name}`: it knows slices of {known}");
            return Err(ProviderError::new(ErrorKind::Other, message));
        };
        if size > ONE_HOST {
            let message = format!(
                "gcp: `{name}` has several hosts, and a stage gets one machine: the largest is {PREFIX}{}{ONE_HOST}",
                known_version.map_or("", |(generation, _)| generation)
            );
            // As where a stage wants several machines: another offer may have one that is large
            // enough.
            return Err(ProviderError::new(ErrorKind::Quota, message));
        }
        let given_version = environment::text(variables::SKY_GCP_TPU_VERSION);
        Ok(Some(Self {
            kind: kind.to_owned(),
            version: given_version.unwrap_or_else(|| (*version).to_owned()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_catalog_are_slices() {
        let slice = |name: &str| {
            Slice::parse(name).map(|slice| slice.map(|slice| (slice.kind, slice.version)))
        };
        for (name, kind, version) in [
            ("tpu-v2-8+n1-highmem-8", "v2-8", "tpu-ubuntu2204-base"),
            ("tpu-v3-8", "v3-8", "tpu-ubuntu2204-base"),
            ("tpu-v5litepod-4", "v5litepod-4", "v2-alpha-tpuv5-lite"),
            ("tpu-v5p-8", "v5p-8", "v2-alpha-tpuv5"),
            ("tpu-v6e-8", "v6e-8", "v2-alpha-tpuv6e"),
        ] {
            assert_eq!(
                slice(name),
                Ok(Some((kind.to_owned(), version.to_owned()))),
                "{name}"
            );
        }
        assert_eq!(slice("2xT4+n1-standard-8"), Ok(None));
        for (name, kind, part) in [
            ("tpu-v3-32", ErrorKind::Quota, "the largest is tpu-v3-8"),
            (
                "tpu-v5p-12288",
                ErrorKind::Quota,
                "the largest is tpu-v5p-8",
            ),
            ("tpu-v9-8", ErrorKind::Other, "it knows slices of v2, v3"),
            ("tpu-v3-8/../x", ErrorKind::Other, "does not know"),
            ("tpu-", ErrorKind::Other, "does not know"),
        ] {
            let error = slice(name).unwrap_err();
            assert!(
                error.kind == kind && error.message.contains(part),
                "{name}: {error}"
            );
        }
    }
}
