//! From the placement problem to a mixed-integer program.
//!
//! - One binary `x[stage,choice]` per choice; exactly one per stage.
//! - An artifact is a flow from the group of its source site to the groups of the sites that read
//!   it ([`super::price_groups`]), with an own free variable per site for data that stays. So an
//!   edge costs O(sites) variables, and its linear relaxation is that of a transport problem.
//! - Where a transfer can be cheaper from another holder, a binary per such link ([`relays`]);
//!   volumes that run through tiers together are pieces of one line ([`pools`]).
//! - With time: `end[stage]`, and for every edge and source site one row that makes the reader wait
//!   for the transfer from that site ([`schedule`]). The only big-M is that edge's longest
//!   transfer, and the horizon where transfers may take several steps.
//! - Caps on all stages together are rows; those on stages that may run at once are rows for
//!   sets of such stages, of which the instance names the ones that matter.

mod egress;
mod pools;
mod relays;
mod schedule;

use super::concurrency;
use super::instance::{Instance, Shape};
use super::program::{Program, Terms};
use super::routes::Routes;
use crate::model::units::signed_count;
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::ids::{
    ArtifactId, ChoiceId, ColumnId, Placement, PoolId, SiteId, StageId,
};
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeMap;

/// The objective of a program and the limits that it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The figure that the program minimises.
    pub objective: Goal<'a>,
    /// Most that the placement may cost.
    pub cost_limit: Option<Money>,
    /// Latest end.
    pub time_limit: Option<Millis>,
    /// Most that the cost and the worth of the makespan may be together.
    pub score_limit: Option<Money>,
    /// Whether stages must keep their own deadlines.
    pub stage_deadlines: bool,
}

/// The objective of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Goal<'a> {
    /// Minimises the cost of the placement.
    #[default]
    Cost,
    /// Minimises the latest end of a stage.
    Makespan,
    /// Cost and what the makespan is worth ([`Instance::hour`]).
    Score,
    /// The sum of the choices' ranks.
    Preference,
    /// `Σ weight · (position of the choice)` over the named stages.
    Ranks(&'a [StageWeight]),
}

/// How much the position of a stage's choice counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageWeight {
    /// The stage whose choice counts.
    pub stage: StageId,
    /// The factor of the choice's position in the objective.
    pub weight: i64,
}

impl Target<'_> {
    /// Returns the objective and the limits of the instance itself.
    pub fn of(instance: &Instance) -> Self {
        let objective = match instance.minimize {
            Objective::Cost if instance.hour != Money(0) => Goal::Score,
            Objective::Cost => Goal::Cost,
            Objective::Time => Goal::Makespan,
        };
        let stage_deadlines = instance.stages.iter().any(|stage| stage.deadline.is_some());
        let (cost_limit, time_limit) = (instance.budget, instance.deadline);
        Self {
            objective,
            cost_limit,
            time_limit,
            score_limit: None,
            stage_deadlines,
        }
    }

    /// Whether the program needs a schedule.
    pub fn timed(&self) -> bool {
        self.time_limit.is_some()
            || self.stage_deadlines
            || self.score_limit.is_some()
            || matches!(self.objective, Goal::Makespan | Goal::Score)
    }
}

/// A program, and where the placement is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The mixed-integer program.
    pub program: Program,
    /// Column of each stage's choices.
    pub choice: IdVec<StageId, IdVec<ChoiceId, ColumnId>>,
    /// Transfers that may come from a holder other than the origin.
    pub relays: Vec<Relay>,
}

impl Lowered {
    /// The placement that a point of the program stands for. Solvers return 0.9999 for one: the
    /// largest of a stage's values is its choice.
    pub fn placement(&self, values: &[f64]) -> Placement {
        let largest = |columns: &IdVec<ChoiceId, ColumnId>| {
            let better = |best: ChoiceId, choice: ChoiceId| {
                if values[columns[choice].index()] > values[columns[best].index()] {
                    choice
                } else {
                    best
                }
            };
            columns.ids().fold(ChoiceId::default(), better)
        };
        self.choice.map(largest)
    }

    /// The routes of transfers in it, where these are not straight from their origins.
    pub fn routes(&self, values: &[f64]) -> Routes {
        let taken_relays = self
            .relays
            .iter()
            .filter(|relay| values[relay.column.index()] > 0.5);
        taken_relays
            .map(|relay| ((relay.artifact, relay.to), relay.holder))
            .collect()
    }
}

/// "The transfer at `to` comes from `holder`", and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The artifact that is transferred.
    pub artifact: ArtifactId,
    /// The site that the artifact comes from, which has it by another transfer.
    pub holder: SiteId,
    /// The site that the artifact is brought to.
    pub to: SiteId,
    /// The binary column that is one if the artifact takes this route.
    pub column: ColumnId,
}

struct Builder<'a> {
    instance: &'a Instance,
    shape: Shape,
    program: Program,
    choice: IdVec<StageId, IdVec<ChoiceId, ColumnId>>,
    /// Per stage: its sites, ascending, with the columns of the choices there.
    at: IdVec<StageId, BTreeMap<SiteId, Vec<ColumnId>>>,
    cost: Terms,
    constant: i64,
    relays: Vec<Relay>,
    /// By pool: bytes of the transfers in it.
    volumes: IdVec<PoolId, Terms>,
}

/// Makes the program of `instance` for `target`. Rows about time are there only when the target
/// speaks of time.
pub fn lower(instance: &Instance, target: &Target<'_>) -> Lowered {
    let mut builder = Builder::new(instance);
    builder.choices();
    for (index, artifact) in instance.artifacts.iter_enumerated() {
        builder.artifact(index, artifact);
    }
    builder.pools();
    builder.caps();
    let makespan = target.timed().then(|| builder.schedule(target));
    let is_worth_counted = target.objective == Goal::Score || target.score_limit.is_some();
    let worth_column = makespan
        .filter(|_| is_worth_counted)
        .map(|makespan| builder.worth(makespan));
    builder.money_limits(target, worth_column);
    builder.objective(target, makespan, worth_column);
    Lowered {
        program: builder.program,
        choice: builder.choice,
        relays: builder.relays,
    }
}

impl<'a> Builder<'a> {
    fn new(instance: &'a Instance) -> Self {
        Self {
            instance,
            shape: instance.shape(),
            program: Program {
                name: "sky".to_owned(),
                ..Program::default()
            },
            choice: IdVec::new(),
            at: IdVec::new(),
            cost: Vec::new(),
            constant: 0,
            relays: Vec::new(),
            volumes: instance.links.pools.map(|_| Vec::new()),
        }
    }

    /// The cost and what the makespan is worth.
    fn score(&self, worth: Option<ColumnId>) -> Terms {
        let worth_term = worth.map(|column| (column, 1));
        self.cost.iter().copied().chain(worth_term).collect()
    }

    /// Limits on the cost, and on the cost and the worth of the makespan together.
    fn money_limits(&mut self, target: &Target<'_>, worth: Option<ColumnId>) {
        if let Some(limit) = target.cost_limit {
            let most_money = limit.0 - self.constant;
            self.program.row(
                "budget".to_owned(),
                None,
                Some(most_money),
                self.cost.clone(),
            );
        }
        if let Some(limit) = target.score_limit {
            let (most, score) = (limit.0 - self.constant, self.score(worth));
            self.program
                .row("score".to_owned(), None, Some(most), score);
        }
    }

    /// What is minimised.
    fn objective(
        &mut self,
        target: &Target<'_>,
        makespan: Option<ColumnId>,
        worth: Option<ColumnId>,
    ) {
        let instance = self.instance;
        let (terms, constant) = match (&target.objective, makespan) {
            (Goal::Makespan, Some(makespan)) => (vec![(makespan, 1)], 0),
            (Goal::Score, _) => (self.score(worth), self.constant),
            (Goal::Preference, _) => {
                let rank_of = |stage: StageId, position: ChoiceId| {
                    instance.stages[stage].choices[position].rank
                };
                (self.over_choices(rank_of), 0)
            }
            (Goal::Ranks(weights), _) => {
                let mut weight_of = instance.stages.map(|_| 0);
                for StageWeight { stage, weight } in *weights {
                    weight_of[*stage] = *weight;
                }
                let rank_of = |stage: StageId, position: ChoiceId| {
                    weight_of[stage] * signed_count(position.index())
                };
                (self.over_choices(rank_of), 0)
            }
            (Goal::Cost | Goal::Makespan, _) => (self.cost.clone(), self.constant),
        };
        self.program.minimize(terms, constant);
    }

    /// The sum of a weight over all choices that are taken.
    fn over_choices(&self, weight: impl Fn(StageId, ChoiceId) -> i64) -> Terms {
        let mut terms = Terms::new();
        for (stage, columns) in self.choice.iter_enumerated() {
            let columns = columns.iter_enumerated();
            terms.extend(columns.map(|(position, column)| (*column, weight(stage, position))));
        }
        terms
    }
}

impl Builder<'_> {
    /// One choice per stage. A stage's least cost goes to the constant: what is left to choose
    /// between keeps the coefficients small.
    fn choices(&mut self) {
        for stage in &self.instance.stages {
            // A stage without choices has a row that nothing satisfies, whatever its constant.
            let least_cost = stage
                .choices
                .iter()
                .map(|choice| choice.cost.0)
                .min()
                .unwrap_or(0);
            self.constant += least_cost;
            let mut columns = IdVec::with_capacity(stage.choices.len());
            let mut columns_at: BTreeMap<SiteId, Vec<ColumnId>> = BTreeMap::new();
            for choice in &stage.choices {
                let site = &self.instance.links.labels[choice.site];
                let column = self.program.column(
                    format!("x[{},{site},{}]", stage.label, choice.tag),
                    Some(1),
                    true,
                );
                self.cost.push((column, choice.cost.0 - least_cost));
                columns_at.entry(choice.site).or_default().push(column);
                columns.push(column);
            }
            self.program.row(
                format!("one[{}]", stage.label),
                Some(1),
                Some(1),
                columns.iter().map(|c| (*c, 1)).collect(),
            );
            self.choice.push(columns);
            self.at.push(columns_at);
        }
    }

    /// `factor` times "the stage runs at this site".
    fn runs_at(&self, stage: StageId, site: SiteId, factor: i64) -> Terms {
        self.at[stage]
            .get(&site)
            .into_iter()
            .flatten()
            .map(|column| (*column, factor))
            .collect()
    }

    /// Adds the rows of caps. A concurrent cap has the row for the stages of which none waits
    /// for another and that could use most.
    fn caps(&mut self) {
        for (index, cap) in self.instance.caps.iter_enumerated() {
            let most_units: IdVec<StageId, i64> = (self.instance.stages.iter_enumerated())
                .map(|(stage, choices)| {
                    let uses = choices
                        .choices
                        .iter()
                        .map(|choice| concurrency::cap_usage(cap, stage, choice.tag));
                    uses.fold(0, i64::max)
                })
                .collect();
            let stages: Vec<StageId> = match cap.concurrent {
                true => concurrency::heaviest_antichain(&self.shape, &most_units).stages,
                false => most_units.ids().collect(),
            };
            let terms: Terms = (stages.iter())
                .flat_map(|stage| {
                    let choices = self.instance.stages[*stage]
                        .choices
                        .iter()
                        .zip(&self.choice[*stage]);
                    choices.map(|(choice, column)| {
                        (*column, concurrency::cap_usage(cap, *stage, choice.tag))
                    })
                })
                .collect();
            self.program.row(
                format!("cap[{},{index}]", cap.label),
                None,
                Some(cap.limit),
                terms,
            );
        }
    }
}
