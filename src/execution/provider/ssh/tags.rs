//! What the file `tags` of a machine says, and what a line of an agent's answer means.

use super::super::{ErrorKind, Machine, MachineSpec, Owner, ProviderError, Token};
use crate::model::PlaceName;
use crate::model::names::{is_path_part, is_token};
use serde::{Deserialize, Serialize};

/// Whose a machine is, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::execution::provider) struct Tags {
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
    pub(crate) fn new(token: &Token, spec: &MachineSpec) -> Self {
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

    pub(crate) fn belong_to(&mut self, owner: &Owner) {
        (self.job, self.lineage) = (owner.job.clone(), owner.lineage.clone());
    }

    /// On one line: JSON has its line feeds escaped.
    pub(crate) fn encode(&self) -> Result<String, ProviderError> {
        serde_json::to_string(self).map_err(|error| ProviderError::new(ErrorKind::Other, error))
    }
}

/// A machine on the host of that name: whether it has ended and whether its lease is over by the
/// host's own clock, the end of its lease, its tags.
pub(in crate::execution::provider) fn machine_of_line(
    host: &str,
    line: &str,
) -> Result<(Tags, Machine), ProviderError> {
    let mut line_parts = line.splitn(4, ' ');
    let (Some(flags), Some(token), Some(lease_end), Some(text)) = (
        line_parts.next(),
        line_parts.next(),
        line_parts.next(),
        line_parts.next(),
    ) else {
        let message = format!(
            "host {host}: its answer makes no sense: {}",
            line.escape_debug()
        );
        return Err(ProviderError::new(ErrorKind::Other, message));
    };
    let damaged_line = |why: String| {
        let message = format!(
            "host {host}: the tags of machine {} are damaged: {why}; on the host, look at machines/{}/tags in the folder \
             of sky, and remove the machine's folder once nothing of it runs",
            token.escape_debug(),
            token.escape_debug()
        );
        ProviderError::new(ErrorKind::Other, message)
    };
    let tags: Tags = match text {
        "" => {
            return Err(damaged_line(
                "the file cannot be read, or is empty".to_owned(),
            ));
        }
        text => serde_json::from_str(text).map_err(|error| damaged_line(error.to_string()))?,
    };
    if !is_token(&tags.token) || tags.token != token {
        return Err(damaged_line(format!(
            "they are of `{}`",
            tags.token.escape_debug()
        )));
    }
    if !is_path_part(&tags.stage) {
        return Err(damaged_line(format!(
            "`{}` is not a name of a stage",
            tags.stage.escape_debug()
        )));
    }
    let machine = Machine {
        token: Token {
            id: tags.token.clone(),
            stage: tags.stage.clone(),
            attempt: tags.attempt,
        },
        id: format!("{host}/{}", tags.token),
        job: tags.job.clone(),
        lineage: tags.lineage.clone(),
        place: Some(tags.place.clone()),
        instance_type: Some(tags.instance_type.clone()),
        lease_end: (!lease_end.is_empty()).then(|| lease_end.to_owned()),
        lease_over: match flags.get(1..) {
            Some("0") => Some(false),
            Some("1") => Some(true),
            _ => None,
        },
        ended: flags.starts_with('1'),
    };
    Ok((tags, machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_sky_cannot_have_written_are_damaged() {
        let token = "0123456789abcdef0123456789abcdef";
        let tags = |token: &str, stage: &str| {
            serde_json::json!({
                "token": token, "stage": stage, "attempt": 1, "job": "j", "lineage": "l", "plan": "p",
                "place": "ssh:a", "instance_type": "t",
            })
        };
        let line = |token: &str, tags: &dyn std::fmt::Display| {
            format!("0- {token} 2026-01-01T00:00:00Z {tags}")
        };
        let (_, read) = machine_of_line("h", &line(token, &tags(token, "train[1]"))).unwrap();
        assert_eq!(
            (read.token.id.as_str(), read.lease_over, read.ended),
            (token, None, false)
        );
        assert_eq!(
            machine_of_line("h", &format!("11 {token}  {}", tags(token, "a")))
                .unwrap()
                .1
                .lease_over,
            Some(true)
        );
        for forged in [
            tags("../../x", "a"),
            tags(&"f".repeat(32), "a"),
            tags(token, "../x"),
            tags(token, "a/b"),
        ] {
            let said = machine_of_line("h", &line(token, &forged))
                .unwrap_err()
                .message;
            assert!(
                said.contains(&format!("the tags of machine {token} are damaged")),
                "{said}"
            );
        }
        for damaged in ["", "{", "null", "\u{1b}[2J"] {
            let said = machine_of_line("h", &line(token, &damaged))
                .unwrap_err()
                .message;
            assert!(
                said.contains("are damaged") && !said.contains('\u{1b}'),
                "{said}"
            );
        }
        assert!(machine_of_line("h", "hello").is_err());
    }
}
