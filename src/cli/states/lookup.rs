//! The state that a verb works on, and the stages in it that an address names.

use crate::cli::Failure;
use crate::cli::state::{self, PlaceArgs};
use crate::cli::working_folder::working_folder;
use crate::execution::state::{State, Store};
use crate::model::canonical;

/// The state's place and the state, which must be there.
pub(super) fn read_state(place: &PlaceArgs) -> Result<(Store, State), Failure> {
    let working_dir = working_folder()?;
    let store = place.store(&working_dir)?;
    match store
        .read()
        .map_err(|error| state::failure(error.into(), &store))?
    {
        Some(state) => Ok((store, state)),
        None => Err(no_state(&store)),
    }
}

pub(super) fn no_state(store: &Store) -> Failure {
    Failure::error(format!(
        "there is no state in {}: nothing was applied there",
        store.name()
    ))
    .hint("name its place with --state URL or --state-dir DIR")
}

/// The answer of a verb for programs: one JSON object, with the version of its form.
pub(super) fn one_object(answer: &serde_json::Value) -> Result<String, Failure> {
    let mut answer_object = answer.clone();
    answer_object["format_version"] = "1.0".into();
    canonical::to_text(&answer_object).map_err(Failure::error)
}

/// The stage's name in `stage.NAME`; the name alone will do.
pub(super) fn stage_name(address: &str) -> &str {
    address.strip_prefix("stage.").unwrap_or(address)
}

/// The name of a stage that the state knows.
pub(super) fn known_stage<'a>(address: &'a str, state: &State) -> Result<&'a str, Failure> {
    let name = stage_name(address);
    if state.stages.contains_key(name) {
        return Ok(name);
    }
    let failure = Failure::error(format!("the state has no `stage.{name}`"));
    let nearest_stage = state
        .stages
        .keys()
        .max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    Err(
        match nearest_stage.filter(|near| strsim::jaro(near, name) > 0.7) {
            Some(near) => failure.hint(format!("did you mean stage.{near}?")),
            None => failure.hint("`sky state list` names them all"),
        },
    )
}
