//! Why there is no plan: the smallest set of lines that clash.
//!
//! A set of lines clashes if no plan keeps all of them, whatever the other lines say; it is a
//! smallest one if no set with fewer lines clashes, so leaving any one of them out makes room for
//! the rest of it. The search is that of implicit hitting sets (Ignatiev, Previti, Liffiton,
//! Marques-Silva: Smallest MUS extraction with minimal hitting set dualization, CP 2015): lines
//! that have to go together so that a plan exists are found one group after the other; a smallest
//! set with a line of each group either clashes, and then nothing smaller does, or shows another
//! group.

use super::constraint::Constraint;
use super::dropped_constraints::without_constraints;
use super::forbidden_outputs::leave_forbidden_outputs;
use super::hitting_set;
use super::relax::{Relaxation, relax};
use super::written_constraints::{default_constraints, written_constraints};
use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use crate::planning::build::feasible;
use crate::planning::solve::{Effort, SolverError};
use crate::util::id_vec::{IdVec, id_type};
use std::collections::BTreeSet;

id_type! {
    /// A constraint of those among which a conflict is searched.
    ConstraintId: usize;
}

/// The constraints among which a conflict is searched.
type Constraints = IdVec<ConstraintId, Constraint>;

/// Lines that clash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// In the order of policy and job; empty: there is no plan even without any of the lines.
    pub constraints: Vec<Clashing>,
    /// No smaller set of lines clashes; false: the search for one was given up.
    pub smallest: bool,
    /// Lines that were not written, each of which would be enough to change.
    pub defaults: Vec<Clashing>,
}

/// A line that clashes with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clashing {
    /// The constraint that clashes with others.
    pub constraint: Constraint,
    /// Without this line there is a plan; false: other lines clash as well.
    pub enough: bool,
    /// What it would have to say; if it alone is not enough: so that it does not clash with the
    /// other lines of this set. None: that was too much work.
    pub relaxation: Option<Relaxation>,
}

/// Questions that may be asked while looking for something smaller, for jobs of few stages; it
/// falls with their number.
const QUESTIONS: usize = 2_000;
/// Never fewer.
const FEWEST_QUESTIONS: usize = 60;

/// The smallest set of lines of a job and a policy for which there is no plan. An error if a time
/// limit is over before the search begins.
pub fn conflict(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<Conflict, SolverError> {
    if effort.should_stop() {
        return Err(SolverError(
            "the time limit left nothing for the search for lines that clash".to_owned(),
        ));
    }
    let job = &leave_forbidden_outputs(job, policy);
    let oracle = Oracle {
        job,
        policy,
        catalog,
        effort,
    };
    let Some(constraints) = oracle.enough_constraints()? else {
        return Ok(Conflict {
            constraints: Vec::new(),
            smallest: true,
            defaults: Vec::new(),
        });
    };
    let mut conflict_search = Search::new(&oracle, &constraints);
    let (found, smallest) = match conflict_search.smallest() {
        Ok(found) => found,
        // All lines together clash: that is known, and for less there is no time.
        Err(_) if effort.should_stop() => (constraints.ids().collect(), false),
        Err(error) => return Err(error),
    };
    Ok(Conflict {
        constraints: oracle.relaxed_constraints(&constraints, &found)?,
        smallest,
        defaults: oracle.changeable_defaults(&constraints)?,
    })
}

/// Answers whether there is a plan without some lines.
pub(super) struct Oracle<'a> {
    /// The job, with forbidden outputs left where they are made.
    pub job: &'a Job,
    /// The policy as it is written.
    pub policy: &'a Policy,
    /// The catalog that offers are taken from.
    pub catalog: &'a Catalog,
    /// How long each question may take.
    pub effort: &'a Effort,
}

impl Oracle<'_> {
    fn feasible_without<'l>(
        &self,
        dropped: impl IntoIterator<Item = &'l Constraint>,
    ) -> Result<bool, SolverError> {
        let (job, policy) = without_constraints(self.job, self.policy, dropped);
        feasible(&job, &policy, self.catalog, self.effort)
    }

    /// Returns constraints without all of which there is a plan: those that were written, and if
    /// these alone are not to blame, also those that hold by default. `None`: there is no plan even
    /// then.
    fn enough_constraints(&self) -> Result<Option<Constraints>, SolverError> {
        let mut constraints = Constraints::from(written_constraints(self.job, self.policy));
        if self.feasible_without(&constraints)? {
            return Ok(Some(constraints));
        }
        constraints.extend(default_constraints(self.policy));
        let is_enough = self.feasible_without(&constraints)?;
        Ok(is_enough.then_some(constraints))
    }

    /// Returns, for each constraint of a set that clashes, how it could be relaxed.
    fn relaxed_constraints(
        &self,
        constraints: &Constraints,
        clashing: &BTreeSet<ConstraintId>,
    ) -> Result<Vec<Clashing>, SolverError> {
        let mut relaxed = Vec::new();
        for index in clashing {
            let constraint = &constraints[*index];
            if self.effort.should_stop() {
                relaxed.push(Clashing {
                    constraint: constraint.clone(),
                    enough: false,
                    relaxation: None,
                });
                continue;
            }
            let enough = self.feasible_without([constraint])?;
            // If other lines clash too, only those of this set are looked at.
            let other_constraints = constraints
                .iter_enumerated()
                .filter(|(other, _)| !enough && !clashing.contains(other));
            let dropped_constraints = other_constraints.map(|(_, constraint)| constraint);
            let (job, policy) = without_constraints(self.job, self.policy, dropped_constraints);
            relaxed.push(Clashing {
                constraint: constraint.clone(),
                enough,
                relaxation: relax(constraint, &job, &policy, self.catalog, self.effort)?,
            });
        }
        Ok(relaxed)
    }

    /// Returns the constraints that were not written, and each of which would be enough to change.
    fn changeable_defaults(&self, constraints: &Constraints) -> Result<Vec<Clashing>, SolverError> {
        let mut changeable = Vec::new();
        let other_defaults = default_constraints(self.policy)
            .into_iter()
            .filter(|constraint| !constraints.as_slice().contains(constraint));
        for constraint in other_defaults {
            if self.effort.should_stop() {
                break;
            }
            if self.feasible_without([&constraint])? {
                let relaxation = relax(
                    &constraint,
                    self.job,
                    self.policy,
                    self.catalog,
                    self.effort,
                )?;
                changeable.push(Clashing {
                    constraint,
                    enough: true,
                    relaxation,
                });
            }
        }
        Ok(changeable)
    }
}

/// The search for a smallest set that clashes. All lines together clash, none alone do not.
struct Search<'a> {
    oracle: &'a Oracle<'a>,
    constraints: &'a Constraints,
    /// Sets for which there is a plan, and sets that clash: what is inside the former, or around
    /// the latter, need not be asked.
    possible: Vec<BTreeSet<ConstraintId>>,
    clashing: Vec<BTreeSet<ConstraintId>>,
    questions: usize,
}

impl<'a> Search<'a> {
    fn new(oracle: &'a Oracle<'a>, constraints: &'a Constraints) -> Self {
        let questions = (QUESTIONS / oracle.job.stages.len().max(1)).max(FEWEST_QUESTIONS);
        Self {
            oracle,
            constraints,
            possible: Vec::new(),
            clashing: Vec::new(),
            questions,
        }
    }

    /// Whether there is a plan that keeps these lines, all others left out.
    fn feasible(&mut self, kept_constraints: &BTreeSet<ConstraintId>) -> Result<bool, SolverError> {
        if self
            .possible
            .iter()
            .any(|known| kept_constraints.is_subset(known))
        {
            return Ok(true);
        }
        if self
            .clashing
            .iter()
            .any(|known| known.is_subset(kept_constraints))
        {
            return Ok(false);
        }
        if self.oracle.effort.should_stop() {
            return Err(SolverError(
                "the time limit ended the search for lines that clash".to_owned(),
            ));
        }
        self.questions = self.questions.saturating_sub(1);
        let dropped_constraints = self
            .constraints
            .iter_enumerated()
            .filter(|(index, _)| !kept_constraints.contains(index));
        let is_feasible = self
            .oracle
            .feasible_without(dropped_constraints.map(|(_, constraint)| constraint))?;
        let known_sets = if is_feasible {
            &mut self.possible
        } else {
            &mut self.clashing
        };
        known_sets.push(kept_constraints.clone());
        Ok(is_feasible)
    }

    /// A set that clashes, and whether it is a smallest one; if not, it is still one of which
    /// every line is needed.
    fn smallest(&mut self) -> Result<(BTreeSet<ConstraintId>, bool), SolverError> {
        let all_constraints: Vec<ConstraintId> = self.constraints.ids().collect();
        let minimal = self.minimal(&BTreeSet::new(), false, &all_constraints)?;
        let mut groups: Vec<BTreeSet<ConstraintId>> = Vec::new();
        loop {
            let Some(least) = hitting_set::smallest(&groups) else {
                return Ok((minimal, false));
            };
            if least.len() >= minimal.len() {
                return Ok((minimal, true));
            }
            if self.questions == 0 {
                return Ok((minimal, false));
            }
            if !self.feasible(&least)? {
                return Ok((least, true));
            }
            let mut kept_constraints = least;
            let other_constraints: Vec<ConstraintId> = all_constraints
                .iter()
                .copied()
                .filter(|index| !kept_constraints.contains(index))
                .collect();
            let mut group = BTreeSet::new();
            self.grow(&mut kept_constraints, &other_constraints, &mut group)?;
            groups.push(group);
        }
    }

    /// Of `constraints`, a least set that clashes together with `kept` (Junker: QuickXplain, AAAI
    /// 2004). `grown`: lines were added to `kept` since it was last asked.
    fn minimal(
        &mut self,
        kept_constraints: &BTreeSet<ConstraintId>,
        grown: bool,
        constraints: &[ConstraintId],
    ) -> Result<BTreeSet<ConstraintId>, SolverError> {
        if grown && !self.feasible(kept_constraints)? {
            return Ok(BTreeSet::new());
        }
        if let [constraint] = constraints {
            return Ok(BTreeSet::from([*constraint]));
        }
        let (first, second) = constraints.split_at(constraints.len() / 2);
        let with_first: BTreeSet<ConstraintId> =
            kept_constraints.iter().chain(first).copied().collect();
        let of_second = self.minimal(&with_first, !first.is_empty(), second)?;
        let with_second: BTreeSet<ConstraintId> =
            kept_constraints.union(&of_second).copied().collect();
        let of_first = self.minimal(&with_second, !of_second.is_empty(), first)?;
        Ok(of_first.union(&of_second).copied().collect())
    }

    /// Adds to `kept` what can be added of `rest`, as much at a time as possible; what cannot
    /// goes to `group`.
    fn grow(
        &mut self,
        kept_constraints: &mut BTreeSet<ConstraintId>,
        other_constraints: &[ConstraintId],
        group: &mut BTreeSet<ConstraintId>,
    ) -> Result<(), SolverError> {
        let with_candidate: BTreeSet<ConstraintId> = kept_constraints
            .iter()
            .chain(other_constraints)
            .copied()
            .collect();
        if self.feasible(&with_candidate)? {
            *kept_constraints = with_candidate;
            return Ok(());
        }
        if let [constraint] = other_constraints {
            group.insert(*constraint);
            return Ok(());
        }
        let (first, second) = other_constraints.split_at(other_constraints.len() / 2);
        self.grow(kept_constraints, first, group)?;
        if second.is_empty() {
            Ok(())
        } else {
            self.grow(kept_constraints, second, group)
        }
    }
}
