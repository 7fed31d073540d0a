//! Why planning stopped, for people and for programs.

use super::inputs::Inputs;
use super::{Exit, Failure, Terminal};
use crate::catalog::Catalog;
use crate::planning::compile::{self, Refusal};
use crate::planning::solve::Effort;
use crate::planning::{self, NoPlan};
use crate::render::conflict::{self, Files};
use crate::render::no_plan;

/// Why planning stopped, with a sentence and the conflicting lines for programs.
pub(super) struct PlanningStopped {
    pub failure: Failure,
    pub summary: Option<String>,
    pub conflict: Option<serde_json::Value>,
}

impl From<Failure> for PlanningStopped {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            summary: None,
            conflict: None,
        }
    }
}

impl PlanningStopped {
    /// Why there is no plan. If it is not a mistake, the conflicting lines are looked for.
    ///
    /// Not for the rest of a job: the conflicting lines are found for the whole.
    pub(super) fn no_plan(
        reason: &NoPlan,
        inputs: &Inputs,
        (catalog, rest): (&Catalog, bool),
        effort: &Effort,
        terminal: &Terminal,
    ) -> Self {
        let files = Files {
            job: &inputs.job,
            policy: &inputs.policy,
        };
        let (job, policy) = (&inputs.job.value, &inputs.policy.value);
        let infeasible = matches!(
            reason,
            NoPlan::Infeasible(_)
                | NoPlan::Refused(Refusal::NoCandidates(_) | Refusal::HomeForbidden(_))
        );
        let infeasible = infeasible && !rest;
        // A solver that breaks down here takes nothing from the answer but its reason.
        let conflict = infeasible
            .then(|| planning::conflict(job, policy, catalog, effort).ok())
            .flatten();
        let unknown = compile::unknown_names(job, policy, catalog);
        let (mut text, answer) = no_plan::text(
            reason,
            files,
            conflict.as_ref(),
            &unknown,
            terminal.colour_stderr,
        );
        if matches!(reason, NoPlan::Infeasible(_)) && !rest {
            let unsaid =
                planning::left_for_a_plan(job, policy, catalog, effort).unwrap_or_default();
            text.push_str(&no_plan::results_in_the_way(&unsaid));
        }
        let exit = if answer {
            Exit::Infeasible
        } else {
            Exit::Error
        };
        Self {
            failure: Failure::new(exit, text),
            summary: Some(no_plan::summary(reason).to_owned()),
            conflict: conflict.map(|conflict| conflict::json(&conflict, files)),
        }
    }
}
