//! From the placement problem to a mixed-integer program.
//!
//! - One binary `x[stage,choice]` per choice; exactly one per stage.
//! - An artifact is a flow from the group of its source site to the groups of the sites that
//!   read it ([`super::ways`]), with an own free variable per site for data that stays. So an
//!   edge costs O(sites) variables, and its linear relaxation is that of a transport problem.
//! - With time: `end[stage]`, and for every edge and source site one row that makes the reader
//!   wait for the copy from that site. The only big-M is that edge's longest copy.

use super::instance::{Artifact, Instance, Origin};
use super::program::Program;
use super::ways::{Ways, ways};
use std::collections::{BTreeMap, BTreeSet};

/// What a program is to minimise and to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub objective: Goal<'a>,
    /// Most that the placement may cost.
    pub cost_limit: Option<i64>,
    /// Latest end.
    pub time_limit: Option<i64>,
}

/// What to minimise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal<'a> {
    Cost,
    Makespan,
    /// `Σ weight · (position of the choice)` over the named stages.
    Ranks(&'a [(usize, i64)]),
}

/// A program, and where the placement is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    pub program: Program,
    /// Column of each stage's choices.
    pub choice: Vec<Vec<usize>>,
}

/// Terms of a linear expression.
type Terms = Vec<(usize, i64)>;

struct Builder<'a> {
    instance: &'a Instance,
    program: Program,
    choice: Vec<Vec<usize>>,
    /// Per stage: its sites, ascending, with the columns of the choices there.
    at: Vec<BTreeMap<usize, Vec<usize>>>,
    cost: Terms,
    constant: i64,
}

/// Makes the program of `instance` for `target`. Rows about time are there only when the target
/// speaks of time.
pub fn lower(instance: &Instance, target: &Target<'_>) -> Lowered {
    let mut builder = Builder {
        instance,
        program: Program { name: "sky".to_owned(), ..Program::default() },
        choice: Vec::new(),
        at: Vec::new(),
        cost: Vec::new(),
        constant: 0,
    };
    builder.choices();
    for (index, artifact) in instance.artifacts.iter().enumerate() {
        builder.artifact(index, artifact);
    }
    let makespan = (target.time_limit.is_some() || target.objective == Goal::Makespan)
        .then(|| builder.schedule(target.time_limit));
    let Builder { mut program, choice, cost, constant, .. } = builder;
    if let Some(limit) = target.cost_limit {
        program.row("budget".to_owned(), None, Some(limit - constant), cost.clone());
    }
    match (&target.objective, makespan) {
        (Goal::Makespan, Some(makespan)) => program.minimize(vec![(makespan, 1)], 0),
        (Goal::Ranks(weights), _) => {
            let ranks = weights.iter().flat_map(|(stage, weight)| {
                choice[*stage].iter().zip(0_i64..).map(move |(column, rank)| (*column, weight * rank))
            });
            program.minimize(ranks.collect(), 0);
        }
        _ => program.minimize(cost, constant),
    }
    Lowered { program, choice }
}

impl Builder<'_> {
    /// One choice per stage. A stage's least cost goes to the constant: what is left to choose
    /// between keeps the coefficients small.
    fn choices(&mut self) {
        for stage in &self.instance.stages {
            let least = stage.choices.iter().map(|choice| choice.cost).min().unwrap_or(0);
            self.constant += least;
            let mut columns = Vec::with_capacity(stage.choices.len());
            let mut at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for choice in &stage.choices {
                let site = &self.instance.links.labels[choice.site];
                let column = self.program.column(format!("x[{},{site},{}]", stage.label, choice.tag), Some(1), true);
                self.cost.push((column, choice.cost - least));
                at.entry(choice.site).or_default().push(column);
                columns.push(column);
            }
            self.program.row(
                format!("one[{}]", stage.label),
                Some(1),
                Some(1),
                columns.iter().map(|c| (*c, 1)).collect(),
            );
            self.choice.push(columns);
            self.at.push(at);
        }
    }

    /// `factor` times "the stage runs at this site".
    fn runs_at(&self, stage: usize, site: usize, factor: i64) -> Terms {
        self.at[stage].get(&site).into_iter().flatten().map(|column| (*column, factor)).collect()
    }

    /// Copies of one artifact, and what they cost.
    fn artifact(&mut self, index: usize, artifact: &Artifact) {
        let destinations: Vec<usize> = {
            let all: BTreeSet<usize> =
                artifact.readers.iter().flat_map(|reader| self.at[*reader].keys().copied()).collect();
            all.into_iter().collect()
        };
        let sources: Vec<usize> = match artifact.origin {
            Origin::Site(site) => vec![site],
            Origin::Stage(stage) => self.at[stage].keys().copied().collect(),
        };
        let ways = ways(&self.instance.links, &sources, &destinations);
        let priced =
            ways.class.iter().flatten().any(|class| class.is_none_or(|class| self.price(class, artifact) != 0));
        if destinations.is_empty() || !priced {
            return;
        }
        let present: Vec<Terms> = destinations.iter().map(|site| self.present(index, artifact, *site)).collect();
        if artifact.readers.len() == 1 {
            self.single(artifact, &sources, &destinations, &ways, &present);
        } else {
            self.multicast(artifact, &sources, &destinations, &ways, &present);
        }
    }

    fn price(&self, class: u16, artifact: &Artifact) -> i64 {
        self.instance.links.class_cost(class, artifact.bytes)
    }

    /// "The artifact is read at this site": the readers' own choices when only one may be here,
    /// else a variable that each of them pulls up.
    fn present(&mut self, index: usize, artifact: &Artifact, site: usize) -> Terms {
        let readers: Vec<usize> =
            artifact.readers.iter().copied().filter(|reader| self.at[*reader].contains_key(&site)).collect();
        if let [reader] = readers[..] {
            return self.runs_at(reader, site, 1);
        }
        let label = self.instance.links.labels[site].clone();
        let column = self.program.column(format!("read[{},{label}]", artifact.label), Some(1), false);
        for reader in readers {
            let mut terms = self.runs_at(reader, site, -1);
            terms.push((column, 1));
            self.program.row(format!("read[{},{label},{index}.{reader}]", artifact.label), Some(0), None, terms);
        }
        vec![(column, 1)]
    }

    /// "The artifact's source is at this site", `factor` times, as terms and a constant.
    fn source_at(&self, artifact: &Artifact, site: usize, factor: i64) -> (Terms, i64) {
        match artifact.origin {
            Origin::Site(at) => (Vec::new(), if at == site { factor } else { 0 }),
            Origin::Stage(stage) => (self.runs_at(stage, site, factor), 0),
        }
    }

    /// "The artifact's source is in this group of sites", negated, as terms and a constant.
    fn source_in(&self, artifact: &Artifact, sources: &[usize], group: &[usize]) -> (Terms, i64) {
        let mut sum = (Terms::new(), 0);
        for source in group {
            let (terms, constant) = self.source_at(artifact, sources[*source], -1);
            sum.0.extend(terms);
            sum.1 += constant;
        }
        sum
    }

    /// A free variable per site that both makes and reads the artifact: it may stay.
    fn stays(
        &mut self,
        artifact: &Artifact,
        sources: &[usize],
        destinations: &[usize],
        present: &[Terms],
    ) -> BTreeMap<usize, usize> {
        let mut stays = BTreeMap::new();
        for (position, site) in destinations.iter().enumerate().filter(|(_, site)| sources.contains(site)) {
            let label = self.instance.links.labels[*site].clone();
            let column = self.program.column(format!("stay[{},{label}]", artifact.label), Some(1), false);
            let (mut source, constant) = self.source_at(artifact, *site, -1);
            source.push((column, 1));
            self.program.row(format!("stay-from[{},{label}]", artifact.label), None, Some(-constant), source);
            let mut reader: Terms = present[position].iter().map(|(column, factor)| (*column, -factor)).collect();
            reader.push((column, 1));
            self.program.row(format!("stay-to[{},{label}]", artifact.label), None, Some(0), reader);
            stays.insert(*site, column);
        }
        stays
    }

    /// One reader: a transport from groups of sources to groups of destinations.
    fn single(
        &mut self,
        artifact: &Artifact,
        sources: &[usize],
        destinations: &[usize],
        ways: &Ways,
        present: &[Terms],
    ) {
        let stays = self.stays(artifact, sources, destinations, present);
        let mut into: Vec<Terms> = vec![Vec::new(); ways.destinations.len()];
        for (row, group) in ways.sources.iter().enumerate() {
            let (mut balance, known) = self.source_in(artifact, sources, group);
            balance.extend(group.iter().filter_map(|source| stays.get(&sources[*source])).map(|stay| (*stay, 1)));
            for (column, class) in ways.class[row].iter().enumerate() {
                let Some(class) = class else { continue };
                let flow = self.program.column(format!("move[{},{row}>{column}]", artifact.label), Some(1), false);
                self.cost.push((flow, self.price(*class, artifact)));
                balance.push((flow, 1));
                into[column].push((flow, 1));
            }
            self.program.row(format!("leave[{},{row}]", artifact.label), Some(-known), Some(-known), balance);
        }
        for (column, group) in ways.destinations.iter().enumerate() {
            let mut balance = std::mem::take(&mut into[column]);
            for destination in group {
                balance.extend(stays.get(&destinations[*destination]).map(|stay| (*stay, 1)));
                balance.extend(present[*destination].iter().map(|(column, factor)| (*column, -factor)));
            }
            self.program.row(format!("arrive[{},{column}]", artifact.label), Some(0), Some(0), balance);
        }
    }

    /// Several readers: every site that reads gets the artifact once, from the group where it is
    /// made.
    fn multicast(
        &mut self,
        artifact: &Artifact,
        sources: &[usize],
        destinations: &[usize],
        ways: &Ways,
        present: &[Terms],
    ) {
        let stays = self.stays(artifact, sources, destinations, present);
        let group_of: BTreeMap<usize, usize> = ways
            .destinations
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.iter().map(move |m| (*m, group)))
            .collect();
        for (position, site) in destinations.iter().enumerate() {
            let label = self.instance.links.labels[*site].clone();
            let mut arrivals: Terms = present[position].iter().map(|(column, factor)| (*column, -factor)).collect();
            arrivals.extend(stays.get(site).map(|stay| (*stay, 1)));
            for (row, group) in ways.sources.iter().enumerate() {
                let Some(class) = ways.class[row][group_of[&position]] else { continue };
                let flow = self.program.column(format!("move[{},{row}>{label}]", artifact.label), Some(1), false);
                self.cost.push((flow, self.price(class, artifact)));
                arrivals.push((flow, 1));
                let (mut from, known) = self.source_in(artifact, sources, group);
                from.push((flow, 1));
                self.program.row(format!("from[{},{row}>{label}]", artifact.label), None, Some(-known), from);
            }
            self.program.row(format!("arrive[{},{label}]", artifact.label), Some(0), None, arrivals);
        }
    }

    /// Ends of stages, and the makespan, whose column is returned.
    fn schedule(&mut self, limit: Option<i64>) -> usize {
        let stages = self.instance.stages.len();
        let ends: Vec<usize> = (0..stages)
            .map(|s| self.program.column(format!("end[{}]", self.instance.stages[s].label), limit, false))
            .collect();
        let makespan = self.program.column("makespan".to_owned(), limit, false);
        let shape = self.instance.shape();
        for (stage, inputs) in shape.inputs.iter().enumerate() {
            let label = self.instance.stages[stage].label.clone();
            self.program.row(format!("last[{label}]"), Some(0), None, vec![(makespan, 1), (ends[stage], -1)]);
            // start = end - duration >= 0
            let durations = self.choice[stage].iter().zip(&self.instance.stages[stage].choices);
            let mut start: Terms = durations.map(|(column, choice)| (*column, -choice.duration)).collect();
            start.push((ends[stage], 1));
            self.program.row(format!("start[{label}]"), Some(0), None, start.clone());
            for (origin, artifact) in inputs {
                self.wait(stage, *origin, *artifact, &start, &ends);
            }
        }
        makespan
    }

    /// `start >= end of the source + time of the copy`, for every site that the source may be at.
    fn wait(&mut self, stage: usize, origin: Origin, artifact: Option<usize>, start: &Terms, ends: &[usize]) {
        let label = self.instance.stages[stage].label.clone();
        let copy_times = |builder: &Self, from: usize| -> Vec<(usize, i64)> {
            let bytes = artifact.map(|artifact| builder.instance.artifacts[artifact].bytes).unwrap_or_default();
            builder.at[stage].keys().map(|to| (*to, builder.instance.links.time(from, *to, bytes))).collect()
        };
        let source = match origin {
            Origin::Site(site) => {
                let mut row = start.clone();
                for (to, time) in copy_times(self, site) {
                    row.extend(self.runs_at(stage, to, -time));
                }
                let artifact = artifact.map_or(0, |artifact| artifact);
                return self.program.row(format!("fetch[{label},{artifact}]"), Some(0), None, row);
            }
            Origin::Stage(source) => source,
        };
        let name = match artifact {
            Some(artifact) => self.instance.artifacts[artifact].label.clone(),
            None => self.instance.stages[source].label.clone(),
        };
        let sites: Vec<usize> = self.at[source].keys().copied().collect();
        let times: Vec<(usize, Vec<(usize, i64)>)> =
            sites.iter().map(|from| (*from, copy_times(self, *from))).collect();
        if times.iter().flat_map(|(_, times)| times).all(|(_, time)| *time == 0) {
            let mut row = start.clone();
            row.push((ends[source], -1));
            return self.program.row(format!("wait[{name}>{label}]"), Some(0), None, row);
        }
        for (from, times) in times {
            // start - end(source) - Σ time·(reader at to) + longest·(1 - source at from) >= 0
            let longest = times.iter().map(|(_, time)| *time).max().unwrap_or(0);
            let mut row = start.clone();
            row.push((ends[source], -1));
            for (to, time) in times {
                row.extend(self.runs_at(stage, to, -time));
            }
            row.extend(self.runs_at(source, from, -longest));
            let site = self.instance.links.labels[from].clone();
            self.program.row(format!("wait[{name}>{label},{site}]"), Some(-longest), None, row);
        }
    }
}
