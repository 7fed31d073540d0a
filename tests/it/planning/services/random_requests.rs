//! Random requests against an answer that is looked up offer by offer in a table.

use super::*;

/// Place, country, within reach of the US CLOUD Act, closed class.
const PLACES: [(&str, &str, bool, &str); 7] = [
    ("a:berlin", "DE", false, ""),
    ("a:paris", "FR", false, ""),
    ("a:texas", "US", true, "us-gov"),
    ("b:dublin", "IE", true, ""),
    ("b:virginia", "US", true, ""),
    ("c:oslo", "NO", false, ""),
    ("c:somewhere", "", true, ""),
];

/// Places, service, version, product, unit, price in micro-USD, vCPUs.
type Row = (
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    i64,
    u64,
);

const OFFERS: [Row; 13] = [
    (
        &["a:berlin", "a:paris"],
        "spark",
        "3.3.2",
        "",
        "hour",
        400_000,
        4,
    ),
    (
        &["a:paris", "a:texas"],
        "spark",
        "3.5",
        "",
        "hour",
        650_000,
        4,
    ),
    (
        &["b:dublin", "b:virginia"],
        "spark",
        "3.5.1",
        "",
        "hour",
        500_000,
        8,
    ),
    (&["b:virginia"], "spark", "4.0", "", "hour", 300_000, 8),
    (
        &["c:oslo", "c:somewhere"],
        "spark",
        "3.4",
        "",
        "hour",
        700_000,
        16,
    ),
    (
        &["c:oslo"],
        "spark",
        "3.4",
        "by-scan",
        "tb-scanned",
        2_000_000,
        0,
    ),
    (
        &["a:berlin"],
        "warehouse",
        "",
        "",
        "tib-scanned",
        6_000_000,
        0,
    ),
    (
        &["b:dublin", "b:virginia"],
        "warehouse",
        "",
        "",
        "tb-scanned",
        5_000_000,
        0,
    ),
    (
        &["c:somewhere"],
        "warehouse",
        "",
        "",
        "tb-scanned",
        1_000_000,
        0,
    ),
    (
        &["a:paris", "a:berlin"],
        "functions",
        "2.10",
        "",
        "million-requests",
        250_000,
        0,
    ),
    (
        &["b:virginia", "b:dublin"],
        "functions",
        "2.9",
        "",
        "million-requests",
        200_000,
        0,
    ),
    (
        &["c:oslo"],
        "functions",
        "3.0.1",
        "",
        "million-requests",
        900_000,
        0,
    ),
    (
        &["c:oslo"],
        "functions",
        "3.0.1",
        "reserved",
        "hour",
        100_000,
        2,
    ),
];

pub(super) fn case() -> Case {
    let place = |(name, country, reach, class): &(&str, &str, bool, &str)| {
        format!(
            "{name},{country},{},{class}",
            if *reach { "yes" } else { "no" }
        )
    };
    let offer = |(places, service, version, product, unit, price, vcpus): &Row| {
        let price = format!("{}.{:06}", price / 1_000_000, price % 1_000_000);
        let vcpus = if *vcpus == 0 {
            String::new()
        } else {
            vcpus.to_string()
        };
        format!(
            "{},{service},{version},{product},{unit},{price},{vcpus},s",
            places.join(";")
        )
    };
    let machines = ["a", "b", "c"].map(|cloud| format!("{cloud},m,64,256"));
    let prices = PLACES.map(|(place, ..)| format!("{place},m,0.001,s"));
    Case {
        catalog: vec![
            (
                "places.csv",
                "place,country,us_cloud_act,class",
                PLACES.iter().map(place).collect(),
            ),
            (
                "services.csv",
                "places,service,version,product,unit,price,vcpus,source",
                OFFERS.iter().map(offer).collect(),
            ),
            (
                "machines.csv",
                "cloud,instance_type,vcpus,memory_gib",
                machines.to_vec(),
            ),
            (
                "prices.csv",
                "place,instance_type,on_demand,source",
                prices.to_vec(),
            ),
        ],
        job: Vec::new(),
        policy: String::new(),
    }
}

/// What is asked for.
#[derive(Debug)]
struct Asked {
    service: &'static str,
    /// Sign and numbers; all must hold.
    bounds: Vec<(&'static str, Vec<u64>)>,
    hours: u64,
    nodes: u64,
    scans_gb: u64,
    requests: u64,
    cpus: u64,
    places: Option<&'static str>,
    countries: Option<&'static [&'static str]>,
    no_cloud_act: bool,
    deny: Option<&'static str>,
    government: bool,
    trust: bool,
    budget_cents: Option<u64>,
}

fn asked(random: &mut Random) -> Asked {
    let service = *random.pick(&["spark", "spark", "warehouse", "functions"]);
    let versions: &[&[u64]] = match service {
        "functions" => &[&[2], &[2, 9], &[2, 10], &[3, 0], &[3, 0, 1], &[9]],
        _ => &[
            &[3],
            &[3, 3],
            &[3, 4],
            &[3, 5],
            &[3, 5, 0],
            &[3, 5, 1],
            &[4],
            &[4, 1],
        ],
    };
    let count = random
        .below(3)
        .min(random.below(3) + u64::from(service == "spark"));
    let bounds = (0..count).map(|_| {
        (
            *random.pick(&[">=", ">=", ">", "<", "<=", "=", "^", "~"]),
            random.pick(versions).to_vec(),
        )
    });
    Asked {
        service,
        bounds: bounds.collect(),
        hours: 1 + random.below(20),
        nodes: 1 + random.below(4),
        scans_gb: *random.pick(&[0, 1, 3, 77, 500, 12_345]),
        requests: *random.pick(&[0, 1_000_000, 7_654_321]),
        cpus: *random.pick(&[0, 0, 0, 0, 0, 4, 8, 32]),
        places: *random.pick(&[
            None,
            None,
            None,
            Some("a:*"),
            Some("*:*o*"),
            Some("b:dublin"),
        ]),
        countries: *random.pick(&[
            None,
            None,
            Some(&["DE", "FR", "IE"] as &[&str]),
            Some(&["NO"]),
            Some(&["US", "DE"]),
        ]),
        no_cloud_act: random.chance(15),
        deny: *random.pick(&[None, None, None, None, Some("a"), Some("b"), Some("c")]),
        government: random.chance(20),
        trust: random.chance(4),
        budget_cents: random.chance(15).then(|| 1 + random.below(800)),
    }
}

impl Asked {
    fn job(&self) -> Vec<String> {
        let bounds: Vec<String> = self
            .bounds
            .iter()
            .map(|(sign, numbers)| {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                format!("{sign}{}", numbers.join("."))
            })
            .collect();
        let mut needs = vec![format!(
            "service = \"{}{}\"",
            self.service,
            bounds.join(",")
        )];
        if self.scans_gb > 0 {
            needs.push(format!("scans = \"{} GB\"", self.scans_gb));
        }
        if self.requests > 0 {
            needs.push(format!("requests = {}", self.requests));
        }
        if self.cpus > 0 {
            needs.push(format!("cpus = {}", self.cpus));
        }
        needs.extend(self.places.map(|places| format!("places = [\"{places}\"]")));
        let (needs, hours, nodes) = (needs.join(", "), self.hours, self.nodes);
        vec![format!(
            "[stages.s]\nneeds = {{ {needs} }}\nduration = \"{hours} h\"\nnodes = {nodes}\n"
        )]
    }

    fn policy(&self) -> String {
        let mut text = String::new();
        if let Some(countries) = self.countries {
            text += &format!(
                "[residency]\ndefault = [\"{}\"]\n",
                countries.join("\", \"")
            );
        }
        if self.no_cloud_act {
            text += "[operators]\nus_cloud_act = \"exclude\"\n";
        }
        if let Some(cloud) = self.deny {
            text += &format!("[clouds]\ndeny = [\"{cloud}\"]\n");
        }
        if self.government {
            text += "[partitions]\nallow = [\"us-gov\"]\n";
        }
        if self.trust {
            text += "[trust]\ndefault = [\"sgx\"]\n";
        }
        if let Some(cents) = self.budget_cents {
            text += &format!(
                "[limits]\nbudget = \"${}.{:02}\"\n",
                cents / 100,
                cents % 100
            );
        }
        text
    }

    /// What each offer at each place would cost, of those that do, in micro-USD.
    fn answers(&self) -> Vec<(String, String, i64)> {
        let mut answers = Vec::new();
        for (places, service, version, product, unit, price, vcpus) in OFFERS {
            let numbers: Vec<u64> = version
                .split('.')
                .filter_map(|number| number.parse().ok())
                .collect();
            let version_will_do = self
                .bounds
                .iter()
                .all(|(sign, bound)| !numbers.is_empty() && holds(&numbers, sign, bound));
            // Whole amounts come out here: to the nearest, the even one of two.
            let cost = match unit {
                "hour" => Some(price * (self.hours * self.nodes) as i64),
                "tb-scanned" if self.scans_gb > 0 => {
                    Some(nearest(price * self.scans_gb as i64, 1000))
                }
                "tib-scanned" if self.scans_gb > 0 => {
                    let cost = i128::from(price) * i128::from(self.scans_gb) * 1_000_000_000;
                    Some(((cost * 2 + (1 << 40)) / (1 << 41)) as i64)
                }
                "million-requests" if self.requests > 0 => {
                    Some(nearest(price * self.requests as i64, 1_000_000))
                }
                _ => None,
            };
            let Some(cost) =
                cost.filter(|_| service == self.service && version_will_do && vcpus >= self.cpus)
            else {
                continue;
            };
            for place in places {
                let (_, country, reach, class) =
                    PLACES.iter().find(|(name, ..)| name == place).unwrap();
                let wanted = match self.places {
                    None => true,
                    Some("a:*") => place.starts_with("a:"),
                    Some("*:*o*") => place.split(':').nth(1).unwrap().contains('o'),
                    Some(name) => name == *place,
                };
                let allowed = self.countries.is_none_or(|list| list.contains(country))
                    && !(self.no_cloud_act && *reach)
                    && !self.deny.is_some_and(|cloud| place.starts_with(cloud))
                    && (class.is_empty() || self.government)
                    && !self.trust
                    && self
                        .budget_cents
                        .is_none_or(|cents| cost <= cents as i64 * 10_000);
                if wanted && allowed {
                    let at = if version.is_empty() {
                        String::new()
                    } else {
                        format!("@{version}")
                    };
                    let product = if product.is_empty() {
                        String::new()
                    } else {
                        format!("/{product}")
                    };
                    answers.push((
                        (*place).to_owned(),
                        format!("service/{service}{at}{product}"),
                        cost,
                    ));
                }
            }
        }
        answers
    }
}

fn nearest(value: i64, per: i64) -> i64 {
    let (whole, rest) = (value / per, value % per);
    if rest * 2 > per || (rest * 2 == per && whole % 2 == 1) {
        whole + 1
    } else {
        whole
    }
}

/// Compares number by number, as far as the bound goes.
fn holds(version: &[u64], sign: &str, bound: &[u64]) -> bool {
    let cut: Vec<u64> = (0..bound.len())
        .map(|index| version.get(index).copied().unwrap_or(0))
        .collect();
    match sign {
        ">=" => cut.as_slice() >= bound,
        ">" => cut.as_slice() > bound,
        "<" => cut.as_slice() < bound,
        "<=" => cut.as_slice() <= bound,
        "=" => cut == bound,
        "^" => cut.as_slice() >= bound && cut[0] == bound[0],
        _ => cut.as_slice() >= bound && cut[..bound.len().min(2)] == bound[..bound.len().min(2)],
    }
}

#[test]
fn a_thousand_random_requests() {
    let (mut planned, mut refused) = (0, 0);
    let catalog = case().catalog();
    for number in 0..1000 {
        let asked = asked(&mut Random(number * 7919 + 5));
        let case = Case {
            job: asked.job(),
            policy: asked.policy(),
            ..case()
        };
        let (job, policy) = (case.job(), case.policy());
        let answers = asked.answers();
        let settings = Settings {
            effort: Effort::default(),
            compare: false,
        };
        match planning::plan(&job, &policy, &catalog, &settings) {
            Ok(plan) => {
                planned += 1;
                let stage = &plan.stages[0];
                let taken = (
                    stage.place.to_string(),
                    stage.instance_type.clone(),
                    stage.cost_micro_usd.0,
                );
                assert!(
                    answers.contains(&taken),
                    "{number}: {taken:?} is none of {answers:?}\n{asked:?}"
                );
                let least = answers.iter().map(|(_, _, cost)| *cost).min().unwrap();
                assert_eq!(
                    plan.totals.cost_micro_usd,
                    Money(least),
                    "{number}: {asked:?}"
                );
                let text = file::encode(&plan).unwrap();
                assert_eq!(
                    planning::verify(&plan, &text, &job, &policy, &catalog),
                    [],
                    "{number}: {asked:?}"
                );
            }
            Err(NoPlan::Refused(_) | NoPlan::Infeasible(_)) => {
                refused += 1;
                assert!(
                    answers.is_empty(),
                    "{number}: there is {answers:?}\n{asked:?}"
                );
            }
            Err(other) => panic!("{number}: {other:?}"),
        }
    }
    assert!(
        planned > 250 && refused > 250,
        "{planned} planned, {refused} refused"
    );
}
