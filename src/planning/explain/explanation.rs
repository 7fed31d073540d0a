//! Why a plan is as it is: what every stage chose from, what it would do without its offer, and
//! what every rule costs. All figures are optima of the problem with one thing changed.

use super::constraint::{Constraint, ConstraintFile, ConstraintKind};
use super::dropped_constraints::without_constraints;
use super::need::Need;
use super::written_constraints::{default_constraints, written_constraints};
use crate::catalog::Catalog;
use crate::model::{ArtifactRef, Dataset, Job, Millis, Objective, Offer, Policy, Rate, Work};
use crate::plan::{Plan, PlannedStage};
use crate::planning::build::{Figures, labels, optimum};
use crate::planning::compile::{self, Compiled, OfferId, base_name};
use crate::planning::problem::{CandidateId, Instance, SiteId, StageId};
use crate::planning::solve::{self, Effort, Highs, Outcome, Solved, SolverError};
use crate::util::id_vec::{Id, IdVec};
use std::collections::{BTreeMap, BTreeSet};

/// Stages of a plan that are explained when none is named.
const STAGES: usize = 24;
/// Of a plan with more: those that cost most.
const DEAREST: usize = 8;

/// Why a plan is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In the plan's order.
    pub stages: Vec<Why>,
    /// Stages that were left out, because they cost least.
    pub left_out: usize,
    /// Every rule of the policy, and what of the job is not about one stage's machine; with a
    /// stage named also its needs.
    pub rules: Vec<Ruled>,
}

/// Why a stage is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Its name in the plan.
    pub stage: String,
    /// Offers of the catalog.
    pub offers: u64,
    /// Of these, those that meet its needs.
    pub fitting: u64,
    /// Lines that leave fewer, in turn, with how many are left.
    pub left: Vec<(Constraint, u64)>,
    /// The best plan with this stage in any other place.
    pub elsewhere: Option<Elsewhere>,
    /// When its offer would leave the plan.
    pub break_even: BreakEven,
}

/// A stage in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The offer that the stage takes in the best plan with it in another place.
    pub offer: Offer,
    /// Cost and makespan of that plan.
    pub figures: Figures,
    /// Stages other than this one that would take another offer too.
    pub moved: usize,
    /// Deadline and budget allow no other place: this is the best without them.
    pub beyond: bool,
}

/// At what price of its offer a stage would take another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakEven {
    /// Up to this rate per machine and hour the plan costs no more than the best without the
    /// offer, whose figures these are, and the offer that this stage takes in it.
    At {
        /// The rate per machine and hour.
        rate: Rate,
        /// Cost and makespan of the best plan without the offer.
        figures: Figures,
        /// The offer that the stage takes in that plan.
        offer: Offer,
    },
    /// There is no plan without it.
    Never,
    /// Time comes first, and without the offer the plan would take this much longer.
    Slower(Millis),
}

/// The price of one rule: the best plan without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The constraint whose price this is.
    pub constraint: Constraint,
    /// Whether the rule was not written, but holds all the same.
    pub default: bool,
    /// The best plan without it.
    pub free: Figures,
}

/// Why the inputs cannot explain the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// A stage of the plan takes an offer that the inputs do not allow, so the plan was made from
    /// other inputs.
    #[error("stage `{0}` of the plan takes an offer that it may not take under these inputs")]
    Foreign(String),
    /// The inputs have no plan, and the plan has no stage that could be named.
    #[error("the plan was made from other inputs: these have no plan")]
    OtherInputs,
    /// The solver broke down.
    #[error(transparent)]
    Solver(#[from] SolverError),
}

/// The inputs that a plan was made from.
#[derive(Clone, Copy, Debug)]
pub struct PlannedInputs<'a> {
    /// The job that the plan was made from.
    pub job: &'a Job,
    /// The policy that the plan was made from.
    pub policy: &'a Policy,
    /// The catalog that the plan was made from.
    pub catalog: &'a Catalog,
}

/// Explains a plan of these inputs; `named`: names of stages of the plan, or none for all.
pub fn explain(
    plan: &Plan,
    named: &BTreeSet<&str>,
    inputs: &PlannedInputs<'_>,
    effort: &Effort,
) -> Result<Explanation, ExplainError> {
    let PlannedInputs {
        job,
        policy,
        catalog,
    } = *inputs;
    let foreign = |plan: &Plan| {
        let first_stage = plan.stages.first();
        first_stage.map_or(ExplainError::OtherInputs, |stage| {
            ExplainError::Foreign(stage.name.clone())
        })
    };
    let given_job = job;
    let job = &sent_as_planned(given_job, plan);
    let compiled = compile::compile(job, policy, catalog).map_err(|_| foreign(plan))?;
    let constraints = offer_lines(given_job, policy);
    let case = Case {
        plan,
        given: given_job,
        job,
        policy,
        catalog,
        compiled: &compiled,
        effort,
        constraints,
    };
    let mut chosen_stages: Vec<&PlannedStage> = plan
        .stages
        .iter()
        .filter(|stage| named.is_empty() || named.contains(stage.name.as_str()))
        .collect();
    let mut dear: Vec<&PlannedStage> = chosen_stages.clone();
    dear.sort_by_key(|stage| (std::cmp::Reverse(stage.cost_micro_usd), &stage.name));
    let count = chosen_stages.len();
    dear.truncate(if count <= STAGES { STAGES } else { DEAREST });
    chosen_stages.retain(|stage| dear.contains(stage));
    let stages: Vec<Why> = chosen_stages
        .iter()
        .map(|stage| case.why(stage))
        .collect::<Result<_, _>>()?;
    let asked_stages: BTreeSet<&str> = named.iter().map(|name| base_name(name)).collect();
    let left_out = count - stages.len();
    Ok(Explanation {
        stages,
        left_out,
        rules: case.rules(&asked_stages)?,
    })
}

/// The job with every output sent where the plan sends it: without an offer or a rule it would be
/// another work if more or fewer results came home.
fn sent_as_planned(job: &Job, plan: &Plan) -> Job {
    let mut job = job.clone();
    for stage in &plan.stages {
        for (name, destination) in &stage.outputs {
            let output = ArtifactRef::Output {
                stage: base_name(&stage.name).to_owned(),
                name: name.clone(),
            };
            job.outputs.entry(output).or_insert(*destination);
        }
    }
    job
}

/// Lines that decide about single offers: what follows the needs.
fn offer_lines(job: &Job, policy: &Policy) -> Vec<Constraint> {
    let all_constraints = default_constraints(policy)
        .into_iter()
        .chain(written_constraints(job, policy));
    let is_of_whole = |constraint: &Constraint| {
        matches!(
            constraint.kind,
            ConstraintKind::Deadline | ConstraintKind::Budget | ConstraintKind::Spread(_)
        )
    };
    all_constraints
        .filter(|constraint| !is_of_whole(constraint))
        .collect()
}

struct Case<'a> {
    plan: &'a Plan,
    /// As it is written; `job` also says where the plan sends outputs.
    given: &'a Job,
    job: &'a Job,
    policy: &'a Policy,
    catalog: &'a Catalog,
    compiled: &'a Compiled,
    effort: &'a Effort,
    constraints: Vec<Constraint>,
}

impl Case<'_> {
    fn why(&self, stage: &PlannedStage) -> Result<Why, ExplainError> {
        let foreign = || ExplainError::Foreign(stage.name.clone());
        let index = self
            .compiled
            .stages
            .binary_search(&stage.name)
            .map_err(|_| foreign())?;
        let takes = |tag: CandidateId| {
            let offer = &self.catalog.offers[self.compiled.candidates[index][tag].offer.index()];
            let (place, machine) = (self.catalog.place(offer), self.catalog.machine(offer));
            place.name == stage.place
                && machine.instance_type == stage.instance_type
                && offer.purchase == stage.purchase
        };
        let choices = &self.compiled.instance.stages[index].choices;
        let choice = choices
            .iter()
            .find(|choice| takes(choice.tag))
            .ok_or_else(foreign)?;
        let offer = self.compiled.candidates[index][choice.tag].offer;
        let (fitting, left) = self.funnel(base_name(&stage.name));
        Ok(Why {
            stage: stage.name.clone(),
            offers: self.catalog.offers.len() as u64,
            fitting,
            left,
            elsewhere: self.elsewhere(index, choice.site)?,
            break_even: self.break_even(&stage.name, offer)?,
        })
    }

    /// How many offers meet a stage's needs, and how many are left after each line.
    fn funnel(&self, name: &str) -> (u64, Vec<(Constraint, u64)>) {
        let Some(alone) = self.alone(name) else {
            return (0, Vec::new());
        };
        let of_stage = |constraint: &&Constraint| {
            constraint.file == ConstraintFile::Policy || constraint.stage() == Some(name)
        };
        let stage_constraints: Vec<&Constraint> =
            self.constraints.iter().filter(of_stage).collect();
        let (needs, mut rest): (Vec<&Constraint>, Vec<&Constraint>) = stage_constraints
            .into_iter()
            .partition(|constraint| matches!(constraint.kind, ConstraintKind::Need(..)));
        let count = |dropped: &[&Constraint]| {
            let (job, policy) = without_constraints(&alone, self.policy, dropped.iter().copied());
            let policy = Policy {
                deadline: None,
                budget: None,
                ..policy
            };
            compile::compile(&job, &policy, self.catalog)
                .map_or(0, |compiled| compiled.counts.candidates)
        };
        drop(needs);
        let fitting = count(&rest);
        let mut count_before = fitting;
        let mut offers_left = Vec::new();
        while !rest.is_empty() {
            let constraint = rest.remove(0);
            let count_now = count(&rest);
            if count_now != count_before {
                offers_left.push((constraint.clone(), count_now));
            }
            count_before = count_now;
        }
        (fitting, offers_left)
    }

    /// The job with one stage only, which reads data with the labels that it reads in the whole.
    fn alone(&self, name: &str) -> Option<Job> {
        const DATA: &str = "data";
        let mut stage = self.job.stages.get(name)?.clone();
        let labels = labels(self.job).remove(name)?;
        let first_place = self.catalog.places.first()?.name.clone();
        stage.reads = BTreeSet::from([crate::model::ArtifactRef::Dataset(DATA.to_owned())]);
        stage.after.clear();
        stage.removes.clear();
        stage.count = 1;
        let dataset = Dataset {
            at: first_place,
            path: None,
            size: crate::model::Bytes(0),
            labels,
        };
        Some(Job {
            datasets: BTreeMap::from([(DATA.to_owned(), dataset)]),
            stages: BTreeMap::from([(name.to_owned(), stage)]),
            spread: Vec::new(),
            outputs: BTreeMap::new(),
            ..self.job.clone()
        })
    }

    /// The best plan with a stage anywhere but at a site.
    fn elsewhere(&self, stage: StageId, site: SiteId) -> Result<Option<Elsewhere>, ExplainError> {
        let mut instance: Instance = self.compiled.instance.clone();
        instance.stages[stage]
            .choices
            .retain(|choice| choice.site != site);
        if instance.stages[stage].choices.is_empty() {
            return Ok(None);
        }
        let mut solved_elsewhere = solve::solve(&instance, &Highs, self.effort)?;
        let beyond = matches!(solved_elsewhere, Outcome::Infeasible(_));
        if beyond {
            instance.deadline = None;
            instance.budget = None;
            solved_elsewhere = solve::solve(&instance, &Highs, self.effort)?;
        }
        let Outcome::Solved(solved) = solved_elsewhere else {
            return Ok(None);
        };
        let offers: IdVec<StageId, Offer> = self
            .compiled
            .stages
            .ids()
            .map(|stage| {
                let tag = instance.stages[stage].choices[solved.placement[stage]].tag;
                self.catalog.offers[self.compiled.candidates[stage][tag].offer.index()]
            })
            .collect();
        let is_other = |planned: &&PlannedStage| {
            let Ok(index) = self.compiled.stages.binary_search(&planned.name) else {
                return false;
            };
            index != stage && !self.is(&offers[index], planned)
        };
        let moved_count = self.plan.stages.iter().filter(is_other).count();
        Ok(Some(Elsewhere {
            offer: offers[stage],
            figures: figures_of(&solved),
            moved: moved_count,
            beyond,
        }))
    }

    fn is(&self, offer: &Offer, planned: &PlannedStage) -> bool {
        self.catalog.place(offer).name == planned.place
            && self.catalog.machine(offer).instance_type == planned.instance_type
            && offer.purchase == planned.purchase
    }

    /// The rate up to which a plan with an offer costs no more than the best without it.
    fn break_even(&self, stage: &str, offer: OfferId) -> Result<BreakEven, ExplainError> {
        let taken_offer = self.catalog.offers[offer.index()];
        let mut catalog = self.catalog.clone();
        catalog.offers.remove(offer.index());
        let Some(free) = optimum(self.job, self.policy, &catalog, self.effort)? else {
            return Ok(BreakEven::Never);
        };
        let totals = &self.plan.totals;
        if self.policy.minimize == Objective::Time && free.figures.makespan > totals.makespan_ms {
            return Ok(BreakEven::Slower(
                free.figures.makespan - totals.makespan_ms,
            ));
        }
        // All machines of the offer become dearer at once.
        let takers: Vec<&PlannedStage> = self
            .plan
            .stages
            .iter()
            .filter(|planned| self.is(&taken_offer, planned))
            .collect();
        let cost = |rate: i64| -> i128 {
            let usage_of = |planned: &&PlannedStage| match &planned.usage {
                Some(usage) => usage.unit.cost(Rate(rate), usage.quantity),
                None => Rate(rate).cost(planned.nodes, planned.billed_ms),
            };
            takers
                .iter()
                .map(|planned| i128::from(usage_of(planned).0))
                .sum()
        };
        let time_worth =
            |time: Millis| i128::from(self.policy.hour.map_or(0, |hour| hour.cost(1, time).0));
        let saved_cost = i128::from(free.figures.cost.0) - i128::from(totals.cost_micro_usd.0)
            + time_worth(free.figures.makespan)
            - time_worth(totals.makespan_ms);
        let limit = cost(taken_offer.rate.0) + saved_cost;
        // The greatest rate within the limit.
        let (mut low, mut high) = (0_i64, i64::MAX / 4);
        while low < high {
            let middle_rate = low + (high - low + 1) / 2;
            if cost(middle_rate) <= limit {
                low = middle_rate
            } else {
                high = middle_rate - 1
            }
        }
        let other_offer = free
            .offers
            .get(base_name(stage))
            .and_then(|offers| offers.first());
        let Some(other) = other_offer else {
            return Ok(BreakEven::Never);
        };
        Ok(BreakEven::At {
            rate: Rate(low),
            figures: free.figures,
            offer: *other,
        })
    }

    /// Whether the job says how long a stage runs only on what this need lists.
    fn times_hang_on(&self, stage: &str, need: Need) -> bool {
        let work = self.job.stages.get(stage).map(|stage| &stage.work);
        need == Need::Accelerators && matches!(work, Some(Work::DurationBy(_)))
    }

    /// What each rule costs. Rules about one stage's machine are only priced for stages that
    /// were asked for.
    fn rules(&self, asked_stages: &BTreeSet<&str>) -> Result<Vec<Ruled>, ExplainError> {
        let defaults = default_constraints(self.policy)
            .into_iter()
            .map(|constraint| (constraint, true));
        let constraints = written_constraints(self.given, self.policy)
            .into_iter()
            .map(|constraint| (constraint, false));
        let mut rules = Vec::new();
        for (constraint, default) in constraints.chain(defaults) {
            if let ConstraintKind::Need(stage, need) = &constraint.kind
                && (!asked_stages.contains(stage.as_str()) || self.times_hang_on(stage, *need))
            {
                continue;
            }
            let (job, policy) = without_constraints(self.job, self.policy, [&constraint]);
            if let Some(free) = optimum(&job, &policy, self.catalog, self.effort)? {
                rules.push(Ruled {
                    constraint,
                    default,
                    free: free.figures,
                });
            }
        }
        Ok(rules)
    }
}

fn figures_of(solved: &Solved) -> Figures {
    Figures {
        cost: solved.evaluation.cost(),
        makespan: solved.evaluation.makespan,
        proven: solved.proof.optimal,
    }
}
