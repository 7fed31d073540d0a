//! Jobs without a plan: the lines that clash are the fewest, and each of them matters.
//!
//! The oracle looks at every placement and notes which lines it breaks: a set of lines clashes
//! if every placement breaks one of them. It has its own rules, sums and schedule.

use crate::support::case::{self, Random};
use crate::support::sandbox::Sandbox;
use insta_cmd::assert_cmd_snapshot;
use sky::catalog::Catalog;
use sky::model::units::div_half_even;
use sky::model::{ArtifactRef, Job, Offer, Policy, Purchase, Reach, Stage, Work};
use sky::planning::compile::spot;
use sky::planning::solve::Effort;
use sky::planning::{self, Clashing, ConstraintFile, Relaxed};
use sky::spec::{self, Parsed};
use std::collections::BTreeSet;

/// A world with many lines, most of which no plan can keep together.
struct World {
    catalog: Catalog,
    job: Parsed<Job>,
    policy: Parsed<Policy>,
}

/// A chain of stages, each reading what the one before it wrote, and perhaps a dataset: every
/// artifact has one reader.
fn world(number: u64) -> World {
    let case = case::random(number);
    let random = &mut Random(number.wrapping_mul(104_729) + 5);
    let places: Vec<String> = case.catalog[0]
        .2
        .iter()
        .map(|row| row.split(',').next().unwrap().to_owned())
        .collect();
    let mut job = "name = \"case\"\n".to_owned();
    let stages = 1 + random.below(3);
    let sizes = ["0 B", "1 GB", "10 GB"];
    let label = random.pick(&["", "labels = [\"personal\"]"]);
    job += &format!(
        "[datasets.d]\nat = \"{}\"\nsize = \"{}\"\n{label}\n",
        random.pick(&places),
        random.pick(&sizes)
    );
    for stage in 0..stages {
        let read = if stage == 0 {
            "\"d\"".to_owned()
        } else {
            format!("\"s{}.out\"", stage - 1)
        };
        job += &format!(
            "[stages.s{stage}]\nreads = [{read}]\nwrites = {{ out = \"{}\" }}\n",
            random.pick(&sizes)
        );
        let mut needs = Vec::new();
        if random.chance(30) {
            needs.push(format!("cpus = {}", random.pick(&[2, 4, 8, 8, 16])));
        }
        if random.chance(25) {
            needs.push(format!(
                "memory = \"{} GiB\"",
                random.pick(&[8, 16, 16, 64, 128])
            ));
        }
        if random.chance(25) {
            needs.push(format!(
                "tee = [\"{}\"]",
                random.pick(&["sgx", "tdx", "sev-snp"])
            ));
        }
        if random.chance(15) {
            needs.push(format!(
                "places = [\"{}\"]",
                random.pick(&["a:*", "b:*", "c:*", "b:paris"])
            ));
        }
        if random.chance(15) {
            needs.push(format!(
                "instance_types = [\"{}\"]",
                random.pick(&["m0", "m1", "m2"])
            ));
        }
        if random.chance(10) {
            needs.push(format!(
                "arch = \"{}\"",
                random.pick(&["x86_64", "x86_64", "arm64"])
            ));
        }
        let time = match random.below(3) {
            0 => "duration = \"1 h\"".to_owned(),
            1 => "work = { vcpu = \"9 h\" }".to_owned(),
            _ => {
                needs.push("accelerators = [\"V100:4\", \"T4\"]".to_owned());
                "duration = { \"V100:4\" = \"30 m\", T4 = \"1 h\" }".to_owned()
            }
        };
        job += &format!(
            "nodes = {}\n{time}\n[stages.s{stage}.needs]\n{}\n",
            1 + random.below(2),
            needs.join("\n")
        );
    }
    // The oracle brings nothing home.
    job += &format!("[outputs]\n\"s{}.out\" = \"there\"\n", stages - 1);
    World {
        catalog: case.catalog(),
        job: spec::job::parse("job.toml", &job).unwrap_or_else(|error| panic!("{error}\n{job}")),
        policy: policy(random),
    }
}

fn policy(random: &mut Random) -> Parsed<Policy> {
    let mut policy = "[limits]\n".to_owned();
    if random.chance(60) {
        policy += &format!(
            "deadline = \"{} m\"\n",
            random.pick(&[45, 75, 90, 150, 240, 400])
        );
    }
    if random.chance(60) {
        policy += &format!(
            "budget = \"${}\"\n",
            random.pick(&["0.25", "0.75", "1.50", "3", "5", "8"])
        );
    }
    if random.chance(50) {
        policy += "[residency]\n";
        if random.chance(60) {
            policy += &format!(
                "default = {}\n",
                random.pick(&["[\"EU\", \"GB\"]", "[\"EU\"]", "[\"US\", \"CH\"]"])
            );
        }
        policy += &format!(
            "personal = {}\n",
            random.pick(&["[\"FR\", \"DE\", \"CH\"]", "[\"DE\"]", "[\"US\"]"])
        );
    }
    if random.chance(25) {
        policy += "[operators]\nus_cloud_act = \"exclude\"\n";
    }
    if random.chance(25) {
        policy += &format!(
            "[trust]\n{} = [\"sgx\", \"tdx\"]\n",
            random.pick(&["personal", "default"])
        );
    }
    if random.chance(40) {
        policy += "[clouds]\n";
        policy += *random.pick(&[
            "deny = [\"b\"]\n",
            "deny = [\"a\", \"c\"]\n",
            "allow = [\"a\", \"b\"]\n",
        ]);
    }
    if random.chance(20) {
        policy += "[places]\n";
        policy += *random.pick(&["deny = [\"a:*\", \"b:paris\"]\n", "allow = [\"*:paris\"]\n"]);
    }
    if random.chance(30) {
        policy += "[partitions]\nallow = [\"us-gov\"]\n";
    }
    if random.chance(50) {
        policy += &format!(
            "[spot]\nallow = {}\n",
            random.pick(&["true", "false", "false"])
        );
    }
    spec::policy::parse("policy.toml", &policy).unwrap_or_else(|error| panic!("{error}\n{policy}"))
}

/// The lines that may be left out, by their keys: those that were written.
fn keys(world: &World) -> Vec<String> {
    const TABLES: [&str; 7] = [
        "residency.",
        "trust.",
        "clouds.allow",
        "places.allow",
        "clouds.deny.",
        "places.deny.",
        "limits.",
    ];
    let written = world.policy.source.spans.keys().filter(|key| {
        // Entries of lists have keys of their own; the lists that allow are one line each.
        TABLES.iter().any(|table| match *table {
            "clouds.allow" | "places.allow" => *key == table,
            "residency." | "trust." => key
                .strip_prefix(table)
                .is_some_and(|label| !label.contains('.')),
            table => key.starts_with(table),
        }) || *key == "operators.us_cloud_act"
            || (*key == "spot.allow" && world.policy.value.allow_spot == Some(false))
    });
    let needs = world
        .job
        .source
        .spans
        .keys()
        .filter(|key| key.split('.').nth(2) == Some("needs") && key.split('.').count() == 4);
    written.chain(needs).cloned().collect()
}

/// What a stage may take, whatever the lines say: an offer, how long, and the lines that it breaks.
struct Choice<'a> {
    offer: &'a Offer,
    duration: i128,
    broken: u32,
}

fn choices<'a>(world: &'a World, name: &str, keys: &[String], defaults: bool) -> Vec<Choice<'a>> {
    let (stage, catalog) = (&world.job.value.stages[name], &world.catalog);
    let bit = |key: &str| {
        keys.iter()
            .position(|other| other == key)
            .map_or(0, |index| 1 << index)
    };
    let mut choices = Vec::new();
    for offer in &catalog.offers {
        let (place, machine) = (catalog.place(offer), catalog.machine(offer));
        let policy = &world.policy.value;
        let open = ["commercial", "eu-sovereign"].contains(&place.class.as_str())
            || policy.partitions.contains(&place.class);
        let on_spot = offer.purchase == Purchase::Spot;
        // What is closed by default is not a line, unless nothing else would make room.
        let closed = [
            (!open, "partitions.allow"),
            (on_spot && policy.allow_spot.is_none(), "spot.allow"),
        ];
        let closed = closed
            .into_iter()
            .filter(|(closed, _)| *closed)
            .map(|(_, key)| bit(key));
        let closed: u32 = closed.sum();
        if defaults && (!open || (on_spot && policy.allow_spot.is_none())) {
            continue;
        }
        let mut broken = closed | broken_rules(world, name, offer, &bit);
        if on_spot && policy.allow_spot == Some(false) {
            broken |= bit("spot.allow");
        }
        let need = |key: &str, broken_one: bool| {
            if broken_one {
                bit(&format!("stages.{name}.needs.{key}"))
            } else {
                0
            }
        };
        let needs = &stage.needs;
        let matches = |list: &BTreeSet<sky::model::Pattern>, name: &str| {
            list.is_empty() || list.iter().any(|p| p.matches(name))
        };
        // Nor is what a stage runs on that names no architecture.
        if needs.arch.is_none() && machine.arch == "arm64" {
            continue;
        }
        broken |= need("cpus", machine.vcpu_thousandths < needs.vcpu_thousandths);
        broken |= need("memory", machine.memory < needs.memory);
        broken |= need(
            "tee",
            !needs.tee.is_empty() && !needs.tee.iter().any(|tee| offer.tee.has(*tee)),
        );
        broken |= need(
            "arch",
            needs
                .arch
                .as_ref()
                .is_some_and(|arch| *arch != machine.arch),
        );
        broken |= need("places", !matches(&needs.places, &place.name.to_string()));
        broken |= need(
            "instance_types",
            !matches(&needs.instance_types, &machine.instance_type),
        );
        let accelerators = bit(&format!("stages.{name}.needs.accelerators"));
        match &stage.work {
            Work::DurationBy(times) => {
                let has = |(need, _): &(&sky::model::AcceleratorNeed, &sky::model::Millis)| {
                    machine.accelerator.as_ref().is_some_and(|(name, count)| {
                        *name == need.name && *count >= need.thousandths
                    })
                };
                if let Some((_, time)) = times.iter().find(has) {
                    choices.push(Choice {
                        offer,
                        duration: i128::from(time.0),
                        broken,
                    });
                }
                let least = times.values().min().unwrap();
                choices.push(Choice {
                    offer,
                    duration: i128::from(least.0),
                    broken: broken | accelerators,
                });
            }
            _ => choices.push(Choice {
                offer,
                duration: duration(stage, machine.vcpu_thousandths),
                broken,
            }),
        }
        // Nothing is known of interruptions here: the share of them is the assumed one.
        for choice in choices
            .iter_mut()
            .filter(|choice| on_spot && std::ptr::eq(choice.offer, offer))
        {
            let run = sky::model::Millis(u64::try_from(choice.duration).unwrap());
            let nothing = sky::model::Millis(0);
            let expected =
                spot::expected(run, stage.nodes, spot::ASSUMED_INTERRUPTIONS, nothing, None);
            choice.duration = i128::from(expected.unwrap().time.0);
        }
    }
    choices
}

fn broken_rules(world: &World, name: &str, offer: &Offer, bit: &dyn Fn(&str) -> u32) -> u32 {
    let (policy, place) = (&world.policy.value, world.catalog.place(offer));
    // The label goes down the chain.
    let personal =
        world.job.value.datasets["d"].labels.contains("personal") && name.starts_with('s');
    let applies = |label: &str| label == "default" || (label == "personal" && personal);
    let mut broken = 0;
    for (label, countries) in policy.residency.iter().filter(|(label, _)| applies(label)) {
        if !place
            .country
            .as_ref()
            .is_some_and(|country| countries.contains(country))
        {
            broken |= bit(&format!("residency.{label}"));
        }
    }
    for (label, tees) in policy.trust.iter().filter(|(label, _)| applies(label)) {
        if !tees.iter().any(|tee| offer.tee.has(*tee)) {
            broken |= bit(&format!("trust.{label}"));
        }
    }
    if policy.exclude_cloud_act && place.cloud_act != Reach::No {
        broken |= bit("operators.us_cloud_act");
    }
    for (table, rule, name) in [
        ("clouds", &policy.clouds, place.name.cloud.clone()),
        ("places", &policy.places, place.name.to_string()),
    ] {
        if rule
            .allow
            .as_ref()
            .is_some_and(|allow| !allow.iter().any(|pattern| pattern.matches(&name)))
        {
            broken |= bit(&format!("{table}.allow"));
        }
        for pattern in rule.deny.iter().filter(|pattern| pattern.matches(&name)) {
            broken |= bit(&format!("{table}.deny.{pattern}"));
        }
    }
    broken
}

fn duration(stage: &Stage, vcpu_thousandths: u64) -> i128 {
    match &stage.work {
        Work::Duration(time) => i128::from(time.0),
        Work::VcpuTime(time) => div_half_even(
            i128::from(time.0) * 1000,
            i128::from(vcpu_thousandths) * i128::from(stage.nodes),
        )
        .max(1),
        _ => unreachable!("no case uses it"),
    }
}

/// The sets of lines that placements break, each only if no other is inside it.
fn broken_sets(world: &World, keys: &[String], defaults: bool) -> Vec<u32> {
    let (job, catalog) = (&world.job.value, &world.catalog);
    let all: Vec<Vec<Choice<'_>>> = job
        .stages
        .keys()
        .map(|name| choices(world, name, keys, defaults))
        .collect();
    let bit = |key: &str| {
        keys.iter()
            .position(|other| other == key)
            .map_or(0, |index| 1 << index)
    };
    let mut least: Vec<u32> = Vec::new();
    let count: usize = all.iter().map(Vec::len).product();
    for mut number in 0..count {
        let (mut cost, mut clock, mut broken, mut possible) = (0, 0, 0, true);
        let mut at = catalog.place_id(&job.datasets["d"].at).unwrap();
        for ((_, stage), choices) in job.stages.iter().zip(&all) {
            let choice = &choices[number % choices.len()];
            number /= choices.len();
            let read: &ArtifactRef = stage.reads.iter().next().unwrap();
            let to = choice.offer.place;
            if at != to {
                match catalog.network.egress(at, to, job.size(read).unwrap()) {
                    Some(egress) => cost += i128::from(egress.cost.0),
                    None => possible = false,
                }
                let bits = i128::from(job.size(read).unwrap().0) * 8;
                clock +=
                    div_half_even(bits * 1000, i128::from(catalog.network.bandwidth(at, to).0));
            }
            at = to;
            clock += choice.duration;
            let exact = i128::from(choice.offer.rate.0) * i128::from(stage.nodes) * choice.duration;
            cost += div_half_even(exact, 3_600_000 * 1000);
            broken |= choice.broken;
        }
        let policy = &world.policy.value;
        if policy
            .deadline
            .is_some_and(|limit| clock > i128::from(limit.0))
        {
            broken |= bit("limits.deadline");
        }
        if policy
            .budget
            .is_some_and(|limit| cost > i128::from(limit.0))
        {
            broken |= bit("limits.budget");
        }
        if possible && !least.iter().any(|known| known & broken == *known) {
            least.retain(|known| known & broken != broken);
            least.push(broken);
        }
    }
    least
}

/// The fewest lines that clash, by looking at all sets of them. `None`: there is a plan.
fn fewest(sets: &[u32], lines: usize) -> Option<u32> {
    (0..1_u32 << lines)
        .filter(|taken| sets.iter().all(|broken| broken & taken != 0))
        .map(u32::count_ones)
        .min()
}

/// Cases whose smallest set is of one size.
const MOST_OF_A_SIZE: usize = 130;

#[test]
fn the_lines_that_clash_are_the_fewest() {
    let mut sizes: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let (mut cases, mut alone, mut closed, mut number) = (0, 0, 0, 20_000);
    while cases < 300 {
        number += 1;
        assert!(number < 60_000, "too few cases are without a plan");
        let world = world(number);
        let mut keys = keys(&world);
        let mut sets = broken_sets(&world, &keys, true);
        if keys.len() > 16 || sets.contains(&0) {
            continue;
        }
        let by_default = sets.is_empty();
        if by_default {
            // The lines are not to blame alone.
            keys.push("partitions.allow".to_owned());
            if world.policy.value.allow_spot.is_none() {
                keys.push("spot.allow".to_owned());
            }
            sets = broken_sets(&world, &keys, false);
        }
        sets.sort_unstable();
        // Single lines that no plan can keep are the most frequent, and the least of a test.
        let least = if sets.is_empty() {
            Some(0)
        } else {
            fewest(&sets, keys.len())
        };
        let size = ["none", "one", "two", "three", "four", "more"][least.unwrap().min(5) as usize];
        if sizes.get(size) >= Some(&MOST_OF_A_SIZE) {
            continue;
        }
        let (job, policy) = (&world.job.value, &world.policy.value);
        let found = planning::conflict(job, policy, &world.catalog, &Effort::default()).unwrap();
        let said = format!(
            "case {number}\n{}\n{}\n{found:#?}",
            world.job.source.text, world.policy.source.text
        );
        cases += 1;
        let bits = |lines: &[Clashing]| -> Vec<u32> {
            let bit = |clashing: &Clashing| {
                1 << keys
                    .iter()
                    .position(|key| *key == clashing.constraint.key)
                    .unwrap_or_else(|| panic!("{said}"))
            };
            lines.iter().map(bit).collect()
        };
        let taken = bits(&found.constraints);
        let clashes = |taken: u32| sets.iter().all(|broken| broken & taken != 0);
        let whole = taken.iter().sum();
        assert!(clashes(whole), "they can be kept together: {said}");
        for line in &taken {
            assert!(!clashes(whole - line), "one can be left out: {said}");
        }
        assert_eq!(Some(whole.count_ones()), least, "there are fewer: {said}");
        assert!(found.smallest, "{said}");
        let every: u32 = (1 << keys.len()) - 1;
        for (line, clashing) in taken.iter().zip(&found.constraints) {
            assert_eq!(clashing.enough, !clashes(every - line), "{said}");
            alone += usize::from(clashing.enough);
            let source = if clashing.constraint.file == ConstraintFile::Job {
                &world.job.source
            } else {
                &world.policy.source
            };
            assert!(
                by_default || source.spans.contains_key(&clashing.constraint.key),
                "{said}"
            );
            relaxed(&world, clashing, &said);
        }
        *sizes.entry(size).or_insert(0) += 1;
        closed += usize::from(by_default);
    }
    // The cases must be worth something.
    assert!(
        alone >= 200 && closed >= 2,
        "{alone} {closed} {sizes:?} {number}"
    );
    assert!(
        sizes["one"] >= 40 && sizes["two"] >= 60 && sizes["three"] >= 30,
        "{sizes:?}"
    );
}

/// With the change that is proposed there is a plan, at the figures that were said.
fn relaxed(world: &World, clashing: &Clashing, said: &str) {
    let Some(relaxation) = clashing.relaxation.as_ref().filter(|_| clashing.enough) else {
        assert!(!clashing.enough, "{said}");
        return;
    };
    let (job, mut policy) = (world.job.value.clone(), world.policy.value.clone());
    let figures = relaxation.figures.as_ref();
    let reached = |policy: &Policy| {
        let settings = planning::Settings {
            effort: Effort::default(),
            compare: false,
        };
        planning::plan(&job, policy, &world.catalog, &settings)
            .ok()
            .map(|plan| plan.totals)
    };
    match (&relaxation.to, clashing.constraint.key.as_str()) {
        (Relaxed::Time(time), "limits.deadline") => {
            policy.deadline = Some(*time);
            assert_eq!(reached(&policy).unwrap().makespan_ms, *time, "{said}");
            policy.deadline = Some(sky::model::Millis(time.0 - 1));
            assert_eq!(reached(&policy), None, "{said}");
        }
        (Relaxed::Money(cost), _) => {
            policy.budget = Some(*cost);
            assert_eq!(reached(&policy).unwrap().cost_micro_usd, *cost, "{said}");
            policy.budget = Some(sky::model::Money(cost.0 - 1));
            assert_eq!(reached(&policy), None, "{said}");
        }
        (Relaxed::Add(names), key) if key.starts_with("residency.") => {
            let label = key.trim_start_matches("residency.");
            policy
                .residency
                .get_mut(label)
                .unwrap()
                .extend(names.iter().cloned());
            assert_eq!(
                reached(&policy).unwrap().cost_micro_usd,
                figures.unwrap().cost,
                "{said}"
            );
            // No other country would be cheaper.
            for place in &world.catalog.places {
                let mut other = world.policy.value.clone();
                other
                    .residency
                    .get_mut(label)
                    .unwrap()
                    .extend(place.country.clone());
                let cost = reached(&other).map(|totals| totals.cost_micro_usd);
                assert!(
                    cost.is_none_or(|cost| cost >= figures.unwrap().cost),
                    "{said}"
                );
            }
        }
        (Relaxed::Drop, key) if key.starts_with("clouds.deny.") => {
            policy
                .clouds
                .deny
                .retain(|pattern| !key.ends_with(&format!(".{pattern}")));
            assert_eq!(
                reached(&policy).unwrap().cost_micro_usd,
                figures.unwrap().cost,
                "{said}"
            );
        }
        _ => {}
    }
}

/// A file, the text to replace, and what with.
type Change = (&'static str, &'static str, &'static str);

/// What people read, at 80 columns.
#[test]
fn what_people_read() {
    let residency = "[residency]\ndefault = [\"EU\"]\n[trust]";
    let deny = "[clouds]\ndeny = [\"gcp\", \"aws\"]\n[trust]";
    let none_but = "[clouds]\nallow = [\"aws\"]\n[trust]";
    let cases: [(&str, &[Change]); 6] = [
        ("one_rule", &[("policy.toml", "[trust]", residency)]),
        (
            "a_rule_and_a_label",
            &[("policy.toml", "[trust]", none_but)],
        ),
        ("one_need", &[("job.toml", "\"32 GiB\"", "\"4 TiB\"")]),
        ("a_deadline", &[("policy.toml", "6 h", "90 m")]),
        (
            "a_budget_and_a_cloud",
            &[
                ("policy.toml", "6 h", "11 h"),
                ("policy.toml", "[trust]", deny),
            ],
        ),
        (
            "nothing_fits",
            &[("policy.toml", "6 h", "2 h"), ("policy.toml", "$60", "$20")],
        ),
    ];
    for (name, changes) in cases {
        let sandbox = Sandbox::bert();
        for (file, old, new) in changes {
            sandbox.replace(file, old, new);
        }
        let mut command = sandbox.sky(&["plan", "--catalog", "catalog"]);
        let output = command.env("COLUMNS", "80").output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}");
        let said = crate::support::sandbox::stderr(&output);
        assert!(
            said.lines().all(|line| line.chars().count() <= 80),
            "{said}"
        );
        assert_cmd_snapshot!(format!("conflict_{name}"), command);
    }
}

#[test]
fn programs_read_the_lines_too() {
    let sandbox = Sandbox::bert();
    sandbox.replace("policy.toml", "6 h", "90 m");
    let events = sandbox.stdout(&["plan", "--catalog", "catalog", "--json"], 3);
    let event: serde_json::Value = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|event| event["type"] == "diagnostic")
        .unwrap();
    insta::assert_json_snapshot!(event["diagnostic"]["conflict"]);
}

/// What `sky plan` says of a job that has no plan for one reason alone.
fn cause(job: &str, policy: &str) -> String {
    let sandbox = Sandbox::bert();
    sandbox
        .write("job.toml", &format!("name = \"case\"\n{job}"))
        .write("policy.toml", policy);
    let output = sandbox.run(&["plan", "--catalog", "catalog"]);
    let said = crate::support::sandbox::stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    said
}

#[test]
fn quotas_alone_are_named_as_the_cause() {
    let stages = "[stages.a]\nduration = \"1 h\"\nnodes = 2\n";
    let quotas =
        "[quotas]\naws = { instances = 1 }\ngcp = { instances = 1 }\nazure = { instances = 0 }\n";
    let said = cause(stages, quotas);
    for key in [
        "quotas.aws.instances",
        "quotas.gcp.instances",
        "quotas.azure.instances",
    ] {
        assert!(said.contains(key), "{key}: {said}");
    }
    for other in ["budget", "deadline", "trust", "residency"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
}

#[test]
fn deadlines_of_stages_alone_are_named_as_the_cause() {
    let stages = "[stages.a]\nduration = \"2 h\"\nwrites = { o = \"1 GB\" }\n\
                  [stages.b]\nduration = \"2 h\"\nreads = [\"a.o\"]\ndeadline = \"3 h\"\n";
    let said = cause(stages, "");
    assert!(said.contains("stages.b.deadline"), "{said}");
    for other in ["budget", "quota", "trust", "residency", "limits.deadline"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
}
