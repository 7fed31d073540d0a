//! The best placement of some inputs, with less around it than a plan has.

use super::leave_results::first_good_answer;
use crate::catalog::Catalog;
use crate::model::{Job, Millis, Money, Offer, Policy, dag};
use crate::planning::compile::{Compiled, base_name};
use crate::planning::solve::{self, Effort, Highs, Outcome, SolverError};
use crate::util::id_vec::Id;
use std::collections::{BTreeMap, BTreeSet};

/// Cost and makespan of a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Figures {
    /// What the whole placement costs, in micro-USD.
    pub cost: Money,
    /// The time from the start of the job to its end.
    pub makespan: Millis,
    /// No better one is possible.
    pub proven: bool,
}

/// The best placement.
#[derive(Clone, Debug)]
pub(crate) struct Optimum {
    /// Cost and makespan of the placement.
    pub figures: Figures,
    /// By stage (one with replicas has several): the offers that it takes.
    pub offers: BTreeMap<String, Vec<Offer>>,
    /// By stage: the latest end of a replica.
    pub ends: BTreeMap<String, Millis>,
}

/// The best placement; `None`: there is none.
pub(crate) fn optimum(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<Option<Optimum>, SolverError> {
    let solve = |compiled: &Compiled| solve::solve(&compiled.instance, &Highs, effort);
    let is_solved = |outcome: &Outcome| matches!(outcome, Outcome::Solved(_));
    let Some((compiled, Outcome::Solved(solved))) =
        first_good_answer(job, policy, catalog, solve, is_solved)?
    else {
        return Ok(None);
    };
    let mut best_optimum = Optimum {
        figures: Figures {
            cost: solved.evaluation.cost(),
            makespan: solved.evaluation.makespan,
            proven: solved.proof.optimal,
        },
        offers: BTreeMap::new(),
        ends: BTreeMap::new(),
    };
    for (index, name) in compiled.stages.iter_enumerated() {
        let name = base_name(name).to_owned();
        let tag = compiled.instance.stages[index].choices[solved.placement[index]].tag;
        let offer = catalog.offers[compiled.candidates[index][tag].offer.index()];
        let stage_end = best_optimum.ends.entry(name.clone()).or_default();
        *stage_end = (*stage_end).max(solved.evaluation.end[index]);
        best_optimum.offers.entry(name).or_default().push(offer);
    }
    Ok(Some(best_optimum))
}

/// By stage: the labels of what it, or any replica of it, reads.
pub(crate) fn labels(job: &Job) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, carried) in dag::labels(&job.expanded()).of_stage {
        labels
            .entry(base_name(&name).to_owned())
            .or_default()
            .extend(carried);
    }
    labels
}
