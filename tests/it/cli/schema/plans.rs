//! The schema of plans: it has every member of a plan, and refuses what is no plan.

use super::mutations::mutations;
use super::readers::schemas;
use super::{keys, validator};
use crate::support::sandbox::Sandbox;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::{Value, json};
use sky::model::{
    ArtifactRef, Bytes, DataRate, Destination, Extras, Gigabyte, Millis, Money, PlaceName,
    Purchase, Rate, Retries, Tee, Unit,
};
use sky::plan::{
    Alternative, Billing, Considered, ContentDigest, Contents, DoneStage, Exhausted, FromState,
    Inputs, LimitWait, Limits, OldPrices, Plan, PlannedCheckpoint, PlannedDataset, PlannedLink,
    PlannedObjective, PlannedStage, PlannedTransfer, PriceSource, ReplicaOf, SingleCloud,
    SolverReport, SpotTerms, Totals, Usage, file,
};
use sky::util::hash;
use sky::util::tree::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn text(text: &str) -> String {
    text.to_owned()
}

fn one<T: Ord>(item: T) -> BTreeSet<T> {
    BTreeSet::from([item])
}

fn named<T>(name: &str, value: T) -> BTreeMap<String, T> {
    BTreeMap::from([(name.to_owned(), value)])
}

fn place(name: &str) -> PlaceName {
    PlaceName::parse(name).unwrap()
}

fn artifact(name: &str) -> ArtifactRef {
    ArtifactRef::from(name.to_owned())
}

/// A plan with every member that a plan can have, none of them with a value that is left out. A new
/// member does not compile until it is here too.
fn every_member() -> Plan {
    let digest = hash::digest(b"");
    let content = || {
        let digest = digest.clone();
        let (bytes, kind) = (Bytes(2), Kind::Executable);
        named(
            "a",
            ContentDigest {
                digest,
                bytes,
                kind,
            },
        )
    };
    let plan = Plan {
        format_version: text(sky::plan::FORMAT_VERSION),
        sky_version: text("0.1.0"),
        job: text("every-member"),
        inputs: Inputs {
            job: digest.to_string(),
            policy: digest.to_string(),
            catalog: digest.to_string(),
            catalog_date: text("2026-11-01"),
        },
        objective: PlannedObjective::Weighted,
        limits: Limits {
            deadline_ms: Some(Millis(3)),
            budget_micro_usd: Some(Money(4)),
            hour_nano_usd: Some(Rate(5)),
        },
        stages: vec![stage()],
        transfers: vec![transfer()],
        datasets: named("reviews", dataset()),
        totals: totals(),
        old_prices: Some(old_prices()),
        estimated_disks: one(text("train[0]")),
        single_cloud: Some(SingleCloud {
            cloud: text("aws"),
            cost_micro_usd: Money(1),
            makespan_ms: Millis(2),
            within_limits: true,
        }),
        solver: solver(),
        considered: Considered {
            clouds: 1,
            places: 2,
            offers: 3,
            candidates: 4,
            kept: 5,
        },
        warnings: vec![text("the price is old")],
        links: vec![PlannedLink {
            from: place("aws:us-east-1"),
            to: place("gcp:us-east1"),
            rate_nano_usd_per_gb: DataRate(1),
            bits_per_second: 2,
            assumed_speed: true,
        }],
        from_state: Some(from_state()),
        contents: Contents::default(),
        digest: None,
    };
    let contents = Contents {
        datasets: content(),
        files: content(),
    };
    file::with_contents(plan, contents).unwrap()
}

fn totals() -> Totals {
    Totals {
        cost_micro_usd: Money(1),
        compute_micro_usd: Money(2),
        egress_micro_usd: Money(3),
        storage_micro_usd: Money(4),
        disk_micro_usd: Money(5),
        address_micro_usd: Money(6),
        makespan_ms: Millis(7),
    }
}

fn old_prices() -> OldPrices {
    OldPrices {
        older_than_days: 30,
        cost_micro_usd: Money(1),
        share_ppm: 2,
        oldest: text("2025-11-01"),
        kinds: named("machines", Money(1)),
        estimated: one(text("train[0]")),
    }
}

fn solver() -> SolverReport {
    SolverReport {
        name: text("highs"),
        version: text("1.0"),
        status: text("optimal"),
        bound_micro_usd: Money(1),
        bound_ms: Some(Millis(2)),
        gap: 3,
        seed: 4,
        threads: 5,
        time_limited: true,
    }
}

fn stage() -> PlannedStage {
    PlannedStage {
        name: text("train[0]"),
        place: place("aws:us-east-1"),
        country: Some(text("US")),
        instance_type: text("p3.8xlarge"),
        accelerator: Some(text("V100:4")),
        baseline_vcpu_thousandths: Some(100),
        nodes: 2,
        purchase: Purchase::Spot,
        tee: Some(Tee::SevSnp),
        rate_nano_usd_per_hour: Rate(1),
        usage: Some(usage()),
        price_source: PriceSource {
            id: text("aws"),
            date: text("2026-11-01"),
            estimated: true,
        },
        replica: Some(ReplicaOf {
            stage: text("train"),
            index: 0,
            count: 2,
        }),
        start_ms: Millis(1),
        end_ms: Millis(2),
        boot_ms: Millis(3),
        billed_ms: Millis(4),
        billing: billing(),
        deadline_ms: Some(Millis(5)),
        spot: Some(SpotTerms {
            monthly_ppm: 1,
            assumed: true,
            interruptions_millionths: 2,
            checkpoint_every_ms: Some(Millis(3)),
            moving_micro_usd: Money(4),
        }),
        cost_micro_usd: Money(6),
        storage_micro_usd: Money(7),
        boot_disk_gib: 8,
        extras: extras(),
        disk_micro_usd: Money(9),
        address_micro_usd: Money(10),
        labels: one(text("personal")),
        reads: BTreeSet::from([artifact("reviews"), artifact("split.part[i]")]),
        writes: named("model", Bytes(1)),
        outputs: named("model", Destination::Home),
        kept_from_home_by: Some(text("residency.personal")),
        checkpoints_kept_from_home_by: Some(text("residency.personal")),
        after: one(text("split")),
        waits_for: vec![LimitWait {
            stage: text("warm"),
            limit: text("quotas.aws.cpus"),
        }],
        wait_ms: Millis(11),
        run: Some(text("python train.py")),
        files: one(text("train.py")),
        env: named("EPOCHS", text("3")),
        secrets: named("HF_TOKEN", text("env:HF_TOKEN")),
        checkpoint: Some(PlannedCheckpoint {
            every_ms: Some(Millis(1)),
            bytes: Bytes(2),
        }),
        retries: Some(Retries {
            times: 3,
            on: one(75),
        }),
        alternatives: vec![alternative()],
    }
}

fn alternative() -> Alternative {
    Alternative {
        place: place("gcp:us-east1"),
        instance_type: text("n1"),
        purchase: Purchase::OnDemand,
        rate_nano_usd_per_hour: Rate(1),
        total_cost_micro_usd: Money(2),
        makespan_ms: Millis(3),
        country: Some(text("US")),
        accelerator: Some(text("V100:4")),
        tee: Some(Tee::Tdx),
        usage: Some(usage()),
        billing: billing(),
        duration_ms: Millis(4),
        boot_ms: Millis(5),
        cost_micro_usd: Money(6),
        extras: extras(),
        counted_with_others: true,
    }
}

fn usage() -> Usage {
    Usage {
        unit: Unit::TbScanned,
        rate_nano_usd_per_unit: Rate(1),
        quantity: 2,
    }
}

fn billing() -> Billing {
    Billing {
        increment_ms: Millis(1000),
        minimum_ms: Millis(60_000),
    }
}

fn extras() -> Extras {
    Extras {
        disk_nano_usd_per_hour: Rate(1),
        address_nano_usd_per_hour: Rate(2),
    }
}

fn transfer() -> PlannedTransfer {
    PlannedTransfer {
        artifact: artifact("train[0].model"),
        from: place("aws:us-east-1"),
        to: PlaceName::here(),
        bytes: Bytes(1),
        readers: one(text("serve")),
        start_ms: Millis(2),
        duration_ms: Millis(3),
        cost_micro_usd: Money(4),
        storage_micro_usd: Money(5),
        rate_nano_usd_per_gb: DataRate(6),
        billed_gb_bytes: Gigabyte::BINARY,
        bits_per_second: 7,
        assumed_speed: true,
        shared_link_bytes: Bytes(8),
    }
}

fn dataset() -> PlannedDataset {
    PlannedDataset {
        at: place("azure:eastus"),
        path: Some(text("data/reviews")),
        bytes: Bytes(1),
        labels: one(text("personal")),
    }
}

fn from_state() -> FromState {
    FromState {
        lineage: text("0a1b"),
        serial: 1,
        elapsed_ms: Millis(2),
        spent_micro_usd: Money(3),
        done: named(
            "split",
            DoneStage {
                place: place("aws:us-east-1"),
                outputs: named("part", Bytes(1)),
            },
        ),
        exhausted: one(Exhausted {
            stage: text("train"),
            place: place("aws:us-east-1"),
            instance_type: text("p3.8xlarge"),
            purchase: Purchase::Spot,
            why: text("stockout"),
        }),
    }
}

/// The members that a type reads, as its deserializer names them.
struct MemberNames<'n>(&'n mut BTreeSet<String>);

impl<'de> Deserializer<'de> for MemberNames<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0
            .extend(members.iter().map(|member| (*member).to_owned()));
        Err(serde::de::Error::custom("only the names are wanted"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn members<T: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    assert!(T::deserialize(MemberNames(&mut names)).is_err());
    names
}

#[test]
fn the_schema_has_the_members_of_every_struct_of_a_plan() {
    let structs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([
        ("Plan", members::<Plan>()),
        ("Inputs", members::<Inputs>()),
        ("Limits", members::<Limits>()),
        ("PlannedStage", members::<PlannedStage>()),
        ("LimitWait", members::<LimitWait>()),
        ("PlannedTransfer", members::<PlannedTransfer>()),
        ("PlannedDataset", members::<PlannedDataset>()),
        ("Totals", members::<Totals>()),
        ("OldPrices", members::<OldPrices>()),
        ("SingleCloud", members::<SingleCloud>()),
        ("SolverReport", members::<SolverReport>()),
        ("Considered", members::<Considered>()),
        ("PlannedLink", members::<PlannedLink>()),
        ("FromState", members::<FromState>()),
        ("DoneStage", members::<DoneStage>()),
        ("Exhausted", members::<Exhausted>()),
        ("Contents", members::<Contents>()),
        ("ContentDigest", members::<ContentDigest>()),
        ("Usage", members::<Usage>()),
        ("PriceSource", members::<PriceSource>()),
        ("ReplicaOf", members::<ReplicaOf>()),
        ("Billing", members::<Billing>()),
        ("SpotTerms", members::<SpotTerms>()),
        ("Extras", members::<Extras>()),
        ("Retries", members::<Retries>()),
        ("PlannedCheckpoint", members::<PlannedCheckpoint>()),
        ("Alternative", members::<Alternative>()),
    ]);
    let schema = sky::plan::schema::schema();
    let mut tables = keys::tables(&schema);
    keys::visit(&schema, &json!(every_member()), &mut tables);
    let mut described = BTreeSet::new();
    for (place, table) in tables {
        let title = match place.as_str() {
            "" => "Plan",
            _ => schema.pointer(&place).unwrap()["title"].as_str().unwrap(),
        };
        assert_eq!(table.keys, structs[title], "{title} at {place}");
        assert_eq!(table.used, table.keys, "{title}: a plan with every member");
        described.insert(title.to_owned());
    }
    let all: BTreeSet<String> = structs.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(described, all);
}

/// Plans of this repository, of this version and of earlier ones.
fn plans() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut plans = vec![("every member".to_owned(), json!(every_member()))];
    for entry in std::fs::read_dir(root.join("fixtures/plans")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        plans.push((
            path.display().to_string(),
            serde_json::from_str(&text).unwrap(),
        ));
    }
    let sandbox = Sandbox::bert();
    for policy in sky::spec::shipped::names() {
        let _ = std::fs::remove_file(sandbox.path("plan.json"));
        let words = [
            "plan",
            "--policy",
            policy,
            "--catalog",
            "catalog",
            "--out",
            "plan.json",
        ];
        // Not every policy has a plan over this catalog.
        if sandbox.run(&words).status.success() {
            let plan = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
            plans.push((format!("bert, {policy}"), plan));
        }
    }
    plans
}

#[test]
fn plans_of_every_version_are_what_the_schema_describes() {
    let plans = plans();
    assert!(plans.len() > 4, "{}", plans.len());
    let questions = plans.iter().map(|(_, plan)| ("plan", plan));
    let refusals = validator::refusals(&schemas(), questions);
    for ((name, _), refusal) in plans.iter().zip(refusals) {
        assert_eq!(refusal, None, "{name}");
    }
}

/// Why sky refuses a plan for its form; none: what may be wrong is what it says, and its digest.
fn form_fault(folder: &Path, plan: &Value) -> Option<String> {
    let path = folder.join("plan.json");
    std::fs::write(&path, plan.to_string()).unwrap();
    let plan = match file::read_as_it_is(&path) {
        Ok((plan, _)) => plan,
        Err(error) => return Some(error.to_string()),
    };
    let contents = plan.contents.clone();
    let plan = file::with_contents(plan, contents).unwrap();
    std::fs::write(&path, file::encode(&plan).unwrap()).unwrap();
    file::read(&path).err().map(|error| error.to_string())
}

/// The schema may refuse more than sky: members that no plan has, and the lack of members that every plan
/// has, though sky would read the plan without them.
#[test]
fn whatever_is_refused_as_no_plan_is_refused_by_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut mutants = Vec::new();
    let plan = json!(every_member());
    assert_eq!(form_fault(folder.path(), &plan), None);
    for mutation in mutations(&plan) {
        let fault = form_fault(folder.path(), &mutation.value);
        mutants.push((mutation, fault));
    }
    let questions = mutants
        .iter()
        .map(|(mutation, _)| ("plan", &mutation.value));
    let refusals = validator::refusals(&schemas(), questions);
    let (mut both, mut schema_alone, mut neither) = (0, 0, 0);
    let (mut whole_decimals, mut wrong) = (0, Vec::new());
    for ((mutation, fault), refusal) in mutants.iter().zip(refusals) {
        match (fault, refusal) {
            (Some(_), Some(_)) => both += 1,
            (None, Some(_)) => schema_alone += 1,
            (None, None) => neither += 1,
            // To a schema 2.0 is a whole number.
            (Some(fault), None) if fault.contains("floating point `2.0`") => whole_decimals += 1,
            (Some(fault), None) => wrong.push(format!("{}: {fault}", mutation.what)),
        }
    }
    assert!(
        wrong.is_empty(),
        "the schema takes what sky refuses:\n{}",
        wrong[..wrong.len().min(60)].join("\n")
    );
    insta::assert_snapshot!(
        format!(
            "both refuse {both}, the schema alone {schema_alone}, sky alone {whole_decimals} whole decimal numbers, \
             neither {neither}"
        ),
        @"both refuse 4543, the schema alone 701, sky alone 87 whole decimal numbers, neither 1305"
    );
}
