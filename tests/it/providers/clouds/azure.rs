//! Azure's provider, against an Azure of ours whose machines are SSH servers.

use super::microsoft::{Microsoft, SUBSCRIPTION, Trouble};
use crate::execution::proof::{Subject, conforms};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sky::execution::provider::*;
use sky::model::{Bytes, PlaceName, Purchase, Rate};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

mod within;

const PUT: &str = "PUT virtualMachines";
/// All that a machine is made of.
const PARTS: [&str; 4] = [
    "virtualMachines",
    "networkInterfaces",
    "publicIPAddresses",
    "disks",
];

/// Runs a test below in a process of its own, whose environment leads to an Azure of ours.
fn within(name: &str, environment: Vec<(&'static str, String)>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &crate::support::sandbox::test_name(module_path!(), &format!("within::{name}")),
            "--ignored",
        ])
        .stdin(Stdio::null());
    for name in [
        "SKY_SSH_KEY",
        "SKY_AZURE_SUBSCRIPTION",
        "SKY_AZURE_IMAGE",
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
    ] {
        command.env_remove(name);
    }
    let output = command.envs(environment).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The same, with an Azure that is looked at afterwards.
fn at_azure(name: &str) -> Microsoft {
    let azure = Microsoft::new();
    within(name, azure.environment());
    azure.check();
    azure
}

fn owner() -> Owner {
    Owner {
        job: "A Job".into(),
        lineage: "3f2a".into(),
    }
}

fn token(stage: &str) -> Token {
    Token::new("3f2a", "sha256:plan", stage, 1)
}

fn spec(place: &str, kind: &str) -> MachineSpec {
    MachineSpec {
        owner: owner(),
        plan: format!("sha256:{}", "ab".repeat(32)),
        lease: Duration::from_secs(3600),
        place: PlaceName::parse(place).unwrap(),
        instance_type: kind.into(),
        accelerator: None,
        nodes: 1,
        purchase: Purchase::OnDemand,
        rate: Rate(1_000_000_000),
        disk: Bytes(5 << 30),
        tee: None,
    }
}

fn here() -> MachineSpec {
    spec("azure:eastus", "Standard_B2s")
}

/// Runs such a test that makes its own Azures.
fn alone(name: &str) {
    let user = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
    within(
        name,
        vec![
            ("SKY_TEST_ALONE", "1".into()),
            ("SKY_SSH_FROM", "192.0.2.1".into()),
            ("SKY_SSH_USER", user),
        ],
    );
}

#[test]
fn what_is_asked_for_is_what_was_planned() {
    alone("what_was_planned");
}

#[test]
fn failures_are_told_apart() {
    alone("failures");
}

#[test]
fn an_answer_that_is_lost_makes_no_second_machine() {
    alone("lost_answers");
}

#[test]
fn nothing_stays_of_a_machine() {
    alone("leftovers");
}

#[test]
fn what_has_powered_itself_off_is_seen_and_removed() {
    alone("off");
}

#[test]
fn machines_are_found_by_all_of_their_names() {
    alone("names");
}

#[test]
fn whoever_moves_is_let_in_and_others_are_not_any_more() {
    let (azure, folder) = (Microsoft::new(), tempfile::tempdir().unwrap());
    for (stage, from) in [
        ("a", "192.0.2.1"),
        ("b", "192.0.2.1"),
        ("c", "198.51.100.0/24"),
        ("d", "2001:db8::1"),
    ] {
        let mut environment = azure.environment();
        environment.retain(|(name, _)| *name != "SKY_SSH_FROM");
        environment.push(("SKY_SSH_FROM", from.to_owned()));
        environment.push(("SKY_TEST_STATE", folder.path().display().to_string()));
        environment.push(("SKY_TEST_STAGE", stage.to_owned()));
        within("one_machine", environment);
    }
    let rules = azure.calls("PUT networkSecurityGroups");
    let sources = |body: &Value| {
        body["properties"]["securityRules"][0]["properties"]["sourceAddressPrefixes"].clone()
    };
    let sources: Vec<Value> = rules.iter().map(sources).collect();
    assert_eq!(
        sources,
        [json!(["192.0.2.1/32"]), json!(["198.51.100.0/24"])]
    );
    assert_eq!(azure.names("virtualMachines").len(), 3);
    azure.check();
}

#[test]
fn it_conforms() {
    let azure = Microsoft::new();
    let secret = "what-nobody-else-may-know";
    let credentials = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]
        .map(|name| (name, secret.to_owned()));
    within(
        "the_suite",
        [azure.environment(), credentials.to_vec()].concat(),
    );
    azure.check();
    // No credential is in anything that a machine is made of.
    let bodies = azure.calls(PUT);
    let data = bodies.iter().map(|body| {
        body["properties"]["osProfile"]["customData"]
            .as_str()
            .unwrap()
    });
    let data = data.map(|data| String::from_utf8(STANDARD.decode(data).unwrap()).unwrap());
    assert!(
        data.chain(bodies.iter().map(Value::to_string))
            .all(|text| !text.contains(secret))
    );
    for kind in PARTS {
        assert_eq!(azure.names(kind), Vec::<String>::new(), "{kind}");
    }
    // The rules admitted us alone, and went with the last machine.
    let rules = azure.calls("PUT networkSecurityGroups");
    assert!(!rules.is_empty());
    for body in rules {
        let rules = body["properties"]["securityRules"].as_array().unwrap();
        let [ssh, same_network, rest] = rules.as_slice() else {
            panic!("{body}")
        };
        assert_eq!(
            same_network["properties"]["sourceAddressPrefix"],
            "VirtualNetwork"
        );
        assert_eq!(
            ssh["properties"]["sourceAddressPrefixes"],
            json!(["192.0.2.1/32"])
        );
        assert_eq!(
            (
                &ssh["properties"]["destinationPortRange"],
                &rest["properties"]["access"]
            ),
            (&"22".into(), &"Deny".into())
        );
    }
    assert_eq!(azure.names("resourceGroups"), Vec::<String>::new());
}

#[test]
fn ends_are_told_apart() {
    at_azure("ends");
}

#[test]
fn without_credentials_it_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let nothing = |subscription: &str| {
        vec![
            ("HOME", home.path().display().to_string()),
            ("PATH", home.path().display().to_string()),
            ("AZURE_CONFIG_DIR", String::new()),
            ("SKY_AZURE_ENDPOINT", String::new()),
            ("AZURE_SUBSCRIPTION_ID", subscription.to_owned()),
        ]
    };
    within("no_subscription", nothing(""));
    // The chain ends with `az`, which is not there.
    let kind = vec![("AZURE_CREDENTIAL_KIND", "azurecli".to_owned())];
    within("no_credentials", [nothing(SUBSCRIPTION), kind].concat());
}

/// Has Microsoft's client make a machine and look after it.
fn client(azure: &Microsoft, more: &[&str]) {
    let mut command = Command::new(super::models::python());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/providers/clouds/client.py");
    command
        .arg("-B")
        .arg(script)
        .args([&azure.endpoint(), SUBSCRIPTION])
        .args(more);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("gets along"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    azure.check();
}

#[test]
fn microsofts_own_client_gets_along_with_it() {
    client(&Microsoft::new(), &[]);
}

#[test]
fn what_others_have_made_with_our_tags_is_swept() {
    let azure = Microsoft::new();
    client(&azure, &["keep"]);
    assert_eq!(azure.names("virtualMachines"), ["sky-of-python"]);
    let folder = tempfile::tempdir().unwrap();
    let sweep = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .args([&["sweep", "--provider", "azure"], more].concat())
            .current_dir(folder.path());
        command
            .envs(azure.environment())
            .env_remove("SKY_STATE")
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            format!("{said}{}", String::from_utf8_lossy(&output.stderr)),
        )
    };
    let (code, said) = sweep(&["--all", "--dry-run"]);
    assert!(
        code == Some(2) && said.contains("pythons/sky-of-python"),
        "{code:?} {said}"
    );
    let (code, said) = sweep(&["--all", "--auto-approve"]);
    assert_eq!(code, Some(0), "{said}");
    for kind in PARTS {
        assert_eq!(azure.names(kind), Vec::<String>::new(), "{kind}: {said}");
    }
    // The group is not ours to remove.
    assert_eq!(azure.names("resourceGroups"), ["pythons"]);
    azure.check();
}
