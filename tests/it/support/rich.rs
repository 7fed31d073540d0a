//! Random small worlds with everything that jobs, policies and catalogs can say: each feature in
//! some of them, most of them with several.

mod world_features;

pub(crate) use world_features::{FEATURES, features};

use crate::support::case::{Case, Random};
use sky::catalog::Catalog;
use sky::model::{Allocation, ArtifactRef, Destination, Domain, Job, Objective, PlaceName, Policy};
use std::collections::BTreeSet;

/// Places: name, country, reach of the US CLOUD Act and class.
const PLACES: [(&str, &str, &str); 7] = [
    ("a:paris", "FR", "yes,"),
    ("a:berlin", "DE", "yes,"),
    ("b:paris", "FR", "no,eu-sovereign"),
    ("b:london", "GB", "contested,commercial"),
    ("b:zurich", "CH", "no,"),
    ("c:virginia", "US", "yes,us-gov"),
    ("c:somewhere", "", "unknown,"),
];

type Table = (&'static str, &'static str, Vec<String>);

/// A world with up to 4 places and 5 stages, copies counted. Sizes are whole GB and prices whole
/// micro-dollars per GB, so that sums of copies and copies of sums are the same.
pub(crate) fn rich(number: u64) -> Case {
    let random = &mut Random(number.wrapping_mul(7919) + 29);
    let mut places = PLACES.to_vec();
    random.shuffle(&mut places);
    places.truncate(2 + random.below(3) as usize);
    let spot = random.chance(45);
    let machines = if spot || random.chance(60) { 1 } else { 2 };
    let tasks = if spot || machines == 2 {
        2 + random.below(3)
    } else {
        3 + random.below(3)
    };
    let mut case = Case {
        catalog: catalog(random, &places, machines, spot),
        job: job(random, &places, tasks, spot),
        policy: policy(random, spot),
    };
    // Numbers of their own, so that all else is as it was without it.
    home(&mut Random(number.wrapping_mul(7919) + 31), &mut case);
    extras(&mut Random(number.wrapping_mul(7919) + 37), &mut case);
    case
}

/// What comes with machines: boot disks and public addresses.
fn extras(random: &mut Random, case: &mut Case) {
    let mut rows = Vec::new();
    for cloud in ["a", "b", "c"] {
        let has_places = case.catalog[0]
            .2
            .iter()
            .any(|place| place.starts_with(cloud));
        if random.chance(40) && has_places {
            rows.push(format!(
                "{cloud},{},{},,{},{},s,made up",
                random.pick(&["10", "50"]),
                random.pick(&["0.08", "0.1"]),
                random.pick(&["0.005", "0"]),
                random.pick(&["0.0025", ""]),
            ));
        }
    }
    let header = "cloud,boot_disk_gib,disk_usd_per_gib_month,disk_sizes_gib,public_ipv4_usd_per_hour,\
                  spot_public_ipv4_usd_per_hour,source,evidence";
    case.catalog.push(("machine_extras.csv", header, rows));
}

/// Where results go, and what is declared of this machine.
fn home(random: &mut Random, case: &mut Case) {
    let stages: Vec<usize> = (0..case.job.len())
        .filter(|table| case.job[*table].starts_with("[stages."))
        .collect();
    let mut outputs = String::new();
    for stage in 0..stages.len() {
        if random.chance(25) {
            outputs += &format!(
                "s{stage}.out{stage} = \"{}\"\n",
                random.pick(&["home", "there", "there"])
            );
        }
    }
    if !outputs.is_empty() {
        case.job.push(format!("[outputs]\n{outputs}"));
    }
    for table in case
        .job
        .iter_mut()
        .filter(|table| table.starts_with("[datasets."))
    {
        if random.chance(20) {
            let (head, rest) = table.split_once("at = \"").unwrap();
            let (_, rest) = rest.split_once('"').unwrap();
            *table = format!("{head}at = \"local:here\"{rest}");
        }
    }
    if random.chance(50) {
        case.policy += "[home]\n";
        if random.chance(70) {
            case.policy += &format!("country = \"{}\"\n", random.pick(&["DE", "FR", "GB", "US"]));
            case.policy +=
                *random.pick(&["", "us_cloud_act = \"no\"\n", "us_cloud_act = \"yes\"\n"]);
            case.policy += *random.pick(&["", "tee = [\"sgx\"]\n", "tee = [\"sev-snp\"]\n"]);
        }
        case.policy += *random.pick(&["", "uplink = \"200 Mbit/s\"\n", "uplink = \"50 Mbit/s\"\n"]);
        case.policy += *random.pick(&["", "downlink = \"2 Gbit/s\"\n"]);
    }
}

fn catalog(
    random: &mut Random,
    places: &[(&str, &str, &str)],
    machines: u64,
    spot: bool,
) -> Vec<Table> {
    let place_rows = places
        .iter()
        .map(|(name, country, reach)| format!("{name},{country},Somewhere,Operator,{reach}"));
    let clouds: BTreeSet<&str> = places.iter().map(|(name, ..)| &name[..1]).collect();
    let (mut machine_rows, mut price_rows, mut confidential) = (Vec::new(), Vec::new(), Vec::new());
    let (mut interruptions, mut terms) = (Vec::new(), Vec::new());
    for cloud in ["a", "b", "c"] {
        for machine in 0..machines {
            let accelerator = *random.pick(&["V100,1", "V100,4", "T4,1", "T4,1", ","]);
            machine_rows.push(format!(
                "{cloud},m{machine},{},{},{accelerator},{}",
                random.pick(&[4, 8, 16]),
                random.pick(&[8, 16, 64, 64]),
                random.pick(&["x86_64", "x86_64", "x86_64", "x86_64", "x86_64", "arm64"]),
            ));
            if random.chance(50) {
                confidential.push(format!(
                    "{cloud},m{machine},{},*,s",
                    random.pick(&["sgx", "tdx", "sev-snp"])
                ));
            }
            let here = || places.iter().filter(|(name, ..)| name.starts_with(cloud));
            for (place, ..) in here() {
                let price = random.pick(&["0.10", "0.25", "1.00", "1.00", "3.333333333"]);
                let spot = if spot && random.chance(70) {
                    *random.pick(&["0.05", "0.08", "0.09"])
                } else {
                    ""
                };
                price_rows.push(format!(
                    "{place},m{machine},{price},s,{spot},{}",
                    if spot.is_empty() { "" } else { "s" }
                ));
            }
            if here().next().is_some() && random.chance(50) {
                interruptions.push(format!(
                    "{cloud},m{machine},{},*,s",
                    random.pick(&["5", "20", "90", "99"])
                ));
            }
        }
        if clouds.contains(cloud) && random.chance(60) {
            terms.push(format!(
                "{cloud},{},{},{},{},{},s,{}",
                random.pick(&["1", "60", "3600", ""]),
                random.pick(&["60", "3600", "7200", ""]),
                random.pick(&["0", "90", "300", ""]),
                random.pick(&["10", "50", "100", ""]),
                random.pick(&["0.02", "0.2", "0.05", ""]),
                // One cloud bills by the GiB.
                if cloud == "a" { "1073741824" } else { "" },
            ));
        }
    }
    let mut egress = Vec::new();
    for cloud in ["a", "b", "c"] {
        if random.chance(97) {
            egress.push(format!(
                "{cloud}:*,internet,{},0,s",
                random.pick(&["0.09", "0.12", "0.0875", "0.02"])
            ));
            if random.chance(60) {
                egress.push(format!(
                    "{cloud}:*,internet,{},50,s",
                    random.pick(&["0.05", "0.01", "0.3"])
                ));
            }
            if random.chance(30) {
                egress.push(format!(
                    "{cloud}:*,internet,{},130,s",
                    random.pick(&["0.03", "0"])
                ));
            }
        }
        if random.chance(93) {
            egress.push(format!(
                "{cloud}:*,{cloud}:*,{},0,s",
                random.pick(&["0.02", "0.01", "0"])
            ));
        }
    }
    if let [(from, ..), (to, ..), ..] = places
        && random.chance(30)
    {
        egress.push(format!(
            "{from},{to},{},0,s",
            random.pick(&["0", "0.5", "0.04"])
        ));
    }
    let mut throughput = vec![format!("*,*,{},s", random.pick(&["1", "0.1", "5"]))];
    if random.chance(60) {
        throughput.push(format!(
            "{}:*,*,{},s",
            random.pick(&["a", "b", "c"]),
            random.pick(&["0.05", "2"])
        ));
    }
    let mut trips = Vec::new();
    for (one, (from, ..)) in places.iter().enumerate() {
        for (to, ..) in &places[one + 1..] {
            if random.chance(60) {
                trips.push(format!("{from},{to},{},s", random.pick(&[10, 30, 90])));
            }
        }
    }
    vec![
        (
            "places.csv",
            "place,country,location,operator,us_cloud_act,class",
            place_rows.collect(),
        ),
        (
            "machines.csv",
            "cloud,instance_type,vcpus,memory_gib,accelerator,count,arch",
            machine_rows,
        ),
        (
            "prices.csv",
            "place,instance_type,on_demand,source,spot,spot_source",
            price_rows,
        ),
        (
            "confidential.csv",
            "cloud,instance_type,tee,places,source",
            confidential,
        ),
        ("egress.csv", "from,to,usd_per_gb,above_gb,source", egress),
        ("throughput.csv", "from,to,gbps,source", throughput),
        (
            "clouds.csv",
            "cloud,increment_s,minimum_s,boot_s,free_egress_gb,storage_usd_per_gb_month,source,gb_bytes",
            terms,
        ),
        (
            "interruptions.csv",
            "cloud,instance_type,percent_per_month,regions,source",
            interruptions,
        ),
        ("round_trips.csv", "from,to,ms,source", trips),
    ]
}

/// Stages until there are so many tasks, each copy being one.
fn job(random: &mut Random, places: &[(&str, &str, &str)], tasks: u64, spot: bool) -> Vec<String> {
    let mut tables = Vec::new();
    let sizes = ["0 B", "1 GB", "20 GB", "40 GB", "120 GB"];
    let datasets = random.below(3);
    for dataset in 0..datasets {
        let (place, ..) = random.pick(places);
        let label = random.pick(&["", "labels = [\"personal\"]", "labels = [\"secret\"]"]);
        tables.push(format!(
            "[datasets.d{dataset}]\nat = \"{place}\"\nsize = \"{}\"\n{label}\n",
            random.pick(&sizes)
        ));
    }
    // By stage: its number of copies.
    let mut counts: Vec<u64> = Vec::new();
    let mut left = tasks;
    while left > 0 {
        let stage = counts.len();
        // As many as another stage has, so that it may be read copy by copy, or some number.
        let known = counts
            .iter()
            .copied()
            .find(|count| (2..=left).contains(count));
        let count = match known {
            Some(count) if random.chance(85) => count,
            _ if left > 1 && random.chance(45) => 2 + random.below((left - 1).min(2)),
            _ => 1,
        };
        left -= count;
        let mut reads: Vec<String> = (0..datasets)
            .filter(|_| random.chance(40))
            .map(|dataset| format!("\"d{dataset}\""))
            .collect();
        for (before, copies) in counts.iter().enumerate() {
            let alike = *copies == count && count > 1;
            if !random.chance(if alike { 90 } else { 60 }) {
                continue;
            }
            let element = if alike && random.chance(85) {
                "[i]"
            } else {
                ""
            };
            reads.push(format!("\"s{before}.out{before}{element}\""));
        }
        let after: Vec<String> = (0..stage)
            .filter(|_| random.chance(10))
            .map(|before| format!("\"s{before}\""))
            .collect();
        let mut table = format!(
            "[stages.s{stage}]\nreads = [{}]\nwrites = {{ out{stage} = \"{}\" }}\nafter = [{}]\nnodes = {}\n",
            reads.join(", "),
            random.pick(&sizes),
            after.join(", "),
            random.pick(&[1, 1, 1, 2, 3]),
        );
        if count > 1 {
            table += &format!("count = {count}\n");
        }
        table += &needs_and_time(random, places);
        if random.chance(15) {
            table += "removes = [\"personal\"]\n";
        }
        if random.chance(20) {
            table += &format!(
                "deadline = \"{}\"\n",
                random.pick(&["3 h", "8 h", "20 h", "40 h"])
            );
        }
        if spot && random.chance(40) {
            let allocation = random.pick(&[
                "spot",
                "spot-if-available",
                "spot-if-available",
                "spot-if-available",
                "cheapest",
                "cheapest",
                "on-demand",
            ]);
            table += &format!("allocation = \"{allocation}\"\n");
        }
        if spot && random.chance(60) {
            table += *random.pick(&[
                "checkpoint = { every = \"20 m\", save = \"1 m\", restart = \"2 m\", size = \"10 GB\" }\n",
                "checkpoint = { save = \"10 s\", size = \"100 GB\" }\n",
                "checkpoint = { every = \"1 h\", restart = \"5 m\" }\n",
            ]);
        }
        tables.push(table);
        counts.push(count);
    }
    if tasks > 1 && random.chance(35) {
        tables.push(spread(random, &counts, places));
    }
    tables
}

/// Of some stages' copies, mostly so many per place or cloud that it can be.
fn spread(random: &mut Random, counts: &[u64], places: &[(&str, &str, &str)]) -> String {
    let several = counts
        .iter()
        .position(|count| *count > 1)
        .filter(|_| random.chance(70));
    let (members, copies) = match several {
        Some(stage) => (format!("\"s{stage}\""), counts[stage]),
        None => ("\"s*\"".to_owned(), counts.iter().sum()),
    };
    let clouds: BTreeSet<&str> = places.iter().map(|(name, ..)| &name[..1]).collect();
    let (over, domains) = if random.chance(60) {
        ("place", places.len())
    } else {
        ("cloud", clouds.len())
    };
    let tight = copies.div_ceil(domains as u64) + u64::from(random.chance(40));
    let at_most = tight.min(copies - 1).max(1);
    let how = match random.below(2) {
        0 => format!("at_most = {at_most}"),
        _ => format!("survivors = {}", copies - at_most),
    };
    format!("[[spread]]\nstages = [{members}]\nover = \"{over}\"\n{how}\n")
}

fn needs_and_time(random: &mut Random, places: &[(&str, &str, &str)]) -> String {
    let countries: Vec<&str> = places
        .iter()
        .map(|(_, country, _)| *country)
        .filter(|name| !name.is_empty())
        .collect();
    let cards = "accelerators = [\"V100:1\", \"V100:4\", \"T4\"]";
    let by_card = "duration = { \"V100\" = \"50 m\", \"V100:4\" = \"20 m\", T4 = \"1 h\" }";
    let plain = [
        "duration = \"1 h\"",
        "duration = \"25 m\"",
        "duration = \"6 h\"",
        "work = { vcpu = \"9 h\" }",
    ];
    let near = format!(
        "latency = {{ to = \"{}\", at_most = \"{} ms\" }}",
        random.pick(&countries),
        random.pick(&[30, 90])
    );
    let some = [
        "{ cpus = 8 }",
        "{ places = [\"a:*\", \"c:*\"] }",
        "{ memory = \"12 GiB\" }",
        "{ places = [\"b:*\"] }",
        "{}",
    ];
    let (one, other) = (random.pick(&some), random.pick(&some));
    let time = *random.pick(&plain);
    let (needs, time) = match random.below(12) {
        0 => ("cpus = 4".to_owned(), time),
        1 => (cards.to_owned(), by_card),
        2 => ("memory = \"12 GiB\"".to_owned(), time),
        3 => ("arch = \"x86_64\"".to_owned(), time),
        4 => (near, time),
        5 => (
            format!("any_of = [{one}, {{ tee = [\"sgx\", \"tdx\"] }}]"),
            time,
        ),
        6 => (
            format!("any_of = [{{ {cards} }}, {{ cpus = 4, accelerators = [\"T4\"] }}]"),
            by_card,
        ),
        7 | 8 => (format!("ordered = [{one}, {other}, {{ cpus = 2 }}]"), time),
        9 => (format!("ordered = [{{ {near} }}, {{}}]"), time),
        _ => (String::new(), time),
    };
    format!("needs = {{ {needs} }}\n{time}\n")
}

fn policy(random: &mut Random, spot: bool) -> String {
    let objectives = [
        "minimize = \"cost\"",
        "minimize = [\"cost\", \"time\"]",
        "minimize = \"time\"",
        "minimize = [\"time\", \"cost\"]",
    ];
    let weights = [
        "weights = { time = 2 }",
        "weights = { cost = 3, time = 0.6 }",
        "minimize = \"cost\"\nweights = { cost = 0.1, time = 1 }",
    ];
    let objective = if random.chance(20) {
        random.pick(&weights)
    } else {
        random.pick(&objectives)
    };
    let mut policy = format!("[objective]\n{objective}\n");
    if random.chance(15) {
        let allowed = random.pick(&["[\"EU\", \"GB\"]", "[\"EU\"]", "[\"FR\", \"US\", \"CH\"]"]);
        policy += &format!("[residency]\ndefault = {allowed}\n");
        if random.chance(50) {
            policy += "personal = [\"FR\", \"DE\", \"CH\"]\n";
        }
    }
    if random.chance(8) {
        policy += "[operators]\nus_cloud_act = \"exclude\"\n";
    }
    if random.chance(12) {
        policy += "[trust]\npersonal = [\"sgx\", \"tdx\"]\n";
    }
    if random.chance(8) {
        policy += "[clouds]\ndeny = [\"b\"]\n";
    }
    if random.chance(80) {
        policy += "[partitions]\nallow = [\"us-gov\"]\n";
    }
    if spot {
        policy += *random.pick(&[
            "",
            "[spot]\nallow = true\n",
            "[spot]\nallow = true\n",
            "[spot]\nallow = true\n",
            "[spot]\nallow = false\nallocation = \"on-demand\"\n",
            "[spot]\nallocation = \"spot-if-available\"\n",
            "[spot]\nallow = true\nallocation = \"on-demand\"\n",
            "[spot]\nallocation = \"cheapest\"\n",
        ]);
    }
    for cloud in ["a", "b", "c"] {
        if random.chance(40) {
            policy += &format!(
                "[accounts.{cloud}]\nused_this_month = \"{} GB\"\n",
                random.pick(&[0, 5, 30, 60, 110])
            );
        }
    }
    if random.chance(40) {
        policy += "[quotas]\n";
        for key in ["a", "b", "\"a:*\"", "\"*:paris\"", "\"c:virginia\""] {
            if random.chance(40) {
                let quota = random.pick(&[
                    "cpus = 24",
                    "cpus = 16",
                    "instances = 1",
                    "instances = 2",
                    "instances = 3",
                    "accelerators = 8",
                    "accelerators = { V100 = 8, T4 = 2 }",
                    "cpus = 40, instances = 4, accelerators = { V100 = 8 }",
                ]);
                policy += &format!("{key} = {{ {quota} }}\n");
            }
        }
    }
    if random.chance(35) {
        for _ in 0..1 + random.below(2) {
            let (from, to) = (
                random.pick(&["a:*", "b:*", "*:paris"]),
                random.pick(&["b:*", "c:*", "*:berlin", "a:*"]),
            );
            let both = if random.chance(50) { "both = true" } else { "" };
            let price = random.pick(&["0", "0.01", "0.04"]);
            policy += &format!(
                "[[links]]\nfrom = \"{from}\"\nto = \"{to}\"\nper_gb = \"${price}\"\n{both}\n"
            );
        }
    }
    if random.chance(20) {
        policy += &format!("[transfers]\nrelay = {}\n", random.pick(&["true", "false"]));
    }
    if random.chance(40) {
        policy += &format!(
            "[storage]\nkeep = \"{}\"\n",
            random.pick(&["73 h", "365 h", "730 h"])
        );
    }
    policy
}
