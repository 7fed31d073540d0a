//! Warnings in a plan: what its reader should know and no field says.

use super::offer_fields::offer_of;
use super::plan_parts::Parts;
use crate::catalog::{Retirement, price_age};
use crate::model::{Money, Policy};
use crate::planning::compile::{self, Compiled, Stays};
use crate::planning::problem::{ChoiceId, Instance, StageChoices, evaluate_on, routes};
use crate::planning::solve::Solved;
use crate::util::id_vec::IdVec;
use std::collections::BTreeMap;

/// Returns what a reader of a plan should know. Data that exists already may lie where the policy
/// would not put it: that is said, since no plan can change it. So are names that match nothing,
/// which may be mistyped and then protect nothing.
pub(super) fn plan_warnings(parts: &Parts<'_>) -> Vec<String> {
    let Parts {
        job,
        policy,
        catalog,
        compiled,
        solved,
        ..
    } = parts;
    let unknown = compile::unknown_names(job, policy, catalog);
    let mut warnings: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let misplaced = job.datasets.iter().filter_map(|(name, dataset)| {
        let place = &catalog.places[catalog.place_id(&dataset.at)? as usize];
        let rule_key = crate::planning::rule::forbids_place(policy, &dataset.labels, place)?;
        let country = place.country.as_deref().unwrap_or("unknown country");
        Some(format!(
            "dataset {name} is already at {} ({country}), which {rule_key} does not allow; the rule is applied to every \
             place that the plan brings it to",
            place.name
        ))
    });
    warnings.extend(misplaced);
    let taken_choices = compiled
        .instance
        .stages
        .iter()
        .zip(&solved.placement)
        .zip(&compiled.candidates);
    let taken_candidates =
        taken_choices.map(|((stage, pick), candidates)| &candidates[stage.choices[*pick].tag]);
    warnings.extend(compile::assumptions(taken_candidates, catalog));
    warnings.extend(handed_on(compiled, solved));
    warnings.extend(left_there(compiled, policy));
    warnings.extend(prices_and_retirements(parts));
    warnings
}

/// So many days before a machine type is retired it is said; what is announced for years later is
/// no news.
const RETIRES_SOON: i32 = 365;

/// Stages at estimated prices, and on machine types that will be retired soon.
fn prices_and_retirements(parts: &Parts<'_>) -> Vec<String> {
    let Parts {
        catalog,
        compiled,
        solved,
        ..
    } = parts;
    let mut warnings = Vec::new();
    for (index, name) in compiled.stages.iter_enumerated() {
        let offer = offer_of(parts, index, solved.placement[index]);
        let (place, machine) = (
            &catalog.place(offer).name,
            &catalog.machine(offer).instance_type,
        );
        let day = &catalog.sources[usize::from(offer.source)].date;
        if offer.estimated {
            warnings.push(format!(
                "stage {name}: the price of {machine} at {place} is estimated: the list of {day} scaled by how the price \
                 of the type changed since, where both are known"
            ));
        }
        let is_soon = |retirement: &&Retirement| {
            price_age::days_between(retirement.as_of(&catalog.date), &retirement.day)
                .is_some_and(|days| days <= RETIRES_SOON)
        };
        if let Some(retirement) = catalog.retires(offer).filter(is_soon) {
            warnings.push(format!(
                "stage {name}: {machine} will be retired on {}",
                retirement.day
            ));
        }
    }
    warnings
}

/// Outputs that a warning names.
const NAMED: usize = 4;

/// Outputs that nobody reads and that are not brought home although the job does not say so, by
/// reason.
fn left_there(compiled: &Compiled, policy: &Policy) -> Vec<String> {
    let mut by_reason: BTreeMap<&Stays, Vec<String>> = BTreeMap::new();
    for output in &compiled.results.outputs {
        if let Some(why) = &output.stays {
            by_reason
                .entry(why)
                .or_default()
                .push(output.artifact.to_string());
        }
    }
    let stay_words = |(why, outputs): (&Stays, Vec<String>)| {
        let named_outputs = outputs
            .iter()
            .take(NAMED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let more_outputs = outputs.len().saturating_sub(NAMED);
        let names = if more_outputs > 0 {
            format!("{named_outputs} and {more_outputs} more")
        } else {
            named_outputs
        };
        let (verb, is) = if outputs.len() == 1 {
            ("stays", "is")
        } else {
            ("stay", "are")
        };
        let stay_reason = match why {
            Stays::Unpriced => {
                "the catalog has no egress price for the way to this machine".to_owned()
            }
            Stays::NoPlanFromPriced => {
                "the catalog has an egress price for the way to this machine from some places \
                                        only, and no plan brings it home from one of them"
                    .to_owned()
            }
            Stays::Forbidden(rule) if policy.home.country.is_some() => {
                format!(
                    "{rule} forbids to bring it to this machine as `[home]` of the policy declares it"
                )
            }
            Stays::Forbidden(rule) => format!(
                "{rule} covers it and the country of this machine is not declared: add `[home]` with \
                 `country = \"DE\"` to the policy"
            ),
        };
        format!(
            "{names} {verb} where it {is} made and {is} not brought home: {stay_reason}; or write `\"there\"` for it in `[outputs]`"
        )
    };
    by_reason.into_iter().map(stay_words).collect()
}

/// Where transfers come straight from their origins for the sake of the proof: what handing them on
/// would save in this placement, if it would.
fn handed_on(compiled: &Compiled, solved: &Solved) -> Option<String> {
    if compiled.instance.relays || !compiled.instance.links.pools.is_empty() {
        return None;
    }
    // Of every stage its one choice: the rest need not be copied for this.
    let instance = &compiled.instance;
    let taken_choice = |(stage, pick): (&StageChoices, &ChoiceId)| StageChoices {
        choices: IdVec::from(vec![stage.choices[*pick]]),
        ..StageChoices::default()
    };
    let relayed = Instance {
        stages: instance
            .stages
            .iter()
            .zip(&solved.placement)
            .map(taken_choice)
            .collect(),
        artifacts: instance.artifacts.clone(),
        links: instance.links.clone(),
        relays: true,
        ..Instance::default()
    };
    let placement = relayed.stages.map(|_| ChoiceId::default());
    let relayed_evaluation = evaluate_on(
        &relayed,
        &relayed.shape(),
        &placement,
        &routes::cheapest(&relayed, &placement),
    )?;
    let saved_cost = solved.evaluation.cost() - relayed_evaluation.cost();
    (saved_cost > Money(0)).then(|| {
        format!("copies taken from other places that hold the data could save {saved_cost}: `[transfers] relay = true`")
    })
}
