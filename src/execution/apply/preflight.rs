//! Whether the providers of a plan can be asked at all, before anything is begun: without
//! credentials an apply would leave attempts behind of which nobody can say whether they made a
//! machine.

use super::settings::{Checked, Settings};
use super::{Error, staging};
use crate::execution::provider;
use crate::execution::provider::check::{Need, in_time};
use crate::model::{Millis, PlaceName, Purchase};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// All that is missing for the stages of the plan is an error. What is missing for their
/// alternatives only is noted in what it returns: such offers are passed by.
pub async fn check_providers(
    plan: &Plan,
    mut checked: Checked,
    settings: &Settings,
) -> Result<Checked, Error> {
    let needed_providers: BTreeSet<&str> = checked.providers.values().map(String::as_str).collect();
    let clouds = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.alternatives)
        .map(|stage_offer| stage_offer.place.cloud.as_str());
    let clouds: BTreeSet<&str> = if settings.provider.is_some() {
        BTreeSet::new()
    } else {
        clouds.collect()
    };
    let other_providers = clouds
        .into_iter()
        .filter_map(|cloud| provider::of_cloud(cloud, &settings.access));
    let asked_providers: BTreeSet<&str> = needed_providers
        .iter()
        .copied()
        .chain(other_providers)
        .collect();
    let (mut problems, mut closed, mut unready) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for name in asked_providers {
        let error = match provider::open(name, &settings.access) {
            Ok(Some(provider)) => in_time(provider.ready(), name).await.err(),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        match error {
            Some(error) if needed_providers.contains(name) => {
                problems.push(error.message);
                closed.insert(name.to_owned());
            }
            Some(error) => {
                unready.insert(name.to_owned(), error.message);
            }
            None => {}
        }
    }
    // Machines of another provider than the plan's may use no buckets; and whoever is not let in at
    // a cloud knows already.
    if settings
        .provider
        .as_deref()
        .is_none_or(|name| settings.staging.has(name))
    {
        for (cloud, why) in staging::needed_buckets(plan, &settings.staging) {
            match why.filter(|_| !closed.contains(&cloud)) {
                Some(why) if needed_providers.contains(cloud.as_str()) => problems.push(why),
                Some(why) => drop(unready.entry(cloud).or_insert(why)),
                None => {}
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::NotReady(problems));
    }
    checked.unready = unready;
    Ok(checked)
}

/// The machines that a plan wants of each cloud, with how many of a kind it has at most at one
/// time.
pub fn needs_of_plan(plan: &Plan) -> Vec<Need> {
    let mut spans: BTreeMap<(PlaceName, String, Purchase), Vec<Span>> = BTreeMap::new();
    for stage in &plan.stages {
        let need_key = (
            stage.place.clone(),
            stage.instance_type.clone(),
            stage.purchase,
        );
        spans
            .entry(need_key)
            .or_default()
            .push((stage.start_ms, stage.end_ms, stage.nodes));
    }
    let need =
        |((place, instance_type, purchase), spans): ((PlaceName, String, Purchase), Vec<Span>)| {
            Need {
                place,
                instance_type,
                purchase,
                machines: most_at_a_time(&spans),
            }
        };
    spans.into_iter().map(need).collect()
}

/// From when to when how many.
type Span = (Millis, Millis, u32);

/// The most at one time. What ends makes room for what begins at that moment.
fn most_at_a_time(spans: &[Span]) -> u32 {
    let changes = spans
        .iter()
        .flat_map(|(start, end, count)| [(*start, i64::from(*count)), (*end, -i64::from(*count))]);
    let mut changes: Vec<(Millis, i64)> = changes.collect();
    changes.sort_unstable();
    let mut count_now = 0;
    let most_at_once = changes.into_iter().map(|(_, change)| {
        count_now += change;
        count_now
    });
    most_at_once
        .max()
        .map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_one_after_the_other_takes_the_same_machine() {
        let span = |from, to, count| (Millis(from), Millis(to), count);
        assert_eq!(most_at_a_time(&[span(0, 5, 2), span(5, 9, 3)]), 3);
        assert_eq!(
            most_at_a_time(&[span(0, 6, 2), span(5, 9, 3), span(9, 10, 1)]),
            5
        );
        assert_eq!(most_at_a_time(&[]), 0);
    }
}
