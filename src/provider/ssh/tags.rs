//! What the file `tags` of a machine says, and what a line of an agent's answer means.

use super::super::{ErrorKind, Machine, MachineSpec, Owner, ProviderError, Token};
use crate::model::PlaceName;
use serde::{Deserialize, Serialize};

/// Whose a machine is, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::provider) struct Tags {
    token: String,
    stage: String,
    attempt: u32,
    job: String,
    lineage: String,
    /// Digest of the plan.
    plan: String,
    place: PlaceName,
    instance_type: String,
}

impl Tags {
    pub fn new(token: &Token, spec: &MachineSpec) -> Self {
        Self {
            token: token.id.clone(),
            stage: token.stage.clone(),
            attempt: token.attempt,
            job: spec.owner.job.clone(),
            lineage: spec.owner.lineage.clone(),
            plan: spec.plan.clone(),
            place: spec.place.clone(),
            instance_type: spec.instance_type.clone(),
        }
    }

    pub fn belong_to(&mut self, owner: &Owner) {
        (self.job, self.lineage) = (owner.job.clone(), owner.lineage.clone());
    }

    /// On one line: JSON has its line feeds escaped.
    pub fn encode(&self) -> Result<String, ProviderError> {
        serde_json::to_string(self).map_err(|error| ProviderError::new(ErrorKind::Other, error))
    }
}

/// A machine on the host of that name: whether it has ended, the end of its lease, its tags.
pub(in crate::provider) fn machine(host: &str, line: &str) -> Result<(Tags, Machine), ProviderError> {
    let damaged = |why: String| {
        ProviderError::new(ErrorKind::Other, format!("host {host}: the tags of a machine are damaged: {why}"))
    };
    let mut parts = line.splitn(3, ' ');
    let (Some(ended), Some(lease_end), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(damaged(line.escape_debug().to_string()));
    };
    let tags: Tags = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    let machine = Machine {
        token: Token { id: tags.token.clone(), stage: tags.stage.clone(), attempt: tags.attempt },
        id: format!("{host}/{}", tags.token),
        job: tags.job.clone(),
        lineage: tags.lineage.clone(),
        place: Some(tags.place.clone()),
        instance_type: Some(tags.instance_type.clone()),
        lease_end: (!lease_end.is_empty()).then(|| lease_end.to_owned()),
        ended: ended == "1",
    };
    Ok((tags, machine))
}
