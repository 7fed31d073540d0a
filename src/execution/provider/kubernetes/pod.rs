//! What the state of a pod means.

use super::errors::words;
use k8s_openapi::api::core::v1::{ContainerState, Pod, PodCondition};

/// Reasons that stand for a container which will never run as it is.
const BROKEN: [&str; 8] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
];
/// Reasons with which a kubelet gives back a pod for which its node has no room after all.
const NO_ROOM: [&str; 6] = [
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "OutOfephemeral-storage",
    "UnexpectedAdmissionError",
    "NodeAffinity",
];
/// Reasons with which clusters, also those that know no condition for it, take a pod away.
const TAKEN: [&str; 7] = [
    "Evicted",
    "Preempting",
    "Preempted",
    "NodeLost",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
];

/// Where a pod is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PodState {
    /// There is no node for it, and why.
    Unplaced(String),
    /// The pod comes up; the text says what it waits for.
    Coming(String),
    /// The container of the pod will never run; the text says why.
    Broken(String),
    Up,
    PodEnd(PodEnd),
}

/// Why a pod is gone, or going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PodEnd {
    /// The cluster took it away, and says so.
    Taken,
    /// Somebody has deleted it: the cluster, for one reason or another, or its people.
    Deleted,
    /// The node had no room for the pod, which never began.
    NoRoom(String),
    OutOfMemory,
    /// The container of the pod never began.
    Broken(String),
    Ended(String),
}

pub(super) fn read(pod: &Pod) -> PodState {
    let Some(status) = &pod.status else {
        return PodState::Coming("the cluster".to_owned());
    };
    let container = status
        .container_statuses
        .as_ref()
        .and_then(|all| all.first());
    let container_state = container
        .and_then(|container| container.state.clone())
        .unwrap_or_default();
    let phase = status.phase.as_deref().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() || ["Failed", "Succeeded"].contains(&phase) {
        return PodState::PodEnd(gone(pod, &container_state));
    }
    if container_state.terminated.is_some() {
        return PodState::PodEnd(gone(pod, &container_state));
    }
    if container_state.running.is_some() {
        return PodState::Up;
    }
    if let Some(waiting) = &container_state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        let told_words = told(&reason, waiting.message.as_deref());
        return if BROKEN.contains(&reason.as_str()) {
            PodState::Broken(told_words)
        } else {
            PodState::Coming(told_words)
        };
    }
    let unplaced = |one: &&PodCondition| one.type_ == "PodScheduled" && one.status == "False";
    match status.conditions.iter().flatten().find(unplaced) {
        Some(condition) => PodState::Unplaced(told(
            condition.reason.as_deref().unwrap_or_default(),
            condition.message.as_deref(),
        )),
        None => PodState::Coming(told(phase, status.message.as_deref())),
    }
}

fn gone(pod: &Pod, state: &ContainerState) -> PodEnd {
    let Some(status) = &pod.status else {
        return PodEnd::Deleted;
    };
    let reason = status.reason.as_deref().unwrap_or_default();
    let disrupted = status
        .conditions
        .iter()
        .flatten()
        .any(|one| one.type_ == "DisruptionTarget" && one.status == "True");
    if disrupted || TAKEN.contains(&reason) {
        return PodEnd::Taken;
    }
    let terminated = state.terminated.as_ref();
    let end_reason = terminated
        .and_then(|ended| ended.reason.as_deref())
        .unwrap_or_default();
    if end_reason == "OOMKilled" {
        return PodEnd::OutOfMemory;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return PodEnd::Deleted;
    }
    let message = terminated
        .and_then(|ended| ended.message.as_deref())
        .or(status.message.as_deref());
    if NO_ROOM.contains(&reason) {
        return PodEnd::NoRoom(told(reason, status.message.as_deref()));
    }
    if BROKEN.contains(&end_reason) || end_reason == "ContainerCannotRun" {
        return PodEnd::Broken(told(end_reason, message));
    }
    let reason = if end_reason.is_empty() {
        reason
    } else {
        end_reason
    };
    let code = terminated
        .map(|ended| format!(", exit code {}", ended.exit_code))
        .unwrap_or_default();
    PodEnd::Ended(told(reason, message) + &code)
}

fn told(reason: &str, message: Option<&str>) -> String {
    match message.map(words).filter(|message| !message.is_empty()) {
        Some(message) if reason.is_empty() => message,
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(text: &str) -> PodState {
        read(&serde_json::from_str(text).unwrap())
    }

    fn terminated(reason: &str) -> String {
        format!(
            r#"{{"status":{{"phase":"Failed","containerStatuses":[{{"name":"stage","image":"i","imageID":"","ready":false,
            "restartCount":0,"state":{{"terminated":{{"exitCode":137,"reason":"{reason}","message":"why"}}}}}}]}}}}"#
        )
    }

    fn failed(reason: &str) -> String {
        format!(r#"{{"status":{{"phase":"Failed","reason":"{reason}","message":"why"}}}}"#)
    }

    #[test]
    fn ends_are_told_apart() {
        for reason in ["Evicted", "Preempting", "NodeLost", "Terminated"] {
            assert_eq!(
                stand(&failed(reason)),
                PodState::PodEnd(PodEnd::Taken),
                "{reason}"
            );
        }
        assert_eq!(
            stand(&failed("OutOfcpu")),
            PodState::PodEnd(PodEnd::NoRoom("OutOfcpu: why".into()))
        );
        assert_eq!(
            stand(&failed("Odd")),
            PodState::PodEnd(PodEnd::Ended("Odd: why".into()))
        );
        assert_eq!(
            stand(&terminated("OOMKilled")),
            PodState::PodEnd(PodEnd::OutOfMemory)
        );
        assert_eq!(
            stand(&terminated("StartError")),
            PodState::PodEnd(PodEnd::Broken("StartError: why".into()))
        );
        assert_eq!(
            stand(&terminated("Error")),
            PodState::PodEnd(PodEnd::Ended("Error: why, exit code 137".into()))
        );
        let disrupted = r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running","conditions":
            [{"type":"DisruptionTarget","status":"True","reason":"PreemptionByScheduler"}]}}"#;
        assert_eq!(stand(disrupted), PodState::PodEnd(PodEnd::Taken));
        let deleted = r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running"}}"#;
        assert_eq!(stand(deleted), PodState::PodEnd(PodEnd::Deleted));
    }

    #[test]
    fn what_comes_up_is_told_from_what_never_will() {
        let waits = |reason: &str| {
            format!(
                r#"{{"status":{{"phase":"Pending","containerStatuses":[{{"name":"stage","image":"i","imageID":"",
                "ready":false,"restartCount":0,"state":{{"waiting":{{"reason":"{reason}","message":"no\n such image"}}}}}}]}}}}"#
            )
        };
        assert_eq!(
            stand(&waits("ContainerCreating")),
            PodState::Coming("ContainerCreating: no such image".into())
        );
        assert_eq!(
            stand(&waits("ErrImagePull")),
            PodState::Coming("ErrImagePull: no such image".into())
        );
        assert_eq!(
            stand(&waits("ImagePullBackOff")),
            PodState::Broken("ImagePullBackOff: no such image".into())
        );
        let unplaced = r#"{"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False",
            "reason":"Unschedulable","message":"0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}]}}"#;
        let wanted = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
        assert_eq!(stand(unplaced), PodState::Unplaced(wanted.into()));
        assert_eq!(stand("{}"), PodState::Coming("the cluster".into()));
    }
}
