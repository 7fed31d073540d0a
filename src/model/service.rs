//! Services that a stage can ask for instead of machines: `spark>=3.4`, and what their prices
//! are per.

use crate::model::units::{div_half_even, saturate};
use crate::model::{Bytes, Money, Rate};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// What an offer that is not a machine provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is compatible with: `spark`.
    pub name: String,
    /// None: it has none that one could ask for, which satisfies no bound.
    pub version: Option<Version>,
    /// The unit that the service is billed by.
    pub unit: Unit,
}

/// What a price is per.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// The accelerators of every node, as with machines.
    Hour,
    /// 10¹² bytes that are looked at.
    TbScanned,
    /// 2⁴⁰ bytes that are looked at.
    TibScanned,
    /// 10⁶ requests.
    MillionRequests,
}

impl Unit {
    /// All of them.
    pub const ALL: [Unit; 4] = [
        Unit::Hour,
        Unit::TbScanned,
        Unit::TibScanned,
        Unit::MillionRequests,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Hour => "hour",
            Unit::TbScanned => "tb-scanned",
            Unit::TibScanned => "tib-scanned",
            Unit::MillionRequests => "million-requests",
        }
    }

    /// Reads the name in files.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == text)
    }

    /// After a price: `/h`, ` per TB scanned`.
    pub fn after_price(self) -> &'static str {
        match self {
            Unit::Hour => "/h",
            Unit::TbScanned => " per TB scanned",
            Unit::TibScanned => " per TiB scanned",
            Unit::MillionRequests => " per million requests",
        }
    }

    /// What of a stage's quantities it counts; none: time.
    pub fn counts(self, scans: Bytes, requests: u64) -> Option<u64> {
        match self {
            Unit::Hour => None,
            Unit::TbScanned | Unit::TibScanned => Some(scans.0),
            Unit::MillionRequests => Some(requests),
        }
    }

    /// The price of so many bytes or requests; `Hour` counts none.
    pub fn cost(self, rate: Rate, quantity: u64) -> Money {
        let per = match self {
            Unit::Hour => return Money(0),
            Unit::TbScanned => 1_000_000_000_000,
            Unit::TibScanned => 1 << 40,
            Unit::MillionRequests => 1_000_000,
        };
        // Nano-USD to micro-USD.
        Money(saturate(div_half_even(
            i128::from(rate.0) * i128::from(quantity),
            per * 1000,
        )))
    }
}

/// Numbers with dots between: `3.5`, which is also `3.5.0`.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    parts: Vec<u64>,
}

/// Most numbers of a version.
const PARTS: usize = 6;

impl Version {
    /// Reads `3.5.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let part_number = |part: &str| {
            let digits = !part.is_empty()
                && part.len() <= 15
                && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        let part_numbers: Vec<u64> = text.split('.').map(part_number).collect::<Option<_>>()?;
        (part_numbers.len() <= PARTS).then(|| Self {
            text: text.to_owned(),
            parts: part_numbers,
        })
    }

    fn part(&self, index: usize) -> u64 {
        self.parts.get(index).copied().unwrap_or(0)
    }

    /// Compares the first `parts` numbers.
    fn compare(&self, other: &Version, parts: usize) -> Ordering {
        (0..parts)
            .map(|index| self.part(index).cmp(&other.part(index)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other, PARTS)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// How a bound compares. A bound says something about as many numbers as it has: `=3.5` is any
/// 3.5.x, `>3.5` is 3.6 or later, `<=3.5` is 3.5.x or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Equal,
    Greater,
    AtLeast,
    Less,
    AtMost,
    /// A version that is equal up to the first number that is not 0, and no earlier.
    Compatible,
    /// A version that is equal in the first two numbers (in the first, if there is only one), and
    /// no earlier.
    Close,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 9] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("@", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("^", Operator::Compatible),
    ("~", Operator::Close),
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    operator: Operator,
    version: Version,
    /// `=3.5` and `=3.5.0` are not the same.
    parts: usize,
}

impl Bound {
    fn admits(&self, version: &Version) -> bool {
        let version_bound = &self.version;
        let order = version.compare(version_bound, self.parts);
        let same_parts = |parts: usize| version.compare(version_bound, parts).is_eq();
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Greater => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Close => order.is_ge() && same_parts(self.parts.min(2)),
            Operator::Compatible => {
                let leading = (0..self.parts)
                    .position(|index| version_bound.part(index) > 0)
                    .map_or(self.parts, |zeros| zeros + 1);
                order.is_ge() && same_parts(leading)
            }
        }
    }
}

/// A service that a stage needs: `spark`, `spark>=3.4,<4`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceNeed {
    /// The name of the service.
    pub name: String,
    /// All of them must hold.
    bounds: Vec<Bound>,
}

/// Why a text does not say which service a stage needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.message(), Self::HINT)]
pub struct ServiceNeedError {
    /// The part of the text that is wrong.
    part: String,
    /// What is wrong with it.
    what: &'static str,
}

impl ServiceNeedError {
    /// Says how a need is written.
    pub const HINT: &str =
        "write it like `spark`, `spark>=3.4`, `kubernetes ~1.29` or `spark>=3.4,<4`";

    /// Returns what is wrong, without the hint.
    pub fn message(&self) -> String {
        format!("`{}` {}", self.part.escape_debug(), self.what)
    }
}

impl ServiceNeed {
    /// Reads `NAME` and bounds; what is wrong with it otherwise.
    pub fn parse(text: &str) -> Result<Self, ServiceNeedError> {
        let wrong_part = |part: &str, what| ServiceNeedError {
            part: part.to_owned(),
            what,
        };
        let text = text.trim();
        let name_end = text
            .find(|c: char| c.is_whitespace() || "<>=^~@!,".contains(c))
            .unwrap_or(text.len());
        let (name, mut rest) = text.split_at(name_end);
        if !is_name(name) {
            return Err(wrong_part(name, "is not a name of a service"));
        }
        let mut bounds = Vec::new();
        rest = rest.trim();
        while !rest.is_empty() {
            let (piece, after) = rest.split_once(',').unwrap_or((rest, ""));
            let trimmed_piece = piece.trim();
            if after.trim().is_empty() && rest.trim_end().ends_with(',') {
                return Err(wrong_part(text, "ends with a comma"));
            }
            let known_operator = OPERATORS
                .iter()
                .find_map(|(sign, operator)| Some((*operator, trimmed_piece.strip_prefix(sign)?)));
            let (operator, version) = known_operator.ok_or_else(|| {
                wrong_part(trimmed_piece, "does not start with one of >= > <= < = ^ ~")
            })?;
            let version = version.trim();
            let version = Version::parse(version).ok_or_else(|| {
                wrong_part(version, "is not a version: numbers with dots between")
            })?;
            bounds.push(Bound {
                operator,
                parts: version.parts.len(),
                version,
            });
            rest = after.trim();
        }
        bounds.sort();
        bounds.dedup();
        Ok(Self {
            name: name.to_owned(),
            bounds,
        })
    }

    /// Whether any version would do.
    pub fn is_any(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Returns the need of the same service in any version.
    pub fn any(&self) -> Self {
        Self {
            name: self.name.clone(),
            bounds: Vec::new(),
        }
    }

    /// Whether a version will do; one that is not known satisfies no bound.
    pub fn admits(&self, version: Option<&Version>) -> bool {
        match version {
            Some(version) => self.bounds.iter().all(|bound| bound.admits(version)),
            None => self.bounds.is_empty(),
        }
    }
}

/// Whether it can be the name of a service: small letters, digits and `-`, a letter first.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl fmt::Display for ServiceNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator_sign = |operator: Operator| {
            let same_operator = |(_, other): &&(&'static str, Operator)| *other == operator;
            OPERATORS
                .iter()
                .filter(same_operator)
                .map(|(sign, _)| *sign)
                .find(|sign| *sign != "==")
                .unwrap_or("=")
        };
        let bounds: Vec<String> = self
            .bounds
            .iter()
            .map(|bound| format!("{}{}", operator_sign(bound.operator), bound.version))
            .collect();
        f.pad(&format!("{}{}", self.name, bounds.join(",")))
    }
}

impl TryFrom<String> for ServiceNeed {
    type Error = ServiceNeedError;
    fn try_from(text: String) -> Result<Self, ServiceNeedError> {
        Self::parse(&text)
    }
}

impl From<ServiceNeed> for String {
    fn from(need: ServiceNeed) -> String {
        need.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn admitted(need: &str) -> Vec<&'static str> {
        let need = ServiceNeed::parse(need).unwrap();
        let versions = [
            "0.2.3", "0.3", "3", "3.4.0", "3.4.9", "3.5", "3.5.1", "3.10", "4.0",
        ];
        versions
            .into_iter()
            .filter(|version| need.admits(Version::parse(version).as_ref()))
            .collect()
    }

    #[test]
    fn bounds_speak_of_as_many_numbers_as_they_have() {
        for (need, versions) in [
            ("spark>=3.5", vec!["3.5", "3.5.1", "3.10", "4.0"]),
            (
                "spark >= 3.4 , < 3.10",
                vec!["3.4.0", "3.4.9", "3.5", "3.5.1"],
            ),
            ("spark>3.4", vec!["3.5", "3.5.1", "3.10", "4.0"]),
            ("spark>3.4.0", vec!["3.4.9", "3.5", "3.5.1", "3.10", "4.0"]),
            (
                "spark<=3.5",
                vec!["0.2.3", "0.3", "3", "3.4.0", "3.4.9", "3.5", "3.5.1"],
            ),
            ("spark<3.5", vec!["0.2.3", "0.3", "3", "3.4.0", "3.4.9"]),
            ("spark=3.5", vec!["3.5", "3.5.1"]),
            ("spark==3.5.0", vec!["3.5"]),
            ("spark@3.5.1", vec!["3.5.1"]),
            ("spark^3.4", vec!["3.4.0", "3.4.9", "3.5", "3.5.1", "3.10"]),
            ("spark^0.2.1", vec!["0.2.3"]),
            ("spark~3.4.1", vec!["3.4.9"]),
            (
                "spark~3",
                vec!["3", "3.4.0", "3.4.9", "3.5", "3.5.1", "3.10"],
            ),
        ] {
            assert_eq!(admitted(need), versions, "{need}");
        }
        assert_eq!(admitted("spark").len(), 9);
        assert!(ServiceNeed::parse("bigquery").unwrap().admits(None));
        assert!(!ServiceNeed::parse("bigquery>=1").unwrap().admits(None));
    }

    #[test]
    fn what_is_no_need_is_refused() {
        for text in [
            "",
            "Spark",
            "spark>=",
            "spark>=3.x",
            "spark!=3",
            "spark 3.5",
            "spark>=3,",
            "spark>=3,,<4",
            ">=3",
            "spark>=-1",
        ] {
            assert!(ServiceNeed::parse(text).is_err(), "{text}");
        }
        assert!(
            Version::parse("1..2").is_none()
                && Version::parse("v1").is_none()
                && Version::parse("").is_none()
        );
    }

    #[test]
    fn units_by_hand() {
        let rate = Rate(6_250_000_000);
        assert_eq!(Unit::TibScanned.cost(rate, 1 << 40), Money(6_250_000));
        assert_eq!(
            Unit::TbScanned.cost(rate, 2_500_000_000_000),
            Money(15_625_000)
        );
        assert_eq!(
            Unit::MillionRequests.cost(Rate(200_000_000), 12_500_000),
            Money(2_500_000)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn needs_are_read_as_they_are_written(text in "[a-z]{1,5}( ?(>=|>|<|<=|=|==|@|\\^|~) ?[0-9]{1,3}(\\.[0-9]{1,2}){0,3},?){0,3}", any in any::<String>()) {
            for text in [text, any] {
                if let Ok(need) = ServiceNeed::parse(&text) {
                    prop_assert_eq!(ServiceNeed::parse(&need.to_string()), Ok(need));
                }
            }
        }
    }
}
