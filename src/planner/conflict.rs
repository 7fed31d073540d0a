//! Why there is no plan: the smallest set of lines that clash.
//!
//! A set of lines clashes if no plan keeps all of them, whatever the other lines say; it is a
//! smallest one if no set with fewer lines clashes, so leaving any one of them out makes room for
//! the rest of it. The search is that of implicit hitting sets (Ignatiev, Previti, Liffiton,
//! Marques-Silva: Smallest MUS extraction with minimal hitting set dualization, CP 2015): lines
//! that have to go together so that a plan exists are found one group after the other; a smallest
//! set with a line of each group either clashes, and then nothing smaller does, or shows another
//! group.

use super::hitting;
use super::homeward::first;
use super::lines::{Line, defaults, pinned, without, written};
use super::relax::{Relaxation, relax};
use crate::catalog::Catalog;
use crate::compile::Compiled;
use crate::model::{Job, Policy};
use crate::solve::{self, Effort, Highs, SolverError};
use std::collections::BTreeSet;

/// Lines that clash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// In the order of policy and job; empty: there is no plan even without any of the lines.
    pub lines: Vec<Clashing>,
    /// No smaller set of lines clashes; false: the search for one was given up.
    pub smallest: bool,
    /// Lines that were not written, each of which would be enough to change.
    pub defaults: Vec<Clashing>,
}

/// A line that clashes with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clashing {
    pub line: Line,
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

/// The smallest set of lines of a job and a policy for which there is no plan. An error if a time limit is over
/// before the search begins.
pub fn conflict(job: &Job, policy: &Policy, catalog: &Catalog, effort: &Effort) -> Result<Conflict, SolverError> {
    if effort.is_over() {
        return Err(SolverError("the time limit left nothing for the search for lines that clash".to_owned()));
    }
    let mut lines = written(job, policy);
    let job = &pinned(job, policy);
    let oracle = Oracle { job, policy, catalog, effort };
    if !oracle.feasible_without(lines.iter())? {
        // What was written is not to blame, or not alone.
        lines.extend(defaults(policy));
        if !oracle.feasible_without(lines.iter())? {
            return Ok(Conflict { lines: Vec::new(), smallest: true, defaults: Vec::new() });
        }
    }
    let mut search = Search::new(&oracle, &lines);
    let (found, smallest) = match search.smallest() {
        Ok(found) => found,
        // All lines together clash: that is known, and for less there is no time.
        Err(_) if effort.is_over() => ((0..lines.len()).collect(), false),
        Err(error) => return Err(error),
    };
    let mut clashing = Vec::new();
    for index in &found {
        let line = &lines[*index];
        if effort.is_over() {
            clashing.push(Clashing { line: line.clone(), enough: false, relaxation: None });
            continue;
        }
        let enough = oracle.feasible_without([line])?;
        // If other lines clash too, only those of this set are looked at.
        let others = lines.iter().enumerate().filter(|(other, _)| !enough && !found.contains(other));
        let dropped: Vec<&Line> = others.map(|(_, line)| line).collect();
        let (job, policy) = without(job, policy, dropped);
        let relaxation = relax(line, &job, &policy, catalog, effort)?;
        clashing.push(Clashing { line: line.clone(), enough, relaxation });
    }
    let mut changeable = Vec::new();
    for line in defaults(policy).into_iter().filter(|line| !lines.contains(line)) {
        if effort.is_over() {
            break;
        }
        if oracle.feasible_without([&line])? {
            let relaxation = relax(&line, job, policy, catalog, effort)?;
            changeable.push(Clashing { line, enough: true, relaxation });
        }
    }
    Ok(Conflict { lines: clashing, smallest, defaults: changeable })
}

/// Answers whether there is a plan without some lines.
pub(super) struct Oracle<'a> {
    pub job: &'a Job,
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    pub effort: &'a Effort,
}

impl Oracle<'_> {
    fn feasible_without<'l>(&self, dropped: impl IntoIterator<Item = &'l Line>) -> Result<bool, SolverError> {
        let (job, policy) = without(self.job, self.policy, dropped);
        feasible(&job, &policy, self.catalog, self.effort)
    }
}

/// Whether there is any plan.
pub(super) fn feasible(job: &Job, policy: &Policy, catalog: &Catalog, effort: &Effort) -> Result<bool, SolverError> {
    let feasible = |compiled: &Compiled| solve::feasible(&compiled.instance, &Highs, effort);
    Ok(first(job, policy, catalog, feasible, |feasible| *feasible)?.is_some_and(|(_, feasible)| feasible))
}

/// The search for a smallest set that clashes. All lines together clash, none alone do not.
struct Search<'a> {
    oracle: &'a Oracle<'a>,
    lines: &'a [Line],
    /// Sets for which there is a plan, and sets that clash: what is inside the former, or around
    /// the latter, need not be asked.
    possible: Vec<BTreeSet<usize>>,
    clashing: Vec<BTreeSet<usize>>,
    questions: usize,
}

impl<'a> Search<'a> {
    fn new(oracle: &'a Oracle<'a>, lines: &'a [Line]) -> Self {
        let questions = (QUESTIONS / oracle.job.stages.len().max(1)).max(FEWEST_QUESTIONS);
        Self { oracle, lines, possible: Vec::new(), clashing: Vec::new(), questions }
    }

    /// Whether there is a plan that keeps these lines, all others left out.
    fn feasible(&mut self, kept: &BTreeSet<usize>) -> Result<bool, SolverError> {
        if self.possible.iter().any(|known| kept.is_subset(known)) {
            return Ok(true);
        }
        if self.clashing.iter().any(|known| known.is_subset(kept)) {
            return Ok(false);
        }
        if self.oracle.effort.is_over() {
            return Err(SolverError("the time limit ended the search for lines that clash".to_owned()));
        }
        self.questions = self.questions.saturating_sub(1);
        let dropped = self.lines.iter().enumerate().filter(|(index, _)| !kept.contains(index));
        let answer = self.oracle.feasible_without(dropped.map(|(_, line)| line))?;
        let known = if answer { &mut self.possible } else { &mut self.clashing };
        known.push(kept.clone());
        Ok(answer)
    }

    /// A set that clashes, and whether it is a smallest one; if not, it is still one of which
    /// every line is needed.
    fn smallest(&mut self) -> Result<(BTreeSet<usize>, bool), SolverError> {
        let all: Vec<usize> = (0..self.lines.len()).collect();
        let minimal = self.minimal(&BTreeSet::new(), false, &all)?;
        let mut groups: Vec<BTreeSet<usize>> = Vec::new();
        loop {
            let Some(least) = hitting::smallest(&groups) else { return Ok((minimal, false)) };
            if least.len() >= minimal.len() {
                return Ok((minimal, true));
            }
            if self.questions == 0 {
                return Ok((minimal, false));
            }
            if !self.feasible(&least)? {
                return Ok((least, true));
            }
            let mut kept = least;
            let rest: Vec<usize> = all.iter().copied().filter(|index| !kept.contains(index)).collect();
            let mut group = BTreeSet::new();
            self.grow(&mut kept, &rest, &mut group)?;
            groups.push(group);
        }
    }

    /// Of `lines`, a least set that clashes together with `kept` (Junker: QuickXplain, AAAI 2004).
    /// `grown`: lines were added to `kept` since it was last asked.
    fn minimal(
        &mut self,
        kept: &BTreeSet<usize>,
        grown: bool,
        lines: &[usize],
    ) -> Result<BTreeSet<usize>, SolverError> {
        if grown && !self.feasible(kept)? {
            return Ok(BTreeSet::new());
        }
        if let [line] = lines {
            return Ok(BTreeSet::from([*line]));
        }
        let (first, second) = lines.split_at(lines.len() / 2);
        let with_first: BTreeSet<usize> = kept.iter().chain(first).copied().collect();
        let of_second = self.minimal(&with_first, !first.is_empty(), second)?;
        let with_second: BTreeSet<usize> = kept.union(&of_second).copied().collect();
        let of_first = self.minimal(&with_second, !of_second.is_empty(), first)?;
        Ok(of_first.union(&of_second).copied().collect())
    }

    /// Adds to `kept` what can be added of `rest`, as much at a time as possible; what cannot
    /// goes to `group`.
    fn grow(
        &mut self,
        kept: &mut BTreeSet<usize>,
        rest: &[usize],
        group: &mut BTreeSet<usize>,
    ) -> Result<(), SolverError> {
        let with: BTreeSet<usize> = kept.iter().chain(rest).copied().collect();
        if self.feasible(&with)? {
            *kept = with;
            return Ok(());
        }
        if let [line] = rest {
            group.insert(*line);
            return Ok(());
        }
        let (first, second) = rest.split_at(rest.len() / 2);
        self.grow(kept, first, group)?;
        if second.is_empty() { Ok(()) } else { self.grow(kept, second, group) }
    }
}
