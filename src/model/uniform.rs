//! Uniform names of what can be rented or called: `sky:aws:us-east-1:vm/p4d.24xlarge?spot`,
//! `sky:azure:westeurope:service/spark@3.5`.
//!
//! ```text
//! sky:CLOUD:REGION:vm/TYPE[?spot]
//! sky:CLOUD:REGION:service/NAME[@VERSION][/PRODUCT]
//! ```
//!
//! Letters, digits and `- . _ ~ + $ ! , ( ) ' ; =` stand for themselves; every other byte of the
//! UTF-8 text is written `%XX`, in capitals. So a thing has one name and a name one thing: parsing
//! and printing are inverse, and other spellings are refused with the right one.

use crate::model::{PlaceName, Purchase};
use std::fmt;

/// The name of one offer, without its price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniformName {
    /// The place of the offer.
    pub place: PlaceName,
    /// What the offer is.
    pub what: What,
}

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A machine, by the provider's name of its type.
    Machine {
        /// The provider's name of the machine type.
        instance_type: String,
        /// Whether the machine is bought on demand or as spot.
        purchase: Purchase,
    },
    /// Something that runs already, or is started by whoever offers it.
    Service(ServiceName),
}

/// A service as one provider offers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// What it is compatible with: `spark`, `kubernetes`.
    pub service: String,
    /// `3.5`; empty: it has none that one could ask for.
    pub version: String,
    /// The provider's own name, where there are several of one service; may be empty.
    pub product: String,
}

/// What every name starts with.
pub const SCHEME: &str = "sky:";
/// What the names of services start with, in [`ServiceName`]'s text too.
pub const SERVICE: &str = "service/";
const MACHINE: &str = "vm/";

/// Why a text is not the uniform name of an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UniformNameError {
    /// The text does not have the form of a name.
    #[error(
        "`{}` {what}; write it like `sky:aws:us-east-1:vm/m5.large` or `sky:azure:westeurope:service/spark@3.5`",
        text.escape_debug()
    )]
    Malformed {
        /// The text.
        text: String,
        /// What it lacks or has too much.
        what: &'static str,
    },
    /// The text could be a name, and is written in another way.
    #[error("`{}` is written `{canonical}`", text.escape_debug())]
    NotCanonical {
        /// The text.
        text: String,
        /// How the name is written.
        canonical: String,
    },
}

impl UniformName {
    /// Reads a name; the error says what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Self, UniformNameError> {
        let malformed = |what| UniformNameError::Malformed {
            text: text.to_owned(),
            what,
        };
        let after_scheme = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| malformed("does not start with `sky:`"))?;
        let mut name_parts = after_scheme.splitn(3, ':');
        let (Some(cloud), Some(region), Some(what)) =
            (name_parts.next(), name_parts.next(), name_parts.next())
        else {
            return Err(malformed("has no cloud, region and offer"));
        };
        let decoded = |part: &str| {
            percent_decode(part)
                .ok_or_else(|| malformed("has a `%` without two hexadecimal digits of UTF-8"))
        };
        let place = PlaceName::parse(&format!("{}:{}", decoded(cloud)?, decoded(region)?))
            .ok_or_else(|| malformed("names no place"))?;
        let named_offer = if let Some(name) = what.strip_prefix(MACHINE) {
            let (name, purchase) = match name.split_once('?') {
                None => (name, Purchase::OnDemand),
                Some((name, "spot")) => (name, Purchase::Spot),
                Some(_) => return Err(malformed("asks for something else than `?spot`")),
            };
            What::Machine {
                instance_type: decoded(name)?,
                purchase,
            }
        } else if what.starts_with(SERVICE) {
            What::Service(ServiceName::parse(what).ok_or_else(|| malformed("names no service"))?)
        } else {
            return Err(malformed("is neither a `vm/` nor a `service/`"));
        };
        if matches!(&named_offer, What::Machine { instance_type, .. } if instance_type.is_empty()) {
            return Err(malformed("names no instance type"));
        }
        let name = Self {
            place,
            what: named_offer,
        };
        let canonical = name.to_string();
        if canonical == text {
            Ok(name)
        } else {
            Err(UniformNameError::NotCanonical {
                text: text.to_owned(),
                canonical,
            })
        }
    }
}

impl fmt::Display for UniformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offer_text = match &self.what {
            What::Machine {
                instance_type,
                purchase,
            } => {
                let spot = if *purchase == Purchase::Spot {
                    "?spot"
                } else {
                    ""
                };
                format!("{MACHINE}{}{spot}", percent_encode(instance_type))
            }
            What::Service(service) => service.to_string(),
        };
        f.pad(&format!(
            "{SCHEME}{}:{}:{offer_text}",
            percent_encode(&self.place.cloud),
            percent_encode(&self.place.region)
        ))
    }
}

impl ServiceName {
    /// Reads `service/NAME[@VERSION][/PRODUCT]` in its one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let after_service = text.strip_prefix(SERVICE)?;
        let (name, product) = after_service
            .split_once('/')
            .map_or((after_service, None), |(name, product)| {
                (name, Some(product))
            });
        let (service, version) = name
            .split_once('@')
            .map_or((name, None), |(name, version)| (name, Some(version)));
        let optional_part = |part: Option<&str>| match part {
            None => Some(String::new()),
            Some("") => None,
            Some(part) => percent_decode(part),
        };
        let name = Self {
            service: optional_part(Some(service))?,
            version: optional_part(version)?,
            product: optional_part(product)?,
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{SERVICE}{}", percent_encode(&self.service));
        if !self.version.is_empty() {
            text.push('@');
            text.push_str(&percent_encode(&self.version));
        }
        if !self.product.is_empty() {
            text.push('/');
            text.push_str(&percent_encode(&self.product));
        }
        f.pad(&text)
    }
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+$!,()';=".contains(&byte)
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded
                .extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
    }
    encoded
}

/// `None`: a `%` without two hexadecimal digits, or bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut bytes_left = text.bytes();
    while let Some(byte) = bytes_left.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || u8::try_from(char::from(bytes_left.next()?).to_digit(16)?).ok();
                digit()? << 4 | digit()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    #[test]
    fn names_are_as_the_readme_writes_them() {
        let vm = |text: &str, purchase| What::Machine {
            instance_type: text.to_owned(),
            purchase,
        };
        let service = |service: &str, version: &str, product: &str| {
            let [service, version, product] = [service, version, product].map(str::to_owned);
            What::Service(ServiceName {
                service,
                version,
                product,
            })
        };
        for (text, place, what) in [
            (
                "sky:aws:us-east-1:vm/p4d.24xlarge?spot",
                "aws:us-east-1",
                vm("p4d.24xlarge", Purchase::Spot),
            ),
            (
                "sky:azure:westeurope:service/spark@3.5",
                "azure:westeurope",
                service("spark", "3.5", ""),
            ),
            (
                "sky:gcp:us-west1:vm/2xT4+n1-standard-8",
                "gcp:us-west1",
                vm("2xT4+n1-standard-8", Purchase::OnDemand),
            ),
            (
                "sky:gcp:us-east5:vm/tpu-v5p-8",
                "gcp:us-east5",
                vm("tpu-v5p-8", Purchase::OnDemand),
            ),
            (
                "sky:fluidstack:NO:vm/L40_48GB%3A%3A8",
                "fluidstack:NO",
                vm("L40_48GB::8", Purchase::OnDemand),
            ),
            (
                "sky:x:y:vm/a%20b%2F%3Fspot",
                "x:y",
                vm("a b/?spot", Purchase::OnDemand),
            ),
            (
                "sky:gcp:EU:service/bigquery",
                "gcp:EU",
                service("bigquery", "", ""),
            ),
            (
                "sky:aws:eu-west-1:service/spark@3.5/glue",
                "aws:eu-west-1",
                service("spark", "3.5", "glue"),
            ),
        ] {
            let name = UniformName {
                place: PlaceName::parse(place).unwrap(),
                what,
            };
            assert_eq!(name.to_string(), text);
            assert_eq!(UniformName::parse(text), Ok(name));
        }
    }

    #[test]
    fn other_spellings_are_refused_with_the_right_one() {
        for (text, says) in [
            ("aws:us-east-1", "does not start with `sky:`"),
            ("sky:aws:us-east-1", "has no cloud, region and offer"),
            (
                "sky:aws:us-east-1:m5.large",
                "is neither a `vm/` nor a `service/`",
            ),
            ("sky:aws:us-east-1:vm/", "names no instance type"),
            (
                "sky:aws:us-east-1:vm/m5?reserved",
                "something else than `?spot`",
            ),
            ("sky:aws:*:vm/m5", "names no place"),
            ("sky::r:vm/m5", "names no place"),
            ("sky:aws:r:vm/%zz", "without two hexadecimal digits"),
            ("sky:aws:r:vm/%ff", "without two hexadecimal digits"),
            ("sky:aws:r:vm/m%35", "is written `sky:aws:r:vm/m5`"),
            ("sky:aws:r:vm/a%2fb", "is written `sky:aws:r:vm/a%2Fb`"),
            ("sky:aws:r:vm/a:b", "is written `sky:aws:r:vm/a%3Ab`"),
            ("sky:aws:r:service/spark@", "names no service"),
            ("sky:aws:r:service/@3", "names no service"),
            ("sky:aws:r:service/spark/", "names no service"),
        ] {
            let error = UniformName::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_a_name_or_is_refused(text in any::<String>(), tail in "[a-z%:/?@0-9*é ]{0,12}") {
            let prefixes = ["", "sky:", "sky:a:b:", "sky:a:b:vm/", "sky:a:b:service/", "sky:a:b:service/x@", "sky:a:"];
            for name in prefixes.into_iter().flat_map(|prefix| [format!("{prefix}{text}"), format!("{prefix}{tail}")]) {
                if let Ok(parsed) = UniformName::parse(&name) {
                    prop_assert_eq!(parsed.to_string(), name);
                }
            }
        }

        #[test]
        fn what_is_printed_is_read_again(
            cloud in "[a-z][a-z0-9-]{0,8}", region in "[^:*\\p{Cc}]{1,8}", texts in prop::array::uniform3(any::<String>()),
            spot in any::<bool>(), is_service in any::<bool>(),
        ) {
            let [first, version, product] = texts;
            prop_assume!(!first.is_empty());
            let purchase = if spot { Purchase::Spot } else { Purchase::OnDemand };
            let what = match is_service {
                true => What::Service(ServiceName { service: first, version, product }),
                false => What::Machine { instance_type: first, purchase },
            };
            let name = UniformName { place: PlaceName { cloud, region }, what };
            prop_assert_eq!(UniformName::parse(&name.to_string()), Ok(name.clone()));
        }
    }
}
