//! What must be there before machines can be: credentials, permissions, quota, hosts that answer.
//! Each provider says it of itself ([`Provider::check`](super::Provider::check)); nothing is
//! changed by looking.

use super::{ErrorKind, ProviderError};
use crate::model::{PlaceName, Purchase};
use std::future::Future;
use std::time::Duration;

/// How long one look may take: a network that swallows everything is not a network.
const PATIENCE: Duration = Duration::from_secs(20);

/// Machines that a plan wants at one time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The place of the machines.
    pub place: PlaceName,
    /// The type of the machines.
    pub instance_type: String,
    /// How the machines are bought.
    pub purchase: Purchase,
    /// How many machines at most run side by side, as planned.
    pub machines: u32,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether there are credentials.
    Credentials,
    /// Whether the provider answers.
    Reach,
    /// Whether a call is permitted.
    Permission,
    /// Whether the account's limits leave room.
    Quota,
    /// The object store that has data between stages.
    Storage,
}

impl Topic {
    /// Returns the topic as people read it.
    pub fn words(self) -> &'static str {
        match self {
            Topic::Reach => "connection",
            other => other.name(),
        }
    }

    /// Returns the topic as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Credentials => "credentials",
            Topic::Reach => "reach",
            Topic::Permission => "permission",
            Topic::Quota => "quota",
            Topic::Storage => "storage",
        }
    }
}

/// Whether something is as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// What was looked for is there.
    There,
    /// What was looked for is missing.
    Missing,
    /// Nothing could be seen.
    Unknown,
}

impl Verdict {
    /// Returns the verdict as people read it.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Unknown => "not known",
            other => other.name(),
        }
    }

    /// Returns the verdict as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::There => "ok",
            Verdict::Missing => "missing",
            Verdict::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing was looked at.
    pub topic: Topic,
    /// The very thing, such as `ec2:RunInstances in us-east-1`.
    pub about: String,
    /// Whether the thing is as it must be.
    pub verdict: Verdict,
    /// What was seen, or what is wrong and the way out.
    pub said: String,
}

impl Finding {
    /// A finding that all is as it must be.
    pub fn there(topic: Topic, about: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self {
            topic,
            about: about.into(),
            verdict: Verdict::There,
            said: explanation.into(),
        }
    }

    /// A finding that nothing could be seen, which says nothing about whether the thing is there.
    pub fn unknown(topic: Topic, about: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self {
            topic,
            about: about.into(),
            verdict: Verdict::Unknown,
            said: explanation.into(),
        }
    }

    /// The permissions that are lacking of so many; `place` is where they have to be granted.
    pub fn permissions(
        place: &str,
        count: usize,
        lacks: impl IntoIterator<Item = String>,
    ) -> Vec<Self> {
        let refusal_words = format!(
            "not granted in {place}; `sky guide` has a topic for each cloud, with the permissions that sky needs"
        );
        let lacking = |about| Self {
            topic: Topic::Permission,
            about,
            verdict: Verdict::Missing,
            said: refusal_words.clone(),
        };
        let lacking_findings: Vec<Self> = lacks.into_iter().map(lacking).collect();
        match lacking_findings.is_empty() {
            true => vec![Self::there(
                Topic::Permission,
                place,
                format!("all {count} are granted"),
            )],
            false => lacking_findings,
        }
    }

    /// What a call that failed says about it. Whoever is not let in lacks something; what did not
    /// answer says nothing.
    pub fn failed(topic: Topic, about: impl Into<String>, error: &ProviderError) -> Self {
        let verdict = match error.kind {
            ErrorKind::Unreachable | ErrorKind::Throttled => Verdict::Unknown,
            _ => Verdict::Missing,
        };
        Self {
            topic,
            about: about.into(),
            verdict,
            said: error.message.clone(),
        }
    }

    /// Whether so many of something are allowed. What runs already is not counted unless `used` is
    /// known.
    pub fn quota(
        about: impl Into<String>,
        wanted_units: u64,
        limit: u64,
        used: Option<u64>,
    ) -> Self {
        let quota_left = limit.saturating_sub(used.unwrap_or(0));
        let (verdict, end) = match wanted_units <= quota_left {
            true => (Verdict::There, ""),
            false => (
                Verdict::Missing,
                ": ask the cloud for more, or plan with a limit on this place",
            ),
        };
        let used_words = used
            .map(|used| format!(", {used} of it in use"))
            .unwrap_or_default();
        let quota_words = format!(
            "the plan wants {wanted_units} at a time, the limit is {limit}{used_words}{end}"
        );
        Self {
            topic: Topic::Quota,
            about: about.into(),
            verdict,
            said: quota_words,
        }
    }
}

/// Looks, but not for ever.
pub async fn in_time<T>(
    look: impl Future<Output = Result<T, ProviderError>>,
    about: &str,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(seen) => seen,
        Err(_) => {
            let message = format!(
                "{about}: no answer within {} s; is there a network?",
                PATIENCE.as_secs()
            );
            Err(ProviderError::new(ErrorKind::Unreachable, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_compared_with_what_is_left() {
        assert_eq!(Finding::quota("vCPU", 8, 8, None).verdict, Verdict::There);
        assert_eq!(
            Finding::quota("vCPU", 8, 8, Some(1)).verdict,
            Verdict::Missing
        );
        let said = Finding::quota("vCPU", 9, 8, Some(3)).said;
        assert_eq!(
            said,
            "the plan wants 9 at a time, the limit is 8, 3 of it in use: ask the cloud for more, or plan with a limit on this place"
        );
    }

    #[test]
    fn what_does_not_answer_is_unknown() {
        let verdict =
            |kind| Finding::failed(Topic::Reach, "x", &ProviderError::new(kind, "no")).verdict;
        assert_eq!(verdict(ErrorKind::Unreachable), Verdict::Unknown);
        assert_eq!(verdict(ErrorKind::Denied), Verdict::Missing);
    }
}
