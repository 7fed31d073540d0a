//! Random small worlds: a catalog as text files, a job and a policy as TOML text. All through
//! the front door, so that what is tested is what users write.

use sky::catalog::{Catalog, files, load};
use sky::model::{ArtifactRef, Destination, Job, Policy};
use sky::spec;

/// One world, as text. Lists of rows may be shuffled without changing its meaning.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// File name, header, rows.
    pub catalog: Vec<(&'static str, &'static str, Vec<String>)>,
    /// A table of the job each.
    pub job: Vec<String>,
    pub policy: String,
}

impl Case {
    pub(crate) fn catalog(&self) -> Catalog {
        let head =
            "format = 1\n[sources.s]\ndate = \"2026-01-01\"\nabout = \"made up\"\n".to_owned();
        let mut list = vec![("catalog.toml", head)];
        for (name, header, rows) in &self.catalog {
            list.push((name, format!("{header}\n{}\n", rows.join("\n"))));
        }
        list.sort();
        let list: Vec<files::File> = list
            .into_iter()
            .map(|(name, text)| files::File {
                name: name.to_owned(),
                shown: name.to_owned(),
                text,
            })
            .collect();
        load::from_files(&list).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }

    /// All files, for people.
    pub(crate) fn text(&self) -> String {
        let tables = self
            .catalog
            .iter()
            .map(|(name, header, rows)| format!("# {name}\n{header}\n{}", rows.join("\n")));
        let tables: Vec<String> = tables.collect();
        format!(
            "{}\n# job.toml\n{}\n# policy.toml\n{}",
            tables.join("\n"),
            self.job.join("\n"),
            self.policy
        )
    }

    pub(crate) fn job(&self) -> Job {
        let text = format!("name = \"case\"\n{}", self.job.join("\n"));
        spec::job::parse("job.toml", &text)
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
            .value
    }

    /// The job with all outputs left where they are made. Which results come home by default
    /// depends on rules and offers; what is compared over these must be the same work.
    pub(crate) fn staying(&self) -> Job {
        let mut job = self.job();
        for (stage, body) in &job.stages {
            for name in body.writes.keys() {
                let output = ArtifactRef::Output {
                    stage: stage.clone(),
                    name: name.clone(),
                };
                job.outputs.insert(output, Destination::There);
            }
        }
        job
    }

    pub(crate) fn policy(&self) -> Policy {
        spec::policy::parse("policy.toml", &self.policy)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.policy))
            .value
    }
}

/// A small generator of pseudo-random numbers (SplitMix64, Steele et al. 2014): the same cases on
/// every machine, by their number.
pub(crate) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `0` to `below - 1`.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// True in so many cases of a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Places: name, country, reach of the US CLOUD Act and class.
const PLACES: [(&str, &str, &str); 7] = [
    ("a:paris", "FR", "yes,"),
    ("a:berlin", "DE", "yes,us-gov"),
    ("b:paris", "FR", "no,eu-sovereign"),
    ("b:london", "GB", "contested,commercial"),
    ("b:zurich", "CH", "no,"),
    ("c:virginia", "US", "yes,"),
    ("c:somewhere", "", "unknown,"),
];

/// A world with up to 5 places and 6 stages. Prices and sizes come from short lists: ties are
/// frequent, as they are between real regions.
pub(crate) fn random(number: u64) -> Case {
    let mut random = Random(number.wrapping_mul(7919) + 13);
    let random = &mut random;
    let mut places = PLACES.to_vec();
    random.shuffle(&mut places);
    places.truncate(2 + random.below(4) as usize);
    let stages = 1 + random.below(6);
    // Few offers where there are many stages: every placement will be looked at.
    let machines = if stages > 4 { 1 } else { 1 + random.below(3) };
    Case {
        catalog: catalog(random, &places, machines),
        job: job(random, &places, stages),
        policy: policy(random),
    }
}

fn catalog(
    random: &mut Random,
    places: &[(&str, &str, &str)],
    machines: u64,
) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let place_rows = places
        .iter()
        .map(|(name, country, reach)| format!("{name},{country},Somewhere,Operator,{reach}"));
    let mut machine_rows = Vec::new();
    let mut price_rows = Vec::new();
    let mut confidential = Vec::new();
    for cloud in ["a", "b", "c"] {
        for machine in 0..machines {
            let accelerator = *random.pick(&[",", "V100,1", "V100,4", "T4,1"]);
            machine_rows.push(format!(
                "{cloud},m{machine},{},{},{accelerator},x86_64",
                random.pick(&[2, 4, 8]),
                random.pick(&[8, 16, 64])
            ));
            if random.chance(40) {
                confidential.push(format!(
                    "{cloud},m{machine},{},*,s",
                    random.pick(&["sgx", "tdx", "sev-snp"])
                ));
            }
            for (place, _, _) in places.iter().filter(|(name, _, _)| name.starts_with(cloud)) {
                let price = random.pick(&["0.10", "0.25", "1.00", "1.00", "3.333333333"]);
                let spot = if random.chance(30) { "0.05" } else { "" };
                price_rows.push(format!(
                    "{place},m{machine},{price},s,{spot},{}",
                    if spot.is_empty() { "" } else { "s" }
                ));
            }
        }
    }
    let mut egress = Vec::new();
    for cloud in ["a", "b", "c"] {
        if random.chance(90) {
            egress.push(format!(
                "{cloud}:*,internet,{},0,s",
                random.pick(&["0.09", "0.12", "0", "0.0875"])
            ));
            if random.chance(50) {
                egress.push(format!(
                    "{cloud}:*,internet,{},50,s",
                    random.pick(&["0.05", "0.01"])
                ));
            }
        }
        if random.chance(70) {
            egress.push(format!(
                "{cloud}:*,{cloud}:*,{},0,s",
                random.pick(&["0.02", "0.01", "0"])
            ));
        }
    }
    if let [(from, _, _), (to, _, _), ..] = places
        && random.chance(30)
    {
        egress.push(format!("{from},{to},{},0,s", random.pick(&["0", "0.5"])));
    }
    let mut throughput = vec![format!("*,*,{},s", random.pick(&["1", "0.1", "5"]))];
    if random.chance(50) {
        throughput.push(format!("a:*,*,{},s", random.pick(&["0.05", "2"])));
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
    ]
}

fn job(random: &mut Random, places: &[(&str, &str, &str)], stages: u64) -> Vec<String> {
    let mut tables = Vec::new();
    let sizes = ["0 B", "1 GB", "20 GB", "120 GB"];
    let datasets = random.below(3);
    for dataset in 0..datasets {
        let (place, _, _) = random.pick(places);
        let label = random.pick(&["", "labels = [\"personal\"]", "labels = [\"secret\"]"]);
        tables.push(format!(
            "[datasets.d{dataset}]\nat = \"{place}\"\nsize = \"{}\"\n{label}\n",
            random.pick(&sizes)
        ));
    }
    for stage in 0..stages {
        let mut reads: Vec<String> = (0..datasets)
            .filter(|_| random.chance(30))
            .map(|dataset| format!("\"d{dataset}\""))
            .collect();
        reads.extend(
            (0..stage)
                .filter(|_| random.chance(45))
                .map(|before| format!("\"s{before}.out{before}\"")),
        );
        let after: Vec<String> = (0..stage)
            .filter(|_| random.chance(10))
            .map(|before| format!("\"s{before}\""))
            .collect();
        let (needs, time) = match random.below(5) {
            0 => ("needs = { cpus = 4 }", "duration = \"2 h\"".to_owned()),
            1 => (
                "needs = { accelerators = [\"V100:1\", \"T4\"] }",
                "duration = { \"V100\" = \"30 m\", T4 = \"1 h\" }".to_owned(),
            ),
            2 => ("", "work = { vcpu = \"9 h\" }".to_owned()),
            3 => (
                "needs = { memory = \"12 GiB\" }",
                format!("duration = \"{} m\"", 1 + random.below(90)),
            ),
            _ => ("", "duration = \"1 h\"".to_owned()),
        };
        let removes = if random.chance(20) {
            "removes = [\"personal\"]"
        } else {
            ""
        };
        tables.push(format!(
            "[stages.s{stage}]\nreads = [{}]\nwrites = {{ out{stage} = \"{}\" }}\nafter = [{}]\nnodes = {}\n{needs}\n{time}\n{removes}\n",
            reads.join(", "),
            random.pick(&sizes),
            after.join(", "),
            1 + random.below(2),
        ));
    }
    tables
}

fn policy(random: &mut Random) -> String {
    let mut policy = format!(
        "[objective]\nminimize = \"{}\"\n",
        random.pick(&["cost", "cost", "time"])
    );
    if random.chance(25) {
        policy += &format!(
            "[residency]\ndefault = {}\n",
            random.pick(&["[\"EU\", \"GB\"]", "[\"EU\"]", "[\"FR\", \"US\", \"CH\"]"])
        );
        if random.chance(50) {
            policy += "personal = [\"FR\", \"DE\", \"CH\"]\n";
        }
    }
    if random.chance(10) {
        policy += "[operators]\nus_cloud_act = \"exclude\"\n";
    }
    if random.chance(15) {
        policy += "[trust]\npersonal = [\"sgx\", \"tdx\"]\n";
    }
    if random.chance(10) {
        policy += "[clouds]\ndeny = [\"b\"]\n";
    }
    if random.chance(50) {
        policy += "[partitions]\nallow = [\"us-gov\"]\n";
    }
    if random.chance(30) {
        policy += "[spot]\nallow = true\n";
    }
    policy
}
