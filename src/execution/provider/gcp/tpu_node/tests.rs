use super::*;
use crate::model::PlaceName;
use serde_json::json;
use std::time::Duration;

#[test]
fn ids_are_read() {
    assert!(is_node("locations/us-central1-b/nodes/sky-1"));
    assert_eq!(
        parts("projects/p/locations/us-central1-b/nodes/sky-1"),
        Some(("us-central1-b", "sky-1"))
    );
    for wrong in [
        "us-central1-b/sky-1",
        "locations/us-central1-b/nodes/",
        "locations/a/nodes/b/c",
        "locations//nodes/x",
    ] {
        assert!(!is_node(wrong), "{wrong}");
    }
}

fn node(state: &str, lease_end: &str) -> Value {
    json!({
        "name": "projects/p/locations/europe-west4-a/nodes/sky-1",
        "acceleratorType": "v3-8",
        "state": state,
        "labels": { "sky-token": "0", "sky-lease-end": labels::encode(lease_end).unwrap() },
        "metadata": { "startup-script": "a secret", "sky-host-key": "ssh-ed25519 AAAA" },
        "networkEndpoints": [{ "ipAddress": "10.0.0.2", "accessConfig": { "externalIp": "203.0.113.7" } }],
    })
}

#[test]
fn nodes_are_read() {
    let instance = node_instance(&node("READY", "9999-01-01T00:00:00Z")).unwrap();
    assert_eq!(instance.id, "locations/europe-west4-a/nodes/sky-1");
    assert_eq!(
        instance.place,
        PlaceName {
            cloud: "gcp".into(),
            region: "europe-west4".into()
        }
    );
    assert_eq!(
        (instance.instance_type.as_str(), instance.address.as_deref()),
        ("tpu-v3-8", Some("203.0.113.7"))
    );
    let tags: Vec<&str> = instance.tags.keys().map(String::as_str).collect();
    assert_eq!(tags, ["sky-host-key", "sky-lease-end", "sky-token"]);
}

#[test]
fn what_has_outlived_its_lease_has_ended_and_costs() {
    let soon = clock::after(Duration::from_secs(3600));
    for (state, end, life) in [
        ("CREATING", soon.as_str(), Life::Alive),
        ("READY", &soon, Life::Alive),
        ("NEW_AT_GOOGLE", &soon, Life::Alive),
        ("READY", "2026-01-01T00:00:00Z", Life::Stopped),
        ("STOPPED", &soon, Life::Stopped),
        ("PREEMPTED", &soon, Life::Preempted),
        ("DELETING", &soon, Life::Ended),
    ] {
        assert_eq!(
            node_instance(&node(state, end)).unwrap().life,
            life,
            "{state} {end}"
        );
    }
}
