//! What is in the store: looked at before it is handed on, and laid out where people look for it.

use super::Error;
use super::context::Context;
use super::notice::Notice;
use crate::execution::state::Artifact;
use crate::execution::storage::objects::Held;
use crate::util::interruptible::blocking;
use crate::util::simulation;
use std::io;

/// Whether an artifact is in the store, and what was put there. What is damaged is said and
/// discarded.
pub(super) async fn is_whole(
    context: &Context,
    name: &str,
    artifact: &Artifact,
) -> Result<bool, Error> {
    if simulation::is_on() {
        return Ok(context.objects.has(&artifact.digest, artifact.kind));
    }
    let (objects, digest, kind) = (
        context.objects.clone(),
        artifact.digest.clone(),
        artifact.kind,
    );
    match blocking(move |bounds| objects.check(&digest, kind, bounds)).await? {
        Held::Whole => Ok(true),
        Held::Missing => Ok(false),
        Held::Damaged(why) => {
            discard_held(context, name, artifact, &why)?;
            Ok(false)
        }
    }
}

pub(super) fn discard_held(
    context: &Context,
    name: &str,
    artifact: &Artifact,
    why: &str,
) -> Result<(), Error> {
    let place = context.objects.path(&artifact.digest, artifact.kind);
    let message = format!(
        "{name} is damaged in {}: {why}; it is discarded and made or fetched again",
        place.display()
    );
    context.observer.notice(&Notice::Warning { message });
    Ok(context.objects.discard(&artifact.digest, artifact.kind)?)
}

/// Puts a copy of an output where people look for it. The stage is done without it, too. False:
/// what is in the store is not what the stage has written, and was discarded.
pub(super) async fn publish_output(
    context: &Context,
    stage: &str,
    output: &str,
    artifact: &Artifact,
) -> bool {
    let (objects, to) = (
        context.objects.clone(),
        context.artifacts.join(stage).join(output),
    );
    let (digest, kind) = (artifact.digest.clone(), artifact.kind);
    if let Err(error) =
        blocking(move |bounds| objects.publish_within(&digest, kind, &to, bounds)).await
    {
        if error.kind() == io::ErrorKind::InvalidData {
            return discard_held(
                context,
                &format!("`{stage}.{output}`"),
                artifact,
                &error.to_string(),
            )
            .is_err();
        }
        context.observer.notice(&Notice::Warning {
            message: error.to_string(),
        });
    }
    true
}
