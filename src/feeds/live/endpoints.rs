//! Where sources are asked, each to be set by an environment variable: for mirrors, and for tests.

use super::fault::Fault;
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

/// The environment variables of addresses, and the address where each is not set.
pub const VARIABLES: [(&str, &str); 7] = [
    (
        "SKY_AWS_PRICES_URL",
        "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/region_index.json",
    ),
    (
        "SKY_AWS_SPOT_ADVISOR_URL",
        "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json",
    ),
    (
        "SKY_AZURE_PRICES_URL",
        "https://prices.azure.com/api/retail/prices",
    ),
    (
        "SKY_GCP_PRICES_URL",
        "https://cloudbilling.googleapis.com/v1/services",
    ),
    (
        "SKY_SKYPILOT_URL",
        "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs",
    ),
    (
        "SKY_SKYPILOT_COMMITS_URL",
        "https://api.github.com/repos/skypilot-org/skypilot-catalog/commits",
    ),
    ("SKY_CATALOG_URL", ""),
];

impl Endpoints {
    /// Looks the variables up; says which one is not an address.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Fault> {
        let set_variable =
            |index: usize| variable(VARIABLES[index].0).filter(|value| !value.trim().is_empty());
        let address = |index: usize| {
            let text = set_variable(index).unwrap_or_else(|| VARIABLES[index].1.to_owned());
            let wrong_url = |why: String| {
                let name = VARIABLES[index].0;
                Fault(format!("{name} is not an http(s) address: `{text}`: {why}"))
            };
            let url = Url::parse(text.trim()).map_err(|error| wrong_url(error.to_string()))?;
            match url.scheme() {
                "http" | "https" => Ok(url),
                other => Err(wrong_url(format!("its scheme is {other}"))),
            }
        };
        let mut aws_prices = address(0)?;
        if !aws_prices.path().ends_with(".json") {
            aws_prices = below(
                &aws_prices,
                "offers/v1.0/aws/AmazonEC2/current/region_index.json",
            );
        }
        let mirrored = set_variable(4).is_some() && set_variable(5).is_none();
        Ok(Self {
            aws_prices,
            spot_advisor: address(1)?,
            azure: address(2)?,
            gcp: address(3)?,
            skypilot: address(4)?,
            skypilot_commits: if mirrored { None } else { Some(address(5)?) },
            own: set_variable(6),
        })
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
            Endpoints::new(move |asked| (asked == name).then(|| value.to_owned()))
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
