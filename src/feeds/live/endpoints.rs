//! Where sources are asked, each to be set by an environment variable: for mirrors, and for tests.

use super::fault::Fault;
use crate::util::variables::{self, Variable};
use reqwest::Url;

/// The addresses of all sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The index of Amazon's price lists.
    pub aws_prices: Url,
    /// The file of Amazon's spot advisor.
    pub spot_advisor: Url,
    /// Microsoft's retail prices.
    pub azure: Url,
    /// Google's Cloud Billing Catalog.
    pub gcp: Url,
    /// The folder of SkyPilot's catalogs.
    pub skypilot: Url,
    /// Tells the day of a list of SkyPilot; not asked where the lists are from a mirror without
    /// one.
    pub skypilot_commits: Option<Url>,
    /// A catalog in our own format, if there is one: an address or a folder.
    pub own: Option<String>,
}

/// Where each source is asked unless a variable says otherwise.
const PUBLIC_ADDRESSES: [(Variable, &str); 6] = [
    (
        variables::SKY_AWS_PRICES_URL,
        "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/region_index.json",
    ),
    (
        variables::SKY_AWS_SPOT_ADVISOR_URL,
        "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json",
    ),
    (
        variables::SKY_AZURE_PRICES_URL,
        "https://prices.azure.com/api/retail/prices",
    ),
    (
        variables::SKY_GCP_PRICES_URL,
        "https://cloudbilling.googleapis.com/v1/services",
    ),
    (
        variables::SKY_SKYPILOT_URL,
        "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs",
    ),
    (
        variables::SKY_SKYPILOT_COMMITS_URL,
        "https://api.github.com/repos/skypilot-org/skypilot-catalog/commits",
    ),
];

impl Endpoints {
    /// Looks the variables up.
    ///
    /// # Errors
    /// A variable is not an address; the message names it.
    pub fn new(value_of: impl Fn(Variable) -> Option<String>) -> Result<Self, Fault> {
        let set = |variable| value_of(variable).filter(|value| !value.trim().is_empty());
        let address = |variable| match set(variable) {
            Some(text) => http_address(variable, &text),
            None => http_address(variable, public_address(variable)),
        };
        let mut aws_prices = address(variables::SKY_AWS_PRICES_URL)?;
        if !aws_prices.path().ends_with(".json") {
            aws_prices = below(
                &aws_prices,
                "offers/v1.0/aws/AmazonEC2/current/region_index.json",
            );
        }
        let is_mirror_without_commits = set(variables::SKY_SKYPILOT_URL).is_some()
            && set(variables::SKY_SKYPILOT_COMMITS_URL).is_none();
        Ok(Self {
            aws_prices,
            spot_advisor: address(variables::SKY_AWS_SPOT_ADVISOR_URL)?,
            azure: address(variables::SKY_AZURE_PRICES_URL)?,
            gcp: address(variables::SKY_GCP_PRICES_URL)?,
            skypilot: address(variables::SKY_SKYPILOT_URL)?,
            skypilot_commits: match is_mirror_without_commits {
                true => None,
                false => Some(address(variables::SKY_SKYPILOT_COMMITS_URL)?),
            },
            own: set(variables::SKY_CATALOG_URL),
        })
    }
}

/// The address that a variable stands for while it is not set; empty if there is none.
fn public_address(variable: Variable) -> &'static str {
    let known = PUBLIC_ADDRESSES
        .iter()
        .find(|(known, _)| *known == variable);
    known.map_or("", |(_, address)| address)
}

fn http_address(variable: Variable, text: &str) -> Result<Url, Fault> {
    let wrong = |why: String| {
        let name = variable.name;
        Fault(format!("{name} is not an http(s) address: `{text}`: {why}"))
    };
    let url = Url::parse(text.trim()).map_err(|error| wrong(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(wrong(format!("its scheme is {other}"))),
    }
}

/// An address below another one.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut url_below = url.clone();
    url_below.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    url_below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_addresses() {
        let with = |name: &'static str, value: &'static str| {
            Endpoints::new(move |asked| (asked.name == name).then(|| value.to_owned()))
        };
        let plain = Endpoints::new(|_| None).unwrap();
        assert_eq!(plain.own, None);
        assert!(plain.skypilot_commits.is_some());
        assert_eq!(
            with("SKY_SKYPILOT_URL", "http://127.0.0.1:1/")
                .unwrap()
                .skypilot_commits,
            None
        );
        assert_eq!(with("SKY_AZURE_PRICES_URL", " ").unwrap(), plain);
        let aws = with("SKY_AWS_PRICES_URL", "http://127.0.0.1:1")
            .unwrap()
            .aws_prices;
        assert_eq!(
            aws.as_str(),
            "http://127.0.0.1:1/offers/v1.0/aws/AmazonEC2/current/region_index.json"
        );
        insta::assert_snapshot!(
            [with("SKY_GCP_PRICES_URL", "localhost"), with("SKY_GCP_PRICES_URL", "file:///etc")]
                .map(|read| read.unwrap_err().0)
                .join("\n"),
            @r"
        SKY_GCP_PRICES_URL is not an http(s) address: `localhost`: relative URL without a base
        SKY_GCP_PRICES_URL is not an http(s) address: `file:///etc`: its scheme is file
        "
        );
    }
}
