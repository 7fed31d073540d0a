//! Laying what sources have answered over the catalog, and writing it.

use super::price_quotes::PriceQuotes;
use super::source_answer::{AnswerContent, AnswerData, SourceAnswer};
use super::source_selection::asked_for;
use super::{
    ChangedPrices, Fault, KeptRows, SourceOutcome, SourceStatus, UpdateOutcome, own_catalog,
    updated_catalog,
};
use crate::catalog::draft::Draft;
use crate::catalog::{CatalogError, canonical_text, edit_in_place};
use crate::feeds::{ImportReport, catalog_folder};
use crate::model::Pattern;
use std::path::Path;

/// Lays the answers over the catalog as it is now, source by source, and writes it.
pub(super) fn apply(
    answers: Vec<SourceAnswer>,
    regions: &[Pattern],
    catalog_folder: &Path,
) -> Result<UpdateOutcome, CatalogError> {
    let (old, created) = updated_catalog::read(catalog_folder)?;
    let mut start = Draft::read(&old)?;
    start.drop_unused_sources();
    let (mut draft, mut outcomes, mut used) =
        lay_all(start.clone(), answers, regions, &mut |_| Ok(()));
    let text = |mut draft: Draft| {
        draft.drop_idle_interruptions();
        draft.drop_unused_sources();
        canonical_text::files(&draft)
    };
    let mut new = text(draft.clone());
    if catalog_folder::check(&new, catalog_folder).is_err() {
        // One of them is at fault: each is checked alone.
        let used_answers: Vec<SourceAnswer> = used.into_iter().map(|(answer, _)| answer).collect();
        (draft, outcomes, used) = lay_all(start, used_answers, regions, &mut |draft| {
            catalog_folder::check(&text(draft.clone()), catalog_folder)
        });
        new = text(draft.clone());
        catalog_folder::check(&new, catalog_folder)?;
    }
    let today = crate::util::clock::today();
    for outcome in outcomes
        .iter_mut()
        .filter(|outcome| matches!(outcome.status, SourceStatus::Failed(_)))
    {
        outcome.kept = match outcome.source {
            "catalog" => None,
            "aws-spot-advisor" => Some(KeptRows::interruptions(&draft, &outcome.cloud, today)),
            _ => Some(KeptRows::prices(
                &draft,
                &outcome.cloud,
                &outcome.part,
                today,
            )),
        };
    }
    let updated = outcomes
        .iter()
        .any(|outcome| outcome.status == SourceStatus::Updated);
    let worked = updated
        || outcomes
            .iter()
            .any(|outcome| outcome.status == SourceStatus::Unchanged);
    // A catalog written by hand keeps its form where nothing in it changes.
    let changed_rows = if updated || (created && worked) {
        draft.drop_idle_interruptions();
        draft.drop_unused_sources();
        new = edit_in_place::files(&old, &draft)?;
        catalog_folder::check(&new, catalog_folder)?;
        catalog_folder::write(catalog_folder, if created { &[] } else { &old }, &new)?
    } else {
        Vec::new()
    };
    for (answer, ok) in used {
        if let (Ok(data), true) = (answer.result, ok)
            && let Err(fault) = data.mark_used()
            && let Some(outcome) = outcomes.first_mut()
        {
            outcome
                .report
                .note(format!("What was fetched is not kept: {}.", fault.0));
        }
    }
    Ok(UpdateOutcome {
        outcomes,
        changed: changed_rows,
        created: created && worked,
    })
}

type LaidAnswers = (Draft, Vec<SourceOutcome>, Vec<(SourceAnswer, bool)>);

/// Lays answers over a draft, one after the other; one that fails leaves the draft as it was.
fn lay_all(
    mut draft: Draft,
    answers: Vec<SourceAnswer>,
    regions: &[Pattern],
    check: &mut dyn FnMut(&Draft) -> Result<(), CatalogError>,
) -> LaidAnswers {
    let (mut outcomes, mut used) = (Vec::new(), Vec::new());
    for answer in answers {
        let mut report = ImportReport::default();
        let mut changes = ChangedPrices::default();
        let mut day = None;
        let source_status = match &answer.result {
            Err(fault) => SourceStatus::Failed(fault.0.clone()),
            Ok(AnswerData {
                content: AnswerContent::Skip(why),
                ..
            }) => SourceStatus::Skipped(why.clone()),
            Ok(data) => {
                day = data.day;
                data.notes.iter().for_each(|note| report.note(note.clone()));
                let mut next_draft = draft.clone();
                let laid = lay_one(data, &mut next_draft, &mut report);
                match laid
                    .and_then(|()| check(&next_draft).map_err(|error| Fault(error.to_string())))
                {
                    Err(fault) => SourceStatus::Failed(fault.0),
                    Ok(()) => {
                        restore_other_regions(&draft, &mut next_draft, regions);
                        next_draft.drop_unused_sources();
                        changes = ChangedPrices::between(&draft, &next_draft);
                        let is_unchanged = next_draft == draft;
                        draft = next_draft;
                        if is_unchanged {
                            SourceStatus::Unchanged
                        } else {
                            SourceStatus::Updated
                        }
                    }
                }
            }
        };
        let ok = matches!(
            source_status,
            SourceStatus::Updated | SourceStatus::Unchanged
        );
        let (source, cloud, part) = (answer.source, answer.cloud.clone(), answer.part.clone());
        outcomes.push(SourceOutcome {
            source,
            cloud,
            part,
            status: source_status,
            day,
            report,
            changes,
            kept: None,
        });
        used.push((answer, ok));
    }
    (draft, outcomes, used)
}

/// Puts back the prices of places that were not asked for.
fn restore_other_regions(old: &Draft, new: &mut Draft, regions: &[Pattern]) {
    if regions.is_empty() {
        return;
    }
    new.prices
        .retain(|(cloud, region), _| asked_for(regions, cloud, region));
    let other_regions = old
        .prices
        .iter()
        .filter(|((cloud, region), _)| !asked_for(regions, cloud, region));
    new.prices
        .extend(other_regions.map(|(place, rows)| (place.clone(), rows.clone())));
}

fn lay_one(data: &AnswerData, draft: &mut Draft, report: &mut ImportReport) -> Result<(), Fault> {
    match &data.content {
        AnswerContent::PriceQuotes(quotes) => {
            if quotes.len() == 0 {
                return Err(Fault(match quotes.report.most_left_out() {
                    Some(why) => format!("there is no price in it; {why}"),
                    None => "there is no price in it".to_owned(),
                }));
            }
            PriceQuotes::clone(quotes)
                .apply(draft, report)
                .map_err(|error| Fault(error.to_string()))
        }
        AnswerContent::Import(importer, path, options) => {
            importer(path, options, draft, report).map_err(|error| Fault(error.to_string()))
        }
        AnswerContent::Own(other) => own_catalog::apply(Draft::clone(other), draft, report),
        AnswerContent::Skip(_) => Ok(()),
    }
}
