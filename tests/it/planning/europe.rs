//! A catalog of true regions, whose names say less than one would think: aws:eu-west-2 is in
//! London, outscale:eu-west-2 in Paris, gcp:europe-west6 in Zurich.

use crate::support::case::Case;
use sky::catalog::Catalog;
use sky::model::{Job, Policy};
use sky::spec;

/// Place, country, operator, reach of the US CLOUD Act, price of a small machine.
pub(crate) const PLACES: [(&str, &str, &str, &str, &str); 12] = [
    (
        "aws:eu-central-1",
        "DE",
        "Amazon Web Services",
        "yes",
        "1.2",
    ),
    (
        "aws:eu-central-2",
        "CH",
        "Amazon Web Services",
        "yes",
        "1.1",
    ),
    ("aws:eu-west-1", "IE", "Amazon Web Services", "yes", "1.3"),
    ("aws:eu-west-2", "GB", "Amazon Web Services", "yes", "1.2"),
    ("aws:us-east-1", "US", "Amazon Web Services", "yes", "1"),
    ("azure:northeurope", "IE", "Microsoft", "yes", "1.25"),
    ("gcp:europe-west2", "GB", "Google", "yes", "1.05"),
    ("gcp:europe-west6", "CH", "Google", "yes", "1.15"),
    ("lambda:europe", "", "Lambda", "yes", "0.9"),
    ("outscale:eu-west-2", "FR", "Outscale", "no", "2"),
    ("ovh:gra", "FR", "OVHcloud", "contested", "1.9"),
    ("vast:de", "DE", "", "unknown", "0.8"),
];

/// Every place has a small machine, on demand and as spot; a large one at six times the price;
/// and, at AWS, Azure and Outscale, a confidential one at twice the price.
pub(crate) fn case() -> Case {
    let clouds = ["aws", "azure", "gcp", "lambda", "outscale", "ovh", "vast"];
    let mut machines = Vec::new();
    let mut confidential = Vec::new();
    for cloud in clouds {
        machines.push(format!("{cloud},small,4,16,,,x86_64"));
        machines.push(format!("{cloud},large,16,64,,,x86_64"));
    }
    for (cloud, tee) in [
        ("aws", "nitro-enclave"),
        ("azure", "sev-snp"),
        ("outscale", "tdx"),
    ] {
        machines.push(format!("{cloud},secret,4,16,,,x86_64"));
        confidential.push(format!("{cloud},secret,{tee},*,s"));
    }
    let mut prices = Vec::new();
    for (place, _, _, _, small) in PLACES {
        let cents = |factor: f64| format!("{:.2}", small.parse::<f64>().unwrap() * factor);
        prices.push(format!("{place},small,{},s,{},s", cents(1.0), cents(0.5)));
        prices.push(format!("{place},large,{},s,,", cents(6.0)));
        if ["aws", "azure", "outscale"]
            .iter()
            .any(|cloud| place.starts_with(&format!("{cloud}:")))
        {
            prices.push(format!("{place},secret,{},s,,", cents(2.0)));
        }
    }
    let places = PLACES.map(|(place, country, operator, reach, _)| {
        format!("{place},{country},City,{operator},{reach}")
    });
    let out = clouds.map(|cloud| format!("{cloud}:*,internet,0.09,0,s"));
    let inside = clouds.map(|cloud| format!("{cloud}:*,{cloud}:*,0.02,0,s"));
    Case {
        catalog: vec![
            (
                "places.csv",
                "place,country,location,operator,us_cloud_act",
                places.to_vec(),
            ),
            (
                "machines.csv",
                "cloud,instance_type,vcpus,memory_gib,accelerator,count,arch",
                machines,
            ),
            (
                "prices.csv",
                "place,instance_type,on_demand,source,spot,spot_source",
                prices,
            ),
            (
                "confidential.csv",
                "cloud,instance_type,tee,places,source",
                confidential,
            ),
            (
                "egress.csv",
                "from,to,usd_per_gb,above_gb,source",
                [out, inside].concat(),
            ),
            (
                "throughput.csv",
                "from,to,gbps,source",
                vec!["*,*,1,s".to_owned()],
            ),
        ],
        job: Vec::new(),
        policy: String::new(),
    }
}

pub(crate) fn catalog() -> Catalog {
    case().catalog()
}

pub(crate) fn policy(text: &str) -> Policy {
    spec::policy::parse("policy.toml", text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .value
}

pub(crate) fn job(text: &str) -> Job {
    spec::job::parse("job.toml", text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .value
}
