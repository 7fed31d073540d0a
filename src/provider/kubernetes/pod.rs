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
const NO_ROOM: [&str; 6] =
    ["OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "UnexpectedAdmissionError", "NodeAffinity"];
/// Reasons with which clusters, also those that know no condition for it, take a pod away.
const TAKEN: [&str; 7] = ["Evicted", "Preempting", "Preempted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"];

/// Where a pod is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// There is no node for it, and why.
    Unplaced(String),
    /// It comes up, and what it waits for.
    Coming(String),
    /// Its container will never run, and why.
    Broken(String),
    Up,
    Gone(Gone),
}

/// Why a pod is gone, or going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The cluster took it away, and says so.
    Taken,
    /// Somebody has deleted it: the cluster, for one reason or another, or its people.
    Deleted,
    /// Its node had no room for it, and it never began.
    NoRoom(String),
    OutOfMemory,
    /// Its container never began.
    Broken(String),
    Ended(String),
}

pub(super) fn read(pod: &Pod) -> Stand {
    let Some(status) = &pod.status else { return Stand::Coming("the cluster".to_owned()) };
    let container = status.container_statuses.as_ref().and_then(|all| all.first());
    let state = container.and_then(|container| container.state.clone()).unwrap_or_default();
    let phase = status.phase.as_deref().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() || ["Failed", "Succeeded"].contains(&phase) {
        return Stand::Gone(gone(pod, &state));
    }
    if state.terminated.is_some() {
        return Stand::Gone(gone(pod, &state));
    }
    if state.running.is_some() {
        return Stand::Up;
    }
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        let told = told(&reason, waiting.message.as_deref());
        return if BROKEN.contains(&reason.as_str()) { Stand::Broken(told) } else { Stand::Coming(told) };
    }
    let unplaced = |one: &&PodCondition| one.type_ == "PodScheduled" && one.status == "False";
    match status.conditions.iter().flatten().find(unplaced) {
        Some(condition) => {
            Stand::Unplaced(told(condition.reason.as_deref().unwrap_or_default(), condition.message.as_deref()))
        }
        None => Stand::Coming(told(phase, status.message.as_deref())),
    }
}

fn gone(pod: &Pod, state: &ContainerState) -> Gone {
    let Some(status) = &pod.status else { return Gone::Deleted };
    let reason = status.reason.as_deref().unwrap_or_default();
    let disrupted =
        status.conditions.iter().flatten().any(|one| one.type_ == "DisruptionTarget" && one.status == "True");
    if disrupted || TAKEN.contains(&reason) {
        return Gone::Taken;
    }
    let terminated = state.terminated.as_ref();
    let ended = terminated.and_then(|ended| ended.reason.as_deref()).unwrap_or_default();
    if ended == "OOMKilled" {
        return Gone::OutOfMemory;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Gone::Deleted;
    }
    let message = terminated.and_then(|ended| ended.message.as_deref()).or(status.message.as_deref());
    if NO_ROOM.contains(&reason) {
        return Gone::NoRoom(told(reason, status.message.as_deref()));
    }
    if BROKEN.contains(&ended) || ended == "ContainerCannotRun" {
        return Gone::Broken(told(ended, message));
    }
    let reason = if ended.is_empty() { reason } else { ended };
    let code = terminated.map(|ended| format!(", exit code {}", ended.exit_code)).unwrap_or_default();
    Gone::Ended(told(reason, message) + &code)
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

    fn stand(text: &str) -> Stand {
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
            assert_eq!(stand(&failed(reason)), Stand::Gone(Gone::Taken), "{reason}");
        }
        assert_eq!(stand(&failed("OutOfcpu")), Stand::Gone(Gone::NoRoom("OutOfcpu: why".into())));
        assert_eq!(stand(&failed("Odd")), Stand::Gone(Gone::Ended("Odd: why".into())));
        assert_eq!(stand(&terminated("OOMKilled")), Stand::Gone(Gone::OutOfMemory));
        assert_eq!(stand(&terminated("StartError")), Stand::Gone(Gone::Broken("StartError: why".into())));
        assert_eq!(stand(&terminated("Error")), Stand::Gone(Gone::Ended("Error: why, exit code 137".into())));
        let disrupted = r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running","conditions":
            [{"type":"DisruptionTarget","status":"True","reason":"PreemptionByScheduler"}]}}"#;
        assert_eq!(stand(disrupted), Stand::Gone(Gone::Taken));
        let deleted = r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running"}}"#;
        assert_eq!(stand(deleted), Stand::Gone(Gone::Deleted));
    }

    #[test]
    fn what_comes_up_is_told_from_what_never_will() {
        let waits = |reason: &str| {
            format!(
                r#"{{"status":{{"phase":"Pending","containerStatuses":[{{"name":"stage","image":"i","imageID":"",
                "ready":false,"restartCount":0,"state":{{"waiting":{{"reason":"{reason}","message":"no\n such image"}}}}}}]}}}}"#
            )
        };
        assert_eq!(stand(&waits("ContainerCreating")), Stand::Coming("ContainerCreating: no such image".into()));
        assert_eq!(stand(&waits("ErrImagePull")), Stand::Coming("ErrImagePull: no such image".into()));
        assert_eq!(stand(&waits("ImagePullBackOff")), Stand::Broken("ImagePullBackOff: no such image".into()));
        let unplaced = r#"{"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False",
            "reason":"Unschedulable","message":"0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}]}}"#;
        let wanted = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
        assert_eq!(stand(unplaced), Stand::Unplaced(wanted.into()));
        assert_eq!(stand("{}"), Stand::Coming("the cluster".into()));
    }
}
