//! Laying what sources have answered over the catalog, and writing it.

use super::super::{Report, store};
use super::quotes::Quotes;
use super::{Changes, Fault, Harvest, Kept, Load, Outcome, Status, Update, Yield, own, read};
use crate::catalog::draft::Draft;
use crate::catalog::{CatalogError, edit, write};
use crate::model::Pattern;
use std::path::Path;

/// Lays the answers over the catalog as it is now, source by source, and writes it.
pub(super) fn apply(harvests: Vec<Harvest>, regions: &[Pattern], out: &Path) -> Result<Update, CatalogError> {
    let (old, created) = read(out)?;
    let mut start = Draft::read(&old)?;
    start.drop_unused_sources();
    let (mut draft, mut outcomes, mut used) = lay(start.clone(), harvests, regions, &mut |_| Ok(()));
    let text = |mut draft: Draft| {
        draft.drop_idle_interruptions();
        draft.drop_unused_sources();
        write::files(&draft)
    };
    let mut new = text(draft.clone());
    if store::check(&new, out).is_err() {
        // One of them is at fault: each is checked alone.
        let again: Vec<Harvest> = used.into_iter().map(|(harvest, _)| harvest).collect();
        (draft, outcomes, used) = lay(start, again, regions, &mut |draft| store::check(&text(draft.clone()), out));
        new = text(draft.clone());
        store::check(&new, out)?;
    }
    let today = crate::util::clock::today();
    for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome.status, Status::Failed(_))) {
        outcome.kept = match outcome.source {
            "catalog" => None,
            "aws-spot-advisor" => Some(Kept::interruptions(&draft, &outcome.cloud, today)),
            _ => Some(Kept::prices(&draft, &outcome.cloud, &outcome.part, today)),
        };
    }
    let updated = outcomes.iter().any(|outcome| outcome.status == Status::Updated);
    let worked = updated || outcomes.iter().any(|outcome| outcome.status == Status::Unchanged);
    // A catalog written by hand keeps its form where nothing in it changes.
    let changed = if updated || (created && worked) {
        draft.drop_idle_interruptions();
        draft.drop_unused_sources();
        new = edit::files(&old, &draft)?;
        store::check(&new, out)?;
        store::write(out, if created { &[] } else { &old }, &new)?
    } else {
        Vec::new()
    };
    for (harvest, ok) in used {
        if let (Ok(answer), true) = (harvest.result, ok)
            && let Err(fault) = answer.used()
            && let Some(outcome) = outcomes.first_mut()
        {
            outcome.report.note(format!("What was fetched is not kept: {}.", fault.0));
        }
    }
    Ok(Update { outcomes, changed, created: created && worked })
}

type Laid = (Draft, Vec<Outcome>, Vec<(Harvest, bool)>);

/// Lays answers over a draft, one after the other; one that fails leaves the draft as it was.
fn lay(
    mut draft: Draft,
    harvests: Vec<Harvest>,
    regions: &[Pattern],
    check: &mut dyn FnMut(&Draft) -> Result<(), CatalogError>,
) -> Laid {
    let (mut outcomes, mut used) = (Vec::new(), Vec::new());
    for harvest in harvests {
        let mut report = Report::default();
        let mut changes = Changes::default();
        let mut day = None;
        let status = match &harvest.result {
            Err(fault) => Status::Failed(fault.0.clone()),
            Ok(Yield { load: Load::Skip(why), .. }) => Status::Skipped(why.clone()),
            Ok(answer) => {
                day = answer.day;
                answer.notes.iter().for_each(|note| report.note(note.clone()));
                let mut next = draft.clone();
                let laid = lay_one(answer, &mut next, &mut report);
                match laid.and_then(|()| check(&next).map_err(|error| Fault(error.to_string()))) {
                    Err(fault) => Status::Failed(fault.0),
                    Ok(()) => {
                        restore(&draft, &mut next, regions);
                        next.drop_unused_sources();
                        changes = Changes::between(&draft, &next);
                        let same = next == draft;
                        draft = next;
                        if same { Status::Unchanged } else { Status::Updated }
                    }
                }
            }
        };
        let ok = matches!(status, Status::Updated | Status::Unchanged);
        let (source, cloud, part) = (harvest.source, harvest.cloud.clone(), harvest.part.clone());
        outcomes.push(Outcome { source, cloud, part, status, day, report, changes, kept: None });
        used.push((harvest, ok));
    }
    (draft, outcomes, used)
}

/// Whether prices of a place are asked for.
pub(super) fn asked_for(regions: &[Pattern], cloud: &str, region: &str) -> bool {
    let matches = |pattern: &Pattern| match pattern.0.contains(':') {
        true => pattern.matches(&format!("{cloud}:{region}")),
        false => pattern.matches(region),
    };
    regions.is_empty() || regions.iter().any(matches)
}

/// Puts back the prices of places that were not asked for.
fn restore(old: &Draft, new: &mut Draft, regions: &[Pattern]) {
    if regions.is_empty() {
        return;
    }
    new.prices.retain(|(cloud, region), _| asked_for(regions, cloud, region));
    let others = old.prices.iter().filter(|((cloud, region), _)| !asked_for(regions, cloud, region));
    new.prices.extend(others.map(|(place, rows)| (place.clone(), rows.clone())));
}

fn lay_one(answer: &Yield, draft: &mut Draft, report: &mut Report) -> Result<(), Fault> {
    match &answer.load {
        Load::Quotes(quotes) => {
            if quotes.len() == 0 {
                return Err(Fault(match super::super::most_left_out(&quotes.report) {
                    Some(why) => format!("there is no price in it; {why}"),
                    None => "there is no price in it".to_owned(),
                }));
            }
            Quotes::clone(quotes).apply(draft, report).map_err(|error| Fault(error.to_string()))
        }
        Load::Import(importer, path, options) => {
            importer(path, options, draft, report).map_err(|error| Fault(error.to_string()))
        }
        Load::Own(other) => own::apply(Draft::clone(other), draft, report),
        Load::Skip(_) => Ok(()),
    }
}
