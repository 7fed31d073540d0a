//! Nothing of the network, and no home, is needed to plan and to look into the catalog.

use crate::support::sandbox::{Sandbox, stderr};
use std::process::Command;

/// What works without a network, on the shipped catalog.
const VERBS: [&[&str]; 9] = [
    &["plan", "--out", "plan.json"],
    &["catalog", "lock"],
    &["plan", "--locked", "--check", "plan.json"],
    &["explain", "plan.json"],
    &["verify", "plan.json"],
    &["frontier"],
    &["catalog", "show", "A100"],
    &["catalog", "diff"],
    &["catalog", "check"],
];

fn job() -> Sandbox {
    let sandbox = Sandbox::bert();
    std::fs::remove_dir_all(sandbox.path("catalog")).unwrap();
    sandbox
}

#[test]
fn everything_plans_where_every_proxy_leads_nowhere() {
    // The sandbox has no HOME and no XDG folders; port 9 of this machine answers to nobody.
    let sandbox = job();
    for verb in VERBS {
        let mut command = sandbox.sky(verb);
        for name in [
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            command.env(name, "http://127.0.0.1:9");
        }
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{verb:?}\n{}",
            stderr(&output)
        );
    }
}

#[test]
fn everything_plans_in_a_network_of_nothing() {
    let sandbox = job();
    let alone = |program: &str, args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--net", "--", program])
            .args(args);
        command
            .current_dir(sandbox.path(""))
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .output()
    };
    // A network of its own, without even a loopback that is up. Not every machine lets one make it.
    if !alone("true", &[]).is_ok_and(|output| output.status.success()) {
        return;
    }
    for verb in VERBS {
        let output = alone(env!("CARGO_BIN_EXE_sky"), verb).unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{verb:?}\n{}",
            stderr(&output)
        );
    }
    assert!(std::fs::read(sandbox.path("plan.json")).is_ok());
}
