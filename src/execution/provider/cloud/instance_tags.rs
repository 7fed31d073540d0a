//! Tags of instances: what is written on them, and what is believed of what is read there.

use super::super::{Machine, MachineSpec, Token};
use super::{Instance, Life};
use crate::model::names::{is_path_part, is_token};
use crate::util::clock;
use std::collections::BTreeMap;

// Clouds that only take lower case and `-` take these names, too.
/// The name of the tag with the idempotency token of the attempt.
pub const TOKEN: &str = "sky-token";
/// The name of the tag with the stage.
pub const STAGE: &str = "sky-stage";
/// The name of the tag with the number of the attempt.
pub const ATTEMPT: &str = "sky-attempt";
/// The name of the tag with the job.
pub const JOB: &str = "sky-job";
/// The name of the tag with the lineage of the state.
pub const LINEAGE: &str = "sky-lineage";
/// The name of the tag with the digest of the plan.
pub const PLAN: &str = "sky-plan";
/// The name of the tag with the end of the lease (RFC 3339).
pub const LEASE_END: &str = "sky-lease-end";
/// The name of the tag with the machine's public host key.
pub const HOST_KEY: &str = "sky-host-key";
/// Which machine of a gang it is, and of how many; the first is 0.
pub const NODE: &str = "sky-node";
/// The name of the tag with the number of machines of the gang.
pub const NODES: &str = "sky-nodes";

/// The largest gang that a job may ask for.
const MOST: u32 = 1000;
/// The stage of a machine whose tags do not say.
const UNKNOWN: &str = "unknown";

/// What a new instance carries.
pub(in crate::execution::provider) fn of(
    token: &Token,
    spec: &MachineSpec,
) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (TOKEN, token.id.clone()),
        (STAGE, token.stage.clone()),
        (ATTEMPT, token.attempt.to_string()),
        (JOB, spec.owner.job.clone()),
        (LINEAGE, spec.owner.lineage.clone()),
        (PLAN, spec.plan.clone()),
        (LEASE_END, clock::after(spec.lease)),
    ])
}

/// Which of a gang an instance is.
pub(in crate::execution::provider) fn node(instance: &Instance) -> u32 {
    instance
        .tags
        .get(NODE)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// How many machines the gang of an instance has, as far as jobs may ask for so many.
pub(in crate::execution::provider) fn nodes(instance: &Instance) -> u32 {
    instance
        .tags
        .get(NODES)
        .and_then(|count| count.parse().ok())
        .unwrap_or(1)
        .clamp(1, MOST)
}

/// The machine that an instance is; none if its token is none of ours. Anybody with rights at the
/// cloud can write tags, and some become names of files here: those that cannot be ours are not
/// believed, but what carries a token is always seen, so that it can be swept.
pub(in crate::execution::provider) fn machine(instance: &Instance) -> Option<Machine> {
    let tag = |name: &str| instance.tags.get(name).cloned();
    let id = tag(TOKEN).filter(|id| is_token(id))?;
    let stage = tag(STAGE)
        .filter(|stage| is_path_part(stage))
        .unwrap_or_else(|| UNKNOWN.to_owned());
    let attempt = tag(ATTEMPT)
        .and_then(|attempt| attempt.parse().ok())
        .unwrap_or(0);
    Some(Machine {
        token: Token { id, stage, attempt },
        id: instance.id.clone(),
        job: tag(JOB).unwrap_or_default(),
        lineage: tag(LINEAGE).unwrap_or_default(),
        place: Some(instance.place.clone()),
        instance_type: Some(instance.instance_type.clone()),
        lease_end: tag(LEASE_END),
        lease_over: None,
        ended: matches!(instance.life, Life::Ended | Life::Preempted),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PlaceName;

    fn tagged(tags: &[(&str, &str)]) -> Instance {
        Instance {
            id: "i-1".into(),
            place: PlaceName {
                cloud: "aws".into(),
                region: "us-east-1".into(),
            },
            instance_type: "m1.small".into(),
            life: Life::Alive,
            address: None,
            inside: None,
            zone: None,
            tags: tags
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn tags_that_cannot_be_ours_are_not_believed() {
        let token = "0123456789abcdef0123456789abcdef";
        let good = machine(&tagged(&[(TOKEN, token), (STAGE, "train"), (ATTEMPT, "2")])).unwrap();
        assert_eq!(
            (
                good.token.id.as_str(),
                good.token.stage.as_str(),
                good.token.attempt
            ),
            (token, "train", 2)
        );
        let odd = machine(&tagged(&[
            (TOKEN, token),
            (STAGE, "../../home"),
            (ATTEMPT, "x"),
        ]))
        .unwrap();
        assert_eq!((odd.token.stage.as_str(), odd.token.attempt), (UNKNOWN, 0));
        for forged in [
            "",
            "../../../etc/passwd",
            "0123456789ABCDEF0123456789ABCDEF",
            "ab",
        ] {
            assert!(
                machine(&tagged(&[(TOKEN, forged), (STAGE, "train")])).is_none(),
                "{forged}"
            );
        }
    }
}
