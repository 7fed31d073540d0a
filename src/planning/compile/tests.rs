//! From job, policy and catalog to numbers, worked out by hand.

mod bills;
mod choice;
mod limits;

use super::{Candidate, Compiled, Refusal, compile};
use crate::catalog::files::File;
use crate::catalog::{Catalog, Terms, load};
use crate::model::{
    AcceleratorNeed, Allocation, ArtifactRef, Bytes, Checkpoint, DataRate, Dataset, Domain, Job,
    Latency, Link, Millis, Money, Needs, Pattern, PlaceName, Policy, Purchase, Quota, Rate, Spread,
    Stage, Tariff, Work,
};
use crate::planning::problem::{
    CandidateId, CapId, ChoiceId, Links, PoolId, Price, SiteId, StageId,
};
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const GB: u64 = 1_000_000_000;

/// Clouds x and y. `x:north` and `x:south` have all machines of x, `y:west` that of y.
const FILES: [(&str, &str); 6] = [
    (
        "catalog.toml",
        "format = 1\n[sources.s]\ndate = \"2026-01-01\"\nabout = \"made up\"\n",
    ),
    ("egress.csv", EGRESS),
    ("machines.csv", MACHINES),
    (
        "places.csv",
        "place,country\nx:north,DE\nx:south,FR\ny:west,US\n",
    ),
    ("prices.csv", PRICES),
    ("throughput.csv", "from,to,gbps,source\n*,*,8,s\n"),
];

const EGRESS: &str = "from,to,above_gb,usd_per_gb,source
x:*,x:*,0,0.01,s
x:*,internet,0,0.10,s
x:*,internet,1000,0.05,s
y:*,*,0,0.20,s
";

const MACHINES: &str = "cloud,instance_type,vcpus,memory_gib,accelerator,count
x,big,8,32,V100,4
x,mid,4,16,V100,1
x,small,2,4,,
y,fast,16,64,A100,1
";

const PRICES: &str = "place,instance_type,on_demand,source,spot
x:north,big,8,s,4
x:north,mid,3,s,
x:north,small,1,s,0.25
x:south,big,10,s,
x:south,small,2,s,
y:west,fast,20,s,5
";

fn catalog() -> Catalog {
    let file = |(name, text): &(&str, &str)| File {
        name: (*name).to_owned(),
        shown: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    load::from_files(&FILES.iter().map(file).collect::<Vec<_>>()).unwrap()
}

fn with_terms(cloud: &str, terms: Terms) -> Catalog {
    let mut catalog = catalog();
    catalog.terms.insert(cloud.to_owned(), terms);
    catalog
}

fn stage(work: Work) -> Stage {
    Stage {
        reads: BTreeSet::new(),
        writes: BTreeMap::new(),
        removes: BTreeSet::new(),
        needs: Needs::default(),
        work,
        run: None,
        files: BTreeSet::new(),
        nodes: 1,
        after: BTreeSet::new(),
        count: 1,
        deadline: None,
        allocation: None,
        checkpoint: None,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        retries: None,
        without: BTreeSet::new(),
    }
}

fn hours(hours: u64) -> Stage {
    stage(Work::Duration(Millis(hours * HOUR)))
}

fn job<const N: usize>(stages: [(&str, Stage); N]) -> Job {
    let stages = stages
        .into_iter()
        .map(|(name, stage)| (name.to_owned(), stage))
        .collect();
    Job {
        name: "j".to_owned(),
        datasets: BTreeMap::new(),
        stages,
        spread: Vec::new(),
        made: BTreeMap::new(),
        outputs: BTreeMap::new(),
    }
}

fn pattern(text: &str) -> Pattern {
    Pattern(text.to_owned())
}

fn only(place: &str, machine: &str) -> Needs {
    Needs {
        places: BTreeSet::from([pattern(place)]),
        instance_types: BTreeSet::from([pattern(machine)]),
        ..Needs::default()
    }
}

/// The candidates of a stage, as `place machine purchase`.
fn named(compiled: &Compiled, catalog: &Catalog, stage: usize) -> Vec<String> {
    let name = |candidate: &Candidate| {
        let offer = &catalog.offers[candidate.offer.index()];
        let machine = &catalog.machine(offer).instance_type;
        let bought = if offer.purchase == Purchase::Spot {
            " spot"
        } else {
            ""
        };
        format!("{} {machine}{bought}", catalog.place(offer).name)
    };
    compiled.candidates[StageId::new(stage)]
        .iter()
        .map(name)
        .collect()
}

/// The only candidate of the only stage.
fn single(stage: Stage, policy: &Policy, catalog: &Catalog) -> Candidate {
    let compiled = compile(&job([("a", stage)]), policy, catalog).unwrap();
    assert_eq!(
        compiled.candidates[StageId::new(0)].len(),
        1,
        "{:?}",
        compiled.candidates
    );
    compiled.candidates[StageId::new(0)][CandidateId::new(0)]
}

/// How the offers of a stage ran out: unmet needs, keys of the policy.
fn funnel(
    stage: Stage,
    policy: &Policy,
    catalog: &Catalog,
) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    match compile(&job([("a", stage)]), policy, catalog) {
        Err(Refusal::NoCandidates(funnels)) => {
            (funnels[0].unmet.clone(), funnels[0].forbidden.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .map(|(key, count)| (key.to_owned(), count))
        .collect()
}
