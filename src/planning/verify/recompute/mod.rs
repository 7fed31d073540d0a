//! A plan's costs, schedule and rules, worked out again from its offers and transfers.
//!
//! This is the planner's second opinion: it does not use [`crate::planning::problem`], and of
//! [`crate::planning::compile`] only the expectation of spot machines, so a mistake there shows
//! here. It takes the plan's word for which offers are taken and which transfers are made, and
//! checks that they are allowed and enough.
//!
//! Every file adds one subject to [`PlanCheck`]:
//!
//! | file | what it checks or looks up |
//! | --- | --- |
//! | `plan_check` | what all checks share: the inputs, and how a difference is noted |
//! | `members` | names, objective, limits and datasets |
//! | `artifact_places` | where an artifact is, and from when on |
//! | `prices` | price lists of transfers and of storage |
//! | `machine_needs` | whether an offer meets needs |
//! | `stage_names` | how differences name a member of a stage |
//! | `stage_offer` | the offer that a stage takes, and the rules that bind it |
//! | `stage_outputs` | where the outputs of a stage go |
//! | `stage_schedule` | when a stage starts and ends, and what it costs |
//! | `transfers` | readers, times and speeds of transfers |
//! | `egress` | what every bill of transfers comes to |
//! | `totals` | sums, and the limits of the policy |
//! | `shared_limits` | quotas, and how stages are spread |

mod artifact_places;
mod egress;
mod machine_needs;
mod members;
mod plan_check;
mod prices;
mod shared_limits;
mod stage_names;
mod stage_offer;
mod stage_outputs;
mod stage_schedule;
mod totals;
mod transfers;

use super::difference::Difference;
use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use crate::plan::Plan;
use plan_check::PlanCheck;

/// Returns what is wrong with a plan, for what is left of a job and of a policy's limits.
pub(crate) fn differences(
    plan: &Plan,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> Vec<Difference> {
    let expanded = job.expanded();
    let mut check = PlanCheck::new(plan, &expanded, policy, catalog);
    check.members();
    for (name, stage) in &expanded.stages {
        if let Some(planned) = check.stages.get(name.as_str()).copied() {
            check.stage(stage, planned);
        }
    }
    for transfer in &plan.transfers {
        check.transfer(transfer);
    }
    check.egress();
    check.totals();
    check.quotas();
    check.quotas_at_any_pace();
    check.spread();
    check.found
}
